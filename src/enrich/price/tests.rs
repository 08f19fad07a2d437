//! The worked examples, and the mistakes that users of other tools reported.

use super::when::parse_instant;
use super::*;
use std::io;

const NOON: &str = "2026-11-12T09:30:00Z";

fn usage(counts: &[(&str, u64)]) -> Usage {
    let mut usage = Usage::default();
    for (name, count) in counts {
        assert!(usage.set_named(name, *count), "{name}");
    }
    usage
}

fn call<'a>(provider: &'a str, model: &'a str, counts: &[(&str, u64)]) -> Call<'a> {
    let start_time = parse_instant(NOON).unwrap();
    Call { provider: Some(provider), model: Some(model), usage: usage(counts), start_time, ..Call::default() }
}

fn at<'a>(text: &str, call: Call<'a>) -> Call<'a> {
    Call { start_time: parse_instant(text).unwrap(), ..call }
}

fn with<'a>(key: ContextKey, value: &'a str, call: Call<'a>) -> Call<'a> {
    Call { context: call.context.with(key, value), ..call }
}

fn configured(yaml: &str) -> PriceTable {
    let config: PricesConfig = serde_yaml::from_str(yaml).unwrap();
    PriceTable::load(&config, &|_| Err(io::ErrorKind::NotFound.into())).unwrap()
}

#[track_caller]
fn priced(table: &PriceTable, call: &Call<'_>) -> Priced {
    match table.price(call) {
        Outcome::Priced(priced) => priced,
        Outcome::Unpriced(reason) => panic!("not priced: {}", reason.name()),
    }
}

#[track_caller]
fn costs(usd: &str, call: Call<'_>) -> Priced {
    let table = PriceTable::bundled();
    let priced = priced(&table, &call);
    assert_eq!(priced.total.to_string(), usd, "{:#?}", table.explain(&call));
    assert_eq!(priced.total, priced.input + priced.output + priced.cache_read + priced.cache_write + priced.fees);
    priced
}

fn flags(priced: &Priced) -> Vec<&'static str> {
    priced.flags.names().collect()
}

#[track_caller]
fn not_priced(table: &PriceTable, call: Call<'_>) -> &'static str {
    match table.price(&call) {
        Outcome::Unpriced(reason) => reason.name(),
        Outcome::Priced(priced) => panic!("priced: {priced:?}"),
    }
}

// The worked examples.

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

// The mistakes.

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
    assert_eq!(super::tests::priced(&PriceTable::bundled(), &batch).fees.to_string(), "0.01");
}

// What else the rules say.

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

mod always {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_parts_add_up_and_nothing_panics(
            counts in proptest::collection::vec(proptest::option::of(prop_oneof![0u64..2_000_000, any::<u64>()]), Class::COUNT),
            searches in proptest::option::of(0u64..100),
            entry in any::<prop::sample::Index>(),
            start_time in any::<u64>(),
            tier in prop::sample::select(vec!["", "batch", "priority", "flex", "scale"]),
            region in prop::sample::select(vec!["", "us", "eu", "global"]),
        ) {
            let table = PriceTable::bundled();
            let entry = entry.get(&table.entries);
            let mut usage = Usage::default();
            Class::ALL.iter().zip(&counts).for_each(|(class, count)| usage.set(*class, *count));
            usage.set_things(Fee::WebSearch, searches);
            let context = Context::default().with(ContextKey::ServiceTier, tier).with(ContextKey::Region, region);
            let provider = &table.providers[entry.provider].id;
            let call = Call { provider: Some(provider), model: Some(&entry.id), usage, context, start_time, ..Call::default() };
            if let Outcome::Priced(priced) = table.price(&call) {
                prop_assert_eq!(priced.total, priced.input + priced.output + priced.cache_read + priced.cache_write + priced.fees);
                prop_assert!(priced.total >= Usd::ZERO);
            }
        }

        #[test]
        fn any_name_has_an_answer(provider in ".{0,40}", model in "\\PC{0,80}", host in ".{0,40}") {
            let table = PriceTable::bundled();
            let call = Call { provider: Some(&provider), host: Some(&host), ..call("", &model, &[("input", 1)]) };
            table.price(&call);
        }
    }
}
