//! Puts a file together from the bytes of its containers, whichever comes first.
//!
//! Bytes go in as they arrive; verified chunks come out with their place in the file. Chunks that arrive before the keys
//! wait sealed, so that the container with the key blob is best fetched first. Nothing is published here: whoever takes the
//! chunks shows the file after [`Assembler::finish`] and not before.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use crate::apple::asset::AssetKey;
use crate::apple::asset::AssetKeys;
use crate::apple::asset::chunk;
use crate::apple::asset::key_blob;
use crate::codec::mmcs::ChunkKey;
use crate::codec::mmcs::Piece;
use crate::codec::mmcs::PieceContent;
use crate::codec::mmcs::Plan;

/// A file that is being put together.
pub struct Assembler {
    plan: Plan,
    /// What may open the key blob: the asset's own key, and those of others.
    own: Option<AssetKey>,
    known: Arc<AssetKeys>,
    keys: Option<Vec<ChunkKey>>,
    /// By piece.
    pieces: Vec<PieceState>,
    /// The places in the file that each piece has: none for the key blob.
    places: Vec<Vec<usize>>,
    /// Positions in containers that were begun.
    positions: Vec<u64>,
    /// Chunks of the file that are out, with their lengths, by reference.
    lengths: Vec<Option<usize>>,
}

/// How far a piece is.
enum PieceState {
    /// Some of its bytes are there.
    Partial(Vec<u8>),
    /// All are, but the keys are not.
    Sealed(Vec<u8>),
    /// It is out, or was held before.
    Done,
}

/// A verified stretch of the file.
#[derive(Clone, PartialEq, Eq)]
pub struct PlainChunk {
    /// Its place among the chunks of the file.
    pub index: usize,
    /// Its bytes.
    pub bytes: Bytes,
}

/// What people sent is private: logs show sizes.
impl std::fmt::Debug for PlainChunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PlainChunk({}, {} bytes)", self.index, self.bytes.len())
    }
}

impl std::fmt::Debug for Assembler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assembler")
            .field("plan", &self.plan)
            .field("missing", &self.missing())
            .finish_non_exhaustive()
    }
}

impl Assembler {
    /// For a file of this plan. `own` is the asset's key; `known` are the keys of other assets, for a file that was
    /// uploaded before.
    pub fn new(plan: Plan, own: Option<&AssetKey>, known: &Arc<AssetKeys>) -> Self {
        let containers = plan.pieces.iter().map(|piece| piece.container).max();
        let mut places = vec![Vec::new(); plan.pieces.len()];
        for (index, piece) in plan.references.iter().enumerate() {
            if let Some(places) = places.get_mut(*piece) {
                places.push(index);
            }
        }
        Self {
            own: own.cloned(),
            known: Arc::clone(known),
            keys: None,
            pieces: plan
                .pieces
                .iter()
                .map(|_| PieceState::Partial(Vec::new()))
                .collect(),
            places,
            positions: vec![0; containers.map_or(0, |last| last.saturating_add(1))],
            lengths: vec![None; plan.references.len()],
            plan,
        }
    }

    /// A chunk of the file that is stored already, with its length: it is not asked for again.
    pub fn skip(&mut self, index: usize, length: usize) {
        if let Some(slot) = self.lengths.get_mut(index) {
            *slot = Some(length);
        }
        let Some(piece) = self.plan.references.get(index).copied() else {
            return;
        };
        let mut places = self.places.get(piece).into_iter().flatten();
        let is_held = |place: &usize| self.lengths.get(*place).is_some_and(Option::is_some);
        if places.all(is_held)
            && let Some(state) = self.pieces.get_mut(piece)
        {
            *state = PieceState::Done;
        }
    }

