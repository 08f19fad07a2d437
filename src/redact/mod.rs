//! What must not leave.
//!
//! Prompts carry what people type: addresses, cards, keys. This stage is the only door out, so whatever is written to
//! disk, network or screen has passed it. It finds by form and proof, not by guess: checksums, registries, and words
//! nearby decide, because a trace whose order numbers are gone is as useless as one that leaks is dangerous.
//!
//! One pass over the bytes wakes detectors at the few places where something could begin ([`scan`](self) explains how);
//! overlaps are settled, actions applied, and the result is passed again until nothing changes, so that redacting
//! twice equals once by construction. Text without findings is not copied.

mod action;
mod allow;
#[cfg(target_arch = "x86_64")]
mod avx2;
mod config;
mod context;
mod count;
mod custom;
mod cut;
mod deltas;
mod detectors;
mod dictionary;
mod door;
mod findings;
mod json;
mod keys;
mod kind;
mod loose;
mod meters;
mod names;
mod normal;
mod overlap;
mod parts;
mod redacted;
mod scan;
mod skim;
mod text;
mod walk;

pub use config::{
    Action, Allow, AllowOf, Binary, Config, ConfigError, Custom, Dictionary, DictionaryError, Entity, HashKey, Ip, Normalize, Oversize,
    Phone, Position, PrivateIp, Profile, Region, Validator, When, Window,
};
pub use dictionary::entries_of;
pub use door::{Redact, Redaction, pass_metrics};
pub use findings::{Finding, Findings};
pub use kind::Kind;
pub use meters::Meters;
pub use redacted::Redacted;

use action::Pseudonyms;
use allow::AllowList;
use custom::CustomSet;
use detectors::Limits;
use json::{Decoded, Token, Walked};
use names::Member;
use normal::Normal;
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use text::{Out, Text};

/// How deep JSON within JSON strings is opened.
const LEVELS: usize = 8;
/// How often a text is passed until nothing changes. Two is the rule; more means a placeholder completed something.
const ROUNDS: usize = 8;
/// Bytes of the shortest built-in finding, `a@b.de` or a password.
const SHORTEST: usize = 6;
/// How far an edit can change what is found beside it, in bytes: fifty characters of context, and the longest values.
const REACH: usize = 256;
/// Stands for a text that does not come to rest, which no known input achieves: better nothing than a leak.
const UNSETTLED: &str = "[REDACTION_ERROR]";
/// Stands for a text longer than `max_scan_bytes`.
const TOO_LARGE: &str = "[TOO_LARGE]";
/// Values under these names are ids of the trace itself.
const SKIPPED: &[&str] = &["traceid", "spanid", "parentspanid", "traceparent"];
/// Shortest and longest integer that can be somebody's number.
const INTEGER: std::ops::RangeInclusive<usize> = 6..=19;

/// Finds private data in text and writes something else in its place. Cheap to share: all methods take `&self`.
#[derive(Clone)]
pub struct Redactor {
    enabled: bool,
    limits: Limits,
    actions: [Action; Kind::BUILT_IN.len()],
    /// What `replace` writes where it is not `[TYPE]`, for all types and for each.
    template: Option<String>,
    templates: [Option<String>; Kind::BUILT_IN.len()],
    custom: CustomSet,
    normal: Normal,
    binary: Binary,
    scan_attribute_names: bool,
    join_parts: bool,
    join_deltas: bool,
    allow: AllowList,
    pseudonyms: Option<Pseudonyms>,
    max_scan_bytes: usize,
    oversize: Oversize,
    scan_keys: bool,
    skip_keys: Vec<String>,
    /// Every text makes a rule panic.
    #[cfg(test)]
    fail: bool,
}

/// One place where a text changes, or would.
struct Edit {
    start: usize,
    end: usize,
    kind: Kind,
    subtype: &'static str,
    /// `None` leaves the place as it is.
    new: Option<String>,
    /// The rest of a finding that began in a text before.
    goes_on: bool,
}

