//! One place, one finding.
//!
//! A card number may look like a phone, a password may be a token. The user's own patterns win, then what a checksum
//! proves, then the longer, then a fixed order of types; two secrets that overlap go together, since half a secret
//! is a leak.

use crate::redact::Kind;
use crate::redact::text::Hit;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The hits that stand, in order of their position; none overlaps another.
pub(crate) fn settle(mut hits: Vec<Hit>) -> Vec<Hit> {
    // Mostly they come in order and apart.
    if hits.windows(2).all(|pair| matches!(pair, [one, next] if one.end <= next.start)) {
        return hits;
    }
    hits.sort_by_key(|hit| {
        (!matches!(hit.kind, Kind::Custom(_)), !hit.kind.self_proving(), Reverse(hit.end - hit.start), hit.kind.rank(), hit.start)
    });
    let mut standing: BTreeMap<usize, Hit> = BTreeMap::new();
    for hit in hits {
        place(&mut standing, hit);
    }
    standing.into_values().collect()
}

fn place(standing: &mut BTreeMap<usize, Hit>, mut hit: Hit) {
    let overlapping = |standing: &BTreeMap<usize, Hit>, hit: &Hit| {
        // Only the last one that begins before the end can reach in: the standing ones do not overlap each other.
        standing.range(..hit.end).next_back().map(|(_, &other)| other).filter(|other| other.end > hit.start)
    };
    while let Some(other) = overlapping(standing, &hit) {
        if !(other.kind.is_secret() && hit.kind.is_secret()) {
            return;
        }
        standing.remove(&other.start);
        let lead = if (other.kind.rank(), other.subtype == "generic") <= (hit.kind.rank(), hit.subtype == "generic") { other } else { hit };
        hit = Hit { start: hit.start.min(other.start), end: hit.end.max(other.end), ..lead };
    }
    standing.insert(hit.start, hit);
}

#[cfg(test)]
mod tests {
    use super::settle;
    use crate::redact::Kind;
    use crate::redact::text::Hit;

    fn hit(kind: Kind, start: usize, end: usize) -> Hit {
        Hit { start, end, kind, subtype: "" }
    }

    #[test]
    fn the_order_of_winners_holds() {
        let custom = hit(Kind::Custom(0), 4, 6);
        assert_eq!(settle(vec![hit(Kind::Email, 0, 20), custom]), [custom]);
        let card = hit(Kind::CreditCard, 0, 16);
        assert_eq!(settle(vec![hit(Kind::Phone, 0, 20), card]), [card]);
        let long = hit(Kind::BankAccount, 0, 20);
        assert_eq!(settle(vec![hit(Kind::UsSsn, 0, 9), long]), [long]);
        let ssn = hit(Kind::UsSsn, 0, 9);
        assert_eq!(settle(vec![hit(Kind::BankAccount, 0, 9), ssn]), [ssn]);
    }

    #[test]
    fn overlapping_secrets_go_together_and_neighbours_stay_apart() {
        assert_eq!(settle(vec![hit(Kind::Password, 0, 10), hit(Kind::Jwt, 5, 30)]), [hit(Kind::Jwt, 0, 30)]);
        let two = [hit(Kind::Email, 0, 5), hit(Kind::Email, 5, 9)];
        assert_eq!(settle(two.to_vec()), two);
    }
}
