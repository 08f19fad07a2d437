//! Bodies made smaller.

use crate::forward::batch::Encoded;
use crate::forward::config::Compression;
use crate::forward::verdict::Reason;
use crate::telemetry::memory::Charge;
use bytes::Bytes;
use std::io::Write;

/// zstd's own default: about the size gzip gives, at a fifth of the time.
const ZSTD_LEVEL: i32 = 3;

/// Compresses what stands behind the first `prefix` bytes, on a thread that may take its time. The charge covers the result.
///
/// # Errors
/// [`Reason::Internal`] where the encoder fails.
pub(super) async fn compress(algorithm: Compression, encoded: Encoded, prefix: usize) -> Result<(Vec<u8>, Charge), Reason> {
    if algorithm == Compression::None {
        return Ok(encoded.into_parts());
    }
    let work = move || {
        let (input, mut charge) = encoded.into_parts();
        let mut out = vec![0; prefix];
        let content = input.get(prefix..).unwrap_or_default();
        match algorithm {
            Compression::None => out.extend_from_slice(content),
            Compression::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::default());
                encoder.write_all(content)?;
                out = encoder.finish()?;
            }
            Compression::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(out, ZSTD_LEVEL)?;
                encoder.write_all(content)?;
                out = encoder.finish()?;
            }
        }
        charge.resize(out.capacity());
        std::io::Result::Ok((out, charge))
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(_)) | Err(_) => Err(Reason::Internal),
    }
}

/// A body that keeps its charge until the transport has let go of it.
pub(super) fn charged(bytes: Vec<u8>, charge: Charge) -> Bytes {
    struct Charged(Vec<u8>, Charge);
    impl AsRef<[u8]> for Charged {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    let owner = Charged(bytes, charge);
    debug_assert!(owner.1.bytes() >= owner.0.len());
    Bytes::from_owner(owner)
}
