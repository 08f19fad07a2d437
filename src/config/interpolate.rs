//! `${env:NAME}`, `${env:NAME:-default}`, `${file:path}` and `$$`.
//!
//! Done on the parsed tree, never on the text: a password with a quote, a colon or a line break in it stays
//! one value and cannot add keys. What was put in counts as secret from here on, because it usually is.

use super::problem::Problem;
use super::tree::{Expanded, Kind, MASK, Node, Path, Position, Segment, Shown};
use std::env::VarError;
use std::io::Read;

/// Longest file put in: a key or certificate chain, not a document.
const MOST_FILE_BYTES: u64 = 64 << 10;

/// Looks up one environment variable.
pub(super) type Env = dyn Fn(&str) -> Result<String, VarError>;

/// Where expansions come from.
pub(super) struct Outside<'a> {
    pub(super) env: &'a Env,
    /// What a relative `${file:…}` is relative to: the directory of the config file it stands in.
    pub(super) directories: &'a [std::path::PathBuf],
    /// The lines of each source, to find the column of an expression.
    pub(super) sources: &'a [super::tree::Source],
}

/// Replaces every expression below `root`. A value with one that fails is pruned and reported.
pub(super) fn expand(root: &mut Node, outside: &Outside<'_>, problems: &mut Vec<Problem>) {
    root.walk_mut(&mut Path::default(), &mut |path, node| {
        let Kind::Scalar { text, plain } = &node.kind else { return };
        if !text.contains('$') {
            return;
        }
        let (written, plain) = (text.clone(), *plain);
        match expand_text(&written, node.at, outside, path.sounds_secret()) {
            Ok(done) => {
                // A variable set to nothing sets nothing, in quotes or not: `{ }` and `[ ]` force the quotes.
                let is_null = done.text.is_empty();
                if done.anything {
                    node.expanded = Some(Expanded { written, masked: done.masked, secrets: done.secrets });
                }
                node.kind = if is_null { Kind::Null } else { Kind::Scalar { text: done.text, plain } };
            }
            Err(failures) => {
                for failure in failures {
                    let at = locate(node, &failure.expression, outside);
                    let width = if at == node.at { node.width } else { u32::try_from(failure.expression.chars().count()).unwrap_or(1) };
                    let mut problem = Problem::new(at, path.clone(), failure.message).width(width);
                    problem.suggestion = failure.suggestion;
                    problems.push(problem);
                }
                let stands_for = match path.0.last() {
                    Some(Segment::Key(name)) => name.clone(),
                    _ => String::new(),
                };
                node.pruned = Some(super::tree::Pruned { stands_for, unknown: false });
            }
        }
    });
}

struct Done {
    text: String,
    masked: String,
    secrets: Vec<String>,
    anything: bool,
}

struct Failure {
    expression: String,
    message: String,
    suggestion: Option<String>,
}

fn expand_text(written: &str, at: Position, outside: &Outside<'_>, hidden: bool) -> Result<Done, Vec<Failure>> {
    let mut done = Done { text: String::new(), masked: String::new(), secrets: Vec::new(), anything: false };
    let (mut rest, mut failures) = (written, Vec::new());
    while let Some((before, after)) = rest.split_once('$') {
        done.both(before);
        if let Some(after) = after.strip_prefix('$') {
            done.both("$");
            rest = after;
            continue;
        }
        let Some(inside) = after.strip_prefix('{') else {
            done.both("$");
            rest = after;
            continue;
        };
        let Some((expression, after)) = inside.split_once('}') else {
            let message = "a \"${\" is never closed; write \"$$\" for a plain dollar sign".to_owned();
            failures.push(Failure { expression: "${".to_owned(), message, suggestion: None });
            break;
        };
        match evaluate(expression, at, outside, hidden) {
            Ok(Value::Outside(value)) => {
                done.text.push_str(&value);
                done.masked.push_str(MASK);
                done.anything = true;
                if !value.is_empty() {
                    done.secrets.push(value);
                }
            }
            Ok(Value::Default(value)) => {
                done.both(value);
                done.anything = true;
            }
            Err((message, suggestion)) => failures.push(Failure { expression: format!("${{{expression}}}"), message, suggestion }),
        }
        rest = after;
    }
    done.both(rest);
    if failures.is_empty() { Ok(done) } else { Err(failures) }
}

