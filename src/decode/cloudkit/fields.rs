//! Reads the fields of a record, and notes those that are not what they should be.

use crate::base::limits;
use crate::codec::cloudkit::Inflater;
use crate::decode::chatdb::Unreadable;
use crate::model::record::CloudRecord;
use crate::model::record::CloudValue;

/// The fields of a record.
pub(super) struct Fields<'a> {
    record: &'a CloudRecord,
    pub(super) unreadable: Unreadable,
}

impl<'a> Fields<'a> {
    /// Of a record. Fields that stayed sealed or have no value are noted at once, whether anybody asks for them or not
    /// (D32).
    pub(super) fn new(record: &'a CloudRecord) -> Self {
        let mut unreadable = Unreadable::default();
        for (name, value) in &record.fields {
            match value {
                CloudValue::Missing => unreadable.add(name, "the field has no value"),
                CloudValue::Sealed { reason, .. } => unreadable.add(name, reason),
                CloudValue::List(values) => {
                    let sealed = values.iter().find_map(CloudValue::sealed);
                    if let Some(reason) = sealed {
                        unreadable.add(name, reason);
                    }
                }
                CloudValue::Asset(asset) if asset.sealed_key.is_some() => {
                    unreadable.add(name, "the key of the file does not open");
                }
                CloudValue::Absent
                | CloudValue::Bytes(_)
                | CloudValue::Text(_)
                | CloudValue::Integer(_)
                | CloudValue::Real(_)
                | CloudValue::Date(_)
                | CloudValue::Asset(_)
                | CloudValue::Other(_) => {}
            }
        }
        Self { record, unreadable }
    }

    /// The value of a field, if it has one that can be read at all.
    fn value(&self, name: &str) -> Option<&'a CloudValue> {
        let is_unreadable = |value: &&CloudValue| {
            matches!(value, CloudValue::Missing | CloudValue::Absent) || value.sealed().is_some()
        };
        self.record.get(name).filter(|value| !is_unreadable(value))
    }

    fn read<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&'a CloudValue) -> Option<T>,
    ) -> Option<T> {
        let found = read(self.value(name)?);
        if found.is_none() {
            self.unreadable
                .add(name, format_args!("expected {expected}"));
        }
        found
    }

    pub(super) fn text(&mut self, name: &str) -> Option<&'a str> {
        let text = self.read(name, "text", CloudValue::as_text);
        text.filter(|text| !text.is_empty())
    }

    pub(super) fn integer(&mut self, name: &str) -> Option<i64> {
        self.read(name, "a whole number", CloudValue::as_integer)
    }

    pub(super) fn bytes(&mut self, name: &str) -> Option<&'a [u8]> {
        let bytes = self.read(name, "bytes", CloudValue::as_bytes);
        bytes.filter(|bytes| !bytes.is_empty())
    }

    pub(super) fn list(&mut self, name: &str) -> &'a [CloudValue] {
        let list = self.read(name, "a list", CloudValue::as_list);
        list.unwrap_or_default()
    }

    /// What the gzip member in a field holds.
    pub(super) fn inflated(&mut self, name: &str, inflater: &mut Inflater) -> Option<Vec<u8>> {
        match inflater.inflate(self.bytes(name)?, limits::INFLATED_BYTES) {
            Ok(plain) => Some(plain),
            Err(error) => {
                self.unreadable.add(name, error);
                None
            }
        }
    }
}
