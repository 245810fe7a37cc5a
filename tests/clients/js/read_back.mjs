// matrix-js-sdk against footbridge: syncs with lazily loaded members, scrolls every room back to its beginning, and starts
// again from its cache.
//
// Environment: FOOTBRIDGE_URL, FOOTBRIDGE_USER, FOOTBRIDGE_PASSWORD. Prints one JSON object: by room id, its name and the
// ids of its events, newest first.

import "fake-indexeddb/auto";
import { ClientEvent, IndexedDBStore, createClient } from "matrix-js-sdk";

const { FOOTBRIDGE_URL, FOOTBRIDGE_USER, FOOTBRIDGE_PASSWORD } = process.env;
const quiet = { trace() {}, debug() {}, info() {}, warn() {}, error: console.error, getChild: () => quiet };

function fail(text) {
  console.error(text);
  process.exit(1);
}

/** Waits for the first sync, at most a minute. */
function prepared(client) {
  return new Promise((resolve) => {
    setTimeout(() => fail("no sync within a minute"), 60_000).unref();
    client.on(ClientEvent.Sync, (state, _before, data) => {
      if (state === "PREPARED") resolve(data);
      if (state === "ERROR") fail(`sync: ${data?.error}`);
    });
  });
}

async function start(session) {
  const store = new IndexedDBStore({ indexedDB: globalThis.indexedDB, dbName: "footbridge" });
  await store.startup();
  const client = createClient({ baseUrl: FOOTBRIDGE_URL, store, logger: quiet, ...session });
  const ready = prepared(client);
  await client.startClient({ initialSyncLimit: 20, lazyLoadMembers: true });
  return { client, store, data: await ready };
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
for (const room of first.client.getRooms()) {
  for (let pages = 0; room.oldState.paginationToken !== null; pages += 1) {
    if (pages > 10_000) fail(`${room.roomId}: no beginning after ${pages} pages`);
    await first.client.scrollback(room, 100);
  }
  await room.loadMembersIfNeeded();
  const events = room.getLiveTimeline().getEvents().map((event) => event.getId());
  rooms[room.roomId] = { name: room.name, members: room.getJoinedMembers().length, events: events.reverse() };
}
await first.store.save(true);
first.client.stopClient();

const second = await start(identity);
if (!second.data?.fromCache) fail("the second start did not come from the cache");
if (second.client.getRooms().length !== Object.keys(rooms).length) fail("the cache has not every room");
await second.client.logout(true);
console.log(JSON.stringify(rooms));
process.exit(0);
