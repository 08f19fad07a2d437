//! The sampler against a simpler one.
//!
//! The reference keeps every span for ever and works everything out anew at every step, from the list of arrivals alone. It shares
//! neither code nor bookkeeping with the sampler. A failing schedule is printed by proptest with the seed that repeats it.

use super::*;
use crate::sample::{Decision, Pressure};
use proptest::prelude::*;

/// Milliseconds.
type Ms = u64;

const DECISION_WAIT: Ms = 3_000;
const COMPLETE_DELAY: Ms = 300;
const ROOT_WAIT: Ms = 1_000;
const IDLE: Ms = 1_500;
const MAX: Ms = 7_000;
const WINDOW: Ms = 2_000;
const TTL: Ms = 20_000;
const SPAN_LIMIT: usize = 9;
const SIZE_LIMIT: usize = 1_000;
/// 30 %, four digits.
const THIRTY: u64 = 0x00b3_3300_0000_0000;

fn text(checks: bool) -> String {
    let drop = "  - { name: checks, condition: { all: [{ type: attribute_exists, key: check }] }, sample: { type: drop } }\n";
    format!(
        "
decision_wait: 3s
complete_delay: 300ms
decision_wait_after_root_received: 1s
extend_while_active: {{ idle: 1500ms, max: 7s }}
drop_hold: {{ window: 2s }}
decision_cache: {{ ttl: 20s }}
span_limit: {SPAN_LIMIT}
maximum_trace_size_bytes: {SIZE_LIMIT}
policies:
{}  - {{ name: dear, condition: {{ all: [{{ type: trace_cost, min_usd: 0.5 }}] }}, sample: {{ type: keep }} }}
  - {{ name: thirty, type: probabilistic, probabilistic: {{ sampling_percentage: 30 }} }}
",
        if checks { drop } else { "" }
    )
}

#[derive(Clone, Debug)]
struct Event {
    gap: Ms,
    trace: u64,
    id: u64,
    parent: u64,
    size: usize,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Plain,
    Error,
    Truncated,
    Check,
    Dear,
    Log,
    /// Time passes and nothing arrives.
    Tick,
}

fn event() -> impl Strategy<Value = Event> {
    let kind = prop_oneof![
        12 => Just(Kind::Plain),
        1 => Just(Kind::Error),
        1 => Just(Kind::Truncated),
        1 => Just(Kind::Check),
        2 => Just(Kind::Dear),
        2 => Just(Kind::Log),
        3 => Just(Kind::Tick)
    ];
    let gap = prop_oneof![6 => 0u64..50, 4 => 50u64..800, 2 => 800u64..4_000, 1 => 4_000u64..30_000];
    (gap, 0u64..5, 1u64..8, 0u64..8, 50usize..200, kind).prop_map(|(gap, trace, id, parent, size, kind)| Event {
        gap,
        trace,
        id,
        parent: if parent == id { 0 } else { parent },
        size,
        kind,
    })
}

fn fake(event: &Event) -> Fake {
    let span = span(event.trace, event.id, event.parent).size(event.size);
    match event.kind {
        Kind::Error => span.error(),
        Kind::Truncated => span.truncated(),
        Kind::Check => span.text("check", "x"),
        Kind::Dear => span.cost("0.3"),
        Kind::Plain | Kind::Log | Kind::Tick => span,
    }
}

/// What becomes of one item.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Waits,
    Kept,
    Dropped,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Made {
    at: Ms,
    trace: u64,
    decision: &'static str,
    policy: &'static str,
    trigger: &'static str,
    spans: usize,
}

/// One stretch of a trace, from its first item to when it is forgotten.
#[derive(Default)]
struct Stretch {
    arrivals: Vec<(Ms, usize, Event)>,
    state: Stage,
    /// Dropped, and no longer held.
    gone: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Stage {
    #[default]
    Pending,
    /// Kept early.
    Open,
    /// Since when it is remembered.
    Kept(Ms),
    /// When it was dropped.
    Dropped(Ms),
}

struct Reference {
    checks: bool,
    now: Ms,
    traces: BTreeMap<u64, Stretch>,
    fates: Vec<Fate>,
    made: Vec<Made>,
}

impl Stretch {
    fn spans(&self) -> Vec<&(Ms, usize, Event)> {
        self.arrivals.iter().filter(|(_, _, event)| event.kind != Kind::Log).collect()
    }

