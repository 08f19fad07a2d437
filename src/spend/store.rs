//! The book on disk: one SQLite file that any SQLite tool can read.
//!
//! A row is what one series spent in one minute, hour or day, and every amount is added at all three, so nothing is ever moved from one
//! to the other: what is old is only deleted, the fine parts first. For people there are the views `minutes`, `hours` and `days`.
//!
//! Money is two whole numbers, dollars and pico-dollars: SQLite's own have 64 bits, and its decimals are floats.

use crate::spend::answer::Groups;
use crate::spend::config::Keep;
use crate::spend::query::{Group, Level, Part, Query, QueryError};
use crate::spend::sums::{Amounts, BASE, COUNTS, MODELS, Series, Sums, admit};
use crate::units::Usd;
use ahash::RandomState;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, Transaction, params, params_from_iter};
use std::collections::HashMap;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Name of the file in `service.state_directory`.
pub const FILE: &str = "spend.sqlite";

/// What this version writes.
const VERSION: i64 = 1;

/// Most rows of each resolution: some 150 MB of a file, and some 15 MB of memory where there is none.
const MOST_ROWS: i64 = 2_000_000;
const MOST_ROWS_IN_MEMORY: i64 = 200_000;

/// How long another user of the file is waited for. Those who read it wait for nobody and hold up nobody.
const PATIENCE: Duration = Duration::from_secs(1);

/// A count never grows past this, so that two of them can be added.
const MOST: u64 = 1 << 62;

/// Pico-dollars in a dollar.
const PICO: i128 = 1_000_000_000_000;

/// Why the book cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder or the file cannot be made.
    #[error("service.state_directory: cannot make \"{file}\": {source}")]
    File {
        /// The folder or file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is of another program, or of a later version of this one.
    #[error(
        "{file}: version {found} of the spend book, and this program knows {VERSION}; move the file away, or use the program that wrote it"
    )]
    Version {
        /// The file.
        file: String,
        /// What it says.
        found: i64,
    },
    /// SQLite says no.
    #[error("{file}: {source}")]
    Sqlite {
        /// The file.
        file: String,
        /// What it says.
        source: rusqlite::Error,
    },
}

/// An open book.
pub(super) struct Store {
    db: Connection,
    file: String,
    keys: Vec<String>,
    max_series: usize,
    most_rows: i64,
    today: Option<Today>,
}

/// Series that have a place today, and their numbers.
#[derive(Default)]
struct Today {
    day: u64,
    series: HashMap<Arc<Series>, i64, RandomState>,
}

impl Store {
    /// The file in this folder, made where it is not there; without a folder a book that is gone with the process.
    pub(super) fn open(folder: Option<&Path>, keys: &[String], max_series: usize) -> Result<Store, StoreError> {
        let (db, file) = match folder {
            None => (Connection::open_in_memory(), "the spend book in memory".to_owned()),
            Some(folder) => {
                std::fs::create_dir_all(folder).map_err(|source| StoreError::File { file: folder.to_owned(), source })?;
                let path = folder.join(FILE);
                // Names of users may be in it: it is made for the eyes of its owner. SQLite gives the files beside it the same rights.
                let made = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
                made.map_err(|source| StoreError::File { file: path.clone(), source })?;
                (Connection::open(&path), path.display().to_string())
            }
        };
        let db = db.map_err(|source| StoreError::Sqlite { file: file.clone(), source })?;
        let most_rows = if folder.is_some() { MOST_ROWS } else { MOST_ROWS_IN_MEMORY };
        let store = Store { db, file, keys: keys.to_vec(), max_series, most_rows, today: None };
        let found = store.version()?;
        if !(0..=VERSION).contains(&found) {
            return Err(StoreError::Version { file: store.file, found });
        }
        store.prepare().map_err(|source| store.error(source))?;
        Ok(store)
    }

    fn error(&self, source: rusqlite::Error) -> StoreError {
        StoreError::Sqlite { file: self.file.clone(), source }
    }

    fn version(&self) -> Result<i64, StoreError> {
        self.db.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(|source| self.error(source))
    }

