//! Headers that go with every request. Their values are secrets: tokens, as a rule.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Headers the transport sets itself; another value would break the request.
const RESERVED: [&str; 8] =
    ["connection", "content-encoding", "content-length", "content-type", "host", "te", "transfer-encoding", "upgrade"];

/// Words of a value from this length on are taken for tokens.
const LONG_WORD: usize = 8;

/// Names and secret values. Neither `Debug` nor `Serialize` shows a value.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(HeaderMap);

/// The text of a value; under this name the config reader knows not to show it.
#[derive(Deserialize)]
#[serde(rename = "tollgate::Secret")]
struct SecretText(String);

impl Headers {
    /// For a request. The values are marked sensitive: they are not printed and not kept in HPACK tables.
    pub(crate) fn map(&self) -> &HeaderMap {
        &self.0
    }

    /// `text` with every value, and every long word of one, replaced: backends repeat tokens in their error messages.
    pub(crate) fn scrub(&self, text: &str) -> String {
        let values = self.0.values().filter_map(|value| value.to_str().ok());
        let words = values.flat_map(|value| [value].into_iter().chain(value.split([' ', ':', '=', ',', ';'])));
        words.filter(|word| word.len() >= LONG_WORD).fold(text.to_owned(), |text, word| text.replace(word, "***"))
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.keys().map(|name| (name.as_str(), "***"))).finish()
    }
}

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for name in self.0.keys() {
            map.serialize_entry(name.as_str(), "***")?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Headers, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Headers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of header names and values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
                let mut headers = HeaderMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    let SecretText(text) = map.next_value()?;
                    let (name, value) = check(&name, &text).map_err(de::Error::custom)?;
                    headers.insert(name, value);
                }
                Ok(Headers(headers))
            }
        }
        deserializer.deserialize_map(Map)
    }
}

fn check(name: &str, text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("\"{name}\" is not the name of a header"))?;
    if RESERVED.contains(&parsed.as_str()) || parsed.as_str().starts_with("grpc-") {
        return Err(format!("the header \"{name}\" is set by the transport"));
    }
    let mut value = HeaderValue::from_str(text.trim()).map_err(|_| format!("the value of \"{name}\" has characters no header may have"))?;
    value.set_sensitive(true);
    Ok((parsed, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_no_error_and_no_debug_output() {
        let read = |yaml: &str| serde_yaml::from_str::<Headers>(yaml).map_err(|e| e.to_string());
        let headers = read("{authorization: Bearer tok-12345}").unwrap();
        assert_eq!(headers.map()["authorization"], "Bearer tok-12345");
        assert_eq!(format!("{headers:?}"), r#"{"authorization": "***"}"#);
        assert_eq!(format!("{:?}", headers.map()["authorization"]), "Sensitive");
        assert!(!read("{authorization: \"tok-12345\\n\"}").map_or_else(|e| e, |h| format!("{h:?}")).contains("12345"));
        assert!(!read("{authorization: \"tok\\u0001-12345\"}").unwrap_err().contains("12345"));
    }

    #[test]
    fn headers_of_the_transport_are_refused() {
        for name in ["content-type", "Content-Length", "grpc-timeout", "te", "bad name"] {
            assert!(check(name, "x").is_err(), "{name}");
        }
        assert!(check("x-scope-orgid", "1").is_ok());
    }

    #[test]
    fn a_token_that_a_backend_repeats_is_scrubbed() {
        let headers = serde_yaml::from_str::<Headers>("{authorization: Bearer tok-12345}").unwrap();
        assert_eq!(headers.scrub("bad token tok-12345!"), "bad token ***!");
        assert_eq!(headers.scrub("quota exceeded"), "quota exceeded");
    }
}
