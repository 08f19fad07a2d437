//! The only door out: kept items in, [`Redacted`] out.
//!
//! What the sampler kept gets its stamp here and is written once more, redacted, into a buffer of its own, so that the requests it came
//! in can go. If redacting an item fails in any way, that item does not leave.

use crate::enrich::Supersede;
use crate::otlp::append::SPAN_ATTRIBUTES;
use crate::otlp::edit;
use crate::otlp::head::{Head, Heads, Shared};
use crate::otlp::request::{Item, Packer};
use crate::otlp::signal::Signal;
use crate::otlp::span::{self, TraceId};
use crate::receive::Received;
use crate::redact::config::Action;
use crate::redact::walk::{Message, Walk};
use crate::redact::{Findings, Redacted, Redactor, count, cut};
use crate::sample::Kept;
use crate::telemetry::memory::Budget;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Redacted heads that are remembered, and how many bytes of them. Resources and scopes are few; a sender that invents new ones gets
/// them redacted anew.
const MAX_HEADS: usize = 1024;
const MAX_HEAD_BYTES: usize = 8 << 20;

/// A batch is handed on when it has so many bytes: what is kept leaves in pieces, and what it was copied from goes as it leaves.
const BATCH: usize = 4 << 20;

/// The redaction stage of one shard.
#[derive(Debug)]
pub struct Redact {
    redactor: Option<Arc<Redactor>>,
    /// 0 is no limit.
    max_content: usize,
    supersede: Option<Supersede>,
    budget: Budget,
    known: Known,
    scratch: Vec<u8>,
    /// What was found before items were held. It is reported with what leaves next.
    early: Findings,
}

/// Heads and resources that were redacted already, by what they were.
#[derive(Debug, Default)]
struct Known {
    /// With whether spans under it may not leave.
    heads: HashMap<Head, (Head, bool)>,
    resources: HashMap<ResourceId, (Shared, bool)>,
    own: Heads,
    bytes: usize,
}

type ResourceId = ([u64; 2], [u64; 2]);

/// What left, and what did not.
#[derive(Debug, Default)]
pub struct Redaction {
    /// Ready to be forwarded, one batch a signal.
    pub batches: Vec<Redacted>,
    /// What was found, by trace where it has one. Traces without findings are not listed.
    pub found: Vec<(Option<TraceId>, Findings)>,
    /// Items that were held back: they could not be redacted, or held what no span may leave with.
    pub blocked: u64,
    /// Spans whose tracestate had to stay as it was, because the new one would be too long.
    pub tracestates_left: u64,
}

impl Redact {
    /// A stage with these rules; none leaves every value as it is.
    pub fn new(redactor: Option<Arc<Redactor>>, budget: Budget) -> Redact {
        Redact { redactor, max_content: 0, supersede: None, budget, known: Known::default(), scratch: Vec::new(), early: Findings::new() }
    }

    /// The same, cutting content of model spans to so many characters as it leaves; 0 is no limit.
    #[must_use]
    pub fn with_max_content(self, chars: usize) -> Redact {
        Redact { max_content: chars, ..self }
    }

    /// The same, letting attributes of spans give way to what enrichment added.
    #[must_use]
    pub fn with_superseding(self, supersede: Option<Supersede>) -> Redact {
        Redact { supersede, ..self }
    }

    /// Goes on with other rules and another limit.
    pub fn reload(&mut self, redactor: Option<Arc<Redactor>>, max_content: usize, supersede: Option<Supersede>) {
        self.redactor = redactor;
        self.max_content = max_content;
        self.supersede = supersede;
        self.known = Known::default();
    }

    /// The rules in force.
    pub fn redactor(&self) -> Option<&Redactor> {
        self.redactor.as_deref()
    }

