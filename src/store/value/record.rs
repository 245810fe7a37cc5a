//! The byte form of records: columns by number, so that a row of a hundred mostly empty columns takes a few dozen bytes.

use bincode::Decode;
use bincode::Encode;
use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::DecodeError;
use bincode::error::EncodeError;

use crate::model::change::Parked;
use crate::model::change::Placement;
use crate::model::conversation::Alias;
use crate::model::record::ChatRef;
use crate::model::record::MessageRecord;
use crate::model::record::Row;
use crate::model::record::Value;

/// What a source said about a message, and who decoded it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRecord {
    /// The version of the decoder that made the message.
    pub decoder: u32,
    /// The record as it was read.
    pub record: MessageRecord,
}

stored!(StoredRecord, 1);
fields!(StoredRecord { decoder, record });
fields!(MessageRecord {
    row,
    handle,
    other_handle,
    chats,
    recoverable,
    attachments,
    too_large
});
fields!(ChatRef { guid, service });
fields!(Placement {
    candidates,
    otherwise
});

variants!(Parked {
    0 => NoChat,
    1 => UnknownChat,
    2 => UnknownRoom,
});
variants!(Value {
    0 => Null,
    1 => Integer(number),
    2 => Real(number),
    3 => Text(text),
    4 => Blob(bytes),
});

/// A row is a bit for each known column that held the number 0, lowest bit of the first byte first, then the columns
/// that held anything else with their numbers, then the unknown columns by name. A column in neither was null.
impl Encode for Row {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let is_zero = |value: &Value| *value == Value::Integer(0);
        let is_written = |value: &Value| !is_zero(value) && *value != Value::Null;
        let zeros = self
            .values
            .iter()
            .rposition(is_zero)
            .map_or(0, |last| last / 8 + 1);
        (zeros as u64).encode(encoder)?;
        for eight in self.values.chunks(8).take(zeros) {
            let bits = eight
                .iter()
                .enumerate()
                .fold(0_u8, |bits, (n, v)| bits | u8::from(is_zero(v)) << n);
            bits.encode(encoder)?;
        }
        (self.values.iter().filter(|value| is_written(value)).count() as u64).encode(encoder)?;
        for (number, value) in self
            .values
            .iter()
            .enumerate()
            .filter(|(_, value)| is_written(value))
        {
            u8::try_from(number)
                .map_err(|_past_255| EncodeError::Other("more than 256 columns"))?
                .encode(encoder)?;
            value.encode(encoder)?;
        }
        self.extra.encode(encoder)
    }
}

impl<C> Decode<C> for Row {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let mut values = Vec::new();
        let zeros: u64 = Decode::decode(decoder)?;
        if zeros > 32 {
            return Err(DecodeError::Other("more than 256 columns"));
        }
        for _ in 0..zeros {
            let bits: u8 = Decode::decode(decoder)?;
            for n in 0..8 {
                values.push(if bits & (1 << n) == 0 {
                    Value::Null
                } else {
                    Value::Integer(0)
                });
            }
        }
        let written: u64 = Decode::decode(decoder)?;
        for _ in 0..written {
            let number: u8 = Decode::decode(decoder)?;
            let number = usize::from(number);
            if values.len() <= number {
                values.resize(number + 1, Value::Null);
            }
            if let Some(slot) = values.get_mut(number) {
                *slot = Decode::decode(decoder)?;
            }
        }
        while values.last() == Some(&Value::Null) {
            values.pop();
        }
        Ok(Self {
            values,
            extra: Decode::decode(decoder)?,
        })
    }
}

impl Encode for Alias {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.as_str().encode(encoder)
    }
}

impl<C> Decode<C> for Alias {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self::from_stored(Decode::decode(decoder)?))
    }
}
