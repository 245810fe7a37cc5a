//! The guard against a page that ends the program: how often a zone was begun at one position, and neither moved nor ended.
//!
//! A begin is noted before anything of the zone is fetched, and the end of the zone removes the note. So a note that is
//! found says that the program died in between: by a panic, without memory, or because somebody pulled the plug.
//!
//! | note | the zone is begun | next | footing |
//! |---|---|---|---|
//! | none | | 1 begin | usual |
//! | of another position, or an old one | | 1 begin | as the note says |
//! | n begins | at the same position | n + 1 begins | as the note says |
//! | as many as may be, usual | at the same position | 1 begin, page by page | page by page |
//! | as many as may be, page by page | at the same position | 1 begin, page by page | set aside |
//!
//! Page by page each page is committed before the next is fetched: then the page behind the stored position is the one.
//!
//! Source: SC-22, SC-23a.

use sha2::Digest;
use sha2::Sha256;

use crate::base::limits::CLOUD_DEATHS;
use crate::base::limits::CLOUD_DEATHS_WITHIN;
use crate::model::record::CloudZone;
use crate::store::error::StoreError;
use crate::store::snapshot::Snapshot;
use crate::store::transaction::Transaction;
use crate::store::transaction::find;
use crate::store::transaction::put;
use crate::store::value::Failure;
use crate::store::value::FailureKind;
use crate::store::value::ZoneState;

/// How a zone is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Footing {
    /// Many pages in one commit.
    #[default]
    Usual,
    /// Each page is committed before the next is fetched.
    PageByPage,
    /// So too, and the next page is kept without a look into its records.
    SetAside,
}

impl Transaction<'_> {
    /// Notes that a zone is begun where it stands, and says how to read it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn begin_zone(&mut self, zone: CloudZone) -> Result<Footing, StoreError> {
        let key = key(zone);
        let place = place(&self.zone_state(zone)?);
        let before: Option<Failure> = find(&self.tables.failures, "failures", key)?;
        let is_careful = before.as_ref().is_some_and(|note| note.given_up);
        let same = before.filter(|note| {
            note.reason == place && self.now <= note.first.plus(CLOUD_DEATHS_WITHIN)
        });
        let deaths = same.as_ref().map_or(0, |note| note.attempts);
        let footing = match (deaths >= CLOUD_DEATHS, is_careful) {
            (true, true) => Footing::SetAside,
            (true, false) | (false, true) => Footing::PageByPage,
            (false, false) => Footing::Usual,
        };
        let counted = same.filter(|note| note.attempts < CLOUD_DEATHS);
        let note = Failure {
            attempts: counted.as_ref().map_or(0, |note| note.attempts) + 1,
            first: counted.map_or(self.now, |note| note.first),
            last: self.now,
            reason: place,
            given_up: footing != Footing::Usual,
        };
        put(
            &mut self.tables.failures,
            "failures",
            key,
            &note,
            &mut Vec::new(),
        )?;
        Ok(footing)
    }

    /// Removes the note of a zone: it ended, or a run over it did, and nobody died.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn end_zone(&mut self, zone: CloudZone) -> Result<(), StoreError> {
        let removed = self.tables.failures.remove(key(zone));
        removed
            .map(drop)
            .map_err(|error| StoreError::from_redb("writing to", error))
    }
}

impl Snapshot {
    /// Whether a zone is read page by page because the program died while it was read.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Value`].
    pub fn is_guarded(&self, zone: CloudZone) -> Result<bool, StoreError> {
        let note: Option<Failure> = find(self.tables.failures()?, "failures", key(zone))?;
        Ok(note.is_some_and(|note| note.given_up))
    }
}

const fn key(zone: CloudZone) -> (u8, u64) {
    (FailureKind::Zone.number(), zone.number() as u64)
}

