//! gRPC without messages: what a pass-through costs that never looks at what it passes.

use bytes::{Buf, BufMut, Bytes};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{NamedService, UnaryService};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};

/// The method every request of these benchmarks calls.
pub const PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// Far above any request of the workloads.
const LIMIT: usize = 64 << 20;

/// Hands messages out, and takes them, as the bytes they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = RawCodec;
    type Decoder = RawCodec;

    fn encoder(&mut self) -> RawCodec {
        RawCodec
    }

    fn decoder(&mut self) -> RawCodec {
        RawCodec
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, body: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(body.copy_to_bytes(body.remaining())))
    }
}

/// A service of one method that gives each message to `F`.
#[derive(Clone, Debug)]
pub struct RawService<F>(pub F);

impl<F> NamedService for RawService<F> {
    const NAME: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Bytes>, Status>> + Send>>;

struct Call<F>(F);

impl<F, Fut> UnaryService<Bytes> for Call<F>
where
    F: Fn(Bytes) -> Fut,
    Fut: Future<Output = Result<Bytes, Status>> + Send + 'static,
{
    type Response = Bytes;
    type Future = Answer;

    fn call(&mut self, request: Request<Bytes>) -> Answer {
        let answer = (self.0)(request.into_inner());
        Box::pin(async { answer.await.map(Response::new) })
    }
}

impl<F, Fut> tower::Service<http::Request<Body>> for RawService<F>
where
    F: Fn(Bytes) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<Bytes, Status>> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let handler = self.0.clone();
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(RawCodec).apply_max_message_size_config(Some(LIMIT), Some(LIMIT));
            Ok(grpc.unary(Call(handler), request).await)
        })
    }
}

/// A server with windows wide enough not to be what is measured.
pub fn tuned_server() -> Server {
    Server::builder().initial_stream_window_size(4 << 20).initial_connection_window_size(16 << 20).max_frame_size(1 << 20).tcp_nodelay(true)
}

/// A client connection, likewise.
pub fn tuned_channel(port: u16) -> Channel {
    Endpoint::from_shared(format!("http://127.0.0.1:{port}"))
        .expect("a valid address")
        .initial_stream_window_size(4 << 20)
        .initial_connection_window_size(16 << 20)
        .tcp_nodelay(true)
        .connect_lazy()
}

/// One unary call.
pub async fn call(channel: Channel, body: Bytes) -> Result<Bytes, Status> {
    let mut client = tonic::client::Grpc::new(channel).max_decoding_message_size(LIMIT).max_encoding_message_size(LIMIT);
    client.ready().await.map_err(|e| Status::unavailable(e.to_string()))?;
    let path = http::uri::PathAndQuery::from_static(PATH);
    Ok(client.unary(Request::new(body), path, RawCodec).await?.into_inner())
}
