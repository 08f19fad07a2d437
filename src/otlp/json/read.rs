//! From JSON text to message structs.
//!
//! Each message says which field a key belongs to ([`Object::field`]); this file does the rest once for all of
//! them: `null` as the default, the last of equal keys, unknown keys, the two limits, and the path to whatever is
//! wrong. The path is put together on the way out of an error, so a good request pays nothing for it.
//!
//! serde_json never decides what a value is here: it is told "object", "list" or "string", or hands over the
//! text. Its own guessing would show a number as an object, and its messages would quote what it found.

use super::JsonError;
use super::scalar::Scalar;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;

/// Values in values: arrays and maps inside one attribute or log body. As for protobuf input.
const MAX_NESTING: usize = 32;

/// How many times as large as the body the lists of its structs may be, with the room they have to grow. Recorded requests come to 1.6 at
/// most, one minimal span for each resource to 5.3, histograms of zeros alone to 6; a list of empty spans would be 100 times its text.
const MAX_GROWTH: usize = 8;

/// Growth that is never counted, so that no small request is refused.
const FREE_GROWTH: usize = 64 << 10;

const TOO_DENSE: &str = "fewer empty elements for a request of this size";

/// The most memory that reading `body` bytes and writing them as protobuf takes, besides the body: the lists, what their texts hold, the
/// output. Neither of the last two is longer than the body.
pub fn memory(body: usize) -> usize {
    body.saturating_mul(MAX_GROWTH + 2).saturating_add(FREE_GROWTH)
}

/// A message, filled field by field.
pub(super) trait Object: Default {
    /// Whether it counts for [`MAX_NESTING`].
    const NESTS: bool = false;

    /// Takes the value of one key; [`Field::skip`]s it if the key is not known.
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, value: Field<'_, A>) -> Result<(), A::Error>;
}

/// Whatever a field can hold.
pub(super) trait Read: Sized {
    /// Ends the sentence "expected …".
    const EXPECTED: &'static str;

    /// Reads one value; `None` is a `null`.
    fn read<'de, D: Deserializer<'de>>(from: D, context: &Context) -> Result<Option<Self>, D::Error>;
}

/// A protobuf enum, by whose names a number can be given.
pub(super) trait Named {
    /// Ends the sentence "expected …".
    const EXPECTED: &'static str;

    /// The number of a name.
    fn number(name: &str) -> Option<i32>;
}

/// Reads one whole document. What it is as protobuf may be longer than the text, lists of zeros above all: that is growth too.
pub(super) fn document<T: Object + prost::Message>(body: &[u8]) -> Result<T, JsonError> {
    document_within(body, &Context::new(body.len()))
}

fn document_within<T: Object + prost::Message>(body: &[u8], context: &Context) -> Result<T, JsonError> {
    let text = std::str::from_utf8(body).map_err(|error| JsonError::NotUtf8 { at: error.valid_up_to() })?;
    let mut from = serde_json::Deserializer::from_str(text);
    let read = T::read(&mut from, context).and_then(|message| from.end().map(|()| message));
    match read {
        Ok(Some(message)) if context.spend(message.encoded_len().saturating_sub(body.len())) => Ok(message),
        Ok(Some(_)) => Err(JsonError::Field { path: context.path(), expected: TOO_DENSE }),
        Ok(None) => Err(JsonError::Field { path: context.path(), expected: T::EXPECTED }),
        // Only errors of category Data can quote the body.
        Err(error) if error.is_data() => {
            Err(JsonError::Field { path: context.path(), expected: context.expected.get().unwrap_or(T::EXPECTED) })
        }
        Err(error) => Err(JsonError::Syntax { path: context.path(), problem: error.to_string() }),
    }
}

/// The value of a key that is about to be read.
pub(super) struct Field<'a, A> {
    key: &'a str,
    map: &'a mut A,
    context: &'a Context,
}

