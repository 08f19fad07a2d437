//! LiteLLM's list: one object, one key per model, costs per token in flat keys.
//!
//! Its names for providers and costs are public facts of the format; see `model_prices_and_context_window.json` of that
//! project.

use super::{Gathered, Rewritten, Shelf, decimal, object, text};
use crate::enrich::price::directory::normal_form;
use crate::enrich::price::format::{Conditions, Daily, Model, Multiplier, OneOrMany, Ordered, Price, Variant};
use crate::units::Usd;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Costs per token and the class they are for.
const RATES: [(&str, &str); 17] = [
    ("input_cost_per_token", "input"),
    ("output_cost_per_token", "output"),
    ("cache_read_input_token_cost", "cache_read"),
    ("cache_creation_input_token_cost", "cache_write"),
    ("cache_creation_input_token_cost_above_1hr", "cache_write_1h"),
    ("cache_creation_input_token_cost_above_12hr", "cache_write_12h"),
    ("output_cost_per_reasoning_token", "reasoning"),
    ("input_cost_per_audio_token", "audio_in"),
    ("output_cost_per_audio_token", "audio_out"),
    ("cache_read_input_audio_token_cost", "cache_read_audio"),
    ("input_cost_per_image_token", "image_in"),
    ("output_cost_per_image_token", "image_out"),
    ("cache_read_input_image_token_cost", "cache_read_image"),
    ("input_cost_per_video_token", "video_in"),
    ("output_cost_per_video_token", "video_out"),
    ("citation_cost_per_token", "citation"),
    ("input_cost_per_token_cache_hit", "cache_read"),
];

/// Endings that name a kind of service.
const SERVICES: [(&str, &str, &str); 5] = [
    ("_batches", "processing", "batch"),
    ("_flex", "service_tier", "flex"),
    ("_priority", "service_tier", "priority"),
    ("_balanced", "service_tier", "balanced"),
    ("_ultrafast", "service_tier", "ultrafast"),
];

/// Costs without which 0 for the others means "not known".
const SOLD_BY: [&str; 5] =
    ["input_cost_per_token", "output_cost_per_token", "input_cost_per_query", "input_cost_per_second", "input_cost_per_request"];

/// The whole list in our form.
pub(super) fn rewrite(list: &Map<String, Value>) -> Rewritten {
    let mut shelf = Shelf::default();
    let mut skipped = Vec::new();
    for (key, entry) in list.iter().filter(|(key, _)| *key != "sample_spec") {
        let Some(entry) = object(entry) else { continue };
        let Some(owner) = entry.get("litellm_provider").and_then(Value::as_str) else { continue };
        let mode = entry.get("mode").and_then(Value::as_str).unwrap_or("chat");
        if !["chat", "completion", "responses", "embedding", "realtime", "rerank"].contains(&mode) {
            continue;
        }
        let positive = |cost: &str| entry.get(cost).and_then(|v| decimal(v, 6)).is_some_and(|amount| amount != "0");
        if !SOLD_BY.into_iter().any(positive) {
            continue;
        }
        let provider = canonical(owner);
        match model(key, owner, provider, entry) {
            Some(model) => shelf.add(provider, model),
            None => skipped.push((key.clone(), "no rate that can be read".to_owned())),
        }
    }
    (shelf.file(), skipped)
}

/// The canonical id of a provider; what is not here is found by alias.
fn canonical(owner: &str) -> &str {
    match owner {
        "gemini" => "gcp.gemini",
        "azure" | "azure_ai" => "azure.ai.openai",
        "mistral" | "codestral" => "mistral_ai",
        "xai" => "x_ai",
        "moonshot" => "moonshot_ai",
        "voyage" => "voyageai",
        "text-completion-openai" => "openai",
        _ if owner.starts_with("vertex_ai") => "gcp.vertex_ai",
        _ if owner.starts_with("bedrock") => "aws.bedrock",
        other => other,
    }
}

