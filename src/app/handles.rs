//! Every address that the archive has seen.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::app::AppError;
use crate::app::Archive;
use crate::app::people::region;
use crate::base::ids::Handle;
use crate::model::handle::normalise;

/// An address, in all the forms in which the sources write it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KnownHandle {
    /// The normal form.
    pub handle: String,
    /// The name in the address book.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// As the sources write it.
    pub written: Vec<String>,
    /// Services on which it was seen.
    pub services: Vec<String>,
    /// Whether it is the owner's.
    pub own: bool,
}

impl Archive {
    /// Every address, in order.
    ///
    /// # Errors
    ///
    /// When the archive cannot be read.
    pub fn handles(&self) -> Result<Vec<KnownHandle>, AppError> {
        let snapshot = self.store().snapshot()?;
        let people = snapshot.people()?;
        let region = region(&snapshot)?;
        let mut known: BTreeMap<Handle, KnownHandle> = BTreeMap::new();
        for row in snapshot.handles()? {
            let Some(handle) = normalise(&row.id, region) else {
                continue;
            };
            let entry = known.entry(handle).or_default();
            for (value, list) in [
                (row.id, &mut entry.written),
                (row.service, &mut entry.services),
            ] {
                if !list.contains(&value) {
                    list.push(value);
                }
            }
        }
        for handle in snapshot.own_handles()? {
            known.entry(handle).or_default().own = true;
        }
        let finish = |(handle, entry): (Handle, KnownHandle)| KnownHandle {
            name: people.name(&handle).map(str::to_owned),
            handle: handle.to_string(),
            ..entry
        };
        Ok(known.into_iter().map(finish).collect())
    }
}
