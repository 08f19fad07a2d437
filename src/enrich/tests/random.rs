//! Any span at all.

use super::*;
use proptest::prelude::*;

/// Keys with meaning, so that random spans reach every reader.
const KEYS: &[&str] = &[
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cost",
    "gen_ai.response.finish_reasons",
    "gen_ai.response.id",
    "gen_ai.usage.raw",
    "langfuse.observation.usage_details",
    "langfuse.observation.cost_details",
    "langfuse.observation.output",
    "llm.token_count.prompt",
    "openinference.span.kind",
    "llm.invocation_parameters",
    "mlflow.chat.tokenUsage",
    "mlflow.spanType",
    "ai.response.providerMetadata",
    "ai.operationId",
    "error.type",
    "error.http_status",
    "exception.message",
    "tollgate.usage.role",
    "tollgate.truncated",
    "hidden_params",
    "gen_ai.output.messages",
    "gen_ai.completion.0.finish_reason",
    "gen_ai.completion.99999999.finish_reason",
    "llm.cost_usd",
    "llm.truncated",
    "http.response.status_code",
    "some.other.key",
    "gen_ai.response.time_to_first_chunk",
    "langfuse.observation.completion_start_time",
];

fn any_value() -> impl Strategy<Value = Value> {
    let texts = prop_oneof![
        any::<String>(),
        "[\\[\\]{}\":,a-z0-9_. \\\\-]{0,60}",
        Just("chat".to_owned()),
        Just("gpt-4o".to_owned()),
        Just("length".to_owned()),
        Just("{\"input_tokens\": 5, \"output\": 1e400, \"total\": -3}".to_owned()),
        Just("[".repeat(5000)),
        Just("NaN".to_owned()),
        Just("9".repeat(50)),
    ];
    prop_oneof![
        texts.prop_map(Value::StringValue),
        any::<i64>().prop_map(Value::IntValue),
        (0i64..5000).prop_map(Value::IntValue),
        any::<f64>().prop_map(Value::DoubleValue),
        any::<bool>().prop_map(Value::BoolValue),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(Value::BytesValue),
        proptest::collection::vec("[a-z_]{0,10}", 0..4).prop_map(|texts| Value::ArrayValue(ArrayValue {
            values: texts.into_iter().map(|t| AnyValue { value: Some(Value::StringValue(t)) }).collect(),
        })),
    ]
}

fn any_span() -> impl Strategy<Value = Span> {
    let attributes = || {
        let attribute = (proptest::sample::select(KEYS), any_value()).prop_map(|(key, value)| attribute(key, value));
        proptest::collection::vec(attribute, 0..12)
    };
    (1u8..6, 0u8..6, attributes(), attributes(), 0i32..4, any::<u64>(), any::<u64>(), "[a-z_. ]{0,20}").prop_map(
        |(id, parent, attributes, event, code, start, end, name)| Span {
            status: Some(Status { code, message: name.clone() }),
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            events: vec![Event {
                name: if code == 1 { "exception".into() } else { "gen_ai.choice".into() },
                attributes: event,
                ..Event::default()
            }],
            kind: code,
            name,
            ..span(id, parent, attributes)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_span_is_read_without_a_panic_and_leaves_with_documented_keys_behind_it(spans in proptest::collection::vec(any_span(), 1..8)) {
        let profiles = vec![Profile::Langfuse, Profile::Phoenix, Profile::Mlflow, Profile::Logfire, Profile::Langsmith, Profile::FlatC];
        let mut stage = Stage::new(&EnrichConfig { profiles: profiles.try_into().unwrap(), ..EnrichConfig::default() });
        let items = stage.apply(vec![("ai", spans.clone())]);
        prop_assert_eq!(items.len(), spans.len());
        for (((item, facts), sent), added) in items.iter().zip(&spans).zip(stage.leave(&items)) {
            prop_assert_eq!(item.body(), sent.encode_to_vec());
            let added = Span::decode(&added[..]).unwrap();
            prop_assert_eq!(&Span { attributes: Vec::new(), ..added.clone() }, &Span::default(), "attributes and nothing else");
            let mut keys: Vec<&str> = sent.attributes.iter().map(|a| a.key.as_str()).collect();
            for attribute in &added.attributes {
                // Logfire's finish reasons take the place of those that stand.
                let superseded = attribute.key == "gen_ai.response.finish_reasons";
                prop_assert!(superseded || !keys.contains(&attribute.key.as_str()), "{} stands twice", attribute.key);
                prop_assert!(may_add(attribute.key.as_bytes()), "{}", attribute.key);
                keys.push(&attribute.key);
            }
            if facts.cost != Usd::ZERO {
                prop_assert!(facts.cost > Usd::ZERO && facts.llm_call);
            }
        }
        // Nothing with a price on a span that does not own.
        for (facts, saw) in &stage.log.0 {
            prop_assert!(saw.cost.is_none() || saw.role == Some("owner"));
            prop_assert!(saw.counted == facts.llm_call);
        }
    }
}
