//! The invented account: its feeds, its records by name, what changes while it lives, and the truth about all of it.

use std::net::SocketAddr;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::RwLockReadGuard;
use std::sync::RwLockWriteGuard;

use bytes::Bytes;

use crate::codec::cloudkit::AssetGetResponse;
use crate::codec::cloudkit::AssetsToDownload;
use crate::codec::cloudkit::Deflater;
use crate::codec::cloudkit::Field;
use crate::codec::cloudkit::Identifier;
use crate::codec::cloudkit::Named;
use crate::codec::cloudkit::QueryRetrieveRequest;
use crate::codec::cloudkit::QueryRetrieveResponse;
use crate::codec::cloudkit::QueryRow;
use crate::codec::cloudkit::Record;
use crate::codec::cloudkit::RecordChange;
use crate::codec::cloudkit::RecordIdentifier;
use crate::codec::cloudkit::RecordRetrieveRequest;
use crate::codec::cloudkit::RecordRetrieveResponse;
use crate::codec::cloudkit::RequestedFields;
use crate::codec::cloudkit::RetrieveChangesRequest;
use crate::codec::cloudkit::RetrieveChangesResponse;
use crate::codec::cloudkit::RetrieveZoneChangesRequest;
use crate::codec::cloudkit::RetrieveZoneChangesResponse;
use crate::codec::cloudkit::Value;
use crate::codec::cloudkit::ZoneChange;
use crate::codec::cloudkit::ZoneIdentifier;
use crate::codec::cloudkit::ZoneSummary;
use crate::demo::cloud::Cloud;
use crate::demo::cloud::Credentials;
use crate::demo::cloud::Download;
use crate::demo::cloud::Refusal;
use crate::demo::cloud::WithAssets;
use crate::demo::feed::Feed;
use crate::demo::feed::Step;
use crate::demo::keys::Items;
use crate::demo::keys::Keys;
use crate::demo::keys::Tokens;
use crate::demo::live::Live;
use crate::demo::position::Position;
use crate::demo::position::TokenError;
use crate::demo::story::Story;
use crate::demo::truth::Truth;
use crate::demo::upload::FileField;
use crate::demo::upload::Host;
use crate::demo::upload::Upload;
use crate::demo::zone::ZoneKind;

/// Changes of a page unless it is said otherwise; about what was seen of Apple's (SC-10).
const PAGE_CHANGES: u64 = 200;

/// The status of a page that is not the last; Apple's is not known.
const MORE: i32 = 1;

/// Whether the account has what real accounts have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dirtiness {
    /// Every record can be read.
    Clean,
    /// About one message in a hundred is odd, one in five hundred cannot be read, some records of chats and files neither;
    /// and there are chats with businesses, in zones of their own (facts, 3.1 and 9).
    #[default]
    AsSeen,
}

/// An invented account.
///
/// The same seed and number of messages give the same bytes. Records are made when they are asked for: a million messages
/// need no memory.
pub struct Account {
    pub(super) user: String,
    pub(super) story: Story,
    pub(super) keys: Keys,
    pub(super) feed: Feed,
    pub(super) page_changes: u64,
    pub(super) live: RwLock<Live>,
}

impl Account {
    /// An account of about so many messages: some records of the feed are no messages, and some messages are deleted.
    pub fn new(seed: u64, messages: u64, dirtiness: Dirtiness) -> Self {
        let story = Story::new(seed, messages, dirtiness);
        let mut live = Live::default();
        if dirtiness == Dirtiness::Clean {
            live.missing.extend(ZoneKind::OF_BUSINESSES);
        }
        Self {
            user: Tokens::new(seed, 0).user,
            keys: Keys::new(seed),
            feed: Feed::new(&story),
            story,
            page_changes: PAGE_CHANGES,
            live: RwLock::new(live),
        }
    }

    /// The same with pages of so many changes.
    #[must_use]
    pub fn with_pages(mut self, changes: u64) -> Self {
        self.page_changes = changes.max(1);
        self
    }

