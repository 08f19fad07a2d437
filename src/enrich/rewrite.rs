//! What is changed on a span, where the config asks for it.
//!
//! Counts that leave the cache out, finish reasons in a provider's own words, a wrapper that a backend would price: each is right in its
//! vocabulary and wrong for somebody who reads them all alike. Nothing here happens by default. A new value is appended like any other
//! attribute; the old one goes as the span leaves.

use crate::enrich::call::LlmFacts;
use crate::enrich::config::{CacheWriteName, EnrichConfig, FinishReasons, Profile, Tokens};
use crate::enrich::finish::{self, Finish};
use crate::enrich::finishes;
use crate::enrich::keys::Key;
use crate::enrich::roles::Role;
use crate::enrich::scan::{self, Attributes};
use crate::enrich::tokens;
use crate::enrich::usage::{Semantics, Usage};
use crate::enrich::write::Writer;
use crate::otlp::span::Any;

/// Most finish reasons that are rewritten: a call has a handful of choices.
const MAX_CHOICES: usize = 64;

/// Writes what takes the place of something on the span. `as_sent` are its input and output as they were read. Gives the facts as they
/// are true of the span from then on.
pub(crate) fn apply<'a>(
    writer: &mut Writer<'_>,
    mut facts: LlmFacts<'a>,
    as_sent: [Option<u64>; 2],
    config: &EnrichConfig,
) -> LlmFacts<'a> {
    let rewrites = config.normalize.tokens == Tokens::Rewrite;
    let spells = config.normalize.finish_reasons == FinishReasons::Canonical || config.profiles.list().contains(&Profile::Logfire);
    let names = config.normalize.cache_write_name;
    if facts.kind.is_priced() && (rewrites || spells || names != CacheWriteName::None) {
        let changed = scan::once(facts.span, |attributes| {
            let changed = rewrites && facts.usage.is_some_and(|usage| counts(writer, attributes, as_sent, &usage));
            if spells {
                finish_reasons(writer, attributes, &facts);
            }
            cache_write_name(writer, attributes, &facts, names);
            changed
        });
        if changed {
            facts.semantics = Some(Semantics::Inclusive);
        }
    }
    if config.profiles.demotes() && facts.role == Some(Role::Duplicate) {
        writer.supersede(Key::OpeninferenceSpanKind);
        writer.str(Key::OpeninferenceSpanKind, "CHAIN");
    }
    facts
}

/// Puts the whole input and the whole output wherever the counts stand that were read as less. True where an input was changed.
fn counts(writer: &mut Writer<'_>, attributes: &Attributes<'_, '_>, as_sent: [Option<u64>; 2], usage: &Usage) -> bool {
    let (input, output) = (usage.input_total(), usage.output);
    let mut changed = false;
    for [inputs, outputs, totals] in tokens::flat() {
        changed |= as_sent[0].is_some_and(|was| put(writer, attributes, inputs, Some(was), input));
        if let Some(was) = as_sent[1] {
            put(writer, attributes, outputs, Some(was), output);
        }
        put(writer, attributes, totals, None, usage.total());
    }
    changed
}

/// Replaces the counts under some keys; with `was` only those that are this number. True where one was changed.
fn put(writer: &mut Writer<'_>, attributes: &Attributes<'_, '_>, keys: &[Key], was: Option<u64>, is: u64) -> bool {
    let mut changed = false;
    for key in keys.iter().copied().filter(|key| attributes.has(*key)) {
        let stands = attributes.count(key);
        if stands.is_some_and(|stands| stands != is && was.is_none_or(|was| was == stands)) {
            writer.supersede(key);
            writer.int(key, is);
            changed = true;
        }
    }
    changed
}