#[derive(Default)]
struct Sink {
    edits: Vec<Edit>,
    allowed: u64,
    /// Whether the text could change again if it passed once more.
    restless: bool,
}

impl Redactor {
    /// A redactor for this config.
    ///
    /// # Errors
    /// Everything that is wrong with the config, each with its key.
    pub fn new(config: &Config) -> Result<Redactor, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let mut limits = Limits::new(config.profile == Profile::Wide, config.ip.private == PrivateIp::Keep);
        limits.regions.clone_from(&config.phone.regions);
        let mut actions = [Action::Replace; Kind::BUILT_IN.len()];
        let mut templates = [const { None }; Kind::BUILT_IN.len()];
        for (kind, entity) in config.resolved_entities(&mut errors) {
            if entity.detect == When::NeedsContext && kind.context() == 0 {
                errors.push(ConfigError::NoContext { name: kind.name() });
            }
            limits.set(kind, entity.detect);
            if let Some(action) = kind.index().and_then(|at| actions.get_mut(at)) {
                *action = entity.action;
            }
            if let Some(template) = kind.index().and_then(|at| templates.get_mut(at)) {
                *template = entity.template;
            }
        }
        let custom = CustomSet::new(config, &mut errors);
        let names: Vec<&str> = custom.rules().map(|(name, _)| name).collect();
        let allow = AllowList::new(&config.allow, &names, &mut errors);
        if let Some(id) = config.hash_key_id.as_ref().filter(|id| !action::is_id(id)) {
            errors.push(ConfigError::HashKeyId { id: id.clone() });
        }
        let pseudonyms = config.hash_key.as_ref().and_then(|key| Pseudonyms::new(key, config.hash_key_id.clone()));
        let built_in = Kind::BUILT_IN.iter().zip(&actions).map(|(kind, &action)| (kind.name(), action));
        if let Some((name, _)) = built_in.chain(custom.rules()).find(|(_, action)| *action == Action::Hash && pseudonyms.is_none()) {
            errors.push(ConfigError::NoHashKey { name: name.to_owned() });
        }
        if config.max_scan_bytes == 0 {
            errors.push(ConfigError::NoScan);
        }
        let redactor = Redactor {
            enabled: config.enabled,
            limits,
            actions,
            template: Some(config.template.clone()).filter(|template| template != "[{type}]"),
            templates,
            normal: Normal::new(config),
            binary: config.binary,
            scan_attribute_names: config.scan_attribute_names,
            join_parts: config.join_parts,
            join_deltas: config.join_deltas,
            custom,
            allow,
            pseudonyms,
            max_scan_bytes: config.max_scan_bytes,
            oversize: config.oversize,
            scan_keys: config.scan_keys,
            skip_keys: config.skip_keys.iter().map(|key| squeeze(key)).collect(),
            #[cfg(test)]
            fail: false,
        };
        errors.extend(redactor.bad_templates());
        if errors.is_empty() { Ok(redactor) } else { Err(errors) }
    }

    /// Templates whose result would be found itself: redacting twice would not be redacting once.
    fn bad_templates(&self) -> Vec<ConfigError> {
        let mut bad: Vec<ConfigError> = Vec::new();
        for kind in Kind::BUILT_IN.iter().copied().chain(self.custom.kinds()) {
            let Some(template) = self.template(kind) else { continue };
            let written = template.replace("{type}", self.name(kind));
            let mut sink = Sink::default();
            self.pass(&written, None, false, &mut sink);
            let found = sink.edits.first();
            let reason = match found {
                _ if written.trim().is_empty() => "it is empty; use the action remove".to_owned(),
                _ if written.chars().any(char::is_control) => "it has line breaks or other control characters".to_owned(),
                Some(edit) => format!("it is found as {} itself", self.name(edit.kind)),
                None => continue,
            };
            let own = match kind {
                Kind::Custom(id) => self.custom.template(id),
                kind => kind.index().and_then(|at| self.templates.get(at)).and_then(Option::as_deref),
            };
            let key = if own.is_some() { format!("entities.{}.template", self.name(kind)) } else { "template".to_owned() };
            let seen = bad.iter().any(|error| matches!(error, ConfigError::Template { key: known, .. } if *known == key));
            if !seen {
                bad.push(ConfigError::Template { key, template: template.to_owned(), reason });
            }
        }
        bad
    }

    /// What `replace` writes for a type, where it is not `[TYPE]`.
    fn template(&self, kind: Kind) -> Option<&str> {
        let own = match kind {
            Kind::Custom(id) => self.custom.template(id),
            kind => kind.index().and_then(|at| self.templates.get(at)).and_then(Option::as_deref),
        };
        own.or(self.template.as_deref()).filter(|template| *template != "[{type}]")
    }

    /// The same without the instructions that only some processors have: what others run, for tests and benchmarks.
    #[must_use]
    pub fn portable(mut self) -> Redactor {
        self.limits.portable = true;
        self
    }

    /// The text without what must not leave; `None` if it may leave as it is, and then nothing was copied unless it is JSON
    /// with escapes. `key` is the name of the attribute or member that holds it: it counts as context.
    pub fn text(&self, text: &str, key: Option<&str>, findings: &mut Findings) -> Option<String> {
        if !self.enabled || key.is_some_and(|key| self.skips(key)) {
            return None;
        }
        // A mistake in a rule costs the value, not the span, and never lets it pass.
        let mut found = findings.like();
        match catch_unwind(AssertUnwindSafe(|| self.whole(text, key, &mut found))) {
            Ok(redacted) => {
                findings.absorb(found);
                redacted
            }
            Err(_) => {
                findings.add_error();
                Some(UNSETTLED.to_owned())
            }
        }
    }

    /// [`Redactor::text`] of a text that is to be redacted.
    fn whole(&self, text: &str, key: Option<&str>, findings: &mut Findings) -> Option<String> {
        #[cfg(test)]
        assert!(!self.fail, "a mistake in a rule");
        if text.len() <= self.max_scan_bytes {
            return self.settle(text, key, findings);
        }
        findings.add_unscanned();
        let mut cut = self.max_scan_bytes;
        while !text.is_char_boundary(cut) {
            cut -= 1;
        }
        let (head, tail) = text.split_at(cut);
        match self.oversize {
            Oversize::Drop => Some(TOO_LARGE.to_owned()),
            Oversize::Truncate => Some(self.settle(head, key, findings).unwrap_or_else(|| head.to_owned())),
            Oversize::Pass => self.settle(head, key, findings).map(|head| head + tail),
        }
    }

    /// Bytes without what must not leave; `None` if they may leave as they are. What is no UTF-8 bounds the texts around it, and stays.
    pub fn bytes(&self, bytes: &[u8], key: Option<&str>, findings: &mut Findings) -> Option<Vec<u8>> {
        let mut redacted: Option<Vec<u8>> = None;
        let mut at = 0;
        for chunk in bytes.utf8_chunks() {
            let (valid, invalid) = (chunk.valid(), chunk.invalid());
            if let Some(new) = self.text(valid, key, findings) {
                redacted.get_or_insert_with(|| bytes.get(..at).unwrap_or_default().to_vec()).extend_from_slice(new.as_bytes());
            } else if let Some(redacted) = &mut redacted {
                redacted.extend_from_slice(valid.as_bytes());
            }
            if let Some(redacted) = &mut redacted {
                redacted.extend_from_slice(invalid);
            }
            at += valid.len() + invalid.len();
        }
        redacted
    }

    /// The text that replaces an integer, if the integer is somebody's number: a card, or what its key says it is.
    pub fn int(&self, value: i64, key: Option<&str>, findings: &mut Findings) -> Option<String> {
        if !self.enabled || key.is_some_and(|key| self.skips(key)) {
            return None;
        }
        let digits = value.to_string();
        let mut sink = Sink::default();
        self.number(&digits, 0, key, &mut sink);
        findings.add_allowed(sink.allowed);
        let edit = sink.edits.into_iter().next()?;
        self.note(findings, Finding { kind: edit.kind, subtype: edit.subtype, start: 0, end: digits.len() });
        edit.new
    }

    /// The name of a type as it stands in placeholders, reports and metrics.
    pub fn name(&self, kind: Kind) -> &str {
        match kind {
            Kind::Custom(id) => self.custom.rule(id).map_or("CUSTOM", |(name, _)| name),
            kind => kind.name(),
        }
    }

    /// What is done to findings of a type.
    pub fn action(&self, kind: Kind) -> Action {
        match kind {
            Kind::Custom(id) => self.custom.rule(id).map_or(Action::Replace, |(_, action)| action),
            kind => kind.index().and_then(|at| self.actions.get(at)).copied().unwrap_or(Action::Replace),
        }
    }

    /// Whether names of attributes are redacted too.
    pub fn scans_attribute_names(&self) -> bool {
        self.enabled && self.scan_attribute_names
    }

    /// Whether parts of a message are read as one text.
    pub fn joins_parts(&self) -> bool {
        self.enabled && self.join_parts
    }

    /// Whether texts of events of a span are read as one text.
    pub fn joins_deltas(&self) -> bool {
        self.enabled && self.join_deltas
    }

    /// Whether bytes that are no text may not leave.
    pub fn drops_binary(&self) -> bool {
        self.enabled && self.binary == Binary::Drop
    }

    /// Whether names of members and keys of maps are redacted too.
    pub fn scans_keys(&self) -> bool {
        self.enabled && self.scan_keys
    }

    /// Passes a text until it stays as it is.
    fn settle(&self, text: &str, key: Option<&str>, findings: &mut Findings) -> Option<String> {
        let mut now = Cow::Borrowed(text);
        // From the positions of `now` back to those of `text`, one step per round.
        let mut ways: Vec<Vec<Moved>> = Vec::new();
        for round in 0..ROUNDS {
            let mut sink = Sink::default();
            self.collect(&now, key, 0, &mut sink);
            sink.edits.sort_by_key(|edit| edit.start);
            if round == 0 {
                findings.add_allowed(sink.allowed);
            }
            let changes = |edit: &Edit| edit.new.as_deref().is_some_and(|new| now.get(edit.start..edit.end).is_some_and(|old| old != new));
            for edit in sink.edits.iter().filter(|edit| !edit.goes_on && (round == 0 || changes(edit))) {
                let back = |at: usize, end: bool| ways.iter().rev().fold(at, |at, way| Moved::back(way, at, end));
                let (start, end) = (back(edit.start, false), back(edit.end, true));
                self.note(findings, Finding { kind: edit.kind, subtype: edit.subtype, start, end });
            }
            if !sink.edits.iter().any(changes) {
                return match now {
                    Cow::Borrowed(_) => None,
                    Cow::Owned(text) => Some(text),
                };
            }
            let (next, way) = apply(&now, &sink.edits);
            if !sink.restless && json::looks_like_json(&now) == json::looks_like_json(&next) {
                return Some(next);
            }
            now = Cow::Owned(next);
            ways.push(way);
        }
        findings.add_error();
        Some(UNSETTLED.to_owned())
    }

    /// Notes a finding, and what its action asks for.
    fn note(&self, findings: &mut Findings, finding: Finding) {
        let action = self.action(finding.kind);
        findings.ask(action == Action::DropAttribute, action == Action::DropSpan);
        findings.add(finding);
    }

    /// Collects the edits of a text: as JSON if it is some, with its escapes decoded if it has any, else as it is.
    fn collect(&self, text: &str, key: Option<&str>, level: usize, sink: &mut Sink) {
        // Attribute length limits cut JSON anywhere; then half an entity at the end counts.
        let mut walked = Walked::Broken;
        if level < LEVELS && json::looks_like_json(text) {
            let (edits, allowed, restless) = (sink.edits.len(), sink.allowed, sink.restless);
            walked = self.collect_json(text, key, level, sink);
            if walked == Walked::Whole {
                return;
            }
            sink.edits.truncate(edits);
            sink.allowed = allowed;
            sink.restless = restless;
        }
        let cut = walked == Walked::Cut;
        let escaped = memchr::memchr(b'\\', text.as_bytes()).is_some();
        if !escaped {
            return self.plain(text, key, cut, sink);
        }
        let decoded = Decoded::loose(text);
        let from = sink.edits.len();
        self.plain(&decoded.text, key, cut, sink);
        // What is escaped here may read differently the next time.
        sink.restless |= lift(sink, from, |at| decoded.raw(at));
    }

    /// Collects the edits of JSON; they count only if it is [`Walked::Whole`].
    fn collect_json(&self, text: &str, key: Option<&str>, level: usize, sink: &mut Sink) -> Walked {
        let from = sink.edits.len();
        let walked = self.collect_tokens(text, key, level, sink);
        if walked == Walked::Whole && self.join_parts {
            self.collect_parts(text, from, sink);
        }
        walked
    }

    /// Collects the edits of strings, numbers and names, each by itself.
    fn collect_tokens(&self, text: &str, key: Option<&str>, level: usize, sink: &mut Sink) -> Walked {
        // Member names of the objects that are open, innermost last.
        let mut names: Vec<Member> = Vec::new();
        json::walk(text, |token| match token {
            Token::String { start, end, key: member } => {
                let member = member.and_then(|(s, e)| text.get(s..e)).map(decoded);
                let member = member.as_deref().or(key);
                if member.is_none_or(|member| !self.skips(member)) {
                    self.string(text, start, end, member, level, sink);
                }
            }
            Token::Number { start, end, key: member } => {
                let member = member.and_then(|(s, e)| text.get(s..e)).map(decoded);
                let member = member.as_deref().or(key);
                if let Some(digits) = text.get(start..end)
                    && member.is_none_or(|member| !self.skips(member))
                {
                    let from = sink.edits.len();
                    self.number(digits, start, member, sink);
                    for edit in sink.edits.get_mut(from..).unwrap_or_default() {
                        edit.new = edit
                            .new
                            .take()
                            .map(|new| if new.is_empty() { "null".to_owned() } else { format!("\"{}\"", json::escape(&new)) });
                    }
                }
            }
            Token::Name { start, end, object } if self.scan_keys => {
                let from = sink.edits.len();
                self.string(text, start, end, None, level, sink);
                names.push(Member { object, start, end, edits: (from, sink.edits.len()) });
            }
            Token::Name { .. } => {}
            Token::ObjectEnd { object } => {
                let first = names.iter().rposition(|name| name.object < object).map_or(0, |outer| outer + 1);
                names::number(text, names.get(first..).unwrap_or_default(), sink);
                names.truncate(first);
            }
        })
    }

    /// Collects the edits of a JSON string that stands at `start..end` of the text.
    fn string(&self, text: &str, start: usize, end: usize, key: Option<&str>, level: usize, sink: &mut Sink) {
        let Some(raw) = text.get(start..end) else { return };
        if raw.len() < SHORTEST && self.custom.is_empty() {
            return;
        }
        let from = sink.edits.len();
        if memchr::memchr(b'\\', raw.as_bytes()).is_none() {
            self.collect(raw, key, level + 1, sink);
            lift(sink, from, |at| at + start);
        } else {
            let decoded = Decoded::string(raw);
            self.collect(&decoded.text, key, level + 1, sink);
            lift(sink, from, |at| decoded.raw(at) + start);
        }
    }

    /// Collects the edit of a number whose digits these are: it goes as a whole or not at all.
    fn number(&self, digits: &str, start: usize, key: Option<&str>, sink: &mut Sink) {
        if !INTEGER.contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return;
        }
        let mut found = Sink::default();
        self.plain(digits, key, false, &mut found);
        sink.allowed += found.allowed;
        sink.restless |= found.restless;
        sink.edits.extend(found.edits.into_iter().filter(|edit| edit.start == 0 && edit.end == digits.len()).map(|edit| Edit {
            start,
            end: start + digits.len(),
            ..edit
        }));
    }

    /// Collects the edits of a text that has no escapes.
    fn plain(&self, text: &str, key: Option<&str>, cut: bool, sink: &mut Sink) {
        let Some(view) = self.normal.view(text) else { return self.as_it_is(text, key, cut, sink) };
        let from = sink.edits.len();
        self.as_it_is(&view.text, key, cut, sink);
        for edit in sink.edits.get_mut(from..).unwrap_or_default() {
            (edit.start, edit.end) = view.raw(edit.start, edit.end);
        }
    }

    /// Collects the edits of a text as it is matched.
    fn as_it_is(&self, text: &str, key: Option<&str>, cut: bool, sink: &mut Sink) {
        let from = sink.edits.len();
        self.pass(text, key, cut, sink);
        if let Some(edits) = sink.edits.get(from..)
            && !sink.restless
            && edits.iter().any(|edit| edit.new.is_some())
        {
            sink.restless = self.changes_again(text, key, cut, edits);
        }
    }

    /// One pass over a text that has no escapes.
    fn pass(&self, text: &str, key: Option<&str>, cut: bool, sink: &mut Sink) {
        let mut out = Out::new(&self.limits);
        let mut inspected = Text::new(text, key, &self.limits);
        inspected.cut = cut;
        scan::scan(&inspected, &mut out);
        self.custom.find(text, key, &mut out.hits);
        if out.hits.is_empty() {
            return;
        }
        let before = out.hits.len();
        out.hits.retain(|hit| !self.allow.has(hit.kind, self.name(hit.kind), text.get(hit.start..hit.end).unwrap_or_default()));
        sink.allowed += (before - out.hits.len()) as u64;
        out.hits.retain(|hit| !action::in_placeholder(text, hit.start, hit.end, |name| self.action_of(name)));
        for hit in overlap::settle(out.hits) {
            let value = text.get(hit.start..hit.end).unwrap_or_default();
            let new = action::apply(
                self.action(hit.kind),
                hit.kind,
                self.name(hit.kind),
                self.template(hit.kind),
                value,
                self.pseudonyms.as_ref(),
            );
            sink.edits.push(Edit { start: hit.start, end: hit.end, kind: hit.kind, subtype: hit.subtype, new, goes_on: false });
        }
    }

    /// Whether the edited text would change once more. What an edit does to its surroundings ends where context ends, so only
    /// these are passed again; patterns of the user may reach anywhere.
    fn changes_again(&self, text: &str, key: Option<&str>, cut: bool, edits: &[Edit]) -> bool {
        if !self.custom.is_empty() {
            return true;
        }
        let mut rest = edits;
        while let Some(first) = rest.first() {
            let near = rest.windows(2).take_while(|pair| matches!(pair, [a, b] if b.start.saturating_sub(a.end) < 2 * REACH)).count() + 1;
            let (group, later) = rest.split_at(near);
            rest = later;
            let last = group.last().unwrap_or(first);
            let from = text.floor_char_boundary(first.start.saturating_sub(REACH));
            let to = text.ceil_char_boundary((last.end + REACH).min(text.len()));
            let around = spliced(text, from, to, group);
            let mut again = Sink::default();
            self.pass(&around, key, cut && to == text.len(), &mut again);
            if again.edits.iter().any(|edit| edit.new.as_deref().is_some_and(|new| around.get(edit.start..edit.end) != Some(new))) {
                return true;
            }
        }
        false
    }

    /// The action of the type with this name.
    fn action_of(&self, name: &str) -> Option<Action> {
        match Kind::of_name(name) {
            Some(kind) => Some(self.action(kind)),
            None => self.custom.rules().find(|(custom, _)| *custom == name).map(|(_, action)| action),
        }
    }

    fn skips(&self, key: &str) -> bool {
        let lead = key.bytes().find(|b| !matches!(b, b'-' | b'_' | b' ')).unwrap_or(0).to_ascii_lowercase();
        // Nearly every key differs in its first letter; only then the rest is compared.
        let is = |name: &str| {
            name.bytes().next().is_some_and(|first| first == lead || first >= 0x80)
                && key.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).flat_map(char::to_lowercase).eq(name.chars())
        };
        SKIPPED.iter().any(|name| is(name)) || self.skip_keys.iter().any(|name| is(name))
    }
}

