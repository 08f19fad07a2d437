//! One file per command.

pub mod price;
