//! What a person sees: exit code, stdout and stderr of whole commands, as snapshots, and rules about every help text.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops at the first surprise"
)]

use std::fs;
use std::io::BufRead;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use clap::CommandFactory;
use footbridge::cli::args::Arguments;
use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;

mod support;

use support::home::Home;

/// Times that a signal may come too late.
const TRIES: usize = 20;

/// Columns of every help text.
const HELP_COLUMNS: usize = 80;

/// `good` as Messages stores it: a typedstream of an attributed string, from the sample.
const ATTRIBUTED_BODY: &[u8] = b"\x04\x0bstreamtyped\x81\xe8\x03\x84\x01@\x84\x84\x84\x19NSMutableAttributedString\x00\x84\x84\x12NSA\
    ttributedString\x00\x84\x84\x08NSObject\x00\x85\x92\x84\x84\x84\x0fNSMutableString\x01\x84\x84\x08NS\
    String\x01\x95\x84\x01+\x04good\x86\x84\x02iI\x01\x04\x92\x84\x84\x84\x0cNSDictionary\x00\x95\x84\
    \x01i\x01\x92\x84\x98\x98\x1d__kIMMessagePartAttributeName\x86\x92\x84\x84\x84\x08NSNumber\x00\x84\
    \x84\x07NSValue\x00\x95\x84\x01*\x84\x9b\x9b\x00\x86\x86\x86";

/// Every command and the commands below it, as the words to type.
fn every_command() -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut waiting = vec![(Vec::new(), Arguments::command())];
    while let Some((words, command)) = waiting.pop() {
        for below in command.get_subcommands() {
            let mut words: Vec<String> = words.clone();
            words.push(below.get_name().to_owned());
            waiting.push((words, below.clone()));
        }
        found.push(words);
    }
    found
}

#[test]
fn help_says_what_can_be_asked() {
    insta::assert_snapshot!(Home::new().answer(&["--help"]));
}

#[test]
fn without_arguments_help_is_shown_and_the_exit_code_says_that_it_was_wrong() {
    let home = Home::new();

    let output = home.output(&[]);

    assert_eq!(output.status.code(), Some(2));
    assert_eq!(output.stderr, home.output(&["--help"]).stdout);
}

#[test]
fn an_unknown_command_is_refused() {
    insta::assert_snapshot!(Home::new().answer(&["chekc"]));
}

#[test]
fn every_help_fits_the_screen() {
    let home = Home::new();

    for words in every_command() {
        for flag in ["-h", "--help"] {
            let arguments: Vec<&str> = words.iter().map(String::as_str).chain([flag]).collect();
            let output = home.output(&arguments);

            let help = String::from_utf8(output.stdout).unwrap();
            assert!(help.contains("Usage: footbridge"), "{arguments:?}");
            for line in help.lines() {
                assert!(
                    line.chars().count() <= HELP_COLUMNS,
                    "{arguments:?}: {line}"
                );
            }
        }
    }
}

#[test]
fn every_argument_has_a_sentence() {
    let mut waiting = vec![Arguments::command()];
    while let Some(command) = waiting.pop() {
        assert!(command.get_about().is_some(), "{}", command.get_name());
        for argument in command.get_arguments() {
            let help = argument.get_help().map(ToString::to_string);
            assert!(
                help.is_some_and(|help| !help.is_empty()),
                "{} {}",
                command.get_name(),
                argument.get_id()
            );
        }
        waiting.extend(command.get_subcommands().cloned());
    }
}

#[test]
fn the_readme_lists_the_commands_of_the_program() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let (_, list) = readme.split_once("<!-- commands -->").unwrap();
    let listed: Vec<String> = list
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(str::to_owned)
        .collect();

    let command = Arguments::command();
    let ours: Vec<String> = command
        .get_subcommands()
        .map(|command| {
            let about = command.get_about().unwrap();
            format!("| `{}` | {about} |", command.get_name())
        })
        .collect();

    assert_eq!(listed, ours);
}

