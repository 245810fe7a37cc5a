//! The body of a message: its text, and what the runs of its attributed text say about it.
//!
//! | attribute | becomes |
//! |---|---|
//! | `__kIMMessagePartAttributeName` | part; adjacent runs of one number are one bubble |
//! | `__kIMFileTransferGUIDAttributeName` | attachment in that part |
//! | `IMAudioTranscription`, `__kIMFilenameAttributeName` | what is known of that attachment |
//! | `__kIMMentionConfirmedMention` | mention |
//! | `__kIMLinkAttributeName` | link |
//! | `__kIMTextBoldAttributeName` and the like, `__kIMTextEffectAttributeName` | span |
//!
//! Others (what data detectors found, sizes, directions) are not read.
//!
//! Source: `[obs]` chat.db of macOS 13 to 26; MS-10 to MS-16.

use crate::base::ids::AttachmentGuid;
use crate::base::ids::Handle;
use crate::codec::typedstream::Attribute;
use crate::codec::typedstream::AttributedText;
use crate::codec::typedstream::Run;
use crate::codec::typedstream::decode_attributed;
use crate::codec::typedstream::plain_text;
use crate::codec::typedstream::salvage_text;
use crate::decode::chatdb::Directory;
use crate::decode::chatdb::Unreadable;
use crate::model::body::BALLOON_PLACEHOLDER;
use crate::model::body::Body;
use crate::model::body::Mention;
use crate::model::body::Part;
use crate::model::body::PartContent;
use crate::model::body::Span;
use crate::model::body::Style;
use crate::model::record::MessageColumn;
use crate::model::record::Row;

const PART: &str = "__kIMMessagePartAttributeName";
const FILE_GUID: &str = "__kIMFileTransferGUIDAttributeName";
const FILE_NAME: &str = "__kIMFilenameAttributeName";
const TRANSCRIPTION: &str = "IMAudioTranscription";
const MENTION: &str = "__kIMMentionConfirmedMention";
const LINK: &str = "__kIMLinkAttributeName";
const BOLD: &str = "__kIMTextBoldAttributeName";
const ITALIC: &str = "__kIMTextItalicAttributeName";
const UNDERLINE: &str = "__kIMTextUnderlineAttributeName";
const STRIKETHROUGH: &str = "__kIMTextStrikethroughAttributeName";
const EFFECT: &str = "__kIMTextEffectAttributeName";

/// What a row's body holds.
#[derive(Default)]
pub(super) struct FoundBody {
    /// The body; `None` when there is no text in it.
    pub(super) body: Option<Body>,
    /// The places of attachments, in the order of the text.
    pub(super) placeholders: Vec<Placeholder>,
}

/// The place of an attachment in a body, and what the body says of it.
pub(in crate::decode) struct Placeholder {
    pub(in crate::decode) guid: AttachmentGuid,
    pub(in crate::decode) part: u16,
    pub(super) name: Option<String>,
    pub(super) transcription: Option<String>,
}

/// Reads the body of a row: the attributed body, else the text column, else what can be saved of a damaged body.
pub(super) fn body(row: &Row, people: &Directory, unreadable: &mut Unreadable) -> FoundBody {
    let blob = row.blob(MessageColumn::AttributedBody);
    if let Some((text, length)) = blob.and_then(plain_text) {
        return from_plain(text, length);
    }
    let attributed = match blob.map(decode_attributed) {
        Some(Ok(attributed)) => Some(attributed),
        Some(Err(error)) => {
            unreadable.add("attributedBody", error);
            None
        }
        None => None,
    };
    if let Some(attributed) = attributed.filter(|attributed| !attributed.text.is_empty()) {
        return from_attributed(attributed, people);
    }
    let text = row.text(MessageColumn::Text).map(str::to_owned);
    FoundBody {
        body: text.or_else(|| salvage_text(blob?)).map(Body::plain),
        placeholders: Vec::new(),
    }
}

/// A body of one part.
fn from_plain(text: &str, length: u32) -> FoundBody {
    let mut body = Body::plain(text);
    add_part(&mut body.parts, 0, Place { start: 0, length }, None);
    FoundBody {
        body: Some(finished(body)),
        placeholders: Vec::new(),
    }
}

fn from_attributed(attributed: AttributedText, people: &Directory) -> FoundBody {
    let mut found = FoundBody::default();
    let mut body = Body::default();
    for run in &attributed.runs {
        let mut marks = Marks::default();
        for (name, value) in entries(&attributed, *run) {
            marks.read(name, value);
        }
        let file = marks.file_guid.and_then(AttachmentGuid::parse);
        let number = marks
            .part
            .unwrap_or_else(|| next_number(&body.parts, file.is_some()));
        let place = Place {
            start: run.start,
            length: run.length,
        };
        add_part(&mut body.parts, number, place, file.as_ref());
        if let Some(guid) = file {
            found.placeholders.push(Placeholder {
                guid,
                part: number,
                name: marks.file_name.map(str::to_owned),
                transcription: marks.transcription.map(str::to_owned),
            });
        }
        if let Some(handle) = people.handle(marks.mention) {
            add_mention(&mut body.mentions, place, handle);
        }
        if let Some(link) = marks.link
            && body.links.last() != Some(&link)
        {
            body.links.push(link);
        }
        body.spans.extend(
            marks
                .styles
                .into_iter()
                .flatten()
                .map(|style| place.span(style)),
        );
    }
    cover(&mut body.parts, &attributed.text);
    body.text = attributed.text;
    found.body = Some(finished(body));
    found
}

