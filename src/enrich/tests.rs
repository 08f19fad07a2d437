//! The whole of enrichment, on spans built here.

// The test of the map stops reading here: what follows may look at the clock.
#[cfg(test)]
use super::*;
use crate::enrich::config::{Fill, Normalize, Profile, Tokens};
use crate::units::Usd;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::prelude::*;
use prost::Message;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// 2026-11-12T09:30:00Z, when every model of the examples was on sale.
const START: u64 = 1_794_475_800_000_000_000;

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn s(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

fn i(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn span(id: u8, parent: u8, attributes: Vec<KeyValue>) -> Span {
    Span {
        trace_id: vec![7; 16],
        span_id: vec![id; 8],
        parent_span_id: if parent == 0 { Vec::new() } else { vec![parent; 8] },
        name: "a span".into(),
        kind: 1,
        start_time_unix_nano: START,
        end_time_unix_nano: START + 2_000_000_000 - u64::from(id),
        attributes,
        ..Span::default()
    }
}

fn chat(id: u8, parent: u8) -> Span {
    span(
        id,
        parent,
        vec![
            s("gen_ai.operation.name", "chat"),
            s("gen_ai.provider.name", "anthropic"),
            s("gen_ai.request.model", "claude-haiku-4-5"),
            i("gen_ai.usage.input_tokens", 1840),
            i("gen_ai.usage.output_tokens", 362),
        ],
    )
}

fn error(mut span: Span, message: &str) -> Span {
    span.status = Some(Status { code: 2, message: message.into() });
    span
}

/// What an observer saw of one span, owned.
#[derive(Clone, Debug, Default, PartialEq)]
struct Saw {
    kind: &'static str,
    role: Option<&'static str>,
    counted: bool,
    cost: Option<String>,
    skip: Option<&'static str>,
    truncated: Option<bool>,
    finish: Option<&'static str>,
    error: Option<String>,
    input: u64,
    user: Option<String>,
}

#[derive(Default)]
struct Log(Vec<(SpanFacts, Saw)>);

impl Observer for Log {
    fn span(&mut self, facts: &SpanFacts, llm: Option<&LlmFacts<'_>>) {
        let saw = llm.map_or(Saw { kind: "none", ..Saw::default() }, |llm| Saw {
            kind: llm.kind.as_str(),
            role: llm.role.map(Role::as_str),
            counted: llm.counted,
            cost: llm.cost.map(|c| c.total.to_string()),
            skip: llm.skip_reason.map(Skip::as_str),
            truncated: llm.truncated,
            finish: llm.finish.map(|f| f.as_str()),
            error: llm.error.map(|e| format!("{}/{}", e.class.as_str(), e.reason.as_str())),
            input: llm.usage.map_or(0, |u| u.input_total()),
            user: llm.user.map(str::to_owned),
        });
        self.0.push((*facts, saw));
    }
}

struct Stage {
    telemetry: Telemetry,
    enrich: Enrich,
    log: Log,
}

impl Stage {
    fn new(config: &EnrichConfig) -> Stage {
        let telemetry = Telemetry::new(1 << 30);
        let filter: LabelFilter = Arc::new(|name| Cow::Borrowed(name));
        let enrich = Enrich::new(config, PriceTable::bundled(), &telemetry, &Shared::default(), filter);
        Stage { telemetry, enrich, log: Log::default() }
    }

    /// One request; each list of spans under a scope of its own.
    fn apply(&mut self, scopes: Vec<(&str, Vec<Span>)>) -> Vec<(Item, SpanFacts)> {
        let scope = |name: &str| Some(InstrumentationScope { name: name.into(), ..InstrumentationScope::default() });
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(Resource { attributes: vec![s("service.name", "shop")], ..Resource::default() }),
                scope_spans: scopes
                    .into_iter()
                    .map(|(name, spans)| ScopeSpans { scope: scope(name), spans, ..ScopeSpans::default() })
                    .collect(),
                ..ResourceSpans::default()
            }],
        };
        let opened = crate::receive::open(Signal::Traces, request.encode_to_vec().into(), None, Instant::now()).unwrap();
        self.enrich.apply(opened.whole(), Instant::now(), &mut self.log).into_items().into_iter().collect()
    }
}

fn look_with(config: &EnrichConfig, scope: &str, spans: Vec<Span>) -> Vec<Saw> {
    let mut stage = Stage::new(config);
    stage.apply(vec![(scope, spans)]);
    stage.log.0.into_iter().map(|(_, saw)| saw).collect()
}

fn look(scope: &str, spans: Vec<Span>) -> Vec<Saw> {
    look_with(&EnrichConfig::default(), scope, spans)
}

fn kind(attributes: Vec<KeyValue>) -> &'static str {
    look("", vec![span(1, 0, attributes)])[0].kind
}

/// The attributes that were added to one span.
fn added(config: &EnrichConfig, span: Span) -> BTreeMap<String, Value> {
    let mut stage = Stage::new(config);
    let items = stage.apply(vec![("", vec![span])]);
    let item = &items[0].0;
    Span::decode(item.extra()).unwrap().attributes.into_iter().map(|a| (a.key, a.value.unwrap().value.unwrap())).collect()
}

