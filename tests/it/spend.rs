//! The spend book of the running stage: exact, once, before sampling, and still there after a restart.

use crate::corpus::{self, Recorded};
use crate::support::build::{fresh, llm_call, lone, request, span, text, trace_id, with};
use crate::support::process::{Process, tollgate};
use crate::support::sink::{Sink, Via};
use crate::support::stage::Stage;
use crate::support::{until, until_sync};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};
use tempfile::TempDir;
use tollgate::enrich::price::{Call, Outcome, PriceTable, Usage};
use tollgate::otlp::signal::Signal;
use tollgate::units::Usd;

/// One trace in a hundred stays, and none is waited for.
const ONE_PERCENT: &str = "processors: { tail_sampling: { always_keep: [], policies: [ { name: few, type: probabilistic, probabilistic: { sampling_percentage: 1 } } ] } }\n";

fn on_disk(folder: &TempDir) -> String {
    format!("service: {{ admin: {{ endpoint: \"127.0.0.1:0\" }}, state_directory: {:?} }}\n", folder.path().join("state"))
}

async fn start(config: &str) -> (Stage, Sink) {
    let sink = Sink::start().await;
    let exporters = format!("exporters: {{ otlp_grpc/sink: {{ endpoint: \"{}\", batch: {{ flush_after: 10ms }} }} }}\n", sink.url());
    (Stage::start(&format!("{config}{exporters}")).await, sink)
}

async fn ask(stage: &Stage, query: &str) -> Value {
    let (status, body) = stage.page(&format!("/api/spend{query}")).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

async fn calls(stage: &Stage) -> u64 {
    ask(stage, "?by=").await["total"]["calls"].as_u64().expect("calls")
}

/// Rows by one label.
fn by(answer: &Value, key: &str) -> BTreeMap<String, (u64, u64, u64, String)> {
    let row = |row: &Value| {
        let count = |name: &str| row[name].as_u64().expect("a count");
        let label = row[key].as_str().unwrap_or_default().to_owned();
        (label, (count("calls"), count("input_tokens"), count("output_tokens"), row["usd"].as_str().expect("usd").to_owned()))
    };
    answer["rows"].as_array().expect("rows").iter().map(row).collect()
}

// ---------------------------------------------------------------- against the answer key

/// What the provider counted, in the names of the price table.
fn counts(usage: &Value) -> Usage {
    let mut counts = Usage::UNKNOWN;
    let names = ["cache_read", "cache_write", "cache_write_5m", "cache_write_1h", "reasoning", "output"];
    for (name, from) in names.into_iter().map(|name| (name, name)).chain([("input", "input_total")]) {
        let count = usage[from].as_u64().filter(|n| *n > 0 || matches!(name, "input" | "output"));
        assert!(counts.set_named(name, count), "{name}");
    }
    counts
}

/// Calls of which a library wrote other numbers than the provider gave: nobody behind it can know better.
const DIFFER: [(&str, &[&str]); 3] = [
    // The stream broke off before the provider said what was used.
    ("", &["a-err-midstream"]),
    // It leaves out what came from the cache.
    ("otel-openai-v2", &["o-cached"]),
    // It counts one token too many in streams, and does not tell the lifetimes of what is written to the cache.
    (
        "traceloop-anthropic",
        &["a-async-stream", "a-stream", "a-stream-helper", "a-stream-pii-cache-trunc", "a-stream-tools", "a-cache-create"],
    ),
];

/// What the answer key says about recorded traffic.
struct Key {
    /// Requests that hold a call of [`DIFFER`].
    left_out: HashSet<String>,
    /// Input tokens, output tokens and money by model.
    models: BTreeMap<String, (u64, u64, Usd)>,
}

/// Start of every span, by its ids.
fn starts(recorded: &[Recorded]) -> HashMap<(String, String), u64> {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use prost::Message;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut out = HashMap::new();
    for request in recorded {
        let body = if request.json {
            tollgate::otlp::json::to_protobuf(Signal::Traces, &request.body).expect("JSON")
        } else {
            request.body.clone()
        };
        let decoded = ExportTraceServiceRequest::decode(&*body).expect("a request");
        for span in decoded.resource_spans.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans) {
            out.insert((hex(&span.trace_id), hex(&span.span_id)), span.start_time_unix_nano);
        }
    }
    out
}