impl<'de, A: MapAccess<'de>> Field<'_, A> {
    /// A field without presence: `null` is its default.
    pub(super) fn set<T: Read + Default>(self, to: &mut T) -> Result<(), A::Error> {
        *to = self.take()?.unwrap_or_default();
        Ok(())
    }

    /// A field with presence: `null` is its absence.
    pub(super) fn option<T: Read>(self, to: &mut Option<T>) -> Result<(), A::Error> {
        *to = self.take()?;
        Ok(())
    }

    /// One member of a oneof. It counts as set whatever it holds, `null` excepted.
    pub(super) fn one_of<T: Read + Default, V>(self, to: &mut Option<V>, make: fn(T) -> V) -> Result<(), A::Error> {
        match self.take()? {
            Some(value) => *to = Some(make(value)),
            None => {
                let member = std::mem::discriminant(&make(T::default()));
                to.take_if(|value| std::mem::discriminant(value) == member);
            }
        }
        Ok(())
    }

    /// A trace id (16 bytes) or span id (8 bytes), or nothing.
    pub(super) fn id<const BYTES: usize>(self, to: &mut Vec<u8>) -> Result<(), A::Error> {
        *to = self.take::<Id<BYTES>>()?.map(|id| id.0).unwrap_or_default();
        Ok(())
    }

    /// An enum: its number, known or not, or one of its names.
    pub(super) fn enumeration<E: Named>(self, to: &mut i32) -> Result<(), A::Error> {
        *to = self.take::<Number<E>>()?.map(|number| number.0).unwrap_or_default();
        Ok(())
    }

    /// Any value of a key that is not known. Such a key is the sender's, so it is kept out of the path.
    pub(super) fn skip(self) -> Result<(), A::Error> {
        self.map.next_value::<IgnoredAny>().map(|_| ())
    }

    fn take<T: Read>(self) -> Result<Option<T>, A::Error> {
        let Field { key, map, context } = self;
        map.next_value_seed(Seed(context, PhantomData)).inspect_err(|_| context.came_through(T::EXPECTED, || Segment::Key(key.to_owned())))
    }
}

/// What a read in progress knows beside the text.
pub(super) struct Context {
    nesting: Cell<usize>,
    growth_left: Cell<usize>,
    expected: Cell<Option<&'static str>>,
    /// Innermost first.
    path: RefCell<Vec<Segment>>,
}

enum Segment {
    Key(String),
    Index(usize),
}

impl Context {
    fn new(body: usize) -> Context {
        Context {
            nesting: Cell::new(0),
            growth_left: Cell::new(body.saturating_mul(MAX_GROWTH).saturating_add(FREE_GROWTH)),
            expected: Cell::new(None),
            path: RefCell::new(Vec::new()),
        }
    }

    /// The first to say what was expected was nearest to the fault.
    fn came_through(&self, expected: &'static str, segment: impl FnOnce() -> Segment) {
        if self.expected.get().is_none() {
            self.expected.set(Some(expected));
        }
        self.path.borrow_mut().push(segment());
    }

    fn fail<E: serde::de::Error>(&self, expected: &'static str) -> E {
        self.expected.set(Some(expected));
        E::custom(expected)
    }

    fn grow<E: serde::de::Error>(&self, by: usize) -> Result<(), E> {
        if self.spend(by) { Ok(()) } else { Err(self.fail(TOO_DENSE)) }
    }

