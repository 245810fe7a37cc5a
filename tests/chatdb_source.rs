//! A Messages database is read as it is: every row, with everything joined to it, on every macOS, while Messages
//! writes, and without leaving a trace in it. What is not a Messages database says so.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![allow(clippy::panic, reason = "a test stops at the first surprise")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use footbridge::base::error::Class;
use footbridge::base::error::Explain;
use footbridge::base::limits::BLOB_BYTES;
use footbridge::base::limits::SLICE_ROWS;
use footbridge::model::record::AttachmentColumn;
use footbridge::model::record::ChatColumn;
use footbridge::model::record::ChatRef;
use footbridge::model::record::HandleRow;
use footbridge::model::record::MessageColumn;
use footbridge::model::record::Value;
use footbridge::source::chatdb::ChatDb;
use footbridge::source::chatdb::ChatDbError;
use footbridge::source::chatdb::Detail;
use footbridge::source::chatdb::Locations;
use footbridge::source::chatdb::SourceRow;
use footbridge::source::chatdb::inputs;
use rusqlite::Connection;

use crate::support::chatdb::Fixture;
use crate::support::chatdb::MacOs;
use crate::support::chatdb::write_address_book;

mod support;

fn open(path: &Path) -> ChatDb {
    ChatDb::open(Locations::new(path, None)).unwrap()
}

fn open_error(path: &Path) -> ChatDbError {
    match ChatDb::open(Locations::new(path, None)) {
        Ok(_opened) => panic!("{} was opened", path.display()),
        Err(error) => error,
    }
}

fn all(source: &mut ChatDb, detail: Detail) -> Vec<SourceRow> {
    let (mut rows, mut after) = (Vec::new(), 0);
    loop {
        let slice = source.slice(after, detail).unwrap();
        after = slice.last;
        rows.extend(slice.rows);
        if slice.end {
            return rows;
        }
    }
}

fn chat_ref(guid: &str) -> ChatRef {
    let service = guid.split(';').next().unwrap();
    ChatRef {
        guid: guid.to_owned(),
        service: service.to_owned(),
    }
}

/// A database with a bit of everything.
fn varied(macos: MacOs) -> Fixture {
    let fixture = Fixture::new(macos);
    let bea = fixture.handle("+15550100001", "iMessage");
    let carl = fixture.handle("carl@example.org", "iMessage");
    let direct = fixture.chat("iMessage;-;+15550100001", &[bea]);
    let group = fixture.chat("iMessage;+;chat1", &[bea, carl]);
    fixture.message(
        "G-1",
        &[direct],
        &[
            ("text", &"hello"),
            ("attributedBody", &b"body".as_slice()),
            ("handle_id", &bea),
            ("date", &700_000_000_000_000_000_i64),
            ("account", &"P:+15550100000"),
            ("is_read", &1),
            ("date_edited", &5),
            ("has_unseen_mention", &1),
            ("filter_action", &3),
        ],
    );
    let columns: [(&str, &dyn rusqlite::ToSql); 5] = [
        ("is_from_me", &1),
        ("account", &"P:+15550100000"),
        ("destination_caller_id", &"+15550100000"),
        ("payload_data", &b"payload".as_slice()),
        ("message_summary_info", &b"".as_slice()),
    ];
    let file = fixture.message("G-2", &[group], &columns);
    fixture.attachment(
        file,
        "at_0_G-2",
        &[
            ("filename", &"~/Library/Messages/Attachments/a"),
            ("total_bytes", &3),
        ],
    );
    fixture.message(
        "G-3",
        &[group],
        &[
            ("item_type", &1),
            ("handle_id", &bea),
            ("other_handle", &carl),
            (
                "group_title",
                &rusqlite::types::Value::Text("name".to_owned()),
            ),
        ],
    );
    // Damaged values: text that is no UTF-8, numbers and text where they do not belong.
    let latin = fixture.message(
        "G-4",
        &[direct],
        &[("attributedBody", &17), ("date", &"soon")],
    );
    let sql = "UPDATE message SET text = CAST(x'61ff' AS TEXT), subject = CAST(x'62fe' AS TEXT), handle_id = 999 WHERE ROWID = ?1";
    fixture.writer.execute(sql, [latin]).unwrap();
    fixture
}

