//! A pass over a chat.db.

use std::collections::BTreeSet;

use sha2::Digest;
use sha2::Sha256;

use crate::base::ids::Guid;
use crate::base::ids::RowId;
use crate::base::limits::SLICE_ROWS;
use crate::base::time::AppleTime;
use crate::base::time::Clock;
use crate::decode::chatdb::DECODER_VERSION;
use crate::decode::chatdb::Directory;
use crate::decode::chatdb::decode;
use crate::ingest::IngestError;
use crate::ingest::OnProgress;
use crate::ingest::Phase;
use crate::ingest::Progress;
use crate::ingest::files::look;
use crate::ingest::files::look_for_files;
use crate::ingest::people::Ownership;
use crate::ingest::people::contacts;
use crate::ingest::people::own_addresses;
use crate::ingest::pipeline;
use crate::ingest::report;
use crate::model::attachment::Attachment;
use crate::model::attachment::AttachmentState;
use crate::model::change::Cursor;
use crate::model::identity::conversations;
use crate::model::record::MessageColumn;
use crate::model::record::SourceKind;
use crate::model::region::Region;
use crate::source::chatdb;
use crate::source::chatdb::ChatDb;
use crate::source::chatdb::Detail;
use crate::source::chatdb::Files;
use crate::source::chatdb::Locations;
use crate::source::chatdb::SourceRow;
use crate::store::Pace;
use crate::store::Page;
use crate::store::Preparer;
use crate::store::Snapshot;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::Tally;
use crate::store::Writer;

const SOURCE: SourceKind = SourceKind::ChatDb;

/// What to import, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the database and what belongs to it are.
    pub locations: Locations,
    /// The region by which local numbers are read; `None` to find it out (D10).
    pub region: Option<Region>,
    /// How much goes into one commit.
    pub pace: Pace,
}

/// Which messages of a database that was read to its end before are compared with what is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every one, unless the inputs are what they were. The cursor then remembers the inputs.
    All,
    /// Those dated since a time, and those after a ROWID. The cursor stays as it is: other messages may have changed.
    Recent {
        /// The time.
        since: AppleTime,
        /// The ROWID.
        after: i64,
    },
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Import {
    /// What was stored.
    pub tally: Tally,
    /// Whether the inputs are what they were at the end of the last import, so that nothing was read.
    pub unchanged: bool,
    /// Whether an interrupted first pass was taken up.
    pub resumed: bool,
    /// What the owner should know about the source.
    pub warnings: Vec<String>,
    /// The largest ROWID when the pass began; `None` when the source was not opened.
    pub last_rowid: Option<i64>,
}

/// Brings a chat.db into the store: all of it the first time, what is new or changed later.
///
/// # Errors
///
/// When the source cannot be read or the store cannot be written. What was committed before stays, and the next import
/// goes on from there.
pub fn import(
    store: &Store,
    clock: &dyn Clock,
    options: &Options,
    on_progress: OnProgress<'_>,
) -> Result<Import, IngestError> {
    pass(store, clock, options, Scope::All, on_progress)
}

