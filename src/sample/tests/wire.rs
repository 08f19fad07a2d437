//! The sampler with spans as they come from the wire.

use super::*;
use crate::otlp::request::Item;
use crate::otlp::signal::Signal;
use crate::receive;
use crate::telemetry::memory::Budget;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue as Pair};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};

fn pair(key: &str, value: &str) -> Pair {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.into())) });
    Pair { key: key.into(), value, ..Pair::default() }
}

/// The request pins what it takes, and is charged for that.
fn charged(budget: &Budget, spans: Vec<Span>) -> Vec<Item> {
    let resource = Resource { attributes: vec![pair("service.name", "rag")], ..Resource::default() };
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource = ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() };
    let request = Bytes::from(ExportTraceServiceRequest { resource_spans: vec![resource] }.encode_to_vec());
    let charge = budget.charge(request.len());
    let opened = receive::open(Signal::Traces, request, Some(charge), Instant::now()).unwrap();
    opened.whole().into_draft().append(None, |_, _, _| ()).into_iter().map(|(item, ())| item).collect()
}

/// A span of half a KiB.
fn plain(trace: u64, id: u64, parent: u64) -> Span {
    let id_of = |n: u64| if n == 0 { Vec::new() } else { n.to_be_bytes().to_vec() };
    Span {
        trace_id: trace_id(trace).bytes().to_vec(),
        span_id: id_of(id),
        parent_span_id: id_of(parent),
        attributes: vec![pair("text", &"x".repeat(400))],
        ..Span::default()
    }
}

fn items(signal: Signal, request: Vec<u8>, extra: impl Fn(usize, &mut Vec<u8>)) -> Vec<Item> {
    let opened = receive::open(signal, Bytes::from(request), None, Instant::now()).unwrap();
    let mut number = 0;
    let items = opened.whole().into_draft().append(None, |_, _, out| {
        extra(number, out);
        number += 1;
    });
    items.into_iter().map(|(item, ())| item).collect()
}

/// Spans 1 to `count` of one trace, under one root, in a resource and a scope with attributes.
fn spans(trace: u64, count: u64) -> Vec<Item> {
    let one = |n: u64| Span {
        trace_id: trace_id(trace).bytes().to_vec(),
        span_id: n.to_be_bytes().to_vec(),
        parent_span_id: if n == 1 { Vec::new() } else { 1u64.to_be_bytes().to_vec() },
        trace_state: if n == 2 { "a=1,ot=th:8".into() } else { String::new() },
        start_time_unix_nano: 100 * n,
        end_time_unix_nano: 100 * n + 50,
        attributes: vec![pair("op", "chat")],
        name: "step".into(),
        kind: 3,
        events: (n == 2)
            .then(|| Event { name: "exception".into(), attributes: vec![pair("exception.type", "Late")], ..Event::default() })
            .into_iter()
            .collect(),
        ..Span::default()
    };
    let scope = ScopeSpans {
        scope: Some(InstrumentationScope { attributes: vec![pair("lib", "x")], ..InstrumentationScope::default() }),
        spans: (1..=count).map(one).collect(),
        ..ScopeSpans::default()
    };
    let resource = Resource { attributes: vec![pair("service.name", "rag")], ..Resource::default() };
    let resource = ResourceSpans { resource: Some(resource), scope_spans: vec![scope], ..ResourceSpans::default() };
    let request = ExportTraceServiceRequest { resource_spans: vec![resource] }.encode_to_vec();
    items(Signal::Traces, request, |n, out| {
        if n == 0 {
            Attributes::of_span(out).str("tollgate.added", "yes");
        }
    })
}

fn logs(trace: u64, count: usize) -> Vec<Item> {
    let record = |n: usize| LogRecord { trace_id: trace_id(trace).bytes().to_vec(), time_unix_nano: n as u64, ..LogRecord::default() };
    let scope = ScopeLogs { log_records: (0..count).map(record).collect(), ..ScopeLogs::default() };
    let resource = ResourceLogs { scope_logs: vec![scope], ..ResourceLogs::default() };
    items(Signal::Logs, ExportLogsServiceRequest { resource_logs: vec![resource] }.encode_to_vec(), |_, _| {})
}

fn facts(item: &Item) -> SpanFacts {
    let view = item.view();
    let SpanView { trace_id, span_id, parent_id, start, end, status, .. } = view;
    SpanFacts { trace_id, span_id, parent_id, start, end, status, ..SpanFacts::default() }
}

