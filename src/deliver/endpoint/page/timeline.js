// The timeline: a window of rows on the page that slides over a room's loaded history while the reader's place stays still.
//
// The page never holds more than MOST rows. When the reader comes near an end of the window, STEP rows are drawn beyond it and as many
// taken away at the other end; the row at the top of the screen is measured before and put back after. No heights are guessed.

import { complain, count, say } from "./dom.js";
import { draw, shapeOf } from "./bubble.js";
import { History, toRow } from "./history.js";

/** Rows on the page at most (more on very tall screens), and rows added at once. */
const MOST = 120;
const STEP = 30;
/** This close to the newest message the reader is taken to follow it. */
const NEAR_END = 40;

/** The view of one room. */
export class Timeline {
  constructor({ api, media, box, feed, note, down, room, onGo, onShow }) {
    Object.assign(this, { api, media, box, feed, note, down, room });
    this.history = new History(api, room);
    this.drawn = new Map(); // row -> { node, key, undo }
    this.quotes = new Map();
    this.first = null; // the rows on the page, both included
    this.last = null;
    this.anchor = null; // [row, distance of its top from the box's top]
    this.pinned = false; // the reader is at the newest message and stays there
    this.missed = 0;
    this.focused = null;
    this.closed = false;
    this.scene = {
      room, user: api.user, api, media, history: this.history,
      quote: (id) => this.quote(id), go: onGo, show: onShow,
    };
    this.unbind = new AbortController();
    const { signal } = this.unbind;
    box.addEventListener("scroll", () => this.scrolled(), { signal, passive: true });
    feed.addEventListener("keydown", (event) => this.key(event), { signal });
    feed.addEventListener("focusin", (event) => this.mark(event.target.closest("article")), { signal });
    this.watch = new ResizeObserver(() => this.settle());
    this.watch.observe(feed);
    this.watch.observe(box);
  }

  /** Leaves the page. */
  close() {
    this.closed = true;
    this.unbind.abort();
    this.watch.disconnect();
    this.history.clear();
    this.wipe();
  }

  /** Shows the newest message, or the stretch around an event. */
  async open(event) {
    this.wipe();
    this.say("Loading messages…");
    const before = this.history.room.read;
    try {
      if (event) {
        const row = await this.history.openAt(event);
        if (this.closed) return;
        this.unreadAfter = null;
        this.around(row);
        this.point(row?.id);
      } else {
        await this.history.openNewest();
        if (this.closed) return;
        this.unreadAfter = this.room.unread > 0 ? before : null;
        this.around(this.history.rows.at(-1));
        this.pinned = true;
        this.hold();
        this.markRead();
      }
    } catch (error) {
      if (this.closed || error.name === "AbortError") return;
      if (event && error.status === 404) {
        complain("That message is not in this conversation any more. Here are the newest ones.");
        await this.open();
        return;
      }
      this.say(`The messages could not be loaded. ${error.message}`);
    }
  }

  /** Goes to an event, without loading when it is already here. */
  async go(event) {
    const row = this.history.byId.get(event);
    if (!row) return this.open(event);
    if (!this.drawn.has(row)) this.around(row);
    this.point(event);
    return undefined;
  }

  /** Goes to the first message on or after a day. */
  async goToTime(ms) {
    try {
      const found = await this.api.eventAt(this.room.id, ms);
      await this.open(found.event_id);
    } catch (error) {
      complain(error.status === 404 ? "There is no message near that day." : `That day could not be opened. ${error.message}`);
    }
  }

  /** Goes to the newest message. */
  async goToEnd() {
    if (!this.history.atEnd || !this.history.rows.length) return this.open();
    this.around(this.history.rows.at(-1));
    this.pinned = true;
    this.hold();
    this.markRead();
    return undefined;
  }

  /** Takes in what /sync brought for this room. */
  async live(joined) {
    const events = joined.timeline?.events ?? [];
    if (joined.timeline?.limited) {
      // Something in between is not in this answer: load again where the reader is.
      const place = this.pinned ? null : this.anchor?.[0].id;
      const offset = this.anchor?.[1];
      await this.open(place);
      const row = this.history.byId.get(place);
      if (row && offset !== undefined) {
        this.anchor = [row, offset];
        this.hold();
      }
      return;
    }
    const rows = this.history.live(events);
    const theirs = rows.filter((row) => row.kind !== "news" && row.sender !== this.api.user);
    if (!this.history.rows.length) return;
    if (this.pinned) {
      this.last = this.history.rows.at(-1);
      this.first ??= this.history.rows[0];
      this.trim("b");
    } else this.missed += rows.length;
    this.paint();
    this.scrolled();
    if (this.pinned) this.markRead();
    for (const row of theirs.slice(-1)) {
      say(theirs.length > 1 ? count(theirs.length, "new message")
        : `${this.room.nameOf(row.sender)}: ${String(row.content.body ?? "").slice(0, 200)}`);
    }
  }

  /** A name became known: draws the rows it stands in again. */
  rename() {
    for (const held of this.drawn.values()) held.key = "";
    this.paint();
  }

