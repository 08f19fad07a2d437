//! `tollgate check`: every problem with its place, the key that was meant, and status 2.

use crate::support::process::{Ran, tollgate};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

fn file(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.yaml");
    fs::write(&path, text).expect("it can be written");
    (folder, path)
}

fn check(text: &str, flags: &[&str]) -> Ran {
    let (_folder, path) = file(text);
    let mut args = vec!["check".to_owned(), "--config".to_owned(), path.display().to_string()];
    args.extend(flags.iter().map(|flag| (*flag).to_owned()));
    tollgate(args, b"")
}

/// One mistake: the file, where it is, its key, and a part of what is said about it. `~` before a word: it is suggested.
struct Case {
    text: &'static str,
    place: &'static str,
    key: &'static str,
    says: &'static str,
}

const fn case(text: &'static str, place: &'static str, key: &'static str, says: &'static str) -> Case {
    Case { text, place, key, says }
}

/// Kinds of mistakes, one each.
const CASES: [Case; 31] = [
    case("recievers: {}\n", "1:1", "recievers", "~receivers"),
    case("receivers:\n  otlp:\n    protocol: {}\n", "3:5", "receivers.otlp.protocol", "~protocols"),
    case(
        "receivers: { otlp: { protocols: { grpc: { endpoint: localhost } } } }\n",
        "1:53",
        "receivers.otlp.protocols.grpc.endpoint",
        "no port",
    ),
    case(
        "receivers: { otlp: { protocols: { grpc: { max_recv_msg_size: 64QiB } } } }\n",
        "1:62",
        "receivers.otlp.protocols.grpc.max_recv_msg_size",
        "64MiB",
    ),
    case(
        "receivers: { otlp: { protocols: { http: { traces_url_path: v1/traces } } } }\n",
        "1:60",
        "receivers.otlp.protocols.http.traces_url_path",
        "/v1/traces",
    ),
    case(
        "receivers: { otlp: { protocols: { grpc: { endpoint: 127.0.0.1:4000 }, http: { endpoint: 127.0.0.1:4000 } } } }\n",
        "1:89",
        "receivers.otlp.protocols.http.endpoint",
        "port of its own",
    ),
    case("receivers: { otlp: { auth: { bearer_tokens: [ \"\" ] } } }\n", "1:30", "receivers.otlp.auth.bearer_tokens", "empty"),
    case("receivers: { otlp: { ack: durable } }\n", "1:27", "receivers.otlp.ack", "accepted"),
    case("processors:\n  redacton: {}\n", "2:3", "processors.redacton", "~redaction"),
    case("processors: { enrich: { profiles: [langfus] } }\n", "1:36", "processors.enrich.profiles[0]", "~langfuse"),
    case("processors: { enrich: { prices: { files: [nowhere.yaml] } } }\n", "1:25", "processors.enrich.prices", "nowhere.yaml"),
    case(
        "processors: { redaction: { entities: { EMIAL: hash } } }\n",
        "1:47",
        "processors.redaction.entities.EMIAL",
        "did you mean EMAIL?",
    ),
    case("processors: { redaction: { entities: { EMAIL: masc } } }\n", "1:47", "processors.redaction.entities.EMAIL", "mask"),
    case("processors: { redaction: { entities: { EMAIL: hash } } }\n", "1:15", "processors.redaction.hash_key", "choose another action"),
    case(
        "processors: { redaction: { custom: [ { name: T, pattern: '(' } ] } }\n",
        "1:58",
        "processors.redaction.custom[0].pattern",
        "unclosed group",
    ),
    case("processors: { tail_sampling: { decision_wait: 30 } }\n", "1:47", "processors.tail_sampling.decision_wait", "30s"),
    case("processors: { tail_sampling: { decision_wait: soon } }\n", "1:47", "processors.tail_sampling.decision_wait", "duration"),
    case("processors: { tail_sampling: { always_keep: [errors] } }\n", "1:46", "processors.tail_sampling.always_keep[0]", "error"),
    case(
        "processors: { tail_sampling: { policies: [ { name: a, type: probabilistc, probabilistic: { sampling_percentage: 1 } } ] } }\n",
        "1:61",
        "processors.tail_sampling.policies[0].type",
        "~probabilistic",
    ),
    case(
        "processors:\n  tail_sampling:\n    policies:\n      - { name: a, type: always_sample }\n      - { name: b, type: latency, latency: { treshold_ms: 5 } }\n",
        "5:46",
        "processors.tail_sampling.policies[1].latency.treshold_ms",
        "~threshold_ms",
    ),
    case(
        "processors: { tail_sampling: { policies: [ { name: a, type: probabilistic, probabilistic: { sampling_percentage: 110 } } ] } }\n",
        "1:114",
        "processors.tail_sampling.policies[0].probabilistic.sampling_percentage",
        "110",
    ),
    case(
        "processors: { tail_sampling: { policies: [ { name: a, type: always_sample }, { name: a, type: truncated } ] } }\n",
        "1:86",
        "processors.tail_sampling.policies[1].name",
        "policies[0]",
    ),
    case("exporters: { otlp_grcp/tempo: { endpoint: \"http://tempo:4317\" } }\n", "1:14", "exporters.otlp_grcp/tempo", "~otlp_grpc"),
    case("exporters: { otlp_http/x: { endpoint: backend } }\n", "1:39", "exporters.otlp_http/x.endpoint", "not a URL"),
    case("exporters: { otlp_http/x: {} }\n", "1:14", "exporters.otlp_http/x.endpoint", "missing"),
    case(
        "exporters: { otlp_grpc/x: { endpoint: \"http://x:1\", compresion: gzip } }\n",
        "1:53",
        "exporters.otlp_grpc/x.compresion",
        "~compression",
    ),
    case("service: { admin: { endpoint: \"0.0.0.0:8888\" } }\n", "1:31", "service.admin.endpoint", "bearer_tokens"),
    case("service: { memory: { limit: 1MiB } }\n", "1:29", "service.memory.limit", "16MiB"),
    case("service: { logs: { level: loud } }\n", "1:27", "service.logs.level", "debug"),
    case("service: { shutdown_timeout: \"${env:TOLLGATE_TEST_UNSET}\" }\n", "1:31", "service.shutdown_timeout", "TOLLGATE_TEST_UNSET"),
    case("service:\n  logs:\n  - level: debug\n", "2:3", "service.logs", "section"),
];

