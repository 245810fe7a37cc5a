//! The built-in web page: its files, as they are in the program.
//!
//! | request | |
//! |---|---|
//! | `GET /` | the page |
//! | `GET /page/{file}` | its scripts, its style, its icon |
//!
//! The page logs in like any client and has no rights of its own. Nothing of it comes from elsewhere, and its policy lets
//! nothing in (D28).

use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::route::Route;
use crate::net::ETag;
use crate::net::HeaderValue;
use crate::net::Method;
use crate::net::Response;
use crate::net::header;

/// What the page may do (D28).
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob:; \
     media-src 'self' blob:; worker-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
);

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const ICON: &str = "image/svg+xml";

/// A file of the page.
struct Asset {
    name: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

macro_rules! assets {
    ($($name:literal: $type:expr,)*) => {
        &[$(Asset {
            name: $name,
            content_type: $type,
            bytes: include_bytes!(concat!("page/", $name)),
        },)*]
    };
}

/// Every file; the page itself first.
const ASSETS: &[Asset] = assets! {
    "index.html": HTML,
    "api.js": SCRIPT,
    "app.js": SCRIPT,
    "bubble.js": SCRIPT,
    "dom.js": SCRIPT,
    "history.js": SCRIPT,
    "icon.svg": ICON,
    "markup.js": SCRIPT,
    "media.js": SCRIPT,
    "rooms.js": SCRIPT,
    "search.js": SCRIPT,
    "status.js": SCRIPT,
    "style.css": STYLE,
    "timeline.js": SCRIPT,
};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::GET, "/", page).at_root().open(),
        Route::new(Method::GET, "/page/{file}", file)
            .at_root()
            .open(),
    ]
}

/// `GET /`.
fn page(_endpoint: &Endpoint, call: &Call) -> Answer {
    serve(call, ASSETS.first())
}

/// `GET /page/{file}`.
fn file(_endpoint: &Endpoint, call: &Call) -> Answer {
    let name = call.segment("file");
    serve(call, ASSETS.iter().skip(1).find(|asset| asset.name == name))
}

fn serve(call: &Call, asset: Option<&Asset>) -> Answer {
    let asset = asset.ok_or_else(|| MatrixError::not_found("the page has no such file"))?;
    let content_type = HeaderValue::from_static(asset.content_type);
    let etag = ETag::of(asset.bytes);
    let response = Response::asset(&call.headers, content_type, &etag, asset.bytes);
    Ok(response
        .with_header(header::CONTENT_SECURITY_POLICY, POLICY)
        .with_header(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        )
        .with_header(
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        )
        // Asked for again with each new version of the program, and answered by the tag.
        .with_header(header::CACHE_CONTROL, HeaderValue::from_static("no-cache")))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::ASSETS;

    #[test]
    fn every_file_of_the_page_is_served() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/deliver/endpoint/page");
        let mut there: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let mut served: Vec<&str> = ASSETS.iter().map(|asset| asset.name).collect();
        there.sort();
        served.sort_unstable();

        assert_eq!(served, there);
    }
}
