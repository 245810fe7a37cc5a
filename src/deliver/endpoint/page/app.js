// The app: logs in, follows /sync, and decides by the address which pane shows what.

import { Api } from "./api.js";
import { complain, count, el, icon, moment, say } from "./dom.js";
import { Media } from "./media.js";
import { People, Room, RoomList } from "./rooms.js";
import { Search } from "./search.js";
import { Status } from "./status.js";
import { Timeline } from "./timeline.js";

const $ = (id) => document.getElementById(id);

/** What one login needs, from its start to its end. */
class App {
  constructor(api) {
    this.api = api;
    this.media = new Media(api);
    this.people = new People(api);
    this.list = new RoomList($("rooms"), $("rooms-empty"), api.user);
    this.timeline = null;
    this.stop = new AbortController();
    api.onLoggedOut = () => this.leave("This session has ended. Please log in again.");
    this.people.onNames = () => {
      this.list.draw();
      this.timeline?.rename();
    };
    this.search = new Search({
      api, rooms: this.list, input: $("search"), scope: $("scope"), section: $("found"), results: $("results"), more: $("more"), title: $("found-title"),
      onScope: (room) => $("rooms-part").toggleAttribute("hidden", Boolean(room)),
    });
    this.status = new Status({ api, box: $("status"), foot: $("foot"), onAnswer: () => {} });
    this.bind();
    $("login").hidden = true;
    $("panes").hidden = false;
    this.route();
    this.follow();
  }

  // Following

  /** Reads /sync until the session ends. */
  async follow() {
    const { signal } = this.stop;
    let since;
    let pause = 1000; // before the next try; longer while nothing answers, and then no call waits for news
    while (!signal.aborted) {
      try {
        const got = await this.api.sync(since, pause === 1000, signal);
        if (signal.aborted) return;
        await this.take(got, !since);
        since = got.next_batch;
        if (pause > 1000) complain(null);
        pause = 1000;
      } catch (error) {
        if (signal.aborted || error.loggedOut) return;
        const wait = Math.max(pause, error.retryMs ?? 0);
        if (!(error.status >= 0)) console.error(error);
        complain(`${error.message} Trying again in ${Math.ceil(wait / 1000)} seconds.`, true);
        await new Promise((go) => { setTimeout(go, wait); });
        pause = Math.min(pause * 2, 30000);
      }
    }
  }

  async take(got, first) {
    const joined = got.rooms?.join ?? {};
    for (const [id, part] of Object.entries(joined)) {
      let room = this.list.rooms.get(id);
      if (!room) this.list.rooms.set(id, (room = new Room(id, this.people)));
      room.take(part);
    }
    for (const id of Object.keys(got.rooms?.leave ?? {})) this.list.rooms.delete(id);
    if (first) {
      this.list.ready = true;
      say(`${count(this.list.rooms.size, "conversation")} loaded`);
    }
    this.list.draw();
    if (!this.timeline) this.route();
    else if (joined[this.timeline.room.id]) {
      this.drawHead(this.timeline.room);
      await this.timeline.live(joined[this.timeline.room.id]);
    }
  }

  // Panes

  /** Shows what the address says: `#/room/<id>[/<event>]`, `#/archive`, or nothing: the list (and the archive beside it). */
  route() {
    const [, where, id, event] = location.hash.split("/").map((part) => {
      try {
        return decodeURIComponent(part);
      } catch {
        return "";
      }
    });
    const room = where === "room" ? this.list.rooms.get(id) : null;
    $("panes").dataset.pane = where === "room" || where === "archive" ? "main" : "list";
    $("conversation").hidden = where !== "room";
    $("archive").hidden = where === "room";
    this.list.select(room?.id ?? null);
    if (this.timeline?.room !== room) {
      this.timeline?.close();
      this.timeline = null;
      if (room) this.openRoom(room, event);
    } else if (room && event) this.timeline.go(event);
    if (where === "room" && !room) $("note").textContent = this.list.ready ? "This conversation is not in the archive." : "Loading…";
    document.title = `${room?.name ?? (where === "archive" ? "Archive" : "Conversations")} · footbridge`;
  }

  openRoom(room, event) {
    this.timeline = new Timeline({
      api: this.api, media: this.media, box: $("box"), feed: $("feed"), note: $("note"), down: $("down"), room,
      onGo: (id) => this.timeline.go(id),
      onShow: (row) => this.showPicture(row),
    });
    this.drawHead(room);
    $("feed").setAttribute("aria-label", `Messages of ${room.name}`);
    this.timeline.open(event).then(() => {
      if (!event && $("panes").dataset.pane === "main" && document.activeElement?.closest("#list")) $("feed").focus({ preventScroll: true });
    });
  }

  drawHead(room) {
    $("room-name").textContent = room.name;
    $("room-people").hidden = !room.group;
    $("room-people").textContent = room.group ? count(room.joined, "person", "people") : "";
  }

  // Dialogs

