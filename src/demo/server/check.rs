//! Whether a request is one that Apple's devices would send. A client that leaves out a header here would learn it from
//! Apple's server in front of a person.
//!
//! Source: facts of CloudKit, 1.2 to 1.5.

use crate::codec::cloudkit::Header;
use crate::codec::cloudkit::Identifier;
use crate::codec::cloudkit::OperationKind;
use crate::codec::cloudkit::RequestOperation;
use crate::demo::cloud::Credentials;
use crate::demo::server::fault::Call;
use crate::net::HeaderMap;

/// Who reads Messages.
pub(super) const CONTAINER: &str = "com.apple.messages.cloud";
const BUNDLE: &str = "com.apple.imagent";

/// What is asked of every call.
const FIXED: [(&str, &str); 9] = [
    ("accept", "application/x-protobuf"),
    ("accept-encoding", "gzip"),
    ("accept-language", "en-US,en;q=0.9"),
    ("cache-control", "no-transform"),
    ("x-apple-c2-metric-triggers", "0"),
    ("x-cloudkit-bundleid", BUNDLE),
    ("x-cloudkit-containerid", CONTAINER),
    ("x-cloudkit-databasescope", "Private"),
    ("x-cloudkit-duetpreclearedmode", "None"),
];

const OPERATION_IDS: [&str; 2] = ["x-apple-operation-group-id", "x-apple-operation-id"];

const ANISETTE: [&str; 2] = ["x-apple-i-md", "x-apple-i-md-m"];

/// Names in field 31 of a header.
const TAGS: usize = 14;

/// Digits in field 32 of a header.
const DIGEST_DIGITS: usize = 40;

/// Why a request is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fail {
    /// A token is wrong: 401.
    Unauthorized,
    /// Something is missing or wrong: 400, with the name of it.
    Bad(String),
}

fn expect(what: &str, is_right: bool) -> Result<(), Fail> {
    if is_right {
        return Ok(());
    }
    Err(Fail::Bad(what.to_owned()))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

/// Checks the headers of a call to CloudKit. Returns the id of the request.
pub(super) fn headers(
    call: Call,
    headers: &HeaderMap,
    credentials: &Credentials,
) -> Result<String, Fail> {
    for (name, value) in FIXED {
        expect(name, text(headers, name) == value)?;
    }
    for name in OPERATION_IDS {
        let id = text(headers, name);
        let is_upper = id
            .bytes()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'A'..=b'F'));
        expect(name, id.len() == 16 && is_upper)?;
    }
    let id = text(headers, "x-apple-request-uuid");
    expect("x-apple-request-uuid", is_uuid(id))?;
    expect(
        "x-cloudkit-environment",
        text(headers, "x-cloudkit-environment") == "Production",
    )?;
    expect(
        "user-agent",
        text(headers, "user-agent").starts_with("CloudKit/"),
    )?;
    expect(
        "x-mme-client-info",
        text(headers, "x-mme-client-info").starts_with('<'),
    )?;
    if credentials.needs_anisette {
        for name in ANISETTE {
            expect(name, !text(headers, name).is_empty())?;
        }
    }
    if call == Call::Init {
        expect(
            "authorization",
            text(headers, "authorization").starts_with("Basic "),
        )?;
        return Ok(id.to_owned());
    }
    expect(
        "content-encoding",
        text(headers, "content-encoding") == "gzip",
    )?;
    let kind = text(headers, "content-type");
    let is_operation = kind.starts_with("application/x-protobuf;")
        && kind.contains("/static/protobuf/CloudDB/CloudDBClient.desc\"")
        && kind.contains("messageType=RequestOperation")
        && kind.contains("delimited=true");
    expect("content-type", is_operation)?;
    if text(headers, "x-cloudkit-authtoken") != credentials.cloudkit_token {
        return Err(Fail::Unauthorized);
    }
    expect(
        "x-cloudkit-userid",
        text(headers, "x-cloudkit-userid") == credentials.user,
    )?;
    Ok(id.to_owned())
}

/// A UUID as Apple's devices write it.
fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let digits = groups.iter().flat_map(|group| group.bytes());
    lengths == [8, 4, 4, 4, 12]
        && digits
            .into_iter()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'A'..=b'F'))
}

/// The type of the operations of a call.
const fn kind(call: Call) -> Option<i32> {
    match call {
        Call::Zone => Some(OperationKind::ZoneRetrieve.number()),
        // Our client does not ask it.
        Call::Zones => Some(203),
        Call::Changes => Some(OperationKind::RetrieveChanges.number()),
        Call::Record => Some(OperationKind::RecordRetrieve.number()),
        Call::Query => Some(OperationKind::QueryRetrieve.number()),
        Call::Init | Call::Container => None,
    }
}

