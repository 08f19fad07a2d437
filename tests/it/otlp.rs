//! The wire-level path against prost, over generated, mutated and recorded requests.

use crate::corpus;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};
use proptest::prelude::*;
use prost::Message;
use std::sync::Arc;
use std::time::Instant;
use tollgate::otlp::append::Attributes;
use tollgate::otlp::regroup::{self, Outgoing};
use tollgate::otlp::request::{Draft, Item, Request};
use tollgate::otlp::signal::Signal;
use tollgate::otlp::span::{Any, StatusCode};
use tollgate::otlp::{schema, span as view, strict, wire};
use tollgate::receive;

// ---------------------------------------------------------------- generated requests

fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(None),
        ".{0,20}".prop_map(|s| Some(any_value::Value::StringValue(s))),
        any::<bool>().prop_map(|b| Some(any_value::Value::BoolValue(b))),
        any::<i64>().prop_map(|i| Some(any_value::Value::IntValue(i))),
        any::<f64>().prop_filter("NaN is not equal to itself", |d| !d.is_nan()).prop_map(|d| Some(any_value::Value::DoubleValue(d))),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(|b| Some(any_value::Value::BytesValue(b))),
    ];
    leaf.prop_map(|value| AnyValue { value }).prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4)
                .prop_map(|values| AnyValue { value: Some(any_value::Value::ArrayValue(ArrayValue { values })) }),
            proptest::collection::vec((".{0,8}", inner), 0..4).prop_map(|pairs| {
                let values = pairs.into_iter().map(|(key, v)| KeyValue { key, value: Some(v), ..KeyValue::default() }).collect();
                AnyValue { value: Some(any_value::Value::KvlistValue(KeyValueList { values })) }
            }),
        ]
    })
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let key = prop_oneof![Just("gen_ai.request.model".to_owned()), "[a-z.]{1,12}"];
    proptest::collection::vec((key, proptest::option::of(any_value())), 0..6)
        .prop_map(|pairs| pairs.into_iter().map(|(key, value)| KeyValue { key, value, ..KeyValue::default() }).collect())
}

fn id(size: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(1u8..=255, size)
}

fn any_span() -> impl Strategy<Value = Span> {
    let ids = (id(16), id(8), prop_oneof![Just(Vec::new()), id(8)]);
    let event = (any::<u64>(), ".{0,10}", attributes()).prop_map(|(time_unix_nano, name, attributes)| span::Event {
        time_unix_nano,
        name,
        attributes,
        ..span::Event::default()
    });
    let status = proptest::option::of((0..4i32, ".{0,12}").prop_map(|(code, message)| Status { code, message }));
    (ids, ".{0,16}", 0..6i32, any::<(u64, u64, u32)>(), attributes(), proptest::collection::vec(event, 0..3), status, "[a-z=,:]{0,20}")
        .prop_map(|((trace_id, span_id, parent_span_id), name, kind, (start, end, flags), attributes, events, status, trace_state)| Span {
            trace_id,
            span_id,
            parent_span_id,
            name,
            kind,
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            flags,
            attributes,
            events,
            status,
            trace_state,
            ..Span::default()
        })
}

fn any_request() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let scope = (".{0,8}", attributes(), proptest::collection::vec(any_span(), 0..4)).prop_map(|(name, attributes, spans)| ScopeSpans {
        scope: Some(InstrumentationScope { name, attributes, ..InstrumentationScope::default() }),
        spans,
        schema_url: String::new(),
    });
    let resource = (proptest::option::of(attributes()), proptest::collection::vec(scope, 0..3), "[a-z]{0,4}").prop_map(
        |(attributes, scope_spans, schema_url)| ResourceSpans {
            resource: attributes.map(|attributes| Resource { attributes, ..Resource::default() }),
            scope_spans,
            schema_url,
        },
    );
    proptest::collection::vec(resource, 0..3).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

// ---------------------------------------------------------------- both ways

