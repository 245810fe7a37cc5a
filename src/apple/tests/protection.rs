//! The vectors' protections are all of version 5, writable, and signed: here are the others (D36).

use p256::ecdsa::Signature;
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer;
use p256::elliptic_curve::sec1::ToEncodedPoint;
use sha2::Digest;
use sha2::Sha256;

use crate::apple::der;
use crate::apple::envelope;
use crate::apple::key::PrivateKey;
use crate::apple::key::SymmetricKey;
use crate::apple::key::derive;
use crate::apple::key::hmac;
use crate::apple::protection::ProtectionError;
use crate::apple::protection::open;
use crate::apple::wrap;

/// Who signed the object.
#[derive(Clone, Copy, PartialEq)]
enum Object {
    Current,
    Previous,
    Nobody,
}

/// The hash of a set of keys.
#[derive(Clone, Copy, PartialEq)]
enum Hash {
    Right,
    Wrong,
    Missing,
}

/// A protection to be written.
#[derive(Clone)]
struct Draft {
    version: u8,
    flags: Option<u8>,
    object: Object,
    outer: Option<PrivateKey>,
    is_outer_broken: bool,
    older: Vec<[u8; 16]>,
    private: Vec<PrivateKey>,
    hash: Hash,
    strangers: usize,
    has_extras: bool,
}

fn private(scalar: u8) -> PrivateKey {
    // Compact keys are generated until their own Y is the smaller one; these are.
    (0..=u8::MAX)
        .filter_map(|tail| {
            let mut bytes = [scalar; 32];
            bytes[31] = tail;
            PrivateKey::from_scalar(&bytes)
        })
        .find(|key| {
            let signature: Signature = SigningKey::from(key.secret()).sign(b"x");
            key.public().has_signed(b"x", signature.to_der().as_bytes())
        })
        .unwrap()
}

fn draft() -> Draft {
    Draft {
        version: 5,
        flags: None,
        object: Object::Current,
        outer: Some(private(1)),
        is_outer_broken: false,
        older: Vec::new(),
        private: vec![private(7)],
        hash: Hash::Right,
        strangers: 0,
        has_extras: false,
    }
}

const ROOT: [u8; 16] = [0x21; 16];

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    [&der::header(tag, content.len())[..], content].concat()
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    element(der::SEQUENCE, &parts.concat())
}

fn number(value: u8) -> Vec<u8> {
    element(der::INTEGER, &[value])
}

fn octets(bytes: &[u8]) -> Vec<u8> {
    element(der::OCTETS, bytes)
}

fn signature(key_id: &[u8], signing: &p256::SecretKey, message: &[u8]) -> Vec<u8> {
    let made: Signature = SigningKey::from(signing).sign(message);
    sequence(&[octets(key_id), number(1), octets(made.to_der().as_bytes())])
}

impl Draft {
    fn keys(&self) -> Vec<u8> {
        let pair = |key: &PrivateKey| {
            let scalar: [u8; 32] = key.secret().to_bytes().into();
            sequence(&[octets(&[&key.public().x()[..], &scalar].concat())])
        };
        let keys: Vec<u8> = self.private.iter().flat_map(pair).collect();
        let mut parts = vec![
            element(der::UTF8, b""),
            element(der::SET, &keys),
            element(der::SET, b""),
        ];
        let unhashed = element(der::application(2), &sequence(&parts));
        let mut hash = Sha256::digest(&unhashed);
        hash[0] ^= u8::from(self.hash == Hash::Wrong);
        if self.hash != Hash::Missing {
            parts.push(octets(&hash));
        }
        element(der::application(2), &sequence(&parts))
    }

    fn identities(&self) -> Vec<u8> {
        let mut parts = Vec::new();
        if !self.older.is_empty() {
            let older: Vec<u8> = self.older.iter().flat_map(|key| octets(key)).collect();
            parts.push(element(der::context(0), &element(der::SET, &older)));
        }
        if self.has_extras {
            let extra = sequence(&[number(1), octets(b"x")]);
            parts.push(element(der::context(1), &extra));
        }
        if !self.private.is_empty() {
            let entry = sequence(&[number(1), octets(&self.keys())]);
            parts.push(element(der::context(2), &element(der::SET, &entry)));
        }
        sequence(&parts)
    }

