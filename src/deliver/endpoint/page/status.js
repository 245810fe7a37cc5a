// Status: what footbridge is doing and what it holds, as words, figures and one picture.
//
// The page asks `GET /_footbridge/status` with `Authorization: Bearer <token>`: once a second while a source is `reading` or `comparing`,
// else every 15 seconds, and not at all while the page is hidden. 401 answers are Matrix errors (M_MISSING_TOKEN, M_UNKNOWN_TOKEN).
// The answer is JSON; times are milliseconds since 1970, sizes bytes, both integers; arrays may be empty but are never left out:
//
//   {
//     "version": "0.3.0",            of the running binary
//     "started": 1767225600000,      when this process started
//     "now": 1767229200000,          the server's clock, against which the other times are to be read
//     "archive": {
//       "messages": 1204332,         tapbacks and announcements included
//       "conversations": 412,
//       "attachments": 48210,
//       "bytes": 2147483648,         allocated size of the archive's file
//       "first": 1262304000000,      time of the oldest and the newest message, null when there is none
//       "last": 1767229100000
//     },
//     "sources": [{
//       "kind": "chatdb",            chatdb | cloudkit | relay
//       "state": "reading",          idle | reading | comparing | failed
//       "done": 412000,              records of this pass so far
//       "total": 1204332,            of how many, null when not known
//       "per_second": 38200,         over the last two seconds or so
//       "since": 1767229188000,      when this state began
//       "last_pass": 1767225660000,  end of the last complete pass, null before the first
//       "error": null                or { "text": "what failed", "hint": "what to do" | null }
//     }],
//     "storage": [{ "name": "messages", "bytes": 734003200 }],      by kind, largest first, together `archive.bytes` or nearly
//     "failures": [{
//       "what": "attachment IMG_4417.heic",
//       "attempts": 2,
//       "next_ms": 1767229500000,    time of the next try, null when given up
//       "reason": "the file is not on this Mac",
//       "given_up": false
//     }],                            newest first, at most 100
//     "parked": [{ "reason": "no conversation", "count": 12, "examples": [{ "guid": "ABC…", "time": 1577836800000 }] }],   at most 5 examples
//     "quarantine": [{ "reason": "unreadable body", "count": 3 }]
//   }
//
// No texts, names or addresses of the owner's messages are in it.

import { bytes, count, date, el, moment, number, say, span, svg, when } from "./dom.js";

const SOURCES = { chatdb: "Messages on this Mac", cloudkit: "Messages in iCloud", relay: "footbridge on a Mac" };
const BUSY = new Set(["reading", "comparing"]);
/** Speeds kept for the small curve. */
const CURVE = 90;
/** Kinds of storage drawn one by one; the rest is drawn together. */
const KINDS = 6;

/** Asks for the status for as long as the session lasts, and draws it in the overview and at the foot of the list. */
export class Status {
  constructor({ api, box, foot, onAnswer }) {
    Object.assign(this, { api, box, foot, onAnswer });
    this.parts = new Map(); // name -> { node, key }
    this.speeds = new Map(); // kind -> [per second]
    this.told = new Map(); // kind -> what was last announced
    document.addEventListener("visibilitychange", this.wake = () => {
      if (!document.hidden) this.ask();
    });
    this.ask();
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    document.removeEventListener("visibilitychange", this.wake);
  }

  async ask() {
    clearTimeout(this.timer);
    if (this.asking) return;
    this.asking = true;
    let pause = 15000;
    try {
      const status = await this.api.status();
      if (this.closed) return;
      this.draw(status);
      this.announce(status);
      this.onAnswer(status);
      if (status.sources.some((source) => BUSY.has(source.state))) pause = 1000;
    } catch (error) {
      if (this.closed) return;
      this.part("trouble", error.message, () => el("p.note", {}, `The status could not be read. ${error.message}`));
      if (error.status === 0) pause = 3000;
    } finally {
      this.asking = false;
    }
    if (!document.hidden && !this.closed) this.timer = setTimeout(() => this.ask(), pause);
  }

