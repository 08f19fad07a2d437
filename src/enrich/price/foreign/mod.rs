//! Price lists made by others, read as they are and rewritten into our own form.
//!
//! Such a list is only as good as its last edit: models vanish, decimals slip, 0 stands for "not known". So nothing here
//! is an error that stops a load; what cannot be used is skipped and said, and the layers below keep what they have.

mod genai;
mod litellm;

use crate::enrich::price::format::{File, Model, Ordered, Pairs, Price, Provider, Text, Tier};
use crate::units::Usd;
use serde_json::{Map, Value};
use serde_yaml::{Location, Spanned};
use std::collections::BTreeMap;

/// A list in our form, and what of it could not be used: key and reason.
pub(super) type Rewritten = (File, Vec<(String, String)>);

/// Reads a list of a kind that is told by name or by its shape; `None` if it is none of them.
///
/// # Errors
/// What keeps it from being read at all, with its line and column where there is one.
pub(super) fn read(text: &str, format: Option<&str>) -> Option<Result<Rewritten, Unread>> {
    let shape = text.trim_start().as_bytes().first();
    let named = matches!(format, Some("litellm" | "genai-prices"));
    if let Some(other) = format.filter(|format| !named && *format != "tollgate-prices/1") {
        return Some(Err(Unread::whole(format!("format \"{other}\" is none of tollgate-prices/1, litellm, genai-prices"))));
    }
    if !named && (format.is_some() || !matches!(shape, Some(b'[' | b'{'))) {
        return None;
    }
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        // A map in braces may still be YAML of ours; one with the words of another list is not.
        Err(_) if !named && !text.contains("\"litellm_provider\"") && !text.contains("\"input_mtok\"") => return None,
        Err(e) => {
            // The parser's own words end in the place, which is said before them.
            let why = e.to_string();
            let why = why.split(" at line ").next().unwrap_or("not JSON").to_owned();
            return Some(Err(Unread { line: e.line() as u64, column: e.column() as u64, why: format!("not JSON: {why}") }));
        }
    };
    match (&value, format) {
        (Value::Array(providers), None | Some("genai-prices")) => Some(Ok(genai::rewrite(providers))),
        (Value::Object(models), Some("litellm")) => Some(Ok(litellm::rewrite(models))),
        (Value::Object(models), None) if models.values().any(|model| model.get("litellm_provider").is_some()) => {
            Some(Ok(litellm::rewrite(models)))
        }
        _ if named => Some(Err(Unread::whole(format!("not a list of the format \"{}\"", format.unwrap_or_default())))),
        _ => None,
    }
}

/// Why a list cannot be read at all. Line 0 is the file as a whole.
pub(super) struct Unread {
    pub(super) line: u64,
    pub(super) column: u64,
    pub(super) why: String,
}

impl Unread {
    fn whole(why: String) -> Unread {
        Unread { line: 0, column: 0, why }
    }
}

fn text(value: impl Into<String>) -> Text {
    Spanned::new(value.into(), Location::UNKNOWN, Location::UNKNOWN)
}

/// The decimal text of a number, times ten to the `shift`, with at most six decimals.
///
/// It never passes through a float. A number with fifteen digits or more is one that did, upstream: it is rounded.
/// Any other is cut.
fn decimal(value: &Value, shift: i32) -> Option<String> {
    let written = match value {
        Value::Number(number) => number.to_string(),
        Value::String(written) => written.trim().to_owned(),
        _ => return None,
    };
    let (mantissa, exponent) = written.split_once(['e', 'E']).unwrap_or((&written, "0"));
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{part}");
    if digits.is_empty() || digits.len() > 30 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let exponent = exponent.parse::<i32>().ok()?.checked_add(shift)?.checked_add(6)?.checked_sub(i32::try_from(part.len()).ok()?)?;
    let count = digits.parse::<i128>().ok()?;
    let power = 10i128.checked_pow(exponent.unsigned_abs());
    let millionths = match (exponent >= 0, power) {
        (true, Some(power)) => count.checked_mul(power)?,
        (true, None) => return (count == 0).then(|| "0".to_owned()),
        (false, Some(power)) => {
            let noisy = digits.trim_start_matches('0').len() >= 15;
            count / power + i128::from(noisy && count % power >= power / 2)
        }
        (false, None) => 0,
    };
    Some(Usd::from_pico(millionths.checked_mul(1_000_000)?).to_string())
}

