//! What could go wrong on this computer: permission, disk space, the system's version, the clock. It changes nothing
//! and does not open the archive (that is `verify`).

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use jiff::tz::TimeZone;
use rustix::fs::Access;
use serde::Serialize;

use crate::app::config::Platform;
use crate::app::settings::Settings;
use crate::base::numbers::size;
use crate::base::time::Clock;
use crate::store::usual_floor;

/// The macOS versions whose Messages database is known: 10.15 counts as 10.
const KNOWN_MACOS: std::ops::RangeInclusive<u32> = 10..=27;

/// Years that a working clock can show.
const PLAUSIBLE_YEARS: std::ops::RangeInclusive<i16> = 2026..=2075;

/// How much an archive takes at most, in sizes of the database that it is imported from.
const ARCHIVE_PER_DATABASE: u64 = 2;

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// It works, or will for now.
    Warn,
    /// Something will not work until the owner acts.
    Fail,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at: one word.
    pub check: &'static str,
    /// How serious it is.
    pub state: State,
    /// What was seen.
    pub detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Finding {
    fn new(check: &'static str, state: State, detail: impl Into<String>) -> Self {
        Self {
            check,
            state,
            detail: detail.into(),
            hint: None,
        }
    }

    fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// What the checks look at.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The kind of computer.
    pub platform: Platform,
    /// `26.1`, on a Mac.
    pub macos: Option<String>,
    /// The configuration file, which was read.
    pub config: Option<PathBuf>,
    /// The Messages database to read: on a Mac this user's own unless another is named.
    pub chat_db: Option<PathBuf>,
    /// The archive file, which need not exist.
    pub data: PathBuf,
    /// Free bytes below which intake stops; `None` for the usual floor.
    pub free_floor: Option<u64>,
}

impl Surroundings {
    /// This computer and this user.
    pub fn of(settings: &Settings) -> Self {
        let platform = Platform::here();
        Self {
            platform,
            macos: macos_version(platform),
            config: settings.file.clone(),
            chat_db: settings.chat_db.clone(),
            data: settings.data.clone(),
            free_floor: settings.free_floor,
        }
    }
}

/// Runs every check, in the order in which a person would.
pub fn check(around: &Surroundings, clock: &dyn Clock) -> Vec<Finding> {
    vec![
        check_system(around),
        check_clock(clock),
        check_config(around),
        check_messages(around),
        check_data(&around.data),
        check_space(around),
    ]
}

/// `sw_vers` is the documented way to ask; the version file says 10.16 to programs built against old SDKs.
fn macos_version(platform: Platform) -> Option<String> {
    if platform == Platform::Other {
        return None;
    }
    let answer = Command::new("/usr/bin/sw_vers")
        .arg("-productVersion")
        .output()
        .ok()?;
    let version = String::from_utf8(answer.stdout).ok()?;
    Some(version.trim().to_owned()).filter(|version| !version.is_empty())
}

fn check_system(around: &Surroundings) -> Finding {
    let version = match (around.platform, &around.macos) {
        (Platform::Other, _) => {
            return Finding::new(
                "system",
                State::Ok,
                "not a Mac: copied Messages databases can be imported",
            );
        }
        (Platform::Mac, None) => {
            return Finding::new("system", State::Warn, "macOS does not tell its version");
        }
        (Platform::Mac, Some(version)) => version,
    };
    let major = version.split('.').next().and_then(|n| n.parse().ok());
    if major.is_some_and(|major: u32| KNOWN_MACOS.contains(&major)) {
        Finding::new("system", State::Ok, format!("macOS {version}"))
    } else {
        Finding::new(
            "system",
            State::Warn,
            format!("macOS {version} is not among the tested ones, 10.15 to 27"),
        )
        .with_hint("after an import, compare a few conversations with Messages")
    }
}

fn check_clock(clock: &dyn Clock) -> Finding {
    let date = clock.now().timestamp().to_zoned(TimeZone::UTC).date();
    if PLAUSIBLE_YEARS.contains(&date.year()) {
        return Finding::new("clock", State::Ok, format!("{date} (UTC)"));
    }
    Finding::new("clock", State::Fail, format!("it says {date}")).with_hint(
        "set the clock: messages from the future are sorted by the time they are first seen",
    )
}

