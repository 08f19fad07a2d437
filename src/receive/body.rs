//! A request body, piece by piece, at a pace.
//!
//! Room for a body is taken before it arrives, so a sender that stops in the middle holds memory others need. A body therefore
//! has a deadline that moves with every byte: one that keeps coming may be as long as the limit allows.

use crate::receive::Busy;
use crate::receive::refusal::Refusal;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use metrics::Counter;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The slowest line a body may come over for long, in bytes a second.
const SLOWEST: u64 = 256 << 10;

/// How long the rest of a refused body is read and thrown away.
const LINGER: Duration = Duration::from_secs(2);

/// A body being read.
pub(super) struct Pieces<'a> {
    body: Incoming,
    start: Instant,
    patience: Duration,
    received: u64,
    meter: &'a Counter,
}

impl<'a> Pieces<'a> {
    /// A body that may stall for `patience`; its bytes are counted by `meter`.
    pub(super) fn new(body: Incoming, patience: Duration, meter: &'a Counter) -> Pieces<'a> {
        Pieces { body, start: Instant::now(), patience, received: 0, meter }
    }

    /// The next piece, `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        let deadline = self.start + self.patience + Duration::from_millis(self.received.saturating_mul(1000) / SLOWEST);
        loop {
            match timeout_at(deadline, self.body.frame()).await {
                Ok(None) => return Ok(None),
                Ok(Some(Ok(frame))) => {
                    let Ok(piece) = frame.into_data() else { continue };
                    self.received += piece.len() as u64;
                    self.meter.increment(piece.len() as u64);
                    return Ok(Some(piece));
                }
                Ok(Some(Err(_))) => return Err(Refusal::Malformed("the body was cut off".to_owned())),
                // A slow line is no reason to lose data: the sender may try again.
                Err(_) => return Err(Refusal::later(Busy { retry_after: Duration::from_secs(1), reason: "slow_body" })),
            }
        }
    }

    /// Whether nothing more can come.
    pub(super) fn is_at_end(&self) -> bool {
        self.body.is_end_stream()
    }

    /// What was not read.
    pub(super) fn into_rest(self) -> Incoming {
        self.body
    }
}

/// Reads the rest of a refused body in the background and keeps none of it.
///
/// A sender on HTTP/1 writes its whole body before it reads, and closing on it would reset the connection under the answer.
pub(super) fn discard(mut body: Incoming) {
    if body.is_end_stream() {
        return;
    }
    tokio::spawn(tokio::time::timeout(LINGER, async move { while let Some(Ok(_)) = body.frame().await {} }));
}
