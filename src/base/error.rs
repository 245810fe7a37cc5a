//! Error classes and hints: what the caller may do about an error, without matching on its text.

use std::error::Error;

/// What can be done about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// May work later: a busy database, an I/O error, a full disk.
    Retry,
    /// The arguments or the configuration are wrong.
    Usage,
    /// The owner must act (permission, a missing file); trying again will not help.
    Owner,
    /// The store is locked, newer than this program, or damaged.
    Store,
}

/// An error that knows its class and what to do now.
///
/// `hint` is shown after the chain of causes; it names the command to type where there is one. Each line of it becomes
/// one line on the screen.
pub trait Explain: Error + Send + Sync + 'static {
    /// Who can do something about it.
    fn class(&self) -> Class;

    /// What to do now, in the owner's words.
    fn hint(&self) -> Option<String> {
        None
    }
}
