//! From what was said to what it means: parses each value, and looks whether they go together.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use tracing::level_filters::LevelFilter;

use crate::app::config::Environment;
use crate::app::config::Platform;
use crate::app::settings::CloudSettings;
use crate::app::settings::EndpointSettings;
use crate::app::settings::Key;
use crate::app::settings::LISTEN;
use crate::app::settings::LegacyMedia;
use crate::app::settings::Origin;
use crate::app::settings::Settings;
use crate::app::settings::SettingsError;
use crate::app::settings::Tls;
use crate::app::settings::layers::Layers;
use crate::app::settings::layers::Raw;
use crate::app::settings::layers::Said;
use crate::base::numbers::counted;
use crate::ingest::assets;
use crate::ingest::assets::Keep;
use crate::model::region::Region;
use crate::source::cloudkit::Gateway;

/// A Matrix id has 255 bytes at most, and needs room for the part before the colon.
const SERVER_NAME_BYTES: usize = 200;

/// The part of the owner's id before the colon, bytes.
const USER_BYTES: usize = 40;

/// How sizes are written.
const SIZE: &str = "a size, such as `2 GB` or `512 MiB`";

/// Reads what was said.
pub(super) struct Reader<'a> {
    said: BTreeMap<Key, Said>,
    environment: &'a Environment,
    platform: Platform,
}

impl<'a> Reader<'a> {
    pub(super) fn new(layers: Layers, environment: &'a Environment, platform: Platform) -> Self {
        Self {
            said: layers.0,
            environment,
            platform,
        }
    }

    pub(super) fn settings(self, file: Option<PathBuf>) -> Result<Settings, SettingsError> {
        let data = match self.path(Key::Data)? {
            Some(data) => data,
            None => self
                .environment
                .data_file(self.platform)
                .ok_or(SettingsError::NoHome)?,
        };
        let chat_db = self.path(Key::ChatDb)?;
        Ok(Settings {
            file,
            data,
            log: self
                .value(Key::Log, "off, error, warn, info, debug or trace", level)?
                .unwrap_or(LevelFilter::WARN),
            chat_db: chat_db.or_else(|| self.environment.messages_database(self.platform)),
            attachments: self.path(Key::Attachments)?,
            region: self.value(
                Key::Region,
                "a country in two letters, such as `US`",
                region,
            )?,
            cloud: self.cloud()?,
            endpoint: self.endpoint()?,
            legacy_media: self
                .value(Key::LegacyMedia, "off or loopback", legacy_media)?
                .unwrap_or(LegacyMedia::Off),
            fetch: self.fetch()?,
            free_floor: self.value(Key::FreeFloor, SIZE, size)?,
            origins: self
                .said
                .into_iter()
                .map(|(key, said)| (key, said.origin))
                .collect(),
        })
    }

    fn fetch(&self) -> Result<assets::Options, SettingsError> {
        let usual = assets::Options::default();
        Ok(assets::Options {
            keep: self
                .value(Key::MediaKeep, "none, recent or all", keep)?
                .unwrap_or(usual.keep),
            limit_bytes: self
                .value(Key::MediaLimit, SIZE, size)?
                .unwrap_or(usual.limit_bytes),
            free_floor: self
                .value(Key::MediaFreeFloor, SIZE, size)?
                .unwrap_or(usual.free_floor),
            ..usual
        })
    }

    fn cloud(&self) -> Result<CloudSettings, SettingsError> {
        let expected = "the address of an iCloud on this computer, such as `http://127.0.0.1:8080`";
        let url = self.value(Key::CloudGateway, expected, |text| {
            let gateway = Gateway::loopback(text).ok()?;
            Some((text.to_owned(), gateway))
        })?;
        let factor = "a whole number from 1 on, in quotes";
        let hurry = self.value(Key::CloudHurry, factor, |text| text.parse().ok())?;
        let (url, gateway) = match url {
            Some((url, gateway)) => (Some(url), gateway),
            None if hurry.is_some() => {
                return Err(SettingsError::Contradiction {
                    key: Key::CloudHurry,
                    origin: self.origin(Key::CloudHurry),
                    what: "needs `cloudkit.gateway` too: Apple is never hurried",
                });
            }
            None => (None, Gateway::apple()),
        };
        Ok(CloudSettings {
            gateway: match hurry {
                Some(factor) => gateway.hurried(factor),
                None => gateway,
            },
            url,
            hurry,
            system_roots: self.switch(Key::CloudSystemRoots)?,
        })
    }

