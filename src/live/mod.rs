//! The admin port: health, metrics, and answers about decisions.
//!
//! It shows figures, names and ids; what it shows of traffic passed the redactor before. Requests that name another
//! host than the one it listens on are refused, so that a page in a browser cannot read it by DNS rebinding.

mod feed;
mod page;
mod server;
mod traces;

pub use feed::Feed;
pub use server::{Admin, AdminConfig, Answers, ServeError, Status};