#[test]
fn every_macos_is_read_and_an_outline_has_the_same_fingerprints() {
    for macos in MacOs::ALL {
        let fixture = varied(macos);
        let mut source = open(&fixture.path());

        let full = all(&mut source, Detail::Full);
        let outline = all(&mut source, Detail::Outline);

        let guids: Vec<&str> = full
            .iter()
            .filter_map(|row| row.record.row.text(MessageColumn::Guid))
            .collect();
        assert_eq!(guids, ["G-1", "G-2", "G-3", "G-4"], "{macos:?}");
        let prints = |rows: &[SourceRow]| -> Vec<(i64, u64)> {
            rows.iter()
                .map(|row| (row.rowid, row.fingerprint))
                .collect()
        };
        assert_eq!(prints(&full), prints(&outline), "{macos:?}");
        let first = &full[0].record;
        assert_eq!(first.row.text(MessageColumn::Text), Some("hello"));
        assert_eq!(
            first.row.blob(MessageColumn::AttributedBody),
            Some(b"body".as_slice())
        );
        assert_eq!(first.handle.as_deref(), Some("+15550100001"));
        assert_eq!(first.chats, [chat_ref("iMessage;-;+15550100001")]);
        assert_eq!(first.row.extra, []);
        let knows = |since| i64::from(macos >= since);
        assert_eq!(
            first.row.integer(MessageColumn::DateEdited),
            5 * knows(MacOs::V15)
        );
        assert_eq!(
            first.row.integer(MessageColumn::HasUnseenMention),
            knows(MacOs::V11)
        );
        assert_eq!(
            first.row.integer(MessageColumn::FilterAction),
            3 * knows(MacOs::V27)
        );
        assert_eq!(
            full[2].record.other_handle.as_deref(),
            Some("carl@example.org")
        );
        let attachment = &full[1].record.attachments[0];
        assert_eq!(attachment.text(AttachmentColumn::Guid), Some("at_0_G-2"));
        assert_eq!(attachment.integer(AttachmentColumn::TotalBytes), 3);
    }
}

#[test]
fn an_outline_has_no_bodies() {
    let fixture = varied(MacOs::V15);

    let outline = all(&mut open(&fixture.path()), Detail::Outline);

    let row = &outline[0].record.row;
    assert_eq!(row.text(MessageColumn::Guid), Some("G-1"));
    assert_eq!(row.get(MessageColumn::Text), &Value::Null);
    assert_eq!(row.get(MessageColumn::AttributedBody), &Value::Null);
}

#[test]
fn what_is_no_utf8_keeps_its_bytes() {
    let fixture = varied(MacOs::V15);

    let rows = all(&mut open(&fixture.path()), Detail::Full);

    let record = &rows[3].record;
    assert_eq!(
        record.row.get(MessageColumn::Text),
        &Value::Blob(b"a\xff".to_vec())
    );
    assert_eq!(
        record.row.get(MessageColumn::Subject),
        &Value::Blob(b"b\xfe".to_vec())
    );
    assert_eq!(
        record.row.get(MessageColumn::AttributedBody),
        &Value::Integer(17)
    );
    assert_eq!(
        record.row.get(MessageColumn::Date),
        &Value::Text("soon".to_owned())
    );
    assert_eq!(record.handle, None, "its handle is gone");
}

#[test]
fn a_message_is_in_no_chat_in_one_or_in_several() {
    let fixture = Fixture::new(MacOs::V15);
    let bea = fixture.handle("+15550100001", "SMS");
    let sms = fixture.chat("SMS;-;+15550100001", &[bea]);
    let imessage = fixture.chat("iMessage;-;+15550100001", &[bea]);
    fixture.message("NONE", &[], &[]);
    fixture.message("BOTH", &[imessage, sms], &[]);
    fixture.message("GONE", &[999], &[]);
    let deleted = fixture.message("DELETED", &[], &[]);
    fixture.recover(deleted, sms, 5);

    let rows = all(&mut open(&fixture.path()), Detail::Full);

    let chats: Vec<&[ChatRef]> = rows.iter().map(|row| row.record.chats.as_slice()).collect();
    let both = [
        chat_ref("SMS;-;+15550100001"),
        chat_ref("iMessage;-;+15550100001"),
    ];
    assert_eq!(chats, [[].as_slice(), &both, &[], &[]]);
    assert_eq!(
        rows[3].record.recoverable,
        Some((chat_ref("SMS;-;+15550100001"), 5))
    );
}

