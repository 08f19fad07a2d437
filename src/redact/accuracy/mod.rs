//! How much is found, and how much is taken for what it is not, by type.
//!
//! A sample can be learnt by heart. So every run makes values from the published formats, puts them into frames, and counts; the
//! generator is seeded, so a run says the same twice.

mod frames;
mod values;

use crate::redact::detectors::testing::Source;
use values::{MAKERS, Maker};

/// A text with at most one value.
pub(super) struct Case {
    pub(super) kind: &'static str,
    pub(super) text: String,
    /// Where the value stands; none in a near miss.
    pub(super) at: Option<(usize, usize)>,
    /// Whether it must be JSON before and after.
    pub(super) json: bool,
}

fn one<'a>(s: &mut Source, of: &[&'a str]) -> &'a str {
    of[s.below(of.len() as u64) as usize]
}

fn framed(kind: &'static str, frame: &str, word: &str, value: &str) -> Case {
    let frame = frame.replace("{w}", word);
    let start = frame.find("{v}").expect("a place");
    Case { kind, text: frame.replace("{v}", value), at: Some((start, start + value.len())), json: false }
}

fn frames_of(maker: &Maker, words: bool) -> &'static [&'static str] {
    match (maker.kind, words) {
        ("API_KEY", _) if maker.words == ["api key"] => frames::KEYS,
        ("URL_CREDENTIAL", _) => frames::URLS,
        ("AUTH_TOKEN", _) => frames::SCHEMES,
        ("PASSWORD", _) => frames::PASSWORDS,
        (_, true) => frames::WORDED,
        (_, false) => frames::NEUTRAL,
    }
}

fn valid(s: &mut Source, maker: &Maker) -> Case {
    let made = (maker.valid)(s);
    // What needs no word may have one.
    let words = made.words || s.below(3) == 0;
    let word = one(s, maker.words);
    framed(maker.kind, one(s, frames_of(maker, words)), word, &made.text)
}

fn near(s: &mut Source, maker: &Maker) -> Option<Case> {
    let value = (maker.near?)(s);
    let frame = one(s, frames_of(maker, false));
    Some(Case { at: None, ..framed(maker.kind, frame, "", &value) })
}

/// The inside of a JSON string, by one of the ways to write it.
fn escaped(s: &mut Source, text: &str) -> String {
    let (unicode, slash) = (s.below(4), s.below(2) == 0);
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '/' if slash => out.push_str("\\/"),
            '@' | '-' | '+' | ':' if unicode == 0 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c if !c.is_ascii() && unicode < 2 => {
                c.encode_utf16(&mut [0; 2]).iter().for_each(|half| out.push_str(&format!("\\u{half:04X}")))
            }
            c => out.push(c),
        }
    }
    out
}

/// A document with the text in one of its strings; `key` is the name of the member that holds the value alone.
fn in_json(s: &mut Source, case: Case, key: Option<&str>) -> Case {
    let (head, value, tail) = match case.at {
        Some((start, end)) => (&case.text[..start], &case.text[start..end], &case.text[end..]),
        None => (case.text.as_str(), "", ""),
    };
    let (head, value, tail) = if key.is_some() { ("", value, "") } else { (head, value, tail) };
    let (mut before, mut inside, mut after) = (escaped(s, head), escaped(s, value), escaped(s, tail));
    for level in 0..=s.below(3) {
        if level > 0 {
            (before, inside, after) = (escaped(s, &before), escaped(s, &inside), escaped(s, &after));
        }
        let name = match key {
            Some(key) if level == 0 => key,
            _ => one(s, &["content", "text", "arguments", "x", "data", "note"]),
        };
        let (open, close) = match s.below(4) {
            0 => (format!("{{\"{name}\": \""), "\"}".to_owned()),
            1 => (format!("[ {{\"role\":\"user\",\"{name}\":\""), "\"}, {\"n\": 1.50}]".to_owned()),
            2 => (format!("{{\n  \"id\": \"call_Ab3\",\n  \"{name}\" : \""), "\",\n  \"ok\": true\n}".to_owned()),
            _ => (format!("{{\"a\":[null,-1e5],\"{name}\":[\""), "\"]}".to_owned()),
        };
        before = open + &before;
        after += &close;
    }
    let at = case.at.map(|_| (before.len(), before.len() + inside.len()));
    Case { kind: case.kind, text: before + &inside + &after, at, json: true }
}

/// `tax file number` as `taxFileNumber`, `tax_file_number`, `Tax-File-Number`.
fn key_of(s: &mut Source, word: &str) -> Option<String> {
    let plain = word.replace(['.', '/'], "").replace('\'', " ");
    let parts: Vec<&str> = plain.split([' ', '-']).filter(|part| !part.is_empty()).collect();
    let capital = |part: &str| {
        let mut chars = part.chars();
        chars.next().map(|c| c.to_uppercase().chain(chars.flat_map(char::to_lowercase)).collect::<String>()).unwrap_or_default()
    };
    let lead = one(s, &["", "", "customer_", "user_", "new_"]);
    Some(match s.below(4) {
        0 => format!("{lead}{}", parts.join("_").to_lowercase()),
        1 => {
            let rest: String = parts.iter().skip(1).map(|part| capital(part)).collect();
            parts.first()?.to_lowercase() + &rest
        }
        2 => parts.iter().map(|part| capital(part)).collect::<Vec<_>>().join("-"),
        _ => format!("{lead}{}", parts.join("_").to_uppercase()),
    })
}

