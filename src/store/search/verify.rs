//! Holds the search index against the messages.

use std::collections::BTreeMap;

use redb::ReadableTable;

use crate::store::error::StoreError;
use crate::store::search::Block;
use crate::store::search::decode_postings;
use crate::store::verify::Verification;

impl Verification<'_> {
    /// Blocks have the lists that they say, lists lead to messages, and every message that a search must find is in one.
    /// Which terms a message has is not worked out again. After the messages.
    pub(in crate::store) fn search(&mut self) -> Result<(), StoreError> {
        let failed = |error| StoreError::from_redb("reading", error);
        let tables = &self.snapshot.tables;
        let mut blocks = BTreeMap::new();
        for entry in tables.search_blocks()?.iter().map_err(failed)? {
            let (number, bytes) = entry.map_err(failed)?;
            let number = number.value();
            match Block::decode(number, bytes.value()) {
                Ok(block) => {
                    blocks.insert(number, (block, 0_u64));
                }
                Err(error) => self.find("search_blocks", number, error.to_string()),
            }
        }
        for entry in tables.search_terms()?.iter().map_err(failed)? {
            let (key, bytes) = entry.map_err(failed)?;
            let number = key.value().0;
            let rows = decode_postings(bytes.value()).unwrap_or_else(|error| {
                self.find("search_terms", number, error.to_string());
                Vec::new()
            });
            if !self.mark(&rows) {
                self.find("search_terms", number, "leads to a message that is missing");
            }
            let Some((block, postings)) = blocks.get_mut(&number) else {
                self.find("search_blocks", number, "missing for a term");
                continue;
            };
            *postings += rows.len() as u64;
            let ends = [rows.first(), rows.last()].into_iter().flatten();
            if !ends
                .copied()
                .all(|row| (block.first..=block.last).contains(&row))
            {
                self.find("search_terms", number, "has rows that its block has not");
            }
            if self.has_enough() {
                return Ok(());
            }
        }
        for (number, (block, postings)) in blocks {
            if block.postings != postings {
                let what = "its lists do not have as many rows as it says";
                self.find("search_blocks", number, what);
            }
        }
        for message in std::mem::take(&mut self.indexed) {
            if message.is_due && !self.has_enough() {
                self.find("search_terms", message.row, "no list leads to this message");
            }
        }
        Ok(())
    }

    /// Notes that a list leads to these rows, which rise. Whether all of them are messages.
    fn mark(&mut self, rows: &[u64]) -> bool {
        let mut rest = self.indexed.as_mut_slice();
        let mut are_there = true;
        for row in rows {
            let found = rest.binary_search_by_key(row, |message| message.row);
            are_there &= found.is_ok();
            let (Ok(at) | Err(at)) = found;
            let Some((_, from)) = rest.split_at_mut_checked(at) else {
                break;
            };
            if found.is_ok()
                && let Some(message) = from.first_mut()
            {
                message.is_due = false;
            }
            rest = from;
        }
        are_there
    }
}
