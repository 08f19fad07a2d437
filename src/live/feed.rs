//! The last decided traces, for whoever looks.
//!
//! A stage writes down what it decided and lends what it kept; nothing is read or put into words before somebody asks. So a page that
//! nobody has open costs a push into a list, and a slow reader misses rows instead of holding anything up. What is lent passed the
//! redactor; it stays on the account of memory and is given back when memory runs short.

use crate::otlp::regroup;
use crate::otlp::signal::Signal;
use crate::otlp::span::{self, KeyValue, TraceId};
use crate::redact::Redacted;
use crate::sample::Decided;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

/// Decisions that are remembered with their sums.
const ROWS: usize = 1000;

/// Of one step at most so many: a step of ten thousand would push out everything before it.
const ROWS_A_STEP: usize = 100;

/// At most so many batches are lent, whatever their size: each costs its lists.
const BATCHES: usize = 4096;

/// A trace is shown with at most so many spans.
const SPANS_SHOWN: usize = 2000;

/// Different names that a trace is listed under, of each kind.
const NAMES: usize = 8;

/// Names longer than this are cut.
const NAME_CHARS: usize = 120;

/// The list. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Feed(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    /// The most bytes of lent batches.
    room: usize,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    rows: VecDeque<Arc<Row>>,
    lent: VecDeque<Arc<Lent>>,
    bytes: usize,
}

/// A decision, its place in the order of decisions, and when it was made.
#[derive(Debug)]
pub struct Row {
    /// Counts up from 1.
    pub number: u64,
    /// When it was decided.
    pub at: SystemTime,
    /// The decision.
    pub decided: Decided,
}

/// A batch on its way to the destinations.
#[derive(Debug)]
struct Lent {
    batch: Arc<Redacted>,
    traces: OnceLock<HashMap<TraceId, Traced>>,
}

#[derive(Debug, Default)]
struct Traced {
    items: Vec<u32>,
    about: About,
}

/// What the spans of a trace say it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Name of the root span; empty where it was not seen.
    pub name: String,
    /// `service.name` of its resources.
    pub services: BTreeSet<String>,
    /// Models that answered, or were asked.
    pub models: BTreeSet<String>,
    /// `user.id`, `enduser.id`.
    pub users: BTreeSet<String>,
}

impl Feed {
    /// A list that borrows at most `room` bytes of what is kept.
    pub fn new(room: usize) -> Feed {
        Feed(Arc::new(Inner { state: Mutex::default(), room }))
    }

    /// Writes down the decisions of one step, and what of its batches belongs to them.
    pub fn record(&self, decided: &[Decided], batches: &[Arc<Redacted>], at: SystemTime) {
        let batches = || batches.iter().filter(|batch| batch.signal() == Signal::Traces && batch.size() <= self.0.room);
        if decided.is_empty() && batches().next().is_none() {
            return;
        }
        let mut state = self.state();
        for decided in decided.iter().skip(decided.len().saturating_sub(ROWS_A_STEP)) {
            state.next += 1;
            let row = Arc::new(Row { number: state.next, at, decided: decided.clone() });
            state.rows.push_back(row);
        }
        let over = state.rows.len().saturating_sub(ROWS);
        state.rows.drain(..over);
        for batch in batches() {
            state.bytes += batch.size();
            state.lent.push_back(Arc::new(Lent { batch: Arc::clone(batch), traces: OnceLock::new() }));
        }
        while state.bytes > self.0.room || state.lent.len() > BATCHES {
            let Some(gone) = state.lent.pop_front() else { break };
            state.bytes -= gone.batch.size();
        }
    }

    /// Gives back what was lent; the decisions stay.
    pub fn give_back(&self) {
        let lent = {
            let mut state = self.state();
            state.bytes = 0;
            std::mem::take(&mut state.lent)
        };
        drop(lent);
    }

