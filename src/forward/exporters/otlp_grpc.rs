//! OTLP over gRPC.
//!
//! The message is encoded by us with its gRPC prefix in front and goes to the connection as it is; no codec copies it again.

use crate::forward::batch::Batch;
use crate::forward::config::{
    Batching, Common, Compression, Endpoint, Headers, Problem, RetryOnFailure, SendingQueue, Tls, default_timeout, duration,
};
use crate::forward::destination::lock;
use crate::forward::exporters::compress::{charged, compress};
use crate::forward::exporters::response;
use crate::forward::verdict::{Message, Reason, Verdict, of_bare_http, of_grpc};
use crate::otlp::regroup::{GRPC_PREFIX, finish_grpc};
use crate::otlp::signal::Signal;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use tonic::{Code, Status};
use tower::{Service, ServiceExt};

/// Windows and frames of HTTP/2. Either side's limits bind, so all of them are raised together.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// Settings of `otlp_grpc`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `http://host:4317` or `https://…`; `host:4317` means https unless `tls: { insecure: true }`.
    pub endpoint: Endpoint,
    /// Certificates.
    #[serde(default)]
    pub tls: Tls,
    /// Metadata for every request, such as `authorization`.
    #[serde(default)]
    pub headers: Headers,
    /// Default none.
    #[serde(default)]
    pub compression: Compression,
    /// The longest time for one request, connecting included. Default 10 s.
    #[serde(default = "default_timeout", with = "duration")]
    pub timeout: Duration,
    /// The queue in front of it.
    #[serde(default)]
    pub sending_queue: SendingQueue,
    /// How batches are cut.
    #[serde(default)]
    pub batch: Batching,
    /// When a batch is sent again.
    #[serde(default)]
    pub retry_on_failure: RetryOnFailure,
}

impl Settings {
    pub(super) fn common(&self) -> Common {
        let (sending_queue, batch, retry_on_failure) = (self.sending_queue.clone(), self.batch.clone(), self.retry_on_failure.clone());
        Common { sending_queue, batch, retry_on_failure }
    }

    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = self.tls.problems(&self.endpoint, false);
        if !self.endpoint.path().is_empty() || self.endpoint.query().is_some() {
            problems.push(Problem::new("endpoint", format!("{}: gRPC has no path; write host and port, or use otlp_http", self.endpoint)));
        }
        if self.timeout.is_zero() {
            problems.push(Problem::new("timeout", "no request is answered in 0s; write for example 10s"));
        }
        if problems.is_empty() {
            problems.extend(endpoint(self).err());
        }
        problems
    }
}

/// Sends over one HTTP/2 connection, made when it is needed.
#[derive(Debug)]
pub(crate) struct Exporter {
    endpoint: tonic::transport::Endpoint,
    connection: Mutex<Connection>,
    headers: Headers,
    compression: Compression,
    timeout: Duration,
}

#[derive(Debug, Default)]
struct Connection {
    number: u64,
    channel: Option<Channel>,
}

fn endpoint(settings: &Settings) -> Result<tonic::transport::Endpoint, Problem> {
    let wrong = |key, error: tonic::transport::Error| Problem::new(key, format!("cannot be used: {}", root_cause(&error)));
    let mut endpoint = tonic::transport::Endpoint::from_shared(settings.endpoint.url(&settings.tls, ""))
        .map_err(|error| wrong("endpoint", error))?
        .user_agent(concat!("tollgate/", env!("CARGO_PKG_VERSION")))
        .map_err(|error| wrong("endpoint", error))?
        .connect_timeout(settings.timeout)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .tcp_keepalive(Some(Duration::from_secs(30)))
        .tcp_nodelay(true);
    if settings.endpoint.is_tls(&settings.tls) {
        let mut tls = ClientTlsConfig::new();
        tls = match settings.tls.ca()? {
            Some(pem) => tls.ca_certificate(Certificate::from_pem(pem)),
            None => tls.with_enabled_roots(),
        };
        if let Some((cert, key)) = settings.tls.identity()? {
            tls = tls.identity(Identity::from_pem(cert, key));
        }
        if let Some(name) = &settings.tls.server_name {
            tls = tls.domain_name(name);
        }
        endpoint = endpoint.tls_config(tls).map_err(|error| wrong("tls", error))?;
    }
    Ok(endpoint)
}

/// The innermost cause: the outer ones say no more than that something went wrong.
fn root_cause<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause
}

