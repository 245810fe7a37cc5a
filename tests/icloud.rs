//! The program with Messages in iCloud, against the loopback iCloud: a session by hand, and the running service.
//!
//! Guards against a session that shows in an answer, against one that has expired without a word to the owner, and against
//! keys that come later and open nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::process::Output;
use std::thread;
use std::time::Duration;

use footbridge::demo::Account;
use footbridge::demo::Call;
use footbridge::demo::Dirtiness;
use footbridge::demo::Faults;
use footbridge::demo::Items;
use footbridge::demo::ZoneKind;
use footbridge::model::record::CloudZone;
use serde_json::Value;

use crate::support::home::Home;
use crate::support::icloud::ICloud;
use crate::support::running::LOOKS;
use crate::support::running::Running;

fn json(output: &Output) -> Value {
    let shown = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {shown}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A loopback iCloud of a small account.
fn icloud() -> ICloud {
    ICloud::of(Account::new(7, 60, Dirtiness::Clean), Faults::none())
}

#[test]
fn a_session_is_imported_used_replaced_and_forgotten() {
    let (home, cloud) = (Home::new(), icloud());
    cloud.write_session(&home, Items::WithoutOlderIdentity);
    let secret: Value = serde_json::from_slice(&cloud.account.session(Items::All)).unwrap();

    let without = cloud.output(&home, &["cloudkit", "import", "nothing.json"]);
    assert!(!home.archive().exists(), "no archive is made for nothing");
    let imported = cloud.output(&home, &["cloudkit", "import", "session.json"]);
    let sealed = cloud.output(&home, &["cloudkit", "sync"]);
    cloud.write_session(&home, Items::All);
    let keys = cloud.output(&home, &["cloudkit", "import", "session.json"]);
    let opened = cloud.output(&home, &["cloudkit", "sync"]);
    let again = cloud.output(&home, &["cloudkit", "sync"]);
    assert_eq!(
        cloud.loopback.requests(Call::Init),
        1,
        "the user id is kept"
    );
    cloud.account.expire_tokens();
    let expired = cloud.output(&home, &["cloudkit", "sync"]);
    let needs = cloud.output(&home, &["cloudkit", "status"]);
    let forgotten = cloud.output(&home, &["cloudkit", "forget"]);
    let after = cloud.output(&home, &["cloudkit", "sync"]);
    let status = cloud.output(&home, &["cloudkit", "status"]);

    assert_eq!(without.status.code(), Some(2), "{without:?}");
    assert!(
        text(&imported.stdout).starts_with("the session is imported"),
        "{imported:?}"
    );
    assert!(
        text(&sealed.stdout).contains("without a key: "),
        "{sealed:?}"
    );
    assert!(text(&keys.stdout).contains("1 new item"), "{keys:?}");
    assert!(text(&opened.stdout).starts_with("new: "), "{opened:?}");
    assert_eq!(text(&again.stdout), "nothing is new\n");
    assert_eq!(expired.status.code(), Some(3), "{expired:?}");
    assert!(
        text(&expired.stderr).contains("hint: it has expired"),
        "{expired:?}"
    );
    assert!(
        text(&needs.stdout).contains("needs you    iCloud does not accept"),
        "{needs:?}"
    );
    assert_eq!(
        text(&forgotten.stdout),
        "the session is forgotten; what was read stays\n"
    );
    assert_eq!(after.status.code(), Some(3), "{after:?}");
    assert!(
        text(&status.stdout).starts_with("no session is imported"),
        "{status:?}"
    );
    for output in [&imported, &sealed, &keys, &opened, &expired, &needs] {
        for member in ["dsid", "mme_auth_token", "cloudkit_token"] {
            let secret = secret[member].as_str().unwrap();
            let shown = text(&output.stdout) + &text(&output.stderr);
            assert!(!shown.contains(secret), "{member} in {shown}");
        }
    }
    cloud.stop();
}

#[test]
fn a_restart_asks_for_the_changes_of_each_zone_once_and_for_nothing_else() {
    let (home, cloud) = (Home::new(), icloud());
    cloud.write_session(&home, Items::All);
    cloud.output(&home, &["cloudkit", "import", "session.json"]);
    cloud.output(&home, &["cloudkit", "sync"]);
    cloud.loopback.take_requests();
    let mut command = cloud.command(&home, &["run"]);
    // Late passes come after a quarter of a minute, and files are none of its questions.
    command
        .env("FOOTBRIDGE_CLOUDKIT_HURRY", "1")
        .env("FOOTBRIDGE_MEDIA_KEEP", "none");

    let running = Running::of(&home, command);
    let zones: Vec<&str> = CloudZone::ALL
        .into_iter()
        .filter(|zone| !zone.is_recently_deleted())
        .map(CloudZone::name)
        .filter(|zone| {
            // A clean account has no businesses, and is not asked for them again.
            ZoneKind::parse(zone).is_some_and(|zone| !ZoneKind::OF_BUSINESSES.contains(&zone))
        })
        .collect();
    for _ in 0..LOOKS {
        let status = json(&home.output(&["status", "--json"]));
        if status["sources"]["cloudkit"] == "complete"
            && cloud.loopback.requests(Call::Changes) >= 3
        {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    let ended = running.stop();

    assert_eq!(ended.status.code(), Some(0));
    let each: Vec<u64> = zones
        .iter()
        .map(|zone| cloud.loopback.operations(Call::Changes, zone))
        .collect();
    assert_eq!(each, [1, 1, 1], "{zones:?}");
    let asked = cloud.loopback.take_requests();
    assert_eq!(asked.into_iter().collect::<Vec<_>>(), [(Call::Changes, 3)]);
    cloud.stop();
}

#[test]
fn a_running_service_takes_up_a_session_and_what_comes_later() {
    let (home, cloud) = (Home::with_archive(), icloud());
    cloud.write_session(&home, Items::All);
    let before = json(&home.output(&["status", "--json"]))["messages"].clone();
    let running = Running::of(&home, cloud.command(&home, &["run"]));
    let wait_for = |what: &str, is_so: &dyn Fn(&Value) -> bool| {
        for _ in 0..LOOKS {
            let status = json(&home.output(&["status", "--json"]));
            if is_so(&status) {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("{what}");
    };

    let imported = cloud.output(&home, &["cloudkit", "import", "session.json"]);
    wait_for("the first pass", &|status| {
        status["sources"]["cloudkit"] == "complete"
    });
    cloud
        .account
        .add_message(1, "a word that nobody else wrote")
        .unwrap();
    let found = || home.output(&["search", "nobody else wrote", "--json"]);
    wait_for("the later message", &|_| !found().stdout.is_empty());
    cloud.account.expire_tokens();
    wait_for("the expired session", &|status| {
        status["cloud"]["need"].is_string()
    });
    let refused = cloud.output(&home, &["cloudkit", "forget"]);
    cloud.write_session(&home, Items::All);
    cloud.output(&home, &["cloudkit", "import", "session.json"]);
    wait_for("the new session", &|status| {
        status["cloud"]["zones"][0]["state"] == "complete"
    });
    let ended = running.stop();
    let rest = text(&ended.stderr);

    assert!(
        text(&imported.stdout).contains("takes it up within seconds"),
        "{imported:?}"
    );
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    assert!(
        rest.contains("iCloud does not accept the imported session"),
        "{rest}"
    );
    assert_eq!(ended.status.code(), Some(0), "{rest}");
    let after = json(&home.output(&["status", "--json"]))["messages"].clone();
    assert!(after.as_u64() > before.as_u64(), "{before} {after}");
    assert_eq!(home.output(&["verify"]).status.code(), Some(0));
    cloud.stop();
}