    /// Decisions after the one of this number, newest first, each with what its spans say where they are still here. Reads what was not
    /// read before: not for a thread that others wait for.
    pub fn after(&self, number: u64) -> Vec<(Arc<Row>, Option<About>)> {
        let (rows, lent) = {
            let state = self.state();
            let rows: Vec<_> = state.rows.iter().rev().take_while(|row| row.number > number).cloned().collect();
            (rows, state.lent.iter().cloned().collect::<Vec<_>>())
        };
        if rows.is_empty() {
            return Vec::new();
        }
        let mut abouts: HashMap<TraceId, About> = HashMap::new();
        for lent in &lent {
            for (trace, traced) in lent.traces() {
                abouts.entry(*trace).or_default().join(&traced.about);
            }
        }
        rows.into_iter()
            .map(|row| {
                let about = abouts.get(&row.decided.trace_id).cloned();
                (row, about)
            })
            .collect()
    }

    /// The number of the newest decision.
    pub fn newest(&self) -> u64 {
        self.state().next
    }

    /// What is still here of a trace: its newest decision, and its spans as an encoded request with the number of those left out.
    pub fn trace(&self, id: TraceId) -> (Option<Arc<Row>>, Option<(Vec<u8>, usize)>) {
        let (row, lent) = {
            let state = self.state();
            let row = state.rows.iter().rev().find(|row| row.decided.trace_id == id).cloned();
            (row, state.lent.iter().cloned().collect::<Vec<_>>())
        };
        let (mut found, mut left_out) = (Vec::new(), 0);
        for lent in &lent {
            let Some(traced) = lent.traces().get(&id) else { continue };
            let mut wanted = traced.items.iter().peekable();
            for (number, item) in lent.batch.items().enumerate() {
                if wanted.next_if(|of| **of as usize == number).is_some() {
                    if found.len() < SPANS_SHOWN { found.push(item) } else { left_out += 1 }
                }
            }
        }
        let request = (!found.is_empty()).then(|| (regroup::encode(&mut found, 0), left_out));
        (row, request)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lent {
    fn traces(&self) -> &HashMap<TraceId, Traced> {
        self.traces.get_or_init(|| {
            let mut traces: HashMap<TraceId, Traced> = HashMap::new();
            for (number, item) in self.batch.items().enumerate() {
                let Some(id) = span::trace_id(Signal::Traces, item.body) else { continue };
                let traced = traces.entry(id).or_default();
                traced.items.push(u32::try_from(number).unwrap_or(u32::MAX));
                traced.about.read(item.body);
                for pair in item.head.resource_attributes().map(KeyValue::read).filter(|pair| pair.key == b"service.name") {
                    note(&mut traced.about.services, pair);
                }
            }
            traces
        })
    }
}

impl About {
    fn read(&mut self, item: &[u8]) {
        let (mut asked, mut answered) = (None, None);
        let attribute = |pair: KeyValue<'_>| match pair.key {
            b"gen_ai.response.model" => answered = pair.any().as_str().map(cut),
            b"gen_ai.request.model" | b"llm.model_name" => asked = pair.any().as_str().map(cut),
            b"user.id" | b"enduser.id" | b"langfuse.user.id" => note(&mut self.users, pair),
            _ => {}
        };
        let view = span::read(item, attribute, |_| {});
        if view.parent_id.is_none() {
            self.name = cut(&String::from_utf8_lossy(view.name));
        }
        if let Some(model) = answered.or(asked)
            && self.models.len() < NAMES
        {
            self.models.insert(model);
        }
    }

    fn join(&mut self, other: &About) {
        if self.name.is_empty() {
            self.name.clone_from(&other.name);
        }
        for (mine, theirs) in [(&mut self.services, &other.services), (&mut self.models, &other.models), (&mut self.users, &other.users)] {
            mine.extend(theirs.iter().take(NAMES.saturating_sub(mine.len())).cloned());
        }
    }
}

fn note(names: &mut BTreeSet<String>, pair: KeyValue<'_>) {
    if let Some(name) = pair.any().as_str()
        && names.len() < NAMES
    {
        names.insert(cut(name));
    }
}

fn cut(name: &str) -> String {
    name.chars().take(NAME_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::json;
    use crate::sample::{Decision, decided};

    fn id(n: u8) -> TraceId {
        TraceId::new(&[n; 16]).unwrap()
    }

    /// Two spans of each of these traces.
    fn batch(traces: &[u8]) -> Arc<Redacted> {
        let span = |n: u8, span: u8, parent: &str, more: &str| {
            let (trace, span) = (format!("{n:02x}").repeat(16), format!("{span:02x}").repeat(8));
            format!(r#"{{"traceId":"{trace}","spanId":"{span}","parentSpanId":"{parent}","name":"of {n}","attributes":[{more}]}}"#)
        };
        let model = r#"{"key":"gen_ai.request.model","value":{"stringValue":"m1"}},{"key":"user.id","value":{"stringValue":"u"}}"#;
        let spans: Vec<_> = traces.iter().flat_map(|&n| [span(n, 1, "", ""), span(n, 2, &"01".repeat(8), model)]).collect();
        let service = r#"{"attributes":[{"key":"service.name","value":{"stringValue":"svc"}}]}"#;
        let text = format!(r#"{{"resourceSpans":[{{"resource":{service},"scopeSpans":[{{"spans":[{}]}}]}}]}}"#, spans.join(","));
        Arc::new(Redacted::unchecked(Signal::Traces, json::to_protobuf(Signal::Traces, text.as_bytes()).unwrap().into(), false))
    }

    #[test]
    fn the_newest_come_first_with_what_their_spans_say() {
        let feed = Feed::new(1 << 20);
        feed.record(&[decided(1, Decision::Keep), decided(2, Decision::Drop)], &[batch(&[1])], SystemTime::UNIX_EPOCH);
        let rows = feed.after(0);
        let numbers: Vec<_> = rows.iter().map(|(row, _)| row.number).collect();
        assert_eq!((numbers, feed.newest(), feed.after(1).len(), feed.after(2).len()), (vec![2, 1], 2, 1, 0));
        assert_eq!(rows[0].1, None);
        let about = rows[1].1.as_ref().unwrap();
        let one = |name: &str| BTreeSet::from([name.to_owned()]);
        let expected = About { name: "of 1".to_owned(), services: one("svc"), models: one("m1"), users: one("u") };
        assert_eq!(*about, expected);
    }

    #[test]
    fn a_trace_comes_back_as_a_request_also_from_several_batches() {
        let feed = Feed::new(1 << 20);
        feed.record(&[decided(1, Decision::Keep)], &[batch(&[2, 1]), batch(&[1, 3])], SystemTime::UNIX_EPOCH);
        let (row, request) = feed.trace(id(1));
        assert_eq!(row.unwrap().number, 1);
        let (bytes, left_out) = request.unwrap();
        let text = json::from_protobuf(Signal::Traces, &bytes).unwrap();
        assert_eq!((text.matches("\"spanId\"").count(), text.matches("svc").count(), left_out), (4, 1, 0));
        assert!(!text.contains("of 2"));
        let (row, request) = feed.trace(id(9));
        assert!(row.is_none() && request.is_none());
    }

    #[test]
    fn the_oldest_go_first_and_everything_lent_goes_back_when_asked_for() {
        let one = batch(&[1]);
        let feed = Feed::new(one.size() * 2);
        for n in 1..=3 {
            feed.record(&[decided(n, Decision::Keep)], &[batch(&[n])], SystemTime::UNIX_EPOCH);
        }
        let here = |n: u8| feed.trace(id(n)).1.is_some();
        assert_eq!((here(1), here(2), here(3)), (false, true, true));
        feed.record(&[], &[Arc::clone(&one)], SystemTime::UNIX_EPOCH);
        assert_eq!(Arc::strong_count(&one), 2);
        feed.give_back();
        assert_eq!((Arc::strong_count(&one), here(3), feed.after(0).len()), (1, false, 3));
        let many: Vec<_> = (0..5000).map(|n| decided((n % 200 + 1) as u8, Decision::Drop)).collect();
        feed.record(&many, &[], SystemTime::UNIX_EPOCH);
        assert_eq!(feed.after(0).len(), ROWS_A_STEP + 3);
        (0..20).for_each(|_| feed.record(&many, &[], SystemTime::UNIX_EPOCH));
        assert_eq!(feed.after(0).len(), ROWS);
    }

    #[test]
    fn a_batch_larger_than_the_room_is_not_borrowed() {
        let (feed, large) = (Feed::new(10), batch(&[1]));
        feed.record(&[decided(1, Decision::Keep)], &[Arc::clone(&large)], SystemTime::UNIX_EPOCH);
        assert_eq!((Arc::strong_count(&large), feed.after(0).len()), (1, 1));
    }
}
