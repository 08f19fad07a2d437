//! What is wrong with a config, said so that it can be put right at once.
//!
//! A line names file, line, column and key, then says what was expected and, for a slip of the pen, what was
//! probably meant. The source line follows with a mark under the place, unless that would show a secret.

use super::tree::{Kind, Path, Position, Segment, Shown, Tree, is_direction_mark, sounds_secret};
use std::fmt;

/// One thing wrong, at one place.
#[derive(Clone, Debug)]
pub struct Problem {
    pub(super) at: Position,
    pub(super) path: Path,
    pub(super) message: String,
    pub(super) suggestion: Option<String>,
    pub(super) words: Words,
    place: Place,
    width: u32,
    file: String,
    excerpt: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The value is wrong.
    Value,
    /// The key is wrong; of its value nothing is known.
    Key,
    /// The text is no YAML; of the whole line nothing is known.
    Syntax,
}

/// Who wrote a message, and so whether a secret can be in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Words {
    /// This module, from names and expectations.
    Ours,
    /// The type that was read, perhaps from the value.
    Readers,
    /// A check after reading, perhaps from the value.
    Checks,
}

impl Problem {
    /// A problem with the value at `path`, such as `exporters.otlp_http/eu.endpoint`, as the config was
    /// written. If the path does not exist there, the place is that of the deepest section that does.
    /// The message is lowercase, without full stop, and never holds a secret.
    pub fn at(tree: &Tree, path: &str, message: impl Into<String>) -> Problem {
        let (found, node) = tree.resolve(path);
        let whole = found.to_string() == path;
        let mut problem = match tree.root.key_at(&found) {
            // A section as a whole is best found by its key.
            Some(key) if !whole || !matches!(node.kind, Kind::Scalar { .. }) => {
                Problem::new(key.at, found, message).width(u32::try_from(key.name.chars().count()).unwrap_or(1))
            }
            _ => Problem::new(node.at, found, message).width(node.width),
        };
        if !whole {
            problem.path = Path(vec![Segment::Key(path.to_owned())]);
        }
        problem.words = Words::Checks;
        problem.finish(tree);
        problem
    }

    /// The same, with what was probably meant.
    #[must_use]
    pub fn suggest(mut self, suggestion: impl Into<String>) -> Problem {
        self.suggestion = Some(suggestion.into());
        self
    }

    /// The file's name as it was given, or `--set`.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line, from 1; `None` where there are no lines.
    pub fn line(&self) -> Option<u32> {
        (self.at.line > 0).then_some(self.at.line)
    }

    /// The column in characters, from 1; `None` where there are no lines.
    pub fn column(&self) -> Option<u32> {
        self.line().map(|_| self.at.column)
    }

    /// The way to the key: `processors.tail_sampling.policies[2].probabilistic`; empty for the whole file.
    pub fn path(&self) -> String {
        self.path.to_string()
    }

    /// What is wrong, without place and suggestion.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The name that was probably meant.
    pub fn suggestion(&self) -> Option<&str> {
        self.suggestion.as_deref()
    }

    /// The source line, if it can be shown.
    pub fn excerpt(&self) -> Option<&str> {
        self.excerpt.as_deref()
    }

    pub(super) fn new(at: Position, path: Path, message: impl Into<String>) -> Problem {
        Problem {
            at,
            path,
            message: message.into(),
            suggestion: None,
            words: Words::Ours,
            place: Place::Value,
            width: 1,
            file: String::new(),
            excerpt: None,
        }
    }

    pub(super) fn at_key(mut self) -> Problem {
        self.place = Place::Key;
        if let Some(name) = self.path.last_key() {
            self.width = u32::try_from(name.chars().count()).unwrap_or(1).max(1);
        }
        self
    }

    pub(super) fn syntax(mut self) -> Problem {
        self.place = Place::Syntax;
        self
    }

    pub(super) fn width(mut self, width: u32) -> Problem {
        self.width = width.max(1);
        self
    }

