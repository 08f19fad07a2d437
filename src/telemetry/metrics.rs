//! The Prometheus registry of one stage.
//!
//! Handles are made once and kept; nothing on the path looks a metric up by name. The registry is an object rather than
//! the process-wide recorder, so that two stages in one process (as in the tests) do not count into each other. Money has a
//! counter of its own kind: the counters of the `metrics` crate are whole numbers, and spend must stay exact.

use crate::units::Usd;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder, SharedString};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use std::collections::{BTreeMap, HashSet};
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// Seconds; the boundaries the GenAI semantic conventions give for durations.
pub const SECONDS: [f64; 14] = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

/// Tokens of one call; the boundaries the GenAI semantic conventions give for them.
const TOKENS: [f64; 14] =
    [1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0, 16777216.0, 67108864.0];

/// Seconds that agents run, by the same conventions.
const AGENT_SECONDS: [f64; 13] = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6];

/// Seconds that workflows run, likewise.
const WORKFLOW_SECONDS: [f64; 11] = [1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0];

/// Counts of things in a trace.
const COUNTS: [f64; 12] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 10_000.0, 100_000.0];

/// Sizes in bytes, 1 KiB to 64 MiB.
const BYTES: [f64; 9] = [1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0, 16777216.0, 67108864.0];

static METADATA: Metadata<'static> = Metadata::new("tollgate", Level::INFO, None);

/// Metrics of one stage. Cheap to clone; all clones are one registry.
#[derive(Clone)]
pub struct Metrics(Arc<Registry>);

type Collect = Box<dyn Fn() + Send + Sync>;

struct Registry {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    described: Mutex<HashSet<&'static str>>,
    collect: Mutex<Vec<Collect>>,
    money: Mutex<BTreeMap<&'static str, MoneyFamily>>,
}

struct MoneyFamily {
    help: &'static str,
    series: BTreeMap<String, MoneyCounter>,
}

/// An exact sum of US dollars that only grows.
#[derive(Clone, Debug, Default)]
pub struct MoneyCounter(Arc<Mutex<Usd>>);

impl MoneyCounter {
    /// Adds an amount.
    pub fn add(&self, amount: Usd) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += amount;
    }

    /// The sum so far.
    pub fn get(&self) -> Usd {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// An empty registry.
    pub fn new() -> Metrics {
        // Unwrap safety: it fails only for empty lists of boundaries, and these are constants.
        let buckets = |builder: PrometheusBuilder, name: &str, values: &[f64]| {
            // A suffix begins with its underscore; a whole name goes before every suffix.
            let matcher = if name.starts_with("gen_ai") { Matcher::Full(name.to_owned()) } else { Matcher::Suffix(name.to_owned()) };
            builder.set_buckets_for_metric(matcher, values).expect("boundaries are given")
        };
        let builder = PrometheusBuilder::new();
        let builder = buckets(builder, "_seconds", &SECONDS);
        let builder = buckets(builder, "_bytes", &BYTES);
        let builder = buckets(builder, "_spans", &COUNTS);
        let builder = buckets(builder, "represented_traces", &COUNTS);
        let builder = ["_token_usage", "_input_tokens", "_output_tokens"].iter().fold(builder, |b, suffix| buckets(b, suffix, &TOKENS));
        let builder = buckets(builder, "gen_ai_invoke_agent_duration_seconds", &AGENT_SECONDS);
        let builder = buckets(builder, "gen_ai_invoke_workflow_duration_seconds", &WORKFLOW_SECONDS);
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        Metrics(Arc::new(Registry { recorder, handle, described: Mutex::default(), collect: Mutex::default(), money: Mutex::default() }))
    }

    /// A counter. The same name and labels give the same series.
    pub fn counter(&self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)]) -> Counter {
        self.describe(name, |n| self.0.recorder.describe_counter(n, None, SharedString::const_str(help)));
        self.0.recorder.register_counter(&key(name, labels), &METADATA)
    }

    /// A gauge.
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)]) -> Gauge {
        self.describe(name, |n| self.0.recorder.describe_gauge(n, None, SharedString::const_str(help)));
        self.0.recorder.register_gauge(&key(name, labels), &METADATA)
    }

    /// A histogram; its boundaries follow from the unit its name ends in (`_seconds`, `_bytes`, `_spans`).
    pub fn histogram(&self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)]) -> Histogram {
        self.describe(name, |n| self.0.recorder.describe_histogram(n, None, SharedString::const_str(help)));
        self.0.recorder.register_histogram(&key(name, labels), &METADATA)
    }

    /// A counter of US dollars.
    pub fn money(&self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)]) -> MoneyCounter {
        let mut families = self.0.money.lock().unwrap_or_else(PoisonError::into_inner);
        let family = families.entry(name).or_insert_with(|| MoneyFamily { help, series: BTreeMap::new() });
        family.series.entry(label_text(labels)).or_default().clone()
    }

    /// Runs `collect` before every rendering, to set gauges that are read rather than kept.
    pub fn before_render(&self, collect: impl Fn() + Send + Sync + 'static) {
        self.0.collect.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(collect));
    }

    /// Everything in the Prometheus text format.
    pub fn render(&self) -> String {
        self.0.collect.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|collect| collect());
        let mut text = self.0.handle.render();
        self.render_money(&mut text);
        text
    }

    /// Keeps the buffers of the histograms small; to be called every few seconds.
    pub fn upkeep(&self) {
        self.0.handle.run_upkeep();
    }

    fn describe(&self, name: &'static str, describe: impl FnOnce(KeyName)) {
        if self.0.described.lock().unwrap_or_else(PoisonError::into_inner).insert(name) {
            describe(KeyName::from_const_str(name));
        }
    }

    fn render_money(&self, text: &mut String) {
        for (name, family) in self.0.money.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} counter", family.help);
            for (labels, sum) in &family.series {
                let _ = writeln!(text, "{name}{labels} {}", sum.get());
            }
            text.push('\n');
        }
    }
}

