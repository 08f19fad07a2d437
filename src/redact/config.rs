//! `processors.redaction`: what is looked for, what happens to it, what is left alone.
//!
//! Everything a user can get wrong here is an error at load. A pattern that is skipped at run time, or a hash
//! without a key, would be a leak that nobody notices.

use crate::redact::Kind;
use crate::units::ByteSize;
use serde::Deserialize;
use serde::de::{self, Deserializer};
use std::collections::BTreeMap;
use std::path::PathBuf;
use thiserror::Error;

/// The section of the config file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether anything is redacted. Default true; `false` lets every value leave as it came.
    pub enabled: bool,
    /// Which types are looked for where nothing else is said. Default `default`.
    pub profile: Profile,
    /// What is done per type: `EMAIL: hash`, `PHONE: off`, or `{ action: mask, detect: needs_context }`.
    pub entities: BTreeMap<String, Entity>,
    /// What `replace` writes, with `{type}` for the type. Default `[{type}]`.
    pub template: String,
    /// Patterns of the user.
    pub custom: Vec<Custom>,
    /// Names and terms of the user.
    pub dictionaries: Vec<Dictionary>,
    /// The secret of the action `hash`. Required as soon as one type is hashed; the same key gives the same pseudonyms.
    pub hash_key: Option<HashKey>,
    /// Written into pseudonyms as `[TYPE:id:…]`, so that old and new keys can be told apart. Letters and digits.
    pub hash_key_id: Option<String>,
    /// What stays, although it was found.
    pub allow: Allow,
    /// Where redaction stands on the path of a span. Default `auto`: after sampling, unless spans are journaled in the clear.
    pub position: Position,
    /// Longer texts are not scanned. Default 64 MiB.
    #[serde(deserialize_with = "size")]
    pub max_scan_bytes: usize,
    /// What becomes of a text longer than `max_scan_bytes`. Default `drop`.
    pub oversize: Oversize,
    /// Whether member names of JSON objects are redacted too. Default true.
    pub scan_keys: bool,
    /// Whether names of attributes are redacted too. Default false: traces are searched by them.
    pub scan_attribute_names: bool,
    /// What counts as a plain sign. Default `none`.
    pub normalize: Normalize,
    /// Whether signs without width (U+200B to U+200D, U+2060, U+FEFF, U+00AD) inside a value are passed over. Default false.
    pub ignore_zero_width: bool,
    /// Whether quoted-printable text (`=40` for `@`) is read as what it encodes. Default false.
    pub quoted_printable: bool,
    /// Whether the text parts of one message are read as one text. Default true.
    pub join_parts: bool,
    /// Whether texts of the same key in the events of a span are read as one text, as chunks of a stream. Default false.
    pub join_deltas: bool,
    /// What becomes of bytes that are no text. Default `keep`.
    pub binary: Binary,
    /// Names of attributes and JSON members whose values are never scanned, next to `trace_id` and `span_id`.
    pub skip_keys: Vec<String>,
    /// Address settings.
    pub ip: Ip,
    /// Telephone settings.
    pub phone: Phone,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            enabled: true,
            profile: Profile::Default,
            entities: BTreeMap::new(),
            template: "[{type}]".to_owned(),
            custom: Vec::new(),
            dictionaries: Vec::new(),
            hash_key: None,
            hash_key_id: None,
            allow: Allow::default(),
            position: Position::Auto,
            max_scan_bytes: 64 << 20,
            oversize: Oversize::Drop,
            scan_keys: true,
            scan_attribute_names: false,
            normalize: Normalize::None,
            ignore_zero_width: false,
            quoted_printable: false,
            join_parts: true,
            join_deltas: false,
            binary: Binary::Keep,
            skip_keys: Vec::new(),
            ip: Ip::default(),
            phone: Phone::default(),
        }
    }
}

/// A set of types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// What hardly ever hits by accident.
    #[default]
    Default,
    /// Also every number that passes a national checksum, without words around it.
    Wide,
}

/// Which signs are matched as others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalize {
    /// Every sign is itself.
    #[default]
    None,
    /// Signs of full width (U+FF01 to U+FF5E) are matched as those of ASCII.
    Fullwidth,
}

/// What becomes of bytes that are no text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Binary {
    /// They stay; stretches of them that are text are redacted.
    #[default]
    Keep,
    /// They are replaced by the text `[BINARY]`.
    Drop,
}

/// Where redaction stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Position {
    /// After sampling, or before it where spans would otherwise reach a disk in the clear.
    #[default]
    Auto,
    /// Every span, on arrival.
    BeforeSampling,
    /// Kept spans only, as they leave the sampler.
    AfterSampling,
}