  /** Tells the server that everything was read, if the reader is there to read it. */
  markRead() {
    const row = this.history.rows.at(-1);
    if (!row || !this.pinned || document.hidden || this.room.read === row.id) return;
    this.room.read = row.id;
    this.api.read(this.room.id, row.id).catch(() => {});
  }

  // The window

  /** Puts the rows around one row on the page, that row in the upper third. */
  around(row) {
    const { rows } = this.history;
    this.wipe();
    const at = this.history.indexOf(row);
    if (at < 0) {
      this.say(rows.length ? "" : "No messages here yet.");
      return;
    }
    this.first = rows[Math.max(0, at - STEP * 2 + 10)];
    this.last = rows[Math.min(rows.length - 1, at + STEP)];
    this.anchor = [row, Math.min(140, this.box.clientHeight / 3)];
    this.paint();
    this.scrolled();
  }

  /** Takes all rows off the page. */
  wipe() {
    if (this.feed.contains(document.activeElement)) this.feed.focus({ preventScroll: true });
    for (const held of this.drawn.values()) discard(held);
    this.drawn.clear();
    this.feed.replaceChildren();
    this.first = this.last = this.anchor = this.focused = null;
    this.pinned = false;
    this.missed = 0;
  }

  /** Makes the page show exactly first..last, each row as it is now, without moving what the reader looks at. */
  paint() {
    const { history } = this;
    const { rows } = history;
    if (!this.first) return;
    if (this.drawn.size) this.settle();
    const from = Math.max(0, history.indexOf(this.first));
    const found = history.indexOf(this.last);
    const to = found < 0 ? rows.length - 1 : found;
    const wanted = new Set();
    for (let at = from; at <= to; at += 1) wanted.add(rows[at]);
    let lost = false;
    for (const [row, held] of this.drawn) {
      if (wanted.has(row)) continue;
      lost ||= held.node.contains(document.activeElement);
      discard(held);
      this.drawn.delete(row);
    }
    let place = this.feed.firstElementChild;
    const size = history.atStart && history.atEnd ? rows.length : -1;
    for (let at = from; at <= to; at += 1) {
      const row = rows[at];
      const shape = shapeOf(rows, at, this.unreadAfter);
      const key = `${row.version} ${shape.day} ${shape.head} ${shape.named} ${shape.tail} ${shape.fresh}`;
      let held = this.drawn.get(row);
      if (held?.key !== key) {
        const fresh = { node: null, key, undo: [] };
        fresh.node = draw(row, shape, this.scene, fresh.undo);
        if (held) {
          const focused = held.node.contains(document.activeElement);
          if (held.node === place) place = fresh.node;
          held.node.replaceWith(fresh.node);
          if (focused) fresh.node.querySelector("article").focus({ preventScroll: true });
          discard(held);
        }
        this.drawn.set(row, fresh);
        held = fresh;
      }
      if (held.node === place) place = place.nextElementSibling;
      else this.feed.insertBefore(held.node, place);
      const article = held.node.querySelector("article");
      article.setAttribute("aria-posinset", at + 1);
      article.setAttribute("aria-setsize", size);
      article.tabIndex = row === this.focused ? 0 : -1;
    }
    if (!this.drawn.has(this.focused)) this.focused = null;
    if (!this.focused) this.drawn.get(rows[to]).node.querySelector("article").tabIndex = 0;
    if (lost) this.feed.focus({ preventScroll: true });
    this.say(history.atStart && from === 0 ? `The beginning of ${this.room.name}` : "");
    this.hold();
  }

  /** Puts the reader's place back where it was. */
  hold() {
    const { box } = this;
    if (this.pinned) {
      box.scrollTop = box.scrollHeight;
    } else if (this.anchor) {
      const held = this.drawn.get(this.anchor[0]);
      if (held) {
        const off = this.distance(held.node) - this.anchor[1];
        if (Math.abs(off) >= 1) box.scrollTop += off;
      }
    }
    this.remember();
  }

  /** Tells the reader's own move from rows that grew since the last look; undoes the latter, then notes the place. */
  settle() {
    const { box } = this;
    if (this.pinned) {
      const grown = box.scrollHeight !== this.height || box.clientHeight !== this.view;
      if (grown) box.scrollTop = box.scrollHeight;
      else this.pinned = this.below() < NEAR_END;
    } else if (this.anchor && this.drawn.has(this.anchor[0])) {
      const moved = box.scrollTop - this.top;
      const off = this.distance(this.drawn.get(this.anchor[0]).node) - (this.anchor[1] - moved);
      if (Math.abs(off) >= 1) box.scrollTop += off;
    }
    this.remember();
  }

  below() {
    return this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight;
  }

  distance(node) {
    return node.getBoundingClientRect().top - this.box.getBoundingClientRect().top;
  }

