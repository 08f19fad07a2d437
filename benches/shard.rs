//! One shard of the stage without sockets and without a clock: what a request costs between them.

use bytes::Bytes;
use std::time::{Duration, Instant};
use tollgate::config::load_text;
use tollgate::otlp::regroup::{self, GRPC_PREFIX, Outgoing};
use tollgate::otlp::signal::Signal;
use tollgate::pipeline::{Common, LabelRules, Path, Plan, Step};
use tollgate::receive::{self, Received};
use tollgate::redact::Redacted;
use tollgate::telemetry::Telemetry;

/// Longer than any wait of the config: everything is decided by then.
const WAIT: Duration = Duration::from_secs(60);

/// `processors` of a config.
pub fn processors(keep: u32, hold_mib: u32, redaction: bool) -> String {
    format!(
        "processors:\n  redaction: {{enabled: {redaction}}}\n  tail_sampling: {{drop_hold: {{limit_mib: {hold_mib}}}, \
         policies: [{{name: keep, type: probabilistic, probabilistic: {{sampling_percentage: {keep}}}}}]}}\n"
    )
}

/// A path, and what time it is there.
pub struct Shard {
    pub path: Path,
    now: Instant,
}

impl Shard {
    /// A shard with these processors.
    pub fn new(processors: &str) -> Shard {
        let config = format!("exporters: {{debug: {{}}}}\n{processors}");
        let file = load_text("bench", &config).unwrap_or_else(|problems| panic!("{problems}"));
        let plan = Plan::compile(&file.processors, std::path::Path::new("")).expect("a valid config");
        let common = Common {
            telemetry: Telemetry::new(usize::MAX),
            enrich: Default::default(),
            labels: LabelRules::new(plan.redactor.clone()),
            paths: 1,
        };
        let now = Instant::now();
        Shard { path: Path::new(&plan, &common, now), now }
    }

    /// Takes in a request and holds it.
    pub fn hold(&mut self, received: Received) -> Step {
        self.path.process(received, self.now, &mut ())
    }

    /// The same in a stream: the next request comes `every` later, and what leaves is what was decided meanwhile.
    pub fn stream(&mut self, received: Received, every: Duration) -> (u64, u64) {
        let arrived = self.hold(received);
        self.now += every;
        let decided = self.path.tick(self.now);
        let batches = arrived.batches.iter().chain(&decided.batches);
        batches.fold((0, 0), |(spans, bytes), batch| (spans + batch.len() as u64, bytes + encode(batch).len() as u64))
    }

    /// From the door to encoded requests: takes in, waits, decides, puts together again.
    pub fn pass(&mut self, received: Received) -> (u64, u64) {
        let arrived = self.hold(received);
        self.now += WAIT;
        let decided = self.path.tick(self.now);
        let batches = arrived.batches.iter().chain(&decided.batches);
        batches.fold((0, 0), |(spans, bytes), batch| (spans + batch.len() as u64, bytes + encode(batch).len() as u64))
    }
}

/// The door: validated and cut into items.
pub fn open(bytes: Bytes) -> Received {
    receive::open(Signal::Traces, bytes, None, Instant::now()).expect("a valid request").whole()
}

fn encode(batch: &Redacted) -> Vec<u8> {
    let mut outgoing: Vec<Outgoing<'_>> = batch.items().collect();
    let mut out = regroup::encode(&mut outgoing, GRPC_PREFIX);
    regroup::finish_grpc(&mut out);
    out
}
