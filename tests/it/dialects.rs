//! The vocabularies of many instrumentations: what each means, and that no call counts twice whoever reports it.

use crate::support::path::{Desk, START, Saw, alone, d, i, pair, s, span};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use tollgate::enrich::usage::{Dialect, RawUsage, Semantics, settle};

#[test]
fn the_vectors_of_token_counts_are_read_as_they_are_meant() {
    let raw = |input, output, read, write, total| {
        let given = |n: u64| (n > 0).then_some(n);
        RawUsage {
            input: Some(input),
            output: Some(output),
            cache_read: given(read),
            cache_write: given(write),
            total: given(total),
            ..RawUsage::default()
        }
    };
    let with = |uncached, reasoning, raw: RawUsage| RawUsage { uncached, reasoning, ..raw };
    use Semantics::{Exclusive, Explicit, Inclusive, None as Nothing, ReadOnly};
    for (number, dialect, provider, raw, uncached, semantics, output) in [
        (1, Dialect::Semconv, "anthropic", raw(300, 20, 40, 25, 0), 235, Inclusive, 20),
        (2, Dialect::Unknown, "anthropic", raw(11, 264, 0, 1028, 1303), 11, Exclusive, 264),
        (3, Dialect::OpenInferenceBedrock, "aws.bedrock", raw(12, 185, 1028, 0, 1225), 12, Exclusive, 185),
        (4, Dialect::Unknown, "aws.bedrock", raw(500, 100, 50, 0, 650), 500, Exclusive, 100),
        (5, Dialect::Semconv, "openai", raw(2006, 300, 1920, 0, 2306), 86, Inclusive, 300),
        (6, Dialect::Vercel, "anthropic", with(Some(200), None, raw(1000, 10, 600, 200, 1010)), 200, Explicit, 10),
        (7, Dialect::Openlit, "anthropic", raw(900, 10, 100, 0, 910), 900, Exclusive, 10),
        (8, Dialect::Litellm, "anthropic", raw(120, 10, 100, 50, 180), 20, ReadOnly, 10),
        (9, Dialect::Adk, "gcp.gemini", with(None, Some(70), raw(100, 30, 0, 0, 200)), 100, Nothing, 100),
        (10, Dialect::LangfuseBuckets, "anthropic", raw(5, 9, 128_955, 1253, 0), 5, Exclusive, 9),
        (11, Dialect::FlatB, "anthropic", raw(450, 30, 100, 0, 480), 450, Exclusive, 30),
        (12, Dialect::LangfuseProviderObject, "openai", raw(2304, 14, 2048, 0, 2318), 256, Inclusive, 14),
    ] {
        let (usage, got) = settle(&raw, dialect, Some(provider)).expect("counts");
        assert_eq!((usage.input_uncached, got, usage.output), (uncached, semantics, output), "vector {number}");
    }
}

/// A span as one of the tables has it.
fn told(scope: &str, attributes: Vec<KeyValue>) -> Saw {
    alone("{}", scope, span(1, 0, attributes)).0
}

