//! The mistakes that users of other tools reported.

use super::*;

#[test]
fn mistake_1_cached_tokens_are_not_charged_at_the_input_rate_as_well() {
    // 3 and 0.3: all of it was cached, so nothing is left at 3.
    costs("0.0003", call("anthropic", "claude-sonnet-4-6", &[("input", 1_000), ("cache_read", 1_000)]));
}

#[test]
fn mistake_2_reasoning_is_not_added_to_output_that_holds_it() {
    costs("0.0044", call("openai", "o4-mini", &[("input", 0), ("output", 1_000), ("reasoning", 1_000)]));
}

#[test]
fn mistake_3_writes_for_an_hour_are_charged_as_such_whoever_counts_the_total() {
    let split = [("input", 1_000), ("cache_write_5m", 400), ("cache_write_1h", 600)];
    costs("0.0085", call("anthropic", "claude-opus-4-7", &split));
    let both = [("input", 1_000), ("cache_write", 1_000), ("cache_write_1h", 600)];
    costs("0.0085", call("anthropic", "claude-opus-4-7", &both));
    let total = [("input", 1_000), ("cache_write", 1_000)];
    costs("0.00625", call("anthropic", "claude-opus-4-7", &total));
}

#[test]
fn mistake_4_a_tier_counts_cached_tokens_and_moves_the_whole_request() {
    let long = |input, read| at("2026-02-20", call("anthropic", "claude-sonnet-4-6", &[("input", input), ("cache_read", read)]));
    costs("0.6", long(200_000, 0));
    costs("1.200006", long(200_001, 0));
    costs("0.1200006", long(200_001, 200_001));
}

#[test]
fn mistake_5_the_tier_that_served_is_the_one_billed() {
    // The request's word never reaches the price: there is one tier in a call, and standard means standard.
    let sol = call("openai", "gpt-5.6-sol", &[("input", 1_000)]);
    let standard = priced(&PriceTable::bundled(), &sol).total;
    let served = priced(&PriceTable::bundled(), &with(ContextKey::ServiceTier, "default", sol));
    assert_eq!((served.total, served.flags.is_empty()), (standard, true));
}

#[test]
fn mistake_6_a_long_name_is_not_priced_by_a_short_one() {
    let table = PriceTable::bundled();
    let model = |provider, name| priced(&table, &call(provider, name, &[("input", 1)])).model;
    assert_eq!(&*model("openai", "gpt-5.6-sol"), "gpt-5.6-sol");
    assert_ne!(model("openai", "gpt-5.1-codex-mini"), model("openai", "gpt-5.1"));
    assert_ne!(model("google", "gemini-1.5-flash"), model("google", "gemini-1.5-flash-8b"));
    assert_eq!(not_priced(&table, call("openai", "gpt-5-unheard-of", &[("input", 1)])), "unknown_model");
    assert_eq!(not_priced(&table, call("anthropic", "claude-opus-4-99", &[("input", 1)])), "unknown_model");
}

#[test]
fn mistake_7_a_tuned_model_is_not_its_base_nor_the_reverse() {
    let table = PriceTable::bundled();
    let tuned = priced(&table, &call("openai", "ft:gpt-4.1-2025-04-14:org::id", &[("input", 1_000)]));
    let base = priced(&table, &call("openai", "gpt-4.1-2025-04-14", &[("input", 1_000)]));
    assert!(tuned.total > base.total);
    assert_eq!(not_priced(&table, call("openai", "ft:gpt-5.6-sol:org::id", &[("input", 1)])), "unknown_model");
    let mine = configured("providers: {openai: {models: [{id: all, patterns: ['.*'], prices: [{rates: {input: 0, output: 0}}]}]}}");
    let still = priced(&mine, &call("openai", "ft:gpt-4.1-2025-04-14:org::id", &[("input", 1_000)]));
    assert_eq!(still.total, tuned.total, "a pattern that does not say ft: is not for tuned models");
}

#[test]
fn mistake_8_regional_and_global_profiles_have_their_own_prices() {
    let table = PriceTable::bundled();
    let total = |model| priced(&table, &call("aws.bedrock", model, &[("input", 10_000)])).total;
    assert!(total("us.anthropic.claude-sonnet-4-6") > total("global.anthropic.claude-sonnet-4-6"));
}

#[test]
fn mistake_9_a_reseller_does_not_get_the_first_party_price() {
    let table = PriceTable::bundled();
    let resold = call("acme-gateway", "anthropic/claude-sonnet-4-6", &[("input", 1_000)]);
    assert_eq!(not_priced(&table, resold), "unknown_provider");
    let nobody = Call { provider: None, ..call("", "acme/claude-sonnet-4-6", &[("input", 1_000)]) };
    assert_eq!(not_priced(&table, nobody), "no_provider");
    let at_list_price = configured("providers: {acme-gateway: {like: [openai, anthropic]}}");
    let priced = priced(&at_list_price, &resold);
    assert_eq!((priced.total.to_string().as_str(), flags(&priced)), ("0.003", vec!["like"]));
    assert_eq!(&*priced.provider, "acme-gateway");
}

#[test]
fn mistake_10_yesterdays_span_has_yesterdays_price() {
    let mine = configured("providers: {anthropic: {models: [{id: claude-sonnet-4-6, prices: [{from: 2026-11-12, rates: {input: 1}}]}]}}");
    let sonnet = call("anthropic", "claude-sonnet-4-6", &[("input", 1_000)]);
    assert_eq!(priced(&mine, &at("2026-11-12", sonnet)).total.to_string(), "0.001");
    let before = priced(&mine, &at("2026-11-11T23:59:59Z", sonnet));
    assert_eq!(before.total.to_string(), "0.003", "the layer below keeps the time before");
    assert!(before.price_id.starts_with("bundled-"));
}

#[test]
fn mistake_11_an_unknown_model_is_not_free() {
    let table = PriceTable::bundled();
    assert_eq!(not_priced(&table, call("ollama", "llama3", &[("input", 10)])), "unknown_provider");
    let free = configured("providers: {ollama: {models: [{id: local, patterns: ['.*'], prices: [{rates: {input: 0, output: 0}}]}]}}");
    assert_eq!(priced(&free, &call("ollama", "llama3", &[("input", 10), ("output", 5)])).total, Usd::ZERO);
}

#[test]
fn mistake_12_sums_do_not_end_in_a_binary_tail() {
    let priced = costs("0.3", call("anthropic", "claude-sonnet-4-6", &[("input", 100_000)]));
    assert_eq!(priced.total.to_f64(), 0.3);
}

#[test]
fn mistake_13_neither_surcharge_nor_discount_touches_fees() {
    let discount = configured("providers: {anthropic: {multipliers: [{factor: 0.85}]}}");
    let searched = call("anthropic", "claude-opus-4-6", &[("input", 1_000), ("web_searches", 1)]);
    let priced = priced(&discount, &searched);
    assert_eq!((priced.input.to_string().as_str(), priced.fees.to_string().as_str()), ("0.00425", "0.01"));
    let batch = with(ContextKey::Processing, "batch", searched);
    assert_eq!(super::priced(&PriceTable::bundled(), &batch).fees.to_string(), "0.01");
}
