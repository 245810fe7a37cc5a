//! A stretch of a message's text as plain text and as HTML.

use std::ops::Range;

use serde_json::Value;
use serde_json::json;

use crate::base::ids::Handle;
use crate::base::limits::EVENT_TEXT_BYTES;
use crate::matrix::event::Content;
use crate::matrix::html::push_text;
use crate::matrix::html::user_link;
use crate::matrix::ids::UserId;
use crate::model::body::ATTACHMENT_PLACEHOLDER;
use crate::model::body::BALLOON_PLACEHOLDER;
use crate::model::body::Body;
use crate::model::body::Mention;
use crate::model::body::Part;
use crate::model::body::Span;
use crate::model::body::Style;
use crate::model::message::Version;

/// Text with what is marked in it. Offsets of the marks count UTF-16 code units of the whole text.
#[derive(Clone, Copy)]
pub(super) struct Marked<'a> {
    text: &'a str,
    spans: &'a [Span],
    mentions: &'a [Mention],
    links: &'a [String],
}

impl<'a> Marked<'a> {
    /// A message's whole text.
    pub(super) fn body(body: &'a Body) -> Self {
        Self {
            text: &body.text,
            spans: &body.spans,
            mentions: &body.mentions,
            links: &body.links,
        }
    }

    /// One text of an edited part.
    pub(super) fn version(version: &'a Version) -> Option<Self> {
        Some(Self {
            spans: &version.spans,
            ..Self::plain(version.text.as_ref()?)
        })
    }

    /// Text with nothing marked.
    pub(super) fn plain(text: &'a str) -> Self {
        Self {
            text,
            spans: &[],
            mentions: &[],
            links: &[],
        }
    }

    /// Where a part is, in bytes.
    pub(super) fn range_of(&self, part: &Part) -> Range<usize> {
        let end = part.start.saturating_add(part.length);
        byte_of(self.text, part.start)..byte_of(self.text, end)
    }

