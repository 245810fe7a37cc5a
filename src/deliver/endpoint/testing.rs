//! For tests: a server over an archive in memory, with a few conversations, and a client that is logged in. No sockets.
//!
//! | room | with | messages |
//! |---|---|---|
//! | [`ANN`] | `tel:+15550100001`, "Ann Example" | three, of minutes 1 to 3 |
//! | [`BOB`] | `mailto:bob@example.org`, no name | one, of minute 4 |
//! | [`WALK`] | both, named "Walk" | two, of minutes 5 and 6 |

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;

use crate::base::ids::ConversationKey;
use crate::base::ids::Guid;
use crate::base::ids::Handle;
use crate::base::password;
use crate::base::secret::SecretText;
use crate::base::time::AppleTime;
use crate::base::time::Clock;
use crate::deliver::endpoint::Endpoint;
use crate::deliver::endpoint::LegacyMedia;
use crate::deliver::endpoint::MediaFiles;
use crate::deliver::endpoint::Server;
use crate::deliver::endpoint::Settings;
use crate::matrix::ids::Account;
use crate::matrix::ids::ServerName;
use crate::model::attachment::Attachment;
use crate::model::body::Body;
use crate::model::change::MessageChange;
use crate::model::change::Owner;
use crate::model::change::Parked;
use crate::model::change::Placement;
use crate::model::contact::Contact;
use crate::model::conversation::Alias;
use crate::model::conversation::Conversation;
use crate::model::conversation::ConversationChange;
use crate::model::conversation::ConversationKind;
use crate::model::conversation::Filed;
use crate::model::conversation::Name;
use crate::model::message::Author;
use crate::model::message::Kind;
use crate::model::message::Message;
use crate::model::message::Tapback;
use crate::model::message::TapbackAction;
use crate::model::message::TapbackKind;
use crate::model::message::Target;
use crate::model::message::Times;
use crate::model::record::MessageRecord;
use crate::model::record::SourceKind;
use crate::net::Handler;
use crate::net::HeaderMap;
use crate::net::HeaderValue;
use crate::net::Method;
use crate::net::Peer;
use crate::net::Request;
use crate::net::guard::HostCheck;
use crate::net::header;
use crate::store::Page;
use crate::store::Prepared;
use crate::store::Preparer;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::Transaction;
use crate::store::account::Account as AccountNumber;
use crate::store::value::Device;
use crate::store::value::User;

/// The owner's user id.
pub(super) const ADA: &str = "@ada:example.org";

/// The owner's password.
pub(super) const PASSWORD: &str = "correct horse";

/// The device that is logged in.
pub(super) const DEVICE: &str = "PHONE";

/// Ann's address, in the address book as "Ann Example".
pub(super) const ANN: &str = "tel:+15550100001";

/// Bob's address, in no address book.
pub(super) const BOB: &str = "mailto:bob@example.org";

/// The group's id.
pub(super) const WALK: &str = "9F1C5A3E-0001-4002-8003-00000000000A";

/// What all paths begin with.
const CLIENT: &str = "/_matrix/client/v3";

/// A clock that is moved by hand.
#[derive(Clone, Default)]
struct Hand(Arc<AtomicI64>);

impl Clock for Hand {
    fn now(&self) -> AppleTime {
        AppleTime::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// Files of attachments, by path, in a folder that goes with its world.
pub(super) struct Folder(tempfile::TempDir);

impl Folder {
    /// Where a file lies.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl MediaFiles for Folder {
    fn open(&self, attachment: &Attachment) -> Option<File> {
        File::open(self.path(attachment.path.as_deref()?)).ok()
    }
}

/// An archive and its endpoint.
pub(super) struct World {
    pub(super) store: Store,
    pub(super) folder: Arc<Folder>,
    pub(super) server: Server,
    /// Of [`DEVICE`].
    pub(super) token: String,
    clock: Hand,
    settings: Settings,
}

/// What a request was answered.
#[derive(Debug, PartialEq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// Null where the body is no JSON.
    pub(super) body: Value,
}

impl Reply {
    /// The body of an answer that is good.
    pub(super) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body
    }

    /// The status and the code of an answer that is not.
    pub(super) fn refusal(&self) -> (u16, &str) {
        (
            self.status,
            self.body["errcode"].as_str().unwrap_or_default(),
        )
    }
}

impl World {
    /// The archive of the table above.
    pub(super) fn new() -> Self {
        Self::with_legacy_media(LegacyMedia::Off)
    }

    /// The same with another rule for files without a token.
    pub(super) fn with_legacy_media(legacy_media: LegacyMedia) -> Self {
        let world = Self::empty(|settings| settings.legacy_media = legacy_media);
        world.add(first_page());
        world
    }

    /// An archive without conversations, in which clients make accounts and rooms (D27).
    pub(super) fn conformance() -> Self {
        Self::empty(|settings| settings.conformance = true)
    }

