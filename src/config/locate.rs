//! From serde's error to the place in the file and the words for it.
//!
//! serde puts some values aside before it reads them (`#[serde(tag = "type")]` and the like) and so loses
//! where they came from. The place is found again by what it found: texts are lent from the tree, so their
//! address tells; numbers are looked for by value. What cannot be found is reported at the section.

use super::de::{Pass, address};
use super::error::{Error, ErrorKind, Found};
use super::problem::{Problem, Words};
use super::tree::{Kind, Node, Path, Pruned, Reading, Segment, Shown};

/// What to do about an error.
pub(super) enum Verdict {
    /// Read once more: the tree was changed so that this error does not come again.
    Again,
    /// Report, then read once more without the place in question.
    Report(Problem),
    /// Report; nothing else can be read.
    Last(Problem),
    /// Nothing new is wrong, and nothing else can be read.
    Stop,
}

/// Finds place and words, and takes the place out of the next read.
pub(super) fn judge(error: Error, pass: &Pass, root: &mut Node) -> Verdict {
    let (mut path, mut at_key) = (error.path(), error.at_key);
    let Some(node) = root.get(&path) else {
        return Verdict::Last(Problem::new(root.at, path, "cannot be read"));
    };
    let buffered = pass.buffered.borrow().contains(&address(node));
    if !at_key && let Some((below, key)) = find_below(&error.kind, node, buffered) {
        path.0.extend(below.0);
        at_key = key;
    }
    let Some(node) = root.get(&path) else {
        return Verdict::Last(Problem::new(root.at, path, "cannot be read"));
    };
    if !at_key && let Some(reading) = other_reading(&error.kind, node) {
        reread(root, &path, reading);
        return Verdict::Again;
    }
    if !at_key && let Some(consequence) = consequence_of(&error.kind, node) {
        let mut path = path;
        path.0.extend(consequence.0);
        let name = last_name(&path);
        return if prune(root, &path, name, false) { Verdict::Again } else { Verdict::Stop };
    }
    let problem = describe(error.kind, root, node, &path, at_key);
    let stands_for = problem.suggestion.clone().filter(|_| at_key).unwrap_or_else(|| last_name(&path));
    if prune(root, &path, stands_for, at_key) { Verdict::Report(problem) } else { Verdict::Last(problem) }
}

fn last_name(path: &Path) -> String {
    match path.0.last() {
        Some(Segment::Key(name)) => name.clone(),
        _ => String::new(),
    }
}

/// Takes a place out of the next read; false for the whole file.
fn prune(root: &mut Node, path: &Path, stands_for: String, unknown: bool) -> bool {
    match root.get_mut(path) {
        Some(node) if !path.0.is_empty() && node.pruned.is_none() => {
            node.pruned = Some(Pruned { stands_for, unknown });
            true
        }
        _ => false,
    }
}

/// The place below `node` that the error speaks of, and whether it is a key.
fn find_below(kind: &ErrorKind, node: &Node, buffered: bool) -> Option<(Path, bool)> {
    if !matches!(node.kind, Kind::Map(_) | Kind::Seq(_)) {
        return None;
    }
    let value = |found: Option<Path>| found.map(|path| (path, false));
    match kind {
        ErrorKind::Type { found, .. } | ErrorKind::Value { found, .. } => match found {
            Found::Text { text, address } => value(find_text(node, text, *address)),
            Found::Plain(text) => value(find(node, |_, node| match &node.kind {
                Kind::Scalar { text: own, .. } => node.reading != Reading::Typed && same_value(own, text),
                _ => false,
            })),
            Found::Nothing => value(find(node, |_, node| matches!(node.kind, Kind::Null) && node.reading == Reading::AsWritten)),
            Found::List if buffered => value(find_only(node, |node| matches!(node.kind, Kind::Seq(_)))),
            Found::Map if buffered => value(find_only(node, |node| matches!(node.kind, Kind::Map(_)))),
            Found::List | Found::Map | Found::Other(_) => None,
        },
        ErrorKind::UnknownField { name, address, .. } => find_key(node, name, *address).map(|path| (path, true)),
        ErrorKind::UnknownVariant { name, address, .. } => {
            value(find_text(node, name, *address)).or_else(|| find_key(node, name, *address).map(|path| (path, true)))
        }
        ErrorKind::Custom(message) => value(find_only(node, |node| match &node.kind {
            Kind::Scalar { text, .. } if !text.is_empty() => {
                message.contains(&format!("\"{text}\"")) || message.split(' ').next() == Some(text)
            }
            _ => false,
        })),
        ErrorKind::MissingField(_) | ErrorKind::DuplicateField(_) | ErrorKind::Length { .. } => None,
    }
}

fn same_value(own: &str, found: &str) -> bool {
    own == found || matches!((own.parse::<f64>(), found.parse::<f64>()), (Ok(a), Ok(b)) if a == b) || own.eq_ignore_ascii_case(found)
}

