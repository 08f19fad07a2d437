//! The command line: one file per command.
//!
//! Exit status: 0 fine, 1 failed while running, 2 unusable arguments or config. Errors go to standard error.

mod check;
mod demo;
mod explain;
mod health;
mod inputs;
mod lines;
mod price;
mod redact;
mod replay;
mod run;
mod source;
mod spend;
mod watch;

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use std::time::Duration;

/// OTLP gateway for LLM traces: exact cost, truncation and error class on every call, private data out, whole traces tail-sampled.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, about, max_term_width = 120)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the stage until it is told to stop: OTLP in; enriched, sampled, redacted OTLP out.
    Run(run::Args),
    /// Validate a config and name every problem in it.
    Check(check::Args),
    /// Start everything in one process, send LLM traffic through it and show what happens to it.
    Demo(demo::Args),
    /// Run recorded OTLP requests through the stage on a virtual clock; the same every time.
    Replay(replay::Args),
    /// Redact standard input to standard output, to see what would leave.
    Redact(redact::Args),
    /// Show what one model call costs, and why.
    Price(price::PriceArgs),
    /// Ask a running stage what it decided about a trace, and why.
    Explain(explain::Args),
    /// Show who spent what: the spend book of a running stage, or its file.
    Spend(spend::Args),
    /// Exit with 0 where a running stage is ready, for container health checks.
    Health(health::Args),
}

/// How a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Unusable arguments or config: status 2.
    Usage(String),
    /// Failed while running: status 1.
    Running(String),
}

impl Failure {
    fn running(error: impl std::fmt::Display) -> Failure {
        Failure::Running(error.to_string())
    }
}

/// Runs one command to its end.
pub fn main(cli: Cli) -> ExitCode {
    let result = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Redact(args) => redact::run(&args),
        Command::Price(args) => price::command(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Spend(args) => spend::run(&args),
        Command::Health(args) => health::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(message)) => {
            eprintln!("{}", message.trim_end());
            ExitCode::from(2)
        }
        Err(Failure::Running(message)) => {
            eprintln!("error: {}", message.trim_end());
            ExitCode::from(1)
        }
    }
}

/// A reader that has seen enough, such as `head`, is no failure.
fn finish_output(result: std::io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::running(error)),
        _ => Ok(()),
    }
}

/// A client for a stage on this machine: no proxy, and no certificates, which a small container may not have.
fn local_client(timeout: Duration) -> Result<reqwest::Client, Failure> {
    reqwest::Client::builder().timeout(timeout).no_proxy().tls_certs_only([]).build().map_err(Failure::running)
}

/// A runtime for commands that talk to the network.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::running)
}
