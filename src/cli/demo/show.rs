//! What the demo prints: readable at a glance, and without colour in a pipe.

use crate::cli::demo::sink::{Sink, spans_of};
use crate::cli::demo::traffic::Story;
use crate::otlp::span::TraceId;
use crate::pipeline::Addresses;
use crate::sample::{Decision, Decisions};
use crate::telemetry::ledger::Books;
use crate::units::Usd;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use std::collections::BTreeMap;
use std::io::{IsTerminal, stdout};
use std::net::SocketAddr;
use std::time::Instant;

/// Longer values are cut in the middle.
const WIDTH: usize = 96;

pub(super) struct Show {
    colour: bool,
    started: Instant,
}

impl Show {
    pub(super) fn new() -> Show {
        Show { colour: stdout().is_terminal(), started: Instant::now() }
    }

    fn title(&self, text: &str) {
        if self.colour { println!("\n\x1b[1m{text}\x1b[0m") } else { println!("\n{text}") }
    }

    fn mark(&self, text: &str, code: u8) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(super) fn started(&mut self, addresses: Addresses, backend: SocketAddr) {
        self.title("Tollgate is up, with a backend behind it");
        let show = |a: Option<SocketAddr>| a.map_or_else(String::new, |a| a.to_string());
        println!("  OTLP/gRPC {}   OTLP/HTTP {}   backend {backend}", show(addresses.grpc), show(addresses.http));
    }

    pub(super) fn sent(&self, stories: &[Story]) {
        let spans: usize = stories.iter().flat_map(|s| &s.requests).flat_map(spans_of).count();
        println!("  sent {} traces of {spans} spans, half over gRPC, half over HTTP; waiting for the decisions …", stories.len());
    }

    /// One span as it was sent and as the backend got it.
    pub(super) fn before_and_after(&self, stories: &[Story], sink: &Sink) {
        let Some(story) = stories.iter().find(|s| s.title == "private data in a prompt") else { return };
        let (Some(before), Some(after)) =
            (story.requests.iter().flat_map(spans_of).next().cloned(), sink.spans(&story.trace_id).into_iter().next())
        else {
            return println!("\nthe span with private data has not arrived; is the machine very busy?");
        };
        self.title(&format!("One span, before and after: \"{}\"", before.name));
        let old: BTreeMap<&str, String> = before.attributes.iter().map(|a| (a.key.as_str(), value(a))).collect();
        for attribute in &before.attributes {
            let new = after.attributes.iter().find(|a| a.key == attribute.key).map(value).unwrap_or_default();
            let was = value(attribute);
            if new != was {
                println!("  {} {} = {}", self.mark("-", 31), attribute.key, shorten(&was));
                println!("  {} {} = {}", self.mark("~", 33), attribute.key, shorten(&new));
            }
        }
        let unchanged = before.attributes.iter().filter(|a| after.attributes.contains(a)).count();
        println!("    … {unchanged} attributes as they were");
        for attribute in after.attributes.iter().filter(|a| !old.contains_key(a.key.as_str())) {
            println!("  {} {} = {}", self.mark("+", 32), attribute.key, shorten(&value(attribute)));
        }
        self.trace_state(&before, &after);
    }

    fn trace_state(&self, before: &Span, after: &Span) {
        if before.trace_state != after.trace_state {
            println!("  {} tracestate = {}", self.mark("+", 32), after.trace_state);
        }
    }

    pub(super) fn decisions(&self, stories: &[Story], decisions: &Decisions) {
        self.title("Decisions, one per trace, each with its reason");
        let (mut kept_plain, mut dropped_plain) = (0, 0);
        for story in stories {
            let answer = TraceId::new(&story.trace_id).and_then(|id| decisions.find(id, Instant::now()));
            let Some(answer) = answer else {
                println!("  ?     {:38} undecided", story.title);
                continue;
            };
            let keep = answer.decision == Decision::Keep;
            if story.title == "a plain chat" {
                *(if keep { &mut kept_plain } else { &mut dropped_plain }) += 1;
                continue;
            }
            let word = if keep { self.mark("keep", 32) } else { self.mark("drop", 31) };
            println!("  {word}  {:38} {:14} {:12} {}", story.title, answer.policy, answer.reason.as_str(), answer.trigger.as_str());
        }
        println!("  and of {} plain chats {kept_plain} kept by baseline at 10 %, {dropped_plain} dropped", kept_plain + dropped_plain);
    }

