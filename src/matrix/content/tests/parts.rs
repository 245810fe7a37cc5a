use super::*;

#[test]
fn a_text_is_one_event_of_its_author() {
    let world = World::new();

    let event = world.one(&text(1, "hello"));

    let expected = json!({
        "event_id": world.id(&event),
        "type": "m.room.message",
        "sender": "@imessage_+15550100001:example.org",
        "origin_server_ts": 1_000_000,
        "content": {"msgtype": "m.text", "body": "hello", "m.mentions": {}},
    });
    assert_eq!(world.json(&event), expected);
}

#[test]
fn the_same_question_has_the_same_answer() {
    let (world, message) = (World::new(), photos_and_text(1));

    assert_eq!(world.events(&message), world.events(&message));
}

#[test]
fn the_owner_and_unknown_senders_have_users() {
    let by = |author| {
        let message = Message {
            author,
            ..text(1, "x")
        };
        World::new().one(&message).sender.to_string()
    };

    assert_eq!(by(Author::Owner), "@ada:example.org");
    assert_eq!(by(Author::Unknown), "@imessage_=unknown:example.org");
}

#[test]
fn parts_are_events_in_the_order_of_the_body() {
    let events = World::new().events(&photos_and_text(1));

    let seen: Vec<_> = events
        .iter()
        .map(|event| (event.key.part, event.content["msgtype"].as_str().unwrap()))
        .collect();
    // Clients do not show HEIC.
    assert_eq!(seen, [(0, "m.file"), (1, "m.image"), (2, "m.text")]);
}

#[test]
fn a_file_says_what_clients_lay_out_by() {
    let message = Message {
        attachments: vec![file("A", "image/PNG")],
        ..message(1)
    };

    let expected = json!({
        "msgtype": "m.image",
        "body": "A.bin",
        "filename": "A.bin",
        "url": "mxc://example.org/A",
        "info": {"mimetype": "image/png", "size": 7, "w": 3, "h": 4},
        "m.mentions": {},
    });
    assert_eq!(json!(World::new().one(&message).content), expected);
}

#[test]
fn a_file_that_is_not_here_is_named_under_the_same_id() {
    let mut world = World::new();
    let mut file = file("A", "image/png");
    file.state = AttachmentState::Missing(Missing::NotFound);
    let message = Message {
        attachments: vec![file],
        ..message(1)
    };

    let here = world.one(&message);
    world.media = false;
    let absent = world.one(&message);

    assert_eq!(absent.key, here.key);
    assert_eq!(absent.content["msgtype"], "m.notice");
    assert_eq!(
        absent.content["body"],
        "[A.bin] image/png, missing: no file at its path"
    );
}

#[test]
fn a_voice_message_is_marked_and_its_words_are_its_caption() {
    let mut voice = file("A", "audio/amr");
    voice.transcription = Some("call me".to_owned());
    let mut message = Message {
        attachments: vec![voice],
        ..message(1)
    };
    message.flags.set(Flag::Audio, true);

    let content = World::new().one(&message).content;

    assert_eq!(content["msgtype"], "m.audio");
    assert_eq!(content["body"], "call me");
    assert_eq!(content["filename"], "A.bin");
    assert_eq!(content["org.matrix.msc3245.voice"], json!({}));
}

#[test]
fn files_without_a_place_and_inside_a_text_follow() {
    let mut inline = file("G", "image/png");
    inline.part = Some(0);
    let message = Message {
        body: Some(Body {
            parts: vec![part(0, 0, 3, PartContent::Text)],
            ..Body::plain("a\u{fffc}b")
        }),
        attachments: vec![inline, file("X", "image/png"), file("Y", "image/png")],
        ..message(1)
    };

    let keys: Vec<_> = World::new()
        .events(&message)
        .iter()
        .map(|event| (event.key.part, event.key.piece))
        .collect();

    assert_eq!(keys, [(0, 0), (0, 256), (0xFFFF, 0), (0xFFFF, 256)]);
}

#[test]
fn a_place_without_a_file_and_a_body_of_blanks() {
    let message = Message {
        body: Some(Body {
            parts: vec![part(0, 0, 1, photo("A")), part(1, 1, 1, PartContent::Text)],
            ..Body::plain("\u{fffc} ")
        }),
        ..message(1)
    };

    let event = World::new().one(&message);

    assert_eq!(event.content["body"], "[attachment] not in the archive");
}

#[test]
fn pieces_of_a_preview_are_no_files() {
    let mut preview = file("A", "image/png");
    preview.role = Role::Preview;
    let message = Message {
        attachments: vec![preview],
        link_preview: Some(LinkPreview {
            url: Some("https://example.org/".to_owned()),
            title: Some("t".repeat(3_000)),
            ..LinkPreview::default()
        }),
        ..text(1, "https://example.org/")
    };

    let content = World::new().one(&message).content;

    let expected = json!([{
        "matched_url": "https://example.org/",
        "og:url": "https://example.org/",
        "og:title": "t".repeat(2_048),
        "og:image": "mxc://example.org/A",
        "og:image:type": "image/png",
    }]);
    assert_eq!(content["com.beeper.linkpreviews"], expected);
}

