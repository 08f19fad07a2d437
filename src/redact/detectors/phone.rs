//! Telephone numbers: international ones by their country code, North American ones by their shape, others by a word
//! nearby.

use super::checks::Digits;
use super::{Detector, Number, Probe, Set};
use crate::redact::config::Region;
use crate::redact::text::{Out, Text, is_word};
use crate::redact::{Kind, context};

/// `+` and a country code.
pub(super) const DETECTOR_INTERNATIONAL: Detector = Detector {
    probe: Probe::Window(|| vec![[Set::Any, Set::One(b'+'), Set::Digit], [Set::Any, Set::One(b'+'), Set::One(b'(')]], international),
};
/// Numbers without a country code.
pub(super) const DETECTOR_NATIONAL: Detector = Detector { probe: Probe::Number(national) };

/// Country calling codes in use (ITU-T E.164) with the shortest and longest national number.
#[rustfmt::skip]
const CODES: &[(u16, u8, u8)] = &[
    (1, 10, 10), (7, 10, 10), (20, 8, 10), (27, 9, 9), (30, 10, 10), (31, 9, 9), (32, 8, 9), (33, 9, 9), (34, 9, 9), (36, 8, 9), (39, 6, 12),
    (40, 9, 9), (41, 9, 9), (43, 6, 13), (44, 9, 10), (45, 8, 8), (46, 7, 10), (47, 8, 8), (48, 9, 9), (49, 6, 13), (51, 8, 9), (52, 10, 10),
    (53, 6, 8), (54, 10, 11), (55, 10, 11), (56, 9, 9), (57, 8, 10), (58, 10, 10), (60, 8, 10), (61, 9, 9), (62, 7, 12), (63, 8, 10),
    (64, 8, 10), (65, 8, 8), (66, 8, 9), (81, 9, 10), (82, 7, 11), (84, 9, 10), (86, 9, 12), (90, 10, 10), (91, 10, 10), (92, 9, 10),
    (93, 9, 9), (94, 9, 9), (95, 7, 10), (98, 10, 10), (211, 9, 9), (212, 9, 9), (213, 8, 9), (216, 8, 8), (218, 8, 10), (220, 7, 7),
    (221, 9, 9), (222, 8, 8), (223, 8, 8), (224, 8, 9), (225, 8, 10), (226, 8, 8), (227, 8, 8), (228, 8, 8), (229, 8, 10), (230, 7, 8),
    (231, 7, 9), (232, 8, 8), (233, 9, 9), (234, 7, 10), (235, 8, 8), (236, 8, 8), (237, 8, 9), (238, 7, 7), (239, 7, 7), (240, 9, 9),
    (241, 7, 8), (242, 9, 9), (243, 9, 9), (244, 9, 9), (245, 7, 9), (246, 7, 7), (247, 5, 6), (248, 7, 7), (249, 9, 9), (250, 9, 9),
    (251, 9, 9), (252, 7, 9), (253, 8, 8), (254, 7, 10), (255, 9, 9), (256, 9, 9), (257, 8, 8), (258, 8, 9), (260, 9, 9), (261, 9, 9),
    (262, 9, 9), (263, 8, 10), (264, 8, 9), (265, 7, 9), (266, 8, 8), (267, 7, 8), (268, 8, 8), (269, 7, 7), (290, 5, 5), (291, 7, 7),
    (297, 7, 7), (298, 6, 6), (299, 6, 6), (350, 8, 8), (351, 9, 9), (352, 6, 11), (353, 7, 10), (354, 7, 9), (355, 8, 9), (356, 8, 8),
    (357, 8, 8), (358, 6, 12), (359, 7, 9), (370, 8, 8), (371, 8, 8), (372, 7, 8), (373, 8, 8), (374, 8, 8), (375, 9, 9), (376, 6, 9),
    (377, 8, 9), (378, 6, 10), (380, 9, 9), (381, 7, 10), (382, 8, 9), (383, 8, 9), (385, 8, 9), (386, 8, 8), (387, 8, 9), (389, 8, 8),
    (420, 9, 9), (421, 9, 9), (423, 7, 9), (500, 5, 5), (501, 7, 7), (502, 8, 8), (503, 8, 8), (504, 8, 8), (505, 8, 8), (506, 8, 8),
    (507, 7, 8), (508, 6, 9), (509, 8, 8), (590, 9, 9), (591, 8, 8), (592, 7, 7), (593, 8, 9), (594, 9, 9), (595, 7, 9), (596, 9, 9),
    (597, 6, 7), (598, 8, 8), (599, 7, 8), (670, 7, 8), (672, 6, 6), (673, 7, 7), (674, 7, 7), (675, 7, 8), (676, 5, 7), (677, 5, 7),
    (678, 5, 7), (679, 7, 7), (680, 7, 7), (681, 6, 6), (682, 5, 5), (685, 5, 7), (686, 5, 8), (687, 6, 6), (688, 5, 6), (689, 6, 8),
    (691, 7, 7), (692, 7, 7), (800, 8, 8), (808, 8, 8), (850, 8, 10), (852, 8, 8), (853, 8, 8), (855, 8, 9), (856, 8, 10), (870, 9, 9),
    (880, 8, 10), (881, 9, 9), (886, 8, 9), (960, 7, 7), (961, 7, 8), (962, 8, 9), (963, 8, 9), (964, 8, 10), (965, 8, 8), (966, 8, 9),
    (967, 7, 9), (968, 8, 8), (970, 8, 9), (971, 8, 9), (972, 8, 9), (973, 8, 8), (974, 8, 8), (975, 7, 8), (976, 8, 8), (977, 8, 10),
    (992, 9, 9), (993, 8, 8), (994, 9, 9), (995, 9, 9), (996, 9, 9), (998, 9, 9),
];

