//! Every line of the sum, and why each rate was the one.
//!
//! It listens to the very computation that spans are priced by, so an explanation cannot disagree with the amount.

use crate::enrich::price::cost::Line;
use crate::enrich::price::names::How;
use crate::enrich::price::rates::{Multiplier, Ratio, Variant};
use crate::enrich::price::table::{Found, Lent, Meaning, PriceTable, ToldBy};
use crate::enrich::price::usage::{Class, Context, ContextKey, Unit};
use crate::enrich::price::{Audit, Call, Outcome};
use crate::units::Usd;

/// An outcome and how it came about, as lines to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What [`PriceTable::price`] answers.
    pub outcome: Outcome,
    /// Who bills, which entry, which price.
    pub reasons: Vec<String>,
    /// Each line of the sum.
    pub lines: Vec<String>,
}

impl PriceTable {
    /// What a call cost, and why.
    pub fn explain(&self, call: &Call<'_>) -> Explanation {
        let mut told = Told::default();
        let outcome = match self.price_with(call, &mut told) {
            Ok(priced) => Outcome::Priced(priced),
            Err(reason) => Outcome::Unpriced(reason),
        };
        told.charged_elsewhere(call);
        Explanation { outcome, reasons: told.reasons, lines: told.lines }
    }
}

/// What was heard so far.
#[derive(Default)]
struct Told {
    reasons: Vec<String>,
    lines: Vec<String>,
    /// The conditions of the variants, by position.
    variants: Vec<String>,
    /// The factors of the multipliers that apply.
    factors: Vec<Ratio>,
    /// The classes that have a line of their own.
    charged: Vec<Class>,
}

impl Told {
    /// Says of each part that has no line where it was charged instead.
    fn charged_elsewhere(&mut self, call: &Call<'_>) {
        if self.charged.is_empty() {
            return;
        }
        for class in Class::ALL.iter().filter(|class| call.usage.tokens(**class) > Some(0)) {
            let mut holder = *class;
            while let (false, Some(parent)) = (self.charged.contains(&holder), holder.parent()) {
                holder = parent;
            }
            if holder != *class && self.charged.contains(&holder) {
                let tokens = call.usage.tokens(*class).unwrap_or(0);
                let (name, holder) = (class.name(), holder.name());
                self.reasons.push(format!("{name} {tokens}: no line of its own, charged as {holder}"));
            }
        }
    }
}

impl Audit for Told {
    fn found(&mut self, table: &PriceTable, meaning: &Meaning, found: Found<'_>, context: &Context<'_>) {
        // A second name may have been tried after the first: only the one that priced counts.
        *self = Told::default();
        let id = |at: usize| table.providers.get(at).map_or("", |provider| &*provider.id);
        let told_by = match meaning.told_by {
            ToldBy::Host => "its host",
            ToldBy::Span => "the name given",
            ToldBy::Model => "the model's name",
        };
        self.reasons.push(format!("provider {}, by {told_by}", id(found.caller)));
        let how = match found.candidate.how {
            How::Exact => "its name",
            How::Prefix => "a prefix and a revision",
            How::Pattern => "a pattern",
        };
        let lent = match found.candidate.lent {
            Lent::Own => String::new(),
            Lent::SameAs => format!(", of {}: another door to the same maker", id(found.entry.provider)),
            Lent::Like => format!(", of {}: resold at its list price", id(found.entry.provider)),
        };
        self.reasons.push(format!("entry {}, by {how}, as \"{}\"{lent}", found.entry.id, found.candidate.spelling));
        if !std::ptr::eq(found.entry, found.source) {
            self.reasons.push(format!("same as {}/{}", id(found.source.provider), found.source.id));
        }
        self.reasons.push(format!("price {}", found.price.price_id));
        let given = ContextKey::ALL.iter().filter_map(|key| Some(format!("{} {}", key.name(), context.get(*key)?)));
        let given: Vec<_> = given.collect();
        if !given.is_empty() {
            self.reasons.push(format!("with {}", given.join(", ")));
        }
        let variants: &[&[Variant]] = &table.variants(found);
        self.variants = variants.iter().copied().flatten().map(|variant| variant.when.to_string()).collect();
    }

    fn multiplier(&mut self, multiplier: &Multiplier) {
        let Ratio { num, den } = multiplier.factor;
        let when = if multiplier.when.is_empty() { "always".to_owned() } else { format!("for {}", multiplier.when) };
        self.reasons.push(format!("every token line × {} ({when})", decimal(num, den)));
        self.factors.push(multiplier.factor);
    }

    fn line(&mut self, line: Line) {
        let text = match line {
            Line::Tokens(class, count, rate) => {
                self.charged.push(class);
                let usd = Usd::from_pico(i128::from(rate.pico).saturating_mul(1_000_000));
                let mut text = format!("{:<16} {count} × {usd} / 1,000,000", class.name());
                for factor in std::iter::once(rate.factor).chain(self.factors.iter().copied()).filter(|f| *f != Ratio::ONE) {
                    text.push_str(&format!(" × {}", decimal(factor.num, factor.den)));
                }
                let tier = rate.tier.map(|at| format!("prompt of {at} tokens or more"));
                let variant = rate.variant.and_then(|at| self.variants.get(at)).map(|when| format!("variant for {when}"));
                let why: Vec<_> = variant.into_iter().chain(tier).collect();
                if !why.is_empty() {
                    text.push_str(&format!("   ({})", why.join(", ")));
                }
                text
            }
            Line::Things(fee, count, pico) => {
                format!("{:<16} {count} × {} / 1,000", fee.name(), Usd::from_pico(i128::from(pico).saturating_mul(1_000)))
            }
            Line::Amount(unit, amount, pico) => {
                let per = if unit == Unit::InputMchars { "1,000,000 characters" } else { "3,600 seconds" };
                format!("{:<16} {amount} × {} / {per}", unit.name(), Usd::from_pico(i128::from(pico)))
            }
        };
        self.lines.push(text);
    }
}

/// A factor as the decimal it was written as: its denominator divides a power of ten.
fn decimal(num: u64, den: u64) -> String {
    const SCALE: i128 = 1_000_000_000_000;
    Usd::from_pico(i128::from(num).saturating_mul(SCALE) / i128::from(den.max(1))).to_string()
}
