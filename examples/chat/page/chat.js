// The conversation without its looks: a connection, rooms, and what was said in them. It tells what has changed by
// events; nothing here knows the page.
import { fromWire } from "./connection.js";
import { objectURL, pictureType } from "./images.js";

const ANSWER = 10_000; // how long an answer may take, in ms
const TYPING_SAID = 2_000; // how often to say that one is typing
const TYPING_SEEN = 4_000; // how long that is believed of somebody else
const KICKED = 3_000; // how long to wait after the server has closed the connection on purpose
const KEPT = 500; // entries kept per room

/** A room one is in, or wants to be in again once connected. */
class Room {
  constructor(name) {
    this.name = name;
    this.members = [];
    this.typing = new Map(); // name → timer
    this.entries = [];
    this.unread = 0;
    this.returning = undefined; // was read before: what is new in its history was missed
    this.inside = false; // the server has said so, on this connection
    this.error = "";
  }
}

/**
 * Events: "connection"; "rooms" (which there are, unread counts); "room" {room} (people, typing, error);
 * "entry" {room, entry} (something was said); "change" {room, entry} (its fate is known); "problem" {message}.
 */
export class Chat extends EventTarget {
  rooms = new Map();
  current = null;
  name = "";
  mine = new Set(); // ids of what was said here, even before the page was loaded again
  connection = { state: "connecting", transport: "", before: "", attempt: 0, reason: "" };
  #serial = 0;
  #said = 0;

  /** socket is the official client's, or another of its shape. */
  constructor(socket) {
    super();
    this.socket = socket;
    this.#watch(socket);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #status(changes) {
    Object.assign(this.connection, changes);
    this.#tell("connection");
  }

