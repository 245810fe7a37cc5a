//! Every number that bounds something, with its unit and its reason, in one place.
use std::time::Duration;
/// Rows of chat.db in one read transaction: a longer one makes the Mac's write-ahead log grow while Messages writes.
/// Each worker of an import has one slice in memory, at 5 KiB a row.
pub const SLICE_ROWS: usize = 1_000;

/// Messages in one commit of an import. Large sorted transactions touch each index page once (data-format.md), and fewer
/// of them write those pages less often; this many take some 35 MiB besides the page cache.
pub const COMMIT_ROWS: usize = 350_000;

/// Bytes of decoded and raw values in one commit: bounds memory whatever the rows hold.
pub const COMMIT_BYTES: usize = 24 << 20;

/// Jobs waiting for the store's writer, however small: who sends them is told soon when they are not stored.
pub const WRITER_QUEUE: usize = 64;

/// Bytes of prepared messages that wait for the store's writer: with enough of them reading and decoding go on while it
/// commits, and there is work for it afterwards.
pub const WRITER_BYTES: usize = 44 << 20;

/// Rows that one group commit may collect.
pub const GROUP_ROWS: usize = 2_000;

/// How long the writer waits for company before it commits.
pub const GROUP_WAIT: Duration = Duration::from_millis(50);

/// redb's page cache, bytes; a quarter more with what the allocator adds to a page. A larger one makes neither an import
/// nor an export faster: the system's own cache stands behind it.
pub const PAGE_CACHE_BYTES: usize = 32 << 20;

/// The same for who writes. An import is a little faster with a small one and takes 25 MiB less. The service stays: what
/// its threads read and forget in turns leaves holes, and the process holds some three times the cache; clients are
/// answered as fast from the system's cache.
pub const WRITING_CACHE_BYTES: usize = 8 << 20;

/// Bytes that a transaction has written before pages are spared ([`crate::store`]): half of a page cache, which redb
/// gives to a transaction's pages at most, so that a smaller one reads none of them back.
pub const SPARING_BYTES: u64 = 16 << 20;

/// Pages that are remembered to be spared: they come back after redb has used twice its [`WRITING_CACHE_BYTES`] / 2.
pub const SPARED_PAGES: usize = 2_048;

/// Text and data of one decoded property list, bytes: a forged one must not make more.
pub const VALUE_BYTES: usize = 16 << 20;

/// One stored value, bytes, when decoding: a forged length must not allocate more. A row of chat.db has four bodies of
/// at most [`BLOB_BYTES`] each, and its attachments have some.
pub const STORED_VALUE_BYTES: usize = 64 << 20;

/// One record of CloudKit, bytes, as it comes: a larger one is not looked into, and not kept. What is stored of one, sealed
/// and in clear, stays below [`STORED_VALUE_BYTES`] whatever it holds. CloudKit's own limit is 1 MB, files apart.
pub const CLOUD_RECORD_BYTES: usize = 8 << 20;

/// One chunk of an uploaded file, bytes: with its key it fills pages of 1 MiB.
pub const UPLOAD_CHUNK_BYTES: usize = 1_044_480;

/// One blob column of chat.db, bytes. Larger ones are kept out of memory and recorded as too large.
pub const BLOB_BYTES: usize = 8 << 20;

/// How long a read of chat.db waits for Messages to let go of it.
pub const SOURCE_BUSY_WAIT: Duration = Duration::from_secs(5);

/// Pause before the one repetition of a read of chat.db that was disturbed.
pub const SOURCE_PAUSE: Duration = Duration::from_millis(200);

/// Attempts at a copy of chat.db during which nobody writes to it.
pub const SOURCE_COPY_ATTEMPTS: u32 = 3;

/// How often the files of a chat.db that is followed are looked at: a look takes some 50 us.
pub const FOLLOW_POLL: Duration = Duration::from_millis(100);

/// How long a change is left alone before it is read: Messages writes a row and its joins in several commits.
pub const FOLLOW_SETTLE: Duration = Duration::from_millis(50);

/// Age of messages that every change makes looked at. Edits end after 15 minutes, unsends after 2.
pub const FOLLOW_LATELY: Duration = Duration::from_hours(48);

/// Rows before the newest that are looked at again: they may be committed out of order (MS-70).
pub const FOLLOW_REREAD_ROWS: i64 = 200;

