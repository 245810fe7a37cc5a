//! Snippets: one line of a message around the first hit.

use std::ops::Range;

use unicode_segmentation::GraphemeCursor;

use crate::store::search::words::divides_word;

/// Stands for what is left out.
const ELLIPSIS: char = '\u{2026}';

/// One line of a text.
#[derive(Clone, PartialEq, Eq)]
pub struct Snippet {
    /// Without line breaks and control characters.
    pub text: String,
    /// Where the hits are in it, bytes, rising, apart.
    pub marks: Vec<Range<usize>>,
}

/// Snippets show messages: logs show none.
impl std::fmt::Debug for Snippet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Snippet({} bytes)", self.text.len())
    }
}

/// The part of a text around its first hit, at most `width` graphemes (an ellipsis at a cut end comes on top).
///
/// `hits` are byte ranges of `text`, rising by start, as [`super::Query::matches`] gives them; without one the text's
/// beginning is shown. Cut is between words where the width allows, never inside a grapheme. Runs of spaces, line
/// breaks, control characters and object placeholders become one space; bidirectional controls are left out, because a
/// cut would tear their pairs.
pub fn snippet(text: &str, hits: &[Range<usize>], width: usize) -> Snippet {
    // Hits of another text are none of this one.
    let hits = || hits.iter().filter(|hit| text.get((*hit).clone()).is_some());
    let hit = hits().next().map_or(0..0, |hit| graphemes(text, hit));
    let window = window(text, &hit, width);
    let hits: Vec<Range<usize>> = hits()
        .filter(|hit| hit.start < window.end && window.start < hit.end)
        .map(|hit| graphemes(text, hit))
        .collect();
    let mut snippet = Snippet {
        text: String::new(),
        marks: Vec::new(),
    };
    if !is_blank_text(text.get(..window.start)) {
        snippet.text.push(ELLIPSIS);
    }
    snippet.copy(text, &window, &hits);
    if !is_blank_text(text.get(window.end..)) {
        snippet.text.push(ELLIPSIS);
    }
    snippet
}

impl Snippet {
    /// Appends a part of the text in one line, and marks the hits in it.
    fn copy(&mut self, text: &str, window: &Range<usize>, hits: &[Range<usize>]) {
        let shown = text.get(window.clone()).unwrap_or_default();
        let mut hits = hits.iter().peekable();
        let mut marked: Option<&Range<usize>> = None;
        let mut is_first = true;
        let mut gap = false;
        for (at, c) in shown.char_indices() {
            let at = window.start + at;
            if is_blank(c) {
                gap = true;
                continue;
            }
            if is_bidirectional_control(c) {
                continue;
            }
            if gap && !is_first {
                self.text.push(' ');
            }
            (gap, is_first) = (false, false);
            let start = self.text.len();
            self.text.push(c);
            while hits.next_if(|hit| hit.end <= at).is_some() {}
            let Some(hit) = hits.peek().filter(|hit| hit.start <= at) else {
                continue;
            };
            match self.marks.last_mut() {
                Some(mark) if mark.end == start || marked == Some(hit) => {
                    mark.end = self.text.len();
                }
                Some(_) | None => self.marks.push(start..self.text.len()),
            }
            marked = Some(hit);
        }
    }
}

/// Which bytes to show.
fn window(text: &str, hit: &Range<usize>, width: usize) -> Range<usize> {
    let mut hit_end = hit.start;
    let mut room = width;
    while hit_end < hit.end && room > 0 {
        hit_end = next_bound(text, hit_end);
        room -= 1;
    }
    let before: Vec<usize> = std::iter::successors(Some(hit.start), |&at| previous_bound(text, at))
        .take(room.saturating_add(1))
        .collect();
    let after: Vec<usize> = std::iter::successors(Some(hit_end), |&at| {
        (at < text.len()).then(|| next_bound(text, at))
    })
    .take(room.saturating_add(1))
    .collect();
    // A third of the room is for what stands before the hit; what one side does not need is the other's.
    let wanted_before = (room / 3).max(room - (after.len() - 1));
    let taken_before = wanted_before.min(before.len() - 1);
    let taken_after = (room - taken_before).min(after.len() - 1);
    let whole_words = |at: &usize| !is_inside_word(text, *at);
    let start = before.get(..=taken_before).unwrap_or_default();
    let end = after.get(..=taken_after).unwrap_or_default();
    let start = start.iter().rev().copied().find(whole_words);
    let end = end.iter().rev().copied().find(whole_words);
    start.unwrap_or(hit.start)..end.unwrap_or(hit_end)
}

/// A range and what of the graphemes at its ends lies outside.
fn graphemes(text: &str, range: &Range<usize>) -> Range<usize> {
    let is_bound = |at| {
        GraphemeCursor::new(at, text.len(), true)
            .is_boundary(text, 0)
            .unwrap_or(true)
    };
    let start = if is_bound(range.start) {
        range.start
    } else {
        previous_bound(text, range.start).unwrap_or(0)
    };
    let end = if is_bound(range.end) {
        range.end
    } else {
        next_bound(text, range.end)
    };
    start..end
}

