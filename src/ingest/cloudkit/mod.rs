//! Drives Messages in iCloud into the store.
//!
//! A pass reads the zones one after the other, each from the position that is stored to its end, page by page: a page is
//! fetched, opened with the zone's keys, decoded, and stored in one transaction with everything that follows from it and
//! the position behind it. It can be stopped, or killed, between any two pages: the next pass goes on there.
//!
//! | file | what it does |
//! |---|---|
//! | `machine` | one pass over one zone as a table of states and events; pure |
//! | `sync` | does what the machine says; all zones in order |
//! | `reading` | one zone as it is read: asks, opens, stores |
//! | `open` | a change as it came to what is stored of it |
//! | `chats` | which chat records are one conversation |
//! | `feed` | pages for the store |
//! | `again` | opens and decodes again what is held: no download |
//! | `schedule` | when the next pass is due |
//!
//! | zone | a failure of it |
//! |---|---|
//! | attachments | the pass goes on and is degraded: files are joined later (SC-17) |
//! | chats, messages | ends the pass with an error |
//! | recently deleted, chats with businesses | the pass goes on and is degraded; zones that do not exist are passed over (D33) |
//!
//! A page that ends the program does not end it for ever: what panics is one record's, and is kept as it came (SC-14). Where
//! the whole program dies three times at one position, the zone is read page by page, and after three more deaths there the
//! page is kept without a look into it (SC-23a; `store::cloud`).
//!
//! Source: SC-1 to SC-32; D30 to D35.

mod again;
mod chats;
mod feed;
mod machine;
mod open;
mod reading;
mod schedule;
mod sync;

pub use again::Again;
pub use again::again;
pub use sync::Connect;
pub use sync::OnPage;
pub use sync::Options;
pub use sync::Outcome;
pub use sync::Report;
pub use sync::Sync;
pub use sync::ZoneReport;
