//! OTLP over HTTP.

use crate::forward::batch::Batch;
use crate::forward::config::{
    Batching, Common, Compression, Endpoint, Headers, Problem, RetryOnFailure, SendingQueue, Tls, default_timeout, duration,
};
use crate::forward::exporters::compress::{charged, compress};
use crate::forward::exporters::response;
use crate::forward::verdict::{Message, Reason, Verdict, of_http};
use crate::otlp::json;
use crate::otlp::signal::Signal;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Response, Url};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::ops::Range;
use std::time::{Duration, SystemTime};

/// Settings of `otlp_http`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The base URL, to which `/v1/traces`, `/v1/logs` and `/v1/metrics` are added.
    #[serde(default)]
    pub endpoint: Option<Endpoint>,
    /// The whole URL for traces, in place of the base URL.
    #[serde(default)]
    pub traces_endpoint: Option<Endpoint>,
    /// The whole URL for logs, in place of the base URL.
    #[serde(default)]
    pub logs_endpoint: Option<Endpoint>,
    /// The whole URL for metrics, in place of the base URL. A signal without any URL is dropped, counted.
    #[serde(default)]
    pub metrics_endpoint: Option<Endpoint>,
    /// Default proto.
    #[serde(default)]
    pub encoding: Encoding,
    /// Certificates.
    #[serde(default)]
    pub tls: Tls,
    /// Headers for every request, such as `authorization`.
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

/// `encoding` of request bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Binary protobuf.
    #[default]
    Proto,
    /// OTLP/JSON: larger, slower, and fields newer than this build are not in it.
    Json,
}

impl Settings {
    pub(super) fn common(&self) -> Common {
        let (sending_queue, batch, retry_on_failure) = (self.sending_queue.clone(), self.batch.clone(), self.retry_on_failure.clone());
        Common { sending_queue, batch, retry_on_failure }
    }

    pub(super) fn problems(&self) -> Vec<Problem> {
        let endpoints = [&self.endpoint, &self.traces_endpoint, &self.logs_endpoint, &self.metrics_endpoint];
        let any_tls = endpoints.into_iter().flatten().any(|endpoint| endpoint.is_tls(&self.tls));
        let mut problems: Vec<Problem> = Vec::new();
        for problem in endpoints.into_iter().flatten().flat_map(|endpoint| self.tls.problems(endpoint, any_tls)) {
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        if endpoints.into_iter().all(Option::is_none) {
            problems.push(Problem::new("endpoint", "is missing; write for example https://backend.example.org"));
        }
        if self.timeout.is_zero() {
            problems.push(Problem::new("timeout", "no request is answered in 0s; write for example 10s"));
        }
        if self.tls.server_name.as_ref().is_some_and(|name| name.is_empty() || name.parse::<IpAddr>().is_ok()) {
            problems.push(Problem::new("tls.server_name", "must be a host name"));
        }
        if problems.is_empty() {
            problems.extend(Exporter::new(self).err());
        }
        problems
    }

    /// Where `signal` goes. The host of the URL is the name the certificate must have.
    fn url(&self, signal: Signal) -> Result<Option<Target>, Problem> {
        let (key, own, path) = match signal {
            Signal::Traces => ("traces_endpoint", &self.traces_endpoint, "/v1/traces"),
            Signal::Logs => ("logs_endpoint", &self.logs_endpoint, "/v1/logs"),
            Signal::Metrics => ("metrics_endpoint", &self.metrics_endpoint, "/v1/metrics"),
        };
        let (key, endpoint, path) = match (own, &self.endpoint) {
            (Some(own), _) => (key, own, ""),
            (None, Some(base)) => ("endpoint", base, path),
            (None, None) => return Ok(None),
        };
        let wrong = || Problem::new(key, format!("{endpoint} is not a URL; write for example https://backend.example.org"));
        let mut url: Url = endpoint.url(&self.tls, path).parse().map_err(|_| wrong())?;
        let host = endpoint.host().to_owned();
        if let (Some(name), "https") = (&self.tls.server_name, url.scheme()) {
            url.set_host(Some(name)).map_err(|_| Problem::new("tls.server_name", "must be a host name"))?;
        }
        Ok(Some(Target { url, host }))
    }
}

#[derive(Debug)]
struct Target {
    url: Url,
    host: String,
}

/// Sends over pooled connections.
#[derive(Debug)]
pub(crate) struct Exporter {
    /// By signal. Those of one scheme and host share a client, and with it connections.
    places: [Option<(Client, Url)>; 3],
    encoding: Encoding,
    headers: Headers,
    compression: Compression,
    timeout: Duration,
}

impl Exporter {
    pub(super) fn new(settings: &Settings) -> Result<Exporter, Problem> {
        let mut places = [None, None, None];
        let mut clients: Vec<(Target, Client)> = Vec::new();
        for signal in Signal::ALL {
            let Some(target) = settings.url(signal)? else { continue };
            let alike = |other: &Target| other.host == target.host && other.url.scheme() == target.url.scheme();
            let client = match clients.iter().find(|(other, _)| alike(other)) {
                Some((_, client)) => client.clone(),
                None => client(settings, &target)?,
            };
            places[signal as usize] = Some((client.clone(), target.url.clone()));
            clients.push((target, client));
        }
        Ok(Exporter {
            places,
            encoding: settings.encoding,
            headers: settings.headers.clone(),
            compression: settings.compression,
            timeout: settings.timeout,
        })
    }

