//! What a message is that two sources hold (ED-8).
//!
//! | what | whose |
//! |---|---|
//! | text with its parts, edits, unsends and flags | the one that was edited last; of equals chat.db's, unless only the other has one |
//! | when it was read | the later time: it never becomes unread (SC-21) |
//! | everything else | chat.db's where it says something, else CloudKit's |
//! | what could not be decoded | nothing, once one of them could be decoded |
//! | when it was deleted | chat.db's; what CloudKit says of it is not in its records (`cloud::deletion`) |
//!
//! The result does not depend on which of the two came first. What each of them said stays in `records`.

use std::mem;

use crate::base::ids::RowId;
use crate::model::message::Author;
use crate::model::message::Message;
use crate::model::message::Times;
use crate::model::record::SourceKind;

/// The message that is held, with what one of its sources says of it now.
pub(super) fn combined(held: &Message, incoming: Message, source: SourceKind) -> Message {
    let (mut first, mut second) = match source {
        SourceKind::ChatDb => (incoming, held.clone()),
        SourceKind::CloudKit => (held.clone(), incoming),
    };
    let is_missing = first.body.is_none() && second.body.is_some();
    let (edited, also_edited) = (first.times.edited, second.times.edited);
    if also_edited > edited || (also_edited == edited && is_missing) {
        mem::swap(&mut first.body, &mut second.body);
        mem::swap(&mut first.edits, &mut second.edits);
        mem::swap(&mut first.unsent_parts, &mut second.unsent_parts);
        mem::swap(&mut first.flags, &mut second.flags);
    }
    let deleted = match source {
        // That it is not deleted any more is for chat.db to say.
        SourceKind::ChatDb => first.times.deleted,
        SourceKind::CloudKit => first.times.deleted.or(second.times.deleted),
    };
    Message {
        author: match first.author {
            Author::Unknown => second.author,
            known @ (Author::Owner | Author::Other(_)) => known,
        },
        service: first.service.or(second.service),
        own_handle: first.own_handle.or(second.own_handle),
        times: Times {
            deleted,
            ..both(first.times, second.times)
        },
        subject: first.subject.or(second.subject),
        reply_to: first.reply_to.or(second.reply_to),
        effect: first.effect.or(second.effect),
        app: first.app.or(second.app),
        link_preview: first.link_preview.or(second.link_preview),
        unreadable: if second.unreadable.is_empty() {
            Vec::new()
        } else {
            first.unreadable
        },
        ..first
    }
}

/// The times of both, but for the deletion.
fn both(first: Times, second: Times) -> Times {
    Times {
        sent: first.sent.or(second.sent),
        delivered: first.delivered.or(second.delivered),
        read: first.read.max(second.read),
        played: first.played.or(second.played),
        edited: first.edited.max(second.edited),
        deleted: None,
    }
}

/// The files of such a message: those that a source names now, and those that are held besides. chat.db's come first.
pub(super) fn combine_files(held: &[RowId], incoming: &mut Vec<RowId>, source: SourceKind) {
    let mut files = match source {
        SourceKind::ChatDb => mem::take(incoming),
        SourceKind::CloudKit => held.to_vec(),
    };
    for file in held.iter().chain(&*incoming) {
        if !files.contains(file) {
            files.push(*file);
        }
    }
    *incoming = files;
}
