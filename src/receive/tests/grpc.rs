//! OTLP/gRPC.

use super::*;
use crate::telemetry::logs::heard;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

fn code(answer: &Answer) -> Code {
    Code::from_i32(answer.code)
}

#[tokio::test]
async fn each_signal_is_accepted_at_its_method_and_counted() {
    let server = Server::start().await;
    for signal in Signal::ALL {
        let answer = call(server.grpc, signal.grpc_path(), &[], &[framed(0, &request(&[Vec::new(), Vec::new()]))]).await;
        // Spans without ids are left out of the first; nothing is wrong with empty log records and metrics.
        assert_eq!(code(&answer), Code::Ok, "{signal:?}: {}", answer.message);
    }
    assert_eq!(export(server.grpc, &[], &spans(5)).await.body, [0; 5]);
    assert_eq!(server.intake.offered(), [(Signal::Logs, 2), (Signal::Metrics, 2), (Signal::Traces, 5)]);
    assert_eq!(server.metric(r#"tollgate_receive_spans_total{transport="grpc",outcome="accepted"}"#), 5.0);
    assert_eq!(server.metric(r#"tollgate_receive_spans_total{transport="grpc",outcome="rejected"}"#), 2.0);
    assert_eq!(server.metric(r#"tollgate_receive_requests_total{transport="grpc",signal="logs",outcome="accepted"}"#), 1.0);
    assert!(server.metric(r#"tollgate_receive_bytes_total{transport="grpc"}"#) > 100.0);
    assert_eq!(server.metric(r#"tollgate_receive_listener_tls{transport="grpc"}"#), 0.0);
    server.assert_no_memory_is_held().await;
}

#[tokio::test]
async fn a_prefix_and_a_message_split_over_many_frames_are_one_message() {
    let server = Server::start().await;
    let frames: Vec<Vec<u8>> = framed(0, &spans(2)).chunks(1).map(<[u8]>::to_vec).collect();
    let empty_between: Vec<Vec<u8>> = framed(0, &spans(3)).chunks(3).flat_map(|part| [Vec::new(), part.to_vec()]).collect();
    for frames in [frames, empty_between] {
        assert_eq!(code(&call(server.grpc, TRACES, &[], &frames).await), Code::Ok);
    }
    assert_eq!(server.intake.offered(), [(Signal::Traces, 2), (Signal::Traces, 3)]);
}

#[tokio::test]
async fn an_empty_request_succeeds_and_is_offered_to_nobody() {
    let server = Server::start().await;
    for (headers, flag) in [(&[][..], 0), (&[("grpc-encoding", "gzip")][..], 1)] {
        assert_eq!(code(&call(server.grpc, TRACES, headers, &[framed(flag, b"")]).await), Code::Ok);
    }
    assert_eq!(server.intake.offered(), []);
}

#[tokio::test]
async fn gzip_and_zstd_are_understood_and_a_message_may_still_be_plain() {
    let server = Server::start().await;
    for (name, body) in [("gzip", gzip(&spans(40))), ("zstd", zstd(&spans(40)))] {
        let headers = [("grpc-encoding", name), ("content-type", "application/grpc+proto")];
        assert_eq!(code(&call(server.grpc, TRACES, &headers, &[framed(1, &body)]).await), Code::Ok);
        assert_eq!(code(&call(server.grpc, TRACES, &headers, &[framed(0, &spans(40))]).await), Code::Ok);
    }
    assert_eq!(server.intake.offered(), [(Signal::Traces, 40); 4]);
    server.assert_no_memory_is_held().await;
}

#[tokio::test]
async fn what_can_never_be_accepted_is_refused_for_good_and_the_next_request_passes() {
    let server = Server::with("max_recv_msg_size: 1MiB", "", "").await;
    let gz: &[(&str, &str)] = &[("grpc-encoding", "gzip")];
    let zst: &[(&str, &str)] = &[("grpc-encoding", "zstd")];
    let bomb = large(5 << 20);
    let cases: Vec<(&str, &[(&str, &str)], Vec<u8>, Code)> = vec![
        ("not protobuf", &[], framed(0, &[0xff; 20]), Code::InvalidArgument),
        ("no utf-8", &[], framed(0, &request(&[span(&[1; 8], &[0xff])])), Code::InvalidArgument),
        ("one byte over", &[], framed(0, &vec![0; (1 << 20) + 1]), Code::ResourceExhausted),
        ("4 GiB declared", &[], vec![0, 255, 255, 255, 255], Code::ResourceExhausted),
        ("gzip bomb", gz, framed(1, &gzip(&bomb)), Code::ResourceExhausted),
        ("zstd bomb", zst, framed(1, &zstd(&bomb)), Code::ResourceExhausted),
        ("gzip damaged", gz, framed(1, &gzip(&spans(9))[..30]), Code::InvalidArgument),
        ("zstd that is gzip", zst, framed(1, &gzip(&spans(9))), Code::InvalidArgument),
        ("gzip that is protobuf", gz, framed(1, &spans(9)), Code::InvalidArgument),
        ("cut off in the message", &[], framed(0, &spans(9))[..40].to_vec(), Code::InvalidArgument),
        ("cut off in the prefix", &[], vec![0, 0, 0], Code::InvalidArgument),
        ("no message", &[], Vec::new(), Code::InvalidArgument),
        ("two messages", &[], [framed(0, &spans(1)), framed(0, &spans(1))].concat(), Code::InvalidArgument),
        ("a third kind of flag", &[], framed(2, &spans(1)), Code::InvalidArgument),
        ("compressed with nothing", &[], framed(1, &spans(1)), Code::Internal),
        ("unknown compression", &[("grpc-encoding", "snappy")], framed(1, &spans(1)), Code::Unimplemented),
        ("two compressions", &[("grpc-encoding", "gzip"), ("grpc-encoding", "gzip")], framed(1, &spans(1)), Code::Unimplemented),
    ];
    for (name, headers, body, expected) in cases {
        let answer = call(server.grpc, TRACES, headers, &[body]).await;
        assert_eq!((answer.http, code(&answer)), (200, expected), "{name}: {}", answer.message);
        assert_eq!(answer.retry_delay(), None, "{name}");
        assert_eq!(answer.headers.contains_key("grpc-accept-encoding"), answer.code == Code::Unimplemented as i32, "{name}");
        server.assert_well().await;
    }
    server.assert_no_memory_is_held().await;
    assert_eq!(server.metric(r#"tollgate_receive_refusals_total{transport="grpc",reason="too_large"}"#), 4.0);
    assert_eq!(server.metric(r#"tollgate_receive_requests_total{transport="grpc",signal="traces",outcome="rejected"}"#), 17.0);
}

#[tokio::test]
async fn a_large_bomb_is_stopped_off_the_event_loop() {
    let server = Server::with("max_recv_msg_size: 8MiB", "", "").await;
    for (name, body) in [("gzip", gzip(&large(10 << 20))), ("zstd", zstd(&large(70 << 20)))] {
        let answer = call(server.grpc, TRACES, &[("grpc-encoding", name)], &[framed(1, &body)]).await;
        assert_eq!(code(&answer), Code::ResourceExhausted, "{name}");
    }
    server.assert_well().await;
    server.assert_no_memory_is_held().await;
}

#[tokio::test]
async fn what_can_be_accepted_later_carries_retry_info() {
    let server = Server::with_memory("", "", "", 1 << 20, Duration::from_secs(1)).await;
    let assert_later = |answer: Answer, reason: &str| {
        assert_eq!(code(&answer), Code::Unavailable, "{reason}");
        assert!(answer.message.contains(reason), "{}", answer.message);
        answer.retry_delay().expect("RetryInfo")
    };
    server.intake.with(|state| state.pressure = Some(FULL));
    let delay = assert_later(export(server.grpc, &[], &spans(1)).await, "queue");
    assert!((Duration::from_secs(4)..=Duration::from_secs(6)).contains(&delay), "{delay:?}");
    server.intake.with(|state| (state.pressure, state.refusal) = (None, Some(FULL)));
    assert_later(export(server.grpc, &[], &spans(7)).await, "queue");
    server.intake.with(|state| state.refusal = None);
    assert_eq!(server.metric(r#"tollgate_receive_spans_total{transport="grpc",outcome="refused"}"#), 7.0);

    // The length alone does not fit, then what it inflates to: for now, and with the whole memory empty.
    let packed = framed(1, &gzip(&large(700 << 10)));
    let held = server.telemetry.budget.charge(512 << 10);
    assert_later(export(server.grpc, &[], &large(700 << 10)).await, "memory");
    assert_later(call(server.grpc, TRACES, &[("grpc-encoding", "gzip")], &[packed]).await, "memory");
    assert_eq!(server.metric(r#"tollgate_receive_refusals_total{transport="grpc",reason="memory"}"#), 2.0);
    drop(held);
    let packed = framed(1, &gzip(&large(2 << 20)));
    for answer in
        [export(server.grpc, &[], &large(2 << 20)).await, call(server.grpc, TRACES, &[("grpc-encoding", "gzip")], &[packed]).await]
    {
        assert_eq!((code(&answer), answer.retry_delay()), (Code::ResourceExhausted, None));
        assert!(answer.message.contains("service.memory.limit"), "{}", answer.message);
    }
    server.assert_well().await;
    server.assert_no_memory_is_held().await;
}

#[tokio::test]
async fn a_length_is_charged_before_the_message_and_a_stalled_one_gives_it_back() {
    let server = Server::with("read_timeout: 300ms", "", "").await;
    let budget = server.telemetry.budget.clone();
    let start = vec![[&[0][..], &(10u32 << 20).to_be_bytes(), b"start"].concat()];
    let address = server.grpc;
    let stalled = tokio::spawn(async move { call_over(TcpStream::connect(address).await.unwrap(), TRACES, &[], &start, false).await });
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(budget.used(), 10 << 20);
    let answer = stalled.await.unwrap();
    assert_eq!(code(&answer), Code::Unavailable);
    assert!(answer.retry_delay().is_some());
    server.assert_well().await;
    server.assert_no_memory_is_held().await;
}

#[tokio::test]
async fn a_request_over_the_limit_is_refused_before_its_body_is_sent() {
    let server = Server::start().await;
    let prefix = vec![[&[0][..], &(70u32 << 20).to_be_bytes()].concat()];
    let answer = call_over(TcpStream::connect(server.grpc).await.unwrap(), TRACES, &[], &prefix, false).await;
    assert_eq!(code(&answer), Code::ResourceExhausted);
    assert_eq!(answer.retry_delay(), None);
    assert_eq!(server.telemetry.budget.used(), 0);
    // And with the body, which nobody keeps.
    let answer = export(server.grpc, &[], &large(70 << 20)).await;
    assert_eq!(code(&answer), Code::ResourceExhausted);
    server.assert_well().await;
}

#[tokio::test]
async fn a_single_span_of_40_mib_passes() {
    let server = Server::start().await;
    let span = large(40 << 20);
    assert_eq!(code(&export(server.grpc, &[], &span).await), Code::Ok);
    assert_eq!(code(&call(server.grpc, TRACES, &[("grpc-encoding", "zstd")], &[framed(1, &zstd(&span))]).await), Code::Ok);
    assert_eq!(server.intake.offered(), [(Signal::Traces, 1); 2]);
    server.assert_no_memory_is_held().await;
}

#[tokio::test]
async fn spans_with_impossible_ids_are_left_out_and_reported() {
    let server = Server::start().await;
    let mixed = request(&[span(&[1; 8], b"good"), span(&[1; 7], b"short"), span(&[0; 8], b"zero")]);
    let answer = export(server.grpc, &[], &mixed).await;
    assert_eq!(code(&answer), Code::Ok);
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
    use prost::Message as _;
    let partial = ExportTraceServiceResponse::decode(&answer.body[5..]).unwrap().partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 2);
    assert!(partial.error_message.contains("span id"), "{}", partial.error_message);
    assert_eq!(server.intake.offered(), [(Signal::Traces, 1)]);
}

#[tokio::test]
async fn only_a_valid_token_may_send_and_health_needs_none() {
    let server = Server::with("", "", "auth: { bearer_tokens: [old, new] }").await;
    for token in [None, Some("Bearer other"), Some("Basic old")] {
        let headers: Vec<_> = token.iter().map(|token| ("authorization", *token)).collect();
        let answer = export(server.grpc, &headers, &spans(1)).await;
        assert_eq!((code(&answer), answer.message.as_str()), (Code::Unauthenticated, "unauthenticated"));
    }
    for token in ["Bearer old", "Bearer new"] {
        assert_eq!(code(&export(server.grpc, &[("authorization", token)], &spans(1)).await), Code::Ok);
    }
    let mut health = HealthClient::new(channel(server.grpc).await);
    let service = "opentelemetry.proto.collector.trace.v1.TraceService".to_owned();
    for service in [String::new(), service] {
        let answer = health.check(HealthCheckRequest { service }).await.unwrap();
        assert_eq!(answer.into_inner().status(), tonic_health::pb::health_check_response::ServingStatus::Serving);
    }
    let unknown = health.check(HealthCheckRequest { service: "other".to_owned() }).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
}

#[tokio::test]
async fn replaced_tokens_hold_from_the_next_request_on() {
    let server = Server::with("", "", "auth: { bearer_tokens: [old] }").await;
    let send = async |token: &str| code(&export(server.grpc, &[("authorization", token)], &spans(1)).await);
    server.tokens.replace(&[crate::units::Secret::new("new")]);
    assert_eq!((send("Bearer old").await, send("Bearer new").await), (Code::Unauthenticated, Code::Ok));
}

#[tokio::test]
async fn a_message_that_arrives_in_one_piece_is_kept_as_it_lies_and_charged() {
    let server = Server::start().await;
    server.intake.with(|state| state.keep = true);
    for size in [1 << 10, 300 << 10, 900 << 10] {
        let message = large(size);
        assert_eq!(code(&export(server.grpc, &[], &message).await), Code::Ok);
        // Its bytes, and the index of one span under one scope.
        let index = server.telemetry.budget.used() - message.len();
        assert!((1..=512).contains(&index), "{index}");
        server.intake.with(|state| state.kept.clear());
    }
    server.assert_no_memory_is_held().await;
}

#[tokio::test]
async fn nothing_a_sender_wrote_is_logged() {
    // One thread runs the server and the clients.
    let log = heard::listen();
    let server = Server::with("", "", "auth: { bearer_tokens: [canary-valid] }").await;
    let valid = ("authorization", "Bearer canary-valid");
    export(server.grpc, &[("authorization", "Bearer canary-offered")], b"").await;
    export(server.grpc, &[valid], b"\x0a\x06canary").await;
    export(server.grpc, &[valid], &request(&[span(b"canary", b"canary"), span(&[1; 8], b"canary\xff")])).await;
    call(server.grpc, TRACES, &[valid, ("grpc-encoding", "canary")], &[framed(1, b"canary")]).await;
    let json = reqwest::Client::new().post(server.url("/v1/traces?canary")).header("content-type", "application/json");
    json.header("authorization", "Bearer canary-valid").body("{\"canary\": canary}").send().await.unwrap();
    let text = log.text();
    assert!(text.matches("request refused").count() >= 5, "{text}");
    assert!(!text.contains("canary"), "{text}");
    assert!(!server.metrics().contains("canary"));
}

#[tokio::test]
async fn what_is_not_an_export_is_told_so() {
    let server = Server::start().await;
    for path in ["/opentelemetry.proto.collector.trace.v1.TraceService/Import", "/v1/traces", "/", "/grpc.health.v1.Healthy/Check"] {
        assert_eq!(code(&call(server.grpc, path, &[], &[framed(0, b"")]).await), Code::Unimplemented, "{path}");
    }
    for content_type in ["application/x-protobuf", "application/grpc-web", "application/grpc+json", ""] {
        let answer = call(server.grpc, TRACES, &[("content-type", content_type)], &[framed(0, b"")]).await;
        assert_eq!(answer.http, 415, "{content_type}");
        assert!(String::from_utf8_lossy(&answer.body).contains("OTLP/HTTP"));
    }
    // An HTTP exporter pointed at this port.
    let lost = reqwest::Client::new().get(format!("http://{}/v1/traces", server.grpc)).header("content-type", "application/grpc");
    let answer = lost.send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["allow"].to_str().unwrap()), (405, "POST"));
    server.assert_well().await;
}

#[tokio::test]
async fn many_requests_at_once_over_one_connection_are_all_answered() {
    let server = Server::with("max_concurrent_streams: 16", "", "").await;
    server.intake.with(|state| state.delay = Duration::from_millis(5));
    let channel = channel(server.grpc).await;
    use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
    use prost::Message as _;
    let message = ExportTraceServiceRequest::decode(spans(3).as_slice()).unwrap();
    let calls = (0..200).map(|_| {
        let (channel, message) = (channel.clone(), message.clone());
        tokio::spawn(async move {
            let mut client = tonic::client::Grpc::new(channel);
            client.ready().await.unwrap();
            let codec = tonic_prost_codec();
            let answer: tonic::Response<ExportTraceServiceResponse> =
                client.unary(tonic::Request::new(message), ::http::uri::PathAndQuery::from_static(TRACES), codec).await.unwrap();
            assert_eq!(answer.into_inner().partial_success, None);
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    assert_eq!(server.intake.offered().len(), 200);
    server.assert_no_memory_is_held().await;
}

/// A codec as generated clients have it.
fn tonic_prost_codec<M: prost::Message + 'static, R: prost::Message + Default + 'static>() -> Prost<M, R> {
    Prost(std::marker::PhantomData)
}

struct Prost<M, R>(std::marker::PhantomData<(M, R)>);
struct Half<T>(std::marker::PhantomData<T>);

impl<M: prost::Message + 'static, R: prost::Message + Default + 'static> tonic::codec::Codec for Prost<M, R> {
    type Encode = M;
    type Decode = R;
    type Encoder = Half<M>;
    type Decoder = Half<R>;
    fn encoder(&mut self) -> Half<M> {
        Half(std::marker::PhantomData)
    }
    fn decoder(&mut self) -> Half<R> {
        Half(std::marker::PhantomData)
    }
}

impl<M: prost::Message> tonic::codec::Encoder for Half<M> {
    type Item = M;
    type Error = tonic::Status;
    fn encode(&mut self, item: M, out: &mut tonic::codec::EncodeBuf<'_>) -> Result<(), tonic::Status> {
        item.encode(out).map_err(|error| tonic::Status::internal(error.to_string()))
    }
}

impl<R: prost::Message + Default> tonic::codec::Decoder for Half<R> {
    type Item = R;
    type Error = tonic::Status;
    fn decode(&mut self, from: &mut tonic::codec::DecodeBuf<'_>) -> Result<Option<R>, tonic::Status> {
        R::decode(from).map(Some).map_err(|error| tonic::Status::internal(error.to_string()))
    }
}
