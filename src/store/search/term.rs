//! Terms: what the index knows messages by.

use std::ops::Range;

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

/// Begins the term of a sender. The control character keeps it apart from words.
const SENDER: &str = "\u{1}s";

/// Begins the term of a kind.
const KIND: &str = "\u{1}k";

/// The term of a sender.
pub(super) fn sender_term(sender: &Handle) -> String {
    format!("{SENDER}{sender}")
}

/// The term of a kind.
pub(super) fn kind_term(kind: &str) -> String {
    format!("{KIND}{kind}")
}

/// The terms of one message: each once, rising. Made where messages are decoded, on many threads at once; a single
/// writer adds them to a block.
#[derive(Clone, PartialEq, Eq)]
pub struct MessageTerms {
    text: Box<str>,
    ends: Box<[u32]>,
}

impl MessageTerms {
    /// From all that a message is found by.
    pub fn of<'a>(fields: impl IntoIterator<Item = Field<'a>>) -> Self {
        let mut scratch = TermScratch::default();
        for field in fields {
            scratch.add(field);
        }
        scratch.take()
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
}

/// Gathers the terms of one message after the other, in buffers that are used again.
#[derive(Default)]
pub struct TermScratch {
    /// Terms as they come, one behind the other.
    text: String,
    found: Vec<Found>,
    sorted: String,
    ends: Vec<u32>,
}

/// A term that was found.
struct Found {
    /// Its first eight bytes, by which most terms are told apart.
    head: u64,
    range: Range<usize>,
}

impl TermScratch {
    /// Adds what a message is found by.
    pub fn add(&mut self, field: Field<'_>) {
        match field {
            Field::Text(text) => terms(text, |term| self.push("", term)),
            Field::Sender(handle) => self.push(SENDER, handle.as_str()),
            Field::Kind(kind) => self.push(KIND, kind),
        }
    }

    /// The terms of everything that was added since the last call.
    pub fn take(&mut self) -> MessageTerms {
        let text = &self.text;
        let term = |found: &Found| text.get(found.range.clone()).unwrap_or_default();
        self.found.sort_unstable_by(|a, b| {
            let by_head = a.head.cmp(&b.head);
            by_head.then_with(|| term(a).cmp(term(b)))
        });
        self.found
            .dedup_by(|a, b| a.head == b.head && term(a) == term(b));
        self.sorted.clear();
        self.ends.clear();
        for found in &self.found {
            self.sorted.push_str(term(found));
            // A message of more than 4 GiB keeps the terms of its beginning.
            self.ends.extend(u32::try_from(self.sorted.len()));
        }
        self.text.clear();
        self.found.clear();
        MessageTerms {
            text: self.sorted.as_str().into(),
            ends: self.ends.as_slice().into(),
        }
    }

    fn push(&mut self, prefix: &str, term: &str) {
        let start = self.text.len();
        self.text.push_str(prefix);
        self.text.push_str(term);
        let mut head = [0; 8];
        let bytes = self.text.as_bytes().get(start..).unwrap_or_default();
        head.iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = *from);
        self.found.push(Found {
            head: u64::from_be_bytes(head),
            range: start..self.text.len(),
        });
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
