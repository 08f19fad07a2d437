//! What stands around items: resource, scope, unknown fields of the request.
//!
//! One request may have tens of thousands of scopes under one large resource, and senders choose both. So a head is told
//! from another by two seeded hashes that are computed once, never by comparing bytes, and a resource is hashed, copied
//! and redacted once for all of its scopes.

use crate::otlp::wire::{Fields, Value};
use crate::telemetry::memory::{Budget, Charge};
use bytes::Bytes;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, LazyLock};

/// Seeded per process, because senders choose what is hashed. Two of them: that two different heads agree in 128 bits nobody
/// can see does not happen.
static SEEDS: LazyLock<[RandomState; 2]> = LazyLock::new(|| [RandomState::new(), RandomState::new()]);

/// Tells encoded fields apart.
type Id = [u64; 2];

fn id_of(value: impl Hash + Copy) -> Id {
    [SEEDS[0].hash_one(value), SEEDS[1].hash_one(value)]
}

/// Encoded fields that many heads share.
#[derive(Clone, Debug)]
pub struct Shared {
    bytes: Bytes,
    id: Id,
    /// Where the bytes stand alone they are accounted for as long as anybody has them.
    _charge: Option<Arc<Charge>>,
}

impl Shared {
    /// Fields of a request or a resource.
    pub fn new(bytes: Bytes) -> Shared {
        let id = id_of(&bytes[..]);
        Shared { bytes, id, _charge: None }
    }

    /// The same fields in memory of their own.
    fn detached(&self, budget: Option<&Budget>) -> Shared {
        let _charge = budget.map(|budget| Arc::new(budget.charge(self.bytes.len())));
        Shared { bytes: Bytes::copy_from_slice(&self.bytes), id: self.id, _charge }
    }
}

/// What stands around an item and is not the item: unknown fields of the request, and every field of its resource and scope
/// messages except the items. Cheap to clone. Items with equal heads may share one when they leave.
#[derive(Clone, Debug)]
pub struct Head(Arc<Around>);

#[derive(Debug)]
struct Around {
    id: Id,
    request: Shared,
    /// `ResourceSpans` (or `ResourceLogs`, `ResourceMetrics`) without its scopes.
    resource: Shared,
    /// `ScopeSpans` (or its siblings) without its items.
    scope: Bytes,
    _charge: Option<Charge>,
}

impl Head {
    /// A head of these encoded fields.
    pub fn new(request: &Shared, resource: &Shared, scope: Bytes) -> Head {
        let id = id_of((request.id, resource.id, id_of(&scope[..])));
        Head(Arc::new(Around { id, request: request.clone(), resource: resource.clone(), scope, _charge: None }))
    }

    /// Equal heads have equal ids, within this process.
    pub fn id(&self) -> [u64; 2] {
        self.0.id
    }

    /// Unknown fields of the request.
    pub fn request(&self) -> &Bytes {
        &self.0.request.bytes
    }

    /// The same, to make other heads of.
    pub fn shared_request(&self) -> &Shared {
        &self.0.request
    }

    /// Encoded fields of the resource message.
    pub fn resource(&self) -> &Bytes {
        &self.0.resource.bytes
    }

    /// The same, to make other heads of.
    pub fn shared_resource(&self) -> &Shared {
        &self.0.resource
    }

    /// Encoded fields of the scope message.
    pub fn scope(&self) -> &Bytes {
        &self.0.scope
    }

    /// Whether request and resource are those of the other head too.
    pub fn same_resource(&self, other: &Head) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.resource_id() == other.resource_id()
    }

    /// Tells resources apart, with the unknown fields of the request around them.
    pub fn resource_id(&self) -> (Id, Id) {
        (self.0.request.id, self.0.resource.id)
    }

    /// The attributes of the resource, as encoded `KeyValue` messages.
    pub fn resource_attributes(&self) -> impl Iterator<Item = &[u8]> {
        inner(self.resource(), 1)
    }

    /// The attributes of the scope, as encoded `KeyValue` messages.
    pub fn scope_attributes(&self) -> impl Iterator<Item = &[u8]> {
        inner(self.scope(), 3)
    }

    /// The scope's name, empty where it has none or it is not UTF-8.
    pub fn scope_name(&self) -> &str {
        let name = messages(self.scope(), 1).flat_map(|scope| messages(scope, 1)).last().unwrap_or_default();
        std::str::from_utf8(name).unwrap_or_default()
    }

    /// Encoded bytes, those it shares included.
    pub fn size(&self) -> usize {
        self.request().len() + self.resource().len() + self.scope().len()
    }

    /// The same head with a scope of its own memory and shared fields as given.
    fn with(&self, request: Shared, resource: Shared, budget: Option<&Budget>) -> Head {
        let scope = Bytes::copy_from_slice(self.scope());
        let _charge = budget.map(|budget| budget.charge(scope.len() + size_of::<Around>()));
        Head(Arc::new(Around { id: self.0.id, request, resource, scope, _charge }))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Head) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.id == other.0.id
    }
}