/// Age of messages that are looked at now and then, for late read dates.
pub const FOLLOW_WIDE: Duration = Duration::from_hours(14 * 24);

/// How often they are.
pub const FOLLOW_WIDE_EVERY: Duration = Duration::from_mins(1);

/// How often every message is looked at, a second or two for a million.
pub const FOLLOW_ALL_EVERY: Duration = Duration::from_hours(1);

/// A longer time between two looks at the files means that the computer slept.
pub const FOLLOW_SLEEP: Duration = Duration::from_mins(2);

/// Pause after the first failure to read a followed source; doubled with each further one.
pub const FOLLOW_RETRY: Duration = Duration::from_secs(1);

/// The longest such pause.
pub const FOLLOW_RETRY_MOST: Duration = Duration::from_mins(1);

/// Nesting of a typedstream, a property list or a keyed archive. Real ones stay below 10.
pub const NESTING: usize = 64;

/// Objects in one typedstream or keyed archive. Real ones stay below 200; one synthetic sample has 5,012.
pub const OBJECTS: usize = 100_000;

/// The type of a group of values in a typedstream, bytes. It is scanned for every group that has it. Real ones stay below
/// 40.
pub const TYPE_BYTES: usize = 1 << 10;

/// How long opening waits for a file that another process holds: after `kill -9` the kernel keeps the lock until that
/// process's I/O has ended.
pub const LOCK_WAIT: Duration = Duration::from_secs(10);

/// Free bytes below which intake stops; two hundredths of the disk if that is more (D8).
pub const FREE_SPACE_FLOOR: u64 = 512 << 20;

/// Without a byte of a file for this long, its download has stalled (AT-3). It bounds a pause, never a whole file.
pub const ATTACHMENT_DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(90);

/// Files that are fetched at once (AT-5).
pub const ATTACHMENTS_AT_ONCE: usize = 32;

/// Files that are fetched beside those, because somebody waits for them.
pub const ATTACHMENTS_ASKED_FOR: usize = 8;

/// Bytes of the files that are fetched at once; a larger file is fetched alone (AT-5).
pub const ATTACHMENT_BUDGET_BYTES: u64 = 128 << 20;

/// Bytes of a file that are kept in memory before they are stored.
pub const ATTACHMENT_COMMIT_BYTES: usize = 4 << 20;

/// Waits after the first attempt at a file and after the second.
pub const ATTACHMENT_WAITS: [Duration; 2] = [Duration::from_secs(30), Duration::from_mins(5)];

/// Waits while iCloud cannot be asked at all: no file is to blame.
pub const ATTACHMENT_PAUSES: [Duration; 3] = [
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
];

/// How often files that have come since are looked for.
pub const ATTACHMENT_LOOK: Duration = Duration::from_secs(5);

/// How long a client waits for a file that is fetched because it asks.
pub const ATTACHMENT_ASKED_WAIT: Duration = Duration::from_mins(2);

/// How long a file that somebody asked for does not make room for others.
pub const ATTACHMENT_ASKED_KEPT: Duration = Duration::from_hours(1);

/// Free bytes below which no files are fetched (D8).
pub const MEDIA_FREE_FLOOR: u64 = 2 << 30;

/// Bytes of files that are held of those that can be fetched again.
pub const MEDIA_LIMIT: u64 = 5 << 30;

/// One chunk of a file in the store, bytes: with its key it fills pages of 1 MiB.
pub const BLOB_CHUNK_BYTES: usize = UPLOAD_CHUNK_BYTES;

/// Attempts at one attachment before it is abandoned.
pub const ATTACHMENT_ATTEMPTS: u32 = 3;

/// A message dated later than this after it was first seen is sorted as of then (D5).
pub const FUTURE_TOLERANCE: Duration = Duration::from_mins(5);

/// Two messages of a self chat with the same text are one when they lie at most this far apart (ID-28).
pub const TWIN_WINDOW: Duration = Duration::from_secs(1);

/// Change log entries that are kept (D7).
pub const CHANGE_LOG_ENTRIES: u64 = 1_000_000;

/// Age of change log entries that are kept (D7).
pub const CHANGE_LOG_AGE: Duration = Duration::from_hours(30 * 24);

/// Messages up to which blocks of the search index are merged, in memory. The blocks of an import are larger from the
/// start.
pub const SEARCH_BLOCK_MESSAGES: usize = 100_000;

