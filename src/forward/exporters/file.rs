//! A file of OTLP/JSON: one request per line, as the Collector's file exporter writes it and `replay` reads it.

use crate::forward::batch::Batch;
use crate::forward::config::Problem;
use crate::forward::destination::lock;
use crate::forward::verdict::{Message, Reason, Verdict};
use crate::otlp::json;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Settings of `file`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Lines are added at its end; it is made if it is not there. A reload opens it anew.
    pub path: PathBuf,
}

/// An open file.
#[derive(Debug)]
pub(crate) struct Exporter {
    file: Arc<Mutex<File>>,
}

impl Exporter {
    pub(super) fn open(settings: &Settings) -> Result<Exporter, Problem> {
        let file = OpenOptions::new().create(true).append(true).open(&settings.path);
        let file = file.map_err(|error| Problem::new("path", format!("cannot write to {}: {error}", settings.path.display())))?;
        Ok(Exporter { file: Arc::new(Mutex::new(file)) })
    }

    pub(super) async fn send(&self, batch: &Batch, range: Range<usize>) -> Verdict {
        let signal = batch.signal();
        let encoded = match batch.encode(range, 0) {
            Ok(encoded) => encoded,
            Err(reason) => return Verdict::Failed(reason),
        };
        let file = Arc::clone(&self.file);
        let write = move || {
            let mut line = json::from_protobuf(signal, &encoded.bytes).map_err(|_| Verdict::Failed(Reason::Internal))?;
            line.push('\n');
            append(&mut lock(&file), line.as_bytes()).map_err(|error| {
                let message = Message::new(&error.to_string());
                Verdict::Later { reason: Reason::Write, hint: None, message }
            })
        };
        match tokio::task::spawn_blocking(write).await {
            Ok(Ok(())) => Verdict::Delivered { rejected: 0, message: Message::default() },
            Ok(Err(verdict)) => verdict,
            Err(_) => Verdict::Failed(Reason::Internal),
        }
    }
}

/// Adds a whole line or nothing: half a line on a full disk would spoil the next one too.
fn append(file: &mut File, line: &[u8]) -> io::Result<()> {
    let before = file.metadata()?.len();
    file.write_all(line).inspect_err(|_| {
        let _ = file.set_len(before);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::batch::tests::{logs, numbered, whole};

    #[tokio::test]
    async fn every_request_is_one_line_behind_what_was_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kept.jsonl");
        std::fs::write(&path, "{}\n").unwrap();
        let exporter = Exporter::open(&Settings { path: path.clone() }).unwrap();
        for batch in [whole(numbered(3)), whole(logs(1))] {
            let verdict = exporter.send(&batch, 0..batch.len()).await;
            assert_eq!(verdict, Verdict::Delivered { rejected: 0, message: Message::default() });
        }
        let text = std::fs::read_to_string(path).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1]["resourceSpans"][0]["scopeSpans"][0]["spans"][2]["name"], "s2");
        assert_eq!(lines[2]["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["severityText"], "INFO");
    }

    #[test]
    fn a_path_that_cannot_be_written_is_a_problem_of_the_config() {
        let directory = tempfile::tempdir().unwrap();
        let problem = Exporter::open(&Settings { path: directory.path().to_owned() }).unwrap_err();
        assert!(problem.key == "path" && problem.text.contains("cannot write to"), "{problem:?}");
    }

    #[tokio::test]
    async fn a_full_disk_is_tried_again() {
        let full = std::path::Path::new("/dev/full");
        if !full.exists() {
            return;
        }
        let exporter = Exporter::open(&Settings { path: full.to_owned() }).unwrap();
        let batch = whole(numbered(1));
        assert!(matches!(exporter.send(&batch, 0..1).await, Verdict::Later { reason: Reason::Write, .. }));
    }
}