/// The finish reasons in our words, one for each choice as the sender listed them.
fn finish_reasons(writer: &mut Writer<'_>, attributes: &Attributes<'_, '_>, facts: &LlmFacts<'_>) {
    let Some(finish) = facts.finish else { return };
    let mut words = Vec::new();
    raw_reasons(attributes.any(Key::GenAiResponseFinishReasons), |element| {
        words.extend(finish::canonical(element).or(Some(Finish::Other)))
    });
    // An answer that something else says was cut off is looked for by this word.
    if words.is_empty() || facts.truncated == Some(true) && !words.contains(&Finish::Length) {
        words = vec![if facts.truncated == Some(true) { Finish::Length } else { finish }];
    }
    let words: Vec<&str> = words.into_iter().take(MAX_CHOICES).map(Finish::as_str).collect();
    if !is_list(attributes.any(Key::GenAiResponseFinishReasons), &words) {
        writer.supersede(Key::GenAiResponseFinishReasons);
        writer.strs(Key::GenAiResponseFinishReasons, words.iter().copied());
    }
}

/// Whether a value is already the list of these words.
fn is_list(value: Any<'_>, words: &[&str]) -> bool {
    matches!(value, Any::Array(_)) && value.elements().map(|element| element.as_str()).eq(words.iter().map(|word| Some(*word)))
}

/// Hands out the single reasons of a value of any shape, as many as are rewritten. An object is no list of words: what it means was read
/// with the answer.
fn raw_reasons(value: Any<'_>, mut each: impl FnMut(&str)) {
    match value {
        Any::Str(text) if text.contains('{') => {}
        Any::Str(text) => finish::elements(text).for_each(each),
        Any::Int(number) => each(&number.to_string()),
        Any::Array(_) => value.elements().take(MAX_CHOICES).for_each(|element| match element {
            Any::Str(text) if text.contains('{') => {}
            Any::Str(text) => finish::elements(text).for_each(&mut each),
            Any::Int(number) => each(&number.to_string()),
            _ => {}
        }),
        _ => {}
    }
}

/// Hands out the finish reasons of a span that no table knows. Only a list of plain words is told apart; whatever else a sender wrote
/// there may be text of an answer, and goes by no name.
pub(crate) fn unknown_reasons(item: &[u8], mut each: impl FnMut(&str)) {
    let mut left = MAX_CHOICES;
    scan::once(item, |attributes| {
        let keys = [Key::GenAiResponseFinishReasons].into_iter().chain(finishes::SINGLE.keys.iter().copied());
        let values = keys.map(|key| attributes.any(key)).chain(attributes.all(Key::CompletionFinishReason));
        for value in values.filter(|value| is_of_words(*value)) {
            raw_reasons(value, |element| {
                if left > 0 && finish::canonical(element).is_none() {
                    left -= 1;
                    each(element);
                }
            });
        }
    });
    if left == MAX_CHOICES {
        each("unknown");
    }
}

/// Whether a value is a reason, or a list of them, in the form that names have.
fn is_of_words(value: Any<'_>) -> bool {
    let plain = |text: &str| text.len() <= 256 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-,.\"'[] ".contains(&b));
    let short = |text: &str| finish::elements(text).all(|word| word.len() <= 32 && !word.contains(' '));
    match value {
        Any::Str(text) => plain(text) && short(text),
        value => value.elements().all(|element| element.as_str().is_none_or(|text| plain(text) && short(text))),
    }
}

/// Adds the other name of cache writes beside the one that is there.
fn cache_write_name(writer: &mut Writer<'_>, attributes: &Attributes<'_, '_>, facts: &LlmFacts<'_>, name: CacheWriteName) {
    let key = match name {
        CacheWriteName::None => return,
        CacheWriteName::Old => Key::GenAiUsageCacheCreationInputTokens,
        CacheWriteName::New => Key::GenAiUsageCacheWriteInputTokens,
    };
    if let Some(usage) = facts.usage
        && usage.cache_write() > 0
        && attributes.has_any(tokens::cache_write_names())
    {
        writer.int(key, usage.cache_write());
    }
}
