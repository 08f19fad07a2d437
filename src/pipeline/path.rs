//! The path of one batch: enrich, sample, redact, in one thread and without a clock.
//!
//! A shard of the running stage owns one path, and so does a replay: what a recorded request shows on a desk is what
//! the stage does with it.

use crate::enrich::{self, Enrich, Observer, Shared, SpanFacts, Writing};
use crate::otlp::request::Item;
use crate::otlp::signal::Signal;
use crate::otlp::span::TraceId;
use crate::pipeline::plan::{LabelRules, Plan};
use crate::receive::Received;
use crate::redact::{Findings, Redact, Redacted, Redaction, Redactor};
use crate::sample::{Decided, Kept, Meters, Outcome, Policies, Pressure, Sampler, Stamp};
use crate::telemetry::Telemetry;
use crate::telemetry::ledger::ShardReport;
use std::sync::Arc;
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
    /// Items that redaction held back; they are among those lost.
    pub blocked: u64,
}

/// What the paths of one stage have in common. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Common {
    /// Metrics, memory, books.
    pub telemetry: Telemetry,
    /// Responses and names that enrichment has seen.
    pub enrich: Shared,
    /// Redaction of metric labels.
    pub labels: LabelRules,
    /// Number of paths, which share the limits of the config.
    pub paths: usize,
}

/// One path through the stage.
#[derive(Debug)]
pub struct Path {
    common: Common,
    enrich: Enrich,
    sampling: Option<Sampling>,
    redact: Redact,
    redact_early: bool,
    outcome: Outcome<Item>,
}

#[derive(Debug)]
struct Sampling {
    sampler: Sampler<Item>,
    meters: Meters,
    /// Types of findings that policies ask for.
    types: Vec<Vec<String>>,
}

/// Notes what was redacted in a span, as policies ask for it.
fn note(types: &[Vec<String>], redactor: &Redactor, findings: &Findings, facts: &mut SpanFacts) {
    for (sum, types) in facts.redacted.iter_mut().zip(types) {
        let asked = |(kind, count): (_, u64)| (types.is_empty() || types.iter().any(|name| *name == redactor.name(kind))).then_some(count);
        let found: u64 = findings.counts().filter_map(asked).sum();
        *sum = u16::try_from(found).unwrap_or(u16::MAX);
    }
}

impl Sampling {
    fn new(policies: &Arc<Policies>, common: &Common, now: Instant) -> Sampling {
        let meters = Meters::new(&common.telemetry.metrics, policies);
        let sampler = Sampler::new(Arc::clone(policies), common.paths, now).with_budget(common.telemetry.budget.clone());
        Sampling { sampler, meters, types: policies.redaction_types().to_vec() }
    }
}

impl Path {
    /// A path by this plan. `now` is where its time begins.
    pub fn new(plan: &Plan, common: &Common, now: Instant) -> Path {
        let telemetry = &common.telemetry;
        let mut enrich = Enrich::new(&plan.enrich, Arc::clone(&plan.prices), telemetry, &common.enrich, common.labels.filter());
        enrich.write(writing(plan));
        Path {
            common: common.clone(),
            enrich,
            sampling: plan.policies.as_ref().map(|policies| Sampling::new(policies, common, now)),
            redact: Redact::new(plan.redactor.clone(), telemetry.budget.clone())
                .with_max_content(plan.enrich.max_content_chars)
                .with_superseding(plan.enrich.supersedes()),
            redact_early: plan.redact_early,
            outcome: Outcome::default(),
        }
    }

    /// Goes on by another plan; what is held stays held and is decided by the new policies.
    pub fn reload(&mut self, plan: &Plan, now: Instant) -> Step {
        self.enrich.reload(&plan.enrich, Arc::clone(&plan.prices));
        self.enrich.write(writing(plan));
        self.redact.reload(plan.redactor.clone(), plan.enrich.max_content_chars, plan.enrich.supersedes());
        self.redact_early = plan.redact_early;
        match (&mut self.sampling, &plan.policies) {
            (Some(Sampling { sampler, meters, types }), Some(policies)) => {
                meters.reload(policies);
                *types = policies.redaction_types().to_vec();
                sampler.reload(Arc::clone(policies), now, &mut self.outcome);
            }
            (None, Some(policies)) => self.sampling = Some(Sampling::new(policies, &self.common, now)),
            (Some(Sampling { sampler, .. }), None) => {
                // Sampling was switched off: nothing is decided any more, so what is undecided leaves.
                let off = crate::sample::Config { enabled: false, ..Default::default() };
                if let Ok(off) = Policies::compile(&off) {
                    sampler.reload(off, now, &mut self.outcome);
                }
                let step = self.shutdown(now);
                self.sampling = None;
                return step;
            }
            (None, None) => {}
        }
        self.finish(0, 0)
    }

