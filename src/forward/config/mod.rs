//! Where kept spans go: the `exporters` section.
//!
//! The keys are `type/name`, as in the Collector, and every option that both have is called the same. What differs is the default for
//! a backend that is away: a queue that is full pushes back to the senders instead of throwing away what was accepted.

mod endpoint;
mod headers;
mod size;

pub use endpoint::{Endpoint, NotAnEndpoint, Tls};
pub use headers::Headers;

use crate::forward::exporters::{Settings, TYPES, debug};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The longest name of a destination, in bytes: it is a metric label.
const LONGEST_NAME: usize = 100;

/// The largest request, in bytes: gRPC has 32 bits for its length, and a first item may be larger than a batch.
const LARGEST_BATCH: usize = 1 << 30;

/// The `exporters` section: a destination for each key `type/name` or `type`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Config(pub BTreeMap<String, Settings>);

impl Config {
    /// Readable spans on standard output, for a stage that nobody configured.
    pub fn debug() -> Config {
        Config(BTreeMap::from([("debug".to_owned(), Settings::Debug(debug::Settings::default()))]))
    }
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Config, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Config;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of exporters such as `otlp_grpc/tempo: { endpoint: \"http://tempo:4317\" }`")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Config, E> {
                Ok(Config::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Config, A::Error> {
                let mut destinations = BTreeMap::new();
                while let Some(Key(key)) = map.next_key()? {
                    let kind = key.split('/').next().unwrap_or_default();
                    let settings = Settings::read(kind, &mut map)?.ok_or_else(|| de::Error::unknown_field(kind, TYPES))?;
                    if destinations.contains_key(&key) {
                        return Err(de::Error::custom(format_args!("the exporter \"{key}\" is there twice")));
                    }
                    destinations.insert(key, settings);
                }
                Ok(Config(destinations))
            }
        }
        deserializer.deserialize_map(Map)
    }
}

/// A key, checked while it is read: what is wrong with it is then found at its place.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
        let key = String::deserialize(deserializer)?;
        check_key(&key)?;
        Ok(Key(key))
    }
}

fn check_key<E: de::Error>(key: &str) -> Result<(), E> {
    let (kind, name) = key.split_once('/').map_or((key, None), |(kind, name)| (kind, Some(name)));
    if !TYPES.contains(&kind) {
        return Err(E::unknown_field(kind, TYPES));
    }
    if name.is_some_and(|name| name.trim().is_empty()) {
        return Err(E::custom(format_args!("no name after \"{kind}/\"; add one, or leave the slash out")));
    }
    if key.len() > LONGEST_NAME || key.chars().any(char::is_control) {
        return Err(E::custom(format_args!("the name of an exporter has at most {LONGEST_NAME} bytes and no control characters")));
    }
    Ok(())
}

/// What all exporters share.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Common {
    /// The queue in front of the backend.
    pub sending_queue: SendingQueue,
    /// How batches are cut.
    pub batch: Batching,
    /// What happens when the backend cannot take a batch now.
    pub retry_on_failure: RetryOnFailure,
}

/// `sending_queue`: what waits for this destination. The bytes themselves are shared by all destinations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SendingQueue {
    /// Encoded bytes that may wait or be in flight before senders are told to come back later. Default 64 MiB. What was accepted
    /// before may go over it.
    #[serde(with = "size")]
    pub size: usize,
    /// Exports in flight at a time, at least 1. Default 4. One at a time cannot follow a fast input.
    pub num_consumers: usize,
    /// Default true: a full queue makes the receivers refuse, so that nothing is lost. With false it takes nothing more, and what it
    /// did not take is counted as failed with reason `queue_full`: for a destination that must not hold up the others. Traces with
    /// an error or a truncated answer are queued even then, to twice the size.
    pub block_on_overflow: bool,
}

impl Default for SendingQueue {
    fn default() -> SendingQueue {
        SendingQueue { size: 64 << 20, num_consumers: 4, block_on_overflow: true }
    }
}

