//! Messages on their way from the threads that decode to the one that writes.
//!
//! What does not depend on what is stored is done by the former: a message travels in the byte form that it will have in
//! the store, beside the little that decides where its rows go. The writer decodes it again only where it must be
//! compared: with the message that is held under its GUID, or with its twin in a self chat.

use std::ops::Range;

use crate::base::ids::ChangeNumber;
use crate::base::ids::Guid;
use crate::base::ids::RowId;
use crate::base::time::AppleTime;
use crate::model::attachment::Attachment;
use crate::model::change::MessageChange;
use crate::model::change::Placement;
use crate::model::message::Author;
use crate::model::message::Kind;
use crate::model::message::Message;
use crate::store::error::StoreError;
use crate::store::guid::GuidKey;
use crate::store::index::terms_of;
use crate::store::search::MessageTerms;
use crate::store::search::TermScratch;
use crate::store::value::EncodedMessage;
use crate::store::value::Mark;
use crate::store::value::ReadFrom;
use crate::store::value::Stored;
use crate::store::value::StoredRecord;
use crate::store::value::first_marks;

/// Prepares messages, in buffers that are used again.
#[derive(Default)]
pub struct Preparer {
    bytes: Vec<u8>,
    terms: TermScratch,
}

/// A message with everything that storing it needs and that does not depend on what is stored.
pub struct Prepared {
    pub(super) outline: Outline,
    pub(super) placement: Placement,
    pub(super) attachments: Vec<Attachment>,
    /// `None` where the record is stored apart.
    pub(super) fingerprint: Option<u64>,
    pub(super) terms: MessageTerms,
    /// The byte form of the message without its attachments, then the record's stored form.
    bytes: Box<[u8]>,
    /// Where the record begins.
    record: usize,
}

/// What of a message decides which rows it has.
pub(super) struct Outline {
    pub(super) guid: Guid,
    pub(super) class: Class,
    pub(super) sent: Option<AppleTime>,
    /// Where it stands if nothing says when it was sent; `None` for behind what came before it (MS-5).
    otherwise: Option<AppleTime>,
    /// Whether something of it could not be decoded.
    pub(super) is_unreadable: bool,
    /// How it is known that the owner has read it, if it is.
    pub(super) read: Option<ReadFrom>,
    /// What happened to it before it came, by changes that nobody knows yet.
    marks: Vec<Mark>,
    /// The messages that it is about: what it reacts to or continues, then what it answers.
    about: [Option<GuidKey>; 2],
}

/// Which [`Kind`] of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Message,
    Tapback,
    Announcement,
}

impl Class {
    /// The class of a kind.
    pub(super) fn of(kind: &Kind) -> Self {
        match kind {
            Kind::Message { .. } => Self::Message,
            Kind::Tapback(_) => Self::Tapback,
            Kind::Announcement(_) => Self::Announcement,
        }
    }
}

impl Preparer {
    /// Prepares a change that one version of the decoder made.
    ///
    /// # Errors
    ///
    /// [`StoreError::Value`] for a record or a message that no value can hold.
    pub fn prepare(&mut self, change: MessageChange, decoder: u32) -> Result<Prepared, StoreError> {
        let MessageChange {
            message,
            placement,
            record,
            fingerprint,
        } = change;
        let record = StoredRecord { decoder, record };
        self.build(message, placement, Some((record, fingerprint)))
    }

    /// Prepares a message whose record is stored apart from it.
    ///
    /// # Errors
    ///
    /// As [`Self::prepare`].
    pub fn prepare_alone(
        &mut self,
        message: Message,
        placement: Placement,
    ) -> Result<Prepared, StoreError> {
        self.build(message, placement, None)
    }

