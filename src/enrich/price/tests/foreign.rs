//! Lists made by others, on small samples in their shapes.

use super::*;

const LITELLM: &str = r#"{
  "sample_spec": {"litellm_provider": "one of many", "input_cost_per_token": 0.0},
  "gemini/new-flash": {"litellm_provider": "gemini", "mode": "chat", "input_cost_per_token": 3e-07, "output_cost_per_token": 2.5e-06,
    "input_cost_per_token_above_200k_tokens": 6e-07, "input_cost_per_token_batches": 1.5e-07, "cache_creation_input_token_cost": 0},
  "xai/new-grok": {"litellm_provider": "xai", "input_cost_per_token": 1e-06, "input_cost_per_token_above_128k_tokens": 2e-06},
  "claude-sonnet-4-6": {"litellm_provider": "anthropic", "mode": "chat", "input_cost_per_token": 3e-05, "output_cost_per_token": 1.5e-05},
  "claude-opus-4-7": {"litellm_provider": "anthropic", "mode": "chat", "input_cost_per_token": 4e-06, "output_cost_per_token": 2e-05},
  "claude-new": {"litellm_provider": "anthropic", "mode": "chat", "input_cost_per_token": 1e-06,
    "cache_creation_input_token_cost": 1.25e-06, "cache_creation_input_token_cost_above_1hr": 2e-06,
    "provider_specific_entry": {"us": 1.1, "fast": 6.0}, "search_context_cost_per_query": {"search_context_size_low": 0.01,
    "search_context_size_medium": 0.01, "search_context_size_high": 0.02}},
  "deepseek/new-chat": {"litellm_provider": "deepseek", "mode": "chat", "input_cost_per_token": 2e-06,
    "off_peak_pricing": {"hours_utc": "16:30-00:30", "input_cost_per_token": 1e-06}},
  "free-maybe": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 0, "output_cost_per_token": 0},
  "dall-e-9": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_token": 1e-06},
  "whisper-9": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_second": 0.0001}
}"#;

const GENAI: &str = r#"[
  {"id": "google", "models": [
    {"id": "new-pro", "match": {"or": [{"starts_with": "new-pro"}, {"equals": "new-pro-exact"}, {"regex": "new-(?=x)"}]},
     "prices": {"input_mtok": {"base": 1.25, "tiers": [{"start": 200000, "price": 2.5}]}, "output_mtok": 0.18000000000000002,
                "lunar_mtok": 3},
     "price_variants": [{"when": {"service_tier": ["priority"]}, "prices": {"input_mtok": 2}, "constraint": {"start_date": "2026-06-01"}}]},
    {"id": "claude-new", "match": {"contains": "claude-new"}, "prices": {"input_mtok": 9}}]},
  {"id": "deepseek", "models": [
    {"id": "new-seek", "match": {"equals": "new-seek"}, "prices": [
      {"prices": {"input_mtok": 4}},
      {"constraint": {"start_date": "2026-10-01"}, "prices": {"input_mtok": 2}},
      {"constraint": {"start_time": "16:30:00Z", "end_time": "00:30:00Z"}, "prices": {"input_mtok": 1}}]}]},
  {"id": "resold", "models": [], "fallback_model_providers": ["anthropic"]}
]"#;

