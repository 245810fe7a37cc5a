//! Tapbacks, each a row of its own (D18): what one ends and by what one is ended.

use serde_json::json;

use crate::matrix::content::Hidden;
use crate::matrix::content::Made;
use crate::matrix::content::Maker;
use crate::matrix::content::event_of_part;
use crate::matrix::content::file;
use crate::matrix::content::part::MESSAGE;
use crate::matrix::content::sender;
use crate::matrix::event::Content;
use crate::matrix::event::Event;
use crate::matrix::event::Relation;
use crate::matrix::event::RelationKind;
use crate::matrix::event_id::EventKey;
use crate::matrix::event_id::EventKind;
use crate::matrix::ids::UserId;
use crate::matrix::text::Draft;
use crate::model::message::Tapback;
use crate::model::message::TapbackAction;
use crate::model::message::TapbackKind;

impl Maker<'_> {
    /// The events of a tapback or a removal.
    pub(super) fn tapback(&self, tapback: &Tapback) -> Result<Vec<Event>, Hidden> {
        let target = &tapback.target;
        let held = self
            .context
            .held(&target.guid)
            .ok_or(Hidden::TargetNotHeld)?;
        let parent = event_of_part(&held, target.part).ok_or(Hidden::TargetNotHeld)?;
        let made = self.context.tapbacks(&target.guid);
        let chain: Vec<Link<'_>> = made
            .iter()
            .map(|made| Link {
                user: sender(&made.author, self.context),
                made,
            })
            .collect();
        let ends = ends(&chain);
        let is_this = |link: &Link<'_>| link.made.guid == self.row.message.guid;
        let here = chain.iter().position(is_this);
        let mut events = Vec::new();
        if let Some((at, this)) = here.and_then(|at| Some((at, chain.get(at)?))) {
            let gone = ends.iter().position(|end| *end == Some(at));
            let gone = gone.and_then(|gone| chain.get(gone));
            events.extend(gone.map(|gone| self.redaction_by(this, &gone.made.key())));
        }
        match tapback.action {
            TapbackAction::Remove if events.is_empty() => return Err(Hidden::NothingToRemove),
            TapbackAction::Remove => {}
            TapbackAction::Add => {
                let event = self.reaction(tapback, parent);
                let later = here.and_then(|at| chain.get((*ends.get(at)?)?));
                events.push(match later {
                    Some(later) => {
                        let because = self.redaction_by(later, &event.key);
                        event.redacted(because)
                    }
                    None => event,
                });
            }
        }
        Ok(events)
    }

    /// The key of the event that a tapback became.
    pub(super) fn own_reaction(&self, tapback: &Tapback) -> Option<EventKey> {
        let key = self.key(event_kind(&tapback.kind));
        (tapback.action == TapbackAction::Add).then_some(key)
    }

    fn reaction(&self, tapback: &Tapback, parent: EventKey) -> Event {
        let key = self.key(event_kind(&tapback.kind));
        if tapback.kind == TapbackKind::Sticker {
            let message = self.row.message;
            let lost = || {
                let text = Draft::plain("[sticker] not in the archive");
                (MESSAGE, text.into_content("m.notice"))
            };
            let image = message.attachments.first();
            let (event_type, content) =
                image.map_or_else(lost, |image| file::content(image, message, self.context));
            let mut event = self.event(key, event_type, content);
            self.answer(&mut event, parent);
            return event;
        }
        let id = self.context.room().event_id(&parent);
        let emoji = qualified(tapback.kind.emoji());
        let mut content = Content::new();
        let relates_to = json!({ "rel_type": "m.annotation", "event_id": id, "key": emoji });
        content.insert("m.relates_to".to_owned(), relates_to);
        let mut event = self.event(key, "m.reaction", content);
        event.relation = Some(Relation {
            kind: RelationKind::Annotation,
            parent,
        });
        event
    }

    /// The redaction of a tapback by the row that ended it.
    fn redaction_by(&self, later: &Link<'_>, target: &EventKey) -> Event {
        let Link { user, made } = later;
        let key = EventKey::new(&made.guid, EventKind::TapbackRemoval, made.incarnation);
        Event::redaction(key, target, user.clone(), made.time, self.context.room())
    }
}

/// A tapback with its user: all handles of a person are one.
struct Link<'a> {
    user: UserId,
    made: &'a Made,
}

impl Made {
    /// The key of the event that it became.
    fn key(&self) -> EventKey {
        EventKey::new(&self.guid, event_kind(&self.tapback.kind), self.incarnation)
    }
}

/// A sticker is an image, not a reaction (MS-33).
fn event_kind(kind: &TapbackKind) -> EventKind {
    if *kind == TapbackKind::Sticker {
        EventKind::Part
    } else {
        EventKind::Reaction
    }
}

