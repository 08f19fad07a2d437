//! Price lists beside the config: taken over when they change, left alone when they break.

use crate::support::build::{fresh, request, span, text, trace_id, with};
use crate::support::path::{Desk, i, s, span as made};
use crate::support::process::{Process, tollgate};
use crate::support::sink::Sink;
use crate::support::{until, until_sync};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use std::fs;
use std::path::Path;
use tollgate::otlp::signal::Signal;

fn list(dollars: u32) -> String {
    format!(
        "format: tollgate-prices/1\nas_of: 2026-11-20\nproviders:\n  acme:\n    models:\n      - {{id: acme-1, prices: [{{rates: {{input: {dollars}, output: 2}}}}]}}\n"
    )
}

/// Replaces a file as editors do.
fn replace(file: &Path, content: &str) {
    let new = file.with_extension("new");
    fs::write(&new, content).expect("it can be written");
    fs::rename(new, file).expect("it can be renamed");
}

/// Sends a call of a million tokens; waits until all that was sent costs so much.
async fn costs(process: &Process, usd: f64) {
    let call = with(
        span(trace_id(), fresh(), None, "chat"),
        &[
            ("gen_ai.operation.name", text("chat")),
            ("gen_ai.provider.name", text("acme")),
            ("gen_ai.request.model", text("acme-1")),
            ("gen_ai.usage.input_tokens", Value::IntValue(1_000_000)),
        ],
    );
    assert_eq!(process.client.export(Signal::Traces, &request(vec![call])).await.code, 0);
    until(&format!("{usd} dollars are counted"), || async { process.metric("tollgate_llm_cost_usd_total").await == usd }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_changes_is_taken_over_and_one_that_breaks_leaves_the_old_table() {
    let sink = Sink::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let prices = folder.path().join("mine.yaml");
    fs::write(&prices, list(1)).expect("a list");
    let config = format!(
        "processors: {{ enrich: {{ prices: {{ files: [{prices:?}] }} }} }}\nexporters: {{ otlp_grpc: {{ endpoint: \"{}\" }} }}\n",
        sink.url()
    );
    let process = Process::start(&config, &["--watch"]).await;
    let reloads = || process.err().matches("\"reloaded\"").count();
    costs(&process, 1.0).await;
    replace(&prices, &list(3));
    until_sync("the list is taken over", || reloads() == 1).await;
    costs(&process, 4.0).await;
    replace(&prices, &list(5).replace("input: 5", "input: five"));
    until_sync("it says what is wrong and where", || process.err().contains("mine.yaml:6:")).await;
    assert!(process.err().contains("not a decimal number") && process.err().contains("stays in force"), "{}", process.err());
    until("the metric tells", || async { process.metric("tollgate_config_reload_failed").await == 1.0 }).await;
    costs(&process, 7.0).await;
    replace(&prices, &list(10));
    until_sync("what is whole again is taken over", || reloads() == 2).await;
    costs(&process, 17.0).await;
}

const LITELLM: &str = r#"{
  "acme/new-1": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 2e-06, "output_cost_per_token": 8e-06},
  "gpt-4o": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 2.5e-04, "output_cost_per_token": 1e-05}
}"#;

const GENAI: &str = r#"[{"id": "openai", "models": [{"id": "new-2", "match": {"starts_with": "new-2"},
  "prices": {"input_mtok": 3, "output_mtok": {"base": 4, "tiers": [{"start": 1000, "price": 5}]}}}]}]"#;

