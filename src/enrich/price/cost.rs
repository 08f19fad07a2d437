//! From counts and rates to money, exactly.
//!
//! Each token is charged once, at the most particular rate it has. A part leaves its parent only if the price has a rate
//! for it; otherwise it is charged there. It is never free: free is a rate of 0 that somebody wrote.
//!
//! Sums are whole pico-dollars and a fraction in 128 bits, rounded once per part, so the parts always add up to the total.

use crate::enrich::price::flags::Flags;
use crate::enrich::price::rates::{Rate, Ratio, Standing, gcd};
use crate::enrich::price::usage::{Class, Fee, Unit, Usage};
use crate::units::Usd;

/// What a call cost, by part. Their sum is the total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// The prompt and its modalities that came from no cache, and what is sold by time or length.
    pub input: Usd,
    /// Everything generated.
    pub output: Usd,
    /// Read from a cache.
    pub cache_read: Usd,
    /// Written to a cache.
    pub cache_write: Usd,
    /// Things with a fee.
    pub fees: Usd,
}

impl Parts {
    /// The sum.
    pub fn total(&self) -> Usd {
        self.input + self.output + self.cache_read + self.cache_write + self.fees
    }
}

/// Why there is no sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSum {
    /// The amounts do not fit 128 bits.
    Overflow,
    /// Something used has neither a rate nor a parent with one.
    Unpriced,
}

/// One line of the sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Tokens of a class at its rate.
    Tokens(Class, u64, Rate),
    /// Things at pico-dollars each.
    Things(Fee, u64, u64),
    /// Seconds or characters at pico-dollars per hour or million.
    Amount(Unit, u64, u64),
}

