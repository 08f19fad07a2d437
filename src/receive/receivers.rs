//! The receivers of a config: bound first, served later.
//!
//! Binding is apart from serving so that a port in use is a load error with a name, before anything else has started.

use crate::receive::Intake;
use crate::receive::auth::Tokens;
use crate::receive::config::{self, Config, ConfigError};
use crate::receive::door::Door;
use crate::receive::grpc::GrpcService;
use crate::receive::http::HttpService;
use crate::receive::listener::{Limits, Listener, Serve};
use crate::receive::meters::{Meters, Transport};
use crate::receive::tls::{Tls, TlsError};
use crate::telemetry::Telemetry;
use crate::units::ListenAddress;
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Connections the kernel holds for the accept loop: a burst of senders that start together.
const BACKLOG: i32 = 1024;

/// How long requests in progress may take to finish where nobody says otherwise.
const DRAIN: Duration = Duration::from_secs(10);

/// How long a connection may stand before its first request, over gRPC.
const FIRST: Duration = Duration::from_secs(60);

/// Why the receivers cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The config asks for something that cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Somebody else listens there.
    #[error("receivers.otlp.protocols.{protocol}.endpoint: {address} is in use; stop what listens there, or choose another port")]
    InUse {
        /// `grpc` or `http`.
        protocol: &'static str,
        /// Where.
        address: SocketAddr,
    },
    /// This user may not.
    #[error(
        "receivers.otlp.protocols.{protocol}.endpoint: not permitted to listen on {address}; choose a port above 1023, or grant CAP_NET_BIND_SERVICE"
    )]
    Permission {
        /// `grpc` or `http`.
        protocol: &'static str,
        /// Where.
        address: SocketAddr,
    },
    /// Another reason.
    #[error("receivers.otlp.protocols.{protocol}.endpoint: cannot listen on {address}: {source}")]
    Listen {
        /// `grpc` or `http`.
        protocol: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Certificate, key or authorities are not usable.
    #[error("receivers.otlp.protocols.{protocol}.tls.{source}")]
    Tls {
        /// `grpc` or `http`.
        protocol: &'static str,
        /// Which and why.
        source: TlsError,
    },
}

/// Listeners that are bound and not yet served. Dropping them closes their ports.
#[must_use]
pub struct Receivers<I> {
    grpc: Option<Listener<GrpcService<I>>>,
    http: Option<Listener<HttpService<I>>>,
    tokens: Tokens,
    drain: Duration,
}

impl<I: Intake> Receivers<I> {
    /// Binds what the config turns on; connections wait in the kernel until [`Receivers::serve`].
    ///
    /// # Errors
    /// Where the config cannot work or a port cannot be had; nothing is bound then.
    pub async fn bind(config: &Config, telemetry: &Telemetry, intake: I) -> Result<Receivers<I>, BindError> {
        config.validate()?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let heavy = Arc::new(Semaphore::new(cores.saturating_sub(1).max(1)));
        let tokens = Tokens::new(&config.otlp.auth.bearer_tokens);
        let door = |transport, limit, patience| Door {
            intake: intake.clone(),
            budget: telemetry.budget.clone(),
            meters: Meters::new(&telemetry.metrics, transport),
            tokens: tokens.clone(),
            limit,
            patience,
            heavy: Arc::clone(&heavy),
        };
        let grpc = config.grpc().map(|grpc| {
            let service = GrpcService::new(door(Transport::Grpc, grpc.max_recv_msg_size.as_usize(), grpc.read_timeout));
            listen(service, grpc.endpoint, grpc.tls.as_ref(), &[b"h2"], grpc_limits(&grpc))
        });
        let http = config.http().map(|http| {
            let service = HttpService::new(door(Transport::Http, http.max_request_body_size.as_usize(), http.read_timeout), &http);
            listen(service, http.endpoint, http.tls.as_ref(), &[b"h2", b"http/1.1"], http_limits(&http))
        });
        Ok(Receivers { grpc: grpc.transpose()?, http: http.transpose()?, tokens, drain: DRAIN })
    }

    /// Sets how long requests in progress may take to finish once the receivers are told to stop. Default 10 s.
    pub fn drain_within(self, drain: Duration) -> Receivers<I> {
        Receivers { drain, ..self }
    }

    /// The valid tokens, to be replaced when the config is loaded again.
    pub fn tokens(&self) -> Tokens {
        self.tokens.clone()
    }

    /// Where gRPC listens.
    pub fn grpc_addr(&self) -> Option<SocketAddr> {
        self.grpc.as_ref().map(|listener| listener.address)
    }

    /// Where HTTP listens.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(|listener| listener.address)
    }

    /// Serves until `shutdown`; then accepts nothing new, lets requests in progress finish within the time to drain, and returns.
    ///
    /// A request that takes longer may still be offered to the intake after that, which then says [`Busy`](crate::receive::Busy).
    pub async fn serve(self, shutdown: CancellationToken) {
        let drain = self.drain;
        tokio::join!(run(self.grpc, shutdown.clone(), drain), run(self.http, shutdown, drain));
    }
}

async fn run<S: Serve>(listener: Option<Listener<S>>, shutdown: CancellationToken, drain: Duration) {
    if let Some(listener) = listener {
        listener.run(shutdown, drain).await;
    }
}

fn grpc_limits(grpc: &config::Grpc) -> Limits {
    let keepalive = &grpc.keepalive.server_parameters;
    Limits {
        connections: grpc.max_connections,
        streams: grpc.max_concurrent_streams,
        headers: FIRST,
        first: keepalive.max_connection_idle.unwrap_or(FIRST),
        idle: keepalive.max_connection_idle,
        age: keepalive.max_connection_age,
        age_grace: keepalive.max_connection_age_grace,
        ping: keepalive.time,
        pong: keepalive.timeout,
    }
}

fn http_limits(http: &config::Http) -> Limits {
    let ping = config::ServerParameters::default();
    Limits {
        connections: http.max_connections,
        streams: http.max_concurrent_streams,
        headers: http.read_header_timeout,
        first: http.read_header_timeout,
        idle: Some(http.read_header_timeout),
        age: None,
        age_grace: ping.max_connection_age_grace,
        ping: ping.time,
        pong: ping.timeout,
    }
}

fn listen<S: Serve>(
    service: S,
    endpoint: ListenAddress,
    tls: Option<&config::Tls>,
    protocols: &'static [&'static [u8]],
    limits: Limits,
) -> Result<Listener<S>, BindError> {
    let protocol = service.meters().transport.as_str();
    let tls = tls.map(|settings| Tls::load(settings, protocols)).transpose().map_err(|source| BindError::Tls { protocol, source })?;
    let (socket, address) = bind(protocol, endpoint)?;
    service.meters().tls.set(if tls.is_some() { 1.0 } else { 0.0 });
    if tls.is_none() && !endpoint.is_loopback() {
        tracing::warn!(target: "receive", protocol, %address, "listening without TLS on an address others can reach; set tls, or listen on 127.0.0.1");
    }
    Ok(Listener { socket, address, service: Arc::new(service), limits, tls: tls.map(Arc::new) })
}

fn bind(protocol: &'static str, endpoint: ListenAddress) -> Result<(TcpListener, SocketAddr), BindError> {
    let address = endpoint.socket_addr();
    bind_address(address).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { protocol, address },
        io::ErrorKind::PermissionDenied => BindError::Permission { protocol, address },
        _ => BindError::Listen { protocol, address, source },
    })
}

fn bind_address(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A restart must not wait for the connections of the last run to be forgotten. On Windows the option means something else.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let socket = TcpListener::from_std(socket.into())?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}
