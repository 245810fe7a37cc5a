//! The program is killed while it syncs with an iCloud that fails in every way, and started again until it is through.
//! What it ends with is what it would have ended with, and every record of the account is accounted for (D35).
//!
//! Guards against a position that is ahead of what is stored, against state that is only in memory between two commits,
//! and against records that are lost without a word.
//!
//! The ordinary tests do this a few times with a small account. The whole of it, 200 runs of 20,000 records:
//!
//! ```text
//! FOOTBRIDGE_FAULT_RUNS=200 FOOTBRIDGE_FAULT_MESSAGES=20000 cargo test --release --test kill_sync -- --nocapture
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, is told its size by the environment, and tells what it did"
)]

mod support;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs::File;
use std::ops::AddAssign;
use std::process::ExitStatus;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use footbridge::base::ids::ConversationKey;
use footbridge::base::ids::Guid;
use footbridge::base::ids::Handle;
use footbridge::base::ids::RowId;
use footbridge::base::time::AppleTime;
use footbridge::base::time::FixedClock;
use footbridge::codec::cloudkit::RecordChange;
use footbridge::codec::cloudkit::RetrieveChangesRequest;
use footbridge::codec::cloudkit::RetrieveChangesResponse;
use footbridge::codec::cloudkit::ZoneIdentifier;
use footbridge::demo::Account;
use footbridge::demo::Call;
use footbridge::demo::Chance;
use footbridge::demo::Cloud;
use footbridge::demo::Dirtiness;
use footbridge::demo::Fault;
use footbridge::demo::Faults;
use footbridge::demo::Items;
use footbridge::demo::Readable;
use footbridge::demo::Refusal;
use footbridge::demo::Trouble;
use footbridge::demo::Truth;
use footbridge::demo::What;
use footbridge::demo::ZoneKind;
use footbridge::model::record::CloudZone;
use footbridge::store::Absent;
use footbridge::store::Store;
use footbridge::store::value::Became;
use footbridge::store::value::Ended;
use footbridge::store::value::StoredCloudRecord;
use serde_json::Value;

use crate::support::dice::dice;
use crate::support::home::Home;
use crate::support::icloud::ICloud;

const SEED: u64 = 11;

/// A run that is not through after so many starts never will be.
const STARTS: usize = 2_000;

/// A pause between two starts, so that what is tried again later is tried.
const PAUSE: Duration = Duration::from_millis(50);

/// Zones and their names in the loopback iCloud.
const ZONES: [(CloudZone, ZoneKind); 7] = [
    (CloudZone::Attachments, ZoneKind::Attachment),
    (CloudZone::Chats, ZoneKind::Chat),
    (CloudZone::Messages, ZoneKind::Message),
    (CloudZone::RecentlyDeleted, ZoneKind::Recoverable),
    (CloudZone::BotAttachments, ZoneKind::BotAttachment),
    (CloudZone::BotMessages, ZoneKind::BotMessage),
    (CloudZone::BotRecentlyDeleted, ZoneKind::BotRecoverable),
];

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

fn account(messages: u64) -> Account {
    Account::new(SEED, messages, Dirtiness::AsSeen)
        .with_pages(messages.div_ceil(100).clamp(20, 200))
}

/// What an archive holds, without what depends on when it came.
#[derive(PartialEq)]
struct Content {
    /// The export; of what was deleted only that it was, not when it was noticed.
    lines: Vec<Value>,
    quarantine: Vec<Value>,
    /// Every record by its zone and its name.
    records: BTreeMap<(CloudZone, String), StoredCloudRecord>,
}

impl Content {
    fn of(home: &Home) -> Self {
        let verified = home.output(&["verify"]);
        assert!(verified.status.success(), "{verified:?}");
        let mut lines = home.exported();
        for line in &mut lines {
            let fields = line.as_object_mut().unwrap();
            if fields.contains_key("deleted") {
                fields.insert("deleted".to_owned(), true.into());
            }
            // Some messages come from the future: those stand where they were seen first.
            if fields.get("last").and_then(Value::as_str) > Some("2026") {
                fields.remove("last");
            }
        }
        let listed = home.output(&["quarantine", "list", "--json"]);
        let listed = String::from_utf8(listed.stdout).unwrap();
        let mut quarantine: Vec<Value> = listed
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        for held in &mut quarantine {
            let fields = held.as_object_mut().unwrap();
            fields.remove("since");
            fields.remove("attempts");
        }
        quarantine.sort_by_key(ToString::to_string);
        Self {
            lines,
            quarantine,
            records: records(home),
        }
    }

