//! The feeds as they were when the account was made: which change stands at which position, found by counting.

use std::sync::Arc;

use crate::demo::live::LiveChange;
use crate::demo::plan::BUSINESS;
use crate::demo::plan::BUSINESS_CYCLES;
use crate::demo::plan::BUSINESS_FILE;
use crate::demo::plan::BUSINESS_SLOTS;
use crate::demo::plan::CYCLE;
use crate::demo::plan::DELETED_LATER;
use crate::demo::plan::DirtyChat;
use crate::demo::plan::EDITED_LATER;
use crate::demo::plan::EXTRAS;
use crate::demo::plan::ODD_CHATS;
use crate::demo::plan::ODD_FILES;
use crate::demo::plan::Odd;
use crate::demo::plan::business_files;
use crate::demo::plan::file_count;
use crate::demo::plan::file_places;
use crate::demo::random::Names;
use crate::demo::story::Entry;
use crate::demo::story::Story;
use crate::demo::zone::ZoneKind;

/// Cycles of which a deleted message is still in Recently Deleted.
const RECOVERABLE_CYCLES: u64 = 40;

/// Which conversation is in Recently Deleted with its chat record.
const RECOVERABLE_CHAT: usize = 19;

/// The group of which some chat records are damaged.
const DIRTY_CHAT: usize = 5;

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
    /// A conversation, by its place in the cast, at one of its states. `number` is that of the record.
    Chat {
        number: u64,
        chat: usize,
        snapshot: u64,
        dirty: Option<DirtyChat>,
    },
    /// A file.
    File {
        number: u64,
    },
    /// A message in Recently Deleted, by its number there.
    Recoverable {
        number: u64,
        index: u64,
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
    /// Files that are no businesses'.
    files: u64,
    /// Chat records: the place in the cast, and the state.
    chats: Vec<(usize, u64)>,
    recoverable: u64,
    /// Cycles in which businesses write.
    business: u64,
    /// What stands at the end of the feed of chats, and of those of files.
    odd: (&'static [Odd], &'static [Odd]),
    names: [Names; 7],
}

impl Feed {
    pub(super) fn new(story: &Story) -> Self {
        let chats = story.cast.chats.iter().enumerate();
        let chats = chats.flat_map(|(at, chat)| (0..chat.snapshots).map(move |state| (at, state)));
        let cycles = story.messages / CYCLE;
        let is_dirty = story.is_dirty();
        Self {
            messages: story.messages,
            files: file_count(story.messages),
            chats: chats.collect(),
            recoverable: cycles.min(RECOVERABLE_CYCLES).div_ceil(2) + u64::from(is_dirty),
            business: if is_dirty {
                cycles.min(BUSINESS_CYCLES)
            } else {
                0
            },
            odd: if is_dirty {
                (&ODD_CHATS, &ODD_FILES)
            } else {
                (&[], &[])
            },
            names: ZoneKind::ALL.map(|zone| Names::new(story.seed, zone.number().into())),
        }
    }

    /// How many changes a feed has.
    pub(super) fn length(&self, zone: ZoneKind) -> u64 {
        let odd = |odd: &[Odd]| count(odd.len());
        let (chats, files) = self.odd;
        match zone {
            ZoneKind::Chat => count(self.chats.len()) + odd(chats),
            ZoneKind::Message => self.messages + self.messages / CYCLE * EXTRAS,
            ZoneKind::Attachment => self.files + odd(files),
            ZoneKind::Recoverable => self.recoverable,
            ZoneKind::BotMessage => self.business * count(BUSINESS_SLOTS.len()),
            ZoneKind::BotAttachment => self.business * count(business_files().count()) + odd(files),
            ZoneKind::BotRecoverable => self.business.div_ceil(2),
        }
    }

