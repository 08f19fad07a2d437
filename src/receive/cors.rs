//! Which web pages may send: the answer to the question a browser asks first.
//!
//! Source: the Fetch standard, "CORS protocol".

use crate::receive::config::Cors as Settings;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method};

/// What a page may set without having been named in the config: everything OTLP/HTTP needs.
const HEADERS: &str = "content-type, content-encoding, authorization";

/// Origins, headers and how long that holds.
pub(super) struct Cors {
    origins: Vec<String>,
    headers: HeaderValue,
    any_header: bool,
    max_age: Option<HeaderValue>,
}

impl Cors {
    pub(super) fn new(settings: &Settings) -> Cors {
        let mut headers = HEADERS.to_owned();
        for header in &settings.allowed_headers {
            headers.push_str(", ");
            headers.push_str(header);
        }
        Cors {
            origins: settings.allowed_origins.clone(),
            headers: HeaderValue::from_str(&headers).unwrap_or(HeaderValue::from_static(HEADERS)),
            any_header: settings.allowed_headers.iter().any(|header| header == "*"),
            max_age: settings.max_age.map(|age| HeaderValue::from(age.as_secs())),
        }
    }

    /// Whether any page may send.
    pub(super) fn is_on(&self) -> bool {
        !self.origins.is_empty()
    }

    /// Whether a request asks for permission rather than sends.
    pub(super) fn is_preflight(&self, method: &Method, headers: &HeaderMap) -> bool {
        self.is_on() && method == Method::OPTIONS && headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// Adds what lets the page of `asked` read the answer; nothing for a page that may not send.
    pub(super) fn allow(&self, asked: Option<&HeaderValue>, answer: &mut HeaderMap) {
        if !self.is_on() {
            return;
        }
        answer.append(VARY, HeaderValue::from_static("origin"));
        let Some(origin) = asked.filter(|origin| self.knows(origin.as_bytes())) else { return };
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after"));
    }

    /// Adds the permissions that a preflight of a known page asks for.
    pub(super) fn permit(&self, asked: &HeaderMap, answer: &mut HeaderMap) {
        if !answer.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
            return;
        }
        answer.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
        let wanted = asked.get(ACCESS_CONTROL_REQUEST_HEADERS).filter(|_| self.any_header);
        answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.unwrap_or(&self.headers).clone());
        if let Some(age) = &self.max_age {
            answer.insert(ACCESS_CONTROL_MAX_AGE, age.clone());
        }
    }

    fn knows(&self, origin: &[u8]) -> bool {
        self.origins.iter().any(|pattern| match pattern.split_once('*') {
            Some((start, end)) => {
                origin.len() >= start.len() + end.len() && origin.starts_with(start.as_bytes()) && origin.ends_with(end.as_bytes())
            }
            None => pattern.as_bytes().eq_ignore_ascii_case(origin),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knows(pattern: &str, origin: &str) -> bool {
        Cors::new(&Settings { allowed_origins: vec![pattern.to_owned()], ..Settings::default() }).knows(origin.as_bytes())
    }

    #[test]
    fn an_origin_matches_whole_or_around_its_star() {
        assert!(knows("https://app.example.com", "https://app.example.com"));
        assert!(knows("https://*.example.com", "https://a.b.example.com"));
        assert!(knows("*", "null"));
    }

    #[test]
    fn a_star_among_the_headers_permits_what_is_asked_for() {
        let cors = |header: &str| {
            let settings = Settings { allowed_origins: vec!["*".to_owned()], allowed_headers: vec![header.to_owned()], max_age: None };
            let (mut asked, mut answer) = (HeaderMap::new(), HeaderMap::new());
            asked.insert(ORIGIN, HeaderValue::from_static("https://a.example"));
            asked.insert(ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue::from_static("x-anything"));
            Cors::new(&settings).allow(asked.get(ORIGIN), &mut answer);
            Cors::new(&settings).permit(&asked, &mut answer);
            answer.remove(ACCESS_CONTROL_ALLOW_HEADERS).unwrap()
        };
        assert_eq!(cors("*"), "x-anything");
        assert_eq!(cors("x-tenant"), "content-type, content-encoding, authorization, x-tenant");
    }

    #[test]
    fn an_origin_that_only_looks_alike_does_not_match() {
        assert!(!knows("https://app.example.com", "https://app.example.com.evil.org"));
        assert!(!knows("https://app.example.com", "http://app.example.com"));
        assert!(!knows("https://*.example.com", "https://example.com"));
        assert!(!knows("https://a*a.example", "https://a.example"));
    }
}
