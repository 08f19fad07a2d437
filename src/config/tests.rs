//! Broken configs and what is said about them, on sections shaped like those of the stages.

use super::print::print_effective;
use super::*;
use crate::forward;
use crate::telemetry::logs;
use crate::units::{ByteSize, Fraction, ListenAddress, Percentage, Secret, Usd};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::env::VarError;
use std::time::Duration;

type Config = Sections<Receivers, Stages, forward::Config>;

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Stages {
    enrich: Enrich,
    redaction: Redaction,
    tail_sampling: Sampling,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Receivers {
    otlp: Otlp,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Otlp {
    protocols: Protocols,
    auth: Auth,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Auth {
    bearer_tokens: Vec<Secret>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Protocols {
    grpc: Grpc,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Grpc {
    endpoint: ListenAddress,
    max_recv_msg_size: ByteSize,
    max_streams: u16,
}

impl Default for Grpc {
    fn default() -> Grpc {
        Grpc { endpoint: ListenAddress::loopback(4317), max_recv_msg_size: ByteSize::mib(64), max_streams: 100 }
    }
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Enrich {
    enabled: Option<bool>,
    profiles: Vec<String>,
    ratio: Fraction,
    ceiling: Usd,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Redaction {
    hash_key: Option<Secret>,
    entities: BTreeMap<Entity, Action>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Entity {
    Email,
    Phone,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Replace,
    Mask,
    Off,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Sampling {
    #[serde(with = "crate::units::duration")]
    decision_wait: Duration,
    policies: Vec<Policy>,
}

impl Default for Sampling {
    fn default() -> Sampling {
        Sampling { decision_wait: Duration::from_secs(30), policies: Vec::new() }
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    name: String,
    #[serde(default)]
    probabilistic: Option<Probabilistic>,
    #[serde(default)]
    all: Vec<Condition>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Probabilistic {
    sampling_percentage: Percentage,
}

/// serde reads these before it knows their type.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Condition {
    TraceCost {
        min_usd: Usd,
    },
    StringAttribute {
        key: String,
        values: Vec<String>,
        #[serde(default)]
        invert_match: bool,
    },
    Latency {
        #[serde(with = "crate::units::duration")]
        threshold: Duration,
    },
}

const ORDER: [&str; 3] = ["enrich", "tail_sampling", "redaction"];

fn env(name: &str) -> Result<String, VarError> {
    match name {
        "TOKEN" => Ok("hunter2-hunter2".to_owned()),
        "WAIT" => Ok("7s".to_owned()),
        "PORT" => Ok("4444".to_owned()),
        "EMPTY" => Ok(String::new()),
        "SIZE" => Ok("sixtyfour".to_owned()),
        "KEY" => Ok("0123456789abcdef0123456789abcdef".to_owned()),
        _ => Err(VarError::NotPresent),
    }
}

fn read(sources: Sources) -> Result<Loaded<Config>, Problems> {
    load_checked(sources.env(env), |config: &Config, findings| check(config, findings))
}

fn check(config: &Config, findings: &mut Findings<'_>) {
    let exporters: Vec<&str> = config.exporters.0.keys().map(String::as_str).collect();
    config.service.check(&ORDER, &exporters, findings);
}

fn yaml(text: &str) -> Result<Loaded<Config>, Problems> {
    read(Sources::new().text("t.yaml", text))
}

fn value(text: &str) -> Config {
    yaml(text).unwrap_or_else(|problems| panic!("{problems}")).value
}

fn problems(text: &str) -> Problems {
    yaml(text).err().unwrap_or_else(|| panic!("nothing is wrong with: {text}"))
}

/// The first lines of all problems, without `t.yaml:`.
fn heads(text: &str) -> Vec<String> {
    let found = problems(text);
    let heads = found.iter().map(|problem| problem.to_string().lines().next().unwrap_or("").to_owned());
    heads.map(|head| head.strip_prefix("t.yaml:").map(str::to_owned).unwrap_or(head)).collect()
}

fn head(text: &str) -> String {
    let mut heads = heads(text);
    assert_eq!(heads.len(), 1, "{heads:#?}");
    heads.remove(0)
}

#[test]
fn nothing_at_all_gives_every_default() {
    let defaults = Config::default();
    for text in
        ["", "# only a comment\n", "---\n", "{}", "service:\n", "processors:\n  tail_sampling:\n  redaction: ~\n", "exporters: null"]
    {
        assert_eq!(value(text), defaults, "{text}");
    }
    assert_eq!(read(Sources::new()).unwrap_or_else(|p| panic!("{p}")).value, defaults);
    assert_eq!(defaults.service.admin.endpoint, ListenAddress::loopback(8888));
    assert_eq!(defaults.service.memory.limit.to_string(), "60%");
}

#[test]
fn a_whole_config_is_read_into_its_types() {
    let config = value(
        r#"
receivers:
  otlp:
    protocols:
      grpc: { endpoint: "0.0.0.0:4317", max_recv_msg_size: 8MiB }
    auth: { bearer_tokens: ["${env:TOKEN}"] }
processors:
  redaction:
    entities: { EMAIL: mask, PHONE: off }
  enrich: { enabled: no, ratio: 20%, ceiling: 0.1 }
  tail_sampling:
    decision_wait: 1m30s
    policies:
      - name: cheap
        all:
          - { type: trace_cost, min_usd: 0.50 }
          - { type: string_attribute, key: code, values: [404, "x", 500], invert_match: yes }
          - { type: latency, threshold: 200ms }
      - { name: 7, probabilistic: { sampling_percentage: 10 } }
exporters:
  otlp/tempo: { endpoint: "http://tempo:4317" }
  otlp_http/eu.west: { endpoint: "https://x", headers: { authorization: "Basic ${env:TOKEN}", x-scope-orgid: 1 } }
  debug:
service:
  journal: { sync: os }
  shutdown_timeout: 0s
"#,
    );
    assert_eq!(config.receivers.otlp.protocols.grpc.max_recv_msg_size, ByteSize::mib(8));
    assert_eq!(config.receivers.otlp.auth.bearer_tokens, [Secret::new("hunter2-hunter2")]);
    assert_eq!(config.processors.redaction.entities.get(&Entity::Phone), Some(&Action::Off));
    assert_eq!((config.processors.enrich.enabled, config.processors.enrich.ceiling.to_string()), (Some(false), "0.1".to_owned()));
    let policies = &config.processors.tail_sampling.policies;
    assert_eq!(policies[1].name, "7");
    assert_eq!(policies[0].all[0], Condition::TraceCost { min_usd: "0.5".parse().unwrap() });
    let values = ["404", "x", "500"].map(str::to_owned).to_vec();
    assert_eq!(policies[0].all[1], Condition::StringAttribute { key: "code".into(), values, invert_match: true });
    let ids: Vec<String> = config.exporters.0.keys().cloned().collect();
    assert_eq!(ids, ["debug", "otlp/tempo", "otlp_http/eu.west"]);
    assert_eq!(config.service.journal.sync, JournalSync::Os);
}

#[test]
fn an_unknown_key_is_found_at_every_level() {
    assert_eq!(
        head("recievers: {}"),
        "1:1: recievers: unknown key \"recievers\"; valid here: receivers, processors, exporters, service; did you mean \"receivers\"?"
    );
    assert_eq!(
        head("processors:\n  tail_sampling:\n    decison_wait: 5s\n"),
        "3:5: processors.tail_sampling.decison_wait: unknown key \"decison_wait\"; valid here: decision_wait, policies; did you mean \"decision_wait\"?"
    );
    assert_eq!(
        head("processors:\n  tail_sampling:\n    policies:\n    - name: a\n    - name: b\n      probabilistic: { sampling_percent: 1 }\n"),
        "6:24: processors.tail_sampling.policies[1].probabilistic.sampling_percent: unknown key \"sampling_percent\"; \
         valid here: sampling_percentage; did you mean \"sampling_percentage\"?"
    );
    assert_eq!(head("service:\n  logs: { colour: red }\n"), "2:11: service.logs.colour: unknown key \"colour\"; valid here: level, format");
    assert_eq!(
        head("exporters:\n  debug: { verbosity: high }\n"),
        "2:23: exporters.debug.verbosity: unknown value \"high\"; valid here: basic, normal, detailed"
    );
}

#[test]
fn a_misspelt_value_of_an_enum_is_found() {
    assert_eq!(
        head("service:\n  journal:\n    sync: fsnyc\n"),
        "3:11: service.journal.sync: unknown value \"fsnyc\"; valid here: fsync, os; did you mean \"fsync\"?"
    );
    assert_eq!(
        head("processors:\n  redaction:\n    entities: { EMIAL: replace }\n"),
        "3:17: processors.redaction.entities.EMIAL: unknown key \"EMIAL\"; valid here: EMAIL, PHONE; did you mean \"EMAIL\"?"
    );
}

#[test]
fn a_wrong_type_says_what_was_expected_and_what_stands_there() {
    assert_eq!(
        head("processors:\n  tail_sampling:\n    policies: often\n"),
        "3:15: processors.tail_sampling.policies: expected a list, such as [a, b], found \"often\""
    );
    assert_eq!(
        head("processors:\n  tail_sampling:\n    policies:\n      name: a\n"),
        "3:5: processors.tail_sampling.policies: expected a list, such as [a, b], found a section"
    );
    assert_eq!(head("receivers: [otlp]\n"), "1:1: receivers: expected a section of \"key: value\" lines, found a list");
    assert_eq!(
        head("receivers: { otlp: { protocols: { grpc: { max_streams: many } } } }"),
        "1:56: receivers.otlp.protocols.grpc.max_streams: expected a whole number, found \"many\""
    );
    assert_eq!(
        head("processors: { enrich: { enabled: maybe } }"),
        "1:34: processors.enrich.enabled: expected true or false, found \"maybe\""
    );
    assert_eq!(head("processors: { enrich: { profiles: [[a]] } }"), "1:36: processors.enrich.profiles[0]: expected text, found a list");
    assert_eq!(head("just text"), "1:1: expected a section of \"key: value\" lines, found \"just text\"");
}

#[test]
fn a_number_out_of_range_is_told_the_range() {
    let grpc = |value: &str| head(&format!("receivers: {{ otlp: {{ protocols: {{ grpc: {{ max_streams: {value} }} }} }} }}"));
    assert_eq!(grpc("-1"), "1:56: receivers.otlp.protocols.grpc.max_streams: -1 is negative; expected a whole number of 0 or more");
    assert_eq!(grpc("70000"), "1:56: receivers.otlp.protocols.grpc.max_streams: expected a whole number from 0 to 65535, found 70000");
    assert_eq!(grpc("1.5"), "1:56: receivers.otlp.protocols.grpc.max_streams: expected a whole number, found 1.5");
}

#[test]
fn a_bad_duration_size_share_or_address_shows_a_good_one() {
    assert_eq!(
        head("processors: { tail_sampling: { decision_wait: 30 } }"),
        "1:47: processors.tail_sampling.decision_wait: 30 has no unit; write 30s, 30ms or 30m"
    );
    assert_eq!(head("service:\n  shutdown_timeout: -5s"), "2:21: service.shutdown_timeout: \"-5s\" is negative; a duration is 0s or more");
    assert_eq!(
        head("service:\n  journal: { limit: 20 gigs }"),
        "2:21: service.journal.limit: \"20 gigs\" is not a size; write for example 64MiB, 5GB or a number of bytes"
    );
    assert_eq!(head("service:\n  journal: { limit: -1 }"), "2:21: service.journal.limit: \"-1\" is negative; a size is 0 or more");
    assert_eq!(head("service: { memory: { limit: 160% } }"), "1:29: service.memory.limit: 160 is not between 0 and 100");
    assert_eq!(
        head("service: { memory: { limit: 60 } }"),
        "1:29: service.memory.limit: 60 has no unit; write 60% for a share, or a size such as 2GiB"
    );
    assert_eq!(
        head("processors: { tail_sampling: { policies: [ { name: a, probabilistic: { sampling_percentage: 101 } } ] } }"),
        "1:93: processors.tail_sampling.policies[0].probabilistic.sampling_percentage: 101 is not between 0 and 100"
    );
    assert_eq!(
        head("service: { admin: { endpoint: \"http://127.0.0.1:8888\" } }"),
        "1:31: service.admin.endpoint: \"http://127.0.0.1:8888\" is a URL; an address to listen on is host:port, such as 127.0.0.1:4317"
    );
    assert_eq!(
        head("processors: { enrich: { ceiling: 0,5 } }"),
        "1:36: processors.enrich.5: unknown key \"5\"; valid here: enabled, profiles, ratio, ceiling"
    );
}

#[test]
fn an_empty_value_is_not_taken_for_a_default() {
    assert_eq!(
        head("service:\n  shutdown_timeout:\n  logs: {}\n"),
        "2:3: service.shutdown_timeout: is empty; expected a duration such as 30s"
    );
}

#[test]
fn what_is_wrong_inside_a_tagged_condition_has_its_own_place() {
    let all =
        |condition: &str| head(&format!("processors:\n  tail_sampling:\n    policies:\n    - name: a\n      all:\n      - {condition}\n"));
    let place = "processors.tail_sampling.policies[0].all[0]";
    assert_eq!(
        all("{ type: trace_cots, min_usd: 1 }"),
        format!(
            "6:17: {place}.type: unknown value \"trace_cots\"; valid here: trace_cost, string_attribute, latency; did you mean \"trace_cost\"?"
        )
    );
    assert_eq!(
        all("{ type: trace_cost, min_usd: cheap }"),
        format!("6:38: {place}.min_usd: \"cheap\" is not a decimal number of US dollars")
    );
    assert_eq!(
        all("{ type: trace_cost, min_uds: 1 }"),
        format!("6:29: {place}.min_uds: unknown key \"min_uds\"; valid here: min_usd; did you mean \"min_usd\"?")
    );
    assert_eq!(all("{ type: trace_cost }"), format!("6:9: {place}: the key \"min_usd\" is missing"));
    assert_eq!(all("{ type: latency, threshold: 5 }"), format!("6:37: {place}.threshold: 5 has no unit; write 5s, 5ms or 5m"));
    assert_eq!(
        all("{ type: string_attribute, key: k, values: one }"),
        format!("6:51: {place}.values: expected a list, such as [a, b], found \"one\"")
    );
    assert_eq!(
        all("{ type: string_attribute, key: k, values: [a], invert_match: 3 }"),
        format!("6:70: {place}.invert_match: expected true or false, found 3")
    );
}

#[test]
fn a_missing_key_is_reported_at_its_section_and_only_if_it_was_not_misspelt() {
    assert_eq!(head("exporters:\n  otlp_grpc/tempo: {}\n"), "2:3: exporters.otlp_grpc/tempo: the key \"endpoint\" is missing");
    assert_eq!(
        head("exporters:\n  otlp_grpc/tempo: { endpont: x }\n"),
        "2:22: exporters.otlp_grpc/tempo.endpont: unknown key \"endpont\"; valid here: endpoint, tls, headers, compression, timeout, \
         sending_queue, batch, retry_on_failure; did you mean \"endpoint\"?"
    );
    assert_eq!(
        head("exporters:\n  otlp_grpc/tempo: { endpoint: [x] }\n"),
        "2:22: exporters.otlp_grpc/tempo.endpoint: expected text, found a list"
    );
}

#[test]
fn an_exporter_has_a_type_and_no_empty_name() {
    assert_eq!(
        head("exporters:\n  otlp_grcp/tempo: { endpoint: x }\n"),
        "2:3: exporters.otlp_grcp/tempo: unknown key \"otlp_grcp\"; valid here: otlp_grpc, otlp_http, debug, file, otlp, otlphttp; did you mean \"otlp_grpc\"?"
    );
    assert_eq!(
        head("exporters:\n  jaeger: {}\n"),
        "2:3: exporters.jaeger: unknown key \"jaeger\"; valid here: otlp_grpc, otlp_http, debug, file, otlp, otlphttp"
    );
    assert_eq!(head("exporters:\n  debug/: {}\n"), "2:3: exporters.debug/: no name after \"debug/\"; add one, or leave the slash out");
}

#[test]
fn broken_yaml_names_its_line() {
    assert_eq!(head("service:\n  logs: { level: info\nexporters: {}\n").split(": ").next(), Some("3:10"));
    let cases = [
        ("service:\n\tlogs: {}\n", "2:1: ", "a tab stands here; YAML is indented with spaces"),
        ("service:\n  logs: {}\n\tadmin: {}\n", "3:1: ", "a tab stands here; YAML is indented with spaces"),
        ("service:\n  state_directory: \"info\n  logs: {}\n", "2:20: ", "the quote opened here is never closed"),
        ("service: 'info", "1:10: ", "the quote opened here is never closed"),
        ("service:\n  logs {}\n  admin: {}\n", "2:3: ", "a \":\" is missing after this key"),
        (
            "service:\n  logs: {}\n   admin: {}\n",
            "3:4: ",
            "the indentation fits no line above; keys of one section start in the same column",
        ),
        ("service: { state_directory: ${env:X} }\n", "1:", "an expression ${…} needs quotes around it inside { } and [ ]"),
        ("service: {}\n---\nservice: {}\n", "2:1: ", "a second document starts here; a config is one document, so remove the \"---\""),
        ("service: [a\n", "1:10: ", "the \"[\" opened here is never closed"),
        ("service: { a: ] }\n", "1:10: ", "\"{\" is closed by \"]\""),
        ("service: *nowhere\n", "1:10: ", "this alias refers to no value above it; put a text that starts with \"*\" in quotes"),
        ("service: !secret x\n", "1:18: ", "a value that starts with \"!\" is a tag, and none has a meaning here; put text in quotes"),
        ("? [a, b]\n: c\n", "1:3: ", "a key must be text, not a list or a map; put text that starts with a bracket in quotes"),
    ];
    for (text, place, message) in cases {
        let heads = heads(text);
        assert!(heads.iter().any(|head| head.starts_with(place) && head.ends_with(message)), "{text}: {heads:#?}");
    }
}

#[test]
fn a_key_stands_once() {
    assert_eq!(
        head("service:\n  logs: {}\n  admin: {}\n  logs: { level: debug }\n"),
        "4:3: service.logs: \"logs\" is already set in line 2; a key may stand once"
    );
}

#[test]
fn an_alias_is_followed_and_an_alias_bomb_is_not() {
    let config =
        value("exporters:\n  otlp/a: &a { endpoint: \"http://x:1\" }\n  otlp/b: *a\n  otlp/c: { <<: *a, endpoint: \"http://y:1\" }\n");
    let endpoints: Vec<bool> = config.exporters.0.values().map(|settings| format!("{settings:?}").contains("//x:1")).collect();
    assert_eq!(endpoints, [true, true, false]);
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..20 {
        let uses = vec![format!("*a{}", n - 1); 10].join(", ");
        bomb.push_str(&format!("a{n}: &a{n} [{uses}]\n"));
    }
    assert_eq!(
        head(&bomb).split_once(": ").map(|(_, rest)| rest.split_once(": ").map_or(rest, |(_, m)| m)),
        Some("more than 100000 values; those of an alias count wherever it is used")
    );
    assert!(head("a: &a [*a]").ends_with("this alias stands inside the value it refers to"));
}

#[test]
fn deep_nesting_is_refused_in_every_form() {
    let block: String = (0..200).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
    let aliases: String = (1..80).fold("a0: &a0 [x]\n".to_owned(), |text, n| text + &format!("a{n}: &a{n} [*a{}]\n", n - 1));
    for text in ["[".repeat(100_000), "{a: ".repeat(5_000), block, aliases, "- ".repeat(500)] {
        let heads = heads(&text);
        assert!(heads[0].ends_with("nested deeper than 64 levels"), "{heads:#?}");
    }
}

#[test]
fn what_is_not_utf8_or_too_long_is_refused() {
    let refused = |bytes: Vec<u8>| read(Sources::new().text("t.yaml", bytes)).err().unwrap().to_string();
    assert!(refused(b"service:\n  a: \xff\n".to_vec()).starts_with("t.yaml:2:6: a byte here is not UTF-8"));
    assert!(refused(b"\xff\xfea\0".to_vec()).contains("this is UTF-16; save it as UTF-8"));
    assert!(refused(vec![b'#'; (1 << 20) + 1]).contains("longer than 1 MiB"));
    assert!(yaml("\u{feff}service: {}").is_ok());
}

#[test]
fn a_missing_file_is_named() {
    let missing = read(Sources::new().file("/nowhere/tollgate.yaml")).err().unwrap();
    assert_eq!(missing.to_string(), "/nowhere/tollgate.yaml: this file does not exist");
}

#[test]
fn expressions_are_replaced_and_defaults_stand_in() {
    let config =
        value("processors: { tail_sampling: { decision_wait: \"${env:WAIT}\", policies: [ { name: \"a$$b$c${env:NONE:-d:-e}\" } ] } }");
    assert_eq!(config.processors.tail_sampling.decision_wait, Duration::from_secs(7));
    assert_eq!(config.processors.tail_sampling.policies[0].name, "a$b$cd:-e");
    let config = value("service: { admin: { endpoint: \"127.0.0.1:${env:PORT}\" }, state_directory: \"${env:EMPTY:-}\" }");
    assert_eq!(config.service.admin.endpoint, ListenAddress::loopback(4444));
    assert_eq!(config.service.state_directory, None);
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("key"), "0123456789abcdef0123456789abcdef\n").unwrap();
    std::fs::write(directory.path().join("c.yaml"), "processors: { redaction: { hash_key: \"${file:key}\" } }").unwrap();
    let loaded = read(Sources::new().file(directory.path().join("c.yaml"))).unwrap_or_else(|p| panic!("{p}"));
    assert_eq!(loaded.value.processors.redaction.hash_key, Some(Secret::new("0123456789abcdef0123456789abcdef")));
}

#[test]
fn an_expression_that_cannot_be_replaced_says_why() {
    assert_eq!(
        head("receivers:\n  otlp:\n    auth: { bearer_tokens: [\"x ${env:TOLLGATE_TOKEN}\"] }\n"),
        "3:32: receivers.otlp.auth.bearer_tokens[0]: the environment variable TOLLGATE_TOKEN is not set; set it, or give a default with ${env:TOLLGATE_TOKEN:-…}"
    );
    assert_eq!(
        head("processors: { redaction: { hash_key: \"${file:/nowhere/key}\" } }"),
        "1:39: processors.redaction.hash_key: the file \"/nowhere/key\" does not exist"
    );
    assert_eq!(
        head("service: { state_directory: \"${DIR}\" }"),
        "1:30: service.state_directory: \"${DIR}\" is none of ${env:NAME}, ${env:NAME:-default} and ${file:path}; \
         write \"$$\" for a plain dollar sign; did you mean \"${env:DIR}\"?"
    );
    assert!(
        head("service: { state_directory: \"${env:DIR\" }").ends_with("a \"${\" is never closed; write \"$$\" for a plain dollar sign")
    );
}

#[test]
fn several_problems_are_all_reported_in_the_order_of_the_file() {
    let text = "\
receivers:
  otlp:
    protocols:
      grpc: { endpoint: nowhere, max_recv_msg_size: 64 megs, max_stream: 4 }
processors:
  enrich: { ratio: 20, ceiling: cheap, profiles: \"${env:NONE}\" }
  tail_sampling:
    decision_wait: 30
    policies:
      - { name: a, probabilistic: { sampling_percentage: 101 } }
      - { nam: b }
      - { name: c, all: [ { type: latency, threshold: soon }, { type: latncy, threshold: 1s } ] }
exporters:
  debug: {}
  debug: {}
  jaeger: {}
service:
  admin: { endpoint: 0.0.0.0:8888 }
  logs: { level: inof }
";
    let places: Vec<String> =
        problems(text).iter().map(|p| format!("{}:{} {}", p.line().unwrap(), p.column().unwrap(), p.path())).collect();
    assert_eq!(
        places,
        [
            "4:25 receivers.otlp.protocols.grpc.endpoint",
            "4:53 receivers.otlp.protocols.grpc.max_recv_msg_size",
            "4:62 receivers.otlp.protocols.grpc.max_stream",
            "6:20 processors.enrich.ratio",
            "6:33 processors.enrich.ceiling",
            "6:51 processors.enrich.profiles",
            "8:20 processors.tail_sampling.decision_wait",
            "10:58 processors.tail_sampling.policies[0].probabilistic.sampling_percentage",
            "11:11 processors.tail_sampling.policies[1].nam",
            "12:55 processors.tail_sampling.policies[2].all[0].threshold",
            "12:71 processors.tail_sampling.policies[2].all[1].type",
            "15:3 exporters.debug",
            "16:3 exporters.jaeger",
            "18:22 service.admin.endpoint",
            "19:18 service.logs.level",
        ]
    );
}

#[test]
fn there_is_an_end_to_problems() {
    let text: String = (0..500).map(|n| format!("unknown{n}: 1\n")).collect();
    let found = problems(&text);
    assert_eq!(found.len(), 50);
    assert!(found.to_string().ends_with("and more; these are the first 50"));
}

#[test]
fn a_problem_shows_its_line_with_a_mark() {
    assert_eq!(
        problems("service:\n  journal:\n    sync: fsnyc  # durable\n").to_string(),
        "t.yaml:3:11: service.journal.sync: unknown value \"fsnyc\"; valid here: fsync, os; did you mean \"fsync\"?\n  3 |     sync: fsnyc  # durable\n    |           ^^^^^"
    );
    let rendered = problems("service: { logs: { level: loud } }").render(true);
    assert!(rendered.contains("\x1b[31m^^^^\x1b[0m"), "{rendered}");
    let long = format!("service: {{ admin: {{ allowed_hosts: [\"{}\"] }}, logs: {{ level: loud }} }}", "x".repeat(50_000));
    assert!(problems(&long).to_string().len() < 600);
}

/// Whatever is wrong around a secret, neither value, quote nor print shows it.
#[test]
fn no_secret_is_ever_shown() {
    for text in [
        "receivers: { otlp: { auth: { bearer_tokens: hunter2-hunter2 } } }",
        "receivers: { otlp: { auth: { bearer_tokens: \"${env:TOKEN}\" } } }",
        "receivers: { otlp: { auth: { bearer_token: hunter2-hunter2 } } }",
        "receivers: { otlp: { auth: { bearer_tokens: [hunter2-hunter2] }, protocol: 1 } }",
        "receivers: { otlp: { auth: { bearer_tokens: [[hunter2-hunter2]] } } }",
        "receivers: { otlp: { auth: { bearer_tokens: [\"hunter2-hunter2\"] ",
        "receivers:\n  otlp:\n    auth:\n      bearer_tokens:\n      - \"hunter2-hunter2\n",
        "exporters: { debug: { pasword: hunter2-hunter2 } }",
        "exporters: { debug: {}, debug: { x: hunter2-hunter2 } }",
        "exporters: { otlp/a: { endpoint: [], headers: { x-thing: hunter2-hunter2 } } }",
        "processors: { tail_sampling: { decision_wait: \"${env:TOKEN}\" } }",
        "processors: { tail_sampling: { decision_wait: \"1${env:TOKEN}\" } }",
        "processors: { tail_sampling: { policies: [ { name: a, all: [ { type: trace_cost, min_usd: \"${env:TOKEN}\" } ] } ] } }",
        "processors: { tail_sampling: { policies: [ { name: a, all: [ { type: \"${env:TOKEN}\" } ] } ] } }",
        "service: { journal: { sync: \"${env:TOKEN}\" } }",
        "service: { admin: { endpoint: \"${env:TOKEN}:80\" } }",
        "service: { memory: { limit: \"${env:TOKEN}\" } }",
        "service: { journal: { key: hunter2-hunter2 } }",
        "service: { journal: [ { key: hunter2-hunter2 } ] }",
        "service: { journal: [ hunter2-hunter2 ], admin: { password: !hunter2-hunter2 x } }",
        "service: { journal: { sync: no, kye: hunter2-hunter2 } }",
        "service: { journal: { sync: no, passphrase: hunter2-hunter2 } }",
        "service: { journal: { sync: no, key: \"${env:NONE:-hunter2-hunter2}\" } }",
        "service: { journal: { sync: no, key: \"hunter2-hunter2 ${env:NONE}\" } }",
        "processors: [ { redaction: { hash_key: hunter2-hunter2 } } ]",
        "\"${env:TOKEN}\"",
        "service: \"${env:TOKEN}\"",
    ] {
        let shown = problems(text);
        for shown in [shown.to_string(), format!("{shown:?}"), shown.render(true)] {
            assert!(!shown.contains("hunter2"), "{text}\n{shown}");
        }
    }
    let size = head("service: { journal: { limit: \"${env:SIZE}\" } }");
    assert_eq!(size, "1:30: service.journal.limit: \"***\" is not a size; write for example 64MiB, 5GB or a number of bytes");
}

#[test]
fn the_effective_config_is_printed_without_secrets_and_can_be_read_again() {
    let text = "\
receivers:
  otlp:
    auth: { bearer_tokens: [\"${env:TOKEN}\", hunter2-literal] }
processors:
  redaction: { hash_key: hunter2-literal }
  tail_sampling:
    decision_wait: \"${env:WAIT:-30s}\"
    policies: [ { name: \"yes\" }, { name: \"a: b #c\" }, { name: \"$${x}\" } ]
exporters:
  otlp/tempo: { endpoint: \"http://${env:TOKEN}:1\", headers: { authorization: \"Basic ${env:TOKEN}\" } }
  debug: {}
";
    let loaded = read(Sources::new().text("t.yaml", text).set("service.logs.level=debug")).unwrap_or_else(|p| panic!("{p}"));
    let printed = print_effective(&loaded.tree, &forward::Config::default());
    assert_eq!(
        printed,
        "\
receivers:
  otlp:
    auth:
      bearer_tokens:
        - \"***\"  # ${env:TOKEN}
        - \"***\"
processors:
  redaction:
    hash_key: \"***\"
  tail_sampling:
    decision_wait: \"***\"  # ${env:WAIT:-30s}
    policies:
      - name: \"yes\"
      - name: \"a: b #c\"
      - name: \"$${x}\"
exporters:
  otlp/tempo:
    endpoint: http://***:1  # http://${env:TOKEN}:1
    headers:
      authorization: \"***\"
  debug: {}
service:
  logs:
    level: debug
"
    );
    assert!(!format!("{:?}", loaded.value).contains("hunter2-lit"));
    let fallback = yaml("processors: { redaction: { hash_key: \"${env:TOKEN:-hunter2-fallback}\" } }").unwrap_or_else(|p| panic!("{p}"));
    assert!(!print_effective(&fallback.tree, &forward::Config::default()).contains("hunter2"));
    assert!(yaml(&printed.replace("\"***\"  # ${env:WAIT:-30s}", "1s")).is_ok());
}

#[test]
fn a_later_source_goes_before_an_earlier_one() {
    let sources = Sources::new()
        .text("a.yaml", "service: { logs: { level: debug, format: json } }\nexporters: { otlp/eu.west: { endpoint: \"http://x:1\" } }")
        .text("b.yaml", "service:\n  logs:\n    level: warn")
        .set("exporters.otlp/eu.west.endpoint=http://y:1")
        .set("service.admin.allowed_hosts=[a, b]")
        .set("service.admin.allowed_hosts[1]=c");
    let config = read(sources).unwrap_or_else(|p| panic!("{p}")).value;
    assert_eq!((config.service.logs.level, config.service.logs.format), (logs::Level::Warn, logs::Format::Json));
    assert_eq!(config.service.admin.allowed_hosts, ["a", "c"]);
    assert!(format!("{:?}", config.exporters.0["otlp/eu.west"]).contains("//y:1"));
}

#[test]
fn a_bad_setting_on_the_command_line_is_named() {
    let set = |assignment: &str| {
        read(Sources::new().text("t.yaml", "service: { logs: { level: info } }").set(assignment)).err().unwrap().to_string()
    };
    assert_eq!(
        set("service.logs.level=loud"),
        "--set: service.logs.level: unknown value \"loud\"; valid here: off, error, warn, warning, info, debug, trace"
    );
    assert_eq!(
        set("service.log.level=info"),
        "--set: service.log: unknown key \"log\"; valid here: admin, state_directory, spend, journal, memory, shutdown_timeout, logs, pipelines; did you mean \"logs\"?"
    );
    assert_eq!(set("service.logs.level"), "--set: a setting is written as key.path=value");
    assert_eq!(set("service.logs.level.x=1"), "--set: service.logs.level.x: \"x\" cannot be set: what holds it is no section");
    assert_eq!(set("service.logs=[a"), "--set: service.logs: the \"[\" opened here is never closed");
    assert_eq!(set("service.admin.allowed_hosts[3]=x"), "--set: service.admin.allowed_hosts[3]: there is no item with this number");
    assert_eq!(
        set(&format!("{}=1", "a.".repeat(40))),
        format!(
            "--set: {}: this is not the path of a key, such as service.logs.level",
            format!("{}…", "a.".repeat(40).get(..80).unwrap()).trim_end_matches('…')
        )
    );
}

#[test]
fn an_admin_port_others_can_reach_needs_a_token() {
    assert_eq!(
        head("service:\n  admin:\n    endpoint: 0.0.0.0:8888\n"),
        "3:15: service.admin.endpoint: other machines can reach 0.0.0.0:8888, and nothing protects it; \
         set service.admin.auth.bearer_tokens, or listen on 127.0.0.1:8888"
    );
    assert!(yaml("service: { admin: { endpoint: \"0.0.0.0:8888\", auth: { bearer_tokens: [\"${env:TOKEN}\"] } } }").is_ok());
    assert!(yaml("service: { admin: { endpoint: \"[::1]:8888\" } }").is_ok());
    assert!(
        head("service: { admin: { endpoint: \"0.0.0.0:8888\", auth: { bearer_tokens: [\"\"] } } }")
            .contains("an empty token lets everybody in")
    );
    let loaded = yaml("service: { admin: { auth: { bearer_tokens: [literal-token] } } }").unwrap_or_else(|p| panic!("{p}"));
    assert_eq!(loaded.warnings.len(), 1);
    assert!(!loaded.warnings[0].to_string().contains("literal-token"));
}

#[test]
fn a_journal_key_is_refused_for_there_is_no_journal() {
    assert_eq!(
        heads("service: { journal: { key: short } }"),
        [
            "1:28: service.journal.key: there is no journal in this version: what it holds is in memory; remove the key to accept that",
            "1:28: service.journal.key: shorter than 32 bytes; make one with: openssl rand -base64 32"
        ]
    );
}

#[test]
fn a_state_directory_is_for_the_spend_book() {
    let file = value("service: { state_directory: /var/lib/tollgate, spend: { keys: [user, app.tenant], keep: { minutes: 6h } } }");
    assert_eq!(file.service.state_directory.as_deref(), Some(std::path::Path::new("/var/lib/tollgate")));
    assert_eq!(file.service.spend.keys, ["user", "app.tenant"]);
    let list = "budgets: [{ name: a, usd: 0.50, per: hour, action: keep_all, match: { model: [x, y], user: u1 } }]";
    assert_eq!(value(&format!("service: {{ spend: {{ {list} }} }}")).service.spend.budgets.len(), 1);
    let said = heads(
        "service: { spend: { keys: [user, model], budgets: [{ name: a, usd: 0, match: { team: x } }, { name: b, usd: 1, per: week }] } }",
    );
    assert_eq!(said.len(), 4, "{said:#?}");
    for (problem, part) in
        said.iter().zip(["keys[1]: \"model\"", "budgets[0].usd: a budget", "match.team: the book has no key", "per: unknown value"])
    {
        assert!(problem.contains(part), "{problem}");
    }
}

#[test]
fn pipelines_are_taken_if_they_say_what_is_so() {
    let pipelines = |processors: &str| {
        format!(
            "exporters: {{ debug: {{}} }}\nservice:\n  pipelines:\n    traces:\n      receivers: [otlp]\n      processors: [{processors}]\n      exporters: [debug]\n"
        )
    };
    assert!(yaml(&pipelines("enrich, tail_sampling, redaction")).is_ok());
    assert_eq!(
        head(&pipelines("redaction, tail_sampling")),
        "6:7: service.pipelines.traces.processors: the order cannot be changed; write [enrich, tail_sampling, redaction], or remove service.pipelines"
    );
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic_or_hang(text in "[-a-z:\\[\\]{}&*!|>'\"%@`#, \n\t$0-9é]{0,80}") {
        let _ = yaml(&text);
        let _ = read(Sources::new().set(text));
    }

    #[test]
    fn any_broken_byte_in_a_good_config_is_survived(at in 0usize..200, byte: u8) {
        let mut bytes = b"processors: { tail_sampling: { decision_wait: 5s, policies: [ { name: a, all: [ { type: trace_cost, min_usd: 0.1 } ] } ] } }\nservice: { admin: { endpoint: \"127.0.0.1:1\" }, journal: { key: \"${env:KEY}\" } }\n".to_vec();
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        if let Err(problems) = read(Sources::new().text("t.yaml", bytes)) {
            proptest::prop_assert!(!problems.is_empty());
            proptest::prop_assert!(!problems.to_string().contains("0123456789abcdef"));
        }
    }
}

#[test]
fn a_large_config_is_read_and_refused_in_reasonable_time() {
    let many = |line: &dyn Fn(usize) -> String, count: usize| (0..count).map(line).collect::<String>();
    let wide = many(&|n| format!("k{n}:\n"), 45_000);
    assert_eq!(problems(&wide).len(), 50);
    let started = std::time::Instant::now();
    let values = format!(
        "processors: {{ tail_sampling: {{ policies: [ {{ name: a, all: [ {{ type: string_attribute, key: k, values: [{}] }} ] }} ] }} }}",
        many(&|n| format!("{n}, "), 5_000)
    );
    assert!(yaml(&values).is_ok());
    let texts = many(&|n| format!("    - {{ name: a, all: [ {{ type: trace_cost, min_usd: {n} }} ] }}\n"), 500);
    assert!(yaml(&format!("processors:\n  tail_sampling:\n    policies:\n{texts}")).is_ok());
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
}

#[test]
fn a_check_finds_its_place_by_the_path() {
    let text = "service:\n  logs:\n    level: info\nexporters:\n  otlp/eu.west: { endpoint: 'http://x:1' }\n";
    let tree = yaml(text).unwrap_or_else(|p| panic!("{p}")).tree;
    let place = |path: &str| Problem::at(&tree, path, "is odd").to_string().lines().next().map(str::to_owned);
    assert_eq!(place("exporters.otlp/eu.west.endpoint").as_deref(), Some("t.yaml:5:29: exporters.otlp/eu.west.endpoint: is odd"));
    assert_eq!(place("service.logs").as_deref(), Some("t.yaml:2:3: service.logs: is odd"));
    assert_eq!(place("service.logs.format").as_deref(), Some("t.yaml:2:3: service.logs.format: is odd"));
    assert_eq!(place("processors.enrich").as_deref(), Some("t.yaml:1:1: processors.enrich: is odd"));
}

#[test]
fn a_check_says_nothing_about_what_was_left_out() {
    let sources = Sources::new().text("t.yaml", "exporters: { jaeger: {} }\nservice: { logs: { level: loud }, journl: {} }");
    let found = load_checked(sources, |config: &Config, findings| {
        if config.exporters.0.is_empty() {
            findings.problem("exporters", "sends nowhere");
        }
        findings.problem("service.logs.level", "is quiet");
        findings.problem("service.journal.key", "is missing");
        findings.problem("service.admin", "is plain");
    });
    let paths: Vec<String> = found.err().unwrap().iter().map(Problem::path).collect();
    assert_eq!(paths, ["exporters.jaeger", "service.admin", "service.logs.level", "service.journl"]);
}

#[test]
fn journal_settings_without_a_journal_are_said_to_do_nothing() {
    let warnings = |text: &str| yaml(text).unwrap_or_else(|p| panic!("{p}")).warnings.iter().map(|w| w.path()).collect::<Vec<_>>();
    assert_eq!(warnings("service: { journal: { sync: os } }"), ["service.journal"]);
    assert!(warnings("service: { journal: { sync: fsync, limit: 20GiB } }").is_empty());
}
