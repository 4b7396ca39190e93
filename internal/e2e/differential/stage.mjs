// The stage of one script on one server: the clients it makes (the official one, or bytes by hand) write down all that
// they see.
import http from "node:http";
import { brotliDecompressSync, gunzipSync, inflateSync } from "node:zlib";
import { io } from "socket.io-client";
import { Frames, SEPARATOR, address } from "../wire.mjs";
import { PATIENCE, eventually, next, pause, within } from "../support.mjs";
import { Record, line, show } from "./record.mjs";

const cached = new Map();

/** Asks the harness of one side for something. */
async function ask(control, what, query) {
  const response = await fetch(`${control}/${what}?${new URLSearchParams(query)}`);
  const body = await response.text();
  if (!response.ok) throw new Error(`${what} ${Object.values(query)}: ${body}`);
  return body;
}

export const ways = { websocket: ["websocket"], polling: ["polling"], upgrade: ["polling", "websocket"] };

/** The headers worth comparing: those a client or a proxy acts on. All our answers have x-content-type-options (S-80). */
const compared = /^(content-type|content-encoding|cache-control|set-cookie|vary|etag|location|access-control-.*|x-(?!content-type-options$).*)$/;

export class Stage {
  record = new Record();
  ends = [];
  clients = [];

  constructor(side, control, number) {
    Object.assign(this, { side, control, number });
  }

  /** A name for a room or the like that no other script uses. */
  own = (name) => `${name}-${this.number}`;

  /** The URL of a server of that configuration; scripts share it unless they ask for a fresh one. */
  server(configuration = "plain", fresh = false) {
    const make = () => ask(this.control, "server", { configuration });
    if (fresh) return make();
    const name = `${this.side} ${configuration}`;
    if (!cached.has(name)) cached.set(name, make());
    return cached.get(name);
  }

  /** Shuts a server down that nobody else uses. */
  shutdown = (url) => ask(this.control, "shutdown", { server: url });

  /** Writes down what the script found out by itself. */
  note = (what, value) => this.record.write("script", `${what}: ${show(value)}`);

  /** Ids as their names, in an order that does not depend on them. */
  sorted = (values) => values.map((value) => this.record.masked(show(value))).sort();

  /** An official client, connected unless connect is false. */
  async client(name, { server, url, namespace = "/", way = "websocket", connect = true, query, of = io, offsets = false, ...options } = {}) {
    const base = url ?? (await this.server(server));
    const client = of(base + namespace, {
      forceNew: true, reconnection: false, transports: ways[way], query: { key: this.own(name), ...query }, ...options,
    });
    const actor = new Client(this, name, client, base, offsets);
    actor.upgrades = way === "upgrade";
    this.clients.push(actor);
    if (connect) await actor.connected();
    return actor;
  }

  /** A second namespace on another client's connection. */
  async beside(name, other, namespace, options = {}, connect = true) {
    const actor = new Client(this, name, other.socket.io.socket(namespace, options), other.base, false);
    this.clients.push(actor);
    if (connect) await actor.connected();
    return actor;
  }

  /** A WebSocket by hand. */
  async ws(name, { server, url, path = "/socket.io/", query, open = true, offsets = false, ...options } = {}) {
    const base = url ?? (await this.server(server));
    const actor = new Raw(this, name, Frames.dial(base, path, { key: this.own(name), ...query }, options));
    actor.offsets = offsets;
    actor.frames.ws.on("upgrade", (response) => (actor.upgrade = shownHeaders(response)));
    this.ends.push(() => actor.frames.ws.terminate());
    try {
      await within(actor.frames.opened, "a WebSocket");
    } catch (err) {
      actor.refused = true;
      this.record.write(name, err.status ? `refused ${err.status} ${show(err.body)}` : `refused: ${err.message}`);
      return actor;
    }
    if (open) await actor.next();
    return actor;
  }

  /** A polling session by hand. */
  async polling(name, { server, url, path = "/socket.io/", query } = {}) {
    const actor = new Poller(this, name, url ?? (await this.server(server)), path, query);
    await actor.get();
    return actor;
  }