/// One pass. What was not read to its end before is read whole, whatever the scope.
pub(super) fn pass(
    store: &Store,
    clock: &dyn Clock,
    options: &Options,
    scope: Scope,
    on_progress: OnProgress<'_>,
) -> Result<Import, IngestError> {
    let files = Files::new(&options.locations);
    let before = store.snapshot()?.cursor(SOURCE)?;
    let inputs = inputs(options)?;
    let mut import = Import::default();
    if let Some(Cursor {
        inputs: known,
        scanned: None,
    }) = &before
        && *known == inputs
        && scope == Scope::All
    {
        import.unchanged = true;
        import.tally = look_again(store, &files)?;
        return Ok(import);
    }
    let mut database = ChatDb::open(options.locations.clone())?;
    let source = database.directory()?;
    let cards = database.contacts()?;
    import.warnings = database.warnings();
    let held = store.snapshot()?.own_handles()?;
    let people = Ownership::new(&held, &source, &cards, options.region);
    let writer = store.writer(options.pace);
    let is_first = before
        .as_ref()
        .is_none_or(|cursor| cursor.scanned.is_some());
    let scope = if is_first { Scope::All } else { scope };
    import.resumed = is_first && before.is_some();
    // An interrupted first pass keeps the inputs that it began with.
    let start = before.filter(|cursor| cursor.scanned.is_some());
    let start = start.unwrap_or(Cursor {
        inputs,
        scanned: Some(i64::MIN),
    });
    let first_own = people.own.clone();
    send(
        &writer,
        scope,
        Page {
            owner: Some(people.owner()),
            conversations: conversations(&source.chats, &people.own, people.region),
            handles: source.handles,
            contacts: Some(contacts(cards, people.region)),
            cursor: is_first.then(|| start.clone()),
            ..Page::default()
        },
    )?;
    let directory = Directory {
        region: people.region,
    };
    let mut pass = Pass {
        store,
        files: &files,
        directory,
        people,
        writer: &writer,
        scope,
        page_rows: options.pace.rows,
        on_progress,
    };
    if is_first {
        pass.read_all(&mut database, &start)?;
    }
    import.last_rowid = Some(database.max_rowid()?);
    if !is_first || start.inputs != inputs {
        import.tally += writer.flush()?;
        import.tally += pass.read_changed(&mut database)?;
    }
    let now = clock.now();
    let deleted = source
        .deleted
        .iter()
        .filter_map(|guid| Guid::parse(guid))
        .map(|guid| (guid, now));
    let mut last = Page {
        deleted: deleted.collect(),
        cursor: (scope == Scope::All).then_some(Cursor {
            inputs,
            scanned: None,
        }),
        ..Page::default()
    };
    if pass.people.own != first_own {
        // Who is the owner decides who the other members are.
        last.conversations = conversations(&source.chats, &pass.people.own, pass.people.region);
    }
    send(&writer, scope, last)?;
    import.tally += writer.flush()?;
    Ok(import)
}

/// What an import works with.
struct Pass<'a> {
    store: &'a Store,
    files: &'a Files,
    directory: Directory,
    people: Ownership,
    writer: &'a Writer,
    scope: Scope,
    /// Messages of one page at most: a page is never split between commits.
    page_rows: usize,
    on_progress: OnProgress<'a>,
}

/// A page on its way to the writer, and the own addresses that its rows name.
struct Decoded {
    page: Page,
    own: BTreeSet<String>,
}

