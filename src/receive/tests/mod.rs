//! The receivers as senders meet them: bound to a port, with a fake pipeline behind.

mod drain;
mod grpc;
mod http;
mod limits;
mod tls;

use crate::otlp::signal::Signal;
use crate::otlp::wire::put_bytes;
use crate::receive::{Busy, Config, Intake, Opened, Receivers, Tokens};
use crate::telemetry::Telemetry;
use bytes::Bytes;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A pipeline that remembers what it was offered and says no when told to.
#[derive(Clone, Default)]
pub(super) struct Fake(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    pressure: Option<Busy>,
    refusal: Option<Busy>,
    delay: Duration,
    items: Vec<(Signal, usize)>,
    keep: bool,
    kept: Vec<Opened>,
}

impl Intake for Fake {
    async fn offer(&self, opened: Opened) -> Result<(), Busy> {
        let (delay, refusal) = self.with(|state| (state.delay, state.refusal));
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        match refusal {
            Some(busy) => Err(busy),
            None => {
                self.with(|state| {
                    state.items.push((opened.signal(), opened.len()));
                    if state.keep {
                        state.kept.push(opened);
                    }
                });
                Ok(())
            }
        }
    }

    fn pressure(&self) -> Option<Busy> {
        self.with(|state| state.pressure)
    }
}

impl Fake {
    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.lock().unwrap())
    }

    fn offered(&self) -> Vec<(Signal, usize)> {
        self.with(|state| state.items.clone())
    }
}

const FULL: Busy = Busy { retry_after: Duration::from_secs(4), reason: "queue" };

/// A running stage.
struct Server {
    grpc: SocketAddr,
    http: SocketAddr,
    intake: Fake,
    telemetry: Telemetry,
    tokens: Tokens,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    async fn start() -> Server {
        Server::with("", "", "").await
    }

    /// Options in YAML flow style for each protocol and for `otlp` itself.
    async fn with(grpc: &str, http: &str, otlp: &str) -> Server {
        Server::with_memory(grpc, http, otlp, 512 << 20, Duration::from_secs(10)).await
    }

