//! Pages for the store: what was opened, with the conversations that follow from it and what is new about the owner.

use std::collections::BTreeSet;

use crate::apple::zone::ZoneKeys;
use crate::decode::chatdb::Directory;
use crate::decode::cloudkit::Decoder;
use crate::ingest::cloudkit::chats::Chats;
use crate::ingest::cloudkit::open::Opened;
use crate::ingest::cloudkit::open::Opener;
use crate::ingest::people::Ownership;
use crate::model::record::CloudZone;
use crate::model::region::Region;
use crate::store::Page;
use crate::store::Snapshot;
use crate::store::StoreError;
use crate::store::cloud::CloudContent;
use crate::store::cloud::CloudItem;
use crate::store::cloud::CloudPage;
use crate::store::cloud::ZoneStep;

/// Makes pages of what was opened. It knows every chat that is held, and those of pages that are not stored yet.
pub(super) struct Feed {
    people: Ownership,
    /// Whether an address of the owner became known that the store was not told of with its chats.
    is_owner_new: bool,
    chats: Chats,
}

impl Feed {
    /// With what the archive holds. `addresses` are those that the session names.
    pub(super) fn new(
        snapshot: &Snapshot,
        addresses: &[String],
        region: Option<Region>,
    ) -> Result<Self, StoreError> {
        let held_region = snapshot
            .meta_text("region")?
            .and_then(|country| Region::parse(&country));
        let held = snapshot.own_handles()?;
        let people = Ownership::of_session(&held, held_region, addresses, region);
        let directory = Directory {
            region: people.region,
        };
        let is_owner_new = people.own.iter().any(|handle| !held.contains(handle));
        Ok(Self {
            is_owner_new,
            people,
            chats: Chats::held(snapshot, &mut Decoder::new(directory))?,
        })
    }

    /// A page of a zone.
    pub(super) fn page(&mut self, zone: CloudZone, opened: Opened, step: ZoneStep) -> Page {
        let is_new = self.people.add(opened.own);
        let has_chats = !opened.chats.is_empty();
        for chat in opened.chats {
            self.chats.add(chat);
        }
        self.is_owner_new |= is_new;
        let conversations = if has_chats {
            self.chats.changed(&self.people)
        } else {
            Vec::new()
        };
        if zone == CloudZone::Chats {
            // Only now: what was deleted in the page in which it came was a conversation too.
            self.forget_deleted(&opened.items);
        }
        Page {
            owner: is_new.then(|| self.people.owner()),
            conversations,
            cloud: Some(CloudPage {
                zone,
                items: opened.items,
                step,
            }),
            unfinished: true,
            ..Page::default()
        }
    }

    /// Forgets states whose last change is that they were deleted.
    fn forget_deleted(&mut self, items: &[CloudItem]) {
        let mut gone = BTreeSet::new();
        for item in items {
            match item.content {
                CloudContent::Deleted => gone.insert(item.name.as_str()),
                CloudContent::Chat { .. } => gone.remove(item.name.as_str()),
                CloudContent::Message { .. }
                | CloudContent::File { .. }
                | CloudContent::Foreign(_)
                | CloudContent::MissingKey { .. }
                | CloudContent::Unreadable { .. } => false,
            };
        }
        for name in gone {
            self.chats.remove(name);
        }
    }

    /// What happens to a zone's position, without records.
    pub(super) fn step(zone: CloudZone, step: ZoneStep) -> Page {
        Page {
            cloud: Some(CloudPage {
                zone,
                items: Vec::new(),
                step,
            }),
            unfinished: true,
            ..Page::default()
        }
    }

    /// The first page of a pass: who the owner is, if nobody said so yet.
    pub(super) fn first(&self) -> Option<Page> {
        self.is_owner_new.then(|| Page {
            owner: Some(self.people.owner()),
            unfinished: true,
            ..Page::default()
        })
    }

    /// The conversations once more, if an address of the owner became known: who is the owner decides who the other members
    /// are.
    pub(super) fn last(&mut self) -> Option<Page> {
        self.is_owner_new.then(|| Page {
            conversations: self.chats.changed(&self.people),
            unfinished: true,
            ..Page::default()
        })
    }

    /// Opens changes of a zone.
    pub(super) fn opener(&self, zone: CloudZone, keys: Option<ZoneKeys>) -> Opener {
        let directory = Directory {
            region: self.people.region,
        };
        Opener::new(zone, keys, directory)
    }
}
