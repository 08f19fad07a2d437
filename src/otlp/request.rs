//! One request as it arrived, cut into items without copying.
//!
//! A request is one buffer, pinned until its last item is gone; an item is a position in it. What a stage adds to an
//! item goes to a side buffer of the same part of the request. So holding a span costs its own bytes, its share of the
//! request and twenty-four bytes of index.

use crate::otlp::head::{Head, Heads, Shared};
use crate::otlp::signal::Signal;
use crate::otlp::wire::{Field, Fields, Malformed, Value};
use crate::telemetry::memory::{Budget, Charge};
use bytes::Bytes;
use std::sync::Arc;

/// The most items of one request, and the most scopes. What a request holds of either is memory beside its own bytes; half a million
/// spans are more than 64 MiB of any real ones.
const MAX_ITEMS: usize = 1 << 19;
const MAX_SCOPES: usize = 1 << 16;

/// What an item takes beside its bytes while the stages work on it: its place, its entry in their lists.
const ITEM_COST: usize = 48;

/// What a head takes beside its bytes.
const HEAD_COST: usize = 256;

/// No side buffer.
const NO_EXTRA: u32 = u32::MAX;

/// In the side buffer the length of what belongs to an item stands in front of it: most items have nothing there, and each is held for
/// long.
const EXTRA_HEAD: usize = size_of::<u32>();

/// A request is mostly gone when what is left of it is less than one part in so many: half of it. Copying more than that frees less
/// than it moves.
const MOSTLY: u64 = 2;

/// Where items differ much in size their average says little: one that pins more than so many times what all of them would take, if
/// they were as large as it is, is copied whatever the average says.
const FAR_TOO_MUCH: u64 = 8;

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
    /// What the buffer takes in memory, spare room included.
    capacity: u64,
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
    pub fn scan(signal: Signal, bytes: Bytes, mut charge: Option<Charge>) -> Result<(Request, Vec<Place>), Malformed> {
        if u32::try_from(bytes.len()).is_err() {
            return Err(Malformed::Size);
        }
        // Room for items of half a KiB, which is what small ones take: the list lives no longer than the request is being taken in.
        let (mut heads, mut places) = (Vec::new(), Vec::with_capacity(bytes.len() / 512 + 8));
        let request_rest = Shared::new(rest(&bytes, &bytes, 1)?);
        each(&bytes, 1, |resource| {
            let resource_rest = Shared::new(rest(&bytes, resource, 2)?);
            each(resource, 2, |scope| {
                let (first, head) = (places.len(), heads.len() as u32);
                // Items and what stands between them in one walk: each item is a step to memory nobody has touched yet.
                let (mut fields, mut runs) = (Fields::new(scope), Runs::default());
                while let Some(field) = fields.try_next()? {
                    match field.value {
                        Value::Len(item) if field.number == 2 => {
                            if places.len() >= MAX_ITEMS {
                                return Err(Malformed::TooMany("items", MAX_ITEMS));
                            }
                            places.push(Place { at: offset(&bytes, item), len: item.len() as u32, head });
                        }
                        _ => runs.add(scope, field.start, field.end),
                    }
                }
                if places.len() > first {
                    if heads.len() >= MAX_SCOPES {
                        return Err(Malformed::TooMany("scopes with items", MAX_SCOPES));
                    }
                    heads.push(Head::new(&request_rest, &resource_rest, runs.of(&bytes, scope)));
                }
                Ok(())
            })
        })?;
        let capacity = charge.as_ref().map_or(0, Charge::bytes).max(bytes.len()) as u64;
        if let Some(charge) = &mut charge {
            charge.resize(charge.bytes() + places.len() * ITEM_COST + heads.len() * HEAD_COST);
        }
        Ok((Request { signal, bytes, capacity, heads, _charge: charge }, places))
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
        let mut size = 0;
        for &place in &self.places {
            size += u64::from(place.len);
            let start = extra.len();
            extra.extend_from_slice(&[0; EXTRA_HEAD]);
            let result = stage(&self.request.heads[place.head as usize], self.request.item(place), extra);
            results.push((place, seal(extra, start), result));
        }
        let extra: Box<[u8]> = extra.as_slice().into();
        let _charge = budget.filter(|_| !extra.is_empty()).map(|b| b.charge(extra.len()));
        let (items, size) = (results.len() as u64, size + extra.len() as u64);
        Appended { part: Arc::new(Part { request: self.request, items, size, extra, _charge }), results }
    }
}

/// Items that a stage has added to, each with what it said about it. An item is made when it is asked for: a list of
/// them would be one more copy of everything.
#[derive(Debug)]
pub struct Appended<T> {
    part: Arc<Part>,
    results: Vec<(Place, u32, T)>,
}

impl<T> Appended<T> {
    /// What the stage said about them.
    pub fn results(&self) -> impl ExactSizeIterator<Item = &T> {
        self.results.iter().map(|(.., result)| result)
    }

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
        self.results.iter().map(|(place, extra_at, result)| (self.part.item(*place, *extra_at), result))
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
    results: std::vec::IntoIter<(Place, u32, T)>,
}

impl<T> Iterator for IntoItems<T> {
    type Item = (Item, T);

    #[inline]
    fn next(&mut self) -> Option<(Item, T)> {
        self.results.next().map(|(place, extra_at, result)| (self.part.item(place, extra_at), result))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.results.size_hint()
    }
}

