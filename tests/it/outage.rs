//! A backend that is away: nothing is lost while there is room, and past it senders are told to come back.

use crate::support::build::{fresh, hex, lone, request, span, text, trace_id, with};
use crate::support::client::Client;
use crate::support::sink::{Mood, Sink, Via};
use crate::support::stage::Stage;
use crate::support::{PATIENCE, assert_same, until_sync};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tollgate::otlp::signal::Signal;

const QUEUE: usize = 256 << 10;

/// Everything is kept at once. Enrichment and redaction run: what they add counts for the memory, too.
fn config(exporters: &str) -> String {
    format!(
        "processors: {{ tail_sampling: {{ enabled: false }} }}
exporters: {{ {exporters} }}
service: {{ admin: {{ endpoint: \"127.0.0.1:0\" }}, memory: {{ limit: 16MiB }} }}
"
    )
}

fn exporter(kind: &str, name: &str, url: &str, more: &str) -> String {
    format!(
        "{kind}/{name}: {{ endpoint: \"{url}\", timeout: 2s, sending_queue: {{ size: {QUEUE} {more} }}, batch: {{ max_size: 32KiB, flush_after: 20ms }}, retry_on_failure: {{ initial_interval: 50ms, max_interval: 300ms }} }}"
    )
}

/// What a sender was told.
#[derive(Default)]
struct Told {
    accepted: Mutex<Vec<(String, String)>>,
    refused: AtomicUsize,
}

/// A request of `count` spans of about 2 KiB, each a trace of its own.
fn batch(count: usize) -> (Vec<(String, String)>, Vec<u8>) {
    let mut ids = Vec::new();
    let spans = (0..count).map(|_| {
        let (trace, id) = (trace_id(), fresh());
        ids.push((hex(&trace), hex(&id.to_be_bytes())));
        with(span(trace, id, None, "work"), &[("note", text(&"lorem ipsum ".repeat(160)))])
    });
    let spans = spans.collect();
    (ids, request(spans))
}

impl Told {
    /// Sends one batch; whether it was accepted. A refusal has to say when to come back.
    async fn send(&self, client: &Client, grpc: bool) -> bool {
        let (ids, body) = batch(4);
        let accepted = self.send_body(client, grpc, &body).await;
        if accepted {
            self.accepted.lock().expect("no panic under this lock").extend(ids);
        }
        accepted
    }

    async fn send_body(&self, client: &Client, grpc: bool, body: &[u8]) -> bool {
        let accepted = if grpc {
            let answer = client.export(Signal::Traces, body).await;
            match answer.code {
                0 => true,
                14 => {
                    let retry = answer.retry.expect("UNAVAILABLE carries RetryInfo");
                    assert!(retry >= Duration::from_secs(1) && retry <= Duration::from_secs(30), "{retry:?}");
                    false
                }
                _ => panic!("{answer:?}"),
            }
        } else {
            let answer = client.post(Signal::Traces, body.to_vec()).await;
            match answer.status {
                200 => true,
                503 => {
                    let retry = answer.retry().expect("503 carries Retry-After");
                    assert!((1..=30).contains(&retry), "{retry}");
                    assert_eq!(answer.content_type(), "application/x-protobuf");
                    false
                }
                _ => panic!("{answer:?}"),
            }
        };
        if !accepted {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        accepted
    }

    fn accepted(&self) -> Vec<(String, String)> {
        self.accepted.lock().expect("no panic under this lock").clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_goes_down_under_load_and_comes_back_has_everything_that_was_accepted() {
    let sink = Sink::start().await;
    let stage = Stage::start(&config(&exporter("otlp_grpc", "a", &sink.url(), ""))).await;
    let (watch, told) = (stage.watch_books(), Arc::new(Told::default()));
    let (stop, most) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let meter = tokio::spawn({
        let (stop, most, budget) = (Arc::clone(&stop), Arc::clone(&most), stage.telemetry.budget.clone());
        async move {
            while !stop.load(Ordering::Relaxed) {
                most.fetch_max(budget.used(), Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    });

    for number in 0..10 {
        assert!(told.send(&stage.client, number % 2 == 0).await, "a healthy stage takes everything");
    }
    until_sync("the first spans are here", || sink.spans().len() >= 40).await;
    sink.go_away().await;
    // About 100 KiB: there is room for them.
    for number in 0..10 {
        assert!(told.send(&stage.client, number % 2 == 0).await, "nothing is refused while there is room");
    }
    let load: Vec<_> = (0..4)
        .map(|number| {
            let (client, told, stop) = (stage.client.clone(), Arc::clone(&told), Arc::clone(&stop));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    if !told.send(&client, number % 2 == 0).await {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
            })
        })
        .collect();
    until_sync("senders are refused", || told.refused.load(Ordering::Relaxed) >= 20).await;
    let kept_down = told.accepted().len();
    assert!(stage.metric("tollgate_receive_refusals_total", &[("reason", "queue_full")]) >= 20.0);
    assert!(stage.metric("tollgate_forward_queue_bytes", &[("destination", "otlp_grpc/a")]) >= QUEUE as f64);

    sink.come_back().await;
    until_sync("senders are accepted again", || told.accepted().len() > kept_down + 100).await;
    stop.store(true, Ordering::Relaxed);
    for task in load {
        task.await.expect("no sender met a wrong answer");
    }
    meter.await.expect("the meter");
    stage.until_sent().await;
    watch.assert_balanced_throughout();
    let limit = stage.telemetry.budget.limit();
    assert!(most.load(Ordering::Relaxed) <= limit, "{most:?} bytes of {limit}");
    // A batch whose answer was lost is sent again: OTLP has it so. Everything is there, and nothing that was not accepted.
    let (mut got, mut sent) = (sink.spans(), told.accepted());
    let times = got.len();
    got.sort();
    got.dedup();
    sent.sort();
    assert_same("accepted and arrived", sent, got.clone());
    assert!(times - got.len() <= 64, "{} spans came twice", times - got.len());
    let account = stage.telemetry.ledger.books().destinations[0];
    assert_eq!((account.failed, account.quarantined, account.sent), (0, 0, got.len() as u64));
    stage.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_that_is_full_refuses_before_it_overflows() {
    let sink = Sink::start().await;
    sink.go_away().await;
    // The queue would take far more than the memory of the stage.
    let exporter = exporter("otlp_grpc", "a", &sink.url(), "").replace(&QUEUE.to_string(), "1GiB");
    let stage = Stage::start(&config(&exporter)).await;
    let (watch, told, budget) = (stage.watch_books(), Told::default(), stage.telemetry.budget.clone());
    let body = request((0..20).map(|_| with(lone("large"), &[("note", text(&"lorem ipsum ".repeat(4000)))])).collect());
    let (mut accepted, mut refused) = (0, [0, 0]);
    for number in 0..200 {
        let grpc = number % 2 == 0;
        if told.send_body(&stage.client, grpc, &body).await {
            accepted += 1;
        } else {
            refused[usize::from(grpc)] += 1;
        }
        assert!(budget.used() <= budget.limit(), "{} of {}", budget.used(), budget.limit());
        if refused.iter().all(|count| *count >= 3) {
            break;
        }
    }
    assert!((5..20).contains(&accepted), "{accepted} requests of about a megabyte fit into 16 MiB");
    assert!(refused.iter().all(|count| *count >= 3), "both transports refuse: {refused:?}");
    assert!(stage.metric("tollgate_receive_refusals_total", &[("reason", "memory")]) > 0.0);
    sink.come_back().await;
    until_sync("everything that was accepted is there", || sink.spans().len() >= accepted * 20).await;
    stage.until_sent().await;
    until_sync("the memory is free again", || budget.used() < budget.limit() / 4).await;
    assert!(told.send(&stage.client, true).await, "and taken again");
    watch.assert_balanced_throughout();
    stage.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_answers_not_now_gets_each_span_once_when_it_may() {
    let sink = Sink::start().await;
    sink.mood(Mood::Refuse { grpc: 14, http: 503 });
    let exporters = [exporter("otlp_grpc", "a", &sink.url(), ""), exporter("otlp_http", "b", &sink.url(), "")].join(", ");
    let stage = Stage::start(&config(&exporters)).await;
    let told = Told::default();
    for number in 0..6 {
        assert!(told.send(&stage.client, number % 2 == 0).await);
    }
    until_sync("both tried more than once", || sink.attempts() >= 6).await;
    assert!(stage.metric("tollgate_forward_spans_total", &[("outcome", "retried")]) > 0.0);
    sink.mood(Mood::Good);
    stage.until_sent().await;
    assert_same("twice in all, once each way", [told.accepted(), told.accepted()].concat(), sink.spans());
    stage.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_destination_does_not_slow_the_other() {
    let (alive, dead) = (Sink::start().await, Sink::start().await);
    dead.go_away().await;
    let exporters =
        [exporter("otlp_http", "alive", &alive.url(), ""), exporter("otlp_grpc", "dead", &dead.url(), ", block_on_overflow: false")]
            .join(", ");
    let stage = Stage::start(&config(&exporters)).await;
    let (watch, told) = (stage.watch_books(), Told::default());
    // More than the queue of the dead one takes.
    while told.accepted().len() < 400 {
        let (sent, start) = (told.accepted().len(), Instant::now());
        assert!(told.send(&stage.client, sent % 8 == 0).await, "nobody is refused for the sake of the dead one");
        if sent % 40 == 0 {
            until_sync("it arrives", || alive.count(Signal::Traces, Via::Http) > sent).await;
            assert!(start.elapsed() < PATIENCE / 4, "{:?}", start.elapsed());
        }
    }
    until_sync("everything is at the one that lives", || alive.count(Signal::Traces, Via::Http) >= 400).await;
    assert_same("alive", told.accepted(), alive.spans());
    let untaken = || stage.metric("tollgate_forward_failures_total", &[("destination", "otlp_grpc/dead"), ("reason", "queue_full")]);
    assert!(untaken() > 0.0 && untaken() < 400.0, "{}", untaken());
    stage.telemetry.ledger.assert_balanced();

    // What the dead one still had room for reaches it when it lives again.
    dead.come_back().await;
    stage.until_sent().await;
    assert_eq!(dead.spans().len() as f64, 400.0 - untaken());
    watch.assert_balanced_throughout();
    stage.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_span_that_a_backend_refuses_for_good_does_not_take_others_with_it() {
    let sink = Sink::start().await;
    sink.mood(Mood::Dislike("poison"));
    let exporters = [exporter("otlp_grpc", "a", &sink.url(), ""), exporter("otlp_http", "b", &sink.url(), "")].join(", ");
    let stage = Stage::start(&config(&exporters)).await;
    let watch = stage.watch_books();
    let names: Vec<String> = (0..16).map(|n| if n == 11 { "poison".to_owned() } else { format!("good-{n}") }).collect();
    assert_eq!(stage.client.export(Signal::Traces, &request(names.iter().map(|name| lone(name)).collect())).await.code, 0);
    let spans = |labels: &[(&str, &str)]| stage.metric("tollgate_forward_spans_total", labels);
    until_sync("one span is set aside by each", || spans(&[("outcome", "quarantined")]) == 2.0).await;
    stage.until_sent().await;
    for (via, destination) in [(Via::Grpc, "otlp_grpc/a"), (Via::Http, "otlp_http/b")] {
        assert_eq!(sink.count(Signal::Traces, via), 15, "{via:?}");
        assert_eq!(spans(&[("destination", destination), ("outcome", "sent")]), 15.0);
        assert_eq!(spans(&[("destination", destination), ("outcome", "quarantined")]), 1.0);
    }
    watch.assert_balanced_throughout();
    stage.finish().await;
}
