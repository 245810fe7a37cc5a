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
for (const room of first.client.getRooms()) {
  for (let pages = 0; room.oldState.paginationToken !== null; pages += 1) {
    if (pages > 10_000) fail(`${room.roomId}: no beginning after ${pages} pages`);
    await first.client.scrollback(room, 100);
  }
  await room.loadMembersIfNeeded();
  const events = room.getLiveTimeline().getEvents().map((event) => event.getId());
  rooms[room.roomId] = {
    name: room.name,
    members: room.getJoinedMembers().length,
    unread: room.getUnreadNotificationCount(),
    events: events.reverse(),
  };
}
await first.store.save(true);
first.client.stopClient();

const second = await start(identity);
if (!second.data?.fromCache) fail("the second start did not come from the cache");
await second.syncing;
if (second.client.getRooms().length !== Object.keys(rooms).length) fail("the cache has not every room");
await second.client.logout(true);
process.stdout.write(`${JSON.stringify(rooms)}\n`, () => process.exit(0));
