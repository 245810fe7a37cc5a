//! What changes in the account after it was made: for tests of everything that is not a first sync.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;

use crate::demo::account::Account;
use crate::demo::feed::Step;
use crate::demo::random::Names;
use crate::demo::story::Told;
use crate::demo::story::edit;
use crate::demo::zone::ZoneKind;

/// The type of messages in Recently Deleted.
pub(super) const RECOVERABLE: &str = "recoverableMessage";

/// A change of a feed.
pub(super) struct LiveChange {
    /// The record's name.
    pub(super) name: String,
    /// The record as it is from then on; `None` when it was deleted.
    pub(super) told: Option<Told>,
    /// How often it was written before.
    pub(super) version: u64,
}

/// Everything that changes.
#[derive(Default)]
pub(super) struct Live {
    /// Of the tokens.
    pub(super) generation: u64,
    /// Of the addresses of downloads.
    pub(super) downloads: u64,
    pub(super) has_late_key: bool,
    pub(super) missing: Vec<ZoneKind>,
    pub(super) epochs: BTreeMap<ZoneKind, u32>,
    changes: BTreeMap<ZoneKind, Vec<Arc<LiveChange>>>,
    latest: HashMap<(ZoneKind, String), u64>,
    added: u64,
}

impl Live {
    pub(super) fn changes(&self, zone: ZoneKind) -> &[Arc<LiveChange>] {
        self.changes.get(&zone).map_or(&[], Vec::as_slice)
    }

    pub(super) fn step(&self, zone: ZoneKind, at: u64) -> Option<Step> {
        let at = usize::try_from(at).ok()?;
        self.changes(zone).get(at).cloned().map(Step::Live)
    }

    /// The place among the changes of the latest one about a record.
    pub(super) fn latest(&self, zone: ZoneKind, name: &str) -> Option<u64> {
        if self.latest.is_empty() {
            return None;
        }
        self.latest.get(&(zone, name.to_owned())).copied()
    }

    pub(super) fn epoch(&self, zone: ZoneKind) -> u32 {
        self.epochs.get(&zone).copied().unwrap_or_default()
    }

    fn push(&mut self, zone: ZoneKind, name: &str, told: Option<Told>) {
        let changes = self.changes.entry(zone).or_default();
        let at = u64::try_from(changes.len()).unwrap_or_default();
        changes.push(Arc::new(LiveChange {
            name: name.to_owned(),
            told,
            // Beyond those of the first feed.
            version: at + 2,
        }));
        self.latest.insert((zone, name.to_owned()), at);
    }
}

impl Account {
    /// How many conversations there are, those with businesses left out; they are named by their number from 0 on.
    pub fn conversations(&self) -> usize {
        self.story.cast.people
    }

    /// Adds a message with this text from another member, or from the owner where there is none. Returns its record's name.
    pub fn add_message(&self, conversation: usize, text: &str) -> Option<String> {
        let mut live = self.write();
        let index = self.story.messages + live.added;
        let told = self.story.later(index, conversation, text)?;
        live.added += 1;
        let name = told.truth.record.clone();
        live.push(ZoneKind::Message, &name, Some(told));
        Some(name)
    }

    /// Edits a message. False where there is none of that name.
    pub fn edit_message(&self, record: &str, text: &str) -> bool {
        let Some(mut told) = self.told(record) else {
            return false;
        };
        let mut versions = told.truth.earlier.clone();
        versions.extend(told.truth.text.take());
        versions.push(text.to_owned());
        edit(&mut told, &versions);
        self.write().push(ZoneKind::Message, record, Some(told));
        true
    }

    /// Deletes a message for good. False where there is none of that name.
    pub fn delete_message(&self, record: &str) -> bool {
        let is_there = self.told(record).is_some();
        if is_there {
            self.write().push(ZoneKind::Message, record, None);
        }
        is_there
    }

    /// Moves a message to Recently Deleted. Returns the name of its record there.
    pub fn discard_message(&self, record: &str) -> Option<String> {
        let mut told = self.told(record)?;
        let names = Names::new(self.story.seed, 100);
        let name = names.name(self.story.names.number(record)?);
        told.draft.kind = RECOVERABLE;
        told.truth.zone = ZoneKind::Recoverable;
        told.truth.record.clone_from(&name);
        let mut live = self.write();
        live.push(ZoneKind::Recoverable, &name, Some(told));
        live.push(ZoneKind::Message, record, None);
        Some(name)
    }

    /// Moves a message back from Recently Deleted, given its record's name in the message zone. False where it is not there.
    pub fn restore_message(&self, record: &str) -> bool {
        let Some(number) = self.story.names.number(record) else {
            return false;
        };
        let name = Names::new(self.story.seed, 100).name(number);
        let mut live = self.write();
        let held = live
            .latest(ZoneKind::Recoverable, &name)
            .and_then(|at| live.step(ZoneKind::Recoverable, at));
        let Some(Step::Live(change)) = held else {
            return false;
        };
        let Some(mut told) = change.told.clone() else {
            return false;
        };
        told.draft.kind = crate::demo::story::MESSAGE;
        told.truth.zone = ZoneKind::Message;
        record.clone_into(&mut told.truth.record);
        live.push(ZoneKind::Message, record, Some(told));
        live.push(ZoneKind::Recoverable, &name, None);
        true
    }

    /// A message as it is now.
    fn told(&self, record: &str) -> Option<Told> {
        let live = self.read();
        let step = self.current(&live, ZoneKind::Message, record)?;
        self.told_by(&step)
    }
}
