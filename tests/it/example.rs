//! `config.example.yaml` shows every key there is, and does what no config does.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use tollgate::config::{File, Loaded, Problems, Sources, load_file};
use tollgate::pipeline::Plan;

/// Keys that are accepted by name and refused with a reason: the example names them in words.
const REFUSED: [&str; 1] = ["service.journal.key"];

fn example() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config.example.yaml")).expect("the example")
}

/// A text as a source, with some value in every variable.
fn source(text: &str) -> Sources {
    let env = |name: &str| Ok(format!("a-value-for-{}-that-is-long-enough", name.to_lowercase().replace('_', "-")));
    Sources::new().text("example", text).env(env)
}

/// Loads a text with every check that `run` makes.
fn load(text: &str) -> Result<Loaded<File>, Problems> {
    load_file(source(text), |file, findings| {
        if let Err(errors) = Plan::compile(&file.processors, Path::new("")) {
            errors.into_iter().for_each(|error| findings.problem(&error.path, error.message));
        }
    })
}

fn is_option(line: &str) -> bool {
    line.trim_start().strip_prefix('#').is_some_and(|rest| !rest.is_empty() && !rest.starts_with(' '))
}

/// Whether a line goes on with a commented-out option.
fn continues(line: &str) -> bool {
    is_option(line) || line.trim_start().starts_with("#  ")
}

/// The lines of each commented-out block.
fn blocks(text: &str) -> Vec<std::ops::Range<usize>> {
    let lines: Vec<&str> = text.lines().collect();
    let mut blocks = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let start = at;
        if is_option(lines[at]) {
            at += lines[at..].iter().take_while(|line| continues(line)).count();
            blocks.push(start..at);
        } else {
            at += 1;
        }
    }
    blocks
}

/// The text with a block in force. A line right above it that sets the same key makes way.
fn uncommented(text: &str, block: &std::ops::Range<usize>) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for line in &mut lines[block.clone()] {
        *line = line.replacen('#', "", 1);
    }
    let key = |line: &str| line.split_once(':').map(|(key, _)| key.to_owned());
    if block.start > 0 && key(&lines[block.start]) == key(&lines[block.start - 1]) {
        lines.remove(block.start - 1);
    }
    lines.join("\n")
}

/// Every path of keys in a value; places in lists are left out of it.
fn paths(value: &Value, path: &str, out: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                paths(value, &path, out);
                out.insert(path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| paths(item, path, out)),
        _ => {}
    }
}

/// Files that commented-out options name, made where the example says they are.
fn with_files(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    for name in ["server", "clients", "client", "ca"] {
        fs::write(folder.path().join(format!("{name}.crt")), key.cert.pem()).expect("a certificate");
        fs::write(folder.path().join(format!("{name}.key")), key.signing_key.serialize_pem()).expect("a key");
    }
    let prices = "format: tollgate-prices/1\nas_of: 2026-11-20\nproviders:\n  acme:\n    models:\n      - {id: acme-1, prices: [{rates: {input: 1, output: 2}}]}\n";
    fs::write(folder.path().join("my-prices.yaml"), prices).expect("prices");
    let litellm = r#"{"gpt-4o": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 0.0000025, "output_cost_per_token": 0.00001}}"#;
    fs::write(folder.path().join("litellm.json"), litellm).expect("prices");
    fs::write(folder.path().join("names.txt"), "# people\nErika Mustermann\n").expect("names");
    let text = text.replace("/etc/tollgate", &folder.path().display().to_string());
    (folder, text)
}

#[test]
fn it_loads_without_a_problem_or_a_warning() {
    let loaded = load(&example()).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let plan = Plan::compile(&loaded.value.processors, Path::new("")).expect("a plan");
    assert!(plan.warnings.is_empty(), "{:?}", plan.warnings);
}

#[test]
fn what_is_active_is_what_holds_without_a_config() {
    let (example, empty) = (load(&example()).expect("the example").value, load("").expect("nothing").value);
    // Both protocols by name are both protocols by default.
    assert_eq!((example.receivers.grpc(), example.receivers.http()), (empty.receivers.grpc(), empty.receivers.http()));
    assert_eq!((&example.receivers.otlp.auth, example.receivers.otlp.ack), (&empty.receivers.otlp.auth, empty.receivers.otlp.ack));
    assert_eq!(format!("{:#?}", example.processors), format!("{:#?}", empty.processors));
    assert_eq!(example.service, empty.service);
    assert_eq!(example.exporters, tollgate::forward::Config::debug());
}

