//! One request as it arrived, cut into items without copying.
//!
//! A request is one buffer, pinned until its last item is gone; an item is a position in it. What a stage adds to an
//! item goes to a side buffer of the same part of the request. So holding a span costs its own bytes, its share of the
//! request and thirty-two bytes of index.

use crate::otlp::signal::Signal;
use crate::otlp::wire::{Field, Fields, Malformed, Value};
use crate::telemetry::memory::{Budget, Charge};
use bytes::Bytes;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, LazyLock};

/// Hashes of heads; seeded per process, because senders choose what is hashed.
static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// What stands around an item and is not the item: unknown fields of the request, and every field of its resource and scope
/// messages except the items. Items with equal heads may share one when they leave.
#[derive(Clone, Debug)]
pub struct Head {
    hash: u64,
    /// Unknown fields of the request itself.
    request: Bytes,
    /// `ResourceSpans` (or `ResourceLogs`, `ResourceMetrics`) without its scopes.
    resource: Bytes,
    /// `ScopeSpans` (or its siblings) without its items.
    scope: Bytes,
}

impl Head {
    /// A head of these encoded fields.
    pub fn new(request: Bytes, resource: Bytes, scope: Bytes) -> Head {
        let hash = SEED.hash_one((&request, &resource, &scope));
        Head { hash, request, resource, scope }
    }

    /// Equal heads have equal keys, within this process.
    pub fn key(&self) -> u64 {
        self.hash
    }

    /// Unknown fields of the request.
    pub fn request(&self) -> &Bytes {
        &self.request
    }

    /// Encoded fields of the resource message.
    pub fn resource(&self) -> &Bytes {
        &self.resource
    }

    /// Encoded fields of the scope message.
    pub fn scope(&self) -> &Bytes {
        &self.scope
    }

    /// Whether the resource, and what stands around it, is the same.
    #[inline]
    pub fn same_resource(&self, other: &Head) -> bool {
        std::ptr::eq(self, other) || same(&self.request, &other.request) && same(&self.resource, &other.resource)
    }

    /// The attributes of the resource, as encoded `KeyValue` messages.
    pub fn resource_attributes(&self) -> impl Iterator<Item = &[u8]> {
        inner(&self.resource, 1)
    }

    /// The attributes of the scope, as encoded `KeyValue` messages.
    pub fn scope_attributes(&self) -> impl Iterator<Item = &[u8]> {
        inner(&self.scope, 3)
    }

    /// The scope's name, empty where it has none or it is not UTF-8.
    pub fn scope_name(&self) -> &str {
        let name = messages(&self.scope, 1).flat_map(|scope| messages(scope, 1)).last().unwrap_or_default();
        std::str::from_utf8(name).unwrap_or_default()
    }

    /// A copy that does not pin the request it came with. One that already stands alone is not copied again.
    pub fn detached(&self) -> Head {
        let copy = |b: &Bytes| if b.is_unique() { b.clone() } else { Bytes::copy_from_slice(b) };
        Head { hash: self.hash, request: copy(&self.request), resource: copy(&self.resource), scope: copy(&self.scope) }
    }

    fn size(&self) -> usize {
        self.request.len() + self.resource.len() + self.scope.len()
    }
}

// Heads are compared several times an item on the way out, and nearly always with themselves or a copy that shares the bytes.
impl PartialEq for Head {
    #[inline]
    fn eq(&self, other: &Head) -> bool {
        std::ptr::eq(self, other)
            || self.hash == other.hash && self.same_resource(other) && same(&self.scope, &other.scope)
    }
}

impl Eq for Head {}

/// Whether the bytes are equal; without a look at them where they are the same.
#[inline]
fn same(one: &Bytes, other: &Bytes) -> bool {
    one.len() == other.len() && (one.as_ptr() == other.as_ptr() || one == other)
}

impl Hash for Head {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// Length-delimited fields `number` of a message.
fn messages(message: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    Fields::new(message).filter_map(move |field| match field.value {
        Value::Len(content) if field.number == number => Some(content),
        _ => None,
    })
}

/// Fields `number` of the (possibly repeated, therefore merged) message in field 1.
fn inner(head: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    messages(head, 1).flat_map(move |message| messages(message, number))
}

/// Where an item stands in its request.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    at: u32,
    len: u32,
    head: u32,
}

