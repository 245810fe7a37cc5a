//! A symmetric key, wrapped for an elliptic one, in the manner of RFC 6637.
//!
//! ```text
//! wrapped   := u16(256) ephemeral-X[32] u8(length) key-wrap[length]           AES-128, RFC 3394
//! unwrapped := 0x01 key u16(sum of the key's bytes) padding                   each padding byte is their number
//! ```
//!
//! Source: `[rfc 6637] 7, 8`; facts of CloudKit, 4.4.

use aes_kw::KekAes128;
use sha2::Digest;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::apple::key::CompactKey;
use crate::apple::key::KEY_BYTES;
use crate::apple::key::PrivateKey;

/// Bits of the ephemeral key.
const EPHEMERAL_BITS: [u8; 2] = 256_u16.to_be_bytes();

/// What the key-encrypting key is derived over besides the shared secret: the curve, the parameters, the recipient.
const PARAMETERS: &[&[u8]] = &[
    b"\x08\x2a\x86\x48\xce\x3d\x03\x01\x07",
    b"\x12",
    b"\x03\x01\x08\x07",
    b"Anonymous Sender    ",
    b"fingerprint\0\0\0\0\0\0\0\0\0",
];

/// Bytes that unwrapping adds to what comes out.
const WRAP_OVERHEAD: usize = 8;

/// No wrapped key is longer: one of 16 bytes has 40, one of 64 has 80.
const UNWRAPPED_BYTES: usize = 120;

const ALGORITHM: u8 = 1;

/// Bytes that are wrapped: algorithm, key, sum, and padding up to here.
const WRAPPED_BYTES: usize = 40;

/// As many bytes of padding as are left, each of which says so.
const PADDING: u8 = 21;

/// Unwraps a key that was wrapped for this one.
///
/// # Errors
/// [`WrapError`].
pub(crate) fn unwrap(wrapped: &[u8], with: &PrivateKey) -> Result<[u8; KEY_BYTES], WrapError> {
    let rest = wrapped
        .strip_prefix(&EPHEMERAL_BITS)
        .ok_or(WrapError::Form)?;
    let (x, rest) = rest.split_at_checked(32).ok_or(WrapError::Form)?;
    let (length, body) = rest.split_first().ok_or(WrapError::Form)?;
    let out_length = body.len().checked_sub(WRAP_OVERHEAD);
    let out_length = out_length
        .filter(|out| usize::from(*length) == body.len() && *out <= UNWRAPPED_BYTES)
        .ok_or(WrapError::Form)?;
    let ephemeral = CompactKey::parse(x).ok_or(WrapError::Form)?;
    let shared = with.shared(&ephemeral).ok_or(WrapError::Form)?;
    let kek = key_encrypting_key(shared.expose());
    let mut buffer = Zeroizing::new([0_u8; UNWRAPPED_BYTES]);
    let out = buffer.get_mut(..out_length).ok_or(WrapError::Form)?;
    KekAes128::from(*kek)
        .unwrap(body, out)
        .map_err(|_refused| WrapError::Refused)?;
    read(out).ok_or(WrapError::Content)
}

fn key_encrypting_key(shared: &[u8; 32]) -> Zeroizing<[u8; KEY_BYTES]> {
    let mut hash = Sha256::new();
    hash.update(1_u32.to_be_bytes());
    hash.update(shared);
    for piece in PARAMETERS {
        hash.update(piece);
    }
    let hash: [u8; 32] = hash.finalize().into();
    Zeroizing::new(hash.first_chunk().copied().unwrap_or_default())
}

/// The key in what was unwrapped, if algorithm, sum and padding are as they should be.
fn read(unwrapped: &[u8]) -> Option<[u8; KEY_BYTES]> {
    let (algorithm, rest) = unwrapped.split_first()?;
    let (key, rest) = rest.split_first_chunk::<KEY_BYTES>()?;
    let (sum, padding) = rest.split_first_chunk::<2>()?;
    let expected = key
        .iter()
        .fold(0_u16, |sum, byte| sum.wrapping_add(u16::from(*byte)));
    let is_padded = padding
        .iter()
        .all(|byte| usize::from(*byte) == padding.len());
    let is_sum = bool::from(expected.to_be_bytes().ct_eq(sum));
    (*algorithm == ALGORITHM && is_sum && is_padded).then_some(*key)
}

/// Wraps a key for another one, with a key that is used for nothing else. `None` when the recipient is no point of the
/// curve. For `seal`.
pub(crate) fn wrap(
    key: &[u8; KEY_BYTES],
    to: &CompactKey,
    ephemeral: &PrivateKey,
) -> Option<Vec<u8>> {
    let shared = ephemeral.shared(to)?;
    let sum = key
        .iter()
        .fold(0_u16, |sum, byte| sum.wrapping_add(u16::from(*byte)));
    let mut plain = Zeroizing::new([PADDING; WRAPPED_BYTES]);
    let content = [&[ALGORITHM], &key[..], &sum.to_be_bytes()[..]].concat();
    for (to, from) in plain.iter_mut().zip(content) {
        *to = from;
    }
    let mut body = [0; WRAPPED_BYTES.saturating_add(WRAP_OVERHEAD)];
    KekAes128::from(*key_encrypting_key(shared.expose()))
        .wrap(plain.as_slice(), &mut body)
        .ok()?;
    let length = u8::try_from(body.len()).ok()?;
    Some(
        [
            &EPHEMERAL_BITS,
            &ephemeral.public().x()[..],
            &[length],
            &body,
        ]
        .concat(),
    )
}

/// Why a key could not be unwrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrapError {
    /// The bytes have another form.
    #[error("expected a key wrapped for P-256")]
    Form,
    /// It was wrapped for another key, or changed.
    #[error("the wrapped key does not open")]
    Refused,
    /// It opens, but is no key.
    #[error("the wrapped key holds something else than a key of 16 bytes")]
    Content,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_out_as_it_went_in() {
        let recipient = PrivateKey::from_scalar(&[7; 32]).unwrap();
        let ephemeral = PrivateKey::from_scalar(&[9; 32]).unwrap();

        let wrapped = wrap(&[0xfe; 16], recipient.public(), &ephemeral).unwrap();

        assert_eq!(unwrap(&wrapped, &recipient), Ok([0xfe; 16]));
        assert_eq!(unwrap(&wrapped, &ephemeral), Err(WrapError::Refused));
        for end in 0..wrapped.len() {
            assert_eq!(unwrap(&wrapped[..end], &recipient), Err(WrapError::Form));
        }
    }

    #[test]
    fn algorithm_sum_and_padding_are_checked() {
        let mut good = vec![1];
        good.extend_from_slice(&[2; 16]);
        good.extend_from_slice(&[0, 32]);
        good.extend_from_slice(&[21; 21]);

        assert_eq!(read(&good), Some([2; 16]));
        for at in [0, 5, 18, 19, 39] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(read(&bad), None, "{at}");
        }
    }
}
