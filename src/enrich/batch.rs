//! One batch as it arrives: looked at, ruled on, counted.
//!
//! Whose usage counts cannot be told span by span: a request lists spans by library, so a framework's span often stands before the
//! call it wraps. So every span is looked at first, then ownership is decided trace by trace, and then each span gets its facts. All
//! lists are used again for the next batch.

use crate::enrich::Observer;
use crate::enrich::call::LlmFacts;
use crate::enrich::facts::SpanFacts;
use crate::enrich::look::{Look, Looker};
use crate::enrich::meters::Meters;
use crate::enrich::note::Note;
use crate::enrich::owners::{Member, Owners};
use crate::enrich::responses::{Answers, Responses};
use crate::enrich::rewrite;
use crate::enrich::roles::{Role, Roles, Usage, Verdict};
use crate::enrich::ruling;
use crate::enrich::settings::Settings;
use crate::enrich::source::Source;
use crate::otlp::head::Head;
use crate::otlp::request::Draft;
use crate::otlp::span::TraceId;
use ahash::RandomState;
use std::collections::HashMap;
use std::time::Instant;

/// No look, no span.
const NONE: u32 = u32::MAX;

/// When attributes are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Writing {
    /// As a span leaves: what is dropped was never written.
    #[default]
    AsItLeaves,
    /// As it arrives, because somebody reads them before it leaves.
    OnArrival,
    /// As it arrives and for good: what is held can not be told from what came.
    Sealed,
}

/// What a batch is read with.
pub(crate) struct Circumstances<'c> {
    pub(crate) settings: &'c Settings,
    /// The number of the settings.
    pub(crate) generation: u16,
    /// The number of the batch.
    pub(crate) batch: u64,
    pub(crate) writing: Writing,
    pub(crate) responses: &'c Responses,
    pub(crate) now: Instant,
}

/// The working memory of one shard.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    looker: Looker,
    facts: Vec<SpanFacts>,
    /// Number of the look at each span.
    look_of: Vec<u32>,
    looks: Vec<Look<'static>>,
    verdicts: Vec<Verdict>,
    /// Roles that differ from what is counted, by look.
    otherwise: Vec<(u32, Verdict)>,
    traces: Traces,
    owners: Owners,
    added: Vec<u8>,
    /// Where what is added to each span ends.
    ends: Vec<usize>,
}

impl Batch {
    /// Reads, prices and counts every span. `roles` is what was counted, `left` what was said of traces that have left already.
    pub(crate) fn take_in(
        &mut self,
        draft: &Draft,
        with: &Circumstances<'_>,
        roles: &mut Roles,
        left: &mut Roles,
        meters: &mut Meters,
        observer: &mut dyn Observer,
    ) {
        let mut looks = emptied(std::mem::take(&mut self.looks));
        self.look(draft, with, &mut looks);
        self.decide(&looks, with, roles, meters);
        self.decide_again(&looks, with, left);
        self.conclude(&looks, with, meters, observer);
        self.looks = emptied(looks);
    }

    /// The facts of the span at a place, and what is added to it.
    pub(crate) fn span(&self, at: usize) -> (SpanFacts, &[u8]) {
        let end = self.ends.get(at).copied().unwrap_or_default();
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        (self.facts.get(at).copied().unwrap_or_default(), self.added.get(start..end).unwrap_or_default())
    }

