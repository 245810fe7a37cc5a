// The built-in web page, driven in Chromium against a running footbridge that holds an imported archive.
//
//   FOOTBRIDGE_URL       where it answers, for example http://127.0.0.1:8008
//   FOOTBRIDGE_USER      default: owner
//   FOOTBRIDGE_PASSWORD
//   FOOTBRIDGE_WORD      a word that messages contain; default: tomorrow
//   FOOTBRIDGE_SHOTS     a directory for screenshots; none are taken without it
//   CHROMIUM             default: /usr/bin/chromium
//
// What the page shows is compared with what the same API answers to this file; of the archive only the word must be known.
// Import progress and a conversation of 100,000 messages are put between the page and the server, so that they are the same on every machine.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const env = (name, fallback) => {
  const value = process.env[name] ?? fallback;
  if (value === undefined) throw new Error(`set ${name}; the head of this file says to what`);
  return value;
};
const URL_ = env("FOOTBRIDGE_URL").replace(/\/$/, "");
const USER = env("FOOTBRIDGE_USER", "owner");
const PASSWORD = env("FOOTBRIDGE_PASSWORD");
const WORD = env("FOOTBRIDGE_WORD", "tomorrow");
const SHOTS = env("FOOTBRIDGE_SHOTS", "");
const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
  + "worker-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

let browser;
let token;
let session; // one page login for most tests: logins are limited
let largest; // the conversation with the most messages: { id, events, messages }, oldest first

/** A call of the API, made by this file. */
async function call(method, path, query = {}, body) {
  const url = new URL(`/_matrix/client/${path}`, URL_);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  const response = await fetch(url, {
    method,
    headers: { "Content-Type": "application/json", ...(token ? { Authorization: `Bearer ${token}` } : {}) },
    body: body && JSON.stringify(body),
  });
  assert.equal(response.status, 200, `${method} ${path}: ${response.status}`);
  return response.json();
}

/** All events of a room, oldest first. */
async function eventsOf(room) {
  const events = [];
  let from;
  do {
    const page = await call("GET", `v3/rooms/${encodeURIComponent(room)}/messages`, { dir: "b", limit: 500, ...(from ? { from } : {}) });
    events.push(...page.chunk);
    from = page.end;
  } while (from);
  return events.reverse();
}

/** True for what a reader should see as a message of its own. */
const isMessage = (event) => event.type === "m.room.message" && event.content?.["m.relates_to"]?.rel_type !== "m.replace";

/** A page of its own, with what went wrong on it in `page.wrong` and foreign addresses in `page.foreign`. */
async function open(options = {}, state) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
  const page = await context.newPage();
  page.wrong = [];
  page.foreign = [];
  page.on("pageerror", (error) => page.wrong.push(error.stack));
  page.on("console", (message) => {
    if (message.type() === "error" && !/status of 4\d\d|net::ERR/.test(message.text())) page.wrong.push(message.text());
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(URL_) && !request.url().startsWith("blob:")) page.foreign.push(request.url());
  });
  if (state) await page.addInitScript((value) => sessionStorage.getItem("left") || sessionStorage.setItem("footbridge.session", value), state);
  return page;
}

/** A page that is logged in and shows the conversations. */
async function enter(options, before = async () => {}) {
  const page = await open(options, session);
  await before(page);
  await page.goto(URL_);
  await page.waitForSelector(".room");
  return page;
}

async function close(page) {
  assert.deepEqual(page.wrong, [], "errors on the page");
  assert.deepEqual(page.foreign, [], "requests to other addresses");
  await page.context().close();
}

async function shot(page, name) {
  if (SHOTS) await page.screenshot({ path: `${SHOTS}/${name}.png` });
}

/** Opens a conversation, waits until it stands at its newest message, and answers its name. */
async function openRoom(page, id = largest.id) {
  const link = page.locator(`.room[href="#/room/${encodeURIComponent(id)}"]`);
  const name = await link.locator(".name").textContent();
  await link.click();
  await page.waitForSelector("#feed article");
  await page.waitForFunction(() => {
    const box = document.getElementById("box");
    return box.scrollHeight - box.scrollTop - box.clientHeight < 2;
  });
  return name;
}

