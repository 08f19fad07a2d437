//! What the documentation says is what the program does: its metrics, its attributes, its commands.

use crate::corpus;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tollgate::config::{Sources, load_file, load_text};
use tollgate::otlp::json;
use tollgate::otlp::signal::Signal;
use tollgate::pipeline::{Plan, Running};

const BINARY: &str = env!("CARGO_BIN_EXE_tollgate");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The README and every page of `docs/`.
fn pages() -> Vec<(String, String)> {
    let mut names: Vec<String> = vec!["README.md".into(), "ARCHITECTURE.md".into(), "CONTRIBUTING.md".into()];
    let folder = fs::read_dir(root().join("docs")).expect("docs/");
    names.extend(folder.map(|e| format!("docs/{}", e.expect("an entry").file_name().to_string_lossy())).filter(|n| n.ends_with(".md")));
    names.into_iter().map(|name| (name.clone(), page(&name))).collect()
}

/// Rows of tables whose first cell is one name in backquotes: that name and the other cells.
fn rows(text: &str) -> BTreeMap<String, Vec<String>> {
    let row = |line: &str| {
        let cells: Vec<String> = line.trim().strip_prefix('|')?.strip_suffix('|')?.split('|').map(|cell| cell.trim().to_owned()).collect();
        let name = cells.first()?.strip_prefix('`')?.strip_suffix('`')?.to_owned();
        Some((name, cells[1..].to_vec()))
    };
    text.lines().filter_map(row).collect()
}

/// Every source file, with the code above its unit tests.
fn sources() -> Vec<(PathBuf, String)> {
    let (mut folders, mut found) = (vec![root().join("src")], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("src/") {
            let path = entry.expect("an entry").path();
            let of_tests = ["tests", "tests.rs"].iter().any(|name| path.ends_with(name));
            if path.is_dir() && !of_tests {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") && !of_tests {
                let code = fs::read_to_string(&path).expect("a source file");
                found.push((path, code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned()));
            }
        }
    }
    found
}

/// Whether a text stands in the code.
fn in_source(text: &str) -> bool {
    sources().iter().any(|(_, code)| code.contains(text))
}

// ---------------------------------------------------------------- metrics

/// Type and label names of every family in a scrape.
fn families(scrape: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut families: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
    for line in scrape.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            families.entry(name.to_owned()).or_default().0 = kind.to_owned();
        } else if let Some((series, _)) = line.rsplit_once(' ').filter(|_| !line.starts_with('#')) {
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|s| name.strip_suffix(s)).filter(|f| families.contains_key(*f));
            let (_, known) = families.entry(family.unwrap_or(name).to_owned()).or_default();
            let names = labels.trim_end_matches('}').split("\",").filter_map(|label| label.split_once("=\"")).map(|(key, _)| key);
            known.extend(names.filter(|key| !key.is_empty() && *key != "le").map(str::to_owned));
        }
    }
    families
}

