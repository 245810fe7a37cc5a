//! Edits and unsends.

use super::GUID;
use super::message;
use super::plist;
use crate::base::time::AppleTime;
use crate::codec::summary_info::tests::edited_and_unsent;
use crate::decode::chatdb::build::attributed;
use crate::decode::chatdb::build::message_row;
use crate::model::body::Body;
use crate::model::message::Edit;
use crate::model::message::Flag;
use crate::model::message::Version;
use crate::model::record::MessageColumn as M;

#[test]
fn edits_have_their_texts_and_times() {
    let record = message_row()
        .text(M::Guid, GUID)
        .blob(M::MessageSummaryInfo, &edited_and_unsent())
        .record();

    let message = message(record);

    let version = |text: Option<&str>, millis: i64| Version {
        text: text.map(str::to_owned),
        at: Some(AppleTime::from_nanos(millis * 1_000_000)),
        spans: Vec::new(),
    };
    let versions = vec![
        version(Some("first"), 700_250),
        version(None, 701_000),
        version(Some("last"), 702_000),
    ];
    assert_eq!(message.edits, [Edit { part: 1, versions }]);
    assert_eq!(message.unsent_parts, [2]);
    assert_eq!(
        message.times.edited,
        Some(AppleTime::from_nanos(702_000_000_000))
    );
    assert!(!message.flags.has(Flag::Unsent));
    assert_eq!(message.unreadable.len(), 1);
    assert!(message.unreadable[0].starts_with("message_summary_info: a text of part 1: "));
}

#[test]
fn the_summary_of_a_tapback_is_not_its_history() {
    let record = message_row()
        .integer(M::AssociatedMessageType, 2000)
        .text(M::AssociatedMessageGuid, GUID)
        .blob(M::MessageSummaryInfo, &edited_and_unsent())
        .record();

    assert_eq!(message(record).edits, []);
}

#[test]
fn a_damaged_summary_is_named() {
    let row = message_row().text(M::Guid, GUID).text(M::Text, "Hello");

    let message = message(row.blob(M::MessageSummaryInfo, b"bplist00\xd1").record());

    assert_eq!(message.body, Some(Body::plain("Hello")));
    assert!(message.unreadable[0].starts_with("message_summary_info: "));
}

#[test]
fn a_row_that_was_emptied_was_taken_back() {
    let emptied = || {
        message_row()
            .integer(M::IsEmpty, 1)
            .integer(M::DateRetracted, 700_000_000)
    };
    let is_unsent = |record| message(record).flags.has(Flag::Unsent);

    assert!(is_unsent(emptied().record()));
    assert!(!is_unsent(emptied().text(M::Text, "Hello").record()));
    assert!(!is_unsent(message_row().integer(M::IsEmpty, 1).record()));
}

#[test]
fn a_fully_unsent_message_has_no_body() {
    let info = plist(
        "<dict><key>otr</key><dict><key>0</key><dict/></dict>\
         <key>rp</key><array><integer>0</integer></array></dict>",
    );
    let row = message_row()
        .blob(M::MessageSummaryInfo, &info)
        .body(&attributed(&[]))
        .integer(M::DateEdited, 700_000_000_000_000_000);

    let message = message(row.text(M::Guid, GUID).record());

    assert_eq!(message.body, None);
    assert_eq!(message.unsent_parts, [0]);
    assert!(message.flags.has(Flag::Unsent));
    assert_eq!(
        message.times.edited,
        Some(AppleTime::from_nanos(700_000_000_000_000_000))
    );
    assert_eq!(message.unreadable, Vec::<String>::new());
}