fn admit(sampler: &mut Sampler<Item>, items: Vec<Item>, now: Instant, out: &mut Outcome<Item>) {
    for item in items {
        match item.signal() {
            Signal::Logs => {
                let trace = span::trace_id(Signal::Logs, item.body());
                sampler.admit_log(trace, item, now, out);
            }
            _ => sampler.admit(&facts(&item), item, now, out),
        }
    }
}

/// What requests and copies of their spans take.
fn pinned(budget: &Budget, sampler: &Sampler<Item>) -> usize {
    budget.used() - sampler.weight()
}

#[test]
fn conditions_read_what_stands_on_the_wire() {
    for (key, value, holds) in [
        ("op", "chat", true),
        ("tollgate.added", "yes", true),
        ("service.name", "rag", true),
        ("scope.lib", "x", true),
        ("span.service.name", "rag", false),
        ("resource.op", "chat", false),
    ] {
        let text = format!("policies: [{{ name: a, type: string_attribute, string_attribute: {{ key: {key}, values: [{value}] }} }}]");
        let (now, mut out) = (Instant::now(), Outcome::default());
        let mut sampler = Sampler::new(compile(&text), 1, now);
        admit(&mut sampler, spans(1, 2), now, &mut out);
        sampler.shutdown(now, &mut out);
        assert_eq!(!out.kept.is_empty(), holds, "{key}");
    }
}

#[test]
fn expressions_read_fields_and_events_from_the_wire() {
    for (list, text, holds) in [
        ("span", "name == \"step\" and kind == SPAN_KIND_CLIENT", true),
        ("span", "name == \"other\"", false),
        ("span", "instrumentation_scope.attributes[\"lib\"] == \"x\" and resource.attributes[\"service.name\"] == \"rag\"", true),
        ("spanevent", "name == \"exception\" and attributes[\"exception.type\"] == \"Late\"", true),
        ("spanevent", "attributes[\"exception.type\"] == \"Early\"", false),
        ("spanevent", "attributes[\"missing\"] == nil", true),
        ("spanevent", "name == \"step\"", false),
    ] {
        let text = format!("policies: [{{ name: a, type: ottl_condition, ottl_condition: {{ {list}: ['{text}'] }} }}]");
        let (now, mut out) = (Instant::now(), Outcome::default());
        let mut sampler = Sampler::new(compile(&text), 1, now);
        admit(&mut sampler, spans(1, 2), now, &mut out);
        sampler.shutdown(now, &mut out);
        assert_eq!(!out.kept.is_empty(), holds, "{text}");
    }
}

#[test]
fn a_kept_trace_leaves_with_its_stamp_and_is_read_by_prost() {
    let text = "policies: [{ name: busy, condition: { scope: trace, all: [{ type: span_count, min_spans: 3 }] }, sample: { type: keep } }]";
    let (now, mut out) = (Instant::now(), Outcome::default());
    let mut sampler = Sampler::new(compile(text), 1, now);
    admit(&mut sampler, spans(1, 3), now, &mut out);
    let mut written = Vec::new();
    for kept in &out.kept {
        for (index, item) in kept.spans.iter().enumerate() {
            let mut bytes = [item.body(), item.extra()].concat();
            kept.stamp.write(index, &item.view(), &mut bytes).unwrap();
            written.push(Span::decode(&bytes[..]).unwrap());
        }
    }
    let states: Vec<&str> = written.iter().map(|span| span.trace_state.as_str()).collect();
    // The trace id of the second span does not reach the threshold it came with, or it does: then it stays.
    let passes = crate::sample::threshold::randomness(trace_id(1).bytes()) >= 1 << 55;
    assert_eq!(states, ["ot=th:0", if passes { "a=1,ot=th:8" } else { "a=1" }, "ot=th:0"]);
    let keys = |n: usize| written[n].attributes.iter().map(|pair| pair.key.as_str()).collect::<Vec<_>>();
    assert_eq!(keys(2), ["op"]);
    let stamp = [
        "op",
        "tollgate.added",
        "tollgate.sampling.policy",
        "tollgate.sampling.reason",
        "tollgate.sampling.trigger",
        "tollgate.sampling.matched",
        "tollgate.sampling.adjusted_count",
        "tollgate.sampling.complete",
        "tollgate.sampling.spans",
        "tollgate.sampling.wait_ms",
        "tollgate.sampling.config",
        "tollgate.trace.cost.total_usd",
        "tollgate.trace.tokens.input",
        "tollgate.trace.tokens.output",
        "tollgate.trace.llm_calls",
        "tollgate.trace.truncated_spans",
        "tollgate.trace.errors.transient",
        "tollgate.trace.errors.permanent",
    ];
    assert_eq!(keys(0), stamp);
}

