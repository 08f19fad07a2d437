use super::*;
use crate::forward::batch::tests::{logs, names, numbered, whole};
use crate::forward::exporters::fake::{Answer, Fake, acceptor, certificate};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message as _;
use std::io::{Read, Write};

fn settings(yaml: &str) -> Settings {
    serde_yaml::from_str(yaml).unwrap()
}

fn plain(fake: &Fake, more: &str) -> Exporter {
    Exporter::new(&settings(&format!("{{endpoint: 'http://127.0.0.1:{}/base/'{more}}}", fake.port))).unwrap()
}

async fn send(exporter: &Exporter) -> Verdict {
    exporter.send(&whole(numbered(3)), 0..3).await
}

fn ok() -> Verdict {
    Verdict::Delivered { rejected: 0, message: Message::default() }
}

#[tokio::test]
async fn a_request_arrives_at_the_path_of_its_signal_with_its_headers() {
    let fake = Fake::start(|_| Answer::http(200)).await;
    let more = format!(", headers: {{authorization: Basic dG9r}}, logs_endpoint: 'http://127.0.0.1:{}/elsewhere'", fake.port);
    let exporter = plain(&fake, &more);
    assert_eq!(send(&exporter).await, ok());
    assert_eq!(exporter.send(&whole(logs(1)), 0..1).await, ok());
    let requests = fake.requests();
    assert_eq!((requests[0].path.as_str(), requests[1].path.as_str()), ("/base/v1/traces", "/elsewhere"));
    let headers = &requests[0].headers;
    assert_eq!(
        (headers["authorization"].to_str().unwrap(), headers["content-type"].to_str().unwrap()),
        ("Basic dG9r", "application/x-protobuf")
    );
    assert_eq!(headers["user-agent"], concat!("tollgate/", env!("CARGO_PKG_VERSION")));
    assert_eq!(headers["content-length"], requests[0].body.len().to_string());
    assert_eq!(names(&requests[0].body), ["s0", "s1", "s2"]);
}

#[tokio::test]
async fn a_signal_without_a_url_is_not_supported() {
    let exporter = Exporter::new(&settings("{traces_endpoint: 'http://127.0.0.1:1/t'}")).unwrap();
    assert!(exporter.supports(Signal::Traces) && !exporter.supports(Signal::Logs));
}

#[tokio::test]
async fn compressed_bodies_say_so_and_can_be_read() {
    let fake = Fake::start(|_| Answer::http(200)).await;
    for (number, algorithm) in ["gzip", "zstd"].into_iter().enumerate() {
        assert_eq!(send(&plain(&fake, &format!(", compression: {algorithm}"))).await, ok());
        let request = &fake.requests()[number];
        assert_eq!(request.headers["content-encoding"], algorithm);
        let mut content = Vec::new();
        match algorithm {
            "gzip" => drop(flate2::read::GzDecoder::new(&request.body[..]).read_to_end(&mut content).unwrap()),
            _ => zstd::stream::copy_decode(&request.body[..], &mut content).unwrap(),
        }
        assert_eq!(names(&content), ["s0", "s1", "s2"]);
    }
}

#[tokio::test]
async fn json_is_sent_as_json() {
    let fake = Fake::start(|_| Answer::http(200).header("content-type", "application/json").body(b"{}".to_vec())).await;
    assert_eq!(send(&plain(&fake, ", encoding: json")).await, ok());
    let request = &fake.requests()[0];
    assert_eq!(request.headers["content-type"], "application/json");
    let json: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(json["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"], "s0");
}

