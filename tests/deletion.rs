//! Deleting and restoring with Messages in iCloud, a test for each rule from ED-10 to ED-24 that an archive decides.
//!
//! Guards against what was deleted coming back by itself, and against anything being removed.
//!
//! | rule | where |
//! |---|---|
//! | ED-18 | `endpoint_store`: `a_deletion_is_marked_and_a_restored_message_comes_anew` |
//! | ED-19 | `demo_server`: `writing_and_repeating_a_request_are_noticed`; the client has no call that writes |
//! | ED-16, ED-23 | nothing is delivered before it is stored, and passes hold no lock: there is nothing to decide |
//! | ED-19a | records are asked for by their names: no feed is walked for one of them |

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use footbridge::app::Archive;
use footbridge::base::ids::RecordName;
use footbridge::base::time::AppleTime;
use footbridge::base::time::Clock;
use footbridge::ingest::cloudkit::Outcome;
use footbridge::ingest::cloudkit::Sync;
use footbridge::model::record::CloudZone;
use footbridge::store::Absent;
use footbridge::store::Store;
use redb::backends::InMemoryBackend;
use serde_json::Value;

use crate::support::cloud_account::Account;
use crate::support::cloud_account::Fault;
use crate::support::cloud_account::chat;
use crate::support::cloud_account::deleted;
use crate::support::cloud_account::import;
use crate::support::cloud_account::message;
use crate::support::cloud_account::message_in;
use crate::support::cloud_account::session;
use crate::support::history::CLOCK;
use crate::support::history::MINUTE;
use crate::support::history::NOW;
use crate::support::history::assert_sound;
use crate::support::history::export;
use crate::support::history::guid;
use crate::support::syncing::at;
use crate::support::syncing::line;
use crate::support::syncing::new_store;
use crate::support::syncing::pass;
use crate::support::syncing::syncing;
use crate::support::syncing::syncing_later;

const ADA: &str = "+15550100021";
const WHOM: (&str, Option<&str>) = ("iMessage;-;+15550100021", Some(ADA));
const GROUP: &str = "0E5A1C9E-7B1D-4C6E-9C3A-0123456789AB";

/// The message with a number, in the zone of messages.
fn there(number: i64) -> Bytes {
    message(
        &format!("m{number}"),
        &guid(number),
        WHOM,
        at(number),
        &format!("text {number}"),
    )
}

/// The same among what was deleted lately, under another name.
fn in_bin(number: i64) -> Bytes {
    let zone = CloudZone::RecentlyDeleted;
    let name = format!("r{number}");
    let body = format!("text {number}");
    message_in(zone, &name, &guid(number), WHOM, at(number), &body)
}

fn gone(number: i64) -> Bytes {
    deleted(CloudZone::Messages, &format!("m{number}"))
}

/// An account with one person and so many messages.
fn account(messages: i64) -> Account {
    account_in_pages(messages, 20)
}

/// The same, with so many changes in a page.
fn account_in_pages(messages: i64, page: usize) -> Account {
    let feeds = BTreeMap::from([
        (CloudZone::Chats, vec![chat("c1", ADA, None, None)]),
        (CloudZone::Messages, (1..=messages).map(there).collect()),
        (CloudZone::Attachments, Vec::new()),
        (CloudZone::RecentlyDeleted, Vec::new()),
    ]);
    Account::new(feeds, page)
}

/// Deletes the chat with these messages, as another device does.
fn delete_all(account: &Account, messages: i64) {
    account.push(CloudZone::Messages, (1..=messages).map(gone).collect());
    account.push(CloudZone::Chats, vec![deleted(CloudZone::Chats, "c1")]);
}

async fn read(store: &Store, account: &Account) {
    let report = pass(&mut syncing_later(store, account)).await;
    assert_eq!(report.outcome, Outcome::Complete, "{report:?}");
    assert_sound(&store.snapshot().unwrap());
}

