//! British numbers: national insurance, by its prefix rules; health service, by its check digit.

use super::checks::Digits;
use super::printed::{digits, read};
use super::{Detector, Number, Probe, Word};
use crate::redact::Kind;
use crate::redact::text::{Out, Text};

/// National insurance, beginning in a word.
pub(super) const DETECTOR_NINO: Detector = Detector { probe: Probe::Word(|text, word, out| nino(text, word.start, out)) };
/// National insurance in spaced pairs, and the health service number.
pub(super) const DETECTOR: Detector = Detector { probe: Probe::Number(number) };
/// The driving licence that carries its own structure.
pub(super) const DETECTOR_LICENCE: Detector = Detector { probe: Probe::Word(licence) };

fn number(text: &Text<'_>, number: &Number, out: &mut Out<'_>) {
    let start = number.start;
    if matches!(number.digits_in(0), 2 | 6)
        && let Some(from) = start.checked_sub(3)
        && text.before(start) == b' '
    {
        nino(text, from, out);
    }
    if number.could_be(&[3, 3, 4])
        && let Some(id) = read(text, start, &[3, 3, 4], b" -", digits)
        && text.stands_alone(start, id.end)
        && let Some(d) = Digits::of(id.chars())
    {
        // NHS data dictionary: modulus 11, weights 10 to 2; 10 is never issued, 11 is written 0.
        let check = 11 - d.weighted(&[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
        if check % 11 == d.at(9) && check != 10 && !d.all_equal() {
            out.found_in_context(text, Kind::UkNhs, start, id.end, true);
        }
    }
}

/// Two letters, three pairs of digits, a letter; spaces anywhere between. HMRC manual NIM39110.
fn nino(text: &Text<'_>, start: usize, out: &mut Out<'_>) {
    let space = |at: usize| at + usize::from(text.at(at) == b' ');
    let letter = |at: usize| text.at(at).to_ascii_uppercase();
    let (first, second) = (letter(start), letter(start + 1));
    let issued = first.is_ascii_uppercase()
        && second.is_ascii_uppercase()
        && !b"DFIQUV".contains(&first)
        && !b"DFIOQUV".contains(&second)
        && ![&b"BG"[..], b"GB", b"KN", b"NK", b"NT", b"TN", b"ZZ"].contains(&&[first, second][..]);
    if !issued {
        return;
    }
    let mut at = start + 2;
    for _ in 0..3 {
        at = space(at);
        if !(text.at(at).is_ascii_digit() && text.at(at + 1).is_ascii_digit()) {
            return;
        }
        at += 2;
    }
    at = space(at);
    let spaced = at - start > 8;
    let lower = text.at(at).is_ascii_lowercase() || text.at(start).is_ascii_lowercase();
    if matches!(letter(at), b'A'..=b'D') && text.stands_alone(start, at + 1) && !(spaced && lower) {
        out.found(text, Kind::UkNino, start, at + 1);
    }
}

/// DVLA: five of the surname, decade, month and day of birth (51 to 62 for women), year, initials, and three more.
fn licence(text: &Text<'_>, word: Word, out: &mut Out<'_>) {
    let d = |b: u8| b.is_ascii_digit();
    let Some(id) = read(text, word.start, &[16], b"", |at, b| match at {
        0..=4 | 11 | 12 => b.is_ascii_uppercase() || b == b'9',
        5..=10 => d(b),
        13 => b.is_ascii_alphanumeric(),
        _ => b.is_ascii_uppercase(),
    }) else {
        return;
    };
    let Some(digits) = Digits::of(id.chars().get(5..11).unwrap_or_default()) else { return };
    let (month, day) = (digits.number(1, 3), digits.number(3, 5));
    let real = matches!(month, 1..=12 | 51..=62) && (1..=31).contains(&day) && id.at(0).is_ascii_uppercase();
    if real
        && text.stands_alone(word.start, id.end)
        && text.slice(word.start, id.end).iter().all(|b| !b.is_ascii_lowercase())
        && out.wants(Kind::DriverLicense)
    {
        // Its structure proves it, so the word that other licences need is not asked for.
        out.secret(text, Kind::DriverLicense, "uk", word.start, id.end);
    }
}

#[cfg(test)]
mod tests {
    use crate::redact::Kind::{DriverLicense, UkNhs, UkNino};
    use crate::redact::detectors::testing::{found, none};

    #[test]
    fn insurance_numbers_are_found_solid_and_spaced() {
        for hit in ["WX 95 38 88 D", "KZ419200A", "kz419200a", "AB 123456 C"] {
            assert_eq!(found(&format!("NI no. {hit}.")), [(UkNino, hit)]);
        }
        for text in ["DA123456A", "GB123456A", "AO123456A", "AB123456E", "AB12345A", "XAB123456A", "we 12 34 56 a"] {
            none(text);
        }
    }

    #[test]
    fn health_numbers_need_word_and_check_digit() {
        assert_eq!(found("nhs id 4498331907"), [(UkNhs, "4498331907")]);
        assert_eq!(found("NHS 449 833 1907"), [(UkNhs, "449 833 1907")]);
        none("nhs id 4498331908");
        none("id 4498331907");
    }

    #[test]
    fn a_driving_licence_proves_itself() {
        assert_eq!(found("no MORGA657054SM9IJ"), [(DriverLicense, "MORGA657054SM9IJ")]);
        none("no MORGA677054SM9IJ");
    }
}
