//! Dates that the text calls a birth date. Any other date stays.

use super::checks::real_date;
use super::{Detector, Number, Probe};
use crate::redact::Kind;
use crate::redact::text::{Out, Text, is_word};

/// The detector.
pub(super) const DETECTOR: Detector = Detector { probe: Probe::Number(find) };

/// Month names and their beginnings, by month, in English, German, French, Spanish, Italian, Portuguese, Dutch and Polish.
const MONTHS: [&[&str]; 12] = [
    &[
        "january", "jan", "januar", "jänner", "janvier", "janv", "enero", "ene", "gennaio", "gen", "janeiro", "januari", "stycznia",
        "styczeń", "sty",
    ],
    &[
        "february",
        "feb",
        "februar",
        "février",
        "fevrier",
        "févr",
        "fév",
        "febrero",
        "febbraio",
        "fevereiro",
        "fev",
        "februari",
        "lutego",
        "luty",
        "lut",
    ],
    &["march", "mar", "märz", "maerz", "mär", "mars", "marzo", "março", "marco", "maart", "mrt", "marca", "marzec"],
    &["april", "apr", "avril", "avr", "abril", "abr", "aprile", "kwietnia", "kwiecień", "kwi"],
    &["may", "mai", "mayo", "maggio", "mag", "maio", "mei", "maja", "maj"],
    &["june", "jun", "juni", "juin", "junio", "giugno", "giu", "junho", "czerwca", "czerwiec", "cze"],
    &["july", "jul", "juli", "juillet", "juil", "julio", "luglio", "lug", "julho", "lipca", "lipiec", "lip"],
    &["august", "aug", "août", "aout", "agosto", "ago", "augustus", "sierpnia", "sierpień", "sie"],
    &["september", "sep", "sept", "septembre", "septiembre", "settembre", "set", "setembro", "września", "wrzesień", "wrz"],
    &["october", "oct", "oktober", "okt", "octobre", "octubre", "ottobre", "ott", "outubro", "out", "października", "październik", "paź"],
    &["november", "nov", "novembre", "noviembre", "novembro", "listopada", "listopad", "lis"],
    &[
        "december",
        "dec",
        "dezember",
        "dez",
        "décembre",
        "decembre",
        "déc",
        "diciembre",
        "dic",
        "dicembre",
        "dezembro",
        "grudnia",
        "grudzień",
        "gru",
    ],
];

fn find(text: &Text<'_>, number: &Number, out: &mut Out<'_>) {
    if !out.wants(Kind::DateOfBirth) || number.digits_in(0) > 4 {
        return;
    }
    let range =
        numeric(text, number).or_else(|| worded(text, number)).or_else(|| american(text, number)).or_else(|| characters(text, number));
    if let Some((start, end)) = range
        && text.stands_alone(start, end)
        && !(start < 4 && begins_a_log_line(text, end))
    {
        out.found_in_context(text, Kind::DateOfBirth, start, end, false);
    }
}

/// A date at the start that a level of logging follows: `2026-03-04 INFO born 1980-05-12`.
fn begins_a_log_line(text: &Text<'_>, end: usize) -> bool {
    let at = text.run(end, 24, |b| !b.is_ascii_alphabetic() && b < 0x80);
    let word = text.slice(at, text.run(at, 9, |b| b.is_ascii_alphabetic()));
    [&b"INFO"[..], b"WARN", b"WARNING", b"ERROR", b"DEBUG", b"TRACE", b"FATAL"].contains(&word)
}

/// `1980-05-12`, `12.05.1980`, `5/12/1980`
fn numeric(text: &Text<'_>, number: &Number) -> Option<(usize, usize)> {
    let sep = number.sep_after(0);
    if !matches!(sep, b'-' | b'/' | b'.') || number.sep_after(1) != sep || number.sep_after(2) == sep {
        return None;
    }
    let end = number.end_of(2)?;
    let lens = [number.digits_in(0), number.digits_in(1), number.digits_in(2)];
    let mut parts = text.slice(number.start, end).split(|&b| b == sep).map(value);
    let (a, b, c) = (parts.next()?, parts.next()?, parts.next()?);
    let real = match lens {
        [4, 1..=2, 1..=2] => is_birth(a, b, c),
        [1..=2, 1..=2, 4] => is_birth(c, b, a) || is_birth(c, a, b),
        _ => false,
    };
    real.then_some((number.start, end))
}

/// `12 May 1980`, `12. Mai 1980`, `12 de mayo de 1980`, `1st of May, 1980`
fn worded(text: &Text<'_>, number: &Number) -> Option<(usize, usize)> {
    let first = number.end_of(0).filter(|_| number.digits_in(0) <= 2)?;
    let mut at = [&b"st"[..], b"nd", b"rd", b"th", b"er"].iter().find(|s| text.starts_with(first, s)).map_or(first, |s| first + s.len());
    at = text.run(at, 3, |b| matches!(b, b'.' | b' ' | b'-'));
    at = filler(text, at);
    let (month, at) = month_at(text, at)?;
    let at = filler(text, text.run(at, 3, |b| matches!(b, b'.' | b' ' | b',' | b'-')));
    let (year, end) = year_at(text, at)?;
    is_birth(year, month, value(text.slice(number.start, first))).then_some((number.start, end))
}

