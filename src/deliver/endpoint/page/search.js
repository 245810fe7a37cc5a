// Search: one field that narrows the list of conversations as one types and finds messages on the server.

import { complain, count, el, moment, roving, say, when } from "./dom.js";
import { marked } from "./markup.js";

/** How long a pause in typing starts a search of the messages. */
const PAUSE = 250;

/** The search field, its scope and what was found. */
export class Search {
  constructor({ api, rooms, input, scope, section, results, more, title, onScope }) {
    Object.assign(this, { api, rooms, input, scope, section, results, more, title, onScope });
    this.room = null; // only this conversation, or all
    this.settle = roving(results, () => [...results.querySelectorAll("a")]);
    input.addEventListener("input", () => this.typed(PAUSE));
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.typed(0);
      else if (event.key === "Escape" && (input.value || this.room)) this.clear();
      else if (event.key === "ArrowDown") document.querySelector("#list a[tabindex='0']")?.focus();
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    scope.addEventListener("click", () => this.within(null));
    more.addEventListener("click", () => this.load());
  }

  /** Searches in one conversation only, or (null) in all. */
  within(room) {
    this.room = room;
    this.scope.hidden = !room;
    if (room) this.scope.firstElementChild.textContent = `in ${room.name}`;
    this.onScope(room);
    this.input.focus();
    this.input.select();
    this.typed(0);
  }

  clear() {
    this.input.value = "";
    this.room = null;
    this.scope.hidden = true;
    this.onScope(null);
    this.typed(0);
  }

  typed(pause) {
    const words = this.input.value.trim();
    this.rooms.filter(this.room ? "" : words);
    clearTimeout(this.timer);
    this.stop?.abort();
    if (words.length < 2) {
      this.section.hidden = true;
      this.results.replaceChildren();
      this.words = "";
      return;
    }
    this.timer = setTimeout(() => this.start(words), pause);
  }

  start(words) {
    this.words = words;
    this.next = undefined;
    this.found = 0;
    this.fresh = true;
    this.section.hidden = false;
    this.title.textContent = "Searching…";
    this.load();
  }

  async load() {
    this.stop?.abort();
    const stop = (this.stop = new AbortController());
    this.section.setAttribute("aria-busy", "true");
    this.more.disabled = true;
    try {
      const got = await this.api.search(this.words, this.room?.id, this.next, stop.signal);
      if (stop.signal.aborted) return;
      if (this.fresh) this.results.replaceChildren();
      const at = this.results.children.length;
      this.results.append(...got.results.map((one) => this.item(one, got.highlights ?? [])));
      this.next = got.next_batch;
      this.found = Math.max(got.count ?? 0, this.results.children.length);
      this.more.hidden = !this.next || got.results.length === 0;
      this.title.textContent = this.found ? count(this.found, "message") : "No messages found";
      this.settle();
      if (!this.fresh) this.results.children[at]?.querySelector("a").focus();
      this.fresh = false;
      say(this.found ? `${count(this.found, "message")} found` : "No messages found");
    } catch (error) {
      if (error.name === "AbortError") return;
      this.title.textContent = "The search failed";
      complain(`The search failed. ${error.message}`);
    }
    this.section.removeAttribute("aria-busy");
    this.more.disabled = false;
  }

  /** One message found, with the lines around it. */
  item({ result, context }, highlights) {
    const room = this.rooms.rooms.get(result.room_id);
    const names = context?.profile_info ?? {};
    const nameOf = (user) => (user === this.api.user ? "You" : names[user]?.displayname ?? room?.nameOf(user) ?? user);
    const line = (event) => {
      const text = bodyOf(event);
      return text && el("span.around", {}, `${nameOf(event.sender)}: ${text}`);
    };
    const href = `#/room/${encodeURIComponent(result.room_id)}/${encodeURIComponent(result.event_id)}`;
    return el("li", {}, el("a.result", { href, tabindex: "-1" },
      el("span.name", {}, this.room ? nameOf(result.sender) : room?.name ?? "A conversation"),
      el("time", { title: moment(result.origin_server_ts) }, when(result.origin_server_ts)),
      ...(context?.events_before ?? []).slice(0, 1).map(line),
      el("span.hit", {}, this.room ? "" : `${nameOf(result.sender)}: `, ...marked(excerpt(bodyOf(result), highlights), highlights)),
      ...(context?.events_after ?? []).slice(0, 1).map(line)));
  }
}

function bodyOf(event) {
  const edited = event.unsigned?.["m.relations"]?.["m.replace"]?.content?.["m.new_content"];
  return String((edited ?? event.content?.["m.new_content"] ?? event.content)?.body ?? "");
}

/** The part of a long text in which the first word found stands. */
function excerpt(text, words) {
  if (text.length < 180) return text;
  const lower = text.toLowerCase();
  const at = Math.min(...words.map((word) => lower.indexOf(word.toLowerCase())).filter((found) => found >= 0), text.length);
  if (at === text.length || at < 90) return `${text.slice(0, 180)}…`;
  const from = text.indexOf(" ", at - 70) + 1;
  return `…${text.slice(from, from + 180)}…`;
}
