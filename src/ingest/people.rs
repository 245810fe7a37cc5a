//! The owner and the people of the address book, from what a Messages database says.

use std::collections::BTreeMap;

use crate::model::contact::Contact;
use crate::model::handle::OwnHandles;
use crate::model::handle::detect_region;
use crate::model::handle::normalise;
use crate::model::region::Region;
use crate::source::chatdb::CardRow;
use crate::source::chatdb::Directory as Source;

/// The region and the own addresses (D10): as configured, else by the owner's numbers, else by the countries of the
/// others.
pub(super) fn owner(
    source: &Source,
    cards: &[CardRow],
    region: Option<Region>,
) -> (OwnHandles, Region) {
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
    let addresses = owner_cards.flat_map(|card| card.phones.iter().chain(&card.emails));
    let accounts = source
        .accounts
        .iter()
        .map(|(address, rows)| (address.as_str(), *rows));
    let own = accounts.chain(addresses.map(|address| (address.as_str(), 0)));
    (OwnHandles::new(own, region), region)
}

/// Cards as contacts: unified cards are one, addresses in normal form.
pub(super) fn contacts(cards: Vec<CardRow>, region: Region) -> Vec<Contact> {
    let mut contacts: Vec<Contact> = Vec::new();
    for card in cards {
        let addresses = card.phones.iter().chain(&card.emails);
        let handles: Vec<_> = addresses
            .filter_map(|address| normalise(address, region))
            .collect();
        let name = name(&card);
        let id = card.link.unwrap_or(card.id);
        match contacts.iter_mut().find(|contact| contact.id == id) {
            Some(contact) => {
                contact.handles.extend(handles);
                contact.is_owner |= card.is_owner;
                if contact.name.is_empty() {
                    contact.name = name;
                }
            }
            None => contacts.push(Contact {
                id,
                name,
                handles,
                is_owner: card.is_owner,
            }),
        }
    }
    for contact in &mut contacts {
        let mut seen = Vec::new();
        contact.handles.retain(|handle| {
            !seen.contains(handle) && {
                seen.push(handle.clone());
                true
            }
        });
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
