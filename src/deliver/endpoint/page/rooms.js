// Rooms: the conversations as /sync tells of them, and the list that shows them.

import { el, icon, number, roving, when } from "./dom.js";

/** One conversation. */
export class Room {
  constructor(id, people) {
    this.id = id;
    this.people = people;
    this.named = "";
    this.heroes = [];
    this.joined = 0;
    this.names = new Map();
    this.unread = 0;
    this.read = null; // event id up to which everything was read
    this.ts = 0; // of the newest event, for a room without a message
    this.last = null; // { ts, sender, text }
  }

  /** What the conversation is called: its own name, else the people in it. */
  get name() {
    if (this.named) return this.named;
    const heroes = this.heroes.map((user) => this.nameOf(user));
    return heroes.length ? heroes.join(", ") : "Empty conversation";
  }

  /** True when there are more than two people in it, so that it must be said who speaks. */
  get group() {
    return Math.max(this.joined, this.heroes.length + 1) > 2;
  }

  /** What a person is called here. */
  nameOf(user) {
    return this.names.get(user) ?? this.people.nameOf(user);
  }

  /** Learns names and more from state events. */
  learn(events = []) {
    for (const event of events) {
      if (event.type === "m.room.member" && event.content?.displayname) {
        this.names.set(event.state_key, event.content.displayname);
        this.people.hint(event.state_key, event.content.displayname);
      } else if (event.type === "m.room.name") this.named = event.content?.name ?? "";
    }
  }

  /** Takes in this room's part of a /sync answer. */
  take(joined) {
    const timeline = joined.timeline?.events ?? [];
    this.learn(joined.state?.events);
    this.learn(timeline.filter((event) => event.state_key !== undefined));
    const summary = joined.summary ?? {};
    this.heroes = summary["m.heroes"] ?? this.heroes;
    this.joined = summary["m.joined_member_count"] ?? this.joined;
    this.unread = joined.unread_notifications?.notification_count ?? this.unread;
    for (const event of joined.account_data?.events ?? []) {
      if (event.type === "m.fully_read") this.read = event.content?.event_id ?? this.read;
    }
    for (const event of timeline) {
      this.ts = Math.max(this.ts, event.origin_server_ts);
      this.preview(event);
    }
  }

  preview(event) {
    const content = event.content?.["m.new_content"] ?? event.content;
    const target = event.content?.["m.relates_to"]?.rel_type === "m.replace" ? event.content["m.relates_to"].event_id : event.event_id;
    const redacted = event.redacts ?? event.content?.redacts;
    if (event.type === "m.room.redaction" && redacted === this.last?.id) this.last.text = "Message removed";
    if (event.type !== "m.room.message" && event.type !== "m.sticker") return;
    if (target !== event.event_id && target !== this.last?.id) return;
    if (target === event.event_id && event.origin_server_ts < (this.last?.ts ?? 0)) return;
    const ts = target === event.event_id ? event.origin_server_ts : this.last.ts;
    this.last = { id: target, ts, sender: event.sender, text: summary(event.type, content) };
  }
}

/** One line for what a message says. */
export function summary(type, content) {
  if (type === "m.sticker") return "Sticker";
  if (!content?.msgtype) return "Message removed";
  const caption = content.filename && content.filename !== content.body ? content.body : "";
  const kind = { "m.image": "Picture", "m.video": "Video", "m.audio": "Audio", "m.file": "File" }[content.msgtype];
  if (kind) return caption || (content.msgtype === "m.file" ? `File: ${content.body}` : kind);
  if (/data-mx-spoiler/.test(content.formatted_body ?? "")) return "Hidden text";
  return String(content.body ?? "").slice(0, 200);
}

/** Names of people: what rooms told, else what the profile says, else the id. */
export class People {
  constructor(api) {
    this.api = api;
    this.names = new Map();
    this.asked = new Set();
    this.onNames = () => {};
  }

  hint(user, name) {
    this.names.set(user, name);
  }

