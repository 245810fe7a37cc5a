//! The loopback iCloud over HTTP: what it insists on, what it answers, and the faults that it makes.
//!
//! Guards against a client that passes here and fails at Apple's, and against faults that are not what they are called.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::collections::BTreeSet;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use footbridge::codec::cloudkit::AssetsToDownload;
use footbridge::codec::cloudkit::Failure;
use footbridge::codec::cloudkit::Header;
use footbridge::codec::cloudkit::Identifier;
use footbridge::codec::cloudkit::Inflater;
use footbridge::codec::cloudkit::Locale;
use footbridge::codec::cloudkit::MmcsHeaders;
use footbridge::codec::cloudkit::Named;
use footbridge::codec::cloudkit::NamedHeader;
use footbridge::codec::cloudkit::Operation;
use footbridge::codec::cloudkit::Query;
use footbridge::codec::cloudkit::QueryRetrieveRequest;
use footbridge::codec::cloudkit::RecordChange;
use footbridge::codec::cloudkit::RecordIdentifier;
use footbridge::codec::cloudkit::RecordRetrieveRequest;
use footbridge::codec::cloudkit::RequestOperation;
use footbridge::codec::cloudkit::ResponseOperation;
use footbridge::codec::cloudkit::RetrieveChangesRequest;
use footbridge::codec::cloudkit::RetrieveZoneChangesRequest;
use footbridge::codec::cloudkit::ZoneIdentifier;
use footbridge::codec::cloudkit::ZoneRetrieveRequest;
use footbridge::codec::cloudkit::decode_responses;
use footbridge::codec::cloudkit::deflate;
use footbridge::codec::cloudkit::encode_requests;
use footbridge::codec::cloudkit::reaction;
use footbridge::codec::mmcs::AuthorizeGet;
use footbridge::demo::Account;
use footbridge::demo::Call;
use footbridge::demo::Cloud;
use footbridge::demo::Credentials;
use footbridge::demo::Dirtiness;
use footbridge::demo::Fault;
use footbridge::demo::Faults;
use footbridge::demo::Loopback;
use footbridge::demo::Refusal;
use footbridge::demo::Trouble;
use footbridge::demo::ZoneKind;

use crate::support::replay::Replay;

const MESSAGES: &str = "messageManateeZone";
const CHATS: &str = "chatManateeZone";

/// A number that no other request has.
fn unique() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn uuid() -> String {
    format!("00000000-0000-4000-8000-{:012X}", unique())
}

type Headers = Vec<(String, String)>;

fn headers(credentials: &Credentials) -> Headers {
    let pairs = [
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
        ("x-apple-operation-group-id", "0123456789ABCDEF"),
        ("x-apple-operation-id", "FEDCBA9876543210"),
        ("x-apple-request-uuid", &uuid()),
        ("x-cloudkit-bundleid", "com.apple.imagent"),
        ("x-cloudkit-containerid", "com.apple.messages.cloud"),
        ("x-cloudkit-databasescope", "Private"),
        ("x-cloudkit-duetpreclearedmode", "None"),
        ("x-cloudkit-environment", "Production"),
        ("x-mme-client-info", "<Mac14,3> <macOS;14.5;23F79> <c>"),
        ("x-apple-i-md", "AAAA"),
        ("x-apple-i-md-m", "BBBB"),
        ("x-cloudkit-userid", &credentials.user),
        ("x-cloudkit-authtoken", &credentials.cloudkit_token),
    ];
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    pairs.map(owned).into()
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
    /// As the head says.
    length: usize,
}