/// `May 12, 1980`
fn american(text: &Text<'_>, number: &Number) -> Option<(usize, usize)> {
    let first = number.end_of(0).filter(|_| number.digits_in(0) <= 2 && text.before(number.start) == b' ')?;
    let word_end = text.run_back(number.start, 2, |b| matches!(b, b' ' | b'.'));
    let named = |start: usize| month_at(text, start).filter(|(_, end)| *end == word_end).map(|(month, _)| (start, month));
    // Behind a script without spaces the name begins at its first Latin letter: `是Dec 14, 1964`.
    let (start, month) = named(text.run_back(word_end, 12, |b| b.is_ascii_alphabetic() || b >= 0x80))
        .or_else(|| named(text.run_back(word_end, 12, |b| b.is_ascii_alphabetic())))?;
    let at = [&b"st"[..], b"nd", b"rd", b"th"].iter().find(|s| text.starts_with(first, s)).map_or(first, |s| first + s.len());
    let (year, end) = year_at(text, text.run(at, 2, |b| matches!(b, b',' | b' ')))?;
    is_birth(year, month, value(text.slice(number.start, first))).then_some((start, end))
}

/// `1980年5月12日`, `1980년 5월 12일`
fn characters(text: &Text<'_>, number: &Number) -> Option<(usize, usize)> {
    let sign = |at: usize, signs: [&str; 2]| {
        signs.iter().find(|s| text.starts_with(at, s.as_bytes())).map(|s| text.run(at + s.len(), 1, |b| b == b' '))
    };
    let digits = |at: usize| {
        let end = text.run(at, 2, |b| b.is_ascii_digit());
        (end > at).then(|| (value(text.slice(at, end)), end))
    };
    let first = number.end_of(0).filter(|_| number.digits_in(0) == 4)?;
    let (month, at) = digits(sign(first, ["年", "년"])?)?;
    let (day, at) = digits(sign(at, ["月", "월"])?)?;
    let end = ["日", "일"].iter().find(|s| text.starts_with(at, s.as_bytes())).map_or(at, |s| at + s.len());
    is_birth(value(text.slice(number.start, first)), month, day).then_some((number.start, end))
}

/// Past "de", "of" and the like.
fn filler(text: &Text<'_>, at: usize) -> usize {
    [&b"de "[..], b"of ", b"del ", b"di "].iter().find(|word| text.starts_with_nocase(at, word)).map_or(at, |word| at + word.len())
}

/// The month whose name stands here, and where the name ends.
fn month_at(text: &Text<'_>, at: usize) -> Option<(u32, usize)> {
    let end = text.run(at, 16, |b| b.is_ascii_alphabetic() || b >= 0x80);
    let name = text.slice(at, end);
    let month = MONTHS.iter().position(|names| names.iter().any(|month| name.eq_ignore_ascii_case(month.as_bytes())))?;
    (!is_word(text.before(at))).then_some((month as u32 + 1, end))
}

fn year_at(text: &Text<'_>, at: usize) -> Option<(u32, usize)> {
    let end = text.run(at, 5, |b| b.is_ascii_digit());
    (end - at == 4).then(|| (value(text.slice(at, end)), end))
}

fn value(digits: &[u8]) -> u32 {
    digits.iter().take(4).fold(0, |n, b| n * 10 + u32::from(b.saturating_sub(b'0')))
}

/// A real day on which somebody alive may have been born. The stage reads no clock, so the end of the century stands for today.
fn is_birth(year: u32, month: u32, day: u32) -> bool {
    (1900..2100).contains(&year) && real_date(year, month, day)
}

#[cfg(test)]
mod tests {
    use crate::redact::Kind::DateOfBirth;
    use crate::redact::detectors::testing::{found, none};

    #[test]
    fn every_notation_is_found_behind_its_word() {
        for (text, hit) in [
            ("dob: July 1, 1968", "July 1, 1968"),
            ("geb. 03/19/1995", "03/19/1995"),
            ("dob: 11.02.1999.", "11.02.1999"),
            ("born 1980-05-12", "1980-05-12"),
            ("born on 12 May 1980", "12 May 1980"),
            ("geboren am 12. März 1980", "12. März 1980"),
            ("nacido el 12 de mayo de 1980", "12 de mayo de 1980"),
            ("née le 1er août 1980", "1er août 1980"),
            ("生年月日：1980年5月12日", "1980年5月12日"),
            ("born May 3rd, 1980", "May 3rd, 1980"),
        ] {
            assert_eq!(found(text), [(DateOfBirth, hit)], "{text}");
        }
    }

    #[test]
    fn other_dates_and_impossible_ones_stay() {
        for text in [
            "The release of 20/03/2016 replaced the one from 2025-06-05.",
            "born 1980-13-12",
            "born 1880-05-12",
            "born 31.02.1999",
            "born 1.2.3",
            "dob: 12 May",
            "born 2020-01-02-03",
        ] {
            none(text);
        }
    }
}
