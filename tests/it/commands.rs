//! The commands around the stage, as a shell meets them.

use crate::corpus;
use crate::support::build::{failed, hex, llm_call, lone, request};
use crate::support::json;
use crate::support::process::{Process, tollgate};
use crate::support::stage::Stage;
use crate::support::until_sync;
use rustix::process::Signal as Kill;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tollgate::otlp::signal::Signal;

/// Recorded requests of traces, protobuf and JSON, as arguments.
fn inputs(folders: &[&str]) -> Vec<String> {
    let chosen = corpus::in_order().into_iter().filter(|r| r.signal == Signal::Traces && folders.iter().any(|f| r.file.starts_with(f)));
    chosen.map(|r| corpus::folder().join(r.file).display().to_string()).collect()
}

fn replay(flags: &[&str], inputs: &[String]) -> Vec<Value> {
    let args = ["replay", "--format", "json"].iter().chain(flags).map(|a| (*a).to_owned()).chain(inputs.iter().cloned());
    let ran = tollgate(args, b"");
    assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{}", ran.err);
    ran.out.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

const SOME: [&str; 5] = ["anthropic-sdk-native", "handwritten", "vercel-ai-6.0.326", "traceloop-openai-0.62.4", "slow-agents"];

#[test]
fn replay_answers_every_trace_with_one_line_and_the_same_every_time() {
    let inputs = inputs(&SOME);
    let first = replay(&["--spans"], &inputs);
    assert_eq!(first, replay(&["--spans"], &inputs));

    let known: BTreeMap<String, Value> = corpus::lines(&corpus::folder().join("traces.jsonl"))
        .into_iter()
        .filter(|trace| SOME.iter().any(|folder| trace["files"][0].as_str().is_some_and(|file| file.starts_with(folder))))
        .map(|trace| (trace["trace_id"].as_str().unwrap_or_default().to_owned(), trace))
        .collect();
    let lines: BTreeMap<&str, &Value> = first.iter().map(|line| (line["trace_id"].as_str().unwrap_or_default(), line)).collect();
    assert_eq!(lines.len(), first.len(), "one line a trace");
    assert_eq!(lines.keys().copied().collect::<Vec<_>>(), known.keys().map(String::as_str).collect::<Vec<_>>());
    for (id, line) in lines {
        let trace = &known[id];
        assert_eq!(line["spans"], trace["spans"], "{line}");
        assert!(["keep", "drop"].contains(&line["decision"].as_str().unwrap_or_default()), "{line}");
        for key in ["policy", "reason", "trigger"] {
            assert!(line[key].is_string(), "{key} of {line}");
        }
        for key in ["llm_calls", "input_tokens", "output_tokens"] {
            assert!(line[key].is_u64(), "{key} of {line}");
        }
        assert!(line["errors"]["transient"].is_u64() && line["errors"]["permanent"].is_u64(), "{line}");
        assert!(line["truncated"].is_boolean() && line["redactions"].is_object() && line["span_facts"].is_array(), "{line}");
        if let Some(cost) = line.get("cost_usd") {
            let digits = cost.as_str().unwrap_or_default();
            assert!(
                !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') && digits != "0",
                "exact decimal text: {cost}"
            );
        }
        if trace["error_spans"].as_u64() > Some(0) {
            assert_eq!((&line["decision"], &line["policy"]), (&json!("keep"), &json!("_always_keep")), "{line}");
        }
    }
}

/// What is decided about recorded requests, whether a stage runs or a replay: the same config, and times of arrival far apart in one.
const WAITS: &str = "decision_wait: 3s, extend_while_active: { idle: 0s }";

#[tokio::test(flavor = "multi_thread")]
async fn replay_decides_like_the_running_stage() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("config.yaml");
    let text = format!("processors: {{ tail_sampling: {{ {WAITS} }} }}\nexporters: {{ debug: {{}} }}\n");
    fs::write(&config, &text).expect("it can be written");
    let lines = tokio::task::block_in_place(|| replay(&["--config", &show(&config)], &inputs(&SOME)));
    let stage = Stage::start(&text).await;
    for recorded in corpus::in_order() {
        if recorded.signal == Signal::Traces && SOME.iter().any(|folder| recorded.file.starts_with(folder)) {
            stage.client.send(&recorded).await.expect("it is accepted");
        }
    }
    until_sync("everything is decided", || stage.metric("tollgate_sampling_traces_pending", &[]) == 0.0).await;
    let mut kept = 0;
    for line in &lines {
        let id = line["trace_id"].as_str().expect("an id");
        let (status, answer) = stage.page(&format!("/api/decisions/{id}")).await;
        assert_eq!(status, 200, "{answer}");
        let decision: Value = serde_json::from_str(&answer).expect("JSON");
        assert_eq!(decision["decision"], line["decision"], "{answer}");
        kept += usize::from(line["decision"] == "keep");
    }
    assert!(kept > 20 && kept < lines.len(), "{kept} of {}", lines.len());
    stage.finish().await;
}

