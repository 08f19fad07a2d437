//! One port: accept, secure, serve, drain.
//!
//! The library servers have no limit on connections and none on the time before the first byte, so the loop is written
//! here, once for both transports. Every connection has a place under the limit, an end, and a way to be told to finish.

use crate::receive::meters::Meters;
use crate::receive::reply::Reply;
use crate::receive::tls::Tls;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

/// A client that has not finished its TLS handshake by then never will.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a connection that was told to finish may stand without a request: time for an answer to leave and for a
/// last request that crossed the notice.
const QUIET: Duration = Duration::from_secs(1);

/// How long an idle connection may take to close.
const IDLE_GRACE: Duration = Duration::from_secs(5);

/// After a failed accept (out of file descriptors, mostly): long enough not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// HTTP/2 frames, windows per stream and per connection: measured together, each alone shows no gain. A frame is buffered
/// whole before anything can be charged for it, so it is also the most that a connection can occupy unaccounted.
const FRAME: u32 = 1 << 20;
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// Headers of one request: 100 fields, 64 KiB over HTTP/1 (which is also its read buffer), 16 KiB over HTTP/2.
const MAX_HEADERS: usize = 100;
const HEADER_BUFFER: usize = 64 << 10;
const HEADER_LIST: u32 = 16 << 10;

/// Streams a client may open and reset before the connection is cut (the "rapid reset" attack), and those that this side may
/// reset because of a client's errors.
const PENDING_RESETS: usize = 20;
const LOCAL_RESETS: usize = 1024;

