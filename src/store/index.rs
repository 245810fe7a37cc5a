//! What of a message can be searched, and when the index is written.

use std::borrow::Cow;

use redb::Table;

use crate::base::ids::RowId;
use crate::model::body::shown;
use crate::model::message::Announcement;
use crate::model::message::AppContent;
use crate::model::message::Author;
use crate::model::message::Kind;
use crate::model::message::Message;
use crate::store::error::StoreError;
use crate::store::search::Field;
use crate::store::search::IndexBlock;
use crate::store::search::MessageTerms;
use crate::store::search::SearchError;
use crate::store::search::TermKey;
use crate::store::search::TermScratch;
use crate::store::search::merge;
use crate::store::search::merge_candidates;
use crate::store::search::read_blocks;
use crate::store::transaction::Transaction;
use crate::store::value::StoredMessage;

/// Kinds that a search can be narrowed to.
pub mod kind {
    /// Messages with text.
    pub const TEXT: &str = "text";
    /// Messages with files.
    pub const ATTACHMENT: &str = "attachment";
    /// Messages with a link.
    pub const LINK: &str = "link";
    /// Announcements.
    pub const ANNOUNCEMENT: &str = "announcement";
}

/// Every text of a message by which it can be found: what is shown of it, file names, link titles, what stands on
/// balloons. A tapback has none: its sentence quotes another message.
pub fn searchable(message: &Message) -> Vec<Cow<'_, str>> {
    let mut texts: Vec<Cow<'_, str>> = Vec::new();
    if let Kind::Announcement(Announcement::Renamed(title)) = &message.kind {
        texts.extend(title.as_deref().map(Cow::Borrowed));
    }
    if matches!(message.kind, Kind::Tapback(_)) {
        return texts;
    }
    texts.extend(message.body.as_ref().and_then(|body| shown(&body.text)));
    texts.extend(message.subject.as_deref().map(Cow::Borrowed));
    let files = &message.attachments;
    let names = files.iter().filter_map(|file| file.name.as_deref());
    texts.extend(names.map(Cow::Borrowed));
    let spoken = files
        .iter()
        .filter_map(|file| file.transcription.as_deref());
    texts.extend(spoken.map(Cow::Borrowed));
    if let Some(preview) = &message.link_preview {
        let texts_of_link = [&preview.title, &preview.summary, &preview.site];
        let texts_of_link = texts_of_link.into_iter().flatten();
        texts.extend(texts_of_link.map(|text| Cow::Borrowed(text.as_str())));
    }
    if let Some(app) = &message.app {
        let texts_of_app = app.name.iter().chain(&app.captions).chain(&app.text);
        texts.extend(texts_of_app.map(|text| Cow::Borrowed(text.as_str())));
        if let AppContent::Poll { title, options } = &app.content {
            let texts_of_options = options.iter().map(|option| &option.text);
            let texts_of_poll = title.iter().chain(texts_of_options);
            texts.extend(texts_of_poll.map(|text| Cow::Borrowed(text.as_str())));
        }
    }
    texts
}

/// The kinds that a message is of.
fn kinds(message: &Message) -> impl Iterator<Item = &'static str> {
    let is_message = matches!(message.kind, Kind::Message { .. });
    let has_link = message.link_preview.is_some()
        || message
            .body
            .as_ref()
            .is_some_and(|body| !body.links.is_empty());
    [
        (kind::TEXT, is_message && message.body.is_some()),
        (
            kind::ATTACHMENT,
            is_message && !message.attachments.is_empty(),
        ),
        (kind::LINK, is_message && has_link),
        (
            kind::ANNOUNCEMENT,
            matches!(message.kind, Kind::Announcement(_)),
        ),
    ]
    .into_iter()
    .filter_map(|(kind, holds)| holds.then_some(kind))
}

/// Whether a message has terms, so that a search can find it.
pub(super) fn is_searchable(stored: &StoredMessage) -> bool {
    let message = &stored.message;
    match &message.kind {
        Kind::Tapback(_) => false,
        Kind::Announcement(_) => true,
        Kind::Message { .. } => {
            // Its files are in rows of their own.
            matches!(message.author, Author::Other(_))
                || !stored.attachments.is_empty()
                || kinds(message).next().is_some()
        }
    }
}

/// The terms of a message, its files in it.
pub(super) fn terms_of(message: &Message, scratch: &mut TermScratch) -> MessageTerms {
    for text in searchable(message) {
        scratch.add(Field::Text(&text));
    }
    for kind in kinds(message) {
        scratch.add(Field::Kind(kind));
    }
    if let (Kind::Message { .. } | Kind::Announcement(_), Author::Other(handle)) =
        (&message.kind, &message.author)
    {
        scratch.add(Field::Sender(handle));
    }
    scratch.take()
}

impl Transaction<'_> {
    /// Writes the terms of a held message anew, with those of its files.
    pub(super) fn index_message(&mut self, row: RowId) -> Result<(), StoreError> {
        let mut stored = self.message(row)?;
        for file in &stored.attachments {
            let file = self.attachment(*file)?.attachment;
            stored.message.attachments.push(file);
        }
        let terms = terms_of(&stored.message, &mut TermScratch::default());
        self.index.add(row.0, &terms);
        Ok(())
    }
}

/// Writes a block, and merges small ones into a larger one when there are enough of them.
pub(super) fn write_index(
    index: IndexBlock,
    terms: &mut Table<'_, TermKey, &'static [u8]>,
    blocks: &mut Table<'_, u32, &'static [u8]>,
) -> Result<(), StoreError> {
    if !index.is_empty() {
        index
            .write(terms, blocks)
            .map_err(StoreError::from_search)?;
    }
    let held = read_blocks(blocks).map_err(StoreError::from_search)?;
    if let Some(numbers) = merge_candidates(&held) {
        merge(terms, blocks, numbers).map_err(StoreError::from_search)?;
    }
    Ok(())
}

impl StoreError {
    /// An error of the search index.
    pub(super) fn from_search(error: SearchError) -> Self {
        match error {
            SearchError::Storage(error) => Self::from_redb("searching", error),
            other @ (SearchError::Order(_) | SearchError::Damaged { .. } | SearchError::Full) => {
                Self::Damaged {
                    what: other.to_string(),
                }
            }
        }
    }
}