fn model(key: &str, owner: &str, provider: &str, entry: &Map<String, Value>) -> Option<Model> {
    // The key without the segment that names its provider.
    let name = match key.split_once('/') {
        Some((segment, name)) if normal_form(segment) == normal_form(owner) || canonical(segment) == provider => name,
        _ => key,
    };
    let at_least = provider == "x_ai";
    let mut standard = Gathered::default();
    let mut services: BTreeMap<(&str, &str), Gathered> = BTreeMap::new();
    for (cost, value) in entry {
        let Some((class, tier, service)) = cost_of(cost) else { continue };
        let Some(amount) = decimal(value, 6) else { continue };
        let gathered = match service {
            Some(service) => services.entry(service).or_default(),
            None => &mut standard,
        };
        let rates = tier.map_or(&mut gathered.base, |line| gathered.tiers.entry(line).or_default());
        if rates.iter().all(|(known, _)| *known != class) {
            rates.push((class, amount));
        }
    }
    let sold = standard.base("input").is_some_and(|amount| amount != "0");
    for gathered in services.values_mut().chain([&mut standard]) {
        let unbilled = |(class, amount): &(&str, String)| sold && class.starts_with("cache_write") && amount == "0";
        gathered.base.retain(|rate| !unbilled(rate));
        gathered.tiers.values_mut().for_each(|rates| rates.retain(|rate| !unbilled(rate)));
    }
    let amount = |cost: &str, shift: i32| entry.get(cost).and_then(|value| decimal(value, shift));
    standard.fees.extend(amount("input_cost_per_query", 3).map(|fee| ("rerank", fee)));
    standard.fees.extend(amount("input_cost_per_request", 3).map(|fee| ("request", fee)));
    standard.units.extend(per_hour(entry).map(|price| ("input_audio_hours", price)));

    let mut variants = web_searches(entry, owner, &mut standard);
    if standard.is_empty() {
        return None;
    }
    variants.extend(services.into_iter().filter(|(_, gathered)| !gathered.base.is_empty()).map(|((key, value), gathered)| {
        let (rates, tiers) = (gathered.rates(), gathered.tiers(at_least));
        Variant { when: when(key, value), rates, tiers, ..Variant::default() }
    }));
    let mut multipliers = Vec::new();
    let mut surcharge = |factor: Option<String>, region: &str, unless: Conditions| {
        let factor = factor.filter(|factor| factor != "1").map(text);
        multipliers.extend(factor.map(|f| Multiplier { when: when("region", region), unless, factor: Some(f), ..Multiplier::default() }));
    };
    let specific = entry.get("provider_specific_entry").and_then(object);
    let specific = |key: &str| specific.and_then(|map| map.get(key)).and_then(|value| decimal(value, 0));
    let everywhere = Conditions::default;
    surcharge(specific("us").or(amount("regional_processing_uplift_multiplier_us", 0)), "us", everywhere());
    surcharge(amount("regional_processing_uplift_multiplier_eu", 0), "eu", everywhere());
    surcharge(amount("regional_endpoint_uplift_multiplier", 0), "*", when("region", "global"));
    let fast = specific("fast").map(|factor| Variant { when: when("speed", "fast"), factor: Some(text(factor)), ..Variant::default() });
    variants.extend(fast);

    let mut prices = vec![standard.price(at_least)];
    prices.extend(off_peak(entry, &standard, at_least));
    Some(Model { id: Some(text(name)), prices, variants, multipliers, ..Model::default() })
}

/// Class, tier and service that a cost key speaks of.
fn cost_of(key: &str) -> Option<(&'static str, Option<u64>, Option<(&'static str, &'static str)>)> {
    let mut rest = key;
    let mut service = None;
    if let Some((ending, name, value)) = SERVICES.iter().find(|(ending, ..)| key.ends_with(ending)) {
        rest = key.strip_suffix(ending)?;
        service = Some((*name, *value));
    }
    let mut tier = None;
    if let Some((head, line)) = rest.strip_suffix("k_tokens").and_then(|head| head.rsplit_once("_above_")) {
        tier = Some(line.parse::<u64>().ok()?.checked_mul(1000)?);
        rest = head;
    }
    let class = RATES.iter().find(|(cost, _)| *cost == rest)?.1;
    Some((class, tier, service))
}

fn when(key: &str, value: &str) -> Conditions {
    Ordered(vec![(text(key), OneOrMany(vec![value.to_owned()]))])
}

/// A price per second, by the hour.
fn per_hour(entry: &Map<String, Value>) -> Option<String> {
    // By the million first: six decimals of a dollar per second would lose what an hour shows.
    let per_million = decimal(entry.get("input_cost_per_second")?, 6)?.parse::<Usd>().ok()?;
    let per_hour = per_million.pico().checked_mul(3_600)? / 1_000_000;
    let six_decimals = per_hour.checked_add(500_000)? / 1_000_000 * 1_000_000;
    Some(Usd::from_pico(six_decimals).to_string())
}

/// The fee of a web search by its size, as a standard fee and variants of it.
fn web_searches(entry: &Map<String, Value>, owner: &str, standard: &mut Gathered) -> Vec<Variant> {
    let Some(fees) = entry.get("search_context_cost_per_query").and_then(object) else { return Vec::new() };
    let of = |size: &str| fees.get(&format!("search_context_size_{size}")).and_then(|value| decimal(value, 3));
    // What the provider takes when nobody says.
    let usual = if owner == "perplexity" { "low" } else { "medium" };
    let Some(fee) = of(usual).or_else(|| ["low", "medium", "high"].into_iter().find_map(of)) else { return Vec::new() };
    let others = ["low", "medium", "high"].into_iter().filter_map(|size| Some((size, of(size)?))).filter(|(_, other)| *other != fee);
    let variants = others.map(|(size, other)| {
        let fees = Ordered(vec![(text("web_search"), text(other))]);
        Variant { when: when("search_context_size", size), fees, ..Variant::default() }
    });
    let variants = variants.collect();
    standard.fees.push(("web_search", fee));
    variants
}

/// Entries for the hours in which other rates hold.
fn off_peak(entry: &Map<String, Value>, standard: &Gathered, at_least: bool) -> Vec<Price> {
    let Some(block) = entry.get("off_peak_pricing").and_then(object) else { return Vec::new() };
    let mut price = standard.price(at_least);
    for (cost, value) in block {
        let (Some((class, None, None)), Some(amount)) = (cost_of(cost), decimal(value, 6)) else { continue };
        price.rates.0.retain(|(known, _)| known.value != class);
        price.tiers.iter_mut().for_each(|tier| tier.rates.0.retain(|(known, _)| known.value != class));
        price.rates.0.push((text(class), text(amount)));
    }
    let hours = match block.get("hours_utc") {
        Some(Value::String(hours)) => vec![hours.as_str()],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let windows = hours.into_iter().filter_map(|hours| hours.split_once('-'));
    let windows = windows.map(|(from, to)| Daily { from: Some(text(from.trim())), to: Some(text(to.trim())), ..Daily::default() });
    windows.map(|daily| Price { daily: Some(daily), ..price.clone() }).collect()
}