#[test]
fn every_commented_out_block_is_valid() {
    let (_folder, text) = with_files(&example());
    let blocks = blocks(&text);
    assert!(blocks.len() > 25, "{blocks:?}");
    for block in &blocks {
        let shown = text.lines().nth(block.start).unwrap_or_default();
        let mut text = uncommented(&text, block);
        // The one option that needs another one, as the example says.
        if shown.contains("sensitive") {
            text = text.replace("position: auto", "position: before_sampling");
        }
        let loaded = load(&text).unwrap_or_else(|problems| panic!("{shown}\n{problems}"));
        assert!(loaded.warnings.is_empty(), "{shown}: {:?}", loaded.warnings);
    }
}

/// What is accepted where the text has a key that nobody knows, by the problem that it is.
fn accepted(text: &str) -> Vec<String> {
    let Err(problems) = load_file(source(text), |_, _| {}) else { return Vec::new() };
    let said = problems.to_string();
    let lists = said.lines().filter(|line| line.contains("nobodys_key")).filter_map(|line| {
        line.split_once("valid here: ").or_else(|| line.split_once("there are ")).map(|(_, list)| list.trim_end_matches('.'))
    });
    lists.flat_map(|list| list.split(", ").map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// A config that has `inner` at `path`.
fn at(path: &str, inner: &str) -> String {
    path.split('.').filter(|key| !key.is_empty()).rev().fold(inner.to_owned(), |inner, key| {
        let (key, lists) = key.split_once('[').map_or((key, false), |(key, _)| (key, true));
        if lists { format!("{{\"{key}\": [{inner}]}}") } else { format!("{{\"{key}\": {inner}}}") }
    })
}

/// Collects the paths of all keys that are accepted at and below `path`.
fn collect(path: &str, out: &mut BTreeSet<String>) {
    for (form, inner) in [("", "{nobodys_key: 1}"), ("[0]", "{nobodys_key: 1}")] {
        let place = format!("{path}{form}");
        // Words that are valid as a value are no keys.
        let words = [accepted(&at(path, "nobodys_key")), accepted(&at(&place, "nobodys_key"))].concat();
        for key in accepted(&at(&place, inner)).into_iter().filter(|key| !words.contains(key)) {
            let below = if path.is_empty() { key } else { format!("{place}.{key}") };
            // What stands in a policy of a policy is a policy again, and so is a shadow.
            if out.insert(below.replace("[0]", "")) && !below.ends_with("_sub_policy") && !below.ends_with("shadow_policies") {
                collect(&below, out);
            }
        }
        if path.is_empty() {
            break;
        }
    }
}

#[test]
fn every_key_there_is_appears_in_it() {
    let text = example();
    let mut shown = BTreeSet::new();
    let versions = std::iter::once(text.clone()).chain(blocks(&text).into_iter().map(|block| uncommented(&text, &block)));
    for version in versions {
        let value: Value = serde_yaml::from_str(&version).unwrap_or_else(|error| panic!("{error}"));
        paths(&value, "", &mut shown);
    }
    // Under a name of the user's: the first of the example.
    let shown: BTreeSet<String> = shown
        .iter()
        .map(|path| path.replace("otlp_grpc/tempo", "otlp_grpc").replace("otlp_http/langfuse", "otlp_http"))
        .map(|path| path.replace("entities.CREDIT_CARD", "entities.*").replace("pipelines.traces", "pipelines.*"))
        .collect();

    let mut accepted = BTreeSet::new();
    collect("", &mut accepted);
    let roots = [("processors.redaction.entities.EMAIL", "entities.EMAIL"), ("service.pipelines.traces", "pipelines.traces")];
    for (place, name) in roots {
        let mut below = BTreeSet::new();
        collect(place, &mut below);
        assert!(!below.is_empty(), "{place}");
        accepted.extend(below.iter().map(|path| path.replace(name, &format!("{}.*", name.split_once('.').expect("a dot").0))));
    }
    // Fields that stand beside `type:` in the native spelling have been collected from the block of that name.
    assert!(accepted.len() > 150, "{accepted:?}");
    for key in
        ["processors.enrich.max_content_chars", "exporters.otlp_grpc.tls.ca_file", "processors.tail_sampling.policies.latency.threshold_ms"]
    {
        assert!(accepted.contains(key), "{key} was not collected: {accepted:#?}");
    }
    let aliases =
        |key: &str| key.starts_with("exporters.otlp.") || key.starts_with("exporters.otlphttp.") || key.ends_with("sampled_cache_size");
    let missing: Vec<&String> =
        accepted.iter().filter(|key| !shown.contains(*key) && !aliases(key) && !REFUSED.contains(&key.as_str())).collect();
    assert!(missing.is_empty(), "not in config.example.yaml: {missing:#?}");
}

#[test]
fn what_is_refused_is_named_as_refused() {
    let text = example();
    for key in REFUSED {
        let value = "a-value-that-is-long-enough-for-a-key";
        let problems = load(&at(key, value)).err().unwrap_or_else(|| panic!("{key} is not refused"));
        assert!(problems.to_string().contains(key), "{problems}");
        assert!(text.contains(key.trim_start_matches("service.")), "{key}");
    }
}