/// Checks the operations of a request.
pub(super) fn operations(call: Call, operations: &[RequestOperation]) -> Result<(), Fail> {
    let (Some((first, others)), Some(kind)) = (operations.split_first(), kind(call)) else {
        return Err(Fail::Bad("no operation".to_owned()));
    };
    let others_have_none = others.iter().all(|operation| operation.header.is_none());
    expect("a header in the first operation only", others_have_none)?;
    let header = first.header.as_ref();
    check_header(
        call,
        header.ok_or_else(|| Fail::Bad("no header".to_owned()))?,
    )?;
    let mut ids = Vec::new();
    for (number, operation) in operations.iter().enumerate() {
        let said = operation.operation.as_ref();
        let said = said.ok_or_else(|| Fail::Bad("an operation without one".to_owned()))?;
        let id = said.id.as_deref().unwrap_or_default();
        expect("operationUUID", is_uuid(id) && !ids.contains(&id))?;
        ids.push(id);
        expect("the type of an operation", said.kind == Some(kind))?;
        let is_last = number + 1 == operations.len();
        expect(
            "last in the last operation",
            said.last == Some(true) || !is_last,
        )?;
        let members = [
            operation.zone_retrieve.is_some(),
            operation.zone_changes.is_some(),
            operation.retrieve_changes.is_some(),
            operation.record_retrieve.is_some(),
            operation.query_retrieve.is_some(),
        ];
        let wanted = [
            Call::Zone,
            Call::Zones,
            Call::Changes,
            Call::Record,
            Call::Query,
        ]
        .map(|of| of == call);
        expect("the one request of an operation's type", members == wanted)?;
        if let Some(changes) = &operation.retrieve_changes {
            expect("requestedChangesTypes", changes.change_types == Some(3))?;
        }
    }
    Ok(())
}

fn check_header(call: Call, header: &Header) -> Result<(), Fail> {
    let is = |value: &Option<String>, wanted: &str| value.as_deref() == Some(wanted);
    let is_some = |value: &Option<String>| value.as_deref().is_some_and(|text| !text.is_empty());
    expect("applicationContainer", is(&header.container, CONTAINER))?;
    expect("applicationBundle", is(&header.bundle, BUNDLE))?;
    let device = header.device.as_ref();
    let is_device = device
        .is_some_and(|device| is_some(&device.name) && device.kind == Some(Identifier::DEVICE));
    expect("deviceIdentifier", is_device)?;
    expect("deviceSoftwareVersion", is_some(&header.software_version))?;
    expect("deviceHardwareVersion", is_some(&header.hardware_version))?;
    expect(
        "library",
        is(&header.library, "com.apple.cloudkit.CloudKitDaemon"),
    )?;
    expect("library version", is(&header.library_version, "1970"))?;
    check_flow(call, header)?;
    expect("locale", header.locale.is_some() == (call == Call::Query))?;
    expect("mmcsProtocolVersion", is(&header.mmcs_version, "5.0"))?;
    expect("environment", header.environment == Some(1))?;
    expect("deviceAssignedName", is_some(&header.device_name))?;
    expect("deviceHardwareID", is_some(&header.hardware_id))?;
    expect("serial", is_some(&header.serial))?;
    expect("targetDatabase", header.database == Some(1))?;
    expect("isolationLevel", matches!(header.isolation, Some(1 | 2)))?;
    let is_grouped = matches!(call, Call::Changes | Call::Query | Call::Zones);
    let group = header.group.as_deref();
    expect("group", group == is_grouped.then_some("EphemeralGroup"))?;
    let has_assets = matches!(call, Call::Changes | Call::Query | Call::Record);
    let mmcs = header.mmcs_headers.as_ref();
    expect(
        "mmcsHeaders",
        mmcs.map(|it| it.headers.len()) == has_assets.then_some(4),
    )?;
    let tags = if matches!(call, Call::Changes | Call::Record | Call::Zone) {
        TAGS
    } else {
        0
    };
    expect("tags", header.tags.len() == tags)?;
    let digest = header.device_digest.as_deref().unwrap_or_default();
    let is_lower = digest
        .bytes()
        .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    expect("field 32", digest.len() == DIGEST_DIGITS && is_lower)?;
    let rest = [header.unknown_29, header.unknown_34, header.unknown_35];
    expect("fields 29, 34 and 35", rest == [Some(0), Some(0), Some(1)])
}

fn check_flow(call: Call, header: &Header) -> Result<(), Fail> {
    let key = match call {
        Call::Zone => Some("CKDFetchRecordZonesOperation-Private"),
        Call::Changes => Some("CKDFetchRecordZoneChangesOperation-Private"),
        Call::Record => Some("CKDFetchRecordsOperation-Private"),
        Call::Query => Some("CKDQueryOperation-Private"),
        Call::Zones | Call::Init | Call::Container => None,
    };
    expect("flow control key", header.flow_key.as_deref() == key)?;
    let zero = key.map(|_| 0);
    let is_zero = header.flow_budget == zero
        && header.flow_cap == zero
        && header.flow_regeneration.map(f32::to_bits) == key.map(|_| 0);
    expect("flow control numbers", is_zero)
}