    /// The first thing that ends the wait.
    fn due(&self) -> (Ms, &'static str) {
        let spans = self.spans();
        let Some(&&(first, ..)) = spans.first() else {
            return (self.arrivals[0].0 + DECISION_WAIT, "timeout");
        };
        let whole = |n: usize| {
            let here = &spans[..n];
            here.iter().filter(|s| s.2.parent == 0).count() == 1
                && here.iter().all(|s| s.2.parent == 0 || here.iter().any(|other| other.2.id == s.2.parent))
        };
        // Complete since the span after which it was complete and stayed so.
        let since = (1..=spans.len()).rev().take_while(|&n| whole(n)).last().map(|n| spans[n - 1].0);
        let counted = self.state == Stage::Pending || spans.len() <= SPAN_LIMIT;
        let complete = since.filter(|_| counted).map_or(Ms::MAX, |at| at + COMPLETE_DELAY);
        let root_at = spans.iter().find(|s| s.2.parent == 0).map(|s| s.0);
        let root = root_at.map_or(Ms::MAX, |at| at + ROOT_WAIT);
        let mut timeout = first + DECISION_WAIT;
        loop {
            let last = spans.iter().map(|s| s.0).filter(|&at| at <= timeout).max().unwrap_or(first);
            let later = (last + IDLE).min(first + MAX);
            if later <= timeout || root_at.is_some_and(|at| at <= timeout) {
                break;
            }
            timeout = later;
        }
        [(complete, "complete"), (root, "root"), (timeout, "timeout")].into_iter().min_by_key(|d| d.0).unwrap()
    }

    fn cost(&self) -> u32 {
        let spans = self.spans();
        let first = |n: usize| !spans[..n].iter().any(|other| other.2.id == spans[n].2.id);
        (0..spans.len()).filter(|&n| spans[n].2.kind == Kind::Dear && first(n)).count() as u32 * 3
    }

    fn any(&self, kind: Kind) -> bool {
        self.arrivals.iter().any(|(_, _, event)| event.kind == kind)
    }
}

impl Reference {
    /// Everything due up to a time, in order.
    fn run(&mut self, until: Ms) {
        loop {
            let waiting = self.traces.iter().filter(|(_, s)| matches!(s.state, Stage::Pending | Stage::Open));
            let Some((due, trace, trigger)) = waiting.map(|(&n, s)| (s.due().0, n, s.due().1)).filter(|d| d.0 <= until).min() else {
                break;
            };
            if self.traces[&trace].state == Stage::Open {
                self.traces.get_mut(&trace).unwrap().state = Stage::Kept(due);
            } else {
                self.decide(trace, due, trigger);
            }
        }
        for stretch in self.traces.values_mut() {
            if let Stage::Dropped(at) = stretch.state
                && at + WINDOW <= until
            {
                stretch.gone = true;
                settle(&mut self.fates, stretch, Fate::Dropped);
            }
        }
    }

    fn decide(&mut self, trace: u64, at: Ms, trigger: &'static str) {
        let stretch = self.traces.get_mut(&trace).unwrap();
        if stretch.spans().is_empty() {
            stretch.arrivals.iter().for_each(|a| self.fates[a.1] = Fate::Kept);
            self.traces.remove(&trace);
            return;
        }
        let class = stretch.any(Kind::Error) || stretch.any(Kind::Truncated);
        let (keep, policy) = match () {
            _ if class => (true, "_always_keep"),
            _ if self.checks && stretch.any(Kind::Check) => (false, "checks"),
            _ if stretch.cost() >= 5 => (true, "dear"),
            _ => {
                let bytes = trace_id(trace).bytes().iter().skip(9).fold(0u64, |sum, &b| sum << 8 | u64::from(b));
                (bytes >= THIRTY, "thirty")
            }
        };
        let spans = stretch.spans().len();
        let early = trigger == "keep_early";
        stretch.state = match (keep, early) {
            (true, true) => Stage::Open,
            (true, false) => Stage::Kept(at),
            (false, _) => Stage::Dropped(at),
        };
        if keep {
            stretch.arrivals.iter().for_each(|a| self.fates[a.1] = Fate::Kept);
        }
        self.made.push(Made { at, trace, decision: if keep { "keep" } else { "drop" }, policy, trigger, spans });
    }

