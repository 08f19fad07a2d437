//! What a call cost: from usage to US dollars, or the reason why not.
//!
//! Three promises shape everything here. Each token is charged once, at the most particular rate it has. The price is the
//! one in force when the call started, so a replay gives the same answer next year. And a price is never guessed: no price
//! means a reason, and a price that rests on an assumption carries a flag that names it.
//!
//! [`names`] and [`directory`] find the entry, [`rates`] the rate, [`cost`] does the sum; [`load`] reads the tables.

mod compile;
pub mod config;
pub mod cost;
pub mod directory;
pub mod error;
pub mod explain;
pub mod flags;
mod foreign;
pub mod format;
mod held;
pub mod load;
pub mod names;
pub mod rates;
pub mod table;
pub mod usage;
pub mod when;

pub use config::PricesConfig;
pub use error::PriceError;
pub use flags::Flags;
pub use table::PriceTable;
pub use usage::{Class, Context, ContextKey, Fee, Unit, Usage};

use crate::units::Usd;
use cost::{Line, NoSum, Scale};
use rates::Standing;
use std::sync::Arc;
use table::{Found, Lent, Meaning, present};

/// One model call, as far as its price is concerned.
#[derive(Clone, Copy, Debug, Default)]
pub struct Call<'a> {
    /// Who the span says answered; any alias will do.
    pub provider: Option<&'a str>,
    /// The model that answered.
    pub model: Option<&'a str>,
    /// The model that was asked.
    pub request_model: Option<&'a str>,
    /// The host that was called; it beats `provider` if a table lists it.
    pub host: Option<&'a str>,
    /// Whether the call is a rerank, which may be priced without any count.
    pub rerank: bool,
    /// When it started, in nanoseconds since 1970.
    pub start_time: u64,
    /// What it used.
    pub usage: Usage,
    /// What else changes the price.
    pub context: Context<'a>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has a price.
    Priced(Priced),
    /// It has none, and no cost attribute of any kind may be written.
    Unpriced(SkipReason),
}

/// The cost of one call. The parts add up to the total exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Priced {
    /// All of it.
    pub total: Usd,
    /// The prompt but for its cached parts.
    pub input: Usd,
    /// Everything generated.
    pub output: Usd,
    /// Read from a cache.
    pub cache_read: Usd,
    /// Written to a cache.
    pub cache_write: Usd,
    /// Things with a fee.
    pub fees: Usd,
    /// Layer, provider, entry and first day of the price.
    pub price_id: Arc<str>,
    /// Who bills, by canonical id.
    pub provider: Arc<str>,
    /// The id of the entry that the name means.
    pub model: Arc<str>,
    /// What the price rests on.
    pub flags: Flags,
}

/// Why a call has no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// No count at all.
    NoUsage,
    /// Only a total.
    TokensNotSplit,
    /// A count that is negative or does not fit.
    BadUsage,
    /// Neither response nor request model.
    NoModel,
    /// No provider and none to infer.
    NoProvider,
    /// A provider the table does not have.
    UnknownProvider,
    /// A provider it has, a model it has not.
    UnknownModel,
    /// The model is known, but was not sold at that time.
    NoPriceAtTime,
    /// A class with tokens, without a rate or a parent with one.
    UnpricedModality,
}

impl SkipReason {
    /// The value of `tollgate.cost.skip_reason`.
    pub const fn name(self) -> &'static str {
        match self {
            SkipReason::NoUsage => "no_usage",
            SkipReason::TokensNotSplit => "tokens_not_split",
            SkipReason::BadUsage => "bad_usage",
            SkipReason::NoModel => "no_model",
            SkipReason::NoProvider => "no_provider",
            SkipReason::UnknownProvider => "unknown_provider",
            SkipReason::UnknownModel => "unknown_model",
            SkipReason::NoPriceAtTime => "no_price_at_time",
            SkipReason::UnpricedModality => "unpriced_modality",
        }
    }
}

impl SkipReason {
    /// The line of config that would price such a call, if one can. `provider` and `model` are as the span has them.
    pub fn remedy(self, provider: &str, model: &str) -> Option<String> {
        let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let (provider, model) = (quoted(provider), quoted(model));
        match self {
            SkipReason::UnknownModel => {
                let price = "prices: [{rates: {input: …, output: …}}]";
                Some(format!("prices.providers: {{{provider}: {{models: [{{id: {model}, {price}}}]}}}}"))
            }
            SkipReason::UnknownProvider => Some(format!("prices.providers: {{{provider}: {{like: […]}}}}")),
            _ => None,
        }
    }
}

impl PriceTable {
    /// What a call cost. No I/O, no clock, and for a name seen before no allocation.
    pub fn price(&self, call: &Call<'_>) -> Outcome {
        match self.price_with(call, &mut Silent) {
            Ok(priced) => Outcome::Priced(priced),
            Err(reason) => Outcome::Unpriced(reason),
        }
    }

    /// The canonical id of the provider that bills such a call, for metrics of calls without a price.
    pub fn provider_of(&self, call: &Call<'_>) -> Option<Arc<str>> {
        let model = present(call.model).or(present(call.request_model)).unwrap_or_default();
        let provider = self.meaning(call, model).provider.ok()?;
        self.providers.get(provider).map(|provider| Arc::clone(&provider.id))
    }