/// Adjacent blocks of the search index of about one size that are merged into one.
pub const SEARCH_MERGE_BLOCKS: u32 = 8;

/// One term of the search index, bytes. Longer words (links, base64) are found by their beginning.
pub const SEARCH_TERM_BYTES: usize = 64;

/// Handles on one contact card that are taken for one person (ID-31).
pub const HANDLES_PER_CONTACT: usize = 8;

/// How long an import collects pages for one commit when the source is slow, as with large attachments.
pub const IMPORT_WAIT: Duration = Duration::from_secs(1);

/// Text of one Matrix event, bytes. An event may have 65,536, with its text as plain text and as HTML, escaped (MS-17).
pub const EVENT_TEXT_BYTES: usize = 30_000;

/// Plain text in the outer part of an edit, bytes: only clients that do not know edits show it.
pub const EDIT_FALLBACK_BYTES: usize = 10_000;

/// One text of a link preview, bytes (MS-47).
pub const PREVIEW_TEXT_BYTES: usize = 2_048;

/// Connections of the service served at once (D29): a person has some ten clients with some six connections each.
/// Further ones are answered 503 and closed.
pub const CONNECTIONS: usize = 1_024;

/// Connections that are being turned away at once; further ones are closed without a word.
pub const CONNECTIONS_TURNED_AWAY: usize = 128;

/// What a client that was turned away is told to wait, seconds.
pub const TURNED_AWAY_RETRY: u64 = 5;

/// File descriptors that the service asks for at most: its connections, files and slack. More would only slow down the
/// programs it starts, which close them one by one.
pub const DESCRIPTORS: u64 = 65_536;

/// File descriptors that macOS grants at least (`OPEN_MAX`) when it refuses more although the hard limit is "none".
pub const DESCRIPTORS_FALLBACK: u64 = 10_240;

/// First pause after a failed accept (no descriptors left), doubled up to [`ACCEPT_PAUSE_MAX`].
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Longest pause after a failed accept.
pub const ACCEPT_PAUSE_MAX: Duration = Duration::from_secs(1);

/// From the first byte of a TLS connection to the end of its handshake: a slow loris must not hold a connection.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// From the end of one request (or the connection's start) to the end of the next one's head. It is also how long an
/// HTTP/1.1 connection may stand idle: clients open another one for nothing.
pub const REQUEST_HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Request line and headers of one request, bytes. A Matrix filter in the query stays below 4 KiB.
pub const REQUEST_HEAD_BYTES: usize = 64 << 10;

/// For a whole request body that is read into memory.
pub const REQUEST_BODY_TIMEOUT: Duration = Duration::from_mins(1);

/// Between two pieces of a request body that is streamed: an upload over a slow line takes as long as it takes.
pub const REQUEST_CHUNK_TIMEOUT: Duration = Duration::from_mins(1);

/// Requests that one HTTP/2 connection may have in flight.
pub const REQUESTS_PER_CONNECTION: u32 = 64;

/// A connection on which nothing moves for this long, and nobody is working for it, is closed.
pub const CONNECTION_STALL: Duration = Duration::from_mins(1);

/// How long a connection that we close is read on, so that the client sees the answer and not a reset.
pub const CONNECTION_LINGER: Duration = Duration::from_secs(2);

/// How often the files of a certificate are looked at for a renewal.
pub const CERTIFICATE_CHECK: Duration = Duration::from_mins(1);

/// Validity of a certificate that we make, days. Apple's systems refuse more than 825.
pub const CERTIFICATE_DAYS: i64 = 825;

/// A certificate that we made is made anew this many days before it ends.
pub const CERTIFICATE_RENEWAL_DAYS: i64 = 30;

/// A PEM file of certificates or a key, bytes.
pub const PEM_BYTES: u64 = 1 << 20;

/// Bytes of one piece of a streamed answer: one read on a blocking thread.
pub const ANSWER_CHUNK_BYTES: usize = 256 << 10;

/// JSON answers of at least this many bytes are compressed for who asks: below, it costs more than it saves.
pub const GZIP_BYTES: usize = 8 << 10;

/// The path of a Unix socket, bytes. macOS allows 103 and a final zero.
pub const SOCKET_PATH_BYTES: usize = 100;

/// Commands that other processes of the owner have the service answer at once: each takes a thread.
pub const COMMANDS_AT_ONCE: usize = 16;

/// The arguments of one such command, bytes.
pub const COMMAND_BYTES: usize = 256 << 10;

