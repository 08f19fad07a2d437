//! The path of one batch: enrich, sample, redact, in one thread and without a clock.
//!
//! A shard of the running stage owns one path, and so does a replay: what a recorded request shows on a desk is what
//! the stage does with it.

use crate::enrich::{Enrich, Observer};
use crate::otlp::request::Item;
use crate::otlp::signal::Signal;
use crate::pipeline::plan::Plan;
use crate::receive::Received;
use crate::redact::{Findings, Redact, Redacted, Redaction};
use crate::sample::{Decided, Kept, Outcome, Pressure, Sampler, Stamp};
use crate::telemetry::Telemetry;
use crate::telemetry::ledger::ShardReport;
use std::time::Instant;

/// What a step led to.
#[derive(Debug, Default)]
pub struct Step {
    /// What may leave.
    pub batches: Vec<Redacted>,
    /// Decisions that were made.
    pub decided: Vec<Decided>,
    /// What was found in what leaves, by trace where it has one.
    pub found: Vec<(Option<TraceId>, Findings)>,
    /// What the books are told.
    pub report: ShardReport,
    /// Items that redaction held back; they are among those kept.
    pub blocked: u64,
}

/// One path through the stage.
#[derive(Debug)]
pub struct Path {
    enrich: Enrich,
    sampler: Option<Sampler<Item>>,
    redact: Redact,
    redact_early: bool,
    outcome: Outcome<Item>,
}

impl Path {
    /// A path by this plan. `number` is that of its shard.
    pub fn new(plan: &Plan, telemetry: &Telemetry) -> Path {
        Path {
            enrich: plan.enrich(telemetry),
            sampler: plan.policies.as_ref().map(|policies| Sampler::new(policies.clone())),
            redact: Redact::new(plan.redactor.clone(), telemetry.budget.clone()),
            redact_early: plan.redact_early,
            outcome: Outcome::default(),
        }
    }

    /// Goes on by another plan; what is held stays held and is decided by the new policies.
    pub fn reload(&mut self, plan: &Plan, now: Instant) -> Step {
        self.enrich.reload(&plan.enrich_config, plan.prices.clone());
        self.redact.reload(plan.redactor.clone());
        self.redact_early = plan.redact_early;
        match (&mut self.sampler, &plan.policies) {
            (Some(sampler), Some(policies)) => sampler.reload(policies.clone(), now, &mut self.outcome),
            (None, Some(policies)) => self.sampler = Some(Sampler::new(policies.clone())),
            (Some(sampler), None) => {
                // Sampling was switched off: nobody is left to decide what is held, so it is decided now.
                sampler.shutdown(now, &mut self.outcome);
                self.sampler = None;
            }
            (None, None) => {}
        }
        self.finish(0)
    }

    /// Takes in items of one request.
    pub fn process(&mut self, received: Received, now: Instant, observer: &mut dyn Observer) -> Step {
        let arrived = received.len() as u64;
        let signal = received.signal();
        let mut items = self.enrich.apply(received, now, observer).into_items();
        let mut blocked = 0;
        if self.redact_early && signal != Signal::Metrics {
            let bodies: Vec<Item> = items.iter().map(|(item, _)| item.clone()).collect();
            let redacted = self.redact.early(&bodies, &mut Findings::new());
            items = redacted.into_iter().zip(items).filter_map(|(item, (_, facts))| Some((item?, facts))).collect();
            blocked = arrived - items.len() as u64;
        }
        match &mut self.sampler {
            Some(sampler) => {
                for (item, facts) in items {
                    match signal {
                        Signal::Logs => sampler.admit_log(facts.trace_id, item, now, &mut self.outcome),
                        _ => sampler.admit(&facts, item, now, &mut self.outcome),
                    }
                }
            }
            None => {
                let keep_class = items.iter().any(|(_, facts)| facts.error.is_some() || facts.truncated);
                let spans: Vec<Item> = items.into_iter().map(|(item, _)| item).collect();
                if !spans.is_empty() {
                    self.outcome.kept.push(Kept { spans, stamp: Stamp::none(), keep_class });
                }
            }
        }
        let mut step = self.finish(arrived);
        step.report.lost += blocked;
        step
    }

    /// Does what is due at `now`.
    pub fn tick(&mut self, now: Instant) -> Step {
        if let Some(sampler) = &mut self.sampler {
            sampler.tick(now, &mut self.outcome);
        }
        self.finish(0)
    }

    /// Tells how full memory is; under pressure traces are decided early.
    pub fn pressure(&mut self, pressure: Pressure, now: Instant) -> Step {
        if let Some(sampler) = &mut self.sampler {
            sampler.pressure(pressure, now, &mut self.outcome);
        }
        self.finish(0)
    }

    /// Decides everything that is held.
    pub fn shutdown(&mut self, now: Instant) -> Step {
        if let Some(sampler) = &mut self.sampler {
            sampler.shutdown(now, &mut self.outcome);
        }
        self.finish(0)
    }

    /// When the next tick is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.sampler.as_ref().and_then(Sampler::next_deadline)
    }

    /// Items held undecided or in the drop hold.
    pub fn held(&self) -> u64 {
        self.sampler.as_ref().map_or(0, Sampler::held)
    }

    fn finish(&mut self, arrived: u64) -> Step {
        let mut outcome = std::mem::take(&mut self.outcome);
        let mut step = Step { decided: std::mem::take(&mut outcome.decisions), ..Step::default() };
        let kept: u64 = outcome.kept.iter().map(|k| k.spans.len() as u64).sum();
        let Redaction { batches, blocked } = self.redact.apply(&outcome.kept, &mut step.findings);
        step.batches = batches;
        step.blocked = blocked;
        step.report =
            ShardReport { arrived, held: self.held(), kept: kept - blocked, dropped: outcome.dropped_spans, lost: blocked };
        outcome.clear();
        self.outcome = outcome;
        step
    }
}