#[test]
fn every_kind_of_mistake_is_named_with_line_column_key_and_what_was_meant() {
    // From two threads: most of the time is the start of the process.
    let (first, second) = CASES.split_at(CASES.len() / 2);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| second.iter().flat_map(mistakes).collect::<Vec<_>>());
        let mut wrong: Vec<_> = first.iter().flat_map(mistakes).collect();
        wrong.extend(other.join().expect("the other half"));
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

/// What does not hold for a case.
fn mistakes(case: &Case) -> Vec<String> {
    let ran = check(case.text, &[]);
    let suggestion = case.says.strip_prefix('~').map(|word| format!("did you mean \"{word}\"?"));
    let head = format!("config.yaml:{}: {}: ", case.place, case.key);
    let heads = ran.err.lines().filter(|line| line.contains("config.yaml:")).count();
    let holds = [
        ("status 2", ran.status == 2),
        ("nothing on standard output", ran.out.is_empty()),
        ("place and key", ran.err.contains(&head)),
        ("one problem", heads == 1),
        ("what it says", ran.err.contains(suggestion.as_deref().unwrap_or(case.says))),
    ];
    let failed: Vec<_> = holds.iter().filter(|(_, holds)| !holds).map(|(what, _)| *what).collect();
    if failed.is_empty() { Vec::new() } else { vec![format!("{failed:?} of {head}{}\n  {}", case.says, ran.err.trim_end())] }
}

#[test]
fn texts_that_are_no_yaml_are_placed() {
    for (text, place) in
        [("a: [1, 2\nb: 3\n", "config.yaml:"), ("receivers:\n\totlp: {}\n", "config.yaml:2:"), ("a: 1\na: 2\n", "config.yaml:2:")]
    {
        let ran = check(text, &[]);
        assert!(ran.status == 2 && ran.err.contains(place), "{text:?}: {ran:?}");
    }
    let ran = tollgate(["check", "--config", "/nowhere/tollgate.yaml"], b"");
    assert!(ran.status == 2 && ran.err.contains("/nowhere/tollgate.yaml") && ran.err.contains("does not exist"), "{ran:?}");
    let ran = tollgate(["check", "--conf"], b"");
    assert_eq!(ran.status, 2, "{ran:?}");
}

