//! Policies as people bring them along, in the spelling of the Collector; and expressions in its language.

use super::rules::{decides, refused};
use super::*;

/// The types of its documentation, each with values of its own.
const EXAMPLES: &str = r#"
decision_wait: 10s
num_traces: 100
expected_new_traces_per_sec: 10
decision_cache:
  sampled_cache_size: 100_000
  non_sampled_cache_size: 100_000
policies:
  - { name: every, type: always_sample }
  - { name: slow, type: latency, latency: { threshold_ms: 5000, upper_threshold_ms: 10000 } }
  - { name: number, type: numeric_attribute, numeric_attribute: { key: key1, min_value: 50, max_value: 100 } }
  - { name: share, type: probabilistic, probabilistic: { sampling_percentage: 10, hash_salt: some } }
  - { name: codes, type: status_code, status_code: { status_codes: [ERROR, UNSET] } }
  - { name: text, type: string_attribute, string_attribute: { key: key2, values: [value1, val*], enabled_regex_matching: true, cache_max_size: 10 } }
  - { name: inverted, type: string_attribute, string_attribute: { key: url.path, values: [\/health, \/metrics], enabled_regex_matching: true, invert_match: true } }
  - { name: rate, type: rate_limiting, rate_limiting: { spans_per_second: 35 } }
  - { name: bytes, type: bytes_limiting, bytes_limiting: { bytes_per_second: 1024, burst_capacity: 4096 } }
  - { name: count, type: span_count, span_count: { min_spans: 2, max_spans: 20 } }
  - { name: state, type: trace_state, trace_state: { key: key3, values: [value1, value2] } }
  - { name: truth, type: boolean_attribute, boolean_attribute: { key: key4, value: true } }
  - { name: flags, type: trace_flags }
  - name: expression
    type: ottl_condition
    ottl_condition:
      error_mode: ignore
      span:
        - attributes["test_attr_key_1"] == "test_attr_val_1"
        - attributes["test_attr_key_2"] != "test_attr_val_1"
      spanevent:
        - name != "test_span_event_name"
        - attributes["test_event_attr_key_2"] != "test_event_attr_val_1"
  - name: both
    type: and
    and:
      and_sub_policy:
        - { name: a, type: numeric_attribute, numeric_attribute: { key: key1, min_value: 50, max_value: 100 } }
        - { name: b, type: string_attribute, string_attribute: { key: key2, values: [value1, value2] } }
        - { name: c, type: rate_limiting, rate_limiting: { spans_per_second: 5 } }
  - name: neither
    type: not
    not: { not_sub_policy: { name: a, type: span_count, span_count: { min_spans: 2 } } }
  - name: away
    type: drop
    drop: { drop_sub_policy: [{ name: a, type: string_attribute, string_attribute: { key: url.path, values: [\/health], enabled_regex_matching: true } }] }
  - name: divided
    type: composite
    composite:
      max_total_spans_per_second: 1000
      policy_order: [first, second]
      composite_sub_policy:
        - { name: first, type: numeric_attribute, numeric_attribute: { key: key1, min_value: 50 } }
        - { name: second, type: string_attribute, string_attribute: { key: key2, values: [value1, value2] } }
        - { name: third, type: always_sample }
      rate_allocation:
        - { policy: first, percent: 50 }
        - { policy: second, percent: 25 }
"#;

#[test]
fn all_types_of_the_collector_load_as_they_are() {
    let policies = compile(EXAMPLES);
    // Composite counts twice, and two names are reserved.
    assert_eq!(policies.names().count(), 18 + 1 + 2);
    assert_eq!((policies.config().decision_cache.kept, policies.config().decision_cache.dropped), (100_000, 100_000));
}

/// One policy of the examples alone, without anything else that keeps.
fn alone(name: &str) -> String {
    let all: serde_json::Value = serde_yaml::from_str(EXAMPLES).unwrap();
    let one = all["policies"].as_array().unwrap().iter().find(|policy| policy["name"].as_str() == Some(name)).unwrap();
    format!("always_keep: []\npolicies: {}", serde_json::to_string(&vec![one]).unwrap())
}