fn key(name: &'static str, labels: &[(&'static str, &str)]) -> Key {
    let labels: Vec<Label> = labels.iter().map(|(k, v)| Label::new(*k, (*v).to_owned())).collect();
    Key::from_parts(name, labels)
}

/// `{a="b",c="d"}`, escaped as the text format asks; empty without labels.
fn label_text(labels: &[(&'static str, &str)]) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let pairs = labels.iter().map(|(key, value)| {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        format!("{key}=\"{value}\"")
    });
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_registries_do_not_count_into_each_other() {
        let (a, b) = (Metrics::new(), Metrics::new());
        a.counter("tollgate_x_total", "x", &[]).increment(3);
        b.counter("tollgate_x_total", "x", &[]).increment(1);
        assert!(a.render().contains("tollgate_x_total 3"), "{}", a.render());
        assert!(b.render().contains("tollgate_x_total 1"));
    }

    #[test]
    fn money_adds_up_exactly_and_has_a_type() {
        let metrics = Metrics::new();
        for _ in 0..10 {
            metrics.money("tollgate_cost_usd_total", "spend", &[("model", "a\"b\\c\nd")]).add("0.1".parse().unwrap());
        }
        let text = metrics.render();
        assert!(text.contains("# TYPE tollgate_cost_usd_total counter\n"), "{text}");
        assert!(text.contains("tollgate_cost_usd_total{model=\"a\\\"b\\\\c\\nd\"} 1\n"), "{text}");
    }

    #[test]
    fn a_gauge_that_is_read_is_fresh_in_every_rendering() {
        let metrics = Metrics::new();
        let gauge = metrics.gauge("tollgate_g", "g", &[]);
        metrics.before_render(move || gauge.increment(1.0));
        assert!(metrics.render().contains("tollgate_g 1"));
        assert!(metrics.render().contains("tollgate_g 2"));
    }

    #[test]
    fn seconds_have_the_boundaries_of_the_conventions() {
        let metrics = Metrics::new();
        metrics.histogram("tollgate_llm_duration_seconds", "d", &[]).record(0.05);
        assert!(metrics.render().contains("le=\"81.92\""), "{}", metrics.render());
    }
}
