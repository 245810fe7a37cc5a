//! What clients ask before they log in, and what they ask for only to be told that there is none of it.
//!
//! | request | answer |
//! |---|---|
//! | `GET /.well-known/matrix/client` | where the server is, and that rooms need no encryption |
//! | `GET /_matrix/client/versions` | what every client checks first |
//! | `GET /capabilities` | what cannot be changed here, so that clients grey it out |
//! | the rest | constants: nothing to find, nobody to call |
//!
//! Versions stop at v1.12: from v1.15 on a client expects OAuth, from v1.16 on profiles of any shape. `v1.1` is what one
//! client insists on, `v1.11` turns on media with a token. Cross-signing is not announced: clients would demand its setup.
//!
//! Source: `[mx v1.12] API Versions, Server Discovery`; `facts` of the endpoint, 1 and 2.

use serde_json::json;

use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::call::json;
use crate::deliver::endpoint::call::nothing;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::route::Route;
use crate::deliver::endpoint::route::V1;
use crate::net::Method;

/// The largest file that a client may upload, bytes.
pub(super) const UPLOAD_BYTES: u64 = 100 << 20;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::GET, "/.well-known/matrix/client", discovery)
            .at_root()
            .open(),
        Route::new(Method::GET, "/_matrix/client/versions", versions)
            .at_root()
            .open(),
        Route::new(Method::GET, "/capabilities", capabilities),
        Route::new(Method::GET, "/voip/turnServer", empty),
        Route::new(Method::GET, "/thirdparty/protocols", empty),
        Route::new(Method::GET, "/media/config", media_config).under(V1),
        Route::new(Method::GET, "/_matrix/media/v3/config", media_config).at_root(),
        Route::new(Method::GET, "/_matrix/media/r0/config", media_config).at_root(),
        Route::new(Method::GET, "/media/preview_url", empty).under(V1),
        Route::new(Method::GET, "/_matrix/media/v3/preview_url", empty).at_root(),
        Route::new(Method::GET, "/_matrix/media/r0/preview_url", empty).at_root(),
        Route::new(Method::GET, "/notifications", no_notifications),
        Route::new(Method::GET, "/publicRooms", no_rooms).open(),
        Route::new(Method::POST, "/publicRooms", no_rooms),
        Route::new(Method::GET, "/directory/room/{alias}", no_alias).open(),
        Route::new(Method::DELETE, "/directory/room/{alias}", no_alias),
        Route::new(Method::GET, "/directory/list/room/{room}", unlisted).open(),
        Route::new(Method::GET, "/account/3pid", no_third_party),
        Route::new(Method::GET, "/rooms/{room}/hierarchy", no_hierarchy).under(V1),
        Route::new(Method::GET, "/rooms/{room}/aliases", no_aliases),
        Route::new(Method::GET, "/rooms/{room}/threads", no_threads).under(V1),
    ]
}

/// `GET /.well-known/matrix/client`. The host was checked, so it may be named (D28).
fn discovery(endpoint: &Endpoint, call: &Call) -> Answer {
    let base = endpoint.settings.public_url.clone().unwrap_or_else(|| {
        let scheme = if call.is_tls { "https" } else { "http" };
        format!("{scheme}://{}", call.authority)
    });
    json(&json!({
        "m.homeserver": { "base_url": base },
        "io.element.e2ee": { "default": false, "force_disable": true },
    }))
}

/// `GET /_matrix/client/versions`.
fn versions(_endpoint: &Endpoint, _call: &Call) -> Answer {
    json(&json!({
        "versions": [
            "r0.6.1", "v1.1", "v1.2", "v1.3", "v1.4", "v1.5", "v1.6", "v1.7", "v1.8", "v1.9", "v1.10", "v1.11",
            "v1.12",
        ],
        "unstable_features": {
            "org.matrix.simplified_msc3575": true,
            "org.matrix.msc2285.stable": true,
            "org.matrix.msc3440.stable": true,
        },
    }))
}

/// `GET /_matrix/client/v3/capabilities`.
fn capabilities(_endpoint: &Endpoint, _call: &Call) -> Answer {
    json(&json!({
        "capabilities": {
            "m.room_versions": { "default": "10", "available": { "10": "stable" } },
            "m.change_password": { "enabled": true },
            "m.set_displayname": { "enabled": false },
            "m.set_avatar_url": { "enabled": false },
            "m.3pid_changes": { "enabled": false },
            "m.get_login_token": { "enabled": false },
        },
    }))
}

fn empty(_endpoint: &Endpoint, _call: &Call) -> Answer {
    nothing()
}

fn media_config(_endpoint: &Endpoint, _call: &Call) -> Answer {
    json(&json!({ "m.upload.size": UPLOAD_BYTES }))
}

fn no_notifications(_endpoint: &Endpoint, _call: &Call) -> Answer {
    json(&json!({ "notifications": [] }))
}

fn no_rooms(_endpoint: &Endpoint, _call: &Call) -> Answer {
    json(&json!({ "chunk": [], "total_room_count_estimate": 0 }))
}

fn no_alias(_endpoint: &Endpoint, _call: &Call) -> Answer {
    Err(MatrixError::not_found("rooms here have no aliases"))
}

fn unlisted(_endpoint: &Endpoint, _call: &Call) -> Answer {
    json(&json!({ "visibility": "private" }))
}

fn no_third_party(_endpoint: &Endpoint, _call: &Call) -> Answer {
    json(&json!({ "threepids": [] }))
}

fn no_hierarchy(_endpoint: &Endpoint, _call: &Call) -> Answer {
    json(&json!({ "rooms": [] }))
}

fn no_aliases(_endpoint: &Endpoint, _call: &Call) -> Answer {
    json(&json!({ "aliases": [] }))
}

fn no_threads(_endpoint: &Endpoint, _call: &Call) -> Answer {
    json(&json!({ "chunk": [] }))
}
