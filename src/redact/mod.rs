//! What must not leave.

mod redacted;

pub use redacted::Redacted;
