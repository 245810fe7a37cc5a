//! Which tables and columns a database has, and the queries made from them.
//!
//! Apple adds columns with every macOS, in an order that differs between upgraded and fresh databases. So nothing is
//! taken for granted but `message` with a `guid`, `chat` and `handle`. A query names the columns that are there:
//! the known ones in the order of their numbers, then those that this version does not know.

use std::collections::HashMap;
use std::fmt::Write;

use rusqlite::Connection;

use crate::base::limits::BLOB_BYTES;
use crate::model::record::AttachmentColumn;
use crate::model::record::ChatColumn;
use crate::model::record::Column;
use crate::model::record::MessageColumn;
use crate::source::chatdb::fingerprint;

/// The columns of `message` that hold bodies, which may be large: read only if they are not, with their sizes.
pub(super) const BODIES: [MessageColumn; 4] = [
    MessageColumn::Text,
    MessageColumn::AttributedBody,
    MessageColumn::PayloadData,
    MessageColumn::MessageSummaryInfo,
];

/// Columns of `message` from this number on hold nothing in most rows.
const RARE_FROM: usize = MessageColumn::DateEdited as usize + 1;

/// The tables of a database and their columns, as they are written there, by name in lower case.
pub(super) struct Tables(HashMap<String, Vec<String>>);

impl Tables {
    /// Asks the database.
    pub(super) fn probe(connection: &Connection) -> rusqlite::Result<Self> {
        let mut list = connection
            .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY name")?;
        let names: Vec<String> = list
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let mut info = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
        let mut tables = HashMap::with_capacity(names.len());
        for name in names {
            let columns = info
                .query_map([&name], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            tables.insert(name.to_lowercase(), columns);
        }
        Ok(Self(tables))
    }

    /// Their names, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.0.keys().cloned().collect();
        names.sort();
        names
    }

    /// Whether there is such a table.
    pub(super) fn has(&self, table: &str) -> bool {
        self.0.contains_key(table)
    }

    /// The columns of a table, none if it is not there.
    pub(super) fn columns(&self, table: &str) -> &[String] {
        self.0.get(table).map_or(&[], Vec::as_slice)
    }

    /// A column as SQL text, or `NULL` if the table does not have it.
    pub(super) fn column(&self, table: &str, name: &str) -> String {
        let mut columns = self.columns(table).iter();
        match columns.find(|column| column.eq_ignore_ascii_case(name)) {
            Some(column) => quoted(column),
            None => "NULL".to_owned(),
        }
    }

    /// Whether a table has all of these columns.
    pub(super) fn has_columns(&self, table: &str, names: &[&str]) -> bool {
        names.iter().all(|name| self.column(table, name) != "NULL")
    }
}

/// A name in SQL.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The columns that a query reads, in the order in which it reads them.
#[derive(Default)]
pub(super) struct Projection {
    /// Numbers of the known columns, rising.
    pub(super) known: Vec<usize>,
    /// Names of the unknown columns, which follow.
    pub(super) unknown: Vec<String>,
    /// Names of the known columns of the table.
    pub(super) names: &'static [&'static str],
    /// The columns as SQL.
    sql: Vec<String>,
}

impl Projection {
    /// The columns of a table that are there and wanted.
    fn of<C: Column>(tables: &Tables, table: &str, wanted: impl Fn(usize) -> bool) -> Self {
        let mut projection = Self {
            names: C::NAMES,
            ..Self::default()
        };
        for (number, name) in C::NAMES.iter().enumerate() {
            let column = tables.column(table, name);
            if column != "NULL" && wanted(number) {
                projection.known.push(number);
                projection.sql.push(column);
            }
        }
        projection
    }

    /// The same and the columns that this version does not know.
    fn with_unknown(mut self, tables: &Tables, table: &str) -> Self {
        let is_known = |column: &str| {
            column.eq_ignore_ascii_case("ROWID")
                || self
                    .names
                    .iter()
                    .any(|name| name.eq_ignore_ascii_case(column))
        };
        let unknown = tables
            .columns(table)
            .iter()
            .filter(|column| !is_known(column));
        let unknown: Vec<String> = unknown.cloned().collect();
        self.sql.extend(unknown.iter().map(|column| quoted(column)));
        self.unknown = unknown;
        self
    }

