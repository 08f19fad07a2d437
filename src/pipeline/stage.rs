//! The running stage: started from a config, reloaded by one, drained at the end.

use crate::config::{File, Service};
use crate::forward::Forward;
use crate::live::{Admin, AdminConfig, Answers, Feed, Status};
use crate::otlp::signal::Signal;
use crate::otlp::span::TraceId;
use crate::pipeline::machine;
use crate::pipeline::path::Common;
use crate::pipeline::plan::{LabelRules, Plan};
use crate::pipeline::shard::{Order, Shard, Shared};
use crate::pipeline::trail::Trail;
use crate::receive::{self, Busy, Intake, Opened, Receivers, Tokens};
use crate::redact;
use crate::sample::Decisions;
use crate::spend::{Answer, Book, QueryError};
use crate::telemetry::Telemetry;
use crate::telemetry::metrics::Metrics;
use ahash::RandomState;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Batches that may wait for one shard. What they hold is charged for already, so this bounds latency, not memory.
const SHARD_QUEUE: usize = 256;

/// A sender is told to come back after this long where a shard does not keep up.
const SHARD_PATIENCE: Duration = Duration::from_secs(5);

/// Histograms keep every value until they are rendered or tidied up, also where nobody scrapes them.
const TIDY_EVERY: Duration = Duration::from_secs(5);

/// Part of the memory limit from which new requests are refused. The rest is for what admitted traffic still grows by:
/// added attributes, redacted copies, batches on their way out.
const REFUSE_AT: f64 = 0.95;

/// Decisions that `/api/decisions` can answer about, and for how long.
const MAX_ANSWERS: usize = 200_000;
const ANSWERS_FOR: Duration = Duration::from_secs(3600);

/// The most bytes of kept traces that the page may show, and the part of the memory for traffic that they may take.
const FEED: usize = 16 << 20;
const FEED_SHARE: usize = 16;

