//! Getting it there.
//!
//! Redacted items are handed to every destination at once, as one shared buffer. Each destination has a queue bounded in bytes, cuts
//! batches from it, keeps several requests in flight, and answers for every item until its backend has it. What a backend cannot take
//! now is sent again; what it will never take is halved until the culprit is found. A queue that is full pushes back to the receivers
//! while the senders still own their data: nothing that was accepted is dropped to make room. What each answer of a backend means stands at the head of `verdict.rs`.

mod batch;
pub mod config;
mod deliver;
mod destination;
pub mod exporters;
mod health;
mod meters;
mod queue;
mod rate;
mod retry;
mod verdict;

pub use config::Config;
pub use destination::Status;
pub use health::State;

use crate::redact::Redacted;
use crate::telemetry::Telemetry;
use arc_swap::ArcSwap;
use config::Problem;
use destination::{Destination, Running, lock};
use exporters::Settings;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;
use verdict::Reason;

/// How long a destination that was taken out of the config may still empty its queue.
const RETIREMENT: Duration = Duration::from_secs(300);

/// Why the destinations of a config cannot be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// No destination at all.
    #[error("exporters: there is no destination; write for example `debug: {{}}`")]
    Empty,
    /// A setting that cannot work.
    #[error("exporters.{destination}.{key}: {text}")]
    Setting {
        /// `type/name`.
        destination: String,
        /// Its key below the exporter.
        key: &'static str,
        /// What is wrong and what to do.
        text: String,
    },
}

impl StartError {
    fn new(destination: &str, problem: Problem) -> StartError {
        StartError::Setting { destination: destination.to_owned(), key: problem.key, text: problem.text }
    }
}

impl Config {
    /// Everything about it that cannot work, files that cannot be read included. Nothing is connected to or written.
    pub fn check(&self) -> Vec<StartError> {
        let mut errors: Vec<_> = if self.0.is_empty() { vec![StartError::Empty] } else { Vec::new() };
        let mut files: Vec<(PathBuf, &str)> = Vec::new();
        for (name, settings) in &self.0 {
            errors.extend(settings.problems().into_iter().map(|problem| StartError::new(name, problem)));
            let Settings::File(file) = settings else { continue };
            let place = file.place();
            match files.iter().find(|(other, _)| *other == place) {
                Some((_, other)) => {
                    let text = format!("{} is the file of {other} too; give each a file of its own", file.path.display());
                    errors.push(StartError::new(name, Problem::new("path", text)));
                }
                None => files.push((place, name)),
            }
        }
        errors
    }
}

/// The running destinations.
#[derive(Debug)]
pub struct Forward {
    telemetry: Telemetry,
    /// Held while items are handed over or settled, so that the books never show half of it.
    books: Arc<Mutex<()>>,
    destinations: ArcSwap<Vec<Arc<Destination>>>,
    retired: Mutex<Vec<Arc<Destination>>>,
}

impl Forward {
    /// Starts every destination of `config`. Backends need not be there yet. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// The first setting that cannot work.
    pub fn start(config: &Config, telemetry: &Telemetry) -> Result<Forward, StartError> {
        let books = Arc::default();
        let running = build(config)?;
        let destinations = running.into_iter().map(|(name, running)| Destination::start(&name, running, telemetry, &books)).collect();
        Ok(Forward { telemetry: telemetry.clone(), books, destinations: ArcSwap::from_pointee(destinations), retired: Mutex::default() })
    }

    /// Hands items to every destination. Never waits: what was accepted may go over the limit of a queue.
    pub fn enqueue(&self, redacted: Arc<Redacted>) {
        if redacted.is_empty() {
            return;
        }
        let items = redacted.len() as u64;
        // No export can settle what the ledger was not told of yet, nor a reload retire who is on the list.
        let _books = lock(&self.books);
        let destinations = self.destinations.load();
        let mut untaken = Vec::new();
        for destination in destinations.iter() {
            if let Err(reason) = destination.push(&redacted) {
                untaken.push((destination, reason));
            }
        }
        let accounts: Vec<usize> = destinations.iter().map(|destination| destination.account()).collect();
        self.telemetry.ledger.hand_over(items, &accounts);
        for (destination, reason) in untaken {
            destination.settle_untaken(items, reason);
        }
    }

    /// When senders should come back (1 to 30 s), if any queue is at its limit.
    pub fn pressure(&self) -> Option<Duration> {
        self.destinations.load().iter().filter_map(|destination| destination.pressure()).max()
    }

    /// How each destination does, in the order of their names.
    pub fn status(&self) -> Vec<Status> {
        self.destinations.load().iter().map(|destination| destination.status()).collect()
    }

    /// Takes over another config. A destination that stays keeps its queue, and what waits in it is sent with the new settings; one that is
    /// new starts; one that is gone sends what it has, for five minutes at most.
    ///
    /// # Errors
    /// The first setting that cannot work; then nothing has changed.
    pub fn reload(&self, config: &Config) -> Result<(), StartError> {
        let running = build(config)?;
        // One reload at a time.
        let mut retired = lock(&self.retired);
        let old = self.destinations.load_full();
        let mut new = Vec::with_capacity(running.len());
        for (name, running) in running {
            match old.iter().find(|destination| destination.name() == name) {
                Some(kept) => {
                    kept.replace(running);
                    new.push(Arc::clone(kept));
                }
                None => new.push(Destination::start(&name, running, &self.telemetry, &self.books)),
            }
        }
        let gone: Vec<_> = old.iter().filter(|old| !new.iter().any(|new| Arc::ptr_eq(old, new))).cloned().collect();
        {
            let _books = lock(&self.books);
            self.destinations.store(Arc::new(new));
        }
        retired.retain(|destination| !destination.is_done());
        for destination in gone {
            retired.push(Arc::clone(&destination));
            let until = Instant::now() + RETIREMENT;
            tokio::spawn(async move { destination.drain(until, Reason::Removed).await });
        }
        Ok(())
    }

    /// Sends everything that waits. What has not left after `time` is counted as failed with reason `shutdown`; the number of such items is
    /// returned. Nothing is taken after that.
    pub async fn drain(&self, time: Duration) -> u64 {
        let until = Instant::now() + time;
        let mut all: Vec<_> = self.destinations.load().iter().cloned().collect();
        all.extend(lock(&self.retired).iter().cloned());
        let drains = all.iter().map(|destination| destination.drain(until, Reason::Shutdown));
        futures_util::future::join_all(drains).await.into_iter().sum()
    }
}

/// Whoever does not drain gives up what still waits; the tasks end.
impl Drop for Forward {
    fn drop(&mut self) {
        self.destinations.load().iter().chain(lock(&self.retired).iter()).for_each(|destination| destination.stop());
    }
}

fn build(config: &Config) -> Result<Vec<(String, Running)>, StartError> {
    if config.0.is_empty() {
        return Err(StartError::Empty);
    }
    let build = |(name, settings): (&String, &Settings)| {
        let error = |problem| StartError::new(name, problem);
        if let Some(problem) = settings.problems().into_iter().next() {
            return Err(error(problem));
        }
        let exporter = settings.open().map_err(error)?;
        Ok((name.clone(), Running::new(settings.common(), exporter)))
    };
    config.0.iter().map(build).collect()
}

#[cfg(test)]
mod tests;
