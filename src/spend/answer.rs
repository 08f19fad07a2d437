//! The answer of the book, as JSON and CSV. Money is exact decimal text in both: a float could not be added up again.

use crate::spend::query::{Group, Query, QueryError, moment_text};
use crate::spend::sums::Amounts;
use ahash::RandomState;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// More rows than this are no answer but a copy of the book, which is a file one can read.
const MOST: usize = 100_000;

/// Rows of one question, the most expensive first.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The range that the sums are of, in Unix seconds; it may be wider than asked, where only coarse parts are left.
    pub from: u64,
    /// Its end, excluded.
    pub to: u64,
    /// What rows are told apart by.
    pub by: Vec<String>,
    /// The rows.
    pub rows: Vec<Row>,
    /// How many rows the limit left out; they are part of the total.
    pub left_out: usize,
    /// The sum of all rows.
    pub total: Amounts,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// In the order of [`Answer::by`]; empty where a call has no such name.
    pub labels: Vec<String>,
    /// What was spent.
    pub amounts: Amounts,
}

/// Sums by their labels, while they are collected.
#[derive(Debug, Default)]
pub(super) struct Groups(HashMap<Vec<String>, Amounts, RandomState>);

impl Groups {
    pub(super) fn add(&mut self, labels: Vec<String>, amounts: &Amounts) -> Result<(), QueryError> {
        if self.0.len() >= MOST && !self.0.contains_key(&labels) {
            return Err(QueryError::Bad(format!("by: more than {MOST} rows; tell fewer things apart, filter, or query the file itself")));
        }
        self.0.entry(labels).or_default().add(amounts);
        Ok(())
    }

    pub(super) fn answer(self, query: &Query, from: u64, to: u64) -> Answer {
        let mut total = Amounts::default();
        let time = query.by.iter().position(|group| matches!(group, Group::Time(_)));
        let mut rows: Vec<Row> = self.0.into_iter().map(|(labels, amounts)| Row { labels, amounts }).collect();
        rows.iter().for_each(|row| total.add(&row.amounts));
        // In the order of time where that is asked for, then by money, then by name.
        let moment = |row: &Row| time.and_then(|at| row.labels.get(at)).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        rows.sort_by(|a, b| {
            let money = b.amounts.usd.cmp(&a.amounts.usd).then(b.amounts.calls().cmp(&a.amounts.calls()));
            moment(a).cmp(&moment(b)).then(money).then_with(|| a.labels.cmp(&b.labels))
        });
        let left_out = rows.len().saturating_sub(query.limit);
        rows.truncate(query.limit);
        if let Some(at) = time {
            for row in &mut rows {
                let text = moment_text(moment(row));
                if let Some(label) = row.labels.get_mut(at) {
                    *label = text;
                }
            }
        }
        Answer { from, to, by: query.names.clone(), rows, left_out, total }
    }
}

/// The amounts as members, with the whole input beside its parts.
fn members(amounts: &Amounts, out: &mut Map<String, Value>) {
    amounts.counts().for_each(|(name, count)| drop(out.insert(name.to_owned(), count.into())));
    out.insert("input_tokens".to_owned(), amounts.input_tokens().into());
    out.insert("usd".to_owned(), amounts.usd.to_string().into());
}

/// The columns behind the labels, in the order they are shown.
const COLUMNS: [&str; 9] = [
    "calls",
    "failed_calls",
    "unpriced_calls",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "usd",
];

impl Answer {
    /// The answer as JSON. An absent name is `null`.
    pub fn json(&self) -> Value {
        let rows: Vec<Value> = self.rows.iter().map(|row| Value::Object(self.row(row))).collect();
        let mut total = Map::new();
        members(&self.total, &mut total);
        json!({
            "from": moment_text(self.from),
            "to": moment_text(self.to),
            "by": self.by,
            "rows": rows,
            "rows_left_out": self.left_out,
            "total": total,
        })
    }

    fn row(&self, row: &Row) -> Map<String, Value> {
        let mut out = Map::new();
        for (name, label) in self.by.iter().zip(&row.labels) {
            out.insert(name.clone(), if label.is_empty() { Value::Null } else { label.as_str().into() });
        }
        members(&row.amounts, &mut out);
        out
    }

    /// The rows as CSV (RFC 4180) under a line of names. An absent name is empty.
    pub fn csv(&self) -> String {
        let mut out = String::new();
        for line in self.table() {
            out.push_str(&line.iter().map(|cell| csv_cell(cell)).collect::<Vec<_>>().join(","));
            out.push_str("\r\n");
        }
        out
    }

