//! One owner for the traces of one shard.
//!
//! A trace belongs to the shard its id hashes to, and everything that happens to it happens in that shard's task: no
//! lock is held while a span is read, priced or redacted, and the order of arrival is the order of decisions.

use crate::forward::Forward;
use crate::pipeline::path::{Path, Step};
use crate::pipeline::plan::Plan;
use crate::receive::Received;
use crate::redact::Meters as RedactMeters;
use crate::sample::{Decisions, Meters as SampleMeters, Pressure};
use crate::telemetry::Telemetry;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant as TokioInstant, sleep_until};

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
#[derive(Debug)]
pub(in crate::pipeline) struct Shared {
    pub(in crate::pipeline) telemetry: Telemetry,
    pub(in crate::pipeline) forward: Arc<Forward>,
    pub(in crate::pipeline) decisions: Arc<Decisions>,
    pub(in crate::pipeline) sample_meters: SampleMeters,
    pub(in crate::pipeline) redact_meters: RedactMeters,
}

pub(in crate::pipeline) struct Shard {
    number: usize,
    path: Path,
    shared: Arc<Shared>,
    pressure: Pressure,
}

impl Shard {
    pub(in crate::pipeline) fn new(number: usize, plan: &Plan, shared: Arc<Shared>) -> Shard {
        let path = Path::new(plan, &shared.telemetry);
        Shard { number, path, shared, pressure: Pressure::Normal }
    }

    /// Runs until it is drained or nobody can give it orders any more.
    pub(in crate::pipeline) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            let heartbeat = Instant::now() + HEARTBEAT;
            let wake = self.path.next_deadline().map_or(heartbeat, |due| due.min(heartbeat));
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Batch(received)) => {
                        let step = self.path.process(received, Instant::now(), &mut ());
                        self.finish(step);
                        // A stream of batches must not keep deadlines from being seen.
                        self.tick();
                    }
                    Some(Order::Reload(plan)) => {
                        let step = self.path.reload(&plan, Instant::now());
                        self.finish(step);
                    }
                    Some(Order::Drain(done)) => {
                        self.drain(&mut orders);
                        let _ = done.send(());
                        return;
                    }
                    None => {
                        self.drain(&mut orders);
                        return;
                    }
                },
                () = sleep_until(TokioInstant::from_std(wake)) => self.tick(),
            }
            tokio::task::coop::consume_budget().await;
        }
    }

    fn drain(&mut self, orders: &mut mpsc::Receiver<Order>) {
        // What was accepted before the order came is still in the channel.
        orders.close();
        while let Ok(order) = orders.try_recv() {
            if let Order::Batch(received) = order {
                let step = self.path.process(received, Instant::now(), &mut ());
                self.finish(step);
            }
        }
        let step = self.path.shutdown(Instant::now());
        self.finish(step);
    }

    fn tick(&mut self) {
        let now = Instant::now();
        let pressure = self.pressure.next(self.shared.telemetry.budget.fill());
        if pressure != Pressure::Normal || pressure != self.pressure {
            self.pressure = pressure;
            let step = self.path.pressure(pressure, now);
            self.finish(step);
        }
        if self.path.next_deadline().is_some_and(|due| due <= now) {
            let step = self.path.tick(now);
            self.finish(step);
        }
    }

    /// Books, metrics and the way out of what a step led to.
    fn finish(&mut self, step: Step) {
        let Shared { telemetry, forward, decisions, sample_meters, redact_meters } = &*self.shared;
        telemetry.ledger.shard(self.number, step.report);
        for decided in &step.decided {
            decisions.record(decided);
            sample_meters.record(decided);
        }
        redact_meters.record(&step.findings, step.blocked);
        for batch in step.batches {
            forward.enqueue(batch);
        }
    }
}