    /// What each span is, and what usage it has.
    fn look<'a>(&mut self, draft: &'a Draft, with: &Circumstances<'_>, looks: &mut Vec<Look<'a>>) {
        self.facts.clear();
        self.look_of.clear();
        let mut head_of: Option<(*const Head, Source<'a>)> = None;
        for (head, item) in draft.items() {
            let source = match head_of {
                Some((of, source)) if std::ptr::eq(of, head) => source,
                _ => Source::of(head),
            };
            head_of = Some((head, source));
            let before = looks.len();
            let view = self.looker.look(item, &source, with.settings, with.responses, looks);
            self.facts.push(SpanFacts::of(&view));
            self.look_of.push(if looks.len() > before { before as u32 } else { NONE });
        }
    }

    /// Whose usage counts, trace by trace.
    fn decide(&mut self, looks: &[Look<'_>], with: &Circumstances<'_>, roles: &mut Roles, meters: &mut Meters) {
        roles.expire(with.now);
        self.verdicts.clear();
        self.verdicts.resize(looks.len(), Verdict::default());
        if roles.is_empty() && looks.iter().all(|look| look.claimed == Usage::Nothing) {
            self.traces.clear();
            return;
        }
        self.traces.sort(&self.facts);
        let mut inversions = 0;
        for at in 0..self.traces.list.len() {
            let Some(trace) = self.gather(at, looks, |trace| roles.knows(trace)) else { continue };
            self.owners.decide(trace, roles, &mut Answers::All(with.responses, with.now));
            for (look, verdict) in self.traces.spans(at).map(|span| self.look_of.get(span)).zip(self.owners.verdicts()) {
                inversions += u64::from(verdict.inverted);
                if let Some(to) = look.and_then(|look| self.verdicts.get_mut(*look as usize)) {
                    *to = verdict;
                }
            }
        }
        if inversions > 0 {
            let help = "Calls that arrived after the span around them, which therefore counts in their place";
            meters.count("tollgate_enrich_usage_order_inversions_total", help, inversions);
        }
    }

    /// What is written on late spans of traces that left by other roles than were counted: it has to fit what was written.
    fn decide_again(&mut self, looks: &[Look<'_>], with: &Circumstances<'_>, left: &mut Roles) {
        self.otherwise.clear();
        left.expire(with.now);
        if left.is_empty() {
            return;
        }
        for at in 0..self.traces.list.len() {
            if !self.traces.list.get(at).is_some_and(|trace| left.knows(trace.id)) {
                continue;
            }
            let Some(trace) = self.gather(at, looks, |_| true) else { continue };
            let (mut here, verdicts) = (HashMap::new(), &self.verdicts);
            self.owners.decide(trace, left, &mut Answers::Here(with.responses, &mut here));
            let looks = self.traces.spans(at).filter_map(|span| self.look_of.get(span).copied());
            let differ = |(look, verdict): &(u32, Verdict)| verdicts.get(*look as usize).is_some_and(|online| online.role != verdict.role);
            self.otherwise.extend(looks.zip(self.owners.verdicts()).filter(differ));
        }
        self.otherwise.sort_unstable_by_key(|(look, _)| *look);
    }

    /// The spans of one trace, where any of them claims usage or it is known already.
    fn gather(&mut self, at: usize, looks: &[Look<'_>], known: impl FnOnce(TraceId) -> bool) -> Option<TraceId> {
        let Batch { traces, owners, facts, look_of, .. } = self;
        let trace = traces.list.get(at)?.id;
        let look = |span: usize| look_of.get(span).and_then(|look| looks.get(*look as usize));
        let claims = traces.spans(at).any(|span| look(span).is_some_and(|look| look.claimed != Usage::Nothing));
        if !claims && !known(trace) {
            return None;
        }
        owners.clear();
        for span in traces.spans(at) {
            let (Some((facts, id)), look) = (facts.get(span).and_then(|facts| Some((facts, facts.span_id?))), look(span)) else { continue };
            owners.add(Member {
                span: id,
                parent: facts.parent_id,
                end: facts.end,
                usage: look.map(|look| look.claimed).unwrap_or_default(),
                failed: look.is_some_and(|look| look.failed),
                response: look.and_then(|look| look.response),
                elsewhere: false,
            });
        }
        Some(trace)
    }

    /// The facts of each span, in order of arrival, and what is remembered or written behind it.
    fn conclude(&mut self, looks: &[Look<'_>], with: &Circumstances<'_>, meters: &mut Meters, observer: &mut dyn Observer) {
        let Batch { facts, look_of, verdicts, otherwise, added, ends, .. } = self;
        added.clear();
        ends.clear();
        for (facts, &at) in facts.iter_mut().zip(look_of.iter()) {
            let (Some(look), Some(verdict)) = (looks.get(at as usize), verdicts.get(at as usize)) else {
                observer.span(facts, None);
                facts.must_stay = observer.must_stay();
                ends.push(added.len());
                continue;
            };
            if look.is_plain() {
                *facts = ruling::plain_facts(*facts, look);
                observer.span(facts, None);
            } else {
                let llm = ruling::llm(look, verdict);
                *facts = ruling::span_facts(*facts, look, &llm);
                count(look, verdict, &llm, facts, meters);
                observer.span(facts, Some(&llm));
            }
            facts.must_stay = observer.must_stay();
            if look.recovered {
                meters.count("tollgate_enrich_recovered_total", "Spans with an exception that did not fail", 1);
            }
            let written = otherwise.binary_search_by_key(&at, |(look, _)| *look).ok().and_then(|found| otherwise.get(found));
            let verdict = written.map_or(verdict, |(_, verdict)| verdict);
            if ruling::adds(look, verdict.role, with.settings) {
                add(look, verdict, with, added);
            }
            ends.push(added.len());
        }
    }
}

/// Notes what a span is to be given as it leaves, or writes it.
fn add(look: &Look<'_>, verdict: &Verdict, with: &Circumstances<'_>, added: &mut Vec<u8>) {
    if with.writing != Writing::Sealed {
        let (role, elsewhere) = (verdict.role, verdict.elsewhere);
        let written = with.writing == Writing::OnArrival;
        Note { role, elsewhere, written, generation: with.generation, batch: with.batch }.write(added);
    }
    if with.writing != Writing::AsItLeaves {
        ruling::write(look, verdict, with.settings, added);
    }
}

/// Counts a call, and what is odd about it.
fn count(look: &Look<'_>, verdict: &Verdict, llm: &LlmFacts<'_>, facts: &SpanFacts, meters: &mut Meters) {
    let computed = ruling::computed(look, llm.role);
    let given = look.given.filter(|_| llm.role == Some(Role::Owner));
    if let (Some(given), Some(priced)) = (given, computed)
        && ruling::differs(given.usd, priced.total)
    {
        let help = "Costs on spans that differ from ours by over one percent";
        meters.rare("tollgate_enrich_cost_differs_total", help, "source_key", given.key.name());
    }
    if llm.counted {
        meters.call(llm, facts);
    }
    if llm.counted || !look.kind.is_priced() && !verdict.again {
        meters.conventions(llm, facts, look.client);
    }
    for field in look.oddities.conflicts.into_iter().flatten() {
        let help = "Spans on which two vocabularies disagree; the first one speaks";
        meters.rare("tollgate_enrich_attribute_conflicts_total", help, "field", field);
    }
    for key in look.oddities.invalid.iter() {
        let help = "Counts that are no numbers, negative or absurdly large";
        meters.rare("tollgate_enrich_invalid_attributes_total", help, "field", key.name());
    }
    if look.oddities.unknown_reasons > 0 {
        rewrite::unknown_reasons(look.span, |word| meters.unknown_finish(word));
    }
}

/// The same list without its items, for looks at another request.
fn emptied<'b>(looks: Vec<Look<'_>>) -> Vec<Look<'b>> {
    // A list that is collected from itself keeps its room.
    looks.into_iter().map_while(|_| None).collect()
}

/// The spans of a batch by trace. Those without ids belong to none.
#[derive(Debug, Default)]
struct Traces {
    list: Vec<Group>,
    /// The next span of the same trace, by span.
    next: Vec<u32>,
    index: HashMap<TraceId, u32, RandomState>,
}

#[derive(Debug)]
struct Group {
    id: TraceId,
    first: u32,
    last: u32,
}

impl Traces {
    fn clear(&mut self) {
        self.list.clear();
        self.next.clear();
        self.index.clear();
    }

    fn sort(&mut self, facts: &[SpanFacts]) {
        self.clear();
        self.next.resize(facts.len(), NONE);
        let Traces { list, next, index } = self;
        // Spans of one trace often stand together.
        let mut before: Option<(TraceId, u32)> = None;
        for (facts, at) in facts.iter().zip(0..) {
            let (Some(trace), Some(_)) = (facts.trace_id, facts.span_id) else { continue };
            let group = match before {
                Some((id, group)) if id == trace => group,
                _ => *index.entry(trace).or_insert(list.len() as u32),
            };
            before = Some((trace, group));
            match list.get_mut(group as usize) {
                Some(group) => {
                    if let Some(last) = next.get_mut(group.last as usize) {
                        *last = at;
                    }
                    group.last = at;
                }
                None => list.push(Group { id: trace, first: at, last: at }),
            }
        }
    }

    /// The places of the spans of a trace, in order of arrival.
    fn spans(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        let first = self.list.get(at).map(|group| group.first as usize);
        std::iter::successors(first, |span| self.next.get(*span).copied().filter(|next| *next != NONE).map(|next| next as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emptied_list_keeps_its_room() {
        let mut looks: Vec<Look<'_>> = Vec::with_capacity(100);
        looks.push(Look::default());
        let emptied: Vec<Look<'static>> = emptied(looks);
        assert!(emptied.is_empty() && emptied.capacity() >= 100);
    }

    #[test]
    fn spans_are_sorted_by_trace_in_order_of_arrival() {
        let span = |trace: u8, id: u8| SpanFacts {
            trace_id: TraceId::new(&[trace; 16]),
            span_id: crate::otlp::span::SpanId::new(&[id; 8]),
            ..SpanFacts::default()
        };
        let mut traces = Traces::default();
        for _ in 0..2 {
            traces.sort(&[span(1, 1), span(2, 2), span(2, 3), span(0, 4), span(1, 5), span(3, 0), span(2, 6)]);
            let all: Vec<Vec<usize>> = (0..traces.list.len()).map(|at| traces.spans(at).collect()).collect();
            assert_eq!(all, [vec![0, 4], vec![1, 2, 6]], "without a trace, without an id: in none");
        }
    }
}