  /** Says in words what changed: a state, or ten percent more. */
  announce(status) {
    for (const source of status.sources) {
      const share = source.total ? Math.floor((10 * source.done) / source.total) * 10 : 0;
      const now = `${source.state} ${BUSY.has(source.state) ? share : 0}`;
      const before = this.told.get(source.kind);
      this.told.set(source.kind, now);
      if (before === now || (before === undefined && source.state === "idle")) continue;
      const name = SOURCES[source.kind] ?? source.kind;
      if (source.state === "failed") say(`${name}: failed. ${source.error?.text ?? ""} ${source.error?.hint ?? ""}`);
      else if (source.state === "idle") say(`${name}: up to date`);
      else say(`${name}: importing${share ? `, ${share} percent` : ""}`);
    }
  }

  /** Replaces one part of the overview if what it shows changed. */
  part(name, shown, make) {
    const key = JSON.stringify(shown);
    const held = this.parts.get(name);
    if (held?.key === key) return;
    const node = make();
    if (held) held.node.replaceWith(node);
    else this.box.append(node);
    this.parts.set(name, { node, key });
  }

  draw(status) {
    const { archive } = status;
    this.part("trouble", "", () => el("p", { hidden: true }));
    this.part("totals", archive, () => totals(archive));
    for (const source of status.sources) this.note(source);
    this.part("sources", [status.sources, Math.floor(status.now / 60000)], () => el("section", { "aria-labelledby": "h-sources" },
      el("h3", { id: "h-sources" }, "Sources"),
      status.sources.length ? el("ul.sources", {}, ...status.sources.map((one) => this.source(one, status.now))) : el("p.note", {}, "No source is set up.")));
    this.part("storage", status.storage, () => storage(status.storage));
    this.part("failures", status.failures, () => failures(status.failures));
    this.part("parked", [status.parked, status.quarantine], () => parked(status.parked, status.quarantine));
    this.part("version", [status.version, status.started], () => el("p.note", {}, `footbridge ${status.version}, running since ${moment(status.started)}`));
    this.drawFoot(status);
  }

  note(source) {
    const speeds = this.speeds.get(source.kind) ?? [];
    if (BUSY.has(source.state)) speeds.push(source.per_second);
    else speeds.length = 0;
    this.speeds.set(source.kind, speeds.slice(-CURVE));
  }

  source(source, now) {
    const busy = BUSY.has(source.state);
    const name = SOURCES[source.kind] ?? source.kind;
    const left = busy && source.total && source.per_second ? (source.total - source.done) / source.per_second : 0;
    const words = {
      idle: source.last_pass ? `Up to date. Last looked ${ago(now - source.last_pass)}.` : "Waiting for the first pass.",
      reading: source.total ? `Reading ${number(source.done)} of ${number(source.total)}` : `Reading, ${number(source.done)} so far`,
      comparing: source.total ? `Comparing ${number(source.done)} of ${number(source.total)}` : `Comparing, ${number(source.done)} so far`,
      failed: source.error?.text ?? "It failed.",
    }[source.state] ?? source.state;
    return el(`li.${source.state}`, {},
      el("div.line", {}, el("strong", {}, name), busy && source.total && el("span.figure", {}, percent(source))),
      busy && el("progress", { max: source.total ?? false, value: source.total ? source.done : false, "aria-label": `${name}, progress` }),
      el("div.line", {}, el("span", {}, words),
        busy && el("span.muted", {}, `${number(source.per_second)} a second${left ? `, ${span(left * 1000)} left` : ""}`)),
      source.state === "failed" && source.error?.hint && el("p.hint", {}, source.error.hint),
      busy && curve(this.speeds.get(source.kind)));
  }

  drawFoot(status) {
    const failed = status.sources.find((source) => source.state === "failed");
    const busy = status.sources.find((source) => BUSY.has(source.state));
    const words = failed ? "A source needs you"
      : busy ? `Importing${busy.total ? ` ${percent(busy)}` : ""}`
        : "Archive";
    const detail = busy && !failed ? `${number(busy.per_second)} a second` : count(status.archive.messages, "message");
    const key = JSON.stringify([words, detail, busy?.done]);
    if (key === this.footKey) return;
    this.footKey = key;
    this.foot.className = failed ? "failed" : busy ? "busy" : "idle";
    this.foot.replaceChildren(el("span.dot", { "aria-hidden": "true" }), el("strong", {}, words), el("span.muted", {}, detail),
      ...(busy ? [el("progress", { max: busy.total ?? false, value: busy.total ? busy.done : false, "aria-hidden": "true" })] : []));
  }
}