    /// The session file that opens it, as JSON.
    pub fn session(&self, items: Items) -> Vec<u8> {
        self.tokens().session(&self.keys, items)
    }

    /// How many changes a zone's feed has by now.
    pub fn feed_length(&self, zone: ZoneKind) -> u64 {
        self.head(&self.read(), zone)
    }

    /// Gives out new tokens: the ones before are not accepted any more, and [`Account::session`] has the new ones.
    pub fn expire_tokens(&self) {
        self.write().generation += 1;
    }

    /// Delivers the key that was missing: the zone's keys have it from now on.
    pub fn deliver_key(&self) {
        self.write().has_late_key = true;
    }

    /// Makes the addresses of files that were given out useless: they are answered with 403.
    pub fn expire_downloads(&self) {
        self.write().downloads += 1;
    }

    /// Removes a zone, as its owner can, or brings it back. Nothing in it changes.
    pub fn set_zone(&self, zone: ZoneKind, is_there: bool) {
        let mut live = self.write();
        live.missing.retain(|missing| *missing != zone);
        if !is_there {
            live.missing.push(zone);
        }
    }

    pub(super) fn tokens(&self) -> Tokens {
        Tokens::new(self.story.seed, self.read().generation)
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Live> {
        self.live.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn upload(&self, number: u64) -> Option<Upload<'_>> {
        Upload::new(&self.story, &self.keys.boundary, number)
    }

    /// How many changes a zone's feed has.
    pub(super) fn head(&self, live: &Live, zone: ZoneKind) -> u64 {
        let later = u64::try_from(live.changes(zone).len()).unwrap_or_default();
        self.feed.length(zone) + later
    }

    fn position(
        &self,
        live: &Live,
        zone: ZoneKind,
        request: &RetrieveChangesRequest,
    ) -> Result<Position, Refusal> {
        let is_newest_first = request.newest_first == Some(true);
        let Some(token) = request.token.as_deref() else {
            let head = self.head(live, zone);
            return Ok(if is_newest_first {
                Position::Newest {
                    floor: 0,
                    next: head,
                    head,
                }
            } else {
                Position::Forward { done: 0 }
            });
        };
        let read = Position::read(token, self.story.seed, zone, live.epoch(zone));
        let position = read.map_err(|error| {
            Refusal::client(match error {
                TokenError::Foreign => Refusal::BAD_SYNTAX,
                TokenError::Expired => Refusal::RESET_NEEDED,
            })
        })?;
        // Positions of one order mean nothing in the other.
        if is_newest_first == matches!(position, Position::Newest { .. }) {
            Ok(position)
        } else {
            Err(Refusal::client(Refusal::BAD_SYNTAX))
        }
    }

    /// A page from a position on: where its changes are, and the position behind it.
    fn cut(
        &self,
        live: &Live,
        zone: ZoneKind,
        from: Position,
        limit: u64,
    ) -> (Vec<Step>, Position) {
        let head = self.head(live, zone);
        match from {
            Position::Forward { done } => {
                let end = done.saturating_add(limit).min(head);
                let steps = (done..end).filter_map(|at| self.step(live, zone, at));
                (steps.collect(), Position::Forward { done: end })
            }
            Position::Newest {
                floor,
                next,
                head: seen,
            } => {
                let (floor, mut next, seen) = if next <= floor {
                    (seen, head, head)
                } else {
                    (floor, next, seen)
                };
                let mut steps = Vec::new();
                let mut left = limit;
                while next > floor && left > 0 {
                    next -= 1;
                    // Backwards, what was changed later was handed out before.
                    if !self.is_superseded(live, zone, next) {
                        steps.extend(self.step(live, zone, next));
                        left -= 1;
                    }
                }
                let behind = Position::Newest {
                    floor,
                    next,
                    head: seen,
                };
                (steps, behind)
            }
        }
    }

    fn step(&self, live: &Live, zone: ZoneKind, at: u64) -> Option<Step> {
        match at.checked_sub(self.feed.length(zone)) {
            None => self.feed.step(&self.story, zone, at),
            Some(later) => live.step(zone, later),
        }
    }

    fn is_superseded(&self, live: &Live, zone: ZoneKind, at: u64) -> bool {
        let Some(step) = self.step(live, zone, at) else {
            return true;
        };
        let name = self.feed.name(zone, &step);
        match at.checked_sub(self.feed.length(zone)) {
            None => {
                Feed::is_superseded(&self.story, zone, &step)
                    || name.is_some_and(|name| live.latest(zone, &name).is_some())
            }
            Some(later) => name.is_some_and(|name| live.latest(zone, &name) != Some(later)),
        }
    }

    fn is_end(&self, live: &Live, zone: ZoneKind, position: Position) -> bool {
        match position {
            Position::Forward { done } => done >= self.head(live, zone),
            Position::Newest { floor, next, .. } => next <= floor,
        }
    }

    fn change(
        &self,
        zone: ZoneKind,
        step: &Step,
        host: Option<Host>,
        deflater: &mut Deflater,
    ) -> (RecordChange, Vec<AssetGetResponse>) {
        let identify = |name: Option<&str>| {
            let zone = ZoneIdentifier::new(zone.name(), &self.user);
            RecordIdentifier {
                value: name.map(|name| Identifier::new(name, Identifier::RECORD)),
                zone: Some(zone),
            }
        };
        let name = self.feed.name(zone, step);
        // Of an empty identifier there is no name either.
        let has_identifier = !matches!(step, Step::NoIdentifier);
        let identifier = has_identifier.then(|| identify(name.as_deref()));
        let written = self.written(zone, step, host, deflater);
        let (record, bundled) = written.map_or((None, Vec::new()), |(record, bundled)| {
            (Some(record), bundled)
        });
        let change = RecordChange {
            identifier,
            etag: record.as_ref().and_then(|record| record.etag.clone()),
            kind: Some(if record.is_some() { 1 } else { 2 }),
            record,
        };
        (change, bundled)
    }

    /// The state of a record by its name.
    pub(super) fn current(&self, live: &Live, zone: ZoneKind, name: &str) -> Option<Step> {
        match live.latest(zone, name) {
            Some(later) => live.step(zone, later),
            None => self.feed.current(&self.story, zone, name),
        }
    }

    /// The truth about every record that is there now, zone by zone.
    ///
    /// Changes that name nothing and deletions are not in it.
    pub fn truths(&self) -> impl Iterator<Item = Truth> {
        ZoneKind::ALL.into_iter().flat_map(move |zone| {
            let head = self.head(&self.read(), zone);
            (0..head).filter_map(move |at| {
                let live = self.read();
                if self.is_superseded(&live, zone, at) {
                    return None;
                }
                self.truth_of(zone, &self.step(&live, zone, at)?, live.has_late_key)
            })
        })
    }

    /// The truth about one record.
    pub fn truth(&self, zone: ZoneKind, record: &str) -> Option<Truth> {
        let live = self.read();
        let step = self.current(&live, zone, record)?;
        self.truth_of(zone, &step, live.has_late_key)
    }

    /// The bytes of a file, by the name of its record.
    pub fn file(&self, record: &str) -> Option<Vec<u8>> {
        let number = self.feed.file_number(&self.story, record)?;
        let upload = self.upload(number)?;
        upload
            .has_file()
            .then(|| upload.content(FileField::File).bytes)
    }
}

/// The zone of a name, if it is there.
fn existing(live: &Live, zone: Option<&str>) -> Result<ZoneKind, Refusal> {
    zone.and_then(ZoneKind::parse)
        .filter(|zone| !live.missing.contains(zone))
        .ok_or(Refusal::client(Refusal::ZONE_NOT_FOUND))
}

/// Where downloads go, if any are asked for.
fn host_for(live: &Live, assets: Option<&AssetsToDownload>, address: SocketAddr) -> Option<Host> {
    let wants = assets.is_some_and(|assets| {
        let fields = assets.fields.as_ref();
        assets.all == Some(true) || fields.is_some_and(|fields| !fields.fields.is_empty())
    });
    wants.then_some(Host {
        address,
        generation: live.downloads,
    })
}

/// The record with the fields that are wanted.
fn wanted(mut record: Record, fields: Option<&RequestedFields>) -> Record {
    let names: Vec<&str> = fields
        .iter()
        .flat_map(|fields| &fields.fields)
        .filter_map(|field| field.name.as_deref())
        .collect();
    if !names.is_empty() {
        record.fields.retain(|field| names.contains(&field.name()));
    }
    record
}

impl Cloud for Account {
    fn credentials(&self) -> Credentials {
        let tokens = self.tokens();
        Credentials {
            dsid: tokens.dsid,
            mme_auth_token: tokens.mme,
            cloudkit_token: tokens.cloudkit,
            user: tokens.user,
            needs_anisette: true,
        }
    }