#[test]
fn the_first_decisive_word_says_what_a_span_is() {
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("langfuse.observation.type", "generation"), ("openinference.span.kind", "TOOL")], "llm"),
        (&[("langfuse.observation.type", "span"), ("openinference.span.kind", "RERANKER")], "rerank"),
        (&[("openinference.span.kind", "UNKNOWN"), ("gen_ai.operation.name", "embeddings")], "embedding"),
        (&[("langsmith.span.kind", "retriever"), ("gen_ai.operation.name", "embeddings")], "retrieval"),
        (&[("mlflow.spanType", "\"CHAT_MODEL\"")], "llm"),
        (&[("mlflow.spanType", "\"\\\"PARSER\\\"\"")], "chain"),
        (&[("ai.operationId", "ai.streamText"), ("gen_ai.operation.name", "chat")], "agent"),
        (&[("ai.operationId", "ai.streamText.doStream")], "llm"),
        (&[("operation.name", "ai.embedMany.doEmbed my-function")], "embedding"),
        (&[("operation.name", "GET /")], "none"),
        (&[("gen_ai.operation.name", "Generate_Content")], "llm"),
        (&[("gen_ai.operation.name", "fetch_response")], "raw"),
        (&[("gen_ai.operation.name", "something_new"), ("gen_ai.span.kind", "STEP")], "chain"),
        (&[("traceloop.span.kind", "workflow")], "chain"),
        (&[("llm.request.type", "rerank")], "rerank"),
        (&[("llm.request.type", "unknown")], "none"),
        (&[("lmnr.span.type", "LLM")], "llm"),
        (&[("lmnr.span.type", "DEFAULT")], "none"),
        (&[("genkit:metadata:subtype", "background-model")], "llm"),
        (&[("spring.ai.kind", "vector_store")], "retrieval"),
        (&[("span.type", "claude_code.llm_request")], "llm"),
        (&[("span.type", "llm_request")], "none"),
        (&[("gen_ai.tool.call.id", "c1")], "tool"),
        (&[("tool.name", "search")], "tool"),
        (&[("agent.step_number", "3")], "agent"),
        (&[("agent.step_number", "3"), ("llm.model", "m"), ("llm.latency_ms", "3")], "llm"),
        (&[("llm.model", "m")], "none"),
        (&[("llm.model", "m"), ("llm.stop_reason", "end_turn")], "llm"),
        (&[("gen_ai.request.model", "text-embedding-3-small"), ("gen_ai.usage.input_tokens", "5")], "embedding"),
        (
            &[
                ("gen_ai.request.model", "text-embedding-3-small"),
                ("gen_ai.usage.prompt_tokens", "8"),
                ("gen_ai.usage.completion_tokens", "0"),
            ],
            "embedding",
        ),
        (&[("gen_ai.request.model", "embed-chat"), ("gen_ai.usage.input_tokens", "5"), ("gen_ai.usage.output_tokens", "1")], "llm"),
        (&[("gen_ai.request.model", "gpt-4o"), ("gen_ai.usage.input_tokens", "5")], "llm"),
        (&[("gen_ai.request.model", "gpt-4o"), ("gen_ai.usage.output_tokens", "0")], "llm"),
        (&[("llm.model", "m"), ("upstream.latency_ms", "5")], "llm"),
        (&[("upstream.latency_ms", "5")], "none"),
        (&[("http.request.method", "GET"), ("user.id", "u"), ("session.id", "s")], "none"),
        (&[], "none"),
    ];
    for (attributes, wanted) in cases {
        let attributes: Vec<_> = attributes.iter().map(|(key, value)| s(key, value)).collect();
        assert_eq!(kind(attributes.clone()), *wanted, "{attributes:?}");
    }
}

#[test]
fn a_name_and_a_library_are_enough_where_nothing_else_is_said() {
    let named = |scope: &str, name: &str, kind: i32| look(scope, vec![Span { name: name.into(), kind, ..span(1, 0, vec![]) }])[0].kind;
    assert_eq!(named("openlit.otel.tracing", "chat gpt-4o", 3), "llm");
    assert_eq!(named("gcp.vertex.agent", "call_llm", 1), "llm");
    assert_eq!(named("litellm", "raw_gen_ai_request", 1), "raw");
    assert_eq!(named("openlit.otel.tracing", "chat gpt-4o", 1), "none");
    assert_eq!(named("opentelemetry.instrumentation.requests", "chat gpt-4o", 3), "none");
    assert_eq!(named("openlit.otel.tracing", "GET /chat", 3), "none");
}

#[test]
fn a_proxys_own_server_span_is_no_call() {
    let copied = || vec![s("gen_ai.request.model", "m"), i("gen_ai.usage.input_tokens", 3), s("http.route", "/chat")];
    assert_eq!(look("", vec![Span { kind: 2, ..span(1, 0, copied()) }])[0].kind, "none");
    assert_eq!(look("", vec![Span { kind: 3, ..span(1, 0, copied()) }])[0].kind, "llm");
}

