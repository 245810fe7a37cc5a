//! Files: every case of the vectors over HTTP, and what goes wrong with them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;

use bytes::Bytes;
use footbridge::apple::asset::AssetError;
use footbridge::apple::asset::AssetKeys;
use footbridge::base::secret::Secret;
use footbridge::codec::mmcs::AuthorizeGet;
use footbridge::model::record::CloudAsset;
use footbridge::net::client::ClientError;
use footbridge::source::cloudkit::Client;
use footbridge::source::cloudkit::Cloud;
use footbridge::source::cloudkit::Download;
use footbridge::source::cloudkit::DownloadError;
use footbridge::source::cloudkit::DownloadReaction;
use footbridge::source::cloudkit::FileRequest;
use footbridge::source::cloudkit::Instructions;
use prost::Message;
use serde_json::Value;

use crate::client;
use crate::hurried;
use crate::read;
use crate::read_json;
use crate::record;
use crate::server::Received;
use crate::server::Reply;
use crate::server::Server;
use crate::server::answer_to;
use crate::server::body;
use crate::unhex;
use crate::zone;

/// A case of the vectors.
fn case(name: &str) -> Value {
    let cases = read_json("assets/expected.json");
    let mut cases = cases.as_array().unwrap().iter();
    cases.find(|it| it["case"] == name).unwrap().clone()
}

/// The body of a container of a case: the request's path is `/<case>/<container>`.
fn container(request: &Received) -> Bytes {
    let mut parts = request.path.split(['/', '?']).skip(1);
    let (case, number) = (parts.next().unwrap(), parts.next().unwrap());
    read(&format!("assets/{case}.container-{number}.bin"))
}

/// The instructions of a case, with this server as the host of its containers.
fn pointed(answer: &[u8], name: &str, port: u16) -> Bytes {
    let mut answer = AuthorizeGet::decode(answer).unwrap();
    let containers = &mut answer.payload.as_mut().unwrap().containers;
    for (number, container) in containers.iter_mut().enumerate() {
        let request = container.request.as_mut().unwrap();
        "http".clone_into(&mut request.scheme);
        "127.0.0.1".clone_into(&mut request.domain);
        request.port = port.into();
        request.path = format!("/{name}/{number}?secret");
    }
    answer.encode_to_vec().into()
}

fn instructions(name: &str, port: u16) -> Instructions {
    let answer = read(&format!("assets/{name}.authorizeGet.bin"));
    Instructions::new(pointed(&answer, name, port))
}

/// Asks for one of the files of a case.
fn request(name: &str, number: usize, port: Option<u16>) -> FileRequest {
    let case = case(name);
    let file = &case["files"][number];
    let mut keys = AssetKeys::default();
    if file["keyThatOpensTheBlob"].is_string() {
        keys.insert(Secret::new(unhex(&file["keyThatOpensTheBlob"])));
    }
    let key = &file["key32"];
    let record_name = case["recordName"].as_str().unwrap_or("record");
    FileRequest {
        zone: zone("attachmentManateeZone"),
        record: record(record_name),
        field: "lqa".to_owned(),
        asset: CloudAsset {
            signature: unhex(&file["signature"]),
            size: file["size"].as_u64(),
            key: key.is_string().then(|| Secret::new(unhex(key))),
            ..CloudAsset::default()
        },
        instructions: port.map(|port| instructions(name, port)),
        keys: Arc::new(keys),
        held: Vec::new(),
    }
}

/// The chunks of a file until its end or an error.
async fn fetch(server: &Server, request: FileRequest) -> (Vec<Bytes>, Option<DownloadError>) {
    fetch_with(&client(server), request).await
}

async fn fetch_with(client: &Client, request: FileRequest) -> (Vec<Bytes>, Option<DownloadError>) {
    let first = request.held.len();
    let mut download = client.download(request);
    let mut chunks = Vec::new();
    loop {
        match download.next().await {
            Ok(Some(chunk)) => {
                assert_eq!(chunk.index, first + chunks.len());
                chunks.push(chunk.bytes);
            }
            Ok(None) => return (chunks, None),
            Err(error) => {
                assert!(download.next().await.unwrap().is_none());
                return (chunks, Some(error));
            }
        }
    }
}

