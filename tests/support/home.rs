//! A home for the program: a folder of its own, nothing else in the environment, and an archive of the sample.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;
use std::sync::OnceLock;

use serde_json::Value;

/// A folder of its own that stands for the owner's home.
pub(crate) struct Home(tempfile::TempDir);

impl Home {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// One with an archive of the sample, which is imported once for all tests.
    pub(crate) fn with_archive() -> Self {
        static ARCHIVE: OnceLock<Vec<u8>> = OnceLock::new();
        let home = Self::new();
        let archive = ARCHIVE.get_or_init(|| {
            let first = Self::new();
            let output = first.output(&["import", "--chat-db", &first.sample()]);
            assert!(output.status.success(), "the sample can be imported");
            fs::read(first.archive()).unwrap()
        });
        fs::write(home.archive(), archive).unwrap();
        home
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The archive, which need not exist.
    pub(crate) fn archive(&self) -> PathBuf {
        self.path().join("archive.redb")
    }

    /// The database that the repository carries.
    #[expect(clippy::unused_self, reason = "reads as the other paths do")]
    pub(crate) fn sample(&self) -> String {
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/sample/chat.db").to_owned()
    }

    /// A copy of that database alone, for changes.
    pub(crate) fn copy_of_sample(&self) -> String {
        let copy = self.path().join("chat.db");
        fs::copy(self.sample(), &copy).unwrap();
        copy.to_str().unwrap().to_owned()
    }

    /// footbridge with nothing in the environment but this home and its archive.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_footbridge"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.path())
            .env("FOOTBRIDGE_DATA", self.archive())
            .env("TZ", "UTC")
            .current_dir(self.path());
        command
    }

    /// Runs it to its end.
    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The lines of the export, without its time and the change numbers, which depend on interruptions.
    pub(crate) fn exported(&self) -> Vec<Value> {
        let output = self.output(&["export"]);
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let without = |line: &str| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            let fields = line.as_object_mut().unwrap();
            fields.remove("change");
            fields.remove("created");
            line
        };
        text.lines().map(without).collect()
    }

    /// The whole answer as text, with the home's path and the repository's replaced.
    pub(crate) fn answer(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let mut text = format!("exit {}\n", output.status.code().unwrap());
        for (name, bytes) in [("stdout", output.stdout), ("stderr", output.stderr)] {
            let shown = String::from_utf8(bytes).unwrap();
            write!(text, "--- {name}\n{shown}").unwrap();
        }
        let home = fs::canonicalize(self.path()).unwrap();
        text.replace(home.to_str().unwrap(), "[home]")
            .replace(self.path().to_str().unwrap(), "[home]")
    }
}
