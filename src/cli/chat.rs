//! A conversation as lines of text: day lines, clock and author, hanging text, quotes, tapbacks.
//!
//! ```text
//! -- Monday, 3 March 2025 --
//! 09:41 Ann: a text that goes on
//!       in the next line (edited)
//!       <heart> Bob, Me
//!       / Ann: a text that goes on
//! 09:43 Bob: an answer to it
//! 09:50 * Ann added Carol
//! ```

use jiff::civil::Date;

use crate::app::conversations::Listed;
use crate::app::show::Entry;
use crate::app::show::Quote;
use crate::cli::days::Calendar;
use crate::cli::days::day_line;
use crate::cli::numbers;
use crate::cli::text::Clean;
use crate::cli::text::wrap;

/// Below the clock and the space after it.
const INDENT: &str = "      ";

/// Before what a reply answers: a corner that leads down to the reply.
const CORNER: &str = "      \u{256d} ";

/// Writes conversations, entry by entry.
pub(crate) struct Chat {
    calendar: Calendar,
    columns: usize,
    day: Option<Date>,
}

impl Chat {
    /// For a time zone, wrapped at so many columns.
    pub(crate) fn new(calendar: Calendar, columns: usize) -> Self {
        Self {
            calendar,
            columns,
            day: None,
        }
    }

    /// Begins a conversation: its title, who is in it, how much of it there is.
    pub(crate) fn begin(&mut self, out: &mut String, conversation: &Listed) {
        self.title(out, &conversation.title);
        let mut about = numbers::counted(conversation.messages, "message");
        if let (Some(first), Some(last)) = (conversation.first, conversation.last) {
            let (first, last) = (self.calendar.day(first), self.calendar.day(last));
            about = format!("{about}, {first} to {last}");
        }
        if let Some(filed) = conversation.filed {
            about = format!("{about}, {filed}");
        }
        if conversation.deleted.is_some() {
            about = format!("{about}, deleted");
        }
        wrap(out, "", &Clean::line(&about), self.columns);
        let members = conversation.members.join(", ");
        if members != conversation.title && !members.is_empty() {
            wrap(out, "with ", &Clean::line(&members), self.columns);
        }
        for key in std::iter::once(&conversation.key).chain(&conversation.merged) {
            wrap(out, "", &Clean::line(key), self.columns);
        }
    }

    /// Begins with a line alone.
    pub(crate) fn title(&mut self, out: &mut String, title: &str) {
        self.day = None;
        wrap(out, "", &Clean::line(title), self.columns);
    }

    /// Adds one message with what belongs to it.
    pub(crate) fn add(&mut self, out: &mut String, entry: &Entry) {
        let day = self.calendar.day(entry.at);
        if self.day != Some(day) {
            out.push('\n');
            out.push_str(&day_line(day));
            out.push('\n');
            self.day = Some(day);
        }
        if let Some(quote) = &entry.reply_to {
            self.wrap(out, CORNER, &quoted(quote));
        }
        let clock = format!("{} ", self.calendar.clock(entry.at));
        let mut paragraphs = paragraphs(entry).into_iter();
        self.wrap(out, &clock, &paragraphs.next().unwrap_or_default());
        for paragraph in paragraphs {
            self.wrap(out, INDENT, &paragraph);
        }
        if !entry.tapbacks.is_empty() {
            let groups: Vec<String> = entry
                .tapbacks
                .iter()
                .map(|(emoji, people)| format!("{emoji} {}", people.join(", ")))
                .collect();
            self.wrap(out, INDENT, &groups.join("   "));
        }
    }

    fn wrap(&self, out: &mut String, lead: &str, text: &str) {
        wrap(out, lead, &Clean::text(text), self.columns);
    }
}

/// Author, subject, text and cards, with the notes at the end of the last text.
fn paragraphs(entry: &Entry) -> Vec<String> {
    let notes = match entry.notes.as_slice() {
        [] => None,
        notes => Some(format!("({})", notes.join(", "))),
    };
    if let Some(said) = &entry.announcement {
        let who = if entry.from_me { "You" } else { &entry.author };
        let sentence = [Some(format!("* {who} {said}")), notes];
        return vec![sentence.into_iter().flatten().collect::<Vec<_>>().join(" ")];
    }
    let mut texts: Vec<String> = entry.subject.iter().chain(&entry.text).cloned().collect();
    let cards = &entry.cards;
    match (texts.last_mut(), notes) {
        (Some(text), Some(notes)) => {
            text.push(' ');
            text.push_str(&notes);
            texts.extend(cards.iter().cloned());
        }
        (_, notes) => {
            texts.extend(cards.iter().cloned());
            texts.extend(notes);
        }
    }
    match texts.first_mut() {
        Some(first) => *first = format!("{}: {first}", entry.author),
        None => texts.push(format!("{}: (no text)", entry.author)),
    }
    texts
}

