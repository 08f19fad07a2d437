//! `receivers:` in the config: where to listen, how much to take, from whom.
//!
//! The names are the Collector's wherever it has the option. Both protocols listen on loopback by default: whoever wants
//! traffic from elsewhere writes the address down.

use crate::otlp::signal::Signal;
use crate::units::{ByteSize, ListenAddress, Secret, duration};
use serde::{Deserialize, Deserializer};
use std::time::Duration;

/// Positions in a request are 32 bits wide.
const LARGEST_REQUEST: usize = u32::MAX as usize;

/// The `receivers:` section.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The OTLP receiver, the only kind there is.
    #[serde(deserialize_with = "null_is_default")]
    pub otlp: Otlp,
}

/// `receivers.otlp`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Otlp {
    /// Which protocols listen. Default: both. Listing one turns only that one on, as in the Collector.
    #[serde(deserialize_with = "null_is_default")]
    pub protocols: Protocols,
    /// Who may send. Default: anyone who reaches the port.
    #[serde(deserialize_with = "null_is_default")]
    pub auth: Auth,
    /// When a request is acknowledged. Default: once it is accepted into memory.
    pub ack: Ack,
}

/// `receivers.otlp.protocols`. A key without a value is that protocol with its defaults.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Protocols {
    /// OTLP/gRPC.
    #[serde(deserialize_with = "null_is_on")]
    pub grpc: Option<Grpc>,
    /// OTLP/HTTP, protobuf and JSON.
    #[serde(deserialize_with = "null_is_on")]
    pub http: Option<Http>,
}

/// `receivers.otlp.protocols.grpc`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Grpc {
    /// IP address and port to listen on. Default `127.0.0.1:4317`; port 0 takes a free one; `0.0.0.0:4317` takes traffic from everywhere.
    pub endpoint: ListenAddress,
    /// The largest request, counted after decompression. Default 64MiB, what OTLP recommends; at most 4GiB. Raise it if senders
    /// report RESOURCE_EXHAUSTED.
    pub max_recv_msg_size: ByteSize,
    /// Requests in progress on one connection. Default 128; a sender that wants more waits.
    pub max_concurrent_streams: u32,
    /// Open connections. Default 1024; one more is closed at once.
    pub max_connections: usize,
    /// How long a request may take to arrive: this, and a second more for every 256 KiB that came. Default 30s.
    #[serde(deserialize_with = "duration::deserialize")]
    pub read_timeout: Duration,
    /// How long connections live, and how dead ones are found.
    #[serde(deserialize_with = "null_is_default")]
    pub keepalive: Keepalive,
    /// Default: none, plain text.
    pub tls: Option<Tls>,
}

/// `receivers.otlp.protocols.http`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// IP address and port to listen on. Default `127.0.0.1:4318`; port 0 takes a free one; `0.0.0.0:4318` takes traffic from everywhere.
    pub endpoint: ListenAddress,
    /// The largest body, counted after decompression. Default 64MiB, what OTLP recommends; at most 4GiB. Raise it if senders report 413.
    pub max_request_body_size: ByteSize,
    /// Where traces are posted. Default `/v1/traces`.
    pub traces_url_path: String,
    /// Where metrics are posted. Default `/v1/metrics`.
    pub metrics_url_path: String,
    /// Where logs are posted. Default `/v1/logs`.
    pub logs_url_path: String,
    /// Open connections. Default 1024; one more is closed at once.
    pub max_connections: usize,
    /// Requests in progress on one HTTP/2 connection. Default 128.
    pub max_concurrent_streams: u32,
    /// How long a body may take to arrive: this, and a second more for every 256 KiB that came. Default 30s.
    #[serde(deserialize_with = "duration::deserialize")]
    pub read_timeout: Duration,
    /// The longest a connection waits for its next request's headers to be complete, so also the longest it stands idle. Default 60s.
    #[serde(deserialize_with = "duration::deserialize")]
    pub read_header_timeout: Duration,
    /// Which web pages may send. Default: none.
    #[serde(deserialize_with = "null_is_default")]
    pub cors: Cors,
    /// Default: none, plain text.
    pub tls: Option<Tls>,
}

/// `receivers.otlp.protocols.grpc.keepalive`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keepalive {
    /// The server's side, the only one a receiver has.
    #[serde(deserialize_with = "null_is_default")]
    pub server_parameters: ServerParameters,
}

