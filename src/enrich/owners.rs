//! Whose usage counts among the spans of one trace that are at hand.
//!
//! A request lists spans by library, so a framework's span often stands before the call it wraps. Children are decided before their
//! parents, whatever order they came in. The same is done with the part of a trace that one batch brings, beside what is remembered
//! of earlier ones, and with a whole trace as it leaves, where nothing needs to be remembered.

use crate::enrich::responses::Answers;
use crate::enrich::roles::{self, Claim, Cover, Mark, Roles, Usage, Verdict};
use crate::otlp::span::{SpanId, TraceId};

/// No place.
const NOWHERE: u32 = u32::MAX;

/// How far parents are followed to order spans. Deeper, the order of arrival decides.
const MAX_DEPTH: u32 = 512;

/// Up to so many spans are looked through one by one for a parent.
const FEW: usize = 16;

/// One span, as far as ownership goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pub(crate) span: SpanId,
    pub(crate) parent: Option<SpanId>,
    pub(crate) end: u64,
    pub(crate) usage: Usage,
    /// Whether it failed: then missing usage is no gap.
    pub(crate) failed: bool,
    pub(crate) response: Option<u64>,
    /// A span of another trace is known to own the same response.
    pub(crate) elsewhere: bool,
}

/// What is worked out about a member.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// Place of its parent.
    up: u32,
    /// Where its mark is: a span may have come twice.
    home: u32,
    depth: u32,
    /// Whether usage may be missing inside.
    gap: bool,
    cover: Cover,
    mark: Mark,
    verdict: Verdict,
}

impl Known {
    const NOTHING: Known = Known {
        up: NOWHERE,
        home: NOWHERE,
        depth: u32::MAX,
        gap: false,
        cover: Cover::None,
        mark: Mark { owned: false, tainted: false, called: false, counted: false },
        verdict: Verdict { role: None, again: false, inverted: false, wraps: false, elsewhere: false },
    };
}

/// The spans of one trace. Kept and filled again, for its room.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    members: Vec<Member>,
    known: Vec<Known>,
    /// Places by depth, end and arrival.
    order: Vec<(u32, u64, u32)>,
    /// Places by id, where there are many.
    by_id: Vec<(SpanId, u32)>,
}

impl Owners {
    /// Begins another trace.
    pub(crate) fn clear(&mut self) {
        self.members.clear();
    }

    /// Adds a span.
    pub(crate) fn add(&mut self, member: Member) {
        self.members.push(member);
    }

