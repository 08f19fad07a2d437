//! The only door out: kept items in, [`Redacted`] out.
//!
//! What the sampler kept gets its stamp here and is written once more, redacted, into a buffer of its own, so that the requests it came
//! in can go. If redacting an item fails in any way, that item does not leave.

use crate::otlp::request::{Head, Item, Packer};
use crate::otlp::signal::Signal;
use crate::otlp::span::{self, TraceId};
use crate::receive::Received;
use crate::redact::walk::{Message, Walk};
use crate::redact::{Findings, Redacted, Redactor, cut};
use crate::sample::Kept;
use crate::telemetry::memory::Budget;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Redacted heads that are remembered. Resources and scopes are few; a sender that invents new ones gets them redacted anew.
const MAX_HEADS: usize = 1024;

/// The redaction stage of one shard.
#[derive(Debug)]
pub struct Redact {
    redactor: Option<Arc<Redactor>>,
    /// 0 is no limit.
    max_content: usize,
    budget: Budget,
    heads: HashMap<Head, Head>,
    scratch: Vec<u8>,
}

/// What left, and what did not.
#[derive(Debug, Default)]
pub struct Redaction {
    /// Ready to be forwarded, one batch a signal.
    pub batches: Vec<Redacted>,
    /// What was found, by trace where it has one. Traces without findings are not listed.
    pub found: Vec<(Option<TraceId>, Findings)>,
    /// Items that could not be redacted and were held back.
    pub blocked: u64,
    /// Spans whose tracestate had to stay as it was, because the new one would be too long.
    pub tracestates_left: u64,
}

impl Redact {
    /// A stage with these rules; none leaves every value as it is.
    pub fn new(redactor: Option<Arc<Redactor>>, budget: Budget) -> Redact {
        Redact { redactor, max_content: 0, budget, heads: HashMap::new(), scratch: Vec::new() }
    }

    /// The same, cutting content of model spans to so many characters as it leaves; 0 is no limit.
    #[must_use]
    pub fn with_max_content(self, chars: usize) -> Redact {
        Redact { max_content: chars, ..self }
    }

    /// Goes on with other rules and another limit.
    pub fn reload(&mut self, redactor: Option<Arc<Redactor>>, max_content: usize) {
        self.redactor = redactor;
        self.max_content = max_content;
        self.heads.clear();
    }

    /// The rules in force.
    pub fn redactor(&self) -> Option<&Redactor> {
        self.redactor.as_deref()
    }

    /// Stamps and redacts what was kept.
    pub fn apply(&mut self, kept: &[Kept<Item>]) -> Redaction {
        let mut out = Redaction::default();
        for signal in [Signal::Traces, Signal::Logs] {
            let of_signal = || kept.iter().filter(|k| k.spans.first().is_some_and(|item| item.signal() == signal));
            let count = of_signal().map(|k| k.spans.len()).sum();
            if count == 0 {
                continue;
            }
            let mut batch = Batch::new(signal, count, of_signal().flat_map(|k| &k.spans).map(Item::size).sum());
            for trace in of_signal() {
                let mut findings = Findings::new();
                batch.keep_class |= trace.keep_class;
                for (index, item) in trace.spans.iter().enumerate() {
                    self.scratch.clear();
                    self.scratch.extend_from_slice(item.extra());
                    let mut cleared = None;
                    if signal == Signal::Traces {
                        cleared = trace.stamp.cleared(index, item.body());
                        let left = trace.stamp.write(index, &span::read(item.body(), |_| {}, |_| {}), &mut self.scratch);
                        out.tracestates_left += u64::from(left.is_err());
                    }
                    let body = cleared.as_deref().unwrap_or(item.body());
                    out.blocked += u64::from(!self.push(&mut batch, item.head(), body, self.max_content, &mut findings));
                }
                if !findings.is_empty() {
                    out.found.push((trace.trace_id, findings));
                }
            }
            out.batches.extend(batch.finish(&self.budget));
        }
        out
    }

    /// Items redacted before they are held, for a journal without a key. They pass [`Redact::apply`] again as they leave, which changes
    /// nothing: redacting twice is redacting once.
    pub fn early(&mut self, items: &[Item]) -> Vec<Option<Item>> {
        let Some(signal) = items.first().map(Item::signal) else { return Vec::new() };
        let mut packed = Packer::with_capacity(signal, items.len(), items.iter().map(Item::size).sum());
        let mut passed = Vec::with_capacity(items.len());
        for item in items {
            self.scratch.clear();
            self.scratch.extend_from_slice(item.extra());
            let mut batch = Batch::new(signal, 1, item.size());
            // What is found is counted as it leaves.
            let ok = self.push(&mut batch, item.head(), item.body(), 0, &mut Findings::new());
            passed.push(ok);
            if ok {
                packed.push(&batch.heads[0], |bytes| bytes.extend_from_slice(&batch.bytes), &[]);
            }
        }
        let mut packed = packed.finish(Some(&self.budget)).into_iter();
        passed.into_iter().map(|ok| if ok { packed.next() } else { None }).collect()
    }

