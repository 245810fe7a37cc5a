// The session: a token and the calls of the public Matrix client-server API that the page makes with it.

const KEY = "footbridge.session";
const LAZY = { lazy_load_members: true };

/** What a refused or failed call says, in words a person can act on. */
export class ApiError extends Error {
  /** `status` is 0 when no answer came at all. */
  constructor(status, code, text, retryMs = 0) {
    super(text);
    this.status = status;
    this.code = code;
    this.retryMs = retryMs;
  }

  /** True when the token is no longer worth anything. */
  get loggedOut() {
    return this.code === "M_UNKNOWN_TOKEN" || this.code === "M_MISSING_TOKEN";
  }
}

/** Turns a failed answer into words. */
async function refusal(response) {
  let body = {};
  try {
    body = await response.json();
  } catch {
    // Something in between answered: there is only the number to report.
  }
  const retry = body.retry_after_ms ?? 1000 * (Number(response.headers.get("Retry-After")) || 0);
  const text = response.status === 429
    ? `Too many tries. Wait ${Math.max(1, Math.ceil(retry / 1000))} seconds and try again.`
    : body.error || `footbridge answered with status ${response.status}.`;
  return new ApiError(response.status, body.errcode ?? "", text, retry);
}

/** One logged-in session. The token lives in this tab only and dies with it. */
export class Api {
  constructor(session) {
    this.session = session;
    this.onLoggedOut = () => {};
  }

  /** The session that this tab had before a reload, or null. */
  static resume() {
    try {
      const session = JSON.parse(sessionStorage.getItem(KEY));
      return session?.token && session?.user ? new Api(session) : null;
    } catch {
      return null;
    }
  }

  /** Logs in with a password. */
  static async login(user, password) {
    const api = new Api({});
    const got = await api.call("POST", "/_matrix/client/v3/login", {}, {
      type: "m.login.password",
      identifier: { type: "m.id.user", user },
      password,
      initial_device_display_name: "footbridge web page",
    });
    api.session = { user: got.user_id, token: got.access_token };
    sessionStorage.setItem(KEY, JSON.stringify(api.session));
    return api;
  }

  get user() {
    return this.session.user;
  }

  /** Forgets the token, here and at the server. */
  async logout() {
    sessionStorage.removeItem(KEY);
    try {
      await this.call("POST", "/_matrix/client/v3/logout", {}, {});
    } catch {
      // The token is gone from this tab either way.
    }
  }

  /** Sends a request and answers the response, or throws an ApiError. */
  async fetch(method, path, query = {}, body, signal) {
    const url = new URL(path, location.origin);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined && value !== null) url.searchParams.set(name, value);
    }
    const headers = {};
    if (this.session.token) headers.Authorization = `Bearer ${this.session.token}`;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let response;
    try {
      response = await fetch(url, {
        method, headers, signal, credentials: "omit", referrerPolicy: "no-referrer",
        body: body === undefined ? undefined : JSON.stringify(body),
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError(0, "", "footbridge does not answer. Is it still running?");
    }
    if (response.ok) return response;
    const refused = await refusal(response);
    if (refused.loggedOut && this.session.token) {
      sessionStorage.removeItem(KEY);
      this.onLoggedOut();
    }
    throw refused;
  }

  /** The same, answering the JSON body. */
  async call(...request) {
    const response = await this.fetch(...request);
    try {
      return await response.json();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError(response.status, "", "footbridge sent an answer that was cut short.");
    }
  }

  /** One /sync. The first asks for little of each room, the later ones wait for news, if they are to. */
  sync(since, wait, signal) {
    const filter = {
      presence: { types: [] },
      account_data: { types: [] },
      room: {
        state: LAZY,
        timeline: { ...LAZY, ...(since ? { limit: 50 } : { limit: 3, types: ["m.room.message", "m.sticker"] }) },
        ephemeral: { types: [] },
        account_data: { types: ["m.fully_read"] },
      },
    };
    const query = { filter: JSON.stringify(filter), since, timeout: since && wait ? 30000 : 0, set_presence: "offline" };
    return this.call("GET", "/_matrix/client/v3/sync", query, undefined, signal);
  }

  /** A page of a room's timeline, before (`b`) or after (`f`) a token; without one from its very end. */
  messages(room, dir, from, limit, signal) {
    return this.call("GET", `${roomPath(room)}/messages`, { dir, from, limit, filter: JSON.stringify(LAZY) }, undefined, signal);
  }

  /** An event with what surrounds it, and the tokens that lead on. */
  context(room, event, limit, signal) {
    return this.call("GET", `${roomPath(room)}/context/${encodeURIComponent(event)}`, { limit, filter: JSON.stringify(LAZY) }, undefined, signal);
  }

  /** One event. */
  event(room, event) {
    return this.call("GET", `${roomPath(room)}/event/${encodeURIComponent(event)}`);
  }

  /** The edits of an event, oldest first. */
  async versions(room, event) {
    const path = `${roomPath(room, "v1")}/relations/${encodeURIComponent(event)}/m.replace`;
    const got = await this.call("GET", path, { dir: "f", limit: 100 });
    return got.chunk;
  }

  /** The event nearest to a time: the first after it, else the last before it. */
  async eventAt(room, ms) {
    const path = `${roomPath(room, "v1")}/timestamp_to_event`;
    try {
      return await this.call("GET", path, { ts: ms, dir: "f" });
    } catch (error) {
      if (error.status !== 404) throw error;
      return this.call("GET", path, { ts: ms, dir: "b" });
    }
  }

  /** The current members of a room. */
  async members(room) {
    const got = await this.call("GET", `${roomPath(room)}/members`);
    return got.chunk;
  }

  /** What a person is called. */
  profile(user) {
    return this.call("GET", `/_matrix/client/v3/profile/${encodeURIComponent(user)}`);
  }

  /** A page of messages that contain the words, newest first; in one room or in all. */
  async search(words, room, from, signal) {
    const body = { search_categories: { room_events: {
      search_term: words,
      keys: ["content.body"],
      order_by: "recent",
      filter: { limit: 20, ...(room ? { rooms: [room] } : {}) },
      event_context: { before_limit: 1, after_limit: 1, include_profile: true },
    } } };
    const got = await this.call("POST", "/_matrix/client/v3/search", { next_batch: from }, body, signal);
    return got.search_categories.room_events;
  }

  /** Says that everything up to an event was read. */
  read(room, event) {
    return this.call("POST", `${roomPath(room)}/read_markers`, {}, { "m.fully_read": event, "m.read": event });
  }

  /** The bytes behind an mxc address: the file, or a picture of at most `size` pixels made from it. */
  media(mxc, size, signal) {
    const parts = /^mxc:\/\/([^/]+)\/([\w-]+)$/.exec(mxc ?? "");
    if (!parts) return Promise.reject(new ApiError(404, "M_NOT_FOUND", "This file has no valid address."));
    const path = `/_matrix/client/v1/media/${size ? "thumbnail" : "download"}/${encodeURIComponent(parts[1])}/${parts[2]}`;
    return this.fetch("GET", path, size ? { width: size, height: size, method: "scale" } : {}, undefined, signal);
  }

  /** What footbridge is doing; see status.js for its shape. */
  status() {
    return this.call("GET", "/_footbridge/status");
  }
}

function roomPath(room, version = "v3") {
  return `/_matrix/client/${version}/rooms/${encodeURIComponent(room)}`;
}
