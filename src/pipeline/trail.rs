//! Lines in the log about traces that were dropped.
//!
//! What is kept can be looked at; of what is dropped nothing is left to look at, so a few of them a second say why. Ids, names of policies
//! and sums only: nothing a sender wrote.

use crate::sample::Decided;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::info;

/// How many lines were written in the current second, of all shards.
#[derive(Debug, Default)]
pub(in crate::pipeline) struct Trail(Mutex<Option<(Instant, u32)>>);

impl Trail {
    /// Logs a dropped trace, if there is room for it in this second.
    pub(in crate::pipeline) fn explain(&self, dropped: &Decided, limit: u32, now: Instant) {
        if !self.admits(limit, now) {
            return;
        }
        let totals = &dropped.totals;
        let errors = totals.errors_transient.saturating_add(totals.errors_permanent).saturating_add(totals.errors_unknown);
        info!(
            target: "sample",
            trace_id = %dropped.trace_id,
            policy = &*dropped.policy,
            reason = dropped.reason.as_str(),
            trigger = dropped.trigger.as_str(),
            complete = dropped.complete,
            spans = dropped.spans,
            bytes = dropped.bytes,
            wait_ms = u64::try_from(dropped.wait.as_millis()).unwrap_or(u64::MAX),
            llm_calls = totals.llm_calls,
            cost_usd = %totals.cost,
            errors,
            retries = totals.retries,
            "trace dropped"
        );
    }

    fn admits(&self, limit: u32, now: Instant) -> bool {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (began, count) = window.get_or_insert((now, 0));
        if now.saturating_duration_since(*began) >= Duration::from_secs(1) {
            (*began, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count <= limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_room_for_so_many_lines() {
        let (trail, start) = (Trail::default(), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!([0, 1, 2, 999].map(|ms| trail.admits(2, at(ms))), [true, true, false, false]);
        assert_eq!([1000, 1001, 1002].map(|ms| trail.admits(2, at(ms))), [true, true, false]);
    }
}
