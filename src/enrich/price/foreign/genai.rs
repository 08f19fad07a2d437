//! genai-prices: an array of providers, whose models say how they are matched and what they cost per million tokens.
//!
//! Its `starts_with` and `contains` are open; here they become prefixes that end at a revision, like all of ours. Rules that ask for
//! several things at once become patterns that are bounded in the same way.

use super::{Gathered, Rewritten, Shelf, decimal, object, text};
use crate::enrich::price::format::{Conditions, Daily, Model, OneOrMany, Ordered, Price, Text, Variant};
use crate::enrich::price::names::Names;
use serde_json::{Map, Value};

/// Amounts per million tokens.
const RATES: [(&str, &str); 16] = [
    ("input_mtok", "input"),
    ("output_mtok", "output"),
    ("cache_read_mtok", "cache_read"),
    ("cache_write_mtok", "cache_write"),
    ("cache_write_5m_mtok", "cache_write_5m"),
    ("cache_write_1h_mtok", "cache_write_1h"),
    ("input_audio_mtok", "audio_in"),
    ("output_audio_mtok", "audio_out"),
    ("cache_audio_read_mtok", "cache_read_audio"),
    ("input_image_mtok", "image_in"),
    ("output_image_mtok", "image_out"),
    ("cache_image_read_mtok", "cache_read_image"),
    ("input_video_mtok", "video_in"),
    ("output_video_mtok", "video_out"),
    ("output_reasoning_mtok", "reasoning"),
    ("output_citation_mtok", "citation"),
];

/// Amounts per thousand things.
const FEES: [(&str, &str); 9] = [
    ("requests_kcount", "request"),
    ("web_searches_kcount", "web_search"),
    ("social_searches_kcount", "x_search"),
    ("storage_searches_kcount", "file_search"),
    ("code_executions_kcount", "code_execution"),
    ("rerank_searches_kcount", "rerank"),
    ("input_document_kpages", "page"),
    ("input_annotated_document_kpages", "annotated_page"),
    ("input_text_messages_kcount", "text_message"),
];

/// Amounts per hour or million characters, under the same name as ours.
const UNITS: [&str; 3] = ["audio_hours", "input_audio_hours", "input_mchars"];

type Skipped = Vec<(String, String)>;

/// The whole list in our form.
pub(super) fn rewrite(list: &[Value]) -> Rewritten {
    let mut shelf = Shelf::default();
    let mut skipped = Vec::new();
    for provider in list.iter().filter_map(object) {
        let Some(id) = provider.get("id").and_then(Value::as_str) else { continue };
        for model in provider.get("models").and_then(Value::as_array).into_iter().flatten().filter_map(object) {
            let Some(name) = model.get("id").and_then(Value::as_str) else { continue };
            let key = format!("{id}/{name}");
            match rewrite_model(name, model, &key, &mut skipped) {
                Some(model) => shelf.add(canonical(id, name), model),
                None => skipped.push((key, "no price that can be read".to_owned())),
            }
        }
        let lenders = provider.get("fallback_model_providers").and_then(Value::as_array);
        let lenders: Vec<Text> = lenders.into_iter().flatten().filter_map(Value::as_str).map(|id| text(canonical(id, ""))).collect();
        if !lenders.is_empty()
            && let Some(provider) = shelf.provider(canonical(id, ""))
        {
            provider.like.extend(lenders);
        }
    }
    (shelf.file(), skipped)
}

/// The canonical id of a provider; what is not here is found by alias.
fn canonical<'a>(id: &'a str, model: &str) -> &'a str {
    match id {
        "google" if model.starts_with("claude") || model.ends_with("-maas") => "gcp.vertex_ai",
        "google" => "gcp.gemini",
        "aws" => "aws.bedrock",
        "azure" => "azure.ai.openai",
        "mistral" => "mistral_ai",
        "x-ai" => "x_ai",
        "together" => "together_ai",
        "fireworks" => "fireworks_ai",
        "moonshotai" => "moonshot_ai",
        other => other,
    }
}

fn rewrite_model(name: &str, model: &Map<String, Value>, key: &str, skipped: &mut Skipped) -> Option<Model> {
    let mut rewritten = Model { id: Some(text(name)), ..Model::default() };
    if let Some(rule) = model.get("match") {
        matches(rule, &mut rewritten, key, skipped);
    }
    rewritten.prices = match model.get("prices")? {
        Value::Object(amounts) => gather(amounts, key, skipped).into_iter().map(|gathered| gathered.price(false)).collect(),
        Value::Array(steps) => steps.iter().filter_map(object).filter_map(|step| conditional(step, key, skipped)).collect(),
        _ => return None,
    };
    for variant in model.get("price_variants").and_then(Value::as_array).into_iter().flatten().filter_map(object) {
        let (Some(when), Some(amounts)) = (variant.get("when").and_then(object), variant.get("prices").and_then(object)) else { continue };
        let Some(gathered) = gather(amounts, key, skipped) else { continue };
        let Some(when) = conditions(when) else {
            skipped.push((key.to_owned(), "a variant for something calls do not have".to_owned()));
            continue;
        };
        let price = gathered.price(false);
        let Price { rates, tiers, fees, units, .. } = price;
        rewritten.variants.push(Variant { when, rates, tiers, fees, units, ..Variant::default() });
    }
    (!rewritten.prices.is_empty()).then_some(rewritten)
}

