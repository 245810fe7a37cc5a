//! What a transaction did, counted: what `import` reports.

use std::ops::AddAssign;

use crate::base::ids::RowId;
use crate::store::prepared::Class;
use crate::store::prepared::Outline;
use crate::store::value::StoredMessage;

macro_rules! tally {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counts of what was stored. A changed message can count under several of the reasons.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Tally {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl AddAssign for Tally {
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)*
            }
        }

        impl Tally {
            /// Every count with its name.
            pub fn counts(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

tally! {
    /// Messages that were not held before.
    new_messages,
    /// Tapbacks that were not held before.
    new_tapbacks,
    /// Announcements that were not held before.
    new_announcements,
    /// Messages of which anything that shows is different now.
    changed,
    /// Of those: edited or unsent.
    edited,
    /// Of those: read, delivered or played, or the sending of them ended.
    receipts,
    /// Of those: moved to another conversation, or joined to one late.
    moved,
    /// Of those: deleted by the owner, or brought back.
    deleted,
    /// Of those: an attachment came, or its file was found or lost.
    attachments,
    /// Records that are different in what does not show.
    refreshed,
    /// New or changed messages without a conversation.
    parked,
    /// New or changed messages of which something could not be decoded.
    unreadable,
    /// Conversations that were not held before.
    new_conversations,
    /// Conversations of which anything that shows is different now.
    changed_conversations,
    /// Cards of the address book that are different now.
    contacts,
}

impl Tally {
    /// Whether nothing that shows was stored.
    pub fn is_empty(&self) -> bool {
        Self {
            refreshed: 0,
            ..*self
        } == Self::default()
    }

    pub(super) fn count_new(&mut self, message: &Outline, conversation: Option<RowId>) {
        match message.class {
            Class::Message => self.new_messages += 1,
            Class::Tapback => self.new_tapbacks += 1,
            Class::Announcement => self.new_announcements += 1,
        }
        self.count_state(conversation, message.is_unreadable);
    }

    pub(super) fn count_changed(&mut self, old: &StoredMessage, new: &StoredMessage) {
        let (before, now) = (&old.message, &new.message);
        let receipts = |m: &StoredMessage| {
            let times = m.message.times;
            (
                times.delivered,
                times.read,
                times.played,
                m.message.error,
                m.message.flags,
                times.sent,
            )
        };
        let edits = |m: &StoredMessage| (m.message.times.edited, m.message.unsent_parts.clone());
        self.changed += 1;
        self.edited += u64::from(edits(old) != edits(new) || before.edits != now.edits);
        self.receipts += u64::from(receipts(old) != receipts(new));
        self.moved +=
            u64::from((old.conversation, &old.also_in) != (new.conversation, &new.also_in));
        self.deleted += u64::from(before.times.deleted != now.times.deleted);
        self.attachments += u64::from(old.attachments != new.attachments);
        self.count_state(new.conversation, !now.unreadable.is_empty());
    }

    fn count_state(&mut self, conversation: Option<RowId>, is_unreadable: bool) {
        self.parked += u64::from(conversation.is_none());
        self.unreadable += u64::from(is_unreadable);
    }
}
