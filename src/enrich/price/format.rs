//! `tollgate-prices/1` as it is written, before anything in it is believed.
//!
//! Every scalar keeps its text and its line. Rates become numbers later and never pass through a float; unknown keys are
//! set aside instead of ending the read, so that one look at a table reports all that is wrong with it.

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_yaml::{Location, Spanned};
use std::fmt;

/// A scalar as written, with its place.
pub type Text = Spanned<String>;

/// Declares a map whose keys are all optional, and which keeps the keys it does not know.
macro_rules! record {
    ($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $ty:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name {
            $($(#[$fdoc])* pub $field: $ty,)*
            /// Keys that mean nothing here.
            pub unknown: Vec<Text>,
            /// Where it begins, if it is known.
            pub at: Option<Location>,
        }

        impl $name {
            /// The keys that mean something here.
            pub const KEYS: &'static [&'static str] = &[$(stringify!($field),)*];
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                struct Keys;
                impl<'de> Visitor<'de> for Keys {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a map of ")?;
                        f.write_str(&$name::KEYS.join(", "))
                    }
                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                        let mut record = $name::default();
                        while let Some(key) = map.next_key::<Text>()? {
                            record.at.get_or_insert(key.referenced);
                            match key.value.as_str() {
                                $(stringify!($field) => record.$field = map.next_value()?,)*
                                _ => {
                                    map.next_value::<IgnoredAny>()?;
                                    record.unknown.push(key);
                                }
                            }
                        }
                        Ok(record)
                    }
                }
                deserializer.deserialize_map(Keys)
            }
        }
    };
}

record! {
    /// A whole file.
    File {
        /// `tollgate-prices/1`.
        format: Option<Text>,
        /// The day it speaks for.
        as_of: Option<Text>,
        /// `USD`.
        currency: Option<Text>,
        /// For people.
        sources: IgnoredAny,
        /// By canonical id.
        providers: Providers,
    }
}

record! {
    /// One provider's section.
    Provider {
        /// Other spellings of its id.
        aliases: Vec<Text>,
        /// Host names that are its own.
        hosts: Vec<Host>,
        /// Beginnings of model names that are its own.
        owns: Vec<Text>,
        /// Geographic prefixes that may be left off.
        strip: Vec<Text>,
        /// Providers that are another door to the same maker.
        same_as: Vec<Text>,
        /// Providers whose list prices it resells at.
        like: Vec<Text>,
        /// Surcharges and discounts.
        multipliers: Vec<Multiplier>,
        /// The models.
        models: Vec<Model>,
    }
}

record! {
    /// One model.
    Model {
        /// Its name here and in `price_id`.
        id: Option<Text>,
        /// Other whole names.
        names: Vec<Text>,
        /// Names that may be followed by a revision.
        prefixes: Vec<Text>,
        /// Regular expressions over whole names.
        patterns: Vec<Text>,
        /// What it cost, when.
        prices: Vec<Price>,
        /// Or: whose prices it has.
        same_as: Option<Text>,
        /// Other kinds of service.
        variants: Vec<Variant>,
        /// Surcharges and discounts.
        multipliers: Vec<Multiplier>,
        /// For people.
        source: IgnoredAny,
        /// For people.
        note: IgnoredAny,
        /// For people.
        disputed: IgnoredAny,
    }
}

record! {
    /// A price and when it holds.
    Price {
        /// First day or instant.
        from: Option<Text>,
        /// Hours of the day.
        daily: Option<Daily>,
        /// USD per million tokens.
        rates: Pairs,
        /// Rates past a number of prompt tokens.
        tiers: Vec<Tier>,
        /// USD per thousand.
        fees: Pairs,
        /// USD per hour or million characters.
        units: Pairs,
    }
}

record! {
    /// Hours of the day, UTC, end excluded.
    Daily {
        /// First minute.
        from: Option<Text>,
        /// First minute after.
        to: Option<Text>,
        /// Days of the week; none given is all.
        days: Vec<Text>,
    }
}

record! {
    /// Rates past a number of prompt tokens.
    Tier {
        /// Begins one token later.
        above: Option<Text>,
        /// Begins here.
        at_least: Option<Text>,
        /// USD per million tokens.
        rates: Pairs,
    }
}

