//! Which attributes hold no text of people.
//!
//! Key lists of content can never be complete, so the list is of the other kind: names, ids, versions and enumerations
//! that traces are joined and priced by. Whatever is not on it is scanned.

/// Whether the value of this span, log, resource or scope attribute is metadata and is left as it is.
pub(in crate::redact) fn is_metadata(key: &str) -> bool {
    // Most keys end at the first line: only what the rules take for metadata is asked for more.
    let listed = EXACT.contains(&key) || starts(key, PREFIXES) || suffix_is_metadata(key);
    (listed && !is_content(key)) || names_a_person_or_session(key)
}

fn starts(key: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| key.starts_with(prefix))
}

fn suffix_is_metadata(key: &str) -> bool {
    let last = key.rsplit('.').next().unwrap_or(key);
    last.len() < key.len() && (LAST_SEGMENTS.contains(&last) || last.starts_with("finish_reason"))
}

/// Whether a convention puts text of people there, whatever the last part of the key says.
fn is_content(key: &str) -> bool {
    if let Some(rest) = key.strip_prefix("gen_ai.prompt.").or_else(|| key.strip_prefix("gen_ai.completion.")) {
        return in_message(rest);
    }
    if key.starts_with("langfuse.experiment.") && key.ends_with(".id") && !key.contains(".metadata.") {
        return false;
    }
    let in_query = || key.strip_prefix("db.").is_some_and(|rest| rest.contains(".query"));
    !EXCEPTIONS.contains(&key) && (CONTENT.contains(&key) || starts(key, CONTENT_PREFIXES) || in_query())
}

/// Whether what follows `gen_ai.prompt.` is of a flattened message: `0.content`, but not `0.role` nor the name of a tool.
fn in_message(rest: &str) -> bool {
    let part = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let numbered = part.len() < rest.len() && part.starts_with('.');
    let last = part.rsplit('.').next().unwrap_or(part);
    rest.starts_with("variable.") || (numbered && !matches!(last, "role" | "finish_reason" | "name" | "id"))
}

/// Ids of people and sessions that conventions keep among content: they are kept as `user.id` is.
fn names_a_person_or_session(key: &str) -> bool {
    let of = |prefix: &str, ids: &[&str]| key.strip_prefix(prefix).is_some_and(|id| ids.contains(&id));
    of("langsmith.metadata.", &["user_id", "session_id", "thread_id", "conversation_id"])
        || key.starts_with("langsmith.metadata.ls_")
        || of("ai.telemetry.metadata.", &["userId", "sessionId"])
        || of("traceloop.association.properties.", &["user_id", "session_id"])
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
    "gen_ai.agent.role",
];

/// What begins so is content, whatever follows: parts that senders name themselves, such as headers, tags and variables.
const CONTENT_PREFIXES: &[&str] = &[
    "agento11y.tag.",
    "ai.request.headers.",
    "ai.response.headers.",
    "ai.settings.context.",
    "ai.settings.runtimeContext.",
    "ai.telemetry.metadata.",
    "annotations.",
    "enduser.",
    "evaluations.",
    "exception.",
    "flue.",
    "gen_ai.reasoning.",
    "gen_ai.response.speech.",
    "genkit:metadata:",
    "http.request.body",
    "http.request.header.",
    "http.response.header.",
    "langfuse.experiment.",
    "langfuse.observation.metadata",
    "langfuse.trace.metadata",
    "langsmith.metadata.",
    "llm.choices.",
    "llm.completions.",
    "llm.prompts.",
    "lmnr.association.properties.",
    "mcp.request.argument",
    "mcp.response.value",
    "messaging.message.body",
    "metadata.",
    "mlflow.traceTag.",
    "pinecone.query.",
    "rpc.request.",
    "session.annotations.",
    "spring.ai.chat.client.tool.",
    "spring.ai.vectorstore.query.",
    "trace.annotations.",
    "traceloop.association.properties.",
];

/// Metadata under a prefix of content.
const EXCEPTIONS: &[&str] = &["enduser.id", "exception.type"];

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
            "enduser.id",
            "exception.type",
            "gen_ai.prompt.0.role",
            "gen_ai.prompt.12.tool_calls.0.name",
            "gen_ai.completion.0.tool_calls.1.id",
            "gen_ai.completion.0.finish_reason",
            "gen_ai.prompt.name",
            "gen_ai.prompt.version",
            "gen_ai.tool.call.id",
            "langsmith.metadata.user_id",
            "langsmith.metadata.ls_model_name",
            "ai.telemetry.metadata.userId",
            "traceloop.association.properties.session_id",
            "langfuse.experiment.item.id",
            "llm.input_messages.0.message.role",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.name",
            "db.query.result.id",
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
            "gen_ai.prompt.0.type",
            "gen_ai.prompt.variable.name",
            "gen_ai.agent.role",
            "traceloop.association.properties.customer.name",
            "langfuse.observation.metadata.author.name",
            "langfuse.trace.metadata.id",
            "langfuse.experiment.metadata.owner.id",
            "langsmith.metadata.name",
            "langsmith.metadata.customer.id",
            "ai.telemetry.metadata.user.name",
            "ai.request.headers.name",
            "ai.settings.runtimeContext.customer.name",
            "lmnr.association.properties.owner.name",
            "metadata.customer.name",
            "mlflow.traceTag.owner.name",
            "agento11y.tag.name",
            "llm.prompts.0.name",
            "annotations.quality.name",
            "session.annotations.quality.name",
            "pinecone.query.id",
            "db.vector.query.name",
            "genkit:metadata:user.name",
            "http.request.header.x.name",
            "http.request.body.name",
            "rpc.request.customer.name",
            "messaging.message.body.name",
            "enduser.name",
            "mcp.request.argument.name",
        ] {
            assert!(!is_metadata(key), "{key}");
        }
    }
}