/// Rates of one price or variant while they are gathered.
#[derive(Default)]
struct Gathered {
    base: Vec<(&'static str, String)>,
    /// By the number of tokens at the line.
    tiers: BTreeMap<u64, Vec<(&'static str, String)>>,
    fees: Vec<(&'static str, String)>,
    units: Vec<(&'static str, String)>,
}

impl Gathered {
    fn is_empty(&self) -> bool {
        self.base.is_empty() && self.fees.is_empty() && self.units.is_empty()
    }

    /// The amount of a class without tiers.
    fn base(&self, class: &str) -> Option<&str> {
        self.base.iter().find(|(named, _)| *named == class).map(|(_, amount)| amount.as_str())
    }

    fn rates(&self) -> Pairs {
        pairs(&self.base)
    }

    /// Tiers in our form; a class without a base rate has no tier either.
    fn tiers(&self, at_least: bool) -> Vec<Tier> {
        let lines = self.tiers.iter().map(|(line, rates)| {
            let known: Vec<_> = rates.iter().filter(|(class, _)| self.base(class).is_some()).cloned().collect();
            let line = Some(text(line.to_string()));
            let (above, at_least) = if at_least { (None, line) } else { (line, None) };
            Tier { above, at_least, rates: pairs(&known), ..Tier::default() }
        });
        lines.filter(|tier| !tier.rates.0.is_empty()).collect()
    }

    fn price(&self, at_least: bool) -> Price {
        let (fees, units) = (pairs(&self.fees), pairs(&self.units));
        Price { rates: self.rates(), tiers: self.tiers(at_least), fees, units, ..Price::default() }
    }
}

fn pairs(amounts: &[(&'static str, String)]) -> Pairs {
    Ordered(amounts.iter().map(|(name, amount)| (text(*name), text(amount.clone()))).collect())
}

/// Models by provider, in the order in which providers first came up.
#[derive(Default)]
struct Shelf {
    providers: Vec<(String, Provider)>,
}

impl Shelf {
    fn provider(&mut self, id: &str) -> Option<&mut Provider> {
        let at = self.providers.iter().position(|(known, _)| known == id).unwrap_or_else(|| {
            self.providers.push((id.to_owned(), Provider::default()));
            self.providers.len() - 1
        });
        self.providers.get_mut(at).map(|(_, provider)| provider)
    }

    fn add(&mut self, provider: &str, model: Model) {
        if let Some(provider) = self.provider(provider) {
            provider.models.push(model);
        }
    }

    fn file(self) -> File {
        let providers = Ordered(self.providers.into_iter().map(|(id, provider)| (text(id), provider)).collect());
        File { format: Some(text("tollgate-prices/1")), providers, ..File::default() }
    }
}

fn object(value: &Value) -> Option<&Map<String, Value>> {
    value.as_object()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled(number: &str, shift: i32) -> Option<String> {
        decimal(&serde_json::from_str(number).unwrap(), shift)
    }

    #[test]
    fn a_price_per_token_is_a_million_times_that_per_million() {
        assert_eq!(scaled("3e-06", 6).as_deref(), Some("3"));
        assert_eq!(scaled("7.5e-8", 6).as_deref(), Some("0.075"));
        assert_eq!(scaled("0.00000125", 6).as_deref(), Some("1.25"));
        assert_eq!(scaled("0", 6).as_deref(), Some("0"));
        assert_eq!(scaled("1e-400", 6).as_deref(), Some("0"));
    }

    #[test]
    fn binary_noise_is_cut_at_six_decimals() {
        assert_eq!(scaled("0.18000000000000002", 0).as_deref(), Some("0.18"));
        assert_eq!(scaled("1.7999999999999998e-07", 6).as_deref(), Some("0.18"));
        assert_eq!(scaled("1.23456789", 0).as_deref(), Some("1.234567"));
    }

    #[test]
    fn what_is_no_amount_is_none() {
        for text in ["-1", "1e999", "\"much\"", "null", "[]", "1234567890123456789012345678901234567890"] {
            assert_eq!(scaled(text, 6), None, "{text}");
        }
    }
}
