//! Spans, log records and metrics as they are on the wire.

pub mod signal;

pub mod json;