impl std::fmt::Debug for Redactor {
    /// Neither the hash key nor the patterns print.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").field("enabled", &self.enabled).finish_non_exhaustive()
    }
}

/// The name of a member as it reads.
fn decoded(raw: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\\', raw.as_bytes()).is_some() { Cow::Owned(Decoded::string(raw).text) } else { Cow::Borrowed(raw) }
}

/// Lower case without `-`, `_` and spaces.
fn squeeze(key: &str) -> String {
    key.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).flat_map(char::to_lowercase).collect()
}

/// Moves edits from a decoded text to the text it came from, where quotes hold them; answers whether any had to be escaped.
fn lift(sink: &mut Sink, from: usize, raw: impl Fn(usize) -> usize) -> bool {
    let mut escaped = false;
    for edit in sink.edits.get_mut(from..).unwrap_or_default() {
        edit.start = raw(edit.start);
        edit.end = raw(edit.end);
        if let Some(new) = edit.new.as_mut().filter(|new| new.contains(|c: char| c == '"' || c == '\\' || c < ' ')) {
            *new = json::escape(new);
            escaped = true;
        }
    }
    escaped
}

/// What `start..end` becomes.
fn spliced(text: &str, start: usize, end: usize, edits: &[Edit]) -> String {
    let mut at = start;
    let mut all = String::with_capacity(end.saturating_sub(start) + 64);
    for edit in edits {
        if let Some(new) = &edit.new {
            all.push_str(text.get(at..edit.start).unwrap_or_default());
            all.push_str(new);
            at = edit.end;
        }
    }
    all + text.get(at..end).unwrap_or_default()
}

