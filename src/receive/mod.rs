//! Who may send, how much, and how we say no.

mod received;

pub use received::{Opened, Received, open};
