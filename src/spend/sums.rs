//! Amounts by minute and series, bounded.
//!
//! Senders choose the names that are told apart, so there must be an end to them. Past the limit a call loses first its keys and
//! only then its model to `_other`; no amount is ever left out of the sums.

use crate::enrich::OTHER;
use crate::units::Usd;
use ahash::RandomState;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

/// Names of the counts, in the order of [`Amounts::counts`]; they are columns of the file too. The four kinds of tokens are disjoint,
/// but for reasoning, which is a part of the output.
pub(super) const COUNTS: [&str; 8] = [
    "calls",
    "failed_calls",
    "unpriced_calls",
    "input_uncached_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
];

/// Service, provider and model: what every series has.
pub(super) const BASE: [&str; 3] = ["service", "provider", "model"];

/// So many combinations of service, provider and model have a place beside a full map.
pub(super) const MODELS: usize = 1000;

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;

/// Seeded, because senders choose what is hashed; two of them, because two names must never be taken for one.
static SEEDS: LazyLock<[RandomState; 2]> = LazyLock::new(|| [RandomState::new(), RandomState::new()]);

/// A number for anything, within this process.
pub(super) fn number(of: impl Hash) -> u128 {
    u128::from(SEEDS[0].hash_one(&of)) << 64 | u128::from(SEEDS[1].hash_one(&of))
}

/// What is added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// In the order of `COUNTS`.
    pub(super) counts: [u64; COUNTS.len()],
    /// US dollars.
    pub usd: Usd,
}

impl Amounts {
    /// Adds, and stays at the largest number rather than going past it.
    pub(super) fn add(&mut self, more: &Amounts) {
        for (sum, more) in self.counts.iter_mut().zip(more.counts) {
            *sum = sum.saturating_add(more);
        }
        self.usd += more.usd;
    }

    /// The counts by name.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        COUNTS.into_iter().zip(self.counts)
    }

    /// Calls.
    pub fn calls(&self) -> u64 {
        self.counts[0]
    }

    /// Input tokens, those read from and written to a cache included.
    pub fn input_tokens(&self) -> u64 {
        self.counts[3].saturating_add(self.counts[4]).saturating_add(self.counts[5])
    }
}

/// One combination of names, fit to be shown: service, provider, model and the keys of the config. An empty name is one that is absent.
#[derive(Debug)]
pub(super) struct Series {
    id: u128,
    labels: Box<[Box<str>]>,
}

impl Series {
    /// Of names that have passed the redactor.
    pub(super) fn new(labels: Vec<Box<str>>) -> Series {
        Series { id: number(&labels), labels: labels.into() }
    }

    pub(super) fn labels(&self) -> &[Box<str>] {
        &self.labels
    }

    pub(super) fn label(&self, at: usize) -> &str {
        self.labels.get(at).map_or("", |label| label)
    }

    /// The same call under `_other`, but for its service, provider and model.
    pub(super) fn without_keys(&self) -> Series {
        let base = self.labels.iter().take(BASE.len()).cloned();
        let keys = self.labels.iter().skip(BASE.len()).map(|_| OTHER.into());
        Series::new(base.chain(keys).collect())
    }

    /// All `_other`.
    pub(super) fn nameless(&self) -> Series {
        Series::new(self.labels.iter().map(|_| OTHER.into()).collect())
    }
}

impl PartialEq for Series {
    fn eq(&self, other: &Series) -> bool {
        self.id == other.id
    }
}

impl Eq for Series {}

impl Hash for Series {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.id as u64);
    }
}

/// What a call is counted under, where `has_place` says whether there is a place for a series, and for one without its keys.
pub(super) fn admit(series: &Arc<Series>, mut has_place: impl FnMut(&Arc<Series>, bool) -> bool) -> Arc<Series> {
    if has_place(series, false) {
        return Arc::clone(series);
    }
    let folded = Arc::new(series.without_keys());
    if has_place(&folded, true) { folded } else { Arc::new(series.nameless()) }
}

