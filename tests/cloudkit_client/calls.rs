//! What is sent, and what becomes of good answers.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use footbridge::base::ids::ChangeToken;
use footbridge::codec::cloudkit::RequestOperation;
use footbridge::codec::cloudkit::ResponseOperation;
use footbridge::codec::cloudkit::decode_responses;
use footbridge::codec::cloudkit::deflate;
use footbridge::source::cloudkit::Assets;
use footbridge::source::cloudkit::ChangesRequest;
use footbridge::source::cloudkit::Cloud;
use footbridge::source::cloudkit::CloudError;
use footbridge::source::cloudkit::Reaction;
use serde_json::json;

use crate::client;
use crate::client_with;
use crate::first;
use crate::read;
use crate::read_json;
use crate::record;
use crate::server::Received;
use crate::server::Reply;
use crate::server::Server;
use crate::server::answer_to;
use crate::server::body;
use crate::server::init;
use crate::session;
use crate::unhex;
use crate::zone;

fn id(operation: &RequestOperation) -> String {
    operation.operation.as_ref().unwrap().id.clone().unwrap()
}

/// The zones of the vectors, by name; that of the last answer does not exist.
fn zone_answers(request: &Received) -> Vec<ResponseOperation> {
    let recorded = decode_responses(&read("zones/zone-retrieve.response.bin")).unwrap();
    let by_name: BTreeMap<String, ResponseOperation> = recorded
        .iter()
        .filter_map(|answer| {
            let zone = answer.zone_retrieve.as_ref()?.zones[0].zone.as_ref()?;
            let name = zone.identifier.as_ref()?.name()?.to_owned();
            Some((name, answer.clone()))
        })
        .collect();
    let operations = request.operations();
    let answers = operations.iter().map(|operation| {
        let asked = operation.zone_retrieve.as_ref().unwrap();
        let name = asked.zone.as_ref().unwrap().name().unwrap();
        let answer = by_name.get(name).or(recorded.last());
        let mut answer = answer.unwrap().clone();
        answer.operation.as_mut().unwrap().id = Some(id(operation));
        answer
    });
    answers.collect()
}

#[tokio::test]
async fn the_user_id_is_asked_once_and_with_other_credentials() {
    let server =
        Server::start(|request| init(request).unwrap_or_else(|| Reply::new(200, body(&[])))).await;
    let client = client_with(&server, &session(&json!({})));

    assert_eq!(client.user_id().await.unwrap(), "_user");
    assert_eq!(client.user_id().await.unwrap(), "_user");
    client.changes(&[first("chatManateeZone")]).await.unwrap();

    let [init, sync] = &server.received()[..] else {
        panic!("{:?}", server.paths());
    };
    assert_eq!(
        init.path,
        "/setup/setup/ck/v1/ckAppInit?container=com.apple.messages.cloud"
    );
    let basic = BASE64_STANDARD.encode("1234567:mme-token");
    assert_eq!(init.headers["authorization"], format!("Basic {basic}"));
    assert!(!init.headers.contains_key("x-cloudkit-authtoken"));
    assert_eq!(sync.headers["x-cloudkit-authtoken"], "ck-token");
    assert_eq!(sync.headers["x-cloudkit-userid"], "_user");
    assert!(!sync.headers.contains_key("authorization"));
}

#[tokio::test]
async fn every_header_of_a_request_is_there() {
    let server = Server::start(|_| Reply::new(200, body(&[]))).await;
    let client = client(&server);

    client.zones(&[zone("a"), zone("b")]).await.unwrap();
    client.changes(&[first("a")]).await.unwrap();

    let received = server.received();
    let expected = [
        ("accept", "application/x-protobuf"),
        ("accept-encoding", "gzip"),
        ("accept-language", "en-US,en;q=0.9"),
        ("cache-control", "no-transform"),
        ("content-encoding", "gzip"),
        (
            "content-type",
            "application/x-protobuf; desc=\"https://gateway.icloud.com:443/static/protobuf/CloudDB/CloudDBClient.desc\"; \
             messageType=RequestOperation; delimited=true",
        ),
        ("user-agent", "CloudKit/1970 (19H384)"),
        ("x-apple-c2-metric-triggers", "0"),
        ("x-cloudkit-bundleid", "com.apple.imagent"),
        ("x-cloudkit-containerid", "com.apple.messages.cloud"),
        ("x-cloudkit-databasescope", "Private"),
        ("x-cloudkit-duetpreclearedmode", "None"),
        ("x-cloudkit-environment", "Production"),
        (
            "x-mme-client-info",
            "<Mac14,3> <macOS;14.5;23F79> <com.apple.cloudkit.CloudKitDaemon/1970 (com.apple.cloudd/1970)>",
        ),
        ("x-cloudkit-userid", "_user"),
        ("x-cloudkit-authtoken", "ck-token"),
    ];
    for (name, value) in expected {
        assert_eq!(received[0].headers[name], value);
    }
    let digits = |name: &str| {
        let ids: Vec<&String> = received.iter().map(|it| &it.headers[name]).collect();
        assert_ne!(ids[0], ids[1]);
        assert_eq!(ids[0].to_uppercase(), *ids[0]);
        ids[0].len()
    };
    assert_eq!(digits("x-apple-operation-group-id"), 16);
    assert_eq!(digits("x-apple-operation-id"), 16);
    assert_eq!(digits("x-apple-request-uuid"), 36);
    let paths = ["zone/retrieve", "record/sync"];
    assert_eq!(
        server.paths(),
        paths.map(|path| format!("/ckdatabase/api/client/{path}"))
    );
}

