//! Allocations per span from the scan to the encoded request, counted: the rule is at most 0.05.
//!
//! `cargo bench --bench allocations`; `-- lean drop` measures only what is so named.

#![allow(missing_docs, dead_code, unreachable_pub, reason = "a benchmark; no binary uses all of what they share")]

mod shard;
mod template;
mod workload;

use shard::{Shard, processors};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::time::Duration;
use template::Template;
use workload::{Rng, Workload};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Requests before counting begins: buffers and tables have grown by then, and what the first of them left is gone from the hold.
const WARM_UP: u64 = 700;

/// Ten thousand spans a second.
const EVERY: Duration = Duration::from_millis(50);
const REQUESTS: u64 = 400;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    println!("{:8} {:22} {:>14} {:>14} {:>12}", "", "", "allocs/span", "bytes/span", "kept");
    for workload in Workload::ALL {
        let template = Template::new(workload);
        for (name, processors) in [
            ("keep 10 %", processors(10, 0, false)),
            ("keep 10 %, drop hold", processors(10, 128, false)),
            ("keep 10 %, redaction", processors(10, 0, true)),
            ("keep 100 %", processors(100, 0, false)),
        ] {
            if !words.iter().all(|word| format!("{} {name}", workload.name()).contains(word.as_str())) {
                continue;
            }
            let (mut shard, mut rng) = (Shard::new(&processors), Rng(3));
            let (mut allocations, mut bytes, mut kept) = (0, 0, 0);
            for number in 0..WARM_UP + REQUESTS {
                let request = template.fresh(&mut rng);
                let region = Region::new(ALLOCATOR);
                let (spans, _) = shard.stream(shard::open(request), EVERY);
                let change = region.change();
                if number >= WARM_UP {
                    allocations += change.allocations + change.reallocations;
                    bytes += change.bytes_allocated;
                    kept += spans;
                }
            }
            let spans = (REQUESTS * template.spans) as f64;
            let (allocations, bytes, kept) = (allocations as f64 / spans, bytes as f64 / spans, 100.0 * kept as f64 / spans);
            println!("{:8} {name:22} {allocations:>14.3} {bytes:>14.0} {kept:>10.1} %", workload.name());
        }
    }
}