    fn zone(&self, name: &str) -> Result<ZoneSummary, Refusal> {
        let live = self.read();
        let zone = existing(&live, Some(name))?;
        let head = Position::Forward {
            done: self.head(&live, zone),
        };
        Ok(ZoneSummary {
            zone: self.keys.describe(zone, &self.user, live.has_late_key),
            token: Some(head.write(self.story.seed, zone, live.epoch(zone)).into()),
        })
    }

    fn zones(
        &self,
        request: &RetrieveZoneChangesRequest,
    ) -> Result<RetrieveZoneChangesResponse, Refusal> {
        let live = self.read();
        let heads = ZoneKind::ALL.map(|zone| self.head(&live, zone));
        let token: Vec<u8> = heads.iter().flat_map(|head| head.to_be_bytes()).collect();
        let nothing = vec![0; token.len()];
        let seen = request.token.as_deref().unwrap_or(&nothing);
        if seen.len() != token.len() {
            return Err(Refusal::client(Refusal::BAD_SYNTAX));
        }
        let pairs = ZoneKind::ALL
            .into_iter()
            .zip(seen.chunks(8).zip(token.chunks(8)));
        let changed =
            pairs.filter(|(zone, (seen, now))| seen != now && !live.missing.contains(zone));
        let found = changed.map(|(zone, _)| ZoneChange {
            zone: Some(ZoneIdentifier::new(zone.name(), &self.user)),
            kind: Some(1),
        });
        Ok(RetrieveZoneChangesResponse {
            changes: found.collect(),
            token: Some(token.into()),
            status: Some(RetrieveZoneChangesResponse::CAUGHT_UP),
        })
    }