#[test]
fn whatever_shows_changes_the_fingerprint() {
    let fixture = varied(MacOs::V27);
    let mut source = open(&fixture.path());
    let changes = [
        "UPDATE message SET date_edited = 9, attributedBody = x'00' WHERE ROWID = 1",
        "UPDATE message SET attributedBody = x'0000' WHERE ROWID = 1",
        "UPDATE message SET message_summary_info = NULL WHERE ROWID = 2",
        "UPDATE message SET text = 'hello!' WHERE ROWID = 1",
        "UPDATE message SET date_read = 9 WHERE ROWID = 2",
        "UPDATE message SET group_title = 'other' WHERE ROWID = 3",
        "UPDATE message SET date_recovered = 9 WHERE ROWID = 4",
        "UPDATE message SET is_spam = 1 WHERE ROWID = 4",
        "UPDATE message SET handle_id = 0 WHERE ROWID = 4",
        "UPDATE handle SET id = '+15550100009' WHERE ROWID = 1",
        "UPDATE chat SET guid = 'any;-;+15550100001' WHERE ROWID = 1",
        "DELETE FROM chat_message_join WHERE message_id = 1",
        "INSERT INTO chat_recoverable_message_join (chat_id, message_id, delete_date) VALUES (1, 1, 7)",
        "UPDATE attachment SET transfer_state = 5",
        "UPDATE attachment SET filename = NULL",
        "DELETE FROM message_attachment_join",
    ];
    for change in changes {
        let before = all(&mut source, Detail::Outline);

        fixture.writer.execute_batch(change).unwrap();

        let after = all(&mut source, Detail::Outline);
        assert_ne!(before, after, "{change}");
        let full = all(&mut source, Detail::Full);
        let prints =
            |rows: &[SourceRow]| rows.iter().map(|row| row.fingerprint).collect::<Vec<_>>();
        assert_ne!(prints(&before), prints(&after), "{change}");
        assert_eq!(prints(&full), prints(&after), "{change}");
    }
}

#[test]
fn what_does_not_show_leaves_the_fingerprint_alone() {
    let fixture = varied(MacOs::V15);
    let mut source = open(&fixture.path());
    let prints = |source: &mut ChatDb| -> Vec<u64> {
        all(source, Detail::Full)
            .iter()
            .map(|row| row.fingerprint)
            .collect()
    };
    let before = prints(&mut source);

    // Uploaded to iCloud, upgraded to a macOS with another column, null for 0, renumbered in a rebuild.
    fixture
        .writer
        .execute_batch(
            "UPDATE message SET ck_sync_state = 1, ck_record_id = 'x';
             ALTER TABLE message ADD COLUMN new_in_28 INTEGER DEFAULT 4;
             UPDATE message SET is_spam = NULL, date_delivered = 0;
             UPDATE handle SET ROWID = ROWID + 50; UPDATE chat SET ROWID = ROWID + 50;
             UPDATE message SET handle_id = handle_id + 50 WHERE handle_id != 0;
             UPDATE message SET other_handle = other_handle + 50 WHERE other_handle != 0;
             UPDATE chat_message_join SET chat_id = chat_id + 50;",
        )
        .unwrap();

    assert_eq!(prints(&mut source), before);
    let extra = &all(&mut source, Detail::Full)[0].record.row.extra;
    assert_eq!(extra, &[("new_in_28".to_owned(), Value::Integer(4))]);
}

#[test]
fn column_names_are_the_same_in_any_case() {
    let fixture = varied(MacOs::V15);
    fixture
        .writer
        .execute_batch(
            "ALTER TABLE message RENAME COLUMN is_read TO IS_READ;
             ALTER TABLE message RENAME TO tmp; ALTER TABLE tmp RENAME TO Message;",
        )
        .unwrap();

    let rows = all(&mut open(&fixture.path()), Detail::Full);

    assert_eq!(rows[0].record.row.integer(MessageColumn::IsRead), 1);
    assert_eq!(rows[0].record.row.extra, []);
}

