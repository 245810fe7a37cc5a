//! gzip with a bound on what comes out.
//!
//! A record has up to four members of some hundred bytes, so that setting up a decompressor for each would cost more than
//! the work: [`Inflater`] keeps one. The header is read here, as the decompressor that can be kept takes bare deflate.
//!
//! Source: `[rfc 1952] 2.3`; facts of CloudKit, 1.4 and 3.2.

use std::io::Write;

use flate2::Compress;
use flate2::Compression;
use flate2::Crc;
use flate2::Decompress;
use flate2::FlushCompress;
use flate2::FlushDecompress;
use flate2::Status;
use flate2::write::GzEncoder;

const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
/// In a header: the system that packed it is not told.
const SYSTEM_UNKNOWN: u8 = 0xff;

const HAS_CHECKSUM: u8 = 0x02;
const HAS_EXTRA: u8 = 0x04;
const HAS_NAME: u8 = 0x08;
const HAS_COMMENT: u8 = 0x10;

/// Output is asked for in steps of at least this, so that a small member never allocates the bound.
const STEP: usize = 1 << 10;

/// Inflates one gzip member after another.
pub struct Inflater {
    state: Decompress,
}

impl Default for Inflater {
    fn default() -> Self {
        Self {
            state: Decompress::new(false),
        }
    }
}

impl Inflater {
    /// What a gzip member holds, checked against its checksum and length. Bytes behind the member are not looked at.
    ///
    /// # Errors
    /// [`GzipError`]; [`GzipError::TooLarge`] when more than `limit` bytes would come out.
    pub fn inflate(&mut self, bytes: &[u8], limit: usize) -> Result<Vec<u8>, GzipError> {
        let body = header(bytes)?;
        self.state.reset(false);
        let mut out = Vec::with_capacity(body.len().saturating_mul(3).max(STEP).min(limit));
        loop {
            let taken = usize::try_from(self.state.total_in()).unwrap_or(usize::MAX);
            let rest = body.get(taken..).unwrap_or_default();
            let before = (self.state.total_in(), out.len());
            let status = self
                .state
                .decompress_vec(rest, &mut out, FlushDecompress::Finish);
            if out.len() > limit {
                return Err(GzipError::TooLarge { limit });
            }
            match status {
                Ok(Status::StreamEnd) => break,
                // A full buffer is the one reason to go on.
                Ok(Status::Ok | Status::BufError) if out.len() == out.capacity() => {
                    let room = limit.saturating_add(1).saturating_sub(out.len());
                    out.reserve_exact(out.len().max(STEP).min(room));
                }
                Ok(Status::Ok | Status::BufError) => {
                    if (self.state.total_in(), out.len()) == before {
                        return Err(GzipError::Truncated);
                    }
                }
                Err(_) => return Err(GzipError::Damaged),
            }
        }
        let end = usize::try_from(self.state.total_in()).unwrap_or(usize::MAX);
        check(&out, body.get(end..).unwrap_or_default())?;
        Ok(out)
    }
}

/// What follows the header of a member.
fn header(bytes: &[u8]) -> Result<&[u8], GzipError> {
    let (fixed, mut rest) = bytes.split_first_chunk::<10>().ok_or(GzipError::NotGzip)?;
    let [a, b, method, flags, ..] = *fixed;
    if [a, b, method] != MAGIC {
        return Err(GzipError::NotGzip);
    }
    if flags & HAS_EXTRA != 0 {
        let (length, behind) = rest.split_first_chunk().ok_or(GzipError::Truncated)?;
        rest = behind
            .get(usize::from(u16::from_le_bytes(*length))..)
            .ok_or(GzipError::Truncated)?;
    }
    for flag in [HAS_NAME, HAS_COMMENT] {
        if flags & flag != 0 {
            let end = rest.iter().position(|byte| *byte == 0);
            let behind = end.and_then(|end| rest.get(end.saturating_add(1)..));
            rest = behind.ok_or(GzipError::Truncated)?;
        }
    }
    if flags & HAS_CHECKSUM != 0 {
        rest = rest.get(2..).ok_or(GzipError::Truncated)?;
    }
    Ok(rest)
}

/// Compares what came out with the member's trailer.
fn check(out: &[u8], trailer: &[u8]) -> Result<(), GzipError> {
    let (sum, rest) = trailer.split_first_chunk().ok_or(GzipError::Truncated)?;
    let (length, _) = rest.split_first_chunk().ok_or(GzipError::Truncated)?;
    let mut crc = Crc::new();
    crc.update(out);
    if crc.sum() != u32::from_le_bytes(*sum) || crc.amount() != u32::from_le_bytes(*length) {
        return Err(GzipError::Damaged);
    }
    Ok(())
}

/// One gzip member that holds the bytes, without a name and with time 0.
pub fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to memory has no way to fail.
    let member = encoder.write_all(bytes).and_then(|()| encoder.finish());
    member.unwrap_or_default()
}

/// Packs one gzip member after another, fast rather than small: what is packed here is small, or hardly shrinks.
pub struct Deflater {
    state: Compress,
}

impl Default for Deflater {
    fn default() -> Self {
        Self {
            state: Compress::new(Compression::fast(), false),
        }
    }
}

impl Deflater {
    /// One gzip member that holds the bytes, without a name and with time 0.
    pub fn deflate(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.state.reset();
        let mut out = Vec::with_capacity(bytes.len().saturating_add(STEP));
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[0, 0, 0, 0, 0, 0, SYSTEM_UNKNOWN]);
        loop {
            let taken = usize::try_from(self.state.total_in()).unwrap_or(usize::MAX);
            let rest = bytes.get(taken..).unwrap_or_default();
            let packed = self
                .state
                .compress_vec(rest, &mut out, FlushCompress::Finish);
            match packed {
                Ok(Status::Ok | Status::BufError) => out.reserve(out.len().max(STEP)),
                // A compressor refuses nothing but a wrong use of it, and then the check of the reader says so.
                Ok(Status::StreamEnd) | Err(_) => break,
            }
        }
        let mut crc = Crc::new();
        crc.update(bytes);
        out.extend_from_slice(&crc.sum().to_le_bytes());
        out.extend_from_slice(&crc.amount().to_le_bytes());
        out
    }
}

/// Why bytes could not be inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GzipError {
    /// They are something else.
    #[error("expected gzip, got other bytes")]
    NotGzip,
    /// They end too early.
    #[error("the gzip member ends too early")]
    Truncated,
    /// They are inconsistent, or not what was packed.
    #[error("the gzip member is damaged")]
    Damaged,
    /// More would come out than this program is willing to hold.
    #[error("the gzip member holds more than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::Deflater;
    use super::Inflater;

    #[test]
    fn one_deflater_packs_many_members() {
        let noise: Vec<u8> = (0..100_000_u32)
            .map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0])
            .collect();
        let mut deflater = Deflater::default();
        let mut inflater = Inflater::default();

        let same = vec![7; 100_000];
        for plain in [&b""[..], b"text", &noise, &same, b"text"] {
            let member = deflater.deflate(plain);

            assert_eq!(inflater.inflate(&member, 1 << 20).as_deref(), Ok(plain));
        }
    }
}
