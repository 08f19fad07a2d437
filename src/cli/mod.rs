//! One file per command.

pub mod redact;
