//! A backend that keeps what it is sent, and misbehaves when told to.
//!
//! One port speaks OTLP over gRPC and over HTTP, so that it can go away and come back as a whole.

use crate::support::wire::{self, Item};
use crate::support::{PATIENCE, until_sync};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use std::collections::HashSet;
use std::convert::Infallible;
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tollgate::otlp::signal::Signal;

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    Grpc,
    Http,
}

/// A request the sink took.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) via: Via,
    pub(crate) signal: Signal,
    /// Decompressed.
    pub(crate) body: Bytes,
    /// `content-encoding` or `grpc-encoding`.
    pub(crate) coding: Option<String>,
    pub(crate) headers: String,
    pub(crate) items: Vec<Item>,
}

/// What the sink answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It takes everything.
    Good,
    /// It answers with these codes and keeps nothing.
    Refuse { grpc: u16, http: u16 },
    /// It takes everything, each request after this while.
    Slow(Duration),
    /// It takes everything but requests that hold this text, which it refuses for good.
    Dislike(&'static str),
}

#[derive(Clone)]
pub(crate) struct Sink(Arc<Inner>);

struct Inner {
    address: SocketAddr,
    state: Mutex<State>,
}

struct State {
    got: Vec<Got>,
    mood: Mood,
    attempts: usize,
    acceptor: Option<JoinHandle<()>>,
}

type Reply = StreamBody<futures_util::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;