/// Where the grapheme before `at` begins; `None` at the beginning.
fn previous_bound(text: &str, at: usize) -> Option<usize> {
    GraphemeCursor::new(at, text.len(), true)
        .prev_boundary(text, 0)
        .ok()?
}

/// Where the grapheme after `at` ends.
fn next_bound(text: &str, at: usize) -> usize {
    let end = GraphemeCursor::new(at, text.len(), true).next_boundary(text, 0);
    end.ok().flatten().unwrap_or(text.len())
}

fn is_inside_word(text: &str, at: usize) -> bool {
    let before = text.get(..at).and_then(|text| text.chars().next_back());
    let after = text.get(at..).and_then(|text| text.chars().next());
    before
        .zip(after)
        .is_some_and(|(before, after)| divides_word(before, after))
}

fn is_blank_text(text: Option<&str>) -> bool {
    text.is_none_or(|text| text.chars().all(is_blank))
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control() || c == '\u{FFFC}'
}

fn is_bidirectional_control(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}' | '\u{061C}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::proptest;
    use unicode_segmentation::UnicodeSegmentation;

    use super::snippet;
    use crate::store::search::Query;

    /// The snippet of a text with its marks in brackets.
    fn shown(text: &str, query: &str, width: usize) -> String {
        let matches = Query::parse(query).unwrap().matches(&[text], &[]).unwrap();
        let hits: Vec<_> = matches.into_iter().map(|m| m.range).collect();
        let snippet = snippet(text, &hits, width);
        let mut shown = snippet.text;
        for mark in snippet.marks.into_iter().rev() {
            shown.insert(mark.end, ']');
            shown.insert(mark.start, '[');
        }
        shown
    }

    #[test]
    fn a_short_text_is_shown_whole_in_one_line() {
        assert_eq!(
            shown(" See you\r\n\r\n\tat noon \u{FFFC}", "NOON you", 40),
            "See [you] at [noon]"
        );
    }

    #[test]
    fn a_long_text_is_cut_between_words_on_both_sides() {
        let text = "one two three four five six seven eight nine ten eleven twelve";

        assert_eq!(
            shown(text, "six", 24),
            "\u{2026}five [six] seven eight\u{2026}"
        );
        assert_eq!(shown(text, "one", 16), "[one] two three\u{2026}");
        assert_eq!(shown(text, "twelve", 17), "\u{2026}ten eleven [twelve]");
    }

    #[test]
    fn a_phrase_is_one_mark() {
        assert_eq!(
            shown("from new  york, new york", "\"new york\"", 40),
            "from [new york], [new york]"
        );
    }

    #[test]
    fn a_hit_wider_than_the_line_is_cut() {
        assert_eq!(shown(&"abc".repeat(20), "abc*", 5), "[abcab]\u{2026}");
    }

    #[test]
    fn text_without_spaces_is_cut_between_characters() {
        let text = "\u{6771}\u{4EAC}\u{90FD}\u{5E81}\u{6240}\u{5728}\u{5730}";

        assert_eq!(
            shown(text, "\u{5E81}\u{6240}", 4),
            "\u{2026}[\u{5E81}\u{6240}]\u{5728}\u{5730}"
        );
    }

    #[test]
    fn hits_of_another_text_are_ignored() {
        let hits = [1..2, 0..99, 5..6];

        let snippet = snippet("\u{E9}t\u{E9}", &hits, usize::MAX);

        assert_eq!(
            (snippet.text.as_str(), snippet.marks),
            ("\u{E9}t\u{E9}", vec![])
        );
    }

    #[test]
    fn without_a_hit_the_beginning_is_shown() {
        assert_eq!(snippet("one two three", &[], 8).text, "one two\u{2026}");
    }

    proptest! {
        #[test]
        fn snippets_are_short_lines_of_whole_graphemes(
            text in ".*",
            query in "[a-z\u{E01}-\u{E3A}\u{1F1E6}-\u{1F1E8}]",
            width in 0usize..30,
        ) {
            let text = format!("{text}{query}{text}");
            let query = Query::parse(&query);
            let hits: Vec<_> = query
                .ok()
                .and_then(|query| query.matches(&[&text], &[]))
                .unwrap_or_default()
                .into_iter()
                .map(|m| m.range)
                .collect();

            let snippet = snippet(&text, &hits, width);

            assert!(!snippet.text.chars().any(char::is_control));
            assert!(snippet.marks.is_sorted_by(|a, b| a.end <= b.start));
            for mark in &snippet.marks {
                assert!(snippet.text.get(mark.clone()).is_some_and(|hit| !hit.is_empty()));
            }
            let inner = snippet.text.trim_matches('\u{2026}');
            assert!(inner.graphemes(true).count() <= width + 2, "{width}: {inner:?}");
        }
    }
}
