//! TLS, with and without client certificates.

use super::*;
use crate::receive::Receivers;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// An authority and what it signed, as files.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// Certificate and key for `localhost`, in PEM.
    fn issue(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn write(&self, to: &Path) {
        let (certificate, key) = self.issue();
        fs::write(to.join("cert.pem"), certificate).unwrap();
        fs::write(to.join("key.pem"), key).unwrap();
    }
}

fn options(files: &Path, more: &str) -> String {
    format!("tls: {{ cert_file: '{0}/cert.pem', key_file: '{0}/key.pem', {more} }}", files.display())
}

async fn connect(
    address: SocketAddr,
    roots: &str,
    identity: Option<(String, String)>,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut trusted = rustls::RootCertStore::empty();
    trusted.add(CertificateDer::from_pem_slice(roots.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(trusted);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(address).await?;
    connector.connect(ServerName::try_from("localhost").unwrap(), stream).await
}

async fn export_over(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> i32 {
    call_over(io, TRACES, &[], &[framed(0, &spans(1))], true).await.code
}

/// A client over HTTPS that resolves `localhost` to the address it is meant to.
async fn https(server: &Server, roots: &str, identity: Option<(String, String)>) -> reqwest::Result<u16> {
    let mut client = reqwest::Client::builder()
        .resolve("localhost", server.http)
        .tls_certs_only([reqwest::Certificate::from_pem(roots.as_bytes()).unwrap()]);
    if let Some((certificate, key)) = identity {
        client = client.identity(reqwest::Identity::from_pem(format!("{certificate}{key}").as_bytes()).unwrap());
    }
    let url = format!("https://localhost:{}/v1/traces", server.http.port());
    let request = client.build().unwrap().post(url).header("content-type", "application/x-protobuf").body(spans(1));
    request.send().await.map(|answer| answer.status().as_u16())
}

#[tokio::test]
async fn both_transports_speak_tls_and_not_plain_text() {
    let (files, authority) = (TempDir::new().unwrap(), Authority::new());
    authority.write(files.path());
    let tls = options(files.path(), "");
    let server = Server::with(&tls, &tls, "").await;
    assert_eq!(export_over(connect(server.grpc, &authority.pem, None).await.unwrap()).await, 0);
    assert_eq!(https(&server, &authority.pem, None).await.unwrap(), 200);
    assert!(connect(server.grpc, &Authority::new().pem, None).await.is_err());
    assert!(reqwest::get(server.url("/v1/traces")).await.is_err());
    assert_eq!(server.metric(r#"tollgate_receive_listener_tls{transport="grpc"}"#), 1.0);
    assert_eq!(export_over(connect(server.grpc, &authority.pem, None).await.unwrap()).await, 0);
    assert!(server.metric(r#"tollgate_receive_refusals_total{transport="grpc",reason="tls"}"#) >= 1.0);
}

#[tokio::test]
async fn with_client_authorities_only_their_clients_may_connect() {
    let (files, authority, clients) = (TempDir::new().unwrap(), Authority::new(), Authority::new());
    authority.write(files.path());
    fs::write(files.path().join("clients.pem"), &clients.pem).unwrap();
    let tls = options(files.path(), &format!("client_ca_file: '{}/clients.pem'", files.path().display()));
    let server = Server::with(&tls, &tls, "").await;
    assert_eq!(export_over(connect(server.grpc, &authority.pem, Some(clients.issue())).await.unwrap()).await, 0);
    assert_eq!(https(&server, &authority.pem, Some(clients.issue())).await.unwrap(), 200);
    for identity in [None, Some(authority.issue())] {
        assert!(https(&server, &authority.pem, identity).await.is_err());
    }
    assert_eq!(server.intake.offered().len(), 2);
}

#[tokio::test]
async fn a_new_certificate_is_taken_up_and_a_broken_one_is_not() {
    let (files, old, new) = (TempDir::new().unwrap(), Authority::new(), Authority::new());
    old.write(files.path());
    let server = Server::with(&options(files.path(), "reload_interval: 50ms"), "", "").await;
    fs::write(files.path().join("cert.pem"), "half a certif").unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(connect(server.grpc, &old.pem, None).await.is_ok());
    new.write(files.path());
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if let Ok(stream) = connect(server.grpc, &new.pem, None).await {
            assert_eq!(export_over(stream).await, 0);
            return;
        }
    }
    panic!("the old certificate is still served");
}

#[tokio::test]
async fn a_handshake_that_never_starts_does_not_hold_up_the_end() {
    let (files, authority) = (TempDir::new().unwrap(), Authority::new());
    authority.write(files.path());
    let server = Server::with(&options(files.path(), ""), "", "").await;
    let _silent = TcpStream::connect(server.grpc).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(3), server.task).await.expect("ended in time").unwrap();
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_with_their_key() {
    let (files, authority) = (TempDir::new().unwrap(), Authority::new());
    let why = async || {
        let tls = options(files.path(), "");
        let config: Config =
            serde_yaml::from_str(&format!("otlp: {{ protocols: {{ grpc: {{ endpoint: '127.0.0.1:0', {tls} }} }} }}")).unwrap();
        Receivers::bind(&config, &Telemetry::new(1 << 20), Fake::default()).await.err().expect("an error").to_string()
    };
    let error = why().await;
    assert!(error.starts_with("receivers.otlp.protocols.grpc.tls.cert_file: \"") && error.contains("cert.pem"), "{error}");
    fs::write(files.path().join("cert.pem"), "").unwrap();
    let error = why().await;
    assert!(error.contains("holds no certificate"), "{error}");
    authority.write(files.path());
    fs::write(files.path().join("key.pem"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let error = why().await;
    assert!(error.contains("tls.key_file: \"") && error.contains("does not fit the certificate"), "{error}");
}
