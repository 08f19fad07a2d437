//! What the book says of itself in metrics.

use crate::telemetry::metrics::Metrics;
use metrics::{Counter, Gauge};

/// The handles of one book.
pub(super) struct Meters {
    /// Calls under `_other`.
    pub(super) folded: Counter,
    /// Attempts to write that failed.
    pub(super) failures: Counter,
    /// Sums that wait for the disk.
    pub(super) unwritten: Gauge,
    /// Combinations told apart today.
    pub(super) series: Gauge,
}

impl Meters {
    pub(super) fn new(metrics: &Metrics) -> Meters {
        Meters {
            folded: metrics.counter(
                "tollgate_spend_other_calls_total",
                "Calls counted under _other, for want of room for their names",
                &[],
            ),
            failures: metrics.counter("tollgate_spend_write_failures_total", "Attempts to write the spend book that failed", &[]),
            unwritten: metrics.gauge("tollgate_spend_unwritten_rows", "Sums of the spend book that wait in memory to be written", &[]),
            series: metrics.gauge("tollgate_spend_series", "Combinations of names that the spend book tells apart today", &[]),
        }
    }
}
