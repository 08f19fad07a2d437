//! What else the rules say, one by one.

use super::*;

#[test]
fn the_host_decides_before_the_label() {
    let labelled = call("openai", "claude-sonnet-4-6", &[("input", 1_000)]);
    assert_eq!(not_priced(&PriceTable::bundled(), labelled), "unknown_model");
    let priced = costs("0.003", Call { host: Some("api.anthropic.com"), ..labelled });
    assert_eq!(&*priced.provider, "anthropic");
    let unlisted = Call { host: Some("proxy.internal"), ..call("anthropic", "claude-sonnet-4-6", &[("input", 1_000)]) };
    costs("0.003", unlisted);
}

#[test]
fn a_host_tells_the_region_unless_the_context_knows_better() {
    let vertex = call("gcp.vertex_ai", "claude-sonnet-4-6", &[("input", 1_000)]);
    let regional = Call { host: Some("us-east5-aiplatform.googleapis.com"), ..vertex };
    costs("0.003", Call { host: Some("aiplatform.googleapis.com"), ..vertex });
    costs("0.0033", regional);
    costs("0.003", with(ContextKey::Region, "global", regional));
}

#[test]
fn the_model_that_answered_is_billed_and_the_one_asked_only_if_need_be() {
    let call = call("openai", "gpt-4.1-2025-04-14", &[("input", 1_000)]);
    let other = Call { request_model: Some("gpt-4.1-nano"), ..call };
    costs("0.002", other);
    let unheard = Call { model: Some("my-router-7"), request_model: Some("gpt-4.1"), ..call };
    assert_eq!(flags(&costs("0.002", unheard)), ["request_model"]);
    let only_asked = Call { model: None, request_model: Some("gpt-4.1"), ..call };
    assert!(costs("0.002", only_asked).flags.is_empty());
    let neither = Call { model: Some("x"), request_model: Some("y"), ..call };
    assert_eq!(not_priced(&PriceTable::bundled(), neither), "unknown_model");
}

#[test]
fn a_provider_is_inferred_from_the_name_and_said_to_be() {
    let bare = |model| Call { provider: None, ..call("", model, &[("input", 1_000)]) };
    assert_eq!(flags(&costs("0.003", bare("claude-sonnet-4-6"))), ["provider_inferred"]);
    let groq = priced(&PriceTable::bundled(), &bare("groq/openai/gpt-oss-20b"));
    assert_eq!(&*groq.provider, "groq");
    assert_eq!(not_priced(&PriceTable::bundled(), bare("llama3")), "no_provider");
}

#[test]
fn each_missing_thing_has_its_own_reason() {
    let table = PriceTable::bundled();
    let full = call("openai", "gpt-4.1", &[("input", 1)]);
    assert_eq!(not_priced(&table, Call { usage: Usage::UNKNOWN, ..full }), "no_usage");
    assert_eq!(not_priced(&table, Call { usage: usage(&[("total", 9)]), ..full }), "tokens_not_split");
    let searched = usage(&[("total", 9), ("web_searches", 1)]);
    assert_eq!(not_priced(&table, Call { usage: searched, ..full }), "tokens_not_split", "fees alone would be half an answer");
    assert_eq!(not_priced(&table, Call { usage: usage(&[("cache_read", u64::MAX), ("cache_write", 1)]), ..full }), "bad_usage");
    assert_eq!(not_priced(&table, Call { model: None, ..full }), "no_model");
    assert_eq!(not_priced(&table, Call { model: Some("  "), ..full }), "no_model");
    let embedding = call("openai", "text-embedding-3-small", &[("input", 10), ("output", 10)]);
    assert_eq!(not_priced(&table, embedding), "unpriced_modality");
    let unsold = configured("{bundled: false, providers: {p: {models: [{id: m, prices: [{from: 2027-01-01, rates: {input: 1}}]}]}}}");
    assert_eq!(not_priced(&unsold, call("p", "m", &[("input", 1)])), "no_price_at_time");
}

