//! What a call cost, and why it has no cost.

use super::*;

#[test]
fn a_call_is_priced_at_its_own_start_and_says_why() {
    let added = added(&EnrichConfig::default(), chat(1, 0));
    assert_eq!(added["tollgate.cost.total_usd"], Value::DoubleValue(0.00365));
    assert_eq!(added["gen_ai.usage.cost"], Value::DoubleValue(0.00365));
    assert_eq!(added["tollgate.cost.source"], Value::StringValue("computed".into()));
    assert_eq!(added["tollgate.usage.role"], Value::StringValue("owner".into()));
    assert!(matches!(&added["tollgate.cost.price_id"], Value::StringValue(id) if id.contains("claude-haiku-4-5")));
    assert!(!added.contains_key("tollgate.truncated") && !added.contains_key("tollgate.error.class"));
}

#[test]
fn a_provider_told_by_the_models_name_is_said_to_be() {
    let flags = |attributes: Vec<KeyValue>| {
        let mut all =
            vec![s("gen_ai.operation.name", "chat"), s("gen_ai.request.model", "claude-haiku-4-5"), i("gen_ai.usage.input_tokens", 9)];
        all.extend(attributes);
        added(&EnrichConfig::default(), span(1, 0, all)).get("tollgate.cost.flags").cloned()
    };
    let Some(Value::ArrayValue(inferred)) = flags(vec![]) else { panic!("no flags") };
    assert_eq!(inferred.values, [AnyValue { value: Some(Value::StringValue("provider_inferred".into())) }]);
    assert_eq!(flags(vec![s("gen_ai.system", "anthropic")]), None);
    assert_eq!(flags(vec![s("server.address", "api.anthropic.com")]), None);
}

#[test]
fn a_count_that_cannot_be_true_has_no_price() {
    let skip = |attributes: Vec<KeyValue>| {
        let mut all = vec![s("gen_ai.operation.name", "chat"), s("gen_ai.request.model", "gpt-4o"), s("gen_ai.system", "openai")];
        all.extend(attributes);
        let saw = look("", vec![span(1, 0, all)]).remove(0);
        assert_eq!(saw.skip.is_some(), saw.cost.is_none());
        saw.skip
    };
    let double = |key: &str, value: f64| attribute(key, Value::DoubleValue(value));
    let (input, output) = ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens");
    assert_eq!(skip(vec![i(input, 10), i(output, -5)]), Some("bad_usage"));
    assert_eq!(skip(vec![i(input, (1 << 40) + 1), i(output, 5)]), Some("bad_usage"));
    assert_eq!(skip(vec![s(input, "-3"), i(output, 5)]), Some("bad_usage"));
    assert_eq!(skip(vec![i(input, -1)]), Some("bad_usage"));
    assert_eq!(skip(vec![s("mlflow.chat.tokenUsage", r#"{"input_tokens":-4,"output_tokens":5}"#)]), Some("bad_usage"));
    // Near misses: nobody knows, an alias that does, another family, the greatest count.
    assert_eq!(skip(vec![double(input, f64::NAN), i(output, 5)]), None);
    assert_eq!(skip(vec![i(input, -1), i("gen_ai.usage.prompt_tokens", 4), i(output, 5)]), None);
    assert_eq!(skip(vec![i(input, 4), i(output, 5), i("llm.token_count.prompt", -1)]), None);
    assert_eq!(skip(vec![i(input, 1 << 40), i(output, 5)]), None);
}

#[test]
fn a_zero_that_means_unknown_gives_way_to_a_price() {
    let cost = |key: &str, value: f64| {
        let mut span = chat(1, 0);
        span.attributes.push(attribute(key, Value::DoubleValue(value)));
        look("", vec![span])[0].cost.clone()
    };
    assert_eq!(cost("gen_ai.usage.cost", 0.0).as_deref(), Some("0.00365"));
    assert_eq!(cost("operation.cost", 0.0).as_deref(), Some("0"), "a free model");
    assert_eq!(cost("llm.cost_usd", 0.1).as_deref(), Some("0.1"));
    assert_eq!(cost("llm.estimated_cost_usd", 0.1).as_deref(), Some("0.00365"), "an estimate");
    assert_eq!(cost("operation.cost", -1.0).as_deref(), Some("0.00365"));
    assert_eq!(cost("operation.cost", f64::NAN).as_deref(), Some("0.00365"));
    let costs = |pairs: &[(&str, f64)]| {
        let mut span = chat(1, 0);
        span.attributes.extend(pairs.iter().map(|(key, value)| attribute(key, Value::DoubleValue(*value))));
        look("", vec![span])[0].cost.clone()
    };
    assert_eq!(costs(&[("gen_ai.usage.cost", 0.0), ("gen_ai.cost.total_cost", 0.2)]).as_deref(), Some("0.2"), "of a lower rank");
    assert_eq!(costs(&[("gen_ai.usage.cost", 0.0), ("operation.cost", 0.3)]).as_deref(), Some("0.3"));
    assert_eq!(costs(&[("gen_ai.usage.total_cost", 0.0), ("ai.total_cost", 0.4)]).as_deref(), Some("0.4"), "of the same rank");
    assert_eq!(costs(&[("gen_ai.usage.cost", 0.0), ("llm.estimated_cost_usd", 0.4)]).as_deref(), Some("0.00365"));
    assert_eq!(costs(&[("gen_ai.usage.cost", 0.1), ("operation.cost", 0.3)]).as_deref(), Some("0.1"));
}