    /// Cost and calls by model, from the metrics that were counted before anything was dropped.
    pub(super) fn spend(&self, metrics: &str) {
        self.title("Spend by model, counted before sampling");
        let calls = by_model(metrics, "tollgate_llm_calls_total{");
        let cost = by_model(metrics, "tollgate_llm_cost_usd_total{");
        println!("  {:34} {:>6} {:>14}", "model", "calls", "USD");
        for (model, count) in &calls {
            println!("  {model:34} {count:>6} {:>14}", cost.get(model).map_or_else(|| "-".to_owned(), Usd::to_string));
        }
        let total: Usd = cost.values().copied().sum();
        println!("  {:34} {:>6} {:>14}", "", calls.values().copied().sum::<Usd>(), total);
    }

    pub(super) fn books(&self, books: &Books, unaccounted: i64) {
        let held: u64 = books.held.iter().sum();
        println!(
            "\n  {} spans accepted = {} forwarded + {} dropped + {held} in the drop hold (a late error would bring their trace back); {unaccounted} unaccounted",
            books.accepted, books.forwarded, books.dropped
        );
    }

    pub(super) fn next_steps(&self) {
        println!("  done in {:.1} s", self.started.elapsed().as_secs_f64());
        self.title("Your own application");
        println!("  tollgate demo --serve             keeps this stage up on 4317 and 4318, and its metrics on 8888");
        println!("  tollgate run --config FILE        the stage with your config; config.example.yaml has every key");
        println!("  export OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318");
        println!("                                    and start an application that is instrumented with OpenTelemetry");
    }

    pub(super) fn serving(&self, addresses: Addresses) {
        self.title("The stage stays up; stop it with Ctrl-C");
        if let Some(http) = addresses.http {
            println!("  export OTEL_EXPORTER_OTLP_ENDPOINT=http://{http}");
        }
        println!("  curl http://{}/metrics", addresses.admin);
        println!("  curl http://{}/api/status", addresses.admin);
    }
}

fn value(attribute: &KeyValue) -> String {
    match attribute.value.as_ref().and_then(|v| v.value.as_ref()) {
        Some(Value::StringValue(text)) => format!("\"{text}\""),
        Some(Value::IntValue(n)) => n.to_string(),
        Some(Value::DoubleValue(d)) => d.to_string(),
        Some(Value::BoolValue(b)) => b.to_string(),
        Some(Value::ArrayValue(array)) => {
            let texts = array.values.iter().filter_map(|v| match &v.value {
                Some(Value::StringValue(text)) => Some(format!("\"{text}\"")),
                _ => None,
            });
            format!("[{}]", texts.collect::<Vec<_>>().join(", "))
        }
        _ => "…".to_owned(),
    }
}

/// Cut in the middle of what both ends of a message array have in common with every other.
fn shorten(text: &str) -> String {
    let text = text.replace(r#"[{"role":"user","parts":[{"type":"text","content":"#, "… ").replace(r#"}]}]"#, " …");
    if text.chars().count() <= WIDTH {
        return text;
    }
    let (head, tail): (String, String) =
        (text.chars().take(WIDTH - 24).collect(), text.chars().skip(text.chars().count().saturating_sub(20)).collect());
    format!("{head} … {tail}")
}

/// The values of a counter summed by its `model` label.
fn by_model(metrics: &str, name: &str) -> BTreeMap<String, Usd> {
    let mut out = BTreeMap::new();
    for line in metrics.lines().filter_map(|line| line.strip_prefix(name)) {
        let model = line.split("model=\"").nth(1).and_then(|rest| rest.split('"').next());
        let value = line.rsplit(' ').next().and_then(|number| number.parse::<Usd>().ok());
        if let (Some(model), Some(value)) = (model, value) {
            *out.entry(model.to_owned()).or_insert(Usd::ZERO) += value;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_add_up_by_model() {
        let text =
            "# TYPE x counter\nx{service=\"a\",model=\"m\"} 0.25\nx{service=\"b\",model=\"m\"} 1\nx{model=\"n\"} 2\nxy{model=\"n\"} 9\n";
        let sums = by_model(text, "x{");
        assert_eq!(sums.get("m").unwrap().to_string(), "1.25");
        assert_eq!(sums.get("n").unwrap().to_string(), "2");
    }
}
