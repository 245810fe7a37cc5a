//! Stored values of any type from any bytes: what the fuzz target `stored_values` does, and its replay.
//!
//! The fuzz target includes this file; it must not use anything of its neighbours.

use footbridge::model::change::Cursor;
use footbridge::model::contact::Contact;
use footbridge::model::record::HandleRow;
use footbridge::store::search::Block;
use footbridge::store::search::decode_postings;
use footbridge::store::value::AccountData;
use footbridge::store::value::ChangeEntry;
use footbridge::store::value::CloudAccount;
use footbridge::store::value::Device;
use footbridge::store::value::Failure;
use footbridge::store::value::Filter;
use footbridge::store::value::Head;
use footbridge::store::value::LocalEvent;
use footbridge::store::value::Merge;
use footbridge::store::value::ParkedRow;
use footbridge::store::value::QuarantineRow;
use footbridge::store::value::Receipt;
use footbridge::store::value::Room;
use footbridge::store::value::RoomState;
use footbridge::store::value::SentEvent;
use footbridge::store::value::Stored;
use footbridge::store::value::StoredAttachment;
use footbridge::store::value::StoredBlob;
use footbridge::store::value::StoredChat;
use footbridge::store::value::StoredCloudRecord;
use footbridge::store::value::StoredConversation;
use footbridge::store::value::StoredDownload;
use footbridge::store::value::StoredKey;
use footbridge::store::value::StoredMessage;
use footbridge::store::value::StoredRecord;
use footbridge::store::value::ToDevice;
use footbridge::store::value::Token;
use footbridge::store::value::Tombstone;
use footbridge::store::value::Upload;
use footbridge::store::value::User;
use footbridge::store::value::ZoneState;

/// A stored type: its name, and what decodes its bytes.
pub(crate) type Kind = (&'static str, fn(&[u8]) -> bool);

/// Every stored type. The place in the list is the first byte of an input, so it only ever grows at its end.
pub(crate) const KINDS: [Kind; 35] = [
    kind::<StoredMessage>(),
    kind::<StoredRecord>(),
    kind::<StoredConversation>(),
    kind::<Head>(),
    kind::<StoredChat>(),
    kind::<Merge>(),
    kind::<HandleRow>(),
    kind::<Contact>(),
    kind::<StoredAttachment>(),
    kind::<ParkedRow>(),
    kind::<QuarantineRow>(),
    kind::<Tombstone>(),
    kind::<Failure>(),
    kind::<ChangeEntry>(),
    kind::<Cursor>(),
    ("search_terms", |bytes| decode_postings(bytes).is_ok()),
    ("search_blocks", |bytes| Block::decode(0, bytes).is_ok()),
    kind::<User>(),
    kind::<Room>(),
    kind::<RoomState>(),
    kind::<LocalEvent>(),
    kind::<Device>(),
    kind::<Token>(),
    kind::<Filter>(),
    kind::<AccountData>(),
    kind::<Receipt>(),
    kind::<ToDevice>(),
    kind::<StoredKey>(),
    kind::<SentEvent>(),
    kind::<Upload>(),
    kind::<StoredCloudRecord>(),
    kind::<ZoneState>(),
    kind::<CloudAccount>(),
    kind::<StoredBlob>(),
    kind::<StoredDownload>(),
];

const fn kind<V: Stored>() -> Kind {
    (V::KIND, decode::<V>)
}

/// Decodes bytes, and says whether they are a value. What is one is written again and must then read as the same.
fn decode<V: Stored>(bytes: &[u8]) -> bool {
    let Ok(value) = V::from_bytes(bytes) else {
        return false;
    };
    let written = value.to_bytes().unwrap_or_default();
    let again = V::from_bytes(&written).and_then(|value| value.to_bytes());
    assert!(
        again.is_ok_and(|again| again == written),
        "a {} reads otherwise than it was written",
        V::KIND
    );
    true
}

/// Decodes an input of the fuzz target: the type's place in [`KINDS`], then a value's bytes.
pub(crate) fn decode_any(input: &[u8]) -> bool {
    let Some((kind, bytes)) = input.split_first() else {
        return false;
    };
    let kind = KINDS.get(usize::from(*kind));
    kind.is_some_and(|(_, decode)| decode(bytes))
}
