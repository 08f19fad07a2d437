//! From texts to a typed config, or to everything that is wrong with them.
//!
//! Nobody wants to learn of the second mistake after mending the first. So the tree is read again and again,
//! each time without the places already reported, until it can be read or enough is said.

use super::de::{De, Pass, address};
use super::interpolate::{self, Env, Outside};
use super::locate::{Verdict, judge};
use super::problem::{Problem, Problems, Words};
use super::tree::{Key, Kind, MASK, Node, Path, Position, Segment, Shown, Source, Tree, next_segment};
use super::yaml;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::env::VarError;
use std::io::Read;
use std::path::PathBuf;

/// Most problems reported at once: more than anyone mends before trying again.
const MOST_PROBLEMS: usize = 50;
/// Most reads of one tree; each one reports, prunes or reinterprets at least one value.
const MOST_READS: usize = 2_000;
/// Most values read over all reads of one tree: about a second's work.
const MOST_VALUES: usize = 10_000_000;

/// Where a config comes from: files, then single settings that go before them.
pub struct Sources {
    layers: Vec<Layer>,
    env: Box<Env>,
}

enum Layer {
    File(PathBuf),
    Text { name: String, bytes: Vec<u8> },
    Set(String),
}

impl Default for Sources {
    fn default() -> Sources {
        Sources { layers: Vec::new(), env: Box::new(|name| std::env::var(name)) }
    }
}

impl Sources {
    /// Nothing: every section has its defaults.
    pub fn new() -> Sources {
        Sources::default()
    }

    /// A YAML file. Its sections are laid over those of files before it, key by key.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Sources {
        self.layers.push(Layer::File(path.into()));
        self
    }

    /// A YAML text with a name to report it by.
    #[must_use]
    pub fn text(mut self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Sources {
        self.layers.push(Layer::Text { name: name.into(), bytes: bytes.into() });
        self
    }

    /// One setting, `a.b.c=value` or `a.list[0].b=value`; the value is YAML.
    #[must_use]
    pub fn set(mut self, assignment: impl Into<String>) -> Sources {
        self.layers.push(Layer::Set(assignment.into()));
        self
    }

    /// Another environment than that of the process.
    #[must_use]
    pub fn env(mut self, env: impl Fn(&str) -> Result<String, VarError> + 'static) -> Sources {
        self.env = Box::new(env);
        self
    }
}

/// A config that was read without a problem.
pub struct Loaded<T> {
    /// The values.
    pub value: T,
    /// What is not wrong but should be known.
    pub warnings: Vec<Problem>,
    /// What was written and where, without secrets.
    pub tree: Tree,
}

/// What checks after reading have to say; see [`load_checked`].
pub struct Findings<'a> {
    tree: &'a Tree,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Findings<'_> {
    /// Whether the value at `path` stands in the file for all its readers to see.
    pub(super) fn is_literal(&self, path: &str) -> bool {
        self.tree.resolve(path).1.expanded.is_none()
    }

    /// The config as written, for [`Problem::at`].
    pub fn tree(&self) -> &Tree {
        self.tree
    }

    /// Something wrong with the value at `path` of the config as it was read; as in [`Problem::at`].
    pub fn problem(&mut self, path: &str, message: impl Into<String>) {
        self.report(Problem::at(self.tree, &as_written(self.tree, path), message));
    }

    /// Something to know about the value at `path` of the config as it was read.
    pub fn warning(&mut self, path: &str, message: impl Into<String>) {
        self.warnings.push(Problem::at(self.tree, &as_written(self.tree, path), message));
    }

    /// A problem made elsewhere.
    pub fn report(&mut self, problem: Problem) {
        // What rests on a value that was left out would be reported twice.
        if !is_incomplete(self.tree, &problem.path.to_string()) {
            self.problems.push(problem);
        }
    }
}

/// The path in the file of what was read as `path`: items of a list that were left out as wrong are not there to be counted.
fn as_written(tree: &Tree, path: &str) -> String {
    let (mut written, mut node, mut rest) = (String::new(), &tree.root, path);
    while let Some((segment, after)) = next_segment(node, rest.strip_prefix('.').unwrap_or(rest)) {
        let segment = match (segment, &node.kind) {
            (Segment::Index(number), Kind::Seq(items)) => {
                let read = items.iter().enumerate().filter(|(_, item)| item.pruned.is_none()).map(|(place, _)| place);
                let place = read.clone().nth(number).unwrap_or(number);
                written.push_str(&format!("[{place}]"));
                Segment::Index(place)
            }
            (segment, _) => {
                written.push_str(rest.strip_suffix(after).unwrap_or(rest));
                segment
            }
        };
        rest = after;
        let Some(child) = node.child(&segment) else { break };
        node = child;
    }
    written + rest
}