    /// What was decided about each, in the order they were added.
    pub(crate) fn verdicts(&self) -> impl ExactSizeIterator<Item = Verdict> + '_ {
        self.known.iter().map(|known| known.verdict)
    }

    /// Decides about every member, and remembers what later spans of the trace will ask.
    pub(crate) fn decide(&mut self, trace: TraceId, roles: &mut Roles, answers: &mut Answers<'_>) {
        let returning = roles.knows(trace);
        self.sort();
        if returning {
            for (member, known) in self.members.iter().zip(&mut self.known) {
                known.mark = roles.recall(trace, member.span);
            }
        }
        self.cover();
        let Owners { members, known, order, .. } = self;
        for &(_, _, at) in order.iter() {
            let (Some(member), Some(own)) = (members.get(at as usize), known.get(at as usize).copied()) else { continue };
            let before = known.get(own.home as usize).map(|home| home.mark).unwrap_or_default();
            let parent_owns = match (known.get(own.up as usize), member.parent) {
                (Some(up), _) => up.mark.owned,
                (None, Some(parent)) if returning => roles.recall(trace, parent).owned,
                _ => false,
            };
            let Member { span, parent, usage, response, elsewhere, .. } = *member;
            let claim = Claim { trace, span, usage, response, elsewhere, cover: own.cover };
            let (verdict, mark) = roles::decide(&claim, before, parent_owns, answers);
            // Spans without usage are only asked what is inside them, which is known of all that are here.
            if !matches!(usage, Usage::Nothing | Usage::Container) {
                roles.remember(trace, span, mark);
            }
            if let Some(own) = known.get_mut(at as usize) {
                own.verdict = verdict;
            }
            if let Some(home) = known.get_mut(own.home as usize) {
                home.mark = mark;
            }
            let passed = roles::passes_on(usage, mark);
            match (known.get_mut(own.up as usize), parent) {
                (Some(up), _) => up.mark = up.mark.and(passed),
                (None, Some(parent)) => roles.remember(trace, parent, passed),
                (None, None) => {}
            }
        }
    }

    /// Finds calls with usage around calls of which one has none: where the inner usage has a gap, the outer one counts.
    fn cover(&mut self) {
        let Owners { members, known, order, .. } = self;
        let keeps_to_itself = |member: &Member| matches!(member.usage, Usage::CallWithout | Usage::IdleCall) && !member.failed;
        if !members.iter().any(keeps_to_itself) || !members.iter().any(|member| member.usage == Usage::Call) {
            return;
        }
        // Gaps rise …
        for &(_, _, at) in order.iter() {
            let own = known.get(at as usize).copied().unwrap_or(Known::NOTHING);
            if (own.gap || members.get(at as usize).is_some_and(keeps_to_itself))
                && let Some(up) = known.get_mut(own.up as usize)
            {
                up.gap = true;
            }
        }
        // … and the outermost call with usage that has one inside covers everything below it. What was counted inside it before
        // cannot be taken back.
        for &(_, _, at) in order.iter().rev() {
            let above = known.get(at as usize).and_then(|own| known.get(own.up as usize)).is_some_and(|up| up.cover != Cover::None);
            let home = known.get(at as usize).and_then(|own| known.get(own.home as usize));
            let tainted = home.is_some_and(|home| home.mark.tainted);
            let (Some(member), Some(own)) = (members.get(at as usize), known.get_mut(at as usize)) else { continue };
            own.cover = if above {
                Cover::Covered
            } else if own.gap && member.usage == Usage::Call && !tainted {
                Cover::Covers
            } else {
                Cover::None
            };
        }
    }

    /// Orders the spans: the deepest first, of equally deep ones those that end first.
    fn sort(&mut self) {
        self.find_parents();
        let Owners { members, known, order, .. } = self;
        for start in 0..members.len() as u32 {
            // Up to the first known depth, then down again with it. A circle of parents ends at the limit.
            let (mut steps, mut at, mut above) = (0, start, 0);
            while let Some(up) = known.get(at as usize).map(|own| own.up).filter(|up| *up != NOWHERE && steps < MAX_DEPTH) {
                steps += 1;
                at = up;
                if let Some(depth) = known.get(at as usize).map(|own| own.depth).filter(|depth| *depth != u32::MAX) {
                    above = depth;
                    break;
                }
            }
            let (mut depth, mut at) = (above.saturating_add(steps), start);
            for _ in 0..=steps {
                let Some(own) = known.get_mut(at as usize).filter(|own| own.depth == u32::MAX) else { break };
                own.depth = depth;
                depth = depth.saturating_sub(1);
                at = own.up;
            }
        }
        order.clear();
        order.extend(members.iter().zip(known.iter()).zip(0..).map(|((member, own), at)| (u32::MAX - own.depth, member.end, at)));
        order.sort_unstable();
    }

    fn find_parents(&mut self) {
        let Owners { members, known, by_id, .. } = self;
        known.clear();
        known.resize(members.len(), Known::NOTHING);
        let few = members.len() <= FEW;
        if !few {
            by_id.clear();
            by_id.extend(members.iter().zip(0..).map(|(member, at)| (member.span, at)));
            by_id.sort_unstable();
        }
        // Of a span that came twice the last one.
        let place = |span: SpanId| {
            if few {
                return members.iter().rposition(|other| other.span == span).map_or(NOWHERE, |at| at as u32);
            }
            let last = by_id.partition_point(|(id, _)| *id <= span).checked_sub(1).and_then(|last| by_id.get(last));
            last.filter(|(id, _)| *id == span).map_or(NOWHERE, |(_, at)| *at)
        };
        for (member, own) in members.iter().zip(known) {
            own.up = member.parent.map_or(NOWHERE, place);
            own.home = place(member.span);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::responses::Responses;

    fn member(span: u8, parent: u8, end: u64) -> Member {
        Member {
            span: SpanId::new(&[span; 8]).unwrap(),
            parent: SpanId::new(&[parent; 8]),
            end,
            usage: Usage::Nothing,
            failed: false,
            response: None,
            elsewhere: false,
        }
    }

    fn sorted(members: Vec<Member>) -> Vec<u32> {
        let mut owners = Owners { members, ..Owners::default() };
        owners.sort();
        owners.order.iter().map(|(_, _, at)| *at).collect()
    }

    #[test]
    fn children_come_before_their_parents_in_whatever_order_they_arrive() {
        assert_eq!(sorted(vec![member(1, 0, 9), member(2, 1, 9), member(3, 2, 9)]), [2, 1, 0]);
        assert_eq!(sorted(vec![member(3, 2, 9), member(1, 0, 9), member(2, 1, 9)]), [0, 2, 1]);
        assert_eq!(sorted(vec![member(2, 1, 5), member(3, 1, 4), member(4, 99, 1), member(1, 0, 2)]), [1, 0, 2, 3]);
        // More than are looked through one by one.
        let chain: Vec<_> = (1..=60).map(|n| member(n, n - 1, 9)).collect();
        assert_eq!(sorted(chain), (0..60).rev().collect::<Vec<_>>());
    }

    #[test]
    fn a_circle_of_parents_ends() {
        assert_eq!(sorted(vec![member(1, 2, 1), member(2, 1, 2), member(3, 3, 3)]).len(), 3);
    }

    #[test]
    fn a_span_that_stands_twice_in_a_batch_is_counted_once() {
        let trace = TraceId::new(&[1; 16]).unwrap();
        let (mut owners, mut roles, responses) = (Owners::default(), Roles::default(), Responses::default());
        for _ in 0..2 {
            owners.add(Member { usage: Usage::Call, ..member(2, 1, 1) });
        }
        owners.decide(trace, &mut roles, &mut Answers::All(&responses, std::time::Instant::now()));
        assert_eq!(owners.verdicts().filter(|verdict| verdict.again).count(), 1);
        assert!(owners.verdicts().all(|verdict| verdict.role == Some(crate::enrich::roles::Role::Owner)));
    }

    #[test]
    fn only_what_later_spans_ask_is_remembered() {
        let trace = TraceId::new(&[1; 16]).unwrap();
        let (mut owners, mut roles, responses) = (Owners::default(), Roles::default(), Responses::default());
        let now = std::time::Instant::now();
        roles.expire(now);
        // A call in a tool in a chain whose parent is still to come.
        for (span, parent, usage) in [(4, 3, Usage::Call), (3, 2, Usage::Nothing), (2, 1, Usage::Container)] {
            owners.add(Member { usage, ..member(span, parent, 1) });
        }
        owners.decide(trace, &mut roles, &mut Answers::All(&responses, now));
        let recall = |span| roles.recall(trace, SpanId::new(&[span; 8]).unwrap());
        assert!(recall(4).owned && recall(1).tainted);
        assert_eq!((recall(3), recall(2)), (Mark::default(), Mark::default()));
    }
}
