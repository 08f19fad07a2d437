//! What is written on the spans of a kept trace: the decision, and the probability it was made with.
//!
//! Written as a span leaves, as encoded fields behind it, so a trace that is dropped costs nothing here. The threshold on a span
//! is the one that was applied, never lower than the one it came with; where nobody knows the probability there is none.

use crate::otlp::append::{self, Attributes};
use crate::otlp::edit::{self, Edit};
use crate::otlp::signal::Signal;
use crate::otlp::span::{self, SpanView};
use crate::otlp::trace_state::{self, Unusable};
use crate::sample::config::MissingThreshold;
use crate::sample::outcome::{Decision, Reason, Trigger, Vote};
use crate::sample::patterns::Attempt;
use crate::sample::threshold::{self, Threshold};
use crate::sample::totals::Totals;
use crate::sample::trace::number;
use std::sync::Arc;

/// At most this many names of policies are written on a span.
const MAX_MATCHED: usize = 16;

/// A tool called so often with the same arguments is a loop: once more may be a second look, twice is not.
pub(super) const LOOP: u32 = 3;

/// What to write on the spans that leave together.
#[derive(Clone, Debug, Default)]
pub struct Stamp {
    pub(super) probability: Probability,
    pub(super) on: On,
    pub(super) detail: Option<Detail>,
    pub(super) late: bool,
    pub(super) partial: bool,
    /// Spans that are attempts of a retried call.
    pub(super) attempts: Option<Attempts>,
}

/// Attempts of retried calls, by the ids of their spans.
pub(super) type Attempts = Arc<[(u64, Attempt)]>;

/// Which spans get the attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum On {
    #[default]
    Nowhere,
    At(usize),
    Every,
}

/// How tracestate is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Probability {
    /// Not at all; what is known of it only goes into the adjusted count.
    #[default]
    Untouched,
    /// Like that, but this threshold was applied.
    Silent(Threshold),
    /// The larger of this threshold and the span's own.
    AtLeast(Threshold, Context),
    /// Nobody knows it: a threshold is taken away.
    Unknown,
}

/// What a span's own threshold is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Context {
    /// Randomness of the trace; none: that of the span, or of its trace id.
    pub(super) randomness: Option<u64>,
    /// Whether that randomness is written: it was made here.
    pub(super) made: bool,
    pub(super) missing: MissingThreshold,
}

/// The attributes of a decision.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Detail {
    pub(super) policy: Arc<str>,
    pub(super) matched: Arc<[Vote]>,
    pub(super) reason: Reason,
    pub(super) trigger: Trigger,
    /// None where a span comes so late that it is no longer known.
    pub(super) moment: Option<Moment>,
    pub(super) reopened: bool,
    pub(super) shadow: Option<Decision>,
    pub(super) config: Arc<str>,
    pub(super) totals: Option<Totals>,
}

/// How the trace was when it was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) complete: bool,
    pub(super) spans: u64,
    pub(super) wait_ms: u64,
}

/// What a span's tracestate becomes.
enum Change {
    Stay(Option<u64>),
    /// This threshold, and where given this randomness.
    Write(Option<u64>, Option<u64>),
}

impl Stamp {
    /// The span without what a stage before this one wrote of its own decision, where this one is going to write: keys are unique, and
    /// who lets a trace out last speaks for it. `None` where nothing of that stands on the span.
    pub fn cleared(&self, index: usize, body: &[u8]) -> Option<Vec<u8>> {
        let stale: &[&[u8]] = match &self.detail {
            Some(_) if self.bears(index) => &[b"sampling.", b"trace.", b"retry."],
            _ if self.late || self.partial => &[b"sampling.late", b"sampling.partial", b"retry."],
            _ if self.attempts.is_some() => &[b"retry."],
            _ => return None,
        };
        edit::attributes(body, span::attributes_field(Signal::Traces), |pair| {
            let ours = pair.key.strip_prefix(b"tollgate.");
            if ours.is_some_and(|key| stale.iter().any(|start| key.starts_with(start))) { Edit::Remove } else { Edit::Keep }
        })
    }

