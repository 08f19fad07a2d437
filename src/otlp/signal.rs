//! Which of the three kinds of telemetry a request carries.
//!
//! The three travel in messages that share their outer shape and nothing else, so whatever handles a request
//! body is told its kind by the path or the service that received it, never by looking at the bytes.

use std::fmt;

/// The kind of telemetry in one OTLP request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Spans, in an `ExportTraceServiceRequest`.
    Traces,
    /// Log records, in an `ExportLogsServiceRequest`.
    Logs,
    /// Data points, in an `ExportMetricsServiceRequest`.
    Metrics,
}

impl Signal {
    /// The word OTLP uses for it in paths and file names: `traces`, `logs`, `metrics`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Logs => "logs",
            Signal::Metrics => "metrics",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
