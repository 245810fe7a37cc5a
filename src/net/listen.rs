//! Where the service listens, and the loop that accepts connections. What happens on a connection is `connection`'s.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::net::UnixStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::base::error::Class;
use crate::base::error::Explain;
use crate::base::limits::ACCEPT_PAUSE;
use crate::base::limits::ACCEPT_PAUSE_MAX;
use crate::base::limits::CONNECTION_LINGER;
use crate::base::limits::CONNECTIONS;
use crate::base::limits::CONNECTIONS_TURNED_AWAY;
use crate::base::limits::TURNED_AWAY_RETRY;
use crate::base::tasks::TaskGroup;
use crate::net::Handler;
use crate::net::connection::Connection;
use crate::net::request::Peer;
use crate::net::socket::OwnSocket;
use crate::net::socket::SocketPath;
use crate::net::tls::Tls;

/// Why nobody can listen there.
#[derive(Debug, Error)]
pub enum ListenError {
    /// The address is taken, not ours, or below 1024.
    #[error("cannot listen at {address}")]
    Address {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The socket, or its folder, cannot be made.
    #[error("cannot make the local socket {path}")]
    Socket {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A process is listening there.
    #[error("another process listens at {path}")]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something else has the name of the socket.
    #[error("{path} is there and is no socket")]
    NoSocket {
        /// The socket's path.
        path: PathBuf,
    },
    /// The folder for short paths is another user's, or open to others.
    #[error("{path} belongs to another user or is open to others")]
    Folder {
        /// The folder.
        path: PathBuf,
    },
}

impl Explain for ListenError {
    fn class(&self) -> Class {
        match self {
            Self::Address { .. } => Class::Usage,
            Self::Socket { .. } => Class::Retry,
            Self::InUse { .. } => Class::Store,
            Self::NoSocket { .. } | Self::Folder { .. } => Class::Owner,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Address { address, source } => {
                let kind = source.kind();
                if kind == io::ErrorKind::AddrInUse {
                    let port = address.port();
                    format!("another program uses port {port}; choose another one")
                } else if kind == io::ErrorKind::PermissionDenied {
                    "ports below 1024 are the system's; choose a higher one".to_owned()
                } else if kind == io::ErrorKind::AddrNotAvailable {
                    format!("{} is no address of this computer", address.ip())
                } else {
                    return None;
                }
            }
            Self::Socket { .. } => return None,
            Self::InUse { .. } => "footbridge is running already; stop it first".to_owned(),
            Self::NoSocket { path } => format!("move {} away", path.display()),
            Self::Folder { path } => format!("remove {}", path.display()),
        })
    }
}

/// A place to listen at.
#[derive(Clone, Debug)]
pub enum Listen {
    /// An address. Without TLS this is for the loopback, or for an owner who insists.
    Tcp {
        /// The address; port 0 is any free one.
        address: SocketAddr,
        /// The certificate to encrypt with.
        tls: Option<Arc<Tls>>,
    },
    /// The owner's own socket.
    Unix(SocketPath),
}

/// The connections that all listeners together may serve at once. Clones share the count.
#[derive(Clone, Debug)]
pub struct Connections {
    serving: Arc<Semaphore>,
    turning_away: Arc<Semaphore>,
}

impl Connections {
    /// At most this many at once.
    pub fn new(at_once: usize) -> Self {
        Self {
            serving: Arc::new(Semaphore::new(at_once.min(Semaphore::MAX_PERMITS))),
            turning_away: Arc::new(Semaphore::new(CONNECTIONS_TURNED_AWAY)),
        }
    }
}

/// [`CONNECTIONS`] at once.
impl Default for Connections {
    fn default() -> Self {
        Self::new(CONNECTIONS)
    }
}

/// A listener that is bound and not yet accepting: clients that connect now wait.
#[derive(Debug)]
pub struct Listener(Bound);

#[derive(Debug)]
enum Bound {
    Tcp {
        listener: TcpListener,
        tls: Option<Arc<Tls>>,
    },
    Unix(OwnSocket),
}

enum Stream {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Listener {
    /// Binds. In the runtime, because the sockets belong to it.
    ///
    /// # Errors
    /// [`ListenError`].
    ///
    /// # Cancel safety
    /// Nothing is bound when this is dropped.
    pub async fn bind(listen: Listen) -> Result<Self, ListenError> {
        Ok(Self(match listen {
            Listen::Tcp { address, tls } => {
                let listener = TcpListener::bind(address).await;
                let attempt = |source| ListenError::Address { address, source };
                Bound::Tcp {
                    listener: listener.map_err(attempt)?,
                    tls,
                }
            }
            Listen::Unix(path) => Bound::Unix(OwnSocket::bind(&path)?),
        }))
    }

    /// The address, with the port that it got; `None` for a Unix socket.
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Bound::Tcp { listener, .. } => listener.local_addr().ok(),
            Bound::Unix(_) => None,
        }
    }

    /// Starts to accept, in tasks of the group, until the group is asked to stop: then no connection is accepted any
    /// more, requests in flight are answered, and idle connections are closed.
    pub fn serve(self, handler: Arc<dyn Handler>, connections: Connections, group: &TaskGroup) {
        let accepting = Accepting {
            listener: self,
            handler,
            connections,
            group: group.clone(),
        };
        group.spawn("listener", async move { accepting.run().await });
    }