#[test]
fn each_shell_gets_its_completions() {
    let home = Home::new();

    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = home.output(&["completions", shell]);

        assert_eq!(output.status.code(), Some(0), "{shell}");
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(script.contains("completions"), "{shell}");
    }
}

#[test]
fn check_tells_what_the_owner_must_mend() {
    let home = Home::new();
    fs::write(home.path().join("file"), "").unwrap();

    let answer = home.answer(&["check", "--data", "file/footbridge.redb"]);

    // What the other lines say depends on the computer.
    let (exit, findings) = answer.split_once('\n').unwrap();
    let (_, findings) = findings.split_once("fail  archive").unwrap();
    let (archive, _) = findings.split_once("  space ").unwrap();
    let (archive, _) = archive.rsplit_once('\n').unwrap();
    insta::assert_snapshot!(format!("{exit}\n[..]fail  archive{archive}\n[..]"));
}

#[test]
fn check_changes_nothing() {
    let home = Home::new();

    home.output(&["check"]);

    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn check_answers_in_json_lines() {
    let home = Home::new();

    let output = home.output(&["check", "--json"]);

    let checks: Vec<String> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| {
            let finding: serde_json::Value = serde_json::from_str(line).unwrap();
            finding["check"].as_str().expect("a name").to_owned()
        })
        .collect();
    assert_eq!(
        checks,
        ["system", "clock", "config", "messages", "archive", "space"]
    );
}

#[test]
fn a_blob_is_shown_as_json() {
    let home = Home::new();
    fs::write(home.path().join("blob"), ATTRIBUTED_BODY).unwrap();

    let people = home.answer(&["decode", "typedstream", "blob"]);
    let line = home.output(&["decode", "typedstream", "blob", "--json"]);

    insta::assert_snapshot!(people);
    assert_eq!(String::from_utf8(line.stdout).unwrap().lines().count(), 1);
}

#[test]
fn a_blob_of_another_kind_is_refused_with_the_kinds_there_are() {
    let home = Home::new();
    fs::write(home.path().join("blob"), ATTRIBUTED_BODY).unwrap();

    insta::assert_snapshot!(home.answer(&["decode", "summary-info", "blob"]));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    insta::assert_snapshot!(Home::new().answer(&["decode", "payload", "no\u{1b}[2Jthing"]));
}

#[test]
fn without_a_home_the_archive_must_be_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_footbridge"))
        .arg("check")
        .env_clear()
        .output()
        .unwrap();

    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap());
}

#[test]
fn an_import_tells_what_came_in_and_then_that_nothing_is_new() {
    let home = Home::new();
    let arguments = ["import", "--chat-db", &home.sample()];

    let first = home.answer(&arguments);
    let second = home.answer(&arguments);

    insta::assert_snapshot!(first);
    assert_eq!(second, "exit 0\n--- stdout\nnothing is new\n--- stderr\n");
}

#[test]
fn without_messages_of_its_own_a_computer_needs_a_copy() {
    if !cfg!(target_os = "macos") {
        insta::assert_snapshot!(Home::new().answer(&["import"]));
    }
}