    fn changes(
        &self,
        request: &RetrieveChangesRequest,
        host: SocketAddr,
    ) -> Result<WithAssets<RetrieveChangesResponse>, Refusal> {
        let (zone, steps, position, epoch, is_end, host) = {
            let live = self.read();
            let zone = request.zone.as_ref().and_then(|zone| zone.name());
            let zone = existing(&live, zone)?;
            let from = self.position(&live, zone, request)?;
            let asked = request.max_changes.map_or(u64::MAX, u64::from).max(1);
            let (steps, behind) = self.cut(&live, zone, from, asked.min(self.page_changes));
            let is_end = self.is_end(&live, zone, behind);
            let host = host_for(&live, request.assets.as_ref(), host);
            (zone, steps, behind, live.epoch(zone), is_end, host)
        };
        let mut deflater = Deflater::default();
        let mut assets = Vec::new();
        let mut changes = Vec::with_capacity(steps.len());
        for step in &steps {
            let (mut change, bundled) = self.change(zone, step, host, &mut deflater);
            change.record = change
                .record
                .map(|record| wanted(record, request.fields.as_ref()));
            changes.push(change.write());
            assets.extend(bundled);
        }
        let page = RetrieveChangesResponse {
            changes,
            token: Some(position.write(self.story.seed, zone, epoch).into()),
            status: Some(if is_end {
                RetrieveChangesResponse::CAUGHT_UP
            } else {
                MORE
            }),
        };
        Ok((page, assets))
    }

