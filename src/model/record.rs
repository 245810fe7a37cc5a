//! What a source said about one message, not decoded: a chat.db row with its joins, or a CloudKit record in clear.
//!
//! The columns that are known have fixed numbers, so that a row is a plain list and the stored form needs no names.
//! The numbers are part of the file format (data-format.md, "Columns"): a list is only ever extended at its end.

use std::fmt;

use crate::base::secret::Secret;
use crate::base::time::AppleTime;

/// Where a record came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKind {
    /// The Messages database of a Mac.
    ChatDb,
    /// Messages in iCloud.
    CloudKit,
}

impl SourceKind {
    /// Every source.
    pub const ALL: [Self; 2] = [Self::ChatDb, Self::CloudKit];

    /// Its number in the store.
    pub const fn number(self) -> u8 {
        match self {
            Self::ChatDb => 16,
            Self::CloudKit => 17,
        }
    }

    /// Its name in the export.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ChatDb => "chatdb",
            Self::CloudKit => "cloudkit",
        }
    }

    /// The source with this number in the store.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|source| source.number() == number)
    }
}

/// A zone of Messages in iCloud that is read (D33).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CloudZone {
    /// Files.
    Attachments,
    /// Chats, a record for each state of one.
    Chats,
    /// Messages.
    Messages,
    /// Messages and chats of the last 30 days that the owner deleted.
    RecentlyDeleted,
    /// Files of chats with businesses.
    BotAttachments,
    /// Messages of chats with businesses.
    BotMessages,
    /// What the owner deleted of chats with businesses.
    BotRecentlyDeleted,
}

impl CloudZone {
    /// Every zone, in the order in which they are read: messages refer to chats and files, what was deleted to messages
    /// (SC-9).
    pub const ALL: [Self; 7] = [
        Self::Attachments,
        Self::Chats,
        Self::Messages,
        Self::RecentlyDeleted,
        Self::BotAttachments,
        Self::BotMessages,
        Self::BotRecentlyDeleted,
    ];

    /// Its number in the store.
    pub const fn number(self) -> u8 {
        match self {
            Self::Chats => 1,
            Self::Messages => 2,
            Self::Attachments => 3,
            Self::RecentlyDeleted => 4,
            Self::BotMessages => 5,
            Self::BotAttachments => 6,
            Self::BotRecentlyDeleted => 7,
        }
    }

    /// Its name, as CloudKit writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chats => "chatManateeZone",
            Self::Messages => "messageManateeZone",
            Self::Attachments => "attachmentManateeZone",
            Self::RecentlyDeleted => "recoverableMessageDeleteZone",
            Self::BotMessages => "chatBotMessageZone",
            Self::BotAttachments => "chatBotAttachmentZone",
            Self::BotRecentlyDeleted => "chatBotRecoverableMessageDeleteZone",
        }
    }

    /// The zone with this number in the store.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|zone| zone.number() == number)
    }

    /// Whether it holds what the owner deleted.
    pub const fn is_recently_deleted(self) -> bool {
        matches!(self, Self::RecentlyDeleted | Self::BotRecentlyDeleted)
    }
}

/// One value as SQLite holds it.
#[derive(Clone, Default, PartialEq)]
pub enum Value {
    /// No value, or a column that this database does not have.
    #[default]
    Null,
    /// A whole number.
    Integer(i64),
    /// A floating-point number.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl Value {
    /// The number, 0 for anything that is none: an absent column and an unset one mean the same.
    pub fn integer(&self) -> i64 {
        match self {
            Self::Integer(number) => *number,
            #[expect(
                clippy::cast_possible_truncation,
                reason = "saturates; a date written as a real is within i64"
            )]
            Self::Real(number) => *number as i64,
            Self::Null | Self::Text(_) | Self::Blob(_) => 0,
        }
    }

    /// The text, if it is not empty.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) if !text.is_empty() => Some(text),
            Self::Null | Self::Integer(_) | Self::Real(_) | Self::Text(_) | Self::Blob(_) => None,
        }
    }

    /// The bytes; an empty blob is there, a null is not.
    pub fn blob(&self) -> Option<&[u8]> {
        match self {
            Self::Blob(bytes) => Some(bytes),
            Self::Null | Self::Integer(_) | Self::Real(_) | Self::Text(_) => None,
        }
    }
}

