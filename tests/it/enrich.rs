//! Enrichment against recorded requests of real instrumentations, and the key that says what the providers answered.

use crate::corpus;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;
use tollgate::enrich::price::{Call, Outcome, PriceTable, Usage as PriceUsage};
use tollgate::enrich::usage::Usage;
use tollgate::enrich::{CostSource, Enrich, EnrichConfig, LlmFacts, Observer, Shared, SpanFacts};
use tollgate::otlp::json;
use tollgate::otlp::signal::Signal;
use tollgate::telemetry::Telemetry;

/// What was found out about one span, kept past its batch.
#[derive(Clone, Debug, Default)]
struct Seen {
    kind: &'static str,
    role: Option<&'static str>,
    usage: Option<Usage>,
    cost: Option<String>,
    finish: Option<&'static str>,
    truncated: Option<bool>,
    error: Option<&'static str>,
    computed: bool,
    start: u64,
}

#[derive(Default)]
struct Notes {
    calls: HashMap<(String, String), Seen>,
    spans: Vec<SpanFacts>,
}

impl Observer for Notes {
    fn span(&mut self, facts: &SpanFacts, llm: Option<&LlmFacts<'_>>) {
        self.spans.push(*facts);
        let (Some(trace), Some(span), Some(llm)) = (facts.trace_id, facts.span_id, llm) else { return };
        let seen = Seen {
            kind: llm.kind.as_str(),
            role: llm.role.map(|r| r.as_str()),
            usage: llm.usage,
            cost: llm.cost.map(|c| c.total.to_string()),
            finish: llm.finish.map(|f| f.as_str()),
            truncated: llm.truncated,
            error: llm.error.map(|e| e.reason.as_str()),
            computed: llm.cost.is_some_and(|c| matches!(c.source, CostSource::Computed { .. })),
            start: facts.start,
        };
        self.calls.insert((trace.to_string(), span.to_string()), seen);
    }
}

/// Every recorded request of traces, by instrumentation, in order of arrival.
fn requests() -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut arrivals = HashMap::new();
    for folder in std::fs::read_dir(corpus::folder()).expect("the fixtures are there").map(|e| e.expect("an entry").path()) {
        let Ok(text) = std::fs::read_to_string(folder.join("transport.jsonl")) else { continue };
        let folder = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).expect("a line of JSON");
            arrivals.insert(format!("{folder}/{}", line["file"].as_str().unwrap_or_default()), line["received_unix_nano"].to_string());
        }
    }
    let mut all: Vec<_> = corpus::all().into_iter().filter(|r| r.signal == Signal::Traces).collect();
    all.sort_by_key(|r| arrivals.get(&r.file).cloned());
    let mut out: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for recorded in all {
        let body = if recorded.json { json::to_protobuf(Signal::Traces, &recorded.body).expect("recorded JSON") } else { recorded.body };
        let (instrumentation, _) = recorded.file.split_once('/').unwrap_or_default();
        out.entry(instrumentation.to_owned()).or_default().push(body);
    }
    out
}

fn enrich(telemetry: &Telemetry) -> Enrich {
    Enrich::new(&EnrichConfig::default(), PriceTable::bundled(), telemetry, &Shared::default(), Arc::new(|name| Cow::Borrowed(name)))
}

fn replay() -> Notes {
    let mut notes = Notes::default();
    for requests in requests().into_values() {
        let telemetry = Telemetry::new(1 << 30);
        let mut enrich = enrich(&telemetry);
        for body in requests {
            let opened = tollgate::receive::open(Signal::Traces, body.into(), None, Instant::now()).expect("a recorded request is valid");
            enrich.apply(opened.whole(), Instant::now(), &mut notes);
        }
    }
    notes
}

/// One line of the key.
struct Row {
    id: (String, String),
    role: String,
    call: Option<String>,
    usage: Option<(u64, u64)>,
    has_usage: bool,
    truncated: bool,
    failed: bool,
    status: u64,
    provider: Option<String>,
    models: [Option<String>; 2],
    counts: PriceUsage,
}

/// What the provider counted, in the names of the price table.
fn counts(usage: &Value) -> PriceUsage {
    let mut counts = PriceUsage::UNKNOWN;
    let names = ["cache_read", "cache_write", "cache_write_5m", "cache_write_1h", "reasoning", "output"];
    for (name, from) in names.into_iter().map(|name| (name, name)).chain([("input", "input_total")]) {
        // A lifetime of zero tokens is as good as none.
        let count = usage[from].as_u64().filter(|n| *n > 0 || matches!(name, "input" | "output"));
        assert!(counts.set_named(name, count), "{name}");
    }
    counts
}

