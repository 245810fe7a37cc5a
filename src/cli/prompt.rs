//! Reads a password without showing it.

use std::io;
use std::io::BufRead;
use std::io::IsTerminal;
use std::io::Read;
use std::io::Write;

use rustix::termios::LocalModes;
use rustix::termios::OptionalActions;
use rustix::termios::Termios;
use rustix::termios::tcgetattr;
use rustix::termios::tcsetattr;

use crate::base::error::Class;
use crate::base::error::Explain;
use crate::base::secret::SecretText;

/// More than a password has, bytes.
const LINE_BYTES: u64 = 4 << 10;

/// What the terminal sends for Control-C when it is not made a signal.
const CONTROL_C: char = '\u{3}';

/// Why there is no password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PromptError {
    /// Standard input is no terminal, and nobody said that it has the password.
    #[error("there is no terminal to ask for the password")]
    NoTerminal,
    /// The second time it was another one.
    #[error("the two passwords differ; nothing was changed")]
    Differ,
    /// Control-C, or the end of the input.
    #[error("no password was given; nothing was changed")]
    NoInput,
    /// The terminal or standard input could not be read.
    #[error("cannot read the password")]
    Read {
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
}

impl Explain for PromptError {
    fn class(&self) -> Class {
        match self {
            Self::NoTerminal | Self::Differ | Self::NoInput => Class::Usage,
            Self::Read { .. } => Class::Retry,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoTerminal => {
                Some("`footbridge password --stdin` takes it from standard input".to_owned())
            }
            Self::Differ | Self::NoInput | Self::Read { .. } => None,
        }
    }
}

/// A new password: one line of standard input, or asked for twice.
pub(crate) fn new_password(from_stdin: bool) -> Result<SecretText, PromptError> {
    let read = |source| PromptError::Read { source };
    if from_stdin {
        return line().map_err(read)?.ok_or(PromptError::NoInput);
    }
    if !io::stdin().is_terminal() {
        return Err(PromptError::NoTerminal);
    }
    let first = ask("New password: ").map_err(read)?;
    let first = first.ok_or(PromptError::NoInput)?;
    let second = ask("The same again: ").map_err(read)?;
    if second.is_none_or(|second| second.expose() != first.expose()) {
        return Err(PromptError::Differ);
    }
    Ok(first)
}

/// Asks once, on stderr.
fn ask(question: &str) -> io::Result<Option<SecretText>> {
    let mut err = io::stderr().lock();
    write!(err, "{question}")?;
    err.flush()?;
    let answer = {
        let _silent = Silent::begin()?;
        line()
    };
    writeln!(err)?;
    Ok(answer?.filter(|answer| !answer.expose().contains(CONTROL_C)))
}

/// One line of standard input without its end; `None` at the end of the input.
fn line() -> io::Result<Option<SecretText>> {
    let mut line = String::with_capacity(256);
    let read = io::stdin().lock().take(LINE_BYTES).read_line(&mut line)?;
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    Ok((read > 0).then(|| SecretText::new(line)))
}

/// A terminal that does not show what is typed, nor makes signals of it, until this is dropped: a signal would leave it
/// silent.
struct Silent(Termios);

impl Silent {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes -= LocalModes::ECHO | LocalModes::ISIG;
        tcsetattr(io::stdin(), OptionalActions::Now, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        if let Err(error) = tcsetattr(io::stdin(), OptionalActions::Now, &self.0) {
            tracing::debug!(%error, "terminal not restored");
        }
    }
}
