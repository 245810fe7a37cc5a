//! The body of an answer: bytes that are there, an asynchronous reader, or a stretch of something that can be read at
//! any place. It never holds more than one piece in memory.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use bytes::Bytes;
use bytes::BytesMut;
use hyper::body::Body;
use hyper::body::Frame;
use hyper::body::SizeHint;
use tokio::io::AsyncRead;
use tokio::task::JoinHandle;
use tokio::task::spawn_blocking;
use tokio_util::io::poll_read_buf;

use crate::base::limits::ANSWER_CHUNK_BYTES;

/// Something of a fixed size that can be read at any place: a file, an attachment in the store.
///
/// It is read on blocking threads, one read at a time for each answer.
pub trait RangeSource: Send + Sync + 'static {
    /// Its size, bytes.
    fn size_bytes(&self) -> u64;

    /// Reads at an offset into the buffer and returns how many bytes; zero only at the end. It may return fewer than
    /// were asked for.
    ///
    /// # Errors
    /// Whatever reading brings; the answer is then cut off.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

/// A file that somebody opened, up to a size that they determined.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    size_bytes: u64,
}

impl FileSource {
    /// The first `size_bytes` of a file. A file that becomes shorter cuts off its answers.
    pub const fn new(file: File, size_bytes: u64) -> Self {
        Self { file, size_bytes }
    }
}

impl RangeSource for FileSource {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }
}

impl RangeSource for Bytes {
    fn size_bytes(&self) -> u64 {
        size(self)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = self.get(offset..).unwrap_or_default();
        io::Read::read(&mut &*rest, buffer)
    }
}

