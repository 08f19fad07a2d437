//! Which entry a model name means.
//!
//! Names come with paths, dates, regions and revisions. All of that is undone step by step and never by guessing: a prefix
//! matches only up to a revision mark, because an open prefix is how a model gets billed at its neighbour's price without a word.

use ahash::AHashMap;
use regex::Regex;

/// No real name is longer; beyond this a "name" is somebody's text.
pub const MAX_NAME: usize = 2048;

/// The spellings under which a name is looked for, in order. `names_provider` tells whether a path segment is a provider.
pub fn spellings(name: &str, names_provider: impl Fn(&str) -> bool) -> Vec<String> {
    let mut all = vec![name.trim().to_lowercase()];
    if all[0].starts_with("arn:")
        && let Some((_, tail)) = all[0].rsplit_once('/')
    {
        all.push(tail.to_owned());
    }
    for _ in 0..4 {
        let Some(shorter) = without_path(all.last().map_or("", String::as_str), &names_provider).map(str::to_owned) else { break };
        all.push(shorter);
    }
    let spelt_out: Vec<_> = all.iter().filter_map(|spelling| with_spelt_date(spelling)).collect();
    all.extend(spelt_out);
    all.retain(|spelling| !spelling.is_empty());
    all
}

/// Without the first thing in front of it that is a path and not a name.
fn without_path<'n>(name: &'n str, names_provider: &impl Fn(&str) -> bool) -> Option<&'n str> {
    if name.starts_with("projects/")
        && let Some((_, model)) = name.split_once("/models/")
    {
        return Some(model);
    }
    if let Some((_, model)) = name.strip_prefix("publishers/").and_then(|rest| rest.split_once("/models/")) {
        return Some(model);
    }
    if let Some(model) = name.strip_prefix("models/") {
        return Some(model);
    }
    name.split_once('/').filter(|(segment, _)| names_provider(segment)).map(|(_, model)| model)
}

/// With `-20250807` as `-2025-08-07`, if it has a compact date.
fn with_spelt_date(name: &str) -> Option<String> {
    let at = name.match_indices('-').map(|(at, _)| at + 1).find(|at| {
        let rest = name.as_bytes().get(*at..).unwrap_or_default();
        compact_date(rest) && !rest.get(8).is_some_and(u8::is_ascii_digit)
    })?;
    let (head, rest) = name.split_at(at);
    Some(format!("{head}{}-{}-{}", rest.get(..4)?, rest.get(4..6)?, rest.get(6..)?))
}

/// `YYYYMMDD` in this century, at the start of the text.
fn compact_date(text: &[u8]) -> bool {
    let Some(date) = text.get(..8) else { return false };
    date.iter().all(u8::is_ascii_digit)
        && date.starts_with(b"20")
        && two_digits(date, 4).is_some_and(|m| (1..=12).contains(&m))
        && two_digits(date, 6).is_some_and(|d| (1..=31).contains(&d))
}

fn two_digits(text: &[u8], at: usize) -> Option<u8> {
    let pair = text.get(at..at + 2)?;
    pair.iter().all(u8::is_ascii_digit).then(|| (pair[0] - b'0') * 10 + pair[1] - b'0')
}

/// True if the text is nothing or a run of revision marks, each behind `-`, `@` or `:`.
pub fn is_revision(text: &str) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let Some(mark) = rest.strip_prefix(['-', '@', ':']) else { return false };
        let Some(length) = mark_length(mark) else { return false };
        rest = mark.get(length..).unwrap_or_default();
    }
    true
}