fn send(address: SocketAddr, line: &str, headers: &Headers, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    let pairs = headers.iter();
    let lines: Vec<String> = pairs
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let head = format!(
        "{line} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{}content-length: {}\r\n\r\n",
        lines.concat(),
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut bytes = Vec::new();
    // A body that stalls ends with the time-out.
    drop(stream.read_to_end(&mut bytes));
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let head = String::from_utf8(bytes[..end].to_vec())
        .unwrap()
        .to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    Answer {
        status: head[9..12].parse().unwrap(),
        length: length.map_or(0, |length| length.parse().unwrap()),
        head,
        body: bytes[end + 4..].to_vec(),
    }
}

/// The type of the operations of a call.
fn number(kind: Call) -> i32 {
    match kind {
        Call::Zone => 201,
        Call::Zones => 203,
        Call::Record => 211,
        Call::Changes => 213,
        Call::Query => 220,
        Call::Init | Call::Container => panic!("{kind:?} has no operations"),
    }
}

fn header(kind: Call) -> Header {
    let text = |text: &str| Some(text.to_owned());
    let is_zones = kind == Call::Zones;
    let flow = match kind {
        Call::Zone => "CKDFetchRecordZonesOperation-Private",
        Call::Zones | Call::Init | Call::Container => "",
        Call::Record => "CKDFetchRecordsOperation-Private",
        Call::Changes => "CKDFetchRecordZoneChangesOperation-Private",
        Call::Query => "CKDQueryOperation-Private",
    };
    let is_query = kind == Call::Query;
    let has_assets = !matches!(kind, Call::Zone | Call::Zones);
    let is_grouped = matches!(kind, Call::Changes | Call::Query | Call::Zones);
    let mmcs = NamedHeader {
        name: text("x-apple-mmcs-proto-version"),
        value: text("5.0"),
    };
    Header {
        container: text("com.apple.messages.cloud"),
        bundle: text("com.apple.imagent"),
        device: Some(Identifier::new("DEVICE", Identifier::DEVICE)),
        software_version: text("14.5"),
        hardware_version: text("Mac14,3"),
        library: text("com.apple.cloudkit.CloudKitDaemon"),
        library_version: text("1970"),
        flow_key: (!is_zones).then(|| flow.to_owned()),
        flow_budget: (!is_zones).then_some(0),
        flow_cap: (!is_zones).then_some(0),
        flow_regeneration: (!is_zones).then_some(0.0),
        locale: is_query.then(|| Locale {
            language: text("en"),
            region: text("US"),
        }),
        mmcs_version: text("5.0"),
        environment: Some(1),
        device_name: text("Mac"),
        hardware_id: text("UDID"),
        database: Some(1),
        isolation: Some(1),
        group: is_grouped.then(|| "EphemeralGroup".to_owned()),
        unknown_29: Some(0),
        mmcs_headers: has_assets.then(|| MmcsHeaders {
            headers: vec![mmcs; 4],
            unknown_2: Some(0),
        }),
        tags: if is_query || is_zones {
            Vec::new()
        } else {
            vec!["tag".to_owned(); 14]
        },
        device_digest: Some("0".repeat(40)),
        serial: text("SERIAL"),
        unknown_34: Some(0),
        unknown_35: Some(1),
    }
}

/// A client of a running loopback.
struct Client<'a> {
    loopback: &'a Loopback,
    credentials: Credentials,
}

impl Client<'_> {
    fn zone(&self, zone: &str) -> ZoneIdentifier {
        ZoneIdentifier::new(zone, &self.credentials.user)
    }

    fn changes(&self, zone: &str, token: Option<Bytes>) -> RequestOperation {
        RequestOperation {
            retrieve_changes: Some(RetrieveChangesRequest {
                token,
                zone: Some(self.zone(zone)),
                change_types: Some(3),
                assets: Some(AssetsToDownload {
                    all: Some(zone == "attachmentManateeZone"),
                    fields: None,
                }),
                newest_first: Some(false),
                ..RetrieveChangesRequest::default()
            }),
            ..RequestOperation::default()
        }
    }

    /// Completes operations and packs them.
    fn pack(kind: Call, operations: Vec<RequestOperation>) -> (Vec<String>, Vec<u8>) {
        let count = operations.len();
        let mut ids = Vec::new();
        let complete = |(at, operation): (usize, RequestOperation)| {
            let id = uuid();
            ids.push(id.clone());
            RequestOperation {
                header: (at == 0).then(|| header(kind)),
                operation: Some(Operation {
                    id: Some(id),
                    kind: Some(number(kind)),
                    synchronous: None,
                    last: Some(at + 1 == count),
                }),
                ..operation
            }
        };
        let operations: Vec<_> = operations.into_iter().enumerate().map(complete).collect();
        (ids, deflate(&encode_requests(&operations)))
    }

    fn post(&self, path: &str, kind: Call, operations: Vec<RequestOperation>) -> Answer {
        let (_, body) = Self::pack(kind, operations);
        let line = format!("POST /ckdatabase/api/client/{path}");
        send(
            self.loopback.address(),
            &line,
            &headers(&self.credentials),
            &body,
        )
    }

    fn ask(
        &self,
        path: &str,
        kind: Call,
        operations: Vec<RequestOperation>,
    ) -> Vec<ResponseOperation> {
        read(&self.post(path, kind, operations))
    }

    fn sync(&self, zones: &[&str]) -> Vec<ResponseOperation> {
        let operations = zones.iter().map(|zone| self.changes(zone, None));
        self.ask("record/sync", Call::Changes, operations.collect())
    }

    fn sync_raw(&self) -> Answer {
        let operations = vec![self.changes(CHATS, None)];
        self.post("record/sync", Call::Changes, operations)
    }
}

