//! `tollgate demo`: everything in one process, with traffic, for people who see it for the first time.
//!
//! Nothing is pretended: the traffic goes over real gRPC and HTTP to the stage that `run` starts, and what is shown as the
//! result is what a backend behind it received.

mod show;
mod sink;
mod traffic;

use crate::cli::Failure;
use crate::config::{File, Sources, load_file};
use crate::pipeline::{Plan, Running};
use crate::receive::{self, Receivers};
use crate::telemetry::Telemetry;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message;
use show::Show;
use sink::Sink;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};
use tokio_util::sync::CancellationToken;
use traffic::Story;

/// Plain traces beside the stories; a tenth of them is kept.
const PLAIN: u8 = 40;

/// The stories are decided a second after they are complete. This is for a machine that is busy with something else.
const PATIENCE: Duration = Duration::from_secs(20);

/// Flags of `demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Keep the stage up on the usual ports afterwards, for an application of your own.
    #[arg(long)]
    serve: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    crate::cli::runtime()?.block_on(demo(args.serve))
}

async fn demo(serve: bool) -> Result<(), Failure> {
    let mut show = Show::new();
    let (sink, backend) = start_sink().await?;
    let (file, plan) = config(backend, serve)?;
    let stage = Running::start(&file, plan).await.map_err(Failure::running)?;
    let addresses = stage.addresses();
    let (Some(grpc), Some(http)) = (addresses.grpc, addresses.http) else {
        return Err(Failure::Running("the receivers did not start".to_owned()));
    };
    show.started(addresses, backend);

    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let stories = traffic::stories(u64::try_from(since.as_nanos()).unwrap_or_default(), PLAIN);
    send(&stories, grpc, http).await?;
    show.sent(&stories);
    settle(&stage, &stories, &sink).await;

    show.before_and_after(&stories, &sink);
    show.decisions(&stories, stage.decisions());
    show.spend(&stage.telemetry().metrics.render());
    show.books(&stage.telemetry().ledger.books(), stage.telemetry().ledger.unaccounted());
    if serve {
        show.serving(addresses);
        let _ = tokio::signal::ctrl_c().await;
    } else {
        show.next_steps();
    }
    stage.shutdown().await;
    Ok(())
}

/// A backend that keeps what it gets, on a free port of its own.
async fn start_sink() -> Result<(Sink, SocketAddr), Failure> {
    let sink = Sink::default();
    let config: receive::Config =
        serde_json::from_value(serde_json::json!({ "otlp": { "protocols": { "grpc": { "endpoint": "127.0.0.1:0" } } } }))
            .map_err(Failure::running)?;
    let receivers = Receivers::bind(&config, &Telemetry::new(usize::MAX), sink.clone()).await.map_err(Failure::running)?;
    let address = receivers.grpc_addr().ok_or_else(|| Failure::Running("the backend of the demo did not start".to_owned()))?;
    tokio::spawn(receivers.serve(CancellationToken::new()));
    Ok((sink, address))
}

fn config(backend: SocketAddr, serve: bool) -> Result<(File, Plan), Failure> {
    let ports = if serve { ["4317", "4318", "8888"] } else { ["0", "0", "0"] };
    let [grpc, http, admin] = ports.map(|port| format!("127.0.0.1:{port}"));
    let text = format!(
        "receivers: {{ otlp: {{ protocols: {{ grpc: {{ endpoint: \"{grpc}\" }}, http: {{ endpoint: \"{http}\" }} }} }} }}
processors:
  redaction: {{ entities: {{ CREDIT_CARD: mask }} }}
  tail_sampling:
    policies:
      - {{ name: enterprise, type: string_attribute, string_attribute: {{ key: user.tier, values: [enterprise] }} }}
      - {{ name: agents, type: span_count, span_count: {{ min_spans: 3 }} }}
      - {{ name: baseline, type: probabilistic, probabilistic: {{ sampling_percentage: 10 }} }}
exporters: {{ otlp_grpc/demo: {{ endpoint: \"http://{backend}\", batch: {{ flush_after: 50ms }} }} }}
service: {{ admin: {{ endpoint: \"{admin}\" }} }}
"
    );
    let mut plan = None;
    let loaded = load_file(Sources::new().text("demo", text), |file, findings| match Plan::compile(&file.processors, Path::new("")) {
        Ok(compiled) => plan = Some(compiled),
        Err(errors) => errors.into_iter().for_each(|error| findings.problem(&error.path, error.message)),
    });
    let loaded = loaded.map_err(|problems| Failure::Running(problems.to_string()))?;
    Ok((loaded.value, plan.ok_or_else(|| Failure::Running("the config of the demo does not compile".to_owned()))?))
}

/// Every other story over gRPC, the others over HTTP.
async fn send(stories: &[Story], grpc: SocketAddr, http: SocketAddr) -> Result<(), Failure> {
    let mut client = TraceServiceClient::connect(format!("http://{grpc}")).await.map_err(Failure::running)?;
    let web = crate::cli::local_client(PATIENCE)?;
    for (number, story) in stories.iter().enumerate() {
        for request in &story.requests {
            if number % 2 == 0 {
                client.export(request.clone()).await.map_err(|status| Failure::Running(format!("over gRPC: {}", status.message())))?;
            } else {
                post(&web, http, request).await?;
            }
        }
    }
    Ok(())
}

async fn post(web: &reqwest::Client, http: SocketAddr, request: &ExportTraceServiceRequest) -> Result<(), Failure> {
    let request =
        web.post(format!("http://{http}/v1/traces")).header("content-type", "application/x-protobuf").body(request.encode_to_vec());
    let answer = request.send().await.map_err(Failure::running)?;
    if answer.status().is_success() { Ok(()) } else { Err(Failure::Running(format!("over HTTP: {}", answer.status()))) }
}

/// Waits until every trace is decided and what was kept has arrived.
async fn settle(stage: &Running, stories: &[Story], sink: &Sink) {
    let until = Instant::now() + PATIENCE;
    let done = |story: &Story| {
        let trace = crate::otlp::span::TraceId::new(&story.trace_id);
        let Some(answer) = trace.and_then(|id| stage.decisions().find(id, Instant::now())) else { return false };
        let sent = story.requests.iter().flat_map(sink::spans_of).count();
        answer.decision == crate::sample::Decision::Drop || sink.spans(&story.trace_id).len() >= sent
    };
    while Instant::now() < until && !stories.iter().all(done) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
