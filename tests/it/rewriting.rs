//! What enrichment changes where the config asks for it: as spans leave, key by key.

use crate::support::path::{Desk, alone, attributes, d, i, pair, s, span};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use std::collections::BTreeMap;

type Written = BTreeMap<String, Value>;

fn chat(more: Vec<KeyValue>) -> Span {
    let model =
        vec![s("gen_ai.operation.name", "chat"), s("gen_ai.provider.name", "anthropic"), s("gen_ai.request.model", "claude-haiku-4-5")];
    let usage = vec![i("gen_ai.usage.input_tokens", 1840), i("gen_ai.usage.output_tokens", 362)];
    span(1, 0, [model, usage, more].concat())
}

fn list(words: &[&str]) -> Value {
    Value::ArrayValue(ArrayValue { values: words.iter().map(|w| AnyValue { value: Some(Value::StringValue((*w).to_owned())) }).collect() })
}

fn int(written: &Written, key: &str) -> Option<i64> {
    match written.get(key) {
        Some(Value::IntValue(n)) => Some(*n),
        _ => None,
    }
}

fn word<'w>(written: &'w Written, key: &str) -> Option<&'w str> {
    match written.get(key) {
        Some(Value::StringValue(text)) => Some(text),
        _ => None,
    }
}

#[test]
fn what_stands_stays_unless_it_is_to_be_replaced() {
    let stale = || {
        chat(vec![
            s("tollgate.usage.role", "mine"),
            d("tollgate.cost.total_usd", 99.0),
            d("tollgate.cost.fees_usd", 1.0),
            s("tollgate.cost.skip_reason", "no_model"),
            s("tollgate.sampling.policy", "theirs"),
            s("error.type", "kept"),
            d("gen_ai.usage.cost", 0.0),
            s("gen_ai.response.model", "as-sent"),
        ])
    };
    let kept = alone("{}", "", stale()).1;
    assert_eq!((word(&kept, "tollgate.usage.role"), kept.get("tollgate.cost.total_usd")), (Some("mine"), Some(&Value::DoubleValue(99.0))));
    let replaced = alone("{ on_conflict: replace }", "", stale()).1;
    assert_eq!(word(&replaced, "tollgate.usage.role"), Some("owner"));
    for key in ["tollgate.cost.total_usd", "gen_ai.usage.cost"] {
        assert_eq!(replaced.get(key), Some(&Value::DoubleValue(0.00365)), "{key}");
    }
    // What no longer holds goes with it; what is not ours to say stays.
    assert!(!replaced.contains_key("tollgate.cost.fees_usd") && !replaced.contains_key("tollgate.cost.skip_reason"), "{replaced:?}");
    assert_eq!(word(&replaced, "error.type"), Some("kept"));
    assert_eq!(word(&replaced, "gen_ai.response.model"), Some("as-sent"));
}

#[test]
fn an_earlier_stages_answer_is_worked_out_anew_where_ours_replaces() {
    let first = alone("{}", "", chat(vec![])).1;
    let again = || {
        let mut span = chat(vec![]);
        let known: Vec<String> = span.attributes.iter().map(|pair| pair.key.clone()).collect();
        span.attributes.extend(first.iter().filter(|(key, _)| !known.contains(key)).map(|(key, value)| pair(key, value.clone())));
        span
    };
    assert_eq!(alone("{ on_conflict: replace }", "", again()).1, first, "nothing is left over, nothing is lost");
    let dearer = "{ on_conflict: replace, prices: { providers: { anthropic: { multipliers: [ { factor: 2 } ] } } } }";
    let written = alone(dearer, "", again()).1;
    assert_eq!(written["tollgate.cost.total_usd"], Value::DoubleValue(0.0073));
    assert_eq!(word(&written, "tollgate.cost.source"), Some("computed"));
    // A cost of the sender's own still is the cost.
    let given = alone("{ on_conflict: replace }", "", chat(vec![d("operation.cost", 0.5)])).1;
    assert_eq!(
        (given.get("tollgate.cost.total_usd"), word(&given, "tollgate.cost.source")),
        (Some(&Value::DoubleValue(0.5)), Some("span"))
    );
}

