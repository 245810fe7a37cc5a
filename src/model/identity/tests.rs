use std::collections::BTreeSet;
use std::collections::HashMap;

use proptest::prelude::*;

use super::conversations;
use crate::base::ids::Handle;
use crate::model::conversation::Alias;
use crate::model::conversation::ConversationChange;
use crate::model::conversation::ConversationKind;
use crate::model::conversation::Filed;
use crate::model::handle::OwnHandles;
use crate::model::record::ChatColumn;
use crate::model::record::ChatRecord;
use crate::model::record::Column;
use crate::model::record::Row;
use crate::model::record::Value;
use crate::model::region::Region;

const ID: &str = "1A2B3C4D-0001-4002-8003-ABCDEF012345";
const OTHER_ID: &str = "1A2B3C4D-0001-4002-8003-ABCDEF099999";

fn chat(guid: &str, members: &[&str]) -> ChatRecord {
    let mut pieces = guid.split(';');
    let service = pieces.next().unwrap();
    let style = if pieces.next() == Some("+") { 43 } else { 45 };
    let record = ChatRecord {
        row: Row::default(),
        members: members.iter().map(|&member| member.to_owned()).collect(),
        lookups: Vec::new(),
    };
    let record = record
        .with(ChatColumn::Guid, Value::Text(guid.to_owned()))
        .with(ChatColumn::Style, Value::Integer(style))
        .text(ChatColumn::ServiceName, service);
    match pieces.next() {
        Some(identifier) => record.text(ChatColumn::ChatIdentifier, identifier),
        None => record,
    }
}

impl ChatRecord {
    fn with(mut self, column: ChatColumn, value: Value) -> Self {
        let at = column.index();
        if self.row.values.len() <= at {
            self.row.values.resize(at + 1, Value::Null);
        }
        self.row.values[at] = value;
        self
    }

    fn text(self, column: ChatColumn, text: &str) -> Self {
        self.with(column, Value::Text(text.to_owned()))
    }

    fn lookup(mut self, identifier: &str, domain: &str) -> Self {
        self.lookups
            .push((identifier.to_owned(), domain.to_owned()));
        self
    }
}

fn own() -> OwnHandles {
    OwnHandles::new(
        [("P:+15550100000", 5), ("E:owner@example.org", 9)],
        Region::default(),
    )
}

fn identify(chats: &[ChatRecord]) -> Vec<ConversationChange> {
    conversations(chats, &own(), Region::default())
}

fn keys(chats: &[ChatRecord]) -> Vec<String> {
    identify(chats)
        .iter()
        .map(|change| change.conversation.key.to_string())
        .collect()
}

fn addresses(change: &ConversationChange) -> Vec<&str> {
    change
        .conversation
        .participants
        .iter()
        .map(Handle::as_str)
        .collect()
}

#[test]
fn direct_chats_with_one_handle_are_one_whatever_their_service() {
    let chats = [
        chat("iMessage;-;+15550100001", &["+15550100001"]),
        chat("SMS;-;(555) 010-0001", &["5550100001"]),
        chat("any;-;+15550100001(smsft)", &["+15550100001(smsft)"]),
        chat("iMessage;-;ada@example.org", &["Ada@example.org"]),
    ];

    let found = identify(&chats);

    assert_eq!(
        keys(&chats),
        ["dm:tel:+15550100001", "dm:mailto:ada@example.org"]
    );
    assert_eq!(addresses(&found[0]), ["tel:+15550100001"]);
    assert_eq!(found[0].records, chats[..3]);
    assert_eq!(found[0].conversation.kind, ConversationKind::Direct);
    assert_eq!(found[0].conversation.service.as_deref(), Some("iMessage"));
}

