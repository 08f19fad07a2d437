//! How an answer ended: forty spellings, six meanings.
//!
//! Whether an answer was cut off decides if its trace must be kept, and every provider, SDK and vocabulary names that
//! end differently, alone, in a JSON list, or as the text of a Python list or tuple. Reading one costs no allocation.

/// Longest name looked up; the longest known one has 29 letters.
const MAX_NAME: usize = 48;

/// Most elements read from one value: a call has a handful of choices, not more.
const MAX_ELEMENTS: usize = 64;

/// How an answer ended. The order is by weight: the greatest speaks for a span with several choices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Finish {
    /// As the model meant it.
    Stop,
    /// In a way not listed, or not ended yet.
    Other,
    /// With a call of a tool.
    ToolCalls,
    /// Cut by a token limit.
    Length,
    /// Withheld.
    ContentFilter,
    /// Broken.
    Error,
}

impl Finish {
    /// The value written on the span.
    pub const fn as_str(self) -> &'static str {
        match self {
            Finish::Stop => "stop",
            Finish::Other => "other",
            Finish::ToolCalls => "tool_calls",
            Finish::Length => "length",
            Finish::ContentFilter => "content_filter",
            Finish::Error => "error",
        }
    }
}

/// What a broken answer says about its cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The provider had no room (`insufficient_system_resource`).
    Overloaded,
    /// It took too long.
    Timeout,
    /// Somebody stopped it.
    Cancelled,
    /// Anything else.
    Broken,
}

/// The reasons of all choices of a span, in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reasons {
    /// One bit per `Finish`.
    seen: u8,
    /// `incomplete` was seen: a length, unless something says the content was filtered.
    incomplete: bool,
    failure: Option<Failure>,
    unknown: u32,
}

impl Reasons {
    /// Reads one attribute value: a name, JSON text, or the text of a Python list or tuple. Empty values add nothing.
    pub fn read(&mut self, raw: &str) {
        // What providers write themselves needs nothing taken off.
        if let Some(finish) = frequent(raw) {
            return self.note(Some(Meaning::Is(finish)));
        }
        let raw = raw.trim();
        if raw.contains('{') {
            return self.read_object(raw);
        }
        let listed = matches!(raw.as_bytes().first(), Some(b'[' | b'('));
        let bare = if listed { raw.trim_matches(['[', ']', '(', ')', ' ']) } else { raw };
        // Prose is not split: a comma in a sentence separates no reasons.
        if !listed && raw.split(',').any(|item| item.trim().contains(char::is_whitespace)) {
            return self.add(raw);
        }
        for element in bare.split(',').take(MAX_ELEMENTS) {
            self.add(element);
        }
    }

    /// Reads a finish reason sent as a number: Gemini's enum.
    pub fn read_number(&mut self, number: i64) {
        self.note(u8::try_from(number).ok().and_then(gemini));
    }

    /// Adds one element. Empty ones add nothing.
    pub fn add(&mut self, element: &str) {
        let element = bare(element);
        if !element.is_empty() {
            self.note(meaning(element));
        }
    }

    /// The heaviest reason; `None` where there is none at all.
    pub fn worst(&self) -> Option<Finish> {
        use Finish::*;
        if self.has(Error) {
            return Some(Error);
        }
        if self.incomplete && !self.has(ContentFilter) {
            return Some(Length);
        }
        [ContentFilter, Length, ToolCalls, Other, Stop].into_iter().find(|f| self.has(*f))
    }

    /// Whether any choice was cut by a token limit.
    pub fn truncated(&self) -> bool {
        self.has(Finish::Length) || self.incomplete && !self.has(Finish::ContentFilter)
    }

    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.worst().is_none()
    }

    /// Why the answer broke, if a reason says so.
    pub fn failure(&self) -> Option<Failure> {
        self.failure
    }

    /// Elements that no table knows. They count as `other`.
    pub fn unknown(&self) -> u32 {
        self.unknown
    }

    fn has(&self, finish: Finish) -> bool {
        self.seen & 1 << finish as u8 != 0
    }

    fn note(&mut self, meaning: Option<Meaning>) {
        let finish = match meaning {
            Some(Meaning::Is(finish)) => finish,
            Some(Meaning::Incomplete) => {
                self.incomplete = true;
                return;
            }
            Some(Meaning::Failed(failure)) => {
                self.failure = self.failure.or(Some(failure));
                Finish::Error
            }
            None => {
                self.unknown = self.unknown.saturating_add(1);
                Finish::Other
            }
        };
        self.seen |= 1 << finish as u8;
    }

    /// Some SDKs send `[{"finish_reason": "length"}]` or `{"reason": "max_output_tokens"}`.
    fn read_object(&mut self, raw: &str) {
        match serde_json::from_str(raw) {
            Ok(value) => self.read_value(&value, 0),
            Err(_) => self.add(raw),
        }
    }

    fn read_value(&mut self, value: &serde_json::Value, depth: u8) {
        use serde_json::Value;
        match value {
            Value::Array(items) if depth < 4 => items.iter().take(MAX_ELEMENTS).for_each(|v| self.read_value(v, depth + 1)),
            Value::Object(members) if depth < 4 => {
                for key in ["unified", "finish_reason", "finishReason", "stop_reason", "stopReason", "reason", "type"] {
                    if let Some(found) = members.get(key) {
                        return self.read_value(found, depth + 1);
                    }
                }
            }
            Value::String(text) => self.add(text),
            Value::Number(number) => self.read_number(number.as_i64().unwrap_or(-1)),
            _ => {}
        }
    }
}

/// The meaning of one raw element; `None` when no table knows it.
pub fn canonical(element: &str) -> Option<Finish> {
    meaning(bare(element)).map(|m| match m {
        Meaning::Is(finish) => finish,
        Meaning::Incomplete => Finish::Length,
        Meaning::Failed(_) => Finish::Error,
    })
}

