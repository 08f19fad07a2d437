//! The table as it is asked: providers, entries, and who stands behind a name at a given moment.
//!
//! Names repeat by the million and there are few of them, so what a name means is worked out once and kept. Which price
//! holds depends on the moment of the call and is looked up each time.

use crate::enrich::price::directory::Directory;
use crate::enrich::price::error::PriceError;
use crate::enrich::price::names::{self, How, MAX_NAME, Names};
use crate::enrich::price::rates::{Multiplier, Price, Variant};
use crate::enrich::price::{Call, Flags, SkipReason};
use crate::enrich::provider;
use ahash::RandomState;
use dashmap::DashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Every price there is, in layers.
///
/// Built once per config by [`PriceTable::load`](super::PriceTable::load) and shared by all who price.
#[derive(Debug, Default)]
pub struct PriceTable {
    pub(super) layers: Vec<Layer>,
    pub(super) providers: Vec<Provider>,
    pub(super) entries: Vec<Entry>,
    pub(super) directory: Directory,
    pub(super) fallback: Option<Fallback>,
    pub(super) warnings: Vec<PriceError>,
    pub(super) known: Known,
}

/// One table, of those that lie over each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// As in `price_id`: `bundled-2026-11-20`, `my-prices`, `config`.
    pub name: Arc<str>,
    /// The day it speaks for, in nanoseconds since 1970.
    pub as_of: Option<u64>,
    /// For a list made by others: calls before this are priced by the layers below, if those have a price.
    pub since: Option<u64>,
    /// How many entries of such a list were held back because their price jumped.
    pub held: u64,
    /// The file it came from, for messages; the config has none.
    pub(super) file: Option<String>,
}

/// One provider, over all layers.
#[derive(Debug)]
pub(super) struct Provider {
    pub(super) id: Arc<str>,
    pub(super) strip: Vec<String>,
    pub(super) same_as: Vec<usize>,
    pub(super) like: Vec<usize>,
    pub(super) multipliers: Vec<Multiplier>,
    /// One per layer that has models of this provider, from low to high.
    pub(super) books: Vec<(usize, Names)>,
}

/// One model of one provider in one layer.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) provider: usize,
    pub(super) layer: usize,
    pub(super) id: Arc<str>,
    pub(super) prices: Vec<Price>,
    pub(super) variants: Vec<Variant>,
    pub(super) multipliers: Vec<Multiplier>,
    /// The entries whose prices it has instead, the highest layer first.
    pub(super) same_as: Vec<usize>,
}

/// The model that unknown ones are priced as.
#[derive(Debug)]
pub(super) struct Fallback {
    pub(super) provider: Arc<str>,
    pub(super) model: String,
}

/// How the price came to the provider that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lent {
    Own,
    SameAs,
    Like,
}

/// An entry that a name may mean.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) entry: usize,
    pub(super) lent: Lent,
    pub(super) how: How,
    pub(super) spelling: Arc<str>,
}

/// What a provider, host and model name mean together, whatever the moment.
#[derive(Debug)]
pub(super) struct Meaning {
    asked: (Option<Box<str>>, Option<Box<str>>, Box<str>),
    pub(super) provider: Result<usize, SkipReason>,
    /// How the provider was told.
    pub(super) told_by: ToldBy,
    pub(super) region: Option<String>,
    pub(super) candidates: Vec<Candidate>,
}

/// What told the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ToldBy {
    Host,
    Span,
    Model,
}

/// The entry and price for one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'t> {
    pub(super) caller: usize,
    /// The entry the name means.
    pub(super) entry: &'t Entry,
    /// The entry whose price it is: the same, or the one it is `same_as`.
    pub(super) source: &'t Entry,
    pub(super) price: &'t Price,
    pub(super) candidate: &'t Candidate,
}

impl PriceTable {
    /// What could be wrong with the tables, though they load.
    pub fn warnings(&self) -> &[PriceError] {
        &self.warnings
    }

    /// The layers, from low to high.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// How many entries there are over all layers.
    pub fn models(&self) -> usize {
        self.entries.len()
    }

    /// What the names of this call mean, from memory or worked out.
    pub(super) fn meaning(&self, call: &Call<'_>, model: &str) -> Arc<Meaning> {
        let asked = (present(call.provider), present(call.host), model);
        self.known.get_or(asked, || self.work_out(asked.0, asked.1, asked.2))
    }

