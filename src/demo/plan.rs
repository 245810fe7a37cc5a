//! What kind of message stands where. A hundred messages are a cycle of ten blocks; a block is ten messages in a row in one
//! conversation, so that what a reply, a tapback or an edit refers to is found by counting.
//!
//! After each whole cycle the feed has two more changes: a message of the first block is edited, and one is deleted.
//!
//! What businesses write lies in zones of its own: a few places of each cycle, counted from [`BUSINESS`] on.

/// Messages of a cycle.
pub(super) const CYCLE: u64 = 100;

/// Messages of a block.
pub(super) const BLOCK: u64 = 10;

/// Changes at the end of a cycle.
pub(super) const EXTRAS: u64 = 2;

/// The place in a cycle of the message that is edited at its end.
pub(super) const EDITED_LATER: u64 = 4;

/// The place in a cycle of the message that is deleted at its end.
pub(super) const DELETED_LATER: u64 = 7;

/// The index of the first message of chats with businesses. It is the first one of a cycle, and beyond all others.
pub(super) const BUSINESS: u64 = 1_000_000_000_000;

/// The number of the first file of chats with businesses.
pub(super) const BUSINESS_FILE: u64 = BUSINESS / CYCLE * 10;

/// The places in a cycle where businesses write.
pub(super) const BUSINESS_SLOTS: [u64; 9] = [1, 13, 30, 74, 84, 86, 91, 93, 95];

/// Where among them the one writes that has no chat record.
pub(super) const UNANSWERED_SLOT: u64 = 13;

/// Cycles in which businesses write, at most.
pub(super) const BUSINESS_CYCLES: u64 = 40;

/// Files of a cycle.
pub(super) const FILES: [FilePlace; 10] = [
    FilePlace::new(30, 0, FileKind::Png),
    FilePlace::new(34, 0, FileKind::Png),
    FilePlace::new(34, 1, FileKind::Jpeg),
    FilePlace::new(52, 0, FileKind::Sticker),
    FilePlace::new(54, 0, FileKind::Voice),
    FilePlace::new(74, 0, FileKind::Forwarded),
    FilePlace::new(81, 0, FileKind::LivePhoto),
    FilePlace::new(81, 1, FileKind::Movie),
    FilePlace::new(84, 0, FileKind::Card),
    FilePlace::new(86, 0, FileKind::Document),
];

/// The place among [`FILES`] of what is forwarded later.
pub(super) const ORIGINAL: u64 = 0;

/// Where a file belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct FilePlace {
    /// The message's place in the cycle.
    pub(super) message: u64,
    /// The part of the message.
    pub(super) part: u64,
    pub(super) kind: FileKind,
}

impl FilePlace {
    const fn new(message: u64, part: u64, kind: FileKind) -> Self {
        Self {
            message,
            part,
            kind,
        }
    }
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    Png,
    Jpeg,
    Sticker,
    Voice,
    /// The same file as the first of the cycle, uploaded once.
    Forwarded,
    /// A JPEG, with the movie beside it in the same record.
    LivePhoto,
    /// The movie in a record of its own, named by the summary of the message only.
    Movie,
    Card,
    /// Text of several chunks in several containers; now and then it is not in iCloud at all.
    Document,
}

/// What is wrong with the record of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DirtyFile {
    /// The envelope of `cm` does not open: not even the file's GUID is known.
    Damaged,
    /// The plaintext of `cm` is no gzip.
    NoGzip,
    /// `cm` names no GUID.
    NoGuid,
    /// `lqa` has no value.
    NoFile,
    /// The key of `lqa` does not open.
    NoFileKey,
    /// It is written with a key that arrives later.
    LateKey,
}

/// What is wrong with a file, by its kind and its cycle.
const DIRTY_FILES: [(FileKind, u64, DirtyFile); 6] = [
    (FileKind::Card, 1, DirtyFile::Damaged),
    (FileKind::Voice, 1, DirtyFile::NoGzip),
    (FileKind::Jpeg, 2, DirtyFile::NoGuid),
    (FileKind::Voice, 2, DirtyFile::NoFile),
    (FileKind::Document, 2, DirtyFile::NoFileKey),
    (FileKind::Card, 3, DirtyFile::LateKey),
];

impl DirtyFile {
    /// Of a file of this kind in a cycle.
    pub(super) fn of(kind: FileKind, cycle: u64) -> Option<Self> {
        let mut dirty = DIRTY_FILES.into_iter();
        let found = dirty.find(|(of, at, _)| (*of, *at) == (kind, cycle % 10));
        found.map(|(_, _, dirty)| dirty)
    }
}

/// What is wrong with a record of a chat. It tells of an old state, one that others tell of too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DirtyChat {
    /// `name` has no value.
    NoName,
    /// The envelope of `prop` does not open.
    Damaged,
    /// The envelope of a member does not open.
    DamagedMember,
    /// It has fields that nobody knows.
    UnknownFields,
    /// It is written with a key that arrives later.
    LateKey,
}

/// What stands at the end of the feeds of chats and of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Odd {
    /// A record of a chat.
    Chat(DirtyChat),
    /// A record of a type that nobody knows.
    Foreign,
    /// A change that names nothing.
    NoIdentifier,
    /// A change whose name is missing.
    EmptyIdentifier,
    /// The deletion of a record that never was.
    Strange,
}

