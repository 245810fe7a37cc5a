//! What the service is doing and what its archive holds, as the web page shows it. The page's `status.js` has the same
//! shape written down.

use std::collections::BTreeMap;
use std::error::Error;
use std::os::unix::fs::MetadataExt;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::app::AppError;
use crate::app::remote::VERSION;
use crate::app::service::Service;
use crate::base::error::Explain;
use crate::base::limits::STATUS_RATE_OVER;
use crate::base::limits::STATUS_SURVEY_EVERY;
use crate::base::time::AppleTime;
use crate::ingest::Phase;
use crate::ingest::Progress;
use crate::model::record::SourceKind;
use crate::store::Direction;
use crate::store::Snapshot;
use crate::store::Tally;

/// Failures that are listed.
const FAILURES: usize = 100;

/// Parked messages that are named for each reason.
const EXAMPLES: usize = 5;

/// What the parts of the service told about their work.
pub(super) struct Activity {
    mac: Mutex<Source>,
    cloud: Mutex<Source>,
    survey: Mutex<Option<(AppleTime, Survey)>>,
}

/// One source.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    state: State,
    /// When this state began.
    since: AppleTime,
    /// When the latest pass ended well.
    last_pass: Option<AppleTime>,
}

/// What is being done with the source.
///
/// | state | event | next |
/// |---|---|---|
/// | any | a pass tells its progress | `Busy` |
/// | any | a pass ended | `Idle` |
/// | any | a pass failed, following panicked | `Failed`; it is tried again |
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Everything is read; the files are watched.
    Idle,
    /// A pass is under way.
    Busy(Pace),
    /// The last pass failed, for this reason.
    Failed { text: String, hint: Option<String> },
}

/// How far a phase is, and how fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pace {
    phase: Phase,
    done: u64,
    total: u64,
    per_second: u64,
    /// From when on the rate is measured, and how many were done then.
    mark: (AppleTime, u64),
}

impl Pace {
    fn begin(progress: Progress, now: AppleTime) -> Self {
        Self {
            phase: progress.phase,
            done: progress.done,
            total: progress.total,
            per_second: 0,
            mark: (now, progress.done),
        }
    }

    /// What follows from progress: another phase begins anew.
    fn progressed(self, progress: Progress, now: AppleTime) -> Self {
        if self.phase != progress.phase {
            return Self::begin(progress, now);
        }
        let next = Self {
            done: progress.done,
            total: progress.total,
            ..self
        };
        let (since, before) = self.mark;
        if now < since.plus(STATUS_RATE_OVER) {
            return next;
        }
        let millis = now.unix_millis().abs_diff(since.unix_millis());
        let units = progress.done.saturating_sub(before).saturating_mul(1_000);
        Self {
            per_second: units.checked_div(millis).unwrap_or_default(),
            mark: (now, progress.done),
            ..next
        }
    }
}

impl State {
    const fn name(&self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Busy(pace) => match pace.phase {
                Phase::Reading => "reading",
                Phase::Comparing | Phase::Decoding => "comparing",
            },
            Self::Failed { .. } => "failed",
        }
    }
}

impl Source {
    const fn new(now: AppleTime) -> Self {
        Self {
            state: State::Idle,
            since: now,
            last_pass: None,
        }
    }

    /// The same in a state; `since` changes with the state's name alone.
    fn enter(&mut self, state: State, now: AppleTime) {
        if self.state.name() != state.name() {
            self.since = now;
        }
        self.state = state;
    }
}

impl Activity {
    pub(super) fn new(now: AppleTime) -> Self {
        Self {
            mac: Mutex::new(Source::new(now)),
            cloud: Mutex::new(Source::new(now)),
            survey: Mutex::new(None),
        }
    }

