//! `tollgate run`: the stage, until it is told to stop.

use crate::cli::Failure;
use crate::cli::source::Source;
use crate::pipeline::{Addresses, Running};
use crate::telemetry::logs;
use notify::RecursiveMode;
use notify_debouncer_full::{DebounceEventResult, new_debouncer};
use std::io::{IsTerminal, stderr};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

/// A config file is read again when it has been quiet for this long: editors write in several steps.
const SETTLE: Duration = Duration::from_millis(500);

/// Flags of `run`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    source: Source,
    /// Reload when the config file changes, as SIGHUP does.
    #[arg(long)]
    watch: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let (loaded, plan) = args.source.plan()?;
    logs::start(&loaded.value.service.logs).map_err(Failure::running)?;
    report_panics();
    for warning in &loaded.warnings {
        warn!(target: "config", "{warning}");
    }
    crate::cli::runtime()?.block_on(async {
        // Before anything listens: whoever sees that it does may signal at once.
        let signals = Signals::listen()?;
        let stage = Running::start(&loaded.value, plan).await.map_err(Failure::running)?;
        let exporters = loaded.value.exporters.0.keys().cloned().collect::<Vec<_>>().join(", ");
        announce(stage.addresses(), &exporters);
        let stage = serve(stage, args, signals).await?;
        stage.shutdown().await;
        Ok(())
    })
}

/// A panic is logged by its place alone: its text may quote what it failed on, and that may be a prompt.
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        error!(target: "pipeline", at, "panicked");
    }));
}

/// The signals that are understood.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> Result<Signals, Failure> {
        let listen = |kind: SignalKind| signal(kind).map_err(Failure::running);
        let (terminate, interrupt, hangup) = (SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup());
        Ok(Signals { terminate: listen(terminate)?, interrupt: listen(interrupt)?, hangup: listen(hangup)? })
    }
}

/// Reloads when told to; gives the stage back when it is time to stop.
async fn serve(stage: Running, args: &Args, signals: Signals) -> Result<Running, Failure> {
    let Signals { mut terminate, mut interrupt, mut hangup } = signals;
    let (changed, mut changes) = mpsc::channel(1);
    // Kept until the end: dropping it stops the watching.
    let _watcher = watch(args, changed)?;
    let failed = stage.telemetry().metrics.gauge(
        "tollgate_config_reload_failed",
        "1 where the last reload of the config failed and the one before it is in force",
        &[],
    );
    failed.set(0.0);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {}
            Some(()) = changes.recv() => {}
        }
        let reloaded = tokio::select! {
            reloaded = reload(&stage, args) => reloaded,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        };
        match reloaded {
            Ok(()) => {
                failed.set(0.0);
                info!(target: "config", "reloaded");
            }
            Err(problem) => {
                failed.set(1.0);
                error!(target: "config", "the config was not reloaded, the one before it stays in force: {problem}");
            }
        }
    }
    info!(target: "pipeline", "stopping: delivering what is held; a second signal stops at once");
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        std::process::exit(1);
    });
    Ok(stage)
}

async fn reload(stage: &Running, args: &Args) -> Result<(), String> {
    let (loaded, plan) = args.source.plan().map_err(|failure| match failure {
        Failure::Usage(text) | Failure::Running(text) => text,
    })?;
    stage.reload(&loaded.value, plan).await.map_err(|e| e.to_string())
}

type Watcher = notify_debouncer_full::Debouncer<notify::RecommendedWatcher, notify_debouncer_full::RecommendedCache>;

/// Watches the folder of the config file: Kubernetes replaces a link in it, editors replace the file.
fn watch(args: &Args, changed: mpsc::Sender<()>) -> Result<Option<Watcher>, Failure> {
    let Some(config) = args.source.config.as_ref().filter(|_| args.watch) else { return Ok(None) };
    let mut last = std::fs::read(config).ok();
    let path = config.clone();
    let on_event = move |_: DebounceEventResult| {
        let now = std::fs::read(&path).ok();
        if now.is_some() && now != last {
            last = now;
            // One reload is waiting already: it will see this change too.
            let _ = changed.try_send(());
        }
    };
    let mut watcher = new_debouncer(SETTLE, None, on_event).map_err(Failure::running)?;
    let folder = config.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(std::path::Path::new("."));
    watcher.watch(folder, RecursiveMode::NonRecursive).map_err(Failure::running)?;
    Ok(Some(watcher))
}

/// Where it listens, and a line to try. On a terminal for a person, else as a log line.
fn announce(addresses: Addresses, exporters: &str) {
    let show = |a: Option<std::net::SocketAddr>| a.map_or_else(|| "off".to_owned(), |a| a.to_string());
    let (grpc, http, admin) = (show(addresses.grpc), show(addresses.http), addresses.admin);
    if !stderr().is_terminal() {
        info!(target: "pipeline", grpc, http, %admin, exporters, version = env!("CARGO_PKG_VERSION"), "listening");
        return;
    }
    eprintln!("tollgate {}", env!("CARGO_PKG_VERSION"));
    eprintln!("  OTLP/gRPC  {grpc}");
    eprintln!("  OTLP/HTTP  {http}");
    eprintln!("  admin      http://{admin}/metrics");
    eprintln!("  sends to   {exporters}");
    if let Some(http) = addresses.http {
        eprintln!("Try it:");
        eprintln!("  curl -i http://{http}/v1/traces -H 'content-type: application/json' -d '{{}}'");
        eprintln!("  OTEL_EXPORTER_OTLP_ENDPOINT=http://{http} your-application");
    }
}
