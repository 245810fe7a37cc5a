//! Small Messages databases with the tables of a chosen macOS, filled row by row.

use std::path::Path;
use std::path::PathBuf;

use rusqlite::Connection;
use rusqlite::ToSql;
use tempfile::TempDir;

/// Whose tables and columns a database has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MacOs {
    V10_15,
    V11,
    V15,
    V26,
    V27,
}

impl MacOs {
    pub(crate) const ALL: [Self; 5] = [Self::V10_15, Self::V11, Self::V15, Self::V26, Self::V27];
}

/// A column and its value.
pub(crate) type Column<'a> = (&'a str, &'a dyn ToSql);

/// A Messages database in a folder of its own, open for writing in WAL mode as Messages has it.
pub(crate) struct Fixture {
    pub(crate) folder: TempDir,
    pub(crate) writer: Connection,
}

impl Fixture {
    /// An empty database.
    pub(crate) fn new(macos: MacOs) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let writer = Connection::open(folder.path().join("chat.db")).unwrap();
        writer.pragma_update(None, "journal_mode", "wal").unwrap();
        writer.pragma_update(None, "synchronous", false).unwrap();
        // Joins to what is gone must be possible.
        writer.pragma_update(None, "foreign_keys", false).unwrap();
        writer.execute_batch(&tables(macos)).unwrap();
        Self { folder, writer }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("chat.db")
    }

    /// Inserts a row, leaving out the columns that this macOS does not have. Returns its ROWID.
    pub(crate) fn insert(&self, table: &str, columns: &[Column<'_>]) -> i64 {
        let mut known = self
            .writer
            .prepare("SELECT name FROM pragma_table_info(?1)")
            .unwrap();
        let known: Vec<String> = known
            .query_map([table], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let there = |(name, _value): &&Column<'_>| {
            name.eq_ignore_ascii_case("ROWID") || known.iter().any(|known| known == name)
        };
        let columns: Vec<&Column<'_>> = columns.iter().filter(there).collect();
        let names: Vec<&str> = columns.iter().map(|(name, _value)| *name).collect();
        let values: Vec<&dyn ToSql> = columns.iter().map(|(_name, value)| *value).collect();
        let sql = format!(
            "INSERT INTO {table} ({}) VALUES ({})",
            names.join(", "),
            vec!["?"; names.len()].join(", ")
        );
        self.writer.execute(&sql, values.as_slice()).unwrap();
        self.writer.last_insert_rowid()
    }

    pub(crate) fn handle(&self, id: &str, service: &str) -> i64 {
        self.insert(
            "handle",
            &[("id", &id), ("service", &service), ("country", &"us")],
        )
    }

    /// A chat with its members; `guid` as in `iMessage;-;+15550100001`.
    pub(crate) fn chat(&self, guid: &str, members: &[i64]) -> i64 {
        let mut fields = guid.splitn(3, ';');
        let (service, separator, identifier) = (
            fields.next().unwrap(),
            fields.next().unwrap(),
            fields.next().unwrap(),
        );
        let style = if separator == "+" { 43 } else { 45 };
        let columns: [Column<'_>; 6] = [
            ("guid", &guid),
            ("style", &style),
            ("chat_identifier", &identifier),
            ("service_name", &service),
            ("account_login", &"P:+15550100000"),
            ("last_addressed_handle", &"+15550100000"),
        ];
        let chat = self.insert("chat", &columns);
        for member in members {
            self.insert(
                "chat_handle_join",
                &[("chat_id", &chat), ("handle_id", member)],
            );
        }
        chat
    }

    /// A message in some chats.
    pub(crate) fn message(&self, guid: &str, chats: &[i64], columns: &[Column<'_>]) -> i64 {
        let mut all: Vec<Column<'_>> = vec![("guid", &guid), ("service", &"iMessage")];
        all.retain(|(name, _value)| columns.iter().all(|(given, _value)| given != name));
        all.extend_from_slice(columns);
        let message = self.insert("message", &all);
        for chat in chats {
            self.join(message, *chat);
        }
        message
    }

    pub(crate) fn join(&self, message: i64, chat: i64) {
        self.insert(
            "chat_message_join",
            &[("chat_id", &chat), ("message_id", &message)],
        );
    }

    /// Moves a message to Recently Deleted.
    pub(crate) fn recover(&self, message: i64, chat: i64, date: i64) {
        let columns: [Column<'_>; 3] = [
            ("chat_id", &chat),
            ("message_id", &message),
            ("delete_date", &date),
        ];
        self.insert("chat_recoverable_message_join", &columns);
    }

    /// An attachment of a message.
    pub(crate) fn attachment(&self, message: i64, guid: &str, columns: &[Column<'_>]) -> i64 {
        let mut all: Vec<Column<'_>> = vec![("guid", &guid), ("original_guid", &guid)];
        all.extend_from_slice(columns);
        let attachment = self.insert("attachment", &all);
        let join: [Column<'_>; 2] = [("message_id", &message), ("attachment_id", &attachment)];
        self.insert("message_attachment_join", &join);
        attachment
    }
}

/// Writes an address book with two people, one of them the owner, and a group. The second person's number and address
/// are `+15550100001` and `bea@example.org`.
pub(crate) fn write_address_book(path: &Path) {
    let book = Connection::open(path).unwrap();
    book.execute_batch(
        "CREATE TABLE ZABCDRECORD (Z_PK INTEGER PRIMARY KEY, Z_ENT INTEGER, ZFIRSTNAME VARCHAR, ZLASTNAME VARCHAR,
             ZMIDDLENAME VARCHAR, ZNICKNAME VARCHAR, ZORGANIZATION VARCHAR, ZCONTAINERWHERECONTACTISME INTEGER,
             ZLINKID VARCHAR, ZUNIQUEID VARCHAR);
         CREATE TABLE Z_PRIMARYKEY (Z_ENT INTEGER PRIMARY KEY, Z_NAME VARCHAR);
         INSERT INTO Z_PRIMARYKEY VALUES (19, 'ABCDGroup'), (24, 'ABCDContact'), (25, 'ABCDSubscribedContact');
         CREATE TABLE ZABCDPHONENUMBER (Z_PK INTEGER PRIMARY KEY, ZOWNER INTEGER, ZFULLNUMBER VARCHAR);
         CREATE TABLE ZABCDEMAILADDRESS (Z_PK INTEGER PRIMARY KEY, ZOWNER INTEGER, ZADDRESS VARCHAR);
         INSERT INTO ZABCDRECORD (Z_PK, Z_ENT, ZFIRSTNAME, ZCONTAINERWHERECONTACTISME, ZUNIQUEID)
             VALUES (1, 24, 'Ada', 7, 'ME:ABPerson');
         INSERT INTO ZABCDRECORD (Z_PK, Z_ENT, ZFIRSTNAME, ZLASTNAME, ZNICKNAME, ZLINKID, ZUNIQUEID)
             VALUES (2, 25, 'Bea', 'Example', '', 'LINK', 'BEA:ABPerson');
         INSERT INTO ZABCDRECORD (Z_PK, Z_ENT, ZFIRSTNAME, ZUNIQUEID) VALUES (3, 19, 'Family', 'G:ABGroup');
         INSERT INTO ZABCDPHONENUMBER (ZOWNER, ZFULLNUMBER) VALUES (1, '(555) 010-0000'), (2, '+1 (555) 010-0001');
         INSERT INTO ZABCDEMAILADDRESS (ZOWNER, ZADDRESS) VALUES (2, 'bea@example.org'), (9, 'gone@example.org');",
    )
    .unwrap();
}

/// The tables of a macOS. Column types are as Apple declares them, which decides how SQLite stores a value.
fn tables(macos: MacOs) -> String {
    let join_extra = match macos {
        MacOs::V10_15 | MacOs::V11 | MacOs::V15 => "",
        MacOs::V26 => ", index_state INTEGER NOT NULL DEFAULT 0",
        MacOs::V27 => {
            ", index_state INTEGER NOT NULL DEFAULT 0, filter_action INTEGER NOT NULL DEFAULT 0"
        }
    };
    let mut sql = format!(
        "CREATE TABLE deleted_messages (ROWID INTEGER PRIMARY KEY AUTOINCREMENT UNIQUE, guid TEXT NOT NULL);
         CREATE TABLE sync_deleted_messages (ROWID INTEGER PRIMARY KEY AUTOINCREMENT UNIQUE, guid TEXT NOT NULL,
             recordID TEXT);
         CREATE TABLE handle (ROWID INTEGER PRIMARY KEY AUTOINCREMENT UNIQUE, id TEXT NOT NULL, country TEXT,
             service TEXT NOT NULL, uncanonicalized_id TEXT, person_centric_id TEXT, UNIQUE (id, service));
         CREATE TABLE chat_handle_join (chat_id INTEGER, handle_id INTEGER, UNIQUE (chat_id, handle_id));
         CREATE TABLE chat_message_join (chat_id INTEGER, message_id INTEGER, message_date INTEGER DEFAULT 0{join_extra},
             PRIMARY KEY (chat_id, message_id));
         CREATE INDEX chat_message_join_idx_message_id_only ON chat_message_join (message_id);
         CREATE TABLE message_attachment_join (message_id INTEGER, attachment_id INTEGER,
             UNIQUE (message_id, attachment_id));
         CREATE INDEX message_attachment_join_idx_message_id ON message_attachment_join (message_id);"
    );
    if macos >= MacOs::V15 {
        sql.push_str(
            "CREATE TABLE chat_recoverable_message_join (chat_id INTEGER, message_id INTEGER, delete_date INTEGER,
                 ck_sync_state INTEGER DEFAULT 0, PRIMARY KEY (chat_id, message_id), CHECK (delete_date != 0));
             CREATE INDEX chat_recoverable_message_join_message_id_idx ON chat_recoverable_message_join (message_id);",
        );
    }
    if macos >= MacOs::V26 {
        sql.push_str(
            "CREATE TABLE chat_lookup (identifier TEXT NOT NULL, domain TEXT NOT NULL, chat INTEGER NOT NULL,
                 priority INTEGER DEFAULT 0, UNIQUE (identifier, domain));",
        );
    }
    for (table, columns) in [
        ("message", MESSAGE),
        ("chat", CHAT),
        ("attachment", ATTACHMENT),
    ] {
        let columns: Vec<String> = columns
            .iter()
            .filter(|(since, _columns)| *since <= macos)
            .flat_map(|(_since, columns)| columns.split_whitespace())
            .map(declared)
            .collect();
        let columns = columns.join(", ");
        sql += "CREATE TABLE ";
        sql += table;
        sql += " (ROWID INTEGER PRIMARY KEY AUTOINCREMENT, guid TEXT UNIQUE NOT NULL, ";
        sql += &columns;
        sql += ");";
    }
    sql
}