#[test]
fn each_decides_as_the_collector_documents_it() {
    let int = |key: &'static str, value| move |span: Fake| span.with(Place::Span, |to| to.int(key, value));
    let long = |ms: u64| {
        let mut span = span(1, 1, 0);
        span.facts.end = span.facts.start + ms * 1_000_000;
        span
    };
    let two = || vec![span(1, 1, 0), span(1, 2, 1)];
    for (name, spans, keeps) in [
        ("every", vec![span(1, 1, 0)], true),
        ("slow", vec![long(5_001)], true),
        ("slow", vec![long(5_000)], false),
        ("slow", vec![long(10_001)], false),
        ("number", vec![int("key1", 50)(span(1, 1, 0))], true),
        ("number", vec![int("key1", 101)(span(1, 1, 0))], false),
        ("share", vec![span(1, 1, 0).of(with_randomness(1, 0xff_ffff_ffff_ffff))], true),
        ("share", vec![span(1, 1, 0).of(with_randomness(1, 0))], false),
        ("codes", vec![span(1, 1, 0).error()], true),
        ("text", vec![span(1, 1, 0).text("key2", "valley")], true),
        ("text", vec![span(1, 1, 0).text("key2", "other")], false),
        ("inverted", vec![span(1, 1, 0).text("url.path", "/chat")], true),
        ("inverted", vec![span(1, 1, 0).text("url.path", "/health")], false),
        ("rate", vec![span(1, 1, 0)], true),
        ("bytes", vec![span(1, 1, 0)], true),
        ("count", two(), true),
        ("count", vec![span(1, 1, 0)], false),
        ("state", vec![span(1, 1, 0).state("key3=value2")], true),
        ("state", vec![span(1, 1, 0).state("key3=value3")], false),
        ("truth", vec![span(1, 1, 0).with(Place::Span, |to| to.bool("key4", true))], true),
        ("truth", vec![span(1, 1, 0)], false),
        ("expression", vec![span(1, 1, 0).text("test_attr_key_2", "test_attr_val_1")], false),
        ("expression", vec![span(1, 1, 0)], true),
        ("both", vec![int("key1", 60)(span(1, 1, 0)).text("key2", "value1")], true),
        ("both", vec![int("key1", 60)(span(1, 1, 0))], false),
        ("neither", vec![span(1, 1, 0)], true),
        ("neither", two(), false),
        ("away", vec![span(1, 1, 0).text("url.path", "/health")], false),
        ("divided", vec![int("key1", 60)(span(1, 1, 0))], true),
        ("divided", vec![span(1, 1, 0)], false),
    ] {
        let decided = decides(&alone(name), &spans);
        assert_eq!(decided != "-", keeps, "{name}: {decided}");
    }
}

#[test]
fn composite_is_checked_like_any_other_policy() {
    let composite = |inner: &str| format!("policies: [{{ name: c, type: composite, composite: {{ {inner} }} }}]");
    let sub = "composite_sub_policy: [{ name: a, type: always_sample }]";
    let at = "policies[0].composite";
    refused(&composite(&format!("max_total_spans_per_second: 0, {sub}")), &format!("{at}.max_total_spans_per_second"), "not above 0");
    refused(&composite(&format!("max_total_spans_per_second: 5, policy_order: [b], {sub}")), at, "\"b\"");
    refused(&composite("max_total_spans_per_second: 5, composite_sub_policy: []"), &format!("{at}.composite_sub_policy"), "empty");
    refused(
        &composite("max_total_spans_per_second: 5, composite_sub_policy: [{ name: a, sample: { type: drop } }]"),
        &format!("{at}.composite_sub_policy[0]"),
        "cannot share",
    );
    refused(
        &composite("max_total_spans_per_second: 5, composite_sub_policy: [{ name: a, type: always_sample }, { name: b, type: truncated }]"),
        &format!("{at}.composite_sub_policy[1]"),
        "never be reached",
    );
    let nested = format!(
        "policies: [{{ name: n, type: not, not: {{ not_sub_policy: {{ name: c, type: composite, composite: {{ max_total_spans_per_second: 5, {sub} }} }} }} }}]"
    );
    refused(&nested, "policies[0].not.not_sub_policy", "cannot be part");
}

