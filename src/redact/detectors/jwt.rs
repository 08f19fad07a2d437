//! Signed tokens: three base64url parts of which the first says so.

use super::{Detector, Probe, Set};
use crate::redact::Kind;
use crate::redact::text::{Out, Text, is_base64url, is_word};
use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The detector.
pub(super) const DETECTOR: Detector = Detector { probe: Probe::Window(windows, find) };

/// A header is short; past this many bytes it is something else.
const HEADER: usize = 4096;

const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true),
);

fn windows() -> Vec<[Set; 3]> {
    vec![Set::bytes(b"eyJ")]
}

fn find(text: &Text<'_>, at: usize, out: &mut Out<'_>) -> usize {
    let Some(start) = at.checked_sub(1) else { return at + 1 };
    let before = text.before(start);
    if is_word(before) || (before == b'.' && is_word(start.checked_sub(1).map_or(0, |p| text.before(p)))) {
        return at + 1;
    }
    let dot = text.run(start, usize::MAX, is_base64url);
    if text.at(dot) != b'.' || dot - start > HEADER {
        return dot;
    }
    let second = text.run(dot + 1, usize::MAX, is_base64url);
    if second - dot < 5 || !is_header(text.slice(start, dot)) {
        return dot;
    }
    // Unsigned tokens end in the second dot; one cut off at the end of a text may miss it.
    let end = if text.at(second) == b'.' { text.run(second + 1, usize::MAX, is_base64url) } else { second };
    if text.at(second) == b'.' || (text.cut && second == text.bytes.len()) {
        out.secret(text, Kind::Jwt, "", start, end);
    }
    end
}

/// Whether it decodes to a JSON object that names an algorithm or a type.
fn is_header(part: &[u8]) -> bool {
    let Ok(json) = ENGINE.decode(part) else { return false };
    let Ok(serde_json::Value::Object(header)) = serde_json::from_slice(&json) else { return false };
    header.contains_key("alg") || header.contains_key("typ")
}

#[cfg(test)]
mod tests {
    use crate::redact::Kind::Jwt;
    use crate::redact::detectors::testing::{found, none};

    const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJFWEFNUExFIn0.FAKEfakeFAKE";

    #[test]
    fn the_whole_token_goes_signed_or_not() {
        assert_eq!(found(&format!("jwt={TOKEN};")), [(Jwt, TOKEN)]);
        assert_eq!(found("eyJhbGciOiJub25lIn0.eyJzdWIiOiJFWEFNUExFIn0. ok"), [(Jwt, "eyJhbGciOiJub25lIn0.eyJzdWIiOiJFWEFNUExFIn0.")]);
    }

    #[test]
    fn encoded_json_that_is_no_header_stays() {
        none("cursor=eyJhZnRlciI6IDU3MzQ1NjA1NiwgImRpciI6ICJuZXh0In0=");
        none("eyJhZnRlciI6NX0.eyJzdWIiOiJFWEFNUExFIn0.abcdefgh");
        none("eyJ.eyJ.eyJ");
        none(&format!("x{TOKEN}"));
    }
}
