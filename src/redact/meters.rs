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
    errors: Counter,
    unscanned: Counter,
}

impl Meters {
    /// Counters in this registry.
    pub fn new(metrics: &Metrics) -> Meters {
        let blocked = metrics.counter(
            "tollgate_redact_blocked_spans_total",
            "Items that could not be redacted, or held what no span may leave with, and were held back",
            &[],
        );
        let allowed = metrics.counter("tollgate_redact_allowed_total", "Findings left as they are because a user's list says so", &[]);
        let errors = metrics.counter("tollgate_redact_errors_total", "Values replaced as a whole because redacting them failed", &[]);
        let unscanned =
            metrics.counter("tollgate_redact_oversize_total", "Values longer than max_scan_bytes, handled as oversize says", &[]);
        Meters { metrics: metrics.clone(), blocked, allowed, errors, unscanned }
    }

    /// Adds what was found in what left.
    pub fn record(&self, redactor: &Redactor, findings: &Findings) {
        self.allowed.increment(findings.allowed());
        self.errors.increment(findings.errors());
        self.unscanned.increment(findings.unscanned());
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