/// `batch`: one request carries one signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Batching {
    /// The most bytes of a request before compression. Default 4 MiB, which gRPC servers take unless told otherwise. An item that is
    /// larger by itself is sent alone.
    #[serde(with = "size")]
    pub max_size: usize,
    /// How long an item waits for company. Default 200 ms; 0s sends at once.
    #[serde(with = "duration")]
    pub flush_after: Duration,
}

impl Default for Batching {
    fn default() -> Batching {
        Batching { max_size: 4 << 20, flush_after: Duration::from_millis(200) }
    }
}

/// `retry_on_failure`: for answers that OTLP calls retryable, and for backends that cannot be reached or refuse our credentials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryOnFailure {
    /// With false a batch gets one attempt, and is then counted as failed. Default true.
    pub enabled: bool,
    /// The first wait. Default 1 s. Each wait is shortened by up to a half, at random, so that stages do not come back together. A hint of
    /// the backend takes its place.
    #[serde(with = "duration")]
    pub initial_interval: Duration,
    /// The longest wait. Default 30 s.
    #[serde(with = "duration")]
    pub max_interval: Duration,
    /// Each wait is so many times the one before, at least 1. Default 1.5.
    pub multiplier: f32,
    /// A batch that could not be delivered for so long is counted as failed. Default 0s: never.
    #[serde(with = "duration")]
    pub max_elapsed_time: Duration,
}

impl Default for RetryOnFailure {
    fn default() -> RetryOnFailure {
        RetryOnFailure {
            enabled: true,
            initial_interval: Duration::from_secs(1),
            max_interval: Duration::from_secs(30),
            multiplier: 1.5,
            max_elapsed_time: Duration::ZERO,
        }
    }
}

/// `compression` of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// As it is. The default: between machines of one network, gzip costs ten times what all the rest does.
    #[default]
    None,
    /// Understood by every OTLP backend.
    Gzip,
    /// A tenth of the cost of gzip, understood by fewer.
    Zstd,
}

impl Compression {
    /// Its name in `content-encoding` and `grpc-encoding`.
    pub(crate) const fn name(self) -> Option<&'static str> {
        match self {
            Compression::None => None,
            Compression::Gzip => Some("gzip"),
            Compression::Zstd => Some("zstd"),
        }
    }
}

/// Export timeout by default, as in the OTLP exporter specification.
pub(crate) const fn default_timeout() -> Duration {
    Duration::from_secs(10)
}

pub(crate) use crate::units::duration;

/// A setting that contradicts another one or makes no sense: its key below the exporter, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Such as `batch.max_size`.
    pub key: &'static str,
    /// What is wrong and what to do.
    pub text: String,
}

impl Problem {
    pub(crate) fn new(key: &'static str, text: impl Into<String>) -> Problem {
        Problem { key, text: text.into() }
    }
}