    /// Where two differ first, in words without contents.
    fn difference(&self, other: &Self) -> Option<String> {
        let lists = [
            ("line", &self.lines, &other.lines),
            ("quarantined", &self.quarantine, &other.quarantine),
        ];
        for (what, ours, theirs) in lists {
            if let Some((ours, theirs)) = ours.iter().zip(theirs).find(|(a, b)| a != b) {
                return Some(format!("{what}\n{ours}\n{theirs}"));
            }
            if ours.len() != theirs.len() {
                return Some(format!("{what}s: {} and {}", ours.len(), theirs.len()));
            }
        }
        let names = |of: &Self| of.records.keys().cloned().collect::<BTreeSet<_>>();
        let (ours, theirs) = (names(self), names(other));
        if let Some(name) = ours.symmetric_difference(&theirs).next() {
            return Some(format!("{name:?} is in one of them"));
        }
        let mut pairs = self.records.iter().zip(other.records.values());
        let (name, ours, theirs) = pairs
            .find(|((_, ours), theirs)| ours != theirs)
            .map(|((name, ours), theirs)| (name, ours, theirs))?;
        Some(format!("{name:?}\n{ours:?}\n{theirs:?}"))
    }
}

fn store(home: &Home) -> Store {
    let clock = Arc::new(FixedClock(AppleTime::default()));
    Store::open(&home.archive(), Absent::Refuse, clock).unwrap()
}

/// The records that are held, without rows, which depend on the order of arrival, and times of arrival.
fn records(home: &Home) -> BTreeMap<(CloudZone, String), StoredCloudRecord> {
    let snapshot = store(home).snapshot().unwrap();
    let mut found = BTreeMap::new();
    for (zone, _) in ZONES {
        let held = snapshot
            .cloud_records_after(zone, None, usize::MAX)
            .unwrap();
        for (_, name, held) in held {
            let nowhere = RowId(0);
            let became = match held.became {
                Became::Message(_) => Became::Message(nowhere),
                Became::Chat(_) => Became::Chat(nowhere),
                Became::Attachment(_) => Became::Attachment(nowhere),
                other @ (Became::Nothing
                | Became::MissingKey
                | Became::Unreadable
                | Became::Foreign) => other,
            };
            let held = StoredCloudRecord {
                became,
                deleted: held.deleted.map(|_| AppleTime::default()),
                seen: 0,
                others: held.others.iter().map(|_| nowhere).collect(),
                ..held
            };
            found.insert((zone, name.as_str().to_owned()), held);
        }
    }
    found
}

/// Whether the end of every zone was reached.
fn is_through(home: &Home) -> bool {
    let snapshot = store(home).snapshot().unwrap();
    ZONES.iter().all(|(zone, _)| {
        let state = snapshot.zone(*zone).unwrap();
        matches!(state.ended, Ended::CaughtUp | Ended::TokenUnchanged)
    })
}

fn import(cloud: &ICloud, home: &Home, items: Items) {
    cloud.write_session(home, items);
    let imported = cloud.output(home, &["cloudkit", "import", "session.json"]);
    assert!(imported.status.success(), "{imported:?}");
}

/// What was never disturbed, and how long that took.
struct Quiet {
    content: Content,
    took: Duration,
}

impl Quiet {
    fn new(messages: u64) -> Self {
        let (home, cloud) = (Home::new(), ICloud::of(account(messages), Faults::none()));
        import(&cloud, &home, Items::All);
        let begin = Instant::now();
        let synced = cloud.output(&home, &["cloudkit", "sync"]);
        let took = begin.elapsed();
        assert!(synced.status.success(), "{synced:?}");
        assert!(is_through(&home));
        let content = Content::of(&home);
        cloud.stop();
        Self { content, took }
    }
}