/// What answers the requests of a listener.
pub(super) trait Serve: Send + Sync + 'static {
    /// Answers one request.
    fn serve(self: Arc<Self>, request: Request<Incoming>) -> impl Future<Output = Response<Reply>> + Send;

    /// Where to count.
    fn meters(&self) -> &Meters;

    /// Requests are served from now on.
    fn ready(&self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// No further connections are accepted from now on.
    fn draining(&self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// The limits of a listener's connections.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) connections: usize,
    pub(super) streams: u32,
    /// The longest wait for the headers of a request, over HTTP/1.
    pub(super) headers: Duration,
    /// The longest wait for the first request of a connection.
    pub(super) first: Duration,
    /// The longest wait for further ones.
    pub(super) idle: Option<Duration>,
    /// The age at which a connection is told to finish, give or take a tenth.
    pub(super) age: Option<Duration>,
    /// How long it may take to.
    pub(super) age_grace: Duration,
    /// HTTP/2 pings: how often, and how long an answer may take.
    pub(super) ping: Duration,
    pub(super) pong: Duration,
}

/// A bound port and what answers on it.
pub(super) struct Listener<S> {
    pub(super) socket: TcpListener,
    pub(super) address: SocketAddr,
    pub(super) service: Arc<S>,
    pub(super) limits: Limits,
    pub(super) tls: Option<Arc<Tls>>,
}

impl<S: Serve> Listener<S> {
    /// Serves until `shutdown`, then lets what is in progress finish for at most `drain`.
    pub(super) async fn run(self, shutdown: CancellationToken, drain: Duration) {
        let Listener { socket, address, service, limits, tls } = self;
        let connection = Arc::new(Connection { service, builder: builder(&limits), limits, shutdown: shutdown.clone() });
        let meters = connection.service.meters();
        let mut open = JoinSet::new();
        // The first tick comes at once; without TLS there is nothing to look at.
        let mut look = interval(tls.as_ref().map_or(Duration::from_secs(3600), |tls| tls.reload_interval()));
        connection.service.ready().await;
        tracing::info!(target: "receive", transport = meters.transport.as_str(), %address, tls = tls.is_some(), "listening");
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(ended) = open.join_next() => report(ended),
                _ = look.tick() => {
                    if let Some(tls) = tls.clone() {
                        tokio::task::spawn_blocking(move || tls.reload());
                    }
                }
                accepted = socket.accept() => match accepted {
                    Ok((socket, _)) => {
                        while let Some(ended) = open.try_join_next() {
                            report(ended);
                        }
                        if open.len() >= connection.limits.connections {
                            meters.connection_refused("connections");
                            continue;
                        }
                        let tls = tls.as_ref().map(|tls| tls.acceptor());
                        open.spawn(Arc::clone(&connection).accept(socket, tls));
                    }
                    Err(error) => {
                        tracing::warn!(target: "receive", %error, "cannot accept a connection");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(socket);
        connection.service.draining().await;
        let deadline = Instant::now() + drain;
        while let Ok(Some(ended)) = timeout_at(deadline, open.join_next()).await {
            report(ended);
        }
        if !open.is_empty() {
            tracing::warn!(target: "receive", connections = open.len(), "connections cut: their requests took longer than the time to drain");
            open.shutdown().await;
        }
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if ended.is_err_and(|error| error.is_panic()) {
        tracing::error!(target: "receive", "a connection panicked");
    }
}

fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.headers).max_headers(MAX_HEADERS).max_buf_size(HEADER_BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(HEADER_LIST)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(LOCAL_RESETS)
        .keep_alive_interval(limits.ping)
        .keep_alive_timeout(limits.pong);
    builder
}

/// What the connections of a listener share.
struct Connection<S> {
    service: Arc<S>,
    builder: Builder<TokioExecutor>,
    limits: Limits,
    shutdown: CancellationToken,
}

impl<S: Serve> Connection<S> {
    async fn accept(self: Arc<Self>, socket: TcpStream, tls: Option<tokio_rustls::TlsAcceptor>) {
        let meters = self.service.meters();
        let _open = Open::new(meters);
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(target: "receive", %error, "cannot set TCP_NODELAY");
        }
        match tls {
            None => self.drive(socket).await,
            Some(tls) => match self.shutdown.run_until_cancelled(timeout(HANDSHAKE, tls.accept(socket))).await {
                None => {}
                Some(Ok(Ok(stream))) => self.drive(stream).await,
                Some(Ok(Err(error))) => {
                    tracing::debug!(target: "receive", %error, "TLS handshake failed");
                    meters.connection_refused("tls");
                }
                Some(Err(_)) => meters.connection_refused("tls"),
            },
        }
    }

    /// Serves a connection to its end, whichever comes first of those it has.
    async fn drive(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let activity = Activity::default();
        let service = service_fn(|request| {
            let (service, busy) = (Arc::clone(&self.service), activity.begin());
            async move {
                let response = service.serve(request).await;
                drop(busy);
                Ok::<_, Infallible>(response)
            }
        });
        let mut connection = pin!(self.builder.serve_connection(TokioIo::new(stream), service));
        let start = Instant::now();
        // Spread, so that connections opened together are not all closed together.
        let old = self.limits.age.map(|age| start + age.mul_f64(0.9 + 0.2 * rand::random::<f64>()));
        let mut closing: Option<Closing> = None;
        let mut alarm = pin!(sleep_until(start));
        loop {
            tokio::select! {
                result = connection.as_mut() => {
                    if let Err(error) = result {
                        tracing::debug!(target: "receive", %error, "connection failed");
                    }
                    return;
                }
                // The listener's own deadline ends what takes too long.
                () = self.shutdown.cancelled(), if closing.is_none() => {
                    connection.as_mut().graceful_shutdown();
                    closing = Some(Closing::new(None));
                    alarm.as_mut().reset(Instant::now() + QUIET);
                }
                () = alarm.as_mut() => {
                    let now = Instant::now();
                    let next = match &closing {
                        Some(closing) => closing.next(now, activity.idle_since()),
                        None => match self.expired(now, old, &activity) {
                            Ok(next) => Some(next),
                            Err(grace) => {
                                connection.as_mut().graceful_shutdown();
                                closing = Some(Closing::new(Some(grace)));
                                Some(now + QUIET)
                            }
                        },
                    };
                    match next {
                        Some(next) => alarm.as_mut().reset(next),
                        None => return,
                    }
                }
            }
        }
    }

    /// When to look again, or how long the connection may take to finish because its time is over.
    fn expired(&self, now: Instant, old: Option<Instant>, activity: &Activity) -> Result<Instant, Duration> {
        if old.is_some_and(|old| now >= old) {
            return Err(self.limits.age_grace);
        }
        let patience = if activity.has_served() { self.limits.idle } else { Some(self.limits.first) };
        let idle_until = match (patience, activity.idle_since()) {
            (Some(patience), Some(since)) => Some(since + patience),
            // A request in progress has deadlines of its own; look again when it may have been idle for long enough.
            (Some(patience), None) => Some(now + patience),
            (None, _) => None,
        };
        if idle_until.is_some_and(|until| now >= until) {
            return Err(IDLE_GRACE);
        }
        Ok([old, idle_until].into_iter().flatten().min().unwrap_or(now + Duration::from_secs(3600)))
    }
}

/// A connection that was told to finish.
struct Closing {
    since: Instant,
    until: Option<Instant>,
}

impl Closing {
    fn new(grace: Option<Duration>) -> Closing {
        let since = Instant::now();
        Closing { since, until: grace.map(|grace| since + grace) }
    }

    /// When to look again; `None` when it is over. A stream that never ends (a watched health status) does not hold it up.
    fn next(&self, now: Instant, idle_since: Option<Instant>) -> Option<Instant> {
        let quiet = idle_since.map(|since| since.max(self.since) + QUIET);
        if [self.until, quiet].into_iter().flatten().any(|end| now >= end) {
            return None;
        }
        Some(quiet.unwrap_or(now + QUIET).min(self.until.unwrap_or(now + QUIET)))
    }
}

/// Requests of one connection.
#[derive(Clone, Debug, Default)]
struct Activity(Arc<Mutex<Requests>>);

#[derive(Debug)]
struct Requests {
    in_progress: usize,
    served: bool,
    idle_since: Instant,
}

impl Default for Requests {
    fn default() -> Requests {
        Requests { in_progress: 0, served: false, idle_since: Instant::now() }
    }
}

/// A request in progress.
struct Busy(Activity);

impl Activity {
    fn begin(&self) -> Busy {
        let mut requests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        requests.in_progress += 1;
        requests.served = true;
        Busy(self.clone())
    }

    fn has_served(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).served
    }

    /// Since when there is no request in progress.
    fn idle_since(&self) -> Option<Instant> {
        let requests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (requests.in_progress == 0).then_some(requests.idle_since)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut requests = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        requests.in_progress = requests.in_progress.saturating_sub(1);
        requests.idle_since = Instant::now();
    }
}

/// An open connection, counted.
struct Open<'a>(&'a Meters);

impl<'a> Open<'a> {
    fn new(meters: &'a Meters) -> Open<'a> {
        meters.connections.increment(1);
        Open(meters)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.connections.decrement(1);
    }
}
