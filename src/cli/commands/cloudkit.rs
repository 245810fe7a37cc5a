//! `footbridge cloudkit import`, `status`, `sync` and `forget`.

use std::path::Path;

use crate::app::Archive;
use crate::app::cloudkit::CloudStatus;
use crate::app::cloudkit::Imported;
use crate::app::cloudkit::SessionFile;
use crate::app::cloudkit::ZoneStatus;
use crate::app::cloudkit::zone_content;
use crate::base::time::SystemClock;
use crate::cli::Session;
use crate::cli::args::CloudkitAction;
use crate::cli::args::CloudkitArgs;
use crate::cli::commands::changes;
use crate::cli::commands::status::print_rows;
use crate::cli::days::Calendar;
use crate::cli::numbers::count;
use crate::cli::numbers::counted;
use crate::cli::progress::Phases;
use crate::cli::report::Exit;
use crate::cli::report::Failure;
use crate::cli::session::Place;
use crate::cli::text::Clean;

/// Does what is asked about Messages in iCloud.
pub(crate) fn run(args: &CloudkitArgs, session: &mut Session<'_>) -> Result<Exit, Failure> {
    match &args.action {
        CloudkitAction::Import { file } => import(file, session),
        CloudkitAction::Status => status(session),
        CloudkitAction::Sync => sync(session),
        CloudkitAction::Forget => forget(session),
    }
}

/// What reading a zone with this content is called, and what is counted in it.
pub(super) fn names(what: &'static str) -> (&'static str, &'static str) {
    (what, "records")
}

fn import(file: &Path, session: &mut Session<'_>) -> Result<Exit, Failure> {
    // Before the archive: none is made for a file that is no session.
    let file = SessionFile::read(&session.path(file))?;
    let archive = match &session.place {
        Place::Own => {
            let settings = session.settings()?;
            Archive::open_or_create(&settings.data)?.with_floor(settings.free_floor)
        }
        Place::Service { archive, .. } => archive.clone(),
    };
    let imported = archive.import_session(file)?;
    if session.json {
        session.print_json(&imported)?;
        return Ok(Exit::Done);
    }
    for line in told(&imported) {
        writeln!(session.out, "{}", Clean::line(&line))?;
    }
    let next = match &session.place {
        Place::Own => {
            "`footbridge run` follows Messages in iCloud now, `footbridge cloudkit sync` reads it once"
        }
        Place::Service { .. } => "the running footbridge takes it up within seconds",
    };
    writeln!(session.out, "{next}")?;
    Ok(Exit::Done)
}

fn told(imported: &Imported) -> Vec<String> {
    let items = counted(imported.items as u64, "item");
    let mut lines = Vec::new();
    if imported.is_first {
        lines.push(format!("the session is imported: {items} of the keychain"));
    } else {
        let new = counted(imported.new_items as u64, "new item");
        let tokens = if imported.has_new_tokens {
            "new tokens"
        } else {
            "the tokens of before"
        };
        lines.push(format!(
            "the session is imported: {tokens}, {new}, {items} of the keychain in all"
        ));
    }
    for unreadable in &imported.unreadable {
        lines.push(format!("not readable, and left aside: {unreadable}"));
    }
    if imported.items == 0 {
        lines.push("it has no keys: messages stay sealed until an import brings them".to_owned());
    }
    if imported.handles == 0 {
        lines.push("it names no address of yours; those in the messages will do".to_owned());
    }
    lines
}

fn status(session: &mut Session<'_>) -> Result<Exit, Failure> {
    let status = session.archive()?.cloud_status()?;
    if session.json {
        match &status {
            Some(status) => session.print_json(status)?,
            None => session.print_json(&serde_json::json!({ "imported": null }))?,
        }
        return Ok(Exit::Done);
    }
    let Some(status) = status else {
        writeln!(
            session.out,
            "no session is imported; `footbridge cloudkit import <session.json>` does it"
        )?;
        return Ok(Exit::Done);
    };
    print_rows(session, rows(&status))?;
    Ok(Exit::Done)
}

/// A name and a text for each line; a line without a name goes on with the one before.
pub(super) fn rows(status: &CloudStatus) -> Vec<(&'static str, String)> {
    let calendar = Calendar::system();
    let since = calendar.minute(status.imported);
    let keys = counted(status.identities as u64, "key");
    let mut rows = vec![("iCloud", format!("session of {since} with {keys}"))];
    if status.unreadable > 0 {
        let unreadable = counted(status.unreadable as u64, "item");
        rows.push(("", format!("{unreadable} of its keychain not readable")));
    }
    for zone in &status.zones {
        rows.push(("", zone_row(zone, &calendar)));
    }
    if let Some(need) = &status.need {
        rows.push(("needs you", need.clone()));
        let hint = status.hint.iter().flat_map(|hint| hint.lines());
        rows.extend(hint.map(|line| ("", line.to_owned())));
    }
    rows
}

fn zone_row(zone: &ZoneStatus, calendar: &Calendar) -> String {
    let records = format!("{} of {}", counted(zone.changes, "record"), zone.what);
    let at = zone.caught_up.map(|at| calendar.minute(at));
    let row = match (zone.state, at) {
        ("complete", Some(at)) => format!("{records}, read to the end at {at}"),
        ("failed", _) => {
            let reason = zone
                .reason
                .as_deref()
                .unwrap_or("for no reason that is known");
            format!("{records}, and no more yet: {reason}")
        }
        ("gone", _) => format!("{records}; there are none in iCloud any more"),
        ("blocked", _) => format!("{records}, and no more without a session"),
        (_, Some(at)) => format!("{records}, more to come; read to the end before at {at}"),
        (_, None) => format!("{records}, more to come"),
    };
    if zone.resets > 0 {
        let times = counted(u64::from(zone.resets), "time");
        return format!("{row} (begun again {times})");
    }
    row
}

fn sync(session: &mut Session<'_>) -> Result<Exit, Failure> {
    let settings = session.settings()?;
    let archive = session.own_archive()?;
    let phases = Phases::new(names, &SystemClock);
    let report = archive.sync(&settings, &|zone| {
        phases.set(zone_content(zone.zone), zone.changes, None);
    });
    drop(phases);
    let report = report?;
    if session.json {
        let mut object = serde_json::Map::new();
        for (name, count) in report.tally.counts() {
            object.insert(name.to_owned(), count.into());
        }
        session.print_json(&object)?;
        return Ok(Exit::Done);
    }
    let lines = changes::told(&report.tally);
    if lines.is_empty() {
        writeln!(session.out, "nothing is new")?;
    }
    for line in lines {
        writeln!(session.out, "{line}")?;
    }
    let closed: u64 = report.zones.iter().map(|zone| zone.closed).sum();
    if closed > 0 {
        writeln!(
            session.out,
            "without a key: {} records, kept as they are; see `footbridge quarantine list`",
            count(closed)
        )?;
    }
    Ok(Exit::Done)
}

fn forget(session: &mut Session<'_>) -> Result<Exit, Failure> {
    let was_there = session.own_archive()?.forget_session()?;
    if session.json {
        session.print_json(&serde_json::json!({ "forgotten": was_there }))?;
        return Ok(Exit::Done);
    }
    let said = if was_there {
        "the session is forgotten; what was read stays"
    } else {
        "no session was imported"
    };
    writeln!(session.out, "{said}")?;
    Ok(Exit::Done)
}
