//! The admin server and its routes.

use crate::live::feed::Feed;
use crate::live::page;
use crate::live::traces::{self, Wanted};
use crate::otlp::span::TraceId;
use crate::receive::Tokens;
use crate::spend::{Answer, QueryError};
use crate::telemetry::metrics::Metrics;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Open connections: scrapers, probes and people. Their memory and file descriptors are not counted with the traffic's.
const CONNECTIONS: usize = 64;

/// The longest wait for the headers of a request, so also the longest that a connection stands idle.
const HEADERS: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 30 });

/// The most bytes of the headers of a request.
const HEADER_BUFFER: usize = 64 << 10;

/// After a failed accept (out of file descriptors, mostly): long enough not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the admin port needs to know of its place.
#[derive(Clone, Debug, Default)]
pub struct AdminConfig {
    /// `host:port` to listen on.
    pub endpoint: String,
    /// The tokens that open it, as at the receivers; none means that none is asked for. Replacing them in a clone replaces them here.
    pub tokens: Tokens,
    /// Names that a request may be addressed to, besides addresses and `localhost`.
    pub allowed_hosts: Vec<String>,
}

/// Why the admin port cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("service.admin.endpoint: cannot listen on \"{endpoint}\": {source}; is another process using the port?")]
pub struct ServeError {
    endpoint: String,
    source: std::io::Error,
}

/// Where the process is in its life.
#[derive(Clone, Debug, Default)]
pub struct Status(Arc<AtomicU8>);

const SERVING: u8 = 1;
const DRAINING: u8 = 2;

impl Status {
    /// Requests are served from now on.
    pub fn serving(&self) {
        self.0.store(SERVING, Ordering::Release);
    }

    /// No new requests; what is held is being delivered.
    pub fn draining(&self) {
        self.0.store(DRAINING, Ordering::Release);
    }

    /// Whether requests are served.
    pub fn is_serving(&self) -> bool {
        self.0.load(Ordering::Acquire) == SERVING
    }

    /// Whether the end has begun.
    pub fn is_draining(&self) -> bool {
        self.0.load(Ordering::Acquire) == DRAINING
    }

    fn as_str(&self) -> &'static str {
        match self.0.load(Ordering::Acquire) {
            SERVING => "serving",
            DRAINING => "draining",
            _ => "starting",
        }
    }
}

/// What the running stage answers.
pub trait Answers: Send + Sync + 'static {
    /// The decision about a trace, if it is remembered.
    fn decision(&self, trace: TraceId) -> Option<Value>;
    /// The state of the stage.
    fn status(&self) -> Value;
    /// The last decided traces.
    fn feed(&self) -> &Feed;
    /// What the spend book says to these parameters.
    fn spend(&self, parameters: Vec<(String, String)>) -> impl Future<Output = Result<Answer, QueryError>> + Send;
}

/// The admin server, bound and not yet serving.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    address: SocketAddr,
}

struct Shared<A> {
    config: AdminConfig,
    metrics: Metrics,
    status: Status,
    answers: Arc<A>,
}

impl Admin {
    /// Opens the port.
    ///
    /// # Errors
    /// Where the address does not resolve or cannot be listened on.
    pub async fn bind(endpoint: &str) -> Result<Admin, ServeError> {
        let error = |source| ServeError { endpoint: endpoint.to_owned(), source };
        let listener = TcpListener::bind(endpoint).await.map_err(error)?;
        let address = listener.local_addr().map_err(error)?;
        Ok(Admin { listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves HTTP/1 until `shutdown` is done, and answers what is in progress then. A connection more than there is room for is closed.
    pub async fn serve<A: Answers>(
        self,
        config: AdminConfig,
        metrics: Metrics,
        status: Status,
        answers: Arc<A>,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) {
        let shared = Arc::new(Shared { config, metrics, status, answers });
        let router = Router::new()
            .route("/metrics", get(metrics_text))
            .route("/api/status", get(status_json))
            .route("/api/decisions/{trace_id}", get(decision_json))
            .route("/api/traces", get(traces_json))
            .route("/api/traces/{trace_id}", get(trace_json))
            .route("/api/spend", get(spend))
            .route_layer(middleware::from_fn_with_state(Arc::clone(&shared), authorise))
            .route("/live", get(|| async { "live\n" }))
            .route("/ready", get(ready))
            .merge(page::routes())
            .layer(middleware::from_fn_with_state(Arc::clone(&shared), guard))
            .with_state(shared);
        let (mut shutdown, graceful) = (pin!(shutdown), GracefulShutdown::new());
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut server = http1::Builder::new();
        server.timer(TokioTimer::new()).header_read_timeout(HEADERS).max_buf_size(HEADER_BUFFER);
        loop {
            let socket = tokio::select! {
                () = shutdown.as_mut() => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((socket, _)) => socket,
                    Err(error) => {
                        tracing::warn!(target: "live", %error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
            let service = TowerToHyperService::new(router.clone());
            let connection = graceful.watch(server.serve_connection(TokioIo::new(socket), service));
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(target: "live", %error, "connection failed");
                }
                drop(place);
            });
        }
        drop(self.listener);
        graceful.shutdown().await;
    }
}

async fn metrics_text<A: Answers>(State(shared): State<Arc<Shared<A>>>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], shared.metrics.render()).into_response()
}

async fn ready<A: Answers>(State(shared): State<Arc<Shared<A>>>) -> Response {
    let status = if shared.status.is_serving() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, format!("{}\n", shared.status.as_str())).into_response()
}