before(async () => {
  if (SHOTS) mkdirSync(SHOTS, { recursive: true });
  browser = await chromium.launch({ executablePath: env("CHROMIUM", "/usr/bin/chromium"), args: ["--no-sandbox"] });
  const got = await call("POST", "v3/login", {}, { type: "m.login.password", identifier: { type: "m.id.user", user: USER }, password: PASSWORD });
  token = got.access_token;
  const sync = await call("GET", "v3/sync", { timeout: 0, filter: JSON.stringify({ room: { timeline: { limit: 1 } } }) });
  for (const id of Object.keys(sync.rooms.join)) {
    const events = await eventsOf(id);
    const messages = events.filter(isMessage).map((event) => event.event_id);
    if (messages.length > (largest?.messages.length ?? 0)) largest = { id, events, messages };
  }
  assert.ok(largest?.messages.length >= 150, "no conversation is large enough to scroll in");
});

after(async () => {
  await browser?.close();
  if (token) await call("POST", "v3/logout", {}, {});
});

test("is served with the content security policy and without cookies", async () => {
  const response = await fetch(URL_);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-security-policy"), CSP);
  assert.equal(response.headers.get("x-content-type-options"), "nosniff");
  assert.equal(response.headers.get("set-cookie"), null);
  assert.match(response.headers.get("content-type"), /^text\/html/);
});

test("logs in, says in words what is wrong, and keeps the token in the tab", async () => {
  const page = await open();
  await page.goto(URL_);
  await shot(page, "login");
  await page.fill("#user", USER);
  await page.fill("#password", `not ${PASSWORD}`);
  await page.click("#login-button");
  await page.waitForFunction(() => document.getElementById("login-error").textContent !== "");
  assert.match(await page.textContent("#login-error"), /not right/);
  await page.fill("#password", PASSWORD);
  await page.keyboard.press("Enter");
  await page.waitForSelector(".room");
  session = await page.evaluate(() => sessionStorage.getItem("footbridge.session"));
  assert.ok(JSON.parse(session).token);
  assert.equal(await page.evaluate(() => localStorage.length), 0);
  assert.deepEqual(await page.context().cookies(), []);
  await page.reload();
  await page.waitForSelector(".room");
  await close(page);
});

test("lists every conversation, newest first, and narrows the list", async () => {
  const sync = await call("GET", "v3/sync", { timeout: 0, filter: JSON.stringify({ room: { timeline: { limit: 1 } } }) });
  const page = await enter();
  const names = await page.locator(".room .name").allTextContents();
  assert.equal(names.length, Object.keys(sync.rooms.join).length);
  const times = await page.locator(".room time").evaluateAll((all) => all.map((one) => Date.parse(one.dateTime)));
  assert.deepEqual(times, [...times].sort((a, b) => b - a));
  await page.fill("#search", names.at(-1).toLowerCase());
  await page.waitForFunction((count) => document.querySelectorAll(".room").length < count, names.length);
  assert.ok((await page.locator(".room .name").allTextContents()).includes(names.at(-1)));
  await page.keyboard.press("Escape");
  await page.waitForFunction((count) => document.querySelectorAll(".room").length === count, names.length);
  await shot(page, "conversations");
  await close(page);
});

test("scrolls up to the first message: every message once and in order, few on the page", async () => {
  const page = await enter();
  await openRoom(page);
  await shot(page, "timeline");
  const expected = largest.messages;
  const place = new Map(expected.map((id, at) => [id, at]));
  const seen = new Set();
  let most = 0;
  for (let turn = 0; turn < 3000; turn += 1) {
    const [ids, note] = await page.evaluate(async () => {
      const box = document.getElementById("box");
      box.scrollTop -= box.clientHeight * 2;
      await new Promise((go) => { requestAnimationFrame(() => requestAnimationFrame(go)); });
      return [[...document.querySelectorAll("#feed article")].map((one) => one.dataset.id), document.getElementById("note").textContent];
    });
    most = Math.max(most, ids.length);
    const places = ids.filter((id) => place.has(id)).map((id) => place.get(id));
    for (const [at, here] of places.entries()) {
      seen.add(here);
      if (at > 0) assert.equal(here, places[at - 1] + 1, "the messages on the page are neighbours");
    }
    if (note.startsWith("The beginning")) break;
  }
  assert.equal(seen.size, expected.length, "messages seen while scrolling up");
  assert.ok(most <= 400, `${most} rows on the page at once`);
  await page.evaluate(() => { document.getElementById("box").scrollTop = 0; });
  await shot(page, "beginning");
  await close(page);
});