    /// The same, but large values of some columns are read as null.
    fn with_guard(mut self, guarded: &[MessageColumn]) -> Self {
        for (number, sql) in self.known.iter().zip(&mut self.sql) {
            if guarded.iter().any(|column| column.index() == *number) {
                *sql = format!("CASE WHEN octet_length({sql}) <= {BLOB_BYTES} THEN {sql} END");
            }
        }
        self
    }

    /// The columns below a number, and the others.
    fn split(mut self, number: usize) -> (Self, Self) {
        let below = self.known.partition_point(|known| *known < number);
        let others = Self {
            known: self.known.split_off(below),
            unknown: std::mem::take(&mut self.unknown),
            names: self.names,
            sql: self.sql.split_off(below),
        };
        (self, others)
    }

    /// Whether any column holds something, as SQL. Without `+`, text that reads `0` would be taken for the number.
    fn holds_something(&self) -> String {
        let tests: Vec<String> = self
            .sql
            .iter()
            .map(|column| format!("+{column} <> 0"))
            .collect();
        match tests.as_slice() {
            [] => "NULL".to_owned(),
            tests => format!("CASE WHEN {} THEN 1 END", tests.join(" OR ")),
        }
    }

    /// As a list for `SELECT`, each column with a prefix; begins with a comma.
    fn list(&self, prefix: &str) -> String {
        self.sql.iter().fold(String::new(), |mut list, column| {
            write!(list, ", {prefix}{column}").unwrap_or_default();
            list
        })
    }
}

/// A query and what it yields.
pub(super) struct Query {
    /// The statement.
    pub(super) sql: String,
    /// What stands behind its fixed columns.
    pub(super) columns: Projection,
}

/// The queries for messages. Asking SQLite for a value costs more than SQLite's looking at it, so the columns that
/// rarely hold something are asked for only where one of them does.
pub(super) struct MessageQuery {
    /// ROWID, the sizes of the [`BODIES`], whether a rare column holds something, the usual columns; of ROWIDs in
    /// (?1, ?2], at most ?3.
    pub(super) usual: Query,
    /// The rare columns of ROWID ?1. Their numbers are above those of the usual ones.
    pub(super) rare: Query,
}

impl MessageQuery {
    /// Result columns in front of the usual ones.
    pub(super) const FIRST: usize = 2 + BODIES.len();

    fn of(tables: &Tables, columns: Projection) -> Self {
        let (usual, rare) = columns.split(RARE_FROM);
        let usual = usual.with_guard(&BODIES);
        let mut sql = "SELECT ROWID".to_owned();
        for body in BODIES {
            let name = MessageColumn::NAMES
                .get(body.index())
                .copied()
                .unwrap_or_default();
            let column = tables.column("message", name);
            write!(sql, ", octet_length({column})").unwrap_or_default();
        }
        let (test, list) = (rare.holds_something(), usual.list(""));
        Self {
            usual: Query {
                sql: format!(
                    "{sql}, {test}{list} FROM message WHERE {RANGE} ORDER BY ROWID LIMIT ?3"
                ),
                columns: usual,
            },
            rare: Query {
                sql: format!(
                    "SELECT ROWID{} FROM message WHERE ROWID = ?1",
                    rare.list("")
                ),
                columns: rare,
            },
        }
    }
}

/// Every query that the present schema asks for. `None` where a table is missing.
pub(super) struct Plan {
    /// Messages.
    pub(super) messages: MessageQuery,
    /// The same with the columns of the fingerprint only, and no bodies.
    pub(super) outlines: MessageQuery,
    /// Message, attachment ROWID, columns; of messages in (?1, ?2].
    pub(super) attachments: Option<Query>,
    /// The same with the columns of the fingerprint only.
    pub(super) attachment_outlines: Option<Query>,
    /// Message and chat; of messages in (?1, ?2].
    pub(super) chats: Option<String>,
    /// Message, chat and `delete_date`; of messages in (?1, ?2].
    pub(super) recoverable: Option<String>,
    /// ROWIDs after ?1 or dated after ?2, rising.
    pub(super) recent: String,
    /// ROWID, columns.
    pub(super) all_chats: Query,
    /// ROWID, then the fields of a `HandleRow`.
    pub(super) all_handles: String,
    /// ROWID, guid, service.
    pub(super) chat_names: String,
    /// Chat and handle.
    pub(super) members: Option<String>,
    /// Chat, identifier, domain.
    pub(super) lookups: Option<String>,
    /// GUIDs of messages deleted for good.
    pub(super) deleted: Vec<String>,
}