#[test]
fn a_call_is_priced_at_its_own_start_and_says_why() {
    let added = added(&EnrichConfig::default(), chat(1, 0));
    assert_eq!(added["tollgate.cost.total_usd"], Value::DoubleValue(0.00365));
    assert_eq!(added["gen_ai.usage.cost"], Value::DoubleValue(0.00365));
    assert_eq!(added["tollgate.cost.source"], Value::StringValue("computed".into()));
    assert_eq!(added["tollgate.usage.role"], Value::StringValue("owner".into()));
    assert!(matches!(&added["tollgate.cost.price_id"], Value::StringValue(id) if id.contains("claude-haiku-4-5")));
    assert!(!added.contains_key("tollgate.truncated") && !added.contains_key("tollgate.error.class"));
}

#[test]
fn the_inner_call_counts_whatever_order_a_request_lists_them_in() {
    let mut stage = Stage::new(&EnrichConfig::default());
    // The framework's scope stands first, though its span ended last.
    stage.apply(vec![
        ("openinference.instrumentation.langchain", vec![chat(1, 0)]),
        ("opentelemetry.instrumentation.openai_v2", vec![chat(2, 1)]),
    ]);
    let roles: Vec<_> = stage.log.0.iter().map(|(_, saw)| (saw.role, saw.cost.is_some(), saw.skip)).collect();
    assert_eq!(roles, [(Some("duplicate"), false, Some("duplicate")), (Some("owner"), true, None)]);
    let total: Usd = stage.log.0.iter().map(|(facts, _)| facts.cost).sum();
    assert_eq!(total.to_string(), "0.00365");
}

#[test]
fn sums_on_wrappers_are_never_counted() {
    let vercel = |id, parent, operation: &str| {
        span(
            id,
            parent,
            vec![
                s("ai.operationId", operation),
                s("ai.model.id", "gpt-4o-mini"),
                s("ai.model.provider", "openai.chat"),
                i("ai.usage.promptTokens", 10),
                i("ai.usage.completionTokens", 5),
            ],
        )
    };
    let saw = look("ai", vec![vercel(2, 1, "ai.generateText.doGenerate"), vercel(1, 0, "ai.generateText")]);
    assert_eq!((saw[0].role, saw[1].role), (Some("owner"), Some("aggregate")));
    assert_eq!((saw[0].cost.as_deref(), saw[1].cost.as_deref()), (Some("0.0000045"), None));
    let agent = span(
        1,
        0,
        vec![s("gen_ai.operation.name", "invoke_agent"), i("gen_ai.usage.input_tokens", 9), s("gen_ai.request.model", "gpt-4o")],
    );
    assert_eq!(look("pydantic-ai", vec![chat(2, 1), agent.clone()])[1].role, Some("aggregate"));
    // A hosted agent, whose calls nobody sees.
    assert_eq!(look("", vec![Span { kind: 3, ..agent.clone() }])[0].role, Some("owner"));
    assert_eq!(look("", vec![chat(2, 1), Span { kind: 3, ..agent.clone() }])[1].role, Some("aggregate"));
    let orphans = EnrichConfig { price_orphan_aggregates: true, ..EnrichConfig::default() };
    assert_eq!(look_with(&orphans, "", vec![agent])[0].role, Some("owner"));
}

#[test]
fn where_one_inner_call_keeps_its_usage_to_itself_the_outer_one_counts() {
    let silent = |id, parent| span(id, parent, vec![s("gen_ai.operation.name", "chat"), s("gen_ai.request.model", "gpt-4o")]);
    let roles = |spans: Vec<Span>| look("", spans).into_iter().map(|saw| saw.role).collect::<Vec<_>>();
    assert_eq!(roles(vec![chat(3, 1), silent(2, 1), chat(1, 0)]), [Some("duplicate"), None, Some("owner")]);
    assert_eq!(roles(vec![chat(1, 0), chat(3, 1), silent(2, 1)]), [Some("owner"), Some("duplicate"), None]);
    // A call that failed used nothing, so nothing is missing.
    assert_eq!(roles(vec![chat(3, 1), error(silent(2, 1), "no"), chat(1, 0)]), [Some("owner"), None, Some("duplicate")]);
    // A container around both is no call.
    let agent = span(1, 0, vec![s("gen_ai.operation.name", "invoke_agent"), i("gen_ai.usage.input_tokens", 9)]);
    assert_eq!(roles(vec![chat(3, 1), silent(2, 1), agent]), [Some("owner"), None, Some("aggregate")]);
}

