//! Rows that are no message but say what happened to the conversation.
//!
//! | `item_type` | `group_action_type` | announcement |
//! |---|---|---|
//! | 1 | 0 | `other_handle` was added; the same as `handle_id`: that person changed the number |
//! | 1 | 1 | `other_handle` was removed |
//! | 2 | any | `group_title` is the name; none means that it was removed |
//! | 3 | 0 | `handle_id` left |
//! | 3 | 1, 2 | picture set, removed |
//! | 3 | 4, 6 | background set, removed |
//! | 4 | 0 | location shared (`share_status` 0), no longer shared (1) |
//! | 5 | any | a voice message was kept |
//! | 6 | any | SharePlay |
//!
//! Source: `[obs]` chat.db of macOS 10.13 to 26; MS-50.

use crate::decode::chatdb::Directory;
use crate::model::message::Announcement;
use crate::model::record::MessageColumn;
use crate::model::record::MessageRecord;

/// What a row announces; `None` for messages.
pub(super) fn announcement(record: &MessageRecord, people: &Directory) -> Option<Announcement> {
    let row = &record.row;
    let item_type = row.integer(MessageColumn::ItemType);
    let action = row.integer(MessageColumn::GroupActionType);
    let whom = || people.handle(record.other_handle.as_deref());
    Some(match (item_type, action) {
        (0, _) => return None,
        (1, 0) if is_about_its_author(record) => Announcement::NumberChanged(whom()),
        (1, 0) => Announcement::Added(whom()),
        (1, 1) => Announcement::Removed(whom()),
        (2, _) => {
            let title = row.text(MessageColumn::GroupTitle);
            Announcement::Renamed(title.map(str::to_owned))
        }
        (3, 0) => Announcement::Left,
        (3, 1) => Announcement::PhotoSet,
        (3, 2) => Announcement::PhotoRemoved,
        (3, 4) => Announcement::BackgroundSet,
        (3, 6) => Announcement::BackgroundRemoved,
        (4, 0) => match row.integer(MessageColumn::ShareStatus) {
            0 => Announcement::LocationStarted,
            _ => Announcement::LocationStopped,
        },
        (5, _) => Announcement::AudioKept,
        (6, _) => Announcement::SharePlay,
        _ => Announcement::Other { item_type, action },
    })
}

/// By the ROWIDs: the same address on another service is another row, and an addition.
fn is_about_its_author(record: &MessageRecord) -> bool {
    let author = record.row.integer(MessageColumn::HandleId);
    author != 0 && author == record.row.integer(MessageColumn::OtherHandle)
}

#[cfg(test)]
mod tests {
    use super::announcement;
    use crate::base::ids::Handle;
    use crate::decode::chatdb::Directory;
    use crate::decode::chatdb::build::message_row;
    use crate::model::message::Announcement;
    use crate::model::record::MessageColumn as M;

    fn of(item_type: i64, action: i64) -> Option<Announcement> {
        let mut record = message_row()
            .integer(M::ItemType, item_type)
            .integer(M::GroupActionType, action)
            .integer(M::HandleId, 1)
            .integer(M::OtherHandle, 2)
            .integer(M::ShareStatus, 1)
            .text(M::GroupTitle, "Family")
            .record();
        record.other_handle = Some("+15550100001".to_owned());
        announcement(&record, &Directory::default())
    }

    #[test]
    fn every_pair_of_numbers_has_its_meaning() {
        let ada = || Some(Handle::from_normal("tel:+15550100001".to_owned()));
        let table = [
            (1, 0, Announcement::Added(ada())),
            (1, 1, Announcement::Removed(ada())),
            (2, 0, Announcement::Renamed(Some("Family".to_owned()))),
            (3, 0, Announcement::Left),
            (3, 1, Announcement::PhotoSet),
            (3, 2, Announcement::PhotoRemoved),
            (3, 4, Announcement::BackgroundSet),
            (3, 6, Announcement::BackgroundRemoved),
            (4, 0, Announcement::LocationStopped),
            (5, 0, Announcement::AudioKept),
            (6, 0, Announcement::SharePlay),
        ];

        assert_eq!(of(0, 0), None);
        for (item_type, action, expected) in table {
            assert_eq!(of(item_type, action), Some(expected));
        }
        for (item_type, action) in [(1, 2), (3, 5), (4, 1), (7, 0), (-100, 0)] {
            assert_eq!(
                of(item_type, action),
                Some(Announcement::Other { item_type, action })
            );
        }
    }

    #[test]
    fn who_adds_the_own_handle_changed_the_number() {
        let row = message_row()
            .integer(M::ItemType, 1)
            .integer(M::HandleId, 7)
            .integer(M::OtherHandle, 7);

        assert_eq!(
            announcement(&row.record(), &Directory::default()),
            Some(Announcement::NumberChanged(None))
        );
    }

    #[test]
    fn an_empty_title_removes_the_name() {
        let row = message_row()
            .integer(M::ItemType, 2)
            .text(M::GroupTitle, "");

        assert_eq!(
            announcement(&row.record(), &Directory::default()),
            Some(Announcement::Renamed(None))
        );
    }
}
