//! How much is held, what may be, and what makes room for what.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::mem;

use tokio::time::Instant;

use crate::base::ids::RowId;
use crate::base::limits::ATTACHMENT_ASKED_KEPT;
use crate::ingest::assets::Keep;
use crate::ingest::assets::Options;
use crate::store::value::StoredBlob;

/// What is held, in the order in which the files arrived.
pub(super) struct Room {
    limit: Option<u64>,
    /// Of whole files, and of parts.
    held_bytes: u64,
    coming_bytes: u64,
    blobs: BTreeMap<RowId, ([u8; 32], u64)>,
    /// Files of which a part came, and that are not coming now: they failed, or were abandoned.
    parts: BTreeMap<RowId, u64>,
    /// Files that somebody asked for.
    asked: HashMap<RowId, Instant>,
    /// Whether a file found no room.
    was_refused: bool,
    /// Whether a file took less than was reserved for it, after another had found no room.
    is_regained: bool,
}

/// What is to be removed. Parts go before whole files: they show nothing to anybody.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Gone {
    pub(super) parts: Vec<RowId>,
    pub(super) blobs: Vec<(RowId, [u8; 32])>,
}

impl Room {
    /// With what is held now, whole and in part.
    pub(super) fn new(
        options: &Options,
        blobs: Vec<([u8; 32], StoredBlob)>,
        parts: BTreeMap<RowId, u64>,
    ) -> Self {
        let mut room = Self {
            limit: (options.keep != Keep::All).then_some(options.limit_bytes),
            held_bytes: parts.values().sum(),
            coming_bytes: 0,
            blobs: BTreeMap::new(),
            parts,
            asked: HashMap::new(),
            was_refused: false,
            is_regained: false,
        };
        for (sha256, blob) in blobs {
            if let Some(last) = blob.files.iter().max() {
                room.blobs.insert(*last, (sha256, blob.size_bytes));
            }
            room.held_bytes += blob.size_bytes;
        }
        room
    }

    /// What is to be removed because more is held than may be: the limit was another when it came. The files that arrived
    /// first go first.
    pub(super) fn excess(&mut self) -> Gone {
        let mut gone = Gone::default();
        let Some(limit) = self.limit else {
            return gone;
        };
        while self.held_bytes > limit {
            let bytes = if let Some((row, bytes)) = self.parts.pop_first() {
                gone.parts.push(row);
                bytes
            } else if let Some((row, (sha256, bytes))) = self.blobs.pop_first() {
                gone.blobs.push((row, sha256));
                bytes
            } else {
                break;
            };
            self.held_bytes = self.held_bytes.saturating_sub(bytes);
        }
        gone
    }

    /// Whether there is room for a file that nobody asked for.
    pub(super) fn fits(&mut self, row: RowId, size_bytes: u64) -> bool {
        let fits = self.displaced(row, size_bytes, false).is_some();
        self.was_refused |= !fits;
        fits
    }

    /// Whether there is more room, since the last answer, than a file found that was refused: one that was coming did
    /// not come, or brought bytes that are held already.
    pub(super) fn take_regained(&mut self) -> bool {
        let is_regained = mem::take(&mut self.is_regained);
        self.was_refused &= !is_regained;
        is_regained
    }

    /// Makes sure of room for a file. Answers what is to be removed for it; `None` when there is no room.
    ///
    /// Older files make room for newer ones. For what somebody asked for, any file does, and if none is left the limit
    /// gives way. What is here of the file itself counts as part of it.
    pub(super) fn reserve(
        &mut self,
        row: RowId,
        size_bytes: u64,
        is_asked_for: bool,
    ) -> Option<Gone> {
        let Some(gone) = self.displaced(row, size_bytes, is_asked_for) else {
            self.was_refused = true;
            return None;
        };
        if is_asked_for {
            self.asked.insert(row, Instant::now());
        }
        for part in gone.parts.iter().chain([&row]) {
            let bytes = self.parts.remove(part).unwrap_or_default();
            self.held_bytes = self.held_bytes.saturating_sub(bytes);
        }
        for (held, _) in &gone.blobs {
            let bytes = self.blobs.remove(held).map_or(0, |(_, bytes)| bytes);
            self.held_bytes = self.held_bytes.saturating_sub(bytes);
            self.asked.remove(held);
        }
        self.coming_bytes += size_bytes;
        Some(gone)
    }

    /// What would have to go for a file.
    fn displaced(&self, row: RowId, size_bytes: u64, is_asked_for: bool) -> Option<Gone> {
        let mut gone = Gone::default();
        let Some(limit) = self.limit else {
            return Some(gone);
        };
        let own = self.parts.get(&row).copied().unwrap_or_default();
        let mut wanted = (self.held_bytes + self.coming_bytes + size_bytes).saturating_sub(own);
        let gives_way = |held: RowId| is_asked_for || held < row;
        for (held, bytes) in &self.parts {
            if wanted <= limit || !gives_way(*held) {
                break;
            }
            if *held != row {
                wanted -= bytes;
                gone.parts.push(*held);
            }
        }
        for (held, (sha256, bytes)) in &self.blobs {
            if wanted <= limit || !gives_way(*held) {
                break;
            }
            let asked = self.asked.get(held);
            if asked.is_none_or(|asked| asked.elapsed() >= ATTACHMENT_ASKED_KEPT) {
                wanted -= bytes;
                gone.blobs.push((*held, *sha256));
            }
        }
        (wanted <= limit || is_asked_for).then_some(gone)
    }

