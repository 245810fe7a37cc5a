//! The messages of the invented account, each made from its index when it is asked for, so that a million take no memory.

use crate::base::time::AppleTime;
use crate::codec::property_list::Plist;
use crate::codec::typedstream::Attribute;
use crate::codec::typedstream::AttributedText;
use crate::codec::typedstream::Attributes;
use crate::codec::typedstream::Run;
use crate::codec::typedstream::Url;
use crate::codec::typedstream::encode;
use crate::demo::Dirtiness;
use crate::demo::cast;
use crate::demo::cast::Cast;
use crate::demo::cast::Chat;
use crate::demo::cast::ChatKind;
use crate::demo::link;
use crate::demo::plan::BLOCK;
use crate::demo::plan::BUSINESS;
use crate::demo::plan::CYCLE;
use crate::demo::plan::DELETED_LATER;
use crate::demo::plan::Dirty;
use crate::demo::plan::EDITED_LATER;
use crate::demo::plan::Part;
use crate::demo::plan::Place;
use crate::demo::plan::Target;
use crate::demo::plan::UNANSWERED_SLOT;
use crate::demo::plan::file_places;
use crate::demo::random::Names;
use crate::demo::random::Random;
use crate::demo::random::Stream;
use crate::demo::record::Body;
use crate::demo::record::Dirt;
use crate::demo::record::MessageDraft;
use crate::demo::record::dictionary;
use crate::demo::record::seconds;
use crate::demo::truth::Readable;
use crate::demo::truth::Truth;
use crate::demo::truth::What;
use crate::demo::words;
use crate::demo::zone::ZoneKind;

const NANOS: i64 = 1_000_000_000;

/// The first message: 2014-01-01, in seconds since 2001.
const BEGIN_SECONDS: i64 = 410_227_200;

/// From the first to the last message, about eleven years.
const SPAN_SECONDS: i64 = 350_000_000;

/// The type of message records.
pub(super) const MESSAGE: &str = "MessageEncryptedV3";

/// The bits of `flags` (facts, 3.5).
const FINISHED: i64 = 1;
const FROM_ME: i64 = 1 << 2;
const DELIVERED: i64 = 1 << 12;
const READ: i64 = 1 << 13;
const SYSTEM: i64 = 1 << 14;
const SENT: i64 = 1 << 15;
const AUDIO: i64 = 1 << 21;

const PLACEHOLDER: &str = "\u{fffc}";

const PART: &str = "__kIMMessagePartAttributeName";
const FILE: &str = "__kIMFileTransferGUIDAttributeName";
const LINK: &str = "__kIMLinkAttributeName";

/// Which key a record is written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyChoice {
    Current,
    BeforeChange,
    Late,
    Own,
}

/// A message, with what it means.
#[derive(Clone)]
pub(super) struct Told {
    pub(super) draft: MessageDraft,
    pub(super) key: KeyChoice,
    pub(super) truth: Truth,
}

/// What stands at an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Message,
    /// A record of a type that nobody knows.
    Foreign,
    /// A change that names nothing.
    NoIdentifier,
    /// A change whose name is missing.
    EmptyIdentifier,
    /// The deletion of a record that never was.
    StrangeTombstone,
}

/// The messages.
pub(super) struct Story {
    pub(super) seed: u64,
    pub(super) messages: u64,
    pub(super) cast: Cast,
    pub(super) names: Names,
    /// Names of the messages of chats with businesses.
    business_names: Names,
    dirtiness: Dirtiness,
}

impl Story {
    pub(super) fn new(seed: u64, messages: u64, dirtiness: Dirtiness) -> Self {
        Self {
            seed,
            messages,
            cast: Cast::new(seed, messages, dirtiness == Dirtiness::AsSeen),
            names: Names::new(seed, ZoneKind::Message.number().into()),
            business_names: Names::new(seed, ZoneKind::BotMessage.number().into()),
            dirtiness,
        }
    }

