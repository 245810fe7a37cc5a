//! What was said about each key, by whom: flags over the environment over the file. Values are only sorted by their
//! kind here; what they mean is `Settings`'s.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use toml::Spanned;
use toml::de::DeTable;
use toml::de::DeValue;

use crate::app::settings::error::SettingsError;
use crate::app::settings::keys::Key;
use crate::app::settings::keys::Origin;
use crate::app::settings::keys::is_meant;
use crate::app::settings::keys::nearest;

/// A configuration file larger than this is something else, bytes.
const FILE_BYTES: u64 = 1 << 20;

/// The sections, as the file begins them.
const SECTIONS: [&str; 6] = [
    "[source]",
    "[cloudkit]",
    "[endpoint]",
    "[endpoint.tls]",
    "[media]",
    "[storage]",
];

/// A value as it was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Raw {
    Text(String),
    Switch(bool),
    List(Vec<String>),
}

/// A value and where it was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) raw: Raw,
    pub(super) origin: Origin,
}

/// What was said. Later words replace earlier ones.
#[derive(Default)]
pub(super) struct Layers(pub(super) BTreeMap<Key, Said>);

impl Layers {
    /// Reads a configuration file.
    pub(super) fn add_file(&mut self, path: &Path) -> Result<(), SettingsError> {
        let text = read(path).map_err(|source| SettingsError::Read {
            path: path.to_owned(),
            source,
        })?;
        let table = DeTable::parse(&text).map_err(|error| SettingsError::Syntax {
            path: path.to_owned(),
            line: line_of(&text, error.span().map_or(0, |span| span.start)),
            what: error.message().to_owned(),
        })?;
        File { path, text: &text }.add(self, "", table.get_ref())
    }

    /// Takes what the variables say.
    pub(super) fn add_variables(
        &mut self,
        variables: &BTreeMap<String, String>,
    ) -> Result<(), SettingsError> {
        for (name, value) in variables {
            if let Some(key) = Key::of_variable(name) {
                let raw = Raw::Text(value.clone());
                let origin = Origin::Variable(name.clone());
                self.0.insert(key, Said { raw, origin });
            } else if is_meant(name) {
                return Err(SettingsError::UnknownVariable {
                    name: name.clone(),
                    nearest: nearest(name, Key::ALL.into_iter().map(Key::variable)),
                });
            }
        }
        Ok(())
    }

    /// Takes what a flag says, if it was given.
    pub(super) fn add_flag(&mut self, key: Key, flag: &'static str, raw: Option<Raw>) {
        if let Some(raw) = raw {
            let origin = Origin::Flag(flag);
            self.0.insert(key, Said { raw, origin });
        }
    }
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn add(
        &self,
        layers: &mut Layers,
        within: &str,
        table: &DeTable<'_>,
    ) -> Result<(), SettingsError> {
        for (name, value) in table {
            let line = line_of(self.text, name.span().start);
            let name = match within {
                "" => name.get_ref().to_string(),
                within => format!("{within}.{}", name.get_ref()),
            };
            if let DeValue::Table(below) = value.get_ref() {
                let section = format!("{name}.");
                if Key::ALL.iter().any(|key| key.name().starts_with(&section)) {
                    self.add(layers, &name, below)?;
                    continue;
                }
            }
            let Some(key) = Key::named(&name) else {
                return Err(self.unknown(line, name));
            };
            let origin = Origin::File {
                path: self.path.to_owned(),
                line,
            };
            let raw = raw(value).ok_or_else(|| SettingsError::Value {
                key,
                origin: origin.clone(),
                value: self.text.get(value.span()).unwrap_or_default().to_owned(),
                expected: "a text in quotes, true, false, or a list of texts",
            })?;
            layers.0.insert(key, Said { raw, origin });
        }
        Ok(())
    }

    fn unknown(&self, line: usize, name: String) -> SettingsError {
        SettingsError::UnknownKey {
            path: self.path.to_owned(),
            line,
            nearest: nearest(&name, Key::ALL.iter().map(|key| key.name()).chain(SECTIONS))
                .map(str::to_owned),
            name,
        }
    }
}

fn raw(value: &Spanned<DeValue<'_>>) -> Option<Raw> {
    let value = value.get_ref();
    if let Some(list) = value.as_array() {
        let texts = list
            .iter()
            .map(|text| text.get_ref().as_str().map(str::to_owned));
        return texts.collect::<Option<_>>().map(Raw::List);
    }
    let text = value.as_str().map(|text| Raw::Text(text.to_owned()));
    text.or_else(|| value.as_bool().map(Raw::Switch))
}

fn read(path: &Path) -> io::Result<String> {
    let size = fs::metadata(path)?.len();
    if size > FILE_BYTES {
        let what = format!("{size} bytes are more than a configuration has");
        return Err(io::Error::other(what));
    }
    fs::read_to_string(path)
}

/// The line of a byte, from 1.
fn line_of(text: &str, at: usize) -> usize {
    let before = text.bytes().take(at);
    before.filter(|byte| *byte == b'\n').count() + 1
}
