//! Files: of messages, straight from where the source keeps them or out of the store, and those that clients uploaded.
//!
//! | request | |
//! |---|---|
//! | `GET /v1/media/download/{server}/{id}[/{name}]` | the file, or a stretch of it |
//! | `GET /v1/media/thumbnail/{server}/{id}` | a smaller picture, made when asked for |
//! | `GET /_matrix/media/(r0\|v1\|v3)/download`, `/thumbnail` | the same without a token, if [`LegacyMedia`] says so |
//! | `POST /_matrix/media/(r0\|v1\|v3)/upload` | a file for a message or an avatar |
//! | `POST /_matrix/media/v1/create`, `PUT .../v3/upload/{server}/{id}` | the same, its id first |
//!
//! | to | go to |
//! |---|---|
//! | see which file an id stands for | `ids`, `held` |
//! | see what a browser may show in place | `kind` |
//! | see how a thumbnail is made and kept | `thumbnail`, `thumbnails` |
//! | see how files are taken up | `upload`, `reserved` |
//!
//! A file that CloudKit has and that is not here is fetched while the client waits. Any other that is not here is 404 at
//! once.
//!
//! HEIC is served as it is, and its event is an `m.file`: few clients show it as a picture, and all of them save a file.
//! No library that decodes it may be linked into this program. `sips` of macOS could convert it there; but an event must
//! not depend on the computer that serves it, for the archive may be served elsewhere tomorrow, and of an `m.file` no
//! client asks for a thumbnail. One that asks all the same gets the file itself, if it is small.
//!
//! Events do not tell the width and height of a picture. Finding out takes opening each file: 76 us for the beginning of a
//! warm one, 11 ms for a JPEG of 2.5 MB as `image` reads it (Linux, two busy cores, 2026-11), thus half a second for a
//! page of 50. And an event would change when its file goes away. The database names no size; the body of some messages
//! names one, in points, in which Messages shows the picture: it is not the picture's own.
//!
//! Source: `[mx v1.12] Content repository`; `facts` of the endpoint, 9; D28.

mod held;
mod ids;
mod kind;
mod reserved;
#[cfg(test)]
mod tests;
mod thumbnail;
mod thumbnails;
mod upload;

use std::sync::Arc;

use tokio::task::spawn_blocking;

use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::error::Code;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::media::held::Held;
use crate::deliver::endpoint::media::kind::ContentType;
use crate::deliver::endpoint::media::kind::protected;
use crate::deliver::endpoint::media::reserved::awaited;
use crate::deliver::endpoint::media::thumbnail::Size;
use crate::deliver::endpoint::media::thumbnail::Thumbnail;
use crate::deliver::endpoint::route::Later;
use crate::deliver::endpoint::route::Route;
use crate::deliver::endpoint::route::V1;
use crate::net::ETag;
use crate::net::HeaderMap;
use crate::net::Method;
use crate::net::Response;

pub use self::held::MediaFiles;
pub(super) use self::ids::MediaIds;
pub(super) use self::thumbnails::Thumbnails;

/// Who gets files without a token, as clients of before 2024 ask for them (D28).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LegacyMedia {
    /// Nobody.
    #[default]
    Off,
    /// Programs on this computer that ask it directly, not through a proxy.
    Loopback,
}

/// Headers by which a proxy says that the request is somebody else's.
const PROXIED: [&str; 4] = ["forwarded", "via", "x-forwarded-for", "x-real-ip"];

pub(super) fn routes() -> Vec<Route> {
    let mut routes = vec![
        Route::long(Method::GET, "/media/download/{server}/{id}", download).under(V1),
        Route::long(
            Method::GET,
            "/media/download/{server}/{id}/{name}",
            download,
        )
        .under(V1),
        Route::long(Method::GET, "/media/thumbnail/{server}/{id}", thumbnail).under(V1),
    ];
    let files = [
        "/_matrix/media/r0/download/{server}/{id}",
        "/_matrix/media/r0/download/{server}/{id}/{name}",
        "/_matrix/media/v1/download/{server}/{id}",
        "/_matrix/media/v1/download/{server}/{id}/{name}",
        "/_matrix/media/v3/download/{server}/{id}",
        "/_matrix/media/v3/download/{server}/{id}/{name}",
    ];
    routes.extend(files.map(|path| {
        Route::long(Method::GET, path, legacy_download)
            .at_root()
            .open()
    }));
    let thumbnails = [
        "/_matrix/media/r0/thumbnail/{server}/{id}",
        "/_matrix/media/v1/thumbnail/{server}/{id}",
        "/_matrix/media/v3/thumbnail/{server}/{id}",
    ];
    routes.extend(thumbnails.map(|path| {
        Route::long(Method::GET, path, legacy_thumbnail)
            .at_root()
            .open()
    }));
    routes.extend(upload::routes());
    routes.extend(reserved::routes());
    routes
}