    /// Whether it has what real accounts have.
    pub(super) fn is_dirty(&self) -> bool {
        self.dirtiness == Dirtiness::AsSeen
    }

    /// The GUID of a message, in upper case.
    pub(super) fn guid(&self, index: u64) -> String {
        Random::new(self.seed, Stream::Guid, index).uuid()
    }

    /// The GUID of a file, by its number among all.
    pub(super) fn file_guid(&self, number: u64) -> String {
        let uuid = Random::new(self.seed, Stream::File, number << 1).uuid();
        // Voice messages and stickers have bare ones.
        match number % file_places() {
            3 | 4 => uuid,
            at => format!("at_{}_{uuid}", u64::from(at == 2)),
        }
    }

    /// When a message was sent, nanoseconds since 2001. Businesses write at the same times as others.
    pub(super) fn time(&self, index: u64) -> i64 {
        let step =
            SPAN_SECONDS * NANOS / i64::try_from(self.messages.max(1_000)).unwrap_or(i64::MAX);
        let jitter =
            Random::new(self.seed, Stream::Message, index ^ (1 << 63)).below(step.unsigned_abs());
        let place = index.checked_sub(BUSINESS).unwrap_or(index);
        let index = i64::try_from(place).unwrap_or_default();
        BEGIN_SECONDS * NANOS + index * step + i64::try_from(jitter).unwrap_or_default()
    }

    /// The conversation of a block.
    fn chat(&self, place: Place) -> Option<&Chat> {
        if place.is_business() {
            return self.cast.business(place.slot != UNANSWERED_SLOT);
        }
        let mut random = Random::new(self.seed, Stream::Block, place.block());
        self.cast.chat(&mut random, place.needs_group())
    }

    fn part(&self, place: Place) -> Part {
        place.part(self.is_dirty())
    }

    /// What stands at an index.
    pub(super) fn entry(&self, index: u64) -> Entry {
        const OTHERS: [(Dirty, Entry); 4] = [
            (Dirty::Foreign, Entry::Foreign),
            (Dirty::NoIdentifier, Entry::NoIdentifier),
            (Dirty::EmptyIdentifier, Entry::EmptyIdentifier),
            (Dirty::StrangeTombstone, Entry::StrangeTombstone),
        ];
        let part = self.part(Place::of(index));
        let other = OTHERS
            .into_iter()
            .find(|(dirty, _)| part == Part::Dirty(*dirty));
        other.map_or(Entry::Message, |(_, entry)| entry)
    }

    /// The message at an index, as it was first written, or as it was after the changes at the end of its cycle.
    pub(super) fn message(&self, index: u64, is_edited: bool) -> Option<Told> {
        let place = Place::of(index);
        let mut author = Author::new(self, place, self.chat(place)?);
        author.write(self.part(place), is_edited);
        Some(author.told)
    }

    /// A message that came after the others.
    pub(super) fn later(&self, index: u64, conversation: usize, text: &str) -> Option<Told> {
        let chat = self.cast.chats.get(conversation)?;
        let mut author = Author::new(self, Place::of(index), chat);
        author.receive();
        author.say(text.to_owned());
        Some(author.told)
    }

    /// Whether the cycle of a message is whole, so that the changes at its end were made.
    pub(super) fn is_settled(&self, index: u64) -> bool {
        index / CYCLE < self.messages / CYCLE
    }

    /// Whether a message is deleted at the end of its cycle.
    pub(super) fn is_deleted(&self, index: u64) -> bool {
        index % CYCLE == DELETED_LATER && self.is_settled(index)
    }

    /// Whether a message is edited at the end of its cycle.
    pub(super) fn is_edited(&self, index: u64) -> bool {
        index % CYCLE == EDITED_LATER && self.is_settled(index)
    }
}

/// Writes one message.
struct Author<'a> {
    story: &'a Story,
    place: Place,
    chat: &'a Chat,
    random: Random,
    told: Told,
}

