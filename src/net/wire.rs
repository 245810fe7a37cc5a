//! The socket under a connection: tells when something was written, and closes so that the client sees the answer. It
//! knows neither TLS nor HTTP.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::time::Sleep;
use tokio::time::sleep;

use crate::base::limits::CONNECTION_LINGER;
use crate::net::activity::Activity;

/// A socket with its connection's activity.
///
/// Shutting it down sends our end, then reads on for [`CONNECTION_LINGER`] or until the client ends too: a socket that is
/// closed with unread data resets the connection, and the reset can overtake the answer (413 to a large upload).
pub(crate) struct Wire<S> {
    socket: S,
    activity: Arc<Activity>,
    lingering: Option<Pin<Box<Sleep>>>,
}

impl<S> Wire<S> {
    pub(crate) const fn new(socket: S, activity: Arc<Activity>) -> Self {
        Self {
            socket,
            activity,
            lingering: None,
        }
    }

    fn count(&self, written: &Poll<io::Result<usize>>) {
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.activity.moved();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.count(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, slices);
        self.count(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self {
            socket, lingering, ..
        } = &mut *self;
        if lingering.is_none() {
            ready!(Pin::new(&mut *socket).poll_shutdown(context))?;
        }
        let end = lingering.get_or_insert_with(|| Box::pin(sleep(CONNECTION_LINGER)));
        if end.as_mut().poll(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let mut bytes = [0; 4_096];
        // Ends at a socket that is empty; one that never is uses up the task's budget and is pending then.
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(&mut *socket).poll_read(context, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}
