//! When what a pass brought becomes visible to clients (D20).
//!
//! A pass that takes several commits opens an interval of change numbers with the first of them and closes it with the
//! last: everything in the interval is new at its end, all at once. A crash leaves it open, and the next pass goes on in
//! it. Conversations become visible the first time that a pass which brought them messages ends.
//!
//! What comes outside of a pass is visible at once. It ends an interval that a failed pass left open, or it would stay
//! hidden with what that pass brought; only the first pass over a source waits for its own end, however long.

use redb::ReadableTable;

use crate::base::ids::ChangeNumber;
use crate::base::ids::RowId;
use crate::model::change::Cursor;
use crate::model::record::SourceKind;
use crate::store::error::StoreError;
use crate::store::snapshot::Snapshot;
use crate::store::transaction::Transaction;
use crate::store::transaction::find;
use crate::store::transaction::value;
use crate::store::value::ChangeKind;
use crate::store::value::Head;

/// What a transaction is to a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PassStep {
    /// Nothing: it may be a client's.
    None,
    /// More of the pass follows.
    GoesOn,
    /// The pass has reached its end, or is given up.
    Ends,
}

impl Transaction<'_> {
    /// Remembers what a page says of its pass.
    pub(super) fn note_pass(
        &mut self,
        source: SourceKind,
        unfinished: bool,
        cursor: Option<&Cursor>,
    ) -> Result<(), StoreError> {
        if unfinished {
            self.pass = PassStep::GoesOn;
            return Ok(());
        }
        let held: Option<Cursor> = match cursor {
            Some(_) => None,
            None => find(&self.tables.cursors, "cursors", source.number())?,
        };
        if cursor
            .or(held.as_ref())
            .is_some_and(|cursor| cursor.scanned.is_none())
        {
            self.pass = PassStep::Ends;
        }
        Ok(())
    }

    /// Opens or closes the interval of a pass, and makes conversations visible.
    pub(super) fn publish(&mut self) -> Result<(), StoreError> {
        let last = self.tables.passes.last();
        let last = last.map_err(|error| StoreError::from_redb("reading", error))?;
        let open = last.and_then(|(start, end)| (end.value() == 0).then_some(start.value()));
        match (open, self.pass) {
            (None, PassStep::GoesOn) => {
                let start = self.first_change;
                if self.coming_change() > start {
                    self.write_pass(start, ChangeNumber(0))?;
                }
                Ok(())
            }
            (Some(_), PassStep::GoesOn | PassStep::None) => Ok(()),
            (None, PassStep::Ends | PassStep::None) => {
                let touched: Vec<RowId> = self.heads.keys().copied().collect();
                self.publish_new(&touched)
            }
            (Some(start), PassStep::Ends) => self.end_pass(ChangeNumber(start)),
        }
    }

    fn write_pass(&mut self, start: ChangeNumber, end: ChangeNumber) -> Result<(), StoreError> {
        let written = self.tables.passes.insert(start.0, end.0);
        written
            .map(drop)
            .map_err(|error| StoreError::from_redb("writing to", error))
    }

    fn publish_new(&mut self, conversations: &[RowId]) -> Result<(), StoreError> {
        for conversation in conversations {
            let head = self.head(*conversation)?;
            if head.published.is_none() && head.messages > 0 {
                self.publish_conversation(*conversation)?;
            }
        }
        Ok(())
    }

    /// Makes a conversation visible from the next change on.
    pub(super) fn publish_conversation(&mut self, conversation: RowId) -> Result<(), StoreError> {
        let number = self.log_in(Some(conversation), ChangeKind::Published, conversation)?;
        let head = self.head(conversation)?;
        head.published = Some(number);
        head.created = head.created.or(head.oldest);
        Ok(())
    }

    fn end_pass(&mut self, start: ChangeNumber) -> Result<(), StoreError> {
        let touched = self.touched_since(start)?;
        self.publish_new(&touched)?;
        let end = self.log(ChangeKind::Pass, RowId(0));
        for conversation in touched {
            self.head(conversation)?.last_change = end;
        }
        self.write_pass(start, end)
    }

    /// Conversations in which something changed since a change, this transaction included.
    fn touched_since(&self, start: ChangeNumber) -> Result<Vec<RowId>, StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let mut touched = Vec::new();
        for entry in self.tables.heads.iter().map_err(failed)? {
            let (row, bytes) = entry.map_err(failed)?;
            let row = RowId(row.value());
            if !self.heads.contains_key(&row) {
                let head: Head = value("conversation_heads", bytes.value())?;
                touched.extend((head.last_change >= start).then_some(row));
            }
        }
        let here = self.heads.iter();
        let here = here.filter(|(_, head)| head.last_change >= start);
        touched.extend(here.map(|(row, _)| *row));
        touched.sort_unstable();
        Ok(touched)
    }
}

