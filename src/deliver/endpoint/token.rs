//! Where a client stands: in the order of arrival (`/sync`) and in a room's order of time (`/messages`). Opaque to
//! clients, and safe in a URL (D24).
//!
//! | token | form | stands for |
//! |---|---|---|
//! | position | `s<generation>_<change>_<boot>.<typing>` | everything up to a change was seen; typing notices of this run up to a number |
//! | place | `t<time>.<row>.<n>.<piece>`, numbers in hexadecimal | between two events of a room's timeline: just before that one |
//!
//! The generation names the file's life: a restored backup has another one, and a position of before means a fresh
//! start. `/messages` takes both kinds, since bots hand it the position of a sync.

use std::fmt;

use crate::base::ids::ChangeNumber;
use crate::base::ids::RowId;
use crate::base::time::AppleTime;
use crate::store::Place;

/// A place in the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// Of the archive.
    pub(super) generation: u64,
    /// Everything up to here was seen.
    pub(super) change: ChangeNumber,
    /// Which run of the program counted `typing`.
    pub(super) boot: u32,
    /// Typing notices up to here were seen.
    pub(super) typing: u64,
}

impl Position {
    /// The position that a token names; `None` for anything else.
    pub(super) fn parse(token: &str) -> Option<Self> {
        let mut pieces = token.strip_prefix('s')?.split('_');
        let generation = u64::from_str_radix(pieces.next()?, 16).ok()?;
        let change = ChangeNumber(pieces.next()?.parse().ok()?);
        let (boot, typing) = pieces.next()?.split_once('.')?;
        let position = Self {
            generation,
            change,
            boot: u32::from_str_radix(boot, 16).ok()?,
            typing: typing.parse().ok()?,
        };
        pieces.next().is_none().then_some(position)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            generation,
            change,
            boot,
            typing,
        } = self;
        write!(f, "s{generation:x}_{}_{boot:x}.{typing}", change.0)
    }
}

/// A place in a room's timeline: between two events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Between {
    /// The entry.
    pub(super) place: Place,
    /// Of its events, the one before which this place is. As many as there are stands for the end of the entry.
    pub(super) piece: u16,
}

impl Between {
    /// Before the first event of an entry.
    pub(super) const fn before(place: Place) -> Self {
        Self { place, piece: 0 }
    }

    /// Behind the last event of an entry.
    pub(super) const fn behind(place: Place) -> Self {
        Self {
            place,
            piece: u16::MAX,
        }
    }

    /// The place that a token names; `None` for anything else.
    pub(super) fn parse(token: &str) -> Option<Self> {
        let mut pieces = token.strip_prefix('t')?.split('.');
        let mut number = || u64::from_str_radix(pieces.next()?, 16).ok();
        let time = number()?;
        let row = number()?;
        let n = u16::try_from(number()?).ok()?;
        let piece = u16::try_from(number()?).ok()?;
        let between = Self {
            place: Place {
                time: AppleTime::from_nanos(i64::from_le_bytes(time.to_le_bytes())),
                row: RowId(row),
                n,
            },
            piece,
        };
        pieces.next().is_none().then_some(between)
    }
}

impl fmt::Display for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { time, row, n } = self.place;
        let time = u64::from_le_bytes(time.nanos().to_le_bytes());
        write!(f, "t{time:x}.{:x}.{n:x}.{:x}", row.0, self.piece)
    }
}

/// What `from`, `to` and `since` may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// Of `/sync`.
    Position(Position),
    /// Of a room's timeline.
    Between(Between),
}

impl Token {
    /// Either kind of token; `None` for anything else.
    pub(super) fn parse(token: &str) -> Option<Self> {
        let position = Position::parse(token).map(Self::Position);
        position.or_else(|| Between::parse(token).map(Self::Between))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::proptest;

    use super::*;

    proptest! {
        #[test]
        fn positions_come_back(generation in any::<u64>(), change in any::<u64>(), boot in any::<u32>(), typing in any::<u64>()) {
            let position = Position { generation, change: ChangeNumber(change), boot, typing };

            assert_eq!(Token::parse(&position.to_string()), Some(Token::Position(position)));
        }

        #[test]
        fn places_come_back(time in any::<i64>(), row in any::<u64>(), n in any::<u16>(), piece in any::<u16>()) {
            let place = Place { time: AppleTime::from_nanos(time), row: RowId(row), n };
            let between = Between { place, piece };

            assert_eq!(Token::parse(&between.to_string()), Some(Token::Between(between)));
        }

        #[test]
        fn anything_else_is_no_token(text in any::<String>()) {
            if let Some(token) = Token::parse(&text) {
                let again = match token {
                    Token::Position(position) => position.to_string(),
                    Token::Between(between) => between.to_string(),
                };
                assert_eq!(Token::parse(&again), Some(token));
            }
        }
    }

    #[test]
    fn tokens_with_something_behind_them_are_none() {
        for text in [
            "s1_2_3.4_5",
            "t1.2.3.4.5",
            "s1_2_3",
            "t1.2.3",
            "",
            "s",
            "42",
        ] {
            assert_eq!(Token::parse(text), None, "{text}");
        }
    }
}
