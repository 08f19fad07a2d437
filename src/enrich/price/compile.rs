//! One model as written, checked and made ready to be asked.
//!
//! Rates are read from their decimal text: whole pico-dollars per token, or an error. A rate with more than six decimals
//! is a rate per thousand, or per token, that was copied to the wrong place.

use crate::enrich::price::error::Problem;
use crate::enrich::price::format::{self, Conditions as Written, Pairs, Text};
use crate::enrich::price::load::Loader;
use crate::enrich::price::rates::{ClassSet, Effect, MAX_VARIANTS, Multiplier, PerClass, Price, RateSet, Ratio, Tier, Variant};
use crate::enrich::price::usage::{Class, ContextKey, Fee, Unit};
use crate::enrich::price::when::{Conditions, Daily, parse_instant};
use crate::units::{NotUsd, Usd};
use std::sync::Arc;

/// Pico-dollars in a rate, per million tokens, of one pico-dollar per token.
const PER_TOKEN: i128 = 1_000_000;

/// Where in which file the loader is.
#[derive(Clone, Copy)]
pub(super) struct Site<'a> {
    pub(super) file: Option<&'a str>,
    pub(super) provider: &'a str,
    pub(super) model: &'a str,
}

impl Site<'_> {
    /// The path of a key there.
    pub(super) fn path(&self, part: &str) -> String {
        let steps = [("providers", self.provider), ("models", self.model)];
        let mut path = String::new();
        for (list, name) in steps.into_iter().filter(|(_, name)| !name.is_empty()) {
            path.push_str(if path.is_empty() { "" } else { "." });
            path.push_str(&format!("{list}.{name}"));
        }
        if !part.is_empty() {
            path.push_str(if path.is_empty() { "" } else { "." });
            path.push_str(part);
        }
        if path.is_empty() { "prices".to_owned() } else { path }
    }
}

/// The prices, variants and multipliers of a model.
pub(super) fn model(
    loader: &mut Loader,
    site: Site<'_>,
    layer: usize,
    layer_name: &str,
    written: &format::Model,
) -> (Vec<Price>, Vec<Variant>, Vec<Multiplier>) {
    loader.unknown(site, "", &written.unknown, format::Model::KEYS);
    if written.prices.is_empty() == written.same_as.is_none() {
        let problem = Problem::Contradiction("a model has either prices or same_as");
        loader.error_at(site, "prices", written.at, problem);
    }
    if written.variants.len() > MAX_VARIANTS {
        loader.error_at(site, "variants", written.at, Problem::Contradiction("a model has at most 64 variants"));
    }
    let mut prices: Vec<Price> = Vec::with_capacity(written.prices.len());
    for written in &written.prices {
        let price = price(loader, site, layer_name, written);
        if prices.last().is_some_and(|last| price.from < last.from) {
            loader.warn(site, "prices.from", written.at, Problem::OutOfOrder);
        }
        prices.push(price);
    }
    let variants = written.variants.iter().map(|written| variant(loader, site, written)).collect();
    let multipliers = written.multipliers.iter().filter_map(|written| multiplier(loader, site, layer, written)).collect();
    (prices, variants, multipliers)
}

fn price(loader: &mut Loader, site: Site<'_>, layer: &str, written: &format::Price) -> Price {
    loader.unknown(site, "prices", &written.unknown, format::Price::KEYS);
    if written.rates.0.is_empty() && written.fees.0.is_empty() && written.units.0.is_empty() {
        loader.error_at(site, "prices", written.at, Problem::Missing("rates"));
    }
    let from = instant(loader, site, "prices.from", written.from.as_ref());
    let day = written.from.as_ref().map_or("start", |from| from.value.trim());
    let day = day.get(..10).unwrap_or(day);
    let daily = written.daily.as_ref().and_then(|written| daily(loader, site, written));
    let rates = rate_set(loader, site, "prices", &written.rates, &written.tiers);
    let (fees, units) = (fees(loader, site, "prices.fees", &written.fees), units(loader, site, "prices.units", &written.units));
    let price_id: Arc<str> = format!("{layer}/{}/{}/{day}", site.provider, site.model).into();
    Price { from, daily, rates, fees, units, price_id }
}

