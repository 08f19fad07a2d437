//! Decompression that cannot be made to fill the memory.
//!
//! A kilobyte can inflate to a gigabyte. So the size limit and the memory budget are asked before every piece of output
//! gets its room, not after; and the window a zstd frame asks for is charged like the output, because the decoder
//! allocates it on the sender's word.
//!
//! Source: RFC 1952 (gzip), RFC 8878 (zstd).

use crate::receive::refusal::Refusal;
use crate::telemetry::memory::Charge;
use bytes::buf::Reader;
use bytes::{Buf, Bytes};
use flate2::bufread::MultiGzDecoder;
use http::HeaderMap;
use std::io::{self, Read};
use std::time::Duration;

/// The largest zstd window, as a power of two: 128 MiB, what RFC 8878 lets a decoder refuse and `zstd --long` uses.
const MAX_WINDOW_LOG: u32 = 27;

/// The window allowed where a body starts with something else than a zstd frame, as a power of two: 8 MiB, what RFC 8878
/// asks of every decoder.
const DEFAULT_WINDOW_LOG: u32 = 23;

/// What a zstd decoder needs besides its window: tables and a block each way.
const ZSTD_STATE: usize = 512 << 10;

/// The first output buffer is at least this large: most batches fit.
const FIRST: usize = 16 << 10;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Gzip,
    Zstd,
}

impl Coding {
    /// What the header `name` says: one coding, once. A list would have to be undone in order, and every layer of it can be a bomb.
    pub(super) fn of(headers: &HeaderMap, name: &str) -> Result<Coding, Refusal> {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(Coding::Identity),
            (Some(value), None) => value.to_str().ok().and_then(Coding::named).ok_or(Refusal::Encoding),
            _ => Err(Refusal::Encoding),
        }
    }

    fn named(name: &str) -> Option<Coding> {
        match name.trim() {
            "" => Some(Coding::Identity),
            name if name.eq_ignore_ascii_case("identity") => Some(Coding::Identity),
            name if name.eq_ignore_ascii_case("gzip") => Some(Coding::Gzip),
            name if name.eq_ignore_ascii_case("zstd") => Some(Coding::Zstd),
            _ => None,
        }
    }
}

/// A compressed body on its way to being plain.
pub(super) struct Inflating {
    decoder: Decoder,
    out: Vec<u8>,
    limit: usize,
    charge: Charge,
    /// Bytes charged for the body and the decoder, not for the output.
    besides: usize,
}

enum Decoder {
    Gzip(MultiGzDecoder<Reader<Bytes>>),
    Zstd(zstd::stream::read::Decoder<'static, Reader<Bytes>>),
}

impl Inflating {
    /// A body to inflate to at most `limit` bytes. `charge` covers the body and is topped up.
    pub(super) fn new(coding: Coding, body: Bytes, limit: usize, charge: Charge) -> Result<Inflating, Refusal> {
        let (mut besides, mut expected) = (body.len(), body.len().saturating_mul(4));
        let decoder = if coding == Coding::Zstd {
            let frame = Frame::read(&body);
            if frame.content.is_some_and(|size| size > limit as u64) {
                return Err(Refusal::TooLarge(limit));
            }
            if frame.window_log > MAX_WINDOW_LOG {
                return Err(Refusal::Malformed(format!("the zstd window is larger than {} MiB", (1u64 << MAX_WINDOW_LOG) >> 20)));
            }
            expected = frame.content.and_then(|size| usize::try_from(size).ok()).unwrap_or(expected);
            besides = besides.saturating_add((1 << frame.window_log) + ZSTD_STATE);
            // Further frames of the body may not ask for more than was charged for the first.
            let decoder = zstd::stream::read::Decoder::with_buffer(body.reader()).and_then(|mut decoder| {
                decoder.window_log_max(frame.window_log)?;
                Ok(decoder)
            });
            Decoder::Zstd(decoder.map_err(|_| Refusal::Broken)?)
        } else {
            // The last four bytes tell the size, as far as they can be believed.
            if let Some(tail) = body.last_chunk::<4>() {
                expected = (u32::from_le_bytes(*tail) as usize).min(expected.saturating_mul(4)).max(FIRST);
            }
            Decoder::Gzip(MultiGzDecoder::new(body.reader()))
        };
        let mut inflating = Inflating { decoder, out: Vec::new(), limit, charge, besides };
        // One byte more than expected, so that the end is seen without growing again.
        inflating.grow(expected.saturating_add(1).max(FIRST))?;
        Ok(inflating)
    }