  /** One request by hand; what comes back is written down. */
  async http(name, method, target, { server, url, headers, body, hide = [], bodyShown = true, patience } = {}) {
    const base = url ?? (await this.server(server));
    const keyed = `${target}${target.includes("?") ? "&" : "?"}key=${this.own(name)}`;
    let answer;
    try {
      answer = await request(base, method, keyed, headers, body, patience);
    } catch (err) {
      if (!patience) throw err;
      this.record.write(name, `${method} ${target}: no answer`);
      return {};
    }
    this.record.write(name, `${method} ${target}: ${answer.status}${bodyShown ? ` ${show(answer.body)}` : ""}`);
    for (const header of shownHeaders(answer)) if (!hide.includes(header.split(":")[0])) this.record.write(name, `  ${header}`);
    for (const [, kind, id] of answer.body.matchAll(/"(sid|pid)\\?":\\?"([\w-]+)/g)) this.record.name(id, `${kind} of ${name}`);
    this.record.name(answer.headers.etag, "etag");
    return answer;
  }

  /** What the server noted of a client, once check is satisfied by its entries or an entry is called so. */
  async journal(actor, check = () => true, only = () => true) {
    const done = typeof check === "string" ? (entries) => entries.some(([what]) => what === check) : check;
    const key = this.own(actor.name);
    const entries = await eventually(async () => {
      const list = JSON.parse(await ask(this.control, "journal", { server: actor.base, key }));
      return done(list) && list;
    }, `the journal of ${actor.name}`);
    // Whether an official client still asks for a session that is over is a matter of moments.
    const shown = ([what]) => only(what) && !(actor instanceof Client && what === "connection_error");
    for (const entry of entries.filter(shown)) this.record.write(actor.name, `journal ${entry.map(show).join(" ")}`);
    return entries;
  }

  /** The names that namespaces were made of so far at a server, a name as often as it was made. */
  async made(url, prefix) {
    const entries = JSON.parse(await ask(this.control, "journal", { server: url, key: "namespaces" }));
    this.note("made", entries.map(([, name]) => name).filter((name) => name.startsWith(prefix)));
  }

  /** Everything sent before has come when each client's question is answered. */
  sync = (...actors) =>
    Promise.all(actors.map(({ name, socket }) => within(new Promise((resolve) => socket.emit("echo", "sync", resolve)), `${name} to be answered`)));

  close() {
    for (const { socket } of this.clients) socket.disconnect();
    for (const end of this.ends) end();
  }
}

export function request(base, method, target, headers = {}, body = undefined, patience = PATIENCE) {
  const { hostname, port } = new URL(base);
  return within(
    new Promise((resolve, reject) => {
      const req = http.request({ hostname, port, method, path: target, headers, agent: false }, (res) => {
        const chunks = [];
        res.on("data", (chunk) => chunks.push(chunk));
        res.on("error", reject);
        res.on("end", () => resolve({ status: res.statusCode, headers: res.headers, body: plain(Buffer.concat(chunks), res.headers["content-encoding"]) }));
      });
      req.on("error", reject);
      req.end(body);
    }),
    `an answer to ${method} ${target}`,
    patience,
  );
}

/** What was compressed is compared as it was: two compressors need not agree on every byte. */
const plain = (body, encoding) =>
  (encoding === undefined || body.length === 0 ? body : { gzip: gunzipSync, deflate: inflateSync, br: brotliDecompressSync }[encoding](body)).toString();

/** The attributes of a cookie have no order. */
const ordered = (name, value) => (name === "set-cookie" ? [value].flat().map((cookie) => cookie.split("; ").sort().join("; ")) : value);

const shownHeaders = ({ headers }) =>
  Object.entries(headers).filter(([name]) => compared.test(name)).map(([name, value]) => `${name}: ${ordered(name, value)}`).sort();

/** An official client, whose events, acks and disconnects are written down. */
class Client {
  constructor(stage, name, socket, base, offsets) {
    Object.assign(this, { stage, name, socket, base, offsets });
    this.answers = {};
    this.mute = false; // it cannot ask: the script says so
    this.heardOf = new Map();
    this.write = (text) => stage.record.write(name, text);
    socket.on("connect", () => {
      stage.record.name(socket.id, `id of ${name}`);
      stage.record.name(socket.io.engine?.id, `sid of ${name}`);
      this.write(`connect${socket.recovered ? " recovered" : ""}`);
    });
    socket.on("connect_error", (err) => this.write(`connect_error ${show(err.message)} ${show(err.data)} ${socket.active ? "retried" : "final"}`));
    socket.on("disconnect", (reason) => this.write(`disconnect ${show(reason)}`));
    if (socket.onAny) socket.onAny((event, ...args) => this.heard(event, args));
    else this.listen2();
  }

  /** Clients of 2.x have no catch-all listener, and another event for a refusal. */
  listen2() {
    const { socket } = this;
    const handle = socket.onevent;
    socket.onevent = (packet) => {
      const [event, ...args] = packet.data;
      this.heard(event, packet.id === undefined ? args : [...args, socket.ack(packet.id)]);
      handle.call(socket, packet);
    };
    socket.on("error", (err) => this.write(`error ${show(err)}`));
  }

  heard(event, args) {
    const ack = typeof args.at(-1) === "function" ? args.at(-1) : undefined;
    const shown = args.map(show);
    if (this.offsets && typeof args.at(-1) === "string") shown[shown.length - 1] = "<offset>";
    this.write(`event ${show(event)} ${shown.join(" ")}`.trimEnd());
    this.heardOf.set(event, (this.heardOf.get(event) ?? 0) + 1);
    if (ack) this.answers[event]?.(ack, ...args.slice(0, -1));
  }

  /** Waits for n events of that name, counted from the beginning. */
  async hears(event, n = 1) {
    await eventually(() => (this.heardOf.get(event) ?? 0) >= n, `${n} of ${event} at ${this.name}`);
  }

  async connected() {
    if (!this.socket.connected) {
      const refused = new Promise((_, reject) => {
        this.socket.once("connect_error", reject);
        if (!this.socket.onAny) this.socket.once("error", (err) => reject(new Error(show(err))));
      });
      refused.catch(() => {});
      await within(Promise.race([next(this.socket, "connect"), refused]), `${this.name} to connect`);
    }
    const { engine } = this.socket.io;
    if (this.upgrades && engine.transport.name !== "websocket") await next(engine, "upgrade");
  }

  /** Waits for the refusal. */
  async refused() {
    await next(this.socket, this.socket.onAny ? "connect_error" : "error");
  }

  async gone() {
    if (this.socket.connected) await next(this.socket, "disconnect");
  }

  /** Asks the server for something; the answer is written down. */
  async ask(word, ...args) {
    const answer = await within(new Promise((resolve) => this.socket.emit(word, ...args, (...all) => resolve(all))), `the answer to ${word}`);
    this.write(`${word}: ${answer.map(show).join(" ")}`.trimEnd());
    return answer[0];
  }

  tell(word, ...args) {
    this.socket.emit(word, ...args);
  }
}

/** A WebSocket by hand, whose packets are written down. */
class Raw {
  constructor(stage, name, frames) {
    Object.assign(this, { stage, name, frames });
    const { protocol, host } = new URL(frames.ws.url);
    this.base = `${protocol === "wss:" ? "https" : "http"}://${host}`;
  }

  send(...packets) {
    for (const packet of packets) this.frames.send(packet);
  }

  /** The next packet, heartbeats left out unless they are not answered. */
  async next() {
    const packet = await this.frames.next();
    naming(this, packet);
    if (this.offsets && /^42[^\d]*\[/.test(packet)) {
      this.offset = JSON.parse(packet.slice(packet.indexOf("["))).at(-1);
      this.stage.record.name(this.offset, `offset of ${this.name}`);
    }
    this.stage.record.write(this.name, `< ${typeof packet === "string" ? line(inOrder(packet)) : show(packet)}`);
    return packet;
  }

  async several(n) {
    for (let i = 0; i < n; i++) await this.next();
  }

  /** Joins a namespace, or is refused. */
  async join(namespace = "") {
    this.send(`40${namespace}`);
    await this.next();
  }

  /** The end after what came before it; its code unless it is the ordinary one, which Node's server leaves out. */
  async ended() {
    const code = await this.frames.ended();
    while (this.frames.queue.length > 0) await this.next();
    this.stage.record.write(this.name, [1000, 1005].includes(code) ? "closed" : `closed ${code}`);
  }

  /** Whether the connection is still there after a while. */
  async stays(ms = 150) {
    const gone = await Promise.race([this.frames.closed.then(() => true), pause(ms)]);
    if (gone) return this.ended();
    this.stage.record.write(this.name, "still open");
  }

  /** Whether the session answers still or has ended. */
  async fate() {
    const answered = (async () => {
      this.frames.send('42["echo","alive"]');
      while (!`${await this.next()}`.startsWith('42["echo","alive"'));
    })();
    answered.catch(() => {}); // it ended: that is written down
    await Promise.race([answered, this.frames.closed]);
    if (this.frames.ws.readyState !== 1) await this.ended();
  }
}

/** An event or an ack, the keys of its objects in order: a map has none. */
function inOrder(packet) {
  const [, head, json] = /^(4[2356][^[]*)(\[.*\{.*)$/s.exec(packet) ?? [];
  const sorted = (key, value) =>
    value && typeof value === "object" && !Array.isArray(value) ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value;
  return json ? head + JSON.stringify(JSON.parse(json), sorted) : packet;
}

function naming(actor, packet) {
  if (typeof packet !== "string") return;
  const { stage, name } = actor;
  for (const [, kind, id] of packet.matchAll(/"(sid|pid)":"([^"]+)"/g)) {
    if (kind === "pid") actor.pid = id;
    stage.record.name(id, packet[0] === "0" ? `session of ${name}` : `${kind} of ${name}`);
  }
}

/** A polling session by hand, whose answers are written down. */
class Poller {
  constructor(stage, name, base, path, query = {}) {
    Object.assign(this, { stage, name, base, path, query });
  }

  /** The same session, written down under another name. */
  as(name) {
    return Object.assign(new Poller(this.stage, name, this.base, this.path, { key: this.stage.own(this.name) }), { sid: this.sid });
  }

  target(more = {}) {
    const url = address(this.base, this.path, { EIO: 4, transport: "polling", key: this.stage.own(this.name), sid: this.sid, ...this.query, ...more });
    return url.pathname + url.search;
  }

  shows(what, { status, body, headers }, withHeaders) {
    this.stage.record.write(this.name, `${what}: ${status} ${line(body)}`);
    if (withHeaders) for (const header of shownHeaders({ headers })) this.stage.record.write(this.name, `  ${header}`);
  }

  async get({ headers, query, shown = false, method = "GET" } = {}) {
    const answer = await request(this.base, method, this.target(query), headers);
    if (!this.sid && answer.body[0] === "0") {
      this.info = JSON.parse(answer.body.split(SEPARATOR)[0].slice(1));
      this.sid = this.info.sid;
    }
    for (const packet of answer.body.split(SEPARATOR)) naming(this, packet);
    this.shows(method === "GET" ? "poll" : method, answer, shown);
    return answer;
  }

  async post(body, { headers = { "content-type": "text/plain;charset=UTF-8" }, query, shown = false } = {}) {
    const answer = await request(this.base, "POST", this.target(query), headers, body);
    this.shows("post", answer, shown);
    return answer;
  }

  /** Polls until a packet is the one, each packet a line however they were batched. */
  async until(last) {
    for (;;) {
      const answer = await request(this.base, "GET", this.target());
      if (answer.status !== 200) return this.shows("poll", answer);
      for (const packet of answer.body.split(SEPARATOR)) {
        naming(this, packet);
        if (packet === "2") await request(this.base, "POST", this.target(), {}, "3");
        else if (packet !== "6") this.stage.record.write(this.name, `< ${line(inOrder(packet))}`);
      }
      if (answer.body.split(SEPARATOR).some((packet) => packet.startsWith(last))) return;
    }
  }

  async join(namespace = "") {
    await this.post(`40${namespace}`);
    await this.until("4");
  }
}
