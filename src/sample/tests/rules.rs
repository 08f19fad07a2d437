//! Policies: what the config may say, and how one decision comes of it.

use super::*;
use crate::sample::ConfigError;

fn errors(text: &str) -> Vec<ConfigError> {
    Policies::compile(&config(text)).err().unwrap_or_default()
}

#[track_caller]
pub(super) fn refused(text: &str, path: &str, message: &str) {
    let errors = errors(text);
    let found = errors.iter().any(|e| e.path == format!("processors.tail_sampling.{path}") && e.message.contains(message));
    assert!(found, "no \"{message}\" at {path} among {errors:?}");
}

#[test]
fn what_is_wrong_is_named_with_its_path() {
    refused("policies: [{ name: a, type: always_sample }, { name: a, type: truncated }]", "policies[1].name", "policies[0] already");
    refused("policies: [{ name: _a, type: always_sample }]", "policies[0].name", "reserved");
    refused("policies: [{ name: '', type: always_sample }]", "policies[0].name", "empty");
    refused(
        "policies: [{ name: a, type: probabilistic, probabilistic: { sampling_percentage: 101 } }]",
        "policies[0].probabilistic.sampling_percentage",
        "101",
    );
    refused(
        "policies: [{ name: a, sample: { type: probabilistic, sampling_percentage: -1 } }]",
        "policies[0].sample.sampling_percentage",
        "-1",
    );
    refused(
        "policies: [{ name: a, condition: { none: [{ type: string_attribute, key: k, values: ['('], enabled_regex_matching: true }] }, sample: { type: keep } }]",
        "policies[0].condition.none[0].values",
        "does not compile",
    );
    refused(
        "policies: [{ name: a, type: latency, latency: { threshold_ms: 9, upper_threshold_ms: 3 } }]",
        "policies[0].latency.upper_threshold_ms",
        "nothing matches",
    );
    refused("default: { sampling_percentage: 1e-20 }", "default.sampling_percentage", "2^-56");
    refused("{ span_limit: 0, num_traces: 0, maximum_trace_size_bytes: 0 }", "num_traces", "at least 1");
    refused("tracestate: { precision: 15 }", "tracestate.precision", "15");
    refused("decision_cache: { ttl: 8days }", "decision_cache.ttl", "7 days");
    refused("always_keep: [error, { class: error, except: [cancelled] }]", "always_keep[1]", "already");
    refused("always_keep: [{ class: truncated, except: [cancelled] }]", "always_keep[0].except", "no effect");
    assert_eq!(errors("{ span_limit: 0, num_traces: 0, maximum_trace_size_bytes: 0 }").len(), 3);
}

#[test]
fn a_percentage_below_two_to_the_minus_56_is_a_load_error() {
    refused(
        "policies: [{ name: a, type: probabilistic, probabilistic: { sampling_percentage: 1e-15 } }]",
        "policies[0].probabilistic.sampling_percentage",
        "2^-56",
    );
    assert!(errors("policies: [{ name: a, type: probabilistic, probabilistic: { sampling_percentage: 1.4e-15 } }]").is_empty());
}

#[test]
fn a_policy_that_nothing_reaches_is_a_load_error() {
    let list = "policies: [{ name: a, type: always_sample }, { name: b, type: truncated }]";
    assert!(errors(list).is_empty());
    refused(&format!("{list}\nevaluation: first_match"), "policies[1]", "\"a\" takes every trace");
    refused("policies: [{ name: a, type: truncated }, { name: d, sample: { type: drop } }]", "policies[0]", "\"d\" takes every trace");
    let contradiction =
        "policies: [{ name: a, condition: { all: [{ type: truncated }], none: [{ type: truncated }] }, sample: { type: keep } }]";
    refused(contradiction, "policies[0].condition.none[0]", "stands under all");
    let inverted = "
policies:
  - name: a
    type: and
    and:
      and_sub_policy:
        - { name: x, type: truncated }
        - { name: y, type: not, not: { not_sub_policy: { name: z, type: truncated } } }
";
    refused(inverted, "policies[0]", "contradicts itself");
    refused("policies: [{ name: a, type: not, not: { not_sub_policy: { name: z, type: always_sample } } }]", "policies[0]", "contradicts");
}

