//! The way of one batch: sent, sent again, halved, until each of its items is settled.

use crate::forward::batch::Batch;
use crate::forward::destination::{Destination, Phase, Settled};
use crate::forward::retry::Waits;
use crate::forward::verdict::{Message, Reason, Verdict};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Refusals of parts of one batch after which no part is halved any more. A culprit among a thousand costs ten; a backend
/// that refuses everything must not be asked once for each item.
const MOST_REFUSALS: u32 = 128;

/// A batch in flight. Whatever it has not settled when it goes, be it by a panic or because the time is over, is settled then.
struct InFlight {
    destination: Arc<Destination>,
    batch: Batch,
    items: usize,
    bytes: usize,
}

impl InFlight {
    fn settle(&mut self, range: &Range<usize>, outcome: impl FnOnce(u64) -> Settled) {
        let bytes = self.batch.cost(range.clone()).min(self.bytes);
        self.items = self.items.saturating_sub(range.len());
        self.bytes -= bytes;
        self.destination.settle(Settled { bytes, ..outcome(range.len() as u64) });
    }

    fn fail(&mut self, range: &Range<usize>, reason: Reason) {
        self.settle(range, |items| Settled { failed: Some((items, reason)), ..Settled::default() });
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.items == 0 {
            return;
        }
        let reason = if let Phase::Over(reason) = self.destination.phase() { reason } else { Reason::Internal };
        self.destination.health.failed(self.items, reason);
        self.destination.settle(Settled { failed: Some((self.items as u64, reason)), bytes: self.bytes, ..Settled::default() });
    }
}

/// What is to be done with a part of a batch.
enum Next {
    /// It is settled.
    Done,
    /// It is refused as a whole.
    Halve(Reason, Message),
}

/// Sends all of `batch`.
pub(crate) async fn deliver(destination: Arc<Destination>, batch: Batch) {
    let (items, bytes) = (batch.len(), batch.cost(0..batch.len()));
    let mut flight = InFlight { destination, batch, items, bytes };
    let mut refusals = 0;
    let mut parts = Vec::new();
    parts.push(0..items);
    while let Some(part) = parts.pop() {
        let Next::Halve(reason, message) = send(&mut flight, part.clone()).await else { continue };
        refusals += 1;
        if part.len() > 1 && refusals <= MOST_REFUSALS {
            let middle = part.start + part.len() / 2;
            parts.push(middle..part.end);
            parts.push(part.start..middle);
        } else {
            let trace = if part.len() == 1 { flight.batch.trace_id(part.start) } else { None };
            flight.destination.health.quarantined(part.len(), trace, reason, &message);
            flight.settle(&part, |items| Settled { quarantined: Some((items, reason)), ..Settled::default() });
        }
    }
}

/// Sends one part until the backend has it or will never have it.
async fn send(flight: &mut InFlight, part: Range<usize>) -> Next {
    let destination = Arc::clone(&flight.destination);
    let (signal, started) = (flight.batch.signal(), Instant::now());
    let mut waits = Waits::new(&destination.running().common.retry_on_failure);
    let mut phase = destination.phase();
    loop {
        destination.pass_gate().await;
        let running = destination.running();
        if !running.supports(signal) {
            flight.fail(&part, Reason::UnsupportedSignal);
            return Next::Done;
        }
        let asked = Instant::now();
        let verdict = running.exporter.send(&flight.batch, part.clone()).await;
        destination.meters.export(asked.elapsed());
        let (reason, wait, until_next) = match verdict {
            Verdict::Delivered { rejected, message } => {
                destination.health.delivered();
                if rejected > 0 || !message.is_empty() {
                    destination.health.partial(rejected, &message);
                }
                flight.settle(&part, |items| {
                    let rejected = rejected.min(items);
                    let failed = (rejected > 0).then_some((rejected, Reason::PartialSuccess));
                    Settled { sent: items - rejected, failed, ..Settled::default() }
                });
                return Next::Done;
            }
            Verdict::Refused { reason, message } => {
                destination.meters.error(reason);
                return Next::Halve(reason, message);
            }
            Verdict::Unsupported => {
                destination.meters.error(Reason::UnsupportedSignal);
                if running.set_unsupported(signal) {
                    destination.health.unsupported(signal);
                }
                continue;
            }
            Verdict::Failed(reason) => {
                destination.meters.error(reason);
                destination.health.failed(part.len(), reason);
                flight.fail(&part, reason);
                return Next::Done;
            }
            Verdict::Later { reason, hint, message } => {
                if let Some(hint) = hint {
                    destination.hold_back(hint);
                }
                let wait = hint.unwrap_or_else(|| waits.next());
                destination.health.delayed(reason, wait, &message);
                // A hint is waited out at the gate, with everybody else.
                (reason, if hint.is_some() { Duration::ZERO } else { wait }, wait)
            }
            Verdict::Misconfigured { reason, message } => {
                let wait = waits.slow();
                destination.health.misconfigured(reason, wait, &message);
                (reason, wait, wait)
            }
        };
        destination.meters.error(reason);
        let retry = &running.common.retry_on_failure;
        let limit = retry.max_elapsed_time;
        let over = !limit.is_zero() && started.elapsed().saturating_add(until_next) > limit;
        if !retry.enabled || over {
            let reason = if retry.enabled { Reason::MaxElapsedTime } else { reason };
            destination.health.failed(part.len(), reason);
            flight.fail(&part, reason);
            return Next::Done;
        }
        destination.meters.retried(part.len() as u64);
        // An answer to settings that are no longer in use says nothing about those that are.
        if !wait.is_zero() && Arc::ptr_eq(&running, &destination.running()) {
            destination.pause(wait).await;
        }
        if destination.phase() != phase {
            // Little time is left: begin with the shortest wait again.
            phase = destination.phase();
            waits = Waits::new(&destination.running().common.retry_on_failure);
        }
    }
}
