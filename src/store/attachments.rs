//! Storing attachments: rows of their own, found again by either of their GUIDs.

use crate::base::ids::RowId;
use crate::base::limits::ATTACHMENT_ATTEMPTS;
use crate::model::attachment::Attachment;
use crate::model::attachment::AttachmentState;
use crate::model::record::SourceKind;
use crate::store::cloud::message_named_by;
use crate::store::error::StoreError;
use crate::store::transaction::Transaction;
use crate::store::transaction::find;
use crate::store::value::ChangeKind;
use crate::store::value::Failure;
use crate::store::value::FailureKind;
use crate::store::value::StoredAttachment;

/// The message of a file whose record came before it, or that no message has.
pub(super) const NO_MESSAGE: RowId = RowId(0);

impl Transaction<'_> {
    /// Stores the files of a message. Answers their rows in order, and whether any of them is not what it was.
    ///
    /// A file that another message has too belongs to the one that brought it: what this one says of it, such as its
    /// part, is not stored, or each import would turn it around.
    pub(super) fn apply_attachments(
        &mut self,
        message: RowId,
        files: Vec<Attachment>,
        source: SourceKind,
    ) -> Result<(Vec<RowId>, bool), StoreError> {
        let mut rows = Vec::with_capacity(files.len());
        let mut changed = false;
        for attachment in files {
            let known = self.attachment_with(&attachment)?;
            let row = known.unwrap_or_else(|| self.new_row());
            if known.is_none() {
                changed |= self.store_attachment(row, message, attachment)?;
            } else if self.owner_of(row, message)? == message {
                changed |= match self.joined(row, &attachment, source)? {
                    Some(joined) => self.put_attachment(row, message, joined)?,
                    None => self.store_attachment(row, message, attachment)?,
                };
            }
            if !rows.contains(&row) {
                rows.push(row);
            }
        }
        Ok((rows, changed))
    }

    /// Stores what was found out about a file since its message was stored; the message changes with it.
    pub(super) fn apply_attachment(
        &mut self,
        row: RowId,
        attachment: Attachment,
    ) -> Result<(), StoreError> {
        let is_there = matches!(attachment.state, AttachmentState::Held { .. });
        if !is_there && self.is_in_cloud(row)? {
            // That the Mac misses it says nothing of a file that comes from CloudKit.
            return Ok(());
        }
        self.find_file(row, attachment)
    }

    /// Stores what was found out about a file, wherever it comes from.
    pub(super) fn find_file(
        &mut self,
        row: RowId,
        attachment: Attachment,
    ) -> Result<(), StoreError> {
        let owner = self.attachment(row)?.message;
        if self.store_attachment(row, owner, attachment)? {
            self.note_file_change(owner)?;
        }
        Ok(())
    }

    /// Says in the change log that a file of a message is not what it was; nothing for a file without a message.
    pub(super) fn note_file_change(&mut self, message: RowId) -> Result<(), StoreError> {
        if message == NO_MESSAGE {
            return Ok(());
        }
        let mut stored = self.message(message)?;
        stored.last_change = self.log_in(stored.conversation, ChangeKind::Message, message)?;
        self.tally.changed += 1;
        self.tally.attachments += 1;
        self.put_message(message, &stored)
    }

    /// An attachment by its row.
    pub(super) fn attachment(&self, row: RowId) -> Result<StoredAttachment, StoreError> {
        find(&self.tables.attachments, "attachments", row.0)?.ok_or(StoreError::Dangling {
            table: "attachments",
            row: row.0,
        })
    }

    /// What a message says of a file that is held, with what CloudKit's record of the file says; `None` where that changes
    /// nothing.
    ///
    /// A message of CloudKit only names its files and says where they stand. A file that chat.db misses can still be
    /// fetched from CloudKit.
    fn joined(
        &self,
        row: RowId,
        incoming: &Attachment,
        source: SourceKind,
    ) -> Result<Option<Attachment>, StoreError> {
        let held = self.attachment(row)?.attachment;
        Ok(match source {
            SourceKind::CloudKit => Some(Attachment {
                part: incoming.part.or(held.part),
                transcription: incoming.transcription.clone().or(held.transcription),
                name: held.name.or_else(|| incoming.name.clone()),
                ..held
            }),
            SourceKind::ChatDb => {
                let is_there = matches!(incoming.state, AttachmentState::Held { .. });
                (!is_there && self.is_in_cloud(row)?).then(|| Attachment {
                    state: held.state,
                    size_bytes: incoming.size_bytes.or(held.size_bytes),
                    live_photo: incoming.live_photo || held.live_photo,
                    sticker: incoming.sticker.clone().or(held.sticker),
                    ..incoming.clone()
                })
            }
        })
    }

    /// The message that an attachment belongs to: the one that brought it, as long as it has it, else `next`.
    fn owner_of(&mut self, row: RowId, next: RowId) -> Result<RowId, StoreError> {
        let owner = self.attachment(row)?.message;
        if owner == next || owner == NO_MESSAGE {
            return Ok(next);
        }
        let is_theirs = self.message(owner)?.attachments.contains(&row);
        Ok(if is_theirs { owner } else { next })
    }

    /// The row of an attachment that is held under either of its GUIDs.
    pub(super) fn attachment_with(
        &self,
        attachment: &Attachment,
    ) -> Result<Option<RowId>, StoreError> {
        use redb::ReadableTable;

        for guid in std::iter::once(&attachment.guid).chain(&attachment.original_guid) {
            let found = self.tables.attachment_guids.get(guid.folded().as_str());
            if let Some(row) = found.map_err(|error| StoreError::from_redb("reading", error))? {
                return Ok(Some(RowId(row.value())));
            }
        }
        Ok(None)
    }

    /// Writes what was found out about a file if it is not what it was, and says so.
    fn store_attachment(
        &mut self,
        row: RowId,
        message: RowId,
        mut attachment: Attachment,
    ) -> Result<bool, StoreError> {
        let held: Option<StoredAttachment> = find(&self.tables.attachments, "attachments", row.0)?;
        if let (AttachmentState::Wanted, Some(held)) = (&attachment.state, &held) {
            // Nobody looked for the file: what is known of it stands.
            let known = &held.attachment;
            attachment.state = known.state.clone();
            attachment.size_bytes = known.size_bytes;
            attachment.live_photo = known.live_photo;
            attachment.sticker.clone_from(&known.sticker);
        } else {
            attachment.state = self.count_failure(row, attachment.state)?;
        }
        self.put_attachment(row, message, attachment)
    }

    /// Writes an attachment if it is not what it was, and says so.
    pub(super) fn put_attachment(
        &mut self,
        row: RowId,
        message: RowId,
        attachment: Attachment,
    ) -> Result<bool, StoreError> {
        let failed = |error| StoreError::from_redb("writing to", error);
        let held: Option<StoredAttachment> = find(&self.tables.attachments, "attachments", row.0)?;
        let stored = StoredAttachment {
            message,
            attachment,
        };
        if held.as_ref() == Some(&stored) {
            return Ok(false);
        }
        for guid in std::iter::once(&stored.attachment.guid).chain(&stored.attachment.original_guid)
        {
            self.tables
                .attachment_guids
                .insert(guid.folded().as_str(), row.0)
                .map_err(failed)?;
            if let (Some(filters), Some(message)) = (&mut self.filters, message_named_by(guid)) {
                filters.add_file_of(&message);
            }
        }
        match stored.attachment.state {
            AttachmentState::Held { .. } | AttachmentState::Abandoned { .. } => {
                self.tables.wanted.remove(row.0).map_err(failed)?;
            }
            AttachmentState::Wanted
            | AttachmentState::Missing(_)
            | AttachmentState::Failed { .. } => {
                self.tables.wanted.insert(row.0, ()).map_err(failed)?;
            }
        }
        Self::put_row(&mut self.tables.attachments, "attachments", row, &stored)?;
        Ok(true)
    }

    /// Keeps the ledger of failures: another one counts, the last allowed one abandons, anything else clears it.
    fn count_failure(
        &mut self,
        row: RowId,
        state: AttachmentState,
    ) -> Result<AttachmentState, StoreError> {
        let failed = |error| StoreError::from_redb("writing to", error);
        let key = (FailureKind::Attachment.number(), row.0);
        let before: Option<Failure> = find(&self.tables.failures, "failures", key)?;
        let AttachmentState::Failed { reason } = state else {
            if before.is_some() {
                self.tables.failures.remove(key).map_err(failed)?;
            }
            return Ok(state);
        };
        let attempts = before
            .as_ref()
            .map_or(0, |before| before.attempts)
            .saturating_add(1);
        let given_up = attempts >= ATTACHMENT_ATTEMPTS;
        let failure = Failure {
            attempts,
            first: before.map_or(self.now, |before| before.first),
            last: self.now,
            reason: reason.clone(),
            given_up,
        };
        crate::store::transaction::put(
            &mut self.tables.failures,
            "failures",
            key,
            &failure,
            &mut Vec::new(),
        )?;
        Ok(if given_up {
            AttachmentState::Abandoned { reason }
        } else {
            AttachmentState::Failed { reason }
        })
    }
}