    fn prepare(&self) -> rusqlite::Result<()> {
        self.db.busy_timeout(PATIENCE)?;
        // Written ahead: readers do not wait, and a commit a second costs no flush of the disk each. A power failure may cost the last
        // seconds, and never the file.
        self.db.pragma_update(None, "journal_mode", "WAL")?;
        self.db.pragma_update(None, "synchronous", "NORMAL")?;
        let counts = COUNTS.map(|name| format!("{name} INTEGER NOT NULL")).join(", ");
        self.db.execute_batch(&format!(
            "BEGIN;
             CREATE TABLE IF NOT EXISTS series (
                 id INTEGER PRIMARY KEY, service TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, keys TEXT NOT NULL,
                 UNIQUE (service, provider, model, keys)) STRICT;
             CREATE TABLE IF NOT EXISTS amounts (
                 unit INTEGER NOT NULL, at INTEGER NOT NULL, series INTEGER NOT NULL, {counts},
                 dollars INTEGER NOT NULL, pico INTEGER NOT NULL, PRIMARY KEY (unit, at, series)) STRICT, WITHOUT ROWID;
             CREATE TABLE IF NOT EXISTS kept (unit INTEGER PRIMARY KEY, since INTEGER NOT NULL) STRICT;
             CREATE TABLE IF NOT EXISTS keys (place INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
             DELETE FROM keys;
             {}
             PRAGMA user_version = {VERSION};
             COMMIT;",
            Level::ALL.map(|level| self.view(level)).join("\n")
        ))?;
        for (place, name) in self.keys.iter().enumerate() {
            self.db.execute("INSERT INTO keys VALUES (?, ?)", params![place as i64, name])?;
        }
        Ok(())
    }

    /// A table of one resolution for people: times and names as text, money as a number.
    fn view(&self, level: Level) -> String {
        // Names of keys are letters, digits and . _ - : /, so they can stand between quotes.
        let keys: String = self.keys.iter().map(|key| format!(", json_extract(s.keys, '$.\"{key}\"') AS \"{key}\"")).collect();
        let counts: String = COUNTS.map(|name| format!(", a.{name}")).concat();
        format!(
            "DROP VIEW IF EXISTS {0}s;
             CREATE VIEW {0}s AS SELECT strftime('%Y-%m-%dT%H:%M:%SZ', a.at, 'unixepoch') AS at, s.service, s.provider, s.model{keys}{counts},
             a.input_uncached_tokens + a.cache_read_tokens + a.cache_write_tokens AS input_tokens,
             a.dollars + a.pico / 1e12 AS usd FROM amounts a JOIN series s ON s.id = a.series WHERE a.unit = {1};",
            level.name(),
            level.seconds()
        )
    }

    /// Adds these sums, all of them or none; how many calls went under `_other`. `now` is in Unix seconds.
    pub(super) fn write(&mut self, sums: &Sums, now: u64) -> Result<u64, StoreError> {
        let written = self.try_write(sums, now);
        if written.is_err() {
            // The numbers of new series went with the transaction.
            self.today = None;
        }
        written.map_err(|source| self.error(source))
    }

    fn try_write(&mut self, sums: &Sums, now: u64) -> rusqlite::Result<u64> {
        let day = Level::Day.start(now);
        let mut today = match self.today.take().filter(|today| today.day == day) {
            Some(today) => today,
            None => self.series_of(day)?,
        };
        let (keys, max_series) = (&self.keys, self.max_series);
        let transaction = self.db.transaction()?;
        let mut folded = 0u64;
        for (minute, series, amounts) in sums.iter() {
            let known = &today.series;
            let admitted =
                admit(series, |series, folded| known.contains_key(series) || known.len() < max_series + if folded { MODELS } else { 0 });
            if admitted != *series {
                folded = folded.saturating_add(amounts.calls());
            }
            let number = match today.series.get(&admitted) {
                Some(number) => *number,
                None => {
                    let number = number(&transaction, &admitted, keys)?;
                    today.series.insert(admitted, number);
                    number
                }
            };
            for level in Level::ALL {
                add(&transaction, level, level.start(minute), number, amounts)?;
            }
        }
        transaction.commit()?;
        self.today = Some(today);
        Ok(folded)
    }

    /// The series that have spent anything on this day.
    fn series_of(&self, day: u64) -> rusqlite::Result<Today> {
        let sql = "SELECT s.service, s.provider, s.model, s.keys, s.id FROM series s JOIN amounts a ON a.series = s.id WHERE a.unit = ? AND a.at = ?";
        let mut statement = self.db.prepare(sql)?;
        let mut rows = statement.query(params![Level::Day.seconds() as i64, day as i64])?;
        let mut today = Today { day, ..Today::default() };
        while let Some(row) = rows.next()? {
            today.series.insert(Arc::new(self.read_series(row)?), row.get(4)?);
        }
        Ok(today)
    }

    /// What was spent in the hours since then, by hour and series.
    pub(super) fn hours_since(&self, since: u64) -> Result<Vec<(u64, Series, Amounts)>, StoreError> {
        let read = || -> rusqlite::Result<Vec<_>> {
            let sql = "SELECT s.service, s.provider, s.model, s.keys, a.at, a.dollars, a.pico FROM amounts a JOIN series s ON s.id = a.series WHERE a.unit = ? AND a.at >= ?";
            let mut statement = self.db.prepare(sql)?;
            let mut rows = statement.query(params![Level::Hour.seconds() as i64, since as i64])?;
            let mut out = Vec::new();
            while let Some(row) = rows.next()? {
                let (dollars, pico): (i64, i64) = (row.get(5)?, row.get(6)?);
                let usd = Usd::from_pico(i128::from(dollars).saturating_mul(PICO).saturating_add(pico.into()));
                out.push((row.get::<_, i64>(4)?.max(0) as u64, self.read_series(row)?, Amounts { usd, ..Amounts::default() }));
            }
            Ok(out)
        };
        read().map_err(|source| self.error(source))
    }

    /// A series out of its four columns, which stand first. Keys that the config has no more are left out.
    fn read_series(&self, row: &Row<'_>) -> rusqlite::Result<Series> {
        let text = |at: usize| row.get::<_, String>(at).map(String::into_boxed_str);
        let values: serde_json::Value = serde_json::from_str(&text(3)?).unwrap_or_default();
        let keys = self.keys.iter().map(|key| values.get(key).and_then(|value| value.as_str()).unwrap_or_default().into());
        Ok(Series::new([text(0)?, text(1)?, text(2)?].into_iter().chain(keys).collect()))
    }

    /// Series that have a place today.
    pub(super) fn series(&self) -> usize {
        self.today.as_ref().map_or(0, |today| today.series.len())
    }

    /// Deletes what is older than it is to be kept, and the oldest of what is too much.
    pub(super) fn prune(&mut self, keep: &Keep, now: u64) -> Result<(), StoreError> {
        self.try_prune(keep, now).map_err(|source| self.error(source))
    }

    fn try_prune(&mut self, keep: &Keep, now: u64) -> rusqlite::Result<()> {
        let transaction = self.db.transaction()?;
        for level in Level::ALL {
            let (kept, coarser) = match level {
                Level::Minute => (keep.minutes, Level::Hour),
                Level::Hour => (keep.hours, Level::Day),
                Level::Day => (keep.days, Level::Day),
            };
            let unit = level.seconds() as i64;
            // By whole hours and days: what is asked for then are these.
            let mut since = coarser.start(now.saturating_sub(kept.as_secs()));
            let last: Option<i64> = transaction
                .query_row("SELECT at FROM amounts WHERE unit = ? ORDER BY at DESC LIMIT 1 OFFSET ?", params![unit, self.most_rows], |r| {
                    r.get(0)
                })
                .optional()?;
            if let Some(last) = last {
                since = since.max(coarser.start(last.max(0) as u64).saturating_add(coarser.seconds()));
            }
            let gone = transaction.execute("DELETE FROM amounts WHERE unit = ? AND at < ?", params![unit, since as i64])?;
            if gone > 0 {
                let sql = "INSERT INTO kept VALUES (?1, ?2) ON CONFLICT DO UPDATE SET since = max(since, excluded.since)";
                transaction.execute(sql, params![unit, since as i64])?;
            }
            if gone > 0 && level == Level::Day {
                transaction.execute("DELETE FROM series WHERE id NOT IN (SELECT series FROM amounts)", [])?;
                self.today = None;
            }
        }
        transaction.commit()
    }

    /// Since when a resolution is there, in Unix seconds.
    fn since(&self, level: Level) -> rusqlite::Result<u64> {
        let unit = level.seconds() as i64;
        let since: Option<i64> = self.db.query_row("SELECT since FROM kept WHERE unit = ?", [unit], |row| row.get(0)).optional()?;
        Ok(since.unwrap_or(0).max(0) as u64)
    }

    /// The sums that a question asks for, and the range they are of.
    pub(super) fn ask(&self, query: &Query, groups: &mut Groups) -> Result<(u64, u64), QueryError> {
        let failed = |source: rusqlite::Error| QueryError::Unavailable(self.error(source).to_string());
        let parts = query.parts(self.since(Level::Minute).map_err(failed)?, self.since(Level::Hour).map_err(failed)?)?;
        for part in &parts {
            self.ask_part(query, part, groups)?;
        }
        // What was deleted altogether is no part of the sums.
        let since = self.since(Level::Day).map_err(failed)?;
        let (from, to) = (parts.first().map_or(query.from, |part| part.from), parts.last().map_or(query.to, |part| part.to));
        Ok((from.max(since.min(to)), to))
    }

    fn ask_part(&self, query: &Query, part: &Part, groups: &mut Groups) -> Result<(), QueryError> {
        let failed = |source: rusqlite::Error| QueryError::Unavailable(self.error(source).to_string());
        let mut values: Vec<Value> = Vec::new();
        let label = |place: usize, values: &mut Vec<Value>| match (BASE.get(place), self.keys.get(place.saturating_sub(BASE.len()))) {
            (Some(base), _) => format!("s.{base}"),
            (None, Some(key)) => {
                values.push(Value::Text(format!("$.\"{key}\"")));
                "coalesce(json_extract(s.keys, ?), '')".to_owned()
            }
            (None, None) => "''".to_owned(),
        };
        let mut columns = Vec::new();
        for group in &query.by {
            columns.push(match group {
                Group::Time(level) => format!("CAST(a.at / {0} * {0} AS TEXT)", level.seconds()),
                Group::Label(place) => label(*place, &mut values),
            });
        }
        // In halves: a sum of 64-bit numbers may need more than 64 bits.
        let halves = |name: &str| format!("sum(a.{name} >> 32), sum(a.{name} & 4294967295)");
        let sums = COUNTS.iter().copied().chain(["dollars", "pico"]).map(halves);
        let select = columns.iter().cloned().chain(sums).collect::<Vec<_>>().join(", ");
        let mut conditions = String::new();
        values.extend([part.level.seconds(), part.from, part.to].map(|number| Value::Integer(number as i64)));
        for (place, allowed) in &query.filters {
            let expression = label(*place, &mut values);
            conditions.push_str(&format!(" AND {expression} IN ({})", vec!["?"; allowed.len()].join(", ")));
            values.extend(allowed.iter().cloned().map(Value::Text));
        }
        let grouped = (1..=columns.len()).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
        let grouped = if grouped.is_empty() { String::new() } else { format!(" GROUP BY {grouped}") };
        let sql = format!(
            "SELECT {select} FROM amounts a JOIN series s ON s.id = a.series WHERE a.unit = ? AND a.at >= ? AND a.at < ?{conditions}{grouped}"
        );
        let mut statement = self.db.prepare_cached(&sql).map_err(failed)?;
        let mut rows = statement.query(params_from_iter(values)).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let number = |at: usize| -> rusqlite::Result<i128> {
                let (high, low): (Option<i64>, Option<i64>) = (row.get(at)?, row.get(at + 1)?);
                Ok((i128::from(high.unwrap_or(0)) << 32) + i128::from(low.unwrap_or(0)))
            };
            let read = || -> rusqlite::Result<(Vec<String>, Amounts)> {
                let labels: rusqlite::Result<Vec<String>> = (0..columns.len()).map(|at| row.get(at)).collect();
                let mut amounts = Amounts::default();
                for (nth, count) in amounts.counts.iter_mut().enumerate() {
                    *count = u64::try_from(number(columns.len() + 2 * nth)?).unwrap_or(u64::MAX);
                }
                let money = columns.len() + 2 * COUNTS.len();
                amounts.usd = Usd::from_pico(number(money)?.saturating_mul(PICO).saturating_add(number(money + 2)?));
                Ok((labels?, amounts))
            };
            let (labels, amounts) = read().map_err(failed)?;
            if amounts != Amounts::default() {
                groups.add(labels, &amounts)?;
            }
        }
        Ok(())
    }
}

