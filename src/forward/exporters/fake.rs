//! A backend on a loopback port that records requests and answers as it is told.

use crate::forward::destination::lock;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub(super) struct Fake {
    pub(super) port: u16,
    requests: Arc<Mutex<Vec<Recorded>>>,
}

#[derive(Clone, Debug)]
pub(super) struct Recorded {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    pub(super) trailers: HeaderMap,
    pub(super) after: Duration,
}

impl Answer {
    pub(super) fn http(status: u16) -> Answer {
        Answer { status, ..Answer::default() }
    }

    pub(super) fn header(mut self, name: &'static str, value: &str) -> Answer {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(super) fn body(mut self, body: Vec<u8>) -> Answer {
        self.body = body;
        self
    }

    /// `grpc-status: 0` with `message` as the answer.
    pub(super) fn grpc_ok(message: &[u8]) -> Answer {
        let mut body = vec![0; 5];
        body.extend_from_slice(message);
        crate::otlp::regroup::finish_grpc(&mut body);
        let trailers = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
        Answer { status: 200, body, trailers, ..Answer::default() }.header("content-type", "application/grpc")
    }

    /// A gRPC error, in the headers alone or behind them.
    pub(super) fn grpc_error(status: &tonic::Status, in_trailers: bool) -> Answer {
        let mut answer = Answer::http(200).header("content-type", "application/grpc");
        let mut map = HeaderMap::new();
        status.add_header(&mut map).unwrap();
        if in_trailers {
            answer.trailers = map;
        } else {
            let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
            let names = ["grpc-status", "grpc-message", "grpc-status-details-bin"];
            answer.headers.extend(names.into_iter().filter_map(|name| map.get(name).map(|value| (name, text(value)))));
        }
        answer
    }
}

/// A certificate for `localhost`, and its key, in PEM.
pub(super) fn certificate(name: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// TLS with that certificate; `clients` must show a certificate if it is given.
pub(super) fn acceptor((cert, key): &(String, String), clients: Option<&str>) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let parse = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        Some(pem) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(parse(pem)).unwrap();
            builder.with_client_cert_verifier(WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap())
        }
        None => builder.with_no_client_auth(),
    };
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let mut config = builder.with_single_cert(vec![parse(cert)], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

impl Fake {
    pub(super) async fn start(answer: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Fake {
        Fake::start_with(None, answer).await
    }

    pub(super) async fn start_with(tls: Option<TlsAcceptor>, answer: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::<Mutex<Vec<Recorded>>>::default();
        let (record, answer) = (Arc::clone(&requests), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (record, answer, tls) = (Arc::clone(&record), Arc::clone(&answer), tls.clone());
                tokio::spawn(async move {
                    let service = service_fn(move |request| respond(request, Arc::clone(&record), Arc::clone(&answer)));
                    let mut server = auto::Builder::new(TokioExecutor::new());
                    server.http2().max_frame_size(1 << 20).initial_stream_window_size(4 << 20);
                    match tls {
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                let _ = server.serve_connection(TokioIo::new(stream), service).await;
                            }
                        }
                        None => drop(server.serve_connection(TokioIo::new(stream), service).await),
                    }
                });
            }
        });
        Fake { port, requests }
    }

    pub(super) fn requests(&self) -> Vec<Recorded> {
        lock(&self.requests).clone()
    }
}

async fn respond(
    request: Request<Incoming>,
    record: Arc<Mutex<Vec<Recorded>>>,
    answer: Arc<impl Fn(usize) -> Answer>,
) -> Result<Response<http_body_util::combinators::BoxBody<Bytes, Infallible>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let number = {
        let mut record = lock(&record);
        record.push(Recorded { path: head.uri.path().to_owned(), headers: head.headers, body });
        record.len() - 1
    };
    let answer = answer(number);
    tokio::time::sleep(answer.after).await;
    let mut response = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(*name, value);
    }
    let body = Full::new(Bytes::from(answer.body));
    let body = match answer.trailers.is_empty() {
        true => body.boxed(),
        false => body.with_trailers(async move { Some(Ok(answer.trailers)) }).boxed(),
    };
    Ok(response.body(body).unwrap())
}