    fn recipient(&self, key: &PrivateKey, root: &[u8; 16]) -> Vec<u8> {
        let wrapped = wrap::wrap(root, key.public(), &private(9)).unwrap();
        let mut parts = vec![
            sequence(&[number(3), octets(key.public().x())]),
            octets(&wrapped),
        ];
        parts.extend(self.flags.map(number));
        sequence(&parts)
    }

    /// The protection of [`ROOT`] for `private(1)`, behind strangers.
    fn write(&self) -> Vec<u8> {
        let root = SymmetricKey::new(ROOT);
        let is_readonly = self.flags.is_some_and(|flags| flags & 1 != 0);
        let master = if self.version == 5 || is_readonly {
            root.clone()
        } else {
            root.share_key()
        };
        let strangers = (0..self.strangers)
            .map(|at| self.recipient(&private(40 + u8::try_from(at).unwrap()), &[0; 16]));
        let recipients: Vec<u8> = strangers
            .chain([self.recipient(&private(1), &ROOT)])
            .flatten()
            .collect();
        let mut keyset = vec![number(0), element(der::SET, &recipients)];
        if self.has_extras {
            keyset.push(element(der::context(0), &sequence(&[])));
        }
        let keyset = sequence(&keyset);
        let sealed = envelope::seal(&master, &self.identities(), &[], &[3; 12]);

        let object = root.object_key().unwrap();
        let point = object.public().to_encoded_point(false);
        let attributes = sequence(&[sequence(&[number(5), octets(b"\x30\x00")])]);
        let previous = sequence(&[sequence(&[number(3), octets(&[8; 32])])]);
        let count = if self.has_extras { 2 } else { 0 };
        let mut digest = [&keyset[..], &sealed].concat();
        for value in [3_u32, 4, count, 1] {
            digest.extend_from_slice(&value.to_be_bytes());
        }
        digest.extend_from_slice(point.as_bytes());
        if self.has_extras {
            digest.extend_from_slice(&attributes);
            digest.extend_from_slice(&previous);
        }
        let other = private(77);
        let signed_by = |is_it: bool| {
            let key = if is_it {
                object.secret()
            } else {
                other.secret()
            };
            signature(b"", key, &digest)
        };
        let mut parts = vec![
            number(4),
            number(3),
            sequence(&[number(1), octets(point.as_bytes())]),
            signed_by(self.object == Object::Current),
        ];
        if self.has_extras {
            parts.push(element(der::context(0), &number(2)));
        }
        if self.object == Object::Previous {
            parts.push(element(der::context(1), &signed_by(true)));
        }
        if self.has_extras {
            parts.push(element(der::context(2), &previous));
            parts.push(element(der::context(3), &attributes));
        }
        let object_der = sequence(&parts);

        let hmac_key = derive(master.bytes(), b"hmackey-of-masterkey");
        let mut parts = vec![
            keyset.clone(),
            element(der::context(0), &octets(&sealed)),
            element(
                der::context(1),
                &sequence(&[number(self.version), octets(&object_der)]),
            ),
            octets(&hmac(&hmac_key, &[&keyset, &sealed, &object_der])),
            element(der::context(2), &octets(&master.id()[..4])),
        ];
        if let Some(signer) = &self.outer {
            let signing = if self.is_outer_broken { &other } else { signer };
            let outer = signature(signer.public().x(), signing.secret(), &digest);
            parts.push(element(der::context(3), &outer));
        }
        if self.has_extras {
            parts.push(element(der::context(4), &sequence(&[])));
        }
        element(der::application(1), &sequence(&parts))
    }

    fn error(&self) -> ProtectionError {
        open(&self.write(), [&private(1)]).unwrap_err()
    }
}

