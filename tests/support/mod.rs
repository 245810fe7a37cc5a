//! What several tests need. Each of them uses its own part.

#![allow(dead_code, reason = "each test uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    reason = "a test stops at the first surprise"
)]

use std::path::PathBuf;

pub(crate) mod chatdb;
pub(crate) mod client;
pub(crate) mod cloud_account;
pub(crate) mod cloud_samples;
pub(crate) mod damage;
pub(crate) mod dice;
pub(crate) mod disk;
pub(crate) mod document;
pub(crate) mod history;
pub(crate) mod home;
pub(crate) mod icloud;
pub(crate) mod replay;
pub(crate) mod rooms;
pub(crate) mod routes;
pub(crate) mod running;
pub(crate) mod samples;
pub(crate) mod stored;
pub(crate) mod syncing;

/// A file of the material that real systems gave us, which is kept outside of the project: below `FOOTBRIDGE_SHARED`, or
/// `shared` beside the checkout. `None` where it is not there, which a continuous integration run does not accept.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let root = std::env::var_os("FOOTBRIDGE_SHARED").map_or(beside, PathBuf::from);
    let file = root.join(path);
    let is_there = file.exists();
    assert!(
        is_there || std::env::var_os("CI").is_none(),
        "{} is missing; set FOOTBRIDGE_SHARED",
        file.display()
    );
    is_there.then_some(file)
}
