//! Messages in iCloud as a person meets it: the session is imported or forgotten, a pass is done, and what is read and what
//! is needed is told in words.
//!
//! | file | what |
//! |---|---|
//! | `session` | the session: imported, merged, forgotten |
//! | `pass` | how iCloud is reached, and one pass from the command line |
//! | `status` | how far each zone is, and what the owner has to do |

mod pass;
mod session;
mod status;

pub use pass::PassError;
pub(crate) use pass::Reach;
pub(crate) use pass::keep_user_id;
pub(crate) use pass::options;
pub(crate) use pass::pass;
pub use pass::zone_content;
pub use session::Imported;
pub use session::SessionFile;
pub use status::CloudStatus;
pub use status::Counted;
pub use status::ZoneStatus;

pub use crate::ingest::cloudkit::OnPage;
pub use crate::ingest::cloudkit::Outcome;
pub use crate::ingest::cloudkit::Report;
pub use crate::ingest::cloudkit::ZoneReport;
pub use crate::model::record::CloudZone;
