//! Messages in iCloud in memory: the pages of the vectors, or an invented account; faults on demand.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use footbridge::apple::asset::PlainChunk;
use footbridge::apple::session::Session;
use footbridge::base::ids::ChangeToken;
use footbridge::base::ids::RecordName;
use footbridge::base::ids::ZoneName;
use footbridge::base::secret::Secret;
use footbridge::codec::cloudkit::Date;
use footbridge::codec::cloudkit::Field;
use footbridge::codec::cloudkit::Named;
use footbridge::codec::cloudkit::Record;
use footbridge::codec::cloudkit::RecordChange;
use footbridge::codec::cloudkit::RecordIdentifier;
use footbridge::codec::cloudkit::RecordTimes;
use footbridge::codec::cloudkit::Value;
use footbridge::codec::cloudkit::Zone;
use footbridge::codec::cloudkit::ZoneIdentifier;
use footbridge::codec::cloudkit::decode_responses;
use footbridge::codec::cloudkit::deflate;
use footbridge::ingest::cloudkit::Connect;
use footbridge::model::record::CloudZone;
use footbridge::source::cloudkit::Answers;
use footbridge::source::cloudkit::Assets;
use footbridge::source::cloudkit::ChangesPage;
use footbridge::source::cloudkit::ChangesRequest;
use footbridge::source::cloudkit::Cloud;
use footbridge::source::cloudkit::CloudError;
use footbridge::source::cloudkit::Download;
use footbridge::source::cloudkit::DownloadError;
use footbridge::source::cloudkit::FetchedRecord;
use footbridge::source::cloudkit::FileRequest;
use footbridge::source::cloudkit::Reaction;
use footbridge::source::cloudkit::SetupError;
use footbridge::source::cloudkit::Summary;
use footbridge::source::cloudkit::ZoneAnswer;
use footbridge::store::Store;
use footbridge::store::value::CloudAccount;
use serde_json::json;

use crate::support::history::NOW;

/// A file of the vectors.
pub(crate) fn vector(file: &str) -> Bytes {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/cloudkit");
    fs::read(root.join(file)).unwrap().into()
}

/// A JSON file of the vectors.
pub(crate) fn vector_json(file: &str) -> serde_json::Value {
    serde_json::from_slice(&vector(file)).unwrap()
}

/// The session file of the vectors' account, with the keychain items that `keep` chooses.
pub(crate) fn session(keep: impl Fn(&serde_json::Value) -> bool) -> Vec<u8> {
    let keys = vector_json("keys.json");
    let items = keys["items"].as_array().unwrap().iter();
    let items: Vec<_> = items.filter(|item| keep(item)).collect();
    let session = json!({
        "dsid": "1", "mme_auth_token": "a", "cloudkit_token": "b", "handles": ["+15550100001"], "items": items,
    });
    serde_json::to_vec(&session).unwrap()
}

/// Imports a session.
pub(crate) fn import(store: &Store, session: Vec<u8>) {
    let put = |tx: &mut footbridge::store::Transaction<'_>| {
        let before = tx.cloud_account()?;
        tx.put_cloud_account(&CloudAccount {
            session: Secret::new(session),
            imports: before.map_or(1, |before| before.imports + 1),
            imported: NOW,
            device: None,
            user_id: None,
        })
    };
    store.write::<footbridge::store::StoreError>(put).unwrap();
}

/// What can go wrong with a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Busy,
    Throttled(u64),
    Unanswered,
    Damaged,
    Stall,
    Reset,
    KeysChanged,
    Unauthorized,
    Gone,
    NoToken,
    Refused,
}

/// Decides about the nth question.
pub(crate) type Faults = Box<dyn FnMut(CloudZone, u64) -> Option<Fault> + Send>;

struct Inner {
    feeds: BTreeMap<CloudZone, Vec<Bytes>>,
    zones: BTreeMap<CloudZone, Zone>,
    page: usize,
    faults: Faults,
    asked: u64,
    /// Questions for pages and for zones, in order: zone, and whether it was a page.
    log: Vec<(CloudZone, bool)>,
}

/// An account in memory. Clones are the same.
#[derive(Clone)]
pub(crate) struct Account(Arc<Mutex<Inner>>);

