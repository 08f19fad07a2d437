//! The file as it was written: values that know their line and column.
//!
//! Everything that can be said about a config is said about a place in it, so places are kept from the
//! first byte read until the last check, whatever the value has become meanwhile.

use std::fmt;
use std::sync::Arc;

/// What is shown in place of a secret.
pub(super) const MASK: &str = "***";

/// A value and where it stands.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) at: Position,
    /// The last line the value covers.
    pub(super) end_line: u32,
    /// Characters the value covers on its first line; for the caret.
    pub(super) width: u32,
    /// Set where a `${…}` was replaced.
    pub(super) expanded: Option<Expanded>,
    /// A `Secret` was read from it.
    pub(super) secret: bool,
    /// A problem was reported for it: readers pass it by.
    pub(super) pruned: Option<Pruned>,
    /// How an untyped reader sees it.
    pub(super) reading: Reading,
}

#[derive(Clone)]
pub(super) enum Kind {
    Null,
    Scalar { text: String, plain: bool },
    Seq(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Clone)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) at: Position,
}

/// A scalar before its `${…}` were replaced.
#[derive(Clone)]
pub(super) struct Expanded {
    /// As written.
    pub(super) written: String,
    /// As it may be shown: every expansion is `***`.
    pub(super) masked: String,
    /// What was put in.
    pub(super) secrets: Vec<String>,
}

#[derive(Clone)]
pub(super) struct Pruned {
    /// The key that is absent because this one is bad: its own name, or the one it was a misspelling of.
    pub(super) stands_for: String,
    /// The key is not known here, so its value may be anything.
    pub(super) unknown: bool,
}

/// Serde reads some values before it knows their type (`#[serde(tag)]`), and then insists on the type it
/// saw first. This says what to show at the next try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reading {
    AsWritten,
    Text,
    Typed,
    EmptyMap,
    EmptySeq,
}

/// Line and column from 1, counted in characters; line 0 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) source: usize,
    pub(super) line: u32,
    pub(super) column: u32,
}

impl Node {
    pub(super) fn new(kind: Kind, at: Position) -> Node {
        Node { kind, at, end_line: at.line, width: 1, expanded: None, secret: false, pruned: None, reading: Reading::AsWritten }
    }

