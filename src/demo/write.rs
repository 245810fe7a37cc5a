//! From a change of a feed to the record that is served, and to the truth about it.

use crate::apple::key::SymmetricKey;
use crate::base::time::AppleTime;
use crate::codec::cloudkit::AssetGetResponse;
use crate::codec::cloudkit::Deflater;
use crate::codec::cloudkit::ProtectionInfo;
use crate::codec::cloudkit::Record;
use crate::demo::account::Account;
use crate::demo::cast;
use crate::demo::cast::Chat;
use crate::demo::feed::Feed;
use crate::demo::feed::Step;
use crate::demo::live::RECOVERABLE;
use crate::demo::plan::DirtyChat;
use crate::demo::plan::DirtyFile;
use crate::demo::random::Random;
use crate::demo::random::Stream;
use crate::demo::record;
use crate::demo::record::ChatDraft;
use crate::demo::record::MessageDraft;
use crate::demo::record::Place;
use crate::demo::record::Writer;
use crate::demo::record::seconds;
use crate::demo::story::KeyChoice;
use crate::demo::story::Told;
use crate::demo::truth::Readable;
use crate::demo::truth::Truth;
use crate::demo::truth::What;
use crate::demo::upload::FileField;
use crate::demo::upload::Host;
use crate::demo::zone::ZoneKind;

/// `stl` of a group and of a chat with one person.
const STYLE_GROUP: i64 = 43;
const STYLE_DIRECT: i64 = 45;

/// The type of the chat record in Recently Deleted; real ones vary.
const RECOVERABLE_CHAT: &str = "recoverableChat";

impl Account {
    /// The record of a change, and what goes with its assets; `None` for a deletion.
    pub(super) fn written(
        &self,
        zone: ZoneKind,
        step: &Step,
        host: Option<Host>,
        deflater: &mut Deflater,
    ) -> Option<(Record, Vec<AssetGetResponse>)> {
        let name = self.feed.name(zone, step)?;
        let secrets = self.keys.zone(zone)?;
        let version = if let Step::Live(change) = step {
            change.version
        } else {
            u64::from(matches!(
                step,
                Step::Message {
                    is_edited: true,
                    ..
                }
            ))
        };
        // A name and a version are written once, so that no nonce is used for two plaintexts.
        let number = u64::from_str_radix(name.get(16..)?, 16).ok()?;
        let number = number ^ (version << 48) ^ (u64::from(zone.number()) << 60);
        let place = |key, protection, written| Place {
            zone: zone.name(),
            user: &self.user,
            name: &name,
            key,
            protection,
            version,
            written,
            nonces: Random::new(self.story.seed, Stream::Nonce, number),
        };
        let record = match step {
            Step::File { number } => {
                let upload = self.upload(*number)?;
                let written = seconds(self.story.time(upload.message()));
                let key = if upload.dirty() == Some(DirtyFile::LateKey) {
                    &secrets.late
                } else {
                    &secrets.current
                };
                return Some(upload.record(place(key, None, written), host, deflater));
            }
            Step::Chat {
                chat,
                snapshot,
                dirty,
                ..
            } => {
                let chat = self.story.cast.chats.get(*chat)?;
                let written = seconds(self.chat_time(chat, *snapshot));
                let draft = ChatDraft {
                    dirty: *dirty,
                    ..self.chat_draft(chat, *snapshot)
                };
                let key = if *dirty == Some(DirtyChat::LateKey) {
                    &secrets.late
                } else {
                    &secrets.current
                };
                record::chat(&draft, place(key, None, written), deflater)
            }
            Step::RecoverableChat => {
                let chat = self.story.cast.chats.get(Feed::recoverable_chat())?;
                let draft = self.chat_draft(chat, 0);
                let written = seconds(self.chat_time(chat, 0));
                let place = place(&secrets.current, None, written);
                let mut record = record::chat(&draft, place, deflater);
                if let Some(kind) = &mut record.kind {
                    kind.name = Some(RECOVERABLE_CHAT.to_owned());
                }
                record
            }
            Step::Foreign { index } => {
                let written = seconds(self.story.time(*index));
                let mut record = Writer::new(place(&secrets.current, None, written));
                record.text("content", "of a version that is not there yet");
                record.finish("MessageEncryptedV9")
            }
            Step::Message { .. } | Step::Recoverable { .. } | Step::Live(_) => {
                let told = self.told_by(step)?;
                let (key, protection) = self.key(zone, told.key, number)?;
                let written = seconds(told.truth.sent.nanos().clamp(0, i64::MAX / 2));
                record::message(&told.draft, place(&key, protection, written), deflater)
            }
            Step::Deleted { .. }
            | Step::NoIdentifier
            | Step::EmptyIdentifier
            | Step::Strange { .. } => return None,
        };
        Some((record, Vec::new()))
    }