record! {
    /// Another price for a kind of service.
    Variant {
        /// What the call must be.
        when: Conditions,
        /// First day or instant.
        from: Option<Text>,
        /// On the standard rates.
        factor: Option<Text>,
        /// For these classes only.
        keys: Vec<Text>,
        /// Or rates of its own.
        rates: Pairs,
        /// Of its own rates.
        tiers: Vec<Tier>,
        /// USD per thousand.
        fees: Pairs,
        /// USD per hour or million characters.
        units: Pairs,
    }
}

record! {
    /// A surcharge or discount on every token line.
    Multiplier {
        /// What the call must be.
        when: Conditions,
        /// What it must not be.
        unless: Conditions,
        /// For these entries only.
        models: Vec<Text>,
        /// By how much.
        factor: Option<Text>,
    }
}

/// A map in the order it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Ordered<V>(pub Vec<(Text, V)>);

/// Names and amounts.
pub type Pairs = Ordered<Text>;
/// Context keys and the values that will do.
pub type Conditions = Ordered<OneOrMany>;
/// Providers by id.
pub type Providers = Ordered<Provider>;

impl<V> Default for Ordered<V> {
    fn default() -> Self {
        Ordered(Vec::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Ordered<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<V>(std::marker::PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Entries<V> {
            type Value = Ordered<V>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Ordered<V>, E> {
                Ok(Ordered::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered<V>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered(entries))
            }
        }
        deserializer.deserialize_map(Entries(std::marker::PhantomData))
    }
}

/// `us` or `[us, eu]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OneOrMany(pub Vec<String>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values;
        impl<'de> Visitor<'de> for Values {
            type Value = OneOrMany;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value or a list of values")
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany(vec![value.to_owned()]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<OneOrMany, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = seq.next_element::<String>()? {
                    values.push(value);
                }
                Ok(OneOrMany(values))
            }
        }
        deserializer.deserialize_any(Values)
    }
}

/// `api.example.com`, or `{match: "*.example.com", region: "*"}`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Host {
    /// The host, with `*` for any text.
    pub name: String,
    /// Where it is; `*` is what the `*` of the name stood for.
    pub region: Option<String>,
    /// Keys that mean nothing here.
    pub unknown: Vec<Text>,
}

impl<'de> Deserialize<'de> for Host {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HostVisitor;
        impl<'de> Visitor<'de> for HostVisitor {
            type Value = Host;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a host name, or a map of match and region")
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Host, E> {
                Ok(Host { name: value.to_owned(), ..Host::default() })
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Host, A::Error> {
                let mut host = Host::default();
                while let Some(key) = map.next_key::<Text>()? {
                    match key.value.as_str() {
                        "match" => host.name = map.next_value()?,
                        "region" => host.region = map.next_value()?,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            host.unknown.push(key);
                        }
                    }
                }
                Ok(host)
            }
        }
        deserializer.deserialize_any(HostVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_keeps_the_text_it_was_written_in() {
        let pairs: Pairs = serde_yaml::from_str("input: 0.10\noutput: 1e-3\ncache_read: 3\n").unwrap();
        let texts: Vec<_> = pairs.0.iter().map(|(k, v)| (k.value.as_str(), v.value.as_str())).collect();
        assert_eq!(texts, [("input", "0.10"), ("output", "1e-3"), ("cache_read", "3")]);
        assert_eq!(pairs.0[1].1.referenced.line(), 2);
    }

    #[test]
    fn an_unknown_key_is_kept_with_its_line() {
        let price: Price = serde_yaml::from_str("rates: {input: 1}\nrate: {output: [1]}\nfrom: 2026-01-01\n").unwrap();
        assert_eq!(price.unknown.len(), 1);
        assert_eq!((price.unknown[0].value.as_str(), price.unknown[0].referenced.line()), ("rate", 2));
        assert_eq!(price.from.unwrap().value, "2026-01-01");
    }

    #[test]
    fn a_host_is_a_name_or_a_map() {
        let hosts: Vec<Host> = serde_yaml::from_str("[\"*.a.com\", {match: b.com, region: eu}]").unwrap();
        assert_eq!((hosts[0].name.as_str(), hosts[1].region.as_deref()), ("*.a.com", Some("eu")));
    }
}
