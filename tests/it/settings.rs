//! Options whose effect only the whole path shows.

use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tollgate::config::load_text;
use tollgate::pipeline::{Plan, Running};

/// A request with one span of a model call; without `root`, its parent is nowhere.
fn request(root: bool, attributes: &[(&str, &str)]) -> Value {
    let pairs: Vec<Value> = attributes.iter().map(|(key, value)| json!({ "key": key, "value": { "stringValue": value } })).collect();
    let parent = if root { "" } else { "00000000000000ff" };
    json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [{
        "traceId": "00000000000000000000000000000001", "spanId": "0000000000000001", "parentSpanId": parent, "name": "chat",
        "startTimeUnixNano": "1780000000000000000", "endTimeUnixNano": "1780000001000000000", "attributes": pairs,
    }] }] }] })
}

/// Attributes of what `replay` keeps of a request.
fn kept(config: &str, request: &Value) -> Vec<(String, Value)> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    fs::write(file("config.yaml"), config).expect("a config");
    fs::write(file("in.json"), request.to_string()).expect("a request");
    let mut replay = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    replay.arg("replay").arg("--config").arg(file("config.yaml")).arg("--out").arg(file("out.jsonl")).arg(file("in.json"));
    let output = replay.output().expect("tollgate");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let out = fs::read_to_string(file("out.jsonl")).expect("what was kept");
    let Some(line) = out.lines().next() else { return Vec::new() };
    let answer: Value = serde_json::from_str(line).expect("JSON");
    let pairs = answer["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"].as_array().cloned().unwrap_or_default();
    pairs.into_iter().map(|pair| (pair["key"].as_str().unwrap_or_default().to_owned(), pair["value"].clone())).collect()
}

fn value<'a>(attributes: &'a [(String, Value)], key: &str) -> Option<&'a Value> {
    attributes.iter().find(|(k, _)| k == key).map(|(_, value)| value)
}

const PROMPT: &str = "mail bob@example.org about the order that did not arrive";

fn prompt() -> Value {
    request(true, &[("gen_ai.system", "openai"), ("gen_ai.request.model", "gpt-4o"), ("gen_ai.prompt", PROMPT)])
}

#[test]
fn a_secret_at_the_cut_is_found_before_it_is_cut() {
    let config = "processors: { enrich: { max_content_chars: 9 }, tail_sampling: { enabled: false } }";
    let attributes = kept(config, &prompt());
    assert_eq!(value(&attributes, "gen_ai.prompt"), Some(&json!({ "stringValue": "mail [EMA… [truncated]" })));
    assert_eq!(
        value(&attributes, "tollgate.content.truncated").map(Value::to_string).as_deref(),
        Some(r#"{"arrayValue":{"values":[{"stringValue":"gen_ai.prompt"}]}}"#)
    );
}

#[test]
fn nothing_is_cut_by_default_and_a_limit_holds_without_redaction_too() {
    let whole = kept("processors: { redaction: { enabled: false }, tail_sampling: { enabled: false } }", &prompt());
    assert_eq!(value(&whole, "gen_ai.prompt"), Some(&json!({ "stringValue": PROMPT })));
    assert_eq!(value(&whole, "tollgate.content.truncated"), None);
    let config = "processors: { enrich: { max_content_chars: 4 }, redaction: { enabled: false }, tail_sampling: { enabled: false } }";
    assert_eq!(value(&kept(config, &prompt()), "gen_ai.prompt"), Some(&json!({ "stringValue": "mail… [truncated]" })));
}

#[test]
fn policies_see_the_whole_text() {
    for position in ["before_sampling", "after_sampling"] {
        let config = format!(
            "processors:
  enrich: {{ max_content_chars: 4 }}
  redaction: {{ position: {position} }}
  tail_sampling:
    policies: [{{ name: orders, type: string_attribute, string_attribute: {{ key: gen_ai.prompt, values: [arrive], enabled_regex_matching: true }} }}]"
        );
        let attributes = kept(&config, &prompt());
        assert_eq!(value(&attributes, "gen_ai.prompt"), Some(&json!({ "stringValue": "mail… [truncated]" })), "{position}");
    }
}

#[tokio::test]
async fn what_is_undecided_leaves_when_sampling_is_switched_off() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("kept.jsonl");
    let config = |sampling: &str| {
        let text = format!(
            "receivers: {{ otlp: {{ protocols: {{ http: {{ endpoint: \"127.0.0.1:0\" }} }} }} }}
processors: {{ tail_sampling: {{ {sampling} }} }}
exporters: {{ file: {{ path: {out:?} }} }}
service: {{ admin: {{ endpoint: \"127.0.0.1:0\" }} }}"
        );
        let file = load_text("settings", &text).unwrap_or_else(|problems| panic!("{problems}"));
        let plan = Plan::compile(&file.processors, Path::new("")).expect("a plan");
        (file, plan)
    };
    let (file, plan) = config("policies: []");
    let stage = Running::start(&file, plan).await.expect("the stage");
    let url = format!("http://{}/v1/traces", stage.addresses().http.expect("http"));
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    // Without a root it waits for half a minute, and nothing would keep it.
    let body = request(false, &[("gen_ai.system", "openai")]).to_string();
    let answer = client.post(url).header("content-type", "application/json").body(body).send().await.expect("an answer");
    assert!(answer.status().is_success());
    let (file, plan) = config("enabled: false");
    stage.reload(&file, plan).await.expect("a reload");
    let until = Instant::now() + Duration::from_secs(10);
    while fs::metadata(&out).map_or(0, |m| m.len()) == 0 && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ledger = stage.telemetry().ledger.clone();
    stage.shutdown().await;
    assert!(fs::read_to_string(&out).expect("what was kept").contains("\"0000000000000001\""));
    ledger.assert_balanced();
}
