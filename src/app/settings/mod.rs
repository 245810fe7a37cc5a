//! The configuration in force: one TOML file, environment variables, flags, and what holds without any of them. Every
//! value remembers where it was said. Nothing is opened here but the file itself.
//!
//! | said by | over | |
//! |---|---|---|
//! | a flag | everything | `--listen` |
//! | a variable | file and default | `FOOTBRIDGE_ENDPOINT_LISTEN` sets `endpoint.listen` |
//! | the file | the default | `--config`, `FOOTBRIDGE_CONFIG`, else the first of the platform's places |
//!
//! Relative paths are those of the working directory, in the file those of its folder; `~/` is the home folder.

mod error;
mod keys;
mod layers;
mod values;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::Path;
use std::path::PathBuf;

use serde::Serialize;
use tracing::level_filters::LevelFilter;

use crate::app::config::Environment;
use crate::app::config::Platform;
use crate::app::settings::layers::Layers;
use crate::app::settings::layers::Raw;
use crate::app::settings::values::Reader;
use crate::app::settings::values::written_size;
use crate::source::cloudkit::Gateway;

pub use crate::deliver::endpoint::LegacyMedia;
use crate::ingest::assets;
use crate::ingest::assets::Keep;
pub use error::SettingsError;
pub use keys::Key;
pub use keys::Origin;
pub(crate) use values::host_name;

/// Where clients connect unless something else is said: this computer alone.
pub const LISTEN: &str = "127.0.0.1:8008";

/// The owner's name at the endpoint unless something else is said.
pub const USER: &str = "owner";

/// What the command line says over everything else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--data`.
    pub data: Option<PathBuf>,
    /// `--chat-db`.
    pub chat_db: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<String>,
    /// `--server-name`.
    pub server_name: Option<String>,
    /// `--insecure`.
    pub insecure: bool,
}

/// How the endpoint proves who it is and keeps others from listening in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Not at all.
    Off,
    /// With a certificate that footbridge makes.
    SelfSigned,
    /// With the owner's.
    Files {
        /// The chain, PEM.
        certificate: PathBuf,
        /// Its key, PEM.
        key: PathBuf,
    },
}

/// How clients reach the endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSettings {
    /// Address and port.
    pub listen: SocketAddr,
    /// The part of Matrix ids after the colon; `None` for the archive's, or the computer's name for a new one.
    pub server_name: Option<String>,
    /// The part of the owner's id before it; `None` for the archive's, or [`USER`] for a new one.
    pub user: Option<String>,
    /// Where clients reach it from elsewhere, without a slash at the end.
    pub public_url: Option<String>,
    /// How it keeps others from listening in.
    pub tls: Tls,
    /// Whether others may connect without.
    pub insecure: bool,
    /// Pages of other sites that may connect to this computer.
    pub allowed_origins: Vec<String>,
}

impl EndpointSettings {
    /// The owner's name, for a new archive.
    pub fn user_name(&self) -> &str {
        self.user.as_deref().unwrap_or(USER)
    }
}

/// How Messages in iCloud is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloudSettings {
    /// Which iCloud: Apple's unless a loopback one is named.
    pub gateway: Gateway,
    /// The loopback one as it was named.
    pub url: Option<String>,
    /// By how much waits are divided there (D35).
    pub hurry: Option<NonZeroU32>,
    /// Whether authorities count that only this computer trusts.
    pub system_roots: bool,
}

/// The configuration in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The configuration file, if there is one.
    pub file: Option<PathBuf>,
    /// The archive.
    pub data: PathBuf,
    /// How much to log.
    pub log: LevelFilter,
    /// The Messages database to follow; this Mac's own unless another is named.
    pub chat_db: Option<PathBuf>,
    /// Where its attachments were copied to.
    pub attachments: Option<PathBuf>,
    /// The country of numbers without a country code, two letters.
    pub region: Option<String>,
    /// How Messages in iCloud is reached.
    pub cloud: CloudSettings,
    /// How clients reach the endpoint.
    pub endpoint: EndpointSettings,
    /// Who gets media without a token.
    pub legacy_media: LegacyMedia,
    /// How files of Messages in iCloud are fetched, and which are kept.
    pub fetch: assets::Options,
    /// Free bytes of the archive's disk below which nothing is written; `None` for the usual floor (D8).
    pub free_floor: Option<u64>,
    origins: BTreeMap<Key, Origin>,
}

/// One key of the configuration in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its name, with that of its section.
    pub key: &'static str,
    /// Its value; `None` if it has none.
    pub value: Option<String>,
    /// Where it was said: `default`, a file with a line, a variable, a flag.
    pub origin: String,
}

