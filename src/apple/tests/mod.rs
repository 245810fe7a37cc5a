//! The primitives of the key chain against values that another implementation computed (`tests/data/cloudkit`), and
//! protections of our own encoder for the branches that those vectors do not have (D36).

mod protection;

use p256::ecdsa::signature::Verifier;
use p256::elliptic_curve::sec1::ToEncodedPoint;
use serde_json::Value;

use crate::apple::envelope;
use crate::apple::envelope::EnvelopeError;
use crate::apple::envelope::KeyRing;
use crate::apple::hex;
use crate::apple::key::PrivateKey;
use crate::apple::key::SymmetricKey;
use crate::apple::key::derive;
use crate::apple::wrap;

const PRIMITIVES: &str = include_str!("../../../tests/data/cloudkit/primitives.json");

fn unhex(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap().as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn primitives() -> Value {
    serde_json::from_str(PRIMITIVES).unwrap()
}

#[test]
fn keys_have_the_ids_and_derived_keys_that_others_compute() {
    let primitives = primitives();
    let entries = primitives["pcs"].as_array().unwrap();

    for entry in entries {
        let key = SymmetricKey::parse(&unhex(&entry["pcsKey"])).unwrap();
        let object = key.object_key().unwrap();
        let point = object.public().to_encoded_point(false);
        let derived = |label| hex(&derive(key.bytes(), label));

        assert_eq!(hex(key.id()), entry["keyId"]);
        assert_eq!(derived(b"encryption key key m"), entry["encKey"]);
        assert_eq!(derived(b"hmackey-of-masterkey"), entry["hmacKey"]);
        assert_eq!(hex(key.share_key().bytes()), entry["shareKey"]);
        assert_eq!(hex(&object.secret().to_bytes()), entry["masterEcPrivate"]);
        assert_eq!(hex(point.as_bytes()), entry["masterEcPublicUncompressed"]);
    }
    assert_eq!(entries.len(), 6);
}

#[test]
fn wrapped_keys_and_envelopes_of_others_open() {
    for entry in primitives()["pcs"].as_array().unwrap() {
        let key = SymmetricKey::parse(&unhex(&entry["pcsKey"])).unwrap();
        let recipient = PrivateKey::from_scalar(&unhex(&entry["wrap"]["recipientPrivate"]));
        let recipient = recipient.unwrap();
        let wrapped = unhex(&entry["wrap"]["wrapped"]);
        let gcm = &entry["gcm"];
        let ring = KeyRing::new(vec![key.clone()]);
        let open = |aad: &str| envelope::open(&ring, &unhex(&gcm["ciphertext"]), &[aad]);
        let aad = gcm["aad"].as_str().unwrap();

        assert_eq!(hex(recipient.public().x()), entry["wrap"]["recipientX"]);
        assert_eq!(wrap::unwrap(&wrapped, &recipient).as_ref(), Ok(key.bytes()));
        assert_eq!(open(aad), Ok(unhex(&gcm["plaintext"])));
        assert_eq!(open(&format!("{aad}x")), Err(EnvelopeError::Refused));
    }
}

#[test]
fn a_compact_key_means_the_smaller_y() {
    let primitives = primitives();
    let compact = &primitives["compactKey"];
    let key = PrivateKey::parse(&unhex(&compact["private64"])).unwrap();
    let raw = unhex(&compact["rawSigOfHello"]);
    let signature = p256::ecdsa::Signature::from_slice(&raw).unwrap();
    let mut changed = unhex(&compact["private64"]);
    changed[63] ^= 1;

    let by_hand = p256::ecdsa::VerifyingKey::from(key.secret().public_key());

    assert_eq!(hex(key.public().x()), compact["x"]);
    assert!(by_hand.verify(b"hello", &signature).is_ok());
    assert!(
        key.public()
            .has_signed(b"hello", signature.to_der().as_bytes())
    );
    assert!(
        !key.public()
            .has_signed(b"hallo", signature.to_der().as_bytes())
    );
    assert!(PrivateKey::parse(&changed).is_none());
    assert!(PrivateKey::parse(&[0; 64]).is_none());
}

#[test]
fn keys_do_not_reach_a_log() {
    let key = SymmetricKey::new([0xab; 16]);
    let private = PrivateKey::from_scalar(&[0xab; 32]).unwrap();

    let printed = format!("{key:?} {private:?}");

    assert!(
        !printed.contains("abab") && !printed.contains("171, 171"),
        "{printed}"
    );
}
