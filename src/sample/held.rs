//! What the sampler needs to know of what it holds.
//!
//! It holds whatever can say its size and show its fields, and gives back what it was given. So it is the same before and
//! behind redaction, and tests need no encoded requests.

use crate::otlp::request::Item;
use crate::otlp::signal::Signal;
use crate::otlp::span::{self, EventView, KeyValue, SpanView};
use crate::otlp::wire::{Fields, Value};
use crate::telemetry::memory::Budget;

/// Where an attribute stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// On the span.
    Span,
    /// On its resource.
    Resource,
    /// On its instrumentation scope.
    Scope,
}

/// A span or log record that waits for a decision.
pub trait Held: Sized {
    /// Encoded bytes.
    fn size(&self) -> usize;

    /// Its plain fields; of a log record nothing is asked.
    fn view(&self) -> SpanView<'_>;

    /// Its tracestate, empty where absent, and its flags.
    fn context(&self) -> (&[u8], u32) {
        let view = self.view();
        (view.trace_state, view.flags)
    }

    /// Calls `visit` with every attribute: first those of the span, then of the resource, then of the scope.
    fn attributes(&self, visit: &mut dyn FnMut(Place, KeyValue<'_>));

    /// Whether it pins mostly memory that nobody needs any more.
    fn is_stray(&self) -> bool {
        false
    }

    /// Calls `visit` with every event of a span.
    fn events(&self, visit: &mut dyn FnMut(EventView<'_>)) {
        let _ = visit;
    }

    /// The same things, as many, in the same order, without what else they pin in memory.
    fn detach(items: Vec<Self>, budget: Option<&Budget>) -> Vec<Self> {
        let _ = budget;
        items
    }
}

impl Held for Item {
    fn size(&self) -> usize {
        Item::size(self)
    }

    fn view(&self) -> SpanView<'_> {
        span::view(self.body())
    }

    // Asked of every span: one walk over its fields, none of which is entered.
    fn context(&self) -> (&[u8], u32) {
        let mut context: (&[u8], u32) = (&[], 0);
        for field in Fields::new(self.body()).chain(Fields::new(self.extra())) {
            // Of a singular field that stands twice the last one counts.
            match (field.number, field.value) {
                (3, Value::Len(text)) => context.0 = text,
                (16, Value::Fixed32(flags)) => context.1 = flags,
                _ => {}
            }
        }
        context
    }

    fn attributes(&self, visit: &mut dyn FnMut(Place, KeyValue<'_>)) {
        let number = span::attributes_field(self.signal());
        for field in Fields::new(self.body()).chain(Fields::new(self.extra())) {
            if let Value::Len(pair) = field.value
                && field.number == number
            {
                visit(Place::Span, KeyValue::read(pair));
            }
        }
        self.head().resource_attributes().for_each(|pair| visit(Place::Resource, KeyValue::read(pair)));
        self.head().scope_attributes().for_each(|pair| visit(Place::Scope, KeyValue::read(pair)));
    }

    fn is_stray(&self) -> bool {
        Item::is_stray(self)
    }

    fn events(&self, visit: &mut dyn FnMut(EventView<'_>)) {
        if self.signal() == Signal::Traces {
            span::read(self.body(), |_| {}, |event| visit(EventView::read(event)));
        }
    }

    fn detach(items: Vec<Item>, budget: Option<&Budget>) -> Vec<Item> {
        let signal = |item: &Item| item.signal();
        if items.windows(2).all(|pair| matches!(pair, [a, b] if signal(a) == signal(b))) {
            return Item::detach(&items, budget);
        }
        // A copy is a request of one signal: each signal is copied by itself, then the order is restored.
        let copies = Signal::ALL.map(|wanted| {
            let part: Vec<Item> = items.iter().filter(|item| item.signal() == wanted).cloned().collect();
            (wanted, Item::detach(&part, budget).into_iter())
        });
        let mut copies = copies;
        items
            .into_iter()
            .map(|item| {
                let signal = item.signal();
                copies.iter_mut().find(|(of, _)| *of == signal).and_then(|(_, rest)| rest.next()).unwrap_or(item)
            })
            .collect()
    }
}
