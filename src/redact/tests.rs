//! The promises of the whole: twice is once, JSON stays JSON, nothing outside a finding changes, no input stalls.

use super::*;
use cpu_time::ThreadTime;
use proptest::prelude::*;
use std::time::Duration;

fn with(yaml: &str) -> Redactor {
    Redactor::new(&serde_yaml::from_str(yaml).unwrap()).unwrap()
}

fn redactor() -> Redactor {
    Redactor::new(&Config::default()).unwrap()
}

#[track_caller]
fn redacts(redactor: &Redactor, text: &str, to: &str) {
    let mut findings = Findings::new();
    assert_eq!(redactor.text(text, None, &mut findings).as_deref().unwrap_or(text), to);
    assert_eq!(redactor.text(to, None, &mut findings), None, "not at rest");
}

#[test]
fn innocent_text_is_not_copied() {
    let mut findings = Findings::new();
    assert_eq!(redactor().text("Order 2025-11-20-0042 costs $6,179,506.56 (page 231-996).", None, &mut findings), None);
    assert!(findings.is_empty());
}

#[test]
fn each_action_does_its_own() {
    redacts(&redactor(), "to bob@example.org now", "to [EMAIL] now");
    redacts(&with("entities: { EMAIL: mask }"), "to bob@example.org now", "to b***@example.org now");
    redacts(&with("entities: { EMAIL: remove }"), "to bob@example.org now", "to  now");
    redacts(&with("entities: { EMAIL: off }"), "to bob@example.org now", "to bob@example.org now");
    redacts(&with("entities: { CREDIT_CARD: mask }"), "4111-1111-1111-1111", "****-****-****-1111");
    let hashed = with("{ entities: { EMAIL: hash }, hash_key: 0123456789abcdef0123456789abcdef, hash_key_id: k2 }");
    let once = hashed.text("to bob@example.org", None, &mut Findings::new()).unwrap();
    assert!(once.starts_with("to [EMAIL:k2:") && once.len() == "to [EMAIL:k2:0123456789abcdef]".len(), "{once}");
    redacts(&hashed, "to Bob@example.org", &once);
    let mut findings = Findings::new();
    assert_eq!(with("entities: { EMAIL: detect }").text("to bob@example.org", None, &mut findings), None);
    assert_eq!(findings.count(Kind::Email), 1);
}

