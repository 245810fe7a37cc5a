//! The keys of a zone, and records opened with them.
//!
//! | a record has | its keys |
//! |---|---|
//! | a protection of its own | in that, for the zone's keys |
//! | `pcsKey` | the zone's record keys, if the id of one of them begins so |
//! | neither | none: the record stays closed |
//!
//! Which key of those a field is encrypted with, the field says itself.
//!
//! Source: facts of CloudKit, 3.2, 4.6 and 4.8.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;

use crate::apple::envelope;
use crate::apple::envelope::EnvelopeError;
use crate::apple::envelope::KeyRing;
use crate::apple::hex;
use crate::apple::key::PrivateKey;
use crate::apple::protection;
use crate::apple::protection::Opened;
use crate::apple::protection::ProtectionError;
use crate::base::limits;
use crate::codec::cloudkit::Asset;
use crate::codec::cloudkit::EncryptedValue;
use crate::codec::cloudkit::Field;
use crate::codec::cloudkit::ProtectionInfo;
use crate::codec::cloudkit::Record;
use crate::codec::cloudkit::SealedField;
use crate::codec::cloudkit::Value;
use crate::codec::cloudkit::ValueKind;
use crate::codec::cloudkit::Zone;

/// The keys of one zone. They may be kept until the zone is reset, its keys change or a key is missing.
#[derive(Clone, Debug)]
pub struct ZoneKeys {
    zone: String,
    private: Vec<PrivateKey>,
    records: KeyRing,
    /// Protections that were signed by somebody else than the key that opened them: how many, for a warning.
    foreign_signers: usize,
}

impl ZoneKeys {
    /// Opens a zone, as the server describes it, with the identities of a keychain.
    ///
    /// # Errors
    /// [`ZoneError`].
    pub fn open<'k>(
        zone: &Zone,
        identities: impl IntoIterator<Item = &'k PrivateKey>,
    ) -> Result<Self, ZoneError> {
        let name = zone.identifier.as_ref().and_then(|id| id.name());
        let name = name.ok_or(ZoneError::NoName)?;
        let own = bytes(zone.protection.as_ref()).ok_or(ZoneError::NoProtection)?;
        let opened = protection::open(own, identities).map_err(ZoneError::Zone)?;
        let records = bytes(zone.record_protection.as_ref())
            .map(|bytes| protection::open(bytes, &opened.private))
            .transpose()
            .map_err(ZoneError::Records)?;
        let is_foreign = |opened: &Opened| usize::from(opened.foreign_signer.is_some());
        Ok(Self {
            zone: name.to_owned(),
            foreign_signers: is_foreign(&opened)
                .saturating_add(records.as_ref().map_or(0, is_foreign)),
            private: opened.private,
            records: records.map_or_else(KeyRing::default, |records| records.symmetric),
        })
    }

    /// The zone's name.
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// The zone's own keys.
    pub fn private(&self) -> &[PrivateKey] {
        &self.private
    }

    /// The keys of its records, the current one first.
    pub fn records(&self) -> &KeyRing {
        &self.records
    }

    /// How many of its two protections were signed by somebody else than the key that opened them.
    pub fn foreign_signers(&self) -> usize {
        self.foreign_signers
    }

    /// The keys of a record.
    fn ring(&self, record: &Record) -> Result<Cow<'_, KeyRing>, RecordError> {
        if let Some(own) = bytes(record.protection.as_ref()) {
            let opened = protection::open(own, &self.private).map_err(RecordError::Protection)?;
            return Ok(Cow::Owned(opened.symmetric));
        }
        let prefix = record.pcs_key.as_deref().unwrap_or_default();
        if prefix.is_empty() {
            return Err(RecordError::NoKeyNamed);
        }
        match self.records.find(prefix) {
            Some(_) => Ok(Cow::Borrowed(&self.records)),
            None => Err(RecordError::MissingKey {
                id: hex(prefix.get(..8).unwrap_or(prefix)),
            }),
        }
    }

    /// Opens a record in place: what was encrypted is in clear afterwards, an asset's protection is its key.
    ///
    /// A value whose plaintext is empty means that there is none; it keeps empty bytes and its type.
    ///
    /// Returns the fields that stay sealed, with the reason: one of them does not spoil the record. They stay as they
    /// are, marked as encrypted.
    ///
    /// # Errors
    /// [`RecordError`] when no key is held for the record. Nothing of it was opened then.
    pub fn open_record(&self, record: &mut Record) -> Result<Vec<SealedField>, RecordError> {
        if !record.fields.iter().any(has_envelope) {
            return Ok(Vec::new());
        }
        let ring = self.ring(record)?;
        let name = record.name().unwrap_or_default().to_owned();
        let mut sealed = Vec::new();
        for field in &mut record.fields {
            let field_name = field.name().to_owned();
            let Some(value) = &mut field.value else {
                continue;
            };
            let place = Place {
                ring: &ring,
                zone: &self.zone,
                record: &name,
                field: &field_name,
            };
            if let Err(reason) = place.open_value(value, 0) {
                sealed.push(SealedField {
                    field: field_name,
                    reason: reason.to_string(),
                });
            }
        }
        Ok(sealed)
    }
}

