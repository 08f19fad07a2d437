//! The body of an answer: a few bytes, perhaps with trailers.

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use tonic::Status;

/// What is answered.
pub(super) enum Reply {
    /// Bytes, then trailers.
    Plain { data: Option<Bytes>, trailers: Option<HeaderMap> },
    /// What a tonic service answers.
    Tonic(tonic::body::Body),
}

/// No body at all.
impl Default for Reply {
    fn default() -> Reply {
        Reply::Plain { data: None, trailers: None }
    }
}

impl Reply {
    /// Bytes alone.
    pub(super) fn bytes(data: impl Into<Bytes>) -> Reply {
        Reply::Plain { data: Some(data.into()), trailers: None }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self.get_mut() {
            Reply::Plain { data, trailers } => {
                Poll::Ready(data.take().map(Frame::data).or_else(|| trailers.take().map(Frame::trailers)).map(Ok))
            }
            Reply::Tonic(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Reply::Plain { data, trailers } => data.is_none() && trailers.is_none(),
            Reply::Tonic(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Reply::Plain { data, trailers: None } => SizeHint::with_exact(data.as_ref().map_or(0, |data| data.len() as u64)),
            Reply::Plain { .. } => SizeHint::default(),
            Reply::Tonic(body) => body.size_hint(),
        }
    }
}