impl<'a> Author<'a> {
    fn new(story: &'a Story, place: Place, chat: &'a Chat) -> Self {
        let mut random = Random::new(story.seed, Stream::Message, place.index);
        let is_from_me = chat.members.is_empty() || random.percent(45) && chat.is_answered();
        let member = random.index(chat.members.len());
        let sender = chat.members.get(member).filter(|_| !is_from_me).cloned();
        let time = story.time(place.index);
        let guid = story.guid(place.index);
        let (zone, names) = if place.is_business() {
            (ZoneKind::BotMessage, story.business_names)
        } else {
            (ZoneKind::Message, story.names)
        };
        let record = names.name(place.index);
        let sent = u64::try_from(time).unwrap_or_default();
        let draft = MessageDraft {
            kind: MESSAGE,
            chat_id: chat_id(story.seed, chat, &mut random),
            sender: spelled(sender.as_deref().unwrap_or_default(), &mut random),
            time,
            own_handle: cast::OWN_NUMBER.to_owned(),
            // Live messages have upper case, CloudKit has both.
            guid: if random.percent(60) {
                guid.to_lowercase()
            } else {
                guid.clone()
            },
            service: chat.service.to_owned(),
            flags: if is_from_me {
                FINISHED | FROM_ME | DELIVERED | SENT
            } else {
                FINISHED | READ
            },
            body: Body {
                date_read: (!is_from_me).then_some(sent + 60_000_000_000),
                date_delivered: is_from_me.then_some(sent + 1_500_000_000),
                ..Body::default()
            },
            ..MessageDraft::default()
        };
        let truth = Truth {
            zone,
            record,
            guid,
            conversation: Some(chat.key.clone()),
            what: What::Message,
            text: None,
            earlier: Vec::new(),
            sender,
            is_from_me,
            sent: AppleTime::from_nanos(time),
            files: Vec::new(),
            target: None,
            readable: Readable::Yes,
        };
        let key = if place.index < story.messages / 3 {
            KeyChoice::BeforeChange
        } else {
            KeyChoice::Current
        };
        Self {
            story,
            place,
            chat,
            random,
            told: Told { draft, key, truth },
        }
    }

    fn write(&mut self, part: Part, is_edited: bool) {
        match part {
            Part::Text if is_edited => self.edited(),
            Part::Text => self.plain(),
            Part::Reply(back) => self.reply(back),
            Part::Tapback(form, back) => {
                let kind = 2_000 + self.random.below(6);
                self.tapback(kind, form, back);
            }
            Part::Untap => self.untap(),
            Part::EmojiTapback(back) => {
                self.told.draft.emoji = Some(self.random.pick(&words::EMOJI).to_owned());
                self.tapback(2_006, Target::Part, back);
            }
            Part::Edited => self.edited(),
            Part::Unsent => self.unsent(),
            Part::Link => self.link(),
            Part::Renamed => self.renamed(),
            Part::Joined => {
                self.told.draft.item_type = 1;
                self.told.truth.what = What::Notice(1);
            }
            Part::Files => self.files(),
            Part::Sticker(back) => {
                // The body of such a tapback is its file.
                self.tapback(2_007, Target::Part, back);
                self.files();
                self.told.truth.text = None;
            }
            Part::Effect => {
                self.plain();
                self.told.draft.body.effect = Some(self.random.pick(&words::EFFECTS).to_owned());
            }
            Part::Subject => {
                self.plain();
                self.told.draft.body.subject = Some(words::sentence(&mut self.random));
            }
            Part::Dirty(dirty) => self.dirty(dirty),
        }
    }

    /// Makes it a message of another member, if there is one.
    fn receive(&mut self) {
        if let Some(sender) = self.chat.members.first() {
            self.told.draft.sender.clone_from(sender);
            self.told.draft.flags = FINISHED;
            self.told.truth.sender = Some(sender.clone());
            self.told.truth.is_from_me = false;
        }
    }

    /// Sets the text and the body that says the same.
    fn say(&mut self, text: String) {
        let body = &mut self.told.draft.body;
        body.attributed = Some(encode(&plain_body(&text)));
        body.text = Some(text.clone());
        self.told.truth.text = Some(text);
    }