fn bytes(protection: Option<&ProtectionInfo>) -> Option<&[u8]> {
    let bytes = protection?.bytes.as_deref()?;
    (!bytes.is_empty()).then_some(bytes)
}

/// Whether anything in a field needs a key.
fn has_envelope(field: &Field) -> bool {
    field.value.as_ref().is_some_and(|value| {
        let asset = value.asset.as_ref();
        value.is_encrypted == Some(true)
            || value
                .list
                .iter()
                .any(|value| value.is_encrypted == Some(true))
            || asset.is_some_and(|asset| asset.protection.is_some())
    })
}

/// Where an envelope belongs.
struct Place<'a> {
    ring: &'a KeyRing,
    zone: &'a str,
    record: &'a str,
    field: &'a str,
}

impl Place<'_> {
    fn open_value(&self, value: &mut Value, depth: usize) -> Result<(), FieldError> {
        if depth > limits::LIST_NESTING {
            return Err(FieldError::Nesting);
        }
        // One that does not open does not keep the others shut.
        let mut refused = None;
        for element in &mut value.list {
            if let Err(error) = self.open_value(element, depth.saturating_add(1)) {
                refused = Some(error);
            }
        }
        if let Some(error) = refused {
            return Err(error);
        }
        if let Some(asset) = &mut value.asset {
            self.open_asset(asset)?;
        }
        if value.is_encrypted != Some(true) {
            return Ok(());
        }
        let envelope = value.bytes.as_deref().ok_or(FieldError::NoBytes)?;
        let context = [self.zone, "-", self.record, "-", self.field];
        let plaintext = envelope::open(self.ring, envelope, &context)?;
        match value.value_kind() {
            Some(ValueKind::String | ValueKind::Integer | ValueKind::Date | ValueKind::Double)
                if !plaintext.is_empty() =>
            {
                let inner =
                    EncryptedValue::read(&plaintext).map_err(|_malformed| FieldError::Content)?;
                value.signed = inner.signed;
                value.date = inner.date;
                value.string = inner.string;
                value.bytes = None;
            }
            _ => value.bytes = Some(plaintext.into()),
        }
        value.is_encrypted = Some(false);
        Ok(())
    }

    fn open_asset(&self, asset: &mut Asset) -> Result<(), FieldError> {
        let Some(protection) = &mut asset.protection else {
            return Ok(());
        };
        let Some(envelope) = &protection.bytes else {
            return Ok(());
        };
        let text =
            |bytes: &Option<Bytes>| BASE64_STANDARD.encode(bytes.as_deref().unwrap_or_default());
        let (signature, reference) = (text(&asset.signature), text(&asset.reference_signature));
        let context = [
            self.zone,
            "-",
            self.record,
            "-",
            self.field,
            "-",
            &signature,
            "-",
            &reference,
        ];
        protection.bytes = Some(envelope::open(self.ring, envelope, &context)?.into());
        Ok(())
    }
}

/// Why a field stays sealed.
#[derive(Debug, thiserror::Error)]
enum FieldError {
    #[error("the field is marked as encrypted and holds no envelope")]
    NoBytes,
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error("the envelope opens, but holds no value")]
    Content,
    #[error("lists in lists beyond the limit")]
    Nesting,
}

/// Why a zone stays closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    /// The answer does not say which zone it is.
    #[error("the zone has no name")]
    NoName,
    /// The zone has no keys: nothing in it can be opened.
    #[error("the zone has no protection")]
    NoProtection,
    /// Its own keys stay closed.
    #[error("cannot open the keys of the zone")]
    Zone(#[source] ProtectionError),
    /// The keys of its records stay closed.
    #[error("cannot open the keys of the zone's records")]
    Records(#[source] ProtectionError),
}

/// Why a record stays closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The key that it names is not among the zone's.
    #[error("no record key whose id begins with {id}")]
    MissingKey {
        /// The beginning of the id, in hexadecimal.
        id: String,
    },
    /// It names no key.
    #[error("the record names no key")]
    NoKeyNamed,
    /// It has keys of its own, which stay closed.
    #[error("cannot open the keys of the record")]
    Protection(#[source] ProtectionError),
}