fn read(answer: &Answer) -> Vec<ResponseOperation> {
    assert_eq!(
        answer.status,
        200,
        "{}",
        String::from_utf8_lossy(&answer.body)
    );
    let is_packed = answer.head.contains("content-encoding: gzip");
    let body = if is_packed {
        Inflater::default().inflate(&answer.body, 1 << 26).unwrap()
    } else {
        answer.body.clone()
    };
    decode_responses(&body.into()).unwrap()
}

/// Runs a test against a loopback over a small account.
fn with(faults: Faults, test: impl FnOnce(&Client<'_>, &Account)) -> Vec<String> {
    let account = Arc::new(Account::new(3, 250, Dirtiness::AsSeen));
    let cloud = Arc::clone(&account);
    serve(cloud, faults, |client| test(client, &account))
}

/// Runs a test against a loopback.
fn serve(cloud: Arc<dyn Cloud>, faults: Faults, test: impl FnOnce(&Client<'_>)) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let credentials = cloud.credentials();
    let loopback = runtime.block_on(Loopback::start(cloud, faults)).unwrap();
    let client = Client {
        credentials,
        loopback: &loopback,
    };

    test(&client);

    let complaints = loopback.complaints();
    let outcome = runtime.block_on(loopback.stop());
    assert!(outcome.panicked.is_empty());
    complaints
}

fn clean(faults: Faults, test: impl FnOnce(&Client<'_>, &Account)) {
    assert_eq!(with(faults, test), [""; 0]);
}

#[test]
fn a_whole_account_comes_over_the_wire() {
    clean(Faults::none(), |client, account| {
        let credentials = &client.credentials;
        let basic = format!("{}:{}", credentials.dsid, credentials.mme_auth_token);
        let mut with_basic = headers(credentials);
        let basic = format!("Basic {}", BASE64_STANDARD.encode(basic));
        with_basic.push(("authorization".to_owned(), basic));
        let line = "POST /setup/setup/ck/v1/ckAppInit?container=com.apple.messages.cloud";
        let answer = send(client.loopback.address(), line, &with_basic, b"");
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(body["cloudKitUserId"], credentials.user);

        let zone = |zone: &str| RequestOperation {
            zone_retrieve: Some(ZoneRetrieveRequest {
                zone: Some(client.zone(zone)),
            }),
            ..RequestOperation::default()
        };
        let zones = client.ask(
            "zone/retrieve",
            Call::Zone,
            vec![zone(CHATS), zone("nobodysZone")],
        );
        assert_eq!(reaction(zones[0].result.as_ref()), None);
        assert_eq!(reaction(zones[1].result.as_ref()), Some(Failure::ZoneGone));

        let request = RequestOperation {
            zone_changes: Some(RetrieveZoneChangesRequest::default()),
            ..RequestOperation::default()
        };
        let changed = client.ask("zone/sync", Call::Zones, vec![request]);
        let changed = changed[0].zone_changes.as_ref().unwrap();
        assert_eq!((changed.changes.len(), changed.status), (7, Some(2)));

        let mut count = 0;
        let mut token = None;
        loop {
            let page = client.ask(
                "record/sync",
                Call::Changes,
                vec![client.changes(MESSAGES, token)],
            );
            let page = page[0].retrieve_changes.clone().unwrap();
            count += page.changes.len();
            token = page.token;
            if page.status == Some(3) {
                break;
            }
        }
        assert_eq!(count, 254);

        let query = RequestOperation {
            query_retrieve: Some(QueryRetrieveRequest {
                query: Some(Query {
                    types: vec![Named::new("MessagesSummary")],
                }),
                zone: Some(client.zone(MESSAGES)),
                ..QueryRetrieveRequest::default()
            }),
            ..RequestOperation::default()
        };
        let found = client.ask("query/retrieve", Call::Query, vec![query]);
        let rows = &found[0].query_retrieve.as_ref().unwrap().rows;
        assert_eq!(rows[0].record.as_ref().unwrap().fields.len(), 3);

        assert_eq!(client.loopback.requests(Call::Changes), 2);
        assert_eq!(client.loopback.operations(Call::Changes, MESSAGES), 2);
        assert_eq!(client.loopback.take_requests().len(), 5);
        assert!(client.loopback.take_requests().is_empty());
        assert!(account.truths().count() > 250);
    });
}

/// The first file of the account, and its download by the instructions that come with its record.
fn file(client: &Client<'_>, range: Option<&str>) -> Answer {
    let page = client.sync(&["attachmentManateeZone"]);
    let change = page[0].retrieve_changes.as_ref().unwrap().changes[0].clone();
    let name = RecordChange::read(change)
        .unwrap()
        .name()
        .unwrap()
        .to_owned();
    let request = RequestOperation {
        record_retrieve: Some(RecordRetrieveRequest {
            record: Some(RecordIdentifier::new(
                &name,
                client.zone("attachmentManateeZone"),
            )),
            assets: Some(AssetsToDownload {
                all: Some(true),
                fields: None,
            }),
            ..RecordRetrieveRequest::default()
        }),
        ..RequestOperation::default()
    };
    let answer = client.ask("record/retrieve", Call::Record, vec![request]);
    let body = answer[0].bundled.as_ref().unwrap().requests[0].body.clone();
    let instructions = AuthorizeGet::read(body.unwrap()).unwrap();
    let request = instructions.payload.unwrap().containers[0]
        .request
        .clone()
        .unwrap();
    assert_eq!(
        format!("{}://{}:{}", request.scheme, request.domain, request.port),
        client.loopback.gateway()
    );
    let mut headers: Headers = request
        .headers
        .into_iter()
        .map(|header| (header.name.unwrap(), header.value.unwrap()))
        .collect();
    headers.push(("user-agent".to_owned(), "CloudKit/1970".to_owned()));
    headers.push(("x-apple-request-uuid".to_owned(), uuid()));
    headers.extend(range.map(|range| ("range".to_owned(), range.to_owned())));
    send(
        client.loopback.address(),
        &format!("GET {}", request.path),
        &headers,
        b"",
    )
}

#[test]
fn containers_are_fetched_whole_or_in_ranges_until_they_expire() {
    clean(Faults::none(), |client, account| {
        let whole = file(client, None);
        let range = file(client, Some("bytes=10-19"));

        assert_eq!((whole.status, range.status), (200, 206));
        assert_eq!(range.body, whole.body[10..20]);
        account.expire_downloads();
        assert_eq!(file(client, None).status, 200);
    });
}

#[test]
fn files_stall_are_cut_flipped_and_refused() {
    let slow = Trouble::Slow {
        pieces: 3,
        pause: Duration::from_millis(5),
    };
    let gone = Trouble::Status {
        status: 403,
        has_page: false,
        retry_after: None,
    };
    let troubles = [
        Trouble::BitFlip,
        Trouble::Cut(50),
        Trouble::Stalled,
        slow,
        gone,
    ];
    let faults = troubles.map(|trouble| Fault::new(Call::Container, trouble));
    clean(Faults::planned(faults), |client, _| {
        let [flipped, cut, stalled, slow, gone, whole] = [(); 6].map(|()| file(client, None));

        assert_eq!(
            (flipped.status, flipped.body.len()),
            (200, whole.body.len())
        );
        assert_ne!(flipped.body, whole.body);
        assert_eq!(
            (cut.length, cut.body.len()),
            (whole.length, whole.length / 2)
        );
        assert_eq!(stalled.body, whole.body[..whole.length / 2]);
        assert_eq!(slow.body, whole.body);
        assert_eq!(gone.status, 403);
        assert_eq!(client.loopback.made().len(), 5);
    });
}

#[test]
fn a_request_that_leaves_something_out_is_refused_by_name() {
    let credentials = Account::new(3, 250, Dirtiness::AsSeen).credentials();
    for (at, (name, _)) in headers(&credentials).iter().enumerate() {
        if name == "x-cloudkit-authtoken" {
            continue;
        }
        let complaints = with(Faults::none(), |client, _| {
            let mut headers = headers(&client.credentials);
            headers.remove(at);
            let (_, body) = Client::pack(Call::Changes, vec![client.changes(CHATS, None)]);
            let line = "POST /ckdatabase/api/client/record/sync";
            let answer = send(client.loopback.address(), line, &headers, &body);
            assert_eq!(answer.status, 400, "{name}");
        });
        assert_eq!(complaints, [format!("Changes: {name}")]);
    }
}

/// What is complained about when the header of a request is changed.
fn complaint(change: impl FnOnce(&mut Vec<RequestOperation>)) -> String {
    let mut complaints = with(Faults::none(), |client, _| {
        let mut operations = vec![client.changes(CHATS, None), client.changes(MESSAGES, None)];
        for (at, operation) in operations.iter_mut().enumerate() {
            operation.header = (at == 0).then(|| header(Call::Changes));
            operation.operation = Some(Operation {
                id: Some(uuid()),
                kind: Some(213),
                synchronous: None,
                last: Some(at == 1),
            });
        }
        change(&mut operations);
        let body = deflate(&encode_requests(&operations));
        let line = "POST /ckdatabase/api/client/record/sync";
        let headers = headers(&client.credentials);
        assert_eq!(
            send(client.loopback.address(), line, &headers, &body).status,
            400
        );
    });
    assert_eq!(complaints.len(), 1);
    complaints.remove(0)
}

#[test]
fn operations_are_looked_at_one_by_one() {
    let of_header = |change: fn(&mut Header)| {
        complaint(|operations| change(operations[0].header.as_mut().unwrap()))
    };
    let of_operation = |change: fn(&mut Operation)| {
        complaint(|operations| change(operations[1].operation.as_mut().unwrap()))
    };

    assert_eq!(complaint(Vec::clear), "Changes: no operation");
    assert_eq!(complaint(|it| it[0].header = None), "Changes: no header");
    assert_eq!(
        complaint(|it| it[1].header = it[0].header.clone()),
        "Changes: a header in the first operation only"
    );
    assert_eq!(
        of_header(|it| it.device = None),
        "Changes: deviceIdentifier"
    );
    assert_eq!(of_header(|it| it.group = None), "Changes: group");
    assert_eq!(of_header(|it| drop(it.tags.pop())), "Changes: tags");
    assert_eq!(
        of_header(|it| it.flow_key = None),
        "Changes: flow control key"
    );
    assert_eq!(
        of_header(|it| it.mmcs_headers = None),
        "Changes: mmcsHeaders"
    );
    assert_eq!(
        of_header(|it| it.unknown_35 = None),
        "Changes: fields 29, 34 and 35"
    );
    assert_eq!(of_operation(|it| it.id = None), "Changes: operationUUID");
    assert_eq!(
        of_operation(|it| it.kind = Some(211)),
        "Changes: the type of an operation"
    );
    assert_eq!(
        of_operation(|it| it.last = None),
        "Changes: last in the last operation"
    );
    assert_eq!(
        complaint(|it| it[1].retrieve_changes = None),
        "Changes: the one request of an operation's type"
    );
}

#[test]
fn writing_and_repeating_a_request_are_noticed() {
    let complaints = with(Faults::none(), |client, _| {
        let headers = headers(&client.credentials);
        let line = "POST /ckdatabase/api/client/record/save";
        assert_eq!(
            send(client.loopback.address(), line, &headers, b"").status,
            404
        );
        let (_, body) = Client::pack(Call::Changes, vec![client.changes(CHATS, None)]);
        let line = "POST /ckdatabase/api/client/record/sync";
        assert_eq!(
            send(client.loopback.address(), line, &headers, &body).status,
            200
        );
        assert_eq!(
            send(client.loopback.address(), line, &headers, &body).status,
            400
        );
    });

    let expected = [
        "nobody reads with /ckdatabase/api/client/record/save",
        "Changes: x-apple-request-uuid twice",
    ];
    assert_eq!(complaints, expected);
}

#[test]
fn old_tokens_are_not_let_in() {
    clean(Faults::none(), |client, account| {
        account.expire_tokens();

        assert_eq!(client.sync_raw().status, 401);
        let client = Client {
            credentials: account.credentials(),
            loopback: client.loopback,
        };
        assert_eq!(client.sync_raw().status, 200);
    });
}

#[test]
fn refusals_hit_the_zone_they_are_meant_for() {
    let throttled = Refusal::client(Refusal::THROTTLED).after(Some(2));
    let faults = [
        Fault::new(Call::Changes, Trouble::Refused(throttled)).in_zone(CHATS),
        Fault::new(Call::Changes, Trouble::Reset(Refusal::FULL_RESET_NEEDED)).in_zone(MESSAGES),
        Fault::new(Call::Changes, Trouble::Refused(Refusal::client(12))),
    ];
    clean(Faults::planned(faults), |client, account| {
        let first = account.zone(MESSAGES).unwrap().token;
        let reactions = |answers: Vec<ResponseOperation>| {
            let answers = answers.iter();
            answers
                .map(|answer| reaction(answer.result.as_ref()))
                .collect::<Vec<_>>()
        };
        let both = [CHATS, MESSAGES];

        let wait = Failure::Wait {
            after: Some(Duration::from_secs(2)),
        };
        assert_eq!(reactions(client.sync(&both)), [Some(wait), None]);
        assert_eq!(reactions(client.sync(&both)), [None, Some(Failure::Reset)]);
        assert_ne!(account.zone(MESSAGES).unwrap().token, first);
        assert_eq!(
            reactions(client.sync(&both)),
            [Some(Failure::Reauthenticate); 2]
        );
        assert_eq!(reactions(client.sync(&both)), [None, None]);
    });
}

#[test]
fn answers_come_in_another_order_or_not_at_all_or_unpacked() {
    let faults = [Trouble::Shuffled, Trouble::OneMissing, Trouble::Unpacked];
    let faults = faults.map(|trouble| Fault::new(Call::Changes, trouble));
    clean(Faults::planned(faults), |client, _| {
        let ask = || {
            let operations = vec![client.changes(CHATS, None), client.changes(MESSAGES, None)];
            let (ids, body) = Client::pack(Call::Changes, operations);
            let line = "POST /ckdatabase/api/client/record/sync";
            let headers = headers(&client.credentials);
            let answer = send(client.loopback.address(), line, &headers, &body);
            let found = read(&answer)
                .iter()
                .map(|it| it.id().to_owned())
                .collect::<Vec<_>>();
            (ids, found, answer)
        };

        let (ids, found, _) = ask();
        assert_eq!(found, [ids[1].clone(), ids[0].clone()]);
        let (ids, found, _) = ask();
        assert_eq!(found, ids[..1]);
        let (ids, found, answer) = ask();
        assert_eq!(found, ids);
        assert!(!answer.head.contains("content-encoding"));
    });
}

#[test]
fn whole_answers_fail_in_the_ways_of_gateways() {
    let status = |status, has_page| Trouble::Status {
        status,
        has_page,
        retry_after: Some(7),
    };
    let faults = [
        status(429, false),
        status(503, true),
        Trouble::Page,
        Trouble::Cut(30),
    ];
    let faults = faults.map(|trouble| Fault::new(Call::Changes, trouble));
    clean(Faults::planned(faults), |client, _| {
        let [busy, page, odd, cut, whole] = [(); 5].map(|()| client.sync_raw());

        assert_eq!((busy.status, busy.length), (429, 0));
        assert!(busy.head.contains("retry-after: 7"));
        assert!(page.status == 503 && page.body.starts_with(b"<html>"));
        assert!(odd.status == 200 && odd.body.starts_with(b"<html>"));
        assert!(cut.length > 1_000 && cut.body.len() < cut.length);
        assert_eq!(read(&whole).len(), 1);
    });
}

#[test]
fn a_zone_that_is_away_is_not_found() {
    clean(Faults::none(), |client, account| {
        account.set_zone(ZoneKind::Chat, false);

        let answers = client.sync(&[CHATS, MESSAGES]);

        assert_eq!(
            reaction(answers[0].result.as_ref()),
            Some(Failure::ZoneGone)
        );
        assert_eq!(reaction(answers[1].result.as_ref()), None);
    });
}

/// The operations of an answer, if it is one that a client believes.
fn believed(answer: &Answer) -> Option<Vec<ResponseOperation>> {
    if answer.status != 200 || answer.body.len() < answer.length {
        return None;
    }
    let plain = if answer.head.contains("content-encoding: gzip") {
        Inflater::default().inflate(&answer.body, 1 << 26).ok()?
    } else {
        answer.body.clone()
    };
    decode_responses(&plain.into()).ok()
}

#[test]
fn a_client_that_asks_again_gets_everything_through_faults_by_chance() {
    for seed in 1..=5 {
        clean(Faults::random(seed, 60, 30), |client, account| {
            let mut held: BTreeSet<String> = BTreeSet::new();
            let mut token = None;
            loop {
                let operation = client.changes(MESSAGES, token.clone());
                let answer = client.post("record/sync", Call::Changes, vec![operation]);
                let Some([answer]) = believed(&answer)
                    .as_deref()
                    .and_then(<[_]>::first_chunk)
                    .cloned()
                else {
                    continue;
                };
                match reaction(answer.result.as_ref()) {
                    None => {}
                    Some(Failure::Reset) => {
                        token = None;
                        held.clear();
                        continue;
                    }
                    Some(_) => continue,
                }
                let page = answer.retrieve_changes.unwrap();
                for change in page.changes {
                    let change = RecordChange::read(change).unwrap();
                    let Some(name) = change.name().map(str::to_owned) else {
                        continue;
                    };
                    match change.record {
                        Some(_) => held.insert(name),
                        None => held.remove(&name),
                    };
                }
                token = page.token;
                if page.status == Some(3) {
                    break;
                }
            }

            let truths = account
                .truths()
                .filter(|truth| truth.zone == ZoneKind::Message);
            assert_eq!(held, truths.map(|truth| truth.record).collect());
            assert!(!client.loopback.made().is_empty());
        });
    }
}

#[test]
fn the_vectors_are_served_by_token() {
    let complaints = serve(Arc::new(Replay::new()), Faults::none(), |client| {
        let mut count = 0;
        let mut token = None;
        loop {
            let page = client.ask(
                "record/sync",
                Call::Changes,
                vec![client.changes(MESSAGES, token)],
            );
            let page = page[0].retrieve_changes.clone().unwrap();
            count += page.changes.len();
            token = page.token;
            if page.status == Some(3) {
                break;
            }
        }
        assert_eq!(count, 46 * 4 + 43);
        let page = client.sync(&["attachmentManateeZone"]);
        let assets = &page[0].bundled.as_ref().unwrap().requests;
        for asset in assets {
            let instructions = AuthorizeGet::read(asset.body.clone().unwrap()).unwrap();
            for container in instructions.payload.unwrap().containers {
                let path = container.request.unwrap().path;
                let headers = vec![
                    ("user-agent".to_owned(), "CloudKit/1970".to_owned()),
                    ("x-apple-request-uuid".to_owned(), uuid()),
                ];
                let answer = send(
                    client.loopback.address(),
                    &format!("GET {path}"),
                    &headers,
                    b"",
                );
                assert_eq!(answer.status, 200);
            }
        }
        assert!(assets.len() > 5);
    });

    assert_eq!(complaints, [""; 0]);
}
