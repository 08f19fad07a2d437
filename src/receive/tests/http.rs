//! OTLP/HTTP.

use super::*;
use reqwest::{Client, Method, RequestBuilder, Response};

const PROTOBUF: &str = "application/x-protobuf";

fn post(server: &Server, path: &str) -> RequestBuilder {
    Client::new().post(server.url(path)).header("content-type", PROTOBUF)
}

async fn send(request: RequestBuilder) -> Response {
    tokio::time::timeout(Duration::from_secs(30), request.send()).await.expect("an answer in time").unwrap()
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// Code and message of a protobuf `google.rpc.Status`.
fn status(body: &[u8]) -> (u64, String) {
    use crate::otlp::wire::{Fields, Value};
    let (mut code, mut message) = (0, String::new());
    for field in Fields::new(body) {
        match (field.number, field.value) {
            (1, Value::Varint(value)) => code = value,
            (2, Value::Len(text)) => message = String::from_utf8(text.to_vec()).unwrap(),
            _ => panic!("unexpected field"),
        }
    }
    (code, message)
}

#[tokio::test]
async fn each_signal_is_accepted_at_its_path_and_answered_in_kind() {
    let server = Server::with("", "logs_url_path: /elsewhere", "").await;
    for (path, content_type, item) in [
        ("/v1/traces", PROTOBUF, span(&[1; 8], b"chat")),
        ("/elsewhere", "Application/X-Protobuf; charset=utf-8", Vec::new()),
        ("/v1/metrics?tenant=a", PROTOBUF, Vec::new()),
    ] {
        let post = Client::new().post(server.url(path)).header("content-type", content_type);
        let answer = send(post.body(request(&[item]))).await;
        assert_eq!((answer.status().as_u16(), header(&answer, "content-type")), (200, PROTOBUF), "{path}");
        assert_eq!(answer.bytes().await.unwrap(), "");
    }
    assert_eq!(server.intake.offered(), [(Signal::Traces, 1), (Signal::Logs, 1), (Signal::Metrics, 1)]);
    assert_eq!(server.metric(r#"tollgate_receive_spans_total{transport="http",outcome="accepted"}"#), 1.0);
    server.assert_no_memory_is_held().await;
}

#[tokio::test]
async fn bodies_of_undeclared_length_and_compressed_ones_are_read() {
    let server = Server::start().await;
    let stream = |body: Vec<u8>| {
        let pieces: Vec<Result<Vec<u8>, std::io::Error>> = body.chunks(7).map(|piece| Ok(piece.to_vec())).collect();
        reqwest::Body::wrap_stream(futures_util::stream::iter(pieces))
    };
    assert_eq!(send(post(&server, "/v1/traces").body(stream(spans(30)))).await.status(), 200);
    for (name, body) in [("gzip", gzip(&spans(30))), ("zstd", zstd(&spans(30))), ("identity", spans(30)), ("GZIP", gzip(&spans(30)))] {
        assert_eq!(send(post(&server, "/v1/traces").header("content-encoding", name).body(body.clone())).await.status(), 200, "{name}");
        assert_eq!(send(post(&server, "/v1/traces").header("content-encoding", name).body(stream(body))).await.status(), 200, "{name}");
    }
    assert_eq!(server.intake.offered(), [(Signal::Traces, 30); 9]);
    server.assert_no_memory_is_held().await;
}

#[tokio::test]
async fn an_empty_body_succeeds_whatever_it_is_compressed_with() {
    let server = Server::start().await;
    assert_eq!(send(post(&server, "/v1/traces")).await.status(), 200);
    assert_eq!(send(post(&server, "/v1/traces").header("content-encoding", "gzip")).await.status(), 200);
    let answer = send(Client::new().post(server.url("/v1/traces")).header("content-type", "application/json")).await;
    assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (200, "{}"));
    assert_eq!(server.intake.offered(), []);
}

#[tokio::test]
async fn what_can_never_be_accepted_is_refused_for_good_and_the_next_request_passes() {
    let server = Server::with("", "max_request_body_size: 1MiB", "").await;
    let bomb = large(5 << 20);
    let chunked = reqwest::Body::wrap_stream(futures_util::stream::iter((0..40).map(|_| Ok::<_, std::io::Error>(vec![0; 64 << 10]))));
    let encoded = |name: &str| post(&server, "/v1/traces").header("content-encoding", name);
    let cases: Vec<(&str, RequestBuilder, u16, u64)> = vec![
        ("not protobuf", post(&server, "/v1/traces").body(vec![0xff; 20]), 400, 3),
        ("one byte over", post(&server, "/v1/traces").body(vec![0; (1 << 20) + 1]), 413, 8),
        ("70 MiB", post(&server, "/v1/traces").body(large(70 << 20)), 413, 8),
        ("over, in chunks", post(&server, "/v1/traces").body(chunked), 413, 8),
        ("gzip bomb", encoded("gzip").body(gzip(&bomb)), 413, 8),
        ("zstd bomb", encoded("zstd").body(zstd(&bomb)), 413, 8),
        ("gzip damaged", encoded("gzip").body(gzip(&spans(9))[..30].to_vec()), 400, 3),
        ("zstd that is gzip", encoded("zstd").body(gzip(&spans(9))), 400, 3),
        ("deflate", encoded("deflate").body(spans(1)), 415, 12),
        ("nested", encoded("gzip, gzip").body(gzip(&gzip(&spans(1)))), 415, 12),
        ("twice", encoded("gzip").header("content-encoding", "gzip").body(spans(1)), 415, 12),
        ("no such path", post(&server, "/v1/spans").body(spans(1)), 404, 12),
        ("path with more", post(&server, "/v1/traces/").body(spans(1)), 404, 12),
    ];
    for (name, request, expected, code) in cases {
        let answer = send(request).await;
        assert_eq!(answer.status(), expected, "{name}");
        assert_eq!((header(&answer, "content-type"), header(&answer, "retry-after")), (PROTOBUF, ""), "{name}");
        assert_eq!(header(&answer, "accept-encoding"), if code == 12 && expected == 415 { "gzip, zstd" } else { "" }, "{name}");
        let (stated, message) = status(&answer.bytes().await.unwrap());
        assert!(stated == code && !message.is_empty(), "{name}: {stated} {message}");
        server.assert_well().await;
    }
    server.assert_no_memory_is_held().await;
    assert_eq!(server.metric(r#"tollgate_receive_refusals_total{transport="http",reason="too_large"}"#), 5.0);
    assert_eq!(server.metric(r#"tollgate_receive_refusals_total{transport="http",reason="not_found"}"#), 2.0);
}

#[tokio::test]
async fn a_content_type_that_is_not_otlp_is_refused() {
    let server = Server::start().await;
    for content_type in ["", "text/plain", "application/json5", "application/protobuf", "application/grpc"] {
        let answer = send(Client::new().post(server.url("/v1/traces")).header("content-type", content_type).body(spans(1))).await;
        assert_eq!(answer.status(), 415, "{content_type}");
    }
    assert_eq!(send(Client::new().post(server.url("/v1/traces")).body(spans(1))).await.status(), 415);
    server.assert_well().await;
}

#[tokio::test]
async fn another_method_is_told_which_one_is_right() {
    let server = Server::start().await;
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let answer = send(Client::new().request(method.clone(), server.url("/v1/traces"))).await;
        assert_eq!((answer.status().as_u16(), header(&answer, "allow")), (405, "POST"), "{method}");
    }
    server.assert_well().await;
}

#[tokio::test]
async fn what_can_be_accepted_later_says_when_in_whole_seconds() {
    let server = Server::with_memory("", "", "", 1 << 20, Duration::from_secs(1)).await;
    let assert_later = async |request: RequestBuilder, reason: &str| {
        let answer = send(request).await;
        assert_eq!(answer.status(), 503, "{reason}");
        let seconds: u64 = header(&answer, "retry-after").parse().unwrap();
        assert!((1..=30).contains(&seconds));
        let (code, message) = status(&answer.bytes().await.unwrap());
        assert!(code == 14 && message.contains(reason), "{message}");
    };
    server.intake.with(|state| state.pressure = Some(FULL));
    assert_later(post(&server, "/v1/traces").body(spans(1)), "queue").await;
    let json = Client::new().post(server.url("/v1/traces")).header("content-type", "application/json").body("{}");
    let answer = send(json).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "content-type")), (503, "application/json"));
    assert!(answer.text().await.unwrap().contains("\"code\":14"));
    server.intake.with(|state| (state.pressure, state.refusal) = (None, Some(FULL)));
    assert_later(post(&server, "/v1/traces").body(spans(7)), "queue").await;
    server.intake.with(|state| state.refusal = None);
    assert_eq!(server.metric(r#"tollgate_receive_spans_total{transport="http",outcome="refused"}"#), 7.0);
    let held = server.telemetry.budget.charge(512 << 10);
    assert_later(post(&server, "/v1/traces").body(large(700 << 10)), "memory").await;
    assert_later(post(&server, "/v1/traces").header("content-encoding", "gzip").body(gzip(&large(700 << 10))), "memory").await;
    drop(held);
    server.assert_well().await;
    server.assert_no_memory_is_held().await;
}

#[tokio::test]
async fn what_would_not_fit_an_empty_memory_is_too_large() {
    let server = Server::with_memory("", "", "", 1 << 20, Duration::from_secs(1)).await;
    let unsized_body =
        futures_util::stream::iter(large(2 << 20).chunks(64 << 10).map(|part| Ok::<_, std::io::Error>(part.to_vec())).collect::<Vec<_>>());
    let json_post = Client::new().post(server.url("/v1/traces")).header("content-type", "application/json");
    let requests = [
        post(&server, "/v1/traces").body(large(2 << 20)),
        post(&server, "/v1/traces").header("content-encoding", "gzip").body(gzip(&large(2 << 20))),
        post(&server, "/v1/traces").body(reqwest::Body::wrap_stream(unsized_body)),
        // Its text alone would fit.
        json_post.body(json("0101010101010101", 200 << 10)),
    ];
    for (number, request) in requests.into_iter().enumerate() {
        let answer = send(request).await;
        assert_eq!((answer.status().as_u16(), answer.headers().get("retry-after")), (413, None), "{number}");
    }
    server.assert_well().await;
    server.assert_no_memory_is_held().await;
}

#[tokio::test]
async fn a_single_span_of_40_mib_passes() {
    let server = Server::start().await;
    assert_eq!(send(post(&server, "/v1/traces").body(large(40 << 20))).await.status(), 200);
    let packed = post(&server, "/v1/traces").header("content-encoding", "zstd").body(zstd(&large(40 << 20)));
    assert_eq!(send(packed).await.status(), 200);
    assert_eq!(server.intake.offered(), [(Signal::Traces, 1); 2]);
    server.assert_no_memory_is_held().await;
}

#[tokio::test]
async fn spans_with_impossible_ids_are_left_out_and_reported() {
    let server = Server::start().await;
    let answer = send(post(&server, "/v1/traces").body(request(&[span(&[1; 8], b"good"), span(&[1; 9], b"long")]))).await;
    assert_eq!(answer.status(), 200);
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
    use prost::Message as _;
    let partial = ExportTraceServiceResponse::decode(answer.bytes().await.unwrap()).unwrap().partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 1);
    assert!(!partial.error_message.is_empty());
}

#[tokio::test]
async fn only_a_valid_token_may_send() {
    let server = Server::with("", "", "auth: { bearer_tokens: [old, new] }").await;
    for token in [None, Some("Bearer other"), Some("Basic old")] {
        let request = post(&server, "/v1/traces").body(spans(1));
        let answer = send(token.into_iter().fold(request, |request, token| request.header("authorization", token))).await;
        assert_eq!((answer.status().as_u16(), header(&answer, "www-authenticate")), (401, "Bearer"));
        assert_eq!(status(&answer.bytes().await.unwrap()), (16, "unauthenticated".to_owned()));
    }
    for token in ["Bearer old", "Bearer new"] {
        assert_eq!(send(post(&server, "/v1/traces").header("authorization", token).body(spans(1))).await.status(), 200);
    }
    assert_eq!(server.metric(r#"tollgate_receive_refusals_total{transport="http",reason="unauthenticated"}"#), 3.0);
}

#[tokio::test]
async fn a_page_that_may_send_is_told_so_and_another_is_not() {
    let cors = "cors: { allowed_origins: ['https://*.example.com'], allowed_headers: [x-tenant], max_age: 2h }";
    let server = Server::with("", cors, "auth: { bearer_tokens: [t] }").await;
    let preflight = |origin: &str| {
        let request = Client::new().request(Method::OPTIONS, server.url("/v1/traces"));
        request.header("origin", origin).header("access-control-request-method", "POST")
    };
    let answer = send(preflight("https://app.example.com")).await;
    assert_eq!(answer.status(), 204);
    assert_eq!(header(&answer, "access-control-allow-origin"), "https://app.example.com");
    assert_eq!(header(&answer, "access-control-allow-methods"), "POST");
    assert_eq!(header(&answer, "access-control-allow-headers"), "content-type, content-encoding, authorization, x-tenant");
    assert_eq!(header(&answer, "access-control-max-age"), "7200");
    let answer = send(preflight("https://example.org")).await;
    assert_eq!((header(&answer, "access-control-allow-origin"), header(&answer, "access-control-allow-headers")), ("", ""));

    let export =
        |origin: &str, token: &str| post(&server, "/v1/traces").header("origin", origin).header("authorization", token).body(spans(1));
    // The page may read why it was refused, too.
    for (token, expected) in [("Bearer t", 200), ("Bearer x", 401)] {
        let answer = send(export("https://app.example.com", token)).await;
        assert_eq!((answer.status().as_u16(), header(&answer, "vary")), (expected, "origin"));
        assert_eq!(header(&answer, "access-control-allow-origin"), "https://app.example.com");
        assert_eq!(header(&send(export("https://example.org", token)).await, "access-control-allow-origin"), "");
    }
}

#[tokio::test]
async fn http_2_is_spoken_on_the_same_port() {
    let server = Server::start().await;
    let client = Client::builder().http2_prior_knowledge().build().unwrap();
    let request = |body| client.post(server.url("/v1/traces")).header("content-type", PROTOBUF).body(body);
    let answer = send(request(spans(4))).await;
    assert_eq!((answer.status().as_u16(), answer.version()), (200, ::http::Version::HTTP_2));
    assert_eq!(send(request(large(65 << 20))).await.status(), 413);
    server.assert_well().await;
}

/// A request of one span in OTLP/JSON, its name `size` characters long.
fn json(span_id: &str, size: usize) -> String {
    let trace_id = "07".repeat(16);
    let span = format!(r#"{{"traceId":"{trace_id}","spanId":"{span_id}","name":"{}"}}"#, "x".repeat(size));
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}"#)
}

#[tokio::test]
async fn json_is_taken_and_answered_in_json() {
    let server = Server::with("", "max_request_body_size: 1MiB", "").await;
    let post = || Client::new().post(server.url("/v1/traces")).header("content-type", "application/json; charset=utf-8");
    // Small, large enough for a thread of its own, compressed, empty.
    for body in [json("0101010101010101", 4), json("0101010101010101", 500 << 10), "{}".to_owned()] {
        let packed = post().header("content-encoding", "gzip").body(gzip(body.as_bytes()));
        for answer in [send(post().body(body)).await, send(packed).await] {
            assert_eq!((answer.status().as_u16(), header(&answer, "content-type")), (200, "application/json"));
            assert_eq!(answer.text().await.unwrap(), "{}");
        }
    }
    assert_eq!(server.intake.offered(), [(Signal::Traces, 1); 4]);
    let answer = send(post().body(json("0000000000000000", 4))).await;
    assert_eq!(answer.status(), 200);
    let partial = answer.text().await.unwrap();
    assert!(partial.starts_with(r#"{"partialSuccess":{"rejectedSpans":"1","errorMessage":"spans whose span id"#), "{partial}");
    server.assert_no_memory_is_held().await;
}

#[tokio::test]
async fn a_large_body_does_not_keep_a_small_one_waiting() {
    // One thread for everything: work done in its place would be seen.
    let server = Server::start().await;
    let body = json("0101010101010101", 4);
    let many = format!(r#"{{"resourceSpans":[{}]}}"#, vec![&body[18..body.len() - 2]; 60_000].join(","));
    let large = Client::new().post(server.url("/v1/traces")).header("content-type", "application/json").body(many);
    let large = tokio::spawn(large.send());
    while server.telemetry.budget.used() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Fewer items come first although they were sent last.
    assert_eq!(send(post(&server, "/v1/traces").body(spans(2))).await.status(), 200);
    assert_eq!(large.await.unwrap().unwrap().status(), 200);
    assert_eq!(server.intake.offered(), [(Signal::Traces, 2), (Signal::Traces, 60_000)]);
}

#[tokio::test]
async fn what_is_wrong_with_json_is_told_in_json_without_repeating_it() {
    let server = Server::with("", "max_request_body_size: 1MiB", "").await;
    let post = || Client::new().post(server.url("/v1/traces")).header("content-type", "application/json");
    let deep = "[".repeat(100_000);
    let cases: [(&str, Vec<u8>, u16, u64); 5] = [
        ("cut off", b"{\"resourceSpans\":[canary".to_vec(), 400, 3),
        ("another shape", b"{\"resourceSpans\":\"canary\"}".to_vec(), 400, 3),
        ("not utf-8", b"{\"canary\":\"\xff\"}".to_vec(), 400, 3),
        ("deep", deep.into_bytes(), 400, 3),
        ("large", json("0101010101010101", 2 << 20).into_bytes(), 413, 8),
    ];
    for (name, body, expected, code) in cases {
        let answer = send(post().body(body)).await;
        assert_eq!((answer.status().as_u16(), header(&answer, "content-type")), (expected, "application/json"), "{name}");
        let text = answer.text().await.unwrap();
        assert!(text.starts_with(&format!("{{\"code\":{code},\"message\":")) && !text.contains("canary"), "{name}: {text}");
        server.assert_well().await;
    }
    server.assert_no_memory_is_held().await;
}