    fn build(
        &mut self,
        message: Message,
        placement: Placement,
        record: Option<(StoredRecord, u64)>,
    ) -> Result<Prepared, StoreError> {
        self.bytes.clear();
        EncodedMessage::append(&message, &mut self.bytes).map_err(|source| StoreError::Value {
            table: "messages",
            source,
        })?;
        let begin = self.bytes.len();
        let fingerprint = record.as_ref().map(|(_, fingerprint)| *fingerprint);
        if let Some((record, _)) = record {
            record
                .append_stored_to(&mut self.bytes)
                .map_err(|source| StoreError::Value {
                    table: "records",
                    source,
                })?;
        }
        Ok(Prepared {
            outline: Outline::of(&message),
            terms: terms_of(&message, &mut self.terms),
            attachments: message.attachments,
            placement,
            fingerprint,
            bytes: self.bytes.as_slice().into(),
            record: begin,
        })
    }
}

impl Prepared {
    /// The message in its byte form.
    pub(super) fn encoded(&self) -> EncodedMessage<'_> {
        EncodedMessage(self.slice(0..self.record))
    }

    /// The message, without its attachments.
    pub(super) fn message(&self) -> Result<Message, StoreError> {
        self.encoded().decode().map_err(|source| StoreError::Value {
            table: "messages",
            source,
        })
    }

    /// The record's stored form and its fingerprint, unless it is stored apart.
    pub(super) fn record(&self) -> Option<(&[u8], u64)> {
        let fingerprint = self.fingerprint?;
        Some((self.slice(self.record..self.bytes.len()), fingerprint))
    }

    /// Says that it was deleted before it came.
    pub(super) fn mark_deleted(&mut self, at: AppleTime) -> Result<(), StoreError> {
        let mut message = self.message()?;
        message.times.deleted = message.times.deleted.or(Some(at));
        let mut bytes = Vec::with_capacity(self.bytes.len());
        EncodedMessage::append(&message, &mut bytes).map_err(|source| StoreError::Value {
            table: "messages",
            source,
        })?;
        let begin = bytes.len();
        bytes.extend_from_slice(self.slice(self.record..self.bytes.len()));
        (self.bytes, self.record) = (bytes.into(), begin);
        Ok(())
    }

    /// Says where it stands if nothing says when it was sent (MS-5).
    pub fn stand_at(&mut self, otherwise: Option<AppleTime>) {
        self.outline.otherwise = otherwise;
    }

    /// About how much memory this takes, bytes.
    pub(super) fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.bytes.len() + self.terms.size_bytes()
    }

    fn slice(&self, range: Range<usize>) -> &[u8] {
        self.bytes.get(range).unwrap_or_default()
    }
}

impl Outline {
    /// The outline of a message.
    pub(super) fn of(message: &Message) -> Self {
        let about = match &message.kind {
            Kind::Message { about } => about.as_ref(),
            Kind::Tapback(tapback) => Some(&tapback.target),
            Kind::Announcement(_) => None,
        };
        let about = [about, message.reply_to.as_ref()];
        let read = match (&message.kind, &message.author) {
            // Neither says anything about the messages before it (MS-58).
            (Kind::Tapback(_) | Kind::Announcement(_), _) => None,
            (_, Author::Owner) => Some(ReadFrom::Written),
            (_, Author::Other(_) | Author::Unknown) => {
                message.times.read.map(|_at| ReadFrom::Source)
            }
        };
        Self {
            guid: message.guid.clone(),
            class: Class::of(&message.kind),
            sent: message.times.sent,
            otherwise: None,
            is_unreadable: !message.unreadable.is_empty(),
            read,
            marks: first_marks(message, ChangeNumber::default()),
            about: about.map(|target| target.map(|target| GuidKey::of(&target.guid))),
        }
    }

    /// When it was sent, or what is nearest to that.
    pub(super) fn time(&self) -> Option<AppleTime> {
        self.sent.or(self.otherwise)
    }

    /// The marks that the message brings with it, when a change brings it.
    pub(super) fn marks(&self, change: ChangeNumber) -> Vec<Mark> {
        let marks = self.marks.iter();
        marks.map(|mark| Mark { change, ..*mark }).collect()
    }

    /// The rows by which the message is found from what it is about.
    pub(super) fn relations(&self, row: RowId) -> impl Iterator<Item = ([u8; 16], u64)> {
        let [first, second] = self.about;
        let second = second.filter(|second| Some(*second) != first);
        let targets = first.into_iter().chain(second);
        targets.map(move |target| (target.0, row.0))
    }
}