test("finds messages and goes to one", async () => {
  const page = await enter();
  await page.keyboard.press("/");
  await page.keyboard.type(WORD);
  await page.waitForSelector(".result");
  assert.ok(await page.locator(".result mark").count(), "the word is marked");
  await shot(page, "search");
  const link = page.locator(".result").last();
  const event = decodeURIComponent((await link.getAttribute("href")).split("/")[3]);
  await link.click();
  const article = page.locator(`article[data-id="${event}"]`);
  await article.waitFor();
  assert.ok((await article.textContent()).toLowerCase().includes(WORD.toLowerCase()));
  await page.waitForFunction((id) => document.activeElement?.dataset.id === id, event);
  const [box, at] = [await page.locator("#box").boundingBox(), await article.boundingBox()];
  assert.ok(at.y >= box.y && at.y < box.y + box.height, "the message is in view");
  await shot(page, "found");
  await close(page);
});

test("goes to a date and back to the newest", async () => {
  const page = await enter();
  await openRoom(page);
  // A day in the middle that a message opens: a tapback or an edit would lead to what it is about.
  const dayOf = (event) => new Date(event.origin_server_ts).toDateString();
  const { events, messages } = largest;
  const opening = events.slice(1).filter((event, at) => isMessage(event) && dayOf(event) !== dayOf(events[at]));
  const date = new Date(opening[opening.length >> 1].origin_server_ts);
  const text = [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((part) => String(part).padStart(2, "0")).join("-");
  await page.click("#room-date");
  await page.fill("#date-input", text);
  await page.keyboard.press("Enter");
  await page.waitForSelector(".pointed");
  const day = new Intl.DateTimeFormat("en-US", { dateStyle: "full" }).format(date);
  assert.ok((await page.locator(".pointed").getAttribute("aria-label")).includes(day));
  await page.click("#down");
  await page.waitForSelector(`article[data-id="${messages.at(-1)}"]`);
  await close(page);
});

test("is used with the keyboard alone", async () => {
  const page = await enter();
  const focus = () => page.evaluate(() => document.activeElement.querySelector(".name")?.textContent);
  const names = await page.locator(".room .name").allTextContents();
  await page.keyboard.press("j");
  assert.equal(await focus(), names[0]);
  await page.keyboard.press("ArrowDown");
  assert.equal(await focus(), names[1]);
  await page.keyboard.press("k");
  assert.equal(await focus(), names[0]);
  assert.equal(await page.locator(".room[tabindex='0']").count(), 1, "one tab stop");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#feed article");
  await page.waitForFunction(() => document.activeElement?.id === "feed");
  await page.keyboard.press("k");
  await page.waitForFunction(() => document.activeElement?.tagName === "ARTICLE");
  assert.equal(await page.locator("#feed article[tabindex='0']").count(), 1, "one tab stop");
  const ring = await page.evaluate(() => {
    const article = document.activeElement;
    return [article, article.querySelector(".bubble")].some((one) => one && getComputedStyle(one).outlineStyle === "solid");
  });
  assert.ok(ring, "the focus is seen");
  await page.keyboard.press("Home");
  await page.waitForFunction(() => document.getElementById("note").textContent.startsWith("The beginning"));
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => document.activeElement?.className === "room");
  await close(page);
});