fn find_text(node: &Node, text: &str, address: usize) -> Option<Path> {
    let lent = |own: &Node| matches!(&own.kind, Kind::Scalar { text: own, .. } if !own.is_empty() && own.as_ptr().addr() == address);
    find(node, |_, node| lent(node)).or_else(|| find(node, |_, node| matches!(&node.kind, Kind::Scalar { text: own, .. } if own == text)))
}

/// The first value below `node`, itself left out, that is still read and for which `wanted` holds.
fn find(node: &Node, wanted: impl Fn(&Path, &Node) -> bool) -> Option<Path> {
    all(node, wanted).into_iter().next()
}

/// The same if there is only one.
fn find_only(node: &Node, wanted: impl Fn(&Node) -> bool) -> Option<Path> {
    let found = all(node, |_, node| wanted(node));
    if found.len() == 1 { found.into_iter().next() } else { None }
}

fn all(node: &Node, wanted: impl Fn(&Path, &Node) -> bool) -> Vec<Path> {
    let mut found = Vec::new();
    live(node, &mut Path::default(), &mut |path, node| {
        if !path.0.is_empty() && wanted(path, node) {
            found.push(path.clone());
        }
    });
    found
}

fn live<'a>(node: &'a Node, path: &mut Path, visit: &mut impl FnMut(&Path, &'a Node)) {
    if node.pruned.is_some() {
        return;
    }
    visit(path, node);
    let mut step = |segment: Segment, node: &'a Node| {
        path.0.push(segment);
        live(node, path, visit);
        path.0.pop();
    };
    match &node.kind {
        Kind::Map(entries) => entries.iter().for_each(|(key, node)| step(Segment::Key(key.name.clone()), node)),
        Kind::Seq(items) => items.iter().enumerate().for_each(|(index, node)| step(Segment::Index(index), node)),
        Kind::Null | Kind::Scalar { .. } => {}
    }
}

fn find_key(node: &Node, name: &str, address: usize) -> Option<Path> {
    let (mut lent, mut named) = (None, None);
    live(node, &mut Path::default(), &mut |path, node| {
        let Kind::Map(entries) = &node.kind else { return };
        for (key, value) in entries.iter().filter(|(key, _)| key.name == name) {
            if value.pruned.is_none() {
                let found = path.join(Segment::Key(key.name.clone()));
                if key.name.as_ptr().addr() == address {
                    lent.get_or_insert(found);
                } else {
                    named.get_or_insert(found);
                }
            }
        }
    });
    lent.or(named)
}

/// Whether the value would do if it were read in another way.
fn other_reading(kind: &ErrorKind, node: &Node) -> Option<Reading> {
    let (ErrorKind::Type { found, expected } | ErrorKind::Value { found, expected }) = kind else { return None };
    match (&node.kind, found, node.reading) {
        (Kind::Scalar { .. }, Found::Plain(_), Reading::AsWritten) if expected.contains("string") => Some(Reading::Text),
        (Kind::Scalar { text, .. }, Found::Text { .. }, Reading::AsWritten | Reading::Text) => {
            let numeric = matches!(
                expected.as_str(),
                "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize" | "f32" | "f64"
            );
            let number = numeric && text.parse::<f64>().is_ok();
            let flag =
                expected == "a boolean" && matches!(text.to_ascii_lowercase().as_str(), "yes" | "no" | "on" | "off" | "true" | "false");
            (number || flag).then_some(Reading::Typed)
        }
        (Kind::Null, Found::Nothing, Reading::AsWritten) if expected.starts_with("struct ") || expected == "a map" => {
            Some(Reading::EmptyMap)
        }
        (Kind::Null, Found::Nothing, Reading::AsWritten) if expected == "a sequence" => Some(Reading::EmptySeq),
        _ => None,
    }
}

fn reread(root: &mut Node, path: &Path, reading: Reading) {
    if let Some(node) = root.get_mut(path) {
        node.reading = reading;
    }
    // The items of a list are of one type: what holds for one saves asking for each.
    if let (Reading::Text, Some((Segment::Index(_), parent))) = (reading, path.0.split_last())
        && let Some(Node { kind: Kind::Seq(items), .. }) = root.get_mut(&Path(parent.to_vec()))
    {
        for item in items.iter_mut().filter(|item| matches!(item.kind, Kind::Scalar { .. }) && item.reading == Reading::AsWritten) {
            item.reading = Reading::Text;
        }
    }
}

/// The section to leave out if the error only follows from places left out before.
fn consequence_of(kind: &ErrorKind, node: &Node) -> Option<Path> {
    let mut pruned: Vec<(Path, &Pruned)> = Vec::new();
    node.walk(&mut Path::default(), &mut |path, node| {
        if let (Some((_, parent)), Some(why)) = (path.0.split_last(), &node.pruned) {
            pruned.push((Path(parent.to_vec()), why));
        }
    });
    match kind {
        ErrorKind::MissingField(name) => {
            let is_read = |path: &Path| {
                (0..=path.0.len()).all(|n| node.get(&Path(path.0.iter().take(n).cloned().collect())).is_some_and(|n| n.pruned.is_none()))
            };
            pruned.into_iter().find(|(path, why)| why.stands_for == *name && is_read(path)).map(|(path, _)| path)
        }
        ErrorKind::Custom(_) | ErrorKind::Length { .. } | ErrorKind::Type { found: Found::Nothing, .. } if !pruned.is_empty() => {
            Some(Path::default())
        }
        _ => None,
    }
}

