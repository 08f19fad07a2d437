//! How an answer ended: where vocabularies put it, and whether it was cut off.
//!
//! A truncated answer decides that its trace is kept, so every place is known here: plain keys first, then messages, events
//! and statuses, then the provider's answer inside a JSON text, which is only looked into when nothing else speaks.

use crate::enrich::errors::Evidence;
use crate::enrich::finish::{Finish, Reasons};
use crate::enrich::json;
use crate::enrich::keys::Key;
use crate::enrich::scan::Attributes;
use crate::enrich::sets::{Keys, List};
use crate::otlp::span::Any;

/// What is known about the end of an answer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ending {
    pub(crate) reasons: Reasons,
    /// Why the answer counts as cut off; `None` where it does not.
    pub(crate) cut_by: Option<Cut>,
}

/// What tells that an answer was cut off, by the value of `tollgate.truncation.source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    FinishReason,
    Attribute,
    Event,
    Exception,
    MaxTokensReached,
}

impl Cut {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Cut::FinishReason => "finish_reason",
            Cut::Attribute => "attribute",
            Cut::Event => "event",
            Cut::Exception => "exception",
            Cut::MaxTokensReached => "max_tokens_reached",
        }
    }
}

/// Keys that hold one reason, for one choice.
pub(crate) const SINGLE: List = List::of(&[
    Key::GenAiResponseFinishReason,
    Key::GenAiResponseStopReason,
    Key::GenAiFinishReason,
    Key::GenAiFinishReasonFlat,
    Key::AiResponseFinishReason,
    Key::AiFinishReason,
    Key::AnthropicMessageStopReason,
    Key::LlmFinishReason,
    Key::LlmResponseFinishReason,
    Key::LlmResponseStopReason,
    Key::LlmStopReason,
]);

/// Keys that may hold a whole answer.
const ANSWERS: [Key; 5] =
    [Key::LangfuseObservationOutput, Key::OutputValue, Key::MlflowSpanOutputs, Key::ResponseData, Key::GenAiCompletion];

/// Every key that may tell how an answer ended.
const ENDS: Keys = SINGLE.set.and(Keys::of(&ANSWERS)).and(Keys::of(&[
    Key::GenAiResponseFinishReasons,
    Key::CompletionFinishReason,
    Key::GenAiOutputMessages,
    Key::GenAiResponseStatus,
    Key::LangfuseObservationMetadataFinishReason,
    Key::LangfuseObservationMetadataStopReason,
]));

/// Reads the finish reasons of a span, from the places that count most down.
pub(crate) fn reasons(attributes: &Attributes<'_, '_>) -> Reasons {
    let mut reasons = Reasons::default();
    if !attributes.has_any(&ENDS) && !attributes.has_events() {
        return reasons;
    }
    add(&mut reasons, attributes.any(Key::GenAiResponseFinishReasons));
    if !reasons.is_empty() {
        return reasons;
    }
    for key in attributes.present(&SINGLE) {
        if reasons.is_empty() {
            add(&mut reasons, attributes.any(key));
        }
    }
    let single = !reasons.is_empty();
    if single && !several_choices(attributes) {
        return reasons;
    }
    // One key speaks for one choice: with several, the places below speak for the others.
    for value in attributes.all(Key::CompletionFinishReason) {
        add(&mut reasons, value);
    }
    let done = |reasons: &Reasons| !single && !reasons.is_empty();
    if done(&reasons) {
        return reasons;
    }
    messages(&mut reasons, attributes.any(Key::GenAiOutputMessages));
    if done(&reasons) {
        return reasons;
    }
    events(&mut reasons, attributes);
    if done(&reasons) {
        return reasons;
    }
    if let Some(status) = attributes.name(Key::GenAiResponseStatus)
        && ["incomplete", "failed", "cancelled"].iter().any(|s| status.eq_ignore_ascii_case(s))
    {
        reasons.add(status);
    }
    if done(&reasons) {
        return reasons;
    }
    for key in [Key::LangfuseObservationMetadataFinishReason, Key::LangfuseObservationMetadataStopReason] {
        add(&mut reasons, attributes.any(key));
    }
    // Before the answers: MLflow puts a streamed answer together with `stop` as its reason, whatever the last piece said.
    if !done(&reasons) {
        chunks(&mut reasons, attributes);
    }
    for key in ANSWERS {
        if !done(&reasons)
            && let Some(text) = attributes.text(key)
        {
            json::finish_reasons(text, &mut reasons);
        }
    }
    reasons
}

/// Whether the span shows more than one choice.
fn several_choices(attributes: &Attributes<'_, '_>) -> bool {
    if attributes.count(Key::GenAiRequestChoiceCount).is_some_and(|n| n > 1) || attributes.all(Key::CompletionFinishReason).nth(1).is_some()
    {
        return true;
    }
    let twice = |text: &str, mark: &str| memchr::memmem::find_iter(text.as_bytes(), mark.as_bytes()).nth(1).is_some();
    attributes.any(Key::GenAiOutputMessages).elements().nth(1).is_some()
        || attributes.text(Key::GenAiOutputMessages).is_some_and(|text| twice(text, "finish_reason"))
        || ANSWERS.iter().filter_map(|key| attributes.text(*key)).any(|text| {
            text.contains("\"choices\"") && twice(text, "finish_reason") || text.contains("\"candidates\"") && twice(text, "finishReason")
        })
}

