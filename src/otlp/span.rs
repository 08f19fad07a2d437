//! What is read of a span or log record where it stands.
//!
//! A view copies ids and times and lends everything else. Attributes come as key and encoded value: nobody pays for
//! those nobody asks for.

use crate::otlp::signal::Signal;
use crate::otlp::wire::{Field, Fields, Malformed, Value, len_fields};
use std::fmt;

/// A trace id: 16 bytes, not all zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId([u8; 16]);

/// A span id: 8 bytes, not all zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId([u8; 8]);

macro_rules! id {
    ($name:ident, $size:literal) => {
        impl $name {
            /// Takes exactly the right number of bytes that are not all zero.
            #[inline]
            pub fn new(bytes: &[u8]) -> Option<$name> {
                <[u8; $size]>::try_from(bytes).ok().filter(|id| *id != [0; $size]).map($name)
            }

            /// The bytes.
            pub const fn bytes(&self) -> &[u8; $size] {
                &self.0
            }

            /// Reads hexadecimal in either case.
            pub fn from_hex(text: &str) -> Option<$name> {
                let digits = text.as_bytes();
                if digits.len() != $size * 2 {
                    return None;
                }
                let mut bytes = [0; $size];
                for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
                    let digit = |d: u8| char::from(d).to_digit(16);
                    *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
                }
                $name::new(&bytes)
            }
        }

        /// Lower-case hexadecimal.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

id!(TraceId, 16);
id!(SpanId, 8);

/// `Status.code` of a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatusCode {
    /// Not set, or a value OTLP does not have.
    #[default]
    Unset,
    /// `STATUS_CODE_OK`.
    Ok,
    /// `STATUS_CODE_ERROR`.
    Error,
}

/// The plain fields of a span.
#[derive(Clone, Copy, Debug, Default)]
pub struct SpanView<'a> {
    /// `None` where it is not 16 bytes or all zero.
    pub trace_id: Option<TraceId>,
    /// `None` where it is not 8 bytes or all zero.
    pub span_id: Option<SpanId>,
    /// The parent, `None` for a root. An id of another length than 0 and 8 reads as none.
    pub parent_id: Option<SpanId>,
    /// W3C tracestate; empty where absent.
    pub trace_state: &'a [u8],
    /// Name.
    pub name: &'a [u8],
    /// `SpanKind` as its number: 2 is SERVER, 3 is CLIENT.
    pub kind: u64,
    /// Start, Unix nanoseconds.
    pub start: u64,
    /// End, Unix nanoseconds.
    pub end: u64,
    /// Status code.
    pub status: StatusCode,
    /// Status message; empty where absent.
    pub status_message: &'a [u8],
    /// W3C trace flags in the low byte.
    pub flags: u32,
    /// Whether the ids have lengths no span may have: a span id of other than 8 bytes or all zero, a parent of other than 0 or 8.
    pub bad_ids: bool,
}

impl SpanView<'_> {
    /// End minus start in nanoseconds; zero where the end is before the start.
    pub fn duration(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

/// Reads the plain fields of an encoded span. Attributes are stepped over, which costs a fraction of reading them.
pub fn view(span: &[u8]) -> SpanView<'_> {
    read_pairs(span, |_| {}, |_| {})
}

/// Reads the plain fields of an encoded span and calls `attribute` with each attribute and `event` with each event, encoded.
#[inline]
pub fn read<'a>(span: &'a [u8], mut attribute: impl FnMut(KeyValue<'a>), event: impl FnMut(&'a [u8])) -> SpanView<'a> {
    read_pairs(span, |pair| attribute(KeyValue::read(pair)), event)
}

#[inline]
fn read_pairs<'a>(span: &'a [u8], attribute: impl FnMut(&'a [u8]), event: impl FnMut(&'a [u8])) -> SpanView<'a> {
    let mut view = SpanView::default();
    // It was checked at the door; in bytes that were not, the walk ends at the first that is no field.
    let _ = walk(span, &mut view, &mut Reader { attribute, event });
    view
}

struct Reader<A, E> {
    attribute: A,
    event: E,
}

