//! From message structs to JSON text.
//!
//! Written in the form every reader of OTLP/JSON takes: ids in lower-case hex, 64-bit integers as strings, enums as
//! integers, defaults left out. Text goes straight into one string; there is no tree and no serialiser in between.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Display;

/// A message that can be written as a JSON object.
pub(super) trait Render {
    /// Writes every field that is not at its default, in the order of the `.proto` file.
    fn fields(&self, to: &mut Fields<'_>);
}

/// Writes one message as a document.
pub(super) fn document(message: &impl Render) -> String {
    text(|fields| message.fields(fields))
}

/// Writes one object as a document.
pub(super) fn text(fields: impl FnOnce(&mut Fields<'_>)) -> String {
    let mut out = String::new();
    braces(&mut out, fields);
    out
}

/// The fields of one object, being written. Methods named after a type leave its default out, those named `set_…`
/// write it as well: members of a oneof and fields with presence are there because they are there.
pub(super) struct Fields<'a> {
    out: &'a mut String,
    first: bool,
}

impl Fields<'_> {
    pub(super) fn string(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.set_string(key, value);
        }
    }

    pub(super) fn set_string(&mut self, key: &str, value: &str) {
        quoted(self.key(key), value);
    }

    pub(super) fn strings(&mut self, key: &str, values: &[String]) {
        self.array(key, values, |out, value| quoted(out, value));
    }

    pub(super) fn id(&mut self, key: &str, value: &[u8]) {
        if !value.is_empty() {
            let out = self.key(key);
            out.push('"');
            for byte in value {
                push(out, format_args!("{byte:02x}"));
            }
            out.push('"');
        }
    }

    pub(super) fn set_bytes(&mut self, key: &str, value: &[u8]) {
        let out = self.key(key);
        out.push('"');
        STANDARD.encode_string(value, out);
        out.push('"');
    }

    pub(super) fn bool(&mut self, key: &str, value: bool) {
        if value {
            self.set_bool(key, value);
        }
    }

    pub(super) fn set_bool(&mut self, key: &str, value: bool) {
        self.key(key).push_str(if value { "true" } else { "false" });
    }

    pub(super) fn int32(&mut self, key: &str, value: i32) {
        if value != 0 {
            self.set_int32(key, value);
        }
    }

    pub(super) fn set_int32(&mut self, key: &str, value: i32) {
        push(self.key(key), value);
    }

    pub(super) fn uint32(&mut self, key: &str, value: u32) {
        if value != 0 {
            push(self.key(key), value);
        }
    }

    pub(super) fn int64(&mut self, key: &str, value: i64) {
        if value != 0 {
            self.set_int64(key, value);
        }
    }

    pub(super) fn set_int64(&mut self, key: &str, value: i64) {
        push(self.key(key), format_args!("\"{value}\""));
    }

    pub(super) fn uint64(&mut self, key: &str, value: u64) {
        if value != 0 {
            push(self.key(key), format_args!("\"{value}\""));
        }
    }

    pub(super) fn uint64s(&mut self, key: &str, values: &[u64]) {
        self.array(key, values, |out, value| push(out, format_args!("\"{value}\"")));
    }

    pub(super) fn double(&mut self, key: &str, value: f64) {
        // By bits: minus zero is no default.
        if value.to_bits() != 0 {
            self.set_double(key, value);
        }
    }

    pub(super) fn set_double(&mut self, key: &str, value: f64) {
        double(self.key(key), value);
    }

    pub(super) fn optional_double(&mut self, key: &str, value: Option<f64>) {
        if let Some(value) = value {
            self.set_double(key, value);
        }
    }

    pub(super) fn doubles(&mut self, key: &str, values: &[f64]) {
        self.array(key, values, |out, value| double(out, *value));
    }

    pub(super) fn message(&mut self, key: &str, value: Option<&impl Render>) {
        if let Some(message) = value {
            self.object(key, |fields| message.fields(fields));
        }
    }

    pub(super) fn messages(&mut self, key: &str, values: &[impl Render]) {
        self.array(key, values, |out, message| braces(out, |fields| message.fields(fields)));
    }

    pub(super) fn object(&mut self, key: &str, fields: impl FnOnce(&mut Fields<'_>)) {
        braces(self.key(key), fields);
    }

    fn array<T>(&mut self, key: &str, values: &[T], mut element: impl FnMut(&mut String, &T)) {
        if values.is_empty() {
            return;
        }
        let out = self.key(key);
        let mut before = '[';
        for value in values {
            out.push(before);
            element(out, value);
            before = ',';
        }
        out.push(']');
    }

    fn key(&mut self, key: &str) -> &mut String {
        if !self.first {
            self.out.push(',');
        }
        self.first = false;
        self.out.push('"');
        self.out.push_str(key);
        self.out.push_str("\":");
        self.out
    }
}

