//! When a price holds: from which instant, at which hours, for which kind of call.
//!
//! A span is priced by the moment its call started, today and on every replay, so nothing here reads a clock.

use crate::enrich::price::usage::{Context, ContextKey};

const NANOS: u64 = 1_000_000_000;
const DAY: u64 = 86_400;

/// Nanoseconds since 1970 for a date (midnight UTC) or an instant (`2026-05-15T19:00:00Z`; no zone is UTC).
///
/// What lies before 1970 or past 2554 is the nearest moment that can be told.
pub fn parse_instant(text: &str) -> Option<u64> {
    let text = text.trim();
    let (date, clock) = match text.split_once(['T', 't', ' ']) {
        Some((date, clock)) => (date, Some(clock)),
        None => (text, None),
    };
    let days = parse_date(date)?;
    let (seconds, nanos) = clock.map_or(Some((0, 0)), parse_clock)?;
    let seconds = days.checked_mul(DAY as i64)?.checked_add(seconds)?;
    let Ok(seconds) = u64::try_from(seconds) else { return Some(0) };
    Some(seconds.saturating_mul(NANOS).saturating_add(nanos))
}

/// Days since 1970-01-01.
fn parse_date(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 || month.len() != 2 || day.len() != 2 {
        return None;
    }
    let (year, month, day) = (digits(year)?, digits(month)?, digits(day)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Years from March on, so that a leap day is the last day of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    Some(era * 146_097 + year * 365 + year / 4 - year / 100 + day_of_year - 719_468)
}

/// Seconds after midnight UTC, and nanoseconds.
fn parse_clock(text: &str) -> Option<(i64, u64)> {
    let (clock, offset) = match text.find(['Z', 'z', '+', '-']) {
        Some(at) => (text.get(..at)?, text.get(at..)?),
        None => (text, "Z"),
    };
    let offset = match offset.as_bytes().first()? {
        b'Z' | b'z' if offset.len() == 1 => 0,
        b'+' => parse_minutes(offset.get(1..)?)? * 60,
        b'-' => -parse_minutes(offset.get(1..)?)? * 60,
        _ => return None,
    };
    let minutes = parse_minutes(clock.get(..5)?)?;
    let rest = clock.get(5..)?;
    let (seconds, nanos) = match rest.strip_prefix(':') {
        None if rest.is_empty() => (0, 0),
        None => return None,
        Some(rest) => {
            let (seconds, part) = rest.split_once('.').unwrap_or((rest, "0"));
            if seconds.len() != 2 || part.is_empty() || part.len() > 9 {
                return None;
            }
            let scale = 10i64.pow(9 - part.len() as u32);
            (digits(seconds).filter(|s| *s <= 60)?, digits(part)? * scale)
        }
    };
    Some((minutes * 60 + seconds - offset, nanos as u64))
}

/// `16:30` as minutes; 24:00 is the end of the day.
fn parse_minutes(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let total = digits(hours)? * 60 + digits(minutes).filter(|m| *m < 60)?;
    (total <= 24 * 60).then_some(total)
}

fn digits(text: &str) -> Option<i64> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// A window of UTC hours, its end excluded; it may pass midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Daily {
    from: u64,
    to: u64,
    /// Bit 0 is Monday.
    days: u8,
}

impl Daily {
    /// From times of day (`16:30`) and days of the week (`mon`), none of which means all of them; on error, what is wrong.
    pub fn parse<'a>(from: &'a str, to: &'a str, days: impl IntoIterator<Item = &'a str>) -> Result<Daily, &'a str> {
        let seconds = |text: &'a str| parse_minutes(text.trim()).and_then(|m| u64::try_from(m * 60).ok()).ok_or(text);
        let mut mask = 0;
        for day in days {
            let at = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].iter().position(|known| day.eq_ignore_ascii_case(known));
            mask |= 1u8 << at.ok_or(day)?;
        }
        Ok(Daily { from: seconds(from)?, to: seconds(to)?, days: if mask == 0 { 0x7f } else { mask } })
    }

    /// True if the moment is in the window, on a day that the *moment* belongs to.
    pub fn holds(&self, nanos: u64) -> bool {
        let seconds = nanos / NANOS;
        // 1970-01-01 was a Thursday.
        let weekday = (seconds / DAY + 3) % 7;
        let clock = seconds % DAY;
        let inside = if self.from < self.to { self.from <= clock && clock < self.to } else { self.from <= clock || clock < self.to };
        inside && self.days & (1 << weekday) != 0
    }
}

/// What a call must be: every key, any of its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions(Vec<(ContextKey, Vec<String>)>);