    /// The text of a range of bytes.
    pub(super) fn get(&self, range: Range<usize>) -> &'a str {
        self.text.get(range).unwrap_or_default()
    }

    /// All of it.
    pub(super) fn whole(&self) -> Range<usize> {
        0..self.text.len()
    }

    /// What is to be shown of a range, without blanks around it, in pieces that fit into an event (MS-13, MS-17). None
    /// when nothing is left.
    pub(super) fn pieces(&self, range: Range<usize>) -> Vec<Range<usize>> {
        let mut pieces = Vec::new();
        let mut rest = self.trimmed(range);
        while rest.len() > EVENT_TEXT_BYTES {
            let cut = rest.start + piece_length(self.get(rest.clone()), EVENT_TEXT_BYTES);
            let piece = self.trimmed(rest.start..cut);
            if !piece.is_empty() {
                pieces.push(piece);
            }
            rest = self.trimmed(cut..rest.end);
        }
        if !rest.is_empty() {
            pieces.push(rest);
        }
        pieces
    }

    fn trimmed(&self, range: Range<usize>) -> Range<usize> {
        let text = self.get(range.clone());
        let from_start = text.len() - text.trim_start_matches(is_blank).len();
        let length = text.trim_matches(is_blank).len();
        range.start + from_start..range.start + from_start + length
    }

    /// A piece, written for clients.
    pub(super) fn draft(&self, piece: Range<usize>, user: impl Fn(&Handle) -> UserId) -> Draft {
        let shown = |c: &char| !is_placeholder(*c);
        let body: String = self.get(piece.clone()).chars().filter(shown).collect();
        let mut draft = Draft {
            body,
            ..Draft::default()
        };
        if self.spans.is_empty() && self.mentions.is_empty() {
            return draft;
        }
        let mut marks = self.marks(&piece, &mut draft.mentions, user);
        if marks.is_empty() {
            return draft;
        }
        marks.extend(self.link_marks(&piece));
        draft.html = Some(self.html(piece, &marks));
        draft
    }

    /// What is styled or mentioned in a piece; those who are mentioned are added to `mentioned`.
    fn marks(
        &self,
        piece: &Range<usize>,
        mentioned: &mut Vec<UserId>,
        user: impl Fn(&Handle) -> UserId,
    ) -> Vec<(Range<usize>, Mark)> {
        let offsets = Offsets::of(self.text);
        let clip = |start: u32, length: u32| {
            let start = offsets.byte(start).max(piece.start)
                ..offsets.byte(start.saturating_add(length)).min(piece.end);
            (!start.is_empty()).then_some(start)
        };
        let mut marks = Vec::new();
        for span in self.spans {
            let Some(tag) = tag(span.style) else { continue };
            if let Some(range) = clip(span.start, span.length) {
                marks.push((range, Mark::Tag(tag)));
            }
        }
        for mention in self.mentions {
            let Some(range) = clip(mention.start, mention.length) else {
                continue;
            };
            let who = user(&mention.handle);
            marks.push((range, Mark::Link(user_link(&who))));
            if !mentioned.contains(&who) {
                mentioned.push(who);
            }
        }
        marks
    }

    /// The places of links, which the body names without their places.
    fn link_marks(&self, piece: &Range<usize>) -> Vec<(Range<usize>, Mark)> {
        let mut marks = Vec::new();
        let mut from = piece.start;
        for link in self.links {
            if !link.starts_with("https://") && !link.starts_with("http://") {
                continue;
            }
            if let Some(at) = self.get(from..piece.end).find(link.as_str()) {
                let start = from + at;
                from = start + link.len();
                marks.push((start..from, Mark::Link(link.clone())));
            }
        }
        marks
    }

    /// Sweeps over the places where something begins or ends.
    fn html(&self, piece: Range<usize>, marks: &[(Range<usize>, Mark)]) -> String {
        let mut turns: Vec<(usize, bool, &Mark)> = Vec::with_capacity(2 * marks.len());
        for (range, mark) in marks {
            turns.push((range.start, true, mark));
            turns.push((range.end, false, mark));
        }
        turns.sort_by_key(|(at, begins, _)| (*at, *begins));
        let mut html = Html::default();
        let mut from = piece.start;
        for (at, begins, mark) in turns {
            html.push(self.get(from..at));
            from = at;
            html.turn(mark, begins);
        }
        html.push(self.get(from..piece.end));
        html.finish()
    }
}

/// A mark on a stretch of text.
enum Mark {
    /// An element, by its place in [`TAGS`].
    Tag(usize),
    /// A link to a user or a page.
    Link(String),
}

/// The elements that stand for styles.
const TAGS: [&str; 4] = ["strong", "em", "u", "del"];

/// The element of a style. Text effects have none and are shown as plain text (MS-15).
fn tag(style: Style) -> Option<usize> {
    match style {
        Style::Bold => Some(0),
        Style::Italic => Some(1),
        Style::Underline => Some(2),
        Style::Strikethrough => Some(3),
        Style::Effect(_) => None,
    }
}

/// HTML in the making: what is open at the place that comes next.
#[derive(Default)]
struct Html<'a> {
    text: String,
    tags: [u32; TAGS.len()],
    link: Option<&'a str>,
    /// The link that is open in `text`.
    open: Option<&'a str>,
}

impl<'a> Html<'a> {
    fn turn(&mut self, mark: &'a Mark, begins: bool) {
        match mark {
            Mark::Tag(tag) => {
                if let Some(count) = self.tags.get_mut(*tag) {
                    *count = if begins {
                        count.saturating_add(1)
                    } else {
                        count.saturating_sub(1)
                    };
                }
            }
            Mark::Link(link) if begins => self.link = Some(link),
            Mark::Link(link) => {
                if self.link == Some(link) {
                    self.link = None;
                }
            }
        }
    }

