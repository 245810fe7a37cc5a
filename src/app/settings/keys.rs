//! Every key that can be set: its name, what it is called in the environment, and which text comes closest to a wrong
//! one. What the values mean is said in `packaging/footbridge.toml`, which a test holds against this list.

use std::fmt;
use std::path::PathBuf;

/// One thing that can be set. Names of sections and keys are joined by dots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// `data`: the archive file.
    Data,
    /// `log`: how much to log.
    Log,
    /// `source.chat_db`: the Messages database to follow.
    ChatDb,
    /// `source.attachments`: the folder of its attachments.
    Attachments,
    /// `source.region`: the country of numbers without a country code.
    Region,
    /// `cloudkit.gateway`: the loopback iCloud to read instead of Apple's.
    CloudGateway,
    /// `cloudkit.hurry`: by how much waits are divided there.
    CloudHurry,
    /// `cloudkit.system_roots`: whether authorities count that only this computer trusts.
    CloudSystemRoots,
    /// `endpoint.listen`: where clients connect.
    Listen,
    /// `endpoint.server_name`: the part of Matrix ids after the colon.
    ServerName,
    /// `endpoint.user`: the part of the owner's Matrix id before it.
    User,
    /// `endpoint.public_url`: where clients reach it from elsewhere.
    PublicUrl,
    /// `endpoint.tls`: whether a certificate is made here.
    Tls,
    /// `endpoint.tls.certificate`: a file with a certificate chain.
    Certificate,
    /// `endpoint.tls.key`: the file with its key.
    CertificateKey,
    /// `endpoint.insecure`: whether others may connect without TLS.
    Insecure,
    /// `endpoint.allowed_origins`: pages on the Internet that may connect to this computer.
    AllowedOrigins,
    /// `media.legacy`: who gets media without a token.
    LegacyMedia,
    /// `media.keep`: which files of Messages in iCloud are kept.
    MediaKeep,
    /// `media.limit`: how much of them, at most.
    MediaLimit,
    /// `media.free_floor`: how much stays free on the disk when they are fetched.
    MediaFreeFloor,
    /// `storage.free_floor`: how much stays free on the archive's disk.
    FreeFloor,
}

impl Key {
    /// All of them, in the order of the configuration file.
    pub const ALL: [Self; 22] = [
        Self::Data,
        Self::Log,
        Self::ChatDb,
        Self::Attachments,
        Self::Region,
        Self::CloudGateway,
        Self::CloudHurry,
        Self::CloudSystemRoots,
        Self::Listen,
        Self::ServerName,
        Self::User,
        Self::PublicUrl,
        Self::Tls,
        Self::Certificate,
        Self::CertificateKey,
        Self::Insecure,
        Self::AllowedOrigins,
        Self::LegacyMedia,
        Self::MediaKeep,
        Self::MediaLimit,
        Self::MediaFreeFloor,
        Self::FreeFloor,
    ];

    /// Its name, with that of its section.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Log => "log",
            Self::ChatDb => "source.chat_db",
            Self::Attachments => "source.attachments",
            Self::Region => "source.region",
            Self::CloudGateway => "cloudkit.gateway",
            Self::CloudHurry => "cloudkit.hurry",
            Self::CloudSystemRoots => "cloudkit.system_roots",
            Self::Listen => "endpoint.listen",
            Self::ServerName => "endpoint.server_name",
            Self::User => "endpoint.user",
            Self::PublicUrl => "endpoint.public_url",
            Self::Tls => "endpoint.tls",
            Self::Certificate => "endpoint.tls.certificate",
            Self::CertificateKey => "endpoint.tls.key",
            Self::Insecure => "endpoint.insecure",
            Self::AllowedOrigins => "endpoint.allowed_origins",
            Self::LegacyMedia => "media.legacy",
            Self::MediaKeep => "media.keep",
            Self::MediaLimit => "media.limit",
            Self::MediaFreeFloor => "media.free_floor",
            Self::FreeFloor => "storage.free_floor",
        }
    }

    /// The key of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.name() == name)
    }

    /// The environment variable that sets it: `FOOTBRIDGE_ENDPOINT_LISTEN`.
    pub fn variable(self) -> String {
        let name = self.name().replace('.', "_").to_ascii_uppercase();
        format!("{VARIABLES}{name}")
    }

    /// The key that a variable sets.
    pub fn of_variable(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.variable() == name)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How the name of every variable of ours begins.
const VARIABLES: &str = "FOOTBRIDGE_";

/// Whether a variable is meant to set a key: it names one of our sections. Others that begin as ours do belong to
/// tests and benchmarks.
pub(super) fn is_meant(variable: &str) -> bool {
    let Some(name) = variable.strip_prefix(VARIABLES) else {
        return false;
    };
    Key::ALL.iter().any(|key| {
        let section = key.name().split_once('.').map(|(section, _)| section);
        section.is_some_and(|section| {
            let section = section.to_ascii_uppercase();
            let rest = name.strip_prefix(section.as_str());
            rest.is_some_and(|rest| rest.starts_with('_'))
        })
    })
}

/// Where a value was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: it is what it is without being said.
    Default,
    /// In the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// In the environment.
    Variable(String),
    /// On the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// The candidate that somebody who wrote `wrong` probably meant.
pub(super) fn nearest<T: AsRef<str>>(
    wrong: &str,
    candidates: impl Iterator<Item = T>,
) -> Option<T> {
    let scored = candidates.map(|name| (distance(wrong, name.as_ref()), name));
    let best = scored.min_by_key(|(distance, _)| *distance);
    // A third of the letters may be wrong: further away it is no longer a slip.
    best.filter(|(distance, _)| *distance <= wrong.chars().count().max(3) / 3)
        .map(|(_, name)| name)
}

/// How many letters are to be put in, taken out or replaced (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in (1..).zip(one.chars()) {
        let mut left = line;
        let mut diagonal = line - 1;
        let mut next = vec![line];
        for (above, candidate) in row.iter().skip(1).zip(&other) {
            let replaced = diagonal + usize::from(letter != *candidate);
            left = replaced.min(left + 1).min(above + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::Key;
    use super::distance;
    use super::is_meant;
    use super::nearest;

    #[test]
    fn every_key_has_its_variable() {
        assert_eq!(Key::Data.variable(), "FOOTBRIDGE_DATA");
        assert_eq!(
            Key::Certificate.variable(),
            "FOOTBRIDGE_ENDPOINT_TLS_CERTIFICATE"
        );
        for key in Key::ALL {
            assert_eq!(Key::named(key.name()), Some(key));
            assert_eq!(Key::of_variable(&key.variable()), Some(key));
        }
    }

    #[test]
    fn a_variable_is_meant_if_it_names_a_section() {
        let names = [
            "FOOTBRIDGE_ENDPOINT_LISEN",
            "FOOTBRIDGE_MEDIA_",
            "FOOTBRIDGE_BENCH_FOLDER",
            "FOOTBRIDGE_SOURCES",
            "HOME",
        ];

        assert_eq!(names.map(is_meant), [true, true, false, false, false]);
    }

    #[test]
    fn distances_count_letters() {
        assert_eq!(distance("listen", "listen"), 0);
        assert_eq!(distance("lisen", "listen"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn a_slip_is_near_and_another_word_is_not() {
        let names = || Key::ALL.iter().map(|key| key.name());

        assert_eq!(nearest("endpoint.lisen", names()), Some("endpoint.listen"));
        assert_eq!(nearest("banana", names()), None);
    }
}
