//! Any valid request, taken apart and put together again, means the same to prost; so it does after its items were detached.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use std::sync::Arc;
use tollgate::otlp::regroup::{self, Outgoing};
use tollgate::otlp::request::{Draft, Item, Request};
use tollgate::otlp::schema;
use tollgate::otlp::signal::Signal;

fuzz_target!(|body: &[u8]| {
    if schema::validate(Signal::Traces, body).is_err() {
        return;
    }
    let (request, places) = Request::scan(Signal::Traces, Bytes::copy_from_slice(body), None).expect("it is valid");
    let items = Draft::new(Arc::new(request), places).append(None, |_, _, _| ());
    let items: Vec<Item> = items.into_iter().map(|(item, ())| item).collect();
    let detached = Item::detach(&items, None);
    let expected = spans(body);
    for items in [items, detached] {
        let mut outgoing: Vec<_> = items.iter().map(|i| Outgoing { head: i.head(), body: i.body(), extra: i.extra() }).collect();
        assert_eq!(spans(&regroup::encode(&mut outgoing, 0)), expected);
    }
});

/// Every span with what stands around it, as a sorted multiset.
fn spans(body: &[u8]) -> Vec<String> {
    let request = ExportTraceServiceRequest::decode(body).expect("it decodes");
    let mut out = Vec::new();
    for resource in &request.resource_spans {
        for scope in &resource.scope_spans {
            for span in &scope.spans {
                out.push(format!("{span:?} {:?} {} {:?} {}", resource.resource, resource.schema_url, scope.scope, scope.schema_url));
            }
        }
    }
    out.sort();
    out
}