    fn plain(&mut self) {
        let text = words::sentence(&mut self.random);
        self.say(text);
        // Some records have the text in the body only.
        if self.random.percent(20) {
            self.told.draft.body.text = None;
        }
    }

    fn before(&self, back: u64) -> u64 {
        let first = self.place.index - self.place.index % BLOCK;
        self.place.index.saturating_sub(back).max(first)
    }

    fn reply(&mut self, back: u64) {
        self.plain();
        let target = self.story.guid(self.before(back));
        self.told.draft.reply = Some(format!("r:0:0:12:{target}"));
        self.told.truth.target = Some(target);
    }

    fn tapback(&mut self, kind: u64, form: Target, back: u64) {
        let at = self.before(back);
        self.react(kind, form, at, "an answer");
    }

    /// The tapback before this message is taken back, by whoever made it.
    fn untap(&mut self) {
        let made = self.place.index - 1;
        let Some(told) = self.story.message(made, false) else {
            return self.plain();
        };
        self.told.draft.sender.clone_from(&told.draft.sender);
        self.told.draft.flags = told.draft.flags;
        self.told.truth.sender.clone_from(&told.truth.sender);
        self.told.truth.is_from_me = told.truth.is_from_me;
        let kind = told.draft.body.associated_type.unwrap_or(2_000) + 1_000;
        self.react(kind, Target::Part, self.before(2), "an answer");
    }

    fn react(&mut self, kind: u64, form: Target, target: u64, quoted: &str) {
        let guid = self.story.guid(target);
        self.say(format!("Reacted to \u{201c}{quoted}\u{201d}"));
        let body = &mut self.told.draft.body;
        body.associated_type = Some(kind);
        body.associated_guid = Some(match form {
            Target::Part => format!("p:0/{guid}"),
            Target::Balloon => format!("bp:{guid}"),
            Target::Bare => guid.clone(),
        });
        body.associated_range = Some((0, 9));
        body.summary = Some(dictionary(&[
            ("amc", Plist::Integer(1)),
            ("ust", Plist::Boolean(true)),
            ("ams", Plist::Text(quoted.to_owned())),
        ]));
        self.told.truth.what = What::Tapback(kind);
        self.told.truth.target = Some(guid);
    }

    fn edited(&mut self) {
        // The text that it had when it was written first: the random numbers are the same.
        self.plain();
        let first = self.told.truth.text.take().unwrap_or_default();
        let mut versions = vec![first];
        for _ in 0..=self.random.below(2) {
            versions.push(words::sentence(&mut self.random));
        }
        edit(&mut self.told, &versions);
    }

    fn unsent(&mut self) {
        self.told.draft.body.summary = Some(dictionary(&[
            ("amc", Plist::Integer(0)),
            ("ust", Plist::Boolean(true)),
            ("otr", original_range(12)),
            ("rp", Plist::Array(vec![Plist::Integer(0)])),
        ]));
        self.told.truth.what = What::Unsent;
    }

    fn link(&mut self) {
        let (site, page) = (words::word(&mut self.random), words::word(&mut self.random));
        let url = format!("https://{site}.example.org/{page}?id={}", self.place.index);
        let attributes = vec![
            (PART.to_owned(), Attribute::Integer(0)),
            (LINK.to_owned(), Attribute::Url(Url::absolute(url.clone()))),
        ];
        let title = words::sentence(&mut self.random);
        let summary = words::sentence(&mut self.random);
        let body = &mut self.told.draft.body;
        body.attributed = Some(encode(&attributed(vec![(url.clone(), attributes)])));
        body.text = Some(url.clone());
        body.balloon = Some("com.apple.messages.URLBalloonProvider".to_owned());
        body.payload = Some(link::payload(&url, &title, &summary));
        self.told.truth.text = Some(url);
    }