    fn bears(&self, index: usize) -> bool {
        self.on == On::Every || self.on == On::At(index)
    }

    /// Appends what belongs on span number `index` of those that leave together.
    ///
    /// # Errors
    /// Where its tracestate had to be left alone because the new one would be too long. The attributes are written all the same.
    pub fn write(&self, index: usize, span: &SpanView<'_>, out: &mut Vec<u8>) -> Result<(), Unusable> {
        let (threshold, result) = self.write_trace_state(span, out);
        if let Some(detail) = self.detail.as_ref().filter(|_| self.bears(index)) {
            self.write_detail(detail, threshold, out);
        } else if self.late || self.partial {
            self.write_marks(&mut Attributes::of_span(out));
        }
        let attempt = self.attempts.as_ref().and_then(|list| list.iter().find(|(id, _)| *id == number(span.span_id)));
        if let Some((_, attempt)) = attempt {
            let mut to = Attributes::of_span(out);
            to.int("tollgate.retry.attempt", attempt.number.into());
            to.int("tollgate.retry.attempts", attempt.of.into());
            to.str("tollgate.retry.outcome", if attempt.recovered { "recovered" } else { "exhausted" });
        }
        result
    }

    /// Whether spans with the other stamp may leave with those of this one.
    pub(super) fn joins(&self, other: &Stamp) -> bool {
        let one_only = |stamp: &Stamp| matches!(stamp.on, On::At(_));
        !one_only(self)
            && !one_only(other)
            && self.probability == other.probability
            && (self.late, self.partial, self.on) == (other.late, other.partial, other.on)
            && self.detail == other.detail
            && self.attempts.is_none()
            && other.attempts.is_none()
    }

    /// Writes the tracestate, if it changes; the threshold the span leaves with.
    fn write_trace_state(&self, span: &SpanView<'_>, out: &mut Vec<u8>) -> (Option<u64>, Result<(), Unusable>) {
        match self.change(span) {
            Change::Stay(threshold) => (threshold, Ok(())),
            Change::Write(Some(threshold), None) if span.trace_state.is_empty() => {
                let mut buffer = [0; 20];
                append::trace_state(out, fresh(threshold, &mut buffer));
                (Some(threshold), Ok(()))
            }
            Change::Write(threshold, randomness) => match trace_state::with(span.trace_state, threshold, randomness) {
                Ok(state) => {
                    append::trace_state(out, &state);
                    (threshold, Ok(()))
                }
                Err(error) => (None, Err(error)),
            },
        }
    }

    fn change(&self, span: &SpanView<'_>) -> Change {
        let own = match self.probability {
            Probability::Untouched => return Change::Stay(None),
            Probability::Silent(threshold) => return Change::Stay(Some(threshold.bits())),
            _ => match trace_state::read(span.trace_state) {
                Ok(own) => own,
                Err(_) => return Change::Stay(None),
            },
        };
        let target = match self.probability {
            Probability::AtLeast(applied, context) => {
                let randomness = context.randomness.or(own.randomness).or(span.trace_id.map(|id| threshold::randomness(id.bytes())));
                match own.threshold {
                    // A span that its own threshold would not have kept: the threshold is wrong, and nothing is known.
                    Some(threshold) if randomness.is_some_and(|r| r < threshold) => None,
                    Some(threshold) => Some(threshold.max(applied.bits())),
                    None if applied == Threshold::ALL && context.missing == MissingThreshold::Leave => None,
                    None => Some(applied.bits()),
                }
            }
            _ => None,
        };
        let made = match self.probability {
            Probability::AtLeast(_, Context { randomness, made: true, .. }) => randomness,
            _ => None,
        };
        if target == own.threshold && made.is_none() { Change::Stay(target) } else { Change::Write(target, made) }
    }

