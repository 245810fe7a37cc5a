//! Which events a message has, before anything is asked of the store: the keys of its parts (MS-10).
//!
//! | part | what |
//! |---|---|
//! | 0 and on | as the body counts; a body of which only the text is known is part 0 |
//! | 0xFFFD | a balloon beside a body |
//! | 0xFFFE | a subject without text |
//! | 0xFFFF | files that no part names |
//!
//! Files beside other content in one part, such as Genmoji in a text, have pieces from 256 on.

use std::ops::Range;

use crate::base::ids::AttachmentGuid;
use crate::matrix::content::number;
use crate::matrix::text::Marked;
use crate::matrix::text::shown;
use crate::model::attachment::Attachment;
use crate::model::attachment::Role;
use crate::model::body::Body;
use crate::model::body::Part;
use crate::model::body::PartContent;
use crate::model::message::App;
use crate::model::message::Edit;
use crate::model::message::Flag;
use crate::model::message::Message;

const BALLOON_PART: u16 = 0xFFFD;
const SUBJECT_PART: u16 = 0xFFFE;
const LOOSE_PART: u16 = 0xFFFF;

/// The piece of the first file beside other content.
const FILE_PIECE: u16 = 256;

/// One event of a message.
pub(super) struct Slot<'a> {
    pub(super) part: u16,
    pub(super) piece: u16,
    pub(super) what: What<'a>,
}

/// What an event shows.
pub(super) enum What<'a> {
    /// A piece of text.
    Text(Marked<'a>, Range<usize>),
    /// A text that is empty, or that could not be read.
    NoText,
    /// A file.
    File(&'a Attachment),
    /// A file of which nothing but its place is known.
    LostFile,
    /// A balloon.
    App(&'a App),
    /// Nothing but a link, by its preview.
    Link(&'a str),
    /// Nothing but a subject.
    Subject,
    /// A part that was taken back.
    Unsent,
    /// Nothing could be read.
    Unreadable,
}

/// The events of a message, in order. None for a message without content.
pub(super) fn outline(message: &Message) -> Vec<Slot<'_>> {
    let mut outline = Outline {
        message,
        slots: Vec::new(),
        files: message
            .attachments
            .iter()
            .filter(|attachment| attachment.role == Role::File)
            .collect(),
    };
    if let Some(body) = &message.body {
        outline.add_body(body);
    }
    for edit in &message.edits {
        if !outline.has(edit.part) {
            outline.add_edited(edit);
        }
    }
    outline.add_files();
    for part in unsent_parts(message) {
        if !outline.has(part) {
            outline.add(part, 0, What::Unsent);
        }
    }
    outline.add_balloon();
    if outline.slots.is_empty() && !message.unreadable.is_empty() {
        outline.add(0, 0, What::Unreadable);
    }
    outline.slots.sort_by_key(|slot| (slot.part, slot.piece));
    let has_text = outline.slots.iter().any(|slot| slot.what.is_text());
    if !has_text && message.subject.as_deref().and_then(shown).is_some() {
        let subject = Slot {
            part: SUBJECT_PART,
            piece: 0,
            what: What::Subject,
        };
        outline.slots.insert(0, subject);
    }
    outline.slots
}

/// The parts that were taken back. A row that was emptied says only that everything was: part 0 stands for it then.
pub(super) fn unsent_parts(message: &Message) -> impl Iterator<Item = u16> {
    let emptied = message.unsent_parts.is_empty() && message.flags.has(Flag::Unsent);
    let all = emptied.then_some(0);
    message.unsent_parts.iter().copied().chain(all)
}

impl What<'_> {
    /// Whether a subject can stand above it.
    pub(super) fn is_text(&self) -> bool {
        matches!(self, Self::Text(..) | Self::NoText)
    }
}

/// An outline in the making.
struct Outline<'a> {
    message: &'a Message,
    slots: Vec<Slot<'a>>,
    /// Files that have no slot yet.
    files: Vec<&'a Attachment>,
}