fn quoted(quote: &Quote) -> String {
    match (&quote.author, &quote.text) {
        (None, _) => "a message that the archive does not have".to_owned(),
        (Some(author), None) => format!("{author}: (no text)"),
        (Some(author), Some(text)) => format!("{author}: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::base::time::AppleTime;

    fn chat(entries: &[Entry], columns: usize) -> String {
        let mut chat = Chat::new(Calendar::of(TimeZone::UTC), columns);
        let mut out = String::new();
        for entry in entries {
            chat.add(&mut out, entry);
        }
        out
    }

    fn entry(at: &str, author: &str, text: Option<&str>) -> Entry {
        let at: Timestamp = at.parse().unwrap();
        Entry {
            at: AppleTime::from_timestamp(at),
            author: author.to_owned(),
            text: text.map(str::to_owned),
            ..Entry::default()
        }
    }

    #[test]
    fn a_day_is_named_once_and_text_hangs_below_the_clock() {
        let shown = chat(
            &[
                entry(
                    "2025-03-03T09:41:00Z",
                    "Ann",
                    Some("one two three four five six"),
                ),
                entry("2025-03-03T09:43:00Z", "Bob", Some("yes\nno")),
                entry("2025-03-04T00:01:00Z", "Ann", Some("late")),
            ],
            24,
        );

        assert_eq!(
            shown,
            "\n\u{2500}\u{2500} Monday, 3 March 2025 \u{2500}\u{2500}\n\
             09:41 Ann: one two three\n      four five six\n\
             09:43 Bob: yes\n      no\n\
             \n\u{2500}\u{2500} Tuesday, 4 March 2025 \u{2500}\u{2500}\n\
             00:01 Ann: late\n"
        );
    }

    #[test]
    fn what_belongs_to_a_message_stands_with_it() {
        let message = Entry {
            reply_to: Some(Quote {
                author: Some("Bob".to_owned()),
                text: Some("who?".to_owned()),
            }),
            subject: Some("News".to_owned()),
            cards: vec!["[a.jpg] image/jpeg".to_owned()],
            notes: vec!["edited".to_owned()],
            tapbacks: vec![("+".to_owned(), vec!["Bob".to_owned(), "Me".to_owned()])],
            ..entry("2025-03-03T09:41:00Z", "Ann", Some("me"))
        };

        let shown = chat(&[message], 80);

        let (_, shown) = shown.split_once("2025").unwrap();
        assert_eq!(
            shown,
            " \u{2500}\u{2500}\n      \u{256d} Bob: who?\n09:41 Ann: News\n      me (edited)\n      \
             [a.jpg] image/jpeg\n      + Bob, Me\n"
        );
    }

    #[test]
    fn what_has_no_text_says_why() {
        let unsent = Entry {
            notes: vec!["unsent".to_owned()],
            ..entry("2025-03-03T09:41:00Z", "Ann", None)
        };
        let added = Entry {
            announcement: Some("added Bob".to_owned()),
            ..entry("2025-03-03T09:42:00Z", "Ann", None)
        };
        let own = Entry {
            from_me: true,
            announcement: Some("left".to_owned()),
            ..entry("2025-03-03T09:42:30Z", "Me", None)
        };
        let nothing = entry("2025-03-03T09:43:00Z", "Ann", None);

        let shown = chat(&[unsent, added, own, nothing], 80);

        assert!(shown.contains("09:41 Ann: (unsent)\n"), "{shown}");
        assert!(shown.contains("09:42 * Ann added Bob\n"), "{shown}");
        assert!(shown.contains("09:42 * You left\n"), "{shown}");
        assert!(shown.contains("09:43 Ann: (no text)\n"), "{shown}");
    }

    #[test]
    fn a_name_cannot_drive_the_terminal() {
        let shown = chat(
            &[entry("2025-03-03T09:41:00Z", "A\u{1b}[2J", Some("x"))],
            80,
        );

        assert!(shown.contains("09:41 A\u{241b}[2J: x"), "{shown}");
    }
}