    /// Whether a listed host was called, which tells who bills whatever the span says.
    pub fn knows_host(&self, host: Option<&str>) -> bool {
        present(host).is_some_and(|host| self.directory.at_host(host).is_some())
    }

    /// The provider that a span names: as the tables spell it, else as instrumentations do.
    fn named(&self, name: &str) -> Option<usize> {
        self.directory.on_span(name).or_else(|| self.directory.on_span(provider::known(name)?))
    }

    fn work_out(&self, provider: Option<&str>, host: Option<&str>, model: &str) -> Meaning {
        let host_says = host.and_then(|host| self.directory.at_host(host));
        let (told_by, provider_found, region) = match (host_says, provider) {
            (Some((provider, region)), _) => (ToldBy::Host, Ok(provider), region),
            (None, Some(name)) => (ToldBy::Span, self.named(name).ok_or(SkipReason::UnknownProvider), None),
            (None, None) => (ToldBy::Model, self.directory.inferred(model).ok_or(SkipReason::NoProvider), None),
        };
        let candidates = match provider_found {
            Ok(provider) if model.len() <= MAX_NAME => self.candidates(provider, model),
            _ => Vec::new(),
        };
        let asked = (provider.map(Box::from), host.map(Box::from), Box::from(model));
        Meaning { asked, provider: provider_found, told_by, region, candidates }
    }

    /// Every entry the name may mean to this provider, in the order in which they are asked for a price.
    fn candidates(&self, provider: usize, model: &str) -> Vec<Candidate> {
        let spellings: Vec<Arc<str>> =
            names::spellings(model, |segment| self.directory.named(segment).is_some()).into_iter().map(Arc::from).collect();
        let mut found = Vec::new();
        let Some(asking) = self.providers.get(provider) else { return found };
        self.search(provider, Lent::Own, &spellings, &mut found);
        for lender in &asking.same_as {
            self.search(*lender, Lent::SameAs, &spellings, &mut found);
        }
        for lender in &asking.like {
            self.search(*lender, Lent::Like, &spellings, &mut found);
        }
        found
    }

    fn search(&self, provider: usize, lent: Lent, spellings: &[Arc<str>], found: &mut Vec<Candidate>) {
        let Some(provider) = self.providers.get(provider) else { return };
        for (_, book) in provider.books.iter().rev() {
            let mut matching = |spelling: &Arc<str>, name: &str| {
                book.matching(name, |entry, how| {
                    if found.iter().all(|known| known.entry != entry) {
                        found.push(Candidate { entry, lent, how, spelling: Arc::clone(spelling) });
                    }
                });
            };
            for spelling in spellings {
                matching(spelling, spelling);
            }
            // Only after the full name failed: some regional profiles have prices of their own.
            for spelling in spellings {
                for prefix in &provider.strip {
                    if let Some(bare) = spelling.strip_prefix(prefix.as_str()) {
                        matching(&Arc::from(bare), bare);
                    }
                }
            }
        }
    }

    /// The first candidate with a price in force. One without does not end the search.
    pub(super) fn in_force<'t>(&'t self, meaning: &'t Meaning, start_time: u64) -> Result<Found<'t>, SkipReason> {
        let caller = meaning.provider?;
        if meaning.candidates.is_empty() {
            return Err(SkipReason::UnknownModel);
        }
        // A list made by others knows today's price; for an earlier call it is asked after everybody else.
        let mut late = None;
        for candidate in &meaning.candidates {
            let Some(entry) = self.entries.get(candidate.entry) else { continue };
            let own = std::iter::once(entry).filter(|e| e.same_as.is_empty());
            for source in own.chain(entry.same_as.iter().filter_map(|at| self.entries.get(*at))) {
                let Some(price) = source.prices.iter().rev().find(|price| price.in_force(start_time)) else { continue };
                let found = Found { caller, entry, source, price, candidate };
                let since = self.layers.get(source.layer).and_then(|layer| layer.since);
                if price.from == 0 && since.is_some_and(|since| start_time < since) {
                    late.get_or_insert(found);
                } else {
                    return Ok(found);
                }
            }
        }
        late.ok_or(SkipReason::NoPriceAtTime)
    }