/// What is wrong with it ends the command before this.
fn check_config(around: &Surroundings) -> Finding {
    let detail = match &around.config {
        Some(file) => format!("{} can be read", file.display()),
        None => "no file, and none is needed".to_owned(),
    };
    Finding::new("config", State::Ok, detail)
}

fn check_messages(around: &Surroundings) -> Finding {
    let Some(chat_db) = &around.chat_db else {
        return Finding::new(
            "messages",
            State::Ok,
            "none of this computer's own; name a copy with `import --chat-db`",
        );
    };
    let shown = chat_db.display();
    match fs::File::open(chat_db) {
        Ok(_file) => Finding::new("messages", State::Ok, format!("{shown} can be read")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Finding::new("messages", State::Warn, format!("{shown} does not exist")).with_hint(
                "sign in to Messages on this Mac, or name a copy with `import --chat-db`",
            )
        }
        Err(error) => Finding::new(
            "messages",
            State::Fail,
            format!("{shown} cannot be read: {error}"),
        )
        .with_hint(
            "give your terminal (or footbridge) Full Disk Access in System Settings,\n\
             Privacy & Security, then open a new terminal and run `footbridge check`",
        ),
    }
}

fn check_data(data: &Path) -> Finding {
    let shown = data.display();
    let other_place = "name another place with `--data FILE`";
    let metadata = match fs::metadata(data) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return check_folder(data),
        Err(error) => {
            return Finding::new("archive", State::Fail, format!("{shown}: {error}"))
                .with_hint(other_place);
        }
    };
    if !metadata.is_file() {
        return Finding::new("archive", State::Fail, format!("{shown} is not a file"))
            .with_hint(other_place);
    }
    if let Err(error) = rustix::fs::access(data, Access::READ_OK | Access::WRITE_OK) {
        return Finding::new(
            "archive",
            State::Fail,
            format!("{shown} cannot be read and written: {error}"),
        )
        .with_hint(other_place);
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        return Finding::new(
            "archive",
            State::Warn,
            format!("{shown} is open to other users"),
        )
        .with_hint(format!("run `chmod 600 '{shown}'`"));
    }
    Finding::new("archive", State::Ok, shown.to_string())
}

/// For an archive that is not there yet: can it be made?
fn check_folder(data: &Path) -> Finding {
    let folder = existing_folder(data);
    match rustix::fs::access(&folder, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Finding::new(
            "archive",
            State::Ok,
            format!("{} will be made by the first import", data.display()),
        ),
        Err(error) => Finding::new(
            "archive",
            State::Fail,
            format!("{} cannot be written: {error}", folder.display()),
        )
        .with_hint("name another place with `--data FILE`"),
    }
}