    fn key(
        &self,
        zone: ZoneKind,
        choice: KeyChoice,
        number: u64,
    ) -> Option<(SymmetricKey, Option<ProtectionInfo>)> {
        let secrets = self.keys.zone(zone)?;
        let key = match choice {
            // Recently Deleted has one key.
            _ if zone.is_recently_deleted() => &secrets.current,
            KeyChoice::Current => &secrets.current,
            KeyChoice::BeforeChange => &secrets.before,
            KeyChoice::Late => &secrets.late,
            KeyChoice::Own => {
                let mut random = Random::new(self.story.seed, Stream::Own, number);
                let (protection, key) = self.keys.own_protection(zone, &mut random)?;
                return Some((key, Some(protection)));
            }
        };
        Some((key.clone(), None))
    }

    /// The message of a change.
    pub(super) fn told_by(&self, step: &Step) -> Option<Told> {
        match step {
            Step::Message { index, is_edited } => self.story.message(*index, *is_edited),
            Step::Recoverable { index, .. } => {
                let mut told = self.story.message(*index, false)?;
                let zone = if told.truth.zone == ZoneKind::BotMessage {
                    ZoneKind::BotRecoverable
                } else {
                    ZoneKind::Recoverable
                };
                told.draft.kind = RECOVERABLE;
                told.truth.zone = zone;
                told.truth.record = self.feed.name(zone, step)?;
                Some(told)
            }
            Step::Live(change) => change.told.clone(),
            Step::Deleted { .. }
            | Step::Foreign { .. }
            | Step::NoIdentifier
            | Step::EmptyIdentifier
            | Step::Strange { .. }
            | Step::Chat { .. }
            | Step::File { .. }
            | Step::RecoverableChat => None,
        }
    }

    /// What a reader should make of a change; `None` for those that leave nothing.
    pub(super) fn truth_of(
        &self,
        zone: ZoneKind,
        step: &Step,
        has_late_key: bool,
    ) -> Option<Truth> {
        let record = self.feed.name(zone, step)?;
        let truth = |what, guid: String, text: Option<String>, sent: i64| Truth {
            zone,
            record: record.clone(),
            guid,
            conversation: None,
            what,
            text,
            earlier: Vec::new(),
            sender: None,
            is_from_me: false,
            sent: AppleTime::from_nanos(sent),
            files: Vec::new(),
            target: None,
            readable: Readable::Yes,
        };
        let mut truth = match step {
            Step::Message { .. } | Step::Recoverable { .. } | Step::Live(_) => {
                self.told_by(step)?.truth
            }
            Step::Chat {
                chat,
                snapshot,
                dirty,
                ..
            } => {
                let (chat, name) = self.chat_and_name(*chat, *snapshot)?;
                let sent = self.chat_time(chat, *snapshot);
                let mut truth = truth(What::Chat, chat.group_id.clone(), name, sent);
                truth.conversation = Some(chat.key.clone());
                truth.readable = match dirty {
                    Some(DirtyChat::NoName) => Readable::BadField("name"),
                    Some(DirtyChat::Damaged) => Readable::BadField("prop"),
                    Some(DirtyChat::DamagedMember) => Readable::BadField("ptcpts"),
                    Some(DirtyChat::LateKey) => Readable::MissingKey,
                    Some(DirtyChat::UnknownFields) | None => Readable::Yes,
                };
                truth
            }
            Step::RecoverableChat => {
                let (chat, name) = self.chat_and_name(Feed::recoverable_chat(), 0)?;
                let sent = self.chat_time(chat, 0);
                let mut truth = truth(What::Chat, chat.group_id.clone(), name, sent);
                truth.conversation = Some(chat.key.clone());
                truth
            }
            Step::File { number } => {
                let upload = self.upload(*number)?;
                let draft = upload.draft(&upload.content(FileField::File));
                let sent = self.story.time(upload.message());
                let mut truth = truth(What::File, draft.guid, Some(draft.name), sent);
                truth.readable = match draft.dirty {
                    Some(DirtyFile::Damaged | DirtyFile::NoGzip | DirtyFile::NoGuid) => {
                        Readable::BadField("cm")
                    }
                    Some(DirtyFile::NoFile | DirtyFile::NoFileKey) => Readable::BadField("lqa"),
                    Some(DirtyFile::LateKey) => Readable::MissingKey,
                    None => Readable::Yes,
                };
                truth
            }
            Step::Foreign { index } => {
                let sent = self.story.time(*index);
                truth(What::Foreign, String::new(), None, sent)
            }
            Step::Deleted { .. }
            | Step::NoIdentifier
            | Step::EmptyIdentifier
            | Step::Strange { .. } => return None,
        };
        if has_late_key && truth.readable == Readable::MissingKey || zone.is_recently_deleted() {
            truth.readable = Readable::Yes;
        }
        Some(truth)
    }