#[test]
fn a_rerank_without_a_count_is_one_search() {
    let rerank = Call { rerank: true, usage: Usage::UNKNOWN, ..call("cohere", "rerank-v3.5", &[]) };
    assert_eq!(flags(&costs("0.002", rerank)), ["one_search_assumed"]);
    assert!(costs("0.006", Call { usage: usage(&[("reranks", 3), ("total", 500)]), ..rerank }).flags.is_empty());
    assert_eq!(not_priced(&PriceTable::bundled(), Call { rerank: false, ..rerank }), "no_usage");
    let by_token = Call { model: Some("rerank-2.5"), provider: Some("voyageai"), ..rerank };
    assert_eq!(not_priced(&PriceTable::bundled(), by_token), "no_usage", "this one is sold by the token");
}

#[test]
fn cached_tokens_that_do_not_fit_the_prompt_were_counted_beside_it() {
    let beside = call("anthropic", "claude-sonnet-4-6", &[("input", 1_000), ("cache_read", 10_000)]);
    assert_eq!(flags(&costs("0.006", beside)), ["cache_outside_input"]);
}

#[test]
fn a_part_larger_than_the_output_is_cut_and_said_to_be() {
    let table =
        configured("{bundled: false, providers: {p: {models: [{id: m, prices: [{rates: {input: 1, output: 10, reasoning: 20}}]}]}}}");
    let cut = priced(&table, &call("p", "m", &[("output", 100), ("reasoning", 150)]));
    assert_eq!((cut.total.to_string().as_str(), flags(&cut)), ("0.002", vec!["reasoning_exceeds_output"]));
}

#[test]
fn hours_are_charged_to_the_second() {
    // 0.36 USD per hour: 100 seconds are a hundredth of a dollar.
    let priced = costs("0.01", call("openai", "whisper-1", &[("audio_seconds", 100)]));
    assert_eq!(priced.input.to_string(), "0.01");
    assert_eq!(not_priced(&PriceTable::bundled(), call("openai", "gpt-4.1", &[("audio_seconds", 100)])), "unpriced_modality");
}

#[test]
fn a_users_discount_reaches_what_is_bundled_but_no_surcharge_reaches_a_users_price() {
    let mine = configured(
        "providers: {anthropic: {multipliers: [{factor: 0.5}], models: [{id: claude-opus-4-6, prices: [{rates: {input: 10}}]}]}}",
    );
    let us = |model| with(ContextKey::Region, "us", call("anthropic", model, &[("input", 1_000)]));
    assert_eq!(priced(&mine, &us("claude-opus-4-6")).total.to_string(), "0.005", "10 × 0.5, no 1.1");
    assert_eq!(priced(&mine, &us("claude-opus-4-7")).total.to_string(), "0.00275", "5 × 1.1 × 0.5");
}

#[test]
fn list_prices_are_lent_without_their_variants() {
    let lent = configured("providers: {acme-gateway: {like: [anthropic]}}");
    let batch = with(ContextKey::Processing, "batch", call("acme-gateway", "claude-sonnet-4-6", &[("input", 1_000)]));
    let priced = priced(&lent, &batch);
    assert_eq!((priced.total.to_string().as_str(), flags(&priced)), ("0.003", vec!["like", "unknown_processing"]));
}

#[test]
fn memory_of_names_has_a_limit() {
    let table = configured("{}");
    let names: Vec<String> = (0..10_000).map(|n| format!("name-{n}")).collect();
    for name in &names {
        table.price(&call("anthropic", name, &[("input", 1)]));
    }
    assert!(table.known.len() <= 4_097, "{}", table.known.len());
    let long = "x".repeat(100_000);
    assert_eq!(not_priced(&table, call("anthropic", &long, &[("input", 1)])), "unknown_model");
}

#[test]
fn an_explanation_has_every_line_and_the_same_amount() {
    let table = PriceTable::bundled();
    let counts = [("input", 9_020), ("cache_read", 7_000), ("output", 810), ("web_searches", 2)];
    let call = with(ContextKey::Region, "us", call("anthropic", "claude-opus-4-6", &counts));
    let explained = table.explain(&call);
    assert_eq!(explained.outcome, table.price(&call));
    assert_eq!(explained.lines.len(), 4, "{:?}", explained.lines);
    assert!(explained.lines[0].contains("7000 × 0.5 / 1,000,000 × 1.1"), "{}", explained.lines[0]);
    assert!(explained.reasons.iter().any(|reason| reason.contains("region us")), "{:?}", explained.reasons);
}

