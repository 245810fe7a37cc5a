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
    if session.json {
        for entry in &shown.entries {
            session.print_json(entry)?;
        }
    } else {
        let mut chat = Chat::new(Calendar::system(), session.screen().columns);
        let mut out = String::new();
        chat.begin(&mut out, &shown.conversation);
        for entry in &shown.entries {
            chat.add(&mut out, entry);
            session.out.write_all(out.as_bytes())?;
            out.clear();
        }
        session.out.write_all(out.as_bytes())?;
    }
    session.out.flush()?;
    if shown.more {
        session.note("earlier messages are left out; `--limit 0` shows all, `--until` goes back");
    }
    Ok(Exit::Done)
}
