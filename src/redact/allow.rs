//! What stays although it was found: the company's own domain, a published address, an office network.

use crate::redact::Kind;
use crate::redact::config::{Allow, ConfigError, nearest};
use crate::redact::custom::{PATTERN_LIMIT, reason};
use regex::{Regex, RegexBuilder};
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

/// The allow list, compiled.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllowList {
    addresses: HashSet<String>,
    domains: Vec<String>,
    strings: HashSet<String>,
    regexes: Vec<Regex>,
    networks: Vec<(u128, u32)>,
    /// Values and patterns of one type, by its name.
    types: BTreeMap<String, (HashSet<String>, Vec<Regex>)>,
}

impl AllowList {
    /// `custom` are the names of the user's own types.
    pub(crate) fn new(allow: &Allow, custom: &[&str], errors: &mut Vec<ConfigError>) -> AllowList {
        let (addresses, domains): (Vec<String>, Vec<String>) =
            allow.emails.iter().map(|entry| entry.trim_start_matches('@').to_lowercase()).partition(|entry| entry.contains('@'));
        let mut list = AllowList {
            addresses: addresses.into_iter().collect(),
            domains,
            strings: allow.strings.iter().cloned().collect(),
            ..AllowList::default()
        };
        list.regexes = whole(&allow.regexes, "allow.regexes", errors);
        for (name, of) in &allow.types {
            if Kind::of_name(name).is_none() && !custom.contains(&name.as_str()) {
                errors.push(ConfigError::UnknownEntity { name: format!("{name} (in allow.types)"), hint: nearest(name) });
            }
            let regexes = whole(&of.regexes, &format!("allow.types.{name}.regexes"), errors);
            list.types.insert(name.clone(), (of.strings.iter().cloned().collect(), regexes));
        }
        for value in &allow.cidrs {
            match network(value) {
                Some(network) => list.networks.push(network),
                None => errors.push(ConfigError::Cidr { value: value.clone() }),
            }
        }
        list
    }

    /// Whether this value of this type, which has this name, stays.
    pub(crate) fn has(&self, kind: Kind, name: &str, value: &str) -> bool {
        let of_type = || {
            self.types
                .get(name)
                .is_some_and(|(strings, regexes)| strings.contains(value) || regexes.iter().any(|regex| regex.is_match(value)))
        };
        self.strings.contains(value)
            || self.regexes.iter().any(|regex| regex.is_match(value))
            || (kind == Kind::Email && self.has_email(value))
            || (kind == Kind::IpAddress && self.has_address(value))
            || (!self.types.is_empty() && of_type())
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

/// Patterns that match a whole value.
fn whole(patterns: &[String], key: &str, errors: &mut Vec<ConfigError>) -> Vec<Regex> {
    let mut regexes = Vec::new();
    for pattern in patterns {
        match RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(PATTERN_LIMIT).build() {
            Ok(regex) => regexes.push(regex),
            Err(error) => errors.push(ConfigError::Pattern { key: key.to_owned(), pattern: pattern.clone(), reason: reason(&error) }),
        }
    }
    regexes
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
    use crate::redact::config::{Allow, AllowOf};

    #[test]
    fn every_list_lets_its_values_pass_and_their_neighbours_not() {
        let list = |s: &str| vec![s.to_owned()];
        let allow = Allow {
            emails: vec!["example.org".to_owned(), "help@corp.test".to_owned()],
            strings: list("+1 202 555 0100"),
            regexes: list("AKIA.*EXAMPLE"),
            cidrs: vec!["203.0.113.0/24".to_owned(), "2001:db8::/32".to_owned(), "8.8.8.8".to_owned()],
            types: [("TICKET".to_owned(), AllowOf { strings: list("T-1"), regexes: list("T-9+") })].into(),
        };
        let mut errors = Vec::new();
        let list = AllowList::new(&allow, &["TICKET"], &mut errors);
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
            assert!(list.has(Kind::Custom(0), "TICKET", "T-99"));
            assert!(list.has(Kind::Custom(0), "TICKET", "T-1"));
            assert!(!list.has(Kind::Custom(0), "OTHER", "T-1"));
            assert_eq!(list.has(kind, kind.name(), value), stays, "{value}");
        }
    }

    #[test]
    fn what_is_no_network_or_pattern_is_an_error() {
        let allow = Allow { cidrs: vec!["10.0.0.0/33".to_owned(), "x".to_owned()], regexes: vec!["(".to_owned()], ..Allow::default() };
        let mut errors = Vec::new();
        AllowList::new(&allow, &["TICKET"], &mut errors);
        assert_eq!(errors.len(), 3);
    }
}