/// The number of a series in the file.
fn number(transaction: &Transaction<'_>, series: &Series, keys: &[String]) -> rusqlite::Result<i64> {
    let named = keys.iter().zip(series.labels().iter().skip(BASE.len())).filter(|(_, label)| !label.is_empty());
    let values: serde_json::Map<_, _> = named.map(|(key, label)| (key.clone(), serde_json::Value::from(&**label))).collect();
    let values = serde_json::Value::Object(values).to_string();
    let names = params![series.label(0), series.label(1), series.label(2), values];
    let sql = "INSERT INTO series (service, provider, model, keys) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING";
    transaction.prepare_cached(sql)?.execute(names)?;
    let sql = "SELECT id FROM series WHERE service = ? AND provider = ? AND model = ? AND keys = ?";
    transaction.prepare_cached(sql)?.query_row(names, |row| row.get(0))
}

/// Adds amounts to one row.
fn add(transaction: &Transaction<'_>, level: Level, at: u64, series: i64, amounts: &Amounts) -> rusqlite::Result<()> {
    let whole = |count: u64| Value::Integer(count.min(MOST) as i64);
    let pico = amounts.usd.pico().max(0);
    let (dollars, pico) = (u64::try_from(pico / PICO).unwrap_or(MOST), (pico % PICO) as u64);
    let values = [level.seconds(), at, series.max(0) as u64].into_iter().chain(amounts.counts).chain([dollars, pico]).map(whole);
    transaction.prepare_cached(&ADD)?.execute(params_from_iter(values))?;
    Ok(())
}

