//! The book of one stage: a thread that empties the tallies, watches the budgets, writes, and answers.
//!
//! SQLite blocks, so it has a thread of its own and no task of the runtime waits for a disk. What cannot be written waits in a bounded
//! map, is part of every answer all the same, and is written when the disk takes it again.

use crate::enrich::LabelFilter;
use crate::spend::answer::{Answer, Groups};
use crate::spend::budget::{Account, Rules};
use crate::spend::config::Config;
use crate::spend::key::Key;
use crate::spend::meters::Meters;
use crate::spend::query::{Query, QueryError};
use crate::spend::store::{Store, StoreError};
use crate::spend::sums::Sums;
use crate::spend::tally::Tally;
use crate::telemetry::Telemetry;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::oneshot;
use tracing::{error, info};

/// How often the tallies are emptied and written.
const EVERY: Duration = Duration::from_secs(1);

/// How often old rows are looked for.
const PRUNE_EVERY: Duration = Duration::from_secs(600);

/// A disk that failed is tried again after this long.
const TRY_AGAIN: Duration = Duration::from_secs(if cfg!(test) { 0 } else { 5 });

/// Combinations a shard tells apart within a second, and all of them while nothing can be written: some 20 MB at most.
const TALLY: usize = 20_000;
const BACKLOG: usize = 50_000;

/// Why there is no book.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the thread of the spend book: {0}")]
pub struct StartError(#[from] std::io::Error);

/// What the tallies share with the book.
pub(super) struct Shared {
    pub(super) keys: Vec<(String, Key)>,
    pub(super) rules: Rules,
    tallies: Mutex<Vec<Arc<Mutex<Sums>>>>,
}

/// The spend book. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Book {
    shared: Arc<Shared>,
    filter: LabelFilter,
    orders: mpsc::Sender<Order>,
}

impl std::fmt::Debug for Book {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Book")
    }
}

enum Order {
    Ask(Query, oneshot::Sender<Result<Answer, QueryError>>),
    Close(oneshot::Sender<()>),
}

impl Book {
    /// Opens the book in this folder, or in memory without one. A file that cannot be opened is logged, and tried again. `filter` takes
    /// private data out of names.
    ///
    /// # Errors
    /// Where the system has no thread for it.
    pub fn open(config: &Config, folder: Option<&Path>, filter: LabelFilter, telemetry: &Telemetry) -> Result<Book, StartError> {
        let shared = Arc::new(Shared {
            keys: config.keys.iter().map(|name| (name.clone(), Key::of(name))).collect(),
            rules: Rules::new(&config.budgets, &config.keys),
            tallies: Mutex::default(),
        });
        let budgets = config.budgets.iter().enumerate().map(|(at, budget)| Account::new(at, budget, &telemetry.metrics)).collect();
        let mut writer = Writer {
            shared: Arc::clone(&shared),
            config: config.clone(),
            folder: folder.map(Path::to_owned),
            store: None,
            backlog: Sums::new(BACKLOG),
            budgets,
            meters: Meters::new(&telemetry.metrics),
            failing: false,
            resumed: false,
            try_at: Instant::now(),
            prune_at: Instant::now(),
        };
        let (orders, inbox) = mpsc::channel();
        std::thread::Builder::new().name("spend".to_owned()).spawn(move || writer.run(&inbox))?;
        Ok(Book { shared, filter, orders })
    }

    /// A tally for one shard.
    pub fn tally(&self) -> Tally {
        let sums = Arc::new(Mutex::new(Sums::new(TALLY)));
        self.shared.tallies.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&sums));
        Tally::new(Arc::clone(&self.shared), Arc::clone(&self.filter), sums)
    }

    /// Answers parameters as [`Query::parse`] reads them, with everything that was tallied before.
    ///
    /// # Errors
    /// For a question that means nothing, and where the book does not answer.
    pub async fn ask(&self, parameters: &[(String, String)]) -> Result<Answer, QueryError> {
        let names: Vec<String> = self.shared.keys.iter().map(|(name, _)| name.clone()).collect();
        let query = Query::parse(parameters.iter().map(|(name, value)| (&**name, &**value)), &names, seconds())?;
        let gone = |_| QueryError::Unavailable("the spend book is closed: the stage is stopping".to_owned());
        let (reply, answer) = oneshot::channel();
        self.orders.send(Order::Ask(query, reply)).map_err(|_| gone(()))?;
        answer.await.map_err(|_| gone(())).flatten()
    }

    /// Writes what was tallied, and closes the file. Tallies that are used afterwards are not written.
    pub async fn close(&self) {
        let (done, wait) = oneshot::channel();
        if self.orders.send(Order::Close(done)).is_ok() {
            let _ = wait.await;
        }
    }
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

struct Writer {
    shared: Arc<Shared>,
    config: Config,
    folder: Option<PathBuf>,
    store: Option<Store>,
    backlog: Sums,
    budgets: Vec<Account>,
    meters: Meters,
    /// Whether the last attempt failed: only the first one is logged.
    failing: bool,
    /// Whether the budgets know what the file has of their periods.
    resumed: bool,
    try_at: Instant,
    prune_at: Instant,
}