impl<T> ExactSizeIterator for IntoItems<T> {}

#[derive(Debug)]
struct Part {
    request: Arc<Request>,
    /// How many items it was made of, and their size in all.
    items: u64,
    size: u64,
    extra: Box<[u8]>,
    _charge: Option<Charge>,
}

impl Part {
    fn item(self: &Arc<Part>, place: Place, extra_at: u32) -> Item {
        Item { part: Arc::clone(self), place, extra_at }
    }
}

/// Writes the length of what was added since `start` in front of it; where it is.
fn seal(extra: &mut Vec<u8>, start: usize) -> u32 {
    let content = start + EXTRA_HEAD;
    let len = extra.len().saturating_sub(content);
    match (u32::try_from(start), extra.get_mut(start..content)) {
        (Ok(at), Some(head)) if len > 0 => {
            head.copy_from_slice(&(len as u32).to_le_bytes());
            at
        }
        _ => {
            extra.truncate(start);
            NO_EXTRA
        }
    }
}

/// One span or log record: encoded, shared, with what was added to it.
#[derive(Clone, Debug)]
pub struct Item {
    part: Arc<Part>,
    place: Place,
    extra_at: u32,
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
        if self.extra_at == NO_EXTRA {
            return &[];
        }
        let (start, all) = (self.extra_at as usize, &self.part.extra);
        let Some((len, rest)) = all.get(start..).and_then(|at| at.split_first_chunk()) else { return &[] };
        rest.get(..u32::from_le_bytes(*len) as usize).unwrap_or_default()
    }

    /// What stands around it.
    pub fn head(&self) -> &Head {
        &self.part.request.heads[self.place.head as usize]
    }

    /// Encoded bytes, added fields included.
    pub fn size(&self) -> usize {
        self.place.len as usize + self.extra().len()
    }

    /// Whether its request is held in memory mostly for what is gone: then [`Item::detach`] frees more than it copies.
    ///
    /// An estimate from how many of its neighbours are left, which costs two loads. Where no item of a request is a stray, they
    /// take at least half of it; an eighth, where their sizes differ much.
    pub fn is_stray(&self) -> bool {
        let part = &*self.part;
        // The parts of a request are in other hands, which let go on their own: each answers for an equal share of what all pin.
        let share = part.request.capacity / Arc::strong_count(&part.request) as u64 + part.extra.len() as u64;
        let left = Arc::strong_count(&self.part) as u64;
        let average = part.size / part.items.max(1);
        let below = |size: u64, times: u64| size.saturating_mul(left).saturating_mul(times) < share;
        below(average, MOSTLY) || below(self.size() as u64, FAR_TOO_MUCH)
    }

    /// The same items in a buffer of their own, so that the requests they came in can go: a few spans that wait long must not pin
    /// the whole of what they arrived with.
    pub fn detach(items: &[Item], budget: Option<&Budget>) -> Vec<Item> {
        let Some(first) = items.first() else { return Vec::new() };
        let mut packed = Packer::with_capacity(first.signal(), items.len(), items.iter().map(Item::size).sum(), budget);
        for item in items {
            packed.push(item.head(), |bytes| bytes.extend_from_slice(item.body()), item.extra());
        }
        packed.finish()
    }
}

/// Packs items of one signal into a buffer of their own.
#[derive(Debug)]
pub struct Packer {
    signal: Signal,
    bytes: Vec<u8>,
    extra: Vec<u8>,
    heads: Heads,
    places: Vec<(Place, u32)>,
    budget: Option<Budget>,
}

impl Packer {
    /// Room for `items` items of `bytes` bytes in all; `budget` accounts for them.
    pub fn with_capacity(signal: Signal, items: usize, bytes: usize, budget: Option<&Budget>) -> Packer {
        Packer {
            signal,
            bytes: Vec::with_capacity(bytes),
            extra: Vec::new(),
            heads: Heads::default(),
            places: Vec::with_capacity(items),
            budget: budget.cloned(),
        }
    }

    /// Adds an item: its head, what writes its encoded bytes, and encoded fields that belong behind them.
    pub fn push(&mut self, head: &Head, body: impl FnOnce(&mut Vec<u8>), extra: &[u8]) {
        let number = self.heads.number(head, self.budget.as_ref());
        let at = self.bytes.len();
        body(&mut self.bytes);
        let place = Place { at: at as u32, len: (self.bytes.len() - at) as u32, head: number };
        let start = self.extra.len();
        self.extra.extend_from_slice(&[0; EXTRA_HEAD]);
        self.extra.extend_from_slice(extra);
        self.places.push((place, seal(&mut self.extra, start)));
    }

    /// The items, in the order they were added.
    pub fn finish(self) -> Vec<Item> {
        let memory = self.bytes.capacity() + self.extra.capacity() + self.places.len() * size_of::<Item>();
        let items = self.places.len() as u64;
        let request = Request {
            signal: self.signal,
            capacity: self.bytes.capacity() as u64,
            bytes: self.bytes.into(),
            heads: self.heads.into_list(),
            _charge: self.budget.map(|b| b.charge(memory)),
        };
        let size = self.places.iter().map(|(place, ..)| u64::from(place.len)).sum::<u64>() + self.extra.len() as u64;
        let part = Arc::new(Part { request: Arc::new(request), items, size, extra: self.extra.into(), _charge: None });
        self.places.into_iter().map(|(place, extra_at)| part.item(place, extra_at)).collect()
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
