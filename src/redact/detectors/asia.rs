//! Numbers of India, Singapore, Korea, Japan and Australia.

use super::checks::{Digits, real_date, verhoeff};
use super::printed::{digits, read};
use super::{Detector, Number, Probe, Word};
use crate::redact::text::{Out, Text};
use crate::redact::{Kind, context};

/// Those of digits.
pub(super) const DETECTOR: Detector = Detector { probe: Probe::Number(number) };
/// Those with letters.
pub(super) const DETECTOR_WORD: Detector = Detector { probe: Probe::Word(word) };

fn number(text: &Text<'_>, number: &Number, out: &mut Out<'_>) {
    twelve(text, number.start, out);
    korean(text, number, out);
    australian(text, number.start, out);
}

fn word(text: &Text<'_>, word: Word, out: &mut Out<'_>) {
    let (start, end) = (word.start, word.end);
    if !text.stands_alone(start, end) {
        return;
    }
    let value = text.slice(start, end);
    let lower = value.iter().any(u8::is_ascii_lowercase);
    match value.len() {
        // Income-tax rule 114: the fourth letter is the kind of holder.
        10 => {
            let Some(id) =
                read(text, start, &[10], b"", |at, b| if (5..9).contains(&at) { b.is_ascii_digit() } else { b.is_ascii_uppercase() })
            else {
                return;
            };
            let kind = b"ABCFGHJKLPT".contains(&id.at(3));
            if kind && (!lower || text.context(start, end) & context::PAN != 0) {
                out.found(text, Kind::InPan, start, end);
            }
        }
        9 => {
            let Some(id) =
                read(text, start, &[9], b"", |at, b| if (1..8).contains(&at) { b.is_ascii_digit() } else { b.is_ascii_uppercase() })
            else {
                return;
            };
            if singapore_holds(id.chars()) && (!lower || text.context(start, end) & context::NRIC != 0) {
                out.found(text, Kind::SgNric, start, end);
            }
        }
        _ => {}
    }
}

/// The letter that the weighted digits pick; T and G were issued from 2000 on, M from 2022 on.
fn singapore_holds(id: &[u8]) -> bool {
    let [series, digits @ .., check] = id else { return false };
    let sum: u32 = digits.iter().zip([2, 7, 6, 5, 4, 3, 2]).map(|(b, weight)| u32::from(b - b'0') * weight).sum();
    let at = |table: &[u8; 11], plus: u32| table.get(((sum + plus) % 11) as usize) == Some(check);
    match series {
        b'S' => at(b"JZIHGFEDCBA", 0),
        b'T' => at(b"JZIHGFEDCBA", 4),
        b'F' => at(b"XWUTRQPNMLK", 0),
        b'G' => at(b"XWUTRQPNMLK", 4),
        // Published both ways round; each letter stands in one row only where they differ.
        b'M' => at(b"XWUTRQPNJLK", 3) || at(b"KLJNPQRTUWX", 3),
        _ => false,
    }
}