impl<'a, A: FnMut(&'a [u8]), E: FnMut(&'a [u8])> Visit<'a> for Reader<A, E> {
    fn is_text(&self, _: &[u8]) -> bool {
        true
    }

    #[inline(always)]
    fn attribute(&mut self, pair: &'a [u8], _: &'a [u8]) -> Result<(), Malformed> {
        (self.attribute)(pair);
        Ok(())
    }

    #[inline(always)]
    fn field(&mut self, field: &Field<'a>) -> Result<(), Malformed> {
        match (field.number, field.value) {
            (9, Value::Len(pair)) => (self.attribute)(pair),
            (11, Value::Len(content)) => (self.event)(content),
            _ => {}
        }
        Ok(())
    }
}

/// What is done on a walk over a span.
pub(crate) trait Visit<'a> {
    /// Whether a short text can be taken as it stands. One that cannot is a field.
    fn is_text(&self, text: &'a [u8]) -> bool;

    /// An attribute of less than 128 bytes, and what stands in the span from its first byte on.
    fn attribute(&mut self, pair: &'a [u8], rest: &'a [u8]) -> Result<(), Malformed>;

    /// A field that does not look as it nearly always looks; it is noted in the view afterwards.
    fn field(&mut self, field: &Field<'a>) -> Result<(), Malformed>;
}

/// Walks over an encoded span and fills in a view, which must be empty.
///
/// Fields are looked for in the order in which every exporter writes them, with tags and lengths of one byte: that is a dozen comparisons
/// which come out the same for nearly every span. Whatever looks otherwise is read by the book.
///
/// # Errors
/// At the first byte that is no field, and what `visit` says. The view has what stood before it.
#[inline(always)]
pub(crate) fn walk<'a>(span: &'a [u8], view: &mut SpanView<'a>, visit: &mut impl Visit<'a>) -> Result<(), Malformed> {
    let mut rest = span;
    view.bad_ids = true;
    let mut bad_parent = false;
    loop {
        if let [0x0a, 16, tail @ ..] = rest
            && let Some((id, after)) = tail.split_first_chunk::<16>()
        {
            (view.trace_id, rest) = (TraceId::new(id), after);
        }
        if let [0x12, 8, tail @ ..] = rest
            && let Some((id, after)) = tail.split_first_chunk::<8>()
        {
            (view.span_id, rest) = (SpanId::new(id), after);
        }
        if let [0x22, 8, tail @ ..] = rest
            && let Some((id, after)) = tail.split_first_chunk::<8>()
        {
            (view.parent_id, bad_parent, rest) = (SpanId::new(id), false, after);
        }
        if let [0x2a, length @ 0..0x80, tail @ ..] = rest
            && let Some((name, after)) = tail.split_at_checked(usize::from(*length))
            && visit.is_text(name)
        {
            (view.name, rest) = (name, after);
        }
        if let [0x30, kind @ 0..0x80, after @ ..] = rest {
            (view.kind, rest) = (u64::from(*kind), after);
        }
        if let [0x39, tail @ ..] = rest
            && let Some((time, after)) = tail.split_first_chunk()
        {
            (view.start, rest) = (u64::from_le_bytes(*time), after);
        }
        if let [0x41, tail @ ..] = rest
            && let Some((time, after)) = tail.split_first_chunk()
        {
            (view.end, rest) = (u64::from_le_bytes(*time), after);
        }
        while let [0x4a, length @ 0..0x80, tail @ ..] = rest
            && let Some((pair, after)) = tail.split_at_checked(usize::from(*length))
        {
            visit.attribute(pair, tail)?;
            rest = after;
        }
        // A status without anything in it.
        if let [0x7a, 0, after @ ..] = rest {
            rest = after;
        }
        if let [0x85, 0x01, tail @ ..] = rest
            && let Some((flags, after)) = tail.split_first_chunk()
        {
            (view.flags, rest) = (u32::from_le_bytes(*flags), after);
        }
        view.bad_ids = view.span_id.is_none() || bad_parent;
        let mut fields = Fields::new(rest);
        let Some(field) = fields.try_next()? else { return Ok(()) };
        visit.field(&field)?;
        match (field.number, field.value) {
            (1, Value::Len(id)) => view.trace_id = TraceId::new(id),
            (2, Value::Len(id)) => view.span_id = SpanId::new(id),
            (4, Value::Len(id)) => {
                view.parent_id = SpanId::new(id);
                bad_parent = !matches!(id.len(), 0 | 8);
            }
            (3, Value::Len(state)) => view.trace_state = state,
            (5, Value::Len(name)) => view.name = name,
            (6, Value::Varint(kind)) => view.kind = kind,
            (7, Value::Fixed64(time)) => view.start = time,
            (8, Value::Fixed64(time)) => view.end = time,
            (15, Value::Len(status)) => {
                (view.status, view.status_message) = merge_status(status, (view.status, view.status_message));
            }
            (16, Value::Fixed32(flags)) => view.flags = flags,
            _ => {}
        }
        rest = rest.get(field.end..).unwrap_or_default();
    }
}

/// Two status messages merge field by field, as protobuf has it.
fn merge_status<'a>(status: &'a [u8], (mut code, mut text): (StatusCode, &'a [u8])) -> (StatusCode, &'a [u8]) {
    for field in Fields::new(status) {
        match (field.number, field.value) {
            (2, Value::Len(message)) => text = message,
            (3, Value::Varint(1)) => code = StatusCode::Ok,
            (3, Value::Varint(2)) => code = StatusCode::Error,
            (3, Value::Varint(_)) => code = StatusCode::Unset,
            _ => {}
        }
    }
    (code, text)
}

/// An attribute: its key and its value, still encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KeyValue<'a> {
    /// The key; empty where absent.
    pub key: &'a [u8],
    /// The encoded `AnyValue`; empty where absent.
    pub value: &'a [u8],
}

