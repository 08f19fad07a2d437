//! Budgets: so much money an hour or a day, and what happens past it.
//!
//! A budget never stops a call, which is over when it is seen here. It says so once a period, and where it is asked to, it keeps the
//! traces that go on spending, because those are what somebody will want to read.

use crate::enrich::price::format::OneOrMany;
use crate::spend::key::Key;
use crate::spend::sums::{Amounts, BASE, Series};
use crate::telemetry::metrics::Metrics;
use crate::units::Usd;
use metrics::{Counter, Gauge};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::warn;

/// `{ name: chat, match: { feature: chat }, usd: 50, per: day, action: keep_all }`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// How it is called in metrics and logs.
    pub name: String,
    /// What belongs to it: names of `service`, `provider`, `model` or a key of the book, with one value or a list of them, as the
    /// book shows them. All must hold. Default: everything.
    #[serde(default, rename = "match")]
    pub matches: BTreeMap<String, OneOrMany>,
    /// The amount in US dollars, more than 0. It is used up when as much is spent.
    pub usd: Usd,
    /// Default `day`; both begin by UTC.
    #[serde(default)]
    pub per: Per,
    /// Default `alert`.
    #[serde(default)]
    pub action: Action,
}

/// The period of a budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// An hour.
    Hour,
    /// A day.
    #[default]
    Day,
}

impl Per {
    const fn seconds(self) -> u64 {
        match self {
            Per::Hour => 3600,
            Per::Day => 86_400,
        }
    }
}

/// What happens when a budget is used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A log line and a metric.
    #[default]
    Alert,
    /// The same, and until the end of the period every trace with a call that belongs to it is kept.
    KeepAll,
}

impl Budget {
    /// What is wrong with it: the key below it, and why.
    pub(super) fn check(&self, keys: &[String]) -> Vec<(String, String)> {
        let mut errors = Vec::new();
        if !Key::is_name(&self.name) {
            errors.push((".name".to_owned(), "a name is of letters, digits and . _ - : /".to_owned()));
        }
        if self.usd <= Usd::ZERO {
            errors.push((".usd".to_owned(), "a budget is more than 0".to_owned()));
        }
        for (key, values) in &self.matches {
            if !BASE.contains(&key.as_str()) && !keys.contains(key) {
                let message = format!("the book has no key \"{key}\"; add it to service.spend.keys");
                errors.push((format!(".match.{key}"), message));
            } else if values.0.is_empty() {
                errors.push((format!(".match.{key}"), "an empty list matches nothing".to_owned()));
            }
        }
        errors
    }

    /// Its conditions by the place of their label in a series.
    fn rules(&self, keys: &[String]) -> Vec<(usize, Vec<String>)> {
        let place = |key: &str| BASE.iter().copied().chain(keys.iter().map(String::as_str)).position(|name| name == key);
        self.matches.iter().filter_map(|(key, values)| Some((place(key)?, values.0.clone()))).collect()
    }
}

/// What the shards ask: which budgets a series belongs to, and whether its traces stay.
#[derive(Debug)]
pub(super) struct Rules {
    rules: Vec<Vec<(usize, Vec<String>)>>,
    /// Budgets that are used up and keep everything, a bit each.
    keeping: AtomicU64,
}

impl Rules {
    pub(super) fn new(budgets: &[Budget], keys: &[String]) -> Rules {
        Rules { rules: budgets.iter().map(|budget| budget.rules(keys)).collect(), keeping: AtomicU64::new(0) }
    }

    /// The budgets a series belongs to, a bit each.
    pub(super) fn of(&self, series: &Series) -> u64 {
        let holds = |rules: &Vec<(usize, Vec<String>)>| rules.iter().all(|(at, values)| values.iter().any(|v| v == series.label(*at)));
        let mut bits = 0;
        for (at, _) in self.rules.iter().enumerate().take(64).filter(|(_, rules)| holds(rules)) {
            bits |= 1 << at;
        }
        bits
    }

    /// Whether one of these budgets keeps everything now.
    pub(super) fn keep(&self, of: u64) -> bool {
        of & self.keeping.load(Ordering::Relaxed) != 0
    }

    fn set(&self, at: usize, keeping: bool) {
        let bit = 1u64.checked_shl(at as u32).unwrap_or(0);
        if keeping {
            self.keeping.fetch_or(bit, Ordering::Relaxed);
        } else {
            self.keeping.fetch_and(!bit, Ordering::Relaxed);
        }
    }
}

/// One budget in its period.
#[derive(Debug)]
pub(super) struct Account {
    budget: Budget,
    at: usize,
    start: u64,
    spent: Usd,
    over: bool,
    shown: Gauge,
    crossed: Counter,
}