/// What rows hold is private: logs show sizes.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Integer(number) => write!(f, "Integer({number})"),
            Self::Real(number) => write!(f, "Real({number})"),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Blob(bytes) => write!(f, "Blob({} bytes)", bytes.len()),
        }
    }
}

/// Declares the known columns of a table: an enum whose discriminants are the numbers in the store.
macro_rules! columns {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $column:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum $name {
            $(#[doc = concat!("`", $column, "`")] $variant,)*
        }

        impl Column for $name {
            const NAMES: &'static [&'static str] = &[$($column,)*];

            fn index(self) -> usize {
                usize::from(self as u8)
            }
        }
    };
}

/// The known columns of one table.
pub trait Column: Copy + 'static {
    /// Their names as SQL knows them; a column's place in the list is its number in the store.
    const NAMES: &'static [&'static str];

    /// This column's number.
    fn index(self) -> usize;
}

/// A row of a table: the known columns by number, then those that this version does not know, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Values of the known columns; columns past the end are null.
    pub values: Vec<Value>,
    /// Other columns that held something (not null, not 0).
    pub extra: Vec<(String, Value)>,
}

impl Row {
    /// The value of a known column.
    pub fn get<C: Column>(&self, column: C) -> &Value {
        const NULL: &Value = &Value::Null;
        self.values.get(column.index()).unwrap_or(NULL)
    }

    /// The number in a column, 0 if none.
    pub fn integer<C: Column>(&self, column: C) -> i64 {
        self.get(column).integer()
    }

    /// The text in a column, unless it is empty.
    pub fn text<C: Column>(&self, column: C) -> Option<&str> {
        self.get(column).text()
    }

    /// The bytes in a column.
    pub fn blob<C: Column>(&self, column: C) -> Option<&[u8]> {
        self.get(column).blob()
    }
}

