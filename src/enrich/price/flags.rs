//! On what a price rests, where it rests on more than a name and a list.

use crate::enrich::price::usage::Class;
use std::fmt;

/// A set of flags, as written to `tollgate.cost.flags`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Flags(u32);

const NAMES: [&str; 14] = [
    "request_model",
    "provider_inferred",
    "like",
    "fallback",
    "unknown_service_tier",
    "unknown_processing",
    "unknown_speed",
    "cache_outside_input",
    "reasoning_exceeds_output",
    "audio_out_exceeds_output",
    "image_out_exceeds_output",
    "video_out_exceeds_output",
    "citation_exceeds_output",
    "one_search_assumed",
];

impl Flags {
    /// Priced by the model that was asked for: the one that answered is in no table.
    pub const REQUEST_MODEL: Flags = Flags(1);
    /// The provider was told from the name of the model.
    pub const PROVIDER_INFERRED: Flags = Flags(1 << 1);
    /// At the list price of the provider it is resold from.
    pub const LIKE: Flags = Flags(1 << 2);
    /// As the model of `fallback_model`.
    pub const FALLBACK: Flags = Flags(1 << 3);
    /// As standard: no price for the tier that served.
    pub const UNKNOWN_SERVICE_TIER: Flags = Flags(1 << 4);
    /// As standard: no price for this way of processing.
    pub const UNKNOWN_PROCESSING: Flags = Flags(1 << 5);
    /// As standard: no price for this speed.
    pub const UNKNOWN_SPEED: Flags = Flags(1 << 6);
    /// More was cached than the prompt had, so it was added to it.
    pub const CACHE_OUTSIDE_INPUT: Flags = Flags(1 << 7);
    /// A rerank without a count was taken for one search.
    pub const ONE_SEARCH_ASSUMED: Flags = Flags(1 << 13);

    /// Adds flags.
    pub const fn set(&mut self, other: Flags) {
        self.0 |= other.0;
    }

    /// True if all of those are set.
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// True if there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Says that a part of the output was larger than the output.
    pub(super) const fn exceeds_output(&mut self, class: Class) {
        self.0 |= match class {
            Class::Reasoning => 1 << 8,
            Class::AudioOut => 1 << 9,
            Class::ImageOut => 1 << 10,
            Class::VideoOut => 1 << 11,
            Class::Citation => 1 << 12,
            _ => 0,
        };
    }

    /// Their names, in a fixed order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.into_iter().enumerate().filter(move |(bit, _)| self.0 & (1 << bit) != 0).map(|(_, name)| name)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flag_has_the_name_at_its_bit() {
        let name = |flags: Flags| flags.names().collect::<Vec<_>>();
        assert_eq!(name(Flags::REQUEST_MODEL), ["request_model"]);
        assert_eq!(name(Flags::CACHE_OUTSIDE_INPUT), ["cache_outside_input"]);
        assert_eq!(name(Flags::ONE_SEARCH_ASSUMED), ["one_search_assumed"]);
        for class in [Class::Reasoning, Class::AudioOut, Class::ImageOut, Class::VideoOut, Class::Citation] {
            let mut flags = Flags::default();
            flags.exceeds_output(class);
            assert_eq!(name(flags), [format!("{}_exceeds_output", class.name())]);
        }
    }
}
