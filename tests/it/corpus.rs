//! Recorded requests of real instrumentations, as fixtures.

use std::fs;
use std::path::{Path, PathBuf};
use tollgate::otlp::signal::Signal;

/// One recorded request body, decompressed.
pub(crate) struct Recorded {
    pub(crate) file: String,
    pub(crate) signal: Signal,
    pub(crate) json: bool,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/corpus")
}

/// All of them, by folder and name.
pub(crate) fn all() -> Vec<Recorded> {
    let mut out = Vec::new();
    for folder in sorted(&folder()).into_iter().filter(|p| p.is_dir()) {
        for path in sorted(&folder) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let signal = Signal::ALL.into_iter().find(|s| name.contains(&format!(".{}.", s.as_str())));
            if let Some(signal) = signal {
                let body = fs::read(&path).expect("a fixture is readable");
                let file = format!("{}/{name}", folder.file_name().unwrap_or_default().to_string_lossy());
                out.push(Recorded { file, signal, json: name.ends_with(".json"), body });
            }
        }
    }
    assert!(out.len() > 600, "the corpus is incomplete: {} requests", out.len());
    out
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).expect("the fixtures are there").map(|e| e.expect("an entry").path()).collect();
    paths.sort();
    paths
}
