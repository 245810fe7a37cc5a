//! The index in a store, held against a plain scan of the texts.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::Just;
use proptest::prelude::Strategy;
use proptest::prelude::any;
use proptest::prop_oneof;
use proptest::proptest;
use proptest::sample::select;
use redb::Database;
use redb::ReadableDatabase;
use redb::ReadableTableMetadata;
use redb::backends::InMemoryBackend;

use crate::base::ids::Handle;
use crate::base::limits::SEARCH_BLOCK_MESSAGES;
use crate::store::search::Block;
use crate::store::search::Clause;
use crate::store::search::DecodeError;
use crate::store::search::Field;
use crate::store::search::IndexBlock;
use crate::store::search::MessageTerms;
use crate::store::search::Query;
use crate::store::search::SEARCH_BLOCKS;
use crate::store::search::SEARCH_TERMS;
use crate::store::search::SearchError;
use crate::store::search::merge;
use crate::store::search::merge_candidates;
use crate::store::search::read_blocks;

/// Messages with their senders, and the index of them.
struct Archive {
    db: Database,
    messages: BTreeMap<u64, (String, Handle)>,
    names: Vec<(Handle, &'static str)>,
}

impl Archive {
    fn new() -> Self {
        let db = Database::builder()
            .create_with_backend(InMemoryBackend::new())
            .unwrap();
        let archive = Self {
            db,
            messages: BTreeMap::new(),
            names: vec![
                (handle(0), "Anna M\u{FC}ller"),
                (handle(1), "\u{5C71}\u{7530}"),
            ],
        };
        archive.write(IndexBlock::new());
        archive
    }

    /// Adds messages, or changes them, in one commit.
    fn add(&mut self, messages: &[(u64, &str)]) {
        let mut block = IndexBlock::new();
        for &(id, text) in messages {
            let sender = handle(id % 3);
            block.add(
                id,
                &MessageTerms::of([Field::Text(text), Field::Sender(&sender)]),
            );
            self.messages.insert(id, (text.to_owned(), sender));
        }
        self.write(block);
    }

    fn write(&self, block: IndexBlock) {
        #[expect(clippy::disallowed_methods, reason = "no file, so nothing to repair")]
        let tx = self.db.begin_write().unwrap();
        let mut terms = tx.open_table(SEARCH_TERMS).unwrap();
        let mut blocks = tx.open_table(SEARCH_BLOCKS).unwrap();
        block.write(&mut terms, &mut blocks).unwrap();
        drop((terms, blocks));
        tx.commit().unwrap();
    }

    /// Merges blocks by place, oldest first.
    fn merge(&self, from: usize, to: usize) {
        let all = self.blocks();
        #[expect(clippy::disallowed_methods, reason = "no file, so nothing to repair")]
        let tx = self.db.begin_write().unwrap();
        let mut terms = tx.open_table(SEARCH_TERMS).unwrap();
        let mut blocks = tx.open_table(SEARCH_BLOCKS).unwrap();
        merge(&mut terms, &mut blocks, all[from].number..=all[to].number).unwrap();
        drop((terms, blocks));
        tx.commit().unwrap();
    }

    fn blocks(&self) -> Vec<Block> {
        let tx = self.db.begin_read().unwrap();
        read_blocks(&tx.open_table(SEARCH_BLOCKS).unwrap()).unwrap()
    }

    fn people(&self, clause: &Clause) -> Vec<Handle> {
        let named = self.names.iter().filter(|(_, name)| clause.is_in(name));
        named.map(|(handle, _)| handle.clone()).collect()
    }

    /// The candidates as they come.
    fn candidates(&self, query: &Query) -> Vec<u64> {
        let tx = self.db.begin_read().unwrap();
        let table = tx.open_table(SEARCH_TERMS).unwrap();
        let people = |clause: &Clause| self.people(clause);
        let candidates = query.candidates(&table, self.blocks(), &people);
        candidates.up_to(usize::MAX).unwrap()
    }

    fn is_hit(&self, query: &Query, id: u64) -> bool {
        let (text, sender) = &self.messages[&id];
        let names: Vec<&str> = self
            .names
            .iter()
            .filter(|(handle, _)| handle == sender)
            .map(|(_, name)| *name)
            .collect();
        query.matches(&[text], &names).is_some()
    }

