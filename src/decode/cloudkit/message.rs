//! Message records to the row that chat.db would have of them.
//!
//! | record | row |
//! |---|---|
//! | `guid`, else the record's name | `guid` |
//! | `sender` | the address behind `handle_id` |
//! | `time`, `svc`, `dcId`, `msgType`, `eCode` | `date`, `service`, `destination_caller_id`, `item_type`, `error` |
//! | `flags` | a column for each bit ([`FLAGS`]) |
//! | `msgProto` | subject, text, bodies, balloon, summary, effect, times, associated message |
//! | `msgProto2` | `thread_originator_guid`, `thread_originator_part` |
//! | `msgProto4` | emoji, schedule, off grid, group id |
//! | `chatID` | `ck_chat_id`; see `placement` |
//!
//! What a record says and a row has no column for is among the row's other columns, by the name of the field.
//!
//! Source: facts of CloudKit, 3.4 and 3.5; DS-6, DS-9, DS-13; MS-20.

use crate::base::ids::AttachmentGuid;
use crate::base::time::AppleTime;
use crate::codec::cloudkit::Inflater;
use crate::codec::cloudkit::MessagePart;
use crate::codec::cloudkit::MessagePart2;
use crate::codec::cloudkit::MessagePart4;
use crate::codec::property_list;
use crate::codec::property_list::Plist;
use crate::decode::chatdb;
use crate::decode::chatdb::Directory;
use crate::decode::chatdb::Placeholder;
use crate::decode::chatdb::Unreadable;
use crate::decode::cloudkit::fields::Fields;
use crate::decode::cloudkit::placement;
use crate::model::attachment::Attachment;
use crate::model::attachment::AttachmentState;
use crate::model::change::CloudMessage;
use crate::model::change::MessageChange;
use crate::model::message::Announcement;
use crate::model::message::Kind;
use crate::model::message::Message;
use crate::model::record::AttachmentColumn;
use crate::model::record::CloudRecord;
use crate::model::record::CloudValue;
use crate::model::record::Column;
use crate::model::record::MessageColumn as M;
use crate::model::record::MessageRecord;
use crate::model::record::Row;
use crate::model::record::Value;

/// The bits of `flags`, and the columns that say the same. Others are in the number itself, which is kept.
const FLAGS: [(u32, M); 32] = [
    (0, M::IsFinished),
    (1, M::IsEmote),
    (2, M::IsFromMe),
    (3, M::IsEmpty),
    (5, M::IsDelayed),
    (6, M::IsAutoReply),
    (11, M::IsPrepared),
    (12, M::IsDelivered),
    (13, M::IsRead),
    (14, M::IsSystemMessage),
    (15, M::IsSent),
    (16, M::HasDdResults),
    (17, M::IsServiceMessage),
    (18, M::IsForward),
    (19, M::WasDowngraded),
    (20, M::WasDataDetected),
    (21, M::IsAudioMessage),
    (22, M::IsPlayed),
    (24, M::IsExpirable),
    (26, M::IsCorrupt),
    (27, M::IsSpam),
    (28, M::HasUnseenMention),
    (33, M::IsStewie),
    (34, M::WasDeliveredQuietly),
    (35, M::DidNotifyRecipient),
    (36, M::WasDetonated),
    (37, M::IsKtVerified),
    (38, M::IsCritical),
    (39, M::IsSos),
    (41, M::IsPendingSatelliteSend),
    (42, M::NeedsRelay),
    (43, M::SentOrReceivedOffGrid),
];

/// `item_type` of a group's new name.
const RENAMED: i64 = 2;

/// Stands for a `group_action_type` that the record does not tell. chat.db has none below 0.
const UNTOLD_ACTION: i64 = -1;

/// In a summary info that has `ams`, as a property list writes that key.
const COMPANION_KEY: &[u8] = b"\x53ams";

/// Decodes a message record.
pub(super) fn decode(
    record: CloudRecord,
    people: &Directory,
    inflater: &mut Inflater,
    is_recoverable: bool,
) -> CloudMessage {
    let mut fields = Fields::new(&record);
    let (unpacked, group_id) = unpack(&record, &mut fields, inflater);
    let chat_id = fields.text("chatID");
    let placement = placement::placement(&unpacked, chat_id, group_id.as_deref(), people);
    let (mut message, placeholders) = chatdb::message(&unpacked, people);
    correct_announcement(&mut message, &unpacked);
    want_attachments(&mut message, placeholders, &unpacked.row);
    message.unreadable.splice(0..0, fields.unreadable.0);
    let changed = changed(&record);
    CloudMessage {
        change: MessageChange {
            message,
            placement,
            record: unpacked,
            // The store compares the record itself.
            fingerprint: 0,
        },
        record,
        is_recoverable,
        changed,
    }
}