/// A column's declaration: `t:` marks text, `b:` a blob, all else is a number that is 0 by default.
fn declared(column: &str) -> String {
    match column.split_once(':') {
        Some(("t", name)) => format!("{name} TEXT"),
        Some((_blob, name)) => format!("{name} BLOB"),
        None if column.starts_with("date") || column == "part_count" => format!("{column} INTEGER"),
        None => format!("{column} INTEGER DEFAULT 0"),
    }
}

const MESSAGE: &[(MacOs, &str)] = &[
    (
        MacOs::V10_15,
        "t:text replace t:service_center handle_id t:subject t:country b:attributedBody version type t:service t:account
         t:account_guid error date date_read date_delivered is_delivered is_finished is_emote is_from_me is_empty
         is_delayed is_auto_reply is_prepared is_read is_system_message is_sent has_dd_results is_service_message
         is_forward was_downgraded is_archive cache_has_attachments t:cache_roomnames was_data_detected
         was_deduplicated is_audio_message is_played date_played item_type other_handle t:group_title
         group_action_type share_status share_direction is_expirable expire_state message_action_type message_source
         t:associated_message_guid associated_message_type t:balloon_bundle_id b:payload_data
         t:expressive_send_style_id associated_message_range_location associated_message_range_length
         time_expressive_send_played b:message_summary_info ck_sync_state t:ck_record_id t:ck_record_change_tag
         t:destination_caller_id is_corrupt t:reply_to_guid sort_id is_spam",
    ),
    (MacOs::V11, "has_unseen_mention t:thread_originator_guid t:thread_originator_part"),
    (
        MacOs::V15,
        "t:syndication_ranges t:synced_syndication_ranges was_delivered_quietly did_notify_recipient date_retracted
         date_edited was_detonated part_count is_stewie is_sos is_critical t:bia_reference_id is_kt_verified
         t:fallback_hash t:associated_message_emoji is_pending_satellite_send needs_relay schedule_type
         schedule_state sent_or_received_off_grid date_recovered",
    ),
    (MacOs::V26, "is_time_sensitive t:ck_chat_id index_state"),
    (
        MacOs::V27,
        "filter_action filter_sub_action is_preview_sent is_preview_delivered date_preview_sent
         date_preview_delivered date_updated retry_count",
    ),
];

