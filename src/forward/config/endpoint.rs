//! Addresses of backends, and whether they are reached through TLS.

use crate::forward::config::Problem;
use http::Uri;
use http::uri::Scheme;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::path::{Path, PathBuf};

/// `https://host:port/path`, or `host:port` as in the Collector. Shown without its query, which may hold a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(Uri);

/// Why a text is not an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnEndpoint {
    /// Not a URL and not `host:port`.
    #[error("\"{0}\" is not a URL; write for example http://backend:4317")]
    Syntax(String),
    /// Another scheme than http and https.
    #[error("the scheme \"{0}\" is not supported; use http or https")]
    Scheme(String),
    /// User and password before the host.
    #[error("an endpoint has no user and password; use headers: {{ authorization: … }}")]
    Userinfo,
}

/// `tls` of an exporter. The scheme of the endpoint decides whether there is any; without a scheme there is, unless `insecure`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// PEM file of the certificate authorities to trust, in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM file of our certificate, for backends that ask for one.
    pub cert_file: Option<PathBuf>,
    /// PEM file of its key.
    pub key_file: Option<PathBuf>,
    /// Plain text to an endpoint without a scheme. Certificates are always verified.
    pub insecure: Option<bool>,
    /// The name the certificate must have, where it is not that of the endpoint.
    pub server_name: Option<String>,
}

impl Endpoint {
    /// Reads an endpoint.
    ///
    /// # Errors
    /// Where it is none; nothing of a user or password is repeated.
    pub fn parse(text: &str) -> Result<Endpoint, NotAnEndpoint> {
        let uri: Uri = text.trim().parse().map_err(|_| NotAnEndpoint::Syntax(shown(text)))?;
        let authority = uri.authority().ok_or_else(|| NotAnEndpoint::Syntax(shown(text)))?;
        if authority.as_str().contains('@') {
            return Err(NotAnEndpoint::Userinfo);
        }
        match uri.scheme_str() {
            None if authority.port_u16().is_none() => Err(NotAnEndpoint::Syntax(shown(text))),
            None | Some("http" | "https") if !authority.host().is_empty() => Ok(Endpoint(uri)),
            None | Some("http" | "https") => Err(NotAnEndpoint::Syntax(shown(text))),
            Some(scheme) => Err(NotAnEndpoint::Scheme(scheme.to_owned())),
        }
    }

    /// The host.
    pub fn host(&self) -> &str {
        self.0.host().unwrap_or_default()
    }

    /// The path without a slash at its end.
    pub(crate) fn path(&self) -> &str {
        self.0.path().trim_end_matches('/')
    }

    /// Whether it has a query.
    pub(crate) fn query(&self) -> Option<&str> {
        self.0.query()
    }

    /// Whether `tls` makes it an https URL.
    pub(crate) fn is_tls(&self, tls: &Tls) -> bool {
        self.0.scheme().map_or(tls.insecure != Some(true), |scheme| *scheme == Scheme::HTTPS)
    }

    /// The URL with `path` behind its own.
    pub(crate) fn url(&self, tls: &Tls, path: &str) -> String {
        let scheme = if self.is_tls(tls) { "https" } else { "http" };
        let authority = self.0.authority().map_or("", |authority| authority.as_str());
        let query = self.query().map(|query| format!("?{query}")).unwrap_or_default();
        format!("{scheme}://{authority}{}{path}{query}", self.path())
    }
}