    /// Goes on until all is out, or about `until` bytes are; whether it is done.
    pub(super) fn run(&mut self, until: usize) -> Result<bool, Refusal> {
        while self.out.len() < until {
            if self.out.len() == self.out.capacity() {
                self.grow(self.out.capacity().saturating_mul(2))?;
            }
            // Never more than there is room for, so that the buffer grows nowhere but above.
            let room = (self.out.capacity() - self.out.len()).min(until - self.out.len());
            let read = self.decoder.by_ref().take(room as u64).read_to_end(&mut self.out);
            let read = read.map_err(|_| Refusal::Malformed("the body is damaged: it does not decompress".to_owned()))?;
            if self.out.len() > self.limit {
                return Err(Refusal::TooLarge(self.limit));
            }
            if read < room {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Compressed and inflated bytes so far.
    pub(super) fn size(&self) -> usize {
        self.out.len()
    }

    /// The plain body, with a charge for what it occupies.
    pub(super) fn finish(self) -> (Bytes, Charge) {
        let Inflating { decoder, mut out, mut charge, .. } = self;
        drop(decoder);
        if out.capacity() - out.len() > out.len() / 8 {
            out.shrink_to_fit();
        }
        charge.resize(out.capacity());
        (Bytes::from(out), charge)
    }

    /// Makes room for `capacity` bytes of output, at most one more than the limit: that one shows that there is too much.
    fn grow(&mut self, capacity: usize) -> Result<(), Refusal> {
        // No further ahead than there will ever be room for, if that is further than before.
        let most = self.charge.budget().limit().saturating_sub(self.besides).max(self.out.len().saturating_add(1));
        let capacity = capacity.min(self.limit.saturating_add(1)).min(most);
        let needed = self.besides.saturating_add(capacity);
        if !self.charge.try_grow(needed) {
            return Err(Refusal::no_memory(self.charge.budget(), needed, Duration::from_secs(1)));
        }
        self.out.reserve_exact(capacity - self.out.len());
        Ok(())
    }
}

impl Read for Decoder {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Decoder::Gzip(decoder) => decoder.read(out),
            Decoder::Zstd(decoder) => decoder.read(out),
        }
    }
}

/// What the header of a zstd frame says (RFC 8878, 3.1.1.1).
struct Frame {
    window_log: u32,
    content: Option<u64>,
}

impl Frame {
    fn read(body: &[u8]) -> Frame {
        Frame::header(body).unwrap_or(Frame { window_log: DEFAULT_WINDOW_LOG, content: None })
    }

