//! Who sent a span: the service, and the library that made it.
//!
//! The same key means different things in different libraries (Strands reports times in milliseconds under a name where
//! others mean seconds), so a few rules ask for the scope. It is read once for a run of spans, not once a span.

use crate::enrich::scan::position;
use crate::otlp::head::Head;
use crate::otlp::span::KeyValue;
use crate::otlp::wire::{Fields, Value};

/// The library that made a span, as far as a rule asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Library {
    AnthropicSdk,
    OtelBotocore,
    OtelGoogleGenai,
    /// Traceloop or OpenTelemetry: the names are shared, markers on the span tell which.
    Instrumentation,
    TraceloopNode,
    Traceloop,
    OpenInference,
    VercelLegacy,
    VercelV7,
    Mlflow,
    Langfuse,
    Langsmith,
    Openlit,
    Logfire,
    PydanticAi,
    Litellm,
    Strands,
    Adk,
    ClaudeCode,
    Sigil,
    Datadog,
    #[default]
    Other,
}

/// Resource and scope of a run of spans.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Source<'a> {
    /// `service.name`; empty where absent.
    pub(crate) service: &'a str,
    /// The scope's name.
    pub(crate) scope: &'a str,
    /// The scope's version.
    pub(crate) version: &'a str,
    pub(crate) library: Library,
    /// All of it.
    pub(crate) head: Option<&'a Head>,
}

/// A source in numbers: where its texts stand in the head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noted {
    service: (u32, u32),
    scope: (u32, u32),
    version: (u32, u32),
    library: Library,
}

impl<'a> Source<'a> {
    /// Reads the head of a span.
    pub(crate) fn of(head: &'a Head) -> Source<'a> {
        let (mut service, mut openlit) = ("", false);
        for pair in head.resource_attributes().map(KeyValue::read) {
            match pair.key {
                b"service.name" => service = pair.any().as_str().unwrap_or_default(),
                b"telemetry.sdk.name" => openlit = pair.any().as_str() == Some("openlit"),
                _ => {}
            }
        }
        let scope = head.scope_name();
        let library = if openlit && !matches!(scope, "ai" | "gen_ai") { Library::Openlit } else { library(scope) };
        Source { service, scope, version: version(head.scope()), library, head: Some(head) }
    }

    /// The same in numbers, for as long as the head stays where it is.
    pub(crate) fn note(&self, head: &Head) -> Noted {
        let (resource, scope) = (head.resource(), head.scope());
        Noted {
            service: position(resource, self.service.as_bytes()),
            scope: position(scope, self.scope.as_bytes()),
            version: position(scope, self.version.as_bytes()),
            library: self.library,
        }
    }

    /// What was noted of a head.
    pub(crate) fn again(head: &'a Head, noted: Noted) -> Source<'a> {
        let text = |whole: &'a [u8], (at, len): (u32, u32)| {
            let bytes = whole.get(at as usize..at as usize + len as usize).unwrap_or_default();
            std::str::from_utf8(bytes).unwrap_or_default()
        };
        Source {
            service: text(head.resource(), noted.service),
            scope: text(head.scope(), noted.scope),
            version: text(head.scope(), noted.version),
            library: noted.library,
            head: Some(head),
        }
    }

    /// Whether the library makes spans of calls to model providers.
    pub(crate) fn calls_providers(&self) -> bool {
        !matches!(self.library, Library::Other)
    }

    /// The first two numbers of the scope's version.
    pub(crate) fn release(&self) -> Option<(u32, u32)> {
        let mut numbers = self.version.trim_start_matches('v').split(['.', '-', '+']).map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next().and_then(Result::ok).unwrap_or(0)))
    }
}

fn version(scope: &[u8]) -> &str {
    let inner = |message, number: u32| {
        Fields::new(message).filter_map(move |f| match f.value {
            Value::Len(content) if f.number == number => Some(content),
            _ => None,
        })
    };
    let version = inner(scope, 1).flat_map(|scope| inner(scope, 2)).last().unwrap_or_default();
    std::str::from_utf8(version).unwrap_or_default()
}