fn load(list: &'static str, more: &str) -> PriceTable {
    let config: PricesConfig = serde_yaml::from_str(&format!("files: [{{path: list.json, as_of: 2026-11-10{more}}}]")).unwrap();
    PriceTable::load(&config, &|_| Ok(list.to_owned())).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

fn cost(table: &PriceTable, provider: &str, model: &str, counts: &[(&str, u64)], context: Context<'_>, at: &str) -> String {
    let mut usage = Usage::default();
    counts.iter().for_each(|(name, count)| assert!(usage.set_named(name, *count), "{name}"));
    let start_time = parse_instant(at).unwrap();
    match table.price(&Call { provider: Some(provider), model: Some(model), usage, context, start_time, ..Call::default() }) {
        Outcome::Priced(priced) => priced.total.to_string(),
        Outcome::Unpriced(reason) => reason.name().to_owned(),
    }
}

const NOON: &str = "2026-11-12T12:00:00Z";
const PLAIN: fn() -> Context<'static> = Context::default;

#[test]
fn litellm_rates_tiers_and_batches_are_read() {
    let table = load(LITELLM, "");
    let flash = |input, context| cost(&table, "gcp.gemini", "new-flash", &[("input", input), ("cache_write", 1)], context, NOON);
    assert_eq!(flash(200_000, PLAIN()), "0.06", "a cache write at 0 is not free but not billed apart");
    assert_eq!(flash(200_001, PLAIN()), "0.1200006");
    assert_eq!(flash(200_000, PLAIN().with(ContextKey::Processing, "batch")), "0.03");
    assert_eq!(cost(&table, "x_ai", "new-grok", &[("input", 128_000)], PLAIN(), NOON), "0.256", "xAI's lines include their number");
    assert_eq!(cost(&table, "openai", "whisper-9", &[("input_audio_seconds", 3_600)], PLAIN(), NOON), "0.36");
}

#[test]
fn litellm_lifetimes_regions_speeds_and_searches_are_read() {
    let table = load(LITELLM, "");
    let new = |counts: &[(&str, u64)], context| cost(&table, "anthropic", "claude-new", counts, context, NOON);
    assert_eq!(new(&[("input", 1_000), ("cache_write_1h", 1_000)], PLAIN()), "0.002");
    assert_eq!(new(&[("input", 1_000)], PLAIN().with(ContextKey::Region, "us")), "0.0011");
    assert_eq!(new(&[("input", 1_000)], PLAIN().with(ContextKey::Speed, "fast")), "0.006");
    assert_eq!(new(&[("input", 0), ("web_searches", 1)], PLAIN()), "0.01");
    assert_eq!(new(&[("input", 0), ("web_searches", 1)], PLAIN().with(ContextKey::SearchContextSize, "high")), "0.02");
    let chat = |at| cost(&table, "deepseek", "new-chat", &[("input", 1_000)], PLAIN(), at);
    assert_eq!((chat(NOON), chat("2026-11-12T17:00:00Z")), ("0.002".to_owned(), "0.001".to_owned()));
}

#[test]
fn litellm_zeros_and_other_modes_are_skipped() {
    let table = load(LITELLM, "");
    for model in ["free-maybe", "dall-e-9", "sample_spec"] {
        assert_eq!(cost(&table, "openai", model, &[("input", 1)], PLAIN(), NOON), "unknown_model", "{model}");
    }
}

#[test]
fn mistake_14_a_slipped_decimal_is_held_back_until_somebody_accepts_it() {
    let sonnet = |table: &PriceTable| cost(table, "anthropic", "claude-sonnet-4-6", &[("input", 1_000)], PLAIN(), NOON);
    let table = load(LITELLM, "");
    assert_eq!(sonnet(&table), "0.003", "the list says 30 per million");
    let held: Vec<_> = table.warnings().iter().filter(|w| matches!(w.problem, error::Problem::Held(_))).map(ToString::to_string).collect();
    assert_eq!(held.len(), 1, "{held:?}");
    assert!(held[0].starts_with("list.json: providers.anthropic.models.claude-sonnet-4-6: input moved"), "{}", held[0]);
    assert_eq!(table.layers()[1].held, 1);
    assert_eq!(sonnet(&load(LITELLM, ", accept: [anthropic/claude-sonnet-4-6]")), "0.03");
}

#[test]
fn a_list_speaks_for_the_time_since_it_was_fetched() {
    let table = load(LITELLM, "");
    let opus = |at| cost(&table, "anthropic", "claude-opus-4-7", &[("input", 1_000)], PLAIN(), at);
    assert_eq!(opus("2026-11-10T00:00:00Z"), "0.004");
    assert_eq!(opus("2026-11-09T23:59:59Z"), "0.005", "the bundled price still holds for the day before");
    let only_there = cost(&table, "gcp.gemini", "new-flash", &[("input", 1_000)], PLAIN(), "2026-01-01");
    assert_eq!(only_there, "0.0003", "asked last, but asked");
}

#[test]
fn genai_prices_are_read_with_bounded_prefixes() {
    let table = load(GENAI, "");
    let pro = |model, counts: &[(&str, u64)], context| cost(&table, "google", model, counts, context, NOON);
    assert_eq!(pro("new-pro-2026-10-01", &[("input", 200_000)], PLAIN()), "0.25");
    assert_eq!(pro("new-pro-exact", &[("input", 200_001)], PLAIN()), "0.5000025");
    assert_eq!(pro("new-pro-mini", &[("input", 1)], PLAIN()), "unknown_model");
    assert_eq!(pro("new-pro", &[("output", 1_000_000)], PLAIN()), "0.18");
    assert_eq!(pro("new-pro", &[("input", 1_000)], PLAIN().with(ContextKey::ServiceTier, "priority")), "0.002");
    assert_eq!(cost(&table, "gcp.vertex_ai", "claude-new", &[("input", 1_000)], PLAIN(), NOON), "0.009");
    assert_eq!(cost(&table, "resold", "claude-sonnet-4-6", &[("input", 1_000)], PLAIN(), NOON), "0.003");
    let warnings: Vec<_> = table.warnings().iter().map(ToString::to_string).collect();
    assert!(warnings.iter().any(|w| w.contains("google/new-pro: skipped: the amount \"lunar_mtok\"")), "{warnings:?}");
    assert!(warnings.iter().any(|w| w.contains("look-around")), "{warnings:?}");
}

#[test]
fn genai_rules_of_matching_are_bounded_whatever_they_say() {
    const RULES: &str = r#"[{"id": "google", "models": [
      {"id": "by-end", "match": {"ends_with": "pro-x"}, "prices": {"input_mtok": 1}},
      {"id": "by-both", "match": {"and": [{"starts_with": "nova"}, {"contains": "lite"}]}, "prices": {"input_mtok": 2}},
      {"id": "by-three", "match": {"and": [{"contains": "red"}, {"contains": "blue"}, {"ends_with": "-z"}]}, "prices": {"input_mtok": 3}},
      {"id": "by-choice", "match": {"and": [{"or": [{"starts_with": "sun"}, {"starts_with": "moon"}]}, {"contains": "mini"}]}, "prices": {"input_mtok": 4}},
      {"id": "by-regex", "match": {"regex": "star-\\d+"}, "prices": {"input_mtok": 5}},
      {"id": "by-nothing", "prices": {"input_mtok": 6}},
      {"id": "by-odd", "match": {"and": [{"regex": "a"}, {"contains": "b"}]}, "prices": {"input_mtok": 7}},
      {"id": "by-new", "match": {"resembles": "x"}, "prices": {"input_mtok": 8}}]}]"#;
    let table = load(RULES, "");
    let price = |model| cost(&table, "google", model, &[("input", 1_000_000)], PLAIN(), NOON);
    for (model, usd) in [
        ("pro-x", "1"),
        ("acme/pro-x", "1"),
        ("great-pro-x", "1"),
        ("nova-2-lite", "2"),
        ("nova-2-lite-20260101", "2"),
        ("nova-lite-latest", "2"),
        ("red-and-blue-z", "3"),
        ("blue-red-z", "3"),
        ("sun-mini", "4"),
        ("moon-2-mini-preview", "4"),
        ("star-12", "5"),
        ("by-nothing", "6"),
        ("by-odd", "7"),
        ("by-new", "8"),
        // Near misses: the neighbours of each.
        ("pro-x-mini", "unknown_model"),
        ("superpro-x", "unknown_model"),
        ("nova-2-lite-max", "unknown_model"),
        ("supernova-lite", "unknown_model"),
        ("red-z", "unknown_model"),
        ("blue-red-zz", "unknown_model"),
        ("mini-sun", "unknown_model"),
        ("star-12-x", "unknown_model"),
    ] {
        assert_eq!(price(model), usd, "{model}");
    }
    let warnings: Vec<_> = table.warnings().iter().map(ToString::to_string).collect();
    for said in ["google/by-odd: skipped: a match of several parts", "google/by-new: skipped: the match \"resembles\""] {
        assert!(warnings.iter().any(|warning| warning.contains(said)), "{said}: {warnings:?}");
    }
}

