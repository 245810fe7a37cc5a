//! What a browser may do with a file: nothing but show the types that cannot act.
//!
//! | type | answered as |
//! |---|---|
//! | pictures, films, sounds, plain text | itself, in place |
//! | documents of a known type | itself, to be saved |
//! | HTML, SVG, XML, scripts, anything else | `application/octet-stream`, to be saved |
//!
//! Source: `facts` of the endpoint, 9 and 14; `[rfc 6266]`, `[rfc 8187]` 3.2.

use crate::net::HeaderName;
use crate::net::HeaderValue;
use crate::net::Response;
use crate::net::header;

/// Types that cannot act, whatever their bytes say.
const SHOWN: &[&str] = &[
    "image/jpeg",
    "image/png",
    "image/apng",
    "image/gif",
    "image/webp",
    "image/avif",
    "image/bmp",
    "image/tiff",
    "image/heic",
    "image/heif",
    "video/mp4",
    "video/quicktime",
    "video/webm",
    "video/ogg",
    "video/mpeg",
    "video/3gpp",
    "video/x-m4v",
    "audio/mpeg",
    "audio/mp4",
    "audio/x-m4a",
    "audio/aac",
    "audio/ogg",
    "audio/opus",
    "audio/webm",
    "audio/wav",
    "audio/x-wav",
    "audio/flac",
    "audio/amr",
    "audio/x-caf",
    "text/plain",
];

/// Types that are named, to be saved.
const SAVED: &[&str] = &[
    "application/json",
    "application/pdf",
    "application/zip",
    "text/calendar",
    "text/csv",
    "text/vcard",
    "text/x-vcard",
];

/// Other names of those types.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("image/jpg", "image/jpeg"),
    ("audio/mp3", "audio/mpeg"),
    ("audio/m4a", "audio/x-m4a"),
];

/// Longest name of a file in a header, characters.
const NAME_CHARACTERS: usize = 200;

/// How a file's type is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ContentType {
    name: &'static str,
    is_shown: bool,
}

impl ContentType {
    /// By what the source or the client said, with or without parameters.
    pub(super) fn of(mime: Option<&str>) -> Self {
        let mime = mime.unwrap_or_default().split(';').next();
        let mime = mime.unwrap_or_default().trim().to_ascii_lowercase();
        let other = OTHER_NAMES.iter().find(|(other, _)| *other == mime);
        let mime = other.map_or(mime.as_str(), |(_, name)| name);
        let listed = |list: &[&'static str]| list.iter().find(|name| **name == mime).copied();
        match (listed(SHOWN), listed(SAVED)) {
            (Some(name), _) => Self {
                name,
                is_shown: true,
            },
            (None, saved) => Self {
                name: saved.unwrap_or("application/octet-stream"),
                is_shown: false,
            },
        }
    }

    /// Whether it is a picture.
    pub(super) fn is_image(self) -> bool {
        self.name.starts_with("image/")
    }

    /// As a header.
    pub(super) const fn value(self) -> HeaderValue {
        HeaderValue::from_static(self.name)
    }

    fn disposition(self, name: Option<&str>) -> String {
        let mut text = if self.is_shown {
            "inline"
        } else {
            "attachment"
        }
        .to_owned();
        if let Some(name) = name {
            push_name(&mut text, name);
        }
        text
    }
}

/// Appends the name of a file: in the form that every client reads, if that can hold it.
fn push_name(text: &mut String, name: &str) {
    let shown = name.chars().filter(|c| !c.is_control());
    let shown: String = shown.take(NAME_CHARACTERS).collect();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if !shown.is_empty() && shown.chars().all(is_plain) {
        text.push_str("; filename=");
        text.push_str(&shown);
        return;
    }
    // Within quotes a backslash is no letter, and some take `%` for the beginning of one.
    let is_quotable = |c: char| c.is_ascii() && !matches!(c, '"' | '\\' | '%');
    if shown.chars().all(is_quotable) {
        text.push_str("; filename=\"");
        text.push_str(&shown);
        text.push('"');
        return;
    }
    text.push_str("; filename*=utf-8''");
    for c in shown.chars() {
        push_encoded(text, c);
    }
}

/// Appends a character as `[rfc 8187]` writes it.
fn push_encoded(text: &mut String, c: char) {
    if c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~') {
        text.push(c);
        return;
    }
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        text.push('%');
        for digit in [byte >> 4, byte & 0xf] {
            let digit = char::from_digit(digit.into(), 16).unwrap_or_default();
            text.push(digit.to_ascii_uppercase());
        }
    }
}