fn rows() -> Vec<Row> {
    let text = std::fs::read_to_string(corpus::folder().join("expected.jsonl")).expect("the key is there");
    text.lines()
        .map(|line| {
            let row: Value = serde_json::from_str(line).expect("a line of JSON");
            let text = |key: &str| row[key].as_str().map(str::to_owned);
            let usage = &row["usage"];
            let keys = row["usage_keys_on_span"].as_array().is_some_and(|keys| !keys.is_empty());
            Row {
                id: (text("trace_id").unwrap_or_default(), text("span_id").unwrap_or_default()),
                role: text("role").unwrap_or_default(),
                call: text("call_id"),
                usage: usage["input_total"].as_u64().zip(usage["output"].as_u64()),
                has_usage: keys && (usage.is_object() || row["role"] == "aggregate"),
                truncated: row["truncated"] == true,
                failed: row["outcome"].as_str().is_some_and(|outcome| outcome != "ok"),
                status: row["span_status"].as_u64().unwrap_or(0),
                provider: text("provider"),
                models: [text("response_model"), text("request_model")],
                counts: counts(usage),
            }
        })
        .collect()
}

#[test]
fn every_recorded_call_is_counted_once_and_says_what_the_provider_said() {
    let notes = replay();
    let (mut owners, mut wrong, mut usages, mut cut) = (HashMap::<String, usize>::new(), Vec::new(), 0, 0);
    let (table, mut priced, mut dear) = (PriceTable::bundled(), 0, 0);
    for row in rows() {
        let seen = notes.calls.get(&row.id).unwrap_or_else(|| panic!("nothing is known about {:?}", row.id));
        let call = row.role != "aggregate";
        assert_eq!(matches!(seen.kind, "llm" | "embedding"), call, "{:?} is a {}", row.id, seen.kind);
        if !call {
            assert!(!row.has_usage || seen.role == Some("aggregate"), "{:?} is {:?}", row.id, seen.role);
            assert_eq!(seen.cost, None);
            continue;
        }
        if row.has_usage
            && let Some(name) = row.call
        {
            *owners.entry(name).or_default() += usize::from(seen.role == Some("owner"));
        }
        if let (true, Some((input, output)), Some(usage)) = (row.has_usage, row.usage, seen.usage) {
            usages += 1;
            let right = (usage.input_total(), usage.output) == (input, output);
            if right && seen.role == Some("owner") && seen.computed {
                let [model, request_model] = row.models.each_ref().map(Option::as_deref);
                let call = Call {
                    provider: row.provider.as_deref(),
                    model,
                    request_model,
                    start_time: seen.start,
                    usage: row.counts,
                    ..Call::default()
                };
                let Outcome::Priced(price) = table.price(&call) else { panic!("{:?} has no price", row.id) };
                priced += 1;
                dear += usize::from(seen.cost != Some(price.total.to_string()));
            }
            if (usage.input_total(), usage.output) != (input, output) {
                wrong.push(row.id.clone());
            }
        }
        assert!(!row.failed || row.status != 2 || seen.error.is_some(), "{:?} failed", row.id);
        assert!(row.failed || seen.error.is_none() || row.status == 2, "{:?} did not fail: {:?}", row.id, seen.error);
        assert!(row.truncated || seen.truncated != Some(true) || row.failed || seen.finish.is_none(), "{:?} was not cut off", row.id);
        cut += usize::from(row.truncated && seen.truncated == Some(true));
    }
    let many: Vec<_> = owners.iter().filter(|(_, owners)| **owners != 1).collect();
    assert!(owners.len() > 500 && many.is_empty(), "of {} calls these have no owner, or several: {many:?}", owners.len());
    // Some spans carry other numbers than the provider gave: streams that broke off, cache tokens the library left out.
    assert!(usages > 500 && wrong.len() * 20 < usages, "{} of {usages} differ: {wrong:?}", wrong.len());
    // Where a library leaves cache tokens out, nobody can know the price.
    assert!(priced > 400 && dear * 20 < priced, "{dear} of {priced} costs differ");
    assert!(cut > 60, "{cut} answers were found to be cut off");
}