#[tokio::test]
async fn the_first_operation_says_who_asks_and_the_last_that_it_is_the_last() {
    let server = Server::start(|_| Reply::new(200, body(&[]))).await;
    let client = client(&server);

    client.zones(&[zone("a"), zone("b")]).await.unwrap();
    client.changes(&[first("a")]).await.unwrap();

    let received = server.received();
    let zones = received[0].operations();
    let last = |operation: &RequestOperation| operation.operation.as_ref().unwrap().last;
    assert_eq!(
        zones.iter().map(last).collect::<Vec<_>>(),
        [Some(false), Some(true)]
    );
    assert!(zones[0].header.is_some() && zones[1].header.is_none());
    // What another client sends differs in its ids, and in how many of the names nobody knows it sends.
    let recorded = read("requests/record-sync.first.bin");
    let recorded = footbridge::codec::cloudkit::decode_requests(&recorded).unwrap();
    let mut ours = received[1].operations().remove(0);
    let mut theirs = recorded.into_iter().next().unwrap();
    let header = ours.header.as_mut().unwrap();
    assert_eq!(header.tags.len(), 14);
    assert_eq!(header.tags[13], "MisDenyListSyncBlockTest2");
    let other = theirs.header.as_mut().unwrap();
    header.tags.clone_from(&other.tags);
    other.hardware_id = Some("0123456789abcdef".to_owned());
    other.device_digest.clone_from(&header.device_digest);
    assert!(ours.header == theirs.header);
    let changes = theirs.retrieve_changes.as_mut().unwrap();
    changes.zone = ours.retrieve_changes.as_ref().unwrap().zone.clone();
    assert!(ours.retrieve_changes == theirs.retrieve_changes);
}

#[tokio::test]
async fn zones_come_with_their_keys_and_one_that_does_not_exist_spoils_none() {
    let server = Server::start(|request| {
        let mut answers = zone_answers(request);
        answers.reverse();
        Reply::new(200, deflate(&body(&answers))).header("content-encoding", "gzip")
    })
    .await;
    let names = [
        "messageManateeZone",
        "chat1ManateeZone",
        "attachmentManateeZone",
    ];

    let answers = client(&server).zones(&names.map(zone)).await.unwrap();

    let found: Vec<Result<String, Reaction>> = answers
        .into_iter()
        .map(|answer| match answer {
            Ok(answer) => Ok(answer.zone.identifier.unwrap().name().unwrap().to_owned()),
            Err(error) => Err(error.reaction()),
        })
        .collect();
    assert_eq!(
        found,
        [
            Ok(names[0].to_owned()),
            Err(Reaction::ZoneGone),
            Ok(names[2].to_owned())
        ]
    );
    assert_eq!(server.received().len(), 1);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        write!(digits, "{byte:02x}").unwrap();
        digits
    })
}

/// The pages of the vectors by zone and token.
fn pages() -> BTreeMap<(String, String), (String, usize, String, bool)> {
    let manifest = read_json("manifest.json");
    let files = manifest["files"].as_array().unwrap().iter();
    files
        .filter(|entry| entry["changes"].is_number())
        .map(|entry| {
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let zone = text(&entry["file"]).split('/').next().unwrap().to_owned();
            let changes = entry["changes"].as_u64().unwrap();
            let page = (
                text(&entry["file"]),
                changes.try_into().unwrap(),
                text(&entry["responseToken"]),
                entry["status"] == 3,
            );
            ((zone, text(&entry["requestToken"])), page)
        })
        .collect()
}

