//! What a replay answers: a line for each trace.

use crate::cli::replay::facts::{Facts, Trace};
use crate::otlp::span::TraceId;
use crate::redact::{Findings, Redactor};
use crate::sample::{Decided, Decision};
use crate::units::Usd;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

/// Decisions and redactions by trace.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// The last decision of each trace: a late error changes it.
    decided: HashMap<TraceId, Decided>,
    redactions: HashMap<TraceId, BTreeMap<String, u64>>,
    /// What another config decided.
    before: Option<HashMap<TraceId, Decided>>,
}

/// What one policy kept.
#[derive(Debug, Default)]
struct Sums {
    traces: u64,
    spans: u64,
    bytes: u64,
    cost: Usd,
}

impl Report {
    pub(super) fn decided(&mut self, decided: Vec<Decided>) {
        self.decided.extend(decided.into_iter().map(|d| (d.trace_id, d)));
    }

    /// The decisions alone.
    pub(super) fn into_decisions(self) -> HashMap<TraceId, Decided> {
        self.decided
    }

    /// Compares with the decisions of another config.
    pub(super) fn compare(&mut self, before: Option<HashMap<TraceId, Decided>>) {
        self.before = before;
    }

    /// What each policy kept, by name.
    fn kept_by_policy(&self, facts: &Facts) -> BTreeMap<&str, Sums> {
        let mut out: BTreeMap<&str, Sums> = BTreeMap::new();
        for (id, trace) in facts.traces() {
            let verdict = self.verdict(id);
            let sums = out.entry(verdict.policy).or_default();
            if verdict.decision == Decision::Keep.as_str() {
                sums.traces += 1;
                sums.spans += trace.spans;
                sums.bytes += facts.bytes(id);
                sums.cost += trace.cost;
            }
        }
        out
    }

    /// Traces about which the other config decided otherwise; whether each has an error or a truncated answer.
    fn differing<'a>(&'a self, facts: &'a Facts) -> impl Iterator<Item = (TraceId, bool)> + 'a {
        let other = |id| self.before.as_ref().is_some_and(|before| verdict_of(before, id).decision != self.verdict(id).decision);
        facts.traces().filter(move |(id, _)| other(*id)).map(|(id, trace)| (id, trace.truncated || trace.failed))
    }

    /// The sums as one JSON value.
    pub(super) fn summary(&self, facts: &Facts) -> Value {
        let (mut kept, mut traces) = (Sums::default(), 0u64);
        let mut policies = Map::new();
        for (name, sums) in self.kept_by_policy(facts) {
            kept.traces += sums.traces;
            kept.cost += sums.cost;
            policies.insert(name.into(), sums.json());
        }
        facts.traces().for_each(|_| traces += 1);
        let mut out = json!({ "traces": traces, "kept": kept.traces, "kept_cost_usd": kept.cost.to_string(), "policies": policies });
        if self.before.is_some()
            && let Some(members) = out.as_object_mut()
        {
            let differing: Vec<(TraceId, bool)> = self.differing(facts).collect();
            let keep_class: Vec<String> = differing.iter().filter(|(_, keep)| *keep).map(|(id, _)| id.to_string()).collect();
            members.insert("differing".into(), differing.len().into());
            members.insert("differing_keep_class".into(), keep_class.into());
        }
        out
    }

    /// The sums for people.
    pub(super) fn write_summary(&self, facts: &Facts, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{:32} {:>8} {:>10} {:>12} {:>16}", "kept by policy", "traces", "spans", "bytes", "cost USD")?;
        for (name, Sums { traces, spans, bytes, cost }) in self.kept_by_policy(facts) {
            writeln!(out, "{name:32} {traces:>8} {spans:>10} {bytes:>12} {:>16}", cost.to_string())?;
        }
        if self.before.is_some() {
            let differing: Vec<(TraceId, bool)> = self.differing(facts).collect();
            let keep_class = differing.iter().filter(|(_, keep)| *keep);
            writeln!(
                out,
                "\n{} traces are decided otherwise, {} of them with an error or a truncated answer",
                differing.len(),
                keep_class.clone().count()
            )?;
            for (id, _) in keep_class {
                writeln!(out, "{id}  {}", self.verdict(*id).decision)?;
            }
        }
        Ok(())
    }

    pub(super) fn redacted(&mut self, redactor: Option<&Redactor>, found: Vec<(Option<TraceId>, Findings)>) {
        let Some(redactor) = redactor else { return };
        for (trace, findings) in found {
            let Some(trace) = trace else { continue };
            let counts = self.redactions.entry(trace).or_default();
            for (kind, count) in findings.counts() {
                *counts.entry(redactor.name(kind).to_owned()).or_default() += count;
            }
        }
    }

