//! `footbridge explain`.

use crate::app::explain::Explained;
use crate::app::explain::FROM_TEXT;
use crate::cli::Session;
use crate::cli::args::ExplainArgs;
use crate::cli::days::Calendar;
use crate::cli::report::Exit;
use crate::cli::report::Failure;
use crate::cli::text::Clean;
use crate::cli::text::wrap;

/// Prints everything the archive knows about where a message is.
pub(crate) fn run(args: &ExplainArgs, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let explained = session.archive()?.explain(&args.message.join(" "))?;
    let columns = session.screen().columns;
    let calendar = Calendar::system();
    for (at, explained) in explained.iter().enumerate() {
        if session.json {
            session.print_json(explained)?;
            continue;
        }
        let mut out = String::new();
        if at > 0 {
            out.push('\n');
        }
        account(&mut out, explained, &calendar, columns);
        session.out.write_all(out.as_bytes())?;
    }
    session.out.flush()?;
    if explained.len() >= FROM_TEXT {
        session.note(&format!(
            "the newest {FROM_TEXT} at most are explained; `footbridge search` finds all, a GUID names one"
        ));
    }
    Ok(Exit::Done)
}

/// Characters of a column that are shown; `--json` has all of it.
const SHOWN: usize = 160;

fn account(out: &mut String, explained: &Explained, calendar: &Calendar, columns: usize) {
    let mut line = |lead: &str, text: &str| wrap(out, lead, &Clean::line(text), columns);
    let kind = explained.kind.unwrap_or("never held");
    line("", &format!("{} ({kind})", explained.guid));
    if let Some(author) = &explained.author {
        line("  from       ", author);
    }
    if let Some(sent) = explained.sent {
        line("  sent       ", &calendar.second(sent));
    }
    if let Some(first_seen) = explained.first_seen {
        line("  archived   ", &calendar.second(first_seen));
    }
    if let Some((first, last)) = explained.changes {
        let changes = if first == last {
            format!("change {first}")
        } else {
            format!("change {first}, again in change {last}")
        };
        line("             ", &changes);
    }
    for finding in &explained.findings {
        line("  - ", finding);
    }
    for record in &explained.records {
        let chats = match record.chats.as_slice() {
            [] => "in no chat".to_owned(),
            chats => format!("in {}", chats.join(", ")),
        };
        let source = format!(
            "{} says (decoder {}), {chats}:",
            record.source, record.decoder
        );
        line("  ", &source);
        let widest = record.columns.iter().map(|(name, _)| name.len()).max();
        for (name, value) in &record.columns {
            let name = Clean::line(name);
            let lead = format!("    {name:<0$}  ", widest.unwrap_or(0).min(30));
            match value.char_indices().nth(SHOWN) {
                Some((end, _)) => {
                    let begin = value.get(..end).unwrap_or_default();
                    line(&lead, &format!("{begin}\u{2026}"));
                }
                None => line(&lead, value),
            }
        }
    }
    if !explained.related.is_empty() {
        line("  ", "about it:");
        for (guid, kind) in &explained.related {
            line("    ", &format!("{kind} {guid}"));
        }
    }
}
