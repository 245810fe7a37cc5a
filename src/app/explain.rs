//! Where a message is, and why it is not shown where somebody misses it (OP-1).

use serde::Serialize;

use crate::app::AppError;
use crate::app::Archive;
use crate::app::search::Question;
use crate::base::ids::Guid;
use crate::base::ids::RowId;
use crate::base::time::AppleTime;
use crate::decode::cloudkit::Decoder;
use crate::model::change::CloudChange;
use crate::model::message::Flag;
use crate::model::message::Kind;
use crate::model::people::People;
use crate::model::record::CloudRecord;
use crate::model::record::CloudValue;
use crate::model::record::CloudZone;
use crate::model::record::Column;
use crate::model::record::MessageColumn;
use crate::model::record::Row;
use crate::model::record::SourceKind;
use crate::model::record::Value;
use crate::store::Snapshot;
use crate::store::value::StoredCloudRecord;
use crate::store::value::StoredMessage;
use crate::store::value::StoredRecord;

/// Messages that a text may lead to: the newest ones.
pub const FROM_TEXT: usize = 5;

/// Everything the archive knows about where a message is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explained {
    /// Its GUID.
    pub guid: String,
    /// `message`, `tapback`, `announcement`; `None` when it was never held.
    pub kind: Option<&'static str>,
    /// Who wrote it, by name.
    pub author: Option<String>,
    /// When it was sent.
    pub sent: Option<AppleTime>,
    /// When it came into the archive.
    pub first_seen: Option<AppleTime>,
    /// The change that brought it and the latest one.
    pub changes: Option<(u64, u64)>,
    /// What was decided about it, a sentence each.
    pub findings: Vec<String>,
    /// What each source said.
    pub records: Vec<ExplainedRecord>,
    /// Messages that are about it: GUID and what they are.
    pub related: Vec<(String, &'static str)>,
}

/// What one source said of a message.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExplainedRecord {
    /// The source.
    pub source: &'static str,
    /// The version of the decoder that made the message of it.
    pub decoder: u32,
    /// Chats that hold it, as the source names them.
    pub chats: Vec<String>,
    /// Columns that held something; bodies by their sizes.
    pub columns: Vec<(String, String)>,
}

impl Archive {
    /// Explains the message with a GUID, else the newest ones with a text.
    ///
    /// # Errors
    ///
    /// [`AppError::Nothing`] when nothing has that GUID or text, and when the archive cannot be read.
    pub fn explain(&self, wanted: &str) -> Result<Vec<Explained>, AppError> {
        let snapshot = self.store().snapshot()?;
        let people = snapshot.people()?;
        let mut explained = Vec::new();
        for guid in self.guids(&snapshot, wanted)? {
            for row in snapshot.messages_with(&guid)? {
                explained.push(explain(&snapshot, &people, row)?);
            }
            if let Some(tombstone) = snapshot.tombstone(&guid)? {
                explained.push(Explained {
                    guid: guid.to_string(),
                    kind: None,
                    author: None,
                    sent: None,
                    first_seen: None,
                    changes: None,
                    findings: vec![format!(
                        "deleted for good before the archive ever held it, the source said on {}",
                        second(tombstone.at)
                    )],
                    records: Vec::new(),
                    related: Vec::new(),
                });
            }
        }
        if explained.is_empty() {
            return Err(AppError::Nothing {
                wanted: wanted.to_owned(),
            });
        }
        Ok(explained)
    }

