//! What a call used, what it cost, how it failed.
//!
//! On arrival every span is looked at once (`look`); most are done after the walk over their fields. Then it is decided whose usage
//! counts, children before parents (`owners`), and every span gets the facts that the stages behind this one ask (`ruling`).
//! Attributes are written when a span leaves (`release`): most spans are dropped, and of the others it is known by then which
//! traces they belong to.

pub mod call;
pub mod config;
pub mod errors;
pub mod facts;
pub mod finish;
pub mod kind;
pub mod meters;
pub mod number;
pub mod price;
pub mod provider;
pub mod roles;
pub mod usage;

mod batch;
mod classify;
mod conventions;
mod details;
mod digest;
mod evidence;
mod fields;
mod finishes;
mod json;
mod keys;
mod look;
mod note;
mod owners;
mod profiles;
mod release;
mod responses;
mod rewrite;
mod ruling;
mod scan;
mod sets;
mod settings;
mod source;
mod tokens;
mod write;

#[cfg(test)]
mod tests;

pub use batch::Writing;
pub use call::{Cost, CostSource, LlmFacts, Skip};
pub use config::{EnrichConfig, Supersede};
pub use facts::SpanFacts;
pub use kind::Kind;
pub use meters::{LabelFilter, OTHER, label, names};
pub use roles::Role;
pub use scan::Scanner;

use crate::otlp::head::Head;
use crate::otlp::request::{Appended, Draft, Item};
use crate::otlp::signal::Signal;
use crate::otlp::span::{self, StatusCode};
use crate::receive::Received;
use crate::telemetry::Telemetry;
use batch::{Batch, Circumstances};
use meters::{Meters, Names};
use price::PriceTable;
use release::Release;
use responses::Responses;
use roles::Roles;
use settings::{Generations, Settings};
use std::sync::Arc;
use std::time::Instant;

/// Whether only spans of model calls, agents and their tools carry this attribute.
pub(crate) fn is_of_models(key: &[u8]) -> bool {
    keys::Key::find(key).is_some_and(keys::Key::is_of_models)
}

/// Whether enrichment may add an attribute of this key to a span.
pub fn may_add(key: &[u8]) -> bool {
    keys::Key::find(key).is_some_and(|key| key.is_of_models() || key == keys::Key::ErrorType)
}

/// What the shards of one stage have in common. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Shared {
    responses: Arc<Responses>,
    names: Arc<Names>,
}

/// Somebody who wants to know what was found on each span, before anything is dropped.
pub trait Observer {
    /// Called once a span or log record, in order. `llm` is there for every span of a kind but `none`.
    fn span(&mut self, facts: &SpanFacts, llm: Option<&LlmFacts<'_>>);

    /// Whether the span it was just told of must stay, whatever policies say. Asked once a span, after [`Observer::span`].
    fn must_stay(&mut self) -> bool {
        false
    }
}

/// Nobody.
impl Observer for () {
    fn span(&mut self, _: &SpanFacts, _: Option<&LlmFacts<'_>>) {}
}

/// Enrichment of one shard.
#[derive(Debug)]
pub struct Enrich {
    settings: Generations,
    writing: Writing,
    telemetry: Telemetry,
    shared: Shared,
    meters: Meters,
    /// What was counted of open traces.
    roles: Roles,
    /// What was written on traces that left by other roles than were counted.
    left: Roles,
    batch: Batch,
    batches: u64,
    release: Release,
    extra: Vec<u8>,
}

impl Enrich {
    /// For one shard. `shared` is the same for all shards of a stage; `filter` takes private data out of metric labels.
    pub fn new(config: &EnrichConfig, prices: Arc<PriceTable>, telemetry: &Telemetry, shared: &Shared, filter: LabelFilter) -> Enrich {
        let mut meters = Meters::new(&telemetry.metrics, Arc::clone(&shared.names), filter);
        meters.switch(config.metrics.gen_ai);
        show_layers(&prices, telemetry);
        Enrich {
            settings: Generations::new(Settings { config: config.clone(), prices }),
            writing: Writing::default(),
            telemetry: telemetry.clone(),
            shared: shared.clone(),
            meters,
            roles: Roles::default(),
            left: Roles::default(),
            batch: Batch::default(),
            batches: 0,
            release: Release::default(),
            extra: Vec::new(),
        }
    }

    /// Goes on with other settings and prices. What is known about open traces stays, and what came before leaves by the old ones.
    pub fn reload(&mut self, config: &EnrichConfig, prices: Arc<PriceTable>) {
        show_layers(&prices, &self.telemetry);
        self.meters.switch(config.metrics.gen_ai);
        self.settings.replace(Settings { config: config.clone(), prices });
    }

