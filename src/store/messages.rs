//! Storing messages: which row they are, what of them changed, and every row that follows from it.

use std::collections::BTreeSet;
use std::mem;

use crate::base::ids::ChangeNumber;
use crate::base::ids::Guid;
use crate::base::ids::RowId;
use crate::base::limits::FUTURE_TOLERANCE;
use crate::base::limits::TWIN_WINDOW;
use crate::base::time::AppleTime;
use crate::model::change::Placement;
use crate::model::message::Announcement;
use crate::model::message::Author;
use crate::model::message::Kind;
use crate::model::message::Message;
use crate::model::record::SourceKind;
use crate::store::combine::combine_files;
use crate::store::combine::combined;
use crate::store::error::StoreError;
use crate::store::guid::GuidKey;
use crate::store::prepared::Class;
use crate::store::prepared::Outline;
use crate::store::prepared::Prepared;
use crate::store::transaction::Transaction;
use crate::store::transaction::find;
use crate::store::transaction::value;
use crate::store::value::ChangeKind;
use crate::store::value::Mark;
use crate::store::value::MarkKind;
use crate::store::value::ParkedRow;
use crate::store::value::QuarantineRow;
use crate::store::value::StoredMessage;
use crate::store::value::first_marks;

/// Where a message comes from and who made it of its record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) source: SourceKind,
    pub(super) decoder: u32,
}

/// Where a message belongs, and the row it has if it is held already.
struct Incoming {
    home: Option<RowId>,
    also_in: Vec<RowId>,
    known: Option<Known>,
}

/// A message that is held, and the same as it comes now, without its attachments.
struct Known {
    row: RowId,
    held: StoredMessage,
    message: Message,
}

