//! The loopback iCloud: an invented account, and a server that speaks CloudKit's protocol over it, so that everything can be
//! tried without an account at Apple, and tested with faults that Apple's server would not make on demand.
//!
//! Its encoder is written from the facts, not from our decoders; the vectors of another implementation keep both honest.
//!
//! | file | what |
//! |---|---|
//! | `plan`, `story`, `cast`, `words`, `link` | the messages, made from their index |
//! | `files`, `upload` | the files, and how MMCS stores them |
//! | `record` | records in clear to records on the wire |
//! | `keys`, `zone` | keychain, tokens, zones and their keys |
//! | `feed`, `position`, `live` | what stands where in a feed, and what changes later |
//! | `account`, `write`, `truth` | the account, its records, and what a reader should make of them |
//! | `cloud` | what the server needs of whatever stands behind it |
//! | `server` | the server: HTTP, checks, faults |
//!
//! Source: facts of CloudKit, 1 to 5, 9 and 10; D14.

mod account;
mod cast;
mod cloud;
mod feed;
mod files;
mod keys;
mod link;
mod live;
mod plan;
mod position;
mod random;
mod record;
mod server;
mod story;
mod truth;
mod upload;
mod words;
mod write;
mod zone;

pub use account::Account;
pub use account::Dirtiness;
pub use cloud::Cloud;
pub use cloud::Credentials;
pub use cloud::Download;
pub use cloud::Refusal;
pub use cloud::WithAssets;
pub use keys::Items;
pub use record::Body;
pub use record::Dirt;
pub use record::MessageDraft;
pub use server::Call;
pub use server::Chance;
pub use server::Fault;
pub use server::Faults;
pub use server::Loopback;
pub use server::Made;
pub use server::Trouble;
pub use truth::Readable;
pub use truth::Truth;
pub use truth::What;
pub use zone::ZoneKind;