  nameOf(user) {
    if (this.names.has(user)) return this.names.get(user);
    if (!this.asked.has(user)) {
      this.asked.add(user);
      this.api.profile(user).then((got) => {
        if (!got.displayname) return;
        this.names.set(user, got.displayname);
        this.onNames(user);
      }, () => {});
    }
    return user.replace(/^@/, "").replace(/:.*$/, "").replace(/^imessage_/, "")
      .replace(/=([0-9a-f]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  }
}

/** The list of conversations, newest first, with one tab stop. */
export class RoomList {
  constructor(list, empty, user) {
    this.list = list;
    this.empty = empty;
    this.user = user;
    this.rooms = new Map();
    this.nodes = new Map(); // room id -> { node, key }
    this.words = "";
    this.current = null;
    this.ready = false;
    this.settle = roving(list, () => [...list.querySelectorAll("a")]);
  }

  /** Shows only conversations whose name holds all these words. */
  filter(words) {
    this.words = words.toLocaleLowerCase();
    this.draw();
  }

  /** Marks the open conversation. */
  select(id) {
    this.current = id;
    this.draw();
  }

  shown() {
    const words = this.words.split(/\s+/).filter(Boolean);
    return [...this.rooms.values()]
      .filter((room) => {
        const name = room.name.toLocaleLowerCase();
        return words.every((word) => name.includes(word));
      })
      .sort((a, b) => (b.last?.ts ?? b.ts) - (a.last?.ts ?? a.ts) || (a.id < b.id ? -1 : 1));
  }

  /** Draws at the next frame, however often it is asked for. */
  draw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.drawNow();
    });
  }

  drawNow() {
    const shown = this.shown();
    const keep = new Set(shown.map((room) => room.id));
    for (const [id, held] of this.nodes) {
      if (keep.has(id)) continue;
      held.node.remove();
      this.nodes.delete(id);
    }
    let place = this.list.firstElementChild;
    shown.forEach((room) => {
      const node = this.nodeOf(room);
      if (node === place) place = place.nextElementSibling;
      else this.list.insertBefore(node, place);
    });
    this.settle();
    this.empty.hidden = shown.length > 0 || !this.ready || this.words.length > 1;
    this.empty.textContent = this.rooms.size ? "No conversation is called that." : "No conversations yet. They appear here as they are imported.";
  }

  nodeOf(room) {
    const open = room.id === this.current;
    const key = JSON.stringify([room.name, room.last, room.unread, open, room.last && when(room.last.ts)]);
    const held = this.nodes.get(room.id);
    if (held?.key === key) return held.node;
    const link = el("a.room", { href: `#/room/${encodeURIComponent(room.id)}`, tabindex: "-1", "aria-current": open && "true" },
      el("span.face", { "aria-hidden": "true" }, face(room)),
      el("span.name", {}, room.name),
      room.last && el("time", { datetime: new Date(room.last.ts).toISOString() }, when(room.last.ts)),
      el("span.last", {}, this.lastLine(room)),
      room.unread > 0 && el("span.unread", {}, number(room.unread), el("span.sr", {}, " unread")));
    if (held) {
      const focused = held.node.contains(document.activeElement);
      link.tabIndex = held.node.firstElementChild.tabIndex;
      held.node.replaceChildren(link);
      if (focused) link.focus({ preventScroll: true });
      held.key = key;
      return held.node;
    }
    const node = el("li", {}, link);
    this.nodes.set(room.id, { node, key });
    return node;
  }

  lastLine(room) {
    if (!room.last) return "";
    if (room.last.sender === this.user) return `You: ${room.last.text}`;
    return room.group ? `${room.nameOf(room.last.sender).split(" ")[0]}: ${room.last.text}` : room.last.text;
  }
}

/** What stands for a conversation: initials, or people for a group that has only its members' names. */
function face(room) {
  const words = room.name.split(/[\s,]+/).filter((word) => /^\p{L}/u.test(word));
  if (!words.length || (!room.named && room.group)) return icon(room.group ? "people" : "person");
  return [words[0], words.length > 1 ? words.at(-1) : ""].map((word) => [...word][0] ?? "").join("").toLocaleUpperCase();
}
