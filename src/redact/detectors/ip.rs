//! Addresses of machines, where a machine may be somebody's.
//!
//! Four numbers with dots are also a version, and colons are also the time of day or a path in code, so the words
//! before and the groups inside decide. Addresses that mean "this machine" or "everybody" tell nothing and stay.

use super::{Detector, Number, Probe, Set};
use crate::redact::Kind;
use crate::redact::text::{Out, Text, is_word};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4.
pub(super) const DETECTOR: Detector = Detector { probe: Probe::Number(v4) };
/// IPv6.
pub(super) const DETECTOR_V6: Detector = Detector { probe: Probe::Window(windows, v6) };

const HEX: &[u8] = b"0123456789abcdefABCDEF";
const HEX_OR_COLON: &[u8] = b"0123456789abcdefABCDEF:";

/// Words, or ends of words, before a version.
const VERSIONED: &[&[u8]] = &[
    b"version",
    b"ver",
    b"release",
    b"build",
    b"upgrade",
    b"firmware",
    b"kernel",
    b"revision",
    b"driver",
    b"sdk",
    b"patch",
    b"chrome",
    b"edge",
    b"firefox",
    b"safari",
    b"oid",
];

/// Words before the number of a part of a document.
const NUMBERED: &[&[u8]] = &[
    b"section",
    b"sections",
    b"sec",
    b"clause",
    b"chapter",
    b"table",
    b"figure",
    b"fig",
    b"appendix",
    b"paragraph",
    b"para",
    b"article",
    b"annex",
    b"requirement",
];

fn windows() -> Vec<[Set; 3]> {
    vec![[Set::Of(HEX), Set::One(b':'), Set::Of(HEX_OR_COLON)], [Set::One(b':'), Set::One(b':'), Set::Of(HEX)]]
}

pub(crate) fn v4(text: &Text<'_>, number: &Number, out: &mut Out<'_>) {
    if number.sep_after(0) != b'.' || number.digits_in(0) > 3 {
        return;
    }
    let Some(end) = number.end_of(3).filter(|_| (0..3).all(|g| number.sep_after(g) == b'.')) else { return };
    let start = number.start;
    let Some(address) = text.str.get(start..end).and_then(|s| s.parse::<Ipv4Addr>().ok()) else { return };
    // A port or prefix length may follow, so only the dots and dashes of identifiers bind.
    let glued = |b: u8, far: u8| matches!(b, b'.' | b'-') && is_word(far);
    if !text.bounded(start, end)
        || glued(text.before(start), start.checked_sub(1).map_or(0, |p| text.before(p))) && !ends_range(text, start)
        || glued(text.at(end), text.at(end + 1)) && !begins_range(text, end)
        || (text.before(start) == b':' && is_word(start.checked_sub(2).map_or(0, |p| text.at(p))) && inside_v6(text, start))
        || !telling_v4(address)
        || (text.limits.keep_private && is_private(IpAddr::V4(address)))
        || is_version(text, start, end)
    {
        return;
    }
    out.found(text, Kind::IpAddress, start, end);
}

/// `10.0.0.1-10.0.0.9`: another address behind the dash.
fn begins_range(text: &Text<'_>, end: usize) -> bool {
    let stop = text.run(end + 1, 16, |b| b.is_ascii_digit() || b == b'.');
    text.at(end) == b'-' && is_quad(text.slice(end + 1, stop)) && !matches!(text.at(stop), b'-' | b'_') && !is_word(text.at(stop))
}

/// The same from the other end.
fn ends_range(text: &Text<'_>, start: usize) -> bool {
    let dash = start.saturating_sub(1);
    let from = text.run_back(dash, 16, |b| b.is_ascii_digit() || b == b'.');
    text.at(dash) == b'-' && is_quad(text.slice(from, dash)) && text.before(from) != b'-' && !is_word(text.before(from))
}

fn is_quad(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|quad| quad.parse::<Ipv4Addr>().is_ok())
}

