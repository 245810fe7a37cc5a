//! What a person sees: exit code, stdout and stderr of whole commands, as snapshots, and rules about every help text.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops at the first surprise"
)]

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::process::Output;

use clap::CommandFactory;
use footbridge::cli::args::Arguments;

/// Columns of every help text.
const HELP_COLUMNS: usize = 80;

/// `good` as Messages stores it: a typedstream of an attributed string, from the sample.
const ATTRIBUTED_BODY: &[u8] = b"\x04\x0bstreamtyped\x81\xe8\x03\x84\x01@\x84\x84\x84\x19NSMutableAttributedString\x00\x84\x84\x12NSA\
    ttributedString\x00\x84\x84\x08NSObject\x00\x85\x92\x84\x84\x84\x0fNSMutableString\x01\x84\x84\x08NS\
    String\x01\x95\x84\x01+\x04good\x86\x84\x02iI\x01\x04\x92\x84\x84\x84\x0cNSDictionary\x00\x95\x84\
    \x01i\x01\x92\x84\x98\x98\x1d__kIMMessagePartAttributeName\x86\x92\x84\x84\x84\x08NSNumber\x00\x84\
    \x84\x07NSValue\x00\x95\x84\x01*\x84\x9b\x9b\x00\x86\x86\x86";

/// A folder of its own that stands for the owner's home.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs footbridge with nothing in the environment but this home.
    fn output(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_footbridge"))
            .args(arguments)
            .env_clear()
            .env("HOME", self.path())
            .env("TZ", "UTC")
            .current_dir(self.path())
            .output()
            .unwrap()
    }

    /// The whole answer as text, with the home's path replaced.
    fn answer(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let mut text = format!("exit {}\n", output.status.code().unwrap());
        for (name, bytes) in [("stdout", output.stdout), ("stderr", output.stderr)] {
            let shown = String::from_utf8(bytes).unwrap();
            write!(text, "--- {name}\n{shown}").unwrap();
        }
        text.replace(self.path().to_str().unwrap(), "[home]")
    }
}

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
    assert_eq!(checks, ["system", "clock", "messages", "archive", "space"]);
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
