//! Recorded requests from files.

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
}

/// Why a file cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    #[error("{path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path}: replay reads *.binpb (one request), *.json (one OTLP/JSON request) and *.jsonl (one request a line)")]
    Kind { path: PathBuf },
    #[error("{path}:{line}: {message}")]
    Json { path: PathBuf, line: usize, message: String },
}

/// Every request in a file, in order.
pub(crate) fn read(path: &Path) -> Result<Vec<Recorded>, InputError> {
    let bytes = fs::read(path).map_err(|source| InputError::Read { path: path.to_owned(), source })?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let named = Signal::ALL.into_iter().find(|s| name.contains(&format!(".{}.", s.as_str())));
    match path.extension().and_then(|e| e.to_str()) {
        Some("binpb" | "pb" | "bin") => Ok(vec![Recorded { signal: named.unwrap_or(Signal::Traces), body: bytes.into() }]),
        Some("json") => Ok(vec![from_json(path, 1, named, &bytes)?]),
        Some("jsonl" | "ndjson") => bytes
            .split(|b| *b == b'\n')
            .enumerate()
            .filter(|(_, line)| !line.trim_ascii().is_empty())
            .map(|(n, line)| from_json(path, n + 1, None, line))
            .collect(),
        _ => Err(InputError::Kind { path: path.to_owned() }),
    }
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
    Ok(Recorded { signal, body: body.into() })
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
    fn each_line_tells_its_own_signal_and_empty_lines_are_none() {
        let (_folder, path) = file("a.jsonl", b"{\"resourceLogs\":[]}\n\n{\"resourceSpans\":[]}\n");
        assert_eq!(read(&path).unwrap().iter().map(|r| r.signal).collect::<Vec<_>>(), [Signal::Logs, Signal::Traces]);
    }

    #[test]
    fn an_error_names_file_and_line() {
        let (_folder, path) = file("a.jsonl", b"{}\nnot json\n");
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("a.jsonl:2: not a JSON object"), "{error}");
        assert!(read(Path::new("x.txt")).is_err());
    }
}