/// When a record was changed last, by its own field (DS-13) or by what the server noted.
fn changed(record: &CloudRecord) -> Option<AppleTime> {
    let own = if let Some(CloudValue::Date(seconds)) = record.get("utm") {
        AppleTime::from_seconds(*seconds)
    } else {
        None
    };
    let all = [own, record.modified, record.created];
    all.into_iter().flatten().find(|at| at.nanos() > 0)
}

/// A row that is being filled.
#[derive(Default)]
struct Builder(Row);

impl Builder {
    fn set(&mut self, column: M, value: Value) {
        let at = column.index();
        if self.0.values.len() <= at {
            self.0.values.resize(at.saturating_add(1), Value::Null);
        }
        if let Some(slot) = self.0.values.get_mut(at) {
            *slot = value;
        }
    }

    fn text(&mut self, column: M, text: Option<&str>) {
        if let Some(text) = text {
            self.set(column, Value::Text(text.to_owned()));
        }
    }

    fn integer(&mut self, column: M, number: Option<i64>) {
        if let Some(number) = number {
            self.set(column, Value::Integer(number));
        }
    }

    fn unsigned(&mut self, column: M, number: Option<u64>) {
        self.integer(column, number.map(u64::cast_signed));
    }

    fn blob(&mut self, column: M, bytes: Option<&[u8]>) {
        if let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) {
            self.set(column, Value::Blob(bytes.to_vec()));
        }
    }

    fn extra(&mut self, name: &str, value: Value) {
        self.0.extra.push((name.to_owned(), value));
    }
}

/// The row of a record, and the group that the record names inside.
fn unpack(
    record: &CloudRecord,
    fields: &mut Fields<'_>,
    inflater: &mut Inflater,
) -> (MessageRecord, Option<String>) {
    let mut row = Builder::default();
    row.0.values.reserve(M::CkChatId.index().saturating_add(1));
    row.text(M::Guid, fields.text("guid").or(Some(&record.name)));
    row.text(M::Service, fields.text("svc"));
    row.text(M::DestinationCallerId, fields.text("dcId"));
    row.text(M::CkChatId, fields.text("chatID"));
    row.text(M::CkRecordId, Some(&record.name));
    row.text(M::CkRecordChangeTag, record.etag.as_deref());
    row.integer(M::Date, fields.integer("time"));
    row.integer(M::Error, fields.integer("eCode"));
    let item_type = fields.integer("msgType").unwrap_or_default();
    row.integer(M::ItemType, Some(item_type).filter(|it| *it != 0));
    if item_type != 0 {
        row.integer(M::GroupActionType, Some(UNTOLD_ACTION));
    }
    flags(&mut row, fields);
    if let Some(bytes) = fields.inflated("msgProto", inflater) {
        match MessagePart::decode(&bytes) {
            Ok(part) => body(&mut row, &part, item_type),
            Err(error) => fields.unreadable.add("msgProto", error),
        }
    }
    if let Some(bytes) = fields.inflated("msgProto2", inflater) {
        match MessagePart2::decode(&bytes) {
            Ok(part) => reply(&mut row, part.reply),
            Err(error) => fields.unreadable.add("msgProto2", error),
        }
    }
    let mut group_id = None;
    if let Some(bytes) = fields.inflated("msgProto4", inflater) {
        match MessagePart4::decode(&bytes) {
            Ok(part) => group_id = later(&mut row, &part),
            Err(error) => fields.unreadable.add("msgProto4", error),
        }
    }
    let unpacked = MessageRecord {
        row: row.0,
        handle: fields.text("sender").map(str::to_owned),
        ..MessageRecord::default()
    };
    (unpacked, group_id)
}

fn flags(row: &mut Builder, fields: &mut Fields<'_>) {
    let Some(flags) = fields.integer("flags") else {
        return;
    };
    for (bit, column) in FLAGS {
        if flags.checked_shr(bit).unwrap_or_default() & 1 != 0 {
            row.integer(column, Some(1));
        }
    }
    row.extra("flags", Value::Integer(flags));
}