/// Whether something at or below `path`, or on the way to it, was reported and left out.
fn is_incomplete(tree: &Tree, path: &str) -> bool {
    let (found, node) = tree.resolve(path);
    let on_the_way = |steps: usize| tree.root.get(&Path(found.0.iter().take(steps).cloned().collect()));
    let mut incomplete = (0..=found.0.len()).any(|steps| on_the_way(steps).is_some_and(|node| node.pruned.is_some()));
    let shown = found.to_string();
    match path.strip_prefix(&shown).unwrap_or("").trim_start_matches('.') {
        "" => node.walk(&mut Path::default(), &mut |_, node| incomplete |= node.pruned.is_some()),
        // Not there: was it left out under a misspelt name?
        rest => {
            let next = rest.split(['.', '[']).next().unwrap_or(rest);
            if let Kind::Map(entries) = &node.kind {
                incomplete |= entries.iter().any(|(_, node)| node.pruned.as_ref().is_some_and(|why| why.stands_for == next));
            }
        }
    }
    incomplete
}

/// Reads the sources into `T`.
///
/// # Errors
/// Everything wrong with them, up to fifty problems, in the order of the text.
pub fn load<T: DeserializeOwned>(sources: Sources) -> Result<Loaded<T>, Problems> {
    load_checked(sources, |_, _| {})
}

/// The same with checks that need the whole: they run even after other problems, on what could be read, so
/// that one run tells all.
///
/// # Errors
/// As [`load`], and what `check` reports.
pub fn load_checked<T: DeserializeOwned>(sources: Sources, check: impl FnOnce(&T, &mut Findings<'_>)) -> Result<Loaded<T>, Problems> {
    let (mut tree, mut problems, complete) = read_sources(&sources);
    let mut secrets = Vec::new();
    let mut value = None;
    let mut warnings = Vec::new();
    if complete {
        value = read_tree::<T>(&mut tree.root, &mut problems);
        tree.root.walk(&mut Path::default(), &mut |path, node| collect_secrets(path, node, &mut secrets));
        if let Some(value) = &value {
            let mut findings = Findings { tree: &tree, problems: Vec::new(), warnings: Vec::new() };
            check(value, &mut findings);
            problems.append(&mut findings.problems);
            warnings = findings.warnings;
        }
    }
    for problem in problems.iter_mut().chain(&mut warnings) {
        scrub(problem, &tree, &secrets);
        problem.finish(&tree);
    }
    let more = problems.len() > MOST_PROBLEMS;
    problems.truncate(MOST_PROBLEMS);
    problems.sort_by_key(|problem| problem.at);
    match value {
        Some(value) if problems.is_empty() => {
            tree.forget_secrets();
            Ok(Loaded { value, warnings, tree })
        }
        _ => Err(Problems { found: problems, more }),
    }
}

/// Merges and expands all sources. Not complete: a text that could not be parsed or found.
fn read_sources(sources: &Sources) -> (Tree, Vec<Problem>, bool) {
    let (mut read, mut directories, mut problems): (Vec<Source>, Vec<PathBuf>, Vec<Problem>) = Default::default();
    let mut root = Node::new(Kind::Map(Vec::new()), Position::default());
    let mut complete = true;
    for layer in &sources.layers {
        let index = read.len();
        let nowhere = Position { source: index, line: 0, column: 0 };
        let (name, directory, text) = match layer {
            Layer::File(path) => {
                let directory = path.parent().map(PathBuf::from).unwrap_or_default();
                (path.display().to_string(), directory, read_file(path).and_then(|bytes| decode(&bytes, nowhere)))
            }
            Layer::Text { name, bytes } => (name.clone(), PathBuf::new(), decode(bytes, nowhere)),
            Layer::Set(assignment) => {
                read.push(Source { name: "--set".to_owned(), lines: Vec::new() });
                directories.push(PathBuf::new());
                complete &= set(&mut root, assignment, index, &mut problems);
                continue;
            }
        };
        directories.push(directory);
        match text {
            Ok(text) => {
                read.push(Source { name, lines: text.split('\n').map(|line| line.trim_end_matches('\r').to_owned()).collect() });
                let (node, mut found) = yaml::parse(index, &text);
                problems.append(&mut found);
                match node {
                    Some(node) => merge(&mut root, node),
                    None => complete = false,
                }
            }
            Err(failure) => {
                read.push(Source { name, lines: failure.lines });
                problems.push(Problem::new(Position { source: index, ..failure.at }, Path::default(), failure.message).syntax());
                complete = false;
            }
        }
    }
    if complete {
        let outside = Outside { env: &*sources.env, directories: &directories, sources: &read };
        interpolate::expand(&mut root, &outside, &mut problems);
    }
    (Tree { root, sources: read.into() }, problems, complete)
}

struct Unreadable {
    at: Position,
    message: String,
    lines: Vec<String>,
}

fn read_file(path: &std::path::Path) -> Result<Vec<u8>, Unreadable> {
    let mut bytes = Vec::new();
    let most = yaml::MOST_BYTES as u64 + 1;
    match std::fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes)) {
        Ok(_) => Ok(bytes),
        Err(error) => {
            let message = match error.kind() {
                std::io::ErrorKind::NotFound => "this file does not exist".to_owned(),
                std::io::ErrorKind::PermissionDenied => "this file cannot be read: permission denied".to_owned(),
                std::io::ErrorKind::IsADirectory => "this is a directory; give the file in it".to_owned(),
                kind => format!("this file cannot be read: {kind}"),
            };
            Err(Unreadable { at: Position::default(), message, lines: Vec::new() })
        }
    }
}

