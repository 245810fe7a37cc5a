//! What the service is doing, for the built-in page: `GET /_footbridge/status`, with a token like everything else (D28).
//! Other origins may not read it.

use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::call::Answer;
use crate::deliver::endpoint::call::Call;
use crate::deliver::endpoint::call::json;
use crate::deliver::endpoint::error::Code;
use crate::deliver::endpoint::error::MatrixError;
use crate::deliver::endpoint::route::Route;
use crate::net::Method;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::new(Method::GET, "/_footbridge/status", status).at_root()]
}

/// `GET /_footbridge/status`.
fn status(endpoint: &Endpoint, call: &Call) -> Answer {
    call.session()?;
    let status = (endpoint.settings.status)();
    let unknown = || MatrixError::new(Code::Unknown, "the archive could not be read");
    json(&status.ok_or_else(unknown)?)
}
