//! What texts were found to mean, for the next span that says the same.
//!
//! A shard sees a handful of spellings, each by the million, and to fold one and search the tables takes longer than to find it
//! here. Bounded: senders choose the spellings, and somebody who makes up new ones only makes a shard forget.

use crate::enrich::provider::{canonical, from_model, known};
use ahash::RandomState;
use std::borrow::Cow;
use std::collections::HashMap;

/// Spellings that are remembered, of providers and of models each.
const MAX_NAMES: usize = 1024;

/// Longest text remembered: that of a provider, or of any model id in use.
const MAX_LENGTH: usize = 128;

/// What one shard has learnt.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    providers: Meanings,
    makers: Meanings,
}

type Meanings = HashMap<Box<str>, Option<&'static str>, RandomState>;

impl Memory {
    /// The canonical name of a raw provider text.
    pub(crate) fn canonical<'a>(&mut self, raw: &'a str) -> Option<Cow<'a, str>> {
        match recall(&mut self.providers, raw, known) {
            Some(known) => Some(Cow::Borrowed(known)),
            None => canonical(raw),
        }
    }

    /// Who makes a model, by its id.
    pub(crate) fn maker(&mut self, model: &str) -> Option<&'static str> {
        recall(&mut self.makers, model, from_model)
    }
}

fn recall(meanings: &mut Meanings, text: &str, work_out: impl FnOnce(&str) -> Option<&'static str>) -> Option<&'static str> {
    if let Some(known) = meanings.get(text) {
        return *known;
    }
    let meaning = work_out(text);
    if text.len() <= MAX_LENGTH {
        if meanings.len() >= MAX_NAMES {
            meanings.clear();
        }
        meanings.insert(text.into(), meaning);
    }
    meaning
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_what_the_tables_say() {
        let mut memory = Memory::default();
        for _ in 0..2 {
            for raw in ["OpenAI", "az.ai.openai", "sambanova", "Nvidia_NIM", "langchain", "You are a helpful assistant", ""] {
                assert_eq!(memory.canonical(raw), canonical(raw), "{raw}");
            }
            for model in ["gpt-4o", "claude-haiku-4-5", "my-own"] {
                assert_eq!(memory.maker(model), from_model(model), "{model}");
            }
        }
    }

    #[test]
    fn made_up_names_cannot_fill_the_memory() {
        let mut memory = Memory::default();
        for n in 0..3 * MAX_NAMES {
            memory.canonical(&format!("provider-{n}"));
            memory.maker(&"x".repeat(n));
        }
        assert!(memory.providers.len() <= MAX_NAMES && memory.makers.len() <= MAX_LENGTH + 1);
    }
}
