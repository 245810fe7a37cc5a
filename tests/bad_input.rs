//! What stands in the way, each with its own sentence and hint: databases that are none, archives that cannot be opened.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test stops at the first surprise"
)]

use std::fs;
use std::io;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use footbridge::app::AppError;
use footbridge::base::time::SystemClock;
use footbridge::cli::report;
use footbridge::cli::report::Failure;
use footbridge::ingest::IngestError;
use footbridge::source::chatdb::ChatDbError;
use footbridge::store::Absent;
use footbridge::store::Store;
use footbridge::store::StoreError;
use redb::Database;
use redb::TableDefinition;
use rusqlite::Connection;

mod support;

use support::home::Home;

/// Writes a file into a home and imports it.
fn imported(name: &str, bytes: &[u8]) -> String {
    let home = Home::new();
    fs::write(home.path().join(name), bytes).unwrap();
    home.answer(&["import", "--chat-db", name])
}

/// Bytes without any order.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

/// How a failure is printed, with the exit code.
fn printed(error: AppError) -> String {
    let mut out = Vec::new();
    let exit = report::failure(&mut out, &Failure::from(error));
    format!("exit {}\n{}", exit.code(), String::from_utf8(out).unwrap())
}

// ---- the database

#[test]
fn a_file_that_is_no_database() {
    insta::assert_snapshot!(imported("notes.txt", b"milk, eggs, bread"));
}

#[test]
fn a_database_that_is_encrypted() {
    insta::assert_snapshot!(imported("chat.db", &noise(8192)));
}

#[test]
fn a_database_that_is_empty() {
    insta::assert_snapshot!(imported("chat.db", b""));
}

#[test]
fn a_database_that_is_not_there() {
    insta::assert_snapshot!(Home::new().answer(&["import", "--chat-db", "chat.db"]));
}

#[test]
fn a_folder_in_place_of_the_database() {
    let home = Home::new();
    fs::create_dir(home.path().join("Messages")).unwrap();

    insta::assert_snapshot!(home.answer(&["import", "--chat-db", "Messages"]));
}

#[test]
fn a_database_of_another_program() {
    let home = Home::new();
    let database = Connection::open(home.path().join("notes.db")).unwrap();
    database
        .execute_batch("CREATE TABLE note (text TEXT)")
        .unwrap();
    drop(database);

    insta::assert_snapshot!(home.answer(&["import", "--chat-db", "notes.db"]));
}

#[test]
fn a_database_that_is_cut_off() {
    let home = Home::new();
    let sample = fs::read(home.sample()).unwrap();

    let answer = imported("chat.db", &sample[..sample.len() / 2]);

    assert!(answer.starts_with("exit 3\n"), "{answer}");
    assert!(
        answer.contains("error: [home]/chat.db is damaged\n"),
        "{answer}"
    );
}

#[test]
fn a_database_that_may_not_be_read() {
    let home = Home::new();
    let path = home.copy_of_sample();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();

    let answer = if fs::File::open(&path).is_err() {
        home.answer(&["import", "--chat-db", &path])
    } else {
        // Nothing is refused to root: the same error by hand.
        let source = io::Error::from(io::ErrorKind::PermissionDenied);
        let denied = ChatDbError::Denied {
            path: path.into(),
            source,
        };
        printed(IngestError::from(denied).into())
    };

    assert!(answer.starts_with("exit 3\n"), "{answer}");
    assert!(answer.contains("error: no permission to read "), "{answer}");
    let hint = if cfg!(target_os = "macos") {
        "hint: give the program that started footbridge (Terminal, for example) Full Disk Access"
    } else {
        "hint: make the file readable for the user who runs footbridge"
    };
    assert!(answer.contains(hint), "{answer}");
}

#[test]
fn a_copy_without_its_log() {
    let home = Home::new();
    let live = home.copy_of_sample();
    let database = Connection::open(&live).unwrap();
    let mode: String = database
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
    database
        .execute("UPDATE message SET is_read = 1 WHERE ROWID = 1", [])
        .unwrap();
    fs::copy(&live, home.path().join("copy.db")).unwrap();

    insta::assert_snapshot!(home.answer(&["import", "--chat-db", "copy.db"]));
}

#[test]
fn an_address_book_that_is_none() {
    let home = Home::new();
    let path = home.copy_of_sample();
    fs::write(home.path().join("AddressBook-v22.abcddb"), "Ann, Bob").unwrap();

    insta::assert_snapshot!(home.answer(&["import", "--chat-db", &path]));
}

#[test]
fn a_huge_blob() {
    let home = Home::new();
    let path = home.copy_of_sample();
    let database = Connection::open(&path).unwrap();
    let enlarged = "UPDATE message SET text = NULL, attributedBody = zeroblob(9000000) WHERE ROWID = \
                    (SELECT min(ROWID) FROM message WHERE associated_message_type = 0 AND item_type = 0)";
    assert_eq!(database.execute(enlarged, []).unwrap(), 1);
    drop(database);

    let imported = home.answer(&["import", "--chat-db", &path]);
    let quarantine = home.answer(&["quarantine", "list"]);

    assert!(
        imported.contains("not wholly readable: 2 messages;"),
        "{imported}"
    );
    let reason = "attributedBody: 9000000 bytes are too many to keep";
    assert!(quarantine.contains(reason), "{quarantine}");
}