    fn price_with(&self, call: &Call<'_>, audit: &mut impl Audit) -> Result<Priced, SkipReason> {
        // A rerank may be one search without any count; everything else needs one.
        let uncounted = match call.usage {
            usage if usage.has_tokens() => None,
            usage if usage.has_total() => Some(SkipReason::TokensNotSplit),
            usage if usage.has_things() => None,
            _ => Some(SkipReason::NoUsage),
        };
        if let Some(reason) = uncounted.filter(|_| !call.rerank) {
            return Err(reason);
        }
        let (first, second) = match (present(call.model), present(call.request_model)) {
            (Some(model), asked) => (model, asked.filter(|asked| *asked != model)),
            (None, Some(asked)) => (asked, None),
            (None, None) => return Err(uncounted.unwrap_or(SkipReason::NoModel)),
        };
        let priced = match self.price_as(call, &self.meaning(call, first), uncounted, Flags::default(), audit) {
            Err(reason @ (SkipReason::UnknownModel | SkipReason::NoProvider)) => second
                .and_then(|name| self.price_as(call, &self.meaning(call, name), uncounted, Flags::REQUEST_MODEL, audit).ok())
                .ok_or(reason),
            other => other,
        };
        priced
            .or_else(|reason| {
                let meaning = self.fallback_for(reason).filter(|_| uncounted.is_none()).ok_or(reason)?;
                self.price_as(call, &meaning, None, Flags::FALLBACK, audit).map_err(|_| reason)
            })
            .map_err(|reason| uncounted.unwrap_or(reason))
    }

    fn price_as(
        &self,
        call: &Call<'_>,
        meaning: &Meaning,
        uncounted: Option<SkipReason>,
        assumed: Flags,
        audit: &mut impl Audit,
    ) -> Result<Priced, SkipReason> {
        let found = self.in_force(meaning, call.start_time)?;
        let mut flags = if assumed.has(Flags::FALLBACK) { Flags::default() } else { meaning.flags() };
        flags.set(assumed);
        if found.candidate.lent == Lent::Like {
            flags.set(Flags::LIKE);
        }
        let mut context = call.context;
        if context.get(ContextKey::Region).is_none() {
            context.set(ContextKey::Region, meaning.region.as_deref());
        }
        let standing = Standing::new(found.price, self.variants(found), call.start_time, &context);
        let mut usage = call.usage;
        if call.rerank && standing.fee(Fee::Rerank).is_some() {
            if usage.things(Fee::Rerank).is_none() {
                usage.set_things(Fee::Rerank, 1);
                flags.set(Flags::ONE_SEARCH_ASSUMED);
            }
        } else if let Some(reason) = uncounted {
            return Err(reason);
        }

        audit.found(self, meaning, found, &context);
        let mut scale = Scale::ONE;
        let mut answered = [false; UNKNOWN.len()];
        for multiplier in self.multipliers(found).filter(|m| m.applies(&context)) {
            scale = scale.and(multiplier.factor).ok_or(SkipReason::BadUsage)?;
            audit.multiplier(multiplier);
            for (answered, (key, _)) in answered.iter_mut().zip(UNKNOWN) {
                *answered |= multiplier.when.name(key);
            }
        }
        for (answered, (key, flag)) in answered.into_iter().zip(UNKNOWN) {
            if !answered && context.get(key).is_some() && !standing.answers_to(key) {
                flags.set(flag);
            }
        }
        let parts = cost::bill(standing, &usage, scale, &mut flags, |line| audit.line(line));
        let parts = parts.map_err(|e| match e {
            NoSum::Overflow => SkipReason::BadUsage,
            NoSum::Unpriced => SkipReason::UnpricedModality,
        })?;
        let provider = self.providers.get(found.caller).map(|p| Arc::clone(&p.id)).ok_or(SkipReason::UnknownProvider)?;
        Ok(Priced {
            total: parts.total(),
            input: parts.input,
            output: parts.output,
            cache_read: parts.cache_read,
            cache_write: parts.cache_write,
            fees: parts.fees,
            price_id: Arc::clone(&found.price.price_id),
            provider,
            model: Arc::clone(&found.entry.id),
            flags,
        })
    }
}

/// Context that is priced as standard, and flagged, where no variant or multiplier answers to it.
const UNKNOWN: [(ContextKey, Flags); 3] = [
    (ContextKey::ServiceTier, Flags::UNKNOWN_SERVICE_TIER),
    (ContextKey::Processing, Flags::UNKNOWN_PROCESSING),
    (ContextKey::Speed, Flags::UNKNOWN_SPEED),
];

/// Somebody who wants to know how the sum came about.
trait Audit {
    fn found(&mut self, table: &PriceTable, meaning: &Meaning, found: Found<'_>, context: &Context<'_>);
    fn multiplier(&mut self, multiplier: &rates::Multiplier);
    fn line(&mut self, line: Line);
}

/// Nobody.
struct Silent;

impl Audit for Silent {
    fn found(&mut self, _: &PriceTable, _: &Meaning, _: Found<'_>, _: &Context<'_>) {}
    fn multiplier(&mut self, _: &rates::Multiplier) {}
    fn line(&mut self, _: Line) {}
}

#[cfg(test)]
mod tests;
