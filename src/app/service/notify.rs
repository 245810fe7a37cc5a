//! Tells systemd how the service is (`Type=notify`). Without systemd it does nothing.
//!
//! Source: `sd_notify(3)`, "New-Style Daemons".

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

/// It serves.
pub(super) const READY: &str = "READY=1";

/// It was told to stop.
pub(super) const STOPPING: &str = "STOPPING=1";

/// Sends one word, if there is somebody to send it to. Nobody waits for it, so a failure is only logged.
pub(super) fn notify(socket: Option<&Path>, word: &str) {
    let Some(socket) = socket else { return };
    if let Err(error) = send(socket, word) {
        tracing::warn!(%error, "systemd not told");
    }
}

fn send(socket: &Path, word: &str) -> io::Result<()> {
    let datagram = UnixDatagram::unbound()?;
    #[cfg(target_os = "linux")]
    if let Some(name) = socket.as_os_str().as_encoded_bytes().strip_prefix(b"@") {
        use std::os::linux::net::SocketAddrExt;
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
        datagram.send_to_addr(word.as_bytes(), &address)?;
        return Ok(());
    }
    datagram.send_to(word.as_bytes(), socket)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::READY;
    use super::notify;

    #[test]
    fn systemd_hears_one_word() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let systemd = UnixDatagram::bind(&path).unwrap();

        notify(Some(&path), READY);

        let mut heard = [0; 64];
        let length = systemd.recv(&mut heard).unwrap();
        assert_eq!(&heard[..length], b"READY=1");
    }
}