/// The names in a zone's feed, and how many changes have none.
fn feed(account: &Account, zone: ZoneKind) -> (BTreeSet<String>, usize) {
    let (mut names, mut nameless, mut token) = (BTreeSet::new(), BTreeSet::new(), None);
    let user = account.credentials().user;
    loop {
        let request = RetrieveChangesRequest {
            token,
            zone: Some(ZoneIdentifier::new(zone.name(), &user)),
            ..RetrieveChangesRequest::default()
        };
        let host = "127.0.0.1:80".parse().unwrap();
        let (page, _) = account.changes(&request, host).unwrap();
        for bytes in page.changes {
            let change = RecordChange::read(bytes.clone()).unwrap();
            match change.name() {
                Some(name) => names.insert(name.to_owned()),
                None => nameless.insert(bytes),
            };
        }
        if page.status == Some(RetrieveChangesResponse::CAUGHT_UP) {
            return (names, nameless.len());
        }
        token = page.token;
    }
}

/// Looks for every change of every feed and for everything that the account says of its records.
fn account_for(account: &Account, content: &Content) -> BTreeMap<&'static str, usize> {
    for (zone, kind) in ZONES {
        let (names, nameless) = feed(account, kind);
        let held = content.records.keys().filter(|(of, _)| *of == zone);
        let held: BTreeSet<&str> = held.map(|(_, name)| name.as_str()).collect();
        let lost: Vec<&String> = names
            .iter()
            .filter(|name| !held.contains(name.as_str()))
            .collect();
        assert!(lost.is_empty(), "{zone:?}: {lost:?}");
        assert_eq!(held.len(), names.len() + nameless, "{zone:?}");
    }
    let by = |field: &str| -> BTreeMap<&str, &Value> {
        let lines = content.lines.iter();
        lines
            .filter_map(|line| Some((line[field].as_str()?, line)))
            .collect()
    };
    let (messages, conversations) = (by("guid"), by("key"));
    let quarantine = content.quarantine.iter();
    let quarantined: BTreeMap<&str, &Value> = quarantine
        .filter_map(|held| Some((held["guid"].as_str()?, &held["reasons"])))
        .collect();
    let says_why = |name: &str, field: &str| {
        let reasons = quarantined.get(name).and_then(|reasons| reasons.as_array());
        let mut reasons = reasons.into_iter().flatten().filter_map(Value::as_str);
        reasons.any(|reason| reason.starts_with(field))
    };
    let mut counts = BTreeMap::new();
    for truth in account.truths() {
        let zone = ZONES
            .iter()
            .find(|(_, kind)| *kind == truth.zone)
            .unwrap()
            .0;
        let record = &content.records[&(zone, truth.record.clone())];
        assert_eq!(record.deleted, None, "{truth:?}");
        let is = match (truth.what, truth.readable) {
            (What::Foreign, _) => {
                assert_eq!(record.became, Became::Foreign, "{truth:?}");
                assert!(quarantined.contains_key(truth.record.as_str()), "{truth:?}");
                "of an unknown type"
            }
            (_, Readable::MissingKey) => {
                assert_eq!(record.became, Became::MissingKey, "{truth:?}");
                assert!(quarantined.contains_key(truth.record.as_str()), "{truth:?}");
                "sealed"
            }
            (What::Chat, _) => {
                let key = truth.conversation.as_ref().unwrap().as_str();
                assert_eq!(record.became, Became::Chat(RowId(0)), "{truth:?}");
                assert!(conversations.contains_key(key), "{truth:?}");
                if let Readable::BadField(field) = truth.readable {
                    assert!(says_why(&truth.record, field), "{truth:?}");
                    "states of chats with a bad field"
                } else {
                    "states of chats"
                }
            }
            (What::File, Readable::BadField("cm")) => {
                assert_eq!(record.became, Became::Unreadable, "{truth:?}");
                assert!(says_why(&truth.record, "cm"), "{truth:?}");
                "files that nothing is known of"
            }
            (What::File, readable) => {
                assert_eq!(record.became, Became::Attachment(RowId(0)), "{truth:?}");
                if let Readable::BadField(field) = readable {
                    assert!(says_why(&truth.record, field), "{truth:?}");
                    "files that cannot be fetched"
                } else {
                    "files"
                }
            }
            (What::Message | What::Unsent | What::Tapback(_) | What::Notice(_), _) => {
                assert_eq!(record.became, Became::Message(RowId(0)), "{truth:?}");
                let guid = Guid::parse(&truth.guid).unwrap().to_string();
                let line = messages.get(guid.as_str());
                compare(line.unwrap_or_else(|| panic!("{truth:?} is lost")), &truth);
                if let Readable::BadField(field) = truth.readable {
                    assert!(says_why(&guid, field), "{truth:?}");
                    let why = messages[guid.as_str()]["unreadable"].as_str().unwrap();
                    assert!(why.starts_with(field), "{truth:?}: {why}");
                    "messages with a bad field"
                } else {
                    "messages"
                }
            }
        };
        *counts.entry(is).or_default() += 1;
    }
    counts
}