#[test]
fn what_comes_back_from_the_hold_is_what_went_in() {
    let (now, mut out) = (Instant::now(), Outcome::default());
    let budget = Budget::new(1 << 20);
    let mut sampler = Sampler::new(compile(NOTHING), 1, now).with_budget(budget.clone());
    let mixed = |n: usize| {
        let (mut all, mut records) = (spans(1, 4), logs(1, 3).into_iter());
        for at in [1, 3, 4] {
            all.insert(at, records.next().unwrap());
        }
        all.remove(n)
    };
    let before: Vec<Item> = (0..7).map(mixed).collect();
    admit(&mut sampler, (0..7).map(mixed).collect(), now, &mut out);
    sampler.tick(now + Duration::from_secs(1), &mut out);
    assert_eq!((out.kept.len(), sampler.held()), (0, 7));
    let size: usize = before.iter().map(Item::size).sum();
    assert_eq!(sampler.held_bytes(), size as u64);
    // One in seven of each request is left, so all of them are copied; the copies are charged for, by what they take.
    assert_eq!(pinned(&budget, &sampler), 0);
    sampler.tick(now + Duration::from_secs(4), &mut out);
    assert!((size..size + 2000).contains(&pinned(&budget, &sampler)), "{} for {size}", pinned(&budget, &sampler));
    let mut error = SpanFacts { status: StatusCode::Error, ..facts(&before[0]) };
    error.span_id = span_id(9);
    sampler.admit(&error, before[0].clone(), now + Duration::from_secs(5), &mut out);
    let bytes = |items: &[&Item]| items.iter().map(|i| (i.signal(), i.body().to_vec(), i.extra().to_vec())).collect::<Vec<_>>();
    let [back_spans, back_logs] = &out.kept[..] else { panic!("spans and logs") };
    let of = |signal: Signal| before.iter().filter(|item| item.signal() == signal).collect::<Vec<_>>();
    assert_eq!(bytes(&back_spans.spans[..4].iter().collect::<Vec<_>>()), bytes(&of(Signal::Traces)));
    assert_eq!(bytes(&back_logs.spans.iter().collect::<Vec<_>>()), bytes(&of(Signal::Logs)));
    assert!(back_spans.spans[..4].iter().zip(of(Signal::Traces)).all(|(a, b)| a.head() == b.head()));
    drop(out);
    assert_eq!((pinned(&budget, &sampler), sampler.held_bytes()), (0, 0));
}

#[test]
fn a_trace_that_waits_does_not_pin_the_request_it_came_in() {
    let (now, mut out, budget) = (Instant::now(), Outcome::default(), Budget::new(1 << 30));
    let text = "{ policies: [], drop_hold: { window: 0s }, extend_while_active: { idle: 0s } }";
    let mut sampler = Sampler::new(compile(text), 1, now).with_budget(budget.clone());
    let seconds = |seconds: f64| now + Duration::from_secs_f64(seconds);
    // Of each request one span waits for a parent that never comes; a hundred others are decided after a second.
    for request in 0..20 {
        let mut spans: Vec<Span> = (1..=100).map(|n| plain(1000 + request * 100 + n, 1, 0)).collect();
        spans.push(plain(request, 2, 1));
        admit(&mut sampler, charged(&budget, spans), now, &mut out);
    }
    let all = pinned(&budget, &sampler);
    assert!(all > 20 * 101 * 450, "{all}");
    sampler.tick(seconds(1.0), &mut out);
    out.clear();
    assert_eq!((sampler.held(), pinned(&budget, &sampler)), (20, all), "the whole of every request is pinned");
    assert_eq!(sampler.next_deadline(), Some(seconds(1.25)));
    sampler.tick(seconds(1.25), &mut out);
    let bytes = sampler.held_bytes() as usize;
    assert!((bytes..bytes + 20 * 32 + 1000).contains(&pinned(&budget, &sampler)), "{} for {bytes}", pinned(&budget, &sampler));
    // They can be looked at again, and nothing is gained by another copy.
    let copied = pinned(&budget, &sampler);
    sampler.tick(seconds(29.0), &mut out);
    assert_eq!((sampler.held(), pinned(&budget, &sampler)), (20, copied));
    sampler.tick(seconds(30.0), &mut out);
    assert_eq!((out.dropped_spans, sampler.held(), pinned(&budget, &sampler)), (20, 0, 0));
}

