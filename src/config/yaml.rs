//! YAML text to a located tree.
//!
//! A config may come from a template or from somebody else, so a small file must not become a large tree:
//! length, depth, and the number of values after aliases are limited. What YAML leaves to taste is settled
//! strictly: a key stands once, is text, and one file is one document.

use super::problem::Problem;
use super::tree::{Key, Kind, Node, Path, Position, Segment, Shown};
use serde_yaml::granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span, Tag};
use std::borrow::Cow;
use std::collections::HashMap;

/// Longest text taken. A config with a thousand policies is a tenth of it.
pub(super) const MOST_BYTES: usize = 1 << 20;
/// Deepest nesting taken; the deepest key there is lies at eight.
const MOST_DEEP: usize = 64;
/// Most values in a file, aliases counted at each place they are used.
const MOST_NODES: usize = 100_000;

/// What a text holds, and everything wrong with its YAML; `None` if it cannot be read to its end. An empty
/// text holds nothing.
pub(super) fn parse(source: usize, text: &str) -> (Option<Node>, Vec<Problem>) {
    let mut builder = Builder::new(source);
    let options = serde_yaml::granit_parser::options! {
        disallow_directives: true,
        flow_nesting_limit: MOST_DEEP,
        block_nesting_limit: MOST_DEEP,
        // Long enough for any name: past it a key is a value that lost its colon.
        simple_key_max_lookahead: 1024,
    };
    for event in Parser::new_from_str_with_options(text, options) {
        let done = match event {
            Ok((event, span)) => builder.event(event, span),
            Err(error) => {
                builder.problems.push(syntax_problem(source, text, &error));
                Err(Stop)
            }
        };
        if done.is_err() {
            return (None, builder.problems);
        }
    }
    let start = Position { source, line: 1, column: 1 };
    (Some(builder.root.unwrap_or_else(|| Node::new(Kind::Null, start))), builder.problems)
}

/// Nothing after this can be trusted.
struct Stop;

struct Builder {
    source: usize,
    open: Vec<Open>,
    path: Path,
    root: Option<Node>,
    documents: usize,
    anchors: HashMap<usize, (Node, Size)>,
    open_anchors: Vec<usize>,
    nodes: usize,
    problems: Vec<Problem>,
}

/// A collection that has not ended yet.
struct Open {
    anchor: usize,
    at: Position,
    nodes: usize,
    height: usize,
    what: What,
}

enum What {
    Seq(Vec<Node>),
    Map { entries: Vec<(Key, Node)>, lines: HashMap<String, u32>, merged: Vec<Node>, key: Option<Pending> },
}

enum Pending {
    Key(Key),
    /// `<<`
    Merge(Position),
    /// A key already reported: its value is read and dropped.
    Skip,
}

#[derive(Clone, Copy)]
struct Size {
    nodes: usize,
    height: usize,
}

