//! Text of other people on a terminal: made harmless, then wrapped. It knows nothing of messages.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::io::Write;
use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Begins a marked stretch. No clean text holds it otherwise.
pub const MARK_BEGIN: char = '\u{2}';

/// Ends a marked stretch. No clean text holds it otherwise.
pub const MARK_END: char = '\u{3}';

/// Text that cannot drive the terminal it is printed on.
///
/// Names, messages, paths and titles come from strangers. Escape sequences could move the cursor, rewrite what stands
/// above or set the clipboard; bidirectional controls could show another text than the one that is stored. What is left
/// here: printable characters, and line feeds in [`Clean::text`].
///
/// | in | out |
/// |---|---|
/// | ESC and the other C0 controls, DEL | their pictures, U+2400 to U+2421 |
/// | C1 controls | U+FFFD |
/// | tab | a space |
/// | CR LF, CR, VT, FF, NEL, line and paragraph separator | a line feed, or a space in [`Clean::line`] |
/// | bidirectional and other invisible format controls | nothing |
///
/// The joiners of emoji and of Indic and Persian words stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clean<'a>(Cow<'a, str>);

impl<'a> Clean<'a> {
    /// One line: line breaks become spaces.
    pub fn line(text: &'a str) -> Self {
        Self::with_breaks(text, ' ')
    }

    /// Text of several lines, separated by line feeds.
    pub fn text(text: &'a str) -> Self {
        Self::with_breaks(text, '\n')
    }

    fn with_breaks(text: &'a str, line_break: char) -> Self {
        let harmless = |c: char| matches!(c, ' '..='~') || !c.is_ascii() && class(c) == Class::Text;
        if text.chars().all(harmless) {
            return Self(Cow::Borrowed(text));
        }
        let mut clean = String::with_capacity(text.len());
        let mut after_return = false;
        for c in text.chars() {
            match class(c) {
                Class::Text => clean.push(c),
                Class::Tab => clean.push(' '),
                Class::Break if c == '\n' && after_return => {}
                Class::Break => clean.push(line_break),
                Class::Picture(picture) => clean.push(picture),
                Class::Invisible => {}
            }
            after_return = c == '\r';
        }
        Self(Cow::Owned(clean))
    }

    /// One line with stretches of it, rising and apart, between [`MARK_BEGIN`] and [`MARK_END`].
    pub fn marked(text: &str, marks: &[Range<usize>]) -> Clean<'static> {
        let mut clean = String::with_capacity(text.len() + 2 * marks.len());
        let mut add = |range: Range<usize>| {
            clean.push_str(Clean::line(text.get(range).unwrap_or_default()).as_str());
            clean.len()
        };
        let mut places = Vec::new();
        let mut from = 0;
        for mark in marks {
            let begin = add(from..mark.start);
            places.push((begin, add(mark.clone())));
            from = mark.end;
        }
        add(from..text.len());
        for (begin, end) in places.into_iter().rev() {
            clean.insert(end, MARK_END);
            clean.insert(begin, MARK_BEGIN);
        }
        Clean(Cow::Owned(clean))
    }

    /// The harmless text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Clean<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Text,
    Tab,
    Break,
    Picture(char),
    Invisible,
}

fn class(c: char) -> Class {
    match c {
        '\t' => Class::Tab,
        '\n' | '\u{b}' | '\u{c}' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => Class::Break,
        '\0'..='\u{1f}' => {
            Class::Picture(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'))
        }
        '\u{7f}' => Class::Picture('\u{2421}'),
        '\u{80}'..='\u{9f}' => Class::Picture('\u{fffd}'),
        // Marks, embeddings, overrides and isolates of the bidirectional algorithm and its deprecated relatives; soft
        // hyphen, zero width space, word joiner and invisible operators, byte order mark, annotations.
        '\u{61c}'
        | '\u{200e}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{206f}'
        | '\u{ad}'
        | '\u{200b}'
        | '\u{2060}'..='\u{2064}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' => Class::Invisible,
        _ => Class::Text,
    }
}

/// JSON that cannot drive a terminal and means the same: what [`Clean`] would change is written as an escape.
///
/// serde escapes the C0 controls; the others stand only inside strings, where an escape may take their place.
pub fn escape_json(json: &str) -> Cow<'_, str> {
    let stays = |c: char| c.is_ascii() && c != '\u{7f}' || !c.is_ascii() && class(c) == Class::Text;
    if json.chars().all(stays) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if stays(c) {
            escaped.push(c);
        } else {
            let escape = format!("\\u{:04x}", u32::from(c));
            escaped.push_str(&escape);
        }
    }
    Cow::Owned(escaped)
}