#[test]
fn replay_compares_two_configs_and_sums_up_what_each_policy_keeps() {
    let folder = tempfile::tempdir().expect("a folder");
    let (old, new) = (folder.path().join("old.yaml"), folder.path().join("new.yaml"));
    let config = |policy: &str| format!("processors: {{ tail_sampling: {{ always_keep: [truncated], policies: [{policy}] }} }}\n");
    fs::write(&old, config("{ name: failed, type: status_code, status_code: { status_codes: [ERROR] } }")).expect("it can be written");
    fs::write(&new, config("{ name: dear, type: trace_cost, trace_cost: { min_usd: 0.0001 } }")).expect("it can be written");
    let (old, new, inputs) = (show(&old), show(&new), inputs(&SOME));
    let flags = ["--config", &new, "--against", &old];
    let lines = replay(&flags, &inputs);
    let differ: Vec<&Value> = lines.iter().filter(|line| line["decision"] != line["against"]["decision"]).collect();
    assert!(differ.iter().any(|line| line["against"]["policy"] == "failed") && differ.iter().any(|line| line["policy"] == "dear"));
    let summary = replay(&[&flags[..], &["--summary"]].concat(), &inputs);
    let [summary] = &summary[..] else { panic!("one line: {summary:?}") };
    assert_eq!((summary["traces"].as_u64(), summary["differing"].as_u64()), (Some(lines.len() as u64), Some(differ.len() as u64)));
    let of = |policy: &str| lines.iter().filter(|line| line["policy"] == policy && line["decision"] == "keep").count() as u64;
    assert_eq!(summary["policies"]["dear"]["traces"].as_u64(), Some(of("dear")));
    assert!(summary["policies"]["dear"]["bytes"].as_u64() > Some(1000), "{summary}");
    let failed = differ.iter().filter(|line| line["against"]["policy"] == "failed").count();
    assert!(summary["differing_keep_class"].as_array().is_some_and(|ids| ids.len() >= failed && failed > 0), "{summary}");
    // For people, the same sums.
    let args = ["replay", "--summary", "--config", &new, "--against", &old].map(str::to_owned).into_iter().chain(inputs.iter().cloned());
    let ran = tollgate(args, b"");
    assert!(ran.out.contains("dear") && ran.out.contains(&format!("{} traces are decided otherwise", differ.len())), "{}", ran.out);
}

#[test]
fn retries_and_loops_of_recorded_agents_are_found() {
    let keeps = |policy: &str, inputs: &[String]| -> BTreeSet<String> {
        let set = format!("processors.tail_sampling.policies=[{{name: p, type: {policy}}}]");
        let lines = replay(&["--set", &set, "--set", "processors.tail_sampling.always_keep=[]"], inputs);
        lines.iter().filter(|line| line["policy"] == "p").map(|line| line["trace_id"].to_string()).collect()
    };
    let of = |part: &str| -> Vec<String> { inputs(&[""]).into_iter().filter(|file| file.contains(part)).collect() };
    // Applications that try again by themselves, each with a failed call and then one that succeeds.
    let retried = of("a-app-retry");
    assert!(!retried.is_empty() && !keeps("retries", &retried).is_empty(), "{retried:?}");
    // An agent that looks up the same again and again, and others whose arguments change with every call.
    assert_eq!(keeps("tool_loop", &of("lf-agent-loop")).len(), 1);
    assert_eq!(keeps("tool_loop", &of("v-anthropic-agent-loop")).len(), 0);
    // Ordinary calls and tools are neither.
    for ordinary in ["-basic-", "-tools-"] {
        assert_eq!(keeps("retries", &of(ordinary)), BTreeSet::new(), "{ordinary}");
        assert_eq!(keeps("tool_loop", &of(ordinary)), BTreeSet::new(), "{ordinary}");
    }
}

#[test]
fn what_was_redacted_before_sampling_can_decide() {
    let inputs: Vec<String> = inputs(&["handwritten", "anthropic-sdk-native"]);
    let set = "processors.tail_sampling.policies=[{name: sensitive, type: redaction_hits, redaction_hits: {types: [EMAIL]}}]";
    let early = "processors.redaction.position=before_sampling";
    let lines = replay(&["--set", set, "--set", early, "--set", "processors.tail_sampling.always_keep=[]"], &inputs);
    let by = |policy: &str| lines.iter().filter(|line| line["policy"] == policy).count();
    assert!(by("sensitive") > 0 && by("_default") > 0, "{lines:?}");
    for (sets, part) in [
        (vec![set], "before_sampling"),
        (vec!["processors.tail_sampling.policies=[{name: s, type: redaction_hits, redaction_hits: {types: [EMAILS]}}]", early], "EMAILS"),
    ] {
        let args = ["check"].into_iter().chain(sets.iter().flat_map(|set| ["--set", *set])).map(str::to_owned);
        let ran = tollgate(args, b"");
        assert!(ran.status != 0 && format!("{}{}", ran.out, ran.err).contains(part), "{ran:?}");
    }
}

