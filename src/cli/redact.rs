//! `tollgate redact`: the redaction of the stage, on standard input.
//!
//! It answers "what would leave?" without a running stage, so it uses the same redactor and the same config.

use crate::cli::lines;
use crate::cli::source::Source;
use crate::cli::{Failure, finish_output};
use crate::redact::{Finding, Findings, Redactor};
use serde::Serialize;
use serde_json::Value;
use std::io::{self, BufRead, Write};

/// Flags of `redact`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    source: Source,
    /// Read lines `{"id": …, "text": …}` and answer each with what was found in it, positions in UTF-8 bytes of the input; a line that
    /// is none is answered with `{"id": …, "error": …}`.
    #[arg(long)]
    jsonl: bool,
}

/// The command: the rules of the config, standard input and output.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let (_, plan) = args.source.plan()?;
    let Some(redactor) = &plan.redactor else {
        return Err(Failure::Usage("processors.redaction.enabled is false: there is nothing to redact by".to_owned()));
    };
    let form = if args.jsonl { Form::JsonLines } else { Form::Text };
    let result = redact(redactor, form, io::stdin().lock(), io::BufWriter::new(io::stdout().lock()));
    finish_output(result.map(drop))
}

/// How standard input is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One text to the end of the input: a private key spans lines, and so may JSON.
    Text,
    /// Lines `{"id", "text"}`; each is answered by one line, in the same order.
    JsonLines,
}

#[derive(Serialize)]
struct Answer<'a> {
    id: Option<Value>,
    redacted: &'a str,
    entities: Vec<Entity<'a>>,
}

#[derive(Serialize)]
struct Unreadable {
    id: Option<Value>,
    error: String,
}

#[derive(Serialize)]
struct Entity<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    subtype: &'static str,
    start: usize,
    end: usize,
}

/// Redacts `input` into `output`; answers what was found, without positions.
///
/// # Errors
/// Failing input or output.
pub(super) fn redact(redactor: &Redactor, form: Form, input: impl BufRead, output: impl Write) -> io::Result<Findings> {
    match form {
        Form::Text => text(redactor, input, output),
        Form::JsonLines => json_lines(redactor, input, output),
    }
}

/// Bytes that are no UTF-8 are boundaries and stay.
fn text(redactor: &Redactor, mut input: impl BufRead, mut output: impl Write) -> io::Result<Findings> {
    let mut findings = Findings::new();
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    for chunk in bytes.utf8_chunks() {
        match redactor.text(chunk.valid(), None, &mut findings) {
            Some(redacted) => output.write_all(redacted.as_bytes())?,
            None => output.write_all(chunk.valid().as_bytes())?,
        }
        output.write_all(chunk.invalid())?;
    }
    output.flush()?;
    Ok(findings)
}

fn json_lines(redactor: &Redactor, mut input: impl BufRead, mut output: impl Write) -> io::Result<Findings> {
    let mut all = Findings::new();
    let mut line = Vec::new();
    let mut number = 0;
    while input.read_until(b'\n', &mut line)? > 0 {
        number += 1;
        let (id, fields) = lines::read(&line);
        let text = |name: &str| fields.as_ref().ok().and_then(|fields| fields.get(name)).and_then(Value::as_str);
        let is_key = fields.as_ref().is_ok_and(|fields| fields.get("key").is_none_or(|key| key.is_string() || key.is_null()));
        match text("text").filter(|_| is_key) {
            Some(original) => {
                let mut findings = Findings::with_positions();
                let redacted = redactor.text(original, text("key"), &mut findings);
                let entity = |f: Finding| Entity { kind: redactor.name(f.kind), subtype: f.subtype, start: f.start, end: f.end };
                let entities = findings.take_positions().into_iter().map(entity).collect();
                let answer = Answer { id, redacted: redacted.as_deref().unwrap_or(original), entities };
                serde_json::to_writer(&mut output, &answer).map_err(io::Error::from)?;
                all.merge(&findings);
            }
            // One line is answered by one line, also where it is none that can be read. Its text stays out of the answer.
            None => {
                let error = format!("line {number} is not an object with \"id\" and \"text\"");
                serde_json::to_writer(&mut output, &Unreadable { id, error }).map_err(io::Error::from)?;
            }
        }
        output.write_all(b"\n")?;
        line.clear();
    }
    output.flush()?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::{Form, redact};
    use crate::redact::{Config, Kind, Redactor};

    fn run(form: Form, input: &[u8]) -> Result<(String, u64), std::io::Error> {
        let redactor = Redactor::new(&Config::default()).unwrap();
        let mut output = Vec::new();
        let findings = redact(&redactor, form, input, &mut output)?;
        Ok((String::from_utf8_lossy(&output).into_owned(), findings.count(Kind::Email)))
    }

    #[test]
    fn text_passes_but_for_its_findings() {
        assert_eq!(run(Form::Text, b"to bob@example.org,\nthanks").unwrap(), ("to [EMAIL],\nthanks".to_owned(), 1));
    }

    #[test]
    fn bytes_that_are_no_text_stay() {
        let redactor = Redactor::new(&Config::default()).unwrap();
        let mut output = Vec::new();
        redact(&redactor, Form::Text, &b"\xff bob@example.org\xfe\n"[..], &mut output).unwrap();
        assert_eq!(output, b"\xff [EMAIL]\xfe\n");
    }

    #[test]
    fn every_line_is_answered_in_order_with_byte_positions() {
        let (output, _) =
            run(Form::JsonLines, "{\"id\":\"a\",\"text\":\"né: bob@example.org\"}\n{\"id\":7,\"text\":\"none\"}\n".as_bytes()).unwrap();
        let lines: Vec<serde_json::Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0]["id"], "a");
        assert_eq!(lines[0]["redacted"], "né: [EMAIL]");
        assert_eq!(lines[0]["entities"], serde_json::json!([{"type": "EMAIL", "start": 5, "end": 20}]));
        assert_eq!(
            (&lines[1]["id"], &lines[1]["redacted"], lines[1]["entities"].as_array().map(Vec::len)),
            (&serde_json::json!(7), &serde_json::json!("none"), Some(0))
        );
    }

    #[test]
    fn a_bad_line_is_named_without_its_text() {
        let (output, _) = run(Form::JsonLines, b"{\"text\": bob@example.org}\n{\"id\":1,\"text\":\"x\"}\n").unwrap();
        let lines: Vec<&str> = output.lines().collect();
        assert_eq!(lines[0], r#"{"id":null,"error":"line 1 is not an object with \"id\" and \"text\""}"#);
        assert!(lines[1].starts_with(r#"{"id":1"#), "{output}");
    }

    #[test]
    fn every_line_has_one_answer_under_its_id_where_it_can_be_read() {
        let input = "{\"id\":\"a\",\"text\": bob@example.org\n\n{\"id\":2}\n{\"id\":3,\"text\":4}\n{\"id\":4,\"text\":\"x\",\"key\":5}\n[5]\n{\"id\":6,\"text\":\"x\"}";
        let (output, _) = run(Form::JsonLines, input.as_bytes()).unwrap();
        let answers: Vec<serde_json::Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let ids: Vec<_> = answers.iter().map(|answer| (answer["id"].clone(), answer.get("error").is_some())).collect();
        let (id, none) = (serde_json::Value::from, serde_json::Value::Null);
        let expected =
            [("a".into(), true), (none.clone(), true), (id(2), true), (id(3), true), (id(4), true), (none, true), (id(6), false)];
        assert_eq!(ids, expected);
        assert!(!output.contains("bob"));
    }
}
