//! Any bytes through redaction, with one of several actions: no panic; UTF-8 stays UTF-8 and JSON keeps its shape; twice is once; bytes
//! outside findings stay; and processors with and without AVX2 find the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use std::sync::LazyLock;
use tollgate::redact::{Config, Findings, Kind, Redactor};

/// A redactor per action, and one of the wide profile.
static REDACTORS: LazyLock<Vec<Redactor>> = LazyLock::new(|| {
    let all = |action: &str| Kind::BUILT_IN.iter().map(|kind| format!("{}: {action}", kind.name())).collect::<Vec<_>>().join(", ");
    let actions = ["replace", "hash", "mask", "remove", "detect"].map(|action| format!("{{hash_key: 0123456789abcdef, entities: {{{}}}}}", all(action)));
    actions.into_iter().chain(["{profile: wide}".to_owned()]).map(|yaml| redactor(&yaml)).collect()
});

fn redactor(yaml: &str) -> Redactor {
    let config: Config = serde_yaml::from_str(yaml).expect("a config");
    Redactor::new(&config).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fuzz_target!(|data: &[u8]| {
    let Some((&choice, body)) = data.split_first() else { return };
    let redactor = &REDACTORS[usize::from(choice) % REDACTORS.len()];
    let key = ["", "customer_phone", "password", "account_number"][usize::from(choice) / 64];
    let key = Some(key).filter(|key| !key.is_empty());

    let bytes = redactor.bytes(body, key, &mut Findings::new());
    let Ok(text) = std::str::from_utf8(body) else { return };
    assert!(bytes.is_none_or(|bytes| std::str::from_utf8(&bytes).is_ok()), "text became bytes");

    let mut findings = Findings::with_positions();
    let redacted = redactor.text(text, key, &mut findings);
    let portable = redactor.clone().portable().text(text, key, &mut Findings::new());
    assert_eq!(redacted, portable, "processors differ");

    let positions = findings.take_positions();
    for found in &positions {
        assert!(found.start < found.end && text.get(found.start..found.end).is_some(), "{}..{} is no part", found.start, found.end);
    }
    let Some(redacted) = redacted else { return };
    assert_eq!(redactor.text(&redacted, key, &mut Findings::new()), None, "not at rest");

    // What stands between findings stands in the result, in the same order.
    let (mut at, mut rest) = (0, redacted.as_str());
    for found in positions {
        if found.start >= at {
            rest = behind(rest, &text[at..found.start]);
            at = found.end;
        }
    }
    assert!(rest.ends_with(&text[at..]), "the end changed");

    if serde_json::from_str::<IgnoredAny>(text).is_ok() {
        serde_json::from_str::<IgnoredAny>(&redacted).expect("JSON stays JSON");
        assert_eq!(shape(text), shape(&redacted), "another shape");
    }
});

/// What follows the part in the text.
fn behind<'t>(text: &'t str, part: &str) -> &'t str {
    let at = text.find(part).expect("a byte outside the findings changed");
    &text[at + part.len()..]
}

/// The signs of a document with one mark for every string, number and word: members of one name count as often as they stand.
fn shape(json: &str) -> String {
    let mut shape = String::new();
    let mut chars = json.chars();
    while let Some(c) = chars.next() {
        match c {
            '{' | '}' | '[' | ']' | ':' | ',' => shape.push(c),
            '"' => {
                while let Some(inside) = chars.next().filter(|inside| *inside != '"') {
                    if inside == '\\' {
                        chars.next();
                    }
                }
                shape.push('v');
            }
            c if c.is_ascii_whitespace() => {}
            _ => {
                if !shape.ends_with('v') {
                    shape.push('v');
                }
            }
        }
    }
    shape
}
