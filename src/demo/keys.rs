//! The keys of the invented account: what is in the owner's keychain, and what each zone is protected with.
//!
//! | zone | opened by | record keys |
//! |---|---|---|
//! | messages | the older identity | two, one of them from before a change; another one that arrives later |
//! | others | the current identity | one; another one that arrives later |
//!
//! The key that arrives later is that of records that stay closed until [`Account::deliver_key`](crate::demo::Account::deliver_key).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use serde_json::json;

use crate::apple::key::KEY_BYTES;
use crate::apple::key::PrivateKey;
use crate::apple::key::SymmetricKey;
use crate::apple::seal;
use crate::apple::seal::Entropy;
use crate::codec::cloudkit::ProtectionInfo;
use crate::codec::cloudkit::Zone;
use crate::codec::cloudkit::ZoneIdentifier;
use crate::demo::cast;
use crate::demo::random::Random;
use crate::demo::random::Stream;
use crate::demo::zone::ZoneKind;

/// Which items a session file has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Items {
    /// All that are needed.
    #[default]
    All,
    /// The older identity is missing, so that the zone of the messages stays closed.
    WithoutOlderIdentity,
}

/// Everything secret of an account.
pub(super) struct Keys {
    seed: u64,
    current: PrivateKey,
    older: PrivateKey,
    master: PrivateKey,
    pub(super) boundary: [u8; 32],
    zones: Vec<ZoneSecrets>,
}

/// The keys of one zone.
pub(super) struct ZoneSecrets {
    kind: ZoneKind,
    zone_root: [u8; KEY_BYTES],
    zone_key: PrivateKey,
    /// Those of records: the current one, the one before a change, the one that arrives later.
    records: [[u8; KEY_BYTES]; 3],
    pub(super) current: SymmetricKey,
    pub(super) before: SymmetricKey,
    pub(super) late: SymmetricKey,
}

impl Keys {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed, Stream::Keys, 0);
        Self {
            seed,
            current: seal::private_key(&mut random),
            older: seal::private_key(&mut random),
            master: seal::private_key(&mut random),
            boundary: random.array(),
            zones: ZoneKind::ALL
                .iter()
                .map(|kind| ZoneSecrets::new(seed, *kind))
                .collect(),
        }
    }

    /// The keys of a zone.
    pub(super) fn zone(&self, kind: ZoneKind) -> Option<&ZoneSecrets> {
        self.zones.iter().find(|zone| zone.kind == kind)
    }

    /// A zone as the server describes it, with or without the key that arrives later.
    pub(super) fn describe(&self, kind: ZoneKind, user: &str, has_late_key: bool) -> Option<Zone> {
        let secrets = self.zone(kind)?;
        let is_messages = kind == ZoneKind::Message;
        let identity = if is_messages {
            &self.older
        } else {
            &self.current
        };
        let mut random = Random::new(
            self.seed,
            Stream::Nonce,
            u64::MAX - u64::from(kind.number()),
        );
        let own = seal::Draft {
            recipients: &[identity],
            signer: identity,
            root: secrets.zone_root,
            older: &[],
            private: &[&secrets.zone_key],
            roll_count: 1,
        };
        let [current, before, late] = secrets.records;
        let older = [before, late];
        let records = seal::Draft {
            recipients: &[&secrets.zone_key],
            signer: &secrets.zone_key,
            root: current,
            older: match (is_messages, has_late_key) {
                (true, true) => &older,
                (true, false) => older.get(..1).unwrap_or_default(),
                (false, true) => older.get(1..).unwrap_or_default(),
                (false, false) => &[],
            },
            private: &[],
            roll_count: if is_messages { 2 } else { 1 },
        };
        let info = |draft: &seal::Draft<'_>, random: &mut Random| {
            let bytes = seal::protection(draft, random);
            ProtectionInfo {
                tag: Some(seal::protection_tag(&bytes)),
                bytes: Some(bytes.into()),
            }
        };
        Some(Zone {
            identifier: Some(ZoneIdentifier::new(kind.name(), user)),
            etag: Some(if has_late_key { "2" } else { "1" }.to_owned()),
            protection: Some(info(&own, &mut random)),
            record_protection: Some(info(&records, &mut random)),
        })
    }

    /// A protection for one record, and the key in it.
    pub(super) fn own_protection(
        &self,
        kind: ZoneKind,
        random: &mut Random,
    ) -> Option<(ProtectionInfo, SymmetricKey)> {
        let secrets = self.zone(kind)?;
        let root = random.array();
        let draft = seal::Draft {
            recipients: &[&secrets.zone_key],
            signer: &secrets.zone_key,
            root,
            older: &[],
            private: &[],
            roll_count: 0,
        };
        let bytes = seal::protection(&draft, random);
        let info = ProtectionInfo {
            tag: Some(seal::protection_tag(&bytes)),
            bytes: Some(bytes.into()),
        };
        Some((info, SymmetricKey::new(root)))
    }

    /// The members of a session file that are keys.
    pub(super) fn items(&self, dsid: &str, items: Items) -> Value {
        let identity = |key: &PrivateKey, service: u8, name: &str| {
            let account = BASE64_STANDARD.encode(key.public().x());
            let start = account.get(..8).unwrap_or_default();
            json!({
                "acct": account,
                "agrp": "com.apple.ProtectedCloudStorage",
                "atyp": hex(&seal::key_name(key)),
                "labl": format!("PCS {name} - {start}"),
                "srvr": dsid,
                "v_Data": hex(&seal::identity(key, service, &self.master)),
            })
        };
        let mut found = vec![
            identity(&self.current, seal::SERVICE_MESSAGES, "Messages3"),
            identity(&self.older, seal::SERVICE_MESSAGES, "Messages3"),
            identity(&self.master, seal::SERVICE_MASTER, "MasterKey"),
            json!({
                "acct": "PCSBoundaryKey",
                "agrp": "com.apple.ProtectedCloudStorage",
                "labl": "PCSBoundaryKey",
                "srvr": dsid,
                "v_Data": hex(&self.boundary),
            }),
        ];
        if items == Items::WithoutOlderIdentity {
            found.remove(1);
        }
        found.into()
    }
}