/// Adds the reasons in one value, whatever its type.
fn add(reasons: &mut Reasons, value: Any<'_>) {
    match value {
        Any::Str(text) if text.trim() != "null" => reasons.read(text),
        Any::Int(number) => reasons.read_number(number),
        Any::Array(_) => value.elements().for_each(|element| match element {
            Any::Str(text) => reasons.read(text),
            Any::Int(number) => reasons.read_number(number),
            _ => {}
        }),
        _ => {}
    }
}

/// Output messages, or a single one: JSON text, texts of JSON in a list, or structured. A text that was cut off speaks as far as it goes.
fn messages(reasons: &mut Reasons, value: Any<'_>) {
    match value {
        Any::Str(text) if text.contains("finish_reason") => {
            let text = json::object(text);
            json::finish_reasons(&text, reasons);
            let first = text.trim_start().strip_prefix('[').map(str::trim_start);
            if first.is_some_and(|first| first.starts_with('"')) {
                json::elements(&text).into_iter().for_each(|message| json::finish_reasons(message, reasons));
            }
        }
        Any::Array(_) => value.elements().for_each(|message| match message {
            Any::Str(text) => json::finish_reasons(text, reasons),
            _ => member(reasons, message),
        }),
        Any::Kvlist(_) => member(reasons, value),
        _ => {}
    }
}

/// The `finish_reason` entry of a structured message.
fn member(reasons: &mut Reasons, message: Any<'_>) {
    for entry in message.entries().filter(|entry| entry.key == b"finish_reason") {
        add(reasons, entry.any());
    }
}

/// `gen_ai.choice` events: an attribute, a structured body, or JSON in one.
fn events(reasons: &mut Reasons, attributes: &Attributes<'_, '_>) {
    for event in attributes.events().filter(|event| event.name == b"gen_ai.choice") {
        for attribute in event.attributes() {
            match (attribute.key, attribute.any()) {
                (b"finish_reason" | b"gen_ai.response.finish_reason" | b"gen_ai.response.finish_reasons", value) => add(reasons, value),
                (b"gen_ai.event.content" | b"body" | b"message" | b"event.body", Any::Str(text)) => json::finish_reasons(text, reasons),
                (b"gen_ai.event.content" | b"body" | b"message" | b"event.body", value) => member(reasons, value),
                _ => {}
            }
        }
    }
}

/// Pieces of a streamed answer, kept as events; the last ones say how it ended.
fn chunks(reasons: &mut Reasons, attributes: &Attributes<'_, '_>) {
    // The end of a stream stands in its last few pieces: a usage report or two may follow it.
    for event in attributes.events().rev().take(8) {
        for attribute in event.attributes() {
            match (attribute.key, attribute.any()) {
                (b"mlflow.chunk.value" | b"gen_ai.completion", Any::Str(text)) => json::finish_reasons(text, reasons),
                (b"ai.response.finishReason" | b"gen_ai.response.finish_reasons", value) if event.name == b"ai.stream.finish" => {
                    add(reasons, value)
                }
                _ => {}
            }
        }
        if !reasons.is_empty() {
            return;
        }
    }
}

/// Whether the provider says that the response is not whole.
fn incomplete(attributes: &Attributes<'_, '_>) -> bool {
    attributes.name(Key::GenAiResponseStatus).is_some_and(|status| status.eq_ignore_ascii_case("incomplete"))
}

/// Whether some of an answer is on the span.
fn has_text(attributes: &Attributes<'_, '_>) -> bool {
    attributes.has(Key::CompletionPart)
        || attributes.has(Key::OutputMessagePart)
        || [Key::GenAiOutputMessages].into_iter().chain(ANSWERS).any(|key| match attributes.any(key) {
            Any::Str(text) => !matches!(text.trim(), "" | "null" | "[]" | "{}" | "\"\""),
            value => value.elements().next().is_some() || value.entries().next().is_some(),
        })
}

/// Decides whether the answer was cut off. `reached` tells whether the output is as long as the limit that was asked for.
pub(crate) fn ending(attributes: &Attributes<'_, '_>, mut reasons: Reasons, evidence: &Evidence<'_>, reached: bool) -> Ending {
    let cut_short = || evidence.is_out_of_tokens() && (evidence.has_output || has_text(attributes));
    let exception = evidence.finish_of_exception().or_else(|| cut_short().then_some(Finish::Length));
    if reasons.is_empty()
        && let Some(finish) = exception
    {
        reasons.add(finish.as_str());
    }
    let cut_by = if reasons.truncated() && exception != Some(Finish::Length) {
        Some(Cut::FinishReason)
    } else if attributes.flag(Key::LlmTruncated) == Some(true) || incomplete(attributes) && reasons.worst() != Some(Finish::ContentFilter) {
        Some(Cut::Attribute)
    } else if attributes.events().any(|event| event.name == b"response_truncated") {
        Some(Cut::Event)
    } else if exception == Some(Finish::Length) {
        Some(Cut::Exception)
    } else if reasons.is_empty() && reached {
        Some(Cut::MaxTokensReached)
    } else {
        None
    };
    Ending { reasons, cut_by }
}
