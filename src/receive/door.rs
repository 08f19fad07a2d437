//! What both transports do with a request once they know what it claims to be.
//!
//! Cheap questions first: may this sender send, is there room, is the claim too large. Then the body, with its memory taken
//! beforehand. Then the check of its content, off the event loop where it takes long.

use crate::otlp::json;
use crate::otlp::signal::Signal;
use crate::receive::Intake;
use crate::receive::auth::Tokens;
use crate::receive::body::Pieces;
use crate::receive::inflate::{Coding, Inflating};
use crate::receive::meters::Meters;
use crate::receive::received::{Opened, open};
use crate::receive::refusal::Refusal;
use crate::telemetry::memory::{Budget, Charge};
use bytes::Bytes;
use http::HeaderMap;
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Bodies up to this size are checked where they arrive: a little more than half a millisecond, and less where texts are long. Larger ones
/// would keep other connections of the same thread waiting. It is what gRPC takes by default, so nearly all are smaller, and handing one
/// to another thread and back costs more than checking it.
const LIGHT: usize = 4 << 20;

/// JSON takes some forty times as long as protobuf.
const JSON_EFFORT: usize = 40;

/// Bytes that are inflated where the body arrives: a quarter of a millisecond.
const LIGHT_INFLATED: usize = 256 << 10;

/// A piece at least this large is kept as it lies in the transport's buffer instead of copied. A smaller one may be
/// a corner of a shared buffer that it would pin whole.
const KEEP: usize = 256 << 10;

/// How long to stay away while the memory is full and the pipeline has no better idea.
const MEMORY_WAIT: Duration = Duration::from_secs(2);

/// The way in, for one transport.
pub(super) struct Door<I> {
    pub(super) intake: I,
    pub(super) budget: Budget,
    pub(super) meters: Meters,
    pub(super) tokens: Tokens,
    /// The largest request, in bytes after decompression.
    pub(super) limit: usize,
    /// The longest a body may stall.
    pub(super) patience: Duration,
    /// Large bodies that may be checked at once, over both transports: one thread fewer than there are cores.
    pub(super) heavy: Arc<Semaphore>,
}

/// A body as it came, with the memory it occupies.
pub(super) struct Raw {
    pub(super) bytes: Bytes,
    pub(super) charge: Charge,
    pub(super) coding: Coding,
    pub(super) json: bool,
}

impl<I: Intake> Door<I> {
    /// Whether this sender may send at all.
    pub(super) fn check_sender(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        if self.tokens.admit(headers) { Ok(()) } else { Err(Refusal::Unauthenticated) }
    }

    /// Whether anything is taken at the moment.
    pub(super) fn check_pressure(&self) -> Result<(), Refusal> {
        self.intake.pressure().map_or(Ok(()), |busy| Err(Refusal::later(busy)))
    }

    /// Takes memory for `declared` bytes that are still to come.
    pub(super) fn charge(&self, declared: usize) -> Result<Charge, Refusal> {
        if declared > self.limit {
            return Err(Refusal::TooLarge(self.limit));
        }
        self.budget.try_charge(declared).ok_or_else(|| self.out_of_memory(declared))
    }

