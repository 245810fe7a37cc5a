//! Queries: what a person types, and whether a message's present text answers it.

use std::ops::Range;

use thiserror::Error;

use crate::base::error::Class;
use crate::base::error::Explain;
use crate::base::ids::Handle;
use crate::store::search::term::kind_term;
use crate::store::search::term::sender_term;
use crate::store::search::words::Form;
use crate::store::search::words::Word;
use crate::store::search::words::ends_in_hangul;
use crate::store::search::words::for_each_word;

/// Why a text is no query.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum QueryError {
    /// Nothing but spaces and punctuation.
    #[error("the query has no word to search for")]
    NoWord,
    /// A quotation mark without its partner.
    #[error("the quotation mark at character {position} has no partner")]
    UnclosedQuote {
        /// Its place, characters from 1.
        position: usize,
    },
}

impl Explain for QueryError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoWord => {
                "search for words, `begin*` for their beginnings, or `\"a phrase\"`".into()
            }
            Self::UnclosedQuote { .. } => {
                "put the phrase between two quotation marks, or leave them out".into()
            }
        })
    }
}

/// What to search for: messages that answer every clause.
#[derive(Clone, PartialEq, Eq)]
pub struct Query {
    clauses: Vec<Clause>,
    /// Terms of which a candidate must have at least one, for each list.
    only: Vec<Vec<String>>,
}

impl Query {
    /// From what a person types: words, all of which must be there; `begin*` for words that begin so; `"a phrase"` for
    /// words that follow each other.
    ///
    /// Words count as in messages: case, accents and punctuation do not matter, `can't` is the phrase `can t`. Words of
    /// scripts without spaces are found inside longer runs. Korean words are taken as beginnings, since particles
    /// follow, except within quotation marks. Typographic quotation marks are quotation marks; one between two letters
    /// is punctuation.
    ///
    /// # Errors
    /// [`QueryError`] when there is no word or a quotation mark has no partner.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let mut clauses = Vec::new();
        let mut phrase = None;
        let mut start = 0;
        let mut before = ' ';
        let mut chars = text.char_indices().enumerate().peekable();
        while let Some((index, (at, c))) = chars.next() {
            let after = chars.peek().map_or(' ', |&(_, (_, c))| c);
            let inside_word = before.is_alphanumeric() && after.is_alphanumeric();
            before = c;
            let is_quote = is_quote(c) && !inside_word;
            if !is_quote && (phrase.is_some() || !c.is_whitespace()) {
                continue;
            }
            let part = text.get(start..at).unwrap_or_default();
            clauses.extend(match phrase {
                Some(_) => Clause::phrase(part),
                None => Clause::plain(part),
            });
            phrase = match phrase {
                None if is_quote => Some(index + 1),
                None | Some(_) => None,
            };
            start = at + c.len_utf8();
        }
        if let Some(position) = phrase {
            return Err(QueryError::UnclosedQuote { position });
        }
        clauses.extend(Clause::plain(text.get(start..).unwrap_or_default()));
        if clauses.is_empty() {
            return Err(QueryError::NoWord);
        }
        Ok(Self {
            clauses,
            only: Vec::new(),
        })
    }

    /// Narrows the candidates to messages of these senders; [`Query::matches`] does not look at it. Without a sender
    /// nothing is found.
    #[must_use]
    pub fn from_senders<'a>(mut self, senders: impl IntoIterator<Item = &'a Handle>) -> Self {
        self.only
            .push(senders.into_iter().map(sender_term).collect());
        self
    }

    /// Narrows the candidates to messages indexed with this kind; [`Query::matches`] does not look at it.
    #[must_use]
    pub fn of_kind(mut self, kind: &str) -> Self {
        self.only.push(vec![kind_term(kind)]);
        self
    }

    /// One that asks for no word: everything of the senders and kinds that it is narrowed to.
    pub fn anything() -> Self {
        Self {
            clauses: Vec::new(),
            only: Vec::new(),
        }
    }

    /// What must be there.
    pub fn clauses(&self) -> &[Clause] {
        &self.clauses
    }

    pub(super) fn only(&self) -> &[Vec<String>] {
        &self.only
    }

    /// Whether a message answers: each clause is in one of its texts or in a name of its sender. Gives every place in
    /// the texts where a clause is, rising by text and start; `None` when a clause is nowhere.
    pub fn matches(&self, texts: &[&str], names: &[&str]) -> Option<Vec<Match>> {
        let mut found = vec![false; self.clauses.len()];
        let mut matches = Vec::new();
        let mut words = Words::default();
        for (index, text) in texts.iter().enumerate() {
            words.read(text);
            for (clause, found) in self.clauses.iter().zip(&mut found) {
                let before = matches.len();
                matches.extend(words.find(clause).map(|range| Match { text: index, range }));
                *found |= matches.len() > before;
            }
        }
        let mut clauses = self.clauses.iter().zip(found);
        if !clauses.all(|(clause, found)| found || names.iter().any(|name| clause.is_in(name))) {
            return None;
        }
        matches.sort_unstable_by_key(|m| (m.text, m.range.start, m.range.end));
        matches.dedup();
        Some(matches)
    }
}