/// Adds up a call. `multipliers` scale every token line; each line is also handed to `each`, for those who explain.
///
/// # Errors
/// [`NoSum::Overflow`] and [`NoSum::Unpriced`]; what is in `flags` then is of no use.
pub fn bill(
    standing: Standing<'_>,
    usage: &Usage,
    multipliers: Scale,
    flags: &mut Flags,
    mut each: impl FnMut(Line),
) -> Result<Parts, NoSum> {
    let mut sums = [Exact::default(); 5];
    let mut lines = 0u32;
    let mut tokens = |class: Class, count: u64, rate: Rate, sums: &mut [Exact; 5]| {
        if count > 0 {
            each(Line::Tokens(class, count, rate));
            let scale = multipliers.and(rate.factor).ok_or(NoSum::Overflow)?;
            let product = i128::from(count).checked_mul(i128::from(rate.pico)).and_then(|p| p.checked_mul(scale.num));
            sums[part_of(class)].add(product.ok_or(NoSum::Overflow)?, scale.den).ok_or(NoSum::Overflow)?;
        }
        Ok(())
    };

    let split = Split::new(usage, flags)?;
    let rate = |class| standing.rate(class, split.prompt);
    // Rates of what was not used are not asked for: most classes are not used by most calls.
    let own = |class, count| if count > 0 { rate(class) } else { None };
    let count = |class| usage.tokens(class).unwrap_or(0);

    // From the particular to the general: first what the cache gave and took …
    let mut read = split.read;
    let mut from_cache = [0; 2];
    for (at, (class, whole)) in [(Class::CacheReadAudio, Class::AudioIn), (Class::CacheReadImage, Class::ImageIn)].into_iter().enumerate() {
        let part = count(class).min(read).min(usage.tokens(whole).unwrap_or(u64::MAX));
        if part == 0 {
            continue;
        }
        if let Some(rate) = rate(class) {
            tokens(class, part, rate, &mut sums)?;
            read -= part;
            from_cache[at] = part;
        } else if rate(Class::CacheRead).is_some() {
            from_cache[at] = part;
        }
    }
    let mut input = split.fresh;
    match own(Class::CacheRead, read) {
        Some(rate) => tokens(Class::CacheRead, read, rate, &mut sums)?,
        None => input = input.checked_add(read).ok_or(NoSum::Overflow)?,
    }
    let mut write = split.write;
    for class in [Class::CacheWrite5m, Class::CacheWrite30m, Class::CacheWrite1h, Class::CacheWrite12h] {
        if let part @ 1.. = count(class).min(write)
            && let Some(rate) = rate(class)
        {
            tokens(class, part, rate, &mut sums)?;
            write -= part;
        }
    }
    match own(Class::CacheWrite, write) {
        Some(rate) => tokens(Class::CacheWrite, write, rate, &mut sums)?,
        None => input = input.checked_add(write).ok_or(NoSum::Overflow)?,
    }

    // … then what else the prompt was made of …
    for (class, cached) in [(Class::AudioIn, from_cache[0]), (Class::ImageIn, from_cache[1]), (Class::VideoIn, 0)] {
        if let part @ 1.. = count(class).saturating_sub(cached).min(input)
            && let Some(rate) = rate(class)
        {
            tokens(class, part, rate, &mut sums)?;
            input -= part;
        }
    }
    match own(Class::Input, input) {
        Some(rate) => tokens(Class::Input, input, rate, &mut sums)?,
        None if input > 0 => return Err(NoSum::Unpriced),
        None => {}
    }

    // … then what was generated.
    let whole = count(Class::Output);
    let mut output = whole;
    for class in [Class::Reasoning, Class::AudioOut, Class::ImageOut, Class::VideoOut, Class::Citation] {
        let part = count(class);
        if part == 0 {
            continue;
        }
        let rate = rate(class);
        if part > whole || rate.is_some() && part > output {
            flags.exceeds_output(class);
        }
        if let Some(rate) = rate {
            let part = part.min(output);
            tokens(class, part, rate, &mut sums)?;
            output -= part;
        }
    }
    match own(Class::Output, output) {
        Some(rate) => tokens(Class::Output, output, rate, &mut sums)?,
        None if output > 0 => return Err(NoSum::Unpriced),
        None => {}
    }

    for fee in Fee::ALL {
        let count = if *fee == Fee::Request { Some(1) } else { usage.things(*fee) };
        if let Some(count @ 1..) = count
            && let Some(pico) = standing.fee(*fee)
        {
            lines += u32::from(*fee != Fee::Request);
            each(Line::Things(*fee, count, pico));
            let product = i128::from(count).checked_mul(i128::from(pico)).ok_or(NoSum::Overflow)?;
            sums[FEES].add(product, 1).ok_or(NoSum::Overflow)?;
        }
    }
    for unit in Unit::ALL {
        if let Some(amount @ 1..) = usage.amount(*unit)
            && let Some(pico) = standing.unit(*unit)
        {
            lines += 1;
            each(Line::Amount(*unit, amount, pico));
            let product = i128::from(amount).checked_mul(i128::from(pico)).ok_or(NoSum::Overflow)?;
            let den = if *unit == Unit::InputMchars { 1_000_000 } else { 3_600 };
            sums[INPUT].add(product, den).ok_or(NoSum::Overflow)?;
        }
    }
    // Pages or seconds that nothing is asked for, and nothing else: a 0 here would read as "free".
    let used_something = Fee::ALL.iter().any(|f| usage.things(*f) > Some(0)) || Unit::ALL.iter().any(|u| usage.amount(*u) > Some(0));
    if lines == 0 && used_something && !usage.has_tokens() {
        return Err(NoSum::Unpriced);
    }

    let [input, output, cache_read, cache_write, fees] = sums.map(Exact::rounded);
    let all = [input, output, cache_read, cache_write, fees];
    all.iter().try_fold(Usd::ZERO, |sum, part| sum.checked_add(*part)).ok_or(NoSum::Overflow)?;
    Ok(Parts { input, output, cache_read, cache_write, fees })
}

const INPUT: usize = 0;
const FEES: usize = 4;

/// Which part a class is reported under.
const fn part_of(class: Class) -> usize {
    match class {
        Class::Input | Class::AudioIn | Class::ImageIn | Class::VideoIn => INPUT,
        Class::Output | Class::Reasoning | Class::AudioOut | Class::ImageOut | Class::VideoOut | Class::Citation => 1,
        Class::CacheRead | Class::CacheReadAudio | Class::CacheReadImage => 2,
        Class::CacheWrite | Class::CacheWrite5m | Class::CacheWrite30m | Class::CacheWrite1h | Class::CacheWrite12h => 3,
    }
}

/// The prompt, split into what came from a cache, what went to one, and the rest.
struct Split {
    /// All of it; this is what tiers look at.
    prompt: u64,
    read: u64,
    write: u64,
    fresh: u64,
}

