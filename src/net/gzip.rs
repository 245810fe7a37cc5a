//! Compression of large JSON answers for clients elsewhere. Media is compressed already, and the loopback needs none.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::HeaderMap;
use hyper::header::ACCEPT_ENCODING;
use hyper::header::CONTENT_ENCODING;
use hyper::header::HeaderValue;
use hyper::header::VARY;
use tokio::task::spawn_blocking;

use crate::base::limits::GZIP_BYTES;
use crate::net::answer::Answer;
use crate::net::request::Peer;
use crate::net::response::Response;

const GZIP: HeaderValue = HeaderValue::from_static("gzip");

/// Whether this client wants compressed answers. One on this computer pays for the compression and gains nothing; a
/// reverse proxy there compresses for its own clients.
pub(crate) fn wants_gzip(headers: &HeaderMap, peer: Peer) -> bool {
    !peer.is_local()
        && headers
            .get_all(ACCEPT_ENCODING)
            .iter()
            .filter_map(|list| list.to_str().ok())
            .flat_map(|list| list.split(','))
            .any(accepts)
}

/// Whether one entry of `Accept-Encoding` is gzip, with a weight that is not zero.
fn accepts(entry: &str) -> bool {
    let (coding, weight) = entry.split_once(';').unwrap_or((entry, ""));
    let weight = weight.trim().trim_start_matches("q=");
    let is_zero =
        weight.starts_with('0') && !weight.contains(|digit: char| matches!(digit, '1'..='9'));
    coding.trim().eq_ignore_ascii_case("gzip") && !is_zero
}

/// The answer, compressed if that is worth it.
pub(crate) async fn gzip(mut response: Response) -> Response {
    let Answer::Whole(bytes) = &response.body else {
        return response;
    };
    let is_encoded = response.headers.contains_key(CONTENT_ENCODING);
    if bytes.len() < GZIP_BYTES || !response.is_json() || is_encoded {
        return response;
    }
    let bytes = bytes.clone();
    let Ok(Some(smaller)) = spawn_blocking(move || compress(&bytes)).await else {
        return response;
    };
    response.body = Answer::Whole(smaller);
    response.headers.insert(CONTENT_ENCODING, GZIP);
    let vary = HeaderValue::from_static("Accept-Encoding");
    response.headers.append(VARY, vary);
    response
}

/// `None` when it did not become smaller.
fn compress(bytes: &[u8]) -> Option<Bytes> {
    // The fastest level: JSON of events shrinks to a fifth with it, to a sixth with the best one.
    let into = Vec::with_capacity(bytes.len() / 4);
    let mut encoder = GzEncoder::new(into, Compression::fast());
    encoder.write_all(bytes).ok()?;
    let smaller = encoder.finish().ok()?;
    (smaller.len() < bytes.len()).then(|| smaller.into())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use hyper::HeaderMap;
    use hyper::StatusCode;
    use hyper::header::ACCEPT_ENCODING;
    use hyper::header::CONTENT_ENCODING;
    use hyper::header::HeaderValue;
    use hyper::header::VARY;

    use super::gzip;
    use super::wants_gzip;
    use crate::net::request::Peer;
    use crate::net::response::Response;

    fn wants(peer: &str, encodings: &'static str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(encodings));
        wants_gzip(&headers, Peer::Tcp(peer.parse().unwrap()))
    }

    #[test]
    fn clients_elsewhere_get_what_they_accept() {
        for encodings in ["gzip", "br, GZIP;q=0.5, deflate", "gzip;q=1.0"] {
            assert!(wants("192.0.2.1:1", encodings), "{encodings}");
            assert!(!wants("127.0.0.1:1", encodings), "{encodings}");
        }
        for encodings in ["", "br", "gzip;q=0", "gzip; q=0.000", "x-gzip"] {
            assert!(!wants("192.0.2.1:1", encodings), "{encodings}");
        }
    }

    #[tokio::test]
    async fn large_json_becomes_smaller_and_decodes_to_itself() {
        let text = format!("[{}]", "{\"type\":\"m.room.message\"},".repeat(1_000));

        let response = gzip(Response::json(StatusCode::OK, text.clone())).await;

        assert_eq!(response.headers[CONTENT_ENCODING], "gzip");
        assert_eq!(response.headers[VARY], "Accept-Encoding");
        let body = response.whole_body().unwrap();
        assert!(body.len() < text.len() / 5);
        let mut decoded = String::new();
        GzDecoder::new(&body[..])
            .read_to_string(&mut decoded)
            .unwrap();
        assert_eq!(decoded, text);
    }

    #[tokio::test]
    async fn small_answers_and_other_types_stay_as_they_are() {
        let html = HeaderValue::from_static("text/html");
        let large = "a".repeat(100_000);

        let small = gzip(Response::json(StatusCode::OK, "{}")).await;
        let other = gzip(Response::bytes(StatusCode::OK, html, large.clone())).await;

        assert_eq!(small.whole_body().unwrap(), "{}");
        assert_eq!(*other.whole_body().unwrap(), large);
        assert!(!other.headers.contains_key(CONTENT_ENCODING));
    }
}
