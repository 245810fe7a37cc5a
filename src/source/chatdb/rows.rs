//! Reading message rows with everything joined to them: inside one short transaction as they are, outside of it put
//! together.

use std::collections::HashMap;

use rusqlite::Connection;
use rusqlite::Row as SqlRow;
use rusqlite::types::ValueRef;

use crate::base::limits::BLOB_BYTES;
use crate::model::record::ChatRef;
use crate::model::record::Column;
use crate::model::record::MessageColumn;
use crate::model::record::MessageRecord;
use crate::model::record::Row;
use crate::model::record::Value;
use crate::source::chatdb::Detail;
use crate::source::chatdb::SourceRow;
use crate::source::chatdb::fingerprint::Fingerprints;
use crate::source::chatdb::schema::BODIES;
use crate::source::chatdb::schema::MessageQuery;
use crate::source::chatdb::schema::Plan;
use crate::source::chatdb::schema::Projection;
use crate::source::chatdb::schema::Query;
use crate::source::chatdb::schema::Tables;

/// What a connection knows of its database, until another one commits.
pub(super) struct View {
    /// `schema_version`: changes with every change of a table.
    schema: i64,
    /// `data_version`: changes with every commit of another connection.
    commits: i64,
    pub(super) plan: Plan,
    pub(super) names: Names,
}

/// What ROWIDs of other tables stand for.
pub(super) struct Names {
    chats: HashMap<i64, ChatRef>,
    handles: HashMap<i64, String>,
}

impl View {
    /// Looks at a database for the first time, inside a transaction.
    pub(super) fn new(connection: &Connection) -> rusqlite::Result<Self> {
        let (schema, commits) = versions(connection)?;
        let plan = Plan::of(&Tables::probe(connection)?);
        Ok(Self {
            schema,
            commits,
            names: Names::read(connection, &plan)?,
            plan,
        })
    }

    /// Looks again, inside a transaction, if anything was committed in between.
    pub(super) fn refresh(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let (schema, commits) = versions(connection)?;
        if schema != self.schema {
            *self = Self::new(connection)?;
        } else if commits != self.commits {
            self.names = Names::read(connection, &self.plan)?;
            self.commits = commits;
        }
        Ok(())
    }
}

/// `schema_version` and `data_version`. The first read of a transaction fixes what it sees, so both belong together.
fn versions(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    Ok((
        pragma(connection, "PRAGMA schema_version")?,
        pragma(connection, "PRAGMA data_version")?,
    ))
}

fn pragma(connection: &Connection, sql: &str) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(sql)?
        .query_row([], |row| row.get(0))
}

impl Names {
    /// The address of a handle; `None` for 0 and for one that is gone.
    pub(super) fn address(&self, handle: i64) -> Option<String> {
        self.handles.get(&handle).cloned()
    }

    fn read(connection: &Connection, plan: &Plan) -> rusqlite::Result<Self> {
        let mut chats = HashMap::new();
        let mut statement = connection.prepare_cached(&plan.chat_names)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let chat = ChatRef {
                guid: text(row, 1)?.unwrap_or_default(),
                service: text(row, 2)?.unwrap_or_default(),
            };
            chats.insert(row.get(0)?, chat);
        }
        let mut handles = HashMap::new();
        let mut statement = connection.prepare_cached(&plan.all_handles)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            handles.insert(row.get(0)?, text(row, 1)?.unwrap_or_default());
        }
        Ok(Self { chats, handles })
    }
}

/// A range of ROWIDs to read.
pub(super) struct Range {
    /// The last one before the range.
    pub(super) after: i64,
    /// The last one of the range.
    pub(super) last: i64,
    /// Rows after which reading stops.
    pub(super) rows: usize,
    /// Bytes of bodies after which reading stops.
    pub(super) bytes: u64,
}

/// Rows as a transaction left them, not put together yet.
#[derive(Default)]
pub(super) struct Batch {
    /// By ROWID; the joined parts of their records are missing.
    rows: Vec<SourceRow>,
    /// Of each row, the sizes of its bodies.
    bodies: Vec<[Option<u64>; BODIES.len()]>,
    /// Message, chat.
    chats: Vec<(i64, i64)>,
    /// Message, chat, date.
    recoverable: Vec<(i64, i64, i64)>,
    /// Message, attachment, row.
    attachments: Vec<(i64, i64, Row)>,
    /// Whether a limit ended the reading before the range ended.
    pub(super) is_cut: bool,
    /// Where a row's values are gathered.
    scratch: Row,
}

impl Batch {
    /// Reads ranges, which must come in rising order.
    pub(super) fn read(
        &mut self,
        connection: &Connection,
        plan: &Plan,
        ranges: &[Range],
        detail: Detail,
    ) -> rusqlite::Result<()> {
        let (messages, attachments) = match detail {
            Detail::Full => (&plan.messages, &plan.attachments),
            Detail::Outline => (&plan.outlines, &plan.attachment_outlines),
        };
        let spans = self.read_messages(connection, messages, ranges, detail)?;
        self.read_chats(connection, plan, &spans)?;
        match attachments {
            Some(query) => self.read_attachments(connection, query, &spans),
            None => Ok(()),
        }
    }