/// The length of the longest mark that the text begins with and that ends there or before a next mark.
fn mark_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let ends = |at: usize| bytes.get(at).is_none_or(|b| matches!(b, b'-' | b'@' | b':'));
    let digits = |from: usize, n: usize| bytes.get(from..from + n).is_some_and(|d| d.iter().all(u8::is_ascii_digit));
    let dash = |at: usize| bytes.get(at) == Some(&b'-');
    let month = |at: usize| two_digits(bytes, at).is_some_and(|m| (1..=12).contains(&m));
    let day = |at: usize| two_digits(bytes, at).is_some_and(|d| (1..=31).contains(&d));
    let dated = [
        (10, digits(0, 4) && dash(4) && month(5) && dash(7) && day(8)),
        (8, compact_date(bytes)),
        (7, month(0) && dash(2) && digits(3, 4)),
        (5, month(0) && dash(2) && day(3)),
        (4, digits(0, 4)),
        (3, digits(0, 3)),
    ];
    if let Some((length, _)) = dated.into_iter().find(|(length, is)| *is && ends(*length)) {
        return Some(length);
    }
    // The longest first: `v1:0:200k` is one mark, though `:0` alone is none.
    const WORDS: [&str; 9] = ["v1:0:200k", "v1:0", "v1", "experimental", "exp", "latest", "default", "preview", "beta"];
    WORDS.into_iter().find(|word| text.starts_with(word) && ends(word.len())).map(str::len)
}

/// How an entry was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// By its id or one of its names.
    Exact,
    /// By a prefix, up to a revision.
    Prefix,
    /// By a regular expression.
    Pattern,
}

/// The names of one provider in one layer.
#[derive(Debug, Default)]
pub struct Names {
    exact: AHashMap<Box<str>, usize>,
    prefixes: AHashMap<Box<str>, usize>,
    patterns: Vec<(Regex, bool, usize)>,
}

impl Names {
    /// Adds a whole name for an entry; if another entry has it already, that one is kept and returned.
    pub fn add_exact(&mut self, name: &str, entry: usize) -> Option<usize> {
        add(&mut self.exact, name, entry)
    }

    /// Adds a prefix for an entry; if another entry has it already, that one is kept and returned.
    pub fn add_prefix(&mut self, prefix: &str, entry: usize) -> Option<usize> {
        add(&mut self.prefixes, prefix, entry)
    }

    /// Adds a regular expression over whole names.
    ///
    /// # Errors
    /// What is wrong with the expression, in one line.
    pub fn add_pattern(&mut self, pattern: &str, entry: usize) -> Result<(), String> {
        // Names are at most a few dozen bytes; a pattern that needs more than this is a mistake.
        let regex = regex::RegexBuilder::new(&format!("^(?:{pattern})$")).case_insensitive(true).size_limit(1 << 20).build();
        let regex = regex.map_err(|e| e.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned())?;
        self.patterns.push((regex, pattern.to_lowercase().contains("ft:"), entry));
        Ok(())
    }

    /// The entry whose id or name this is.
    pub fn exact(&self, name: &str) -> Option<usize> {
        self.exact.get(name).copied()
    }

    /// Every entry that matches, the most particular first: exact, longest prefix, pattern in file order.
    pub fn matching(&self, name: &str, mut found: impl FnMut(usize, How)) {
        if let Some(entry) = self.exact(name) {
            found(entry, How::Exact);
        }
        let ends = name.char_indices().rev().filter(|(_, c)| matches!(c, '-' | '@' | ':')).map(|(at, _)| at);
        for at in std::iter::once(name.len()).chain(ends) {
            let (head, rest) = name.split_at(at);
            if let Some(entry) = self.prefixes.get(head)
                && is_revision(rest)
            {
                found(*entry, How::Prefix);
            }
        }
        // A tuned model costs more than its base: only an entry that says `ft:` speaks for it.
        let tuned = name.starts_with("ft:");
        for (pattern, says_tuned, entry) in &self.patterns {
            if (!tuned || *says_tuned) && pattern.is_match(name) {
                found(*entry, How::Pattern);
            }
        }
    }
}

