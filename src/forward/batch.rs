//! Items that travel together: one signal, cut from the buffers that all destinations share.

use crate::forward::verdict::Reason;
use crate::otlp::regroup::{self, Outgoing};
use crate::otlp::signal::Signal;
use crate::otlp::span::{self, TraceId};
use crate::redact::Redacted;
use crate::telemetry::memory::{Budget, Charge};
use std::ops::Range;
use std::sync::Arc;

/// Bytes an item may need around it in a request, next to its own.
pub(crate) const ITEM_OVERHEAD: usize = 6;

/// Bytes a resource and a scope may need around them, next to their own.
pub(crate) const HEAD_OVERHEAD: usize = 24;

/// Consecutive items of one shared buffer.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) redacted: Arc<Redacted>,
    pub(crate) items: Range<usize>,
}

/// One batch.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    signal: Signal,
    parts: Vec<Part>,
    len: usize,
    budget: Budget,
}

/// An encoded request, charged for as long as it exists.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) bytes: Vec<u8>,
    charge: Charge,
}

impl Encoded {
    /// The same in another encoding.
    pub(crate) fn replace(&mut self, bytes: Vec<u8>) {
        self.charge.resize(bytes.capacity());
        self.bytes = bytes;
    }

    /// The bytes, and the charge for them to be held meanwhile.
    pub(crate) fn into_parts(self) -> (Vec<u8>, Charge) {
        (self.bytes, self.charge)
    }
}

impl Batch {
    /// The parts must all be of `signal`.
    pub(crate) fn new(signal: Signal, parts: Vec<Part>, budget: Budget) -> Batch {
        let len = parts.iter().map(|part| part.items.len()).sum();
        Batch { signal, parts, len, budget }
    }

    /// What it carries.
    pub(crate) fn signal(&self) -> Signal {
        self.signal
    }

    /// Number of items.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Items `range`, counted over all parts.
    pub(crate) fn items(&self, range: Range<usize>) -> impl Iterator<Item = Outgoing<'_>> {
        let all = self.parts.iter().flat_map(|part| part.redacted.items().skip(part.items.start).take(part.items.len()));
        all.skip(range.start).take(range.len())
    }

    /// What items `range` count for in the queue.
    pub(crate) fn cost(&self, range: Range<usize>) -> usize {
        self.items(range).map(|item| cost(1, item.body.len())).sum()
    }

    /// Encodes items `range` as one request behind room for `prefix` bytes.
    ///
    /// # Errors
    /// [`Reason::Internal`] where a request cannot be that large.
    pub(crate) fn encode(&self, range: Range<usize>, prefix: usize) -> Result<Encoded, Reason> {
        let mut items: Vec<_> = self.items(range).collect();
        let bytes = regroup::encode(&mut items, prefix);
        if u32::try_from(bytes.len()).is_err() {
            return Err(Reason::Internal);
        }
        let charge = self.budget.charge(bytes.capacity());
        Ok(Encoded { bytes, charge })
    }

    /// The trace of one item, for the log.
    pub(crate) fn trace_id(&self, item: usize) -> Option<TraceId> {
        let item = self.items(item..item.saturating_add(1)).next()?;
        span::trace_id(self.signal, item.body)
    }
}

/// What items count for in a queue: their bytes and a little for each, so that empty ones cannot pile up for nothing.
pub(crate) const fn cost(items: usize, bytes: usize) -> usize {
    bytes.saturating_add(items.saturating_mul(ITEM_OVERHEAD))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use bytes::Bytes;
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use prost::Message;

    pub(crate) fn attribute(key: &str, value: &str) -> KeyValue {
        let value = Some(AnyValue { value: Some(Value::StringValue(value.into())) });
        KeyValue { key: key.into(), value, ..KeyValue::default() }
    }

    /// Spans `names` of one service.
    pub(crate) fn spans(service: &str, names: &[String]) -> Arc<Redacted> {
        let span = |(number, name): (usize, &String)| Span {
            trace_id: vec![7; 16],
            span_id: (number as u64 + 1).to_be_bytes().to_vec(),
            name: name.clone(),
            start_time_unix_nano: 1_000_000_000,
            end_time_unix_nano: 1_250_000_000,
            attributes: vec![attribute("gen_ai.request.model", "gpt-5")],
            ..Span::default()
        };
        let scope_spans = vec![ScopeSpans { spans: names.iter().enumerate().map(span).collect(), ..ScopeSpans::default() }];
        let resource = Some(Resource { attributes: vec![attribute("service.name", service)], ..Resource::default() });
        let request =
            ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }] };
        Arc::new(Redacted::unchecked(Signal::Traces, Bytes::from(request.encode_to_vec()), false))
    }

    /// Spans `s0`, `s1`, …
    pub(crate) fn numbered(count: usize) -> Arc<Redacted> {
        spans("svc", &(0..count).map(|n| format!("s{n}")).collect::<Vec<_>>())
    }

    pub(crate) fn logs(count: usize) -> Arc<Redacted> {
        let record = LogRecord { severity_text: "INFO".into(), ..LogRecord::default() };
        let scope_logs = vec![ScopeLogs { log_records: vec![record; count], ..ScopeLogs::default() }];
        let request = ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] };
        Arc::new(Redacted::unchecked(Signal::Logs, Bytes::from(request.encode_to_vec()), false))
    }

    /// A batch of all of `redacted`.
    pub(crate) fn whole(redacted: Arc<Redacted>) -> Batch {
        let part = Part { items: 0..redacted.len(), redacted };
        Batch::new(part.redacted.signal(), vec![part], Budget::new(usize::MAX))
    }

    pub(crate) fn names(request: &[u8]) -> Vec<String> {
        let request = ExportTraceServiceRequest::decode(request).unwrap();
        let scopes = request.resource_spans.into_iter().flat_map(|r| r.scope_spans);
        scopes.flat_map(|s| s.spans).map(|s| s.name).collect()
    }

    #[test]
    fn a_range_over_several_parts_is_encoded_in_order_and_charged() {
        let budget = Budget::new(usize::MAX);
        let parts = vec![Part { redacted: numbered(5), items: 3..5 }, Part { redacted: numbered(4), items: 0..4 }];
        let batch = Batch::new(Signal::Traces, parts, budget.clone());
        assert_eq!(batch.len(), 6);
        let encoded = batch.encode(1..4, 5).unwrap();
        assert_eq!(names(&encoded.bytes[5..]), ["s4", "s0", "s1"]);
        assert!(budget.used() >= encoded.bytes.len());
        drop(encoded);
        assert_eq!(budget.used(), 0);
        assert_eq!(batch.cost(0..2) + batch.cost(2..6), batch.cost(0..6));
    }

    #[test]
    fn the_trace_of_an_item_is_known() {
        assert_eq!(whole(numbered(2)).trace_id(1).unwrap().to_string(), "07".repeat(16));
        assert_eq!(whole(numbered(2)).trace_id(2), None);
    }
}
