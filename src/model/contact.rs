//! People as the owner's address book knows them.

use std::fmt;

use crate::base::ids::Handle;

/// A card of the address book.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Contact {
    /// The card's identifier (`ZUNIQUEID`); unified cards share one.
    pub id: String,
    /// The name to show; empty where the card has none.
    pub name: String,
    /// The card's addresses in normal form.
    pub handles: Vec<Handle>,
    /// Whether it is the owner's own card.
    pub is_owner: bool,
}

/// Names are private: logs show none.
impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contact")
            .field("handles", &self.handles.len())
            .finish_non_exhaustive()
    }
}