fn decode(bytes: &[u8], at: Position) -> Result<String, Unreadable> {
    if bytes.len() > yaml::MOST_BYTES {
        let message = format!("longer than {} MiB, the most a config may be", yaml::MOST_BYTES >> 20);
        return Err(Unreadable { at, message, lines: Vec::new() });
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(Unreadable { at, message: "this is UTF-16; save it as UTF-8".to_owned(), lines: Vec::new() });
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => {
            let before = String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or_default()).into_owned();
            let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
            let line = count(before.split('\n').count());
            let column = count(before.rsplit('\n').next().unwrap_or("").chars().count()).saturating_add(1);
            let message = "a byte here is not UTF-8; save the file as UTF-8".to_owned();
            let lines = String::from_utf8_lossy(bytes).split('\n').map(|line| line.trim_end_matches('\r').to_owned()).collect();
            Err(Unreadable { at: Position { line, column, ..at }, message, lines })
        }
    }
}

/// Lays one tree over another: sections key by key, anything else as a whole.
fn merge(base: &mut Node, over: Node) {
    match (&mut base.kind, over.kind) {
        (Kind::Map(entries), Kind::Map(more)) => {
            base.at = over.at;
            let places: HashMap<String, usize> = entries.iter().enumerate().map(|(index, (key, _))| (key.name.clone(), index)).collect();
            for (key, node) in more {
                match places.get(&key.name).and_then(|index| entries.get_mut(*index)) {
                    Some((own, below)) => {
                        own.at = key.at;
                        merge(below, node);
                    }
                    None => entries.push((key, node)),
                }
            }
        }
        // An empty file changes nothing.
        (Kind::Map(_), Kind::Null) if base.at.line == 0 => base.at = over.at,
        (_, kind) => *base = Node { kind, ..over },
    }
}

/// Applies `a.b=value`; false if it cannot be read.
fn set(root: &mut Node, assignment: &str, source: usize, problems: &mut Vec<Problem>) -> bool {
    let at = Position { source, line: 0, column: 0 };
    let Some((path, value)) = assignment.split_once('=') else {
        problems.push(Problem::new(at, Path::default(), "a setting is written as key.path=value"));
        return false;
    };
    let path = path.trim();
    let here = Path(vec![Segment::Key(path.to_owned())]);
    let (value, found) = yaml::parse(source, value);
    let failed = !found.is_empty();
    problems.extend(found.into_iter().map(|mut problem| {
        problem.path = here.clone();
        problem
    }));
    let Some(value) = value.filter(|_| !failed) else { return false };
    match set_below(root, path, value, 0) {
        Ok(()) => true,
        Err(message) => {
            problems.push(Problem::new(at, here, message));
            false
        }
    }
}

