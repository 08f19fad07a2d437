//! A file of OTLP/JSON: one request per line, as the Collector's file exporter writes it and `replay` reads it.

use crate::forward::batch::Batch;
use crate::forward::config::Problem;
use crate::forward::destination::lock;
use crate::forward::verdict::{Message, Reason, Verdict};
use crate::otlp::json;
use rustix::fs::{Access, access};
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
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

impl Settings {
    /// Whether lines could be added, found out without making or changing anything.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let cannot = |why: &dyn Display| vec![Problem::new("path", format!("cannot write to {}: {why}", self.path.display()))];
        let directory = directory(&self.path);
        let asked = match self.path.try_exists() {
            Err(error) => return cannot(&error),
            Ok(true) if self.path.is_dir() => return cannot(&"it is a directory"),
            Ok(true) => access(&self.path, Access::WRITE_OK),
            Ok(false) if !directory.is_dir() => return cannot(&format_args!("{} is not a directory; make it first", directory.display())),
            Ok(false) => access(directory, Access::WRITE_OK | Access::EXEC_OK),
        };
        asked.map_or_else(|error| cannot(&error), |()| Vec::new())
    }

    /// The path by which two names of one file are known.
    pub(crate) fn place(&self) -> PathBuf {
        let whole = self.path.canonicalize().ok();
        let parent = || Some(directory(&self.path).canonicalize().ok()?.join(self.path.file_name()?));
        whole.or_else(parent).unwrap_or_else(|| self.path.clone())
    }
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
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

    #[test]
    fn a_path_is_checked_without_making_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let problems = |path: &Path| Settings { path: path.to_owned() }.problems();
        let (new, old) = (directory.path().join("new.jsonl"), directory.path().join("old.jsonl"));
        std::fs::write(&old, "{}\n").unwrap();
        assert_eq!((problems(&new), problems(&old), problems(Path::new("kept.jsonl"))), (vec![], vec![], vec![]));
        assert!(!new.exists() && std::fs::read_to_string(&old).unwrap() == "{}\n");
        for wrong in [directory.path().join("none/x.jsonl"), old.join("x.jsonl"), directory.path().to_owned()] {
            assert_eq!(problems(&wrong).len(), 1, "{}", wrong.display());
        }
        assert!(problems(Path::new("/nonexistent/x"))[0].text.contains("/nonexistent is not a directory"));
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
