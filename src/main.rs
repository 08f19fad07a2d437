//! The program: flags, config, logs, run.

use clap::Parser;
use std::process::ExitCode;

// glibc keeps memory after bursts, and bursts are what this program lives on.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    tollgate::cli::main(tollgate::cli::Cli::parse())
}