/// Bytes of its answer that wait for their reader.
pub const COMMAND_BUFFER_BYTES: usize = 256 << 10;

/// How long the service takes to stop: after it what still runs is dropped.
pub const STOP_DEADLINE: Duration = Duration::from_secs(8);

/// Pause before a part of the service that failed is started again; doubled with each further failure.
pub const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// The longest such pause.
pub const RESTART_PAUSE_MOST: Duration = Duration::from_mins(1);

/// How often a long command's progress is sent to the process that asked.
pub const PROGRESS_SENT_EVERY: Duration = Duration::from_millis(100);

/// Over how long the rate of an import is measured for the web page.
pub const STATUS_RATE_OVER: Duration = Duration::from_secs(2);

/// How often the web page learns anew how large each table is: that reads the whole archive.
pub const STATUS_SURVEY_EVERY: Duration = Duration::from_mins(1);

/// The largest JSON body of a request, bytes: an event may have 64 KiB, and escapes double some.
pub const JSON_BODY_BYTES: usize = 256 << 10;

/// The largest JSON body where clients store keys or filters, bytes.
pub const LARGE_BODY_BYTES: usize = 1 << 20;

/// Bytes of a request for an account, which its session keeps.
pub const REGISTRATION_BODY_BYTES: usize = 16 << 10;

/// Long polls of one device at a time; a client has one, or two with sliding sync.
pub const POLLS_PER_DEVICE: usize = 8;

/// Long polls at a time.
pub const POLLS: usize = 512;

/// How long a poll may wait: proxies end what takes longer.
pub const POLL_WAIT: Duration = Duration::from_mins(1);

/// Attempts to log in that may come at once from one address.
pub const LOGIN_BURST: u32 = 5;

/// Time after which one more is allowed.
pub const LOGIN_REFILL: Duration = Duration::from_secs(10);

/// Addresses of which attempts are counted.
pub const LOGIN_ADDRESSES: usize = 10_000;

/// Proofs (the password once more) that are awaited at once; the oldest is forgotten for a new one.
pub const PROOFS: usize = 1_000;

/// How long a proof is awaited: a person looks the password up.
pub const PROOF_AGE: Duration = Duration::from_mins(10);

/// Characters that a password has at least.
pub const PASSWORD_LETTERS: usize = 8;

/// One piece of account data, bytes: as much as an event.
pub const ACCOUNT_DATA_BYTES: usize = 64 << 10;

/// Entries of the change log that are looked through for changed keys; beyond that all count as changed.
pub const KEY_CHANGES: usize = 10_000;

/// Rooms of a space in one answer.
pub const HIERARCHY_ROOMS: usize = 50;

/// People that a search of the directory finds if it does not say how many.
pub const DIRECTORY_RESULTS: usize = 10;

/// People that it finds at most.
pub const DIRECTORY_RESULTS_MOST: usize = 100;

/// Events that come into the middle of a room's timeline and are sent along with new ones; more are left to paging (D20).
pub const LATE_EVENTS: usize = 50;

/// Events of one page at most, of a timeline or of relations.
pub const PAGE_EVENTS: usize = 1_000;

/// Events that one page looks at for those that a filter admits.
pub const PAGE_LOOKED_AT: usize = 2_000;

/// Sliding-sync connections of one device that are remembered; a client has two or three.
pub const SLIDING_CONNECTIONS_PER_DEVICE: usize = 8;

/// Sliding-sync connections that are remembered: each keeps some 150 bytes per room, twice.
pub const SLIDING_CONNECTIONS: usize = 128;

/// Lists of one sliding sync.
pub const SLIDING_LISTS: usize = 32;

/// Bytes of a sliding-sync connection's name; clients are told to use 16.
pub const SLIDING_NAME_BYTES: usize = 255;

/// Messages to a device in one answer.
pub const SLIDING_TO_DEVICE: usize = 100;

/// How long a typing notice holds at most.
pub const TYPING_WAIT: Duration = Duration::from_mins(2);

/// How long a client may leave an upload unfinished before its chunks are removed.
pub const UPLOAD_STALE: Duration = Duration::from_hours(24);

/// Ids that an account may have for files that are still to come.
pub const UPLOADS_RESERVED: usize = 100;

/// How long a client waits for a file that is still to come, when it does not say (`[mx v1.12] timeout_ms`).
pub const UPLOAD_WAIT: Duration = Duration::from_secs(20);

