//! What is written where something was found.
//!
//! A placeholder must say what stood there and nothing about what it said, must be the same for the same value where
//! that is asked for, and must not be taken for a finding itself when the text passes a second time.

use crate::redact::Kind;
use crate::redact::config::{Action, HashKey};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt::Write;
use std::net::IpAddr;

/// Letters or digits that a mask leaves.
const KEPT: usize = 4;
/// A mask leaves none of fewer.
const KEPT_FROM: usize = 8;
/// Longest name of a type.
pub(crate) const NAME: usize = 40;

/// The key of pseudonyms, ready for use.
#[derive(Clone)]
pub(crate) struct Pseudonyms {
    mac: Hmac<Sha256>,
    id: Option<String>,
}

impl Pseudonyms {
    /// `None` where the key is too short to keep a secret.
    pub(crate) fn new(key: &HashKey, id: Option<String>) -> Option<Pseudonyms> {
        if key.bytes().len() < 16 {
            return None;
        }
        Hmac::new_from_slice(key.bytes()).ok().map(|mac| Pseudonyms { mac, id })
    }

    fn write(&self, kind: Kind, name: &str, value: &str, into: &mut String) {
        let mut mac = self.mac.clone();
        mac.update(name.as_bytes());
        mac.update(&[0]);
        mac.update(canonical(kind, value).as_bytes());
        let digest = mac.finalize().into_bytes();
        into.push('[');
        into.push_str(name);
        if let Some(id) = &self.id {
            into.push(':');
            into.push_str(id);
        }
        into.push(':');
        for byte in digest.iter().take(8) {
            // Writing to a string does not fail.
            let _ = write!(into, "{byte:02x}");
        }
        into.push(']');
    }
}

/// What stands for a value; `None` where it stays. `template` is what `replace` writes, where it is not `[TYPE]`.
pub(crate) fn apply(
    action: Action,
    kind: Kind,
    name: &str,
    template: Option<&str>,
    value: &str,
    pseudonyms: Option<&Pseudonyms>,
) -> Option<String> {
    let token = || template.map_or_else(|| format!("[{name}]"), |template| template.replace("{type}", name));
    match action {
        Action::Replace | Action::DropAttribute | Action::DropSpan => Some(token()),
        Action::Hash => Some(pseudonyms.map_or_else(token, |key| {
            let mut text = String::with_capacity(name.len() + 32);
            key.write(kind, name, value, &mut text);
            text
        })),
        Action::Mask => Some(mask(kind, value)),
        Action::Remove => Some(String::new()),
        Action::Detect => None,
    }
}

/// The form under which equal values are the same: case, separators and notation aside.
fn canonical(kind: Kind, value: &str) -> String {
    let solid = || value.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
    match kind {
        Kind::Email => value.replace("%40", "@").to_lowercase(),
        Kind::IpAddress => {
            value.split(['%', '/']).next().and_then(|s| s.parse::<IpAddr>().ok()).map_or_else(|| value.to_lowercase(), |ip| ip.to_string())
        }
        Kind::CreditCard | Kind::Phone | Kind::BankAccount | Kind::UsAbaRouting => value.chars().filter(char::is_ascii_digit).collect(),
        Kind::MacAddress => value.chars().filter(char::is_ascii_hexdigit).map(|c| c.to_ascii_lowercase()).collect(),
        Kind::ApiKey
        | Kind::Jwt
        | Kind::PrivateKey
        | Kind::AuthToken
        | Kind::Password
        | Kind::UrlCredential
        | Kind::Crypto
        | Kind::DateOfBirth
        | Kind::Custom(_) => value.to_owned(),
        _ => solid(),
    }
}

/// Stars for letters and digits but the last four; of an address the first character and the domain.
fn mask(kind: Kind, value: &str) -> String {
    if kind == Kind::Email
        && let Some((local, domain)) = value.split_once('@').or_else(|| value.split_once("%40"))
    {
        return format!("{}***@{domain}", local.chars().next().map(String::from).unwrap_or_default());
    }
    let count = value.chars().filter(|c| c.is_alphanumeric()).count();
    let hidden = if count < KEPT_FROM { count } else { count - KEPT };
    let mut seen = 0;
    value
        .chars()
        .map(|c| {
            let hide = c.is_alphanumeric() && seen < hidden;
            seen += usize::from(c.is_alphanumeric());
            if hide { '*' } else { c }
        })
        .collect()
}

