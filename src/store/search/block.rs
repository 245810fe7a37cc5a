//! Blocks: the index of the messages of one commit, or of several commits once merged.

use std::collections::HashMap;
use std::ops::Bound;

use redb::ReadableTable;
use redb::Table;

use crate::store::search::SearchError;
use crate::store::search::TermKey;
use crate::store::search::postings::DecodeError;
use crate::store::search::postings::Postings;
use crate::store::search::postings::Reader;
use crate::store::search::postings::push_varint;
use crate::store::search::term::MessageTerms;

/// What the first byte of a block's row says: the form of its rows and the rules by which its terms were made.
const VERSION: u8 = 1;

/// What is known of a block without reading its terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its number: newer blocks have higher ones.
    pub number: u32,
    /// The smallest id in it.
    pub first: u64,
    /// The largest id in it.
    pub last: u64,
    /// Messages that were added. One that was changed counts again.
    pub messages: u64,
    /// Ids in all its lists together.
    pub postings: u64,
}

impl Block {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        for number in [self.first, self.last, self.messages, self.postings] {
            push_varint(&mut bytes, number);
        }
        bytes
    }

    /// Decodes the row of a block.
    ///
    /// # Errors
    /// [`DecodeError`] when it is of another version, incomplete, too long, or its last id lies before the first.
    pub fn decode(number: u32, bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        match reader.byte()? {
            VERSION => {}
            version => return Err(DecodeError::Version { version }),
        }
        let first = reader.varint()?;
        let offset = reader.offset;
        let block = Self {
            number,
            first,
            last: reader.varint()?,
            messages: reader.varint()?,
            postings: reader.varint()?,
        };
        if block.last < block.first {
            return Err(DecodeError::NotRising { offset });
        }
        if !reader.is_at_end() {
            let offset = reader.offset;
            return Err(DecodeError::Trailing { offset });
        }
        Ok(block)
    }
}

/// Reads what is known of all blocks, oldest first.
///
/// # Errors
/// [`SearchError`] when the store cannot be read or a row is damaged.
pub fn read_blocks(
    blocks: &impl ReadableTable<u32, &'static [u8]>,
) -> Result<Vec<Block>, SearchError> {
    blocks
        .iter()?
        .map(|row| {
            let (number, bytes) = row?;
            let block = number.value();
            Block::decode(block, bytes.value())
                .map_err(|source| SearchError::Damaged { block, source })
        })
        .collect()
}

/// A block that is being built in memory.
#[derive(Default)]
pub struct IndexBlock {
    numbers: HashMap<Box<str>, usize, foldhash::fast::RandomState>,
    lists: Vec<List>,
    /// Ids that came after a larger one of the same list.
    late: Vec<(usize, u64)>,
    added: Added,
}

/// The ids of one term, in the form in which they are stored.
#[derive(Default)]
struct List {
    bytes: Vec<u8>,
    last: u64,
}

/// What was added to a block as a whole.
#[derive(Clone, Copy, Default)]
struct Added {
    first: Option<u64>,
    last: u64,
    messages: u64,
    postings: u64,
}

impl IndexBlock {
    /// An empty block.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a message. Ids may come in any order; rising is fastest. The same id may come again with other terms.
    pub fn add(&mut self, id: u64, terms: &MessageTerms) {
        if terms.is_empty() {
            return;
        }
        self.added.messages += 1;
        self.cover(id, id);
        for term in terms.iter() {
            let number = self.number(term);
            self.push(number, id);
        }
    }