/// What a stage shows after all recorded requests went through it, a tenth of them also over a destination that is not there.
async fn scrape() -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let kept = folder.path().join("kept.jsonl");
    let text = format!(
        "receivers: {{ otlp: {{ protocols: {{ grpc: {{ endpoint: \"127.0.0.1:0\" }}, http: {{ endpoint: \"127.0.0.1:0\" }} }} }} }}
processors: {{ tail_sampling: {{ complete_delay: 0s, decision_wait: 200ms, decision_wait_after_root_received: 50ms, extend_while_active: {{ idle: 0s }} }} }}
exporters:
  file: {{ path: {:?} }}
  otlp_grpc/away: {{ endpoint: \"http://127.0.0.1:1\", sending_queue: {{ size: 4MiB, block_on_overflow: false }} }}
service: {{ admin: {{ endpoint: \"127.0.0.1:0\" }}, shutdown_timeout: 1s }}",
        kept
    );
    let file = load_text("metrics", &text).unwrap_or_else(|problems| panic!("{problems}"));
    let plan = Plan::compile(&file.processors, Path::new("")).expect("a plan");
    let stage = Running::start(&file, plan).await.expect("the stage");
    let (http, admin) = (stage.addresses().http.expect("http"), stage.addresses().admin);
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    for recorded in corpus::all() {
        let kind = if recorded.json { "application/json" } else { "application/x-protobuf" };
        let url = format!("http://{http}/v1/{}", recorded.signal.as_str());
        let answer = client.post(url).header("content-type", kind).body(recorded.body).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{}: {}", recorded.file, answer.status());
    }
    let refused = client.post(format!("http://{http}/v1/traces")).header("content-type", "application/x-protobuf").body("{").send().await;
    assert_eq!(refused.expect("an answer").status(), 400);
    let get = || async { client.get(format!("http://{admin}/metrics")).send().await.expect("metrics").text().await.expect("a text") };
    let until = Instant::now() + Duration::from_secs(30);
    let settled = |text: &str| text.contains("tollgate_sampling_traces_pending 0") && text.contains("tollgate_forward_errors_total{");
    let mut text = get().await;
    while !settled(&text) && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(50)).await;
        text = get().await;
    }
    stage.shutdown().await;
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_is_documented_and_every_documented_metric_exists() {
    let documented = rows(&page("docs/metrics.md"));
    let shown = families(&scrape().await);
    assert!(shown.len() > 40, "{shown:#?}");
    for (name, (kind, labels)) in &shown {
        let cells = documented.get(name).unwrap_or_else(|| panic!("{name} is not in docs/metrics.md"));
        assert_eq!(&cells[0], kind, "the type of {name}");
        let listed: BTreeSet<String> = cells[1].split(", ").map(|l| l.trim_matches('`').to_owned()).filter(|l| !l.is_empty()).collect();
        assert_eq!(&listed, labels, "the labels of {name}");
    }
    for (name, cells) in &documented {
        assert!(in_source(&format!("\"{name}\"")), "{name} is documented and does not exist");
        let may_be_absent = cells[2].starts_with("rare:") || kind_is_histogram(cells) || name == "tollgate_config_reload_failed";
        assert!(shown.contains_key(name) || may_be_absent, "{name} is not shown");
    }
    // Model calls are what this is about: after traffic all of these are there.
    for name in [
        "tollgate_llm_errors_total",
        "tollgate_llm_unpriced_calls_total",
        "tollgate_llm_duration_seconds",
        "tollgate_redact_findings_total",
    ] {
        assert!(shown.contains_key(name), "{name} is not shown");
    }
}

#[test]
fn every_metric_in_the_code_is_documented() {
    let documented = rows(&page("docs/metrics.md"));
    let of_metric = |word: &str| word.starts_with("tollgate_") && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    for (path, code) in sources() {
        for quoted in code.split('"').filter(|word| of_metric(word)) {
            assert!(documented.contains_key(quoted), "{quoted} of {} is not in docs/metrics.md", path.display());
        }
    }
}

fn kind_is_histogram(cells: &[String]) -> bool {
    cells[0] == "histogram"
}

// ---------------------------------------------------------------- attributes

/// Keys of each span, as it was recorded.
fn recorded() -> HashMap<(String, String), BTreeSet<String>> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut spans: HashMap<_, BTreeSet<String>> = HashMap::new();
    for request in corpus::all().into_iter().filter(|r| r.signal == Signal::Traces) {
        let body = if request.json { json::to_protobuf(Signal::Traces, &request.body).expect("JSON") } else { request.body };
        let request = ExportTraceServiceRequest::decode(&*body).expect("a request");
        for span in request.resource_spans.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans) {
            let keys = spans.entry((hex(&span.trace_id), hex(&span.span_id))).or_default();
            keys.extend(span.attributes.iter().map(|pair| pair.key.clone()));
        }
    }
    spans
}

/// What `docs/attributes.md` calls a value of OTLP/JSON.
fn type_of(value: &Value) -> &'static str {
    match value.as_object().and_then(|value| value.keys().next()).map(String::as_str) {
        Some("stringValue") => "string",
        Some("boolValue") => "bool",
        Some("intValue") => "int",
        Some("doubleValue") => "double",
        Some("arrayValue") => "string[]",
        _ => "something else",
    }
}

/// Keys that `replay` adds to the recorded spans under a config, with their types.
fn added(config: &str) -> BTreeMap<String, BTreeSet<&'static str>> {
    let before = recorded();
    let folder = tempfile::tempdir().expect("a folder");
    let (config_file, out) = (folder.path().join("config.yaml"), folder.path().join("kept.jsonl"));
    fs::write(&config_file, config).expect("a config");
    let mut inputs: Vec<PathBuf> = Vec::new();
    for request in corpus::all().into_iter().filter(|r| r.signal == Signal::Traces) {
        inputs.push(corpus::folder().join(request.file));
    }
    let status = Command::new(BINARY)
        .args(["replay", "--config"])
        .arg(&config_file)
        .arg("--out")
        .arg(&out)
        .args(inputs)
        .stdout(Stdio::null())
        .status()
        .expect("tollgate runs");
    assert!(status.success());
    let mut added: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
    for line in fs::read_to_string(out).expect("what was kept").lines() {
        let request: Value = serde_json::from_str(line).expect("JSON");
        let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
        let scopes = list(&request, "resourceSpans").into_iter().flat_map(|r| list(&r, "scopeSpans"));
        for span in scopes.flat_map(|s| list(&s, "spans")) {
            let id = |key: &str| span[key].as_str().unwrap_or_default().to_owned();
            let before = before.get(&(id("traceId"), id("spanId"))).expect("a span that was recorded");
            let mut seen = BTreeSet::new();
            for pair in list(&span, "attributes") {
                let key = pair["key"].as_str().unwrap_or_default().to_owned();
                if !before.contains(&key) {
                    assert!(seen.insert(key.clone()), "{key} stands twice");
                    added.entry(key).or_default().insert(type_of(&pair["value"]));
                }
            }
        }
    }
    added
}

