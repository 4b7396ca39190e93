// The page: what the chat knows, shown; what a person does, told to the chat.
import { Composer } from "./composer.js";
import { $, avatar, dress, make, say } from "./dom.js";
import { Log } from "./log.js";

const TRANSPORTS = { polling: "HTTP polling", websocket: "WebSocket", webtransport: "WebTransport", plain: "Plain WebSocket" };
const WITHOUT = "The browser’s own WebSocket, without Socket.IO: so the page does where the official client cannot be loaded.";
const NEAR = 80; // this close to the end, in pixels, one is reading what is new

export class View {
  constructor(chat, { onRename, onRooms }) {
    this.chat = chat;
    this.onRooms = onRooms;
    this.shown = undefined; // the room whose log is on the page
    this.scroll = $("scroll");
    this.log = new Log($("log"), {
      onImage: (entry) => this.#enlarge(entry),
      onAgain: (entry) => chat.resend(this.shown, entry),
      onSize: () => this.#follow(),
    });
    this.composer = new Composer({
      send: (text, pictures) => {
        for (const picture of pictures) chat.sayFile(chat.current, picture);
        if (text) chat.sayText(chat.current, text);
      },
      typing: () => chat.typing(),
    });
    this.#listen(onRename);
    this.#drawers();
    this.#connection();
    this.#rooms();
  }

  #listen(onRename) {
    const { chat } = this;
    chat.addEventListener("connection", () => this.#connection());
    chat.addEventListener("rooms", () => this.#rooms());
    chat.addEventListener("room", ({ detail: { room } }) => room === this.shown && this.#room());
    chat.addEventListener("entry", ({ detail: { room, entry } }) => room === this.shown && this.#entry(entry));
    chat.addEventListener("change", ({ detail: { entry } }) => this.log.change(entry));
    chat.addEventListener("problem", ({ detail: { message } }) => this.composer.complain(message));

    $("leave").addEventListener("click", () => chat.leave(this.shown.name));
    $("rename").addEventListener("click", onRename);
    $("newest").addEventListener("click", () => this.#end());
    this.scroll.addEventListener("scroll", () => {
      this.following = this.#near();
      if (this.following) $("newest").hidden = true;
    }, { passive: true });
    new ResizeObserver(() => this.#follow()).observe(this.scroll);
    document.addEventListener("visibilitychange", () => !document.hidden && chat.seen());

    const join = $("join"), error = join.querySelector(".error");
    join.addEventListener("submit", async (event) => {
      event.preventDefault();
      const field = join.elements.room, name = field.value.trim();
      if (!name) return;
      try {
        await chat.join(name);
        field.value = "";
        say(error, "");
        this.#drawer(undefined);
        this.composer.focus();
      } catch (problem) {
        say(error, problem.message);
        field.focus();
      }
    });
  }

  // --- connection

  #connection() {
    const { state, transport, before, attempt, reason } = this.chat.connection;
    const place = $("connection");
    place.dataset.state = state;
    place.dataset.transport = transport;
    place.title = transport === "plain" ? WITHOUT : "";
    const words = {
      connecting: "Connecting…",
      connected: "Connected",
      reconnecting: attempt > 1 ? `Reconnecting… (try ${attempt})` : "Reconnecting…",
      refused: "Refused",
    };
    place.querySelector(".state").textContent = words[state];
    const how = TRANSPORTS[transport] ?? transport;
    place.querySelector(".transport").textContent =
      state !== "connected" ? "" : before ? `${TRANSPORTS[before] ?? before} → ${how}` : how;

    $("where").textContent = state === "connected" ? ` · ${how}` : ""; // where the sidebar is out of sight
    if (this.shown) this.#room();

    const banner = $("banner");
    const retry = make("button", { type: "button", className: "quiet" }, "Try now");
    retry.addEventListener("click", () => this.chat.retry());
    if (state === "connected" || (state === "connecting" && !this.shown)) banner.replaceChildren();
    else if (state === "refused") banner.replaceChildren(`The server refused the connection: ${reason} `, retry);
    else if (state === "reconnecting") {
      banner.replaceChildren(navigator.onLine ? "The connection is lost. What you write is sent when it is back. " : "This device is offline. What you write is sent when it is back. ", retry);
    } else banner.replaceChildren("Connecting…");
    banner.hidden = banner.childNodes.length === 0;
  }

  // --- rooms

  #rooms() {
    const { chat } = this;
    const items = [...chat.rooms.values()].map((room) => {
      const button = make("button", { type: "button" }, make("span", { className: "hash", ariaHidden: "true" }, "#"), make("span", { className: "name" }, room.name));
      if (room === chat.current) button.setAttribute("aria-current", "page");
      if (room.unread) button.append(make("span", { className: "badge", ariaLabel: `${room.unread} new` }, room.unread > 99 ? "99+" : String(room.unread)));
      button.addEventListener("click", () => {
        chat.show(room.name);
        this.#drawer(undefined);
        this.composer.focus();
      });
      return make("li", {}, button);
    });
    const focused = $("rooms").contains(document.activeElement);
    $("rooms").replaceChildren(...items);
    if (focused) $("rooms").querySelector("[aria-current]")?.focus();

    const unread = [...chat.rooms.values()].reduce((sum, room) => sum + room.unread, 0);
    say($("elsewhere"), unread ? (unread > 99 ? "99+" : String(unread)) : "");
    const title = chat.current ? `#${chat.current.name} · Perch` : "Perch";
    document.title = unread ? `(${unread}) ${title}` : title;
    $("me").textContent = chat.name;
    dress($("me-avatar"), chat.name);

    if (this.shown !== chat.current) {
      this.shown = chat.current;
      this.log.show(this.shown?.entries ?? []);
      this.#end();
    }
    this.#room();
    this.onRooms();
  }

  /** The shown room's heading, people and who is typing. */
  #room() {
    const room = this.shown;
    $("title").textContent = room ? `# ${room.name}` : "No room";
    $("leave").hidden = $("open-people").hidden = !room;
    this.composer.enable(Boolean(room));
    this.#empty();
    if (!room) {
      $("subtitle").textContent = "";
      $("members").replaceChildren();
      $("typing").textContent = "";
      return;
    }
    const { length } = room.members;
    if (room.error) {
      const again = make("button", { type: "button", className: "quiet" }, "Join again");
      again.addEventListener("click", () => this.chat.again(room));
      $("subtitle").replaceChildren(`Not in this room: ${room.error} `, again);
    } else $("subtitle").textContent = !this.chat.socket.connected ? "Not connected"
      : !room.inside ? "Joining…"
      : length === 1 ? "Only you are here" : `${length} people`;

    let me = false;
    $("people-title").textContent = length ? `People · ${length}` : "People";
    $("members").replaceChildren(...room.members.toSorted((a, b) => a.localeCompare(b)).map((name) => {
      const item = make("li", {}, avatar(name), make("span", { className: "name" }, name));
      if (name === this.chat.name && !me) {
        me = true;
        item.append(make("span", { className: "you" }, "you"));
      }
      return item;
    }));

    const names = [...room.typing.keys()];
    $("typing").textContent = names.length === 0 ? ""
      : names.length === 1 ? `${names[0]} is typing…`
      : names.length === 2 ? `${names[0]} and ${names[1]} are typing…`
      : "Several people are typing…";
  }

  #empty() {
    const room = this.shown;
    say($("empty"), !room ? "You are in no room. Join one to start talking."
      : room.entries.length === 0 ? "Nothing was said here yet. Say hello!" : "");
  }

  // --- what was said

  #entry(entry) {
    const { entries } = this.shown, at = entries.lastIndexOf(entry);
    const follow = (entry.mine && at === entries.length - 1) || this.following || this.#near();
    if (at >= 0) this.log.add(entries, at); // not if it is older than what is kept
    this.log.trim(entries);
    this.#empty();
    if (follow) this.#end();
    else if (entry.kind !== "presence") $("newest").hidden = false;
  }

