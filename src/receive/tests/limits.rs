//! Connections that take more than their share, and configs that cannot be bound.

use super::*;
use crate::receive::{BindError, Receivers};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Writes and reads to the end of the connection, or for two seconds.
async fn talk(address: SocketAddr, text: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let _ = socket.write_all(text).await;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(Ok(read)) = tokio::time::timeout(Duration::from_secs(2), socket.read(&mut buffer)).await {
        if read == 0 {
            break;
        }
        answer.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Whether the server closes a connection that sends `text` and then nothing, within two seconds.
async fn closes_on(address: SocketAddr, text: &[u8]) -> bool {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(text).await.unwrap();
    tokio::time::timeout(Duration::from_secs(2), socket.read_to_end(&mut Vec::new())).await.is_ok()
}

#[tokio::test]
async fn headers_that_are_too_many_or_too_long_get_431_and_the_next_request_passes() {
    let server = Server::start().await;
    let head = "POST /v1/traces HTTP/1.1\r\nhost: a\r\n";
    let long = format!("{head}x-long: {}\r\n\r\n", "a".repeat(200 << 10));
    let many = format!("{head}{}\r\n", (0..150).map(|n| format!("x-{n}: a\r\n")).collect::<String>());
    for (name, text) in [("long", long), ("many", many)] {
        let answer = talk(server.http, text.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{name}: {answer}");
        server.assert_well().await;
    }
    let value = "a".repeat(20 << 10);
    for address in [server.grpc, server.http] {
        let answer = call(address, TRACES, &[("x-long", &value)], &[framed(0, &spans(1))]).await;
        assert_eq!(answer.http, 431);
    }
    server.assert_well().await;
}

#[tokio::test]
async fn bytes_that_are_no_http_close_their_connection_only() {
    let server = Server::start().await;
    for address in [server.grpc, server.http] {
        assert!(closes_on(address, b"\x16\x03\x01 not tls here\r\n\r\n").await);
        // A frame of 16 MiB, which nobody has room for unasked.
        assert!(closes_on(address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\xff\xff\xff\0\0\0\0\0\x01").await);
        server.assert_well().await;
    }
}

#[tokio::test]
async fn streams_opened_and_reset_without_end_leave_nothing_behind() {
    let server = Server::start().await;
    let (client, connection) = h2::client::handshake(TcpStream::connect(server.grpc).await.unwrap()).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut client = client;
    for _ in 0..2000 {
        let Ok(mut ready) = client.ready().await else { break };
        let request = ::http::Request::post(format!("http://localhost{TRACES}")).header("content-type", "application/grpc");
        let Ok((_, mut stream)) = ready.send_request(request.body(()).unwrap(), false) else { break };
        let _ = stream.send_data(Bytes::from_static(&[0, 0, 16, 0, 0, 1]), false);
        stream.send_reset(h2::Reason::CANCEL);
        client = ready;
    }
    server.assert_well().await;
    server.assert_no_memory_is_held().await;
    connection.abort();
}

#[tokio::test]
async fn a_connection_that_says_nothing_or_half_a_head_is_closed() {
    let grpc = "keepalive: { server_parameters: { max_connection_idle: 200ms } }";
    let server = Server::with(grpc, "read_header_timeout: 200ms", "").await;
    assert!(closes_on(server.http, b"").await);
    assert!(closes_on(server.http, b"POST /v1/traces HTTP/1.1\r\nhost").await);
    assert!(closes_on(server.http, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await);
    assert!(closes_on(server.grpc, b"").await);
    assert!(closes_on(server.grpc, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await);
    server.assert_well().await;
}

#[tokio::test]
async fn a_body_that_stalls_is_given_up_for_now() {
    let server = Server::with("", "read_timeout: 200ms", "").await;
    for length in ["content-length: 1000", "transfer-encoding: chunked"] {
        let head = format!("POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf\r\n{length}\r\n\r\n");
        let answer = talk(server.http, head.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: "), "{answer}");
    }
    assert_eq!(server.metric(r#"tollgate_receive_refusals_total{transport="http",reason="slow_body"}"#), 2.0);
    server.assert_no_memory_is_held().await;
    server.assert_well().await;
}

#[tokio::test]
async fn a_sender_that_waits_to_be_asked_is_not_asked_for_what_is_refused() {
    let server = Server::start().await;
    let head = "POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf\r\nexpect: 100-continue\r\n";
    let answer = talk(server.http, format!("{head}content-length: 70000000\r\n\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let answer = talk(server.http, format!("{head}connection: close\r\ncontent-length: 0\r\n\r\n").as_bytes()).await;
    assert!(answer.contains("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn one_connection_more_than_allowed_is_closed_and_a_free_place_is_taken_again() {
    let server = Server::with("max_connections: 2", "max_connections: 1", "").await;
    for (address, transport, places) in [(server.grpc, "grpc", 2), (server.http, "http", 1)] {
        let mut held = Vec::new();
        for _ in 0..places {
            held.push(TcpStream::connect(address).await.unwrap());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(server.metric(&format!(r#"tollgate_receive_connections{{transport="{transport}"}}"#)), f64::from(places));
        assert!(closes_on(address, b"").await);
        assert_eq!(server.metric(&format!(r#"tollgate_receive_refusals_total{{transport="{transport}",reason="connections"}}"#)), 1.0);
        drop(held);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    server.assert_well().await;
}

#[tokio::test]
async fn an_old_connection_is_told_to_finish() {
    let grpc = "keepalive: { server_parameters: { max_connection_age: 200ms, max_connection_age_grace: 100ms } }";
    let server = Server::with(grpc, "", "").await;
    let socket = TcpStream::connect(server.grpc).await.unwrap();
    let (_client, connection) = h2::client::handshake(socket).await.unwrap();
    tokio::time::timeout(Duration::from_secs(2), connection).await.expect("closed in time").unwrap();
    server.assert_well().await;
}

#[tokio::test]
async fn a_request_outlives_the_idle_limit_and_not_the_grace_of_an_old_connection() {
    let idle = Server::with("keepalive: { server_parameters: { max_connection_idle: 200ms } }", "read_header_timeout: 200ms", "").await;
    idle.intake.with(|state| state.delay = Duration::from_millis(700));
    idle.assert_well().await;

    let grpc = "keepalive: { server_parameters: { max_connection_age: 100ms, max_connection_age_grace: 300ms } }";
    let old = Server::with(grpc, "", "").await;
    old.intake.with(|state| state.delay = Duration::from_secs(60));
    let (client, connection) = h2::client::handshake(TcpStream::connect(old.grpc).await.unwrap()).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = ::http::Request::post(format!("http://localhost{TRACES}")).header("content-type", "application/grpc");
    let (answer, mut stream) = client.ready().await.unwrap().send_request(request.body(()).unwrap(), false).unwrap();
    stream.send_data(framed(0, &spans(1)).into(), true).unwrap();
    assert!(tokio::time::timeout(Duration::from_secs(3), answer).await.expect("cut in time").is_err());
    connection.abort();
}

#[tokio::test]
async fn a_peer_that_answers_no_ping_is_dead() {
    let server = Server::with("keepalive: { server_parameters: { time: 100ms, timeout: 100ms } }", "", "").await;
    assert!(closes_on(server.grpc, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await);
    server.assert_well().await;
}

#[tokio::test]
async fn no_more_streams_than_allowed_are_open_on_a_connection() {
    let server = Server::with("max_concurrent_streams: 3", "max_concurrent_streams: 4", "").await;
    for (address, expected) in [(server.grpc, 3), (server.http, 4)] {
        let (client, connection) = h2::client::handshake(TcpStream::connect(address).await.unwrap()).await.unwrap();
        let connection = tokio::spawn(connection);
        let request = ::http::Request::post("http://localhost/").body(()).unwrap();
        let mut client = client.ready().await.unwrap();
        let (answer, _) = client.send_request(request, true).unwrap();
        let _ = answer.await;
        assert_eq!(client.current_max_send_streams(), expected);
        connection.abort();
    }
}

#[tokio::test]
async fn a_port_in_use_is_named_with_its_key() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config = |yaml: String| serde_yaml::from_str::<Config>(&yaml).unwrap();
    let bind = async |config: &Config| Receivers::bind(config, &Telemetry::new(1 << 20), Fake::default()).await.err().expect("an error");
    let error = bind(&config(format!("otlp: {{ protocols: {{ grpc: {{ endpoint: '{address}' }} }} }}"))).await;
    let expected = format!("receivers.otlp.protocols.grpc.endpoint: {address} is in use; stop what listens there, or choose another port");
    assert_eq!(error.to_string(), expected);
    let error = bind(&config("otlp: { protocols: { http: { endpoint: '192.0.2.1:0' } } }".to_owned())).await;
    assert!(matches!(error, BindError::Listen { .. }), "{error}");
    let error = bind(&config("otlp: { ack: durable }".to_owned())).await;
    assert!(error.to_string().starts_with("receivers.otlp.ack: "), "{error}");
}

#[tokio::test]
async fn a_protocol_that_is_off_is_not_bound() {
    let config: Config = serde_yaml::from_str("otlp: { protocols: { http: { endpoint: '127.0.0.1:0' } } }").unwrap();
    let receivers = Receivers::bind(&config, &Telemetry::new(1 << 20), Fake::default()).await.unwrap();
    assert!(receivers.grpc_addr().is_none() && receivers.http_addr().is_some());
}
