//! What was found, without what it said.
//!
//! Reports travel further than text: to metrics, to the live page, to logs. So a finding is a type, a count and,
//! where asked for, a position; never a value.

use crate::redact::Kind;
use std::collections::BTreeMap;

/// One finding in the text that was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// Which key or token it is, for the types that have families; else empty.
    pub subtype: &'static str,
    /// First byte in the input.
    pub start: usize,
    /// One past the last byte in the input.
    pub end: usize,
}

/// What findings ask for beyond their own place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Drops {
    /// The attribute that holds the text goes as a whole.
    pub(crate) attribute: bool,
    /// The span goes as a whole.
    pub(crate) span: bool,
}

/// Counts per type over any number of texts, and positions if they were asked for.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    counts: BTreeMap<Kind, u64>,
    allowed: u64,
    unscanned: u64,
    errors: u64,
    drops: Drops,
    positions: Option<Vec<Finding>>,
}

impl Findings {
    /// Counts only.
    pub fn new() -> Findings {
        Findings::default()
    }

    /// Counts and positions. Positions are those of the last text, so take them after each.
    pub fn with_positions() -> Findings {
        Findings { positions: Some(Vec::new()), ..Findings::default() }
    }

    /// Findings of one type.
    pub fn count(&self, kind: Kind) -> u64 {
        self.counts.get(&kind).copied().unwrap_or(0)
    }

    /// Findings of all types.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Every type found and how often.
    pub fn counts(&self) -> impl Iterator<Item = (Kind, u64)> + '_ {
        self.counts.iter().map(|(&kind, &count)| (kind, count))
    }

    /// Hits that the allow list left in place.
    pub fn allowed(&self) -> u64 {
        self.allowed
    }

    /// Texts longer than `max_scan_bytes`.
    pub fn unscanned(&self) -> u64 {
        self.unscanned
    }

    /// Values that were replaced as a whole because redacting them failed.
    pub fn errors(&self) -> u64 {
        self.errors
    }

    /// The positions in the texts since the last call, in order; empty unless asked for at the start.
    pub fn take_positions(&mut self) -> Vec<Finding> {
        let mut taken = self.positions.as_mut().map(std::mem::take).unwrap_or_default();
        taken.sort_by_key(|finding| (finding.start, finding.end));
        taken
    }

    /// Adds the counts of another.
    pub fn merge(&mut self, other: &Findings) {
        for (&kind, &count) in &other.counts {
            *self.counts.entry(kind).or_insert(0) += count;
        }
        self.allowed += other.allowed;
        self.unscanned += other.unscanned;
        self.errors += other.errors;
        self.drops = Drops { attribute: self.drops.attribute | other.drops.attribute, span: self.drops.span | other.drops.span };
    }

    /// Back to nothing, keeping the choice of positions.
    pub fn clear(&mut self) {
        *self = self.like();
    }

    pub(crate) fn add(&mut self, finding: Finding) {
        *self.counts.entry(finding.kind).or_insert(0) += 1;
        if let Some(positions) = &mut self.positions {
            positions.push(finding);
        }
    }

    pub(crate) fn add_allowed(&mut self, count: u64) {
        self.allowed += count;
    }

    pub(crate) fn add_unscanned(&mut self) {
        self.unscanned += 1;
    }

    /// None, with positions where these have them.
    pub(crate) fn like(&self) -> Findings {
        Findings { positions: self.positions.as_ref().map(|_| Vec::new()), ..Findings::default() }
    }

    /// Adds the counts and positions of another.
    pub(crate) fn absorb(&mut self, other: Findings) {
        self.merge(&other);
        if let (Some(positions), Some(more)) = (&mut self.positions, other.positions) {
            positions.extend(more);
        }
    }

    /// Takes back the counts of some types.
    pub(crate) fn forget(&mut self, which: impl Fn(Kind) -> bool) {
        self.counts.retain(|&kind, _| !which(kind));
    }

    pub(crate) fn add_error(&mut self) {
        self.errors += 1;
    }

    /// Notes what the action of a finding asks for.
    pub(crate) fn ask(&mut self, attribute: bool, span: bool) {
        self.drops.attribute |= attribute;
        self.drops.span |= span;
    }

    /// Whether the attribute whose texts were found in since the last call is to go.
    pub(crate) fn take_attribute_drop(&mut self) -> bool {
        std::mem::take(&mut self.drops.attribute)
    }

    /// Whether the span is to go.
    pub(crate) fn drops_span(&self) -> bool {
        self.drops.span
    }
}

#[cfg(test)]
mod tests {
    use super::{Finding, Findings};
    use crate::redact::Kind;

    #[test]
    fn counts_add_up_and_positions_are_taken_once() {
        let mut all = Findings::with_positions();
        all.add(Finding { kind: Kind::Email, subtype: "", start: 9, end: 12 });
        all.add(Finding { kind: Kind::Email, subtype: "", start: 1, end: 2 });
        assert_eq!(all.take_positions().iter().map(|f| f.start).collect::<Vec<_>>(), [1, 9]);
        assert!(all.take_positions().is_empty());
        let mut sum = Findings::new();
        sum.merge(&all);
        sum.merge(&all);
        assert_eq!((sum.count(Kind::Email), sum.total(), sum.count(Kind::Iban)), (4, 4, 0));
    }
}
