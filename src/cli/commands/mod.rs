//! One file per command: each calls `app` and prints what it answers.

pub(crate) mod attachments;
pub(crate) mod backup;
mod changes;
pub(crate) mod check;
pub(crate) mod cloudkit;
pub(crate) mod compact;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod conversations;
pub(crate) mod decode;
pub(crate) mod demo;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod join;
pub(crate) mod list_handles;
pub(crate) mod password;
pub(crate) mod quarantine;
pub(crate) mod redecode;
pub(crate) mod run;
pub(crate) mod search;
pub(crate) mod show;
pub(crate) mod split;
pub(crate) mod status;
pub(crate) mod verify;
