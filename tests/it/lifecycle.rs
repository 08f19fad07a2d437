//! The process from its start to its end: signals, reloads, and what goes wrong around it.

use crate::support::build::{failed, fresh, hex, lone, request, span, text, trace_id, with};
use crate::support::process::{Process, tollgate};
use crate::support::sink::{Mood, Sink};
use crate::support::{assert_same, until, until_sync};
use rustix::process::Signal as Kill;
use serde_json::Value;
use std::net::TcpListener;
use std::time::{Duration, Instant};
use tollgate::otlp::signal::Signal;

/// Waits long for the rest of a trace; keeps what the baseline says.
fn config(sink: &Sink, policy: &str) -> String {
    format!(
        "processors:
  tail_sampling:
    decision_wait: 60s
    policies: [ {policy} ]
exporters: {{ otlp_grpc: {{ endpoint: \"{}\", batch: {{ flush_after: 10ms }}, retry_on_failure: {{ initial_interval: 50ms, max_interval: 200ms }} }} }}
",
        sink.url()
    )
}

const NOTHING: &str = "{ name: none, type: probabilistic, probabilistic: { sampling_percentage: 0 } }";
const GOLD: &str = "{ name: gold, type: string_attribute, string_attribute: { key: tier, values: [gold] } }";
const EVERYTHING: &str = "{ name: all, type: always_sample }";

/// Sends a trace whose root is still to come; it is held.
async fn hold(process: &Process) -> (String, [u8; 16], u64) {
    let (trace, root) = (trace_id(), fresh());
    let child = span(trace, fresh(), Some(root), "child");
    assert_eq!(process.client.export(Signal::Traces, &request(vec![child])).await.code, 0);
    (hex(&trace), trace, root)
}

/// The lines of its log.
fn log(process: &Process) -> Vec<Value> {
    process.err().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

async fn held(process: &Process, count: f64) {
    until("the traces are held", || async { process.metric("tollgate_sampling_traces_pending").await == count }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_takes_new_policies_over_and_keeps_what_is_held() {
    let sink = Sink::start().await;
    let mut process = Process::start(&config(&sink, NOTHING), &[]).await;
    let (id, trace, root) = hold(&process).await;
    held(&process, 1.0).await;

    process.write_config(&config(&sink, GOLD));
    process.signal(Kill::HUP);
    until_sync("it says that it reloaded", || process.err().contains("\"reloaded\"")).await;
    assert_eq!(process.metric("tollgate_sampling_traces_pending").await, 1.0);
    assert_eq!(process.metric("tollgate_config_reload_failed").await, 0.0);
    let end = request(vec![with(span(trace, root, None, "root"), &[("tier", text("gold"))])]);
    assert_eq!(process.client.export(Signal::Traces, &end).await.code, 0);
    until_sync("both spans arrive", || sink.spans().iter().filter(|(trace, _)| *trace == id).count() == 2).await;

    // A file that does not load changes nothing, and says so where a person and where a machine looks.
    process.write_config(&config(&sink, "{ name: gold, type: allways_sample }"));
    process.signal(Kill::HUP);
    until("the metric tells", || async { process.metric("tollgate_config_reload_failed").await == 1.0 }).await;
    until_sync("the log tells", || process.err().contains("always_sample\\\"?")).await;
    let kept = with(lone("kept"), &[("tier", text("gold"))]);
    assert_eq!(process.client.export(Signal::Traces, &request(vec![kept.clone()])).await.code, 0);
    until_sync("the policies before are in force", || sink.traces().contains(&hex(&kept.trace_id))).await;

    process.write_config(&config(&sink, EVERYTHING));
    process.signal(Kill::HUP);
    until("the metric is well again", || async { process.metric("tollgate_config_reload_failed").await == 0.0 }).await;
    process.signal(Kill::TERM);
    assert_eq!(process.ended().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watched_file_is_taken_over_when_it_changes() {
    let sink = Sink::start().await;
    let process = Process::start(&config(&sink, NOTHING), &["--watch"]).await;
    let (id, trace, root) = hold(&process).await;
    held(&process, 1.0).await;
    // Something else in the folder is no change.
    std::fs::write(process.folder().join("other.yaml"), "x").expect("it can be written");
    process.write_config(&config(&sink, GOLD));
    until_sync("it says that it reloaded", || process.err().contains("\"reloaded\"")).await;
    assert_eq!(process.metric("tollgate_sampling_traces_pending").await, 1.0);
    process.write_config("processors: [");
    until("the metric tells", || async { process.metric("tollgate_config_reload_failed").await == 1.0 }).await;
    assert!(!sink.traces().contains(&id));
    let end = request(vec![with(span(trace, root, None, "root"), &[("tier", text("gold"))])]);
    assert_eq!(process.client.export(Signal::Traces, &end).await.code, 0);
    until_sync("the held trace is kept by the new policy", || sink.spans().iter().filter(|(trace, _)| *trace == id).count() == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_decides_and_delivers_everything_that_is_held() {
    let sink = Sink::start().await;
    let mut process = Process::start(&config(&sink, NOTHING), &[]).await;
    let mut sent = Vec::new();
    for _ in 0..20 {
        let (ok, bad) = ((trace_id(), fresh()), (trace_id(), fresh(), fresh()));
        let spans = vec![
            span(ok.0, ok.1, Some(fresh()), "ordinary"),
            span(bad.0, bad.1, Some(99), "before"),
            failed(span(bad.0, bad.2, Some(99), "broken"), "no"),
        ];
        sent.extend([bad.1, bad.2].map(|id| (hex(&bad.0), hex(&id.to_be_bytes()))));
        assert_eq!(process.client.post(Signal::Traces, request(spans)).await.status, 200);
    }
    assert_eq!(process.page("/ready").await.0, 200);
    process.signal(Kill::TERM);
    assert_eq!(process.ended().await, 0);
    // Errors are kept whatever the policies say; the others were decided, too, and dropped.
    assert_same("what was kept", sent, sink.spans());
    let drained = log(&process).into_iter().find(|line| line["message"] == "drained");
    let drained = drained.expect("the log tells what became of everything");
    assert_eq!(
        (&drained["accepted"], &drained["forwarded"], &drained["dropped"], &drained["lost"]),
        (&60.into(), &40.into(), &20.into(), &0.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_a_clear_message_and_status_1() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let set = |key: &str, value: &str| ["--set".to_owned(), format!("{key}={value}")];
    let ports = ["receivers.otlp.protocols.grpc.endpoint", "receivers.otlp.protocols.http.endpoint", "service.admin.endpoint"];
    for busy in ports {
        let flags = ports.iter().flat_map(|key| set(key, if *key == busy { &address } else { "127.0.0.1:0" }));
        let ran = tokio::task::spawn_blocking({
            let args: Vec<String> = ["run".to_owned()].into_iter().chain(flags).collect();
            move || tollgate(args, b"")
        });
        let ran = ran.await.expect("it ends by itself");
        assert_eq!(ran.status, 1, "{ran:?}");
        let last = ran.err.lines().last().unwrap_or_default();
        assert!(last.starts_with("error: ") && last.contains(&address), "{busy}: {}", ran.err);
        assert!(last.contains(busy), "it names the key to change: {last}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_backend_it_runs_queues_and_counts_what_it_could_not_deliver() {
    let sink = Sink::start().await;
    sink.go_away().await;
    let mut process =
        Process::start(&(config(&sink, EVERYTHING) + "service: { admin: { endpoint: \"127.0.0.1:0\" }, shutdown_timeout: 2s }\n"), &[])
            .await;
    for _ in 0..5 {
        assert_eq!(process.client.export(Signal::Traces, &request(vec![lone("a"), lone("b")])).await.code, 0);
    }
    until("it tries", || async { process.metric("tollgate_forward_errors_total").await > 0.0 }).await;
    assert_eq!(process.page("/ready").await.0, 200, "a backend that is away is no reason to send traffic elsewhere");
    until("everything waits", || async { process.metric("tollgate_forward_queue_bytes").await > 1000.0 }).await;
    assert_eq!(process.metric("tollgate_unaccounted_spans").await, 0.0);
    let start = Instant::now();
    process.signal(Kill::TERM);
    assert_eq!(process.ended().await, 0);
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    let log = log(&process);
    let lost = log.iter().find(|line| line["reason"] == "shutdown" && line["destination"] == "otlp_grpc");
    assert!(lost.is_some_and(|line| line["items"].as_u64() > Some(0)), "the log tells what was given up, and why: {}", process.err());
    let drained = log.iter().find(|line| line["message"] == "drained").expect("the sum of it");
    assert_eq!((&drained["accepted"], &drained["undelivered"]), (&10.into(), &10.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_drains_it_is_not_ready_and_takes_nothing_new() {
    let sink = Sink::start().await;
    sink.mood(Mood::Refuse { grpc: 14, http: 503 });
    let mut process =
        Process::start(&(config(&sink, EVERYTHING) + "service: { admin: { endpoint: \"127.0.0.1:0\" }, shutdown_timeout: 8s }\n"), &[])
            .await;
    let one = lone("one");
    assert_eq!(process.client.export(Signal::Traces, &request(vec![one.clone()])).await.code, 0);
    until_sync("it tries", || sink.attempts() > 0).await;
    process.signal(Kill::TERM);
    until("it is not ready", || async { process.page("/ready").await == (503, "draining\n".into()) }).await;
    assert_eq!(process.page("/live").await.0, 200);
    // Its ports are closed, or they say when to come back; no sender is told that something was taken.
    let body = request(vec![lone("late")]);
    let answer = process
        .client
        .web
        .post(format!("http://{}/v1/traces", process.client.http))
        .header("content-type", "application/x-protobuf")
        .body(body);
    if let Ok(answer) = answer.send().await {
        assert_eq!(answer.status(), 503);
    }
    sink.mood(Mood::Good);
    assert_eq!(process.ended().await, 0);
    assert_eq!(sink.traces().into_iter().collect::<Vec<_>>(), [hex(&one.trace_id)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_stops_at_once() {
    let sink = Sink::start().await;
    sink.go_away().await;
    let service = "service: { admin: { endpoint: \"127.0.0.1:0\" }, shutdown_timeout: 300s }\n";
    let mut process = Process::start(&(config(&sink, EVERYTHING) + service), &[]).await;
    assert_eq!(process.client.export(Signal::Traces, &request(vec![lone("one")])).await.code, 0);
    process.signal(Kill::TERM);
    until_sync("it drains", || process.err().contains("a second signal stops at once")).await;
    // The listener for the second one starts behind that line.
    until("it is not ready", || async { process.page("/ready").await.0 == 503 }).await;
    process.signal(Kill::TERM);
    assert_eq!(process.ended().await, 1);
}

#[test]
fn a_config_that_does_not_load_starts_nothing_and_is_status_2() {
    let ran = tollgate(["run", "--set", "processors.tail_sampling.decision_wiat=3s"], b"");
    assert_eq!(ran.status, 2, "{ran:?}");
    assert!(ran.err.contains("did you mean \"decision_wait\"?") && !ran.err.contains("listening"), "{}", ran.err);
}