    /// The change at a position.
    pub(super) fn step(&self, story: &Story, zone: ZoneKind, at: u64) -> Option<Step> {
        if at >= self.length(zone) {
            return None;
        }
        let (odd_chats, odd_files) = self.odd;
        Some(match zone {
            ZoneKind::Message => {
                let (cycle, slot) = (at / (CYCLE + EXTRAS), at % (CYCLE + EXTRAS));
                let first = cycle * CYCLE;
                match slot.checked_sub(CYCLE) {
                    None => message(story, first + slot, false),
                    Some(0) => message(story, first + EDITED_LATER, true),
                    Some(_) => Step::Deleted {
                        index: first + DELETED_LATER,
                    },
                }
            }
            ZoneKind::BotMessage => {
                let (cycle, slot) = of_cycle(at, BUSINESS_SLOTS.into_iter())?;
                message(story, BUSINESS + cycle * CYCLE + slot, false)
            }
            ZoneKind::Chat => {
                if let Some(behind) = at.checked_sub(count(self.chats.len())) {
                    return odd(odd_chats, behind, at);
                }
                let (chat, snapshot) = self.chats.get(usize::try_from(at).ok()?).copied()?;
                Step::Chat {
                    number: at,
                    chat,
                    snapshot,
                    dirty: None,
                }
            }
            ZoneKind::Attachment => {
                if let Some(behind) = at.checked_sub(self.files) {
                    return odd(odd_files, behind, at);
                }
                Step::File { number: at }
            }
            ZoneKind::BotAttachment => {
                let files = self.length(zone) - count(odd_files.len());
                if let Some(behind) = at.checked_sub(files) {
                    return odd(odd_files, behind, at);
                }
                let (cycle, place) = of_cycle(at, business_files())?;
                let number = BUSINESS_FILE + cycle * file_places() + place;
                Step::File { number }
            }
            ZoneKind::Recoverable => {
                if at * 2 >= (self.messages / CYCLE).min(RECOVERABLE_CYCLES) {
                    return Some(Step::RecoverableChat);
                }
                Step::Recoverable {
                    number: at,
                    index: at * 2 * CYCLE + DELETED_LATER,
                }
            }
            ZoneKind::BotRecoverable => Step::Recoverable {
                number: at,
                index: BUSINESS + at * 2 * CYCLE + DELETED_LATER,
            },
        })
    }

    /// The state of a record, by its name.
    pub(super) fn current(&self, story: &Story, zone: ZoneKind, name: &str) -> Option<Step> {
        let number = self.names(zone).number(name)?;
        match zone {
            ZoneKind::Message => {
                let is_there = number < self.messages && !story.is_deleted(number);
                is_there.then(|| message(story, number, story.is_edited(number)))
            }
            // Numbers are places.
            ZoneKind::Chat | ZoneKind::Attachment | ZoneKind::Recoverable => {
                self.step(story, zone, number)
            }
            // They are few.
            ZoneKind::BotMessage | ZoneKind::BotAttachment | ZoneKind::BotRecoverable => {
                let mut steps = (0..self.length(zone)).filter_map(|at| self.step(story, zone, at));
                steps.find(|step| self.name(zone, step).as_deref() == Some(name))
            }
        }
    }

    fn names(&self, zone: ZoneKind) -> Names {
        let [
            chat,
            message,
            attachment,
            recoverable,
            bot_message,
            bot_attachment,
            bot_recoverable,
        ] = self.names;
        match zone {
            ZoneKind::Chat => chat,
            ZoneKind::Message => message,
            ZoneKind::Attachment => attachment,
            ZoneKind::Recoverable => recoverable,
            ZoneKind::BotMessage => bot_message,
            ZoneKind::BotAttachment => bot_attachment,
            ZoneKind::BotRecoverable => bot_recoverable,
        }
    }

    /// The name of the record that a change is about.
    pub(super) fn name(&self, zone: ZoneKind, step: &Step) -> Option<String> {
        let number = match step {
            Step::Message { index, .. } | Step::Deleted { index } | Step::Foreign { index } => {
                *index
            }
            // Beyond everything that there will ever be.
            Step::Strange { index } => !*index,
            Step::Chat { number, .. }
            | Step::File { number }
            | Step::Recoverable { number, .. } => *number,
            Step::RecoverableChat => self.recoverable - 1,
            Step::Live(change) => return Some(change.name.clone()),
            Step::NoIdentifier | Step::EmptyIdentifier => return None,
        };
        Some(self.names(zone).name(number))
    }

    /// The number of a file, by the name of its record.
    pub(super) fn file_number(&self, story: &Story, record: &str) -> Option<u64> {
        let mut zones = [ZoneKind::Attachment, ZoneKind::BotAttachment].into_iter();
        let step = zones.find_map(|zone| self.current(story, zone, record))?;
        if let Step::File { number } = step {
            Some(number)
        } else {
            None
        }
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

/// The cycle of a position, and what stands there, where only some places of a cycle are taken.
fn of_cycle(at: u64, places: impl Iterator<Item = u64> + Clone) -> Option<(u64, u64)> {
    let length = count(places.clone().count());
    let (cycle, place) = (at.checked_div(length)?, at.checked_rem(length)?);
    let mut places = places;
    Some((cycle, places.nth(usize::try_from(place).ok()?)?))
}

/// What stands behind the chats or the files, at a position of the feed.
fn odd(odd: &[Odd], behind: u64, at: u64) -> Option<Step> {
    Some(match *odd.get(usize::try_from(behind).ok()?)? {
        Odd::Chat(dirty) => Step::Chat {
            number: at,
            chat: DIRTY_CHAT,
            snapshot: 0,
            dirty: Some(dirty),
        },
        Odd::Foreign => Step::Foreign { index: at },
        Odd::NoIdentifier => Step::NoIdentifier,
        Odd::EmptyIdentifier => Step::EmptyIdentifier,
        Odd::Strange => Step::Strange { index: at },
    })
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or_default()
}