impl Transaction<'_> {
    /// Stores one message: as a new row, as a change of the row it has, or not at all when nothing is different. Answers
    /// its row.
    pub(super) fn apply_message(
        &mut self,
        prepared: Prepared,
        origin: Origin,
    ) -> Result<RowId, StoreError> {
        let Incoming {
            home,
            also_in,
            known,
        } = self.recognise(&prepared, origin.source)?;
        match known {
            None => self.insert_message(prepared, home, also_in, origin),
            Some(known) => self.refresh_message(known, prepared, (home, also_in), origin),
        }
    }

    /// Stores a message that is not held.
    fn insert_message(
        &mut self,
        mut prepared: Prepared,
        home: Option<RowId>,
        also_in: Vec<RowId>,
        origin: Origin,
    ) -> Result<RowId, StoreError> {
        let row = self.new_row();
        let files = mem::take(&mut prepared.attachments);
        let (attachments, _) = self.apply_attachments(row, files, origin.source)?;
        let time = self.sort_time(prepared.outline.time(), None)?;
        if home.is_none() {
            self.note_parked(row, home, mem::take(&mut prepared.placement))?;
        }
        if prepared.outline.is_unreadable {
            self.note_quarantine(row, &prepared.message()?, origin.decoder)?;
        }
        let duplicate_of = self.link_twin(row, home, time, &prepared)?;
        let number = self.log_in(home, ChangeKind::Message, row)?;
        let stored = StoredMessage {
            time,
            conversation: home,
            also_in,
            first_seen: self.now,
            first_change: number,
            last_change: number,
            sources: vec![origin.source],
            duplicate_of,
            attachments,
            came: None,
            marks: prepared.outline.marks(number),
            message: prepared.encoded(),
        };
        let record = prepared.record();
        let record = record.map(|(record, fingerprint)| (origin.source, record, fingerprint));
        self.add_message(row, &stored, record)?;
        let outline = &prepared.outline;
        self.tally.count_new(outline, home);
        self.last_time = Some(time);
        self.insert_guid(&outline.guid, row)?;
        self.waiting.by_time.push((time.nanos(), row.0));
        self.waiting.relations.extend(outline.relations(row));
        self.waiting.timeline.extend(timeline(&stored, row));
        if let Some(conversation) = home {
            self.head(conversation)?.add(row, time, outline);
            if outline.class == Class::Announcement
                && let Kind::Announcement(Announcement::Renamed(Some(title))) =
                    prepared.message()?.kind
            {
                self.date_name(conversation, &title, time)?;
            }
        }
        if origin.source == SourceKind::CloudKit && !stored.attachments.is_empty() {
            // The names of its files came in records of their own.
            self.index_message(row)?;
        } else {
            self.index.add(row.0, &prepared.terms);
        }
        Ok(row)
    }

    /// Stores what is different of a message that is held.
    fn refresh_message(
        &mut self,
        known: Known,
        mut prepared: Prepared,
        (home, also_in): (Option<RowId>, Vec<RowId>),
        origin: Origin,
    ) -> Result<RowId, StoreError> {
        let Known {
            row,
            held,
            mut message,
        } = known;
        let files = mem::take(&mut prepared.attachments);
        let (mut attachments, files_changed) = self.apply_attachments(row, files, origin.source)?;
        let is_shared = held.sources.iter().any(|source| *source != origin.source);
        if is_shared {
            combine_files(&held.attachments, &mut attachments, origin.source);
            message = combined(&held.message, message, origin.source);
        }
        if message.times.deleted.is_none() && self.stays_deleted(row, &prepared, origin.source)? {
            message.times.deleted = held.message.times.deleted;
        }
        let stored = StoredMessage {
            time: self.sort_time(message.times.sent, Some(&held))?,
            conversation: home,
            also_in,
            first_seen: held.first_seen,
            first_change: held.first_change,
            last_change: held.last_change,
            sources: vec![origin.source],
            duplicate_of: held.duplicate_of.clone(),
            attachments,
            came: None,
            marks: Vec::new(),
            message,
        };
        self.note_parked(row, home, mem::take(&mut prepared.placement))?;
        self.note_quarantine(row, &stored.message, origin.decoder)?;
        if let Some((record, fingerprint)) = prepared.record() {
            self.put_record(row, origin.source, record, fingerprint)?;
        }
        if self.update_message(row, &held, stored, files_changed)? {
            if is_shared {
                self.index_message(row)?;
            } else {
                self.index.add(row.0, &prepared.terms);
            }
        }
        Ok(row)
    }

    /// Whether a record that does not say that a held message was deleted leaves its deletion as it is.
    ///
    /// A record that says nothing new does not undo one that the archive found out about: the record of a message that was
    /// deleted for good never changes again. What CloudKit says of deletions is not in the record
    /// ([`Self::settle_deletion`]), and chat.db's does not undo it.
    fn stays_deleted(
        &self,
        row: RowId,
        prepared: &Prepared,
        source: SourceKind,
    ) -> Result<bool, StoreError> {
        use redb::ReadableTable;

        let Some(fingerprint) = prepared.fingerprint else {
            return Ok(true);
        };
        let held = self.tables.fingerprints.get((row.0, source.number()));
        let held = held.map_err(|error| StoreError::from_redb("reading", error))?;
        let says_nothing_new = held.is_some_and(|held| held.value() == fingerprint);
        Ok(says_nothing_new || self.cloud_deletion(row)? == Some(true))
    }

    /// Which row a message is, and where it belongs.
    fn recognise(
        &mut self,
        prepared: &Prepared,
        source: SourceKind,
    ) -> Result<Incoming, StoreError> {
        let mut homes = self.homes(&prepared.placement)?.into_iter();
        let home = homes.next();
        let also_in = homes_besides(&[source], homes);
        let rows = self.messages_with(&prepared.outline.guid)?;
        if rows.is_empty() {
            return Ok(Incoming {
                home,
                also_in,
                known: None,
            });
        }
        let message = prepared.message()?;
        for row in rows {
            let held = self.message(row)?;
            if !is_same(&held, &message, home) {
                continue;
            }
            // That the source names no conversation any more is no reason to hide where it was.
            let (home, also_in) = if home.is_none() && held.conversation.is_some() {
                (held.conversation, held.also_in.clone())
            } else {
                (home, also_in)
            };
            return Ok(Incoming {
                home,
                also_in,
                known: Some(Known { row, held, message }),
            });
        }
        if self.new_guids.contains_key(&GuidKey::of(&message.guid).0) {
            // A second message with this GUID: the first must be where look-ups find it.
            self.flush_guids()?;
        }
        Ok(Incoming {
            home,
            also_in,
            known: None,
        })
    }

    /// The conversations that a message belongs to, its home first; none for one that is to be parked.
    pub(super) fn homes(&mut self, placement: &Placement) -> Result<Vec<RowId>, StoreError> {
        let mut homes = Vec::new();
        for alias in &placement.candidates {
            if let Some(conversation) = self.resolve(alias)?
                && !homes.contains(&conversation)
            {
                homes.push(conversation);
            }
        }
        Ok(homes)
    }

    /// Where a message stands in the order (D5): when it was sent, but not after it was seen; fixed unless the time of
    /// sending itself is corrected.
    fn sort_time(
        &mut self,
        sent: Option<AppleTime>,
        held: Option<&StoredMessage>,
    ) -> Result<AppleTime, StoreError> {
        let (sent, first_seen) = match held {
            Some(old) if sent.is_none() || sent == old.message.times.sent => {
                return Ok(old.time);
            }
            Some(old) => (sent, old.first_seen),
            None if sent.is_some() => (sent, self.now),
            None => (self.time_before()?, self.now),
        };
        Ok(sent
            .unwrap_or(first_seen)
            .min(first_seen.plus(FUTURE_TOLERANCE)))
    }

    /// The time of the message that arrived last, for one that has none (MS-5): however many came with it.
    fn time_before(&mut self) -> Result<Option<AppleTime>, StoreError> {
        use redb::ReadableTable;

        if self.last_time.is_none() {
            let last = self.tables.messages.last();
            let last = last.map_err(|error| StoreError::from_redb("reading", error))?;
            if let Some((_, bytes)) = last {
                let last: StoredMessage = value("messages", bytes.value())?;
                self.last_time = Some(last.time);
            }
        }
        Ok(self.last_time)
    }

    /// Writes a held message as it is now, with all that follows, and says whether anything that shows is different.
    pub(super) fn update_message(
        &mut self,
        row: RowId,
        old: &StoredMessage,
        mut new: StoredMessage,
        files_changed: bool,
    ) -> Result<bool, StoreError> {
        (new.first_change, new.last_change) = (old.first_change, old.last_change);
        let is_moved = old.conversation != new.conversation;
        let mut is_missed = false;
        if let Some(left) = old.conversation.filter(|_| is_moved) {
            self.log_in(Some(left), ChangeKind::Gone, row)?;
            is_missed = self.head(left)?.published.is_some();
        }
        let coming = self.coming_change();
        new.marks = marks_after(old, &new.message, self.now, coming);
        if is_missed {
            new.marks.push(Mark {
                kind: MarkKind::Move,
                at: self.now,
                change: coming,
            });
            new.marks.sort_by_key(|mark| mark.at);
        }
        let is_back = old.message.times.deleted.is_some() && new.message.times.deleted.is_none();
        new.came = if is_back || is_moved || self.is_taken_over(old, &new)? {
            Some(coming)
        } else {
            old.came
        };
        for source in &old.sources {
            if !new.sources.contains(source) {
                new.sources.push(*source);
            }
        }
        // In one order, whichever source spoke last.
        new.sources.sort_unstable();
        if new == *old && !files_changed {
            self.tally.refreshed += 1;
            return Ok(false);
        }
        new.last_change = self.log_in(new.conversation, ChangeKind::Message, row)?;
        self.tally.count_changed(old, &new);
        self.tally.attachments += u64::from(files_changed && old.attachments == new.attachments);
        self.put_message(row, &new)?;
        self.move_rows(row, old, &new)?;
        if let Some(conversation) = new.conversation {
            let outline = Outline::of(&new.message);
            self.head(conversation)?.note_read(row, new.time, &outline);
        }
        Ok(true)
    }

    /// Replaces the index rows of a message that are not what they were.
    fn move_rows(
        &mut self,
        row: RowId,
        old: &StoredMessage,
        new: &StoredMessage,
    ) -> Result<(), StoreError> {
        let failed = |error| StoreError::from_redb("writing to", error);
        let (before, now) = (IndexRows::of(old, row), IndexRows::of(new, row));
        if before == now && old.time == new.time && is_message(old) == is_message(new) {
            return Ok(());
        }
        // The old rows may still wait; what is removed must be in the tables.
        self.flush_order()?;
        for key in before
            .timeline
            .iter()
            .filter(|key| !now.timeline.contains(key))
        {
            self.tables.timeline.remove(*key).map_err(failed)?;
        }
        let no_more = |key: &&([u8; 16], u64)| !now.relations.contains(key);
        for (target, row) in before.relations.iter().filter(no_more) {
            self.tables
                .relations
                .remove((target, *row))
                .map_err(failed)?;
        }
        if old.time != new.time {
            self.tables
                .by_time
                .remove((old.time.nanos(), row.0))
                .map_err(failed)?;
            self.waiting.by_time.push((new.time.nanos(), row.0));
        }
        self.waiting.timeline.extend(
            now.timeline
                .iter()
                .filter(|key| !before.timeline.contains(key)),
        );
        self.waiting.relations.extend(
            now.relations
                .iter()
                .filter(|key| !before.relations.contains(key)),
        );
        let counts =
            |stored: &StoredMessage| (stored.conversation, stored.time, is_message(stored));
        if counts(old) != counts(new) {
            self.flush_order()?;
            let both = BTreeSet::from([old.conversation, new.conversation]);
            for conversation in both.into_iter().flatten() {
                self.recount(conversation, old.conversation, new.conversation)?;
            }
        }
        Ok(())
    }

    /// Mends the totals of a conversation after a message left it, came to it or got another time in it.
    fn recount(
        &mut self,
        of: RowId,
        from: Option<RowId>,
        to: Option<RowId>,
    ) -> Result<(), StoreError> {
        let (oldest, newest) = self.ends(of)?;
        let newest_message = self.newest_message(of)?;
        let head = self.head(of)?;
        (head.oldest, head.newest) = (oldest, newest);
        head.newest_message = newest_message;
        if from != to {
            if from == Some(of) {
                head.messages = head.messages.saturating_sub(1);
            } else {
                head.messages += 1;
            }
        }
        Ok(())
    }

    /// The messages of a conversation that the tables hold, by time.
    pub(super) fn messages_of(&self, conversation: RowId) -> Result<Vec<RowId>, StoreError> {
        use redb::ReadableTable;

        let failed = |error| StoreError::from_redb("reading", error);
        let rows =
            (conversation.0, i64::MIN, 0, 0)..=(conversation.0, i64::MAX, u64::MAX, u16::MAX);
        let mut messages = Vec::new();
        for entry in self.tables.timeline.range(rows).map_err(failed)? {
            let (_, _, row, n) = entry.map_err(failed)?.0.value();
            if n == 0 {
                messages.push(RowId(row));
            }
        }
        Ok(messages)
    }

    /// The times of the first and the last message of a conversation.
    fn ends(
        &self,
        conversation: RowId,
    ) -> Result<(Option<AppleTime>, Option<AppleTime>), StoreError> {
        use redb::ReadableTable;

        let failed = |error| StoreError::from_redb("reading", error);
        let rows =
            (conversation.0, i64::MIN, 0, 0)..=(conversation.0, i64::MAX, u64::MAX, u16::MAX);
        let is_message =
            |key: (u64, i64, u64, u16)| (key.3 == 0).then_some(AppleTime::from_nanos(key.1));
        let mut oldest = None;
        for entry in self.tables.timeline.range(rows.clone()).map_err(failed)? {
            oldest = is_message(entry.map_err(failed)?.0.value());
            if oldest.is_some() {
                break;
            }
        }
        let mut newest = None;
        for entry in self.tables.timeline.range(rows).map_err(failed)?.rev() {
            newest = is_message(entry.map_err(failed)?.0.value());
            if newest.is_some() {
                break;
            }
        }
        Ok((oldest, newest))
    }

    /// The time of the last message of a conversation that is neither a tapback nor an announcement.
    fn newest_message(&mut self, conversation: RowId) -> Result<Option<AppleTime>, StoreError> {
        use redb::ReadableTable;

        let failed = |error| StoreError::from_redb("reading", error);
        let first = (conversation.0, i64::MIN, 0, 0);
        let mut last = (conversation.0, i64::MAX, u64::MAX, u16::MAX);
        loop {
            let mut before = self.tables.timeline.range(first..last).map_err(failed)?;
            let Some(entry) = before.next_back() else {
                return Ok(None);
            };
            last = entry.map_err(failed)?.0.value();
            let (_, time, row, n) = last;
            if n == 0 && is_message(&self.message(RowId(row))?) {
                return Ok(Some(AppleTime::from_nanos(time)));
            }
        }
    }

    fn insert_guid(&mut self, guid: &Guid, row: RowId) -> Result<(), StoreError> {
        let key = GuidKey::of(guid);
        self.new_guids.insert(key.0, row);
        if let Some(filters) = &mut self.filters {
            filters.add(guid);
        }
        match guid {
            Guid::Uuid(key) => self.waiting.guids.push((*key, row.0)),
            Guid::Other(text) => {
                let text: &str = text;
                let failed = |error| StoreError::from_redb("writing to", error);
                let (others, hashes) = (&mut self.tables.guid_others, &mut self.tables.guid_hashes);
                others.insert((text, row.0), ()).map_err(failed)?;
                hashes.insert(&key.0, text.as_bytes()).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Says in the table of parked messages whether this is one, and why.
    fn note_parked(
        &mut self,
        row: RowId,
        home: Option<RowId>,
        placement: Placement,
    ) -> Result<(), StoreError> {
        if home.is_none() {
            let before: Option<ParkedRow> = find(&self.tables.parked, "parked", row.0)?;
            let parked = ParkedRow {
                placement,
                since: before.map_or(self.now, |before| before.since),
            };
            Self::put_row(&mut self.tables.parked, "parked", row, &parked)
        } else {
            let removed = self.tables.parked.remove(row.0);
            removed
                .map(drop)
                .map_err(|error| StoreError::from_redb("writing to", error))
        }
    }

    /// Says in the quarantine whether something of this message could not be decoded, and what.
    pub(super) fn note_quarantine(
        &mut self,
        row: RowId,
        message: &Message,
        decoder: u32,
    ) -> Result<(), StoreError> {
        let before: Option<QuarantineRow> = find(&self.tables.quarantine, "quarantine", row.0)?;
        if message.unreadable.is_empty() {
            if before.is_some() {
                let removed = self.tables.quarantine.remove(row.0);
                removed.map_err(|error| StoreError::from_redb("writing to", error))?;
            }
            return Ok(());
        }
        let (attempts, since) =
            before.map_or((0, self.now), |before| (before.attempts, before.since));
        let entry = QuarantineRow {
            reasons: message.unreadable.clone(),
            decoder,
            attempts: attempts + 1,
            since,
        };
        Self::put_row(&mut self.tables.quarantine, "quarantine", row, &entry)
    }

    /// In a self chat every message comes twice, sent and received: the received copy names its twin (ID-28). Answers what
    /// this new message is a copy of.
    fn link_twin(
        &mut self,
        row: RowId,
        home: Option<RowId>,
        time: AppleTime,
        prepared: &Prepared,
    ) -> Result<Option<Guid>, StoreError> {
        let Some(conversation) = home else {
            return Ok(None);
        };
        if prepared.outline.class != Class::Message || !self.is_self_chat(conversation)? {
            return Ok(None);
        }
        let mut near = Vec::new();
        for other in self.rows_near(conversation, time)? {
            near.push((other, self.message(other)?));
        }
        self.self_chat_rows.insert((conversation, time, row));
        let mine = prepared.message()?;
        let is_copy = |other: &StoredMessage| {
            let theirs = &other.message;
            theirs.body == mine.body && theirs.author != mine.author && theirs.guid != mine.guid
        };
        if mine.author == Author::Owner {
            let twin = near
                .into_iter()
                .find(|(_, other)| is_copy(other) && other.duplicate_of.is_none());
            if let Some((row, mut twin)) = twin {
                twin.duplicate_of = Some(mine.guid);
                twin.last_change = self.log_in(Some(conversation), ChangeKind::Message, row)?;
                self.put_message(row, &twin)?;
            }
            return Ok(None);
        }
        let is_named = |guid: &Guid| {
            let mut others = near.iter();
            others.any(|(_, other)| other.duplicate_of.as_ref() == Some(guid))
        };
        let is_twin = |other: &StoredMessage| {
            let theirs = &other.message;
            is_copy(other) && theirs.author == Author::Owner && !is_named(&theirs.guid)
        };
        let twin = near.iter().find(|(_, other)| is_twin(other));
        Ok(twin.map(|(_, twin)| twin.message.guid.clone()))
    }

    /// Messages of a self chat within the twin window of a time, by arrival, those of this transaction included.
    fn rows_near(
        &self,
        conversation: RowId,
        time: AppleTime,
    ) -> Result<BTreeSet<RowId>, StoreError> {
        use redb::ReadableTable;

        let failed = |error| StoreError::from_redb("reading", error);
        let (from, to) = (time.minus(TWIN_WINDOW), time.plus(TWIN_WINDOW));
        let new = (conversation, from, RowId(0))..=(conversation, to, RowId(u64::MAX));
        let mut rows: BTreeSet<RowId> = self
            .self_chat_rows
            .range(new)
            .map(|(_, _, row)| *row)
            .collect();
        let stored =
            (conversation.0, from.nanos(), 0, 0)..=(conversation.0, to.nanos(), u64::MAX, u16::MAX);
        for entry in self.tables.timeline.range(stored).map_err(failed)? {
            let (_, _, row, n) = entry.map_err(failed)?.0.value();
            if n == 0 {
                rows.insert(RowId(row));
            }
        }
        Ok(rows)
    }

    /// Marks a held message as deleted by the owner, or remembers the GUID of one that was never held (D12).
    pub(super) fn apply_deletion(&mut self, guid: &Guid, at: AppleTime) -> Result<(), StoreError> {
        let rows = self.messages_with(guid)?;
        if rows.is_empty() {
            return self.remember_tombstone(guid, at);
        }
        for row in rows {
            let old = self.message(row)?;
            if old.message.times.deleted.is_some() {
                continue;
            }
            let mut new = old.clone();
            new.message.times.deleted = Some(at);
            self.update_message(row, &old, new, false)?;
        }
        Ok(())
    }
}

/// Whether a held message is the one that comes in: same GUID, and not one of the repeats that carriers' short codes
/// send into other conversations (ID-18).
fn is_same(held: &StoredMessage, incoming: &Message, home: Option<RowId>) -> bool {
    held.conversation == home
        || held.conversation.is_none()
        || home.is_none()
        || incoming.service.as_deref() == Some("iMessage")
        || (held.message.times.sent == incoming.times.sent
            && held.message.author == incoming.author)
}

/// Conversations that hold a message besides its home. What CloudKit names are spellings of one, of which the first that
/// is known counts (ID-8).
pub(super) fn homes_besides(
    sources: &[SourceKind],
    others: impl Iterator<Item = RowId>,
) -> Vec<RowId> {
    if sources.contains(&SourceKind::ChatDb) {
        others.collect()
    } else {
        Vec::new()
    }
}

/// Whether it is something that a person wrote or sent.
fn is_message(stored: &StoredMessage) -> bool {
    Class::of(&stored.message.kind) == Class::Message
}

/// The marks of a held message as it is now. What was marked before keeps its change; an unsend keeps its time too, for
/// the source has one time for all of them. A deletion is marked if clients had the message, a restoration if they were
/// told of the deletion.
fn marks_after(
    old: &StoredMessage,
    new: &Message,
    now: AppleTime,
    change: ChangeNumber,
) -> Vec<Mark> {
    let is_lasting = |mark: &&Mark| {
        matches!(
            mark.kind,
            MarkKind::Deletion | MarkKind::Restoration | MarkKind::Move
        )
    };
    let mut marks = first_marks(new, change);
    for mark in &mut marks {
        if let Some(known) = old.marks.iter().find(|known| known.kind == mark.kind) {
            mark.change = known.change;
            if matches!(mark.kind, MarkKind::Unsend { .. }) {
                mark.at = known.at;
            }
        }
    }
    marks.extend(old.marks.iter().filter(is_lasting));
    match (old.message.times.deleted, new.times.deleted) {
        (None, Some(at)) => marks.push(Mark {
            kind: MarkKind::Deletion,
            at,
            change,
        }),
        (Some(_), None) if old.is_withdrawn() => marks.push(Mark {
            kind: MarkKind::Restoration,
            at: now,
            change,
        }),
        _ => {}
    }
    marks.sort_by_key(|mark| mark.at);
    marks
}

/// The rows of a held message in the timeline and in the relations.
#[derive(PartialEq)]
struct IndexRows {
    timeline: Vec<(u64, i64, u64, u16)>,
    relations: Vec<([u8; 16], u64)>,
}

impl IndexRows {
    fn of(stored: &StoredMessage, row: RowId) -> Self {
        Self {
            timeline: timeline(stored, row).collect(),
            relations: Outline::of(&stored.message).relations(row).collect(),
        }
    }
}

/// The timeline rows of a message: itself, then its marks at their own times (D5).
pub(super) fn timeline<M>(
    stored: &StoredMessage<M>,
    row: RowId,
) -> impl Iterator<Item = (u64, i64, u64, u16)> {
    let conversation = stored.conversation;
    let times = std::iter::once(stored.time).chain(stored.marks.iter().map(|mark| mark.at));
    let numbered = times.zip(0..=u16::MAX);
    numbered.filter_map(move |(time, n)| Some((conversation?.0, time.nanos(), row.0, n)))
}
