//! The invented account against our readers: everything that it writes opens, says what the account says of itself, and is
//! there whichever way the feed is read.
//!
//! Guards against an account that a sync could not be measured with.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use footbridge::apple::asset::Assembler;
use footbridge::apple::asset::AssetKeys;
use footbridge::apple::asset::FileHash;
use footbridge::apple::asset::Signed;
use footbridge::apple::identity::SignatureState;
use footbridge::apple::protection::ProtectionError;
use footbridge::apple::session::Keychain;
use footbridge::apple::session::Session;
use footbridge::apple::zone::RecordError;
use footbridge::apple::zone::ZoneError;
use footbridge::apple::zone::ZoneKeys;
use footbridge::base::ids::Guid;
use footbridge::codec::cloudkit::AssetGetResponse;
use footbridge::codec::cloudkit::AssetsToDownload;
use footbridge::codec::cloudkit::RecordChange;
use footbridge::codec::cloudkit::RetrieveChangesRequest;
use footbridge::codec::cloudkit::RetrieveChangesResponse;
use footbridge::codec::cloudkit::ZoneIdentifier;
use footbridge::codec::mmcs::AuthorizeGet;
use footbridge::decode::chatdb::Directory;
use footbridge::decode::cloudkit;
use footbridge::decode::cloudkit::Decoder;
use footbridge::demo::Account;
use footbridge::demo::Cloud;
use footbridge::demo::Dirtiness;
use footbridge::demo::Download;
use footbridge::demo::Items;
use footbridge::demo::Readable;
use footbridge::demo::Refusal;
use footbridge::demo::Truth;
use footbridge::demo::What;
use footbridge::demo::ZoneKind;
use footbridge::model::body::Body;
use footbridge::model::change::CloudChange;
use footbridge::model::change::CloudMessage;
use footbridge::model::conversation::Alias;
use footbridge::model::message::Author;
use footbridge::model::message::Kind;
use footbridge::model::record::ChatColumn;
use footbridge::model::record::CloudAsset;

const SEED: u64 = 7;

fn host() -> SocketAddr {
    "127.0.0.1:80".parse().unwrap()
}

fn keychain(account: &Account, items: Items) -> Keychain {
    let session = Session::decode(&account.session(items)).unwrap();
    let keychain = Keychain::read(&session.items);
    assert!(keychain.unreadable.is_empty());
    keychain
}

fn keys(account: &Account, zone: ZoneKind) -> ZoneKeys {
    let keychain = keychain(account, Items::All);
    let zone = account.zone(zone.name()).unwrap().zone.unwrap();
    ZoneKeys::open(&zone, keychain.keys()).unwrap()
}

/// Asks for a page.
fn page(
    account: &Account,
    zone: ZoneKind,
    token: Option<Bytes>,
    newest_first: bool,
) -> (RetrieveChangesResponse, Vec<AssetGetResponse>) {
    let credentials = account.credentials();
    let request = RetrieveChangesRequest {
        token,
        zone: Some(ZoneIdentifier::new(zone.name(), &credentials.user)),
        newest_first: Some(newest_first),
        assets: Some(AssetsToDownload {
            all: Some(matches!(
                zone,
                ZoneKind::Attachment | ZoneKind::BotAttachment
            )),
            fields: None,
        }),
        ..RetrieveChangesRequest::default()
    };
    account.changes(&request, host()).unwrap()
}

/// All changes of a feed, in their order, and where it ended.
fn feed(account: &Account, zone: ZoneKind, newest_first: bool) -> (Vec<RecordChange>, Bytes) {
    let mut changes = Vec::new();
    let mut token = None;
    loop {
        let (page, _) = page(account, zone, token, newest_first);
        let read = page.changes.into_iter();
        changes.extend(read.map(|change| RecordChange::read(change).unwrap()));
        if page.status == Some(RetrieveChangesResponse::CAUGHT_UP) {
            return (changes, page.token.unwrap());
        }
        token = page.token;
    }
}

/// What a feed leaves: the last change of each record, without those that were deleted.
fn kept(changes: Vec<RecordChange>) -> BTreeMap<String, RecordChange> {
    let mut kept = BTreeMap::new();
    for change in changes {
        let Some(name) = change.name().map(str::to_owned) else {
            continue;
        };
        match change.record {
            Some(_) => kept.insert(name, change),
            None => kept.remove(&name),
        };
    }
    kept
}

