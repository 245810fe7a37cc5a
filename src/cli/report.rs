//! The one place that prints errors, and the exit codes.
//!
//! | exit | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | failed; trying again may help |
//! | 2 | wrong arguments or configuration |
//! | 3 | the owner must act; trying again will not help |
//! | 4 | the archive is locked, newer than this program, or damaged |
//! | 70 | a bug |

use std::error::Error;
use std::io;
use std::io::Write;

use crate::base::error::Class;
use crate::base::error::Explain;
use crate::cli::text::Clean;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what it was asked.
    Done,
    /// It did not; trying again may help.
    Failed,
    /// The arguments or the configuration are wrong.
    Usage,
    /// The owner must act.
    Owner,
    /// The archive is locked, newer than this program, or damaged.
    Store,
    /// A bug.
    Bug,
}

impl Exit {
    /// The process's exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Owner => 3,
            Self::Store => 4,
            Self::Bug => 70,
        }
    }

    /// How to end as a job of launchd, which starts again whatever fails and knows no exceptions by exit code: what only
    /// the owner can mend ends as done, once it was said.
    pub(crate) const fn for_launchd(self) -> Self {
        match self {
            Self::Usage | Self::Owner | Self::Store => Self::Done,
            Self::Done | Self::Failed | Self::Bug => self,
        }
    }
}

impl Exit {
    /// The end that has this exit code; a bug for a code that none has.
    pub(crate) fn of_code(code: u8) -> Self {
        let ends = [
            Self::Done,
            Self::Failed,
            Self::Usage,
            Self::Owner,
            Self::Store,
        ];
        let end = ends.into_iter().find(|end| end.code() == code);
        end.unwrap_or(Self::Bug)
    }
}

impl From<Class> for Exit {
    fn from(class: Class) -> Self {
        match class {
            Class::Retry => Self::Failed,
            Class::Usage => Self::Usage,
            Class::Owner => Self::Owner,
            Class::Store => Self::Store,
        }
    }
}

/// Why a command could not answer.
#[derive(Debug)]
pub enum Failure {
    /// The work failed.
    Work(Box<dyn Explain>),
    /// The answer could not be written to stdout.
    Output(io::Error),
}

impl<E: Explain> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Work(Box::new(error))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Prints why a command failed, with its causes and hints, and says how to end.
///
/// A reader that stopped reading (`footbridge show | head`) is no failure and prints nothing.
pub fn failure(err: &mut dyn Write, failure: &Failure) -> Exit {
    let (exit, text) = match failure {
        Failure::Work(error) if is_broken_pipe(error.as_ref()) => return Exit::Done,
        Failure::Work(error) => (
            Exit::from(error.class()),
            render(error.as_ref(), error.hint().as_deref()),
        ),
        Failure::Output(error) if is_broken_pipe(error) => return Exit::Done,
        Failure::Output(error) => (
            Exit::Failed,
            format!("error: cannot write the answer\n  caused by: {error}\n"),
        ),
    };
    // Nothing is left to do when even stderr is gone; the exit code still tells.
    drop(err.write_all(text.as_bytes()));
    exit
}

/// Whether an error comes from a reader of our answer that went away; nothing else here writes to pipes.
fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    let is_pipe = |error: &(dyn Error + 'static)| {
        let io = error.downcast_ref::<io::Error>();
        io.is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)
    };
    std::iter::successors(Some(error), |&error| error.source()).any(is_pipe)
}

/// Prints what the owner should know although the work was done.
pub(crate) fn warning(text: &str) {
    // As above.
    drop(writeln!(
        io::stderr().lock(),
        "warning: {}",
        Clean::line(text)
    ));
}

/// A remark on the answer, which goes to stdout; itself it is for stderr.
pub(crate) fn note(text: &str) -> String {
    format!("note: {}\n", Clean::line(text))
}

/// Prints what clap has to say about the arguments: a refusal to stderr, help and version to stdout.
pub(crate) fn usage(refusal: &clap::Error) -> Exit {
    let exit = if refusal.use_stderr() {
        Exit::Usage
    } else {
        Exit::Done
    };
    // As above.
    drop(refusal.print());
    exit
}

/// `error:`, one `caused by:` for each cause, an empty line, `hint:` with one line for each of its lines.
///
/// Paths and values in the texts are somebody else's: they are cleaned like any other.
pub(crate) fn render(error: &(dyn Error + 'static), hint: Option<&str>) -> String {
    let mut text = format!("error: {}\n", Clean::line(&error.to_string()));
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str("  caused by: ");
        text.push_str(Clean::line(&error.to_string()).as_str());
        text.push('\n');
        cause = error.source();
    }
    let mut label = "\nhint: ";
    for line in hint.into_iter().flat_map(str::lines) {
        text.push_str(label);
        text.push_str(Clean::line(line).as_str());
        text.push('\n');
        label = "      ";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read {path}")]
    struct Outer {
        path: &'static str,
        source: Inner,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("open {0}")]
    struct Inner(&'static str, #[source] io::Error);

    impl Explain for Outer {
        fn class(&self) -> Class {
            Class::Owner
        }

        fn hint(&self) -> Option<String> {
            Some("give access,\nthen run `footbridge check`".to_owned())
        }
    }

    fn outer(path: &'static str) -> Failure {
        let denied = io::Error::new(io::ErrorKind::PermissionDenied, "denied");
        Failure::from(Outer {
            path,
            source: Inner("chat.db", denied),
        })
    }

    #[test]
    fn an_error_is_shown_with_its_causes_and_its_hint() {
        let mut err = Vec::new();

        let exit = failure(&mut err, &outer("the database"));

        assert_eq!(exit, Exit::Owner);
        assert_eq!(
            String::from_utf8(err).unwrap(),
            "error: cannot read the database\n  caused by: open chat.db\n  caused by: denied\n\n\
             hint: give access,\n      then run `footbridge check`\n"
        );
    }

    #[test]
    fn a_path_cannot_drive_the_terminal() {
        let mut err = Vec::new();

        failure(&mut err, &outer("a\u{1b}[2J\nerror: b"));

        let text = String::from_utf8(err).unwrap();
        assert_eq!(
            text.lines().next(),
            Some("error: cannot read a\u{241b}[2J error: b")
        );
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let mut err = Vec::new();

        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let direct = failure(&mut err, &Failure::from(gone()));
        let deep = failure(
            &mut err,
            &Failure::from(Outer {
                path: "",
                source: Inner("", gone()),
            }),
        );

        assert_eq!((direct, deep, err.len()), (Exit::Done, Exit::Done, 0));
    }

    #[test]
    fn an_answer_that_cannot_be_written_is_a_failure() {
        let mut err = Vec::new();

        let exit = failure(&mut err, &Failure::from(io::Error::other("disk on fire")));

        assert_eq!(exit, Exit::Failed);
        assert_eq!(
            String::from_utf8(err).unwrap(),
            "error: cannot write the answer\n  caused by: disk on fire\n"
        );
    }

    #[test]
    fn every_class_has_its_exit_code() {
        let classes = [Class::Retry, Class::Usage, Class::Owner, Class::Store];

        assert_eq!(classes.map(|class| Exit::from(class).code()), [1, 2, 3, 4]);
        assert_eq!((Exit::Done.code(), Exit::Bug.code()), (0, 70));
    }
}
