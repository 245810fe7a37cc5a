//! A `message` row of chat.db, with what is joined to it, to a [`MessageChange`]. It reads no file and asks no database.
//!
//! Nothing here fails: what cannot be decoded is named in [`Message::unreadable`], and the message stays with the rest of
//! what its row says. The row itself goes along, so that a later version can decode it again.
//!
//! | file | what it reads |
//! |---|---|
//! | `body` | `attributedBody`, `text` |
//! | `edits` | `message_summary_info` |
//! | `tapback` | `associated_message_*`, `thread_originator_*` |
//! | `announcement` | `item_type` and what goes with it |
//! | `attachments`, `mime` | the attachment rows |
//! | `apps`, `poll` | `balloon_bundle_id`, `payload_data` |
//! | `placement` | the chats that hold it |

mod announcement;
mod apps;
mod attachments;
mod body;
mod edits;
mod mime;
mod placement;
mod poll;
mod tapback;

use std::fmt::Display;

use crate::base::ids::Guid;
use crate::base::ids::Handle;
use crate::base::time::AppleTime;
pub(in crate::decode) use crate::decode::chatdb::attachments::attachment;
use crate::decode::chatdb::body::FoundBody;
pub(in crate::decode) use crate::decode::chatdb::body::Placeholder;
use crate::decode::chatdb::edits::History;
use crate::model::change::MessageChange;
use crate::model::handle::normalise;
use crate::model::message::Announcement;
use crate::model::message::Author;
use crate::model::message::Flag;
use crate::model::message::Flags;
use crate::model::message::Kind;
use crate::model::message::Message;
use crate::model::message::Times;
use crate::model::record::MessageColumn;
use crate::model::record::MessageRecord;
use crate::model::region::Region;

/// What this decoder makes of a row. Another number decodes every stored row again.
pub const DECODER_VERSION: u32 = 1;

/// `schedule_type` of a message that is to be sent later.
const SEND_LATER: i64 = 2;

/// `expire_state` of a voice message that was kept.
const KEPT: i64 = 3;

/// What one must know besides a row to say who is meant by an address.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    /// Where numbers without `+` are meant to be (D10).
    pub region: Region,
}

impl Directory {
    /// The normal form of an address, as a row writes it.
    pub(in crate::decode) fn handle(&self, raw: Option<&str>) -> Option<Handle> {
        normalise(raw?, self.region)
    }
}

/// Decodes one row.
///
/// `fingerprint` is the source's hash over everything of the row that shows; it is handed on (D12).
///
/// Source: D4, D6, D11; facts of chat.db, sections 3 to 6.
pub fn decode(record: MessageRecord, fingerprint: u64, people: &Directory) -> MessageChange {
    MessageChange {
        message: message(&record, people).0,
        placement: placement::placement(&record),
        record,
        fingerprint,
    }
}

/// Reasons why something could not be decoded, each with the column that it is about.
#[derive(Default)]
pub(in crate::decode) struct Unreadable(pub(in crate::decode) Vec<String>);

impl Unreadable {
    pub(in crate::decode) fn add(&mut self, column: &str, reason: impl Display) {
        self.0.push(format!("{column}: {reason}"));
    }
}

/// The message of a row, and the places of attachments in its body, whether the row has the files or not.
pub(in crate::decode) fn message(
    record: &MessageRecord,
    people: &Directory,
) -> (Message, Vec<Placeholder>) {
    let row = &record.row;
    let mut unreadable = Unreadable::default();
    for (column, bytes) in &record.too_large {
        unreadable.add(column, format_args!("{bytes} bytes are too many to keep"));
    }
    let guid = row.text(MessageColumn::Guid).and_then(Guid::parse);
    let guid = guid.unwrap_or_else(|| {
        unreadable.add("guid", "empty");
        Guid::Other("".into())
    });
    let kind = match announcement::announcement(record, people) {
        Some(announcement) => Kind::Announcement(announcement),
        None => tapback::kind(row, &guid, &mut unreadable),
    };
    let (found, history) = match &kind {
        Kind::Announcement(announcement) if !matches!(announcement, Announcement::Other { .. }) => {
            (FoundBody::default(), History::default())
        }
        // The summary of a tapback describes its target.
        Kind::Tapback(_) => (body::body(row, people, &mut unreadable), History::default()),
        Kind::Message { .. } | Kind::Announcement(_) => (
            body::body(row, people, &mut unreadable),
            edits::history(row, &mut unreadable),
        ),
    };
    let attachments = attachments::attachments(record, &found.placeholders, &mut unreadable);
    let is_unsent = history.is_fully_unsent || (found.body.is_none() && was_emptied(record));
    let (app, link_preview) = apps::balloon(row, people, &mut unreadable);
    let message = Message {
        guid,
        author: author(record, &kind, people),
        service: owned(row.text(MessageColumn::Service)),
        own_handle: people.handle(row.text(MessageColumn::DestinationCallerId)),
        times: times(record, history.last_at),
        subject: owned(row.text(MessageColumn::Subject)),
        body: found.body,
        reply_to: tapback::reply_to(row),
        edits: history.edits,
        unsent_parts: history.unsent_parts,
        attachments,
        effect: owned(row.text(MessageColumn::ExpressiveSendStyleId)),
        app,
        link_preview,
        error: row.integer(MessageColumn::Error),
        flags: flags(record, &kind, is_unsent),
        unreadable: unreadable.0,
        kind,
    };
    (message, found.placeholders)
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}

