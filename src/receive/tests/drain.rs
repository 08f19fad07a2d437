//! Being told to stop.

use super::*;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

async fn ended(server: &mut Server, within: Duration) -> bool {
    tokio::time::timeout(within, &mut server.task).await.is_ok()
}

#[tokio::test]
async fn requests_in_progress_are_answered_and_new_connections_are_refused() {
    let mut server = Server::start().await;
    server.intake.with(|state| state.delay = Duration::from_millis(400));
    let (grpc, url) = (server.grpc, server.url("/v1/traces"));
    let over_grpc = tokio::spawn(async move { export(grpc, &[], &spans(1)).await });
    let over_http = tokio::spawn(reqwest::Client::new().post(url).header("content-type", "application/x-protobuf").body(spans(2)).send());
    tokio::time::sleep(Duration::from_millis(150)).await;
    server.shutdown.cancel();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(TcpStream::connect(server.grpc).await.is_err());
    assert!(TcpStream::connect(server.http).await.is_err());
    assert_eq!(over_grpc.await.unwrap().code, 0);
    assert_eq!(over_http.await.unwrap().unwrap().status(), 200);
    assert!(ended(&mut server, Duration::from_secs(3)).await);
    assert_eq!(server.intake.offered().len(), 2);
    assert_eq!(server.metric(r#"tollgate_receive_connections{transport="grpc"}"#), 0.0);
    server.assert_no_memory_is_held().await;
}

#[tokio::test]
async fn a_request_that_takes_too_long_does_not_hold_up_the_end() {
    let mut server = Server::with_memory("", "", "", 1 << 20, Duration::from_millis(300)).await;
    server.intake.with(|state| state.delay = Duration::from_secs(60));
    let address = server.grpc;
    let stuck = tokio::spawn(async move { export(address, &[], &spans(1)).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.shutdown.cancel();
    assert!(ended(&mut server, Duration::from_secs(2)).await);
    stuck.abort();
}

#[tokio::test]
async fn idle_connections_and_watched_health_do_not_hold_up_the_end() {
    let mut server = Server::start().await;
    let _silent = [TcpStream::connect(server.grpc).await.unwrap(), TcpStream::connect(server.http).await.unwrap()];
    let mut health = HealthClient::new(channel(server.grpc).await);
    let mut watched = health.watch(HealthCheckRequest { service: String::new() }).await.unwrap().into_inner();
    use tonic_health::pb::health_check_response::ServingStatus;
    assert_eq!(watched.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    server.shutdown.cancel();
    assert_eq!(watched.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    assert!(ended(&mut server, Duration::from_secs(4)).await);
}
