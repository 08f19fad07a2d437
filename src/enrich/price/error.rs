//! What can be wrong with a price table, and where.
//!
//! A wrong price is believed for months, so a table is refused whole rather than read in part, and every problem in it is
//! reported at once with its line: whoever keeps a price list edits many lines in one go.

use std::fmt;

/// One problem, with the place where it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}{key}: {problem}")]
pub struct PriceError {
    /// Where in which file.
    pub place: Place,
    /// The path of the key, as `providers.openai.models.gpt-5.prices`.
    pub key: String,
    /// What is wrong there.
    pub problem: Problem,
}

/// A file and a position in it. Without a file it is the config itself; line 0 is unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The file, as the config names it.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: u64,
    /// The column, from 1.
    pub column: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line) {
            (Some(file), 0) => write!(f, "{file}: "),
            (Some(file), line) => write!(f, "{file}:{line}:{}: ", self.column),
            (None, 0) => Ok(()),
            (None, line) => write!(f, "line {line}: "),
        }
    }
}

/// What is wrong with a table. The last ones are warnings: the table loads all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// It is not YAML, or not of the right shape.
    #[error("{0}")]
    Syntax(String),
    /// Neither `tollgate-prices/1` nor a list of a known kind.
    #[error("format is {0}; write format: tollgate-prices/1")]
    Format(String),
    /// Prices are in US dollars only.
    #[error("currency \"{0}\" is not supported; prices are in USD")]
    Currency(String),
    /// A key that means nothing here.
    #[error("unknown key \"{key}\"{}", did_you_mean(.nearest))]
    UnknownKey {
        /// As written.
        key: String,
        /// The most similar key that is valid here.
        nearest: Option<&'static str>,
    },
    /// A key that must be there.
    #[error("\"{0}\" is missing")]
    Missing(&'static str),
    /// Two keys that exclude each other, or need each other.
    #[error("{0}")]
    Contradiction(&'static str),
    /// Not an amount of money.
    #[error("\"{text}\" is {why}")]
    BadRate {
        /// As written.
        text: String,
        /// In what way.
        why: &'static str,
    },
    /// Not a factor.
    #[error("\"{0}\" is not a factor; write a decimal that is not negative, such as 0.85")]
    BadFactor(String),
    /// Not a day or an instant.
    #[error("\"{0}\" is neither a date (2026-09-01) nor an instant (2026-09-01T16:30:00Z)")]
    BadInstant(String),
    /// Not an hour or not a day of the week.
    #[error("\"{0}\" is not a time of day (16:30) or day of the week (mon)")]
    BadDaily(String),
    /// Not a number of tokens.
    #[error("\"{0}\" is not a number of tokens")]
    BadCount(String),
    /// A tier for a class that has no rate below it.
    #[error("tier has a rate for {0}, which has no base rate")]
    TierWithoutBase(&'static str),
    /// Two entries that answer to one name.
    #[error("\"{name}\" is the name of two entries: {first} and {second}")]
    SameName {
        /// The name.
        name: String,
        /// The entry listed first.
        first: String,
        /// The other.
        second: String,
    },
    /// Not a regular expression that can be used.
    #[error("pattern does not compile: {0}")]
    Pattern(String),
    /// A reference to something that does not exist.
    #[error("\"{0}\" leads nowhere: no such provider or entry with a price of its own")]
    LeadsNowhere(String),
    /// Warning: an older price after a newer one wins over it.
    #[error("this price begins before the one above it; the last listed wins, so list them by first day")]
    OutOfOrder,
    /// Warning: probably a rate per thousand, or per token times a million twice.
    #[error("{0} USD per million tokens is unusually high")]
    HighRate(String),
    /// Warning: two entries share a prefix, the first listed is used.
    #[error("prefix \"{name}\" belongs to {first} and {second}; the first is used")]
    SamePrefix {
        /// The prefix.
        name: String,
        /// The entry listed first.
        first: String,
        /// The other.
        second: String,
    },
    /// Warning: a multiplier for an entry nobody has.
    #[error("no entry has the id \"{0}\"")]
    NoSuchModel(String),
    /// Warning: something in a list made by others that cannot be used.
    #[error("skipped: {0}")]
    Skipped(String),
    /// Warning: a price in a list made by others that jumped, and the lower layer's is kept.
    #[error("{0} moved more than fivefold or to 0 and was held back; name the entry under accept to let it through")]
    Held(&'static str),
}

fn did_you_mean(nearest: &Option<&'static str>) -> String {
    nearest.map_or_else(String::new, |key| format!("; did you mean \"{key}\"?"))
}

/// The valid key most like the one written, if any is alike.
pub(super) fn nearest(key: &str, valid: &[&'static str]) -> Option<&'static str> {
    // Above 0.7 are slips of the finger; below, other words.
    valid.iter().map(|v| (strsim::jaro_winkler(key, v), *v)).filter(|(s, _)| *s > 0.7).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, v)| v)
}