    /// How many messages were added.
    pub fn len(&self) -> u64 {
        self.added.messages
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// Writes the block after the newest one. An empty block writes nothing.
    ///
    /// # Errors
    /// [`SearchError`] when the store cannot be read or written.
    pub fn write(
        self,
        terms: &mut Table<'_, TermKey, &'static [u8]>,
        blocks: &mut Table<'_, u32, &'static [u8]>,
    ) -> Result<(), SearchError> {
        let newest = blocks.last()?.map(|(number, _)| number.value());
        let number = match newest {
            Some(newest) => newest.checked_add(1).ok_or(SearchError::Full)?,
            None => 0,
        };
        self.write_as(number, terms, blocks)
    }

    /// Writes the block under a number of which the tables hold nothing.
    pub(super) fn write_as(
        mut self,
        number: u32,
        terms: &mut Table<'_, TermKey, &'static [u8]>,
        blocks: &mut Table<'_, u32, &'static [u8]>,
    ) -> Result<(), SearchError> {
        let Some(first) = self.added.first else {
            return Ok(());
        };
        self.insert_late();
        let mut order: Vec<(Box<str>, usize)> = self.numbers.into_iter().collect();
        order.sort_unstable();
        // One place in the tree: everything goes into neighboring pages, and they are filled.
        let mut cursor = terms.lower_bound_mut(Bound::Included((number, "")))?;
        for (term, list) in &order {
            if let Some(list) = self.lists.get(*list) {
                cursor.insert_before((number, term.as_ref()), list.bytes.as_slice())?;
            }
        }
        cursor.close()?;
        let block = Block {
            number,
            first,
            last: self.added.last,
            messages: self.added.messages,
            postings: self.added.postings,
        };
        blocks.insert(number, block.encode().as_slice())?;
        Ok(())
    }

    /// Takes up a stored list of another block.
    pub(super) fn add_list(
        &mut self,
        term: &str,
        postings: Postings<'_>,
    ) -> Result<(), DecodeError> {
        let number = self.number(term);
        for id in postings {
            self.push(number, id?);
        }
        Ok(())
    }

    /// Takes up what another block says of itself.
    pub(super) fn add_block(&mut self, block: &Block) {
        self.added.messages += block.messages;
        self.cover(block.first, block.last);
    }

    fn cover(&mut self, first: u64, last: u64) {
        let added = &mut self.added;
        added.first = Some(added.first.map_or(first, |known| known.min(first)));
        added.last = added.last.max(last);
    }

    /// The number of a term's list.
    fn number(&mut self, term: &str) -> usize {
        if let Some(&number) = self.numbers.get(term) {
            return number;
        }
        let number = self.lists.len();
        self.lists.push(List::default());
        self.numbers.insert(term.into(), number);
        number
    }

    fn push(&mut self, number: usize, id: u64) {
        let Some(list) = self.lists.get_mut(number) else {
            return;
        };
        if !list.bytes.is_empty() && id <= list.last {
            if id < list.last {
                self.late.push((number, id));
            }
            return;
        }
        list.push(id);
        self.added.postings += 1;
    }

    /// Puts the late ids into their places.
    fn insert_late(&mut self) {
        let mut late = std::mem::take(&mut self.late);
        late.sort_unstable();
        for chunk in late.chunk_by(|a, b| a.0 == b.0) {
            let list = chunk
                .first()
                .and_then(|&(number, _)| self.lists.get_mut(number));
            let Some(list) = list else { continue };
            // Decoding what `push` wrote cannot fail.
            let mut ids: Vec<u64> = Postings::new(&list.bytes).flatten().collect();
            let before = ids.len();
            ids.extend(chunk.iter().map(|&(_, id)| id));
            ids.sort_unstable();
            ids.dedup();
            self.added.postings += u64::try_from(ids.len() - before).unwrap_or_default();
            *list = List::default();
            for id in ids {
                list.push(id);
            }
        }
    }
}

impl List {
    /// Appends an id that is larger than all before it.
    fn push(&mut self, id: u64) {
        push_varint(&mut self.bytes, id - self.last);
        self.last = id;
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::any;
    use proptest::proptest;

    use super::Block;
    use super::IndexBlock;
    use crate::store::search::postings::DecodeError;
    use crate::store::search::postings::decode_postings;
    use crate::store::search::term::Field;
    use crate::store::search::term::MessageTerms;

    #[test]
    fn a_block_row_is_a_version_and_four_numbers() {
        let block = Block {
            number: 7,
            first: 1,
            last: 300,
            messages: 200,
            postings: 2_000,
        };

        let bytes = block.encode();

        assert_eq!(bytes, [1, 1, 0xAC, 0x02, 0xC8, 0x01, 0xD0, 0x0F]);
        assert_eq!(Block::decode(7, &bytes), Ok(block));
    }

    #[test]
    fn a_broken_block_row_is_an_error() {
        assert_eq!(
            Block::decode(0, &[]),
            Err(DecodeError::Truncated { offset: 0 })
        );
        assert_eq!(
            Block::decode(0, &[2, 1, 1, 1, 1]),
            Err(DecodeError::Version { version: 2 })
        );
        assert_eq!(
            Block::decode(0, &[1, 2, 1, 1, 1]),
            Err(DecodeError::NotRising { offset: 2 })
        );
        assert_eq!(
            Block::decode(0, &[1, 1, 1, 1]),
            Err(DecodeError::Truncated { offset: 4 })
        );
        assert_eq!(
            Block::decode(0, &[1, 1, 1, 1, 1, 0]),
            Err(DecodeError::Trailing { offset: 5 })
        );
    }

    proptest! {
        #[test]
        fn ids_in_any_order_make_the_same_list_as_in_rising_order(ids in vec(any::<u64>(), 1..40)) {
            let terms = MessageTerms::of([Field::Text("word")]);
            let mut block = IndexBlock::new();
            let mut sorted = ids.clone();
            sorted.sort_unstable();
            sorted.dedup();

            for &id in &ids {
                block.add(id, &terms);
            }
            block.insert_late();

            assert_eq!(decode_postings(&block.lists[0].bytes), Ok(sorted.clone()));
            assert_eq!(block.added.postings, sorted.len() as u64);
            assert_eq!(block.len(), ids.len() as u64);
        }
    }
}
