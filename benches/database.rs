//! The chat.db that is imported.

use std::fs;
use std::fs::File;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use crate::Trouble;
use crate::environment;

/// A Messages database.
pub(crate) struct Database {
    pub(crate) path: PathBuf,
}

impl Database {
    /// The one that the environment names, or one that is made; it stays for the next run.
    pub(crate) fn from_environment(folder: &Path) -> Result<Self, Trouble> {
        if let Some(path) = std::env::var_os("FOOTBRIDGE_BENCH_CHAT_DB") {
            return Ok(Self { path: path.into() });
        }
        let messages: u64 = environment::number("FOOTBRIDGE_BENCH_MESSAGES", 1_000_000)?;
        let made = folder.join(format!("messages-{messages}"));
        if !made.exists() {
            eprintln!("making a database of {messages} messages ...");
            let partial = folder.join("partial");
            let made_it = Command::new("python3")
                .arg("tests/tools/make-chatdb.py")
                .args(["generate", "--no-truth", "--no-files", "--force"])
                .args(["--attachments", "0", "--seed", "11"])
                .args(["--messages", &messages.to_string()])
                .args(["--chats", &(messages / 1_000).max(10).to_string()])
                .arg("--out")
                .arg(&partial)
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .status()?;
            if !made_it.success() {
                return Err("tests/tools/make-chatdb.py made no database".into());
            }
            fs::rename(partial, &made)?;
        }
        Ok(Self {
            path: made.join("chat.db"),
        })
    }

    /// Reads the file, so that whoever comes first finds it in memory too.
    pub(crate) fn warm_up(&self) -> Result<(), Trouble> {
        io::copy(&mut File::open(&self.path)?, &mut io::sink())?;
        Ok(())
    }
}