#[test]
fn lists_of_others_load_as_they_are_and_price_spans_and_commands_alike() {
    let folder = tempfile::tempdir().expect("a folder");
    let (litellm, genai, config) =
        (folder.path().join("litellm.json"), folder.path().join("genai.json"), folder.path().join("config.yaml"));
    fs::write(&litellm, LITELLM).expect("a list");
    fs::write(&genai, GENAI).expect("a list");
    let files = format!("[ {{ path: {litellm:?}, as_of: 2026-11-10 }}, {{ path: {genai:?}, as_of: 2026-11-10 }} ]");
    fs::write(&config, format!("processors: {{ enrich: {{ prices: {{ files: {files} }} }} }}")).expect("a config");

    let mut desk = Desk::new(&format!("{{ prices: {{ files: {files} }} }}"));
    let call = |id, model| {
        let attributes = vec![s("gen_ai.operation.name", "chat"), s("gen_ai.system", "openai"), s("gen_ai.request.model", model)];
        made(id, 0, [attributes, vec![i("gen_ai.usage.input_tokens", 1_000), i("gen_ai.usage.output_tokens", 10)]].concat())
    };
    let (saw, _) = desk.send(vec![("", vec![call(1, "acme/new-1"), call(2, "new-2-2026-10-01"), call(3, "gpt-4o")])]);
    let costs: Vec<_> = saw.iter().map(|saw| saw.cost.as_deref()).collect();
    // The price that jumped a hundredfold is held back, and that is counted.
    assert_eq!(costs, [Some("0.00208"), Some("0.00304"), Some("0.0026")]);
    let text = desk.metrics();
    for line in [
        "tollgate_enrich_price_changes_held_total{layer=\"litellm-2026-11-10\"} 1",
        "tollgate_enrich_price_table_timestamp_seconds{layer=\"genai-2026-11-10\"}",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let ran = tollgate(
        [
            "price",
            "new-2",
            "--provider",
            "openai",
            "--input",
            "1001",
            "--output",
            "10",
            "--at",
            "2026-11-12",
            "--config",
            &config.display().to_string(),
        ],
        b"",
    );
    assert!(
        ran.status == 0 && ran.out.contains("USD 0.003053") && ran.out.contains("price genai-2026-11-10/openai/new-2/start"),
        "{ran:?}"
    );
    assert!(ran.out.contains("prompt of 1001 tokens or more"), "{ran:?}");
    let checked = tollgate(["check", "--config", &config.display().to_string()], b"");
    assert!((checked.out + &checked.err).contains("held back"), "`check` names what is held back");
}

#[test]
fn a_list_with_a_mistake_is_refused_with_its_line_and_column() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("config.yaml");
    for (name, content, place) in [
        ("mine.yaml", list(1).replace("input: 1", "imput: 1"), "mine.yaml:6:"),
        ("litellm.json", LITELLM.replace("8e-06}", "8e-06,}"), "litellm.json:2:"),
        ("genai.json", GENAI.replace("\"output_mtok\":", "\"output_mtok\""), "genai.json:2:"),
    ] {
        fs::write(folder.path().join(name), content).expect("a list");
        fs::write(&config, format!("processors: {{ enrich: {{ prices: {{ files: [{name}] }} }} }}")).expect("a config");
        let ran = tollgate(["check", "--config", &config.display().to_string()], b"");
        assert!(ran.status == 2 && ran.err.contains(place), "{name}: {ran:?}");
    }
}

#[test]
fn rules_of_the_user_come_before_the_tables_on_spans() {
    let rules = "{ errors: { unknown_as: transient, rules: [ { match: { http_status: 418 }, reason: quota_exhausted }, { match: { message: 'sad' }, class: permanent } ] } }";
    let failed = |more| made(1, 0, [vec![s("gen_ai.operation.name", "chat"), s("gen_ai.request.model", "m")], more].concat());
    let error = |more| crate::support::path::alone(rules, "", failed(more)).0.error;
    assert_eq!(error(vec![i("error.http_status", 418)]).as_deref(), Some("permanent/quota_exhausted"));
    assert_eq!(error(vec![i("error.http_status", 503), s("error.message", "upstream sad")]).as_deref(), Some("permanent/overloaded"));
    assert_eq!(error(vec![i("error.http_status", 503)]).as_deref(), Some("transient/overloaded"));
    assert_eq!(error(vec![s("error.type", "_OTHER")]).as_deref(), Some("transient/unknown"));
}
