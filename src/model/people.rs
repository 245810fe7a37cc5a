//! Who is called how: the address book by address, and the owner.

use std::collections::BTreeMap;

use crate::base::ids::Handle;
use crate::model::contact::Contact;
use crate::model::conversation::Conversation;
use crate::model::message::Author;

/// Members that the title of a nameless group lists (ID-19).
const TITLE_MEMBERS: usize = 4;

/// The people of the address book by their addresses, and the owner.
#[derive(Clone, Default)]
pub struct People {
    names: BTreeMap<Handle, String>,
    own: Vec<Handle>,
}

impl People {
    /// Everyone in the address book, and the owner's addresses. An address on two cards keeps the name of the first.
    pub fn new(contacts: Vec<Contact>, own: Vec<Handle>) -> Self {
        let mut names = BTreeMap::new();
        for contact in contacts {
            for handle in contact.handles {
                if !contact.name.is_empty() {
                    names.entry(handle).or_insert_with(|| contact.name.clone());
                }
            }
        }
        Self { names, own }
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

    /// The owner's addresses.
    pub fn own(&self) -> &[Handle] {
        &self.own
    }

    /// Whether an address is one of the owner's.
    pub fn is_own(&self, handle: &Handle) -> bool {
        self.own.contains(handle)
    }

    /// The owner's name, if the address book has it.
    pub fn owner_name(&self) -> Option<&str> {
        self.own.iter().find_map(|handle| self.name(handle))
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