impl Account {
    /// An account with these feeds, in pages of so many changes. Its zones are those of the vectors.
    pub(crate) fn new(feeds: BTreeMap<CloudZone, Vec<Bytes>>, page: usize) -> Self {
        let mut zones = BTreeMap::new();
        for answer in decode_responses(&vector("zones/zone-retrieve.response.bin")).unwrap() {
            for summary in answer.zone_retrieve.unwrap_or_default().zones {
                let zone = summary.zone.unwrap();
                let name = zone.identifier.as_ref().unwrap().name().unwrap().to_owned();
                let known = CloudZone::ALL.into_iter().find(|it| it.name() == name);
                zones.insert(known.unwrap(), zone);
            }
        }
        Self(Arc::new(Mutex::new(Inner {
            feeds,
            zones,
            page,
            faults: Box::new(|_, _| None),
            asked: 0,
            log: Vec::new(),
        })))
    }

    /// The account of the vectors.
    pub(crate) fn of_vectors(page: usize) -> Self {
        let mut feeds: BTreeMap<CloudZone, Vec<Bytes>> = BTreeMap::new();
        let manifest = vector_json("manifest.json");
        for entry in manifest["files"].as_array().unwrap() {
            if entry["changes"].is_null() {
                continue;
            }
            let name = entry["zone"].as_str().unwrap();
            let zone = CloudZone::ALL.into_iter().find(|it| it.name() == name);
            for answer in decode_responses(&vector(entry["file"].as_str().unwrap())).unwrap() {
                let changes = answer.retrieve_changes.unwrap().changes;
                feeds.entry(zone.unwrap()).or_default().extend(changes);
            }
        }
        Self::new(feeds, page)
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    pub(crate) fn set_faults(
        &self,
        faults: impl FnMut(CloudZone, u64) -> Option<Fault> + Send + 'static,
    ) {
        self.inner().faults = Box::new(faults);
    }

    /// Adds changes at the end of a feed.
    pub(crate) fn push(&self, zone: CloudZone, changes: Vec<Bytes>) {
        self.inner().feeds.entry(zone).or_default().extend(changes);
    }

    /// Replaces a feed.
    pub(crate) fn replace(&self, zone: CloudZone, changes: Vec<Bytes>) {
        self.inner().feeds.insert(zone, changes);
    }

    /// What was asked since the last time: zones, and whether it was a page.
    pub(crate) fn take_log(&self) -> Vec<(CloudZone, bool)> {
        std::mem::take(&mut self.inner().log)
    }

    fn fault(&self, zone: CloudZone, is_page: bool) -> Option<Fault> {
        let mut inner = self.inner();
        inner.log.push((zone, is_page));
        inner.asked += 1;
        let asked = inner.asked;
        (inner.faults)(zone, asked)
    }

    fn page_after(
        &self,
        zone: CloudZone,
        token: Option<&ChangeToken>,
    ) -> Result<ChangesPage, CloudError> {
        let inner = self.inner();
        let Some(feed) = inner
            .feeds
            .get(&zone)
            .filter(|_| inner.zones.contains_key(&zone))
        else {
            return Err(refused(Reaction::ZoneGone, 48));
        };
        let begin = token.map_or(0, |token| {
            usize::try_from(u64::from_le_bytes(token.as_bytes().try_into().unwrap())).unwrap()
        });
        let begin = begin.min(feed.len());
        let end = feed.len().min(begin + inner.page);
        Ok(ChangesPage {
            changes: feed[begin..end].to_vec(),
            token: ChangeToken::from_bytes(&(end as u64).to_le_bytes()),
            is_last: end == feed.len(),
        })
    }
}

fn refused(reaction: Reaction, client: i32) -> CloudError {
    CloudError::Refused {
        reaction,
        client: Some(client),
        server: None,
    }
}

fn zone_of(name: &ZoneName) -> CloudZone {
    let found = CloudZone::ALL
        .into_iter()
        .find(|zone| zone.name() == name.as_str());
    found.unwrap()
}

/// What a fault does before the question is answered at all.
async fn suffer(fault: Option<Fault>) -> Result<Option<Fault>, CloudError> {
    match fault {
        Some(Fault::Busy) => Err(CloudError::Status {
            status: 503,
            after: None,
        }),
        Some(Fault::Throttled(seconds)) => Err(CloudError::Refused {
            reaction: Reaction::Wait(Some(Duration::from_secs(seconds))),
            client: Some(6),
            server: None,
        }),
        Some(Fault::Unanswered) => Err(CloudError::Unanswered),
        Some(Fault::Damaged) => Err(CloudError::Empty { wanted: "page" }),
        Some(Fault::Stall) => std::future::pending().await,
        Some(Fault::Unauthorized) => Err(CloudError::Status {
            status: 401,
            after: None,
        }),
        Some(Fault::Refused) => Err(refused(Reaction::Permanent, 4)),
        Some(Fault::Gone) => Err(refused(Reaction::ZoneGone, 59)),
        Some(Fault::KeysChanged) => Err(refused(Reaction::RefreshKeys, 53)),
        other @ (Some(Fault::Reset | Fault::NoToken) | None) => Ok(other),
    }
}

pub(crate) struct NoDownload;

impl Download for NoDownload {
    async fn next(&mut self) -> Result<Option<PlainChunk>, DownloadError> {
        Err(DownloadError::Gone)
    }
}

impl Cloud for Account {
    type Download = NoDownload;

