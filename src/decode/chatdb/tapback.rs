//! To which message a row refers: tapbacks, placed stickers, votes, updates of apps, and replies.
//!
//! | `associated_message_type` | row |
//! |---|---|
//! | 0, 2, 3 | message; with a target, an app's update |
//! | 1000, 4000 | placed sticker, vote in a poll: messages about their target |
//! | 2000 to 2007 | tapback: love, like, dislike, laugh, emphasize, question, emoji, sticker |
//! | 3000 to 3007 | the same taken back |
//!
//! Source: `[obs]` chat.db of macOS 10.13 to 26; MS-19, MS-24, MS-25.

use crate::base::ids::Guid;
use crate::decode::chatdb::Unreadable;
use crate::model::message::Kind;
use crate::model::message::Tapback;
use crate::model::message::TapbackAction;
use crate::model::message::TapbackKind;
use crate::model::message::Target;
use crate::model::record::MessageColumn;
use crate::model::record::Row;

/// What a row is that is no announcement.
pub(super) fn kind(row: &Row, guid: &Guid, unreadable: &mut Unreadable) -> Kind {
    let target = row
        .text(MessageColumn::AssociatedMessageGuid)
        .and_then(parse_target);
    let code = row.integer(MessageColumn::AssociatedMessageType);
    let Some((action, kind)) = tapback(code, row) else {
        return Kind::Message {
            about: target.filter(|target| target.guid != *guid),
        };
    };
    let Some(target) = target else {
        unreadable.add(
            "associated_message_guid",
            format_args!("a tapback of type {code} on nothing"),
        );
        return Kind::Message { about: None };
    };
    Kind::Tapback(Tapback {
        action,
        kind,
        target,
    })
}

fn tapback(code: i64, row: &Row) -> Option<(TapbackAction, TapbackKind)> {
    let action = match code {
        2000..=2007 => TapbackAction::Add,
        3000..=3007 => TapbackAction::Remove,
        _ => return None,
    };
    let kind = match code.rem_euclid(1000) {
        0 => TapbackKind::Love,
        1 => TapbackKind::Like,
        2 => TapbackKind::Dislike,
        3 => TapbackKind::Laugh,
        4 => TapbackKind::Emphasize,
        5 => TapbackKind::Question,
        6 => {
            let emoji = row.text(MessageColumn::AssociatedMessageEmoji);
            TapbackKind::Emoji(emoji.map(str::to_owned))
        }
        _ => TapbackKind::Sticker,
    };
    Some((action, kind))
}

/// A target as `associated_message_guid` writes it: `p:<part>/<GUID>`, `bp:<GUID>` for a balloon, a bare GUID; in any
/// case.
fn parse_target(text: &str) -> Option<Target> {
    let text = text.trim();
    let (part, guid) = match text.split_once(':') {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case("p") => match rest.split_once('/') {
            Some((part, guid)) => (part.trim().parse().unwrap_or(0), guid),
            None => (0, rest),
        },
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case("bp") => (0, rest),
        Some(_) | None => (0, text),
    };
    let guid = Guid::parse(guid)?;
    Some(Target { guid, part })
}

/// The message that a row answers. `reply_to_guid` is no reply: it names the message before, whatever it is.
pub(super) fn reply_to(row: &Row) -> Option<Target> {
    let guid = Guid::parse(row.text(MessageColumn::ThreadOriginatorGuid)?)?;
    // "<part>:<start>:<length>"
    let part = row
        .text(MessageColumn::ThreadOriginatorPart)
        .and_then(|place| place.split(':').next()?.trim().parse().ok())
        .unwrap_or(0);
    Some(Target { guid, part })
}

#[cfg(test)]
mod tests {
    use super::kind;
    use super::parse_target;
    use super::reply_to;
    use crate::base::ids::Guid;
    use crate::decode::chatdb::Unreadable;
    use crate::decode::chatdb::build::message_row;
    use crate::model::message::Kind;
    use crate::model::message::Tapback;
    use crate::model::message::TapbackAction;
    use crate::model::message::TapbackKind;
    use crate::model::message::Target;
    use crate::model::record::MessageColumn as M;
    use crate::model::record::Row;

    const OWN: &str = "1A2B3C4D-0001-4002-8003-ABCDEF012345";
    const TARGET: &str = "1A2B3C4D-0001-4002-8003-ABCDEF099999";

