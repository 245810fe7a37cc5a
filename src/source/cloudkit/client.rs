//! The calls of CloudKit that a reader needs.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::apple::session::Device;
use crate::apple::session::Session;
use crate::base::ids::ChangeToken;
use crate::base::ids::RecordName;
use crate::base::ids::ZoneName;
use crate::base::tasks::TaskGroup;
use crate::codec::cloudkit::AssetsToDownload;
use crate::codec::cloudkit::Named;
use crate::codec::cloudkit::OperationKind;
use crate::codec::cloudkit::Query;
use crate::codec::cloudkit::QueryRetrieveRequest;
use crate::codec::cloudkit::Record;
use crate::codec::cloudkit::RecordIdentifier;
use crate::codec::cloudkit::RecordRetrieveRequest;
use crate::codec::cloudkit::ResponseOperation;
use crate::codec::cloudkit::RetrieveChangesRequest;
use crate::codec::cloudkit::RetrieveChangesResponse;
use crate::codec::cloudkit::ZoneIdentifier;
use crate::codec::cloudkit::ZoneRetrieveRequest;
use crate::net::client::Client as HttpClient;
use crate::net::client::Protocols;
use crate::net::client::Roots;
use crate::source::cloudkit::Answers;
use crate::source::cloudkit::Assets;
use crate::source::cloudkit::ChangesPage;
use crate::source::cloudkit::ChangesRequest;
use crate::source::cloudkit::Cloud;
use crate::source::cloudkit::CloudError;
use crate::source::cloudkit::FetchedRecord;
use crate::source::cloudkit::FileDownload;
use crate::source::cloudkit::FileRequest;
use crate::source::cloudkit::Gateway;
use crate::source::cloudkit::Instructions;
use crate::source::cloudkit::SetupError;
use crate::source::cloudkit::Summary;
use crate::source::cloudkit::ZoneAnswer;
use crate::source::cloudkit::exchange::Exchange;
use crate::source::cloudkit::header::Speaker;

/// Kinds of changes that are wanted: what the bits mean is not known, known clients send these.
const CHANGE_TYPES: i32 = 3;

/// The record type that counts others, and a zone in which it can be asked for.
const SUMMARY: &str = "MessagesSummary";
const SUMMARY_ZONE: &str = "messageManateeZone";

/// Messages in iCloud over HTTP. Clones are the same client.
///
/// What it was made with does not change: with another session there is another client.
#[derive(Clone)]
pub struct Client {
    pub(crate) exchange: Arc<Exchange>,
    /// For files: each over a connection of its own.
    pub(crate) files: HttpClient,
}

/// Tokens and keys are secret: logs show where iCloud is.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("gateway", &self.exchange.gateway)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Speaks for an account. Nothing is sent yet.
    ///
    /// A session without a device gets one that does not exist ([`Client::device`]): it is to be kept with the session,
    /// as is the user id. Connections are tasks of `tasks`.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(
        session: &Session,
        gateway: Gateway,
        roots: &Roots,
        tasks: &TaskGroup,
    ) -> Result<Self, SetupError> {
        if session.is_invented && !gateway.is_loopback() {
            return Err(SetupError::Invented);
        }
        let device = match &session.device {
            Some(device) => device.clone(),
            None => Device::invent()?,
        };
        let speaker = Speaker::new(session, device)?;
        let files = HttpClient::new(tasks, roots, Protocols::Http1)?;
        let exchange = Exchange::new(session, gateway, speaker, roots, tasks)?;
        Ok(Self {
            exchange: Arc::new(exchange),
            files,
        })
    }

    /// The device that it speaks as.
    pub fn device(&self) -> &Device {
        self.exchange.speaker.device()
    }
}

impl Cloud for Client {
    type Download = FileDownload;

    async fn user_id(&self) -> Result<String, CloudError> {
        self.exchange.user().await.map(str::to_owned)
    }

    async fn zones(&self, zones: &[ZoneName]) -> Answers<ZoneAnswer> {
        let kind = OperationKind::ZoneRetrieve;
        let answers = self.exchange.ask(kind, zones, |operation, zone, user| {
            operation.zone_retrieve = Some(ZoneRetrieveRequest {
                zone: Some(ZoneIdentifier::new(zone.as_str(), user)),
            });
        });
        let answers = zones.iter().zip(answers.await?);
        Ok(answers
            .map(|(zone, answer)| zone_answer(zone, answer?))
            .collect())
    }