fn describe(kind: ErrorKind, root: &Node, node: &Node, path: &Path, at_key: bool) -> Problem {
    let key = root.key_at(path);
    let by_key = at_key || matches!(kind, ErrorKind::MissingField(_)) || !matches!(node.kind, Kind::Scalar { .. });
    let hidden = !at_key && (node.secret || node.expanded.as_ref().is_some_and(|e| !e.secrets.is_empty()) || path.sounds_secret());
    let by_reader = matches!(kind, ErrorKind::Custom(_));
    let (message, suggestion) = words(kind, hidden, at_key);
    let mut problem = match key {
        Some(key) if by_key => Problem::new(key.at, path.clone(), message).width(u32::try_from(key.name.chars().count()).unwrap_or(1)),
        _ => Problem::new(node.at, path.clone(), message).width(node.width),
    };
    problem.suggestion = suggestion;
    if by_reader {
        problem.words = Words::Readers;
    }
    if at_key { problem.at_key() } else { problem }
}

/// Message and suggestion.
fn words(kind: ErrorKind, hidden: bool, at_key: bool) -> (String, Option<String>) {
    match kind {
        ErrorKind::Type { found, expected } | ErrorKind::Value { found, expected } => {
            let expected = plain_words(&expected);
            let message = match found {
                Found::Nothing => format!("is empty; expected {expected}"),
                _ if expected.contains("variant") => "needs more than its name".to_owned(),
                Found::List | Found::Map => format!("expected {expected}, found {found}"),
                _ if hidden => format!("expected {expected}"),
                found => format!("expected {expected}, found {found}"),
            };
            (message, None)
        }
        ErrorKind::Length { found, expected } => (format!("expected {}, found {found} items", plain_words(&expected)), None),
        ErrorKind::UnknownField { name, valid, .. } => unknown("key", &name, valid, false),
        ErrorKind::UnknownVariant { name, valid, .. } => unknown(if at_key { "key" } else { "value" }, &name, valid, hidden),
        ErrorKind::MissingField(name) => (format!("the key \"{name}\" is missing"), None),
        ErrorKind::DuplicateField(name) => (format!("\"{name}\" is set twice, under two spellings"), None),
        ErrorKind::Custom(message) if message.starts_with("data did not match any variant of untagged enum") => {
            ("has none of the forms that are accepted here".to_owned(), None)
        }
        ErrorKind::Custom(message) => (message, None),
    }
}

fn unknown(what: &str, name: &str, valid: &[&str], hidden: bool) -> (String, Option<String>) {
    let name_shown = if hidden { String::new() } else { format!(" \"{}\"", Shown(name)) };
    let near = if hidden { None } else { nearest(name, valid) };
    let mut message = format!("unknown {what}{name_shown}");
    if valid.is_empty() {
        message.push_str("; none is valid here");
    } else if valid.len() <= 16 || near.is_none() {
        message.push_str(&format!("; valid here: {}", valid.join(", ")));
    }
    (message, near.map(str::to_owned))
}

/// The valid name that was probably meant.
///
/// Separators and case are no difference (`decisionWait`); otherwise a third of the letters may be wrong,
/// two letters swapped counting once.
pub(super) fn nearest<'a>(name: &str, valid: &[&'a str]) -> Option<&'a str> {
    let bare = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).take(64).collect::<String>();
    let name = bare(name);
    valid
        .iter()
        .map(|candidate| {
            let other = bare(candidate);
            let allowed = name.chars().count().max(other.chars().count()) / 3;
            (strsim::osa_distance(&name, &other), allowed.max(1), *candidate)
        })
        .filter(|(distance, allowed, candidate)| distance <= allowed && *distance < candidate.chars().count())
        .min_by_key(|(distance, _, _)| *distance)
        .map(|(_, _, candidate)| candidate)
}

/// serde's name for a type in words a reader of YAML knows.
fn plain_words(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number of 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a string" | "a borrowed string" | "path string" | "a secret string" => "text",
        "a sequence" => "a list, such as [a, b]",
        "a map" => "a section of \"key: value\" lines",
        other if other.starts_with("struct ") || other.starts_with("internally tagged enum") => "a section of \"key: value\" lines",
        other if other.starts_with("tuple") || other.starts_with("an array") => "a list, such as [a, b]",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_finds_its_name_and_another_word_does_not() {
        let valid = ["decision_wait", "policies", "always_keep", "id"];
        for (name, meant) in
            [("decison_wait", "decision_wait"), ("decisionWait", "decision_wait"), ("polices", "policies"), ("alwyas_keep", "always_keep")]
        {
            assert_eq!(nearest(name, &valid), Some(meant), "{name}");
        }
        for name in ["timeout", "x", "", "keep", "policy_order"] {
            assert_eq!(nearest(name, &valid), None, "{name}");
        }
    }
}