fn international(text: &Text<'_>, at: usize, out: &mut Out<'_>) -> usize {
    let before = text.before(at);
    if is_word(before) || before == b'+' || matches!(before, b')' | b'.') && is_word(at.checked_sub(1).map_or(0, |p| text.before(p))) {
        return at + 1;
    }
    let dialled = Dialled::read(text, at + 1);
    // The longest reading that is a number: groups behind it belong to the text.
    for len in (1..=dialled.len).rev() {
        let (end, count) = dialled.ends.get(len - 1).copied().unwrap_or_default();
        if dialled.international(count, 0) && !is_word(text.at(end)) {
            out.found(text, Kind::Phone, at, end);
            return end;
        }
    }
    at + 1
}

fn national(text: &Text<'_>, number: &Number, out: &mut Out<'_>) {
    if !out.wants(Kind::Phone) || text.before(number.start) == b'+' {
        return;
    }
    // A bracket around the area, not one around the whole: `(415) 555-0132`, `(415.555.0132)`.
    let bracket = text.before(number.start) == b'(' && number.end_of(0).is_some_and(|end| text.at(end) == b')');
    let start = number.start - usize::from(bracket);
    if let Some((start, end)) = american(text, number, start, bracket) {
        return out.found(text, Kind::Phone, start, end);
    }
    let quad = number.len() == 4 && (0..3).all(|group| number.sep_after(group) == b'.') && (0..4).all(|group| number.digits_in(group) <= 3);
    if quad || is_date(text, number) {
        return;
    }
    let goes_on = number.may_go_on(text);
    if number.total() < 8 && !goes_on {
        return;
    }
    if let (Some(end), regions @ [_, ..]) = (number.end_of(0), text.limits.bare_regions())
        && text.stands_alone(start, end)
        && !text.in_digit_row(start, end)
        && regions.iter().any(|&region| is_of(region, text.slice(start, end)))
    {
        return out.found(text, Kind::Phone, start, end);
    }
    // Without a word anywhere around it, the number need not be read.
    let end = number.end_of(number.len().saturating_sub(1)).filter(|_| !goes_on).unwrap_or(start + DIALLED);
    if text.context_around(start, end) & Kind::Phone.context() == 0 {
        return;
    }
    let dialled = Dialled::read(text, start);
    for len in (1..=dialled.len).rev() {
        let (end, count) = dialled.ends.get(len - 1).copied().unwrap_or_default();
        let needed = dialled.needed(len, count);
        if needed != 0 && text.stands_alone(start, end) && speaks_of_phones(text.context(start, end), needed) {
            return out.found_in_context(text, Kind::Phone, start, end, false);
        }
    }
}