#[tokio::test]
async fn pages_follow_one_another_by_their_tokens_for_two_zones_at_once() {
    let recorded = pages();
    let server = Server::start(move |request| {
        let recorded = pages();
        let operations = request.operations();
        let mut answers: Vec<ResponseOperation> = operations
            .iter()
            .map(|operation| {
                let asked = operation.retrieve_changes.as_ref().unwrap();
                let token = asked.token.clone().unwrap_or_default();
                let token = hex(&token);
                let zone = asked.zone.as_ref().unwrap().name().unwrap().to_owned();
                answer_to(operation, &read(&recorded[&(zone, token)].0))
            })
            .collect();
        answers.reverse();
        Reply::new(200, body(&answers))
    })
    .await;
    let client = client(&server);
    let mut requests = vec![first("messages"), first("chats")];
    let mut expected: Vec<(String, String)> = requests
        .iter()
        .map(|request| (request.zone.to_string(), String::new()))
        .collect();
    let mut count = 0;

    while !requests.is_empty() {
        let answers = client.changes(&requests).await.unwrap();
        let mut next = Vec::new();
        for (request, answer) in requests.iter().zip(answers) {
            let page = answer.unwrap();
            let key = expected.remove(0);
            let (_, changes, token, is_last) = &recorded[&key];
            assert_eq!(page.changes.len(), *changes);
            let wanted = unhex(&json!(token));
            assert_eq!(page.token.as_ref().unwrap().as_bytes(), wanted);
            assert_eq!(page.is_last, *is_last);
            count += 1;
            if !is_last {
                expected.push((key.0, token.clone()));
                next.push(ChangesRequest {
                    token: page.token,
                    ..request.clone()
                });
            }
        }
        requests = next;
    }

    assert!(count >= 6, "{count}");
    assert!(server.received().len() < count);
}

#[tokio::test]
async fn records_come_with_instructions_for_their_files() {
    let server = Server::start(|request| {
        let operations = request.operations();
        let file = read("assets/single.record-retrieve.bin");
        let answers: Vec<_> = operations.iter().map(|it| answer_to(it, &file)).collect();
        Reply::new(200, body(&answers))
    })
    .await;
    let name = record("4a44f587193c856889b98707ac0ea05a");

    let client = client(&server);
    let answers = client
        .records(&zone("attachmentManateeZone"), &[name], Assets::Prepare)
        .await
        .unwrap();

    let fetched = answers.into_iter().next().unwrap().unwrap();
    assert_eq!(
        fetched.record.as_ref().unwrap().name(),
        Some("4a44f587193c856889b98707ac0ea05a")
    );
    assert!(fetched.instructions("lqa").is_some() && fetched.instructions("avid").is_none());
    let asked = &server.received()[0].operations()[0];
    let asked = asked.record_retrieve.as_ref().unwrap();
    assert_eq!(asked.assets.as_ref().unwrap().all, Some(true));
}

#[tokio::test]
async fn many_records_are_asked_in_several_requests() {
    let server = Server::start(|request| {
        let file = read("assets/single.record-retrieve.bin");
        let operations = request.operations();
        let answers: Vec<_> = operations
            .iter()
            .map(|operation| {
                let mut answer = answer_to(operation, &file);
                let asked = operation.record_retrieve.as_ref().unwrap();
                let found = answer.record_retrieve.as_mut().unwrap();
                found.record.as_mut().unwrap().identifier = asked.record.clone();
                answer
            })
            .collect();
        Reply::new(200, body(&answers))
    })
    .await;
    let names: Vec<_> = (0..300).map(|n| record(&format!("record-{n}"))).collect();

    let answers = client(&server)
        .records(&zone("attachmentManateeZone"), &names, Assets::Leave)
        .await
        .unwrap();

    let found: Vec<String> = answers
        .into_iter()
        .map(|answer| answer.unwrap().record.unwrap().name().unwrap().to_owned())
        .collect();
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    assert_eq!(found, names);
    let sizes: Vec<usize> = server
        .received()
        .iter()
        .map(|it| it.operations().len())
        .collect();
    assert_eq!(sizes, [256, 44]);
}

