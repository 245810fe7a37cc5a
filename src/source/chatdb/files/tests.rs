//! Attachments are found below the Messages folders and nowhere else.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;
use std::time::SystemTime;

use super::Files;
use crate::base::time::AppleTime;
use crate::model::attachment::AttachmentState;
use crate::model::attachment::Missing;
use crate::source::chatdb::locations::Locations;

/// SHA-256 of `abc`.
const ABC: [u8; 32] = [
    0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
    0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad,
];

/// A Messages folder with `Attachments/a/IMG.HEIC`, which holds `abc`.
fn messages() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("Attachments/a")).unwrap();
    fs::write(folder.path().join("Attachments/a/IMG.HEIC"), "abc").unwrap();
    fs::write(folder.path().join("chat.db"), "").unwrap();
    folder
}

fn files(folder: &Path) -> Files {
    Files::new(&Locations::new(&folder.join("chat.db"), None))
}

fn state(files: &Files, path: &str) -> AttachmentState {
    files.look(Some(path), None).state
}

fn is_abc(state: &AttachmentState) -> bool {
    matches!(state, AttachmentState::Held { sha256, .. } if *sha256 == ABC)
}

const IMAGE: &str = "~/Library/Messages/Attachments/a/IMG.HEIC";

#[test]
fn a_file_below_the_messages_folder_is_hashed() {
    let folder = messages();
    let changed = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789);
    let image = folder.path().join("Attachments/a/IMG.HEIC");
    fs::File::options()
        .write(true)
        .open(image)
        .unwrap()
        .set_modified(changed)
        .unwrap();

    let found = files(folder.path()).look(Some(IMAGE), None);

    let modified = AppleTime::from_nanos(721_692_800_123_456_789);
    assert_eq!(
        found.state,
        AttachmentState::Held {
            sha256: ABC,
            modified
        }
    );
    assert_eq!(found.size_bytes, Some(3));
    assert!(!found.live_photo);
}

#[test]
fn every_spelling_of_the_messages_folder_leads_there() {
    let folder = messages();
    let files = files(folder.path());
    let real = fs::canonicalize(folder.path()).unwrap();
    let spellings = [
        "/Users/ada/Library/Messages/Attachments/a/IMG.HEIC",
        "~/Library/Messages/./Attachments/../Attachments/a/IMG.HEIC",
        real.join("Attachments/a/IMG.HEIC").to_str().unwrap(),
    ]
    .map(str::to_owned);

    for spelling in spellings {
        assert!(is_abc(&state(&files, &spelling)), "{spelling}");
    }
}

#[test]
fn another_folder_takes_the_place_of_attachments() {
    let (folder, other) = (messages(), messages());
    let attachments = other.path().join("Attachments");
    fs::remove_dir_all(folder.path().join("Attachments")).unwrap();
    fs::write(folder.path().join("sticker"), "abc").unwrap();
    let database = folder.path().join("chat.db");

    let files = Files::new(&Locations::new(&database, Some(&attachments)));

    assert!(is_abc(&state(&files, IMAGE)));
    assert!(is_abc(&state(&files, "~/Library/Messages/sticker")));
    let out = "~/Library/Messages/Attachments/../chat.db";
    assert!(
        matches!(state(&files, out), AttachmentState::Held { .. }),
        "in the other root"
    );
}

#[test]
fn nothing_outside_of_the_folders_is_opened() {
    let folder = messages();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "abc").unwrap();
    symlink(outside.path().join("secret"), folder.path().join("link")).unwrap();
    symlink(outside.path(), folder.path().join("folder")).unwrap();
    let absolute = outside.path().join("secret");
    let files = files(folder.path());

    for path in [
        "~/Library/Messages/link",
        "~/Library/Messages/folder/secret",
        "~/Library/Messages/../secret",
        "~/Library/Messages/a/../../Keychains/x",
        "~/Pictures/a.png",
        "~root/Library/Messages/x",
        "secret",
        absolute.to_str().unwrap(),
    ] {
        let state = state(&files, path);

        assert_eq!(state, AttachmentState::Missing(Missing::Outside), "{path}");
    }
}

#[test]
fn a_link_that_stays_inside_is_followed() {
    let folder = messages();
    symlink("Attachments/a/IMG.HEIC", folder.path().join("link")).unwrap();

    assert!(is_abc(&state(
        &files(folder.path()),
        "~/Library/Messages/link"
    )));
}

#[test]
fn what_is_not_there_or_no_file_is_missing() {
    let folder = messages();
    let files = files(folder.path());
    let fifo = folder.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).unwrap();
    let missing = |path: Option<&str>| files.look(path, None).state;

    assert_eq!(missing(None), AttachmentState::Missing(Missing::NoPath));
    assert_eq!(missing(Some("")), AttachmentState::Missing(Missing::NoPath));
    for (path, why) in [
        ("~/Library/Messages/Attachments/b", Missing::NotFound),
        ("~/Library/Messages/chat.db/b", Missing::NotFound),
        ("~/Library/Messages/a\0b", Missing::NotFound),
        ("~/Library/Messages/Attachments/a", Missing::NotAFile),
        ("~/Library/Messages/pipe", Missing::NotAFile),
    ] {
        assert_eq!(
            missing(Some(path)),
            AttachmentState::Missing(why),
            "{path:?}"
        );
    }
}

#[test]
fn a_file_that_did_not_change_is_not_read_again() {
    let folder = messages();
    let files = files(folder.path());
    let AttachmentState::Held { modified, .. } = state(&files, IMAGE) else {
        panic!("not held");
    };
    let earlier = [7; 32];
    let hash = |modified, size| {
        let found = files.look(Some(IMAGE), Some((&earlier, modified, size)));
        let AttachmentState::Held { sha256, .. } = found.state else {
            panic!("not held");
        };
        sha256
    };

    assert_eq!(hash(modified, 3), earlier);
    assert_eq!(hash(modified, 4), ABC);
    assert_eq!(hash(modified.plus(Duration::from_nanos(1)), 3), ABC);
}

#[test]
fn a_movie_beside_a_still_makes_a_live_photo() {
    let folder = messages();
    let at = |name: &str| folder.path().join("Attachments/a").join(name);
    fs::write(at("IMG.MOV"), "").unwrap();
    fs::write(at("note.txt"), "abc").unwrap();
    fs::write(at("note.MOV"), "").unwrap();
    let files = files(folder.path());

    assert!(files.look(Some(IMAGE), None).live_photo);
    let note = "~/Library/Messages/Attachments/a/note.txt";
    assert!(!files.look(Some(note), None).live_photo);
}

#[test]
fn the_head_of_a_file_is_read() {
    let folder = messages();
    let files = files(folder.path());

    assert_eq!(files.read_head(Some(IMAGE), 2).unwrap(), b"ab");
    assert_eq!(files.read_head(Some(IMAGE), 9).unwrap(), b"abc");
    assert_eq!(files.read_head(Some("~/x"), 9), None);
}
