//! What the tests of the running program share: a backend, a sender, the stage in this process and as a process of its own.
//!
//! Nothing here reads the project's own counters to decide whether something arrived: the backend keeps every byte it was sent,
//! and cuts it up with prost's primitives, not with the code under test.

pub(crate) mod build;
pub(crate) mod client;
pub(crate) mod json;
pub(crate) mod metrics;
pub(crate) mod path;
pub(crate) mod process;
pub(crate) mod sink;
pub(crate) mod stage;
pub(crate) mod wire;

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Longest wait for anything. Only a failing test waits so long; the machine may be busy with something else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until `done`; panics with `what` where it takes too long.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut done: impl FnMut() -> F) {
    let start = Instant::now();
    while !done().await {
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The same for what can be asked without waiting.
pub(crate) async fn until_sync(what: &str, mut done: impl FnMut() -> bool) {
    until(what, || std::future::ready(done())).await;
}

/// How often each thing is there.
pub(crate) fn multiset<T: Eq + Hash>(things: impl IntoIterator<Item = T>) -> HashMap<T, usize> {
    let mut counts = HashMap::new();
    for thing in things {
        *counts.entry(thing).or_default() += 1;
    }
    counts
}

/// Both hold the same things equally often; else says how many differ and shows one of each side.
pub(crate) fn assert_same<T: Eq + Hash + Debug>(what: &str, sent: impl IntoIterator<Item = T>, got: impl IntoIterator<Item = T>) {
    let (sent, got) = (multiset(sent), multiset(got));
    let more = |a: &HashMap<T, usize>, b: &HashMap<T, usize>| -> (usize, Option<String>) {
        let differing: Vec<&T> =
            a.iter().filter(|(thing, count)| b.get(thing).copied().unwrap_or(0) < **count).map(|(thing, _)| thing).collect();
        (differing.len(), differing.first().map(|thing| shorten(&format!("{thing:?}"))))
    };
    let (missing, surplus) = (more(&sent, &got), more(&got, &sent));
    assert!(
        missing.0 == 0 && surplus.0 == 0,
        "{what}: {} missing, such as {:?}; {} too many, such as {:?}",
        missing.0,
        missing.1,
        surplus.0,
        surplus.1
    );
}

fn shorten(text: &str) -> String {
    text.chars().take(600).collect()
}