    /// Adds text that has the same marks all over.
    fn push(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if self.open != self.link {
            self.close_link();
            if let Some(link) = self.link {
                self.text.push_str("<a href=\"");
                push_text(&mut self.text, link);
                self.text.push_str("\">");
            }
            self.open = self.link;
        }
        let open = || {
            TAGS.iter()
                .zip(self.tags)
                .filter(|(_, count)| *count > 0)
                .map(|(tag, _)| *tag)
        };
        let tags: Vec<&str> = open().collect();
        for tag in &tags {
            self.text.extend(["<", tag, ">"]);
        }
        let mut rest = text;
        while let Some(at) = rest.find(is_placeholder) {
            let (before, after) = rest.split_at(at);
            push_text(&mut self.text, before);
            rest = after.trim_start_matches(is_placeholder);
        }
        push_text(&mut self.text, rest);
        for tag in tags.iter().rev() {
            self.text.extend(["</", tag, ">"]);
        }
    }

    fn close_link(&mut self) {
        if self.open.take().is_some() {
            self.text.push_str("</a>");
        }
    }

    fn finish(mut self) -> String {
        self.close_link();
        self.text
    }
}

/// Text for an event, as it is being dressed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Draft {
    /// As plain text.
    pub(super) body: String,
    /// As HTML, where that says more.
    pub(super) html: Option<String>,
    /// Who is mentioned.
    pub(super) mentions: Vec<UserId>,
}

impl Draft {
    /// Text of our own.
    pub(super) fn plain(body: impl Into<String>) -> Self {
        Self {
            body: body.into(),
            ..Self::default()
        }
    }

    /// Its HTML, made of the plain text where there is none yet.
    fn html(&self) -> String {
        self.html.clone().unwrap_or_else(|| {
            let mut html = String::with_capacity(self.body.len());
            push_text(&mut html, &self.body);
            html
        })
    }

    /// With a bold first line (MS-14).
    pub(super) fn under_subject(&mut self, subject: &str) {
        let mut html = "<strong>".to_owned();
        push_text(&mut html, subject);
        html.push_str("</strong>");
        if self.body.is_empty() {
            subject.clone_into(&mut self.body);
        } else {
            html.push_str("<br/>");
            html.push_str(&self.html());
            self.body = format!("{subject}\n{}", self.body);
        }
        self.html = Some(html);
    }

    /// Hidden until it is clicked on (MS-45). The plain text stays: a client without HTML must be able to show it.
    pub(super) fn as_spoiler(&mut self) {
        self.html = Some(format!("<span data-mx-spoiler>{}</span>", self.html()));
    }

    /// The content of an `m.room.message`. HTML that does not fit is left out: the plain text says the same.
    pub(super) fn into_content(self, msgtype: &str) -> Content {
        let mut content = Content::new();
        content.insert("msgtype".to_owned(), msgtype.into());
        content.insert("body".to_owned(), self.body.into());
        if let Some(html) = self.html.filter(|html| html.len() <= EVENT_TEXT_BYTES) {
            content.insert("format".to_owned(), "org.matrix.custom.html".into());
            content.insert("formatted_body".to_owned(), html.into());
        }
        content.insert("m.mentions".to_owned(), mentions(&self.mentions));
        content
    }
}

/// Who is mentioned, in the form of `m.mentions`. Empty, it keeps clients from searching the text for names.
fn mentions(users: &[UserId]) -> Value {
    if users.is_empty() {
        return json!({});
    }
    let users: Vec<&str> = users.iter().map(UserId::as_str).collect();
    json!({ "user_ids": users })
}

/// Text for readers, of what a source wrote: no placeholders, no blanks around it.
pub(super) fn shown(text: &str) -> Option<String> {
    let shown: String = text
        .trim_matches(is_blank)
        .chars()
        .filter(|c| !is_placeholder(*c))
        .collect();
    (!shown.is_empty()).then_some(shown)
}

/// The beginning of a text, whole characters of at most so many bytes.
pub(super) fn begin(text: &str, bytes: usize) -> &str {
    text.get(..floor(text, bytes)).unwrap_or_default()
}

