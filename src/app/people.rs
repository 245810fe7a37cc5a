//! Names for addresses, and titles for conversations without a name of their own.

use std::collections::BTreeMap;

use crate::app::AppError;
use crate::base::ids::Handle;
use crate::model::conversation::Conversation;
use crate::model::handle::normalise;
use crate::model::message::Author;
use crate::model::region::Region;
use crate::store::Snapshot;
use crate::store::StoreError;

/// Members that the title of a nameless group lists (ID-19).
const TITLE_MEMBERS: usize = 4;

/// The people of the address book by their addresses, and the owner.
#[derive(Clone, Default)]
pub struct People {
    names: BTreeMap<Handle, String>,
    own: Vec<Handle>,
}

impl People {
    /// Everyone in the address book. An address on two cards keeps the name of the first.
    ///
    /// # Errors
    ///
    /// When the archive cannot be read.
    pub fn read(snapshot: &Snapshot) -> Result<Self, StoreError> {
        let mut names = BTreeMap::new();
        for contact in snapshot.contacts()? {
            for handle in contact.handles {
                if !contact.name.is_empty() {
                    names.entry(handle).or_insert_with(|| contact.name.clone());
                }
            }
        }
        Ok(Self {
            names,
            own: snapshot.own_handles()?,
        })
    }

    /// The name of an address, if the address book has one.
    pub fn name(&self, handle: &Handle) -> Option<&str> {
        self.names.get(handle).map(String::as_str)
    }

    /// The name of an address, else the address as a person reads it.
    pub fn shown<'a>(&'a self, handle: &'a Handle) -> &'a str {
        self.name(handle).unwrap_or(handle.address())
    }

    /// How an author is called.
    pub fn author<'a>(&'a self, author: &'a Author) -> &'a str {
        match author {
            Author::Owner => "Me",
            Author::Other(handle) => self.shown(handle),
            Author::Unknown => "(unknown sender)",
        }
    }

    /// Whether an address is one of the owner's.
    pub fn is_own(&self, handle: &Handle) -> bool {
        self.own.contains(handle)
    }

    /// The addresses of whom a person means by a name, a part of one, or an address.
    ///
    /// # Errors
    ///
    /// [`AppError::Nobody`] when no name has it and no source ever named such an address.
    pub fn find(&self, snapshot: &Snapshot, wanted: &str) -> Result<Vec<Handle>, AppError> {
        let folded = wanted.trim().to_lowercase();
        let named = self
            .iter()
            .filter(|(_, name)| name.to_lowercase().contains(&folded));
        let mut found: Vec<Handle> = named.map(|(handle, _)| handle.clone()).collect();
        let region = region(snapshot)?;
        if let Some(address) = normalise(wanted, region)
            && !found.contains(&address)
        {
            let is_seen = |row: &str| normalise(row, region).is_some_and(|seen| seen == address);
            if self.is_own(&address) || snapshot.handles()?.iter().any(|row| is_seen(&row.id)) {
                found.push(address);
            }
        }
        if found.is_empty() {
            return Err(AppError::Nobody {
                wanted: wanted.to_owned(),
            });
        }
        Ok(found)
    }

    /// Every address with a name.
    pub fn iter(&self) -> impl Iterator<Item = (&Handle, &str)> {
        self.names
            .iter()
            .map(|(handle, name)| (handle, name.as_str()))
    }

    /// A conversation's title: its name, else its members (ID-19).
    pub fn title(&self, conversation: &Conversation) -> String {
        if let Some(name) = &conversation.name {
            return name.text.clone();
        }
        let members = &conversation.participants;
        if members.is_empty() || members.iter().all(|handle| self.is_own(handle)) {
            return "Me".to_owned();
        }
        let listed: Vec<&str> = members
            .iter()
            .take(TITLE_MEMBERS)
            .map(|handle| self.shown(handle))
            .collect();
        let listed = listed.join(", ");
        match members.len().saturating_sub(TITLE_MEMBERS) {
            0 => listed,
            more => format!("{listed} +{more} more"),
        }
    }
}

/// The country by which local numbers are read.
///
/// # Errors
///
/// When the archive cannot be read.
pub(crate) fn region(snapshot: &Snapshot) -> Result<Region, StoreError> {
    let country = snapshot.meta_text("region")?;
    Ok(country
        .and_then(|country| Region::parse(&country))
        .unwrap_or_default())
}
