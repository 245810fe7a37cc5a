//! Terms: what the index knows messages by.

use crate::base::ids::Handle;
use crate::base::limits::SEARCH_TERM_BYTES;
use crate::store::search::words::Form;
use crate::store::search::words::for_each_word;

/// Calls `each` with every term of a text, in order, repeats included.
///
/// A word is a term, cut at [`SEARCH_TERM_BYTES`]. A run of characters of a script without spaces is its overlapping
/// pairs and its last character alone: so every character begins a term, and a query of one character is a query for
/// a prefix. Korean puts spaces between words, so its words are terms; as particles are appended to them, queries take
/// them as prefixes.
pub fn terms(text: &str, mut each: impl FnMut(&str)) {
    let mut run = String::new();
    for_each_word(text, |word| {
        let before = run.len();
        match word.form {
            Form::Next => {
                run.push_str(word.folded);
                each(cut(&run));
                run.drain(..before);
            }
            Form::First | Form::Whole => {
                if before > 0 {
                    each(cut(&run));
                    run.clear();
                }
                if word.form == Form::First {
                    run.push_str(word.folded);
                } else {
                    each(cut(word.folded));
                }
            }
        }
    });
    if !run.is_empty() {
        each(cut(&run));
    }
}

/// A term's part that is stored.
pub(super) fn cut(term: &str) -> &str {
    term.get(..term.floor_char_boundary(SEARCH_TERM_BYTES))
        .unwrap_or(term)
}

/// What a message is found by.
#[derive(Clone, Copy)]
pub enum Field<'a> {
    /// By the words of a text: body, subject, name of an attachment, title of a link.
    Text(&'a str),
    /// By its sender. Names change and are not indexed: a query's words are resolved to handles.
    Sender(&'a Handle),
    /// By what it is or holds, a word of the caller's: `attachment`, `link`.
    Kind(&'a str),
}

/// The term of a sender. The control character keeps it apart from words.
pub(super) fn sender_term(sender: &Handle) -> String {
    format!("\u{1}s{sender}")
}

/// The term of a kind.
pub(super) fn kind_term(kind: &str) -> String {
    format!("\u{1}k{kind}")
}

/// The terms of one message: each once, rising. Made where messages are decoded, on many threads at once; a single
/// writer adds them to a block.
#[derive(Clone, PartialEq, Eq)]
pub struct MessageTerms {
    text: String,
    ends: Vec<u32>,
}

impl MessageTerms {
    /// From all that a message is found by.
    pub fn of<'a>(fields: impl IntoIterator<Item = Field<'a>>) -> Self {
        let mut found = Self {
            text: String::new(),
            ends: Vec::new(),
        };
        for field in fields {
            match field {
                Field::Text(text) => terms(text, |term| found.push(term)),
                Field::Sender(handle) => found.push(&sender_term(handle)),
                Field::Kind(kind) => found.push(&kind_term(kind)),
            }
        }
        let mut order: Vec<&str> = found.iter().collect();
        order.sort_unstable();
        order.dedup();
        let mut sorted = Self {
            text: String::with_capacity(found.text.len()),
            ends: Vec::with_capacity(order.len()),
        };
        for term in order {
            sorted.push(term);
        }
        sorted
    }

    /// The terms, rising.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().filter_map(move |&end| {
            let end = usize::try_from(end).ok()?;
            let term = self.text.get(start..end);
            start = end;
            term
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether the message is found by nothing.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// About how much memory this takes, bytes.
    pub fn size_bytes(&self) -> usize {
        self.text.len() + self.ends.len() * size_of::<u32>()
    }

    /// Appends a term. A message of more than 4 GiB keeps the terms of its beginning.
    fn push(&mut self, term: &str) {
        if let Ok(end) = u32::try_from(self.text.len().saturating_add(term.len())) {
            self.text.push_str(term);
            self.ends.push(end);
        }
    }
}

/// Terms are words of messages: logs show none.
impl std::fmt::Debug for MessageTerms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MessageTerms({})", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::Field;
    use super::MessageTerms;
    use super::terms;
    use crate::base::ids::Handle;

    fn all(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        terms(text, |term| all.push(term.to_owned()));
        all
    }

    #[test]
    fn a_run_without_spaces_is_its_pairs_and_its_last_character() {
        assert_eq!(
            all("iPhone\u{65E5}\u{672C}\u{8A9E}, \u{7528}"),
            [
                "iphone",
                "\u{65E5}\u{672C}",
                "\u{672C}\u{8A9E}",
                "\u{8A9E}",
                "\u{7528}"
            ]
        );
    }

    #[test]
    fn long_words_are_cut_between_characters() {
        let word = format!("a{}", "\u{436}".repeat(100));

        let expected = format!("a{}", "\u{436}".repeat(31));
        assert_eq!(all(&word), [expected]);
    }

    #[test]
    fn the_terms_of_a_message_are_rising_and_each_is_there_once() {
        let sender = Handle::from_normal("tel:+15550100001".to_owned());

        let terms = MessageTerms::of([
            Field::Text("To be or not to be"),
            Field::Sender(&sender),
            Field::Kind("link"),
            Field::Text("not.png"),
        ]);

        assert_eq!(
            terms.iter().collect::<Vec<_>>(),
            [
                "\u{1}klink",
                "\u{1}stel:+15550100001",
                "be",
                "not",
                "or",
                "png",
                "to"
            ]
        );
        assert_eq!(format!("{terms:?}"), "MessageTerms(7)");
    }

    #[test]
    fn a_message_without_words_has_no_terms() {
        assert!(MessageTerms::of([Field::Text(" ... ")]).is_empty());
    }
}
