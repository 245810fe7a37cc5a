//! Messages in iCloud end in the archive: all of it, once, whatever goes wrong on the way and whenever it is interrupted.
//!
//! Guards against a position that is ahead of what is stored, against failures that end as success, and against records
//! that are neither shown nor accounted for.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use footbridge::app::Archive;
use footbridge::app::import::Redecode;
use footbridge::apple::session::Keychain;
use footbridge::apple::session::Session;
use footbridge::base::ids::Guid;
use footbridge::base::ids::RecordName;
use footbridge::codec::cloudkit::RecordChange;
use footbridge::ingest::cloudkit::Again;
use footbridge::ingest::cloudkit::Outcome;
use footbridge::ingest::cloudkit::again;
use footbridge::model::record::CloudZone;
use footbridge::store::Direction;
use footbridge::store::Store;
use footbridge::store::value::Ended;
use footbridge::store::value::StoredCloudRecord;
use footbridge::store::value::StoredMessage;
use redb::backends::InMemoryBackend;
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::support::chatdb::Fixture;
use crate::support::chatdb::MacOs;
use crate::support::cloud_account::Account;
use crate::support::cloud_account::Fault;
use crate::support::cloud_account::chat;
use crate::support::cloud_account::deleted;
use crate::support::cloud_account::import;
use crate::support::cloud_account::integer;
use crate::support::cloud_account::message;
use crate::support::cloud_account::message_in;
use crate::support::cloud_account::record;
use crate::support::cloud_account::session;
use crate::support::cloud_account::text;
use crate::support::cloud_account::vector_json;
use crate::support::dice::dice;
use crate::support::history;
use crate::support::history::CLOCK;
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
const BEA: &str = "bea@example.org";
const GROUP: &str = "0E5A1C9E-7B1D-4C6E-9C3A-0123456789AB";

/// An account in clear: direct chats with and without a record, a group with several states, files before and after their
/// messages, tapbacks, corrections, deletions, what was deleted lately, types that nobody knows, and bytes that are none.
fn invented(messages: i64) -> BTreeMap<CloudZone, Vec<Bytes>> {
    let mut feeds: BTreeMap<CloudZone, Vec<Bytes>> = BTreeMap::new();
    let chats = [
        chat("c1", ADA, None, None),
        chat("c2", "chat100000000000000001", Some(GROUP), Some("Hikers")),
        chat("c3", "chat100000000000000002", Some(GROUP), None),
        deleted(CloudZone::Chats, "c-never-seen"),
        chat(
            "c4",
            "chat100000000000000003",
            Some("1E5A1C9E-7B1D-4C6E-9C3A-0123456789AB"),
            None,
        ),
        deleted(CloudZone::Chats, "c4"),
    ];
    feeds.insert(CloudZone::Chats, chats.to_vec());
    let mut list = Vec::new();
    let mut recent = Vec::new();
    for number in 1..=messages {
        let name = format!("m{number}");
        let body = format!("word{} number{number}", number % 17);
        let whom = match number % 6 {
            0 => ("iMessage;+;chat100000000000000001", Some(ADA)),
            1 => ("iMessage;-;+15550100021", Some(ADA)),
            2 => ("any;-;+15550100021", None),
            3 => ("bea@example.org", Some(BEA)),
            4 => ("chat100000000000000002", Some(BEA)),
            _ => ("iMessage;+;chat999", Some(BEA)),
        };
        list.push(message(&name, &guid(number), whom, at(number), &body));
        match number % 50 {
            7 => list.push(message(&name, &guid(number), whom, at(number), "corrected")),
            11 => list.push(deleted(CloudZone::Messages, &name)),
            13 => {
                list.push(deleted(CloudZone::Messages, &name));
                let moved = format!("r{number}");
                let zone = CloudZone::RecentlyDeleted;
                recent.push(message_in(
                    zone,
                    &moved,
                    &guid(number),
                    whom,
                    at(number),
                    &body,
                ));
            }
            17 => {
                let moved = format!("r{number}");
                let zone = CloudZone::RecentlyDeleted;
                recent.push(message_in(
                    zone,
                    &moved,
                    &guid(number),
                    whom,
                    at(number),
                    &body,
                ));
                recent.push(deleted(zone, &moved));
            }
            19 => list.push(record(
                CloudZone::Messages,
                &format!("x{number}"),
                "Unknown",
                vec![("a", integer(1))],
            )),
            23 => list.push(Bytes::from_static(b"\x0a\xff\xff\xff\xff\x01no change")),
            29 => list.push(deleted(CloudZone::Messages, &format!("never{number}"))),
            31 => list.push(message(
                &format!("again{number}"),
                &guid(number),
                whom,
                at(number),
                &body,
            )),
            37 => {
                list.push(deleted(CloudZone::Messages, &name));
                list.push(message(&name, &guid(number), whom, at(number), &body));
            }
            _ => {}
        }
    }
    feeds.insert(CloudZone::Messages, list);
    feeds.insert(CloudZone::RecentlyDeleted, recent);
    feeds.insert(
        CloudZone::Attachments,
        vec![record(
            CloudZone::Attachments,
            "a1",
            "attachment",
            vec![("x", text("y"))],
        )],
    );
    feeds
}

