//! Texts that are one text: the parts of a message, the chunks of a stream.
//!
//! A client cuts a message where it likes, and a model's stream is cut everywhere, so half a number stands in one string and half in the
//! next, and the word that says what it is in the one before. The strings are read as one; what is found is replaced where it begins, and
//! taken out of the strings it goes on in.

use crate::redact::json::{Decoded, looks_like_json};
use crate::redact::{Edit, Finding, Findings, ROUNDS, Redactor, Sink, UNSETTLED, apply};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Values of `type` that say a part is text.
const TEXT_TYPES: &[&str] = &["text", "input_text", "output_text", "text_delta", "reasoning", "thinking"];
/// Nesting that is followed; the walk before refused more.
const DEPTH: usize = 256;

#[derive(Default)]
struct Frame {
    object: bool,
    /// In an object: whether the next string is a name, and the last name.
    names: bool,
    name: (usize, usize),
    /// The text of this object, if it is a part, and whether something says it is none.
    part: Option<(usize, usize)>,
    other: bool,
    /// In an array: parts in a row.
    run: Vec<(usize, usize)>,
    /// In an array: whether plain strings are parts of a message.
    content: bool,
}

/// The text parts of messages in a JSON document, those of one message together; positions are those of the strings' insides.
/// The document was walked before and is whole.
fn runs(text: &str) -> Vec<Vec<(usize, usize)>> {
    let bytes = text.as_bytes();
    let mut runs = Vec::new();
    let mut stack: Vec<Frame> = Vec::new();
    let mut at = 0;
    while let Some(found) = bytes.get(at..).and_then(|rest| rest.iter().position(|b| matches!(b, b'"' | b'{' | b'}' | b'[' | b']' | b',')))
    {
        at += found;
        match bytes.get(at) {
            Some(b'"') => {
                let (start, end) = (at + 1, string_end(bytes, at + 1));
                at = end;
                string(text, stack.last_mut(), start, end);
            }
            Some(open @ (b'{' | b'[')) => {
                if stack.len() == DEPTH {
                    return runs;
                }
                let object = *open == b'{';
                let name = stack.last().filter(|frame| frame.object).and_then(|frame| text.get(frame.name.0..frame.name.1));
                let content = !object && matches!(name, Some("content" | "parts" | "text"));
                stack.push(Frame { object, names: object, content, ..Frame::default() });
            }
            Some(b',') => {
                if let Some(frame) = stack.last_mut() {
                    frame.names = frame.object;
                }
            }
            _ => {
                let closed = stack.pop().unwrap_or_default();
                let part = closed.part.filter(|_| closed.object && !closed.other);
                take(&mut runs, closed.run);
                if let Some(outer) = stack.last_mut().filter(|outer| !outer.object) {
                    match part {
                        Some(part) => outer.run.push(part),
                        None => take(&mut runs, std::mem::take(&mut outer.run)),
                    }
                }
            }
        }
        at += 1;
    }
    runs
}

fn take(runs: &mut Vec<Vec<(usize, usize)>>, run: Vec<(usize, usize)>) {
    if run.len() > 1 {
        runs.push(run);
    }
}

/// A string in an object or array.
fn string(text: &str, frame: Option<&mut Frame>, start: usize, end: usize) {
    let Some(frame) = frame else { return };
    if !frame.object {
        if frame.content {
            frame.run.push((start, end));
        }
        return;
    }
    if std::mem::take(&mut frame.names) {
        frame.name = (start, end);
        // A message has a role, and stands for itself.
        frame.other |= text.get(start..end) == Some("role");
        return;
    }
    match text.get(frame.name.0..frame.name.1) {
        Some("text" | "content") => frame.part = Some((start, end)),
        Some("type") => frame.other |= text.get(start..end).is_none_or(|kind| !TEXT_TYPES.contains(&kind)),
        _ => {}
    }
}

fn string_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if bytes.get(at) == Some(&b'"') {
            return at;
        }
        at += 2;
    }
    bytes.len()
}

/// Whether an edit overlaps one of these stretches, which are in order and apart.
fn meets(stretches: &[(usize, usize)], edit: &Edit) -> bool {
    stretches.get(stretches.partition_point(|&(_, end)| end <= edit.start)).is_some_and(|&(start, _)| start < edit.end)
}