#[test]
fn a_country_that_is_none() {
    let home = Home::new();

    insta::assert_snapshot!(home.answer(&[
        "import",
        "--chat-db",
        &home.sample(),
        "--region",
        "Narnia"
    ]));
    assert!(!home.archive().exists());
}

// ---- the archive

#[test]
fn an_archive_that_another_process_has_open() {
    let home = Home::with_archive();
    let held = Store::open(&home.archive(), Absent::Refuse, Arc::new(SystemClock)).unwrap();

    insta::assert_snapshot!(home.answer(&["status"]));
    drop(held);
}

#[test]
fn an_archive_of_a_newer_version() {
    let home = Home::with_archive();
    let database = Database::open(home.archive()).unwrap();
    let tx = database.begin_write().unwrap();
    let meta = TableDefinition::<&str, &[u8]>::new("meta");
    tx.open_table(meta)
        .unwrap()
        .insert("format", 99_u32.to_le_bytes().as_slice())
        .unwrap();
    tx.commit().unwrap();
    drop(database);
    let before = fs::read(home.archive()).unwrap();

    insta::assert_snapshot!(home.answer(&["import", "--chat-db", &home.sample()]));
    let reopened = Database::open(home.archive()).unwrap();
    drop(reopened);
    assert_eq!(before.len(), fs::read(home.archive()).unwrap().len());
}

#[test]
fn an_archive_that_is_something_else() {
    let home = Home::new();
    fs::write(home.archive(), "dear diary").unwrap();

    insta::assert_snapshot!(home.answer(&["import", "--chat-db", &home.sample()]));
    assert_eq!(fs::read(home.archive()).unwrap(), b"dear diary");
}

#[test]
fn a_redb_file_of_another_program() {
    let home = Home::new();
    let database = Database::create(home.archive()).unwrap();
    let tx = database.begin_write().unwrap();
    tx.open_table(TableDefinition::<u64, u64>::new("numbers"))
        .unwrap();
    tx.commit().unwrap();
    drop(database);

    insta::assert_snapshot!(home.answer(&["status"]));
}

#[test]
fn a_folder_in_place_of_the_archive() {
    let home = Home::new();
    fs::create_dir(home.archive()).unwrap();

    insta::assert_snapshot!(home.answer(&["status"]));
}

#[test]
fn an_archive_that_is_cut_off() {
    let home = Home::with_archive();
    let bytes = fs::read(home.archive()).unwrap();
    fs::write(home.archive(), &bytes[..bytes.len() / 2]).unwrap();

    let answer = home.answer(&["verify"]);

    assert!(answer.starts_with("exit 4\n"), "{answer}");
    assert!(answer.contains("is damaged"), "{answer}");
    assert!(answer.contains("hint: "), "{answer}");
}

#[test]
fn an_archive_with_flipped_bytes() {
    let home = Home::with_archive();
    let sound = fs::read(home.archive()).unwrap();
    let mut found = 0;

    for part in 1..20 {
        let mut bytes = sound.clone();
        let from = bytes.len() / 20 * part;
        for byte in &mut bytes[from..from + 4096] {
            *byte ^= 0x55;
        }
        fs::write(home.archive(), &bytes).unwrap();

        let output = home.output(&["verify"]);

        // A page that is free is nobody's loss.
        let code = output.status.code();
        assert!(
            code == Some(0) || code == Some(4),
            "part {part}: {output:?}"
        );
        found += usize::from(code == Some(4));
    }

    assert!(found > 10, "{found} of 19");
}

#[test]
fn an_archive_that_may_not_be_opened() {
    let path = Path::new("/archives/footbridge.redb").to_owned();
    let source = io::Error::from(io::ErrorKind::PermissionDenied);
    let attempted = "opening";

    let answer = printed(AppError::Open {
        path,
        source: StoreError::Io { attempted, source },
    });

    insta::assert_snapshot!(answer);
}

#[test]
fn a_disk_that_is_full() {
    let floor = StoreError::LowSpace {
        free_bytes: 12_345_678,
        floor_bytes: 536_870_912,
    };
    let full = StoreError::DiskFull {
        attempted: "committing to",
    };
    let source = io::Error::from(io::ErrorKind::StorageFull);
    let export = AppError::Output { source };

    let answers: Vec<String> = [floor.into(), full.into(), export].map(printed).to_vec();

    insta::assert_snapshot!(answers.join("\n"));
}

#[test]
fn a_full_disk_under_an_export() {
    let Ok(mut full) = fs::OpenOptions::new().write(true).open("/dev/full") else {
        return;
    };
    assert!(full.write_all(b"x").is_err());
    let home = Home::with_archive();

    let output = std::process::Command::new(env!("CARGO_BIN_EXE_footbridge"))
        .args(["export", "--data"])
        .arg(home.archive())
        .stdout(full)
        .output()
        .unwrap();

    assert_eq!(output.status.code(), Some(1));
    let answer = String::from_utf8(output.stderr).unwrap();
    assert!(
        answer.starts_with("error: cannot write the answer\n"),
        "{answer}"
    );
}
