//! A backend inside the process: takes OTLP over gRPC, keeps every span it gets.

use crate::otlp::signal::Signal;
use crate::receive::{Busy, Intake, Opened};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use std::sync::{Arc, Mutex, PoisonError};

/// The spans that arrived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sink(Arc<Mutex<Vec<Span>>>);

impl Sink {
    /// Spans of a trace, in the order they arrived.
    pub(crate) fn spans(&self, trace: &[u8]) -> Vec<Span> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(|s| s.trace_id == trace).cloned().collect()
    }
}

impl Intake for Sink {
    async fn offer(&self, opened: Opened) -> Result<(), Busy> {
        if opened.signal() == Signal::Traces {
            let draft = opened.whole().into_draft();
            let spans = draft.items().filter_map(|(_, body)| Span::decode(body).ok());
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(spans);
        }
        Ok(())
    }

    fn pressure(&self) -> Option<Busy> {
        None
    }
}

/// All spans of a request.
pub(crate) fn spans_of(request: &ExportTraceServiceRequest) -> impl Iterator<Item = &Span> {
    request.resource_spans.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans)
}