    /// A reserved file came, with so many bytes that were not held before.
    pub(super) fn came(&mut self, row: RowId, reserved: u64, (sha256, added): ([u8; 32], u64)) {
        self.release(reserved, added);
        if added > 0 {
            self.held_bytes += added;
            self.blobs.insert(row, (sha256, added));
        }
    }

    /// A reserved file did not come, but for a part of it.
    pub(super) fn failed(&mut self, row: RowId, reserved: u64, part_bytes: u64) {
        self.release(reserved, part_bytes);
        if part_bytes > 0 {
            self.held_bytes += part_bytes;
            self.parts.insert(row, part_bytes);
        }
    }

    /// What was reserved is not coming any more; so much of it is here.
    fn release(&mut self, reserved: u64, here: u64) {
        self.coming_bytes = self.coming_bytes.saturating_sub(reserved);
        self.is_regained |= self.was_refused && here < reserved;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::AppleTime;

    fn room(keep: Keep) -> Room {
        let options = Options {
            keep,
            limit_bytes: 100,
            ..Options::default()
        };
        Room::new(&options, Vec::new(), BTreeMap::new())
    }

    fn take(room: &mut Room, row: u64, size: u64, is_asked_for: bool) -> Option<Vec<u8>> {
        let row = RowId(row);
        let gone = room.reserve(row, size, is_asked_for)?;
        let name = u8::try_from(row.0).unwrap();
        room.came(row, size, ([name; 32], size));
        Some(
            gone.blobs
                .into_iter()
                .map(|(_, sha256)| sha256[0])
                .collect(),
        )
    }

    #[test]
    fn room_that_a_coming_file_did_not_need_is_offered_once_to_those_that_were_refused() {
        let mut room = room(Keep::Recent);
        room.reserve(RowId(9), 60, false).unwrap();
        room.reserve(RowId(8), 40, false).unwrap();
        room.came(RowId(8), 40, ([8; 32], 0));
        assert!(!room.take_regained(), "nobody was refused");
        room.reserve(RowId(7), 40, false).unwrap();
        assert!(!room.fits(RowId(6), 30));

        room.came(RowId(9), 60, ([9; 32], 60));
        assert!(!room.take_regained(), "all of it was needed");
        room.came(RowId(7), 40, ([9; 32], 0));

        assert!(room.take_regained() && room.fits(RowId(6), 30));
        assert!(!room.take_regained());
    }

    #[tokio::test(start_paused = true)]
    async fn newer_files_displace_older_ones_and_never_the_other_way_round() {
        let mut room = room(Keep::Recent);

        assert_eq!(take(&mut room, 5, 60, false), Some(vec![]));
        assert_eq!(take(&mut room, 4, 60, false), None);
        assert_eq!(take(&mut room, 3, 40, false), Some(vec![]));
        assert_eq!(take(&mut room, 6, 30, false), Some(vec![3]));
        assert_eq!(take(&mut room, 7, 101, false), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_somebody_asks_for_comes_and_stays_for_a_while() {
        let mut room = room(Keep::Recent);
        take(&mut room, 5, 100, false);

        assert_eq!(take(&mut room, 1, 80, true), Some(vec![5]));
        assert_eq!(take(&mut room, 9, 30, false), None);
        assert_eq!(take(&mut room, 2, 500, true), Some(vec![]));
        tokio::time::advance(ATTACHMENT_ASKED_KEPT).await;
        assert_eq!(take(&mut room, 9, 30, false), Some(vec![1, 2]));
    }

    #[test]
    fn a_smaller_limit_takes_the_oldest_first() {
        let blob = |row: u64| StoredBlob {
            size_bytes: 60,
            chunks: RowId(row + 100),
            files: vec![RowId(row)],
            stored: AppleTime::default(),
        };
        let held = || {
            [1_u8, 2, 3]
                .map(|row| ([row; 32], blob(row.into())))
                .to_vec()
        };
        let with = |keep| {
            let options = Options {
                keep,
                limit_bytes: 100,
                ..Options::default()
            };
            let parts = BTreeMap::from([(RowId(9), 10)]);
            Room::new(&options, held(), parts).excess()
        };
        let smaller = Gone {
            parts: vec![RowId(9)],
            blobs: vec![(RowId(1), [1; 32]), (RowId(2), [2; 32])],
        };

        assert_eq!(with(Keep::Recent), smaller);
        assert_eq!(with(Keep::None), smaller);
        assert_eq!(with(Keep::All), Gone::default());
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_in_part_counts_and_goes_before_whole_files() {
        let mut room = room(Keep::Recent);
        take(&mut room, 1, 30, false);
        take(&mut room, 2, 30, false);
        room.reserve(RowId(3), 40, false).unwrap();
        room.failed(RowId(3), 40, 35);

        assert!(!room.fits(RowId(0), 10));
        // Going on with it needs no more room than it has.
        assert_eq!(room.reserve(RowId(3), 40, false), Some(Gone::default()));
        room.failed(RowId(3), 40, 40);
        let gone = room.reserve(RowId(4), 50, false).unwrap();

        assert_eq!(gone.parts, [RowId(3)]);
        assert_eq!(gone.blobs, [(RowId(1), [1; 32])]);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_nothing_goes() {
        let mut room = room(Keep::All);

        assert_eq!(take(&mut room, 1, 90, false), Some(vec![]));
        assert_eq!(take(&mut room, 2, 90, false), Some(vec![]));
    }
}