#[test]
fn the_table_of_differences_is_whole_and_true() {
    let notes = replay();
    let text = std::fs::read_to_string(corpus::folder().join("expected.jsonl")).expect("the key is there");
    let (mut differ, mut judged) = (Vec::new(), 0);
    for line in text.lines() {
        let row: Value = serde_json::from_str(line).expect("a line of JSON");
        let word = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let carried = row["usage_keys_on_span"].as_array().is_some_and(|keys| !keys.is_empty());
        if row["role"] == "aggregate" || !carried || !row["usage"].is_object() {
            continue;
        }
        judged += 1;
        let usage = notes.calls.get(&(word("trace_id"), word("span_id"))).and_then(|seen| seen.usage).unwrap_or_default();
        for (name, read) in [
            ("input_total", usage.input_total()),
            ("output", usage.output),
            ("cache_read", usage.cache_read),
            ("cache_write", usage.cache_write()),
            ("cache_write_1h", usage.cache_write_1h),
            ("reasoning", usage.reasoning.unwrap_or(0)),
        ] {
            let said = row["usage"][name].as_u64().unwrap_or(0);
            if read != said {
                differ.push(format!("| {} | {} | {name} {read} | {said} |", word("instrumentation"), word("scenario")));
            }
        }
    }
    let table = std::fs::read_to_string(corpus::folder().join("DIFFERENCES.md")).expect("the table is there");
    let named: Vec<&str> = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| instrumentation")).collect();
    let untold: Vec<_> = differ.iter().filter(|row| !named.iter().any(|line| line.starts_with(row.as_str()))).collect();
    let gone: Vec<_> = named.iter().filter(|line| !differ.iter().any(|row| line.starts_with(row.as_str()))).collect();
    assert!(untold.is_empty() && gone.is_empty(), "not in the table: {untold:#?}; no longer so: {gone:#?}");
    assert!(judged == 533 && named.len() * 20 < judged, "{} of {judged}", named.len());
}

#[test]
fn what_leaves_is_what_came_and_documented_attributes_behind_it() {
    for requests in requests().into_values() {
        let telemetry = Telemetry::new(1 << 30);
        let mut enrich = enrich(&telemetry);
        for body in requests {
            let opened = tollgate::receive::open(Signal::Traces, body.into(), None, Instant::now()).expect("a recorded request is valid");
            for (item, _) in enrich.apply(opened.whole(), Instant::now(), &mut ()).items() {
                let before = Span::decode(item.body()).expect("a recorded span");
                let after = Span::decode([item.body(), item.extra()].concat().as_slice()).expect("an enriched span");
                // Compared as bytes: NaN, which is in the corpus, is not equal to itself.
                let bytes = |attributes: &[KeyValue]| Span { attributes: attributes.to_vec(), ..Span::default() }.encode_to_vec();
                let (old, new) = after.attributes.split_at(before.attributes.len());
                assert_eq!(bytes(old), bytes(&before.attributes));
                for (i, added) in new.iter().enumerate() {
                    let key = added.key.as_str();
                    let ours =
                        key.starts_with("tollgate.") || key.starts_with("gen_ai.") || key == "error.type" || key.starts_with("llm.cost.");
                    assert!(ours, "{key}");
                    assert!(!old.iter().chain(&new[..i]).any(|other| other.key == key), "{key} stands twice");
                }
                let rest = |span: Span| Span { attributes: Vec::new(), ..span }.encode_to_vec();
                assert_eq!(rest(after), rest(before));
            }
        }
    }
}

#[test]
fn a_trace_with_a_failure_or_a_cut_answer_is_known_by_its_spans() {
    let notes = replay();
    let mut kept = HashMap::<String, bool>::new();
    for facts in &notes.spans {
        let Some(trace) = facts.trace_id else { continue };
        *kept.entry(trace.to_string()).or_default() |= facts.error.is_some() || facts.truncated;
    }
    let text = std::fs::read_to_string(corpus::folder().join("traces.jsonl")).expect("the key is there");
    for line in text.lines() {
        let trace: Value = serde_json::from_str(line).expect("a line of JSON");
        if trace["error_spans"].as_u64().is_some_and(|n| n > 0) {
            assert_eq!(kept.get(trace["trace_id"].as_str().unwrap_or_default()), Some(&true), "{trace}");
        }
    }
}