    pub(super) fn supports(&self, signal: Signal) -> bool {
        self.places[signal as usize].is_some()
    }

    pub(super) async fn send(&self, batch: &Batch, range: Range<usize>) -> Verdict {
        let Some((client, url)) = &self.places[batch.signal() as usize] else { return Verdict::Unsupported };
        let body = match self.body(batch, range).await {
            Ok(body) => body,
            Err(reason) => return Verdict::Failed(reason),
        };
        let request = client.post(url.clone()).headers(self.request_headers()).timeout(self.timeout).body(body);
        match request.send().await {
            Ok(response) => self.read(batch.signal(), response).await,
            Err(error) => unreachable_backend(error),
        }
    }

    async fn body(&self, batch: &Batch, range: Range<usize>) -> Result<Bytes, Reason> {
        let mut encoded = batch.encode(range, 0)?;
        if self.encoding == Encoding::Json {
            let text = json::from_protobuf(batch.signal(), &encoded.bytes).map_err(|_| Reason::Internal)?;
            encoded.replace(text.into_bytes());
        }
        let (bytes, charge) = compress(self.compression, encoded, 0).await?;
        Ok(charged(bytes, charge))
    }

    fn request_headers(&self) -> HeaderMap {
        let mut headers = self.headers.map().clone();
        let content_type = match self.encoding {
            Encoding::Proto => "application/x-protobuf",
            Encoding::Json => "application/json",
        };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some(name) = self.compression.name() {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
        }
        headers
    }

    async fn read(&self, signal: Signal, mut response: Response) -> Verdict {
        let status = response.status();
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let (content_type, retry_after) = (header(header::CONTENT_TYPE).to_ascii_lowercase(), header(header::RETRY_AFTER));
        let mut body = Vec::new();
        while body.len() < response::LIMIT {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                // The status is known, and it is what counts.
                Err(_) => break,
            }
        }
        if status.is_success() {
            let json = content_type.contains("json");
            let (rejected, message) = if json { response::partial_success_json(&body) } else { response::partial_success(&body) };
            return Verdict::Delivered { rejected, message: self.scrub(&message) };
        }
        let message = self.scrub(&response::error_message(&content_type, &body));
        let retry_after = Some(retry_after.as_str()).filter(|text| !text.is_empty());
        of_http(signal, status, retry_after, SystemTime::now(), message)
    }

    fn scrub(&self, message: &Message) -> Message {
        Message::new(&self.headers.scrub(message.as_str()))
    }
}

/// There is no answer: whatever the cause, it may pass. The URL is left out, it may have a token in it.
fn unreachable_backend(error: reqwest::Error) -> Verdict {
    let reason = if error.is_timeout() { Reason::Timeout } else { Reason::Connection };
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Verdict::Later { reason, hint: None, message: Message::new(&cause.to_string()) }
}

/// A client for one scheme and host: with `tls.server_name` a client finds one host only, and without TLS it knows no roots.
fn client(settings: &Settings, target: &Target) -> Result<Client, Problem> {
    let mut builder = Client::builder()
        .user_agent(concat!("tollgate/", env!("CARGO_PKG_VERSION")))
        // Neither data nor credentials follow to where a backend points.
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(settings.timeout)
        .http2_initial_stream_window_size(4 << 20)
        .http2_initial_connection_window_size(16 << 20)
        // A connection whose other end is gone without a word must not be used for ever.
        .http2_keep_alive_interval(Duration::from_secs(20))
        .http2_keep_alive_timeout(Duration::from_secs(10))
        .tcp_nodelay(true);
    let wrong = |key: &'static str| move |error: reqwest::Error| Problem::new(key, format!("cannot be used: {}", error.without_url()));
    let tls = target.url.scheme() == "https";
    if !tls {
        // Nothing to verify, so nothing to load: a container without certificates can still speak plain HTTP.
        builder = builder.tls_certs_only([]);
    } else if let Some(pem) = settings.tls.ca()? {
        let certs = reqwest::Certificate::from_pem_bundle(&pem).map_err(wrong("tls.ca_file"))?;
        builder = builder.tls_certs_only(certs);
    }
    if let Some((mut cert, key)) = settings.tls.identity()?.filter(|_| tls) {
        cert.push(b'\n');
        cert.extend_from_slice(&key);
        builder = builder.identity(reqwest::Identity::from_pem(&cert).map_err(wrong("tls.cert_file"))?);
    }
    if tls && settings.tls.server_name.is_some() {
        builder = builder.dns_resolver(RealHost(target.host.clone()));
    }
    builder.build().map_err(wrong("tls"))
}

/// Finds the host of the endpoint, whatever name the certificate has.
struct RealHost(String);

impl Resolve for RealHost {
    fn resolve(&self, _: Name) -> Resolving {
        let host = self.0.trim_start_matches('[').trim_end_matches(']').to_owned();
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((host, 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests;
