//! `footbridge import`.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::PathBuf;

use crate::app::Archive;
use crate::app::config::ConfigError;
use crate::app::import::Import;
use crate::app::import::Phase;
use crate::app::import::Wanted;
use crate::app::settings::Flags;
use crate::base::time::SystemClock;
use crate::cli::Session;
use crate::cli::args::ImportArgs;
use crate::cli::commands::changes;
use crate::cli::numbers::counted;
use crate::cli::progress::Phases;
use crate::cli::report;
use crate::cli::report::Exit;
use crate::cli::report::Failure;

/// Imports, and prints what came in.
pub(crate) fn run(args: &ImportArgs, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let settings = session.settings_with(&Flags {
        chat_db: args.chat_db.clone(),
        ..session.flags.clone()
    })?;
    let attachments = args.attachments.as_ref().or(settings.attachments.as_ref());
    let region = args.region.as_ref().or(settings.region.as_ref());
    let wanted = Wanted {
        chat_db: &settings.chat_db.ok_or(ConfigError::NoMessages)?,
        attachments: attachments.map(PathBuf::as_path),
        region: region.map(String::as_str),
        commit_rows: args.commit_rows.map(NonZeroUsize::get),
    };
    let data = session.own_data_file()?;
    if !data.exists() {
        wanted.check()?;
    }
    let archive = Archive::open_or_create(&data)?.with_floor(settings.free_floor);
    let phases = Phases::new(names, &SystemClock);
    let import = archive.import(&wanted, &|now| {
        phases.set(now.phase, now.done, now.total);
        ControlFlow::Continue(())
    })?;
    drop(phases);
    for warning in &import.warnings {
        report::warning(warning);
    }
    if session.json {
        print_json(&import, session)?;
    } else {
        print(&import, session)?;
    }
    Ok(Exit::Done)
}

/// What a phase is called, and what is counted in it.
pub(super) fn names(phase: Phase) -> (&'static str, &'static str) {
    match phase {
        Phase::Reading => ("reading", "rows"),
        Phase::Comparing => ("comparing", "rows"),
        Phase::Decoding => ("decoding", "records"),
    }
}

fn print(import: &Import, session: &mut Session<'_>) -> Result<(), Failure> {
    if import.resumed {
        writeln!(session.out, "an interrupted import was taken up")?;
    }
    let lines = changes::told(&import.tally);
    if lines.is_empty() {
        writeln!(session.out, "nothing is new")?;
    }
    for line in lines {
        writeln!(session.out, "{line}")?;
    }
    let tally = &import.tally;
    if tally.parked > 0 {
        let parked = counted(tally.parked, "message");
        writeln!(
            session.out,
            "without a conversation: {parked}; `footbridge status` says why"
        )?;
    }
    if tally.unreadable > 0 {
        let unreadable = counted(tally.unreadable, "message");
        writeln!(
            session.out,
            "not wholly readable: {unreadable}; see `footbridge quarantine list`"
        )?;
    }
    Ok(())
}

fn print_json(import: &Import, session: &mut Session<'_>) -> Result<(), Failure> {
    let mut object = serde_json::Map::new();
    object.insert("unchanged".to_owned(), import.unchanged.into());
    object.insert("resumed".to_owned(), import.resumed.into());
    for (name, count) in import.tally.counts() {
        object.insert(name.to_owned(), count.into());
    }
    object.insert("warnings".to_owned(), import.warnings.clone().into());
    session.print_json(&object)?;
    Ok(())
}