    /// Adds one redacted item to a batch, with the fields in `scratch` behind it. False where it had to be held back.
    fn push(&mut self, batch: &mut Batch, head: &Head, body: &[u8], max_content: usize, findings: &mut Findings) -> bool {
        let limit = if batch.signal == Signal::Traces { max_content } else { 0 };
        let Some(redactor) = self.redactor.clone() else {
            let head = batch.head(head);
            let cut = cut::span(body, limit);
            batch.push(head, cut.as_deref().unwrap_or(body), &self.scratch);
            return true;
        };
        let mut found = Findings::new();
        let message = if batch.signal == Signal::Logs { Message::LogRecord } else { Message::Span };
        let rewritten = catch_unwind(AssertUnwindSafe(|| {
            let mut walk = Walk { redactor: &redactor, findings: &mut found };
            let changed = walk.message(message, body);
            // Behind redaction: half a secret is not recognised as one.
            let cut = cut::span(changed.as_deref().unwrap_or(body), limit);
            (cut.or(changed), walk.message(message, &self.scratch))
        }));
        let Ok((changed, extra)) = rewritten else { return false };
        let Some(head) = self.head(&redactor, head, &mut found) else { return false };
        let head = batch.head(&head);
        batch.push(head, changed.as_deref().unwrap_or(body), extra.as_deref().unwrap_or(&self.scratch));
        findings.merge(&found);
        true
    }

    /// The head with its attributes redacted. Findings count once for each distinct head.
    fn head(&mut self, redactor: &Redactor, head: &Head, findings: &mut Findings) -> Option<Head> {
        if let Some(known) = self.heads.get(head) {
            return Some(known.clone());
        }
        let new = catch_unwind(AssertUnwindSafe(|| {
            let mut walk = Walk { redactor, findings };
            let resource = walk.message(Message::ResourceHead, head.resource());
            let scope = walk.message(Message::ScopeHead, head.scope());
            if resource.is_none() && scope.is_none() {
                return head.clone();
            }
            let resource = resource.map_or_else(|| head.resource().clone(), Into::into);
            let scope = scope.map_or_else(|| head.scope().clone(), Into::into);
            Head::new(head.request().clone(), resource, scope)
        }))
        .ok()?;
        if self.heads.len() >= MAX_HEADS {
            self.heads.clear();
        }
        let (key, new) = (head.detached(), new.detached());
        self.heads.insert(key, new.clone());
        Some(new)
    }
}

/// Metrics pass as they are: they hold no text that a model or a user wrote.
pub fn pass_metrics(received: Received, budget: &Budget) -> Option<Redacted> {
    let draft = received.into_draft();
    let items = draft.items();
    let mut batch = Batch::new(Signal::Metrics, items.len(), 0);
    for (head, body) in items {
        let head = batch.head(head);
        batch.push(head, body, &[]);
    }
    batch.finish(budget)
}

/// A batch being written.
struct Batch {
    signal: Signal,
    bytes: Vec<u8>,
    items: Vec<(u32, u32)>,
    heads: Vec<Head>,
    keep_class: bool,
}

impl Batch {
    fn new(signal: Signal, items: usize, size: usize) -> Batch {
        Batch { signal, bytes: Vec::with_capacity(size), items: Vec::with_capacity(items), heads: Vec::new(), keep_class: false }
    }

    fn head(&mut self, head: &Head) -> u32 {
        let number = self.heads.iter().rposition(|h| h == head).unwrap_or_else(|| {
            self.heads.push(head.detached());
            self.heads.len() - 1
        });
        number as u32
    }

    fn push(&mut self, head: u32, body: &[u8], extra: &[u8]) {
        self.bytes.extend_from_slice(body);
        self.bytes.extend_from_slice(extra);
        self.items.push((head, self.bytes.len() as u32));
    }

    fn finish(self, budget: &Budget) -> Option<Redacted> {
        if self.items.is_empty() {
            return None;
        }
        let Batch { signal, mut bytes, items, heads, keep_class } = self;
        bytes.shrink_to_fit();
        let _charge = Some(budget.charge(bytes.capacity() + items.len() * size_of::<(u32, u32)>()));
        Some(Redacted { signal, bytes: bytes.into(), items, heads, keep_class, _charge })
    }
}