  #near() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroll;
    return scrollHeight - scrollTop - clientHeight < NEAR;
  }

  #end() {
    this.following = true;
    $("newest").hidden = true;
    this.scroll.scrollTop = this.scroll.scrollHeight;
  }

  /** Stays at the end when the room for the log or a picture in it changes. */
  #follow() {
    if (this.following) this.#end();
  }

  #enlarge(entry) {
    const viewer = $("viewer"), image = viewer.querySelector("img");
    image.src = entry.url;
    image.alt = entry.file;
    viewer.querySelector("p").textContent = `${entry.file}, from ${entry.mine ? "you" : entry.name}`;
    viewer.addEventListener("click", (event) => event.target === viewer && viewer.close(), { once: true });
    viewer.showModal();
  }

  // --- on small screens, what does not fit slides in

  #drawers() {
    const toggle = { sidebar: $("open-rooms"), people: $("open-people") };
    for (const [id, button] of Object.entries(toggle)) {
      button.addEventListener("click", () => this.#drawer($(id).classList.contains("open") ? undefined : id));
    }
    $("shade").addEventListener("click", () => this.#drawer(undefined));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !$("shade").hidden) this.#drawer(undefined);
    });
    this.slides = { sidebar: matchMedia("(max-width: 720px)"), people: matchMedia("(max-width: 1020px)") };
    for (const query of Object.values(this.slides)) query.addEventListener("change", () => this.#drawer(undefined));
    this.toggles = toggle;
    this.#drawer(undefined);
  }

  #drawer(open) {
    for (const [id, query] of Object.entries(this.slides)) {
      const panel = $(id), wasOpen = panel.classList.contains("open");
      panel.classList.toggle("open", id === open);
      panel.inert = query.matches && id !== open; // out of sight is out of the tab order
      this.toggles[id].setAttribute("aria-expanded", String(id === open));
      if (id === open) panel.querySelector("button, input, li")?.focus();
      else if (wasOpen && !open && query.matches) this.toggles[id].focus();
    }
    $("shade").hidden = !open;
  }
}
