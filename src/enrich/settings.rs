//! Config and prices as they were when a span arrived.
//!
//! What is written as a span leaves must be what would have been written as it came, whatever was reloaded in between. So old
//! settings stay while spans that came under them may be held.

use crate::enrich::config::EnrichConfig;
use crate::enrich::note::GENERATION_BITS;
use crate::enrich::price::PriceTable;
use std::collections::VecDeque;
use std::sync::Arc;

/// Settings that are kept at most. A price table takes a few MiB; somebody who reloads more often than this within the wait of one
/// trace gets its attributes by the oldest that is left.
const MAX_KEPT: usize = 16;

/// What a reload changes.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) config: EnrichConfig,
    pub(crate) prices: Arc<PriceTable>,
}

/// The settings in force, and those that were.
#[derive(Debug)]
pub(crate) struct Generations {
    current: Arc<Settings>,
    number: u16,
    old: VecDeque<(u16, Arc<Settings>)>,
}

impl Generations {
    pub(crate) fn new(settings: Settings) -> Generations {
        Generations { current: Arc::new(settings), number: 0, old: VecDeque::new() }
    }

    /// The settings in force.
    pub(crate) fn current(&self) -> &Arc<Settings> {
        &self.current
    }

    /// Their number.
    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// Puts others in force.
    pub(crate) fn replace(&mut self, settings: Settings) {
        let old = std::mem::replace(&mut self.current, Arc::new(settings));
        self.old.push_back((self.number, old));
        if self.old.len() >= MAX_KEPT {
            self.old.pop_front();
        }
        self.number = (self.number + 1) % (1 << GENERATION_BITS);
    }

    /// The settings of a number.
    pub(crate) fn get(&self, number: u16) -> &Arc<Settings> {
        if number == self.number {
            return &self.current;
        }
        let old = self.old.iter().find(|(old, _)| *old == number).or(self.old.front());
        old.map_or(&self.current, |(_, settings)| settings)
    }

    /// Forgets those that were: nothing is held any more.
    pub(crate) fn forget_old(&mut self) {
        self.old.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(chars: usize) -> Settings {
        Settings { config: EnrichConfig { max_content_chars: chars, ..EnrichConfig::default() }, prices: PriceTable::bundled() }
    }

    #[test]
    fn old_settings_are_found_by_their_number_and_are_limited() {
        let mut generations = Generations::new(settings(0));
        for n in 1..=20 {
            generations.replace(settings(n));
        }
        let chars = |number: u16| generations.get(number).config.max_content_chars;
        assert_eq!((chars(20), chars(19), chars(5)), (20, 19, 5));
        assert_eq!(chars(0), 5, "the oldest that is left");
        assert!(generations.old.len() < MAX_KEPT);
        generations.forget_old();
        assert_eq!(generations.get(19).config.max_content_chars, 20);
    }
}