    async fn accept(&self) -> io::Result<Option<Stream>> {
        match &self.0 {
            Bound::Tcp { listener, .. } => {
                let (stream, address) = listener.accept().await?;
                Ok(Some(Stream::Tcp(stream, address)))
            }
            Bound::Unix(socket) => Ok(socket.accept().await?.map(Stream::Unix)),
        }
    }

    fn tls(&self) -> Option<&Arc<Tls>> {
        match &self.0 {
            Bound::Tcp { tls, .. } => tls.as_ref(),
            Bound::Unix(_) => None,
        }
    }
}

/// A listener at work.
struct Accepting {
    listener: Listener,
    handler: Arc<dyn Handler>,
    connections: Connections,
    group: TaskGroup,
}

impl Accepting {
    async fn run(self) {
        let stop = self.group.stop().clone();
        let mut pause = Pause::default();
        while let Some(accepted) = stop.run_until_cancelled(self.listener.accept()).await {
            match accepted {
                Ok(stream) => {
                    pause = Pause::default();
                    if let Some(stream) = stream {
                        self.begin(stream);
                    }
                }
                Err(error) => pause.after(&error, &stop).await,
            }
        }
    }

    fn begin(&self, stream: Stream) {
        let Ok(permit) = Arc::clone(&self.connections.serving).try_acquire_owned() else {
            self.turn_away(stream);
            return;
        };
        let connection = Connection {
            handler: Arc::clone(&self.handler),
            group: self.group.clone(),
            tls: self.listener.tls().cloned(),
            peer: match &stream {
                Stream::Tcp(_, address) => Peer::Tcp(*address),
                Stream::Unix(_) => Peer::Owner,
            },
        };
        self.group.spawn("connection", async move {
            let _permit: OwnedSemaphorePermit = permit;
            match stream {
                Stream::Tcp(stream, _) => {
                    // Answers are written whole; waiting for more would only delay their last piece. A socket that
                    // refuses is gone, and reading from it says so.
                    drop(stream.set_nodelay(true));
                    connection.serve(stream).await;
                }
                Stream::Unix(stream) => connection.serve(stream).await,
            }
        });
    }

    /// Says 503 where that needs no handshake. Too many even for that are closed without a word.
    fn turn_away(&self, stream: Stream) {
        tracing::debug!("connection turned away");
        let Ok(permit) = Arc::clone(&self.connections.turning_away).try_acquire_owned() else {
            return;
        };
        if self.listener.tls().is_some() {
            return;
        }
        self.group.spawn("turned away", async move {
            let _permit: OwnedSemaphorePermit = permit;
            match stream {
                Stream::Tcp(stream, _) => say_busy(stream).await,
                Stream::Unix(stream) => say_busy(stream).await,
            }
        });
    }
}

/// Says 503, then reads on for a moment, so that the answer is not overtaken by a reset.
async fn say_busy(mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin) {
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: {TURNED_AWAY_RETRY}\r\n\
         connection: close\r\ncontent-length: 0\r\n\r\n"
    );
    let whole = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        let mut bytes = [0; 4_096];
        while stream.read(&mut bytes).await? > 0 {}
        Ok::<(), io::Error>(())
    };
    // However it ends, the client was told or is gone.
    drop(timeout(CONNECTION_LINGER, whole).await);
}

/// How long to wait after an accept that failed. Without a wait, a process without descriptors would spin.
struct Pause {
    next: Duration,
}

impl Default for Pause {
    fn default() -> Self {
        Self { next: ACCEPT_PAUSE }
    }
}

impl Pause {
    async fn after(&mut self, error: &io::Error, stop: &CancellationToken) {
        if is_the_clients(error) {
            return;
        }
        // Once for each time that it lasts.
        if self.next == ACCEPT_PAUSE {
            tracing::warn!(%error, "could not accept a connection");
        }
        stop.run_until_cancelled(sleep(self.next)).await;
        self.next = self.next.saturating_mul(2).min(ACCEPT_PAUSE_MAX);
    }
}

/// Whether only this one connection failed: the client went away before it was accepted.
fn is_the_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::NotConnected
    )
}

#[cfg(test)]
mod tests {
    use std::io;

    use tokio::time::Instant;
    use tokio_util::sync::CancellationToken;

    use super::Pause;
    use crate::base::limits::ACCEPT_PAUSE;
    use crate::base::limits::ACCEPT_PAUSE_MAX;

    #[tokio::test(start_paused = true)]
    async fn a_process_without_descriptors_does_not_spin() {
        let (mut pause, stop) = (Pause::default(), CancellationToken::new());
        let full = io::Error::from_raw_os_error(24);
        let began = Instant::now();

        for _ in 0..10 {
            pause.after(&full, &stop).await;
        }

        let waited = began.elapsed();
        assert!(waited >= ACCEPT_PAUSE * 127 + ACCEPT_PAUSE_MAX * 3);
        assert!(waited < ACCEPT_PAUSE * 127 + ACCEPT_PAUSE_MAX * 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_went_away_delays_nobody() {
        let began = Instant::now();

        let gone = io::Error::from(io::ErrorKind::ConnectionAborted);
        Pause::default()
            .after(&gone, &CancellationToken::new())
            .await;

        assert_eq!(began.elapsed().as_nanos(), 0);
    }
}
