//! What a span is said to be.

use super::*;

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