    /// A body being read.
    pub(super) fn pieces(&self, body: Incoming) -> Pieces<'_> {
        Pieces::new(body, self.patience, &self.meters.bytes)
    }

    /// Reads exactly `length` bytes, of which `first` are here already. What is too much is left in `first`.
    pub(super) async fn read_exactly(&self, pieces: &mut Pieces<'_>, first: &mut Bytes, length: usize) -> Result<Bytes, Refusal> {
        while first.is_empty() && length > 0 {
            *first = next(pieces).await?;
        }
        if first.len() >= length {
            let whole = first.split_to(length);
            return Ok(if length >= KEEP { whole } else { Bytes::copy_from_slice(&whole) });
        }
        let mut bytes = Vec::with_capacity(length);
        loop {
            let part = first.split_to(first.len().min(length - bytes.len()));
            bytes.extend_from_slice(&part);
            if bytes.len() == length {
                return Ok(Bytes::from(bytes));
            }
            *first = next(pieces).await?;
        }
    }

    /// Reads to the end of a body whose length nobody declared, taking memory as it comes.
    pub(super) async fn read_all(&self, pieces: &mut Pieces<'_>, charge: &mut Charge) -> Result<Bytes, Refusal> {
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.next().await? {
            let length = bytes.len() + piece.len();
            if length > self.limit {
                return Err(Refusal::TooLarge(self.limit));
            }
            if length > bytes.capacity() {
                // No further ahead than there will ever be room for.
                let capacity = length.max(bytes.capacity().saturating_mul(2).min(self.limit).min(self.budget.limit()));
                if !charge.try_grow(capacity) {
                    return Err(self.out_of_memory(capacity));
                }
                bytes.reserve_exact(capacity - bytes.len());
            }
            bytes.extend_from_slice(&piece);
        }
        bytes.shrink_to_fit();
        charge.resize(bytes.capacity());
        Ok(Bytes::from(bytes))
    }

    /// Checks a body and hands it on. The number of items that were left out, because nothing can make them acceptable.
    pub(super) async fn admit(&self, signal: Signal, raw: Raw) -> Result<u64, Refusal> {
        // Whatever it is compressed with, nothing stays nothing.
        if raw.bytes.is_empty() {
            self.meters.accepted(signal, 0, 0);
            return Ok(0);
        }
        let mut work = Work::new(signal, raw, self.limit)?;
        let opened = if work.begin()? { work.finish()? } else { self.finish_elsewhere(work).await? };
        let (items, rejected) = (opened.len() as u64, opened.rejected);
        if !opened.is_empty()
            && let Err(busy) = self.intake.offer(opened).await
        {
            self.meters.items_refused(signal, items + rejected);
            return Err(Refusal::later(busy));
        }
        self.meters.accepted(signal, items, rejected);
        Ok(rejected)
    }

    /// Does the rest of a large body's work on a thread where it keeps nobody waiting.
    async fn finish_elsewhere(&self, work: Work) -> Result<Opened, Refusal> {
        let _turn = self.heavy.acquire().await.map_err(|_| Refusal::Broken)?;
        tokio::task::spawn_blocking(move || work.finish()).await.unwrap_or_else(|failed| {
            tracing::error!(target: "receive", panicked = failed.is_panic(), "checking a request failed");
            Err(Refusal::Broken)
        })
    }

    fn out_of_memory(&self, needed: usize) -> Refusal {
        let retry_after = self.intake.pressure().map_or(MEMORY_WAIT, |busy| busy.retry_after);
        Refusal::no_memory(&self.budget, needed, retry_after)
    }
}

/// The next piece of a body that has to have one.
async fn next(pieces: &mut Pieces<'_>) -> Result<Bytes, Refusal> {
    pieces.next().await?.ok_or_else(|| Refusal::Malformed("the body ends before its declared length".to_owned()))
}

/// A body between arrival and hand-over.
struct Work {
    signal: Signal,
    arrival: Instant,
    json: bool,
    limit: usize,
    body: Body,
}

enum Body {
    Plain(Bytes, Charge),
    Packed(Inflating),
}

impl Work {
    fn new(signal: Signal, raw: Raw, limit: usize) -> Result<Work, Refusal> {
        let body = match raw.coding {
            Coding::Identity => Body::Plain(raw.bytes, raw.charge),
            coding => Body::Packed(Inflating::new(coding, raw.bytes, limit, raw.charge)?),
        };
        Ok(Work { signal, arrival: Instant::now(), json: raw.json, limit, body })
    }

    /// Does what can be done at once; whether the rest can be, too.
    fn begin(&mut self) -> Result<bool, Refusal> {
        let light = if self.json { LIGHT / JSON_EFFORT } else { LIGHT };
        match &mut self.body {
            Body::Plain(bytes, _) => Ok(bytes.len() <= light),
            // Inflating costs more than checking.
            Body::Packed(inflating) => Ok(inflating.run(LIGHT_INFLATED.min(light))? && inflating.size() <= light),
        }
    }

    fn finish(self) -> Result<Opened, Refusal> {
        let (bytes, mut charge) = match self.body {
            Body::Plain(bytes, charge) => (bytes, charge),
            Body::Packed(mut inflating) => {
                inflating.run(usize::MAX)?;
                inflating.finish()
            }
        };
        let bytes = if self.json { from_json(self.signal, bytes, &mut charge, self.limit)? } else { bytes };
        open(self.signal, bytes, Some(charge), self.arrival)
            .map_err(|malformed| Refusal::Malformed(format!("not a valid OTLP request of {}: {malformed}", self.signal.as_str())))
    }
}

fn from_json(signal: Signal, text: Bytes, charge: &mut Charge, limit: usize) -> Result<Bytes, Refusal> {
    let memory = text.len().saturating_add(json::memory(text.len()));
    if !charge.try_grow(memory) {
        return Err(Refusal::no_memory(charge.budget(), memory, MEMORY_WAIT));
    }
    let mut bytes = json::to_protobuf(signal, &text).map_err(|error| Refusal::Malformed(format!("not valid OTLP/JSON: {error}")))?;
    drop(text);
    if bytes.len() > limit {
        return Err(Refusal::TooLarge(limit));
    }
    bytes.shrink_to_fit();
    charge.resize(bytes.capacity());
    Ok(Bytes::from(bytes))
}

/// What a sender is told about items that were left out.
pub(super) fn left_out(rejected: u64) -> String {
    match rejected {
        0 => String::new(),
        _ => "spans whose span id is not 8 bytes or all zero, or whose parent id has another length, were left out".to_owned(),
    }
}