    /// Whether so much growth is left; it is used up then.
    fn spend(&self, by: usize) -> bool {
        self.growth_left.get().checked_sub(by).map(|left| self.growth_left.set(left)).is_some()
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for segment in self.path.borrow().iter().rev() {
            match segment {
                Segment::Key(key) => {
                    path.push_str(if path.is_empty() { "" } else { "." });
                    path.push_str(key);
                }
                Segment::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        if path.is_empty() { "request".to_owned() } else { path }
    }
}

impl<T: Object> Read for T {
    const EXPECTED: &'static str = "an object";

    fn read<'de, D: Deserializer<'de>>(from: D, context: &Context) -> Result<Option<T>, D::Error> {
        from.deserialize_option(OrNull(ObjectVisitor(context, PhantomData)))
    }
}

impl<T: Read + Default> Read for Vec<T> {
    const EXPECTED: &'static str = "a list";

    fn read<'de, D: Deserializer<'de>>(from: D, context: &Context) -> Result<Option<Vec<T>>, D::Error> {
        from.deserialize_option(OrNull(ListVisitor(context, PhantomData)))
    }
}

impl Read for String {
    const EXPECTED: &'static str = "a string";

    fn read<'de, D: Deserializer<'de>>(from: D, _: &Context) -> Result<Option<String>, D::Error> {
        from.deserialize_option(OrNull(TextVisitor))
    }
}

/// The scalars: read as text, then made into what is wanted.
macro_rules! scalars {
    ($([$($generics:tt)*] $type:ty: $expected:expr, |$scalar:ident| $value:expr;)*) => { $(
        impl<$($generics)*> Read for $type {
            const EXPECTED: &'static str = $expected;

            fn read<'de, D: Deserializer<'de>>(from: D, context: &Context) -> Result<Option<Self>, D::Error> {
                let text = <&'de RawValue as serde::Deserialize>::deserialize(from)?.get();
                let wrong = || context.fail(Self::EXPECTED);
                match Scalar::new(text).ok_or_else(wrong)? {
                    Scalar::Null => Ok(None),
                    $scalar => Option::<Self>::map($value, Some).ok_or_else(wrong),
                }
            }
        }
    )* };
}

scalars! {
    [] bool: "true or false", |scalar| match scalar { Scalar::Bool(value) => Some(value), _ => None };
    [] i32: "a 32-bit integer", |scalar| scalar.integer();
    [] u32: "an unsigned 32-bit integer", |scalar| scalar.integer();
    [] i64: "a 64-bit integer", |scalar| scalar.integer();
    [] u64: "an unsigned 64-bit integer", |scalar| scalar.integer();
    [] f64: "a number, \"NaN\", \"Infinity\" or \"-Infinity\"", |scalar| scalar.double();
    [] Bytes: "base64", |scalar| scalar.base64().map(Bytes);
    [E: Named] Number<E>: E::EXPECTED, |scalar| {
        let named = match &scalar { Scalar::Text(name) => E::number(name), _ => None };
        named.or_else(|| scalar.integer()).map(|number| Number(number, PhantomData))
    };
    [const BYTES: usize] Id<BYTES>: if BYTES == 16 { "32 hexadecimal digits" } else { "16 hexadecimal digits" }, |scalar| {
        scalar.hex().filter(|id| id.is_empty() || id.len() == BYTES).map(Id)
    };
}

/// Bytes that are written as base64.
#[derive(Default)]
pub(super) struct Bytes(pub(super) Vec<u8>);

struct Id<const BYTES: usize>(Vec<u8>);

struct Number<E>(i32, PhantomData<E>);

struct Seed<'a, T>(&'a Context, PhantomData<T>);

impl<'de, T: Read> DeserializeSeed<'de> for Seed<'_, T> {
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Option<T>, D::Error> {
        T::read(from, self.0)
    }
}

/// A visitor that can say which kind of value it visits.
trait Ask<'de>: Visitor<'de> {
    fn ask<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error>;
}

struct OrNull<V>(V);

impl<'de, V: Ask<'de>> Visitor<'de> for OrNull<V> {
    type Value = Option<V::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        self.0.ask(from).map(Some)
    }
}

struct ObjectVisitor<'a, T>(&'a Context, PhantomData<T>);

impl<'de, T: Object> Ask<'de> for ObjectVisitor<'_, T> {
    fn ask<D: Deserializer<'de>>(self, from: D) -> Result<T, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de, T: Object> Visitor<'de> for ObjectVisitor<'_, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let context = self.0;
        let nesting = context.nesting.get();
        if T::NESTS {
            if nesting == MAX_NESTING {
                return Err(context.fail("at most 32 values inside one another"));
            }
            context.nesting.set(nesting + 1);
        }
        let mut message = T::default();
        while let Some(key) = map.next_key_seed(Key)? {
            message.field(&key, Field { key: &key, map: &mut map, context })?;
        }
        context.nesting.set(nesting);
        Ok(message)
    }
}

