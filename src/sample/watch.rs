//! What is asked of every span as it arrives.
//!
//! Attributes are read once, while the span is still in the cache of the processor, and what the policies need of them is a few bits of
//! the trace. Where no policy asks for attributes none is looked at.

use crate::otlp::span::{Any, KeyValue, SpanView, StatusCode};
use crate::sample::conditions::ottl::{self, Node, Path};
use crate::sample::conditions::ottl_condition::{event_meets, text};
use crate::sample::conditions::{AttributeTest, Seen, SpanTest, Test};
use crate::sample::held::{Held, Place};
use ahash::RandomState;
use std::collections::HashMap;
use std::sync::Arc;

/// A set of small numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bits {
    first: u64,
    /// For those from 64 on; most configs need none.
    more: Box<[u64]>,
}

impl Bits {
    /// A set that can hold numbers below `count`.
    pub(super) fn new(count: usize) -> Bits {
        Bits { first: 0, more: vec![0; count.div_ceil(64).saturating_sub(1)].into() }
    }

    pub(super) fn has(&self, number: u16) -> bool {
        let word = match usize::from(number / 64) {
            0 => Some(&self.first),
            n => self.more.get(n - 1),
        };
        word.is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    pub(super) fn set(&mut self, number: u16) {
        let word = match usize::from(number / 64) {
            0 => Some(&mut self.first),
            n => self.more.get_mut(n - 1),
        };
        if let Some(word) = word {
            *word |= 1 << (number % 64);
        }
    }

    fn clear(&mut self) {
        self.first = 0;
        self.more.fill(0);
    }
}

/// The tests of single spans, and the bits of a trace that come of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    /// Tests there are already, as the config spells them, each with its number.
    known: Vec<String>,
    plain: Vec<(u16, Arc<dyn SpanTest>)>,
    /// Tests of plain fields that few policies ask for.
    fields: Vec<(u16, Path, ottl::Test)>,
    attributes: Vec<Wanted>,
    /// Attribute tests by key without its place.
    keys: HashMap<Box<[u8]>, Vec<u16>, RandomState>,
    /// Lengths of keys, one bit each; longer ones share the last.
    lengths: u64,
    bits: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Wanted {
    number: u16,
    place: Option<Place>,
    test: Arc<dyn AttributeTest>,
}

/// What sets one bit of a trace.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Rule {
    /// A span meets this test.
    Any(u16),
    /// One span meets, or does not meet, each of these.
    Same(Vec<(u16, bool)>),
    /// The root does.
    Root(Vec<(u16, bool)>),
    /// A span meets an expression of such tests.
    Tree(Tree),
    /// An event of a span meets an expression.
    Event(Node),
    /// No span does: it is set at the decision, and each is a bit of its own.
    Later(u16),
}

/// An expression of tests of one span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tree {
    Met(u16),
    Root,
    Is(bool),
    Not(Box<Tree>),
    All(Vec<Tree>),
    Any(Vec<Tree>),
}

impl Tree {
    fn holds(&self, met: &Bits, root: bool) -> bool {
        match self {
            Tree::Met(number) => met.has(*number),
            Tree::Root => root,
            Tree::Is(value) => *value,
            Tree::Not(inner) => !inner.holds(met, root),
            Tree::All(parts) => parts.iter().all(|part| part.holds(met, root)),
            Tree::Any(parts) => parts.iter().any(|part| part.holds(met, root)),
        }
    }
}

/// That an attribute is there.
#[derive(Debug)]
struct There;

impl AttributeTest for There {
    fn holds(&self, _value: Any<'_>) -> bool {
        true
    }
}

impl AttributeTest for ottl::Test {
    fn holds(&self, value: Any<'_>) -> bool {
        ottl::Test::holds(self, value)
    }
}

/// Room to work in, so that a span needs no allocation.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    met: Bits,
    /// The place in which each attribute test found its key.
    found: Vec<Option<Place>>,
}

