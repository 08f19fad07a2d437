//! One walk over a span, and what it found.
//!
//! The values that matter are noted as key, position and length: numbers, so a whole batch of them lies in one list that is
//! used again for the next batch, and no span is walked twice however often it is looked at.

use crate::enrich::keys::Key;
use crate::enrich::number;
use crate::enrich::sets::{Keys, List};
use crate::otlp::span::{self, Any, EventView, SpanView};
use std::cell::Cell;
use std::ops::Range;

/// Longest text decoded as JSON for the sake of its members: usage objects and request parameters are far smaller.
const MAX_JSON: usize = 1 << 20;

/// A watched attribute: its key, and where in the span its encoded value stands.
#[derive(Clone, Copy, Debug)]
struct Entry {
    key: Key,
    at: u32,
    len: u32,
}

/// What the walks over the spans of one batch found.
#[derive(Debug, Default)]
pub(crate) struct Finds {
    entries: Vec<Entry>,
    events: Vec<(u32, u32)>,
}

/// One walk over a span, and nothing of what follows from it: for benchmarks that hold the walk to its budget, and for fuzzing.
#[derive(Debug, Default)]
pub struct Scanner(Finds);

impl Scanner {
    /// The plain fields of an encoded span, and the number of attributes that enrichment watches.
    pub fn scan<'a>(&mut self, span: &'a [u8]) -> (SpanView<'a>, usize) {
        self.0.clear();
        let (view, found) = self.0.walk(span);
        (view, found.entries.len())
    }
}

/// The part of it that is about one span.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    entries: Range<usize>,
    events: Range<usize>,
    /// The keys that stand on it.
    pub(crate) present: Keys,
    /// Whether a key is among them that only spans of models, agents and their tools carry.
    pub(crate) of_models: bool,
}

impl Found {
    /// Whether the span has an event.
    pub(crate) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }
}

impl Finds {
    /// Forgets everything and keeps the room.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.events.clear();
    }

    /// Walks an encoded span.
    #[inline]
    pub(crate) fn walk<'a>(&mut self, span: &'a [u8]) -> (SpanView<'a>, Found) {
        let (first_entry, first_event) = (self.entries.len(), self.events.len());
        let (mut present, mut of_models) = (Keys::default(), false);
        let Finds { entries, events } = self;
        let view = span::read(
            span,
            |attribute| {
                if let Some(key) = Key::find(attribute.key) {
                    of_models |= key.is_of_models();
                    present.add(key);
                    let (at, len) = position(span, attribute.value);
                    entries.push(Entry { key, at, len });
                }
            },
            |event| events.push(position(span, event)),
        );
        let found = Found { entries: first_entry..entries.len(), events: first_event..events.len(), present, of_models };
        (view, found)
    }

    /// Makes the finds about one span ready for lookup.
    pub(crate) fn attributes<'t, 'a>(&'t self, found: &Found, span: &'a [u8], table: &'t mut Table) -> Attributes<'t, 'a> {
        let entries = self.entries.get(found.entries.clone()).unwrap_or_default();
        table.load(entries);
        let events = self.events.get(found.events.clone()).unwrap_or_default();
        Attributes { span, entries, events, table, present: found.present, invalid: Cell::new(Keys::default()) }
    }
}

/// Where `part`, a slice of `whole`, stands in it. An empty slice may stand anywhere, and reads as empty anywhere.
pub(crate) fn position(whole: &[u8], part: &[u8]) -> (u32, u32) {
    if part.is_empty() {
        return (0, 0);
    }
    ((part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize) as u32, part.len() as u32)
}

/// Walks a span for a question that is rarely asked, with no room kept for the next.
pub(crate) fn once<T>(span: &[u8], ask: impl FnOnce(&Attributes<'_, '_>) -> T) -> T {
    let (mut finds, mut table) = (Finds::default(), Table::default());
    let (_, found) = finds.walk(span);
    ask(&finds.attributes(&found, span, &mut table))
}

/// Which entry holds which key. Kept, because it is large; what stands there for keys that are not on the span means nothing.
#[derive(Debug)]
pub(crate) struct Table {
    entry: Box<[u16; Key::COUNT]>,
}

impl Default for Table {
    fn default() -> Table {
        Table { entry: Box::new([0; Key::COUNT]) }
    }
}

impl Table {
    fn load(&mut self, entries: &[Entry]) {
        // Of a key that stands twice the first counts, as in the Collector: so the last is noted first. A span has some ten watched
        // attributes; past 65,535 they are not looked at.
        for (i, entry) in entries.iter().enumerate().take(usize::from(u16::MAX)).rev() {
            self.entry[entry.key as usize] = i as u16;
        }
    }
}

/// The watched attributes and the events of one span.
#[derive(Debug)]
pub(crate) struct Attributes<'t, 'a> {
    span: &'a [u8],
    entries: &'t [Entry],
    events: &'t [(u32, u32)],
    table: &'t Table,
    present: Keys,
    invalid: Cell<Keys>,
}

