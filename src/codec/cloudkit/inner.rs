//! What the encrypted byte fields of message records hold after inflating. A field of another wire type than
//! here is passed over and counted; the rest is kept.
//!
//! Texts and bytes are borrowed: a page has thousands of them.
//!
//! Source: facts of CloudKit, 3.4; DS-6, DS-7.

use crate::codec::cloudkit::Wire;
use crate::codec::cloudkit::WireError;
use crate::codec::cloudkit::WireFields;

/// Declares a part: a struct, and how it is read from the fields of a message.
macro_rules! part {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ident = $number:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq)]
        pub struct $name<'a> {
            $($(#[$field_doc])* pub $field: part!(@type $kind),)*
            /// Fields of this table that had another wire type and were passed over.
            pub misfits: usize,
        }

        impl<'a> $name<'a> {
            /// Reads the part; of a field that comes twice the last one counts.
            ///
            /// # Errors
            /// [`WireError`] when the bytes are no protocol buffer, or end inside one.
            pub fn decode(bytes: &'a [u8]) -> Result<Self, WireError> {
                let mut part = Self::default();
                for field in WireFields::new(bytes) {
                    let (number, value) = field?;
                    match number {
                        $($number => match part!(@read $kind value) {
                            Some(value) => part.$field = Some(value),
                            None => part.misfits = part.misfits.saturating_add(1),
                        },)*
                        _ => {}
                    }
                }
                Ok(part)
            }
        }

        /// Parts hold texts and addresses: logs show none.
        impl std::fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).field("misfits", &self.misfits).finish_non_exhaustive()
            }
        }
    };
    (@type text) => { Option<&'a str> };
    (@type bytes) => { Option<&'a [u8]> };
    (@type number) => { Option<u64> };
    (@read text $value:ident) => { Wire::text($value) };
    (@read bytes $value:ident) => { Wire::bytes($value) };
    (@read number $value:ident) => { Wire::varint($value) };
}

part! {
    /// `msgProto`: the body.
    MessagePart {
        /// The bold first line.
        subject: text = 2,
        /// The text, with placeholders.
        text: text = 3,
        /// The attributed text: a typedstream.
        attributed_body: bytes = 4,
        /// An app's bundle id.
        balloon_bundle_id: text = 5,
        /// What the app sent.
        payload_data: bytes = 6,
        /// What became of the parts: a property list.
        summary_info: bytes = 7,
        /// The effect that it was sent with.
        effect: text = 8,
        /// When it was read, in nanoseconds since 2001.
        date_read: number = 9,
        /// When it was delivered, in nanoseconds since 2001.
        date_delivered: number = 13,
        /// Tapback, sticker, vote: the number of chat.db's `associated_message_type`.
        associated_type: number = 15,
        /// On what.
        associated_guid: text = 16,
        /// Where in the target's text the part begins, in UTF-16 units.
        associated_location: number = 17,
        /// How long the part is.
        associated_length: number = 18,
    }
}

part! {
    /// `msgProto2`: what it answers.
    MessagePart2 {
        /// `r:<part>:<location>:<length>:<GUID>`.
        reply: text = 2,
    }
}

part! {
    /// `msgProto4`: what came with later systems.
    MessagePart4 {
        /// The emoji of a tapback.
        associated_emoji: text = 2,
        /// The service.
        service: text = 4,
        /// chat.db's `schedule_type`.
        schedule_type: number = 5,
        /// chat.db's `schedule_state`.
        schedule_state: number = 6,
        /// The group that it belongs to.
        group_id: text = 7,
        /// chat.db's `sent_or_received_off_grid`.
        off_grid: number = 8,
    }
}