    fn target(part: u16) -> Target {
        Target {
            guid: Guid::parse(TARGET).unwrap(),
            part,
        }
    }

    fn kind_of(row: &Row) -> (Kind, Vec<String>) {
        let mut unreadable = Unreadable::default();
        let kind = kind(row, &Guid::parse(OWN).unwrap(), &mut unreadable);
        (kind, unreadable.0)
    }

    fn row_of(code: i64, reference: &str) -> Row {
        message_row()
            .integer(M::AssociatedMessageType, code)
            .text(M::AssociatedMessageGuid, reference)
            .row()
    }

    #[test]
    fn every_way_to_name_a_target_is_read_in_any_case() {
        let spellings = [
            (format!("p:2/{TARGET}"), 2),
            (format!("P:0/{}", TARGET.to_lowercase()), 0),
            (format!("bp:{TARGET}"), 0),
            (format!("BP:{}", TARGET.to_lowercase()), 0),
            (TARGET.to_owned(), 0),
            (format!("p:x/{TARGET}"), 0),
        ];

        for (text, part) in spellings {
            assert_eq!(parse_target(&text), Some(target(part)), "{text}");
        }
        assert_eq!(parse_target("p:0/"), None);
    }

    #[test]
    fn tapbacks_have_a_kind_and_can_be_taken_back() {
        let expected = |action, kind| {
            let target = target(1);
            let tapback = Tapback {
                action,
                kind,
                target,
            };
            (Kind::Tapback(tapback), Vec::<String>::new())
        };
        let reference = format!("p:1/{TARGET}");

        assert_eq!(
            kind_of(&row_of(2000, &reference)),
            expected(TapbackAction::Add, TapbackKind::Love)
        );
        assert_eq!(
            kind_of(&row_of(3005, &reference)),
            expected(TapbackAction::Remove, TapbackKind::Question)
        );
        assert_eq!(
            kind_of(&row_of(2007, &reference)),
            expected(TapbackAction::Add, TapbackKind::Sticker)
        );
        assert_eq!(
            kind_of(&row_of(3006, &reference)),
            expected(TapbackAction::Remove, TapbackKind::Emoji(None))
        );
    }

    #[test]
    fn a_tapback_with_an_emoji_keeps_it() {
        let row = message_row()
            .integer(M::AssociatedMessageType, 2006)
            .text(M::AssociatedMessageGuid, TARGET)
            .text(M::AssociatedMessageEmoji, "\u{1f525}")
            .row();

        let (kind, _) = kind_of(&row);

        let Kind::Tapback(tapback) = kind else {
            panic!("no tapback")
        };
        assert_eq!(
            tapback.kind,
            TapbackKind::Emoji(Some("\u{1f525}".to_owned()))
        );
    }

    #[test]
    fn stickers_votes_and_updates_are_messages_about_their_target() {
        for code in [2, 3, 1000, 4000, 9999] {
            let about = Some(target(0));

            assert_eq!(kind_of(&row_of(code, TARGET)).0, Kind::Message { about });
        }
        assert_eq!(kind_of(&row_of(3, OWN)).0, Kind::Message { about: None });
        assert_eq!(
            kind_of(&message_row().row()).0,
            Kind::Message { about: None }
        );
    }

    #[test]
    fn a_tapback_on_nothing_stays_a_message_with_the_reason() {
        let (kind, unreadable) = kind_of(&row_of(2001, "p:0/"));

        assert_eq!(kind, Kind::Message { about: None });
        assert_eq!(
            unreadable,
            ["associated_message_guid: a tapback of type 2001 on nothing"]
        );
    }

    #[test]
    fn a_reply_names_the_part_it_answers() {
        let reply = |part: &str| {
            reply_to(
                &message_row()
                    .text(M::ThreadOriginatorGuid, &TARGET.to_lowercase())
                    .text(M::ThreadOriginatorPart, part)
                    .text(M::ReplyToGuid, OWN)
                    .row(),
            )
        };

        assert_eq!(reply("2:0:17"), Some(target(2)));
        assert_eq!(reply(""), Some(target(0)));
        assert_eq!(
            reply_to(&message_row().text(M::ReplyToGuid, OWN).row()),
            None
        );
    }
}
