//! What a destination says in the log: a line when its state changes, not a line a batch.

use crate::forward::verdict::{Message, Reason};
use crate::otlp::signal::Signal;
use crate::otlp::span::TraceId;
use serde::Serialize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// While a state lasts it is mentioned again this often.
const REMINDER: Duration = Duration::from_secs(60);

/// Lines about single items come at most this often; the rest is counted.
const ITEM_PAUSE: Duration = Duration::from_secs(1);

/// The state of one destination, as far as the log knows.
#[derive(Debug)]
pub(crate) struct Health {
    destination: String,
    /// Says that nothing is to be done on the usual path.
    troubled: AtomicBool,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    state: State,
    since: Option<Instant>,
    said: Option<Instant>,
    item_said: Option<Instant>,
    suppressed: u64,
}

/// How a destination does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The last answer was good, or there was none yet.
    #[default]
    Well,
    /// Batches wait for the backend.
    Delayed,
    /// Batches wait for somebody to repair the backend or the config.
    Misconfigured,
}

impl Health {
    pub(crate) fn new(destination: &str) -> Health {
        Health { destination: destination.to_owned(), troubled: AtomicBool::new(false), log: Mutex::default() }
    }

    /// How it does.
    pub(crate) fn state(&self) -> State {
        self.lock().state
    }

    /// A batch has to wait.
    pub(crate) fn delayed(&self, reason: Reason, retry_in: Duration, message: &Message) {
        if self.enter(State::Delayed) {
            let destination = &self.destination;
            tracing::warn!(target: "forward", destination, %reason, ?retry_in, answer = message.as_str(), "batches are delayed");
        }
    }

    /// A batch has to wait for somebody to repair something.
    pub(crate) fn misconfigured(&self, reason: Reason, retry_in: Duration, message: &Message) {
        if self.enter(State::Misconfigured) {
            let destination = &self.destination;
            tracing::error!(target: "forward", destination, %reason, ?retry_in, answer = message.as_str(),
                "the backend refuses us; check endpoint, headers and compression of this exporter; its data is kept and tried again");
        }
    }

    /// The backend took something.
    pub(crate) fn delivered(&self) {
        if !self.troubled.load(Ordering::Relaxed) {
            return;
        }
        let mut log = self.lock();
        if std::mem::take(&mut log.state) != State::Well {
            let after = log.since.take().map(|since| since.elapsed()).unwrap_or_default();
            tracing::info!(target: "forward", destination = self.destination, ?after, "recovered");
        }
        log.said = None;
        self.troubled.store(false, Ordering::Relaxed);
    }

    /// One item is set aside.
    pub(crate) fn quarantined(&self, items: usize, trace_id: Option<TraceId>, reason: Reason, message: &Message) {
        if let Some(suppressed) = self.may_mention_item() {
            let trace_id = trace_id.map(|id| id.to_string()).unwrap_or_default();
            tracing::warn!(target: "forward", destination = self.destination, items, trace_id, %reason, answer = message.as_str(), suppressed,
                "set aside what the backend refuses");
        }
    }

    /// The backend took a request in part, or had a warning about it.
    pub(crate) fn partial(&self, rejected: u64, message: &Message) {
        if let Some(suppressed) = self.may_mention_item() {
            let (destination, answer) = (&self.destination, message.as_str());
            tracing::warn!(target: "forward", destination, rejected, answer, suppressed, "partial success");
        }
    }

    /// Items are given up.
    pub(crate) fn failed(&self, items: usize, reason: Reason) {
        if let Some(suppressed) = self.may_mention_item() {
            tracing::error!(target: "forward", destination = self.destination, items, %reason, suppressed, "items are lost");
        }
    }

    /// The backend does not take a signal. To be called once for each.
    pub(crate) fn unsupported(&self, signal: Signal) {
        tracing::warn!(target: "forward", destination = self.destination, signal = signal.as_str(),
            "the backend does not take this signal; it is no longer sent there");
    }

    /// Whether the state is to be mentioned.
    fn enter(&self, state: State) -> bool {
        let (mut log, now) = (self.lock(), Instant::now());
        self.troubled.store(true, Ordering::Relaxed);
        let changed = log.state != state;
        if changed {
            log.since.get_or_insert(now);
            log.state = state;
        }
        let due = changed || log.said.is_none_or(|said| now.duration_since(said) >= REMINDER);
        if due {
            log.said = Some(now);
        }
        due
    }

    /// The number of lines left out since the last one, if one may be written now.
    fn may_mention_item(&self) -> Option<u64> {
        let (mut log, now) = (self.lock(), Instant::now());
        if log.item_said.is_some_and(|said| now.duration_since(said) < ITEM_PAUSE) {
            log.suppressed += 1;
            return None;
        }
        log.item_said = Some(now);
        Some(std::mem::take(&mut log.suppressed))
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_state_is_mentioned_when_it_changes_and_then_once_a_minute() {
        let health = Health::new("x");
        assert!(health.enter(State::Delayed));
        assert!(!health.enter(State::Delayed));
        assert!(health.enter(State::Misconfigured));
        tokio::time::advance(REMINDER).await;
        assert!(health.enter(State::Misconfigured));
        health.delivered();
        assert!(health.enter(State::Delayed));
    }

    #[tokio::test(start_paused = true)]
    async fn lines_about_items_are_counted_where_they_are_left_out() {
        let health = Health::new("x");
        assert_eq!(health.may_mention_item(), Some(0));
        assert_eq!((health.may_mention_item(), health.may_mention_item()), (None, None));
        tokio::time::advance(ITEM_PAUSE).await;
        assert_eq!(health.may_mention_item(), Some(2));
    }
}