/// Whether a request without a token may be answered.
fn check_legacy(endpoint: &Endpoint, call: &Call) -> Result<(), MatrixError> {
    let is_direct = || {
        call.peer.is_local()
            && !PROXIED
                .iter()
                .any(|header| call.headers.contains_key(*header))
    };
    match endpoint.settings.legacy_media {
        LegacyMedia::Loopback if is_direct() => Ok(()),
        LegacyMedia::Loopback | LegacyMedia::Off => Err(MatrixError::not_found(
            "files are served with a token only, below /_matrix/client/v1/media",
        )),
    }
}

/// `GET /_matrix/client/v1/media/download/{server}/{id}[/{name}]`.
fn download(endpoint: Arc<Endpoint>, call: Call) -> Later {
    Box::pin(async move {
        let mut held = awaited(&endpoint, &call).await;
        if held.is_err() && endpoint.bring(&call).await {
            held = look(&endpoint, &call).await;
        }
        Ok(held?.into_response(&call.headers, call.captures.get("name")))
    })
}

/// The file that a request asks for, looked for on a thread that may wait for the disk.
async fn look(endpoint: &Arc<Endpoint>, call: &Call) -> Result<Held, MatrixError> {
    let endpoint = Arc::clone(endpoint);
    let (server, id) = (
        call.segment("server").to_owned(),
        call.segment("id").to_owned(),
    );
    let held = spawn_blocking(move || endpoint.held(&server, &id)).await;
    held.map_err(|_panic| MatrixError::new(Code::Unknown, "a bug: see footbridge's log"))?
}

/// `GET /_matrix/media/(r0|v1|v3)/download/{server}/{id}[/{name}]`.
fn legacy_download(endpoint: Arc<Endpoint>, call: Call) -> Later {
    match check_legacy(&endpoint, &call) {
        Ok(()) => download(endpoint, call),
        Err(error) => Box::pin(async { Err(error) }),
    }
}

/// `GET /_matrix/client/v1/media/thumbnail/{server}/{id}`.
fn thumbnail(endpoint: Arc<Endpoint>, call: Call) -> Later {
    Box::pin(async move {
        let size = size(&call)?;
        let thumbnails = &endpoint.thumbnails;
        let (server, id) = (call.segment("server"), call.segment("id"));
        let thumbnail_now = || {
            thumbnails.of(id, size, &call.stop, || {
                let (endpoint, server, id) =
                    (Arc::clone(&endpoint), server.to_owned(), id.to_owned());
                move || endpoint.held(&server, &id)?.thumbnail(size)
            })
        };
        let mut made = thumbnail_now().await;
        let is_to_come = made
            .as_ref()
            .is_err_and(|error| error.code() == Code::NotYetUploaded);
        if is_to_come {
            awaited(&endpoint, &call).await?;
            made = thumbnail_now().await;
        }
        if made.is_err() && endpoint.bring(&call).await {
            made = thumbnail_now().await;
        }
        match made? {
            Thumbnail::Picture { bytes, mime } => {
                let kind = ContentType::of(Some(mime));
                let etag = ETag::of(&bytes);
                let answer = Response::asset(&call.headers, kind.value(), &etag, bytes);
                Ok(protected(answer, kind, None))
            }
            Thumbnail::Original => {
                let held = look(&endpoint, &call).await?;
                Ok(held.into_response(&call.headers, None))
            }
            Thumbnail::None => Err(MatrixError::not_found("that file has no thumbnail")),
        }
    })
}

/// `GET /_matrix/media/(r0|v1|v3)/thumbnail/{server}/{id}`.
fn legacy_thumbnail(endpoint: Arc<Endpoint>, call: Call) -> Later {
    match check_legacy(&endpoint, &call) {
        Ok(()) => thumbnail(endpoint, call),
        Err(error) => Box::pin(async { Err(error) }),
    }
}

/// The size that a request asks for. A side that is no number is as large as there is: Hydrogen asks for `NaN` by `NaN`
/// of a picture whose event names no size, and ours do not.
fn size(call: &Call) -> Result<Size, MatrixError> {
    let side = |name| {
        let missing = || MatrixError::new(Code::MissingParam, "`width` and `height` are needed");
        let side = call
            .param(name)
            .map(|side| side.parse().unwrap_or(u64::MAX));
        side.ok_or_else(missing)
    };
    let is_cropped = match call.param("method") {
        None | Some("scale") => false,
        Some("crop") => true,
        Some(_) => return Err(MatrixError::invalid("`method` is `crop` or `scale`")),
    };
    Ok(Size::snapped(side("width")?, side("height")?, is_cropped))
}

impl Held {
    /// As an answer, whole or in part, under a name that a client chose or its own.
    fn into_response(self, headers: &HeaderMap, name: Option<&str>) -> Response {
        let kind = ContentType::of(self.mime.as_deref());
        let name = name.or(self.name.as_deref());
        let response = Response::ranged(headers, kind.value(), &self.etag, self.source);
        protected(response, kind, name)
    }
}
