use super::*;
use proptest::prelude::*;

fn read(raw: &str) -> Reasons {
    let mut reasons = Reasons::default();
    reasons.read(raw);
    reasons
}

#[test]
fn every_spelling_of_cut_off_is_cut_off() {
    for raw in [
        "length",
        "max_tokens",
        "MAX_TOKENS",
        "FinishReason.MAX_TOKENS",
        "FINISH_REASON_MAX_TOKENS",
        "2",
        "LENGTH",
        "model_length",
        "max_output_tokens",
        "model_context_window_exceeded",
        "ERROR_LIMIT",
        "TOKEN_LIMIT",
        "incomplete",
        "[\"length\"]",
        "[\"stop\",\"length\"]",
        "['max_tokens']",
        "(\"length\",)",
        "stop,length",
        "stop, length",
        "maxTokens",
        "max-tokens",
        "max tokens",
        "MaxTokens",
        "StopReason.length",
        "<FinishReason.MAX_TOKENS: 'MAX_TOKENS'>",
        "[<FinishReason.MAX_TOKENS: 2>]",
        " length ",
        "\"length\"",
        "\"\\\"length\\\"\"",
        "[\"stop\", \"length\"]",
        "('stop', 'length')",
        "tokenLimitReached",
        "REASON_MAX_LEN",
        "stop_reason: max_tokens",
        "[{\"finish_reason\": \"length\"}]",
        "{\"reason\":\"max_output_tokens\"}",
        "[[\"length\"]]",
        "types.FinishReason.MAX_TOKENS",
    ] {
        assert!(read(raw).truncated(), "{raw}");
        assert_eq!(read(raw).worst(), Some(Finish::Length), "{raw}");
        assert_eq!(read(raw).unknown(), 0, "{raw}");
    }
}

#[test]
fn what_only_resembles_cut_off_is_not() {
    for raw in [
        "stop",
        "stop_sequence",
        "pause_turn",
        "compaction",
        "content_filter",
        "SAFETY",
        "refusal",
        "end_turn",
        "tool_use",
        "1",
        "20",
        "lengthy",
        "maximum",
        "",
    ] {
        assert!(!read(raw).truncated(), "{raw}");
    }
}

#[test]
fn each_meaning_has_its_spellings() {
    for (finish, spellings) in [
        (
            Finish::Stop,
            "stop STOP end_turn endTurn END_TURN stop_sequence COMPLETE completed FINISH eos_token FinishReason.STOP 1 FINISH_REASON_STOP",
        ),
        (
            Finish::ToolCalls,
            "tool_calls tool-calls toolCalls tool_use toolUse function_call TOOL_CALL requires_action TOOL_EXECUTION ToolCalls",
        ),
        (
            Finish::ContentFilter,
            "content_filter content-filter contentFilter CONTENT_FILTERED SAFETY 3 4 RECITATION PROHIBITED_CONTENT refusal guardrail_intervened ERROR_TOXIC FinishReason.SAFETY",
        ),
        (
            Finish::Error,
            "error ERROR failed timeout cancelled USER_CANCEL abort MALFORMED_FUNCTION_CALL 9 insufficient_system_resource server_error",
        ),
        (Finish::Other, "other unknown FINISH_REASON_UNSPECIFIED 0 5 pause_turn in_progress queued None null"),
    ] {
        for raw in spellings.split(' ') {
            assert_eq!(read(raw).worst(), Some(finish), "{raw}");
            assert_eq!(canonical(raw), Some(finish), "{raw}");
        }
    }
}

#[test]
fn the_worst_choice_speaks_for_all() {
    for (raw, worst) in [
        ("[\"stop\", \"tool_calls\"]", Finish::ToolCalls),
        ("[\"tool_calls\", \"length\", \"stop\"]", Finish::Length),
        ("[\"length\", \"content_filter\"]", Finish::ContentFilter),
        ("[\"content_filter\", \"error\"]", Finish::Error),
        ("[\"stop\", \"whatever\"]", Finish::Other),
        ("stop,stop", Finish::Stop),
    ] {
        assert_eq!(read(raw).worst(), Some(worst), "{raw}");
    }
    assert!(read("[\"length\", \"content_filter\"]").truncated());
}

#[test]
fn incomplete_beside_a_content_filter_is_not_cut_off() {
    let mut reasons = read("incomplete");
    assert_eq!((reasons.worst(), reasons.truncated()), (Some(Finish::Length), true));
    reasons.read("content_filter");
    assert_eq!((reasons.worst(), reasons.truncated()), (Some(Finish::ContentFilter), false));
}

#[test]
fn nothing_is_not_a_reason() {
    for raw in ["", " ", "[]", "()", "\"\"", "[\"\"]", "[null", "{}", "[{}]"] {
        let reasons = read(raw);
        assert_eq!(reasons.is_empty(), raw != "[null", "{raw}");
    }
}

#[test]
fn an_unknown_reason_is_other_and_counted() {
    for raw in ["eot", "the model stopped, done", "99", "10", &"a".repeat(500), "长度", "{broken"] {
        let reasons = read(raw);
        assert_eq!((reasons.worst(), reasons.unknown()), (Some(Finish::Other), 1), "{raw}");
    }
    assert_eq!(read("[\"a\",\"b\"]").unknown(), 2);
}

#[test]
fn a_number_is_geminis_enum() {
    let mut reasons = Reasons::default();
    reasons.read_number(2);
    assert!(reasons.truncated());
    reasons.read_number(-7);
    assert_eq!(reasons.unknown(), 1);
}

#[test]
fn a_broken_answer_says_why() {
    assert_eq!(read("insufficient_system_resource").failure(), Some(Failure::Overloaded));
    assert_eq!(read("TIMEOUT").failure(), Some(Failure::Timeout));
    assert_eq!(read("USER_CANCEL").failure(), Some(Failure::Cancelled));
    assert_eq!(read("error").failure(), Some(Failure::Broken));
    assert_eq!(read("content_filter").failure(), None);
}

#[test]
fn the_elements_keep_their_places() {
    assert_eq!(elements("[\"stop\", 'FinishReason.MAX_TOKENS']").collect::<Vec<_>>(), ["stop", "MAX_TOKENS"]);
}

proptest! {
    #[test]
    fn any_text_is_read(raw in any::<String>(), odd in "[\\[\\](){}<>\"'\\\\,.:a-zA-Z_ é-]{0,60}", number in any::<i64>()) {
        for text in [&raw, &odd] {
            let reasons = read(text);
            prop_assert!(!reasons.truncated() || reasons.worst() >= Some(Finish::Length));
            let _ = (canonical(text), elements(text).count());
        }
        Reasons::default().read_number(number);
    }
}