#[test]
fn a_huge_body_is_left_out_and_its_size_kept() {
    let fixture = Fixture::new(MacOs::V15);
    let huge = vec![7_u8; BLOB_BYTES + 1];
    let message = fixture.message(
        "HUGE",
        &[],
        &[
            ("payload_data", &huge),
            ("attributedBody", &vec![7_u8; BLOB_BYTES]),
            ("subject", &"kept"),
        ],
    );
    fixture.attachment(message, "at_0_HUGE", &[("user_info", &huge)]);
    let mut source = open(&fixture.path());

    let rows = all(&mut source, Detail::Full);
    let outline = all(&mut source, Detail::Outline);

    let record = &rows[0].record;
    let size = huge.len() as u64;
    assert_eq!(
        record.too_large,
        [
            ("payload_data".to_owned(), size),
            ("attachment.user_info".to_owned(), size)
        ]
    );
    assert_eq!(record.row.get(MessageColumn::PayloadData), &Value::Null);
    assert_eq!(
        record
            .row
            .blob(MessageColumn::AttributedBody)
            .unwrap()
            .len(),
        BLOB_BYTES
    );
    assert_eq!(record.row.text(MessageColumn::Subject), Some("kept"));
    assert_eq!(outline[0].fingerprint, rows[0].fingerprint);
}

#[test]
fn slices_follow_one_another_and_stop_early_at_large_bodies() {
    let fixture = Fixture::new(MacOs::V11);
    let body = vec![1_u8; 6 << 20];
    fixture.writer.execute_batch("BEGIN").unwrap();
    for n in 0..=SLICE_ROWS {
        fixture.message(&format!("G-{n}"), &[], &[]);
    }
    for n in 0..6 {
        fixture.message(&format!("L-{n}"), &[], &[("payload_data", &body)]);
    }
    fixture.writer.execute_batch("COMMIT").unwrap();
    let mut source = open(&fixture.path());

    let first = source.slice(0, Detail::Full).unwrap();
    let second = source.slice(first.last, Detail::Full).unwrap();
    let third = source.slice(second.last, Detail::Full).unwrap();

    assert_eq!((first.rows.len(), first.end), (SLICE_ROWS, false));
    assert_eq!(
        (second.rows.len(), second.end),
        (5, false),
        "24 MiB of bodies end a slice"
    );
    assert_eq!((third.rows.len(), third.end), (2, true));
    assert_eq!(usize::try_from(third.last).unwrap(), SLICE_ROWS + 7);
    assert_eq!(source.max_rowid().unwrap(), third.last);
    assert_eq!(source.count().unwrap(), SLICE_ROWS as u64 + 7);
}

#[test]
fn some_rows_are_read_by_their_ids() {
    let fixture = varied(MacOs::V15);
    let mut source = open(&fixture.path());
    let every = all(&mut source, Detail::Full);

    let some = source.rows(&[4, 1, 2, 2, 77], Detail::Full).unwrap();

    let expected: Vec<SourceRow> = every
        .into_iter()
        .filter(|row| [1, 2, 4].contains(&row.rowid))
        .collect();
    assert_eq!(some, expected);
    assert_eq!(source.rows(&[], Detail::Full).unwrap(), []);
    assert_eq!(
        source.rows(&[i64::MIN, i64::MAX], Detail::Full).unwrap(),
        []
    );
}

#[test]
fn a_database_without_messages_is_no_error() {
    let fixture = Fixture::new(MacOs::V15);
    let mut source = open(&fixture.path());

    let slice = source.slice(0, Detail::Full).unwrap();

    assert_eq!((slice.rows.len(), slice.last, slice.end), (0, 0, true));
    assert_eq!(
        (source.max_rowid().unwrap(), source.count().unwrap()),
        (0, 0)
    );
}

#[test]
fn the_writer_never_waits_and_new_rows_appear() {
    let fixture = varied(MacOs::V15);
    fixture
        .writer
        .busy_timeout(std::time::Duration::ZERO)
        .unwrap();
    let mut source = open(&fixture.path());
    let mut last = source.max_rowid().unwrap();

    for n in 0..200 {
        // A new handle and chat with each message: what was known of them is looked up again.
        let address = format!("+1555010{n:04}");
        let handle = fixture.handle(&address, "RCS");
        let chat = fixture.chat(&format!("RCS;-;{address}"), &[handle]);
        fixture.message(&format!("NEW-{n}"), &[chat], &[("handle_id", &handle)]);
        if n % 50 == 0 {
            let truncated: i64 = fixture
                .writer
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
                .unwrap();
            assert_eq!(truncated, 0, "no reader holds the log between slices");
        }

        let slice = source.slice(last, Detail::Full).unwrap();

        assert_eq!(slice.rows.len(), 1);
        assert_eq!(
            slice.rows[0].record.handle.as_deref(),
            Some(address.as_str())
        );
        assert_eq!(
            slice.rows[0].record.chats,
            [chat_ref(&format!("RCS;-;{address}"))]
        );
        last = slice.last;
    }
}