fn add(names: &mut AHashMap<Box<str>, usize>, name: &str, entry: usize) -> Option<usize> {
    let name = name.trim().to_lowercase().into_boxed_str();
    match names.get(&name) {
        Some(taken) if *taken != entry => Some(*taken),
        Some(_) => None,
        None => {
            names.insert(name, entry);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelt(name: &str) -> Vec<String> {
        spellings(name, |segment| ["openai", "groq", "anthropic", "google"].contains(&segment))
    }

    #[test]
    fn paths_are_taken_off_one_by_one() {
        assert_eq!(spelt(" Groq/OpenAI/gpt-oss-20b "), ["groq/openai/gpt-oss-20b", "openai/gpt-oss-20b", "gpt-oss-20b"]);
        assert_eq!(
            spelt("projects/p/locations/l/publishers/google/models/gemini-2.5-pro"),
            ["projects/p/locations/l/publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"]
        );
        assert_eq!(spelt("publishers/google/models/gemini-2.5-pro")[1], "gemini-2.5-pro");
        assert_eq!(spelt("models/gemini-2.5-pro")[1], "gemini-2.5-pro");
        assert_eq!(spelt("arn:aws:bedrock:eu:1:inference-profile/eu.anthropic.claude-x")[1], "eu.anthropic.claude-x");
        assert_eq!(spelt("meta-llama/llama-3"), ["meta-llama/llama-3"], "not a provider, so part of the name");
        assert_eq!(spelt("openai/openai/openai/openai/openai/m").len(), 5, "four times at most");
    }

    #[test]
    fn a_compact_date_is_spelt_out_last() {
        assert_eq!(
            spelt("openai/gpt-5-20250807"),
            ["openai/gpt-5-20250807", "gpt-5-20250807", "openai/gpt-5-2025-08-07", "gpt-5-2025-08-07"]
        );
        assert_eq!(spelt("gpt-20259907").len(), 1, "no month 99");
        assert_eq!(spelt("gpt-202508071").len(), 1, "nine digits are no date");
    }

    #[test]
    fn revision_marks_are_a_closed_list() {
        for mark in [
            "",
            "-20250807",
            "@20250807",
            "-2025-08-07",
            "-08-07",
            "-08-2025",
            "-001",
            "-0613",
            "-latest",
            "@default",
            "-preview",
            "-exp-0827",
            "-experimental",
            "-beta",
            "-v1",
            "-v1:0",
            "-v1:0:200k",
            "-20251001-v1:0",
            "-preview-05-20",
            ":v1",
        ] {
            assert!(is_revision(mark), "{mark}");
        }
        for other in
            ["-codex", "-6", "-12", "-mini", "-pro-latest", "-v2", ":0", "-v1:1", "-12345", "-", "--", "latest", "-latest-x", "-8b", "-é"]
        {
            assert!(!is_revision(other), "{other}");
        }
    }

    #[test]
    fn the_longest_prefix_comes_before_the_shorter() {
        let mut names = Names::default();
        names.add_prefix("gpt-5", 1);
        names.add_prefix("gpt-5-preview", 2);
        names.add_exact("GPT-5-preview-001", 3);
        names.add_pattern("gpt-5.*", 4).unwrap();
        let mut found = Vec::new();
        names.matching("gpt-5-preview-001", |entry, _| found.push(entry));
        assert_eq!(found, [3, 2, 1, 4]);
        found.clear();
        names.matching("gpt-5-codex", |entry, _| found.push(entry));
        assert_eq!(found, [4], "no prefix reaches across a word");
    }

    #[test]
    fn a_pattern_is_over_the_whole_name_and_a_tuned_model_needs_it_said() {
        let mut names = Names::default();
        names.add_pattern("gpt|claude", 1).unwrap();
        names.add_pattern(".*", 2).unwrap();
        names.add_pattern("ft:gpt(:.*)?", 3).unwrap();
        let all = |name: &str| {
            let mut found = Vec::new();
            names.matching(name, |entry, _| found.push(entry));
            found
        };
        assert_eq!(all("gpt"), [1, 2]);
        assert_eq!(all("gpt-4"), [2]);
        assert_eq!(all("ft:gpt:org"), [3]);
        assert!(Names::default().add_pattern("gpt(?=-5)", 1).is_err(), "no look-around");
    }
}