/// `receivers.otlp.protocols.grpc.keepalive.server_parameters`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerParameters {
    /// A connection without requests for so long is closed. Default: never.
    #[serde(deserialize_with = "duration::option::deserialize")]
    pub max_connection_idle: Option<Duration>,
    /// A connection this old is closed, give or take a tenth, once its requests are answered. Default: never. Set it where a load
    /// balancer should spread senders anew from time to time.
    #[serde(deserialize_with = "duration::option::deserialize")]
    pub max_connection_age: Option<Duration>,
    /// How long an aged connection may take to finish its requests. Default 30s.
    #[serde(deserialize_with = "duration::deserialize")]
    pub max_connection_age_grace: Duration,
    /// A ping is sent after so long. Default 2m, below the idle limits of common load balancers.
    #[serde(deserialize_with = "duration::deserialize")]
    pub time: Duration,
    /// A connection whose ping is not answered in so long is dead. Default 20s.
    #[serde(deserialize_with = "duration::deserialize")]
    pub timeout: Duration,
}

/// `tls` of a protocol. The files are PEM.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// The certificate chain, leaf first.
    pub cert_file: String,
    /// Its private key: PKCS#8, PKCS#1 or SEC1.
    pub key_file: String,
    /// Certificates of the authorities whose clients may connect. Default: none, clients need no certificate.
    pub client_ca_file: Option<String>,
    /// How often to look whether the files changed. Default: every 30s. New connections get the new certificate.
    #[serde(deserialize_with = "duration::option::deserialize")]
    pub reload_interval: Option<Duration>,
}

/// `receivers.otlp.protocols.http.cors`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cors {
    /// Origins whose pages may send, such as `https://app.example.com`; one `*` in each stands for anything. Default: none.
    pub allowed_origins: Vec<String>,
    /// Headers they may set besides those every page may. Default: content-type, content-encoding and authorization. `*` is any.
    pub allowed_headers: Vec<String>,
    /// How long a browser may remember the answer. Default: its own default, 5s in most.
    #[serde(deserialize_with = "duration::option::deserialize")]
    pub max_age: Option<Duration>,
}

/// `receivers.otlp.auth`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// Tokens of which a request must carry one as `Authorization: Bearer …`. Several may be valid, so that they can be changed
    /// without a gap. Default: none is needed.
    pub bearer_tokens: Vec<Secret>,
}

/// `receivers.otlp.ack`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ack {
    /// Once the request is valid, fits in memory and is handed on.
    #[default]
    Accepted,
    /// Once it is on disk, too.
    Durable,
}

/// A value that reads well and cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("receivers.otlp.{key}: {problem}")]
pub struct ConfigError {
    key: String,
    problem: String,
}

impl ConfigError {
    /// The key of the value, from the top of the file.
    pub fn key(&self) -> String {
        format!("receivers.otlp.{}", self.key)
    }

    /// What is wrong with it and what to write.
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

impl Config {
    /// The gRPC protocol, where it is on.
    pub fn grpc(&self) -> Option<Grpc> {
        let Protocols { grpc, http } = &self.otlp.protocols;
        grpc.clone().or_else(|| http.is_none().then(Grpc::default))
    }

    /// The HTTP protocol, where it is on.
    pub fn http(&self) -> Option<Http> {
        let Protocols { grpc, http } = &self.otlp.protocols;
        http.clone().or_else(|| grpc.is_none().then(Http::default))
    }

    /// Checks what one value alone cannot show.
    ///
    /// # Errors
    /// The first value that cannot work.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.problems().into_iter().next().map_or(Ok(()), Err)
    }

    /// Every value that cannot work.
    pub fn problems(&self) -> Vec<ConfigError> {
        let mut found = Found::default();
        if self.otlp.ack == Ack::Durable {
            found.add(fail("ack", "durable needs a journal, which this version does not have; use accepted"));
        }
        if self.otlp.auth.bearer_tokens.iter().any(|token| token.expose().trim().is_empty()) {
            found.add(fail("auth.bearer_tokens", "a token is empty; is an environment variable missing?"));
        }
        let (grpc, http) = (self.grpc(), self.http());
        if let Some(grpc) = &grpc {
            grpc.check(&mut found);
        }
        if let Some(http) = &http {
            http.check(&mut found);
        }
        if let (Some(grpc), Some(http)) = (grpc, http)
            && grpc.endpoint == http.endpoint
            && grpc.endpoint.socket_addr().port() != 0
        {
            let problem = format!("\"{}\" is the endpoint of grpc too; give each protocol a port of its own", http.endpoint);
            found.add(fail("protocols.http.endpoint", problem));
        }
        found.0
    }
}