fn variant(loader: &mut Loader, site: Site<'_>, written: &format::Variant) -> Variant {
    loader.unknown(site, "variants", &written.unknown, format::Variant::KEYS);
    if written.when.0.is_empty() {
        loader.error_at(site, "variants", written.at, Problem::Missing("when"));
    }
    let when = conditions(loader, site, "variants.when", &written.when);
    let from = instant(loader, site, "variants.from", written.from.as_ref());
    let factor = written.factor.as_ref().and_then(|text| factor(loader, site, "variants.factor", text));
    let has_rates = !written.rates.0.is_empty() || !written.tiers.is_empty();
    if written.factor.is_some() && has_rates {
        loader.error_at(site, "variants", written.at, Problem::Contradiction("a variant has either a factor or rates"));
    }
    if written.factor.is_none() && !written.keys.is_empty() {
        loader.error_at(site, "variants.keys", written.at, Problem::Missing("factor"));
    }
    let mut keys = Vec::new();
    for key in &written.keys {
        match Class::named(&key.value) {
            Some(class) => keys.push(class),
            None => unknown_name(loader, site, "variants.keys", key, CLASSES),
        }
    }
    let effect = match factor {
        Some(factor) if written.keys.is_empty() => Effect::Factor(factor, ClassSet::ALL),
        Some(factor) => Effect::Factor(factor, keys.into_iter().collect()),
        None if has_rates => Effect::Rates(Box::new(rate_set(loader, site, "variants", &written.rates, &written.tiers))),
        None => Effect::None,
    };
    let (fees, units) = (fees(loader, site, "variants.fees", &written.fees), units(loader, site, "variants.units", &written.units));
    Variant { when, from, effect, fees, units }
}

/// A multiplier, unless it has no factor that can be read.
pub(super) fn multiplier(loader: &mut Loader, site: Site<'_>, layer: usize, written: &format::Multiplier) -> Option<Multiplier> {
    loader.unknown(site, "multipliers", &written.unknown, format::Multiplier::KEYS);
    let when = conditions(loader, site, "multipliers.when", &written.when);
    let unless = conditions(loader, site, "multipliers.unless", &written.unless);
    let models = (!written.models.is_empty()).then(|| written.models.iter().map(|id| id.value.trim().to_owned()).collect());
    let Some(text) = &written.factor else {
        loader.error_at(site, "multipliers", written.at, Problem::Missing("factor"));
        return None;
    };
    let factor = factor(loader, site, "multipliers.factor", text)?;
    Some(Multiplier { when, unless, models, factor, layer })
}

fn factor(loader: &mut Loader, site: Site<'_>, part: &str, text: &Text) -> Option<Ratio> {
    let factor = Ratio::parse(&text.value);
    if factor.is_none() {
        loader.error(site, part, text, Problem::BadFactor(text.value.clone()));
    }
    factor
}

fn instant(loader: &mut Loader, site: Site<'_>, part: &str, text: Option<&Text>) -> u64 {
    let Some(text) = text else { return 0 };
    parse_instant(&text.value).unwrap_or_else(|| {
        loader.error(site, part, text, Problem::BadInstant(text.value.clone()));
        0
    })
}

fn daily(loader: &mut Loader, site: Site<'_>, written: &format::Daily) -> Option<Daily> {
    loader.unknown(site, "prices.daily", &written.unknown, format::Daily::KEYS);
    let (Some(from), Some(to)) = (&written.from, &written.to) else {
        let missing = if written.from.is_none() { "from" } else { "to" };
        loader.error_at(site, "prices.daily", written.at, Problem::Missing(missing));
        return None;
    };
    let daily = Daily::parse(&from.value, &to.value, written.days.iter().map(|day| day.value.as_str()));
    daily.map_err(|text| loader.error(site, "prices.daily", from, Problem::BadDaily(text.to_owned()))).ok()
}

fn conditions(loader: &mut Loader, site: Site<'_>, part: &str, written: &Written) -> Conditions {
    let mut conditions = Conditions::default();
    for (key, values) in &written.0 {
        match ContextKey::named(&key.value) {
            Some(named) => conditions.add(named, values.0.iter().map(|value| value.trim().to_lowercase())),
            None => unknown_name(loader, site, part, key, CONTEXT),
        }
    }
    conditions
}