  /** Notes which row is at the top of the box, and where. */
  remember() {
    this.height = this.box.scrollHeight;
    this.view = this.box.clientHeight;
    this.top = this.box.scrollTop;
    const top = this.box.getBoundingClientRect().top;
    const nodes = this.feed.children;
    let low = 0;
    let high = nodes.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (nodes[middle].getBoundingClientRect().bottom > top + 1) high = middle;
      else low = middle + 1;
    }
    const node = nodes[low];
    const id = node?.querySelector("article")?.dataset.id;
    const row = this.history.byId.get(id);
    if (row) this.anchor = [row, node.getBoundingClientRect().top - top];
  }

  scrolled() {
    if (this.closed || !this.first) return;
    const { box, history } = this;
    this.settle();
    const below = this.below();
    const atLast = history.atEnd && this.last === history.rows.at(-1);
    this.pinned = atLast && below < NEAR_END;
    if (this.pinned && this.missed) {
      this.missed = 0;
      this.markRead();
    }
    this.down.hidden = atLast && below < box.clientHeight;
    this.down.lastElementChild.textContent = this.missed ? count(this.missed, "new message") : "Newest";
    const near = box.clientHeight * 1.5;
    if (box.scrollTop < near) this.extend("b");
    else if (below < near) this.extend("f");
  }

  /** Shows more rows in one direction, from the history if it holds them, else once they are loaded. */
  extend(dir) {
    const { history } = this;
    const { rows } = history;
    const at = history.indexOf(dir === "b" ? this.first : this.last);
    const to = dir === "b" ? Math.max(0, at - STEP) : Math.min(rows.length - 1, at + STEP);
    const left = dir === "b" ? at : rows.length - 1 - at;
    if (left < STEP * 3 && history.open(dir)) this.load(dir);
    if (to === at) return;
    if (dir === "b") this.first = rows[to];
    else this.last = rows[to];
    this.trim(dir === "b" ? "f" : "b");
    this.paint();
  }

  /** Takes rows away at one end when there are too many. */
  trim(end) {
    const { history } = this;
    const { rows } = history;
    const from = history.indexOf(this.first);
    const to = history.indexOf(this.last);
    const surplus = to - from + 1 - Math.max(MOST, Math.ceil(this.box.clientHeight / 7));
    if (surplus <= 0) return;
    if (end === "f") this.last = rows[to - surplus];
    else this.first = rows[from + surplus];
  }

  async load(dir) {
    if (this.history.loading[dir] || this.failed > Date.now()) return;
    this.feed.setAttribute("aria-busy", "true");
    let added = 0;
    try {
      added = await this.history.more(dir);
    } catch (error) {
      if (error.name !== "AbortError" && !this.closed) {
        this.failed = Date.now() + 3000;
        complain(`More messages could not be loaded. ${error.message}`);
      }
    }
    if (this.closed) return;
    this.feed.removeAttribute("aria-busy");
    this.paint();
    if (added) this.scrolled();
  }

  /** The row a reply answers to: held, or fetched once. */
  quote(id) {
    const row = this.history.byId.get(id);
    if (row) return Promise.resolve(row);
    let found = this.quotes.get(id);
    if (!found) {
      found = this.api.event(this.room.id, id).then((event) => {
        const made = toRow(event);
        if (!made) throw new Error("nothing to show");
        return made;
      });
      found.catch(() => this.quotes.delete(id));
      this.quotes.set(id, found);
      if (this.quotes.size > 300) this.quotes.delete(this.quotes.keys().next().value);
    }
    return found;
  }

  // Keys and focus

  /** Moves the focus among the messages: j and k or up and down when a message has it, Home and End for the whole room. */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|VIDEO|AUDIO)$/.test(event.target.tagName)) return;
    const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      this.step(step);
    } else if (event.key === "Home") {
      event.preventDefault();
      this.goToTime(0).then(() => this.focus(this.history.rows[0]));
    } else if (event.key === "End") {
      event.preventDefault();
      this.goToEnd().then(() => this.focus(this.history.rows.at(-1)));
    }
  }

  step(by) {
    const { rows } = this.history;
    const at = this.history.indexOf(this.focused);
    this.focus(at < 0 ? (this.pinned ? this.last : this.anchor?.[0]) : rows[at + by]);
  }

  /** Gives a row the focus and brings it into view. */
  focus(row) {
    if (!row) return;
    if (!this.drawn.has(row)) this.around(row);
    const article = this.drawn.get(row)?.node.querySelector("article");
    article?.focus({ preventScroll: true });
    article?.scrollIntoView({ block: "nearest" });
  }

  mark(article) {
    const row = article && this.history.byId.get(article.dataset.id);
    if (!row) return;
    for (const held of this.drawn.values()) held.node.querySelector("article").tabIndex = -1;
    article.tabIndex = 0;
    this.focused = row;
  }

  /** Brings an event into view and shows which one it is. */
  point(id) {
    const row = this.history.byId.get(id);
    const node = row && this.drawn.get(row)?.node;
    if (!node) return;
    this.pinned = false;
    this.anchor = [row, Math.min(140, this.box.clientHeight / 3)];
    this.hold();
    const article = node.querySelector("article");
    article.classList.remove("pointed");
    void article.offsetWidth;
    article.classList.add("pointed");
    article.focus({ preventScroll: true });
    this.scrolled();
  }

  say(text) {
    this.note.textContent = text;
    this.note.hidden = !text;
  }
}

function discard(held) {
  held.node.remove();
  for (const undo of held.undo) undo();
}
