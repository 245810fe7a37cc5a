//! Candidates: messages that the index proposes for a query.

use std::collections::HashSet;

use redb::AccessGuard;
use redb::ReadableTable;

use crate::base::ids::Handle;
use crate::store::search::Block;
use crate::store::search::Clause;
use crate::store::search::DecodeError;
use crate::store::search::Postings;
use crate::store::search::Query;
use crate::store::search::SearchError;
use crate::store::search::TermKey;
use crate::store::search::term::cut;
use crate::store::search::term::sender_term;
use crate::store::search::words::Form;

impl Query {
    /// The messages that may match, block by block from the newest.
    ///
    /// `blocks` are all of `table`'s, oldest first, as [`super::read_blocks`] gives them. `people` answers which
    /// senders have a name that holds a clause ([`Clause::is_in`]): their messages answer that clause too.
    pub fn candidates<'t, T: ReadableTable<TermKey, &'static [u8]>>(
        &self,
        table: &'t T,
        blocks: Vec<Block>,
        people: &dyn Fn(&Clause) -> Vec<Handle>,
    ) -> Candidates<'t, T> {
        let mut groups = Vec::new();
        for clause in self.clauses() {
            let senders: Vec<Need> = people(clause)
                .iter()
                .map(|handle| Need::Term(sender_term(handle)))
                .collect();
            // (a and b) or sender = (a or sender) and (b or sender)
            groups.extend(needs(clause).map(|need| {
                let mut group = senders.clone();
                group.push(need);
                group
            }));
        }
        groups.extend(
            self.only()
                .iter()
                .map(|terms| terms.iter().cloned().map(Need::Term).collect()),
        );
        // A term that is nowhere in a block ends the work on it, and is cheaper to look up than a prefix.
        groups.sort_by_key(|group: &Vec<Need>| {
            group
                .iter()
                .filter(|need| matches!(need, Need::Prefix(_)))
                .count()
        });
        Candidates {
            table,
            blocks,
            groups,
            seen: HashSet::new(),
        }
    }
}

/// What the index must have for a word of a query.
#[derive(Clone)]
enum Need {
    Term(String),
    Prefix(String),
}

/// The needs of a clause; all of them must be met.
fn needs(clause: &Clause) -> impl Iterator<Item = Need> {
    let words = clause.words();
    words.iter().enumerate().filter_map(move |(index, word)| {
        let next = words.get(index + 1);
        let goes_on = next.is_some_and(|next| next.form == Form::Next);
        match (word.form, next) {
            (Form::Whole, None) if clause.is_prefix() => {
                Some(Need::Prefix(cut(&word.folded).to_owned()))
            }
            (Form::Whole, _) => Some(Need::Term(cut(&word.folded).to_owned())),
            (Form::First | Form::Next, Some(next)) if goes_on => Some(Need::Term(
                cut(&format!("{}{}", word.folded, next.folded)).to_owned(),
            )),
            // Alone; it begins a pair, or ends a run.
            (Form::First, _) => Some(Need::Prefix(cut(&word.folded).to_owned())),
            // The pair that ends here says it all.
            (Form::Next, _) => None,
        }
    })
}

/// The candidates of one query: an iterator of the ids in one block, falling, never empty, and no id twice in all.
///
/// Ids are numbers by arrival, not by time.
pub struct Candidates<'t, T> {
    table: &'t T,
    /// Still to be read, the newest last.
    blocks: Vec<Block>,
    /// A candidate meets at least one need of each group.
    groups: Vec<Vec<Need>>,
    /// Ids that an older block might give again.
    seen: HashSet<u64>,
}

type Row<'t> = AccessGuard<'t, &'static [u8]>;

impl<T: ReadableTable<TermKey, &'static [u8]>> Candidates<'_, T> {
    /// All candidates, or as many as `limit` of the newest blocks, newest block first.
    ///
    /// # Errors
    /// [`SearchError`] when the store cannot be read or a row is damaged.
    pub fn up_to(self, limit: usize) -> Result<Vec<u64>, SearchError> {
        let mut ids = Vec::new();
        for block in self {
            ids.extend(block?);
            if ids.len() >= limit {
                ids.truncate(limit);
                break;
            }
        }
        Ok(ids)
    }