/// Whether `start..end` lies within a placeholder of a known type: `[TYPE]`, or `[TYPE:…]` where that type is hashed.
pub(crate) fn in_placeholder(text: &str, start: usize, end: usize, is_type: impl Fn(&str) -> Option<Action>) -> bool {
    let bytes = text.as_bytes();
    // The longest placeholder: a name, a rotation id, 16 digits, and what joins them.
    let from = start.saturating_sub(NAME + 40);
    let Some(open) = bytes.get(from..(start + 1).min(bytes.len())).and_then(|head| head.iter().rposition(|&b| b == b'[')) else {
        return false;
    };
    let inner = from + open + 1;
    let Some(length) = bytes.get(inner..bytes.len().min(inner + NAME + 40)).and_then(|tail| tail.iter().position(|&b| b == b']')) else {
        return false;
    };
    let (close, Some(inside)) = (inner + length, text.get(inner..inner + length)) else { return false };
    if end > close + 1 {
        return false;
    }
    let mut parts = inside.split(':');
    let Some(action) = parts.next().and_then(&is_type) else { return false };
    match parts.next_back() {
        None => true,
        Some(hex) => {
            action == Action::Hash
                && hex.len() == 16
                && hex.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
                && parts.next().is_none_or(is_id)
                && parts.next().is_none()
        }
    }
}

/// Whether a rotation id can be written into a placeholder.
pub(crate) fn is_id(id: &str) -> bool {
    (1..=16).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::{Pseudonyms, apply, in_placeholder, mask};
    use crate::redact::Kind;
    use crate::redact::config::{Action, HashKey};

    #[test]
    fn masks_keep_shape_and_little_else() {
        assert_eq!(mask(Kind::CreditCard, "4111-1111-1111-1234"), "****-****-****-1234");
        assert_eq!(mask(Kind::Email, "jane@example.org"), "j***@example.org");
        assert_eq!(mask(Kind::Email, "j***@example.org"), "j***@example.org");
        assert_eq!(mask(Kind::Password, "ab-c1"), "**-**");
    }

    #[test]
    fn one_value_has_one_pseudonym_and_another_key_another() {
        let hash = |key: &str, id: Option<&str>, kind: Kind, value: &str| {
            let key = Pseudonyms::new(&HashKey::new(key), id.map(str::to_owned)).unwrap();
            apply(Action::Hash, kind, kind.name(), None, value, Some(&key)).unwrap()
        };
        let one = hash("0123456789abcdef", None, Kind::Email, "Jane@Example.org");
        assert_eq!(one, hash("0123456789abcdef", None, Kind::Email, "jane@example.org"));
        assert_ne!(one, hash("0123456789abcdeg", None, Kind::Email, "jane@example.org"));
        assert_eq!(hash("0123456789abcdef", None, Kind::Iban, "GB82 WEST"), hash("0123456789abcdef", None, Kind::Iban, "gb82west"));
        assert_eq!(
            hash("0123456789abcdef", None, Kind::IpAddress, "2001:DB8:0::1"),
            hash("0123456789abcdef", None, Kind::IpAddress, "2001:db8::1")
        );
        assert_eq!(one.len(), "[EMAIL:0123456789abcdef]".len());
        assert!(hash("0123456789abcdef", Some("k2"), Kind::Email, "x@y.org").starts_with("[EMAIL:k2:"));
        assert!(Pseudonyms::new(&HashKey::new("short"), None).is_none());
    }

    #[test]
    fn placeholders_are_recognised_and_imitations_are_not() {
        let hashed = |name: &str| (name == "EMAIL").then_some(Action::Hash);
        let replaced = |name: &str| (name == "EMAIL").then_some(Action::Replace);
        assert!(in_placeholder("a [EMAIL] b", 3, 8, replaced));
        assert!(in_placeholder("a [EMAIL:4111111111111111] b", 9, 25, hashed));
        assert!(in_placeholder("a [EMAIL:k2:4111111111111111] b", 12, 28, hashed));
        assert!(!in_placeholder("a [EMAIL:4111111111111111] b", 9, 25, replaced));
        assert!(!in_placeholder("a [OTHER] b", 3, 8, replaced));
        assert!(!in_placeholder("a [EMAIL] b", 3, 11, replaced));
        assert!(!in_placeholder("[", 0, 1, replaced));
    }
}
