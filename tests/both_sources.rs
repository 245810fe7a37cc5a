//! One invented account twice: as a chat.db and as the loopback iCloud, which overlap and differ. Each message is one,
//! seen in both, whichever source comes first; what they say differently is said by `explain`.
//!
//! Guards against messages that are doubled or lost where two sources meet, and against one of them deleting or adding what
//! the other one knows better.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use footbridge::demo::Account;
use footbridge::demo::Dirtiness;
use footbridge::demo::Faults;
use footbridge::demo::Items;
use footbridge::demo::Readable;
use footbridge::demo::Truth;
use footbridge::demo::What;
use footbridge::demo::ZoneKind;
use footbridge::model::record::CloudZone;
use serde_json::Value;

use crate::support::chatdb::Fixture;
use crate::support::chatdb::MacOs;
use crate::support::cloud_account;
use crate::support::cloud_account::chat;
use crate::support::cloud_account::deleted;
use crate::support::cloud_account::message;
use crate::support::history;
use crate::support::history::assert_sound;
use crate::support::history::export;
use crate::support::history::guid;
use crate::support::home::Home;
use crate::support::icloud::ICloud;
use crate::support::syncing::at;
use crate::support::syncing::line;
use crate::support::syncing::new_store;
use crate::support::syncing::pass;
use crate::support::syncing::syncing_later;

const ADA: &str = "+15550100021";
const BEA: &str = "bea@example.org";
const WHOM: (&str, Option<&str>) = ("iMessage;-;+15550100021", Some(ADA));

/// Messages that the Mac alone has.
const OWN: i64 = 15;

/// What becomes of a message of the account on the Mac.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnMac {
    Missing,
    Same,
    Other,
}

/// Some messages of an account with one other person each, and what the Mac has of them.
fn shared(account: &Account) -> Vec<(Truth, OnMac)> {
    let is_plain = |truth: &Truth| {
        let is_direct = truth
            .conversation
            .as_ref()
            .is_some_and(|key| key.as_str().starts_with("dm:"));
        truth.zone == ZoneKind::Message
            && truth.what == What::Message
            && truth.readable == Readable::Yes
            && is_direct
            && truth.earlier.is_empty()
            && truth.files.is_empty()
    };
    let truths: Vec<Truth> = account.truths().filter(is_plain).collect();
    let with_others: BTreeSet<String> = truths
        .iter()
        .filter(|truth| !truth.is_from_me)
        .map(|truth| truth.conversation.as_ref().unwrap().to_string())
        .collect();
    let kinds = [OnMac::Missing, OnMac::Same, OnMac::Other];
    truths
        .into_iter()
        .filter(|truth| with_others.contains(truth.conversation.as_ref().unwrap().as_str()))
        .zip(kinds.into_iter().cycle())
        .collect()
}

/// The Mac's database of the same account.
fn mac(shared: &[(Truth, OnMac)]) -> Fixture {
    let mac = Fixture::new(MacOs::V26);
    let mut chats: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    let mut of = |key: &str| {
        let address = key
            .trim_start_matches("dm:")
            .trim_start_matches("tel:")
            .trim_start_matches("mailto:");
        *chats.entry(key.to_owned()).or_insert_with(|| {
            let handle = mac.handle(address, "iMessage");
            (
                mac.chat(&format!("iMessage;-;{address}"), &[handle]),
                handle,
            )
        })
    };
    for (number, (truth, on_mac)) in (1_i64..).zip(shared) {
        let (chat, handle) = of(truth.conversation.as_ref().unwrap().as_str());
        let text = match on_mac {
            OnMac::Missing => continue,
            OnMac::Same => truth.text.clone().unwrap(),
            OnMac::Other => format!("as the Mac has it, {number}"),
        };
        mac.message(
            &truth.guid,
            &[chat],
            &[
                ("text", &text),
                ("date", &truth.sent.nanos()),
                ("handle_id", &handle),
                ("is_from_me", &truth.is_from_me),
                ("is_finished", &1),
            ],
        );
    }
    let (first, handle) = of(shared[0].0.conversation.as_ref().unwrap().as_str());
    for number in 1..=OWN {
        let text = format!("on the Mac alone, {number}");
        let columns: [(&str, &dyn rusqlite::ToSql); 3] = [
            ("text", &text),
            ("date", &at(number)),
            ("handle_id", &handle),
        ];
        mac.message(&guid(number), &[first], &columns);
    }
    mac
}