    /// Reads the rows themselves. Returns what was read of each range: the ROWID before and the last one.
    fn read_messages(
        &mut self,
        connection: &Connection,
        query: &MessageQuery,
        ranges: &[Range],
        detail: Detail,
    ) -> rusqlite::Result<Vec<(i64, i64)>> {
        let mut statement = connection.prepare_cached(&query.usual.sql)?;
        let mut spans = Vec::with_capacity(ranges.len());
        let mut with_rare = Vec::new();
        for range in ranges {
            let limit = i64::try_from(range.rows).unwrap_or(i64::MAX);
            let mut rows = statement.query((range.after, range.last, limit))?;
            let (mut count, mut bytes) = (0, 0);
            while let Some(row) = rows.next()? {
                if !matches!(row.get_ref(MessageQuery::FIRST - 1)?, ValueRef::Null) {
                    with_rare.push(self.rows.len());
                }
                bytes += self.read_message(row, &query.usual.columns, detail)?;
                count += 1;
                if count >= range.rows || bytes >= range.bytes {
                    self.is_cut = true;
                    break;
                }
            }
            if count > 0 {
                spans.extend(self.rows.last().map(|last| (range.after, last.rowid)));
            }
        }
        self.read_rare(connection, &query.rare, &with_rare)?;
        Ok(spans)
    }

    /// Reads one row without its rare columns. Returns the bytes of its bodies.
    fn read_message(
        &mut self,
        row: &SqlRow<'_>,
        columns: &Projection,
        detail: Detail,
    ) -> rusqlite::Result<u64> {
        let mut too_large = Vec::new();
        let mut bodies = [None; BODIES.len()];
        let mut bytes = 0;
        for ((at, size), body) in bodies.iter_mut().enumerate().zip(BODIES) {
            let Some(read) = row.get::<_, Option<i64>>(1 + at)?.map(i64::unsigned_abs) else {
                continue;
            };
            *size = Some(read);
            if detail == Detail::Full {
                if usize::try_from(read).is_ok_and(|read| read <= BLOB_BYTES) {
                    bytes += read;
                } else {
                    too_large.push((name(MessageColumn::NAMES, body.index()), read));
                }
            }
        }
        let scratch = &mut self.scratch;
        read_into(scratch, row, MessageQuery::FIRST, columns, &mut too_large)?;
        // As large as needed and no larger: many rows are in memory at once.
        let mut values = Vec::with_capacity(scratch.values.len());
        values.append(&mut scratch.values);
        self.bodies.push(bodies);
        self.rows.push(SourceRow {
            rowid: row.get(0)?,
            record: MessageRecord {
                row: Row {
                    values,
                    extra: Vec::new(),
                },
                too_large,
                ..MessageRecord::default()
            },
            fingerprint: 0,
        });
        Ok(bytes)
    }

    /// Completes some of the rows with their rare columns.
    fn read_rare(
        &mut self,
        connection: &Connection,
        query: &Query,
        places: &[usize],
    ) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(&query.sql)?;
        for place in places {
            let Some(SourceRow { rowid, record, .. }) = self.rows.get_mut(*place) else {
                continue;
            };
            statement.query_row([*rowid], |row| {
                read_into(
                    &mut record.row,
                    row,
                    1,
                    &query.columns,
                    &mut record.too_large,
                )
            })?;
        }
        Ok(())
    }

    /// Reads which chats hold the messages of some spans, or held them.
    fn read_chats(
        &mut self,
        connection: &Connection,
        plan: &Plan,
        spans: &[(i64, i64)],
    ) -> rusqlite::Result<()> {
        if let Some(sql) = &plan.chats {
            let mut statement = connection.prepare_cached(sql)?;
            for span in spans {
                let mut rows = statement.query(*span)?;
                while let Some(row) = rows.next()? {
                    self.chats.push((integer(row, 0)?, integer(row, 1)?));
                }
            }
        }
        if let Some(sql) = &plan.recoverable {
            let mut statement = connection.prepare_cached(sql)?;
            for span in spans {
                let mut rows = statement.query(*span)?;
                while let Some(row) = rows.next()? {
                    let (message, chat) = (integer(row, 0)?, integer(row, 1)?);
                    self.recoverable.push((message, chat, integer(row, 2)?));
                }
            }
        }
        Ok(())
    }

    /// Reads the attachments of the messages of some spans.
    fn read_attachments(
        &mut self,
        connection: &Connection,
        query: &Query,
        spans: &[(i64, i64)],
    ) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(&query.sql)?;
        for span in spans {
            let mut rows = statement.query(*span)?;
            while let Some(row) = rows.next()? {
                let mut too_large = Vec::new();
                let values = read_row(row, 2, &query.columns, &mut too_large)?;
                let message = integer(row, 0)?;
                self.note_large(message, too_large);
                self.attachments.push((message, integer(row, 1)?, values));
            }
        }
        Ok(())
    }

    /// Adds what was too large in an attachment's row to its message.
    fn note_large(&mut self, message: i64, columns: Vec<(String, u64)>) {
        if columns.is_empty() {
            return;
        }
        if let Ok(at) = self.rows.binary_search_by_key(&message, |row| row.rowid)
            && let Some(row) = self.rows.get_mut(at)
        {
            let named = |(column, size)| (format!("attachment.{column}"), size);
            row.record.too_large.extend(columns.into_iter().map(named));
        }
    }

    /// Puts the rows together with what is joined to them.
    pub(super) fn assemble(
        mut self,
        names: &Names,
        fingerprints: &mut Fingerprints,
    ) -> Vec<SourceRow> {
        self.chats.sort_unstable();
        self.recoverable.sort_unstable();
        self.attachments
            .sort_unstable_by_key(|(message, attachment, _row)| (*message, *attachment));
        let mut chats = self.chats.into_iter().peekable();
        let mut recoverable = self.recoverable.into_iter().peekable();
        let mut attachments = self.attachments.into_iter().peekable();
        for (row, bodies) in self.rows.iter_mut().zip(self.bodies) {
            let (rowid, record) = (row.rowid, &mut row.record);
            let handle = record.row.integer(MessageColumn::HandleId);
            let other_handle = record.row.integer(MessageColumn::OtherHandle);
            record.handle = names.address(handle);
            record.other_handle = names.address(other_handle);
            while let Some((message, chat)) = chats.next_if(|(message, ..)| *message <= rowid) {
                if message == rowid {
                    record.chats.extend(names.chats.get(&chat).cloned());
                }
            }
            while let Some((message, chat, date)) =
                recoverable.next_if(|(message, ..)| *message <= rowid)
            {
                if message == rowid && record.recoverable.is_none() {
                    record.recoverable = names.chats.get(&chat).map(|chat| (chat.clone(), date));
                }
            }
            while let Some((message, _attachment, row)) =
                attachments.next_if(|(message, ..)| *message <= rowid)
            {
                if message == rowid {
                    record.attachments.push(row);
                }
            }
            row.fingerprint = fingerprints.of(record, bodies);
        }
        self.rows
    }
}

