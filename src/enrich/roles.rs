//! Whose usage counts: each call once.
//!
//! A client, a framework and a provider package can each make a span of one call, all with its usage, and agents repeat the
//! sum of their calls. So usage belongs to the innermost call. Children end, and so arrive, before their parents:
//! an owner *taints* its parent, taint rises span by span, and a call that finds itself tainted when it arrives is a
//! duplicate. Where spans of one call are siblings or roots of different traces, the response id tells.
//!
//! What is remembered is bounded and expires; forgetting an owner can at worst count one wrapper twice.

use crate::enrich::responses::{Answers, Hashed};
use crate::otlp::span::{SpanId, TraceId};
use ahash::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::time::{Duration, Instant};

/// How long a span is remembered. A parent ends after its children, but an agent may run for most of an hour.
const MARK_LIFETIME: Duration = Duration::from_secs(3600);

/// How many traces one shard remembers, at some hundred bytes each.
const MAX_TRACES: usize = 50_000;

/// Marks that lie with their trace. Most traces have no more calls than that, and are found at one place in memory then.
const FEW: usize = 4;

/// How many marks of larger traces one shard remembers, at some forty bytes each.
const MAX_MORE: usize = 100_000;

/// How the usage of a span counts. Written as `tollgate.usage.role`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It counts.
    Owner,
    /// It is the sum of what other spans own.
    Aggregate,
    /// Another span of the same call owns it.
    Duplicate,
}

impl Role {
    /// The value written on the span.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Aggregate => "aggregate",
            Role::Duplicate => "duplicate",
        }
    }
}

/// What the question of ownership depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    pub(crate) trace: TraceId,
    pub(crate) span: SpanId,
    /// A call with usage, or an agent elsewhere whose calls nobody sees.
    pub(crate) usage: Usage,
    /// Service, provider and response id in one number.
    pub(crate) response: Option<u64>,
    /// A span of another trace is known to own the same response.
    pub(crate) elsewhere: bool,
    /// What a look at the whole batch says.
    pub(crate) cover: Cover,
}

/// Usage around calls of which one keeps its own to itself: then nobody can add up the inner calls, and the outer one counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Cover {
    /// No such thing.
    #[default]
    None,
    /// It is the outer one.
    Covers,
    /// It is an inner one.
    Covered,
}

/// What usage a span has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Usage {
    /// None.
    #[default]
    Nothing,
    /// None, on a span that is a call.
    CallWithout,
    /// On a call, and all of it zero.
    IdleCall,
    /// On a call.
    Call,
    /// On an agent elsewhere, whose calls may be seen or not.
    RemoteAgent,
    /// On a container.
    Container,
}

/// The answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// `None` where there is no usage.
    pub(crate) role: Option<Role>,
    /// The same span came before: it is what it was, and is not counted again.
    pub(crate) again: bool,
    /// The parent arrived first and owns.
    pub(crate) inverted: bool,
    /// A call without usage of its own whose inner call counts.
    pub(crate) wraps: bool,
    /// A span of another trace owns the same response.
    pub(crate) elsewhere: bool,
}

/// What is remembered of the traces of one shard. Traces are known by seeded hashes: that two of them agree in 64 bits does not happen.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    traces: HashMap<u64, Marks, BuildHasherDefault<Hashed>>,
    order: VecDeque<(u32, u64)>,
    /// Marks that have no room with their trace, by trace and span.
    more: HashMap<u64, Mark, BuildHasherDefault<Hashed>>,
    order_of_more: VecDeque<(u32, u64)>,
    hasher: RandomState,
    /// When time began, and the seconds since.
    began: Option<Instant>,
    seconds: u32,
}

/// The marks of one trace.
#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    few: [(Option<SpanId>, Mark); FEW],
    has_more: bool,
    touched: u32,
}

/// What is known of a span from others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) owned: bool,
    /// Usage inside it is owned.
    pub(crate) tainted: bool,
    /// A call inside it was counted, with usage or without.
    pub(crate) called: bool,
    /// It is a call without usage, and was counted.
    pub(crate) counted: bool,
}

impl Mark {
    /// What either says.
    pub(crate) fn and(self, other: Mark) -> Mark {
        Mark {
            owned: self.owned || other.owned,
            tainted: self.tainted || other.tainted,
            called: self.called || other.called,
            counted: self.counted || other.counted,
        }
    }
}

impl Roles {
    /// Whether nothing is remembered: then spans without usage need no claim.
    pub(crate) fn is_empty(&self) -> bool {
        self.traces.is_empty()
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.traces.clear();
        self.order.clear();
        self.more.clear();
        self.order_of_more.clear();
    }

