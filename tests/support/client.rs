//! A client of few words: one HTTP/1.1 connection that stays, and requests one after the other.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;
use serde_json::json;

/// A connection, and who asks.
pub(crate) struct Client<S> {
    stream: BufReader<S>,
    token: String,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The lines of the head after the first.
    pub(crate) headers: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body of a good answer.
    pub(crate) fn ok(self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    /// The status, and the error's code if there is one.
    pub(crate) fn refusal(&self) -> (u16, String) {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let code = body["errcode"].as_str().unwrap_or_default();
        (self.status, code.to_owned())
    }
}

impl Client<TcpStream> {
    /// Connects to an address such as `http://127.0.0.1:8008`.
    pub(crate) fn connect(address: &str, token: &str) -> Self {
        let host = address.trim_start_matches("http://");
        let stream = TcpStream::connect(host).unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream, token)
    }

    /// The socket itself, for what is no request.
    pub(crate) fn socket(&self) -> &TcpStream {
        self.stream.get_ref()
    }
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn over(stream: S, token: &str) -> Self {
        Self {
            stream: BufReader::new(stream),
            token: token.to_owned(),
        }
    }

    /// Sends a request and waits for its answer. A null body is none.
    pub(crate) fn ask(&mut self, method: &str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n",
            self.token,
            body.len()
        );
        self.send(&(head + &body));
        self.answer()
    }

    pub(crate) fn get(&mut self, path: &str) -> Value {
        self.ask("GET", path, &Value::Null).ok()
    }

    /// Sends a request as it stands.
    pub(crate) fn send(&mut self, request: &str) {
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
    }

    /// Reads one answer, which says how long its body is.
    pub(crate) fn answer(&mut self) -> Answer {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.stream.read_line(&mut head).unwrap() > 0, "{head}");
        }
        let (first, headers) = head.split_once("\r\n").unwrap();
        let headers = headers.to_ascii_lowercase();
        let length = headers
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"));
        let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
        self.stream.read_exact(&mut body).unwrap();
        Answer {
            status: first.split(' ').nth(1).unwrap().parse().unwrap(),
            headers,
            body,
        }
    }
}

/// Makes a device over the owner's socket, where logins are not counted (D29); answers its token.
pub(crate) fn log_in(socket: &Path, password: &str, device: &str) -> String {
    let mut client = Client::over(UnixStream::connect(socket).unwrap(), "");
    let login = json!({
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": "owner"},
        "password": password,
        "device_id": device,
    });
    let answer = client.ask("POST", "/_matrix/client/v3/login", &login).ok();
    answer["access_token"].as_str().unwrap().to_owned()
}