#[test]
fn the_directory_holds_handles_chats_own_addresses_and_deletions() {
    let fixture = varied(MacOs::V26);
    let lookup: [(&str, &dyn rusqlite::ToSql); 3] = [
        ("identifier", &"+15550100001"),
        ("domain", &"phone"),
        ("chat", &1),
    ];
    fixture.insert("chat_lookup", &lookup);
    fixture.insert("deleted_messages", &[("guid", &"D-1")]);
    fixture.insert("sync_deleted_messages", &[("guid", &"D-2")]);
    fixture.insert("sync_deleted_messages", &[("guid", &"D-1")]);

    let directory = open(&fixture.path()).directory().unwrap();

    let bea = HandleRow {
        id: "+15550100001".to_owned(),
        service: "iMessage".to_owned(),
        country: Some("us".to_owned()),
        uncanonicalized_id: None,
        person_centric_id: None,
    };
    assert_eq!(directory.handles.len(), 2);
    assert_eq!(directory.handles[0], bea);
    assert_eq!(directory.chats.len(), 2);
    assert_eq!(
        directory.chats[0].row.text(ChatColumn::Guid),
        Some("iMessage;-;+15550100001")
    );
    assert_eq!(
        directory.chats[0].lookups,
        [("+15550100001".to_owned(), "phone".to_owned())]
    );
    assert_eq!(directory.chats[1].row.integer(ChatColumn::Style), 43);
    assert_eq!(
        directory.chats[1].members,
        ["+15550100001", "carl@example.org"]
    );
    // Two chats name each of them; messages are not asked.
    let accounts = [
        ("+15550100000".to_owned(), 2),
        ("P:+15550100000".to_owned(), 2),
    ];
    assert_eq!(directory.accounts, accounts);
    assert_eq!(directory.deleted, ["D-1", "D-2"]);
    assert!(
        !format!("{directory:?}").contains('+'),
        "addresses do not reach a log"
    );
}

#[test]
fn rowids_may_lie_far_apart() {
    let fixture = Fixture::new(MacOs::V15);
    fixture.message("LOW", &[], &[]);
    fixture.message("HIGH", &[], &[("ROWID", &i64::MAX)]);
    let mut source = open(&fixture.path());

    let rows = all(&mut source, Detail::Outline);

    assert_eq!(
        rows.iter().map(|row| row.rowid).collect::<Vec<_>>(),
        [1, i64::MAX]
    );
    assert_eq!(source.rows(&[i64::MAX], Detail::Full).unwrap().len(), 1);
}

#[test]
fn cards_are_people_with_their_addresses() {
    let fixture = Fixture::new(MacOs::V15);
    write_address_book(&fixture.folder.path().join("AddressBook-v22.abcddb"));
    fs::write(
        fixture.folder.path().join("AddressBook-old.abcddb"),
        "not a database",
    )
    .unwrap();
    let mut source = open(&fixture.path());

    let cards = source.contacts().unwrap();

    assert_eq!(cards.len(), 2, "a group is no person");
    assert_eq!(cards[0].id, "ME:ABPerson");
    assert!(cards[0].is_owner);
    assert_eq!(cards[1].first.as_deref(), Some("Bea"));
    assert_eq!(cards[1].last.as_deref(), Some("Example"));
    assert_eq!(cards[1].nickname, None);
    assert_eq!(cards[1].link.as_deref(), Some("LINK"));
    assert!(!cards[1].is_owner);
    assert_eq!(cards[1].phones, ["+1 (555) 010-0001"]);
    assert_eq!(cards[1].emails, ["bea@example.org"]);
    let warning = source.warnings().pop().unwrap();
    assert!(
        warning.starts_with("an address book was passed over"),
        "{warning}"
    );
    assert!(
        !format!("{cards:?}").contains("Bea"),
        "names do not reach a log"
    );
}

#[test]
fn cards_without_an_identifier_are_strangers_in_two_books() {
    let fixture = Fixture::new(MacOs::V15);
    for book in ["AddressBook-v22.abcddb", "AddressBook-other.abcddb"] {
        let path = fixture.folder.path().join(book);
        write_address_book(&path);
        let book = Connection::open(&path).unwrap();
        book.execute_batch("UPDATE ZABCDRECORD SET ZUNIQUEID = NULL, ZLINKID = NULL")
            .unwrap();
    }
    let ids = || {
        let cards = open(&fixture.path()).contacts().unwrap();
        cards.into_iter().map(|card| card.id).collect::<Vec<_>>()
    };

    let first = ids();

    let different: BTreeSet<_> = first.iter().collect();
    assert_eq!(different.len(), 4, "{first:?}");
    assert_eq!(ids(), first, "they are the same each time");
}