columns! {
    /// Columns of `message`, macOS 10.13 to 27. `ROWID` is not among them: it is a cursor, never an identity.
    ///
    /// Those that most rows use come first: what is null at the end of a row costs nothing.
    MessageColumn {
        Guid = "guid", Text = "text", HandleId = "handle_id", AttributedBody = "attributedBody", Service = "service",
        Account = "account", Date = "date", DateRead = "date_read", DateDelivered = "date_delivered",
        IsDelivered = "is_delivered", IsFinished = "is_finished", IsFromMe = "is_from_me", IsRead = "is_read",
        IsSent = "is_sent", HasDdResults = "has_dd_results", WasDataDetected = "was_data_detected",
        CacheHasAttachments = "cache_has_attachments", CacheRoomnames = "cache_roomnames", Version = "version",
        AccountGuid = "account_guid", CkSyncState = "ck_sync_state", CkRecordId = "ck_record_id",
        CkRecordChangeTag = "ck_record_change_tag", DestinationCallerId = "destination_caller_id",
        ReplyToGuid = "reply_to_guid", PartCount = "part_count", MessageSummaryInfo = "message_summary_info",
        IsKtVerified = "is_kt_verified", IndexState = "index_state", CkChatId = "ck_chat_id",
        AssociatedMessageGuid = "associated_message_guid", AssociatedMessageType = "associated_message_type",
        AssociatedMessageRangeLocation = "associated_message_range_location",
        AssociatedMessageRangeLength = "associated_message_range_length",
        ThreadOriginatorGuid = "thread_originator_guid", ThreadOriginatorPart = "thread_originator_part",
        BalloonBundleId = "balloon_bundle_id", PayloadData = "payload_data", FallbackHash = "fallback_hash",
        WasDeliveredQuietly = "was_delivered_quietly", DidNotifyRecipient = "did_notify_recipient",
        DateEdited = "date_edited", Subject = "subject", Error = "error", IsEmote = "is_emote", IsEmpty = "is_empty",
        IsDelayed = "is_delayed", IsAutoReply = "is_auto_reply", IsPrepared = "is_prepared",
        IsSystemMessage = "is_system_message", IsServiceMessage = "is_service_message", IsForward = "is_forward",
        WasDowngraded = "was_downgraded", IsArchive = "is_archive", WasDeduplicated = "was_deduplicated",
        IsAudioMessage = "is_audio_message", IsPlayed = "is_played", DatePlayed = "date_played",
        ItemType = "item_type", OtherHandle = "other_handle", GroupTitle = "group_title",
        GroupActionType = "group_action_type", ShareStatus = "share_status", ShareDirection = "share_direction",
        IsExpirable = "is_expirable", ExpireState = "expire_state", MessageActionType = "message_action_type",
        MessageSource = "message_source", ExpressiveSendStyleId = "expressive_send_style_id",
        TimeExpressiveSendPlayed = "time_expressive_send_played", IsCorrupt = "is_corrupt", SortId = "sort_id",
        IsSpam = "is_spam", HasUnseenMention = "has_unseen_mention", SyndicationRanges = "syndication_ranges",
        SyncedSyndicationRanges = "synced_syndication_ranges", DateRetracted = "date_retracted",
        WasDetonated = "was_detonated", IsStewie = "is_stewie", IsSos = "is_sos", IsCritical = "is_critical",
        BiaReferenceId = "bia_reference_id", AssociatedMessageEmoji = "associated_message_emoji",
        IsPendingSatelliteSend = "is_pending_satellite_send", NeedsRelay = "needs_relay",
        ScheduleType = "schedule_type", ScheduleState = "schedule_state",
        SentOrReceivedOffGrid = "sent_or_received_off_grid", DateRecovered = "date_recovered",
        IsTimeSensitive = "is_time_sensitive", FilterAction = "filter_action", FilterSubAction = "filter_sub_action",
        IsPreviewSent = "is_preview_sent", IsPreviewDelivered = "is_preview_delivered",
        DatePreviewSent = "date_preview_sent", DatePreviewDelivered = "date_preview_delivered",
        DateUpdated = "date_updated", RetryCount = "retry_count", Replace = "replace",
        ServiceCenter = "service_center", Country = "country", Type = "type",
    }
}

columns! {
    /// Columns of `attachment`.
    AttachmentColumn {
        Guid = "guid", CreatedDate = "created_date", StartDate = "start_date", Filename = "filename", Uti = "uti",
        MimeType = "mime_type", TransferState = "transfer_state", IsOutgoing = "is_outgoing", UserInfo = "user_info",
        TransferName = "transfer_name", TotalBytes = "total_bytes", IsSticker = "is_sticker",
        StickerUserInfo = "sticker_user_info", AttributionInfo = "attribution_info",
        HideAttachment = "hide_attachment", CkSyncState = "ck_sync_state",
        CkServerChangeTokenBlob = "ck_server_change_token_blob", CkRecordId = "ck_record_id",
        OriginalGuid = "original_guid", IsCommsafetySensitive = "is_commsafety_sensitive",
        EmojiImageContentIdentifier = "emoji_image_content_identifier",
        EmojiImageShortDescription = "emoji_image_short_description",
        PreviewGenerationState = "preview_generation_state", PreflightInfo = "preflight_info",
        SensitivityAnalysis = "sensitivity_analysis",
    }
}

