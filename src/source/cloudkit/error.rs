//! What can be wrong with a call, and what to do about it.

use std::time::Duration;

use crate::apple::session::SessionError;
use crate::base::error::Class;
use crate::base::error::Explain;
use crate::base::limits::CLOUD_WAIT_MOST;
use crate::codec::cloudkit::Code;
use crate::codec::cloudkit::Failure;
use crate::codec::cloudkit::FrameError;
use crate::codec::cloudkit::GzipError;
use crate::codec::cloudkit::OperationResult;
use crate::net::client::ClientError;
use crate::source::cloudkit::anisette::AnisetteError;

/// What to do about a call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Ask again later with the same token: after this time if the server names one, at most [`CLOUD_WAIT_MOST`].
    Wait(Option<Duration>),
    /// The session is not accepted any more (D31).
    Authenticate,
    /// The position in the zone's feed is not accepted any more: begin again, remove nothing (D30).
    ResetZone,
    /// The zone does not exist, or its owner removed what was in it: what we hold stays.
    ZoneGone,
    /// The zone has other keys now.
    RefreshKeys,
    /// Asking again gives the same.
    Permanent,
}

impl From<Failure> for Reaction {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Wait { after } => Self::Wait(after),
            Failure::Reauthenticate => Self::Authenticate,
            Failure::Reset => Self::ResetZone,
            Failure::ZoneGone => Self::ZoneGone,
            Failure::KeysChanged => Self::RefreshKeys,
            Failure::Permanent => Self::Permanent,
        }
    }
}