#[test]
fn one_policy_has_one_sampler() {
    let share = "type: probabilistic, probabilistic: { sampling_percentage: 5 }";
    let two = format!("policies: [{{ name: a, type: and, and: {{ and_sub_policy: [{{ name: x, {share} }}, {{ name: y, {share} }}] }} }}]");
    refused(&two, "policies[0].and.and_sub_policy[1]", "\"y\" and \"x\" both sample");
    let not = format!("policies: [{{ name: a, type: not, not: {{ not_sub_policy: {{ name: x, {share} }} }} }}]");
    refused(&not, "policies[0].not.not_sub_policy", "only a condition");
    let drop = format!("policies: [{{ name: a, type: drop, drop: {{ drop_sub_policy: [{{ name: x, {share} }}] }} }}]");
    refused(&drop, "policies[0].drop.drop_sub_policy", "nothing in it can sample");
    refused("policies: [{ name: a, type: and, and: { and_sub_policy: [] } }]", "policies[0].and.and_sub_policy", "empty");
}

#[test]
fn scope_trace_asks_no_spans() {
    let text = "policies: [{ name: a, condition: { scope: trace, all: [{ type: truncated }] }, sample: { type: keep } }]";
    refused(text, "policies[0].condition.all[0]", "asks about the trace as a whole");
}

/// The policy that decided about a trace of these spans, or `-` where it was dropped.
pub(super) fn decides(text: &str, spans: &[Fake]) -> String {
    let mut rig = Rig::new(text);
    spans.iter().for_each(|span| {
        rig.admit(span.clone());
    });
    rig.shutdown();
    match rig.decisions.first() {
        Some(decided) if rig.dropped == 0 => decided.policy.to_string(),
        _ => "-".into(),
    }
}

fn scoped(scope: &str) -> String {
    format!(
        "
policies:
  - name: a
    condition:
      scope: {scope}
      all: [{{ type: string_attribute, key: op, values: [chat] }}, {{ type: boolean_attribute, key: slow, value: true }}]
      none: [{{ type: attribute_exists, key: internal }}]
    sample: {{ type: keep }}
"
    )
}

#[test]
fn a_scope_says_which_spans_may_meet_the_conditions() {
    let chat = || span(1, 1, 9).text("op", "chat");
    let slow = |span: Fake| span.with(Place::Span, |to| to.bool("slow", true));
    let internal = |span: Fake| span.text("internal", "x");
    let apart = [chat(), slow(span(1, 2, 9))];
    assert_eq!(decides(&scoped("any_span"), &apart), "a");
    assert_eq!(decides(&scoped("same_span"), &apart), "-");
    assert_eq!(decides(&scoped("same_span"), &[slow(chat()), internal(span(1, 2, 9))]), "a");
    assert_eq!(decides(&scoped("any_span"), &[slow(chat()), internal(span(1, 2, 9))]), "-");
    assert_eq!(decides(&scoped("same_span"), &[internal(slow(chat()))]), "-");
    assert_eq!(decides(&scoped("root"), &[slow(chat())]), "-");
    let root = Fake { facts: SpanFacts { parent_id: None, ..chat().facts }, ..chat() };
    assert_eq!(decides(&scoped("root"), &[slow(root)]), "a");
}

#[test]
fn a_key_is_found_on_the_span_before_the_resource_and_there_before_the_scope() {
    let policy =
        |key: &str| format!("policies: [{{ name: a, type: string_attribute, string_attribute: {{ key: {key}, values: [yes] }} }}]");
    let at = |place, value: &'static str| move |span: Fake| span.with(place, |to| to.str("k", value));
    let on_resource = at(Place::Resource, "yes")(span(1, 1, 9));
    assert_eq!(decides(&policy("k"), std::slice::from_ref(&on_resource)), "a");
    assert_eq!(decides(&policy("k"), &[at(Place::Scope, "yes")(span(1, 1, 9))]), "a");
    let hidden = at(Place::Span, "no")(on_resource.clone());
    assert_eq!(decides(&policy("k"), std::slice::from_ref(&hidden)), "-");
    assert_eq!(decides(&policy("resource.k"), &[hidden]), "a");
    assert_eq!(decides(&policy("span.k"), &[on_resource]), "-");
}

#[test]
fn a_missing_key_makes_a_condition_false_and_its_inversion_true() {
    let text = "policies: [{ name: a, type: string_attribute, string_attribute: { key: k, values: [x], invert_match: true } }]";
    assert_eq!(decides(text, &[span(1, 1, 0)]), "a");
    assert_eq!(decides(text, &[span(1, 1, 0), span(1, 2, 1).text("k", "x")]), "-");
}