#[test]
fn samplers_and_options_that_mean_nothing_are_refused() {
    let sample = |inner: &str| format!("policies: [{{ name: a, sample: {{ {inner} }} }}]");
    refused(&sample("type: budgeted"), "policies[0].sample.spans_per_second", "missing");
    refused(&sample("type: budgeted, spans_per_second: 1, usd_per_second: 1"), "policies[0].sample.usd_per_second", "one unit");
    refused(&sample("type: rate_limiting, spans_per_second: 0"), "policies[0].sample.spans_per_second", "not above 0");
    refused(
        &sample("type: adaptive_percentage, goal_percentage: 200, fingerprint_attributes: [k]"),
        "policies[0].sample.goal_percentage",
        "200",
    );
    refused(
        "policies: [{ name: a, type: rate_limiting, rate_limiting: { spans_per_second: -1 } }]",
        "policies[0].rate_limiting.spans_per_second",
        "-1",
    );
    refused("decision_interval: 11s", "decision_interval", "longer than 10s");
    refused("group_by: ''", "group_by", "empty");
    refused("root_condition: { type: trace_cost, min_usd: 1 }", "root_condition", "does not ask about one span");
    refused("root_condition: { type: always_sample }", "root_condition", "does not ask about one span");
    refused("root_condition: { type: rare, key: [http.route] }", "root_condition", "does not ask about one span");
    refused("always_keep: [{ class: error, limit_spans_per_second: 0 }]", "always_keep[0].limit_spans_per_second", "not above 0");
    refused("shadow_policies: [{ name: _a, type: truncated }]", "shadow_policies[0].name", "reserved");
    refused(
        "shadow_policies: [{ name: a, type: truncated }, { name: a, type: truncated }]",
        "shadow_policies[1].name",
        "shadow_policies[0]",
    );
    refused("policies: [{ name: a, type: tool_loop, tool_loop: { min_repeats: 1 } }]", "policies[0].tool_loop.min_repeats", "no loop");
    refused("policies: [{ name: a, type: retries, retries: { min_attempts: 1 } }]", "policies[0].retries.min_attempts", "no retry");
    refused("policies: [{ name: a, type: rare, rare: { key: [] } }]", "policies[0].rare.key", "empty");
    refused(
        "policies: [{ name: a, type: ottl_condition, ottl_condition: { span: ['Len(name) > 3'] } }]",
        "policies[0].ottl_condition.span",
        "`Len`",
    );
    let scoped = "policies: [{ name: a, condition: { scope: same_span, all: [{ type: ottl_condition, span: ['name == \"a\"'] }] }, sample: { type: keep } }]";
    refused(scoped, "policies[0].condition.all[0]", "any_span");
}

#[test]
fn an_expression_is_met_by_one_span() {
    let policy = |text: &str| {
        let text = text.replace('\'', "''");
        format!("always_keep: []\npolicies: [{{ name: a, type: ottl_condition, ottl_condition: {{ span: ['{text}'] }} }}]")
    };
    let chat = || span(1, 1, 9).text("op", "chat");
    let slow = |span: Fake| span.with(Place::Span, |to| to.int("ms", 900));
    let both = r#"attributes["op"] == "chat" and attributes["ms"] > 500"#;
    assert_eq!(decides(&policy(both), &[slow(chat())]), "a");
    assert_eq!(decides(&policy(both), &[chat(), slow(span(1, 2, 9))]), "-");
    for (text, spans, meets) in [
        (r#"attributes["op"] == "chat" or attributes["ms"] > 500"#, vec![slow(span(1, 2, 9))], true),
        (r#"not (attributes["op"] == "chat")"#, vec![chat()], false),
        (r#"not (attributes["op"] == "chat")"#, vec![span(1, 2, 9)], true),
        (r#"attributes["op"] == nil"#, vec![chat()], false),
        (r#"attributes["op"] == nil"#, vec![span(1, 2, 9)], true),
        (r#"attributes["op"] != nil and attributes["op"] != "x""#, vec![chat()], true),
        (r#"IsMatch(attributes["op"], "^ch")"#, vec![chat()], true),
        (r#"IsMatch(attributes["op"], "^at")"#, vec![chat()], false),
        (r#"resource.attributes["op"] == "chat""#, vec![chat()], false),
        (r#"resource.attributes["op"] == "chat""#, vec![span(1, 1, 9).with(Place::Resource, |to| to.str("op", "chat"))], true),
        (r#"attributes["op"] == "chat""#, vec![span(1, 1, 9).with(Place::Resource, |to| to.str("op", "chat"))], false),
        ("IsRootSpan()", vec![span(1, 1, 0)], true),
        ("IsRootSpan()", vec![span(1, 1, 9)], false),
        ("status.code == STATUS_CODE_ERROR", vec![chat().error()], true),
        ("status.code == STATUS_CODE_ERROR", vec![chat()], false),
        ("kind == SPAN_KIND_CLIENT or name == \"x\"", vec![chat()], false),
        ("kind == SPAN_KIND_UNSPECIFIED", vec![chat()], true),
    ] {
        assert_eq!(decides(&policy(text), &spans) == "a", meets, "{text}");
    }
}