  /** A picture in its full size, and a button that saves it. */
  async showPicture(row) {
    const name = row.content.filename ?? row.content.body ?? "Picture";
    const image = el("img", { alt: name });
    const note = el("p", {}, "Loading…");
    $("picture-body").replaceChildren(image, note);
    $("picture-name").textContent = `${this.timeline.room.nameOf(row.sender)}, ${moment(row.ts)}`;
    $("picture-save").onclick = () => this.media.save(row.content.url, name).catch((error) => complain(`${name} could not be loaded. ${error.message}`));
    $("picture").showModal();
    $("picture").addEventListener("close", () => this.media.release(row.content.url), { once: true });
    try {
      image.src = await this.media.acquire(row.content.url);
      await image.decode();
      note.remove();
    } catch {
      image.remove();
      note.textContent = "This picture cannot be shown here. Save it to see it.";
    }
  }

  async showPeople() {
    const { room } = this.timeline;
    $("people-list").replaceChildren(el("li", {}, "Loading…"));
    $("people").showModal();
    try {
      const members = (await this.api.members(room.id)).filter((event) => event.content?.membership === "join");
      room.learn(members);
      const names = members.map((event) => [event.state_key === this.api.user ? `${room.nameOf(event.state_key)} (you)` : room.nameOf(event.state_key), event.state_key]);
      names.sort((a, b) => a[0].localeCompare(b[0]));
      $("people-list").replaceChildren(...names.map(([name, user]) => el("li", { title: user }, icon("person"), name)));
    } catch (error) {
      $("people-list").replaceChildren(el("li", {}, `The members could not be loaded. ${error.message}`));
    }
  }

  // Keys and buttons

  bind() {
    const { signal } = this.stop;
    const on = (target, type, act) => target.addEventListener(type, act, { signal });
    on(window, "hashchange", () => this.route());
    on(document, "keydown", (event) => this.key(event));
    on(document, "visibilitychange", () => this.timeline?.markRead());
    on($("logout"), "click", async () => {
      await this.api.logout();
      this.leave("You are logged out.");
    });
    on($("room-people"), "click", () => this.showPeople());
    on($("room-search"), "click", () => this.searchHere());
    on($("room-date"), "click", () => $("date").showModal());
    on($("down"), "click", () => this.timeline?.goToEnd().then(() => $("feed").focus({ preventScroll: true })));
    on($("list"), "click", (event) => {
      // The address is there already, but the reader may have moved on.
      if (event.target.closest("a")?.hash === location.hash) this.route();
    });
    on($("help-open"), "click", () => $("help").showModal());
    on($("date-form"), "submit", (event) => {
      event.preventDefault();
      const [year, month, date] = $("date-input").value.split("-").map(Number);
      $("date").close();
      if (year) this.timeline?.goToTime(Math.max(0, new Date(year, month - 1, date).getTime()));
    });
    for (const dialog of document.querySelectorAll("dialog")) {
      on(dialog, "click", (event) => {
        if (event.target === dialog || event.target.closest("[data-close]")) dialog.close();
      });
    }
  }

  searchHere() {
    $("panes").dataset.pane = "list";
    this.search.within(this.timeline?.room ?? null);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const typing = /^(INPUT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === "Escape") {
      if (location.hash.length > 2) location.hash = "#/";
      $("rooms").querySelector("a[tabindex='0']")?.focus();
    } else if (typing) {
      return;
    } else if (event.key === "/") {
      $("panes").dataset.pane = "list";
      $("search").focus();
      $("search").select();
    } else if (event.key === "?") $("help").showModal();
    else if (event.key === "g" && this.timeline) $("date").showModal();
    else if ((event.key === "j" || event.key === "k") && document.activeElement === document.body) $("rooms").querySelector("a[tabindex='0']")?.focus();
    else return;
    event.preventDefault();
  }

  /** Ends the session and shows the login again. */
  leave(why) {
    if (this.stop.signal.aborted) return;
    this.stop.abort();
    this.status.close();
    this.timeline?.close();
    this.media.clear();
    // What was read must not stay in a page that is logged out: start it anew.
    sessionStorage.setItem("footbridge.why", why);
    location.replace(`${location.pathname}#/`);
    location.reload();
  }
}

function begin() {
  const resumed = Api.resume();
  if (resumed) {
    new App(resumed);
    return;
  }
  const error = $("login-error");
  error.textContent = sessionStorage.getItem("footbridge.why") ?? "";
  sessionStorage.removeItem("footbridge.why");
  $("login").hidden = false;
  $("user").focus();
  $("login-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    error.textContent = "";
    $("login-button").disabled = true;
    try {
      const api = await Api.login($("user").value.trim(), $("password").value);
      $("password").value = "";
      new App(api);
    } catch (refused) {
      error.textContent = refused.status === 403 ? "The name or the password is not right." : refused.message;
      $("password").focus();
      $("password").select();
    }
    $("login-button").disabled = false;
  });
}

begin();
