//! Tollgate's own log: text for a person at a terminal, JSON for a log collector.
//!
//! A log line carries names, counts, ids and reasons. No attribute value, prompt or matched text is ever an argument of one.

use serde::Deserialize;
use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// `service.logs`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The least important lines that are written. Default `info`. The environment variable `RUST_LOG`, where set, is used instead.
    pub level: Level,
    /// How they are written. Default `auto`.
    pub format: Format,
}

/// `service.logs.level`
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing.
    Off,
    /// What failed.
    Error,
    /// What may fail soon.
    #[serde(alias = "warning")]
    Warn,
    /// What happened.
    #[default]
    Info,
    /// What was decided.
    Debug,
    /// Every step.
    Trace,
}

/// `service.logs.format`
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl Config {
    /// Libraries speak up at `warn` at the least severe, so that `debug` is about Tollgate.
    fn filter(&self) -> EnvFilter {
        let level = match self.level {
            Level::Off => "off",
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        };
        let libraries = if matches!(self.level, Level::Off | Level::Error) { level } else { "warn" };
        let own = ["tollgate", "receive", "enrich", "sample", "redact", "forward", "live", "config", "pipeline"];
        let directives = own.map(|target| format!(",{target}={level}")).concat();
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(format!("{libraries}{directives}")))
    }
}

/// Starts logging to standard error, for the rest of the process.
///
/// # Errors
/// Where logging was started already.
pub fn start(config: &Config) -> Result<(), TryInitError> {
    let terminal = io::stderr().is_terminal();
    let text = match config.format {
        Format::Auto => terminal,
        Format::Text => true,
        Format::Json => false,
    };
    let registry = tracing_subscriber::registry().with(config.filter());
    if text {
        // A pipe gets no escape codes.
        registry.with(tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(terminal).with_timer(SystemTime)).try_init()
    } else {
        registry.with(tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(io::stderr)).try_init()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_is_about_tollgate_and_not_about_its_libraries() {
        let filter = Config { level: Level::Debug, format: Format::Auto }.filter().to_string();
        assert!(filter.contains("receive=debug") && filter.contains("warn"), "{filter}");
        assert!(!filter.contains("h2=debug"));
    }
}
