//! Recorded requests of real instrumentations, as fixtures.

use serde_json::Value;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use tollgate::otlp::signal::Signal;

/// One recorded request body, decompressed, and how it came.
#[derive(Clone)]
pub(crate) struct Recorded {
    pub(crate) file: String,
    pub(crate) signal: Signal,
    pub(crate) json: bool,
    pub(crate) body: Vec<u8>,
    pub(crate) grpc: bool,
    pub(crate) gzip: bool,
    pub(crate) chunked: bool,
    pub(crate) content_type: String,
    /// When, in nanoseconds since 1970.
    pub(crate) at: u64,
}

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/corpus")
}

/// All of them, by folder and name.
pub(crate) fn all() -> Vec<Recorded> {
    let mut out = Vec::new();
    for folder in sorted(&folder()).into_iter().filter(|p| p.is_dir()) {
        let meta: Value = serde_json::from_slice(&fs::read(folder.join("meta.json")).expect("meta.json")).expect("JSON");
        let grpc_gzip = meta["exporter"].as_str().is_some_and(|exporter| exporter.contains("gzip"));
        let transport: HashMap<String, Value> =
            lines(&folder.join("transport.jsonl")).into_iter().map(|line| (string(&line["file"]), line)).collect();
        for path in sorted(&folder) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let signal = Signal::ALL.into_iter().find(|s| name.contains(&format!(".{}.", s.as_str())));
            if let Some(signal) = signal {
                let body = fs::read(&path).expect("a fixture is readable");
                let file = format!("{}/{name}", folder.file_name().unwrap_or_default().to_string_lossy());
                let line = transport.get(&name).unwrap_or_else(|| panic!("{file} has no line in transport.jsonl"));
                let (metadata, grpc) = (&line["metadata"], line["transport"] == "grpc");
                out.push(Recorded {
                    file,
                    signal,
                    json: name.ends_with(".json"),
                    body,
                    grpc,
                    gzip: if grpc { grpc_gzip } else { line["content_encoding"] == "gzip" },
                    chunked: metadata["transfer-encoding"] == "chunked",
                    content_type: string(&metadata["content-type"]),
                    at: line["received_unix_nano"].as_u64().expect("a time"),
                });
            }
        }
    }
    assert!(out.len() > 600, "the corpus is incomplete: {} requests", out.len());
    out
}

/// All of them, in the order they came.
pub(crate) fn in_order() -> Vec<Recorded> {
    let mut all = all();
    all.sort_by_key(|recorded| recorded.at);
    all
}

/// The lines of a JSON lines file.
pub(crate) fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().filter(|line| !line.trim().is_empty()).map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).expect("the fixtures are there").map(|e| e.expect("an entry").path()).collect();
    paths.sort();
    paths
}
