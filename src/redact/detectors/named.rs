//! Numbers that only a word makes somebody's: bank accounts, passports, driving licences.
//!
//! They have no check digit, so what is plainly something else (a date, an amount, a year) is left out even where the
//! word stands.

use super::checks::{Digits, real_date};
use super::{Detector, Number, Probe, Word};
use crate::redact::Kind;
use crate::redact::text::{Out, Text};

/// Those of digits.
pub(super) const DETECTOR: Detector = Detector { probe: Probe::Number(number) };
/// Those with letters.
pub(super) const DETECTOR_WORD: Detector = Detector { probe: Probe::Word(word) };

fn number(text: &Text<'_>, number: &Number, out: &mut Out<'_>) {
    let start = number.start;
    let solid = number.digits_in(0);
    let Some(first) = number.end_of(0) else { return };
    if (6..=20).contains(&solid) && text.stands_alone(start, first) && !is_date(text.slice(start, first)) && !is_amount(text, start, first)
    {
        if (6..=17).contains(&solid) && !is_epoch(text.slice(start, first)) {
            out.found_in_context(text, Kind::BankAccount, start, first, false);
        }
        if (6..=9).contains(&solid) {
            out.found_in_context(text, Kind::Passport, start, first, false);
        }
        if (6..=20).contains(&solid) {
            out.found_in_context(text, Kind::DriverLicense, start, first, false);
        }
    }
    grouped_account(text, number, out);
    licence_with_signs(text, start, out);
}

/// `1234-5678-9012`, `12 345 678`: groups with one sign, none of them a year or a day.
fn grouped_account(text: &Text<'_>, number: &Number, out: &mut Out<'_>) {
    let (start, sep) = (number.start, number.sep_after(0));
    if !matches!(sep, b' ' | b'-') {
        return;
    }
    let mut len = 1;
    while len < number.len() && number.sep_after(len - 1) == sep {
        len += 1;
    }
    let Some(end) = number.end_of(len - 1) else { return };
    let total: usize = (0..len).map(|group| number.digits_in(group)).sum();
    let short = (0..len).any(|group| number.digits_in(group) < 2);
    let years = (0..len).all(|group| number.digits_in(group) == 4 && is_year(text, number, group));
    if (8..=17).contains(&total)
        && !short
        && !years
        && len > 1
        && text.stands_alone(start, end)
        && !is_date(text.slice(start, end))
        && !is_amount(text, start, end)
    {
        out.found_in_context(text, Kind::BankAccount, start, end, false);
    }
}

fn is_year(text: &Text<'_>, number: &Number, group: usize) -> bool {
    number
        .end_of(group)
        .and_then(|end| end.checked_sub(4))
        .is_some_and(|from| text.starts_with(from, b"19") || text.starts_with(from, b"20"))
}

fn word(text: &Text<'_>, word: Word, out: &mut Out<'_>) {
    let (start, end) = (word.start, word.end);
    let value = text.slice(start, end);
    let upper = value.iter().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
    let digits = value.iter().filter(|b| b.is_ascii_digit()).count();
    if upper && text.stands_alone(start, end) {
        if (6..=9).contains(&value.len()) && digits >= 3 {
            out.found_in_context(text, Kind::Passport, start, end, false);
        }
        if (5..=20).contains(&value.len()) && digits >= 4 {
            out.found_in_context(text, Kind::DriverLicense, start, end, false);
        }
    }
    if upper {
        licence_with_signs(text, start, out);
    }
}

/// `D123-4567-8901`: capitals and digits with `-` inside.
fn licence_with_signs(text: &Text<'_>, start: usize, out: &mut Out<'_>) {
    let end = text.run(start, 24, |b| b.is_ascii_digit() || b.is_ascii_uppercase() || b == b'-');
    let value = text.slice(start, end);
    if !value.contains(&b'-') {
        return;
    }
    let digits = value.iter().filter(|b| b.is_ascii_digit()).count();
    let parts = || value.split(|b| *b == b'-');
    let years = parts().all(|part| part.len() == 4 && (part.starts_with(b"19") || part.starts_with(b"20")));
    let shaped = parts().all(|part| !part.is_empty()) && parts().count() <= 5;
    if shaped && (5..=20).contains(&value.len()) && digits >= 5 && !years && !is_date(value) && text.stands_alone(start, end) {
        out.found_in_context(text, Kind::DriverLicense, start, end, false);
    }
}

