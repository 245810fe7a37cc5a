//! A start of the service on an archive that has everything: how long until it answers, and what it asks of iCloud.

use std::io::Read;
use std::io::Write;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::process::Stdio;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;

use crate::Trouble;
use crate::binary::Footbridge;
use crate::icloud::ICloud;

/// How often the service is tried.
const TRY_EVERY: Duration = Duration::from_millis(1);

/// After so long without an answer something is wrong.
const PATIENCE: Duration = Duration::from_secs(30);

/// What comes later than this after the first question is not part of the start.
const QUIET: Duration = Duration::from_secs(2);

/// One start.
pub(crate) struct Restart {
    pub(crate) serving: Duration,
    /// What was asked of iCloud.
    pub(crate) asked: String,
}

impl Restart {
    /// Starts the service, waits until it answers and has looked for what is new, and stops it.
    pub(crate) fn measure(footbridge: &Footbridge, cloud: &ICloud) -> Result<Self, Trouble> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        cloud.take_requests();
        let begin = Instant::now();
        let mut command = footbridge.command("run");
        let mut child = cloud
            .reached_by(&mut command)
            .env("FOOTBRIDGE_ENDPOINT_LISTEN", free.to_string())
            .env("FOOTBRIDGE_MEDIA_KEEP", "none")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let serving = loop {
            if is_serving(free) {
                break begin.elapsed();
            }
            if begin.elapsed() > PATIENCE || child.try_wait()?.is_some() {
                child.kill()?;
                return Err("the service did not answer".into());
            }
            thread::sleep(TRY_EVERY);
        };
        while cloud.requests() == 0 && begin.elapsed() < PATIENCE {
            thread::sleep(TRY_EVERY);
        }
        thread::sleep(QUIET);
        let asked = cloud.take_requests();
        kill_process(Pid::from_child(&child), Signal::TERM)?;
        child.wait()?;
        Ok(Self { serving, asked })
    }
}

fn is_serving(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        let request = format!(
            "GET /_matrix/client/versions HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer.starts_with(b"HTTP/1.1 200"))
    };
    ask().unwrap_or(false)
}
