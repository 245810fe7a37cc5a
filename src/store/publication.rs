//! When what a pass brought becomes visible to clients (D20).
//!
//! A pass that takes several commits hides the stretches of change numbers that it writes, until it ends: then everything
//! in them is new, all at once, as of the change that ends it. A crash leaves them hidden, and the next pass over the same
//! source goes on. Conversations become visible the first time that something in them is.
//!
//! Sources are read side by side, and what one of them hides is its own:
//!
//! | a commit | after a stretch that its source hides | after one that another hides | else |
//! |---|---|---|---|
//! | of a pass that goes on | makes it longer | begins one | begins one |
//! | that ends a pass | ends all of its source | so too, and is one that has ended | ends all of its source |
//! | of nobody's pass | is hidden with it | is hidden with it | is visible at once |
//!
//! So the end of a pass shows nothing of what another source's unfinished first pass has stored, in whatever order the two
//! begin and end; and what somebody writes now is seen now, though iCloud is read for the first time. What a pass over
//! iCloud hides and the Mac has as well comes with the Mac: the Mac is read in a minute, and nobody can refuse a session for
//! it ([`Transaction::is_taken_over`]).
//!
//! What comes outside of a pass ends also what a failed pass over the same source left hidden; only the first pass over a
//! source waits for its own end, however long. Who forgets iCloud's session ends its pass.

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
use crate::store::value::StoredMessage;

/// Set in the value of a stretch whose pass lasts, beside the number of its source.
const LASTING: u64 = 1 << 63;

/// What a transaction is to a pass over a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PassStep {
    /// More of the pass follows.
    GoesOn(SourceKind),
    /// The pass has reached its end, or is given up.
    Ends(SourceKind),
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
            self.pass = Some(PassStep::GoesOn(source));
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
            self.pass = Some(PassStep::Ends(source));
        }
        Ok(())
    }

    /// Hides or shows what this transaction brought, and makes conversations visible.
    pub(super) fn publish(&mut self) -> Result<(), StoreError> {
        let places = Places::read(&self.tables.passes)?;
        match self.pass {
            Some(PassStep::GoesOn(source)) => {
                let start = self.first_change;
                if self.coming_change() == start || places.is_hidden_last_by(source) {
                    return Ok(());
                }
                self.write_stretch(start, Until::Lasts(Some(source)))
            }
            Some(PassStep::Ends(source)) => self.end_pass(source, places),
            None if places.is_hidden_last() => Ok(()),
            None => {
                let touched: Vec<RowId> = self.heads.keys().copied().collect();
                self.publish_new(&touched, &places)
            }
        }
    }

    fn write_stretch(&mut self, start: ChangeNumber, until: Until) -> Result<(), StoreError> {
        let written = self.tables.passes.insert(start.0, until.stored());
        written
            .map(drop)
            .map_err(|error| StoreError::from_redb("writing to", error))
    }

    /// Publishes those of some conversations in which there is something to see.
    fn publish_new(&mut self, conversations: &[RowId], places: &Places) -> Result<(), StoreError> {
        for conversation in conversations {
            let head = self.head(*conversation)?;
            if head.published.is_none()
                && head.messages > 0
                && (!places.is_any_hidden() || self.shows(*conversation, places)?)
            {
                self.publish_conversation(*conversation)?;
            }
        }
        Ok(())
    }

    /// Whether one of the messages of a conversation is not hidden.
    fn shows(&mut self, conversation: RowId, places: &Places) -> Result<bool, StoreError> {
        self.flush_order()?;
        for row in self.messages_of(conversation)?.into_iter().rev() {
            if places.place(self.message(row)?.came()).is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes a conversation visible from the next change on.
    pub(super) fn publish_conversation(&mut self, conversation: RowId) -> Result<(), StoreError> {
        let number = self.log_in(Some(conversation), ChangeKind::Published, conversation)?;
        let head = self.head(conversation)?;
        head.published = Some(number);
        head.created = head.created.or(head.oldest);
        Ok(())
    }

    fn end_pass(&mut self, source: SourceKind, mut places: Places) -> Result<(), StoreError> {
        let begun = places.first_hidden_by(source);
        let coming = self.coming_change();
        let ended = places.end(source, self.first_change, coming);
        let touched = match begun {
            Some(start) => self.touched_since(start)?,
            None => self.heads.keys().copied().collect(),
        };
        self.publish_new(&touched, &places)?;
        if begun.is_some() {
            let end = self.log(ChangeKind::Pass, RowId(0));
            for conversation in touched {
                self.head(conversation)?.last_change = end;
            }
        }
        let end = ChangeNumber(self.coming_change().0.saturating_sub(1));
        for start in ended {
            // A transaction that changed nothing is no stretch.
            if start <= end {
                self.write_stretch(start, Until::Ended(end))?;
            }
        }
        Ok(())
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

    /// Whether a message that iCloud brought in a pass that lasts, as it is held and as it comes now, has come from the Mac:
    /// it is not hidden any more with the rest of that pass.
    pub(super) fn is_taken_over(
        &mut self,
        old: &StoredMessage,
        new: &StoredMessage,
    ) -> Result<bool, StoreError> {
        let mac = SourceKind::ChatDb;
        if old.sources.contains(&mac) || !new.sources.contains(&mac) {
            return Ok(false);
        }
        let places = match self.places.take() {
            Some(places) => places,
            None => Places::read(&self.tables.passes)?,
        };
        let until = places.stretch_of(old.came());
        self.places = Some(places);
        Ok(until.is_some_and(|until| until.is_hidden_by(SourceKind::CloudKit)))
    }
}

/// Until when the changes of a stretch are hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    /// Until this change: they are new as of it.
    Ended(ChangeNumber),
    /// The pass over this source lasts. `None`: over some source, in a file that an older version wrote.
    Lasts(Option<SourceKind>),
}

impl Until {
    fn of(stored: u64) -> Self {
        if stored == 0 {
            return Self::Lasts(None);
        }
        if stored & LASTING == 0 {
            return Self::Ended(ChangeNumber(stored));
        }
        let number = u8::try_from(stored & !LASTING).ok();
        Self::Lasts(number.and_then(SourceKind::from_number))
    }

    fn stored(self) -> u64 {
        match self {
            Self::Ended(end) => end.0,
            Self::Lasts(source) => source.map_or(0, |source| LASTING | u64::from(source.number())),
        }
    }

    fn end(self) -> Option<ChangeNumber> {
        match self {
            Self::Ended(end) => Some(end),
            Self::Lasts(_) => None,
        }
    }

    /// Whether a pass over this source, or of nobody knows which, hides it still.
    fn is_hidden_by(self, source: SourceKind) -> bool {
        matches!(self, Self::Lasts(of) if of.is_none_or(|of| of == source))
    }
}

/// The stretches of changes that passes brought: what says from when on clients see a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The first change of each stretch, rising, and until when it is hidden. A stretch reaches up to the next one, and not
    /// beyond the change that ended it.
    stretches: Vec<(ChangeNumber, Until)>,
}

