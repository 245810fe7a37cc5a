//! A certificate of our own making, for owners who have none: clients accept it once, by its fingerprint. It is kept
//! beside the archive and used again until it ends or other names are wanted.

use std::fs;
use std::fs::OpenOptions;
use std::fs::Permissions;
use std::io;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;

use jiff::SignedDuration;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rcgen::CertificateParams;
use rcgen::DistinguishedName;
use rcgen::DnType;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rcgen::date_time_ymd;
use rustls::client::verify_server_name;
use rustls::server::ParsedCertificate;
use rustls_pki_types::ServerName;
use zeroize::Zeroizing;

use crate::base::limits::CERTIFICATE_DAYS;
use crate::base::limits::CERTIFICATE_RENEWAL_DAYS;
use crate::base::time::Clock;
use crate::net::tls::Tls;
use crate::net::tls::TlsError;
use crate::net::tls::read_certificates;

/// What stands before the day on which the certificate is made anew, in the file's first line. PEM readers skip it.
const RENEW: &str = "footbridge renews this file after ";

impl Tls {
    /// A certificate that nobody vouches for, for these host names and addresses, in one PEM file with its key, mode
    /// 0600. What is there is used again if it has all the names and lasts another month.
    ///
    /// Blocks for a moment.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn self_signed(path: &Path, names: &[String], clock: &dyn Clock) -> Result<Self, TlsError> {
        let now = clock.now().timestamp();
        for name in names {
            server_name(name)?;
        }
        if !is_usable(path, names, now) {
            let pem = make(names, now)?;
            write(path, pem.as_bytes()).map_err(|source| TlsError::File {
                attempt: "write",
                path: path.to_owned(),
                source,
            })?;
        }
        Self::from_files(path, path)
    }
}

fn server_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(name.to_owned()).map_err(|_invalid| TlsError::Name {
        name: name.to_owned(),
    })
}

/// Whether the certificate at a path is one of ours, for all these names, and not near its end. What cannot be read is
/// made anew.
fn is_usable(path: &Path, names: &[String], now: Timestamp) -> bool {
    let Ok(text) = fs::read_to_string(path).map(Zeroizing::new) else {
        return false;
    };
    let renewed = text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix(RENEW));
    if !renewed.is_some_and(|until| until.parse().is_ok_and(|until: Timestamp| now < until)) {
        return false;
    }
    let Ok(certificates) = read_certificates(path) else {
        return false;
    };
    let Some(Ok(certificate)) = certificates.first().map(ParsedCertificate::try_from) else {
        return false;
    };
    names.iter().all(|name| {
        server_name(name).is_ok_and(|name| verify_server_name(&certificate, &name).is_ok())
    })
}

fn make(names: &[String], now: Timestamp) -> Result<Zeroizing<String>, TlsError> {
    let making = |source| TlsError::Make { source };
    let mut params = CertificateParams::new(names).map_err(making)?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, "footbridge");
    params.distinguished_name = subject;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // Apple's systems want this purpose said.
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // From yesterday, for clients whose clock is behind.
    let from = plus_days(now, -1);
    let until = plus_days(from, CERTIFICATE_DAYS - 1);
    let [(year, month, day), end] = [from, until].map(date);
    params.not_before = date_time_ymd(year, month, day);
    params.not_after = date_time_ymd(end.0, end.1, end.2);
    let key = KeyPair::generate().map_err(making)?;
    let certificate = params.self_signed(&key).map_err(making)?;
    let renew = plus_days(until, -CERTIFICATE_RENEWAL_DAYS);
    let private = Zeroizing::new(key.serialize_pem());
    let certificate = certificate.pem();
    Ok(Zeroizing::new(format!(
        "{RENEW}{renew}\n{certificate}{}",
        private.as_str()
    )))
}

fn plus_days(at: Timestamp, days: i64) -> Timestamp {
    let span = SignedDuration::from_hours(days.saturating_mul(24));
    at.checked_add(span).unwrap_or(at)
}

/// Year, month and day, as rcgen takes them.
fn date(at: Timestamp) -> (i32, u8, u8) {
    let date = at.to_zoned(TimeZone::UTC).date();
    let [month, day] = [date.month(), date.day()].map(|part| u8::try_from(part).unwrap_or(1));
    (i32::from(date.year()), month, day)
}

/// Writes a file that only the owner can read, all of it or nothing.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    // One that was there kept its mode.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::time::Duration;

    use crate::base::time::AppleTime;
    use crate::base::time::FixedClock;
    use crate::net::tls::Fingerprint;
    use crate::net::tls::Tls;
    use crate::net::tls::TlsError;

    fn make(path: &Path, names: &[&str], day: u64) -> Fingerprint {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let now = AppleTime::from_nanos(0).plus(Duration::from_hours(day * 24));
        Tls::self_signed(path, &names, &FixedClock(now))
            .unwrap()
            .fingerprint()
    }

    #[test]
    fn a_certificate_is_kept_until_it_ends_or_lacks_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive.redb.pem");

        let first = make(&path, &["localhost", "192.0.2.7"], 0);

        assert_eq!(make(&path, &["192.0.2.7"], 700), first);
        let renewed = make(&path, &["192.0.2.7"], 800);
        assert_ne!(renewed, first);
        assert_ne!(make(&path, &["192.0.2.8"], 800), renewed);
    }

    #[test]
    fn the_key_is_the_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pem");
        let new = folder.path().join("pem.new");
        fs::write(&new, "left by a crash").unwrap();
        fs::set_permissions(&new, PermissionsExt::from_mode(0o644)).unwrap();

        make(&path, &["localhost"], 0);

        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
            0o600
        );
        assert!(!new.exists());
    }

    #[test]
    fn a_damaged_file_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pem");
        let first = make(&path, &["localhost"], 0);
        let text = fs::read_to_string(&path).unwrap();

        fs::write(&path, text.replace("BEGIN CERTIFICATE", "BEGIN NOTHING")).unwrap();

        assert_ne!(make(&path, &["localhost"], 0), first);
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["not a name".to_owned()];

        let clock = FixedClock(AppleTime::from_nanos(0));
        let error = Tls::self_signed(&folder.path().join("pem"), &names, &clock).unwrap_err();

        assert!(matches!(error, TlsError::Name { name } if name == "not a name"));
    }
}