test("tells a screen reader what is what", async () => {
  const page = await enter();
  const name = await openRoom(page);
  const unnamed = await page.evaluate(() => [...document.querySelectorAll("button, a, input")]
    .filter((one) => one.checkVisibility() && !(one.getAttribute("aria-label") || one.labels?.length || one.textContent.trim()))
    .map((one) => one.outerHTML.slice(0, 120)));
  assert.deepEqual(unnamed, []);
  for (const role of ["navigation", "main", "search", "feed", "status"]) assert.ok(await page.getByRole(role).count(), role);
  assert.ok(await page.getByRole("heading", { name }).count());
  const articles = await page.evaluate(() => [...document.querySelectorAll("#feed article")].map((one) => Number(one.getAttribute("aria-posinset"))));
  articles.forEach((place, at) => at && assert.equal(place, articles[at - 1] + 1));
  assert.match(await page.textContent("#live"), /\d+ conversation/);
  await page.route("**/messages*", (route) => route.abort());
  await page.route("**/context/**", (route) => route.abort());
  await page.click("#room-date");
  await page.fill("#date-input", "2001-01-01");
  await page.route("**/timestamp_to_event*", (route) => route.abort());
  await page.keyboard.press("Enter");
  await page.waitForSelector("#trouble:not([hidden])");
  assert.match(await page.textContent("#trouble"), /does not answer/);
  await close(page);
});

test("the status endpoint needs a token and answers as status.js says", async () => {
  const bare = await fetch(`${URL_}/_footbridge/status`);
  assert.equal(bare.status, 401);
  assert.equal((await bare.json()).errcode, "M_MISSING_TOKEN");
  const response = await fetch(`${URL_}/_footbridge/status`, { headers: { Authorization: `Bearer ${token}` } });
  assert.equal(response.status, 200);
  const status = await response.json();
  const integer = (value, name) => assert.ok(Number.isSafeInteger(value) && value >= 0, `${name} is ${value}`);
  const perhaps = (value, name) => value === null || integer(value, name);
  assert.equal(typeof status.version, "string");
  for (const name of ["started", "now"]) integer(status[name], name);
  for (const name of ["messages", "conversations", "attachments", "bytes"]) integer(status.archive[name], name);
  for (const name of ["first", "last"]) perhaps(status.archive[name], name);
  for (const source of status.sources) {
    assert.ok(["chatdb", "cloudkit", "relay"].includes(source.kind));
    assert.ok(["idle", "reading", "comparing", "failed"].includes(source.state));
    for (const name of ["done", "per_second", "since"]) integer(source[name], name);
    for (const name of ["total", "last_pass"]) perhaps(source[name], name);
    if (source.state === "failed") assert.equal(typeof source.error.text, "string");
  }
  for (const kind of status.storage) integer(kind.bytes, kind.name);
  for (const one of status.failures) {
    for (const name of ["what", "reason"]) assert.equal(typeof one[name], "string");
    integer(one.attempts, "attempts");
    perhaps(one.next_ms, "next_ms");
    assert.equal(typeof one.given_up, "boolean");
  }
  for (const one of [...status.parked, ...status.quarantine]) {
    assert.equal(typeof one.reason, "string");
    integer(one.count, one.reason);
  }
  for (const one of status.parked) for (const example of one.examples) integer(example.time, example.guid);
  const shown = [];
  const page = await enter({}, (made) => made.on("response", async (one) => {
    if (one.url().endsWith("/_footbridge/status")) shown.push(new Intl.NumberFormat("en-US").format((await one.json()).archive.messages));
  }));
  await page.waitForSelector(".totals");
  const figures = await page.locator(".totals dd").allTextContents();
  assert.ok(shown.includes(figures[0]), `${figures[0]} is none of ${shown}`);
  await close(page);
});

/** A status in mid-import, further on each time it is asked for. */
function importing() {
  let done = 0;
  return () => {
    done = Math.min(done + 120000, 1000000);
    const busy = done < 1000000;
    const now = Date.now();
    return {
      version: "9.9.9", started: now - 60000, now,
      archive: { messages: done, conversations: 30, attachments: 12, bytes: 1e9, first: 1e12, last: now },
      sources: [
        { kind: "chatdb", state: busy ? "reading" : "idle", done, total: 1000000, per_second: 120000, since: now - 5000, last_pass: busy ? null : now, error: null },
        { kind: "cloudkit", state: "failed", done: 0, total: null, per_second: 0, since: now, last_pass: null, error: { text: "No session.", hint: "Import one." } },
      ],
      storage: [{ name: "messages", bytes: 6e8 }, { name: "search index", bytes: 4e8 }],
      failures: [{ what: "attachment IMG_1.heic", attempts: 2, next_ms: now + 60000, reason: "the file is not on this Mac", given_up: false }],
      parked: [{ reason: "no conversation", count: 12, examples: [{ guid: "5A0C3C1E-9F0B-4E6B-B0C4-0F2B0C1A77D1", time: 1e12 }] }],
      quarantine: [{ reason: "unreadable body", count: 3 }],
    };
  };
}

