//! `tollgate run`: the stage, until it is told to stop.

use crate::cli::Failure;
use crate::cli::source::Source;
use crate::cli::watch::Watcher;
use crate::config::File;
use crate::pipeline::{Addresses, Running};
use crate::telemetry::logs;
use std::io::{IsTerminal, stderr};
use std::path::PathBuf;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

/// Flags of `run`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    source: Source,
    /// Reload when the config file or a price list it names changes, as SIGHUP does.
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
        let watcher = watch(args, &loaded.value)?;
        let stage = Running::start(&loaded.value, plan).await.map_err(Failure::running)?;
        let exporters = loaded.value.exporters.0.keys().cloned().collect::<Vec<_>>().join(", ");
        announce(stage.addresses(), &exporters);
        let stage = serve(stage, args, signals, watcher).await?;
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
async fn serve(stage: Running, args: &Args, signals: Signals, mut watcher: Option<Watcher>) -> Result<Running, Failure> {
    let Signals { mut terminate, mut interrupt, mut hangup } = signals;
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
            () = changed(&mut watcher) => {}
        }
        let reloaded = tokio::select! {
            reloaded = reload(&stage, args) => reloaded,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        };
        match reloaded {
            Ok(files) => {
                failed.set(0.0);
                if let Some(watcher) = &mut watcher {
                    watcher.follow(files);
                }
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

/// Goes on by the config as it is now; gives the files it was read from.
async fn reload(stage: &Running, args: &Args) -> Result<Vec<PathBuf>, String> {
    let (loaded, plan) = args.source.plan().map_err(|failure| match failure {
        Failure::Usage(text) | Failure::Running(text) => text,
    })?;
    for warning in &loaded.warnings {
        warn!(target: "config", "{warning}");
    }
    let files = args.source.files(&loaded.value);
    stage.reload(&loaded.value, plan).await.map_err(|e| e.to_string())?;
    Ok(files)
}

fn watch(args: &Args, file: &File) -> Result<Option<Watcher>, Failure> {
    if !args.watch || args.source.config.is_none() {
        return Ok(None);
    }
    Watcher::start(args.source.files(file)).map(Some).map_err(Failure::running)
}

/// When a file that is watched has changed; never without a watcher.
async fn changed(watcher: &mut Option<Watcher>) {
    match watcher {
        Some(watcher) => watcher.changed().await,
        None => std::future::pending().await,
    }
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
