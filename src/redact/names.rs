//! Names that stay apart when they are redacted.
//!
//! Two addresses as members of one object become one name twice, and most readers keep one member of a name. So a redacted name
//! that is there already gets a number: `[EMAIL]#2`. A name that was written so by the sender keeps it, since redacting twice must be
//! redacting once, and the second time all of them are names as written.

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
