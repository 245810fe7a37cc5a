use super::*;

#[test]
fn the_original_keeps_its_text_and_each_later_one_is_an_edit() {
    let (world, message) = (World::new(), edited());

    let original = world.one(&message);
    let edits: Vec<Event> = [1, 2]
        .into_iter()
        .flat_map(|version| world.marked(&message, Mark::Edit { part: 0, version }))
        .collect();

    assert_eq!(original.content["body"], "helo");
    assert_eq!(edits.len(), 2);
    let expected = json!({
        "msgtype": "m.text",
        "body": "* hello",
        "m.mentions": {},
        "m.new_content": {"msgtype": "m.text", "body": "hello", "m.mentions": {}},
        "m.relates_to": {"rel_type": "m.replace", "event_id": world.id(&original)},
    });
    assert_eq!(json!(edits[0].content), expected);
    assert_eq!(edits[0].origin_server_ts, 1_060_000);
    assert_eq!(edits[1].relation.unwrap().parent, original.key);
    // Only the body knows whom the last text mentions.
    assert_eq!(
        edits[1].content["m.new_content"]["m.mentions"],
        json!({"user_ids": ["@ada:example.org"]})
    );
}

#[test]
fn an_edit_without_a_time_follows_the_message() {
    let mut message = edited();
    message.edits[0].versions[1].at = None;

    let events = World::new().events(&message);

    assert_eq!(events.len(), 2);
    assert_eq!(events[1].content["body"], "* hello");
}

#[test]
fn an_unsent_part_is_served_redacted_with_all_its_texts() {
    let world = World::new();
    let mut message = edited();
    message.unsent_parts = vec![0];
    message.times.edited = Some(at(1_200));

    let original = world.one(&message);
    let edit = Mark::Edit {
        part: 0,
        version: 1,
    };
    let edit = world.marked(&message, edit).remove(0);
    let unsends = world.marked(&message, Mark::Unsend { part: 0 });

    let redacted: Vec<_> = unsends.iter().map(|event| event.redacts.unwrap()).collect();
    assert_eq!(redacted.len(), 3);
    assert_eq!(redacted[0], original.key);
    assert_eq!(redacted[1], edit.key);
    assert_eq!(original.redacted_because.as_deref(), Some(&unsends[0]));
    assert_eq!(edit.redacted_because.as_deref(), Some(&unsends[1]));
    assert_eq!(
        (original.content, edit.content),
        (Content::new(), Content::new())
    );
    assert_eq!(unsends[0].origin_server_ts, 1_200_000);
}

#[test]
fn other_parts_stay_when_one_is_unsent() {
    let world = World::new();
    let mut message = photos_and_text(1);
    let body = message.body.as_mut().unwrap();
    body.parts.remove(1);
    message.attachments.remove(0);
    message.unsent_parts = vec![1];
    message.times.edited = Some(at(1_200));

    let redacted: Vec<(u16, bool)> = world
        .events(&message)
        .iter()
        .map(|event| (event.key.part, event.is_redacted()))
        .collect();

    assert_eq!(redacted, [(0, false), (1, true), (2, false)]);
}

#[test]
fn a_row_that_was_emptied_is_one_redacted_event() {
    let mut message = message(1);
    message.flags.set(Flag::Unsent, true);

    let events = World::new().events(&message);

    assert!(events[0].is_redacted());
    assert_eq!(events[1].redacts, Some(events[0].key));
    assert_eq!(events.len(), 2);
}

#[test]
fn a_deletion_redacts_everything_in_the_owners_name() {
    let world = World::new();
    let mut message = edited();
    message.times.deleted = Some(at(2_000));

    let original = world.one(&message);
    let deletions = world.marked(&message, Mark::Deletion);

    assert_eq!(deletions.len(), 3);
    assert_eq!(original.redacted_because.as_deref(), Some(&deletions[0]));
    assert_eq!(deletions[0].sender.as_str(), "@ada:example.org");
    let mut ids: Vec<String> = deletions.iter().map(|event| world.id(event)).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[test]
fn a_restored_message_has_other_ids() {
    let mut world = World::new();
    let before = world.one(&text(1, "x"));

    world.incarnation = Incarnation::new(1);

    assert_ne!(world.id(&world.one(&text(1, "x"))), world.id(&before));
}

#[test]
fn a_mark_that_the_message_does_not_have_is_refused() {
    let (world, message) = (World::new(), edited());
    for mark in [
        Mark::Edit {
            part: 0,
            version: 0,
        },
        Mark::Edit {
            part: 0,
            version: 3,
        },
        Mark::Edit {
            part: 1,
            version: 1,
        },
        Mark::Unsend { part: 0 },
        Mark::Deletion,
    ] {
        let events = events_of(&world.row(&message, mark), &world);
        assert_eq!(events, Err(Hidden::NoSuchMark), "{mark:?}");
    }
}