static ADD: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
    let marks = vec!["?"; 3 + COUNTS.len() + 2].join(", ");
    let counts = COUNTS.map(|name| format!("{name} = min({name} + excluded.{name}, {MOST})")).join(", ");
    format!(
        "INSERT INTO amounts VALUES ({marks}) ON CONFLICT DO UPDATE SET {counts},
         dollars = min(dollars + excluded.dollars + (pico + excluded.pico) / {PICO}, {MOST}), pico = (pico + excluded.pico) % {PICO}"
    )
});

/// Asks the file of a stage, which may be running or not. `ask` makes the question out of the keys that the file has.
///
/// # Errors
/// Where the file cannot be read, or the question means nothing.
pub fn read_file(folder: &Path, ask: impl FnOnce(&[String]) -> Result<Query, QueryError>) -> Result<crate::spend::Answer, QueryError> {
    let path = folder.join(FILE);
    let file = path.display().to_string();
    let failed = |source: rusqlite::Error| QueryError::Unavailable(format!("{file}: {source}"));
    if !path.exists() {
        return Err(QueryError::Unavailable(format!("{file} does not exist: is this the service.state_directory of a stage?")));
    }
    let db = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(failed)?;
    db.busy_timeout(PATIENCE).map_err(failed)?;
    let mut store = Store { db, file: file.clone(), keys: Vec::new(), max_series: 0, most_rows: MOST_ROWS, today: None };
    let found = store.version().map_err(|error| QueryError::Unavailable(error.to_string()))?;
    if found != VERSION {
        return Err(QueryError::Unavailable(StoreError::Version { file: file.clone(), found }.to_string()));
    }
    store.keys = {
        let mut statement = store.db.prepare("SELECT name FROM keys ORDER BY place").map_err(failed)?;
        let names = statement.query_map([], |row| row.get(0)).map_err(failed)?;
        names.collect::<rusqlite::Result<_>>().map_err(failed)?
    };
    let query = ask(&store.keys)?;
    let mut groups = Groups::default();
    let (from, to) = store.ask(&query, &mut groups)?;
    Ok(groups.answer(&query, from, to))
}

#[cfg(test)]
mod tests;