/// `20240131`, `2024-01-31`, `31-01-2024`.
fn is_date(value: &[u8]) -> bool {
    let Some(d) = Digits::of(value).filter(|d| d.len() == 8 && value.iter().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b' '))) else {
        return false;
    };
    let part = |from: usize, to: usize| d.number(from, to) as u32;
    let year = |y: u32| (1900..2100).contains(&y);
    (year(part(0, 4)) && real_date(part(0, 4), part(4, 6), part(6, 8)))
        || (year(part(4, 8))
            && (real_date(part(4, 8), part(2, 4), part(0, 2)) || real_date(part(4, 8), part(0, 2), part(2, 4)))
            && value.contains(&b'-'))
}

/// Milliseconds and finer since 1970, of these decades.
fn is_epoch(value: &[u8]) -> bool {
    matches!(value.len(), 13 | 16) && value.first() == Some(&b'1') && value.get(1).is_some_and(|b| (b'4'..=b'9').contains(b))
}

/// Money, a share, or a count of something.
fn is_amount(text: &Text<'_>, start: usize, end: usize) -> bool {
    let before = start - usize::from(text.before(start) == b' ');
    let sign = text.before(before) == b'$'
        || (text.before(before) == b'#' && !names_account(text, before - 1))
        || ["€", "£", "¥", "₹"].iter().any(|s| text.slice(before.saturating_sub(s.len()), before) == s.as_bytes());
    let after = end + usize::from(text.at(end) == b' ');
    let unit = text.at(end) == b'%'
        || ["€", "£", "USD", "EUR", "GBP", "tokens", "ms", "dollars", "euros"].iter().any(|unit| text.starts_with(after, unit.as_bytes()));
    sign || unit
}

/// `account #12345678`, `passport # 123456789`: the sign is for "number", and the number is not that of an order.
fn names_account(text: &Text<'_>, sign: usize) -> bool {
    let end = sign - usize::from(text.before(sign) == b' ');
    let word = text.slice(text.run_back(end, 12, |b| b.is_ascii_alphabetic() || b == b'/'), end);
    [&b"account"[..], b"acct", b"a/c", b"acc", b"passport", b"license", b"licence", b"dl", b"konto", b"kontonummer"]
        .iter()
        .any(|name| word.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use crate::redact::Kind::{BankAccount, DriverLicense, Passport};
    use crate::redact::detectors::testing::{found, none};

    #[test]
    fn a_word_makes_a_number_somebodys() {
        for (kind, text, hit) in [
            (BankAccount, "bank acct 46084593410872", "46084593410872"),
            (BankAccount, "account #46084593", "46084593"),
            (BankAccount, "Konto 1234 5678 90", "1234 5678 90"),
            (Passport, "passport A2896003", "A2896003"),
            (Passport, "Reisepass C01X00T47", "C01X00T47"),
            (DriverLicense, "driving licence no V204386611541", "V204386611541"),
            (DriverLicense, "DL D123-4567-8901", "D123-4567-8901"),
        ] {
            assert_eq!(found(text), [(kind, hit)], "{text}");
            none(&format!("ref {hit}"));
        }
    }

    #[test]
    fn dates_amounts_and_years_stay() {
        for text in [
            "order #46084593 of this account",
            "account opened 2024-01-31",
            "account opened 20240131",
            "bank fee $1234567",
            "account balance 1234567 EUR",
            "MIT License, 2015-2020",
            "bank years 2019 2020",
            "account ts 1763635200000",
            "passport valid in 2031",
            "license MIT",
        ] {
            none(text);
        }
    }
}