#[tokio::test]
async fn every_file_comes_whole_and_in_order() {
    let server = Server::start(|request| Reply::new(200, container(request))).await;
    let mut count = 0;

    for case in read_json("assets/expected.json").as_array().unwrap() {
        let name = case["case"].as_str().unwrap();
        for (number, file) in case["files"].as_array().unwrap().iter().enumerate() {
            let request = request(name, number, Some(server.port));

            let (chunks, error) = fetch(&server, request).await;

            assert!(error.is_none(), "{name}: {error:?}");
            assert!(
                chunks.concat() == read(file["plain"].as_str().unwrap()),
                "{name}"
            );
            assert_eq!(chunks.len(), file["chunks"].as_array().unwrap().len());
            count += 1;
        }
    }

    assert!(count >= 10, "{count}");
    let received = server.received();
    assert_eq!(received[0].headers["user-agent"], "CloudKit/1970 (19H384)");
    let ids: BTreeSet<&String> = received
        .iter()
        .map(|request| &request.headers["x-apple-request-uuid"])
        .collect();
    assert_eq!(ids.len(), received.len());
    assert!(!received[0].headers.contains_key("x-cloudkit-authtoken"));
}

#[tokio::test]
async fn a_flipped_bit_lets_no_byte_of_its_chunk_out() {
    let server =
        Server::start(|_| Reply::new(200, read("assets/single.container-0.bitflip.bin"))).await;

    let (chunks, error) = fetch(&server, request("single", 0, Some(server.port))).await;

    let error = error.unwrap();
    assert!(
        matches!(error, DownloadError::Assemble(AssetError::Checksum)),
        "{error}"
    );
    assert_eq!(error.reaction(), DownloadReaction::Again(None));
    assert!(chunks.is_empty());
}

#[tokio::test]
async fn a_container_that_ends_early_is_tried_again() {
    let short =
        Server::start(|_| Reply::new(200, read("assets/single.container-0.short.bin"))).await;
    let cut = Server::start(|request| Reply::new(200, container(request)).cut(2_000)).await;
    let stalled = Server::start(|request| Reply::new(200, container(request)).stalled(2_000)).await;

    for (server, client, expected) in [
        (&short, client(&short), "short"),
        (&cut, client(&cut), "cut"),
        (&stalled, hurried(&stalled), "timed out"),
    ] {
        let request = request("single", 0, Some(server.port));
        let (chunks, error) = fetch_with(&client, request).await;

        let error = error.unwrap();
        let is_expected = match expected {
            "short" => matches!(
                error,
                DownloadError::Assemble(AssetError::Short { container: 0 })
            ),
            "cut" => matches!(error, DownloadError::Http(ClientError::Cut { .. })),
            _ => matches!(error, DownloadError::Http(ClientError::TimedOut { .. })),
        };
        assert!(is_expected, "{expected}: {error}");
        assert_eq!(error.reaction(), DownloadReaction::Again(None));
        assert!(chunks.is_empty());
    }
}

#[tokio::test]
async fn a_download_goes_on_behind_the_chunks_that_are_held() {
    let broken = Server::start(|request| {
        let bytes = container(request);
        let end = if request.path.starts_with("/multi/1") {
            bytes.len() / 2
        } else {
            bytes.len()
        };
        Reply::new(200, bytes).cut(end)
    })
    .await;
    let (before, error) = fetch(&broken, request("multi", 0, Some(broken.port))).await;
    assert!(matches!(
        error,
        Some(DownloadError::Http(ClientError::Cut { .. }))
    ));
    assert!(!before.is_empty() && before.len() < 5, "{}", before.len());

    let sound = Server::start(|request| Reply::new(200, container(request))).await;
    let mut rest = request("multi", 0, Some(sound.port));
    rest.held = before.iter().map(Bytes::len).collect();
    let (after, error) = fetch(&sound, rest).await;

    assert!(error.is_none(), "{error:?}");
    assert!([before, after].concat().concat() == read("assets/multi.plain-0.bin"));
}

/// A server whose containers answer 403 as often as this, and whose records come with instructions.
async fn refusing(times: usize) -> Server {
    let left = Mutex::new(times);
    let port = Arc::new(Mutex::new(0));
    let known = Arc::clone(&port);
    let server = Server::start(move |request| {
        if request.path.contains("/record/retrieve") {
            let recorded = read("assets/single.record-retrieve.bin");
            let mut answer = answer_to(&request.operations()[0], &recorded);
            let bundled = &mut answer.bundled.as_mut().unwrap().requests[0];
            let given = bundled.body.clone().unwrap();
            bundled.body = Some(pointed(&given, "single", *known.lock().unwrap()));
            return Reply::new(200, body(&[answer]));
        }
        let mut left = left.lock().unwrap();
        if *left > 0 {
            *left -= 1;
            return Reply::new(403, "expired");
        }
        Reply::new(200, container(request))
    })
    .await;
    *port.lock().unwrap() = server.port;
    server
}

