//! Which iCloud is asked: Apple's, or the one that this computer makes up for a test or a demonstration.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::net::Uri;

/// Where CloudKit is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    origin: String,
    /// By how much every delay is divided; `None` for Apple's.
    loopback: Option<NonZeroU32>,
}

impl Default for Gateway {
    fn default() -> Self {
        Self::apple()
    }
}

impl Gateway {
    /// Apple's.
    pub fn apple() -> Self {
        Self {
            origin: "https://gateway.icloud.com".to_owned(),
            loopback: None,
        }
    }

    /// One on this computer: `http://`, a loopback address or `localhost`, a port, and nothing behind. Keys and tokens of
    /// an account must not be sent elsewhere because of a setting.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub fn loopback(url: &str) -> Result<Self, GatewayError> {
        let parsed: Uri = url.parse().map_err(|_invalid| GatewayError)?;
        let authority = parsed.authority().ok_or(GatewayError)?;
        let has_more = !matches!(parsed.path(), "" | "/") || parsed.query().is_some();
        let is_plain = parsed.scheme_str() == Some("http") && !authority.as_str().contains('@');
        let has_port = authority.port().is_some();
        if has_more || !is_plain || !has_port || !is_loopback(authority.host()) {
            return Err(GatewayError);
        }
        Ok(Self {
            origin: format!("http://{authority}"),
            loopback: Some(NonZeroU32::MIN),
        })
    }

    /// The same, with every delay divided by a factor, for runs with many faults (D35). Apple's is never hurried.
    #[must_use]
    pub fn hurried(mut self, factor: NonZeroU32) -> Self {
        self.loopback = self.loopback.map(|_| factor);
        self
    }

    /// Whether it is one on this computer.
    pub fn is_loopback(&self) -> bool {
        self.loopback.is_some()
    }

    /// How long to wait instead of this.
    pub fn delay(&self, full: Duration) -> Duration {
        self.loopback.map_or(full, |factor| full / factor.get())
    }

    /// The URL of one of its paths.
    pub(crate) fn url(&self, path: &str) -> Option<Uri> {
        format!("{}{path}", self.origin).parse().ok()
    }

    /// Whether a file may be fetched from there: over TLS from anywhere, without only on this computer, for the iCloud on
    /// this computer.
    pub(crate) fn admits(&self, url: &Uri) -> bool {
        match url.scheme_str() {
            Some("https") => url.host().is_some(),
            Some("http") => self.is_loopback() && url.host().is_some_and(is_loopback),
            _ => false,
        }
    }
}

/// Whether a host is this computer, without asking anybody.
fn is_loopback(host: &str) -> bool {
    let host = host.strip_prefix('[').unwrap_or(host);
    let host = host.strip_suffix(']').unwrap_or(host);
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

/// What was given is no gateway on this computer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected http:// with a loopback address and a port, as in http://127.0.0.1:8080")]
pub struct GatewayError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_computer_can_stand_for_icloud() {
        for (url, origin) in [
            ("http://127.0.0.1:80", "http://127.0.0.1:80"),
            ("http://127.9.8.7:1", "http://127.9.8.7:1"),
            ("http://[::1]:8080/", "http://[::1]:8080"),
            (
                "http://[::ffff:127.0.0.1]:8080",
                "http://[::ffff:127.0.0.1]:8080",
            ),
            ("HTTP://LocalHost:8080", "http://LocalHost:8080"),
        ] {
            assert_eq!(
                Gateway::loopback(url).map(|it| it.origin),
                Ok(origin.to_owned())
            );
        }
        for url in [
            "http://127.0.0.1",
            "https://127.0.0.1:80",
            "http://192.0.2.1:80",
            "http://gateway.icloud.com:80",
            "http://localhost.example.org:80",
            "http://127.0.0.1.example.org:80",
            "http://127.0.0.1@example.org:80",
            "http://user@127.0.0.1:80",
            "http://127.0.0.1:80/path",
            "http://127.0.0.1:80/?query",
            "127.0.0.1:80",
            "",
        ] {
            assert_eq!(Gateway::loopback(url), Err(GatewayError), "{url}");
        }
    }

    #[test]
    fn files_come_over_tls_or_from_this_computer_to_its_own_icloud() {
        let here = Gateway::loopback("http://127.0.0.1:80").unwrap();
        let admits = |gateway: &Gateway, url: &str| gateway.admits(&url.parse().unwrap());

        for gateway in [&here, &Gateway::apple()] {
            assert!(admits(gateway, "https://cvws.icloud-content.com:443/x"));
            assert!(!admits(gateway, "http://cvws.icloud-content.com/x"));
            assert!(!admits(gateway, "/x"));
        }
        assert!(admits(&here, "http://localhost:81/x"));
        assert!(!admits(&Gateway::apple(), "http://localhost:81/x"));
    }

    #[test]
    fn apple_is_never_hurried() {
        let (ten, full) = (NonZeroU32::new(10).unwrap(), Duration::from_secs(10));
        let here = Gateway::loopback("http://127.0.0.1:80").unwrap();

        assert_eq!(here.delay(full), full);
        assert_eq!(here.hurried(ten).delay(full), full / 10);
        assert_eq!(Gateway::apple().hurried(ten).delay(full), full);
    }
}