/// Amounts by the start of their minute (Unix seconds) and series.
#[derive(Debug, Default)]
pub(super) struct Sums {
    entries: HashMap<(u64, Arc<Series>), Amounts, RandomState>,
    limit: usize,
    /// Calls that went under `_other` for want of room.
    pub(super) folded: u64,
}

impl Sums {
    /// With a place for so many; beside them, some are for what is folded.
    pub(super) fn new(limit: usize) -> Sums {
        Sums { limit, ..Sums::default() }
    }

    pub(super) fn add(&mut self, minute: u64, series: &Arc<Series>, amounts: &Amounts) {
        if let Some(sum) = self.entries.get_mut(&(minute, Arc::clone(series))) {
            return sum.add(amounts);
        }
        let (entries, limit) = (&self.entries, self.limit);
        // Minutes go on for ever where nothing can be written: past every limit only hours are told apart.
        let minute = if entries.len() < limit + MODELS { minute } else { minute - minute % HOUR };
        let admitted = admit(series, |series, folded| {
            entries.len() < limit + if folded { MODELS } else { 0 } || entries.contains_key(&(minute, Arc::clone(series)))
        });
        if admitted != *series {
            self.folded = self.folded.saturating_add(amounts.calls());
        }
        self.entries.entry((minute, admitted)).or_default().add(amounts);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Arc<Series>, &Amounts)> {
        self.entries.iter().map(|((minute, series), amounts)| (*minute, series, amounts))
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Gives everything away.
    pub(super) fn take(&mut self) -> Sums {
        std::mem::replace(self, Sums::new(self.limit))
    }
}

/// The start of a minute, in Unix seconds.
pub(super) fn minute_of(seconds: u64) -> u64 {
    seconds - seconds % MINUTE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(model: &str, user: &str) -> Arc<Series> {
        Arc::new(Series::new(vec!["shop".into(), "openai".into(), model.into(), user.into()]))
    }

    fn one(usd: i128) -> Amounts {
        Amounts { counts: [1, 0, 0, 10, 0, 0, 5, 0], usd: Usd::from_pico(usd) }
    }

    fn total(sums: &Sums) -> Amounts {
        sums.iter().fold(Amounts::default(), |mut total, (_, _, amounts)| {
            total.add(amounts);
            total
        })
    }

    #[test]
    fn past_the_limit_a_call_loses_its_keys_and_keeps_its_model() {
        let mut sums = Sums::new(3);
        for user in 0..10 {
            sums.add(60, &series("gpt-4o", &user.to_string()), &one(7));
        }
        let other = sums.iter().find(|(_, series, _)| series.label(3) == OTHER).expect("what did not fit");
        assert_eq!((other.1.label(2), other.2.calls()), ("gpt-4o", 7));
        assert_eq!((sums.len(), sums.folded), (4, 7));
        assert_eq!((total(&sums).calls(), total(&sums).usd), (10, Usd::from_pico(70)));
    }

    #[test]
    fn the_number_of_entries_has_an_end_and_the_sums_have_not() {
        let mut sums = Sums::new(10);
        for n in 0..20_000u64 {
            sums.add(n * 60, &series(&n.to_string(), &n.to_string()), &one(1));
        }
        assert!(sums.len() <= 10 + MODELS + 20_000 / 60 + 1, "{}", sums.len());
        assert_eq!((total(&sums).calls(), total(&sums).usd), (20_000, Usd::from_pico(20_000)));
    }

    #[test]
    fn numbers_stay_at_the_end_of_what_fits() {
        let mut sum = Amounts { counts: [u64::MAX; COUNTS.len()], usd: Usd::from_pico(i128::MAX) };
        sum.add(&one(1));
        assert_eq!((sum.calls(), sum.input_tokens(), sum.usd), (u64::MAX, u64::MAX, Usd::from_pico(i128::MAX)));
    }
}
