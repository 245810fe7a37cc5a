// History: the loaded stretch of one room's timeline, with pages fetched at both ends and a bounded number of rows held.
//
// A row is what a reader sees as one thing: a message or an announcement. Reactions, edits and redactions are folded into
// the row they concern. Where rows were let go, the token that leads back is asked for again with /context, so that
// nothing depends on what a server's tokens look like.

import { dayNumber } from "./dom.js";

/** Events asked for at once. */
const PAGE = 100;
/** Rows held; beyond it the end that is farther from the reader is let go. */
const HELD = 3000;
/** Pages without a single row that are read before giving up for now. */
const EMPTY_PAGES = 20;

/** One room's timeline as far as it is loaded, oldest first. */
export class History {
  constructor(api, room) {
    this.api = api;
    this.room = room;
    this.reactions = new Map(); // target -> key -> sender -> event id
    this.reacted = new Map(); // event id of a reaction -> [target, key, sender]
    this.clear();
  }

  clear() {
    this.stop?.abort();
    this.stop = new AbortController();
    this.rows = [];
    this.byId = new Map();
    this.token = { b: null, f: null };
    this.atStart = false; // the first row is the first of the room
    this.atEnd = false; // the last row is the newest of the room
    this.loading = { b: null, f: null };
    this.early = null; // live events that came while the newest page was on its way
  }

  /** Loads the newest page. */
  async openNewest() {
    this.clear();
    const { signal } = this.stop;
    this.early = [];
    const got = await this.api.messages(this.room.id, "b", undefined, PAGE, signal);
    this.take(got, "b");
    this.atEnd = true;
    const early = this.early;
    this.early = null;
    this.live(early);
    while (this.rows.length < 30 && !this.atStart && !signal.aborted) if (!(await this.more("b"))) break;
  }

  /** Loads what surrounds an event; answers its row, or the nearest one before it when it is not shown itself. */
  async openAt(event) {
    this.clear();
    const { signal } = this.stop;
    const got = await this.api.context(this.room.id, event, 60, signal);
    const all = [...got.events_before].reverse().concat(got.event, got.events_after);
    this.room.learn(got.state);
    this.append(this.fold(all));
    this.token = { b: got.start ?? null, f: got.end ?? null };
    const target = got.event.content?.["m.relates_to"]?.event_id;
    for (const dir of ["b", "f"]) if (this.rows.length < 30) await this.more(dir);
    const row = this.byId.get(event) ?? this.byId.get(target);
    return row ?? this.rows.findLast((one) => one.ts <= got.event.origin_server_ts) ?? this.rows[0];
  }

  /** True when there may be more in that direction. */
  open(dir) {
    return dir === "b" ? !this.atStart : !this.atEnd;
  }

  /** Loads more rows in one direction; answers how many. Two calls at once share one request. */
  more(dir) {
    if (!this.open(dir) || !this.rows.length && this.token[dir] === null) return Promise.resolve(0);
    const { signal } = this.stop;
    this.loading[dir] ??= this.fetchMore(dir, signal).finally(() => {
      if (!signal.aborted) this.loading[dir] = null;
    });
    return this.loading[dir];
  }

  async fetchMore(dir, signal) {
    if (this.token[dir] === null) {
      const edge = dir === "b" ? this.rows[0] : this.rows.at(-1);
      const got = await this.api.context(this.room.id, edge.id, 2, signal);
      this.take({ chunk: dir === "b" ? got.events_before : got.events_after, state: got.state,
        end: dir === "b" ? got.start : got.end }, dir);
    }
    let added = 0;
    for (let page = 0; added === 0 && this.open(dir) && page < EMPTY_PAGES; page += 1) {
      const from = this.token[dir];
      const got = await this.api.messages(this.room.id, dir, from, PAGE, signal);
      if (signal.aborted) break;
      added += this.take(got, dir);
      if (got.end === from && got.chunk.length === 0) break;
    }
    this.trim(dir);
    return added;
  }

  /** Takes in a page; answers how many rows it added. */
  take(got, dir) {
    this.room.learn(got.state);
    const rows = this.fold(dir === "b" ? [...got.chunk].reverse() : got.chunk);
    if (dir === "b") this.prepend(rows);
    else this.append(rows);
    this.token[dir] = got.end ?? null;
    if (!got.end) {
      if (dir === "b") this.atStart = true;
      else this.atEnd = true;
    }
    return rows.length;
  }

  /** Takes in events that /sync brought; answers the rows that are new at the end. */
  live(events) {
    if (this.early) {
      this.early.push(...events);
      return [];
    }
    const late = [];
    const rows = [];
    const last = this.rows.at(-1)?.ts ?? 0;
    for (const row of this.fold(events)) (row.ts < last ? late : rows).push(row);
    for (const row of late) this.insert(row);
    if (!this.atEnd) {
      for (const row of rows) this.byId.delete(row.id);
      return [];
    }
    this.append(rows);
    return rows;
  }

  /** Who reacted to a row with what: [[key, [senders]]]. */
  reactionsOf(row) {
    const found = this.reactions.get(row.id);
    return found ? [...found].map(([key, by]) => [key, [...by.keys()]]) : [];
  }

  /** The place of a row, or -1. */
  indexOf(row) {
    const at = row ? row.seq - (this.rows[0]?.seq ?? 0) : -1;
    return this.rows[at] === row ? at : -1;
  }

