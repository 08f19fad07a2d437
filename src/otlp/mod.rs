//! Spans as they are on the wire.
//!
//! A request is checked ([`schema`], [`strict`]) and cut into items ([`request`]) in one walk, read where it stands ([`span`]), added to
//! ([`append`]) and put together again ([`regroup`]). Nothing is decoded that nobody asks for, and nothing that a sender wrote is lost: unknown
//! fields, field order and explicit defaults leave as they came.

pub mod append;
pub mod edit;
pub mod head;
pub mod json;
pub mod regroup;
pub mod request;
pub mod schema;
pub mod signal;
pub mod span;
pub mod strict;
mod text;
pub mod trace_state;
pub mod wire;
