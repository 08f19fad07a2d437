//! One owner for the traces of one shard.
//!
//! A trace belongs to the shard its id hashes to, and everything that happens to it happens in that shard's task: no
//! lock is held while a span is read, priced or redacted, and the order of arrival is the order of decisions.

use crate::forward::Forward;
use crate::live::Feed;
use crate::pipeline::path::{Common, Path, Step};
use crate::pipeline::plan::Plan;
use crate::pipeline::trail::Trail;
use crate::receive::Received;
use crate::redact::Meters;
use crate::sample::{Decision, Decisions, Pressure};
use crate::spend::{Book, Tally};
use crate::telemetry::ledger::ShardReport;
use metrics::Counter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant as TokioInstant, sleep_until};
use tracing::error;

/// A shard looks at memory pressure and its deadlines at least this often.
const HEARTBEAT: Duration = Duration::from_millis(100);

/// What a shard is told.
pub(in crate::pipeline) enum Order {
    /// Take in these items.
    Batch(Received),
    /// Go on by another plan.
    Reload(Arc<Plan>),
    /// Decide everything and stop; answered when all of it was handed to the destinations.
    Drain(oneshot::Sender<()>),
}

/// What all shards share.
pub(in crate::pipeline) struct Shared {
    pub(in crate::pipeline) common: Common,
    pub(in crate::pipeline) forward: Arc<Forward>,
    pub(in crate::pipeline) decisions: Decisions,
    pub(in crate::pipeline) feed: Feed,
    pub(in crate::pipeline) spend: Option<Book>,
    pub(in crate::pipeline) trail: Trail,
    pub(in crate::pipeline) redact_meters: Meters,
    pub(in crate::pipeline) lost_to_panics: Counter,
}

pub(in crate::pipeline) struct Shard {
    number: usize,
    plan: Arc<Plan>,
    path: Path,
    /// What was spent here; `None` without a spend book, and while a step has it.
    tally: Option<Tally>,
    shared: Arc<Shared>,
    pressure: Pressure,
}

impl Shard {
    pub(in crate::pipeline) fn new(number: usize, plan: Arc<Plan>, shared: Arc<Shared>) -> Shard {
        let path = Path::new(&plan, &shared.common, Instant::now());
        let tally = shared.spend.as_ref().map(Book::tally);
        Shard { number, plan, path, tally, shared, pressure: Pressure::Normal }
    }

