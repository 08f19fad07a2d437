//! The stage, in this process.

use crate::support::client::Client;
use crate::support::metrics::{self, Sample};
use crate::support::{PATIENCE, until_sync};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use tollgate::config::{File, Sources, load_file};
use tollgate::pipeline::{Plan, Running};
use tollgate::telemetry::Telemetry;

/// Free ports for everything.
pub(crate) const PORTS: &str = r#"
receivers: { otlp: { protocols: { grpc: { endpoint: "127.0.0.1:0" }, http: { endpoint: "127.0.0.1:0" } } } }
service: { admin: { endpoint: "127.0.0.1:0" } }
"#;

/// Everything passes as it is.
pub(crate) const ALL_OFF: &str =
    "processors: { enrich: { enabled: false }, redaction: { enabled: false }, tail_sampling: { enabled: false } }\n";

pub(crate) struct Stage {
    pub(crate) running: Running,
    pub(crate) client: Client,
    pub(crate) telemetry: Telemetry,
}

/// Config and plan of [`PORTS`] with `config` laid over it.
pub(crate) fn load(config: &str) -> (File, Plan) {
    let sources = Sources::new().text("ports", PORTS).text("test", config);
    let file = load_file(sources, |_, _| {}).unwrap_or_else(|problems| panic!("{problems}")).value;
    let plan = Plan::compile(&file.processors, Path::new("")).unwrap_or_else(|problems| panic!("{problems:?}"));
    (file, plan)
}

impl Stage {
    pub(crate) async fn start(config: &str) -> Stage {
        let (file, plan) = load(config);
        let running = Running::start(&file, plan).await.expect("the stage starts");
        let addresses = running.addresses();
        let client = Client::new(addresses.grpc.expect("gRPC is on"), addresses.http.expect("HTTP is on"));
        Stage { telemetry: running.telemetry().clone(), client, running }
    }

    pub(crate) async fn reload(&self, config: &str) {
        let (file, plan) = load(config);
        self.running.reload(&file, plan).await.expect("the config is taken over");
    }

    /// A page of the admin port: status and text.
    pub(crate) async fn page(&self, path: &str) -> (u16, String) {
        get(&self.client.web, &format!("http://{}{path}", self.running.addresses().admin)).await
    }

    pub(crate) fn samples(&self) -> Vec<Sample> {
        metrics::parse(&self.telemetry.metrics.render())
    }

    /// The sum over all series of a metric that have these labels.
    pub(crate) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        metrics::sum(&self.samples(), name, labels)
    }

    /// Watches the books from a thread of its own until told to stop.
    pub(crate) fn watch_books(&self) -> Watch {
        let (stop, worst) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
        let (stopped, seen, ledger) = (Arc::clone(&stop), Arc::clone(&worst), self.telemetry.ledger.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                seen.fetch_max(ledger.unaccounted().abs(), Ordering::Relaxed);
                std::thread::sleep(std::time::Duration::from_micros(300));
            }
        });
        Watch { stop, worst, thread }
    }

    /// Waits until no destination has anything to send any more.
    pub(crate) async fn until_sent(&self) {
        let ledger = &self.telemetry.ledger;
        until_sync("the queues are empty", || ledger.books().destinations.iter().all(|d| d.waiting == 0)).await;
    }

    /// Stops, and checks what holds at every end: the books balance and no memory stays taken.
    pub(crate) async fn finish(self) {
        self.telemetry.ledger.assert_balanced();
        tokio::time::timeout(PATIENCE, self.running.shutdown()).await.expect("it stops in time");
        self.telemetry.ledger.assert_balanced();
        let books = self.telemetry.ledger.books();
        assert_eq!(books.pending(), 0, "{books:?}");
        let budget = self.telemetry.budget;
        until_sync("all memory is given back", || budget.used() == 0).await;
    }
}

pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    worst: Arc<AtomicI64>,
    thread: std::thread::JoinHandle<()>,
}

impl Watch {
    /// Nobody ever saw an item that nobody answers for.
    pub(crate) fn assert_balanced_throughout(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the watch");
        assert_eq!(self.worst.load(Ordering::Relaxed), 0, "tollgate_unaccounted_spans was not 0 throughout");
    }
}

pub(crate) async fn get(web: &reqwest::Client, url: &str) -> (u16, String) {
    let answer = web.get(url).send().await.unwrap_or_else(|error| panic!("no answer at {url}: {error}"));
    (answer.status().as_u16(), answer.text().await.expect("a text"))
}