impl Places {
    fn read(passes: &impl ReadableTable<u64, u64>) -> Result<Self, StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let mut stretches = Vec::new();
        for entry in passes.iter().map_err(failed)? {
            let (start, until) = entry.map_err(failed)?;
            stretches.push((ChangeNumber(start.value()), Until::of(until.value())));
        }
        Ok(Self { stretches })
    }

    fn stretch_of(&self, change: ChangeNumber) -> Option<Until> {
        let after = self
            .stretches
            .partition_point(|(start, _)| *start <= change);
        let (_, until) = self.stretches.get(after.checked_sub(1)?)?;
        until
            .end()
            .is_none_or(|end| change <= end)
            .then_some(*until)
    }

    /// The first change of each stretch, and the one behind its last: for one that is hidden still, the one behind its first.
    pub(super) fn bounds(&self) -> impl Iterator<Item = (ChangeNumber, ChangeNumber)> {
        let stretches = self.stretches.iter();
        stretches.map(|(start, until)| {
            (
                *start,
                ChangeNumber(until.end().unwrap_or(*start).0.saturating_add(1)),
            )
        })
    }

    /// Whether changes that follow now are in a stretch that a pass hides.
    fn is_hidden_last(&self) -> bool {
        let last = self.stretches.last();
        last.is_some_and(|(_, until)| until.end().is_none())
    }

    /// The same, of a pass over this source.
    fn is_hidden_last_by(&self, source: SourceKind) -> bool {
        let last = self.stretches.last();
        last.is_some_and(|(_, until)| until.is_hidden_by(source))
    }

    fn is_any_hidden(&self) -> bool {
        let mut stretches = self.stretches.iter();
        stretches.any(|(_, until)| until.end().is_none())
    }

    fn first_hidden_by(&self, source: SourceKind) -> Option<ChangeNumber> {
        let mut stretches = self.stretches.iter();
        let first = stretches.find(|(_, until)| until.is_hidden_by(source));
        first.map(|(start, _)| *start)
    }

    /// Ends every stretch that a source hides, and gives the changes from `from` on one of their own if another source would
    /// hide them. Answers where those begin that have ended.
    fn end(
        &mut self,
        source: SourceKind,
        from: ChangeNumber,
        end: ChangeNumber,
    ) -> Vec<ChangeNumber> {
        let mut ended = Vec::new();
        for (start, until) in &mut self.stretches {
            if until.is_hidden_by(source) {
                *until = Until::Ended(end);
                ended.push(*start);
            }
        }
        if self.is_hidden_last() {
            self.stretches.push((from, Until::Ended(end)));
            ended.push(from);
        }
        ended
    }

    /// The change number as of which a change of a message or of a conversation is visible; `None` while it is not.
    pub fn place(&self, change: ChangeNumber) -> Option<ChangeNumber> {
        self.stretch_of(change).map_or(Some(change), Until::end)
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
        let mut begun = self
            .stretches
            .iter()
            .take_while(|(start, _)| *start <= since);
        let ended_since = begun.find(|(_, until)| until.end().is_some_and(|end| end > since));
        ended_since.map_or(since, |(start, _)| ChangeNumber(start.0.saturating_sub(1)))
    }
}