    /// The containers that are still needed, by their place in the answer; the one with the keys first.
    pub fn containers(&self) -> Vec<usize> {
        if self.missing() == 0 {
            return Vec::new();
        }
        let needed = |(piece, state): &(&Piece, &PieceState)| {
            let is_needed = matches!(state, PieceState::Partial(bytes) if bytes.len() < piece.size);
            is_needed.then_some(piece.container)
        };
        let pieces = self.plan.pieces.iter().zip(&self.pieces);
        let rest: BTreeSet<usize> = pieces.clone().filter_map(|pair| needed(&pair)).collect();
        let blob = self
            .plan
            .key_blob
            .and_then(|place| pieces.clone().nth(place));
        let first = blob.and_then(|pair| needed(&pair));
        let others = rest.into_iter().filter(|it| Some(*it) != first);
        first.into_iter().chain(others).collect()
    }

    /// Chunks of the file that are not out yet.
    pub fn missing(&self) -> usize {
        self.lengths
            .iter()
            .filter(|length| length.is_none())
            .count()
    }

    /// Bytes that wait inside, for a budget of memory.
    pub fn waiting_bytes(&self) -> usize {
        let bytes = self.pieces.iter().map(|state| match state {
            PieceState::Partial(bytes) | PieceState::Sealed(bytes) => bytes.len(),
            PieceState::Done => 0,
        });
        bytes.fold(0, usize::saturating_add)
    }

    /// Begins a container again, after a download that broke off.
    pub fn restart(&mut self, container: usize) {
        if let Some(position) = self.positions.get_mut(container) {
            *position = 0;
        }
        for (piece, state) in self.plan.pieces.iter().zip(&mut self.pieces) {
            if let PieceState::Partial(bytes) = state
                && piece.container == container
            {
                bytes.clear();
            }
        }
    }

    /// Takes the next bytes of a container, and gives the chunks that are whole and verified with them.
    ///
    /// # Errors
    /// [`AssetError`]; the file is lost then, and what came out of it before may not be shown.
    pub fn push(&mut self, container: usize, bytes: &[u8]) -> Result<Vec<PlainChunk>, AssetError> {
        let Some(position) = self.positions.get_mut(container) else {
            return Ok(Vec::new());
        };
        let start = *position;
        let end = start.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        *position = end;
        // By container and offset, and none on another: so by their ends too.
        let is_before = |piece: &Piece| (piece.container, piece.end()) < (container, start);
        let first = self.plan.pieces.partition_point(is_before);
        let pieces = self.plan.pieces.iter().zip(&mut self.pieces).enumerate();
        let mut whole = Vec::new();
        for (place, (piece, state)) in pieces.skip(first) {
            if piece.container != container || piece.offset > end {
                break;
            }
            let PieceState::Partial(held) = state else {
                continue;
            };
            held.extend_from_slice(overlap(bytes, start, piece));
            if held.len() >= piece.size {
                *state = PieceState::Sealed(std::mem::take(held));
                whole.push(place);
            }
        }
        if self.open_keys()? {
            whole = (0..self.pieces.len()).collect();
        }
        let mut found = Vec::new();
        for place in whole {
            self.open_chunk(place, &mut found)?;
        }
        Ok(found)
    }

    /// Says that a container has no more bytes.
    ///
    /// # Errors
    /// [`AssetError::Short`] when some were still expected; fetching it again may help.
    pub fn end(&self, container: usize) -> Result<(), AssetError> {
        let pieces = self.plan.pieces.iter().zip(&self.pieces);
        let mut of_it = pieces.filter(|(piece, _)| piece.container == container);
        if of_it.any(|(_, state)| matches!(state, PieceState::Partial(_))) {
            return Err(AssetError::Short { container });
        }
        Ok(())
    }