impl Account {
    pub(super) fn new(at: usize, budget: &Budget, metrics: &Metrics) -> Account {
        let labels = [("budget", budget.name.as_str())];
        let limit = metrics.gauge("tollgate_spend_budget_usd", "The amount of a budget in US dollars", &labels);
        limit.set(budget.usd.to_f64());
        let shown =
            metrics.gauge("tollgate_spend_budget_spent_usd", "What was spent of a budget in its hour or day, in US dollars", &labels);
        shown.set(0.0);
        let crossed = metrics.counter("tollgate_spend_budget_crossed_total", "How often a budget was used up", &labels);
        Account { budget: budget.clone(), at, start: 0, spent: Usd::ZERO, over: false, shown, crossed }
    }

    /// Begins the period of this moment, unless it is the one that runs; whether it did.
    pub(super) fn begin(&mut self, seconds: u64, rules: &Rules) -> bool {
        let start = seconds - seconds % self.budget.per.seconds();
        // A clock that was put back goes on with the later period.
        if start <= self.start {
            return false;
        }
        (self.start, self.spent, self.over) = (start, Usd::ZERO, false);
        rules.set(self.at, false);
        self.shown.set(0.0);
        true
    }

    /// When the period began.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// Adds what was spent on a series in a minute.
    pub(super) fn add(&mut self, minute: u64, series: &Series, amounts: &Amounts, rules: &Rules) {
        if minute < self.start || rules.of(series) & 1u64.checked_shl(self.at as u32).unwrap_or(0) == 0 {
            return;
        }
        self.spent += amounts.usd;
        self.shown.set(self.spent.to_f64());
        if self.over || self.spent < self.budget.usd {
            return;
        }
        self.over = true;
        self.crossed.increment(1);
        let keeps = self.budget.action == Action::KeepAll;
        rules.set(self.at, keeps);
        let (budget, per) = (&self.budget.name, if self.budget.per == Per::Hour { "hour" } else { "day" });
        warn!(target: "spend", budget, spent_usd = %self.spent, of_usd = %self.budget.usd, per, keeps_all = keeps, "a budget is used up");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(model: &str, user: &str) -> Series {
        Series::new(vec!["shop".into(), "openai".into(), model.into(), user.into()])
    }

    fn usd(text: &str) -> Amounts {
        Amounts { usd: text.parse().unwrap(), ..Amounts::default() }
    }

    fn budget(text: &str) -> Budget {
        serde_yaml::from_str(text).unwrap()
    }

    #[test]
    fn a_series_belongs_where_every_rule_holds() {
        let keys = ["user".to_owned()];
        let budgets = [
            budget("{name: all, usd: 1}"),
            budget("{name: one, usd: 1, match: {model: [a, b], user: u1}}"),
            budget("{name: none, usd: 1, match: {service: bank}}"),
        ];
        let rules = Rules::new(&budgets, &keys);
        assert_eq!(rules.of(&series("b", "u1")), 0b011);
        assert_eq!(rules.of(&series("b", "u2")), 0b001);
        assert_eq!(rules.of(&series("c", "u1")), 0b001);
    }

    #[test]
    fn it_is_used_up_once_a_period_and_to_the_last_pico_dollar() {
        let (keys, metrics) = (["user".to_owned()], Metrics::new());
        let budgets = [budget("{name: small, usd: 0.3, per: hour, action: keep_all, match: {model: a}}")];
        let rules = Rules::new(&budgets, &keys);
        let mut account = Account::new(0, &budgets[0], &metrics);
        let (here, bit) = (series("a", "u"), rules.of(&series("a", "u")));
        assert!(account.begin(7200 + 59, &rules));
        account.add(7200, &here, &usd("0.1"), &rules);
        account.add(7200, &here, &usd("0.199999999999"), &rules);
        account.add(7200, &series("b", "u"), &usd("5"), &rules);
        account.add(7140, &here, &usd("5"), &rules);
        assert!(!rules.keep(bit), "one pico-dollar is left");
        account.add(7260, &here, &usd("0.000000000001"), &rules);
        account.add(7260, &here, &usd("0.1"), &rules);
        assert!(rules.keep(bit) && !rules.keep(rules.of(&series("b", "u"))));
        assert!(metrics.render().contains("tollgate_spend_budget_crossed_total{budget=\"small\"} 1"), "{}", metrics.render());
        assert!(!account.begin(7200 + 3599, &rules) && rules.keep(bit));
        assert!(account.begin(10_800, &rules) && !rules.keep(bit), "another hour");
    }

    #[test]
    fn an_alert_keeps_nothing() {
        let budgets = [budget("{name: all, usd: 1}")];
        let rules = Rules::new(&budgets, &[]);
        let mut account = Account::new(0, &budgets[0], &Metrics::new());
        account.begin(86_400, &rules);
        account.add(86_400, &series("a", ""), &usd("2"), &rules);
        assert!(account.over && !rules.keep(1));
    }
}
