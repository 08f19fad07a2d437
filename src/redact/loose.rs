//! Which of the user's patterns could match a text: all asked at once, quickly and not exactly.
//!
//! `\b` asks whether the characters beside a place are letters of any script. The automaton that takes one step per byte cannot answer
//! that, so at the first `é` of a text the engine falls back to one that takes a step per byte and state, a hundred times slower.
//! Without such questions a pattern matches at least wherever it matched before. So the patterns are asked for all at once without
//! them, and those that could match are asked again as they are.

use regex::{RegexSet, RegexSetBuilder};
use regex_syntax::hir::{Hir, HirKind};

/// The states that are remembered, in bytes: too few for many patterns means that they are worked out again and again.
const STATES: usize = 16 << 20;

/// Many patterns without what they ask about places.
#[derive(Clone, Debug)]
pub(crate) struct LooseSet(RegexSet);

impl LooseSet {
    /// The set of these patterns; `limit` is the most that it may take once compiled, in bytes.
    pub(crate) fn new<'p>(patterns: impl IntoIterator<Item = &'p str>, limit: usize) -> Result<LooseSet, regex::Error> {
        let loose = patterns.into_iter().map(loosened);
        RegexSetBuilder::new(loose).size_limit(limit).dfa_size_limit(STATES).build().map(LooseSet)
    }

    /// A set of none.
    pub(crate) fn empty() -> LooseSet {
        LooseSet(RegexSet::empty())
    }

    /// The places in the set of the patterns that could match; none that does is left out.
    pub(crate) fn matches(&self, text: &str) -> impl Iterator<Item = usize> {
        self.0.matches(text).into_iter()
    }
}

/// The pattern without what it asks about places.
fn loosened(pattern: &str) -> String {
    match regex_syntax::parse(pattern) {
        Ok(hir) => without_looks(hir).to_string(),
        Err(_) => pattern.to_owned(),
    }
}

/// Patterns nest no deeper than their parser allows.
fn without_looks(hir: Hir) -> Hir {
    match hir.into_kind() {
        HirKind::Empty | HirKind::Look(_) => Hir::empty(),
        HirKind::Literal(literal) => Hir::literal(literal.0),
        HirKind::Class(class) => Hir::class(class),
        HirKind::Repetition(mut repetition) => {
            repetition.sub = Box::new(without_looks(*repetition.sub));
            Hir::repetition(repetition)
        }
        HirKind::Capture(capture) => without_looks(*capture.sub),
        HirKind::Concat(parts) => Hir::concat(parts.into_iter().map(without_looks).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.into_iter().map(without_looks).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::{LooseSet, loosened};
    use regex::Regex;

    const PATTERNS: &[&str] = &[
        r"\bPRJ-[0-9]{4,6}\b",
        r"(?i)^project (?P<name>\w+)$",
        r"(?m)^ref: [a-z0-9-]+\.corp\.internal$",
        r"\b{start}Straße\b{end}",
        r"(a|\bb)+c",
        r"x\By",
        r"(?:é|\b日本)\d{2,}",
        r"[^\s]@\bzz",
    ];

    #[test]
    fn no_pattern_that_matches_is_left_out() {
        let set = LooseSet::new(PATTERNS.iter().copied(), 1 << 20).unwrap();
        for text in [
            "the PRJ-1234 é",
            "PROJECT größe",
            "a\nref: x.corp.internal\nb",
            "die Straße",
            "abac",
            "xy",
            "日本42",
            "é123",
            "a@zz",
            "nothing",
            "",
        ] {
            let loose: Vec<usize> = set.matches(text).collect();
            for (at, pattern) in PATTERNS.iter().enumerate() {
                assert!(!Regex::new(pattern).unwrap().is_match(text) || loose.contains(&at), "{pattern} in {text}");
            }
        }
        assert_eq!(set.matches("nothing of these").count(), 0);
    }

    #[test]
    fn nothing_that_asks_about_places_is_left() {
        for pattern in PATTERNS {
            let hir = regex_syntax::parse(&loosened(pattern)).unwrap();
            assert!(hir.properties().look_set().is_empty(), "{pattern}");
        }
    }
}