/// Twelve digits: Aadhaar by Verhoeff, My Number by its own weights.
fn twelve(text: &Text<'_>, start: usize, out: &mut Out<'_>) {
    let Some(id) = read(text, start, &[4, 4, 4], b" -:", digits).filter(|id| text.stands_alone(start, id.end)) else { return };
    let Some(d) = Digits::of(id.chars()).filter(|d| !d.all_equal()) else { return };
    if d.at(0) >= 2 && verhoeff(d.as_slice()) {
        out.found_in_context(text, Kind::InAadhaar, start, id.end, true);
    }
    let check = match d.weighted(&[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11 {
        0 | 1 => 0,
        rest => 11 - rest,
    };
    if check == d.at(11) {
        out.found_in_context(text, Kind::JpMyNumber, start, id.end, true);
    }
}

/// Resident registration: date of birth, and a digit for sex and century. The last digit stopped being a check in 2020.
fn korean(text: &Text<'_>, number: &Number, out: &mut Out<'_>) {
    let start = number.start;
    let (end, printed) = match (number.shape(&[6, 7], b"-"), number.solid(13)) {
        (Some(end), _) => (end, true),
        (None, Some(end)) => (end, false),
        _ => return,
    };
    if !text.stands_alone(start, end) {
        return;
    }
    let Some(d) = Digits::of(text.slice(start, end)) else { return };
    let century = match d.at(6) {
        1 | 2 | 5 | 6 => 1900,
        3 | 4 | 7 | 8 => 2000,
        _ => return,
    };
    if real_date(century + d.number(0, 2) as u32, d.number(2, 4) as u32, d.number(4, 6) as u32) {
        match printed {
            true => out.found(text, Kind::KrRrn, start, end),
            false => out.found_in_context(text, Kind::KrRrn, start, end, false),
        }
    }
}

/// Tax file, business and Medicare numbers, each with its weights.
fn australian(text: &Text<'_>, start: usize, out: &mut Out<'_>) {
    if let Some(id) = read(text, start, &[3, 3, 3], b" -", digits).filter(|id| text.stands_alone(start, id.end))
        && let Some(d) = Digits::of(id.chars())
        && d.weighted(&[1, 4, 3, 7, 5, 8, 6, 9, 10]) % 11 == 0
        && !d.all_equal()
    {
        out.found_in_context(text, Kind::AuTfn, start, id.end, true);
    }
    if let Some(id) = read(text, start, &[2, 3, 3, 3], b" ", digits).filter(|id| text.stands_alone(start, id.end))
        && let Some(d) = Digits::of(id.chars())
        && d.at(0) > 0
        && (d.weighted(&[10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]) - 10) % 89 == 0
    {
        out.found_in_context(text, Kind::AuAbn, start, id.end, true);
    }
    let card = read(text, start, &[4, 5, 1], b" -", digits)
        .or_else(|| read(text, start, &[4, 5, 1, 1], b" -/", digits))
        .or_else(|| read(text, start, &[11], b"", digits));
    if let Some(id) = card.filter(|id| text.stands_alone(start, id.end))
        && let Some(d) = Digits::of(id.chars())
        && matches!(d.at(0), 2..=6)
        && d.weighted(&[1, 3, 7, 9, 1, 3, 7, 9]) % 10 == d.at(8)
    {
        out.found_in_context(text, Kind::AuMedicare, start, id.end, true);
    }
}

#[cfg(test)]
mod tests {
    use crate::redact::Kind::{AuAbn, AuMedicare, AuTfn, InAadhaar, InPan, JpMyNumber, KrRrn, SgNric};
    use crate::redact::detectors::testing::{found, none};

    #[test]
    fn identifiers_with_letters_prove_themselves() {
        assert_eq!(found("card NBCGN8808V"), [(InPan, "NBCGN8808V")]);
        assert_eq!(found("pan nbcgn8808v"), [(InPan, "nbcgn8808v")]);
        assert_eq!(found("it is S6715448G"), [(SgNric, "S6715448G")]);
        assert_eq!(found("fin f0420070p"), [(SgNric, "f0420070p")]);
        assert_eq!(found("750701-2032698"), [(KrRrn, "750701-2032698")]);
        for text in ["NBCZN8808V", "nbcgn8808v", "S6715448H", "f0420070p", "751301-2032698", "750701-9032698", "x-NBCGN8808V"] {
            none(text);
        }
    }

    #[test]
    fn digits_need_word_and_check() {
        for (kind, word, hit, near) in [
            (InAadhaar, "aadhaar", "880068250547", "880068250548"),
            (InAadhaar, "aadhaar", "5000 2252 0663", "5000 2252 0664"),
            (AuTfn, "tfn", "854 026 373", "854 026 374"),
            (AuAbn, "abn:", "99 717 410 757", "99 717 410 758"),
            (AuMedicare, "medicare no", "4408 80264 5", "4408 80254 5"),
            (AuMedicare, "medicare no", "3822793954", "3822793854"),
            (JpMyNumber, "個人番号", "353530529541", "353530529542"),
        ] {
            assert_eq!(found(&format!("{word} {hit}")), [(kind, hit)]);
            none(&format!("ref {hit}"));
            none(&format!("{} {near}", word.trim_end_matches(" no")));
        }
    }
}
