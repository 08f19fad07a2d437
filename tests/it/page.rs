//! The live page and what it asks: decided traces as a list, as a stream, one of them whole.

use crate::support::build::{failed, fresh, hex, llm_call, lone, request, span, text, trace_id, with};
use crate::support::sink::Sink;
use crate::support::stage::Stage;
use crate::support::{PATIENCE, until};
use serde_json::Value;
use tollgate::otlp::signal::Signal;

const KEEPS_NOTHING: &str = "processors: { tail_sampling: { policies: [] } }\nservice: { shutdown_timeout: 5s }\n";

async fn start(config: &str) -> (Stage, Sink) {
    let sink = Sink::start().await;
    let exporters = format!("exporters: {{ otlp_grpc/sink: {{ endpoint: \"{}\", batch: {{ flush_after: 10ms }} }} }}\n", sink.url());
    (Stage::start(&(config.to_owned() + &exporters)).await, sink)
}

async fn json(stage: &Stage, path: &str) -> (u16, Value) {
    let (status, text) = stage.page(path).await;
    (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{path}: {text}")))
}

async fn ids(stage: &Stage, query: &str) -> Vec<String> {
    let (status, list) = json(stage, &format!("/api/traces{query}")).await;
    assert_eq!(status, 200, "{list}");
    list["traces"].as_array().expect("a list").iter().map(|trace| trace["trace_id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decided_trace_is_listed_filtered_and_opened_with_nothing_private_in_it() {
    let (stage, _sink) = start(KEEPS_NOTHING).await;
    let (kept, dropped) = (trace_id(), trace_id());
    let root = fresh();
    let prompt = [("gen_ai.input.messages", text("write to canary.person@corp.example"))];
    let call = with(llm_call(span(kept, fresh(), Some(root), "chat"), "stop"), &prompt);
    let broken = failed(span(kept, root, None, "answer canary.person@corp.example"), "429");
    let spans = vec![call, broken];
    assert_eq!(stage.client.export(Signal::Traces, &request(spans)).await.code, 0);
    assert_eq!(stage.client.export(Signal::Traces, &request(vec![span(dropped, fresh(), None, "fine")])).await.code, 0);
    until("both are decided", || async { ids(&stage, "").await.len() >= 2 }).await;

    assert_eq!(ids(&stage, "?decision=keep&error=true").await, [hex(&kept)]);
    assert_eq!(ids(&stage, "?decision=drop").await, [hex(&dropped)]);
    assert_eq!(ids(&stage, "?model=claude-haiku-4-5-20251001").await, [hex(&kept)]);
    assert!(ids(&stage, "?model=unheard-of").await.is_empty());
    assert_eq!(ids(&stage, "?limit=1").await.len(), 1);
    let (status, answer) = json(&stage, "/api/traces?decison=keep").await;
    assert_eq!(status, 400);
    assert!(answer["error"].as_str().is_some_and(|error| error.contains("decison")), "{answer}");

    let (status, opened) = json(&stage, &format!("/api/traces/{}", hex(&kept))).await;
    assert_eq!((status, opened["trace"]["reason"].as_str()), (200, Some("error")), "{opened}");
    let whole = opened.to_string();
    assert!(whole.contains("[EMAIL]") && whole.contains("tollgate.cost.total_usd"), "{whole}");
    for (path, expected) in [(format!("/api/traces/{}", hex(&trace_id())), 404), ("/api/traces/nonsense".to_owned(), 400)] {
        assert_eq!(json(&stage, &path).await.0, expected);
    }
    let (_, dropped) = json(&stage, &format!("/api/traces/{}", hex(&dropped))).await;
    assert_eq!((dropped["trace"]["decision"].as_str(), dropped["trace"]["stored"].as_bool()), (Some("drop"), Some(false)));
    for page in ["/api/traces", "/metrics", "/api/status"] {
        assert!(!stage.page(page).await.1.contains("canary"), "{page}");
    }
    assert!(!whole.contains("canary"));
    stage.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_tells_what_is_decided_and_ends_with_the_stage() {
    let (stage, _sink) = start(KEEPS_NOTHING).await;
    let url = format!("http://{}/api/traces?error=true", stage.running.addresses().admin);
    let mut stream = stage.client.web.get(url).header("accept", "text/event-stream").send().await.expect("an answer");
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let trace = trace_id();
    let spans = vec![failed(span(trace, fresh(), None, "broken"), "429")];
    assert_eq!(stage.client.export(Signal::Traces, &request(spans)).await.code, 0);
    assert_eq!(stage.client.export(Signal::Traces, &request(vec![lone("fine")])).await.code, 0);
    let mut text = String::new();
    while !text.contains("\n\n") {
        let piece = tokio::time::timeout(PATIENCE, stream.chunk()).await.expect("in time").expect("a piece").expect("no end yet");
        text.push_str(&String::from_utf8_lossy(&piece));
    }
    let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or_else(|| panic!("{text}"));
    let news: Value = serde_json::from_str(data).expect("JSON");
    assert_eq!(news["traces"][0]["trace_id"], hex(&trace));
    stage.finish().await;
    tokio::time::timeout(PATIENCE, async { while stream.chunk().await.is_ok_and(|piece| piece.is_some()) {} }).await.expect("it ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_needs_no_token_and_what_it_asks_does() {
    let token = "service: { admin: { auth: { bearer_tokens: [a-token-for-the-page] } } }\n";
    let (stage, _sink) = start(token).await;
    let admin = format!("http://{}", stage.running.addresses().admin);
    for path in ["/", "/page.js", "/page.css", "/figures.js", "/waterfall.js", "/uplot.js", "/uplot.css"] {
        let answer = stage.client.web.get(format!("{admin}{path}")).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        let policy = answer.headers()["content-security-policy"].to_str().expect("text").to_owned();
        assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    }
    for path in ["/api/traces", "/api/traces/00000000000000000000000000000001", "/metrics", "/api/status"] {
        assert_eq!(stage.page(path).await.0, 401, "{path}");
    }
    let answer = stage.client.web.get(format!("{admin}/api/traces")).bearer_auth("a-token-for-the-page").send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let elsewhere = stage.client.web.get(format!("{admin}/")).header("host", "rebound.example").send().await.expect("an answer");
    assert_eq!(elsewhere.status(), 421);
    stage.finish().await;
}