/// What of a bad endpoint may be repeated: nothing that could be a password or token.
fn shown(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    match text.rsplit_once('@') {
        Some((_, rest)) => format!("***@{rest}"),
        None => text.to_owned(),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = self.0.scheme_str() {
            write!(f, "{scheme}://")?;
        }
        let authority = self.0.authority().map_or("", |authority| authority.as_str());
        write!(f, "{authority}{}{}", self.path(), if self.query().is_some() { "?***" } else { "" })
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Endpoint, D::Error> {
        Endpoint::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl Tls {
    /// Contradictions between it and the endpoint. Where another endpoint of the exporter is reached through TLS (`others`), files and
    /// names are for that one.
    pub(crate) fn problems(&self, endpoint: &Endpoint, others: bool) -> Vec<Problem> {
        let mut problems = Vec::new();
        match (endpoint.0.scheme_str(), self.insecure) {
            (Some("https"), Some(true)) => {
                problems.push(Problem::new("tls.insecure", "true contradicts the https of the endpoint; write http, or leave it out"))
            }
            (Some("http"), Some(false)) => {
                problems.push(Problem::new("tls.insecure", "false contradicts the http of the endpoint; write https, or leave it out"))
            }
            _ => {}
        }
        if !endpoint.is_tls(self) && !others {
            let set = [
                ("tls.ca_file", self.ca_file.is_some()),
                ("tls.cert_file", self.cert_file.is_some()),
                ("tls.key_file", self.key_file.is_some()),
                ("tls.server_name", self.server_name.is_some()),
            ];
            problems.extend(
                set.iter().filter(|(_, set)| *set).map(|(key, _)| Problem::new(key, "is set, but the endpoint is reached without TLS")),
            );
        }
        match (&self.cert_file, &self.key_file) {
            (Some(_), None) => problems.push(Problem::new("tls.key_file", "is missing: cert_file needs its key")),
            (None, Some(_)) => problems.push(Problem::new("tls.cert_file", "is missing: key_file needs its certificate")),
            _ => {}
        }
        problems
    }

    /// Content of `ca_file`, which has at least one certificate and nothing broken in it.
    pub(crate) fn ca(&self) -> Result<Option<Vec<u8>>, Problem> {
        let Some(path) = &self.ca_file else { return Ok(None) };
        let pem = read("tls.ca_file", path)?;
        let certificates = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
        if !certificates.is_ok_and(|certificates| !certificates.is_empty()) {
            return Err(Problem::new("tls.ca_file", format!("{} is not a PEM file of certificates", path.display())));
        }
        Ok(Some(pem))
    }

    /// Content of `cert_file` and `key_file`.
    pub(crate) fn identity(&self) -> Result<Option<(Vec<u8>, Vec<u8>)>, Problem> {
        match (&self.cert_file, &self.key_file) {
            (Some(cert), Some(key)) => Ok(Some((read("tls.cert_file", cert)?, read("tls.key_file", key)?))),
            _ => Ok(None),
        }
    }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, Problem> {
    std::fs::read(path).map_err(|error| Problem::new(key, format!("cannot read {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_endpoint_is_refused_and_no_password_repeated() {
        assert_eq!(Endpoint::parse("backend").unwrap_err().to_string(), "\"backend\" is not a URL; write for example http://backend:4317");
        assert!(matches!(Endpoint::parse("ftp://a"), Err(NotAnEndpoint::Scheme(_))));
        assert_eq!(Endpoint::parse("https://user:pass@a"), Err(NotAnEndpoint::Userinfo));
        for text in ["", "/v1/traces", "http://", "https://:443", "user:pass word@host"] {
            let error = Endpoint::parse(text).unwrap_err().to_string();
            assert!(!error.contains("pass"), "{error}");
        }
    }

    #[test]
    fn without_a_scheme_there_is_tls_unless_told_otherwise() {
        let endpoint = Endpoint::parse("tempo:4317").unwrap();
        assert_eq!(endpoint.url(&Tls::default(), ""), "https://tempo:4317");
        assert_eq!(endpoint.url(&Tls { insecure: Some(true), ..Tls::default() }, ""), "http://tempo:4317");
    }

    #[test]
    fn a_base_url_keeps_its_path_and_hides_its_query() {
        let endpoint = Endpoint::parse("https://eu.example.org/api/public/otel/?key=s3cret").unwrap();
        assert_eq!(endpoint.url(&Tls::default(), "/v1/traces"), "https://eu.example.org/api/public/otel/v1/traces?key=s3cret");
        assert!(!format!("{endpoint:?} {endpoint}").contains("s3cret"));
    }

    #[test]
    fn contradictions_are_named() {
        let keys = |endpoint: &str, tls: Tls| -> Vec<_> {
            let problems = tls.problems(&Endpoint::parse(endpoint).unwrap(), false);
            problems.into_iter().map(|p| p.key).collect()
        };
        let file = || Some(PathBuf::from("x.pem"));
        assert_eq!(keys("https://a", Tls { insecure: Some(true), ..Tls::default() }), ["tls.insecure"]);
        assert_eq!(keys("http://a", Tls { insecure: Some(false), ..Tls::default() }), ["tls.insecure"]);
        assert_eq!(keys("http://a", Tls { ca_file: file(), ..Tls::default() }), ["tls.ca_file"]);
        assert_eq!(keys("https://a", Tls { cert_file: file(), ..Tls::default() }), ["tls.key_file"]);
        assert!(keys("https://a", Tls { ca_file: file(), server_name: Some("b".into()), ..Tls::default() }).is_empty());
    }
}
