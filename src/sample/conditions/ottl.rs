//! A small part of the OpenTelemetry Transformation Language: what a condition about one span needs.
//!
//! Comparisons, `and`, `or`, `not`, parentheses, `IsMatch`, `IsRootSpan`, and paths to attributes, name, kind and status. A config that
//! asks for more is told which part cannot be taken, when it is loaded. Source: OpenTelemetry Collector contrib, `pkg/ottl/LANGUAGE.md`.

use crate::otlp::span::Any;
use crate::sample::held::Place;
use regex::Regex;
use std::cmp::Ordering;

/// Parentheses may nest this deep.
const MAX_DEPTH: usize = 32;

/// A pattern may take so many bytes compiled.
const REGEX_SIZE: usize = 1 << 20;

/// An expression that is true or false for a span or an event of one.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::sample) enum Node {
    Or(Vec<Node>),
    And(Vec<Node>),
    Not(Box<Node>),
    Is(bool),
    Root,
    Compare(Path, Test),
}

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sample) enum Path {
    Attribute(Place, String),
    Name,
    Kind,
    StatusCode,
    StatusMessage,
}

/// What a value is asked. Of a value that is absent only `Missing` is true.
#[derive(Clone, Debug)]
pub(in crate::sample) enum Test {
    Missing,
    Order(Vec<Ordering>, Literal),
    Match(Regex),
}

impl PartialEq for Test {
    fn eq(&self, other: &Test) -> bool {
        match (self, other) {
            (Test::Missing, Test::Missing) => true,
            (Test::Order(a, x), Test::Order(b, y)) => a == b && x == y,
            (Test::Match(a), Test::Match(b)) => a.as_str() == b.as_str(),
            _ => false,
        }
    }
}

/// A value in an expression.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::sample) enum Literal {
    Text(String),
    Int(i64),
    Double(f64),
    Bool(bool),
    Nil,
}

impl Test {
    /// Whether a value that is there passes. Values of different kinds are neither equal nor in an order.
    pub(in crate::sample) fn holds(&self, value: Any<'_>) -> bool {
        let (wanted, literal) = match self {
            Test::Missing => return matches!(value, Any::None),
            Test::Match(pattern) => return value.as_str().is_some_and(|text| pattern.is_match(text)),
            Test::Order(wanted, literal) => (wanted, literal),
        };
        let order = match (value, literal) {
            (Any::Str(text), Literal::Text(other)) => Some(text.cmp(other.as_str())),
            (Any::Bool(flag), Literal::Bool(other)) => Some(flag.cmp(other)),
            (Any::Int(number), Literal::Int(other)) => Some(number.cmp(other)),
            (Any::Int(number), Literal::Double(other)) => (number as f64).partial_cmp(other),
            (Any::Double(number), Literal::Int(other)) => number.partial_cmp(&(*other as f64)),
            (Any::Double(number), Literal::Double(other)) => number.partial_cmp(other),
            _ => None,
        };
        order.is_some_and(|order| wanted.contains(&order))
    }
}

/// Reads an expression. `of_event`: paths without a place are those of a span event.
///
/// # Errors
/// The part that cannot be taken, and why.
pub(in crate::sample) fn parse(text: &str, of_event: bool) -> Result<Node, String> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, of_event };
    let node = parser.or(0)?;
    match parser.next() {
        None => Ok(node),
        Some(token) => Err(format!("`{}` is not expected there", token.text())),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Number(String),
    Sign(&'static str),
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Token::Word(text) | Token::Text(text) | Token::Number(text) => text,
            Token::Sign(sign) => sign,
        }
    }
}