async fn status_json<A: Answers>(State(shared): State<Arc<Shared<A>>>) -> Response {
    let mut status = shared.answers.status();
    if let Some(members) = status.as_object_mut() {
        members.insert("state".into(), shared.status.as_str().into());
    }
    Json(status).into_response()
}

fn error(status: StatusCode, message: &str) -> Response {
    (status, Json(serde_json::json!({ "error": message }))).into_response()
}

const NO_TRACE_ID: &str = "a trace id is 32 hexadecimal digits, not all zero";

async fn traces_json<A: Answers>(
    State(shared): State<Arc<Shared<A>>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let wanted = match wanted {
        Ok(Query(wanted)) => wanted,
        Err(rejected) => return error(StatusCode::BAD_REQUEST, &rejected.body_text()),
    };
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let feed = shared.answers.feed().clone();
    if accepts.contains("text/event-stream") {
        traces::follow(feed, wanted, shared.status.clone())
    } else {
        traces::list(feed, wanted).await
    }
}

async fn trace_json<A: Answers>(State(shared): State<Arc<Shared<A>>>, Path(id): Path<String>) -> Response {
    let Some(id) = TraceId::from_hex(&id) else { return error(StatusCode::BAD_REQUEST, NO_TRACE_ID) };
    match traces::one(shared.answers.feed().clone(), id).await {
        Ok(Some(trace)) => Json(trace).into_response(),
        Ok(None) => {
            error(StatusCode::NOT_FOUND, "nothing of this trace is here: it never came, is still held, or was decided too long ago")
        }
        Err(failed) => failed,
    }
}

async fn decision_json<A: Answers>(State(shared): State<Arc<Shared<A>>>, Path(id): Path<String>) -> Response {
    let Some(trace) = TraceId::from_hex(&id) else { return error(StatusCode::BAD_REQUEST, NO_TRACE_ID) };
    match shared.answers.decision(trace) {
        Some(decision) => Json(decision).into_response(),
        None => error(StatusCode::NOT_FOUND, "no decision about this trace is remembered: it never came, is still held, or was forgotten"),
    }
}

async fn spend<A: Answers>(
    State(shared): State<Arc<Shared<A>>>,
    parameters: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Response {
    let Ok(Query(parameters)) = parameters else {
        return error(StatusCode::BAD_REQUEST, "the query does not read as name=value&name=value");
    };
    let format = parameters.iter().rev().find(|(name, _)| name == "format").map_or("json", |(_, format)| format);
    let csv = match format {
        "json" => false,
        "csv" => true,
        _ => return error(StatusCode::BAD_REQUEST, "format: there are json and csv"),
    };
    match shared.answers.spend(parameters).await {
        Ok(answer) if csv => ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], answer.csv()).into_response(),
        Ok(answer) => Json(answer.json()).into_response(),
        Err(QueryError::Bad(message)) => error(StatusCode::BAD_REQUEST, &message),
        Err(QueryError::Unavailable(message)) => error(StatusCode::SERVICE_UNAVAILABLE, &message),
    }
}

/// Refuses foreign `Host` headers and adds the headers every answer carries.
async fn guard<A: Answers>(State(shared): State<Arc<Shared<A>>>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|h| h.to_str().ok()).or_else(|| request.uri().authority().map(|a| a.as_str()));
    if !host.is_none_or(|host| host_is_ours(host, &shared.config.allowed_hosts)) {
        return (StatusCode::MISDIRECTED_REQUEST, "this host name is not in service.admin.allowed_hosts\n").into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; base-uri 'none'");
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(nothing);
    response
}

/// An address cannot be rebound; a name must be known.
fn host_is_ours(host: &str, allowed: &[String]) -> bool {
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok()
        || allowed.iter().any(|a| a.eq_ignore_ascii_case(name))
}