    /// Fills in what only the whole tree tells: the file's name and the source line.
    pub(super) fn finish(&mut self, tree: &Tree) {
        let Some(source) = tree.sources.get(self.at.source) else { return };
        self.file = source.name.clone();
        if source.lines.is_empty() {
            self.at.line = 0;
            return;
        }
        let number = usize::try_from(self.at.line).unwrap_or(0);
        let Some(line) = number.checked_sub(1).and_then(|index| source.lines.get(index)) else { return };
        let shown = match self.place {
            Place::Value => !line_holds_secret(tree, self.at),
            Place::Key => {
                !line_holds_secret(tree, self.at)
                    && !self.path.0.iter().rev().skip(1).any(|s| matches!(s, Segment::Key(k) if sounds_secret(k)))
            }
            Place::Syntax => !text_sounds_secret(&source.lines, number),
        };
        self.excerpt = shown.then(|| match self.place {
            Place::Key => up_to_key(line, self.at.column, self.width),
            Place::Value | Place::Syntax => line.clone(),
        });
    }

    fn head(&self, f: &mut fmt::Formatter<'_>, paint: Paint) -> fmt::Result {
        f.write_str(paint.bold)?;
        write!(f, "{}", Shown(&self.file))?;
        if let Some(line) = self.line() {
            write!(f, ":{line}:{}", self.at.column)?;
        }
        write!(f, ":{} ", paint.plain)?;
        if !self.path.0.is_empty() {
            write!(f, "{}{}{}: ", paint.key, self.path, paint.plain)?;
        }
        f.write_str(&self.message)?;
        if let Some(suggestion) = &self.suggestion {
            write!(f, "; did you mean \"{}{}{}\"?", paint.good, Shown(suggestion), paint.plain)?;
        }
        Ok(())
    }

    fn quote(&self, f: &mut fmt::Formatter<'_>, paint: Paint) -> fmt::Result {
        let Some(line) = &self.excerpt else { return Ok(()) };
        // A window around the place: a line can be a megabyte long.
        const BEFORE: usize = 60;
        const MOST: usize = 120;
        let column = usize::try_from(self.at.column).unwrap_or(1).saturating_sub(1);
        let first = column.saturating_sub(BEFORE);
        let clean = |c: char| if c != '\t' && (c.is_control() || is_direction_mark(c)) { '\u{fffd}' } else { c };
        let lead = if first > 0 { "…" } else { "" };
        let text: String = line.chars().skip(first).take(MOST).map(clean).collect();
        let cut = if line.chars().nth(first + MOST).is_some() { "…" } else { "" };
        // Tabs stay tabs in the line of the mark, so that both are as wide.
        let pad: String =
            lead.chars().map(|_| ' ').chain(text.chars().take(column - first).map(|c| if c == '\t' { c } else { ' ' })).collect();
        let room = text.chars().count().saturating_sub(column - first).max(1);
        let mark = "^".repeat(usize::try_from(self.width).unwrap_or(1).clamp(1, room));
        let number = self.at.line;
        let gap = " ".repeat(number.to_string().len());
        write!(f, "\n  {number} | {lead}{}{cut}\n  {gap} | {pad}{}{mark}{}", text.trim_end(), paint.bad, paint.plain)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.head(f, Paint::NONE)?;
        self.quote(f, Paint::NONE)
    }
}

/// The line up to the end of a key: what follows an unknown key may be anything, a password for one.
fn up_to_key(line: &str, column: u32, width: u32) -> String {
    let end = usize::try_from(column.saturating_sub(1).saturating_add(width)).unwrap_or(usize::MAX);
    let mut kept: String = line.chars().take(end).collect();
    let rest: String = line.chars().skip(end).take(2).collect();
    kept.extend(rest.chars().take_while(|c| matches!(c, '"' | '\'' | ':')));
    if line.chars().count() > kept.chars().count() {
        kept.push_str(" …");
    }
    kept
}

