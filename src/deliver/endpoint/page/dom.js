// DOM: one function that makes elements, and the words and numbers that several parts of the page write.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Makes an element: `el("p.note", { id: "x", onclick: f }, "text", child)`. Attributes that are false or null are left
 * out, functions become listeners, text is always text.
 */
export function el(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  return dress(document.createElement(tag), classes, attributes, children);
}

/** The same for SVG. */
export function svg(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  return dress(document.createElementNS(SVG, tag), classes, attributes, children);
}

function dress(node, classes, attributes, children) {
  if (classes.length) node.setAttribute("class", classes.join(" "));
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (typeof value === "function") node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An icon of the sprite in index.html. */
export function icon(name) {
  return svg("svg.icon", { "aria-hidden": "true" }, svg("use", { href: `#i-${name}` }));
}

const whole = new Intl.NumberFormat();
const clockFormat = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const dayFormat = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
const dayShort = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const dayYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "short" });
const dateFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "long" });
const fullFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" });

/** 1,234,567 */
export const number = (n) => whole.format(n ?? 0);
/** 14:05 */
export const clock = (ms) => clockFormat.format(ms);
/** Monday, 4 May 2026 */
export const day = (ms) => dayFormat.format(ms);
/** 4 May 2026 */
export const date = (ms) => dateFormat.format(ms);
/** Monday, 4 May 2026 at 14:05 */
export const moment = (ms) => fullFormat.format(ms);
/** "1 message", "2 messages" */
export const count = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;

/** The day a time falls on, as a number that differs from day to day where the reader is. */
export function dayNumber(ms) {
  const date = new Date(ms);
  return date.getFullYear() * 512 + date.getMonth() * 32 + date.getDate();
}

/** As short as a list wants it: the time today, the weekday this week, else the date. */
export function when(ms) {
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(ms).setHours(0, 0, 0, 0)) / 864e5);
  if (days === 0) return clock(ms);
  if (days > 0 && days < 7) return weekday.format(ms);
  return (days < 300 ? dayShort : dayYear).format(ms);
}

/** 482 KB */
export function bytes(n) {
  const units = ["bytes", "KB", "MB", "GB", "TB"];
  let at = 0;
  let left = n ?? 0;
  while (left >= 999.5 && at < units.length - 1) {
    left /= 1000;
    at += 1;
  }
  return `${at && left < 10 ? left.toFixed(1) : Math.round(left)} ${units[at]}`;
}

/** 2 h 5 min, 40 s */
export function span(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min${s < 600 && s % 60 ? ` ${s % 60} s` : ""}`;
  if (s < 172800) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} days`;
}

let sayTimer = 0;
/** Has a screen reader say something when it is free; what comes quickly after replaces it. */
export function say(text) {
  clearTimeout(sayTimer);
  sayTimer = setTimeout(() => {
    document.getElementById("live").textContent = text;
  }, 150);
}

let errorTimer = 0;
/** Shows and announces that something failed; `null` takes it away. */
export function complain(text, stays = false) {
  const box = document.getElementById("trouble");
  clearTimeout(errorTimer);
  if (box.textContent !== (text ?? "")) box.textContent = text ?? "";
  box.hidden = !text;
  if (text && !stays) errorTimer = setTimeout(() => complain(null), 10000);
}

/**
 * One tab stop for a list: the arrow keys, j, k, Home and End move among the `items()`; Enter is the item's own.
 */
export function roving(list, items) {
  const settle = (to) => {
    for (const item of items()) item.tabIndex = item === to ? 0 : -1;
  };
  list.addEventListener("focusin", (event) => {
    const item = items().find((one) => one.contains(event.target));
    if (item) settle(item);
  });
  list.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const all = items();
    const at = all.findIndex((one) => one.contains(document.activeElement));
    const to = { ArrowDown: at + 1, j: at + 1, ArrowUp: at - 1, k: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    all[Math.min(all.length - 1, Math.max(0, to))]?.focus();
  });
  return () => {
    const all = items();
    const current = all.find((one) => one.tabIndex === 0) ?? all[0];
    if (current) settle(current);
  };
}