/// What is wrong, gathered.
#[derive(Default)]
struct Found(Vec<ConfigError>);

impl Found {
    fn add(&mut self, checked: Result<(), ConfigError>) {
        self.0.extend(checked.err());
    }
}

impl Grpc {
    fn check(&self, found: &mut Found) {
        found.add(check_size("protocols.grpc.max_recv_msg_size", self.max_recv_msg_size));
        found.add(check_count("protocols.grpc.max_concurrent_streams", self.max_concurrent_streams as usize));
        found.add(check_count("protocols.grpc.max_connections", self.max_connections));
        found.add(check_time("protocols.grpc.read_timeout", self.read_timeout));
        let keepalive = &self.keepalive.server_parameters;
        found.add(check_time("protocols.grpc.keepalive.server_parameters.time", keepalive.time));
        found.add(check_time("protocols.grpc.keepalive.server_parameters.timeout", keepalive.timeout));
        if let Some(tls) = &self.tls {
            tls.check("protocols.grpc.tls", found);
        }
    }
}

impl Http {
    /// The path of a signal.
    pub fn path(&self, signal: Signal) -> &str {
        match signal {
            Signal::Traces => &self.traces_url_path,
            Signal::Logs => &self.logs_url_path,
            Signal::Metrics => &self.metrics_url_path,
        }
    }

    fn check(&self, found: &mut Found) {
        found.add(check_size("protocols.http.max_request_body_size", self.max_request_body_size));
        found.add(check_count("protocols.http.max_concurrent_streams", self.max_concurrent_streams as usize));
        found.add(check_count("protocols.http.max_connections", self.max_connections));
        found.add(check_time("protocols.http.read_timeout", self.read_timeout));
        found.add(check_time("protocols.http.read_header_timeout", self.read_header_timeout));
        for (at, signal) in Signal::ALL.into_iter().enumerate() {
            let (key, path) = (format!("protocols.http.{}_url_path", signal.as_str()), self.path(signal));
            if !path.starts_with('/') || path.contains(['?', '#', ' ']) {
                found.add(fail(key, format!("\"{path}\" is not a path; write for example /v1/{}", signal.as_str())));
            } else if let Some(other) = Signal::ALL.iter().take(at).find(|&&other| self.path(other) == path) {
                found.add(fail(key, format!("\"{path}\" is the path of {} already", other.as_str())));
            }
        }
        for origin in &self.cors.allowed_origins {
            let usable = origin == "*" || origin.contains("://") && origin.bytes().filter(|&b| b == b'*').count() <= 1;
            if !usable {
                let problem = format!("\"{origin}\" is not an origin; write for example https://app.example.com, with at most one *");
                found.add(fail("protocols.http.cors.allowed_origins", problem));
            }
        }
        for header in &self.cors.allowed_headers {
            if http::HeaderName::from_bytes(header.as_bytes()).is_err() {
                found.add(fail("protocols.http.cors.allowed_headers", format!("\"{header}\" is not a header name")));
            }
        }
        if let Some(tls) = &self.tls {
            tls.check("protocols.http.tls", found);
        }
    }
}

impl Tls {
    fn check(&self, key: &str, found: &mut Found) {
        for (name, value) in [("cert_file", &self.cert_file), ("key_file", &self.key_file)] {
            if value.is_empty() {
                found.add(fail(format!("{key}.{name}"), "is missing; TLS needs a certificate and its key"));
            }
        }
        if let Some(interval) = self.reload_interval {
            found.add(check_time(&format!("{key}.reload_interval"), interval));
        }
    }
}

impl Default for Grpc {
    fn default() -> Grpc {
        Grpc {
            endpoint: ListenAddress::loopback(4317),
            max_recv_msg_size: ByteSize::mib(64),
            max_concurrent_streams: 128,
            max_connections: 1024,
            read_timeout: Duration::from_secs(30),
            keepalive: Keepalive::default(),
            tls: None,
        }
    }
}

