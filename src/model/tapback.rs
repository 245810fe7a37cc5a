//! Which tapbacks stand on a message after everybody added and removed theirs.

use crate::base::time::AppleTime;
use crate::model::message::Author;
use crate::model::message::Tapback;
use crate::model::message::TapbackAction;
use crate::model::message::TapbackKind;

/// A tapback that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The part it stands on.
    pub part: u16,
    /// Whose it is.
    pub author: Author,
    /// Which.
    pub kind: TapbackKind,
}

/// The tapbacks that stand, from all that were ever made on one message, whatever their order.
///
/// A person has one on a part: a new one replaces the old one (MS-26), a removal takes away what is there, also if the
/// kind differs (MS-27). Stickers are not limited; a removal of a sticker takes the latest one away.
pub fn standing(mut tapbacks: Vec<(AppleTime, Author, Tapback)>) -> Vec<Standing> {
    tapbacks.sort_by_key(|(time, ..)| *time);
    let mut standing: Vec<Standing> = Vec::new();
    for (_, author, tapback) in tapbacks {
        let part = tapback.target.part;
        let is_sticker = |kind: &TapbackKind| matches!(kind, TapbackKind::Sticker);
        let same = |held: &Standing| {
            held.part == part
                && held.author == author
                && is_sticker(&held.kind) == is_sticker(&tapback.kind)
        };
        match tapback.action {
            TapbackAction::Add => {
                if !is_sticker(&tapback.kind) {
                    standing.retain(|held| !same(held));
                }
                standing.push(Standing {
                    part,
                    author,
                    kind: tapback.kind,
                });
            }
            TapbackAction::Remove => {
                if let Some(at) = standing.iter().rposition(same) {
                    standing.remove(at);
                }
            }
        }
    }
    standing
}

#[cfg(test)]
mod tests {
    use super::Standing;
    use super::standing;
    use crate::base::ids::Guid;
    use crate::base::ids::Handle;
    use crate::base::time::AppleTime;
    use crate::model::message::Author;
    use crate::model::message::Tapback;
    use crate::model::message::TapbackAction;
    use crate::model::message::TapbackAction::Add;
    use crate::model::message::TapbackAction::Remove;
    use crate::model::message::TapbackKind;
    use crate::model::message::TapbackKind::Emoji;
    use crate::model::message::TapbackKind::Like;
    use crate::model::message::TapbackKind::Love;
    use crate::model::message::TapbackKind::Sticker;
    use crate::model::message::Target;

    fn by(who: &str) -> Author {
        Author::Other(Handle::from_normal(format!("mailto:{who}@example.org")))
    }

    fn made(
        at: i64,
        who: &str,
        action: TapbackAction,
        kind: TapbackKind,
    ) -> (AppleTime, Author, Tapback) {
        let target = Target {
            guid: Guid::parse("1A2B3C4D-0001-4002-8003-ABCDEF012345").unwrap(),
            part: 0,
        };
        (
            AppleTime::from_nanos(at),
            by(who),
            Tapback {
                action,
                kind,
                target,
            },
        )
    }

    #[test]
    fn one_stands_for_a_person_on_a_part() {
        let party = || Emoji(Some("\u{1f389}".to_owned()));
        let made = vec![
            made(1, "x", Add, Love),
            made(2, "x", Add, party()),
            made(3, "y", Add, Like),
            made(4, "x", Remove, Emoji(None)),
        ];

        assert_eq!(
            standing(made),
            vec![Standing {
                part: 0,
                author: by("y"),
                kind: Like
            }]
        );
    }

    #[test]
    fn rows_need_not_come_in_order() {
        let made = vec![made(2, "x", Remove, Love), made(1, "x", Add, Love)];

        assert_eq!(standing(made), vec![]);
    }

    #[test]
    fn stickers_pile_up_beside_the_tapback() {
        let made = vec![
            made(1, "x", Add, Sticker),
            made(2, "x", Add, Sticker),
            made(3, "x", Add, Love),
            made(4, "x", Remove, Sticker),
        ];

        let kinds: Vec<_> = standing(made)
            .into_iter()
            .map(|standing| standing.kind)
            .collect();

        assert_eq!(kinds, vec![Sticker, Love]);
    }
}