#[test]
fn the_state_of_the_inputs_changes_with_each_commit_and_only_then() {
    let fixture = varied(MacOs::V15);
    let locations = Locations::new(&fixture.path(), None);
    let state = || inputs(&locations).unwrap();
    let at_first = state();

    drop(all(&mut open(&fixture.path()), Detail::Full));
    assert_eq!(state(), at_first, "reading changes nothing");

    fixture.message("MORE", &[], &[]);
    let with_log = state();
    assert_ne!(with_log, at_first);

    write_address_book(&fixture.folder.path().join("AddressBook-v22.abcddb"));
    let with_book = inputs(&Locations::new(&fixture.path(), None)).unwrap();
    assert_ne!(with_book, with_log);
}

#[test]
fn the_state_of_a_closed_database_stays_when_it_is_read() {
    let fixture = varied(MacOs::V15);
    let copy = tempfile::tempdir().unwrap();
    let path = copy.path().join("chat.db");
    fixture
        .writer
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(()))
        .unwrap();
    fs::copy(fixture.path(), &path).unwrap();
    let bytes = fs::read(&path).unwrap();
    let state = inputs(&Locations::new(&path, None)).unwrap();

    drop(all(&mut open(&path), Detail::Full));

    assert_eq!(inputs(&Locations::new(&path, None)).unwrap(), state);
    assert!(
        fs::read(&path).unwrap() == bytes,
        "the database has the same bytes"
    );
}

#[test]
fn a_database_that_was_copied_without_its_log_is_read_with_a_warning() {
    let fixture = varied(MacOs::V15);
    fixture
        .writer
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(()))
        .unwrap();
    fixture.message("IN-THE-LOG", &[], &[]);
    let copy = tempfile::tempdir().unwrap();
    let path = copy.path().join("chat.db");
    fs::copy(fixture.path(), &path).unwrap();

    let mut source = open(&path);

    assert_eq!(
        source.count().unwrap(),
        4,
        "the newest message is in the log"
    );
    assert_eq!(
        source.warnings(),
        [
            "chat.db was written in WAL mode and there is no chat.db-wal beside it: if it was copied from a running \
             Mac, the newest messages are missing; copy chat.db-wal too"
        ]
    );
    assert_eq!(open(&fixture.path()).warnings(), [""; 0]);
}

#[test]
fn a_database_that_cannot_be_opened_where_it_is_is_read_from_a_private_copy() {
    let fixture = varied(MacOs::V15);
    let copy = tempfile::tempdir().unwrap();
    let path = copy.path().join("chat.db");
    fs::copy(fixture.path(), &path).unwrap();
    fs::copy(
        fixture.folder.path().join("chat.db-wal"),
        copy.path().join("chat.db-wal"),
    )
    .unwrap();
    // SQLite cannot make its shared memory here, as in a folder that may only be read.
    std::os::unix::fs::symlink("/nowhere/shm", copy.path().join("chat.db-shm")).unwrap();

    let mut source = open(&path);

    assert_eq!(source.count().unwrap(), 4, "what is in the log is read too");
    let warnings = ["chat.db cannot be opened where it is, so a private copy was read"];
    assert_eq!(source.warnings(), warnings);
}

#[test]
fn a_transaction_that_was_cut_off_does_not_count() {
    let fixture = varied(MacOs::V15);
    let writer = &fixture.writer;
    writer
        .pragma_update(None, "journal_mode", "delete")
        .unwrap();
    writer.pragma_update(None, "synchronous", "full").unwrap();
    writer.pragma_update(None, "cache_size", 1).unwrap();
    let copy = tempfile::tempdir().unwrap();
    writer.execute_batch("BEGIN").unwrap();
    let body = vec![1_u8; 20_000];
    for n in 0..20 {
        fixture.message(&format!("CUT-{n}"), &[], &[("payload_data", &body)]);
    }
    for name in ["chat.db", "chat.db-journal"] {
        fs::copy(fixture.folder.path().join(name), copy.path().join(name)).unwrap();
    }
    writer.execute_batch("ROLLBACK").unwrap();

    let mut source = open(&copy.path().join("chat.db"));

    assert_eq!(source.count().unwrap(), 4);
    assert_eq!(source.warnings().len(), 1, "{:?}", source.warnings());
}