impl Redactor {
    /// Adds what only shows when the parts of the messages of a JSON document are read as one. `sink` holds what they hold by themselves.
    pub(in crate::redact) fn collect_parts(&self, text: &str, from: usize, sink: &mut Sink) {
        // Two parts at least have a name each.
        let mut names =
            memchr::memmem::find_iter(text.as_bytes(), b"\"text\"").chain(memchr::memmem::find_iter(text.as_bytes(), b"\"content\""));
        if names.nth(1).is_none() && !text.contains("\"parts\"") && !text.contains("\"content\"") {
            return;
        }
        // In order, so that each finding asks for its neighbours alone, however many there are.
        let mut known: Vec<(usize, usize)> = sink.edits.get(from..).unwrap_or_default().iter().map(|edit| (edit.start, edit.end)).collect();
        known.sort_unstable();
        let mut joined: Vec<Edit> = Vec::new();
        for run in runs(text) {
            let decoded: Vec<Decoded> = run.iter().map(|&(start, end)| Decoded::string(text.get(start..end).unwrap_or_default())).collect();
            let texts: Vec<&str> = decoded.iter().map(|part| part.text.as_str()).collect();
            for found in self.found_in(&texts, None, sink) {
                let crosses = found.len() > 1;
                let place = |(part, edit): (usize, Edit)| {
                    let (decoded, &(start, _)) = (decoded.get(part)?, run.get(part)?);
                    let new = edit.new.map(|new| crate::redact::json::escape(&new));
                    Some(Edit { start: start + decoded.raw(edit.start), end: start + decoded.raw(edit.end), new, ..edit })
                };
                let placed: Vec<Edit> = found.into_iter().filter_map(place).collect();
                let is_known = placed.iter().any(|edit| meets(&known, edit));
                // What changes nothing does not take the place of what does.
                if !is_known || (crosses && placed.iter().all(|edit| edit.new.is_some())) {
                    joined.extend(placed);
                }
            }
        }
        if joined.is_empty() {
            return;
        }
        let mut places: Vec<(usize, usize)> = joined.iter().map(|edit| (edit.start, edit.end)).collect();
        places.sort_unstable();
        let mut place = 0;
        sink.edits.retain(|edit| {
            place += 1;
            place <= from || !meets(&places, edit)
        });
        sink.edits.extend(joined);
        sink.restless = true;
    }

    /// Texts in a row as one; what becomes of each, `None` for one that stays. Those that are JSON are left to be read by themselves.
    pub(in crate::redact) fn joined(&self, texts: &[&str], key: Option<&str>, findings: &mut Findings) -> Vec<Option<String>> {
        if texts.len() < 2 || texts.iter().map(|text| text.len()).sum::<usize>() > self.max_scan_bytes {
            return vec![None; texts.len()];
        }
        let mut found = findings.like();
        match catch_unwind(AssertUnwindSafe(|| self.settle_joined(texts, key, &mut found))) {
            Ok(new) => {
                findings.absorb(found);
                new
            }
            Err(_) => {
                findings.add_error();
                texts.iter().map(|_| Some(UNSETTLED.to_owned())).collect()
            }
        }
    }

    fn settle_joined(&self, texts: &[&str], key: Option<&str>, findings: &mut Findings) -> Vec<Option<String>> {
        let mut new: Vec<Option<String>> = vec![None; texts.len()];
        for round in 0..ROUNDS {
            let now: Vec<&str> = new.iter().zip(texts).map(|(new, text)| new.as_deref().unwrap_or(text)).collect();
            let mut sink = Sink::default();
            let mut by_part: Vec<Vec<Edit>> = texts.iter().map(|_| Vec::new()).collect();
            for (part, edit) in self.found_in(&now, key, &mut sink).into_iter().flatten() {
                let changes = now.get(part).and_then(|text| text.get(edit.start..edit.end)) != edit.new.as_deref();
                // What is found by itself is found again, and counted, when the text is.
                if !edit.goes_on && edit.new.is_some() && changes {
                    self.note(findings, Finding { kind: edit.kind, subtype: edit.subtype, start: edit.start, end: edit.end });
                }
                if let Some(edits) = by_part.get_mut(part) {
                    edits.push(edit);
                }
            }
            let next: Vec<Option<String>> =
                now.iter().zip(&by_part).map(|(text, edits)| Some(apply(text, edits).0).filter(|new| new != text)).collect();
            if next.iter().all(Option::is_none) {
                if round == 0 {
                    findings.add_allowed(sink.allowed);
                }
                return new;
            }
            new = next.into_iter().zip(new).map(|(next, before)| next.or(before)).collect();
        }
        findings.add_error();
        texts.iter().map(|_| Some(UNSETTLED.to_owned())).collect()
    }

