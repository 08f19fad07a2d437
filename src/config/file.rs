//! The whole file: one field per stage.
//!
//! Each stage owns the type of its section and the checks that need nothing else; here stand the checks that no section can make
//! alone.

use super::load::{Findings, Loaded, Sources, load_checked};
use super::problem::Problems;
use super::service::Service;
use crate::enrich::EnrichConfig;
use crate::{forward, receive, redact, sample};
use serde::Deserialize;

/// The config of Tollgate.
pub type File = Sections<receive::Config, Processors, forward::Config>;

/// A config file by its sections.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    bound(deserialize = "Rx: Deserialize<'de> + Default, Pr: Deserialize<'de> + Default, Ex: Deserialize<'de> + Default")
)]
pub struct Sections<Rx, Pr, Ex> {
    /// Where spans come in.
    pub receivers: Rx,
    /// What is done with them.
    pub processors: Pr,
    /// Where they go; empty means one chosen from the environment.
    pub exporters: Ex,
    /// The process around it.
    pub service: Service,
}

impl<Rx: Default, Pr: Default, Ex: Default> Default for Sections<Rx, Pr, Ex> {
    fn default() -> Self {
        Sections { receivers: Rx::default(), processors: Pr::default(), exporters: Ex::default(), service: Service::default() }
    }
}

/// The `processors` section. The order they run in is fixed: enrich, tail_sampling, redaction.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Processors {
    /// What a call used and cost.
    pub enrich: EnrichConfig,
    /// What must not leave.
    pub redaction: redact::Config,
    /// Which traces stay.
    pub tail_sampling: sample::Config,
}

impl Processors {
    /// The keys of those that are on, in the order they run.
    fn order(&self) -> Vec<&'static str> {
        let all = [("enrich", self.enrich.enabled), ("tail_sampling", self.tail_sampling.enabled), ("redaction", self.redaction.enabled)];
        all.into_iter().filter(|(_, on)| *on).map(|(key, _)| key).collect()
    }
}

impl File {
    /// Finds contradictions, each at its place.
    fn check(&self, findings: &mut Findings<'_>) {
        for error in self.receivers.problems() {
            findings.problem(&error.key(), error.problem());
        }
        for error in self.exporters.check() {
            let text = error.to_string();
            let (path, message) = text.split_once(": ").unwrap_or(("exporters", &text));
            findings.problem(path, message);
        }
        let exporters: Vec<&str> = self.exporters.0.keys().map(String::as_str).collect();
        self.service.check(&self.processors.order(), &exporters, findings);
    }

    /// Without exporters in the file: where OpenTelemetry's own variables point, else readable spans on standard output.
    fn choose_exporters(&mut self, env: &dyn Fn(&str) -> Option<String>) {
        if self.exporters.0.is_empty() {
            self.exporters = from_environment(env);
        }
    }
}

/// The exporter that `OTEL_EXPORTER_OTLP_ENDPOINT`, `_PROTOCOL` and `_HEADERS` describe, or `debug`.
fn from_environment(env: &dyn Fn(&str) -> Option<String>) -> forward::Config {
    let var = |name: &str| {
        let of_traces = env(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"));
        of_traces.or_else(|| env(&format!("OTEL_EXPORTER_OTLP_{name}"))).filter(|value| !value.trim().is_empty())
    };
    let Some(endpoint) = var("ENDPOINT") else { return forward::Config::debug() };
    let kind = if var("PROTOCOL").is_some_and(|protocol| protocol.starts_with("http")) { "otlp_http" } else { "otlp_grpc" };
    let headers: serde_json::Map<String, serde_json::Value> = var("HEADERS")
        .unwrap_or_default()
        .split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().into()))
        .collect();
    let settings = serde_json::json!({ kind: { "endpoint": endpoint, "headers": headers } });
    serde_json::from_value(settings).unwrap_or_else(|_| forward::Config::debug())
}

/// Reads a config with every check there is before anything is started. `check` adds those of the caller.
///
/// # Errors
/// Everything wrong with it.
pub fn load_file(sources: Sources, check: impl FnOnce(&File, &mut Findings<'_>)) -> Result<Loaded<File>, Problems> {
    let mut loaded = load_checked(sources, |file: &File, findings| {
        let mut file = file.clone();
        file.choose_exporters(&|name| std::env::var(name).ok());
        file.check(findings);
        check(&file, findings);
    })?;
    loaded.value.choose_exporters(&|name| std::env::var(name).ok());
    Ok(loaded)
}

/// The same from a text, as tests and benchmarks have it.
///
/// # Errors
/// Everything wrong with it.
pub fn load_text(name: &str, text: &str) -> Result<File, Problems> {
    load_file(Sources::new().text(name, text), |_, _| {}).map(|loaded| loaded.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_of_opentelemetry_names_a_destination() {
        let env = |pairs: &'static [(&str, &str)]| move |name: &str| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        let names = |config: forward::Config| config.0.into_keys().collect::<Vec<_>>();
        assert_eq!(names(from_environment(&env(&[]))), ["debug"]);
        assert_eq!(names(from_environment(&env(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4317")]))), ["otlp_grpc"]);
        let http = &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4318"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")];
        assert_eq!(names(from_environment(&env(http))), ["otlp_http"]);
        let headers = &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4318"), ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer x,a=b")];
        assert_eq!(names(from_environment(&env(headers))), ["otlp_grpc"]);
    }

    #[test]
    fn an_empty_config_is_the_default_one() {
        let file = load_text("t.yaml", "").unwrap();
        assert_eq!(file.processors.order(), ["enrich", "tail_sampling", "redaction"]);
        assert!(!file.exporters.0.is_empty());
    }
}
