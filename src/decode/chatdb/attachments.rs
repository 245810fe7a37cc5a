//! The files of a message, in the order of its body.

use std::collections::HashMap;

use crate::base::ids::AttachmentGuid;
use crate::codec::property_list;
use crate::codec::property_list::Plist;
use crate::decode::chatdb::Unreadable;
use crate::decode::chatdb::body::Placeholder;
use crate::decode::chatdb::mime;
use crate::model::attachment::Attachment;
use crate::model::attachment::AttachmentState;
use crate::model::attachment::Missing;
use crate::model::attachment::Role;
use crate::model::attachment::Sticker;
use crate::model::record::AttachmentColumn;
use crate::model::record::MessageRecord;
use crate::model::record::Row;

/// Ends the names of files that belong to a link preview or a balloon (MS-47). Their `hide_attachment` says nothing: the
/// movies of Live Photos have it too.
const PREVIEW_SUFFIX: &str = ".pluginpayloadattachment";

/// Reads the attachment rows of a record.
///
/// Each goes to the place in the body that has its GUID, old or new, or else the part that its GUID `at_<part>_...`
/// names. Rows without a place come last, by ROWID (MS-12).
pub(super) fn attachments(
    record: &MessageRecord,
    placeholders: &[Placeholder],
    unreadable: &mut Unreadable,
) -> Vec<Attachment> {
    if record.attachments.is_empty() {
        return Vec::new();
    }
    let mut places: HashMap<String, usize> = HashMap::new();
    for (at, placeholder) in placeholders.iter().enumerate() {
        places.entry(placeholder.guid.folded()).or_insert(at);
    }
    let mut found: Vec<(Option<usize>, Attachment)> = Vec::new();
    for row in &record.attachments {
        let Some(mut attachment) = attachment(row, unreadable) else {
            unreadable.add("attachment.guid", "empty");
            continue;
        };
        let mut place = places.remove(&attachment.guid.folded());
        if let Some(original) = &attachment.original_guid {
            place = place.or_else(|| places.remove(&original.folded()));
        }
        if let Some(placeholder) = place.and_then(|at| placeholders.get(at)) {
            attachment.fill(placeholder);
        }
        found.push((place, attachment));
    }
    for (place, attachment) in found.iter_mut().filter(|(place, _)| place.is_none()) {
        attachment.part = part_of(&attachment.guid);
        let free = places.iter().find_map(|(guid, at)| {
            let placeholder = placeholders.get(*at)?;
            (Some(placeholder.part) == attachment.part).then(|| (guid.clone(), *at, placeholder))
        });
        if let Some((guid, at, placeholder)) = free {
            places.remove(&guid);
            *place = Some(at);
            attachment.fill(placeholder);
        }
    }
    found.sort_by_key(|(place, _)| place.unwrap_or(usize::MAX));
    found
        .into_iter()
        .map(|(_, attachment)| attachment)
        .collect()
}

impl Attachment {
    /// Takes over what the body says of it.
    pub(in crate::decode) fn fill(&mut self, placeholder: &Placeholder) {
        self.part = Some(placeholder.part);
        self.transcription.clone_from(&placeholder.transcription);
        if self.name.is_none() {
            self.name = placeholder.name.as_deref().and_then(file_name);
        }
    }
}

/// The part in the GUID of a received file, `at_<part>_<message GUID>`.
fn part_of(guid: &AttachmentGuid) -> Option<u16> {
    let (part, _) = guid.as_str().strip_prefix("at_")?.split_once('_')?;
    part.parse().ok()
}

/// The attachment of a row, without its place in a body. `None` without a GUID.
pub(in crate::decode) fn attachment(row: &Row, unreadable: &mut Unreadable) -> Option<Attachment> {
    let text = |column| row.text(column);
    let guid = AttachmentGuid::parse(text(AttachmentColumn::Guid)?)?;
    let original_guid = text(AttachmentColumn::OriginalGuid)
        .and_then(AttachmentGuid::parse)
        .filter(|original| !original.is(&guid));
    let path = text(AttachmentColumn::Filename);
    let name = text(AttachmentColumn::TransferName).and_then(file_name);
    let name = name.or_else(|| path.and_then(file_name));
    let uti = text(AttachmentColumn::Uti);
    let mime = text(AttachmentColumn::MimeType)
        .or_else(|| uti.and_then(mime::of_uti))
        .or_else(|| name.as_deref().and_then(mime::of_name))
        .or_else(|| path.and_then(mime::of_name));
    let is_preview = [name.as_deref(), path]
        .into_iter()
        .flatten()
        .any(|name| name.to_ascii_lowercase().ends_with(PREVIEW_SUFFIX));
    let size = u64::try_from(row.integer(AttachmentColumn::TotalBytes)).ok();
    Some(Attachment {
        guid,
        original_guid,
        part: None,
        role: if is_preview {
            Role::Preview
        } else {
            Role::File
        },
        mime: mime.map(str::to_owned),
        uti: uti.map(str::to_owned),
        size_bytes: size.filter(|size| *size > 0),
        path: path.map(str::to_owned),
        live_photo: false,
        transcription: None,
        sticker: sticker(row, unreadable),
        state: match path {
            Some(_) => AttachmentState::Wanted,
            None => AttachmentState::Missing(Missing::NoPath),
        },
        name,
    })
}

/// A name as written, without the folders in front of it.
fn file_name(written: &str) -> Option<String> {
    let name = written.rsplit('/').next()?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// The origin of a sticker. Its effect is in its image, which is not read here.
fn sticker(row: &Row, unreadable: &mut Unreadable) -> Option<Sticker> {
    let description = row.text(AttachmentColumn::EmojiImageShortDescription);
    if row.integer(AttachmentColumn::IsSticker) == 0 && description.is_none() {
        return None;
    }
    let sources = [
        (
            AttachmentColumn::StickerUserInfo,
            "sticker_user_info",
            "pid",
        ),
        (
            AttachmentColumn::AttributionInfo,
            "attribution_info",
            "bundle-id",
        ),
    ];
    let mut source = None;
    for (column, name, key) in sources {
        let Some(bytes) = row.blob(column).filter(|bytes| !bytes.is_empty()) else {
            continue;
        };
        match property_list::decode(bytes) {
            Ok(list) => {
                let text = list.get(key).and_then(Plist::as_text);
                source = source.or_else(|| text.map(str::to_owned));
            }
            Err(error) => unreadable.add(name, error),
        }
    }
    Some(Sticker {
        effect: None,
        source,
        description: description.map(str::to_owned),
    })
}