#[tokio::test]
async fn every_status_is_understood() {
    let statuses = [400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 500, 501, 502, 503, 504, 302];
    let fake = Fake::start(move |number| {
        Answer::http(statuses[number]).header("content-type", "application/json").body(br#"{"message":"why"}"#.to_vec())
    });
    let fake = fake.await;
    let exporter = plain(&fake, "");
    for status in statuses {
        let expected = of_http(Signal::Traces, status.try_into().unwrap(), None, SystemTime::now(), Message::new("why"));
        assert_eq!(send(&exporter).await, expected, "{status}");
    }
}

#[tokio::test]
async fn retry_after_is_a_hint_in_seconds_or_as_a_date() {
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
    let fake = Fake::start(move |number| Answer::http(503).header("retry-after", if number == 0 { "17" } else { &date })).await;
    let exporter = plain(&fake, "");
    assert!(matches!(send(&exporter).await, Verdict::Later { hint: Some(hint), .. } if hint.as_secs() == 17));
    assert!(matches!(send(&exporter).await, Verdict::Later { hint: Some(hint), .. } if (60..=100).contains(&hint.as_secs())));
}

#[tokio::test]
async fn partial_success_is_read_in_the_encoding_of_the_answer() {
    let partial_success = Some(ExportTracePartialSuccess { rejected_spans: 2, error_message: "too old".into() });
    let proto = ExportTraceServiceResponse { partial_success }.encode_to_vec();
    let fake = Fake::start(move |number| match number {
        0 => Answer::http(200).header("content-type", "application/x-protobuf").body(proto.clone()),
        _ => Answer::http(200)
            .header("content-type", "application/json; charset=utf-8")
            .body(br#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}"#.to_vec()),
    });
    let fake = fake.await;
    let exporter = plain(&fake, "");
    for _ in 0..2 {
        assert_eq!(send(&exporter).await, Verdict::Delivered { rejected: 2, message: Message::new("too old") });
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Fake::start(|_| Answer::http(200)).await;
    let target = format!("http://127.0.0.1:{}/", elsewhere.port);
    let fake = Fake::start(move |_| Answer::http(307).header("location", &target)).await;
    assert!(matches!(send(&plain(&fake, "")).await, Verdict::Misconfigured { .. }));
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn no_backend_and_no_answer_are_asked_again() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let exporter = Exporter::new(&settings(&format!("{{endpoint: 'http://127.0.0.1:{port}'}}"))).unwrap();
    assert!(matches!(send(&exporter).await, Verdict::Later { reason: Reason::Connection, .. }));
    let fake = Fake::start(|_| Answer { after: Duration::from_secs(60), ..Answer::http(200) }).await;
    assert!(matches!(send(&plain(&fake, ", timeout: 300ms")).await, Verdict::Later { reason: Reason::Timeout, .. }));
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[tokio::test]
async fn tls_trusts_the_given_authority_alone_and_shows_our_certificate() {
    let (server, client) = (certificate("backend.example"), certificate("tollgate"));
    let fake = Fake::start_with(Some(acceptor(&server, Some(&client.0))), |_| Answer::http(200)).await;
    let (ca, cert, key) = (file(&server.0), file(&client.0), file(&client.1));
    let exporter = |ca: &tempfile::NamedTempFile, name: &str, identity: bool| {
        let identity = match identity {
            true => format!(", cert_file: {}, key_file: {}", cert.path().display(), key.path().display()),
            false => String::new(),
        };
        let tls = format!("{{ca_file: {}, server_name: {name}{identity}}}", ca.path().display());
        Exporter::new(&settings(&format!("{{endpoint: 'https://localhost:{}', tls: {tls}, timeout: 5s}}", fake.port))).unwrap()
    };
    assert_eq!(send(&exporter(&ca, "backend.example", true)).await, ok());
    assert!(matches!(send(&exporter(&ca, "other.example", true)).await, Verdict::Later { .. }));
    assert!(matches!(send(&exporter(&ca, "backend.example", false)).await, Verdict::Later { .. }));
    let other = file(&certificate("backend.example").0);
    assert!(matches!(send(&exporter(&other, "backend.example", true)).await, Verdict::Later { .. }));
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test]
async fn each_endpoint_is_reached_as_its_own_scheme_and_host_ask() {
    let plain = Fake::start(|_| Answer::http(200)).await;
    let server = certificate("backend.example");
    let secure = Fake::start_with(Some(acceptor(&server, None)), |_| Answer::http(200)).await;
    let ca = file(&server.0);
    let tls = format!("tls: {{ca_file: {}, server_name: backend.example}}, timeout: 5s", ca.path().display());
    let logs_endpoint = format!("logs_endpoint: 'https://localhost:{}/v1/logs'", secure.port);
    let first = [format!("http://127.0.0.1:{}/v1/traces", plain.port), "https://nowhere.invalid/v1/traces".to_owned()];
    for (number, first) in first.into_iter().enumerate() {
        let settings = settings(&format!("{{traces_endpoint: '{first}', {logs_endpoint}, {tls}}}"));
        assert_eq!(settings.problems(), []);
        let exporter = Exporter::new(&settings).unwrap();
        assert_eq!(exporter.send(&whole(logs(1)), 0..1).await, ok(), "{first}");
        assert_eq!(secure.requests().len(), number + 1);
        if number == 0 {
            assert_eq!(send(&exporter).await, ok());
        }
    }
    assert_eq!(plain.requests()[0].path, "/v1/traces");
}

#[test]
fn what_cannot_work_is_a_problem_of_the_config() {
    let keys = |yaml: &str| settings(yaml).problems().into_iter().map(|p| p.key).collect::<Vec<_>>();
    assert_eq!(keys("{}"), ["endpoint"]);
    assert_eq!(keys("{endpoint: 'https://a', tls: {server_name: 127.0.0.1}}"), ["tls.server_name"]);
    assert_eq!(keys(&format!("{{endpoint: 'https://a', tls: {{ca_file: {}}}}}", file("no PEM").path().display())), ["tls.ca_file"]);
}
