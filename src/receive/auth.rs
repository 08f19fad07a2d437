//! Who may send: bearer tokens.
//!
//! Only digests are kept, and every digest is compared whole whatever was offered, so neither memory nor timing tells a token.

use crate::units::Secret;
use arc_swap::ArcSwap;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;
use subtle::{Choice, ConstantTimeEq};

/// The tokens of which a request must carry one. Cheap to clone; all clones are one set.
#[derive(Clone)]
pub struct Tokens(Arc<ArcSwap<Vec<[u8; 32]>>>);

impl Tokens {
    /// These; none means that anyone may send.
    pub fn new(tokens: &[Secret]) -> Tokens {
        Tokens(Arc::new(ArcSwap::from_pointee(digests(tokens))))
    }

    /// From the next request on it is these, on connections that are open already, too.
    pub fn replace(&self, tokens: &[Secret]) {
        self.0.store(Arc::new(digests(tokens)));
    }

    /// Whether a request with these headers may go on.
    pub fn admit(&self, headers: &HeaderMap) -> bool {
        let valid = self.0.load();
        if valid.is_empty() {
            return true;
        }
        let mut offered = headers.get_all(AUTHORIZATION).iter();
        // Two of them could mean two things to two readers.
        let (Some(value), None) = (offered.next(), offered.next()) else { return false };
        let Some(token) = bearer(value.as_bytes()) else { return false };
        let digest: [u8; 32] = Sha256::digest(token).into();
        valid.iter().fold(Choice::from(0), |known, valid| known | valid.ct_eq(&digest)).into()
    }
}

impl Default for Tokens {
    /// None.
    fn default() -> Tokens {
        Tokens::new(&[])
    }
}

/// Not even digests.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(***)")
    }
}

fn digests(tokens: &[Secret]) -> Vec<[u8; 32]> {
    tokens.iter().map(|token| Sha256::digest(token.expose().trim().as_bytes()).into()).collect()
}

/// The token of `Bearer …`; the scheme's name is not case-sensitive (RFC 9110, 11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(tokens: &[&str], offered: &[&str]) -> bool {
        let tokens: Vec<Secret> = tokens.iter().map(|token| Secret::new(*token)).collect();
        let mut headers = HeaderMap::new();
        for value in offered {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        Tokens::new(&tokens).admit(&headers)
    }

    #[test]
    fn any_of_several_tokens_is_valid() {
        assert!(admits(&["old", "new"], &["Bearer old"]));
        assert!(admits(&["old", "new"], &["bearer  new"]));
    }

    #[test]
    fn what_is_close_to_a_token_is_not_one() {
        for offered in [&[][..], &["Bearer ol"], &["Bearer oldd"], &["Bearer OLD"], &["Basic old"], &["old"], &["Bearer"], &["Bearer "]] {
            assert!(!admits(&["old"], offered), "{offered:?}");
        }
        assert!(!admits(&["old"], &["Bearer old", "Bearer old"]));
    }

    #[test]
    fn without_tokens_anyone_may_send() {
        assert!(admits(&[], &[]));
    }
}
