//! Recorded requests from files, and when they came.
//!
//! Times of arrival stand in a file `transport.jsonl` in the same folder, one line for each file (`{"file": …, "received_unix_nano": …}`), or,
//! for requests that are lines, as a member `received_unix_nano` of the line.

use crate::otlp::json;
use crate::otlp::signal::Signal;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::fs;
use std::path::{Path, PathBuf};

/// One recorded request, in protobuf.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) signal: Signal,
    pub(crate) body: Bytes,
    /// When it came, in nanoseconds since 1970, where that was recorded.
    pub(crate) received: Option<u64>,
}

/// Why a file cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    #[error("{path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error(
        "{path}: replay reads *.binpb (one request), *.json (one OTLP/JSON request), *.jsonl (one request a line) and *.otlp (any of them)"
    )]
    Kind { path: PathBuf },
    #[error("{path}:{line}: {message}")]
    Json { path: PathBuf, line: usize, message: String },
}

/// Every request in a file, in order.
pub(crate) fn read(path: &Path) -> Result<Vec<Recorded>, InputError> {
    let bytes = fs::read(path).map_err(|source| InputError::Read { path: path.to_owned(), source })?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let named = Signal::ALL.into_iter().find(|s| name.contains(&format!(".{}.", s.as_str())));
    let received = recorded_arrival(path, &name);
    let kind = match path.extension().and_then(|e| e.to_str()) {
        // A name that does not tell: lines of JSON, or one request.
        Some("otlp") if bytes.trim_ascii_start().first() == Some(&b'{') => Some("jsonl"),
        Some("otlp") => Some("binpb"),
        kind => kind,
    };
    match kind {
        Some("binpb" | "pb" | "bin") => Ok(vec![Recorded { signal: named.unwrap_or(Signal::Traces), body: bytes.into(), received }]),
        Some("json") => {
            from_json(path, 1, named, &bytes).map(|recorded| vec![Recorded { received: recorded.received.or(received), ..recorded }])
        }
        Some("jsonl" | "ndjson") => bytes
            .split(|b| *b == b'\n')
            .enumerate()
            .filter(|(_, line)| !line.trim_ascii().is_empty())
            .map(|(n, line)| from_json(path, n + 1, None, line))
            .collect(),
        _ => Err(InputError::Kind { path: path.to_owned() }),
    }
}

/// What `transport.jsonl` says of one file.
#[derive(Deserialize)]
struct Transport {
    file: String,
    received_unix_nano: u64,
}

/// When a file came, as `transport.jsonl` beside it has it. A file of another form is none.
fn recorded_arrival(path: &Path, name: &str) -> Option<u64> {
    let text = fs::read(path.with_file_name("transport.jsonl")).ok()?;
    // A look for the name first: such a file has a line for each of hundreds of requests.
    let lines = text.split(|b| *b == b'\n').filter(|line| line.windows(name.len()).any(|part| part == name.as_bytes()));
    lines
        .filter_map(|line| serde_json::from_slice::<Transport>(line).ok())
        .find(|line| line.file == name)
        .map(|line| line.received_unix_nano)
}

/// The members that tell the signals apart; a request holds one of them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape<'a> {
    #[serde(borrow, default)]
    resource_spans: Option<&'a RawValue>,
    #[serde(borrow, default)]
    resource_logs: Option<&'a RawValue>,
    #[serde(borrow, default)]
    resource_metrics: Option<&'a RawValue>,
    #[serde(default, rename = "received_unix_nano")]
    received: Option<Number>,
}

/// A number, or the text of one, as OTLP/JSON has 64 bits.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Plain(u64),
    Text(String),
}

fn from_json(path: &Path, line: usize, named: Option<Signal>, text: &[u8]) -> Result<Recorded, InputError> {
    let error = |message: String| InputError::Json { path: path.to_owned(), line, message };
    let shape: Shape<'_> = serde_json::from_slice(text).map_err(|e| error(format!("not a JSON object: {e}")))?;
    let signal = match (shape.resource_spans, shape.resource_logs, shape.resource_metrics) {
        (Some(_), _, _) => Signal::Traces,
        (_, Some(_), _) => Signal::Logs,
        (_, _, Some(_)) => Signal::Metrics,
        _ => named.unwrap_or(Signal::Traces),
    };
    let body = json::to_protobuf(signal, text).map_err(|e| error(e.to_string()))?;
    let received = match shape.received {
        None => None,
        Some(Number::Plain(nanos)) => Some(nanos),
        Some(Number::Text(text)) => Some(text.parse().map_err(|_| error("received_unix_nano is not a number of nanoseconds".into()))?),
    };
    Ok(Recorded { signal, body: body.into(), received })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, content: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        (folder, path)
    }

    #[test]
    fn the_name_of_a_binary_file_tells_its_signal() {
        for (name, signal) in [("a.traces.binpb", Signal::Traces), ("a.logs.binpb", Signal::Logs), ("a.binpb", Signal::Traces)] {
            let (_folder, path) = file(name, b"");
            assert_eq!(read(&path).unwrap()[0].signal, signal);
        }
    }

    #[test]
    fn what_an_otlp_file_holds_is_looked_at() {
        let (_folder, path) = file("capture.otlp", b"{\"resourceLogs\":[]}\n{\"resourceSpans\":[]}\n");
        assert_eq!(read(&path).unwrap().len(), 2);
        let (_folder, path) = file("capture.otlp", b"");
        assert_eq!(read(&path).unwrap()[0].signal, Signal::Traces);
    }

    #[test]
    fn each_line_tells_its_own_signal_and_empty_lines_are_none() {
        let (_folder, path) = file("a.jsonl", b"{\"resourceLogs\":[]}\n\n{\"resourceSpans\":[]}\n");
        assert_eq!(read(&path).unwrap().iter().map(|r| r.signal).collect::<Vec<_>>(), [Signal::Logs, Signal::Traces]);
    }

    #[test]
    fn the_time_of_arrival_stands_in_the_line_or_beside_the_file() {
        let (_folder, path) =
            file("a.jsonl", b"{\"resourceSpans\":[],\"received_unix_nano\":7}\n{\"resourceSpans\":[],\"received_unix_nano\":\"8\"}\n{}\n");
        assert_eq!(read(&path).unwrap().iter().map(|r| r.received).collect::<Vec<_>>(), [Some(7), Some(8), None]);
        let (folder, path) = file("a.traces.binpb", b"");
        assert_eq!(read(&path).unwrap()[0].received, None);
        let lines = "{\"file\":\"b.binpb\",\"received_unix_nano\":1}\n{\"file\":\"a.traces.binpb\",\"received_unix_nano\":2}\n";
        fs::write(folder.path().join("transport.jsonl"), lines).unwrap();
        assert_eq!(read(&path).unwrap()[0].received, Some(2));
    }

    #[test]
    fn an_error_names_file_and_line() {
        let (_folder, path) = file("a.jsonl", b"{}\nnot json\n");
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("a.jsonl:2: not a JSON object"), "{error}");
        assert!(read(Path::new("x.txt")).is_err());
    }
}