impl Builder {
    fn new(source: usize) -> Builder {
        Builder {
            source,
            open: Vec::new(),
            path: Path::default(),
            root: None,
            documents: 0,
            anchors: HashMap::new(),
            open_anchors: Vec::new(),
            nodes: 0,
            problems: Vec::new(),
        }
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Stop> {
        let at = self.position(&span);
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return self.stop(at, "a second document starts here; a config is one document, so remove the \"---\"");
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                if self.expects_key() {
                    return self.key(text.into_owned(), style, at);
                }
                self.refuse_tag(tag.as_deref(), at);
                let plain = style == ScalarStyle::Plain && tag.is_none_or(|tag| tag.core_suffix() != Some("str"));
                let is_null = plain && matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL");
                let kind = if is_null { Kind::Null } else { Kind::Scalar { text: text.into_owned(), plain } };
                let mut node = Node::new(kind, at);
                node.end_line = line_of(span.end.line());
                node.width = if node.end_line == at.line { u32::try_from(span.len()).unwrap_or(1).max(1) } else { 1 };
                let size = Size { nodes: 1, height: 0 };
                self.charge(at, size)?;
                if anchor != 0 {
                    self.anchors.insert(anchor, (node.clone(), size));
                }
                self.add(node, size)?;
            }
            Event::SequenceStart(_, anchor, tag) => self.start(What::Seq(Vec::new()), anchor, tag, at)?,
            Event::MappingStart(_, anchor, tag) => {
                self.start(What::Map { entries: Vec::new(), lines: HashMap::new(), merged: Vec::new(), key: None }, anchor, tag, at)?
            }
            Event::SequenceEnd | Event::MappingEnd => self.end()?,
            Event::Alias(anchor) => {
                if self.expects_key() {
                    return self.stop(at, "an alias cannot be a key");
                }
                if self.open_anchors.contains(&anchor) {
                    return self.stop(at, "this alias stands inside the value it refers to");
                }
                let Some(size) = self.anchors.get(&anchor).map(|(_, size)| *size) else {
                    return self.stop(at, "this alias refers to no value above it");
                };
                self.charge(at, size)?;
                if let Some((node, _)) = self.anchors.get(&anchor) {
                    self.add(node.clone(), size)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// To be asked before values are made or copied.
    fn charge(&mut self, at: Position, size: Size) -> Result<(), Stop> {
        self.nodes = self.nodes.saturating_add(size.nodes);
        if self.nodes > MOST_NODES {
            return self.stop(at, &format!("more than {MOST_NODES} values; those of an alias count wherever it is used"));
        }
        Ok(())
    }

    fn position(&self, span: &Span) -> Position {
        Position { source: self.source, line: line_of(span.start.line()), column: line_of(span.start.col()).saturating_add(1) }
    }

    fn stop(&mut self, at: Position, message: &str) -> Result<(), Stop> {
        let path = self.here();
        self.problems.push(Problem::new(at, path, message));
        Err(Stop)
    }

    fn here(&self) -> Path {
        let mut path = self.path.clone();
        match self.open.last().map(|open| &open.what) {
            Some(What::Map { key: Some(Pending::Key(key)), .. }) => path.0.push(Segment::Key(key.name.clone())),
            Some(What::Seq(items)) => path.0.push(Segment::Index(items.len())),
            _ => {}
        }
        path
    }

    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { what: What::Map { key: None, .. }, .. }))
    }

    fn key(&mut self, name: String, style: ScalarStyle, at: Position) -> Result<(), Stop> {
        let path = self.path.join(Segment::Key(name.clone()));
        let Some(Open { what: What::Map { lines, key, .. }, .. }) = self.open.last_mut() else { return Err(Stop) };
        if name == "<<" && style == ScalarStyle::Plain {
            *key = Some(Pending::Merge(at));
        } else if let Some(first) = lines.get(&name) {
            let message = format!("\"{}\" is already set in line {first}; a key may stand once", Shown(&name));
            self.problems.push(Problem::new(at, path, message).at_key());
            *key = Some(Pending::Skip);
        } else {
            lines.insert(name.clone(), at.line);
            *key = Some(Pending::Key(Key { name, at }));
        }
        self.charge(at, Size { nodes: 1, height: 0 })
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, at: Position) {
        if tag.is_some_and(|tag| !tag.is_yaml_core_schema()) {
            // The tag itself is not shown: it may be a password that starts with "!".
            let message = "a value that starts with \"!\" is a tag, and none has a meaning here; put text in quotes";
            self.problems.push(Problem::new(at, self.here(), message));
        }
    }

    fn start(&mut self, what: What, anchor: usize, tag: Option<Cow<'_, Tag>>, at: Position) -> Result<(), Stop> {
        if self.expects_key() {
            return self.stop(at, "a key must be text, not a list or a map; put text that starts with a bracket in quotes");
        }
        self.refuse_tag(tag.as_deref(), at);
        if self.open.len() >= MOST_DEEP {
            return self.too_deep(at);
        }
        let path = self.here();
        self.charge(at, Size { nodes: 1, height: 0 })?;
        self.path = path;
        if anchor != 0 {
            self.open_anchors.push(anchor);
        }
        self.open.push(Open { anchor, at, nodes: 1, height: 0, what });
        Ok(())
    }