#[test]
fn a_link_that_is_nothing_but_a_balloon_shows_its_url() {
    let message = Message {
        body: Some(Body {
            parts: vec![part(0, 0, 1, PartContent::Balloon)],
            ..Body::plain("\u{fffd}")
        }),
        link_preview: Some(LinkPreview {
            url: Some("https://example.org/".to_owned()),
            ..LinkPreview::default()
        }),
        ..message(1)
    };

    let content = World::new().one(&message).content;

    assert_eq!(content["body"], "https://example.org/");
    assert!(content.contains_key("com.beeper.linkpreviews"));
}

#[test]
fn a_subject_is_a_bold_first_line() {
    let subject = |message: Message| {
        let message = Message {
            subject: Some("A & B\u{fffc}".to_owned()),
            ..message
        };
        World::new().events(&message).remove(0).content
    };

    let above = subject(text(1, "hello"));
    assert_eq!(above["body"], "A & B\nhello");
    assert_eq!(
        above["formatted_body"],
        "<strong>A &amp; B</strong><br/>hello"
    );
    assert_eq!(subject(message(1))["body"], "A & B");
}

#[test]
fn styles_and_mentions_are_formatted() {
    let message = Message {
        body: Some(Body {
            spans: vec![Span {
                start: 0,
                length: 2,
                style: Style::Bold,
            }],
            mentions: vec![Mention {
                start: 3,
                length: 3,
                handle: me(),
            }],
            ..Body::plain("Hi Ada")
        }),
        ..message(1)
    };

    let content = World::new().one(&message).content;

    assert_eq!(content["format"], "org.matrix.custom.html");
    assert_eq!(
        content["formatted_body"],
        "<strong>Hi</strong> <a href=\"https://matrix.to/#/@ada:example.org\">Ada</a>"
    );
    assert_eq!(
        content["m.mentions"],
        json!({"user_ids": ["@ada:example.org"]})
    );
}

#[test]
fn invisible_ink_is_a_spoiler_and_other_effects_are_named() {
    let with = |effect: &str| {
        let message = Message {
            effect: Some(effect.to_owned()),
            ..text(1, "a<b")
        };
        World::new().one(&message).content
    };

    let ink = with("com.apple.MobileSMS.expressivesend.invisibleink");
    let slam = with("com.apple.MobileSMS.expressivesend.impact");

    assert_eq!(ink["body"], "a<b");
    assert_eq!(ink["formatted_body"], "<span data-mx-spoiler>a&lt;b</span>");
    assert_eq!(
        slam["dev.footbridge.effect"],
        "com.apple.MobileSMS.expressivesend.impact"
    );
    assert!(!slam.contains_key("formatted_body"));
}

#[test]
fn a_long_text_is_several_events_of_one_part() {
    let long = "word ".repeat(20_000);

    let events = World::new().events(&text(1, &long));

    let pieces: Vec<u16> = events.iter().map(|event| event.key.piece).collect();
    assert_eq!(pieces, [0, 1, 2, 3]);
    assert!(events.iter().all(|event| event.key.part == 0));
}

#[test]
fn what_kind_of_text_it_is() {
    let msgtype = |flag| World::new().one(&flagged(flag)).content["msgtype"].clone();

    assert_eq!(msgtype(Flag::Emote), "m.emote");
    assert_eq!(msgtype(Flag::AutoReply), "m.notice");
    assert_eq!(msgtype(Flag::Downgraded), "m.text");
}

#[test]
fn what_cannot_be_read_is_a_notice() {
    let message = Message {
        unreadable: vec!["attributedBody: truncated".to_owned()],
        ..message(1)
    };

    let content = World::new().one(&message).content;

    assert_eq!(content["msgtype"], "m.notice");
    assert_eq!(
        content["body"],
        "This message could not be read: attributedBody: truncated"
    );
}

#[test]
fn a_failed_send_says_so() {
    let message = Message {
        error: 22,
        author: Author::Owner,
        ..text(1, "hello")
    };

    let events = World::new().events(&message);

    assert_eq!(events[1].content["body"], "not delivered (error 22)");
    assert_eq!(events[1].relation.unwrap().parent, events[0].key);
}

#[test]
fn every_rule_that_hides_has_its_name() {
    let (world, other, said) = (World::new(), guid(2), text(1, "x"));
    let twin = Row {
        duplicate_of: Some(&other),
        ..world.row(&said, Mark::Message)
    };

    assert_eq!(events_of(&twin, &world), Err(Hidden::Twin));
    assert_eq!(world.hidden(&message(1)), Hidden::Empty);
    let table = [
        (Flag::System, Hidden::System),
        (Flag::Service, Hidden::System),
        (Flag::Scheduled, Hidden::Scheduled),
        (Flag::Unfinished, Hidden::Unfinished),
    ];
    for (flag, hidden) in table {
        assert_eq!(world.hidden(&flagged(flag)), hidden);
    }
    assert_eq!(
        world.hidden(&announcement(Announcement::AudioKept)).rule(),
        "MS-51"
    );
}

#[test]
fn an_emergency_message_is_never_a_system_message() {
    let mut message = flagged(Flag::System);
    message.flags.set(Flag::Sos, true);

    assert_eq!(World::new().one(&message).content["body"], "hello");
}