/// `::ffff:1.2.3.4`: the IPv6 detector speaks for the whole.
fn inside_v6(text: &Text<'_>, start: usize) -> bool {
    let from = text.run_back(start, 45, |b| HEX_OR_COLON.contains(&b));
    text.slice(from, start).windows(2).any(|w| w == b"::") || text.slice(from, start).iter().filter(|b| **b == b':').count() >= 6
}

fn telling_v4(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    !(address.is_loopback()
        || a == 0
        || address.is_broadcast()
        || address.is_multicast()
        || address.is_link_local()
        || (a == 255 && b == 255))
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private() || v4.is_documentation(),
        IpAddr::V6(v6) => {
            v6.is_unique_local()
                || matches!(v6.segments(), [0x2001, 0xdb8, ..])
                || v6.to_ipv4_mapped().is_some_and(|v4| is_private(IpAddr::V4(v4)))
        }
    }
}

/// A version number: the word before it or the suffix behind it says so, or it follows a package and `@`.
fn is_version(text: &Text<'_>, start: usize, end: usize) -> bool {
    if start == 0 && end == text.bytes.len() && text.key.is_some_and(is_version_key) {
        return true;
    }
    let far = start.checked_sub(1).map_or(0, |p| text.before(p));
    // `pkg@1.2.3.4`, `^1.2.3.4`, `Chrome/120.0.0.0`, `pkg==1.2.3.4`.
    if text.before(start) == b'@' && signs_in(text, start - 1) {
        return false;
    }
    if matches!(text.before(start), b'@' | b'/') && is_word(far)
        || matches!(text.before(start), b'^' | b'~')
        || text.before(start) == b'=' && matches!(far, b'=' | b'~' | b'>' | b'<')
    {
        return true;
    }
    if [&b"-rc"[..], b"-beta", b"-alpha", b".post", b".dev", b"+"].iter().any(|suffix| text.starts_with(end, suffix)) {
        return true;
    }
    // Up to two words back: "version 1.2.3.4", "upgrade from 1.2.3.4", `version: "1.2.3.4"`.
    let mut at = start;
    for _ in 0..2 {
        at = text.run_back(at, 6, |b| !b.is_ascii_alphanumeric() && b < 0x80 && b != b'\n' && b != b',' && b != b';');
        let word_start = text.run_back(at, 16, |b| b.is_ascii_alphabetic() || b == b'_' || b == b'-');
        let word = text.slice(word_start, at);
        // The word, or the last part of a name: `app_version`, but not the "ver" of a server.
        let is = |name: &[u8]| {
            word.len().checked_sub(name.len()).is_some_and(|cut| {
                word.get(cut..).is_some_and(|w| w.eq_ignore_ascii_case(name))
                    && (name.len() > 6 || cut == 0 || matches!(word.get(cut - 1), Some(b'_' | b'-')))
            })
        };
        let v = word.eq_ignore_ascii_case(b"v") && matches!(text.slice(at, start), b"" | b" " | b"." | b". ");
        if v || VERSIONED.iter().chain(NUMBERED).any(|name| is(name)) {
            return true;
        }
        // "from version 1.2.3.4 to 1.2.3.5": the sentence is still about versions.
        if (is(b"from") || is(b"to")) && versions_before(text, word_start) {
            return true;
        }
        if !(is(b"from") || is(b"to") || is(b"is") || is(b"number")) {
            break;
        }
        at = word_start;
    }
    false
}

/// `root@93.184.216.34`, `ssh bob@…`: a user of a machine, not a package.
fn signs_in(text: &Text<'_>, at: usize) -> bool {
    let from = text.run_back(at, 32, |b| is_word(b) || matches!(b, b'.' | b'-'));
    let command = text.slice(from.saturating_sub(24), from);
    let users = [&b"root"[..], b"admin", b"administrator", b"ubuntu", b"ec2-user", b"centos", b"debian", b"pi", b"deploy", b"user"];
    users.contains(&text.slice(from, at))
        || [&b"ssh "[..], b"scp ", b"sftp ", b"rsync ", b"ssh://"].iter().any(|c| memchr::memmem::find(command, c).is_some())
}

