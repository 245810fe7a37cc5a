//! Files as a client gets them, over the endpoint of a small archive.

use std::fs;
use std::time::Duration;
use std::time::SystemTime;

use serde_json::json;

use crate::base::ids::AttachmentGuid;
use crate::base::limits::UPLOAD_CHUNK_BYTES;
use crate::base::limits::UPLOAD_STALE;
use crate::base::limits::UPLOADS_RESERVED;
use crate::base::time::AppleTime;
use crate::deliver::endpoint::LegacyMedia;
use crate::deliver::endpoint::media::held::Held;
use crate::deliver::endpoint::media::thumbnail::tests::bomb;
use crate::deliver::endpoint::start::UPLOAD_BYTES;
use crate::deliver::endpoint::testing::ANN;
use crate::deliver::endpoint::testing::Reply;
use crate::deliver::endpoint::testing::World;
use crate::deliver::endpoint::testing::into;
use crate::deliver::endpoint::testing::message;
use crate::model::attachment::Attachment;
use crate::model::attachment::AttachmentState;
use crate::model::message::Kind;
use crate::net::ETag;
use crate::net::HeaderName;
use crate::net::HeaderValue;
use crate::net::Method;
use crate::net::Peer;
use crate::net::Request;
use crate::net::header;
use crate::store::Page;

/// The hash of every file, as the archive has it.
const HASH: [u8; 32] = [7; 32];

/// When every file was changed, in the two ways of counting.
const CHANGED: AppleTime = AppleTime::from_nanos(721_692_800_123_456_789);
const CHANGED_SINCE_1970: Duration = Duration::new(1_700_000_000, 123_456_789);

/// Stores a message with a file, and answers the path of its media id: `example.org/<id>`.
fn attach(world: &World, name: &str, mime: &str, bytes: &[u8]) -> String {
    let path = world.folder.path(name);
    fs::write(&path, bytes).unwrap();
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + CHANGED_SINCE_1970)
        .unwrap();
    let minute =
        20 + u16::try_from(world.store.snapshot().unwrap().message_count().unwrap()).unwrap();
    let guid = format!("AT_0_1A2B3C4D-0001-4002-8003-{minute:012}");
    let guid = AttachmentGuid::parse(&guid).unwrap();
    let mut message = message(minute, Some(ANN), Kind::Message { about: None }, None);
    message.attachments = vec![Attachment {
        name: Some(name.to_owned()),
        mime: Some(mime.to_owned()),
        size_bytes: Some(u64::try_from(bytes.len()).unwrap()),
        path: Some(name.to_owned()),
        state: AttachmentState::Held {
            sha256: HASH,
            modified: CHANGED,
        },
        ..Attachment::wanted(guid.as_str())
    }];
    world.add(Page {
        messages: vec![into(ANN, message)],
        ..Page::default()
    });
    let server = world.endpoint().settings.account.server();
    let url = world.endpoint().media.url(server, &guid);
    url.strip_prefix("mxc://").unwrap().to_owned()
}

async fn download(world: &World, file: &str) -> Reply {
    world
        .get(&format!("/_matrix/client/v1/media/download/{file}"))
        .await
}

async fn thumbnail(world: &World, file: &str, query: &str) -> Reply {
    let path = format!("/_matrix/client/v1/media/thumbnail/{file}?{query}");
    world.get(&path).await
}

fn header<'r>(reply: &'r Reply, name: &str) -> &'r str {
    reply
        .headers
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

/// Asks for a file with one more header.
async fn with_header(world: &World, file: &str, name: HeaderName, value: &'static str) -> Reply {
    let bearer = format!("Bearer {}", world.token);
    let path = format!("/_matrix/client/v1/media/download/{file}");
    let request = Request::new(Method::GET, &path)
        .with_header(header::AUTHORIZATION, bearer.parse().unwrap())
        .with_header(name, HeaderValue::from_static(value));
    world.send(request).await
}

#[tokio::test]
async fn a_picture_is_served_in_place_and_cannot_act() {
    let world = World::new();
    let file = attach(&world, "a b.jpg", "image/jpeg", b"picture");

    let reply = download(&world, &file).await;

    assert_eq!(reply.status, 200);
    let expected = [
        ("content-type", "image/jpeg"),
        ("content-disposition", "inline; filename=\"a b.jpg\""),
        (
            "content-security-policy",
            "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; style-src 'unsafe-inline'; \
             object-src 'self';",
        ),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("cache-control", "private, max-age=31536000, immutable"),
        ("accept-ranges", "bytes"),
        ("access-control-allow-origin", "*"),
    ];
    for (name, value) in expected {
        assert_eq!(header(&reply, name), value, "{name}");
    }
    let named = download(&world, &format!("{file}/other.png")).await;
    assert_eq!(
        header(&named, "content-disposition"),
        "inline; filename=other.png"
    );
}

