//! What serde says went wrong, kept in parts.
//!
//! serde's own errors are sentences. A sentence cannot be asked where it happened or which names would have
//! been valid, so everything serde passes in is kept as it is until the place is known.

use super::tree::{Path, Segment, Shown};
use serde::de;
use std::fmt;

/// An error of one read of the tree.
#[derive(Debug)]
pub(super) struct Error {
    pub(super) kind: ErrorKind,
    pub(super) at_key: bool,
    /// Innermost first.
    way: Vec<Segment>,
}

#[derive(Debug)]
pub(super) enum ErrorKind {
    Custom(String),
    Type { found: Found, expected: String },
    Value { found: Found, expected: String },
    Length { found: usize, expected: String },
    UnknownField { name: String, address: usize, valid: &'static [&'static str] },
    UnknownVariant { name: String, address: usize, valid: &'static [&'static str] },
    MissingField(&'static str),
    DuplicateField(&'static str),
}

/// A value that did not fit.
#[derive(Debug)]
pub(super) enum Found {
    /// A text, and where in memory it lies: the tree lends its texts, so this finds the place again.
    Text {
        text: String,
        address: usize,
    },
    /// A number or truth value, as it would be written.
    Plain(String),
    Nothing,
    List,
    Map,
    Other(String),
}

impl Error {
    pub(super) fn new(kind: ErrorKind) -> Error {
        Error { kind, at_key: false, way: Vec::new() }
    }

    pub(super) fn wrong(found: Found, expected: &str) -> Error {
        Error::new(ErrorKind::Type { found, expected: expected.to_owned() })
    }

    /// The error was met below this step.
    pub(super) fn within(mut self, segment: Segment) -> Error {
        self.way.push(segment);
        self
    }

    /// The error is about the key itself.
    pub(super) fn about_key(mut self, name: &str) -> Error {
        self.at_key = true;
        self.way.push(Segment::Key(name.to_owned()));
        self
    }

    pub(super) fn path(&self) -> Path {
        Path(self.way.iter().rev().cloned().collect())
    }
}

impl From<de::Unexpected<'_>> for Found {
    fn from(found: de::Unexpected<'_>) -> Found {
        use de::Unexpected as U;
        match found {
            U::Str(text) => Found::Text { text: text.to_owned(), address: text.as_ptr().addr() },
            U::Bool(value) => Found::Plain(value.to_string()),
            U::Unsigned(value) => Found::Plain(value.to_string()),
            U::Signed(value) => Found::Plain(value.to_string()),
            U::Float(value) => Found::Plain(value.to_string()),
            U::Char(value) => Found::Plain(value.to_string()),
            U::Unit | U::Option => Found::Nothing,
            U::Seq | U::TupleVariant => Found::List,
            U::Map | U::StructVariant => Found::Map,
            other => Found::Other(other.to_string()),
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Found::Text { text, .. } => write!(f, "\"{}\"", Shown(text)),
            Found::Plain(text) | Found::Other(text) => write!(f, "{}", Shown(text)),
            Found::Nothing => f.write_str("nothing"),
            Found::List => f.write_str("a list"),
            Found::Map => f.write_str("a section"),
        }
    }
}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Error {
        Error::new(ErrorKind::Custom(message.to_string()))
    }
    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Error {
        Error::new(ErrorKind::Type { found: found.into(), expected: expected.to_string() })
    }
    fn invalid_value(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Error {
        Error::new(ErrorKind::Value { found: found.into(), expected: expected.to_string() })
    }
    fn invalid_length(found: usize, expected: &dyn de::Expected) -> Error {
        Error::new(ErrorKind::Length { found, expected: expected.to_string() })
    }
    fn unknown_variant(name: &str, valid: &'static [&'static str]) -> Error {
        Error::new(ErrorKind::UnknownVariant { name: name.to_owned(), address: name.as_ptr().addr(), valid })
    }
    fn unknown_field(name: &str, valid: &'static [&'static str]) -> Error {
        Error::new(ErrorKind::UnknownField { name: name.to_owned(), address: name.as_ptr().addr(), valid })
    }
    fn missing_field(name: &'static str) -> Error {
        Error::new(ErrorKind::MissingField(name))
    }
    fn duplicate_field(name: &'static str) -> Error {
        Error::new(ErrorKind::DuplicateField(name))
    }
}

/// For serde's sake; what users see is made in `locate.rs`.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

impl std::error::Error for Error {}
