//! Spans as they are on the wire.
//!
//! A request is checked once ([`schema`]), cut into items ([`request`]), read where it stands ([`span`]), added to
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
pub mod trace_state;
pub mod wire;
