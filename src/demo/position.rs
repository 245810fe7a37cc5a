//! Positions in a zone's feed, and the opaque tokens that clients get of them.
//!
//! ```text
//! token := u8(1) u8(zone) u32(epoch) u8(direction) u64(a) u64(b) u64(c) u32(sum)         big-endian
//! ```
//!
//! Forward, `a` is how many changes were handed out. Newest first, the changes below `b` and from `a` on are still to come,
//! downwards, and those from `c` on came after the walk began.

use crate::demo::random::Random;
use crate::demo::random::Stream;
use crate::demo::zone::ZoneKind;

const VERSION: u8 = 1;

const TOKEN_BYTES: usize = 35;

/// How far a reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    Forward { done: u64 },
    Newest { floor: u64, next: u64, head: u64 },
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenError {
    /// It was never given out, or for something else.
    Foreign,
    /// It was forgotten.
    Expired,
}

impl Position {
    pub(super) fn write(self, seed: u64, zone: ZoneKind, epoch: u32) -> Vec<u8> {
        let (direction, numbers) = match self {
            Self::Forward { done } => (0, [done, 0, 0]),
            Self::Newest { floor, next, head } => (1, [floor, next, head]),
        };
        let mut token = vec![VERSION, zone.number()];
        token.extend(epoch.to_be_bytes());
        token.push(direction);
        for number in numbers {
            token.extend(number.to_be_bytes());
        }
        token.extend(sum(seed, &token));
        token
    }

    pub(super) fn read(
        token: &[u8],
        seed: u64,
        zone: ZoneKind,
        epoch: u32,
    ) -> Result<Self, TokenError> {
        let token: &[u8; TOKEN_BYTES] = token.try_into().map_err(|_length| TokenError::Foreign)?;
        let (content, written) = token.split_at(TOKEN_BYTES - 4);
        if sum(seed, content) != written || content.first_chunk() != Some(&[VERSION, zone.number()])
        {
            return Err(TokenError::Foreign);
        }
        let number = |at: usize| {
            let bytes = content.get(at..).and_then(|bytes| bytes.first_chunk());
            bytes.copied().map_or(0, u64::from_be_bytes)
        };
        let given = content.get(2..).and_then(|bytes| bytes.first_chunk());
        if given.copied().map(u32::from_be_bytes) != Some(epoch) {
            return Err(TokenError::Expired);
        }
        if content.get(6) == Some(&0) {
            return Ok(Self::Forward { done: number(7) });
        }
        Ok(Self::Newest {
            floor: number(7),
            next: number(15),
            head: number(23),
        })
    }
}

fn sum(seed: u64, content: &[u8]) -> [u8; 4] {
    let folded = content
        .iter()
        .fold(0_u64, |sum, byte| sum.wrapping_mul(257) ^ u64::from(*byte));
    let sum = Random::new(seed, Stream::Zone, folded).next();
    sum.to_be_bytes().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::Position;
    use super::TokenError;
    use crate::demo::zone::ZoneKind;

    #[test]
    fn a_token_is_good_for_its_zone_and_epoch_only() {
        let position = Position::Newest {
            floor: 1,
            next: 2,
            head: 3,
        };
        let token = position.write(7, ZoneKind::Chat, 4);
        let read = |token: &[u8], zone, epoch| Position::read(token, 7, zone, epoch);

        assert_eq!(read(&token, ZoneKind::Chat, 4), Ok(position));
        assert_eq!(read(&token, ZoneKind::Chat, 5), Err(TokenError::Expired));
        assert_eq!(read(&token, ZoneKind::Message, 4), Err(TokenError::Foreign));
        for at in 0..token.len() {
            let mut changed = token.clone();
            changed[at] ^= 1;
            assert_eq!(read(&changed, ZoneKind::Chat, 4), Err(TokenError::Foreign));
        }
        assert_eq!(read(b"", ZoneKind::Chat, 4), Err(TokenError::Foreign));
    }
}
