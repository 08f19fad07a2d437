//! Input nobody should send: the answer says what is wrong and whether to come back, and the next good request passes.

use crate::corpus;
use crate::support::build::{failed, lone, request};
use crate::support::client::{Called, Posted, framed, gzip, zstd};
use crate::support::sink::{Sink, Via};
use crate::support::stage::{ALL_OFF, Stage};
use crate::support::{PATIENCE, until_sync, wire};
use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress, Status};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tollgate::otlp::signal::Signal;
use tollgate::otlp::wire::put_bytes;

const MIB: usize = 1 << 20;
const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");

/// Codes of gRPC.
const INVALID_ARGUMENT: i32 = 3;
const RESOURCE_EXHAUSTED: i32 = 8;
const UNIMPLEMENTED: i32 = 12;

struct Setup {
    stage: Stage,
    sink: Sink,
}

impl Setup {
    async fn start() -> Setup {
        let sink = Sink::start().await;
        let exporters = format!("exporters: {{ otlp_grpc: {{ endpoint: \"{}\", batch: {{ flush_after: 5ms }} }} }}\n", sink.url());
        Setup { stage: Stage::start(&(ALL_OFF.to_owned() + &exporters)).await, sink }
    }

    /// The same body both ways: the codes that must be answered, neither of which asks to come back. Then a good request.
    async fn refuses(&self, what: &str, body: &[u8], grpc: i32, http: u16) {
        let called = self.stage.client.export(Signal::Traces, body).await;
        assert_eq!((called.code, called.retry), (grpc, None), "{what}: {called:?}");
        let posted = self.stage.client.post(Signal::Traces, body.to_vec()).await;
        assert_eq!((posted.status, posted.retry()), (http, None), "{what}: {posted:?}");
        explains(what, &called, &posted);
        self.assert_well(what).await;
    }

    /// A valid request over each transport is accepted and arrives.
    async fn assert_well(&self, after: &str) {
        let before = self.sink.count(Signal::Traces, Via::Grpc);
        let called = self.stage.client.export(Signal::Traces, &request(vec![lone("good")])).await;
        assert_eq!(called.code, 0, "after {after}: {called:?}");
        let posted = self.stage.client.post(Signal::Traces, request(vec![lone("good")])).await;
        assert_eq!(posted.status, 200, "after {after}: {posted:?}");
        self.sink.wait_for(Signal::Traces, Via::Grpc, before + 2).await;
    }

    async fn finish(self) {
        self.stage.finish().await;
    }
}

/// Both answers carry a reason, over HTTP as a `google.rpc.Status` in the form of the request.
fn explains(what: &str, called: &Called, posted: &Posted) {
    assert!(!called.message.is_empty(), "{what}: {called:?}");
    assert_eq!(posted.content_type(), "application/x-protobuf", "{what}");
    let message = wire::fields(&posted.body).into_iter().find(|(number, ..)| *number == 2).map(|(_, _, text)| text.to_vec());
    assert!(message.is_some_and(|text| !text.is_empty()), "{what}: {posted:?}");
}

fn field(number: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_bytes(&mut out, number, content);
    out
}

/// A request of one span with this encoded attribute value.
fn with_value(any_value: &[u8]) -> Vec<u8> {
    let attribute = [field(1, b"key"), field(2, any_value)].concat();
    let span = [field(1, &[7; 16]), field(2, &[1; 8]), field(5, b"chat"), field(9, &attribute)].concat();
    field(1, &field(2, &field(2, &span)))
}

/// A gzip stream of so many MiB of zeros, made of one compressed block again and again: making it costs next to nothing.
fn gzip_bomb(mib: usize) -> Vec<u8> {
    let (mut block, mut compress) = (Vec::with_capacity(64 << 10), Compress::new(Compression::best(), false));
    let status = compress.compress_vec(&vec![0; MIB], &mut block, FlushCompress::Full).expect("it compresses");
    assert_eq!(status, Status::Ok);
    let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    // An empty last block and a checksum that is never reached.
    [&header[..], &block.repeat(mib), &[3, 0], &[0; 8]].concat()
}