#[test]
fn of_matching_policies_the_most_permissive_decides_or_the_first() {
    let list = "
policies:
  - { name: none, type: probabilistic, probabilistic: { sampling_percentage: 0 } }
  - { name: big, type: span_count, span_count: { min_spans: 2 } }
";
    assert_eq!(decides(list, &[span(1, 1, 0), span(1, 2, 1)]), "big");
    assert_eq!(decides(list, &[span(1, 1, 0)]), "-");
    let swapped = "
evaluation: first_match
policies:
  - { name: big, type: span_count, span_count: { min_spans: 2 } }
  - { name: none, type: probabilistic, probabilistic: { sampling_percentage: 0 } }
";
    assert_eq!(decides(swapped, &[span(1, 1, 0), span(1, 2, 1)]), "big");
    let first = "
evaluation: first_match
policies:
  - { name: none, condition: { all: [{ type: span_count, min_spans: 1 }] }, sample: { type: probabilistic, sampling_percentage: 0 } }
  - { name: big, type: span_count, span_count: { min_spans: 2 } }
";
    assert_eq!(decides(first, &[span(1, 1, 0), span(1, 2, 1)]), "-");
}

#[test]
fn every_condition_can_be_met_and_missed() {
    let dear = || span(1, 1, 0).cost("0.5");
    for (condition, hit, miss) in [
        ("{ type: always_sample }", span(1, 1, 0), None),
        ("{ type: attribute_exists, key: k }", span(1, 1, 0).text("k", ""), Some(span(1, 1, 0).text("kk", ""))),
        (
            "{ type: boolean_attribute, key: k, value: false }",
            span(1, 1, 0).with(Place::Span, |to| to.bool("k", false)),
            Some(span(1, 1, 0).with(Place::Span, |to| to.bool("k", true))),
        ),
        (
            "{ type: numeric_attribute, key: k, min_value: 5 }",
            span(1, 1, 0).with(Place::Span, |to| to.int("k", 5)),
            Some(span(1, 1, 0).with(Place::Span, |to| to.double("k", 4.9))),
        ),
        ("{ type: string_attribute, key: k, values: [v] }", span(1, 1, 0).text("k", "v"), Some(span(1, 1, 0).text("k", "w"))),
        ("{ type: status_code, status_codes: [UNSET] }", span(1, 1, 0), Some(span(1, 1, 0).error())),
        (
            "{ type: error_class, classes: [transient] }",
            Fake { facts: SpanFacts { error: Some(crate::enrich::facts::ErrorClass::Transient), ..span(1, 1, 0).facts }, ..span(1, 1, 0) },
            Some(span(1, 1, 0).error()),
        ),
        ("{ type: truncated }", span(1, 1, 0).truncated(), Some(span(1, 1, 0))),
        ("{ type: unpriced }", Fake { facts: SpanFacts { unpriced: true, ..span(1, 1, 0).facts }, ..span(1, 1, 0) }, Some(span(1, 1, 0))),
        (
            "{ type: latency, threshold_ms: 5 }",
            Fake { facts: SpanFacts { start: 0, end: 6_000_000, ..span(1, 1, 0).facts }, ..span(1, 1, 0) },
            Some(span(1, 1, 0)),
        ),
        (
            "{ type: span_latency, threshold_ms: 5 }",
            Fake { facts: SpanFacts { start: 0, end: 6_000_000, ..span(1, 1, 0).facts }, ..span(1, 1, 0) },
            Some(span(1, 1, 0)),
        ),
        ("{ type: trace_state, key: t, values: [gold] }", span(1, 1, 0).state("t=gold"), Some(span(1, 1, 0).state("t=tin"))),
        ("{ type: span_count, max_spans: 1 }", span(1, 1, 0), None),
        ("{ type: rare, key: [k] }", span(1, 1, 0).text("k", "x"), None),
        (
            "{ type: ottl_condition, span: ['attributes[\"k\"] == \"v\"'] }",
            span(1, 1, 0).text("k", "v"),
            Some(span(1, 1, 0).text("k", "w")),
        ),
        ("{ type: trace_cost, min_usd: 0.5 }", dear(), Some(span(1, 1, 0).cost("0.499999999999"))),
        ("{ type: llm_calls, min: 1 }", dear(), Some(span(1, 1, 0))),
        (
            "{ type: trace_tokens, min: 10, kind: output }",
            Fake { facts: SpanFacts { output_tokens: 10, ..span(1, 1, 0).facts }, ..span(1, 1, 0) },
            Some(Fake { facts: SpanFacts { input_tokens: 10, ..span(1, 1, 0).facts }, ..span(1, 1, 0) }),
        ),
    ] {
        let text =
            format!("{{ always_keep: [], policies: [{{ name: a, condition: {{ all: [{condition}] }}, sample: {{ type: keep }} }}] }}");
        assert_eq!(decides(&text, &[hit]), "a", "{condition}");
        if let Some(miss) = miss {
            assert_eq!(decides(&text, &[miss]), "-", "{condition}");
        }
    }
}

