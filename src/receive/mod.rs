//! Who may send, how much, and how we say no.
//!
//! Refusing costs least before anything was done, so a request meets the cheap questions first: is there a place for its
//! connection, is its sender known, is there room for the length it declares. What passes is accepted whole, or accepted
//! but for spans that nothing can make acceptable; and whoever is refused learns whether to come back.
//!
//! [`Receivers`] binds the ports of a [`Config`] and hands [`Opened`] requests to an [`Intake`].

mod auth;
mod body;
mod config;
mod cors;
mod door;
mod grpc;
mod http;
mod inflate;
mod listener;
mod meters;
mod received;
mod receivers;
mod refusal;
mod reply;
#[cfg(test)]
mod tests;
mod tls;

pub use auth::Tokens;
pub use config::{Ack, Auth, Config, ConfigError, Cors, Grpc, Http, Keepalive, Otlp, Protocols, ServerParameters, Tls};
pub use received::{Opened, Received, open};
pub use receivers::{BindError, Receivers};
pub use tls::TlsError;

use std::time::Duration;

/// What takes over requests that passed the door.
pub trait Intake: Clone + Send + Sync + 'static {
    /// Takes over a request whole, or not at all. The answer is sent when this is ready, so it may wait for a short while rather
    /// than refuse; it is dropped without being ready where the sender goes away.
    fn offer(&self, opened: Opened) -> impl Future<Output = Result<(), Busy>> + Send;

    /// Why nothing can be taken at the moment, if so. Asked before a body is read, so it has to be cheap.
    fn pressure(&self) -> Option<Busy>;
}

/// Not now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy {
    /// When to come back; senders are told this and up to half as long again, within 1 to 30 s.
    pub retry_after: Duration,
    /// What is full, in a word or two of `snake_case`: it becomes a metric label.
    pub reason: &'static str,
}
