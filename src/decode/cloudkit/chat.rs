//! Chat records to the row that chat.db would have of them.
//!
//! | record | row |
//! |---|---|
//! | `guid` | `guid`; where it is empty one is made of service, style and identifier |
//! | `cid`, `gid`, `ogid` | `chat_identifier`, `group_id`, `original_group_id` |
//! | `stl`, `ste`, `svc`, `filt`, `sqry` | `style`, `state`, `service_name`, `is_filtered`, `successful_query` |
//! | `name`, `lah`, `rwm` | `display_name`, `last_addressed_handle`, `last_read_message_timestamp` |
//! | `prop` | `properties` |
//! | `ptcpts`, property lists of `FZPersonID` | the members |
//!
//! Source: facts of CloudKit, 3.3; DS-1 to DS-5, DS-12; ID-7.

use crate::codec::property_list;
use crate::codec::property_list::Plist;
use crate::decode::cloudkit::fields::Fields;
use crate::model::change::CloudChat;
use crate::model::conversation::Alias;
use crate::model::record::ChatColumn as C;
use crate::model::record::ChatRecord;
use crate::model::record::CloudRecord;
use crate::model::record::Column;
use crate::model::record::Row;
use crate::model::record::Value;

/// `stl` of a group.
const STYLE_GROUP: i64 = 43;

/// `stl` of a chat with one person.
const STYLE_DIRECT: i64 = 45;

/// Decodes a chat record.
pub(super) fn decode(record: CloudRecord, is_recoverable: bool) -> CloudChat {
    let mut fields = Fields::new(&record);
    let mut members = members(&mut fields);
    let style = fields.integer("stl").unwrap_or_default();
    let identifier = fields.text("cid").map(str::trim);
    let last_handle = fields.text("lah");
    let is_group = match style {
        STYLE_GROUP => true,
        STYLE_DIRECT => false,
        _ => members.len() > 1 || identifier.is_some_and(|id| id.starts_with("chat")),
    };
    if members.is_empty() && !is_group {
        // A chat that names nobody is with its own handle: one with oneself (ID-7).
        members.extend(last_handle.map(str::to_owned));
    }
    let is_room = |id: &&str| {
        id.strip_prefix("chat")
            .is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))
    };
    // The identifier of a chat with oneself can look like a room's: it names nobody then.
    let named = identifier.filter(|id| is_group || !is_room(id));
    let service = fields.text("svc");
    let made = || {
        let named = named.or_else(|| members.first().map(String::as_str).filter(|_| !is_group));
        let separator = if is_group { '+' } else { '-' };
        let name = named.unwrap_or(&record.name);
        format!("{};{separator};{name}", service.unwrap_or("any"))
    };
    let guid = fields.text("guid").map_or_else(made, str::to_owned);
    let properties = fields.bytes("prop");
    let mut row = Row::default();
    let mut set = |column: C, value: Value| {
        let at = column.index();
        if row.values.len() <= at {
            row.values.resize(at.saturating_add(1), Value::Null);
        }
        if let Some(slot) = row.values.get_mut(at) {
            *slot = value;
        }
    };
    let text = |text: Option<&str>| text.map_or(Value::Null, |text| Value::Text(text.to_owned()));
    let number = |number: Option<i64>| number.map_or(Value::Null, Value::Integer);
    set(C::Guid, Value::Text(guid));
    set(C::Style, Value::Integer(style));
    set(C::State, number(fields.integer("ste")));
    set(
        C::Properties,
        properties.map_or(Value::Null, |bytes| Value::Blob(bytes.to_vec())),
    );
    set(C::ChatIdentifier, text(named));
    set(C::ServiceName, text(service));
    set(C::DisplayName, text(fields.text("name")));
    set(C::GroupId, text(fields.text("gid")));
    set(C::OriginalGroupId, text(fields.text("ogid")));
    set(C::IsFiltered, number(fields.integer("filt")));
    set(C::SuccessfulQuery, number(fields.integer("sqry")));
    set(C::LastAddressedHandle, text(last_handle));
    set(C::LastReadMessageTimestamp, number(fields.integer("rwm")));
    set(C::CloudkitRecordId, text(Some(&record.name)));
    let mut aliases = vec![Alias::cloud_record(&record.name)];
    aliases.extend(identifier.filter(|_| named.is_none()).map(Alias::room));
    aliases.extend(legacy_ids(&mut fields, is_group));
    CloudChat {
        chat: ChatRecord {
            row,
            members,
            lookups: Vec::new(),
        },
        aliases,
        unreadable: fields.unreadable.0,
        record,
        is_recoverable,
    }
}

/// Addresses of the members, the owner's own among them in groups.
fn members(fields: &mut Fields<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for value in fields.list("ptcpts") {
        let Some(bytes) = value.as_bytes() else {
            continue;
        };
        match property_list::decode(bytes) {
            Ok(list) => {
                let person = list.get("FZPersonID").and_then(Plist::as_text);
                found.extend(person.map(str::to_owned));
            }
            Err(error) => fields.unreadable.add("ptcpts", error),
        }
    }
    found
}

/// Ids that a group had before.
fn legacy_ids(fields: &mut Fields<'_>, is_group: bool) -> Vec<Alias> {
    let Some(bytes) = fields.bytes("prop") else {
        return Vec::new();
    };
    match property_list::decode(bytes) {
        Ok(list) if is_group => {
            let ids = list.get("legacyGroupIdentifiers").and_then(Plist::as_array);
            let ids = ids.unwrap_or_default().iter().filter_map(Plist::as_text);
            ids.map(Alias::group_id).collect()
        }
        Ok(_) => Vec::new(),
        Err(error) => {
            fields.unreadable.add("prop", error);
            Vec::new()
        }
    }
}
