//! Which attributes hold no text of people.
//!
//! Key lists of content can never be complete, so the list is of the other kind: names, ids, versions and enumerations
//! that traces are joined and priced by. Whatever is not on it is scanned.

/// Whether the value of this span, log, resource or scope attribute is metadata and is left as it is.
pub(in crate::redact) fn is_metadata(key: &str) -> bool {
    if CONTENT.contains(&key) {
        return false;
    }
    EXACT.contains(&key) || PREFIXES.iter().any(|p| key.starts_with(p)) || suffix_is_metadata(key)
}

fn suffix_is_metadata(key: &str) -> bool {
    let last = key.rsplit('.').next().unwrap_or(key);
    last.len() < key.len() && (LAST_SEGMENTS.contains(&last) || last.starts_with("finish_reason"))
}

/// Content, although a rule below would take it for metadata.
const CONTENT: &[&str] = &[
    "user.name",
    "user.full_name",
    "langfuse.trace.name",
    "gen_ai.request.stop_sequences",
    "gen_ai.request.structured_output_schema",
    "gen_ai.request.speech.prompt",
    "gen_ai.request.extra_body",
    "gen_ai.request.extra_query",
    "gen_ai.request.system",
];

const EXACT: &[&str] = &[
    "gen_ai.system",
    "gen_ai.provider.name",
    "gen_ai.operation.name",
    "error.type",
    "exception.type",
    "http.request.method",
    "http.route",
    "rpc.system",
    "rpc.service",
    "rpc.method",
    "db.collection.name",
    "db.namespace",
];

const PREFIXES: &[&str] = &[
    "server.",
    "network.",
    "telemetry.",
    "service.",
    "deployment.",
    "k8s.",
    "cloud.",
    "code.",
    "thread.",
    "db.system",
    "db.operation",
    "gen_ai.request.",
    "tollgate.",
];

const LAST_SEGMENTS: &[&str] =
    &["id", "name", "model", "model_name", "role", "type", "mime_type", "version", "kind", "status", "level", "stop_reason"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_prices_and_joins_traces_is_metadata() {
        for key in [
            "gen_ai.response.id",
            "gen_ai.request.model",
            "gen_ai.response.finish_reasons",
            "server.address",
            "tool.name",
            "k8s.pod.name",
            "tollgate.cost.price_id",
            "db.system.name",
            "llm.model_name",
        ] {
            assert!(is_metadata(key), "{key}");
        }
    }

    #[test]
    fn text_of_people_is_not() {
        for key in [
            "gen_ai.input.messages",
            "input.value",
            "user.name",
            "user.email",
            "langfuse.trace.name",
            "gen_ai.request.stop_sequences",
            "anything.else",
            "prompt",
            "id",
            "gen_ai.prompt.0.content",
        ] {
            assert!(!is_metadata(key), "{key}");
        }
    }
}
