//! Where a row belongs: the chats that hold it, by the names that conversations answer to.

use crate::model::change::Parked;
use crate::model::change::Placement;
use crate::model::conversation::Alias;
use crate::model::record::ChatRef;
use crate::model::record::MessageColumn;
use crate::model::record::MessageRecord;

/// The conversations of a row: of several chats the one of its own service is its home, else the one with the lowest
/// ROWID. A deleted row belongs to the chat that it was deleted from, a row in no chat to the room that it names.
///
/// Source: D4, D11; facts of chat.db, section 13.
pub(super) fn placement(record: &MessageRecord) -> Placement {
    let row = &record.row;
    let service = row.text(MessageColumn::Service).unwrap_or_default();
    let is_home = |chat: &&ChatRef| chat.service.eq_ignore_ascii_case(service);
    let chats = record.chats.iter();
    let held = chats.clone().filter(is_home);
    let held = held.chain(chats.filter(|chat| !is_home(chat)));
    let deleted_from = record.recoverable.iter().map(|(chat, _)| chat);
    let mut candidates: Vec<Alias> = Vec::with_capacity(record.chats.len().max(1));
    for chat in held.chain(deleted_from) {
        let alias = Alias::chat(&chat.guid);
        if !candidates.contains(&alias) {
            candidates.push(alias);
        }
    }
    if !candidates.is_empty() {
        return Placement {
            candidates,
            otherwise: Parked::UnknownChat,
        };
    }
    let rooms = row.text(MessageColumn::CacheRoomnames).unwrap_or_default();
    let rooms = rooms.split(',').map(str::trim);
    candidates.extend(rooms.filter(|room| !room.is_empty()).map(Alias::room));
    let otherwise = if candidates.is_empty() {
        Parked::NoChat
    } else {
        Parked::UnknownRoom
    };
    Placement {
        candidates,
        otherwise,
    }
}

#[cfg(test)]
mod tests {
    use super::placement;
    use crate::decode::chatdb::build::message_row;
    use crate::model::change::Parked;
    use crate::model::change::Placement;
    use crate::model::conversation::Alias;
    use crate::model::record::ChatRef;
    use crate::model::record::MessageColumn as M;

    fn chat(guid: &str, service: &str) -> ChatRef {
        ChatRef {
            guid: guid.to_owned(),
            service: service.to_owned(),
        }
    }

    #[test]
    fn the_chat_of_the_own_service_is_home_then_the_lowest_row() {
        let mut record = message_row().text(M::Service, "rcs").record();
        record.chats = vec![
            chat("any;-;+1", "iMessage"),
            chat("any;-;+2", "SMS"),
            chat("any;-;+3", "RCS"),
        ];

        let expected = Placement {
            candidates: ["any;-;+3", "any;-;+1", "any;-;+2"]
                .map(Alias::chat)
                .to_vec(),
            otherwise: Parked::UnknownChat,
        };
        assert_eq!(placement(&record), expected);
    }

    #[test]
    fn a_deleted_row_belongs_to_the_chat_it_was_deleted_from() {
        let mut record = message_row().text(M::CacheRoomnames, "chat1").record();
        record.recoverable = Some((chat("SMS;-;+1", "SMS"), 5));

        let expected = Placement {
            candidates: vec![Alias::chat("SMS;-;+1")],
            otherwise: Parked::UnknownChat,
        };
        assert_eq!(placement(&record), expected);
    }

    #[test]
    fn a_row_in_no_chat_belongs_to_its_room_or_nowhere() {
        let room = message_row()
            .text(M::CacheRoomnames, "chat1, chat2")
            .record();
        let nowhere = message_row().record();

        let expected = Placement {
            candidates: vec![Alias::room("chat1"), Alias::room("chat2")],
            otherwise: Parked::UnknownRoom,
        };
        assert_eq!(placement(&room), expected);
        assert_eq!(placement(&nowhere), Placement::default());
    }
}