const percent = (source) => `${Math.floor((100 * source.done) / source.total)} %`;
const ago = (ms) => (ms < 60000 ? "just now" : `${span(ms)} ago`);

function totals(archive) {
  const figure = (value, name) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
  return el("section", { "aria-label": "What the archive holds" },
    el("dl.totals", {}, figure(number(archive.messages), "Messages"), figure(number(archive.conversations), "Conversations"),
      figure(number(archive.attachments), "Attachments"), figure(bytes(archive.bytes), "On disk")),
    archive.first !== null && el("p.note", {}, `From ${date(archive.first)} to ${date(archive.last)}`));
}

/** The speed of the last minute and a half as a curve. */
function curve(speeds) {
  if (speeds.length < 3) return null;
  const top = Math.max(...speeds, 1);
  const points = speeds.map((speed, at) => `${(300 * at) / (speeds.length - 1)},${38 - (34 * speed) / top}`);
  return svg("svg.curve", { viewBox: "0 0 300 40", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("polygon", { points: `0,40 ${points.join(" ")} 300,40` }), svg("polyline", { points: points.join(" ") }));
}

/** Storage by kind: one bar, and a table that says the same. */
function storage(kinds) {
  const sorted = [...kinds].sort((a, b) => b.bytes - a.bytes);
  const shown = sorted.slice(0, KINDS);
  const rest = sorted.slice(KINDS).reduce((sum, kind) => sum + kind.bytes, 0);
  if (rest) shown.push({ name: "everything else", bytes: rest });
  const total = shown.reduce((sum, kind) => sum + kind.bytes, 0) || 1;
  const words = shown.map((kind) => `${kind.name} ${bytes(kind.bytes)}`).join(", ");
  let x = 0;
  const pieces = shown.map((kind, at) => {
    const width = (1000 * kind.bytes) / total;
    const piece = svg(`rect.kind-${at}`, { x, y: 0, width: Math.max(at < shown.length - 1 ? width - 3 : width, 1), height: 36, rx: 3 }, svg("title", {}, `${kind.name}: ${bytes(kind.bytes)}`));
    x += width;
    return piece;
  });
  return el("section", { "aria-labelledby": "h-storage" }, el("h3", { id: "h-storage" }, "Storage"),
    kinds.length ? svg("svg.storage", { viewBox: "0 0 1000 36", preserveAspectRatio: "none", role: "img", "aria-label": `Storage by kind: ${words}` }, ...pieces)
      : el("p.note", {}, "Nothing is stored yet."),
    el("ul.legend", {}, ...shown.map((kind, at) => el("li", {}, el(`span.swatch.kind-${at}`, { "aria-hidden": "true" }), el("span", {}, kind.name),
      el("span.figure", {}, bytes(kind.bytes)), el("span.muted", {}, `${Math.round((100 * kind.bytes) / total)} %`)))));
}

function failures(list) {
  return el("section", { "aria-labelledby": "h-failures" }, el("h3", { id: "h-failures" }, "Failures"),
    list.length ? el("ul.rows", {}, ...list.map((one) => el("li", {}, el("strong", {}, one.what), el("span", {}, one.reason),
      el("span.muted", {}, `${count(one.attempts, "try", "tries")}, ${one.given_up || !one.next_ms ? "given up" : `next ${when(one.next_ms)}`}`))))
      : el("p.note", {}, "Nothing failed."));
}

function parked(list, quarantine) {
  const item = (one, kind) => el("li", {}, el("strong", {}, one.reason), el("span", {}, `${count(one.count, "message")}, ${kind}`),
    one.examples?.length > 0 && el("details", {}, el("summary", {}, "Examples"),
      el("ul", {}, ...one.examples.map((example) => el("li", {}, el("code", {}, example.guid), " ", el("span.muted", {}, moment(example.time)))))));
  return el("section", { "aria-labelledby": "h-parked" }, el("h3", { id: "h-parked" }, "Kept, but not shown"),
    list.length || quarantine.length
      ? el("ul.rows", {}, ...list.map((one) => item(one, "parked until the missing part arrives")), ...quarantine.map((one) => item(one, "kept as raw bytes for a version that can read it")))
      : el("p.note", {}, "Every message is in its conversation."));
}