/// The intervals of all passes: what says from when on clients see a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// First and last change of each pass, rising; the last one is `None` while the pass lasts.
    passes: Vec<(ChangeNumber, Option<ChangeNumber>)>,
}

impl Places {
    fn pass_of(&self, change: ChangeNumber) -> Option<(ChangeNumber, Option<ChangeNumber>)> {
        let after = self.passes.partition_point(|(start, _)| *start <= change);
        let pass = self.passes.get(after.checked_sub(1)?)?;
        pass.1.is_none_or(|end| change <= end).then_some(*pass)
    }

    /// The change number as of which a change of a message or of a conversation is visible; `None` while it is not.
    pub fn place(&self, change: ChangeNumber) -> Option<ChangeNumber> {
        self.pass_of(change).map_or(Some(change), |(_, end)| end)
    }

    /// The same for a change in a conversation, which is not visible before the conversation is: of a message, for
    /// instance, `places.place_in(&head, stored.change_of(n))`.
    pub fn place_in(&self, head: &Head, change: ChangeNumber) -> Option<ChangeNumber> {
        Some(self.place(change)?.max(head.published?))
    }

    /// The change number as of which an entry of the change log is news: only messages and conversations wait for their
    /// pass.
    pub fn place_of_entry(&self, number: ChangeNumber, kind: ChangeKind) -> Option<ChangeNumber> {
        if kind.waits() {
            self.place(number)
        } else {
            Some(number)
        }
    }

    /// The change before the first one that may be news to somebody who has seen everything up to `since`: a pass that
    /// has ended since may have begun before.
    pub(super) fn scan_after(&self, since: ChangeNumber) -> ChangeNumber {
        match self.pass_of(since) {
            Some((start, end)) if end.is_none_or(|end| end > since) => {
                ChangeNumber(start.0.saturating_sub(1))
            }
            _ => since,
        }
    }
}

impl Snapshot {
    /// From when on clients see a change.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn places(&self) -> Result<Places, StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let mut passes = Vec::new();
        for entry in self.tables.passes()?.iter().map_err(failed)? {
            let (start, end) = entry.map_err(failed)?;
            let end = Some(end.value()).filter(|end| *end > 0);
            passes.push((ChangeNumber(start.value()), end.map(ChangeNumber)));
        }
        Ok(Places { passes })
    }
}

#[cfg(test)]
mod tests {
    use super::Places;
    use crate::base::ids::ChangeNumber;

    #[test]
    fn what_a_pass_brought_is_new_at_its_end() {
        let number = ChangeNumber;
        let places = Places {
            passes: vec![(number(10), Some(number(20))), (number(30), None)],
        };

        let of = |change| places.place(number(change)).map(|place| place.0);
        assert_eq!(
            [9, 10, 15, 20, 21, 29, 30, 99].map(of),
            [
                Some(9),
                Some(20),
                Some(20),
                Some(20),
                Some(21),
                Some(29),
                None,
                None
            ]
        );
        let scan = |since| places.scan_after(number(since)).0;
        assert_eq!(
            [5, 9, 10, 19, 20, 25, 30, 40].map(scan),
            [5, 9, 9, 9, 20, 25, 29, 29]
        );
    }
}