#[test]
fn counts_that_leave_the_cache_out_are_made_whole_and_say_so() {
    let openlit = || {
        chat(vec![
            i("gen_ai.usage.cache_read.input_tokens", 100),
            i("gen_ai.usage.cache_creation.input_tokens", 60),
            i("gen_ai.usage.total_tokens", 2202),
        ])
    };
    let (saw, added) = alone("{}", "openlit.otel.tracing", openlit());
    assert_eq!((int(&added, "gen_ai.usage.input_tokens"), word(&added, "tollgate.usage.input_semantics")), (Some(1840), Some("exclusive")));
    let (same, written) = alone("{ normalize: { tokens: rewrite } }", "openlit.otel.tracing", openlit());
    assert_eq!(same.cost, saw.cost);
    assert_eq!(int(&written, "gen_ai.usage.input_tokens"), Some(2000));
    assert_eq!(int(&written, "gen_ai.usage.output_tokens"), Some(362));
    assert_eq!(int(&written, "gen_ai.usage.total_tokens"), Some(2362));
    assert_eq!(word(&written, "tollgate.usage.input_semantics"), Some("inclusive"));
    // Read again, it means the same.
    let again = Span { attributes: written.iter().map(|(key, value)| pair(key, value.clone())).collect(), ..openlit() };
    let (read, twice) = alone("{ normalize: { tokens: rewrite } }", "openlit.otel.tracing", again);
    assert_eq!((read.input, read.uncached), (saw.input, saw.uncached));
    assert_eq!(int(&twice, "gen_ai.usage.input_tokens"), Some(2000));
}

#[test]
fn every_attribute_that_counts_the_same_is_made_whole() {
    let both = span(
        1,
        0,
        vec![
            s("ai.operationId", "ai.generateText.doGenerate"),
            s("ai.model.provider", "anthropic.messages"),
            s("ai.model.id", "claude-haiku-4-5"),
            i("ai.usage.inputTokens", 1000),
            i("ai.usage.outputTokens", 7),
            i("ai.usage.cachedInputTokens", 50),
            i("ai.usage.totalTokens", 1007),
            i("gen_ai.usage.input_tokens", 1000),
            i("gen_ai.usage.output_tokens", 7),
        ],
    );
    let written = alone("{ normalize: { tokens: rewrite } }", "ai", both).1;
    for (key, count) in [
        ("ai.usage.inputTokens", 1050),
        ("gen_ai.usage.input_tokens", 1050),
        ("gen_ai.usage.output_tokens", 7),
        ("ai.usage.totalTokens", 1057),
    ] {
        assert_eq!(int(&written, key), Some(count), "{key}");
    }
    // Reasoning that was left out of the output comes in.
    let gemini =
        vec![s("gen_ai.system", "gcp.vertex.agent"), s("gen_ai.request.model", "gemini-2.5-flash"), i("gen_ai.usage.input_tokens", 100)];
    let adk = Span {
        name: "call_llm".into(),
        ..span(
            1,
            0,
            [
                gemini,
                vec![i("gen_ai.usage.output_tokens", 30), i("gen_ai.usage.reasoning_tokens", 70), i("gen_ai.usage.total_tokens", 200)],
            ]
            .concat(),
        )
    };
    let written = alone("{ normalize: { tokens: rewrite } }", "gcp.vertex.agent", adk).1;
    assert_eq!((int(&written, "gen_ai.usage.output_tokens"), int(&written, "gen_ai.usage.total_tokens")), (Some(100), Some(200)));
    // An inclusive count is what it was.
    let inclusive = alone("{ normalize: { tokens: rewrite } }", "", chat(vec![i("gen_ai.usage.cache_read.input_tokens", 100)])).1;
    assert_eq!(int(&inclusive, "gen_ai.usage.input_tokens"), Some(1840));
}