impl Done {
    fn both(&mut self, text: &str) {
        self.text.push_str(text);
        self.masked.push_str(text);
    }
}

enum Value<'a> {
    Outside(String),
    /// Stands in the file for everybody to read.
    Default(&'a str),
}

fn evaluate<'a>(expression: &'a str, at: Position, outside: &Outside<'_>, hidden: bool) -> Result<Value<'a>, (String, Option<String>)> {
    if let Some(variable) = expression.strip_prefix("env:") {
        let (name, default) = match variable.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (variable, None),
        };
        if hidden && !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(("an expression here does not name an environment variable".to_owned(), None));
        }
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err((format!("\"{}\" is not the name of an environment variable", Shown(name)), None));
        }
        return match ((outside.env)(name), default) {
            // As in a shell, `:-` also stands in for an empty variable.
            (Ok(value), Some(default)) if value.is_empty() => Ok(Value::Default(default)),
            (Ok(value), _) => Ok(Value::Outside(value)),
            (Err(VarError::NotPresent), Some(default)) => Ok(Value::Default(default)),
            (Err(VarError::NotPresent), None) => {
                Err((format!("the environment variable {name} is not set; set it, or give a default with ${{env:{name}:-…}}"), None))
            }
            (Err(VarError::NotUnicode(_)), _) => Err((format!("the environment variable {name} is not UTF-8 text"), None)),
        };
    }
    if let Some(path) = expression.strip_prefix("file:") {
        let directory = outside.directories.get(at.source).map(std::path::PathBuf::as_path).unwrap_or(std::path::Path::new(""));
        return read_file(&directory.join(path)).map(Value::Outside).map_err(|message| (message, None));
    }
    let rule = "${env:NAME}, ${env:NAME:-default} and ${file:path}; write \"$$\" for a plain dollar sign";
    // It may be part of a password.
    if hidden {
        return Err((format!("an expression here is none of {rule}"), None));
    }
    let message = format!("\"${{{}}}\" is none of {rule}", Shown(expression));
    let is_name = !expression.is_empty() && expression.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    Err((message, is_name.then(|| format!("${{env:{expression}}}"))))
}

/// The text of a file without the line break at its end.
fn read_file(path: &std::path::Path) -> Result<String, String> {
    let shown = path.display().to_string();
    let shown = Shown(&shown);
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(MOST_FILE_BYTES + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        return Err(match error.kind() {
            std::io::ErrorKind::NotFound => format!("the file \"{shown}\" does not exist"),
            std::io::ErrorKind::PermissionDenied => format!("the file \"{shown}\" cannot be read: permission denied"),
            kind => format!("the file \"{shown}\" cannot be read: {kind}"),
        });
    }
    if bytes.len() as u64 > MOST_FILE_BYTES {
        return Err(format!("the file \"{shown}\" is longer than {} KiB", MOST_FILE_BYTES >> 10));
    }
    let mut text = String::from_utf8(bytes).map_err(|_| format!("the file \"{shown}\" is not UTF-8 text"))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

/// Where the expression itself stands in the value's first line, or the value.
fn locate(node: &Node, expression: &str, outside: &Outside<'_>) -> Position {
    let found = (|| {
        let line = outside.sources.get(node.at.source)?.lines.get(usize::try_from(node.at.line).ok()?.checked_sub(1)?)?;
        let skipped = usize::try_from(node.at.column).ok()?.checked_sub(1)?;
        let from = line.char_indices().nth(skipped)?.0;
        let offset = line.get(from..)?.find(expression)?;
        let column = line.get(..from + offset)?.chars().count() + 1;
        u32::try_from(column).ok()
    })();
    Position { column: found.unwrap_or(node.at.column), ..node.at }
}