/// Reads the columns of a projection, the first of which is the result's column `first`.
pub(super) fn read_row(
    row: &SqlRow<'_>,
    first: usize,
    columns: &Projection,
    too_large: &mut Vec<(String, u64)>,
) -> rusqlite::Result<Row> {
    let mut values = Row::default();
    read_into(&mut values, row, first, columns, too_large)?;
    Ok(values)
}

/// Adds columns to a row that has none with higher numbers. Null and 0 are not told apart: both are null. Values that
/// are too large are left out and noted.
fn read_into(
    into: &mut Row,
    row: &SqlRow<'_>,
    first: usize,
    columns: &Projection,
    too_large: &mut Vec<(String, u64)>,
) -> rusqlite::Result<()> {
    let mut at = first;
    for number in &columns.known {
        match value(row.get_ref(at)?) {
            Ok(None) => {}
            Ok(Some(value)) => {
                into.values.resize_with(*number, Value::default);
                into.values.push(value);
            }
            Err(size) => too_large.push((name(columns.names, *number), size)),
        }
        at += 1;
    }
    for unknown in &columns.unknown {
        match value(row.get_ref(at)?) {
            Ok(None) => {}
            Ok(Some(value)) => into.extra.push((unknown.clone(), value)),
            Err(size) => too_large.push((unknown.clone(), size)),
        }
        at += 1;
    }
    Ok(())
}

fn name(names: &[&str], number: usize) -> String {
    names.get(number).copied().unwrap_or_default().to_owned()
}

/// A value as SQLite holds it; text that is no UTF-8 as its bytes. `None` for null and 0, `Err` with the size of one
/// that is too large.
#[inline]
fn value(value: ValueRef<'_>) -> Result<Option<Value>, u64> {
    let is_large = |bytes: &[u8]| bytes.len() > BLOB_BYTES;
    Ok(Some(match value {
        ValueRef::Null | ValueRef::Integer(0) | ValueRef::Real(0.0) => return Ok(None),
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) if is_large(bytes) => {
            return Err(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        }
        ValueRef::Text(bytes) => match str::from_utf8(bytes) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_not_utf8) => Value::Blob(bytes.to_vec()),
        },
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }))
}

/// A name or address: text, whatever its type is; bytes that are no UTF-8 are replaced. `None` for null and empty.
pub(super) fn text(row: &SqlRow<'_>, at: usize) -> rusqlite::Result<Option<String>> {
    let text = match row.get_ref(at)? {
        ValueRef::Null => return Ok(None),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            String::from_utf8_lossy(bytes).into_owned()
        }
    };
    Ok((!text.is_empty()).then_some(text))
}

/// A ROWID or date; 0 for anything that is none.
pub(super) fn integer(row: &SqlRow<'_>, at: usize) -> rusqlite::Result<i64> {
    Ok(match row.get_ref(at)? {
        ValueRef::Integer(number) => number,
        ValueRef::Null | ValueRef::Real(_) | ValueRef::Text(_) | ValueRef::Blob(_) => 0,
    })
}