    /// The multipliers a price may come under, whether or not they apply to the call.
    pub(super) fn multipliers<'t>(&'t self, found: Found<'t>) -> impl Iterator<Item = &'t Multiplier> {
        let Found { caller, entry, source, candidate, .. } = found;
        let of = |provider: usize| self.providers.get(provider).map_or(&[][..], |p| p.multipliers.as_slice());
        let reaches = move |m: &Multiplier| m.layer >= source.layer;
        let names =
            |m: &Multiplier, entry: &Entry| m.models.as_ref().is_some_and(|ids| ids.iter().any(|id| id.eq_ignore_ascii_case(&entry.id)));
        let callers = of(caller).iter().filter(move |m| {
            let named = || names(m, entry) || source.provider == caller && names(m, source);
            reaches(m) && (m.models.is_none() || named())
        });
        // Whose price it is, his surcharges on that very entry; not his discounts on everything.
        let lender = source.provider != caller && candidate.lent != Lent::Like;
        let lenders = of(source.provider).iter().filter(move |m| lender && reaches(m) && names(m, source));
        let alien = candidate.lent == Lent::Like;
        let entrys = entry.multipliers.iter().filter(move |_| !alien);
        let sources = source.multipliers.iter().filter(move |_| !alien && !std::ptr::eq(entry, source));
        callers.chain(lenders).chain(entrys).chain(sources)
    }

    /// The variants that may change the price: none of them is lent to those who resell.
    pub(super) fn variants<'t>(&'t self, found: Found<'t>) -> [&'t [Variant]; 2] {
        match found.candidate.lent {
            Lent::Like => [&[], &[]],
            _ if std::ptr::eq(found.entry, found.source) => [&found.entry.variants, &[]],
            _ => [&found.entry.variants, &found.source.variants],
        }
    }

    /// What `fallback_model` means, for a call that nothing else prices.
    pub(super) fn fallback_for(&self, reason: SkipReason) -> Option<Arc<Meaning>> {
        let fallback = self.fallback.as_ref()?;
        let covered = matches!(reason, SkipReason::UnknownModel | SkipReason::UnknownProvider | SkipReason::NoProvider);
        covered.then(|| {
            let asked = (Some(&*fallback.provider), None, fallback.model.as_str());
            self.known.get_or(asked, || self.work_out(asked.0, asked.1, asked.2))
        })
    }
}

impl Meaning {
    /// The flags that come with it.
    pub(super) fn flags(&self) -> Flags {
        if self.told_by == ToldBy::Model { Flags::PROVIDER_INFERRED } else { Flags::default() }
    }
}

/// The text, if there is any.
pub(super) fn present(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// Meanings already worked out.
#[derive(Debug, Default)]
pub(super) struct Known {
    meanings: DashMap<u64, Arc<Meaning>, RandomState>,
    hasher: RandomState,
    kept: AtomicUsize,
}

/// What a span may ask: provider, host, model.
type Asked<'a> = (Option<&'a str>, Option<&'a str>, &'a str);

impl Known {
    /// Real traffic has tens of names. Somebody who sends random ones makes us forget, and no more than that.
    const CAPACITY: usize = 4096;
    /// Longer names are worked out each time.
    const LONGEST: usize = 512;

    fn get_or(&self, asked: Asked<'_>, work_out: impl FnOnce() -> Meaning) -> Arc<Meaning> {
        let hash = self.hasher.hash_one(asked);
        if let Some(known) = self.meanings.get(&hash) {
            let (provider, host, model) = &known.asked;
            if (provider.as_deref(), host.as_deref(), &**model) == asked {
                return Arc::clone(&known);
            }
        }
        let meaning = Arc::new(work_out());
        if asked.0.map_or(0, str::len) + asked.1.map_or(0, str::len) + asked.2.len() <= Self::LONGEST {
            if self.kept.fetch_add(1, Ordering::Relaxed) >= Self::CAPACITY {
                self.meanings.clear();
                self.kept.store(1, Ordering::Relaxed);
            }
            self.meanings.insert(hash, Arc::clone(&meaning));
        }
        meaning
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.meanings.len()
    }
}
