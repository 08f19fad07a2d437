//! The path of one batch; start, run, reload, drain.

mod machine;
mod path;
mod plan;
mod shard;
mod stage;
mod trail;

pub use path::{Common, Path, Step};
pub use plan::{LabelRules, Plan, PlanError};
pub use stage::{Addresses, Entrance, Running, StartError};
