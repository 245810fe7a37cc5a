use super::*;
use TapbackAction::Add;
use TapbackAction::Remove;

fn by_ann(n: u8, action: TapbackAction, kind: TapbackKind) -> Message {
    tapback(n, Author::Other(ann()), action, kind)
}

#[test]
fn a_tapback_is_a_reaction_to_the_part() {
    let love = by_ann(2, Add, TapbackKind::Love);
    let world = World::holding([text(1, "x"), love.clone()]);

    let event = world.one(&love);

    let relates_to = json!({
        "rel_type": "m.annotation",
        "event_id": world.id(&world.one(&text(1, "x"))),
        "key": "\u{2764}\u{fe0f}",
    });
    assert_eq!(event.event_type, "m.reaction");
    assert_eq!(json!(event.content), json!({"m.relates_to": relates_to}));
    assert_eq!(event.relation.unwrap().kind, RelationKind::Annotation);
}

#[test]
fn another_tapback_redacts_the_first_and_nobody_elses() {
    let first = by_ann(2, Add, TapbackKind::Love);
    let other = tapback(3, Author::Owner, Add, TapbackKind::Like);
    let second = by_ann(4, Add, TapbackKind::Emoji(Some("\u{1f389}".to_owned())));
    let world = World::holding([text(1, "x"), first.clone(), other.clone(), second.clone()]);

    let events = world.events(&second);
    let redacted = world.one(&first);

    assert_eq!(events.len(), 2);
    assert_eq!(events[0].redacts, Some(redacted.key));
    assert_eq!(redacted.content, Content::new());
    assert_eq!(redacted.redacted_because.as_deref(), Some(&events[0]));
    assert!(!events[1].is_redacted());
    assert!(!world.one(&other).is_redacted());
}

#[test]
fn a_removal_redacts_what_stands_whatever_its_kind() {
    let love = by_ann(2, Add, TapbackKind::Love);
    let removal = by_ann(3, Remove, TapbackKind::Emoji(None));
    let world = World::holding([text(1, "x"), love.clone(), removal.clone()]);

    let event = world.one(&removal);

    assert_eq!(event.redacts, Some(world.one(&love).key));
    assert!(world.one(&love).is_redacted());
}

#[test]
fn a_tapback_on_nothing_and_a_removal_of_nothing_are_hidden() {
    let love = by_ann(2, Add, TapbackKind::Love);
    let removal = by_ann(3, Remove, TapbackKind::Love);

    let nothing = World::holding([love.clone()]);
    let nobody = World::holding([text(1, "x"), removal.clone()]);

    assert_eq!(nothing.hidden(&love).rule(), "MS-29");
    assert_eq!(nobody.hidden(&removal).rule(), "MS-27");
}

#[test]
fn a_tapback_on_a_message_of_blanks_is_hidden_like_the_message() {
    let blank = text(1, "\u{2029}");
    let love = by_ann(2, Add, TapbackKind::Love);
    let removal = by_ann(3, Remove, TapbackKind::Love);
    let world = World::holding([blank.clone(), love.clone(), removal.clone()]);

    assert_eq!(world.hidden(&blank).rule(), "MS-2");
    assert_eq!(world.hidden(&love).rule(), "MS-29");
    assert_eq!(world.hidden(&removal).rule(), "MS-29");
}

#[test]
fn a_tapback_on_what_is_to_be_sent_later_is_hidden() {
    let later = flagged(Flag::Scheduled);
    let love = by_ann(2, Add, TapbackKind::Love);
    let world = World::holding([later.clone(), love.clone()]);

    assert_eq!(world.hidden(&later).rule(), "MS-53");
    assert_eq!(world.hidden(&love).rule(), "MS-29");
}

#[test]
fn sticker_tapbacks_are_images_and_pile_up() {
    let sticker = |n, action| {
        let mut made = by_ann(n, action, TapbackKind::Sticker);
        made.attachments = vec![file("S", "image/png")];
        made.attachments[0].sticker = Some(Sticker::default());
        made
    };
    let (one, two) = (sticker(2, Add), sticker(3, Add));
    let removal = sticker(4, Remove);
    let love = by_ann(5, Add, TapbackKind::Love);
    let world = World::holding([
        text(1, "x"),
        one.clone(),
        two.clone(),
        removal.clone(),
        love.clone(),
    ]);

    assert_eq!(world.one(&one).event_type, "m.sticker");
    assert!(!world.one(&one).is_redacted());
    assert!(world.one(&two).is_redacted());
    assert_eq!(world.one(&removal).redacts, Some(world.one(&two).key));
    assert!(!world.one(&love).is_redacted());
}