    /// Stamps and redacts what was kept, and lets go of it piece by piece. `complete` writes what was added to each item: it is given
    /// the items of a trace and the place of one, from the first on.
    pub fn apply(&mut self, kept: &mut [Kept<Item>], complete: &mut dyn FnMut(&[Item], usize, &mut Vec<u8>)) -> Redaction {
        let mut out = Redaction::default();
        let mut open: [Option<Batch>; 2] = [None, None];
        let (mut items, mut bytes) = (0, 0);
        for item in kept.iter().flat_map(|trace| &trace.spans) {
            (items, bytes) = (items + 1, bytes + item.size());
        }
        // The emptied lists stay: the sampler fills them again.
        for trace in kept.iter_mut() {
            let Some(signal) = trace.spans.first().map(Item::signal) else { continue };
            let mut findings = Findings::new();
            for (index, item) in trace.spans.iter().enumerate() {
                self.scratch.clear();
                complete(&trace.spans, index, &mut self.scratch);
                let added = !self.scratch.is_empty();
                let mut cleared = None;
                if signal == Signal::Traces {
                    cleared = trace.stamp.cleared(index, item.body());
                    let left = trace.stamp.write(index, &span::view(item.body()), &mut self.scratch);
                    out.tracestates_left += u64::from(left.is_err());
                }
                let slot = &mut open[usize::from(signal == Signal::Logs)];
                let batch = slot.get_or_insert_with(|| Batch::with_room(signal, items, bytes));
                batch.keep_class |= trace.keep_class;
                let body = cleared.as_deref().unwrap_or(item.body());
                let without = if added { self.superseded(signal, body) } else { None };
                let body = without.as_deref().unwrap_or(body);
                out.blocked += u64::from(!self.push(batch, item.head(), body, self.max_content, &mut findings));
                if batch.bytes.len() >= BATCH {
                    out.batches.extend(slot.take().and_then(|batch| batch.finish(&self.budget)));
                }
            }
            trace.spans.clear();
            if !findings.is_empty() || findings.allowed() + findings.errors() + findings.unscanned() > 0 {
                out.found.push((trace.trace_id, findings));
            }
        }
        let early = std::mem::take(&mut self.early);
        if !early.is_empty() {
            out.found.push((None, early));
        }
        out.batches.extend(open.into_iter().flatten().filter_map(|batch| batch.finish(&self.budget)));
        out
    }

    /// Items redacted before they are held, for a journal without a key. They pass [`Redact::apply`] again as they leave, which changes
    /// nothing: redacting twice is redacting once.
    /// `each` is told what was found in each, by its place.
    pub fn early(&mut self, items: &[Item], each: &mut dyn FnMut(usize, &Findings)) -> Vec<Option<Item>> {
        let Some(signal) = items.first().map(Item::signal) else { return Vec::new() };
        let mut packed = Packer::with_capacity(signal, items.len(), items.iter().map(Item::size).sum(), Some(&self.budget));
        let mut passed = Vec::with_capacity(items.len());
        for (place, item) in items.iter().enumerate() {
            self.scratch.clear();
            self.scratch.extend_from_slice(item.extra());
            let mut batch = Batch::new(signal);
            let mut found = Findings::new();
            let without = if self.scratch.is_empty() { None } else { self.superseded(signal, item.body()) };
            let body = without.as_deref().unwrap_or(item.body());
            let ok = self.push(&mut batch, item.head(), body, 0, &mut found);
            if !found.is_empty() {
                each(place, &found);
            }
            // What stays in place is found once more as it leaves, and counted then.
            found.forget(|kind| self.redactor.as_deref().is_some_and(|redactor| redactor.action(kind) == Action::Detect));
            self.early.merge(&found);
            passed.push(ok);
            if let Some(head) = batch.heads.into_list().first().filter(|_| ok) {
                packed.push(head, |bytes| bytes.extend_from_slice(&batch.bytes), &[]);
            }
        }
        let mut packed = packed.finish().into_iter();
        passed.into_iter().map(|ok| if ok { packed.next() } else { None }).collect()
    }

