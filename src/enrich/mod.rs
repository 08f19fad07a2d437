//! What a call used, what it cost, how it failed.

pub mod facts;
pub mod price;
