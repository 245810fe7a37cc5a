//! footbridge as a service in a home.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::process::Child;
use std::process::ChildStdout;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Output;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;

use crate::support::home::Home;

/// How often to look for what should come soon.
pub(crate) const LOOKS: usize = 1_200;

/// A service that runs in a home. It is killed when the test fails before stopping it.
pub(crate) struct Running<'a> {
    home: &'a Home,
    child: Child,
    out: BufReader<ChildStdout>,
    /// Its first lines, up to the one that says how to log in.
    said: String,
}

impl<'a> Running<'a> {
    /// Starts it on a free port, and waits until it serves.
    pub(crate) fn start(home: &'a Home, arguments: &[&str]) -> Self {
        let arguments = [&["run"], arguments].concat();
        let mut command = home.command(&arguments);
        command
            .env("FOOTBRIDGE_ENDPOINT_LISTEN", "127.0.0.1:0")
            .env("FOOTBRIDGE_ENDPOINT_SERVER_NAME", "test.example.org");
        Self::of(home, command)
    }

    /// Starts a command that serves, and waits until it does.
    pub(crate) fn of(home: &'a Home, mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        while !said.contains("log in with") {
            let read = out.read_line(&mut said).unwrap();
            if read == 0 {
                let output = child.wait_with_output().unwrap();
                panic!("{said}{}", String::from_utf8_lossy(&output.stderr));
            }
        }
        Self {
            home,
            child,
            out,
            said,
        }
    }

    /// What it said after a name such as `address`.
    pub(crate) fn said(&self, name: &str) -> String {
        let mut lines = self.said.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)).unwrap();
        value.trim().to_owned()
    }

    /// All that it said until it served.
    pub(crate) fn everything(&self) -> &str {
        &self.said
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Its process, for a look at what it holds.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }

    /// Stops it, and answers what else it said.
    pub(crate) fn stop(self) -> Output {
        self.end(Signal::TERM)
    }

    /// Stops it with a signal, and answers what else it said.
    pub(crate) fn end(mut self, signal: Signal) -> Output {
        self.signal(signal);
        let mut stdout = Vec::new();
        self.out.read_to_end(&mut stdout).unwrap();
        let mut stderr = Vec::new();
        let mut err = self.child.stderr.take().unwrap();
        err.read_to_end(&mut stderr).unwrap();
        let status = self.child.wait().unwrap();
        Output {
            status,
            stdout,
            stderr,
        }
    }

    /// Waits until the archive holds the whole database.
    pub(crate) fn wait_until_imported(&self) {
        for _ in 0..LOOKS {
            let output = self.home.output(&["status", "--json"]);
            let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            if status["sources"]["chatdb"] == "complete" {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("the import did not end");
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // Stopped already, unless the test failed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
