//! One destination: its queue, its account in the books, and the task that empties the one into the backend.
//!
//! Destinations share the bytes and nothing else, so one that is slow or gone does not slow the others. What was handed over is in
//! exactly one of three places: the queue, a batch in flight, or settled.

use crate::forward::batch::{Batch, cost};
use crate::forward::config::Common;
use crate::forward::deliver::deliver;
use crate::forward::exporters::Exporter;
use crate::forward::health::{self, Health};
use crate::forward::meters::Meters;
use crate::forward::queue::Queue;
use crate::forward::rate::Rate;
use crate::forward::verdict::Reason;
use crate::otlp::signal::Signal;
use crate::redact::Redacted;
use crate::telemetry::Telemetry;
use arc_swap::ArcSwap;
use serde::Serialize;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

/// How long a task may take to end after it was told that its time is over.
const GRACE: Duration = Duration::from_secs(1);

/// What a reload replaces.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) common: Common,
    pub(crate) exporter: Exporter,
    /// By signal: the backend said that it does not take it.
    unsupported: [AtomicBool; 3],
}

/// A configured place.
pub(crate) struct Destination {
    name: String,
    account: usize,
    telemetry: Telemetry,
    /// Held while the books of all destinations move; taken before `state`.
    books: Arc<Mutex<()>>,
    running: ArcSwap<Running>,
    state: Mutex<State>,
    /// Bytes that wait or are in flight.
    bytes: AtomicUsize,
    rate: Mutex<Rate>,
    /// No request before this time: the backend said so.
    gate: Mutex<Option<Instant>>,
    /// There is something to take, or new settings.
    wake: Notify,
    changed: Notify,
    phase: watch::Sender<Phase>,
    done: watch::Sender<bool>,
    given_up: AtomicU64,
    pub(crate) meters: Meters,
    pub(crate) health: Health,
}

#[derive(Debug, Default)]
struct State {
    queue: Queue,
    in_flight: usize,
    closed: bool,
}

/// A destination at one instant, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// `type/name`.
    pub destination: String,
    /// How it does.
    pub state: health::State,
    /// Encoded bytes that wait or are in flight.
    pub queue_bytes: usize,
    /// `sending_queue.size`.
    pub queue_limit_bytes: usize,
}

/// How much longer it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// For as long as anybody cares.
    Open,
    /// Until it is empty.
    Draining,
    /// Not at all; the rest is lost for this reason.
    Over(Reason),
}

/// What became of some items in flight.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Settled {
    pub(crate) sent: u64,
    pub(crate) failed: Option<(u64, Reason)>,
    pub(crate) quarantined: Option<(u64, Reason)>,
    /// What they counted for in the queue.
    pub(crate) bytes: usize,
}

impl Running {
    pub(crate) fn new(common: Common, exporter: Exporter) -> Running {
        Running { common, exporter, unsupported: Default::default() }
    }

    /// Whether the backend takes `signal`, as far as we know.
    pub(crate) fn supports(&self, signal: Signal) -> bool {
        !self.unsupported[signal as usize].load(Ordering::Relaxed) && self.exporter.supports(signal)
    }

    /// Notes that it does not; whether that is news.
    pub(crate) fn set_unsupported(&self, signal: Signal) -> bool {
        !self.unsupported[signal as usize].swap(true, Ordering::Relaxed)
    }
}

impl Destination {
    /// Opens an account and starts the task; must be called in a runtime.
    pub(crate) fn start(name: &str, running: Running, telemetry: &Telemetry, books: &Arc<Mutex<()>>) -> Arc<Destination> {
        let meters = Meters::new(&telemetry.metrics, name);
        meters.limit(running.common.sending_queue.size);
        let destination = Arc::new(Destination {
            name: name.to_owned(),
            account: telemetry.ledger.open_destination(),
            telemetry: telemetry.clone(),
            books: Arc::clone(books),
            running: ArcSwap::from_pointee(running),
            state: Mutex::default(),
            bytes: AtomicUsize::new(0),
            rate: Mutex::new(Rate::new(Instant::now())),
            gate: Mutex::default(),
            wake: Notify::new(),
            changed: Notify::new(),
            phase: watch::Sender::new(Phase::Open),
            done: watch::Sender::new(false),
            given_up: AtomicU64::new(0),
            meters,
            health: Health::new(name),
        });
        tokio::spawn(Arc::clone(&destination).run());
        destination
    }

