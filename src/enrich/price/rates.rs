//! The rate of one class of token, for one call: base or tier, standard or variant.
//!
//! Each rate says where it came from. An amount that surprises somebody can then be explained without a second
//! implementation that might disagree with the first.

use crate::enrich::price::usage::{Class, Context, ContextKey, Fee, Unit};
use crate::enrich::price::when::{Conditions, Daily};
use std::sync::Arc;

/// Pico-dollars per token, by class.
pub type PerClass = [Option<u64>; Class::COUNT];

/// A factor that is not negative, in lowest terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    /// Above the line.
    pub num: u64,
    /// Below it, never 0.
    pub den: u64,
}

impl Ratio {
    /// Leaves everything as it is.
    pub const ONE: Ratio = Ratio { num: 1, den: 1 };

    /// From decimal text with at most nine decimals; it never passes through a float.
    pub fn parse(text: &str) -> Option<Ratio> {
        let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
        if whole.is_empty() && part.is_empty() || part.len() > 9 || whole.len() > 9 {
            return None;
        }
        if !whole.bytes().chain(part.bytes()).all(|b| b.is_ascii_digit()) {
            return None;
        }
        let num: u64 = format!("{whole}{part}").parse().ok()?;
        let den = 10u64.pow(part.len() as u32);
        let shared = gcd(u128::from(num), u128::from(den)) as u64;
        Some(Ratio { num: num / shared, den: den / shared })
    }
}

/// The greatest common divisor; of 0 and n it is n.
pub fn gcd(a: u128, b: u128) -> u128 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        // Division of 128 bits is slow, and real factors are small.
        (a, b) = match (u64::try_from(a), u64::try_from(b)) {
            (Ok(short), Ok(by)) => (b, u128::from(short % by)),
            _ => (b, a % b),
        };
    }
    a
}

/// Base rates and what becomes of them past a number of prompt tokens.
#[derive(Clone, Debug, Default)]
pub struct RateSet {
    /// Pico-dollars per token.
    pub base: PerClass,
    /// In order of size.
    pub tiers: Vec<Tier>,
}

/// Rates for the whole request once its prompt has this many tokens.
#[derive(Clone, Debug)]
pub struct Tier {
    /// The first number of prompt tokens that counts.
    pub begins_at: u64,
    /// Pico-dollars per token; a class left out keeps the rate of the step below.
    pub rates: PerClass,
}

impl RateSet {
    /// The rate and the tier it stands in, for a prompt of so many tokens.
    fn rate(&self, class: Class, prompt: u64) -> Option<(u64, Option<u64>)> {
        let reached = self.tiers.iter().rev().filter(|tier| tier.begins_at <= prompt);
        let tiered = reached.filter_map(|tier| Some((tier.rates[class as usize]?, Some(tier.begins_at)))).next();
        tiered.or_else(|| Some((self.base[class as usize]?, None)))
    }
}

/// A price and the time for which it holds.
#[derive(Clone, Debug)]
pub struct Price {
    /// Its first nanosecond; 0 is always.
    pub from: u64,
    /// Its hours of the day.
    pub daily: Option<Daily>,
    /// Token rates.
    pub rates: RateSet,
    /// Pico-dollars each.
    pub fees: Vec<(Fee, u64)>,
    /// Pico-dollars per hour, or per million characters.
    pub units: Vec<(Unit, u64)>,
    /// Layer, provider, entry, first day.
    pub price_id: Arc<str>,
}

impl Price {
    /// True if it holds at that moment.
    pub fn in_force(&self, start_time: u64) -> bool {
        self.from <= start_time && self.daily.is_none_or(|daily| daily.holds(start_time))
    }
}

/// Another price for a kind of service.
#[derive(Clone, Debug)]
pub struct Variant {
    /// What the call must be.
    pub when: Conditions,
    /// Its first nanosecond.
    pub from: u64,
    /// What it does to token rates.
    pub effect: Effect,
    /// Pico-dollars each, in place of the standard fee.
    pub fees: Vec<(Fee, u64)>,
    /// Pico-dollars, in place of the standard price.
    pub units: Vec<(Unit, u64)>,
}

/// What a variant does to token rates.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Nothing: the service exists and costs the same.
    None,
    /// Scales the standard rates of these classes.
    Factor(Ratio, ClassSet),
    /// Replaces the rates it names, and their tiers.
    Rates(Box<RateSet>),
}

/// Some classes, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassSet(pub u32);

impl ClassSet {
    /// Every class.
    pub const ALL: ClassSet = ClassSet(u32::MAX);

    const fn has(self, class: Class) -> bool {
        self.0 & (1 << class as u32) != 0
    }
}

impl FromIterator<Class> for ClassSet {
    fn from_iter<I: IntoIterator<Item = Class>>(classes: I) -> ClassSet {
        ClassSet(classes.into_iter().fold(0, |bits, class| bits | 1 << class as u32))
    }
}

/// A surcharge or discount on every token line.
#[derive(Clone, Debug)]
pub struct Multiplier {
    /// What the call must be.
    pub when: Conditions,
    /// What it must not be.
    pub unless: Conditions,
    /// For these entries only, by id.
    pub models: Option<Vec<String>>,
    /// By how much.
    pub factor: Ratio,
    /// The layer it is written in; it reaches that layer and those below.
    pub layer: usize,
}