/// Which of the first messages are marked as deleted.
fn marked(store: &Store, messages: i64) -> Vec<i64> {
    let lines = export(store);
    let is_marked = |number: &i64| !line(&lines, &guid(*number))["deleted"].is_null();
    (1..=messages).filter(is_marked).collect()
}

/// The conversations, and whether they are marked as deleted.
fn conversations(store: &Store) -> Vec<(String, bool)> {
    let lines = export(store).into_iter();
    let conversations = lines.filter(|line| line["type"] == "conversation");
    let named = conversations.map(|line| {
        let key = line["key"].as_str().unwrap().to_owned();
        (key, !line["deleted"].is_null())
    });
    named.collect()
}

fn is_gone(store: &Store) -> bool {
    let [(_, is_gone)] = <[_; 1]>::try_from(conversations(store)).unwrap();
    is_gone
}

#[tokio::test(start_paused = true)]
async fn ed_10_a_deleted_conversation_is_remembered_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archive.redb");
    let account = account(3);
    let store = Store::open(&path, Absent::Create, Arc::new(CLOCK)).unwrap();
    import(&store, session(|_| true));
    read(&store, &account).await;
    delete_all(&account, 3);
    read(&store, &account).await;
    drop(store);

    let store = Store::open(&path, Absent::Refuse, Arc::new(CLOCK)).unwrap();

    assert!(is_gone(&store));
    read(&store, &account).await;
    assert!(is_gone(&store));
    assert_eq!(marked(&store, 3), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn ed_11_deleting_marks_and_removes_nothing() {
    let (store, account) = (new_store(), account(3));
    read(&store, &account).await;
    let without_marks = |store: &Store| {
        let mut lines = export(store);
        for line in &mut lines {
            line.as_object_mut().unwrap().remove("deleted");
        }
        lines
    };
    let before = without_marks(&store);

    delete_all(&account, 3);
    read(&store, &account).await;

    assert_eq!(marked(&store, 3), [1, 2, 3]);
    assert_eq!(without_marks(&store), before);
    let name = RecordName::parse("m2").unwrap();
    let snapshot = store.snapshot().unwrap();
    let held = snapshot.cloud_record_named(CloudZone::Messages, &name);
    let (_, held) = held.unwrap().unwrap();
    assert!(held.deleted.is_some());
    assert!(
        held.record.get("msgProto").is_some(),
        "what it said is kept"
    );
}

/// A clock that is set by hand.
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> AppleTime {
        AppleTime::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

#[tokio::test(start_paused = true)]
async fn ed_12_who_is_marked_already_keeps_the_time_of_that() {
    let clock = Arc::new(Hand(AtomicI64::new(NOW.nanos())));
    let store = Store::open_backend(InMemoryBackend::new(), Arc::clone(&clock) as _).unwrap();
    import(&store, session(|_| true));
    let account = account(3);
    let later = || clock.0.fetch_add(60 * MINUTE, Ordering::Relaxed);
    read(&store, &account).await;
    account.push(CloudZone::Messages, vec![gone(1)]);
    read(&store, &account).await;
    let time = |store: &Store| line(&export(store), &guid(1))["deleted"].clone();
    let first = time(&store);

    later();
    delete_all(&account, 3);
    read(&store, &account).await;
    later();
    // Everything once more, from the beginning.
    let mut has_been = false;
    account.set_faults(move |zone, _| {
        let now = zone == CloudZone::Messages && !has_been;
        has_been |= now;
        now.then_some(Fault::Reset)
    });
    read(&store, &account).await;

    assert!(first.is_string());
    assert_eq!(time(&store), first);
    assert_ne!(line(&export(&store), &guid(2))["deleted"], first);
}

#[tokio::test(start_paused = true)]
async fn ed_13_a_group_goes_with_all_its_states_and_comes_back_as_one() {
    let states = [
        chat("c1", "chat100000000000000001", Some(GROUP), Some("Hikers")),
        chat("c2", "chat100000000000000002", Some(GROUP), None),
    ];
    let by = |number: i64| {
        let chat_id = format!("chat10000000000000000{}", 1 + number % 2);
        let whom = (chat_id.as_str(), Some(ADA));
        message(
            &format!("m{number}"),
            &guid(number),
            whom,
            at(number),
            "text",
        )
    };
    let feeds = BTreeMap::from([
        (CloudZone::Chats, states.to_vec()),
        (CloudZone::Messages, (1..=4).map(by).collect()),
        (CloudZone::Attachments, Vec::new()),
        (CloudZone::RecentlyDeleted, Vec::new()),
    ]);
    let (store, account) = (new_store(), Account::new(feeds, 20));
    read(&store, &account).await;

    account.push(CloudZone::Messages, (1..=4).map(gone).collect());
    account.push(CloudZone::Chats, vec![deleted(CloudZone::Chats, "c1")]);
    read(&store, &account).await;
    assert!(!is_gone(&store), "a state is left");
    account.push(CloudZone::Chats, vec![deleted(CloudZone::Chats, "c2")]);
    read(&store, &account).await;
    assert!(is_gone(&store));
    account.push(CloudZone::Messages, vec![by(5)]);
    read(&store, &account).await;

    assert!(!is_gone(&store), "the sibling leads to the group itself");
    assert_eq!(marked(&store, 5), [1, 2, 3, 4]);
}

/// Begins the zones of chats and messages again, once each.
fn begin_again(account: &Account) {
    let mut resets = vec![CloudZone::Chats, CloudZone::Messages];
    account.set_faults(move |zone, _| {
        let before = resets.len();
        resets.retain(|it| *it != zone);
        (resets.len() < before).then_some(Fault::Reset)
    });
}

#[tokio::test(start_paused = true)]
async fn ed_14_what_is_known_of_a_deleted_conversation_does_not_bring_it_back() {
    // With a page of 20 a record and its deletion are in one, with smaller ones they are not.
    for page in [20, 3, 1] {
        let (store, account) = (new_store(), account_in_pages(4, page));
        read(&store, &account).await;
        delete_all(&account, 4);
        read(&store, &account).await;
        let change = store.snapshot().unwrap().last_change().unwrap();

        begin_again(&account);
        read(&store, &account).await;

        assert!(is_gone(&store));
        assert_eq!(marked(&store, 4), [1, 2, 3, 4]);
        let after = store.snapshot().unwrap().last_change().unwrap();
        assert_eq!(after, change, "clients are told of nothing");
    }
}

#[tokio::test(start_paused = true)]
async fn ed_14_what_was_restored_comes_back_though_everything_is_told_again() {
    let (store, account) = (new_store(), account_in_pages(3, 1));
    read(&store, &account).await;
    account.push(CloudZone::Messages, vec![gone(2)]);
    read(&store, &account).await;
    assert_eq!(marked(&store, 3), [2]);

    account.push(CloudZone::Messages, vec![there(2)]);
    begin_again(&account);
    read(&store, &account).await;

    assert!(marked(&store, 3).is_empty());
}

#[tokio::test(start_paused = true)]
async fn ed_17_a_record_that_nothing_opens_any_more_takes_along_what_it_was() {
    let (store, account) = (new_store(), account(3));
    read(&store, &account).await;
    let with = |text: &str| message("m2", &guid(2), WHOM, at(2), text);

    import(&store, session(|_| false));
    for text in ["other", "and another"] {
        account.push(CloudZone::Messages, vec![with(text)]);
        read(&store, &account).await;
    }
    assert!(marked(&store, 3).is_empty(), "what it said before stays");
    account.push(CloudZone::Messages, vec![gone(2)]);
    read(&store, &account).await;
    assert_eq!(marked(&store, 3), [2]);
    // It is opened late: nothing of it is sealed any more, and it stays deleted.
    import(&store, session(|_| true));
    read(&store, &account).await;

    assert_eq!(marked(&store, 3), [2]);
    assert_eq!(line(&export(&store), &guid(2))["text"], "and another");
    assert_eq!(store.snapshot().unwrap().quarantine().unwrap().len(), 0);
    account.push(CloudZone::Messages, vec![with("and another")]);
    read(&store, &account).await;
    assert!(marked(&store, 3).is_empty(), "a record that comes back");
}

#[tokio::test(start_paused = true)]
async fn a_chat_record_that_nothing_opens_any_more_is_deleted_with_its_conversation() {
    let (store, account) = (new_store(), account(3));
    read(&store, &account).await;
    account.push(CloudZone::Messages, (1..=3).map(gone).collect());
    read(&store, &account).await;

    import(&store, session(|_| false));
    account.push(CloudZone::Chats, vec![chat("c1", ADA, None, Some("name"))]);
    read(&store, &account).await;
    assert!(!is_gone(&store), "its chat record is there");
    account.push(CloudZone::Chats, vec![deleted(CloudZone::Chats, "c1")]);
    read(&store, &account).await;

    assert!(is_gone(&store));
}

#[tokio::test(start_paused = true)]
async fn ed_14_a_newer_message_brings_a_deleted_conversation_back_without_the_old_ones() {
    let (store, account) = (new_store(), account(4));
    read(&store, &account).await;
    delete_all(&account, 4);
    read(&store, &account).await;

    account.push(CloudZone::Messages, vec![there(5)]);
    read(&store, &account).await;

    assert!(!is_gone(&store));
    assert_eq!(marked(&store, 5), [1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn ed_14_an_older_message_that_was_not_known_is_kept_and_brings_nothing_back() {
    let (store, account) = (new_store(), account(4));
    account.replace(CloudZone::Messages, (2..=4).map(there).collect());
    read(&store, &account).await;
    account.push(CloudZone::Messages, (2..=4).map(gone).collect());
    account.push(CloudZone::Chats, vec![deleted(CloudZone::Chats, "c1")]);
    read(&store, &account).await;
    assert!(is_gone(&store));

    account.push(CloudZone::Messages, vec![there(1)]);
    read(&store, &account).await;

    assert!(is_gone(&store));
    assert_eq!(marked(&store, 4), [2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn ed_15_a_chat_record_that_is_there_again_brings_its_conversation_back() {
    let (store, account) = (new_store(), account(3));
    read(&store, &account).await;
    delete_all(&account, 3);
    read(&store, &account).await;
    // The whole past again: a record, and then that it was deleted.
    let mut resets = vec![CloudZone::Chats, CloudZone::Messages];
    account.set_faults(move |zone, _| {
        let before = resets.len();
        resets.retain(|it| *it != zone);
        (resets.len() < before).then_some(Fault::Reset)
    });
    read(&store, &account).await;
    assert!(is_gone(&store), "nothing comes back by being read again");

    account.push(CloudZone::Chats, vec![chat("c1", ADA, None, None)]);
    read(&store, &account).await;

    assert!(!is_gone(&store));
    assert_eq!(marked(&store, 3), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn ed_17_a_deletion_names_a_record_and_no_guid() {
    let (store, account) = (new_store(), account(3));
    read(&store, &account).await;

    let names = [guid(1), "m2".to_owned(), "m4".to_owned()];
    let deletions = names.map(|name| deleted(CloudZone::Messages, &name));
    account.push(CloudZone::Messages, deletions.to_vec());
    read(&store, &account).await;
    assert_eq!(marked(&store, 3), [2]);
    // One that was deleted before it was ever seen, and is there all the same.
    account.push(CloudZone::Messages, vec![there(4)]);
    read(&store, &account).await;

    assert_eq!(marked(&store, 4), [2]);
    let archive = Archive::over(store.clone(), Arc::new(CLOCK));
    let explained = archive.explain(&guid(2)).unwrap();
    let findings = &explained[0].findings;
    assert!(
        findings.iter().any(|it| it.contains("ED-17")),
        "{findings:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn ed_20_a_conversation_looks_deleted_by_its_newest_three_messages_and_its_chat_record() {
    let (store, account) = (new_store(), account(4));
    read(&store, &account).await;
    let move_to_bin = |account: &Account, numbers: &[i64]| {
        let from = numbers.iter().map(|number| gone(*number)).collect();
        let to = numbers.iter().map(|number| in_bin(*number)).collect();
        account.push(CloudZone::Messages, from);
        account.push(CloudZone::RecentlyDeleted, to);
    };

    move_to_bin(&account, &[2, 3, 4]);
    read(&store, &account).await;
    assert_eq!(marked(&store, 4), [2, 3, 4]);
    assert!(!is_gone(&store), "its chat record is there");
    account.push(CloudZone::Chats, vec![deleted(CloudZone::Chats, "c1")]);
    read(&store, &account).await;
    assert!(is_gone(&store), "although its first message is there");

    let account = self::account(4);
    let store = new_store();
    read(&store, &account).await;
    move_to_bin(&account, &[1, 2, 4]);
    account.push(CloudZone::Chats, vec![deleted(CloudZone::Chats, "c1")]);
    read(&store, &account).await;
    assert!(!is_gone(&store), "one of the newest three is there");
}

#[tokio::test(start_paused = true)]
async fn ed_21_what_was_deleted_lately_shows_no_conversation_of_its_own() {
    let (store, account) = (new_store(), account(0));
    account.replace(CloudZone::Chats, Vec::new());
    account.push(CloudZone::RecentlyDeleted, vec![in_bin(1), in_bin(2)]);

    read(&store, &account).await;

    assert_eq!(marked(&store, 2), [1, 2]);
    let archive = Archive::over(store.clone(), Arc::new(CLOCK));
    let listed = archive.conversations(false).unwrap();
    assert_eq!(listed.len(), 1);
    assert!(listed[0].deleted.is_some(), "it is shown to nobody");
    // It lives with the first message that is there.
    account.push(CloudZone::Messages, vec![there(3)]);
    read(&store, &account).await;
    assert!(!is_gone(&store));
    assert_eq!(marked(&store, 3), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn ed_22_what_is_restored_is_there_as_if_it_had_never_been_away() {
    let (store, account) = (new_store(), account(4));
    read(&store, &account).await;
    let before: Vec<Value> = export(&store);
    delete_all(&account, 4);
    account.push(CloudZone::RecentlyDeleted, (1..=4).map(in_bin).collect());
    read(&store, &account).await;
    assert!(is_gone(&store));

    account.push(CloudZone::Messages, (1..=4).map(there).collect());
    account.push(CloudZone::Chats, vec![chat("c1", ADA, None, None)]);
    let out = |number| deleted(CloudZone::RecentlyDeleted, &format!("r{number}"));
    account.push(CloudZone::RecentlyDeleted, (1..=4).map(out).collect());
    read(&store, &account).await;

    assert_eq!(export(&store), before);
}

#[tokio::test(start_paused = true)]
async fn ed_24_one_message_goes_and_comes_back() {
    let (store, account) = (new_store(), account(3));
    read(&store, &account).await;
    let before = export(&store);
    account.push(CloudZone::Messages, vec![gone(2)]);
    account.push(CloudZone::RecentlyDeleted, vec![in_bin(2)]);
    read(&store, &account).await;
    assert_eq!(marked(&store, 3), [2]);

    account.push(CloudZone::Messages, vec![there(2)]);
    let out = deleted(CloudZone::RecentlyDeleted, "r2");
    account.push(CloudZone::RecentlyDeleted, vec![out]);
    let report = pass(&mut syncing_later(&store, &account)).await;

    assert_eq!(report.outcome, Outcome::Complete);
    assert_eq!(export(&store), before);
}

#[tokio::test(start_paused = true)]
async fn a_pass_over_what_was_deleted_changes_nothing_more() {
    let (store, account) = (new_store(), account(3));
    delete_all(&account, 3);
    read(&store, &account).await;
    let mut sync: Sync<Account> = syncing(&store, &account);
    let report = pass(&mut sync).await;

    assert!(report.tally.is_empty(), "{:?}", report.tally);
}
