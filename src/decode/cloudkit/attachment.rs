//! Attachment records to the row that chat.db would have of them, and how they are joined to messages.
//!
//! `cm` is a gzip member with a property list in it: `aguid` GUID, `fn` path, `tn`, `pathc` names, `t` UTI, `mimet`, `tb`
//! bytes, `sdt`, `cdt` seconds since 2001, `st` state, `is` sticker, `ha` hidden, `ig` outgoing. Any of them may be missing,
//! and values may be of other types.
//!
//! Source: facts of CloudKit, 3.6; DS-16; AT-14 to AT-16.

use crate::codec::cloudkit::Inflater;
use crate::codec::property_list;
use crate::codec::property_list::Plist;
use crate::decode::chatdb;
use crate::decode::cloudkit::fields::Fields;
use crate::model::attachment::Attachment;
use crate::model::attachment::AttachmentState;
use crate::model::attachment::Missing;
use crate::model::change::CloudAttachment;
use crate::model::message::Message;
use crate::model::record::AttachmentColumn as A;
use crate::model::record::CloudRecord;
use crate::model::record::Column;
use crate::model::record::Row;
use crate::model::record::Value;

/// The field of the file.
const FILE: &str = "lqa";

/// The field of a Live Photo's movie.
const MOVIE: &str = "avid";

/// What 32 bits can count, added to a size that overflowed them (AT-14).
const WRAPPED: i64 = 1 << 32;

/// Decodes an attachment record.
pub(super) fn decode(record: CloudRecord, inflater: &mut Inflater) -> CloudAttachment {
    let mut fields = Fields::new(&record);
    let bytes = fields.inflated("cm", inflater);
    let list = bytes.and_then(|bytes| {
        let list = property_list::decode(&bytes);
        list.map_err(|error| fields.unreadable.add("cm", error))
            .ok()
    });
    let attachment = list.and_then(|list| {
        let row = row(&list, &record.name);
        let attachment = chatdb::attachment(&row, &mut fields.unreadable);
        if attachment.is_none() {
            fields.unreadable.add("cm", "no GUID");
        }
        Some(complete(attachment?, &list, &record))
    });
    CloudAttachment {
        attachment,
        unreadable: fields.unreadable.0,
        record,
    }
}

fn row(list: &Plist, record_name: &str) -> Row {
    const TEXTS: [(A, &str); 4] = [
        (A::Guid, "aguid"),
        (A::Filename, "fn"),
        (A::Uti, "t"),
        (A::MimeType, "mimet"),
    ];
    const NUMBERS: [(A, &str); 6] = [
        (A::CreatedDate, "cdt"),
        (A::StartDate, "sdt"),
        (A::TransferState, "st"),
        (A::IsOutgoing, "ig"),
        (A::IsSticker, "is"),
        (A::HideAttachment, "ha"),
    ];
    let mut row = Row::default();
    let mut set = |column: A, value: Value| {
        let at = column.index();
        if row.values.len() <= at {
            row.values.resize(at.saturating_add(1), Value::Null);
        }
        if let Some(slot) = row.values.get_mut(at) {
            *slot = value;
        }
    };
    for (column, key) in TEXTS {
        if let Some(text) = text(list, key) {
            set(column, Value::Text(text.to_owned()));
        }
    }
    for (column, key) in NUMBERS {
        if let Some(number) = number(list, key) {
            set(column, Value::Integer(number));
        }
    }
    let has_path = text(list, "fn").is_some();
    let name = text(list, "tn").or_else(|| text(list, "pathc").filter(|_| !has_path));
    if let Some(name) = name {
        set(A::TransferName, Value::Text(name.to_owned()));
    }
    set(A::CkRecordId, Value::Text(record_name.to_owned()));
    row
}

fn text<'a>(list: &'a Plist, key: &str) -> Option<&'a str> {
    let text = list.get(key)?.as_text()?;
    (!text.is_empty()).then_some(text)
}

/// A number, also where it is written as text or as a truth value.
fn number(list: &Plist, key: &str) -> Option<i64> {
    let value = list.get(key)?;
    value
        .as_integer()
        .or_else(|| value.as_text()?.trim().parse().ok())
        .or_else(|| value.as_boolean().map(i64::from))
}

/// What the files of the record say.
fn complete(attachment: Attachment, list: &Plist, record: &CloudRecord) -> Attachment {
    let file = record.asset(FILE);
    let movie = record.asset(MOVIE);
    Attachment {
        size_bytes: file
            .and_then(|file| file.size)
            .filter(|size| *size > 0)
            .or_else(|| written_size(number(list, "tb")?)),
        live_photo: movie.and_then(|movie| movie.size).is_some_and(|it| it > 0),
        state: match file {
            Some(_) => AttachmentState::Wanted,
            None => AttachmentState::Missing(Missing::NoPath),
        },
        ..attachment
    }
}

/// A size as the property list has it: 32 bits with a sign. -1 stands for an unknown one.
fn written_size(written: i64) -> Option<u64> {
    let size = match written {
        1.. => written,
        -1 | 0 => return None,
        _ => written.saturating_add(WRAPPED),
    };
    u64::try_from(size).ok().filter(|size| *size > 0)
}

/// Gives a message the file that it names, whichever of the two came first. Says whether it names it.
///
/// What the body said of the file stays: its part, what was said in a voice message.
pub fn join(message: &mut Message, file: &Attachment) -> bool {
    let mut attachments = message.attachments.iter_mut();
    let Some(held) = attachments.find(|held| held.guid.is(&file.guid)) else {
        return false;
    };
    let joined = Attachment {
        part: held.part.or(file.part),
        transcription: held.transcription.take().or(file.transcription.clone()),
        name: file.name.clone().or(held.name.take()),
        ..file.clone()
    };
    *held = joined;
    true
}