/// Names by which the chat records of each conversation can be found.
fn aliases(
    account: &Account,
    truths: &BTreeMap<String, Truth>,
) -> BTreeMap<String, BTreeSet<Alias>> {
    let keys = keys(account, ZoneKind::Chat);
    let mut decoder = Decoder::new(Directory::default());
    let mut found: BTreeMap<String, BTreeSet<Alias>> = BTreeMap::new();
    for (name, change) in kept(feed(account, ZoneKind::Chat, false).0) {
        let truth = &truths[&name];
        let mut record = change.record.unwrap();
        let sealed = match (keys.open_record(&mut record), truth.readable) {
            (Err(RecordError::MissingKey { .. }), Readable::MissingKey) => continue,
            (opened, _) => opened.unwrap(),
        };
        let CloudChange::Chat(chat) = decoder.decode(cloudkit::record(record, &sealed)) else {
            assert_eq!(truth.what, What::Foreign);
            continue;
        };
        check_unreadable(&chat.unreadable, truth);
        let row = &chat.chat.row;
        assert_eq!(row.text(ChatColumn::DisplayName), truth.text.as_deref());
        assert!(
            row.text(ChatColumn::GroupId)
                .unwrap()
                .eq_ignore_ascii_case(&truth.guid)
        );
        let names = found
            .entry(truth.conversation.as_ref().unwrap().as_str().to_owned())
            .or_default();
        names.extend(chat.aliases);
        names.extend(row.text(ChatColumn::Guid).map(Alias::chat));
        names.extend(row.text(ChatColumn::ChatIdentifier).map(Alias::room));
        names.extend(row.text(ChatColumn::GroupId).map(Alias::group_id));
    }
    found
}

fn truths(account: &Account, zone: ZoneKind) -> BTreeMap<String, Truth> {
    let truths = account.truths().filter(|truth| truth.zone == zone);
    truths.map(|truth| (truth.record.clone(), truth)).collect()
}

/// What could not be read is what the account says of it.
fn check_unreadable(unreadable: &[String], truth: &Truth) {
    match truth.readable {
        Readable::BadField(field) => assert!(
            !unreadable.is_empty() && unreadable.iter().all(|why| why.starts_with(field)),
            "{truth:?}: {unreadable:?}"
        ),
        Readable::Yes => assert_eq!(unreadable, [""; 0], "{truth:?}"),
        Readable::MissingKey => panic!("{truth:?} was opened"),
    }
}

fn check_message(found: &CloudMessage, truth: &Truth, aliases: &BTreeMap<String, BTreeSet<Alias>>) {
    let message = &found.change.message;
    let record = &truth.record;
    assert_eq!(
        Some(&message.guid),
        Guid::parse(&truth.guid).as_ref(),
        "{record}"
    );
    let text = message.body.as_ref().and_then(Body::shown);
    match truth.what {
        What::Message | What::Tapback(2_007) => {
            let expected = truth.text.as_ref().map(|text| text.trim().to_owned());
            assert_eq!(text, expected, "{record}");
        }
        What::Unsent => assert_eq!(message.unsent_parts, [0], "{record}"),
        What::Tapback(_) | What::Notice(_) | What::Chat | What::File | What::Foreign => {}
    }
    let author = match &truth.sender {
        _ if truth.is_from_me => Author::Owner,
        Some(sender) => {
            let Author::Other(handle) = &message.author else {
                panic!("{record} has no sender");
            };
            assert_eq!(handle.address(), sender, "{record}");
            message.author.clone()
        }
        None => message.author.clone(),
    };
    assert_eq!(message.author, author, "{record}");
    assert_eq!(
        matches!(message.kind, Kind::Tapback(_)),
        matches!(truth.what, What::Tapback(_)),
        "{record}"
    );
    let target = if let Kind::Tapback(tapback) = &message.kind {
        Some(&tapback.target)
    } else {
        message.reply_to.as_ref()
    };
    let expected = truth.target.as_deref().and_then(Guid::parse);
    assert_eq!(
        target.map(|target| &target.guid),
        expected.as_ref(),
        "{record}"
    );
    let files: BTreeSet<&str> = message
        .attachments
        .iter()
        .map(|file| file.guid.as_str())
        .collect();
    let expected = truth.files.iter().map(String::as_str);
    assert_eq!(files, expected.collect(), "{record}");
    let edits: Vec<String> = message
        .edits
        .iter()
        .flat_map(|edit| &edit.versions)
        .filter_map(|version| version.text.clone())
        .collect();
    if !truth.earlier.is_empty() {
        let texts = truth.earlier.iter().chain(&truth.text);
        assert_eq!(edits, texts.cloned().collect::<Vec<_>>(), "{record}");
    }
    let known: BTreeSet<&Alias> = match &truth.conversation {
        Some(key) => aliases.get(key.as_str()).into_iter().flatten().collect(),
        None => aliases.values().flatten().collect(),
    };
    let candidates = &found.change.placement.candidates;
    let key = truth.conversation.as_ref().map(Alias::key);
    let is_placed = candidates
        .iter()
        .any(|candidate| known.contains(candidate) || Some(candidate) == key.as_ref());
    assert_eq!(is_placed, truth.conversation.is_some(), "{record}");
}

