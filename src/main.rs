//! The command line: flags, config, logs, run.
fn main() {}
