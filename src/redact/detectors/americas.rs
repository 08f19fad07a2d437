//! Numbers of Brazil and Canada, and United States bank routing.

use super::checks::{Digits, luhn};
use super::printed::{digits, read};
use super::{Detector, Number, Probe, Set, Word};
use crate::redact::Kind;
use crate::redact::text::{Out, Text};

/// Those of digits.
pub(super) const DETECTOR: Detector = Detector { probe: Probe::Number(number) };
/// The Brazilian company number, anchored at its slash since its first group may be letters.
pub(super) const DETECTOR_CNPJ: Detector =
    Detector { probe: Probe::Window(|| vec![[Set::Of(CAPITALS), Set::One(b'/'), Set::Of(CAPITALS)]], cnpj_printed) };
/// The same without signs, where it has letters.
pub(super) const DETECTOR_WORD: Detector = Detector { probe: Probe::Word(cnpj_word) };

const CAPITALS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

fn number(text: &Text<'_>, number: &Number, out: &mut Out<'_>) {
    let start = number.start;
    cpf(text, number, out);
    if let Some(end) = number.solid(14)
        && text.stands_alone(start, end)
        && cnpj_holds(text.slice(start, end))
    {
        out.found_in_context(text, Kind::BrCnpj, start, end, true);
    }
    // Canadian social insurance: Luhn; no number begins with 0 or 8.
    if number.could_be(&[3, 3, 3])
        && let Some(id) = read(text, start, &[3, 3, 3], b" -.", digits)
        && !matches!(id.at(0), b'0' | b'8')
        && text.stands_alone(start, id.end)
        && !(id.grouped && text.in_digit_row(start, id.end))
        && Digits::of(id.chars()).is_some_and(|d| luhn(d.as_slice()) && !d.all_equal())
    {
        out.found_in_context(text, Kind::CaSin, start, id.end, true);
    }
    if number.could_be(&[4, 4, 1])
        && let Some(id) = read(text, start, &[4, 4, 1], b"-", digits)
        && text.stands_alone(start, id.end)
        && let Some(d) = Digits::of(id.chars())
    {
        // ABA routing policy: Federal Reserve districts, and weights 3 7 1.
        let district = matches!(d.number(0, 2), 1..=12 | 21..=32 | 61..=72 | 80);
        if district && d.weighted(&[3, 7, 1, 3, 7, 1, 3, 7, 1]) % 10 == 0 {
            out.found_in_context(text, Kind::UsAbaRouting, start, id.end, true);
        }
    }
}

/// Instrução Normativa RFB 1548: two check digits modulo 11.
fn cpf(text: &Text<'_>, number: &Number, out: &mut Out<'_>) {
    let start = number.start;
    let solid = number.solid(11);
    let printed = if solid.is_none() && number.shape(&[3, 3, 3], b".").is_some() && number.sep_after(2) == b'-' && number.digits_in(3) == 2
    {
        number.end_of(3)
    } else {
        None
    };
    let Some(end) = solid.or(printed).filter(|&end| text.stands_alone(start, end)) else { return };
    let Some(d) = Digits::of(text.slice(start, end)) else { return };
    let first = d.weighted(&[10, 9, 8, 7, 6, 5, 4, 3, 2]) * 10 % 11 % 10;
    let second = d.weighted(&[11, 10, 9, 8, 7, 6, 5, 4, 3, 2]) * 10 % 11 % 10;
    if first == d.at(9) && second == d.at(10) && !d.all_equal() {
        match printed {
            Some(_) => out.found(text, Kind::BrCpf, start, end),
            None => out.found_in_context(text, Kind::BrCpf, start, end, true),
        }
    }
}

fn cnpj_printed(text: &Text<'_>, at: usize, out: &mut Out<'_>) -> usize {
    let Some(start) = at.checked_sub(10) else { return at + 1 };
    let end = start + 18;
    let value = text.slice(start, end);
    let shaped = value.len() == 18
        && value.iter().enumerate().all(|(place, &b)| match place {
            2 | 6 => b == b'.',
            10 => b == b'/',
            15 => b == b'-',
            16 | 17 => b.is_ascii_digit(),
            _ => b.is_ascii_digit() || b.is_ascii_uppercase(),
        });
    if shaped && text.stands_alone(start, end) && cnpj_holds(value) {
        out.found(text, Kind::BrCnpj, start, end);
        return end;
    }
    at + 1
}

fn cnpj_word(text: &Text<'_>, word: Word, out: &mut Out<'_>) {
    let value = text.slice(word.start, word.end);
    let upper = value.iter().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
    if value.len() == 14 && upper && text.stands_alone(word.start, word.end) && cnpj_holds(value) {
        out.found_in_context(text, Kind::BrCnpj, word.start, word.end, true);
    }
}

/// Two check digits modulo 11; letters count as their code less that of zero (Instrução Normativa RFB 2229).
fn cnpj_holds(value: &[u8]) -> bool {
    let mut values = [0u32; 14];
    let mut count = 0;
    for b in value.iter().filter(|b| b.is_ascii_alphanumeric()) {
        let Some(slot) = values.get_mut(count) else { return false };
        *slot = u32::from(*b) - u32::from(b'0');
        count += 1;
    }
    let check = |len: usize| {
        let sum: u32 = values.iter().take(len).rev().zip((2..=9).cycle()).map(|(value, weight)| value * weight).sum();
        match sum % 11 {
            0 | 1 => 0,
            rest => 11 - rest,
        }
    };
    count == 14
        && values.get(12) == Some(&check(12))
        && values.get(13) == Some(&check(13))
        && values.windows(2).any(|w| w.first() != w.last())
}

#[cfg(test)]
mod tests {
    use crate::redact::Kind::{BrCnpj, BrCpf, CaSin, UsAbaRouting};
    use crate::redact::detectors::testing::{found, none};

    #[test]
    fn printed_numbers_of_brazil_need_no_word() {
        assert_eq!(found("555.277.312-80"), [(BrCpf, "555.277.312-80")]);
        assert_eq!(found("empresa 04.776.167/0001-08"), [(BrCnpj, "04.776.167/0001-08")]);
        assert_eq!(found("empresa 12.ABC.345/01DE-35"), [(BrCnpj, "12.ABC.345/01DE-35")]);
    }

    #[test]
    fn solid_numbers_need_one() {
        for (kind, text, hit) in [
            (BrCpf, "cpf 99752668356", "99752668356"),
            (BrCnpj, "cnpj 04776167000108", "04776167000108"),
            (BrCnpj, "cnpj 12ABC34501DE35", "12ABC34501DE35"),
            (CaSin, "social insurance number 236 752 689", "236 752 689"),
            (UsAbaRouting, "aba routing 321110378", "321110378"),
        ] {
            assert_eq!(found(text), [(kind, hit)], "{text}");
            none(&format!("ref {hit}"));
        }
    }

    #[test]
    fn wrong_check_digits_stay() {
        for text in [
            "218.648.043-42",
            "04.776.167/0001-09",
            "111.111.111-11",
            "cpf 99752668357",
            "social insurance number 236 752 688",
            "aba routing 321110379",
            "sin 5 236 752 689",
        ] {
            none(text);
        }
    }
}