#[test]
fn every_attribute_written_is_documented_with_its_type() {
    let documented = rows(&page("docs/attributes.md"));
    let config = |profiles: &str, sampling: &str| {
        format!("processors: {{ enrich: {{ profiles: [{profiles}], max_content_chars: 20 }}, tail_sampling: {{ {sampling} }} }}")
    };
    let all = "record: all, policies: [{ name: all, type: always_sample }]";
    let mut added_at_all = BTreeMap::new();
    for config in [
        config("", "default: { sampling_percentage: 60 }"),
        config("langfuse, phoenix, mlflow, logfire, langsmith, datadog, signoz, flat_c", all),
        config("semconv_draft", all),
    ] {
        added_at_all.extend(added(&config));
    }
    assert!(added_at_all.len() > 50, "{added_at_all:#?}");
    for (key, types) in &added_at_all {
        let cells = documented.get(key).unwrap_or_else(|| panic!("{key} is not in docs/attributes.md"));
        assert_eq!(types.iter().copied().collect::<Vec<_>>(), [cells[0].as_str()], "the type of {key}");
    }
    for key in documented.keys() {
        assert!(added_at_all.contains_key(key) || in_source(&format!("\"{key}\"")), "{key} is documented and never written");
    }
}

#[test]
fn every_attribute_of_ours_in_the_code_is_documented() {
    let documented = rows(&page("docs/attributes.md"));
    for file in ["src/enrich/keys.rs", "src/sample/stamp.rs", "src/redact/cut.rs", "src/redact/count.rs"] {
        let text = page(file);
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        // What ends in a dot is the beginning of names.
        let is_key = |quoted: &&str| quoted.starts_with("tollgate.") && !quoted.ends_with('.');
        for quoted in code.split('"').skip(1).step_by(2).filter(is_key) {
            assert!(documented.contains_key(quoted), "{quoted} of {file} is not in docs/attributes.md");
        }
    }
}

// ---------------------------------------------------------------- commands

/// Blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        match (&mut open, line.trim_end()) {
            (None, fence) if fence.strip_prefix("```") == Some(language) => open = Some(String::new()),
            (Some(_), "```") => blocks.extend(open.take()),
            (Some(block), line) => {
                block.push_str(line);
                block.push('\n');
            }
            _ => {}
        }
    }
    blocks
}

/// Runs a line the way a reader would, from the root of the repository.
fn shell(line: &str) -> Command {
    let folder = Path::new(BINARY).parent().expect("a folder").display().to_string();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("sh");
    command.args(["-e", "-c", line]).current_dir(root()).env("PATH", format!("{folder}:{path}")).env_remove("TOLLGATE_CONFIG");
    command.env("TOLLGATE_HASH_KEY", "a-key-for-the-tests-of-the-documentation").stdin(Stdio::null());
    command
}