    fn record(
        &self,
        request: &RecordRetrieveRequest,
        host: SocketAddr,
    ) -> Result<WithAssets<RecordRetrieveResponse>, Refusal> {
        let identifier = request.record.as_ref();
        let (zone, step, host) = {
            let live = self.read();
            let zone = identifier.and_then(|id| id.zone.as_ref()?.name());
            let zone = existing(&live, zone)?;
            let name = identifier
                .and_then(RecordIdentifier::name)
                .unwrap_or_default();
            let step = self.current(&live, zone, name);
            (zone, step, host_for(&live, request.assets.as_ref(), host))
        };
        let step = step.ok_or(Refusal::server(Refusal::NOT_FOUND))?;
        let (change, assets) = self.change(zone, &step, host, &mut Deflater::default());
        let record = change.record.ok_or(Refusal::server(Refusal::NOT_FOUND))?;
        let answer = RecordRetrieveResponse {
            record: Some(wanted(record, request.fields.as_ref())),
        };
        Ok((answer, assets))
    }

    fn query(&self, request: &QueryRetrieveRequest) -> Result<QueryRetrieveResponse, Refusal> {
        let live = self.read();
        let zone = request.zone.as_ref().and_then(|zone| zone.name());
        let zone = existing(&live, zone)?;
        let types = request.query.iter().flat_map(|query| &query.types);
        let mut types = types.filter_map(|kind| kind.name.as_deref());
        if !types.any(|kind| kind == "MessagesSummary") {
            return Ok(QueryRetrieveResponse::default());
        }
        Ok(self.summary(zone))
    }

    fn container(&self, download: &Download<'_>) -> Result<Bytes, u16> {
        let ["mmcs", number, field, container] = *download.path.as_slice() else {
            return Err(404);
        };
        let generation = self.read().downloads.to_string();
        if download.generation != Some(&generation) || download.ticket != Some(number) {
            return Err(403);
        }
        let field = match field {
            "lqa" => FileField::File,
            "avid" => FileField::Movie,
            _ => return Err(404),
        };
        let upload = number.parse().ok().and_then(|number| self.upload(number));
        let bytes = container
            .parse()
            .ok()
            .and_then(|container| upload?.container(field, container));
        bytes.map(Bytes::from).ok_or(404)
    }

    fn reset(&self, zone: &str) {
        if let Some(zone) = ZoneKind::parse(zone) {
            *self.write().epochs.entry(zone).or_default() += 1;
        }
    }
}

impl Account {
    /// How many records there are, as the server counts them: in clear, and how the numbers add up is not known.
    fn summary(&self, zone: ZoneKind) -> QueryRetrieveResponse {
        let identifier =
            RecordIdentifier::new("summary", ZoneIdentifier::new(zone.name(), &self.user));
        let counts = [
            ("MessageEncryptedV3", ZoneKind::Message),
            ("chatEncryptedv2", ZoneKind::Chat),
            ("attachment", ZoneKind::Attachment),
        ];
        let fields = counts
            .into_iter()
            .map(|(name, of)| {
                let number = Value {
                    kind: Some(7),
                    signed: i64::try_from(self.feed.length(of)).ok(),
                    ..Value::default()
                };
                let list = Value {
                    kind: Some(17),
                    list: vec![number],
                    ..Value::default()
                };
                Field::new(name, list)
            })
            .collect();
        let record = Record {
            etag: Some("1".to_owned()),
            identifier: Some(identifier.clone()),
            kind: Some(Named::new("MessagesSummary")),
            fields,
            ..Record::default()
        };
        QueryRetrieveResponse {
            rows: vec![QueryRow {
                identifier: Some(identifier),
                etag: Some("1".to_owned()),
                record: Some(record),
            }],
            marker: None,
        }
    }
}