#[test]
fn what_replay_keeps_can_be_replayed_and_is_all_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("config.yaml");
    fs::write(
        &config,
        "processors: { redaction: { enabled: false }, tail_sampling: { policies: [ { name: all, type: always_sample } ] } }\n",
    )
    .expect("it can be written");
    let (config, out, again) = (show(&config), folder.path().join("kept.jsonl"), folder.path().join("again.jsonl"));
    let inputs = inputs(&["vercel-ai-6.0.326", "handwritten"]);
    let first = replay(&["--config", &config, "--out", &show(&out)], &inputs);
    let second = replay(&["--config", &config, "--out", &show(&again)], &[show(&out)]);
    // What was added to the spans is read as their sender's: cost, usage and ends say the same.
    let facts = |lines: &[Value]| -> BTreeSet<String> {
        let of = |line: &Value| {
            ["trace_id", "spans", "llm_calls", "cost_usd", "input_tokens", "output_tokens", "errors", "truncated"]
                .map(|key| line[key].to_string())
        };
        lines.iter().map(|line| of(line).join(" ")).collect()
    };
    assert!(first.len() > 40);
    assert_eq!(facts(&first), facts(&second));
    // And nothing is added twice.
    let spans = |path: &Path| -> BTreeSet<String> {
        let text = fs::read_to_string(path).expect("it was written");
        text.lines()
            .flat_map(|line| json::decoded(line.as_bytes()))
            .map(|span| format!("{} {} {}", hex(&span.trace_id), hex(&span.span_id), span.attributes.len()))
            .collect()
    };
    assert_eq!(spans(&out), spans(&again));
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn replay_says_what_it_cannot_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, content: &[u8]| -> PathBuf {
        fs::write(folder.path().join(name), content).expect("it can be written");
        folder.path().join(name)
    };
    // An argument that cannot be used is told from one that can and holds something broken.
    for (path, part, status) in [
        (file("broken.jsonl", b"{\"resourceSpans\":[]}\n{\n"), "broken.jsonl:2", 1),
        (file("broken.binpb", b"\xff\xff\xff"), "not a valid OTLP request", 1),
        (file("notes.txt", b"x"), "notes.txt", 2),
        (folder.path().join("nowhere.binpb"), "nowhere.binpb", 2),
    ] {
        let ran = tollgate(["replay", &show(&path)], b"");
        assert!(ran.status == status && ran.err.contains(part), "{ran:?}");
        assert!(ran.out.is_empty(), "{ran:?}");
    }
    assert_eq!(tollgate(["replay"], b"").status, 2);
    let table = tollgate(["replay".to_owned()].into_iter().chain(inputs(&["handwritten-vocab-a"])), b"");
    assert!(table.status == 0 && table.out.lines().count() > 8, "{table:?}");
}

#[test]
fn redact_replaces_in_text_and_tells_where_in_lines() {
    let ran =
        tollgate(["redact"], b"Ask maria.gonzalez@example.com,\nor pay with 4111 1111 1111 1111.\nVersion 1.2.3.4-beta of ticket 4111\n");
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_eq!(ran.out, "Ask [EMAIL],\nor pay with [CREDIT_CARD].\nVersion 1.2.3.4-beta of ticket 4111\n");

    let input = "{\"id\":\"a\",\"text\":\"né: bob@example.org, eve@example.org\"}\n{\"id\":2,\"text\":\"nothing here\"}\nno json\n{\"id\":null,\"text\":\"\"}\n";
    let ran = tollgate(["redact", "--jsonl"], input.as_bytes());
    let lines: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((ran.status, lines.len()), (0, 4), "one line for each line: {ran:?}");
    assert_eq!(lines[0]["redacted"], "né: [EMAIL], [EMAIL]");
    assert_eq!(lines[0]["entities"], json!([{"type": "EMAIL", "start": 5, "end": 20}, {"type": "EMAIL", "start": 22, "end": 37}]));
    assert_eq!(lines[1], json!({"id": 2, "redacted": "nothing here", "entities": []}));
    assert!(lines[2]["error"].as_str().is_some_and(|error| error.contains('3')), "{}", lines[2]);

    let ran = tollgate(["redact", "--set", "processors.redaction.enabled=false"], b"x");
    assert_eq!(ran.status, 2, "{ran:?}");
}