impl Watch {
    /// The number of a test of single spans, the same one for tests that are spelt alike.
    pub(super) fn number(&mut self, spelt: &impl std::fmt::Debug, test: &Test) -> Option<u16> {
        match test {
            Test::Attribute { key, test, .. } => {
                let (place, name) = placed(key);
                self.attribute_number(format!("{spelt:?}"), place, name, Arc::clone(test))
            }
            Test::Span(test) => {
                let test = Arc::clone(test);
                self.known_number(format!("{spelt:?}"), |watch, number| {
                    watch.plain.push((number, test));
                    Some(())
                })
            }
            Test::Always | Test::Trace(_) | Test::Ottl { .. } | Test::Rare { .. } | Test::Redacted { .. } => None,
        }
    }

    /// An expression in terms of numbered tests.
    pub(super) fn tree(&mut self, node: &Node) -> Option<Tree> {
        let mut list = |parts: &[Node]| parts.iter().map(|part| self.tree(part)).collect::<Option<Vec<_>>>();
        Some(match node {
            Node::Or(parts) => Tree::Any(list(parts)?),
            Node::And(parts) => Tree::All(list(parts)?),
            Node::Not(part) => Tree::Not(Box::new(self.tree(part)?)),
            Node::Is(value) => Tree::Is(*value),
            Node::Root => Tree::Root,
            Node::Compare(Path::Attribute(place, key), ottl::Test::Missing) => {
                let there = self.attribute_number(format!("{place:?} {key:?}"), Some(*place), key, Arc::new(There))?;
                Tree::Not(Box::new(Tree::Met(there)))
            }
            Node::Compare(Path::Attribute(place, key), test) => {
                Tree::Met(self.attribute_number(format!("{node:?}"), Some(*place), key, Arc::new(test.clone()))?)
            }
            Node::Compare(path, test) => {
                let add = |watch: &mut Watch, number| {
                    watch.fields.push((number, path.clone(), test.clone()));
                    Some(())
                };
                Tree::Met(self.known_number(format!("{node:?}"), add)?)
            }
        })
    }

    fn attribute_number(&mut self, spelt: String, place: Option<Place>, name: &str, test: Arc<dyn AttributeTest>) -> Option<u16> {
        self.known_number(spelt, |watch, number| {
            watch.keys.entry(name.as_bytes().into()).or_default().push(u16::try_from(watch.attributes.len()).ok()?);
            watch.lengths |= length_bit(name.len());
            watch.attributes.push(Wanted { number, place, test });
            Some(())
        })
    }

    fn known_number(&mut self, spelt: String, add: impl FnOnce(&mut Watch, u16) -> Option<()>) -> Option<u16> {
        if let Some(known) = self.known.iter().position(|k| *k == spelt) {
            return u16::try_from(known).ok();
        }
        let number = u16::try_from(self.known.len()).ok()?;
        add(self, number)?;
        self.known.push(spelt);
        Some(number)
    }

    /// The bit that `rule` sets.
    pub(super) fn bit(&mut self, rule: Rule) -> Option<u16> {
        if let Some(known) = self.bits.iter().position(|r| *r == rule) {
            return u16::try_from(known).ok();
        }
        self.bits.push(rule);
        u16::try_from(self.bits.len() - 1).ok()
    }

