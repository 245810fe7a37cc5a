//! Files whose id a client has before they are there: it sends the message first, or while the file is on its way.
//!
//! | request | |
//! |---|---|
//! | `POST /_matrix/media/v1/create` | an id |
//! | `PUT /_matrix/media/v3/upload/{server}/{id}` | its file, once |
//!
//! Who asks for such a file waits for it, as long as they like within bounds. An id that gets no file is forgotten with the
//! uploads that their clients left. So is one whose file did not come to its end because footbridge stopped: its client
//! hears that there is a file, and takes another id.
//!
//! Source: `[mx v1.12] POST /_matrix/media/v1/create, PUT /_matrix/media/v3/upload/{serverName}/{mediaId}`.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tokio::time::Instant;
use tokio::time::sleep_until;

use crate::base::limits::POLL_WAIT;
use crate::base::limits::UPLOAD_STALE;
use crate::base::limits::UPLOAD_WAIT;
use crate::base::limits::UPLOADS_RESERVED;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::body_error;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::call::json;
use crate::deliver::endpoint::call::nothing;
use crate::deliver::endpoint::error::Code;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::media::held::Held;
use crate::deliver::endpoint::media::look;
use crate::deliver::endpoint::media::upload::described;
use crate::deliver::endpoint::route::Later;
use crate::deliver::endpoint::route::Route;
use crate::deliver::endpoint::session::random;
use crate::deliver::endpoint::start::UPLOAD_BYTES;
use crate::net::Method;
use crate::net::Request;
use crate::store::value::Upload;

/// The type of a file for which its client names none. A reserved id has no type until its file comes.
const UNKNOWN: &str = "application/octet-stream";

pub(super) fn routes() -> Vec<Route> {
    let path = "/_matrix/media/v3/upload/{server}/{id}";
    vec![
        Route::long(Method::POST, "/_matrix/media/v1/create", create).at_root(),
        Route::streaming(Method::PUT, path, fill).at_root(),
    ]
}

/// `POST /_matrix/media/v1/create`.
fn create(endpoint: Arc<Endpoint>, call: Call) -> Later {
    Box::pin(async move { endpoint.reserve(&call).await })
}

/// `PUT /_matrix/media/v3/upload/{server}/{id}`.
fn fill(endpoint: Arc<Endpoint>, call: Call, request: Request) -> Later {
    Box::pin(async move { endpoint.fill(&call, request).await })
}

impl Endpoint {
    async fn reserve(&self, call: &Call) -> Answer {
        let account = call.session()?.account.0;
        let now = self.clock.now();
        let mut reserved = self.store.snapshot()?.uploads()?;
        reserved.retain(|(_, upload)| upload.account == account && is_reserved(upload));
        let oldest = reserved.iter().map(|(_, upload)| upload.created).min();
        if let Some(oldest) = oldest.filter(|_| reserved.len() >= UPLOADS_RESERVED) {
            let ends = oldest.plus(UPLOAD_STALE).unix_millis();
            let wait = ends.saturating_sub(now.unix_millis());
            let wait = Duration::from_millis(u64::try_from(wait).unwrap_or_default());
            return Err(MatrixError::limited(wait));
        }
        let upload = Upload {
            account,
            name: None,
            mime: None,
            size_bytes: 0,
            completed: None,
            created: now,
        };
        let id = URL_SAFE_NO_PAD.encode(random::<18>()?);
        self.begin(&id, upload).await?;
        let server = self.settings.account.server().as_str();
        json(&json!({
            "content_uri": format!("mxc://{server}/{id}"),
            "unused_expires_at": now.plus(UPLOAD_STALE).unix_millis(),
        }))
    }

    async fn fill(&self, call: &Call, request: Request) -> Answer {
        let id = call.segment("id").to_owned();
        let unknown = || MatrixError::not_found("there is no such id");
        if call.segment("server") != self.settings.account.server().as_str() {
            return Err(unknown());
        }
        let held = self.store.snapshot()?.upload(&id)?.ok_or_else(unknown)?;
        if held.account != call.session()?.account.0 {
            return Err(MatrixError::forbidden("this id is somebody else's"));
        }
        let taken = || MatrixError::new(Code::CannotOverwriteMedia, "this id has its file");
        if !is_reserved(&held) {
            return Err(taken());
        }
        let described = described(call, &request, &held);
        // Before anything is written: a client that declares too much is refused at once.
        let body = request.body.chunks(UPLOAD_BYTES);
        let body = body.map_err(|error| body_error(&error))?;
        let mut upload = Upload {
            mime: described.mime.or_else(|| Some(UNKNOWN.to_owned())),
            ..described
        };
        let (begun, of) = (upload.clone(), id.clone());
        let is_first = self.writer.apply(move |transaction| {
            let held = transaction.upload(&of)?;
            let is_first = held.as_ref().is_some_and(is_reserved);
            if is_first {
                transaction.put_upload(&of, &begun)?;
            }
            Ok(is_first)
        });
        if !is_first.await? {
            return Err(taken());
        }
        match self.take_up(&id, body).await {
            Ok(size_bytes) => upload.size_bytes = size_bytes,
            Err(error) => {
                let back = self.writer.apply(move |transaction| {
                    transaction.remove_upload(&id)?;
                    transaction.put_upload(&id, &held)
                });
                back.await?;
                return Err(error);
            }
        }
        upload.completed = Some(self.clock.now());
        let done = self
            .writer
            .apply(move |transaction| transaction.put_upload(&id, &upload));
        done.await?;
        self.uploaded.notify_waiters();
        nothing()
    }
}

/// Whether an upload is no more than an id yet.
fn is_reserved(upload: &Upload) -> bool {
    upload.completed.is_none() && upload.mime.is_none()
}

/// The file that a request asks for; if it has an id and is still to come, once it is there or the client waited for as
/// long as it wants to.
pub(super) async fn awaited(endpoint: &Arc<Endpoint>, call: &Call) -> Result<Held, MatrixError> {
    let wait = call.number("timeout_ms")?.map(Duration::from_millis);
    let ends = Instant::now() + wait.unwrap_or(UPLOAD_WAIT).min(POLL_WAIT);
    loop {
        let mut uploaded = pin!(endpoint.uploaded.notified());
        // From here on nothing is missed that comes while the store is looked at.
        uploaded.as_mut().enable();
        let held = look(endpoint, call).await;
        match &held {
            Err(error) if error.code() == Code::NotYetUploaded => {}
            Err(_) | Ok(_) => return held,
        }
        tokio::select! {
            () = uploaded => {}
            () = sleep_until(ends) => return held,
            () = call.stop.cancelled() => return held,
        }
    }
}