/// A line of the export against what the account says of the message.
fn compare(line: &Value, truth: &Truth) {
    let texts = |value: &Value, field: &str| -> BTreeSet<String> {
        let values = value.as_array().into_iter().flatten();
        values
            .map(|it| it[field].as_str().unwrap().to_owned())
            .collect()
    };
    let kind = match truth.what {
        What::Tapback(_) => "tapback",
        What::Notice(_) => "announcement",
        What::Message | What::Unsent | What::Chat | What::File | What::Foreign => "message",
    };
    assert_eq!(line["kind"], kind, "{truth:?}");
    if truth.what == What::Message {
        let text = truth.text.as_deref().map(str::trim);
        assert_eq!(line["text"].as_str(), text, "{truth:?}");
    }
    let is_unsent = line["unsent_parts"].is_array();
    assert_eq!(is_unsent, truth.what == What::Unsent, "{truth:?}");
    assert_eq!(line["from_me"], truth.is_from_me, "{truth:?}");
    if let Some(sender) = truth.sender.as_deref().filter(|_| !truth.is_from_me) {
        let shown = Handle::from_normal(line["sender"].as_str().unwrap().to_owned());
        assert_eq!(shown.address(), sender, "{truth:?}");
    }
    if line["time_guessed"].is_null() && truth.sent.nanos() > 1_000_000_000_000 {
        assert_eq!(line["sent"], truth.sent.to_string(), "{truth:?}");
    }
    let key = truth.conversation.as_ref().map(ConversationKey::as_str);
    assert_eq!(line["conversation"].as_str(), key, "{truth:?}");
    assert_eq!(line["parked"].is_null(), key.is_some(), "{truth:?}");
    let target = [&line["tapback"]["target"], &line["reply_to"]]
        .into_iter()
        .find_map(|target| target["guid"].as_str());
    assert_eq!(target, truth.target.as_deref(), "{truth:?}");
    let files = truth.files.iter().cloned().collect();
    assert_eq!(texts(&line["attachments"], "guid"), files, "{truth:?}");
    if !truth.earlier.is_empty() {
        let versions = line["edits"][0]["versions"].as_array().unwrap();
        let versions: Vec<&str> = versions
            .iter()
            .filter_map(|it| it["text"].as_str())
            .collect();
        let all = truth.earlier.iter().chain(&truth.text);
        assert_eq!(
            versions,
            all.map(String::as_str).collect::<Vec<_>>(),
            "{truth:?}"
        );
    }
    let is_deleted = truth.zone.is_recently_deleted();
    assert_eq!(!line["deleted"].is_null(), is_deleted, "{truth:?}");
}