const SIGNS: &[&str] = &["==", "!=", "<=", ">=", "<", ">", "(", ")", "[", "]", ","];

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let (mut out, mut rest) = (Vec::new(), text.trim_start());
    while let Some(first) = rest.chars().next() {
        let (token, length) = if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            (Token::Sign(sign), sign.len())
        } else if first == '"' {
            quoted(rest)?
        } else if first.is_ascii_digit() || first == '-' || first == '.' {
            let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c))).unwrap_or(rest.len());
            (Token::Number(rest.get(..length).unwrap_or_default().to_owned()), length)
        } else if first.is_ascii_alphabetic() || first == '_' {
            let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_.".contains(c))).unwrap_or(rest.len());
            (Token::Word(rest.get(..length).unwrap_or_default().to_owned()), length)
        } else {
            return Err(format!("`{rest}` begins with a sign that is not supported"));
        };
        out.push(token);
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    Ok(out)
}

/// A string in double quotes, with backslashes before quotes, backslashes and the usual letters; and its length as written.
fn quoted(text: &str) -> Result<(Token, usize), String> {
    let (mut out, mut chars) = (String::new(), text.char_indices().skip(1));
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((Token::Text(out), at + 1)),
            '\\' => match chars.next() {
                Some((_, 'n')) => out.push('\n'),
                Some((_, 't')) => out.push('\t'),
                Some((_, 'r')) => out.push('\r'),
                Some((_, c @ ('"' | '\\'))) => out.push(c),
                // A pattern is written with single backslashes by most people.
                Some((_, c)) => out.extend(['\\', c]),
                None => break,
            },
            c => out.push(c),
        }
    }
    Err(format!("`{text}` is a string without an end"))
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    of_event: bool,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn takes(&mut self, word: &str) -> bool {
        let there = matches!(self.peek(), Some(Token::Word(w)) if w == word) || matches!(self.peek(), Some(Token::Sign(s)) if *s == word);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.takes(sign) {
            return Ok(());
        }
        Err(match self.peek() {
            Some(token) => format!("`{}` stands where `{sign}` is expected", token.text()),
            None => format!("`{sign}` is missing at the end"),
        })
    }

    fn or(&mut self, depth: usize) -> Result<Node, String> {
        let mut parts = vec![self.and(depth)?];
        while self.takes("or") {
            parts.push(self.and(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Node::Or(parts) })
    }

    fn and(&mut self, depth: usize) -> Result<Node, String> {
        let mut parts = vec![self.term(depth)?];
        while self.takes("and") {
            parts.push(self.term(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Node::And(parts) })
    }

    fn term(&mut self, depth: usize) -> Result<Node, String> {
        if depth > MAX_DEPTH {
            return Err(format!("parentheses nest deeper than {MAX_DEPTH}"));
        }
        if self.takes("not") {
            return Ok(Node::Not(Box::new(self.term(depth + 1)?)));
        }
        if self.takes("(") {
            let node = self.or(depth + 1)?;
            self.expect(")")?;
            return Ok(node);
        }
        match (self.peek(), self.tokens.get(self.at + 1)) {
            (Some(Token::Word(name)), Some(Token::Sign("("))) => {
                let name = name.clone();
                self.at += 2;
                self.function(&name)
            }
            (Some(Token::Word(word)), after) if matches!(word.as_str(), "true" | "false") && !is_comparison(after) => {
                let value = word == "true";
                self.at += 1;
                Ok(Node::Is(value))
            }
            _ => self.comparison(),
        }
    }

    fn function(&mut self, name: &str) -> Result<Node, String> {
        match name {
            "IsRootSpan" if self.of_event => Err("`IsRootSpan` asks about a span; it belongs to the list `span`".into()),
            "IsRootSpan" => {
                self.expect(")")?;
                Ok(Node::Root)
            }
            "IsMatch" => {
                let path = self.path()?;
                self.expect(",")?;
                let Some(Token::Text(pattern)) = self.next() else { return Err("`IsMatch` takes a path and a pattern in quotes".into()) };
                self.expect(")")?;
                let compiled = regex::RegexBuilder::new(&pattern).size_limit(REGEX_SIZE).build();
                let compiled = compiled.map_err(|error| format!("`{pattern}` is a pattern that does not compile: {error}"))?;
                Ok(Node::Compare(path, Test::Match(compiled)))
            }
            other => Err(format!("`{other}` is a function that is not supported; IsMatch and IsRootSpan are")),
        }
    }

    fn comparison(&mut self) -> Result<Node, String> {
        let swapped = self.literal_ahead();
        let first = if swapped { Err(self.literal()?) } else { Ok(self.path()?) };
        let sign = match self.next() {
            Some(Token::Sign(sign)) if is_comparison(Some(&Token::Sign(sign))) => sign,
            Some(token) => return Err(format!("`{}` stands where a comparison is expected", token.text())),
            None => return Err("a comparison is missing at the end".into()),
        };
        let (path, literal) = match first {
            Ok(path) => (path, self.literal()?),
            Err(literal) => (self.path()?, literal),
        };
        use Ordering::{Equal, Greater, Less};
        let (less, greater) = if swapped { (Greater, Less) } else { (Less, Greater) };
        let wanted = match sign {
            "==" | "!=" => vec![Equal],
            "<" => vec![less],
            "<=" => vec![less, Equal],
            ">" => vec![greater],
            _ => vec![greater, Equal],
        };
        let test = if literal == Literal::Nil { Test::Missing } else { Test::Order(wanted, literal) };
        match (sign, &test) {
            ("!=", _) => Ok(Node::Not(Box::new(Node::Compare(path, test)))),
            ("==", _) | (_, Test::Order(..)) => Ok(Node::Compare(path, test)),
            _ => Err(format!("`nil` has no order, so `{sign}` cannot compare it")),
        }
    }

    fn literal_ahead(&self) -> bool {
        match self.peek() {
            Some(Token::Text(_) | Token::Number(_)) => true,
            Some(Token::Word(word)) => constant(word).is_some(),
            _ => false,
        }
    }

    fn literal(&mut self) -> Result<Literal, String> {
        match self.next() {
            Some(Token::Text(text)) => Ok(Literal::Text(text)),
            Some(Token::Number(text)) => {
                let int = text.parse().map(Literal::Int);
                int.or_else(|_| text.parse().map(Literal::Double)).map_err(|_| format!("`{text}` is not a number"))
            }
            Some(Token::Word(word)) => constant(&word).ok_or_else(|| format!("`{word}` is not a value; two paths cannot be compared")),
            Some(Token::Sign(sign)) => Err(format!("`{sign}` stands where a value is expected")),
            None => Err("a value is missing at the end".into()),
        }
    }

    fn path(&mut self) -> Result<Path, String> {
        let word = match self.next() {
            Some(Token::Word(word)) => word,
            Some(token) => return Err(format!("`{}` stands where a path is expected", token.text())),
            None => return Err("a path is missing at the end".into()),
        };
        let place = match word.as_str() {
            // An attribute of an event is looked for on the event alone; its place is not asked.
            "attributes" => Some(Place::Span),
            "spanevent.attributes" if self.of_event => Some(Place::Span),
            "span.attributes" if !self.of_event => Some(Place::Span),
            "resource.attributes" if !self.of_event => Some(Place::Resource),
            "scope.attributes" | "instrumentation_scope.attributes" if !self.of_event => Some(Place::Scope),
            _ => None,
        };
        if let Some(place) = place {
            self.expect("[")?;
            let Some(Token::Text(key)) = self.next() else { return Err(format!("`{word}` takes a key in quotes: {word}[\"key\"]")) };
            self.expect("]")?;
            if matches!(self.peek(), Some(Token::Sign("["))) {
                return Err(format!("`{word}[\"{key}\"][…]` looks into a value, which is not supported"));
            }
            return Ok(Path::Attribute(place, key));
        }
        let plain = if self.of_event { word.strip_prefix("spanevent.") } else { word.strip_prefix("span.") }.unwrap_or(&word);
        match plain {
            "name" => Ok(Path::Name),
            "kind" if !self.of_event => Ok(Path::Kind),
            "status.code" if !self.of_event => Ok(Path::StatusCode),
            "status.message" if !self.of_event => Ok(Path::StatusMessage),
            _ => Err(format!("`{word}` is a path that is not supported; attributes, name, kind and status of the span are")),
        }
    }
}

fn is_comparison(token: Option<&Token>) -> bool {
    matches!(token, Some(Token::Sign("==" | "!=" | "<" | "<=" | ">" | ">=")))
}

fn constant(word: &str) -> Option<Literal> {
    let kinds = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
    let codes = ["UNSET", "OK", "ERROR"];
    let number = |names: &[&str], name: &str| names.iter().position(|n| *n == name).and_then(|n| i64::try_from(n).ok()).map(Literal::Int);
    match word {
        "true" => Some(Literal::Bool(true)),
        "false" => Some(Literal::Bool(false)),
        "nil" => Some(Literal::Nil),
        _ => word
            .strip_prefix("SPAN_KIND_")
            .and_then(|name| number(&kinds, name))
            .or_else(|| word.strip_prefix("STATUS_CODE_").and_then(|name| number(&codes, name))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn and_binds_tighter_than_or_and_not_tightest() {
        let text = r#"name == "a" or not kind == SPAN_KIND_CLIENT and (status.code != STATUS_CODE_OK or IsRootSpan())"#;
        let Node::Or(parts) = parse(text, false).unwrap() else { panic!("or") };
        let Node::And(parts) = &parts[1] else { panic!("and") };
        assert!(matches!(&parts[0], Node::Not(inner) if matches!(**inner, Node::Compare(Path::Kind, _))));
        assert!(matches!(&parts[1], Node::Or(parts) if parts[1] == Node::Root));
    }

    #[test]
    fn strings_may_hold_quotes_and_patterns() {
        let Node::Compare(path, test) = parse(r#"IsMatch(resource.attributes["a\"b"], "^\d+\\.x$")"#, false).unwrap() else { panic!() };
        assert_eq!(path, Path::Attribute(Place::Resource, "a\"b".into()));
        assert!(test.holds(Any::Str("12.x")) && !test.holds(Any::Str("12x")) && !test.holds(Any::Int(12)));
    }

    #[test]
    fn kinds_are_strict_and_numbers_are_numbers() {
        let test = |text: &str| match parse(text, false).unwrap() {
            Node::Compare(_, test) => test,
            other => panic!("{other:?}"),
        };
        assert!(test(r#"attributes["k"] >= 5"#).holds(Any::Double(5.0)));
        assert!(test(r#"5 < attributes["k"]"#).holds(Any::Int(6)) && !test(r#"5 < attributes["k"]"#).holds(Any::Int(5)));
        assert!(!test(r#"attributes["k"] == "5""#).holds(Any::Int(5)));
        assert!(test(r#"attributes["k"] == -1.5"#).holds(Any::Double(-1.5)));
        assert!(!test(r#"attributes["k"] < 1"#).holds(Any::Double(f64::NAN)));
        assert!(matches!(parse(r#"attributes["k"] != nil"#, false).unwrap(), Node::Not(_)));
    }

    #[test]
    fn what_cannot_be_taken_is_quoted() {
        for (text, part) in [
            (r#"Len(attributes["k"]) > 3"#, "`Len`"),
            (r#"attributes["k"]["l"] == 1"#, "looks into"),
            ("trace_id == 5", "`trace_id`"),
            (r#"attributes["k"] == attributes["l"]"#, "`attributes`"),
            (r#"attributes["k"] == "open"#, "without an end"),
            (r#"attributes["k"] + 1 == 2"#, "`+ 1 == 2`"),
            (r#"IsMatch(name, "(")"#, "does not compile"),
            (r#"name == "a" name"#, "`name` is not expected"),
            ("name < nil", "no order"),
            ("name ==", "missing at the end"),
            ("", "path is missing"),
            (r#"kind.string == "Server""#, "`kind.string`"),
        ] {
            let error = parse(text, false).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(parse("IsRootSpan()", true).is_err() && parse("kind == 1", true).is_err());
        assert!(parse(&"(".repeat(10_000), false).is_err());
        assert!(parse(r#"name != "retry""#, true).is_ok());
    }
}