struct ListVisitor<'a, T>(&'a Context, PhantomData<T>);

impl<'de, T: Read + Default> Ask<'de> for ListVisitor<'_, T> {
    fn ask<D: Deserializer<'de>>(self, from: D) -> Result<Vec<T>, D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de, T: Read + Default> Visitor<'de> for ListVisitor<'_, T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(<Vec<T> as Read>::EXPECTED)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
        let context = self.0;
        let mut list = Vec::new();
        loop {
            let next = elements
                .next_element_seed(Seed::<T>(context, PhantomData))
                .and_then(|next| if next.is_some() { make_room(&mut list, context).map(|()| next) } else { Ok(next) })
                .inspect_err(|_| context.came_through(T::EXPECTED, || Segment::Index(list.len())))?;
            match next {
                Some(element) => list.push(element.unwrap_or_default()),
                None => return Ok(list),
            }
        }
    }
}

/// Room for one more element, counted before it is taken. A list grows as `Vec` does by itself, from one element on: most have one.
fn make_room<T, E: serde::de::Error>(list: &mut Vec<T>, context: &Context) -> Result<(), E> {
    if list.len() == list.capacity() {
        let more = list.capacity().max(1);
        context.grow(more.saturating_mul(size_of::<T>()))?;
        list.reserve_exact(more);
    }
    Ok(())
}

struct TextVisitor;

impl<'de> Ask<'de> for TextVisitor {
    fn ask<D: Deserializer<'de>>(self, from: D) -> Result<String, D::Error> {
        from.deserialize_string(self)
    }
}

impl Visitor<'_> for TextVisitor {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(String::EXPECTED)
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_string<E>(self, text: String) -> Result<String, E> {
        Ok(text)
    }
}

/// A key, copied only if it is written with escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Cow<'de, str>, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::json::{from_protobuf, to_protobuf};
    use crate::otlp::signal::Signal;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use std::path::Path;

    /// How many times as large as the text its lists get.
    fn growth(text: &[u8]) -> f64 {
        let context = Context::new(text.len());
        let before = context.growth_left.get();
        document_within::<ExportTraceServiceRequest>(text, &context).unwrap();
        (before - context.growth_left.get()) as f64 / text.len() as f64
    }

    #[test]
    fn recorded_requests_stay_far_below_what_lists_may_grow_to() {
        let (mut read, mut most) = (0, 0.0f64);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/corpus");
        let folders = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
        for path in folders.flat_map(|folder| std::fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.contains(".traces.") {
                let body = std::fs::read(&path).unwrap();
                let text = if name.ends_with(".json") { body } else { from_protobuf(Signal::Traces, &body).unwrap().into_bytes() };
                (read, most) = (read + 1, most.max(growth(&text)));
            }
        }
        assert!(read > 300 && most > 0.5 && most < 2.0, "{read} requests, {most} at most");
    }

    #[test]
    fn the_densest_requests_that_make_sense_pass_and_denser_ones_do_not() {
        let span = format!(r#"{{"traceId":"{}","spanId":"{}","name":"a"}}"#, "07".repeat(16), "01".repeat(8));
        let each = format!(r#"{{"scopeSpans":[{{"spans":[{span}]}}]}},"#);
        let request = |each: &str| format!(r#"{{"resourceSpans":[{}{{}}]}}"#, each.repeat(32_769));
        let ratio = growth(request(&each).as_bytes());
        assert!(ratio < MAX_GROWTH as f64, "{ratio}");
        let error = to_protobuf(Signal::Traces, request(r#"{"scopeSpans":[{"spans":[{}]}]},"#).as_bytes()).unwrap_err();
        assert!(error.to_string().contains(TOO_DENSE), "{error}");
    }
}