#[tokio::test]
async fn the_summary_is_shown_as_it_is() {
    let server = Server::start(|request| {
        let file = read("messages/summary-query.bin");
        Reply::new(200, body(&[answer_to(&request.operations()[0], &file)]))
    })
    .await;

    let summary = client(&server).summary().await.unwrap();

    let expected: [(&str, &[i64]); 3] = [
        ("MessageEncryptedV3", &[1_234, 5]),
        ("attachment", &[345]),
        ("chatEncryptedv2", &[12]),
    ];
    let expected = expected.map(|(name, numbers)| (name.to_owned(), numbers.to_vec()));
    assert_eq!(summary.counts, BTreeMap::from(expected));
}

#[tokio::test]
async fn nothing_is_sent_for_nothing() {
    let server = Server::start(|_| Reply::new(500, "")).await;
    let client = client(&server);

    assert!(client.changes(&[]).await.unwrap().is_empty());
    assert!(client.zones(&[]).await.unwrap().is_empty());

    assert_eq!(server.paths(), [""; 0]);
}

#[tokio::test]
async fn machine_headers_are_the_sessions_or_fresh_for_every_request() {
    let made = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&made);
    let server = Server::start(move |request| {
        if request.path == "/anisette" {
            let number = counter.fetch_add(1, Ordering::Relaxed);
            let headers = json!({
                "X-Apple-I-MD": format!("password-{number}"), "X-Mme-Client-Info": "<theirs>", "Host": "no", "n": 1,
            });
            return Reply::new(200, headers.to_string());
        }
        Reply::new(200, body(&[]))
    })
    .await;
    let url = format!("{}/anisette", server.origin);
    let fixed = json!({"X-Apple-I-MD": "password", "X-Mme-Device-Id": "device"});
    for anisette in [json!({"url": url}), json!({"headers": fixed})] {
        let session = session(&json!({"cloudkit_user_id": "_user", "anisette": anisette}));
        let client = client_with(&server, &session);
        for _ in 0..2 {
            client.changes(&[first("a")]).await.unwrap();
        }
    }

    let received = server.received();
    let syncs = received.iter().filter(|it| it.path.ends_with("sync"));
    let headers: Vec<(&str, &str)> = syncs
        .map(|it| {
            assert!(it.headers["host"].starts_with("127.0.0.1"));
            let info = it.headers["x-mme-client-info"].split(' ').next().unwrap();
            (it.headers["x-apple-i-md"].as_str(), info)
        })
        .collect();
    assert_eq!(
        headers,
        [
            ("password-0", "<theirs>"),
            ("password-1", "<theirs>"),
            ("password", "<Mac14,3>"),
            ("password", "<Mac14,3>")
        ]
    );
    assert_eq!(made.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_device_is_invented_once_and_spoken_as() {
    let server = Server::start(|_| Reply::new(200, body(&[]))).await;
    let without = session(&json!({"cloudkit_user_id": "_user", "device": null}));

    let client = client_with(&server, &without);
    client.changes(&[first("a")]).await.unwrap();

    let header = server.received()[0].operations()[0].header.clone().unwrap();
    let name = header.device.unwrap().name.unwrap();
    assert_eq!(name, client.device().uuid);
    assert_eq!(header.serial.as_ref(), Some(&client.device().serial));
    assert_ne!(client_with(&server, &without).device().uuid, name);
}

#[tokio::test]
async fn a_page_without_a_token_has_none_and_any_status_but_three_means_more() {
    let server = Server::start(|request| {
        let file = read("messages/page-empty.bin");
        let mut answer = answer_to(&request.operations()[0], &file);
        let page = answer.retrieve_changes.as_mut().unwrap();
        page.token = Some(Bytes::new());
        page.status = None;
        Reply::new(200, body(&[answer]))
    })
    .await;

    let mut answers = client(&server).changes(&[first("a")]).await.unwrap();

    let page = answers.remove(0).unwrap();
    assert_eq!(
        (page.token, page.is_last, page.changes.len()),
        (None::<ChangeToken>, false, 0)
    );
}

#[tokio::test]
async fn an_unanswered_operation_is_asked_again_and_the_others_are_not_lost() {
    let server = Server::start(|request| {
        let mut answers = zone_answers(request);
        answers.remove(0);
        Reply::new(200, body(&answers))
    })
    .await;
    let names = ["messageManateeZone", "chatManateeZone"];

    let answers = client(&server).zones(&names.map(zone)).await.unwrap();

    assert!(matches!(answers[0], Err(CloudError::Unanswered)));
    assert_eq!(
        answers[0].as_ref().unwrap_err().reaction(),
        Reaction::Wait(None)
    );
    assert!(answers[1].is_ok());
}