impl Snapshot {
    /// From when on clients see a change.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn places(&self) -> Result<Places, StoreError> {
        Places::read(self.tables.passes()?)
    }
}

#[cfg(test)]
mod tests {
    use super::LASTING;
    use super::Places;
    use super::Until;
    use crate::base::ids::ChangeNumber;
    use crate::model::record::SourceKind;

    fn number(number: u64) -> ChangeNumber {
        ChangeNumber(number)
    }

    fn ended(start: u64, end: u64) -> (ChangeNumber, Until) {
        (number(start), Until::Ended(number(end)))
    }

    fn places(stretches: &[(ChangeNumber, Until)], changes: &[u64]) -> Vec<Option<u64>> {
        let places = Places {
            stretches: stretches.to_vec(),
        };
        let place = |change: &u64| places.place(number(*change)).map(|place| place.0);
        changes.iter().map(place).collect()
    }

    #[test]
    fn what_a_pass_brought_is_new_at_its_end() {
        let lasting = (number(30), Until::Lasts(Some(SourceKind::CloudKit)));
        let stretches = [ended(10, 20), lasting];

        assert_eq!(
            places(&stretches, &[9, 10, 15, 20, 21, 29, 30, 99]),
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
        let places = Places {
            stretches: stretches.to_vec(),
        };
        let scan = |since| places.scan_after(number(since)).0;
        assert_eq!(
            [5, 9, 10, 19, 20, 25, 30, 40].map(scan),
            [5, 9, 9, 9, 20, 25, 30, 40]
        );
    }

    #[test]
    fn stretches_of_one_pass_are_new_at_once_and_leave_out_what_lies_between() {
        let stretches = [ended(10, 40), ended(20, 25), ended(31, 40)];

        assert_eq!(
            places(&stretches, &[10, 19, 20, 25, 26, 30, 31, 40, 41]),
            [40, 40, 25, 25, 26, 30, 40, 40, 41].map(Some)
        );
        let places = Places {
            stretches: stretches.to_vec(),
        };
        let scan = |since| places.scan_after(number(since)).0;
        assert_eq!([9, 20, 28, 35, 40].map(scan), [9, 9, 9, 9, 40]);
    }

    #[test]
    fn the_end_of_one_source_leaves_what_another_hides() {
        let lasts = |start, source| (number(start), Until::Lasts(Some(source)));
        let (mac, cloud) = (SourceKind::ChatDb, SourceKind::CloudKit);
        let mut places = Places {
            stretches: vec![
                lasts(10, mac),
                lasts(20, cloud),
                lasts(30, mac),
                lasts(40, cloud),
            ],
        };

        let starts = places.end(mac, number(50), number(55));

        assert_eq!(starts, [10, 30, 50].map(number));
        let expected = [
            ended(10, 55),
            lasts(20, cloud),
            ended(30, 55),
            lasts(40, cloud),
            ended(50, 55),
        ];
        assert_eq!(places.stretches, expected);
    }

    #[test]
    fn what_hides_a_stretch_comes_back_from_the_file() {
        let lasting = SourceKind::ALL.map(|source| Until::Lasts(Some(source)));
        let all = [
            Until::Ended(number(7)),
            Until::Lasts(None),
            lasting[0],
            lasting[1],
        ];

        assert_eq!(all.map(|until| Until::of(until.stored())), all);
        assert_eq!(
            all.map(Until::stored),
            [7, 0, LASTING | 0x10, LASTING | 0x11]
        );
    }
}