#[test]
fn two_spans_of_one_answer_are_one_call_and_a_resent_span_is_not_counted_again() {
    let with_id = |id, trace: u8| {
        let mut span = chat(id, 0);
        span.trace_id = vec![trace; 16];
        span.attributes.push(s("gen_ai.response.id", "msg_1"));
        span
    };
    let mut stage = Stage::new(&EnrichConfig::default());
    stage.apply(vec![("com.anthropic.sdk.python", vec![with_id(9, 1)])]);
    stage.apply(vec![("opentelemetry.instrumentation.anthropic", vec![with_id(5, 2)])]);
    stage.apply(vec![("com.anthropic.sdk.python", vec![with_id(9, 1)])]);
    let saw: Vec<_> = stage.log.0.iter().map(|(facts, saw)| (saw.role, saw.counted, facts.cost == Usd::ZERO)).collect();
    assert_eq!(saw, [(Some("owner"), true, false), (Some("duplicate"), false, true), (Some("owner"), false, true)]);
    let text = stage.telemetry.metrics.render();
    assert!(
        text.contains("tollgate_llm_calls_total{service=\"shop\",provider=\"anthropic\",model=\"claude-haiku-4-5\",outcome=\"ok\"} 1"),
        "{text}"
    );
    assert!(
        text.contains("tollgate_llm_cost_usd_total{service=\"shop\",provider=\"anthropic\",model=\"claude-haiku-4-5\"} 0.00365"),
        "{text}"
    );
}

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
fn error_type_is_written_from_what_is_a_name_and_nothing_else() {
    let written = |key: &str, value: &str| match &added(&EnrichConfig::default(), {
        let mut span = error(chat(1, 0), "Error code: 429 - Rate limit reached for requests");
        span.attributes.push(s(key, value));
        span
    })["error.type"]
    {
        Value::StringValue(text) => text.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(written("error.code", "rate_limit_exceeded"), "rate_limit_exceeded");
    assert_eq!(written("exception.type", "openai.RateLimitError"), "openai.RateLimitError");
    for private in ["anna@example.com", "who is Anna?", "anna's", "söder", "key=sk-1", "429", "a,b"] {
        assert_eq!(written("error.code", private), "rate_limit", "{private}");
    }
    assert_eq!(written("error.code", &"a".repeat(101)), "rate_limit");
    assert_eq!(written("error.code", &"a".repeat(100)), "a".repeat(100));
}

#[test]
fn a_provider_told_by_the_models_name_is_said_to_be() {
    let flags = |attributes: Vec<KeyValue>| {
        let mut all =
            vec![s("gen_ai.operation.name", "chat"), s("gen_ai.request.model", "claude-haiku-4-5"), i("gen_ai.usage.input_tokens", 9)];
        all.extend(attributes);
        added(&EnrichConfig::default(), span(1, 0, all)).get("tollgate.cost.flags").cloned()
    };
    let Some(Value::ArrayValue(inferred)) = flags(vec![]) else { panic!("no flags") };
    assert_eq!(inferred.values, [AnyValue { value: Some(Value::StringValue("provider_inferred".into())) }]);
    assert_eq!(flags(vec![s("gen_ai.system", "anthropic")]), None);
    assert_eq!(flags(vec![s("server.address", "api.anthropic.com")]), None);
}

#[test]
fn a_count_that_cannot_be_true_has_no_price() {
    let skip = |attributes: Vec<KeyValue>| {
        let mut all = vec![s("gen_ai.operation.name", "chat"), s("gen_ai.request.model", "gpt-4o"), s("gen_ai.system", "openai")];
        all.extend(attributes);
        let saw = look("", vec![span(1, 0, all)]).remove(0);
        assert_eq!(saw.skip.is_some(), saw.cost.is_none());
        saw.skip
    };
    let double = |key: &str, value: f64| attribute(key, Value::DoubleValue(value));
    let (input, output) = ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens");
    assert_eq!(skip(vec![i(input, 10), i(output, -5)]), Some("bad_usage"));
    assert_eq!(skip(vec![i(input, (1 << 40) + 1), i(output, 5)]), Some("bad_usage"));
    assert_eq!(skip(vec![s(input, "-3"), i(output, 5)]), Some("bad_usage"));
    assert_eq!(skip(vec![i(input, -1)]), Some("bad_usage"));
    assert_eq!(skip(vec![s("mlflow.chat.tokenUsage", r#"{"input_tokens":-4,"output_tokens":5}"#)]), Some("bad_usage"));
    // Near misses: nobody knows, an alias that does, another family, the greatest count.
    assert_eq!(skip(vec![double(input, f64::NAN), i(output, 5)]), None);
    assert_eq!(skip(vec![i(input, -1), i("gen_ai.usage.prompt_tokens", 4), i(output, 5)]), None);
    assert_eq!(skip(vec![i(input, 4), i(output, 5), i("llm.token_count.prompt", -1)]), None);
    assert_eq!(skip(vec![i(input, 1 << 40), i(output, 5)]), None);
}

#[test]
fn a_call_that_used_nothing_leaves_the_usage_to_the_call_around_it() {
    let zero = |id, parent| {
        let mut span = chat(id, parent);
        for pair in span.attributes.iter_mut().filter(|pair| pair.key.contains("tokens")) {
            *pair = i(&pair.key.clone(), 0);
        }
        span
    };
    let roles = |spans: Vec<Span>| look("", spans).into_iter().map(|saw| saw.role).collect::<Vec<_>>();
    assert_eq!(roles(vec![zero(2, 1), chat(1, 0)]), [Some("duplicate"), Some("owner")]);
    assert_eq!(roles(vec![chat(1, 0), zero(2, 1)]), [Some("owner"), Some("duplicate")]);
    let mut stage = Stage::new(&EnrichConfig::default());
    stage.apply(vec![("", vec![zero(2, 1)])]);
    stage.apply(vec![("", vec![chat(1, 0)])]);
    let saw: Vec<_> = stage.log.0.iter().map(|(_, saw)| (saw.role, saw.cost.clone())).collect();
    assert_eq!(saw, [(Some("owner"), Some("0".into())), (Some("owner"), Some("0.00365".into()))]);
    // A cost of its own is usage.
    let mut paid = zero(2, 1);
    paid.attributes.push(attribute("operation.cost", Value::DoubleValue(0.5)));
    assert_eq!(roles(vec![paid, chat(1, 0)]), [Some("owner"), Some("duplicate")]);
}

#[test]
fn a_sum_of_other_calls_alone_is_an_aggregate_on_a_call_too() {
    let summed = |attributes: Vec<KeyValue>| {
        let mut all = vec![s("gen_ai.operation.name", "chat"), s("gen_ai.request.model", "gpt-4o"), s("gen_ai.system", "openai")];
        all.push(i("gen_ai.aggregated_usage.input_tokens", 900));
        all.extend(attributes);
        let saw = look("", vec![span(1, 0, all)]).remove(0);
        (saw.role, saw.counted, saw.skip)
    };
    assert_eq!(summed(vec![]), (Some("aggregate"), false, Some("aggregate")));
    assert_eq!(summed(vec![i("gen_ai.usage.input_tokens", 9)]), (Some("owner"), true, None));
}

#[test]
fn a_zero_that_means_unknown_gives_way_to_a_price() {
    let cost = |key: &str, value: f64| {
        let mut span = chat(1, 0);
        span.attributes.push(attribute(key, Value::DoubleValue(value)));
        look("", vec![span])[0].cost.clone()
    };
    assert_eq!(cost("gen_ai.usage.cost", 0.0).as_deref(), Some("0.00365"));
    assert_eq!(cost("operation.cost", 0.0).as_deref(), Some("0"), "a free model");
    assert_eq!(cost("llm.cost_usd", 0.1).as_deref(), Some("0.1"));
    assert_eq!(cost("llm.estimated_cost_usd", 0.1).as_deref(), Some("0.00365"), "an estimate");
    assert_eq!(cost("operation.cost", -1.0).as_deref(), Some("0.00365"));
    assert_eq!(cost("operation.cost", f64::NAN).as_deref(), Some("0.00365"));
    let costs = |pairs: &[(&str, f64)]| {
        let mut span = chat(1, 0);
        span.attributes.extend(pairs.iter().map(|(key, value)| attribute(key, Value::DoubleValue(*value))));
        look("", vec![span])[0].cost.clone()
    };
    assert_eq!(costs(&[("gen_ai.usage.cost", 0.0), ("gen_ai.cost.total_cost", 0.2)]).as_deref(), Some("0.2"), "of a lower rank");
    assert_eq!(costs(&[("gen_ai.usage.cost", 0.0), ("operation.cost", 0.3)]).as_deref(), Some("0.3"));
    assert_eq!(costs(&[("gen_ai.usage.total_cost", 0.0), ("ai.total_cost", 0.4)]).as_deref(), Some("0.4"), "of the same rank");
    assert_eq!(costs(&[("gen_ai.usage.cost", 0.0), ("llm.estimated_cost_usd", 0.4)]).as_deref(), Some("0.00365"));
    assert_eq!(costs(&[("gen_ai.usage.cost", 0.1), ("operation.cost", 0.3)]).as_deref(), Some("0.1"));
}

#[test]
fn a_cut_answer_is_found_in_every_place() {
    let llm = |attributes: Vec<KeyValue>| {
        let mut span = chat(1, 0);
        span.attributes.extend(attributes);
        span
    };
    let array = |values: &[&str]| {
        let values = values.iter().map(|v| AnyValue { value: Some(Value::StringValue((*v).into())) }).collect();
        vec![attribute("gen_ai.response.finish_reasons", Value::ArrayValue(ArrayValue { values }))]
    };
    let event = |name: &str, attributes: Vec<KeyValue>| Span {
        events: vec![Event { name: name.into(), attributes, ..Event::default() }],
        ..chat(1, 0)
    };
    let message = |reason: &str| AnyValue {
        value: Some(Value::KvlistValue(KeyValueList { values: vec![s("role", "assistant"), s("finish_reason", reason)] })),
    };
    let list = |values: Vec<AnyValue>| attribute("gen_ai.output.messages", Value::ArrayValue(ArrayValue { values }));
    let text = |text: &str| AnyValue { value: Some(Value::StringValue(text.into())) };
    let refused = |attributes: Vec<KeyValue>| {
        let mut span = error(span(1, 0, vec![s("gen_ai.operation.name", "chat")]), "no");
        span.attributes.extend([s("error.code", "max_tokens_exceeded"), i("http.response.status_code", 400)]);
        span.attributes.extend(attributes);
        span
    };
    let by_exception = added(&EnrichConfig::default(), refused(vec![i("gen_ai.usage.output_tokens", 9)]));
    assert_eq!(by_exception["tollgate.truncation.source"], Value::StringValue("exception".into()));
    assert_eq!(by_exception["tollgate.truncated"], Value::BoolValue(true));
    let cut = [
        llm(vec![s("gen_ai.response.finish_reason", "stop"), list(vec![message("stop"), message("length")])]),
        llm(vec![list(vec![text(r#"{"role":"assistant","finish_reason":"length"}"#)])]),
        llm(vec![attribute("gen_ai.output.messages", message("length").value.unwrap())]),
        llm(vec![s("gen_ai.output.messages", r#"{"role":"assistant","finish_reason":"length"}"#)]),
        llm(vec![s("gen_ai.output.messages", r#"["{\"role\":\"assistant\",\"finish_reason\":\"length\"}"]"#)]),
        llm(vec![s("gen_ai.output.messages", r#"[{"finish_reason":"length","parts":[{"type":"text","content":"and th"#)]),
        llm(array(&["stop,length"])),
        refused(vec![i("gen_ai.usage.output_tokens", 9)]),
        refused(vec![s("gen_ai.completion.0.content", "and th")]),
        llm(array(&["stop", "length"])),
        llm(vec![s("gen_ai.response.finish_reasons", "[\"max_tokens\"]")]),
        llm(vec![s("gen_ai.response.stop_reason", "max_tokens")]),
        llm(vec![s("gen_ai.finish_reason", "MAX_TOKENS")]),
        llm(vec![s("gen_ai.finishReason", "length")]),
        llm(vec![s("ai.response.finishReason", "length")]),
        llm(vec![s("anthropic.message.stop_reason", "max_tokens")]),
        llm(vec![s("llm.response.stop_reason", "max_tokens")]),
        llm(vec![s("llm.stop_reason", "max_tokens")]),
        llm(vec![s("gen_ai.completion.0.finish_reason", "stop"), s("gen_ai.completion.1.finish_reason", "length")]),
        llm(vec![s("gen_ai.output.messages", r#"[{"role":"assistant","parts":[],"finish_reason":"length"}]"#)]),
        event("gen_ai.choice", vec![s("finish_reason", "length")]),
        event("gen_ai.choice", vec![s("gen_ai.event.content", r#"{"index":0,"finish_reason":"length"}"#)]),
        llm(vec![s("gen_ai.response.status", "incomplete")]),
        llm(vec![s("gen_ai.response.finish_reasons", "stop"), s("gen_ai.response.status", "incomplete")]),
        llm(vec![s("langfuse.observation.output", r#"{"choices":[{"finish_reason":"length"}]}"#)]),
        llm(vec![s("output.value", r#"{"stopReason":"max_tokens"}"#)]),
        llm(vec![s("mlflow.spanOutputs", r#"{"candidates":[{"finishReason":"MAX_TOKENS"}]}"#)]),
        llm(vec![s("response_data", r#"{"incomplete_details":{"reason":"max_output_tokens"}}"#)]),
        event("exception", vec![s("exception.type", "openai.LengthFinishReasonError")]),
        llm(vec![attribute("llm.truncated", Value::BoolValue(true))]),
        llm(vec![s("llm.truncated", "True")]),
        event("response_truncated", vec![]),
        llm(vec![i("gen_ai.request.max_tokens", 362)]),
        llm(vec![s("llm.invocation_parameters", r#"{"max_tokens":100}"#)]),
        span(1, 0, vec![attribute("llm.truncated", Value::BoolValue(true))]),
        Span { attributes: vec![], ..event("response_truncated", vec![]) },
    ];
    for span in cut {
        let mut stage = Stage::new(&EnrichConfig::default());
        stage.apply(vec![("", vec![span.clone()])]);
        assert!(stage.log.0[0].0.truncated, "{span:?}");
    }
    let whole = [
        refused(vec![]),
        refused(vec![s("gen_ai.output.messages", "[]")]),
        llm(vec![s("gen_ai.response.finish_reason", "stop"), list(vec![message("stop"), message("stop")])]),
        llm(vec![s("gen_ai.output.messages", r#"[{"parts":[{"type":"text","content":"{\"finish_reason\":\"length\"}"}]}]"#)]),
        llm(vec![s("gen_ai.response.stop_reason", "stop_sequence")]),
        llm(vec![s("gen_ai.response.finish_reasons", "stop"), i("gen_ai.request.max_tokens", 362)]),
        llm(vec![s("gen_ai.response.finish_reasons", "content_filter"), s("gen_ai.response.status", "incomplete")]),
        llm(vec![i("gen_ai.request.max_tokens", 363)]),
        llm(vec![s("output.value", "the finish_reason is length")]),
        llm(vec![attribute("llm.truncated", Value::BoolValue(false))]),
        event("truncated", vec![]),
    ];
    for span in whole {
        let mut stage = Stage::new(&EnrichConfig::default());
        stage.apply(vec![("", vec![span.clone()])]);
        assert!(!stage.log.0[0].0.truncated, "{span:?}");
    }
}

#[test]
fn every_failed_span_is_an_error_of_a_class() {
    let rate = error(chat(1, 0), "Error code: 429 - Rate limit reached for requests");
    assert_eq!(look("", vec![rate])[0].error.as_deref(), Some("transient/rate_limit"));
    let failed = |span: Span| {
        let mut stage = Stage::new(&EnrichConfig::default());
        let items = stage.apply(vec![("", vec![span])]);
        let written = Span::decode(items[0].0.extra()).unwrap().attributes.iter().any(|a| a.key == "tollgate.error.class");
        assert_eq!(written, items[0].1.error.is_some());
        items[0].1.error.is_some()
    };
    assert!(failed(error(span(1, 0, vec![]), "")));
    assert!(failed(span(1, 0, vec![s("error.type", "500")])));
    assert!(failed(span(1, 0, vec![i("error.http_status", 429)])));
    assert!(failed(span(1, 0, vec![s("langfuse.observation.level", "ERROR")])));
    assert!(failed(span(1, 0, vec![attribute("tool.success", Value::BoolValue(false)), s("tool.name", "t")])));
    assert!(failed(span(1, 0, vec![s("gen_ai.operation.name", "chat"), s("gen_ai.response.status", "failed")])));
    assert!(failed(span(1, 0, vec![s("gen_ai.operation.name", "chat"), i("http.response.status_code", 503)])));
    let exception = |attributes| Span { events: vec![Event { name: "exception".into(), ..Event::default() }], ..span(1, 0, attributes) };
    assert!(failed(exception(vec![s("gen_ai.operation.name", "chat")])));
    // Near misses.
    assert!(!failed(exception(vec![s("gen_ai.operation.name", "chat"), s("gen_ai.response.finish_reasons", "stop")])));
    assert!(!failed(exception(vec![])));
    assert!(!failed(span(1, 0, vec![i("http.response.status_code", 404)])));
    assert!(!failed(span(1, 0, vec![s("error.type", "")])));
    assert!(!failed(chat(1, 0)));
}

#[test]
fn switched_off_spans_pass_untouched_and_still_have_ids_times_and_status() {
    let mut stage = Stage::new(&EnrichConfig { enabled: false, ..EnrichConfig::default() });
    let items = stage.apply(vec![("", vec![chat(1, 0), error(chat(2, 0), "no")])]);
    assert!(items.iter().all(|(item, _)| item.extra().is_empty()));
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
fn labels_are_filtered_and_their_number_is_limited() {
    let telemetry = Telemetry::new(1 << 30);
    let filter: LabelFilter = Arc::new(|name| if name.contains('@') { Cow::Borrowed("[EMAIL]") } else { Cow::Borrowed(name) });
    let mut enrich = Enrich::new(&EnrichConfig::default(), PriceTable::bundled(), &telemetry, &Shared::default(), filter);
    let mut stage = Stage::new(&EnrichConfig::default());
    std::mem::swap(&mut enrich, &mut stage.enrich);
    let model = |id: u8, name: String| {
        span(id, 0, vec![s("gen_ai.operation.name", "chat"), s("gen_ai.request.model", &name), i("gen_ai.usage.input_tokens", 1)])
    };
    stage.apply(vec![("", vec![model(1, "for-anna@example.com".into())])]);
    for n in 0..20u8 {
        stage.apply(vec![("", (1..=200).map(|id| model(id, format!("hostile-{n}-{id}\u{7}{}", "x".repeat(500)))).collect())]);
    }
    let text = telemetry.metrics.render();
    assert!(!text.contains("anna@") && text.contains("model=\"[EMAIL]\""));
    assert!(text.contains("model=\"_other\""));
    let series = text.lines().filter(|line| line.starts_with("tollgate_llm_calls_total{")).count();
    assert!(series <= 2 * 1001, "{series}");
    assert!(text.lines().all(|line| line.len() < 1000));
}

#[test]
fn what_cannot_be_right_is_counted_and_not_believed() {
    let mut stage = Stage::new(&EnrichConfig::default());
    let mut odd = chat(1, 0);
    odd.attributes.extend([s("gen_ai.system", "openai"), attribute("gen_ai.usage.cache_read.input_tokens", Value::DoubleValue(f64::NAN))]);
    odd.attributes.push(s("gen_ai.response.finish_reasons", "because"));
    stage.apply(vec![("", vec![odd])]);
    let text = stage.telemetry.metrics.render();
    for line in [
        "tollgate_enrich_attribute_conflicts_total{field=\"provider\"} 1",
        "tollgate_enrich_invalid_attributes_total{field=\"gen_ai.usage.cache_read.input_tokens\"} 1",
        "tollgate_enrich_unknown_finish_reasons_total{value=\"because\"} 1",
        "tollgate_enrich_price_table_timestamp_seconds{layer=\"bundled",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert_eq!(stage.log.0[0].1.finish, Some("other"));
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

/// Keys with meaning, so that random spans reach every reader.
const KEYS: &[&str] = &[
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cost",
    "gen_ai.response.finish_reasons",
    "gen_ai.response.id",
    "gen_ai.usage.raw",
    "langfuse.observation.usage_details",
    "langfuse.observation.cost_details",
    "langfuse.observation.output",
    "llm.token_count.prompt",
    "openinference.span.kind",
    "llm.invocation_parameters",
    "mlflow.chat.tokenUsage",
    "mlflow.spanType",
    "ai.response.providerMetadata",
    "ai.operationId",
    "error.type",
    "error.http_status",
    "exception.message",
    "tollgate.usage.role",
    "tollgate.truncated",
    "hidden_params",
    "gen_ai.output.messages",
    "gen_ai.completion.0.finish_reason",
    "gen_ai.completion.99999999.finish_reason",
    "llm.cost_usd",
    "llm.truncated",
    "http.response.status_code",
    "some.other.key",
    "gen_ai.response.time_to_first_chunk",
    "langfuse.observation.completion_start_time",
];

fn any_value() -> impl Strategy<Value = Value> {
    let texts = prop_oneof![
        any::<String>(),
        "[\\[\\]{}\":,a-z0-9_. \\\\-]{0,60}",
        Just("chat".to_owned()),
        Just("gpt-4o".to_owned()),
        Just("length".to_owned()),
        Just("{\"input_tokens\": 5, \"output\": 1e400, \"total\": -3}".to_owned()),
        Just("[".repeat(5000)),
        Just("NaN".to_owned()),
        Just("9".repeat(50)),
    ];
    prop_oneof![
        texts.prop_map(Value::StringValue),
        any::<i64>().prop_map(Value::IntValue),
        (0i64..5000).prop_map(Value::IntValue),
        any::<f64>().prop_map(Value::DoubleValue),
        any::<bool>().prop_map(Value::BoolValue),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(Value::BytesValue),
        proptest::collection::vec("[a-z_]{0,10}", 0..4).prop_map(|texts| Value::ArrayValue(ArrayValue {
            values: texts.into_iter().map(|t| AnyValue { value: Some(Value::StringValue(t)) }).collect(),
        })),
    ]
}

fn any_span() -> impl Strategy<Value = Span> {
    let attributes = || {
        let attribute = (proptest::sample::select(KEYS), any_value()).prop_map(|(key, value)| attribute(key, value));
        proptest::collection::vec(attribute, 0..12)
    };
    (1u8..6, 0u8..6, attributes(), attributes(), 0i32..4, any::<u64>(), any::<u64>(), "[a-z_. ]{0,20}").prop_map(
        |(id, parent, attributes, event, code, start, end, name)| Span {
            status: Some(Status { code, message: name.clone() }),
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            events: vec![Event {
                name: if code == 1 { "exception".into() } else { "gen_ai.choice".into() },
                attributes: event,
                ..Event::default()
            }],
            kind: code,
            name,
            ..span(id, parent, attributes)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_span_is_read_without_a_panic_and_leaves_with_documented_keys_behind_it(spans in proptest::collection::vec(any_span(), 1..8)) {
        let profiles = vec![Profile::Langfuse, Profile::Phoenix, Profile::Mlflow, Profile::Logfire, Profile::Langsmith, Profile::FlatC];
        let mut stage = Stage::new(&EnrichConfig { profiles: profiles.try_into().unwrap(), ..EnrichConfig::default() });
        let items = stage.apply(vec![("ai", spans.clone())]);
        prop_assert_eq!(items.len(), spans.len());
        for ((item, facts), sent) in items.iter().zip(&spans) {
            prop_assert_eq!(item.body(), sent.encode_to_vec());
            let added = Span::decode(item.extra()).unwrap();
            prop_assert_eq!(&Span { attributes: Vec::new(), ..added.clone() }, &Span::default(), "attributes and nothing else");
            let mut keys: Vec<&str> = sent.attributes.iter().map(|a| a.key.as_str()).collect();
            for attribute in &added.attributes {
                // Logfire's finish reasons take the place of those that stand.
                let superseded = attribute.key == "gen_ai.response.finish_reasons";
                prop_assert!(superseded || !keys.contains(&attribute.key.as_str()), "{} stands twice", attribute.key);
                prop_assert!(keys::Key::find(attribute.key.as_bytes()).is_some());
                keys.push(&attribute.key);
            }
            if facts.cost != Usd::ZERO {
                prop_assert!(facts.cost > Usd::ZERO && facts.llm_call);
            }
        }
        // Nothing with a price on a span that does not own.
        for (facts, saw) in &stage.log.0 {
            prop_assert!(saw.cost.is_none() || saw.role == Some("owner"));
            prop_assert!(saw.counted == facts.llm_call);
        }
    }
}
