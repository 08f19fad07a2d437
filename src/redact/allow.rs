//! What stays although it was found: the company's own domain, a published address, an office network.

use crate::redact::Kind;
use crate::redact::config::{Allow, ConfigError};
use crate::redact::custom::{PATTERN_LIMIT, reason};
use regex::{Regex, RegexBuilder};
use std::collections::HashSet;
use std::net::IpAddr;

/// The allow list, compiled.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllowList {
    addresses: HashSet<String>,
    domains: Vec<String>,
    strings: HashSet<String>,
    regexes: Vec<Regex>,
    networks: Vec<(u128, u32)>,
}

impl AllowList {
    pub(crate) fn new(allow: &Allow, errors: &mut Vec<ConfigError>) -> AllowList {
        let (addresses, domains): (Vec<String>, Vec<String>) =
            allow.emails.iter().map(|entry| entry.trim_start_matches('@').to_lowercase()).partition(|entry| entry.contains('@'));
        let mut list = AllowList {
            addresses: addresses.into_iter().collect(),
            domains,
            strings: allow.strings.iter().cloned().collect(),
            ..AllowList::default()
        };
        for pattern in &allow.regexes {
            match RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(PATTERN_LIMIT).build() {
                Ok(regex) => list.regexes.push(regex),
                Err(error) => {
                    errors.push(ConfigError::Pattern { key: "allow.regexes".to_owned(), pattern: pattern.clone(), reason: reason(&error) })
                }
            }
        }
        for value in &allow.cidrs {
            match network(value) {
                Some(network) => list.networks.push(network),
                None => errors.push(ConfigError::Cidr { value: value.clone() }),
            }
        }
        list
    }

    /// Whether this value of this type stays.
    pub(crate) fn has(&self, kind: Kind, value: &str) -> bool {
        self.strings.contains(value)
            || self.regexes.iter().any(|regex| regex.is_match(value))
            || (kind == Kind::Email && self.has_email(value))
            || (kind == Kind::IpAddress && self.has_address(value))
    }

    fn has_email(&self, value: &str) -> bool {
        if self.addresses.is_empty() && self.domains.is_empty() {
            return false;
        }
        let value = value.replace("%40", "@").to_lowercase();
        let domain = value.rsplit('@').next().unwrap_or_default();
        let within = |entry: &String| domain.strip_suffix(entry.as_str()).is_some_and(|head| head.is_empty() || head.ends_with('.'));
        self.addresses.contains(&value) || self.domains.iter().any(within)
    }

    fn has_address(&self, value: &str) -> bool {
        let address = value.split(['%', '/']).next().and_then(|s| s.parse::<IpAddr>().ok()).map(wide);
        address.is_some_and(|address| self.networks.iter().any(|&(network, bits)| bits == 0 || (address ^ network) >> (128 - bits) == 0))
    }
}

/// Both families as one: IPv4 in its mapped form.
fn wide(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_ipv6_mapped()),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

/// `203.0.113.0/24` as its bits and how many of them count.
fn network(text: &str) -> Option<(u128, u32)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.trim().parse().ok()?;
    let (own, offset) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
    let bits = bits.unwrap_or(own);
    (bits <= own).then(|| (wide(address), bits + offset))
}

#[cfg(test)]
mod tests {
    use super::AllowList;
    use crate::redact::Kind::{self, Email, IpAddress, Phone};
    use crate::redact::config::Allow;

    #[test]
    fn every_list_lets_its_values_pass_and_their_neighbours_not() {
        let list = |s: &str| vec![s.to_owned()];
        let allow = Allow {
            emails: vec!["example.org".to_owned(), "help@corp.test".to_owned()],
            strings: list("+1 202 555 0100"),
            regexes: list("AKIA.*EXAMPLE"),
            cidrs: vec!["203.0.113.0/24".to_owned(), "2001:db8::/32".to_owned(), "8.8.8.8".to_owned()],
        };
        let mut errors = Vec::new();
        let list = AllowList::new(&allow, &mut errors);
        assert!(errors.is_empty());
        for (kind, value, stays) in [
            (Email, "Jane@Example.org", true),
            (Email, "jane@mail.example.org", true),
            (Email, "jane@badexample.org", false),
            (Email, "help@corp.test", true),
            (Email, "jane@corp.test", false),
            (Phone, "+1 202 555 0100", true),
            (Phone, "+1 202 555 0101", false),
            (Kind::ApiKey, "AKIAIOSFODNN7EXAMPLE", true),
            (Kind::ApiKey, "AKIAIOSFODNN7EXAMPLF", false),
            (IpAddress, "203.0.113.9", true),
            (IpAddress, "203.0.114.9", false),
            (IpAddress, "2001:db8:1::1", true),
            (IpAddress, "8.8.8.8", true),
            (IpAddress, "8.8.8.9", false),
        ] {
            assert_eq!(list.has(kind, value), stays, "{value}");
        }
    }

    #[test]
    fn what_is_no_network_or_pattern_is_an_error() {
        let allow = Allow { cidrs: vec!["10.0.0.0/33".to_owned(), "x".to_owned()], regexes: vec!["(".to_owned()], ..Allow::default() };
        let mut errors = Vec::new();
        AllowList::new(&allow, &mut errors);
        assert_eq!(errors.len(), 3);
    }
}
