//! Samples of what is stored of CloudKit.

use footbridge::base::ids::RowId;
use footbridge::base::secret::Secret;
use footbridge::base::time::AppleTime;
use footbridge::model::record::CloudAsset;
use footbridge::model::record::CloudRecord;
use footbridge::model::record::CloudValue;
use footbridge::store::value::Became;
use footbridge::store::value::CloudAccount;
use footbridge::store::value::Ended;
use footbridge::store::value::Opaque;
use footbridge::store::value::StoredBlob;
use footbridge::store::value::StoredCloudRecord;
use footbridge::store::value::StoredDownload;
use footbridge::store::value::ZoneState;

use crate::support::samples::Sample;

fn at(nanos: i64) -> AppleTime {
    AppleTime::from_nanos(nanos)
}

/// One of each type with everything in it, one with nothing, one for each variant.
pub(crate) fn cloud() -> Vec<Sample> {
    let mut samples = vec![
        Sample::new("rich", rich_record()),
        Sample::new("minimal", StoredCloudRecord::default()),
        Sample::new("rich", rich_zone()),
        Sample::new("minimal", ZoneState::default()),
        Sample::new(
            "rich",
            CloudAccount {
                session: Secret::new(b"{}".to_vec()),
                imports: 300,
                imported: at(-1),
                device: Some(Secret::new(b"{\"name\":\"a\"}".to_vec())),
                user_id: Some("_0123".to_owned()),
            },
        ),
        Sample::new(
            "minimal",
            CloudAccount {
                session: Secret::default(),
                imports: 0,
                imported: at(0),
                device: None,
                user_id: None,
            },
        ),
        Sample::new(
            "rich",
            StoredBlob {
                size_bytes: 1_044_481,
                chunks: RowId(300),
                files: vec![RowId(7), RowId(251)],
                stored: at(-1),
            },
        ),
        Sample::new(
            "minimal",
            StoredBlob {
                size_bytes: 0,
                chunks: RowId(1),
                files: Vec::new(),
                stored: at(0),
            },
        ),
        Sample::new(
            "rich",
            StoredDownload {
                signature: Opaque(vec![1, 2, 3]),
                chunks: RowId(300),
                pieces: vec![262_144, 5],
                begun: at(-1),
            },
        ),
        Sample::new(
            "minimal",
            StoredDownload {
                signature: Opaque(Vec::new()),
                chunks: RowId(1),
                pieces: Vec::new(),
                begun: at(0),
            },
        ),
    ];
    let became = [
        ("chat", Became::Chat(RowId(251))),
        ("attachment", Became::Attachment(RowId(3))),
        ("missing key", Became::MissingKey),
        ("unreadable", Became::Unreadable),
        ("foreign", Became::Foreign),
    ];
    samples.extend(became.map(|(name, became)| {
        let record = StoredCloudRecord {
            became,
            ..StoredCloudRecord::default()
        };
        Sample::new(name, record)
    }));
    let ended = [
        ("token unchanged", Ended::TokenUnchanged),
        ("page cap", Ended::PageCap),
        ("errors", Ended::Errors("iCloud is busy".to_owned())),
        ("cancelled", Ended::Cancelled),
        ("gone", Ended::Gone),
        ("blocked", Ended::Blocked),
    ];
    samples.extend(ended.map(|(name, ended)| {
        let state = ZoneState {
            ended,
            ..ZoneState::default()
        };
        Sample::new(name, state)
    }));
    samples
}

fn rich_record() -> StoredCloudRecord {
    let asset = CloudAsset {
        signature: vec![4; 21],
        reference_signature: vec![1; 21],
        size: Some(1 << 40),
        key: Some(Secret::new(vec![7; 32])),
        sealed_key: Some(vec![3, 0]),
        request_id: Some("asset-1".to_owned()),
    };
    let fields = [
        ("sender", CloudValue::Missing),
        ("dcId", CloudValue::Absent),
        ("cm", CloudValue::Bytes(vec![0x1f, 0x8b])),
        ("guid", CloudValue::Text("1a2b".to_owned())),
        ("flags", CloudValue::Integer(-300)),
        ("real", CloudValue::Real(1.5)),
        ("utm", CloudValue::Date(-0.25)),
        (
            "ptcpts",
            CloudValue::List(vec![CloudValue::List(vec![CloudValue::Absent])]),
        ),
        ("lqa", CloudValue::Asset(asset)),
        ("avid", CloudValue::Asset(CloudAsset::default())),
        (
            "msgProto",
            CloudValue::Sealed {
                bytes: vec![3],
                reason: "the envelope ends too early".to_owned(),
            },
        ),
        ("place", CloudValue::Other(vec![8, 4])),
    ];
    StoredCloudRecord {
        decoder: 300,
        became: Became::Message(RowId(300)),
        deleted: Some(at(i64::MIN)),
        seen: 2,
        others: vec![RowId(1), RowId(251)],
        raw: Some(Opaque(vec![10, 0])),
        record: CloudRecord {
            zone: "messageManateeZone".to_owned(),
            name: "0123456789abcdef0123456789abcdef".to_owned(),
            kind: "MessageEncryptedV3".to_owned(),
            etag: Some("1a".to_owned()),
            created: Some(at(1)),
            modified: Some(at(i64::MAX)),
            fields: fields
                .map(|(name, value)| (name.to_owned(), value))
                .to_vec(),
        },
    }
}

fn rich_zone() -> ZoneState {
    ZoneState {
        token: Some(Opaque(vec![1, 2, 3])),
        resets: 1,
        caught_up: Some(at(5)),
        complete: Some(at(4)),
        ended: Ended::CaughtUp,
        ended_at: Some(at(6)),
        pages: 300,
        changes: 1 << 32,
        protection: Some(Opaque(vec![10])),
    }
}