    /// The rows as text, under a line of names.
    pub fn table(&self) -> Vec<Vec<String>> {
        let names = self.by.iter().cloned().chain(COLUMNS.map(str::to_owned)).collect();
        let rows = self.rows.iter().map(|row| row.labels.iter().cloned().chain(cells(&row.amounts)).collect());
        std::iter::once(names).chain(rows).collect()
    }

    /// The total in the columns of [`Answer::table`], behind the labels.
    pub fn total_cells(&self) -> Vec<String> {
        cells(&self.total)
    }

    /// The answer that a running stage gave as JSON.
    ///
    /// # Errors
    /// Where it is none.
    pub fn of_json(text: &str) -> Result<Answer, QueryError> {
        let none = |what: &str| QueryError::Bad(format!("the answer has no {what}: is this the admin port of a Tollgate?"));
        let value: Value = serde_json::from_str(text).map_err(|_| none("JSON"))?;
        let list = |key: &str| value.get(key).and_then(Value::as_array).ok_or_else(|| none(key));
        let moment = |key: &str| {
            let text = value.get(key).and_then(Value::as_str);
            text.and_then(crate::enrich::price::when::parse_instant).map(|nanos| nanos / 1_000_000_000).ok_or_else(|| none(key))
        };
        let amounts = |row: &Value| -> Option<Amounts> {
            let mut amounts = Amounts::default();
            for (sum, name) in amounts.counts.iter_mut().zip(crate::spend::sums::COUNTS) {
                *sum = row.get(name)?.as_u64()?;
            }
            amounts.usd = row.get("usd")?.as_str()?.parse().ok()?;
            Some(amounts)
        };
        let by: Vec<String> = list("by")?.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect();
        let row = |row: &Value| {
            let label = |name: &String| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            amounts(row).map(|amounts| Row { labels: by.iter().map(label).collect(), amounts })
        };
        Ok(Answer {
            from: moment("from")?,
            to: moment("to")?,
            rows: list("rows")?.iter().map(row).collect::<Option<_>>().ok_or_else(|| none("amounts"))?,
            left_out: value.get("rows_left_out").and_then(Value::as_u64).unwrap_or(0) as usize,
            total: value.get("total").and_then(amounts).ok_or_else(|| none("total"))?,
            by,
        })
    }
}

fn cells(amounts: &Amounts) -> Vec<String> {
    let count = |name: &str| amounts.counts().find(|(known, _)| *known == name).map(|(_, count)| count);
    let cell = |name: &str| match name {
        "usd" => amounts.usd.to_string(),
        "input_tokens" => amounts.input_tokens().to_string(),
        name => count(name).unwrap_or(0).to_string(),
    };
    COLUMNS.map(cell).to_vec()
}

fn csv_cell(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Answer {
        let query = Query::parse([("by", "model,user"), ("limit", "2")], &["user".to_owned()], 86_400).unwrap();
        let mut groups = Groups::default();
        for (model, user, pico) in [("a", "u1", 5), ("a, \"b\"", "", 14_500_000_000), ("c", "u3", 1), ("a", "u1", 2)] {
            let counts = [1, 0, 0, 10, 20, 30, 5, 2];
            groups.add(vec![model.to_owned(), user.to_owned()], &Amounts { counts, usd: crate::units::Usd::from_pico(pico) }).unwrap();
        }
        groups.answer(&query, 0, 86_400)
    }

    #[test]
    fn rows_come_by_money_and_what_is_left_out_is_in_the_total() {
        let answer = answer();
        let usd: Vec<String> = answer.rows.iter().map(|row| row.amounts.usd.to_string()).collect();
        assert_eq!(usd, ["0.0145", "0.000000000007"]);
        assert_eq!((answer.left_out, answer.total.calls(), answer.total.usd.to_string().as_str()), (1, 4, "0.014500000008"));
    }

    #[test]
    fn json_is_exact_and_comes_back_as_it_was() {
        let answer = answer();
        let value = answer.json();
        assert_eq!(value["rows"][0]["usd"], "0.0145");
        assert_eq!((&value["rows"][0]["user"], &value["rows"][0]["input_tokens"]), (&Value::Null, &60.into()));
        assert_eq!(value["from"], "1970-01-01T00:00:00Z");
        assert_eq!(Answer::of_json(&value.to_string()).unwrap(), answer);
        assert!(Answer::of_json("{}").is_err() && Answer::of_json("<html>").is_err());
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        let csv = answer().csv();
        assert_eq!(csv.lines().next().map(|line| line.starts_with("model,user,calls,failed_calls,")), Some(true));
        assert!(csv.contains("\r\n\"a, \"\"b\"\"\",,1,0,0,60,20,30,5,2,0.0145\r\n"), "{csv}");
    }
}