/// Passes lines of JSON on with [`escape_json`]; each must come as one write, or in several that end with its line feed.
pub struct JsonLines<W> {
    out: W,
    line: Vec<u8>,
}

impl<W: Write> JsonLines<W> {
    /// Writes to another writer.
    pub fn new(out: W) -> Self {
        Self {
            out,
            line: Vec::new(),
        }
    }
}

impl<W: Write> Write for JsonLines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        if self.line.ends_with(b"\n") {
            let json = String::from_utf8_lossy(&self.line);
            self.out.write_all(escape_json(&json).as_bytes())?;
            self.line.clear();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Columns that a text takes on a terminal.
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// Appends text in lines of at most `columns`, each ending in a line feed, after a lead on the first line.
///
/// Continuation lines are indented to where the text began, or by four columns where the lead takes more than half a
/// line. Spaces inside a line stay as they are; those at a break are dropped; a longer word than fits is broken between
/// grapheme clusters: never inside an emoji, a flag or a letter with its marks.
pub fn wrap(out: &mut String, lead: &str, text: &Clean<'_>, columns: usize) {
    let lead_width = width(lead);
    let indent = if lead_width > columns / 2 {
        4
    } else {
        lead_width
    };
    out.push_str(lead);
    let mut lines = Lines {
        out,
        columns,
        indent,
        used: lead_width,
        begun: true,
        empty: true,
    };
    for (at, paragraph) in text.as_str().split('\n').enumerate() {
        if at > 0 {
            lines.start_next();
        }
        lines.add_paragraph(paragraph);
    }
    lines.end();
}

/// The line being written.
struct Lines<'a> {
    out: &'a mut String,
    columns: usize,
    indent: usize,
    /// Columns taken by the line so far, its lead or indent included.
    used: usize,
    /// Whether the lead or indent is written; an indent waits for what follows it, so that empty lines stay empty.
    begun: bool,
    /// Whether nothing follows the lead or indent yet.
    empty: bool,
}

