//! What one shard adds up: a map of its own, which the book empties once a second.

use crate::enrich::{LabelFilter, LlmFacts, Observer, Role, SpanFacts, label, names};
use crate::spend::book::Shared;
use crate::spend::sums::{Amounts, Series, Sums, minute_of, number};
use ahash::RandomState;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Combinations of names one shard remembers, so that each passes the redactor once. Past it, all are forgotten.
const MAX_KNOWN: usize = 16_384;

/// Most keys of a book, see `service.spend.keys`.
const MAX_KEYS: usize = 8;

/// The tally of one shard: hears of every span on arrival.
pub struct Tally {
    shared: Arc<Shared>,
    filter: LabelFilter,
    sums: Arc<Mutex<Sums>>,
    known: HashMap<u128, Known, RandomState>,
    minute: u64,
    must_stay: bool,
}

/// A combination of names as a sender writes it.
struct Known {
    series: Arc<Series>,
    /// The budgets it belongs to, a bit each.
    budgets: u64,
}

impl std::fmt::Debug for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tally").field("known", &self.known.len()).finish_non_exhaustive()
    }
}

impl Tally {
    pub(super) fn new(shared: Arc<Shared>, filter: LabelFilter, sums: Arc<Mutex<Sums>>) -> Tally {
        Tally { shared, filter, sums, known: HashMap::default(), minute: 0, must_stay: false }
    }

    /// What comes now has arrived at this moment.
    pub fn begin(&mut self, now: SystemTime) {
        self.minute = minute_of(now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()));
    }

    /// Other redaction rules hold: names pass them anew.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// The series of a call, and its budgets.
    fn known(&mut self, llm: &LlmFacts<'_>) -> &Known {
        let keys = &self.shared.keys;
        let mut values: [Option<Cow<'_, str>>; MAX_KEYS] = Default::default();
        for (value, (_, key)) in values.iter_mut().zip(keys) {
            *value = key.value(llm);
        }
        let (provider, model) = names(llm);
        let id = number((llm.service, provider, model, &values));
        if self.known.len() >= MAX_KNOWN && !self.known.contains_key(&id) {
            self.known.clear();
        }
        let (filter, rules) = (&self.filter, &self.shared.rules);
        self.known.entry(id).or_insert_with(|| {
            let values = values.iter().take(keys.len()).map(|value| value.as_deref().unwrap_or_default());
            let labels = [llm.service, provider, model].into_iter().chain(values).map(|name| label(filter, name).into());
            let series = Arc::new(Series::new(labels.collect()));
            Known { budgets: rules.of(&series), series }
        })
    }
}

impl Observer for Tally {
    fn span(&mut self, facts: &SpanFacts, llm: Option<&LlmFacts<'_>>) {
        self.must_stay = false;
        // A span that comes again, and one that repeats another, was counted when it came first.
        let Some(llm) = llm.filter(|llm| llm.counted) else { return };
        let usage = llm.usage.filter(|_| llm.role == Some(Role::Owner)).unwrap_or_default();
        let amounts = Amounts {
            counts: [
                1,
                facts.error.is_some().into(),
                facts.unpriced.into(),
                usage.input_uncached,
                usage.cache_read,
                usage.cache_write(),
                usage.output,
                usage.reasoning.unwrap_or(0),
            ],
            usd: facts.cost,
        };
        let minute = self.minute;
        let known = self.known(llm);
        let (series, budgets) = (Arc::clone(&known.series), known.budgets);
        self.must_stay = self.shared.rules.keep(budgets);
        self.sums.lock().unwrap_or_else(PoisonError::into_inner).add(minute, &series, &amounts);
    }

    fn must_stay(&mut self) -> bool {
        std::mem::take(&mut self.must_stay)
    }
}