async fn authorise<A: Answers>(State(shared): State<Arc<Shared<A>>>, request: Request, next: Next) -> Response {
    if !shared.config.tokens.admit(request.headers()) {
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], "a bearer token is required\n").into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Secret;
    use serde_json::json;

    struct Fixed(Feed);

    impl Answers for Fixed {
        fn decision(&self, trace: TraceId) -> Option<Value> {
            (trace.bytes()[0] == 1).then(|| json!({ "decision": "keep" }))
        }

        fn status(&self) -> Value {
            json!({ "shards": 2 })
        }

        fn feed(&self) -> &Feed {
            &self.0
        }

        async fn spend(&self, parameters: Vec<(String, String)>) -> Result<Answer, QueryError> {
            let query = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ");
            Err(if query.is_empty() { QueryError::Unavailable("closed".into()) } else { QueryError::Bad(query) })
        }
    }

    async fn start(config: AdminConfig) -> (String, Status) {
        let admin = Admin::bind("127.0.0.1:0").await.unwrap();
        let (address, status) = (admin.address(), Status::default());
        tokio::spawn(admin.serve(config, Metrics::new(), status.clone(), Arc::new(Fixed(Feed::new(1 << 20))), std::future::pending()));
        (format!("http://{address}"), status)
    }

    async fn get(url: String) -> (u16, String) {
        let answer = reqwest::get(url).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    #[tokio::test]
    async fn it_is_ready_only_while_it_serves() {
        let (url, status) = start(AdminConfig::default()).await;
        assert_eq!(get(format!("{url}/ready")).await.0, 503);
        status.serving();
        assert_eq!(get(format!("{url}/ready")).await, (200, "serving\n".into()));
        status.draining();
        assert_eq!(get(format!("{url}/ready")).await.0, 503);
        assert_eq!(get(format!("{url}/live")).await.0, 200);
    }

    #[tokio::test]
    async fn a_decision_is_found_unknown_or_no_trace_id() {
        let (url, _) = start(AdminConfig::default()).await;
        assert_eq!(get(format!("{url}/api/decisions/01{}", "0".repeat(30))).await, (200, r#"{"decision":"keep"}"#.into()));
        assert_eq!(get(format!("{url}/api/decisions/02{}", "0".repeat(30))).await.0, 404);
        assert_eq!(get(format!("{url}/api/decisions/xyz")).await.0, 400);
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_question_about_spend_is_said() {
        let (url, _) = start(AdminConfig::default()).await;
        let ask = async |query: &str| get(format!("{url}/api/spend{query}")).await;
        assert_eq!(ask("?model=a%2Cb&model=%22c%22").await, (400, r#"{"error":"model=a,b model=\"c\""}"#.into()));
        assert_eq!(ask("").await, (503, r#"{"error":"closed"}"#.into()));
        assert_eq!(ask("?format=xml").await, (400, r#"{"error":"format: there are json and csv"}"#.into()));
    }

    #[tokio::test]
    async fn a_token_opens_everything_but_health_needs_none() {
        let tokens = Tokens::new(&[Secret::new(" right\n")]);
        let config = AdminConfig { tokens: tokens.clone(), ..AdminConfig::default() };
        let (url, _) = start(config).await;
        let client = reqwest::Client::new();
        let status = async |authorization: &str| {
            client.get(format!("{url}/metrics")).header("authorization", authorization).send().await.unwrap().status().as_u16()
        };
        // As at the receivers: the scheme in any case, a token without the line end of its file.
        for (authorization, expected) in [("Bearer right", 200), ("bearer  right", 200), ("Bearer wrong", 401), ("Basic right", 401)] {
            assert_eq!(status(authorization).await, expected, "{authorization}");
        }
        tokens.replace(&[Secret::new("next")]);
        assert_eq!((status("Bearer right").await, status("Bearer next").await), (401, 200));
        assert_eq!(get(format!("{url}/api/status")).await.0, 401);
        assert_eq!(get(format!("{url}/live")).await.0, 200);
    }

    #[tokio::test]
    async fn connections_have_a_limit_and_an_end_without_headers() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (url, _) = start(AdminConfig::default()).await;
        let address = url.strip_prefix("http://").unwrap();
        let mut open = Vec::new();
        for number in 0..CONNECTIONS {
            let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
            // Some say nothing at all, some half of it.
            if number % 2 == 0 {
                socket.write_all(b"GET /live HTTP/1.1\r\n").await.unwrap();
            }
            open.push(socket);
        }
        assert!(reqwest::get(format!("{url}/live")).await.is_err());
        for mut socket in open {
            let end = tokio::time::timeout(Duration::from_secs(10), socket.read_to_end(&mut Vec::new())).await;
            assert!(end.is_ok(), "still open");
        }
        assert_eq!(get(format!("{url}/live")).await.0, 200);
    }

    #[tokio::test]
    async fn a_name_that_is_not_ours_is_refused() {
        let config = AdminConfig { allowed_hosts: vec!["tollgate.internal".into()], ..AdminConfig::default() };
        let (url, _) = start(config).await;
        let client = reqwest::Client::new();
        for (host, status) in [("evil.example", 421), ("tollgate.internal:8888", 200), ("LOCALHOST", 200), ("[::1]:8888", 200)] {
            let answer = client.get(format!("{url}/live")).header("host", host).send().await.unwrap();
            assert_eq!(answer.status().as_u16(), status, "{host}");
        }
    }
}