fn rate_set(loader: &mut Loader, site: Site<'_>, part: &str, base: &Pairs, tiers: &[format::Tier]) -> RateSet {
    let base = per_class(loader, site, part, base);
    let mut set = RateSet { base, tiers: Vec::with_capacity(tiers.len()) };
    for written in tiers {
        loader.unknown(site, part, &written.unknown, format::Tier::KEYS);
        let rates = per_class(loader, site, part, &written.rates);
        for class in Class::ALL {
            if rates[*class as usize].is_some() && set.base[*class as usize].is_none() {
                loader.error_at(site, part, written.at, Problem::TierWithoutBase(class.name()));
            }
        }
        let begins_at = match (&written.above, &written.at_least) {
            (Some(text), None) => tokens(loader, site, part, text).saturating_add(1),
            (None, Some(text)) => tokens(loader, site, part, text),
            _ => {
                loader.error_at(site, part, written.at, Problem::Contradiction("a tier has either above or at_least"));
                continue;
            }
        };
        set.tiers.push(Tier { begins_at, rates });
    }
    set.tiers.sort_by_key(|tier| tier.begins_at);
    set
}

fn tokens(loader: &mut Loader, site: Site<'_>, part: &str, text: &Text) -> u64 {
    text.value.trim().parse().unwrap_or_else(|_| {
        loader.error(site, part, text, Problem::BadCount(text.value.clone()));
        0
    })
}

fn per_class(loader: &mut Loader, site: Site<'_>, part: &str, written: &Pairs) -> PerClass {
    let mut rates: PerClass = [None; Class::COUNT];
    for (key, text) in &written.0 {
        let Some(class) = Class::named(&key.value) else {
            unknown_name(loader, site, part, key, CLASSES);
            continue;
        };
        let Some(pico) = amount(loader, site, part, text) else { continue };
        if pico > 1_000 * PER_TOKEN * PER_TOKEN {
            loader.warn(site, part, Some(text.referenced), Problem::HighRate(text.value.clone()));
        }
        // At most six decimals, so nothing is lost.
        rates[class as usize] = u64::try_from(pico / PER_TOKEN).ok();
    }
    rates
}

fn fees(loader: &mut Loader, site: Site<'_>, part: &str, written: &Pairs) -> Vec<(Fee, u64)> {
    let mut fees = Vec::with_capacity(written.0.len());
    for (key, text) in &written.0 {
        match Fee::named(&key.value) {
            // USD per thousand things, with at most six decimals: a whole number of pico-dollars each.
            Some(fee) => fees.extend(amount(loader, site, part, text).and_then(|pico| Some((fee, u64::try_from(pico / 1_000).ok()?)))),
            None => unknown_name(loader, site, part, key, FEES),
        }
    }
    fees
}

fn units(loader: &mut Loader, site: Site<'_>, part: &str, written: &Pairs) -> Vec<(Unit, u64)> {
    let mut units = Vec::with_capacity(written.0.len());
    for (key, text) in &written.0 {
        match Unit::named(&key.value) {
            Some(unit) => units.extend(amount(loader, site, part, text).and_then(|pico| Some((unit, u64::try_from(pico).ok()?)))),
            None => unknown_name(loader, site, part, key, UNITS),
        }
    }
    units
}

/// Pico-dollars that a text stands for: not negative, at most six decimals, at most a million dollars.
fn amount(loader: &mut Loader, site: Site<'_>, part: &str, text: &Text) -> Option<i128> {
    let why = match text.value.trim().parse::<Usd>().map(Usd::pico) {
        Ok(pico) if pico < 0 => "negative",
        Ok(pico) if pico % PER_TOKEN != 0 => "finer than six decimals",
        Ok(pico) if pico > PER_TOKEN * PER_TOKEN * PER_TOKEN => "above a million dollars",
        Ok(pico) => return Some(pico),
        Err(NotUsd::Syntax) => "not a decimal number",
        Err(NotUsd::TooFine) => "finer than six decimals",
        Err(NotUsd::TooLarge) => "above a million dollars",
    };
    loader.error(site, part, text, Problem::BadRate { text: text.value.clone(), why });
    None
}

fn unknown_name(loader: &mut Loader, site: Site<'_>, part: &str, key: &Text, valid: &'static [&'static str]) {
    loader.unknown(site, part, std::slice::from_ref(key), valid);
}

/// Names of a closed set, for the advice in an error.
macro_rules! all_names {
    ($set:ident) => {{
        const NAMES: [&str; $set::COUNT] = {
            let mut names = [""; $set::COUNT];
            let mut at = 0;
            while at < $set::COUNT {
                names[at] = $set::ALL[at].name();
                at += 1;
            }
            names
        };
        &NAMES
    }};
}

const CLASSES: &[&str] = all_names!(Class);
const FEES: &[&str] = all_names!(Fee);
const UNITS: &[&str] = all_names!(Unit);
const CONTEXT: &[&str] = all_names!(ContextKey);