/// One of everything that can go wrong.
fn trouble(roll: &mut impl FnMut(u64) -> u64) -> Trouble {
    const CLIENT: [i32; 11] = [4, 6, 11, 12, 15, 16, 19, 48, 52, 53, 59];
    const SERVER: [i32; 4] = [2, 4, 7, 8];
    const STATUS: [u16; 7] = [401, 403, 404, 429, 500, 502, 503];
    let mut pick = |count: usize| usize::try_from(roll(count as u64)).unwrap();
    match pick(14) {
        0 | 1 => {
            let hint = [None, Some(1), Some(5)][pick(3)];
            Trouble::Refused(Refusal::client(CLIENT[pick(CLIENT.len())]).after(hint))
        }
        2 | 3 => {
            let hint = [None, Some(1), Some(5)][pick(3)];
            Trouble::Refused(Refusal::server(SERVER[pick(SERVER.len())]).after(hint))
        }
        4 => Trouble::Reset([Refusal::RESET_NEEDED, Refusal::FULL_RESET_NEEDED][pick(2)]),
        5 | 6 => Trouble::Status {
            status: STATUS[pick(STATUS.len())],
            has_page: pick(2) == 0,
            retry_after: [None, Some(1), Some(5)][pick(3)],
        },
        7 => Trouble::Page,
        8 => Trouble::Cut(pick(100) as u64),
        9 => Trouble::Slow {
            pieces: 4,
            pause: Duration::from_millis(20),
        },
        10 => Trouble::Stalled,
        11 => Trouble::Shuffled,
        12 => Trouble::OneMissing,
        _ => [Trouble::Unpacked, Trouble::BitFlip][pick(2)].clone(),
    }
}

/// Faults for one run: of every kind at random requests, and by chance in between.
fn faults(roll: &mut impl FnMut(u64) -> u64, pages: u64) -> Faults {
    let mut planned = Vec::new();
    for _ in 0..10 + roll(20) {
        let call = match roll(10) {
            0 => Call::Init,
            1 | 2 => Call::Zone,
            _ => Call::Changes,
        };
        let among = if call == Call::Changes { pages } else { 6 };
        let skip = u32::try_from(roll(among)).unwrap();
        let mut trouble = trouble(roll);
        if call != Call::Changes && matches!(trouble, Trouble::Reset(_)) {
            // Only a position can be forgotten.
            trouble = Trouble::Page;
        }
        let mut fault = Fault::new(call, trouble).after(skip);
        if is_gone(&fault.trouble) {
            // A zone that most accounts lack is asked about again a day later.
            let (_, zone) = ZONES[usize::try_from(roll(4)).unwrap()];
            fault = fault.in_zone(zone.name());
        }
        planned.push(fault);
    }
    let chance = Chance {
        seed: roll(u64::from(u32::MAX)),
        percent: 5,
        most: 20,
    };
    Faults {
        planned,
        chance: Some(chance),
    }
}

/// Whether a refusal says that the zone is not there any more.
fn is_gone(trouble: &Trouble) -> bool {
    matches!(
        trouble,
        Trouble::Refused(Refusal {
            client: Some(48 | 59),
            ..
        })
    )
}

fn named(trouble: &Trouble) -> String {
    match trouble {
        Trouble::Refused(refusal) => match (refusal.client, refusal.server) {
            (Some(code), _) => format!("refused with client code {code:02}"),
            (None, code) => format!("refused with server code {:02}", code.unwrap_or_default()),
        },
        Trouble::Reset(code) => format!("positions forgotten, code {code}"),
        Trouble::Status { status, .. } => format!("status {status}"),
        Trouble::Page => "a page for people".to_owned(),
        Trouble::Cut(_) => "cut off".to_owned(),
        Trouble::Slow { .. } => "slow".to_owned(),
        Trouble::Stalled => "stalled".to_owned(),
        Trouble::Shuffled => "in another order".to_owned(),
        Trouble::OneMissing => "one missing".to_owned(),
        Trouble::Unpacked => "not packed".to_owned(),
        Trouble::BitFlip => "a bit flipped".to_owned(),
    }
}

/// What happened in runs.
#[derive(Clone, Debug, Default)]
struct Figures {
    starts: u64,
    kills: u64,
    imports: u64,
    faults: BTreeMap<String, u64>,
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.starts += other.starts;
        self.kills += other.kills;
        self.imports += other.imports;
        for (name, count) in other.faults {
            *self.faults.entry(name).or_default() += count;
        }
    }
}