/// A request cut into items: the buffer, the heads, the places.
#[derive(Debug)]
pub struct Request {
    signal: Signal,
    bytes: Bytes,
    heads: Vec<Head>,
    _charge: Option<Charge>,
}

impl Request {
    /// Finds every item of `bytes`, a request of `signal`.
    ///
    /// Only the levels around the items are read; `schema::validate` checks the rest. The charge, which should cover the capacity
    /// of the buffer, is kept as long as any item is.
    ///
    /// # Errors
    /// Where one of those levels is not a protobuf message, or the request cannot be addressed by 32 bits.
    pub fn scan(signal: Signal, bytes: Bytes, charge: Option<Charge>) -> Result<(Request, Vec<Place>), Malformed> {
        if u32::try_from(bytes.len()).is_err() {
            return Err(Malformed::Size);
        }
        // Room for items of half a KiB, which is what small ones take: the list lives no longer than the request is being taken in.
        let (mut heads, mut places) = (Vec::new(), Vec::with_capacity(bytes.len() / 512 + 8));
        let request_rest = rest(&bytes, &bytes, 1)?;
        each(&bytes, 1, |resource| {
            let resource_rest = rest(&bytes, resource, 2)?;
            each(resource, 2, |scope| {
                let (first, head) = (places.len(), heads.len() as u32);
                // Items and what stands between them in one walk: each item is a step to memory nobody has touched yet.
                let (mut fields, mut runs) = (Fields::new(scope), Runs::default());
                while let Some(field) = fields.try_next()? {
                    match field.value {
                        Value::Len(item) if field.number == 2 => {
                            places.push(Place { at: offset(&bytes, item), len: item.len() as u32, head });
                        }
                        _ => runs.add(scope, field.start, field.end),
                    }
                }
                if places.len() > first {
                    heads.push(Head::new(request_rest.clone(), resource_rest.clone(), runs.of(&bytes, scope)));
                }
                Ok(())
            })
        })?;
        Ok((Request { signal, bytes, heads, _charge: charge }, places))
    }

    /// What it carries.
    pub fn signal(&self) -> Signal {
        self.signal
    }

    /// The encoded item at `place`.
    pub fn item(&self, place: Place) -> &[u8] {
        self.bytes.get(place.at as usize..place.at as usize + place.len as usize).unwrap_or_default()
    }
}

/// Position of `part`, a slice of `whole`, in it.
fn offset(whole: &[u8], part: &[u8]) -> u32 {
    (part.as_ptr() as usize - whole.as_ptr() as usize) as u32
}

/// Calls `f` with the content of each length-delimited field `number`.
fn each<'a>(message: &'a [u8], number: u32, mut f: impl FnMut(&'a [u8]) -> Result<(), Malformed>) -> Result<(), Malformed> {
    let mut fields = Fields::new(message);
    while let Some(field) = fields.try_next()? {
        if let Field { value: Value::Len(content), .. } = field
            && field.number == number
        {
            f(content)?;
        }
    }
    Ok(())
}

/// Every field of `message` except the length-delimited `number`, in order: a slice where they stand together, else a copy.
fn rest(whole: &Bytes, message: &[u8], number: u32) -> Result<Bytes, Malformed> {
    let (mut fields, mut runs) = (Fields::new(message), Runs::default());
    while let Some(field) = fields.try_next()? {
        if field.number != number || !matches!(field.value, Value::Len(_)) {
            runs.add(message, field.start, field.end);
        }
    }
    Ok(runs.of(whole, message))
}

#[derive(Default)]
enum Runs {
    #[default]
    None,
    One(usize, usize),
    Many(Vec<u8>),
}

impl Runs {
    fn add(&mut self, message: &[u8], start: usize, end: usize) {
        match self {
            Runs::None => *self = Runs::One(start, end),
            Runs::One(_, last) if *last == start => *last = end,
            Runs::One(first, last) => *self = Runs::Many([&message[*first..*last], &message[start..end]].concat()),
            Runs::Many(copied) => copied.extend_from_slice(&message[start..end]),
        }
    }