/// Whether the words nearby are about telephones: "number" alone is, unless it is the number of something else.
fn speaks_of_phones(context: u64, needed: u64) -> bool {
    // "my number" is Japan's word too.
    let others = context & !(context::PHONE_MAYBE | context::MY_NUMBER);
    context & needed & context::PHONE != 0 || (context & needed != 0 && others == 0)
}

/// The printed North American forms, which need no word nearby.
fn american(text: &Text<'_>, number: &Number, start: usize, bracket: bool) -> Option<(usize, usize)> {
    let (start, end) = if bracket {
        if number.digits_in(0) != 3 {
            return None;
        }
        let close = number.end_of(0)?;
        if text.at(close) != b')' {
            return None;
        }
        let from = close + 1 + usize::from(matches!(text.at(close + 1), b' ' | b'-'));
        let mid = text.run(from, 4, |b| b.is_ascii_digit());
        if mid - from != 3 || !matches!(text.at(mid), b'-' | b' ' | b'.') {
            return None;
        }
        let end = text.run(mid + 1, 5, |b| b.is_ascii_digit());
        if end - mid != 5 {
            return None;
        }
        // `1 (415) …`, `1-(415) …`
        let one =
            start.checked_sub(2).filter(|&at| text.at(at) == b'1' && matches!(text.at(at + 1), b' ' | b'-') && !is_word(text.before(at)));
        (one.unwrap_or(start), end)
    } else {
        let shape = number.shape(&[3, 3, 4], b"-.").or_else(|| number.shape(&[1, 3, 3, 4], b"-.").filter(|_| text.at(start) == b'1'));
        (start, shape?)
    };
    let digits = Digits::of(text.slice(start, end))?;
    let skip = digits.len().checked_sub(10)?;
    (is_american(&digits, skip) && text.stands_alone(start, end)).then_some((start, end))
}

/// North American numbering plan: area and exchange begin with 2 to 9, no area ends in 11.
fn is_american(digits: &Digits, skip: usize) -> bool {
    let area = digits.number(skip, skip + 3);
    digits.len() == skip + 10
        && area >= 200
        && area % 100 != 11
        && digits.at(skip + 3) >= 2
        && !digits.as_slice().get(skip..).unwrap_or_default().windows(2).all(|w| w.first() == w.last())
}

/// Whether solid digits are a number of a country as it is dialled there, by its numbering plan.
fn is_of(region: Region, digits: &[u8]) -> bool {
    let [first, second, third, ..] = *digits else { return false };
    let len = digits.len();
    match region {
        Region::At => first == b'0' && second != b'0' && (9..=13).contains(&len),
        Region::Au => first == b'0' && b"23478".contains(&second) && len == 10,
        Region::Be => first == b'0' && second != b'0' && (9..=10).contains(&len),
        Region::Br => first != b'0' && second != b'0' && (len == 10 && b"2345".contains(&third) || len == 11 && third == b'9'),
        Region::Ch | Region::Za => first == b'0' && second != b'0' && len == 10,
        Region::Cn => first == b'1' && (b'3'..=b'9').contains(&second) && len == 11,
        Region::De => first == b'0' && second != b'0' && (9..=12).contains(&len),
        Region::Es => (b'6'..=b'9').contains(&first) && len == 9,
        Region::Fr => first == b'0' && second != b'0' && len == 10,
        Region::Gb => first == b'0' && b"12378".contains(&second) && (10..=11).contains(&len),
        Region::Il => first == b'0' && second != b'0' && (9..=10).contains(&len),
        Region::In => (b'6'..=b'9').contains(&first) && len == 10,
        Region::It => (first == b'3' && len == 10) || (first == b'0' && second != b'0' && (9..=11).contains(&len)),
        Region::Jp | Region::Kr => first == b'0' && second != b'0' && (10..=11).contains(&len),
        Region::Mx => (b'2'..=b'9').contains(&first) && len == 10,
        Region::Nl => first == b'0' && second != b'0' && len == 10,
        Region::Pl => (b'1'..=b'9').contains(&first) && len == 9,
        Region::Se => first == b'0' && second != b'0' && (8..=10).contains(&len),
        Region::Sg => b"3689".contains(&first) && len == 8,
        Region::Us => len == 10 && Digits::of(digits).is_some_and(|digits| is_american(&digits, 0)),
    }
}

