//! `footbridge quarantine list` and `footbridge quarantine retry`.

use std::ops::ControlFlow;

use crate::app::import::Redecode;
use crate::base::time::SystemClock;
use crate::cli::Session;
use crate::cli::args::QuarantineAction;
use crate::cli::args::QuarantineArgs;
use crate::cli::commands::import::names;
use crate::cli::days::Calendar;
use crate::cli::numbers::counted;
use crate::cli::progress::Phases;
use crate::cli::report::Exit;
use crate::cli::report::Failure;
use crate::cli::text::Clean;
use crate::cli::text::wrap;

/// Lists what could not be decoded, or decodes it again.
pub(crate) fn run(args: &QuarantineArgs, session: &mut Session<'_>) -> Result<Exit, Failure> {
    match args.action {
        QuarantineAction::List => list(session),
        QuarantineAction::Retry => retry(session),
    }
}

fn list(session: &mut Session<'_>) -> Result<Exit, Failure> {
    let quarantine = session.archive()?.quarantine()?;
    let columns = session.screen().columns;
    let calendar = Calendar::system();
    for held in &quarantine {
        if session.json {
            session.print_json(held)?;
            continue;
        }
        let text = if held.has_text {
            "its text is shown"
        } else {
            "without text"
        };
        let tries = counted(held.attempts.into(), "attempt");
        let since = calendar.minute(held.since);
        let mut out = String::new();
        let about = format!("{} ({text}; {tries} since {since})", held.guid);
        wrap(&mut out, "", &Clean::line(&about), columns);
        for reason in &held.reasons {
            wrap(&mut out, "    ", &Clean::line(reason), columns);
        }
        session.out.write_all(out.as_bytes())?;
    }
    if quarantine.is_empty() && !session.json {
        writeln!(session.out, "everything could be decoded")?;
    }
    Ok(Exit::Done)
}

fn retry(session: &mut Session<'_>) -> Result<Exit, Failure> {
    let archive = session.own_archive()?;
    let before = archive.quarantine()?.len();
    let phases = Phases::new(names, &SystemClock);
    archive.redecode(Redecode::Quarantined, &|now| {
        phases.set(now.phase, now.done, now.total);
        ControlFlow::Continue(())
    })?;
    drop(phases);
    let still = archive.quarantine()?.len();
    let readable = before.saturating_sub(still);
    if session.json {
        session.print_json(&serde_json::json!({ "readable": readable, "still": still }))?;
    } else if before == 0 {
        writeln!(session.out, "everything could be decoded before")?;
    } else {
        let tried = counted(u64::try_from(before).unwrap_or(u64::MAX), "message");
        writeln!(session.out, "{tried} tried again, {readable} readable now")?;
    }
    Ok(Exit::Done)
}