const CHAT: &[(MacOs, &str)] = &[
    (
        MacOs::V10_15,
        "style state t:account_id b:properties t:chat_identifier t:service_name t:room_name t:account_login is_archived
         t:last_addressed_handle t:display_name t:group_id is_filtered successful_query t:engram_id
         t:server_change_token ck_sync_state t:original_group_id last_read_message_timestamp t:cloudkit_record_id",
    ),
    (
        MacOs::V15,
        "t:last_addressed_sim_id is_blackholed syndication_date syndication_type is_recovered
         is_deleting_incoming_messages",
    ),
    (MacOs::V26, "is_pending_review"),
];

const ATTACHMENT: &[(MacOs, &str)] = &[
    (
        MacOs::V10_15,
        "created_date start_date t:filename t:uti t:mime_type transfer_state is_outgoing b:user_info t:transfer_name
         total_bytes is_sticker b:sticker_user_info b:attribution_info hide_attachment ck_sync_state
         b:ck_server_change_token_blob t:ck_record_id t:original_guid",
    ),
    (
        MacOs::V15,
        "is_commsafety_sensitive t:emoji_image_content_identifier t:emoji_image_short_description
         preview_generation_state",
    ),
    (MacOs::V27, "b:preflight_info sensitivity_analysis"),
];