impl Pass<'_> {
    /// Reads every row after the cursor, in full.
    fn read_all(&mut self, database: &mut ChatDb, start: &Cursor) -> Result<(), IngestError> {
        let total = rowid(database.max_rowid()?);
        let mut after = start.scanned;
        let mut waiting = Vec::new().into_iter();
        let page_rows = self.page_rows;
        let read = || {
            if let Some(from) = after.filter(|_| waiting.as_slice().is_empty()) {
                let slice = database.slice(from, Detail::Full)?;
                after = (!slice.end).then_some(slice.last);
                waiting = pages(slice.rows, page_rows).into_iter();
            }
            Ok(waiting.next())
        };
        let (files, directory, on_progress) =
            (self.files, self.directory.clone(), self.on_progress);
        let decode = |rows: Vec<SourceRow>| {
            let last = rows.last().map_or(start.scanned, |row| Some(row.rowid));
            let mut decoded = decode_rows(rows, files, &directory)?;
            decoded.page.cursor = Some(Cursor {
                inputs: start.inputs,
                scanned: last,
            });
            Ok((decoded, last))
        };
        pipeline::run(read, decode, |(decoded, last)| {
            self.send(decoded)?;
            let progress = Progress {
                phase: Phase::Reading,
                done: last.map_or(0, rowid),
                total,
            };
            report(on_progress, progress)
        })
    }

    /// Compares every row with what is held, reads those in full that are not the same, and looks again for files.
    /// Answers what it had to commit before its end.
    fn read_changed(&mut self, database: &mut ChatDb) -> Result<Tally, IngestError> {
        let snapshot = self.store.snapshot()?;
        let total = rowid(database.max_rowid()?);
        let mut outlines = Outlines::new(database, self.scope)?;
        let (files, directory, on_progress) =
            (self.files, self.directory.clone(), self.on_progress);
        let mut waiting = Vec::new().into_iter();
        let page_rows = self.page_rows;
        let read = || {
            while waiting.as_slice().is_empty() {
                let Some(outlines) = outlines.next(database)? else {
                    break;
                };
                let progress = Progress {
                    phase: Phase::Comparing,
                    done: outlines.last().map_or(total, |row| rowid(row.rowid)),
                    total,
                };
                report(on_progress, progress)?;
                let changed = changed(&snapshot, &outlines)?;
                if !changed.is_empty() {
                    let rows = database.rows(&changed, Detail::Full)?;
                    waiting = pages(rows, page_rows).into_iter();
                }
            }
            Ok(waiting.next())
        };
        pipeline::run(
            read,
            |rows| decode_rows(rows, files, &directory),
            |decoded| self.send(decoded),
        )?;
        let mut committed = Tally::default();
        let mut attachments = wanted(&self.store.snapshot()?, self.files, self.scope)?;
        if !attachments.is_empty() {
            // A file may belong to a message that was just sent to the writer: what is known of it from before must not
            // take the place of what that brings.
            committed = self.writer.flush()?;
            attachments = wanted(&self.store.snapshot()?, self.files, self.scope)?;
        }
        let page = Page {
            attachments,
            ..Page::default()
        };
        send(self.writer, self.scope, page)?;
        Ok(committed)
    }

    /// Hands a page on; with the owner's addresses whenever one more is known.
    fn send(&mut self, decoded: Decoded) -> Result<(), IngestError> {
        let Decoded { mut page, own } = decoded;
        if self.people.add(own) {
            page.owner = Some(self.people.owner());
        }
        send(self.writer, self.scope, page)
    }
}

/// The rows to compare, slice by slice.
enum Outlines {
    /// All after a ROWID; `None` at the end.
    After(Option<i64>),
    /// These, from the end.
    Of(Vec<Vec<i64>>),
}

impl Outlines {
    fn new(database: &mut ChatDb, scope: Scope) -> Result<Self, IngestError> {
        Ok(match scope {
            Scope::All => Self::After(Some(i64::MIN)),
            Scope::Recent { since, after } => {
                let recent = database.recent(since, after)?;
                Self::Of(recent.rchunks(SLICE_ROWS).map(<[i64]>::to_vec).collect())
            }
        })
    }

    fn next(&mut self, database: &mut ChatDb) -> Result<Option<Vec<SourceRow>>, IngestError> {
        match self {
            Self::After(after) => {
                let Some(from) = *after else { return Ok(None) };
                let slice = database.slice(from, Detail::Outline)?;
                *after = (!slice.end).then_some(slice.last);
                Ok(Some(slice.rows))
            }
            Self::Of(slices) => match slices.pop() {
                Some(rowids) => Ok(Some(database.rows(&rowids, Detail::Outline)?)),
                None => Ok(None),
            },
        }
    }
}

/// Decodes rows and looks for their files.
fn decode_rows(
    rows: Vec<SourceRow>,
    files: &Files,
    directory: &Directory,
) -> Result<Decoded, IngestError> {
    let (mut page, mut own) = (Page::default(), BTreeSet::new());
    let mut preparer = Preparer::default();
    page.messages.reserve_exact(rows.len());
    for row in rows {
        own_addresses(&row.record.row, &mut own);
        let mut change = decode(row.record, row.fingerprint, directory);
        look_for_files(files, &mut change);
        page.messages
            .push(preparer.prepare(change, DECODER_VERSION)?);
    }
    Ok(Decoded { page, own })
}