columns! {
    /// Columns of `chat`.
    ChatColumn {
        Guid = "guid", Style = "style", State = "state", AccountId = "account_id", Properties = "properties",
        ChatIdentifier = "chat_identifier", ServiceName = "service_name", RoomName = "room_name",
        AccountLogin = "account_login", IsArchived = "is_archived", LastAddressedHandle = "last_addressed_handle",
        DisplayName = "display_name", GroupId = "group_id", IsFiltered = "is_filtered",
        SuccessfulQuery = "successful_query", EngramId = "engram_id", ServerChangeToken = "server_change_token",
        CkSyncState = "ck_sync_state", OriginalGroupId = "original_group_id",
        LastReadMessageTimestamp = "last_read_message_timestamp", CloudkitRecordId = "cloudkit_record_id",
        LastAddressedSimId = "last_addressed_sim_id", IsBlackholed = "is_blackholed",
        SyndicationDate = "syndication_date", SyndicationType = "syndication_type", IsRecovered = "is_recovered",
        IsDeletingIncomingMessages = "is_deleting_incoming_messages", IsPendingReview = "is_pending_review",
    }
}

/// An address as a `handle` row holds it. The same address has a row for each service.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HandleRow {
    /// The address as Messages writes it: `+15550100001`, `a@example.org`, `242733`, `+15550100001(smsft)`.
    pub id: String,
    /// `iMessage`, `SMS`, `RCS`.
    pub service: String,
    /// Two letters, lower case.
    pub country: Option<String>,
    /// The address as it was typed or announced.
    pub uncanonicalized_id: Option<String>,
    /// Messages' own idea of one person: equal for handles of one person.
    pub person_centric_id: Option<String>,
}

/// A chat that holds, or held, a message.
#[derive(Clone, PartialEq, Eq)]
pub struct ChatRef {
    /// `chat.guid`.
    pub guid: String,
    /// `chat.service_name`.
    pub service: String,
}

/// A `message` row with everything joined to it.
#[derive(Clone, Default, PartialEq)]
pub struct MessageRecord {
    /// The row itself.
    pub row: Row,
    /// The address behind `handle_id`; `None` for 0 and for an id without a row.
    pub handle: Option<String>,
    /// The address behind `other_handle`.
    pub other_handle: Option<String>,
    /// Chats of `chat_message_join`, by chat ROWID.
    pub chats: Vec<ChatRef>,
    /// The chat and the `delete_date` of `chat_recoverable_message_join`: the message is in Recently Deleted.
    pub recoverable: Option<(ChatRef, i64)>,
    /// Rows of `attachment`, by ROWID.
    pub attachments: Vec<Row>,
    /// Blob columns of the row that were larger than the limit and were left out: column name and size in bytes.
    pub too_large: Vec<(String, u64)>,
}

/// A `chat` row with everything joined to it.
#[derive(Clone, Default, PartialEq)]
pub struct ChatRecord {
    /// The row itself.
    pub row: Row,
    /// Addresses of `chat_handle_join`, by handle ROWID.
    pub members: Vec<String>,
    /// `identifier` and `domain` of the chat's `chat_lookup` rows.
    pub lookups: Vec<(String, String)>,
}

/// Addresses are private: logs show none.
impl fmt::Debug for HandleRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandleRow")
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

/// A chat's guid holds an address: logs show none.
impl fmt::Debug for ChatRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatRef")
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

/// Addresses are private: logs show none.
impl fmt::Debug for MessageRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageRecord")
            .field("row", &self.row)
            .finish_non_exhaustive()
    }
}

/// Addresses are private: logs show none.
impl fmt::Debug for ChatRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatRecord")
            .field("row", &self.row)
            .finish_non_exhaustive()
    }
}

/// A record of CloudKit as it was received, its fields in clear: nothing is made of them yet, and all of them are here.
///
/// Its name is its identity in its zone; a later one with the same name takes its place.
#[derive(Clone, Default, PartialEq)]
pub struct CloudRecord {
    /// The zone that holds it.
    pub zone: String,
    /// Its name. Opaque: it can look like a GUID and be none.
    pub name: String,
    /// Its type, as CloudKit calls it.
    pub kind: String,
    /// Its version.
    pub etag: Option<String>,
    /// When it was made.
    pub created: Option<AppleTime>,
    /// When it was changed last.
    pub modified: Option<AppleTime>,
    /// Its fields, in the order of the record.
    pub fields: Vec<(String, CloudValue)>,
}

