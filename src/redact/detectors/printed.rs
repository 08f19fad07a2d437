//! Reading an identifier as it is printed: solid, or in groups with one sign between them.

use crate::redact::text::Text;

/// An identifier of at most 24 letters and digits, without its signs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printed {
    pub(crate) end: usize,
    /// Whether signs stood between the groups.
    pub(crate) grouped: bool,
    chars: [u8; 24],
    len: usize,
}

impl Printed {
    /// The letters and digits, letters as capitals.
    pub(crate) fn chars(&self) -> &[u8] {
        self.chars.get(..self.len).unwrap_or_default()
    }

    /// The letter or digit at a place, as a capital.
    pub(crate) fn at(&self, at: usize) -> u8 {
        self.chars().get(at).copied().unwrap_or(0)
    }
}

/// Reads groups of these lengths from `start` on, solid or with the same one of `seps` between each two. `class` says whether
/// a byte may stand at a place. What follows must not go on as a word.
pub(crate) fn read(text: &Text<'_>, start: usize, groups: &[usize], seps: &[u8], class: impl Fn(usize, u8) -> bool) -> Option<Printed> {
    let mut printed = Printed { end: start, grouped: false, chars: [0; 24], len: 0 };
    let mut sep = None;
    for (place, &len) in groups.iter().enumerate() {
        if place > 0 {
            let here = text.at(printed.end);
            let sep = *sep.get_or_insert(if seps.contains(&here) { here } else { 0 });
            if sep != 0 {
                if here != sep {
                    return None;
                }
                printed.grouped = true;
                printed.end += 1;
            }
        }
        for _ in 0..len {
            let here = text.at(printed.end).to_ascii_uppercase();
            if !class(printed.len, here) {
                return None;
            }
            *printed.chars.get_mut(printed.len)? = here;
            printed.len += 1;
            printed.end += 1;
        }
    }
    text.bounded(start, printed.end).then_some(printed)
}

/// A class for [`read`]: digits everywhere.
pub(crate) fn digits(_: usize, b: u8) -> bool {
    b.is_ascii_digit()
}
