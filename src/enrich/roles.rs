//! Whose usage counts: each call once.
//!
//! A client, a framework and a provider package can each make a span of one call, all with its usage, and agents repeat the
//! sum of their calls. So usage belongs to the innermost call. Children end, and so arrive, before their parents:
//! an owner *taints* its parent, taint rises span by span, and a call that finds itself tainted when it arrives is a
//! duplicate. Where spans of one call are siblings or roots of different traces, the response id tells.
//!
//! What is remembered is bounded and expires; forgetting an owner can at worst count one wrapper twice.

use crate::otlp::span::{SpanId, TraceId};
use ahash::RandomState;
use dashmap::DashMap;
use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// How long a span is remembered. A parent ends after its children, but an agent may run for most of an hour.
const MARK_LIFETIME: Duration = Duration::from_secs(3600);

/// How many spans one shard remembers, at some hundred bytes each.
const MAX_MARKS: usize = 100_000;

/// How long a response id is remembered: two spans of one call end within moments, and are exported within seconds.
const RESPONSE_LIFETIME: Duration = Duration::from_secs(300);

/// How many response ids are remembered, at some hundred bytes each.
const MAX_RESPONSES: usize = 100_000;

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
    pub(crate) parent: Option<SpanId>,
    /// A call with usage, or an agent elsewhere whose calls nobody sees.
    pub(crate) usage: Usage,
    /// Service, provider and response id in one number.
    pub(crate) response: Option<u64>,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usage {
    /// None.
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
}

/// Response ids that have an owner, shared by all shards because two spans of one call can be in different traces.
#[derive(Debug)]
pub struct Responses {
    owners: DashMap<u64, (TraceId, SpanId), RandomState>,
    order: Mutex<VecDeque<(Instant, u64)>>,
    hasher: RandomState,
}

impl Default for Responses {
    fn default() -> Responses {
        Responses { owners: DashMap::default(), order: Mutex::default(), hasher: RandomState::new() }
    }
}

impl Responses {
    /// The number of a response of a provider to a service.
    pub(crate) fn number(&self, service: &str, provider: &str, id: &str) -> u64 {
        self.hasher.hash_one((service, provider, id))
    }

    /// Enters a span as the owner of a response, unless it has another: then that one.
    fn claim(&self, response: u64, span: (TraceId, SpanId), now: Instant) -> Option<(TraceId, SpanId)> {
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((entered, old)) = order.front()
            && (order.len() >= MAX_RESPONSES || now.saturating_duration_since(*entered) > RESPONSE_LIFETIME)
        {
            self.owners.remove(old);
            order.pop_front();
        }
        match self.owners.entry(response) {
            dashmap::Entry::Occupied(owner) => Some(*owner.get()),
            dashmap::Entry::Vacant(free) => {
                free.insert(span);
                order.push_back((now, response));
                None
            }
        }
    }

    fn owner(&self, response: u64) -> Option<(TraceId, SpanId)> {
        self.owners.get(&response).map(|owner| *owner)
    }
}

/// What is remembered of the traces of one shard.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    marks: HashMap<(TraceId, SpanId), Mark, RandomState>,
    order: VecDeque<(Instant, (TraceId, SpanId))>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    owned: bool,
    /// Usage inside it is owned.
    tainted: bool,
    /// A call inside it was counted, with usage or without.
    called: bool,
    /// It is a call without usage, and was counted.
    counted: bool,
}

