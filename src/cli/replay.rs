//! `tollgate replay`: recorded requests through enrich, sample and redact on a virtual clock.
//!
//! A request arrives when it was recorded, and where nobody recorded that, when its latest span ends, but not before the request ahead
//! of it; behind the last one the clock runs on until everything is decided. Nothing reads the real time, so the same files give the
//! same answer.

mod facts;
mod report;

use crate::cli::inputs::{self, InputError, Recorded};
use crate::cli::source::Source;
use crate::cli::{Failure, finish_output};
use crate::otlp::json;
use crate::otlp::regroup;
use crate::otlp::signal::Signal;
use crate::otlp::span;
use crate::pipeline::{Common, LabelRules, Path as StagePath, Plan, Step};
use crate::receive;
use crate::redact;
use crate::telemetry::Telemetry;
use crate::telemetry::memory::Budget;
use facts::Facts;
use indicatif::{ProgressBar, ProgressStyle};
use report::Report;
use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write, stderr, stdout};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A gap between two requests counts as at most this long: clocks of senders are anything.
const LONGEST_GAP: Duration = Duration::from_secs(24 * 3600);

/// Flags of `replay`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    source: Source,
    /// How the answer is written, one line per trace: `table` for people, `json` for tools.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Add the facts of every span with a model call or usage, with `--format json`.
    #[arg(long)]
    spans: bool,
    /// Compare with what this config decides about the same requests.
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Only the sums for each policy, and with `--against` how many traces differ.
    #[arg(long)]
    summary: bool,
    /// Write what is kept to this file, one OTLP/JSON request a line.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Recorded requests: *.binpb and *.json hold one, *.jsonl one a line, *.otlp either; several files are read in the order of their
    /// recorded arrival, and without one in the order given.
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Table,
    Json,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let (_, plan) = args.source.plan()?;
    let mut requests = Vec::new();
    for path in &args.inputs {
        requests.extend(inputs::read(path).map_err(unusable)?);
    }
    if requests.iter().all(|recorded| recorded.received.is_some()) {
        requests.sort_by_key(|recorded| recorded.received);
    }
    let against = args.against.clone().map(|path| Source { config: Some(path), ..Source::default() }.plan()).transpose()?;
    let create = |path: &PathBuf| File::create(path).map_err(|error| Failure::Usage(format!("--out: {}: {error}", path.display())));
    let out = args.out.as_ref().map(create).transpose()?.map(BufWriter::new);
    let before = match &against {
        Some((_, plan)) => Some(Replay::new(plan, false, None).all(&requests)?.report.into_decisions()),
        None => None,
    };
    let mut replay = Replay::new(&plan, args.spans, out).all(&requests)?;
    replay.report.compare(before);
    let mut out = BufWriter::new(stdout().lock());
    let written = match args.format {
        Format::Json if args.summary => writeln!(out, "{}", replay.report.summary(&replay.facts)),
        Format::Table if args.summary => replay.report.write_summary(&replay.facts, &mut out),
        Format::Json => replay.report.write_json(&replay.facts, args.spans, &mut out),
        Format::Table => replay.report.write_table(&replay.facts, &mut out),
    };
    if let Some(kept) = &mut replay.out {
        kept.flush().map_err(Failure::running)?;
    }
    finish_output(written.and_then(|()| out.flush()))
}

/// A path that cannot be used is a wrong argument; what stands in a file is found while running.
fn unusable(error: InputError) -> Failure {
    match error {
        InputError::Read { .. } | InputError::Kind { .. } => Failure::Usage(error.to_string()),
        InputError::Json { .. } => Failure::running(error),
    }
}

struct Replay {
    path: StagePath,
    facts: Facts,
    report: Report,
    out: Option<BufWriter<File>>,
    start: Instant,
    now: Duration,
    origin: Option<u64>,
}