/// The same in zstd: frames one after another.
fn zstd_bomb(mib: usize) -> Vec<u8> {
    zstd(&vec![0; MIB]).repeat(mib)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_of_40_mib_passes_both_ways() {
    let sink = Sink::start().await;
    let exporters = format!("exporters: {{ otlp_grpc/a: {{ endpoint: \"{0}\" }}, otlp_http/b: {{ endpoint: \"{0}\" }} }}\n", sink.url());
    let stage = Stage::start(&(ALL_OFF.to_owned() + &exporters)).await;
    for grpc in [true, false] {
        let body = with_value(&field(1, &vec![b'a'; 40 * MIB]));
        let item = wire::items(&body);
        if grpc {
            let answer = stage.client.export(Signal::Traces, &body).await;
            assert_eq!(answer.code, 0, "{answer:?}");
        } else {
            let answer = stage.client.post(Signal::Traces, body).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        for via in [Via::Grpc, Via::Http] {
            let count = if grpc { 1 } else { 2 };
            sink.wait_for(Signal::Traces, via, count).await;
            assert!(sink.items(Signal::Traces, via)[count - 1] == item[0], "not as it was sent");
        }
    }
    stage.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_larger_than_the_limit_is_refused_for_good() {
    let setup = Setup::start().await;
    let body = with_value(&field(1, &vec![b'a'; 70 * MIB]));
    setup.refuses("70 MiB", &body, RESOURCE_EXHAUSTED, 413).await;

    // Said to be small, and larger than the limit once it is unpacked.
    for (coding, bomb) in [("gzip", gzip_bomb(1000)), ("zstd", zstd_bomb(1000))] {
        assert!(bomb.len() < 4 * MIB, "{} bytes", bomb.len());
        let start = std::time::Instant::now();
        let called = setup.stage.client.call(Signal::Traces.grpc_path(), &[("grpc-encoding", coding)], &framed(1, &bomb)).await;
        assert_eq!((called.code, called.retry), (RESOURCE_EXHAUSTED, None), "{coding}: {called:?}");
        let posted = setup.stage.client.post_to("/v1/traces", &[PROTOBUF, ("content-encoding", coding)], bomb).await;
        assert_eq!((posted.status, posted.retry()), (413, None), "{coding}: {posted:?}");
        explains(coding, &called, &posted);
        assert!(start.elapsed() < PATIENCE / 2, "{coding} took {:?}", start.elapsed());
        setup.assert_well(coding).await;
    }
    setup.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_otlp_is_refused_for_good_with_a_reason() {
    let setup = Setup::start().await;
    let mut noise = Vec::new();
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..4096 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        noise.push((seed >> 33) as u8);
    }
    let good = request(vec![lone("good")]);
    let mut deep = field(1, b"bottom");
    for _ in 0..100 {
        // AnyValue { 5 array_value { 1 values } }
        deep = field(5, &field(1, &deep));
    }
    for (what, body) in [
        ("random bytes", noise),
        ("a truncated request", good[..good.len() - 7].to_vec()),
        ("a length past the end", vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]),
        ("100 levels of nesting", with_value(&deep)),
        ("a text that is no UTF-8", with_value(&field(1, b"caf\xe9 \xff\xfe"))),
        ("JSON as protobuf", br#"{"resourceSpans":[]}"#.to_vec()),
        ("a field of a wrong wire type", vec![0x08, 0x01]),
    ] {
        setup.refuses(what, &body, INVALID_ARGUMENT, 400).await;
    }
    for (what, text) in [
        ("no JSON", "{\"resourceSpans\":".to_owned()),
        ("a list", "[]".to_owned()),
        ("100 levels of JSON", deep_json(100)),
        ("100000 levels of JSON", "[".repeat(100_000)),
        ("an id that is no hex", r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"zz"}]}]}]}"#.to_owned()),
    ] {
        let answer = setup.stage.client.post_to("/v1/traces", &[JSON], text).await;
        assert_eq!((answer.status, answer.content_type(), answer.retry()), (400, "application/json", None), "{what}: {answer:?}");
        let status: serde_json::Value = serde_json::from_slice(&answer.body).expect("a Status in JSON");
        assert!(status["code"] == 3 && status["message"].is_string(), "{what}: {status}");
        setup.assert_well(what).await;
    }
    // Cut off in the middle of the compressed stream.
    for (coding, packed) in [("gzip", gzip(&good)), ("zstd", zstd(&good))] {
        let part = &packed[..packed.len() / 2];
        let called = setup.stage.client.call(Signal::Traces.grpc_path(), &[("grpc-encoding", coding)], &framed(1, part)).await;
        assert_eq!((called.code, called.retry), (INVALID_ARGUMENT, None), "{coding}: {called:?}");
        let posted = setup.stage.client.post_to("/v1/traces", &[PROTOBUF, ("content-encoding", coding)], part.to_vec()).await;
        assert_eq!(posted.status, 400, "{coding}: {posted:?}");
        setup.assert_well(coding).await;
    }
    setup.finish().await;
}