#[test]
fn one_run_tells_everything_that_is_wrong_with_a_file() {
    let text = r#"receivers:
  otlp:
    protocols:
      grpc: { endpoint: localhost, max_recv_msg_siz: 64MiB }
      http: { endpoint: 127.0.0.1:4318, max_request_body_size: huge }
    auth: { bearer_tokens: [""] }
    ack: durable
processors:
  enrich: { profiles: [langfus] }
  redaction: { entities: { EMIAL: hash, CREDIT_CARD: masc }, custom: [ { name: T, pattern: '(' } ] }
  tail_sampling:
    decision_wait: 30 parsecs
    policies:
      - { name: a, type: probabilistc, probabilistic: { sampling_percentage: 10 } }
      - { name: b, type: probabilistic, probabilistic: { sampling_percentage: 110 } }
exporters:
  otlp_grcp/tempo: { endpoint: "http://tempo:4317" }
  otlp_http/x: { endpoint: backend, compresion: gzip }
service:
  admin: { endpoint: "0.0.0.0:8888" }
  memory: { limit: 1MiB }
  logs: { level: loud }
"#;
    let ran = check(text, &[]);
    assert_eq!(ran.status, 2);
    let lines: Vec<u32> = ran.err.lines().filter_map(|line| line.split("config.yaml:").nth(1)?.split(':').next()?.parse().ok()).collect();
    assert_eq!(lines, [4, 4, 5, 6, 7, 9, 10, 10, 10, 12, 14, 15, 17, 18, 18, 20, 21, 22], "{}", ran.err);
}

#[test]
fn an_item_behind_a_wrong_one_keeps_its_number() {
    let text = "processors:
  tail_sampling:
    policies:
      - { name: a, type: nonsense }
      - { name: b, type: always_sample }
      - { name: c, type: probabilistic, probabilistic: { sampling_percentage: 110 } }
";
    let ran = check(text, &[]);
    assert!(ran.err.contains("config.yaml:6:79: processors.tail_sampling.policies[2].probabilistic.sampling_percentage: "), "{}", ran.err);
}

#[test]
fn a_config_that_is_fine_is_said_to_be() {
    let ran = check("exporters: { otlp_grpc/tempo: { endpoint: \"http://tempo:4317\" }, debug: {} }\n", &[]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{ran:?}");
    assert!(ran.out.contains("fine") && ran.out.contains("otlp_grpc/tempo"), "{}", ran.out);
    assert_eq!(tollgate(["check"], b"").status, 0, "without a file: the built-in config");
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.yaml");
    let ran = tollgate(["check", "--config", example], b"");
    assert_eq!(ran.status, 0, "{}", ran.err);
}

#[test]
fn the_printed_config_is_complete_and_shows_no_secret() {
    let secret = "s3cr3t-canary-0123456789";
    let (folder, path) = file("");
    fs::write(folder.path().join("token"), secret).expect("it can be written");
    let text = format!(
        "receivers: {{ otlp: {{ auth: {{ bearer_tokens: [\"{secret}\"] }} }} }}
processors: {{ redaction: {{ hash_key: \"{secret}\" }} }}
exporters:
  otlp_http/x: {{ endpoint: \"http://x:4318\", headers: {{ authorization: \"Bearer {secret}\", x-token: \"${{file:token}}\" }} }}
service: {{ admin: {{ auth: {{ bearer_tokens: [\"${{file:token}}\"] }} }} }}
"
    );
    fs::write(&path, text).expect("it can be written");
    let path = path.display().to_string();
    let ran = tollgate(["check", "--print", "--config", &path, "--set", "service.shutdown_timeout=3s"], b"");
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(!ran.out.contains("s3cr3t") && !ran.err.contains("s3cr3t"), "{ran:?}");
    assert!(ran.out.contains("***") && ran.out.contains("http://x:4318") && ran.out.contains("shutdown_timeout: 3s"), "{}", ran.out);
    // Nor does an error about the line it stands on.
    let ran = tollgate(
        ["check", "--config", &path, "--set", "processors.redaction.hash_key=s3cr3t", "--set", "processors.redaction.entities.EMAIL=hash"],
        b"",
    );
    assert!(ran.status == 2 && !ran.err.contains("s3cr3t"), "{ran:?}");
}

#[test]
fn a_schema_for_editors_is_printed() {
    let ran = tollgate(["check", "--schema"], b"");
    assert_eq!(ran.status, 0, "{ran:?}");
    let schema: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    let sections: Vec<&String> = schema["properties"].as_object().expect("sections").keys().collect();
    assert_eq!(sections, ["exporters", "processors", "receivers", "service"]);
    assert!(ran.out.contains("How long a trace waits for its spans"), "descriptions are those of the example");
}