    /// Forgets what is too old, and goes on at `now`.
    pub(crate) fn expire(&mut self, now: Instant) {
        let began = *self.began.get_or_insert(now);
        self.seconds = u32::try_from(now.saturating_duration_since(began).as_secs()).unwrap_or(u32::MAX);
        let seconds = self.seconds;
        let old = |entered: u32| u64::from(seconds.saturating_sub(entered)) > MARK_LIFETIME.as_secs();
        while let Some(&(entered, trace)) = self.order.front()
            && (self.order.len() > MAX_TRACES || old(entered))
        {
            self.order.pop_front();
            match self.traces.get(&trace) {
                // It went on since: its time counts from then.
                Some(marks) if marks.touched > entered => self.order.push_back((marks.touched, trace)),
                _ => {
                    self.traces.remove(&trace);
                }
            }
        }
        while let Some(&(entered, span)) = self.order_of_more.front()
            && (self.order_of_more.len() > MAX_MORE || old(entered))
        {
            self.order_of_more.pop_front();
            self.more.remove(&span);
        }
    }

    /// Whether anything is remembered of a trace.
    pub(crate) fn knows(&self, trace: TraceId) -> bool {
        !self.is_empty() && self.traces.contains_key(&self.hasher.hash_one(trace))
    }

    /// What is remembered of a span.
    pub(crate) fn recall(&self, trace: TraceId, span: SpanId) -> Mark {
        let Some(marks) = self.traces.get(&self.hasher.hash_one(trace)) else { return Mark::default() };
        match marks.few.iter().find(|(id, _)| *id == Some(span)) {
            Some((_, mark)) => *mark,
            None if marks.has_more => self.more.get(&self.hasher.hash_one((trace, span))).copied().unwrap_or_default(),
            None => Mark::default(),
        }
    }

    /// Adds to what is remembered of a span.
    pub(crate) fn remember(&mut self, trace: TraceId, span: SpanId, mark: Mark) {
        if mark == Mark::default() {
            return;
        }
        let Roles { traces, order, more, order_of_more, hasher, seconds, .. } = self;
        let key = hasher.hash_one(trace);
        let marks = traces.entry(key).or_insert_with(|| {
            order.push_back((*seconds, key));
            Marks::default()
        });
        marks.touched = *seconds;
        if let Some((id, known)) = marks.few.iter_mut().find(|(id, _)| id.is_none_or(|id| id == span)) {
            (*id, *known) = (Some(span), known.and(mark));
            return;
        }
        marks.has_more = true;
        let key = hasher.hash_one((trace, span));
        let known = more.entry(key).or_insert_with(|| {
            order_of_more.push_back((*seconds, key));
            Mark::default()
        });
        *known = known.and(mark);
    }
}

/// Decides one span, given what is known of it and whether its parent owns. Children are decided before their parents where both are
/// at hand. The second answer is what the span's own mark becomes.
pub(crate) fn decide(claim: &Claim, mark: Mark, parent_owns: bool, answers: &mut Answers<'_>) -> (Verdict, Mark) {
    let mut after = mark;
    let mut verdict = Verdict::default();
    match claim.usage {
        Usage::Nothing => {}
        Usage::CallWithout => {
            verdict.wraps = mark.tainted || mark.called;
            verdict.again = mark.counted;
            after.counted = true;
        }
        Usage::IdleCall => {
            verdict = idle(claim, mark, parent_owns, answers);
            after.counted = true;
        }
        Usage::Container => verdict.role = Some(Role::Aggregate),
        Usage::RemoteAgent if mark.tainted => verdict.role = Some(Role::Aggregate),
        Usage::Call | Usage::RemoteAgent => {
            verdict = own(claim, mark, parent_owns, answers);
            after.owned |= verdict.role == Some(Role::Owner);
        }
    }
    (verdict, after)
}

/// What a span passes on to the one around it.
pub(crate) fn passes_on(usage: Usage, mark: Mark) -> Mark {
    let tainted = mark.tainted || matches!(usage, Usage::Call | Usage::RemoteAgent);
    let called = mark.called || matches!(usage, Usage::Call | Usage::IdleCall | Usage::CallWithout);
    Mark { tainted, called, ..Mark::default() }
}

/// A call that used nothing takes nothing from others: it neither taints, nor claims its response, nor owns what comes late.
fn idle(claim: &Claim, mark: Mark, parent_owns: bool, answers: &Answers<'_>) -> Verdict {
    let elsewhere = claim.response.and_then(|response| answers.owned(response, claim.trace));
    let repeats = mark.tainted || claim.cover == Cover::Covered || elsewhere.is_some() || claim.elsewhere || parent_owns;
    let role = if repeats { Role::Duplicate } else { Role::Owner };
    Verdict { role: Some(role), again: mark.counted, elsewhere: elsewhere == Some(true) || claim.elsewhere, ..Verdict::default() }
}