/// The headers that keep a file from acting in a browser, and let a client keep it.
pub(super) fn protected(response: Response, kind: ContentType, name: Option<&str>) -> Response {
    const POLICY: &str = "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; \
                          style-src 'unsafe-inline'; object-src 'self';";
    let fixed = HeaderValue::from_static;
    response
        .with_text(header::CONTENT_DISPOSITION, &kind.disposition(name))
        .with_header(header::CONTENT_SECURITY_POLICY, fixed(POLICY))
        .with_header(header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff"))
        .with_header(
            HeaderName::from_static("cross-origin-resource-policy"),
            fixed("cross-origin"),
        )
        .with_header(
            header::CACHE_CONTROL,
            fixed("private, max-age=31536000, immutable"),
        )
}

#[cfg(test)]
mod tests {
    use super::ContentType;

    fn answered(mime: &str) -> (&'static str, String) {
        let kind = ContentType::of(Some(mime));
        (kind.name, kind.disposition(None))
    }

    #[test]
    fn only_what_cannot_act_is_shown_in_place() {
        let table = [
            ("image/jpeg", "image/jpeg", "inline"),
            ("IMAGE/JPG; q=1", "image/jpeg", "inline"),
            ("text/plain;charset=utf-8", "text/plain", "inline"),
            ("application/pdf", "application/pdf", "attachment"),
            ("image/svg+xml", "application/octet-stream", "attachment"),
            ("text/html", "application/octet-stream", "attachment"),
            (
                "application/xhtml+xml",
                "application/octet-stream",
                "attachment",
            ),
            ("text/javascript", "application/octet-stream", "attachment"),
            (
                "image/jpeg\r\nX: y",
                "application/octet-stream",
                "attachment",
            ),
            ("", "application/octet-stream", "attachment"),
        ];

        for (mime, name, disposition) in table {
            assert_eq!(answered(mime), (name, disposition.to_owned()), "{mime}");
        }
    }

    #[test]
    fn a_name_is_written_as_plainly_as_it_can_be() {
        let kind = ContentType::of(Some("image/png"));

        for (name, written) in [
            ("ascii", "filename=ascii"),
            ("IMG_0001.png", "filename=IMG_0001.png"),
            ("name with spaces", "filename=\"name with spaces\""),
            ("name;with;semicolons", "filename=\"name;with;semicolons\""),
            ("", "filename=\"\""),
            ("50%.png", "filename*=utf-8''50%25.png"),
            ("a\"b", "filename*=utf-8''a%22b"),
            ("a\\b", "filename*=utf-8''a%5Cb"),
            ("\u{2615}", "filename*=utf-8''%E2%98%95"),
        ] {
            let header = kind.disposition(Some(name));
            assert_eq!(header, format!("inline; {written}"), "{name}");
        }
    }

    #[test]
    fn a_name_is_written_so_that_it_cannot_leave_the_header() {
        let kind = ContentType::of(Some("image/png"));

        let header = kind.disposition(Some("a b\"\r\n;\u{E9}/..\\x.png"));

        assert_eq!(
            header,
            "inline; filename*=utf-8''a%20b%22%3B%C3%A9%2F..%5Cx.png"
        );
    }
}
