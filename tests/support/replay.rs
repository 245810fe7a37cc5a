//! An iCloud that serves the pages, zones and files of `tests/data/cloudkit` by token, so that a sync can be run over bytes
//! that another implementation made.
//!
//! Answers are those of the files but for the ids of operations and the addresses of downloads.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use bytes::Bytes;
use footbridge::codec::cloudkit::AssetGetResponse;
use footbridge::codec::cloudkit::QueryRetrieveRequest;
use footbridge::codec::cloudkit::QueryRetrieveResponse;
use footbridge::codec::cloudkit::RecordRetrieveRequest;
use footbridge::codec::cloudkit::RecordRetrieveResponse;
use footbridge::codec::cloudkit::ResponseOperation;
use footbridge::codec::cloudkit::RetrieveChangesRequest;
use footbridge::codec::cloudkit::RetrieveChangesResponse;
use footbridge::codec::cloudkit::RetrieveZoneChangesRequest;
use footbridge::codec::cloudkit::RetrieveZoneChangesResponse;
use footbridge::codec::cloudkit::ZoneSummary;
use footbridge::codec::cloudkit::decode_responses;
use footbridge::codec::mmcs::AuthorizeGet;
use footbridge::demo::Cloud;
use footbridge::demo::Credentials;
use footbridge::demo::Download;
use footbridge::demo::Refusal;
use footbridge::demo::WithAssets;
use serde_json::Value;
use serde_json::json;

fn read(file: &str) -> Bytes {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/cloudkit");
    fs::read(root.join(file)).unwrap().into()
}

fn answers(file: &str) -> Vec<ResponseOperation> {
    decode_responses(&read(file)).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        write!(digits, "{byte:02x}").unwrap();
        digits
    })
}

/// The vectors as an iCloud.
pub(crate) struct Replay {
    keys: Value,
    zones: BTreeMap<String, ZoneSummary>,
    /// Answers by zone and token, in digits; the empty one is the beginning.
    pages: BTreeMap<(String, String), ResponseOperation>,
    /// Answers by the name of the record.
    records: BTreeMap<String, ResponseOperation>,
    /// Bytes of containers, by their place in the list of downloads.
    containers: Vec<Bytes>,
    /// Which containers belong to the asset of a request.
    downloads: BTreeMap<String, Vec<usize>>,
    summary: QueryRetrieveResponse,
}

impl Replay {
    /// Reads the vectors.
    pub(crate) fn new() -> Self {
        let manifest: Value = serde_json::from_slice(&read("manifest.json")).unwrap();
        let mut replay = Self {
            keys: serde_json::from_slice(&read("keys.json")).unwrap(),
            zones: BTreeMap::new(),
            pages: BTreeMap::new(),
            records: BTreeMap::new(),
            containers: Vec::new(),
            downloads: BTreeMap::new(),
            summary: QueryRetrieveResponse::default(),
        };
        for entry in manifest["files"].as_array().unwrap() {
            let file = entry["file"].as_str().unwrap();
            if entry["changes"].is_number() {
                let zone = entry["zone"].as_str().unwrap().to_owned();
                let token = entry["requestToken"].as_str().unwrap_or_default();
                let page = answers(file).remove(0);
                replay.pages.insert((zone, token.to_owned()), page);
            }
        }
        for answer in answers("zones/zone-retrieve.response.bin") {
            for summary in answer.zone_retrieve.unwrap_or_default().zones {
                let zone = summary.zone.as_ref().unwrap().identifier.as_ref();
                let name = zone.unwrap().name().unwrap().to_owned();
                replay.zones.insert(name, summary);
            }
        }
        replay.summary = answers("messages/summary-query.bin")
            .remove(0)
            .query_retrieve
            .unwrap();
        replay.read_assets();
        replay
    }

    fn read_assets(&mut self) {
        let cases: Value = serde_json::from_slice(&read("assets/expected.json")).unwrap();
        for case in cases.as_array().unwrap() {
            let files = case["containers"].as_array().unwrap();
            let places = files.iter().map(|file| {
                self.containers.push(read(file.as_str().unwrap()));
                self.containers.len() - 1
            });
            let places = places.collect::<Vec<_>>();
            if let Some(id) = case["bundledRequestId"].as_str() {
                self.downloads.insert(id.to_owned(), places);
            }
            let name = case["case"].as_str().unwrap();
            let file = format!("assets/{name}.record-retrieve.bin");
            let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/cloudkit");
            if let Some(record) = case["recordName"]
                .as_str()
                .filter(|_| root.join(&file).exists())
            {
                self.records
                    .insert(record.to_owned(), answers(&file).remove(0));
            }
        }
    }

