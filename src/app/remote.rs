//! Commands that another process of the owner has the running service answer (D15): while it runs, the archive is its
//! alone. Both ends are here: the words they exchange, and the asking.
//!
//! The request is `POST /_footbridge/command` with a [`Request`] as JSON. The answer is a row of parts, each a byte for
//! its kind, a length (u32, little-endian) and that many bytes:
//!
//! | kind | bytes |
//! |---|---|
//! | 0 end | one: the exit code. An answer without it was cut off |
//! | 1 out | for stdout |
//! | 2 err | for stderr |
//! | 3 progress | a [`Step`] as JSON |

use std::fmt;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;

use crate::app::Archive;
use crate::base::error::Class;
use crate::base::error::Explain;
use crate::net::SocketPath;

/// Where commands are sent.
pub(crate) const PATH: &str = "/_footbridge/command";

/// This program's version: both ends must have the same.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// One part of an answer, bytes: more is a broken one.
const PART_BYTES: u32 = 1 << 20;

/// The head of an answer, bytes.
const HEAD_BYTES: u64 = 16 << 10;

/// A command, and what its answer will be shown on.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The version of the program that asks.
    pub version: String,
    /// The arguments, without the program's name.
    pub arguments: Vec<String>,
    /// The working directory of the program that asks: relative paths begin there.
    pub folder: PathBuf,
    /// The screen.
    pub screen: ScreenSize,
    /// What the command would read from a person, such as a password.
    #[serde(default)]
    pub input: Option<String>,
}

/// Input is a password: logs show nothing of it.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// What stdout of the program that asks is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScreenSize {
    /// Columns; 0 if nobody knows.
    pub columns: usize,
    /// Whether it is a terminal.
    pub is_terminal: bool,
    /// Whether it can show bold.
    pub bold: bool,
}

/// How far something is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What is being done.
    pub work: String,
    /// What is counted.
    pub things: String,
    /// How many are done; `None` when it is over.
    pub done: Option<u64>,
    /// Of how many.
    pub total: Option<u64>,
}

/// One part of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// It is complete; the exit code.
    End(u8),
    /// For stdout.
    Out(Vec<u8>),
    /// For stderr.
    Err(Vec<u8>),
    /// How far it is.
    Progress(Step),
}

impl Part {
    /// Its bytes on the wire; what is larger than a part may be makes several.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (kind, bytes) = match self {
            Self::End(code) => (0, vec![*code]),
            Self::Out(bytes) => (1, bytes.clone()),
            Self::Err(bytes) => (2, bytes.clone()),
            // Text and numbers: it cannot fail.
            Self::Progress(step) => (3, serde_json::to_vec(step).unwrap_or_default()),
        };
        let mut wire = Vec::with_capacity(bytes.len() + 5);
        for piece in bytes.chunks(PART_BYTES as usize) {
            let length = u32::try_from(piece.len()).unwrap_or(PART_BYTES);
            wire.push(kind);
            wire.extend_from_slice(&length.to_le_bytes());
            wire.extend_from_slice(piece);
        }
        wire
    }

    /// The next part of an answer.
    fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut kind = [0; 1];
        from.read_exact(&mut kind)?;
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length);
        if length > PART_BYTES {
            return Err(malformed());
        }
        let mut bytes = vec![0; length as usize];
        from.read_exact(&mut bytes)?;
        match (kind, bytes.as_slice()) {
            ([0], [code]) => Ok(Self::End(*code)),
            ([1], _) => Ok(Self::Out(bytes)),
            ([2], _) => Ok(Self::Err(bytes)),
            ([3], json) => Ok(Self::Progress(serde_json::from_slice(json)?)),
            _ => Err(malformed()),
        }
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "no part of an answer")
}

/// Takes the parts of an answer; an error means that nobody reads them any more.
pub type Answer<'a> = &'a (dyn Fn(Part) -> io::Result<()> + Sync);

/// Whoever can answer a command with an archive that is open: the command line.
pub trait Commands: Send + Sync + 'static {
    /// Answers, and says how to exit. Blocks until the command is done.
    fn answer(&self, request: &Request, archive: &Archive, answer: Answer<'_>) -> u8;
}

/// Why the running service did not answer.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The connection ended, or what came is no answer.
    #[error("the running footbridge did not answer to the end")]
    Cut {
        /// What was seen.
        #[source]
        source: io::Error,
    },
    /// It refused.
    #[error("the running footbridge refused: {status}")]
    Refused {
        /// The first line of its answer.
        status: String,
    },
    /// An argument is no text.
    #[error("the argument {argument} is no UTF-8")]
    Argument {
        /// As far as it can be shown.
        argument: String,
    },
    /// The answer could not be written to stdout or stderr.
    #[error("cannot write the answer")]
    Output {
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
}