/// Queries are private: logs show none.
impl std::fmt::Debug for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Query({} clauses)", self.clauses.len())
    }
}

/// A place where a clause is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// Which of the texts, from 0.
    pub text: usize,
    /// Where in it, bytes, at bounds of characters.
    pub range: Range<usize>,
}

/// One thing that must be there: words that follow each other, most often one.
#[derive(Clone, PartialEq, Eq)]
pub struct Clause {
    words: Vec<QueryWord>,
    /// The last word may go on.
    is_prefix: bool,
}

/// A word of a query.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct QueryWord {
    pub(super) folded: String,
    pub(super) form: Form,
}

impl Clause {
    /// From what stands between spaces. `None` without a word.
    fn plain(text: &str) -> Option<Self> {
        let (mut clause, end) = Self::read(text)?;
        let last = clause.words.last()?;
        // A word of a script without spaces is found inside longer ones anyway.
        clause.is_prefix = last.form == Form::Whole
            && (text.get(end..) == Some("*") || ends_in_hangul(&last.folded));
        Some(clause)
    }

    /// From what stands between quotation marks. `None` without a word.
    fn phrase(text: &str) -> Option<Self> {
        Self::read(text).map(|(clause, _)| clause)
    }

    /// The words, and where the last one ends.
    fn read(text: &str) -> Option<(Self, usize)> {
        let mut words = Vec::new();
        let mut end = 0;
        for_each_word(text, |word| {
            end = word.range.end;
            words.push(QueryWord {
                folded: word.folded.to_owned(),
                form: word.form,
            });
        });
        let clause = Self {
            words,
            is_prefix: false,
        };
        (!clause.words.is_empty()).then_some((clause, end))
    }

    pub(super) fn words(&self) -> &[QueryWord] {
        &self.words
    }

    pub(super) fn is_prefix(&self) -> bool {
        self.is_prefix
    }

    /// Whether a text, such as a person's name, holds this.
    pub fn is_in(&self, text: &str) -> bool {
        let mut words = Words::default();
        words.read(text);
        words.find(self).next().is_some()
    }
}

/// Queries are private: logs show none.
impl std::fmt::Debug for Clause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Clause({} words)", self.words.len())
    }
}

fn is_quote(c: char) -> bool {
    matches!(
        c,
        '"' | '\u{AB}' | '\u{BB}' | '\u{201C}'..='\u{201F}' | '\u{FF02}'
    )
}

/// The words of one text, in order.
#[derive(Default)]
struct Words {
    folded: String,
    words: Vec<TextWord>,
}

struct TextWord {
    range: Range<usize>,
    folded: Range<usize>,
    form: Form,
}

impl Words {
    fn read(&mut self, text: &str) {
        self.folded.clear();
        self.words.clear();
        self.folded.reserve(text.len());
        self.words.reserve(text.len() / 4);
        for_each_word(text, |word| self.push(&word));
    }

    fn push(&mut self, word: &Word<'_>) {
        let start = self.folded.len();
        self.folded.push_str(word.folded);
        self.words.push(TextWord {
            range: word.range.clone(),
            folded: start..self.folded.len(),
            form: word.form,
        });
    }

    /// Where a clause is, rising.
    fn find<'a>(&'a self, clause: &'a Clause) -> impl Iterator<Item = Range<usize>> + 'a {
        self.words.windows(clause.words.len()).filter_map(|window| {
            let mut pairs = window.iter().zip(&clause.words).enumerate();
            pairs
                .all(|(index, (word, wanted))| {
                    let is_last = index + 1 == clause.words.len();
                    self.is(word, wanted, clause.is_prefix && is_last)
                })
                .then(|| Some(window.first()?.range.start..window.last()?.range.end))?
        })
    }

