//! What the fuzz targets of CloudKit do with bytes, and whether something came out.
//!
//! The fuzz targets include this file; it must not use anything of its neighbours.

#![allow(dead_code, reason = "each fuzz target uses one of these")]

use std::sync::Arc;

use footbridge::apple::asset::Assembler;
use footbridge::apple::asset::open_key_blob;
use footbridge::apple::envelope;
use footbridge::apple::envelope::KeyRing;
use footbridge::apple::identity::Identity;
use footbridge::apple::key::PrivateKey;
use footbridge::apple::key::SymmetricKey;
use footbridge::apple::protection;
use footbridge::base::secret::Secret;
use footbridge::codec::cloudkit::MessagePart;
use footbridge::codec::cloudkit::MessagePart2;
use footbridge::codec::cloudkit::MessagePart4;
use footbridge::codec::cloudkit::RecordChange;
use footbridge::codec::cloudkit::decode_responses;
use footbridge::codec::mmcs::AuthorizeGet;
use footbridge::codec::mmcs::chunk_keys;
use footbridge::decode::cloudkit;
use footbridge::decode::cloudkit::Decoder;
use footbridge::model::change::CloudChange;
use footbridge::model::record::CloudRecord;
use footbridge::model::record::CloudValue;

/// A target: its name, and what it does.
pub(crate) type Target = (&'static str, fn(&[u8]) -> bool);

/// Every target.
pub(crate) const TARGETS: [Target; 7] = [
    ("cloudkit_frames", frames),
    ("cloudkit_parts", parts),
    ("cloudkit_protection", protection),
    ("cloudkit_envelope", envelope),
    ("cloudkit_metadata", metadata),
    ("cloudkit_authorize_get", authorize_get),
    ("cloudkit_key_blob", key_blob),
];

/// An answer's body, and every record in it as if it were in clear.
pub(crate) fn frames(bytes: &[u8]) -> bool {
    let Ok(answers) = decode_responses(&bytes.to_vec().into()) else {
        return false;
    };
    let mut decoder = Decoder::default();
    for answer in answers {
        for change in answer.retrieve_changes.unwrap_or_default().changes {
            if let Some(record) = RecordChange::read(change).ok().and_then(|it| it.record) {
                drop(decoder.decode(cloudkit::record(record, &[])));
            }
        }
    }
    true
}

/// A part of a message record, whichever it is.
pub(crate) fn parts(bytes: &[u8]) -> bool {
    let is_first = MessagePart::decode(bytes).is_ok();
    assert_eq!(is_first, MessagePart2::decode(bytes).is_ok());
    assert_eq!(is_first, MessagePart4::decode(bytes).is_ok());
    is_first
}

/// A protection for the key whose scalar is 1 in every byte, or an identity.
pub(crate) fn protection(bytes: &[u8]) -> bool {
    let key = PrivateKey::from_scalar(&[1; 32]);
    let opened = protection::open(bytes, &key);
    // Whether it is for us or not, its form is known then.
    let is_protection = !matches!(&opened, Err(protection::ProtectionError::Der(_)));
    is_protection || Identity::decode(bytes).is_ok()
}

/// An envelope of the key that is 1 in every byte.
pub(crate) fn envelope(bytes: &[u8]) -> bool {
    let ring = KeyRing::new(vec![SymmetricKey::new([1; 16])]);
    envelope::open(&ring, bytes, &["zone-record-field"]).is_ok()
}

/// The metadata of an attachment, and the same bytes as the body of a message.
pub(crate) fn metadata(bytes: &[u8]) -> bool {
    let record = |kind: &str, field: &str| CloudRecord {
        kind: kind.to_owned(),
        fields: vec![(field.to_owned(), CloudValue::Bytes(bytes.to_vec()))],
        ..CloudRecord::default()
    };
    let mut decoder = Decoder::default();
    drop(decoder.decode(record("MessageEncryptedV3", "msgProto")));
    match decoder.decode(record("attachment", "cm")) {
        CloudChange::Attachment(found) => found.attachment.is_some(),
        CloudChange::Message(_) | CloudChange::Chat(_) | CloudChange::Foreign(_) => false,
    }
}

/// Instructions for downloads, and containers that hold nothing but zeros.
pub(crate) fn authorize_get(bytes: &[u8]) -> bool {
    let Ok(answer) = AuthorizeGet::read(bytes.to_vec()) else {
        return false;
    };
    let files = answer.payload.iter().flat_map(|payload| &payload.files);
    for file in files.take(4) {
        let Ok(plan) = answer.plan(&file.checksum) else {
            continue;
        };
        let mut assembler = Assembler::new(plan, None, &Arc::default());
        for container in assembler.containers().into_iter().take(4) {
            let outcome = assembler.push(container, &[0; 4_096]);
            assert!(assembler.waiting_bytes() <= 4 * 4_096 || outcome.is_err());
            if assembler.end(container).is_err() {
                assembler.restart(container);
            }
        }
        let is_whole = assembler.missing() == 0;
        assert_eq!(assembler.finish(None).is_ok(), is_whole);
    }
    true
}

/// A key blob of the key that is 1 in every byte, or the plaintext of one.
pub(crate) fn key_blob(bytes: &[u8]) -> bool {
    let key = Secret::new(vec![1; 32]);
    open_key_blob(bytes, &key).is_some() || chunk_keys(bytes).is_some()
}