    /// The keys of all attributes that are read, without the place in front.
    pub(super) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.keys.keys().map(|key| &**key)
    }

    /// A trace's bits before any span.
    pub(super) fn bits(&self) -> Bits {
        Bits::new(self.bits.len())
    }

    /// Room for these tests.
    pub(super) fn scratch(&self) -> Scratch {
        Scratch { met: Bits::new(self.known.len()), found: vec![None; self.attributes.len()] }
    }

    /// Sets the bits of a trace that this span sets.
    pub(super) fn see(&self, seen: &Seen<'_>, span: &impl Held, scratch: &mut Scratch, bits: &mut Bits) {
        if self.bits.is_empty() {
            return;
        }
        scratch.met.clear();
        if !self.attributes.is_empty() {
            scratch.found.fill(None);
            span.attributes(&mut |place, pair| self.attribute(place, pair, scratch));
        }
        for (number, test) in &self.plain {
            if test.holds(seen) {
                scratch.met.set(*number);
            }
        }
        if !self.fields.is_empty() {
            let view = span.view();
            for (number, path, test) in &self.fields {
                if test.holds(field(path, &view)) {
                    scratch.met.set(*number);
                }
            }
        }
        let met = |tests: &[(u16, bool)]| tests.iter().all(|&(number, wanted)| scratch.met.has(number) == wanted);
        for (bit, rule) in (0..).zip(&self.bits) {
            let holds = match rule {
                Rule::Any(number) => scratch.met.has(*number),
                Rule::Same(tests) => met(tests),
                Rule::Root(tests) => seen.mark.root() && met(tests),
                Rule::Tree(tree) => tree.holds(&scratch.met, seen.mark.root()),
                Rule::Event(node) if !bits.has(bit) => {
                    let mut any = false;
                    span.events(&mut |event| any = any || event_meets(node, &event));
                    any
                }
                Rule::Event(_) | Rule::Later(_) => false,
            };
            if holds {
                bits.set(bit);
            }
        }
    }

    #[inline]
    fn attribute(&self, place: Place, pair: KeyValue<'_>, scratch: &mut Scratch) {
        if self.lengths & length_bit(pair.key.len()) == 0 {
            return;
        }
        let Some(wanted) = self.keys.get(pair.key) else { return };
        for &at in wanted {
            let (Some(wanted), Some(found)) = (self.attributes.get(usize::from(at)), scratch.found.get_mut(usize::from(at))) else {
                continue;
            };
            // A key counts where it is found first: on the span, else on the resource, else on the scope.
            let here = wanted.place.is_none_or(|only| only == place) && found.is_none_or(|first| first == place);
            if here {
                *found = Some(place);
                if wanted.test.holds(pair.any()) {
                    scratch.met.set(wanted.number);
                }
            }
        }
    }
}

/// A plain field as a value.
fn field<'a>(path: &Path, view: &SpanView<'a>) -> Any<'a> {
    match path {
        Path::Attribute(..) => Any::None,
        Path::Name => text(view.name),
        Path::Kind => Any::Int(i64::try_from(view.kind).unwrap_or(i64::MAX)),
        Path::StatusCode => Any::Int(match view.status {
            StatusCode::Unset => 0,
            StatusCode::Ok => 1,
            StatusCode::Error => 2,
        }),
        Path::StatusMessage => text(view.status_message),
    }
}

fn length_bit(length: usize) -> u64 {
    1 << length.min(63)
}

/// `resource.service.name` is `service.name`, on the resource only.
pub(super) fn placed(key: &str) -> (Option<Place>, &str) {
    for (prefix, place) in [("span.", Place::Span), ("resource.", Place::Resource), ("scope.", Place::Scope)] {
        if let Some(name) = key.strip_prefix(prefix) {
            return (Some(place), name);
        }
    }
    (None, key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_past_the_first_word_are_kept_apart() {
        let mut bits = Bits::new(130);
        for n in [0, 63, 64, 129] {
            assert!(!bits.has(n));
            bits.set(n);
            assert!(bits.has(n));
        }
        assert!(!bits.has(1) && !bits.has(65) && !bits.has(128) && !bits.has(4000));
        bits.clear();
        assert_eq!(bits, Bits::new(130));
    }

    #[test]
    fn a_place_in_front_of_a_key_is_not_part_of_it() {
        assert_eq!(placed("resource.service.name"), (Some(Place::Resource), "service.name"));
        assert_eq!(placed("span.http.route"), (Some(Place::Span), "http.route"));
        assert_eq!(placed("service.name"), (None, "service.name"));
    }
}
