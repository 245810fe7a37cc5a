// A bubble: one row of the timeline drawn as an article, with what belongs to it: quote, media, reactions, versions.

import { bytes, clock, complain, count, day, el, icon, moment, say, span } from "./dom.js";
import { formatted, plain, spoiler } from "./markup.js";
import { summary } from "./rooms.js";

/** Pictures are asked for in this size, and drawn no larger than the box below. */
const THUMBNAIL = 800;
const BOX_WIDTH = 340;
const BOX_HEIGHT = 380;
const ONLY_EMOJI = /^(?:\p{Extended_Pictographic}|\p{Emoji_Component}|\s){1,16}$/u;

/** How a row stands to its neighbours, which decides what is drawn around it. */
export function shapeOf(rows, at, unreadAfter) {
  const row = rows[at];
  const before = rows[at - 1];
  const after = rows[at + 1];
  return {
    day: !before || before.day !== row.day,
    head: startsRun(before, row),
    named: !before || before.day !== row.day || before.sender !== row.sender || before.kind === "news",
    tail: !after || startsRun(row, after),
    fresh: Boolean(before && unreadAfter && before.id === unreadAfter),
  };
}

function startsRun(before, row) {
  return !before || before.day !== row.day || before.sender !== row.sender || before.kind === "news" || row.kind === "news"
    || row.ts - before.ts > 6e5;
}

/**
 * Draws a row. `scene` gives { room, user, api, media, history, quote(id), go(id), show(row) }; what has to be undone when the row
 * leaves the page is pushed to `undo`.
 */
export function draw(row, shape, scene, undo) {
  const mine = row.sender === scene.user;
  const name = mine ? "You" : scene.room.nameOf(row.sender);
  const parts = row.kind === "news" ? [news(row, scene)] : message(row, shape, scene, undo, mine, name);
  const article = el(`article.${row.kind === "news" ? "news" : mine ? "mine" : "theirs"}`,
    { tabindex: "-1", "data-id": row.id, "aria-label": row.kind === "news" ? null : `${name}, ${moment(row.ts)}` }, ...parts);
  return el(`div.row${shape.head ? ".head" : ""}${shape.tail ? ".tail" : ""}`, {},
    shape.day && el("h3.day", {}, el("time", { datetime: new Date(row.ts).toISOString() }, day(row.ts))),
    shape.fresh && el("p.fresh", {}, "New"),
    article);
}

function news(row, scene) {
  const [words, user] = row.news;
  return el("p", {}, words.replace("%s", () => (user === scene.user ? "You" : scene.room.nameOf(user))), " ",
    el("time", { title: moment(row.ts) }, clock(row.ts)));
}

function message(row, shape, scene, undo, mine, name) {
  const content = row.content;
  const body = row.removedBy
    ? [el("p.removed", {}, row.removedBy === scene.user ? "You removed this message" : "Message removed")]
    : bodyOf(row, scene, undo);
  const reply = content["m.relates_to"]?.["m.in_reply_to"]?.event_id;
  const bare = body.bare ?? false;
  const notice = content.msgtype === "m.notice" || content.msgtype === "m.emote";
  return [
    shape.named && !mine && scene.room.group && el("h4.sender", {}, name),
    reply && !row.removedBy && quote(reply, scene, undo),
    el(`div.bubble${bare ? ".bare" : ""}${notice ? ".notice" : ""}`, {},
      content.msgtype === "m.emote" && el("span.emote", {}, `${name} `), ...body),
    reactions(row, scene),
    (shape.tail || row.edited > 0) && el("p.foot", {},
      row.edited > 0 && el("button.link", { type: "button", "aria-expanded": "false", title: "Show the versions", onclick: (event) => versions(event.target, row, scene) }, "edited"),
      shape.tail && el("time", { datetime: new Date(row.ts).toISOString(), title: moment(row.ts) }, clock(row.ts))),
  ];
}

