//! The owner and the people of the address book, from what a Messages database says.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;

use crate::base::ids::Handle;
use crate::model::change::Owner;
use crate::model::contact::Contact;
use crate::model::handle::OwnHandles;
use crate::model::handle::detect_region;
use crate::model::handle::normalise;
use crate::model::record::MessageColumn;
use crate::model::record::Row;
use crate::model::region::Region;
use crate::source::chatdb::CardRow;
use crate::source::chatdb::Directory as Source;

/// The owner's addresses and region as they become known (D10): from the archive, the chats, the address book's own
/// card, and message by message.
pub(super) struct Ownership {
    written: BTreeMap<String, u64>,
    /// The addresses known so far.
    pub(super) own: OwnHandles,
    /// As configured, else by the owner's numbers, else by the countries of the others.
    pub(super) region: Region,
}

impl Ownership {
    /// What is known before the first message is read.
    pub(super) fn new(
        held: &[Handle],
        source: &Source,
        cards: &[CardRow],
        region: Option<Region>,
    ) -> Self {
        let mut countries: BTreeMap<&str, u64> = BTreeMap::new();
        for country in source
            .handles
            .iter()
            .filter_map(|handle| handle.country.as_deref())
        {
            *countries.entry(country).or_default() += 1;
        }
        let countries: Vec<(&str, u64)> = countries.into_iter().collect();
        let region = region.unwrap_or_else(|| detect_region(&source.accounts, &countries));
        let owner_cards = cards.iter().filter(|card| card.is_owner);
        let others = owner_cards
            .flat_map(|card| card.phones.iter().chain(&card.emails))
            .cloned();
        let others = others
            .chain(held.iter().map(ToString::to_string))
            .map(|address| (address, 0));
        let written: BTreeMap<String, u64> =
            others.chain(source.accounts.iter().cloned()).collect();
        Self {
            own: own_handles(&written, region),
            written,
            region,
        }
    }

    /// What is known without a Messages database: the addresses that the archive and the session name, and the region of
    /// the archive.
    pub(super) fn of_session(
        held: &[Handle],
        held_region: Option<Region>,
        addresses: &[String],
        region: Option<Region>,
    ) -> Self {
        let counted: Vec<(String, u64)> = addresses.iter().map(|it| (it.clone(), 1)).collect();
        let none: [(&str, u64); 0] = [];
        let region = region
            .or(held_region)
            .unwrap_or_else(|| detect_region(&counted, &none));
        let held = held.iter().map(|handle| (handle.to_string(), 0));
        let written: BTreeMap<String, u64> = held.chain(counted).collect();
        Self {
            own: own_handles(&written, region),
            written,
            region,
        }
    }

    /// Adds addresses that messages name, and says whether one of them is new.
    pub(super) fn add(&mut self, addresses: BTreeSet<String>) -> bool {
        let before = self.own.iter().count();
        for address in addresses {
            self.written.entry(address).or_default();
        }
        self.own = own_handles(&self.written, self.region);
        self.own.iter().count() > before
    }

    /// The owner as the store keeps them.
    pub(super) fn owner(&self) -> Owner {
        Owner {
            handles: self.own.iter().cloned().collect(),
            region: self.region.country().to_owned(),
        }
    }
}

fn own_handles(written: &BTreeMap<String, u64>, region: Region) -> OwnHandles {
    OwnHandles::new(
        written.iter().map(|(address, chats)| (address, *chats)),
        region,
    )
}

/// The own addresses that a row names: of the login, and of an own message the one it was sent from.
pub(super) fn own_addresses(row: &Row, addresses: &mut BTreeSet<String>) {
    let from = row
        .text(MessageColumn::DestinationCallerId)
        .filter(|_| row.integer(MessageColumn::IsFromMe) != 0);
    for address in row.text(MessageColumn::Account).into_iter().chain(from) {
        if !addresses.contains(address) {
            addresses.insert(address.to_owned());
        }
    }
}

/// Cards as contacts: unified cards are one, addresses in normal form.
pub(super) fn contacts(cards: Vec<CardRow>, region: Region) -> Vec<Contact> {
    let mut contacts: Vec<Contact> = Vec::with_capacity(cards.len());
    let mut places: HashMap<String, usize> = HashMap::with_capacity(cards.len());
    for card in cards {
        let addresses = card.phones.iter().chain(&card.emails);
        let handles: Vec<_> = addresses
            .filter_map(|address| normalise(address, region))
            .collect();
        let name = name(&card);
        let id = card.link.unwrap_or(card.id);
        if let Some(contact) = places.get(&id).and_then(|place| contacts.get_mut(*place)) {
            contact.handles.extend(handles);
            contact.is_owner |= card.is_owner;
            if contact.name.is_empty() {
                contact.name = name;
            }
        } else {
            places.insert(id.clone(), contacts.len());
            contacts.push(Contact {
                id,
                name,
                handles,
                is_owner: card.is_owner,
            });
        }
    }
    for contact in &mut contacts {
        let mut seen = BTreeSet::new();
        contact.handles.retain(|handle| seen.insert(handle.clone()));
    }
    contacts
}

/// First and last name, else the nickname, else the organization.
fn name(card: &CardRow) -> String {
    let parts = [&card.first, &card.middle, &card.last];
    let full: Vec<&str> = parts
        .into_iter()
        .flatten()
        .map(|part| part.trim())
        .filter(|part| !part.is_empty())
        .collect();
    if !full.is_empty() {
        return full.join(" ");
    }
    let other = [&card.nickname, &card.organization].into_iter().flatten();
    other
        .map(|name| name.trim())
        .find(|name| !name.is_empty())
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::contacts;
    use crate::base::ids::Handle;
    use crate::model::contact::Contact;
    use crate::model::region::Region;
    use crate::source::chatdb::CardRow;

    fn card(id: &str, link: Option<&str>, first: Option<&str>, email: &str) -> CardRow {
        CardRow {
            id: id.to_owned(),
            link: link.map(str::to_owned),
            first: first.map(str::to_owned),
            emails: vec![email.to_owned()],
            ..CardRow::default()
        }
    }

    fn contact(id: &str, name: &str, emails: &[&str]) -> Contact {
        let handles = emails.iter().map(|mail| format!("mailto:{mail}"));
        Contact {
            id: id.to_owned(),
            name: name.to_owned(),
            handles: handles.map(Handle::from_normal).collect(),
            is_owner: false,
        }
    }

    #[test]
    fn unified_cards_are_one_contact_where_the_first_of_them_stands() {
        let cards = vec![
            card("1", Some("L"), None, "a@example.org"),
            card("2", None, Some("Bea"), "b@example.org"),
            card("3", Some("L"), Some("Ada"), "c@example.org"),
            card("4", Some("L"), Some("Ida"), "a@example.org"),
        ];

        let expected = [
            contact("L", "Ada", &["a@example.org", "c@example.org"]),
            contact("2", "Bea", &["b@example.org"]),
        ];
        assert_eq!(contacts(cards, Region::default()), expected);
    }

    #[test]
    fn a_company_s_address_book_takes_no_time() {
        // Each card compared with all before it: that would be twenty thousand million comparisons.
        let card = |number: u32| card(&number.to_string(), None, Some("Ada"), "a@example.org");
        let cards = (0..200_000).map(card).collect();

        assert_eq!(contacts(cards, Region::default()).len(), 200_000);
    }
}