#[test]
fn everything_else_that_a_path_can_lead_to_has_its_own_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(folder.path()).unwrap();
    let at = |name: &str| root.join(name);
    fs::write(at("empty.db"), "").unwrap();
    fs::write(
        at("letter.txt"),
        "Dear reader, this is a letter and no database at all.",
    )
    .unwrap();
    let mut noise = Vec::new();
    let mut state = 1_u32;
    for _byte in 0..8192 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise.push(state.to_be_bytes()[0]);
    }
    fs::write(at("sealed.db"), noise).unwrap();
    let other = Connection::open(at("other.db")).unwrap();
    other
        .execute_batch("CREATE TABLE photos (id); CREATE TABLE albums (id);")
        .unwrap();
    other
        .execute_batch("CREATE VIEW message AS SELECT 1 AS guid")
        .unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), rustix::fs::Mode::RUSR).unwrap();

    let cases = [
        ("nowhere.db", "there is no file {}", Class::Owner),
        ("empty.db/chat.db", "there is no file {}", Class::Owner),
        ("", "{} is a directory, not a database", Class::Usage),
        ("pipe", "{} is not a regular file", Class::Usage),
        ("empty.db", "{} is empty", Class::Usage),
        ("sealed.db", "{} seems to be encrypted", Class::Usage),
        ("letter.txt", "{} is not an SQLite database", Class::Usage),
        (
            "other.db",
            "{} is not a Messages database: it has no table `message`",
            Class::Usage,
        ),
    ];
    for (name, sentence, class) in cases {
        let path = if name.is_empty() {
            root.clone()
        } else {
            at(name)
        };

        let error = open_error(&path);

        assert_eq!(
            error.to_string(),
            sentence.replace("{}", &path.display().to_string())
        );
        assert_eq!(error.class(), class, "{name}");
        assert!(error.hint().is_some(), "{name}");
    }
    let hint = open_error(&at("other.db")).hint().unwrap();
    assert!(
        hint.starts_with("its tables are: albums, photos;"),
        "{hint}"
    );
}

#[test]
fn chats_and_handles_must_be_there_too() {
    for table in ["chat", "handle"] {
        let fixture = Fixture::new(MacOs::V15);
        fixture
            .writer
            .execute_batch(&format!("DROP TABLE {table}"))
            .unwrap();

        let error = open_error(&fixture.path());

        let ending = format!("is not a Messages database: it has no table `{table}`");
        assert!(error.to_string().ends_with(&ending), "{error}");
    }
}

#[test]
fn a_damaged_database_says_so_when_it_is_opened_or_read() {
    let fixture = varied(MacOs::V15);
    fixture
        .writer
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(()))
        .unwrap();
    let whole = fs::read(fixture.path()).unwrap();
    let copy = tempfile::tempdir().unwrap();
    let path = copy.path().join("chat.db");

    let mut broken = whole.clone();
    broken[100..4096].fill(0x5a);
    fs::write(&path, &broken).unwrap();
    let at_opening = open_error(&path);

    let mut broken = whole;
    broken[4096..].fill(0x5a);
    fs::write(&path, &broken).unwrap();
    let while_reading = match ChatDb::open(Locations::new(&path, None)) {
        Ok(mut source) => source.slice(0, Detail::Full).unwrap_err(),
        Err(error) => error,
    };

    for error in [at_opening, while_reading] {
        assert!(matches!(error, ChatDbError::Damaged { .. }), "{error}");
        assert_eq!(error.class(), Class::Owner);
    }
}

#[test]
fn the_schema_of_a_real_mac_is_read() {
    let Some(real) = support::shared("vectors/chatdb/db/macos15-schema.db") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.db");
    fs::copy(real, &path).unwrap();
    let mut source = open(&path);

    let full = all(&mut source, Detail::Full);
    let outline = all(&mut source, Detail::Outline);

    assert_eq!(full.len(), 3);
    for (full, outline) in full.iter().zip(&outline) {
        assert_eq!(full.fingerprint, outline.fingerprint);
        assert!(full.record.row.text(MessageColumn::Guid).is_some());
        assert_eq!(
            full.record.row.extra,
            [],
            "every column of macOS 15 is known"
        );
    }
}
