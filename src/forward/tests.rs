//! The behaviour of destinations, with a scripted exporter and paused time.

use super::*;
use crate::forward::batch::Batch;
use crate::forward::batch::tests::{logs, names, numbered};
use crate::forward::config::{Batching, Common, RetryOnFailure, SendingQueue};
use crate::forward::exporters::Exporter;
use crate::forward::verdict::{Message, Verdict};
use crate::otlp::signal::Signal;
use crate::telemetry::ledger;
use crate::telemetry::logs::heard;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use tonic::Code;

type Script = dyn Fn(usize, &[String]) -> Verdict + Send + Sync;

/// An exporter that answers as a closure says, from the number of the request and the names of its spans (log records have none).
#[derive(Clone)]
pub(crate) struct Scripted(Arc<Stage>);

struct Stage {
    script: Box<Script>,
    takes: Duration,
    requests: Mutex<Vec<(Instant, Vec<String>)>>,
    now: AtomicUsize,
    most: AtomicUsize,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

impl Scripted {
    fn new(script: impl Fn(usize, &[String]) -> Verdict + Send + Sync + 'static) -> Scripted {
        Scripted::slow(Duration::ZERO, script)
    }

    fn slow(takes: Duration, script: impl Fn(usize, &[String]) -> Verdict + Send + Sync + 'static) -> Scripted {
        let (requests, now, most) = (Mutex::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        Scripted(Arc::new(Stage { script: Box::new(script), takes, requests, now, most }))
    }

    fn good() -> Scripted {
        Scripted::new(|_, _| delivered())
    }

    fn dead() -> Scripted {
        Scripted::new(|_, _| later(None))
    }

    pub(crate) async fn send(&self, batch: &Batch, range: Range<usize>) -> Verdict {
        let encoded = batch.encode(range, 0).unwrap();
        let names = if batch.signal() == Signal::Traces { names(&encoded.bytes) } else { Vec::new() };
        let number = {
            let mut requests = lock(&self.0.requests);
            requests.push((Instant::now(), names.clone()));
            requests.len() - 1
        };
        self.0.most.fetch_max(self.0.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        if !self.0.takes.is_zero() {
            tokio::time::sleep(self.0.takes).await;
        }
        self.0.now.fetch_sub(1, Ordering::SeqCst);
        (self.0.script)(number, &names)
    }

    fn requests(&self) -> Vec<Vec<String>> {
        lock(&self.0.requests).iter().map(|(_, names)| names.clone()).collect()
    }

    fn times(&self) -> Vec<Instant> {
        lock(&self.0.requests).iter().map(|(at, _)| *at).collect()
    }
}

fn delivered() -> Verdict {
    Verdict::Delivered { rejected: 0, message: Message::default() }
}

fn later(hint: Option<u64>) -> Verdict {
    Verdict::Later { reason: Reason::Grpc(Code::Unavailable), hint: hint.map(Duration::from_secs), message: Message::default() }
}

fn refused() -> Verdict {
    Verdict::Refused { reason: Reason::Grpc(Code::InvalidArgument), message: Message::new("bad") }
}

fn misconfigured() -> Verdict {
    Verdict::Misconfigured { reason: Reason::Grpc(Code::Unauthenticated), message: Message::default() }
}

struct Setup {
    forward: Forward,
    telemetry: Telemetry,
}

impl Setup {
    fn new(destinations: impl IntoIterator<Item = (&'static str, Common, Scripted)>) -> Setup {
        let (telemetry, books) = (Telemetry::new(usize::MAX), Arc::default());
        let start =
            |(name, common, scripted)| Destination::start(name, Running::new(common, Exporter::Scripted(scripted)), &telemetry, &books);
        let destinations = ArcSwap::from_pointee(destinations.into_iter().map(start).collect());
        let forward = Forward { telemetry: telemetry.clone(), books, destinations, retired: Mutex::default() };
        Setup { forward, telemetry }
    }

    fn one(scripted: &Scripted) -> Setup {
        Setup::new([("a", Common::default(), scripted.clone())])
    }

    fn enqueue(&self, redacted: Arc<Redacted>) {
        self.enqueue_as(redacted, false);
    }

    fn enqueue_as(&self, redacted: Arc<Redacted>, keep_class: bool) {
        let mut items: Vec<_> = redacted.items().collect();
        let request = Bytes::from(crate::otlp::regroup::encode(&mut items, 0));
        let redacted = Redacted::unchecked(redacted.signal(), request, keep_class);
        self.telemetry.ledger.accept(redacted.len() as u64);
        self.telemetry.ledger.pass(redacted.len() as u64);
        self.forward.enqueue(Arc::new(redacted));
        self.telemetry.ledger.assert_balanced();
    }

    fn account(&self, number: usize) -> ledger::Destination {
        self.telemetry.ledger.assert_balanced();
        self.telemetry.ledger.books().destinations[number]
    }

    async fn drain(&self, seconds: u64) -> u64 {
        let lost = self.forward.drain(Duration::from_secs(seconds)).await;
        self.telemetry.ledger.assert_balanced();
        let books = self.telemetry.ledger.books();
        assert!(books.destinations.iter().all(|d| d.waiting == 0), "{books:?}");
        assert_eq!(self.telemetry.budget.used(), 0);
        let text = self.telemetry.metrics.render();
        for line in text.lines().filter(|line| line.starts_with("tollgate_forward_queue_bytes{")) {
            assert!(line.ends_with("} 0"), "{line}");
        }
        lost
    }

    fn metric(&self, line: &str) -> bool {
        self.telemetry.metrics.render().lines().any(|l| l == line)
    }
}

async fn wait(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

#[tokio::test(start_paused = true)]
async fn every_destination_gets_every_item_once() {
    let (a, b) = (Scripted::good(), Scripted::good());
    let setup = Setup::new([("a", Common::default(), a.clone()), ("b", Common::default(), b.clone())]);
    setup.enqueue(numbered(3));
    setup.enqueue(numbered(2));
    assert_eq!(a.requests().len(), 0);
    wait(300).await;
    assert_eq!(a.requests().concat(), ["s0", "s1", "s2", "s0", "s1"]);
    assert_eq!(a.requests(), b.requests());
    assert_eq!(setup.account(1), ledger::Destination { handed: 5, waiting: 0, sent: 5, failed: 0, quarantined: 0 });
    assert_eq!(setup.drain(1).await, 0);
    assert!(setup.metric(r#"tollgate_forward_spans_total{destination="a",outcome="sent"} 5"#));
    assert!(setup.metric(r#"tollgate_forward_batches_total{destination="a"} 1"#));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_for_nothing() {
    let a = Scripted::good();
    let setup = Setup::one(&a);
    setup.enqueue(numbered(0));
    wait(1000).await;
    assert!(a.requests().is_empty());
    setup.drain(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_destination_does_not_slow_a_live_one() {
    let (dead, live) = (Scripted::dead(), Scripted::good());
    let setup = Setup::new([("dead", Common::default(), dead), ("live", Common::default(), live)]);
    for _ in 0..50 {
        setup.enqueue(numbered(10));
        wait(100).await;
    }
    wait(200).await;
    assert_eq!((setup.account(0).waiting, setup.account(1).sent), (500, 500));
    assert_eq!(setup.drain(5).await, 500);
    assert!(setup.metric(r#"tollgate_forward_failures_total{destination="dead",reason="shutdown"} 500"#));
}

#[tokio::test(start_paused = true)]
async fn a_retried_batch_waits_longer_each_time_and_is_not_counted_twice() {
    let scripted = Scripted::new(|number, _| if number < 4 { later(None) } else { delivered() });
    let retry = RetryOnFailure { multiplier: 2.0, ..RetryOnFailure::default() };
    let setup = Setup::new([("a", Common { retry_on_failure: retry, ..Common::default() }, scripted.clone())]);
    setup.enqueue(numbered(7));
    wait(30_000).await;
    let times = scripted.times();
    for (pair, whole) in times.windows(2).zip([1.0, 2.0, 4.0, 8.0]) {
        let waited = (pair[1] - pair[0]).as_secs_f64();
        assert!((whole / 2.0 - 0.01..=whole + 0.01).contains(&waited), "{waited} of {whole}");
    }
    assert_eq!((times.len(), setup.account(0).sent), (5, 7));
    setup.drain(1).await;
    assert!(setup.metric(r#"tollgate_forward_spans_total{destination="a",outcome="retried"} 28"#));
    assert!(setup.metric(r#"tollgate_forward_spans_total{destination="a",outcome="sent"} 7"#));
    assert!(setup.metric(r#"tollgate_forward_errors_total{destination="a",reason="unavailable"} 4"#));
}

#[tokio::test(start_paused = true)]
async fn a_hint_holds_back_every_batch_of_the_destination() {
    let scripted = Scripted::new(|number, _| if number == 0 { later(Some(20)) } else { delivered() });
    let setup = Setup::one(&scripted);
    setup.enqueue(numbered(1));
    wait(1000).await;
    setup.enqueue(numbered(2));
    wait(30_000).await;
    let times = scripted.times();
    assert_eq!(times.len(), 3);
    for later in &times[1..] {
        assert!(*later - times[0] >= Duration::from_secs(20) && *later - times[0] < Duration::from_secs(21));
    }
    setup.drain(1).await;
}

#[tokio::test(start_paused = true)]
async fn the_culprit_among_a_thousand_is_found_and_the_rest_arrives() {
    let scripted = Scripted::new(|_, names| if names.iter().any(|name| name == "s617") { refused() } else { delivered() });
    let setup = Setup::one(&scripted);
    setup.enqueue(numbered(1000));
    wait(1000).await;
    let account = setup.account(0);
    assert_eq!((account.sent, account.quarantined, account.failed), (999, 1, 0));
    assert!(scripted.requests().len() <= 2 * 10 + 1, "{} requests", scripted.requests().len());
    setup.drain(1).await;
    assert!(setup.metric(r#"tollgate_forward_failures_total{destination="a",reason="invalid_argument"} 1"#));
    assert!(setup.metric(r#"tollgate_forward_spans_total{destination="a",outcome="quarantined"} 1"#));
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_finds_requests_too_large_gets_smaller_ones() {
    let scripted = Scripted::new(|_, names| if names.len() > 130 { refused() } else { delivered() });
    let setup = Setup::one(&scripted);
    setup.enqueue(numbered(1000));
    wait(1000).await;
    assert_eq!((setup.account(0).sent, scripted.requests().len()), (1000, 15));
    setup.drain(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_refuses_everything_is_not_asked_once_for_each_item() {
    let scripted = Scripted::new(|_, _| refused());
    let setup = Setup::one(&scripted);
    setup.enqueue(numbered(5000));
    wait(1000).await;
    assert_eq!(setup.account(0).quarantined, 5000);
    assert!(scripted.requests().len() < 200, "{} requests", scripted.requests().len());
    setup.drain(1).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_backend_rejects_of_a_request_is_failed_and_not_sent_again() {
    let scripted = Scripted::new(|number, _| Verdict::Delivered {
        rejected: if number == 0 { 2 } else { 1_000_000 },
        message: Message::new("too old"),
    });
    let setup = Setup::one(&scripted);
    setup.enqueue(numbered(5));
    wait(1000).await;
    assert_eq!((setup.account(0).sent, setup.account(0).failed), (3, 2));
    setup.enqueue(numbered(5));
    wait(1000).await;
    assert_eq!((setup.account(0).sent, setup.account(0).failed), (3, 7));
    assert_eq!(scripted.requests().len(), 2);
    setup.drain(1).await;
    assert!(setup.metric(r#"tollgate_forward_failures_total{destination="a",reason="partial_success"} 7"#));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_pushes_back_and_still_takes_what_was_accepted() {
    let down = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let seen = Arc::clone(&down);
    let scripted = Scripted::new(move |_, _| if seen.load(Ordering::SeqCst) { later(None) } else { delivered() });
    let queue = SendingQueue { size: 2000, ..SendingQueue::default() };
    let batch = Batching { max_size: 2000, ..Batching::default() };
    let setup = Setup::new([("a", Common { sending_queue: queue, batch, ..Common::default() }, scripted)]);
    assert_eq!(setup.forward.pressure(), None);
    setup.enqueue(numbered(50));
    assert_eq!(setup.forward.pressure(), Some(Duration::from_secs(30)));
    setup.enqueue(numbered(50));
    assert_eq!(setup.account(0).waiting, 100);
    down.store(false, Ordering::SeqCst);
    wait(40_000).await;
    assert_eq!((setup.account(0).sent, setup.forward.pressure()), (100, None));
    setup.drain(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_must_not_block_drops_what_is_new_but_no_errors() {
    let queue = SendingQueue { size: 5000, block_on_overflow: false, ..SendingQueue::default() };
    let batch = Batching { max_size: 5000, ..Batching::default() };
    let setup = Setup::new([("a", Common { sending_queue: queue, batch, ..Common::default() }, Scripted::dead())]);
    setup.enqueue(numbered(40));
    setup.enqueue(numbered(40));
    assert_eq!((setup.account(0).waiting, setup.account(0).failed), (40, 40));
    assert_eq!(setup.forward.pressure(), None);
    setup.enqueue_as(numbered(40), true);
    setup.enqueue_as(numbered(40), true);
    assert_eq!((setup.account(0).waiting, setup.account(0).failed), (120, 40));
    assert!(setup.forward.pressure().is_some());
    setup.drain(1).await;
    assert!(setup.metric(r#"tollgate_forward_failures_total{destination="a",reason="queue_full"} 40"#));
}

#[tokio::test(start_paused = true)]
async fn as_many_exports_are_in_flight_as_configured_and_no_more() {
    let scripted = Scripted::slow(Duration::from_secs(1), |_, _| delivered());
    let queue = SendingQueue { num_consumers: 3, ..SendingQueue::default() };
    let batch = Batching { max_size: 500, flush_after: Duration::ZERO };
    let setup = Setup::new([("a", Common { sending_queue: queue, batch, ..Common::default() }, scripted.clone())]);
    setup.enqueue(numbered(100));
    assert_eq!(setup.drain(60).await, 0);
    assert_eq!((scripted.0.most.load(Ordering::SeqCst), setup.account(0).sent), (3, 100));
}

#[tokio::test(start_paused = true)]
async fn flush_after_is_how_long_an_item_waits_for_company() {
    let scripted = Scripted::good();
    let batch = Batching { flush_after: Duration::from_secs(5), ..Batching::default() };
    let setup = Setup::new([("a", Common { batch, ..Common::default() }, scripted.clone())]);
    let start = Instant::now();
    setup.enqueue(numbered(1));
    wait(3000).await;
    setup.enqueue(numbered(1));
    wait(3000).await;
    assert_eq!(scripted.requests().len(), 1);
    assert_eq!((scripted.times()[0] - start).as_secs(), 5);
    setup.drain(1).await;
}

#[tokio::test(start_paused = true)]
async fn draining_sends_at_once_what_waits_and_counts_what_stays() {
    let scripted = Scripted::good();
    let batch = Batching { flush_after: Duration::from_secs(3600), ..Batching::default() };
    let setup = Setup::new([("a", Common { batch, ..Common::default() }, scripted.clone()), ("b", Common::default(), Scripted::dead())]);
    setup.enqueue(numbered(9));
    let start = Instant::now();
    assert_eq!(setup.drain(10).await, 9);
    assert_eq!((setup.account(0).sent, setup.account(1).failed), (9, 9));
    assert_eq!((scripted.times()[0] - start).as_secs(), 0);
    assert_eq!(start.elapsed().as_secs(), 10);
    setup.enqueue(numbered(1));
    assert_eq!(setup.account(0).failed, 1);
}

#[tokio::test(start_paused = true)]
async fn draining_tries_once_more_at_once() {
    let scripted = Scripted::new(|number, _| if number == 0 { misconfigured() } else { delivered() });
    let setup = Setup::one(&scripted);
    setup.enqueue(numbered(1));
    wait(1000).await;
    assert_eq!(scripted.requests().len(), 1);
    assert_eq!(setup.drain(1).await, 0);
    assert_eq!(setup.account(0).sent, 1);
}

#[tokio::test(start_paused = true)]
async fn wrong_credentials_lose_nothing_and_are_asked_about_rarely() {
    let scripted = Scripted::new(|number, _| if number < 3 { misconfigured() } else { delivered() });
    let setup = Setup::one(&scripted);
    setup.enqueue(numbered(4));
    wait(20_000).await;
    assert_eq!((scripted.requests().len(), setup.account(0).waiting), (1, 4));
    let status = setup.forward.status().remove(0);
    assert!(status.destination == "a" && status.state == State::Misconfigured && status.queue_bytes > 0, "{status:?}");
    wait(100_000).await;
    assert_eq!((scripted.requests().len(), setup.account(0).sent), (4, 4));
    assert_eq!(setup.forward.status()[0].state, State::Well);
    setup.drain(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_signal_that_a_backend_does_not_take_is_dropped_and_the_others_are_not() {
    let scripted = Scripted::new(|_, names| if names.is_empty() { Verdict::Unsupported } else { delivered() });
    let setup = Setup::one(&scripted);
    for _ in 0..3 {
        setup.enqueue(logs(2));
        setup.enqueue(numbered(1));
        wait(1000).await;
    }
    assert_eq!((setup.account(0).sent, setup.account(0).failed), (3, 6));
    assert_eq!(scripted.requests().iter().filter(|names| names.is_empty()).count(), 1);
    setup.drain(1).await;
    assert!(setup.metric(r#"tollgate_forward_failures_total{destination="a",reason="unsupported_signal"} 6"#));
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_given_up_when_the_config_says_so_and_not_before() {
    let once = RetryOnFailure { enabled: false, ..RetryOnFailure::default() };
    let a_minute = RetryOnFailure { max_elapsed_time: Duration::from_secs(60), ..RetryOnFailure::default() };
    let (a, b) = (Scripted::dead(), Scripted::dead());
    let common = |retry_on_failure| Common { retry_on_failure, ..Common::default() };
    let setup = Setup::new([("a", common(once), a.clone()), ("b", common(a_minute), b.clone())]);
    setup.enqueue(numbered(3));
    wait(500).await;
    assert_eq!((setup.account(0).failed, a.requests().len()), (3, 1));
    wait(25_000).await;
    assert_eq!(setup.account(1).waiting, 3);
    wait(50_000).await;
    assert_eq!((setup.account(1).failed, setup.account(1).waiting), (3, 0));
    setup.drain(1).await;
    assert!(setup.metric(r#"tollgate_forward_failures_total{destination="a",reason="unavailable"} 3"#));
    assert!(setup.metric(r#"tollgate_forward_failures_total{destination="b",reason="max_elapsed_time"} 3"#));
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_an_export_costs_its_batch_and_shows() {
    let scripted = Scripted::new(|number, _| if number == 0 { panic!("scripted") } else { delivered() });
    let setup = Setup::one(&scripted);
    setup.enqueue(numbered(2));
    wait(500).await;
    setup.enqueue(numbered(3));
    wait(500).await;
    assert_eq!((setup.account(0).failed, setup.account(0).sent), (2, 3));
    setup.drain(1).await;
    assert!(setup.metric(r#"tollgate_forward_failures_total{destination="a",reason="internal"} 2"#));
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_one_line_at_its_start_and_one_at_its_end() {
    let log = heard::listen();
    let scripted = Scripted::new(|number, _| if number < 12 { later(None) } else { delivered() });
    let retry = RetryOnFailure { max_interval: Duration::from_secs(2), ..RetryOnFailure::default() };
    let setup = Setup::new([("a", Common { retry_on_failure: retry, ..Common::default() }, scripted.clone())]);
    for _ in 0..3 {
        setup.enqueue(numbered(2));
        wait(300).await;
    }
    wait(40_000).await;
    assert_eq!((log.count("batches are delayed"), log.count("recovered")), (1, 1));
    assert_eq!(log.count("destination=\"a\" reason=unavailable"), 1);
    setup.drain(1).await;
}

#[tokio::test(start_paused = true)]
async fn the_line_about_a_culprit_names_its_trace_and_nothing_else_of_it() {
    let log = heard::listen();
    let setup = Setup::one(&Scripted::new(|_, names| if names.iter().any(|name| name == "s3") { refused() } else { delivered() }));
    setup.enqueue(numbered(10));
    wait(1000).await;
    assert_eq!(log.count(&format!("trace_id=\"{}\" reason=invalid_argument answer=\"bad\"", "07".repeat(16))), 1);
    assert_eq!((log.count("s3"), log.count("gpt-5")), (0, 0));
    setup.drain(1).await;
}

#[tokio::test(start_paused = true)]
async fn what_nobody_drained_is_counted_as_lost() {
    let Setup { forward, telemetry } = Setup::one(&Scripted::dead());
    telemetry.ledger.accept(2);
    telemetry.ledger.pass(2);
    forward.enqueue(numbered(2));
    wait(1000).await;
    drop(forward);
    wait(10).await;
    telemetry.ledger.assert_balanced();
    assert_eq!(telemetry.ledger.books().destinations[0].failed, 2);
}

fn file_config(paths: &[(&str, &std::path::Path)]) -> Config {
    let file = |(name, path): &(&str, &std::path::Path)| {
        ((*name).to_owned(), Settings::File(exporters::file::Settings { path: path.to_path_buf() }))
    };
    Config(paths.iter().map(file).collect::<BTreeMap<_, _>>())
}

#[tokio::test]
async fn a_reload_keeps_queues_starts_what_is_new_and_empties_what_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let lines = |name: &str| std::fs::read_to_string(path(name)).unwrap_or_default().lines().count();
    let telemetry = Telemetry::new(usize::MAX);
    let forward = Forward::start(&file_config(&[("file/a", &path("a1")), ("file/b", &path("b"))]), &telemetry).unwrap();
    let setup = Setup { forward, telemetry };
    setup.enqueue(numbered(2));
    setup.forward.reload(&file_config(&[("file/a", &path("a2")), ("file/c", &path("c"))])).unwrap();
    setup.enqueue(numbered(3));
    assert!(setup.forward.reload(&Config::default()).is_err());
    assert!(setup.forward.reload(&file_config(&[("file/x", directory.path())])).is_err());
    assert_eq!(setup.drain(10).await, 0);
    // What waited for "a" went where "a" is now.
    assert_eq!((lines("a1"), lines("a2"), lines("b"), lines("c")), (0, 1, 1, 1));
    assert_eq!((0..3).map(|n| setup.account(n).sent).collect::<Vec<_>>(), [5, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_because_of_a_wrong_setting_leaves_with_the_right_one() {
    let (wrong, right) = (Scripted::new(|_, _| misconfigured()), Scripted::good());
    let setup = Setup::one(&wrong);
    setup.enqueue(numbered(4));
    wait(1000).await;
    setup.forward.destinations.load()[0].replace(Running::new(Common::default(), Exporter::Scripted(right.clone())));
    wait(100).await;
    assert_eq!((right.requests().len(), setup.account(0).sent), (1, 4));
    setup.drain(1).await;
}

#[tokio::test]
async fn a_config_that_cannot_work_names_the_key() {
    let telemetry = Telemetry::new(usize::MAX);
    assert_eq!(Forward::start(&Config::default(), &telemetry).unwrap_err(), StartError::Empty);
    let yaml = "otlp_grpc/eu: {endpoint: 'https://eu:4317', tls: {ca_file: /nowhere/ca.pem}}\notlp_http: {timeout: 0s}";
    let config: Config = serde_yaml::from_str(yaml).unwrap();
    let errors: Vec<_> = config.check().iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(errors[0].starts_with("exporters.otlp_grpc/eu.tls.ca_file: cannot read /nowhere/ca.pem"), "{errors:?}");
    assert!(errors[1].starts_with("exporters.otlp_http.endpoint: is missing"), "{errors:?}");
    assert!(Forward::start(&config, &telemetry).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_books_balance_at_every_instant() {
    let answer = |number: usize, names: &[String]| match number % 5 {
        0 => later(None),
        1 => Verdict::Delivered { rejected: 1, message: Message::default() },
        2 if names.len() > 1 => refused(),
        _ => delivered(),
    };
    let retry =
        RetryOnFailure { initial_interval: Duration::from_millis(1), max_interval: Duration::from_millis(2), ..RetryOnFailure::default() };
    let batch = Batching { max_size: 2000, flush_after: Duration::from_millis(1) };
    let common = Common { batch, retry_on_failure: retry, ..Common::default() };
    let setup = Arc::new(Setup::new([("a", common.clone(), Scripted::new(answer)), ("b", common, Scripted::new(answer))]));
    let senders = (0..4).map(|_| {
        let setup = Arc::clone(&setup);
        tokio::spawn(async move {
            for n in 0..50 {
                // `enqueue` looks at the books after every step.
                setup.enqueue(numbered(n % 7));
                tokio::task::yield_now().await;
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
    assert_eq!(setup.drain(30).await, 0);
}

#[test]
fn two_exporters_cannot_write_to_one_file() {
    let directory = tempfile::tempdir().unwrap();
    let config = |second: &str| -> Config {
        let path = directory.path().display();
        serde_yaml::from_str(&format!("file/a: {{path: '{path}/kept.jsonl'}}\nfile/b: {{path: '{path}/{second}'}}")).unwrap()
    };
    assert_eq!(config("other.jsonl").check(), []);
    for second in ["kept.jsonl", "./kept.jsonl"] {
        let errors: Vec<String> = config(second).check().iter().map(ToString::to_string).collect();
        assert!(errors.len() == 1 && errors[0].starts_with("exporters.file/b.path: ") && errors[0].contains("file/a"), "{errors:?}");
    }
}
