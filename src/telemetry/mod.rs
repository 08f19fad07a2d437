//! Tollgate's own metrics, logs and health; never the traffic.

pub mod ledger;
pub mod logs;
pub mod memory;
pub mod metrics;

use ledger::Ledger;
use memory::Budget;
use metrics::Metrics;

/// What every stage reports to.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// The Prometheus registry.
    pub metrics: Metrics,
    /// The account of bytes.
    pub budget: Budget,
    /// The books of items.
    pub ledger: Ledger,
}

impl Telemetry {
    /// A fresh set for one stage whose traffic may occupy `memory_limit` bytes.
    pub fn new(memory_limit: usize) -> Telemetry {
        let telemetry = Telemetry { metrics: Metrics::new(), budget: Budget::new(memory_limit), ledger: Ledger::default() };
        let unaccounted =
            telemetry.metrics.gauge("tollgate_unaccounted_spans", "Accepted items nobody answers for; 0 unless something is wrong", &[]);
        let memory = telemetry.metrics.gauge("tollgate_memory_bytes", "Bytes that traffic occupies, by the account admission keeps", &[]);
        let limit = telemetry.metrics.gauge("tollgate_memory_limit_bytes", "The most bytes that traffic may occupy", &[]);
        let (ledger, budget) = (telemetry.ledger.clone(), telemetry.budget.clone());
        telemetry.metrics.before_render(move || {
            unaccounted.set(ledger.unaccounted() as f64);
            memory.set(budget.used() as f64);
            limit.set(budget.limit() as f64);
        });
        telemetry
    }
}
