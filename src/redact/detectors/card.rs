//! Payment cards: digits whose issuer, length and check digit agree.
//!
//! One number in ten passes Luhn by chance, so the issuer's range and the printed grouping do most of the work.

use super::checks::{Digits, luhn};
use super::{Detector, Number, Probe};
use crate::redact::text::{Out, Text};
use crate::redact::{Kind, context};

/// The detector.
pub(super) const DETECTOR: Detector = Detector { probe: Probe::Number(find) };

/// Groups as cards print them.
const SHAPES: &[&[usize]] = &[&[4, 4, 4, 4, 3], &[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4]];

fn find(text: &Text<'_>, number: &Number, out: &mut Out<'_>) {
    let start = number.start;
    let solid = number.digits_in(0);
    let end = if (12..=19).contains(&solid) {
        number.end_of(0)
    } else if solid == 4 {
        SHAPES.iter().find_map(|shape| {
            number.shape(shape, b" -").filter(|&end| text.stands_alone(start, end) && valid(text.slice(start, end)) != Verdict::No)
        })
    } else {
        None
    };
    let Some(end) = end.or_else(|| last_groups(text, number)) else { return };
    // `+4915112345678` is a number to call, whatever its last digit checks.
    if !text.stands_alone(start, end) || text.before(start) == b'+' {
        return;
    }
    if number.sep_after(0) == b' ' && solid == 4 && in_table(text, start, end) && text.context(start, end) & context::CARD == 0 {
        return;
    }
    match valid(text.slice(start, end)) {
        Verdict::Yes => out.found(text, Kind::CreditCard, start, end),
        Verdict::WithContext if text.context(start, end) & context::CARD != 0 => out.found(text, Kind::CreditCard, start, end),
        _ if text.cut && end == text.bytes.len() && cut_short(text.slice(start, end)) => out.found(text, Kind::CreditCard, start, end),
        _ => {}
    }
}

/// A row of numbers goes on before or behind; what stands behind a card is an expiry or a code of two or three digits.
fn in_table(text: &Text<'_>, start: usize, end: usize) -> bool {
    let digits_before = text.before(start) == b' ' && start.checked_sub(2).is_some_and(|far| text.at(far).is_ascii_digit());
    let after = if text.at(end) == b' ' { text.run(end + 1, 5, |b| b.is_ascii_digit()) - end - 1 } else { 0 };
    digits_before || !matches!(after, 0 | 2 | 3) || (after == 3 && text.at(end + 4) == b' ' && text.at(end + 5).is_ascii_digit())
}

/// The end of groups of four that the end of the text cut off.
fn last_groups(text: &Text<'_>, number: &Number) -> Option<usize> {
    let last = number.len().checked_sub(1).filter(|&last| text.cut && last > 0)?;
    let same = (0..last).all(|group| number.digits_in(group) == 4 && number.sep_after(group) == number.sep_after(0));
    number.end_of(last).filter(|&end| same && end == text.bytes.len() && matches!(number.sep_after(0), b' ' | b'-'))
}

/// Whether bytes, separators aside, are a card number; [`Verdict::WithContext`] where the range is shared with other numbers.
fn valid(bytes: &[u8]) -> Verdict {
    match Digits::of(bytes) {
        Some(digits) if luhn(digits.as_slice()) && !digits.all_equal() => issuer(&digits),
        _ => Verdict::No,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Yes,
    WithContext,
    No,
}

/// The issuer ranges of ISO/IEC 7812 as the schemes publish them, each with its lengths.
fn issuer(digits: &Digits) -> Verdict {
    let len = digits.len();
    let (two, three, four) = (digits.number(0, 2), digits.number(0, 3), digits.number(0, 4));
    let known = match two {
        40..=49 => matches!(len, 13 | 16 | 19),
        51..=55 => len == 16,
        22..=27 if (2221..=2720).contains(&four) => len == 16,
        22 if (2200..=2204).contains(&four) => len == 16,
        34 | 37 => len == 15,
        35 if (3528..=3589).contains(&four) => (16..=19).contains(&len),
        36 | 38 | 39 => (14..=19).contains(&len),
        30 if (300..=305).contains(&three) || four == 3095 => (14..=19).contains(&len),
        60 if four == 6011 => (16..=19).contains(&len),
        64 if (644..=649).contains(&three) => (16..=19).contains(&len),
        65 | 62 => (16..=19).contains(&len),
        50 | 56..=58 | 60..=69 | 81 | 82 => len == 16,
        _ => false,
    };
    let maestro = matches!(two, 50 | 56..=58 | 60..=69) && (12..=19).contains(&len);
    match (known, maestro) {
        (true, _) => Verdict::Yes,
        (false, true) => Verdict::WithContext,
        (false, false) => Verdict::No,
    }
}

/// A card that the end of the text cut off: enough digits of a known range.
fn cut_short(bytes: &[u8]) -> bool {
    Digits::of(bytes)
        .is_some_and(|d| (13..16).contains(&d.len()) && matches!(d.number(0, 2), 40..=49 | 51..=55 | 34 | 37 | 60 | 64 | 65 | 62))
}

#[cfg(test)]
mod tests {
    use super::luhn;
    use crate::redact::Kind::CreditCard;
    use crate::redact::detectors::testing::{Source, found, none};

    #[test]
    fn issuers_and_groupings_are_found() {
        for hit in [
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "5555555555554444",
            "6011-1111-1111-1117",
            "3782 822463 10005",
            "378282246310005",
            "3056 930902 5904",
            "3530111333300000",
            "2223003122003222",
            "6200000000000005",
        ] {
            assert_eq!(found(&format!("pay with {hit}.")), [(CreditCard, hit)]);
        }
    }

    #[test]
    fn a_neighbour_in_the_check_digit_or_in_the_text_is_no_card() {
        for text in [
            "4111 1111 1111 1112",
            "0.4111111111111111",
            "id=38420947-7073-4934-8371-838039648897",
            "4111-1111 1111-1111",
            "x4111111111111111",
            "4111111111111111_2",
            "order-4111111111111111",
            "4444444444444444",
            "9111111111111111",
            "1763635200000",
            "x+4111111111111111",
            "8411 4111 1111 1111 1111",
            "4111 1111 1111 1111 8060",
        ] {
            none(text);
        }
    }

    #[test]
    fn an_expiry_and_a_code_may_follow() {
        assert_eq!(found("4111 1111 1111 1111 12/27 123"), [(CreditCard, "4111 1111 1111 1111")]);
        assert_eq!(found("card 4111 1111 1111 1111 8060"), [(CreditCard, "4111 1111 1111 1111")]);
    }

    #[test]
    fn maestro_of_twelve_digits_needs_a_word() {
        none("ref 501800000009");
        assert_eq!(found("card 501800000009"), [(CreditCard, "501800000009")]);
    }

    #[test]
    fn every_generated_card_is_found_and_no_neighbour_is() {
        let mut source = Source::new(7);
        for _ in 0..300 {
            let mut digits = vec![4];
            digits.extend(source.digits(14));
            let check = (0..10).find(|&c| luhn(&[digits.clone(), vec![c]].concat())).unwrap();
            let text = |last: u8| digits.iter().chain([&last]).map(|d| char::from(b'0' + d)).collect::<String>();
            assert_eq!(found(&format!("card: {}", text(check))).len(), 1);
            none(&format!("ref {}", text((check + 1) % 10)));
        }
    }
}
