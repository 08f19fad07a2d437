//! A question to the book: a range of time, filters, and what to tell apart.
//!
//! Days, hours and minutes hold the same sums, so a range is cut into the coarsest parts that make it up: a year costs as much
//! to add up as an hour. Where the fine parts of long ago are gone, the range is widened to the parts there are, and the answer says so.

use crate::enrich::price::when::parse_instant;
use crate::spend::sums::{BASE, COUNTS, Series};
use crate::units::duration;
use std::time::Duration;

/// What a question is about where it does not say.
const SINCE: Duration = Duration::from_secs(86_400);

/// Parameters that are no filters.
const WORDS: [&str; 7] = ["from", "to", "since", "by", "group_by", "format", "limit"];

/// The longest list of rows where nothing is said.
const ROWS: usize = 1000;

/// A resolution of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Minute,
    Hour,
    Day,
}

impl Level {
    pub(super) const ALL: [Level; 3] = [Level::Minute, Level::Hour, Level::Day];

    pub(super) const fn seconds(self) -> u64 {
        match self {
            Level::Minute => 60,
            Level::Hour => 3600,
            Level::Day => 86_400,
        }
    }

    /// As it is asked for and stands in answers.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Level::Minute => "minute",
            Level::Hour => "hour",
            Level::Day => "day",
        }
    }

    /// The start of the part that holds a moment.
    pub(super) const fn start(self, seconds: u64) -> u64 {
        seconds - seconds % self.seconds()
    }
}

/// Whether a name cannot be that of a key.
pub(super) fn is_taken(name: &str) -> bool {
    let levels = Level::ALL.iter().any(|level| level.name() == name);
    let columns = ["at", "usd", "input_tokens", "keys", "unit"];
    levels || BASE.contains(&name) || WORDS.contains(&name) || COUNTS.contains(&name) || columns.contains(&name)
}

/// Why a question cannot be answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The question is no question.
    #[error("{0}")]
    Bad(String),
    /// There is no book, or it does not answer.
    #[error("{0}")]
    Unavailable(String),
}

/// What rows are told apart by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// Time.
    Time(Level),
    /// A label, by its place in a series.
    Label(usize),
}

/// A checked question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Unix seconds; the end is excluded. Both are whole minutes.
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) by: Vec<Group>,
    /// Names of what rows are told apart by.
    pub(super) names: Vec<String>,
    /// Places of labels, each with the values of which it must have one.
    pub(super) filters: Vec<(usize, Vec<String>)>,
    pub(super) limit: usize,
}