#[test]
fn cache_writes_get_their_other_name_where_one_stands() {
    let (old, new) = ("gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_write.input_tokens");
    let with = |name: &str, key: &str| alone(&format!("{{ normalize: {{ cache_write_name: {name} }} }}"), "", chat(vec![i(key, 60)])).1;
    assert_eq!((int(&with("none", old), old), int(&with("none", old), new)), (Some(60), None));
    assert_eq!((int(&with("new", old), old), int(&with("new", old), new)), (Some(60), Some(60)));
    assert_eq!((int(&with("old", new), old), int(&with("old", new), new)), (Some(60), Some(60)));
    let spelt = with("old", "gen_ai.usage.cache_creation_input_tokens");
    assert_eq!(int(&spelt, old), Some(60));
}

#[test]
fn finish_reasons_are_written_in_six_words_one_for_each_choice() {
    let key = "gen_ai.response.finish_reasons";
    let canonical = |value: Value| alone("{ normalize: { finish_reasons: canonical } }", "", chat(vec![pair(key, value)])).1.remove(key);
    assert_eq!(canonical(list(&["end_turn", "MAX_TOKENS"])), Some(list(&["stop", "length"])));
    assert_eq!(canonical(Value::StringValue("[\"tool_use\"]".into())), Some(list(&["tool_calls"])));
    assert_eq!(canonical(Value::StringValue("FinishReason.SAFETY".into())), Some(list(&["content_filter"])));
    assert_eq!(canonical(list(&["because"])), Some(list(&["other"])));
    assert_eq!(canonical(list(&["stop"])), Some(list(&["stop"])));
    let elsewhere = alone("{ normalize: { finish_reasons: canonical } }", "", chat(vec![s("gen_ai.response.stop_reason", "max_tokens")])).1;
    assert_eq!((elsewhere.get(key), word(&elsewhere, "gen_ai.response.stop_reason")), (Some(&list(&["length"])), Some("max_tokens")));
    let kept = alone("{}", "", chat(vec![pair(key, list(&["end_turn"]))])).1;
    assert_eq!(kept.get(key), Some(&list(&["end_turn"])));
    // The column of truncated answers looks for one word in one list.
    let logfire = alone("{ profiles: [logfire] }", "", chat(vec![pair(key, list(&["max_tokens"]))])).1;
    assert_eq!(logfire.get(key), Some(&list(&["length"])));
    let told = chat(vec![pair(key, list(&["stop"])), pair("llm.truncated", Value::BoolValue(true))]);
    assert_eq!(alone("{ profiles: [logfire] }", "", told).1.get(key), Some(&list(&["length"])));
}

#[test]
fn phoenix_is_kept_from_pricing_what_repeats_a_call() {
    let outer = || {
        let model = vec![s("openinference.span.kind", "LLM"), s("llm.model_name", "claude-haiku-4-5")];
        span(2, 0, [model, vec![i("llm.token_count.prompt", 1840), i("llm.token_count.completion", 362)]].concat())
    };
    let inner = || Span { parent_span_id: vec![2; 8], ..chat(vec![]) };
    let kinds = |profile: &str| {
        let (_, spans) = Desk::new(&format!("{{ profiles: [{profile}] }}")).send(vec![("", vec![inner(), outer()])]);
        let kind = |id: u8| word(&attributes(&spans[&vec![id; 8]]), "openinference.span.kind").map(str::to_owned);
        (kind(1), kind(2))
    };
    assert_eq!(kinds("phoenix"), (None, Some("LLM".to_owned())));
    assert_eq!(kinds("{ phoenix: { demote: true } }"), (None, Some("CHAIN".to_owned())));
    let alone = alone("{ profiles: [ { phoenix: { demote: true } } ] }", "", outer()).1;
    assert_eq!(word(&alone, "openinference.span.kind"), Some("LLM"), "an owner is what it was");
}

