//! Relative URLs, which archives keep apart from their base. Not a URL parser: nothing is checked or escaped.

/// The address that a relative one names.
///
/// Dot segments stay as they are: links are shown as they were typed.
///
/// Source: [rfc 3986] 5.2.2.
pub(crate) fn join(base: &str, relative: &str) -> String {
    let scheme_end = |text: &str| {
        text.find(':')
            .filter(|at| text.find('/').is_none_or(|slash| *at < slash))
    };
    if scheme_end(relative).is_some() {
        return relative.to_owned();
    }
    if base.is_empty() {
        return relative.to_owned();
    }
    let scheme = base.split_inclusive(':').next().unwrap_or_default();
    if relative.starts_with("//") {
        return format!("{scheme}{relative}");
    }
    let until = |marks: &[char]| base.split(marks).next().unwrap_or_default();
    if relative.is_empty() || relative.starts_with('#') {
        return format!("{}{relative}", until(&['#']));
    }
    let path = until(&['?', '#']);
    if relative.starts_with('?') {
        return format!("{path}{relative}");
    }
    let authority_start = path
        .find("//")
        .map_or(scheme.len(), |at| at.saturating_add(2));
    let path_start = path
        .get(authority_start..)
        .and_then(|rest| rest.find('/'))
        .map(|at| at.saturating_add(authority_start));
    if relative.starts_with('/') {
        let authority = path.get(..path_start.unwrap_or(path.len())).unwrap_or(path);
        return format!("{authority}{relative}");
    }
    match path_start.and_then(|_| path.rfind('/')) {
        Some(slash) => format!("{}/{relative}", path.get(..slash).unwrap_or_default()),
        None => format!("{path}/{relative}"),
    }
}

#[cfg(test)]
mod tests {
    use super::join;

    #[test]
    fn relative_addresses_continue_their_base() {
        let base = "https://example.org/a/b?q#f";

        assert_eq!(join(base, "c"), "https://example.org/a/c");
        assert_eq!(join(base, "/c"), "https://example.org/c");
        assert_eq!(join(base, "//example.com/c"), "https://example.com/c");
        assert_eq!(join(base, "?r"), "https://example.org/a/b?r");
        assert_eq!(join(base, "#g"), "https://example.org/a/b?q#g");
        assert_eq!(join(base, ""), "https://example.org/a/b?q");
        assert_eq!(join(base, "mailto:a@example.org"), "mailto:a@example.org");
    }

    #[test]
    fn a_base_without_a_path_gets_one() {
        assert_eq!(join("https://example.org", "c"), "https://example.org/c");
        assert_eq!(join("https://example.org", "/c"), "https://example.org/c");
        assert_eq!(join("", "c"), "c");
    }
}
