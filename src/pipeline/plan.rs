//! What the processors are to do, compiled once and shared by every shard.
//!
//! A plan is built whole or not at all: a reload with one bad pattern leaves the running plan as it is.

use crate::config::Processors;
use crate::enrich::price::{PriceTable, PricesConfig};
use crate::enrich::{EnrichConfig, LabelFilter};
use crate::redact::{self, Findings, Kind, Position, Redactor};
use crate::sample::Policies;
use arc_swap::ArcSwapOption;
use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// Compiled processors.
#[derive(Clone, Debug)]
pub struct Plan {
    /// `processors.enrich`.
    pub enrich: EnrichConfig,
    /// Prices, bundled and the user's.
    pub prices: Arc<PriceTable>,
    /// Redaction rules; `None` where redaction is off.
    pub redactor: Option<Arc<Redactor>>,
    /// Whether spans are redacted before they are held.
    pub redact_early: bool,
    /// Sampling policies; `None` where sampling is off.
    pub policies: Option<Arc<Policies>>,
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
        let prices = match PriceTable::load(&dated(&processors.enrich.prices, base), &read) {
            Ok(table) => Arc::new(table),
            Err(problems) => {
                problems.iter().for_each(|p| fail("processors.enrich.prices".into(), p.to_string()));
                PriceTable::bundled()
            }
        };
        warnings.extend(prices.warnings().iter().map(|w| format!("processors.enrich.prices: {w}")));
        let mut redaction = processors.redaction.clone();
        for (at, dictionary) in redaction.dictionaries.iter_mut().enumerate() {
            let Some(path) = dictionary.file.take() else { continue };
            match read(&path) {
                Ok(text) => dictionary.entries.extend(redact::entries_of(&text).map(str::to_owned)),
                Err(error) => {
                    let key = format!("processors.redaction.dictionaries[{at}].file");
                    fail(key, format!("{path:?} cannot be read: {}; give the path of a list of names, one a line", error.kind()));
                }
            }
        }
        let redactor = match Redactor::new(&redaction) {
            Ok(redactor) => processors.redaction.enabled.then(|| Arc::new(redactor)),
            Err(problems) => {
                for problem in problems {
                    let text = problem.to_string();
                    let (path, message) = text.split_once(": ").unwrap_or(("processors.redaction", &text));
                    fail(path.to_owned(), message.to_owned());
                }
                None
            }
        };
        let policies = match Policies::compile(&processors.tail_sampling) {
            Ok(policies) => processors.tail_sampling.enabled.then(|| Arc::new(policies)),
            Err(problems) => {
                problems.into_iter().for_each(|p| fail(p.path, p.message));
                None
            }
        };
        let redact_early = redactor.is_some() && processors.redaction.position == Position::BeforeSampling;
        let asked = policies.iter().flat_map(|policies| policies.redaction_types());
        for types in asked {
            let path = "processors.tail_sampling.policies";
            if !redact_early {
                let message = "redaction_hits asks what was redacted, which is known in time only with redaction.position: before_sampling";
                errors.push(PlanError { path: path.into(), message: message.into() });
            }
            for name in types {
                let custom = processors.redaction.custom.iter().any(|custom| custom.name == *name);
                if !custom && !Kind::BUILT_IN.iter().any(|kind| kind.name() == name) {
                    errors.push(PlanError {
                        path: path.into(),
                        message: format!("redaction_hits names \"{name}\", which is no type of finding"),
                    });
                }
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        warnings.extend(policies.iter().flat_map(|policies| policies.notes()).map(|note| format!("processors.tail_sampling: {note}")));
        Ok(Plan { enrich: processors.enrich.clone(), prices, redact_early, redactor, policies, warnings })
    }
}

/// Price files with the time they were last changed: a list of somebody else's prices speaks for the time since then.
fn dated(prices: &PricesConfig, base: &Path) -> PricesConfig {
    let mut prices = prices.clone();
    for file in &mut prices.files {
        let changed = std::fs::metadata(base.join(&file.path)).and_then(|m| m.modified()).ok();
        let since = changed.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        file.modified = since.and_then(|since| u64::try_from(since.as_nanos()).ok());
    }
    prices
}

/// The rules in force, for what is derived from content and leaves by another door: metric labels.
#[derive(Clone, Debug, Default)]
pub struct LabelRules(Arc<ArcSwapOption<Redactor>>);

impl LabelRules {
    /// Rules that can be replaced later.
    pub fn new(redactor: Option<Arc<Redactor>>) -> LabelRules {
        LabelRules(Arc::new(ArcSwapOption::new(redactor)))
    }

    /// Goes on with other rules.
    pub fn replace(&self, redactor: Option<Arc<Redactor>>) {
        self.0.store(redactor);
    }

    /// A filter that follows them.
    pub fn filter(&self) -> LabelFilter {
        let rules = Arc::clone(&self.0);
        Arc::new(move |label| {
            let redacted = rules.load().as_ref().and_then(|redactor| redactor.text(label, None, &mut Findings::new()));
            redacted.map_or(Cow::Borrowed(label), Cow::Owned)
        })
    }
}