/// Libraries whose scope is `opentelemetry.instrumentation.` and one of these, by OpenTelemetry or by Traceloop. Others of that
/// name instrument web servers and databases.
const INSTRUMENTED: &[&str] = &[
    "agno",
    "aleph_alpha",
    "alephalpha",
    "anthropic",
    "bedrock",
    "cohere",
    "crewai",
    "genai",
    "google_generativeai",
    "google_genai",
    "groq",
    "haystack",
    "huggingface",
    "langchain",
    "langchain_v2",
    "litellm",
    "llamaindex",
    "mistralai",
    "ollama",
    "openai",
    "openai_agents",
    "openai_v2",
    "replicate",
    "sagemaker",
    "together",
    "transformers",
    "vertexai",
    "voyageai",
    "watsonx",
    "writer",
];

pub(crate) fn library(scope: &str) -> Library {
    match scope {
        "ai" => return Library::VercelLegacy,
        "gen_ai" => return Library::VercelV7,
        "langfuse-sdk" => return Library::Langfuse,
        "langsmith" => return Library::Langsmith,
        "litellm" => return Library::Litellm,
        "pydantic-ai" => return Library::PydanticAi,
        "strands.telemetry.tracer" => return Library::Strands,
        "gcp.vertex.agent" => return Library::Adk,
        "traceloop.tracer" => return Library::Traceloop,
        "logfire" => return Library::Logfire,
        "opentelemetry.instrumentation.botocore.bedrock-runtime" => return Library::OtelBotocore,
        "opentelemetry.instrumentation.google_genai" => return Library::OtelGoogleGenai,
        "opentelemetry.util.genai.handler" => return Library::Instrumentation,
        _ => {}
    }
    if let Some(rest) = scope.strip_prefix("opentelemetry.instrumentation.") {
        let name = rest.split('.').next().unwrap_or(rest);
        return if INSTRUMENTED.contains(&name) { Library::Instrumentation } else { Library::Other };
    }
    let prefixes = [
        ("openinference.instrumentation", Library::OpenInference),
        ("@arizeai/openinference-", Library::OpenInference),
        ("@traceloop/", Library::TraceloopNode),
        ("mlflow", Library::Mlflow),
        ("openlit.", Library::Openlit),
        ("logfire.", Library::Logfire),
        ("com.anthropic.claude_code", Library::ClaudeCode),
        ("com.anthropic.sdk", Library::AnthropicSdk),
        ("sigil", Library::Sigil),
        ("agento11y", Library::Sigil),
        ("ddtrace", Library::Datadog),
    ];
    prefixes.into_iter().find(|(prefix, _)| scope.starts_with(prefix)).map_or(Library::Other, |(_, library)| library)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_of_web_servers_call_no_providers() {
        let calls = |scope| !matches!(library(scope), Library::Other);
        for scope in ["opentelemetry.instrumentation.flask", "opentelemetry.instrumentation.requests", "", "aiohttp", "my-app", "airflow"] {
            assert!(!calls(scope), "{scope}");
        }
        for scope in [
            "opentelemetry.instrumentation.openai.v1",
            "opentelemetry.instrumentation.openai_v2",
            "openlit.otel.tracing",
            "logfire.openai",
            "ai",
        ] {
            assert!(calls(scope), "{scope}");
        }
    }

    #[test]
    fn a_release_is_read_from_any_version() {
        let release = |version| Source { version, ..Source::default() }.release();
        assert_eq!(release("0.27.1"), Some((0, 27)));
        assert_eq!(release("v2.1b0"), Some((2, 0)));
        assert_eq!(release("2"), Some((2, 0)));
        assert_eq!(release("unknown"), None);
    }
}