    /// The GUID itself, else those of the newest messages with the text.
    fn guids(&self, snapshot: &Snapshot, wanted: &str) -> Result<Vec<Guid>, AppError> {
        if let Some(guid) = Guid::parse(wanted)
            && (matches!(guid, Guid::Uuid(_)) || !snapshot.messages_with(&guid)?.is_empty())
        {
            return Ok(vec![guid]);
        }
        let question = Question {
            words: wanted,
            limit: Some(FROM_TEXT),
            ..Question::default()
        };
        let hits = match self.search(&question) {
            Ok(answer) => answer.hits,
            Err(AppError::Query { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        Ok(hits
            .iter()
            .filter_map(|hit| Guid::parse(&hit.guid))
            .collect())
    }
}

fn explain(snapshot: &Snapshot, people: &People, row: RowId) -> Result<Explained, AppError> {
    let stored = snapshot.whole_message(row)?;
    let message = &stored.message;
    let mut related = Vec::new();
    for other in snapshot.relations(&message.guid)? {
        let other = snapshot.message(other)?.message;
        related.push((other.guid.to_string(), kind_name(&other.kind)));
    }
    let mut findings = findings(snapshot, people, row, &stored)?;
    let mut records = Vec::new();
    let mut on_mac = None;
    for source in SourceKind::ALL {
        match source {
            SourceKind::ChatDb => {
                if let Some(record) = snapshot.record(row, source)? {
                    on_mac = Some(record.record.row.clone());
                    records.push(explain_record(source, record));
                }
            }
            SourceKind::CloudKit => {
                for record in snapshot.cloud_records(row)? {
                    findings.extend(of_cloud(snapshot, &record)?);
                    let row = as_row(&record.record);
                    if let (Some(mac), Some(cloud)) = (&on_mac, &row) {
                        findings.extend(differences(mac, cloud));
                    }
                    records.push(explain_cloud(&record, row));
                }
            }
        }
    }
    Ok(Explained {
        guid: message.guid.to_string(),
        kind: Some(kind_name(&message.kind)),
        author: Some(people.author(&message.author).to_owned()),
        sent: message.times.sent,
        first_seen: Some(stored.first_seen),
        changes: Some((stored.first_change.0, stored.last_change.0)),
        findings,
        records,
        related,
    })
}

fn findings(
    snapshot: &Snapshot,
    people: &People,
    row: RowId,
    stored: &StoredMessage,
) -> Result<Vec<String>, AppError> {
    let message = &stored.message;
    let mut findings = Vec::new();
    if let Some(conversation) = stored.conversation {
        let held = snapshot.conversation(conversation)?.conversation;
        findings.push(format!(
            "in the conversation \"{}\" ({})",
            people.title(&held),
            held.key
        ));
    } else {
        let reason = snapshot
            .parked_row(row)?
            .map(|parked| parked.placement.otherwise.reason());
        findings.push(format!(
            "kept until its conversation is known: {}",
            reason.unwrap_or("the archive does not say why")
        ));
    }
    for other in &stored.also_in {
        findings.push(format!(
            "held by {} as well, and shown in one conversation only",
            snapshot.conversation(*other)?.conversation.key
        ));
    }
    match message.times.sent {
        None => findings.push(
            "the source has no usable time; it stands where its record was changed, or after the row before it"
                .to_owned(),
        ),
        Some(sent) if sent != stored.time => {
            findings.push(format!(
                "dated after it was seen; so as not to stay behind all others it stands at {}",
                second(stored.time)
            ));
        }
        Some(_) => {}
    }
    if let Some(twin) = &stored.duplicate_of {
        findings.push(format!(
            "not shown: what people write to themselves comes twice, and this is the received copy of {twin}"
        ));
    }
    if let Kind::Tapback(tapback) = &message.kind {
        let target = &tapback.target.guid;
        let is_held = !snapshot.messages_with(target)?.is_empty();
        let held = if is_held {
            "held"
        } else {
            "not held; it is kept until that comes"
        };
        findings.push(format!("shown as a tapback on {target}, which is {held}"));
    }
    if let Some(deleted) = message.times.deleted {
        findings.push(format!(
            "deleted by the owner on {}; the archive keeps it",
            second(deleted)
        ));
    }
    for attachment in &message.attachments {
        let reason = attachment
            .state
            .reason()
            .map_or(String::new(), |reason| format!(": {reason}"));
        findings.push(format!(
            "attachment {} is {}{reason}",
            attachment.guid,
            attachment.state.name()
        ));
    }
    if let Some(entry) = snapshot.quarantine_row(row)? {
        let reasons = entry.reasons.join("; ");
        findings.push(format!(
            "in quarantine since {} ({} attempts): {reasons}",
            second(entry.since),
            entry.attempts
        ));
    }
    let flags: Vec<&str> = message.flags.iter().map(Flag::name).collect();
    if !flags.is_empty() {
        findings.push(format!("flags: {}", flags.join(", ")));
    }
    if message.error != 0 {
        findings.push(format!("not delivered: error {}", message.error));
    }
    Ok(findings)
}

fn explain_record(source: SourceKind, stored: StoredRecord) -> ExplainedRecord {
    let record = stored.record;
    let deleted = record
        .recoverable
        .iter()
        .map(|(chat, _)| format!("{} (recently deleted)", chat.guid));
    ExplainedRecord {
        source: source.name(),
        decoder: stored.decoder,
        chats: record
            .chats
            .iter()
            .map(|chat| chat.guid.clone())
            .chain(deleted)
            .collect(),
        columns: columns(&record.row).collect(),
    }
}

/// What is to be said of a record of CloudKit beside what it holds.
fn of_cloud(snapshot: &Snapshot, held: &StoredCloudRecord) -> Result<Vec<String>, AppError> {
    let name = &held.record.name;
    let zone = &held.record.zone;
    let mut findings = Vec::new();
    if let Some(deleted) = held.deleted {
        findings.push(format!(
            "CloudKit said on {} that its record {name} in {zone} was deleted (ED-17)",
            second(deleted)
        ));
    }
    let known = CloudZone::ALL.into_iter().find(|it| it.name() == zone);
    if let Some(zone) = known
        && snapshot.zone(zone)?.misses(held)
    {
        findings.push(format!(
            "its record {name} was not seen again since {} was read anew; the archive keeps it",
            zone.name()
        ));
    }
    Ok(findings)
}

/// A message of CloudKit as the row that chat.db would have of it, so that what two sources say can be compared.
fn as_row(record: &CloudRecord) -> Option<Row> {
    match Decoder::default().decode(record.clone()) {
        CloudChange::Message(found) => Some(found.change.record.row),
        CloudChange::Chat(_) | CloudChange::Attachment(_) | CloudChange::Foreign(_) => None,
    }
}

/// In which of the columns that both have the two sources say different things; which of them is shown is a rule.
fn differences(mac: &Row, cloud: &Row) -> Option<String> {
    const COMPARED: [MessageColumn; 16] = [
        MessageColumn::Text,
        MessageColumn::AttributedBody,
        MessageColumn::Subject,
        MessageColumn::MessageSummaryInfo,
        MessageColumn::Date,
        MessageColumn::DateRead,
        MessageColumn::DateDelivered,
        MessageColumn::IsFromMe,
        MessageColumn::Service,
        MessageColumn::DestinationCallerId,
        MessageColumn::ItemType,
        MessageColumn::Error,
        MessageColumn::AssociatedMessageGuid,
        MessageColumn::AssociatedMessageType,
        MessageColumn::ThreadOriginatorGuid,
        MessageColumn::ExpressiveSendStyleId,
    ];
    let says = |row: &Row, column: MessageColumn| -> Option<Value> {
        let value = row.values.get(column.index())?;
        print(value).map(|_| value.clone())
    };
    let differs = |column: &MessageColumn| match (says(mac, *column), says(cloud, *column)) {
        (Some(ours), Some(theirs)) => ours != theirs,
        _ => false,
    };
    let named = COMPARED.iter().filter(|column| differs(column));
    let named: Vec<&str> = named
        .filter_map(|column| MessageColumn::NAMES.get(column.index()).copied())
        .collect();
    (!named.is_empty()).then(|| {
        format!(
            "chat.db and CloudKit say different things of {} (ED-8)",
            named.join(", ")
        )
    })
}

/// A row's columns that hold something, by their names.
fn columns(row: &Row) -> impl Iterator<Item = (String, String)> {
    let known = MessageColumn::NAMES.iter().zip(&row.values);
    let known = known.map(|(name, value)| ((*name).to_owned(), value));
    let extra = row.extra.iter().map(|(name, value)| (name.clone(), value));
    known
        .chain(extra)
        .filter_map(|(name, value)| Some((name, print(value)?)))
}

fn explain_cloud(held: &StoredCloudRecord, row: Option<Row>) -> ExplainedRecord {
    let record = &held.record;
    let mut named = vec![
        ("zone".to_owned(), record.zone.clone()),
        ("record".to_owned(), record.name.clone()),
        ("type".to_owned(), record.kind.clone()),
    ];
    named.extend(record.etag.clone().map(|etag| ("etag".to_owned(), etag)));
    named.extend(
        record
            .modified
            .map(|at| ("modified".to_owned(), at.to_string())),
    );
    if let Some(row) = row {
        // What is in the record's parts is what people ask for.
        let sender = record.get("sender").and_then(CloudValue::as_text);
        named.extend(sender.map(|sender| ("sender".to_owned(), sender.to_owned())));
        named.extend(columns(&row));
    } else {
        let fields = record.fields.iter();
        named.extend(fields.filter_map(|(name, value)| Some((name.clone(), print_cloud(value)?))));
    }
    ExplainedRecord {
        source: SourceKind::CloudKit.name(),
        decoder: held.decoder,
        chats: record
            .get("chatID")
            .and_then(CloudValue::as_text)
            .map(str::to_owned)
            .into_iter()
            .collect(),
        columns: named,
    }
}

/// A field as text; `None` for nothing and for 0. Bodies by their sizes.
fn print_cloud(value: &CloudValue) -> Option<String> {
    Some(match value {
        CloudValue::Missing => "no value".to_owned(),
        CloudValue::Absent | CloudValue::Integer(0) => return None,
        CloudValue::Bytes(bytes) | CloudValue::Other(bytes) => format!("{} bytes", bytes.len()),
        CloudValue::Text(text) => text.clone(),
        CloudValue::Integer(number) => number.to_string(),
        CloudValue::Real(number) => number.to_string(),
        CloudValue::Date(seconds) => AppleTime::from_seconds(*seconds)?.to_string(),
        CloudValue::List(values) => format!("{} values", values.len()),
        CloudValue::Asset(asset) => format!("a file of {} bytes", asset.size.unwrap_or_default()),
        CloudValue::Sealed { reason, .. } => format!("sealed: {reason}"),
    })
}

/// A value as text; `None` for nothing and for 0.
fn print(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Integer(0) => None,
        Value::Integer(number) => Some(number.to_string()),
        Value::Real(number) => Some(number.to_string()),
        Value::Text(text) => Some(text.clone()),
        Value::Blob(bytes) => Some(format!("{} bytes", bytes.len())),
    }
}

fn kind_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Message { .. } => "message",
        Kind::Tapback(_) => "tapback",
        Kind::Announcement(_) => "announcement",
    }
}

/// A time to the second, in a sentence.
fn second(at: AppleTime) -> String {
    at.timestamp().strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