fn items(signal: Signal, body: Vec<u8>) -> Result<Vec<Item>, wire::Malformed> {
    let by_table = schema::validate(signal, &body);
    let check = |item: &[u8]| match signal {
        Signal::Traces => strict::span(item).map(|_| true),
        _ => schema::validate_item(signal, item).map(|()| true),
    };
    let cut = Request::scan_with(signal, Bytes::from(body), None, check);
    // One walk that checks and cuts refuses what the check by table refuses, and beside that only what are too many parts.
    if !matches!(cut, Err(wire::Malformed::TooMany(..))) {
        assert_eq!(cut.is_err(), by_table.is_err(), "{:?}, by table {by_table:?}", cut.as_ref().err());
    }
    let (request, places) = cut?;
    Ok(Draft::new(Arc::new(request), places).append(None, |_, _, _| ()).into_iter().map(|(item, ())| item).collect())
}

fn regrouped(items: &[Item]) -> Vec<u8> {
    let mut outgoing: Vec<_> = items.iter().map(|i| Outgoing { head: i.head(), body: i.body(), extra: i.extra() }).collect();
    regroup::encode(&mut outgoing, 0)
}

/// Every span with what stands around it, sorted: a multiset.
fn spans(request: &ExportTraceServiceRequest) -> Vec<String> {
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

/// prost takes it, so we do, and read the same; what prost refuses, we refuse.
fn agrees_with_prost(body: &[u8]) {
    let ours = items(Signal::Traces, body.to_vec());
    let Ok(theirs) = ExportTraceServiceRequest::decode(body) else {
        assert!(ours.is_err(), "prost refuses what we take");
        return;
    };
    let ours = match ours {
        Err(wire::Malformed::Depth(_)) => return, // our limit is lower, on purpose
        other => other.expect("prost takes it"),
    };
    let theirs_spans: Vec<&Span> = theirs.resource_spans.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans).collect();
    assert_eq!(ours.len(), theirs_spans.len());
    for (item, span) in ours.iter().zip(&theirs_spans) {
        same_span(item.body(), span);
    }
    let again = ExportTraceServiceRequest::decode(&regrouped(&ours)[..]).expect("what we write decodes");
    assert_eq!(spans(&again), spans(&theirs));
}

