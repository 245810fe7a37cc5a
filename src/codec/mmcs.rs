//! MMCS, where files lie in pieces: the instructions for a download, and what the keys of the pieces look like. Nothing here
//! decrypts ([`apple::asset`](crate::apple::asset)).
//!
//! A file is a list of references to chunks. Chunks lie in containers, each of which one GET fetches; those of one file can
//! be in several containers and in any order, and between them can lie bytes of other files. So a file is put together by
//! its references, never by the order in which bytes arrive.
//!
//! Source: facts of CloudKit, 5.1 to 5.3.

use bytes::Bytes;
use prost::Message;

use crate::base::limits;
use crate::codec::cloudkit::NamedHeader;
use crate::codec::cloudkit::opaque;

/// Bytes of a checksum with its kind in front.
pub const CHECKSUM_BYTES: usize = 21;

/// Bytes of a first-generation key with its kind in front.
pub const OLD_KEY_BYTES: usize = 17;

/// Names the content of a file, a chunk or a key.
pub type Checksum = [u8; CHECKSUM_BYTES];

/// The answer that says where the chunks of files are.
#[derive(Clone, PartialEq, Message)]
pub struct AuthorizeGet {
    /// Containers and files.
    #[prost(message, optional, tag = "1")]
    pub payload: Option<Payload>,
    /// Why there are none.
    #[prost(message, optional, tag = "2")]
    pub error: Option<Refusal>,
}

/// Containers and the files in them.
#[derive(Clone, PartialEq, Message)]
pub struct Payload {
    /// The containers; references name them by their place.
    #[prost(message, repeated, tag = "1")]
    pub containers: Vec<Container>,
    /// The files.
    #[prost(message, repeated, tag = "2")]
    pub files: Vec<FileReferences>,
}

/// Why a download is refused.
#[derive(Clone, PartialEq, Message)]
pub struct Refusal {
    /// The reason.
    #[prost(message, optional, tag = "2")]
    pub detail: Option<RefusalDetail>,
}

/// The reason for a refusal.
#[derive(Clone, PartialEq, Message)]
pub struct RefusalDetail {
    /// In the server's words.
    #[prost(string, tag = "3")]
    pub reason: String,
}

/// What one GET fetches.
#[derive(Clone, PartialEq, Message)]
pub struct Container {
    /// The GET.
    #[prost(message, optional, tag = "1")]
    pub request: Option<HttpRequest>,
    /// Its chunks; references name them by their place.
    #[prost(message, repeated, tag = "5")]
    pub chunks: Vec<Chunk>,
}

/// A GET. All headers but `Host` and `Content-Length` go along; no cookies, no authorization. The URL opens the file to
/// whoever has it, for some hours.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct HttpRequest {
    /// The host.
    #[prost(string, tag = "1")]
    pub domain: String,
    /// The port.
    #[prost(uint32, tag = "2")]
    pub port: u32,
    /// The method.
    #[prost(string, tag = "3")]
    pub method: String,
    /// The path with its query.
    #[prost(string, tag = "4")]
    pub path: String,
    /// The scheme.
    #[prost(string, tag = "7")]
    pub scheme: String,
    /// Headers.
    #[prost(message, repeated, tag = "8")]
    pub headers: Vec<NamedHeader>,
}

/// A piece of a container: a chunk, or a key blob.
#[derive(Clone, PartialEq, Message)]
pub struct Chunk {
    /// The chunk.
    #[prost(message, optional, tag = "1")]
    pub chunk: Option<ChunkPlace>,
    /// The key blob.
    #[prost(message, optional, tag = "2")]
    pub key_blob: Option<BlobPlace>,
}

/// Where a chunk lies.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct ChunkPlace {
    /// Its checksum with its kind.
    #[prost(bytes = "bytes", tag = "1")]
    pub checksum: Bytes,
    /// The key of a first-generation chunk.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub key: Option<Bytes>,
    /// Stored bytes.
    #[prost(uint64, tag = "3")]
    pub size: u64,
    /// Where they begin in the container.
    #[prost(uint64, tag = "4")]
    pub offset: u64,
}

/// Where a key blob lies.
#[derive(Clone, PartialEq, Message)]
pub struct BlobPlace {
    /// Stored bytes.
    #[prost(uint32, tag = "1")]
    pub size: u32,
    /// Where they begin in the container.
    #[prost(uint32, tag = "2")]
    pub offset: u32,
}

/// A file as a list of references.
#[derive(Clone, PartialEq, Message)]
pub struct FileReferences {
    /// The asset's signature.
    #[prost(bytes = "bytes", tag = "1")]
    pub checksum: Bytes,
    /// Its chunks in order.
    #[prost(message, repeated, tag = "2")]
    pub chunks: Vec<ChunkReference>,
    /// Names the key that the key blob is sealed with.
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub key_checksum: Option<Bytes>,
    /// The key blob.
    #[prost(message, optional, tag = "6")]
    pub key_blob: Option<ChunkReference>,
}