    /// The body of a span without what gives way to the fields in `scratch`. Not for spans that nothing was added to: what stands on them
    /// may have been added before.
    fn superseded(&self, signal: Signal, body: &[u8]) -> Option<Vec<u8>> {
        let supersede = self.supersede.filter(|_| signal == Signal::Traces)?;
        edit::superseded(body, SPAN_ATTRIBUTES, &self.scratch, |key| supersede.drops(key))
    }

    /// Adds one redacted item to a batch, with the fields in `scratch` behind it. False where it had to be held back.
    fn push(&mut self, batch: &mut Batch, head: &Head, body: &[u8], max_content: usize, findings: &mut Findings) -> bool {
        let limit = if batch.signal == Signal::Traces { max_content } else { 0 };
        let Some(redactor) = self.redactor.clone() else {
            let head = batch.heads.number(head, Some(&self.budget));
            let cut = cut::span(body, limit);
            return batch.push(head, cut.as_deref().unwrap_or(body), &self.scratch);
        };
        let mut found = Findings::new();
        let message = if batch.signal == Signal::Logs { Message::LogRecord } else { Message::Span };
        let rewritten = catch_unwind(AssertUnwindSafe(|| {
            let mut walk = Walk { redactor: &redactor, findings: &mut found, copied: false };
            let changed = walk.message(message, body);
            // Behind redaction: half a secret is not recognised as one.
            let cut = cut::span(changed.as_deref().unwrap_or(body), limit);
            walk.copied = true;
            (cut.or(changed), walk.message(message, &self.scratch))
        }));
        let Ok((changed, extra)) = rewritten else { return false };
        let (mut changed, mut extra) = (changed, extra);
        if !found.is_empty() {
            let extra = extra.get_or_insert_with(|| self.scratch.clone());
            changed = count::write(&redactor, batch.signal, changed.as_deref().unwrap_or(body), &found, extra).or(changed);
        }
        let head = self.head(&redactor, head, &mut found);
        let held_back = found.drops_span();
        findings.merge(&found);
        let Some((head, false)) = head.filter(|_| !held_back) else { return false };
        let head = batch.heads.number_of_own(&head);
        batch.push(head, changed.as_deref().unwrap_or(body), extra.as_deref().unwrap_or(&self.scratch))
    }

    /// The head with its attributes redacted, in memory of its own, and whether spans under it are held back. Findings count once for
    /// each distinct head.
    fn head(&mut self, redactor: &Redactor, head: &Head, findings: &mut Findings) -> Option<(Head, bool)> {
        if let Some(known) = self.known.heads.get(head) {
            return Some(known.clone());
        }
        let Known { heads, resources, own, bytes } = &mut self.known;
        if heads.len() >= MAX_HEADS || *bytes >= MAX_HEAD_BYTES {
            (*heads, *resources, *own, *bytes) = Default::default();
        }
        let mut walk = |message, fields: &[u8]| {
            let mut found = Findings::new();
            let mut walk = Walk { redactor, findings: &mut found, copied: false };
            let new = catch_unwind(AssertUnwindSafe(|| walk.message(message, fields))).ok()?;
            findings.merge(&found);
            Some((new, found.drops_span()))
        };
        let (resource, drops) = match resources.get(&head.resource_id()) {
            Some(known) => known.clone(),
            None => {
                let (new, drops) = walk(Message::ResourceHead, head.resource())?;
                let new = new.map_or_else(|| head.shared_resource().clone(), |bytes| Shared::new(bytes.into()));
                *bytes += head.resource().len();
                resources.entry(head.resource_id()).or_insert((new, drops)).clone()
            }
        };
        let (scope, scope_drops) = walk(Message::ScopeHead, head.scope())?;
        let scope = scope.map_or_else(|| head.scope().clone(), Into::into);
        let new = own.detach(&Head::new(head.shared_request(), &resource, scope), Some(&self.budget));
        // What is remembered must not pin the request it came with either.
        resources.insert(head.resource_id(), (new.shared_resource().clone(), drops));
        *bytes += head.scope().len();
        let new = (new, drops || scope_drops);
        heads.insert(own.detach(head, Some(&self.budget)), new.clone());
        Some(new)
    }
}

