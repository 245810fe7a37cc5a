//! The byte form of what clients of the Matrix endpoint leave here. Their JSON is kept as it came.

use std::fmt;

use crate::base::ids::ChangeNumber;
use crate::base::ids::RowId;
use crate::base::time::AppleTime;

/// Bytes that the store keeps and does not look into: JSON, mostly.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Opaque(pub Vec<u8>);

/// What people wrote is private: logs show how much it is.
impl fmt::Debug for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opaque({} bytes)", self.0.len())
    }
}

/// Who can log in.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Local part of the user id.
    pub name: String,
    /// Hash of the password, with how it was made (PHC string).
    pub password: String,
    /// Since when.
    pub created: AppleTime,
}

/// Hashes of passwords are secret.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("User(..)")
    }
}

/// What a room id stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// The conversation; for a local room a row id of its own.
    pub conversation: RowId,
    /// Which of the conversation's rooms (D19).
    pub epoch: u32,
    /// Where its history is.
    pub origin: RoomOrigin,
}

/// Where a room's history is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomOrigin {
    /// In the archive: its conversation's.
    Archive,
    /// In the room's local events alone (D27).
    Local,
}

/// One version of one piece of a room's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomState {
    /// The change that brought it.
    pub change: ChangeNumber,
    /// When.
    pub at: AppleTime,
    /// The event, as the endpoint writes it; empty where it is the local event of that change.
    pub body: Opaque,
}

/// An event that a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalEvent {
    /// Its event id.
    pub id: String,
    /// When it came.
    pub at: AppleTime,
    /// The event, as the endpoint writes it.
    pub body: Opaque,
}

/// A device that somebody is logged in with.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Device {
    /// The name that it is shown by.
    pub name: Option<String>,
    /// Hash of its access token; `None` once it is logged out.
    pub token: Option<[u8; 32]>,
    /// When it logged in first.
    pub created: AppleTime,
    /// When it was seen last.
    pub seen: Option<AppleTime>,
    /// From which address.
    pub address: Option<String>,
    /// What it calls itself.
    pub agent: Option<String>,
}

/// Devices are named after people, and addresses tell where they are: logs show since when there is one.
impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device")
            .field("created", &self.created)
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

/// Whose an access token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The account.
    pub account: u8,
    /// The device.
    pub device: String,
    /// Since when.
    pub created: AppleTime,
}

/// A filter that a client stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// As it came.
    pub body: Opaque,
}

/// Data that clients keep here for each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountData {
    /// The change that wrote it.
    pub change: ChangeNumber,
    /// Its content, as it came.
    pub body: Opaque,
}

/// Up to where somebody has read, as a client said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The change that wrote it.
    pub change: ChangeNumber,
    /// The event.
    pub event_id: String,
    /// Time of the event's message, or the change of a local event: what decides which of two receipts is further on.
    pub time: AppleTime,
    /// The event's message; 0 for a local event.
    pub row: RowId,
    /// When it was read.
    pub at: AppleTime,
    /// The thread it is for, as it came; `None` for all.
    pub thread: Option<String>,
}

/// A message that waits for a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToDevice {
    /// The event, as it will be delivered.
    pub body: Opaque,
}

/// A key that a client uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// The change that wrote it.
    pub change: ChangeNumber,
    /// Whether it was handed out: of a fallback key.
    pub used: bool,
    /// As it came.
    pub body: Opaque,
}

/// What a request that a client may repeat was answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentEvent {
    /// The event's id; empty where the request makes none.
    pub event_id: String,
    /// When.
    pub at: AppleTime,
}

/// A file that a client uploaded.
#[derive(Clone, PartialEq, Eq)]
pub struct Upload {
    /// Who uploaded it.
    pub account: u8,
    /// The name to show.
    pub name: Option<String>,
    /// Its type, as the client said.
    pub mime: Option<String>,
    /// Its size.
    pub size_bytes: u64,
    /// When it was complete; `None` while chunks are missing.
    pub completed: Option<AppleTime>,
    /// When it began.
    pub created: AppleTime,
}

/// What a file is called is private: logs show how large it is.
impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("account", &self.account)
            .field("size_bytes", &self.size_bytes)
            .field("completed", &self.completed)
            .finish_non_exhaustive()
    }
}

wrapped!(Opaque as Vec<u8>, |opaque| &opaque.0, Opaque);

stored!(User, 1);
stored!(Room, 1);
stored!(RoomState, 1);
stored!(LocalEvent, 1);
stored!(Device, 1);
stored!(Token, 1);
stored!(Filter, 1);
stored!(AccountData, 1);
stored!(Receipt, 1);
stored!(ToDevice, 1);
stored!(StoredKey, 1);
stored!(SentEvent, 1);
stored!(Upload, 1);
fields!(User {
    name,
    password,
    created
});
fields!(Room {
    conversation,
    epoch,
    origin
});
fields!(RoomState { change, at, body });
fields!(LocalEvent { id, at, body });
fields!(Device {
    name,
    token,
    created,
    seen,
    address,
    agent
});
fields!(Token {
    account,
    device,
    created
});
fields!(Filter { body });
fields!(AccountData { change, body });
fields!(Receipt {
    change,
    event_id,
    time,
    row,
    at,
    thread
});
fields!(ToDevice { body });
fields!(StoredKey { change, used, body });
fields!(SentEvent { event_id, at });
fields!(Upload {
    account,
    name,
    mime,
    size_bytes,
    completed,
    created
});

variants!(RoomOrigin {
    0 => Archive,
    1 => Local,
});
