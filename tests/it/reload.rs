//! Reloads under load: nothing is lost, doubled or miscounted between two configs.

use crate::support::build::{fresh, hex, request, span, trace_id};
use crate::support::sink::{Sink, Via};
use crate::support::stage::Stage;
use crate::support::{assert_same, until_sync};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tollgate::otlp::signal::Signal;

#[tokio::test(flavor = "multi_thread")]
async fn configs_that_change_under_load_lose_and_double_nothing() {
    let (steady, passing) = (Sink::start().await, Sink::start().await);
    let exporter = |name: &str, sink: &Sink, more: &str| {
        format!("otlp_grpc/{name}: {{ endpoint: \"{}\", batch: {{ flush_after: 5ms {more} }} }}", sink.url())
    };
    // Every kind of change: sampling off and on, other policies, redaction off, a destination more, other batches.
    let configs = [
        format!(
            "processors: {{ tail_sampling: {{ policies: [ {{ name: all, type: always_sample }} ] }} }}\nexporters: {{ {} }}\n",
            exporter("a", &steady, "")
        ),
        format!(
            "processors: {{ tail_sampling: {{ enabled: false }} }}\nexporters: {{ {}, {} }}\n",
            exporter("a", &steady, ""),
            exporter("b", &passing, "")
        ),
        format!(
            "processors: {{ redaction: {{ enabled: false }}, tail_sampling: {{ decision_wait: 300ms, extend_while_active: {{ idle: 0s }}, policies: [ {{ name: late, type: span_count, span_count: {{ min_spans: 1 }} }} ] }} }}\nexporters: {{ {} }}\n",
            exporter("a", &steady, ", max_size: 2KiB")
        ),
    ];
    let stage = Arc::new(Stage::start(&configs[0]).await);
    let watch = stage.watch_books();
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let senders: Vec<_> = (0..3)
        .map(|number| {
            let (client, stop, sent) = (stage.client.clone(), Arc::clone(&stop), Arc::clone(&sent));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    // Some traces are whole at once, of others the root never comes.
                    let (trace, root) = (trace_id(), fresh());
                    let spans = vec![span(trace, fresh(), Some(root), "child"), span(trace, root, (number == 2).then(fresh), "root")];
                    let ids: Vec<_> = spans.iter().map(|span| (hex(&span.trace_id), hex(&span.span_id))).collect();
                    assert_eq!(client.export(Signal::Traces, &request(spans)).await.code, 0);
                    sent.lock().expect("no panic under this lock").extend(ids);
                }
            })
        })
        .collect();
    for number in 1..=18 {
        tokio::time::sleep(Duration::from_millis(60)).await;
        stage.reload(&configs[number % configs.len()]).await;
    }
    stop.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.await.expect("nobody was refused");
    }
    let sent = sent.lock().expect("no panic under this lock").clone();
    assert!(sent.len() > 100, "{} spans", sent.len());
    // Back at the first config, everything that is held is kept.
    until_sync("everything is decided", || stage.metric("tollgate_sampling_traces_pending", &[]) == 0.0).await;
    stage.until_sent().await;
    watch.assert_balanced_throughout();
    Arc::into_inner(stage).expect("nobody else has it").finish().await;
    assert_same("at the destination that was there all along", sent.clone(), steady.spans());
    let (some, all) = (passing.spans(), sent.into_iter().collect::<std::collections::HashSet<_>>());
    assert!(!some.is_empty() && some.iter().all(|ids| all.contains(ids)), "the other one got what came in its time");
    assert_eq!(some.iter().collect::<std::collections::HashSet<_>>().len(), passing.count(Signal::Traces, Via::Grpc));
}