test("shows progress as it happens, failures and parked records with their reasons, and storage as a picture", async () => {
  const next = importing();
  const page = await enter({}, (made) => made.route("**/_footbridge/status", (route) => route.fulfill({ json: next() })));
  const value = () => page.evaluate(() => document.querySelector(".sources progress")?.value);
  await page.waitForSelector(".sources progress");
  const first = await value();
  await page.waitForFunction((old) => document.querySelector(".sources progress")?.value > old, first);
  const text = await page.textContent("#status");
  for (const words of ["120,000 a second", "No session.", "Import one.", "the file is not on this Mac", "no conversation", "12 messages", "unreadable body"]) {
    assert.ok(text.includes(words), words);
  }
  assert.match(await page.textContent("#foot"), /needs you/);
  assert.equal(await page.locator("svg.storage rect").count(), 2);
  assert.match(await page.locator("svg.storage").getAttribute("aria-label"), /messages 600 MB/);
  await page.waitForFunction(() => /percent/.test(document.getElementById("live").textContent));
  await page.waitForSelector("svg.curve");
  await shot(page, "progress");
  await page.waitForFunction(() => /Up to date/.test(document.querySelector(".sources").textContent), null, { timeout: 20000 });
  await close(page);
});

test("works on a phone, one pane at a time", async () => {
  const page = await enter({ viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });
  assert.ok(!(await page.isVisible("#main")));
  await shot(page, "phone-conversations");
  await openRoom(page);
  assert.ok(!(await page.isVisible("#list")));
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390, "nothing is wider than the screen");
  await shot(page, "phone-timeline");
  await page.click("#conversation .back");
  assert.ok(await page.isVisible("#list"));
  await page.click("#foot");
  await page.waitForSelector(".totals");
  await shot(page, "phone-archive");
  await page.goBack();
  assert.ok(await page.isVisible("#list"));
  await close(page);
});

