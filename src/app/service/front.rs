//! What requests meet first: commands of the owner's other processes are answered here, everything else is the
//! endpoint's.

use std::io;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::io::DuplexStream;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::app::remote;
use crate::app::remote::Commands;
use crate::app::remote::Part;
use crate::app::service::Service;
use crate::base::limits::COMMAND_BUFFER_BYTES;
use crate::base::limits::COMMAND_BYTES;
use crate::base::limits::COMMANDS_AT_ONCE;
use crate::net::BoxFuture;
use crate::net::Handler;
use crate::net::HeaderValue;
use crate::net::Method;
use crate::net::Peer;
use crate::net::Request;
use crate::net::Response;
use crate::net::StatusCode;
use crate::net::target::Path;

/// The type of a row of parts.
const PARTS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Routes between commands and the endpoint.
pub(super) struct Front {
    endpoint: Arc<dyn Handler>,
    /// Only at the owner's socket.
    commands: Option<Arc<dyn Commands>>,
    service: Arc<Service>,
    free: Arc<Semaphore>,
}

impl Front {
    pub(super) fn new(
        endpoint: Arc<dyn Handler>,
        commands: Option<Arc<dyn Commands>>,
        service: Arc<Service>,
    ) -> Self {
        Self {
            endpoint,
            commands,
            service,
            free: Arc::new(Semaphore::new(COMMANDS_AT_ONCE)),
        }
    }

    async fn command(&self, commands: &Arc<dyn Commands>, request: Request) -> Response {
        let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() else {
            return Response::empty(StatusCode::SERVICE_UNAVAILABLE);
        };
        let body = match request.body.bytes(COMMAND_BYTES).await {
            Ok(body) => body,
            Err(error) => return Response::empty(error.status()),
        };
        let Ok(asked) = serde_json::from_slice(&body) else {
            return Response::empty(StatusCode::BAD_REQUEST);
        };
        let (writer, reader) = tokio::io::duplex(COMMAND_BUFFER_BYTES);
        let answering = Answering {
            commands: Arc::clone(commands),
            service: Arc::clone(&self.service),
            asked,
            writer,
            _permit: permit,
        };
        let runtime = Handle::current();
        // It ends by itself: with its answer, or at the first part that nobody reads.
        drop(spawn_blocking(move || answering.answer(&runtime)));
        Response::open(StatusCode::OK, PARTS, reader)
    }
}

impl Handler for Front {
    fn call(&self, request: Request) -> BoxFuture<'_, Response> {
        let is_command = request.path == Path::parse(remote::PATH)
            && request.method == Method::POST
            && request.peer == Peer::Owner;
        Box::pin(async move {
            match &self.commands {
                Some(commands) if is_command => self.command(commands, request).await,
                _ => self.endpoint.call(request).await,
            }
        })
    }
}

/// One command at work, on a thread of its own.
struct Answering {
    commands: Arc<dyn Commands>,
    service: Arc<Service>,
    asked: remote::Request,
    writer: DuplexStream,
    _permit: OwnedSemaphorePermit,
}

impl Answering {
    fn answer(self, runtime: &Handle) {
        let writer = Mutex::new(self.writer);
        let send = |part: Part| -> io::Result<()> {
            let wire = part.encode();
            runtime.block_on(async { writer.lock().await.write_all(&wire).await })
        };
        let exit = self
            .commands
            .answer(&self.asked, &self.service.archive, &send);
        // A process that went away does not want to know.
        drop(send(Part::End(exit)));
    }
}
