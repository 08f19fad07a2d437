//! More traffic than the backend takes: senders are told to come back, memory stays within its limit, and no error is lost.
//!
//! Some seconds in every run; ten minutes with `TOLLGATE_FULL_TESTS=1`.

use crate::support::build::{failed, fresh, hex, request, span, text, trace_id, with};
use crate::support::sink::{Mood, Sink};
use crate::support::stage::Stage;
use crate::support::{PATIENCE, until_sync};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tollgate::otlp::signal::Signal;

/// What the backend takes: one batch at a time, each after this while.
const SLOW: Duration = Duration::from_millis(40);

/// One trace in so many fails.
const ERRORS: u64 = 100;

const SENDERS: u64 = 4;

const CONFIG: &str = r#"
processors:
  tail_sampling:
    decision_wait: 2s
    complete_delay: 200ms
    decision_wait_after_root_received: 500ms
    extend_while_active: { idle: 0s }
    drop_hold: { limit_mib: 4 }
    policies: [ { name: half, type: probabilistic, probabilistic: { sampling_percentage: 50 } } ]
service: { memory: { limit: 24MiB } }
"#;

fn minutes() -> Duration {
    let full = std::env::var_os("TOLLGATE_FULL_TESTS").is_some_and(|value| value == "1");
    Duration::from_secs(if full { 600 } else { 6 })
}

#[tokio::test(flavor = "multi_thread")]
async fn at_three_times_what_the_backend_takes_no_error_is_lost_and_memory_stays_within_its_limit() {
    let sink = Sink::start().await;
    sink.mood(Mood::Slow(SLOW));
    let exporter = format!(
        "exporters: {{ otlp_grpc: {{ endpoint: \"{}\", timeout: 5s, sending_queue: {{ size: 1MiB, num_consumers: 1 }}, batch: {{ max_size: 64KiB, flush_after: 20ms }} }} }}\n",
        sink.url()
    );
    let stage = Stage::start(&(CONFIG.to_owned() + &exporter)).await;
    let watch = stage.watch_books();
    let (stop, accepted, refused) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let errors = Arc::new(Mutex::new(HashSet::new()));

    let meter = std::thread::spawn({
        let (stop, budget) = (Arc::clone(&stop), stage.telemetry.budget.clone());
        move || {
            let mut most = 0;
            while !stop.load(Ordering::Relaxed) {
                most = most.max(budget.used());
                std::thread::sleep(Duration::from_micros(500));
            }
            most
        }
    });
    let load: Vec<_> = (0..SENDERS)
        .map(|_| {
            let (client, stop, errors) = (stage.client.clone(), Arc::clone(&stop), Arc::clone(&errors));
            let (accepted, refused) = (Arc::clone(&accepted), Arc::clone(&refused));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    // Ten traces in two requests: first what they did, then the roots. Half of the failures are in each.
                    let mut failures = Vec::new();
                    let (mut children, mut roots) = (Vec::new(), Vec::new());
                    for _ in 0..10 {
                        let (trace, root, number) = (trace_id(), fresh(), fresh());
                        let note = [("note", text(&"lorem ipsum ".repeat(160)))];
                        let mut child = with(span(trace, number, Some(root), "step"), &note);
                        let mut top = with(span(trace, root, None, "agent"), &note);
                        // The numbers of each trace differ by two at least, and by chance otherwise.
                        if number % ERRORS < 2 {
                            let at = if (number / ERRORS).is_multiple_of(2) { &mut child } else { &mut top };
                            *at = failed(at.clone(), "it broke");
                            failures.push((hex(&trace), hex(&at.span_id)));
                        }
                        children.push(child);
                        roots.push(top);
                    }
                    for body in [request(children), request(roots)] {
                        // What is refused is still the sender's; it comes again until it is taken.
                        loop {
                            match client.export(Signal::Traces, &body).await.code {
                                0 => break,
                                14 => drop(refused.fetch_add(1, Ordering::Relaxed)),
                                code => panic!("{code}"),
                            }
                            if stop.load(Ordering::Relaxed) {
                                return;
                            }
                            tokio::time::sleep(Duration::from_millis(50)).await;
                        }
                        accepted.fetch_add(body.len() as u64, Ordering::Relaxed);
                    }
                    errors.lock().expect("no panic under this lock").extend(failures);
                }
            })
        })
        .collect();

    let end = Instant::now() + minutes();
    let patience = end + PATIENCE;
    while Instant::now() < end || refused.load(Ordering::Relaxed) < 20 {
        assert!(Instant::now() < patience, "nobody is refused: that is no overload");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.store(true, Ordering::Relaxed);
    for task in load {
        task.await.expect("no sender met a wrong answer");
    }
    let most = meter.join().expect("the meter");
    let limit = stage.telemetry.budget.limit();
    assert!(most <= limit + SENDERS as usize * (64 << 10), "{most} bytes of {limit}");

    sink.mood(Mood::Good);
    until_sync("everything is decided", || stage.metric("tollgate_sampling_traces_pending", &[]) == 0.0).await;
    stage.until_sent().await;
    let arrived: HashSet<_> = sink.spans().into_iter().collect();
    let errors = errors.lock().expect("no panic under this lock").clone();
    let missing = errors.iter().filter(|id| !arrived.contains(*id)).count();
    let lost = stage.metric("tollgate_sampling_keep_class_lost_spans_total", &[]);
    assert_eq!((missing, lost), (0, 0.0), "of {} errors", errors.len());
    assert!(errors.len() > 5, "{} errors among {} bytes", errors.len(), accepted.load(Ordering::Relaxed));
    watch.assert_balanced_throughout();
    stage.finish().await;
}