/// Reads all messages of a zone. Answers how many of them can be read how.
fn check_messages(zone: ZoneKind) -> BTreeMap<String, usize> {
    let account = Account::new(SEED, 2_050, Dirtiness::AsSeen);
    let keys = keys(&account, zone);
    let expected = truths(&account, zone);
    let aliases = aliases(&account, &truths(&account, ZoneKind::Chat));
    let mut decoder = Decoder::new(Directory::default());

    let kept = kept(feed(&account, zone, false).0);

    let names = |from: Vec<&String>| from.into_iter().cloned().collect::<BTreeSet<_>>();
    assert_eq!(
        names(kept.keys().collect()),
        names(expected.keys().collect())
    );
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (name, change) in kept {
        let truth = &expected[&name];
        *counts.entry(format!("{:?}", truth.readable)).or_default() += 1;
        let mut record = change.record.unwrap();
        let sealed = match (keys.open_record(&mut record), truth.readable) {
            (Err(RecordError::MissingKey { .. }), Readable::MissingKey) => continue,
            (opened, _) => opened.unwrap(),
        };
        let change = decoder.decode(cloudkit::record(record, &sealed));
        if matches!(change, CloudChange::Foreign(_)) {
            assert_eq!(truth.what, What::Foreign);
            continue;
        }
        let CloudChange::Message(found) = change else {
            panic!("{name} is something else");
        };
        check_unreadable(&found.change.message.unreadable, truth);
        check_message(&found, truth, &aliases);
    }
    assert!(counts.remove("Yes").unwrap() > 100);
    counts
}

#[test]
fn every_message_says_what_the_account_says_of_it() {
    let expected = [
        ("BadField(\"msgProto\")", 4),
        ("BadField(\"sender\")", 2),
        ("MissingKey", 4),
    ];
    assert_eq!(
        check_messages(ZoneKind::Message),
        expected
            .map(|(what, count)| (what.to_owned(), count))
            .into()
    );
}

#[test]
fn businesses_write_in_zones_of_their_own() {
    let expected = [("BadField(\"msgProto\")", 2), ("BadField(\"sender\")", 2)];
    assert_eq!(
        check_messages(ZoneKind::BotMessage),
        expected
            .map(|(what, count)| (what.to_owned(), count))
            .into()
    );
    let clean = Account::new(SEED, 2_050, Dirtiness::Clean);
    for zone in ZoneKind::OF_BUSINESSES {
        assert_eq!(
            clean.zone(zone.name()).err(),
            Some(Refusal::client(Refusal::ZONE_NOT_FOUND))
        );
    }
}

#[test]
fn a_clean_account_can_be_read_whole() {
    let account = Account::new(SEED, 1_100, Dirtiness::Clean);

    let unreadable = account
        .truths()
        .find(|truth| truth.readable != Readable::Yes);

    assert_eq!(unreadable, None);
    assert!(account.truths().count() > 1_100);
}

#[test]
fn a_seed_gives_the_same_account_and_another_seed_another() {
    let bytes = |seed| {
        let account = Account::new(seed, 300, Dirtiness::AsSeen);
        let pages = ZoneKind::ALL.map(|zone| page(&account, zone, None, false).0);
        let zones = ZoneKind::ALL.map(|zone| account.zone(zone.name()).unwrap());
        (account.session(Items::All), pages, zones)
    };

    assert!(bytes(1) == bytes(1));
    assert!(bytes(1) != bytes(2));
}

#[test]
fn the_feed_read_from_its_end_holds_every_record_as_it_is() {
    let account = Account::new(SEED, 730, Dirtiness::AsSeen).with_pages(64);
    let added = account.add_message(1, "one more").unwrap();

    for zone in ZoneKind::ALL {
        let forward = kept(feed(&account, zone, false).0);
        let (backward, token) = feed(&account, zone, true);

        assert!(kept(backward) == forward, "{zone:?}");
        if zone == ZoneKind::Message {
            account.edit_message(&added, "one more, changed");
            let (rest, _) = page(&account, zone, Some(token), true);
            assert_eq!(rest.changes.len(), 1);
            assert_eq!(rest.status, Some(RetrieveChangesResponse::CAUGHT_UP));
        }
    }
}