#[test]
fn the_metrics_of_the_conventions_are_made_where_they_are_asked_for() {
    let render = |mode: &str| {
        let mut desk = Desk::new(&format!("{{ metrics: {{ gen_ai: {mode} }} }}"));
        let first = chat(vec![s("gen_ai.response.model", "claude-haiku-4-5-20251001"), d("gen_ai.response.time_to_first_chunk", 0.3)]);
        let failed = Span {
            span_id: vec![2; 8],
            ..span(2, 0, vec![s("gen_ai.operation.name", "chat"), s("gen_ai.request.model", "m"), s("error.type", "429")])
        };
        let tool = span(3, 0, vec![s("gen_ai.operation.name", "execute_tool"), s("gen_ai.tool.name", "t")]);
        let agent = span(4, 0, vec![s("gen_ai.operation.name", "invoke_agent")]);
        let outer = Span { parent_span_id: Vec::new(), span_id: vec![9; 8], ..chat(vec![]) };
        let inner = Span { parent_span_id: vec![9; 8], ..first };
        desk.send(vec![("", vec![inner, failed, tool, agent, outer])]);
        desk.metrics()
    };
    let off = render("off");
    assert!(!off.contains("gen_ai_client"), "{off}");
    let labels = "service_name=\"shop\",gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"anthropic\",gen_ai_request_model=\"claude-haiku-4-5\",gen_ai_response_model=\"claude-haiku-4-5-20251001\"";
    let legacy = render("legacy");
    for line in [
        format!("gen_ai_client_token_usage_sum{{{labels},gen_ai_token_type=\"input\"}} 1840"),
        format!("gen_ai_client_token_usage_sum{{{labels},gen_ai_token_type=\"output\"}} 362"),
        format!("gen_ai_client_token_usage_count{{{labels},gen_ai_token_type=\"input\"}} 1"),
        format!("gen_ai_client_token_usage_bucket{{{labels},gen_ai_token_type=\"input\",le=\"67108864\"}} 1"),
        format!("gen_ai_client_operation_duration_seconds_bucket{{{labels},le=\"81.92\"}} 1"),
        format!("gen_ai_client_operation_time_to_first_chunk_seconds_count{{{labels}}} 1"),
    ] {
        assert!(legacy.contains(&line), "{line} in {legacy}");
    }
    assert!(legacy.contains("error_type=\"rate_limit\"") && !legacy.contains("gen_ai_client_inference"), "{legacy}");
    let current = render("current");
    for line in [
        format!("gen_ai_client_inference_duration_seconds_count{{{labels}}} 1"),
        format!("gen_ai_client_inference_usage_input_tokens_total{{{labels},gen_ai_token_modality=\"unknown\"}} 1840"),
        format!("gen_ai_client_inference_operation_output_tokens_bucket{{{labels},le=\"1024\"}} 1"),
        "gen_ai_execute_tool_duration_seconds_count{service_name=\"shop\",gen_ai_operation_name=\"execute_tool\"} 1".to_owned(),
        "gen_ai_invoke_agent_duration_seconds_bucket{service_name=\"shop\",gen_ai_operation_name=\"invoke_agent\",le=\"409.6\"} 1"
            .to_owned(),
    ] {
        assert!(current.contains(&line), "{line} in {current}");
    }
    assert!(!current.contains("gen_ai_token_type") && !current.contains("gen_ai_client_operation_duration"), "{current}");
    let both = render("both");
    assert!(both.contains("gen_ai_client_token_usage_sum") && both.contains("gen_ai_client_inference_duration_seconds_sum"));
}

#[test]
fn a_finish_reason_that_no_table_knows_is_counted_by_its_word() {
    let mut desk = Desk::new("{}");
    desk.send(vec![("", vec![chat(vec![s("gen_ai.response.finish_reasons", "[\"stop\", \"because\"]")])])]);
    let text = desk.metrics();
    assert!(text.contains("tollgate_enrich_unknown_finish_reasons_total{value=\"because\"} 1"), "{text}");
    for n in 0..80u8 {
        let id = vec![n + 100; 8];
        desk.send(vec![("", vec![Span { span_id: id, ..chat(vec![s("gen_ai.response.stop_reason", &format!("word-{n}"))]) }])]);
    }
    let text = desk.metrics();
    assert!(text.contains("tollgate_enrich_unknown_finish_reasons_total{value=\"_other\"} 31"), "{text}");
    assert!(text.contains("tollgate_enrich_folded_total{set=\"finish_reasons\"} 31"), "{text}");
}