    /// By the index.
    fn search(&self, query: &Query) -> BTreeSet<u64> {
        let mut ids: BTreeSet<u64> = self.candidates(query).into_iter().collect();
        ids.retain(|&id| self.is_hit(query, id));
        ids
    }

    /// By reading everything.
    fn scan(&self, query: &Query) -> BTreeSet<u64> {
        let mut ids: BTreeSet<u64> = self.messages.keys().copied().collect();
        ids.retain(|&id| self.is_hit(query, id));
        ids
    }

    fn find(&self, query: &str) -> Vec<u64> {
        let query = Query::parse(query).unwrap();
        assert_eq!(self.search(&query), self.scan(&query));
        self.search(&query).into_iter().collect()
    }
}

fn handle(number: u64) -> Handle {
    Handle::from_normal(format!("tel:+1555010000{number}"))
}

fn block(number: u32, messages: u64) -> Block {
    Block {
        number,
        first: 1,
        last: 1,
        messages,
        postings: 1,
    }
}

#[test]
fn words_prefixes_and_phrases_are_found() {
    let mut archive = Archive::new();
    archive.add(&[
        (2, "Lunch in New York?"),
        (5, "York is old; new things are elsewhere"),
        (8, "the caf\u{E9} on www.example.com"),
        (11, "That\u{2019}s a photo: IMG_1234.HEIC"),
    ]);

    assert_eq!(archive.find("new york"), [2, 5]);
    assert_eq!(archive.find("\"new york\""), [2]);
    assert_eq!(archive.find("\u{201C}New York\u{201D} lunch"), [2]);
    assert_eq!(archive.find("CAFE"), [8]);
    assert_eq!(archive.find("example"), [8]);
    assert_eq!(archive.find("exam"), [0; 0]);
    assert_eq!(archive.find("exam* caf*"), [8]);
    assert_eq!(archive.find("that's 1234"), [11]);
    assert_eq!(archive.find("york - & new"), [2, 5]);
}

#[test]
fn scripts_without_spaces_are_found_inside_runs() {
    let mut archive = Archive::new();
    archive.add(&[
        (2, "\u{660E}\u{65E5}\u{6771}\u{4EAC}\u{90FD}\u{3078}"),
        (5, "\u{6771}\u{3001}\u{4EAC}"),
        (
            8,
            "\u{E2A}\u{E27}\u{E31}\u{E2A}\u{E14}\u{E35}\u{E04}\u{E23}\u{E31}\u{E1A}",
        ),
    ]);

    assert_eq!(archive.find("\u{6771}\u{4EAC}\u{90FD}"), [2]);
    assert_eq!(archive.find("\u{6771}\u{4EAC}"), [2]);
    assert_eq!(archive.find("\u{4EAC}"), [2, 5]);
    assert_eq!(archive.find("\u{3078}"), [2]);
    assert_eq!(archive.find("\u{6771}*"), [2, 5]);
    assert_eq!(archive.find("\"\u{6771} \u{4EAC}\""), [2, 5]);
    assert_eq!(archive.find("\u{E14}\u{E35}"), [8]);
}

#[test]
fn korean_words_are_found_with_their_particles_unless_quoted() {
    let mut archive = Archive::new();
    archive.add(&[
        (2, "\u{D559}\u{AD50}\u{C5D0} \u{AC00}\u{C694}"),
        (5, "\u{D559}\u{AD50}"),
    ]);

    assert_eq!(archive.find("\u{D559}\u{AD50}"), [2, 5]);
    assert_eq!(archive.find("\"\u{D559}\u{AD50}\""), [5]);
}

#[test]
fn emoji_are_found_whatever_their_skin() {
    let mut archive = Archive::new();
    archive.add(&[(2, "great\u{1F44D}\u{1F3FD}"), (5, "\u{1F44E}")]);

    assert_eq!(archive.find("\u{1F44D}"), [2]);
    assert_eq!(archive.find("\u{1F44D}\u{1F3FF} great"), [2]);
}

#[test]
fn names_of_senders_answer_words_and_phrases() {
    let mut archive = Archive::new();
    archive.add(&[(3, "lunch?"), (4, "lunch!"), (5, "lunch with anna muller")]);

    assert_eq!(archive.find("anna lunch"), [3, 5]);
    assert_eq!(archive.find("\"anna m\u{FC}ller\""), [3, 5]);
    assert_eq!(archive.find("\u{5C71}\u{7530} lunch"), [4]);
}

#[test]
fn senders_and_kinds_narrow_the_candidates() {
    let mut archive = Archive::new();
    archive.add(&[(3, "lunch"), (4, "lunch"), (5, "lunch")]);
    let lunch = Query::parse("lunch").unwrap();

    let two = lunch.clone().from_senders([&handle(0), &handle(2)]);
    let nobody = lunch.clone().from_senders([]);
    let links = lunch.clone().of_kind("link");

    assert_eq!(archive.candidates(&two), [5, 3]);
    assert_eq!(archive.candidates(&nobody), [0; 0]);
    assert_eq!(archive.candidates(&links), [0; 0]);
}

#[test]
fn an_edited_message_is_found_by_its_present_text_only_and_once() {
    let mut archive = Archive::new();
    archive.add(&[(2, "lunch on monday"), (5, "dinner")]);
    archive.add(&[(2, "lunch on tuesday"), (8, "lunch")]);

    assert_eq!(archive.find("monday"), [0; 0]);
    assert_eq!(archive.find("tuesday"), [2]);
    assert_eq!(archive.candidates(&Query::parse("lunch").unwrap()), [8, 2]);
}

#[test]
fn the_newest_block_comes_first_and_a_limit_stops_early() {
    let mut archive = Archive::new();
    archive.add(&[(2, "word"), (5, "word")]);
    archive.add(&[(8, "word"), (11, "word")]);
    let query = Query::parse("word").unwrap();
    let tx = archive.db.begin_read().unwrap();
    let table = tx.open_table(SEARCH_TERMS).unwrap();
    let nobody = |_: &Clause| Vec::new();

    let candidates = query.candidates(&table, archive.blocks(), &nobody);
    let limited = query.candidates(&table, archive.blocks(), &nobody);

    let blocks: Vec<Vec<u64>> = candidates.map(Result::unwrap).collect();
    assert_eq!(blocks, [[11, 8], [5, 2]]);
    assert_eq!(limited.up_to(3).unwrap(), [11, 8, 5]);
}

#[test]
fn merging_keeps_what_is_found_and_leaves_one_block() {
    let mut archive = Archive::new();
    archive.add(&[(2, "alpha beta"), (5, "beta")]);
    archive.add(&[(8, "beta gamma"), (2, "alpha delta")]);
    archive.add(&[(11, "beta")]);

    archive.merge(0, 1);

    let expected = [
        Block {
            number: 1,
            first: 2,
            last: 8,
            messages: 4,
            postings: 9,
        },
        Block {
            number: 2,
            first: 11,
            last: 11,
            messages: 1,
            postings: 2,
        },
    ];
    assert_eq!(archive.blocks(), expected);
    assert_eq!(archive.find("beta"), [5, 8, 11]);
    let tx = archive.db.begin_read().unwrap();
    // Of the merged: alpha, beta, delta, gamma and one sender; of the other: beta and the sender.
    assert_eq!(tx.open_table(SEARCH_TERMS).unwrap().len().unwrap(), 7);
}

#[test]
fn eight_neighbors_of_one_size_are_merged_smallest_first() {
    let of_sizes = |sizes: &[u64]| -> Vec<Block> {
        let numbered = (10..).zip(sizes);
        numbered
            .map(|(number, &size)| block(number, size))
            .collect()
    };
    let big = u64::try_from(SEARCH_BLOCK_MESSAGES).unwrap();

    assert_eq!(merge_candidates(&[]), None);
    assert_eq!(merge_candidates(&of_sizes(&[1; 7])), None);
    assert_eq!(merge_candidates(&of_sizes(&[1; 9])), Some(10..=17));
    assert_eq!(merge_candidates(&of_sizes(&[big; 20])), None);
    assert_eq!(
        merge_candidates(&of_sizes(&[big, 8, 8, 8, 8, 8, 8, 8, 1, 1, 1])),
        Some(11..=18)
    );
    assert_eq!(
        merge_candidates(&of_sizes(&[8, 8, 8, 8, 8, 8, 8, 8, 1, 1, 1, 1, 1, 1, 1, 1])),
        Some(18..=25)
    );
}

#[test]
fn single_messages_settle_into_few_blocks() {
    let mut archive = Archive::new();
    let mut most = 0;

    for id in 0..600 {
        archive.add(&[(id, "word")]);
        while let Some(range) = merge_candidates(&archive.blocks()) {
            let blocks = archive.blocks();
            let place = |number| blocks.iter().position(|block| block.number == number);
            archive.merge(place(*range.start()).unwrap(), place(*range.end()).unwrap());
        }
        most = most.max(archive.blocks().len());
    }

    assert!(most <= 3 * 7 + 1, "{most} blocks");
    assert_eq!(archive.find("word").len(), 600);
}

#[test]
fn a_damaged_list_is_an_error_that_names_its_block() {
    let mut archive = Archive::new();
    archive.add(&[(2, "word")]);
    #[expect(clippy::disallowed_methods, reason = "no file, so nothing to repair")]
    let tx = archive.db.begin_write().unwrap();
    let mut terms = tx.open_table(SEARCH_TERMS).unwrap();
    terms.insert((0, "word"), [0x80].as_slice()).unwrap();

    let nobody = |_: &Clause| Vec::new();
    let query = Query::parse("word").unwrap();
    let found = query.candidates(&terms, archive.blocks(), &nobody).up_to(9);

    assert!(matches!(
        found,
        Err(SearchError::Damaged {
            block: 0,
            source: DecodeError::Truncated { offset: 0 }
        })
    ));
}

/// Pieces of which texts and queries are made, so that they meet.
fn pieces() -> impl Strategy<Value = String> {
    let piece = select(vec![
        "a",
        "ab",
        "abc",
        "B",
        "\u{E9}",
        "e\u{301}",
        "1",
        "'",
        "\u{2019}",
        "-",
        " ",
        " ",
        " ",
        "\n",
        "\u{65E5}",
        "\u{672C}",
        "\u{8A9E}",
        "\u{304B}",
        "\u{304C}",
        "\u{3099}",
        "\u{3002}",
        "\u{FF76}",
        "\u{FF9E}",
        "\u{30AC}",
        "\u{E01}",
        "\u{E34}",
        "\u{D559}",
        "\u{AD50}",
        "\u{1F44D}",
        "\u{1F3FD}",
        "\u{200D}",
        "\u{1F1E9}",
        "\u{2764}\u{FE0F}",
        "\u{DF}",
        "ss",
        "\u{3251}",
        "Anna",
        "\u{5C71}\u{7530}",
    ]);
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn queries() -> impl Strategy<Value = String> {
    let clause = (pieces(), select(vec!["", "*", "\""])).prop_map(|(text, mark)| match mark {
        "\"" => format!("\"{text}\""),
        mark => format!("{text}{mark}"),
    });
    vec(clause, 1..3).prop_map(|clauses| clauses.join(" "))
}

proptest! {
    #[test]
    fn the_index_finds_what_a_scan_finds(
        commits in vec(vec((0u64..12, pieces()), 0..6), 1..5),
        queries in vec(queries(), 1..8),
        merged in prop_oneof![Just(None), (any::<usize>(), any::<usize>()).prop_map(Some)],
    ) {
        let mut archive = Archive::new();
        for commit in &commits {
            let messages: Vec<(u64, &str)> =
                commit.iter().map(|(id, text)| (*id, text.as_str())).collect();
            archive.add(&messages);
        }
        let blocks = archive.blocks().len();
        if let Some((from, to)) = merged.filter(|_| blocks > 0) {
            let (from, to) = (from % blocks, to % blocks);
            archive.merge(from.min(to), from.max(to));
        }

        for query in queries.iter().filter_map(|text| Query::parse(text).ok()) {
            assert_eq!(archive.search(&query), archive.scan(&query));
            let candidates = archive.candidates(&query);
            let once: BTreeSet<u64> = candidates.iter().copied().collect();
            assert_eq!(once.len(), candidates.len());
        }
    }
}
