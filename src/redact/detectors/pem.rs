//! Private keys in PEM, whole: header, body and end.

use super::{Detector, Probe, Set};
use crate::redact::Kind;
use crate::redact::text::{Out, Text};
use memchr::memmem;

/// The detector.
pub(super) const DETECTOR: Detector = Detector { probe: Probe::Window(|| vec![Set::bytes(b"-BE")], find) };

/// Where a key whose end is missing ends at the latest.
const LONGEST: usize = 16 << 10;
/// Longest label, such as `ENCRYPTED PRIVATE KEY`.
const LABEL: usize = 48;

fn find(text: &Text<'_>, at: usize, out: &mut Out<'_>) -> usize {
    let Some(start) = at.checked_sub(5).filter(|&start| text.starts_with(start, b"-----BEGIN ")) else { return at + 1 };
    let label_start = start + b"-----BEGIN ".len();
    let label_end = text.run(label_start, LABEL, |b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ');
    let label = text.slice(label_start, label_end);
    let private = label.ends_with(b"PRIVATE KEY") || label.ends_with(b"PRIVATE KEY BLOCK");
    let cut = text.cut && label_end == text.bytes.len();
    if !private || !(text.starts_with(label_end, b"-----") || cut) {
        return label_end;
    }
    let body = text.slice(label_end, (start + LONGEST).min(text.bytes.len()));
    let mut end = label_end + body.len();
    // The first end line is this key's; another label there means the text is spoilt, and the key still ends.
    if let Some(found) = memmem::find(body, b"-----END ") {
        let tail = label_end + found + b"-----END ".len();
        let close = text.run(tail, LABEL, |b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ');
        end = if text.starts_with(close, b"-----") { close + 5 } else { close };
    }
    while !text.str.is_char_boundary(end) {
        end -= 1;
    }
    out.secret(text, Kind::PrivateKey, "", start, end);
    end
}

#[cfg(test)]
mod tests {
    use super::LONGEST;
    use crate::redact::Kind::PrivateKey;
    use crate::redact::detectors::testing::{found, none};

    #[test]
    fn a_key_goes_from_header_to_end() {
        let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIFAKE\n-----END RSA PRIVATE KEY-----";
        assert_eq!(found(&format!("a {key} b")), [(PrivateKey, key)]);
        assert_eq!(found(&format!("{key}\n{key}")).len(), 2);
        let block = "-----BEGIN PGP PRIVATE KEY BLOCK-----\\nFAKE\\n-----END PGP PRIVATE KEY BLOCK-----";
        assert_eq!(found(block), [(PrivateKey, block)]);
    }

    #[test]
    fn a_key_without_end_goes_to_the_limit() {
        let open = format!("-----BEGIN PRIVATE KEY-----\n{}", "é".repeat(LONGEST));
        let found = found(&open);
        assert!(found.len() == 1 && (LONGEST - 1..=LONGEST).contains(&found[0].1.len()));
    }

    #[test]
    fn public_keys_and_certificates_stay() {
        none("-----BEGIN PUBLIC KEY-----\nMIIFAKE\n-----END PUBLIC KEY-----");
        none("-----BEGIN CERTIFICATE-----\nMIIFAKE\n-----END CERTIFICATE-----");
        none("-----BEGIN PRIVATE KEY");
    }
}
