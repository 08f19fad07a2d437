//! What stands behind a span when it leaves.

use super::*;

#[test]
fn what_stands_on_a_span_is_neither_overwritten_nor_repeated() {
    let mut span = chat(1, 0);
    span.attributes.extend([
        s("tollgate.usage.role", "mine"),
        attribute("gen_ai.usage.cost", Value::DoubleValue(0.5)),
        s("gen_ai.response.model", ""),
        s("tollgate.cost.price_id", ""),
    ]);
    let added = added(&EnrichConfig::default(), span);
    for key in ["tollgate.usage.role", "gen_ai.usage.cost", "gen_ai.response.model", "gen_ai.provider.name", "tollgate.cost.price_id"] {
        assert!(!added.contains_key(key), "{key}");
    }
    assert_eq!(added["tollgate.cost.total_usd"], Value::DoubleValue(0.5), "the cost that came with the span counts");
    assert_eq!(added["tollgate.cost.source_key"], Value::StringValue("gen_ai.usage.cost".into()));
    assert!(!added.contains_key("tollgate.cost.input_usd"));
}

#[test]
fn what_a_stage_before_computed_is_taken_as_it_is() {
    let mut span = chat(1, 0);
    span.attributes.extend([
        attribute("gen_ai.usage.cost", Value::DoubleValue(0.5)),
        attribute("tollgate.cost.total_usd", Value::DoubleValue(0.5)),
        s("tollgate.cost.source", "computed"),
        s("tollgate.cost.price_id", "bundled/x"),
    ]);
    let added = added(&EnrichConfig::default(), span);
    assert!(added.keys().all(|key| !key.starts_with("tollgate.cost.")), "{added:?}");
}

#[test]
fn the_cost_that_a_stage_before_wrote_stands_alone() {
    let first = added(&EnrichConfig::default(), chat(1, 0));
    let mut again = chat(1, 0);
    again.attributes.extend(first.into_iter().map(|(key, value)| attribute(&key, value)));
    let second = added(&EnrichConfig::default(), again);
    assert!(second.is_empty(), "{second:?}");
    // Even where that stage left most of it out.
    let mut bare = chat(1, 0);
    bare.attributes.push(s("tollgate.cost.source", "computed"));
    let second = added(&EnrichConfig::default(), bare);
    assert!(!second.keys().any(|key| key.contains("cost")), "{second:?}");
    assert!(second.contains_key("tollgate.usage.role"));
}

#[test]
fn switched_off_spans_pass_untouched_and_still_have_ids_times_and_status() {
    let mut stage = Stage::new(&EnrichConfig { enabled: false, ..EnrichConfig::default() });
    let items = stage.apply(vec![("", vec![chat(1, 0), error(chat(2, 0), "no")])]);
    assert!(stage.leave(&items).iter().all(Vec::is_empty));
    let facts = items[0].1;
    assert_eq!((facts.trace_id, facts.start, facts.cost, facts.llm_call), (span::TraceId::new(&[7; 16]), START, Usd::ZERO, false));
    assert!(facts.error.is_none() && items[1].1.error.is_some());
}

#[test]
fn names_and_counts_are_added_unless_switched_off() {
    let old = || {
        span(
            1,
            0,
            vec![
                s("llm.vendor", "OpenAI"),
                s("llm.request.model", "gpt-4o"),
                s("llm.request.type", "chat"),
                i("llm.usage.prompt_tokens", 100),
                i("llm.usage.completion_tokens", 10),
                i("llm.usage.cache_read_input_tokens", 40),
            ],
        )
    };
    let on = added(&EnrichConfig::default(), old());
    assert_eq!(on["gen_ai.provider.name"], Value::StringValue("openai".into()));
    assert_eq!(on["gen_ai.operation.name"], Value::StringValue("chat".into()));
    assert_eq!(on["gen_ai.usage.input_tokens"], Value::IntValue(100));
    assert_eq!(on["gen_ai.usage.cache_read.input_tokens"], Value::IntValue(40));
    let normalize = Normalize { tokens: Tokens::Off, names: Fill::Off, ..Normalize::default() };
    let off = added(&EnrichConfig { normalize, ..EnrichConfig::default() }, old());
    assert!(!off.keys().any(|key| key.starts_with("gen_ai.") && key != "gen_ai.usage.cost"), "{off:?}");
    // Beside counts of another vocabulary these would be a second answer.
    let openinference =
        span(1, 0, vec![s("openinference.span.kind", "LLM"), s("llm.model_name", "gpt-4o"), i("llm.token_count.prompt", 9)]);
    let on = added(&EnrichConfig::default(), openinference);
    assert!(!on.contains_key("gen_ai.usage.input_tokens") && on.contains_key("llm.cost.total"), "{on:?}");
}

#[test]
fn a_profile_adds_what_its_backend_reads_and_no_more() {
    let config = EnrichConfig { profiles: vec![Profile::Langfuse].try_into().unwrap(), ..EnrichConfig::default() };
    let text = |added: &BTreeMap<String, Value>, key: &str| match added.get(key) {
        Some(Value::StringValue(text)) => text.clone(),
        other => panic!("{key}: {other:?}"),
    };
    let written = added(&config, chat(1, 0));
    assert_eq!(text(&written, "langfuse.observation.cost_details"), r#"{"input":0.00184,"output":0.00181,"total":0.00365}"#);
    assert_eq!(text(&written, "langfuse.observation.usage_details"), r#"{"input":1840,"output":362,"total":2202}"#);
    let failed = added(&config, error(chat(1, 0), "Error code: 429 - Rate limit reached"));
    assert_eq!(text(&failed, "langfuse.observation.level"), "ERROR");
    assert!(!added(&EnrichConfig::default(), chat(1, 0)).keys().any(|key| key.starts_with("langfuse.")));
    for profile in [Profile::Phoenix, Profile::Mlflow, Profile::Logfire, Profile::Langsmith, Profile::FlatC, Profile::SemconvDraft] {
        let config = EnrichConfig { profiles: vec![profile].try_into().unwrap(), ..EnrichConfig::default() };
        let more = added(&config, chat(1, 0)).len();
        assert!(more > added(&EnrichConfig::default(), chat(1, 0)).len(), "{profile:?}");
    }
}

#[test]
fn log_records_pass_with_their_trace_id_and_nothing_added() {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    let record = LogRecord { trace_id: vec![3; 16], attributes: vec![i("gen_ai.usage.input_tokens", 9)], ..LogRecord::default() };
    let scope_logs = vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }];
    let request = ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] };
    let opened = crate::receive::open(Signal::Logs, request.encode_to_vec().into(), None, Instant::now()).unwrap();
    let mut stage = Stage::new(&EnrichConfig::default());
    let items = stage.enrich.apply(opened.whole(), Instant::now(), &mut ()).into_items().into_iter().collect::<Vec<_>>();
    assert!(items[0].0.extra().is_empty());
    assert_eq!((items[0].1.trace_id, items[0].1.input_tokens), (span::TraceId::new(&[3; 16]), 0));
}