impl Settings {
    /// The configuration in force.
    ///
    /// # Errors
    ///
    /// [`SettingsError`], with the place of what is wrong.
    pub fn load(
        flags: &Flags,
        environment: &Environment,
        platform: Platform,
    ) -> Result<Self, SettingsError> {
        let mut layers = Layers::default();
        let named = flags.config.as_ref().or(environment.config.as_ref());
        let file = match named {
            Some(file) => Some(file.clone()),
            None => environment
                .config_files(platform)
                .into_iter()
                .find(|file| file.exists()),
        };
        if let Some(file) = &file {
            layers.add_file(file)?;
        }
        layers.add_variables(&environment.variables)?;
        let path = |path: &Option<PathBuf>| {
            let path = path.as_ref();
            path.map(|path| Raw::Text(path.display().to_string()))
        };
        let text = |text: &Option<String>| text.clone().map(Raw::Text);
        layers.add_flag(Key::Data, "--data", path(&flags.data));
        layers.add_flag(Key::ChatDb, "--chat-db", path(&flags.chat_db));
        layers.add_flag(Key::Listen, "--listen", text(&flags.listen));
        layers.add_flag(Key::ServerName, "--server-name", text(&flags.server_name));
        let insecure = flags.insecure.then_some(Raw::Switch(true));
        layers.add_flag(Key::Insecure, "--insecure", insecure);
        Reader::new(layers, environment, platform).settings(file)
    }

    /// What holds for an archive when nothing is said: for one that is not the owner's, whose configuration is none of it.
    ///
    /// # Errors
    ///
    /// As [`Self::load`]; a path that is empty.
    pub fn without_words(data: &Path) -> Result<Self, SettingsError> {
        let mut layers = Layers::default();
        let data = Raw::Text(data.display().to_string());
        layers.add_flag(Key::Data, "--data", Some(data));
        Reader::new(layers, &Environment::default(), Platform::Other).settings(None)
    }

    /// Where a key's value was said.
    pub fn origin(&self, key: Key) -> Origin {
        self.origins.get(&key).cloned().unwrap_or(Origin::Default)
    }

    /// Every key with its value and where that was said, in the order of the configuration file.
    pub fn list(&self) -> Vec<Listed> {
        let list = Key::ALL.into_iter().map(|key| Listed {
            key: key.name(),
            value: self.shown(key),
            origin: self.origin(key).to_string(),
        });
        list.collect()
    }

    /// A value as text.
    fn shown(&self, key: Key) -> Option<String> {
        let path = |path: &Path| path.display().to_string();
        let endpoint = &self.endpoint;
        match key {
            Key::Data => Some(path(&self.data)),
            Key::Log => Some(self.log.to_string()),
            Key::ChatDb => self.chat_db.as_deref().map(path),
            Key::Attachments => self.attachments.as_deref().map(path),
            Key::Region => self.region.clone(),
            Key::CloudGateway => self.cloud.url.clone(),
            Key::CloudHurry => self.cloud.hurry.map(|factor| factor.to_string()),
            Key::CloudSystemRoots => Some(self.cloud.system_roots.to_string()),
            Key::Listen => Some(endpoint.listen.to_string()),
            Key::ServerName => endpoint.server_name.clone(),
            Key::User => Some(endpoint.user_name().to_owned()),
            Key::PublicUrl => endpoint.public_url.clone(),
            Key::Tls => match endpoint.tls {
                Tls::Off => Some("off".to_owned()),
                Tls::SelfSigned => Some("self-signed".to_owned()),
                Tls::Files { .. } => None,
            },
            Key::Certificate => match &endpoint.tls {
                Tls::Files { certificate, .. } => Some(path(certificate)),
                Tls::Off | Tls::SelfSigned => None,
            },
            Key::CertificateKey => match &endpoint.tls {
                Tls::Files { key, .. } => Some(path(key)),
                Tls::Off | Tls::SelfSigned => None,
            },
            Key::Insecure => Some(endpoint.insecure.to_string()),
            Key::AllowedOrigins => {
                let origins = &endpoint.allowed_origins;
                (!origins.is_empty()).then(|| origins.join(", "))
            }
            Key::LegacyMedia => Some(match self.legacy_media {
                LegacyMedia::Off => "off".to_owned(),
                LegacyMedia::Loopback => "loopback".to_owned(),
            }),
            Key::MediaKeep => Some(match self.fetch.keep {
                Keep::None => "none".to_owned(),
                Keep::Recent => "recent".to_owned(),
                Keep::All => "all".to_owned(),
            }),
            Key::MediaLimit => Some(written_size(self.fetch.limit_bytes)),
            Key::MediaFreeFloor => Some(written_size(self.fetch.free_floor)),
            Key::FreeFloor => self.free_floor.map(written_size),
        }
    }
}

#[cfg(test)]
mod tests;
