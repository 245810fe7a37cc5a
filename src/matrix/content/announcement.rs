//! What happened to a conversation: state where Matrix has such state, else a notice (MS-50).

use serde_json::json;

use crate::base::ids::Handle;
use crate::matrix::content::Maker;
use crate::matrix::content::part::MESSAGE;
use crate::matrix::event::Content;
use crate::matrix::event::Event;
use crate::matrix::event_id::EventKind;
use crate::matrix::state::member_content;
use crate::matrix::text::Draft;
use crate::matrix::text::shown;
use crate::model::message::Announcement;
use crate::model::message::Author;

/// What an announcement does to the membership of a person.
struct Membership<'a> {
    who: &'a Handle,
    is_in: bool,
}

impl Maker<'_> {
    /// The one event of an announcement.
    pub(super) fn announcement(&self, what: &Announcement) -> Event {
        if let Announcement::Renamed(title) = what {
            return self.name(title.as_deref().unwrap_or_default());
        }
        match self.membership(what) {
            Some(membership) => self.member(&membership),
            None => self.notice(what),
        }
    }

    fn name(&self, name: &str) -> Event {
        let mut content = Content::new();
        content.insert("name".to_owned(), name.into());
        self.state("m.room.name", "", content, None)
    }

    /// Whose membership changed. The owner's own never does in Matrix: clients would drop the room, although the archive
    /// still shows it.
    fn membership<'a>(&'a self, what: &'a Announcement) -> Option<Membership<'a>> {
        let author = match &self.row.message.author {
            Author::Other(handle) => Some(handle),
            Author::Owner | Author::Unknown => None,
        };
        let (who, is_in) = match what {
            Announcement::Added(who) => (who.as_ref(), true),
            Announcement::Removed(who) => (who.as_ref(), false),
            Announcement::Joined => (author, true),
            Announcement::Left => (author, false),
            Announcement::Renamed(_)
            | Announcement::PhotoSet
            | Announcement::PhotoRemoved
            | Announcement::BackgroundSet
            | Announcement::BackgroundRemoved
            | Announcement::LocationStarted
            | Announcement::LocationStopped
            | Announcement::AudioKept
            | Announcement::SharePlay
            | Announcement::NumberChanged(_)
            | Announcement::Other { .. } => return None,
        };
        let who = who?;
        (self.context.user(who) != *self.context.account().user())
            .then_some(Membership { who, is_in })
    }

    fn member(&self, membership: &Membership<'_>) -> Event {
        let user = self.context.user(membership.who);
        let name = self.context.name(membership.who);
        let content = |is_in| member_content(is_in, Some(&name), None);
        let before = content(!membership.is_in);
        self.state(
            "m.room.member",
            user.as_str(),
            content(membership.is_in),
            Some(before),
        )
    }

    /// State with what it said before: as the store knows it, else as it must have been.
    fn state(
        &self,
        event_type: &'static str,
        state_key: &str,
        content: Content,
        before: Option<Content>,
    ) -> Event {
        let known = self.context.state_before(self.row, event_type, state_key);
        let key = self.key(EventKind::Announcement);
        let mut event = self
            .event(key, event_type, content)
            .with_state_key(state_key);
        event.prev_content = known.or(before);
        event
    }

    fn notice(&self, what: &Announcement) -> Event {
        let mut text = what.sentence(|handle| self.context.name(handle).into());
        let body = self.row.message.body.as_ref();
        if let Some(said) = body.and_then(|body| shown(&body.text)) {
            text = format!("{text}: {said}");
        }
        let mut content = Draft::plain(text).into_content("m.notice");
        let what = json!(what.name());
        content.insert("dev.footbridge.announcement".to_owned(), what);
        self.event(self.key(EventKind::Announcement), MESSAGE, content)
    }
}