test("is dark where the reader wants it dark, with enough contrast in both", async () => {
  for (const colorScheme of ["light", "dark"]) {
    const page = await enter({ colorScheme });
    await openRoom(page);
    await page.waitForTimeout(300);
    await shot(page, colorScheme);
    const ratios = await page.evaluate(() => {
      const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
      const light = (color) => {
        canvas.fillStyle = color;
        canvas.fillRect(0, 0, 1, 1);
        const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((one) => (one / 255 <= 0.03928 ? one / 255 / 12.92 : ((one / 255 + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const ground = (node) => {
        for (let one = node; one; one = one.parentElement) {
          const { backgroundColor } = getComputedStyle(one);
          if (!/(, 0\)|transparent)$/.test(backgroundColor)) return backgroundColor;
        }
        return "white";
      };
      return [".room .name", ".room .last", ".room time", ".room[aria-current] .last", ".unread", ".theirs .bubble", ".mine .bubble", ".foot", ".day", ".sender", "#room-people", "#foot .muted"]
        .flatMap((name) => {
          const node = document.querySelector(name);
          if (!node) return [];
          const [a, b] = [light(getComputedStyle(node).color), light(ground(node))].sort((x, y) => y - x);
          return [[name, (a + 0.05) / (b + 0.05)]];
        });
    });
    assert.ok(ratios.length > 6);
    for (const [name, ratio] of ratios) assert.ok(ratio >= 4.5, `${colorScheme} ${name}: ${ratio.toFixed(2)}`);
    const paper = await page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number)[0]);
    assert.equal(paper < 80, colorScheme === "dark");
    await close(page);
  }
});

test("renders formatted text by its allow-list and runs nothing", async () => {
  const page = await enter();
  const html = await page.evaluate(async () => {
    const { formatted } = await import("/page/markup.js");
    const box = document.createElement("div");
    box.append(...formatted(`<b style="color:red" class="x" id="panes">bold</b><script>window.ran=1</script><iframe src="/"></iframe><svg><a href="javascript:1">s</a></svg>
      <a href="javascript:alert(1)">j</a><a href=" https://example.org/?a=1&b=2">ok</a><a href="data:text/html,x">d</a><a href="https://matrix.to/#/@ann:x">Ann</a>
      <mx-reply>quoted</mx-reply><span data-mx-spoiler="why">secret</span><form action="/"><input name="q">in</form>${"<div>".repeat(500)}deep`));
    return box.innerHTML;
  });
  for (const bad of ["script", "iframe", "svg", "javascript", "data:", "style=", "id=", "<form", "<input", "quoted"]) assert.ok(!html.includes(bad), `${bad} in ${html.slice(0, 900)}`);
  assert.ok(html.includes("<strong>bold</strong>"));
  assert.ok(html.includes('href="https://example.org/?a=1&amp;b=2" target="_blank" rel="noopener noreferrer nofollow"'));
  assert.ok(html.includes('<span class="mention">Ann</span>'));
  assert.match(html, /<span hidden="" tabindex="-1">secret<\/span>/);
  assert.ok(html.includes("deep"));
  assert.equal(await page.evaluate(() => window.ran), undefined);
  // The parsed text is a document without scripts; Chromium still reports what the policy would have refused in it.
  page.wrong = page.wrong.filter((text) => !text.includes("Content Security Policy"));
  await close(page);
});

/** A conversation of `size` messages that only exists between the page and the server. */
function invented(size, user) {
  const start = Date.now() - size * 6e5 - 36e5;
  const words = "a later train dinner we could bring umbrella Sunday garden really soup and yes think maybe".split(" ");
  const event = (n) => ({
    type: "m.room.message", event_id: `$big${n}`, room_id: "!big:x", sender: n % 5 < 2 ? user : `@imessage_${n % 3}:x`, origin_server_ts: start + n * 6e5, unsigned: {},
    content: { msgtype: "m.text", body: `#${n} ${Array.from({ length: ((n * 7919) % 23) + 2 }, (_, k) => words[(n * 31 + k * 17) % words.length]).join(" ")}` },
  });
  const run = (from, to) => Array.from({ length: Math.max(0, to - from) }, (_, k) => event(from + k));
  return async (page) => {
    await page.route("**/sync?*", async (route) => {
      if (new URL(route.request().url()).searchParams.has("since")) return route.continue();
      const response = await route.fetch();
      const json = await response.json();
      ((json.rooms ??= {}).join ??= {})["!big:x"] = {
        state: { events: [{ type: "m.room.name", state_key: "", content: { name: "A hundred thousand" }, sender: user, event_id: "$name", origin_server_ts: start }] },
        timeline: { events: [event(size - 1)], limited: true, prev_batch: `t${size - 1}` }, summary: { "m.joined_member_count": 4 },
      };
      return route.fulfill({ response, json });
    });
    await page.route(/profile\/.*imessage_\d/, (route) => route.fulfill({ json: { displayname: "Somebody" } }));
    await page.route(/rooms\/(!|%21)big/, (route) => {
      const url = new URL(route.request().url());
      const limit = Number(url.searchParams.get("limit") ?? 10);
      const around = /context\/(?:%24|\$)big(\d+)/.exec(url.pathname);
      if (around) {
        const n = Number(around[1]);
        const from = Math.max(0, n - (limit >> 1));
        const to = Math.min(size, n + 1 + (limit >> 1));
        return route.fulfill({ json: { start: `t${from}`, end: `t${to}`, event: event(n), events_before: run(from, n).reverse(), events_after: run(n + 1, to), state: [] } });
      }
      if (url.pathname.endsWith("timestamp_to_event")) return route.fulfill({ json: { event_id: "$big0", origin_server_ts: start } });
      if (!url.pathname.endsWith("messages")) return route.fulfill({ json: {} });
      const back = url.searchParams.get("dir") === "b";
      const at = Number(url.searchParams.get("from")?.slice(1) ?? size);
      const to = back ? Math.max(0, at - limit) : Math.min(size, at + limit);
      const chunk = back ? run(to, at).reverse() : run(at, to);
      return route.fulfill({ json: { chunk, start: `t${at}`, state: [], ...(to > 0 && to < size ? { end: `t${to}` } : {}) } });
    });
  };
}

test("scrolls through 100,000 messages without slowing down or losing its place", async () => {
  const page = await enter({}, invented(100000, JSON.parse(session).user));
  await openRoom(page, "!big:x");

  // Slow steps: what is on the screen moves by exactly the step, however many rows are put above it.
  const drift = await page.evaluate(async () => {
    const box = document.getElementById("box");
    let worst = 0;
    for (let turn = 0; turn < 150; turn += 1) {
      const top = box.getBoundingClientRect().top;
      const row = [...document.querySelectorAll("#feed .row")].find((one) => one.getBoundingClientRect().bottom > top + 250);
      const y = row.getBoundingClientRect().top;
      box.scrollTop -= 120;
      await new Promise((go) => { requestAnimationFrame(() => requestAnimationFrame(go)); });
      if (row.isConnected) worst = Math.max(worst, Math.abs(row.getBoundingClientRect().top - y - 120));
    }
    return worst;
  });
  assert.ok(drift <= 1.5, `the place moved by ${drift} px`);

  // Fast: more than a screen a frame. Processor time of the longest task, so that a busy machine does not count.
  const client = await browser.newBrowserCDPSession();
  const events = [];
  client.on("Tracing.dataCollected", (data) => events.push(...data.value));
  await client.send("Tracing.start", { transferMode: "ReportEvents", traceConfig: { includedCategories: ["toplevel", "__metadata"] } });
  const run = (step, ms) => page.evaluate(([step, ms]) => new Promise((done) => {
    const box = document.getElementById("box");
    const numbers = () => [...document.querySelectorAll("#feed article")].map((one) => Number(one.dataset.id.slice(4)));
    const [first, start] = [numbers()[0], performance.now()];
    let [most, broken] = [0, 0];
    const tick = (now) => {
      box.scrollTop += step;
      const here = numbers();
      most = Math.max(most, here.length);
      broken += here.filter((one, at) => at > 0 && one !== here[at - 1] + 1).length;
      if (now - start < ms) requestAnimationFrame(tick);
      else done({ rows: Math.abs(here[0] - first), most, broken });
    };
    requestAnimationFrame(tick);
  }), [step, ms]);
  const [up, down] = [await run(-1500, 10000), await run(1500, 5000)];
  const complete = new Promise((go) => { client.once("Tracing.tracingComplete", go); });
  await client.send("Tracing.end");
  await complete;
  const mains = new Set(events.filter((one) => one.name === "thread_name" && one.args.name === "CrRendererMain").map((one) => `${one.pid} ${one.tid}`));
  const longest = Math.max(0, ...events.filter((one) => mains.has(`${one.pid} ${one.tid}`) && one.ph === "X").map((one) => (one.tdur ?? 0) / 1000));
  assert.ok(longest > 0, "no task was traced");
  for (const [way, went] of [["up", up], ["down", down]]) {
    assert.ok(went.rows > 300, `only ${went.rows} messages passed on the way ${way}`);
    assert.ok(went.most <= 400, `${went.most} rows on the page`);
    assert.equal(went.broken, 0, `messages missing, twice or out of order on the way ${way}`);
  }
  assert.ok(longest < 50, `a task took ${longest.toFixed(1)} ms of processor time`);

  // To the very first, and back to the newest after rows in between were let go.
  await page.focus("#feed");
  await page.keyboard.press("Home");
  await page.waitForFunction(() => document.activeElement?.dataset.id === "$big0");
  await page.keyboard.press("End");
  await page.waitForFunction(() => document.activeElement?.dataset.id === "$big99999");
  assert.ok(await page.evaluate(() => document.querySelectorAll("*").length) < 4000);
  await close(page);
});

test("logs out and leaves nothing behind", async () => {
  const page = await open();
  await page.goto(URL_);
  await page.evaluate((value) => sessionStorage.setItem("footbridge.session", value), session);
  await page.reload();
  await page.waitForSelector(".room");
  await page.click("#logout");
  await page.waitForSelector("#login-form");
  assert.equal(await page.evaluate(() => sessionStorage.getItem("footbridge.session")), null);
  const response = await fetch(`${URL_}/_matrix/client/v3/account/whoami`, { headers: { Authorization: `Bearer ${JSON.parse(session).token}` } });
  assert.equal(response.status, 401);
  await close(page);
});