/// At the end of the feed of chats.
pub(super) const ODD_CHATS: [Odd; 9] = [
    Odd::Chat(DirtyChat::NoName),
    Odd::Chat(DirtyChat::Damaged),
    Odd::Chat(DirtyChat::DamagedMember),
    Odd::Chat(DirtyChat::UnknownFields),
    Odd::Chat(DirtyChat::LateKey),
    Odd::Foreign,
    Odd::NoIdentifier,
    Odd::EmptyIdentifier,
    Odd::Strange,
];

/// At the end of the feeds of files.
pub(super) const ODD_FILES: [Odd; 4] = [
    Odd::Foreign,
    Odd::NoIdentifier,
    Odd::EmptyIdentifier,
    Odd::Strange,
];

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Text,
    /// To the message so many places before.
    Reply(u64),
    /// On the message so many places before.
    Tapback(Target, u64),
    /// Takes back the tapback of the place before.
    Untap,
    EmojiTapback(u64),
    Edited,
    Unsent,
    Link,
    Renamed,
    Joined,
    Files,
    Sticker(u64),
    Effect,
    Subject,
    Dirty(Dirty),
}

/// How a tapback names its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// `p:0/GUID`.
    Part,
    /// `bp:GUID`.
    Balloon,
    /// The GUID alone.
    Bare,
}

/// What is wrong with a message of a dirty block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dirty {
    NumberForSubject,
    NoBody,
    UnknownFields,
    NoValue,
    LateKey,
    Damaged,
    OddTime,
    NoGuid,
    System,
    UnknownChat,
    OwnProtection,
    Foreign,
    ReplyWithPlaceholder,
    EmptySender,
    NoGzip,
    NoIdentifier,
    EmptyIdentifier,
    StrangeTombstone,
    Plain,
}

/// The last block of every tenth cycle.
const DIRTY: [Dirty; 10] = [
    Dirty::NumberForSubject,
    Dirty::NoBody,
    Dirty::UnknownFields,
    Dirty::NoValue,
    Dirty::LateKey,
    Dirty::Damaged,
    Dirty::OddTime,
    Dirty::NoGuid,
    Dirty::System,
    Dirty::UnknownChat,
];

/// The last block of the cycles half way between.
const DIRTIER: [Dirty; 10] = [
    Dirty::OwnProtection,
    Dirty::Foreign,
    Dirty::ReplyWithPlaceholder,
    Dirty::EmptySender,
    Dirty::NoGzip,
    Dirty::NoIdentifier,
    Dirty::EmptyIdentifier,
    Dirty::StrangeTombstone,
    Dirty::LateKey,
    Dirty::Plain,
];

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) index: u64,
    pub(super) cycle: u64,
    /// In the cycle.
    pub(super) slot: u64,
}

impl Place {
    pub(super) const fn of(index: u64) -> Self {
        Self {
            index,
            cycle: index / CYCLE,
            slot: index % CYCLE,
        }
    }

    /// The number of its block, counted from the beginning of the account.
    pub(super) const fn block(self) -> u64 {
        self.index / BLOCK
    }

    /// Whether it is one of a chat with a business.
    pub(super) const fn is_business(self) -> bool {
        self.index >= BUSINESS
    }

    /// Whether what stands there makes sense in a group only.
    pub(super) fn needs_group(self) -> bool {
        self.slot / BLOCK == 2 || self.slot / BLOCK == 9 && self.cycle % 10 == 5
    }

    /// What stands there.
    pub(super) fn part(self, is_dirty: bool) -> Part {
        let dirty = |table: &[Dirty; 10]| {
            let at = usize::try_from(self.slot % BLOCK).unwrap_or_default();
            table.get(at).copied().map_or(Part::Text, Part::Dirty)
        };
        match (self.slot, self.cycle % 10) {
            (90.., 0) if is_dirty => dirty(&DIRTY),
            (90.., 5) if is_dirty => dirty(&DIRTIER),
            (2, _) => Part::Reply(1),
            (3, _) => Part::Tapback(Target::Part, 2),
            (11, _) => Part::Edited,
            (13, _) => Part::Link,
            (14, _) => Part::Tapback(Target::Balloon, 1),
            (21, _) => Part::Renamed,
            (26, _) => Part::Joined,
            (28, _) => Part::Tapback(Target::Part, 3),
            (30 | 34 | 54 | 74 | 81 | 84 | 86, _) => Part::Files,
            (41, _) => Part::Unsent,
            (52, _) => Part::Sticker(1),
            (61, _) => Part::Tapback(Target::Part, 1),
            (62, _) => Part::Untap,
            (64, _) => Part::EmojiTapback(1),
            (66, _) => Part::Tapback(Target::Bare, 1),
            (70, _) => Part::Effect,
            (71, _) => Part::Subject,
            _ => Part::Text,
        }
    }

    /// The files of the message that stands there, by their places in the cycle.
    pub(super) fn files(self) -> impl Iterator<Item = (u64, FilePlace)> {
        (0..)
            .zip(FILES)
            .filter(move |(_, file)| file.message == self.slot)
    }
}

/// How many files the first messages of an account have.
pub(super) fn file_count(messages: u64) -> u64 {
    let whole = messages / CYCLE * file_places();
    let rest = FILES.iter().filter(|file| file.message < messages % CYCLE);
    whole + u64::try_from(rest.count()).unwrap_or_default()
}

/// The files of a cycle that businesses send, by their places.
pub(super) fn business_files() -> impl Iterator<Item = u64> + Clone {
    (0..)
        .zip(FILES)
        .filter(|(_, file)| BUSINESS_SLOTS.contains(&file.message))
        .map(|(at, _)| at)
}

/// Files of a cycle.
pub(super) fn file_places() -> u64 {
    u64::try_from(FILES.len()).unwrap_or(1)
}