pub(super) fn cases(seed: u64, per_type: usize) -> Vec<Case> {
    let mut s = Source::new(seed);
    let mut all = Vec::new();
    for maker in MAKERS {
        for _ in 0..per_type {
            let case = valid(&mut s, maker);
            all.push(match s.below(6) {
                0 | 1 => in_json(&mut s, case, None),
                2 if !["URL_CREDENTIAL", "AUTH_TOKEN"].contains(&maker.kind) => {
                    let word = if maker.kind == "PASSWORD" {
                        one(&mut s, &["password", "db password", "client secret", "passphrase"])
                    } else {
                        one(&mut s, maker.words)
                    };
                    let key = key_of(&mut s, word);
                    in_json(&mut s, case, key.as_deref())
                }
                _ => case,
            });
            if let Some(case) = near(&mut s, maker) {
                all.push(if s.below(3) == 0 { in_json(&mut s, case, None) } else { case });
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::{Case, Source, cases, in_json};
    use crate::redact::{Config, Findings, Redactor};
    use std::collections::BTreeMap;

    /// Types that stand for each other: what they hold has one meaning for who reads the text.
    fn family(name: &str) -> &str {
        match name {
            "AUTH_TOKEN" | "JWT" | "PASSWORD" => "API_KEY",
            "ES_NIE" => "ES_NIF",
            "DRIVER_LICENSE" => "PASSPORT",
            "US_ABA_ROUTING" => "BANK_ACCOUNT",
            name => name,
        }
    }

    #[derive(Default)]
    struct Tally {
        found: usize,
        missed: usize,
        extra: usize,
        near: usize,
        damaged: usize,
        leaked: usize,
        wrong: Vec<String>,
    }

    fn judge(redactor: &Redactor, case: &Case, tally: &mut Tally) {
        let mut findings = Findings::with_positions();
        let redacted = redactor.text(&case.text, None, &mut findings);
        let redacted = redacted.as_deref().unwrap_or(&case.text);
        if case.json {
            assert!(serde_json::from_str::<serde_json::Value>(redacted).is_ok(), "no JSON: {redacted} of {}", case.text);
        }
        let got: Vec<_> = findings.take_positions().iter().map(|f| (family(redactor.name(f.kind)).to_owned(), f.start, f.end)).collect();
        let Some((start, end)) = case.at else {
            tally.near += 1;
            tally.damaged += usize::from(redacted != case.text);
            if redacted != case.text {
                tally.wrong.push(format!("damaged: {}", case.text));
            }
            return;
        };
        let hit = got.contains(&(family(case.kind).to_owned(), start, end));
        tally.found += usize::from(hit);
        tally.missed += usize::from(!hit);
        tally.extra += got.len() - usize::from(hit);
        tally.leaked += usize::from(redacted.contains(&case.text[start..end]));
        if !hit || got.len() > 1 {
            tally.wrong.push(format!("{} in {}: {got:?}", &case.text[start..end], case.text));
        }
    }

    #[test]
    fn every_type_is_found_in_any_frame_and_its_near_misses_stay() {
        let redactor = Redactor::new(&Config::default()).unwrap();
        let mut by_kind: BTreeMap<&str, Tally> = BTreeMap::new();
        for case in cases(2026, 60) {
            judge(&redactor, &case, by_kind.entry(case.kind).or_default());
        }
        let mut all = Tally::default();
        let mut low = Vec::new();
        for (kind, tally) in by_kind {
            let recall = tally.found as f64 / (tally.found + tally.missed) as f64;
            println!(
                "{kind:<20} recall {recall:.3} of {:>4}, extra {}, near misses damaged {} of {}",
                tally.found + tally.missed,
                tally.extra,
                tally.damaged,
                tally.near
            );
            if recall < 0.97 || tally.damaged * 100 > tally.near {
                low.push(format!("{kind}: {recall:.3}, {} damaged\n{}", tally.damaged, tally.wrong.join("\n")));
            }
            all.found += tally.found;
            all.missed += tally.missed;
            all.extra += tally.extra;
            all.near += tally.near;
            all.damaged += tally.damaged;
            all.leaked += tally.leaked;
        }
        assert!(low.is_empty(), "{}", low.join("\n"));
        let total = all.found + all.missed;
        assert!(all.found * 1000 >= total * 995, "recall: {} of {total}", all.found);
        assert!(
            (all.extra + all.damaged) * 200 <= all.found,
            "precision: {} found, {} too many, {} damaged",
            all.found,
            all.extra,
            all.damaged
        );
        assert!(all.leaked * 200 <= total, "{} leaked", all.leaked);
    }

    /// One a line, all of them what traces hold and nobody's.
    #[test]
    fn hard_negatives_stay_bare_and_in_json() {
        let redactor = Redactor::new(&Config::default()).unwrap();
        let mut source = Source::new(7);
        for line in include_str!("../../../tests/fixtures/pii_hard_negatives.txt").lines() {
            let plain = Case { kind: "", text: line.to_owned(), at: None, json: false };
            let mut tally = Tally::default();
            judge(&redactor, &plain, &mut tally);
            let mut json = in_json(&mut source, plain, None);
            json.json = true;
            judge(&redactor, &json, &mut tally);
            assert!(tally.wrong.is_empty(), "{:?}", tally.wrong);
        }
    }
}