    /// Opens a chunk, if it is one that is whole and its key is there.
    fn open_chunk(&mut self, place: usize, found: &mut Vec<PlainChunk>) -> Result<(), AssetError> {
        let Some(PieceContent::Chunk { checksum, key }) =
            self.plan.pieces.get(place).map(|piece| &piece.content)
        else {
            return Ok(());
        };
        let Some(PieceState::Sealed(stored)) = self.pieces.get_mut(place) else {
            return Ok(());
        };
        if checksum.first() == Some(&chunk::KIND_KEYED) && self.keys.is_none() {
            return match self.plan.key_blob {
                Some(_) => Ok(()),
                None => Err(AssetError::NoKey),
            };
        }
        let places = self.places.get(place).map_or(&[][..], Vec::as_slice);
        let first = places.first().copied().unwrap_or_default();
        let new_key = self.keys.as_ref().and_then(|keys| keys.get(first));
        let plain = chunk::open(std::mem::take(stored), checksum, new_key, key.as_ref());
        let plain: Bytes = plain.ok_or(AssetError::Checksum)?.into();
        if let Some(state) = self.pieces.get_mut(place) {
            *state = PieceState::Done;
        }
        for index in places {
            if let Some(length) = self.lengths.get_mut(*index)
                && length.replace(plain.len()).is_none()
            {
                found.push(PlainChunk {
                    index: *index,
                    bytes: plain.clone(),
                });
            }
        }
        Ok(())
    }

    /// Opens the key blob, if it has just become whole. Says whether it did.
    fn open_keys(&mut self) -> Result<bool, AssetError> {
        let Some(state) = self
            .plan
            .key_blob
            .and_then(|place| self.pieces.get_mut(place))
        else {
            return Ok(false);
        };
        let PieceState::Sealed(blob) = state else {
            return Ok(false);
        };
        let named = self.plan.key_checksum.as_ref();
        let mut candidates = self.known.candidates(named, self.own.as_ref());
        let keys = candidates
            .find_map(|key| key_blob::open(blob, key))
            .ok_or(AssetError::KeyBlob)?;
        if keys.len() != self.plan.references.len() {
            return Err(AssetError::KeyCount);
        }
        *state = PieceState::Done;
        self.keys = Some(keys);
        Ok(true)
    }

    /// The size of the whole file, once every chunk is out; chunk for chunk in order.
    ///
    /// # Errors
    /// [`AssetError::Incomplete`] before, [`AssetError::Size`] when the asset says another size.
    pub fn finish(self, size: Option<u64>) -> Result<u64, AssetError> {
        let mut total = 0_u64;
        for length in self.lengths {
            let length = length.ok_or(AssetError::Incomplete)?;
            total = total.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        }
        if size.is_some_and(|size| size != total) {
            return Err(AssetError::Size { got: total });
        }
        Ok(total)
    }
}

/// Those of the bytes of a container, which begin at `start`, that belong to a piece.
fn overlap<'a>(bytes: &'a [u8], start: u64, piece: &Piece) -> &'a [u8] {
    let place = |at: u64| {
        let at = at.saturating_sub(start);
        usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len())
    };
    bytes
        .get(place(piece.offset)..place(piece.end()))
        .unwrap_or_default()
}

/// Why a file could not be put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssetError {
    /// A container ended before its last piece.
    #[error("container {container} of the file ends too early")]
    Short {
        /// Its place in the answer.
        container: usize,
    },
    /// A chunk is not what was uploaded, or was encrypted with another key.
    #[error("the checksum of a chunk does not hold")]
    Checksum,
    /// A chunk needs a key, and the file has no key blob.
    #[error("a chunk needs a key and the file has none")]
    NoKey,
    /// None of the keys that are known opens the key blob.
    #[error("no known key opens the key blob of the file")]
    KeyBlob,
    /// There are not as many keys as chunks.
    #[error("the key blob has another number of keys than the file has chunks")]
    KeyCount,
    /// Chunks are missing.
    #[error("chunks of the file are missing")]
    Incomplete,
    /// The file is longer or shorter than it should be.
    #[error("the file has {got} bytes, which is not its size")]
    Size {
        /// What the chunks add up to.
        got: u64,
    },
}