#[tokio::test]
async fn what_could_act_is_only_saved() {
    let world = World::new();
    let types = [
        "text/html",
        "image/svg+xml",
        "application/xhtml+xml",
        "text/xml",
    ];
    for (name, mime) in ["a.html", "b.svg", "c.xhtml", "d.xml"].iter().zip(types) {
        let file = attach(&world, name, mime, b"<svg/>");

        for reply in [
            download(&world, &file).await,
            download(&world, &format!("{file}/picture.png")).await,
        ] {
            assert_eq!(header(&reply, "content-type"), "application/octet-stream");
            assert!(header(&reply, "content-disposition").starts_with("attachment;"));
        }
    }
}

#[tokio::test]
async fn a_stretch_of_a_film_is_served() {
    let world = World::new();
    let file = attach(&world, "a.mov", "video/quicktime", b"0123456789");

    let part = with_header(&world, &file, header::RANGE, "bytes=2-4").await;
    let beyond = with_header(&world, &file, header::RANGE, "bytes=10-").await;

    assert_eq!((part.status, beyond.status), (206, 416));
    assert_eq!(header(&part, "content-range"), "bytes 2-4/10");
    assert_eq!(header(&beyond, "content-range"), "bytes */10");
}

#[tokio::test]
async fn a_file_that_changed_is_another_version() {
    let world = World::new();
    let file = attach(&world, "a.txt", "text/plain", b"one");
    let hashed = ETag::of_hash(&HASH).value();
    let held = "\"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc\"";

    let before = download(&world, &file).await;
    let not_modified = with_header(&world, &file, header::IF_NONE_MATCH, held).await;
    fs::write(world.folder.path("a.txt"), "three").unwrap();
    let after = with_header(&world, &file, header::IF_NONE_MATCH, held).await;

    assert_eq!(before.headers.get(header::ETAG), Some(&hashed));
    assert_eq!((not_modified.status, after.status), (304, 200));
    assert_ne!(after.headers.get(header::ETAG), Some(&hashed));
}

#[tokio::test]
async fn what_is_not_here_is_not_found() {
    let world = World::new();
    let file = attach(&world, "a.png", "image/png", b"");
    let id = file.strip_prefix("example.org/").unwrap();
    fs::remove_file(world.folder.path("a.png")).unwrap();

    for file in [
        file.as_str(),
        "example.org/AAAAAAAAAAAAAAAAAAAAAAAA",
        &format!("other.example.org/{id}"),
        "example.org/..%2F..%2Fetc%2Fpasswd",
    ] {
        let downloaded = download(&world, file).await;
        let small = thumbnail(&world, file, "width=32&height=32").await;

        assert_eq!(downloaded.refusal(), (404, "M_NOT_FOUND"), "{file}");
        assert_eq!(small.refusal(), (404, "M_NOT_FOUND"), "{file}");
    }
}

#[tokio::test]
async fn files_need_a_token_unless_this_computer_may_do_without() {
    let closed = World::new();
    let open = World::with_legacy_media(LegacyMedia::Loopback);
    let (local, remote) = ("127.0.0.1:50000", "192.0.2.1:50000");
    let ask = async |world: &World, path: &str, from: &str, name: &'static str| {
        let request = Request::new(Method::GET, path)
            .with_peer(Peer::Tcp(from.parse().unwrap()))
            .with_header(HeaderName::from_static(name), HeaderValue::from_static("x"));
        world.send(request).await.status
    };
    for kind in ["download", "thumbnail"] {
        for (world, from, extra, status) in [
            (&closed, local, "x-nothing", 404),
            (&open, local, "x-nothing", 200),
            (&open, remote, "x-nothing", 404),
            (&open, local, "x-forwarded-for", 404),
            (&open, local, "forwarded", 404),
        ] {
            let file = attach(world, "a.png", "image/png", b"no picture");
            let rest = format!("{kind}/{file}?width=32&height=32");

            for version in ["r0", "v1", "v3"] {
                let path = format!("/_matrix/media/{version}/{rest}");
                assert_eq!(
                    ask(world, &path, from, extra).await,
                    status,
                    "{path} {from}"
                );
            }
            let path = format!("/_matrix/client/v1/media/{rest}");
            assert_eq!(ask(world, &path, from, extra).await, 401);
        }
    }
}

