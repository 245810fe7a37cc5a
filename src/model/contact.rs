//! People as the owner's address book knows them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;

use crate::base::ids::Handle;
use crate::base::limits::HANDLES_PER_CONTACT;
use crate::model::handle::OwnHandles;
use crate::model::handle::is_mail;

/// A card of the address book.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Contact {
    /// The card's identifier (`ZUNIQUEID`, else one that no other book has); unified cards share one.
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

/// Which handles are one person: each handle of a person who has several, and the one that stands for all of them.
///
/// A person is a card with a name; unified cards are one. Left out are short codes and senders' names, own handles, the
/// owner's card, cards with more handles than [`HANDLES_PER_CONTACT`], and handles that stand on several cards: a
/// family's shared number must not make one person of the family. A number stands for a person before an address, then
/// the smaller one.
///
/// Source: ID-30, ID-31.
pub fn people(contacts: &[Contact], own: &OwnHandles) -> BTreeMap<Handle, Handle> {
    let mut cards: BTreeMap<&str, Card<'_>> = BTreeMap::new();
    for contact in contacts {
        let card = cards.entry(&contact.id).or_default();
        card.is_person |= !contact.name.trim().is_empty();
        card.is_owner |= contact.is_owner;
        card.handles.extend(&contact.handles);
    }
    let mut holders: BTreeMap<&Handle, usize> = BTreeMap::new();
    for handle in cards.values().flat_map(|card| &card.handles) {
        *holders.entry(handle).or_default() += 1;
    }
    let mut people = BTreeMap::new();
    for card in cards.values() {
        if !card.is_person || card.is_owner || card.handles.len() > HANDLES_PER_CONTACT {
            continue;
        }
        let is_theirs = |handle: &&&Handle| {
            handle.is_personal() && !own.contains(handle) && holders.get(**handle) == Some(&1)
        };
        let theirs: Vec<&Handle> = card.handles.iter().filter(is_theirs).copied().collect();
        let canonical = theirs
            .iter()
            .min_by_key(|handle| (is_mail(handle), **handle));
        if let Some(canonical) = canonical.filter(|_| theirs.len() > 1) {
            for handle in &theirs {
                people.insert((*handle).clone(), (*canonical).clone());
            }
        }
    }
    people
}

/// The cards of one id.
#[derive(Default)]
struct Card<'a> {
    is_person: bool,
    is_owner: bool,
    handles: BTreeSet<&'a Handle>,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::Contact;
    use super::people;
    use crate::base::ids::Handle;
    use crate::model::handle::OwnHandles;
    use crate::model::region::Region;

    fn handle(text: &str) -> Handle {
        Handle::from_normal(text.to_owned())
    }

    fn card(id: &str, name: &str, handles: &[&str]) -> Contact {
        Contact {
            id: id.to_owned(),
            name: name.to_owned(),
            handles: handles.iter().map(|text| handle(text)).collect(),
            is_owner: false,
        }
    }

    fn merged(contacts: &[Contact]) -> BTreeMap<Handle, Handle> {
        let own = OwnHandles::new([("+15550100000", 1)], Region::default());
        people(contacts, &own)
    }

    #[test]
    fn a_number_stands_for_a_person_before_an_address() {
        let cards = [card(
            "1",
            "Ada",
            &[
                "mailto:ada@example.org",
                "tel:+15550100002",
                "tel:+15550100001",
            ],
        )];

        let one = handle("tel:+15550100001");
        let expected = BTreeMap::from([
            (handle("mailto:ada@example.org"), one.clone()),
            (handle("tel:+15550100001"), one.clone()),
            (handle("tel:+15550100002"), one),
        ]);
        assert_eq!(merged(&cards), expected);
    }

    #[test]
    fn unified_cards_are_one_person() {
        let cards = [
            card("1", "", &["tel:+15550100001"]),
            card("1", "Ada", &["mailto:ada@example.org", "tel:+15550100001"]),
        ];

        assert_eq!(
            merged(&cards).get(&handle("mailto:ada@example.org")),
            Some(&handle("tel:+15550100001"))
        );
    }

    #[test]
    fn a_number_on_two_cards_merges_nobody() {
        let cards = [
            card("1", "Ada", &["tel:+15550100001", "mailto:ada@example.org"]),
            card("2", "Ben", &["tel:+15550100001", "mailto:ben@example.org"]),
        ];

        assert_eq!(merged(&cards), BTreeMap::new());
    }

    #[test]
    fn nameless_cards_short_codes_own_handles_and_long_cards_merge_nobody() {
        let many: Vec<String> = (0..9).map(|n| format!("tel:+1555010001{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let mut owner = card("5", "Me", &["tel:+15550100009", "mailto:me@example.org"]);
        owner.is_owner = true;
        let cards = [
            card("1", " ", &["tel:+15550100001", "mailto:a@example.org"]),
            card("2", "Bank", &["tel:+15550100002", "242733", "Bank"]),
            card("3", "Self", &["tel:+15550100000", "mailto:b@example.org"]),
            card("4", "School", &many),
            owner,
        ];

        assert_eq!(merged(&cards), BTreeMap::new());
    }
}
