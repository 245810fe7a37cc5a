//! A hash over everything of a row that shows: another one means that the row changed (D12).
//!
//! It is made of, in this order:
//!
//! 1. the columns of [`SHOWN`] by number and value; null, 0 and empty text are nothing, and so is a column that the
//!    schema lacks;
//! 2. the sizes in bytes of `text`, `attributedBody`, `payload_data` and `message_summary_info`: an edit that keeps
//!    the length of the text changes `date_edited` and the length of the history;
//! 3. the addresses behind `handle_id` and `other_handle`, and which of the two are set and equal (ROWIDs are not
//!    hashed: Messages renumbers them when it rebuilds the database);
//! 4. the chats' guids, sorted; the chat and date of Recently Deleted;
//! 5. of each attachment, by ROWID, the columns of [`SHOWN_OF_ATTACHMENT`].
//!
//! Not in it, because nothing of it shows: the state of iCloud sync, indexing and data detection, `reply_to_guid`,
//! `sort_id`, login GUIDs, unknown columns.

use sha2::Digest;
use sha2::Sha256;

use crate::model::record::AttachmentColumn;
use crate::model::record::Column;
use crate::model::record::MessageColumn;
use crate::model::record::MessageRecord;
use crate::model::record::Row;
use crate::model::record::Value;
use crate::source::chatdb::schema::BODIES;

/// The columns of `message` that are hashed by value.
const SHOWN: [MessageColumn; 59] = {
    use MessageColumn as C;
    [
        C::Subject,
        C::Service,
        C::Account,
        C::Error,
        C::Date,
        C::DateRead,
        C::DateDelivered,
        C::IsDelivered,
        C::IsFinished,
        C::IsEmote,
        C::IsFromMe,
        C::IsEmpty,
        C::IsDelayed,
        C::IsAutoReply,
        C::IsRead,
        C::IsSystemMessage,
        C::IsSent,
        C::IsServiceMessage,
        C::WasDowngraded,
        C::CacheRoomnames,
        C::IsAudioMessage,
        C::IsPlayed,
        C::DatePlayed,
        C::ItemType,
        C::GroupTitle,
        C::GroupActionType,
        C::ShareStatus,
        C::ShareDirection,
        C::IsExpirable,
        C::ExpireState,
        C::AssociatedMessageGuid,
        C::AssociatedMessageType,
        C::BalloonBundleId,
        C::ExpressiveSendStyleId,
        C::AssociatedMessageRangeLocation,
        C::AssociatedMessageRangeLength,
        C::DestinationCallerId,
        C::IsCorrupt,
        C::IsSpam,
        C::HasUnseenMention,
        C::ThreadOriginatorGuid,
        C::ThreadOriginatorPart,
        C::WasDeliveredQuietly,
        C::DidNotifyRecipient,
        C::DateRetracted,
        C::DateEdited,
        C::WasDetonated,
        C::PartCount,
        C::IsStewie,
        C::IsSos,
        C::IsCritical,
        C::AssociatedMessageEmoji,
        C::IsPendingSatelliteSend,
        C::ScheduleType,
        C::ScheduleState,
        C::SentOrReceivedOffGrid,
        C::DateRecovered,
        C::FilterAction,
        C::FilterSubAction,
    ]
};

/// The columns of `attachment` that are hashed, by value.
const SHOWN_OF_ATTACHMENT: [AttachmentColumn; 14] = {
    use AttachmentColumn as C;
    [
        C::Guid,
        C::Filename,
        C::Uti,
        C::MimeType,
        C::TransferState,
        C::TransferName,
        C::TotalBytes,
        C::IsSticker,
        C::StickerUserInfo,
        C::AttributionInfo,
        C::HideAttachment,
        C::OriginalGuid,
        C::EmojiImageContentIdentifier,
        C::EmojiImageShortDescription,
    ]
};

/// Whether an outline of a message reads the column with this number.
pub(super) fn reads_of_message(number: usize) -> bool {
    use MessageColumn as C;
    let joined = [C::Guid, C::HandleId, C::OtherHandle];
    SHOWN
        .iter()
        .chain(&joined)
        .any(|column| column.index() == number)
}