impl Sink {
    pub(crate) async fn start() -> Sink {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let state = State { got: Vec::new(), mood: Mood::Good, attempts: 0, acceptor: None };
        let sink = Sink(Arc::new(Inner { address: listener.local_addr().expect("an address"), state: Mutex::new(state) }));
        sink.accept(listener);
        sink
    }

    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.state.lock().expect("no test panics under this lock"))
    }

    fn accept(&self, listener: TcpListener) {
        let sink = self.clone();
        let acceptor = tokio::spawn(async move {
            // Dropped with this task, and every connection with it.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let sink = sink.clone();
                connections.spawn(async move {
                    let service = service_fn(move |request| {
                        let sink = sink.clone();
                        async move { Ok::<_, Infallible>(sink.serve(request).await) }
                    });
                    let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        self.with(|state| state.acceptor = Some(acceptor));
    }

    /// Closes the port and every connection; nobody is there any more.
    pub(crate) async fn go_away(&self) {
        if let Some(acceptor) = self.with(|state| state.acceptor.take()) {
            acceptor.abort();
            let _ = acceptor.await;
        }
    }

    /// Listens again, on the same port.
    pub(crate) async fn come_back(&self) {
        let mut tries = 0;
        let listener = loop {
            match TcpListener::bind(self.0.address).await {
                Ok(listener) => break listener,
                Err(error) => assert!(tries < 100, "the port of the sink is gone: {error}"),
            }
            tries += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        self.accept(listener);
    }

    pub(crate) fn mood(&self, mood: Mood) {
        self.with(|state| state.mood = mood);
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.0.address)
    }

    /// Requests that came, taken or not.
    pub(crate) fn attempts(&self) -> usize {
        self.with(|state| state.attempts)
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.with(|state| state.got.clone())
    }

    /// Every item of a signal that came this way.
    pub(crate) fn items(&self, signal: Signal, via: Via) -> Vec<Item> {
        self.with(|state| state.got.iter().filter(|got| (got.signal, got.via) == (signal, via)).flat_map(|got| got.items.clone()).collect())
    }

    pub(crate) fn count(&self, signal: Signal, via: Via) -> usize {
        self.with(|state| state.got.iter().filter(|got| (got.signal, got.via) == (signal, via)).map(|got| got.items.len()).sum())
    }

    /// Ids (trace, span) of every span, whichever way it came.
    pub(crate) fn spans(&self) -> Vec<(String, String)> {
        let bodies = |got: &Got| got.items.iter().map(|item| wire::ids(&item.body)).collect::<Vec<_>>();
        self.with(|state| state.got.iter().filter(|got| got.signal == Signal::Traces).flat_map(bodies).collect())
    }

    /// Ids of the traces of which anything came.
    pub(crate) fn traces(&self) -> HashSet<String> {
        self.spans().into_iter().map(|(trace, _)| trace).collect()
    }

    /// Waits for at least so many items.
    pub(crate) async fn wait_for(&self, signal: Signal, via: Via, count: usize) {
        let what = format!("{count} {} over {via:?}", signal.items());
        until_sync(&what, || self.count(signal, via) >= count).await;
    }

    async fn serve(&self, request: Request<Incoming>) -> Response<Reply> {
        let (parts, body) = request.into_parts();
        let Ok(Ok(body)) = tokio::time::timeout(PATIENCE, body.collect()).await else { return http_reply(400) };
        let body = body.to_bytes();
        let mood = self.with(|state| {
            state.attempts += 1;
            state.mood
        });
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let via = if header("content-type").is_some_and(|kind| kind.starts_with("application/grpc")) { Via::Grpc } else { Via::Http };
        let refused = match mood {
            Mood::Good => None,
            Mood::Slow(wait) => {
                tokio::time::sleep(wait).await;
                None
            }
            Mood::Refuse { grpc, http } => Some((grpc, http)),
            Mood::Dislike(text) => memchr::memmem::find(&body, text.as_bytes()).map(|_| (3, 400)),
        };
        if let Some((grpc, http)) = refused {
            return if via == Via::Grpc { grpc_reply(grpc) } else { http_reply(http) };
        }
        let path = parts.uri.path();
        let found = Signal::ALL.into_iter().find(|signal| path == signal.grpc_path() || path == format!("/v1/{signal}"));
        let Some(signal) = found else { return http_reply(404) };
        let coding = header(if via == Via::Grpc { "grpc-encoding" } else { "content-encoding" });
        let body = match via {
            Via::Http => inflate(coding.as_deref(), &body),
            Via::Grpc => {
                let length = u32::from_be_bytes(body[1..5].try_into().expect("a length")) as usize;
                assert_eq!(body.len(), 5 + length, "one message a call");
                inflate(coding.as_deref().filter(|_| body[0] == 1), &body[5..])
            }
        };
        let items = wire::items(&body);
        let headers = parts.headers.iter().map(|(name, value)| format!("{name}: {}\n", value.as_bytes().escape_ascii())).collect();
        self.with(|state| state.got.push(Got { via, signal, body: body.into(), coding, headers, items }));
        if via == Via::Grpc { grpc_reply(0) } else { http_reply(200) }
    }
}

fn inflate(coding: Option<&str>, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match coding {
        None | Some("identity") => out.extend_from_slice(body),
        Some("gzip") => drop(flate2::read::MultiGzDecoder::new(body).read_to_end(&mut out).expect("gzip")),
        Some("zstd") => out = zstd::decode_all(body).expect("zstd"),
        Some(other) => panic!("the sink does not know {other}"),
    }
    out
}

fn reply(status: u16, kind: &'static str, frames: Vec<Frame<Bytes>>) -> Response<Reply> {
    let frames: Vec<_> = frames.into_iter().map(Ok).collect();
    let response = Response::builder().status(status).header("content-type", kind);
    response.body(StreamBody::new(futures_util::stream::iter(frames))).expect("a response")
}

fn http_reply(status: u16) -> Response<Reply> {
    reply(status, "application/x-protobuf", Vec::new())
}

fn grpc_reply(code: u16) -> Response<Reply> {
    if code == 0 {
        let trailers = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
        return reply(200, "application/grpc", vec![Frame::data(Bytes::from_static(&[0; 5])), Frame::trailers(trailers)]);
    }
    let mut response = reply(200, "application/grpc", Vec::new());
    response.headers_mut().insert("grpc-status", HeaderValue::from(code));
    response
}