fn import_and_sync(home: &Home, cloud: &ICloud, mac: &Fixture, is_mac_first: bool) {
    cloud.write_session(home, Items::All);
    let import_session = cloud.output(home, &["cloudkit", "import", "session.json"]);
    assert!(import_session.status.success(), "{import_session:?}");
    let path = mac.path();
    let import = ["import", "--chat-db", path.to_str().unwrap()];
    let mut steps: [&[&str]; 2] = [&import, &["cloudkit", "sync"]];
    if !is_mac_first {
        steps.reverse();
    }
    // Twice: the second time nothing is new.
    for round in 0..2 {
        for step in steps {
            let output = cloud.output(home, step);
            assert!(output.status.success(), "{output:?}");
            let said = String::from_utf8(output.stdout).unwrap();
            assert!(round == 0 || said.starts_with("nothing is new"), "{said}");
        }
    }
    let verified = home.output(&["verify"]);
    assert!(verified.status.success(), "{verified:?}");
}

fn explained(home: &Home, guid: &str) -> Value {
    let output = home.output(&["explain", guid, "--json"]);
    let shown = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(shown.lines().next().unwrap()).unwrap()
}

#[test]
fn ed_08_each_message_of_two_sources_is_one_and_explain_tells_where_they_differ() {
    let cloud = ICloud::of(Account::new(5, 400, Dirtiness::Clean), Faults::none());
    let shared = shared(&cloud.account);
    assert!(shared.len() > 60, "{}", shared.len());
    let mac = mac(&shared);
    let mut exports = Vec::new();
    for is_mac_first in [true, false] {
        let home = Home::new();
        import_and_sync(&home, &cloud, &mac, is_mac_first);

        let lines = home.exported();
        let mut guids = BTreeSet::new();
        for line in lines.iter().filter(|line| line["type"] == "message") {
            assert!(
                guids.insert(line["guid"].to_string()),
                "{line} is there twice"
            );
        }
        let keys: BTreeSet<String> = lines.iter().map(|line| line["key"].to_string()).collect();
        let conversations = lines
            .iter()
            .filter(|line| line["type"] == "conversation")
            .count();
        assert_eq!(conversations, keys.len() - 1);
        for (number, (truth, on_mac)) in (1_i64..).zip(&shared) {
            let line = line(&lines, &truth.guid);
            let sources = match on_mac {
                OnMac::Missing => "[\"cloudkit\"]",
                OnMac::Same | OnMac::Other => "[\"chatdb\",\"cloudkit\"]",
            };
            let mut named: Vec<String> = serde_json::from_value(line["sources"].clone()).unwrap();
            named.sort();
            assert_eq!(serde_json::to_string(&named).unwrap(), sources, "{truth:?}");
            let key = truth.conversation.as_ref().unwrap().as_str();
            assert_eq!(line["conversation"], key, "{truth:?}");
            let text = match on_mac {
                OnMac::Other => format!("as the Mac has it, {number}"),
                OnMac::Missing | OnMac::Same => truth.text.clone().unwrap(),
            };
            assert_eq!(line["text"], text.trim(), "{truth:?}");
        }
        for number in 1..=OWN {
            assert_eq!(
                line(&lines, &guid(number))["sources"],
                serde_json::json!(["chatdb"])
            );
        }
        let (differing, _) = shared
            .iter()
            .find(|(_, on_mac)| *on_mac == OnMac::Other)
            .unwrap();
        let told = explained(&home, &differing.guid);
        let findings = told["findings"].to_string();
        assert!(
            findings.contains("say different things of text"),
            "{findings}"
        );
        let texts = told["records"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|record| {
                let columns = record["columns"].as_array().unwrap().iter();
                columns
                    .filter(|column| column[0] == "text")
                    .map(|column| column[1].clone())
            });
        assert_eq!(texts.count(), 2, "{told}");
        let (same, _) = shared
            .iter()
            .find(|(_, on_mac)| *on_mac == OnMac::Same)
            .unwrap();
        let told = explained(&home, &same.guid)["findings"].to_string();
        assert!(!told.contains("different things of text"), "{told}");
        let mut lines: Vec<String> = lines.iter().map(without_order).collect();
        lines.sort();
        exports.push(lines);
    }
    let difference = exports[0].iter().zip(&exports[1]).find(|(a, b)| a != b);
    assert_eq!(difference, None);
    assert_eq!(exports[0].len(), exports[1].len());
    cloud.stop();
}

/// A line without what depends on which source came first, and when.
fn without_order(line: &Value) -> String {
    let mut line = line.clone();
    if let Some(list) = line["sources"].as_array_mut() {
        list.sort_by_key(ToString::to_string);
    }
    if !line["deleted"].is_null() {
        line["deleted"] = true.into();
    }
    line.to_string()
}

