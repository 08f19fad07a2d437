//! `tollgate price`: what one call cost, and why.
//!
//! A bill that surprises somebody starts with one number. This shows every line behind it, or answers a whole file of
//! calls, one JSON line for each, from the same table and the same code that prices spans.

use crate::cli::lines;
use crate::cli::source::Source;
use crate::cli::{Failure, finish_output};
use crate::enrich::price::when::parse_instant;
use crate::enrich::price::{Call, Context, ContextKey, Flags, Outcome, PriceTable, Priced, SkipReason, Usage};
use crate::units::Usd;
use serde_json::{Map, Value, json};
use std::io::{self, BufRead, Write};
use std::time::SystemTime;

/// The price of one call, or with `--jsonl` of as many as there are lines.
#[derive(clap::Args, Clone, Debug, Default)]
pub(super) struct PriceArgs {
    /// The model that answered
    #[arg(required_unless_present = "jsonl")]
    pub model: Option<String>,
    /// Read calls as JSON lines from standard input and answer each with a line
    #[arg(long, conflicts_with = "model")]
    pub jsonl: bool,
    #[command(flatten)]
    pub(crate) source: Source,
    /// Who answered, as spans name it
    #[arg(long)]
    pub provider: Option<String>,
    /// The model that was asked
    #[arg(long, value_name = "MODEL")]
    pub request_model: Option<String>,
    /// The host that was called
    #[arg(long)]
    pub host: Option<String>,
    /// The kind of call; only rerank matters
    #[arg(long)]
    pub kind: Option<String>,
    /// When the call started: a date or an instant, such as 2026-11-12T09:30:00Z [default: now]
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub at: Option<u64>,
    /// Prompt tokens, cached ones included
    #[arg(long, value_name = "N")]
    pub input: Option<u64>,
    /// Generated tokens, reasoning included
    #[arg(long, value_name = "N")]
    pub output: Option<u64>,
    /// Prompt tokens read from a cache
    #[arg(long, value_name = "N")]
    pub cache_read: Option<u64>,
    /// Prompt tokens written to a cache
    #[arg(long, value_name = "N")]
    pub cache_write: Option<u64>,
    /// Of those written, for an hour
    #[arg(long = "cache-write-1h", value_name = "N")]
    pub cache_write_1h: Option<u64>,
    /// Generated tokens that were reasoning
    #[arg(long, value_name = "N")]
    pub reasoning: Option<u64>,
    /// Any other count by its name, such as web_searches=2 or audio_in=300
    #[arg(long = "count", value_name = "NAME=N", value_parser = count)]
    pub counts: Vec<(String, u64)>,
    /// The tier that served
    #[arg(long, value_name = "TIER")]
    pub service_tier: Option<String>,
    /// batch, if it was one
    #[arg(long)]
    pub processing: Option<String>,
    /// fast, if it was
    #[arg(long)]
    pub speed: Option<String>,
    /// Where the model ran
    #[arg(long)]
    pub region: Option<String>,
    /// How much a web search reads: low, medium, high
    #[arg(long, value_name = "SIZE")]
    pub search_context_size: Option<String>,
}

fn instant(text: &str) -> Result<u64, String> {
    parse_instant(text).ok_or_else(|| "neither a date (2026-09-01) nor an instant (2026-09-01T16:30:00Z)".to_owned())
}

fn count(text: &str) -> Result<(String, u64), String> {
    let (name, number) = text.split_once('=').ok_or("write it as name=number")?;
    let name = name.trim().replace('-', "_");
    if !Usage::default().set_named(&name, 0) {
        return Err(format!("\"{name}\" is nothing that is counted"));
    }
    Ok((name, number.trim().parse().map_err(|_| "not a whole number")?))
}

/// The command: the table of the config, the clock, standard input and output.
pub(crate) fn command(args: &PriceArgs) -> Result<(), Failure> {
    let (_, plan) = args.source.plan()?;
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
    finish_output(run(args, &plan.prices, now, io::stdin().lock(), io::BufWriter::new(io::stdout().lock())))
}

/// Answers one call, or every line of `input`. `now` is in nanoseconds since 1970, for calls that do not say when they began.
///
/// # Errors
/// Only those of reading and writing; a line that is no call is answered as such.
pub(super) fn run(args: &PriceArgs, table: &PriceTable, now: u64, input: impl BufRead, output: impl Write) -> io::Result<()> {
    if args.jsonl { answer_lines(table, now, input, output) } else { explain_one(args, table, now, output) }
}

