//! The files of the invented account as MMCS stores them, and the records that describe them.
//!
//! Chunks of a file are dealt out to up to three containers, the last one first, with bytes of nobody between them; the key
//! blob lies in the first container behind its first chunk. Everything is made again whenever it is asked for.
//!
//! | of a cycle's files | is special in |
//! |---|---|
//! | the JPEG | first generation: the chunk brings its key along |
//! | the forwarded one | stored once, under the key of the file that it repeats |
//! | the Live Photo | has its movie in `avid` |
//! | the document | several chunks; in every tenth cycle there is no `lqa` |
//!
//! In a dirty account some of the records are damaged: [`DirtyFile`] says how.
//!
//! Source: facts of CloudKit, 3.6 and 5.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::apple::asset;
use crate::apple::asset::AssetKey;
use crate::apple::asset::SealedFile;
use crate::apple::asset::key_checksum;
use crate::apple::seal::Entropy;
use crate::base::secret::Secret;
use crate::codec::cloudkit::Asset;
use crate::codec::cloudkit::AssetGetResponse;
use crate::codec::cloudkit::Deflater;
use crate::codec::cloudkit::NamedHeader;
use crate::codec::cloudkit::Record;
use crate::codec::mmcs::AuthorizeGet;
use crate::codec::mmcs::BlobPlace;
use crate::codec::mmcs::Chunk;
use crate::codec::mmcs::ChunkPlace;
use crate::codec::mmcs::ChunkReference;
use crate::codec::mmcs::Container;
use crate::codec::mmcs::FileReferences;
use crate::codec::mmcs::HttpRequest;
use crate::codec::mmcs::Payload;
use crate::demo::files;
use crate::demo::files::File;
use crate::demo::plan::BUSINESS_FILE;
use crate::demo::plan::CYCLE;
use crate::demo::plan::DirtyFile;
use crate::demo::plan::FILES;
use crate::demo::plan::FileKind;
use crate::demo::plan::FilePlace;
use crate::demo::plan::ORIGINAL;
use crate::demo::plan::file_places;
use crate::demo::random::Random;
use crate::demo::random::Stream;
use crate::demo::record;
use crate::demo::record::FileDraft;
use crate::demo::record::Place;
use crate::demo::record::Writer;
use crate::demo::story::Story;

/// A header that a download has to repeat.
pub(super) const TICKET: &str = "x-demo-ticket";

/// Chunks of documents are this long, of other files as long as the file.
const CHUNK_BYTES: usize = 4_000;
const LARGE_CHUNK_BYTES: usize = 48_000;

/// Containers of one file, at most.
const CONTAINERS: usize = 3;

/// Bytes between the pieces of a container.
const GAP: [u8; 16] = [0xa5; 16];

const LARGE_EVERY: u64 = 20;

/// One file of the account.
#[derive(Clone, Copy)]
pub(super) struct Upload<'a> {
    story: &'a Story,
    boundary: &'a [u8; 32],
    /// Its number among all.
    pub(super) number: u64,
    pub(super) place: FilePlace,
}

/// Which of a record's files is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileField {
    /// `lqa`.
    File,
    /// `avid`.
    Movie,
}

impl FileField {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::File => "lqa",
            Self::Movie => "avid",
        }
    }
}

/// Where the files can be fetched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Host {
    pub(super) address: SocketAddr,
    /// Addresses of another generation are not good any more.
    pub(super) generation: u64,
}

impl<'a> Upload<'a> {
    pub(super) fn new(story: &'a Story, boundary: &'a [u8; 32], number: u64) -> Option<Self> {
        let at = usize::try_from(number % file_places()).ok()?;
        Some(Self {
            story,
            boundary,
            number,
            place: *FILES.get(at)?,
        })
    }

    /// The message that it belongs to.
    pub(super) fn message(self) -> u64 {
        self.cycle() * CYCLE + self.place.message
    }

    /// Whether it is in iCloud at all.
    pub(super) fn has_file(self) -> bool {
        let is_missing = self.place.kind == FileKind::Document && self.cycle() % 10 == 4;
        !is_missing && self.dirty() != Some(DirtyFile::NoFile)
    }

    /// What is wrong with its record.
    pub(super) fn dirty(self) -> Option<DirtyFile> {
        let is_dirty = self.story.is_dirty() && self.number < BUSINESS_FILE;
        DirtyFile::of(self.place.kind, self.cycle()).filter(|_| is_dirty)
    }

    fn cycle(self) -> u64 {
        self.number / file_places()
    }