    fn endpoint(&self) -> Result<EndpointSettings, SettingsError> {
        let address = "an address and a port, such as `127.0.0.1:8008`";
        let listen = self.value(Key::Listen, address, |text| text.parse().ok())?;
        let listen = match listen {
            Some(listen) => listen,
            None => LISTEN.parse().unwrap_or(([127, 0, 0, 1], 8008).into()),
        };
        let endpoint = EndpointSettings {
            listen,
            server_name: self.value(
                Key::ServerName,
                "a host name, with a port or without",
                server_name,
            )?,
            user: self.value(Key::User, "a name of a-z, 0-9, `.`, `_`, `-`", user)?,
            public_url: self.value(
                Key::PublicUrl,
                "an address such as `https://host:port`",
                origin,
            )?,
            tls: self.tls()?,
            insecure: self.switch(Key::Insecure)?,
            allowed_origins: self.origins()?,
        };
        let is_open = !listen.ip().is_loopback() && endpoint.tls == Tls::Off && !endpoint.insecure;
        if is_open {
            return Err(SettingsError::Open {
                origin: self.origin(Key::Listen),
                listen,
            });
        }
        Ok(endpoint)
    }

    fn tls(&self) -> Result<Tls, SettingsError> {
        let tls = self.value(Key::Tls, "off or self-signed", |text| match text {
            "off" => Some(Tls::Off),
            "self-signed" => Some(Tls::SelfSigned),
            _ => None,
        })?;
        let certificate = self.path(Key::Certificate)?;
        let key = self.path(Key::CertificateKey)?;
        let contradiction = |key, what| SettingsError::Contradiction {
            key,
            origin: self.origin(key),
            what,
        };
        match (tls, certificate, key) {
            (tls, None, None) => Ok(tls.unwrap_or(Tls::Off)),
            (None, Some(certificate), Some(key)) => Ok(Tls::Files { certificate, key }),
            (None, Some(_), None) => Err(contradiction(
                Key::Certificate,
                "needs `endpoint.tls.key` too",
            )),
            (None, None, Some(_)) => Err(contradiction(
                Key::CertificateKey,
                "needs `endpoint.tls.certificate` too",
            )),
            (Some(_), ..) => Err(contradiction(
                Key::Tls,
                "is set although a certificate is named",
            )),
        }
    }

    fn origins(&self) -> Result<Vec<String>, SettingsError> {
        let key = Key::AllowedOrigins;
        let Some(said) = self.said.get(&key) else {
            return Ok(Vec::new());
        };
        let texts: Vec<&str> = match &said.raw {
            Raw::List(list) => list.iter().map(String::as_str).collect(),
            Raw::Text(text) => text
                .split(',')
                .map(str::trim)
                .filter(|text| !text.is_empty())
                .collect(),
            Raw::Switch(_) => vec![""],
        };
        let expected = "a list of addresses such as `https://app.element.io`";
        let parsed = texts
            .into_iter()
            .map(|text| origin(text).ok_or_else(|| wrong(key, said, expected)));
        parsed.collect()
    }

    fn switch(&self, key: Key) -> Result<bool, SettingsError> {
        match self.said.get(&key) {
            None => Ok(false),
            Some(said) => match &said.raw {
                Raw::Switch(on) => Ok(*on),
                Raw::Text(text) if text == "true" => Ok(true),
                Raw::Text(text) if text == "false" => Ok(false),
                Raw::Text(_) | Raw::List(_) => Err(wrong(key, said, "true or false")),
            },
        }
    }

    fn path(&self, key: Key) -> Result<Option<PathBuf>, SettingsError> {
        let Some(path) = self.value(key, "a path", |text| Some(PathBuf::from(text)))? else {
            return Ok(None);
        };
        let Origin::File { path: file, .. } = self.origin(key) else {
            // A shell has opened `~` already.
            return Ok(Some(path));
        };
        let home = self.environment.home.as_deref();
        let absolute = match (path.strip_prefix("~"), home) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => file.parent().unwrap_or(Path::new("")).join(path),
        };
        Ok(Some(absolute))
    }

    /// The value of a key whose values are texts that are not empty.
    fn value<T>(
        &self,
        key: Key,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, SettingsError> {
        let Some(said) = self.said.get(&key) else {
            return Ok(None);
        };
        let parsed = match &said.raw {
            Raw::Text(text) if !text.is_empty() => parse(text),
            Raw::Text(_) | Raw::Switch(_) | Raw::List(_) => None,
        };
        match parsed {
            Some(value) => Ok(Some(value)),
            None => Err(wrong(key, said, expected)),
        }
    }

    fn origin(&self, key: Key) -> Origin {
        let said = self.said.get(&key);
        said.map_or(Origin::Default, |said| said.origin.clone())
    }
}

fn wrong(key: Key, said: &Said, expected: &'static str) -> SettingsError {
    let value = match &said.raw {
        Raw::Text(text) => text.clone(),
        Raw::Switch(on) => on.to_string(),
        Raw::List(list) => list.join(", "),
    };
    SettingsError::Value {
        key,
        origin: said.origin.clone(),
        value,
        expected,
    }
}

fn level(text: &str) -> Option<LevelFilter> {
    match text {
        "off" | "error" | "warn" | "info" | "debug" | "trace" => text.parse().ok(),
        _ => None,
    }
}

fn region(text: &str) -> Option<String> {
    Region::parse(text).map(|region| region.country().to_owned())
}