impl CloudRecord {
    /// The value of a field.
    pub fn get(&self, field: &str) -> Option<&CloudValue> {
        let mut fields = self.fields.iter();
        fields.find_map(|(name, value)| (name == field).then_some(value))
    }

    /// The file in a field.
    pub fn asset(&self, field: &str) -> Option<&CloudAsset> {
        self.get(field)?.as_asset()
    }
}

/// What a field of a CloudKit record holds.
#[derive(Clone, PartialEq)]
pub enum CloudValue {
    /// The field is there, its value is not (D32).
    Missing,
    /// The value was encrypted and is empty, which means that there is none.
    Absent,
    /// Bytes, as they were encrypted: property lists, gzip members.
    Bytes(Vec<u8>),
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number.
    Real(f64),
    /// A time, in seconds since 2001.
    Date(f64),
    /// Values.
    List(Vec<CloudValue>),
    /// A file.
    Asset(CloudAsset),
    /// An envelope that did not open, and why: tried again when keys arrive.
    Sealed {
        /// The envelope.
        bytes: Vec<u8>,
        /// Why it did not open.
        reason: String,
    },
    /// A value of a type that this version does not know, as it is on the wire.
    Other(Vec<u8>),
}

impl CloudValue {
    /// The text of a text.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self {
            return Some(text);
        }
        None
    }

    /// The number of a whole number.
    pub fn as_integer(&self) -> Option<i64> {
        if let Self::Integer(number) = self {
            return Some(*number);
        }
        None
    }

    /// The bytes of bytes.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        if let Self::Bytes(bytes) = self {
            return Some(bytes);
        }
        None
    }

    /// The values of a list.
    pub fn as_list(&self) -> Option<&[Self]> {
        if let Self::List(values) = self {
            return Some(values);
        }
        None
    }

    /// The file of a file.
    pub fn as_asset(&self) -> Option<&CloudAsset> {
        if let Self::Asset(asset) = self {
            return Some(asset);
        }
        None
    }

    /// Why it stays sealed, if it does.
    pub fn sealed(&self) -> Option<&str> {
        if let Self::Sealed { reason, .. } = self {
            return Some(reason);
        }
        None
    }
}

/// A file that a CloudKit record names.
#[derive(Clone, Default, PartialEq)]
pub struct CloudAsset {
    /// Names its content.
    pub signature: Vec<u8>,
    /// Names its key.
    pub reference_signature: Vec<u8>,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// Its key; `None` where its chunks bring theirs along, and where it did not open.
    pub key: Option<Secret<Vec<u8>>>,
    /// The envelope of a key that did not open.
    pub sealed_key: Option<Vec<u8>>,
    /// Names the instructions for its download in the answer that the record came in.
    pub request_id: Option<String>,
}

/// What records hold is private: logs show types and sizes.
impl fmt::Debug for CloudValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("Missing"),
            Self::Absent => f.write_str("Absent"),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Integer(_) => f.write_str("Integer"),
            Self::Real(_) => f.write_str("Real"),
            Self::Date(_) => f.write_str("Date"),
            Self::List(values) => f.debug_list().entries(values).finish(),
            Self::Asset(asset) => asset.fmt(f),
            Self::Sealed { reason, .. } => write!(f, "Sealed({reason})"),
            Self::Other(bytes) => write!(f, "Other({} bytes)", bytes.len()),
        }
    }
}

/// A file's key opens it to everybody: logs show its size.
impl fmt::Debug for CloudAsset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudAsset")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for CloudRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudRecord")
            .field("zone", &self.zone)
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
