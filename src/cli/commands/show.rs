//! `footbridge show`.

use crate::app::show::Part;
use crate::cli::Session;
use crate::cli::args::ShowArgs;
use crate::cli::chat::Chat;
use crate::cli::days::Calendar;
use crate::cli::report::Exit;
use crate::cli::report::Failure;

/// Prints a conversation as a chat.
pub(crate) fn run(args: &ShowArgs, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let part = Part {
        since: args.since.map(|when| when.start),
        until: args.until.map(|when| when.end),
        limit: (args.limit > 0).then_some(args.limit),
    };
    let shown = session.archive()?.show(&args.conversation, part)?;
    let mut chat = Chat::new(Calendar::system(), session.screen().columns);
    let mut out = String::new();
    if !session.json {
        chat.begin(&mut out, &shown.conversation);
        session.out.write_all(out.as_bytes())?;
    }
    let mut is_empty = true;
    for entry in shown.entries() {
        let entry = entry?;
        is_empty = false;
        if session.json {
            session.print_json(&entry)?;
        } else {
            out.clear();
            chat.add(&mut out, &entry);
            session.out.write_all(out.as_bytes())?;
        }
    }
    session.out.flush()?;
    if is_empty {
        session.note("there is no message in it of that time");
    } else if shown.more {
        session.note("earlier messages are left out; `--limit 0` shows all, `--until` goes back");
    }
    Ok(Exit::Done)
}
