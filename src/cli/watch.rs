//! Tells when a config, or a file that it names, has other content than before.
//!
//! Folders are watched and not files: Kubernetes replaces a link in one, and editors replace the file. Content is compared, because a
//! folder changes for many reasons.

use notify::RecursiveMode;
use notify_debouncer_full::{DebounceEventResult, Debouncer, RecommendedCache, new_debouncer};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::warn;

/// A file is read again when it has been quiet for this long: editors write in several steps.
const SETTLE: Duration = Duration::from_millis(500);

/// Files by what was last read of them.
type Known = Arc<Mutex<HashMap<PathBuf, Option<u64>>>>;

/// Watches files until it is dropped.
pub(super) struct Watcher {
    known: Known,
    debouncer: Debouncer<notify::RecommendedWatcher, RecommendedCache>,
    folders: Vec<PathBuf>,
    changes: mpsc::Receiver<()>,
}

impl Watcher {
    /// For files as they are now.
    ///
    /// # Errors
    /// The system has nothing to watch with, or the folder of the first file cannot be watched.
    pub(super) fn start(files: Vec<PathBuf>) -> notify::Result<Watcher> {
        let known = Known::default();
        let (changed, changes) = mpsc::channel(1);
        let seen = Arc::clone(&known);
        let on_event = move |_: DebounceEventResult| {
            if look(&seen) {
                // One reload is waiting already: it will see this change too.
                let _ = changed.try_send(());
            }
        };
        let debouncer = new_debouncer(SETTLE, None, on_event)?;
        let mut watcher = Watcher { known, debouncer, folders: Vec::new(), changes };
        let first = files.first().map(|file| folder(file).to_owned()).unwrap_or_default();
        watcher.watch(first)?;
        watcher.follow(files);
        Ok(watcher)
    }

    /// Goes on with these files. A folder that cannot be watched is said so, and its files are read at the next reload.
    pub(super) fn follow(&mut self, files: Vec<PathBuf>) {
        for file in &files {
            let folder = folder(file).to_owned();
            if let Err(problem) = self.watch(folder) {
                warn!(target: "config", "{} is not watched: {problem}", file.display());
            }
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|file, _| files.contains(file));
        for file in files {
            known.entry(file).or_insert_with_key(|file| content(file));
        }
    }

    /// Waits until one of the files has other content.
    pub(super) async fn changed(&mut self) {
        // The sender lives as long as the debouncer.
        let _ = self.changes.recv().await;
    }

    fn watch(&mut self, folder: PathBuf) -> notify::Result<()> {
        if !self.folders.contains(&folder) {
            self.debouncer.watch(&folder, RecursiveMode::NonRecursive)?;
            self.folders.push(folder);
        }
        Ok(())
    }
}

fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Reads every file again; true if one is there and differs. One that is gone is about to be replaced.
fn look(known: &Known) -> bool {
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    let mut differs = false;
    for (file, before) in known.iter_mut() {
        let now = content(file);
        if now.is_some() && now != *before {
            *before = now;
            differs = true;
        }
    }
    differs
}

fn content(file: &Path) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    std::fs::read(file).ok()?.hash(&mut hasher);
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn changes(watcher: &mut Watcher) {
        tokio::time::timeout(Duration::from_secs(60), watcher.changed()).await.expect("a change is seen");
    }

    #[tokio::test]
    async fn a_change_of_any_file_is_told_and_a_touch_of_the_folder_is_not() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (config, prices) = (one.path().join("config.yaml"), two.path().join("prices.yaml"));
        std::fs::write(&config, "a").unwrap();
        std::fs::write(&prices, "a").unwrap();
        let mut watcher = Watcher::start(vec![config.clone()]).unwrap();
        watcher.follow(vec![config.clone(), prices.clone()]);
        std::fs::write(&prices, "b").unwrap();
        changes(&mut watcher).await;
        std::fs::remove_file(&config).unwrap();
        std::fs::write(one.path().join("other"), "x").unwrap();
        assert!(!look(&watcher.known), "gone, or nobody's");
        std::fs::write(&config, "b").unwrap();
        changes(&mut watcher).await;
        assert!(!look(&watcher.known));
    }
}