impl Explain for RemoteError {
    fn class(&self) -> Class {
        match self {
            Self::Cut { .. } | Self::Refused { .. } | Self::Output { .. } => Class::Retry,
            Self::Argument { .. } => Class::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Cut { .. } => Some("was it stopped? then run the same command again".to_owned()),
            Self::Refused { .. } | Self::Argument { .. } | Self::Output { .. } => None,
        }
    }
}

/// A connection to the service that has an archive open.
#[derive(Debug)]
pub struct Remote(UnixStream);

impl Remote {
    /// Connects to the service that has this archive open; `None` if there is none.
    pub fn connect(archive: &Path) -> Option<Self> {
        let socket = socket_of(archive);
        UnixStream::connect(socket.as_path()).ok().map(Self)
    }

    /// Has it answer a command; every part but the last goes to `show`. Answers the exit code.
    ///
    /// # Errors
    ///
    /// [`RemoteError`].
    pub fn ask(
        mut self,
        request: &Request,
        mut show: impl FnMut(Part) -> io::Result<()>,
    ) -> Result<u8, RemoteError> {
        let cut = |source| RemoteError::Cut { source };
        let body = serde_json::to_vec(request).map_err(|error| cut(error.into()))?;
        let head = format!(
            // Of version 1.0, so that the answer comes as it is and not in chunks.
            "POST {PATH} HTTP/1.0\r\nhost: localhost\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        self.0.write_all(head.as_bytes()).map_err(cut)?;
        self.0.write_all(&body).map_err(cut)?;
        let mut reader = BufReader::new(self.0);
        let status = read_head(&mut reader).map_err(cut)?;
        if !status.contains(" 200 ") {
            return Err(RemoteError::Refused { status });
        }
        loop {
            match Part::read(&mut reader).map_err(cut)? {
                Part::End(code) => return Ok(code),
                part @ (Part::Out(_) | Part::Err(_) | Part::Progress(_)) => {
                    show(part).map_err(|source| RemoteError::Output { source })?;
                }
            }
        }
    }
}

/// Where the service listens that has an archive open.
pub(crate) fn socket_of(archive: &Path) -> SocketPath {
    let absolute = std::fs::canonicalize(archive).or_else(|_absent| std::path::absolute(archive));
    // Both ends must come to the same path, whatever their `TMPDIR`.
    let temporary = Path::new("/tmp");
    SocketPath::of_archive(absolute.as_deref().unwrap_or(archive), temporary)
}

/// Reads to the end of an answer's head, and answers its first line.
fn read_head(reader: &mut impl BufRead) -> io::Result<String> {
    let mut head = reader.take(HEAD_BYTES);
    let mut status = String::new();
    head.read_line(&mut status)?;
    loop {
        let mut line = String::new();
        if head.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.trim_end().is_empty() {
            return Ok(status.trim_end().to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PART_BYTES;
    use super::Part;
    use super::Step;

    fn read_all(wire: &[u8]) -> Vec<Part> {
        let mut rest = wire;
        std::iter::from_fn(|| Part::read(&mut rest).ok()).collect()
    }

    #[test]
    fn parts_are_read_as_they_were_written() {
        let parts = [
            Part::Out(b"answer\n".to_vec()),
            Part::Err(vec![0xff, 0]),
            Part::Progress(Step {
                work: "verifying".to_owned(),
                things: "messages".to_owned(),
                done: Some(1),
                total: None,
            }),
            Part::End(70),
        ];

        let wire: Vec<u8> = parts.iter().flat_map(Part::encode).collect();

        assert_eq!(read_all(&wire), parts);
    }

    #[test]
    fn a_large_answer_makes_several_parts() {
        let bytes = vec![7; PART_BYTES as usize + 1];

        let parts = read_all(&Part::Out(bytes).encode());

        let expected = [PART_BYTES as usize, 1].map(|length| Part::Out(vec![7; length]));
        assert_eq!(parts, expected);
    }

    #[test]
    fn what_is_no_part_is_refused() {
        for wire in [
            &[9, 0, 0, 0, 0][..],
            &[0, 0, 0, 0, 0],
            &[1, 0xff, 0xff, 0xff, 0xff],
            &[3, 1, 0, 0, 0, b'{'],
            &[1, 5, 0, 0, 0, 1],
        ] {
            assert!(Part::read(&mut &*wire).is_err(), "{wire:?}");
        }
    }
}