    fn arrive(&mut self, event: &Event) {
        let (now, number, log) = (self.now, self.fates.len(), event.kind == Kind::Log);
        let class = matches!(event.kind, Kind::Error | Kind::Truncated);
        self.fates.push(Fate::Waits);
        let stretch = self.traces.entry(event.trace).or_default();
        if matches!(stretch.state, Stage::Kept(at) | Stage::Dropped(at) if now - at >= TTL) {
            *stretch = Stretch::default();
        }
        stretch.arrivals.push((now, number, event.clone()));
        match stretch.state {
            Stage::Open | Stage::Kept(_) => self.fates[number] = Fate::Kept,
            Stage::Dropped(_) if class => {
                settle(&mut self.fates, stretch, Fate::Kept);
                let spans = if stretch.gone { 1 } else { stretch.spans().len() };
                stretch.state = Stage::Kept(now);
                self.made.push(Made { at: now, trace: event.trace, decision: "keep", policy: "_always_keep", trigger: "late", spans });
            }
            Stage::Dropped(_) if stretch.gone => self.fates[number] = Fate::Dropped,
            Stage::Dropped(_) => {}
            Stage::Pending => {
                let bytes: usize = stretch.arrivals.iter().map(|a| if a.2.kind == Kind::Log { 50 } else { a.2.size }).sum();
                let certain = class || !self.checks && stretch.cost() >= 5;
                let trigger = match () {
                    _ if certain && !log => "keep_early",
                    _ if stretch.spans().len() >= SPAN_LIMIT && !log => "span_limit",
                    _ if bytes >= SIZE_LIMIT => "size_limit",
                    _ => return,
                };
                self.decide(event.trace, now, trigger);
            }
        }
    }
}

/// What of a trace still waits is settled.
fn settle(fates: &mut [Fate], stretch: &Stretch, fate: Fate) {
    for (_, number, _) in &stretch.arrivals {
        if fates[*number] == Fate::Waits {
            fates[*number] = fate;
        }
    }
}

fn play(rig: &mut Rig, event: &Event) {
    rig.now += Duration::from_millis(event.gap);
    match event.kind {
        Kind::Tick => rig.step(|sampler, now, out| sampler.tick(now, out)),
        Kind::Log => {
            rig.log(Some(trace_id(event.trace)));
        }
        _ => {
            rig.admit(fake(event));
        }
    }
}

fn trace_of(id: TraceId) -> u64 {
    (0..100).find(|&n| trace_id(n) == id).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_sampler_and_the_reference_agree_on_every_span_and_decision(
        events in proptest::collection::vec(event(), 1..90),
        checks: bool,
    ) {
        let mut rig = Rig::new(&text(checks));
        let mut reference = Reference { checks, now: 0, traces: BTreeMap::new(), fates: Vec::new(), made: Vec::new() };
        let mut made = Vec::new();
        for event in &events {
            reference.now += event.gap;
            // An arrival comes before what is due in the same millisecond.
            reference.run(reference.now.saturating_sub(u64::from(event.kind != Kind::Tick)));
            if event.kind != Kind::Tick {
                reference.arrive(event);
            }
            play(&mut rig, event);
            let waits = reference.fates.iter().filter(|&&fate| fate == Fate::Waits).count() as u64;
            prop_assert_eq!(rig.sampler.held(), waits, "after {:?} at {}", event, reference.now);
            for decided in rig.decisions.drain(..) {
                made.push((trace_of(decided.trace_id), decided.decision.as_str(), decided.policy.to_string(), decided.trigger.as_str(),
                    decided.spans as usize, decided.wait));
            }
        }
        rig.pass(60.0);
        reference.run(reference.now + 60_000);
        for decided in rig.decisions.drain(..) {
            made.push((trace_of(decided.trace_id), decided.decision.as_str(), decided.policy.to_string(), decided.trigger.as_str(),
                decided.spans as usize, decided.wait));
        }
        let mut expected: Vec<_> = reference.made.iter().map(|m| (m.trace, m.decision, m.policy.to_owned(), m.trigger, m.spans)).collect();
        let mut actual: Vec<_> = made.into_iter().map(|m| (m.0, m.1, m.2, m.3, m.4)).collect();
        expected.sort();
        actual.sort();
        prop_assert_eq!(actual, expected);
        for (number, fate) in reference.fates.iter().enumerate() {
            prop_assert_eq!(rig.find(number).is_some(), *fate == Fate::Kept, "span {} was {:?}", number, fate);
        }
    }

    #[test]
    fn an_error_is_never_lost_whatever_else_happens(
        events in proptest::collection::vec((event(), 0u8..20), 1..120),
        num_traces in 1u64..6,
        hold in 0u64..2,
    ) {
        let text = |n: u64| format!("{{ num_traces: {num_traces}, span_limit: {}, decision_wait: {}s, drop_hold: {{ limit_mib: {hold} }}, \
            policies: [{{ name: dear, condition: {{ all: [{{ type: trace_cost, min_usd: 0.5 }}] }}, sample: {{ type: keep }} }}] }}", 3 + n, 1 + n);
        let mut rig = Rig::new(&text(3));
        let mut errors = Vec::new();
        for (event, act) in &events {
            let number = rig.admitted as usize;
            play(&mut rig, event);
            if matches!(event.kind, Kind::Error | Kind::Truncated) {
                errors.push(number);
            }
            match act {
                0 => rig.step(|sampler, now, out| sampler.pressure(Pressure::Evict, now, out)),
                1 => rig.step(|sampler, now, out| sampler.pressure(Pressure::Normal, now, out)),
                2 => rig.step(|sampler, now, out| sampler.pressure(Pressure::Soft, now, out)),
                3 => rig.step(|sampler, now, out| sampler.reload(compile(&text(event.id)), now, out)),
                _ => {}
            }
        }
        rig.shutdown();
        for number in errors {
            prop_assert!(rig.find(number).is_some_and(|left| left.keep_class), "error {} was lost", number);
        }
        // As long as a decision is remembered there is one per trace, or a second one that turns a drop into a keep.
        for n in 0..5 {
            let of: Vec<Decision> = rig.decisions.iter().filter(|d| d.trace_id == trace_id(n)).map(|d| d.decision).collect();
            prop_assert!(of.windows(2).all(|pair| pair == [Decision::Drop, Decision::Keep]), "{:?}", of);
        }
        let status = rig.sampler.status();
        prop_assert_eq!((status.traces_pending, status.open_records, status.buffered_bytes, status.drop_hold_bytes), (0, 0, 0, 0));
        prop_assert_eq!(rig.sampler.hold_overhead, 0);
    }

    #[test]
    fn the_order_of_arrival_does_not_change_the_decision(
        spans in proptest::collection::vec((1u64..9, 0u64..9, 0u8..30), 1..8).prop_flat_map(|spans| (Just(spans.clone()), Just(spans).prop_shuffle())),
        checks: bool,
        trace in 0u64..50,
    ) {
        let (one, other) = spans;
        let decide = |spans: &[(u64, u64, u8)]| {
            let mut rig = Rig::new(&text(checks));
            for (n, &(id, parent, kind)) in spans.iter().enumerate() {
                let kind = match kind { 0 => Kind::Error, 1 => Kind::Truncated, 2 => Kind::Check, 3..6 => Kind::Dear, _ => Kind::Plain };
                // Of a span id that comes twice the first counts, so here every one is another.
                let id = id + 10 * spans.iter().take(n).filter(|s| s.0 == id).count() as u64;
                let id = if kind == Kind::Dear { id + 1000 * (n as u64 + 1) } else { id };
                rig.admit(fake(&Event { gap: 0, trace, id, parent, size: 50, kind }));
            }
            rig.pass(30.0);
            let kept = rig.left.len();
            (rig.decisions.iter().map(|d| d.decision).collect::<Vec<_>>(), kept, rig.dropped)
        };
        prop_assert_eq!(decide(&one), decide(&other));
    }
}