/// A printed date is no number to call.
fn is_date(text: &Text<'_>, number: &Number) -> bool {
    let year_first = number.digits_in(0) == 4 && number.digits_in(1) == 2 && number.digits_in(2) == 2;
    let year = text.starts_with(number.start, b"19") || text.starts_with(number.start, b"20");
    // `0470 01 85 23` begins like a date and goes on.
    year_first && (year || number.shape(&[4, 2, 2], b"-./").is_some_and(|_| number.len() == 3))
        || number.shape(&[2, 2, 4], b"-./").is_some()
}

/// Bytes of the longest number that is read: sixteen digits, a sign of two bytes behind each of ten groups, and brackets.
const DIALLED: usize = 48;

/// Digits as people write them to be dialled, read as far as they go.
struct Dialled {
    digits: [u8; 16],
    count: usize,
    /// After each group: where it ends, and how many digits there are by then.
    ends: [(usize, usize); 10],
    len: usize,
}

impl Dialled {
    fn read(text: &Text<'_>, from: usize) -> Dialled {
        let mut dialled = Dialled { digits: [0; 16], count: 0, ends: [(0, 0); 10], len: 0 };
        let mut at = from;
        let mut open = false;
        let mut brackets = false;
        if text.at(at) == b'(' {
            (open, brackets, at) = (true, true, at + 1);
        }
        while dialled.len < 10 {
            let stop = text.run(at, 16, |b| b.is_ascii_digit());
            if stop == at || dialled.count + (stop - at) > 16 {
                break;
            }
            // A national zero in brackets, `+44 (0)20`, is not dialled after the country code.
            if !(open && text.slice(at, stop) == b"0" && dialled.len > 0) {
                for b in text.slice(at, stop) {
                    if let Some(slot) = dialled.digits.get_mut(dialled.count) {
                        *slot = b - b'0';
                        dialled.count += 1;
                    }
                }
            }
            at = stop;
            if open {
                if text.at(at) != b')' {
                    break;
                }
                (open, at) = (false, at + 1);
            } else if let Some(end) = dialled.ends.get_mut(dialled.len) {
                *end = (stop, dialled.count);
                dialled.len += 1;
            }
            // One sign between groups; beside a bracket also a space.
            let closed = text.before(at) == b')';
            match text.at(at) {
                b' ' | b'.' | b'-' | b'/' => at += 1,
                0xC2 if text.at(at + 1) == 0xA0 => at += 2,
                b'(' if !brackets => {}
                _ if closed => {}
                _ => break,
            }
            if text.at(at) == b'(' && !brackets {
                (open, brackets, at) = (true, true, at + 1);
            }
        }
        dialled
    }

    fn number(&self, from: usize, to: usize) -> u16 {
        self.digits.get(from..to).unwrap_or_default().iter().fold(0, |n, &d| n * 10 + u16::from(d))
    }

    /// Whether the first `count` digits, `skip` of them left out, are a country code and a number of its length.
    fn international(&self, count: usize, skip: usize) -> bool {
        let Some(dialled) = count.checked_sub(skip).filter(|n| (7..=15).contains(n)) else { return false };
        let Some(&(code, min, max)) = (1..=3).find_map(|width| {
            let at = CODES.binary_search_by_key(&self.number(skip, skip + width), |(code, ..)| *code).ok()?;
            CODES.get(at).filter(|(code, ..)| width <= dialled && usize::from(digits_of(*code)) == width)
        }) else {
            return false;
        };
        let width = usize::from(digits_of(code));
        let rest = dialled - width;
        let digits = || self.digits.map(|digit| digit + b'0');
        let american = || digits().get(skip..count).and_then(Digits::of).is_some_and(|d| is_american(&d, 1));
        (usize::from(min)..=usize::from(max)).contains(&rest) && (code != 1 || american())
    }

    /// Whether the first `len` groups have these lengths.
    fn groups(&self, len: usize, lens: &[usize]) -> bool {
        let mut before = 0;
        len == lens.len()
            && self.ends.iter().zip(lens).all(|(&(_, count), &len)| {
                let digits = count.saturating_sub(before);
                before = count;
                digits == len
            })
    }