    /// The same archive, served anew.
    pub(super) fn restarted(self) -> Self {
        let clock = Arc::new(self.clock.clone());
        let server = Server::new(self.store.clone(), clock, self.settings.clone()).unwrap();
        Self { server, ..self }
    }

    /// The same archive, served anew with other settings.
    pub(super) fn restarted_with(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(&mut self.settings);
        self.restarted()
    }

    fn empty(set: impl FnOnce(&mut Settings)) -> Self {
        let folder = Arc::new(Folder(tempfile::tempdir().unwrap()));
        let clock = Hand::default();
        clock.0.store(at(60).nanos(), Ordering::Relaxed);
        let store = Store::in_memory(Arc::new(clock.clone())).unwrap();
        let account = Account::new("ada", ServerName::parse("example.org").unwrap()).unwrap();
        let user = User {
            name: "ada".to_owned(),
            password: password::hash(&SecretText::new(PASSWORD.to_owned())).unwrap(),
            created: at(0),
        };
        let written = store.write(|transaction: &mut Transaction<'_>| {
            transaction.set_server_name("example.org")?;
            transaction.put_user(AccountNumber::OWNER, &user)
        });
        written.unwrap();
        let mut settings = Settings {
            account,
            hosts: HostCheck::new(["example.org"]),
            public_url: None,
            allowed_origins: Vec::new(),
            files: Arc::<Folder>::clone(&folder),
            legacy_media: LegacyMedia::Off,
            status: Arc::new(|| None),
            conformance: false,
        };
        set(&mut settings);
        let server = Server::new(store.clone(), Arc::new(clock.clone()), settings.clone()).unwrap();
        let mut world = Self {
            store,
            folder,
            server,
            token: String::new(),
            clock,
            settings,
        };
        world.token = world.log_in(DEVICE);
        world
    }

    /// The endpoint.
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.server.0
    }

    /// Logs another device of the owner in, without asking for the password; answers its token.
    pub(super) fn log_in(&self, device: &str) -> String {
        let token = format!("fb_{device}");
        let held = Device {
            token: Some(self.endpoint().sessions.hash(&token)),
            created: self.clock.now(),
            seen: Some(self.clock.now()),
            ..Device::default()
        };
        self.write(|transaction| transaction.put_device(AccountNumber::OWNER, device, &held));
        token
    }

    /// Stores a page, as one commit.
    pub(super) fn add(&self, page: Page) {
        self.write(|transaction| transaction.apply(page, SourceKind::ChatDb, 1));
    }

    /// Writes in one commit.
    pub(super) fn write(&self, work: impl FnOnce(&mut Transaction<'_>) -> Result<(), StoreError>) {
        self.store.write(work).unwrap();
    }

    /// Moves the clock.
    pub(super) fn pass(&self, time: Duration) {
        let nanos = i64::try_from(time.as_nanos()).unwrap();
        self.clock.0.fetch_add(nanos, Ordering::Relaxed);
    }

    /// The id of the room with a person ([`ANN`], [`BOB`]) or of a group ([`WALK`]).
    pub(super) fn room(&self, with: &str) -> String {
        let account = &self.endpoint().settings.account;
        account.room(&key(with), 0).as_str().to_owned()
    }

    /// The ghost of an address.
    pub(super) fn ghost(&self, address: &str) -> String {
        let account = &self.endpoint().settings.account;
        account.ghost(&handle(address)).as_str().to_owned()
    }

    /// Sends any request.
    pub(super) async fn send(&self, request: Request) -> Reply {
        let host = HeaderValue::from_static("example.org");
        let response = self
            .server
            .call(request.with_header(header::HOST, host))
            .await;
        let body = response
            .whole_body()
            .map(|body| serde_json::from_slice(body));
        Reply {
            status: response.status.as_u16(),
            body: body.and_then(Result::ok).unwrap_or_default(),
            headers: response.headers,
        }
    }

    /// Sends a request with a token, below `/_matrix/client/v3` unless the path begins with `/_matrix`. A null body is
    /// none.
    pub(super) async fn ask_as(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Value,
    ) -> Reply {
        let target = if path.starts_with("/_matrix") {
            path.to_owned()
        } else {
            format!("{CLIENT}{path}")
        };
        let peer = Peer::Tcp("127.0.0.1:50000".parse().unwrap());
        let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        let request = Request::new(method, &target)
            .with_peer(peer)
            .with_header(header::AUTHORIZATION, bearer);
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.send(request.with_body(body)).await
    }

    /// Sends a request as [`DEVICE`].
    pub(super) async fn ask(&self, method: Method, path: &str, body: Value) -> Reply {
        self.ask_as(&self.token, method, path, body).await
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.ask(Method::GET, path, Value::Null).await
    }

    pub(super) async fn put(&self, path: &str, body: Value) -> Reply {
        self.ask(Method::PUT, path, body).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Reply {
        self.ask(Method::POST, path, body).await
    }

    pub(super) async fn delete(&self, path: &str) -> Reply {
        self.ask(Method::DELETE, path, Value::Null).await
    }
}

/// A time in minutes after the beginning of 2001.
pub(super) fn at(minute: i64) -> AppleTime {
    AppleTime::from_nanos(minute * 60_000_000_000)
}

/// An address in its normal form.
pub(super) fn handle(address: &str) -> Handle {
    Handle::from_normal(address.to_owned())
}

/// The key of a conversation: with a person, or of a group by its id.
pub(super) fn key(with: &str) -> ConversationKey {
    if with.contains(':') {
        ConversationKey::direct(&handle(with))
    } else {
        ConversationKey::group(with)
    }
}

/// A conversation with a person, or a group with its members and name.
pub(super) fn conversation(with: &str, members: &[&str], name: Option<&str>) -> ConversationChange {
    let key = key(with);
    let kind = if key.is_direct() {
        ConversationKind::Direct
    } else {
        ConversationKind::Group
    };
    ConversationChange {
        aliases: vec![Alias::key(&key)],
        conversation: Conversation {
            key,
            kind,
            service: Some("iMessage".to_owned()),
            participants: members.iter().map(|member| handle(member)).collect(),
            name: name.map(|name| Name {
                text: name.to_owned(),
                at: None,
            }),
            deleted: None,
            filed: Filed::Inbox,
        },
        records: Vec::new(),
    }
}

/// The GUID of a numbered message.
pub(super) fn guid(number: u16) -> Guid {
    Guid::parse(&format!("1A2B3C4D-0001-4002-8003-00000000{number:04X}")).unwrap()
}

/// A message of this minute, numbered by it, by a person or by the owner.
pub(super) fn message(minute: u16, by: Option<&str>, kind: Kind, text: Option<&str>) -> Message {
    let author = by.map_or(Author::Owner, |by| Author::Other(handle(by)));
    Message {
        service: Some("iMessage".to_owned()),
        times: Times {
            sent: Some(at(minute.into())),
            ..Times::default()
        },
        body: text.map(Body::plain),
        ..Message::new(guid(minute), kind, author)
    }
}

/// A heart on a message, from another person.
pub(super) fn loved(number: u16, target: u16) -> Message {
    let target = Target {
        guid: guid(target),
        part: 0,
    };
    let tapback = Tapback {
        action: TapbackAction::Add,
        kind: TapbackKind::Love,
        target,
    };
    message(number, Some(ANN), Kind::Tapback(tapback), None)
}

/// A message on its way into a conversation.
pub(super) fn into(with: &str, message: Message) -> Prepared {
    let fingerprint = u64::from_le_bytes(message.guid.key()[8..].try_into().unwrap());
    let change = MessageChange {
        message,
        placement: Placement {
            candidates: vec![Alias::key(&key(with))],
            otherwise: Parked::UnknownChat,
        },
        record: MessageRecord::default(),
        fingerprint,
    };
    Preparer::default().prepare(change, 1).unwrap()
}

/// A text of this minute.
pub(super) fn said(with: &str, minute: u16, by: Option<&str>, text: &str) -> Prepared {
    into(
        with,
        message(minute, by, Kind::Message { about: None }, Some(text)),
    )
}

fn first_page() -> Page {
    Page {
        contacts: Some(vec![Contact {
            id: "ann".to_owned(),
            name: "Ann Example".to_owned(),
            handles: vec![handle(ANN)],
            is_owner: false,
        }]),
        conversations: vec![
            conversation(ANN, &[ANN], None),
            conversation(BOB, &[BOB], None),
            conversation(WALK, &[ANN, BOB], Some("Walk")),
        ],
        messages: vec![
            said(ANN, 1, Some(ANN), "Tea at four?"),
            said(ANN, 2, None, "Gladly"),
            said(ANN, 3, Some(ANN), "Bring the dog"),
            said(BOB, 4, Some(BOB), "The keys are under the mat"),
            said(WALK, 5, Some(BOB), "Who walks along?"),
            said(WALK, 6, None, "Me"),
        ],
        owner: Some(Owner {
            handles: vec![handle("tel:+15550100000")],
            region: "US".to_owned(),
        }),
        ..Page::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn the_world_has_its_rooms_and_knows_its_device() {
        let world = World::new();
        let snapshot = world.store.snapshot().unwrap();

        let present = world.endpoint().present(&snapshot).unwrap();

        for with in [ANN, BOB, WALK] {
            assert!(present.rooms.by_id(&world.room(with)).is_some(), "{with}");
        }
        let whoami = world.get("/account/whoami").await.ok();
        let expected = json!({"user_id": ADA, "device_id": DEVICE, "is_guest": false});
        assert_eq!(whoami, expected);
    }

    #[tokio::test]
    async fn a_password_logs_in() {
        let world = World::new();

        let body = json!({
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": "ada"},
            "password": PASSWORD,
        });
        let answer = world.post("/login", body).await.ok();

        let token = answer["access_token"].as_str().unwrap();
        let whoami = world
            .ask_as(token, Method::GET, "/account/whoami", Value::Null)
            .await;
        assert_eq!(whoami.ok()["device_id"], answer["device_id"]);
    }
}
