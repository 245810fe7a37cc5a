//! Where things lie on this computer, and what the environment says. The only place that reads environment variables; it
//! opens nothing.
//!
//! | variable | meaning |
//! |---|---|
//! | `FOOTBRIDGE_CONFIG` | the configuration file, where `--config` does not name one |
//! | other `FOOTBRIDGE_...` | a key of the configuration: see `settings` |
//! | `HOME`, `XDG_DATA_HOME`, `XDG_CONFIG_HOME` | below which archive and configuration lie by default |
//! | `NO_COLOR` | set and not empty: no colours and no bold |
//! | `NOTIFY_SOCKET` | where systemd wants to hear that the service is ready |
//! | `XPC_SERVICE_NAME` | as which job launchd started the program |

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::base::error::Class;
use crate::base::error::Explain;

/// The archive's file name in its default folder.
const FILE: &str = "footbridge.redb";

/// The configuration's file name in its default folders.
const CONFIG: &str = "footbridge.toml";

/// The job's name in `packaging/net.footbridge.plist`.
const LAUNCHD_JOB: &str = "net.footbridge";

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
    /// `FOOTBRIDGE_CONFIG`.
    pub config: Option<PathBuf>,
    /// The other variables whose names begin with `FOOTBRIDGE_`, unchecked.
    pub variables: BTreeMap<String, String>,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `XDG_DATA_HOME`, where it is an absolute path: others are to be ignored, says its specification.
    pub xdg_data_home: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`, likewise.
    pub xdg_config_home: Option<PathBuf>,
    /// Whether `NO_COLOR` is set.
    pub no_color: bool,
    /// `NOTIFY_SOCKET`.
    pub notify_socket: Option<PathBuf>,
    /// Whether launchd started the program as its job: what `XPC_SERVICE_NAME` says.
    pub is_launchd_job: bool,
}

impl Environment {
    /// Reads the process's environment.
    pub fn read() -> Self {
        Self::from_pairs(env::vars_os())
    }

    fn from_pairs(pairs: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let mut environment = Self::default();
        let absolute = |value| Some(PathBuf::from(value)).filter(|path| path.is_absolute());
        for (name, value) in pairs.filter(|(_, value)| !value.is_empty()) {
            let name = name.to_string_lossy();
            match name.as_ref() {
                "FOOTBRIDGE_CONFIG" => environment.config = Some(value.into()),
                "HOME" => environment.home = Some(value.into()),
                "XDG_DATA_HOME" => environment.xdg_data_home = absolute(value),
                "XDG_CONFIG_HOME" => environment.xdg_config_home = absolute(value),
                "NO_COLOR" => environment.no_color = true,
                "NOTIFY_SOCKET" => environment.notify_socket = Some(value.into()),
                "XPC_SERVICE_NAME" => environment.is_launchd_job = value == LAUNCHD_JOB,
                name if name.starts_with("FOOTBRIDGE_") => {
                    let value = value.to_string_lossy().into_owned();
                    environment.variables.insert(name.to_owned(), value);
                }
                _ => {}
            }
        }
        environment
    }

    /// The platform's place for the archive; `None` without a home folder to look in.
    pub fn data_file(&self, platform: Platform) -> Option<PathBuf> {
        let folder = match platform {
            Platform::Mac => self.application_support(),
            Platform::Other => self.below_home(self.xdg_data_home.as_ref(), ".local/share"),
        };
        Some(folder?.join("footbridge").join(FILE))
    }

    /// The platform's places for the configuration, the first that exists counts.
    pub fn config_files(&self, platform: Platform) -> Vec<PathBuf> {
        let (own, shared) = match platform {
            Platform::Mac => (self.application_support(), None),
            Platform::Other => (
                self.below_home(self.xdg_config_home.as_ref(), ".config"),
                Some(PathBuf::from("/etc")),
            ),
        };
        let folders = own.into_iter().chain(shared);
        folders
            .map(|folder| folder.join("footbridge").join(CONFIG))
            .collect()
    }

    fn application_support(&self) -> Option<PathBuf> {
        let home = self.home.as_ref();
        home.map(|home| home.join("Library/Application Support"))
    }

    fn below_home(&self, named: Option<&PathBuf>, otherwise: &str) -> Option<PathBuf> {
        let home = self.home.as_ref();
        named
            .cloned()
            .or_else(|| home.map(|home| home.join(otherwise)))
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
    use std::path::Path;

    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        let pairs = pairs.iter();
        Environment::from_pairs(pairs.map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn each_platform_has_its_own_places() {
        let home = environment(&[("HOME", "/h")]);
        let xdg = environment(&[
            ("HOME", "/h"),
            ("XDG_DATA_HOME", "/x"),
            ("XDG_CONFIG_HOME", "/c"),
        ]);

        let places = |environment: &Environment, platform| {
            let data = environment.data_file(platform);
            let config = environment.config_files(platform);
            let all = data.into_iter().chain(config);
            all.map(|file| file.display().to_string())
                .collect::<Vec<_>>()
        };

        let mac = [
            "/h/Library/Application Support/footbridge/footbridge.redb",
            "/h/Library/Application Support/footbridge/footbridge.toml",
        ];
        assert_eq!(places(&home, Platform::Mac), mac);
        assert_eq!(places(&xdg, Platform::Mac), mac);
        assert_eq!(
            places(&home, Platform::Other),
            [
                "/h/.local/share/footbridge/footbridge.redb",
                "/h/.config/footbridge/footbridge.toml",
                "/etc/footbridge/footbridge.toml",
            ]
        );
        assert_eq!(
            places(&xdg, Platform::Other),
            [
                "/x/footbridge/footbridge.redb",
                "/c/footbridge/footbridge.toml",
                "/etc/footbridge/footbridge.toml",
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
        assert_eq!(Environment::default().data_file(Platform::Mac), None);
    }

    #[test]
    fn only_a_mac_has_messages_of_its_own() {
        let environment = environment(&[("HOME", "/h")]);

        let own = environment.messages_database(Platform::Mac);

        assert_eq!(own.unwrap(), Path::new("/h/Library/Messages/chat.db"));
        assert_eq!(environment.messages_database(Platform::Other), None);
    }
}