impl Roles {
    /// Whether nothing is remembered: then spans without usage need no claim.
    pub(crate) fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Forgets what is too old.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some((entered, key)) = self.order.front()
            && (self.order.len() > MAX_MARKS || now.saturating_duration_since(*entered) > MARK_LIFETIME)
        {
            self.marks.remove(key);
            self.order.pop_front();
        }
    }

    /// Decides one span. Children should be decided before their parents where both are at hand.
    pub(crate) fn decide(&mut self, claim: &Claim, responses: &Responses, now: Instant) -> Verdict {
        let key = (claim.trace, claim.span);
        let mark = self.marks.get(&key).copied().unwrap_or_default();
        let mut verdict = Verdict::default();
        match claim.usage {
            Usage::Nothing => {}
            Usage::CallWithout => {
                verdict.wraps = mark.tainted || mark.called;
                verdict.again = mark.counted;
                self.mark(key, now).counted = true;
            }
            Usage::IdleCall => {
                verdict = self.idle(claim, mark, responses);
                self.mark(key, now).counted = true;
            }
            Usage::Container => verdict.role = Some(Role::Aggregate),
            Usage::RemoteAgent if mark.tainted => verdict.role = Some(Role::Aggregate),
            Usage::Call | Usage::RemoteAgent => {
                verdict = self.own(claim, mark, responses, now);
            }
        }
        let taints = mark.tainted || matches!(claim.usage, Usage::Call | Usage::RemoteAgent);
        let calls = mark.called || matches!(claim.usage, Usage::Call | Usage::IdleCall | Usage::CallWithout);
        if (taints || calls)
            && let Some(parent) = claim.parent
        {
            let parent = self.mark((claim.trace, parent), now);
            parent.tainted |= taints;
            parent.called |= calls;
        }
        verdict
    }

    /// Whether a span is known to have usage inside that is owned.
    pub(crate) fn is_tainted(&self, trace: TraceId, span: SpanId) -> bool {
        self.marks.get(&(trace, span)).is_some_and(|mark| mark.tainted)
    }

    /// A call that used nothing takes nothing from others: it neither taints, nor claims its response, nor owns what comes late.
    fn idle(&self, claim: &Claim, mark: Mark, responses: &Responses) -> Verdict {
        let owns = |key: (TraceId, SpanId)| self.marks.get(&key).is_some_and(|mark| mark.owned);
        let elsewhere = claim.response.and_then(|response| responses.owner(response)).is_some();
        let repeats =
            mark.tainted || claim.cover == Cover::Covered || elsewhere || claim.parent.is_some_and(|parent| owns((claim.trace, parent)));
        let role = if repeats { Role::Duplicate } else { Role::Owner };
        Verdict { role: Some(role), again: mark.counted, ..Verdict::default() }
    }

    fn own(&mut self, claim: &Claim, mark: Mark, responses: &Responses, now: Instant) -> Verdict {
        let key = (claim.trace, claim.span);
        if mark.owned {
            return Verdict { role: Some(Role::Owner), again: true, ..Verdict::default() };
        }
        let duplicate = Verdict { role: Some(Role::Duplicate), ..Verdict::default() };
        if claim.cover == Cover::Covered || mark.tainted && claim.cover != Cover::Covers {
            return duplicate;
        }
        if claim.response.and_then(|response| responses.owner(response)).is_some_and(|owner| owner != key) {
            return duplicate;
        }
        let parent = claim.parent.and_then(|parent| self.marks.get(&(claim.trace, parent)));
        if parent.is_some_and(|parent| parent.owned) && claim.usage == Usage::Call {
            return Verdict { inverted: true, ..duplicate };
        }
        if let Some(response) = claim.response
            && responses.claim(response, key, now).is_some_and(|owner| owner != key)
        {
            return duplicate;
        }
        self.mark(key, now).owned = true;
        Verdict { role: Some(Role::Owner), ..Verdict::default() }
    }

    fn mark(&mut self, key: (TraceId, SpanId), now: Instant) -> &mut Mark {
        let Roles { marks, order } = self;
        marks.entry(key).or_insert_with(|| {
            order.push_back((now, key));
            Mark::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let claim = Claim {
                trace: TraceId::new(&[self.trace; 16]).unwrap(),
                span: SpanId::new(&[span; 8]).unwrap(),
                parent: SpanId::new(&[parent; 8]),
                usage,
                cover: Cover::None,
                response: response.map(|id| self.responses.number("s", "openai", id)),
            };
            self.roles.decide(&claim, &self.responses, self.now)
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
        let (responses, now) = (Responses::default(), Instant::now());
        for n in 1..=(MAX_MARKS as u64 + 50) {
            let claim = Claim {
                trace: TraceId::new(&[1; 16]).unwrap(),
                span: SpanId::new(&n.to_be_bytes()).unwrap(),
                parent: None,
                usage: Usage::Call,
                response: Some(n),
                cover: Cover::None,
            };
            roles.expire(now);
            roles.decide(&claim, &responses, now);
        }
        assert!(roles.marks.len() <= MAX_MARKS + 1 && roles.order.len() == roles.marks.len());
        assert!(responses.owners.len() <= MAX_RESPONSES);
        roles.expire(now + MARK_LIFETIME * 2);
        assert!(roles.is_empty());
    }
}
