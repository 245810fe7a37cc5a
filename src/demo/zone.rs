//! The zones of the invented account.

/// A zone that the account has. Others are answered as missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ZoneKind {
    /// `chatManateeZone`.
    Chat,
    /// `messageManateeZone`.
    Message,
    /// `attachmentManateeZone`.
    Attachment,
    /// `recoverableMessageDeleteZone`.
    Recoverable,
    /// `chatBotMessageZone`.
    BotMessage,
    /// `chatBotAttachmentZone`.
    BotAttachment,
    /// `chatBotRecoverableMessageDeleteZone`.
    BotRecoverable,
}

impl ZoneKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Chat,
        Self::Message,
        Self::Attachment,
        Self::Recoverable,
        Self::BotMessage,
        Self::BotAttachment,
        Self::BotRecoverable,
    ];

    /// Those of chats with businesses, which most accounts do not have.
    pub const OF_BUSINESSES: [Self; 3] =
        [Self::BotMessage, Self::BotAttachment, Self::BotRecoverable];

    /// The zone's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chatManateeZone",
            Self::Message => "messageManateeZone",
            Self::Attachment => "attachmentManateeZone",
            Self::Recoverable => "recoverableMessageDeleteZone",
            Self::BotMessage => "chatBotMessageZone",
            Self::BotAttachment => "chatBotAttachmentZone",
            Self::BotRecoverable => "chatBotRecoverableMessageDeleteZone",
        }
    }

    /// The zone of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|zone| zone.name() == name)
    }

    /// Its place in [`ZoneKind::ALL`].
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Chat => 0,
            Self::Message => 1,
            Self::Attachment => 2,
            Self::Recoverable => 3,
            Self::BotMessage => 4,
            Self::BotAttachment => 5,
            Self::BotRecoverable => 6,
        }
    }

    /// Whether it holds what was deleted lately.
    pub const fn is_recently_deleted(self) -> bool {
        matches!(self, Self::Recoverable | Self::BotRecoverable)
    }
}