fn set_below(node: &mut Node, rest: &str, value: Node, depth: usize) -> Result<(), String> {
    let rest = rest.strip_prefix('.').unwrap_or(rest);
    let Some((segment, after)) = next_segment(node, rest).filter(|_| depth < 32) else {
        return Err("this is not the path of a key, such as service.logs.level".to_owned());
    };
    if let Segment::Key(name) = &segment {
        if matches!(node.kind, Kind::Null) {
            node.kind = Kind::Map(Vec::new());
        }
        match &mut node.kind {
            Kind::Map(_) if name.is_empty() => return Err("a key on this path is empty".to_owned()),
            Kind::Map(entries) if entries.iter().all(|(key, _)| key.name != *name) => {
                entries.push((Key { name: name.clone(), at: value.at }, Node::new(Kind::Null, value.at)));
            }
            Kind::Map(_) => {}
            Kind::Null | Kind::Scalar { .. } | Kind::Seq(_) => {
                return Err(format!("\"{}\" cannot be set: what holds it is no section", Shown(name)));
            }
        }
    }
    let Some(child) = node.child_mut(&segment) else {
        return Err("there is no item with this number".to_owned());
    };
    if after.is_empty() {
        *child = value;
        return Ok(());
    }
    set_below(child, after, value, depth + 1)
}

/// Reads until nothing new is wrong. `None` if even the rest cannot be read.
fn read_tree<T: DeserializeOwned>(root: &mut Node, problems: &mut Vec<Problem>) -> Option<T> {
    let mut values = 1;
    root.each_mut(&mut |_| values += 1);
    let reads = (MOST_VALUES / values).clamp(2 * MOST_PROBLEMS, MOST_READS);
    for _ in 0..reads {
        let pass = Pass::default();
        let outcome = T::deserialize(De { node: root, pass: &pass });
        let secrets = pass.secrets.take();
        if !secrets.is_empty() {
            root.each_mut(&mut |node| node.secret |= secrets.contains(&address(node)));
        }
        let error = match outcome {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        match judge(error, &pass, root) {
            Verdict::Again => {}
            Verdict::Report(problem) => problems.push(problem),
            Verdict::Last(problem) => {
                problems.push(problem);
                return None;
            }
            Verdict::Stop => return None,
        }
        if problems.len() > MOST_PROBLEMS {
            return None;
        }
    }
    problems.push(Problem::new(root.at, Path::default(), "too much is wrong to tell it apart"));
    None
}

fn collect_secrets(path: &Path, node: &Node, secrets: &mut Vec<String>) {
    if let Some(expanded) = &node.expanded {
        secrets.extend(expanded.secrets.iter().cloned());
    }
    if let Kind::Scalar { text, .. } = &node.kind
        && (node.secret || path.sounds_secret())
        && !text.is_empty()
    {
        secrets.push(text.clone());
    }
}

/// Takes secrets out of a message, whatever the reader of the value has put into it.
fn scrub(problem: &mut Problem, tree: &Tree, secrets: &[String]) {
    /// A shorter one is found in any sentence by chance; it matters only in what is said of its own place.
    const TELLING: usize = 8;
    /// So much of a secret in what is said of its own place gives too much of it away.
    const PART: usize = 4;
    if problem.words == Words::Ours {
        return;
    }
    let mut own = Vec::new();
    if let Some(node) = tree.root.get(&problem.path) {
        node.walk(&mut problem.path.clone(), &mut |path, node| collect_secrets(path, node, &mut own));
    }
    let everywhere = secrets.iter().filter(|secret| secret.chars().count() >= TELLING);
    for secret in own.iter().chain(everywhere) {
        let escaped = format!("{secret:?}");
        for form in [secret.as_str(), escaped.trim_matches('"'), &Shown(secret).to_string()] {
            problem.message = mask(&problem.message, form, secret.chars().count() >= TELLING);
        }
        if problem.suggestion.as_ref().is_some_and(|suggestion| suggestion.contains(secret.as_str())) {
            problem.suggestion = None;
        }
    }
    if problem.words == Words::Checks {
        return;
    }
    // A reader may also have taken it apart or changed its case.
    let message: Vec<char> = problem.message.to_lowercase().chars().collect();
    let leaks = |secret: &String| {
        let secret: Vec<char> = secret.to_lowercase().chars().collect();
        secret.windows(PART).any(|part| part.iter().all(|c| c.is_alphanumeric()) && message.windows(PART).any(|window| window == part))
    };
    if own.iter().any(leaks) {
        problem.message = "the value is not valid here; it is not shown, because it is secret".to_owned();
    }
}

/// Puts the mask over each `form`: where it stands alone, or, if it is telling, even inside a word.
fn mask(message: &str, form: &str, telling: bool) -> String {
    if form.is_empty() {
        return message.to_owned();
    }
    let (mut masked, mut rest) = (String::new(), message);
    while let Some((before, after)) = rest.split_once(form) {
        let in_word =
            masked.chars().chain(before.chars()).next_back().is_some_and(char::is_alphanumeric) || after.starts_with(char::is_alphanumeric);
        masked.push_str(before);
        masked.push_str(if telling || !in_word { MASK } else { form });
        rest = after;
    }
    masked + rest
}