/// What is no text: places of attachments and balloons, and NUL, which clients cannot show.
fn is_placeholder(c: char) -> bool {
    matches!(c, ATTACHMENT_PLACEHOLDER | BALLOON_PLACEHOLDER | '\0')
}

fn is_blank(c: char) -> bool {
    is_placeholder(c) || matches!(c, ' ' | '\t' | '\r' | '\n' | '\u{2028}' | '\u{2029}')
}

/// How long the next piece of a text is: up to a line break in the last quarter of what fits, else a space, else as
/// much as fits (MS-17).
fn piece_length(text: &str, limit: usize) -> usize {
    let fits = floor(text, limit);
    let quarter = floor(text, limit - limit / 4);
    let last = text.get(quarter..fits).unwrap_or_default();
    let cut = last.rfind('\n').or_else(|| last.rfind(' '));
    // Cut behind the blank, which is one byte.
    cut.map_or(fits, |at| quarter + at + 1)
}

/// The last boundary of a character that is not behind a place.
fn floor(text: &str, place: usize) -> usize {
    if place >= text.len() {
        return text.len();
    }
    (0..=place)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or_default()
}

/// The byte at which a UTF-16 code unit begins; the end for what is behind it.
fn byte_of(text: &str, unit: u32) -> usize {
    let unit = usize::try_from(unit).unwrap_or(usize::MAX);
    if text.is_ascii() {
        return unit.min(text.len());
    }
    let mut units = 0;
    for (at, c) in text.char_indices() {
        if units >= unit {
            return at;
        }
        units += c.len_utf16();
    }
    text.len()
}

/// The bytes of all UTF-16 code units of a text that has marks.
enum Offsets {
    /// Each unit is a byte.
    Ascii(usize),
    /// By unit.
    Table(Vec<usize>),
}

impl Offsets {
    fn of(text: &str) -> Self {
        if text.is_ascii() {
            return Self::Ascii(text.len());
        }
        let mut table = Vec::with_capacity(text.len() + 1);
        for (at, c) in text.char_indices() {
            // The second half of a pair is no place to cut at.
            table.resize(table.len() + c.len_utf16(), at);
        }
        table.push(text.len());
        Self::Table(table)
    }