    /// The bytes, of `message`, a part of `whole`.
    fn of(self, whole: &Bytes, message: &[u8]) -> Bytes {
        match self {
            Runs::None => Bytes::new(),
            Runs::One(start, end) => whole.slice_ref(&message[start..end]),
            Runs::Many(copied) => Bytes::from(copied),
        }
    }
}

/// The items of one request that go the same way, while a stage may still add to them.
#[derive(Debug)]
pub struct Draft {
    request: Arc<Request>,
    places: Vec<Place>,
}

impl Draft {
    /// Some places of a request.
    pub fn new(request: Arc<Request>, places: Vec<Place>) -> Draft {
        Draft { request, places }
    }

    /// The request they are of.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Encoded items with their heads.
    pub fn items(&self) -> impl ExactSizeIterator<Item = (&Head, &[u8])> {
        self.places.iter().map(|&place| (&self.request.heads[place.head as usize], self.request.item(place)))
    }

    /// Calls `stage` with every item, for it to add encoded fields to a side buffer, and gives the items back whole.
    ///
    /// `budget` accounts for the side buffer.
    pub fn append<T>(self, budget: Option<&Budget>, stage: impl FnMut(&Head, &[u8], &mut Vec<u8>) -> T) -> Appended<T> {
        self.append_in(&mut Vec::new(), budget, stage)
    }

    /// The same with room to work in that can be used again: nobody knows how much will be added, and a buffer that grows is
    /// copied several times.
    pub fn append_in<T>(
        self,
        extra: &mut Vec<u8>,
        budget: Option<&Budget>,
        mut stage: impl FnMut(&Head, &[u8], &mut Vec<u8>) -> T,
    ) -> Appended<T> {
        extra.clear();
        let mut results = Vec::with_capacity(self.places.len());
        for &place in &self.places {
            let start = extra.len();
            let result = stage(&self.request.heads[place.head as usize], self.request.item(place), extra);
            results.push((place, start as u32, (extra.len() - start) as u32, result));
        }
        let extra: Box<[u8]> = extra.as_slice().into();
        let _charge = budget.filter(|_| !extra.is_empty()).map(|b| b.charge(extra.len()));
        Appended { part: Arc::new(Part { request: self.request, extra, _charge }), results }
    }
}

/// Items that a stage has added to, each with what it said about it. An item is made when it is asked for: a list of
/// them would be one more copy of everything.
#[derive(Debug)]
pub struct Appended<T> {
    part: Arc<Part>,
    results: Vec<(Place, u32, u32, T)>,
}

impl<T> Appended<T> {
    /// Number of items.
    pub fn len(&self) -> usize {
        self.results.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.results.is_empty()
    }

    /// The items, lent.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Item, &T)> {
        self.results.iter().map(|(place, at, len, result)| (self.part.item(*place, *at, *len), result))
    }
}

impl<T> IntoIterator for Appended<T> {
    type Item = (Item, T);
    type IntoIter = IntoItems<T>;

    fn into_iter(self) -> IntoItems<T> {
        IntoItems { part: self.part, results: self.results.into_iter() }
    }
}

/// See [`Appended`].
#[derive(Debug)]
pub struct IntoItems<T> {
    part: Arc<Part>,
    results: std::vec::IntoIter<(Place, u32, u32, T)>,
}

impl<T> Iterator for IntoItems<T> {
    type Item = (Item, T);

    #[inline]
    fn next(&mut self) -> Option<(Item, T)> {
        self.results.next().map(|(place, at, len, result)| (self.part.item(place, at, len), result))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.results.size_hint()
    }
}

impl<T> ExactSizeIterator for IntoItems<T> {}

#[derive(Debug)]
struct Part {
    request: Arc<Request>,
    extra: Box<[u8]>,
    _charge: Option<Charge>,
}

impl Part {
    fn item(self: &Arc<Part>, place: Place, extra_at: u32, extra_len: u32) -> Item {
        Item { part: Arc::clone(self), place, extra_at, extra_len }
    }
}