#[test]
fn every_command_in_the_documentation_works() {
    let mut ran = 0;
    for (name, text) in pages() {
        for block in blocks(&text, "sh") {
            let first = block.split_whitespace().next().unwrap_or_default().to_owned();
            match first.as_str() {
                // It does not end by itself; a test of its own starts it.
                "tollgate" if block.starts_with("tollgate run") => {}
                "tollgate" | "echo" | "printf" => {
                    let output = shell(&block).output().expect("a shell");
                    assert!(output.status.success(), "{name}:\n{block}\n{}", String::from_utf8_lossy(&output.stderr));
                    ran += 1;
                }
                // What builds and tests runs anyway.
                "cargo" => {}
                other if other.starts_with("RUSTC_BOOTSTRAP") => {}
                other => panic!("{name}: nobody knows whether `{other}` works; mark the block as console"),
            }
        }
    }
    assert!(ran >= 7, "only {ran} blocks ran");
}

#[test]
fn every_config_in_the_documentation_loads() {
    let folder = tempfile::tempdir().expect("a folder");
    let prices = "format: tollgate-prices/1\nas_of: 2026-11-20\nproviders:\n  acme:\n    models:\n      - {id: acme-1, prices: [{rates: {input: 1, output: 2}}]}\n";
    fs::write(folder.path().join("my-prices.yaml"), prices).expect("prices");
    let sections = ["receivers:", "processors:", "exporters:", "service:"];
    let mut loaded = 0;
    for (name, text) in pages() {
        for block in blocks(&text, "yaml") {
            // Parts of other files, and what is for the Collector, are not for us.
            if !sections.iter().any(|section| block.starts_with(section)) || block.contains("loadbalancing") {
                continue;
            }
            let block = block.replace("${file:/run/secrets/tollgate-hash-key}", "${env:KEY}");
            let env = |name: &str| Ok(format!("a-value-for-the-variable-{}", name.to_lowercase().replace('_', "-")));
            let result = load_file(Sources::new().text(name.clone(), block.clone()).env(env), |file, findings| {
                if let Err(errors) = Plan::compile(&file.processors, folder.path()) {
                    errors.into_iter().for_each(|error| findings.problem(&error.path, error.message));
                }
            });
            if let Err(problems) = result {
                panic!("{name}:\n{block}\n{problems}");
            }
            loaded += 1;
        }
    }
    assert!(loaded >= 12, "only {loaded} configs");
}

#[test]
fn the_example_listens_and_stops() {
    let free = ["receivers.otlp.protocols.grpc.endpoint", "receivers.otlp.protocols.http.endpoint", "service.admin.endpoint"];
    let sets: String = free.iter().map(|key| format!(" --set {key}=127.0.0.1:0")).collect();
    let line = format!("exec tollgate run --config config.example.yaml{sets}");
    let mut child = shell(&line).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("tollgate");
    let stderr = std::io::BufReader::new(child.stderr.take().expect("a pipe"));
    let mut lines = std::io::BufRead::lines(stderr).map_while(Result::ok);
    let listening = lines.find(|line| line.contains("listening"));
    let stopped = Command::new("kill").arg(child.id().to_string()).status().expect("kill");
    let rest: Vec<String> = lines.collect();
    assert!(listening.is_some(), "{rest:?}");
    assert!(stopped.success() && child.wait().expect("an end").success(), "{rest:?}");
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    for (name, text) in pages() {
        let folder = root().join(&name).parent().expect("a folder").to_owned();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            let elsewhere = path.is_empty() || path.contains("://");
            assert!(elsewhere || folder.join(path).exists(), "{name} links to {target}");
        }
    }
}

#[test]
fn the_readme_lists_every_command() {
    let help = Command::new(BINARY).arg("--help").output().expect("tollgate");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let commands = help.split("Commands:").nth(1).expect("commands").split("Options:").next().unwrap_or_default();
    let readme = page("README.md");
    for command in commands.lines().filter_map(|line| line.split_whitespace().next()).filter(|command| *command != "help") {
        assert!(readme.contains(&format!("| `tollgate {command}`")), "README.md does not list {command}");
    }
}