/// An account in memory with one person, and the Mac's database with the same three messages.
fn three() -> (cloud_account::Account, Fixture, i64) {
    let mac = Fixture::new(MacOs::V26);
    let ada = mac.handle(ADA, "iMessage");
    let direct = mac.chat(&format!("iMessage;-;{ADA}"), &[ada]);
    let list = (1..=3).map(|number| {
        let text = format!("text {number}");
        let columns: [(&str, &dyn rusqlite::ToSql); 3] =
            [("text", &text), ("date", &at(number)), ("handle_id", &ada)];
        mac.message(&guid(number), &[direct], &columns);
        let lower = guid(number).to_lowercase();
        message(&format!("m{number}"), &lower, WHOM, at(number), &text)
    });
    let feeds = BTreeMap::from([
        (CloudZone::Messages, list.collect()),
        (CloudZone::Chats, vec![chat("c1", ADA, None, None)]),
        (CloudZone::Attachments, Vec::new()),
        (CloudZone::RecentlyDeleted, Vec::new()),
    ]);
    (cloud_account::Account::new(feeds, 20), mac, direct)
}

#[tokio::test(start_paused = true)]
async fn what_icloud_deleted_is_marked_and_a_conversation_that_the_mac_has_stays() {
    let (account, mac, _) = three();
    let store = new_store();
    history::import(&store, &mac.path(), 100).unwrap();
    pass(&mut syncing_later(&store, &account)).await;

    let gone = (1..=3).map(|number| deleted(CloudZone::Messages, &format!("m{number}")));
    account.push(CloudZone::Messages, gone.collect());
    account.push(CloudZone::Chats, vec![deleted(CloudZone::Chats, "c1")]);
    pass(&mut syncing_later(&store, &account)).await;

    assert_sound(&store.snapshot().unwrap());
    let lines = export(&store);
    let is_deleted = [1, 2, 3].map(|number| !line(&lines, &guid(number))["deleted"].is_null());
    assert_eq!(is_deleted, [true; 3]);
    let mut conversations = lines.iter().filter(|line| line["type"] == "conversation");
    assert_eq!(conversations.next().unwrap()["deleted"], Value::Null);
    // That the Mac still has them says nothing against it.
    history::import(&store, &mac.path(), 100).unwrap();
    assert_eq!(export(&store), lines);
}

#[tokio::test(start_paused = true)]
async fn what_the_mac_deleted_is_deleted_although_icloud_still_has_it() {
    let (account, mac, direct) = three();
    let store = new_store();
    history::import(&store, &mac.path(), 100).unwrap();
    pass(&mut syncing_later(&store, &account)).await;

    mac.writer
        .execute("DELETE FROM chat_message_join WHERE message_id = 2", [])
        .unwrap();
    mac.recover(2, direct, at(10));
    history::import(&store, &mac.path(), 100).unwrap();
    pass(&mut syncing_later(&store, &account)).await;

    assert_sound(&store.snapshot().unwrap());
    let lines = export(&store);
    let is_deleted = [1, 2, 3].map(|number| !line(&lines, &guid(number))["deleted"].is_null());
    assert_eq!(is_deleted, [false, true, false]);
}

#[tokio::test(start_paused = true)]
async fn id_25_an_old_state_of_a_group_adds_nobody_who_has_left() {
    const GROUP: &str = "0E5A1C9E-7B1D-4C6E-9C3A-0123456789AB";
    let mac = Fixture::new(MacOs::V26);
    let members = [ADA, BEA].map(|address| mac.handle(address, "iMessage"));
    let group = mac.chat("iMessage;+;chat100000000000000002", &members);
    mac.writer
        .execute("UPDATE chat SET group_id = ?1", [GROUP])
        .unwrap();
    let columns: [(&str, &dyn rusqlite::ToSql); 3] = [
        ("text", &"hello"),
        ("date", &at(1)),
        ("handle_id", &members[0]),
    ];
    mac.message(&guid(1), &[group], &columns);
    let state = cloud_account::group(
        "c1",
        "chat100000000000000001",
        GROUP,
        &[ADA, BEA, "+15550100023"],
    );
    let feeds = BTreeMap::from([
        (CloudZone::Messages, Vec::new()),
        (CloudZone::Chats, vec![state]),
        (CloudZone::Attachments, Vec::new()),
        (CloudZone::RecentlyDeleted, Vec::new()),
    ]);
    let account = cloud_account::Account::new(feeds, 20);
    let (alone, store) = (new_store(), new_store());
    pass(&mut syncing_later(&alone, &account)).await;
    history::import(&store, &mac.path(), 100).unwrap();
    pass(&mut syncing_later(&store, &account)).await;

    let members = |store| {
        let lines = export(store).into_iter();
        let mut groups = lines.filter(|line| line["type"] == "conversation");
        let group = groups.next().unwrap();
        assert_eq!(groups.next(), None);
        assert_eq!(group["key"], format!("gid:{}", GROUP.to_lowercase()));
        group["participants"].as_array().unwrap().len()
    };
    assert_eq!(members(&alone), 3, "an empty list is filled");
    assert_eq!(members(&store), 2, "one that is known is not");
}
