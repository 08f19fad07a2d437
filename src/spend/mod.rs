//! Who spent what: the book of usage and cost, taken before sampling.
//!
//! A sampled backend cannot say what last Tuesday cost, so what every call used is added up as it arrives, whatever becomes of its
//! trace. A shard only adds to a map of its own ([`Tally`]); once a second one thread takes those maps, adds them to the budgets and
//! writes them to SQLite, by minute, hour and day. A disk that cannot be written stops nothing: what is not written waits in memory.

pub mod answer;
pub mod budget;
pub mod config;
pub mod query;

mod book;
mod key;
mod meters;
mod store;
mod sums;
mod tally;

pub use answer::Answer;
pub use book::{Book, StartError};
pub use config::{Config, ConfigError};
pub use query::{Query, QueryError};
pub use store::{FILE, StoreError, read_file};
pub use tally::Tally;
