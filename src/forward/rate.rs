//! How fast a queue drains, and so when senders may come back.

use std::time::Duration;
use tokio::time::Instant;

/// Seconds over which the rate is averaged: long enough to span several batches, short enough to see an outage.
const WINDOW: f64 = 10.0;

/// Bytes per second, averaged with exponentially fading weight.
#[derive(Debug)]
pub(crate) struct Rate {
    per_second: f64,
    at: Instant,
}

impl Rate {
    pub(crate) fn new(now: Instant) -> Rate {
        Rate { per_second: 0.0, at: now }
    }

    /// `bytes` have left.
    pub(crate) fn add(&mut self, bytes: usize, now: Instant) {
        self.per_second = self.get(now) + bytes as f64 / WINDOW;
        self.at = now;
    }

    /// When `bytes` will have left: 1 to 30 seconds, the longest where nothing moves.
    pub(crate) fn time_for(&self, bytes: usize, now: Instant) -> Duration {
        let seconds = bytes as f64 / self.get(now);
        Duration::from_secs_f64(if seconds.is_finite() { seconds.clamp(1.0, 30.0) } else { 30.0 })
    }

    fn get(&self, now: Instant) -> f64 {
        let age = now.saturating_duration_since(self.at).as_secs_f64();
        self.per_second * (-age / WINDOW).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_are_asked_to_wait_as_long_as_the_queue_takes() {
        let mut now = Instant::now();
        let mut rate = Rate::new(now);
        assert_eq!(rate.time_for(1, now), Duration::from_secs(30));
        for _ in 0..1000 {
            now += Duration::from_millis(100);
            rate.add(100_000, now);
        }
        let wait = rate.time_for(5_000_000, now).as_secs_f64();
        assert!((4.5..5.5).contains(&wait), "{wait}");
        assert_eq!(rate.time_for(10, now), Duration::from_secs(1));
        assert_eq!(rate.time_for(usize::MAX, now), Duration::from_secs(30));
        assert_eq!(rate.time_for(5_000_000, now + Duration::from_secs(60)), Duration::from_secs(30));
    }
}