/// No answer, because of the connection. The channel keeps the time of `grpc-timeout` too, and may be the first to say so.
fn broken(error: &(dyn std::error::Error + 'static)) -> Verdict {
    let cause = root_cause(error);
    let reason = if cause.is::<tonic::TimeoutExpired>() { Reason::Timeout } else { Reason::Connection };
    no_answer(reason, Message::new(&cause.to_string()))
}

fn no_answer(reason: Reason, message: Message) -> Verdict {
    Verdict::Later { reason, hint: None, message }
}

impl Exporter {
    pub(super) fn new(settings: &Settings) -> Result<Exporter, Problem> {
        Ok(Exporter {
            endpoint: endpoint(settings)?,
            connection: Mutex::default(),
            headers: settings.headers.clone(),
            compression: settings.compression,
            timeout: settings.timeout,
        })
    }

    pub(super) async fn send(&self, batch: &Batch, range: Range<usize>) -> Verdict {
        let encoded = match batch.encode(range, GRPC_PREFIX) {
            Ok(encoded) => encoded,
            Err(reason) => return Verdict::Failed(reason),
        };
        let (mut bytes, charge) = match compress(self.compression, encoded, GRPC_PREFIX).await {
            Ok(done) => done,
            Err(reason) => return Verdict::Failed(reason),
        };
        finish_grpc(&mut bytes);
        if let (Some(flag), Some(_)) = (bytes.first_mut(), self.compression.name()) {
            *flag = 1;
        }
        let (number, channel) = self.channel();
        let verdict = match timeout(self.timeout, self.call(channel, batch.signal(), charged(bytes, charge))).await {
            Ok(verdict) => verdict,
            Err(_) => no_answer(Reason::Timeout, Message::default()),
        };
        if matches!(verdict, Verdict::Later { reason: Reason::Timeout, .. }) {
            // The connection may be one whose other end is gone without a word; the next request gets a new one.
            self.forget(number);
        }
        verdict
    }

    async fn call(&self, mut channel: Channel, signal: Signal, body: Bytes) -> Verdict {
        let request = self.request(signal, body);
        let answer = match channel.ready().await {
            Ok(channel) => channel.call(request).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(response) => self.read(signal, response).await,
            Err(error) => broken(&error),
        }
    }

    fn request(&self, signal: Signal, body: Bytes) -> Request<Body> {
        let mut request = Request::new(Body::new(Full::new(body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = http::Uri::from_static(signal.grpc_path());
        *request.version_mut() = http::Version::HTTP_2;
        let headers = request.headers_mut();
        headers.extend(self.headers.map().clone());
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        if let Some(name) = self.compression.name() {
            headers.insert("grpc-encoding", HeaderValue::from_static(name));
        }
        // At most eight digits: so long a timeout is as good as none.
        if let Ok(value) = HeaderValue::from_str(&format!("{}m", self.timeout.as_millis().clamp(1, 99_999_999))) {
            headers.insert("grpc-timeout", value);
        }
        request
    }

    async fn read(&self, signal: Signal, response: Response<Body>) -> Verdict {
        let (head, mut body) = response.into_parts();
        if let Some(status) = Status::from_header_map(&head.headers) {
            return self.judge(signal, &status, &[]);
        }
        if head.status != StatusCode::OK {
            return of_bare_http(signal, head.status);
        }
        let (mut message, mut trailers) = (Vec::new(), None);
        while let Some(frame) = body.frame().await {
            let frame = match frame {
                Ok(frame) => frame,
                Err(error) => return broken(&error),
            };
            match frame.into_data() {
                Ok(data) if message.len() + data.len() <= response::LIMIT => message.extend_from_slice(&data),
                Ok(_) => {}
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
        match trailers.as_ref().and_then(Status::from_header_map) {
            Some(status) => self.judge(signal, &status, message.get(GRPC_PREFIX..).unwrap_or_default()),
            None => of_bare_http(signal, head.status),
        }
    }

    fn judge(&self, signal: Signal, status: &Status, message: &[u8]) -> Verdict {
        if status.code() == Code::Ok {
            let (rejected, message) = response::partial_success(message);
            return Verdict::Delivered { rejected, message: self.scrub(&message) };
        }
        let scrubbed = Status::with_details(status.code(), self.headers.scrub(status.message()), Bytes::copy_from_slice(status.details()));
        of_grpc(signal, &scrubbed, self.compression != Compression::None)
    }

    fn scrub(&self, message: &Message) -> Message {
        Message::new(&self.headers.scrub(message.as_str()))
    }

    fn channel(&self) -> (u64, Channel) {
        let mut connection = lock(&self.connection);
        let channel = connection.channel.get_or_insert_with(|| self.endpoint.connect_lazy()).clone();
        (connection.number, channel)
    }

    /// Requests that still use connection `number` keep it.
    fn forget(&self, number: u64) {
        let mut connection = lock(&self.connection);
        if connection.number == number {
            *connection = Connection { number: number + 1, channel: None };
        }
    }
}

#[cfg(test)]
mod tests;