/// How a model is matched: a name, a bounded prefix, or a pattern.
fn matches(rule: &Value, model: &mut Model, key: &str, skipped: &mut Skipped) {
    for (kind, value) in object(rule).into_iter().flatten() {
        match (kind.as_str(), value) {
            ("equals", Value::String(name)) => model.names.push(text(name.as_str())),
            ("starts_with" | "contains", Value::String(start)) => model.prefixes.push(text(start.trim_end_matches(['-', '@', ':']))),
            ("ends_with", Value::String(end)) => model.patterns.push(text(ending(end))),
            ("regex", Value::String(pattern)) => match Names::default().add_pattern(pattern, 0) {
                Ok(()) => model.patterns.push(text(pattern.as_str())),
                Err(_) => skipped.push((key.to_owned(), "a pattern with look-around".to_owned())),
            },
            ("or", Value::Array(rules)) => rules.iter().for_each(|rule| matches(rule, model, key, skipped)),
            ("and", Value::Array(rules)) => match all_of(rules) {
                Some(patterns) => model.patterns.extend(patterns.into_iter().map(text)),
                None => skipped.push((key.to_owned(), "a match of several parts that fit no pattern".to_owned())),
            },
            _ => skipped.push((key.to_owned(), format!("the match \"{kind}\""))),
        }
    }
}

/// A pattern of names that end so. What stands before is whole words: `mini` is not the end of `gemini`.
fn ending(end: &str) -> String {
    let escaped = regex::escape(end);
    if end.starts_with(|c: char| c.is_alphanumeric()) { format!("(?:.*[^a-z0-9])?{escaped}") } else { format!(".*{escaped}") }
}

/// What may follow a name and leaves it the same model, as a pattern.
const REVISION: &str = "(?:[-@:](?:\\d{8}|\\d{4}-\\d{2}-\\d{2}|\\d{2}-\\d{2}|\\d{2}-\\d{4}|\\d{3,4}|latest|default|preview|exp|experimental|beta|v1|v1:0|v1:0:200k))*";

/// One part of a rule that asks for several.
enum Part<'r> {
    Start(&'r str),
    Inside(&'r str),
    End(&'r str),
}

/// Most parts in any order that are spelt out: four make 24 patterns.
const MAX_INSIDE: usize = 4;

/// The patterns of names for which every rule holds. Parts in the middle may come in any order; behind the last part only a revision may
/// follow, as behind any other prefix.
fn all_of(rules: &[Value]) -> Option<Vec<String>> {
    let mut choices: Vec<Vec<Part<'_>>> = vec![Vec::new()];
    for rule in rules {
        let alternatives = parts(rule)?;
        // Each choice so far with each alternative.
        choices = choices
            .iter()
            .flat_map(|parts| alternatives.iter().map(|part| parts.iter().chain([part]).map(Part::again).collect()))
            .collect();
        if choices.len() > 64 {
            return None;
        }
    }
    let mut patterns = Vec::new();
    for parts in choices {
        let whole = |which: fn(&Part<'_>) -> bool| parts.iter().filter(|part| which(part)).map(Part::text).collect::<Vec<_>>();
        let (starts, inside, ends) = (
            whole(|part| matches!(part, Part::Start(_))),
            whole(|part| matches!(part, Part::Inside(_))),
            whole(|part| matches!(part, Part::End(_))),
        );
        // Of two beginnings the longer holds the shorter, or nothing holds both.
        let (start, end) = (longest(&starts, |long, short| long.starts_with(short))?, longest(&ends, |long, short| long.ends_with(short))?);
        if inside.len() > MAX_INSIDE {
            return None;
        }
        for order in orders(&inside) {
            let inside: Vec<String> = order.iter().map(|part| regex::escape(part)).collect();
            let (first, gap) = if start.is_empty() { (".*".to_owned(), "") } else { (regex::escape(start), ".*") };
            let last = if end.is_empty() { REVISION.to_owned() } else { format!(".*{}", regex::escape(end)) };
            let middle = inside.join(".*");
            let gap = if inside.is_empty() { "" } else { gap };
            patterns.push(format!("{first}{gap}{middle}{last}"));
        }
    }
    Some(patterns)
}

impl<'r> Part<'r> {
    fn text(&self) -> &'r str {
        let (Part::Start(text) | Part::Inside(text) | Part::End(text)) = self;
        text
    }

    fn again(&self) -> Part<'r> {
        match self {
            Part::Start(text) => Part::Start(text),
            Part::Inside(text) => Part::Inside(text),
            Part::End(text) => Part::End(text),
        }
    }
}

/// The alternatives of one rule inside an `and`; `None` for one that is no text in a place.
fn parts(rule: &Value) -> Option<Vec<Part<'_>>> {
    let mut found = Vec::new();
    for (kind, value) in object(rule)? {
        match (kind.as_str(), value) {
            ("starts_with", Value::String(text)) => found.push(Part::Start(text)),
            ("contains", Value::String(text)) => found.push(Part::Inside(text)),
            ("ends_with", Value::String(text)) => found.push(Part::End(text)),
            ("or", Value::Array(rules)) => {
                for rule in rules {
                    found.extend(parts(rule)?);
                }
            }
            _ => return None,
        }
    }
    (!found.is_empty()).then_some(found)
}

