//! What the processors are to do, compiled once and shared by every shard.
//!
//! A plan is built whole or not at all: a reload with one bad pattern leaves the running plan as it is.

use crate::config::Processors;
use crate::enrich::{self, Enrich, PriceTable, Shared};
use crate::redact::{Position, Redactor};
use crate::sample::Policies;
use crate::telemetry::Telemetry;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Compiled processors.
#[derive(Clone, Debug)]
pub struct Plan {
    /// `processors.enrich`.
    pub enrich_config: enrich::Config,
    /// Prices, bundled and the user's.
    pub prices: Arc<PriceTable>,
    /// Redaction rules; `None` where redaction is off.
    pub redactor: Option<Arc<Redactor>>,
    /// Whether spans are redacted before they are held.
    pub redact_early: bool,
    /// Sampling policies; `None` where sampling is off.
    pub policies: Option<Policies>,
    /// What the shards share: the ids of responses seen.
    pub shared: Arc<Shared>,
    /// Things a person should know about the config, although it loads.
    pub warnings: Vec<String>,
}

/// One thing that is wrong with the processors, by the path of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanError {
    /// `processors.redaction.custom[0].pattern`.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl Plan {
    /// Compiles the processors. Files they name are read relative to `base`.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn compile(processors: &Processors, base: &Path) -> Result<Plan, Vec<PlanError>> {
        let mut errors = Vec::new();
        let mut fail = |path: String, message: String| errors.push(PlanError { path, message });

        let mut warnings = Vec::new();
        let read = |path: &Path| std::fs::read_to_string(base.join(path));
        let prices = match PriceTable::load(&processors.enrich.prices, &read) {
            Ok(table) => Arc::new(table),
            Err(problems) => {
                problems.iter().for_each(|p| fail("processors.enrich.prices".into(), p.to_string()));
                PriceTable::bundled()
            }
        };
        warnings.extend(prices.warnings().iter().map(|w| format!("processors.enrich.prices: {w}")));
        if let Err(problems) = processors.enrich.check() {
            problems.into_iter().for_each(|(path, message)| fail(path, message));
        }
        let redactor = match Redactor::new(&processors.redaction) {
            Ok(redactor) => processors.redaction.enabled.then(|| Arc::new(redactor)),
            Err(problems) => {
                problems.into_iter().for_each(|p| fail(p.path().to_owned(), p.to_string()));
                None
            }
        };
        let policies = match Policies::compile(&processors.tail_sampling) {
            Ok(policies) => processors.tail_sampling.enabled.then_some(policies),
            Err(problems) => {
                problems.into_iter().for_each(|p| fail(p.path, p.message));
                None
            }
        };
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Plan {
            enrich_config: processors.enrich.clone(),
            prices,
            redact_early: redactor.is_some() && processors.redaction.position == Position::BeforeSampling,
            redactor,
            policies,
            shared: Arc::new(Shared::default()),
            warnings,
        })
    }

    /// The enrichment stage of one shard.
    pub fn enrich(&self, telemetry: &Telemetry) -> Enrich {
        Enrich::new(&self.enrich_config, Arc::clone(&self.prices), Arc::clone(&self.shared), telemetry, self.redactor.clone())
    }
}
