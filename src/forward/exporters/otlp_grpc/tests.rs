use super::*;
use crate::forward::batch::tests::{logs, names, numbered, whole};
use crate::forward::exporters::fake::{Answer, Fake, acceptor, certificate};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message as _;
use std::io::{Read, Write};
use tonic_types::{ErrorDetails, StatusExt};

fn settings(yaml: &str) -> Settings {
    serde_yaml::from_str(yaml).unwrap()
}

fn plain(fake: &Fake, more: &str) -> Exporter {
    Exporter::new(&settings(&format!("{{endpoint: 'http://127.0.0.1:{}'{more}}}", fake.port))).unwrap()
}

async fn send(exporter: &Exporter) -> Verdict {
    exporter.send(&whole(numbered(3)), 0..3).await
}

fn ok() -> Verdict {
    Verdict::Delivered { rejected: 0, message: Message::default() }
}

#[tokio::test]
async fn a_request_arrives_as_encoded_with_its_headers() {
    let fake = Fake::start(|_| Answer::grpc_ok(b"")).await;
    let exporter = plain(&fake, ", headers: {authorization: Bearer tok, x-scope-orgid: '7'}, timeout: 9s");
    assert_eq!(send(&exporter).await, ok());
    assert_eq!(exporter.send(&whole(logs(1)), 0..1).await, ok());
    let requests = fake.requests();
    assert_eq!(requests[0].path, "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    assert_eq!(requests[1].path, "/opentelemetry.proto.collector.logs.v1.LogsService/Export");
    let headers = &requests[0].headers;
    for (name, value) in [("authorization", "Bearer tok"), ("x-scope-orgid", "7"), ("te", "trailers"), ("grpc-timeout", "9000m")] {
        assert_eq!(headers[name], value);
    }
    assert!(headers["user-agent"].to_str().unwrap().starts_with(concat!("tollgate/", env!("CARGO_PKG_VERSION"))));
    assert!(headers.get("grpc-encoding").is_none());
    assert_eq!(requests[0].body[..5], *[&[0][..], &(requests[0].body.len() as u32 - 5).to_be_bytes()].concat());
    assert_eq!(names(&requests[0].body[5..]), ["s0", "s1", "s2"]);
}

#[tokio::test]
async fn compressed_messages_say_so_and_can_be_read() {
    let fake = Fake::start(|_| Answer::grpc_ok(b"")).await;
    for (number, algorithm) in ["gzip", "zstd"].into_iter().enumerate() {
        assert_eq!(send(&plain(&fake, &format!(", compression: {algorithm}"))).await, ok());
        let request = &fake.requests()[number];
        assert_eq!((request.headers["grpc-encoding"].to_str().unwrap(), request.body[0]), (algorithm, 1));
        let mut content = Vec::new();
        match algorithm {
            "gzip" => drop(flate2::read::GzDecoder::new(&request.body[5..]).read_to_end(&mut content).unwrap()),
            _ => zstd::stream::copy_decode(&request.body[5..], &mut content).unwrap(),
        }
        assert_eq!(names(&content), ["s0", "s1", "s2"]);
    }
}

#[tokio::test]
async fn every_status_is_understood_in_headers_and_in_trailers() {
    let answers = |number: usize| {
        let code = Code::from((number / 2) as i32 + 1);
        Answer::grpc_error(&Status::new(code, "why tok-12345"), number % 2 == 1)
    };
    let fake = Fake::start(answers).await;
    let exporter = plain(&fake, ", headers: {authorization: tok-12345}");
    for number in 0..32 {
        let code = Code::from(number / 2 + 1);
        let expected = of_grpc(Signal::Traces, &Status::new(code, "why ***"), false);
        assert_eq!(send(&exporter).await, expected, "{code:?}");
    }
}

#[tokio::test]
async fn a_retry_info_is_found_in_the_details() {
    let hint = ErrorDetails::with_retry_info(Some(Duration::from_millis(2500)));
    let status = Status::with_error_details(Code::ResourceExhausted, "later", hint);
    let fake = Fake::start(move |number| Answer::grpc_error(&status, number == 1)).await;
    let exporter = plain(&fake, "");
    for _ in 0..2 {
        assert!(matches!(send(&exporter).await, Verdict::Later { hint: Some(hint), .. } if hint == Duration::from_millis(2500)));
    }
}

#[tokio::test]
async fn partial_success_is_read_from_the_answer() {
    let partial_success = Some(ExportTracePartialSuccess { rejected_spans: 2, error_message: "too old".into() });
    let answer = ExportTraceServiceResponse { partial_success }.encode_to_vec();
    let fake = Fake::start(move |_| Answer::grpc_ok(&answer)).await;
    assert_eq!(send(&plain(&fake, "")).await, Verdict::Delivered { rejected: 2, message: Message::new("too old") });
}

#[tokio::test]
async fn a_proxy_that_speaks_no_grpc_is_understood_by_its_http_status() {
    let fake = Fake::start(|number| Answer::http([503, 401, 413, 404, 200][number])).await;
    let exporter = plain(&fake, "");
    assert!(matches!(send(&exporter).await, Verdict::Later { .. }));
    assert!(matches!(send(&exporter).await, Verdict::Misconfigured { .. }));
    assert!(matches!(send(&exporter).await, Verdict::Refused { .. }));
    assert!(matches!(send(&exporter).await, Verdict::Misconfigured { .. }));
    assert!(matches!(send(&exporter).await, Verdict::Later { reason: Reason::Protocol, .. }));
}

#[tokio::test]
async fn a_backend_that_is_not_there_yet_is_found_when_it_comes() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let exporter = Exporter::new(&settings(&format!("{{endpoint: '127.0.0.1:{port}', tls: {{insecure: true}}}}"))).unwrap();
    assert!(matches!(send(&exporter).await, Verdict::Later { reason: Reason::Connection, hint: None, .. }));
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_a_timeout_and_the_next_request_gets_a_new_connection() {
    let slow = |number| Answer { after: Duration::from_secs(if number == 0 { 60 } else { 0 }), ..Answer::grpc_ok(b"") };
    let fake = Fake::start(slow).await;
    let exporter = plain(&fake, ", timeout: 1s");
    assert!(matches!(send(&exporter).await, Verdict::Later { reason: Reason::Timeout, .. }));
    assert_eq!(exporter.channel().0, 1);
    assert_eq!(send(&exporter).await, ok());
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[tokio::test]
async fn tls_trusts_the_given_authority_alone_and_shows_our_certificate() {
    let (server, client) = (certificate("localhost"), certificate("tollgate"));
    let fake = Fake::start_with(Some(acceptor(&server, Some(&client.0))), |_| Answer::grpc_ok(b"")).await;
    let (ca, cert, key) = (file(&server.0), file(&client.0), file(&client.1));
    let exporter = |ca: &tempfile::NamedTempFile, name: &str, identity: bool| {
        let identity = match identity {
            true => format!(", cert_file: {}, key_file: {}", cert.path().display(), key.path().display()),
            false => String::new(),
        };
        let tls = format!("{{ca_file: {}, server_name: {name}{identity}}}", ca.path().display());
        Exporter::new(&settings(&format!("{{endpoint: '127.0.0.1:{}', tls: {tls}, timeout: 5s}}", fake.port))).unwrap()
    };
    assert_eq!(send(&exporter(&ca, "localhost", true)).await, ok());
    assert!(matches!(send(&exporter(&ca, "other.example", true)).await, Verdict::Later { .. }));
    assert!(matches!(send(&exporter(&ca, "localhost", false)).await, Verdict::Later { .. }));
    let other = file(&certificate("localhost").0);
    assert!(matches!(send(&exporter(&other, "localhost", true)).await, Verdict::Later { .. }));
    assert_eq!(fake.requests().len(), 1);
}

#[test]
fn a_path_and_a_broken_certificate_are_problems_of_the_config() {
    let keys = |yaml: &str| settings(yaml).problems().into_iter().map(|p| p.key).collect::<Vec<_>>();
    assert_eq!(keys("{endpoint: 'http://a:1/v1/traces'}"), ["endpoint"]);
    assert_eq!(keys("{endpoint: 'http://a:1', timeout: 0s}"), ["timeout"]);
    assert_eq!(keys(&format!("{{endpoint: 'https://a:1', tls: {{ca_file: {}}}}}", file("no PEM").path().display())), ["tls.ca_file"]);
    let key = file("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    let (cert, path) = (file(&certificate("a").0), key.path().display());
    assert_eq!(keys(&format!("{{endpoint: 'https://a:1', tls: {{cert_file: {}, key_file: {path}}}}}", cert.path().display())), ["tls"]);
}