    /// The file itself.
    pub(super) fn content(self, field: FileField) -> File {
        let cycle = self.cycle();
        let is_large = cycle % LARGE_EVERY == LARGE_EVERY - 1;
        let (kind, number) = match (field, self.place.kind) {
            (FileField::Movie, _) => (FileKind::Movie, self.number + 1),
            (FileField::File, FileKind::Forwarded) => {
                (FileKind::Png, cycle * file_places() + ORIGINAL)
            }
            (FileField::File, kind) => (kind, self.number),
        };
        files::file(self.story.seed, kind, number, is_large)
    }

    fn key(self, number: u64, field: FileField) -> AssetKey {
        let stream = number << 1 | u64::from(field == FileField::Movie);
        let key: [u8; 32] = Random::new(self.story.seed, Stream::Upload, stream).array();
        Secret::new(key.to_vec())
    }

    /// The key that its record has.
    fn own_key(self, field: FileField) -> AssetKey {
        self.key(self.number, field)
    }

    /// The key that it is stored under.
    fn stored_key(self, field: FileField) -> AssetKey {
        if self.place.kind == FileKind::Forwarded {
            return self.key(self.cycle() * file_places() + ORIGINAL, field);
        }
        self.own_key(field)
    }

    fn is_hashed(self) -> bool {
        self.place.kind == FileKind::Jpeg
    }

    fn sealed(self, field: FileField) -> SealedFile {
        let file = self.content(field).bytes;
        let is_document = self.place.kind == FileKind::Document;
        let chunk_bytes = match file.len() {
            100_000.. if is_document => LARGE_CHUNK_BYTES,
            _ if is_document => CHUNK_BYTES,
            length => length,
        };
        if self.is_hashed() {
            return asset::seal_file_hashed(&file, chunk_bytes);
        }
        let key = self.stored_key(field);
        // The same for everybody who uploads the file under the same key.
        let mut random = Random::new(self.story.seed, Stream::Upload, seed_of(&key));
        asset::seal_file(&file, &key, self.boundary, chunk_bytes, &mut random)
    }

    /// The record. With a host, its files come with what is needed to fetch them.
    pub(super) fn record(
        self,
        place: Place<'_>,
        host: Option<Host>,
        deflater: &mut Deflater,
    ) -> (Record, Vec<AssetGetResponse>) {
        let mut bundled = Vec::new();
        let user = place.user.to_owned();
        let mut record = Writer::new(place);
        let file = self.content(FileField::File);
        let draft = self.draft(&file);
        record::describe_file(&mut record, &draft, deflater);
        if draft.dirty == Some(DirtyFile::NoFile) {
            record.without_value(FileField::File.name());
        }
        let mut fields = Vec::new();
        if self.has_file() {
            fields.push(FileField::File);
        }
        if self.place.kind == FileKind::LivePhoto {
            fields.push(FileField::Movie);
        }
        for field in fields {
            let key = self.own_key(field);
            let content = self.content(field).bytes;
            let signature = if self.is_hashed() {
                asset::hashed_file_signature(&content)
            } else {
                asset::file_signature(&content, self.boundary)
            };
            let request = host.map(|host| {
                let id = Random::new(self.story.seed, Stream::Upload, !self.number).uuid();
                let id = format!("{id}-{}", field.name());
                bundled.push(AssetGetResponse {
                    asset_id: Some(id.clone()),
                    body: Some(self.authorize(field, host).write().into()),
                    headers: Vec::new(),
                });
                id
            });
            let reference = key_checksum(&key);
            let described = Asset {
                owner: Some(user.clone()),
                signature: Some(Bytes::copy_from_slice(&signature)),
                size: u64::try_from(content.len()).ok(),
                protection: None,
                reference_signature: (!self.is_hashed())
                    .then(|| Bytes::copy_from_slice(&reference)),
                bundled_request_id: request,
            };
            let key = (!self.is_hashed()).then_some(key);
            record.asset(
                field.name(),
                described,
                key.as_ref().map(|key| &key.expose()[..]),
            );
            if draft.dirty == Some(DirtyFile::NoFileKey) {
                record.damage();
            }
        }
        (record.finish("attachment"), bundled)
    }

    /// What the record says of the file.
    pub(super) fn draft(self, file: &File) -> FileDraft {
        let size = i64::try_from(file.bytes.len()).unwrap_or_default();
        let created = self.story.time(self.message()) / 1_000_000_000;
        FileDraft {
            guid: self.story.file_guid(self.number),
            name: file.name.clone(),
            mime: file.mime.to_owned(),
            uti: file.uti.to_owned(),
            // Some systems do not know.
            size: if self.number % 7 == 3 { -1 } else { size },
            is_sticker: self.place.kind == FileKind::Sticker,
            is_outgoing: false,
            created: if self.number % 7 == 5 {
                -created
            } else {
                created
            },
            dirty: self.dirty(),
        }
    }

