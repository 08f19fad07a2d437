//! Names that stay apart when they are redacted.
//!
//! Two addresses as members of one object become one name twice, and most readers keep one member of a name. So a redacted name
//! that is there already gets a number: `[EMAIL]#2`. A name that was written so by the sender keeps it, since redacting twice must be
//! redacting once, and the second time all of them are names as written.

use crate::redact::json::Decoded;
use crate::redact::{Edit, Sink, spliced};
use std::collections::{HashMap, HashSet};

/// The names of one object or map.
pub(in crate::redact) struct Names {
    taken: HashSet<String>,
    /// The last number given to a name, so that many of a kind take no more than their time.
    last: HashMap<String, usize>,
}

impl Names {
    /// Of a map where these names stay as they are.
    pub(in crate::redact) fn new(stay: impl Iterator<Item = String>) -> Names {
        Names { taken: stay.collect(), last: HashMap::new() }
    }

    /// Takes the name `head + tail`, or the first that is free with `#` and a number between the two; that number.
    pub(in crate::redact) fn take(&mut self, head: &str, tail: &str) -> Option<usize> {
        let plain = format!("{head}{tail}");
        if self.taken.insert(plain.clone()) {
            return None;
        }
        let last = self.last.entry(plain).or_insert(1);
        loop {
            *last = last.saturating_add(1);
            if self.taken.insert(format!("{head}#{last}{tail}")) {
                return Some(*last);
            }
        }
    }
}

/// A member name of an object at this nesting level.
pub(in crate::redact) struct Member {
    pub(in crate::redact) object: usize,
    pub(in crate::redact) start: usize,
    pub(in crate::redact) end: usize,
    /// The range of its edits.
    pub(in crate::redact) edits: (usize, usize),
}

/// Gives the redacted names of one object numbers where they would be those of others.
pub(in crate::redact) fn number(text: &str, members: &[Member], sink: &mut Sink) {
    // Where the head of the new name ends in the text, the head, and the edit that is its end.
    let renamed = |member: &Member, edits: &[Edit]| {
        let (from, to) = member.edits;
        let edits = edits.get(from..to)?;
        let last = edits.iter().rposition(|edit| edit.new.is_some())?;
        let cut = edits.get(last)?.end;
        let head = spliced(text, member.start, cut, edits);
        (text.get(member.start..cut) != Some(head.as_str())).then_some((cut, head, from + last))
    };
    if !members.iter().any(|member| renamed(member, &sink.edits).is_some()) {
        return;
    }
    let decoded = |raw: &str| if raw.contains('\\') { Decoded::string(raw).text } else { raw.to_owned() };
    let stay = members.iter().filter(|member| renamed(member, &sink.edits).is_none());
    let mut names = Names::new(stay.map(|member| decoded(text.get(member.start..member.end).unwrap_or_default())));
    for member in members {
        let Some((cut, head, last)) = renamed(member, &sink.edits) else { continue };
        let tail = text.get(cut..member.end).unwrap_or_default();
        if let Some(number) = names.take(&decoded(&head), &decoded(tail))
            && let Some(new) = sink.edits.get_mut(last).and_then(|edit| edit.new.as_mut())
        {
            new.push_str(&format!("#{number}"));
            // A number beside what was found may complete something.
            sink.restless = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Names;

    #[test]
    fn a_name_that_is_taken_gets_the_next_number_that_is_free() {
        let mut names = Names::new(["a".to_owned(), "a#3".to_owned()].into_iter());
        assert_eq!(names.take("b", ""), None);
        assert_eq!(names.take("a", ""), Some(2));
        assert_eq!(names.take("a", ""), Some(4));
        assert_eq!(names.take("b", ""), Some(2));
        assert_eq!(names.take("to b", " x"), None);
        assert_eq!(names.take("to b", " x"), Some(2));
    }
}