    /// What is found in the texts as one: for each finding its edits, with the text each is in.
    fn found_in(&self, texts: &[&str], key: Option<&str>, sink: &mut Sink) -> Vec<Vec<(usize, Edit)>> {
        let mut all = String::new();
        // Where each text begins in the whole; one that is JSON is read by itself, and parts what stands around it.
        let mut starts = Vec::with_capacity(texts.len());
        for text in texts {
            starts.push(all.len());
            if looks_like_json(text) {
                all.push_str("\n\n");
            } else {
                all.push_str(text);
            }
        }
        let length = |part: usize| texts.get(part).filter(|text| !looks_like_json(text)).map_or(0, |text| text.len());
        let mut found = Sink::default();
        self.plain(&all, key, false, &mut found);
        sink.allowed += found.allowed;
        let split = |edit: Edit| {
            let mut pieces = Vec::new();
            let first = starts.partition_point(|&start| start <= edit.start).saturating_sub(1);
            for (part, &start) in starts.iter().enumerate().skip(first).take_while(|(_, start)| **start < edit.end) {
                let end = start + length(part);
                let (from, to) = (edit.start.max(start), edit.end.min(end));
                if from < to {
                    let goes_on = !pieces.is_empty();
                    let new = edit.new.as_ref().map(|new| if goes_on { String::new() } else { new.clone() });
                    pieces
                        .push((part, Edit { start: from - start, end: to - start, kind: edit.kind, subtype: edit.subtype, new, goes_on }));
                }
            }
            pieces
        };
        found.edits.into_iter().map(split).filter(|pieces| !pieces.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::runs;
    use crate::redact::{Config, Findings, Kind, Redactor};

    fn with(yaml: &str) -> Redactor {
        let config: Config = serde_yaml::from_str(yaml).unwrap();
        Redactor::new(&config).unwrap()
    }

    fn parts(text: &str) -> Vec<Vec<&str>> {
        runs(text).iter().map(|run| run.iter().map(|&(start, end)| &text[start..end]).collect()).collect()
    }

    #[test]
    fn parts_of_one_message_are_a_run_and_messages_are_not() {
        assert_eq!(parts(r#"[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]"#), [["a", "b"]]);
        assert_eq!(parts(r#"[{"role":"user","parts":[{"type":"text","content":"a"},{"type":"text","content":"b"}]}]"#), [["a", "b"]]);
        assert_eq!(parts(r#"{"contents":[{"parts":[{"text":"a"},{"text":"b"}]}]}"#), [["a", "b"]]);
        assert_eq!(parts(r#"{"content":["a","b\"c"]}"#), [["a", "b\\\"c"]]);
        for text in [
            r#"[{"role":"user","content":"a"},{"role":"user","content":"b"}]"#,
            r#"[{"type":"text","text":"a"},{"type":"image","text":"x"},{"type":"text","text":"b"}]"#,
            r#"{"tags":["a","b"]}"#,
        ] {
            assert!(parts(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn what_is_cut_in_two_is_found_and_the_document_keeps_its_shape() {
        let redactor = with("{}");
        let text = r#"[{"role":"user","content":[{"type":"text","text":"mail bob@exam"},{"type":"text","text":"ple.org, ssn "},{"type":"text","text":"178051120 ok"}]}]"#;
        let mut findings = Findings::new();
        let once = redactor.text(text, None, &mut findings).unwrap();
        let expected = r#"[{"role":"user","content":[{"type":"text","text":"mail [EMAIL]"},{"type":"text","text":", ssn "},{"type":"text","text":"[US_SSN] ok"}]}]"#;
        assert_eq!(once, expected);
        assert_eq!((findings.count(Kind::Email), findings.count(Kind::UsSsn), findings.total()), (1, 1, 2));
        assert_eq!(redactor.text(&once, None, &mut Findings::new()), None);
        assert_eq!(with("join_parts: false").text(text, None, &mut Findings::new()), None);
    }

    #[test]
    fn chunks_are_one_text_and_stay_as_many() {
        let redactor = with("{}");
        let mut findings = Findings::new();
        let new = redactor.joined(&["my card is 41", "11 1111 ", "1111 11", "11, ok"], None, &mut findings);
        let new: Vec<Option<&str>> = new.iter().map(Option::as_deref).collect();
        assert_eq!(new, [Some("my card is [CREDIT_CARD]"), Some(""), Some(""), Some(", ok")]);
        assert_eq!(findings.total(), 1);
    }
}