fn body(row: &mut Builder, part: &MessagePart<'_>, item_type: i64) {
    row.text(M::Subject, part.subject);
    row.text(M::Text, part.text);
    row.blob(M::AttributedBody, part.attributed_body);
    row.text(M::BalloonBundleId, part.balloon_bundle_id);
    row.blob(M::PayloadData, part.payload_data);
    row.blob(M::MessageSummaryInfo, part.summary_info);
    row.text(M::ExpressiveSendStyleId, part.effect);
    row.unsigned(M::DateRead, part.date_read);
    row.unsigned(M::DateDelivered, part.date_delivered);
    row.unsigned(M::AssociatedMessageType, part.associated_type);
    row.text(M::AssociatedMessageGuid, part.associated_guid);
    row.unsigned(M::AssociatedMessageRangeLocation, part.associated_location);
    row.unsigned(M::AssociatedMessageRangeLength, part.associated_length);
    if item_type == RENAMED {
        // The text of such a record is the name (MS-3).
        row.text(M::GroupTitle, part.text);
    }
}

/// `r:<part>:<location>:<length>:<GUID>`; the part's three numbers are chat.db's `thread_originator_part`.
fn reply(row: &mut Builder, reply: Option<&str>) {
    let Some(reply) = reply.map(str::trim).filter(|reply| !reply.is_empty()) else {
        return;
    };
    let reply = reply.strip_prefix("r:").unwrap_or(reply);
    let (place, guid) = match reply.rsplit_once(':') {
        Some((place, guid)) => (Some(place), guid),
        None => (None, reply),
    };
    row.text(M::ThreadOriginatorGuid, Some(guid));
    row.text(M::ThreadOriginatorPart, place);
}

fn later(row: &mut Builder, part: &MessagePart4<'_>) -> Option<String> {
    row.text(M::AssociatedMessageEmoji, part.associated_emoji);
    row.unsigned(M::ScheduleType, part.schedule_type);
    row.unsigned(M::ScheduleState, part.schedule_state);
    row.unsigned(M::SentOrReceivedOffGrid, part.off_grid);
    let group_id = part.group_id.filter(|id| !id.trim().is_empty())?;
    row.extra("groupId", Value::Text(group_id.to_owned()));
    Some(group_id.to_owned())
}

/// A record does not tell which action of its kind it was, so that only what it tells is said: that a name was removed is
/// not known where there is none.
fn correct_announcement(message: &mut Message, unpacked: &MessageRecord) {
    if message.kind == Kind::Announcement(Announcement::Renamed(None)) {
        message.kind = Kind::Announcement(Announcement::Other {
            item_type: unpacked.row.integer(M::ItemType),
            action: UNTOLD_ACTION,
        });
    }
}

/// Files come in records of their own, before or after the message. What the body and the summary name is wanted until
/// then.
fn want_attachments(message: &mut Message, placeholders: Vec<Placeholder>, row: &Row) {
    for placeholder in placeholders {
        if let Some(mut attachment) = wanted(placeholder.guid.as_str()) {
            attachment.fill(&placeholder);
            message.attachments.push(attachment);
        }
    }
    if matches!(message.kind, Kind::Tapback(_)) {
        // The summary of a tapback describes its target.
        return;
    }
    for guid in companions(row.blob(M::MessageSummaryInfo).unwrap_or_default()) {
        let is_known = message.attachments.iter().any(|held| held.guid.is(&guid));
        if !is_known {
            message.attachments.extend(wanted(guid.as_str()));
        }
    }
}

/// An attachment of which only the GUID is known.
fn wanted(guid: &str) -> Option<Attachment> {
    let mut row = Row::default();
    let at = AttachmentColumn::Guid.index();
    row.values.resize(at, Value::Null);
    row.values.push(Value::Text(guid.to_owned()));
    let attachment = chatdb::attachment(&row, &mut Unreadable::default())?;
    Some(Attachment {
        state: AttachmentState::Wanted,
        ..attachment
    })
}

/// Attachments that stand in no body: `ams` of some records is an array with their GUIDs, as of the movie of a Live Photo.
fn companions(summary: &[u8]) -> Vec<AttachmentGuid> {
    let has_key = summary
        .windows(COMPANION_KEY.len())
        .any(|bytes| bytes == COMPANION_KEY);
    if !has_key {
        return Vec::new();
    }
    let Ok(list) = property_list::decode(summary) else {
        return Vec::new();
    };
    let entries = list.get("ams").and_then(Plist::as_array);
    let entries = entries.unwrap_or_default().iter();
    entries
        .filter_map(|entry| AttachmentGuid::parse(entry.get("g")?.as_text()?))
        .collect()
}
