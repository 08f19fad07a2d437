//! Names and terms of the user: lists of up to a million, found in one walk.
//!
//! People have no format, so who must not be named has to be listed. The automaton reads the text as it is, letter by letter; case and
//! runs of white space are folded on the way in, so the text is not copied.

use crate::redact::Kind;
use crate::redact::config::{Dictionary as Config, DictionaryError};
use crate::redact::text::Hit;
use aho_corasick::automaton::Automaton;
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind};
use std::collections::VecDeque;
use std::sync::Arc;

/// Most entries of all dictionaries together.
pub(crate) const MAX_ENTRIES: usize = 1_000_000;
/// Longest entry in bytes, folded. Longer ones are no names.
const MAX_LENGTH: usize = 256;

/// The entries that a file lists, one a line; lines that begin with `#` are comments.
pub fn entries_of(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// One dictionary, ready for use. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Dictionary {
    automaton: Arc<NFA>,
    fold: bool,
    longest: usize,
    /// The bytes an entry can begin with.
    leads: Arc<[bool; 256]>,
}

impl Dictionary {
    /// A dictionary of what the config lists. Its file was read into that before, with [`entries_of`]; `known` counts all entries.
    pub(crate) fn new(config: &Config, known: &mut usize) -> Result<Dictionary, DictionaryError> {
        let mut entries = Vec::new();
        let mut longest = 0;
        let mut leads = [false; 256];
        if let Some(path) = &config.file {
            return Err(DictionaryError::Unread(path.clone()));
        }
        for entry in &config.entries {
            let folded: String = fold(entry.trim(), config.fold_case);
            if folded.chars().filter(|c| c.is_alphanumeric()).count() < 2 {
                return Err(DictionaryError::Short);
            }
            if folded.len() > MAX_LENGTH {
                return Err(DictionaryError::Long(MAX_LENGTH));
            }
            longest = longest.max(folded.chars().count());
            if let Some(lead) = folded.as_bytes().first().and_then(|&lead| leads.get_mut(usize::from(lead))) {
                *lead = true;
            }
            entries.push(folded);
            *known += 1;
            if *known > MAX_ENTRIES {
                return Err(DictionaryError::TooMany(MAX_ENTRIES));
            }
        }
        if entries.is_empty() {
            return Err(DictionaryError::Empty);
        }
        let automaton = NFA::builder().match_kind(MatchKind::Standard).build(&entries).map_err(|_| DictionaryError::TooLarge)?;
        Ok(Dictionary { automaton: Arc::new(automaton), fold: config.fold_case, longest, leads: Arc::new(leads) })
    }

    /// Adds every entry that stands in the text as a word.
    pub(crate) fn find(&self, text: &str, kind: Kind, hits: &mut Vec<Hit>) {
        let Ok(root) = self.automaton.start_state(Anchored::No) else { return };
        let mut state = root;
        // Where each of the last folded characters begins in the text, and how many bytes it folded to.
        let mut begins: VecDeque<(usize, usize)> = VecDeque::with_capacity(self.longest + 1);
        let mut folded = Folded::new(text, self.fold);
        let mut buffer = [0u8; 4];
        while let Some((at, c, end)) = folded.next() {
            if begins.len() > self.longest {
                begins.pop_front();
            }
            begins.push_back((at, c.len_utf8()));
            let bytes = c.encode_utf8(&mut buffer).as_bytes();
            if state == root && bytes.first().is_none_or(|&lead| !self.leads.get(usize::from(lead)).copied().unwrap_or(true)) {
                continue;
            }
            for &byte in bytes {
                state = self.automaton.next_state(Anchored::No, state, byte);
            }
            if !self.automaton.is_match(state) || text.get(end..).and_then(|rest| rest.chars().next()).is_some_and(joins) && joins(c) {
                continue;
            }
            for index in 0..self.automaton.match_len(state) {
                let mut left = self.automaton.pattern_len(self.automaton.match_pattern(state, index));
                let start = begins.iter().rev().find_map(|&(at, width)| {
                    left = left.saturating_sub(width);
                    (left == 0).then_some(at)
                });
                let Some(start) = start else { continue };
                let before = text.get(..start).and_then(|head| head.chars().next_back());
                let first = text.get(start..).and_then(|rest| rest.chars().next());
                if !(before.is_some_and(joins) && first.is_some_and(joins)) {
                    hits.push(Hit { start, end, kind, subtype: "" });
                    // Patterns that end here come longest first, and the longest is the one that counts.
                    break;
                }
            }
        }
    }
}

