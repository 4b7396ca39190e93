// What was said, as a list. Each entry is one element for good; what becomes of it changes that element only, so that
// a screen reader hears every message once.
import { avatar, make } from "./dom.js";

const TOGETHER = 5 * 60_000; // what one person says within that time is one block
const LINK = /\bhttps?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]]/giu;

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const calendar = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

export class Log {
  #elements = new Map(); // entry → element

  constructor(list, { onImage, onAgain, onSize }) {
    Object.assign(this, { list, onImage, onAgain, onSize });
  }

  /** Shows a room's entries instead of what was there. They are not news, so they are not announced. */
  show(entries) {
    this.#elements.clear();
    this.list.replaceChildren();
    entries.forEach((_, at) => this.#insert(entries, at));
    this.#quiet();
  }

  /** Shows the entry at an index where it belongs; only what is said at the end is announced. */
  add(entries, at) {
    this.#insert(entries, at);
    if (at === entries.length - 1) return;
    this.#group(entries, at + 1);
    this.#quiet();
  }

  #quiet() {
    this.list.ariaLive = "off";
    requestAnimationFrame(() => (this.list.ariaLive = "polite"));
  }

  #insert(entries, at) {
    const entry = entries[at];
    const item = entry.kind === "presence" ? this.#presence(entry) : this.#said(entry);
    this.#elements.set(entry, item);
    this.list.insertBefore(item, this.#elements.get(entries[at + 1]) ?? null);
    this.#group(entries, at);
  }

  /** What one person says is one block. */
  #group(entries, at) {
    const entry = entries[at], last = entries[at - 1];
    const follows = last && last.kind !== "presence" && last.name === entry.name && last.mine === entry.mine && entry.at - last.at < TOGETHER;
    this.#elements.get(entry).classList.toggle("follows", Boolean(follows));
  }

  /** Removes what the chat no longer keeps. */
  trim(entries) {
    const kept = new Set(entries);
    for (const [entry, element] of this.#elements) {
      if (kept.has(entry)) continue;
      element.remove();
      this.#elements.delete(entry);
    }
  }

  change(entry) {
    const element = this.#elements.get(entry);
    if (element) this.#fate(element, entry);
  }

  #presence({ name, here }) {
    return make("p", { className: "presence" }, make("strong", {}, name), here ? " joined" : " left");
  }

  #said(entry) {
    const item = make("div", { className: `said${entry.mine ? " mine" : ""}` });
    if (!entry.mine) item.append(avatar(entry.name));
    const body = make("div", { className: "body" });
    if (!entry.mine) body.append(make("p", { className: "who" }, entry.name));
    body.append(this.#content(entry), make("p", { className: "fate" }));
    item.append(body);
    this.#fate(item, entry);
    return item;
  }

  #content(entry) {
    const time = make("time");
    if (entry.kind === "text") return make("p", { className: "text" }, make("span", {}, ...linked(entry.text)), " ", time);
    if (!entry.type) {
      return make("p", { className: "text" }, make("a", { href: entry.url, download: entry.file }, `Save “${entry.file}”`), " ", time);
    }
    const picture = make("img", { src: entry.url, alt: `Image from ${entry.mine ? "you" : entry.name}: ${entry.file}` });
    picture.addEventListener("load", () => this.onSize());
    const button = make("button", { type: "button", className: "picture", title: entry.file }, picture);
    button.addEventListener("click", () => this.onImage(entry));
    return make("div", {}, button, time);
  }

  #fate(item, entry) {
    const time = item.querySelector("time");
    time.textContent = clock.format(entry.at);
    time.dateTime = entry.at.toISOString();
    time.title = calendar.format(entry.at);
    item.dataset.state = entry.state;
    const fate = item.querySelector(".fate");
    switch (entry.state) {
      case "waiting":
        fate.replaceChildren("Will be sent when connected");
        break;
      case "sending":
        fate.replaceChildren("Sending…");
        break;
      case "failed": {
        const again = make("button", { type: "button", className: "quiet" }, "Send again");
        again.addEventListener("click", () => this.onAgain(entry));
        fate.replaceChildren(`Not sent: ${entry.error} `, again);
        break;
      }
      default:
        fate.replaceChildren();
    }
  }
}

/** Text with its web addresses as links. */
function linked(text) {
  const parts = [];
  let at = 0;
  for (const { 0: address, index } of text.matchAll(LINK)) {
    parts.push(text.slice(at, index), make("a", { href: address, target: "_blank", rel: "noopener noreferrer nofollow" }, address));
    at = index + address.length;
  }
  parts.push(text.slice(at));
  return parts;
}