/// What every call cost by the numbers of its provider: each once, however many spans tell of it.
fn key(recorded: &[Recorded]) -> Key {
    let starts = starts(recorded);
    let table = PriceTable::bundled();
    let rows = corpus::lines(&corpus::folder().join("expected.jsonl"));
    let text = |row: &Value, name: &str| row[name].as_str().map(str::to_owned);
    let call = |row: &Value| text(row, "call_id").unwrap_or_default();
    let differs = |row: &Value| {
        let (instrumentation, scenario) =
            (row["instrumentation"].as_str().unwrap_or_default(), row["scenario"].as_str().unwrap_or_default());
        DIFFER.iter().any(|(prefix, scenarios)| instrumentation.starts_with(prefix) && scenarios.contains(&scenario))
    };
    // A request is sent or not, and a call is in the key or not: all requests of a call, and all calls of a request.
    let mut left_out: HashSet<String> = rows.iter().filter(|row| differs(row)).filter_map(|row| text(row, "file")).collect();
    loop {
        let out = |row: &&Value| left_out.contains(row["file"].as_str().unwrap_or_default());
        let calls: HashSet<String> = rows.iter().filter(out).map(call).filter(|call| !call.is_empty()).collect();
        let more: HashSet<String> = rows.iter().filter(|row| calls.contains(&call(row))).filter_map(|row| text(row, "file")).collect();
        let before = left_out.len();
        left_out.extend(more);
        if left_out.len() == before {
            break;
        }
    }
    let (mut counted, mut models) = (HashSet::new(), BTreeMap::new());
    // Written by hand and answered by nobody, so the key has no numbers: each of these spans says 14 tokens.
    let (embedding, mut tokens) = ("text-embedding-3-small", Usage::UNKNOWN);
    assert!(tokens.set_named("input", Some(14)));
    let Outcome::Priced(by_hand) =
        table.price(&Call { provider: Some("openai"), model: Some(embedding), usage: tokens, ..Call::default() })
    else {
        panic!("{embedding} has no price")
    };
    for row in rows.iter().filter(|row| !left_out.contains(row["file"].as_str().unwrap_or_default())) {
        if row["role"] == "embedding" && row["call_id"].is_null() {
            let sum: &mut (u64, u64, Usd) = models.entry(embedding.to_owned()).or_default();
            (sum.0, sum.2) = (sum.0 + 14, sum.2 + by_hand.total);
            continue;
        }
        let told = row["usage_keys_on_span"].as_array().is_some_and(|keys| !keys.is_empty()) && row["usage"].is_object();
        let call = call(row);
        if !told || row["role"] == "aggregate" || call.is_empty() || !counted.insert(call.clone()) {
            continue;
        }
        let id = (text(row, "trace_id").expect("an id"), text(row, "span_id").expect("an id"));
        let (provider, model, request_model) = (text(row, "provider"), text(row, "response_model"), text(row, "request_model"));
        let question = Call {
            provider: provider.as_deref(),
            model: model.as_deref(),
            request_model: request_model.as_deref(),
            start_time: starts[&id],
            usage: counts(&row["usage"]),
            ..Call::default()
        };
        // A model that no table has is counted by its own name, and what it cost is not known.
        let (name, usd) = match table.price(&question) {
            Outcome::Priced(priced) => (priced.model.to_string(), priced.total),
            Outcome::Unpriced(_) => (model.or(request_model).expect("a model"), Usd::ZERO),
        };
        let sum: &mut (u64, u64, Usd) = models.entry(name).or_default();
        sum.0 += row["usage"]["input_total"].as_u64().expect("input");
        sum.1 += row["usage"]["output"].as_u64().expect("output");
        sum.2 += usd;
    }
    assert!(counted.len() > 450, "{} calls", counted.len());
    Key { left_out, models }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_totals_of_recorded_traffic_are_those_of_the_answer_key_and_a_retry_changes_nothing() {
    let recorded: Vec<Recorded> = corpus::in_order().into_iter().filter(|r| r.signal == Signal::Traces).collect();
    let key = key(&recorded);
    let (stage, sink) = start(ONE_PERCENT).await;
    let chosen: Vec<&Recorded> = recorded.iter().filter(|r| !key.left_out.contains(&r.file)).collect();
    assert!(chosen.len() > 500, "{} requests", chosen.len());
    for request in &chosen {
        stage.client.send(request).await.unwrap_or_else(|answer| panic!("refused: {answer}"));
    }
    let accepted = stage.telemetry.ledger.books().accepted;
    // Accepted is not yet read: the shards have it when nothing is on the way to them.
    let read = || stage.telemetry.ledger.books().in_transit == 0;
    until_sync("the shards have read everything", read).await;
    let first = ask(&stage, "?by=model").await;
    let spent: BTreeMap<String, (u64, u64, Usd)> = by(&first, "model")
        .into_iter()
        .map(|(model, (_, input, output, usd))| (model, (input, output, usd.parse::<Usd>().expect("an amount"))))
        .filter(|(_, spent)| *spent != (0, 0, Usd::ZERO))
        .collect();
    assert_eq!(spent, key.models);
    assert!(key.models.len() >= 3 && first["total"]["calls"].as_u64().is_some_and(|calls| calls > 100), "{first}");

    for request in &chosen {
        stage.client.send(request).await.unwrap_or_else(|answer| panic!("refused: {answer}"));
    }
    assert_eq!(stage.telemetry.ledger.books().accepted, 2 * accepted);
    until_sync("the shards have read everything again", read).await;
    assert_eq!(ask(&stage, "?by=model").await["rows"], first["rows"]);
    // The book is no sample: of all this nearly nothing has left.
    stage.until_sent().await;
    let traces: HashSet<String> = corpus::lines(&corpus::folder().join("traces.jsonl")).iter().map(|t| t["trace_id"].to_string()).collect();
    assert!(sink.traces().len() * 10 < traces.len(), "{} traces left", sink.traces().len());
    stage.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_book_and_the_metrics_say_the_same_of_all_recorded_traffic() {
    let (stage, _sink) = start(ONE_PERCENT).await;
    for recorded in corpus::in_order().into_iter().filter(|r| r.signal == Signal::Traces) {
        stage.client.send(&recorded).await.unwrap_or_else(|answer| panic!("refused: {answer}"));
    }
    until_sync("the shards have read everything", || stage.telemetry.ledger.books().in_transit == 0).await;
    let answer = ask(&stage, "?by=model,provider,service&limit=100000").await;
    let (_, metrics) = stage.page("/metrics").await;
    let rows = answer["rows"].as_array().expect("rows");
    assert!(rows.len() > 10, "{answer}");
    for row in rows {
        let label = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let (service, provider, model) = (label("service"), label("provider"), label("model"));
        let series = format!("{{service=\"{service}\",provider=\"{provider}\",model=\"{model}\"}}");
        let cost = metrics.lines().find_map(|line| line.strip_prefix("tollgate_llm_cost_usd_total")?.strip_prefix(&*series));
        assert_eq!(cost.map(str::trim), row["usd"].as_str(), "{series}");
        let labels = [("service", &*service), ("provider", &*provider), ("model", &*model)];
        assert_eq!(stage.metric("tollgate_llm_calls_total", &labels), row["calls"].as_u64().expect("calls") as f64, "{series}");
        let with = |kind: &'static str| [&labels[..], &[("kind", kind)]].concat();
        for (kind, column) in [("output", "output_tokens"), ("cache_read", "cache_read_tokens"), ("cache_write", "cache_write_tokens")] {
            assert_eq!(
                stage.metric("tollgate_llm_tokens_total", &with(kind)),
                row[column].as_u64().expect("tokens") as f64,
                "{series} {kind}"
            );
        }
    }
    stage.finish().await;
}

// ---------------------------------------------------------------- what is told apart

#[tokio::test(flavor = "multi_thread")]
async fn users_features_and_attributes_are_told_apart_and_private_data_is_not_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = format!(
        "{ONE_PERCENT}service: {{ state_directory: {:?}, spend: {{ keys: [user, feature, prompt_version, environment, app.tenant] }} }}\n",
        folder.path()
    );
    let (stage, _sink) = start(&config).await;
    for (user, feature, tenant) in [
        ("u1", "chat", "acme"),
        ("u1", "search", "acme"),
        ("jane.doe@example.org", "chat", "acme"),
        ("john.roe@example.org", "chat", "zoo"),
    ] {
        let attributes = [
            ("user.id", text(user)),
            ("app.feature", text(feature)),
            ("gen_ai.prompt.version", text("7")),
            ("app.tenant", text(tenant)),
            ("deployment.environment.name", text("prod")),
        ];
        let body = request(vec![with(llm_call(lone("chat"), "stop"), &attributes)]);
        assert_eq!(stage.client.export(Signal::Traces, &body).await.code, 0);
    }
    until("all are counted", || async { calls(&stage).await == 4 }).await;
    let one = "0.00365".to_owned();
    assert_eq!(by(&ask(&stage, "?by=user").await, "user")["u1"], (2, 3680, 724, "0.0073".to_owned()));
    let users = by(&ask(&stage, "?group_by=user&feature=chat&app.tenant=acme").await, "user");
    assert_eq!(users.keys().map(String::as_str).collect::<Vec<_>>(), ["[EMAIL]", "u1"]);
    assert_eq!(users["[EMAIL]"], (1, 1840, 362, one));
    let whole = ask(&stage, "?by=prompt_version,environment,service,provider,model").await;
    let row = &whole["rows"][0];
    for (key, value) in
        [("prompt_version", "7"), ("environment", "prod"), ("service", "shop"), ("provider", "anthropic"), ("model", "claude-haiku-4-5")]
    {
        assert_eq!(row[key], value, "{whole}");
    }
    let (status, csv) = stage.page("/api/spend?by=app.tenant&format=csv").await;
    assert_eq!(status, 200);
    assert_eq!(csv.lines().nth(1), Some("acme,3,0,0,5520,0,0,1086,0,0.01095"), "{csv}");
    for (query, said) in [
        ("?by=session", "\\\"session\\\" is not told apart"),
        ("?modle=x", "\\\"modle\\\" is no parameter"),
        ("?from=soon", "is not a moment"),
        ("?format=xml", "there are json and csv"),
    ] {
        let (status, body) = stage.page(&format!("/api/spend{query}")).await;
        assert!(status == 400 && body.contains(said), "{query}: {status} {body}");
    }
    stage.finish().await;
    for entry in std::fs::read_dir(folder.path()).expect("the folder") {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("a file");
        for secret in ["jane.doe", "john.roe"] {
            assert!(memchr::memmem::find(&bytes, secret.as_bytes()).is_none(), "{secret} is on disk");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_span_over_another_connection_and_transport_is_counted_once() {
    let (stage, _sink) = start("").await;
    let body = request(vec![llm_call(lone("chat"), "stop")]);
    for _ in 0..3 {
        assert_eq!(stage.client.export(Signal::Traces, &body).await.code, 0);
        assert_eq!(stage.client.post(Signal::Traces, body.clone()).await.status, 200);
    }
    // One more, so that there is something to wait for.
    assert_eq!(stage.client.export(Signal::Traces, &request(vec![llm_call(lone("chat"), "stop")])).await.code, 0);
    until_sync("the shards have read everything", || stage.telemetry.ledger.books().in_transit == 0).await;
    assert_eq!(calls(&stage).await, 2);
    stage.finish().await;
}

// ---------------------------------------------------------------- restart, disk, command

#[tokio::test(flavor = "multi_thread")]
async fn the_book_survives_a_restart_and_answers_from_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = format!("{ONE_PERCENT}{}exporters: {{ debug: {{ verbosity: basic }} }}\n", on_disk(&folder));
    for run in 1..=2u64 {
        let mut process = Process::start(&config, &[]).await;
        for _ in 0..10 {
            assert_eq!(process.client.export(Signal::Traces, &request(vec![llm_call(lone("chat"), "stop")])).await.code, 0);
        }
        let admin = format!("http://{}", process.admin);
        let running = || tollgate(["spend", "--admin", &admin, "--format", "csv"], b"");
        let expected =
            format!("claude-haiku-4-5,{},0,0,{},0,0,{},0,{}", 10 * run, 18_400 * run, 3620 * run, ["0.0365", "0.073"][run as usize - 1]);
        until_sync("all are counted", || running().out.lines().nth(1) == Some(&expected)).await;
        let said = tollgate(["spend", "--admin", &admin, "--by", "sesion"], b"");
        assert!(said.status == 2 && said.err.contains("\"sesion\" is not told apart"), "{said:?}");
        assert!(process.err().contains("the spend book is kept on disk, and nothing else"), "{}", process.err());
        process.signal(rustix::process::Signal::TERM);
        assert_eq!(process.ended().await, 0);
        let state = folder.path().join("state").display().to_string();
        let read = tollgate(["spend", "--state-directory", &state, "--by", "model,user", "--where", "service=shop"], b"");
        let usd = ["0.0365", "0.073"][run as usize - 1];
        assert_eq!(read.status, 0, "{read:?}");
        let lines: Vec<Vec<&str>> = read.out.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["model", "user", "calls", "input_tokens", "output_tokens", "usd"], "{read:?}");
        assert_eq!((lines[1].first(), lines[1].last()), (Some(&"claude-haiku-4-5"), Some(&usd)), "{read:?}");
        assert_eq!((lines[2].first(), lines[2].last()), (Some(&"total"), Some(&usd)), "{read:?}");
        let json = tollgate(["spend", "--state-directory", &state, "--format", "json", "--since", "1h"], b"");
        let json: Value = serde_json::from_str(&json.out).expect("JSON");
        assert_eq!(json["total"]["usd"], usd);
    }
    let nothing = tollgate(["spend", "--state-directory", &folder.path().display().to_string()], b"");
    assert!(nothing.status == 1 && nothing.err.contains("does not exist"), "{nothing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_cannot_be_written_stops_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let blocked = folder.path().join("state").join(tollgate::spend::FILE);
    std::fs::create_dir_all(&blocked).expect("a folder");
    let (stage, sink) = start(&on_disk(&folder)).await;
    let failed = crate::support::build::failed(llm_call(lone("chat"), "stop"), "no");
    assert_eq!(stage.client.export(Signal::Traces, &request(vec![failed])).await.code, 0);
    sink.wait_for(Signal::Traces, Via::Grpc, 1).await;
    until("it is counted", || async { calls(&stage).await == 1 }).await;
    assert!(stage.metric("tollgate_spend_write_failures_total", &[]) >= 1.0);
    assert_eq!(stage.metric("tollgate_spend_unwritten_rows", &[]), 1.0);
    std::fs::remove_dir(&blocked).expect("it is empty");
    stage.finish().await;
    let state = folder.path().join("state").display().to_string();
    let read = tollgate(["spend", "--state-directory", &state, "--format", "csv"], b"");
    assert!(read.out.contains("claude-haiku-4-5,1,1,"), "{read:?}");
}

// ---------------------------------------------------------------- budgets

#[tokio::test(flavor = "multi_thread")]
async fn a_used_up_budget_keeps_every_trace_that_belongs_to_it() {
    let none = "processors: { tail_sampling: { complete_delay: 0s, drop_hold: { window: 0s }, policies: [ { name: none, type: probabilistic, probabilistic: { sampling_percentage: 0 } } ] } }\n";
    let budgets = "service: { spend: { budgets: [
  { name: chat, match: { feature: chat }, usd: 0.01, per: day, action: keep_all },
  { name: watched, usd: 0.01, per: hour },
  { name: large, usd: 1000 } ] } }\n";
    let (stage, sink) = start(&format!("{none}{budgets}")).await;
    let send = async |feature: &str| {
        // A call in a trace of two spans: the whole of it is to stay.
        let (trace, root) = (trace_id(), fresh());
        let call = with(llm_call(span(trace, fresh(), Some(root), "chat"), "stop"), &[("app.feature", text(feature))]);
        let spans = vec![span(trace, root, None, "root"), call];
        assert_eq!(stage.client.export(Signal::Traces, &request(spans)).await.code, 0);
        crate::support::build::hex(&trace)
    };
    let decided = async |trace: &str| {
        let url = format!("/api/decisions/{trace}");
        until("it is decided", || async { stage.page(&url).await.0 == 200 }).await;
        serde_json::from_str::<Value>(&stage.page(&url).await.1).expect("JSON")
    };
    // Two cost 0.0073, three 0.01095.
    let mut before = Vec::new();
    for _ in 0..3 {
        before.push(send("chat").await);
    }
    let crossed = |budget: &str| stage.metric("tollgate_spend_budget_crossed_total", &[("budget", budget)]);
    until_sync("the budget is used up", || crossed("chat") == 1.0 && crossed("watched") == 1.0).await;
    assert_eq!(crossed("large"), 0.0);
    assert_eq!(stage.metric("tollgate_spend_budget_spent_usd", &[("budget", "chat")]), 0.01095);
    let (chat, other) = (send("chat").await, send("search").await);
    let (kept, dropped) = (decided(&chat).await, decided(&other).await);
    assert_eq!((&kept["decision"], &kept["reason"]), (&"keep".into(), &"spend".into()), "{kept}");
    assert_eq!(dropped["decision"], "drop", "{dropped}");
    for trace in &before {
        assert_eq!(decided(trace).await["decision"], "drop");
    }
    sink.wait_for(Signal::Traces, Via::Grpc, 2).await;
    assert_eq!(sink.traces(), HashSet::from([chat]));
    assert_eq!(crossed("chat"), 1.0, "said once");
    stage.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_book_there_is_none() {
    let (stage, _sink) = start("service: { spend: { enabled: false } }\n").await;
    let (status, body) = stage.page("/api/spend").await;
    assert!(status == 503 && body.contains("service.spend.enabled is false"), "{status} {body}");
    stage.finish().await;
}