fn explain_one(args: &PriceArgs, table: &PriceTable, now: u64, mut output: impl Write) -> io::Result<()> {
    let mut usage = Usage::default();
    let counts = [
        ("input", args.input),
        ("output", args.output),
        ("cache_read", args.cache_read),
        ("cache_write", args.cache_write),
        ("cache_write_1h", args.cache_write_1h),
        ("reasoning", args.reasoning),
    ];
    let counts = counts.into_iter().filter_map(|(name, count)| Some((name, count?)));
    for (name, count) in counts.chain(args.counts.iter().map(|(name, count)| (name.as_str(), *count))) {
        usage.set_named(name, count);
    }
    let mut context = Context::default();
    context.set(ContextKey::ServiceTier, args.service_tier.as_deref());
    context.set(ContextKey::Processing, args.processing.as_deref());
    context.set(ContextKey::Speed, args.speed.as_deref());
    context.set(ContextKey::Region, args.region.as_deref());
    context.set(ContextKey::SearchContextSize, args.search_context_size.as_deref());
    let call = Call {
        provider: args.provider.as_deref(),
        model: args.model.as_deref(),
        request_model: args.request_model.as_deref(),
        host: args.host.as_deref(),
        rerank: is_rerank(args.kind.as_deref()),
        start_time: args.at.unwrap_or(now),
        usage,
        context,
    };
    let explained = table.explain(&call);
    for reason in &explained.reasons {
        writeln!(output, "  {reason}")?;
    }
    for line in &explained.lines {
        writeln!(output, "    {line}")?;
    }
    match &explained.outcome {
        Outcome::Priced(priced) => write_priced(priced, output),
        Outcome::Unpriced(reason) => {
            writeln!(output, "not priced: {} ({})", reason.name(), meaning(*reason))?;
            let model = call.model.or(call.request_model).unwrap_or_default();
            match reason.remedy(call.provider.unwrap_or_default(), model) {
                Some(line) => writeln!(output, "this would: {line}"),
                None => Ok(()),
            }
        }
    }
}

fn write_priced(priced: &Priced, mut output: impl Write) -> io::Result<()> {
    let parts = [
        ("input", priced.input),
        ("cache read", priced.cache_read),
        ("cache write", priced.cache_write),
        ("output", priced.output),
        ("fees", priced.fees),
    ];
    let parts: Vec<_> = parts.iter().filter(|(_, usd)| usd.pico() != 0).map(|(name, usd)| format!("{name} {usd}")).collect();
    writeln!(output, "USD {}{}", priced.total, if parts.is_empty() { String::new() } else { format!("   ({})", parts.join(", ")) })?;
    if !priced.flags.is_empty() {
        writeln!(output, "flags: {}", priced.flags.names().collect::<Vec<_>>().join(", "))?;
    }
    Ok(())
}

/// What a reason means, for somebody who did not read the manual.
const fn meaning(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::NoUsage => "no count was given",
        SkipReason::TokensNotSplit => "only a total was given",
        SkipReason::BadUsage => "a count is negative or too large",
        SkipReason::NoModel => "no model was given",
        SkipReason::NoProvider => "no provider was given, and the model's name does not tell one",
        SkipReason::UnknownProvider => "no table has this provider",
        SkipReason::UnknownModel => "no table has this model",
        SkipReason::NoPriceAtTime => "the model had no price at that time",
        SkipReason::UnpricedModality => "something was used that the price says nothing about",
    }
}

fn is_rerank(kind: Option<&str>) -> bool {
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("rerank"))
}

/// Longer lines are not calls.
const LONGEST_LINE: u64 = 1 << 20;

fn answer_lines(table: &PriceTable, now: u64, mut input: impl BufRead, mut output: impl Write) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = io::Read::take(&mut input, LONGEST_LINE).read_until(b'\n', &mut line)?;
        if read == 0 {
            return output.flush();
        }
        let whole = line.ends_with(b"\n") || (line.len() as u64) < LONGEST_LINE;
        let answer = if whole { answer(table, now, &line) } else { malformed(None, "line is longer than 1 MiB") };
        if !whole {
            skip_line(&mut input)?;
        }
        serde_json::to_writer(&mut output, &answer)?;
        output.write_all(b"\n")?;
    }
}

fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        let (skipped, done) = match memchr::memchr(b'\n', buffer) {
            Some(end) => (end + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        input.consume(skipped);
        if done {
            return Ok(());
        }
    }
}

fn answer(table: &PriceTable, now: u64, line: &[u8]) -> Value {
    let (id, fields) = lines::read(line);
    let outcome = match fields {
        Ok(fields) => price(table, now, &fields),
        Err(e) => Err(format!("not a call: {}", category(&e))),
    };
    match outcome {
        Ok(outcome) => reply(id, &outcome),
        Err(why) => malformed(id, &why),
    }
}

/// What kind of error it is; its text might quote the line.
fn category(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        serde_json::error::Category::Eof => "JSON ends too early",
        serde_json::error::Category::Data => "not a JSON object",
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => "not JSON",
    };
    format!("{kind}, column {}", error.column())
}

fn price(table: &PriceTable, now: u64, fields: &Map<String, Value>) -> Result<Outcome, String> {
    let text = |name: &str| match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(format!("{name} is not a string")),
    };
    let object = |name: &str| match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(_) => Err(format!("{name} is not an object")),
    };
    let mut usage = Usage::default();
    let mut bad_usage = false;
    for (name, value) in object("usage")?.into_iter().flatten() {
        match whole(value) {
            Ok(count) => _ = usage.set_named(name, count),
            // A count nobody knows by that name cannot be a wrong one.
            Err(()) => bad_usage |= usage.set_named(name, None),
        }
    }
    let mut context = Context::default();
    for (name, value) in object("context")?.into_iter().flatten() {
        if let (Some(key), Value::String(value)) = (ContextKey::named(name), value) {
            context.set(key, Some(value));
        }
    }
    let start_time = match fields.get("start_time") {
        None | Some(Value::Null) => Some(now),
        Some(Value::String(text)) => text.trim().parse().ok().or_else(|| parse_instant(text)),
        Some(Value::Number(nanos)) => nanos.to_string().parse().ok(),
        Some(_) => None,
    };
    let call = Call {
        provider: text("provider")?,
        model: text("model")?,
        request_model: text("request_model")?,
        host: text("host")?,
        rerank: is_rerank(text("kind")?),
        start_time: start_time.ok_or("start_time is neither nanoseconds nor an instant")?,
        usage,
        context,
    };
    Ok(if bad_usage { Outcome::Unpriced(SkipReason::BadUsage) } else { table.price(&call) })
}

/// A count: whole, not negative, and small enough to be one.
fn whole(value: &Value) -> Result<Option<u64>, ()> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => return Err(()),
    };
    // Some write 12.0 or 1e3; that is whole too. The reader of money takes decimals apart without a float.
    let pico = text.parse::<Usd>().map_err(|_| ())?.pico();
    let one = 1_000_000_000_000;
    if pico % one == 0 { u64::try_from(pico / one).map(Some).map_err(|_| ()) } else { Err(()) }
}

fn reply(id: Option<Value>, outcome: &Outcome) -> Value {
    let flags = |flags: Flags| flags.names().collect::<Vec<_>>();
    match outcome {
        Outcome::Priced(priced) => json!({
            "id": id,
            "status": "priced",
            "usd": priced.total.to_string(),
            "price_id": &*priced.price_id,
            "flags": flags(priced.flags),
        }),
        Outcome::Unpriced(reason) => json!({ "id": id, "status": "unpriced", "skip_reason": reason.name(), "flags": [] }),
    }
}

