//! The feeds as they were when the account was made: which change stands at which position, found by counting.

use std::sync::Arc;

use crate::demo::Dirtiness;
use crate::demo::live::LiveChange;
use crate::demo::plan::CYCLE;
use crate::demo::plan::DELETED_LATER;
use crate::demo::plan::EDITED_LATER;
use crate::demo::plan::EXTRAS;
use crate::demo::plan::file_count;
use crate::demo::random::Names;
use crate::demo::story::Entry;
use crate::demo::story::Story;
use crate::demo::zone::ZoneKind;

/// Cycles of which a deleted message is still in Recently Deleted.
const RECOVERABLE_CYCLES: u64 = 40;

/// Which conversation is in Recently Deleted with its chat record.
const RECOVERABLE_CHAT: usize = 19;

/// A change of a feed.
#[derive(Clone)]
pub(super) enum Step {
    /// A message, as it was written first or as it was edited.
    Message {
        index: u64,
        is_edited: bool,
    },
    /// A message was deleted.
    Deleted {
        index: u64,
    },
    /// A record of an unknown type.
    Foreign {
        index: u64,
    },
    NoIdentifier,
    EmptyIdentifier,
    /// The deletion of a record that never was.
    Strange {
        index: u64,
    },
    /// A conversation, by its place in the cast, at one of its states.
    Chat {
        chat: usize,
        snapshot: u64,
    },
    /// A file.
    File {
        number: u64,
    },
    /// A message in Recently Deleted, by its number there.
    Recoverable {
        number: u64,
    },
    /// The conversation in Recently Deleted.
    RecoverableChat,
    /// What came after the account was made.
    Live(Arc<LiveChange>),
}

/// The feeds.
#[derive(Debug)]
pub(super) struct Feed {
    messages: u64,
    /// Chat records: the place in the cast, and the state.
    chats: Vec<(usize, u64)>,
    recoverable: u64,
    names: [Names; 4],
}

impl Feed {
    pub(super) fn new(story: &Story, dirtiness: Dirtiness) -> Self {
        let chats = story.cast.chats.iter().enumerate();
        let chats = chats.flat_map(|(at, chat)| (0..chat.snapshots).map(move |state| (at, state)));
        let cycles = story.messages / CYCLE;
        let has_chat = u64::from(dirtiness == Dirtiness::AsSeen);
        Self {
            messages: story.messages,
            chats: chats.collect(),
            recoverable: cycles.min(RECOVERABLE_CYCLES).div_ceil(2) + has_chat,
            names: ZoneKind::ALL.map(|zone| Names::new(story.seed, zone.number().into())),
        }
    }

    /// How many changes a feed has.
    pub(super) fn length(&self, zone: ZoneKind) -> u64 {
        match zone {
            ZoneKind::Chat => u64::try_from(self.chats.len()).unwrap_or_default(),
            ZoneKind::Message => self.messages + self.messages / CYCLE * EXTRAS,
            ZoneKind::Attachment => file_count(self.messages),
            ZoneKind::Recoverable => self.recoverable,
        }
    }

    /// The change at a position.
    pub(super) fn step(&self, story: &Story, zone: ZoneKind, at: u64) -> Option<Step> {
        match zone {
            ZoneKind::Message => {
                let (cycle, slot) = (at / (CYCLE + EXTRAS), at % (CYCLE + EXTRAS));
                let first = cycle * CYCLE;
                Some(match slot.checked_sub(CYCLE) {
                    None => message(story, first + slot, false),
                    Some(0) => message(story, first + EDITED_LATER, true),
                    Some(_) => Step::Deleted {
                        index: first + DELETED_LATER,
                    },
                })
            }
            ZoneKind::Chat | ZoneKind::Attachment | ZoneKind::Recoverable => {
                self.by_number(zone, at)
            }
        }
    }

    fn by_number(&self, zone: ZoneKind, number: u64) -> Option<Step> {
        if number >= self.length(zone) {
            return None;
        }
        match zone {
            ZoneKind::Message => None,
            ZoneKind::Chat => {
                let at = usize::try_from(number).ok()?;
                let (chat, snapshot) = self.chats.get(at).copied()?;
                Some(Step::Chat { chat, snapshot })
            }
            ZoneKind::Attachment => Some(Step::File { number }),
            ZoneKind::Recoverable => {
                let is_message = number * 2 < (self.messages / CYCLE).min(RECOVERABLE_CYCLES);
                Some(if is_message {
                    Step::Recoverable { number }
                } else {
                    Step::RecoverableChat
                })
            }
        }
    }

    /// The state of a record, by its name.
    pub(super) fn current(&self, story: &Story, zone: ZoneKind, name: &str) -> Option<Step> {
        let number = self.names(zone).number(name)?;
        if zone != ZoneKind::Message {
            return self.by_number(zone, number);
        }
        if number >= self.messages || story.is_deleted(number) {
            return None;
        }
        Some(message(story, number, story.is_edited(number)))
    }

    fn names(&self, zone: ZoneKind) -> Names {
        let [chat, message, attachment, recoverable] = self.names;
        match zone {
            ZoneKind::Chat => chat,
            ZoneKind::Message => message,
            ZoneKind::Attachment => attachment,
            ZoneKind::Recoverable => recoverable,
        }
    }

    /// The name of the record that a change is about.
    pub(super) fn name(&self, zone: ZoneKind, step: &Step) -> Option<String> {
        let number = match step {
            Step::Message { index, .. } | Step::Deleted { index } | Step::Foreign { index } => {
                *index
            }
            // Beyond every message that there will ever be.
            Step::Strange { index } => !*index,
            Step::Chat { chat, snapshot } => {
                let wanted = (*chat, *snapshot);
                let at = self.chats.binary_search(&wanted).ok()?;
                u64::try_from(at).ok()?
            }
            Step::File { number } | Step::Recoverable { number } => *number,
            Step::RecoverableChat => self.recoverable - 1,
            Step::Live(change) => return Some(change.name.clone()),
            Step::NoIdentifier | Step::EmptyIdentifier => return None,
        };
        Some(self.names(zone).name(number))
    }

    /// The number of a file, by the name of its record.
    pub(super) fn file_number(&self, record: &str) -> Option<u64> {
        self.names(ZoneKind::Attachment)
            .number(record)
            .filter(|number| *number < self.length(ZoneKind::Attachment))
    }

    /// Whether a later change of the same feed is about the same record.
    pub(super) fn is_superseded(story: &Story, zone: ZoneKind, step: &Step) -> bool {
        if let Step::Message { index, is_edited } = step
            && zone == ZoneKind::Message
        {
            return story.is_deleted(*index) || story.is_edited(*index) && !is_edited;
        }
        false
    }

    /// The message that stands in Recently Deleted under a number.
    pub(super) fn recoverable_message(number: u64) -> u64 {
        number * 2 * CYCLE + DELETED_LATER
    }

    /// The conversation that stands in Recently Deleted.
    pub(super) const fn recoverable_chat() -> usize {
        RECOVERABLE_CHAT
    }
}

fn message(story: &Story, index: u64, is_edited: bool) -> Step {
    match story.entry(index) {
        Entry::Message => Step::Message { index, is_edited },
        Entry::Foreign => Step::Foreign { index },
        Entry::NoIdentifier => Step::NoIdentifier,
        Entry::EmptyIdentifier => Step::EmptyIdentifier,
        Entry::StrangeTombstone => Step::Strange { index },
    }
}