impl Writer {
    /// Until the book is closed, or nobody has it any more.
    fn run(&mut self, inbox: &mpsc::Receiver<Order>) {
        self.write(seconds());
        loop {
            match inbox.recv_timeout(EVERY) {
                Ok(Order::Ask(_, reply)) if reply.is_closed() => {}
                Ok(Order::Ask(query, reply)) => {
                    self.turn();
                    // Who asked may be gone.
                    let _ = reply.send(self.answer(&query));
                }
                Ok(Order::Close(done)) => {
                    self.try_at = Instant::now();
                    self.turn();
                    self.store = None;
                    let _ = done.send(());
                    return;
                }
                Err(RecvTimeoutError::Timeout) => self.turn(),
                Err(RecvTimeoutError::Disconnected) => return self.turn(),
            }
        }
    }

    fn turn(&mut self) {
        let now = seconds();
        self.collect(now);
        self.write(now);
    }

    /// Takes what the shards have added up.
    fn collect(&mut self, now: u64) {
        for budget in &mut self.budgets {
            budget.begin(now, &self.shared.rules);
        }
        let mut taken = Vec::new();
        self.shared.tallies.lock().unwrap_or_else(PoisonError::into_inner).retain(|tally| {
            // Asked first: what a shard adds before it ends is taken too.
            let in_use = Arc::strong_count(tally) > 1;
            taken.push(tally.lock().unwrap_or_else(PoisonError::into_inner).take());
            in_use
        });
        for sums in taken {
            self.meters.folded.increment(sums.folded);
            for (minute, series, amounts) in sums.iter() {
                self.budgets.iter_mut().for_each(|budget| budget.add(minute, series, amounts, &self.shared.rules));
                self.backlog.add(minute, series, amounts);
            }
        }
    }

    /// Opens the file where it is not open, and writes what waits.
    fn write(&mut self, now: u64) {
        if Instant::now() >= self.try_at {
            match self.try_write(now) {
                Ok(()) if self.failing => {
                    self.failing = false;
                    info!(target: "spend", "the spend book is written again");
                }
                Ok(()) => {}
                Err(problem) => {
                    self.try_at = Instant::now() + TRY_AGAIN;
                    self.meters.failures.increment(1);
                    // What is wrong with a file may be gone with the handle of it; what is in memory would be gone too.
                    if self.folder.is_some() {
                        self.store = None;
                    }
                    if !std::mem::replace(&mut self.failing, true) {
                        error!(target: "spend", %problem, "the spend book cannot be written: what is spent is kept in memory until it can");
                    }
                }
            }
        }
        self.meters.unwritten.set(self.backlog.len() as f64);
    }

    fn try_write(&mut self, now: u64) -> Result<(), StoreError> {
        if self.store.is_none() {
            let max_series = usize::try_from(self.config.max_series).unwrap_or(usize::MAX);
            let store = Store::open(self.folder.as_deref(), &self.config.keys, max_series)?;
            if !self.resumed {
                self.resume(&store, now)?;
            }
            self.store = Some(store);
        }
        let Some(store) = &mut self.store else { return Ok(()) };
        if !self.backlog.is_empty() {
            let folded = store.write(&self.backlog, now)?;
            self.meters.folded.increment(folded.saturating_add(self.backlog.folded));
            self.backlog.take();
            self.meters.series.set(store.series() as f64);
        }
        if Instant::now() >= self.prune_at {
            store.prune(&self.config.keep, now)?;
            self.prune_at = Instant::now() + PRUNE_EVERY;
        }
        Ok(())
    }

    /// Adds to the budgets what was spent in their periods before this process began.
    fn resume(&mut self, store: &Store, now: u64) -> Result<(), StoreError> {
        let rules = &self.shared.rules;
        for budget in &mut self.budgets {
            budget.begin(now, rules);
        }
        let Some(since) = self.budgets.iter().map(Account::start).min() else { return Ok(()) };
        let before = store.hours_since(since)?;
        for (hour, series, amounts) in &before {
            self.budgets.iter_mut().for_each(|budget| budget.add(*hour, series, amounts, rules));
        }
        self.resumed = true;
        Ok(())
    }

    /// What is in the file, and what waits to be.
    fn answer(&self, query: &Query) -> Result<Answer, QueryError> {
        let mut groups = Groups::default();
        let (from, to) = match &self.store {
            Some(store) => store.ask(query, &mut groups)?,
            None => (query.from, query.to),
        };
        for (minute, series, amounts) in self.backlog.iter().filter(|(minute, ..)| (from..to).contains(minute)) {
            if let Some(labels) = query.labels_of(minute, series) {
                groups.add(labels, amounts)?;
            }
        }
        Ok(groups.answer(query, from, to))
    }
}

#[cfg(test)]
mod tests;