    fn source(&self, kind: SourceKind) -> MutexGuard<'_, Source> {
        let source = match kind {
            SourceKind::ChatDb => &self.mac,
            SourceKind::CloudKit => &self.cloud,
        };
        source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service {
    /// A pass is under way.
    pub(super) fn progressed(&self, kind: SourceKind, progress: Progress) {
        let now = self.archive.clock().now();
        let mut source = self.activity.source(kind);
        let pace = match &source.state {
            State::Busy(pace) => pace.progressed(progress, now),
            State::Idle | State::Failed { .. } => Pace::begin(progress, now),
        };
        source.enter(State::Busy(pace), now);
    }

    /// A pass ended.
    pub(super) fn passed(&self, kind: SourceKind, tally: &Tally) {
        let now = self.archive.clock().now();
        let mut source = self.activity.source(kind);
        source.enter(State::Idle, now);
        source.last_pass = Some(now);
        tracing::info!(
            kind = kind.name(),
            new = tally.new_messages,
            changed = tally.changed,
            "source read"
        );
    }

    /// A pass failed; it is tried again.
    pub(super) fn failed(&self, kind: SourceKind, error: &dyn Explain) {
        self.broken(kind, chain(error), error.hint());
    }

    /// Nothing is done with the source, for this reason.
    pub(super) fn broken(&self, kind: SourceKind, text: String, hint: Option<String>) {
        let now = self.archive.clock().now();
        self.activity
            .source(kind)
            .enter(State::Failed { text, hint }, now);
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}

/// What takes a while to find out, and is found out seldom.
#[derive(Clone, Debug, Serialize)]
struct Survey {
    storage: Vec<Kind>,
    attachments: u64,
    failures: Vec<Value>,
    parked: Vec<Value>,
    quarantine: Vec<Value>,
}

/// How much of the file one table takes.
#[derive(Clone, Debug, Serialize)]
struct Kind {
    name: &'static str,
    bytes: u64,
}

/// What the service is doing and what its archive holds. Blocks: once a minute it reads every page of the archive.
///
/// Times are milliseconds since 1970, sizes bytes. No texts of messages and no addresses are in it.
///
/// # Errors
///
/// When the archive cannot be read.
pub fn status_json(service: &Service) -> Result<Value, AppError> {
    let snapshot = service.archive.store().snapshot()?;
    let now = service.archive.clock().now();
    let survey = surveyed(service, &snapshot, now)?;
    let end = |direction| {
        let mut places = snapshot.by_time(None, direction)?;
        places.next().transpose()
    };
    let file = service.archive.store().path();
    let bytes = file
        .and_then(|file| std::fs::metadata(file).ok())
        .map_or(0, |file| file.blocks().saturating_mul(512));
    let conversations = snapshot.conversations()?;
    let conversations = conversations
        .iter()
        .filter(|(_, held)| held.united_into.is_none())
        .count();
    let has_mac = service.settings.chat_db.is_some();
    let has_cloud = !service.conformance && snapshot.cloud_account()?.is_some();
    let sources = [
        (SourceKind::ChatDb, has_mac),
        (SourceKind::CloudKit, has_cloud),
    ];
    let sources: Vec<Value> = sources
        .into_iter()
        .filter(|(_, is_there)| *is_there)
        .map(|(kind, _)| source_json(kind, &service.activity.source(kind)))
        .collect();
    Ok(json!({
        "version": VERSION,
        "started": service.started.unix_millis(),
        "now": now.unix_millis(),
        "archive": {
            "messages": snapshot.message_count()?,
            "conversations": conversations,
            "attachments": survey.attachments,
            "bytes": bytes,
            "first": end(Direction::Forward)?.map(|place| place.time.unix_millis()),
            "last": end(Direction::Backward)?.map(|place| place.time.unix_millis()),
        },
        "sources": sources,
        "storage": survey.storage,
        "failures": survey.failures,
        "parked": survey.parked,
        "quarantine": survey.quarantine,
    }))
}

fn source_json(kind: SourceKind, source: &Source) -> Value {
    let pace = match &source.state {
        State::Busy(pace) => Some(pace),
        State::Idle | State::Failed { .. } => None,
    };
    let error = match &source.state {
        State::Failed { text, hint } => Some(json!({ "text": text, "hint": hint })),
        State::Idle | State::Busy(_) => None,
    };
    json!({
        "kind": kind.name(),
        "state": source.state.name(),
        "done": pace.map_or(0, |pace| pace.done),
        // How much there is in iCloud nobody says.
        "total": pace.map(|pace| pace.total).filter(|_| kind == SourceKind::ChatDb),
        "per_second": pace.map_or(0, |pace| pace.per_second),
        "since": source.since.unix_millis(),
        "last_pass": source.last_pass.map(AppleTime::unix_millis),
        "error": error,
    })
}

/// The latest survey, or a new one when that is old. Whoever asks meanwhile waits for it.
fn surveyed(service: &Service, snapshot: &Snapshot, now: AppleTime) -> Result<Survey, AppError> {
    let survey = &service.activity.survey;
    let mut held = survey.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((at, survey)) = held.as_ref()
        && now < at.plus(STATUS_SURVEY_EVERY)
    {
        return Ok(survey.clone());
    }
    let survey = survey_of(snapshot)?;
    *held = Some((now, survey.clone()));
    Ok(survey)
}

fn survey_of(snapshot: &Snapshot) -> Result<Survey, AppError> {
    let sizes = snapshot.table_sizes()?;
    let attachments = sizes.iter().find(|table| table.name == "attachments");
    let attachments = attachments.map_or(0, |table| table.rows);
    let mut storage: Vec<Kind> = sizes
        .into_iter()
        .filter(|table| table.rows > 0)
        .map(|table| Kind {
            name: table.name,
            bytes: table.page_bytes,
        })
        .collect();
    storage.sort_by_key(|kind| std::cmp::Reverse(kind.bytes));
    Ok(Survey {
        storage,
        attachments,
        failures: failures(snapshot)?,
        parked: parked(snapshot)?,
        quarantine: quarantine(snapshot)?,
    })
}

/// The newest first.
fn failures(snapshot: &Snapshot) -> Result<Vec<Value>, AppError> {
    let mut failures = snapshot.failures()?;
    failures.sort_by_key(|(_, failure)| std::cmp::Reverse(failure.last));
    failures.truncate(FAILURES);
    let told = failures.into_iter().map(|(row, failure)| {
        let attachment = snapshot.attachment(row)?.attachment;
        let name = attachment
            .name
            .unwrap_or_else(|| attachment.guid.to_string());
        Ok(json!({
            "what": format!("attachment {name}"),
            "attempts": failure.attempts,
            // The next pass over the source tries again, whenever that is.
            "next_ms": Value::Null,
            "reason": failure.reason,
            "given_up": failure.given_up,
        }))
    });
    told.collect()
}

fn parked(snapshot: &Snapshot) -> Result<Vec<Value>, AppError> {
    let mut reasons: BTreeMap<&'static str, (u64, Vec<Value>)> = BTreeMap::new();
    for (row, entry) in snapshot.parked()? {
        let reason = entry.placement.otherwise.reason();
        let (count, examples) = reasons.entry(reason).or_default();
        *count += 1;
        if examples.len() < EXAMPLES {
            let message = snapshot.message(row)?;
            examples.push(json!({
                "guid": message.message.guid.to_string(),
                "time": message.message.times.sent.map(AppleTime::unix_millis),
            }));
        }
    }
    let told = reasons.into_iter().map(|(reason, (count, examples))| {
        json!({ "reason": reason, "count": count, "examples": examples })
    });
    Ok(told.collect())
}

fn quarantine(snapshot: &Snapshot) -> Result<Vec<Value>, AppError> {
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    for (_, entry) in snapshot.quarantine()? {
        for reason in entry.reasons {
            *reasons.entry(reason).or_default() += 1;
        }
    }
    let told = reasons
        .into_iter()
        .map(|(reason, count)| json!({ "reason": reason, "count": count }));
    Ok(told.collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::Pace;
    use super::status_json;
    use crate::app::service::Service;
    use crate::app::settings::Flags;
    use crate::base::time::AppleTime;
    use crate::ingest::IngestError;
    use crate::ingest::Phase;
    use crate::ingest::Progress;
    use crate::model::record::SourceKind;

    fn at(seconds: u64) -> AppleTime {
        AppleTime::default().plus(Duration::from_secs(seconds))
    }

    fn progress(phase: Phase, done: u64) -> Progress {
        Progress {
            phase,
            done,
            total: 100,
        }
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let pace = Pace::begin(progress(Phase::Reading, 10), at(0));

        let soon = pace.progressed(progress(Phase::Reading, 20), at(1));
        let later = soon.progressed(progress(Phase::Reading, 50), at(4));
        let slower = later.progressed(progress(Phase::Reading, 54), at(6));

        let rates = [pace, soon, later, slower].map(|pace| pace.per_second);
        assert_eq!(rates, [0, 0, 10, 2]);
        assert_eq!(slower.done, 54);
    }

    #[test]
    fn the_page_learns_what_the_source_does() {
        let folder = tempfile::tempdir().unwrap();
        let flags = Flags {
            data: Some(folder.path().join("a.redb")),
            chat_db: Some(folder.path().join("chat.db")),
            ..Flags::default()
        };
        let service = Service::of(&flags);
        let source = || status_json(&service).unwrap()["sources"][0].clone();

        service.progressed(SourceKind::ChatDb, progress(Phase::Reading, 40));
        let reading = source();
        service.failed(SourceKind::ChatDb, &IngestError::Stopped);
        let failed = source();

        assert_eq!(
            (&reading["kind"], &reading["state"], &reading["done"]),
            (&json!("chatdb"), &json!("reading"), &json!(40))
        );
        assert_eq!(reading["total"], json!(100));
        assert_eq!(failed["state"], json!("failed"));
        assert_eq!(failed["error"]["text"], json!("the import was stopped"));
    }

    #[test]
    fn every_part_of_the_status_is_there_for_an_empty_archive() {
        let folder = tempfile::tempdir().unwrap();
        let flags = Flags {
            data: Some(folder.path().join("a.redb")),
            ..Flags::default()
        };

        let status = status_json(&Service::of(&flags)).unwrap();

        for list in ["sources", "failures", "parked", "quarantine"] {
            assert_eq!(status[list], json!([]), "{list}");
        }
        assert_eq!(status["archive"]["messages"], json!(0));
        assert_eq!(status["archive"]["first"], json!(null));
        assert!(status["storage"][0]["bytes"].is_u64());
        assert!(status["archive"]["bytes"].as_u64() > Some(0));
    }

    #[test]
    fn another_phase_begins_anew() {
        let pace = Pace::begin(progress(Phase::Reading, 0), at(0))
            .progressed(progress(Phase::Reading, 90), at(3));

        let next = pace.progressed(progress(Phase::Comparing, 5), at(4));

        assert_eq!((pace.per_second, next.per_second), (30, 0));
    }
}
