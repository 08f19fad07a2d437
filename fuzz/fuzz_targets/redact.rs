//! Any text under any action: no panic, at rest after one pass, JSON stays JSON, bytes outside findings stay.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use tollgate::redact::{Action, Config, Entity, Findings, HashKey, Kind, Profile, Redactor, When};

static REDACTORS: LazyLock<Vec<Redactor>> = LazyLock::new(|| {
    let actions = [Action::Replace, Action::Hash, Action::Mask, Action::Remove, Action::DropAttribute, Action::Detect];
    let config = |action| Config {
        profile: Profile::Wide,
        entities: Kind::BUILT_IN
            .iter()
            .map(|kind| (kind.name().to_owned(), Entity { action, detect: When::On, template: None }))
            .collect(),
        hash_key: Some(HashKey::new("0123456789abcdef")),
        ..Config::default()
    };
    let redactor = |action| Redactor::new(&config(action)).expect("a config without mistakes");
    std::iter::once(Redactor::new(&Config::default()).expect("the default config")).chain(actions.map(redactor)).collect()
});

fuzz_target!(|input: (u8, &[u8])| {
    let (which, bytes) = input;
    let redactor = &REDACTORS[usize::from(which) % REDACTORS.len()];
    let mut findings = Findings::with_positions();
    if let Some(redacted) = redactor.bytes(bytes, None, &mut findings) {
        assert_eq!(std::str::from_utf8(&redacted).is_ok(), std::str::from_utf8(bytes).is_ok());
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut findings = Findings::with_positions();
    let Some(redacted) = redactor.text(text, None, &mut findings) else { return };
    assert_eq!(findings.errors(), 0, "{text:?}");
    assert_eq!(redactor.text(&redacted, None, &mut Findings::new()), None, "not at rest: {redacted:?}");
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    if let Some(before) = json(text) {
        let after = json(&redacted).expect("JSON stays JSON");
        assert_eq!(before.is_object(), after.is_object());
        assert_eq!(before.is_array(), after.is_array());
    }
    let mut at = 0;
    let mut rest = redacted.as_str();
    for finding in findings.take_positions().iter().filter(|finding| finding.start >= at) {
        let kept = &text[at..finding.start];
        let found = rest.find(kept).expect("bytes outside findings stay");
        rest = &rest[found + kept.len()..];
        at = finding.end;
    }
    assert!(rest.ends_with(&text[at..]));
});