/// Rows as pages, none of them larger than one commit may be.
fn pages(mut rows: Vec<SourceRow>, page_rows: usize) -> Vec<Vec<SourceRow>> {
    let mut pages = Vec::new();
    while !rows.is_empty() {
        let rest = rows.split_off(rows.len().min(page_rows.max(1)));
        pages.push(std::mem::replace(&mut rows, rest));
    }
    pages
}

/// ROWIDs of rows that are not held as they are now. A row without a usable GUID is always looked at.
fn changed(snapshot: &Snapshot, outlines: &[SourceRow]) -> Result<Vec<i64>, StoreError> {
    let mut changed = Vec::new();
    for row in outlines {
        let guid = row
            .record
            .row
            .text(MessageColumn::Guid)
            .and_then(Guid::parse);
        let is_current = match guid {
            Some(guid) => snapshot.is_current(&guid, SOURCE, row.fingerprint)?,
            None => false,
        };
        if !is_current {
            changed.push(row.rowid);
        }
    }
    Ok(changed)
}

/// Looks again for files that were not there (D12), when nothing else is new.
fn look_again(store: &Store, files: &Files) -> Result<Tally, IngestError> {
    let attachments = wanted(&store.snapshot()?, files, Scope::All)?;
    if attachments.is_empty() {
        return Ok(Tally::default());
    }
    let page = Page {
        attachments,
        ..Page::default()
    };
    store.write(|transaction| Ok(transaction.apply(page, SOURCE, DECODER_VERSION)?))
}

/// Files of which something else is known now. In a pass over everything also those that could not be read once more: each
/// such pass is an attempt, and the store counts them (AT-6).
fn wanted(
    snapshot: &Snapshot,
    files: &Files,
    scope: Scope,
) -> Result<Vec<(RowId, Attachment)>, StoreError> {
    let mut found = Vec::new();
    for row in snapshot.wanted()? {
        let held = snapshot.attachment(row)?.attachment;
        let mut now = held.clone();
        look(files, &mut now);
        // A file that nobody looked for comes from elsewhere: that it is not on this disk says nothing.
        let is_elsewhere = held.state == AttachmentState::Wanted
            && matches!(now.state, AttachmentState::Missing(_));
        let is_attempt = scope == Scope::All && matches!(now.state, AttachmentState::Failed { .. });
        if (now != held && !is_elsewhere) || is_attempt {
            found.push((row, now));
        }
    }
    Ok(found)
}

/// Hash over everything that decides what an import would read: the files, the options, the decoder.
pub(super) fn inputs(options: &Options) -> Result<[u8; 32], IngestError> {
    let mut hash = Sha256::new();
    hash.update(chatdb::inputs(&options.locations)?);
    hash.update(DECODER_VERSION.to_le_bytes());
    hash.update(options.region.map_or("", Region::country));
    for path in [
        Some(&options.locations.messages_folder),
        options.locations.attachments.as_ref(),
    ] {
        hash.update([0]);
        hash.update(path.map_or(&[][..], |path| path.as_os_str().as_encoded_bytes()));
    }
    Ok(hash.finalize().into())
}

/// Hands a page on. Clients see a pass over everything at its end; what was written lately they see at once (D20).
fn send(writer: &Writer, scope: Scope, mut page: Page) -> Result<(), IngestError> {
    let is_last = page
        .cursor
        .as_ref()
        .is_some_and(|cursor| cursor.scanned.is_none());
    page.unfinished = scope == Scope::All && !is_last;
    Ok(writer.send(page, SOURCE, DECODER_VERSION)?)
}

fn rowid(rowid: i64) -> u64 {
    u64::try_from(rowid).unwrap_or_default()
}
