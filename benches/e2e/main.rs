//! The whole process under load, beside raw pass-through and prost decode + encode, in one run.
//!
//! `cargo bench --bench e2e` runs every configuration, interleaved, and prints a table. The server has one core, the generator and the
//! sink the other; traffic stays on loopback. A row whose output does not match what it should be is marked void:
//! a stage that falls behind looks cheaper than it is. Options: `-- --rounds N --seconds N --only NAME
//! --workload NAME`.

#![allow(missing_docs, dead_code, unreachable_pub, reason = "a benchmark; no binary uses all of what they share")]

mod load;
mod raw;
mod server;
#[path = "../template.rs"]
mod template;
#[path = "../workload.rs"]
mod workload;

use load::{Measured, Setup};
use std::process::ExitCode;
use workload::Workload;

// As in the program: what is compared must not be the allocators.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What is measured: name, server, traces kept in percent.
const CONFIGURATIONS: [(&str, &str, u32); 4] = [
    ("raw pass-through", "raw", 100),
    ("prost decode+encode", "prost", 100),
    ("tollgate, keep 10 %", "tollgate", 10),
    ("tollgate, keep 100 %", "tollgate", 100),
];

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if args.first().is_some_and(|a| a == "--server") {
        server::run(&args[1], args[2].parse().expect("the port of the sink"), args[3].parse().expect("percent"));
        return ExitCode::SUCCESS;
    }
    let mut take = |name: &str| args.iter().position(|a| a == name).map(|at| args.drain(at..at + 2).nth(1).unwrap_or_default());
    let number = |text: Option<String>, default: u64| text.and_then(|t| t.parse().ok()).unwrap_or(default);
    let (rounds, seconds) = (number(take("--rounds"), 3), number(take("--seconds"), 5));
    let only = take("--only");
    let of = take("--workload");
    for workload in Workload::ALL.into_iter().filter(|workload| of.as_deref().is_none_or(|name| name == workload.name())) {
        println!("\n{}: {} spans a request, {} bytes", workload.name(), workload.spans(), workload::encoded(workload, 1).len());
        let mut results: Vec<Vec<Measured>> = vec![Vec::new(); CONFIGURATIONS.len()];
        for _ in 0..rounds {
            for (at, (name, server, keep)) in CONFIGURATIONS.into_iter().enumerate() {
                if only.as_deref().is_none_or(|o| name.contains(o)) {
                    results[at].push(load::measure(&Setup { server, keep, workload, seconds }));
                }
            }
        }
        print(&results);
    }
    ExitCode::SUCCESS
}

fn print(results: &[Vec<Measured>]) {
    println!(
        "{:22} {:>24} {:>10} {:>12} {:>10} {:>8} {:>9} {:>7} {:>8}",
        "", "CPU ns/span (min..max)", "vs prost", "spans/s", "vs raw", "out/in", "RSS MiB", "busy", "refused"
    );
    let median = |rows: &[Measured], f: fn(&Measured) -> f64| {
        let mut values: Vec<f64> = rows.iter().map(f).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let (raw_rate, prost_cpu) = (median(&results[0], |m| m.spans_per_second), median(&results[1], |m| m.cpu_ns_per_span));
    for ((name, _, keep), rows) in CONFIGURATIONS.into_iter().zip(results) {
        if rows.is_empty() {
            continue;
        }
        let cpu = median(rows, |m| m.cpu_ns_per_span);
        let (low, high) = rows.iter().fold((f64::MAX, 0.0f64), |(l, h), m| (l.min(m.cpu_ns_per_span), h.max(m.cpu_ns_per_span)));
        let rate = median(rows, |m| m.spans_per_second);
        let ratio = median(rows, |m| m.output_ratio);
        let expected = f64::from(keep) / 100.0;
        // Kept spans grow by what is added to them; a tenth of the traces is a tenth only on average.
        // A refusal is how a full queue pushes back: the sender comes again. It is no loss, but it is said.
        let errors: u64 = rows.iter().map(|m| m.errors).sum();
        let void = ratio < expected * 0.85 || ratio > expected * 1.6;
        println!(
            "{name:22} {cpu:>9.0} ({low:>5.0}..{high:>5.0}) {:>9.2}x {rate:>12.0} {:>9.0}% {ratio:>8.3} {:>4.0}-{:<4.0} {:>6.0}% {errors:>8}{}",
            prost_cpu / cpu,
            100.0 * rate / raw_rate,
            median(rows, |m| m.rss_start),
            median(rows, |m| m.rss_end),
            100.0 * median(rows, |m| m.busy),
            if void { "  VOID: the output does not match the input" } else { "" },
        );
    }
}