#[test]
fn a_group_id_makes_no_group_of_direct_chats() {
    let chats = [
        chat("iMessage;-;+15550100001", &["+15550100001"]).text(ChatColumn::GroupId, ID),
        chat("iMessage;-;+15550100002", &["+15550100002"]).text(ChatColumn::GroupId, ID),
    ];

    let found = identify(&chats);

    assert_eq!(keys(&chats), ["dm:tel:+15550100001", "dm:tel:+15550100002"]);
    assert!(!found[0].aliases.contains(&Alias::group_id(ID)));
}

#[test]
fn a_direct_chat_without_members_is_with_whom_it_is_named_by() {
    let chats = [
        chat("any;-;+15550100001", &[]),
        chat("SMS;-;242733", &[]),
        chat("SMS;-;+15550100003", &[]).text(ChatColumn::ChatIdentifier, ""),
        chat("anonymous", &[]),
    ];

    assert_eq!(
        keys(&chats),
        ["dm:tel:+15550100001", "dm:242733", "dm:tel:+15550100003"]
    );
    assert_eq!(addresses(&identify(&chats)[1]), ["242733"]);
}

#[test]
fn chats_with_any_own_handle_are_the_one_self_chat() {
    let chats = [
        chat("iMessage;-;owner@example.org", &["owner@example.org"]),
        chat("iMessage;-;+15550100000", &["+15550100000"]),
        chat("iMessage;-;+15550100001", &["+15550100000", "+15550100001"]),
    ];

    let found = identify(&chats);

    assert_eq!(keys(&chats), ["dm:tel:+15550100000", "dm:tel:+15550100001"]);
    assert_eq!(addresses(&found[0]), [""; 0]);
    assert_eq!(addresses(&found[1]), ["tel:+15550100001"]);
}

#[test]
fn direct_chats_of_one_lookup_identifier_are_one() {
    let chats = [
        chat("any;-;ada@example.org", &["ada@example.org"]).lookup("+15550100001", "mail"),
        chat("any;-;+15550100001", &["+15550100001"]).lookup("+15550100001", "phone"),
    ];

    let found = identify(&chats);

    assert_eq!(keys(&chats), ["dm:tel:+15550100001"]);
    assert_eq!(
        addresses(&found[0]),
        ["mailto:ada@example.org", "tel:+15550100001"]
    );
}

#[test]
fn groups_share_a_lookup_only_in_one_domain() {
    let chats = [
        chat("iMessage;+;chat1", &["+15550100001"]).lookup("x", "a"),
        chat("iMessage;+;chat2", &["+15550100002"]).lookup("x", "b"),
        chat("iMessage;+;chat3", &["+15550100003"]).lookup("X", "a"),
    ];

    assert_eq!(keys(&chats), ["gid:chat1", "gid:chat2"]);
}

#[test]
fn one_imessage_row_makes_an_imessage_group() {
    let lower = ID.to_lowercase();
    let chats = [
        chat("SMS;+;chat1", &["+15550100001", "+15550100002"]).text(ChatColumn::GroupId, ID),
        chat("any;+;chat2", &["+15550100001"])
            .text(ChatColumn::ServiceName, "iMessage")
            .text(ChatColumn::GroupId, &lower),
    ];

    let found = identify(&chats);

    assert_eq!(keys(&chats), [format!("gid:{lower}")]);
    assert_eq!(
        addresses(&found[0]),
        ["tel:+15550100001", "tel:+15550100002"]
    );
    let aliases: BTreeSet<Alias> = found[0].aliases.iter().cloned().collect();
    let expected = [
        Alias::key(&found[0].conversation.key),
        Alias::chat("SMS;+;chat1"),
        Alias::chat("any;+;chat2"),
        Alias::room("chat1"),
        Alias::room("chat2"),
    ];
    assert_eq!(aliases, BTreeSet::from(expected));
}

