//! The archive, open: where every question begins.

use std::path::Path;
use std::sync::Arc;

use crate::app::AppError;
use crate::app::people::People;
use crate::base::ids::RowId;
use crate::base::time::Clock;
use crate::base::time::SystemClock;
use crate::model::conversation::Alias;
use crate::model::handle::normalise;
use crate::model::region::Region;
use crate::store::Absent;
use crate::store::Finding;
use crate::store::Snapshot;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::value::Merge;

/// An open archive.
pub struct Archive {
    store: Store,
    clock: Arc<dyn Clock>,
}

impl Archive {
    /// Opens an archive that exists.
    ///
    /// # Errors
    ///
    /// Every [`StoreError`] that opening can meet, [`StoreError::Absent`] among them.
    pub fn open(path: &Path) -> Result<Self, AppError> {
        Self::with(path, Absent::Refuse)
    }

    /// Opens an archive, making it if there is none.
    ///
    /// # Errors
    ///
    /// Every [`StoreError`] that opening can meet but [`StoreError::Absent`].
    pub fn open_or_create(path: &Path) -> Result<Self, AppError> {
        Self::with(path, Absent::Create)
    }

    fn with(path: &Path, absent: Absent) -> Result<Self, AppError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        Ok(Self {
            store: Store::open(path, absent, Arc::clone(&clock))?,
            clock,
        })
    }

    /// An archive over a store that is open already.
    pub fn over(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// Reads every table and holds it against the others; tells `progress` how many messages of how many are done.
    ///
    /// # Errors
    ///
    /// When the file cannot be read to its end.
    pub fn verify(&self, progress: impl FnMut(u64, u64)) -> Result<Vec<Finding>, AppError> {
        Ok(self.store.snapshot()?.verify(progress)?)
    }

    /// Writes a consistent copy to a file that must not exist, and verifies it. Answers its size in bytes.
    ///
    /// # Errors
    ///
    /// When the copy cannot be written, or does not verify.
    pub fn backup(&self, to: &Path) -> Result<u64, AppError> {
        self.store.backup(to)?;
        let copy = Self::open(to)?;
        if let Some(finding) = copy.verify(|_, _| {})?.first() {
            let what = format!(
                "the copy: table {}, row {}: {}",
                finding.table, finding.row, finding.what
            );
            return Err(StoreError::Damaged { what }.into());
        }
        let size = std::fs::metadata(to).map_err(|source| StoreError::Io {
            attempted: "measuring",
            source,
        })?;
        Ok(size.len())
    }

    /// Shrinks the file to what it holds. Answers its size in bytes before and after.
    ///
    /// # Errors
    ///
    /// When somebody else uses the file, or the disk is full.
    pub fn compact(&mut self) -> Result<(u64, u64), AppError> {
        let size = |store: &Store| {
            let path = store.path().map(Path::to_owned).unwrap_or_default();
            std::fs::metadata(path)
                .map(|file| file.len())
                .map_err(|source| StoreError::Io {
                    attempted: "measuring",
                    source,
                })
        };
        let before = size(&self.store)?;
        self.store.compact()?;
        Ok((before, size(&self.store)?))
    }
}

/// The conversation that a person means: by key, alias, address, title or part of a title that only one has.
///
/// # Errors
///
/// [`AppError::NoConversation`], [`AppError::SeveralConversations`], and when the archive cannot be read.
pub(crate) fn find_conversation(
    snapshot: &Snapshot,
    people: &People,
    wanted: &str,
) -> Result<RowId, AppError> {
    let none = || AppError::NoConversation {
        wanted: wanted.to_owned(),
    };
    let wanted_alias = wanted.trim();
    let region = snapshot
        .meta_text("region")?
        .and_then(|country| Region::parse(&country))
        .unwrap_or_default();
    let as_handle = normalise(wanted_alias, region).map(|handle| format!("dm:{handle}"));
    let candidates = [
        Some(wanted_alias.to_owned()),
        Some(wanted_alias.to_lowercase()),
        as_handle,
    ];
    for alias in candidates.into_iter().flatten() {
        if let Some(row) = snapshot.resolve(&Alias::from_stored(alias))? {
            return Ok(row);
        }
    }
    if let Some(row) = snapshot.resolve(&Alias::chat(wanted_alias))? {
        return Ok(row);
    }
    let merges = snapshot.merges()?;
    let folded = wanted_alias.to_lowercase();
    let (mut exact, mut partial) = (Vec::new(), Vec::new());
    for (row, held) in snapshot.conversations()? {
        if held.united_into.is_some() || matches!(merges.get(&row), Some(Merge::Into(_))) {
            continue;
        }
        let title = people.title(&held.conversation).to_lowercase();
        if title == folded {
            exact.push((row, held.conversation.key));
        } else if title.contains(&folded) {
            partial.push((row, held.conversation.key));
        }
    }
    let found = if exact.is_empty() { partial } else { exact };
    match found.as_slice() {
        [] => Err(none()),
        [(row, _)] => Ok(*row),
        several => Err(AppError::SeveralConversations {
            wanted: wanted.to_owned(),
            among: several.iter().map(|(_, key)| key.to_string()).collect(),
        }),
    }
}

/// The conversations that are shown together with one: itself, and the other DMs of the same person (ID-30).
pub(crate) fn shown_with(snapshot: &Snapshot, row: RowId) -> Result<Vec<RowId>, StoreError> {
    let merges = snapshot.merges()?;
    let head = match merges.get(&row) {
        Some(Merge::Into(into)) => *into,
        Some(Merge::Apart) | None => row,
    };
    let mut rows = vec![head];
    rows.extend(
        merges
            .iter()
            .filter(|(_, merge)| **merge == Merge::Into(head))
            .map(|(row, _)| *row),
    );
    Ok(rows)
}
