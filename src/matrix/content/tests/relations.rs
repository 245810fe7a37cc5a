use super::*;

fn reply(part: u16) -> Message {
    Message {
        reply_to: Some(Target {
            guid: guid(1),
            part,
        }),
        ..text(2, "yes")
    }
}

fn in_reply_to(event: &Event) -> &Value {
    &event.content["m.relates_to"]["m.in_reply_to"]["event_id"]
}

#[test]
fn a_reply_names_the_part_it_answers() {
    let held = photos_and_text(1);
    let world = World::holding([held.clone()]);
    let events = world.events(&held);

    for (part, target) in [(1, &events[1]), (2, &events[2]), (9, &events[0])] {
        assert_eq!(
            *in_reply_to(&world.one(&reply(part))),
            world.id(target),
            "{part}"
        );
    }
}

#[test]
fn a_reply_names_what_is_not_held_yet() {
    let before = World::new();
    let after = World::holding([text(1, "who?")]);

    assert_eq!(before.one(&reply(0)), after.one(&reply(0)));
}

#[test]
fn a_placed_sticker_answers_its_target_as_an_image() {
    let mut image = file("S", "image/png");
    image.sticker = Some(Sticker {
        description: Some("a cat".to_owned()),
        ..Sticker::default()
    });
    let placed = Message {
        kind: Kind::Message {
            about: Some(Target {
                guid: guid(1),
                part: 0,
            }),
        },
        attachments: vec![image],
        ..message(2)
    };
    let world = World::holding([text(1, "who?")]);

    let event = world.one(&placed);

    assert_eq!(event.event_type, "m.sticker");
    assert_eq!(event.content["body"], "a cat");
    assert_eq!(*in_reply_to(&event), world.id(&world.one(&text(1, "who?"))));
}