    /// Takes in items of one request.
    pub fn process(&mut self, received: Received, now: Instant, observer: &mut dyn Observer) -> Step {
        let arrived = received.len() as u64;
        let signal = received.signal();
        let items = self.enrich.apply(received, now, observer).into_items();
        if let Some(Sampling { sampler, .. }) = &mut self.sampling {
            sampler.expect(items.results().map(|facts| facts.trace_id));
        }
        if self.redact_early && signal != Signal::Metrics {
            let (bodies, mut facts): (Vec<Item>, Vec<SpanFacts>) = items.into_iter().unzip();
            let types = self.sampling.as_ref().map(|s| s.types.as_slice()).unwrap_or_default();
            let mut found = Vec::new();
            let redacted = self.redact.early(&bodies, &mut |place, findings| {
                if !types.is_empty() {
                    found.push((place, findings.clone()));
                }
            });
            for (place, findings) in found {
                if let (Some(redactor), Some(facts)) = (self.redact.redactor(), facts.get_mut(place)) {
                    note(types, redactor, &findings, facts);
                }
            }
            let items: Vec<_> = redacted.into_iter().zip(facts).filter_map(|(item, facts)| Some((item?, facts))).collect();
            let blocked = arrived - items.len() as u64;
            self.sample(signal, items.into_iter(), now);
            return self.finish(arrived, blocked);
        }
        self.sample(signal, items.into_iter(), now);
        self.finish(arrived, 0)
    }

    fn sample(&mut self, signal: Signal, items: impl ExactSizeIterator<Item = (Item, SpanFacts)>, now: Instant) {
        match &mut self.sampling {
            Some(Sampling { sampler, .. }) => {
                for (item, facts) in items {
                    match signal {
                        Signal::Logs => sampler.admit_log(facts.trace_id, item, now, &mut self.outcome),
                        _ => sampler.admit(&facts, item, now, &mut self.outcome),
                    }
                }
            }
            None if items.len() == 0 => {}
            None => {
                let (mut keep_class, mut trace_id, mut spans) = (false, None, Vec::with_capacity(items.len()));
                for (item, facts) in items {
                    keep_class |= facts.error.is_some() || facts.truncated || facts.must_stay;
                    trace_id = if spans.is_empty() { facts.trace_id } else { trace_id };
                    spans.push(item);
                }
                self.outcome.kept.push(Kept { spans, stamp: Stamp::default(), keep_class, trace_id });
            }
        }
    }

    /// Does what is due at `now`.
    pub fn tick(&mut self, now: Instant) -> Step {
        if let Some(Sampling { sampler, .. }) = &mut self.sampling {
            sampler.tick(now, &mut self.outcome);
        }
        self.finish(0, 0)
    }

    /// Tells how full memory is; under pressure traces are decided early.
    pub fn pressure(&mut self, pressure: Pressure, now: Instant) -> Step {
        if let Some(Sampling { sampler, .. }) = &mut self.sampling {
            sampler.pressure(pressure, now, &mut self.outcome);
        }
        self.finish(0, 0)
    }

    /// Decides everything that is held.
    pub fn shutdown(&mut self, now: Instant) -> Step {
        if let Some(Sampling { sampler, .. }) = &mut self.sampling {
            sampler.shutdown(now, &mut self.outcome);
        }
        self.finish(0, 0)
    }

    /// When the next tick is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.sampling.as_ref().and_then(|s| s.sampler.next_deadline())
    }

    /// Items held: undecided, or dropped and not yet gone.
    pub fn held(&self) -> u64 {
        self.sampling.as_ref().map_or(0, |s| s.sampler.held())
    }

    /// The redaction rules in force.
    pub fn redactor(&self) -> Option<&Redactor> {
        self.redact.redactor()
    }

    fn finish(&mut self, arrived: u64, blocked_early: u64) -> Step {
        if let Some(Sampling { sampler, meters, .. }) = &mut self.sampling {
            meters.record(&self.outcome);
            meters.status(sampler.status());
        }
        let (kept, dropped) = (self.outcome.kept_items(), self.outcome.dropped_items());
        let enrich = &mut self.enrich;
        let mut complete = |items: &[Item], at: usize, out: &mut Vec<u8>| enrich.complete(items, at, out);
        let Redaction { batches, found, blocked, tracestates_left } = self.redact.apply(&mut self.outcome.kept, &mut complete);
        if let Some(Sampling { meters, .. }) = &self.sampling {
            meters.tracestates_left(tracestates_left);
        }
        let decided = self.outcome.decisions.drain(..).collect();
        self.outcome.clear();
        if self.held() == 0 {
            self.enrich.nothing_is_held();
        }
        let report = ShardReport { arrived, held: self.held(), kept: kept.saturating_sub(blocked), dropped, lost: blocked + blocked_early };
        Step { batches, decided, found, report, blocked: blocked + blocked_early }
    }
}

