//! An HTTP/1.1 server on the loopback that keeps every request and answers as a test says, byte by byte if need be.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use footbridge::base::tasks::TaskGroup;
use footbridge::codec::cloudkit::Inflater;
use footbridge::codec::cloudkit::RequestOperation;
use footbridge::codec::cloudkit::ResponseOperation;
use footbridge::codec::cloudkit::decode_requests;
use footbridge::codec::cloudkit::decode_responses;
use footbridge::codec::cloudkit::encode_responses;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

/// A request as it came.
#[derive(Clone)]
pub(crate) struct Received {
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    /// The operations of a CloudKit request.
    pub(crate) fn operations(&self) -> Vec<RequestOperation> {
        let body = Inflater::default().inflate(&self.body, 1 << 20).unwrap();
        decode_requests(&body.into()).unwrap()
    }
}

/// What is answered.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// Only so many bytes of the body are sent, then the connection closes, or falls silent for this long.
    pub(crate) end: Option<(usize, Option<Duration>)>,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            end: None,
        }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn cut(mut self, at: usize) -> Self {
        self.end = Some((at, None));
        self
    }

    pub(crate) fn stalled(mut self, at: usize) -> Self {
        self.end = Some((at, Some(Duration::from_mins(1))));
        self
    }
}

type Answer = dyn Fn(&Received) -> Reply + Send + Sync;

/// The server; it ends with its tasks.
pub(crate) struct Server {
    pub(crate) origin: String,
    pub(crate) port: u16,
    pub(crate) tasks: TaskGroup,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Server {
    pub(crate) async fn start(answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let tasks = TaskGroup::new();
        let received = Arc::<Mutex<Vec<Received>>>::default();
        let (answer, group): (Arc<Answer>, _) = (Arc::new(answer), tasks.clone());
        let seen = Arc::clone(&received);
        tasks.spawn("server", async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                group.spawn("connection", async move {
                    serve(socket, &*answer, &seen).await;
                });
            }
        });
        Self {
            origin: format!("http://127.0.0.1:{port}"),
            port,
            tasks,
            received,
        }
    }

    /// The requests so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// The paths of the requests so far.
    pub(crate) fn paths(&self) -> Vec<String> {
        let received = self.received();
        received.into_iter().map(|request| request.path).collect()
    }
}

async fn serve(mut socket: TcpStream, answer: &Answer, seen: &Mutex<Vec<Received>>) {
    while let Some(request) = receive(&mut socket).await {
        seen.lock().unwrap().push(request.clone());
        let reply = answer(&request);
        let mut head = format!(
            "HTTP/1.1 {} x\r\ncontent-length: {}\r\n",
            reply.status,
            reply.body.len()
        );
        for (name, value) in &reply.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        head += "\r\n";
        let (sent, silence) = reply.end.unwrap_or((reply.body.len(), None));
        let bytes = [head.as_bytes(), &reply.body[..sent]].concat();
        if socket.write_all(&bytes).await.is_err() {
            return;
        }
        if let Some(silence) = silence {
            tokio::time::sleep(silence).await;
        }
        if reply.end.is_some() {
            return;
        }
    }
}

async fn receive(socket: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
            break at;
        }
        read_more(socket, &mut bytes).await?;
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let path = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
    let headers: BTreeMap<String, String> = lines
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.get("content-length");
    let length: usize = length.map_or(0, |length| length.parse().unwrap());
    let mut body = bytes.split_off(end + 4);
    while body.len() < length {
        read_more(socket, &mut body).await?;
    }
    Some(Received {
        path,
        headers,
        body,
    })
}

async fn read_more(socket: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    let count = socket.read_buf(bytes).await.ok()?;
    (count > 0).then_some(())
}

/// The first answer: the user id.
pub(crate) fn init(request: &Received) -> Option<Reply> {
    let is_init = request.path.starts_with("/setup/");
    is_init.then(|| Reply::new(200, r#"{"cloudKitUserId":"_user"}"#))
}

/// Answers for operations, as a body.
pub(crate) fn body(answers: &[ResponseOperation]) -> Vec<u8> {
    encode_responses(answers)
}

/// The single answer of a body that was made for another operation, as one to this.
pub(crate) fn answer_to(operation: &RequestOperation, recorded: &Bytes) -> ResponseOperation {
    let mut answer = decode_responses(recorded).unwrap().remove(0);
    let id = operation.operation.as_ref().unwrap().id.clone();
    answer.operation.as_mut().unwrap().id = id;
    answer
}
