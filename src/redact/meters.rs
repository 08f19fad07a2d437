//! What redaction counts: findings by type and action, never a value.

use crate::redact::{Findings, Redactor};
use crate::telemetry::metrics::Metrics;
use metrics::Counter;

/// Counters of the stage.
#[derive(Clone, Debug)]
pub struct Meters {
    metrics: Metrics,
    blocked: Counter,
    allowed: Counter,
}

impl Meters {
    /// Counters in this registry.
    pub fn new(metrics: &Metrics) -> Meters {
        let blocked = metrics.counter("tollgate_redact_blocked_spans_total", "Items that could not be redacted and were held back", &[]);
        let allowed = metrics.counter("tollgate_redact_allowed_total", "Findings left as they are because a user's list says so", &[]);
        Meters { metrics: metrics.clone(), blocked, allowed }
    }

    /// Adds what was found in what left.
    pub fn record(&self, redactor: &Redactor, findings: &Findings) {
        self.allowed.increment(findings.allowed());
        for (kind, count) in findings.counts() {
            // A finding is rare beside the text it was found in, so the series is looked up by name.
            let labels = [("type", redactor.name(kind)), ("action", redactor.action(kind).as_str())];
            self.metrics
                .counter("tollgate_redact_findings_total", "Private values found in what left, by type and action", &labels)
                .increment(count);
        }
    }

    /// Adds items that were held back.
    pub fn blocked(&self, items: u64) {
        self.blocked.increment(items);
    }
}