/// When attributes have to be written: early where somebody reads them before a span leaves.
fn writing(plan: &Plan) -> Writing {
    if plan.redact_early {
        return Writing::Sealed;
    }
    match plan.policies.as_ref().is_some_and(|policies| policies.read_attribute(enrich::may_add)) {
        true => Writing::OnArrival,
        false => Writing::AsItLeaves,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use prost::Message;
    use std::time::Duration;

    fn path(policy: &str, redaction: &str, now: Instant) -> Path {
        let text =
            format!("exporters: {{debug: {{}}}}\nprocessors:\n  redaction: {redaction}\n  tail_sampling: {{policies: [{policy}]}}\n");
        let file = crate::config::load_text("test", &text).unwrap_or_else(|problems| panic!("{problems}"));
        let plan = Plan::compile(&file.processors, std::path::Path::new("")).unwrap();
        let telemetry = Telemetry::new(1 << 30);
        let common = Common { telemetry, enrich: Shared::default(), labels: LabelRules::default(), paths: 1 };
        Path::new(&plan, &common, now)
    }

    fn span(trace: u8, attributes: &[(&str, Value)]) -> Span {
        let pair = |(key, value): &(&str, Value)| KeyValue {
            key: (*key).into(),
            value: Some(AnyValue { value: Some(value.clone()) }),
            ..KeyValue::default()
        };
        Span {
            trace_id: vec![trace; 16],
            span_id: vec![trace; 8],
            start_time_unix_nano: 1_794_475_800_000_000_000,
            end_time_unix_nano: 1_794_475_801_000_000_000,
            attributes: attributes.iter().map(pair).collect(),
            ..Span::default()
        }
    }

    /// What leaves of a trace with a call and one without.
    fn leaves(policy: &str, redaction: &str) -> Vec<Span> {
        let mut now = Instant::now();
        let mut path = path(policy, redaction, now);
        let call = span(
            1,
            &[
                ("gen_ai.operation.name", Value::StringValue("chat".into())),
                ("gen_ai.request.model", Value::StringValue("claude-haiku-4-5".into())),
                ("gen_ai.usage.input_tokens", Value::IntValue(1840)),
                ("gen_ai.usage.output_tokens", Value::IntValue(362)),
            ],
        );
        let spans = vec![call, span(2, &[("http.route", Value::StringValue("/".into()))])];
        let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
        let request = ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] };
        let opened = crate::receive::open(Signal::Traces, request.encode_to_vec().into(), None, now).unwrap();
        let mut steps = vec![path.process(opened.whole(), now, &mut ())];
        now += Duration::from_secs(120);
        steps.push(path.tick(now));
        let batches = steps.iter().flat_map(|step| &step.batches);
        batches.flat_map(|batch| batch.items().map(|item| Span::decode(item.body).unwrap()).collect::<Vec<_>>()).collect()
    }

    fn has(span: &Span, key: &str) -> usize {
        span.attributes.iter().filter(|attribute| attribute.key == key).count()
    }

    #[test]
    fn a_policy_that_reads_what_enrichment_adds_finds_it() {
        let policy = "{name: owners, type: string_attribute, string_attribute: {key: tollgate.usage.role, values: [owner]}}";
        let kept = leaves(policy, "{enabled: false}");
        assert_eq!(kept.iter().map(|span| span.trace_id[0]).collect::<Vec<_>>(), [1]);
        assert_eq!((has(&kept[0], "tollgate.usage.role"), has(&kept[0], "tollgate.cost.total_usd")), (1, 1));
    }

    #[test]
    fn whatever_reads_what_enrichment_adds_has_it_written_early() {
        let writes = |sampling: &str| {
            let text = format!("exporters: {{debug: {{}}}}\nprocessors: {{tail_sampling: {{{sampling}}}}}\n");
            let file = crate::config::load_text("test", &text).unwrap_or_else(|problems| panic!("{problems}"));
            writing(&Plan::compile(&file.processors, std::path::Path::new("")).unwrap())
        };
        let condition = |key: &str| format!("type: string_attribute, string_attribute: {{key: {key}, values: [x]}}");
        for early in [
            "group_by: gen_ai.provider.name".to_owned(),
            "root_condition: {type: string_attribute, key: gen_ai.operation.name, values: [x]}".to_owned(),
            "policies: [{name: r, type: rare, rare: {key: [gen_ai.response.model]}}]".to_owned(),
            format!("policies: [{{name: p, {}}}]", condition("tollgate.error.class")),
        ] {
            assert_eq!(writes(&early), Writing::OnArrival, "{early}");
        }
        for late in ["group_by: session.id".to_owned(), format!("policies: [{{name: p, {}}}]", condition("user.tier"))] {
            assert_eq!(writes(&late), Writing::AsItLeaves, "{late}");
        }
    }

    #[test]
    fn attributes_stand_on_what_leaves_whenever_they_were_written() {
        let all = "{name: all, type: always_sample}";
        for redaction in ["{enabled: false}", "{enabled: true}", "{enabled: true, position: before_sampling}"] {
            let kept = leaves(all, redaction);
            let roles: Vec<_> = kept.iter().map(|span| (span.trace_id[0], has(span, "tollgate.usage.role"))).collect();
            assert_eq!(roles, [(1, 1), (2, 0)], "{redaction}");
        }
    }
}