/// The largest file that a thumbnail is made of, bytes: it is read into memory.
pub const IMAGE_FILE_BYTES: u64 = 64 << 20;

/// The largest width and the largest height of an image that is decoded, pixels: panoramas have some 16,000.
pub const IMAGE_SIDE: u32 = 20_000;

/// Memory that decoding one image may take, bytes: pictures of 48 megapixels take 147 MB.
pub const IMAGE_DECODED_BYTES: u64 = 160 << 20;

/// The largest colour profile that a thumbnail keeps, bytes. Those of phones have about 500.
pub const COLOR_PROFILE_BYTES: usize = 4 << 10;

/// Thumbnails made at once: each may take [`IMAGE_DECODED_BYTES`] meanwhile.
pub const THUMBNAILS_AT_ONCE: usize = 2;

/// Thumbnails in memory, bytes: some 200 of a timeline. The rest is made again when asked for.
pub const THUMBNAIL_CACHE_BYTES: usize = 8 << 20;

/// Thumbnails in memory, and files known to have none.
pub const THUMBNAIL_CACHE_ENTRIES: usize = 1_024;

/// An image of which no thumbnail can be made is its own below this size, bytes.
pub const OWN_THUMBNAIL_BYTES: u64 = 2 << 20;

/// Messages that one search of a client looks at, the newest by arrival: about as many as can be read in its time.
pub const SEARCH_CANDIDATES: usize = 50_000;

/// How long one search of a client looks for messages.
pub const SEARCH_TIME: Duration = Duration::from_secs(2);

/// Results in one answer to a search.
pub const SEARCH_RESULTS: usize = 100;

/// Neighbours of a result on either side.
pub const SEARCH_NEIGHBOURS: usize = 20;

/// Newest events of one room in an answer to a sync at most; a client that asks for more pages through the rest.
pub const SYNC_EVENTS: usize = 100;

/// Entries of the change log that one sync looks through; who is further behind is told which rooms changed and reads
/// their timelines again.
pub const SYNC_ENTRIES: usize = 5_000;

/// Rooms of one sync for each thread that makes their blocks: fewer are not worth a thread.
pub const SYNC_ROOMS_PER_THREAD: usize = 16;

/// Answers to syncs that are kept for others who ask the same: clients that wait together stand in a few places.
pub const SHARED_ANSWERS: usize = 8;

/// How long they are kept, milliseconds: by so much the age of an event may be off.
pub const SHARED_FOR: u64 = 1_000;

/// The rooms of one such answer, bytes; a larger one is made for each. Blocks of 100 rooms with one event each take some
/// 150 KB.
pub const SHARED_BYTES: usize = 1 << 20;

/// Up to how many unread messages of a room are counted: clients show "99+".
pub const UNREAD_COUNTED: u64 = 100;

/// From the look-up of a server's name to the end of the TLS handshake.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Idle connections that are kept to one server.
pub const CLIENT_IDLE_CONNECTIONS: usize = 8;

/// For the head of CloudKit's answer: a page of Recently Deleted took 81 s and more (SC-35).
pub const CLOUDKIT_HEAD_TIMEOUT: Duration = Duration::from_mins(3);

/// Between two pieces of CloudKit's answer.
pub const CLOUDKIT_CHUNK_TIMEOUT: Duration = Duration::from_mins(1);

/// The body of a CloudKit answer, bytes, as it arrives and inflated: it holds pages of several zones.
pub const CLOUDKIT_BODY_BYTES: usize = 128 << 20;

/// Operations in one CloudKit request. Known clients send that many.
pub const CLOUDKIT_BATCH: usize = 256;

/// For a server of anisette headers to answer: they are good for a minute.
pub const ANISETTE_TIMEOUT: Duration = Duration::from_secs(20);

/// Its answer, bytes: some ten headers.
pub const ANISETTE_BYTES: usize = 64 << 10;

/// Bytes of a file that wait for chunks before them, or for their keys. Known clients write chunks in order.
pub const ASSET_WAITING_BYTES: usize = 128 << 20;

/// One operation of a CloudKit request or answer, bytes: an announced length must not allocate more. Pages seen are below
/// 1 MiB.
pub const CLOUDKIT_FRAME_BYTES: usize = 64 << 20;

/// Operations in one CloudKit request or answer: a forged body of empty frames must not make more. Clients batch 256.
pub const CLOUDKIT_FRAMES: usize = 10_000;