fn deep_json(levels: usize) -> String {
    let value = r#"{"arrayValue":{"values":["#.repeat(levels) + r#"{"stringValue":"bottom"}"# + &"]}}".repeat(levels);
    format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"{}","spanId":"{}","attributes":[{{"key":"k","value":{value}}}]}}]}}]}}]}}"#,
        "07".repeat(16),
        "01".repeat(8)
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_nothing_is_a_success() {
    let setup = Setup::start().await;
    for signal in Signal::ALL {
        let called = setup.stage.client.export(signal, &[]).await;
        assert_eq!((called.code, called.body.len()), (0, 0), "{called:?}");
        let posted = setup.stage.client.post(signal, Vec::new()).await;
        assert_eq!((posted.status, posted.body.len()), (200, 0), "{posted:?}");
        let json = setup.stage.client.post_to(&format!("/v1/{signal}"), &[JSON], "{}").await;
        assert_eq!((json.status, &json.body[..]), (200, &b"{}"[..]), "{json:?}");
    }
    // A call without any message is another thing.
    let none = setup.stage.client.call(Signal::Traces.grpc_path(), &[], &Bytes::new()).await;
    assert_eq!(none.code, INVALID_ARGUMENT, "{none:?}");
    setup.assert_well("nothing").await;
    setup.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_doors_are_named() {
    let setup = Setup::start().await;
    let (client, good) = (&setup.stage.client, request(vec![lone("good")]));
    let message = framed(0, &good);

    for kind in ["text/plain", "application/grpc", "application/x-www-form-urlencoded"] {
        let answer = client.post_to("/v1/traces", &[("content-type", kind)], good.clone()).await;
        assert_eq!(answer.status, 415, "{kind}: {answer:?}");
    }
    let answer = client.call(Signal::Traces.grpc_path(), &[("content-type", "application/json")], &message).await;
    assert_eq!((answer.http, answer.code), (415, -1), "{answer:?}");
    for path in ["/", "/v1/trace", "/v1/traces/", "/v2/traces", "/opentelemetry.proto.collector.trace.v1.TraceService/Export"] {
        let answer = client.post_to(path, &[PROTOBUF], good.clone()).await;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
    }
    for path in [
        "/v1/traces",
        "/opentelemetry.proto.collector.trace.v1.TraceService/Import",
        "/opentelemetry.proto.collector.trace.v2.TraceService/Export",
    ] {
        let answer = client.call(path, &[], &message).await;
        assert_eq!((answer.http, answer.code), (200, UNIMPLEMENTED), "{path}: {answer:?}");
    }
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let answer = client.web.request(method.clone(), format!("http://{}/v1/traces", client.http)).send().await.expect("an answer");
        assert_eq!(answer.status(), 405, "{method}");
        assert_eq!(answer.headers()["allow"], "POST");
    }
    for coding in ["br", "deflate", "gzip, gzip", "snappy"] {
        let answer = client.post_to("/v1/traces", &[PROTOBUF, ("content-encoding", coding)], good.clone()).await;
        assert_eq!(answer.status, 415, "{coding}: {answer:?}");
        let answer = client.call(Signal::Traces.grpc_path(), &[("grpc-encoding", coding)], &framed(1, &good)).await;
        assert_eq!(answer.code, UNIMPLEMENTED, "{coding}: {answer:?}");
    }
    setup.assert_well("wrong doors").await;
    // Each transport on the port of the other.
    let answer =
        talk(client.grpc, b"POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")
            .await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    setup.assert_well("the wrong port").await;
    setup.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_too_large_or_no_http_do_no_harm() {
    let setup = Setup::start().await;
    let client = &setup.stage.client;
    let head = "POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf\r\n";
    for (what, text) in [
        ("one long header", format!("{head}x-long: {}\r\n\r\n", "a".repeat(200 << 10))),
        ("many headers", format!("{head}{}\r\n", (0..500).map(|n| format!("x-{n}: a\r\n")).collect::<String>())),
    ] {
        let answer = talk(client.http, text.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{what}: {answer}");
        setup.assert_well(what).await;
    }
    let value = "a".repeat(30 << 10);
    let answer = client.call(Signal::Traces.grpc_path(), &[("x-long", &value)], &framed(0, &request(vec![lone("good")]))).await;
    assert_eq!(answer.http, 431, "{answer:?}");
    for address in [client.grpc, client.http] {
        for bytes in [
            &b"\x16\x03\x01\x02\x00 no TLS here"[..],
            b"\0\0\0\0\0\0\0\0\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            talk(address, bytes).await;
            setup.assert_well("bytes that are no HTTP").await;
        }
    }
    // A body that is longer, and one that is shorter, than it was said to be.
    for (length, body) in [("3", "0123456789"), ("10", "012")] {
        talk(client.http, format!("{head}content-length: {length}\r\nconnection: close\r\n\r\n{body}").as_bytes()).await;
        setup.assert_well("a wrong length").await;
    }
    setup.finish().await;
}

/// Writes, and reads what comes back until the connection ends, for a second at most.
async fn talk(address: SocketAddr, text: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).await.expect("it listens");
    // The other side may have closed already.
    let _ = socket.write_all(text).await;
    let _ = socket.shutdown().await;
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(Ok(read @ 1..)) = tokio::time::timeout(Duration::from_secs(1), socket.read(&mut buffer)).await {
        answer.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_with_impossible_ids_are_left_out_and_counted_and_the_others_accepted() {
    let setup = Setup::start().await;
    let (mut bad, good) = (lone("bad"), lone("good"));
    bad.span_id = vec![1; 3];
    let body = request(vec![bad, good]);
    // 1 partial_success { 1 rejected_spans 2 error_message }
    let partial = |body: &[u8]| {
        let content = wire::fields(body)
            .into_iter()
            .find(|(number, ..)| *number == 1)
            .map(|(_, _, content)| content.to_vec())
            .expect("partial_success");
        let fields: Vec<_> = wire::fields(&content).into_iter().map(|(number, raw, text)| (number, raw.to_vec(), text.to_vec())).collect();
        assert_eq!((fields[0].0, &fields[0].1[..]), (1, &[8, 1][..]), "one span");
        assert!(fields[1].0 == 2 && !fields[1].2.is_empty(), "and why");
    };
    let called = setup.stage.client.export(Signal::Traces, &body).await;
    assert_eq!(called.code, 0);
    partial(&called.body);
    let posted = setup.stage.client.post(Signal::Traces, body).await;
    assert_eq!(posted.status, 200);
    partial(&posted.body);
    setup.sink.wait_for(Signal::Traces, Via::Grpc, 2).await;
    assert_eq!(setup.stage.metric("tollgate_receive_spans_total", &[("outcome", "rejected")]), 2.0);
    setup.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_requests_with_broken_bytes_meet_no_stage_that_panics_loses_count_or_leaks_memory() {
    let sink = Sink::start().await;
    let processors = "processors: { tail_sampling: { decision_wait: 1s, extend_while_active: { idle: 0s } } }\n";
    let exporters = format!("exporters: {{ otlp_http: {{ endpoint: \"{}\", batch: {{ flush_after: 5ms }} }} }}\n", sink.url());
    let stage = Stage::start(&(processors.to_owned() + &exporters)).await;
    let watch = stage.watch_books();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize
    };
    let (mut taken, mut refused) = (0, 0);
    for recorded in corpus::all().into_iter().filter(|r| !r.body.is_empty()) {
        for any_byte in [true, false] {
            let mut body = recorded.body.clone();
            for _ in 0..4 {
                let at = next() % body.len();
                // Letters for letters mostly leave a valid request, of values nobody writes.
                match (any_byte, body[at].is_ascii_alphanumeric()) {
                    (true, _) => body[at] = next() as u8,
                    (false, true) => body[at] = b"09aAzZ{["[next() % 8],
                    (false, false) => {}
                }
            }
            let kind = if recorded.json { JSON } else { PROTOBUF };
            let answer = stage.client.post_to(&format!("/v1/{}", recorded.signal), &[kind], body).await;
            match answer.status {
                200 => taken += 1,
                400 => refused += 1,
                _ => panic!("{}: {answer:?}", recorded.file),
            }
        }
    }
    assert!(taken > 200 && refused > 200, "{taken} taken, {refused} refused");
    assert_eq!(stage.client.export(Signal::Traces, &request(vec![failed(lone("good"), "no")])).await.code, 0);
    assert_eq!(stage.metric("tollgate_redact_blocked_spans_total", &[]), 0.0, "nothing was held back by a failure");
    until_sync("everything is decided", || stage.metric("tollgate_sampling_traces_pending", &[]) == 0.0).await;
    watch.assert_balanced_throughout();
    let ledger = stage.telemetry.ledger.clone();
    stage.finish().await;
    let books = ledger.books();
    assert_eq!((books.lost, books.destinations[0].failed), (0, 0), "{books:?}");
    assert_eq!(books.destinations[0].quarantined, 0, "what was taken is what a backend takes");
    assert_eq!(
        sink.count(Signal::Traces, Via::Http) + sink.count(Signal::Logs, Via::Http) + sink.count(Signal::Metrics, Via::Http),
        books.forwarded as usize
    );
}
