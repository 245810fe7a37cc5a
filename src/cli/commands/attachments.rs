//! `footbridge attachments list` and `footbridge attachments retry`.

use crate::app::attachments::File;
use crate::cli::Session;
use crate::cli::args::AttachmentsAction;
use crate::cli::args::AttachmentsArgs;
use crate::cli::numbers::counted;
use crate::cli::numbers::size;
use crate::cli::report::Exit;
use crate::cli::report::Failure;
use crate::cli::text::Clean;
use crate::cli::text::wrap;

/// Lists the files of messages, or has those that could not be had tried again.
pub(crate) fn run(args: &AttachmentsArgs, session: &mut Session<'_>) -> Result<Exit, Failure> {
    match &args.action {
        AttachmentsAction::List { state } => list(state, session),
        AttachmentsAction::Retry { guid } => retry(guid.as_deref(), session),
    }
}

fn list(states: &[String], session: &mut Session<'_>) -> Result<Exit, Failure> {
    let archive = session.archive()?;
    let columns = session.screen().columns;
    let states: Vec<&str> = states.iter().map(String::as_str).collect();
    let mut count = 0_u64;
    archive.attachments(&states, |file| -> Result<(), Failure> {
        count += 1;
        if session.json {
            return Ok(session.print_json(&file)?);
        }
        let mut out = String::new();
        wrap(&mut out, "", &Clean::line(&line(&file)), columns);
        if let Some(reason) = &file.reason {
            wrap(&mut out, "    ", &Clean::line(reason), columns);
        }
        Ok(session.out.write_all(out.as_bytes())?)
    })?;
    if count == 0 && !session.json {
        writeln!(session.out, "no such attachments")?;
    }
    Ok(Exit::Done)
}

fn line(file: &File) -> String {
    let name = file.name.as_deref().unwrap_or("without a name");
    let bytes = file.size_bytes.map_or("size unknown".to_owned(), size);
    let mut text = format!("{} {}: {name} ({bytes}", file.guid, file.state);
    if file.fetched_bytes > 0 {
        text = format!("{text}, {} here", size(file.fetched_bytes));
    }
    if file.attempts > 0 {
        text = format!("{text}, {}", counted(file.attempts.into(), "attempt"));
    }
    format!("{text})")
}

fn retry(guid: Option<&str>, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let count = session.archive()?.retry_attachments(guid)?;
    if session.json {
        session.print_json(&serde_json::json!({ "wanted": count }))?;
    } else {
        let files = counted(count, "attachment");
        writeln!(session.out, "{files} will be tried again")?;
    }
    Ok(Exit::Done)
}