    /// The session file that opens it, without the items whose labels or accounts contain one of these texts.
    pub(crate) fn session(&self, without: &[&str]) -> Vec<u8> {
        let credentials = self.credentials();
        let items = self.keys["items"].as_array().unwrap().iter();
        let is_wanted = |item: &&Value| !without.iter().any(|text| item.to_string().contains(text));
        let items: Vec<&Value> = items.filter(is_wanted).collect();
        json!({
            "dsid": credentials.dsid,
            "mme_auth_token": credentials.mme_auth_token,
            "cloudkit_token": credentials.cloudkit_token,
            "handles": self.keys["ownHandles"],
            "items": items,
        })
        .to_string()
        .into_bytes()
    }

    /// The answers about downloads, with our address in them.
    fn assets(&self, answer: &ResponseOperation, host: SocketAddr) -> Vec<AssetGetResponse> {
        let bundled = answer.bundled.iter().flat_map(|bundled| &bundled.requests);
        bundled
            .map(|asset| {
                let id = asset.asset_id.clone().unwrap();
                let mut body = AuthorizeGet::read(asset.body.clone().unwrap()).unwrap();
                let containers = body.payload.iter_mut().flat_map(|it| &mut it.containers);
                for (container, place) in containers.zip(&self.downloads[&id]) {
                    let request = container.request.as_mut().unwrap();
                    request.scheme = String::from("http");
                    request.domain = host.ip().to_string();
                    request.port = host.port().into();
                    request.path = format!("/mmcs/{place}");
                }
                AssetGetResponse {
                    body: Some(body.write().into()),
                    ..asset.clone()
                }
            })
            .collect()
    }
}

impl Cloud for Replay {
    fn credentials(&self) -> Credentials {
        Credentials {
            dsid: self.keys["dsid"].as_str().unwrap().to_owned(),
            mme_auth_token: "replay-mme".to_owned(),
            cloudkit_token: "replay-cloudkit".to_owned(),
            user: self.keys["userId"].as_str().unwrap().to_owned(),
            needs_anisette: false,
        }
    }

    fn zone(&self, name: &str) -> Result<ZoneSummary, Refusal> {
        let zone = self.zones.get(name).cloned();
        zone.ok_or(Refusal::client(Refusal::ZONE_NOT_FOUND))
    }

    fn zones(
        &self,
        _: &RetrieveZoneChangesRequest,
    ) -> Result<RetrieveZoneChangesResponse, Refusal> {
        Err(Refusal::client(Refusal::BAD_SYNTAX))
    }

    fn changes(
        &self,
        request: &RetrieveChangesRequest,
        host: SocketAddr,
    ) -> Result<WithAssets<RetrieveChangesResponse>, Refusal> {
        let zone = request
            .zone
            .as_ref()
            .and_then(|zone| zone.name())
            .unwrap_or_default();
        if !self.zones.contains_key(zone) {
            return Err(Refusal::client(Refusal::ZONE_NOT_FOUND));
        }
        let token = request.token.as_deref().unwrap_or_default();
        let digits = hex(token);
        if let Some(answer) = self.pages.get(&(zone.to_owned(), digits)) {
            let page = answer.retrieve_changes.clone().unwrap();
            return Ok((page, self.assets(answer, host)));
        }
        // Behind the last page of a zone there is nothing, for ever.
        let mut pages = self.pages.iter().filter(|((of, _), _)| of == zone);
        let is_end = pages.any(|(_, answer)| {
            let page = answer.retrieve_changes.as_ref();
            page.is_some_and(|page| page.token.as_deref() == Some(token))
        });
        if !is_end {
            return Err(Refusal::client(Refusal::RESET_NEEDED));
        }
        let page = RetrieveChangesResponse {
            changes: Vec::new(),
            token: request.token.clone(),
            status: Some(RetrieveChangesResponse::CAUGHT_UP),
        };
        Ok((page, Vec::new()))
    }

    fn record(
        &self,
        request: &RecordRetrieveRequest,
        host: SocketAddr,
    ) -> Result<WithAssets<RecordRetrieveResponse>, Refusal> {
        let name = request.record.as_ref().and_then(|record| record.name());
        let answer = self.records.get(name.unwrap_or_default());
        let answer = answer.ok_or(Refusal::server(Refusal::NOT_FOUND))?;
        Ok((
            answer.record_retrieve.clone().unwrap(),
            self.assets(answer, host),
        ))
    }

    fn query(&self, _: &QueryRetrieveRequest) -> Result<QueryRetrieveResponse, Refusal> {
        Ok(self.summary.clone())
    }

    fn container(&self, download: &Download<'_>) -> Result<Bytes, u16> {
        let [_, place] = *download.path.as_slice() else {
            return Err(404);
        };
        let place: usize = place.parse().map_err(|_number| 404_u16)?;
        self.containers.get(place).cloned().ok_or(404)
    }

    fn reset(&self, _: &str) {}
}