/** The nodes of a message's body; `bare` on the result means: without a bubble around it. */
function bodyOf(row, scene, undo) {
  const content = row.content;
  const caption = content.filename && content.filename !== content.body ? text(content) : [];
  const name = content.filename ?? content.body ?? "file";
  let nodes;
  switch (row.kind === "sticker" ? "m.image" : content.msgtype) {
    case "m.image":
      nodes = [picture(content, name, scene, undo, row), ...caption];
      nodes.bare = true;
      return nodes;
    case "m.video":
      return [player("video", content, name, scene, undo), ...caption];
    case "m.audio":
      return [player("audio", content, name, scene, undo), ...caption];
    case "m.file":
      return [fileOf(content, name, scene), ...caption];
    case undefined:
      return content.body ? text(content) : [el("p.removed", {}, "This kind of message cannot be shown here")];
    default:
      nodes = text(content);
      nodes.bare = content.msgtype === "m.text" && ONLY_EMOJI.test(content.body) && /\p{Extended_Pictographic}/u.test(content.body);
      return nodes.bare ? Object.assign([el("div.jumbo", {}, content.body)], { bare: true }) : nodes;
  }
}

function text(content) {
  const nodes = content.format === "org.matrix.custom.html" && typeof content.formatted_body === "string"
    ? formatted(content.formatted_body)
    : plain(String(content.body ?? ""));
  return [el("div.text", { dir: "auto" }, ...nodes)];
}

/** The size a picture is drawn in: its own, or what fits the box. */
function fit(info) {
  const w = Number(info?.w) > 0 ? Number(info.w) : 240;
  const h = Number(info?.h) > 0 ? Number(info.h) : 180;
  const scale = Math.min(1, BOX_WIDTH / w, BOX_HEIGHT / h);
  return [Math.max(48, Math.round(w * scale)), Math.max(36, Math.round(h * scale))];
}

function picture(content, name, scene, undo, row) {
  const [w, h] = fit(content.info);
  const known = Number(content.info?.w) > 0 && Number(content.info?.h) > 0;
  const image = el("img", { alt: name, width: w, height: h });
  const frame = el("button.picture", { type: "button", "aria-label": `Picture ${name}, open`, onclick: () => scene.show(row) }, image);
  frame.style.aspectRatio = `${w} / ${h}`;
  frame.style.width = `${w}px`;
  let gone = false;
  scene.media.acquire(content.url, THUMBNAIL).then((url) => {
    if (gone) return;
    image.addEventListener("error", () => frame.replaceChildren(missing(name, "Your browser cannot show this picture")));
    image.addEventListener("load", () => {
      frame.classList.add("here");
      if (!known) frame.style.aspectRatio = `${image.naturalWidth} / ${image.naturalHeight}`;
    });
    image.src = url;
  }, (error) => {
    if (!gone && error.name !== "AbortError") frame.replaceChildren(missing(name, error.message));
  });
  undo.push(() => {
    gone = true;
    scene.media.release(content.url, THUMBNAIL);
  });
  return frame;
}

function missing(name, reason) {
  return el("span.missing", {}, icon("file"), el("strong", {}, name), el("span", {}, reason));
}

/** A line with a button; the player replaces it when the file is here. */
function player(kind, content, name, scene, undo) {
  const info = content.info ?? {};
  const detail = [info.duration && span(info.duration), info.size && bytes(info.size)].filter(Boolean).join(" · ");
  const box = el("div.attachment");
  const button = el("button.round", { type: "button", "aria-label": `Play ${name}`, onclick: async () => {
    button.disabled = true;
    box.setAttribute("aria-busy", "true");
    try {
      const url = await scene.media.acquire(content.url);
      undo.push(() => scene.media.release(content.url));
      const media = el(kind, { controls: true, src: url, "aria-label": name });
      media.addEventListener("error", () => {
        box.replaceWith(fileOf(content, name, scene, "Your browser cannot play this file. Save it instead."));
      });
      if (kind === "video") [media.width, media.height] = fit(info);
      box.replaceWith(media);
      media.focus();
      media.play().catch(() => {});
    } catch (error) {
      button.disabled = false;
      box.removeAttribute("aria-busy");
      complain(`${name} could not be loaded. ${error.message}`);
    }
  } }, icon("play"));
  box.append(button, el("span", {}, el("strong", {}, kind === "audio" && content["org.matrix.msc3245.voice"] ? "Voice message" : name),
    el("span.detail", {}, detail)));
  return box;
}

