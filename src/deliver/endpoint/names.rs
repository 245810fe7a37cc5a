//! How people and groups were called over time (D22).
//!
//! What was served once keeps its content, names included: a room begins with the names of the time when it was
//! published, and an announcement bears those of the time when it came. The present names are other versions of that
//! state, sent as state and never in the timeline.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::base::ids::ChangeNumber;
use crate::base::ids::Handle;
use crate::base::ids::RowId;
use crate::matrix::ids::Account;
use crate::model::conversation::Conversation;
use crate::model::conversation::ConversationKind;
use crate::model::people::People;
use crate::store::Snapshot;
use crate::store::StoreError;

/// The present, as the time of a name.
pub(super) const NOW: ChangeNumber = ChangeNumber(u64::MAX);

/// Names with the change since which each holds, the first since ever. Empty for what was never called otherwise.
#[derive(Default)]
pub(super) struct Versions(Vec<(ChangeNumber, String)>);

impl Versions {
    /// Of the name of a group.
    pub(super) fn of_group(
        snapshot: &Snapshot,
        conversation: RowId,
        about: &Conversation,
    ) -> Result<Self, StoreError> {
        if about.kind == ConversationKind::Direct {
            return Ok(Self::default());
        }
        Ok(Self(snapshot.group_names(conversation)?))
    }

    /// The version at a time, and the name if there was one; `None` for what was never called otherwise.
    pub(super) fn of(&self, as_of: ChangeNumber) -> Option<(u32, Option<&str>)> {
        let count = self.0.partition_point(|(since, _)| *since <= as_of);
        let at = count.saturating_sub(1);
        let (_, name) = self.0.get(at)?;
        let name = Some(name.as_str()).filter(|name| !name.is_empty());
        Some((u32::try_from(at).unwrap_or(u32::MAX), name))
    }

    /// The times at which a version began.
    pub(super) fn times(&self) -> impl Iterator<Item = ChangeNumber> {
        self.0.iter().map(|(since, _)| *since)
    }

    fn changed_after(&self, change: ChangeNumber) -> bool {
        self.0.last().is_some_and(|(since, _)| *since > change)
    }
}

/// Everyone whose name changed while clients saw something.
#[derive(Default)]
pub(super) struct Names(BTreeMap<Handle, Versions>);

impl Names {
    /// As of a snapshot.
    pub(super) fn read(snapshot: &Snapshot) -> Result<Self, StoreError> {
        let names = snapshot.people_names()?.into_iter();
        let names = names.map(|(handle, versions)| (handle, Versions(versions)));
        Ok(Self(names.collect()))
    }

    /// Whether everybody is called as ever.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The times since which somebody is or was called as they are or were.
    pub(super) fn times(&self, handle: &Handle) -> impl Iterator<Item = ChangeNumber> {
        self.0.get(handle).into_iter().flat_map(Versions::times)
    }

    /// Who is called otherwise since a change.
    pub(super) fn changed_after(&self, change: ChangeNumber) -> BTreeSet<&Handle> {
        let names = self.0.iter();
        let changed = names.filter(|(_, versions)| versions.changed_after(change));
        changed.map(|(handle, _)| handle).collect()
    }
}

/// Who is called how at a time.
#[derive(Clone, Copy)]
pub(super) struct Called<'a> {
    /// The present names.
    pub(super) people: &'a People,
    pub(super) names: &'a Names,
    pub(super) as_of: ChangeNumber,
}

impl<'a> Called<'a> {
    /// The version of somebody's name, and the name if the address book had one.
    fn name(self, handle: &Handle) -> (u32, Option<&'a str>) {
        let versions = self.names.0.get(handle);
        let version = versions.and_then(|versions| versions.of(self.as_of));
        version.unwrap_or_else(|| (0, self.people.name(handle)))
    }

    /// The same, with the address in the place of a missing name.
    pub(super) fn shown<'h>(self, handle: &'h Handle) -> (u32, &'h str)
    where
        'a: 'h,
    {
        let (version, name) = self.name(handle);
        (version, name.unwrap_or(handle.address()))
    }

    /// The owner's: the name of the first of the own addresses that has one, else how they log in. Any of them may have
    /// changed.
    pub(super) fn owner(self, account: &'a Account) -> (u32, &'a str) {
        let own = self.people.own().iter().map(|handle| self.name(handle));
        let (versions, known) = own.fold((0, None), |(versions, known), (version, name)| {
            (versions + version, known.or(name))
        });
        (versions, known.unwrap_or(account.localpart()))
    }
}