/// Names a position without telling it.
fn place(state: &ZoneState) -> String {
    let token = state.token.as_ref().map_or(&[][..], |token| &token.0);
    let digest = Sha256::digest(token);
    let digest = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
    format!("begun at {}", digest.collect::<String>())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicI64;
    use std::sync::atomic::Ordering;

    use redb::backends::InMemoryBackend;

    use super::Footing;
    use super::Footing::PageByPage;
    use super::Footing::SetAside;
    use super::Footing::Usual;
    use crate::base::ids::ChangeToken;
    use crate::base::limits::CLOUD_DEATHS_WITHIN;
    use crate::base::time::AppleTime;
    use crate::base::time::Clock;
    use crate::model::record::CloudZone;
    use crate::model::record::SourceKind;
    use crate::store::Page;
    use crate::store::Store;
    use crate::store::StoreError;
    use crate::store::cloud::CloudPage;
    use crate::store::cloud::ZoneStep;
    use crate::store::value::Ended;

    const ZONE: CloudZone = CloudZone::Messages;

    #[derive(Default)]
    struct Moved(AtomicI64);

    impl Clock for Moved {
        fn now(&self) -> AppleTime {
            AppleTime::from_nanos(self.0.load(Ordering::Relaxed))
        }
    }

    fn store() -> (Store, Arc<Moved>) {
        let clock = Arc::new(Moved::default());
        let store = Store::open_backend(InMemoryBackend::new(), Arc::clone(&clock) as _).unwrap();
        (store, clock)
    }

    fn begin(store: &Store) -> Footing {
        let mut footing = Footing::default();
        store
            .write::<StoreError>(|tx| {
                footing = tx.begin_zone(ZONE)?;
                Ok(())
            })
            .unwrap();
        footing
    }

    fn step(store: &Store, step: ZoneStep) {
        let page = Page {
            cloud: Some(CloudPage {
                zone: ZONE,
                items: Vec::new(),
                step,
            }),
            ..Page::default()
        };
        store
            .write::<StoreError>(|tx| tx.apply(page, SourceKind::CloudKit, 1))
            .unwrap();
    }

    #[test]
    fn three_deaths_at_one_place_make_it_careful_and_three_more_set_its_page_aside() {
        let (store, _) = store();

        let footings: Vec<Footing> = (0..8).map(|_| begin(&store)).collect();

        let expected = [
            Usual, Usual, Usual, PageByPage, PageByPage, PageByPage, SetAside, PageByPage,
        ];
        assert_eq!(footings, expected);
        assert!(store.snapshot().unwrap().is_guarded(ZONE).unwrap());
    }

    #[test]
    fn a_zone_that_ends_or_moves_is_begun_anew() {
        let (store, _) = store();
        let ended = [begin(&store), begin(&store), begin(&store)];
        step(&store, ZoneStep::End(Ended::Cancelled));
        let after = [begin(&store), begin(&store), begin(&store), begin(&store)];
        let token = ChangeToken::from_bytes(b"further").unwrap();
        step(&store, ZoneStep::Reset);
        store
            .write::<StoreError>(|tx| {
                let mut state = tx.zone_state(ZONE)?;
                state.token = Some(crate::store::value::Opaque(token.as_bytes().to_vec()));
                crate::store::transaction::put(
                    &mut tx.tables.zones,
                    "zones",
                    ZONE.number(),
                    &state,
                    &mut Vec::new(),
                )
            })
            .unwrap();
        let moved: Vec<Footing> = (0..4).map(|_| begin(&store)).collect();

        assert_eq!(ended, [Usual; 3]);
        assert_eq!(after, [Usual, Usual, Usual, PageByPage]);
        assert_eq!(moved, [PageByPage, PageByPage, PageByPage, SetAside]);
    }

    #[test]
    fn deaths_long_ago_do_not_count() {
        let (store, clock) = store();
        let before = [begin(&store), begin(&store), begin(&store)];
        let later = AppleTime::default().plus(CLOUD_DEATHS_WITHIN).nanos() + 1;
        clock.0.store(later, Ordering::Relaxed);

        let after = [begin(&store), begin(&store), begin(&store)];

        assert_eq!((before, after), ([Usual; 3], [Usual; 3]));
    }
}