impl Common {
    /// Everything that is wrong with it.
    pub fn problems(&self) -> Vec<Problem> {
        let Common { sending_queue: queue, batch, retry_on_failure: retry } = self;
        let mut problems = Vec::new();
        let mut wrong_if = |wrong: bool, key, text: String| {
            if wrong {
                problems.push(Problem::new(key, text));
            }
        };
        wrong_if(queue.num_consumers == 0, "sending_queue.num_consumers", "0 exports at a time send nothing; write at least 1".into());
        wrong_if(batch.max_size == 0, "batch.max_size", "a batch of 0 bytes carries nothing".into());
        wrong_if(batch.max_size > LARGEST_BATCH, "batch.max_size", format!("{} bytes are more than a gRPC message holds", batch.max_size));
        wrong_if(
            batch.max_size > queue.size,
            "batch.max_size",
            format!("{} bytes never fit a queue of {}; lower it or raise sending_queue.size", batch.max_size, queue.size),
        );
        wrong_if(
            retry.initial_interval.is_zero(),
            "retry_on_failure.initial_interval",
            "0s retries without a pause; write for example 1s".into(),
        );
        wrong_if(
            retry.initial_interval > retry.max_interval,
            "retry_on_failure.max_interval",
            format!("{:?} is shorter than initial_interval, {:?}", retry.max_interval, retry.initial_interval),
        );
        let multiplier = retry.multiplier;
        wrong_if(!(1.0..=100.0).contains(&multiplier), "retry_on_failure.multiplier", format!("{multiplier} is not between 1 and 100"));
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<Config, String> {
        serde_yaml::from_str::<Config>(yaml).map_err(|e| e.to_string())
    }

    #[test]
    fn the_older_spellings_name_the_same_types() {
        let config =
            read("otlp/a: {endpoint: 'http://a:1'}\notlphttp: {endpoint: 'http://b'}\notlp_grpc: {endpoint: 'http://a:1'}").unwrap();
        assert!(matches!(config.0["otlp/a"], Settings::OtlpGrpc(_)));
        assert!(matches!(config.0["otlphttp"], Settings::OtlpHttp(_)));
        assert_eq!(config.0["otlp/a"], config.0["otlp_grpc"]);
    }

    #[test]
    fn an_exporter_without_options_may_be_empty() {
        assert_eq!(read("debug:").unwrap(), Config::debug());
        assert_eq!(read("debug: {}").unwrap(), Config::debug());
    }

    #[test]
    fn an_unknown_type_is_answered_with_the_known_ones() {
        let error = read("otlp_grcp/x: {endpoint: 'http://a'}").unwrap_err();
        for part in ["unknown field", "otlp_grcp", "otlp_grpc", "otlp_http", "debug", "file"] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn an_unknown_option_an_empty_name_and_a_missing_endpoint_are_errors() {
        assert!(read("otlp_grpc: {endpoint: 'http://a', time_out: 3s}").unwrap_err().contains("time_out"));
        assert!(read("otlp_grpc/: {endpoint: 'http://a'}").unwrap_err().contains("no name after"));
        assert!(read("otlp_grpc: {}").unwrap_err().contains("endpoint"));
        assert!(read("file: {}").unwrap_err().contains("path"));
    }

    #[test]
    fn every_common_option_is_read() {
        let yaml = "otlp_grpc:\n  endpoint: https://a:4317\n  sending_queue: {size: 8MiB, num_consumers: 2, block_on_overflow: false}\n  \
                    batch: {max_size: 1 MiB, flush_after: 1s}\n  retry_on_failure: {enabled: false, initial_interval: 10ms, max_interval: 20ms, \
                    multiplier: 3, max_elapsed_time: 5m}\n  compression: zstd\n  timeout: 3s\n  headers: {x-key: secret-value}";
        let config = read(yaml).unwrap();
        let Settings::OtlpGrpc(grpc) = &config.0["otlp_grpc"] else { panic!("{config:?}") };
        assert_eq!((grpc.sending_queue.size, grpc.sending_queue.num_consumers, grpc.sending_queue.block_on_overflow), (8 << 20, 2, false));
        assert_eq!((grpc.batch.max_size, grpc.batch.flush_after), (1 << 20, Duration::from_secs(1)));
        assert_eq!((grpc.retry_on_failure.enabled, grpc.retry_on_failure.multiplier), (false, 3.0));
        assert_eq!(grpc.retry_on_failure.max_elapsed_time, Duration::from_secs(300));
        assert_eq!((grpc.compression, grpc.timeout), (Compression::Zstd, Duration::from_secs(3)));
        assert!(!format!("{config:?}").contains("secret-value"), "{config:?}");
        assert!(!serde_json::to_string(&config).unwrap().contains("secret-value"));
    }

    #[test]
    fn contradictions_are_named_by_their_keys() {
        let mut common = Common::default();
        assert_eq!(common.problems(), []);
        common.sending_queue = SendingQueue { size: 100, num_consumers: 0, ..SendingQueue::default() };
        common.retry_on_failure.initial_interval = Duration::from_secs(60);
        common.retry_on_failure.multiplier = f32::NAN;
        let keys: Vec<_> = common.problems().into_iter().map(|p| p.key).collect();
        let expected = ["sending_queue.num_consumers", "batch.max_size", "retry_on_failure.max_interval", "retry_on_failure.multiplier"];
        assert_eq!(keys, expected);
    }
}
