//! A record off the wire, opened as far as keys were held, to one that is kept.

use bytes::Bytes;

use crate::base::limits;
use crate::base::secret::Secret;
use crate::base::time::AppleTime;
use crate::codec::cloudkit::Asset;
use crate::codec::cloudkit::Date;
use crate::codec::cloudkit::Record;
use crate::codec::cloudkit::SealedField;
use crate::codec::cloudkit::Value;
use crate::codec::cloudkit::ValueKind;
use crate::model::record::CloudAsset;
use crate::model::record::CloudRecord;
use crate::model::record::CloudValue;

/// What CloudKit said, in a form that can be kept: all fields, those that stayed sealed too, with the reason.
pub fn record(record: Record, sealed: &[SealedField]) -> CloudRecord {
    let identifier = record.identifier.as_ref();
    let zone = identifier
        .and_then(|identifier| identifier.zone.as_ref())
        .and_then(|zone| zone.name())
        .unwrap_or_default()
        .to_owned();
    let times = record.times.as_ref();
    let time = |date: Option<Date>| AppleTime::from_seconds(date?.seconds?);
    CloudRecord {
        zone,
        name: record.name().unwrap_or_default().to_owned(),
        kind: record.type_name().to_owned(),
        created: times.and_then(|times| time(times.created)),
        modified: times.and_then(|times| time(times.modified)),
        etag: record.etag,
        fields: record
            .fields
            .into_iter()
            .map(|field| {
                let name = field.name().to_owned();
                let reason = sealed.iter().find(|sealed| sealed.field == name);
                let reason = reason.map(|sealed| sealed.reason.as_str());
                let value = field.value;
                let value = value.map_or(CloudValue::Missing, |value| cloud(value, reason, 0));
                (name, value)
            })
            .collect(),
    }
}

fn cloud(value: Value, sealed: Option<&str>, depth: usize) -> CloudValue {
    let is_empty = value.bytes.as_ref().is_some_and(Bytes::is_empty);
    if value.is_encrypted == Some(true) {
        return CloudValue::Sealed {
            bytes: value.bytes.unwrap_or_default().into(),
            reason: sealed.unwrap_or("no key was tried").to_owned(),
        };
    }
    // Opened values say that they are not encrypted any more.
    let was_encrypted = value.is_encrypted == Some(false);
    let kind = value.value_kind();
    let found = match kind {
        _ if was_encrypted && is_empty => Some(CloudValue::Absent),
        Some(ValueKind::Bytes | ValueKind::EncryptedBytes) => {
            value.bytes.map(|bytes| CloudValue::Bytes(bytes.into()))
        }
        Some(ValueKind::Date) => value
            .date
            .and_then(|date| date.seconds)
            .map(CloudValue::Date),
        Some(ValueKind::String) => value.string.map(CloudValue::Text),
        Some(ValueKind::Integer) => value.signed.map(CloudValue::Integer),
        Some(ValueKind::Double) => value.double.map(CloudValue::Real),
        Some(ValueKind::Asset) => value
            .asset
            .map(|value| CloudValue::Asset(asset(value, sealed.is_some()))),
        Some(ValueKind::List) if depth < limits::LIST_NESTING => {
            let values = value.list.into_iter();
            let values = values.map(|value| cloud(value, sealed, depth.saturating_add(1)));
            Some(CloudValue::List(values.collect()))
        }
        Some(ValueKind::List) | None => Some(CloudValue::Other(value.write())),
    };
    found.unwrap_or(CloudValue::Missing)
}

fn asset(asset: Asset, is_sealed: bool) -> CloudAsset {
    let bytes = |bytes: Option<Bytes>| bytes.unwrap_or_default().to_vec();
    let key = asset.protection.and_then(|protection| protection.bytes);
    let (key, sealed_key) = if is_sealed {
        (None, key.map(|key| key.to_vec()))
    } else {
        (key.map(|key| Secret::new(key.to_vec())), None)
    };
    CloudAsset {
        signature: bytes(asset.signature),
        reference_signature: bytes(asset.reference_signature),
        size: asset.size,
        key,
        sealed_key,
        request_id: asset.bundled_request_id,
    }
}
