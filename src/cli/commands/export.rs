//! `footbridge export`.

use std::io;
use std::io::IsTerminal;
use std::io::Write;

use crate::app::AppError;
use crate::app::Archive;
use crate::app::export::Exported;
use crate::app::export::Selection;
use crate::app::transcript::Step;
use crate::base::error::Class;
use crate::base::error::Explain;
use crate::cli::Session;
use crate::cli::args::ExportArgs;
use crate::cli::args::ExportFormat;
use crate::cli::chat::Chat;
use crate::cli::days::Calendar;
use crate::cli::numbers::counted;
use crate::cli::progress::Progress;
use crate::cli::report::Exit;
use crate::cli::report::Failure;
use crate::cli::session::Place;
use crate::cli::text::JsonLines;

/// Between two conversations of a text.
const RULE: &str = "\n\n========================================\n\n";

/// Writes the archive to a file or to stdout.
pub(crate) fn run(args: &ExportArgs, session: &mut Session<'_>) -> Result<Exit, Failure> {
    if session.json && args.format == ExportFormat::Txt {
        return Err(TextAsJson.into());
    }
    let archive = session.archive()?;
    let selection = Selection {
        conversation: args.conversation.as_deref(),
        with: args.with.as_deref(),
        since: args.since.map(|when| when.start),
        until: args.until.map(|when| when.end),
        after: args.after,
    };
    let is_shown = match session.place {
        Place::Own => shows_progress(args),
        // The process that asked decides.
        Place::Service { .. } => true,
    };
    let export = Export {
        archive: &archive,
        format: args.format,
        selection: &selection,
        progress: is_shown.then(|| session.progress("exporting", "messages")),
    };
    let exported = if let Some(path) = &args.output {
        session.leave_nothing()?;
        let mut file = archive.new_file(&session.path(path))?;
        let exported = export.write(&mut file)?;
        file.finish()?;
        exported
    } else if args.format == ExportFormat::Jsonl && session.size.is_terminal {
        export.write(&mut JsonLines::new(&mut session.out))?
    } else {
        export.write(session.out)?
    };
    drop(export);
    session.out.flush()?;
    session.note(&format!(
        "{} exported; `--after {}` goes on from here",
        counted(exported.messages, "message"),
        exported.change
    ));
    Ok(Exit::Done)
}

/// Whether progress may be shown: a bar must not be drawn between the lines of the answer, nor over those of a pager.
pub(crate) fn shows_progress(args: &ExportArgs) -> bool {
    let is_file = || {
        rustix::fs::fstat(io::stdout())
            .is_ok_and(|out| rustix::fs::FileType::from_raw_mode(out.st_mode).is_file())
    };
    args.output.is_some() || !io::stderr().is_terminal() || is_file()
}

/// What to write, and who is told how far it is.
struct Export<'a> {
    archive: &'a Archive,
    format: ExportFormat,
    selection: &'a Selection<'a>,
    progress: Option<Progress<'a>>,
}

impl Export<'_> {
    fn write(&self, out: &mut dyn Write) -> Result<Exported, AppError> {
        match self.format {
            ExportFormat::Jsonl => {
                let tell = |done, total| self.tell(done, total);
                self.archive.export(self.selection, out, tell)
            }
            ExportFormat::Txt => self.write_text(out),
        }
    }

    fn tell(&self, done: u64, total: u64) {
        if let Some(progress) = &self.progress {
            progress.set(done, Some(total));
        }
    }

    /// Lines are not wrapped: programs that show text do so, and words stay findable.
    fn write_text(&self, out: &mut dyn Write) -> Result<Exported, AppError> {
        let mut chat = Chat::new(Calendar::system(), usize::MAX);
        let mut text = String::new();
        let mut rule = "";
        let on_step = &mut |step: &Step| {
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
        };
        let tell = |done, total| self.tell(done, total);
        let exported = self.archive.transcript(self.selection, on_step, tell)?;
        out.flush().map_err(|source| AppError::Output { source })?;
        Ok(exported)
    }
}

/// Text was asked for, and JSON.
#[derive(Debug, thiserror::Error)]
#[error("`--format txt` is text to read, and `--json` asks for JSON")]
struct TextAsJson;

impl Explain for TextAsJson {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hint(&self) -> Option<String> {
        Some("leave one of them out: without `--format` an export is JSON Lines".to_owned())
    }
}