/// Who wrote it. `handle_id` of own rows is the other side, so it says nothing there.
fn author(record: &MessageRecord, kind: &Kind, people: &Directory) -> Author {
    let row = &record.row;
    let is_location = matches!(
        kind,
        Kind::Announcement(Announcement::LocationStarted | Announcement::LocationStopped)
    );
    // What a row about a location says of its direction: [obs] chat.db, facts 3.4.
    let is_own_location = is_location
        && row.integer(MessageColumn::OtherHandle) != 0
        && row.integer(MessageColumn::ShareDirection) == 0;
    if row.integer(MessageColumn::IsFromMe) != 0 || is_own_location {
        return Author::Owner;
    }
    people
        .handle(record.handle.as_deref())
        .map_or(Author::Unknown, Author::Other)
}

/// The times as the row has them (D6). A date that is 0 or before 2001 is not usable as the time of sending.
fn times(record: &MessageRecord, last_edit: Option<AppleTime>) -> Times {
    let time = |column| AppleTime::from_column(record.row.integer(column));
    let edited = time(MessageColumn::DateEdited).max(time(MessageColumn::DateRetracted));
    Times {
        sent: time(MessageColumn::Date).filter(|sent| sent.nanos() > 0),
        delivered: time(MessageColumn::DateDelivered),
        read: time(MessageColumn::DateRead),
        played: time(MessageColumn::DatePlayed),
        // The column can stay 0 although there is a history.
        edited: edited.or(last_edit),
        deleted: record
            .recoverable
            .as_ref()
            .and_then(|(_, at)| AppleTime::from_column(*at)),
    }
}

/// Whether the row says that everything in it was taken back, where its summary does not.
fn was_emptied(record: &MessageRecord) -> bool {
    let is_set = |column| record.row.integer(column) != 0;
    is_set(MessageColumn::IsEmpty)
        && record.attachments.is_empty()
        && (is_set(MessageColumn::DateEdited) || is_set(MessageColumn::DateRetracted))
}

fn flags(record: &MessageRecord, kind: &Kind, is_unsent: bool) -> Flags {
    const COLUMNS: [(Flag, MessageColumn); 17] = [
        (Flag::Downgraded, MessageColumn::WasDowngraded),
        (Flag::Spam, MessageColumn::IsSpam),
        (Flag::Satellite, MessageColumn::IsStewie),
        (Flag::Satellite, MessageColumn::IsPendingSatelliteSend),
        (Flag::OffGrid, MessageColumn::SentOrReceivedOffGrid),
        (Flag::Sos, MessageColumn::IsSos),
        (Flag::Critical, MessageColumn::IsCritical),
        (Flag::Audio, MessageColumn::IsAudioMessage),
        (Flag::AutoReply, MessageColumn::IsAutoReply),
        (Flag::Emote, MessageColumn::IsEmote),
        (Flag::System, MessageColumn::IsSystemMessage),
        (Flag::Service, MessageColumn::IsServiceMessage),
        (Flag::DeliveredQuietly, MessageColumn::WasDeliveredQuietly),
        (Flag::NotifiedAnyway, MessageColumn::DidNotifyRecipient),
        (Flag::Corrupt, MessageColumn::IsCorrupt),
        (Flag::UnseenMention, MessageColumn::HasUnseenMention),
        (Flag::Recovered, MessageColumn::DateRecovered),
    ];
    let row = &record.row;
    let is_set = |column| row.integer(column) != 0;
    let mut flags = Flags::default();
    for (flag, column) in COLUMNS {
        flags.set(flag, is_set(column));
    }
    let is_scheduled =
        row.integer(MessageColumn::ScheduleType) == SEND_LATER && !is_set(MessageColumn::IsSent);
    let is_waiting = is_set(MessageColumn::IsFromMe)
        && !is_set(MessageColumn::IsSent)
        && !is_set(MessageColumn::Error)
        && !matches!(kind, Kind::Announcement(_));
    let is_kept = row.integer(MessageColumn::ExpireState) == KEPT;
    flags.set(Flag::Scheduled, is_scheduled);
    flags.set(Flag::Unfinished, is_waiting && !is_scheduled);
    flags.set(Flag::AudioKept, flags.has(Flag::Audio) && is_kept);
    flags.set(Flag::Unsent, is_unsent);
    flags
}

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "a test stops at the first surprise"
)]
mod build;

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "a test stops at the first surprise"
)]
mod tests;