    async fn changes(&self, requests: &[ChangesRequest]) -> Answers<ChangesPage> {
        let kind = OperationKind::RetrieveChanges;
        let answers = self.exchange.ask(kind, requests, |operation, asked, user| {
            let token = asked.token.as_ref();
            operation.retrieve_changes = Some(RetrieveChangesRequest {
                token: token.map(|token| token.as_bytes().to_vec().into()),
                zone: Some(ZoneIdentifier::new(asked.zone.as_str(), user)),
                change_types: Some(CHANGE_TYPES),
                assets: Some(assets(Assets::Leave)),
                newest_first: Some(asked.newest_first),
                ..RetrieveChangesRequest::default()
            });
        });
        let answers = answers.await?.into_iter();
        Ok(answers.map(|answer| page(answer?)).collect())
    }

    async fn records(
        &self,
        zone: &ZoneName,
        names: &[RecordName],
        wanted: Assets,
    ) -> Answers<FetchedRecord> {
        let kind = OperationKind::RecordRetrieve;
        let answers = self.exchange.ask(kind, names, |operation, name, user| {
            let zone = ZoneIdentifier::new(zone.as_str(), user);
            operation.record_retrieve = Some(RecordRetrieveRequest {
                record: Some(RecordIdentifier::new(name.as_str(), zone)),
                fields: None,
                assets: Some(assets(wanted)),
            });
        });
        let answers = answers.await?.into_iter();
        Ok(answers.map(|answer| fetched(answer?)).collect())
    }

    async fn summary(&self) -> Result<Summary, CloudError> {
        let kind = OperationKind::QueryRetrieve;
        let answers = self.exchange.ask(kind, &[()], |operation, (), user| {
            operation.query_retrieve = Some(QueryRetrieveRequest {
                query: Some(Query {
                    types: vec![Named::new(SUMMARY)],
                }),
                zone: Some(ZoneIdentifier::new(SUMMARY_ZONE, user)),
                ..QueryRetrieveRequest::default()
            });
        });
        let answer = answers
            .await?
            .pop()
            .unwrap_or(Err(CloudError::Unanswered))?;
        let answer = answer.query_retrieve;
        let answer = answer.ok_or(CloudError::Empty { wanted: "summary" })?;
        let records = answer.rows.into_iter().filter_map(|row| row.record);
        let mut summary = Summary::default();
        for record in records.filter(|record| record.type_name() == SUMMARY) {
            summary.counts.extend(counts(&record));
        }
        Ok(summary)
    }

    fn download(&self, request: FileRequest) -> FileDownload {
        FileDownload::new(self.clone(), request)
    }

    fn delay(&self, full: Duration) -> Duration {
        self.exchange.gateway.delay(full)
    }
}

fn assets(wanted: Assets) -> AssetsToDownload {
    AssetsToDownload {
        all: Some(wanted == Assets::Prepare),
        fields: None,
    }
}

fn zone_answer(asked: &ZoneName, answer: ResponseOperation) -> Result<ZoneAnswer, CloudError> {
    let answer = answer.zone_retrieve.unwrap_or_default().zones;
    for summary in answer {
        let Some(zone) = summary.zone else { continue };
        let name = zone.identifier.as_ref().and_then(ZoneIdentifier::name);
        if name == Some(asked.as_str()) {
            let end = summary.token.as_deref();
            return Ok(ZoneAnswer {
                zone,
                end: end.and_then(ChangeToken::from_bytes),
            });
        }
    }
    Err(CloudError::Empty { wanted: "zone" })
}

fn page(answer: ResponseOperation) -> Result<ChangesPage, CloudError> {
    let page = answer.retrieve_changes;
    let page = page.ok_or(CloudError::Empty { wanted: "page" })?;
    Ok(ChangesPage {
        changes: page.changes,
        token: page.token.as_deref().and_then(ChangeToken::from_bytes),
        is_last: page.status == Some(RetrieveChangesResponse::CAUGHT_UP),
    })
}

fn fetched(answer: ResponseOperation) -> Result<FetchedRecord, CloudError> {
    let record = answer.record_retrieve;
    let record = record.ok_or(CloudError::Empty { wanted: "record" })?.record;
    let requests = answer.bundled.unwrap_or_default().requests.into_iter();
    let downloads = requests.filter_map(|it| Some((it.asset_id?, Instructions::new(it.body?))));
    Ok(FetchedRecord {
        record,
        downloads: downloads.collect(),
    })
}

/// The numbers in the fields of a summary.
fn counts(record: &Record) -> impl Iterator<Item = (String, Vec<i64>)> {
    let fields = record.fields.iter();
    fields.filter_map(|field| {
        let list = &field.value.as_ref()?.list;
        let numbers: Vec<i64> = list.iter().filter_map(|value| value.signed).collect();
        (!numbers.is_empty()).then(|| (field.name().to_owned(), numbers))
    })
}
