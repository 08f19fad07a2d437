//! How long to wait before the same batch is sent again.

use crate::forward::config::RetryOnFailure;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use std::time::Duration;

/// The waits of one batch: each longer than the one before, none longer than the configured maximum.
#[derive(Debug)]
pub(crate) struct Waits {
    waits: ExponentialBackoff,
    longest: Duration,
}

impl Waits {
    /// From the first wait on.
    pub(crate) fn new(settings: &RetryOnFailure) -> Waits {
        // The jitter adds up to the whole wait, so half of it is given: what comes out lies between a half and the whole.
        let waits = ExponentialBuilder::new()
            .with_min_delay(settings.initial_interval / 2)
            .with_max_delay(settings.max_interval / 2)
            .with_factor(settings.multiplier)
            .with_jitter()
            .with_jitter_seed(rand::random())
            .without_max_times()
            .build();
        Waits { waits, longest: settings.max_interval }
    }

    /// The next wait.
    pub(crate) fn next(&mut self) -> Duration {
        self.waits.next().map_or(self.longest, |wait| wait.min(self.longest))
    }

    /// For what only a person can repair: about the longest wait, from the first time on.
    pub(crate) fn slow(&self) -> Duration {
        self.longest.mul_f32(0.75 + 0.25 * rand::random::<f32>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> RetryOnFailure {
        RetryOnFailure {
            initial_interval: Duration::from_millis(100),
            max_interval: Duration::from_millis(1000),
            multiplier: 2.0,
            ..RetryOnFailure::default()
        }
    }

    #[test]
    fn waits_double_up_to_the_longest_and_stay_there() {
        let mut waits = Waits::new(&settings());
        for whole in [100, 200, 400, 800, 1000, 1000, 1000] {
            let wait = waits.next().as_secs_f64() * 1000.0;
            assert!((f64::from(whole) / 2.0 - 1.0..=f64::from(whole) + 1.0).contains(&wait), "{wait} of {whole}");
        }
    }

    #[test]
    fn two_batches_do_not_wait_alike() {
        let (mut a, mut b) = (Waits::new(&settings()), Waits::new(&settings()));
        assert!((0..8).any(|_| a.next() != b.next()));
        assert!(a.slow() >= Duration::from_millis(749) && a.slow() <= Duration::from_millis(1001));
    }
}
