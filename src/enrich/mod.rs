//! What a call used, how it ended and why it failed.

pub mod errors;
pub mod finish;
pub mod first_token;
pub mod number;
pub mod provider;
pub mod usage;