/// What becomes of a text that is too long to scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Oversize {
    /// It is replaced by `[TOO_LARGE]`.
    #[default]
    Drop,
    /// Its first `max_scan_bytes` are scanned and kept, the rest is cut.
    Truncate,
    /// Its first `max_scan_bytes` are scanned, the rest passes unread.
    Pass,
}

/// What is done to a finding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// `[TYPE]`
    #[default]
    Replace,
    /// `[TYPE:hhhhhhhhhhhhhhhh]`, the first 64 bits of a keyed HMAC-SHA-256.
    Hash,
    /// Stars, but for the last four letters or digits.
    Mask,
    /// Nothing is left.
    Remove,
    /// The attribute it stands in goes; where there is none to go, `[TYPE]`.
    DropAttribute,
    /// The span it stands in goes, and is counted as lost.
    DropSpan,
    /// Counted, and left as it is.
    Detect,
}

impl Action {
    /// As it stands in the config and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::Replace => "replace",
            Action::Hash => "hash",
            Action::Mask => "mask",
            Action::Remove => "remove",
            Action::DropAttribute => "drop_attribute",
            Action::DropSpan => "drop_span",
            Action::Detect => "detect",
        }
    }
}

/// When a type is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Never.
    Off,
    /// As the profile says.
    On,
    /// Only with one of its context words nearby.
    NeedsContext,
    /// Wherever format and validator hold, even where the profile asks for context.
    Always,
}

/// One entry of `entities`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    /// What is done; default `replace`.
    pub action: Action,
    /// When it is found; default `on`.
    pub detect: When,
    /// What `replace` writes for this type; default that of all types.
    pub template: Option<String>,
}

impl Entity {
    const fn new(action: Action, detect: When) -> Entity {
        Entity { action, detect, template: None }
    }
}

impl<'de> Deserialize<'de> for Entity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Entity, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Full {
            #[serde(default)]
            action: Action,
            #[serde(default = "on")]
            detect: When,
            #[serde(default)]
            template: Option<String>,
        }
        fn on() -> When {
            When::On
        }
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Entity;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("replace, hash, mask, remove, drop_attribute, drop_span, detect, on, off, needs_context, always, or { action, detect, template }")
            }
            fn visit_bool<E: de::Error>(self, on: bool) -> Result<Entity, E> {
                // YAML 1.1 reads a bare `off` as false.
                Ok(Entity::new(Action::Replace, if on { When::On } else { When::Off }))
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<Entity, E> {
                let with = |action| Entity::new(action, When::On);
                let when = |detect| Entity::new(Action::Replace, detect);
                Ok(match word {
                    "replace" => with(Action::Replace),
                    "hash" => with(Action::Hash),
                    "mask" => with(Action::Mask),
                    "remove" => with(Action::Remove),
                    "drop_attribute" => with(Action::DropAttribute),
                    "drop_span" => with(Action::DropSpan),
                    "detect" => with(Action::Detect),
                    "on" => when(When::On),
                    "off" => when(When::Off),
                    "needs_context" => when(When::NeedsContext),
                    "always" => when(When::Always),
                    _ => return Err(E::invalid_value(de::Unexpected::Str(word), &self)),
                })
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Entity, A::Error> {
                let full = Full::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Entity { action: full.action, detect: full.detect, template: full.template })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A pattern of the user.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Custom {
    /// Its name in placeholders and counts: capitals, digits and `_`.
    pub name: String,
    /// A regular expression of the `regex` crate: linear time, no look-around. It may not match the empty string.
    pub pattern: String,
    /// What is done; default `replace`.
    #[serde(default)]
    pub action: Action,
    /// The capture group that is redacted; default 0, the whole match.
    #[serde(default)]
    pub group: usize,
    /// Words of which one must stand near the match, in any case, or be its key. Default none: no word is needed.
    #[serde(default)]
    pub context: Vec<String>,
    /// Characters before and after the match in which a word counts; default 50 before and 20 after.
    #[serde(default)]
    pub window: Window,
    /// A check that the match must pass, read from its digits, or letters and digits. Default none.
    #[serde(default)]
    pub validator: Option<Validator>,
    /// Values that stay although they match. Default none.
    #[serde(default)]
    pub allow: Vec<String>,
    /// What `replace` writes; default that of all types.
    #[serde(default)]
    pub template: Option<String>,
}

/// How far a word of context may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Window {
    /// Characters before the match.
    pub before: usize,
    /// Characters after it.
    pub after: usize,
}

impl Default for Window {
    fn default() -> Window {
        Window { before: 50, after: 20 }
    }
}

/// Check digits that a pattern of the user can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validator {
    /// ISO/IEC 7812, of cards and many numbers.
    Luhn,
    /// ISO 13616, as in an IBAN: the first four signs moved to the end, remainder 1 of 97.
    Mod97,
    /// ISO 7064 MOD 97-10 over the digits as they stand: remainder 1.
    Mod97_10,
    /// ISO 7064 MOD 11,10.
    Mod11_10,
    /// ISO 7064 MOD 11-2; the last sign may be X.
    Mod11_2,
    /// Verhoeff's scheme.
    Verhoeff,
    /// Damm's scheme.
    Damm,
}