fn check_space(around: &Surroundings) -> Finding {
    let folder = existing_folder(&around.data);
    let disk = match rustix::fs::statvfs(&folder) {
        Ok(disk) => disk,
        Err(error) => {
            return Finding::new(
                "space",
                State::Warn,
                format!("{} does not tell: {error}", folder.display()),
            );
        }
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let total = disk.f_blocks.saturating_mul(disk.f_frsize);
    let database = around
        .chat_db
        .as_deref()
        .and_then(|path| fs::metadata(path).ok())
        .map_or(0, |metadata| metadata.len());
    judge_space(
        free,
        around.free_floor.unwrap_or_else(|| usual_floor(total)),
        database,
    )
}

/// Sizes in bytes. The floor is the one below which intake stops (D8).
fn judge_space(free: u64, floor: u64, database: u64) -> Finding {
    let wanted = floor.saturating_add(database.saturating_mul(ARCHIVE_PER_DATABASE));
    let detail = format!("{} free", size(free));
    let hint = |needed| format!("make room: {} are needed", size(needed));
    if free < floor {
        Finding::new("space", State::Fail, detail).with_hint(hint(wanted))
    } else if free < wanted {
        Finding::new("space", State::Warn, detail).with_hint(hint(wanted))
    } else {
        Finding::new("space", State::Ok, detail)
    }
}

/// The closest folder above a file that exists.
fn existing_folder(file: &Path) -> PathBuf {
    file.ancestors()
        .skip(1)
        .map(|folder| {
            if folder.as_os_str().is_empty() {
                Path::new(".")
            } else {
                folder
            }
        })
        .find(|folder| folder.is_dir())
        .unwrap_or(Path::new("/"))
        .to_owned()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::base::time::AppleTime;
    use crate::base::time::FixedClock;

    fn mac(folder: &Path) -> Surroundings {
        Surroundings {
            config: None,
            platform: Platform::Mac,
            macos: Some("26.1".to_owned()),
            chat_db: Some(folder.join("chat.db")),
            data: folder.join("new/footbridge.redb"),
            free_floor: None,
        }
    }

    fn clock(text: &str) -> FixedClock {
        let at: Timestamp = text.parse().unwrap();
        FixedClock(AppleTime::from_timestamp(at))
    }

    fn states(findings: &[Finding]) -> Vec<(&'static str, State)> {
        findings.iter().map(|f| (f.check, f.state)).collect()
    }

    #[test]
    fn a_mac_with_messages_and_room_is_fine() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("chat.db"), "").unwrap();

        let findings = check(&mac(folder.path()), &clock("2026-11-21T10:00:00Z"));

        assert_eq!(
            states(&findings[..5]),
            [
                ("system", State::Ok),
                ("clock", State::Ok),
                ("config", State::Ok),
                ("messages", State::Ok),
                ("archive", State::Ok),
            ]
        );
        assert!(!folder.path().join("new").exists());
    }

    #[test]
    fn an_unknown_macos_is_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let mut around = mac(folder.path());

        for version in ["28.0", "unknown"] {
            around.macos = Some(version.to_owned());
            assert_eq!(check_system(&around).state, State::Warn, "{version}");
        }
        around.macos = Some("10.15.7".to_owned());
        assert_eq!(check_system(&around).state, State::Ok);
    }

    #[test]
    fn a_clock_that_was_never_set_fails() {
        let finding = check_clock(&clock("2001-01-01T00:00:00Z"));

        assert_eq!(finding.state, State::Fail);
        assert_eq!(finding.detail, "it says 2001-01-01");
    }

    #[test]
    fn a_mac_without_messages_is_a_warning() {
        let folder = tempfile::tempdir().unwrap();

        let finding = check_messages(&mac(folder.path()));

        assert_eq!(finding.state, State::Warn);
    }

    #[test]
    fn an_archive_that_others_can_read_is_a_warning_with_the_command() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("a.redb");
        fs::write(&data, "").unwrap();
        fs::set_permissions(&data, fs::Permissions::from_mode(0o644)).unwrap();

        let finding = check_data(&data);

        assert_eq!(finding.state, State::Warn);
        assert_eq!(
            finding.hint,
            Some(format!("run `chmod 600 '{}'`", data.display()))
        );
    }

    #[test]
    fn a_folder_in_place_of_the_archive_fails() {
        let folder = tempfile::tempdir().unwrap();

        assert_eq!(check_data(folder.path()).state, State::Fail);
    }

    #[test]
    fn an_archive_below_a_file_fails() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();

        let finding = check_data(&file.join("footbridge.redb"));

        assert_eq!(finding.state, State::Fail);
    }

    #[test]
    fn space_is_judged_by_the_floor_and_by_what_an_import_takes() {
        let gb = 1_000_000_000;

        let states = [
            judge_space(gb / 2, usual_floor(10 * gb), 0),
            judge_space(gb, usual_floor(100 * gb), 0),
            judge_space(5 * gb, usual_floor(100 * gb), 2 * gb),
            judge_space(50 * gb, usual_floor(100 * gb), 2 * gb),
        ]
        .map(|finding| finding.state);

        assert_eq!(states, [State::Fail, State::Fail, State::Warn, State::Ok]);
        assert_eq!(
            judge_space(gb, usual_floor(100 * gb), 0).hint.unwrap(),
            "make room: 2.0 GB are needed"
        );
    }

    #[test]
    fn a_relative_file_lies_in_the_current_folder() {
        assert_eq!(existing_folder(Path::new("a.redb")), Path::new("."));
        assert_eq!(
            existing_folder(Path::new("/no such folder/b/a.redb")),
            Path::new("/")
        );
    }
}