fn same_span(body: &[u8], span: &Span) {
    let mut keys = Vec::new();
    let mut events = 0;
    let read = view::read(body, |pair| keys.push(pair), |_| events += 1);
    assert_eq!(
        read.trace_id.map(|id| id.bytes().to_vec()),
        Some(span.trace_id.clone()).filter(|id| id.len() == 16 && id.iter().any(|b| *b != 0))
    );
    assert_eq!(
        read.span_id.map(|id| id.bytes().to_vec()),
        Some(span.span_id.clone()).filter(|id| id.len() == 8 && id.iter().any(|b| *b != 0))
    );
    assert_eq!((read.start, read.end, read.flags), (span.start_time_unix_nano, span.end_time_unix_nano, span.flags));
    assert_eq!((read.name, read.trace_state), (span.name.as_bytes(), span.trace_state.as_bytes()));
    let status = span.status.clone().unwrap_or_default();
    assert_eq!(read.status == StatusCode::Error, status.code == 2);
    assert_eq!(read.status_message, status.message.as_bytes());
    assert_eq!(events, span.events.len());
    assert_eq!(keys.len(), span.attributes.len());
    for (ours, theirs) in keys.iter().zip(&span.attributes) {
        assert_eq!(ours.key, theirs.key.as_bytes());
        let value = theirs.value.as_ref().and_then(|v| v.value.as_ref());
        match (ours.any(), value) {
            (Any::Str(a), Some(any_value::Value::StringValue(b))) => assert_eq!(a, b),
            (Any::Bool(a), Some(any_value::Value::BoolValue(b))) => assert_eq!(a, *b),
            (Any::Int(a), Some(any_value::Value::IntValue(b))) => assert_eq!(a, *b),
            (Any::Double(a), Some(any_value::Value::DoubleValue(b))) => assert_eq!(a.to_bits(), b.to_bits()),
            (Any::Array(_), Some(any_value::Value::ArrayValue(_))) | (Any::Kvlist(_), Some(any_value::Value::KvlistValue(_))) => {}
            (Any::Bytes(a), Some(any_value::Value::BytesValue(b))) => assert_eq!(a, b),
            // A string-table index is a value this reader has no use for.
            (Any::None, None | Some(any_value::Value::StringValueStrindex(_))) => {}
            (a, b) => panic!("{a:?} is not {b:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_generated_request_is_read_as_prost_reads_it_and_leaves_as_it_came(request in any_request()) {
        agrees_with_prost(&request.encode_to_vec());
    }

    #[test]
    fn a_mutated_request_is_refused_exactly_where_prost_refuses_it(
        request in any_request(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut body = request.encode_to_vec();
        if body.is_empty() {
            return Ok(());
        }
        for (at, byte) in edits {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if let Some(cut) = cut {
            body.truncate(cut.index(body.len()));
        }
        agrees_with_prost(&body);
    }

    #[test]
    fn what_is_appended_is_all_that_changes(request in any_request()) {
        let body = request.encode_to_vec();
        let (scanned, places) = Request::scan(Signal::Traces, Bytes::from(body), None).unwrap();
        let items = Draft::new(Arc::new(scanned), places).append(None, |_, _, out| Attributes::of_span(out).int("tollgate.x", 7));
        let items: Vec<Item> = items.into_iter().map(|(item, ())| item).collect();
        let mut expected = request;
        for span in expected.resource_spans.iter_mut().flat_map(|r| &mut r.scope_spans).flat_map(|s| &mut s.spans) {
            let value = Some(AnyValue { value: Some(any_value::Value::IntValue(7)) });
            span.attributes.push(KeyValue { key: "tollgate.x".into(), value, ..KeyValue::default() });
        }
        let detached = Item::detach(&items, None);
        for items in [items, detached] {
            let out = ExportTraceServiceRequest::decode(&regrouped(&items)[..]).unwrap();
            prop_assert_eq!(spans(&out), spans(&expected));
        }
    }
}

// ---------------------------------------------------------------- what prost does not keep

#[test]
fn unknown_fields_survive_at_every_level() {
    let put = |number: u32, content: &[u8]| {
        let mut out = Vec::new();
        wire::put_bytes(&mut out, number, content);
        out
    };
    let unknown = put(200, b"kept");
    let span = [put(1, &[1; 16]), unknown.clone(), put(2, &[2; 8])].concat();
    let scope = [put(2, &span), unknown.clone(), put(1, &put(1, b"scope")), put(2, &span)].concat();
    let resource = [put(2, &scope), put(1, b""), unknown.clone()].concat();
    let request = [put(1, &resource), unknown.clone()].concat();
    let out = regrouped(&items(Signal::Traces, request).unwrap());
    let level = |message: &[u8], number: u32| -> Vec<Vec<u8>> {
        wire::Fields::new(message)
            .filter_map(|f| match f.value {
                wire::Value::Len(content) if f.number == number => Some(content.to_vec()),
                _ => None,
            })
            .collect()
    };
    assert_eq!(level(&out, 200), [b"kept"]);
    let resource = level(&out, 1).remove(0);
    assert_eq!(level(&resource, 200), [b"kept"]);
    let scope = level(&resource, 2).remove(0);
    assert_eq!(level(&scope, 200), [b"kept"]);
    assert_eq!(level(&scope, 2), [span.clone(), span]);
}

#[test]
fn a_span_with_impossible_ids_is_rejected_and_the_others_are_not() {
    let span = |span_id: &[u8], parent: &[u8]| Span {
        trace_id: vec![1; 16],
        span_id: span_id.to_vec(),
        parent_span_id: parent.to_vec(),
        ..Span::default()
    };
    let spans = vec![span(&[2; 8], &[]), span(&[2; 4], &[]), span(&[0; 8], &[]), span(&[3; 8], &[1; 5]), span(&[3; 8], &[1; 8])];
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    };
    let opened = receive::open(Signal::Traces, Bytes::from(request.encode_to_vec()), None, Instant::now()).unwrap();
    assert_eq!((opened.len(), opened.rejected), (2, 3));
}

#[test]
fn items_of_one_trace_go_to_one_shard() {
    for recorded in corpus::all().into_iter().filter(|r| !r.json && r.signal == Signal::Traces) {
        let opened = receive::open(recorded.signal, Bytes::from(recorded.body), None, Instant::now()).expect("a recorded request is valid");
        let all = opened.len();
        let parts = opened.split(4, |id| usize::from(id.bytes()[15]) % 4);
        let mut seen = std::collections::HashMap::new();
        let mut count = 0;
        for (shard, part) in parts {
            for (_, body) in part.into_draft().items() {
                count += 1;
                let trace = view::trace_id(Signal::Traces, body).expect("a trace id");
                assert_eq!(*seen.entry(trace).or_insert(shard), shard);
            }
        }
        assert_eq!(count, all);
    }
}

// ---------------------------------------------------------------- recorded requests

#[test]
fn every_recorded_request_leaves_as_it_came() {
    for recorded in corpus::all().into_iter().filter(|r| !r.json) {
        let items = items(recorded.signal, recorded.body.clone()).unwrap_or_else(|e| panic!("{}: {e}", recorded.file));
        let again = regrouped(&items);
        match recorded.signal {
            Signal::Traces => {
                agrees_with_prost(&recorded.body);
                let (a, b) = (ExportTraceServiceRequest::decode(&again[..]), ExportTraceServiceRequest::decode(&recorded.body[..]));
                assert_eq!(spans(&a.unwrap()), spans(&b.unwrap()), "{}", recorded.file);
            }
            Signal::Logs => {
                let (a, b) = (ExportLogsServiceRequest::decode(&again[..]), ExportLogsServiceRequest::decode(&recorded.body[..]));
                assert_eq!(a.unwrap(), b.unwrap(), "{}", recorded.file);
            }
            Signal::Metrics => {
                let (a, b) = (ExportMetricsServiceRequest::decode(&again[..]), ExportMetricsServiceRequest::decode(&recorded.body[..]));
                assert_eq!(a.unwrap(), b.unwrap(), "{}", recorded.file);
            }
        }
    }
}

#[test]
fn every_recorded_request_mutated_is_refused_exactly_where_prost_refuses_it() {
    // A fixed linear congruence: the same mutations in every run, named by file and round.
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for recorded in corpus::all().into_iter().filter(|r| !r.json && r.signal == Signal::Traces && !r.body.is_empty()) {
        for _ in 0..8 {
            let mut body = recorded.body.clone();
            for _ in 0..2 {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let at = (seed >> 33) as usize % body.len();
                body[at] = (seed >> 17) as u8;
            }
            agrees_with_prost(&body);
        }
    }
}

// ---------------------------------------------------------------- what a sender may invent

/// A request of one resource with `size` bytes in it and `scopes` scopes of one empty span each.
fn many_scopes(size: usize, scopes: usize) -> Vec<u8> {
    let put = |number: u32, content: &[u8]| {
        let mut out = Vec::new();
        wire::put_bytes(&mut out, number, content);
        out
    };
    let scope = |n: usize| put(2, &[put(3, n.to_string().as_bytes()), put(2, b"")].concat());
    let resource = [put(3, &vec![b'r'; size])].into_iter().chain((0..scopes).map(scope)).collect::<Vec<_>>().concat();
    put(1, &resource)
}

#[test]
fn a_large_resource_is_not_paid_for_again_by_each_of_its_scopes() {
    let started = Instant::now();
    let items = items(Signal::Traces, many_scopes(1 << 20, 20_000)).unwrap();
    let detached = Item::detach(&items, None);
    for items in [&items, &detached] {
        assert!(regrouped(items).len() < 2 << 20);
    }
    // Hashed, compared or copied once a scope, the resource alone would be 20 GB of memory to go through.
    assert!(started.elapsed().as_secs() < 8, "{:?}", started.elapsed());
}

#[test]
fn more_scopes_than_any_sender_has_are_refused() {
    assert!(items(Signal::Traces, many_scopes(0, 65_536)).is_ok());
    let error = items(Signal::Traces, many_scopes(0, 65_537)).unwrap_err();
    assert_eq!(error.to_string(), "more than 65536 scopes with items in one request; send smaller ones");
}