/// Metrics pass as they are: they hold no text that a model or a user wrote.
pub fn pass_metrics(received: Received, budget: &Budget) -> Option<Redacted> {
    let draft = received.into_draft();
    let mut batch = Batch::new(Signal::Metrics);
    for (head, body) in draft.items() {
        let head = batch.heads.number(head, Some(budget));
        batch.push(head, body, &[]);
    }
    batch.finish(budget)
}

/// A batch being written.
struct Batch {
    signal: Signal,
    bytes: Vec<u8>,
    items: Vec<(u32, u32)>,
    heads: Heads,
    keep_class: bool,
}

impl Batch {
    /// One for about so many items of so many bytes, which grow by what is added to them as they leave.
    fn with_room(signal: Signal, items: usize, bytes: usize) -> Batch {
        let bytes = (bytes + bytes / 16 + items * 64).min(BATCH + BATCH / 4);
        Batch { bytes: Vec::with_capacity(bytes), items: Vec::with_capacity(items.min(BATCH / 64)), ..Batch::new(signal) }
    }

    fn new(signal: Signal) -> Batch {
        Batch { signal, bytes: Vec::new(), items: Vec::new(), heads: Heads::default(), keep_class: false }
    }

    /// False where the item does not fit: a batch is addressed by 32 bits.
    fn push(&mut self, head: u32, body: &[u8], extra: &[u8]) -> bool {
        let Ok(end) = u32::try_from(self.bytes.len() + body.len() + extra.len()) else { return false };
        self.bytes.extend_from_slice(body);
        self.bytes.extend_from_slice(extra);
        self.items.push((head, end));
        true
    }

    fn finish(self, budget: &Budget) -> Option<Redacted> {
        if self.items.is_empty() {
            return None;
        }
        let Batch { signal, mut bytes, items, heads, keep_class } = self;
        bytes.shrink_to_fit();
        let _charge = Some(budget.charge(bytes.capacity() + items.len() * size_of::<(u32, u32)>()));
        Some(Redacted { signal, bytes: bytes.into(), items, heads: heads.into_list(), keep_class, _charge })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::append::Attributes;
    use crate::otlp::request::{Draft, Request};
    use crate::otlp::wire::put_bytes;
    use crate::redact::Config;

    fn msg(number: u32, content: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_bytes(&mut out, number, content);
        out
    }

    fn has(bytes: &[u8], part: &str) -> bool {
        bytes.windows(part.len()).any(|here| here == part.as_bytes())
    }

    #[test]
    fn what_enrichment_copied_out_of_a_name_does_not_leave() {
        let mut span = msg(5, b"chat bob@example.org");
        Attributes::of_span(&mut span).str("gen_ai.response.model", "kept@example.org");
        let (request, places) = Request::scan(Signal::Traces, msg(1, &msg(2, &msg(2, &span))).into(), None).unwrap();
        let items = Draft::new(Arc::new(request), places).append(None, |_, _, out| {
            let mut to = Attributes::of_span(out);
            to.str("gen_ai.request.model", "bob@example.org");
            to.str("tollgate.cost.price_id", "model@2025-11-20.example.org");
        });
        let items: Vec<Item> = items.into_iter().map(|(item, ())| item).collect();
        let redactor = Redactor::new(&Config::default()).unwrap();
        let mut redact = Redact::new(Some(Arc::new(redactor)), Budget::new(1 << 20));
        let early = redact.early(&items, &mut |_, _| {});
        let body = early.first().and_then(Option::as_ref).unwrap().body();
        assert!(!has(body, "bob@example.org") && has(body, "chat [EMAIL]") && has(body, "[EMAIL]"));
        assert!(has(body, "kept@example.org") && has(body, "model@2025-11-20.example.org"));
    }
}
