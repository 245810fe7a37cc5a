//! A hash over everything of a record that shows: another one means that the record changed (D12). Its version and `utm`
//! are not in it: CloudKit hands out the same record again under another version.

use sha2::Digest;
use sha2::Sha256;

use crate::model::record::CloudRecord;
use crate::model::record::CloudValue;

/// The fingerprint of a record: its type and its fields, whatever their order.
pub(super) fn fingerprint(record: &CloudRecord) -> u64 {
    let mut hash = Hash(Sha256::new());
    hash.bytes(0, record.kind.as_bytes());
    let shown = record.fields.iter().filter(|(name, _)| name != "utm");
    let mut fields: Vec<&(String, CloudValue)> = shown.collect();
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, value) in fields {
        hash.bytes(1, name.as_bytes());
        hash.value(value);
    }
    let digest = hash.0.finalize();
    digest
        .first_chunk()
        .map_or(0, |first| u64::from_le_bytes(*first))
}

struct Hash(Sha256);

impl Hash {
    fn bytes(&mut self, kind: u8, bytes: &[u8]) {
        self.0.update([kind]);
        self.0.update(bytes.len().to_le_bytes());
        self.0.update(bytes);
    }

    fn value(&mut self, value: &CloudValue) {
        match value {
            CloudValue::Missing => self.bytes(2, &[]),
            CloudValue::Absent => self.bytes(3, &[]),
            CloudValue::Bytes(bytes) => self.bytes(4, bytes),
            CloudValue::Text(text) => self.bytes(5, text.as_bytes()),
            CloudValue::Integer(number) => self.bytes(6, &number.to_le_bytes()),
            CloudValue::Real(number) => self.bytes(7, &number.to_le_bytes()),
            CloudValue::Date(seconds) => self.bytes(8, &seconds.to_le_bytes()),
            CloudValue::List(values) => {
                self.bytes(9, &values.len().to_le_bytes());
                for value in values {
                    self.value(value);
                }
            }
            CloudValue::Asset(asset) => {
                self.bytes(10, &asset.signature);
                let key = asset.key.as_ref().map(|key| key.expose().as_slice());
                self.bytes(11, key.unwrap_or_default());
            }
            CloudValue::Sealed { bytes, .. } => self.bytes(12, bytes),
            CloudValue::Other(bytes) => self.bytes(13, bytes),
        }
    }
}