#[test]
fn version_5_uses_the_root_key_and_others_the_share_key() {
    let other = Draft {
        version: 4,
        ..draft()
    };

    let of_5 = open(&draft().write(), [&private(1)]).unwrap();
    let of_4 = open(&other.write(), [&private(1)]).unwrap();

    let root = SymmetricKey::new(ROOT);
    assert_eq!(of_5.symmetric.keys()[0].bytes(), root.bytes());
    assert_eq!(of_4.symmetric.keys()[0].bytes(), root.share_key().bytes());
    assert_eq!(of_4.private[0].public(), private(7).public());
    assert_eq!(of_4.roll_count, 4);
    assert_eq!(of_4.foreign_signer, None);
}

#[test]
fn a_reader_gets_the_key_as_it_is_and_needs_no_signature_of_the_object() {
    for version in [4, 5] {
        let draft = Draft {
            version,
            flags: Some(1),
            object: Object::Nobody,
            ..draft()
        };

        let opened = open(&draft.write(), [&private(1)]).unwrap();

        assert_eq!(opened.symmetric.keys()[0].bytes(), &ROOT);
    }
    let writer = Draft {
        flags: Some(2),
        object: Object::Nobody,
        ..draft()
    };
    assert_eq!(writer.error(), ProtectionError::ObjectSignature);
}

#[test]
fn the_key_before_may_have_signed_the_object() {
    let previous = Draft {
        object: Object::Previous,
        ..draft()
    };
    let nobody = Draft {
        object: Object::Nobody,
        ..draft()
    };

    assert!(open(&previous.write(), [&private(1)]).is_ok());
    assert_eq!(nobody.error(), ProtectionError::ObjectSignature);
}

#[test]
fn every_optional_part_is_walked_over_and_counted_in_the_signatures() {
    let draft = Draft {
        has_extras: true,
        older: vec![[4; 16], [5; 16]],
        strangers: 3,
        ..draft()
    };

    let opened = open(&draft.write(), [&private(30), &private(1)]).unwrap();

    let keys = opened.symmetric.keys().iter().map(SymmetricKey::bytes);
    assert_eq!(keys.collect::<Vec<_>>(), [&ROOT, &[4; 16], &[5; 16]]);
    assert_eq!(&opened.recipient, private(1).public());
}

#[test]
fn the_outer_signature_may_be_missing_or_somebody_elses_but_has_to_hold() {
    let missing = Draft {
        outer: None,
        ..draft()
    };
    let foreign = Draft {
        outer: Some(private(50)),
        ..draft()
    };
    let broken = Draft {
        is_outer_broken: true,
        ..draft()
    };

    let opened = open(&missing.write(), [&private(1)]).unwrap();
    assert_eq!(opened.foreign_signer, None);
    let opened = open(&foreign.write(), [&private(1)]).unwrap();
    assert_eq!(
        opened.foreign_signer.as_deref(),
        Some(&private(50).public().x()[..])
    );
    assert_eq!(broken.error(), ProtectionError::OuterSignature);
}

#[test]
fn a_set_of_keys_without_a_hash_is_read_and_one_with_another_hash_is_not() {
    let without = Draft {
        hash: Hash::Missing,
        ..draft()
    };
    let broken = Draft {
        hash: Hash::Wrong,
        ..draft()
    };
    let none = Draft {
        private: Vec::new(),
        ..draft()
    };

    assert_eq!(
        open(&without.write(), [&private(1)]).unwrap().private.len(),
        1
    );
    assert_eq!(open(&none.write(), [&private(1)]).unwrap().private.len(), 0);
    assert_eq!(broken.error(), ProtectionError::KeysHash);
}

#[test]
fn who_is_no_recipient_is_told_so() {
    assert_eq!(
        open(&draft().write(), [&private(2)]).unwrap_err(),
        ProtectionError::NotForUs
    );
}

#[test]
fn no_changed_byte_gives_other_keys() {
    let bytes = Draft {
        has_extras: true,
        older: vec![[4; 16]],
        ..draft()
    }
    .write();

    // Every byte would take a quarter of a minute.
    for at in (0..bytes.len()).step_by(11) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x01;
        if let Ok(opened) = open(&changed, [&private(1)]) {
            assert_eq!(opened.symmetric.keys()[0].bytes(), &ROOT, "{at}");
        }
        assert!(open(&bytes[..at], [&private(1)]).is_err());
    }
}
