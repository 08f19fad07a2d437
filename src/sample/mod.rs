//! Which traces stay.
//!
//! Spans are held by trace until enough of the trace is here to judge it; then the whole trace is kept or dropped, and the
//! decision is remembered for what comes late. Errors and truncated answers always stay. [`Sampler`] is a state machine: it
//! reads no clock and does no I/O, so the same arrivals give the same decisions, in a test, in `replay` and in production.
//!
//! A span comes in by [`Sampler::admit`] and goes out in an [`Outcome`]; between them is one of three states: *pending*
//! (undecided), *open* (kept early, the rest streams through) or *held* (dropped, but not yet gone). A pending trace that a budget decides
//! about waits for others (`queue`).

pub mod conditions;
pub mod config;
pub mod decisions;
pub mod meters;
pub mod samplers;
pub mod threshold;

mod arena;
mod compile;
mod deadlines;
mod decide;
mod expr;
mod held;
mod late;
mod learned;
mod limits;
mod links;
mod made;
mod outcome;
mod overload;
mod patterns;
mod policies;
mod policy;
mod queue;
mod rare;
mod remembered;
mod sampler;
mod stamp;
mod strays;
mod totals;
mod trace;
mod warm;
mod watch;

#[cfg(test)]
mod tests;

pub use config::Config;
pub use decisions::Decisions;
pub use held::{Held, Place};
pub use limits::{Pressure, Repeats, Status};
pub use meters::Meters;
#[cfg(test)]
pub(crate) use outcome::decided;
pub use outcome::{Circumstances, Decided, Decision, Kept, Late, Outcome, Reason, Says, Shadow, Trigger, Vote};
pub use policies::{ConfigError, Policies};
pub use policy::Policy;
pub use sampler::Sampler;
pub use stamp::Stamp;
pub use totals::{Mark, Totals};