    /// Its key in the config.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How it does.
    pub(crate) fn status(&self) -> Status {
        Status {
            destination: self.name.clone(),
            state: self.health.state(),
            queue_bytes: self.bytes.load(Ordering::Acquire),
            queue_limit_bytes: self.running.load().common.sending_queue.size,
        }
    }

    /// Its number in the ledger.
    pub(crate) fn account(&self) -> usize {
        self.account
    }

    /// The settings and the exporter in use now.
    pub(crate) fn running(&self) -> Arc<Running> {
        self.running.load_full()
    }

    /// Goes on with other settings and a new exporter. What waits is sent with them, at once.
    pub(crate) fn replace(&self, running: Running) {
        self.meters.limit(running.common.sending_queue.size);
        self.running.store(Arc::new(running));
        *lock(&self.gate) = None;
        self.changed.notify_waiters();
        self.wake.notify_one();
    }

    /// Puts items in the queue, which they may overflow: they were accepted. The books must be held.
    ///
    /// # Errors
    /// Why it does not take them, which has to be settled.
    pub(crate) fn push(&self, redacted: &Arc<Redacted>) -> Result<(), Reason> {
        let running = self.running.load();
        let (bytes, limit) = (cost(redacted.len(), redacted.size()), &running.common.sending_queue);
        let held = self.bytes.load(Ordering::Acquire);
        if !limit.block_on_overflow && !redacted.keep_class() && held > 0 && held.saturating_add(bytes) > limit.size {
            return Err(Reason::QueueFull);
        }
        let mut state = lock(&self.state);
        if state.closed {
            return Err(Reason::Shutdown);
        }
        let look = state.queue.push(Arc::clone(redacted), &running.common.batch, Instant::now());
        drop(state);
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
        self.meters.grow(bytes);
        if look {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// When senders should come back, if the queue is at its limit.
    pub(crate) fn pressure(&self) -> Option<Duration> {
        let held = self.bytes.load(Ordering::Acquire);
        let running = self.running.load();
        let queue = &running.common.sending_queue;
        // A queue that drops what does not fit pushes back only for the sake of what must not be dropped.
        let limit = if queue.block_on_overflow { queue.size } else { queue.size.saturating_mul(2) };
        (held >= limit).then(|| lock(&self.rate).time_for(held, Instant::now()))
    }

    /// Items that were in flight are no longer.
    pub(crate) fn settle(&self, settled: Settled) {
        let _books = lock(&self.books);
        self.settle_held(settled, true);
    }

    /// Items it did not take, right after they were handed over. The books must be held.
    pub(crate) fn settle_untaken(&self, items: u64, reason: Reason) {
        self.health.failed(items as usize, reason);
        self.settle_held(Settled { failed: Some((items, reason)), ..Settled::default() }, false);
    }

    fn settle_held(&self, settled: Settled, in_flight: bool) {
        let failed = settled.failed.map_or(0, |(items, _)| items);
        let quarantined = settled.quarantined.map_or(0, |(items, _)| items);
        let mut state = lock(&self.state);
        if in_flight {
            let items = settled.sent + failed + quarantined;
            state.in_flight = state.in_flight.saturating_sub(usize::try_from(items).unwrap_or(usize::MAX));
        }
        let waiting = (state.queue.items() + state.in_flight) as u64;
        drop(state);
        self.telemetry.ledger.settle(self.account, waiting, settled.sent, failed, quarantined);
        self.bytes.fetch_sub(settled.bytes, Ordering::AcqRel);
        self.meters.shrink(settled.bytes);
        lock(&self.rate).add(settled.bytes, Instant::now());
        self.meters.sent(settled.sent);
        if let Some((items, reason)) = settled.failed {
            self.meters.failed(items, reason);
            if matches!(reason, Reason::Shutdown | Reason::Removed) {
                self.given_up.fetch_add(items, Ordering::Relaxed);
            }
        }
        if let Some((items, reason)) = settled.quarantined {
            self.meters.quarantined(items, reason);
        }
    }

    /// Holds every request back until `delay` from now.
    pub(crate) fn hold_back(&self, delay: Duration) {
        let (mut gate, until) = (lock(&self.gate), Instant::now() + delay);
        *gate = Some(gate.map_or(until, |set| set.max(until)));
    }

    /// Waits until the backend may be asked.
    pub(crate) async fn pass_gate(&self) {
        loop {
            let changed = self.changed.notified();
            let Some(until) = lock(&self.gate).filter(|until| *until > Instant::now()) else { return };
            tokio::select! {
                () = sleep_until(until) => {}
                () = changed => {}
            }
        }
    }

    /// Waits before a batch is sent again; not longer than until draining begins or the settings change.
    pub(crate) async fn pause(&self, delay: Duration) {
        let changed = self.changed.notified();
        let mut phase = self.phase.subscribe();
        let until = Instant::now() + delay;
        if *phase.borrow_and_update() == Phase::Open {
            tokio::select! {
                () = sleep_until(until) => {}
                _ = phase.changed() => {}
                () = changed => {}
            }
        } else {
            sleep_until(until).await;
        }
    }

    /// How much longer it runs.
    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Sends what is left; what has not left at `until` is lost for `reason`. The number of items lost.
    pub(crate) async fn drain(&self, until: Instant, reason: Reason) -> u64 {
        self.phase.send_if_modified(|phase| {
            let open = *phase == Phase::Open;
            if open {
                *phase = Phase::Draining;
            }
            open
        });
        let mut done = self.done.subscribe();
        if timeout_at(until, done.wait_for(|done| *done)).await.is_err() {
            self.phase.send_replace(Phase::Over(reason));
            let _ = timeout(GRACE, done.wait_for(|done| *done)).await;
        }
        self.given_up.load(Ordering::Relaxed)
    }

    /// Ends the task now; what still waits is lost.
    pub(crate) fn stop(&self) {
        if !self.is_done() {
            self.phase.send_replace(Phase::Over(Reason::Shutdown));
        }
    }

    /// Whether its task has ended.
    pub(crate) fn is_done(&self) -> bool {
        *self.done.borrow()
    }

    async fn run(self: Arc<Self>) {
        let mut exports = JoinSet::new();
        let mut phase = self.phase.subscribe();
        loop {
            let wake = self.wake.notified();
            let now_phase = *phase.borrow_and_update();
            if let Phase::Over(reason) = now_phase {
                // What a cancelled export had not settled is settled as it is dropped.
                exports.shutdown().await;
                self.give_up(reason);
                break;
            }
            let running = self.running();
            while exports.len() < running.common.sending_queue.num_consumers.max(1) {
                let Some(batch) = self.take(&running, now_phase == Phase::Draining) else { break };
                exports.spawn(deliver(Arc::clone(&self), batch));
            }
            if now_phase == Phase::Draining && exports.is_empty() && self.close() {
                break;
            }
            let free = exports.len() < running.common.sending_queue.num_consumers.max(1);
            let due = if free { lock(&self.state).queue.due(&running.common.batch) } else { None };
            tokio::select! {
                () = wake => {}
                Some(_) = exports.join_next() => {}
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                _ = phase.changed() => {}
            }
        }
        self.done.send_replace(true);
    }

    fn take(&self, running: &Running, all: bool) -> Option<Batch> {
        let mut state = lock(&self.state);
        let batch = state.queue.take(&running.common.batch, Instant::now(), all, &self.telemetry.budget)?;
        state.in_flight += batch.len();
        self.meters.batch();
        Some(batch)
    }

    /// Takes nothing more, if nothing is left.
    fn close(&self) -> bool {
        let mut state = lock(&self.state);
        state.closed = state.queue.items() == 0;
        state.closed
    }

    /// Settles what still waits as lost.
    fn give_up(&self, reason: Reason) {
        let _books = lock(&self.books);
        let mut state = lock(&self.state);
        state.closed = true;
        let (items, bytes) = state.queue.clear();
        drop(state);
        if items > 0 {
            self.health.failed(items, reason);
            self.settle_held(Settled { failed: Some((items as u64, reason)), bytes, ..Settled::default() }, false);
        }
    }
}

impl std::fmt::Debug for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Destination").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What these locks guard is whole after every statement: a panic elsewhere leaves nothing half done.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
