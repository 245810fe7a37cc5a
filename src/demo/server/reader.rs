//! Bodies that come slowly, stop, or end too early.

use std::io;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use bytes::Buf;
use bytes::Bytes;
use tokio::io::AsyncRead;
use tokio::io::ReadBuf;
use tokio::time::Sleep;
use tokio::time::sleep;

/// Yields bytes piece by piece, with a pause before each.
pub(super) struct SlowReader {
    rest: Bytes,
    piece: usize,
    pause: Duration,
    /// Instead of the end comes nothing at all.
    is_endless: bool,
    sleep: Pin<Box<Sleep>>,
}

impl SlowReader {
    pub(super) fn new(bytes: Bytes, pieces: usize, pause: Duration) -> Self {
        Self {
            piece: (bytes.len() / pieces.max(1)).max(1),
            rest: bytes,
            pause,
            is_endless: false,
            sleep: Box::pin(sleep(pause)),
        }
    }

    /// Half of the bytes at once, and then nothing.
    pub(super) fn stalled(mut bytes: Bytes) -> Self {
        bytes.truncate(bytes.len() / 2);
        Self {
            is_endless: true,
            ..Self::new(bytes, 1, Duration::ZERO)
        }
    }
}

impl AsyncRead for SlowReader {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_endless && this.rest.is_empty() {
            // Nobody wakes this up again: whoever waits has to have a deadline.
            return Poll::Pending;
        }
        // Also before the end: what was read so far is sent meanwhile, even if the connection is cut off then.
        std::task::ready!(this.sleep.as_mut().poll(context));
        let length = this.piece.min(this.rest.len()).min(buffer.remaining());
        buffer.put_slice(this.rest.get(..length).unwrap_or_default());
        this.rest.advance(length);
        this.sleep = Box::pin(sleep(this.pause));
        Poll::Ready(Ok(()))
    }
}
