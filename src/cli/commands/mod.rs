//! One file per command: each calls `app` and prints what it answers.

pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod decode;
