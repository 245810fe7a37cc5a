//! Storing attachments: rows of their own, found again by either of their GUIDs.

use crate::base::ids::RowId;
use crate::base::limits::ATTACHMENT_ATTEMPTS;
use crate::model::attachment::Attachment;
use crate::model::attachment::AttachmentState;
use crate::store::error::StoreError;
use crate::store::transaction::Transaction;
use crate::store::transaction::find;
use crate::store::value::ChangeKind;
use crate::store::value::Failure;
use crate::store::value::FailureKind;
use crate::store::value::StoredAttachment;

impl Transaction<'_> {
    /// Stores the files of a message. Answers their rows in order, and whether any of them is not what it was.
    ///
    /// A file that another message has too belongs to the one that brought it: what this one says of it, such as its
    /// part, is not stored, or each import would turn it around.
    pub(super) fn apply_attachments(
        &mut self,
        message: RowId,
        files: Vec<Attachment>,
    ) -> Result<(Vec<RowId>, bool), StoreError> {
        let mut rows = Vec::with_capacity(files.len());
        let mut changed = false;
        for attachment in files {
            let known = self.attachment_with(&attachment)?;
            let row = known.unwrap_or_else(|| self.new_row());
            if known.is_none() || self.owner_of(row, message)? == message {
                changed |= self.store_attachment(row, message, attachment)?;
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
        let held: Option<StoredAttachment> = find(&self.tables.attachments, "attachments", row.0)?;
        let held = held.ok_or(StoreError::Dangling {
            table: "attachments",
            row: row.0,
        })?;
        if !self.store_attachment(row, held.message, attachment)? {
            return Ok(());
        }
        let mut message = self.message(held.message)?;
        message.last_change =
            self.log_in(message.conversation, ChangeKind::Message, held.message)?;
        self.tally.changed += 1;
        self.tally.attachments += 1;
        self.put_message(held.message, &message)
    }

    /// The message that an attachment belongs to: the one that brought it, as long as it has it, else `next`.
    fn owner_of(&mut self, row: RowId, next: RowId) -> Result<RowId, StoreError> {
        let held: Option<StoredAttachment> = find(&self.tables.attachments, "attachments", row.0)?;
        let Some(owner) = held.map(|held| held.message).filter(|owner| *owner != next) else {
            return Ok(next);
        };
        let is_theirs = self.message(owner)?.attachments.contains(&row);
        Ok(if is_theirs { owner } else { next })
    }

    /// The row of an attachment that is held under either of its GUIDs.
    fn attachment_with(&self, attachment: &Attachment) -> Result<Option<RowId>, StoreError> {
        use redb::ReadableTable;

        for guid in std::iter::once(&attachment.guid).chain(&attachment.original_guid) {
            let found = self.tables.attachment_guids.get(guid.folded().as_str());
            if let Some(row) = found.map_err(|error| StoreError::from_redb("reading", error))? {
                return Ok(Some(RowId(row.value())));
            }
        }
        Ok(None)
    }

    /// Writes an attachment if it is not what it was, and says whether it was.
    fn store_attachment(
        &mut self,
        row: RowId,
        message: RowId,
        mut attachment: Attachment,
    ) -> Result<bool, StoreError> {
        let failed = |error| StoreError::from_redb("writing to", error);
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