/// A piece, by its container and its place there.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct ChunkReference {
    /// The container's place.
    #[prost(uint32, tag = "1")]
    pub container: u32,
    /// The piece's place in it.
    #[prost(uint32, tag = "2")]
    pub chunk: u32,
}

opaque! { HttpRequest ChunkPlace KeyBlob GroupedKeys Key }

impl AuthorizeGet {
    /// Reads an answer.
    ///
    /// # Errors
    /// [`PlanError::Message`] when it is something else.
    pub fn read(bytes: impl Into<Bytes>) -> Result<Self, PlanError> {
        Ok(Self::decode(bytes.into())?)
    }

    /// The answer as it is on the wire.
    pub fn write(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    /// Where the pieces of one file are.
    ///
    /// # Errors
    /// [`PlanError`]. Nothing of the answer is believed: references are followed, sizes bounded, and pieces of one file
    /// that overlap are refused.
    pub fn plan(&self, signature: &[u8]) -> Result<Plan, PlanError> {
        if let Some(error) = &self.error {
            let detail = error.detail.as_ref();
            let reason = detail
                .map(|detail| detail.reason.clone())
                .unwrap_or_default();
            return Err(PlanError::Refused { reason });
        }
        let payload = self.payload.as_ref().ok_or(PlanError::NoFile)?;
        let named = |file: &&FileReferences| file.checksum == signature;
        let file = payload.files.iter().find(named).ok_or(PlanError::NoFile)?;
        Plan::new(payload, file)
    }
}

/// Where the pieces of one file are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Distinct pieces, by container and offset.
    pub pieces: Vec<Piece>,
    /// The file's chunks in order: places in [`Plan::pieces`]. One piece can be referred to more than once.
    pub references: Vec<usize>,
    /// The key blob's place in [`Plan::pieces`].
    pub key_blob: Option<usize>,
    /// Names the key that the key blob is sealed with.
    pub key_checksum: Option<Checksum>,
}

/// A piece of a container.
#[derive(Clone, PartialEq, Eq)]
pub struct Piece {
    /// The container's place in the answer.
    pub container: usize,
    /// Where it begins in the container.
    pub offset: u64,
    /// Stored bytes.
    pub size: usize,
    /// What it is.
    pub content: PieceContent,
}

/// What a piece is.
#[derive(Clone, PartialEq, Eq)]
pub enum PieceContent {
    /// A chunk, with the key of a first-generation one.
    Chunk {
        /// Its checksum.
        checksum: Checksum,
        /// Its key.
        key: Option<[u8; OLD_KEY_BYTES]>,
    },
    /// The keys of second-generation chunks.
    KeyBlob,
}

/// Keys are secret: logs show places.
impl std::fmt::Debug for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Piece")
            .field("container", &self.container)
            .field("offset", &self.offset)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl Plan {
    fn new(payload: &Payload, file: &FileReferences) -> Result<Self, PlanError> {
        if file.chunks.len() > limits::ASSET_CHUNKS {
            return Err(PlanError::TooMuch {
                what: "chunks",
                limit: limits::ASSET_CHUNKS,
            });
        }
        let chunks = file.chunks.iter();
        let chunks: Vec<Piece> = chunks
            .map(|reference| chunk(payload, *reference))
            .collect::<Result<_, _>>()?;
        let blob = file.key_blob.map(|reference| key_blob(payload, reference));
        let blob = blob.transpose()?;
        let mut pieces: Vec<&Piece> = chunks.iter().chain(&blob).collect();
        pieces.sort_unstable_by_key(|piece| (piece.container, piece.offset, piece.size));
        pieces.dedup();
        let mut behind: Option<&Piece> = None;
        for piece in &pieces {
            if behind.is_some_and(|before| {
                before.container == piece.container && before.end() > piece.offset
            }) {
                return Err(PlanError::Overlap);
            }
            behind = Some(piece);
        }
        let place = |wanted: &Piece| {
            let key = |piece: &Piece| (piece.container, piece.offset, piece.size);
            pieces
                .binary_search_by_key(&key(wanted), |piece| key(piece))
                .map_err(|_gone| PlanError::NoPiece)
        };
        let references = chunks.iter().map(place).collect::<Result<_, _>>()?;
        let key_blob = blob.as_ref().map(place).transpose()?;
        Ok(Self {
            references,
            key_blob,
            key_checksum: file
                .key_checksum
                .as_deref()
                .and_then(|checksum| checksum.try_into().ok()),
            pieces: pieces.into_iter().cloned().collect(),
        })
    }
}