#[test]
fn templates_say_what_is_written_and_may_not_be_found_themselves() {
    redacts(&with("template: '<{type}>'"), "to bob@example.org now", "to <EMAIL> now");
    redacts(&with("template: '<{type}>'"), "password=hunter2!x", "password=<PASSWORD>");
    redacts(&with("{ template: 'X', entities: { EMAIL: { template: '(mail)' } } }"), "bob@example.org 4111 1111 1111 1111", "(mail) X");
    redacts(&with("{ custom: [{ name: T, pattern: 'TCK-[0-9]+', template: '\"{type}\"' }] }"), r#"{"a":"TCK-1"}"#, r#"{"a":"\"T\""}"#);
    for (yaml, part) in [
        ("template: 'x@example.org'", "found as EMAIL"),
        ("template: ' '", "empty"),
        ("entities: { EMAIL: { template: '4111111111111111' } }", "entities.EMAIL.template"),
    ] {
        let config: Config = serde_yaml::from_str(yaml).unwrap();
        let errors = Redactor::new(&config).err().unwrap();
        assert!(errors.len() == 1 && errors[0].to_string().contains(part), "{errors:?}");
    }
}

#[test]
fn names_of_a_dictionary_are_found_whole_and_win() {
    let redactor =
        with("dictionaries: [ { entries: [Jane Doe, 'bob'] }, { name: PROJECT, entries: [Falcon], fold_case: false, action: mask } ]");
    redacts(&redactor, "JANE\n doe on Falcon, falcon and bobby", "[NAME] on ****** , falcon and bobby".replace(" ,", ",").as_str());
    redacts(&redactor, r#"{"to":"jane\u0020doe"}"#, r#"{"to":"[NAME]"}"#);
    let config: Config = serde_yaml::from_str("dictionaries: [ { entries: [] }, { file: /nowhere/names.txt, name: B } ]").unwrap();
    let errors = Redactor::new(&config).err().unwrap();
    assert!(errors[0].to_string().contains("dictionaries[0]") && errors[1].to_string().contains("was not read"), "{errors:?}");
}

#[test]
fn signs_that_only_look_alike_are_read_where_it_is_asked_for() {
    let (wide, hidden) = ("card ４１１１－１１１１－１１１１－１１１１ now", "card 4111\u{200b}1111\u{200b}11111111\u{feff} now");
    redacts(&redactor(), wide, wide);
    redacts(&redactor(), hidden, hidden);
    redacts(&with("normalize: fullwidth"), wide, "card [CREDIT_CARD] now");
    redacts(&with("ignore_zero_width: true"), hidden, "card [CREDIT_CARD]\u{feff} now");
    redacts(&with("quoted_printable: true"), "To: bob=40example.org", "To: [EMAIL]");
    redacts(&with("{ normalize: fullwidth, ignore_zero_width: true }"), r#"{"a":"ｂｏｂ\u200b＠example.org"}"#, r#"{"a":"[EMAIL]"}"#);
}

#[test]
fn a_country_that_is_named_gives_its_numbers_away_in_the_wide_profile() {
    redacts(&with("{ profile: wide, phone: { regions: [GB] } }"), "it is 07700900123", "it is [PHONE]");
    redacts(&with("profile: wide"), "it is 07700900123", "it is 07700900123");
    redacts(&with("phone: { regions: [GB] }"), "it is 07700900123", "it is 07700900123");
}

#[test]
fn a_rule_that_fails_costs_the_value_and_is_counted() {
    let mut broken = redactor();
    broken.fail = true;
    let mut findings = Findings::new();
    assert_eq!(broken.text("bob@example.org", None, &mut findings).as_deref(), Some(UNSETTLED));
    assert_eq!((findings.errors(), findings.total()), (1, 0));
}

#[test]
fn switches_and_profiles_decide_what_is_found() {
    redacts(&with("enabled: false"), "bob@example.org", "bob@example.org");
    redacts(&with("entities: { US_SSN: always }"), "it is 078051120", "it is [US_SSN]");
    redacts(&with("entities: { US_SSN: needs_context }"), "it is 078-05-1120", "it is 078-05-1120");
    redacts(&with("entities: { US_SSN: { detect: needs_context, action: remove } }"), "ssn: 078-05-1120", "ssn: ");
    redacts(&with("ip: { private: keep }"), "10.1.2.3 and 8.8.8.8", "10.1.2.3 and [IP_ADDRESS]");
    redacts(&with("scan_keys: false"), r#"{"bob@example.org": "eve@example.org"}"#, r#"{"bob@example.org": "[EMAIL]"}"#);
    redacts(
        &with("skip_keys: [Reply-To]"),
        r#"{"reply_to": "bob@example.org", "cc": "eve@example.org"}"#,
        r#"{"reply_to": "bob@example.org", "cc": "[EMAIL]"}"#,
    );
    assert_eq!(redactor().text("bob@example.org", Some("trace_id"), &mut Findings::new()), None);
}

#[test]
fn allowed_values_stay_and_are_counted() {
    let redactor = with("allow: { emails: [example.org] }");
    let mut findings = Findings::new();
    assert_eq!(redactor.text("bob@example.org or bob@example.com", None, &mut findings).as_deref(), Some("bob@example.org or [EMAIL]"));
    assert_eq!((findings.allowed(), findings.total()), (1, 1));
}

#[test]
fn texts_past_the_limit_do_as_configured() {
    let long = "bob@example.org é bob@example.org";
    redacts(&with("max_scan_bytes: 17"), long, "[TOO_LARGE]");
    let short = with("{ max_scan_bytes: 17, oversize: truncate }");
    assert_eq!(short.text(long, None, &mut Findings::new()).as_deref(), Some("[EMAIL] "));
    let pass = with("{ max_scan_bytes: 17, oversize: pass }");
    let mut findings = Findings::new();
    assert_eq!(pass.text(long, None, &mut findings).as_deref(), Some("[EMAIL] é bob@example.org"));
    assert_eq!(findings.unscanned(), 1);
}

#[test]
fn everything_wrong_with_a_config_is_said_at_once() {
    let config: Config = serde_yaml::from_str("{ entities: { EMIAL: hash, IBAN: hash, JWT: needs_context }, custom: [{ name: X, pattern: 'a*' }], hash_key: short, max_scan_bytes: 0, hash_key_id: '!' }").unwrap();
    let errors = Redactor::new(&config).err().unwrap();
    let text = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for part in ["did you mean EMAIL?", "matches the empty string", "IBAN is hashed", "max_scan_bytes", "hash_key_id", "JWT: needs_context"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(errors.len(), 6);
}

#[test]
fn patterns_of_the_user_win_and_are_named() {
    let redactor = with("{ custom: [{ name: TICKET, pattern: 'TCK-[0-9]+' }, { name: ALL, pattern: 'bob@.*g' }] }");
    redacts(&redactor, "TCK-4111111111111111 bob@example.org", "[TICKET] [ALL]");
    let mut findings = Findings::new();
    redactor.text("TCK-1", None, &mut findings);
    assert_eq!(findings.counts().map(|(kind, n)| (redactor.name(kind).to_owned(), n)).collect::<Vec<_>>(), [("TICKET".to_owned(), 1)]);
}

#[test]
fn integers_are_cards_or_what_their_key_says() {
    let redactor = redactor();
    let int = |value, key| redactor.int(value, key, &mut Findings::new());
    assert_eq!(int(4111111111111111, None).as_deref(), Some("[CREDIT_CARD]"));
    assert_eq!(int(4111111111111112, None), None);
    assert_eq!(int(78051120, Some("ssn")), None);
    assert_eq!(int(178051120, Some("ssn")).as_deref(), Some("[US_SSN]"));
    assert_eq!(int(178051120, Some("count")), None);
    assert_eq!(int(-4111111111111111, None), None);
    assert_eq!(int(1763635200000, Some("start_time")), None);
    assert_eq!(int(i64::MIN, None), None);
}

#[test]
fn bytes_that_are_no_text_stay_where_they_are() {
    let redactor = redactor();
    let bytes = |bytes: &[u8]| redactor.bytes(bytes, None, &mut Findings::new());
    assert_eq!(bytes(b"\xff bob@example.org\xfe eve@example.org \xff").as_deref(), Some(&b"\xff [EMAIL]\xfe [EMAIL] \xff"[..]));
    assert_eq!(bytes(b"\xff bob@example\xfe.org"), None);
}

#[test]
fn json_is_edited_in_place_at_every_level() {
    let redactor = redactor();
    redacts(
        &redactor,
        r#"{ "a" : "x\nbob@example.org\n", "n": 1.50, "u":"\u00e9" }"#,
        r#"{ "a" : "x\n[EMAIL]\n", "n": 1.50, "u":"\u00e9" }"#,
    );
    redacts(&redactor, r#"{"to":"bob\u0040example.org"}"#, r#"{"to":"[EMAIL]"}"#);
    redacts(&redactor, r#"{"card": 4111111111111111, "ts":1763635200000}"#, r#"{"card": "[CREDIT_CARD]", "ts":1763635200000}"#);
    redacts(&with("entities: { CREDIT_CARD: remove }"), r#"{"card": 4111111111111111}"#, r#"{"card": null}"#);
    redacts(&redactor, r#"{"bob@example.org":1,"eve@example.org":2}"#, r##"{"[EMAIL]":1,"[EMAIL]#2":2}"##);
    redacts(&redactor, r#"{"[EMAIL]":1,"a@b.com":2}"#, r##"{"[EMAIL]":1,"[EMAIL]#2":2}"##);
    redacts(&redactor, r#"{"a@b.com":1,"\u005bEMAIL]":2}"#, r##"{"[EMAIL]#2":1,"\u005bEMAIL]":2}"##);
    redacts(
        &redactor,
        r##"{"a@b.com":{"c@b.com":[{"[EMAIL]":1,"d@b.com":2}]},"e@b.com":3,"[EMAIL]#2":4}"##,
        r##"{"[EMAIL]":{"[EMAIL]":[{"[EMAIL]":1,"[EMAIL]#2":2}]},"[EMAIL]#3":3,"[EMAIL]#2":4}"##,
    );
    redacts(&redactor, r#"{"to a@b.com now":1,"to [EMAIL] now":2}"#, r##"{"to [EMAIL]#2 now":1,"to [EMAIL] now":2}"##);
    redacts(&redactor, r#"{"password":"hunter2!x"}"#, r#"{"password":"[PASSWORD]"}"#);
    redacts(&redactor, "{\"a\":\"bob@example.org\"}\n{\"b\":\"eve@example.org\"}\n", "{\"a\":\"[EMAIL]\"}\n{\"b\":\"[EMAIL]\"}\n");
    redacts(&redactor, r#"{"x":"got {\"a\":\"\\nbob@example.org\"}"}"#, r#"{"x":"got {\"a\":\"\\n[EMAIL]\"}"}"#);
    let mut text = r#"{"mail":"bob\u0040example.org","n":[1, 2]}"#.to_owned();
    let mut clean = r#"{"mail":"[EMAIL]","n":[1, 2]}"#.to_owned();
    for _ in 0..5 {
        text = format!("{{\"inner\": {}}}", serde_json::to_string(&text).unwrap());
        clean = format!("{{\"inner\": {}}}", serde_json::to_string(&clean).unwrap());
        redacts(&redactor, &text, &clean);
    }
}

#[test]
fn broken_json_is_read_through_its_escapes() {
    let redactor = redactor();
    redacts(&redactor, r#"{"a":"x\nbob@example.org\n","b":"cut of"#, r#"{"a":"x\n[EMAIL]\n","b":"cut of"#);
    redacts(&redactor, r#"{"a":"{\\"b\\":\\"\\nbob\\u0040example.org\\"#, r#"{"a":"{\\"b\\":\\"\\n[EMAIL]\\"#);
    redacts(&redactor, r#"{"a":"bob@example.o"#, r#"{"a":"[EMAIL]"#);
    redacts(&redactor, r#"see "{\"a\":\"\nbob@example.org\"}""#, r#"see "{\"a\":\"\n[EMAIL]\"}""#);
}

#[test]
fn what_the_end_of_broken_json_cut_off_counts_from_a_length_on() {
    let redactor = redactor();
    redacts(&redactor, r#"{"k":"sk-ant-api03-FAKEfakeFAKEfake"#, r#"{"k":"[API_KEY]"#);
    redacts(&redactor, r#"{"k":"sk-ant-api03-FAKE"#, r#"{"k":"sk-ant-api03-FAKE"#);
    redacts(&redactor, r#"{"k":"4111 1111 1111 1"#, r#"{"k":"[CREDIT_CARD]"#);
    redacts(&redactor, r#"{"k":"4111 1111 1111"#, r#"{"k":"4111 1111 1111"#);
    redacts(&redactor, r#"{"k":"-----BEGIN PRIVATE KEY"#, r#"{"k":"[PRIVATE_KEY]"#);
    redacts(&redactor, r#"{"k":"bob@example.c"#, r#"{"k":"[EMAIL]"#);
    redacts(&redactor, r#"{"k":"bob@example"#, r#"{"k":"bob@example"#);
}

#[test]
fn the_wide_profile_takes_checked_numbers_bare() {
    redacts(&with("profile: wide"), "ref 83507769145 and 83507769146", "ref [DE_STEUER_ID] and 83507769146");
}

#[test]
fn positions_are_bytes_of_the_input() {
    let redactor = redactor();
    let text = r#"["é", "x\n658\u002d52\u002d3396 y", 4111111111111111]"#;
    let mut findings = Findings::with_positions();
    redactor.text(text, None, &mut findings);
    let parts: Vec<_> = findings.take_positions().iter().map(|f| (f.kind, &text[f.start..f.end])).collect();
    assert_eq!(parts, [(Kind::UsSsn, r"658\u002d52\u002d3396"), (Kind::CreditCard, "4111111111111111")]);
}

#[test]
fn a_redacted_neighbour_is_no_context() {
    redacts(&redactor(), "[BANK_ACCOUNT] 12345678", "[BANK_ACCOUNT] 12345678");
}

#[test]
fn many_names_of_one_object_take_linear_time() {
    let redactor = redactor();
    let mails: String = (0..4000).map(|at| format!("\"m{at}@example.org\":1,\"[EMAIL]#{at}\":2,")).collect();
    let text = format!("{{{}\"[EMAIL]\":3}}", mails);
    let start = ThreadTime::now();
    let once = redactor.text(&text, None, &mut Findings::new()).unwrap();
    assert!(once.ends_with("\"[EMAIL]#3999\":2,\"[EMAIL]\":3}") && once.contains("\"[EMAIL]#7999\":1,"), "{}", &once[..200]);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert_eq!(redactor.text(&once, None, &mut Findings::new()), None);
}

#[test]
fn hostile_input_takes_linear_time() {
    let redactor = redactor();
    let repeat = |part: &str| part.repeat((64 << 10) / part.len());
    for part in [
        "1",
        "@",
        "{\"a@b.org\":{}},",
        "{\"a@b.org\":[",
        "{\"a@b.org\":1,\"[EMAIL]\":2}",
        "[{\"a@b.org\":{}},",
        ":",
        "a",
        "f",
        "-",
        "\"",
        "\\",
        "[",
        "{",
        "-----BEGIN ",
        "-----BEGIN RSA PRIVATE KEY-----",
        "a.a.a.a@",
        "a@a.a.",
        "eyJ",
        "eyJ.",
        "sk-",
        "1 ",
        "1-",
        "1.",
        "12:",
        "::",
        "1a",
        "password=",
        "\\u0040",
        "[\"",
        "://a:b@",
        "Bearer ",
        "+1 ",
        "bob@example.org ",
        "{\"a\":",
        "0x",
        "AB12",
    ] {
        let text = repeat(part);
        let start = ThreadTime::now();
        redactor.text(&text, None, &mut Findings::new());
        // Generous for an unoptimised build; a quadratic walk takes minutes.
        assert!(start.elapsed() < Duration::from_secs(10), "{part}: {:?}", start.elapsed());
    }
}

#[test]
fn many_parts_of_one_message_take_linear_time() {
    let text = format!("{{\"content\":[{}\"end\"]}}", "\"bob@example.org\",".repeat(10_000));
    let start = ThreadTime::now();
    let once = redactor().text(&text, None, &mut Findings::new()).unwrap();
    assert_eq!(once.matches("[EMAIL]").count(), 10_000);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

/// Time on the processor for twice as much text is about twice, whatever the text; what would be quadratic takes four times as long, and
/// over eight times the text sixty-four times.
#[test]
fn eight_times_the_text_takes_about_eight_times_as_long() {
    let redactor = redactor();
    for part in
        ["1", "1 ", "1-", "12:", "@", "a.a.a.a@", "-----BEGIN PRIVATE KEY-----", "a:", "0a", "password=", "://a:b@", "eyJ.", "phone 12 "]
    {
        let time = |size: usize| {
            let text = part.repeat(size / part.len());
            let measured = || {
                let start = ThreadTime::now();
                redactor.text(&text, None, &mut Findings::new());
                start.elapsed()
            };
            (0..3).map(|_| measured()).min().unwrap_or_default()
        };
        let (short, long) = (time(8 << 10), time(64 << 10));
        assert!(long < short * 30 + Duration::from_millis(20), "{part}: {short:?} and {long:?}");
    }
}

/// What a hidden text could be made of: entities, near misses, escapes, words that are context, and noise.
fn piece() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "bob@example.org",
        "4111 1111 1111 1111",
        "4111111111111111",
        "GB82 WEST 1234 5698 7654 32",
        "078-05-1120",
        "078051120",
        "AKIAIOSFODNN7EXAMPLE",
        "203.0.113.42",
        "2001:db8::17",
        "password=",
        "pwd: ",
        "\"",
        "\\n",
        "\\",
        "\n",
        " ",
        "[EMAIL]",
        "[EMAIL:0123456789abcdef]",
        "[",
        "]",
        ":",
        "=",
        "Bearer ",
        "ssn ",
        "account ",
        "phone ",
        "dob ",
        "12 May 1980",
        "+1 415 555 0132",
        "415-555-0132",
        "é",
        "联系",
        "😀",
        "{\"a\":\"",
        "\"}",
        "[1,",
        "0x",
        "https://u:p4ssw0rd@h/",
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJFWEFNUExFIn0.",
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "%40",
        "\\u0040",
        "sk-",
        "123456789",
        "passport A2896003",
        "aa:bb:cc:dd:ee:01",
        "x",
        "7",
    ]);
    prop_oneof![6 => known.prop_map(str::to_owned), 1 => "\\PC{0,6}", 1 => "[0-9 .:@/-]{0,12}"]
}

/// Names that become each other, or are what others become.
fn member_name() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "bob@example.org",
        "bea@example.org",
        "b***@example.org",
        "[EMAIL]",
        "#2",
        "#3",
        "203.0.113.42",
        "198.51.100.7",
        "[IP_ADDRESS]",
        " ",
        "\"",
        "x",
    ]);
    prop::collection::vec(part, 1..4).prop_map(|parts| parts.concat())
}

fn soup() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 0..12).prop_map(|pieces| pieces.concat())
}

fn redactors() -> impl Strategy<Value = Redactor> {
    prop::sample::select(vec!["replace", "hash", "mask", "remove", "detect", "drop_attribute"]).prop_map(|action| {
        let entities: Vec<String> = Kind::BUILT_IN.iter().map(|kind| format!("{}: {action}", kind.name())).collect();
        with(&format!("{{ hash_key: 0123456789abcdef, entities: {{ {} }} }}", entities.join(", ")))
    })
}

fn shape(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Array(all) => format!("[{}]", all.iter().map(shape).collect::<String>()),
        // Members come in the order of their names, and a redacted name sorts elsewhere.
        serde_json::Value::Object(all) => {
            let mut values: Vec<String> = all.values().map(shape).collect();
            values.sort();
            format!("{{{}}}", values.concat())
        }
        _ => "v".to_owned(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn twice_is_once(text in soup(), redactor in redactors()) {
        let mut findings = Findings::new();
        if let Some(once) = redactor.text(&text, None, &mut findings) {
            prop_assert_ne!(&once, UNSETTLED);
            prop_assert_eq!(redactor.text(&once, None, &mut findings), None, "{}", once);
        }
    }

    #[test]
    fn bytes_outside_findings_stay(text in soup()) {
        let mut findings = Findings::with_positions();
        let redacted = redactor().text(&text, None, &mut findings);
        let redacted = redacted.as_deref().unwrap_or(&text);
        let mut rest = redacted;
        let mut at = 0;
        for finding in findings.take_positions() {
            prop_assert!(text.is_char_boundary(finding.start) && text.is_char_boundary(finding.end) && finding.start < finding.end);
            if finding.start < at {
                continue;
            }
            let kept = &text[at..finding.start];
            prop_assert!(rest.contains(kept), "{:?} in {:?}", kept, redacted);
            rest = &rest[rest.find(kept).unwrap() + kept.len()..];
            at = finding.end;
        }
        prop_assert!(rest.ends_with(&text[at..]));
    }

    #[test]
    fn all_processors_find_the_same(text in soup(), key in prop::sample::select(vec![None, Some("customer_phone"), Some("password")])) {
        let (mut fast, mut portable) = (Findings::with_positions(), Findings::with_positions());
        let redacted = redactor().text(&text, key, &mut fast);
        prop_assert_eq!(redacted, redactor().portable().text(&text, key, &mut portable));
        prop_assert_eq!(fast.take_positions(), portable.take_positions());
    }

    #[test]
    fn bytes_stay_text_where_they_were(text in soup(), noise in prop::collection::vec(any::<u8>(), 0..6), redactor in redactors()) {
        let bytes = [text.as_bytes(), &noise, text.as_bytes()].concat();
        let redacted = redactor.bytes(&bytes, None, &mut Findings::new());
        let redacted = redacted.as_deref().unwrap_or(&bytes);
        prop_assert_eq!(std::str::from_utf8(redacted).is_ok(), std::str::from_utf8(&bytes).is_ok());
    }

    #[test]
    fn json_stays_json_of_the_same_shape(parts in prop::collection::vec((soup(), soup()), 1..4), level in 0usize..3, redactor in redactors()) {
        let object: Vec<String> = parts.iter().enumerate().map(|(at, (k, v))| format!("{}: {}", serde_json::json!(format!("{at}{k}")), serde_json::json!(v))).collect();
        let mut text = format!("{{{} , \"n\": [ 4111111111111111, 1.50, null ]}}", object.join(", "));
        for _ in 0..level {
            text = serde_json::json!({ "inner": text }).to_string();
        }
        let before: serde_json::Value = serde_json::from_str(&text).unwrap();
        if let Some(redacted) = redactor.text(&text, None, &mut Findings::new()) {
            let after: serde_json::Value = serde_json::from_str(&redacted).unwrap();
            prop_assert_eq!(shape(&before), shape(&after), "{}", redacted);
        }
    }

    #[test]
    fn names_stay_apart_and_at_rest(names in prop::collection::btree_set(member_name(), 1..7), redactor in redactors()) {
        let members: Vec<String> = names.iter().enumerate().map(|(at, name)| format!("{}:{at}", serde_json::json!(name))).collect();
        let text = format!("{{{}}}", members.join(","));
        if let Some(once) = redactor.text(&text, None, &mut Findings::new()) {
            let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&once).unwrap();
            prop_assert_eq!(object.len(), names.len(), "{} of {}", once, text);
            prop_assert_eq!(redactor.text(&once, None, &mut Findings::new()), None, "{}", once);
        }
    }

    #[test]
    fn nothing_panics(text in "\\PC{0,64}", key in "[a-zA-Z_.-]{0,12}", value in any::<i64>()) {
        let redactor = redactor();
        redactor.text(&text, Some(&key), &mut Findings::with_positions());
        redactor.int(value, Some(&key), &mut Findings::new());
    }
}

/// The labelled sample: types are of the same family, or the same.
#[test]
fn the_labelled_sample_is_found_and_its_negatives_stay() {
    #[derive(serde::Deserialize)]
    struct Case {
        id: String,
        text: String,
        entities: Vec<Label>,
        #[serde(default)]
        json: bool,
    }
    #[derive(serde::Deserialize)]
    struct Label {
        #[serde(rename = "type")]
        kind: String,
        bstart: usize,
        bend: usize,
    }
    let family = |name: &str| match name {
        "API_KEY" | "AUTH_TOKEN" | "JWT" | "PASSWORD" => "SECRET".to_owned(),
        "ES_NIF" | "ES_NIE" => "ES".to_owned(),
        "PASSPORT" | "DRIVER_LICENSE" => "DOCUMENT".to_owned(),
        "BANK_ACCOUNT" | "US_ABA_ROUTING" => "BANK".to_owned(),
        name => name.to_owned(),
    };
    let redactor = redactor();
    let mut tally: std::collections::BTreeMap<String, [u32; 3]> = std::collections::BTreeMap::new();
    let mut wrong = Vec::new();
    for line in include_str!("../../tests/fixtures/pii_sample.jsonl").lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        let mut findings = Findings::with_positions();
        let redacted = redactor.text(&case.text, None, &mut findings);
        if case.json {
            let parsed: Result<serde_json::Value, _> = serde_json::from_str(redacted.as_deref().unwrap_or(&case.text));
            assert!(parsed.is_ok(), "{}", case.id);
        }
        let mut found: Vec<(String, usize, usize)> =
            findings.take_positions().iter().map(|f| (family(f.kind.name()), f.start, f.end)).collect();
        for label in &case.entities {
            let want = (family(&label.kind), label.bstart, label.bend);
            let row = tally.entry(label.kind.clone()).or_default();
            match found.iter().position(|have| *have == want) {
                Some(at) => {
                    found.remove(at);
                    row[0] += 1;
                }
                None => {
                    row[1] += 1;
                    wrong.push(format!("{} misses {} {:?}", case.id, label.kind, &case.text[label.bstart..label.bend]));
                }
            }
        }
        for (kind, start, end) in found {
            tally.entry(kind.clone()).or_default()[2] += 1;
            wrong.push(format!("{} finds {kind} {:?}", case.id, &case.text[start..end]));
        }
    }
    println!("{:<20} found missed wrong", "type");
    for (kind, [found, missed, extra]) in &tally {
        println!("{kind:<20} {found:>5} {missed:>6} {extra:>5}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Invented values of every type in the words people put around them: found alone, whole, and under their name.
#[test]
fn every_form_is_found_whole() {
    #[derive(serde::Deserialize)]
    struct Form {
        #[serde(rename = "type")]
        kind: String,
        text: String,
        start: usize,
        end: usize,
    }
    let redactor = redactor();
    for line in include_str!("../../tests/fixtures/pii_forms.jsonl").lines() {
        let form: Form = serde_json::from_str(line).unwrap();
        let mut findings = Findings::with_positions();
        redactor.text(&form.text, None, &mut findings);
        let found: Vec<_> = findings.take_positions().iter().map(|f| (f.kind.name(), f.start, f.end)).collect();
        assert_eq!(found, [(form.kind.as_str(), form.start, form.end)], "{}", form.text);
        // The same inside JSON, twice.
        let nested = serde_json::json!({ "x": serde_json::json!({ "y": form.text }).to_string() }).to_string();
        let placed = format!("{}[{}]{}", &form.text[..form.start], form.kind, &form.text[form.end..]);
        let expected = serde_json::json!({ "x": serde_json::json!({ "y": placed }).to_string() }).to_string();
        assert_eq!(redactor.text(&nested, None, &mut Findings::new()).as_deref(), Some(expected.as_str()));
    }
}

/// Ids, hashes, versions, tables, code: what traces are full of, and what must come out as it went in.
#[test]
fn look_alikes_stay() {
    let redactor = redactor();
    for line in include_str!("../../tests/fixtures/pii_look_alikes.jsonl").lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = value["text"].as_str().unwrap();
        let mut findings = Findings::new();
        assert_eq!(redactor.text(text, None, &mut findings), None, "{}: {text}", value["category"]);
        assert!(findings.is_empty());
    }
}