impl<'a> Outline<'a> {
    fn add(&mut self, part: u16, piece: u16, what: What<'a>) {
        self.slots.push(Slot { part, piece, what });
    }

    fn has(&self, part: u16) -> bool {
        self.slots.iter().any(|slot| slot.part == part)
    }

    fn add_body(&mut self, body: &'a Body) {
        let marked = Marked::body(body);
        if body.parts.is_empty() && !self.add_original(0) {
            self.add_text(0, marked, marked.whole());
        }
        for part in &body.parts {
            match &part.content {
                PartContent::Text => {
                    if !self.add_original(part.number) {
                        self.add_text(part.number, marked, marked.range_of(part));
                    }
                }
                PartContent::Attachment(guid) => self.add_file(part, guid),
                PartContent::Balloon => {
                    if let Some(app) = &self.message.app {
                        self.add(part.number, 0, What::App(app));
                    }
                }
            }
        }
    }

    /// Adds the first text of a part that was edited; says whether it was.
    fn add_original(&mut self, part: u16) -> bool {
        let edit = self.message.edits.iter().find(|edit| edit.part == part);
        edit.is_some_and(|edit| self.add_edited(edit))
    }

    fn add_edited(&mut self, edit: &'a Edit) -> bool {
        let Some(first) = edit.versions.first() else {
            return false;
        };
        if let Some(marked) = Marked::version(first) {
            self.add_text(edit.part, marked, marked.whole());
        }
        // Its edits need something to be edits of.
        if !self.has(edit.part) {
            self.add(edit.part, 0, What::NoText);
        }
        true
    }

    fn add_text(&mut self, part: u16, marked: Marked<'a>, range: Range<usize>) {
        for (piece, range) in marked.pieces(range).into_iter().enumerate() {
            let piece = number(piece).min(FILE_PIECE - 1);
            self.add(part, piece, What::Text(marked, range));
        }
    }

    fn add_file(&mut self, part: &Part, guid: &AttachmentGuid) {
        let is_here = |file: &&'a Attachment| {
            let original = file.original_guid.as_ref();
            file.guid.is(guid) || original.is_some_and(|original| original.is(guid))
        };
        let at = self.files.iter().position(is_here);
        let at = at.or_else(|| {
            let is_named = |file: &&'a Attachment| file.part == Some(part.number);
            self.files.iter().position(is_named)
        });
        let what = at.map_or(What::LostFile, |at| What::File(self.files.remove(at)));
        let is_preview = |file: &Attachment| file.role == Role::Preview && file.guid.is(guid);
        if at.is_some() || !self.message.attachments.iter().any(is_preview) {
            self.add(part.number, 0, what);
        }
    }

    /// Adds the files that stand inside a text, or for which no part is known (MS-12).
    fn add_files(&mut self) {
        for file in std::mem::take(&mut self.files) {
            let part = file.part.unwrap_or(LOOSE_PART);
            let pieces = self.slots.iter().filter(|slot| slot.part == part);
            let last = pieces.map(|slot| slot.piece).max();
            let piece = last.map_or(0, |last| last.max(FILE_PIECE - 1).saturating_add(1));
            self.add(part, piece, What::File(file));
        }
    }

    /// Adds a balloon that has no place in the body, or a link that is nothing but its preview.
    fn add_balloon(&mut self) {
        let is_shown = |slot: &Slot<'_>| matches!(slot.what, What::App(_));
        let part = if self.slots.is_empty() {
            0
        } else {
            BALLOON_PART
        };
        if let Some(app) = &self.message.app {
            if !self.slots.iter().any(is_shown) {
                self.add(part, 0, What::App(app));
            }
        } else if let Some(preview) = &self.message.link_preview
            && let Some(url) = preview.original_url.as_ref().or(preview.url.as_ref())
            && !self.slots.iter().any(|slot| slot.what.is_text())
        {
            self.add(part, 0, What::Link(url));
        }
    }
}