/// What one gzip member of a record may hold, bytes. Real ones stay below 1 MiB.
pub const INFLATED_BYTES: usize = 16 << 20;

/// Nesting of groups in a protocol buffer that is passed over. Real ones have none.
pub const GROUP_NESTING: usize = 16;

/// DER of an identity or of a zone's protection, bytes. Real ones stay below 1 KiB.
pub const DER_BYTES: usize = 64 << 10;

/// Elements of one DER structure, and keys that one protection may hold. Real ones have fewer than 10.
pub const DER_ELEMENTS: usize = 256;

/// Lists in lists of a record's field. Real ones have one level.
pub const LIST_NESTING: usize = 4;

/// A key blob of an asset, bytes: about 50 a chunk.
pub const KEY_BLOB_BYTES: usize = 16 << 20;

/// One stored chunk of an asset, bytes. Known clients write 5 MiB.
pub const ASSET_CHUNK_BYTES: usize = 64 << 20;

/// Chunks of one asset: 8 GiB in the smallest chunks that were seen.
pub const ASSET_CHUNKS: usize = 1 << 17;

/// Tries of one page of a zone before its pass ends with an error (SC-16).
pub const CLOUD_TRIES: u32 = 3;

/// Pages of one pass over a zone: a feed without an end must not be followed for ever. Two million records (SC-11).
pub const CLOUD_PAGES: u32 = 10_000;

/// The longest wait that iCloud may ask for: a forged or mistaken one must not end a zone's pass for years.
pub const CLOUD_WAIT_MOST: Duration = Duration::from_hours(1);

/// A question to iCloud that is not answered for this long has stalled, and is asked again.
pub const CLOUD_STALL: Duration = Duration::from_mins(3);

/// What was deleted lately may take this long of a pass; the next one goes on (SC-35).
pub const RECENTLY_DELETED_BOX: Duration = Duration::from_mins(1);

/// How soon after it was read what was deleted lately is read again: one reading took minutes (SC-35).
pub const RECENTLY_DELETED_EVERY: Duration = Duration::from_mins(30);

/// How soon after it could not be read (SC-35).
pub const RECENTLY_DELETED_RETRY: Duration = Duration::from_mins(5);

/// Passes after the first: records of the last minutes reach their zones late (SC-31).
pub const CLOUD_LATE_PASSES: [Duration; 3] = [
    Duration::from_secs(15),
    Duration::from_mins(1),
    Duration::from_mins(3),
];

/// Passes after those, a fifth sooner or later (SC-32).
pub const CLOUD_PASS_EVERY: Duration = Duration::from_mins(15);

/// A pass after one that failed (SC-26).
pub const CLOUD_PASS_RETRY: Duration = Duration::from_mins(1);

/// How often a session that is not accepted any more is compared with the one that is imported (D31).
pub const CLOUD_SESSION_POLL: Duration = Duration::from_secs(2);

/// Records of one commit while a zone is read: more of them make it no faster, and need more memory.
pub const CLOUD_COMMIT_RECORDS: usize = 10_000;

/// Deaths of the program at one position of a zone before it is read page by page, and again as many before the page is
/// set aside (SC-23a).
pub const CLOUD_DEATHS: u32 = 3;

/// Deaths count together that came within this time (SC-23a).
pub const CLOUD_DEATHS_WITHIN: Duration = Duration::from_mins(10);

/// How soon a zone that does not exist is looked for again: chats with businesses come and go seldom.
pub const CLOUD_GONE_RETRY: Duration = Duration::from_hours(24);

/// Accounts beside the owner's that clients may make in conformance mode: as many as an account's number can tell apart.
/// D27 says four, but suites make new ones for nearly every test.
pub const CONFORMANCE_ACCOUNTS: u8 = u8::MAX;

/// Failures in a row of what may pass by itself, before the owner is told in the notice room.
pub const FAILURES_BEFORE_NOTICE: u32 = 3;

/// A session file: tokens and some keys are kilobytes, a larger file is something else.
pub const SESSION_FILE_BYTES: u64 = 4 << 20;

/// How often somebody writes while a demonstration is looked at.
pub const DEMO_MESSAGE_EVERY: Duration = Duration::from_secs(20);

/// Passes of a demonstration in which things go wrong on purpose: more than it needs.
pub const DEMO_PASSES: u32 = 8;