    fn is(&self, word: &TextWord, wanted: &QueryWord, is_prefix: bool) -> bool {
        let folded = self.folded.get(word.folded.clone()).unwrap_or_default();
        let is_same = if is_prefix {
            folded.starts_with(&wanted.folded)
        } else {
            folded == wanted.folded
        };
        // As in the index: words are no characters, and those are paired only where no gap is between them.
        let is_form = match wanted.form {
            Form::Whole => word.form == Form::Whole,
            Form::First => word.form != Form::Whole,
            Form::Next => word.form == Form::Next,
        };
        is_same && is_form
    }
}

#[cfg(test)]
mod tests {
    use proptest::proptest;

    use super::Match;
    use super::Query;
    use super::QueryError;

    fn matches(query: &str, texts: &[&str]) -> Option<Vec<Match>> {
        Query::parse(query).unwrap().matches(texts, &[])
    }

    /// The clauses of a query: its words joined by `+`, a star behind a beginning.
    fn parsed(query: &str) -> Vec<String> {
        let query = Query::parse(query).unwrap();
        let shown = query.clauses.iter().map(|clause| {
            let words: Vec<&str> = clause.words.iter().map(|w| w.folded.as_str()).collect();
            words.join("+") + if clause.is_prefix { "*" } else { "" }
        });
        shown.collect()
    }

    #[test]
    fn spaces_and_quotation_marks_divide_clauses() {
        assert_eq!(
            parsed("Lunch \"New York\", today can't Caf\u{E9}*"),
            ["lunch", "new+york", "today", "can+t", "cafe*"]
        );
    }

    #[test]
    fn a_star_counts_only_right_after_a_word_and_outside_of_quotation_marks() {
        assert_eq!(
            parsed("a* b-* c*d *e \"f*\" \"g\"* * \u{65E5}*"),
            ["a*", "b", "c+d", "e", "f", "g", "\u{65E5}"]
        );
    }

    #[test]
    fn quotation_marks_may_be_typographic_or_stand_in_a_word() {
        assert_eq!(
            parsed("\u{201E}a b\u{201C} \u{AB}c d\u{BB} \u{5E6}\u{5D4}\"\u{5DC} \"\""),
            ["a+b", "c+d", "\u{5E6}\u{5D4}+\u{5DC}"]
        );
    }

    #[test]
    fn a_quotation_mark_without_partner_is_an_error() {
        assert_eq!(
            Query::parse("\u{E9}t\u{E9} \"new york"),
            Err(QueryError::UnclosedQuote { position: 5 })
        );
        assert_eq!(
            Query::parse("\"a\" b\""),
            Err(QueryError::UnclosedQuote { position: 6 })
        );
    }

    #[test]
    fn a_query_without_words_is_an_error() {
        for query in ["", "  ", "* - \"\"", "?!"] {
            assert_eq!(Query::parse(query), Err(QueryError::NoWord));
        }
    }

    #[test]
    fn every_place_in_every_text_is_given() {
        assert_eq!(
            matches("new y*", &["New York is new", "", "yes"]),
            Some(vec![
                Match {
                    text: 0,
                    range: 0..3
                },
                Match {
                    text: 0,
                    range: 4..8
                },
                Match {
                    text: 0,
                    range: 12..15
                },
                Match {
                    text: 2,
                    range: 0..3
                },
            ])
        );
    }

    #[test]
    fn a_phrase_does_not_reach_from_one_text_into_the_next() {
        assert_eq!(matches("\"new york\"", &["new", "york"]), None);
    }

    #[test]
    fn names_answer_clauses_without_a_place() {
        let query = Query::parse("lunch anna").unwrap();

        assert_eq!(
            query.matches(&["Lunch?"], &["Anna Miller"]),
            Some(vec![Match {
                text: 0,
                range: 0..5
            }])
        );
        assert_eq!(query.matches(&["Lunch?"], &["Hannah"]), None);
    }

    #[test]
    fn logs_show_no_words() {
        let query = Query::parse("lunch \"new york\"").unwrap();

        assert_eq!(format!("{query:?}"), "Query(2 clauses)");
        assert_eq!(format!("{:?}", query.clauses()[1]), "Clause(2 words)");
    }

    proptest! {
        #[test]
        fn any_text_parses_or_is_an_error_and_a_query_finds_itself(text in ".*") {
            if let Ok(query) = Query::parse(&text) {
                assert!(query.matches(&[&text], &[]).is_some());
            }
        }
    }
}
