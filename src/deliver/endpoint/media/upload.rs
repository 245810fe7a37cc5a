//! Files that clients upload: written to the store chunk by chunk as they come, so that none is ever whole in memory.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::BytesMut;
use serde_json::json;

use crate::base::limits::UPLOAD_CHUNK_BYTES;
use crate::base::limits::UPLOAD_STALE;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::body_error;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::call::json;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::route::Later;
use crate::deliver::endpoint::route::Route;
use crate::deliver::endpoint::session::random;
use crate::deliver::endpoint::start::UPLOAD_BYTES;
use crate::net::Bytes;
use crate::net::Chunks;
use crate::net::Method;
use crate::net::Request;
use crate::net::header;
use crate::store::value::Upload;

/// Longest name and longest type that are kept, characters.
const NAME_CHARACTERS: usize = 255;

pub(super) fn routes() -> Vec<Route> {
    let paths = [
        "/_matrix/media/r0/upload",
        "/_matrix/media/v1/upload",
        "/_matrix/media/v3/upload",
    ];
    let route = |path| Route::streaming(Method::POST, path, upload).at_root();
    paths.map(route).into()
}

/// `POST /_matrix/media/(r0|v1|v3)/upload`.
fn upload(endpoint: Arc<Endpoint>, call: Call, request: Request) -> Later {
    Box::pin(async move { endpoint.upload(&call, request).await })
}

/// An upload with what a request says of its file.
pub(super) fn described(call: &Call, request: &Request, upload: &Upload) -> Upload {
    let short = |text: &str| text.chars().take(NAME_CHARACTERS).collect::<String>();
    Upload {
        name: call.param("filename").map(short),
        mime: request.header(&header::CONTENT_TYPE).map(short),
        ..upload.clone()
    }
}

impl Endpoint {
    async fn upload(&self, call: &Call, request: Request) -> Answer {
        let begun = Upload {
            account: call.session()?.account.0,
            name: None,
            mime: None,
            size_bytes: 0,
            completed: None,
            created: self.clock.now(),
        };
        let mut upload = described(call, &request, &begun);
        // Before anything is written: a client that declares too much is refused at once.
        let body = request.body.chunks(UPLOAD_BYTES);
        let body = body.map_err(|error| body_error(&error))?;
        let id = URL_SAFE_NO_PAD.encode(random::<18>()?);
        self.begin(&id, upload.clone()).await?;
        match self.take_up(&id, body).await {
            Ok(size_bytes) => upload.size_bytes = size_bytes,
            Err(error) => {
                let removed = self
                    .writer
                    .apply(move |transaction| transaction.remove_upload(&id));
                removed.await?;
                return Err(error);
            }
        }
        upload.completed = Some(self.clock.now());
        let server = self.settings.account.server().as_str();
        let uri = format!("mxc://{server}/{id}");
        let done = self
            .writer
            .apply(move |transaction| transaction.put_upload(&id, &upload));
        done.await?;
        json(&json!({ "content_uri": uri }))
    }

    /// Writes that an upload began, and removes those that their clients left long ago.
    pub(super) async fn begin(&self, id: &str, upload: Upload) -> Result<(), MatrixError> {
        let id = id.to_owned();
        let long_ago = upload.created.minus(UPLOAD_STALE);
        let mut left = self.store.snapshot()?.uploads()?;
        left.retain(|(_, other)| other.completed.is_none() && other.created < long_ago);
        let begun = self.writer.apply(move |transaction| {
            for (id, _) in left {
                transaction.remove_upload(&id)?;
            }
            transaction.put_upload(&id, &upload)
        });
        Ok(begun.await?)
    }

    /// Writes a body; answers its size.
    pub(super) async fn take_up(&self, id: &str, mut body: Chunks) -> Result<u64, MatrixError> {
        let mut size_bytes = 0;
        let mut n = 0;
        let mut waiting = BytesMut::new();
        loop {
            let piece = body.next().await.map_err(|error| body_error(&error))?;
            let is_over = piece.is_none();
            if let Some(piece) = piece {
                size_bytes += u64::try_from(piece.len()).unwrap_or(u64::MAX);
                waiting.extend_from_slice(&piece);
            }
            while waiting.len() >= UPLOAD_CHUNK_BYTES || (is_over && !waiting.is_empty()) {
                let chunk = waiting.split_to(waiting.len().min(UPLOAD_CHUNK_BYTES));
                self.put_chunk(id, n, chunk.freeze()).await?;
                n += 1;
            }
            if is_over {
                return Ok(size_bytes);
            }
        }
    }

    async fn put_chunk(&self, id: &str, n: u32, chunk: Bytes) -> Result<(), MatrixError> {
        let id = id.to_owned();
        let put = self
            .writer
            .apply(move |transaction| transaction.put_upload_chunk(&id, n, &chunk));
        Ok(put.await?)
    }
}