    fn renamed(&mut self) {
        let name = self.chat.name.unwrap_or("Weekend").to_owned();
        self.told.draft.item_type = 2;
        self.told.draft.body.text = Some(name.clone());
        self.told.truth.what = What::Notice(2);
        self.told.truth.text = Some(name);
    }

    fn files(&mut self) {
        let numbers = self.place.files();
        let first = self.place.cycle * file_places();
        let files: Vec<_> = numbers.map(|(at, file)| (first + at, file)).collect();
        let is_live = self.place.slot == 81;
        let mut parts = Vec::new();
        for (number, file) in &files {
            let guid = self.story.file_guid(*number);
            if !(is_live && file.part == 1) {
                let attributes = vec![
                    (
                        PART.to_owned(),
                        Attribute::Integer(i64::try_from(file.part).unwrap_or_default()),
                    ),
                    (FILE.to_owned(), Attribute::Text(guid.clone())),
                ];
                parts.push((PLACEHOLDER.to_owned(), attributes));
            }
            self.told.truth.files.push(guid);
        }
        if self.random.percent(40) && self.place.slot != 52 {
            let text = words::sentence(&mut self.random);
            let part = i64::try_from(parts.len()).unwrap_or_default();
            parts.push((
                text.clone(),
                vec![(PART.to_owned(), Attribute::Integer(part))],
            ));
            self.told.truth.text = Some(text);
        }
        let whole: String = parts.iter().map(|(text, _)| text.as_str()).collect();
        let body = &mut self.told.draft.body;
        body.attributed = Some(encode(&attributed(parts)));
        body.text = Some(whole);
        if self.place.slot == 54 {
            self.told.draft.flags |= AUDIO;
        }
        if let (true, Some(movie)) = (is_live, self.told.truth.files.last()) {
            let companion = ("g".to_owned(), Plist::Text(movie.clone()));
            let companions = Plist::Array(vec![Plist::Dictionary(vec![companion])]);
            body.summary = Some(dictionary(&[("ams", companions)]));
        }
    }

    fn dirty(&mut self, dirty: Dirty) {
        self.plain();
        let told = &mut self.told;
        match dirty {
            Dirty::NumberForSubject => told.draft.dirt = Dirt::NumberForSubject,
            Dirty::NoBody => {
                told.draft.dirt = Dirt::NoBody;
                told.truth.text = None;
            }
            Dirty::UnknownFields => told.draft.dirt = Dirt::UnknownFields,
            Dirty::NoValue => {
                told.draft.dirt = Dirt::NoValue;
                told.truth.readable = Readable::BadField("sender");
                told.truth.sender = None;
            }
            Dirty::LateKey => {
                told.key = KeyChoice::Late;
                told.truth.readable = Readable::MissingKey;
            }
            Dirty::Damaged => {
                told.draft.dirt = Dirt::Damaged;
                told.truth.readable = Readable::BadField("msgProto");
                told.truth.text = None;
            }
            Dirty::NoGzip => {
                told.draft.dirt = Dirt::NoGzip;
                told.truth.readable = Readable::BadField("msgProto");
                told.truth.text = None;
            }
            Dirty::OddTime => {
                let odd = [0, -500_000_000_000_000_000, 700_000_000, i64::MAX];
                told.draft.time = self.random.pick(&odd);
                told.truth.sent = AppleTime::from_nanos(told.draft.time);
            }
            Dirty::NoGuid => {
                told.draft.guid = String::new();
                told.truth.guid = told.truth.record.to_uppercase();
            }
            Dirty::System => {
                told.draft.flags = FINISHED | SYSTEM;
                told.draft.sender = String::new();
                told.truth.sender = None;
                told.truth.is_from_me = false;
            }
            Dirty::UnknownChat => {
                told.draft.chat_id = format!("iMessage;+;chat{:020}", self.random.next());
                told.truth.conversation = None;
            }
            Dirty::OwnProtection => told.key = KeyChoice::Own,
            Dirty::ReplyWithPlaceholder => {
                let text = told.truth.text.clone().unwrap_or_default();
                self.say(format!("{PLACEHOLDER} {text}"));
                self.told.truth.text = Some(text);
                let target = self.story.guid(self.before(1));
                self.told.draft.reply = Some(format!("r:0:0:12:{target}"));
                self.told.truth.target = Some(target);
            }
            Dirty::EmptySender => {
                told.draft.dirt = Dirt::EmptySender;
                told.truth.sender = None;
            }
            Dirty::Foreign
            | Dirty::NoIdentifier
            | Dirty::EmptyIdentifier
            | Dirty::StrangeTombstone
            | Dirty::Plain => {}
        }
    }
}