impl Lines<'_> {
    fn add_paragraph(&mut self, paragraph: &str) {
        let mut rest = paragraph;
        while !rest.is_empty() {
            let spaces = rest.len() - rest.trim_start_matches(' ').len();
            let (gap, tail) = rest.split_at(spaces);
            let (word, tail) = tail.split_at(tail.find(' ').unwrap_or(tail.len()));
            self.add_word(gap, word);
            rest = tail;
        }
    }

    fn add_word(&mut self, gap: &str, word: &str) {
        let word_width = width(word);
        if self.used + gap.len() + word_width <= self.columns {
            self.push(gap, gap.len());
            self.push(word, word_width);
            return;
        }
        if !self.empty {
            self.start_next();
        }
        for piece in word.graphemes(true) {
            let piece_width = width(piece);
            if self.used + piece_width > self.columns && !self.empty {
                self.start_next();
            }
            self.push(piece, piece_width);
        }
    }

    fn push(&mut self, text: &str, text_width: usize) {
        if text.is_empty() {
            return;
        }
        if !self.begun {
            self.out.extend(std::iter::repeat_n(' ', self.indent));
            self.begun = true;
        }
        self.out.push_str(text);
        self.used += text_width;
        self.empty = false;
    }

    fn start_next(&mut self) {
        self.end();
        self.used = self.indent;
        self.begun = false;
        self.empty = true;
    }

    fn end(&mut self) {
        let kept = self.out.trim_end_matches(' ').len();
        self.out.truncate(kept);
        self.out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use std::slice;

    use proptest::prelude::*;

    use super::*;

    fn wrapped(lead: &str, text: &str, columns: usize) -> String {
        let mut out = String::new();
        wrap(&mut out, lead, &Clean::text(text), columns);
        out
    }

    #[test]
    fn an_escape_sequence_is_shown_not_obeyed() {
        let hostile = "a\u{1b}]52;c;aGk=\u{7}b\u{9b}2Jc\u{7f}";

        assert_eq!(
            Clean::line(hostile).as_str(),
            "a\u{241b}]52;c;aGk=\u{2407}b\u{fffd}2Jc\u{2421}"
        );
    }

    #[test]
    fn bidirectional_controls_do_not_reach_the_terminal() {
        let hostile = "\u{202e}gpj.exe\u{202c} \u{2066}x\u{2069}\u{200f}\u{61c}";

        assert_eq!(Clean::line(hostile).as_str(), "gpj.exe x");
    }

    #[test]
    fn marks_stand_around_clean_text() {
        let marked = Clean::marked("a\u{2}b\u{ad} hit \u{1b}[2J", slice::from_ref(&(6..9)));

        assert_eq!(marked.as_str(), "a\u{2402}b \u{2}hit\u{3} \u{241b}[2J");
    }

    #[test]
    fn lines_of_json_are_passed_on_harmless() {
        let mut out = Vec::new();

        let mut lines = JsonLines::new(&mut out);
        lines.write_all("[\"\u{9b}".as_bytes()).unwrap();
        lines.write_all(b"2J\"]\n").unwrap();

        assert_eq!(out, b"[\"\\u009b2J\"]\n");
    }

    #[test]
    fn every_line_break_is_one_line_feed_or_one_space() {
        let text = "a\r\nb\rc\u{2028}d\u{85}e\n\nf\tg";

        assert_eq!(Clean::text(text).as_str(), "a\nb\nc\nd\ne\n\nf g");
        assert_eq!(Clean::line(text).as_str(), "a b c d e  f g");
    }

    #[test]
    fn letters_marks_and_emoji_stay_as_they_are() {
        let text = "na\u{ef}ve \u{5d0}\u{5d1} \u{928}\u{94d}\u{200d} \u{1f469}\u{200d}\u{1f4bb} ~";

        assert_eq!(Clean::line(text), Clean(Cow::Borrowed(text)));
    }

    #[test]
    fn json_means_the_same_and_cannot_drive_the_terminal() {
        let hostile = "a\u{1b}[2J\u{9b}2J\u{7f}\u{202e}b\u{1f469}\u{200d}\u{1f4bb}\n";

        let json = serde_json::to_string_pretty(&[hostile]).unwrap();
        let escaped = escape_json(&json);

        assert_eq!(
            serde_json::from_str::<[String; 1]>(&escaped).unwrap(),
            [hostile]
        );
        assert_eq!(
            escaped,
            "[\n  \"a\\u001b[2J\\u009b2J\\u007f\\u202eb\u{1f469}\u{200d}\u{1f4bb}\\n\"\n]"
        );
    }

    #[test]
    fn lines_hang_below_the_beginning_of_the_text() {
        assert_eq!(
            wrapped("09:41 Ann: ", "one two three four", 22),
            "09:41 Ann: one two\n           three four\n"
        );
    }

    #[test]
    fn a_wide_lead_leaves_room_for_the_text() {
        assert_eq!(
            wrapped("a very wide lead ", "one two three", 20),
            "a very wide lead one\n    two three\n"
        );
    }

    #[test]
    fn a_word_too_wide_for_a_line_is_broken() {
        assert_eq!(wrapped("> ", "abcdefghij k", 6), "> abcd\n  efgh\n  ij k\n");
        assert_eq!(
            wrapped("", "\u{4f60}\u{597d}\u{4e16}\u{754c}", 5),
            "\u{4f60}\u{597d}\n\u{4e16}\u{754c}\n"
        );
    }

    #[test]
    fn an_emoji_or_a_flag_is_never_broken() {
        let coder = "\u{1f469}\u{1f3fd}\u{200d}\u{1f4bb}";
        let flag = "\u{1f1ec}\u{1f1ed}";

        assert_eq!(
            wrapped("", &format!("{coder}{flag}{coder}"), 4),
            format!("{coder}{flag}\n{coder}\n")
        );
    }

    #[test]
    fn paragraphs_stay_and_empty_lines_have_no_spaces() {
        assert_eq!(wrapped("> ", "a\n\n  b  c", 20), "> a\n\n    b  c\n");
        assert_eq!(wrapped("> ", "", 20), ">\n");
    }

    proptest! {
        #[test]
        fn nothing_printed_is_a_control(text in any::<String>()) {
            let clean = Clean::line(&text);

            prop_assert!(!clean.as_str().chars().any(char::is_control));
        }

        #[test]
        fn no_line_is_wider_than_asked(text in "[ a-z\u{4e00}-\u{4e20}\u{300}\n]{0,80}", columns in 12_usize..40) {
            let out = wrapped("12:00 ", &text, columns);

            prop_assert!(out.lines().all(|line| width(line) <= columns), "{out}");
        }

        #[test]
        fn no_character_is_lost_but_spaces(text in any::<String>()) {
            let letters = |text: &str| text.chars().filter(|c| !" \n".contains(*c)).collect::<String>();

            prop_assert_eq!(letters(&wrapped("", &text, 10)), letters(Clean::text(&text).as_str()));
        }
    }
}