/// A file that could be fetched: its record's name, the field, and what is said of it.
type Offered = (String, &'static str, CloudAsset, AssetGetResponse);

/// Reads all files of a zone, and keeps their keys.
fn offered(account: &Account, zone: ZoneKind, known: &mut AssetKeys) -> Vec<Offered> {
    let keys = keys(account, zone);
    let truths = truths(account, zone);
    let mut decoder = Decoder::new(Directory::default());
    let mut token = None;
    let mut opened = Vec::new();
    loop {
        let (page, assets) = page(account, zone, token, false);
        for change in page.changes {
            let change = RecordChange::read(change).unwrap();
            let Some((truth, mut record)) = change
                .name()
                .and_then(|name| truths.get(name))
                .zip(change.record.clone())
            else {
                continue;
            };
            let sealed = match (keys.open_record(&mut record), truth.readable) {
                (Err(RecordError::MissingKey { .. }), Readable::MissingKey) => continue,
                (sealed, _) => sealed.unwrap(),
            };
            let CloudChange::Attachment(found) = decoder.decode(cloudkit::record(record, &sealed))
            else {
                assert_eq!(truth.what, What::Foreign);
                continue;
            };
            check_unreadable(&found.unreadable, truth);
            let is_known = truth.readable != Readable::BadField("cm");
            assert_eq!(found.attachment.is_some(), is_known, "{truth:?}");
            for field in ["lqa", "avid"] {
                let Some(asset) = found.record.asset(field).cloned() else {
                    continue;
                };
                if let Some(key) = &asset.key {
                    known.insert(key.clone());
                }
                let id = asset.request_id.clone();
                let body = assets.iter().find(|answer| answer.asset_id == id).unwrap();
                if asset.sealed_key.is_none() {
                    opened.push((found.record.name.clone(), field, asset, body.clone()));
                }
            }
        }
        token = page.token;
        if page.status == Some(RetrieveChangesResponse::CAUGHT_UP) {
            return opened;
        }
    }
}

#[test]
fn every_file_comes_together_and_is_what_was_signed() {
    let account = Account::new(SEED, 2_000, Dirtiness::AsSeen);
    let keychain = keychain(&account, Items::All);
    let mut known = AssetKeys::default();
    let mut opened = offered(&account, ZoneKind::Attachment, &mut known);
    opened.extend(offered(&account, ZoneKind::BotAttachment, &mut known));
    let known = Arc::new(known);
    let mut largest = 0;

    for (name, field, asset, answer) in &opened {
        let answer = AuthorizeGet::read(answer.body.clone().unwrap()).unwrap();
        let plan = answer.plan(&asset.signature).unwrap();
        let mut assembler = Assembler::new(plan, asset.key.as_ref(), &known);
        let containers = &answer.payload.as_ref().unwrap().containers;
        let mut chunks = BTreeMap::new();
        for container in assembler.containers() {
            let request = containers[container].request.as_ref().unwrap();
            let (path, query) = request.path.split_once('?').unwrap();
            let download = Download {
                path: path.split('/').skip(1).collect(),
                generation: query.strip_prefix("g="),
                ticket: request.headers[0].value.as_deref(),
            };
            let bytes = account.container(&download).unwrap();
            for chunk in assembler.push(container, &bytes).unwrap() {
                chunks.insert(chunk.index, chunk.bytes);
            }
            assembler.end(container).unwrap();
        }
        assembler.finish(asset.size).unwrap();
        let file: Vec<u8> = chunks.into_values().flatten().collect();
        let mut hash = FileHash::new(&asset.signature);
        hash.update(&file);
        assert_eq!(
            hash.finish(&asset.signature, keychain.boundary()),
            Signed::Good
        );
        if *field == "lqa" {
            assert_eq!(account.file(name), Some(file.clone()), "{name}");
        }
        largest = largest.max(file.len());
    }
    assert!(
        largest > 300_000 && opened.len() > 200,
        "{largest} {}",
        opened.len()
    );
}

#[test]
fn pictures_are_pictures() {
    let account = Account::new(SEED, 300, Dirtiness::Clean);
    let mut decoded = 0;

    for truth in account.truths().filter(|truth| truth.what == What::File) {
        let ending = truth
            .text
            .as_deref()
            .unwrap()
            .rsplit('.')
            .next()
            .unwrap()
            .to_owned();
        if matches!(ending.as_str(), "png" | "jpeg") {
            let picture = image::load_from_memory(&account.file(&truth.record).unwrap());
            assert!(picture.unwrap().width() >= 8);
            decoded += 1;
        }
    }

    assert_eq!(decoded, 18);
}

#[test]
fn what_changes_later_is_in_the_feed_and_in_the_truth() {
    let account = Account::new(SEED, 200, Dirtiness::Clean);
    let (_, token) = feed(&account, ZoneKind::Message, false);
    let (_, recoverable) = feed(&account, ZoneKind::Recoverable, false);
    let old = account
        .truths()
        .find(|truth| truth.what == What::Message && truth.text.is_some())
        .unwrap();
    let truth = |record: &str| account.truth(ZoneKind::Message, record);

    let new = account.add_message(2, "hello").unwrap();
    assert!(account.edit_message(&new, "hello again"));
    assert!(account.delete_message(&old.record));
    assert!(!account.delete_message(&old.record));
    let gone = account.discard_message(&new).unwrap();

    assert_eq!(truth(&old.record), None);
    assert_eq!(truth(&new), None);
    assert_eq!(
        account
            .truth(ZoneKind::Recoverable, &gone)
            .unwrap()
            .text
            .as_deref(),
        Some("hello again")
    );
    let (page_after, _) = page(&account, ZoneKind::Message, Some(token), false);
    assert_eq!(page_after.changes.len(), 4);
    let (deleted, _) = page(&account, ZoneKind::Recoverable, Some(recoverable), false);
    assert_eq!(deleted.changes.len(), 1);

    assert!(account.restore_message(&new));
    assert!(!account.restore_message(&new));
    let restored = truth(&new).unwrap();
    assert_eq!(restored.text.as_deref(), Some("hello again"));
    assert_eq!(restored.earlier, ["hello"]);
    assert_eq!(account.truth(ZoneKind::Recoverable, &gone), None);
}

#[test]
fn a_missing_key_or_item_comes_later() {
    let account = Account::new(SEED, 100, Dirtiness::AsSeen);
    let zone = || {
        account
            .zone(ZoneKind::Message.name())
            .unwrap()
            .zone
            .unwrap()
    };
    let missing = |truth: &Truth| truth.readable == Readable::MissingKey;
    let without = keychain(&account, Items::WithoutOlderIdentity);

    let error = ZoneKeys::open(&zone(), without.keys()).unwrap_err();
    assert_eq!(error, ZoneError::Zone(ProtectionError::NotForUs));
    let closed = |zone| {
        truths(&account, zone)
            .values()
            .filter(|truth| missing(truth))
            .count()
    };
    assert_eq!(closed(ZoneKind::Message), 1);
    assert_eq!(closed(ZoneKind::Chat), 1);
    assert_eq!(keys(&account, ZoneKind::Message).records().keys().len(), 2);
    account.deliver_key();

    assert_eq!(account.truths().filter(missing).count(), 0);
    assert_eq!(keys(&account, ZoneKind::Message).records().keys().len(), 3);
    let all = keychain(&account, Items::All);
    assert!(
        all.signatures()
            .all(|(_, state)| state == SignatureState::Good)
    );
}

#[test]
fn tokens_end_with_a_reset_and_zones_can_be_away() {
    let account = Account::new(SEED, 100, Dirtiness::Clean);
    let (_, token) = feed(&account, ZoneKind::Chat, false);
    let request = RetrieveChangesRequest {
        token: Some(token),
        zone: Some(ZoneIdentifier::new(ZoneKind::Chat.name(), "_")),
        ..RetrieveChangesRequest::default()
    };
    let ask = || {
        account
            .changes(&request, host())
            .map(|(page, _)| page.changes.len())
    };

    assert_eq!(ask(), Ok(0));
    account.reset(ZoneKind::Chat.name());
    assert_eq!(ask(), Err(Refusal::client(Refusal::RESET_NEEDED)));
    account.set_zone(ZoneKind::Chat, false);
    assert_eq!(ask(), Err(Refusal::client(Refusal::ZONE_NOT_FOUND)));
    account.set_zone(ZoneKind::Chat, true);
    assert_eq!(ask(), Err(Refusal::client(Refusal::RESET_NEEDED)));
}

#[test]
fn a_million_messages_take_no_time_until_they_are_asked_for() {
    let account = Account::new(SEED, 1_000_000, Dirtiness::AsSeen);

    let (newest, _) = page(&account, ZoneKind::Message, None, true);
    let (oldest, _) = page(&account, ZoneKind::Message, None, false);

    assert_eq!((newest.changes.len(), oldest.changes.len()), (200, 200));
    assert_eq!(newest.status, oldest.status);
    assert_eq!(account.conversations(), 400);
}
