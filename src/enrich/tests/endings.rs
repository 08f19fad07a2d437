//! Cut answers and failures.

use super::*;

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
        let written = Span::decode(&stage.leave(&items)[0][..]).unwrap().attributes.iter().any(|a| a.key == "tollgate.error.class");
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