    /// Pieces of each container, with their places.
    fn containers(self, field: FileField) -> (SealedFile, Vec<Vec<Placed>>) {
        let sealed = self.sealed(field);
        let count = sealed.chunks.len().clamp(1, CONTAINERS);
        let mut containers: Vec<Vec<Placed>> = vec![Vec::new(); count];
        for (number, container) in containers.iter_mut().enumerate() {
            let mut pieces: Vec<Piece> = (number..sealed.chunks.len())
                .step_by(count)
                .map(Piece::Chunk)
                .rev()
                .collect();
            if number == 0 && sealed.key_blob.is_some() {
                pieces.insert(pieces.len().min(1), Piece::KeyBlob);
            }
            let mut offset = 0;
            for piece in pieces {
                let size = piece.bytes(&sealed).len();
                container.push((piece, offset, size));
                offset += size + GAP.len();
            }
        }
        (sealed, containers)
    }

    /// What the server says about its download.
    fn authorize(self, field: FileField, host: Host) -> AuthorizeGet {
        let (sealed, places) = self.containers(field);
        let mut references = vec![ChunkReference::default(); sealed.chunks.len()];
        let mut key_blob = None;
        let mut containers = Vec::new();
        for ((number, pieces), at) in places.iter().enumerate().zip(0_u32..) {
            let mut chunks = Vec::new();
            for ((piece, offset, size), chunk) in pieces.iter().zip(0_u32..) {
                let reference = ChunkReference {
                    container: at,
                    chunk,
                };
                match piece {
                    Piece::KeyBlob => key_blob = Some(reference),
                    Piece::Chunk(place) => {
                        if let Some(slot) = references.get_mut(*place) {
                            *slot = reference;
                        }
                    }
                }
                chunks.push(piece.describe(&sealed, *offset, *size));
            }
            containers.push(Container {
                request: Some(self.request(field, number, host)),
                chunks,
            });
        }
        let key = self.stored_key(field);
        let file = FileReferences {
            checksum: Bytes::copy_from_slice(&sealed.signature),
            chunks: references,
            key_checksum: key_blob.map(|_| Bytes::copy_from_slice(&key_checksum(&key))),
            key_blob,
        };
        AuthorizeGet {
            payload: Some(Payload {
                containers,
                files: vec![file],
            }),
            error: None,
        }
    }

    fn request(self, field: FileField, container: usize, host: Host) -> HttpRequest {
        let path = format!(
            "/mmcs/{}/{}/{container}?g={}",
            self.number,
            field.name(),
            host.generation
        );
        HttpRequest {
            domain: host.address.ip().to_string(),
            port: host.address.port().into(),
            method: "GET".to_owned(),
            path,
            scheme: "http".to_owned(),
            headers: vec![NamedHeader {
                name: Some(TICKET.to_owned()),
                value: Some(self.number.to_string()),
            }],
        }
    }

    /// What lies in a container.
    pub(super) fn container(self, field: FileField, number: usize) -> Option<Vec<u8>> {
        let (sealed, places) = self.containers(field);
        let mut bytes = Vec::new();
        for (piece, _, _) in places.get(number)? {
            bytes.extend_from_slice(piece.bytes(&sealed));
            bytes.extend_from_slice(&GAP);
        }
        Some(bytes)
    }
}

/// A piece with its place in the container, and its length.
type Placed = (Piece, usize, usize);

/// A piece of a container.
#[derive(Clone, Copy)]
enum Piece {
    /// A chunk, by its place in the file.
    Chunk(usize),
    KeyBlob,
}

impl Piece {
    fn bytes(self, sealed: &SealedFile) -> &[u8] {
        match self {
            Self::Chunk(at) => sealed.chunks.get(at).map_or(&[][..], |chunk| &chunk.bytes),
            Self::KeyBlob => sealed.key_blob.as_deref().unwrap_or_default(),
        }
    }

    fn describe(self, sealed: &SealedFile, offset: usize, size: usize) -> Chunk {
        match self {
            Self::Chunk(at) => Chunk {
                chunk: sealed.chunks.get(at).map(|chunk| ChunkPlace {
                    checksum: Bytes::copy_from_slice(&chunk.checksum),
                    key: chunk.key.map(|key| Bytes::copy_from_slice(&key)),
                    size: u64::try_from(size).unwrap_or_default(),
                    offset: u64::try_from(offset).unwrap_or_default(),
                }),
                key_blob: None,
            },
            Self::KeyBlob => Chunk {
                chunk: None,
                key_blob: Some(BlobPlace {
                    size: u32::try_from(size).unwrap_or_default(),
                    offset: u32::try_from(offset).unwrap_or_default(),
                }),
            },
        }
    }
}

fn seed_of(key: &AssetKey) -> u64 {
    key.expose()
        .first_chunk()
        .copied()
        .map_or(0, u64::from_le_bytes)
}