    pub(super) fn write_json(&self, facts: &Facts, with_spans: bool, out: &mut impl Write) -> io::Result<()> {
        for (id, trace) in facts.traces() {
            let mut line = self.line(id, trace);
            if with_spans {
                line.insert("span_facts".into(), trace.span_facts.clone().into());
            }
            writeln!(out, "{}", Value::Object(line))?;
        }
        Ok(())
    }

    fn line(&self, id: TraceId, trace: &Trace) -> Map<String, Value> {
        let mut line = Map::new();
        line.insert("trace_id".into(), id.to_string().into());
        let verdict = self.verdict(id);
        for (key, value) in
            [("decision", verdict.decision), ("policy", verdict.policy), ("reason", verdict.reason), ("trigger", verdict.trigger)]
        {
            line.insert(key.into(), value.into());
        }
        if let Some(before) = &self.before {
            let before = verdict_of(before, id);
            line.insert("against".into(), json!({ "decision": before.decision, "policy": before.policy }));
        }
        line.insert("spans".into(), trace.spans.into());
        line.insert("llm_calls".into(), trace.llm_calls.into());
        if trace.priced {
            line.insert("cost_usd".into(), trace.cost.to_string().into());
        }
        line.insert("input_tokens".into(), trace.input_tokens.into());
        line.insert("output_tokens".into(), trace.output_tokens.into());
        line.insert("errors".into(), json!({ "transient": trace.transient, "permanent": trace.permanent }));
        line.insert("truncated".into(), trace.truncated.into());
        line.insert("redactions".into(), json!(self.redactions.get(&id).cloned().unwrap_or_default()));
        line
    }

    fn verdict(&self, id: TraceId) -> Verdict<'_> {
        verdict_of(&self.decided, id)
    }

    /// A table for people, and sums below it.
    pub(super) fn write_table(&self, facts: &Facts, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "{:32}  {:8} {:16} {:12} {:>6} {:>6} {:>14} {:>10} {:>9}  marks",
            "trace", "decision", "policy", "trigger", "spans", "calls", "cost USD", "tokens in", "out"
        )?;
        let (mut kept, mut all, mut cost_kept, mut cost) = (0, 0, Usd::ZERO, Usd::ZERO);
        for (id, trace) in facts.traces() {
            let verdict = self.verdict(id);
            let amount = if trace.priced { trace.cost.to_string() } else { "-".to_owned() };
            writeln!(
                out,
                "{id}  {:8} {:16} {:12} {:>6} {:>6} {:>14} {:>10} {:>9}  {}",
                verdict.decision,
                verdict.policy,
                verdict.trigger,
                trace.spans,
                trace.llm_calls,
                amount,
                trace.input_tokens,
                trace.output_tokens,
                self.marks(id, trace)
            )?;
            all += 1;
            cost += trace.cost;
            if verdict.decision == Decision::Keep.as_str() {
                kept += 1;
                cost_kept += trace.cost;
            }
        }
        writeln!(out, "\n{kept} of {all} traces kept; {cost} USD in all, {cost_kept} USD in what was kept\n")?;
        self.write_summary(facts, out)
    }

    fn marks(&self, id: TraceId, trace: &Trace) -> String {
        let mut marks = Vec::new();
        if trace.transient + trace.permanent > 0 {
            marks.push(format!("{} errors", trace.transient + trace.permanent));
        }
        if trace.truncated {
            marks.push("truncated".to_owned());
        }
        if let Some(found) = self.redactions.get(&id) {
            marks.push(format!("{} redacted", found.values().sum::<u64>()));
        }
        marks.join(", ")
    }
}

/// What was decided about one trace.
fn verdict_of(decided: &HashMap<TraceId, Decided>, id: TraceId) -> Verdict<'_> {
    match decided.get(&id) {
        Some(decided) => Verdict {
            decision: decided.decision.as_str(),
            policy: &decided.policy,
            reason: decided.reason.as_str(),
            trigger: decided.trigger.as_str(),
        },
        // With sampling switched off nothing is decided: everything stays.
        None => Verdict { decision: Decision::Keep.as_str(), policy: "_off", reason: "default", trigger: "complete" },
    }
}

struct Verdict<'a> {
    decision: &'a str,
    policy: &'a str,
    reason: &'a str,
    trigger: &'a str,
}

impl Sums {
    fn json(&self) -> Value {
        json!({ "traces": self.traces, "spans": self.spans, "bytes": self.bytes, "cost_usd": self.cost.to_string() })
    }
}
