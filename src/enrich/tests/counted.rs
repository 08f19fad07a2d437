//! What the counters say.

use super::*;

#[test]
fn labels_are_filtered_and_their_number_is_limited() {
    let telemetry = Telemetry::new(1 << 30);
    let filter: LabelFilter = Arc::new(|name| if name.contains('@') { Cow::Borrowed("[EMAIL]") } else { Cow::Borrowed(name) });
    let mut enrich = Enrich::new(&EnrichConfig::default(), PriceTable::bundled(), &telemetry, &Shared::default(), filter);
    let mut stage = Stage::new(&EnrichConfig::default());
    std::mem::swap(&mut enrich, &mut stage.enrich);
    let model = |id: u8, name: String| {
        span(id, 0, vec![s("gen_ai.operation.name", "chat"), s("gen_ai.request.model", &name), i("gen_ai.usage.input_tokens", 1)])
    };
    stage.apply(vec![("", vec![model(1, "for-anna@example.com".into())])]);
    for n in 0..20u8 {
        stage.apply(vec![("", (1..=200).map(|id| model(id, format!("hostile-{n}-{id}\u{7}{}", "x".repeat(500)))).collect())]);
    }
    let text = telemetry.metrics.render();
    assert!(!text.contains("anna@") && text.contains("model=\"[EMAIL]\""));
    assert!(text.contains("model=\"_other\""));
    let series = text.lines().filter(|line| line.starts_with("tollgate_llm_calls_total{")).count();
    assert!(series <= 2 * 1001, "{series}");
    assert!(text.lines().all(|line| line.len() < 1000));
}

#[test]
fn what_cannot_be_right_is_counted_and_not_believed() {
    let mut stage = Stage::new(&EnrichConfig::default());
    let mut odd = chat(1, 0);
    odd.attributes.extend([s("gen_ai.system", "openai"), attribute("gen_ai.usage.cache_read.input_tokens", Value::DoubleValue(f64::NAN))]);
    odd.attributes.push(s("gen_ai.response.finish_reasons", "because"));
    stage.apply(vec![("", vec![odd])]);
    let text = stage.telemetry.metrics.render();
    for line in [
        "tollgate_enrich_attribute_conflicts_total{field=\"provider\"} 1",
        "tollgate_enrich_invalid_attributes_total{field=\"gen_ai.usage.cache_read.input_tokens\"} 1",
        "tollgate_enrich_unknown_finish_reasons_total{value=\"because\"} 1",
        "tollgate_enrich_price_table_timestamp_seconds{layer=\"bundled",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert_eq!(stage.log.0[0].1.finish, Some("other"));
    // What is no word may be text of an answer.
    for (id, text) in [(2, "password: hunter2"), (3, r#"[{"finish_reason":"weird","message":"free text"}]"#), (4, "because I said so")] {
        let mut odd = chat(id, 0);
        odd.attributes.push(s("gen_ai.response.finish_reasons", text));
        stage.apply(vec![("", vec![odd])]);
    }
    let text = stage.telemetry.metrics.render();
    assert!(text.contains("tollgate_enrich_unknown_finish_reasons_total{value=\"unknown\"}"), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("weird") && !text.contains("free text") && !text.contains("I said"), "{text}");
}
