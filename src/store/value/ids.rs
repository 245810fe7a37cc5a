//! Ids and times: what every stored type is made of.

use crate::base::ids::AttachmentGuid;
use crate::base::ids::ChangeNumber;
use crate::base::ids::ConversationKey;
use crate::base::ids::Guid;
use crate::base::ids::Handle;
use crate::base::ids::RowId;
use crate::base::time::AppleTime;

/// Ids with text that is already in its normal form.
macro_rules! text_id {
    ($type:ident, $make:expr) => {
        impl bincode::Encode for $type {
            fn encode<E: bincode::enc::Encoder>(
                &self,
                encoder: &mut E,
            ) -> Result<(), bincode::error::EncodeError> {
                bincode::Encode::encode(self.as_str(), encoder)
            }
        }

        impl<C> bincode::Decode<C> for $type {
            fn decode<D: bincode::de::Decoder<Context = C>>(
                decoder: &mut D,
            ) -> Result<Self, bincode::error::DecodeError> {
                let text: String = bincode::Decode::decode(decoder)?;
                let make: fn(String) -> Option<Self> = $make;
                make(text).ok_or(bincode::error::DecodeError::Other(concat!(
                    "an empty ",
                    stringify!($type)
                )))
            }
        }
    };
}

text_id!(Handle, |text| Some(Self::from_normal(text)));
text_id!(ConversationKey, |text| Some(Self::from_stored(text)));
text_id!(AttachmentGuid, |text| Self::parse(&text));

variants!(Guid {
    0 => Uuid(bytes),
    1 => Other(text),
});

wrapped!(RowId as u64, |id| &id.0, RowId);
wrapped!(ChangeNumber as u64, |number| &number.0, ChangeNumber);

impl bincode::Encode for AppleTime {
    fn encode<E: bincode::enc::Encoder>(
        &self,
        encoder: &mut E,
    ) -> Result<(), bincode::error::EncodeError> {
        self.nanos().encode(encoder)
    }
}

impl<C> bincode::Decode<C> for AppleTime {
    fn decode<D: bincode::de::Decoder<Context = C>>(
        decoder: &mut D,
    ) -> Result<Self, bincode::error::DecodeError> {
        Ok(Self::from_nanos(bincode::Decode::decode(decoder)?))
    }
}