/// `app_version`, `telemetry.sdk.version`: what the key holds is no address.
fn is_version_key(key: &str) -> bool {
    let key = key.as_bytes();
    [&b"version"[..], b"release", b"build", b"firmware"]
        .iter()
        .any(|end| key.len() >= end.len() && key.get(key.len() - end.len()..).is_some_and(|tail| tail.eq_ignore_ascii_case(end)))
}

/// One of the words within 40 bytes before, in the same sentence.
fn versions_before(text: &Text<'_>, at: usize) -> bool {
    let head = text.slice(at.saturating_sub(40), at);
    let ends = |w: &[u8]| matches!(w, [b'.' | b'!' | b'?', b' ' | b'\n', ..] | [b'\n', ..]);
    let head = head.windows(2).rposition(ends).and_then(|end| head.get(end + 1..)).unwrap_or(head);
    // An update may be of anything, so only "updated to" itself speaks of a version.
    let last = head.trim_ascii_end().rsplit(|b| !b.is_ascii_alphabetic()).next().unwrap_or_default();
    [&b"update"[..], b"updated", b"updating", b"updates"].iter().any(|w| last.eq_ignore_ascii_case(w))
        || [&b"upgrad"[..], b"version", b"release", b"downgrad"]
            .iter()
            .any(|w| head.windows(w.len()).any(|here| here.eq_ignore_ascii_case(w)))
}

fn v6(text: &Text<'_>, at: usize, out: &mut Out<'_>) -> usize {
    let start = text.run_back(at, 40, |b| HEX_OR_COLON.contains(&b));
    // A name may stand right before: `ip:2001:db8::1` is an address behind its word.
    let labelled = text.at(start) == b':' && text.at(start + 1) != b':' && is_word(text.before(start));
    let start = start + usize::from(labelled);
    let stop = text.run(at, usize::MAX, |b| HEX_OR_COLON.contains(&b) || b == b'.');
    if stop - start > 60 {
        return stop;
    }
    let Some((start, end, address)) = parse(text, start, stop) else { return stop.max(at + 1) };
    let colons = text.slice(start, end).iter().filter(|b| **b == b':').count();
    let alone = !is_word(text.before(start))
        && (labelled || !matches!(text.before(start), b':' | b'.'))
        && !is_word(text.at(end))
        && text.at(end) != b':';
    if !alone
        || colons < 2
        || !telling_v6(address)
        || !plausible(text.slice(start, end))
        || (text.limits.keep_private && is_private(IpAddr::V6(address)))
    {
        return stop.max(at + 1);
    }
    // A zone belongs to the address: `fe80::1%eth0`.
    let end = if text.at(end) == b'%' && text.at(end + 1).is_ascii_alphabetic() {
        text.run(end + 1, 16, |b| b.is_ascii_alphanumeric())
    } else {
        end
    };
    out.found(text, Kind::IpAddress, start, end);
    stop.max(at + 1)
}

/// The address in the range, without punctuation at its end.
fn parse(text: &Text<'_>, start: usize, stop: usize) -> Option<(usize, usize, Ipv6Addr)> {
    let mut end = stop;
    loop {
        if let Some(address) = text.str.get(start..end).and_then(|s| s.parse().ok()) {
            return Some((start, end, address));
        }
        // A full stop or three, or one colon as in "2001:db8::1: refused".
        match text.before(end) {
            b'.' if end > start + 2 && stop - end < 3 => end -= 1,
            b':' if end > start + 2 && stop - end < 2 => end -= 1,
            _ => return None,
        }
    }
}

fn telling_v6(address: Ipv6Addr) -> bool {
    if let Some(v4) = address.to_ipv4_mapped() {
        return telling_v4(v4);
    }
    let link_local = address.segments().first().is_some_and(|s| s & 0xffc0 == 0xfe80);
    !(address.is_unspecified() || address.is_loopback() || address.is_multicast() || link_local)
}