    fn header(body: &[u8]) -> Option<Frame> {
        let rest = body.strip_prefix(&[0x28, 0xb5, 0x2f, 0xfd])?;
        let (&descriptor, mut rest) = rest.split_first()?;
        let single_segment = descriptor & 0x20 != 0;
        let mut window = 0u64;
        if !single_segment {
            let (&byte, after) = rest.split_first()?;
            let base = 1u64 << (10 + (byte >> 3));
            window = base + base / 8 * u64::from(byte & 7);
            rest = after;
        }
        let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
        let field = rest.get(dictionary..)?;
        let length = match descriptor >> 6 {
            0 => usize::from(single_segment),
            1 => 2,
            2 => 4,
            _ => 8,
        };
        let mut content = None;
        if length > 0 {
            let size = field.get(..length)?.iter().rev().fold(0u64, |size, &byte| size << 8 | u64::from(byte));
            content = Some(if length == 2 { size + 256 } else { size });
        }
        if single_segment {
            window = content?;
        }
        // The power of two at or above the window; 1 KiB is the smallest there is.
        let window_log = 64 - window.saturating_sub(1).leading_zeros();
        Some(Frame { window_log: window_log.max(10), content })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::memory::Budget;
    use proptest::prelude::*;
    use std::io::Write as _;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(plain: &[u8]) -> Vec<u8> {
        zstd::encode_all(plain, 3).unwrap()
    }

    fn inflate(coding: Coding, body: &[u8], limit: usize, budget: &Budget) -> Result<(Bytes, Charge), Refusal> {
        let charge = budget.try_charge(body.len()).unwrap();
        let mut inflating = Inflating::new(coding, Bytes::copy_from_slice(body), limit, charge)?;
        assert!(inflating.run(usize::MAX)?);
        Ok(inflating.finish())
    }

    fn codings(plain: &[u8]) -> [(Coding, Vec<u8>); 2] {
        [(Coding::Gzip, gzip(plain)), (Coding::Zstd, zstd(plain))]
    }

    #[test]
    fn what_was_compressed_comes_back_and_is_charged_for_what_it_occupies() {
        let plain: Vec<u8> = (0..300_000u32).flat_map(|n| n.to_le_bytes()).collect();
        for (coding, body) in codings(&plain) {
            let budget = Budget::new(64 << 20);
            let (out, charge) = inflate(coding, &body, 2 << 20, &budget).unwrap();
            assert_eq!(out, plain);
            assert!((plain.len()..plain.len() + plain.len() / 8 + 1).contains(&charge.bytes()), "{}", charge.bytes());
            drop(charge);
            assert_eq!(budget.used(), 0);
        }
    }

    #[test]
    fn a_body_of_exactly_the_limit_passes_and_one_byte_more_does_not() {
        for (coding, body) in codings(&[7; 100_000]) {
            let budget = Budget::new(64 << 20);
            assert_eq!(inflate(coding, &body, 100_000, &budget).unwrap().0.len(), 100_000);
            assert_eq!(inflate(coding, &body, 99_999, &budget).unwrap_err(), Refusal::TooLarge(99_999));
        }
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit_and_costs_no_more_than_it() {
        let plain = vec![0; 10 << 20];
        // Without its size in the header, as a stream would come.
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
        encoder.write_all(&plain).unwrap();
        let stream = encoder.finish().unwrap();
        for (coding, body) in [(Coding::Gzip, gzip(&plain)), (Coding::Zstd, zstd(&plain)), (Coding::Zstd, stream)] {
            let budget = Budget::new(8 << 20);
            let refusal = inflate(coding, &body, 1 << 20, &budget).unwrap_err();
            assert_eq!(refusal, Refusal::TooLarge(1 << 20), "{coding:?}");
            assert_eq!(budget.used(), 0);
        }
    }

    #[test]
    fn output_that_does_not_fit_the_budget_is_refused_for_now_or_for_good() {
        for (coding, body) in codings(&vec![0; 4 << 20]) {
            for (limit, used, reason) in [(16 << 20, 13 << 20, "memory"), (3 << 20, 0, "too_large")] {
                let budget = Budget::new(limit);
                let _held = budget.charge(used);
                let refusal = inflate(coding, &body, 64 << 20, &budget).unwrap_err();
                assert_eq!((refusal.reason(), refusal.retry_after().is_some()), (reason, used > 0), "{coding:?}");
                assert_eq!(budget.used(), used);
            }
        }
    }

    #[test]
    fn damage_is_told_from_size() {
        for (coding, mut body) in codings(&[1, 2, 3].repeat(1000)) {
            let budget = Budget::new(64 << 20);
            body.truncate(body.len() - 3);
            assert_eq!(inflate(coding, &body, 1 << 20, &budget).unwrap_err().reason(), "malformed", "{coding:?}");
            assert_eq!(inflate(coding, b"plain text, not compressed", 1 << 20, &budget).unwrap_err().reason(), "malformed");
        }
    }

    #[test]
    fn a_gzip_body_of_several_members_is_one_body() {
        let body = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(inflate(Coding::Gzip, &body, 100, &Budget::new(1 << 20)).unwrap().0, "one two");
    }

    #[test]
    fn a_window_is_charged_before_it_is_allocated_and_limited() {
        let frame = |window_log: u8| [&[0x28, 0xb5, 0x2f, 0xfd, 0, (window_log - 10) << 3][..], &[1, 0, 0]].concat();
        let budget = Budget::new(64 << 20);
        assert!(inflate(Coding::Zstd, &frame(20), 1 << 20, &budget).unwrap().0.is_empty());
        assert_eq!(inflate(Coding::Zstd, &frame(27), 1 << 20, &budget).unwrap_err().reason(), "too_large");
        assert_eq!(inflate(Coding::Zstd, &frame(28), 1 << 20, &budget).unwrap_err().reason(), "malformed");
        assert_eq!(inflate(Coding::Zstd, &frame(41), 1 << 20, &budget).unwrap_err().reason(), "malformed");
        // A later frame that asks for more than the first.
        let two = [frame(12), frame(26)].concat();
        assert_eq!(inflate(Coding::Zstd, &two, 1 << 20, &budget).unwrap_err().reason(), "malformed");
    }

    proptest! {
        #[test]
        fn any_change_to_a_body_ends_in_an_answer_and_no_memory_held(
            gzipped: bool, at in 0usize..400, to: u8, cut in 0usize..400, plain in proptest::collection::vec(0u8..4, 0..2000)
        ) {
            let (coding, mut body) = if gzipped { (Coding::Gzip, gzip(&plain)) } else { (Coding::Zstd, zstd(&plain)) };
            if let Some(byte) = body.get_mut(at) {
                *byte = to;
            }
            body.truncate(body.len().saturating_sub(cut / 4));
            let budget = Budget::new(16 << 20);
            if let Ok((out, charge)) = inflate(coding, &body, 4096, &budget) {
                prop_assert!(out.len() <= 4096 && charge.bytes() >= out.len());
            }
            prop_assert_eq!(budget.used(), 0);
        }
    }

    #[test]
    fn any_header_is_read_without_a_panic() {
        for descriptor in 0..=255u8 {
            for length in 0..14 {
                let body = [&[0x28, 0xb5, 0x2f, 0xfd, descriptor][..], &[0xff; 14][..length]].concat();
                let _ = Frame::read(&body);
            }
        }
    }
}