/// A part of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) level: Level,
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Query {
    /// Reads parameters such as `by=model,user`, `since=24h`, `from=2026-11-01`, `model=gpt-4o`. `keys` are those of the book, `now` is in
    /// Unix seconds.
    ///
    /// # Errors
    /// For a parameter or value that means nothing; the text says what would.
    pub fn parse<'p>(parameters: impl IntoIterator<Item = (&'p str, &'p str)>, keys: &[String], now: u64) -> Result<Query, QueryError> {
        let bad = |message: String| Err(QueryError::Bad(message));
        let place = |name: &str| BASE.iter().copied().chain(keys.iter().map(String::as_str)).position(|known| known == name);
        let known = || BASE.iter().copied().chain(keys.iter().map(String::as_str)).collect::<Vec<_>>().join(", ");
        let (mut from, mut to, mut since, mut by, mut limit) = (None, None, None, None, ROWS);
        let mut filters: Vec<(usize, Vec<String>)> = Vec::new();
        for (name, value) in parameters {
            match name {
                "from" => from = Some(moment(name, value)?),
                "to" => to = Some(moment(name, value)?),
                "since" => {
                    since = Some(duration::parse(value).map_err(|error| QueryError::Bad(format!("since: {error}")))?);
                }
                "by" | "group_by" => by = Some(value.to_owned()),
                "limit" => match value.parse() {
                    Ok(rows) if rows > 0 => limit = rows,
                    _ => return bad(format!("limit: \"{value}\" is not a number of rows")),
                },
                // Read by whoever writes the answer.
                "format" => {}
                _ => match place(name) {
                    Some(at) => match filters.iter_mut().find(|(other, _)| *other == at) {
                        Some((_, values)) => values.push(value.to_owned()),
                        None => filters.push((at, vec![value.to_owned()])),
                    },
                    None => return bad(format!("\"{name}\" is no parameter; there are {}, and as filters {}", WORDS.join(", "), known())),
                },
            }
        }
        if from.is_some() && since.is_some() {
            return bad("from and since both say where to begin; give one of them".to_owned());
        }
        let mut groups = Vec::new();
        let mut names = Vec::new();
        for name in by.as_deref().unwrap_or("model").split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let level = Level::ALL.into_iter().find(|level| level.name() == name);
            let Some(group) = level.map(Group::Time).or_else(|| place(name).map(Group::Label)) else {
                let hint = "service.spend.keys says what is kept";
                return bad(format!("by: \"{name}\" is not told apart; there are {}, minute, hour, day; {hint}", known()));
            };
            if groups.iter().any(|other| *other == group || matches!((other, &group), (Group::Time(_), Group::Time(_)))) {
                return bad(format!("by: \"{name}\" is one too many: each once, and one of minute, hour and day"));
            }
            groups.push(group);
            names.push(name.to_owned());
        }
        // The minute that runs belongs to now.
        let to = to.unwrap_or(Level::Minute.start(now).saturating_add(60)).div_ceil(60).saturating_mul(60);
        let since = since.unwrap_or(SINCE).as_secs();
        let from = Level::Minute.start(from.unwrap_or(to.saturating_sub(since)));
        if from >= to {
            return bad("from is not before to".to_owned());
        }
        Ok(Query { from, to, by: groups, names, filters, limit })
    }

    /// What of a series an answer shows; nothing where a filter leaves it out.
    pub(super) fn labels_of(&self, minute: u64, series: &Series) -> Option<Vec<String>> {
        let passes = |(at, values): &(usize, Vec<String>)| values.iter().any(|value| value == series.label(*at));
        let label = |group: &Group| match group {
            Group::Time(level) => level.start(minute).to_string(),
            Group::Label(at) => series.label(*at).to_owned(),
        };
        self.filters.iter().all(passes).then(|| self.by.iter().map(label).collect())
    }

    /// Cuts the range into parts. Minutes are there since `minutes`, hours since `hours`, both Unix seconds and whole hours and days.
    ///
    /// # Errors
    /// Where rows are to be told apart by parts of time that are gone.
    pub(super) fn parts(&self, minutes: u64, hours: u64) -> Result<Vec<Part>, QueryError> {
        let told = self.by.iter().find_map(|group| if let Group::Time(level) = group { Some(*level) } else { None });
        let coarsest = told.unwrap_or(Level::Day);
        let gone = |level: Level, since: u64| {
            let since = moment_text(since);
            Err(QueryError::Bad(format!("by: {}s are kept since {since} only; ask for later, or for something coarser", level.name())))
        };
        let has = |level: Level, at: u64| match level {
            Level::Minute => at >= minutes,
            Level::Hour => at >= hours,
            Level::Day => true,
        };
        if !has(coarsest, coarsest.start(self.from)) {
            return gone(coarsest, if coarsest == Level::Minute { minutes } else { hours });
        }
        let finest = |at: u64| Level::ALL.into_iter().find(|level| has(*level, at)).unwrap_or(Level::Day);
        let mut parts: Vec<Part> = Vec::new();
        let mut at = finest(self.from).start(self.from);
        while at < self.to {
            let whole = |level: &Level| *level <= coarsest && at % level.seconds() == 0 && at.saturating_add(level.seconds()) <= self.to;
            let fine = finest(at);
            let level = Level::ALL.into_iter().rev().find(whole).filter(|level| *level >= fine).unwrap_or(fine);
            // A run of the coarsest is one step, however long: what is kept of it only gets finer with time.
            let units = if level == coarsest { (self.to.saturating_sub(at) / level.seconds()).max(1) } else { 1 };
            let end = at.saturating_add(level.seconds().saturating_mul(units));
            match parts.last_mut() {
                Some(last) if last.level == level && last.to == at => last.to = end,
                _ => parts.push(Part { level, from: at, to: end }),
            }
            at = end;
        }
        Ok(parts)
    }
}

/// A moment in a question.
fn moment(name: &str, text: &str) -> Result<u64, QueryError> {
    let hint = "write for example 2026-11-20, 2026-11-20T09:30:00Z, or seconds since 1970";
    let read = text.parse::<u64>().ok().or_else(|| parse_instant(text).map(|nanos| nanos / 1_000_000_000));
    // Later than this nobody asks, and sums of it stay in range.
    read.filter(|seconds| *seconds < 1 << 40).ok_or_else(|| QueryError::Bad(format!("{name}: \"{text}\" is not a moment; {hint}")))
}

