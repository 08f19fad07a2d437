//! Readable spans on standard output, to see what would be sent.

use crate::forward::batch::Batch;
use crate::forward::destination::lock;
use crate::forward::verdict::{Message, Reason, Verdict};
use crate::otlp::regroup::Outgoing;
use crate::otlp::signal::Signal;
use crate::otlp::span::{self, Any, EventView, KeyValue, SpanView, StatusCode};
use crate::otlp::wire::{Fields, Value};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Write as _};
use std::io::Write;
use std::ops::Range;
use std::sync::{Arc, Mutex};

/// Characters of one value that are printed.
const LONGEST_VALUE: usize = 500;

/// Values inside values are followed so deep.
const DEEPEST: usize = 6;

/// Attributes that `normal` prints: what a call was and what came of it.
const CHIEF: [&str; 7] = [
    "gen_ai.request.model",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "tollgate.cost.total_usd",
    "tollgate.truncated",
    "error.type",
    "tollgate.error.class",
];

/// Settings of `debug`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Default normal.
    pub verbosity: Verbosity,
}

/// How much is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verbosity {
    /// A line for each batch.
    Basic,
    /// A line for each item, with what matters most about an LLM call.
    #[default]
    Normal,
    /// Every attribute and event.
    Detailed,
}

/// Prints.
pub(crate) struct Exporter {
    verbosity: Verbosity,
    out: Arc<Mutex<dyn Write + Send>>,
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exporter({:?})", self.verbosity)
    }
}

impl Exporter {
    pub(super) fn new(settings: &Settings) -> Exporter {
        Exporter { verbosity: settings.verbosity, out: Arc::new(Mutex::new(std::io::stdout())) }
    }

    pub(super) async fn send(&self, batch: &Batch, range: Range<usize>) -> Verdict {
        let text = render(batch, range, self.verbosity);
        let out = Arc::clone(&self.out);
        // One write for the whole batch, under the lock of standard output: what others print does not come in between.
        let write = move || {
            let mut out = lock(&out);
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        };
        match tokio::task::spawn_blocking(write).await {
            Ok(Ok(())) => Verdict::Delivered { rejected: 0, message: Message::default() },
            // Whoever read it is gone, and will not come back.
            Ok(Err(_)) => Verdict::Failed(Reason::Write),
            Err(_) => Verdict::Failed(Reason::Internal),
        }
    }
}

fn render(batch: &Batch, range: Range<usize>, verbosity: Verbosity) -> String {
    let mut out = String::new();
    let (signal, bytes) = (batch.signal(), batch.cost(range.clone()));
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{}: {} {}, {bytes} bytes", signal.as_str(), range.len(), signal.items());
    if verbosity != Verbosity::Basic {
        for item in batch.items(range) {
            let _ = match signal {
                Signal::Traces => put_span(&mut out, &item, verbosity),
                Signal::Logs => put_log(&mut out, &item, verbosity),
                Signal::Metrics => put_metric(&mut out, &item, verbosity),
            };
        }
    }
    out
}

fn put_span(out: &mut String, item: &Outgoing<'_>, verbosity: Verbosity) -> fmt::Result {
    let (mut attributes, mut events) = (Vec::new(), Vec::new());
    let span = span::read(item.body, |attribute| attributes.push(attribute), |event| events.push(EventView::read(event)));
    put_span_line(out, &span)?;
    if verbosity == Verbosity::Normal {
        for attribute in attributes.iter().filter(|attribute| CHIEF.iter().any(|key| key.as_bytes() == attribute.key)) {
            let short = attribute.key.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
            write!(out, "  {}=", Text(short))?;
            put_value(out, attribute.any(), 0)?;
        }
        return out.write_char('\n');
    }
    out.write_char('\n')?;
    put_resource(out, item)?;
    put_attributes(out, 4, &attributes)?;
    for event in events {
        writeln!(out, "    event {}", Text(event.name))?;
        put_attributes(out, 6, &event.attributes().collect::<Vec<_>>())?;
    }
    Ok(())
}

fn put_span_line(out: &mut String, span: &SpanView<'_>) -> fmt::Result {
    let trace = span.trace_id.map(|id| id.to_string()).unwrap_or_else(|| "-".into());
    let id = span.span_id.map(|id| id.to_string()).unwrap_or_else(|| "-".into());
    write!(out, "  {trace} {id}  {}  {:.3} ms", Text(span.name), span.duration() as f64 / 1e6)?;
    if span.status == StatusCode::Error {
        write!(out, "  ERROR {}", Text(span.status_message))?;
    }
    Ok(())
}

fn put_log(out: &mut String, item: &Outgoing<'_>, verbosity: Verbosity) -> fmt::Result {
    let (mut severity, mut body, mut attributes) = (&b""[..], Any::None, Vec::new());
    for field in Fields::new(item.body) {
        match (field.number, field.value) {
            (3, Value::Len(text)) => severity = text,
            (5, Value::Len(value)) => body = Any::read(value),
            (6, Value::Len(pair)) => attributes.push(KeyValue::read(pair)),
            _ => {}
        }
    }
    let trace = span::trace_id(Signal::Logs, item.body).map(|id| id.to_string()).unwrap_or_else(|| "-".into());
    write!(out, "  {trace}  {}  ", Text(severity))?;
    put_value(out, body, 0)?;
    out.write_char('\n')?;
    if verbosity == Verbosity::Detailed {
        put_resource(out, item)?;
        put_attributes(out, 4, &attributes)?;
    }
    Ok(())
}