#[test]
fn the_bundled_table_loads_without_a_warning_and_every_entry_answers_to_its_own_name() {
    let table = PriceTable::bundled();
    assert!(table.warnings().is_empty(), "{:?}", table.warnings());
    assert!(table.models() > 1_000, "{}", table.models());
    for entry in &table.entries {
        let provider = &table.providers[entry.provider];
        let call = Call { provider: Some(&provider.id), start_time: parse_instant(NOON).unwrap(), ..Call::default() };
        let meaning = table.meaning(&call, &entry.id);
        let first = meaning.candidates.first().map(|c| &table.entries[c.entry]);
        assert!(first.is_some_and(|first| std::ptr::eq(first, entry)), "{} {}", provider.id, entry.id);
    }
}

#[test]
fn an_explanation_says_where_a_part_without_a_rate_went() {
    let counts = [("input", 2_310), ("cache_read", 1_024), ("output", 3_905), ("reasoning", 3_456)];
    let explained = PriceTable::bundled().explain(&call("openai", "o4-mini", &counts));
    let moved: Vec<_> = explained.reasons.iter().filter(|reason| reason.contains("charged as")).collect();
    assert_eq!(moved, ["reasoning 3456: no line of its own, charged as output"]);
}

#[test]
fn a_call_nobody_prices_comes_with_the_line_that_would() {
    let remedy = SkipReason::UnknownModel.remedy("azure.ai.openai", "chat\"x").unwrap();
    assert!(remedy.contains(r#"{"azure.ai.openai": {models: [{id: "chat\"x", prices"#), "{remedy}");
    assert!(SkipReason::UnknownProvider.remedy("acme", "m").unwrap().contains("like"));
    assert_eq!(SkipReason::NoUsage.remedy("acme", "m"), None);
}

#[test]
fn one_table_serves_all_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    let table = PriceTable::bundled();
    shared(&table);
    let sonnet = call("anthropic", "claude-sonnet-4-6", &[("input", 1_000)]);
    let totals: Vec<_> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..4).map(|_| scope.spawn(|| priced(&table, &sonnet).total)).collect();
        asked.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(totals.iter().all(|total| total.to_string() == "0.003"));
}

#[test]
fn two_doors_to_one_maker_share_their_entries() {
    let table = configured(
        "providers: {gcp.vertex_ai: {models: [{id: only-there, prices: [{rates: {input: 2}}], variants: [{when: {processing: batch}, factor: 0.5}]}]}}",
    );
    let there = call("gcp.gemini", "only-there", &[("input", 1_000)]);
    let shared = priced(&table, &there);
    assert_eq!((shared.total.to_string().as_str(), &*shared.provider, shared.flags.is_empty()), ("0.002", "gcp.gemini", true));
    assert_eq!(priced(&table, &with(ContextKey::Processing, "batch", there)).total.to_string(), "0.001", "variants too");
}

#[test]
fn a_variant_decides_class_by_class_and_from_its_first_day() {
    let table = configured(
        "{bundled: false, providers: {p: {models: [{id: m, prices: [{rates: {input: 10, output: 100}, tiers: [{above: 1000, rates: {input: 20}}]}],
          variants: [{when: {service_tier: flex}, from: 2026-11-01, rates: {input: 4}}, {when: {service_tier: flex}, factor: 0.5, keys: [output]}]}]}}}",
    );
    let flex = |input| with(ContextKey::ServiceTier, "flex", call("p", "m", &[("input", input), ("output", 1_000)]));
    assert_eq!(priced(&table, &flex(2_000)).input.to_string(), "0.008", "the standard tier of a replaced class is gone");
    assert_eq!(priced(&table, &flex(2_000)).output.to_string(), "0.05");
    let before = priced(&table, &at("2026-10-31", flex(2_000)));
    assert_eq!((before.input.to_string().as_str(), before.output.to_string().as_str()), ("0.04", "0.05"));
}
