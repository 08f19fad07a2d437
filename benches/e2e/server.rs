//! What is measured, in a process of its own: one of two anchors, or the stage.

use crate::raw::{RawService, call, tuned_channel, tuned_server};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use std::path::Path;
use tokio_stream::wrappers::TcpListenerStream;
use tollgate::config::load_text;
use tollgate::pipeline::{Plan, Running};
use tonic::Status;

/// Serves until killed; prints the port it listens on as its first line.
pub fn run(kind: &str, sink: u16, keep: u32) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        match kind {
            "raw" => anchor(sink, Ok).await,
            "prost" => anchor(sink, decode_and_encode).await,
            _ => stage(sink, keep).await,
        }
    });
}

fn decode_and_encode(body: Bytes) -> Result<Bytes, Status> {
    let request = ExportTraceServiceRequest::decode(body).map_err(|e| Status::invalid_argument(e.to_string()))?;
    Ok(request.encode_to_vec().into())
}

async fn anchor(sink: u16, through: fn(Bytes) -> Result<Bytes, Status>) {
    let channel = tuned_channel(sink);
    let service = RawService(move |body| {
        let channel = channel.clone();
        async move { call(channel, through(body)?).await }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("{}", listener.local_addr().expect("an address").port());
    tuned_server().add_service(service).serve_with_incoming(TcpListenerStream::new(listener)).await.expect("it serves");
}

async fn stage(sink: u16, keep: u32) {
    let config = format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:0'}}}}}}}}\n\
         processors:\n  redaction: {{enabled: false}}\n  tail_sampling: {{drop_hold: {{limit_mib: 0}}, policies: [{{name: keep, type: probabilistic, \
         probabilistic: {{sampling_percentage: {keep}}}}}]}}\n\
         exporters: {{otlp_grpc/sink: {{endpoint: 'http://127.0.0.1:{sink}'}}}}\n\
         service: {{admin: {{endpoint: '127.0.0.1:0'}}, logs: {{level: error}}}}\n"
    );
    let file = load_text("e2e", &config).unwrap_or_else(|problems| panic!("{problems}"));
    let plan = Plan::compile(&file.processors, Path::new("")).expect("a valid config");
    let stage = Running::start(&file, plan).await.expect("it starts");
    println!("{}", stage.addresses().grpc.expect("gRPC is on").port());
    std::future::pending::<()>().await;
}
