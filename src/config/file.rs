//! The whole file: one field per stage.
//!
//! Each stage owns the type of its section and the checks that need nothing else; here stand the checks that no section can make
//! alone.

use super::load::{Findings, Loaded, Sources, load_checked};
use super::problem::Problems;
use super::service::Service;
use crate::enrich::EnrichConfig;
use crate::units::SizeOrPercent;
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
        self.check_request_sizes(findings);
    }

    /// Requests that no memory is there for are refused whatever their limit says.
    fn check_request_sizes(&self, findings: &mut Findings<'_>) {
        let SizeOrPercent::Size(memory) = self.service.memory.limit else { return };
        let sizes = [
            ("grpc.max_recv_msg_size", self.receivers.grpc().map(|grpc| grpc.max_recv_msg_size)),
            ("http.max_request_body_size", self.receivers.http().map(|http| http.max_request_body_size)),
        ];
        for (key, size) in sizes {
            if let Some(size) = size.filter(|size| *size > memory) {
                let path = format!("receivers.otlp.protocols.{key}");
                let message = format!("{size} is more than service.memory.limit, {memory}: requests that large are refused for good");
                findings.warning(&path, message);
            }
        }
    }

    /// Without exporters in the file: where OpenTelemetry's own variables point, else readable spans on standard output.
    ///
    /// # Errors
    /// What is wrong with the variables: whoever sets them does not want standard output.
    fn choose_exporters(&mut self, env: &dyn Fn(&str) -> Option<String>) -> Result<(), String> {
        if self.exporters.0.is_empty() {
            self.exporters = from_environment(env)?;
        }
        Ok(())
    }
}

/// The exporter that `OTEL_EXPORTER_OTLP_ENDPOINT`, `_PROTOCOL` and `_HEADERS` describe, or their forms for traces; else `debug`.
///
/// Source: OpenTelemetry specification, "OpenTelemetry Protocol Exporter". An endpoint of traces is a whole URL over HTTP. Without a protocol
/// it is gRPC, but for the port that is assigned to HTTP.
fn from_environment(env: &dyn Fn(&str) -> Option<String>) -> Result<forward::Config, String> {
    let get = |name: &str| env(&format!("OTEL_EXPORTER_OTLP_{name}")).filter(|value| !value.trim().is_empty());
    let var = |name: &str| get(&format!("TRACES_{name}")).or_else(|| get(name));
    let Some(endpoint) = var("ENDPOINT") else { return Ok(forward::Config::debug()) };
    let port_of_http = || endpoint.trim_end_matches('/').rsplit(':').next().is_some_and(|rest| rest.split('/').next() == Some("4318"));
    let http = var("PROTOCOL").map_or_else(port_of_http, |protocol| protocol.starts_with("http"));
    let headers: serde_json::Map<String, serde_json::Value> = var("HEADERS")
        .unwrap_or_default()
        .split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), unescaped(value.trim()).into()))
        .collect();
    let kind = if http { "otlp_http" } else { "otlp_grpc" };
    let key = if http && get("TRACES_ENDPOINT").is_some() { "traces_endpoint" } else { "endpoint" };
    let settings = serde_json::json!({ kind: { key: endpoint.trim(), "headers": headers } });
    serde_json::from_value(settings).map_err(|error| format!("of OTEL_EXPORTER_OTLP_ENDPOINT, since none are given here: {error}"))
}

/// A value of `OTEL_EXPORTER_OTLP_HEADERS`, in which `%20` is a blank. What is no escape stays.
fn unescaped(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, after @ ..] = rest {
        let code = (*first == b'%').then(|| after.get(..2)).flatten();
        let code = code.filter(|hex| hex.iter().all(u8::is_ascii_hexdigit)).and_then(|hex| std::str::from_utf8(hex).ok());
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| value.to_owned())
}

/// Reads a config with every check there is before anything is started. `check` adds those of the caller.
///
/// # Errors
/// Everything wrong with it.
pub fn load_file(sources: Sources, check: impl FnOnce(&File, &mut Findings<'_>)) -> Result<Loaded<File>, Problems> {
    let mut loaded = load_checked(sources, |file: &File, findings| {
        let mut file = file.clone();
        match file.choose_exporters(&|name| std::env::var(name).ok()) {
            Ok(()) => file.check(findings),
            Err(message) => findings.problem("exporters", message),
        }
        check(&file, findings);
    })?;
    // It succeeded a moment ago.
    let _ = loaded.value.choose_exporters(&|name| std::env::var(name).ok());
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

    fn chosen(pairs: &'static [(&str, &str)]) -> Result<serde_json::Value, String> {
        let env = |name: &str| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        from_environment(&env).map(|config| serde_json::to_value(config).unwrap())
    }

    #[test]
    fn the_environment_of_opentelemetry_names_a_destination() {
        let names = |pairs| chosen(pairs).unwrap().as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&[]), ["debug"]);
        assert_eq!(names(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]), ["debug"]);
        assert_eq!(names(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4317")]), ["otlp_grpc"]);
        assert_eq!(names(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4318/")]), ["otlp_http"]);
        assert_eq!(names(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4318"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]), ["otlp_grpc"]);
        assert_eq!(names(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]), ["otlp_http"]);
    }

    #[test]
    fn an_endpoint_of_traces_is_a_whole_url_over_http() {
        let http = &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://a:4318/v1/traces")];
        assert_eq!(chosen(http).unwrap()["otlp_http"]["traces_endpoint"], "http://a:4318/v1/traces");
        let grpc = &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://a:4317")];
        assert_eq!(chosen(grpc).unwrap()["otlp_grpc"]["endpoint"], "http://a:4317");
    }

    #[test]
    fn an_endpoint_that_is_none_is_said_and_not_replaced_by_standard_output() {
        let error = chosen(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "tempo"), ("OTEL_EXPORTER_OTLP_HEADERS", "a=t0ken-secret")]).unwrap_err();
        assert!(error.contains("OTEL_EXPORTER_OTLP_ENDPOINT") && error.contains("not a URL") && !error.contains("t0ken"), "{error}");
    }

    #[test]
    fn headers_are_unescaped() {
        assert_eq!(unescaped("Basic%20abc%3D%3d"), "Basic abc==");
        assert_eq!(unescaped("100% of %zz and %e"), "100% of %zz and %e");
        assert_eq!(unescaped("%ff"), "%ff");
    }

    #[test]
    fn a_request_larger_than_the_memory_is_a_warning() {
        let warnings = |text: &str| {
            let loaded = load_file(Sources::new().text("t.yaml", text), |_, _| {}).unwrap_or_else(|p| panic!("{p}"));
            loaded.warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let http = "receivers: {otlp: {protocols: {http: {max_request_body_size: 300MiB}}}}\n";
        for fine in ["", "service: {memory: {limit: 300MiB}}", "service: {memory: {limit: 1%}}"] {
            assert_eq!(warnings(&format!("{http}{fine}")), [""; 0]);
        }
        let found = warnings(&format!("{http}service: {{memory: {{limit: 299MiB}}}}"));
        assert!(found.len() == 1 && found[0].contains("max_request_body_size") && found[0].contains("service.memory.limit"), "{found:?}");
        // Defaults are no different.
        assert_eq!(warnings("service: {memory: {limit: 32MiB}}").len(), 2);
    }

    #[test]
    fn an_empty_config_is_the_default_one() {
        let file = load_text("t.yaml", "").unwrap();
        assert_eq!(file.processors.order(), ["enrich", "tail_sampling", "redaction"]);
        assert!(!file.exporters.0.is_empty());
    }
}