impl Conditions {
    /// Adds a key; one of the values must match, in which `*` stands for any text.
    pub fn add(&mut self, key: ContextKey, values: impl IntoIterator<Item = String>) {
        self.0.push((key, values.into_iter().collect()));
    }

    /// True if nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if the call is all of it.
    pub fn hold(&self, context: &Context<'_>) -> bool {
        self.0.iter().all(|(key, values)| context.get(*key).is_some_and(|given| values.iter().any(|v| glob(v, given).is_some())))
    }

    /// True if it asks about this key.
    pub fn name(&self, key: ContextKey) -> bool {
        self.0.iter().any(|(named, _)| *named == key)
    }
}

impl std::fmt::Display for Conditions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, (key, values)) in self.0.iter().enumerate() {
            write!(f, "{}{} {}", if i == 0 { "" } else { ", " }, key.name(), values.join(" or "))?;
        }
        Ok(())
    }
}

/// Matches without regard to case, `*` standing for any text; gives what the first `*` stood for, or nothing at all.
pub fn glob<'t>(pattern: &str, text: &'t str) -> Option<&'t str> {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern.eq_ignore_ascii_case(text).then_some("") };
    let rest = strip_head(text, head)?;
    if !tail.contains('*') {
        let cut = rest.len().checked_sub(tail.len())?;
        return rest.get(cut..).filter(|end| end.eq_ignore_ascii_case(tail)).and_then(|_| rest.get(..cut));
    }
    // More than one star: the first takes as little as it can. Patterns are short and come from the operator.
    rest.char_indices().map(|(at, _)| at).find_map(|at| glob(tail, rest.get(at..)?).and_then(|_| rest.get(..at)))
}

fn strip_head<'t>(text: &'t str, head: &str) -> Option<&'t str> {
    text.get(..head.len()).filter(|start| start.eq_ignore_ascii_case(head)).and_then(|_| text.get(head.len()..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_in_every_usual_form() {
        assert_eq!(parse_instant("1970-01-01"), Some(0));
        assert_eq!(parse_instant("2026-11-12T09:30:00Z"), Some(1_794_475_800 * NANOS));
        assert_eq!(parse_instant("2026-11-12T11:30:00+02:00"), parse_instant("2026-11-12T09:30Z"));
        assert_eq!(parse_instant("2024-02-29 00:00:00.5"), Some(1_709_164_800 * NANOS + NANOS / 2));
        assert_eq!(parse_instant("1969-12-31T23:59:59Z"), Some(0));
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for text in ["", "2026", "2026-13-01", "2026-02-29", "2026-1-1", "2026-01-01T", "2026-01-01T25:00Z", "2026-01-01T10:00ZZ", "é"] {
            assert_eq!(parse_instant(text), None, "{text}");
        }
    }

    #[test]
    fn a_window_may_pass_midnight_and_leaves_out_its_end() {
        let night = Daily::parse("16:30", "00:30", []).unwrap();
        let at = |text| night.holds(parse_instant(text).unwrap());
        assert!(at("2026-01-01T16:30:00Z") && at("2026-01-01T23:59:59Z") && at("2026-01-02T00:29:59Z"));
        assert!(!at("2026-01-02T00:30:00Z") && !at("2026-01-01T16:29:59Z"));
    }

    #[test]
    fn the_day_is_the_day_of_the_moment() {
        let friday_night = Daily::parse("22:00", "02:00", ["fri"]).unwrap();
        let at = |text| friday_night.holds(parse_instant(text).unwrap());
        assert!(at("2026-11-13T23:00:00Z") && at("2026-11-13T01:00:00Z"), "both are on Friday");
        assert!(!at("2026-11-14T01:00:00Z"), "already Saturday");
        assert_eq!(Daily::parse("22:00", "25:00", []), Err("25:00"));
        assert_eq!(Daily::parse("22:00", "23:00", ["friday"]), Err("friday"));
    }

    #[test]
    fn a_star_stands_for_any_text() {
        assert_eq!(glob("*-aiplatform.googleapis.com", "us-east5-aiplatform.googleapis.com"), Some("us-east5"));
        assert_eq!(glob("bedrock-runtime.*.amazonaws.com", "bedrock-runtime.EU-west-1.amazonaws.com"), Some("EU-west-1"));
        assert_eq!(glob("us", "US"), Some(""));
        assert_eq!(glob("us-*", "us"), None);
        assert_eq!(glob("a*b*c", "axxbyyc"), Some("xx"));
        assert_eq!(glob("ä*", "a"), None);
    }
}
