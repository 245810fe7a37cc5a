//! Messages as Matrix events: ids, content, generated state, client JSON. Pure: no store, no clock, no input or output.
//!
//! | file | what it makes |
//! |---|---|
//! | [`ids`] | users, ghosts and rooms |
//! | [`event_id`] | event ids that can be read back |
//! | [`media`] | media ids |
//! | [`content`] | the events of one row of a timeline |
//! | [`state`] | the state that a room begins with |
//! | [`event`], [`json`] | an event, redacting it, writing it for a client |
//! | [`html`], `text` | formatted text |
//!
//! # Rules
//!
//! The same question has the same answer, whenever and in whatever order it is asked: an id and its content follow from
//! the message, the room and what [`content::Context`] says.
//!
//! | rule | what is done |
//! |---|---|
//! | D18 | an event id holds the message's GUID, so that no index is needed |
//! | D19 | a room's id belongs to (conversation, epoch) |
//! | D21 | an edited part is served with its original text, each later text is an edit at its own time; superseded tapbacks and unsent parts are served redacted |
//! | D22 | what happened to the name and the members is a state event of the timeline with `prev_content`; a contact's new name is a new version of the member event |
//! | D37 | a ghost's localpart is `imessage_` and the escaped handle |
//! | MS-8, MS-10 | a part is an event, in the order of the body; nothing is made a caption of another part |
//! | MS-13 | placeholders are no text |
//! | MS-17 | a long text is cut into pieces: nothing of it is lost, and relations go to the first piece |
//! | MS-21 | a reply names its target whether that is held or not |
//! | MS-26, MS-27 | a tapback redacts the one it replaces; a removal redacts what stands |
//! | MS-29 | a tapback on what is not held is not shown |
//! | MS-33 | a sticker is an image that answers its target, a tapback or not |
//! | MS-47 | pieces of a link preview are no files |
//! | AT-8 | a file that is not here is a notice that names it |
//!
//! Why a row is not shown is a [`content::Hidden`], with its rule.

pub mod content;
pub mod event;
pub mod event_id;
pub mod html;
pub mod ids;
pub mod json;
pub mod media;
pub mod state;
mod text;
