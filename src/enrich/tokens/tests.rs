use super::*;
use crate::enrich::scan::{Finds, Table};
use crate::otlp::append::Attributes as Append;

/// What is read of a span with these attributes.
fn tokens(scope: &str, provider: &str, attributes: &[(&str, &str)]) -> Option<(Family, Dialect, RawUsage)> {
    let mut span = Vec::new();
    let mut append = Append::of_span(&mut span);
    attributes.iter().for_each(|(key, value)| append.str(key, value));
    let (mut finds, mut table) = (Finds::default(), Table::default());
    let (_, found) = finds.walk(&span);
    let source = Source { library: crate::enrich::source::library(scope), scope, ..Source::default() };
    read(&finds.attributes(&found, &span, &mut table), &source, Some(provider)).map(|t| (t.family, t.dialect, t.raw))
}

#[test]
fn all_counts_come_from_the_first_family() {
    let (family, dialect, raw) = tokens(
        "",
        "openai",
        &[("gen_ai.usage.input_tokens", "10"), ("llm.usage.completion_tokens", "5"), ("llm.usage.cache_read_input_tokens", "4")],
    )
    .unwrap();
    assert_eq!((family, dialect, raw.input, raw.output, raw.cache_read), (Family::GenAi, Dialect::Unknown, Some(10), None, None));
}

#[test]
fn aliases_are_alternatives() {
    let both = [("gen_ai.usage.prompt_tokens", "10"), ("gen_ai.usage.input_tokens", "11"), ("gen_ai.usage.completion_tokens", "3")];
    let raw = tokens("", "openai", &both).unwrap().2;
    assert_eq!((raw.input, raw.output), (Some(11), Some(3)));
    let kernel = [("gen_ai.response.prompt_tokens", "16"), ("gen_ai.response.completion_tokens", "29")];
    let raw = tokens("Microsoft.SemanticKernel.Diagnostics", "openai", &kernel).unwrap().2;
    assert_eq!((raw.input, raw.output), (Some(16), Some(29)));
}

#[test]
fn a_library_reads_its_own_family_first() {
    let both = [("gen_ai.usage.input_tokens", "10"), ("llm.token_count.prompt", "20"), ("ai.usage.inputTokens", "30")];
    assert_eq!(tokens("openinference.instrumentation.openai", "openai", &both).unwrap().2.input, Some(20));
    assert_eq!(tokens("ai", "openai", &both).unwrap().2.input, Some(30));
    assert_eq!(tokens("gen_ai", "openai", &both[..1]).unwrap().1, Dialect::Vercel);
}

#[test]
fn a_text_of_counts_is_read_by_its_members() {
    let (family, dialect, raw) =
        tokens("", "anthropic", &[("langfuse.observation.usage_details", r#"{"input":5,"output":9,"input_cached_tokens":7}"#)]).unwrap();
    assert_eq!((family, dialect, raw.input, raw.cache_read), (Family::Langfuse, Dialect::LangfuseBuckets, Some(5), Some(7)));
    let object = r#"{"prompt_tokens":2304,"completion_tokens":14,"prompt_tokens_details":{"cached_tokens":2048}}"#;
    let (_, dialect, raw) = tokens("", "openai", &[("langfuse.observation.usage_details", object)]).unwrap();
    assert_eq!((dialect, raw.input, raw.cache_read), (Dialect::LangfuseProviderObject, Some(2304), Some(2048)));
    let (_, dialect, raw) =
        tokens("", "openai", &[("mlflow.chat.tokenUsage", "\"{\\\"input_tokens\\\": 5, \\\"output_tokens\\\": 6}\"")]).unwrap();
    assert_eq!((dialect, raw.input, raw.output), (Dialect::Mlflow, Some(5), Some(6)));
}

#[test]
fn lifetimes_of_writes_come_from_the_providers_own_object() {
    let usage = r#"{"input_tokens":1,"cache_creation":{"ephemeral_5m_input_tokens":30,"ephemeral_1h_input_tokens":70}}"#;
    let raw = tokens("logfire.anthropic", "anthropic", &[("gen_ai.usage.input_tokens", "101"), ("gen_ai.usage.raw", usage)]).unwrap().2;
    assert_eq!((raw.cache_write_5m, raw.cache_write_1h, raw.input), (Some(30), Some(70), Some(101)));
    let metadata =
        r#"{"bedrock":{"usage":{"cacheWriteInputTokens":9,"cacheDetails":[{"ttl":"1h","inputTokens":4},{"ttl":"5m","inputTokens":5}]}}}"#;
    let raw = tokens("ai", "aws.bedrock", &[("ai.usage.inputTokens", "1"), ("ai.response.providerMetadata", metadata)]).unwrap().2;
    assert_eq!((raw.cache_write, raw.cache_write_5m, raw.cache_write_1h), (Some(9), Some(5), Some(4)));
}

#[test]
fn a_total_alone_is_kept_apart() {
    let (_, _, raw) = tokens("", "openai", &[("llm.usage.total_tokens", "12")]).unwrap();
    assert_eq!((raw.total, raw.input, raw.output), (Some(12), None, None));
    assert!(tokens("", "openai", &[("gen_ai.usage.input_tokens", "NaN")]).is_none());
}

#[test]
fn what_a_vocabulary_means_follows_from_who_wrote_it() {
    let usage = ("gen_ai.usage.input_tokens", "10");
    let dialect = |scope, provider, more: &[(&'static str, &'static str)]| {
        let all: Vec<_> = std::iter::once(usage).chain(more.iter().copied()).collect();
        tokens(scope, provider, &all).unwrap().1
    };
    assert_eq!(dialect("opentelemetry.instrumentation.botocore.bedrock-runtime", "aws.bedrock", &[]), Dialect::OtelBotocore);
    assert_eq!(dialect("opentelemetry.instrumentation.bedrock", "aws.bedrock", &[("llm.request.type", "chat")]), Dialect::TraceloopBedrock);
    assert_eq!(dialect("opentelemetry.instrumentation.anthropic", "anthropic", &[("gen_ai.operation.name", "chat")]), Dialect::Semconv);
    assert_eq!(dialect("opentelemetry.instrumentation.anthropic", "anthropic", &[("llm.request.type", "chat")]), Dialect::Traceloop);
    assert_eq!(dialect("", "anthropic", &[("gen_ai.usage.cost", "1"), ("gen_ai.sdk.version", "1")]), Dialect::Openlit);
    assert_eq!(dialect("", "aws.bedrock", &[("gen_ai.system", "strands-agents")]), Dialect::Strands);
    assert_eq!(dialect("", "anthropic", &[("gen_ai.latency_ms", "4")]), Dialect::FlatA);
}
