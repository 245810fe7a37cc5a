//! Whom a person means, and the country of their numbers.

use crate::app::AppError;
use crate::base::ids::Handle;
use crate::model::handle::normalise;
use crate::model::people::People;
use crate::model::region::Region;
use crate::store::Snapshot;
use crate::store::StoreError;

/// The addresses of whom a person means by a name, a part of one, or an address.
///
/// # Errors
///
/// [`AppError::Nobody`] when no name has it and no source ever named such an address.
pub(crate) fn find(
    people: &People,
    snapshot: &Snapshot,
    wanted: &str,
) -> Result<Vec<Handle>, AppError> {
    let folded = wanted.trim().to_lowercase();
    let named = people
        .iter()
        .filter(|(_, name)| name.to_lowercase().contains(&folded));
    let mut found: Vec<Handle> = named.map(|(handle, _)| handle.clone()).collect();
    let region = region(snapshot)?;
    if let Some(address) = normalise(wanted, region)
        && !found.contains(&address)
    {
        let is_seen = |row: &str| normalise(row, region).is_some_and(|seen| seen == address);
        if people.is_own(&address) || snapshot.handles()?.iter().any(|row| is_seen(&row.id)) {
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
