//! What is held of a span's enrichment until it leaves: ten bytes in the place of its attributes.
//!
//! Nine spans out of ten are dropped, so attributes are written when a span leaves. All that looking again cannot find out stands
//! in a note behind the span: whose the usage was said to be on arrival, and by which settings. It is encoded as a field that
//! spans do not have, so whoever reads fields steps over it; it never leaves.

use crate::enrich::roles::Role;

/// Field 2047, the last one whose tag takes two bytes, as eight bytes of fixed length.
const TAG: [u8; 2] = [0xf9, 0x7f];

/// A note is as long as this.
const LENGTH: usize = TAG.len() + size_of::<u64>();

/// Batches are numbered in so many bits: a shard that takes in a thousand a second starts again after nine thousand years.
const BATCH_BITS: u32 = 48;

/// Settings are numbered in so many.
pub(crate) const GENERATION_BITS: u32 = 12;

/// What is remembered of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// How its usage counted on arrival.
    pub(crate) role: Option<Role>,
    /// Another span of the same answer owns it, in another trace.
    pub(crate) elsewhere: bool,
    /// The attributes stand behind the note already.
    pub(crate) written: bool,
    /// The settings of its arrival.
    pub(crate) generation: u16,
    /// The batch it came in.
    pub(crate) batch: u64,
}

impl Note {
    /// Writes it.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let role = match self.role {
            None => 0,
            Some(Role::Owner) => 1,
            Some(Role::Aggregate) => 2,
            Some(Role::Duplicate) => 3,
        };
        let flags = role | u64::from(self.elsewhere) << 2 | u64::from(self.written) << 3;
        let generation = u64::from(self.generation) & ((1 << GENERATION_BITS) - 1);
        let bits = self.batch << (64 - BATCH_BITS) | generation << 4 | flags;
        out.extend_from_slice(&TAG);
        out.extend_from_slice(&bits.to_le_bytes());
    }

    /// The note at the beginning of what was added to a span, and what stands behind it.
    #[inline]
    pub(crate) fn split(added: &[u8]) -> (Option<Note>, &[u8]) {
        let Some((note, rest)) = added.split_at_checked(LENGTH) else { return (None, added) };
        let Some(bits) = note.strip_prefix(&TAG).and_then(|bits| bits.try_into().ok()).map(u64::from_le_bytes) else {
            return (None, added);
        };
        let role = match bits & 3 {
            1 => Some(Role::Owner),
            2 => Some(Role::Aggregate),
            3 => Some(Role::Duplicate),
            _ => None,
        };
        let generation = (bits >> 4 & ((1 << GENERATION_BITS) - 1)) as u16;
        let note = Note { role, elsewhere: bits & 4 != 0, written: bits & 8 != 0, generation, batch: bits >> (64 - BATCH_BITS) };
        (Some(note), rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::wire::{Fields, Value};

    #[test]
    fn a_note_is_read_back_as_it_was_written() {
        for role in [None, Some(Role::Owner), Some(Role::Aggregate), Some(Role::Duplicate)] {
            for (elsewhere, written) in [(false, true), (true, false)] {
                let note = Note { role, elsewhere, written, generation: 4095, batch: (1 << BATCH_BITS) - 1 };
                let mut out = Vec::new();
                note.write(&mut out);
                out.extend_from_slice(b"rest");
                assert_eq!(Note::split(&out), (Some(note), &b"rest"[..]));
            }
        }
    }

    #[test]
    fn who_reads_fields_steps_over_it() {
        let mut out = Vec::new();
        Note { role: None, elsewhere: false, written: false, generation: 0, batch: 7 }.write(&mut out);
        let fields: Vec<_> = Fields::new(&out).collect();
        assert!(fields.len() == 1 && fields[0].number == 2047 && matches!(fields[0].value, Value::Fixed64(_)));
    }

    #[test]
    fn attributes_are_no_note() {
        let mut out = Vec::new();
        crate::otlp::append::Attributes::of_span(&mut out).str("tollgate.usage.role", "owner");
        assert_eq!(Note::split(&out), (None, &out[..]));
        assert_eq!(Note::split(&TAG), (None, &TAG[..]));
        assert_eq!(Note::split(&[]), (None, &[][..]));
    }
}
