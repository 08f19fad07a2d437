//! OTLP/gRPC: the three `Export` methods and the health service.
//!
//! Exports are unary calls of one message each, so their framing is read here, straight from the HTTP/2 stream: the length a
//! message declares is charged before its first byte is read, its bytes are kept as they came, and every status is
//! one that OTLP senders understand.
//!
//! Source: gRPC over HTTP/2 (PROTOCOL-HTTP2.md), gRPC compression, OTLP specification "OTLP/gRPC".

use crate::otlp::signal::Signal;
use crate::otlp::wire;
use crate::receive::Intake;
use crate::receive::door::{Door, Raw, left_out};
use crate::receive::inflate::Coding;
use crate::receive::listener::Serve;
use crate::receive::refusal::Refusal;
use crate::receive::reply::Reply;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use std::sync::Arc;
use tonic::codegen::Service as _;
use tonic::server::NamedService as _;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

/// Flag and length in front of every message.
const PREFIX: usize = 5;

/// A health request names a service; longer names are no names.
const HEALTH_LIMIT: usize = 4096;

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const CODINGS: HeaderValue = HeaderValue::from_static("identity,gzip,zstd");

/// The gRPC side of the door.
pub(super) struct GrpcService<I> {
    door: Door<I>,
    health: HealthServer<HealthService>,
    reporter: HealthReporter,
}

impl<I: Intake> GrpcService<I> {
    pub(super) fn new(door: Door<I>) -> GrpcService<I> {
        let reporter = HealthReporter::new();
        let health = HealthServer::new(HealthService::from_health_reporter(reporter.clone())).max_decoding_message_size(HEALTH_LIMIT);
        GrpcService { door, health, reporter }
    }

    async fn set_health(&self, status: ServingStatus) {
        self.reporter.set_service_status("", status).await;
        for signal in Signal::ALL {
            self.reporter.set_service_status(service(signal), status).await;
        }
    }

    async fn export(&self, signal: Signal, headers: &HeaderMap, body: Incoming) -> Result<u64, Refusal> {
        let door = &self.door;
        door.check_sender(headers)?;
        let coding = Coding::of(headers, "grpc-encoding")?;
        door.check_pressure()?;
        let mut pieces = door.pieces(body);

        // A frame may end inside the prefix.
        let (mut prefix, mut filled, mut rest) = ([0; PREFIX], 0, Bytes::new());
        while filled < PREFIX {
            if rest.is_empty() {
                rest = pieces.next().await?.ok_or_else(|| malformed("the call has no message"))?;
            }
            for (to, from) in prefix[filled..].iter_mut().zip(rest.split_to(rest.len().min(PREFIX - filled))) {
                *to = from;
                filled += 1;
            }
        }
        let [flag, length @ ..] = prefix;
        let coding = match (flag, coding) {
            (0, _) => Coding::Identity,
            (1, Coding::Identity) => return Err(Refusal::Unnamed),
            (1, coding) => coding,
            _ => return Err(malformed("the message's compression flag is neither 0 nor 1")),
        };
        let length = u32::from_be_bytes(length) as usize;
        let charge = door.charge(length)?;
        let bytes = door.read_exactly(&mut pieces, &mut rest, length).await?;
        // One message a call: whoever sends more believes it arrived.
        while rest.is_empty() && !pieces.is_at_end() {
            let Some(more) = pieces.next().await? else { break };
            rest = more;
        }
        if !rest.is_empty() {
            return Err(malformed("the call has more than one message"));
        }
        door.admit(signal, Raw { bytes, charge, coding, json: false }).await
    }
}

impl<I: Intake> Serve for GrpcService<I> {
    async fn serve(self: Arc<Self>, request: Request<Incoming>) -> Response<Reply> {
        if !is_grpc(request.headers()) {
            let refusal = Refusal::ContentType("this port speaks OTLP/gRPC (application/grpc); OTLP/HTTP has a port of its own");
            self.door.meters.refused(None, &refusal);
            return plain(refusal.http(), refusal.to_string());
        }
        if request.method() != Method::POST {
            self.door.meters.refused(None, &Refusal::Method);
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, Refusal::Method.to_string());
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return response;
        }
        let path = request.uri().path();
        if path
            .strip_prefix('/')
            .and_then(|path| path.strip_prefix(HealthServer::<HealthService>::NAME))
            .is_some_and(|m| m.starts_with('/'))
        {
            return match self.health.clone().call(request).await {
                Ok(response) => response.map(Reply::Tonic),
            };
        }
        let signal = Signal::ALL.into_iter().find(|signal| signal.grpc_path() == path);
        let outcome = match signal {
            Some(signal) => {
                let (parts, body) = request.into_parts();
                self.export(signal, &parts.headers, body).await
            }
            None => Err(Refusal::NotFound),
        };
        match outcome {
            Ok(rejected) => success(rejected),
            Err(refusal) => {
                self.door.meters.refused(signal, &refusal);
                refused(&refusal)
            }
        }
    }

    fn meters(&self) -> &crate::receive::meters::Meters {
        &self.door.meters
    }

    async fn ready(&self) {
        self.set_health(ServingStatus::Serving).await;
    }

    async fn draining(&self) {
        self.set_health(ServingStatus::NotServing).await;
    }
}

/// `opentelemetry.proto.collector.trace.v1.TraceService` and its siblings.
fn service(signal: Signal) -> &'static str {
    signal.grpc_path().trim_start_matches('/').trim_end_matches("/Export")
}

/// `application/grpc` or `application/grpc+proto`; not grpc-web, not JSON inside gRPC.
fn is_grpc(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/grpc") || essence.eq_ignore_ascii_case("application/grpc+proto")
}

fn malformed(problem: &str) -> Refusal {
    Refusal::Malformed(problem.to_owned())
}

/// The message of a successful answer: empty, or a partial success of `rejected` items.
pub(super) fn answer(rejected: u64) -> Vec<u8> {
    let mut message = Vec::new();
    if rejected > 0 {
        // All three signals share the numbers: 1 partial_success { 1 rejected, 2 error_message }.
        let mut partial = vec![1 << 3];
        wire::put_varint(&mut partial, rejected);
        wire::put_bytes(&mut partial, 2, left_out(rejected).as_bytes());
        wire::put_bytes(&mut message, 1, &partial);
    }
    message
}

fn success(rejected: u64) -> Response<Reply> {
    let message = answer(rejected);
    let data = if message.is_empty() {
        Bytes::from_static(&[0; PREFIX])
    } else {
        let mut framed = Vec::with_capacity(PREFIX + message.len());
        framed.push(0);
        framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
        framed.extend_from_slice(&message);
        Bytes::from(framed)
    };
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let mut response = Response::new(Reply::Plain { data: Some(data), trailers: Some(trailers) });
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

fn refused(refusal: &Refusal) -> Response<Reply> {
    let mut response: Response<Reply> = refusal.grpc().into_http();
    if *refusal == Refusal::Encoding {
        response.headers_mut().insert("grpc-accept-encoding", CODINGS);
    }
    response
}

/// An answer for those who do not speak gRPC.
fn plain(status: StatusCode, message: String) -> Response<Reply> {
    let mut response = Response::new(Reply::bytes(message + "\n"));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}