fn braces(out: &mut String, fields: impl FnOnce(&mut Fields<'_>)) {
    out.push('{');
    fields(&mut Fields { out, first: true });
    out.push('}');
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    // Everything that must be escaped is one ASCII byte, so the cuts are between characters.
    while let Some((plain, special)) =
        rest.bytes().position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\').and_then(|at| rest.split_at_checked(at))
    {
        out.push_str(plain);
        let mut characters = special.chars();
        match characters.next().unwrap_or_default() {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            mark @ ('"' | '\\') => out.extend(['\\', mark]),
            control => push(out, format_args!("\\u{:04x}", u32::from(control))),
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

fn double(out: &mut String, value: f64) {
    match value {
        f64::INFINITY => out.push_str("\"Infinity\""),
        f64::NEG_INFINITY => out.push_str("\"-Infinity\""),
        _ if value.is_nan() => out.push_str("\"NaN\""),
        // The debug form is the shortest that reads back as the same double, and unlike the other one it uses exponents.
        _ => push(out, format_args!("{value:?}")),
    }
}

fn push(out: &mut String, value: impl Display) {
    use std::fmt::Write as _;
    // Writing to a string cannot fail.
    let _ = write!(out, "{value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_where_json_asks_for_it() {
        for (text, json) in [
            ("", "\"\""),
            ("plain ü 😀 / \u{7f}", "\"plain ü 😀 / \u{7f}\""),
            ("\"\\", r#""\"\\""#),
            ("a\nb\rc\td\0e\u{1f}", r#""a\nb\rc\td\u0000e\u001f""#),
            ("\u{2028}", "\"\u{2028}\""),
        ] {
            let mut out = String::new();
            quoted(&mut out, text);
            assert_eq!(out, json);
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }

    #[test]
    fn a_double_is_written_as_json_and_reads_back() {
        for (value, json) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (1e300, "1e300"),
            (5e-324, "5e-324"),
            (f64::NAN, "\"NaN\""),
            (f64::INFINITY, "\"Infinity\""),
            (f64::NEG_INFINITY, "\"-Infinity\""),
        ] {
            let mut out = String::new();
            double(&mut out, value);
            assert_eq!(out, json);
        }
    }

    #[test]
    fn defaults_are_left_out_and_set_values_are_not() {
        let json = text(|fields| {
            fields.string("a", "");
            fields.id("b", &[]);
            fields.bool("c", false);
            fields.int32("d", 0);
            fields.int64("e", 0);
            fields.uint64("f", 0);
            fields.double("g", 0.0);
            fields.strings("h", &[]);
            fields.optional_double("i", None);
            fields.uint32("j", 0);
            fields.set_string("k", "");
            fields.set_bool("l", false);
            fields.set_int64("m", 0);
            fields.set_double("n", 0.0);
            fields.optional_double("o", Some(0.0));
            fields.set_bytes("p", &[]);
            fields.double("q", -0.0);
        });
        assert_eq!(json, r#"{"k":"","l":false,"m":"0","n":0.0,"o":0.0,"p":"","q":-0.0}"#);
    }
}
