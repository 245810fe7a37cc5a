//! The check of `Host` against names that other people's web pages could make point at us (DNS rebinding, D28). It says
//! nothing about who is asking.

use std::net::IpAddr;

/// The names by which this service may be asked: loopback names, IP addresses, and those it was given.
///
/// An IP address needs no list: a page whose origin is our address was served by us.
#[derive(Clone, Debug, Default)]
pub struct HostCheck {
    /// In lower case, without port and final dot.
    names: Vec<String>,
}

impl HostCheck {
    /// With the names of this computer, the server name and the host of the public URL, each with or without a port.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let names = names.into_iter().filter_map(host_of);
        Self {
            names: names.collect(),
        }
    }

    /// Whether a request for this host (`Host` or `:authority`, with or without a port) is for us.
    ///
    /// None at all is refused: every client since HTTP/1.1 sends one.
    pub fn allows(&self, authority: Option<&str>) -> bool {
        let Some(host) = authority.and_then(host_of) else {
            return false;
        };
        host == "localhost"
            || host.ends_with(".localhost")
            || host.parse::<IpAddr>().is_ok()
            || self.names.contains(&host)
    }
}

/// The host of an authority, or of a URL: lower case, without user, port, brackets and final dot.
///
/// `None` when there is none, or when it has characters that no host has.
pub fn host_of(text: &str) -> Option<String> {
    let authority = match text.split_once("://") {
        Some((_, rest)) => rest.split(['/', '?', '#']).next()?,
        None => text,
    };
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (
                host,
                port.strip_prefix(':').or(port.is_empty().then_some("")),
            )
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, Some("")),
        },
    };
    let is_port = port?.bytes().all(|byte| byte.is_ascii_digit());
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_host =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':');
    (is_port && !host.is_empty() && host.bytes().all(is_host)).then(|| host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::HostCheck;
    use super::host_of;

    fn check() -> HostCheck {
        HostCheck::new([
            "Mini.local",
            "matrix.example.org:8448",
            "https://Chat.Example.org/x",
        ])
    }

    #[test]
    fn own_names_loopback_names_and_addresses_are_ours() {
        for host in [
            "localhost",
            "LocalHost:8008",
            "element.localhost:80",
            "127.0.0.1:8008",
            "192.168.1.5",
            "[::1]:8008",
            "[fe80::1]",
            "mini.local",
            "MINI.LOCAL.:443",
            "matrix.example.org",
            "chat.example.org:9",
        ] {
            assert!(check().allows(Some(host)), "{host}");
        }
    }

    #[test]
    fn names_of_others_are_not() {
        for host in [
            "evil.example",
            "localhost.evil.example",
            "evillocalhost",
            "example.org",
            "mini.local.evil.example",
            "127.0.0.1.evil.example",
            "evil.example@127.0.0.1",
            "127.0.0.1:80:80",
            "[::1",
            "[::1]evil",
            "[evil]",
            "mini.local:x",
            "mini.local/",
            ".",
            "",
        ] {
            assert!(!check().allows(Some(host)), "{host}");
        }
        assert!(!check().allows(None));
    }

    #[test]
    fn hosts_are_read_from_urls_too() {
        assert_eq!(host_of("https://A.b:1/c?d").as_deref(), Some("a.b"));
        assert_eq!(host_of("http://[::1]:80").as_deref(), Some("::1"));
        assert_eq!(host_of("https:///x"), None);
    }
}
