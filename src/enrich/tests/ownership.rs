//! Whose usage counts.

use super::*;

#[test]
fn the_inner_call_counts_whatever_order_a_request_lists_them_in() {
    let mut stage = Stage::new(&EnrichConfig::default());
    // The framework's scope stands first, though its span ended last.
    stage.apply(vec![
        ("openinference.instrumentation.langchain", vec![chat(1, 0)]),
        ("opentelemetry.instrumentation.openai_v2", vec![chat(2, 1)]),
    ]);
    let roles: Vec<_> = stage.log.0.iter().map(|(_, saw)| (saw.role, saw.cost.is_some(), saw.skip)).collect();
    assert_eq!(roles, [(Some("duplicate"), false, Some("duplicate")), (Some("owner"), true, None)]);
    let total: Usd = stage.log.0.iter().map(|(facts, _)| facts.cost).sum();
    assert_eq!(total.to_string(), "0.00365");
}

#[test]
fn sums_on_wrappers_are_never_counted() {
    let vercel = |id, parent, operation: &str| {
        span(
            id,
            parent,
            vec![
                s("ai.operationId", operation),
                s("ai.model.id", "gpt-4o-mini"),
                s("ai.model.provider", "openai.chat"),
                i("ai.usage.promptTokens", 10),
                i("ai.usage.completionTokens", 5),
            ],
        )
    };
    let saw = look("ai", vec![vercel(2, 1, "ai.generateText.doGenerate"), vercel(1, 0, "ai.generateText")]);
    assert_eq!((saw[0].role, saw[1].role), (Some("owner"), Some("aggregate")));
    assert_eq!((saw[0].cost.as_deref(), saw[1].cost.as_deref()), (Some("0.0000045"), None));
    let agent = span(
        1,
        0,
        vec![s("gen_ai.operation.name", "invoke_agent"), i("gen_ai.usage.input_tokens", 9), s("gen_ai.request.model", "gpt-4o")],
    );
    assert_eq!(look("pydantic-ai", vec![chat(2, 1), agent.clone()])[1].role, Some("aggregate"));
    // A hosted agent, whose calls nobody sees.
    assert_eq!(look("", vec![Span { kind: 3, ..agent.clone() }])[0].role, Some("owner"));
    assert_eq!(look("", vec![chat(2, 1), Span { kind: 3, ..agent.clone() }])[1].role, Some("aggregate"));
    let orphans = EnrichConfig { price_orphan_aggregates: true, ..EnrichConfig::default() };
    assert_eq!(look_with(&orphans, "", vec![agent])[0].role, Some("owner"));
}

#[test]
fn where_one_inner_call_keeps_its_usage_to_itself_the_outer_one_counts() {
    let silent = |id, parent| span(id, parent, vec![s("gen_ai.operation.name", "chat"), s("gen_ai.request.model", "gpt-4o")]);
    let roles = |spans: Vec<Span>| look("", spans).into_iter().map(|saw| saw.role).collect::<Vec<_>>();
    assert_eq!(roles(vec![chat(3, 1), silent(2, 1), chat(1, 0)]), [Some("duplicate"), None, Some("owner")]);
    assert_eq!(roles(vec![chat(1, 0), chat(3, 1), silent(2, 1)]), [Some("owner"), Some("duplicate"), None]);
    // A call that failed used nothing, so nothing is missing.
    assert_eq!(roles(vec![chat(3, 1), error(silent(2, 1), "no"), chat(1, 0)]), [Some("owner"), None, Some("duplicate")]);
    // A container around both is no call.
    let agent = span(1, 0, vec![s("gen_ai.operation.name", "invoke_agent"), i("gen_ai.usage.input_tokens", 9)]);
    assert_eq!(roles(vec![chat(3, 1), silent(2, 1), agent]), [Some("owner"), None, Some("aggregate")]);
}

#[test]
fn two_spans_of_one_answer_are_one_call_and_a_resent_span_is_not_counted_again() {
    let with_id = |id, trace: u8| {
        let mut span = chat(id, 0);
        span.trace_id = vec![trace; 16];
        span.attributes.push(s("gen_ai.response.id", "msg_1"));
        span
    };
    let mut stage = Stage::new(&EnrichConfig::default());
    stage.apply(vec![("com.anthropic.sdk.python", vec![with_id(9, 1)])]);
    stage.apply(vec![("opentelemetry.instrumentation.anthropic", vec![with_id(5, 2)])]);
    stage.apply(vec![("com.anthropic.sdk.python", vec![with_id(9, 1)])]);
    let saw: Vec<_> = stage.log.0.iter().map(|(facts, saw)| (saw.role, saw.counted, facts.cost == Usd::ZERO)).collect();
    assert_eq!(saw, [(Some("owner"), true, false), (Some("duplicate"), false, true), (Some("owner"), false, true)]);
    let text = stage.telemetry.metrics.render();
    assert!(
        text.contains("tollgate_llm_calls_total{service=\"shop\",provider=\"anthropic\",model=\"claude-haiku-4-5\",outcome=\"ok\"} 1"),
        "{text}"
    );
    assert!(
        text.contains("tollgate_llm_cost_usd_total{service=\"shop\",provider=\"anthropic\",model=\"claude-haiku-4-5\"} 0.00365"),
        "{text}"
    );
}

#[test]
fn a_call_that_used_nothing_leaves_the_usage_to_the_call_around_it() {
    let zero = |id, parent| {
        let mut span = chat(id, parent);
        for pair in span.attributes.iter_mut().filter(|pair| pair.key.contains("tokens")) {
            *pair = i(&pair.key.clone(), 0);
        }
        span
    };
    let roles = |spans: Vec<Span>| look("", spans).into_iter().map(|saw| saw.role).collect::<Vec<_>>();
    assert_eq!(roles(vec![zero(2, 1), chat(1, 0)]), [Some("duplicate"), Some("owner")]);
    assert_eq!(roles(vec![chat(1, 0), zero(2, 1)]), [Some("owner"), Some("duplicate")]);
    let mut stage = Stage::new(&EnrichConfig::default());
    stage.apply(vec![("", vec![zero(2, 1)])]);
    stage.apply(vec![("", vec![chat(1, 0)])]);
    let saw: Vec<_> = stage.log.0.iter().map(|(_, saw)| (saw.role, saw.cost.clone())).collect();
    assert_eq!(saw, [(Some("owner"), Some("0".into())), (Some("owner"), Some("0.00365".into()))]);
    // A cost of its own is usage.
    let mut paid = zero(2, 1);
    paid.attributes.push(attribute("operation.cost", Value::DoubleValue(0.5)));
    assert_eq!(roles(vec![paid, chat(1, 0)]), [Some("owner"), Some("duplicate")]);
}

#[test]
fn a_sum_of_other_calls_alone_is_an_aggregate_on_a_call_too() {
    let summed = |attributes: Vec<KeyValue>| {
        let mut all = vec![s("gen_ai.operation.name", "chat"), s("gen_ai.request.model", "gpt-4o"), s("gen_ai.system", "openai")];
        all.push(i("gen_ai.aggregated_usage.input_tokens", 900));
        all.extend(attributes);
        let saw = look("", vec![span(1, 0, all)]).remove(0);
        (saw.role, saw.counted, saw.skip)
    };
    assert_eq!(summed(vec![]), (Some("aggregate"), false, Some("aggregate")));
    assert_eq!(summed(vec![i("gen_ai.usage.input_tokens", 9)]), (Some("owner"), true, None));
}
