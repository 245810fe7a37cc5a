//! Entity tags: how a client says which version it holds. Only strong ones are made.
//!
//! Source: `[rfc 9110]` 8.8.3, 13.1.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::HeaderMap;
use hyper::header::HeaderValue;
use hyper::header::IF_NONE_MATCH;
use hyper::header::IF_RANGE;
use sha2::Digest;
use sha2::Sha256;

/// A strong entity tag: equal tags mean equal bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ETag(HeaderValue);

impl ETag {
    /// The tag of some content: a hash of it.
    pub fn of(content: &[u8]) -> Self {
        Self::of_hash(&Sha256::digest(content))
    }

    /// The tag of content that is known by a hash already.
    pub fn of_hash(hash: &[u8]) -> Self {
        let text = format!("\"{}\"", URL_SAFE_NO_PAD.encode(hash));
        // Base64 within quotes is always a header value; an empty tag would match nothing that we made.
        Self(HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("\"\"")))
    }

    /// As a header.
    pub fn value(&self) -> HeaderValue {
        self.0.clone()
    }

    /// Whether the client holds this version (`If-None-Match`): answer 304.
    pub(crate) fn is_held(&self, headers: &HeaderMap) -> bool {
        headers
            .get_all(IF_NONE_MATCH)
            .iter()
            .filter_map(|list| list.to_str().ok())
            // Our tags have no comma inside.
            .flat_map(|list| list.split(','))
            .map(str::trim)
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.0)
    }

    /// Whether a range may be served although the client asked for it only of a certain version (`If-Range`). A date is
    /// no version of ours.
    pub(crate) fn permits_range(&self, headers: &HeaderMap) -> bool {
        headers.get(IF_RANGE).is_none_or(|tag| *tag == self.0)
    }
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;
    use hyper::header::HeaderValue;
    use hyper::header::IF_NONE_MATCH;
    use hyper::header::IF_RANGE;

    use super::ETag;

    fn is_held(list: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.append(IF_NONE_MATCH, HeaderValue::from_str(list).unwrap());
        ETag::of_hash(&[1, 2, 3]).is_held(&headers)
    }

    #[test]
    fn a_version_that_the_client_holds_is_recognized() {
        assert_eq!(ETag::of_hash(&[1, 2, 3]).value(), "\"AQID\"");
        for list in ["\"AQID\"", "\"x\", \"AQID\"", "W/\"AQID\"", "*"] {
            assert!(is_held(list), "{list}");
        }
        for list in ["\"x\"", "AQID", "", "\"AQID"] {
            assert!(!is_held(list), "{list}");
        }
    }

    #[test]
    fn a_range_of_another_version_is_not_served() {
        let tag = ETag::of(b"content");
        let permits = |value: HeaderValue| {
            let mut headers = HeaderMap::new();
            headers.append(IF_RANGE, value);
            tag.permits_range(&headers)
        };

        assert!(tag.permits_range(&HeaderMap::new()));
        assert!(permits(tag.value()));
        assert!(!permits(ETag::of(b"other").value()));
        assert!(!permits(HeaderValue::from_static(
            "Wed, 21 Oct 2026 07:28:00 GMT"
        )));
    }
}
