//! Merging: many small blocks become one, so that a query reads few.

use std::ops::Bound;
use std::ops::RangeInclusive;

use redb::ReadableTable;
use redb::Table;

use crate::base::limits::SEARCH_BLOCK_MESSAGES;
use crate::base::limits::SEARCH_MERGE_BLOCKS;
use crate::store::search::Block;
use crate::store::search::IndexBlock;
use crate::store::search::SearchError;
use crate::store::search::TermKey;
use crate::store::search::postings::Postings;
use crate::store::search::read_blocks;

/// Which blocks to merge next, by number, first and last; `None` when none need it.
///
/// `blocks` are all there are, oldest first. Chosen are [`SEARCH_MERGE_BLOCKS`] neighbors of about one size, the
/// smallest first, as far as the result stays within [`SEARCH_BLOCK_MESSAGES`]: each message is rewritten once per
/// power of [`SEARCH_MERGE_BLOCKS`], and a merge is never more work than a block of an import.
pub fn merge_candidates(blocks: &[Block]) -> Option<RangeInclusive<u32>> {
    let tiers: Vec<u32> = blocks.iter().map(tier).collect();
    let largest = *tiers.iter().max()?;
    let width = usize::try_from(SEARCH_MERGE_BLOCKS).ok()?;
    let limit = u64::try_from(SEARCH_BLOCK_MESSAGES).ok()?;
    (0..=largest).find_map(|tier| {
        let mut windows = blocks.windows(width).zip(tiers.windows(width));
        windows.find_map(|(blocks, tiers)| {
            let messages: u64 = blocks.iter().map(|block| block.messages).sum();
            let fits = messages <= limit && tiers.iter().all(|&other| other <= tier);
            fits.then(|| Some(blocks.first()?.number..=blocks.last()?.number))?
        })
    })
}

/// The power of [`SEARCH_MERGE_BLOCKS`] that a block has reached.
fn tier(block: &Block) -> u32 {
    block.messages.max(1).ilog(SEARCH_MERGE_BLOCKS.into())
}

/// Makes one block of all whose numbers lie in `range`, under the highest of them. The caller commits.
///
/// # Errors
/// [`SearchError`] when the store cannot be read or written, or a row is damaged; the transaction must not be
/// committed then.
pub fn merge(
    terms: &mut Table<'_, TermKey, &'static [u8]>,
    blocks: &mut Table<'_, u32, &'static [u8]>,
    range: RangeInclusive<u32>,
) -> Result<(), SearchError> {
    let mut parts = read_blocks(blocks)?;
    parts.retain(|block| range.contains(&block.number));
    let (Some(oldest), Some(newest)) = (parts.first(), parts.last()) else {
        return Ok(());
    };
    let mut merged = IndexBlock::new();
    for block in &parts {
        merged.add_block(block);
        for row in terms.range((block.number, "")..)? {
            let (key, ids) = row?;
            let (number, term) = key.value();
            if number != block.number {
                break;
            }
            merged
                .add_list(term, Postings::new(ids.value()))
                .map_err(|source| SearchError::Damaged {
                    block: number,
                    source,
                })?;
        }
    }
    let end = match newest.number.checked_add(1) {
        Some(next) => Bound::Excluded((next, "")),
        None => Bound::Unbounded,
    };
    terms.retain_in((Bound::Included((oldest.number, "")), end), |_, _| false)?;
    blocks.retain_in(oldest.number..=newest.number, |_, _| false)?;
    merged.write_as(newest.number, terms, blocks)
}