/// The longest of some texts, if it holds all others; nothing of nothing is empty.
fn longest<'r>(texts: &[&'r str], holds: fn(&str, &str) -> bool) -> Option<&'r str> {
    let longest = texts.iter().copied().max_by_key(|text| text.len()).unwrap_or_default();
    texts.iter().all(|text| holds(longest, text)).then_some(longest)
}

/// Every order of some texts.
fn orders<'r>(texts: &[&'r str]) -> Vec<Vec<&'r str>> {
    if texts.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (at, first) in texts.iter().enumerate() {
        let rest: Vec<&str> = texts.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, text)| *text).collect();
        all.extend(orders(&rest).into_iter().map(|mut order| {
            order.insert(0, first);
            order
        }));
    }
    all
}

/// A price with the time for which it holds.
fn conditional(step: &Map<String, Value>, key: &str, skipped: &mut Skipped) -> Option<Price> {
    let gathered = gather(step.get("prices").and_then(object)?, key, skipped)?;
    let mut price = gathered.price(false);
    if let Some(constraint) = step.get("constraint").and_then(object) {
        let word = |key: &str| constraint.get(key).and_then(Value::as_str);
        price.from = word("start_date").map(text);
        price.daily = word("start_time").zip(word("end_time")).map(|(from, to)| {
            let minutes = |time: &str| text(time.get(..5).unwrap_or(time));
            Daily { from: Some(minutes(from)), to: Some(minutes(to)), ..Daily::default() }
        });
        if price.from.is_none() && price.daily.is_none() {
            // A condition we do not know: at all times would be a guess.
            skipped.push((key.to_owned(), "a constraint other than date or hours".to_owned()));
            return None;
        }
    }
    Some(price)
}

fn conditions(when: &Map<String, Value>) -> Option<Conditions> {
    let mut conditions = Vec::new();
    for (key, values) in when {
        crate::enrich::price::usage::ContextKey::named(key)?;
        let values = match values {
            Value::String(value) => vec![value.clone()],
            Value::Array(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => return None,
        };
        conditions.push((text(key.as_str()), OneOrMany(values)));
    }
    (!conditions.is_empty()).then_some(Ordered(conditions))
}

/// The amounts of a price; `None` if there is none we know.
fn gather(amounts: &Map<String, Value>, key: &str, skipped: &mut Skipped) -> Option<Gathered> {
    let mut gathered = Gathered::default();
    for (name, value) in amounts.iter().filter(|(_, value)| !value.is_null()) {
        let known = |list: &[(&'static str, &'static str)]| list.iter().find(|(theirs, _)| *theirs == name).map(|(_, ours)| *ours);
        let amount = decimal(value, 0);
        match (known(&RATES), known(&FEES), UNITS.iter().find(|unit| *unit == name), amount) {
            (Some(class), _, _, Some(amount)) => gathered.base.push((class, amount)),
            (Some(class), _, _, None) if tiered(class, value, &mut gathered).is_some() => {}
            (_, Some(fee), _, Some(amount)) => gathered.fees.push((fee, amount)),
            (_, _, Some(unit), Some(amount)) => gathered.units.push((unit, amount)),
            _ => skipped.push((key.to_owned(), format!("the amount \"{name}\""))),
        }
    }
    (!gathered.is_empty()).then_some(gathered)
}

/// `{base, tiers: [{start, price}]}`
fn tiered(class: &'static str, value: &Value, gathered: &mut Gathered) -> Option<()> {
    gathered.base.push((class, decimal(value.get("base")?, 0)?));
    for tier in value.get("tiers").and_then(Value::as_array).into_iter().flatten() {
        let (start, price) = (tier.get("start")?.as_u64()?, decimal(tier.get("price")?, 0)?);
        gathered.tiers.entry(start).or_default().push((class, price));
    }
    Some(())
}