#[test]
fn price_tells_the_exact_cost_and_why() {
    let args = "price claude-opus-4-7 --provider anthropic --input 48210 --cache-read 41000 --cache-write 6000 --cache-write-1h 4500 --output 1275 --at 2026-11-12T09:30:00Z";
    let ran = tollgate(args.split(' '), b"");
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.out.contains("USD 0.1128 ") && ran.out.contains("4500 × 10") && ran.out.contains("cache write 0.054375"), "{}", ran.out);

    // The price of the day a call started, also to the nanosecond.
    let input = r#"{"id":"before","provider":"anthropic","model":"claude-sonnet-4-6","start_time":"2026-03-12T23:59:59.999999999Z","usage":{"input":200001,"cache_read":150000,"output":2000}}
{"id":"after","provider":"anthropic","model":"claude-sonnet-4-6","start_time":"2026-03-13T00:00:00Z","usage":{"input":200001,"cache_read":150000,"output":2000}}
{"id":"unknown","provider":"openai","model":"acme-internal-llm-v2","start_time":"2026-11-12T09:30:00Z","usage":{"input":1}}
"#;
    let ran = tollgate(["price", "--jsonl"], input.as_bytes());
    let lines: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((ran.status, lines.len()), (0, 3), "{ran:?}");
    assert_eq!((&lines[0]["id"], &lines[0]["status"], &lines[0]["usd"]), (&json!("before"), &json!("priced"), &json!("0.435006")));
    assert_eq!(lines[1]["usd"], "0.225003");
    assert_eq!((&lines[2]["status"], lines[2].get("usd")), (&json!("unpriced"), None));
    assert!(lines[2]["skip_reason"].is_string());
    assert_eq!(tollgate(["price"], b"").status, 2, "of what?");
    assert_eq!(tollgate(["price", "x", "--input", "many"], b"").status, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_and_health_ask_a_running_stage() {
    let config =
        "processors: { tail_sampling: { policies: [ { name: none, type: probabilistic, probabilistic: { sampling_percentage: 0 } } ] } }
exporters: { debug: {} }
";
    let mut process = Process::start(config, &[]).await;
    let (bad, ordinary) = (failed(llm_call(lone("chat"), "stop"), "no"), lone("ordinary"));
    assert_eq!(process.client.export(Signal::Traces, &request(vec![bad.clone(), ordinary.clone()])).await.code, 0);
    let admin = format!("http://{}", process.admin);
    let ask = |args: Vec<String>| async { tokio::task::spawn_blocking(move || tollgate(args, b"")).await.expect("it ends") };
    let explain = |id: &str, admin: &str| ask(["explain", id, "--admin", admin].map(str::to_owned).to_vec());

    let start = Instant::now();
    let dropped = loop {
        let ran = explain(&hex(&ordinary.trace_id), &admin).await;
        if ran.status == 0 {
            break ran;
        }
        assert!(ran.status == 1 && ran.err.contains("no decision"), "{ran:?}");
        assert!(start.elapsed() < Duration::from_secs(90), "{ran:?}");
    };
    assert!(dropped.out.contains("was dropped by policy \"none\""), "{}", dropped.out);
    assert!(dropped.out.contains("policy \"none\" said drop: it keeps 0.0000 %"), "{}", dropped.out);
    let kept = explain(&hex(&bad.trace_id), &admin).await;
    assert!(kept.status == 0 && kept.out.contains("was kept by policy \"_always_keep\" (error)"), "{kept:?}");
    assert_eq!(explain("xyz", &admin).await.status, 2);
    assert_eq!(explain(&hex(&bad.trace_id), "http://127.0.0.1:1").await.status, 1);

    let health = |admin: &str| ask(["health", "--admin", admin].map(str::to_owned).to_vec());
    assert_eq!(health(&admin).await.status, 0);
    let ran = health("http://127.0.0.1:1").await;
    assert!(ran.status == 1 && ran.err.contains("127.0.0.1:1"), "{ran:?}");

    // Meanwhile the exporter for people has shown the call, and what it cost.
    until_sync("the call is shown", || process.out().contains("chat")).await;
    let shown = process.out();
    assert!(shown.contains("total_usd=0.00365"), "{shown}");
    process.signal(Kill::INT);
    assert_eq!(process.ended().await, 0, "an interrupt drains, too");
}

#[test]
fn the_demo_shows_what_is_kept_dropped_and_spent_within_seconds() {
    let start = Instant::now();
    let ran = tollgate(["demo"], b"");
    assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{ran:?}");
    assert!(start.elapsed() < Duration::from_secs(90), "{:?}", start.elapsed());
    for part in ["keep  ", "drop  ", "kept by baseline", "dropped", "_always_keep", "USD", "Spend by model", "0 unaccounted", "[EMAIL]"] {
        assert!(ran.out.contains(part), "{part} is not in\n{}", ran.out);
    }
    assert!(!ran.out.contains('\x1b'), "no colours in a pipe");
}
