//! The byte form of attachments.

use crate::base::ids::RowId;
use crate::model::attachment::Attachment;
use crate::model::attachment::AttachmentState;
use crate::model::attachment::Missing;
use crate::model::attachment::Role;
use crate::model::attachment::Sticker;

/// An attachment and the message it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAttachment {
    /// The message that brought it.
    pub message: RowId,
    /// The attachment.
    pub attachment: Attachment,
}

stored!(StoredAttachment, 1);
fields!(StoredAttachment {
    message,
    attachment
});
fields!(Attachment {
    guid,
    original_guid,
    part,
    role,
    name,
    mime,
    uti,
    size_bytes,
    path,
    live_photo,
    transcription,
    sticker,
    state,
});
fields!(Sticker {
    effect,
    source,
    description
});

variants!(Role {
    0 => File,
    1 => Preview,
});
variants!(AttachmentState {
    0 => Held { sha256, modified },
    1 => Wanted,
    2 => Missing(why),
    3 => Failed { reason },
    4 => Abandoned { reason },
});
variants!(Missing {
    0 => NoPath,
    1 => NotFound,
    2 => Outside,
    3 => NotAFile,
});