/// Whether an outline of an attachment reads the column with this number.
pub(super) fn reads_of_attachment(number: usize) -> bool {
    SHOWN_OF_ATTACHMENT
        .iter()
        .any(|column| column.index() == number)
}

/// Makes fingerprints; keeps one buffer for all of them.
#[derive(Default)]
pub(super) struct Fingerprints {
    buffer: Vec<u8>,
}

impl Fingerprints {
    /// The fingerprint of a record whose bodies have these sizes; `None` for null.
    pub(super) fn of(&mut self, record: &MessageRecord, bodies: [Option<u64>; 4]) -> u64 {
        self.buffer.clear();
        self.add_columns(&record.row, &SHOWN);
        for (body, size) in BODIES.into_iter().zip(bodies) {
            if let Some(size) = size {
                self.add_number(body.index());
                self.buffer.extend_from_slice(&size.to_le_bytes());
            }
        }
        for (name, size) in &record.too_large {
            let is_body = BODIES.iter().any(|body| names(*body) == name);
            if !is_body && SHOWN.iter().any(|column| names(*column) == name) {
                self.add_text(name);
                self.buffer.extend_from_slice(&size.to_le_bytes());
            }
        }
        self.add_people(record);
        self.add_chats(record);
        for attachment in &record.attachments {
            self.buffer.push(b'A');
            self.add_columns(attachment, &SHOWN_OF_ATTACHMENT);
        }
        let digest: [u8; 32] = Sha256::digest(&self.buffer).into();
        digest
            .first_chunk()
            .map_or(0, |first| u64::from_le_bytes(*first))
    }

    fn add_people(&mut self, record: &MessageRecord) {
        let handle = record.row.integer(MessageColumn::HandleId);
        let other = record.row.integer(MessageColumn::OtherHandle);
        self.buffer.push(b'P');
        self.buffer.push(
            u8::from(handle != 0) | u8::from(other != 0) << 1 | u8::from(handle == other) << 2,
        );
        self.add_text(record.handle.as_deref().unwrap_or_default());
        self.add_text(record.other_handle.as_deref().unwrap_or_default());
    }

    fn add_chats(&mut self, record: &MessageRecord) {
        self.buffer.push(b'C');
        match record.chats.as_slice() {
            [only] => self.add_text(&only.guid),
            several => {
                let mut guids: Vec<&str> = several.iter().map(|chat| chat.guid.as_str()).collect();
                guids.sort_unstable();
                for guid in guids {
                    self.add_text(guid);
                }
            }
        }
        if let Some((chat, date)) = &record.recoverable {
            self.buffer.push(b'R');
            self.add_text(&chat.guid);
            self.buffer.extend_from_slice(&date.to_le_bytes());
        }
    }

    fn add_columns<C: Column>(&mut self, row: &Row, columns: &[C]) {
        for column in columns {
            match row.get(*column) {
                Value::Null | Value::Integer(0) => {}
                Value::Integer(number) => {
                    self.add_number(column.index());
                    self.buffer.push(b'i');
                    self.buffer.extend_from_slice(&number.to_le_bytes());
                }
                Value::Real(number) => {
                    self.add_number(column.index());
                    self.buffer.push(b'r');
                    self.buffer
                        .extend_from_slice(&number.to_bits().to_le_bytes());
                }
                Value::Text(text) if text.is_empty() => {}
                Value::Text(text) => {
                    self.add_number(column.index());
                    self.buffer.push(b't');
                    self.add_text(text);
                }
                Value::Blob(bytes) => {
                    self.add_number(column.index());
                    self.buffer.push(b'b');
                    self.add_bytes(bytes);
                }
            }
        }
        self.buffer.push(0xff);
    }

    /// A column's number. There are fewer than 255.
    fn add_number(&mut self, number: usize) {
        self.buffer.push(number.to_le_bytes()[0]);
    }

    fn add_text(&mut self, text: &str) {
        self.add_bytes(text.as_bytes());
    }

    fn add_bytes(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(&bytes.len().to_le_bytes());
        self.buffer.extend_from_slice(bytes);
    }
}

fn names<C: Column>(column: C) -> &'static str {
    C::NAMES.get(column.index()).copied().unwrap_or_default()
}