#[test]
fn an_import_that_cannot_begin_leaves_no_archive() {
    let home = Home::new();

    let output = home.output(&["import", "--chat-db", "nothing.db"]);

    assert_eq!(output.status.code(), Some(3));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn a_changed_row_is_told_by_its_reason() {
    let home = Home::with_archive();
    let chat_db = home.copy_of_sample();
    home.answer(&["import", "--chat-db", &chat_db]);
    let database = rusqlite::Connection::open(&chat_db).unwrap();
    let changed = "UPDATE message SET date_read = date + 60000000000, is_read = 1 WHERE ROWID IN \
                   (SELECT ROWID FROM message WHERE date_read = 0 AND is_from_me = 0 \
                    AND associated_message_type = 0 AND item_type = 0 LIMIT 3)";
    assert_eq!(database.execute(changed, []).unwrap(), 3);
    drop(database);

    let answer = home.answer(&["import", "--chat-db", &chat_db]);

    assert_eq!(
        answer,
        "exit 0\n--- stdout\nchanged: 3 messages (3 sent, delivered or read)\n--- stderr\n"
    );
}

#[test]
fn status_tells_what_is_held_and_what_is_missing() {
    let answer = Home::with_archive().answer(&["status"]);

    // The size of the file is its own business.
    let lines = answer.lines().filter(|line| !line.starts_with("archive "));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn conversations_are_listed_the_newest_first() {
    insta::assert_snapshot!(Home::with_archive().answer(&["conversations"]));
}

#[test]
fn a_conversation_reads_like_a_chat() {
    insta::assert_snapshot!(Home::with_archive().answer(&["show", "The Office", "--limit", "40"]));
}

#[test]
fn an_ambiguous_name_is_refused_with_the_keys_to_choose_from() {
    insta::assert_snapshot!(Home::with_archive().answer(&["show", "e"]));
}

#[test]
fn a_time_without_messages_is_said_to_be_so() {
    let home = Home::with_archive();

    let later = home.answer(&["show", "The Office", "--since", "2100"]);
    let turned = home.answer(&["show", "The Office", "--since", "2024", "--until", "2023"]);

    let note = "--- stderr\nnote: there is no message in it of that time\n";
    assert!(later.ends_with(note), "{later}");
    assert!(turned.ends_with(note), "{turned}");
}

#[test]
fn numbers_that_mean_nothing_are_refused_with_what_was_expected() {
    let home = Home::with_archive();

    let answers = [
        &["show", "The Office", "--limit", "few"][..],
        &["search", "photo", "--limit", "1.5"],
        &["import", "--commit-rows", "0"],
        &["demo", "--messages", "0"],
        &["export", "--after", "yesterday"],
        &["export", "--after", "999999"],
        &["attachments", "retry", "nothing"],
    ];

    insta::assert_snapshot!(answers.map(|arguments| home.answer(arguments)).join("\n"));
}

#[test]
fn text_is_not_written_as_json() {
    insta::assert_snapshot!(Home::with_archive().answer(&["export", "--format", "txt", "--json"]));
}

#[test]
fn attachments_are_looked_for_in_a_folder_that_is_there() {
    let home = Home::new();

    let arguments = [
        "import",
        "--chat-db",
        &home.sample(),
        "--attachments",
        "gone",
    ];
    let answer = home.answer(&arguments);

    assert_eq!(
        answer,
        "exit 2\n--- stdout\n--- stderr\nerror: `gone` is not a folder\n"
    );
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn a_search_marks_the_hit_and_names_the_conversation() {
    insta::assert_snapshot!(Home::with_archive().answer(&["search", "birth*", "--limit", "4"]));
}

#[test]
fn a_search_can_be_narrowed() {
    let home = Home::with_archive();
    let count = |more: &[&str]| {
        let arguments = [&["search", "photo", "--limit", "0", "--json"], more].concat();
        home.output(&arguments).stdout.lines().count()
    };

    let all = count(&[]);
    let parts = [
        count(&["--from", "me"]),
        count(&["--in", "The Office"]),
        count(&["--since", "2024"]),
        count(&["--until", "2023"]),
        count(&["--kind", "link"]),
    ];

    assert!(parts.iter().all(|part| *part < all), "{parts:?} of {all}");
    assert_eq!(parts[2] + parts[3], all);
}

#[test]
fn a_message_is_explained_by_its_guid_and_by_its_words() {
    let home = Home::with_archive();
    let hits = home
        .output(&["search", "photo", "--limit", "1", "--json"])
        .stdout;
    let hit: serde_json::Value = serde_json::from_slice(&hits).unwrap();
    let guid = hit["guid"].as_str().unwrap();

    let by_guid = home.output(&["explain", &guid.to_lowercase()]);
    let by_words = home.output(&["explain", "photo"]);

    let account = String::from_utf8(by_guid.stdout).unwrap();
    assert!(account.starts_with(guid), "{account}");
    for expected in ["  from ", "  sent ", "in the conversation", "chatdb says"] {
        assert!(account.contains(expected), "{account}");
    }
    assert!(String::from_utf8(by_words.stdout).unwrap().contains(guid));
}

#[test]
fn an_export_appears_under_its_name_when_it_is_complete() {
    let home = Home::with_archive();

    let output = home.output(&["export", "--output", "all.jsonl"]);

    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.is_empty());
    let export = fs::read_to_string(home.path().join("all.jsonl")).unwrap();
    let printed = String::from_utf8(home.output(&["export"]).stdout).unwrap();
    assert!(
        export.lines().skip(1).eq(printed.lines().skip(1)),
        "but for the header's time"
    );
    let last: serde_json::Value = serde_json::from_str(export.lines().last().unwrap()).unwrap();
    assert_eq!(last["type"], "end");
    assert!(!home.path().join("all.jsonl.partial").exists());
}

#[test]
fn an_export_never_replaces_the_archive() {
    let home = Home::with_archive();

    insta::assert_snapshot!(home.answer(&["export", "--output", "archive.redb"]));
    assert_eq!(home.output(&["verify"]).status.code(), Some(0));
}

#[test]
fn an_export_goes_on_where_the_last_one_ended() {
    let home = Home::with_archive();
    let export = home.output(&["export"]).stdout;
    let last = export.lines().last().unwrap().unwrap();
    let last: serde_json::Value = serde_json::from_str(&last).unwrap();

    let next = home.output(&["export", "--after", &last["change"].to_string()]);

    assert_eq!(next.stdout.lines().count(), 2, "header and end");
}

#[test]
fn a_transcript_holds_every_conversation_and_what_is_in_none() {
    let home = Home::with_archive();

    let transcript = home.output(&["export", "--format", "txt"]).stdout;
    let office = home.answer(&["export", "--format", "txt", "--conversation", "The Office"]);

    let transcript = String::from_utf8(transcript).unwrap();
    let conversations = transcript.matches("\n\n======").count();
    let listed = home
        .output(&["conversations", "--json"])
        .stdout
        .lines()
        .count();
    assert_eq!(
        conversations, listed,
        "one rule fewer than parts; one part is parked"
    );
    assert!(transcript.contains("(in no conversation)"));
    assert!(
        office.starts_with("exit 0\n--- stdout\nThe Office\n"),
        "{office}"
    );
    assert!(!office.contains("====="));
}

#[test]
fn people_are_parted_and_joined() {
    let home = Home::new();
    let chat_db = home.copy_of_sample();
    let book = home.path().join("AddressBook-v22.abcddb");
    fs::copy(
        home.sample().replace("chat.db", "AddressBook-v22.abcddb"),
        &book,
    )
    .unwrap();
    let book = rusqlite::Connection::open(book).unwrap();
    // Sami Jensen has Ben Fox's address now.
    let moved = "UPDATE ZABCDEMAILADDRESS SET ZOWNER = 4 WHERE ZADDRESS = 'ben.fox7@example.com'";
    assert_eq!(book.execute(moved, []).unwrap(), 1);
    drop(book);
    home.answer(&["import", "--chat-db", &chat_db]);
    let listed = |arguments: &[&str]| home.output(arguments).stdout.lines().count();

    let answers = [
        home.answer(&["split", "ben.fox7@example.com"]),
        home.answer(&["split", "ben.fox7@example.com"]),
        home.answer(&["show", "ben.fox7@example.com", "--limit", "1"]),
        home.answer(&["join", "sami.jensen3@example.com"]),
        home.answer(&["show", "ben.fox7@example.com", "--limit", "1"]),
    ];

    insta::assert_snapshot!(answers.join("\n"));
    assert_eq!(listed(&["conversations"]), 29);
    assert_eq!(listed(&["conversations", "--unmerged"]), 30);
}

#[test]
fn a_backup_opens_verifies_and_replaces_nothing() {
    let home = Home::with_archive();

    let backup = home.output(&["backup", "copy.redb"]);
    let verified = home.answer(&["verify", "--data", "copy.redb"]);

    assert_eq!(backup.status.code(), Some(0));
    assert_eq!(
        verified,
        "exit 0\n--- stdout\n3,000 messages, nothing wrong\n--- stderr\n"
    );
    insta::assert_snapshot!(home.answer(&["backup", "copy.redb"]));
}

#[test]
fn what_a_signal_ends_leaves_no_half_of_a_file() {
    let home = Home::with_archive();
    for (arguments, signal, code) in [
        (["backup", "copy.redb"].as_slice(), Signal::INT, 130),
        (["backup", "copy.redb"].as_slice(), Signal::TERM, 143),
        (&["export", "--output", "copy.redb"], Signal::INT, 130),
    ] {
        let ended = (0..TRIES).any(|_| ended_halfway(&home, arguments, signal) == Some(code));

        assert!(ended, "{arguments:?} was always done before the signal");
        assert!(!home.path().join("copy.redb.partial").exists());
    }
}

/// How a command ends that gets a signal while it writes `copy.redb`; `None` if it wrote all of it, which is removed.
fn ended_halfway(home: &Home, arguments: &[&str], signal: Signal) -> Option<i32> {
    let mut command = home.command(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let partial = home.path().join("copy.redb.partial");
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if partial.exists() {
            kill_process(Pid::from_child(&child), signal).unwrap();
            break child.wait().unwrap();
        }
        thread::sleep(Duration::from_millis(1));
    };
    // It may have been done before the signal, or between the signal and its end.
    let copy = home.path().join("copy.redb");
    if copy.exists() {
        fs::remove_file(copy).unwrap();
        return None;
    }
    status.code()
}

#[test]
fn an_archive_can_be_compacted_and_decoded_again() {
    let home = Home::with_archive();

    let compacted = home.output(&["compact", "--json"]);
    let decoded = home.answer(&["redecode", "--all"]);
    let retried = home.answer(&["quarantine", "retry"]);

    let sizes: serde_json::Value = serde_json::from_slice(&compacted.stdout).unwrap();
    assert!(
        sizes["after"].as_u64() <= sizes["before"].as_u64(),
        "{sizes}"
    );
    insta::assert_snapshot!(format!("{decoded}{retried}"));
}

#[test]
fn every_question_answers_in_json_lines() {
    let home = Home::with_archive();

    for arguments in [
        &["status"][..],
        &["conversations"],
        &["show", "The Office"],
        &["search", "photo"],
        &["explain", "photo"],
        &["list-handles"],
        &["redecode"],
        &["backup", "copy.redb"],
        &["compact"],
        &["attachments", "list"],
        &["attachments", "retry"],
        &["cloudkit", "status"],
        &["cloudkit", "forget"],
        &["import", "--chat-db", &home.sample()],
    ] {
        let output = home.output(&[arguments, &["--json"]].concat());

        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        let lines: Vec<_> = output.stdout.lines().map(Result::unwrap).collect();
        assert!(!lines.is_empty(), "{arguments:?}");
        for line in lines {
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert!(value.is_object(), "{arguments:?}");
        }
    }
}

#[test]
fn questions_without_an_archive_say_how_to_get_one() {
    let home = Home::new();

    for arguments in [
        &["status"][..],
        &["conversations"],
        &["show", "x"],
        &["export"],
        &["verify"],
        &["backup", "copy.redb"],
    ] {
        let output = home.output(arguments);

        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    insta::assert_snapshot!(home.answer(&["status"]));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}
