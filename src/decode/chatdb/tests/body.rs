//! The body: parts, spans, mentions, links, and damaged ones.

use super::GUID;
use super::file;
use super::handle;
use super::message;
use super::part;
use super::text_part;
use crate::base::ids::AttachmentGuid;
use crate::codec::typedstream::Attribute;
use crate::codec::typedstream::Url;
use crate::codec::typedstream::encode;
use crate::decode::chatdb::build::attachment_row;
use crate::decode::chatdb::build::attributed;
use crate::decode::chatdb::build::message_row;
use crate::model::body::Body;
use crate::model::body::Mention;
use crate::model::body::Part;
use crate::model::body::PartContent;
use crate::model::body::Span;
use crate::model::body::Style;
use crate::model::record::MessageColumn as M;

#[test]
fn adjacent_runs_of_one_number_are_one_part_and_holes_stay() {
    let bold = ("__kIMTextBoldAttributeName", Attribute::Integer(1));
    let plain = ("__kIMTextItalicAttributeName", Attribute::Integer(0));
    let shake = ("__kIMTextEffectAttributeName", Attribute::Real(9.0));
    let body = attributed(&[
        ("a\u{1f600}", &[part(0), bold]),
        ("bc", &[part(0), plain]),
        ("d", &[shake, part(2)]),
    ]);

    let body = message(message_row().body(&body).record()).body.unwrap();

    assert_eq!(body.parts, [text_part(0, 0, 5), text_part(2, 5, 1)]);
    let span = |start, length, style| Span {
        start,
        length,
        style,
    };
    assert_eq!(
        body.spans,
        [span(0, 3, Style::Bold), span(5, 1, Style::Effect(9))]
    );
}

#[test]
fn mentions_and_links_are_found_and_joined_over_styles() {
    let bold = ("__kIMTextBoldAttributeName", Attribute::Integer(1));
    let mention = |raw: &str| {
        (
            "__kIMMentionConfirmedMention",
            Attribute::Text(raw.to_owned()),
        )
    };
    let link = |url: &str| ("__kIMLinkAttributeName", Attribute::Url(Url::absolute(url)));
    let body = attributed(&[
        ("A", &[part(0), mention("5550100001")]),
        ("da", &[part(0), mention("5550100001"), bold.clone()]),
        ("Ben", &[part(0), mention("ben@example.org")]),
        ("https://", &[part(0), link("https://example.org/")]),
        (
            "example.org/",
            &[part(0), link("https://example.org/"), bold],
        ),
    ]);

    let body = message(message_row().body(&body).record()).body.unwrap();

    let mention = |start, length, who| Mention {
        start,
        length,
        handle: handle(who),
    };
    assert_eq!(
        body.mentions,
        [
            mention(0, 3, "tel:+15550100001"),
            mention(3, 3, "mailto:ben@example.org")
        ]
    );
    assert_eq!(body.links, ["https://example.org/"]);
    assert_eq!(body.parts, [text_part(0, 0, 26)]);
}

#[test]
fn an_attachment_beside_text_in_one_part_is_inline() {
    let body = attributed(&[
        ("\u{fffc}", &[part(0), file("at_0_A")]),
        ("look ", &[part(1)]),
        ("\u{fffc}", &[part(1), file("at_1_A")]),
    ]);
    let mut record = message_row().body(&body).record();
    record.attachments = vec![
        attachment_row("at_1_A").row(),
        attachment_row("at_0_A").row(),
    ];

    let message = message(record);

    let photo = AttachmentGuid::parse("at_0_A").unwrap();
    let parts = [
        Part {
            content: PartContent::Attachment(photo),
            ..text_part(0, 0, 1)
        },
        text_part(1, 1, 6),
    ];
    assert_eq!(message.body.unwrap().parts, parts);
    let places: Vec<_> = message
        .attachments
        .iter()
        .map(|attachment| (attachment.guid.as_str(), attachment.part))
        .collect();
    assert_eq!(places, [("at_0_A", Some(0)), ("at_1_A", Some(1))]);
}

#[test]
fn a_body_without_part_numbers_counts_its_components() {
    let body = attributed(&[
        ("\u{fffc}", &[file("A")]),
        ("\u{fffc}", &[file("B")]),
        ("hel", &[]),
        ("lo", &[]),
    ]);

    let body = message(message_row().body(&body).record()).body.unwrap();

    let numbers: Vec<_> = body
        .parts
        .iter()
        .map(|part| (part.number, part.length))
        .collect();
    assert_eq!(numbers, [(0, 1), (1, 1), (2, 5)]);
}

#[test]
fn a_body_whose_runs_end_early_keeps_the_rest_in_a_part() {
    let mut body = attributed(&[("Hello", &[part(0)])]);
    body.text.push_str(" \u{1f600}");

    let body = message(message_row().body(&body).record()).body.unwrap();

    assert_eq!(body.parts, [text_part(0, 0, 8)]);
}

#[test]
fn a_damaged_body_leaves_the_text_column() {
    let row = || {
        message_row()
            .text(M::Guid, GUID)
            .blob(M::AttributedBody, b"\x04\x0bstreamtyped")
    };

    let with_text = message(row().text(M::Text, "Hello").record());
    let without = message(row().record());

    assert_eq!(with_text.body, Some(Body::plain("Hello")));
    assert_eq!(without.body, None);
    assert_eq!(without.unreadable.len(), 1);
    assert!(without.unreadable[0].starts_with("attributedBody: expected "));
}

#[test]
fn a_truncated_body_without_text_column_gives_what_can_be_saved() {
    let mut bytes = encode(&attributed(&[("Hello", &[part(0)])]));
    bytes.truncate(bytes.len() - 4);

    let message = message(message_row().blob(M::AttributedBody, &bytes).record());

    assert_eq!(message.body, Some(Body::plain("Hello")));
    assert_eq!(message.unreadable.len(), 2);
}

#[test]
fn a_row_without_body_has_its_text_column() {
    let message = message(
        message_row()
            .text(M::Guid, GUID)
            .text(M::Text, "Hello")
            .record(),
    );

    assert_eq!(message.body, Some(Body::plain("Hello")));
    assert_eq!(message.unreadable, Vec::<String>::new());
}