/// The elements of a raw value, without quotes, in their order: one per choice.
pub fn elements(raw: &str) -> impl Iterator<Item = &str> {
    raw.split(',').map(bare).filter(|e| !e.is_empty()).take(MAX_ELEMENTS)
}

/// The words of nearly all answers.
fn frequent(raw: &str) -> Option<Finish> {
    Some(match raw {
        "stop" | "end_turn" => Finish::Stop,
        "length" | "max_tokens" => Finish::Length,
        "tool_calls" | "tool_use" => Finish::ToolCalls,
        _ => return None,
    })
}

enum Meaning {
    Is(Finish),
    Incomplete,
    Failed(Failure),
}

/// What is left of an element without brackets, quotes, module and type names: `FinishReason.MAX_TOKENS`,
/// `<FinishReason.STOP: 'STOP'>`, `"\"stop\""`.
fn bare(element: &str) -> &str {
    const EDGES: [char; 13] = ['[', ']', '(', ')', '<', '>', '"', '\'', '\\', ' ', '\t', '\n', '.'];
    let element = element.trim_matches(EDGES);
    let element = element.rsplit('.').next().unwrap_or(element);
    element.rsplit(':').next().unwrap_or(element).trim_matches(EDGES)
}

/// Looks a bare element up, in snake case on the stack.
fn meaning(element: &str) -> Option<Meaning> {
    if !element.is_empty() && element.len() < 4 && element.bytes().all(|b| b.is_ascii_digit()) {
        return element.parse().ok().and_then(gemini);
    }
    let mut buffer = [0u8; MAX_NAME];
    let mut used = 0;
    let mut before = 0u8;
    for byte in element.bytes() {
        if before.is_ascii_lowercase() && byte.is_ascii_uppercase() {
            *buffer.get_mut(used)? = b'_';
            used += 1;
        }
        *buffer.get_mut(used)? = if matches!(byte, b'-' | b' ') { b'_' } else { byte.to_ascii_lowercase() };
        used += 1;
        before = byte;
    }
    let name = std::str::from_utf8(buffer.get(..used)?).ok()?;
    let name = ["finish_reason_", "stop_reason_", "finishreason_", "stopreason_", "reason_"]
        .into_iter()
        .find_map(|p| name.strip_prefix(p))
        .unwrap_or(name);
    named(name)
}

/// Gemini's enum, as gRPC JSON numbers it.
fn gemini(number: u8) -> Option<Meaning> {
    named(match number {
        0 => "unspecified",
        1 => "stop",
        2 => "max_tokens",
        3 => "safety",
        4 => "recitation",
        5 => "other",
        6 => "blocklist",
        7 => "prohibited_content",
        8 => "spii",
        9 => "malformed_function_call",
        _ => return None,
    })
}

fn named(name: &str) -> Option<Meaning> {
    Some(Meaning::Is(match name {
        "stop" | "stopped" | "end_turn" | "stop_sequence" | "complete" | "completed" | "finish" | "finished" | "eos" | "eos_token"
        | "end_of_text" | "endoftext" | "end" | "done" | "success" | "succeeded" | "normal" => Finish::Stop,

        "length"
        | "max_tokens"
        | "max_token"
        | "max_output"
        | "max_output_tokens"
        | "max_completion_tokens"
        | "max_new_tokens"
        | "max_length"
        | "max_len"
        | "max_context"
        | "max_tokens_exceeded"
        | "max_tokens_reached"
        | "token_limit"
        | "token_limit_reached"
        | "output_limit"
        | "error_limit"
        | "limit"
        | "model_length"
        | "model_context_window_exceeded"
        | "context_window_exceeded"
        | "context_length"
        | "context_length_exceeded"
        | "context_limit"
        | "truncated"
        | "length_limit" => Finish::Length,

        "incomplete" => return Some(Meaning::Incomplete),

        "tool_calls" | "tool_call" | "tool_use" | "tool_execution" | "function_call" | "function_calls" | "tools" | "requires_action"
        | "tool" => Finish::ToolCalls,

        "content_filter"
        | "content_filtered"
        | "contentfilter"
        | "contentfiltered"
        | "safety"
        | "recitation"
        | "blocklist"
        | "prohibited_content"
        | "spii"
        | "image_safety"
        | "image_prohibited_content"
        | "image_recitation"
        | "model_armor"
        | "jailbreak"
        | "refusal"
        | "refused"
        | "guardrail_intervened"
        | "guardrail"
        | "guardrails"
        | "blocked"
        | "error_toxic"
        | "moderation"
        | "sensitive" => Finish::ContentFilter,

        "timeout" => return Some(Meaning::Failed(Failure::Timeout)),
        "cancelled" | "canceled" | "user_cancel" | "abort" | "aborted" => return Some(Meaning::Failed(Failure::Cancelled)),
        "insufficient_system_resource" => return Some(Meaning::Failed(Failure::Overloaded)),
        "error"
        | "failed"
        | "failure"
        | "malformed_function_call"
        | "malformed_model_output"
        | "malformed_tool_use"
        | "malformed_response"
        | "missing_thought_signature"
        | "unexpected_tool_call"
        | "too_many_tool_calls"
        | "server_error"
        | "network_error"
        | "no_image"
        | "image_other" => {
            return Some(Meaning::Failed(Failure::Broken));
        }

        "other"
        | "unknown"
        | "finish_reason_unspecified"
        | "unspecified"
        | "language"
        | "pause_turn"
        | "compaction"
        | "null"
        | "none"
        | "in_progress"
        | "queued" => Finish::Other,

        _ => return None,
    }))
}

#[cfg(test)]
mod tests;