fn own(claim: &Claim, mark: Mark, parent_owns: bool, answers: &mut Answers<'_>) -> Verdict {
    if mark.owned {
        return Verdict { role: Some(Role::Owner), again: true, ..Verdict::default() };
    }
    let duplicate = Verdict { role: Some(Role::Duplicate), ..Verdict::default() };
    if claim.elsewhere {
        return Verdict { elsewhere: true, ..duplicate };
    }
    if claim.cover == Cover::Covered || mark.tainted && claim.cover != Cover::Covers {
        return duplicate;
    }
    if parent_owns && claim.usage == Usage::Call {
        return Verdict { inverted: true, ..duplicate };
    }
    if let Some(response) = claim.response
        && let Some(elsewhere) = answers.claim(response, claim.trace, claim.span)
    {
        return Verdict { elsewhere, ..duplicate };
    }
    Verdict { role: Some(Role::Owner), ..Verdict::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::owners::{Member, Owners};
    use crate::enrich::responses::{RESPONSE_LIFETIME, Responses};

    struct Trace {
        roles: Roles,
        responses: Responses,
        now: Instant,
        trace: u8,
    }

    impl Trace {
        fn new() -> Trace {
            Trace { roles: Roles::default(), responses: Responses::default(), now: Instant::now(), trace: 1 }
        }

        fn decide(&mut self, span: u8, parent: u8, usage: Usage, response: Option<&str>) -> Verdict {
            let mut owners = Owners::default();
            owners.add(Member {
                span: SpanId::new(&[span; 8]).unwrap(),
                parent: SpanId::new(&[parent; 8]),
                end: 0,
                usage,
                failed: false,
                response: response.map(|id| self.responses.number("s", "openai", id)),
                elsewhere: false,
            });
            self.roles.expire(self.now);
            let trace = TraceId::new(&[self.trace; 16]).unwrap();
            owners.decide(trace, &mut self.roles, &mut Answers::All(&self.responses, self.now));
            owners.verdicts().next().unwrap()
        }

        fn role(&mut self, span: u8, parent: u8, usage: Usage) -> Option<Role> {
            self.decide(span, parent, usage, None).role
        }
    }

    #[test]
    fn the_inner_call_owns_and_the_outer_is_a_duplicate() {
        let mut trace = Trace::new();
        assert_eq!(trace.role(3, 2, Usage::Call), Some(Role::Owner));
        assert_eq!(trace.role(2, 1, Usage::Call), Some(Role::Duplicate));
        assert_eq!(trace.role(1, 0, Usage::Call), Some(Role::Duplicate));
    }

    #[test]
    fn a_failed_call_and_the_wrapper_that_failed_with_it_are_one_call() {
        let mut trace = Trace::new();
        assert!(!trace.decide(3, 2, Usage::CallWithout, None).wraps);
        assert!(trace.decide(2, 1, Usage::CallWithout, None).wraps);
        assert_eq!(trace.role(1, 0, Usage::Call), Some(Role::Owner), "nobody owns inside");
    }

    #[test]
    fn a_call_that_used_nothing_takes_nothing_from_others() {
        let mut trace = Trace::new();
        assert_eq!(trace.decide(3, 2, Usage::IdleCall, Some("r")).role, Some(Role::Owner));
        assert!(trace.decide(3, 2, Usage::IdleCall, Some("r")).again);
        assert_eq!(trace.role(2, 1, Usage::Call), Some(Role::Owner), "around it");
        assert_eq!(trace.decide(4, 0, Usage::Call, Some("r")).role, Some(Role::Owner), "of the same response");
        assert_eq!(trace.role(5, 3, Usage::Call), Some(Role::Owner), "late and inside");
        assert_eq!(trace.role(6, 2, Usage::IdleCall), Some(Role::Duplicate), "its parent owns");
        assert_eq!(trace.decide(7, 0, Usage::IdleCall, Some("r")).role, Some(Role::Duplicate));
        assert_eq!(trace.role(1, 0, Usage::IdleCall), Some(Role::Duplicate), "around a call that owns");
    }

    #[test]
    fn taint_rises_through_tools_and_chains() {
        let mut trace = Trace::new();
        assert_eq!(trace.role(4, 3, Usage::Call), Some(Role::Owner));
        assert_eq!(trace.role(3, 2, Usage::Nothing), None);
        assert_eq!(trace.role(2, 1, Usage::Container), Some(Role::Aggregate));
        assert_eq!(trace.role(1, 0, Usage::Call), Some(Role::Duplicate));
    }

    #[test]
    fn retries_are_siblings_and_each_owns() {
        let mut trace = Trace::new();
        assert_eq!(trace.role(2, 1, Usage::Call), Some(Role::Owner));
        assert_eq!(trace.role(3, 1, Usage::Call), Some(Role::Owner));
    }

    #[test]
    fn an_agent_elsewhere_owns_only_where_no_call_is_seen() {
        let mut trace = Trace::new();
        assert_eq!(trace.role(1, 0, Usage::RemoteAgent), Some(Role::Owner));
        assert_eq!(trace.role(3, 2, Usage::Call), Some(Role::Owner));
        assert_eq!(trace.role(2, 0, Usage::RemoteAgent), Some(Role::Aggregate));
    }

    #[test]
    fn one_response_is_counted_once_across_traces() {
        let mut trace = Trace::new();
        assert_eq!(trace.decide(2, 1, Usage::Call, Some("r1")).role, Some(Role::Owner));
        assert_eq!(trace.decide(3, 1, Usage::Call, Some("r1")).role, Some(Role::Duplicate));
        trace.trace = 2;
        assert_eq!(trace.decide(4, 0, Usage::Call, Some("r1")).role, Some(Role::Duplicate));
        assert_eq!(trace.decide(5, 0, Usage::Call, Some("r2")).role, Some(Role::Owner));
        trace.now += RESPONSE_LIFETIME * 2;
        assert_eq!(trace.decide(6, 0, Usage::Call, Some("r3")).role, Some(Role::Owner));
        assert_eq!(trace.decide(7, 0, Usage::Call, Some("r1")).role, Some(Role::Owner), "long ago");
    }

    #[test]
    fn a_child_that_comes_late_is_a_duplicate_and_said_so() {
        let mut trace = Trace::new();
        assert_eq!(trace.role(1, 0, Usage::Call), Some(Role::Owner));
        let late = trace.decide(2, 1, Usage::Call, None);
        assert_eq!((late.role, late.inverted), (Some(Role::Duplicate), true));
    }

    #[test]
    fn a_span_sent_again_is_what_it_was_and_not_counted_again() {
        let mut trace = Trace::new();
        assert!(!trace.decide(2, 1, Usage::Call, Some("r")).again);
        let again = trace.decide(2, 1, Usage::Call, Some("r"));
        assert_eq!((again.role, again.again), (Some(Role::Owner), true));
        assert!(!trace.decide(9, 0, Usage::CallWithout, None).again);
        assert!(trace.decide(9, 0, Usage::CallWithout, None).again);
    }

    #[test]
    fn memory_is_bounded_and_expires() {
        let mut roles = Roles::default();
        let now = Instant::now();
        roles.expire(now);
        let owned = Mark { owned: true, ..Mark::default() };
        let span = |n: u64| SpanId::new(&n.to_be_bytes()).unwrap();
        let trace = |n: u64| TraceId::new(&u128::from(n).to_be_bytes()).unwrap();
        for n in 1..=(MAX_TRACES as u64 + 50) {
            roles.remember(trace(n), span(n), owned);
            roles.expire(now);
        }
        for n in 1..=(MAX_MORE as u64 + 50) {
            roles.remember(trace(1 << 40), span(n), owned);
            roles.expire(now);
        }
        assert!(roles.traces.len() <= MAX_TRACES && roles.order.len() == roles.traces.len());
        assert!(roles.more.len() <= MAX_MORE && roles.order_of_more.len() == roles.more.len());
        assert_eq!((roles.recall(trace(1 << 40), span(1)), roles.recall(trace(1 << 40), span(MAX_MORE as u64))), (owned, owned));
        assert_eq!(roles.recall(trace(1 << 40), span(1 << 50)), Mark::default());
        roles.expire(now + MARK_LIFETIME * 2);
        assert!(roles.is_empty() && roles.more.is_empty());
    }

    #[test]
    fn a_trace_that_goes_on_is_remembered_as_long_as_it_does() {
        let mut trace = Trace::new();
        trace.role(2, 1, Usage::Call);
        trace.now += MARK_LIFETIME * 3 / 4;
        trace.role(4, 3, Usage::Call);
        trace.now += MARK_LIFETIME / 2;
        assert_eq!(trace.role(3, 0, Usage::Call), Some(Role::Duplicate));
        assert_eq!(trace.role(1, 0, Usage::Call), Some(Role::Duplicate));
        trace.now += MARK_LIFETIME * 2;
        assert_eq!(trace.role(1, 0, Usage::Call), Some(Role::Owner), "too long ago");
    }
}
