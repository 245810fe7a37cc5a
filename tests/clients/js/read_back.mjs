// matrix-js-sdk against footbridge: syncs with lazily loaded members, scrolls every room back to its beginning, and starts
// again from its cache.
//
// Environment: FOOTBRIDGE_URL, FOOTBRIDGE_USER, FOOTBRIDGE_PASSWORD. Prints one JSON object: by room id, its name, how
// many members and unread messages it has, and the ids of its events, newest first.

import "fake-indexeddb/auto";
import { ClientEvent, IndexedDBStore, createClient } from "matrix-js-sdk";

const { FOOTBRIDGE_URL, FOOTBRIDGE_USER, FOOTBRIDGE_PASSWORD } = process.env;
const quiet = { trace() {}, debug() {}, info() {}, warn() {}, error: console.error, getChild: () => quiet };

function fail(text) {
  console.error(text);
  process.exit(1);
}

/** Waits until syncing is in a state, at most a minute. */
function reached(client, wanted) {
  return new Promise((resolve) => {
    setTimeout(() => fail(`not ${wanted} within a minute`), 60_000).unref();
    client.on(ClientEvent.Sync, (state, _before, data) => {
      if (state === wanted) resolve(data);
      if (state === "ERROR") fail(`sync: ${data?.error}`);
    });
  });
}

async function start(session) {
  const store = new IndexedDBStore({ indexedDB: globalThis.indexedDB, dbName: "footbridge" });
  await store.startup();
  const client = createClient({ baseUrl: FOOTBRIDGE_URL, store, logger: quiet, ...session });
  const ready = reached(client, "PREPARED");
  const syncing = reached(client, "SYNCING");
  await client.startClient({ initialSyncLimit: 20, lazyLoadMembers: true });
  return { client, store, data: await ready, syncing };
}

const login = createClient({ baseUrl: FOOTBRIDGE_URL, logger: quiet });
const session = await login.loginRequest({
  type: "m.login.password",
  identifier: { type: "m.id.user", user: FOOTBRIDGE_USER },
  password: FOOTBRIDGE_PASSWORD,
  initial_device_display_name: "js",
});
const identity = { accessToken: session.access_token, userId: session.user_id, deviceId: session.device_id };

const first = await start(identity);
const rooms = {};
let late = 0;
for (const room of first.client.getRooms()) {
  const known = room.getJoinedMembers().length;
  for (let pages = 0; room.oldState.paginationToken !== null; pages += 1) {
    if (pages > 10_000) fail(`${room.roomId}: no beginning after ${pages} pages`);
    await first.client.scrollback(room, 100);
  }
  await room.loadMembersIfNeeded();
  late += room.getJoinedMembers().length - known;
  const events = room.getLiveTimeline().getEvents().map((event) => event.getId());
  rooms[room.roomId] = {
    name: room.name,
    members: room.getJoinedMembers().length,
    unread: room.getUnreadNotificationCount(),
    events: events.reverse(),
  };
}
if (late === 0) fail("every member came at once: nothing was loaded lazily");
await first.store.save(true);
const saved = await first.store.getSavedSyncToken();
first.client.stopClient();

const second = await start(identity);
if (!second.data?.fromCache) fail("the second start did not come from the cache");
const { oldSyncToken } = await second.syncing;
if (oldSyncToken !== saved) fail("the second start did not go on where the first one ended");
if (second.client.getRooms().length !== Object.keys(rooms).length) fail("the cache has not every room");
for (const room of second.client.getRooms()) {
  const ids = room.getLiveTimeline().getEvents().map((event) => event.getId());
  const newest = rooms[room.roomId].events.slice(0, ids.length).reverse();
  if (String(ids) !== String(newest)) fail(`${room.roomId} begins otherwise from the cache`);
}
await second.client.logout(true);
process.stdout.write(`${JSON.stringify(rooms)}\n`, () => process.exit(0));
