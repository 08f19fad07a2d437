//! Items of many requests put together into one.
//!
//! Items with equal heads stand under one resource and scope again. Lengths are computed from the inside out and
//! written once, so this is one pass to measure and one to copy.

use crate::otlp::head::Head;
use crate::otlp::wire::{framed_len, put_frame};
use std::collections::HashMap;

/// The gRPC message prefix: one byte "not compressed", four bytes of length.
pub const GRPC_PREFIX: usize = 5;

/// One item on its way out.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// What stands around it.
    pub head: &'a Head,
    /// Its encoded bytes.
    pub body: &'a [u8],
    /// Encoded fields that belong behind them.
    pub extra: &'a [u8],
}

impl Outgoing<'_> {
    fn framed(&self) -> usize {
        framed_len(self.body.len() + self.extra.len())
    }
}

/// Encodes one request of `items`, behind room for `prefix` bytes. Items of one head keep their order.
pub fn encode(items: &mut [Outgoing<'_>], prefix: usize) -> Vec<u8> {
    if items.windows(2).any(|pair| pair[0].head != pair[1].head) {
        gather(items);
    }
    let sizes = measure(items);
    let mut out = Vec::with_capacity(prefix + sizes.total);
    out.resize(prefix, 0);
    write(items, &sizes, &mut out);
    out
}

/// Brings equal resources together, and equal scopes within them, each in the order they first appear.
fn gather(items: &mut [Outgoing<'_>]) {
    let (mut resources, mut scopes) = (HashMap::new(), HashMap::new());
    let mut rank = |head: &'_ Head| {
        let next = resources.len();
        let resource = *resources.entry(head.resource_id()).or_insert(next);
        let next = scopes.len();
        (resource, *scopes.entry(head.clone()).or_insert(next))
    };
    items.sort_by_cached_key(|item| rank(item.head));
}

/// Fills in the gRPC prefix of a buffer that was encoded with room for it.
pub fn finish_grpc(buffer: &mut [u8]) {
    let length = u32::try_from(buffer.len().saturating_sub(GRPC_PREFIX)).unwrap_or(u32::MAX);
    if let Some(prefix) = buffer.first_chunk_mut::<GRPC_PREFIX>() {
        prefix[0] = 0;
        prefix[1..].copy_from_slice(&length.to_be_bytes());
    }
}

/// Number of items and bytes of content, per run of equal scopes and per run of equal resources.
struct Sizes {
    scopes: Vec<(usize, usize)>,
    resources: Vec<(usize, usize)>,
    total: usize,
}

fn measure(items: &[Outgoing<'_>]) -> Sizes {
    let (mut scopes, mut resources, mut total) = (Vec::new(), Vec::new(), 0);
    for resource in items.chunk_by(|a, b| a.head.same_resource(b.head)) {
        let (first, mut size) = (scopes.len(), resource[0].head.resource().len());
        for scope in resource.chunk_by(|a, b| a.head == b.head) {
            let content = scope[0].head.scope().len() + scope.iter().map(Outgoing::framed).sum::<usize>();
            scopes.push((scope.len(), content));
            size += framed_len(content);
        }
        resources.push((scopes.len() - first, size));
        total += framed_len(size) + resource[0].head.request().len();
    }
    Sizes { scopes, resources, total }
}

fn write(items: &[Outgoing<'_>], sizes: &Sizes, out: &mut Vec<u8>) {
    let (mut rest, mut scopes) = (items, sizes.scopes.iter());
    let mut last_request: Option<&[u8]> = None;
    for &(scope_count, resource_size) in &sizes.resources {
        let Some(first) = rest.first() else { return };
        // Unknown fields of the request stand once for all resources that came with them.
        if last_request != Some(first.head.request()) {
            out.extend_from_slice(first.head.request());
            last_request = Some(first.head.request());
        }
        put_frame(out, 1, resource_size);
        out.extend_from_slice(first.head.resource());
        for &(count, size) in scopes.by_ref().take(scope_count) {
            let (group, others) = rest.split_at(count.min(rest.len()));
            put_frame(out, 2, size);
            out.extend_from_slice(group.first().map_or(&[][..], |item| item.head.scope()));
            for item in group {
                put_frame(out, 2, item.body.len() + item.extra.len());
                out.extend_from_slice(item.body);
                out.extend_from_slice(item.extra);
            }
            rest = others;
        }
    }
}