impl Piece {
    /// Where it ends in the container.
    pub fn end(&self) -> u64 {
        let size = u64::try_from(self.size).unwrap_or(u64::MAX);
        self.offset.saturating_add(size)
    }
}

fn find(payload: &Payload, reference: ChunkReference) -> Result<(usize, &Chunk), PlanError> {
    let place = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let container = place(reference.container);
    let chunks = payload.containers.get(container).map(|it| &it.chunks);
    let chunk = chunks.and_then(|chunks| chunks.get(place(reference.chunk)));
    Ok((container, chunk.ok_or(PlanError::NoPiece)?))
}

fn chunk(payload: &Payload, reference: ChunkReference) -> Result<Piece, PlanError> {
    let (container, chunk) = find(payload, reference)?;
    let chunk = chunk.chunk.as_ref().ok_or(PlanError::NoPiece)?;
    let checksum = chunk.checksum.as_ref();
    let checksum = checksum.try_into().map_err(|_other| PlanError::Length)?;
    let key = chunk.key.as_deref().filter(|key| !key.is_empty());
    let key = key.map(|key| key.try_into().map_err(|_other| PlanError::Length));
    Ok(Piece {
        container,
        offset: chunk.offset,
        size: size(chunk.size, limits::ASSET_CHUNK_BYTES, "bytes of a chunk")?,
        content: PieceContent::Chunk {
            checksum,
            key: key.transpose()?,
        },
    })
}

fn key_blob(payload: &Payload, reference: ChunkReference) -> Result<Piece, PlanError> {
    let (container, chunk) = find(payload, reference)?;
    let blob = chunk.key_blob.as_ref().ok_or(PlanError::NoPiece)?;
    let bytes = u64::from(blob.size);
    Ok(Piece {
        container,
        offset: u64::from(blob.offset),
        size: size(bytes, limits::KEY_BLOB_BYTES, "bytes of a key blob")?,
        content: PieceContent::KeyBlob,
    })
}

fn size(bytes: u64, limit: usize, what: &'static str) -> Result<usize, PlanError> {
    usize::try_from(bytes)
        .ok()
        .filter(|bytes| *bytes <= limit)
        .ok_or(PlanError::TooMuch { what, limit })
}