#[test]
fn a_broken_list_of_somebody_elses_is_refused_with_its_place() {
    let config: PricesConfig = serde_yaml::from_str("files: [list.json]").unwrap();
    for text in [
        "{\n  \"m\": {\"litellm_provider\": \"openai\",\n  \"input_cost_per_token\": 1e-06,,}\n}",
        "[{\"id\": \"x\",\n\"models\": [{\"prices\": {\"input_mtok\": }}]}]",
    ] {
        let errors = PriceTable::load(&config, &|_| Ok(text.to_owned())).unwrap_err();
        let line = if text.starts_with('{') { 3 } else { 2 };
        assert!(errors[0].to_string().starts_with(&format!("list.json:{line}:")), "{}", errors[0]);
    }
}

#[test]
fn genai_dates_and_hours_hold_and_the_last_in_force_wins() {
    let table = load(GENAI, "");
    let seek = |at| cost(&table, "deepseek", "new-seek", &[("input", 1_000)], PLAIN(), at);
    assert_eq!(seek("2026-09-30T12:00:00Z"), "0.004");
    assert_eq!(seek("2026-10-01T12:00:00Z"), "0.002");
    assert_eq!(seek("2026-11-12T17:00:00Z"), "0.001");
}

#[test]
fn a_list_of_the_wrong_shape_is_refused() {
    let config: PricesConfig = serde_yaml::from_str("files: [{path: list.json, format: litellm}]").unwrap();
    for text in ["[]", "{", "3"] {
        assert!(PriceTable::load(&config, &|_| Ok(text.to_owned())).is_err(), "{text}");
    }
    let unknown: PricesConfig = serde_yaml::from_str("files: [{path: list.json, format: other}]").unwrap();
    let errors = PriceTable::load(&unknown, &|_| Ok("format: tollgate-prices/1".to_owned())).unwrap_err();
    assert!(errors[0].to_string().contains("\"other\" is none of"), "{}", errors[0]);
}