/// The units of sizes, bytes.
const UNITS: [(&str, u64); 8] = [
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// A size in bytes: a whole number and a unit, with a space between or without.
fn size(text: &str) -> Option<u64> {
    let end = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(end)?;
    let unit = unit.trim_start();
    let (_, unit) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*unit)
}

/// A size as [`size`] reads it, in the largest unit of which it is a whole number: rounded it would be another size.
pub(super) fn written_size(bytes: u64) -> String {
    let whole = UNITS.iter().filter(|(_, unit)| bytes.is_multiple_of(*unit));
    match whole.max_by_key(|(_, unit)| *unit) {
        Some((name, unit)) => format!("{} {name}", bytes / unit),
        None => counted(bytes, "byte"),
    }
}

fn keep(text: &str) -> Option<Keep> {
    match text {
        "none" => Some(Keep::None),
        "recent" => Some(Keep::Recent),
        "all" => Some(Keep::All),
        _ => None,
    }
}

fn legacy_media(text: &str) -> Option<LegacyMedia> {
    match text {
        "off" => Some(LegacyMedia::Off),
        "loopback" => Some(LegacyMedia::Loopback),
        _ => None,
    }
}

/// A server name in the form in which ids have it: lower case, since ids are compared as they stand.
///
/// Source: `[mx v1.12] Appendices, Server name`.
pub(super) fn server_name(text: &str) -> Option<String> {
    let name = text.to_ascii_lowercase();
    let (host, port) = match name.strip_prefix('[') {
        Some(rest) => {
            let (address, rest) = rest.split_once(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            (
                "ipv6",
                rest.strip_prefix(':')
                    .or_else(|| rest.is_empty().then_some("0"))?,
            )
        }
        None => name.split_once(':').unwrap_or((&name, "0")),
    };
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    let is_name = !host.is_empty() && host.bytes().all(is_host);
    let is_port = port.parse::<u16>().is_ok() && port.bytes().all(|byte| byte.is_ascii_digit());
    (is_name && is_port && name.len() <= SERVER_NAME_BYTES).then_some(name)
}

/// The name of this computer, for an archive that is new; it is fixed from then on.
pub(crate) fn host_name() -> String {
    let system = rustix::system::uname();
    let name = system.nodename().to_string_lossy();
    server_name(&name).unwrap_or_else(|| "localhost".to_owned())
}

fn user(text: &str) -> Option<String> {
    let is_part = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-')
    };
    (text.len() <= USER_BYTES && text.bytes().all(is_part)).then(|| text.to_owned())
}

/// Scheme, host and port of a site.
fn origin(text: &str) -> Option<String> {
    let text = text.strip_suffix('/').unwrap_or(text).to_ascii_lowercase();
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))?;
    server_name(host).map(|_host| text)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_size_is_written_as_it_is_read() {
        for written in ["3 kB", "5 GiB", "1536 MiB", "2 GB", "1 TB"] {
            assert_eq!(super::written_size(super::size(written).unwrap()), written);
        }
    }

    #[test]
    fn a_size_has_a_unit() {
        let sizes = [
            "2 GB",
            "512MiB",
            "0 kB",
            "7",
            "GB",
            "1.5 GB",
            "99999999999 TB",
        ]
        .map(super::size);

        assert_eq!(
            sizes,
            [
                Some(2_000_000_000),
                Some(512 << 20),
                Some(0),
                None,
                None,
                None,
                None
            ]
        );
    }

    use super::origin;
    use super::server_name;
    use super::user;

    #[test]
    fn a_server_name_is_a_host_with_a_port_or_without() {
        for name in [
            "localhost",
            "mac-mini.local:8448",
            "192.0.2.1",
            "[2001:db8::1]:8008",
            "[::1]",
        ] {
            assert_eq!(server_name(name).as_deref(), Some(name));
        }
        assert_eq!(server_name("Mac.Local").as_deref(), Some("mac.local"));
        for name in [
            "", ":8008", "a b", "a:b", "a:70000", "a:+1", "[x]", "[::1]8", "a/b", "\u{e4}",
        ] {
            assert_eq!(server_name(name), None, "{name}");
        }
        assert_eq!(server_name(&"a".repeat(201)), None);
    }

    #[test]
    fn a_user_is_the_first_part_of_an_id() {
        assert_eq!(user("a.b_c-1").as_deref(), Some("a.b_c-1"));
        for name in ["Owner", "a b", "@owner", "a:b", &"a".repeat(41)] {
            assert_eq!(user(name), None, "{name}");
        }
    }

    #[test]
    fn an_origin_has_no_path() {
        assert_eq!(
            origin("https://App.example.org/").as_deref(),
            Some("https://app.example.org")
        );
        assert_eq!(
            origin("http://[::1]:8008").as_deref(),
            Some("http://[::1]:8008")
        );
        for text in ["app.example.org", "https://", "https://a/b", "ftp://a", "*"] {
            assert_eq!(origin(text), None, "{text}");
        }
    }
}