/// Names and terms of the user: entries here, in a file, or both.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dictionary {
    /// Its name in placeholders and counts; default `NAME`.
    pub name: String,
    /// Entries.
    pub entries: Vec<String>,
    /// A file with an entry a line, read at load; lines that begin with `#` are comments.
    pub file: Option<PathBuf>,
    /// Whether upper and lower case are the same. Default true. Marks on letters always count.
    pub fold_case: bool,
    /// What is done; default `replace`.
    pub action: Action,
    /// What `replace` writes; default that of all types.
    pub template: Option<String>,
}

impl Default for Dictionary {
    fn default() -> Dictionary {
        Dictionary { name: "NAME".to_owned(), entries: Vec::new(), file: None, fold_case: true, action: Action::Replace, template: None }
    }
}

/// What stays.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Allow {
    /// Domains (`example.org`, with those below it) and whole addresses (`help@example.org`) of e-mails.
    pub emails: Vec<String>,
    /// Exact values of any type.
    pub strings: Vec<String>,
    /// Patterns that match a whole value of any type.
    pub regexes: Vec<String>,
    /// Networks of addresses: `203.0.113.0/24`, `2001:db8::/32`, or one address.
    pub cidrs: Vec<String>,
    /// Values and patterns of one type: `PHONE: { strings: [...], regexes: [...] }`.
    pub types: BTreeMap<String, AllowOf>,
}

/// What stays of one type.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AllowOf {
    /// Exact values.
    pub strings: Vec<String>,
    /// Patterns that match a whole value.
    pub regexes: Vec<String>,
}

/// Telephone settings.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Phone {
    /// Countries, as `GB`, whose numbers the profile `wide` takes without separators and without a word nearby. Default none.
    pub regions: Vec<Region>,
}

/// A country whose national numbers are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum Region {
    At,
    Au,
    Be,
    Br,
    Ch,
    Cn,
    De,
    Es,
    Fr,
    Gb,
    Il,
    In,
    It,
    Jp,
    Kr,
    Mx,
    Nl,
    Pl,
    Se,
    Sg,
    Us,
    Za,
}

/// Address settings.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ip {
    /// Private and documentation ranges; default `redact`.
    pub private: PrivateIp,
}

/// What is done with addresses that lead nowhere from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrivateIp {
    /// They are redacted like any other.
    #[default]
    Redact,
    /// They stay.
    Keep,
}

/// A secret that does not print.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct HashKey(String);

impl HashKey {
    /// A key from its text.
    pub fn new(text: &str) -> HashKey {
        HashKey(text.to_owned())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey(…)")
    }
}

/// Why a config cannot be used. Each names the key it is about, and what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No such type.
    #[error("processors.redaction.entities.{name}: no such type; {hint}")]
    UnknownEntity {
        /// As written.
        name: String,
        /// The nearest type, or where patterns go.
        hint: String,
    },
    /// The type has no context words.
    #[error("processors.redaction.entities.{name}: needs_context has no words for this type; use on or off")]
    NoContext {
        /// The type.
        name: &'static str,
    },
    /// The pattern does not compile, or is too large.
    #[error("processors.redaction.{key}: \"{pattern}\" is not usable: {reason}")]
    Pattern {
        /// Key below `processors.redaction`.
        key: String,
        /// As written.
        pattern: String,
        /// One line.
        reason: String,
    },
    /// The pattern matches the empty string.
    #[error("processors.redaction.{key}: \"{pattern}\" matches the empty string; make it require at least one character")]
    EmptyMatch {
        /// Key below `processors.redaction`.
        key: String,
        /// As written.
        pattern: String,
    },
    /// The pattern has no such group.
    #[error("processors.redaction.{key}: the pattern has no group {group}")]
    NoGroup {
        /// Key below `processors.redaction`.
        key: String,
        /// As written.
        group: usize,
    },
    /// The name is taken, or not writable as a placeholder.
    #[error("processors.redaction.{key}: \"{name}\" cannot name a type: {reason}")]
    Name {
        /// Key below `processors.redaction`.
        key: String,
        /// As written.
        name: String,
        /// What a name must be.
        reason: &'static str,
    },
    /// Something is hashed, and there is no key.
    #[error(
        "processors.redaction.hash_key: {name} is hashed, which needs a key of at least 16 bytes; set hash_key, or choose another action"
    )]
    NoHashKey {
        /// The first type that is hashed.
        name: String,
    },
    /// The rotation id cannot be written into a placeholder.
    #[error("processors.redaction.hash_key_id: \"{id}\" must be 1 to 16 letters or digits")]
    HashKeyId {
        /// As written.
        id: String,
    },
    /// Not a network.
    #[error("processors.redaction.allow.cidrs: \"{value}\" is not an address or a network such as 203.0.113.0/24")]
    Cidr {
        /// As written.
        value: String,
    },
    /// What `replace` writes would be found itself, or cannot be told from nothing.
    #[error("processors.redaction.{key}: \"{template}\" is no placeholder: {reason}")]
    Template {
        /// Key below `processors.redaction`.
        key: String,
        /// As written.
        template: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A dictionary that cannot be used.
    #[error("processors.redaction.{key}: {source}")]
    Dictionary {
        /// Key below `processors.redaction`.
        key: String,
        /// What is wrong with it.
        source: DictionaryError,
    },
    /// A limit of nothing.
    #[error("processors.redaction.max_scan_bytes: 0 would scan nothing; use enabled: false to switch redaction off")]
    NoScan,
}

