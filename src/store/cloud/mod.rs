//! Storing what CloudKit says: its records under their names, what they are in the archive, and how far its zones were read.
//!
//! | to | go to |
//! |---|---|
//! | follow a page into the tables | `page`, then `messages`, `files`, `chats` |
//! | find a record by its name, and file it | `records` |
//! | see when a message or a conversation counts as deleted | `deletion` |
//! | see what guards against a page that ends the program | `guard` |
//! | see what is held, and how far a zone was read | `held` |
//!
//! A record's id is the row of the message or file that it is, so that what CloudKit says stands beside what chat.db says
//! (D2). Chats have a record for each of their states: those have ids of their own, and so has what is nothing yet.
//!
//! | key in `records` | what |
//! |---|---|
//! | (id, 17) | a record of the zones of what is there |
//! | (id, 18) | a record of the zones of what was deleted lately: the same message can have one of each |

mod chats;
mod deletion;
mod files;
mod guard;
mod held;
mod messages;
mod page;
mod records;
mod verify;

use crate::model::record::CloudZone;
use crate::model::record::SourceKind;

pub(in crate::store) use files::message_named_by;
pub use guard::Footing;
pub use held::AssetKey;
pub use held::CloudPlace;
pub use held::NamedRecord;
pub use page::CloudContent;
pub use page::CloudItem;
pub use page::CloudPage;
pub use page::ZoneStep;

/// Number in the keys of records of what is there.
const THERE: u8 = SourceKind::CloudKit.number();

/// Number in the keys of records of what was deleted lately.
const DELETED: u8 = 18;

/// Where the record of a message can stand, by its source. One that CloudKit only has among what was deleted lately has no
/// other.
pub(in crate::store) const fn shelves(source: SourceKind) -> &'static [u8] {
    const CHAT_DB: &[u8] = &[SourceKind::ChatDb.number()];
    match source {
        SourceKind::ChatDb => CHAT_DB,
        SourceKind::CloudKit => &[THERE, DELETED],
    }
}

/// Where the records of a zone stand.
const fn shelf(zone: CloudZone) -> u8 {
    if zone.is_recently_deleted() {
        DELETED
    } else {
        THERE
    }
}
