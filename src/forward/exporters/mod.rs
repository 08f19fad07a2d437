//! Ways to send: one file each, and a line in the list below.
//!
//! An exporter sends one request and says what the answer means. It does not retry, count or log: that is the same for all of them.

mod compress;
pub mod debug;
#[cfg(test)]
mod fake;
pub mod file;
pub mod otlp_grpc;
pub mod otlp_http;
mod response;

use crate::forward::batch::Batch;
use crate::forward::config::{Common, Problem};
use crate::forward::verdict::Verdict;
use crate::otlp::signal::Signal;
use serde::Serialize;
use serde::de::MapAccess;
use std::ops::Range;

/// The types that a key of `exporters` can begin with; `otlp` and `otlphttp` are the older spellings of the first two.
pub(crate) const TYPES: &[&str] = &["otlp_grpc", "otlp_http", "debug", "file", "otlp", "otlphttp"];

/// The settings of one destination, by type.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Settings {
    /// `otlp_grpc`.
    OtlpGrpc(otlp_grpc::Settings),
    /// `otlp_http`.
    OtlpHttp(otlp_http::Settings),
    /// `debug`.
    Debug(debug::Settings),
    /// `file`.
    File(file::Settings),
}

impl Settings {
    /// Reads the value of a key of type `kind`; `None` for a type that does not exist.
    pub(crate) fn read<'de, A: MapAccess<'de>>(kind: &str, map: &mut A) -> Result<Option<Settings>, A::Error> {
        Ok(Some(match kind {
            "otlp_grpc" | "otlp" => Settings::OtlpGrpc(map.next_value()?),
            "otlp_http" | "otlphttp" => Settings::OtlpHttp(map.next_value()?),
            // `debug:` alone is what one writes first.
            "debug" => Settings::Debug(map.next_value::<Option<_>>()?.unwrap_or_default()),
            "file" => Settings::File(map.next_value()?),
            _ => return Ok(None),
        }))
    }

    /// Everything that is wrong with them.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = self.common().problems();
        problems.extend(match self {
            Settings::OtlpGrpc(settings) => settings.problems(),
            Settings::OtlpHttp(settings) => settings.problems(),
            Settings::File(settings) => settings.problems(),
            Settings::Debug(_) => Vec::new(),
        });
        problems
    }

    /// Queue, batches, retries.
    pub(crate) fn common(&self) -> Common {
        match self {
            Settings::OtlpGrpc(settings) => settings.common(),
            Settings::OtlpHttp(settings) => settings.common(),
            Settings::Debug(_) | Settings::File(_) => one_at_a_time(),
        }
    }

    /// An exporter, not yet connected. A file is opened.
    pub(crate) fn open(&self) -> Result<Exporter, Problem> {
        Ok(match self {
            Settings::OtlpGrpc(settings) => Exporter::OtlpGrpc(otlp_grpc::Exporter::new(settings)?),
            Settings::OtlpHttp(settings) => Exporter::OtlpHttp(otlp_http::Exporter::new(settings)?),
            Settings::Debug(settings) => Exporter::Debug(debug::Exporter::new(settings)),
            Settings::File(settings) => Exporter::File(file::Exporter::open(settings)?),
        })
    }
}

/// What is written to one place is written in order.
fn one_at_a_time() -> Common {
    let mut common = Common::default();
    common.sending_queue.num_consumers = 1;
    common
}

/// A way to send, ready.
#[derive(Debug)]
pub(crate) enum Exporter {
    OtlpGrpc(otlp_grpc::Exporter),
    OtlpHttp(otlp_http::Exporter),
    Debug(debug::Exporter),
    File(file::Exporter),
    #[cfg(test)]
    Scripted(crate::forward::tests::Scripted),
}

impl Exporter {
    /// Sends items `range` of `batch`.
    pub(crate) async fn send(&self, batch: &Batch, range: Range<usize>) -> Verdict {
        match self {
            Exporter::OtlpGrpc(exporter) => exporter.send(batch, range).await,
            Exporter::OtlpHttp(exporter) => exporter.send(batch, range).await,
            Exporter::Debug(exporter) => exporter.send(batch, range).await,
            Exporter::File(exporter) => exporter.send(batch, range).await,
            #[cfg(test)]
            Exporter::Scripted(exporter) => exporter.send(batch, range).await,
        }
    }

    /// Whether it has a place for `signal`.
    pub(crate) fn supports(&self, signal: Signal) -> bool {
        match self {
            Exporter::OtlpHttp(exporter) => exporter.supports(signal),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fake::{Answer, Fake};
    use crate::forward::batch::tests::{names, numbered};
    use crate::forward::{Config, Forward};
    use crate::telemetry::Telemetry;
    use std::time::Duration;
    use tonic::Status;

    #[tokio::test]
    async fn three_destinations_that_stumble_have_everything_in_the_end() {
        let grpc = Fake::start(|number| match number {
            0 => Answer::grpc_error(&Status::unavailable("starting"), true),
            _ => Answer::grpc_ok(b""),
        });
        let http = Fake::start(|number| Answer::http(if number < 2 { 503 } else { 200 }));
        let (grpc, http) = (grpc.await, http.await);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kept.jsonl");
        let fast = "retry_on_failure: {initial_interval: 10ms, max_interval: 50ms}, batch: {flush_after: 10ms}";
        let yaml = format!(
            "otlp/a: {{endpoint: 'http://127.0.0.1:{}', {fast}, compression: none}}\notlp_http: {{endpoint: 'http://127.0.0.1:{}', {fast}}}\n\
             file: {{path: {}}}",
            grpc.port,
            http.port,
            path.display()
        );
        let config: Config = serde_yaml::from_str(&yaml).unwrap();
        assert_eq!(config.check(), []);
        let telemetry = Telemetry::new(usize::MAX);
        let forward = Forward::start(&config, &telemetry).unwrap();
        telemetry.ledger.accept(20);
        telemetry.ledger.pass(20);
        forward.enqueue(numbered(20));
        assert_eq!(forward.drain(Duration::from_secs(30)).await, 0);
        telemetry.ledger.assert_balanced();
        let books = telemetry.ledger.books();
        assert!(books.destinations.len() == 3 && books.destinations.iter().all(|d| d.sent == 20), "{books:?}");
        assert_eq!((grpc.requests().len(), http.requests().len()), (2, 3));
        assert_eq!(names(&grpc.requests()[1].body[5..]), names(&http.requests()[2].body));
        assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 1);
    }
}