impl Eq for Head {}

impl Hash for Head {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.id[0]);
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

/// Heads in memory of their own, numbered in the order they were first seen.
#[derive(Debug, Default)]
pub struct Heads {
    list: Vec<Head>,
    numbers: HashMap<Head, u32>,
    shared: HashMap<Id, Shared>,
    last: Option<(Head, u32)>,
}

impl Heads {
    /// The number of a head. One that is new is copied out of the request it came with.
    pub fn number(&mut self, head: &Head, budget: Option<&Budget>) -> u32 {
        // Items of one scope stand together.
        if let Some((last, number)) = &self.last
            && Arc::ptr_eq(&last.0, &head.0)
        {
            return *number;
        }
        let number = match self.numbers.get(head) {
            Some(&number) => number,
            None => {
                let new = self.detach(head, budget);
                self.add(new)
            }
        };
        self.last = Some((head.clone(), number));
        number
    }

    /// The number of a head that stands alone already.
    pub fn number_of_own(&mut self, head: &Head) -> u32 {
        match &self.last {
            Some((last, number)) if last == head => *number,
            _ => {
                let number = self.numbers.get(head).copied().unwrap_or_else(|| self.add(head.clone()));
                self.last = Some((head.clone(), number));
                number
            }
        }
    }

    /// A copy that does not pin the request it came with; its resource is copied once for all of its scopes.
    pub fn detach(&mut self, head: &Head, budget: Option<&Budget>) -> Head {
        let mut own = |shared: &Shared| self.shared.entry(shared.id).or_insert_with(|| shared.detached(budget)).clone();
        let (request, resource) = (own(&head.0.request), own(&head.0.resource));
        head.with(request, resource, budget)
    }

    /// The heads by their numbers.
    pub fn into_list(self) -> Vec<Head> {
        self.list
    }

    fn add(&mut self, head: Head) -> u32 {
        let number = self.list.len() as u32;
        self.numbers.insert(head.clone(), number);
        self.list.push(head);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(resource: &'static [u8], scope: &'static [u8]) -> Head {
        Head::new(&Shared::new(Bytes::new()), &Shared::new(Bytes::from_static(resource)), Bytes::from_static(scope))
    }

    #[test]
    fn heads_of_equal_fields_are_equal_whoever_made_them() {
        assert_eq!(head(b"r", b"s"), head(b"r", b"s"));
        assert_ne!(head(b"r", b"s"), head(b"r", b"t"));
        assert_ne!(head(b"rs", b""), head(b"r", b"s"));
        assert!(head(b"r", b"s").same_resource(&head(b"r", b"t")) && !head(b"r", b"s").same_resource(&head(b"q", b"s")));
    }

    #[test]
    fn a_resource_is_copied_and_charged_once_for_all_its_scopes() {
        let budget = Budget::new(usize::MAX);
        let (request, resource) = (Shared::new(Bytes::new()), Shared::new(Bytes::from(vec![7; 100_000])));
        let mut heads = Heads::default();
        for n in 0..100u32 {
            let head = Head::new(&request, &resource, Bytes::from(n.to_le_bytes().to_vec()));
            assert_eq!(heads.number(&head, Some(&budget)), n);
            assert_eq!(heads.number(&head, Some(&budget)), n);
        }
        assert!((100_000..200_000).contains(&budget.used()), "{}", budget.used());
        let list = heads.into_list();
        assert!(list.iter().all(|h| h.resource().as_ptr() == list[0].resource().as_ptr()));
        drop(list);
        assert_eq!(budget.used(), 0);
    }
}