    /// A conversation, and its name at one of its states.
    fn chat_and_name(&self, chat: usize, snapshot: u64) -> Option<(&Chat, Option<String>)> {
        let chat = self.story.cast.chats.get(chat)?;
        Some((chat, self.chat_draft(chat, snapshot).name))
    }

    /// Seals a message record of anybody's making with the keys of this account, under any name: for tests that bring their
    /// own contents. Nothing of it comes into a feed.
    pub fn seal_message(&self, zone: ZoneKind, name: &str, draft: &MessageDraft) -> Option<Record> {
        let secrets = self.keys.zone(zone)?;
        let nonces = name.bytes().fold(0, |sum: u64, byte| {
            sum.wrapping_mul(0x100_0000_01b3) ^ u64::from(byte)
        });
        let place = Place {
            zone: zone.name(),
            user: &self.user,
            name,
            key: &secrets.current,
            protection: None,
            version: 0,
            written: seconds(draft.time.clamp(0, i64::MAX / 2)),
            nonces: Random::new(self.story.seed, Stream::Sealed, nonces),
        };
        Some(record::message(draft, place, &mut Deflater::default()))
    }

    /// When a chat record was written: snapshots follow one another through the account's life.
    fn chat_time(&self, chat: &Chat, snapshot: u64) -> i64 {
        let step = self.story.messages.max(1_000) / 10;
        self.story.time(snapshot * step + chat.number)
    }

    /// One state of a conversation: groups grow, and get their name with the last one.
    fn chat_draft(&self, chat: &Chat, snapshot: u64) -> ChatDraft {
        let identifier = chat.identifier(self.story.seed, snapshot);
        let is_last = snapshot + 1 >= chat.snapshots;
        let joined = usize::try_from(snapshot + 2).unwrap_or(usize::MAX);
        let count = if is_last { chat.members.len() } else { joined };
        let known = chat.members.iter().take(count);
        let mut members: Vec<String> = known.map(|address| cast::uri(address)).collect();
        if chat.is_group() || members.is_empty() {
            members.push(format!("tel:{}", cast::OWN_NUMBER));
        }
        let separator = if chat.is_group() { '+' } else { '-' };
        ChatDraft {
            style: if chat.is_group() {
                STYLE_GROUP
            } else {
                STYLE_DIRECT
            },
            is_filtered: chat.is_filtered,
            guid: if identifier.is_empty() {
                String::new()
            } else {
                format!("{};{separator};{identifier}", chat.service)
            },
            identifier,
            group_id: if snapshot % 2 == 1 {
                chat.group_id.to_lowercase()
            } else {
                chat.group_id.clone()
            },
            service: chat.service.to_owned(),
            members,
            own_handle: cast::OWN_NUMBER.to_owned(),
            name: chat.name.filter(|_| is_last).map(str::to_owned),
            read: self.story.time(self.story.messages),
            dirty: None,
        }
    }
}