    async fn user_id(&self) -> Result<String, CloudError> {
        Ok("_user".to_owned())
    }

    async fn zones(&self, zones: &[ZoneName]) -> Answers<ZoneAnswer> {
        let [zone] = zones else {
            panic!("one zone at a time")
        };
        let zone = zone_of(zone);
        if let Some(Fault::Reset) = suffer(self.fault(zone, false)).await? {
            return Ok(vec![Err(refused(Reaction::Wait(None), 15))]);
        }
        let found = self.inner().zones.get(&zone).cloned();
        let answer = found.map(|zone| ZoneAnswer { zone, end: None });
        Ok(vec![answer.ok_or_else(|| refused(Reaction::ZoneGone, 48))])
    }

    async fn changes(&self, requests: &[ChangesRequest]) -> Answers<ChangesPage> {
        let [request] = requests else {
            panic!("one zone at a time")
        };
        let zone = zone_of(&request.zone);
        let fault = suffer(self.fault(zone, true)).await?;
        let page = self.page_after(zone, request.token.as_ref());
        Ok(vec![match (fault, page) {
            (Some(Fault::Reset), _) => Err(refused(Reaction::ResetZone, 17)),
            (Some(Fault::NoToken), Ok(page)) => Ok(ChangesPage {
                token: None,
                is_last: false,
                ..page
            }),
            (_, page) => page,
        }])
    }

    async fn records(
        &self,
        _: &ZoneName,
        names: &[RecordName],
        _: Assets,
    ) -> Answers<FetchedRecord> {
        Ok(names.iter().map(|_| Err(CloudError::Unanswered)).collect())
    }

    async fn summary(&self) -> Result<Summary, CloudError> {
        Ok(Summary::default())
    }

    fn download(&self, _: FileRequest) -> NoDownload {
        NoDownload
    }
}

impl Connect for Account {
    type Cloud = Self;