/// A replaced stretch, before and after.
struct Moved {
    old: (usize, usize),
    new: (usize, usize),
}

impl Moved {
    /// The position in the old text of one in the new; inside a replacement, its edge.
    fn back(way: &[Moved], at: usize, end: bool) -> usize {
        let begun = way.partition_point(|moved| moved.new.0 < at || (!end && moved.new.0 == at));
        match begun.checked_sub(1).and_then(|last| way.get(last)) {
            None => at,
            Some(moved) if at < moved.new.1 || (end && at == moved.new.1) => {
                if end {
                    moved.old.1
                } else {
                    moved.old.0
                }
            }
            Some(moved) => moved.old.1 + (at - moved.new.1),
        }
    }
}

/// Builds the new text in one pass. Edits are in order and do not overlap.
fn apply(text: &str, edits: &[Edit]) -> (String, Vec<Moved>) {
    let mut new = String::with_capacity(text.len());
    let mut way = Vec::with_capacity(edits.len());
    let mut at = 0;
    for edit in edits {
        let Some(replacement) = edit.new.as_deref().filter(|_| edit.start >= at) else { continue };
        new.push_str(text.get(at..edit.start).unwrap_or_default());
        let start = new.len();
        new.push_str(replacement);
        way.push(Moved { old: (edit.start, edit.end), new: (start, new.len()) });
        at = edit.end;
    }
    new.push_str(text.get(at..).unwrap_or_default());
    (new, way)
}

#[cfg(test)]
mod accuracy;
#[cfg(test)]
mod tests;
