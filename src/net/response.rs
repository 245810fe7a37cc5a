//! One answer: status, headers and body. It knows nothing of error codes or CORS; the endpoint adds those.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::StatusCode;
use hyper::header::ACCEPT_RANGES;
use hyper::header::CONTENT_LENGTH;
use hyper::header::CONTENT_RANGE;
use hyper::header::CONTENT_TYPE;
use hyper::header::ETAG;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use hyper::header::RETRY_AFTER;
use tokio::io::AsyncRead;

use crate::net::answer::Answer;
use crate::net::answer::RangeSource;
use crate::net::etag::ETag;
use crate::net::range::Wanted;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An answer. Its length is known to Matrix clients, so that each sees when one was cut off.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers, without `Content-Length`.
    pub headers: HeaderMap,
    pub(crate) body: Answer,
}

impl Response {
    /// Without a body.
    pub fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: Answer::Whole(Bytes::new()),
        }
    }

    /// Bytes of some type.
    pub fn bytes(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        Self {
            body: Answer::Whole(body.into()),
            ..Self::empty(status).with_header(CONTENT_TYPE, content_type)
        }
    }

    /// JSON. Large ones are compressed on their way to clients elsewhere that accept it.
    pub fn json(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::bytes(status, JSON, body)
    }

    /// A fixed file of ours, or 304 when the client holds it already. `headers` are the request's.
    pub fn asset(
        headers: &HeaderMap,
        content_type: HeaderValue,
        etag: &ETag,
        body: impl Into<Bytes>,
    ) -> Self {
        let answer = if etag.is_held(headers) {
            Self::empty(StatusCode::NOT_MODIFIED)
        } else {
            Self::bytes(StatusCode::OK, content_type, body)
        };
        answer.with_header(ETAG, etag.value())
    }

    /// What a reader yields: exactly `length` bytes of it. When it ends earlier, the connection is cut off.
    pub fn stream(
        status: StatusCode,
        content_type: HeaderValue,
        reader: impl AsyncRead + Send + 'static,
        length: u64,
    ) -> Self {
        Self {
            body: Answer::reader(reader, length),
            ..Self::empty(status).with_header(CONTENT_TYPE, content_type)
        }
    }

    /// What a reader yields until it ends. Whoever reads it must see from the bytes whether it was cut off.
    pub fn open(
        status: StatusCode,
        content_type: HeaderValue,
        reader: impl AsyncRead + Send + 'static,
    ) -> Self {
        Self {
            body: Answer::open(reader),
            ..Self::empty(status).with_header(CONTENT_TYPE, content_type)
        }
    }

    /// A source, or the stretch of it that the request asks for: 200, 206, 304 or 416. `headers` are the request's.
    pub fn ranged(
        headers: &HeaderMap,
        content_type: HeaderValue,
        etag: &ETag,
        source: Arc<dyn RangeSource>,
    ) -> Self {
        let size = source.size_bytes();
        let wanted = if etag.permits_range(headers) {
            Wanted::of(headers, size)
        } else {
            Wanted::Whole
        };
        let answer = if etag.is_held(headers) {
            Self::empty(StatusCode::NOT_MODIFIED)
        } else {
            match wanted {
                Wanted::Whole => Self {
                    body: Answer::stretch(source, 0..size),
                    ..Self::empty(StatusCode::OK).with_header(CONTENT_TYPE, content_type)
                },
                Wanted::Stretch(range) => {
                    let text = format!("bytes {}-{}/{size}", range.start, range.end - 1);
                    let partial = Self::empty(StatusCode::PARTIAL_CONTENT);
                    Self {
                        body: Answer::stretch(source, range),
                        ..partial
                            .with_header(CONTENT_TYPE, content_type)
                            .with_text(CONTENT_RANGE, &text)
                    }
                }
                Wanted::Nothing => Self::empty(StatusCode::RANGE_NOT_SATISFIABLE)
                    .with_text(CONTENT_RANGE, &format!("bytes */{size}")),
            }
        };
        answer
            .with_header(ETAG, etag.value())
            .with_header(ACCEPT_RANGES, HeaderValue::from_static("bytes"))
    }

    /// The same with a header; one of that name is replaced.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The same with a header of our own making; text that is none (control characters) is left out.
    #[must_use]
    pub fn with_text(self, name: HeaderName, text: &str) -> Self {
        match HeaderValue::from_str(text) {
            Ok(value) => self.with_header(name, value),
            Err(_not_a_header) => self,
        }
    }

    /// The same with `Retry-After`, in whole seconds, rounded up.
    #[must_use]
    pub fn with_retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.with_header(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// The whole body, when it is in memory: for tests and for requests from inside the program.
    pub const fn whole_body(&self) -> Option<&Bytes> {
        match &self.body {
            Answer::Whole(bytes) => Some(bytes),
            Answer::Reader(_) | Answer::Stretch(_) | Answer::Open(_) => None,
        }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.headers.get(CONTENT_TYPE) == Some(&JSON)
    }

    /// What `HEAD` is answered: the headers that the body would have had, and none.
    pub(crate) fn without_body(mut self) -> Self {
        let length = HeaderValue::from(self.body.left());
        if self.has_length() && !matches!(self.body, Answer::Open(_)) {
            self.headers.insert(CONTENT_LENGTH, length);
        }
        self.body = Answer::Whole(Bytes::new());
        self
    }

    fn has_length(&self) -> bool {
        !matches!(
            self.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        )
    }

    pub(crate) fn into_hyper(self) -> hyper::Response<Answer> {
        let mut response = hyper::Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use bytes::Bytes;
    use http_body_util::BodyExt;
    use hyper::HeaderMap;
    use hyper::StatusCode;
    use hyper::header::CONTENT_LENGTH;
    use hyper::header::CONTENT_RANGE;
    use hyper::header::HeaderName;
    use hyper::header::HeaderValue;
    use hyper::header::IF_NONE_MATCH;
    use hyper::header::IF_RANGE;
    use hyper::header::RANGE;
    use hyper::header::RETRY_AFTER;

    use super::Response;
    use crate::net::etag::ETag;

    const TEXT: HeaderValue = HeaderValue::from_static("text/plain");

    fn headers<const N: usize>(pairs: [(HeaderName, HeaderValue); N]) -> HeaderMap {
        pairs.into_iter().collect()
    }

    /// Status, `Content-Range` and body of ten digits, asked for with these headers.
    async fn digits(headers: &HeaderMap) -> (u16, Option<String>, Bytes) {
        let content = Bytes::from_static(b"0123456789");
        let etag = ETag::of(&content);
        let response = Response::ranged(headers, TEXT, &etag, Arc::new(content));
        let range = response.headers.get(CONTENT_RANGE);
        let range = range.map(|range| range.to_str().unwrap().to_owned());
        let body = response.body.collect().await.unwrap().to_bytes();
        (response.status.as_u16(), range, body)
    }

    fn range(text: &'static str) -> (HeaderName, HeaderValue) {
        (RANGE, HeaderValue::from_static(text))
    }

    #[tokio::test]
    async fn ranges_are_answered_by_the_standard() {
        let whole = (200, None, Bytes::from_static(b"0123456789"));

        assert_eq!(digits(&HeaderMap::new()).await, whole);
        assert_eq!(
            digits(&headers([range("bytes=2-4")])).await,
            (
                206,
                Some("bytes 2-4/10".to_owned()),
                Bytes::from_static(b"234")
            )
        );
        assert_eq!(
            digits(&headers([range("bytes=10-")])).await,
            (416, Some("bytes */10".to_owned()), Bytes::new())
        );
        let other = (IF_RANGE, ETag::of(b"other").value());
        assert_eq!(digits(&headers([range("bytes=2-4"), other])).await, whole);
    }

    #[tokio::test]
    async fn a_version_that_is_held_is_not_sent_again() {
        let held = headers([
            range("bytes=2-4"),
            (IF_NONE_MATCH, ETag::of(b"0123456789").value()),
        ]);

        assert_eq!(digits(&held).await, (304, None, Bytes::new()));
        let etag = ETag::of(b"a");
        let asset = |headers: &HeaderMap| Response::asset(headers, TEXT, &etag, "a").status;
        assert_eq!(asset(&HeaderMap::new()), StatusCode::OK);
        let held = headers([(IF_NONE_MATCH, etag.value())]);
        assert_eq!(asset(&held), StatusCode::NOT_MODIFIED);
    }

    #[test]
    fn an_answer_to_head_keeps_its_length() {
        let response = Response::json(StatusCode::OK, "{}").without_body();

        assert_eq!(response.headers[CONTENT_LENGTH], "2");
        assert_eq!(response.whole_body().unwrap(), "");
    }

    #[test]
    fn the_time_to_wait_is_rounded_up() {
        let wait = |millis| {
            let response = Response::empty(StatusCode::TOO_MANY_REQUESTS)
                .with_retry_after(Duration::from_millis(millis));
            response.headers[RETRY_AFTER].to_str().unwrap().to_owned()
        };

        assert_eq!(
            [wait(0), wait(1), wait(1_000), wait(1_001)],
            ["0", "1", "1", "2"]
        );
    }
}