    fn too_deep(&mut self, at: Position) -> Result<(), Stop> {
        self.stop(at, &format!("nested deeper than {MOST_DEEP} levels"))
    }

    fn end(&mut self) -> Result<(), Stop> {
        let Some(open) = self.open.pop() else { return Err(Stop) };
        // The top of the file has no step to leave.
        if !self.open.is_empty() {
            self.path.0.pop();
        }
        let kind = match open.what {
            What::Seq(items) => Kind::Seq(items),
            What::Map { mut entries, mut lines, merged, .. } => {
                for source in merged {
                    if let Kind::Map(more) = source.kind {
                        for (key, node) in more {
                            if lines.insert(key.name.clone(), key.at.line).is_none() {
                                entries.push((key, node));
                            }
                        }
                    }
                }
                Kind::Map(entries)
            }
        };
        let node = Node::new(kind, open.at);
        let size = Size { nodes: open.nodes, height: open.height + 1 };
        if open.anchor != 0 {
            self.open_anchors.retain(|anchor| *anchor != open.anchor);
            self.charge(open.at, size)?;
            self.anchors.insert(open.anchor, (node.clone(), size));
        }
        self.add(node, size)
    }

    fn add(&mut self, node: Node, size: Size) -> Result<(), Stop> {
        if self.open.len() + size.height > MOST_DEEP {
            return self.too_deep(node.at);
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.nodes = open.nodes.saturating_add(size.nodes);
        open.height = open.height.max(size.height);
        let What::Map { entries, merged, key, .. } = &mut open.what else {
            if let What::Seq(items) = &mut open.what {
                items.push(node);
            }
            return Ok(());
        };
        match key.take() {
            Some(Pending::Key(key)) => entries.push((key, node)),
            Some(Pending::Merge(at)) => match node.kind {
                Kind::Map(_) => merged.push(node),
                Kind::Seq(items) if items.iter().all(|item| matches!(item.kind, Kind::Map(_))) => merged.extend(items),
                _ => return self.stop(at, "\"<<\" takes over the keys of a map, and this is none"),
            },
            Some(Pending::Skip) | None => {}
        }
        Ok(())
    }
}

fn line_of(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn syntax_problem(source: usize, text: &str, error: &ScanError) -> Problem {
    use ErrorKind as E;
    let mark = error.marker();
    let at = Position { source, line: line_of(mark.line()), column: line_of(mark.col()).saturating_add(1) };
    if let Some((line, column, message)) = better_place(text, error.kind(), mark.line(), mark.col()) {
        return Problem::new(Position { source, line: line_of(line), column: line_of(column) }, Path::default(), message).syntax();
    }
    let message: Cow<'_, str> = match error.kind() {
        E::TabNotAllowed | E::TabInBlockIndentation | E::TabInIndentation | E::TabAtBlockScalarStart | E::TabInPlainScalar => {
            "a tab stands here; YAML is indented with spaces".into()
        }
        E::UnclosedQuotedScalar | E::InvalidQuotedScalarIndent | E::DocumentIndicatorInQuotedScalar => {
            "a quote that was opened before is never closed".into()
        }
        E::UnclosedFlowCollection { open } => format!("the \"{open}\" opened here is never closed").into(),
        E::ExpectedFlowMappingSeparator | E::ExpectedFlowSequenceSeparator if follows_expression(text, mark.line(), mark.col()) => {
            "an expression ${…} needs quotes around it inside { } and [ ]".into()
        }
        E::UnexpectedEofFlowSequence => "a \"[\" is never closed".into(),
        E::UnexpectedEofFlowMapping | E::UnexpectedEofImplicitFlowMapping => "a \"{\" is never closed".into(),
        E::MismatchedFlowCollectionEnd { open, close } => format!("\"{open}\" is closed by \"{close}\"").into(),
        E::MisplacedFlowCollectionEnd => "a closing bracket without an opening one".into(),
        E::ExpectedFlowMappingSeparator => "a \",\" or \"}\" is missing before this".into(),
        E::ExpectedFlowSequenceSeparator => "a \",\" or \"]\" is missing before this".into(),
        E::RecursionLimitExceeded => format!("nested deeper than {MOST_DEEP} levels").into(),
        E::UnknownAnchor => "this alias refers to no value above it; put a text that starts with \"*\" in quotes".into(),
        E::SimpleKeyExpected | E::InvalidSimpleKey => "a key needs a \": \" after it".into(),
        E::MappingValueNotAllowed | E::InvalidColonPlacement => {
            "a \":\" cannot stand here; put a text that contains \": \" in quotes, or check the indentation".into()
        }
        E::ExpectedBlockMappingKey
        | E::InvalidIndentation
        | E::ExpectedBlockSequenceEntry
        | E::MappingKeyNotAllowed
        | E::BlockSequenceEntryNotAllowed => "the indentation fits no line above; keys of one section start in the same column".into(),
        E::UnexpectedCharacter { character } => {
            format!("\"{}\" cannot start a value; put the text in quotes", Shown(&character.to_string())).into()
        }
        E::UnknownQuotedScalarEscape => "no such escape in double quotes; write \\\\ for a backslash, or use single quotes".into(),
        E::DirectiveDisallowed => "a line cannot start with \"%\"; put the text in quotes".into(),
        // The parser's own words for the rare rest.
        other => format!("not valid YAML: {other}").into(),
    };
    Problem::new(at, Path::default(), message).syntax()
}

/// A parser stops where it cannot go on; the mistake is often a line above. Line and column from 1.
fn better_place(text: &str, kind: &ErrorKind, line: usize, column: usize) -> Option<(usize, usize, &'static str)> {
    let lines: Vec<&str> = text.lines().collect();
    let above = lines.get(..line.min(lines.len()))?;
    match kind {
        ErrorKind::TabNotAllowed | ErrorKind::TabInBlockIndentation | ErrorKind::TabInIndentation => {
            let indent = above.get(line.checked_sub(1)?)?.chars().take_while(|c| c.is_whitespace()).position(|c| c == '\t')?;
            Some((line, indent + 1, "a tab stands here; YAML is indented with spaces"))
        }
        ErrorKind::UnclosedQuotedScalar | ErrorKind::InvalidQuotedScalarIndent | ErrorKind::DocumentIndicatorInQuotedScalar => {
            let (number, column) = above.iter().enumerate().rev().find_map(|(index, line)| {
                let opened = ['"', '\''].into_iter().find(|quote| line.matches(*quote).count() % 2 == 1)?;
                let before = line.get(..line.rfind(opened)?)?;
                Some((index + 1, before.chars().count() + 1))
            })?;
            Some((number, column, "the quote opened here is never closed"))
        }
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidSimpleKey | ErrorKind::SimpleKeyExpected => {
            let (index, suspect) = above.get(..line.checked_sub(1)?)?.iter().enumerate().rfind(|(_, line)| !line.trim().is_empty())?;
            let word = suspect.trim();
            let indent = |line: &str| line.chars().take_while(|c| *c == ' ').count();
            let is_key = !word.contains(':') && word.starts_with(|c: char| c.is_ascii_alphabetic());
            (is_key && indent(suspect) <= column && indent(suspect) == indent(above.last()?)).then_some((
                index + 1,
                indent(suspect) + 1,
                "a \":\" is missing after this key",
            ))
        }
        _ => None,
    }
}

/// Whether a `${` stands right before the place, as where its brace was taken for a map's.
fn follows_expression(text: &str, line: usize, column: usize) -> bool {
    let before: String = text.lines().nth(line.saturating_sub(1)).unwrap_or("").chars().take(column.saturating_add(1)).collect();
    before.rfind("${").is_some_and(|at| !before.get(at..).unwrap_or("").contains(' '))
}
