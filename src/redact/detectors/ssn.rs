//! United States social security and taxpayer numbers: no check digit, but areas and groups that were never issued.

use super::checks::Digits;
use super::{Detector, Number, Probe};
use crate::redact::Kind;
use crate::redact::text::{Out, Text};

/// The detector.
pub(super) const DETECTOR: Detector = Detector { probe: Probe::Number(find) };

fn find(text: &Text<'_>, number: &Number, out: &mut Out<'_>) {
    let start = number.start;
    let (end, printed) = match (number.shape(&[3, 2, 4], b"- ."), number.solid(9)) {
        (Some(end), _) => (end, true),
        (None, Some(end)) => (end, false),
        _ => return,
    };
    if !text.stands_alone(start, end) || (number.sep_after(0) == b' ' && text.in_digit_row(start, end)) {
        return;
    }
    let Some(digits) = Digits::of(text.slice(start, end)) else { return };
    let (area, group, serial) = (digits.number(0, 3), digits.number(3, 5), digits.number(5, 9));
    // 20 CFR 422 and the Social Security Administration's randomization notice; 123-45-6789 is everybody's example.
    let ssn = !matches!(area, 0 | 666 | 900..) && group != 0 && serial != 0 && (area, group, serial) != (123, 45, 6789);
    // IRS publication 4757: the groups in which taxpayer numbers are issued.
    let itin = area >= 900 && matches!(group, 50..=65 | 70..=88 | 90..=92 | 94..=99);
    for (kind, holds) in [(Kind::UsSsn, ssn), (Kind::UsItin, itin)] {
        match (holds, printed) {
            (true, true) => out.found(text, kind, start, end),
            (true, false) => out.found_in_context(text, kind, start, end, false),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::redact::Kind::{UsItin, UsSsn};
    use crate::redact::detectors::testing::{found, none};

    #[test]
    fn printed_forms_stand_alone_and_nine_digits_need_a_word() {
        assert_eq!(found("it is 078-05-1120."), [(UsSsn, "078-05-1120")]);
        assert_eq!(found("it is 078 05 1120"), [(UsSsn, "078 05 1120")]);
        assert_eq!(found("it is 078.05.1120"), [(UsSsn, "078.05.1120")]);
        assert_eq!(found("ssn 078051120"), [(UsSsn, "078051120")]);
        assert_eq!(found("954-98-6668"), [(UsItin, "954-98-6668")]);
        assert_eq!(found("tax id 954986668"), [(UsItin, "954986668")]);
        none("it is 078051120");
    }

    #[test]
    fn numbers_never_issued_and_longer_numbers_stay() {
        for text in [
            "000-12-3456",
            "666-12-3456",
            "078-00-1120",
            "078-05-0000",
            "123-45-6789",
            "954-69-6668",
            "TCK-123-45-67890",
            "1-078-05-1120",
            "078-05-1120-3",
            "078-05 1120",
            "5 078 05 1120",
            "2078-05-1120",
        ] {
            none(text);
        }
    }
}
