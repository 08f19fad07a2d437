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
        let own = ["tollgate", "receive", "enrich", "sample", "redact", "forward", "spend", "live", "config", "pipeline"];
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

/// What the current thread logs, for tests.
///
/// One subscriber serves the whole test binary. A subscriber per test will not do: whether anybody listens to a line is remembered for
/// the process when any thread first comes by it, and the thread of another test may be the first.
#[cfg(test)]
pub(crate) mod heard {
    use std::cell::RefCell;
    use std::io;
    use std::sync::Once;
    use tracing_subscriber::Layer;
    use tracing_subscriber::filter::dynamic_filter_fn;
    use tracing_subscriber::layer::SubscriberExt;

    thread_local! {
        static HEARD: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
    }

    /// The lines of this thread since it was made, until it goes.
    pub(crate) struct Heard(());

    /// Starts listening to this thread.
    pub(crate) fn listen() -> Heard {
        static START: Once = Once::new();
        START.call_once(|| {
            let ours = dynamic_filter_fn(|metadata, _| {
                const LIBRARIES: [&str; 6] = ["h2", "hyper", "tonic", "rustls", "reqwest", "tower"];
                let library = metadata.target().split("::").next().is_some_and(|name| LIBRARIES.iter().any(|of| name.starts_with(of)));
                !library && HEARD.with_borrow(Option::is_some)
            });
            let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| Writer).with_filter(ours);
            tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).unwrap();
        });
        HEARD.set(Some(Vec::new()));
        Heard(())
    }

    impl Heard {
        /// All of it.
        pub(crate) fn text(&self) -> String {
            HEARD.with_borrow(|heard| String::from_utf8_lossy(heard.as_deref().unwrap_or_default()).into_owned())
        }

        /// How many lines hold `text`.
        pub(crate) fn count(&self, text: &str) -> usize {
            self.text().lines().filter(|line| line.contains(text)).count()
        }
    }

    impl Drop for Heard {
        fn drop(&mut self) {
            HEARD.set(None);
        }
    }

    struct Writer;

    impl io::Write for Writer {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            HEARD.with_borrow_mut(|heard| heard.as_mut().map(|heard| heard.extend_from_slice(line)));
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_another_thread_came_by_first_is_heard() {
        fn line() {
            tracing::warn!(target: "telemetry", "came by");
        }
        let elsewhere = heard::listen();
        std::thread::spawn(line).join().unwrap();
        assert_eq!(elsewhere.count("came by"), 0);
        line();
        assert_eq!(elsewhere.count("came by"), 1);
    }

    #[test]
    fn debug_is_about_tollgate_and_not_about_its_libraries() {
        let filter = Config { level: Level::Debug, format: Format::Auto }.filter().to_string();
        assert!(filter.contains("receive=debug") && filter.contains("warn"), "{filter}");
        assert!(!filter.contains("h2=debug"));
    }
}
