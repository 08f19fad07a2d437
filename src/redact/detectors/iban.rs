//! Bank account numbers with a country, a length and a check sum of their own.

use super::checks::mod97;
use super::{Detector, Probe, Word};
use crate::redact::text::{Out, Text};
use crate::redact::{Kind, context};

/// The detector.
pub(super) const DETECTOR: Detector = Detector { probe: Probe::Word(find) };

/// ISO 13616 registry: country and the structure of what follows the check digits (`n` digits, `a` capitals, `c` either),
/// which also gives the length.
#[rustfmt::skip]
const REGISTRY: &[(&[u8; 2], &str)] = &[
    (b"AD", "8n12c"), (b"AE", "19n"), (b"AL", "8n16c"), (b"AT", "16n"), (b"AZ", "4a20c"), (b"BA", "16n"), (b"BE", "12n"),
    (b"BG", "4a6n8c"), (b"BH", "4a14c"), (b"BI", "23n"), (b"BR", "23n1a1c"), (b"BY", "4c4n16c"), (b"CH", "5n12c"), (b"CR", "18n"),
    (b"CY", "8n16c"), (b"CZ", "20n"), (b"DE", "18n"), (b"DJ", "23n"), (b"DK", "14n"), (b"DO", "4c20n"), (b"EE", "16n"), (b"EG", "25n"),
    (b"ES", "20n"), (b"FI", "14n"), (b"FK", "2a12n"), (b"FO", "14n"), (b"FR", "10n11c2n"), (b"GB", "4a14n"), (b"GE", "2a16n"),
    (b"GI", "4a15c"), (b"GL", "14n"), (b"GR", "7n16c"), (b"GT", "24c"), (b"HN", "4a20n"), (b"HR", "17n"), (b"HU", "24n"),
    (b"IE", "4a14n"), (b"IL", "19n"), (b"IQ", "4a15n"), (b"IS", "22n"), (b"IT", "1a10n12c"), (b"JO", "4a4n18c"), (b"KW", "4a22c"),
    (b"KZ", "3n13c"), (b"LB", "4n20c"), (b"LC", "4a24c"), (b"LI", "5n12c"), (b"LT", "16n"), (b"LU", "3n13c"), (b"LV", "4a13c"),
    (b"LY", "21n"), (b"MC", "10n11c2n"), (b"MD", "20c"), (b"ME", "18n"), (b"MK", "3n10c2n"), (b"MN", "16n"), (b"MR", "23n"),
    (b"MT", "4a5n18c"), (b"MU", "4a19n3a"), (b"NI", "4a20n"), (b"NL", "4a10n"), (b"NO", "11n"), (b"OM", "3n16c"), (b"PK", "4a16c"),
    (b"PL", "24n"), (b"PS", "4a21c"), (b"PT", "21n"), (b"QA", "4a21c"), (b"RO", "4a16c"), (b"RS", "18n"), (b"RU", "14n15c"),
    (b"SA", "2n18c"), (b"SC", "4a20n3a"), (b"SD", "14n"), (b"SE", "20n"), (b"SI", "15n"), (b"SK", "20n"), (b"SM", "1a10n12c"),
    (b"SO", "19n"), (b"ST", "21n"), (b"SV", "4a20n"), (b"TL", "19n"), (b"TN", "20n"), (b"TR", "5n1c16c"), (b"UA", "6n19c"),
    (b"VA", "18n"), (b"VG", "4a16n"), (b"XK", "16n"), (b"YE", "4a4n18c"),
];

fn find(text: &Text<'_>, word: Word, out: &mut Out<'_>) {
    let start = word.start;
    let head = text.slice(start, start + 4);
    let [a, b, c, d] = head else { return };
    if !(a.is_ascii_alphabetic() && b.is_ascii_alphabetic() && c.is_ascii_digit() && d.is_ascii_digit()) {
        return;
    }
    let country = [a.to_ascii_uppercase(), b.to_ascii_uppercase()];
    // ISO 7064 gives 02 to 98; the others have the same remainder as one of these and are never issued.
    if !(2..=98).contains(&(u32::from(c - b'0') * 10 + u32::from(d - b'0'))) {
        return;
    }
    let Some((_, structure)) = REGISTRY.iter().find(|(code, _)| **code == country) else { return };
    let Some((end, grouped)) = read(text, start + 4, structure) else { return };
    let value = text.slice(start, end);
    let lower = value.iter().any(u8::is_ascii_lowercase);
    if lower && grouped && text.context(start, end) & context::IBAN == 0 {
        return;
    }
    if mod97(value) == 1 && text.stands_alone(start, end) {
        out.found(text, Kind::Iban, start, end);
    }
}

