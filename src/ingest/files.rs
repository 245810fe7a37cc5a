//! What the Mac's disk says about attachments, added to what the database says.

use crate::model::attachment::Attachment;
use crate::model::attachment::AttachmentState;
use crate::model::change::MessageChange;
use crate::source::chatdb::Files;

use crate::decode::sticker_effect;

/// Bytes of a sticker's image that are searched for the name of its effect.
const STICKER_HEAD_BYTES: usize = 64 << 10;

/// Looks for every file of a message that has just been decoded.
pub(super) fn look_for_files(files: &Files, change: &mut MessageChange) {
    for attachment in &mut change.message.attachments {
        look(files, attachment);
    }
}

/// Looks for a file, whatever was known of it. A held one that is as it was is not read again.
pub(super) fn look(files: &Files, attachment: &mut Attachment) {
    let known = match (&attachment.state, attachment.size_bytes) {
        (AttachmentState::Held { sha256, modified }, Some(size)) => Some((sha256, *modified, size)),
        (AttachmentState::Held { .. }, None)
        | (
            AttachmentState::Wanted
            | AttachmentState::Missing(_)
            | AttachmentState::Failed { .. }
            | AttachmentState::Abandoned { .. },
            _,
        ) => None,
    };
    let path = attachment.path.as_deref();
    let found = files.look(path, known);
    if let AttachmentState::Held { .. } = found.state {
        attachment.size_bytes = found.size_bytes;
        attachment.live_photo = found.live_photo;
        if let Some(sticker) = &mut attachment.sticker
            && sticker.effect.is_none()
        {
            sticker.effect = files
                .read_head(path, STICKER_HEAD_BYTES)
                .and_then(|head| sticker_effect(&head));
        }
    }
    attachment.state = found.state;
}