const RANGE: &str = "ROWID > ?1 AND ROWID <= ?2";

impl Plan {
    /// From the tables that are there.
    pub(super) fn of(tables: &Tables) -> Self {
        let joined = |table: &'static str, columns: &[&str]| {
            tables.has_columns(table, columns).then_some(table)
        };
        let of_range = "message_id > ?1 AND message_id <= ?2";
        let attachments = |columns: Projection| {
            joined("message_attachment_join", &["message_id", "attachment_id"])?;
            joined("attachment", &["guid"])?;
            Some(Query {
                sql: format!(
                    "SELECT j.message_id, a.ROWID{} FROM message_attachment_join j \
                     JOIN attachment a ON a.ROWID = j.attachment_id WHERE j.{}",
                    columns.list("a."),
                    "message_id > ?1 AND j.message_id <= ?2"
                ),
                columns,
            })
        };
        let chats = Projection::of::<ChatColumn>(tables, "chat", |_number| true)
            .with_unknown(tables, "chat");
        Self {
            messages: MessageQuery::of(
                tables,
                Projection::of::<MessageColumn>(tables, "message", |_number| true)
                    .with_unknown(tables, "message"),
            ),
            outlines: MessageQuery::of(
                tables,
                Projection::of::<MessageColumn>(tables, "message", fingerprint::reads_of_message),
            ),
            attachments: attachments(
                Projection::of::<AttachmentColumn>(tables, "attachment", |_number| true)
                    .with_unknown(tables, "attachment"),
            ),
            attachment_outlines: attachments(Projection::of::<AttachmentColumn>(
                tables,
                "attachment",
                fingerprint::reads_of_attachment,
            )),
            chats: joined("chat_message_join", &["message_id", "chat_id"])
                .map(|table| format!("SELECT message_id, chat_id FROM {table} WHERE {of_range}")),
            recoverable: joined("chat_recoverable_message_join", &["message_id", "chat_id"]).map(
                |table| {
                    let date = tables.column(table, "delete_date");
                    format!("SELECT message_id, chat_id, {date} FROM {table} WHERE {of_range}")
                },
            ),
            recent: format!(
                "SELECT ROWID FROM message WHERE ROWID > ?1 UNION \
                 SELECT ROWID FROM message WHERE {} > ?2 ORDER BY 1",
                tables.column("message", "date"),
            ),
            all_chats: Query {
                sql: format!("SELECT ROWID{} FROM chat ORDER BY ROWID", chats.list("")),
                columns: chats,
            },
            all_handles: format!(
                "SELECT ROWID, {}, {}, {}, {}, {} FROM handle ORDER BY ROWID",
                tables.column("handle", "id"),
                tables.column("handle", "service"),
                tables.column("handle", "country"),
                tables.column("handle", "uncanonicalized_id"),
                tables.column("handle", "person_centric_id"),
            ),
            chat_names: format!(
                "SELECT ROWID, {}, {} FROM chat",
                tables.column("chat", "guid"),
                tables.column("chat", "service_name"),
            ),
            members: joined("chat_handle_join", &["chat_id", "handle_id"])
                .map(|table| format!("SELECT chat_id, handle_id FROM {table}")),
            lookups: joined("chat_lookup", &["chat", "identifier"]).map(|table| {
                let domain = tables.column(table, "domain");
                format!("SELECT chat, identifier, {domain} FROM {table} ORDER BY chat, identifier")
            }),
            deleted: ["deleted_messages", "sync_deleted_messages"]
                .into_iter()
                .filter_map(|table| joined(table, &["guid"]))
                .map(|table| {
                    format!(
                        "SELECT guid FROM {table} AS gone WHERE NOT EXISTS \
                         (SELECT 1 FROM message WHERE message.guid = gone.guid)"
                    )
                })
                .collect(),
        }
    }
}
