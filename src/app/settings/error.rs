//! What can be wrong with a configuration, each with the place and what to write instead.

use std::io;
use std::path::PathBuf;

use crate::app::settings::keys::Key;
use crate::app::settings::keys::Origin;
use crate::base::error::Class;
use crate::base::error::Explain;

/// Why there is no configuration in force.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Neither a flag nor a variable names the archive, and there is no home folder to look in.
    #[error("cannot tell where the archive is: HOME is not set")]
    NoHome,
    /// The configuration file cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
    /// The configuration file is not TOML.
    #[error("{}:{line}: {what}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        what: String,
    },
    /// The configuration file sets what cannot be set.
    #[error("{}:{line}: there is no key `{name}`", path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key.
        name: String,
        /// The key that was probably meant.
        nearest: Option<String>,
    },
    /// The environment sets what cannot be set.
    #[error("the variable {name} sets nothing")]
    UnknownVariable {
        /// The variable.
        name: String,
        /// The variable that was probably meant.
        nearest: Option<String>,
    },
    /// A value is not what its key takes.
    #[error("{origin}: `{key}` is `{value}`, which is not {expected}")]
    Value {
        /// The key.
        key: Key,
        /// Where it was said.
        origin: Origin,
        /// What was said.
        value: String,
        /// What was expected.
        expected: &'static str,
    },
    /// Two keys say what cannot both be.
    #[error("{origin}: `{key}` {what}")]
    Contradiction {
        /// One of them.
        key: Key,
        /// Where it was said.
        origin: Origin,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Other computers could connect, and listen in on what is said.
    #[error("{origin}: `endpoint.listen` is `{listen}`, where others could read along")]
    Open {
        /// Where it was said.
        origin: Origin,
        /// The address.
        listen: std::net::SocketAddr,
    },
}

impl Explain for SettingsError {
    fn class(&self) -> Class {
        match self {
            Self::Read { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Class::Owner
            }
            Self::NoHome
            | Self::Read { .. }
            | Self::Syntax { .. }
            | Self::UnknownKey { .. }
            | Self::UnknownVariable { .. }
            | Self::Value { .. }
            | Self::Contradiction { .. }
            | Self::Open { .. } => Class::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoHome => "name the archive with `--data FILE`".to_owned(),
            Self::Read { .. } => "name another file with `--config FILE`".to_owned(),
            Self::UnknownKey {
                nearest: Some(nearest),
                ..
            }
            | Self::UnknownVariable {
                nearest: Some(nearest),
                ..
            } => {
                format!("did you mean `{nearest}`?")
            }
            Self::UnknownKey { nearest: None, .. } => {
                "`footbridge config` lists every key".to_owned()
            }
            Self::UnknownVariable { nearest: None, .. } => {
                "unset it; `footbridge config` lists every key, and FOOTBRIDGE_ENDPOINT_LISTEN\n\
                 sets `endpoint.listen`"
                    .to_owned()
            }
            Self::Value { key, .. } => format!("write for example {}", example(*key)),
            Self::Syntax { .. } | Self::Contradiction { .. } => return None,
            Self::Open { .. } => {
                "set `endpoint.tls = \"self-signed\"`, or name a certificate and its key;\n\
                 `--insecure` allows it as it is, for a network that you trust"
                    .to_owned()
            }
        };
        Some(hint)
    }
}

/// What a line of the configuration can look like.
fn example(key: Key) -> &'static str {
    match key {
        Key::Data => "`data = \"/var/lib/footbridge/footbridge.redb\"`",
        Key::Log => "`log = \"info\"`",
        Key::ChatDb => "`chat_db = \"~/Library/Messages/chat.db\"`",
        Key::Attachments => "`attachments = \"~/Library/Messages/Attachments\"`",
        Key::Region => "`region = \"DE\"`",
        Key::CloudGateway => "`gateway = \"http://127.0.0.1:8080\"`",
        Key::CloudHurry => "`hurry = \"20\"`",
        Key::CloudSystemRoots => "`system_roots = true`",
        Key::Listen => "`listen = \"127.0.0.1:8008\"`",
        Key::ServerName => "`server_name = \"mac-mini.example.org\"`",
        Key::User => "`user = \"owner\"`",
        Key::PublicUrl => "`public_url = \"https://messages.example.org\"`",
        Key::Tls => "`tls = \"self-signed\"`",
        Key::Certificate | Key::CertificateKey => {
            "`tls = { certificate = \"chain.pem\", key = \"key.pem\" }`"
        }
        Key::Insecure => "`insecure = true`",
        Key::AllowedOrigins => "`allowed_origins = [\"https://app.element.io\"]`",
        Key::LegacyMedia => "`legacy = \"loopback\"`",
        Key::MediaKeep => "`keep = \"all\"`",
        Key::MediaLimit => "`limit = \"5 GiB\"`",
        Key::MediaFreeFloor | Key::FreeFloor => "`free_floor = \"2 GB\"`",
    }
}
