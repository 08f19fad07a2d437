//! What a call used, what it cost, how it failed.
//!
//! One walk over each span notes the values that matter; nine spans out of ten are done after it. A call is then read in
//! three passes over its batch: what each span is and has, whose usage counts (children before parents, whatever order they
//! arrived in), and last the price and the attributes that are added.

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
mod digest;
mod evidence;
mod fields;
mod finishes;
mod json;
mod keys;
mod profiles;
mod scan;
mod source;
mod tokens;
mod write;

#[cfg(test)]
mod tests;

pub use call::{Cost, CostSource, LlmFacts, Skip};
pub use config::EnrichConfig;
pub use facts::SpanFacts;
pub use kind::Kind;
pub use meters::LabelFilter;
pub use roles::Role;
pub use scan::Scanner;

use crate::otlp::head::Head;
use crate::otlp::request::{Appended, Draft, Item};
use crate::otlp::signal::Signal;
use crate::otlp::span::{self, StatusCode};
use crate::receive::Received;
use crate::telemetry::Telemetry;
use batch::Batch;
use meters::{Meters, Names};
use price::PriceTable;
use roles::{Responses, Roles};
use std::sync::Arc;
use std::time::Instant;

/// Whether only spans of model calls, agents and their tools carry this attribute.
pub(crate) fn is_of_models(key: &[u8]) -> bool {
    keys::Key::find(key).is_some_and(keys::Key::is_of_models)
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
}

/// Nobody.
impl Observer for () {
    fn span(&mut self, _: &SpanFacts, _: Option<&LlmFacts<'_>>) {}
}

/// Enrichment of one shard.
#[derive(Debug)]
pub struct Enrich {
    settings: Settings,
    telemetry: Telemetry,
    shared: Shared,
    meters: Meters,
    roles: Roles,
    batch: Batch,
    extra: Vec<u8>,
}

/// What a reload changes.
#[derive(Debug)]
struct Settings {
    config: EnrichConfig,
    prices: Arc<PriceTable>,
}

impl Enrich {
    /// For one shard. `shared` is the same for all shards of a stage; `filter` takes private data out of metric labels.
    pub fn new(config: &EnrichConfig, prices: Arc<PriceTable>, telemetry: &Telemetry, shared: &Shared, filter: LabelFilter) -> Enrich {
        let meters = Meters::new(&telemetry.metrics, Arc::clone(&shared.names), filter);
        show_layers(&prices, telemetry);
        Enrich {
            settings: Settings { config: config.clone(), prices },
            telemetry: telemetry.clone(),
            shared: shared.clone(),
            meters,
            roles: Roles::default(),
            batch: Batch::default(),
            extra: Vec::new(),
        }
    }

    /// Goes on with other settings and prices. What is known about open traces stays.
    pub fn reload(&mut self, config: &EnrichConfig, prices: Arc<PriceTable>) {
        show_layers(&prices, &self.telemetry);
        self.settings = Settings { config: config.clone(), prices };
    }

    /// Reads, prices and counts every item, and adds what was found out about it.
    pub fn apply(&mut self, received: Received, now: Instant, observer: &mut dyn Observer) -> Enriched {
        let (arrival, signal) = (received.arrival(), received.signal());
        let draft = received.into_draft();
        let items = if signal == Signal::Traces && self.settings.config.enabled {
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
        let Enrich { settings, telemetry, shared, meters, roles, batch, extra } = self;
        batch.look(&draft, settings, shared);
        batch.decide(roles, &shared.responses, now, meters);
        let mut at = 0;
        draft.append_in(extra, Some(&telemetry.budget), |head, item, out| {
            at += 1;
            batch.finish(at - 1, head, item, settings, meters, out, observer)
        })
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
