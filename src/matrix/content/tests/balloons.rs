use super::*;

fn said(app: App) -> String {
    let message = Message {
        app: Some(app),
        ..message(1)
    };
    let content = World::new().one(&message).content;
    content["body"].as_str().unwrap().to_owned()
}

fn poll() -> App {
    let option = |id: &str, text: &str| PollOption {
        id: id.to_owned(),
        text: text.to_owned(),
    };
    App {
        content: AppContent::Poll {
            title: Some("Drink".to_owned()),
            options: vec![option("A", "Tea"), option("B", "Coffee")],
        },
        ..App::default()
    }
}

#[test]
fn a_balloon_says_what_stands_on_it() {
    let app = App {
        bundle: "x:y:org.example.chess".to_owned(),
        captions: vec!["Your move".to_owned(), "e4".to_owned()],
        text: Some("Chess".to_owned()),
        url: Some("https://example.org/7".to_owned()),
        ..App::default()
    };

    assert_eq!(
        said(app.clone()),
        "[org.example.chess] Your move\ne4\nhttps://example.org/7"
    );
    let bare = App {
        name: Some("Chess".to_owned()),
        captions: Vec::new(),
        url: Some("data:,x".to_owned()),
        ..app
    };
    assert_eq!(said(bare), "[Chess] Chess");
}

#[test]
fn drawings_and_polls_are_readable() {
    let drawing = |content| App {
        content,
        ..App::default()
    };

    assert_eq!(said(drawing(AppContent::Handwriting)), "[Handwriting]");
    assert_eq!(
        said(drawing(AppContent::DigitalTouch("heartbeat".to_owned()))),
        "[Digital Touch] heartbeat"
    );
    assert_eq!(said(poll()), "[Poll] Drink\n- Tea\n- Coffee");
}

#[test]
fn a_vote_answers_its_poll_and_names_the_option() {
    let held = Message {
        app: Some(poll()),
        ..message(1)
    };
    let world = World::holding([held.clone()]);
    let votes = vec![("B".to_owned(), Some(ann())), ("A".to_owned(), Some(me()))];
    let vote = Message {
        kind: Kind::Message {
            about: Some(Target {
                guid: guid(1),
                part: 0,
            }),
        },
        app: Some(App {
            content: AppContent::Votes(votes),
            ..App::default()
        }),
        ..message(2)
    };

    let event = world.one(&vote);

    assert_eq!(
        event.content["body"],
        "voted for Coffee, Tea (+15550100000)"
    );
    assert_eq!(event.relation.unwrap().parent, world.one(&held).key);
}

#[test]
fn a_balloon_beside_a_text_has_its_own_event() {
    let message = Message {
        app: Some(poll()),
        ..text(1, "vote!")
    };

    let parts: Vec<u16> = World::new()
        .events(&message)
        .iter()
        .map(|event| event.key.part)
        .collect();

    assert_eq!(parts, [0, 0xFFFD]);
}