/// Not a path in code or a time: a shortened address has a digit, and two groups or one long group with a digit.
fn plausible(bytes: &[u8]) -> bool {
    let short = bytes.windows(2).any(|w| w == b"::");
    if !short {
        // Eight pairs are octets of something longer than an address: a fingerprint, a world-wide name.
        let octets = bytes.split(|b| *b == b':').all(|group| group.len() == 2);
        return bytes.iter().filter(|b| **b == b':').count() >= 6 && !octets;
    }
    let groups = || bytes.split(|b| matches!(b, b':')).filter(|g| !g.is_empty());
    let long = groups().any(|g| g.len() >= 3 && g.iter().any(u8::is_ascii_digit));
    bytes.iter().any(u8::is_ascii_digit)
        && (groups().count() >= 2 || long)
        && (long || groups().count() >= 3 || groups().any(|g| g.len() >= 2 && g.iter().any(u8::is_ascii_digit)))
}

#[cfg(test)]
mod tests {
    use crate::redact::Kind::IpAddress;
    use crate::redact::detectors::Limits;
    use crate::redact::detectors::testing::{found, found_with, none};

    #[test]
    fn addresses_are_found_without_port_and_brackets() {
        for (text, hit) in [
            ("peer 203.0.113.42:8080 left", "203.0.113.42"),
            ("from 10.1.2.3/24", "10.1.2.3"),
            ("ip=8.8.8.8.", "8.8.8.8"),
            ("http://93.184.216.34/x", "93.184.216.34"),
            ("[2001:db8::8a2e:370:7334]:443", "2001:db8::8a2e:370:7334"),
            ("peer 2404:3f8c:9d04:: timed out", "2404:3f8c:9d04::"),
            ("2600:c932:aa68:e37e:4496:8db1:ed75:64b5.", "2600:c932:aa68:e37e:4496:8db1:ed75:64b5"),
            ("::ffff:93.184.216.34", "::ffff:93.184.216.34"),
            ("fd00:1234::1%eth0 up", "fd00:1234::1%eth0"),
            ("moved to 8.8.4.4", "8.8.4.4"),
            ("ip:2001:db8::17", "2001:db8::17"),
            ("IPv4:203.0.113.77 seen", "203.0.113.77"),
            ("(host2:203.0.113.77:8080)", "203.0.113.77"),
            ("We shipped 3 releases. Login from 8.8.4.4", "8.8.4.4"),
            ("last release\nlogin from 8.8.4.4", "8.8.4.4"),
        ] {
            assert_eq!(found(text), [(IpAddress, hit)], "{text}");
        }
    }

    #[test]
    fn the_key_of_a_version_tells() {
        let limits = Limits::default();
        assert!(found_with("5.15.0.91", Some("app_version"), &limits).is_empty());
        assert_eq!(found_with("5.15.0.91", Some("host"), &limits), [(IpAddress, "5.15.0.91")]);
    }

    #[test]
    fn special_addresses_versions_times_and_code_stay() {
        for text in [
            "bind 0.0.0.0:4317",
            "127.0.0.1",
            "255.255.255.0",
            "224.0.0.251",
            "169.254.1.1",
            "::1",
            "fe80::1%eth0",
            "::ffff:127.0.0.1",
            "version 14.18.82.102",
            "Upgrade from v18.20.85.0 to 18.20.86.1",
            "Upgrade from 18.20.85.0 to 18.20.86.1",
            "pkg@1.2.3.4",
            "see section 3.4.8.1",
            "Linux kernel 5.15.0.91",
            "1.2.3.4-rc1",
            "1.2.3.4.5",
            "1.02.3.4",
            "256.1.1.1",
            "Chrome/120.0.0.0 Safari/537.36",
            "10:05:47",
            "6:8:8:1",
            "1:2:3.4.5.6",
            "12:203.0.113.77",
            "db8:203.0.113.77",
            "v2:18.20.85.7",
            "7host2:203.0.113.77",
            "sdk2:18.20.85.7-rc1",
            "2001:ab:ip4:5",
            "use std::fs::read",
            "abc::def::new()",
            "dead::beef",
            "a::b",
            "12:34:56:78:9a:bc:de:f0:12",
        ] {
            none(text);
        }
    }
}
