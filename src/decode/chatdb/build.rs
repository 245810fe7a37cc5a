//! Records for tests.

use crate::codec::typedstream::Attribute;
use crate::codec::typedstream::AttributedText;
use crate::codec::typedstream::Attributes;
use crate::codec::typedstream::Run;
use crate::codec::typedstream::encode;
use crate::model::record::AttachmentColumn;
use crate::model::record::Column;
use crate::model::record::MessageColumn;
use crate::model::record::MessageRecord;
use crate::model::record::Row;
use crate::model::record::Value;

/// A row that is being written.
pub(super) struct RowBuilder<C> {
    row: Row,
    columns: std::marker::PhantomData<C>,
}

/// A `message` row without values.
pub(super) fn message_row() -> RowBuilder<MessageColumn> {
    RowBuilder {
        row: Row::default(),
        columns: std::marker::PhantomData,
    }
}

/// An `attachment` row with a GUID.
pub(super) fn attachment_row(guid: &str) -> RowBuilder<AttachmentColumn> {
    let row = RowBuilder {
        row: Row::default(),
        columns: std::marker::PhantomData,
    };
    row.text(AttachmentColumn::Guid, guid)
}

impl<C: Column> RowBuilder<C> {
    pub(super) fn value(mut self, column: C, value: Value) -> Self {
        let at = column.index();
        if self.row.values.len() <= at {
            self.row.values.resize(at + 1, Value::Null);
        }
        self.row.values[at] = value;
        self
    }

    pub(super) fn text(self, column: C, text: &str) -> Self {
        self.value(column, Value::Text(text.to_owned()))
    }

    pub(super) fn integer(self, column: C, number: i64) -> Self {
        self.value(column, Value::Integer(number))
    }

    pub(super) fn blob(self, column: C, bytes: &[u8]) -> Self {
        self.value(column, Value::Blob(bytes.to_vec()))
    }

    pub(super) fn row(self) -> Row {
        self.row
    }
}

impl RowBuilder<MessageColumn> {
    /// A record of this row, with nothing joined to it.
    pub(super) fn record(self) -> MessageRecord {
        MessageRecord {
            row: self.row,
            ..MessageRecord::default()
        }
    }

    /// With an attributed body.
    pub(super) fn body(self, body: &AttributedText) -> Self {
        self.blob(MessageColumn::AttributedBody, &encode(body))
    }
}

/// A body of stretches of text, each with its attributes.
pub(super) fn attributed(stretches: &[(&str, &[(&str, Attribute)])]) -> AttributedText {
    let mut body = AttributedText::default();
    let mut start = 0;
    for (text, attributes) in stretches {
        let length = u32::try_from(text.encode_utf16().count()).unwrap();
        body.text.push_str(text);
        body.runs.push(Run {
            start,
            length,
            attributes: body.dictionaries.len(),
        });
        let attributes = attributes.iter();
        let owned = attributes.map(|(name, value)| ((*name).to_owned(), value.clone()));
        body.dictionaries.push(Attributes(owned.collect()));
        start += length;
    }
    body
}