  #watch(socket) {
    const manager = socket.io;
    manager.on("open", () => {
      const { engine } = manager;
      this.#status({ transport: engine.transport.name, before: "" });
      engine.on("upgrade", (to) => this.#status({ before: this.connection.transport, transport: to.name }));
    });
    manager.on("reconnect_attempt", (attempt) => this.#status({ state: "reconnecting", attempt }));

    socket.on("connect", () => {
      this.#status({ state: "connected", attempt: 0, reason: "" });
      for (const room of this.rooms.values()) this.#enter(room);
    });
    socket.on("disconnect", (reason) => {
      this.#outside();
      this.#status({ state: "reconnecting", transport: "", before: "", reason });
      if (!socket.active && reason !== "io client disconnect") setTimeout(() => socket.connect(), KICKED);
    });
    socket.on("connect_error", (error) => {
      // Refused by the server: the client tries again by itself only when it could not reach it.
      if (!socket.active) this.#status({ state: "refused", reason: error.message });
      else if (this.connection.state === "connecting") this.#status({ state: "reconnecting", reason: error.message });
    });

    socket.on("joined", ({ room, name }) => this.#presence(room, name, true));
    socket.on("left", ({ room, name }) => this.#presence(room, name, false));
    socket.on("typing", ({ room, name }) => this.#types(this.rooms.get(room), name));
    socket.on("message", (message) => this.#receive(textOf(message)));
    socket.on("file", (file) => this.#receive(fileOf(file)));
    socket.on("history", ({ message, file }) => this.#recall(message ? textOf(message) : fileOf(file)));
    socket.on("exception", (error) => this.#tell("problem", { message: error?.message ?? "The server refused that." }));
  }

  /** Connects at once instead of when it is next tried. */
  retry() {
    if (this.socket.connected) return;
    this.socket.disconnect();
    this.#status({ state: "connecting", reason: "" });
    this.socket.connect();
  }

  /** Asks the server. An error it answers, or none in time, is thrown as a person may read it. */
  async #ask(event, payload) {
    let answer;
    try {
      answer = await this.socket.timeout(ANSWER).emitWithAck(event, payload);
    } catch {
      throw new Error(this.socket.connected ? "The server did not answer in time." : "The connection broke before the server answered.");
    }
    if (answer?.status === "error") throw Object.assign(new Error(answer.message), { code: answer.code, details: answer.details });
    return answer;
  }

  /** Joins a room, or shows it when already there. It throws what the server has against it. */
  async join(name) {
    let room = this.rooms.get(name);
    if (!room) {
      room = new Room(name);
      if (this.socket.connected) await this.#admit(room);
      this.rooms.set(name, room);
      if (room.inside) this.#read(room);
    }
    this.show(name);
  }

  async #admit(room) {
    const { members } = await this.#ask("join", { room: room.name, name: this.name });
    room.members = members;
    room.inside = true;
    room.error = "";
  }

  /** Asks what was said before one came, or while one was away. */
  #read(room) {
    room.returning = room.returning !== undefined;
    this.socket.emit("history", { room: room.name, after: room.entries.findLast(({ id }) => id)?.id ?? "" });
  }

  /** Joins again after the connection was made anew, and says what was meant to be said meanwhile. */
  async #enter(room) {
    try {
      await this.#admit(room);
      this.#read(room);
      for (const entry of room.entries) if (entry.state === "waiting") this.#send(room, entry);
    } catch (error) {
      if (!this.socket.connected) return; // the next connect tries again
      room.error = error.message;
    }
    this.#tell("room", { room });
  }

  /** Joins a room again that could not be joined. */
  again(room) {
    room.error = "";
    this.#tell("room", { room });
    if (this.socket.connected) this.#enter(room);
  }

  show(name) {
    this.current = this.rooms.get(name) ?? null;
    if (this.current) this.current.unread = 0;
    this.#tell("rooms");
  }

  leave(name) {
    const room = this.rooms.get(name);
    if (!room) return;
    if (room.inside) this.socket.emit("leave", { room: name });
    for (const timer of room.typing.values()) clearTimeout(timer);
    for (const entry of room.entries) forget(entry);
    this.rooms.delete(name);
    if (this.current === room) this.current = [...this.rooms.values()].at(-1) ?? null;
    this.show(this.current?.name);
  }

  /** Goes by another name, in every room. */
  async rename(name) {
    const before = this.name;
    this.name = name;
    if (!this.socket.connected) return;
    try {
      await Promise.all([...this.rooms.values()].map((room) => this.#admit(room)));
    } catch (error) {
      this.name = before;
      throw error;
    } finally {
      for (const room of this.rooms.values()) this.#tell("room", { room });
    }
  }

  sayText(room, text) {
    this.#said = 0;
    this.#say(room, { kind: "text", text });
  }

  sayFile(room, { name, type, data }) {
    this.#say(room, { kind: "file", file: name, type, data, url: objectURL(data, type) });
  }

  #say(room, what) {
    const entry = { key: ++this.#serial, name: this.name, mine: true, at: new Date(), state: "waiting", ...what };
    this.#add(room, entry);
    if (room.inside) this.#send(room, entry);
  }

  /** Sends an entry that has not been, or that failed. */
  resend(room, entry) {
    entry.state = "waiting";
    this.#tell("change", { room, entry });
    if (room.inside) this.#send(room, entry);
  }

  async #send(room, entry) {
    entry.state = "sending";
    this.#tell("change", { room, entry });
    try {
      const answer = entry.kind === "text"
        ? await this.#ask("message", { room: room.name, text: entry.text })
        : await this.#ask("file", { room: room.name, name: entry.file, data: entry.data });
      this.#sent(entry, answer ?? {});
    } catch (error) {
      if (entry.state === "sent") return; // the answer was lost, the message was not: it has come back to us
      entry.state = "failed";
      entry.error = error.message;
    }
    this.#tell("change", { room, entry });
  }

  #sent(entry, { id, at }) {
    entry.state = "sent";
    entry.id ??= id;
    if (at) entry.at = new Date(at);
    entry.data = undefined; // shown from its URL
    this.mine.add(entry.id);
  }

  /** Somebody said something just now. */
  #receive(what) {
    const room = this.rooms.get(what.room);
    if (!room) return;
    this.#stops(room, what.name);
    if (this.#known(room, what, ["sending"])) return;
    this.#add(room, this.#heard(what));
  }

  /** Somebody said something before: it belongs behind the last thing that the server has an earlier time of. */
  #recall(what) {
    const room = this.rooms.get(what.room);
    if (!room || this.#known(room, what, ["sending", "failed"])) return;
    const entry = this.#heard(what);
    entry.mine = this.mine.has(entry.id);
    const before = room.entries.findLastIndex(({ id, at }) => id && at <= entry.at);
    this.#add(room, entry, before + 1, room.returning);
  }

  /** What is here already, or was said here: it comes back, perhaps before the answer that knows its id. */
  #known(room, what, states) {
    if (room.entries.some(({ id }) => id === what.id)) return true;
    const ours = room.entries.find((entry) => entry.mine && !entry.id && states.includes(entry.state) && entry.kind === what.kind
      && entry.name === what.name && (what.kind === "text" ? entry.text === what.text : entry.file === what.file && entry.data?.length === what.data.byteLength));
    if (!ours) return false;
    this.#sent(ours, what);
    this.#tell("change", { room, entry: ours });
    return true;
  }

  #heard({ room: _, data, ...what }) {
    const entry = { key: ++this.#serial, mine: false, state: "sent", ...what };
    if (data) {
      entry.type = pictureType(new Uint8Array(data));
      entry.url = objectURL(data, entry.type);
    }
    return entry;
  }

  #add(room, entry, index = room.entries.length, news = true) {
    room.entries.splice(index, 0, entry);
    while (room.entries.length > KEPT) forget(room.entries.shift());
    this.#tell("entry", { room, entry });
    if (news && entry.kind !== "presence" && !entry.mine && (room !== this.current || document.hidden)) {
      room.unread++;
      this.#tell("rooms");
    }
  }

  #presence(roomName, name, here) {
    const room = this.rooms.get(roomName);
    if (!room) return;
    this.#stops(room, name);
    if (here) room.members.push(name);
    else {
      const at = room.members.indexOf(name);
      if (at >= 0) room.members.splice(at, 1);
    }
    this.#add(room, { key: ++this.#serial, kind: "presence", name, here, at: new Date() });
    this.#tell("room", { room });
  }

  /** Says that one is typing, now and then. */
  typing() {
    const now = Date.now();
    if (!this.current?.inside || now - this.#said < TYPING_SAID) return;
    this.#said = now;
    this.socket.volatile.emit("typing", { room: this.current.name });
  }

  #types(room, name) {
    if (!room) return;
    clearTimeout(room.typing.get(name));
    room.typing.set(name, setTimeout(() => this.#stops(room, name), TYPING_SEEN));
    this.#tell("room", { room });
  }

  #stops(room, name) {
    if (!room.typing.has(name)) return;
    clearTimeout(room.typing.get(name));
    room.typing.delete(name);
    this.#tell("room", { room });
  }

  #outside() {
    for (const room of this.rooms.values()) {
      room.inside = false;
      for (const name of [...room.typing.keys()]) this.#stops(room, name);
      this.#tell("room", { room });
    }
  }

  /** The current room was looked at. */
  seen() {
    if (!this.current?.unread) return;
    this.current.unread = 0;
    this.#tell("rooms");
  }
}

const textOf = ({ id, room, name, text, at }) => ({ kind: "text", id, room, name, text: String(text), at: new Date(at) });
const fileOf = ({ id, room, name, from, data, at }) =>
  ({ kind: "file", id, room, name: from, file: String(name), data: fromWire(data), at: new Date(at) });

function forget(entry) {
  if (entry.url) URL.revokeObjectURL(entry.url);
}