/// Starts a sync and waits for its end, or kills it when the time is over: then there is no status.
fn start(cloud: &ICloud, home: &Home, limit: Option<Duration>) -> Option<ExitStatus> {
    let said = File::create(home.path().join("stderr")).unwrap();
    let mut command = cloud.command(home, &["cloudkit", "sync"]);
    let mut child = command.stdout(Stdio::null()).stderr(said).spawn().unwrap();
    let Some(limit) = limit else {
        return Some(child.wait().unwrap());
    };
    thread::sleep(limit);
    if let Some(status) = child.try_wait().unwrap() {
        return Some(status);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

/// One run: everything goes wrong, and in the end nothing is missing.
fn run(seed: u64, messages: u64, quiet: &Quiet) -> Figures {
    let mut roll = dice(seed);
    let pages = messages * 13 / 10 / messages.div_ceil(100).clamp(20, 200);
    let faults = faults(&mut roll, pages);
    let (home, cloud) = (Home::new(), ICloud::of(account(messages), faults));
    let mut figures = Figures::default();
    // In every third run a key is missing at first, in every fourth the session expires on the way.
    let mut items = [Items::All, Items::WithoutOlderIdentity][usize::from(seed.is_multiple_of(3))];
    let mut kills = 2 + roll(7);
    let mut expires = seed.is_multiple_of(4).then(|| roll(kills));
    import(&cloud, &home, items);
    loop {
        figures.starts += 1;
        assert!(figures.starts < STARTS as u64, "seed {seed}: no end");
        if expires.is_some_and(|after| figures.kills >= after) {
            cloud.account.expire_tokens();
            expires = None;
        }
        let longest = u64::try_from(quiet.took.as_micros()).unwrap();
        let limit = (kills > 0).then(|| Duration::from_micros(roll(longest / 3)));
        match start(&cloud, &home, limit).map(|status| status.code()) {
            None => {
                kills -= 1;
                figures.kills += 1;
                if roll(4) == 0 {
                    let verified = home.output(&["verify"]);
                    assert!(verified.status.success(), "seed {seed}: {verified:?}");
                }
            }
            Some(Some(0)) if is_through(&home) && items == Items::All => break,
            Some(Some(0 | 3)) => {
                // The owner does what the hint says, or brings the key.
                items = Items::All;
                figures.imports += 1;
                import(&cloud, &home, items);
                thread::sleep(PAUSE);
            }
            Some(Some(1)) => thread::sleep(PAUSE),
            Some(other) => {
                let said = std::fs::read_to_string(home.path().join("stderr"));
                panic!("seed {seed}: exit {other:?}: {said:?}");
            }
        }
    }
    let found = Content::of(&home);
    assert_eq!(found.difference(&quiet.content), None, "seed {seed}");
    for made in cloud.loopback.made() {
        *figures.faults.entry(named(&made.trouble)).or_default() += 1;
    }
    cloud.stop();
    figures
}

#[test]
fn whatever_goes_wrong_and_whenever_it_is_killed_nothing_is_missing() {
    let runs = number("FOOTBRIDGE_FAULT_RUNS", 4);
    let messages = number("FOOTBRIDGE_FAULT_MESSAGES", 400);
    let quiet = Quiet::new(messages);
    let counts = account_for(&account(messages), &quiet.content);
    println!("undisturbed: {:?}, {counts:?}", quiet.took);
    for what in [
        "of an unknown type",
        "sealed",
        "states of chats with a bad field",
        "files that nothing is known of",
        "files that cannot be fetched",
        "messages with a bad field",
    ] {
        assert!(counts.contains_key(what), "{what}: {counts:?}");
    }
    let begin = Instant::now();

    let (next, all) = (AtomicU64::new(1), Mutex::new(Figures::default()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > runs {
                return;
            }
            let since = Instant::now();
            let figures = run(seed, messages, &quiet);
            let (kills, starts) = (figures.kills, figures.starts);
            println!(
                "seed {seed}: {kills} kills, {starts} starts, {:?}",
                since.elapsed()
            );
            *all.lock().unwrap() += figures;
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().unwrap().get().min(4) {
            scope.spawn(work);
        }
    });

    let figures = all.into_inner().unwrap();
    println!("{runs} runs in {:?}: {figures:#?}", begin.elapsed());
    assert!(figures.kills >= runs, "{figures:?}");
    assert!(
        figures.faults.values().sum::<u64>() >= 5 * runs,
        "{figures:?}"
    );
}