/// A moment in an answer: `2026-11-20T09:30:00Z`.
pub(super) fn moment_text(seconds: u64) -> String {
    // The last second of the year 9999.
    let seconds = seconds.min(253_402_300_799);
    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_166_400 + 34_230;

    fn query(parameters: &[(&str, &str)]) -> Result<Query, QueryError> {
        Query::parse(parameters.iter().copied(), &["user".to_owned(), "app.tenant".to_owned()], NOW)
    }

    fn says(parameters: &[(&str, &str)]) -> String {
        query(parameters).expect_err("a problem").to_string()
    }

    #[test]
    fn without_a_word_it_is_the_last_day_by_model() {
        let query = query(&[]).unwrap();
        assert_eq!((query.to - query.from, query.to % 60), (86_400, 0));
        assert!(query.to > NOW && query.to - NOW <= 60);
        assert_eq!((query.by, query.names), (vec![Group::Label(2)], vec!["model".to_owned()]));
    }

    #[test]
    fn times_groups_and_filters_are_read() {
        let asked = [
            ("from", "2026-11-20"),
            ("to", "2026-11-20T09:30:10Z"),
            ("group_by", "hour, app.tenant"),
            ("model", "a"),
            ("model", "b"),
            ("user", ""),
            ("format", "csv"),
        ];
        let query = query(&asked).unwrap();
        assert_eq!((query.from % 86_400, query.to % 3600), (0, 31 * 60));
        assert_eq!(query.by, [Group::Time(Level::Hour), Group::Label(4)]);
        assert_eq!(query.filters, [(2, vec!["a".to_owned(), "b".to_owned()]), (3, vec![String::new()])]);
    }

    #[test]
    fn what_means_nothing_is_named_with_what_would() {
        for (asked, said) in [
            (&[("modle", "a")][..], "service, provider, model, user, app.tenant"),
            (&[("by", "session")], "\"session\" is not told apart; there are service, provider, model, user, app.tenant, minute"),
            (&[("by", "model,model")], "one too many"),
            (&[("by", "minute,hour")], "one too many"),
            (&[("since", "24")], "since: 24 has no unit"),
            (&[("from", "yesterday")], "from: \"yesterday\" is not a moment"),
            (&[("from", "2026-11-20"), ("since", "1h")], "both"),
            (&[("from", "2026-11-21"), ("to", "2026-11-20")], "not before"),
            (&[("limit", "0")], "limit"),
        ] {
            assert!(says(asked).contains(said), "{}", says(asked));
        }
    }

    fn cut(from: u64, to: u64, minutes: u64, hours: u64) -> Vec<(Level, u64, u64)> {
        let base = query(&[]).unwrap();
        let parts = Query { from, to, ..base }.parts(minutes, hours).unwrap();
        parts.into_iter().map(|part| (part.level, part.from, part.to)).collect()
    }

    #[test]
    fn a_range_is_cut_into_the_coarsest_parts_that_make_it_up() {
        let day = 86_400;
        assert_eq!(cut(day, 3 * day, 0, 0), [(Level::Day, day, 3 * day)]);
        let parts = cut(day - 3660, 2 * day + 3720, 0, 0);
        let expected = [
            (Level::Minute, day - 3660, day - 3600),
            (Level::Hour, day - 3600, day),
            (Level::Day, day, 2 * day),
            (Level::Hour, 2 * day, 2 * day + 3600),
            (Level::Minute, 2 * day + 3600, 2 * day + 3720),
        ];
        assert_eq!(parts, expected);
    }

    #[test]
    fn where_minutes_are_gone_the_range_is_widened_and_said_so() {
        let day = 86_400;
        assert_eq!(cut(day + 60, day + 7320, 2 * day, 0), [(Level::Hour, day, day + 10_800)]);
        assert_eq!(cut(day + 60, day + 7320, 4 * day, 3 * day), [(Level::Day, day, 2 * day)]);
        let minutes = Query { from: day, to: 2 * day, by: vec![Group::Time(Level::Minute)], ..query(&[]).unwrap() };
        let said = minutes.parts(day + 3600, 0).expect_err("gone").to_string();
        assert!(said.contains("minutes are kept since 1970-01-02T01:00:00Z only"), "{said}");
    }

    #[test]
    fn parts_follow_each_other_without_gap_or_overlap_in_any_range() {
        for n in 0..3000u64 {
            let (from, length) = (n * 7_919 % 400_000 / 60 * 60, n * 104_729 % 300_000 / 60 * 60 + 60);
            let parts = cut(from, from + length, n * 3600 % 200_000 / 3600 * 3600, 0);
            assert!(parts.first().is_some_and(|part| part.1 <= from) && parts.last().is_some_and(|part| part.2 >= from + length));
            assert!(parts.windows(2).all(|pair| pair[0].2 == pair[1].1 && pair[0].0 != pair[1].0), "{parts:?}");
        }
    }
}
