// Markup: formatted message text turned into DOM nodes through a strict allow-list. Nothing is ever set as HTML.

import { el } from "./dom.js";

/** Allowed elements, and what each becomes. */
const ALLOWED = new Map(Object.entries({
  B: "strong", STRONG: "strong", I: "em", EM: "em", U: "u", INS: "u", S: "s", DEL: "s", STRIKE: "s",
  CODE: "code", PRE: "pre", BLOCKQUOTE: "blockquote", P: "p", DIV: "p", BR: "br", HR: "hr", SUB: "sub", SUP: "sup",
  UL: "ul", OL: "ol", LI: "li", H1: "h5", H2: "h5", H3: "h5", H4: "h6", H5: "h6", H6: "h6",
}));
/** Elements whose content goes with them. */
const DROPPED = new Set(["SCRIPT", "STYLE", "MX-REPLY", "TEMPLATE", "IFRAME", "OBJECT", "SVG", "MATH", "TITLE", "NOSCRIPT", "TEXTAREA", "SELECT"]);
const DEPTH = 40;
const NODES = 4000;
const ADDRESS = /https?:\/\/[^\s<>"'\u0000-\u001f]+/gi;

/** Nodes for a message's formatted text. */
export function formatted(html) {
  const parsed = new DOMParser().parseFromString(html.slice(0, 200000), "text/html");
  return children(parsed.body, { left: NODES }, 0);
}

/** Nodes for plain text: addresses become links, line breaks stay (CSS keeps them). */
export function plain(text) {
  const nodes = [];
  let from = 0;
  for (const found of text.matchAll(ADDRESS)) {
    const address = found[0].replace(/[.,;:!?)\]}]+$/, "");
    nodes.push(text.slice(from, found.index), link(address, [address]));
    from = found.index + address.length;
  }
  nodes.push(text.slice(from));
  return nodes;
}

/** Text with the searched words marked. */
export function marked(text, words) {
  const wanted = words.filter(Boolean).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  if (!wanted.length) return [text];
  return text.split(new RegExp(`(${wanted.join("|")})`, "giu")).map((piece, at) => (at % 2 ? el("mark", {}, piece) : piece));
}

/** Text that hides until it is asked for. */
export function spoiler(reason, inside) {
  const content = el("span", { hidden: true, tabindex: "-1" }, ...inside);
  const button = el("button.spoiler", { type: "button", onclick: () => {
    content.hidden = false;
    content.focus();
    button.remove();
  } }, reason ? `Hidden (${reason}): show` : "Hidden: show");
  return el("span", {}, button, content);
}

function children(node, budget, depth) {
  const made = [];
  for (const child of node.childNodes) {
    if (budget.left-- <= 0) break;
    if (child.nodeType === Node.TEXT_NODE) made.push(...plain(child.data));
    else if (child.nodeType === Node.ELEMENT_NODE) made.push(...element(child, budget, depth));
  }
  return made;
}

function element(node, budget, depth) {
  const name = node.nodeName.toUpperCase();
  if (DROPPED.has(name)) return [];
  if (depth >= DEPTH) return [node.textContent];
  if (name === "A") {
    const inside = node.textContent;
    const address = node.getAttribute("href") ?? "";
    return /^https:\/\/matrix\.to\/#\/(@|%40)/i.test(address) ? [el("span.mention", {}, inside)] : [link(address, [inside])];
  }
  if (name === "IMG") return [node.getAttribute("alt") ?? ""];
  const inside = children(node, budget, depth + 1);
  if (node.hasAttribute("data-mx-spoiler")) return [spoiler(node.getAttribute("data-mx-spoiler"), inside)];
  const tag = ALLOWED.get(name);
  if (!tag) return inside;
  return [el(tag, tag === "ol" ? { start: /^\d{1,6}$/.exec(node.getAttribute("start") ?? "")?.[0] } : {}, ...inside)];
}

function link(address, inside) {
  const safe = /^(https?:\/\/|mailto:|tel:)/i.test(address.trim());
  if (!safe) return el("span", {}, ...inside);
  return el("a", { href: address.trim(), target: "_blank", rel: "noopener noreferrer nofollow" }, ...inside);
}