    /// From now on writes attributes then.
    pub fn write(&mut self, writing: Writing) {
        self.writing = writing;
    }

    /// Reads, prices and counts every item.
    pub fn apply(&mut self, received: Received, now: Instant, observer: &mut dyn Observer) -> Enriched {
        let (arrival, signal) = (received.arrival(), received.signal());
        let draft = received.into_draft();
        let items = if signal == Signal::Traces && self.settings.current().config.enabled {
            self.spans(draft, now, observer)
        } else {
            let look = |_: &Head, item: &[u8], _: &mut Vec<u8>| {
                let facts = plain_facts(signal, item);
                observer.span(&facts, None);
                facts
            };
            draft.append(None, look)
        };
        Enriched { items, arrival }
    }

    fn spans(&mut self, draft: Draft, now: Instant, observer: &mut dyn Observer) -> Appended<SpanFacts> {
        let Enrich { settings, writing, telemetry, shared, meters, roles, left, batch, batches, extra, .. } = self;
        *batches += 1;
        let with = Circumstances {
            settings: settings.current(),
            generation: settings.number(),
            batch: *batches,
            writing: *writing,
            responses: &shared.responses,
            now,
        };
        batch.take_in(&draft, &with, roles, left, meters, observer);
        let mut at = 0;
        draft.append_in(extra, Some(&telemetry.budget), |_, _, out| {
            let (facts, added) = batch.span(at);
            at += 1;
            out.extend_from_slice(added);
            facts
        })
    }

    /// Writes to `out` what belongs behind the item at a place of a list that leaves together, the items of one trace. To be called for
    /// each of them, from the first on.
    pub fn complete(&mut self, items: &[Item], at: usize, out: &mut Vec<u8>) {
        let Enrich { settings, shared, left, release, .. } = self;
        let Some(item) = items.get(at) else { return };
        if at == 0 {
            release.begin(items, settings, &shared.responses, left);
        }
        release.complete(at, item, settings, &shared.responses, out);
    }

    /// Tells that nothing is held any more, so that nothing will leave by settings that were.
    pub fn nothing_is_held(&mut self) {
        self.settings.forget_old();
    }
}

/// Shows how old each layer of prices is.
fn show_layers(prices: &PriceTable, telemetry: &Telemetry) {
    for layer in prices.layers() {
        if let Some(as_of) = layer.as_of {
            let labels = [("layer", &*layer.name)];
            let help = "The day a layer of prices speaks for, in seconds since 1970";
            telemetry.metrics.gauge("tollgate_enrich_price_table_timestamp_seconds", help, &labels).set(as_of as f64 / 1e9);
        }
        if layer.held > 0 {
            let help = "Prices in lists made by others that jumped and were held back";
            let labels = [("layer", &*layer.name)];
            telemetry.metrics.counter("tollgate_enrich_price_changes_held_total", help, &labels).absolute(layer.held);
        }
    }
}

/// What needs no vocabulary: ids, times, and the status as the only sign of a failure.
fn plain_facts(signal: Signal, item: &[u8]) -> SpanFacts {
    if signal != Signal::Traces {
        return SpanFacts { trace_id: span::trace_id(signal, item), ..SpanFacts::default() };
    }
    SpanFacts::of(&span::view(item))
}

/// Items with what was found out about them. Only enrichment makes these.
#[derive(Debug)]
pub struct Enriched {
    items: Appended<SpanFacts>,
    arrival: Instant,
}

impl Enriched {
    /// When they arrived, by the monotonic clock.
    pub fn arrival(&self) -> Instant {
        self.arrival
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The items and their facts.
    pub fn items(&self) -> impl ExactSizeIterator<Item = (Item, &SpanFacts)> {
        self.items.iter()
    }

    /// The items and their facts, for the next stage.
    pub fn into_items(self) -> Appended<SpanFacts> {
        self.items
    }
}

impl SpanFacts {
    /// What the plain fields of a span say.
    fn of(view: &span::SpanView<'_>) -> SpanFacts {
        SpanFacts {
            trace_id: view.trace_id,
            span_id: view.span_id,
            parent_id: view.parent_id,
            start: view.start,
            end: view.end,
            status: view.status,
            flags_alone: view.trace_state.is_empty().then_some(view.flags),
            error: (view.status == StatusCode::Error).then_some(facts::ErrorClass::Unknown),
            ..SpanFacts::default()
        }
    }
}
