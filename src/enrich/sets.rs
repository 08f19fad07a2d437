//! Sets of keys, and lists of which the first that is there speaks.
//!
//! A span carries ten watched keys out of three hundred, and dozens of lists ask for theirs. A list therefore knows its keys as a
//! set of bits as well: whether any of them stands on a span is five words compared, whatever the length of the list.

use crate::enrich::keys::Key;

const WORDS: usize = Key::COUNT.div_ceil(64);

/// A set of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keys([u64; WORDS]);

impl Keys {
    /// The set of these keys.
    pub(crate) const fn of(keys: &[Key]) -> Keys {
        let (mut set, mut i) = ([0; WORDS], 0);
        while i < keys.len() {
            set[keys[i] as usize / 64] |= 1 << (keys[i] as usize % 64);
            i += 1;
        }
        Keys(set)
    }

    /// The keys of either set.
    pub(crate) const fn and(self, other: Keys) -> Keys {
        let (mut set, mut i) = (self.0, 0);
        while i < WORDS {
            set[i] |= other.0[i];
            i += 1;
        }
        Keys(set)
    }

    /// Whether a key is in it.
    #[inline]
    pub(crate) fn has(&self, key: Key) -> bool {
        self.0[key as usize / 64] & 1 << (key as usize % 64) != 0
    }

    /// Puts a key in.
    #[inline]
    pub(crate) fn add(&mut self, key: Key) {
        self.0[key as usize / 64] |= 1 << (key as usize % 64);
    }

    /// Takes a key out.
    pub(crate) fn remove(&mut self, key: Key) {
        self.0[key as usize / 64] &= !(1 << (key as usize % 64));
    }

    /// Whether both sets have a key.
    #[inline]
    pub(crate) fn meets(&self, other: &Keys) -> bool {
        let (mut met, mut i) = (0, 0);
        while i < WORDS {
            met |= self.0[i] & other.0[i];
            i += 1;
        }
        met != 0
    }

    /// Whether no key is in it.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        !self.meets(self)
    }

    /// The keys in it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Key> + use<> {
        let keys = *self;
        let all = if keys.is_empty() { &[] } else { Key::all() };
        all.iter().copied().filter(move |key| keys.has(*key))
    }
}

/// Keys in the order of trust.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    pub(crate) keys: &'static [Key],
    pub(crate) set: Keys,
}

impl List {
    /// No key.
    pub(crate) const NONE: List = List::of(&[]);

    /// A list, its best key first.
    pub(crate) const fn of(keys: &'static [Key]) -> List {
        List { keys, set: Keys::of(keys) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_meet_where_they_share_a_key() {
        const ENDS: Keys = Keys::of(&[Key::ErrorType, Key::MlflowAny]);
        let mut one = Keys::default();
        assert!(!one.meets(&ENDS) && one.iter().next().is_none());
        one.add(Key::GenAiSystem);
        assert!(!one.meets(&ENDS));
        one.add(Key::MlflowAny);
        assert!(one.meets(&ENDS) && ENDS.meets(&one));
        assert_eq!(one.iter().collect::<Vec<_>>(), [Key::GenAiSystem, Key::MlflowAny]);
        assert_eq!(ENDS.and(one).iter().count(), 3);
    }
}
