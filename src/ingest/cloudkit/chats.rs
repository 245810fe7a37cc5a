//! Which chat records are one conversation: decided over all of them at once, whenever one comes.

use std::collections::BTreeMap;
use std::collections::HashSet;

use crate::base::time::AppleTime;
use crate::decode::cloudkit::Decoder;
use crate::ingest::people::Ownership;
use crate::model::change::CloudChange;
use crate::model::change::CloudChat;
use crate::model::conversation::Alias;
use crate::model::conversation::ConversationChange;
use crate::model::identity::conversations;
use crate::model::record::ChatColumn;
use crate::model::record::ChatRecord;
use crate::model::record::CloudZone;
use crate::store::Snapshot;
use crate::store::StoreError;

/// Records that are read from the store at once.
const BATCH: usize = 1_000;

/// All states of all chats.
#[derive(Default)]
pub(super) struct Chats {
    /// By name. What was deleted lately comes after what is there: its names count only where no other is known.
    states: BTreeMap<String, State>,
    /// What the store was told last.
    told: Vec<ConversationChange>,
}

struct State {
    is_recoverable: bool,
    modified: Option<AppleTime>,
    chat: ChatRecord,
    aliases: Vec<Alias>,
}

impl State {
    fn of(chat: CloudChat) -> Self {
        Self {
            is_recoverable: chat.is_recoverable,
            modified: chat.record.modified,
            chat: chat.chat,
            aliases: chat.aliases,
        }
    }
}

impl Chats {
    /// Those that are held.
    pub(super) fn held(snapshot: &Snapshot, decoder: &mut Decoder) -> Result<Self, StoreError> {
        let mut chats = Self::default();
        let mut after = None;
        loop {
            let records = snapshot.cloud_records_after(CloudZone::Chats, after.as_ref(), BATCH)?;
            let Some((_, last, _)) = records.last() else {
                return Ok(chats);
            };
            after = Some(last.clone());
            for (_, _, record) in records {
                if record.deleted.is_none()
                    && let CloudChange::Chat(chat) = decoder.decode(record.record)
                {
                    chats.add(*chat);
                }
            }
        }
    }

    /// Adds one, or what it is now.
    pub(super) fn add(&mut self, chat: CloudChat) {
        let name = chat.record.name.clone();
        self.states.insert(name, State::of(chat));
    }

    /// Forgets one that was deleted.
    pub(super) fn remove(&mut self, name: &str) {
        self.states.remove(name);
    }

    /// The conversations that are not what the store was told last.
    pub(super) fn changed(&mut self, people: &Ownership) -> Vec<ConversationChange> {
        let mut states: Vec<(&String, &State)> = self.states.iter().collect();
        states.sort_by(|(a_name, a), (b_name, b)| {
            let order = a.is_recoverable.cmp(&b.is_recoverable);
            order
                .then(b.modified.cmp(&a.modified))
                .then(a_name.cmp(b_name))
        });
        let rows: Vec<ChatRecord> = states.iter().map(|(_, state)| state.chat.clone()).collect();
        let mut found = conversations(&rows, &people.own, people.region);
        let mut taken: HashSet<Alias> = HashSet::new();
        for change in &found {
            taken.extend(change.aliases.iter().cloned());
        }
        for change in &mut found {
            let names = change
                .records
                .iter()
                .filter_map(|record| record.row.text(ChatColumn::CloudkitRecordId));
            for alias in names
                .filter_map(|name| self.states.get(name))
                .flat_map(|state| &state.aliases)
            {
                if taken.insert(alias.clone()) {
                    change.aliases.push(alias.clone());
                }
            }
        }
        let changed = found
            .iter()
            .filter(|change| !self.told.contains(change))
            .cloned()
            .collect();
        self.told = found;
        changed
    }
}
