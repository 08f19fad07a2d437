//! The metrics of one destination.

use crate::forward::verdict::Reason;
use crate::telemetry::metrics::Metrics;
use metrics::{Counter, Gauge, Histogram};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Handles, made once.
pub(crate) struct Meters {
    registry: Metrics,
    destination: String,
    sent: Counter,
    retried: Counter,
    failed: Counter,
    quarantined: Counter,
    batches: Counter,
    queue_bytes: Gauge,
    queue_limit: Gauge,
    export: Histogram,
    /// Series that only trouble brings, by metric and reason.
    troubles: Mutex<HashMap<(&'static str, Reason), Counter>>,
}

const ERRORS: (&str, &str) = ("tollgate_forward_errors_total", "Attempts to export a batch that did not succeed");
const FAILURES: (&str, &str) = ("tollgate_forward_failures_total", "Items that were given up or set aside, by reason");

impl Meters {
    /// For the destination `destination`. The same name gives the same series.
    pub(crate) fn new(registry: &Metrics, destination: &str) -> Meters {
        let spans = |outcome| {
            let help = "Items (spans, log records, metrics) by what became of them; an item can be retried many times";
            registry.counter("tollgate_forward_spans_total", help, &[("destination", destination), ("outcome", outcome)])
        };
        let labels = [("destination", destination)];
        Meters {
            sent: spans("sent"),
            retried: spans("retried"),
            failed: spans("failed"),
            quarantined: spans("quarantined"),
            batches: registry.counter("tollgate_forward_batches_total", "Batches cut from the queue", &labels),
            queue_bytes: registry.gauge("tollgate_forward_queue_bytes", "Encoded bytes that wait or are in flight", &labels),
            queue_limit: registry.gauge("tollgate_forward_queue_limit_bytes", "sending_queue.size", &labels),
            export: registry.histogram("tollgate_forward_export_seconds", "Time from encoding a request to its answer", &labels),
            registry: registry.clone(),
            destination: destination.to_owned(),
            troubles: Mutex::default(),
        }
    }

    /// Items the backend has.
    pub(crate) fn sent(&self, items: u64) {
        self.sent.increment(items);
    }

    /// Items that will be sent again.
    pub(crate) fn retried(&self, items: u64) {
        self.retried.increment(items);
    }

    /// Items given up.
    pub(crate) fn failed(&self, items: u64, reason: Reason) {
        self.failed.increment(items);
        self.trouble(FAILURES, reason).increment(items);
    }

    /// Items set aside.
    pub(crate) fn quarantined(&self, items: u64, reason: Reason) {
        self.quarantined.increment(items);
        self.trouble(FAILURES, reason).increment(items);
    }

    /// One attempt that did not succeed.
    pub(crate) fn error(&self, reason: Reason) {
        self.trouble(ERRORS, reason).increment(1);
    }

    /// One more batch.
    pub(crate) fn batch(&self) {
        self.batches.increment(1);
    }

    /// One answer.
    pub(crate) fn export(&self, took: Duration) {
        self.export.record(took.as_secs_f64());
    }

    /// Bytes that came into the queue. Two destinations of one name, one of them draining, count together.
    pub(crate) fn grow(&self, bytes: usize) {
        self.queue_bytes.increment(bytes as f64);
    }

    /// Bytes that left it.
    pub(crate) fn shrink(&self, bytes: usize) {
        self.queue_bytes.decrement(bytes as f64);
    }

    /// The limit of the queue.
    pub(crate) fn limit(&self, bytes: usize) {
        self.queue_limit.set(bytes as f64);
    }

    fn trouble(&self, (name, help): (&'static str, &'static str), reason: Reason) -> Counter {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || self.registry.counter(name, help, &[("destination", &self.destination), ("reason", reason.as_str())]);
        troubles.entry((name, reason)).or_insert_with(new).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_counted_by_outcome_and_by_reason() {
        let registry = Metrics::new();
        let meters = Meters::new(&registry, "otlp_grpc/eu");
        meters.failed(3, Reason::Shutdown);
        meters.quarantined(1, Reason::Http(http::StatusCode::BAD_REQUEST));
        meters.grow(10);
        meters.shrink(4);
        let text = registry.render();
        for line in [
            r#"tollgate_forward_spans_total{destination="otlp_grpc/eu",outcome="failed"} 3"#,
            r#"tollgate_forward_spans_total{destination="otlp_grpc/eu",outcome="quarantined"} 1"#,
            r#"tollgate_forward_failures_total{destination="otlp_grpc/eu",reason="shutdown"} 3"#,
            r#"tollgate_forward_failures_total{destination="otlp_grpc/eu",reason="http_400"} 1"#,
            r#"tollgate_forward_queue_bytes{destination="otlp_grpc/eu"} 6"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