/// Gives a message the texts that it had, the last of which it has now.
pub(super) fn edit(told: &mut Told, versions: &[String]) {
    let Some((now, earlier)) = versions.split_last() else {
        return;
    };
    let sent = seconds(told.draft.time);
    let versions = versions.iter().zip(0_u32..).map(|(text, at)| {
        Plist::Dictionary(vec![
            ("d".to_owned(), Plist::Real(sent + 37.25 * f64::from(at))),
            ("t".to_owned(), Plist::Data(encode(&plain_body(text)))),
        ])
    });
    let length = earlier.first().map_or(0, |text| units(text));
    let history = ("0".to_owned(), Plist::Array(versions.collect()));
    let body = &mut told.draft.body;
    body.summary = Some(dictionary(&[
        ("amc", Plist::Integer(0)),
        ("ust", Plist::Boolean(true)),
        ("otr", original_range(length)),
        ("ec", Plist::Dictionary(vec![history])),
        ("ep", Plist::Array(vec![Plist::Integer(0)])),
    ]));
    body.attributed = Some(encode(&plain_body(now)));
    body.text = Some(now.clone());
    told.truth.text = Some(now.clone());
    told.truth.earlier = earlier.to_vec();
}

fn original_range(length: u32) -> Plist {
    let range = vec![
        ("lo".to_owned(), Plist::Integer(0)),
        ("le".to_owned(), Plist::Integer(length.into())),
    ];
    Plist::Dictionary(vec![("0".to_owned(), Plist::Dictionary(range))])
}

fn units(text: &str) -> u32 {
    u32::try_from(text.encode_utf16().count()).unwrap_or(u32::MAX)
}

/// A text of one part.
pub(super) fn plain_body(text: &str) -> AttributedText {
    let part = vec![(PART.to_owned(), Attribute::Integer(0))];
    attributed(vec![(text.to_owned(), part)])
}

/// Stretches of text, each with its attributes.
fn attributed(stretches: Vec<(String, Vec<(String, Attribute)>)>) -> AttributedText {
    let mut whole = AttributedText::default();
    let mut start = 0;
    for (at, (text, attributes)) in stretches.into_iter().enumerate() {
        let length = units(&text);
        whole.runs.push(Run {
            start,
            length,
            attributes: at,
        });
        start += length;
        whole.text.push_str(&text);
        whole.dictionaries.push(Attributes(attributes));
    }
    whole
}

/// One of the spellings of a conversation (facts, 3.7).
fn chat_id(seed: u64, chat: &Chat, random: &mut Random) -> String {
    let snapshot = random.below(chat.snapshots.max(1));
    let identifier = chat.identifier(seed, snapshot);
    let form = random.below(3);
    match chat.kind {
        ChatKind::Carrier => chat.group_id.clone(),
        ChatKind::Group => match form {
            0 => format!("iMessage;+;{identifier}"),
            1 => chat.group_id.to_lowercase(),
            _ => identifier,
        },
        ChatKind::Direct | ChatKind::Own | ChatKind::Business => match form {
            0 => format!("{};-;{identifier}", chat.service),
            1 => format!("any;-;{identifier}"),
            _ => identifier,
        },
    }
}

/// An address, now and then with its scheme.
fn spelled(address: &str, random: &mut Random) -> String {
    if address.is_empty() || !random.percent(5) {
        return address.to_owned();
    }
    cast::uri(address)
}