fn malformed(id: Option<Value>, why: &str) -> Value {
    json!({ "id": id, "status": "error", "error": why })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: PriceArgs,
    }

    fn args(line: &str) -> PriceArgs {
        Line::try_parse_from(std::iter::once("price").chain(line.split(' '))).unwrap().args
    }

    fn ask(line: &str, input: &str) -> String {
        let mut output = Vec::new();
        let now = parse_instant("2026-11-12T09:30:00Z").unwrap();
        run(&args(line), &PriceTable::bundled(), now, input.as_bytes(), &mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    fn lines(input: &str) -> Vec<Value> {
        ask("--jsonl", input).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn one_call_is_answered_with_every_line_of_its_sum() {
        let answer =
            ask("claude-opus-4-6 --provider anthropic --input 9020 --cache-read 7000 --output 810 --count web_searches=2 --region us", "");
        for text in ["7000 × 0.5 / 1,000,000 × 1.1", "2 × 10 / 1,000", "USD 0.057235", "for region us"] {
            assert!(answer.contains(text), "{text}: {answer}");
        }
        let unknown = ask("nothing-1 --provider anthropic --input 1", "");
        assert!(unknown.starts_with("not priced: unknown_model"), "{unknown}");
    }

    #[test]
    fn flags_that_make_no_sense_are_refused() {
        for line in ["", "m --jsonl", "m --at soon", "m --count x=1", "m --count input", "m --input -1"] {
            assert!(
                Line::try_parse_from(std::iter::once("price").chain(line.split(' ').filter(|word| !word.is_empty()))).is_err(),
                "{line}"
            );
        }
    }

    #[test]
    fn every_line_has_its_answer_in_order_with_its_id() {
        let answers = lines(
            r#"{"id":"a","provider":"anthropic","model":"claude-haiku-4-5-20251001","usage":{"input":1840,"output":362}}
{"id":2,"provider":"anthropic","model":"claude-sonnet-4-6","start_time":"2026-02-20","usage":{"input":200001,"cache_read":150000,"output":2000}}
{"id":null,"provider":"nobody","model":"m","usage":{"input":1}}
{"id":"d","kind":"rerank","provider":"cohere","model":"rerank-v3.5"}
"#,
        );
        let start = "bundled-2026-11-20/anthropic/claude-haiku-4-5/start";
        assert_eq!(answers[0], json!({"id":"a","status":"priced","usd":"0.00365","price_id":start,"flags":[]}));
        assert_eq!((&answers[1]["id"], &answers[1]["usd"]), (&json!(2), &json!("0.435006")));
        assert_eq!(answers[2], json!({"id":null,"status":"unpriced","skip_reason":"unknown_provider","flags":[]}));
        assert_eq!(answers[3]["flags"], json!(["one_search_assumed"]));
    }

    #[test]
    fn a_broken_line_is_answered_under_its_id_and_the_next_one_as_usual() {
        let good = r#"{"id":9,"provider":"anthropic","model":"claude-sonnet-4-6","usage":{"input":1000}}"#;
        let input =
            ["{\"id\":\"x\",\"model\":\"secret", "", "[1]", "{\"id\":3,\"usage\":7}", "{\"id\":4,\"model\":5}", "\u{1}{}", good].join("\n");
        let answers = lines(&input);
        assert_eq!(answers.len(), 7);
        assert!(answers[..6].iter().all(|answer| answer["status"] == "error"), "{answers:#?}");
        assert_eq!((&answers[0]["id"], &answers[3]["id"], &answers[4]["id"]), (&json!("x"), &json!(3), &json!(4)));
        assert!(!answers[0].to_string().contains("secret"));
        assert_eq!(answers[6]["usd"], "0.003");
    }

    #[test]
    fn counts_that_are_none_are_bad_usage() {
        let with = |count: &str| {
            let line = format!(r#"{{"provider":"anthropic","model":"claude-sonnet-4-6","usage":{{"input":{count}}}}}"#);
            lines(&line)[0].clone()
        };
        for count in ["-1", "1.5", "1e400", "18446744073709551616", "\"many\"", "true"] {
            assert_eq!(with(count)["skip_reason"], "bad_usage", "{count}");
        }
        for count in ["1000", "1000.0", "1e3", "\"1000\""] {
            assert_eq!(with(count)["usd"], "0.003", "{count}");
        }
        assert_eq!(with("null")["skip_reason"], "no_usage");
        assert_eq!(with("18446744073709551615")["status"], "priced", "large, but it fits");
    }

    #[test]
    fn a_line_without_end_is_refused_and_read_past() {
        let input = format!("{}\n{{\"id\":1}}\n", "x".repeat(3 << 20));
        let answers = lines(&input);
        assert_eq!(answers.len(), 2);
        assert_eq!((&answers[0]["status"], &answers[1]["skip_reason"]), (&json!("error"), &json!("no_usage")));
    }
}