#[test]
fn counts_and_names_are_read_from_every_type_they_are_sent_as() {
    let model = || vec![s("gen_ai.operation.name", "chat"), s("gen_ai.system", "openai"), s("gen_ai.request.model", "gpt-4o")];
    let counts = |scope: &str, more: Vec<KeyValue>| {
        let saw = told(scope, model().into_iter().chain(more).collect());
        (saw.input, saw.output, saw.cost)
    };
    let wanted = (100, 7, Some("0.00032".to_owned()));
    let (input, output) = ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens");
    assert_eq!(counts("", vec![i(input, 100), i(output, 7)]), wanted);
    assert_eq!(counts("", vec![s(input, "100"), s(output, " 7 ")]), wanted);
    assert_eq!(counts("", vec![d(input, 100.0), d(output, 7.0)]), wanted);
    assert_eq!(counts("", vec![s(input, "\"100\""), s(output, "7.0")]), wanted);
    assert_eq!(counts("", vec![s("langfuse.observation.usage_details", r#"{"input":"100","output":7}"#)]), wanted);
    let twice = r#""{\"input_tokens\": 100, \"output_tokens\": 7}""#;
    assert_eq!(counts("mlflow.openai", vec![s("mlflow.chat.tokenUsage", twice)]), wanted);
    let bytes = pair("langfuse.observation.usage_details", Value::BytesValue(br#"{"input":100,"output":7}"#.to_vec()));
    assert_eq!(counts("langfuse-sdk", vec![bytes]), wanted);
    // What is none of these is no count, and no harm.
    assert_eq!(counts("", vec![s(input, "many"), i(output, 7)]).1, 7);
    let quoted = told(
        "mlflow",
        vec![s("mlflow.spanType", "\"CHAT_MODEL\""), s("mlflow.llm.model", "\"gpt-4o\""), s("mlflow.chat.tokenUsage", twice)],
    );
    assert_eq!((quoted.kind, quoted.cost.as_deref()), ("llm", Some("0.00032")));
}

#[test]
fn instrumentations_count_the_cache_in_or_out_each_in_its_way() {
    let chat =
        |system: &str, model: &str| vec![s("gen_ai.operation.name", "chat"), s("gen_ai.system", system), s("gen_ai.request.model", model)];
    let gen_ai = |input, output| vec![i("gen_ai.usage.input_tokens", input), i("gen_ai.usage.output_tokens", output)];
    let all = |parts: Vec<Vec<KeyValue>>| parts.into_iter().flatten().collect::<Vec<_>>();
    let read = |key: &str, count| vec![i(key, count)];
    let sonnet = "claude-sonnet-4-5";
    for (scope, attributes, input, uncached) in [
        (
            "openlit.otel.tracing",
            all(vec![chat("anthropic", sonnet), gen_ai(900, 10), read("gen_ai.usage.cache_read.input_tokens", 100)]),
            1000,
            900,
        ),
        (
            "openlit.otel.tracing",
            all(vec![chat("openai", "gpt-4o"), gen_ai(900, 10), read("gen_ai.usage.cache_read.input_tokens", 100)]),
            900,
            800,
        ),
        (
            "com.anthropic.sdk.python",
            all(vec![chat("anthropic", sonnet), gen_ai(900, 10), read("gen_ai.usage.cache_read.input_tokens", 100)]),
            900,
            800,
        ),
        (
            "opentelemetry.instrumentation.botocore.bedrock-runtime",
            all(vec![
                chat("aws.bedrock", "anthropic.claude-haiku-4-5-20251001-v1:0"),
                gen_ai(900, 10),
                read("gen_ai.usage.cache_read.input_tokens", 100),
            ]),
            1000,
            900,
        ),
        (
            "strands.telemetry.tracer",
            all(vec![chat("strands-agents", sonnet), gen_ai(900, 10), read("gen_ai.usage.cache_read_input_tokens", 100)]),
            1000,
            900,
        ),
        (
            "pydantic-ai",
            all(vec![chat("anthropic", sonnet), gen_ai(900, 10), read("gen_ai.usage.details.cache_read_tokens", 100)]),
            900,
            800,
        ),
        (
            "langsmith",
            vec![
                s("langsmith.span.kind", "llm"),
                s("langsmith.metadata.ls_model_name", sonnet),
                s("langsmith.usage_metadata", r#"{"input_tokens":900,"output_tokens":10,"input_token_details":{"cache_read":100}}"#),
            ],
            900,
            800,
        ),
        (
            "ai",
            vec![
                s("ai.operationId", "ai.generateText.doGenerate"),
                s("ai.model.provider", "anthropic.messages"),
                s("ai.model.id", sonnet),
                i("ai.usage.inputTokens", 900),
                i("ai.usage.outputTokens", 10),
                i("ai.usage.cachedInputTokens", 100),
            ],
            1000,
            900,
        ),
        (
            "com.anthropic.claude_code",
            vec![
                s("span.type", "llm_request"),
                s("model", sonnet),
                s("input_tokens", "900"),
                s("output_tokens", "10"),
                s("cache_read_tokens", "100"),
            ],
            1000,
            900,
        ),
    ] {
        let saw = told(scope, attributes);
        assert_eq!((saw.kind, saw.input, saw.uncached), ("llm", input, uncached), "{scope}");
        assert!(saw.cost.is_some(), "{scope}");
    }
}

#[test]
fn time_to_the_first_token_has_the_unit_of_its_key() {
    let first = |scope: &str, attributes: Vec<KeyValue>| {
        told(scope, [vec![s("gen_ai.operation.name", "chat"), s("gen_ai.request.model", "m")], attributes].concat()).first_token
    };
    assert_eq!(first("", vec![d("gen_ai.response.time_to_first_chunk", 0.25)]), Some(0.25));
    assert_eq!(first("ai", vec![d("ai.response.msToFirstChunk", 250.0)]), Some(0.25));
    assert_eq!(first("", vec![i("llm.time_to_first_token_ms", 250)]), Some(0.25));
    assert_eq!(first("openlit.x", vec![d("gen_ai.server.time_to_first_token", 0.25)]), Some(0.25));
    assert_eq!(first("strands.telemetry.tracer", vec![i("gen_ai.server.time_to_first_token", 250)]), Some(0.25));
    assert_eq!(first("langfuse-sdk", vec![s("langfuse.observation.completion_start_time", "2026-11-12T09:30:00.25Z")]), Some(0.25));
    assert_eq!(first("", vec![d("gen_ai.response.time_to_first_chunk", 250.0)]), None, "longer than the span: another unit");
    let chunk = Event { name: "gen_ai.content.completion.chunk".into(), time_unix_nano: START + 250_000_000, ..Event::default() };
    let span = Span { events: vec![chunk], ..span(1, 0, vec![s("gen_ai.operation.name", "chat"), s("gen_ai.request.model", "m")]) };
    assert_eq!(alone("{}", "traceloop.tracer", span).0.first_token, Some(0.25));
}

// ---------------------------------------------------------------- hand-written vocabularies

fn flat_a() -> Vec<KeyValue> {
    vec![
        s("gen_ai.system", "anthropic"),
        s("gen_ai.request.model", "claude-haiku-4-5"),
        s("gen_ai.response.model", "claude-haiku-4-5-20251001"),
        i("gen_ai.request.max_tokens", 256),
        s("gen_ai.response.stop_reason", "max_tokens"),
        i("gen_ai.usage.input_tokens", 1000),
        i("gen_ai.usage.output_tokens", 256),
        i("gen_ai.latency_ms", 1900),
        i("gen_ai.time_to_first_token_ms", 300),
        i("gen_ai.response.tool_calls.count", 1),
        s("gen_ai.response.tool_calls.names", "[\"search\"]"),
    ]
}

fn flat_b() -> Vec<KeyValue> {
    vec![
        s("llm.model", "claude-haiku-4-5"),
        s("llm.vendor", "anthropic"),
        i("llm.prompt_length", 5000),
        i("llm.input_tokens", 1000),
        i("llm.output_tokens", 256),
        i("llm.total_tokens", 1256),
        i("llm.cache_read_input_tokens", 500),
        i("llm.latency_ms", 1900),
        s("llm.stop_reason", "max_tokens"),
        d("llm.estimated_cost_usd", 7.0),
        i("agent.step_number", 2),
    ]
}

fn flat_c() -> Vec<KeyValue> {
    vec![
        s("gen_ai.request.model", "claude-haiku-4-5"),
        s("gen_ai.request.system", "You are a helpful assistant."),
        s("gen_ai.prompt.user", "Tell me all."),
        s("gen_ai.response.text", "All of"),
        s("gen_ai.finish_reason", "max_tokens"),
        i("gen_ai.usage.input_tokens", 1000),
        i("gen_ai.usage.output_tokens", 256),
        i("gen_ai.usage.total_tokens", 1256),
        i("llm.latency_ms", 1900),
        s("user.id", "u-1"),
        s("user.tier", "gold"),
    ]
}

fn flat_d() -> Vec<KeyValue> {
    vec![
        s("gen_ai.system", "anthropic"),
        s("gen_ai.request.model", "claude-haiku-4-5"),
        s("mlflow.chat.tokenUsage", r#"{"input_tokens":1000,"output_tokens":256,"total_tokens":1256}"#),
        i("gen_ai.request.max_tokens", 256),
    ]
}

#[test]
fn spans_written_by_hand_come_out_with_cost_and_truncation() {
    for (name, attributes, cost, finish) in [
        ("a", flat_a(), "0.00228", Some("length")),
        // 1000 beside 500 from the cache: its names are those of the provider, which counts them apart.
        ("b", flat_b(), "0.00233", Some("length")),
        ("c", flat_c(), "0.00228", Some("length")),
        // Nothing says how it ended, but it is as long as it was allowed to be.
        ("d", flat_d(), "0.00228", None),
    ] {
        let (saw, written) = alone("{ profiles: [flat_c] }", "", span(1, 0, attributes));
        assert_eq!((saw.kind, saw.role, saw.provider.as_deref()), ("llm", Some("owner"), Some("anthropic")), "flat {name}");
        assert_eq!((saw.cost.as_deref(), saw.truncated, saw.finish), (Some(cost), Some(true), finish), "flat {name}");
        let usd = Value::DoubleValue(cost.parse().expect("a number"));
        assert_eq!((written.get("tollgate.cost.total_usd"), written.get("llm.cost_usd")), (Some(&usd), Some(&usd)), "flat {name}");
        assert_eq!(written.get("llm.truncated"), Some(&Value::BoolValue(true)), "flat {name}");
        assert_eq!(written.get("tollgate.truncated"), Some(&Value::BoolValue(true)), "flat {name}");
        // And without the profile none of it.
        let plain = alone("{}", "", span(1, 0, flat_a())).1;
        assert!(!plain.contains_key("llm.cost_usd") && !plain.contains_key("llm.truncated"));
    }
}

#[test]
fn failures_written_by_hand_have_their_class() {
    let error = |attributes: Vec<KeyValue>, more: Vec<KeyValue>| told("", attributes.into_iter().chain(more).collect()).error;
    let bare = |attributes: Vec<KeyValue>| {
        attributes.into_iter().filter(|pair| !pair.key.contains("stop_reason") && !pair.key.contains("finish")).collect::<Vec<_>>()
    };
    let rate = vec![s("error.type", "RateLimitError"), i("error.http_status", 429), s("error.message", "Error code: 429 - slow down")];
    assert_eq!(error(bare(flat_c()), rate).as_deref(), Some("transient/rate_limit"));
    assert_eq!(error(bare(flat_c()), vec![i("error.http_status", 529)]).as_deref(), Some("transient/overloaded"));
    assert_eq!(
        error(bare(flat_a()), vec![s("error.type", "invalid_request_error"), s("error.http_status", "400")]).as_deref(),
        Some("permanent/invalid_request")
    );
    assert_eq!(error(bare(flat_b()), vec![s("error.type", "APIConnectionTimeoutError")]).as_deref(), Some("transient/timeout"));
    assert_eq!(error(bare(flat_d()), vec![s("error.type", "401")]).as_deref(), Some("permanent/authentication"));
    assert_eq!(
        told("", vec![s("tool.name", "search"), pair("tool.success", Value::BoolValue(false))]).error.as_deref(),
        Some("unknown/unknown")
    );
    assert_eq!(error(flat_a(), vec![]), None);
}

#[test]
fn steps_and_tools_written_by_hand_are_no_calls() {
    let kind = |attributes: Vec<KeyValue>| told("", attributes).kind;
    assert_eq!(kind(vec![i("agent.step_number", 1), s("agent.task", "x")]), "agent");
    assert_eq!(kind(vec![i("agent.total_steps", 5)]), "agent");
    assert_eq!(kind(vec![s("tool.name", "search"), pair("tool.success", Value::BoolValue(true))]), "tool");
    assert_eq!(kind(vec![s("app.feature", "search"), s("user.tier", "gold")]), "none");
}

// ---------------------------------------------------------------- one call, reported twice

/// A call that used 1840 and 362 tokens of a model, in the newest words.
fn call(id: u8, parent: u8) -> Span {
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

fn more(mut span: Span, attributes: Vec<KeyValue>) -> Span {
    span.attributes.extend(attributes);
    span
}

/// The roles of spans in the order sent, and what all of them cost together.
fn roles(scopes: Vec<(&str, Vec<Span>)>) -> Vec<Option<&'static str>> {
    let (saw, spans) = Desk::new("{}").send(scopes);
    // One call was made, whatever cost key is added up.
    for key in ["tollgate.cost.total_usd", "gen_ai.usage.cost", "llm.cost.total"] {
        let costs = spans.values().filter_map(|span| span.attributes.iter().find(|pair| pair.key == key));
        assert!(costs.count() <= 1, "{key} stands on several spans");
    }
    assert_eq!(saw.iter().filter(|saw| saw.counted).count(), 1, "one call is counted: {saw:?}");
    assert_eq!(saw.iter().filter(|saw| saw.cost.is_some()).count(), 1, "one cost: {saw:?}");
    saw.into_iter().map(|saw| saw.role).collect()
}

const OWNER: Option<&str> = Some("owner");
const DUPLICATE: Option<&str> = Some("duplicate");
const AGGREGATE: Option<&str> = Some("aggregate");

fn vercel(id: u8, parent: u8, operation: &str) -> Span {
    span(
        id,
        parent,
        vec![
            s("ai.operationId", operation),
            s("ai.model.provider", "anthropic.messages"),
            s("ai.model.id", "claude-haiku-4-5"),
            i("ai.usage.promptTokens", 1840),
            i("ai.usage.completionTokens", 362),
        ],
    )
}

#[test]
fn vercel_3_to_6_wraps_each_call_in_a_sum() {
    for (inner, outer) in [
        ("ai.generateText.doGenerate", "ai.generateText"),
        ("ai.streamText.doStream", "ai.streamText"),
        ("ai.generateObject.doGenerate", "ai.generateObject"),
    ] {
        assert_eq!(roles(vec![("ai", vec![vercel(2, 1, inner), vercel(1, 0, outer)])]), [OWNER, AGGREGATE], "{outer}");
    }
    let embedding = |id, parent, operation: &str| {
        let model =
            vec![s("ai.operationId", operation), s("ai.model.provider", "openai.embedding"), s("ai.model.id", "text-embedding-3-small")];
        span(id, parent, [model, vec![i("ai.usage.tokens", 900)]].concat())
    };
    assert_eq!(roles(vec![("ai", vec![embedding(2, 1, "ai.embedMany.doEmbed"), embedding(1, 0, "ai.embedMany")])]), [OWNER, AGGREGATE]);
}

#[test]
fn vercel_7_sums_on_agents_and_steps() {
    let named = |span: Span, operation: &str| {
        let mut span = span;
        span.attributes[0] = s("gen_ai.operation.name", operation);
        span
    };
    let spans = vec![call(3, 2), named(call(2, 1), "agent_step"), named(call(1, 0), "invoke_agent")];
    assert_eq!(roles(vec![("gen_ai", spans)]), [OWNER, AGGREGATE, AGGREGATE]);
}

#[test]
fn agents_and_frameworks_repeat_the_sum_of_their_calls() {
    for (scope, operation) in [
        ("agents", "invoke_agent"),
        ("pydantic-ai", "invoke_agent"),
        ("strands.telemetry.tracer", "execute_event_loop_cycle"),
        ("org.spring", "framework"),
    ] {
        let mut outer = call(1, 0);
        outer.attributes[0] = s("gen_ai.operation.name", operation);
        assert_eq!(roles(vec![(scope, vec![call(2, 1), outer])]), [OWNER, AGGREGATE], "{operation}");
    }
}

#[test]
fn sums_under_names_of_their_own_are_never_usage() {
    let summed = more(span(1, 0, vec![s("gen_ai.operation.name", "invoke_agent")]), vec![i("gen_ai.aggregated_usage.input_tokens", 5000)]);
    assert_eq!(roles(vec![("pydantic-ai", vec![call(2, 1), summed])]), [OWNER, AGGREGATE]);
    let trace = more(span(1, 0, vec![s("mlflow.spanType", "\"CHAIN\"")]), vec![s("mlflow.trace.tokenUsage", r#"{"input_tokens":5000}"#)]);
    assert_eq!(roles(vec![("mlflow", vec![call(2, 1), trace])]), [OWNER, AGGREGATE]);
    let agent = more(
        span(1, 0, vec![s("mlflow.spanType", "\"AGENT\"")]),
        vec![s("mlflow.chat.tokenUsage", r#"{"input_tokens":1840,"output_tokens":362}"#)],
    );
    assert_eq!(roles(vec![("mlflow", vec![call(2, 1), agent])]), [OWNER, AGGREGATE]);
}

#[test]
fn a_framework_around_a_provider_package_is_the_outer_half_of_one_call() {
    let outer = || {
        let counts = vec![i("llm.token_count.prompt", 1840), i("llm.token_count.completion", 362)];
        more(span(1, 0, vec![s("openinference.span.kind", "LLM"), s("llm.model_name", "claude-haiku-4-5")]), counts)
    };
    let framework = "openinference.instrumentation.langchain";
    let package = "opentelemetry.instrumentation.anthropic";
    assert_eq!(roles(vec![(package, vec![call(2, 1)]), (framework, vec![outer()])]), [OWNER, DUPLICATE]);
    assert_eq!(
        roles(vec![(framework, vec![outer()]), (package, vec![call(2, 1)])]),
        [DUPLICATE, OWNER],
        "in whatever order they are listed"
    );
}

#[test]
fn google_adk_wraps_what_google_genai_reports() {
    let gemini = |id, parent, operation: Option<&str>| {
        let counts = vec![
            s("gen_ai.system", "gcp.gemini"),
            s("gen_ai.request.model", "gemini-2.5-flash"),
            i("gen_ai.usage.input_tokens", 100),
            i("gen_ai.usage.output_tokens", 30),
        ];
        let named = operation.map(|operation| s("gen_ai.operation.name", operation));
        span(id, parent, named.into_iter().chain(counts).collect())
    };
    let outer = Span { name: "call_llm".into(), ..gemini(1, 0, None) };
    let inner = gemini(2, 1, Some("generate_content"));
    assert_eq!(
        roles(vec![("opentelemetry.instrumentation.google_genai", vec![inner]), ("gcp.vertex.agent", vec![outer])]),
        [OWNER, DUPLICATE]
    );
}

#[test]
fn a_litellm_proxy_its_server_and_its_client_are_one_call() {
    let server = Span {
        kind: 2,
        name: "Received Proxy Server Request".into(),
        ..span(
            2,
            1,
            vec![s("http.route", "/chat/completions"), s("gen_ai.request.model", "claude-haiku-4-5"), i("gen_ai.usage.input_tokens", 1840)],
        )
    };
    let request = Span { name: "litellm_request".into(), ..call(3, 2) };
    let raw =
        Span { name: "raw_gen_ai_request".into(), ..more(span(4, 3, vec![]), vec![s("llm.anthropic.usage", "{\"input_tokens\":1840}")]) };
    let client = Span { kind: 3, ..call(1, 0) };
    let seen = roles(vec![("litellm", vec![raw, request, server]), ("opentelemetry.instrumentation.openai", vec![client])]);
    assert_eq!((seen[1], seen[3]), (OWNER, DUPLICATE));
    assert!(seen[0] != OWNER && seen[2] != OWNER, "{seen:?}");
}

#[test]
fn a_langfuse_generation_around_a_provider_package_is_the_outer_half() {
    let generation = more(
        span(1, 0, vec![s("langfuse.observation.type", "generation"), s("langfuse.observation.model.name", "claude-haiku-4-5")]),
        vec![s("langfuse.observation.usage_details", r#"{"input":1840,"output":362}"#)],
    );
    assert_eq!(roles(vec![("com.anthropic.sdk.python", vec![call(2, 1)]), ("langfuse-sdk", vec![generation])]), [OWNER, DUPLICATE]);
}

#[test]
fn an_sdks_own_span_and_any_instrumentations_are_one_by_their_response() {
    let with_id =
        |id, parent, trace: u8| Span { trace_id: vec![trace; 16], ..more(call(id, parent), vec![s("gen_ai.response.id", "msg_1")]) };
    let own = "com.anthropic.sdk.python";
    // Siblings, and roots of different traces.
    assert_eq!(roles(vec![(own, vec![with_id(2, 1, 7)]), ("traceloop.tracer", vec![with_id(3, 1, 7)])]).iter().flatten().count(), 2);
    let (mut desk, mut owners) = (Desk::new("{}"), 0);
    for (scope, span) in [(own, with_id(2, 0, 1)), ("opentelemetry.instrumentation.anthropic", with_id(3, 0, 2)), (own, with_id(4, 0, 3))] {
        owners += desk.send(vec![(scope, vec![span])]).0.iter().filter(|saw| saw.role == OWNER).count();
    }
    assert_eq!(owners, 1, "over three requests and three traces");
}

#[test]
fn a_streamed_answer_has_a_companion_that_counts_and_a_request_that_does_not() {
    let request =
        span(1, 0, vec![s("logfire.span_type", "span"), s("gen_ai.request.model", "claude-haiku-4-5"), s("gen_ai.operation.name", "chat")]);
    let companion = Span { end_time_unix_nano: START, ..more(call(2, 0), vec![s("logfire.span_type", "log")]) };
    let (saw, _) = Desk::new("{}").send(vec![("logfire.anthropic", vec![request, companion])]);
    assert_eq!((saw[0].cost.is_some(), saw[1].role), (false, OWNER));
}

#[test]
fn an_interaction_of_claude_code_is_no_call() {
    let request = more(
        span(2, 1, vec![s("span.type", "llm_request"), s("model", "claude-haiku-4-5")]),
        vec![i("input_tokens", 9), i("output_tokens", 5)],
    );
    let interaction = more(
        span(1, 0, vec![s("span.type", "interaction"), s("model", "claude-haiku-4-5")]),
        vec![i("input_tokens", 9), i("output_tokens", 5)],
    );
    assert_eq!(roles(vec![("com.anthropic.claude_code", vec![request, interaction])]), [OWNER, AGGREGATE]);
}

#[test]
fn two_names_of_one_count_on_one_span_are_one_count() {
    let both = more(
        call(1, 0),
        vec![i("gen_ai.usage.prompt_tokens", 1840), i("gen_ai.usage.completion_tokens", 362), i("llm.usage.total_tokens", 2202)],
    );
    let saw = alone("{}", "", both).0;
    assert_eq!((saw.input, saw.output, saw.cost.as_deref()), (1840, 362, Some("0.00365")));
}
