use super::*;

fn ben() -> Handle {
    Handle::from_normal("mailto:ben@example.org".to_owned())
}

fn member(what: Announcement) -> (String, Value, Value) {
    let event = World::new().one(&announcement(what));
    assert_eq!(event.event_type, "m.room.member");
    (
        event.state_key.unwrap(),
        json!(event.content),
        json!(event.prev_content),
    )
}

#[test]
fn a_name_is_state_with_the_one_before() {
    let event = World::new().one(&announcement(Announcement::Renamed(Some("New".to_owned()))));
    let removed = World::new().one(&announcement(Announcement::Renamed(None)));

    assert_eq!(event.event_type, "m.room.name");
    assert_eq!(event.state_key.as_deref(), Some(""));
    assert_eq!(json!(event.content), json!({"name": "New"}));
    assert_eq!(json!(event.prev_content), json!({"name": "Old"}));
    assert_eq!(json!(removed.content), json!({"name": ""}));
}

#[test]
fn members_who_come_and_go_are_state() {
    let name = "ben@example.org";
    let (joined, left) = (
        json!({"membership": "join", "displayname": name}),
        json!({"membership": "leave", "displayname": name}),
    );
    let user = "@imessage_ben=40example.org:example.org".to_owned();

    assert_eq!(
        member(Announcement::Added(Some(ben()))),
        (user.clone(), joined.clone(), left.clone())
    );
    assert_eq!(
        member(Announcement::Removed(Some(ben()))),
        (user, left, joined)
    );
    let (who, left, _) = member(Announcement::Left);
    assert_eq!(who, "@imessage_+15550100001:example.org");
    assert_eq!(left["membership"], "leave");
    assert_eq!(member(Announcement::Joined).1["membership"], "join");
}

#[test]
fn the_owners_own_membership_is_told_not_changed() {
    let removed = announcement(Announcement::Removed(Some(me())));
    let left = Message {
        author: Author::Owner,
        ..announcement(Announcement::Left)
    };

    let said = |message| World::new().one(&message).content["body"].clone();

    assert_eq!(said(removed), "removed +15550100000");
    assert_eq!(said(left), "left");
}

#[test]
fn everything_else_is_a_notice_in_the_words_of_show() {
    let said = |what| {
        let event = World::new().one(&announcement(what));
        assert_eq!(event.content["msgtype"], "m.notice");
        event.content["body"].clone()
    };
    let unknown = Announcement::Other {
        item_type: 7,
        action: 0,
    };

    assert_eq!(said(Announcement::PhotoSet), "changed the group's picture");
    assert_eq!(said(Announcement::Added(None)), "added someone");
    assert_eq!(said(unknown), "did something unknown (7/0)");
}