    /// Written as one `${…}` and nothing else: the text in the file tells nothing of the value.
    pub(super) fn is_expression_alone(&self) -> bool {
        let written = match (&self.expanded, &self.kind) {
            (Some(expanded), _) => &expanded.written,
            // One that could not be replaced.
            (None, Kind::Scalar { text, .. }) => text,
            (None, _) => return false,
        };
        let inside = written.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).unwrap_or("");
        (inside.starts_with("env:") || inside.starts_with("file:")) && !inside.contains(['$', '}']) && !inside.contains(":-")
    }

    pub(super) fn child(&self, segment: &Segment) -> Option<&Node> {
        match (&self.kind, segment) {
            (Kind::Map(entries), Segment::Key(name)) => entries.iter().find(|(key, _)| key.name == *name).map(|(_, node)| node),
            (Kind::Seq(items), Segment::Index(index)) => items.get(*index),
            _ => None,
        }
    }

    pub(super) fn child_mut(&mut self, segment: &Segment) -> Option<&mut Node> {
        match (&mut self.kind, segment) {
            (Kind::Map(entries), Segment::Key(name)) => entries.iter_mut().find(|(key, _)| key.name == *name).map(|(_, node)| node),
            (Kind::Seq(items), Segment::Index(index)) => items.get_mut(*index),
            _ => None,
        }
    }

    pub(super) fn get(&self, path: &Path) -> Option<&Node> {
        path.0.iter().try_fold(self, |node, segment| node.child(segment))
    }

    pub(super) fn get_mut(&mut self, path: &Path) -> Option<&mut Node> {
        path.0.iter().try_fold(self, |node, segment| node.child_mut(segment))
    }

    /// The key that stands before the value at `path`.
    pub(super) fn key_at(&self, path: &Path) -> Option<&Key> {
        let (Segment::Key(name), parent) = path.0.split_last()? else { return None };
        match &self.get(&Path(parent.to_vec()))?.kind {
            Kind::Map(entries) => entries.iter().map(|(key, _)| key).find(|key| key.name == *name),
            _ => None,
        }
    }

    /// Calls `visit` for this node and all below it, parents first.
    pub(super) fn walk<'a>(&'a self, path: &mut Path, visit: &mut impl FnMut(&Path, &'a Node)) {
        visit(path, self);
        match &self.kind {
            Kind::Map(entries) => {
                for (key, node) in entries {
                    path.0.push(Segment::Key(key.name.clone()));
                    node.walk(path, visit);
                    path.0.pop();
                }
            }
            Kind::Seq(items) => {
                for (index, node) in items.iter().enumerate() {
                    path.0.push(Segment::Index(index));
                    node.walk(path, visit);
                    path.0.pop();
                }
            }
            Kind::Null | Kind::Scalar { .. } => {}
        }
    }

    /// The same without the way.
    pub(super) fn each_mut(&mut self, visit: &mut impl FnMut(&mut Node)) {
        visit(self);
        match &mut self.kind {
            Kind::Map(entries) => entries.iter_mut().for_each(|(_, node)| node.each_mut(visit)),
            Kind::Seq(items) => items.iter_mut().for_each(|node| node.each_mut(visit)),
            Kind::Null | Kind::Scalar { .. } => {}
        }
    }

    /// The same for changing them.
    pub(super) fn walk_mut(&mut self, path: &mut Path, visit: &mut impl FnMut(&Path, &mut Node)) {
        visit(path, self);
        match &mut self.kind {
            Kind::Map(entries) => {
                for (key, node) in entries {
                    path.0.push(Segment::Key(key.name.clone()));
                    node.walk_mut(path, visit);
                    path.0.pop();
                }
            }
            Kind::Seq(items) => {
                for (index, node) in items.iter_mut().enumerate() {
                    path.0.push(Segment::Index(index));
                    node.walk_mut(path, visit);
                    path.0.pop();
                }
            }
            Kind::Null | Kind::Scalar { .. } => {}
        }
    }
}

/// The way from the top of the file to a value: `processors.tail_sampling.policies[2].name`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Path(pub(super) Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Segment {
    Key(String),
    Index(usize),
}

impl Path {
    pub(super) fn join(&self, segment: Segment) -> Path {
        let mut path = self.clone();
        path.0.push(segment);
        path
    }

    pub(super) fn last_key(&self) -> Option<&str> {
        self.0.iter().rev().find_map(|segment| match segment {
            Segment::Key(name) => Some(name.as_str()),
            Segment::Index(_) => None,
        })
    }

    /// Whether the keys on the way say that what is below is nothing to show.
    ///
    /// A misspelt key reaches no `Secret`, and its value must not be shown either.
    pub(super) fn sounds_secret(&self) -> bool {
        let is = |segment: &Segment, wanted: &str| matches!(segment, Segment::Key(name) if name == wanted);
        self.0.iter().any(|segment| matches!(segment, Segment::Key(name) if sounds_secret(name)))
            || self.0.windows(2).any(|pair| matches!(pair, [section, key] if is(section, "journal") && is(key, "key")))
    }
}

/// Whether a key's name says that its value is a token, key or password. `tokens` alone is what models count.
pub(super) fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    if matches!(name.as_str(), "token" | "headers") {
        return true;
    }
    let words: Vec<&str> = name.split(['_', '-', '.', '/', ' ']).collect();
    matches!(
        words.as_slice(),
        [.., "password" | "passwords" | "passwd" | "secret" | "secrets" | "credentials" | "authorization" | "cookie" | "apikey"]
            | [.., "bearer" | "auth" | "access" | "api" | "refresh" | "session", "token" | "tokens"]
            | [.., "hash" | "api" | "private" | "access" | "encryption" | "signing" | "secret", "key" | "keys"]
    )
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(name) if at == 0 => write!(f, "{}", Shown(name))?,
                Segment::Key(name) => write!(f, ".{}", Shown(name))?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Text from a file, made fit for one line of a terminal.