/// Whether a value that is not to be shown stands in this line. One that is only `${…}` shows nothing.
fn line_holds_secret(tree: &Tree, at: Position) -> bool {
    let mut found = false;
    tree.root.walk(&mut Path::default(), &mut |path, node| {
        let here = node.at.source == at.source && (node.at.line..=node.end_line).contains(&at.line);
        if !found && here && matches!(node.kind, Kind::Scalar { .. }) {
            let hidden = node.secret || path.sounds_secret() || never_read(tree, path);
            found = hidden && !node.is_expression_alone();
        }
    });
    found
}

/// Whether a value lies below what was left out, and may be anything: below an unknown key, or under the
/// name `key` in a section that could not be read.
fn never_read(tree: &Tree, path: &Path) -> bool {
    let mut node = &tree.root;
    let mut left_out = false;
    for segment in &path.0 {
        let Some(child) = node.child(segment) else { return false };
        left_out |= child.pruned.is_some();
        if child.pruned.as_ref().is_some_and(|why| why.unknown) || left_out && matches!(segment, Segment::Key(name) if name == "key") {
            return true;
        }
        node = child;
    }
    false
}

/// The same where there is no tree: by the words in the line and in the lines it is indented under.
fn text_sounds_secret(lines: &[String], number: usize) -> bool {
    let indent = |line: &str| line.chars().take_while(|c| c.is_whitespace()).count();
    let suspicious = |line: &str| {
        line.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-')))
            .any(|word| sounds_secret(word) || word.eq_ignore_ascii_case("key"))
    };
    let mut limit = usize::MAX;
    for line in lines.iter().take(number).rev() {
        // A list may stand in the same column as its key.
        if line.trim().is_empty() || indent(line) > limit {
            continue;
        }
        limit = indent(line);
        if suspicious(line) {
            return true;
        }
    }
    false
}

/// Every problem found in one run, in the order of the text. Never empty.
#[derive(Clone, Debug)]
pub struct Problems {
    pub(super) found: Vec<Problem>,
    pub(super) more: bool,
}

impl Problems {
    /// Problems found by checks of one's own, after the config was read; `None` if there are none.
    pub fn new(found: Vec<Problem>) -> Option<Problems> {
        if found.is_empty() { None } else { Some(Problems { found, more: false }) }
    }

    /// The problems, in the order of the text.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.found.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Never.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// As `Display`, with colours for a terminal if `colour`.
    pub fn render(&self, colour: bool) -> String {
        struct Rendered<'a>(&'a Problems, Paint);
        impl fmt::Display for Rendered<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.write(f, self.1)
            }
        }
        Rendered(self, if colour { Paint::ANSI } else { Paint::NONE }).to_string()
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, paint: Paint) -> fmt::Result {
        for (at, problem) in self.found.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            problem.head(f, paint)?;
            problem.quote(f, paint)?;
        }
        if self.more {
            write!(f, "\nand more; these are the first {}", self.found.len())?;
        }
        Ok(())
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, Paint::NONE)
    }
}

impl std::error::Error for Problems {}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[derive(Clone, Copy)]
struct Paint {
    bold: &'static str,
    key: &'static str,
    good: &'static str,
    bad: &'static str,
    plain: &'static str,
}

impl Paint {
    const NONE: Paint = Paint { bold: "", key: "", good: "", bad: "", plain: "" };
    const ANSI: Paint = Paint { bold: "\x1b[1m", key: "\x1b[36m", good: "\x1b[32m", bad: "\x1b[31m", plain: "\x1b[0m" };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_bad_key_is_not_quoted() {
        assert_eq!(up_to_key("  pasword: hunter2", 3, 7), "  pasword: …");
        assert_eq!(up_to_key("{ \"pasword\": hunter2 }", 3, 8), "{ \"pasword\": …");
        assert_eq!(up_to_key("pasword:", 1, 7), "pasword:");
    }

    #[test]
    fn a_broken_line_under_a_secret_key_is_not_quoted() {
        let lines: Vec<String> = "auth:\n  bearer_tokens:\n  - \"hunter2\n  other: 1\nname: \"x".lines().map(str::to_owned).collect();
        assert!(text_sounds_secret(&lines, 3));
        assert!(!text_sounds_secret(&lines, 5));
    }
}