#[test]
fn carrier_groups_are_their_members() {
    let members = ["+15550100002", "+15550100000", "+15550100001"];
    let chats = [
        chat("SMS;+;chat1", &members[..]).text(ChatColumn::GroupId, ID),
        chat("RCS;+;chat2", &["+15550100001", "+15550100002"]).text(ChatColumn::GroupId, OTHER_ID),
    ];

    let found = identify(&chats);

    assert_eq!(keys(&chats), ["mms:tel:+15550100001,tel:+15550100002"]);
    assert_eq!(
        addresses(&found[0]),
        ["tel:+15550100002", "tel:+15550100001"]
    );
    assert_eq!(found[0].conversation.service.as_deref(), Some("SMS"));
    assert!(found[0].aliases.contains(&Alias::group_id(OTHER_ID)));
}

#[test]
fn an_imessage_group_does_not_join_a_carrier_group_of_the_same_members() {
    let members = ["+15550100001", "+15550100002"];
    let chats = [
        chat("SMS;+;chat1", &members).text(ChatColumn::GroupId, ID),
        chat("iMessage;+;chat2", &members).text(ChatColumn::GroupId, OTHER_ID),
        chat("iMessage;+;chat3", &members),
    ];

    assert_eq!(
        keys(&chats),
        [
            "mms:tel:+15550100001,tel:+15550100002".to_owned(),
            format!("gid:{}", OTHER_ID.to_lowercase()),
            "gid:chat3".to_owned(),
        ]
    );
}

#[test]
fn differently_named_carrier_groups_stay_apart_and_unnamed_ones_join_the_first() {
    let members = ["+15550100001", "+15550100002"];
    let group = |guid: &str, name: &str| chat(guid, &members).text(ChatColumn::DisplayName, name);
    let chats = [
        group("SMS;+;chat1", "Family"),
        group("SMS;+;chat2", "Work").text(ChatColumn::GroupId, ID),
        chat("SMS;+;chat3", &members),
        group("RCS;+;chat4", "Work"),
        group("RCS;+;chat5", "Club"),
    ];

    let found = identify(&chats);

    let key = "mms:tel:+15550100001,tel:+15550100002";
    assert_eq!(
        keys(&chats),
        [
            key.to_owned(),
            format!("{key}~{}", ID.to_lowercase()),
            format!("{key}~chat5"),
        ]
    );
    let names: Vec<_> = found
        .iter()
        .map(|change| change.conversation.name.as_ref().unwrap().text.as_str())
        .collect();
    assert_eq!(names, ["Family", "Work", "Club"]);
    assert_eq!(found[0].records.len(), 2);
    assert_eq!(found[1].records.len(), 2);
}

#[test]
fn a_group_with_one_or_no_member_left_stays_a_group() {
    let chats = [
        chat("SMS;+;chat1", &["+15550100001"]),
        chat("SMS;-;+15550100001", &["+15550100001"]),
        chat("SMS;+;chat2", &["+15550100000"]),
        chat("SMS;+;chat3", &[]),
    ];

    let found = identify(&chats);

    assert_eq!(
        keys(&chats),
        [
            "mms:tel:+15550100001",
            "dm:tel:+15550100001",
            "mms:~chat2",
            "mms:~chat3"
        ]
    );
    assert_eq!(found[0].conversation.kind, ConversationKind::Group);
}

#[test]
fn the_id_before_a_fork_leads_to_the_group_that_still_has_it() {
    let chats = [
        chat("iMessage;+;chat2", &["+15550100001"])
            .text(ChatColumn::GroupId, OTHER_ID)
            .text(ChatColumn::OriginalGroupId, ID),
        chat("iMessage;+;chat1", &["+15550100001"])
            .text(ChatColumn::GroupId, ID)
            .text(ChatColumn::OriginalGroupId, ID),
    ];

    let found = identify(&chats);

    assert!(!found[0].aliases.contains(&Alias::group_id(ID)));
    assert!(found[1].aliases.contains(&Alias::group_id(ID)));
}