#[tokio::test]
async fn a_picture_has_a_thumbnail() {
    let world = World::new();
    let mut png = std::io::Cursor::new(Vec::new());
    let picture = image::RgbImage::from_pixel(1000, 500, image::Rgb([1, 2, 3]));
    picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
    let file = attach(&world, "a.png", "image/png", png.get_ref());

    let reply = thumbnail(&world, &file, "width=800&height=600&method=scale").await;
    let of_no_size = thumbnail(&world, &file, "width=NaN&height=NaN&method=scale").await;
    let without = thumbnail(&world, &file, "width=800").await;
    let unknown = thumbnail(&world, &file, "width=8&height=8&method=stretch").await;

    assert_eq!(reply.status, 200);
    assert_eq!(header(&reply, "content-type"), "image/jpeg");
    assert_eq!(header(&reply, "x-content-type-options"), "nosniff");
    assert_eq!(of_no_size.body, reply.body);
    assert_eq!(without.refusal(), (400, "M_MISSING_PARAM"));
    assert_eq!(unknown.refusal(), (400, "M_INVALID_PARAM"));
}

#[tokio::test]
async fn a_small_picture_of_another_kind_is_its_own_thumbnail() {
    let world = World::new();
    let small = attach(&world, "a.heic", "image/heic", b"heic");
    let large = attach(&world, "b.heic", "image/heic", &vec![0; (2 << 20) + 1]);
    let text = attach(&world, "c.txt", "text/plain", b"text");
    let huge = attach(&world, "d.png", "image/png", &bomb(60_000, 60_000));
    let ask = async |file: &str| thumbnail(&world, file, "width=32&height=32").await;

    let served = ask(&small).await;

    assert_eq!(served.status, 200);
    assert_eq!(header(&served, "content-type"), "image/heic");
    for file in [large, text, huge] {
        assert_eq!(ask(&file).await.refusal(), (404, "M_NOT_FOUND"));
    }
}

async fn upload(world: &World, body: Vec<u8>) -> Reply {
    send(world, Method::POST, "", body).await
}

/// Uploads a file, to an id of a server if there is one.
async fn send(world: &World, method: Method, file: &str, body: Vec<u8>) -> Reply {
    let path = format!("/_matrix/media/v3/upload{file}?filename=a%20b.png");
    let request = Request::new(method, &path)
        .with_header(
            header::AUTHORIZATION,
            format!("Bearer {}", world.token).parse().unwrap(),
        )
        .with_header(header::CONTENT_TYPE, HeaderValue::from_static("image/png"))
        .with_body(body);
    world.send(request).await
}

/// Everything that a file holds, read in pieces.
fn content(held: &Held) -> Vec<u8> {
    let mut content = Vec::new();
    let mut buffer = vec![0; 200_000];
    loop {
        let offset = u64::try_from(content.len()).unwrap();
        let read = held.source.read_at(offset, &mut buffer).unwrap();
        if read == 0 {
            return content;
        }
        content.extend(&buffer[..read]);
    }
}

#[tokio::test]
async fn an_upload_comes_back() {
    let world = World::new();
    let body: Vec<u8> = (0_u8..251)
        .cycle()
        .take(UPLOAD_CHUNK_BYTES * 2 + 5)
        .collect();

    let answer = upload(&world, body.clone()).await.ok();

    let uri = answer["content_uri"].as_str().unwrap();
    let file = uri.strip_prefix("mxc://").unwrap();
    let reply = download(&world, file).await;
    assert_eq!(reply.status, 200);
    assert_eq!(header(&reply, "content-type"), "image/png");
    assert_eq!(
        header(&reply, "content-disposition"),
        "inline; filename=\"a b.png\""
    );
    let (server, id) = file.split_once('/').unwrap();
    assert_eq!(id.len(), 24);
    let held = world.endpoint().held(server, id).unwrap();
    assert_eq!(content(&held), body);
    let empty = upload(&world, Vec::new()).await.ok();
    let file = empty["content_uri"].as_str().unwrap().replace("mxc://", "");
    assert_eq!(download(&world, &file).await.status, 200);
}

#[tokio::test]
async fn an_upload_over_the_limit_is_refused_before_it_is_read() {
    let world = World::new();
    let too_much = usize::try_from(UPLOAD_BYTES).unwrap() + 1;

    let reply = upload(&world, vec![0; too_much]).await;

    assert_eq!(reply.refusal(), (413, "M_TOO_LARGE"));
    assert_eq!(world.store.snapshot().unwrap().uploads().unwrap(), []);
    let config = world.get("/_matrix/client/v1/media/config").await.ok();
    assert_eq!(config, json!({ "m.upload.size": UPLOAD_BYTES }));
}