impl Default for Http {
    fn default() -> Http {
        Http {
            endpoint: ListenAddress::loopback(4318),
            max_request_body_size: ByteSize::mib(64),
            traces_url_path: "/v1/traces".to_owned(),
            metrics_url_path: "/v1/metrics".to_owned(),
            logs_url_path: "/v1/logs".to_owned(),
            max_connections: 1024,
            max_concurrent_streams: 128,
            read_timeout: Duration::from_secs(30),
            read_header_timeout: Duration::from_secs(60),
            cors: Cors::default(),
            tls: None,
        }
    }
}

impl Default for ServerParameters {
    fn default() -> ServerParameters {
        ServerParameters {
            max_connection_idle: None,
            max_connection_age: None,
            max_connection_age_grace: Duration::from_secs(30),
            time: Duration::from_secs(120),
            timeout: Duration::from_secs(20),
        }
    }
}

/// `key:` without a value is the section with its defaults, as the Collector reads it.
fn null_is_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A key that is there turns its protocol on, with or without a value.
fn null_is_on<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<Option<T>, D::Error> {
    null_is_default(deserializer).map(Some)
}

fn fail(key: impl Into<String>, problem: impl Into<String>) -> Result<(), ConfigError> {
    Err(ConfigError { key: key.into(), problem: problem.into() })
}

fn check_size(key: &str, size: ByteSize) -> Result<(), ConfigError> {
    match size.as_usize() {
        0 => fail(key, "0 would refuse every request"),
        1..=LARGEST_REQUEST => Ok(()),
        _ => fail(key, "must be below 4GiB"),
    }
}

fn check_count(key: &str, count: usize) -> Result<(), ConfigError> {
    if count == 0 { fail(key, "0 would refuse everything") } else { Ok(()) }
}

