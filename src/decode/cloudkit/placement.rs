//! The conversation of a message record, by the names that conversations answer to.
//!
//! | the record says | candidates, the first that is known is it |
//! |---|---|
//! | a group id inside | that group |
//! | `chatID` in any spelling | the chat with that guid, identifier, record name or group id |
//! | `X;-;handle`, a bare handle | the direct chats with that handle, under any service |
//! | 40 to 128 hexadecimal digits | the carrier group whose id these are, also as the ASCII of a UUID |
//! | direct or nothing, from somebody | the conversation with the sender, which need not be known yet |
//! | direct, from the owner | the conversation with the handle, likewise |
//!
//! An id of group form that is not known is never guessed: the message is parked.
//!
//! Source: ID-8, 14.2; facts of CloudKit, 3.7; D11.

use crate::base::ids::ConversationKey;
use crate::base::ids::Guid;
use crate::decode::chatdb::Directory;
use crate::model::change::Parked;
use crate::model::change::Placement;
use crate::model::conversation::Alias;
use crate::model::record::MessageColumn;
use crate::model::record::MessageRecord;

/// Services by which a direct chat's guid can begin.
const SERVICES: [&str; 4] = ["iMessage", "any", "SMS", "RCS"];

/// Digits in the id of a carrier group.
const CARRIER_ID: std::ops::RangeInclusive<usize> = 40..=128;

/// What a `chatID` names.
enum Form<'a> {
    Nothing,
    /// One handle, under a service or bare.
    Direct(&'a str),
    /// A group or something unknown: the part behind `X;+;`, or all of it.
    Group(&'a str),
}

impl<'a> Form<'a> {
    fn of(id: &'a str) -> Self {
        let mut pieces = id.splitn(3, ';');
        let _service = pieces.next();
        match (pieces.next(), pieces.next()) {
            _ if id.is_empty() => Self::Nothing,
            // Notes to oneself have a group's identifier in a direct chat's guid.
            (Some("-"), Some(handle)) if is_handle(handle) => Self::Direct(handle),
            (Some("-" | "+"), Some(suffix)) => Self::Group(suffix),
            _ if is_handle(id) => Self::Direct(id),
            _ => Self::Group(id),
        }
    }
}

/// Whether it can be an address: no room, no UUID, no long number in hexadecimal.
fn is_handle(id: &str) -> bool {
    let is_room = id
        .strip_prefix("chat")
        .is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()));
    let is_uuid = matches!(Guid::parse(id), Some(Guid::Uuid(_)));
    !is_room && !is_uuid && !is_carrier_id(id)
}

fn is_carrier_id(id: &str) -> bool {
    CARRIER_ID.contains(&id.len()) && id.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// Where a record belongs.
pub(super) fn placement(
    record: &MessageRecord,
    chat_id: Option<&str>,
    group_id: Option<&str>,
    people: &Directory,
) -> Placement {
    let chat_id = chat_id.unwrap_or_default().trim();
    let is_own = record.row.integer(MessageColumn::IsFromMe) != 0;
    let mut candidates = Candidates::default();
    if let Some(group_id) = group_id {
        candidates.add(Alias::group_id(group_id));
    }
    let form = Form::of(chat_id);
    if !chat_id.is_empty() {
        candidates.add(Alias::chat(chat_id));
        candidates.add(Alias::cloud_record(chat_id));
        candidates.add(Alias::room(chat_id));
        candidates.add(Alias::group_id(chat_id));
    }
    let sender = record.handle.as_deref().filter(|_| !is_own);
    let with = match form {
        Form::Direct(handle) => {
            for service in SERVICES {
                candidates.add(Alias::chat(&format!("{service};-;{handle}")));
            }
            people.handle(sender.or(Some(handle)))
        }
        Form::Group(suffix) => {
            candidates.add(Alias::room(suffix));
            candidates.add(Alias::group_id(suffix));
            if let Some(id) = decoded_id(suffix) {
                candidates.add(Alias::group_id(&id));
            }
            None
        }
        Form::Nothing => people.handle(sender),
    };
    if let Some(with) = with.filter(|with| sender.is_some() || with.is_personal()) {
        candidates.add(Alias::key(&ConversationKey::direct(&with)));
    }
    let otherwise = match form {
        Form::Nothing if group_id.is_none() => Parked::NoChat,
        Form::Nothing | Form::Direct(_) | Form::Group(_) => Parked::UnknownChat,
    };
    Placement {
        candidates: candidates.0,
        otherwise,
    }
}

#[derive(Default)]
struct Candidates(Vec<Alias>);

impl Candidates {
    fn add(&mut self, alias: Alias) {
        if !self.0.contains(&alias) {
            self.0.push(alias);
        }
    }
}

/// The text that a carrier group's id is the hexadecimal form of, if it is one.
fn decoded_id(id: &str) -> Option<String> {
    if !is_carrier_id(id) {
        return None;
    }
    let mut text = String::with_capacity(id.len() / 2);
    for pair in id.as_bytes().chunks(2) {
        let byte = u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()?;
        text.push(char::from(Some(byte).filter(u8::is_ascii_graphic)?));
    }
    Some(text)
}