    async fn with_memory(grpc: &str, http: &str, otlp: &str, memory: usize, drain: Duration) -> Server {
        let yaml = format!(
            "otlp: {{ protocols: {{ grpc: {{ endpoint: '127.0.0.1:0', {grpc} }}, http: {{ endpoint: 'localhost:0', {http} }} }}, {otlp} }}"
        );
        let config: Config = serde_yaml::from_str(&yaml).unwrap();
        let (intake, telemetry) = (Fake::default(), Telemetry::new(memory));
        let receivers = Receivers::bind(&config, &telemetry, intake.clone()).await.unwrap().drain_within(drain);
        let (grpc, http) = (receivers.grpc_addr().unwrap(), receivers.http_addr().unwrap());
        let (tokens, shutdown) = (receivers.tokens(), CancellationToken::new());
        let task = tokio::spawn(receivers.serve(shutdown.clone()));
        Server { grpc, http, intake, telemetry, tokens, shutdown, task }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    fn metrics(&self) -> String {
        self.telemetry.metrics.render()
    }

    /// The value of a series.
    fn metric(&self, series: &str) -> f64 {
        let text = self.metrics();
        let line = text.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
        line.map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    }

    /// Nothing may stay charged once everything is answered.
    async fn assert_no_memory_is_held(&self) {
        for _ in 0..100 {
            if self.telemetry.budget.used() == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} bytes are still charged", self.telemetry.budget.used());
    }

    /// A valid request over each transport passes, which shows that whatever came before did no harm.
    async fn assert_well(&self) {
        let before = self.intake.offered().len();
        let answer = export(self.grpc, &[], &spans(2)).await;
        assert_eq!((answer.code, answer.message.as_str()), (0, ""));
        let answer = reqwest::Client::new()
            .post(self.url("/v1/traces"))
            .header("content-type", "application/x-protobuf")
            .body(spans(3))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(self.intake.offered()[before..], [(Signal::Traces, 2), (Signal::Traces, 3)]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_senders_at_once_are_each_answered_and_counted_once() {
    let server = Arc::new(Server::start().await);
    server.intake.with(|state| state.delay = Duration::from_millis(2));
    let senders = (0..12).map(|sender| {
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            let client = reqwest::Client::new();
            for _ in 0..15 {
                let bad = sender % 3 == 0;
                let body = if bad { vec![0xff; 9] } else { spans(4) };
                let code = if sender % 2 == 0 {
                    export(server.grpc, &[], &body).await.code
                } else {
                    let post = client.post(server.url("/v1/traces")).header("content-type", "application/x-protobuf").body(body);
                    i32::from(post.send().await.unwrap().status().as_u16())
                };
                assert!(matches!((bad, code), (true, 3 | 400) | (false, 0 | 200)), "{bad} {code}");
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
    for transport in ["grpc", "http"] {
        let requests = |outcome| {
            server.metric(&format!(r#"tollgate_receive_requests_total{{transport="{transport}",signal="traces",outcome="{outcome}"}}"#))
        };
        assert_eq!((requests("accepted"), requests("rejected")), (60.0, 30.0));
        assert_eq!(server.metric(&format!(r#"tollgate_receive_spans_total{{transport="{transport}",outcome="accepted"}}"#)), 240.0);
    }
    assert_eq!(server.intake.offered().len(), 120);
    server.assert_no_memory_is_held().await;
}

fn field(number: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_bytes(&mut out, number, content);
    out
}

fn span(span_id: &[u8], name: &[u8]) -> Vec<u8> {
    [field(1, &[7; 16]), field(2, span_id), field(5, name)].concat()
}

fn request(items: &[Vec<u8>]) -> Vec<u8> {
    let scope: Vec<u8> = items.iter().flat_map(|item| field(2, item)).collect();
    field(1, &field(2, &scope))
}

/// A request of `count` small spans.
fn spans(count: u64) -> Vec<u8> {
    request(&(1..=count).map(|id| span(&id.to_be_bytes(), b"chat")).collect::<Vec<_>>())
}

/// A request of one span of about `size` bytes.
fn large(size: usize) -> Vec<u8> {
    request(&[span(&[1; 8], &vec![b'x'; size])])
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::encode_all(plain, 1).unwrap()
}

/// The answer to a gRPC call.
#[derive(Debug)]
struct Answer {
    http: u16,
    code: i32,
    message: String,
    status: tonic::Status,
    headers: ::http::HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn retry_delay(&self) -> Option<Duration> {
        use tonic_types::StatusExt as _;
        self.status.get_details_retry_info().and_then(|info| info.retry_delay)
    }
}

const TRACES: &str = Signal::Traces.grpc_path();

/// One message with its prefix.
fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    [&[flag][..], &(message.len() as u32).to_be_bytes(), message].concat()
}

/// A trace export of one uncompressed message.
async fn export(address: SocketAddr, headers: &[(&str, &str)], message: &[u8]) -> Answer {
    call(address, TRACES, headers, &[framed(0, message)]).await
}

/// A call with exactly these DATA frames.
async fn call(address: SocketAddr, path: &str, headers: &[(&str, &str)], frames: &[Vec<u8>]) -> Answer {
    call_over(TcpStream::connect(address).await.unwrap(), path, headers, frames, true).await
}

async fn call_over<T: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    io: T,
    path: &str,
    headers: &[(&str, &str)],
    frames: &[Vec<u8>],
    end: bool,
) -> Answer {
    let (client, connection) = h2::client::handshake(io).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let mut request = ::http::Request::post(format!("http://localhost{path}"));
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        request = request.header("content-type", "application/grpc");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (response, mut stream) = client.send_request(request.body(()).unwrap(), frames.is_empty() && end).unwrap();
    for (at, frame) in frames.iter().enumerate() {
        // The server may have refused already.
        if stream.send_data(Bytes::copy_from_slice(frame), end && at + 1 == frames.len()).is_err() {
            break;
        }
        // Frames sent at once would be joined on the way.
        if frames.len() > 1 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    let response = tokio::time::timeout(Duration::from_secs(30), response).await.expect("an answer in time").unwrap();
    let (parts, mut body) = response.into_parts();
    let mut bytes = Vec::new();
    while let Some(Ok(data)) = body.data().await {
        let _ = body.flow_control().release_capacity(data.len());
        bytes.extend_from_slice(&data);
    }
    let trailers = body.trailers().await.ok().flatten().unwrap_or_else(|| parts.headers.clone());
    drop(stream);
    connection.abort();
    let status = tonic::Status::from_header_map(&trailers).unwrap_or_else(|| tonic::Status::unknown("no grpc-status"));
    Answer {
        http: parts.status.as_u16(),
        code: status.code() as i32,
        message: status.message().to_owned(),
        status,
        headers: parts.headers,
        body: bytes,
    }
}

/// A connection as tonic's clients use it.
async fn channel(address: SocketAddr) -> tonic::transport::Channel {
    tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}
