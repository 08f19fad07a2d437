//! A sender of OTLP that shows the whole answer.

use crate::corpus::Recorded;
use crate::support::PATIENCE;
use crate::support::wire;
use bytes::Bytes;
use http::HeaderMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tollgate::otlp::signal::Signal;
use tonic_types::StatusExt as _;

/// Sends to one stage.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) web: reqwest::Client,
}

/// The answer to a gRPC call.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) http: u16,
    /// The code of the status; -1 where there is none.
    pub(crate) code: i32,
    pub(crate) message: String,
    pub(crate) retry: Option<Duration>,
    /// The message, without its prefix.
    pub(crate) body: Vec<u8>,
}

/// The answer to a POST.
#[derive(Debug)]
pub(crate) struct Posted {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Posted {
    pub(crate) fn retry(&self) -> Option<u64> {
        self.headers.get("retry-after")?.to_str().ok()?.parse().ok()
    }

    pub(crate) fn content_type(&self) -> &str {
        self.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

pub(crate) fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

pub(crate) fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::encode_all(plain, 1).expect("memory takes it")
}

/// One message with its prefix.
pub(crate) fn framed(flag: u8, message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).expect("gRPC has 32 bits");
    [&[flag][..], &length.to_be_bytes(), message].concat().into()
}

impl Client {
    pub(crate) fn new(grpc: SocketAddr, http: SocketAddr) -> Client {
        Client { grpc, http, web: reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client") }
    }

    /// An export of one plain message.
    pub(crate) async fn export(&self, signal: Signal, message: &[u8]) -> Called {
        self.call(signal.grpc_path(), &[], &framed(0, message)).await
    }

    /// A call whose body is exactly this, on a connection of its own.
    pub(crate) async fn call(&self, path: &str, headers: &[(&str, &str)], body: &Bytes) -> Called {
        tokio::time::timeout(PATIENCE, self.call_now(path, headers, body)).await.expect("an answer in time")
    }

    async fn call_now(&self, path: &str, headers: &[(&str, &str)], body: &Bytes) -> Called {
        let socket = TcpStream::connect(self.grpc).await.expect("the stage listens");
        let (client, connection) = h2::client::handshake(socket).await.expect("HTTP/2");
        let connection = tokio::spawn(connection);
        let mut client = client.ready().await.expect("a stream");
        let mut request = http::Request::post(format!("http://localhost{path}"));
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/grpc");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (response, mut stream) = client.send_request(request.body(()).expect("a request"), body.is_empty()).expect("a stream");
        if !body.is_empty() {
            // The stage may have refused already.
            let _ = stream.send_data(body.clone(), true);
        }
        let (parts, mut answer) = response.await.expect("an answer").into_parts();
        let mut bytes = Vec::new();
        while let Some(Ok(data)) = answer.data().await {
            let _ = answer.flow_control().release_capacity(data.len());
            bytes.extend_from_slice(&data);
        }
        let trailers = answer.trailers().await.ok().flatten().unwrap_or_else(|| parts.headers.clone());
        drop(stream);
        connection.abort();
        let status = tonic::Status::from_header_map(&trailers);
        Called {
            http: parts.status.as_u16(),
            code: status.as_ref().map_or(-1, |status| status.code() as i32),
            message: status.as_ref().map_or_else(String::new, |status| status.message().to_owned()),
            retry: status.and_then(|status| status.get_details_retry_info()).and_then(|info| info.retry_delay),
            body: bytes.get(5..).unwrap_or_default().to_vec(),
        }
    }

    /// A protobuf request over HTTP.
    pub(crate) async fn post(&self, signal: Signal, body: Vec<u8>) -> Posted {
        self.post_to(&format!("/v1/{signal}"), &[("content-type", "application/x-protobuf")], body).await
    }

    pub(crate) async fn post_to(&self, path: &str, headers: &[(&str, &str)], body: impl Into<reqwest::Body>) -> Posted {
        let mut request = self.web.post(format!("http://{}{path}", self.http)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap_or_else(|error| panic!("no answer on {path}: {error:?}"));
        Posted { status: answer.status().as_u16(), headers: answer.headers().clone(), body: answer.bytes().await.expect("a body") }
    }

    /// A recorded request over the transport it was recorded from; what went wrong, if anything.
    pub(crate) async fn send(&self, recorded: &Recorded) -> Result<(), String> {
        let path = recorded.signal.grpc_path();
        let (ok, body, answer) = if recorded.grpc {
            let answer = if recorded.gzip {
                self.call(path, &[("grpc-encoding", "gzip")], &framed(1, &gzip(&recorded.body))).await
            } else {
                self.export(recorded.signal, &recorded.body).await
            };
            (answer.code == 0, answer.body.clone(), format!("{answer:?}"))
        } else {
            let mut headers = vec![("content-type", recorded.content_type.as_str())];
            let body = if recorded.gzip { gzip(&recorded.body) } else { recorded.body.clone() };
            if recorded.gzip {
                headers.push(("content-encoding", "gzip"));
            }
            let path = format!("/v1/{}", recorded.signal);
            let answer = if recorded.chunked {
                let pieces: Vec<_> = body.chunks(700).map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece))).collect();
                self.post_to(&path, &headers, reqwest::Body::wrap_stream(futures_util::stream::iter(pieces))).await
            } else {
                self.post_to(&path, &headers, body).await
            };
            (answer.status == 200, answer.body.to_vec(), format!("{answer:?}"))
        };
        let whole = if recorded.json { body == b"{}" } else { !wire::fields(&body).iter().any(|(number, ..)| *number == 1) };
        if ok && whole { Ok(()) } else { Err(format!("{}: {answer}", recorded.file)) }
    }
}