  append(rows) {
    let seq = (this.rows.at(-1)?.seq ?? -1) + 1;
    for (const row of rows) {
      row.seq = seq++;
      this.rows.push(row);
    }
  }

  prepend(rows) {
    let seq = (this.rows[0]?.seq ?? 0) - rows.length;
    for (const row of rows) row.seq = seq++;
    this.rows = rows.concat(this.rows);
  }

  /** Puts a late row where its time belongs, if that place is loaded. */
  insert(row) {
    let at = this.rows.length;
    while (at > 0 && this.rows[at - 1].ts > row.ts) at -= 1;
    if (at === 0 && !this.atStart) {
      this.byId.delete(row.id);
      return;
    }
    this.rows.splice(at, 0, row);
    let seq = this.rows[0] === row ? this.rows[1].seq - 1 : this.rows[0].seq;
    for (const one of this.rows) one.seq = seq++;
  }

  /** Lets go of rows at the end opposite to the one that grew. */
  trim(grown) {
    const surplus = this.rows.length - HELD;
    if (surplus <= 0) return;
    const gone = grown === "b" ? this.rows.splice(HELD) : this.rows.splice(0, surplus);
    for (const row of gone) this.byId.delete(row.id);
    if (grown === "b") {
      this.atEnd = false;
      this.token.f = null;
    } else {
      this.atStart = false;
      this.token.b = null;
    }
  }

  /** Raw events to rows; what concerns other rows is noted there. */
  fold(events) {
    const rows = [];
    for (const event of events) {
      const relation = event.content?.["m.relates_to"];
      if (event.type === "m.reaction") this.react(event, relation);
      else if (event.type === "m.room.redaction") this.redact(event.redacts ?? event.content?.redacts, event);
      else if (relation?.rel_type === "m.replace") this.edit(this.byId.get(relation.event_id), event);
      else if (!this.byId.has(event.event_id)) {
        const row = toRow(event);
        if (!row) continue;
        this.byId.set(row.id, row);
        this.edit(row, event.unsigned?.["m.relations"]?.["m.replace"]);
        rows.push(row);
      }
    }
    return rows;
  }

  react(event, relation) {
    if (!relation?.event_id || typeof relation.key !== "string") return;
    let keys = this.reactions.get(relation.event_id);
    if (!keys) this.reactions.set(relation.event_id, (keys = new Map()));
    let senders = keys.get(relation.key);
    if (!senders) keys.set(relation.key, (senders = new Map()));
    senders.set(event.sender, event.event_id);
    this.reacted.set(event.event_id, [relation.event_id, relation.key, event.sender]);
    touch(this.byId.get(relation.event_id));
  }

  redact(id, event) {
    const reaction = this.reacted.get(id);
    if (reaction) {
      const [target, key, sender] = reaction;
      const keys = this.reactions.get(target);
      const senders = keys?.get(key);
      if (senders?.get(sender) === id) senders.delete(sender);
      if (senders?.size === 0) keys.delete(key);
      this.reacted.delete(id);
      touch(this.byId.get(target));
    }
    const row = this.byId.get(id);
    if (row) {
      row.removedBy = event.sender;
      row.content = {};
      row.edited = 0;
      touch(row);
    }
  }

  edit(row, event) {
    const content = event?.content?.["m.new_content"];
    if (!row || !content || row.removedBy || event.sender !== row.sender || event.origin_server_ts < row.edited) return;
    row.edited = event.origin_server_ts;
    row.content = { ...content, "m.relates_to": row.content["m.relates_to"] };
    touch(row);
  }
}

function touch(row) {
  if (row) row.version += 1;
}

/** The row an event makes, or null when it is not for reading. */
export function toRow(event) {
  const content = event.content ?? {};
  const removed = event.unsigned?.redacted_because;
  let kind = "message";
  if (event.state_key !== undefined) {
    kind = announcement(event) ? "news" : null;
  } else if (event.type === "m.sticker") {
    kind = "sticker";
  } else if (event.type !== "m.room.message" && typeof content.body !== "string") {
    kind = null;
  }
  if (!kind) return null;
  return {
    id: event.event_id, ts: event.origin_server_ts, day: dayNumber(event.origin_server_ts), sender: event.sender,
    kind, content, news: kind === "news" ? announcement(event) : null,
    removedBy: removed ? removed.sender ?? event.sender : null, edited: 0, version: 0, seq: 0,
  };
}

/** What a state event says, as [words with %s for a name, whose name]; null when it says nothing to a reader. */
function announcement(event) {
  const now = event.content ?? {};
  const before = event.unsigned?.prev_content ?? event.prev_content ?? {};
  const who = event.state_key;
  const own = who === event.sender;
  switch (event.type) {
    case "m.room.name":
      if (now.name === before.name) return null;
      return now.name ? [`%s named the conversation “${now.name}”`, event.sender] : ["%s removed the conversation’s name", event.sender];
    case "m.room.avatar":
      return [now.url ? "%s changed the picture" : "%s removed the picture", event.sender];
    case "m.room.topic":
      return now.topic ? [`%s set the topic: ${now.topic}`, event.sender] : null;
    case "m.room.tombstone":
      return ["This conversation goes on in another one", event.sender];
    case "m.room.member":
      if (now.membership === before.membership) return null;
      if (now.membership === "join") return ["%s joined", who];
      if (now.membership === "leave") return [own ? "%s left" : "%s was removed", who];
      return null;
    default:
      return null;
  }
}