    fn connect(&self, _: &Session, _: &CloudAccount) -> Result<Arc<Self>, SetupError> {
        Ok(Arc::new(self.clone()))
    }
}

// ---- an invented account, in clear

pub(crate) fn text(value: &str) -> Value {
    Value {
        kind: Some(3),
        string: Some(value.to_owned()),
        ..Value::default()
    }
}

pub(crate) fn integer(value: i64) -> Value {
    Value {
        kind: Some(7),
        signed: Some(value),
        ..Value::default()
    }
}

pub(crate) fn bytes(value: Vec<u8>) -> Value {
    Value {
        kind: Some(1),
        bytes: Some(value.into()),
        ..Value::default()
    }
}

fn change(zone: CloudZone, name: &str, record: Option<Record>) -> Bytes {
    let identifier = RecordIdentifier::new(name, ZoneIdentifier::new(zone.name(), "_user"));
    RecordChange {
        identifier: Some(identifier),
        record,
        ..RecordChange::default()
    }
    .write()
}

/// A record as it is now.
pub(crate) fn record(zone: CloudZone, name: &str, kind: &str, fields: Vec<(&str, Value)>) -> Bytes {
    let identifier = RecordIdentifier::new(name, ZoneIdentifier::new(zone.name(), "_user"));
    let fields = fields
        .into_iter()
        .map(|(name, value)| Field::new(name, value));
    let record = Record {
        identifier: Some(identifier),
        kind: Some(Named::new(kind)),
        fields: fields.collect(),
        times: Some(RecordTimes {
            created: None,
            modified: Some(Date {
                seconds: Some(760_000_000.0),
            }),
        }),
        ..Record::default()
    };
    change(zone, name, Some(record))
}

/// A record that was deleted.
pub(crate) fn deleted(zone: CloudZone, name: &str) -> Bytes {
    change(zone, name, None)
}

/// A part of a message, as it stands in `msgProto`: texts by their numbers.
pub(crate) fn part(texts: &[(u8, &str)]) -> Value {
    let mut plain = Vec::new();
    for (number, text) in texts {
        plain.extend([number << 3 | 2, u8::try_from(text.len()).unwrap()]);
        plain.extend(text.as_bytes());
    }
    bytes(deflate(&plain))
}

/// A message in a zone.
pub(crate) fn message_in(
    zone: CloudZone,
    name: &str,
    guid: &str,
    (chat, sender): (&str, Option<&str>),
    time: i64,
    body: &str,
) -> Bytes {
    let flags = if sender.is_none() {
        1 | 1 << 2 | 1 << 15
    } else {
        1
    };
    let mut fields = vec![
        ("guid", text(guid)),
        ("chatID", text(chat)),
        ("svc", text("iMessage")),
        ("dcId", text("+15550100001")),
        ("time", integer(time)),
        ("flags", integer(flags)),
        ("msgProto", part(&[(3, body)])),
    ];
    fields.extend(sender.map(|sender| ("sender", text(sender))));
    let kind = if zone.is_recently_deleted() {
        "recoverableMessage"
    } else {
        "MessageEncryptedV3"
    };
    record(zone, name, kind, fields)
}

/// A message.
pub(crate) fn message(
    name: &str,
    guid: &str,
    whom: (&str, Option<&str>),
    time: i64,
    body: &str,
) -> Bytes {
    message_in(CloudZone::Messages, name, guid, whom, time, body)
}

/// A chat: a group with a group id, or one with a person.
pub(crate) fn chat(
    name: &str,
    identifier: &str,
    group: Option<&str>,
    title: Option<&str>,
) -> Bytes {
    let style = if group.is_some() { 43 } else { 45 };
    let separator = if group.is_some() { '+' } else { '-' };
    let mut fields = vec![
        ("stl", integer(style)),
        ("cid", text(identifier)),
        ("svc", text("iMessage")),
        ("guid", text(&format!("iMessage;{separator};{identifier}"))),
        ("lah", text("+15550100001")),
    ];
    fields.extend(group.map(|group| ("gid", text(group))));
    fields.extend(title.map(|title| ("name", text(title))));
    record(CloudZone::Chats, name, "chatEncryptedv2", fields)
}

/// A state of a group with these members.
pub(crate) fn group(name: &str, identifier: &str, group: &str, members: &[&str]) -> Bytes {
    let member = |address: &&str| {
        let scheme = if address.contains('@') {
            "mailto"
        } else {
            "tel"
        };
        let person = plist::Value::String(format!("{scheme}:{address}"));
        let list: plist::Dictionary = [("FZPersonID".to_owned(), person)].into_iter().collect();
        let mut written = Vec::new();
        plist::Value::Dictionary(list)
            .to_writer_binary(&mut written)
            .unwrap();
        bytes(written)
    };
    let list = Value {
        kind: Some(11),
        list: members.iter().map(member).collect(),
        ..Value::default()
    };
    let fields = vec![
        ("stl", integer(43)),
        ("cid", text(identifier)),
        ("svc", text("iMessage")),
        ("guid", text(&format!("iMessage;+;{identifier}"))),
        ("gid", text(group)),
        ("ptcpts", list),
        ("lah", text("+15550100001")),
    ];
    record(CloudZone::Chats, name, "chatEncryptedv2", fields)
}