impl ZoneSecrets {
    fn new(seed: u64, kind: ZoneKind) -> Self {
        let mut random = Random::new(seed, Stream::Keys, 1 + u64::from(kind.number()));
        let records: [[u8; KEY_BYTES]; 3] = [random.array(), random.array(), random.array()];
        let [current, before, late] = records.map(SymmetricKey::new);
        Self {
            kind,
            zone_root: random.array(),
            zone_key: seal::private_key(&mut random),
            records,
            current,
            before,
            late,
        }
    }
}

/// The tokens of a session, and the session file itself.
pub(super) struct Tokens {
    pub(super) dsid: String,
    pub(super) user: String,
    pub(super) mme: String,
    pub(super) cloudkit: String,
}

impl Tokens {
    /// Those of a generation: the one before is not accepted any more.
    pub(super) fn new(seed: u64, generation: u64) -> Self {
        let mut random = Random::new(seed, Stream::Keys, 100);
        let dsid = format!("{}", 10_000_000_000 + random.below(9_999_999_999));
        let user = format!("_{:016x}{:016x}", random.next(), random.next());
        let mut random = Random::new(seed, Stream::Keys, 101 + generation);
        Self {
            dsid,
            user,
            mme: format!("demo-mme-{:016x}", random.next()),
            cloudkit: format!("demo-cloudkit-{:016x}", random.next()),
        }
    }

    /// The session file (`packaging/` documents it).
    pub(super) fn session(&self, keys: &Keys, items: Items) -> Vec<u8> {
        let mut random = Random::new(keys.seed, Stream::Keys, 102);
        let session = json!({
            "dsid": self.dsid,
            "mme_auth_token": self.mme,
            "cloudkit_token": self.cloudkit,
            "device": {
                "uuid": random.uuid(),
                "udid": random.uuid(),
                "serial": format!("DEMO{:08X}", random.below(1 << 32)),
                "model": "Mac14,3",
                "os_version": "14.5",
                "os_build": "23F79",
                "name": "Demonstration",
            },
            "anisette": {"headers": {
                "X-Apple-I-MD": BASE64_STANDARD.encode(random.array::<24>()),
                "X-Apple-I-MD-M": BASE64_STANDARD.encode(random.array::<60>()),
                "X-Apple-I-MD-RINFO": "17106176",
            }},
            "handles": [format!("tel:{}", cast::OWN_NUMBER), format!("mailto:{}", cast::OWN_MAIL)],
            "invented": true,
            "items": keys.items(&self.dsid, items),
        });
        session.to_string().into_bytes()
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    let digits = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]);
    digits.collect()
}