#[test]
fn the_spelling_of_the_collector_decides_like_the_native_one() {
    let collector = "
policies:
  - { name: checks, type: drop, drop: { drop_sub_policy: [{ name: x, type: string_attribute, string_attribute: { key: http.route, values: [/live] } }] } }
  - name: rag
    type: and
    and:
      and_sub_policy:
        - { name: x, type: numeric_attribute, numeric_attribute: { key: n, min_value: 3, max_value: 9 } }
        - { name: y, type: not, not: { not_sub_policy: { name: z, type: boolean_attribute, boolean_attribute: { key: internal, value: true } } } }
";
    let native = "
policies:
  - { name: checks, condition: { all: [{ type: string_attribute, key: http.route, values: [/live] }] }, sample: { type: drop } }
  - name: rag
    condition:
      all: [{ type: numeric_attribute, key: n, min_value: 3, max_value: 9 }]
      none: [{ type: boolean_attribute, key: internal, value: true }]
    sample: { type: keep }
";
    let n = |value| move |span: Fake| span.with(Place::Span, |to| to.int("n", value));
    let internal = |span: Fake| span.with(Place::Span, |to| to.bool("internal", true));
    for (spans, expected) in [
        (vec![n(5)(span(1, 1, 0))], "rag"),
        (vec![n(2)(span(1, 1, 0))], "-"),
        (vec![internal(n(5)(span(1, 1, 0)))], "-"),
        (vec![n(5)(span(1, 1, 0)), span(1, 2, 1).text("http.route", "/live")], "-"),
    ] {
        assert_eq!(decides(collector, &spans), expected);
        assert_eq!(decides(native, &spans), expected);
    }
}

#[test]
fn a_sampler_takes_only_its_own_fields() {
    for sample in ["{ type: keep, sampling_percentage: 1 }", "{ type: probabilistic }", "{ type: dropp }", "{ type: drop, override: true }"]
    {
        let text = format!("policies: [{{ name: a, sample: {sample} }}]");
        assert!(serde_yaml::from_str::<Config>(&text).is_err(), "{sample}");
    }
}

#[test]
fn the_default_decides_where_no_policy_matches() {
    assert_eq!(decides("{ policies: [], default: { sampling_percentage: 100 } }", &[span(1, 1, 0)]), "_default");
    assert_eq!(decides(NOTHING, &[span(1, 1, 0)]), "-");
    let mut rig = Rig::new(NOTHING);
    rig.admit(span(1, 1, 0));
    rig.pass(1.0);
    assert_eq!(rig.last(), ("_default", "default", "complete"));
}

#[test]
fn without_policies_errors_and_truncated_answers_stay_and_a_tenth_of_the_rest() {
    let policies = compile("{}");
    assert_eq!(policies.names().map(|n| &**n).collect::<Vec<_>>(), ["baseline", "_always_keep", "_default"]);
    assert_eq!(decides("{}", &[span(1, 1, 0).error()]), "_always_keep");
    assert_eq!(decides("{}", &[span(1, 1, 0).truncated()]), "_always_keep");
    let low = span(1, 1, 0).of(with_randomness(1, 0xe6_65ff_ffff_ffff));
    let high = span(1, 1, 0).of(with_randomness(1, 0xe6_6600_0000_0000));
    assert_eq!((decides("{}", &[low]).as_str(), decides("{}", &[high]).as_str()), ("-", "baseline"));
}

#[test]
fn what_may_surprise_is_said_when_the_config_is_loaded() {
    assert!(compile("{}").notes().is_empty());
    let text = "{ decision_wait: 0s, late_keep: off, policies: [{ name: checks, sample: { type: drop, override_always_keep: true } }] }";
    let notes = compile(text).notes();
    assert_eq!(notes.len(), 3);
    assert!(notes[2].contains("\"checks\""), "{notes:?}");
}

#[test]
fn the_config_hash_changes_with_the_config_and_can_be_given() {
    assert_eq!(compile("{}").hash, compile("{}").hash);
    assert_ne!(compile("{}").hash, compile("{ span_limit: 5 }").hash);
    assert_eq!(&*compile("{}").with_config_hash("0123456789abcdef").hash, "01234567");
}