fn size(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// A body.
pub(crate) enum Answer {
    /// Bytes, taken when sent.
    Whole(Bytes),
    /// What a reader yields, as long as it was promised.
    Reader(Reader),
    /// A stretch of a source.
    Stretch(Stretch),
    /// What a reader yields until it ends, for one of our own processes; `None` after its end.
    Open(Option<Pin<Box<dyn AsyncRead + Send>>>),
}

impl Answer {
    pub(crate) fn reader(reader: impl AsyncRead + Send + 'static, length: u64) -> Self {
        Self::Reader(Reader {
            reader: Box::pin(reader),
            left: length,
        })
    }

    pub(crate) fn stretch(source: Arc<dyn RangeSource>, range: std::ops::Range<u64>) -> Self {
        Self::Stretch(Stretch {
            source,
            range,
            reading: None,
        })
    }

    pub(crate) fn open(reader: impl AsyncRead + Send + 'static) -> Self {
        Self::Open(Some(Box::pin(reader)))
    }

    /// Bytes that are still to be sent; as many as can be while nobody knows.
    pub(crate) fn left(&self) -> u64 {
        match self {
            Self::Whole(bytes) => size(bytes),
            Self::Reader(reader) => reader.left,
            Self::Stretch(stretch) => stretch.range.end.saturating_sub(stretch.range.start),
            Self::Open(Some(_)) => u64::MAX,
            Self::Open(None) => 0,
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({} bytes)", self.left())
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        if this.left() == 0 {
            return Poll::Ready(None);
        }
        let chunk = match this {
            Self::Whole(bytes) => Ok(std::mem::take(bytes)),
            Self::Reader(reader) => ready!(reader.poll_chunk(context)),
            Self::Stretch(stretch) => ready!(stretch.poll_chunk(context)),
            Self::Open(None) => return Poll::Ready(None),
            Self::Open(Some(reader)) => {
                let mut buffer = BytesMut::with_capacity(ANSWER_CHUNK_BYTES);
                let read = ready!(poll_read_buf(reader.as_mut(), context, &mut buffer));
                if matches!(read, Ok(0)) {
                    *this = Self::Open(None);
                    return Poll::Ready(None);
                }
                read.map(|_bytes| buffer.freeze())
            }
        };
        Poll::Ready(Some(chunk.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Open(Some(_)) => SizeHint::new(),
            Self::Whole(_) | Self::Reader(_) | Self::Stretch(_) | Self::Open(None) => {
                SizeHint::with_exact(self.left())
            }
        }
    }
}

/// A reader that promised a length.
pub(crate) struct Reader {
    reader: Pin<Box<dyn AsyncRead + Send>>,
    left: u64,
}

impl Reader {
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let mut buffer = BytesMut::with_capacity(chunk_bytes(self.left));
        let read = ready!(poll_read_buf(self.reader.as_mut(), context, &mut buffer))?;
        if read == 0 {
            return Poll::Ready(Err(too_short()));
        }
        // The allocator may have given more room than was asked for.
        buffer.truncate(chunk_bytes(self.left));
        let bytes = buffer.freeze();
        self.left -= size(&bytes);
        Poll::Ready(Ok(bytes))
    }
}

/// A stretch of a source, and the read that is under way.
pub(crate) struct Stretch {
    source: Arc<dyn RangeSource>,
    /// What is still to be sent.
    range: std::ops::Range<u64>,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Stretch {
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let reading = self.reading.get_or_insert_with(|| {
            let source = Arc::clone(&self.source);
            let range = self.range.clone();
            spawn_blocking(move || read_chunk(&*source, &range))
        });
        let read = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        let bytes = read.map_err(io::Error::other)??;
        self.range.start += size(&bytes);
        Poll::Ready(Ok(bytes))
    }
}

fn read_chunk(source: &dyn RangeSource, range: &std::ops::Range<u64>) -> io::Result<Bytes> {
    let mut buffer = vec![0; chunk_bytes(range.end.saturating_sub(range.start))];
    let read = source.read_at(range.start, &mut buffer)?;
    if read == 0 {
        return Err(too_short());
    }
    buffer.truncate(read);
    Ok(buffer.into())
}

fn chunk_bytes(left: u64) -> usize {
    usize::try_from(left).map_or(ANSWER_CHUNK_BYTES, |left| left.min(ANSWER_CHUNK_BYTES))
}

fn too_short() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the answer is shorter than was promised",
    )
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::io::Write;
    use std::sync::Arc;

    use bytes::Bytes;
    use http_body_util::BodyExt;

    use super::ANSWER_CHUNK_BYTES;
    use super::Answer;
    use super::FileSource;

    async fn collect(answer: Answer) -> io::Result<Bytes> {
        Ok(answer.collect().await?.to_bytes())
    }

    #[tokio::test]
    async fn a_file_is_read_in_pieces() {
        let content: Vec<u8> = (0_u8..251)
            .cycle()
            .take(ANSWER_CHUNK_BYTES * 2 + 10)
            .collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        let end = u64::try_from(content.len()).unwrap();
        let source = Arc::new(FileSource::new(file, end));

        let mut answer = Answer::stretch(source, 3..end);
        let first = answer.frame().await.unwrap().unwrap().into_data().unwrap();

        assert_eq!(first.len(), ANSWER_CHUNK_BYTES);
        assert_eq!(answer.left(), end - 3 - u64::try_from(first.len()).unwrap());
        let rest = collect(answer).await.unwrap();
        assert_eq!([first, rest].concat(), content[3..]);
    }

    #[tokio::test]
    async fn a_source_that_shrank_cuts_the_answer_off() {
        let file = FileSource::new(tempfile::tempfile().unwrap(), 5);

        let error = collect(Answer::stretch(Arc::new(file), 0..5))
            .await
            .unwrap_err();

        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn a_reader_sends_as_much_as_was_promised() {
        let exact = collect(Answer::reader(&b"hello"[..], 5)).await.unwrap();
        let long = collect(Answer::reader(&b"hello, world"[..], 5))
            .await
            .unwrap();
        let short = collect(Answer::reader(&b"hell"[..], 5)).await.unwrap_err();

        assert_eq!(exact, "hello");
        assert_eq!(long, "hello");
        assert_eq!(short.kind(), io::ErrorKind::UnexpectedEof);
    }
}
