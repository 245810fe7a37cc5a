//! How much is held, what may be, and what makes room for what.

use std::collections::BTreeMap;
use std::collections::HashMap;

use tokio::time::Instant;

use crate::base::ids::RowId;
use crate::base::limits::ATTACHMENT_ASKED_KEPT;
use crate::ingest::assets::Keep;
use crate::ingest::assets::Options;
use crate::store::value::StoredBlob;

/// What is held, in the order in which the files arrived.
pub(super) struct Room {
    limit: Option<u64>,
    held_bytes: u64,
    coming_bytes: u64,
    blobs: BTreeMap<RowId, ([u8; 32], u64)>,
    /// Files that somebody asked for.
    asked: HashMap<RowId, Instant>,
}

impl Room {
    /// With what is held now.
    pub(super) fn new(options: &Options, blobs: Vec<([u8; 32], StoredBlob)>) -> Self {
        let mut room = Self {
            limit: (options.keep != Keep::All).then_some(options.limit_bytes),
            held_bytes: 0,
            coming_bytes: 0,
            blobs: BTreeMap::new(),
            asked: HashMap::new(),
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
    pub(super) fn excess(&mut self) -> Vec<[u8; 32]> {
        let mut gone = Vec::new();
        while self.limit.is_some_and(|limit| self.held_bytes > limit)
            && let Some((_, (sha256, bytes))) = self.blobs.pop_first()
        {
            self.held_bytes = self.held_bytes.saturating_sub(bytes);
            gone.push(sha256);
        }
        gone
    }

    /// Makes sure of room for a file. Answers what is to be removed for it; `None` when there is no room.
    ///
    /// Older files make room for newer ones. For what somebody asked for, any file does, and if none is left the limit
    /// gives way.
    pub(super) fn reserve(
        &mut self,
        row: RowId,
        size_bytes: u64,
        is_asked_for: bool,
    ) -> Option<Vec<[u8; 32]>> {
        let mut gone = Vec::new();
        if let Some(limit) = self.limit {
            let mut wanted = self.held_bytes + self.coming_bytes + size_bytes;
            for (held, (sha256, bytes)) in &self.blobs {
                if wanted <= limit || !(is_asked_for || *held < row) {
                    break;
                }
                let asked = self.asked.get(held);
                if asked.is_none_or(|asked| asked.elapsed() >= ATTACHMENT_ASKED_KEPT) {
                    wanted -= bytes;
                    gone.push((*held, *sha256));
                }
            }
            if wanted > limit && !is_asked_for {
                return None;
            }
        }
        if is_asked_for {
            self.asked.insert(row, Instant::now());
        }
        for (held, _) in &gone {
            let bytes = self.blobs.remove(held).map_or(0, |(_, bytes)| bytes);
            self.held_bytes = self.held_bytes.saturating_sub(bytes);
            self.asked.remove(held);
        }
        self.coming_bytes += size_bytes;
        Some(gone.into_iter().map(|(_, sha256)| sha256).collect())
    }

    /// A reserved file came, with so many bytes that were not held before, or did not.
    pub(super) fn settle(&mut self, row: RowId, reserved: u64, came: Option<([u8; 32], u64)>) {
        self.coming_bytes = self.coming_bytes.saturating_sub(reserved);
        if let Some((sha256, added)) = came
            && added > 0
        {
            self.held_bytes += added;
            self.blobs.insert(row, (sha256, added));
        }
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
        Room::new(&options, Vec::new())
    }

    fn take(room: &mut Room, row: u64, size: u64, is_asked_for: bool) -> Option<Vec<u8>> {
        let row = RowId(row);
        let gone = room.reserve(row, size, is_asked_for)?;
        let name = u8::try_from(row.0).unwrap();
        room.settle(row, size, Some(([name; 32], size)));
        Some(gone.into_iter().map(|sha256| sha256[0]).collect())
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
            Room::new(&options, held())
        };

        assert_eq!(with(Keep::Recent).excess(), [[1; 32], [2; 32]]);
        assert_eq!(with(Keep::None).excess(), [[1; 32], [2; 32]]);
        assert!(with(Keep::All).excess().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_nothing_goes() {
        let mut room = room(Keep::All);

        assert_eq!(take(&mut room, 1, 90, false), Some(vec![]));
        assert_eq!(take(&mut room, 2, 90, false), Some(vec![]));
    }
}