impl<'a> KeyValue<'a> {
    /// Reads an encoded `KeyValue`. Of a repeated value the last one counts.
    #[inline]
    pub fn read(pair: &'a [u8]) -> KeyValue<'a> {
        if let Some(plain) = KeyValue::plain(pair) {
            return plain;
        }
        let mut out = KeyValue::default();
        for field in Fields::new(pair) {
            match (field.number, field.value) {
                (1, Value::Len(key)) => out.key = key,
                // An empty message set again changes nothing.
                (2, Value::Len(value)) if !value.is_empty() => out.value = value,
                _ => {}
            }
        }
        out
    }

    /// A pair as every exporter writes it: a short key, then a value, then nothing. Most of the time of a walk over a span is spent here.
    #[inline]
    fn plain(pair: &'a [u8]) -> Option<KeyValue<'a>> {
        let [0x0a, length @ 0..0x80, rest @ ..] = pair else { return None };
        let (key, rest) = rest.split_at_checked(usize::from(*length))?;
        let (length, value) = match rest {
            [0x12, length @ 0..0x80, value @ ..] => (usize::from(*length), value),
            [0x12, low @ 0x80..=0xff, high @ 1..0x80, value @ ..] => (usize::from(low & 0x7f) | usize::from(*high) << 7, value),
            _ => return None,
        };
        (value.len() == length).then_some(KeyValue { key, value })
    }

    /// The value, decoded one level.
    #[inline]
    pub fn any(&self) -> Any<'a> {
        Any::read(self.value)
    }
}

/// An `AnyValue`, decoded one level.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Any<'a> {
    /// No value set.
    #[default]
    None,
    /// A string. One that is not UTF-8 reads as [`Any::Bytes`].
    Str(&'a str),
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A double.
    Double(f64),
    /// An encoded `ArrayValue`.
    Array(&'a [u8]),
    /// An encoded `KeyValueList`.
    Kvlist(&'a [u8]),
    /// Bytes.
    Bytes(&'a [u8]),
}

impl<'a> Any<'a> {
    /// Reads an encoded `AnyValue`. Where it is set twice, the last one counts.
    #[inline]
    pub fn read(value: &'a [u8]) -> Any<'a> {
        let mut out = Any::None;
        for field in Fields::new(value) {
            out = match (field.number, field.value) {
                (1, Value::Len(text)) => std::str::from_utf8(text).map_or(Any::Bytes(text), Any::Str),
                (2, Value::Varint(n)) => Any::Bool(n != 0),
                (3, Value::Varint(n)) => Any::Int(n as i64),
                (4, Value::Fixed64(bits)) => Any::Double(f64::from_bits(bits)),
                (5, Value::Len(array)) => Any::Array(array),
                (6, Value::Len(list)) => Any::Kvlist(list),
                (7, Value::Len(bytes)) => Any::Bytes(bytes),
                _ => out,
            };
        }
        out
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&'a str> {
        match *self {
            Any::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The values of an array; nothing for any other kind.
    pub fn elements(&self) -> impl Iterator<Item = Any<'a>> + use<'a> {
        let array = if let Any::Array(array) = *self { array } else { &[] };
        len_fields(array, 1).map(Any::read)
    }

    /// The entries of a key-value list; nothing for any other kind.
    pub fn entries(&self) -> impl Iterator<Item = KeyValue<'a>> + use<'a> {
        let list = if let Any::Kvlist(list) = *self { list } else { &[] };
        len_fields(list, 1).map(KeyValue::read)
    }
}

/// An event of a span.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventView<'a> {
    /// Name.
    pub name: &'a [u8],
    /// Time, Unix nanoseconds.
    pub time: u64,
    bytes: &'a [u8],
}

impl<'a> EventView<'a> {
    /// Reads an encoded `Span.Event`.
    pub fn read(bytes: &'a [u8]) -> EventView<'a> {
        let mut view = EventView { bytes, ..EventView::default() };
        for field in Fields::new(bytes) {
            match (field.number, field.value) {
                (1, Value::Fixed64(time)) => view.time = time,
                (2, Value::Len(name)) => view.name = name,
                _ => {}
            }
        }
        view
    }

    /// Its attributes.
    pub fn attributes(&self) -> impl Iterator<Item = KeyValue<'a>> + use<'a> {
        len_fields(self.bytes, 3).map(KeyValue::read)
    }
}

/// The trace id of an encoded span or log record, without reading the rest.
pub fn trace_id(signal: Signal, item: &[u8]) -> Option<TraceId> {
    let number = match signal {
        Signal::Traces => 1,
        Signal::Logs => 9,
        Signal::Metrics => return None,
    };
    // The id of a span stands first in practice, but it may stand anywhere, and the last one counts.
    len_fields(item, number).last().and_then(TraceId::new)
}

/// Number of the `attributes` field of an item of `signal`.
pub const fn attributes_field(signal: Signal) -> u32 {
    match signal {
        Signal::Traces => 9,
        Signal::Logs => 6,
        Signal::Metrics => 12,
    }
}
