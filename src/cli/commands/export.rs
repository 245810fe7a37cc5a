//! `footbridge export`.

use std::io::Write;

use crate::app::AppError;
use crate::app::Archive;
use crate::app::export::Exported;
use crate::app::export::Selection;
use crate::app::transcript::Step;
use crate::cli::Session;
use crate::cli::args::ExportArgs;
use crate::cli::args::ExportFormat;
use crate::cli::chat::Chat;
use crate::cli::days::Calendar;
use crate::cli::numbers::counted;
use crate::cli::report::Exit;
use crate::cli::report::Failure;
use crate::cli::text::JsonLines;

/// Between two conversations of a text.
const RULE: &str = "\n\n========================================\n\n";

/// Writes the archive to a file or to stdout.
pub(crate) fn run(args: &ExportArgs, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let archive = session.archive()?;
    let selection = Selection {
        conversation: args.conversation.as_deref(),
        with: args.with.as_deref(),
        since: args.since.map(|when| when.start),
        until: args.until.map(|when| when.end),
        after: args.after,
    };
    let exported = if let Some(path) = &args.output {
        let mut file = archive.new_file(&session.path(path))?;
        let exported = write(&archive, args.format, &selection, &mut file)?;
        file.finish()?;
        exported
    } else if args.format == ExportFormat::Jsonl && session.size.is_terminal {
        let mut out = JsonLines::new(&mut session.out);
        write(&archive, args.format, &selection, &mut out)?
    } else {
        write(&archive, args.format, &selection, session.out)?
    };
    session.out.flush()?;
    session.note(&format!(
        "{} exported; `--after {}` goes on from here",
        counted(exported.messages, "message"),
        exported.change
    ));
    Ok(Exit::Done)
}

fn write(
    archive: &Archive,
    format: ExportFormat,
    selection: &Selection<'_>,
    out: &mut dyn Write,
) -> Result<Exported, AppError> {
    match format {
        ExportFormat::Jsonl => archive.export(selection, out),
        ExportFormat::Txt => write_text(archive, selection, out),
    }
}

/// Lines are not wrapped: programs that show text do so, and words stay findable.
fn write_text(
    archive: &Archive,
    selection: &Selection<'_>,
    out: &mut dyn Write,
) -> Result<Exported, AppError> {
    let mut chat = Chat::new(Calendar::system(), usize::MAX);
    let mut text = String::new();
    let mut rule = "";
    let exported = archive.transcript(selection, &mut |step| {
        text.clear();
        match step {
            Step::Conversation(conversation) => {
                text.push_str(rule);
                chat.begin(&mut text, conversation);
            }
            Step::Parked => {
                text.push_str(rule);
                chat.title(&mut text, "(in no conversation)");
            }
            Step::Entry(entry) => chat.add(&mut text, entry),
        }
        rule = RULE;
        out.write_all(text.as_bytes())
            .map_err(|source| AppError::Output { source })
    })?;
    out.flush().map_err(|source| AppError::Output { source })?;
    Ok(exported)
}