/// Why there is no client. Nothing of the session is in it.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A member of the session holds what no header of a request can hold.
    #[error("the session's {member} has characters that cannot be sent")]
    Header {
        /// The member.
        member: &'static str,
    },
    /// The session is a demonstration's, and the gateway is Apple's.
    #[error("the session in this archive is a demonstration's, and Apple is not asked with it")]
    Invented,
    /// The anisette server has no address.
    #[error("expected the address of an anisette server in the session, with http:// or https://")]
    AnisetteUrl,
    /// There was no device in the session, and none could be invented.
    #[error("cannot choose a device to speak as")]
    Device(#[from] SessionError),
    /// The system gives no random bytes.
    #[error("cannot name requests: no random bytes")]
    Random,
    /// There is no HTTP.
    #[error("cannot set up the connection to iCloud")]
    Http(#[from] ClientError),
}

impl Explain for SetupError {
    fn class(&self) -> Class {
        match self {
            Self::Header { .. } | Self::AnisetteUrl | Self::Invented => Class::Owner,
            Self::Device(_) | Self::Random | Self::Http(_) => Class::Retry,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Header { .. } | Self::AnisetteUrl => Some(
                "export the session again and run `footbridge cloudkit import <session.json>`"
                    .to_owned(),
            ),
            Self::Invented => Some(
                "`footbridge demo --data <file>` goes on with it; your own account needs an archive of its own"
                    .to_owned(),
            ),
            Self::Device(_) | Self::Random | Self::Http(_) => None,
        }
    }
}

/// Why a call gave nothing. No variant holds a word of the server's, a token or an address: those stay out of logs.
#[derive(Debug, thiserror::Error)]
pub enum CloudError {
    /// There is no answer, or not all of one.
    #[error("no answer from iCloud")]
    Http(#[from] ClientError),
    /// The headers that identify the machine could not be had.
    #[error("no anisette headers for iCloud")]
    Anisette(#[from] AnisetteError),
    /// The address of the gateway is none.
    #[error("cannot make the address of iCloud's gateway")]
    Address,
    /// The server answered the request as a whole with a status that is none of success.
    #[error("iCloud answered with the HTTP status {status}")]
    Status {
        /// The status.
        status: u16,
        /// When to ask again, if the server says so.
        after: Option<Duration>,
    },
    /// The answer is a success and no protocol buffers, as of a network that wants a login.
    #[error("iCloud answered with something that is not CloudKit")]
    Foreign,
    /// The framing of the answer is broken.
    #[error("the answer of iCloud is damaged")]
    Frames(#[from] FrameError),
    /// The compression of the answer is broken, or more would come out of it than may be held.
    #[error("the answer of iCloud cannot be inflated")]
    Gzip(#[from] GzipError),
    /// Other operations of the request were answered, this one was not.
    #[error("iCloud left an operation unanswered")]
    Unanswered,
    /// The operation succeeded, and what it should give is missing or broken.
    #[error("the answer of iCloud has no {wanted} that can be read")]
    Empty {
        /// What was asked for.
        wanted: &'static str,
    },
    /// The server refused the operation.
    #[error("iCloud refused an operation: {}", codes(*client, *server))]
    Refused {
        /// What that asks for.
        reaction: Reaction,
        /// The client's code.
        client: Option<i32>,
        /// The server's code.
        server: Option<i32>,
    },
}

fn codes(client: Option<i32>, server: Option<i32>) -> String {
    match (client, server) {
        (Some(client), _) => format!("client error {client}"),
        (None, Some(server)) => format!("server error {server}"),
        (None, None) => "no code".to_owned(),
    }
}

impl CloudError {
    /// Of an operation's result.
    pub(crate) fn refused(failure: Failure, result: Option<&OperationResult>) -> Self {
        // Without a result nothing is known of the operation.
        let Some(result) = result else {
            return Self::Unanswered;
        };
        let error = result.error.as_ref();
        let code = |code: Option<Code>| code.and_then(|code| code.kind);
        Self::Refused {
            reaction: failure.into(),
            client: code(error.and_then(|error| error.client)),
            server: code(error.and_then(|error| error.server)),
        }
    }

    /// What to do.
    pub fn reaction(&self) -> Reaction {
        let wish = self.wish();
        if let Reaction::Wait(Some(after)) = wish {
            return Reaction::Wait(Some(after.min(CLOUD_WAIT_MOST)));
        }
        wish
    }

    /// What the server asks for.
    fn wish(&self) -> Reaction {
        match self {
            Self::Status { status: 401, .. } => Reaction::Authenticate,
            Self::Status { status, after } => match status {
                408 | 421 | 425 | 429 | 500.. => Reaction::Wait(*after),
                _ if after.is_some() => Reaction::Wait(*after),
                _ => Reaction::Permanent,
            },
            Self::Http(_)
            | Self::Anisette(_)
            | Self::Foreign
            | Self::Frames(_)
            | Self::Gzip(_)
            | Self::Unanswered
            | Self::Empty { .. } => Reaction::Wait(None),
            Self::Address => Reaction::Permanent,
            Self::Refused { reaction, .. } => *reaction,
        }
    }
}

impl Explain for CloudError {
    fn class(&self) -> Class {
        match self.reaction() {
            Reaction::Wait(_) | Reaction::ResetZone | Reaction::RefreshKeys => Class::Retry,
            Reaction::Authenticate | Reaction::ZoneGone | Reaction::Permanent => Class::Owner,
        }
    }

    fn hint(&self) -> Option<String> {
        match self.reaction() {
            Reaction::Authenticate => Some(
                "the session has expired or was ended\n\
                 sign in again where it was made and run `footbridge cloudkit import <session.json>`"
                    .to_owned(),
            ),
            Reaction::ZoneGone => Some(
                "Messages in iCloud is switched off for this account, or what it held was removed\n\
                 what is in the archive stays"
                    .to_owned(),
            ),
            Reaction::Wait(_)
            | Reaction::ResetZone
            | Reaction::RefreshKeys
            | Reaction::Permanent => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::CloudError;
    use super::Reaction;
    use crate::base::limits::CLOUD_WAIT_MOST;

    #[test]
    fn a_server_cannot_ask_for_a_wait_of_years() {
        let status = |seconds| CloudError::Status {
            status: 429,
            after: Some(Duration::from_secs(seconds)),
        };
        let refused = CloudError::Refused {
            reaction: Reaction::Wait(Some(Duration::MAX)),
            client: Some(6),
            server: None,
        };
        let wait = |time| Reaction::Wait(Some(time));

        assert_eq!(status(30).reaction(), wait(Duration::from_secs(30)));
        assert_eq!(status(u64::MAX).reaction(), wait(CLOUD_WAIT_MOST));
        assert_eq!(refused.reaction(), wait(CLOUD_WAIT_MOST));
    }
}