#[tokio::test]
async fn an_address_that_expired_is_asked_for_again() {
    let server = refusing(1).await;

    let (chunks, error) = fetch(&server, request("single", 0, Some(server.port))).await;

    assert!(error.is_none(), "{error:?}");
    assert!(chunks.concat() == read("assets/single.plain-0.bin"));
    assert_eq!(server.paths().len(), 3);
}

#[tokio::test]
async fn without_instructions_they_are_asked_for() {
    let server = refusing(0).await;

    let (chunks, error) = fetch(&server, request("single", 0, None)).await;

    assert!(error.is_none(), "{error:?}");
    assert!(chunks.concat() == read("assets/single.plain-0.bin"));
    assert_eq!(server.paths().len(), 2);
}

#[tokio::test]
async fn a_file_that_stays_forbidden_is_given_up() {
    let server = refusing(usize::MAX).await;

    let (_, error) = fetch(&server, request("single", 0, Some(server.port))).await;

    let error = error.unwrap();
    assert!(
        matches!(error, DownloadError::Status { status: 403, .. }),
        "{error}"
    );
    assert_eq!(error.reaction(), DownloadReaction::Permanent);
    assert_eq!(server.paths().len(), 3);
}

#[tokio::test]
async fn another_file_in_the_record_is_not_fetched_in_its_place() {
    let server = refusing(0).await;
    let mut other = request("single", 0, None);
    other.asset.signature[5] ^= 1;

    let (_, error) = fetch(&server, other).await;

    let error = error.unwrap();
    assert!(matches!(error, DownloadError::Gone), "{error}");
    assert_eq!(error.reaction(), DownloadReaction::Permanent);
}

#[tokio::test]
async fn a_busy_host_is_tried_again_when_it_says() {
    let server = Server::start(|_| Reply::new(503, "").header("retry-after", "9")).await;

    let (_, error) = fetch(&server, request("single", 0, Some(server.port))).await;

    let after = std::time::Duration::from_secs(9);
    assert_eq!(
        error.unwrap().reaction(),
        DownloadReaction::Again(Some(after))
    );
}

#[tokio::test]
async fn a_file_whose_keys_are_not_held_waits_for_them() {
    let server = Server::start(|request| Reply::new(200, container(request))).await;
    let mut request = request("dedup-other-key", 0, Some(server.port));
    request.keys = Arc::default();

    let (_, error) = fetch(&server, request).await;

    assert_eq!(error.unwrap().reaction(), DownloadReaction::Keys);
}

#[tokio::test]
async fn a_file_of_another_size_is_not_shown() {
    let server = Server::start(|request| Reply::new(200, container(request))).await;
    let mut longer = request("single", 0, Some(server.port));
    longer.asset.size = Some(5_004);
    let mut unknown = request("single", 0, Some(server.port));
    unknown.asset.size = Some(0);

    let (_, error) = fetch(&server, longer).await;
    assert!(
        matches!(
            error,
            Some(DownloadError::Assemble(AssetError::Size { got: 5_003 }))
        ),
        "{error:?}"
    );
    let (_, error) = fetch(&server, unknown).await;
    assert!(error.is_none(), "{error:?}");
}

#[tokio::test]
async fn an_address_without_tls_elsewhere_is_not_asked() {
    let server = refusing(0).await;
    let answer = read("assets/single.authorizeGet.bin");
    for (scheme, domain, path) in [
        ("http", "example.org", "/x"),
        ("ftp", "127.0.0.1", "/x"),
        ("http", "127.0.0.1", "x"),
        ("http", "127.0.0.1@example.org", "/x"),
        ("", "", ""),
    ] {
        let mut answer = AuthorizeGet::decode(&answer[..]).unwrap();
        let containers = &mut answer.payload.as_mut().unwrap().containers;
        let container = containers[0].request.as_mut().unwrap();
        scheme.clone_into(&mut container.scheme);
        domain.clone_into(&mut container.domain);
        path.clone_into(&mut container.path);
        let mut request = request("single", 0, None);
        request.instructions = Some(Instructions::new(answer.encode_to_vec().into()));

        let (_, error) = fetch(&server, request).await;

        let error = error.unwrap();
        assert!(matches!(error, DownloadError::Address), "{error}");
        assert_eq!(error.reaction(), DownloadReaction::Permanent);
    }
    assert_eq!(server.paths(), [""; 0]);
}