    fn byte(&self, unit: u32) -> usize {
        let unit = usize::try_from(unit).unwrap_or(usize::MAX);
        match self {
            Self::Ascii(length) => unit.min(*length),
            Self::Table(table) => table.get(unit).or(table.last()).copied().unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::proptest;

    use super::Draft;
    use super::Marked;
    use super::piece_length;
    use crate::base::ids::Handle;
    use crate::matrix::ids::Account;
    use crate::matrix::ids::ServerName;
    use crate::model::body::Body;
    use crate::model::body::Mention;
    use crate::model::body::Span;
    use crate::model::body::Style;

    fn drafts(body: &Body) -> Vec<Draft> {
        let account = Account::new("ada", ServerName::parse("example.org").unwrap()).unwrap();
        let marked = Marked::body(body);
        let pieces = marked.pieces(marked.whole());
        pieces
            .into_iter()
            .map(|piece| marked.draft(piece, |handle| account.ghost(handle)))
            .collect()
    }

    fn span(start: u32, length: u32, style: Style) -> Span {
        Span {
            start,
            length,
            style,
        }
    }

    fn html(text: &str, spans: Vec<Span>) -> Option<String> {
        let body = Body {
            spans,
            ..Body::plain(text)
        };
        drafts(&body).remove(0).html
    }

    #[test]
    fn styles_nest_and_overlap() {
        let spans = vec![span(0, 5, Style::Bold), span(3, 5, Style::Italic)];

        assert_eq!(
            html("abcdefgh<", spans).unwrap(),
            "<strong>abc</strong><strong><em>de</em></strong><em>fgh</em>&lt;"
        );
        assert_eq!(
            html(
                "ab",
                vec![
                    span(0, 1, Style::Underline),
                    span(1, 1, Style::Strikethrough)
                ]
            )
            .unwrap(),
            "<u>a</u><del>b</del>"
        );
    }

    #[test]
    fn offsets_count_utf_16_code_units() {
        let text = "\u{1f600}\u{e4}b c";

        assert_eq!(
            html(text, vec![span(2, 2, Style::Bold)]).unwrap(),
            "\u{1f600}<strong>\u{e4}b</strong> c"
        );
    }

    #[test]
    fn a_text_effect_is_plain_text() {
        assert_eq!(html("abc", vec![span(0, 3, Style::Effect(5))]), None);
    }

    #[test]
    fn a_mention_is_a_pill_and_named_in_the_draft() {
        let handle = Handle::from_normal("tel:+15550100001".to_owned());
        let mention = |start| Mention {
            start,
            length: 3,
            handle: handle.clone(),
        };
        let body = Body {
            mentions: vec![mention(3), mention(7)],
            links: vec!["https://example.org/?a&b".to_owned()],
            ..Body::plain("Hi Ann Ann https://example.org/?a&b")
        };

        let draft = drafts(&body).remove(0);

        let pill = "<a href=\"https://matrix.to/#/@imessage_+15550100001:example.org\">Ann</a>";
        let link = "<a href=\"https://example.org/?a&amp;b\">https://example.org/?a&amp;b</a>";
        assert_eq!(draft.html.unwrap(), format!("Hi {pill} {pill} {link}"));
        assert_eq!(draft.mentions.len(), 1);
    }

    #[test]
    fn placeholders_and_nul_are_no_text() {
        let body = Body {
            spans: vec![span(0, 9, Style::Bold)],
            ..Body::plain("\u{fffc} a\u{fffc}\0b \u{fffd}\n")
        };

        let draft = drafts(&body).remove(0);

        assert_eq!(draft.body, "ab");
        assert_eq!(draft.html.unwrap(), "<strong>ab</strong>");
        assert_eq!(drafts(&Body::plain("\u{fffc} \n")), vec![]);
    }

    #[test]
    fn a_long_text_is_cut_and_nothing_of_it_is_lost() {
        let line = "x".repeat(99);
        let text = vec![line.as_str(); 1_000].join("\n");

        let drafts = drafts(&Body::plain(text.clone()));

        let bodies: Vec<&str> = drafts.iter().map(|draft| draft.body.as_str()).collect();
        assert_eq!(bodies.len(), 4);
        assert_eq!(bodies.join("\n"), text);
    }

    #[test]
    fn a_cut_is_behind_a_blank_of_the_last_quarter_and_in_no_character() {
        assert_eq!(piece_length("aaaaaaaaa\na bb", 12), 10);
        assert_eq!(piece_length("aaaaaaaaaa aabb", 12), 11);
        assert_eq!(piece_length("a\naaaaaaaaaaaa", 12), 12);
        assert_eq!(piece_length("\u{1f600}\u{1f600}\u{1f600}", 10), 8);
    }

    proptest! {
        #[test]
        fn any_marks_on_any_text_make_balanced_html(
            text in any::<String>(),
            places in proptest::collection::vec((0..40_u32, 0..40_u32, 0..5_u32), 0..8),
        ) {
            let styles = [Style::Bold, Style::Italic, Style::Underline, Style::Strikethrough, Style::Effect(4)];
            let spans = places.iter().map(|(start, length, style)| {
                span(*start, *length, styles[*style as usize])
            });
            let body = Body { spans: spans.collect(), ..Body::plain(text) };

            for draft in drafts(&body) {
                let html = draft.html.unwrap_or_default();
                for tag in ["strong", "em", "u", "del"] {
                    let count = |text: &str| html.matches(text).count();
                    assert_eq!(count(&format!("<{tag}>")), count(&format!("</{tag}>")));
                }
            }
        }
    }
}