/// Why a dictionary cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DictionaryError {
    /// Nothing in it.
    #[error("the dictionary has no entries; give entries or a file")]
    Empty,
    /// An entry that would be found everywhere.
    #[error("an entry has fewer than two letters or digits")]
    Short,
    /// An entry of a length no name has.
    #[error("an entry is longer than {0} bytes")]
    Long(usize),
    /// More entries than all dictionaries may have.
    #[error("all dictionaries together have more than {0} entries")]
    TooMany(usize),
    /// The automaton does not fit.
    #[error("the entries are too large to be searched for; split the dictionary")]
    TooLarge,
    /// Its file was not read before.
    #[error("{0:?} was not read into entries")]
    Unread(PathBuf),
}

impl Config {
    /// Every entry of `entities` with its type.
    ///
    /// # Errors
    /// Names that are no type, with the nearest one.
    pub(crate) fn resolved_entities(&self, errors: &mut Vec<ConfigError>) -> Vec<(Kind, Entity)> {
        let mut resolved = Vec::new();
        for (name, entity) in &self.entities {
            match Kind::of_name(name) {
                Some(kind) => resolved.push((kind, entity.clone())),
                None => errors.push(ConfigError::UnknownEntity { name: name.clone(), hint: nearest(name) }),
            }
        }
        resolved
    }
}

/// The type whose name is closest.
pub(crate) fn nearest(name: &str) -> String {
    let upper = name.to_uppercase();
    let best = Kind::BUILT_IN.iter().map(|kind| (strsim::damerau_levenshtein(&upper, kind.name()), kind.name())).min();
    match best {
        Some((distance, close)) if distance <= 3 => format!("did you mean {close}?"),
        _ => "patterns of your own go into custom".to_owned(),
    }
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    ByteSize::deserialize(deserializer).map(ByteSize::as_usize)
}

#[cfg(test)]
mod tests {
    use super::{Action, Config, Entity, Oversize, Position, Profile, When};

    #[test]
    fn the_documented_shape_is_read() {
        let yaml = "profile: wide\nentities: { EMAIL: hash, PHONE: off, US_SSN: { action: mask, detect: always } }\n\
            custom: [ { name: TICKET, pattern: 'TCK-\\d{6}', action: hash } ]\nhash_key: 0123456789abcdef\nallow: { emails: [example.org] }\n\
            position: before_sampling\nmax_scan_bytes: 2MiB\noversize: pass\n";
        let config: Config = serde_yaml::from_str(yaml).unwrap();
        assert_eq!(config.profile, Profile::Wide);
        assert_eq!(config.entities["EMAIL"], Entity::new(Action::Hash, When::On));
        assert_eq!(config.entities["PHONE"].detect, When::Off);
        assert_eq!(config.entities["US_SSN"], Entity::new(Action::Mask, When::Always));
        assert_eq!((config.position, config.oversize, config.max_scan_bytes), (Position::BeforeSampling, Oversize::Pass, 2 << 20));
        assert!(!format!("{config:?}").contains("0123456789abcdef"));
    }

    #[test]
    fn an_unknown_key_or_action_is_refused() {
        assert!(serde_yaml::from_str::<Config>("entites: {}").is_err());
        assert!(serde_yaml::from_str::<Config>("entities: { EMAIL: burn }").is_err());
        assert!(serde_yaml::from_str::<Config>("max_scan_bytes: lots").is_err());
    }
}