#[test]
fn a_conversation_is_filed_by_its_best_row() {
    let rows = |filtered: [i64; 2], archived: [i64; 2]| {
        let row = |n: usize, guid: &str| {
            chat(guid, &["+15550100001"])
                .with(ChatColumn::IsFiltered, Value::Integer(filtered[n]))
                .with(ChatColumn::IsArchived, Value::Integer(archived[n]))
        };
        let chats = [
            row(0, "iMessage;-;+15550100001"),
            row(1, "SMS;-;+15550100001"),
        ];
        identify(&chats)[0].conversation.filed
    };

    assert_eq!(rows([2, 0], [0, 0]), Filed::Inbox);
    assert_eq!(rows([2, 0], [0, 1]), Filed::Archived);
    assert_eq!(rows([2, 1], [0, 0]), Filed::Junk);
}

/// Chats over few handles, ids and names, so that many of them meet.
fn chats() -> impl Strategy<Value = Vec<ChatRecord>> {
    let handle = prop::sample::select(vec![
        "+15550100000",
        "owner@example.org",
        "+15550100001",
        "5550100001",
        "ada@example.org",
        "242733",
        "",
    ]);
    let members = prop::collection::vec(handle.clone(), 0..4);
    let guid = prop::sample::select(vec!["iMessage;", "SMS;", "any;", ""]);
    let id = prop::sample::select(vec![ID, OTHER_ID, "chat1", ""]);
    let separator = prop::sample::select(vec!["+", "-"]);
    let room = prop::sample::select(vec!["chat1", "chat2", "chat3", "chat4"]);
    let row = (members, guid, separator, handle, room, id.clone(), id);
    let row = row.prop_map(
        |(members, service, separator, handle, room, id, original)| {
            let identifier = if separator == "+" { room } else { handle };
            chat(&format!("{service}{separator};{identifier}"), &members)
                .text(ChatColumn::GroupId, id)
                .text(ChatColumn::OriginalGroupId, original)
        },
    );
    prop::collection::vec(row, 0..12).prop_map(|rows| {
        let mut seen = BTreeSet::new();
        rows.into_iter()
            .filter(|row| seen.insert(row.row.text(ChatColumn::Guid).map(str::to_owned)))
            .collect()
    })
}

fn guids(change: &ConversationChange) -> BTreeSet<String> {
    change
        .records
        .iter()
        .map(|record| record.row.text(ChatColumn::Guid).unwrap().to_owned())
        .collect()
}

proptest! {
    #[test]
    fn no_two_conversations_share_a_name(rows in chats()) {
        let mut owner: HashMap<Alias, usize> = HashMap::new();
        for (at, change) in identify(&rows).iter().enumerate() {
            prop_assert!(change.aliases.contains(&Alias::key(&change.conversation.key)));
            for record in &change.records {
                let guid = record.row.text(ChatColumn::Guid).unwrap();
                prop_assert!(change.aliases.contains(&Alias::chat(guid)));
            }
            for alias in &change.aliases {
                prop_assert_eq!(owner.insert(alias.clone(), at), None);
            }
        }
    }

    #[test]
    fn the_order_of_rows_does_not_decide_who_belongs_together(
        (rows, shuffled) in chats().prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
    ) {
        let parts = |rows: &[ChatRecord]| -> BTreeSet<BTreeSet<String>> {
            identify(rows).iter().map(guids).collect()
        };
        let direct = |rows: &[ChatRecord]| -> BTreeSet<(String, BTreeSet<Handle>)> {
            identify(rows)
                .into_iter()
                .map(|change| change.conversation)
                .filter(|conversation| conversation.key.is_direct())
                .map(|conversation| {
                    let participants = conversation.participants.into_iter().collect();
                    (conversation.key.to_string(), participants)
                })
                .collect()
        };

        prop_assert_eq!(parts(&rows), parts(&shuffled));
        prop_assert_eq!(direct(&rows), direct(&shuffled));
    }
}
