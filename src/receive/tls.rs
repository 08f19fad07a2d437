//! TLS for a listener: certificate, key, client authorities, and new ones without a restart.
//!
//! Certificates live for weeks and listeners for months. So the files are looked at from time to time; new connections get
//! what they hold now, and files that do not fit together (half written, say) leave the old certificate in place.

use crate::receive::config::Tls as Settings;
use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio_rustls::TlsAcceptor;

/// How often files are looked at where the config does not say.
const RELOAD: Duration = Duration::from_secs(30);

/// Why TLS cannot be set up; the key is below the `tls` section.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{option}: \"{path}\" {problem}")]
pub struct TlsError {
    option: &'static str,
    path: String,
    problem: String,
}

/// TLS as the files say at the moment.
pub(super) struct Tls {
    settings: Settings,
    protocols: &'static [&'static [u8]],
    current: ArcSwap<ServerConfig>,
    seen: Mutex<Seen>,
}

/// When each file was last written, where it exists.
type Seen = [Option<SystemTime>; 3];

impl Tls {
    /// Reads the files. `protocols` are offered to clients by ALPN.
    pub(super) fn load(settings: &Settings, protocols: &'static [&'static [u8]]) -> Result<Tls, TlsError> {
        let seen = Mutex::new(look(settings));
        let current = ArcSwap::from_pointee(read(settings, protocols)?);
        Ok(Tls { settings: settings.clone(), protocols, current, seen })
    }

    /// For the next connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }

    /// How often to call [`Tls::reload`].
    pub(super) fn reload_interval(&self) -> Duration {
        self.settings.reload_interval.unwrap_or(RELOAD)
    }

    /// Reads the files again if any was written since the last look.
    pub(super) fn reload(&self) {
        let now = look(&self.settings);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return;
        }
        match read(&self.settings, self.protocols) {
            Ok(config) => {
                self.current.store(Arc::new(config));
                *seen = now;
                tracing::info!(target: "receive", cert_file = self.settings.cert_file, "certificate reloaded");
            }
            // Not marked as seen: the next look tries again.
            Err(error) => tracing::warn!(target: "receive", %error, "certificate not reloaded, the old one stays"),
        }
    }
}

fn look(settings: &Settings) -> Seen {
    let written = |path: &str| fs::metadata(path).and_then(|file| file.modified()).ok();
    [written(&settings.cert_file), written(&settings.key_file), settings.client_ca_file.as_deref().and_then(written)]
}

fn read(settings: &Settings, protocols: &[&[u8]]) -> Result<ServerConfig, TlsError> {
    let fail = |option, path: &str, problem: String| TlsError { option, path: path.to_owned(), problem };
    let chain = certificates(&settings.cert_file).map_err(|problem| fail("cert_file", &settings.cert_file, problem))?;
    let key = PrivateKeyDer::from_pem_file(&settings.key_file)
        .map_err(|error| fail("key_file", &settings.key_file, format!("cannot be read as a PEM private key: {error}")))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| fail("cert_file", &settings.cert_file, format!("cannot be served: {error}")))?;
    let builder = match &settings.client_ca_file {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut authorities = RootCertStore::empty();
            for certificate in certificates(path).map_err(|problem| fail("client_ca_file", path, problem))? {
                authorities.add(certificate).map_err(|error| fail("client_ca_file", path, format!("is not an authority: {error}")))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider)
                .build()
                .map_err(|error| fail("client_ca_file", path, format!("cannot be used: {error}")))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| fail("key_file", &settings.key_file, format!("does not fit the certificate: {error}")))?;
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(config)
}

fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let chain = chain.map_err(|error| format!("cannot be read as PEM certificates: {error}"))?;
    if chain.is_empty() { Err("holds no certificate".to_owned()) } else { Ok(chain) }
}