#[tokio::test]
async fn an_upload_that_its_client_left_is_not_served_and_goes() {
    let world = World::new();
    let answer = upload(&world, vec![1]).await.ok();
    let uri = answer["content_uri"].as_str().unwrap();
    let file = uri.strip_prefix("mxc://").unwrap();
    let snapshot = world.store.snapshot().unwrap();
    let [(id, mut left)] = <[_; 1]>::try_from(snapshot.uploads().unwrap()).unwrap();
    left.completed = None;
    world.write(|transaction| transaction.put_upload(&id, &left));

    let reply = download(&world, &format!("{file}?timeout_ms=0")).await;
    world.pass(UPLOAD_STALE + Duration::from_secs(1));
    upload(&world, vec![2]).await.ok();

    assert_eq!(reply.refusal(), (504, "M_NOT_YET_UPLOADED"));
    let uploads = world.store.snapshot().unwrap().uploads().unwrap();
    assert_eq!(uploads.len(), 1);
    assert_ne!(uploads[0].0, id);
}

async fn reserve(world: &World) -> String {
    let path = "/_matrix/media/v1/create";
    let answer = world.post(path, json!({})).await.ok();
    let expires = answer["unused_expires_at"].as_i64().unwrap();
    let stale = i64::try_from(UPLOAD_STALE.as_millis()).unwrap();
    let now = world.endpoint().clock.now().unix_millis();
    assert_eq!(expires, now + stale);
    answer["content_uri"]
        .as_str()
        .unwrap()
        .replace("mxc://", "")
}

#[tokio::test]
async fn an_id_gets_its_file_once() {
    let world = World::new();
    let file = reserve(&world).await;
    let early = download(&world, &format!("{file}?timeout_ms=0")).await;
    let small = thumbnail(&world, &file, "width=32&height=32&timeout_ms=0").await;

    let too_much = usize::try_from(UPLOAD_BYTES).unwrap() + 1;
    let refused = send(&world, Method::PUT, &format!("/{file}"), vec![0; too_much]).await;
    let filled = send(&world, Method::PUT, &format!("/{file}"), vec![1, 2, 3]).await;
    let again = send(&world, Method::PUT, &format!("/{file}"), vec![4]).await;

    for reply in [early, small] {
        assert_eq!(reply.refusal(), (504, "M_NOT_YET_UPLOADED"));
    }
    assert_eq!(refused.refusal(), (413, "M_TOO_LARGE"));
    assert_eq!(filled.ok(), json!({}));
    assert_eq!(again.refusal(), (409, "M_CANNOT_OVERWRITE_MEDIA"));
    let reply = download(&world, &file).await;
    assert_eq!(header(&reply, "content-type"), "image/png");
    let (server, id) = file.split_once('/').unwrap();
    assert_eq!(
        content(&world.endpoint().held(server, id).unwrap()),
        [1, 2, 3]
    );
    for other in ["/example.org/none", "/elsewhere.org/none"] {
        let reply = send(&world, Method::PUT, other, vec![1]).await;
        assert_eq!(reply.refusal(), (404, "M_NOT_FOUND"), "{other}");
    }
}

#[tokio::test]
async fn who_asks_for_a_file_that_is_to_come_waits_for_it() {
    let world = World::new();
    let file = reserve(&world).await;

    let path = format!("/{file}");
    let (reply, _) = tokio::join!(
        download(&world, &file),
        send(&world, Method::PUT, &path, vec![1]),
    );

    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn an_id_is_its_owners_and_there_are_not_any_number() {
    let world = World::conformance();
    let mine = reserve(&world).await;
    let register = json!({
        "username": "bob", "password": "open sesame", "auth": {"type": "m.login.dummy"},
    });
    let bob = world.post("/register", register).await.ok();
    let bob = bob["access_token"].as_str().unwrap();

    let path = format!("/_matrix/media/v3/upload/{mine}");
    let theirs = world.ask_as(bob, Method::PUT, &path, json!({})).await;
    for _ in 1..UPLOADS_RESERVED {
        reserve(&world).await;
    }
    let create = "/_matrix/media/v1/create";
    let one_more = world.post(create, json!({})).await;

    assert_eq!(theirs.refusal(), (403, "M_FORBIDDEN"));
    assert_eq!(one_more.refusal(), (429, "M_LIMIT_EXCEEDED"));
    let others = world.ask_as(bob, Method::POST, create, json!({})).await;
    assert_eq!(others.status, 200);
}
