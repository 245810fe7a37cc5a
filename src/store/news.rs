//! What is new for who has seen the archive up to a change.
//!
//! Two ways lead there. The change log names every changed message with its conversation: right for a client that is
//! seldom far behind. The heads of conversations name their latest change: two thousand of them are read in a
//! millisecond, however long the log is; who is too far behind for the log gets the rooms alone. A table by
//! conversation and change would say no more, and cost an import a second log.

use std::collections::BTreeMap;

use crate::base::ids::ChangeNumber;
use crate::base::ids::RowId;
use crate::store::error::StoreError;
use crate::store::publication::Places;
use crate::store::snapshot::Snapshot;
use crate::store::snapshot::collect;
use crate::store::value::ChangeEntry;
use crate::store::value::Head;

/// What became visible after a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// The latest change: the next question starts from here.
    pub until: ChangeNumber,
    /// By conversation, its entries, oldest first. Empty lists where [`Self::is_complete`] is false.
    pub rooms: BTreeMap<RowId, Vec<(ChangeNumber, ChangeEntry)>>,
    /// Entries that concern no conversation: contacts, devices, keys, data of an account.
    pub others: Vec<(ChangeNumber, ChangeEntry)>,
    /// Whether every entry is here. If not, more happened than was asked for or than the log still knows: `rooms` names
    /// the conversations that changed, and `others` must be taken for changed as a whole.
    pub is_complete: bool,
}

impl Snapshot {
    /// What became visible to clients after a change, if it is at most `limit` entries of the log; else in which
    /// conversations. Entries of conversations that are not published are not here.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn news_after(
        &self,
        since: ChangeNumber,
        places: &Places,
        limit: usize,
    ) -> Result<News, StoreError> {
        let mut news = News {
            until: self.last_change()?,
            is_complete: true,
            ..News::default()
        };
        if news.until == since {
            return Ok(news);
        }
        let Some(changes) = self.changes_after(places.scan_after(since))? else {
            return self.rooms_alone(news.until, since);
        };
        let mut published = BTreeMap::new();
        for (read, entry) in changes.enumerate() {
            if read == limit {
                return self.rooms_alone(news.until, since);
            }
            let (number, entry) = entry?;
            let Some(place) = places.place_of_entry(number, entry.kind) else {
                continue;
            };
            if entry.conversation == RowId(0) {
                if place > since {
                    news.others.push((number, entry));
                }
                continue;
            }
            let is_new = match published.get(&entry.conversation) {
                Some(is_published) => *is_published,
                None => self.head(entry.conversation)?.published.is_some(),
            };
            published.insert(entry.conversation, is_new);
            if is_new && place > since {
                let room = news.rooms.entry(entry.conversation).or_default();
                room.push((number, entry));
            }
        }
        Ok(news)
    }

    fn rooms_alone(&self, until: ChangeNumber, since: ChangeNumber) -> Result<News, StoreError> {
        let changed = self.rooms_changed_after(since)?.into_iter();
        Ok(News {
            until,
            rooms: changed.map(|(row, _)| (row, Vec::new())).collect(),
            others: Vec::new(),
            is_complete: false,
        })
    }

    /// Every published conversation in which something changed after a change, by arrival. In the middle of a pass what
    /// changed may not be visible yet.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn rooms_changed_after(
        &self,
        since: ChangeNumber,
    ) -> Result<Vec<(RowId, Head)>, StoreError> {
        let mut heads = self.heads()?;
        heads.retain(|(_, head)| head.published.is_some() && head.last_change > since);
        Ok(heads)
    }

    /// The totals of every conversation, by arrival.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn heads(&self) -> Result<Vec<(RowId, Head)>, StoreError> {
        collect(self.tables.heads()?, "conversation_heads", RowId)
    }
}