impl Split {
    fn new(usage: &Usage, flags: &mut Flags) -> Result<Split, NoSum> {
        let count = |class| usage.tokens(class).unwrap_or(0);
        let lifetimes = [Class::CacheWrite5m, Class::CacheWrite30m, Class::CacheWrite1h, Class::CacheWrite12h];
        let parts = lifetimes.into_iter().try_fold(0u64, |sum, class| sum.checked_add(count(class))).ok_or(NoSum::Overflow)?;
        let (read, write) = (count(Class::CacheRead), count(Class::CacheWrite).max(parts));
        let cached = read.checked_add(write).ok_or(NoSum::Overflow)?;
        let mut prompt = count(Class::Input);
        if cached > prompt {
            flags.set(Flags::CACHE_OUTSIDE_INPUT);
            prompt = prompt.checked_add(cached).ok_or(NoSum::Overflow)?;
        }
        Ok(Split { prompt, read, write, fresh: prompt - cached })
    }
}

/// The product of factors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    num: i128,
    den: i128,
}

impl Scale {
    /// No factor at all.
    pub const ONE: Scale = Scale { num: 1, den: 1 };

    /// With one more factor, or `None` where it does not fit.
    pub fn and(self, factor: Ratio) -> Option<Scale> {
        if factor == Ratio::ONE {
            return Some(self);
        }
        let num = self.num.checked_mul(i128::from(factor.num))?;
        let den = self.den.checked_mul(i128::from(factor.den))?;
        let shared = gcd(num.unsigned_abs(), den.unsigned_abs()) as i128;
        Some(Scale { num: num / shared, den: den / shared })
    }
}

/// A whole number of pico-dollars and a fraction of one, never negative.
#[derive(Clone, Copy, Debug)]
struct Exact {
    whole: i128,
    /// Less than `den`.
    num: i128,
    den: i128,
}

impl Default for Exact {
    fn default() -> Exact {
        Exact { whole: 0, num: 0, den: 1 }
    }
}

impl Exact {
    fn add(&mut self, num: i128, den: i128) -> Option<()> {
        if den == 1 {
            self.whole = self.whole.checked_add(num)?;
            return Some(());
        }
        let (whole, num) = div_rem(num, den);
        self.whole = self.whole.checked_add(whole)?;
        if num == 0 {
            return Some(());
        }
        let shared = gcd(self.den.unsigned_abs(), den.unsigned_abs()) as i128;
        let common = self.den.checked_mul(den / shared)?;
        let sum = self.num.checked_mul(common / self.den)?.checked_add(num.checked_mul(common / den)?)?;
        self.whole = self.whole.checked_add(sum / common)?;
        (self.num, self.den) = (sum % common, common);
        Some(())
    }

    /// To a whole pico-dollar, half to even.
    fn rounded(self) -> Usd {
        let up = match (self.num).cmp(&(self.den - self.num)) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => self.whole & 1,
            std::cmp::Ordering::Greater => 1,
        };
        Usd::from_pico(self.whole.saturating_add(up))
    }
}

/// Division of 128 bits is slow, and amounts are rarely that large.
fn div_rem(num: i128, den: i128) -> (i128, i128) {
    match (u64::try_from(num), u64::try_from(den)) {
        (Ok(num), Ok(den)) => (i128::from(num / den), i128::from(num % den)),
        _ => (num / den, num % den),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(lines: &[(i128, i128)]) -> i128 {
        let mut exact = Exact::default();
        lines.iter().for_each(|(num, den)| exact.add(*num, *den).unwrap());
        exact.rounded().pico()
    }

    #[test]
    fn halves_go_to_the_even_neighbour() {
        assert_eq!(sum(&[(1, 2)]), 0);
        assert_eq!(sum(&[(3, 2)]), 2);
        assert_eq!(sum(&[(5, 2)]), 2);
        assert_eq!(sum(&[(5, 2), (1, 1000)]), 3);
    }

    #[test]
    fn a_part_is_rounded_once_and_not_line_by_line() {
        assert_eq!(sum(&[(1, 3), (1, 3), (1, 3)]), 1);
        assert_eq!(sum(&[(1, 10), (1, 4), (3, 20)]), 0, "exactly a half");
    }

    #[test]
    fn factors_multiply_in_lowest_terms() {
        let scale = Scale::ONE.and(Ratio { num: 1, den: 2 }).and_then(|s| s.and(Ratio { num: 11, den: 10 }));
        assert_eq!(scale, Some(Scale { num: 11, den: 20 }));
        let huge = Ratio { num: u64::MAX, den: 1 };
        assert_eq!(Scale::ONE.and(huge).and_then(|s| s.and(huge)), None, "and what does not fit is said");
    }
}
