//! The configuration: read whole, checked whole, explained whole.
//!
//! A gateway is configured by people who have other work to do. A wrong key must not be passed over in
//! silence, and what is wrong must be said with its place, all of it at once, and without showing the tokens
//! that stand beside it. Stages describe their sections with plain `#[derive(Deserialize)]` structs; this
//! module finds the places for whatever serde has to say about them.
//!
//! ```text
//! text ─ yaml ─▶ tree ─ merge, --set ─▶ tree ─ interpolate ─▶ tree ─ de ─▶ typed ─ checks ─▶ running
//! ```

pub use self::file::{File, Processors, Sections, load_file, load_text};
pub use self::load::{Findings, Loaded, Sources, load, load_checked};
pub use self::print::print_whole;
pub use self::problem::{Problem, Problems};
pub use self::schema::schema;
pub use self::service::{Admin, AdminAuth, Journal, JournalSync, Memory, Pipeline, Service};
pub use self::tree::Tree;

mod problem;

mod tree;

mod yaml;

mod interpolate;

mod error;

mod de;

mod locate;

mod load;

mod print;

mod service;

mod file;

mod schema;

#[cfg(test)]
mod tests;