    /// Runs until it is drained or nobody can give it orders any more.
    pub(in crate::pipeline) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            let heartbeat = Instant::now() + HEARTBEAT;
            let wake = self.path.next_deadline().map_or(heartbeat, |due| due.min(heartbeat));
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Batch(received)) => {
                        self.process(received);
                        // A stream of batches must not keep deadlines from being seen.
                        self.tick();
                    }
                    Some(Order::Reload(plan)) => {
                        self.plan = Arc::clone(&plan);
                        self.tally.iter_mut().for_each(Tally::forget);
                        self.step(0, |path| path.reload(&plan, Instant::now()));
                    }
                    Some(Order::Drain(done)) => {
                        self.drain(orders).await;
                        let _ = done.send(());
                        return;
                    }
                    None => return self.drain(orders).await,
                },
                () = sleep_until(TokioInstant::from_std(wake)) => self.tick(),
            }
            tokio::task::coop::consume_budget().await;
        }
    }

    async fn drain(&mut self, mut orders: mpsc::Receiver<Order>) {
        // What was accepted before the order came is still in the channel, or has a place in it: then it comes in a moment.
        orders.close();
        while let Some(order) = orders.recv().await {
            if let Order::Batch(received) = order {
                self.process(received);
            }
        }
        self.step(0, |path| path.shutdown(Instant::now()));
    }

    fn process(&mut self, received: Received) {
        let arrived = received.len() as u64;
        let Some(mut tally) = self.tally.take() else {
            return self.step(arrived, |path| path.process(received, Instant::now(), &mut ()));
        };
        tally.begin(SystemTime::now());
        self.step(arrived, |path| path.process(received, Instant::now(), &mut tally));
        self.tally = Some(tally);
    }

    /// One step of the path. A panic in it is a bug; it costs what this shard holds, which is counted, and nothing else.
    fn step(&mut self, arrived: u64, step: impl FnOnce(&mut Path) -> Step) {
        let held = self.path.held();
        match catch_unwind(AssertUnwindSafe(|| step(&mut self.path))) {
            Ok(step) => self.finish(step),
            Err(_) => {
                let lost = held + arrived;
                self.path = Path::new(&self.plan, &self.shared.common, Instant::now());
                let report = ShardReport { arrived, held: 0, lost, ..ShardReport::default() };
                self.shared.common.telemetry.ledger.shard(self.number, report);
                self.shared.lost_to_panics.increment(lost);
                error!(target: "pipeline", shard = self.number, spans = lost, "a panic: what this shard held is lost; please report it");
            }
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        let pressure = next_level(self.pressure, self.shared.common.telemetry.budget.fill());
        if pressure != Pressure::Normal || pressure != self.pressure {
            self.pressure = pressure;
            self.shared.feed.give_back();
            self.step(0, |path| path.pressure(pressure, now));
        }
        if self.path.next_deadline().is_some_and(|due| due <= now) {
            self.step(0, |path| path.tick(now));
        }
    }

    /// Books, metrics and the way out of what a step led to.
    fn finish(&mut self, step: Step) {
        let Shared { common, forward, decisions, feed, trail, redact_meters, .. } = &*self.shared;
        common.telemetry.ledger.shard(self.number, step.report);
        let now = Instant::now();
        decisions.record(&step.decided, now);
        let limit = self.plan.policies.as_ref().map_or(0, |policies| policies.config().explain.dropped_per_second);
        if limit > 0 {
            step.decided.iter().filter(|decided| decided.decision == Decision::Drop).for_each(|dropped| trail.explain(dropped, limit, now));
        }
        if let Some(redactor) = self.path.redactor() {
            step.found.iter().for_each(|(_, findings)| redact_meters.record(redactor, findings));
        }
        if step.blocked > 0 {
            redact_meters.blocked(step.blocked);
            error!(target: "redact", spans = step.blocked, "held back: redacting them failed, or the action of a finding is drop_span");
        }
        let batches: Vec<_> = step.batches.into_iter().map(Arc::new).collect();
        feed.record(&step.decided, &batches, SystemTime::now());
        for batch in batches {
            forward.enqueue(batch);
        }
    }
}

/// The level of pressure at this part of the memory limit. A level is left only well below where it was entered, so that it does not
/// flicker.
fn next_level(level: Pressure, fill: f64) -> Pressure {
    let entered = match fill {
        f if f >= 0.95 => Pressure::Hard,
        f if f >= 0.85 => Pressure::Evict,
        f if f >= 0.70 => Pressure::Soft,
        _ => Pressure::Normal,
    };
    let stays = match level {
        Pressure::Hard => fill >= 0.85,
        Pressure::Evict => fill >= 0.75,
        Pressure::Soft => fill >= 0.65,
        Pressure::Normal => true,
    };
    if stays { level.max(entered) } else { entered }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_left_only_well_below_where_it_was_entered() {
        let levels: Vec<_> = [0.5, 0.71, 0.66, 0.64, 0.86, 0.76, 0.74, 0.96, 0.9, 0.84, 0.1]
            .into_iter()
            .scan(Pressure::Normal, |level, fill| {
                *level = next_level(*level, fill);
                Some(*level)
            })
            .collect();
        use Pressure::{Evict, Hard, Normal, Soft};
        assert_eq!(levels, [Normal, Soft, Soft, Normal, Evict, Evict, Soft, Hard, Hard, Soft, Normal]);
    }
}