impl<'a> Attributes<'_, 'a> {
    /// Whether the key stands on the span, with whatever value.
    #[inline]
    pub(crate) fn has(&self, key: Key) -> bool {
        self.present.has(key)
    }

    /// Whether one of them does.
    #[inline]
    pub(crate) fn has_any(&self, keys: &Keys) -> bool {
        self.present.meets(keys)
    }

    /// The span they stand on.
    pub(crate) fn span(&self) -> &'a [u8] {
        self.span
    }

    /// The keys that stand on the span.
    pub(crate) fn keys(&self) -> Keys {
        self.present
    }

    /// Whether the span has an event.
    pub(crate) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    fn slice(&self, at: u32, len: u32) -> &'a [u8] {
        self.span.get(at as usize..at as usize + len as usize).unwrap_or_default()
    }

    /// The value of a key, decoded one level; `Any::None` where it is absent.
    pub(crate) fn any(&self, key: Key) -> Any<'a> {
        if !self.has(key) {
            return Any::None;
        }
        self.entries.get(usize::from(self.table.entry[key as usize])).map_or(Any::None, |e| value(self.slice(e.at, e.len)))
    }

    /// The values of a family of keys, in the order they stand.
    pub(crate) fn all(&self, key: Key) -> impl Iterator<Item = Any<'a>> + '_ {
        let entries = if self.has(key) { self.entries } else { &[] };
        entries.iter().filter(move |e| e.key == key).map(|e| Any::read(self.slice(e.at, e.len)))
    }

    /// A name or an id: a string that is not empty, without blanks around it and without the quotes of a JSON string.
    pub(crate) fn name(&self, key: Key) -> Option<&'a str> {
        self.any(key).as_str().and_then(plain)
    }

    /// The first of these keys that holds a name, and which it is.
    #[inline]
    pub(crate) fn first_name(&self, list: &List) -> Option<(Key, &'a str)> {
        if self.has_any(&list.set) { self.find_name(list.keys) } else { None }
    }

    fn find_name(&self, keys: &[Key]) -> Option<(Key, &'a str)> {
        for &key in keys {
            if self.has(key)
                && let Some(name) = self.name(key)
            {
                return Some((key, name));
            }
        }
        None
    }

    /// A text as it stands, if it is not empty.
    pub(crate) fn text(&self, key: Key) -> Option<&'a str> {
        match self.any(key) {
            Any::Str(text) => Some(text),
            Any::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
        .filter(|text| !text.trim().is_empty())
    }

    /// A text that holds JSON and is small enough to be looked into.
    pub(crate) fn json(&self, key: Key) -> Option<&'a str> {
        self.text(key).filter(|text| text.len() <= MAX_JSON)
    }

    /// A count, whatever type it was sent as. What is there and is no count is remembered as invalid.
    pub(crate) fn count(&self, key: Key) -> Option<u64> {
        let any = self.any(key);
        let count = match any {
            Any::Int(n) => number::from_int(n),
            Any::Double(n) => number::from_double(n),
            Any::Str(text) => number::from_text(text),
            _ => return None,
        };
        if count.is_none() && any.as_str().is_none_or(|text| plain(text).is_some()) {
            let mut invalid = self.invalid.get();
            invalid.add(key);
            self.invalid.set(invalid);
        }
        count
    }

    /// The count of the first of these keys that holds one.
    #[inline]
    pub(crate) fn first_count(&self, list: &List) -> Option<u64> {
        if self.has_any(&list.set) { self.find_count(list.keys) } else { None }
    }

    fn find_count(&self, keys: &[Key]) -> Option<u64> {
        for &key in keys {
            if self.has(key)
                && let Some(count) = self.count(key)
            {
                return Some(count);
            }
        }
        None
    }

    /// Those of these keys that stand on the span. Mostly none does, so that is asked before anything else.
    #[inline]
    pub(crate) fn present(&self, list: &List) -> impl Iterator<Item = Key> + use<> {
        let (keys, present) = (if self.present.meets(&list.set) { list.keys } else { &[] }, self.present);
        keys.iter().copied().filter(move |key| present.has(*key))
    }

    /// A finite number of any type.
    pub(crate) fn number(&self, key: Key) -> Option<f64> {
        match self.any(key) {
            Any::Int(n) => Some(n as f64),
            Any::Double(n) => Some(n),
            Any::Str(text) => plain(text).and_then(|text| text.parse().ok()),
            _ => None,
        }
        .filter(|n| n.is_finite())
    }

    /// A flag of any type.
    pub(crate) fn flag(&self, key: Key) -> Option<bool> {
        match self.any(key) {
            Any::Bool(flag) => Some(flag),
            Any::Int(n @ 0..=1) => Some(n == 1),
            Any::Str(text) => number::flag(text),
            _ => None,
        }
    }

    /// The events, in the order they stand.
    pub(crate) fn events(&self) -> impl DoubleEndedIterator<Item = EventView<'a>> + '_ {
        self.events.iter().map(|&(at, len)| EventView::read(self.slice(at, len)))
    }

    /// The keys whose values were asked for as counts and were none.
    pub(crate) fn invalid(&self) -> Keys {
        self.invalid.get()
    }
}

/// Decodes a value one level. A short text alone, as nearly every value is, needs no walk.
#[inline]
fn value(encoded: &[u8]) -> Any<'_> {
    match encoded {
        [0x0a, length @ 0..0x80, text @ ..] if text.len() == usize::from(*length) => {
            std::str::from_utf8(text).map_or(Any::Bytes(text), Any::Str)
        }
        _ => Any::read(encoded),
    }
}

/// A name without blanks and JSON quotes around it (MLflow writes `"\"gpt-4o\""`); `None` for nothing and for `null`.
#[inline]
pub(crate) fn plain(text: &str) -> Option<&str> {
    match text.as_bytes() {
        // As nearly every name is: nothing to take off.
        [first, .., last] if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() && text != "null" => Some(text),
        _ => peeled(text),
    }
}

fn peeled(text: &str) -> Option<&str> {
    let text = text.trim();
    let text = if text.starts_with(['"', '\\']) { text.trim_matches(['"', '\\', ' ']) } else { text };
    (!text.is_empty() && text != "null").then_some(text)
}
