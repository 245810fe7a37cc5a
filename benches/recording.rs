//! Pages of an invented account as they come over the wire, so that each stage meets the same bytes.

use std::net::Ipv4Addr;
use std::net::SocketAddr;

use bytes::Bytes;
use footbridge::codec::cloudkit::Deflater;
use footbridge::codec::cloudkit::Operation;
use footbridge::codec::cloudkit::OperationResult;
use footbridge::codec::cloudkit::ResponseOperation;
use footbridge::codec::cloudkit::RetrieveChangesRequest;
use footbridge::codec::cloudkit::RetrieveChangesResponse;
use footbridge::codec::cloudkit::Zone;
use footbridge::codec::cloudkit::ZoneIdentifier;
use footbridge::codec::cloudkit::encode_responses;
use footbridge::demo::Account;
use footbridge::demo::Cloud;
use footbridge::demo::Dirtiness;
use footbridge::demo::Items;
use footbridge::model::record::CloudZone;

use crate::icloud::SEED;

/// An account's pages.
pub(crate) struct Recording {
    /// The session that opens it, as JSON.
    pub(crate) session: Vec<u8>,
    pub(crate) zones: Vec<RecordedZone>,
}

/// The pages of a zone.
pub(crate) struct RecordedZone {
    pub(crate) zone: CloudZone,
    /// As the server describes it, with its keys.
    pub(crate) described: Zone,
    /// Bodies of answers, packed.
    pub(crate) bodies: Vec<Bytes>,
}

impl Recording {
    /// Of an account of about so many messages.
    pub(crate) fn of(messages: u64) -> Self {
        let account = Account::new(SEED, messages, Dirtiness::AsSeen);
        let zones = CloudZone::ALL.into_iter().filter_map(|zone| {
            let described = account.zone(zone.name()).ok()?.zone?;
            let bodies = bodies(&account, zone);
            Some(RecordedZone {
                zone,
                described,
                bodies,
            })
        });
        Self {
            zones: zones.collect(),
            session: account.session(Items::All),
        }
    }
}

fn bodies(account: &Account, zone: CloudZone) -> Vec<Bytes> {
    let host = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let user = account.credentials().user;
    let mut deflater = Deflater::default();
    let mut bodies = Vec::new();
    let mut token = None;
    loop {
        let request = RetrieveChangesRequest {
            token: token.take(),
            zone: Some(ZoneIdentifier::new(zone.name(), &user)),
            change_types: Some(3),
            ..RetrieveChangesRequest::default()
        };
        let Ok((page, _no_assets)) = account.changes(&request, host) else {
            return bodies;
        };
        token.clone_from(&page.token);
        let is_last = page.status == Some(RetrieveChangesResponse::CAUGHT_UP);
        let answer = ResponseOperation {
            operation: Some(Operation {
                id: Some("2F1D2B0C-6A0E-4C52-9B8E-0D6B1B6F9F11".to_owned()),
                ..Operation::default()
            }),
            result: Some(OperationResult {
                code: Some(1),
                error: None,
            }),
            retrieve_changes: Some(page),
            ..ResponseOperation::default()
        };
        bodies.push(deflater.deflate(&encode_responses(&[answer])).into());
        if is_last {
            return bodies;
        }
    }
}