    /// The ids in one block that meet all groups, rising.
    fn read(&self, block: u32) -> Result<Vec<u64>, SearchError> {
        let mut groups = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            let rows = self.rows(block, group)?;
            if rows.is_empty() {
                return Ok(Vec::new());
            }
            groups.push(rows);
        }
        groups.sort_by_key(|rows| rows.iter().map(|row| row.value().len()).sum::<usize>());
        let mut groups = groups.iter();
        let mut ids = match groups.next() {
            Some(rows) => union(rows),
            None => Ok(Vec::new()),
        };
        for rows in groups {
            ids = ids.and_then(|ids| intersect(ids, rows));
        }
        ids.map_err(|source| SearchError::Damaged { block, source })
    }

    /// The lists that meet a need of a group.
    fn rows(&self, block: u32, group: &[Need]) -> Result<Vec<Row<'_>>, SearchError> {
        let mut rows = Vec::new();
        for need in group {
            match need {
                Need::Term(term) => rows.extend(self.table.get((block, term.as_str()))?),
                Need::Prefix(prefix) => {
                    for row in self.table.range((block, prefix.as_str())..)? {
                        let (key, ids) = row?;
                        let (number, term) = key.value();
                        if number != block || !term.starts_with(prefix.as_str()) {
                            break;
                        }
                        rows.push(ids);
                    }
                }
            }
        }
        Ok(rows)
    }
}

impl<T: ReadableTable<TermKey, &'static [u8]>> Iterator for Candidates<'_, T> {
    type Item = Result<Vec<u64>, SearchError>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(block) = self.blocks.pop() {
            let mut ids = match self.read(block.number) {
                Ok(ids) => ids,
                Err(error) => {
                    self.blocks.clear();
                    return Some(Err(error));
                }
            };
            if !self.seen.is_empty() {
                ids.retain(|id| !self.seen.contains(id));
            }
            let mut older = self.blocks.iter();
            if older.any(|older| older.first <= block.last && block.first <= older.last) {
                self.seen.extend(&ids);
            }
            if !ids.is_empty() {
                ids.reverse();
                return Some(Ok(ids));
            }
        }
        None
    }
}

/// The ids of any of the lists, rising.
fn union(rows: &[Row<'_>]) -> Result<Vec<u64>, DecodeError> {
    let mut ids = Vec::new();
    for row in rows {
        for id in Postings::new(row.value()) {
            ids.push(id?);
        }
    }
    if rows.len() > 1 {
        ids.sort_unstable();
        ids.dedup();
    }
    Ok(ids)
}

/// Those of `ids` that are in any of the lists.
fn intersect(mut ids: Vec<u64>, rows: &[Row<'_>]) -> Result<Vec<u64>, DecodeError> {
    let mut keep = vec![false; ids.len()];
    for row in rows {
        let mut at = 0;
        for id in Postings::new(row.value()) {
            let id = id?;
            at += leap(ids.get(at..).unwrap_or_default(), id);
            match ids.get(at) {
                None => break,
                Some(&other) if other == id => {
                    if let Some(keep) = keep.get_mut(at) {
                        *keep = true;
                    }
                }
                Some(_) => {}
            }
        }
    }
    let mut keep = keep.into_iter();
    ids.retain(|_| keep.next().unwrap_or(false));
    Ok(ids)
}

/// How many of the rising `ids` are smaller than `id`. Doubles its steps: near targets are cheap, far ones too.
fn leap(ids: &[u64], id: u64) -> usize {
    let mut step = 1;
    while ids.get(step - 1).is_some_and(|&other| other < id) {
        step *= 2;
    }
    let from = step / 2;
    let near = ids.get(from..ids.len().min(step)).unwrap_or_default();
    from + near.partition_point(|&other| other < id)
}