fn check_time(key: &str, time: Duration) -> Result<(), ConfigError> {
    if time.is_zero() { fail(key, "0s leaves no time at all") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Config {
        serde_yaml::from_str(yaml).unwrap()
    }

    fn why(yaml: &str) -> String {
        match serde_yaml::from_str::<Config>(yaml) {
            Ok(config) => config.validate().unwrap_err().to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn both_protocols_are_on_and_on_loopback_by_default() {
        for yaml in ["{}", "otlp:", "otlp: {}", "otlp: { protocols: }", "otlp: { protocols: {} }"] {
            let config = read(yaml);
            config.validate().unwrap();
            assert_eq!(config.grpc().unwrap().endpoint.to_string(), "127.0.0.1:4317", "{yaml}");
            assert_eq!(config.http().unwrap().endpoint.to_string(), "127.0.0.1:4318", "{yaml}");
        }
    }

    #[test]
    fn every_value_that_cannot_work_is_named_at_once() {
        let config = read(
            "otlp: { ack: durable, protocols: { grpc: { max_connections: 0, read_timeout: 0s }, http: { traces_url_path: v1, tls: {} } } }",
        );
        let keys: Vec<_> = config.problems().iter().map(ConfigError::key).collect();
        let http = ["traces_url_path", "tls.cert_file", "tls.key_file"].map(|key| format!("receivers.otlp.protocols.http.{key}"));
        let grpc = ["max_connections", "read_timeout"].map(|key| format!("receivers.otlp.protocols.grpc.{key}"));
        assert_eq!(keys, [vec!["receivers.otlp.ack".to_owned()], grpc.to_vec(), http.to_vec()].concat());
    }

    #[test]
    fn a_protocol_listed_alone_is_on_alone() {
        for yaml in ["otlp: { protocols: { grpc: } }", "otlp: { protocols: { grpc: { max_connections: 1 } } }"] {
            assert!(read(yaml).grpc().is_some() && read(yaml).http().is_none(), "{yaml}");
        }
        let both = read("otlp:\n  protocols:\n    grpc:\n    http:\n");
        assert!(both.grpc().is_some() && both.http().is_some());
    }

    #[test]
    fn every_option_is_read_by_its_name() {
        let config = read(
            r#"
otlp:
  protocols:
    grpc:
      endpoint: "[::]:4317"
      max_recv_msg_size: 4MiB
      max_concurrent_streams: 5
      max_connections: 6
      read_timeout: 7s
      keepalive:
        server_parameters: { max_connection_idle: 1m, max_connection_age: 2m, max_connection_age_grace: 3m, time: 4m, timeout: 5s }
      tls: { cert_file: a, key_file: b, client_ca_file: c, reload_interval: 1h }
    http:
      endpoint: localhost:0
      max_request_body_size: 1000
      traces_url_path: /t
      metrics_url_path: /m
      logs_url_path: /l
      max_connections: 8
      max_concurrent_streams: 9
      read_timeout: 10s
      read_header_timeout: 11s
      cors: { allowed_origins: ["https://*.example.com"], allowed_headers: [x-tenant], max_age: 2h }
  auth: { bearer_tokens: [one, two] }
  ack: accepted
"#,
        );
        config.validate().unwrap();
        let (grpc, http) = (config.grpc().unwrap(), config.http().unwrap());
        assert_eq!((grpc.max_recv_msg_size.as_usize(), http.max_request_body_size.as_usize()), (4 << 20, 1000));
        assert_eq!(grpc.keepalive.server_parameters.max_connection_age, Some(Duration::from_secs(120)));
        assert_eq!((http.path(Signal::Traces), http.path(Signal::Logs), http.path(Signal::Metrics)), ("/t", "/l", "/m"));
        assert_eq!(http.cors.max_age, Some(Duration::from_secs(7200)));
        assert_eq!(config.otlp.auth.bearer_tokens.len(), 2);
    }

    #[test]
    fn a_misspelt_key_is_refused_at_every_level() {
        for yaml in [
            "oltp: {}",
            "otlp: { protocol: {} }",
            "otlp: { protocols: { grcp: {} } }",
            "otlp: { protocols: { grpc: { endpiont: x } } }",
            "otlp: { protocols: { http: { cors: { origins: [] } } } }",
            "otlp: { auth: { tokens: [] } }",
        ] {
            assert!(why(yaml).contains("unknown"), "{yaml}: {}", why(yaml));
        }
    }

    #[test]
    fn a_value_that_cannot_work_names_its_key_and_what_to_write() {
        for (yaml, part) in [
            ("otlp: { ack: durable }", "receivers.otlp.ack: durable needs a journal"),
            ("otlp: { auth: { bearer_tokens: [''] } }", "auth.bearer_tokens: a token is empty"),
            ("otlp: { protocols: { grpc: { endpoint: 4317 } } }", "expected an address such as 127.0.0.1:4317"),
            ("otlp: { protocols: { grpc: { endpoint: 'http://a:4317' } } }", "is a URL"),
            ("otlp: { protocols: { grpc: { endpoint: ':4317' } } }", "has no host"),
            ("otlp: { protocols: { grpc: { max_recv_msg_size: 0 } } }", "0 would refuse every request"),
            ("otlp: { protocols: { grpc: { max_recv_msg_size: 4GiB } } }", "below 4GiB"),
            ("otlp: { protocols: { grpc: { max_recv_msg_size: lots } } }", "is not a size"),
            ("otlp: { protocols: { grpc: { max_connections: 0 } } }", "max_connections: 0 would refuse everything"),
            ("otlp: { protocols: { grpc: { tls: { cert_file: a } } } }", "grpc.tls.key_file: is missing"),
            ("otlp: { protocols: { http: { read_timeout: 0s } } }", "read_timeout: 0s leaves no time"),
            ("otlp: { protocols: { http: { read_timeout: soon } } }", "is not a duration"),
            ("otlp: { protocols: { http: { logs_url_path: v1/logs } } }", "logs_url_path: \"v1/logs\" is not a path"),
            ("otlp: { protocols: { http: { logs_url_path: /v1/traces } } }", "is the path of traces already"),
            ("otlp: { protocols: { http: { cors: { allowed_origins: [example.com] } } } }", "is not an origin"),
            ("otlp: { protocols: { http: { cors: { allowed_headers: ['a b'] } } } }", "is not a header name"),
            ("otlp: { protocols: { grpc: { endpoint: '[::]:1' }, http: { endpoint: '[::]:1' } } }", "a port of its own"),
        ] {
            assert!(why(yaml).contains(part), "{yaml}: {}", why(yaml));
        }
    }

    #[test]
    fn tokens_do_not_show_in_debug_output() {
        let config = read("otlp: { auth: { bearer_tokens: [canary] } }");
        assert!(!format!("{config:?}").contains("canary"));
    }
}
