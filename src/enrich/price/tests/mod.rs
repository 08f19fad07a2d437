//! The whole of pricing, on the bundled table and on small ones.

mod always;
mod exact;
mod examples;
mod foreign;
mod mistakes;
mod rules;
mod spellings;

use super::when::parse_instant;
use super::*;
use std::io;

const NOON: &str = "2026-11-12T09:30:00Z";

fn usage(counts: &[(&str, u64)]) -> Usage {
    let mut usage = Usage::default();
    for (name, count) in counts {
        assert!(usage.set_named(name, *count), "{name}");
    }
    usage
}

fn call<'a>(provider: &'a str, model: &'a str, counts: &[(&str, u64)]) -> Call<'a> {
    let start_time = parse_instant(NOON).unwrap();
    Call { provider: Some(provider), model: Some(model), usage: usage(counts), start_time, ..Call::default() }
}

fn at<'a>(text: &str, call: Call<'a>) -> Call<'a> {
    Call { start_time: parse_instant(text).unwrap(), ..call }
}

fn with<'a>(key: ContextKey, value: &'a str, call: Call<'a>) -> Call<'a> {
    Call { context: call.context.with(key, value), ..call }
}

fn configured(yaml: &str) -> PriceTable {
    let config: PricesConfig = serde_yaml::from_str(yaml).unwrap();
    PriceTable::load(&config, &|_| Err(io::ErrorKind::NotFound.into())).unwrap()
}

#[track_caller]
fn priced(table: &PriceTable, call: &Call<'_>) -> Priced {
    match table.price(call) {
        Outcome::Priced(priced) => priced,
        Outcome::Unpriced(reason) => panic!("not priced: {}", reason.name()),
    }
}

#[track_caller]
fn costs(usd: &str, call: Call<'_>) -> Priced {
    let table = PriceTable::bundled();
    let priced = priced(&table, &call);
    assert_eq!(priced.total.to_string(), usd, "{:#?}", table.explain(&call));
    assert_eq!(priced.total, priced.input + priced.output + priced.cache_read + priced.cache_write + priced.fees);
    priced
}

fn flags(priced: &Priced) -> Vec<&'static str> {
    priced.flags.names().collect()
}

#[track_caller]
fn not_priced(table: &PriceTable, call: Call<'_>) -> &'static str {
    match table.price(&call) {
        Outcome::Unpriced(reason) => reason.name(),
        Outcome::Priced(priced) => panic!("priced: {priced:?}"),
    }
}
