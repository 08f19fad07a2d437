//! Hardware addresses: exactly six octets, so that the middle of a fingerprint is none.

use super::{Detector, Probe, Set};
use crate::redact::Kind;
use crate::redact::text::{Out, Text, is_word};

/// The detector.
pub(super) const DETECTOR: Detector = Detector { probe: Probe::Window(windows, find) };

const HEX: &[u8] = b"0123456789abcdefABCDEF";
/// `hh:hh:hh:hh:hh:hh`
const LENGTH: usize = 17;

fn windows() -> Vec<[Set; 3]> {
    vec![[Set::Of(HEX), Set::Of(b":-."), Set::Of(HEX)]]
}

fn find(text: &Text<'_>, at: usize, out: &mut Out<'_>) -> usize {
    let sep = text.at(at);
    if sep == b'.' {
        return cisco(text, at, out);
    }
    let Some(start) = at.checked_sub(2) else { return at + 1 };
    let octets = text.slice(start, start + LENGTH);
    let shaped = octets.len() == LENGTH
        && octets.iter().enumerate().all(|(place, &b)| if place % 3 == 2 { b == sep } else { b.is_ascii_hexdigit() });
    if !shaped {
        return at + 1;
    }
    // Another octet before makes it a longer chain; a word before ("mac:") does not.
    let far = start.checked_sub(3);
    let chained = text.before(start) == sep
        && far.is_some_and(|far| text.slice(far, far + 2).iter().all(u8::is_ascii_hexdigit) && !is_word(text.before(far)));
    let bounded = !is_word(text.before(start)) && !is_word(text.at(start + LENGTH)) && text.at(start + LENGTH) != sep && !chained;
    let glued = text.before(start) == b'-' && sep == b'-';
    if bounded && !glued && tells(octets) {
        out.found(text, Kind::MacAddress, start, start + LENGTH);
        return start + LENGTH;
    }
    at + 1
}

/// `hhhh.hhhh.hhhh`
fn cisco(text: &Text<'_>, at: usize, out: &mut Out<'_>) -> usize {
    let Some(start) = at.checked_sub(4) else { return at + 1 };
    let groups = text.slice(start, start + 14);
    let shaped =
        groups.len() == 14 && groups.iter().enumerate().all(|(place, &b)| if place % 5 == 4 { b == b'.' } else { b.is_ascii_hexdigit() });
    if !shaped {
        return at + 1;
    }
    let letters = groups.iter().any(u8::is_ascii_alphabetic);
    let digits = groups.iter().any(u8::is_ascii_digit);
    if letters && digits && text.stands_alone(start, start + 14) && tells(groups) {
        out.found(text, Kind::MacAddress, start, start + 14);
        return start + 14;
    }
    at + 1
}

/// Neither all zeros nor the broadcast address.
fn tells(octets: &[u8]) -> bool {
    let digits = || octets.iter().filter(|b| b.is_ascii_hexdigit());
    !digits().all(|&b| b == b'0') && !digits().all(|&b| b.eq_ignore_ascii_case(&b'f'))
}

#[cfg(test)]
mod tests {
    use crate::redact::Kind::MacAddress;
    use crate::redact::detectors::testing::{found, none};

    #[test]
    fn six_octets_are_found_in_every_notation() {
        for hit in ["05:B0:B4:6B:F1:D9", "57-46-6d-57-61-fb", "d38e.816a.5926"] {
            assert_eq!(found(&format!("wlan0 {hit}, up")), [(MacAddress, hit)]);
        }
        assert_eq!(found("mac:05:b0:b4:6b:f1:d9"), [(MacAddress, "05:b0:b4:6b:f1:d9")]);
    }

    #[test]
    fn longer_chains_mixed_signs_and_special_addresses_stay() {
        for text in [
            "00:00:00:00:00:00",
            "ff:ff:ff:ff:ff:ff",
            "05:B0:B4:6B:F1:D9:00",
            "SHA1 05:B0:B4:6B:F1:D9:05:B0:B4:6B:F1:D9:05:B0:B4:6B:F1:D9:05:B0",
            "05:B0-B4:6B-F1:D9",
            "05:B0:B4:6B:F1",
            "10:05:47",
            "6f1c9a52-1f0e-4b8e-9d75-0c2f6f5f3f11",
            "1234.5678.9012",
        ] {
            none(text);
        }
    }
}