function fileOf(content, name, scene, note) {
  const detail = note ?? (content.info?.size ? bytes(content.info.size) : "File");
  const button = el("button.round", { type: "button", "aria-label": `Save ${name}`, onclick: async () => {
    button.disabled = true;
    say(`Loading ${name}`);
    try {
      await scene.media.save(content.url, name);
    } catch (error) {
      complain(`${name} could not be loaded. ${error.message}`);
    }
    button.disabled = false;
  } }, icon("save"));
  return el("div.attachment", {}, button, el("span", {}, el("strong", {}, name), el("span.detail", {}, detail)));
}

/** What is answered to: two lines of fixed height, so that nothing moves when the text arrives. */
function quote(id, scene, undo) {
  const who = el("strong", {}, "…");
  const what = el("span", {}, " ");
  let gone = false;
  scene.quote(id).then((row) => {
    if (gone) return;
    who.textContent = row.sender === scene.user ? "You" : scene.room.nameOf(row.sender);
    what.textContent = row.removedBy ? "Message removed" : summary(row.kind === "sticker" ? "m.sticker" : "m.room.message", row.content);
  }, () => {
    who.textContent = "An earlier message";
    what.textContent = "It is not in the archive";
  });
  undo.push(() => { gone = true; });
  return el("button.quote", { type: "button", "aria-label": "In reply to an earlier message, go to it", onclick: () => scene.go(id) }, who, what);
}

function reactions(row, scene) {
  const all = row.removedBy ? [] : scene.history.reactionsOf(row);
  if (!all.length) return null;
  return el("ul.reactions", { "aria-label": "Reactions" }, ...all.map(([key, senders]) => {
    const names = senders.map((user) => (user === scene.user ? "You" : scene.room.nameOf(user))).join(", ");
    return el(`li${senders.includes(scene.user) ? ".own" : ""}`, { title: names }, el("span", {}, key),
      senders.length > 1 && el("span", { "aria-hidden": "true" }, String(senders.length)), el("span.sr", {}, ` by ${names}`));
  }));
}

/** Shows the earlier wordings of a message below it, or hides them again. */
async function versions(button, row, scene) {
  const article = button.closest("article");
  const shown = article.querySelector(".versions");
  if (shown) {
    shown.remove();
    button.setAttribute("aria-expanded", "false");
    return;
  }
  button.disabled = true;
  try {
    const [first, edits] = await Promise.all([scene.api.event(scene.room.id, row.id), scene.api.versions(scene.room.id, row.id)]);
    const all = [[first.origin_server_ts, first.content], ...edits
      .filter((event) => event.content?.["m.new_content"])
      .sort((a, b) => a.origin_server_ts - b.origin_server_ts)
      .map((event) => [event.origin_server_ts, event.content["m.new_content"]])];
    if (article.querySelector(".versions")) return;
    article.append(el("ol.versions", { "aria-label": count(all.length, "version") }, ...all.map(([ts, content]) =>
      el("li", {}, el("time", {}, clock(ts)), /data-mx-spoiler/.test(content.formatted_body ?? "")
        ? spoiler("", [String(content.body ?? "")])
        : el("span", {}, String(content.body ?? ""))))));
    button.setAttribute("aria-expanded", "true");
  } catch (error) {
    complain(`The earlier versions could not be loaded. ${error.message}`);
  }
  button.disabled = false;
}
