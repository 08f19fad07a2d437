//! The same sums, worked out a second time by somebody who never saw the first.
//!
//! Reads the bundled table for itself, as text, and follows the rules of cost with one fraction over a common denominator. It shares no code
//! with what it checks: neither the reading of numbers nor the choice of the price nor the order of the sum.

use super::*;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Random usages each price meets.
const USAGES: u64 = 1_000;

/// A common denominator of every factor and unit in the table: two decimals thrice, and the seconds of an hour.
const WHOLE: i128 = 3_600 * 1_000_000;

#[derive(Deserialize)]
struct Book {
    providers: BTreeMap<String, Shelf>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Shelf {
    models: Vec<Sheet>,
    multipliers: Vec<Times>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Sheet {
    id: String,
    prices: Vec<Tariff>,
    variants: Vec<Special>,
    multipliers: Vec<Times>,
}

type Amounts = BTreeMap<String, Millionths>;
type Asked = BTreeMap<String, OneOrMore>;

/// A decimal in millionths, read from its text.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(from = "String")]
struct Millionths(i128);

impl From<String> for Millionths {
    fn from(text: String) -> Millionths {
        let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
        let part = part.trim_end_matches('0');
        assert!(part.len() <= 6, "{text} is finer than expected");
        let number: i128 = format!("{whole}{part}").parse().unwrap_or_else(|_| panic!("{text}"));
        Millionths(number * 10i128.pow(6 - part.len() as u32))
    }
}

/// Seconds since 1970, read from a date or an instant.
#[derive(Clone, Copy, Deserialize)]
#[serde(from = "String")]
struct Moment(i64);

impl From<String> for Moment {
    fn from(text: String) -> Moment {
        Moment(seconds(&text))
    }
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Tariff {
    from: Option<Moment>,
    daily: Option<Window>,
    rates: Amounts,
    tiers: Vec<Step>,
    fees: Amounts,
    units: Amounts,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Window {
    from: String,
    to: String,
    days: Vec<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Step {
    above: Option<u64>,
    at_least: Option<u64>,
    rates: Amounts,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Special {
    when: Asked,
    from: Option<Moment>,
    factor: Option<Millionths>,
    keys: Vec<String>,
    rates: Amounts,
    tiers: Vec<Step>,
    fees: Amounts,
    units: Amounts,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Times {
    when: Asked,
    unless: Asked,
    models: Vec<String>,
    factor: Millionths,
}

/// Seconds since 1970 of a date or of an instant with a `Z`.
fn seconds(text: &str) -> i64 {
    let (date, clock) = text.split_once('T').unwrap_or((text, "00:00:00Z"));
    let number = |text: &str| text.parse::<i64>().unwrap_or_else(|_| panic!("{text}"));
    let parts: Vec<i64> = date.split('-').map(number).collect();
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let months = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let years: i64 = (1970..parts[0]).map(|year| 365 + i64::from(leap(year))).sum();
    let before: i64 = (0..parts[1] as usize - 1).map(|month| months[month] + i64::from(month == 1 && leap(parts[0]))).sum();
    let clock: Vec<i64> = clock.trim_end_matches('Z').split(':').map(number).collect();
    (years + before + parts[2] - 1) * 86_400 + clock[0] * 3_600 + clock.get(1).unwrap_or(&0) * 60 + clock.get(2).unwrap_or(&0)
}

fn holds(asked: &Asked, context: &[(&str, &str)]) -> bool {
    asked.iter().all(|(key, values)| {
        let given = context.iter().find(|(name, _)| name == key).map(|(_, value)| *value);
        let fits = |value: &String| match (given, value.split_once('*')) {
            (None, _) => false,
            (Some(given), None) => given.eq_ignore_ascii_case(value),
            (Some(given), Some((head, tail))) => given.starts_with(head) && given.ends_with(tail),
        };
        match values {
            OneOrMore::One(value) => fits(value),
            OneOrMore::More(values) => values.iter().any(fits),
        }
    })
}

fn in_window(window: &Window, at: i64) -> bool {
    let minutes = |text: &str| text.split(':').map(|part| part.parse::<i64>().unwrap()).fold(0, |sum, part| sum * 60 + part) * 60;
    let (from, to, clock) = (minutes(&window.from), minutes(&window.to), at % 86_400);
    let day = ["thu", "fri", "sat", "sun", "mon", "tue", "wed"][(at / 86_400 % 7) as usize];
    (if from < to { (from..to).contains(&clock) } else { clock >= from || clock < to })
        && (window.days.is_empty() || window.days.iter().any(|d| d == day))
}

fn chosen(sheet: &Sheet, at: i64) -> Option<usize> {
    let holds = |tariff: &Tariff| tariff.from.is_none_or(|from| from.0 <= at) && tariff.daily.as_ref().is_none_or(|d| in_window(d, at));
    sheet.prices.iter().rposition(holds)
}

/// Pico-dollars per token of a class, by base and tiers.
fn rate(rates: &Amounts, tiers: &[Step], class: &str, prompt: u64) -> Option<i128> {
    let mut reached: Vec<(u64, &Millionths)> = Vec::new();
    for step in tiers {
        let begins = step.above.map(|above| above + 1).or(step.at_least).expect("a tier begins somewhere");
        reached.extend(step.rates.get(class).filter(|_| prompt >= begins).map(|rate| (begins, rate)));
    }
    reached.sort();
    reached.last().map(|(_, rate)| *rate).or(rates.get(class)).map(|rate| rate.0)
}

/// What one call costs: pico-dollars of input, output, cache read, cache write, fees.
fn by_hand(
    sheet: &Sheet,
    shelf: &Shelf,
    tariff: &Tariff,
    at: i64,
    counts: &BTreeMap<&str, u64>,
    context: &[(&str, &str)],
) -> Option<[i128; 5]> {
    let count = |class: &str| counts.get(class).copied().unwrap_or(0);
    let lifetimes = ["cache_write_5m", "cache_write_30m", "cache_write_1h", "cache_write_12h"];
    let written = count("cache_write").max(lifetimes.iter().map(|class| count(class)).sum());
    let cached = count("cache_read") + written;
    let prompt = if cached > count("input") { count("input") + cached } else { count("input") };

    let specials: Vec<&Special> =
        sheet.variants.iter().filter(|v| holds(&v.when, context) && v.from.is_none_or(|from| from.0 <= at)).collect();
    // A rate in pico-dollars per token over WHOLE.
    let price = |class: &str| -> Option<i128> {
        let standard = rate(&tariff.rates, &tariff.tiers, class, prompt);
        for special in &specials {
            if let Some(factor) = &special.factor {
                if let Some(standard) = standard.filter(|_| special.keys.is_empty() || special.keys.iter().any(|key| key == class)) {
                    return Some(standard * factor.0 * (WHOLE / 1_000_000));
                }
            } else if let Some(own) = rate(&special.rates, &special.tiers, class, prompt) {
                return Some(own * WHOLE);
            }
        }
        standard.map(|standard| standard * WHOLE)
    };
    let all = shelf.multipliers.iter().filter(|m| m.models.is_empty() || m.models.contains(&sheet.id)).chain(&sheet.multipliers);
    let factors: Vec<i128> =
        all.filter(|m| holds(&m.when, context) && (m.unless.is_empty() || !holds(&m.unless, context))).map(|m| m.factor.0).collect();

    let mut sums = [0i128; 5];
    let charge = |to: usize, tokens: u64, rate: i128, sums: &mut [i128; 5]| {
        let line = factors.iter().fold(i128::from(tokens) * rate, |line, factor| {
            let line = line * factor;
            assert_eq!(line % 1_000_000, 0, "a finer denominator is needed");
            line / 1_000_000
        });
        sums[to] += line;
    };
    // Everything begins in its parent and leaves it for a rate of its own.
    let mut input = prompt - cached;
    let mut read = count("cache_read");
    let (mut audio, mut image) = (count("audio_in"), count("image_in"));
    for (class, whole) in [("cache_read_audio", &mut audio), ("cache_read_image", &mut image)] {
        let part = count(class);
        if let Some(own) = price(class) {
            charge(2, part, own, &mut sums);
            read -= part;
            *whole -= part;
        } else if price("cache_read").is_some() {
            *whole -= part;
        }
    }
    match price("cache_read") {
        Some(own) => charge(2, read, own, &mut sums),
        None => input += read,
    }
    let mut rest = written;
    for class in lifetimes {
        if let Some(own) = price(class) {
            charge(3, count(class), own, &mut sums);
            rest -= count(class);
        }
    }
    match price("cache_write") {
        Some(own) => charge(3, rest, own, &mut sums),
        None => input += rest,
    }
    for (class, part) in [("audio_in", audio), ("image_in", image), ("video_in", count("video_in"))] {
        if let Some(own) = price(class) {
            let part = part.min(input);
            charge(0, part, own, &mut sums);
            input -= part;
        }
    }
    if input > 0 {
        charge(0, input, price("input")?, &mut sums);
    }
    let mut output = count("output");
    for class in ["reasoning", "audio_out", "image_out", "video_out", "citation"] {
        if let Some(own) = price(class) {
            charge(1, count(class), own, &mut sums);
            output -= count(class);
        }
    }
    if output > 0 {
        charge(1, output, price("output")?, &mut sums);
    }
    let special = |of: fn(&Special) -> &Amounts, standard: &Amounts, name: &str| -> Option<i128> {
        specials.iter().find_map(|special| of(special).get(name)).or_else(|| standard.get(name)).map(|amount| amount.0)
    };
    for (thing, fee) in [("request", "request"), ("web_searches", "web_search"), ("reranks", "rerank"), ("pages", "page")] {
        let number = if thing == "request" { 1 } else { count(thing) };
        if let Some(fee) = special(|v| &v.fees, &tariff.fees, fee) {
            sums[4] += i128::from(number) * fee * 1_000 * WHOLE;
        }
    }
    for (amount, unit, per) in [
        ("audio_seconds", "audio_hours", 3_600),
        ("input_audio_seconds", "input_audio_hours", 3_600),
        ("input_characters", "input_mchars", 1_000_000),
    ] {
        if let Some(price) = special(|v| &v.units, &tariff.units, unit) {
            sums[0] += i128::from(count(amount)) * price * 1_000_000 * (WHOLE / per);
        }
    }
    Some(sums.map(half_even))
}

fn half_even(sum: i128) -> i128 {
    let (whole, rest) = (sum / WHOLE, sum % WHOLE);
    whole + i128::from(rest * 2 > WHOLE || rest * 2 == WHOLE && whole % 2 == 1)
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below.max(1)
    }

    /// A part of something, often none or all of it.
    fn part(&mut self, whole: u64) -> u64 {
        match self.roll(4) {
            0 => 0,
            1 => whole,
            _ => self.roll(whole + 1),
        }
    }

    fn usage(&mut self) -> BTreeMap<&'static str, u64> {
        let large = [1_000, 50_000, 400_000, 3_000_000][self.roll(4) as usize];
        let (input, output) = (self.roll(large), self.roll(large));
        let mut counts = BTreeMap::from([("input", input), ("output", output)]);
        let read = self.part(input);
        let write = if self.roll(9) == 0 { self.roll(large) } else { self.part(input - read) };
        let long = self.part(write);
        counts.extend([("cache_read", read), ("cache_write", write), ("cache_write_1h", long)]);
        if self.roll(2) == 0 {
            counts.insert("cache_write_5m", write - long);
        }
        let audio = self.part(input);
        let image = self.part(input - audio);
        let heard = self.part(audio.min(read));
        let seen = self.part(image.min(read - heard));
        if self.roll(3) == 0 {
            counts.extend([("audio_in", audio), ("image_in", image), ("cache_read_audio", heard), ("cache_read_image", seen)]);
        }
        let mut left = output;
        for class in ["reasoning", "audio_out", "image_out", "citation"] {
            if self.roll(3) == 0 {
                let part = self.part(left);
                counts.insert(class, part);
                left -= part;
            }
        }
        for thing in ["web_searches", "reranks", "pages", "audio_seconds", "input_audio_seconds", "input_characters"] {
            if self.roll(5) == 0 {
                let number = self.roll(2_000);
                counts.insert(thing, number);
            }
        }
        counts.retain(|class, number| *number > 0 || matches!(*class, "input" | "output"));
        counts
    }
}

const CONTEXTS: [&[(&str, &str)]; 8] = [
    &[],
    &[],
    &[("processing", "batch")],
    &[("service_tier", "flex")],
    &[("service_tier", "priority")],
    &[("speed", "fast")],
    &[("region", "us")],
    &[("processing", "batch"), ("region", "us")],
];

/// Every price of some providers against as many usages; how many sums were compared, and how many prices there are.
fn compare(providers: Vec<(String, Shelf)>, seed: u64) -> (u64, u64) {
    let table = PriceTable::bundled();
    let (mut dice, mut sums, mut prices) = (Dice(seed), 0, 0);
    for (provider, shelf) in &providers {
        for sheet in &shelf.models {
            for (number, tariff) in sheet.prices.iter().enumerate() {
                // Some hour at which it is the one in force.
                let from = tariff.from.map_or(seconds("2026-11-12T09:30:00Z"), |from| from.0);
                let hours = (0..24 * 14).flat_map(|hour| [from + hour * 3_600, seconds("2019-01-01") + hour * 3_600]);
                let Some(at) = hours.into_iter().find(|at| chosen(sheet, *at) == Some(number)) else {
                    panic!("{provider}/{} {number} is never in force", sheet.id)
                };
                prices += 1;
                for _ in 0..USAGES {
                    let counts = dice.usage();
                    let context = CONTEXTS[dice.roll(CONTEXTS.len() as u64) as usize];
                    let given = context.iter().fold(Context::default(), |c, (key, value)| c.with(ContextKey::named(key).unwrap(), value));
                    let mut usage = Usage::default();
                    counts.iter().for_each(|(name, count)| assert!(usage.set_named(name, *count), "{name}"));
                    let start_time = u64::try_from(at).unwrap() * 1_000_000_000;
                    let call =
                        Call { provider: Some(provider), model: Some(&sheet.id), usage, context: given, start_time, ..Call::default() };
                    let ours = match table.price(&call) {
                        Outcome::Priced(p) => {
                            assert_eq!(
                                p.total.pico(),
                                [p.input, p.output, p.cache_read, p.cache_write, p.fees].iter().map(|usd| usd.pico()).sum()
                            );
                            Some([p.input, p.output, p.cache_read, p.cache_write, p.fees].map(Usd::pico))
                        }
                        Outcome::Unpriced(reason) => {
                            assert_eq!(reason, SkipReason::UnpricedModality, "{provider}/{} {counts:?}", sheet.id);
                            None
                        }
                    };
                    let theirs = by_hand(sheet, shelf, tariff, at, &counts, context);
                    assert_eq!(ours, theirs, "{provider}/{} at {at}: {counts:?} {context:?}", sheet.id);
                    sums += u64::from(ours.is_some());
                }
            }
        }
    }
    (sums, prices)
}

#[test]
fn a_thousand_usages_of_every_bundled_price_cost_what_the_rules_say_by_hand() {
    let options = serde_yaml::options! { with_snippet: false, strict_booleans: true };
    let book: Book = serde_yaml::from_str_with_options(include_str!("../../prices.yaml"), options).expect("the table");
    // Shared out evenly: one provider has more models than all others.
    let mut shares: Vec<Vec<(String, Shelf)>> = (0..8).map(|_| Vec::new()).collect();
    for (provider, shelf) in book.providers {
        for (number, share) in shares.iter_mut().enumerate() {
            let models = shelf.models.iter().skip(number).step_by(8).cloned().collect();
            share.push((provider.clone(), Shelf { models, multipliers: shelf.multipliers.clone() }));
        }
    }
    let totals: Vec<(u64, u64)> = std::thread::scope(|scope| {
        let threads: Vec<_> = shares
            .into_iter()
            .enumerate()
            .map(|(number, share)| scope.spawn(move || compare(share, 0x9E37_79B9 + number as u64)))
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no difference")).collect()
    });
    let (sums, prices) = totals.into_iter().fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    assert!(prices > 1_000 && sums > prices * USAGES / 2, "{sums} sums of {prices} prices");
}