#[test]
fn a_dropped_trace_is_copied_only_where_most_of_its_request_is_gone() {
    let text = "policies: [{ name: vip, type: boolean_attribute, boolean_attribute: { key: vip, value: true } }]";
    let vip = || Pair { key: "vip".into(), value: Some(AnyValue { value: Some(Value::BoolValue(true)) }), ..Pair::default() };
    for (kept, copied) in [(10, false), (90, true)] {
        let (now, mut out, budget) = (Instant::now(), Outcome::default(), Budget::new(1 << 30));
        let mut sampler = Sampler::new(compile(text), 1, now).with_budget(budget.clone());
        let mut spans: Vec<Span> = (1..=100).map(|n| plain(n, 1, 0)).collect();
        spans.iter_mut().take(kept).for_each(|span| span.attributes.push(vip()));
        let before: Vec<Vec<u8>> = spans.iter().map(|span| span.encode_to_vec()).collect();
        admit(&mut sampler, charged(&budget, spans), now, &mut out);
        let all = pinned(&budget, &sampler);
        for tenths in 10..60 {
            sampler.tick(now + Duration::from_millis(tenths * 100), &mut out);
            out.clear();
        }
        let bytes = sampler.held_bytes() as usize;
        assert_eq!(sampler.held(), 100 - kept as u64);
        match copied {
            true => {
                assert!((bytes..bytes + 10 * 32 + 1000).contains(&pinned(&budget, &sampler)), "{} for {bytes}", pinned(&budget, &sampler))
            }
            false => assert_eq!(pinned(&budget, &sampler), all),
        }
        // What comes back is what went in.
        for n in kept as u64 + 1..=100 {
            let item = charged(&budget, vec![plain(n, 2, 1)]).remove(0);
            let error = SpanFacts { status: StatusCode::Error, ..facts(&item) };
            sampler.admit(&error, item, now + Duration::from_secs(6), &mut out);
            assert_eq!(out.kept[0].spans[0].body(), before[n as usize - 1]);
            out.clear();
        }
        assert_eq!((sampler.held(), pinned(&budget, &sampler)), (0, 0));
    }
}

#[test]
fn a_small_span_does_not_pin_a_large_neighbour_that_has_left() {
    let (now, mut out, budget) = (Instant::now(), Outcome::default(), Budget::new(1 << 30));
    let mut sampler = Sampler::new(compile(NOTHING), 1, now).with_budget(budget.clone());
    let mut large = plain(1, 1, 9);
    large.attributes = vec![pair("prompt", &"x".repeat(1 << 20))];
    large.status = Some(opentelemetry_proto::tonic::trace::v1::Status { code: 2, ..Default::default() });
    admit(&mut sampler, charged(&budget, vec![large, plain(2, 1, 9)]), now, &mut out);
    assert_eq!((out.kept.len(), sampler.held()), (1, 1));
    out.clear();
    assert!(pinned(&budget, &sampler) > 1 << 20);
    sampler.tick(now + Duration::from_secs(2), &mut out);
    assert!(pinned(&budget, &sampler) < 2000, "{}", pinned(&budget, &sampler));
}

#[test]
fn broken_spans_are_held_and_let_go_like_others() {
    // Nothing a sender writes may bring the sampler down: ids of any length, no ids, a tracestate that is none.
    let (now, mut out) = (Instant::now(), Outcome::default());
    let mut sampler: Sampler<Fake> = Sampler::new(compile("{}"), 1, now);
    for n in 0..200u64 {
        let mut fake = span(n % 3, n % 5, n % 7).state(["ot=th:", "=,=,", "ot=rv:00;th:ffffffffffffff", "\u{1F600}"][n as usize % 4]);
        fake.facts.start = [0, u64::MAX, 1 << 63, 5][n as usize % 4];
        fake.facts.end = [u64::MAX, 0, 1, 1 << 62][n as usize % 4];
        fake.facts.cost = crate::units::Usd::from_pico(i128::MAX / (n as i128 + 1));
        fake.facts.input_tokens = u64::MAX;
        fake.attributes[0] = vec![0x4a, 200, 1, 2, (n % 256) as u8];
        sampler.admit(&fake.facts.clone(), fake, now + Duration::from_millis(n * 100), &mut out);
    }
    sampler.shutdown(now, &mut out);
    assert_eq!(out.kept_items() + out.dropped_items(), 200);
    out.kept.iter().for_each(|kept| drop(left(kept)));
}