/// Why a replay stops.
#[derive(Debug, thiserror::Error)]
enum ReplayError {
    #[error("not a valid OTLP request: {0}")]
    Malformed(#[from] crate::otlp::wire::Malformed),
    #[error("cannot write what is kept: {0}")]
    Write(#[from] std::io::Error),
}

impl Replay {
    fn new(plan: &Plan, spans: bool, out: Option<BufWriter<File>>) -> Replay {
        let labels = LabelRules::new(plan.redactor.clone());
        let common = Common { telemetry: Telemetry::new(usize::MAX), enrich: Default::default(), labels, paths: 1 };
        // Only differences to it matter.
        let start = Instant::now();
        let path = StagePath::new(plan, &common, start);
        Replay { path, facts: Facts::new(spans), report: Report::default(), out, start, now: Duration::ZERO, origin: None }
    }

    /// All requests, and what is decided behind the last one.
    fn all(mut self, requests: &[Recorded]) -> Result<Replay, Failure> {
        let progress = progress(requests.len() as u64);
        for (number, recorded) in requests.iter().enumerate() {
            self.request(recorded).map_err(|e| Failure::Running(format!("request {}: {e}", number + 1)))?;
            progress.inc(1);
        }
        self.run_on().map_err(Failure::running)?;
        progress.finish_and_clear();
        Ok(self)
    }

    fn request(&mut self, recorded: &Recorded) -> Result<(), ReplayError> {
        let opened = receive::open(recorded.signal, recorded.body.clone(), None, self.start)?;
        let received = opened.whole();
        self.advance(&received, recorded.received)?;
        if recorded.signal == Signal::Traces {
            for (_, body) in received.items() {
                self.facts.size(span::trace_id(Signal::Traces, body), body.len());
            }
        }
        if recorded.signal == Signal::Metrics {
            return self.keep(redact::pass_metrics(received, &Budget::new(usize::MAX)).into_iter().collect());
        }
        let step = self.path.process(received, self.start + self.now, &mut self.facts);
        self.finish(step)
    }

    /// Moves the clock to the arrival of a request and does what was due until then.
    fn advance(&mut self, received: &receive::Received, recorded: Option<u64>) -> Result<(), ReplayError> {
        let end = |body| if received.signal() == Signal::Traces { span::view(body).end } else { 0 };
        let latest = recorded.or_else(|| received.items().map(|(_, body)| end(body)).max());
        let Some(latest) = latest.filter(|&end| end > 0) else { return Ok(()) };
        let origin = *self.origin.get_or_insert(latest);
        let arrival = Duration::from_nanos(latest.saturating_sub(origin)).clamp(self.now, self.now + LONGEST_GAP);
        while let Some(due) = self.path.next_deadline().filter(|&due| due <= self.start + arrival) {
            self.now = due.saturating_duration_since(self.start).max(self.now);
            let step = self.path.tick(self.start + self.now);
            self.finish(step)?;
        }
        self.now = arrival;
        Ok(())
    }

    /// Runs the clock on until nothing waits any more.
    fn run_on(&mut self) -> Result<(), ReplayError> {
        while let Some(due) = self.path.next_deadline() {
            self.now = due.saturating_duration_since(self.start).max(self.now);
            let step = self.path.tick(self.start + self.now);
            self.finish(step)?;
        }
        let step = self.path.shutdown(self.start + self.now);
        self.finish(step)
    }

    fn finish(&mut self, step: Step) -> Result<(), ReplayError> {
        self.report.decided(step.decided);
        self.report.redacted(self.path.redactor(), step.found);
        self.keep(step.batches)
    }

    fn keep(&mut self, batches: Vec<redact::Redacted>) -> Result<(), ReplayError> {
        let Some(out) = &mut self.out else { return Ok(()) };
        for batch in batches {
            let mut items: Vec<_> = batch.items().collect();
            let line = json::from_protobuf(batch.signal(), &regroup::encode(&mut items, 0)).map_err(std::io::Error::other)?;
            writeln!(out, "{line}")?;
        }
        Ok(())
    }
}

/// Long work shows progress, on a terminal only.
fn progress(requests: u64) -> ProgressBar {
    if !stderr().is_terminal() || requests < 100 {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} requests").unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(requests).with_style(style)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn a_path_that_cannot_be_used_is_a_wrong_argument_and_its_content_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        for (name, content) in [("fine.jsonl", ""), ("broken.jsonl", "{"), ("x.txt", "")] {
            std::fs::write(path(name), content).unwrap();
        }
        let replay = |words: &[String]| run(&Line::try_parse_from(["replay".to_owned()].iter().chain(words)).unwrap().args);
        for words in [vec![path("missing.jsonl")], vec![path("x.txt")], vec![path("fine.jsonl"), "--out".into(), path("none/out")]] {
            assert!(matches!(replay(&words), Err(Failure::Usage(text)) if text.contains(folder.path().to_str().unwrap())), "{words:?}");
        }
        assert!(matches!(replay(&[path("broken.jsonl")]), Err(Failure::Running(_))));
        assert!(replay(&[path("fine.jsonl")]).is_ok());
    }
}
