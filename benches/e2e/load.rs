//! The generator and the sink: they share one core, the server has the other.

use crate::raw::{RawService, call, tuned_channel, tuned_server};
use crate::template::Template;
use crate::workload::{Rng, Workload};
use bytes::Bytes;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio_stream::wrappers::TcpListenerStream;

/// Calls in flight; enough to keep one core busy on the other side.
const IN_FLIGHT: usize = 16;
/// Connections they are spread over, as a few SDKs or Collectors would.
const CONNECTIONS: usize = 4;
/// Traces wait a second for stragglers; only after that does output follow input.
const WARM_UP: Duration = Duration::from_secs(3);

pub struct Setup {
    pub server: &'static str,
    pub keep: u32,
    pub workload: Workload,
    pub seconds: u64,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Measured {
    pub cpu_ns_per_span: f64,
    pub spans_per_second: f64,
    /// Bytes at the sink by bytes sent.
    pub output_ratio: f64,
    pub rss_start: f64,
    pub rss_end: f64,
    /// Part of its core that the server used.
    pub busy: f64,
    pub errors: u64,
}

#[derive(Debug, Default)]
struct Counters {
    spans: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    errors: AtomicU64,
    stop: AtomicBool,
}

/// The server, killed when it is no longer needed.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn measure(setup: &Setup) -> Measured {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(run(setup))
}

async fn run(setup: &Setup) -> Measured {
    let counters = Arc::new(Counters::default());
    let sink = sink(Arc::clone(&counters)).await;
    let (server, port) = start(setup, sink);
    let template = Arc::new(Template::new(setup.workload));
    let channels: Vec<_> = (0..CONNECTIONS).map(|_| tuned_channel(port)).collect();
    let senders: Vec<_> = (0..IN_FLIGHT)
        .map(|n| {
            let (counters, template, channel) = (Arc::clone(&counters), Arc::clone(&template), channels[n % CONNECTIONS].clone());
            tokio::spawn(async move {
                let mut rng = Rng(0x9e37_79b9 + n as u64);
                while !counters.stop.load(Ordering::Relaxed) {
                    let body = template.fresh(&mut rng);
                    let size = body.len() as u64;
                    match call(channel.clone(), body).await {
                        Ok(_) => {
                            counters.spans.fetch_add(template.spans, Ordering::Relaxed);
                            counters.sent.fetch_add(size, Ordering::Relaxed);
                        }
                        Err(_) => {
                            counters.errors.fetch_add(1, Ordering::Relaxed);
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                    }
                }
            })
        })
        .collect();
    tokio::time::sleep(WARM_UP).await;
    let process = server.0.id();
    let read =
        || (counters.spans.load(Ordering::Relaxed), counters.sent.load(Ordering::Relaxed), counters.received.load(Ordering::Relaxed));
    let (before, cpu_before, rss_start, started) = (read(), cpu(process), rss(process), Instant::now());
    tokio::time::sleep(Duration::from_secs(setup.seconds)).await;
    let (after, cpu_after, rss_end, took) = (read(), cpu(process), rss(process), started.elapsed());
    counters.stop.store(true, Ordering::Relaxed);
    for sender in senders {
        let _ = sender.await;
    }
    let spans = (after.0 - before.0).max(1) as f64;
    let cpu = (cpu_after - cpu_before).as_secs_f64();
    Measured {
        cpu_ns_per_span: cpu * 1e9 / spans,
        spans_per_second: spans / took.as_secs_f64(),
        output_ratio: (after.2 - before.2) as f64 / (after.1 - before.1).max(1) as f64,
        rss_start,
        rss_end,
        busy: cpu / took.as_secs_f64(),
        errors: counters.errors.load(Ordering::Relaxed),
    }
}

async fn sink(counters: Arc<Counters>) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let service = RawService(move |body: Bytes| {
        counters.received.fetch_add(body.len() as u64, Ordering::Relaxed);
        async { Ok(Bytes::new()) }
    });
    tokio::spawn(tuned_server().add_service(service).serve_with_incoming(TcpListenerStream::new(listener)));
    port
}

/// Starts the server on the first core and moves this process to the second.
fn start(setup: &Setup, sink: u16) -> (Server, u16) {
    let me = std::env::current_exe().expect("a path of this program");
    let mut child = Command::new("taskset")
        .args(["-c", "0"])
        .arg(me)
        .args(["--server", setup.server, &sink.to_string(), &setup.keep.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("taskset (util-linux) starts the server");
    let _ = Command::new("taskset").args(["-a", "-c", "-p", "1", &std::process::id().to_string()]).stdout(Stdio::null()).status();
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("its port");
    (Server(child), line.trim().parse().expect("the server prints its port"))
}

/// On-CPU time of a process, all threads.
fn cpu(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // Behind the name in parentheses; fields 14 and 15 are user and system time in hundredths of a second.
    let ticks: u64 =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2).filter_map(|f| f.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// Resident memory in MiB.
fn rss(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let kib = status.lines().find_map(|l| l.strip_prefix("VmRSS:")?.trim().split(' ').next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}