/// A balloon is a part of its own that holds nothing but a placeholder.
fn finished(mut body: Body) -> Body {
    if let [part] = body.parts.as_mut_slice()
        && body.text.chars().eq([BALLOON_PLACEHOLDER])
    {
        part.content = PartContent::Balloon;
    }
    body
}

/// The styled stretches of a text that is shown for itself, such as an earlier version.
pub(super) fn spans(attributed: &AttributedText) -> Vec<Span> {
    let mut spans = Vec::new();
    for run in &attributed.runs {
        let place = Place {
            start: run.start,
            length: run.length,
        };
        for (name, value) in entries(attributed, *run) {
            spans.extend(style(name, value).map(|style| place.span(style)));
        }
    }
    spans
}

/// The attributes of a run.
fn entries(attributed: &AttributedText, run: Run) -> &[(String, Attribute)] {
    attributed
        .attributes(run)
        .map_or(&[], |dictionary| &dictionary.0)
}

/// A stretch of text, in UTF-16 code units.
#[derive(Clone, Copy)]
struct Place {
    start: u32,
    length: u32,
}

impl Place {
    fn span(self, style: Style) -> Span {
        Span {
            start: self.start,
            length: self.length,
            style,
        }
    }
}

/// What the attributes of one run say.
#[derive(Default)]
struct Marks<'a> {
    part: Option<u16>,
    file_guid: Option<&'a str>,
    file_name: Option<&'a str>,
    transcription: Option<&'a str>,
    mention: Option<&'a str>,
    link: Option<String>,
    /// At most one of each of the four looks and an effect.
    styles: [Option<Style>; 5],
}

impl<'a> Marks<'a> {
    fn read(&mut self, name: &str, value: &'a Attribute) {
        match name {
            PART => self.part = value.as_integer().and_then(|part| part.try_into().ok()),
            FILE_GUID => self.file_guid = value.as_text(),
            FILE_NAME => self.file_name = value.as_text(),
            TRANSCRIPTION => self.transcription = value.as_text(),
            MENTION => self.mention = value.as_text(),
            LINK => {
                let text = || value.as_text().map(str::to_owned);
                self.link = value.as_url().or_else(text);
            }
            _ => {
                let style = style(name, value);
                if let Some(free) = self.styles.iter_mut().find(|slot| slot.is_none()) {
                    *free = style;
                }
            }
        }
    }
}

/// How an attribute makes text look.
fn style(name: &str, value: &Attribute) -> Option<Style> {
    let style = match name {
        BOLD => Style::Bold,
        ITALIC => Style::Italic,
        UNDERLINE => Style::Underline,
        STRIKETHROUGH => Style::Strikethrough,
        EFFECT => return value.as_integer()?.try_into().ok().map(Style::Effect),
        _ => return None,
    };
    (value.as_integer()? != 0).then_some(style)
}

/// The number of a run that has none: attachments are parts of their own (MS-10).
fn next_number(parts: &[Part], is_file: bool) -> u16 {
    match parts.last() {
        None => 0,
        Some(last) if is_file || last.content != PartContent::Text => last.number.saturating_add(1),
        Some(last) => last.number,
    }
}

/// Adds a run to its part. An attachment beside text in one part is shown inline, so that the part is text.
fn add_part(parts: &mut Vec<Part>, number: u16, place: Place, file: Option<&AttachmentGuid>) {
    if let Some(last) = parts.last_mut().filter(|last| last.number == number) {
        last.length = last.length.saturating_add(place.length);
        last.content = PartContent::Text;
        return;
    }
    parts.push(Part {
        number,
        start: place.start,
        length: place.length,
        content: file.map_or(PartContent::Text, |guid| {
            PartContent::Attachment(guid.clone())
        }),
    });
}

/// Adds a mention; one whose name is cut into several runs, by a style, is one.
fn add_mention(mentions: &mut Vec<Mention>, place: Place, handle: Handle) {
    if let Some(last) = mentions.last_mut()
        && last.handle == handle
        && last.start.saturating_add(last.length) == place.start
    {
        last.length = last.length.saturating_add(place.length);
        return;
    }
    mentions.push(Mention {
        start: place.start,
        length: place.length,
        handle,
    });
}

/// Text behind the last run belongs to a part too.
fn cover(parts: &mut Vec<Part>, text: &str) {
    let length = if text.is_ascii() {
        text.len()
    } else {
        text.encode_utf16().count()
    };
    let Some(last) = parts.last() else { return };
    let covered = last.start.saturating_add(last.length);
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    if length > covered {
        let rest = Place {
            start: covered,
            length: length.saturating_sub(covered),
        };
        add_part(parts, next_number(parts, false), rest, None);
    }
}