/// By which later one each tapback was ended: the rules of `model::tapback::standing`, kept for every step (MS-26,
/// MS-27).
fn ends(chain: &[Link<'_>]) -> Vec<Option<usize>> {
    let is_sticker = |link: &Link<'_>| link.made.tapback.kind == TapbackKind::Sticker;
    let mut ends = vec![None; chain.len()];
    let mut standing: Vec<(usize, &Link<'_>)> = Vec::new();
    for (at, link) in chain.iter().enumerate() {
        let is_same = |(_, other): &(usize, &Link<'_>)| {
            other.user == link.user
                && other.made.tapback.target.part == link.made.tapback.target.part
                && is_sticker(other) == is_sticker(link)
        };
        let is_removal = link.made.tapback.action == TapbackAction::Remove;
        // Stickers pile up; only a removal ends one.
        if (is_removal || !is_sticker(link))
            && let Some(place) = standing.iter().rposition(is_same)
            && let Some(end) = ends.get_mut(standing.remove(place).0)
        {
            *end = Some(at);
        }
        if !is_removal {
            standing.push((at, link));
        }
    }
    ends
}

/// An emoji as clients write it: with U+FE0F where it would be a plain sign otherwise, so that counts merge.
///
/// Only single signs need it; sequences come with theirs.
fn qualified(emoji: &str) -> String {
    let mut signs = emoji.chars();
    match (signs.next(), signs.next()) {
        (Some(sign), None) if is_plain_sign(sign) => format!("{emoji}\u{fe0f}"),
        _ => emoji.to_owned(),
    }
}

/// Whether an emoji is shown as a plain sign by itself (`Emoji_Presentation=No`, Unicode 16).
fn is_plain_sign(sign: char) -> bool {
    const COLORED: &str = "\u{231a}\u{231b}\u{23e9}\u{23ea}\u{23eb}\u{23ec}\u{23f0}\u{23f3}\u{25fd}\u{25fe}\u{2614}\
        \u{2615}\u{267f}\u{2693}\u{26a1}\u{26aa}\u{26ab}\u{26bd}\u{26be}\u{26c4}\u{26c5}\u{26ce}\u{26d4}\u{26ea}\
        \u{26f2}\u{26f3}\u{26f5}\u{26fa}\u{26fd}\u{2705}\u{270a}\u{270b}\u{2728}\u{274c}\u{274e}\u{2753}\u{2754}\
        \u{2755}\u{2757}\u{2795}\u{2796}\u{2797}\u{27b0}\u{27bf}\u{2b1b}\u{2b1c}\u{2b50}\u{2b55}";
    match sign {
        '\u{2648}'..='\u{2653}' => false,
        '\u{203c}'..='\u{3299}' => !COLORED.contains(sign),
        '\u{a9}'
        | '\u{ae}'
        | '\u{1f170}'..='\u{1f171}'
        | '\u{1f17e}'..='\u{1f17f}'
        | '\u{1f202}'
        | '\u{1f237}'
        | '\u{1f321}'
        | '\u{1f324}'..='\u{1f32c}'
        | '\u{1f336}'
        | '\u{1f37d}'
        | '\u{1f396}'..='\u{1f397}'
        | '\u{1f399}'..='\u{1f39b}'
        | '\u{1f39e}'..='\u{1f39f}'
        | '\u{1f3cb}'..='\u{1f3ce}'
        | '\u{1f3d4}'..='\u{1f3df}'
        | '\u{1f3f3}'
        | '\u{1f3f5}'
        | '\u{1f3f7}'
        | '\u{1f43f}'
        | '\u{1f441}'
        | '\u{1f4fd}'
        | '\u{1f549}'..='\u{1f54a}'
        | '\u{1f56f}'..='\u{1f570}'
        | '\u{1f573}'..='\u{1f579}'
        | '\u{1f587}'
        | '\u{1f58a}'..='\u{1f58d}'
        | '\u{1f590}'
        | '\u{1f5a5}'..='\u{1f5fa}'
        | '\u{1f6cb}'
        | '\u{1f6cd}'..='\u{1f6cf}'
        | '\u{1f6e0}'..='\u{1f6e5}'
        | '\u{1f6e9}'
        | '\u{1f6f0}'
        | '\u{1f6f3}' => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::qualified;

    #[test]
    fn plain_signs_get_the_emoji_selector_and_others_do_not() {
        for plain in ["\u{2764}", "\u{263a}", "\u{1f5bc}", "\u{203c}"] {
            assert_eq!(qualified(plain), format!("{plain}\u{fe0f}"));
        }
        for whole in [
            "\u{2764}\u{fe0f}",
            "\u{1f44d}",
            "\u{2753}",
            "\u{1f44d}\u{1f3fb}",
            "",
        ] {
            assert_eq!(qualified(whole), whole);
        }
    }
}