/// Walks the account part: the classes of the structure, solid or in groups of four. Answers its end, and whether it was grouped.
fn read(text: &Text<'_>, from: usize, structure: &str) -> Option<(usize, bool)> {
    let mut at = from;
    let mut read = 4;
    let sep = match text.at(from) {
        b' ' => &b" "[..],
        b'-' => b"-",
        b'+' => b"+",
        0xC2 if text.at(from + 1) == 0xA0 => "\u{a0}".as_bytes(),
        b'%' if text.starts_with(from, b"%20") => b"%20",
        _ => b"",
    };
    for (count, class) in classes(structure) {
        for _ in 0..count {
            if !sep.is_empty() && read % 4 == 0 {
                if !text.starts_with(at, sep) {
                    return None;
                }
                at += sep.len();
            }
            let here = text.at(at);
            let fits = match class {
                b'n' => here.is_ascii_digit(),
                b'a' => here.is_ascii_alphabetic(),
                _ => here.is_ascii_alphanumeric(),
            };
            if !fits {
                return None;
            }
            at += 1;
            read += 1;
        }
    }
    Some((at, !sep.is_empty()))
}

/// `4a14n` as (4, a), (14, n).
fn classes(structure: &str) -> impl Iterator<Item = (usize, u8)> + '_ {
    let mut count = 0usize;
    structure.bytes().filter_map(move |b| {
        if b.is_ascii_digit() {
            count = count * 10 + usize::from(b - b'0');
            None
        } else {
            Some((std::mem::take(&mut count), b))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{REGISTRY, classes, mod97};
    use crate::redact::Kind::Iban;
    use crate::redact::detectors::testing::{Source, found, none};

    #[test]
    fn printed_solid_and_glued_to_words() {
        for hit in [
            "GB82 WEST 1234 5698 7654 32",
            "GB82WEST12345698765432",
            "gb82west12345698765432",
            "DE89-3704-0044-0532-0130-00",
            "FR14 2004 1010 0505 0001 3M02 606",
            "NL91ABNA0417164300",
        ] {
            assert_eq!(found(&format!("to {hit} now")), [(Iban, hit)]);
        }
        assert_eq!(found("iban gb82 west 1234 5698 7654 32"), [(Iban, "gb82 west 1234 5698 7654 32")]);
        assert_eq!(found("GB82 WEST 1234 5698 7654 32 AND MORE"), [(Iban, "GB82 WEST 1234 5698 7654 32")]);
    }

    #[test]
    fn wrong_sums_lengths_and_countries_stay() {
        for text in [
            "GB82 WEST 1234 5698 7654 33",
            "GB82WEST123456987654321",
            "ref SI54147927535548344",
            "ZZ82WEST12345698765432",
            "gb82 west 1234 5698 7654 32",
            "xGB82WEST12345698765432",
            "GB82 WES 1234 5698 7654 32",
        ] {
            none(text);
        }
    }

    #[test]
    fn every_generated_account_is_found_and_no_neighbour_is() {
        let mut source = Source::new(3);
        for (country, structure) in REGISTRY {
            let body: String = classes(structure)
                .flat_map(|(n, class)| match class {
                    b'a' => source.letters(n),
                    _ => source.digits(n).into_iter().map(|d| b'0' + d).collect(),
                })
                .map(char::from)
                .collect();
            let country = std::str::from_utf8(&country[..]).unwrap();
            let with = |check: u32| format!("{country}{check:02}{body}");
            let check = 98 - mod97(with(0).as_bytes());
            assert_eq!(found(&with(check)).len(), 1, "{}", with(check));
            none(&with((check + 1) % 97));
        }
    }
}
