//! Codes that stand behind their name: the three digits on a card, the code of a bank.
//!
//! Without the name three digits are nothing, so the name wakes the detector and the code is read from there. Looked for only where the
//! config asks.

use super::{Detector, Probe, Set};
use crate::redact::Kind;
use crate::redact::text::{Out, Text, is_word};

/// The detector.
pub(super) const DETECTOR: Detector = Detector { probe: Probe::Window(windows, find) };

/// Bytes between the name and the code: ` is: "`.
const GAP: usize = 16;

fn windows() -> Vec<[Set; 3]> {
    [b"cvv", b"cvc", b"bic", b"ift"].map(Set::letters).to_vec()
}

fn find(text: &Text<'_>, at: usize, out: &mut Out<'_>) -> usize {
    if !text.limits.optional() {
        return at + 1;
    }
    let start = text.run_back(at, 16, |b| b.is_ascii_alphabetic());
    let end = text.run(at, 16, |b| b.is_ascii_alphanumeric());
    let name = text.slice(start, end);
    let is = |names: &[&[u8]]| names.iter().any(|word| name.eq_ignore_ascii_case(word));
    // Past "code", "is", signs and quotes.
    let mut from = text.run(end, GAP, |b| !b.is_ascii_alphanumeric() && b < 0x80 && b != b'\n');
    for filler in [&b"code"[..], b"number", b"is"] {
        if text.starts_with_nocase(from, filler) && !is_word(text.at(from + filler.len())) {
            from = text.run(from + filler.len(), GAP, |b| !b.is_ascii_alphanumeric() && b < 0x80 && b != b'\n');
        }
    }
    // "a swift DECISION" is none: the name is in capitals, or a sign stands between.
    let said = name.iter().all(u8::is_ascii_uppercase) || text.slice(end, from).iter().any(|b| matches!(b, b':' | b'='));
    let to = text.run(from, 12, |b| b.is_ascii_alphanumeric());
    let code = text.slice(from, to);
    if is(&[b"cvv", b"cvv2", b"cvc", b"cvc2"])
        && matches!(code.len(), 3 | 4)
        && code.iter().all(u8::is_ascii_digit)
        && text.stands_alone(from, to)
    {
        out.secret(text, Kind::Cvv, "", from, to);
    } else if is(&[b"bic", b"swift"]) && said && is_bic(code) && text.stands_alone(from, to) {
        out.secret(text, Kind::SwiftBic, "", from, to);
    }
    end
}

/// ISO 9362: four of the bank, two of the country, two of the place, three of the branch or none.
fn is_bic(code: &[u8]) -> bool {
    matches!(code.len(), 8 | 11)
        && code
            .iter()
            .enumerate()
            .all(|(place, b)| if place < 6 { b.is_ascii_uppercase() } else { b.is_ascii_uppercase() || b.is_ascii_digit() })
}

#[cfg(test)]
mod tests {
    use crate::redact::Kind::{Cvv, SwiftBic};
    use crate::redact::detectors::Limits;
    use crate::redact::detectors::testing::{found_with, none};

    #[test]
    fn codes_behind_their_names_are_found_where_they_are_asked_for() {
        let wide = Limits::new(true, false);
        for (text, kind, hit) in [
            ("CVV: 123", Cvv, "123"),
            ("cvc is 1234, ok", Cvv, "1234"),
            ("\"cvv2\":\"987\"", Cvv, "987"),
            ("BIC DEUTDEFF500", SwiftBic, "DEUTDEFF500"),
            ("SWIFT code: NEDSZAJJ", SwiftBic, "NEDSZAJJ"),
        ] {
            assert_eq!(found_with(text, None, &wide), [(kind, hit)], "{text}");
            none(text);
        }
        for text in ["CVV hidden", "cvv 12345", "cvv 12", "bic lighter", "a swift DECISION", "BIC DEUTDEFF5"] {
            assert_eq!(found_with(text, None, &wide), [], "{text}");
        }
    }
}