/// Letters and digits of any script join words, and so do marks on them.
fn joins(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '\u{300}'..='\u{36f}')
}

/// The characters of a text, folded, each with where it begins and ends.
struct Folded<'t> {
    rest: std::iter::Peekable<std::str::CharIndices<'t>>,
    fold: bool,
    /// What one character folds to beyond its first, as `İ` does.
    pending: Option<(usize, char, usize)>,
}

impl<'t> Folded<'t> {
    fn new(text: &'t str, fold: bool) -> Folded<'t> {
        Folded { rest: text.char_indices().peekable(), fold, pending: None }
    }

    fn next(&mut self) -> Option<(usize, char, usize)> {
        if let Some(pending) = self.pending.take() {
            return Some(pending);
        }
        let (at, c) = self.rest.next()?;
        let mut end = at + c.len_utf8();
        if c.is_whitespace() {
            while let Some((at, space)) = self.rest.next_if(|(_, c)| c.is_whitespace()) {
                end = at + space.len_utf8();
            }
            return Some((at, ' ', end));
        }
        if !self.fold || (c.is_ascii() && !c.is_ascii_uppercase()) {
            return Some((at, c, end));
        }
        let mut lower = c.to_lowercase();
        let first = lower.next().unwrap_or(c);
        self.pending = lower.next().map(|second| (at, second, end));
        Some((at, first, end))
    }
}

fn fold(entry: &str, case: bool) -> String {
    let mut folded = Folded::new(entry, case);
    std::iter::from_fn(|| folded.next()).map(|(_, c, _)| c).collect()
}

#[cfg(test)]
mod tests {
    use super::{Config, Dictionary, entries_of};
    use crate::redact::Kind;
    use crate::redact::config::DictionaryError;

    fn dictionary(entries: &[&str], fold: bool) -> Dictionary {
        let config = Config { entries: entries.iter().map(|e| (*e).to_owned()).collect(), fold_case: fold, ..Config::default() };
        Dictionary::new(&config, &mut 0).unwrap()
    }

    fn found<'t>(dictionary: &Dictionary, text: &'t str) -> Vec<&'t str> {
        let mut hits = Vec::new();
        dictionary.find(text, Kind::Custom(0), &mut hits);
        crate::redact::overlap::settle(hits).iter().map(|hit| &text[hit.start..hit.end]).collect()
    }

    #[test]
    fn names_are_found_as_words_in_any_spacing() {
        let names = dictionary(&["Jane Doe", "Jane", "Müller", "李雷"], true);
        assert_eq!(found(&names, "JANE\n  doe met jane."), ["JANE\n  doe", "jane"]);
        assert_eq!(found(&names, "Herr MÜLLER, Janet, xJane, jane_doe"), ["MÜLLER", "jane"]);
        assert_eq!(found(&names, "“李雷”"), ["李雷"]);
        assert!(found(&names, "Muller and Mu\u{308}ller").is_empty());
    }

    #[test]
    fn case_counts_where_it_is_told_to() {
        let names = dictionary(&["Mark"], false);
        assert_eq!(found(&names, "mark my words, Mark"), ["Mark"]);
    }

    #[test]
    fn letters_that_fold_to_two_keep_their_place() {
        let names = dictionary(&["İzmir Bey", "Ali"], true);
        assert_eq!(found(&names, "İzmir  Bey ve Ali"), ["İzmir  Bey", "Ali"]);
    }

    #[test]
    fn what_cannot_be_a_name_is_refused() {
        let refused = |entries: &[&str]| {
            let config = Config { entries: entries.iter().map(|e| (*e).to_owned()).collect(), ..Config::default() };
            Dictionary::new(&config, &mut 0).unwrap_err()
        };
        assert_eq!(entries_of("# people\n\n Jane Doe \nbob").collect::<Vec<_>>(), ["Jane Doe", "bob"]);
        assert!(matches!(refused(&[]), DictionaryError::Empty));
        assert!(matches!(refused(&["x"]), DictionaryError::Short));
        assert!(matches!(refused(&[&"x".repeat(300)]), DictionaryError::Long(_)));
    }

    #[test]
    fn many_entries_are_found_among_many() {
        let entries: Vec<String> = (0..20_000).map(|at| format!("name{at} family{at}")).collect();
        let config = Config { entries, fold_case: true, ..Config::default() };
        let names = Dictionary::new(&config, &mut 0).unwrap();
        assert_eq!(
            found(&names, "x name77 family77 y name19999\tfamily19999 name1 family2"),
            ["name77 family77", "name19999\tfamily19999"]
        );
    }
}