/// Why the stage did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A receiver cannot listen.
    #[error(transparent)]
    Receive(#[from] crate::receive::BindError),
    /// An exporter cannot be set up.
    #[error(transparent)]
    Forward(#[from] crate::forward::StartError),
    /// The admin port cannot listen.
    #[error(transparent)]
    Admin(#[from] crate::live::ServeError),
    /// There is no thread for the spend book.
    #[error(transparent)]
    Spend(#[from] crate::spend::StartError),
}

/// A running stage.
#[derive(Debug)]
pub struct Running {
    telemetry: Telemetry,
    status: Status,
    entrance: Entrance,
    forward: Arc<Forward>,
    decisions: Decisions,
    feed: Feed,
    spend: Option<Book>,
    receivers: JoinHandle<()>,
    labels: LabelRules,
    tokens: Tokens,
    admin_tokens: Tokens,
    /// As they were at the start: some of it cannot change without a restart.
    started: (receive::Config, Service),
    stop_receiving: CancellationToken,
    stop_admin: CancellationToken,
    admin: JoinHandle<()>,
    shutdown_timeout: Duration,
    addresses: Addresses,
}

/// Where the stage listens.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// OTLP over gRPC.
    pub grpc: Option<SocketAddr>,
    /// OTLP over HTTP.
    pub http: Option<SocketAddr>,
    /// The admin port.
    pub admin: SocketAddr,
}

impl Running {
    /// Starts every part. `plan` is that of the config.
    ///
    /// # Errors
    /// The first part that cannot be started; the others are not, then.
    pub async fn start(file: &File, plan: Plan) -> Result<Running, StartError> {
        let telemetry = Telemetry::new(machine::memory_limit(file.service.memory.limit));
        plan.warnings.iter().for_each(|warning| warn!(target: "config", "{warning}"));

        let admin = Admin::bind(&file.service.admin.endpoint.to_string()).await?;
        let forward = Arc::new(Forward::start(&file.exporters, &telemetry)?);
        let decisions = Decisions::new(MAX_ANSWERS, ANSWERS_FOR);
        let feed = Feed::new(FEED.min(telemetry.budget.limit() / FEED_SHARE));
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let labels = LabelRules::new(plan.redactor.clone());
        let common = Common { telemetry: telemetry.clone(), enrich: Default::default(), labels: labels.clone(), paths: count };
        let spend = open_spend(file, &labels, &telemetry)?;
        let shared = Arc::new(Shared {
            common,
            forward: Arc::clone(&forward),
            decisions: decisions.clone(),
            feed: feed.clone(),
            spend: spend.clone(),
            trail: Trail::default(),
            redact_meters: redact::Meters::new(&telemetry.metrics),
            lost_to_panics: telemetry.metrics.counter(
                "tollgate_pipeline_lost_spans_total",
                "Items lost inside the stage, by reason; 0 unless there is a bug",
                &[("reason", "panic")],
            ),
        });
        let plan = Arc::new(plan);
        let mut orders = Vec::new();
        for number in 0..count {
            let (sender, receiver) = mpsc::channel(SHARD_QUEUE);
            tokio::spawn(Shard::new(number, Arc::clone(&plan), Arc::clone(&shared)).run(receiver));
            orders.push(sender);
        }
        let entrance = Entrance {
            orders: orders.into(),
            telemetry: telemetry.clone(),
            forward: Arc::clone(&forward),
            seed: Arc::new(RandomState::new()),
            closed: Arc::new(AtomicBool::new(false)),
        };
        let receivers = Receivers::bind(&file.receivers, &telemetry, entrance.clone()).await?;
        let addresses = Addresses { grpc: receivers.grpc_addr(), http: receivers.http_addr(), admin: admin.address() };

        build_info(&telemetry);
        let (stop_receiving, stop_admin, status) = (CancellationToken::new(), CancellationToken::new(), Status::default());
        let answers = Arc::new(StageAnswers {
            telemetry: telemetry.clone(),
            decisions: decisions.clone(),
            feed: feed.clone(),
            spend: spend.clone(),
            addresses,
            shards: count,
        });
        let (metrics, admin_status, stop) = (telemetry.metrics.clone(), status.clone(), stop_admin.clone());
        let admin_config = admin_config(file);
        let admin_tokens = admin_config.tokens.clone();
        let admin = tokio::spawn(async move {
            admin.serve(admin_config, metrics, admin_status, answers, stop.cancelled_owned()).await;
        });
        tokio::spawn(tidy(telemetry.metrics.clone(), stop_admin.clone()));
        let tokens = receivers.tokens();
        let receivers = tokio::spawn(receivers.serve(stop_receiving.clone()));
        status.serving();
        Ok(Running {
            telemetry,
            status,
            entrance,
            forward,
            decisions,
            feed,
            spend,
            receivers,
            labels,
            tokens,
            admin_tokens,
            started: (file.receivers.clone(), file.service.clone()),
            stop_receiving,
            stop_admin,
            admin,
            shutdown_timeout: file.service.shutdown_timeout,
            addresses,
        })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The books, the account of memory and the metrics.
    pub fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// Decisions that are remembered.
    pub fn decisions(&self) -> &Decisions {
        &self.decisions
    }

    /// The entrance behind the receivers, for traffic that does not come over a socket.
    pub fn entrance(&self) -> &Entrance {
        &self.entrance
    }

    /// Goes on by another config: processors and exporters at once, without losing what is held.
    ///
    /// # Errors
    /// Where the new config does not work. Nothing has changed then.
    pub async fn reload(&self, file: &File, plan: Plan) -> Result<(), StartError> {
        let plan = Arc::new(plan);
        plan.warnings.iter().for_each(|warning| warn!(target: "config", "{warning}"));
        self.forward.reload(&file.exporters)?;
        self.labels.replace(plan.redactor.clone());
        self.tokens.replace(&file.receivers.otlp.auth.bearer_tokens);
        self.admin_tokens.replace(&file.service.admin.auth.bearer_tokens);
        let (receivers, service) = &self.started;
        if file.receivers.otlp.protocols != receivers.otlp.protocols {
            warn!(target: "config", "receivers.otlp.protocols has changed: that takes a restart");
        }
        for key in takes_a_restart(service, &file.service) {
            warn!(target: "config", "{key} has changed: that takes a restart");
        }
        // What the page shows is what the rules in force let through.
        self.feed.give_back();
        self.telemetry.budget.set_limit(machine::memory_limit(file.service.memory.limit));
        for orders in self.entrance.orders.iter() {
            // A shard that is gone has nothing to reload.
            let _ = orders.send(Order::Reload(Arc::clone(&plan))).await;
        }
        Ok(())
    }

    /// Stops taking requests, decides and delivers what is held, and stops.
    ///
    /// What cannot be delivered within `service.shutdown_timeout` is counted as failed, with the reason `shutdown`.
    pub async fn shutdown(self) {
        let deadline = Instant::now() + self.shutdown_timeout;
        self.status.draining();
        self.entrance.closed.store(true, Ordering::Release);
        self.stop_receiving.cancel();
        let half = self.shutdown_timeout / 2;
        if tokio::time::timeout(half, self.receivers).await.is_err() {
            warn!(target: "pipeline", "connections were still open after half the shutdown timeout");
        }
        // A part of the time is for delivering what the shards let go.
        let delivery = self.shutdown_timeout / 4;
        let drains = self.entrance.orders.iter().map(|orders| async {
            let (done, wait) = oneshot::channel();
            if orders.send(Order::Drain(done)).await.is_ok() {
                let _ = wait.await;
            }
        });
        let left = deadline.saturating_duration_since(Instant::now()).saturating_sub(delivery);
        if tokio::time::timeout(left, join_all(drains)).await.is_err() {
            let pending = self.telemetry.ledger.books().pending();
            warn!(target: "pipeline", pending, "the shutdown timeout came before everything was decided: what is undecided is lost");
        }
        self.feed.give_back();
        if let Some(spend) = &self.spend {
            let patience = deadline.saturating_duration_since(Instant::now()).max(Duration::from_secs(1));
            if tokio::time::timeout(patience, spend.close()).await.is_err() {
                warn!(target: "spend", "the spend book could not be closed in time: the last seconds of it may be lost");
            }
        }
        self.forward.drain(deadline.saturating_duration_since(Instant::now()).max(delivery)).await;
        let books = self.telemetry.ledger.books();
        // An item that was handed to the destinations may be lost there: "forwarded" alone would read as if all had arrived.
        let undelivered: u64 = books.destinations.iter().map(|d| d.failed + d.quarantined).sum();
        info!(
            target: "pipeline",
            accepted = books.accepted, forwarded = books.forwarded, dropped = books.dropped, lost = books.lost, undelivered, "drained"
        );
        self.stop_admin.cancel();
        let _ = tokio::time::timeout(Duration::from_secs(1), self.admin).await;
    }
}

/// The spend book, unless it is off.
fn open_spend(file: &File, labels: &LabelRules, telemetry: &Telemetry) -> Result<Option<Book>, StartError> {
    let Service { spend, state_directory, .. } = &file.service;
    if let Some(directory) = state_directory {
        let directory = directory.display();
        info!(target: "spend", %directory, "the spend book is kept on disk, and nothing else: spans that are held are lost with the process");
    }
    let open = || Book::open(spend, state_directory.as_deref(), labels.filter(), telemetry);
    Ok(spend.enabled.then(open).transpose()?)
}

fn admin_config(file: &File) -> AdminConfig {
    let admin = &file.service.admin;
    AdminConfig {
        endpoint: admin.endpoint.to_string(),
        tokens: Tokens::new(&admin.auth.bearer_tokens),
        allowed_hosts: admin.allowed_hosts.clone(),
    }
}

/// The keys of `service` that differ from those at the start and are read only there.
fn takes_a_restart(start: &Service, now: &Service) -> impl Iterator<Item = &'static str> {
    let changed = [
        ("service.admin.endpoint", start.admin.endpoint != now.admin.endpoint),
        ("service.admin.allowed_hosts", start.admin.allowed_hosts != now.admin.allowed_hosts),
        ("service.logs", start.logs != now.logs),
        ("service.state_directory", start.state_directory != now.state_directory),
        ("service.spend", start.spend != now.spend),
        ("service.shutdown_timeout", start.shutdown_timeout != now.shutdown_timeout),
    ];
    changed.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key)
}

/// Keeps the buffers of the histograms small until it is told to stop.
async fn tidy(metrics: Metrics, stop: CancellationToken) {
    let mut every = tokio::time::interval(TIDY_EVERY);
    loop {
        tokio::select! {
            _ = every.tick() => metrics.upkeep(),
            () = stop.cancelled() => return,
        }
    }
}

fn build_info(telemetry: &Telemetry) {
    let labels = [("version", env!("CARGO_PKG_VERSION"))];
    telemetry.metrics.gauge("tollgate_build_info", "1, with the version of the program as a label", &labels).set(1.0);
}

/// Where receivers hand over what they took.
#[derive(Clone, Debug)]
pub struct Entrance {
    orders: Arc<[mpsc::Sender<Order>]>,
    telemetry: Telemetry,
    forward: Arc<Forward>,
    seed: Arc<RandomState>,
    closed: Arc<AtomicBool>,
}

impl Entrance {
    fn shard_of(&self, trace: TraceId) -> usize {
        // Trace ids are chosen by senders: a seeded hash keeps one of them from filling one shard on purpose.
        self.seed.hash_one(trace) as usize % self.orders.len()
    }

    async fn hand_over(&self, opened: Opened) -> Result<(), Busy> {
        let items = opened.len() as u64;
        let parts = opened.split(self.orders.len(), |trace| self.shard_of(trace));
        // Places in every shard first: a request is accepted whole or not at all.
        let mut permits = Vec::with_capacity(parts.len());
        for (shard, _) in &parts {
            match tokio::time::timeout(SHARD_PATIENCE, self.orders[*shard].reserve()).await {
                Ok(Ok(permit)) => permits.push(permit),
                Ok(Err(_)) => return Err(Busy { retry_after: Duration::from_secs(1), reason: "shutting_down" }),
                Err(_) => return Err(Busy { retry_after: SHARD_PATIENCE, reason: "shard_busy" }),
            }
        }
        self.telemetry.ledger.accept(items);
        for (permit, (_, received)) in permits.into_iter().zip(parts) {
            permit.send(Order::Batch(received));
        }
        Ok(())
    }
}

impl Intake for Entrance {
    async fn offer(&self, opened: Opened) -> Result<(), Busy> {
        if let Some(busy) = self.pressure() {
            return Err(busy);
        }
        if opened.is_empty() {
            return Ok(());
        }
        if opened.signal() == Signal::Metrics {
            let items = opened.len() as u64;
            self.telemetry.ledger.accept(items);
            self.telemetry.ledger.pass(items);
            if let Some(batch) = redact::pass_metrics(opened.whole(), &self.telemetry.budget) {
                self.forward.enqueue(Arc::new(batch));
            }
            return Ok(());
        }
        self.hand_over(opened).await
    }

    fn pressure(&self) -> Option<Busy> {
        if self.closed.load(Ordering::Acquire) {
            return Some(Busy { retry_after: Duration::from_secs(1), reason: "shutting_down" });
        }
        if let Some(retry_after) = self.forward.pressure() {
            return Some(Busy { retry_after, reason: "queue_full" });
        }
        (self.telemetry.budget.fill() >= REFUSE_AT).then_some(Busy { retry_after: Duration::from_secs(2), reason: "memory" })
    }
}

struct StageAnswers {
    telemetry: Telemetry,
    decisions: Decisions,
    feed: Feed,
    spend: Option<Book>,
    addresses: Addresses,
    shards: usize,
}

impl Answers for StageAnswers {
    fn decision(&self, trace: TraceId) -> Option<Value> {
        let now = Instant::now();
        Some(self.decisions.find(trace, now)?.to_json(trace, now))
    }

    fn feed(&self) -> &Feed {
        &self.feed
    }

    async fn spend(&self, parameters: Vec<(String, String)>) -> Result<Answer, QueryError> {
        match &self.spend {
            Some(book) => book.ask(&parameters).await,
            None => Err(QueryError::Unavailable("there is no spend book: service.spend.enabled is false".to_owned())),
        }
    }

    fn status(&self) -> Value {
        let books = self.telemetry.ledger.books();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "listening": { "grpc": self.addresses.grpc, "http": self.addresses.http, "admin": self.addresses.admin },
            "durability": "memory: what is held is lost if the process is killed",
            "shards": self.shards,
            "memory": { "used_bytes": self.telemetry.budget.used(), "limit_bytes": self.telemetry.budget.limit() },
            "spans": {
                "accepted": books.accepted,
                "pending": books.pending(),
                "forwarded": books.forwarded,
                "dropped": books.dropped,
                "lost": books.lost,
                "unaccounted": self.telemetry.ledger.unaccounted(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_text;
    use std::path::Path;

    #[test]
    fn what_takes_a_restart_is_named() {
        let service = |text: &str| load_text("t.yaml", &format!("service: {{{text}}}")).unwrap_or_else(|p| panic!("{p}")).service;
        let keys = |text: &str| takes_a_restart(&service(""), &service(text)).collect::<Vec<_>>();
        assert_eq!(keys("memory: {limit: 1GiB}, admin: {auth: {bearer_tokens: [a-token]}}"), [""; 0]);
        let all = "admin: {endpoint: '127.0.0.1:9999', allowed_hosts: [a.example]}, logs: {level: debug}, shutdown_timeout: 3s, \
                   state_directory: /tmp/t, spend: {enabled: false}";
        let expected = [
            "service.admin.endpoint",
            "service.admin.allowed_hosts",
            "service.logs",
            "service.state_directory",
            "service.spend",
            "service.shutdown_timeout",
        ];
        assert_eq!(keys(all), expected);
    }

    #[tokio::test]
    async fn a_reload_replaces_the_tokens_of_the_admin_port() {
        let file = |token: &str| {
            let protocols = "receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:0'}}}}";
            let admin =
                format!("service: {{shutdown_timeout: 1s, admin: {{endpoint: '127.0.0.1:0', auth: {{bearer_tokens: [{token}]}}}}}}");
            load_text("t.yaml", &format!("{protocols}\nexporters: {{debug: {{}}}}\n{admin}")).unwrap_or_else(|p| panic!("{p}"))
        };
        let plan = |file: &File| Plan::compile(&file.processors, Path::new("")).unwrap();
        let (old, new) = (file("old-token"), file("new-token"));
        let stage = Running::start(&old, plan(&old)).await.unwrap();
        let url = format!("http://{}/metrics", stage.addresses().admin);
        let status = async |token: &str| reqwest::Client::new().get(&url).bearer_auth(token).send().await.unwrap().status().as_u16();
        assert_eq!((status("old-token").await, status("new-token").await), (200, 401));
        stage.reload(&new, plan(&new)).await.unwrap();
        assert_eq!((status("old-token").await, status("new-token").await), (401, 200));
        stage.shutdown().await;
    }
}
