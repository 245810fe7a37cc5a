//! Requests from any bytes: what the fuzz target `router` does, and its replay.
//!
//! The fuzz target includes this file; it must not use anything of its neighbours.

use footbridge::net::Method;
use footbridge::net::Request;
use footbridge::net::router::Routed;
use footbridge::net::router::Router;
use footbridge::net::target::Query;

const PATTERNS: [(Method, &str); 8] = [
    (Method::GET, "/"),
    (Method::GET, "/_matrix/client/versions"),
    (Method::GET, "/_matrix/client/v3/pushrules/"),
    (Method::GET, "/_matrix/client/v3/rooms/{room}/messages"),
    (Method::GET, "/_matrix/client/v3/rooms/public/{action}"),
    (
        Method::PUT,
        "/_matrix/client/v3/rooms/{room}/state/{type}/{key}",
    ),
    (Method::PUT, "/_matrix/client/v3/rooms/{room}/state/{type}/"),
    (Method::GET, "/web/{file*}"),
];

/// Routes a request whose line these bytes are (`GET /path?query`), and says whether it was found.
///
/// Panics when what was found breaks a promise of the router.
pub(crate) fn route_any(bytes: &[u8]) -> bool {
    let mut router = Router::new();
    for (method, pattern) in PATTERNS {
        router.insert(method, pattern, pattern).unwrap();
    }
    let Ok(line) = str::from_utf8(bytes) else {
        return false;
    };
    let (method, target) = line.split_once(' ').unwrap_or(("GET", line));
    let Ok(method) = method.parse() else {
        return false;
    };
    let request = Request::new(method, target);
    if let Ok(query) = &request.query {
        assert_eq!(Query::parse(&query.to_string()).as_ref(), Ok(query));
    }
    if let Ok(path) = &request.path {
        assert_eq!(path.segments().count(), path.count());
    }
    let Routed::Found(pattern, captures) = router.route(&request.method, &request.path) else {
        return false;
    };
    assert_eq!(captures.values().len(), pattern.matches('{').count());
    for value in captures.values() {
        assert!(!value.is_empty() && !value.contains('\0'));
    }
    if let Some(file) = captures.get("file") {
        assert!(
            !file
                .split(['/', '\\'])
                .any(|name| matches!(name, "" | "." | ".."))
        );
    }
    true
}