/// One span or log record: encoded, shared, with what was added to it.
#[derive(Clone, Debug)]
pub struct Item {
    part: Arc<Part>,
    place: Place,
    extra_at: u32,
    extra_len: u32,
}

impl Item {
    /// The signal it belongs to.
    pub fn signal(&self) -> Signal {
        self.part.request.signal
    }

    /// The bytes it arrived as.
    pub fn body(&self) -> &[u8] {
        self.part.request.item(self.place)
    }

    /// Encoded fields that were added behind them.
    pub fn extra(&self) -> &[u8] {
        let start = self.extra_at as usize;
        self.part.extra.get(start..start + self.extra_len as usize).unwrap_or_default()
    }

    /// What stands around it.
    pub fn head(&self) -> &Head {
        &self.part.request.heads[self.place.head as usize]
    }

    /// Encoded bytes, added fields included.
    pub fn size(&self) -> usize {
        self.place.len as usize + self.extra_len as usize
    }

    /// The same items in a buffer of their own, so that the requests they came in can go.
    ///
    /// For what is kept past the usual wait: a few spans must not pin the whole of what they arrived with.
    pub fn detach(items: &[Item], budget: Option<&Budget>) -> Vec<Item> {
        let Some(first) = items.first() else { return Vec::new() };
        let mut packed = Packer::with_capacity(first.signal(), items.len(), items.iter().map(Item::size).sum());
        for item in items {
            packed.push(item.head(), |bytes| bytes.extend_from_slice(item.body()), item.extra());
        }
        packed.finish(budget)
    }
}

/// Packs items of one signal into a buffer of their own.
#[derive(Debug)]
pub struct Packer {
    signal: Signal,
    bytes: Vec<u8>,
    extra: Vec<u8>,
    heads: Vec<Head>,
    places: Vec<(Place, u32, u32)>,
}

impl Packer {
    /// Room for `items` items of `bytes` bytes in all.
    pub fn with_capacity(signal: Signal, items: usize, bytes: usize) -> Packer {
        Packer { signal, bytes: Vec::with_capacity(bytes), extra: Vec::new(), heads: Vec::new(), places: Vec::with_capacity(items) }
    }

    /// Adds an item: its head, what writes its encoded bytes, and encoded fields that belong behind them.
    pub fn push(&mut self, head: &Head, body: impl FnOnce(&mut Vec<u8>), extra: &[u8]) {
        // Items of one request stand together, so the head is nearly always the last one seen.
        let number = self.heads.iter().rposition(|h| h == head).unwrap_or_else(|| {
            self.heads.push(head.detached());
            self.heads.len() - 1
        });
        let at = self.bytes.len();
        body(&mut self.bytes);
        let place = Place { at: at as u32, len: (self.bytes.len() - at) as u32, head: number as u32 };
        self.places.push((place, self.extra.len() as u32, extra.len() as u32));
        self.extra.extend_from_slice(extra);
    }

    /// The items, in the order they were added.
    pub fn finish(self, budget: Option<&Budget>) -> Vec<Item> {
        let size = self.bytes.capacity() + self.extra.capacity() + self.heads.iter().map(Head::size).sum::<usize>();
        let request = Request { signal: self.signal, bytes: self.bytes.into(), heads: self.heads, _charge: budget.map(|b| b.charge(size)) };
        let part = Arc::new(Part { request: Arc::new(request), extra: self.extra.into(), _charge: None });
        self.places.into_iter().map(|(place, extra_at, extra_len)| Item { part: Arc::clone(&part), place, extra_at, extra_len }).collect()
    }
}

/// Splits places by shard, which is asked for by number of the place.
pub fn split(places: &[Place], shards: usize, mut shard_of: impl FnMut(usize) -> usize) -> Vec<Vec<Place>> {
    let mut parts = vec![Vec::new(); shards.max(1)];
    let last = parts.len() - 1;
    for (number, &place) in places.iter().enumerate() {
        parts[shard_of(number).min(last)].push(place);
    }
    parts
}