pub(super) struct Shown<'a>(pub(super) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 80;
        for (at, c) in self.0.chars().enumerate() {
            if at == MOST {
                return f.write_str("…");
            }
            match c {
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if c.is_control() || is_direction_mark(c) => f.write_str("\u{fffd}")?,
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

/// Characters that turn the writing direction can make a line read as something else.
pub(super) fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// One text that was read.
pub(super) struct Source {
    pub(super) name: String,
    /// Empty where lines mean nothing, as for `--set`.
    pub(super) lines: Vec<String>,
}

/// The whole configuration with its places, after merging and expansion.
#[derive(Clone)]
pub struct Tree {
    pub(super) root: Node,
    pub(super) sources: Arc<[Source]>,
}

impl Tree {
    /// The path a text such as `exporters.otlp_http/eu.west.endpoint` means here, as far as it exists, and
    /// the deepest value on that way. Keys may contain dots: the longest one that fits is taken.
    pub(super) fn resolve(&self, text: &str) -> (Path, &Node) {
        let (mut path, mut node, mut rest) = (Path::default(), &self.root, text);
        loop {
            rest = rest.strip_prefix('.').unwrap_or(rest);
            let Some((segment, after)) = next_segment(node, rest) else { return (path, node) };
            let Some(child) = node.child(&segment) else { return (path, node) };
            path.0.push(segment);
            (node, rest) = (child, after);
        }
    }

    /// Puts masks where secrets were, so that the tree can be kept.
    pub(super) fn forget_secrets(&mut self) {
        self.root.walk_mut(&mut Path::default(), &mut |path, node| {
            let hidden = node.secret || path.sounds_secret();
            let Kind::Scalar { text, .. } = &mut node.kind else { return };
            match &mut node.expanded {
                Some(expanded) => {
                    *text = if hidden { MASK.to_owned() } else { expanded.masked.clone() };
                    expanded.secrets.clear();
                }
                None if hidden => *text = MASK.to_owned(),
                None => {}
            }
        });
    }
}

/// The first step of `rest` from `node`, and what is left.
pub(super) fn next_segment<'a>(node: &Node, rest: &'a str) -> Option<(Segment, &'a str)> {
    if rest.is_empty() {
        return None;
    }
    if let Some(index) = rest.strip_prefix('[') {
        let (index, after) = index.split_once(']')?;
        return Some((Segment::Index(index.parse().ok()?), after));
    }
    if let Kind::Map(entries) = &node.kind {
        let fits = |name: &str| rest.strip_prefix(name).is_some_and(|after| after.is_empty() || after.starts_with(['.', '[']));
        let longest = entries.iter().map(|(key, _)| &key.name).filter(|name| !name.is_empty() && fits(name)).max_by_key(|name| name.len());
        if let Some(name) = longest {
            return Some((Segment::Key(name.clone()), rest.strip_prefix(name.as_str())?));
        }
    }
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    Some((Segment::Key(name.to_owned()), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_hold_secrets_are_known_and_those_that_do_not_are_not() {
        for name in ["bearer_tokens", "hash_key", "password", "Authorization", "x-api-key", "client_secret"] {
            assert!(sounds_secret(name), "{name}");
        }
        for name in ["key", "key_file", "tokens", "max_tokens", "tail_sampling", "hash_key_file", "allowed_headers", "endpoint"] {
            assert!(!sounds_secret(name), "{name}");
        }
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(Shown("a\u{1b}[31m\n\u{202e}").to_string(), "a\u{fffd}[31m\\n\u{fffd}");
    }
}
