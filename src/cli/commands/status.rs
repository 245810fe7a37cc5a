//! `footbridge status`.

use std::io;

use crate::app::Archive;
use crate::app::status::Status;
use crate::cli::Session;
use crate::cli::commands::cloudkit;
use crate::cli::days::Calendar;
use crate::cli::numbers::count;
use crate::cli::numbers::counted;
use crate::cli::numbers::size;
use crate::cli::report::Exit;
use crate::cli::report::Failure;
use crate::cli::text::Clean;
use crate::cli::text::wrap;

/// Prints what the archive holds, what is missing and why.
pub(crate) fn run(session: &mut Session<'_>) -> Result<Exit, Failure> {
    let archive = session.archive()?;
    print(&archive, session)
}

/// Prints how an archive is.
pub(super) fn print(archive: &Archive, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let status = archive.status()?;
    if session.json {
        session.print_json(&status)?;
        return Ok(Exit::Done);
    }
    print_rows(session, rows(&status))?;
    Ok(Exit::Done)
}

/// Prints texts beside their names; a line without a name goes on with the one before.
pub(super) fn print_rows(
    session: &mut Session<'_>,
    rows: Vec<(&'static str, String)>,
) -> io::Result<()> {
    let columns = session.screen().columns;
    let mut out = String::new();
    for (name, text) in rows {
        wrap(
            &mut out,
            &format!("{name:<13}"),
            &Clean::line(&text),
            columns,
        );
    }
    session.out.write_all(out.as_bytes())
}

fn messages(status: &Status) -> String {
    let calendar = Calendar::system();
    let messages = count(status.messages);
    match (status.first, status.last) {
        (Some(first), Some(last)) => {
            let (first, last) = (calendar.day(first), calendar.day(last));
            format!("{messages}, {first} to {last}")
        }
        _ => messages,
    }
}

/// A name and a text for each line; a line without a name goes on with the one before.
fn rows(status: &Status) -> Vec<(&'static str, String)> {
    let file = status.file.as_deref().unwrap_or("in memory");
    let mut rows = vec![
        ("archive", format!("{file}, {}", size(status.file_bytes))),
        ("messages", messages(status)),
        ("", counted(status.conversations, "conversation")),
    ];
    rows.push((
        "people",
        counted(status.contacts, "card") + " of the address book",
    ));
    let own = match status.own_handles.as_slice() {
        [] => "no address known".to_owned(),
        own => own.join(", "),
    };
    rows.push(("you", own));
    if let Some(region) = status.region.as_deref().filter(|region| !region.is_empty()) {
        rows.push(("region", region.to_owned()));
    }
    rows.push(("attachments", attachments(status)));
    for other in &status.not_held {
        let reason = other
            .reason
            .as_deref()
            .map_or(String::new(), |reason| format!(": {reason}"));
        rows.push((
            "",
            format!("{} {}{reason}", count(other.count), other.state),
        ));
    }
    for (reason, parked) in &status.parked {
        rows.push((
            "parked",
            format!("{}: {reason}", counted(*parked, "message")),
        ));
    }
    if status.quarantined > 0 {
        let quarantined = counted(status.quarantined, "message");
        rows.push((
            "quarantine",
            format!("{quarantined} not wholly readable, see `footbridge quarantine list`"),
        ));
    }
    for (source, state) in &status.sources {
        let state = match (*source, *state) {
            // Its zones are told of below, each for itself.
            ("cloudkit", _) if status.cloud.is_some() => continue,
            (_, "complete") => "read to its end",
            ("cloudkit", _) => "not read to its end, and no session to go on with",
            (_, _reading) => "the import was interrupted, run `footbridge import` again",
        };
        rows.push(("source", format!("{source}, {state}")));
    }
    if let Some(cloud) = &status.cloud {
        rows.extend(cloudkit::rows(cloud));
    }
    if status.sources.is_empty() && status.cloud.is_none() {
        rows.push(("source", "none yet, run `footbridge import`".to_owned()));
    }
    rows.push(("change", status.change.to_string()));
    rows
}

fn attachments(status: &Status) -> String {
    if status.attachments == 0 {
        return "none".to_owned();
    }
    format!(
        "{}, of which {} have their file ({})",
        count(status.attachments),
        count(status.held),
        size(status.held_bytes)
    )
}
