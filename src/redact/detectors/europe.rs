//! Person numbers of the European Union that a check digit proves: Germany, France, Spain, Italy, the Netherlands, Poland.

use super::checks::{Digits, mod11_10, real_date};
use super::printed::{digits, read};
use super::{Detector, Number, Probe, Word};
use crate::redact::Kind;
use crate::redact::text::{Out, Text};

/// Those that begin with a digit and stand alone.
pub(super) const DETECTOR: Detector = Detector { probe: Probe::Number(number) };
/// Those that have letters.
pub(super) const DETECTOR_WORD: Detector = Detector { probe: Probe::Word(word) };

fn number(text: &Text<'_>, number: &Number, out: &mut Out<'_>) {
    let start = number.start;
    german(text, start, out);
    french(text, start, out);
    spanish(text, start, out);
    dutch(text, number, out);
    polish(text, number, out);
}

fn word(text: &Text<'_>, word: Word, out: &mut Out<'_>) {
    spanish(text, word.start, out);
    french(text, word.start, out);
    italian(text, word.start, out);
}

/// Abgabenordnung 139b: ISO 7064 MOD 11,10, and of the first ten digits exactly one stands more than once.
fn german(text: &Text<'_>, start: usize, out: &mut Out<'_>) {
    let Some(id) = read(text, start, &[2, 3, 3, 3], b" ", digits).filter(|id| id.at(0) != b'0' && text.stands_alone(start, id.end)) else {
        return;
    };
    let Some(d) = Digits::of(id.chars()) else { return };
    let body = d.as_slice().get(..10).unwrap_or_default();
    let counts = (0..10).map(|digit| body.iter().filter(|&&b| b == digit).count());
    let repeated: Vec<usize> = counts.filter(|&n| n > 1).collect();
    if mod11_10(d.as_slice()) && matches!(repeated[..], [2 | 3]) {
        out.found_in_context(text, Kind::DeSteuerId, start, id.end, true);
    }
}

/// INSEE: sex, year, month, place, order, and 97 minus the rest; Corsica's 2A and 2B count as 19 and 18.
fn french(text: &Text<'_>, start: usize, out: &mut Out<'_>) {
    let class = |at: usize, b: u8| b.is_ascii_digit() || (at == 6 && matches!(b, b'A' | b'B'));
    let Some(id) = read(text, start, &[1, 2, 2, 2, 3, 3, 2], b" ", class)
        .filter(|id| matches!(id.at(0), b'1' | b'2') && text.stands_alone(start, id.end))
    else {
        return;
    };
    let mut plain = [0u8; 15];
    plain.copy_from_slice(id.chars().get(..15).unwrap_or(&[b'0'; 15]));
    if let Some(letter) = match id.at(6) {
        b'A' => Some(b'9'),
        b'B' => Some(b'8'),
        _ => None,
    } {
        if id.at(5) != b'2' {
            return;
        }
        plain[5] = b'1';
        plain[6] = letter;
    }
    let Some(d) = Digits::of(&plain) else { return };
    let month = d.number(3, 5);
    if matches!(month, 1..=12 | 20..=42 | 50..) && 97 - d.number(0, 13) % 97 == d.number(13, 15) {
        out.found(text, Kind::FrNir, start, id.end);
    }
}

/// Real Decreto 1553/2005: the number modulo 23 picks the letter; X, Y, Z before a foreigner's number count as 0, 1, 2.
fn spanish(text: &Text<'_>, start: usize, out: &mut Out<'_>) {
    const LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";
    let (start, foreign) = match text.at(start) {
        b if b.is_ascii_digit() => match start.checked_sub(2) {
            // `X-1234567-L`: the digits begin behind the sign.
            Some(letter) if text.before(start) == b'-' && matches!(text.at(letter), b'X' | b'Y' | b'Z' | b'x' | b'y' | b'z') => {
                (letter, true)
            }
            _ => (start, false),
        },
        b'X' | b'Y' | b'Z' | b'x' | b'y' | b'z' => (start, true),
        _ => return,
    };
    let mut at = start;
    let mut value = 0usize;
    if foreign {
        value = usize::from(text.at(start).to_ascii_uppercase() - b'X');
        at += 1;
        at += usize::from(text.at(at) == b'-');
    }
    for _ in 0..if foreign { 7 } else { 8 } {
        if !text.at(at).is_ascii_digit() {
            return;
        }
        value = value * 10 + usize::from(text.at(at) - b'0');
        at += 1;
    }
    at += usize::from(text.at(at) == b'-');
    if LETTERS.get(value % 23) == Some(&text.at(at).to_ascii_uppercase()) && text.stands_alone(start, at + 1) {
        out.found(text, if foreign { Kind::EsNie } else { Kind::EsNif }, start, at + 1);
    }
}

