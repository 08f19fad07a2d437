//! Memory per held span: growth of the resident set by spans and by wire bytes, while nothing is decided.
//!
//! `cargo bench --bench memory`; `-- million` measures insertion and decisions of a million live traces instead.

#![allow(missing_docs, dead_code, unreachable_pub, reason = "a benchmark; no binary uses all of what they share")]

mod million;
mod shard;
mod template;
mod workload;

use shard::Shard;
use std::process::Command;
use template::Template;
use workload::{Rng, Workload};

// As in the program: what an allocator keeps for itself is part of the answer.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Wire bytes to hold.
const HELD: usize = 400 << 20;

/// Nothing is decided while this is measured, whatever the number of traces.
const PROCESSORS: &str = "processors:\n  redaction: {enabled: false}\n  tail_sampling: {decision_wait: 24h, \
    decision_wait_after_root_received: 23h, complete_delay: 22h, num_traces: 10000000, always_keep: []}\n";

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    if let Some(name) = args.next() {
        if name == "million" {
            return million::measure();
        }
        return Workload::ALL.into_iter().filter(|workload| workload.name() == name).for_each(measure);
    }
    println!(
        "{:8} {:>10} {:>12} {:>12} {:>10} {:>12} {:>14}",
        "", "spans", "wire B/span", "RSS B/span", "RSS/wire", "added B/span", "index B/span"
    );
    for workload in Workload::ALL {
        // A process for each, which gives freed memory back at once: a baseline over a heap that was used shows no growth.
        let me = std::env::current_exe().expect("a path of this program");
        let status = Command::new(me).arg(workload.name()).env("_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0").status();
        assert!(status.expect("it starts").success());
    }
}

fn measure(workload: Workload) {
    let (template, mut shard, mut rng) = (Template::new(workload), Shard::new(PROCESSORS), Rng(17));
    let requests = HELD / template.size();
    // The first request makes what exists once.
    shard.hold(shard::open(template.fresh(&mut rng)));
    let before = rss();
    for _ in 0..requests {
        let step = shard.hold(shard::open(template.fresh(&mut rng)));
        assert_eq!((step.batches.len(), step.report.dropped), (0, 0), "nothing may be decided");
    }
    let growth = (rss() - before) as f64;
    let spans = (requests as u64 * template.spans) as f64;
    let wire = (requests * template.size()) as f64;
    assert_eq!(shard.path.held(), (requests as u64 + 1) * template.spans);
    let appended = appended(&template);
    println!(
        "{:8} {spans:>10} {:>12.0} {:>12.0} {:>10.3} {appended:>12.1} {:>14.1}",
        workload.name(),
        wire / spans,
        growth / spans,
        growth / wire,
        (growth - wire) / spans - appended,
    );
}

/// Bytes that enrichment adds, per span.
fn appended(template: &Template) -> f64 {
    let (mut shard, mut rng) = (Shard::new("processors:\n  redaction: {enabled: false}\n  tail_sampling: {enabled: false}\n"), Rng(23));
    let step = shard.hold(shard::open(template.fresh(&mut rng)));
    let out: usize = step.batches.iter().flat_map(|batch| batch.items().map(|item| item.body.len()).collect::<Vec<_>>()).sum();
    let opened = shard::open(template.fresh(&mut rng));
    let came: usize = opened.items().map(|(_, body)| body.len()).sum();
    (out - came) as f64 / template.spans as f64
}

/// Resident memory in bytes.
fn rss() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().split(' ').next()?.parse::<usize>().ok());
    kib.unwrap_or(0) * 1024
}