#[tokio::test(start_paused = true)]
async fn the_export_holds_every_record_of_the_vectors() {
    let (store, account) = (new_store(), Account::of_vectors(46));

    let report = pass(&mut syncing(&store, &account)).await;

    assert_eq!(report.outcome, Outcome::Complete, "{report:?}");
    assert_sound(&store.snapshot().unwrap());
    let lines = export(&store);
    let quarantined = Archive::over(store.clone(), Arc::new(CLOCK))
        .quarantine()
        .unwrap();
    let mut last: BTreeMap<String, Value> = BTreeMap::new();
    for page in 1..=5 {
        let expected = vector_json(&format!("messages/page-{page}.expected.json"));
        for entry in expected.as_array().unwrap() {
            last.insert(
                entry["recordName"].as_str().unwrap().to_owned(),
                entry.clone(),
            );
        }
    }
    let mut outcomes: BTreeMap<&str, u32> = BTreeMap::new();
    for (name, entry) in &last {
        let outcome = entry["outcome"].as_str().unwrap();
        let snapshot = store.snapshot().unwrap();
        let named = RecordName::parse(name).unwrap();
        let held = snapshot
            .cloud_record_named(CloudZone::Messages, &named)
            .unwrap();
        assert!(held.is_some(), "{name}: {outcome}");
        match outcome {
            "ok" | "badField" => {
                let fields = &entry["fields"];
                let written = fields["guid"]
                    .as_str()
                    .filter(|it| !it.is_empty())
                    .unwrap_or(name);
                let guid = Guid::parse(written).unwrap().to_string();
                let line = lines.iter().find(|line| line["guid"] == guid);
                let line = line.unwrap_or_else(|| panic!("{name} {guid} is not in the export"));
                assert!(
                    line["sources"]
                        .as_array()
                        .unwrap()
                        .contains(&"cloudkit".into())
                );
                if let Some(body) = fields["text"].as_str()
                    && line["type"] == "message"
                    && line["text"].is_string()
                {
                    let shown = line["text"].as_str().unwrap();
                    let plain =
                        |text: &str| text.replace(['\u{fffc}', '\u{fffd}'], "").trim().to_owned();
                    assert_eq!(plain(shown), plain(body), "{name}");
                }
                *outcomes.entry(outcome).or_default() += 1;
            }
            "missingKey" | "foreignType" => {
                assert!(
                    quarantined.iter().any(|entry| entry.guid == *name),
                    "{name}"
                );
                *outcomes.entry(outcome).or_default() += 1;
            }
            "tombstone" => {
                assert!(held.unwrap().1.deleted.is_some(), "{name}");
                *outcomes.entry(outcome).or_default() += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert!(outcomes.len() == 5, "{outcomes:?}");
    let messages = lines
        .iter()
        .filter(|line| line["sources"].is_array())
        .count();
    assert!(messages > 150, "{messages}");
}

#[tokio::test(start_paused = true)]
async fn when_keys_arrive_later_their_records_appear_without_a_download() {
    let account = Account::of_vectors(46);
    let undisturbed = new_store();
    pass(&mut syncing(&undisturbed, &account)).await;
    let store = Store::open_backend(InMemoryBackend::new(), Arc::new(CLOCK)).unwrap();
    import(&store, session(|_| false));
    let mut sync = syncing(&store, &account);
    pass(&mut sync).await;
    let before = store.snapshot().unwrap();
    assert_eq!(before.message_count().unwrap(), 0);
    assert!(before.quarantine().unwrap().len() > 200);
    assert_sound(&before);
    drop(before);
    account.take_log();

    import(&store, session(|_| true));
    let report = pass(&mut sync).await;

    assert_eq!(report.outcome, Outcome::Complete);
    assert!(
        report.zones.iter().all(|zone| zone.changes == 0),
        "{report:?}"
    );
    assert_sound(&store.snapshot().unwrap());
    let (found, expected) = (
        lines_without_arrival(&store),
        lines_without_arrival(&undisturbed),
    );
    let difference = found.iter().zip(&expected).find(|(a, b)| a != b);
    assert_eq!(difference, None);
    assert_eq!(found.len(), expected.len());
    // What stays sealed says which key it lacks now, not which one it lacked before.
    let held = |store: &Store| {
        let archive = Archive::over(store.clone(), Arc::new(CLOCK));
        let held = archive.quarantine().unwrap().into_iter();
        held.map(|held| (held.guid, held.reasons))
            .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(held(&store), held(&undisturbed));
}

#[tokio::test(start_paused = true)]
async fn what_is_opened_late_is_visible_at_once() {
    let account = Account::of_vectors(46);
    let store = Store::open_backend(InMemoryBackend::new(), Arc::new(CLOCK)).unwrap();
    import(&store, session(|_| false));
    pass(&mut syncing(&store, &account)).await;
    import(&store, session(|_| true));
    let held = store.snapshot().unwrap().cloud_account().unwrap().unwrap();
    let keychain = Keychain::read(&Session::decode(held.session.expose()).unwrap().items);

    again(&store, Again::Sealed, &keychain).unwrap();

    let snapshot = store.snapshot().unwrap();
    let places = snapshot.places().unwrap();
    let rows = snapshot.by_time(None, Direction::Forward).unwrap();
    let messages: Vec<_> = rows
        .map(|place| snapshot.message(place.unwrap().row).unwrap())
        .collect();
    assert!(messages.len() > 150, "{}", messages.len());
    let is_visible = |message: &StoredMessage| places.place(message.came()).is_some();
    assert!(messages.iter().all(is_visible));
}

/// The export, without what depends on the order of arrival.
fn lines_without_arrival(store: &Store) -> Vec<Value> {
    let mut lines = export(store);
    lines.sort_by_key(ToString::to_string);
    lines
}

#[tokio::test(start_paused = true)]
async fn a_second_pass_with_nothing_new_asks_once_for_each_zone_and_stores_nothing() {
    let (store, account) = (new_store(), Account::new(invented(100), 30));
    pass(&mut syncing(&store, &account)).await;
    let before = store.snapshot().unwrap().last_change().unwrap();
    account.take_log();

    let report = pass(&mut syncing(&store, &account)).await;

    assert!(report.tally.is_empty(), "{:?}", report.tally);
    let asked = account.take_log();
    let page = |zone| (zone, true);
    let zones = [
        CloudZone::Attachments,
        CloudZone::Chats,
        CloudZone::Messages,
    ];
    assert_eq!(asked, zones.map(page));
    let change = store.snapshot().unwrap().last_change().unwrap();
    assert_eq!(change, before);
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_is_stopped_after_any_page_goes_on_there() {
    let account = Account::new(invented(120), 20);
    let undisturbed = new_store();
    pass(&mut syncing(&undisturbed, &account)).await;
    let expected = export(&undisturbed);
    let pages = account
        .take_log()
        .iter()
        .filter(|(_, is_page)| *is_page)
        .count();

    for stop_after in 1..=pages {
        let store = new_store();
        let seen = AtomicU32::new(0);
        let stop = CancellationToken::new();
        let on_page = |_: &_| {
            let so_far = seen.fetch_add(1, Ordering::Relaxed) + 1;
            if so_far as usize >= stop_after {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        };
        let mut first = syncing(&store, &account);
        first.pass(&stop, &on_page).await.unwrap();
        drop(first);
        assert_sound(&store.snapshot().unwrap());

        let mut second = syncing(&store, &account);
        while pass(&mut second).await.outcome != Outcome::Complete {}

        assert_eq!(export(&store), expected, "stopped after page {stop_after}");
        assert_sound(&store.snapshot().unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_goes_wrong_the_archive_ends_as_if_nothing_had() {
    let account = Account::new(invented(150), 12);
    let undisturbed = new_store();
    pass(&mut syncing(&undisturbed, &account)).await;
    let expected = export(&undisturbed);

    for seed in 1..=40 {
        let store = new_store();
        let account = Account::new(invented(150), 12);
        let mut roll = dice(seed);
        let mut left = 60;
        account.set_faults(move |_, _| {
            if left == 0 || roll(3) != 0 {
                return None;
            }
            left -= 1;
            Some(match roll(9) {
                0 => Fault::Busy,
                1 => Fault::Throttled(7),
                2 => Fault::Unanswered,
                3 => Fault::Damaged,
                4 => Fault::Stall,
                5 => Fault::Reset,
                6 => Fault::KeysChanged,
                7 => Fault::NoToken,
                _ => Fault::Refused,
            })
        });
        let mut roll = dice(seed + 1_000);
        let mut sync = syncing_later(&store, &account);
        let mut passes = 0;
        loop {
            passes += 1;
            assert!(passes < 500, "seed {seed}: no end");
            // The process is killed in the midst of a pass, now and then.
            if roll(3) == 0 {
                let stop = CancellationToken::new();
                let until = Duration::from_millis(roll(2_000));
                let going =
                    tokio::time::timeout(until, sync.pass(&stop, &|_| ControlFlow::Continue(())));
                if going.await.is_err() {
                    sync = syncing_later(&store, &account);
                }
                continue;
            }
            if pass(&mut sync).await.outcome == Outcome::Complete {
                break;
            }
        }

        let found = export(&store);
        let difference = found.iter().zip(&expected).find(|(a, b)| a != b);
        assert_eq!(difference, None, "seed {seed}");
        assert_eq!(found.len(), expected.len(), "seed {seed}");
        assert_sound(&store.snapshot().unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn three_failures_of_a_page_end_the_pass_with_an_error_and_never_as_done() {
    let (store, account) = (new_store(), Account::new(invented(60), 20));
    account.set_faults(|zone, _| (zone == CloudZone::Messages).then_some(Fault::Busy));

    let report = pass(&mut syncing(&store, &account)).await;

    assert_eq!(report.outcome, Outcome::Failed);
    let zone = report.zones.last().unwrap();
    assert_eq!(zone.zone, CloudZone::Messages);
    let reason = "iCloud answered with the HTTP status 503".to_owned();
    assert_eq!(zone.ended, Ended::Errors(reason));
    let state = store.snapshot().unwrap().zone(CloudZone::Messages).unwrap();
    assert_eq!((state.caught_up, state.position()), (None, None));
}

#[tokio::test(start_paused = true)]
async fn a_zone_of_files_that_fails_does_not_keep_messages_back() {
    let (store, account) = (new_store(), Account::new(invented(60), 20));
    account.set_faults(|zone, _| (zone == CloudZone::Attachments).then_some(Fault::Busy));
    let mut sync = syncing(&store, &account);

    let first = pass(&mut sync).await;
    account.set_faults(|_, _| None);
    let second = pass(&mut sync).await;

    assert_eq!(first.outcome, Outcome::Degraded);
    assert_eq!(second.outcome, Outcome::Complete);
    assert_eq!(store.snapshot().unwrap().message_count().unwrap(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_hint_of_the_server_is_obeyed() {
    let (store, account) = (new_store(), Account::new(invented(10), 20));
    account.set_faults(|_, asked| (asked == 2).then_some(Fault::Throttled(30)));
    let begin = Instant::now();

    let report = pass(&mut syncing(&store, &account)).await;

    assert_eq!(report.outcome, Outcome::Complete);
    let took = begin.elapsed();
    assert!(
        took >= Duration::from_secs(30) && took < Duration::from_secs(32),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_expired_session_blocks_until_another_is_imported() {
    let (store, account) = (new_store(), Account::new(invented(10), 20));
    account.set_faults(|_, asked| (asked == 3).then_some(Fault::Unauthorized));
    let mut sync = syncing(&store, &account);

    let blocked = pass(&mut sync).await;
    import(&store, session(|_| true));
    let complete = pass(&mut sync).await;

    assert_eq!(blocked.outcome, Outcome::Blocked);
    assert_eq!(complete.outcome, Outcome::Complete);
}

#[tokio::test(start_paused = true)]
async fn stopping_is_heard_in_the_midst_of_a_wait() {
    let (store, account) = (new_store(), Account::new(invented(10), 20));
    account.set_faults(|_, _| Some(Fault::Throttled(3_600)));
    let stop = CancellationToken::new();
    let mut sync = syncing(&store, &account);
    let begin = Instant::now();

    let (report, ()) = tokio::join!(sync.pass(&stop, &|_| ControlFlow::Continue(())), async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        stop.cancel();
    });

    assert_eq!(report.unwrap().outcome, Outcome::Cancelled);
    assert!(begin.elapsed() < Duration::from_secs(10));
}

/// Begins a pass that dies after so many answers about messages: nothing of it goes on.
async fn die(store: &Store, account: &Account, answers: u64) {
    let mut asked = 0;
    account.set_faults(move |zone, _| {
        asked += u64::from(zone == CloudZone::Messages);
        (asked > answers).then_some(Fault::Stall)
    });
    let mut sync = syncing(store, account);
    let died = tokio::time::timeout(Duration::from_secs(1), pass(&mut sync)).await;
    assert!(died.is_err());
}

fn is_guarded(store: &Store) -> bool {
    let snapshot = store.snapshot().unwrap();
    snapshot.is_guarded(CloudZone::Messages).unwrap()
}

/// Records that were set aside.
fn set_aside(store: &Store) -> Vec<StoredCloudRecord> {
    let snapshot = store.snapshot().unwrap();
    let is_aside = |reason: &String| reason.contains("ended again and again");
    let quarantine = snapshot.quarantine().unwrap().into_iter();
    let aside = quarantine.filter(|(_, entry)| entry.reasons.iter().any(is_aside));
    aside
        .map(|(id, _)| snapshot.cloud_record(id).unwrap().unwrap())
        .collect()
}

/// GUIDs of the messages that are not deleted.
fn there(store: &Store) -> BTreeSet<String> {
    let lines = export(store).into_iter();
    let lines = lines.filter(|line| line["type"] == "message" && line["deleted"].is_null());
    lines
        .map(|line| line["guid"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_page_that_ends_the_program_again_and_again_is_set_aside() {
    let (store, account) = (new_store(), Account::new(invented(300), 50));
    let undisturbed = new_store();
    pass(&mut syncing(&undisturbed, &account)).await;

    for _ in 0..3 {
        die(&store, &account, 2).await;
    }
    assert!(!is_guarded(&store), "it moved on each time");
    for _ in 0..4 {
        die(&store, &account, 0).await;
    }
    assert!(is_guarded(&store));
    for _ in 0..2 {
        die(&store, &account, 0).await;
    }
    account.set_faults(|_, _| None);
    let report = pass(&mut syncing(&store, &account)).await;

    assert_eq!(report.outcome, Outcome::Complete, "{report:?}");
    assert_sound(&store.snapshot().unwrap());
    assert!(!is_guarded(&store));
    let aside = set_aside(&store).len();
    assert!((40..=50).contains(&aside), "{aside}");
    let lost: BTreeSet<_> = &there(&undisturbed) - &there(&store);
    assert!((20..=50).contains(&lost.len()), "{lost:?}");

    // A later pass leaves it alone, also of another process; its owner does not.
    pass(&mut syncing(&store, &account)).await;
    assert_eq!(set_aside(&store).len(), aside);
    let archive = Archive::over(store.clone(), Arc::new(CLOCK));
    let again = archive.redecode(Redecode::All, &|_| ControlFlow::Continue(()));
    again.unwrap();
    assert_sound(&store.snapshot().unwrap());
    let left = set_aside(&store);
    assert_eq!(
        left.len(),
        2,
        "one says that a record was deleted, one is no change at all"
    );
    for record in left {
        let change = RecordChange::read(record.raw.unwrap().0.into());
        assert!(record.deleted.is_some() || change.is_err());
    }
    assert_eq!(there(&store), there(&undisturbed));
}

#[tokio::test(start_paused = true)]
async fn errors_and_stops_are_no_deaths() {
    let (store, account) = (new_store(), Account::new(invented(300), 50));

    for _ in 0..8 {
        account.set_faults(|zone, _| (zone == CloudZone::Messages).then_some(Fault::Busy));
        let report = pass(&mut syncing(&store, &account)).await;
        assert_eq!(report.outcome, Outcome::Failed);
    }

    assert!(!is_guarded(&store));
    account.set_faults(|_, _| None);
    let report = pass(&mut syncing(&store, &account)).await;
    assert_eq!(report.outcome, Outcome::Complete);
    assert_sound(&store.snapshot().unwrap());
}

#[tokio::test(start_paused = true)]
async fn after_a_reset_what_is_not_seen_again_is_marked_and_nothing_goes() {
    let mut feeds = invented(40);
    let (store, account) = (new_store(), Account::new(feeds.clone(), 20));
    let mut sync = syncing(&store, &account);
    pass(&mut sync).await;
    let before = export(&store);

    feeds.get_mut(&CloudZone::Messages).unwrap().remove(0);
    account.replace(CloudZone::Messages, feeds[&CloudZone::Messages].clone());
    let mut has_been = false;
    account.set_faults(move |zone, _| {
        let now = zone == CloudZone::Messages && !has_been;
        has_been |= now;
        now.then_some(Fault::Reset)
    });
    pass(&mut sync).await;

    assert_eq!(export(&store), before);
    let archive = Archive::over(store.clone(), Arc::new(CLOCK));
    // That it is decoded again does not mean that it was seen again.
    archive
        .redecode(Redecode::All, &|_| ControlFlow::Continue(()))
        .unwrap();
    let snapshot = store.snapshot().unwrap();
    let state = snapshot.zone(CloudZone::Messages).unwrap();
    assert_eq!(state.resets, 1);
    let misses = |name: &str| {
        let name = RecordName::parse(name).unwrap();
        let (_, held) = snapshot
            .cloud_record_named(CloudZone::Messages, &name)
            .unwrap()
            .unwrap();
        state.misses(&held)
    };
    assert!(misses("m1"));
    assert!(!misses("m2"));
    let explained = archive.explain(&guid(1)).unwrap();
    assert!(
        explained[0]
            .findings
            .iter()
            .any(|it| it.contains("was not seen again since")),
        "{explained:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_of_both_sources_is_one_whichever_comes_first() {
    let mac = Fixture::new(MacOs::V26);
    let ada = mac.handle(ADA, "iMessage");
    let direct = mac.chat(&format!("iMessage;-;{ADA}"), &[ada]);
    for number in 1..=3 {
        let text = format!("on the mac {number}");
        mac.message(
            &guid(number),
            &[direct],
            &[("text", &text), ("date", &at(number)), ("handle_id", &ada)],
        );
    }
    let whom = ("any;-;+15550100021", Some(ADA));
    let list = (2..=4).map(|number| {
        let lower = guid(number).to_lowercase();
        message(
            &format!("m{number}"),
            &lower,
            whom,
            at(number),
            "in the cloud",
        )
    });
    let feeds = BTreeMap::from([
        (CloudZone::Messages, list.collect()),
        (CloudZone::Chats, vec![chat("c1", ADA, None, None)]),
        (CloudZone::Attachments, Vec::new()),
        (CloudZone::RecentlyDeleted, Vec::new()),
    ]);
    let account = Account::new(feeds, 20);
    let mut exports = Vec::new();
    for is_mac_first in [true, false] {
        let store = new_store();
        let mut sync = syncing(&store, &account);
        if is_mac_first {
            history::import(&store, &mac.path(), 100).unwrap();
            pass(&mut sync).await;
        } else {
            pass(&mut sync).await;
            history::import(&store, &mac.path(), 100).unwrap();
        }
        assert_sound(&store.snapshot().unwrap());
        let change = store.snapshot().unwrap().last_change().unwrap();
        history::import(&store, &mac.path(), 100).unwrap();
        pass(&mut sync).await;
        assert_eq!(
            store.snapshot().unwrap().last_change().unwrap(),
            change,
            "a repeat changes something"
        );

        let lines = export(&store);
        let sources = |number| {
            let sources = line(&lines, &guid(number))["sources"]
                .as_array()
                .unwrap()
                .iter();
            sources
                .map(|it| it.as_str().unwrap().to_owned())
                .collect::<BTreeSet<_>>()
        };
        let both = BTreeSet::from(["chatdb".to_owned(), "cloudkit".to_owned()]);
        assert_eq!(
            [1, 2, 3, 4].map(|number| sources(number).len()),
            [1, 2, 2, 1]
        );
        assert_eq!(sources(2), both);
        assert_eq!(line(&lines, &guid(2))["text"], "on the mac 2");
        assert_eq!(line(&lines, &guid(4))["text"], "in the cloud");
        let conversations = lines
            .iter()
            .filter(|line| line["type"] == "conversation")
            .count();
        assert_eq!(conversations, 1);
        let archive = Archive::over(store.clone(), Arc::new(CLOCK));
        let explained = archive.explain(&guid(2)).unwrap();
        let named: Vec<&str> = explained[0]
            .records
            .iter()
            .map(|record| record.source)
            .collect();
        assert_eq!(named, ["chatdb", "cloudkit"]);
        let texts: Vec<(Option<String>, Option<String>)> = lines
            .iter()
            .map(|line| {
                (
                    line["guid"].as_str().map(str::to_owned),
                    line["text"].as_str().map(str::to_owned),
                )
            })
            .collect();
        exports.push(texts);
    }
    assert_eq!(exports[0], exports[1]);
}

#[tokio::test(start_paused = true)]
async fn deleting_moving_and_restoring_follow_the_records() {
    let whom = ("iMessage;-;+15550100021", Some(ADA));
    let first = |number: i64| {
        message(
            &format!("m{number}"),
            &guid(number),
            whom,
            at(number),
            "text",
        )
    };
    let feeds = BTreeMap::from([
        (CloudZone::Chats, vec![chat("c1", ADA, None, None)]),
        (CloudZone::Messages, (1..=3).map(first).collect()),
        (CloudZone::Attachments, Vec::new()),
        (CloudZone::RecentlyDeleted, Vec::new()),
    ]);
    let (store, account) = (new_store(), Account::new(feeds, 20));
    let mut sync = syncing(&store, &account);
    pass(&mut sync).await;
    let deleted_ones = |store: &Store| {
        let lines = export(store);
        [1, 2, 3].map(|number| !line(&lines, &guid(number))["deleted"].is_null())
    };
    let conversation = |store: &Store| {
        let lines = export(store);
        let found = lines.iter().find(|line| line["type"] == "conversation");
        !found.unwrap()["deleted"].is_null()
    };
    assert_eq!(deleted_ones(&store), [false; 3]);

    // One message by its record's name (ED-17); a name that is another's GUID means nothing.
    account.push(
        CloudZone::Messages,
        vec![
            deleted(CloudZone::Messages, "m1"),
            deleted(CloudZone::Messages, &guid(2)),
        ],
    );
    pass(&mut sync).await;
    assert_eq!(
        (deleted_ones(&store), conversation(&store)),
        ([true, false, false], false)
    );

    // The whole chat.
    let gone = [2, 3].map(|number| deleted(CloudZone::Messages, &format!("m{number}")));
    account.push(CloudZone::Messages, gone.to_vec());
    account.push(CloudZone::Chats, vec![deleted(CloudZone::Chats, "c1")]);
    pass(&mut sync).await;
    pass(&mut sync).await;
    assert_eq!(
        (deleted_ones(&store), conversation(&store)),
        ([true; 3], true)
    );

    // A new message brings the conversation back, without the old ones (ED-14).
    account.push(
        CloudZone::Messages,
        vec![message("m4", &guid(4), whom, at(4), "new")],
    );
    pass(&mut sync).await;
    assert_eq!(
        (deleted_ones(&store), conversation(&store)),
        ([true; 3], false)
    );

    // Restored on the phone: their records are there again (ED-24).
    account.push(CloudZone::Messages, vec![first(2), first(3)]);
    account.push(CloudZone::Chats, vec![chat("c1", ADA, None, None)]);
    pass(&mut sync).await;
    assert_eq!(
        (deleted_ones(&store), conversation(&store)),
        ([true, false, false], false)
    );
    assert_sound(&store.snapshot().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_group_is_one_conversation_with_the_name_of_its_newest_state_that_has_one() {
    let (store, account) = (new_store(), Account::new(invented(30), 2));

    pass(&mut syncing(&store, &account)).await;

    let lines = export(&store);
    let key = format!("gid:{}", GROUP.to_lowercase());
    let groups: Vec<&Value> = lines.iter().filter(|line| line["key"] == key).collect();
    assert_eq!(groups.len(), 1);
    assert_eq!(groups[0]["name"], "Hikers");
    let homes = |number| line(&lines, &guid(number))["conversation"].clone();
    assert_eq!((homes(6), homes(4)), (key.clone().into(), key.into()));
    assert_eq!(homes(3), "dm:mailto:bea@example.org");
    assert_eq!(homes(5), Value::Null);
}