impl Multiplier {
    /// True if the call is what it is for.
    pub fn applies(&self, context: &Context<'_>) -> bool {
        self.when.hold(context) && (self.unless.is_empty() || !self.unless.hold(context))
    }
}

/// A rate, with the factor of its variant and its origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Pico-dollars per token before any factor.
    pub pico: u64,
    /// The factor of the variant.
    pub factor: Ratio,
    /// The tier it stands in, by the number of tokens where that begins.
    pub tier: Option<u64>,
    /// The variant that decided, by its position.
    pub variant: Option<usize>,
}

/// More variants than this on one entry is a load error: which of them match is kept as bits.
pub const MAX_VARIANTS: usize = 64;

/// A price with the variants that change it, for one call.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'t> {
    price: &'t Price,
    variants: [&'t [Variant]; 2],
    /// Which variants match, by position.
    matching: u128,
}

impl<'t> Standing<'t> {
    /// For a call that began at `start_time`. The variants are those of the entry asked for, then those of the one whose
    /// prices it has.
    pub fn new(price: &'t Price, variants: [&'t [Variant]; 2], start_time: u64, context: &Context<'_>) -> Standing<'t> {
        let holds = |variant: &Variant| variant.from <= start_time && variant.when.hold(context);
        let all = variants.into_iter().flatten().take(2 * MAX_VARIANTS).enumerate();
        let matching = all.fold(0, |bits, (at, variant)| bits | u128::from(holds(variant)) << at);
        Standing { price, variants, matching }
    }

    /// The variants that match, in order, with their positions.
    fn matching(self) -> impl Iterator<Item = (usize, &'t Variant)> {
        // Most calls are of no special kind, and ask for many rates.
        let all = if self.matching == 0 { [&[][..]; 2] } else { self.variants };
        all.into_iter().flatten().take(2 * MAX_VARIANTS).enumerate().filter(move |(at, _)| self.matching & (1 << at) != 0)
    }

    /// The rate of a class, or `None` if the price has none for it.
    pub fn rate(&self, class: Class, prompt: u64) -> Option<Rate> {
        let standard = self.price.rates.rate(class, prompt);
        for (at, variant) in self.matching() {
            match &variant.effect {
                Effect::Factor(factor, keys) if keys.has(class) => {
                    if let Some((pico, tier)) = standard {
                        return Some(Rate { pico, factor: *factor, tier, variant: Some(at) });
                    }
                }
                Effect::Rates(rates) => {
                    if let Some((pico, tier)) = rates.rate(class, prompt) {
                        return Some(Rate { pico, factor: Ratio::ONE, tier, variant: Some(at) });
                    }
                }
                Effect::Factor(..) | Effect::None => {}
            }
        }
        standard.map(|(pico, tier)| Rate { pico, factor: Ratio::ONE, tier, variant: None })
    }

    /// The fee of a thing, in pico-dollars each.
    pub fn fee(&self, fee: Fee) -> Option<u64> {
        let of = |fees: &[(Fee, u64)]| fees.iter().find(|(named, _)| *named == fee).map(|(_, pico)| *pico);
        self.matching().find_map(|(_, variant)| of(&variant.fees)).or_else(|| of(&self.price.fees))
    }

    /// The price of a unit, in pico-dollars per hour or million characters.
    pub fn unit(&self, unit: Unit) -> Option<u64> {
        let of = |units: &[(Unit, u64)]| units.iter().find(|(named, _)| *named == unit).map(|(_, pico)| *pico);
        self.matching().find_map(|(_, variant)| of(&variant.units)).or_else(|| of(&self.price.units))
    }

    /// True if some variant that matches asks about this key.
    pub fn answers_to(&self, key: ContextKey) -> bool {
        self.matching().any(|(_, variant)| variant.when.name(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_is_a_fraction_in_lowest_terms() {
        assert_eq!(Ratio::parse("0.85"), Some(Ratio { num: 17, den: 20 }));
        assert_eq!(Ratio::parse("2"), Some(Ratio { num: 2, den: 1 }));
        assert_eq!(Ratio::parse("1.10"), Some(Ratio { num: 11, den: 10 }));
        assert_eq!(Ratio::parse("0"), Some(Ratio { num: 0, den: 1 }));
        for text in ["", ".", "-1", "1e3", "half", "0.12345678901"] {
            assert_eq!(Ratio::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_class_the_tier_leaves_out_keeps_the_rate_of_the_step_below() {
        let per = |pairs: &[(Class, u64)]| {
            let mut rates: PerClass = [None; Class::COUNT];
            pairs.iter().for_each(|(class, pico)| rates[*class as usize] = Some(*pico));
            rates
        };
        let set = RateSet {
            base: per(&[(Class::Input, 1), (Class::Output, 10)]),
            tiers: vec![
                Tier { begins_at: 100, rates: per(&[(Class::Input, 2), (Class::Output, 20)]) },
                Tier { begins_at: 200, rates: per(&[(Class::Input, 3)]) },
            ],
        };
        assert_eq!(set.rate(Class::Input, 99), Some((1, None)));
        assert_eq!(set.rate(Class::Input, 200), Some((3, Some(200))));
        assert_eq!(set.rate(Class::Output, 500), Some((20, Some(100))));
        assert_eq!(set.rate(Class::CacheRead, 500), None);
    }
}
