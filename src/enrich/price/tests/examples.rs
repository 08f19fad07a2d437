//! The worked examples of the rules of cost, to the last digit.

use super::*;

#[test]
fn example_1_a_plain_call() {
    let priced = costs("0.00365", call("anthropic", "claude-haiku-4-5-20251001", &[("input", 1_840), ("output", 362)]));
    assert_eq!(&*priced.model, "claude-haiku-4-5");
    assert_eq!(&*priced.price_id, "bundled-2026-11-20/anthropic/claude-haiku-4-5/start");
    assert!(priced.flags.is_empty());
}

#[test]
fn example_2_a_cache_with_two_lifetimes() {
    let counts = [("input", 48_210), ("cache_read", 41_000), ("cache_write", 6_000), ("cache_write_1h", 4_500), ("output", 1_275)];
    let priced = costs("0.1128", call("anthropic", "claude-opus-4-7", &counts));
    let parts = [priced.input, priced.cache_read, priced.cache_write, priced.output].map(|usd| usd.to_string());
    assert_eq!(parts, ["0.00605", "0.0205", "0.054375", "0.031875"]);
}

#[test]
fn example_3_the_long_context_line_and_its_end() {
    let long = |input| call("anthropic", "claude-sonnet-4-6", &[("input", input), ("cache_read", 150_000), ("output", 2_000)]);
    costs("0.225", at("2026-02-20", long(200_000)));
    costs("0.435006", at("2026-02-20", long(200_001)));
    let priced = costs("0.225003", at("2026-03-13T00:00:00Z", long(200_001)));
    assert!(priced.price_id.ends_with("/2026-03-13"), "{}", priced.price_id);
    costs("0.435006", at("2026-03-12T23:59:59.999999999Z", long(200_001)));
}

#[test]
fn example_4_reasoning_is_output() {
    let counts = [("input", 2_310), ("cache_read", 1_024), ("output", 3_905), ("reasoning", 3_456)];
    costs("0.0188782", call("openai", "o4-mini-2025-04-16", &counts));
}

#[test]
fn example_5_batch_by_its_other_name() {
    let counts = [("input", 90_300), ("cache_read", 80_000), ("cache_write", 10_000), ("output", 3_300)];
    let priced = costs("0.05595", with(ContextKey::ServiceTier, "batch", call("anthropic", "claude-sonnet-4-6", &counts)));
    assert!(priced.flags.is_empty());
}

#[test]
fn example_6_tiers_of_service_above_the_line() {
    let counts = [("input", 310_000), ("cache_read", 250_000), ("cache_write", 50_000), ("output", 4_200)];
    let sol = call("openai", "gpt-5.6-sol", &counts);
    costs("0.906", sol);
    assert!(costs("1.812", with(ContextKey::ServiceTier, "Priority", sol)).flags.is_empty());
    costs("0.453", with(ContextKey::ServiceTier, "flex", sol));
    assert_eq!(flags(&costs("0.906", with(ContextKey::ServiceTier, "scale", sol))), ["unknown_service_tier"]);
}

#[test]
fn example_7_region_and_fee() {
    let counts = [("input", 9_020), ("cache_read", 7_000), ("output", 810), ("web_searches", 2)];
    let priced = costs("0.057235", with(ContextKey::Region, "us", call("anthropic", "claude-opus-4-6", &counts)));
    assert_eq!(priced.fees.to_string(), "0.02");
}

#[test]
fn example_8_bedrock_profiles() {
    let arn = "arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.anthropic.claude-sonnet-4-6";
    for (model, usd) in [
        (arn, "0.036795"),
        ("global.anthropic.claude-sonnet-4-6", "0.03345"),
        ("amazon.nova-lite-v1:0", "0.000612"),
        ("eu.amazon.nova-lite-v1:0", "0.0007956"),
    ] {
        costs(usd, call("aws.bedrock", model, &[("input", 6_400), ("output", 950)]));
    }
}

#[test]
fn example_9_a_retired_name_and_a_line_that_includes_its_number() {
    let grok = |model, input| call("x_ai", model, &[("input", input), ("output", 640)]);
    costs("0.609597", at("2026-05-15T18:59:59Z", grok("grok-4-0709", 199_999)));
    costs("0.25159875", at("2026-05-15T19:00:00Z", grok("grok-4-0709", 199_999)));
    costs("0.5032", grok("grok-4.3", 200_000));
}

#[test]
fn example_10_hours_and_weekdays() {
    let flash = call("deepseek", "deepseek-v4-flash", &[("input", 52_000), ("cache_read", 40_000), ("output", 1_800)]);
    costs("0.006", at("2026-11-13T03:59:59Z", flash));
    costs("0.003", at("2026-11-13T04:00:00Z", flash));
    costs("0.003", at("2026-11-14T03:00:00Z", flash));
}

#[test]
fn example_11_audio_partly_cached() {
    let counts =
        [("input", 4_100), ("audio_in", 3_000), ("cache_read", 1_500), ("cache_read_audio", 1_200), ("output", 1_150), ("audio_out", 980)];
    costs("0.12684", call("openai", "gpt-realtime-2025-08-28", &counts));
}

#[test]
fn example_12_a_name_nobody_knows() {
    let chat = call("azure.ai.openai", "chat-eu-01", &[("input", 7_300), ("output", 410)]);
    assert_eq!(not_priced(&PriceTable::bundled(), chat), "unknown_model");

    let named = configured("providers: {azure.ai.openai: {models: [{id: chat-eu-01, same_as: openai/gpt-4.1}]}}");
    let priced_by_name = priced(&named, &chat);
    assert_eq!((priced_by_name.total.to_string().as_str(), &*priced_by_name.model), ("0.01788", "chat-eu-01"));
    assert_eq!(&*priced_by_name.provider, "azure.ai.openai");

    let fallback = configured("fallback_model: anthropic/claude-sonnet-4-6");
    let assumed = priced(&fallback, &chat);
    assert_eq!(assumed.total.to_string(), "0.02805");
    assert_eq!(flags(&assumed), ["fallback"]);
}