/// Decreto ministeriale 345/1976: letters and digits count differently in odd and even places; letters may stand for digits.
fn italian(text: &Text<'_>, start: usize, out: &mut Out<'_>) {
    const ODD: [u32; 26] = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let class = |at: usize, b: u8| match at {
        8 => b"ABCDEHLMPRST".contains(&b),
        6 | 7 | 9 | 10 | 12..=14 => b.is_ascii_digit() || b"LMNPQRSTUV".contains(&b),
        _ => b.is_ascii_uppercase(),
    };
    let Some(id) = read(text, start, &[16], b"", class) else { return };
    let sum: u32 = id
        .chars()
        .iter()
        .take(15)
        .enumerate()
        .map(|(at, &b)| {
            let value = if b.is_ascii_digit() { b - b'0' } else { b - b'A' };
            if at % 2 == 0 { ODD.get(usize::from(value)).copied().unwrap_or(0) } else { u32::from(value) }
        })
        .sum();
    if sum % 26 == u32::from(id.at(15).wrapping_sub(b'A')) && text.stands_alone(start, id.end) {
        out.found(text, Kind::ItCodiceFiscale, start, id.end);
    }
}

/// The eleven test of the Dutch tax office; numbers of eight digits have a zero in front.
fn dutch(text: &Text<'_>, number: &Number, out: &mut Out<'_>) {
    let start = number.start;
    let Some(end) = number.solid(9).or_else(|| number.solid(8)).filter(|&end| text.stands_alone(start, end)) else { return };
    let Some(d) = Digits::of(text.slice(start, end)) else { return };
    let weights: &[u32] = if d.len() == 9 { &[9, 8, 7, 6, 5, 4, 3, 2] } else { &[8, 7, 6, 5, 4, 3, 2] };
    let last = d.at(d.len() - 1);
    if d.weighted(weights) % 11 == last && !d.all_equal() {
        out.found_in_context(text, Kind::NlBsn, start, end, true);
    }
}

/// Ustawa o ewidencji ludności: a date whose month tells the century, a check digit.
fn polish(text: &Text<'_>, number: &Number, out: &mut Out<'_>) {
    let start = number.start;
    let Some(end) = number.solid(11).filter(|&end| text.stands_alone(start, end)) else { return };
    let Some(d) = Digits::of(text.slice(start, end)) else { return };
    let (year, month, day) = (d.number(0, 2) as u32, d.number(2, 4) as u32, d.number(4, 6) as u32);
    let century = [1900, 2000, 2100, 2200, 1800].get((month / 20) as usize).copied().unwrap_or(0);
    let check = (10 - d.weighted(&[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10) % 10;
    if check == d.at(10) && real_date(century + year, month % 20, day) {
        out.found_in_context(text, Kind::PlPesel, start, end, true);
    }
}

#[cfg(test)]
mod tests {
    use crate::redact::Kind::{DeSteuerId, EsNie, EsNif, FrNir, ItCodiceFiscale, NlBsn, PlPesel};
    use crate::redact::detectors::testing::{found, none};

    #[test]
    fn numbers_that_prove_themselves_need_no_word() {
        for (kind, hit) in [
            (FrNir, "237108230827303"),
            (FrNir, "2 47 08 53 080 937 38"),
            (EsNif, "31246375R"),
            (EsNif, "31246375-r"),
            (EsNie, "X2549912V"),
            (EsNie, "Z-2137569-T"),
            (ItCodiceFiscale, "PRGMLB79S07M652O"),
        ] {
            assert_eq!(found(&format!("it is {hit}, ok")), [(kind, hit)], "{hit}");
        }
    }

    #[test]
    fn plain_digits_need_their_word() {
        for (kind, text, hit) in [
            (DeSteuerId, "Steuer-IdNr. 83507769145", "83507769145"),
            (DeSteuerId, "Steuer-ID: 83 507 769 145", "83 507 769 145"),
            (NlBsn, "bsn 819129914", "819129914"),
            (PlPesel, "pesel: 79061047000", "79061047000"),
        ] {
            assert_eq!(found(text), [(kind, hit)]);
            none(&format!("ref {hit}"));
        }
    }

    #[test]
    fn a_wrong_check_digit_proves_the_opposite() {
        for text in [
            "237108230827304",
            "31246375S",
            "X2549912W",
            "PRGMLB79S07M652P",
            "PRGMLB79S07M652OX",
            "Steuer-IdNr. 83507769146",
            "bsn 819129915",
            "pesel: 79061047001",
            "pesel: 79151047000",
            "id-31246375R",
        ] {
            none(text);
        }
    }
}
