//! Where the archive lies and what the environment says. The only place that reads environment variables; it opens
//! nothing.
//!
//! | variable | meaning |
//! |---|---|
//! | `FOOTBRIDGE_DATA` | the archive file, where `--data` does not name one |
//! | `FOOTBRIDGE_LOG` | how much to log on stderr: `off`, `error`, `warn` (default), `info`, `debug`, `trace` |
//! | `HOME`, `XDG_DATA_HOME` | below which the archive lies by default |
//! | `NO_COLOR` | set and not empty: no colours and no bold |

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;

use crate::base::error::Class;
use crate::base::error::Explain;

/// The archive's file name in its default folder.
const FILE: &str = "footbridge.redb";

/// What kind of computer this is, as far as footbridge cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// A Mac: Messages itself is here.
    Mac,
    /// Anything else: only copies of Messages databases can be here.
    Other,
}

impl Platform {
    /// The one this program runs on.
    pub const fn here() -> Self {
        if cfg!(target_os = "macos") {
            Self::Mac
        } else {
            Self::Other
        }
    }
}

/// The environment variables that matter, as they were when the program started. Empty ones count as unset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `FOOTBRIDGE_DATA`.
    pub data: Option<PathBuf>,
    /// `FOOTBRIDGE_LOG`, unchecked.
    pub log: Option<String>,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `XDG_DATA_HOME`, where it is an absolute path: others are to be ignored, says its specification.
    pub xdg_data_home: Option<PathBuf>,
    /// Whether `NO_COLOR` is set.
    pub no_color: bool,
}

impl Environment {
    /// Reads the process's environment.
    pub fn read() -> Self {
        Self::from_lookup(|name| env::var_os(name))
    }

    fn from_lookup(lookup: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name| lookup(name).filter(|value| !value.is_empty());
        Self {
            data: set("FOOTBRIDGE_DATA").map(PathBuf::from),
            log: set("FOOTBRIDGE_LOG").map(|value| value.to_string_lossy().into_owned()),
            home: set("HOME").map(PathBuf::from),
            xdg_data_home: set("XDG_DATA_HOME")
                .map(PathBuf::from)
                .filter(|path| path.is_absolute()),
            no_color: set("NO_COLOR").is_some(),
        }
    }

    /// The archive file: the one asked for, else `FOOTBRIDGE_DATA`, else the platform's place for such files.
    ///
    /// # Errors
    /// [`ConfigError::NoHome`] when nothing names a file and there is no home folder to look in.
    pub fn data_file(
        &self,
        asked: Option<&Path>,
        platform: Platform,
    ) -> Result<PathBuf, ConfigError> {
        if let Some(file) = asked.or(self.data.as_deref()) {
            return Ok(file.to_owned());
        }
        let home = self.home.as_deref();
        let folder = match platform {
            Platform::Mac => home.map(|home| home.join("Library/Application Support")),
            Platform::Other => self
                .xdg_data_home
                .clone()
                .or_else(|| home.map(|home| home.join(".local/share"))),
        };
        let folder = folder.ok_or(ConfigError::NoHome)?;
        Ok(folder.join("footbridge").join(FILE))
    }

    /// This computer's own Messages database, which need not exist; `None` where there can be none.
    pub fn messages_database(&self, platform: Platform) -> Option<PathBuf> {
        let home = self.home.as_deref().filter(|_| platform == Platform::Mac);
        home.map(|home| home.join("Library/Messages/chat.db"))
    }
}

/// Why something has no place.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Neither a flag nor a variable names a file.
    #[error("cannot tell where the archive is: HOME is not set")]
    NoHome,
    /// Nothing names a Messages database, and this computer has none of its own.
    #[error("this computer has no Messages of its own to import")]
    NoMessages,
}

impl Explain for ConfigError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoHome => "name the archive with `--data FILE`",
            Self::NoMessages => {
                "copy chat.db, chat.db-wal and Attachments from ~/Library/Messages of a Mac into one folder,\n\
                 then run `footbridge import --chat-db FOLDER/chat.db`"
            }
        };
        Some(hint.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        Environment::from_lookup(|name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn a_flag_goes_before_the_variable_and_the_variable_before_the_default() {
        let environment = environment(&[("FOOTBRIDGE_DATA", "/v.redb"), ("HOME", "/h")]);

        let asked = environment.data_file(Some(Path::new("/a.redb")), Platform::Other);
        let unasked = environment.data_file(None, Platform::Other);

        assert_eq!(asked.unwrap(), Path::new("/a.redb"));
        assert_eq!(unasked.unwrap(), Path::new("/v.redb"));
    }

    #[test]
    fn each_platform_has_its_own_default() {
        let home = environment(&[("HOME", "/h")]);
        let xdg = environment(&[("HOME", "/h"), ("XDG_DATA_HOME", "/x")]);

        let files = [
            home.data_file(None, Platform::Mac).unwrap(),
            home.data_file(None, Platform::Other).unwrap(),
            xdg.data_file(None, Platform::Mac).unwrap(),
            xdg.data_file(None, Platform::Other).unwrap(),
        ];

        assert_eq!(
            files.map(|file| file.display().to_string()),
            [
                "/h/Library/Application Support/footbridge/footbridge.redb",
                "/h/.local/share/footbridge/footbridge.redb",
                "/h/Library/Application Support/footbridge/footbridge.redb",
                "/x/footbridge/footbridge.redb",
            ]
        );
    }

    #[test]
    fn empty_and_relative_variables_count_as_unset() {
        let environment = environment(&[
            ("FOOTBRIDGE_DATA", ""),
            ("XDG_DATA_HOME", "relative"),
            ("NO_COLOR", ""),
        ]);

        assert_eq!(environment, Environment::default());
    }

    #[test]
    fn without_a_home_there_is_no_default() {
        let answer = Environment::default().data_file(None, Platform::Mac);

        assert!(matches!(answer, Err(ConfigError::NoHome)));
    }

    #[test]
    fn only_a_mac_has_messages_of_its_own() {
        let environment = environment(&[("HOME", "/h")]);

        let own = environment.messages_database(Platform::Mac);

        assert_eq!(own.unwrap(), Path::new("/h/Library/Messages/chat.db"));
        assert_eq!(environment.messages_database(Platform::Other), None);
    }
}