    fn write_detail(&self, detail: &Detail, threshold: Option<u64>, out: &mut Vec<u8>) {
        let mut to = Attributes::of_span(out);
        to.str("tollgate.sampling.policy", &detail.policy);
        to.str("tollgate.sampling.reason", detail.reason.as_str());
        to.str("tollgate.sampling.trigger", detail.trigger.as_str());
        if !detail.matched.is_empty() {
            to.strs("tollgate.sampling.matched", detail.matched.iter().take(MAX_MATCHED).map(|vote| &*vote.policy));
        }
        if let Some(threshold) = threshold {
            to.double("tollgate.sampling.adjusted_count", Threshold::from_bits(threshold).adjusted_count());
        }
        if let Some(moment) = detail.moment {
            to.bool("tollgate.sampling.complete", moment.complete);
            to.int("tollgate.sampling.spans", int(moment.spans));
            to.int("tollgate.sampling.wait_ms", int(moment.wait_ms));
        }
        self.write_marks(&mut to);
        if detail.reopened {
            to.bool("tollgate.sampling.reopened", true);
        }
        if let Some(shadow) = detail.shadow {
            to.str("tollgate.sampling.shadow", shadow.as_str());
        }
        to.str("tollgate.sampling.config", &detail.config);
        if let Some(totals) = &detail.totals {
            write_totals(totals, &mut to);
        }
    }

    fn write_marks(&self, to: &mut Attributes<'_>) {
        if self.late {
            to.bool("tollgate.sampling.late", true);
        }
        if self.partial {
            to.bool("tollgate.sampling.partial", true);
        }
    }
}

fn write_totals(totals: &Totals, to: &mut Attributes<'_>) {
    to.double("tollgate.trace.cost.total_usd", totals.cost.to_f64());
    to.int("tollgate.trace.tokens.input", int(totals.input_tokens));
    to.int("tollgate.trace.tokens.output", int(totals.output_tokens));
    to.int("tollgate.trace.llm_calls", int(totals.llm_calls));
    to.int("tollgate.trace.truncated_spans", int(totals.truncated_spans));
    to.int("tollgate.trace.errors.transient", int(totals.errors_transient));
    to.int("tollgate.trace.errors.permanent", int(totals.errors_permanent));
    if totals.errors_unknown > 0 {
        to.int("tollgate.trace.errors.unknown", int(totals.errors_unknown));
    }
    if totals.retries > 0 {
        to.int("tollgate.trace.retries", totals.retries.into());
        to.int("tollgate.trace.calls_recovered", totals.recovered.into());
        to.int("tollgate.trace.calls_exhausted", totals.exhausted.into());
        to.double("tollgate.trace.cost.failed_attempts_usd", totals.failed_cost.to_f64());
    }
    if totals.tool_repeats >= LOOP {
        to.int("tollgate.trace.tool_loop", totals.tool_repeats.into());
    }
}

fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// `ot=th:…` for a span that has no tracestate, without an allocation: most kept spans get one.
fn fresh(threshold: u64, buffer: &mut [u8; 20]) -> &str {
    const PREFIX: &[u8] = b"ot=th:";
    let mut length = 0;
    let mut push = |byte: u8| {
        if let Some(place) = buffer.get_mut(length) {
            *place = byte;
            length += 1;
        }
    };
    PREFIX.iter().for_each(|&byte| push(byte));
    let mut rest = threshold & (threshold::MAX - 1);
    loop {
        let digit = (rest >> 52) as u8 & 15;
        push(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
        rest = rest << 4 & (threshold::MAX - 1);
        if rest == 0 {
            break;
        }
    }
    buffer.get(..length).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(probability: Probability, state: &str) -> Option<String> {
        let stamp = Stamp { probability, ..Stamp::default() };
        let mut out = Vec::new();
        stamp.write(0, &SpanView { trace_state: state.as_bytes(), ..SpanView::default() }, &mut out).unwrap();
        let view = crate::otlp::span::view(&out);
        (!out.is_empty()).then(|| String::from_utf8(view.trace_state.to_vec()).unwrap())
    }

    fn at_least(threshold: u64, randomness: u64, missing: MissingThreshold) -> Probability {
        Probability::AtLeast(Threshold::from_bits(threshold), Context { randomness: Some(randomness), made: false, missing })
    }

    #[test]
    fn the_decision_of_a_stage_before_gives_way_where_this_one_writes_its_own() {
        let detail = Detail {
            policy: "all".into(),
            matched: [].into(),
            reason: Reason::Policy,
            trigger: Trigger::Complete,
            moment: None,
            reopened: false,
            shadow: None,
            config: "0".into(),
            totals: Some(Totals::default()),
        };
        let stamp = Stamp { on: On::At(1), detail: Some(detail), ..Stamp::default() };
        let mut body = Vec::new();
        Attributes::of_span(&mut body).str("model", "m");
        let plain = body.clone();
        assert_eq!(stamp.cleared(1, &plain), None);
        stamp.write(1, &SpanView::default(), &mut body).unwrap();
        assert_eq!(stamp.cleared(1, &body), Some(plain));
        assert_eq!(stamp.cleared(0, &body), None, "the other spans are left alone");
    }

    const HALF: u64 = 1 << 55;
    const HIGH: u64 = threshold::MAX - 1;

    #[test]
    fn a_threshold_is_never_lowered() {
        let assume = MissingThreshold::AssumeUnsampled;
        assert_eq!(written(at_least(HALF, HIGH, assume), "ot=th:c"), None);
        assert_eq!(written(at_least(HALF, HIGH, assume), "a=1,ot=th:4"), Some("ot=th:8,a=1".into()));
        assert_eq!(written(at_least(0, HIGH, assume), "ot=th:4"), None);
    }

    #[test]
    fn a_span_without_a_threshold_gets_the_one_applied_or_is_left() {
        assert_eq!(written(at_least(HALF, HIGH, MissingThreshold::AssumeUnsampled), ""), Some("ot=th:8".into()));
        assert_eq!(written(at_least(0, HIGH, MissingThreshold::AssumeUnsampled), ""), Some("ot=th:0".into()));
        assert_eq!(written(at_least(0, HIGH, MissingThreshold::Leave), ""), None);
        assert_eq!(written(at_least(HALF, HIGH, MissingThreshold::Leave), "a=1"), Some("ot=th:8,a=1".into()));
    }

    #[test]
    fn a_threshold_that_contradicts_the_randomness_is_taken_away() {
        assert_eq!(written(at_least(0, HALF - 1, MissingThreshold::AssumeUnsampled), "a=1,ot=th:8"), Some("a=1".into()));
    }

    #[test]
    fn an_unknown_probability_leaves_no_threshold() {
        assert_eq!(written(Probability::Unknown, "ot=th:8;rv:0123456789abcd"), Some("ot=rv:0123456789abcd".into()));
        assert_eq!(written(Probability::Unknown, ""), None);
    }

    #[test]
    fn a_tracestate_that_does_not_parse_or_is_none_of_ours_stays() {
        assert_eq!(written(at_least(HALF, HIGH, MissingThreshold::AssumeUnsampled), "ot=th:XYZ"), None);
        assert_eq!(written(Probability::Untouched, "ot=th:8"), None);
        assert_eq!(written(Probability::Silent(Threshold::from_bits(HALF)), "ot=th:4"), None);
    }

    proptest! {
        #[test]
        fn a_fresh_tracestate_is_what_the_general_way_writes(threshold in 0..threshold::MAX, zeros in 0u32..56) {
            let threshold = threshold >> zeros << zeros;
            let general = trace_state::with(b"", Some(threshold), None).unwrap();
            let mut buffer = [0; 20];
            prop_assert_eq!(fresh(threshold, &mut buffer), general);
        }
    }
}