    /// The context that the first `len` groups of `count` digits need to be a national number; 0 if they are none.
    fn needed(&self, len: usize, count: usize) -> u64 {
        let [first, second, third, ..] = self.digits;
        let any = context::PHONE | context::PHONE_MAYBE;
        let digits = || self.digits.get(..count).unwrap_or_default();
        if digits().windows(2).all(|w| w.first() == w.last()) {
            return 0;
        }
        match (first, count) {
            // `00` and a country code.
            (0, 10..=16) if second == 0 && self.international(count, 2) => any,
            (0, 9..=13) => any,
            // China, and North America with its 1.
            (1, 11) if third_is_mobile(second) || self.number(1, 4) >= 200 => any,
            // Singapore.
            (3 | 6 | 8 | 9, 8) => context::PHONE,
            // Spain, Poland.
            (4..=9, 9) => context::PHONE,
            // Polish lines at home print the area first.
            (1..=3, 9) if self.groups(len, &[2, 3, 2, 2]) => context::PHONE,
            // India, Mexico, North America, Italian mobiles, Brazil.
            (2..=9, 10) => any,
            (1..=9, 11) if third == 9 => any,
            _ => 0,
        }
    }
}

fn third_is_mobile(second: u8) -> bool {
    (3..=9).contains(&second)
}

/// Digits of a country code.
fn digits_of(code: u16) -> u8 {
    match code {
        0..=9 => 1,
        10..=99 => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use crate::redact::Kind::Phone;
    use crate::redact::detectors::testing::{found, none};

    #[test]
    fn country_codes_are_in_order() {
        assert!(super::CODES.is_sorted_by_key(|(code, ..)| *code));
    }

    #[test]
    fn international_numbers_are_found_in_any_grouping() {
        for hit in [
            "+1 (415) 555-0132",
            "+44 20 7946 0958",
            "+44 (0)20 7946 0958",
            "+49 30 23125 123",
            "+49 30 360832",
            "+447405105814",
            "+8613812345678",
            "+4915112345678",
            "+82-2-284-9282",
            "+33 6 12 34 56 78",
            "+1.415.555.0132",
            "+55 (11) 91234-5678",
        ] {
            assert_eq!(found(&format!("ring {hit}, ok")), [(Phone, hit)], "{hit}");
        }
        assert_eq!(found("手机+8613812345678。"), [(Phone, "+8613812345678")]);
        assert_eq!(found("+1 415 555 0132 2024"), [(Phone, "+1 415 555 0132")]);
    }

    #[test]
    fn north_american_shapes_need_no_word() {
        for hit in ["415-555-0132", "(415) 555-0132", "(415)555-0132", "415.555.0132", "1-415-555-0132"] {
            assert_eq!(found(&format!("it is {hit}.")), [(Phone, hit)], "{hit}");
        }
    }

    #[test]
    fn national_forms_need_a_word() {
        for hit in [
            "4155550132",
            "415 555 0132",
            "07700 900123",
            "(020) 7946 0958",
            "030 23125123",
            "06 12 34 56 78",
            "612 345 678",
            "98765 43210",
            "13812345678",
            "090-1234-5678",
            "0049 30 23125123",
        ] {
            assert_eq!(found(&format!("call {hit}")), [(Phone, hit)], "{hit}");
            none(&format!("it is {hit} there"));
        }
    }

    #[test]
    fn a_number_of_mine_is_one_to_call() {
        assert_eq!(found("my number is 909 652 0327"), [(Phone, "909 652 0327")]);
    }

    #[test]
    fn other_numbers_stay() {
        for text in [
            "111-555-0132",
            "411-555-0132",
            "415-155-0132",
            "+999 123 456 789",
            "+1 115 555 0132",
            "x+14155550132",
            "rows 399-6625 of 40202; pages 231-996; years 1998-2004",
            "957 + 3140 - 894",
            "call on 2024-01-02",
            "call 8.66.83.133x",
            "415-555-0132-7",
            "ts=1564708507",
            "order number 95522518",
            "routing number 0213139512",
            "lat -74.212034, lon -138.979555",
        ] {
            none(text);
        }
    }
}