/// Why there is no way to a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The answer is something else.
    #[error("expected the answer of MMCS about a download")]
    Message(#[from] prost::DecodeError),
    /// The server refuses.
    #[error("the download is refused: {reason}")]
    Refused {
        /// In the server's words.
        reason: String,
    },
    /// The answer is about other files.
    #[error("the answer does not name the file")]
    NoFile,
    /// A reference leads nowhere.
    #[error("a reference of the file leads to no piece")]
    NoPiece,
    /// A checksum or a key has another length.
    #[error("a checksum or a key of the file has another length")]
    Length,
    /// Two pieces of the file lie on one another.
    #[error("pieces of the file overlap")]
    Overlap,
    /// The file is more than this program is willing to hold.
    #[error("{what} over the limit of {limit}")]
    TooMuch {
        /// Of what there is too much.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

/// What a key blob holds: either form.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct KeyBlob {
    #[prost(message, optional, tag = "1")]
    single: Option<SingleKeys>,
    #[prost(message, optional, tag = "2")]
    grouped: Option<Groups>,
}

#[derive(Clone, PartialEq, Message)]
struct SingleKeys {
    #[prost(message, repeated, tag = "1")]
    keys: Vec<Key>,
}

#[derive(Clone, PartialEq, Message)]
struct Groups {
    #[prost(message, repeated, tag = "2")]
    groups: Vec<GroupedKeys>,
}

/// Keys of chunks of one length.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct GroupedKeys {
    #[prost(bytes = "vec", tag = "1")]
    length: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    keys: Vec<Key>,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct Key {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    length: Vec<u8>,
}

/// The key of a second-generation chunk.
#[derive(Clone, PartialEq, Eq)]
pub struct ChunkKey {
    /// The key, with its kind in front.
    pub key: Vec<u8>,
    /// The bytes that the chunk really has; stored ones can be more.
    pub length: usize,
}

impl std::fmt::Debug for ChunkKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChunkKey")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

/// The keys in the plaintext of a key blob, in the order of the file's references, whichever form it has.
///
/// `None` when it is no key blob, or a length is missing.
pub fn chunk_keys(plaintext: &[u8]) -> Option<Vec<ChunkKey>> {
    let blob = KeyBlob::decode(plaintext).ok()?;
    if let Some(single) = blob.single {
        let keys = single.keys.into_iter();
        return keys.map(|key| chunk_key(key.key, &key.length)).collect();
    }
    let groups = blob.grouped?.groups.into_iter();
    groups
        .flat_map(|group| {
            let keys = group.keys.into_iter();
            keys.map(move |key| chunk_key(key.key, &group.length))
        })
        .collect()
}

fn chunk_key(key: Vec<u8>, length: &[u8]) -> Option<ChunkKey> {
    let length = u32::from_le_bytes(length.try_into().ok()?);
    Some(ChunkKey {
        key,
        length: usize::try_from(length).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNATURE: &[u8] = &[4; 21];

    fn piece(offset: u64, size: u64) -> Chunk {
        Chunk {
            chunk: Some(ChunkPlace {
                checksum: vec![0x81; 21].into(),
                key: None,
                size,
                offset,
            }),
            key_blob: None,
        }
    }

    fn answer(chunks: Vec<Chunk>, references: &[u32]) -> AuthorizeGet {
        let container = Container {
            request: None,
            chunks,
        };
        let reference = |chunk: &u32| ChunkReference {
            container: 0,
            chunk: *chunk,
        };
        AuthorizeGet {
            payload: Some(Payload {
                containers: vec![container],
                files: vec![FileReferences {
                    checksum: Bytes::from_static(SIGNATURE),
                    chunks: references.iter().map(reference).collect(),
                    key_checksum: None,
                    key_blob: None,
                }],
            }),
            error: None,
        }
    }

    #[test]
    fn references_keep_their_order_and_share_pieces() {
        let answer = answer(vec![piece(10, 5), piece(0, 10)], &[0, 1, 0]);

        let plan = answer.plan(SIGNATURE).unwrap();

        let places: Vec<_> = plan.pieces.iter().map(|piece| piece.offset).collect();
        assert_eq!(places, [0, 10]);
        assert_eq!(plan.references, [1, 0, 1]);
    }

    #[test]
    fn what_leads_nowhere_or_too_far_is_refused() {
        let plan = |answer: &AuthorizeGet| answer.plan(SIGNATURE).unwrap_err();
        let too_much = PlanError::TooMuch {
            what: "bytes of a chunk",
            limit: limits::ASSET_CHUNK_BYTES,
        };

        assert_eq!(plan(&AuthorizeGet::default()), PlanError::NoFile);
        assert_eq!(plan(&answer(vec![], &[0])), PlanError::NoPiece);
        assert_eq!(
            plan(&answer(vec![piece(0, 10), piece(9, 1)], &[0, 1])),
            PlanError::Overlap
        );
        assert_eq!(plan(&answer(vec![piece(0, u64::MAX)], &[0])), too_much);
        assert_eq!(answer(vec![], &[]).plan(&[1; 21]), Err(PlanError::NoFile));
    }

    #[test]
    fn keys_of_both_forms_come_in_order() {
        let key = |kind: u8, length: &[u8]| Key {
            key: vec![kind; 33],
            length: length.to_vec(),
        };
        let single = KeyBlob {
            single: Some(SingleKeys {
                keys: vec![key(1, &[5, 0, 0, 0]), key(2, &[0, 1, 0, 0])],
            }),
            grouped: None,
        };
        let group = |length: u8, keys: Vec<Key>| GroupedKeys {
            length: vec![length, 0, 0, 0],
            keys,
        };
        let grouped = KeyBlob {
            single: None,
            grouped: Some(Groups {
                groups: vec![
                    group(5, vec![key(1, &[]), key(2, &[])]),
                    group(6, vec![key(3, &[])]),
                ],
            }),
        };
        let read = |blob: &KeyBlob| {
            let keys = chunk_keys(&blob.encode_to_vec())?;
            let keys = keys.into_iter();
            Some(keys.map(|key| (key.key[0], key.length)).collect::<Vec<_>>())
        };

        assert_eq!(read(&single), Some(vec![(1, 5), (2, 256)]));
        assert_eq!(read(&grouped), Some(vec![(1, 5), (2, 5), (3, 6)]));
        assert_eq!(read(&KeyBlob::default()), None);
        let short = KeyBlob {
            single: Some(SingleKeys {
                keys: vec![key(1, &[5])],
            }),
            grouped: None,
        };
        assert_eq!(read(&short), None);
    }

    #[test]
    fn keys_do_not_reach_a_log() {
        let answer = answer(vec![piece(0, 1)], &[0]);
        let key = ChunkKey {
            key: vec![7; 33],
            length: 1,
        };

        let printed = format!("{answer:?} {:?} {key:?}", answer.plan(SIGNATURE).unwrap());

        assert!(
            !printed.contains("key: [") && !printed.contains("7, 7"),
            "{printed}"
        );
    }
}