fn put_metric(out: &mut String, item: &Outgoing<'_>, verbosity: Verbosity) -> fmt::Result {
    let text = |number| {
        let fields = Fields::new(item.body).filter_map(move |field| match field.value {
            Value::Len(text) if field.number == number => Some(text),
            _ => None,
        });
        fields.last().unwrap_or_default()
    };
    write!(out, "  {}", Text(text(1)))?;
    if verbosity == Verbosity::Detailed {
        write!(out, "  {}  {}", Text(text(3)), Text(text(2)))?;
    }
    out.write_char('\n')
}

fn put_resource(out: &mut String, item: &Outgoing<'_>) -> fmt::Result {
    for pair in item.head.resource_attributes() {
        let attribute = KeyValue::read(pair);
        write!(out, "    resource {}: ", Text(attribute.key))?;
        put_value(out, attribute.any(), 0)?;
        out.write_char('\n')?;
    }
    Ok(())
}

fn put_attributes(out: &mut String, indent: usize, attributes: &[KeyValue<'_>]) -> fmt::Result {
    for attribute in attributes {
        write!(out, "{:indent$}{}: ", "", Text(attribute.key))?;
        put_value(out, attribute.any(), 0)?;
        out.write_char('\n')?;
    }
    Ok(())
}

fn put_value(out: &mut String, value: Any<'_>, depth: usize) -> fmt::Result {
    match value {
        Any::None => out.write_str("-"),
        Any::Str(text) => write!(out, "{}", Text(text.as_bytes())),
        Any::Bool(value) => write!(out, "{value}"),
        Any::Int(value) => write!(out, "{value}"),
        Any::Double(value) => write!(out, "{value}"),
        Any::Bytes(bytes) => write!(out, "({} bytes)", bytes.len()),
        Any::Array(_) | Any::Kvlist(_) if depth >= DEEPEST => out.write_str("…"),
        Any::Array(_) => {
            out.write_char('[')?;
            for (n, element) in value.elements().enumerate() {
                out.write_str(if n > 0 { ", " } else { "" })?;
                put_value(out, element, depth + 1)?;
            }
            out.write_char(']')
        }
        Any::Kvlist(_) => {
            out.write_char('{')?;
            for (n, entry) in value.entries().enumerate() {
                write!(out, "{}{}: ", if n > 0 { ", " } else { "" }, Text(entry.key))?;
                put_value(out, entry.any(), depth + 1)?;
            }
            out.write_char('}')
        }
    }
}

/// Text from outside on somebody's terminal: cut short, on one line, without control characters.
struct Text<'a>(&'a [u8]);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Enough bytes for that many characters, so that a long value is not decoded whole.
        let text = String::from_utf8_lossy(self.0.get(..LONGEST_VALUE * 4).unwrap_or(self.0));
        for c in text.chars().take(LONGEST_VALUE) {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { f.write_char(c)? }
        }
        if text.chars().nth(LONGEST_VALUE).is_some() { f.write_char('…') } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::batch::tests::{logs, numbered, spans, whole};

    #[test]
    fn each_verbosity_prints_more_than_the_one_before() {
        let batch = whole(numbered(2));
        assert!(render(&batch, 0..2, Verbosity::Basic).starts_with("traces: 2 spans, "));
        let normal = render(&batch, 0..2, Verbosity::Normal);
        assert_eq!(normal.lines().count(), 3, "{normal}");
        assert!(normal.contains(&format!("{} 0000000000000001  s0  250.000 ms  model=gpt-5", "07".repeat(16))), "{normal}");
        let detailed = render(&batch, 1..2, Verbosity::Detailed);
        for part in ["resource service.name: svc", "    gen_ai.request.model: gpt-5"] {
            assert!(detailed.contains(part), "{detailed}");
        }
        assert!(render(&whole(logs(1)), 0..1, Verbosity::Normal).contains("INFO"));
    }

    #[test]
    fn no_value_moves_the_cursor_of_a_terminal_or_fills_it() {
        let batch = whole(spans("svc", &["\x1b[2Jx\ny".into(), "z".repeat(100_000)]));
        let text = render(&batch, 0..2, Verbosity::Detailed);
        assert!(!text.contains('\x1b') && text.contains(r"\u{1b}[2Jx\ny"), "{text}");
        assert!(text.len() < 3000);
    }

    #[derive(Default)]
    struct Writes(Vec<Vec<u8>>);

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.push(bytes.to_vec());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_batch_is_one_write() {
        let writes = Arc::new(Mutex::new(Writes::default()));
        let exporter = Exporter { verbosity: Verbosity::Detailed, out: writes.clone() };
        assert!(matches!(exporter.send(&whole(numbered(5)), 0..5).await, Verdict::Delivered { rejected: 0, .. }));
        assert_eq!(lock(&writes).0.len(), 1);
    }
}
