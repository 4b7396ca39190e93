// The raw protocol, spoken by hand: polling over fetch, packets over a WebSocket, bytes over TCP.
// Nothing here knows the official client, so that what it hides (a wrong status, a lost key) is seen.
import net from "node:net";
import { randomBytes } from "node:crypto";
import { WebSocket } from "ws";
import { within, PATIENCE } from "./support.mjs";

const open = new Set();
/** Ends what a test left open: a WebSocket that answers pings would keep the process alive. */
export function endAll() {
  for (const end of open) end();
  open.clear();
}

export const SEPARATOR = "\x1e";

export function address(base, path, query) {
  const url = new URL(path, base);
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.set(key, value);
  }
  return url;
}

/** One session over HTTP long-polling. */
export class Polling {
  static async open(base, path, query = {}) {
    const session = new Polling();
    session.base = base;
    session.path = path;
    session.waiting = [];
    session.opening = await fetch(address(base, path, { EIO: 4, transport: "polling", ...query }));
    const body = await session.opening.text();
    if (session.opening.status !== 200) throw new Error(`handshake: ${session.opening.status} ${body}`);
    const [open, ...rest] = body.split(SEPARATOR);
    if (open[0] !== "0") throw new Error(`no open packet: ${body}`);
    session.info = JSON.parse(open.slice(1));
    session.waiting.push(...rest);
    return session;
  }

  url(query = {}) {
    return address(this.base, this.path, { EIO: 4, transport: "polling", sid: this.info.sid, ...query });
  }

  /** One GET, its packets as they came. */
  async poll(init) {
    const response = await within(fetch(this.url(), init), "an answer to a poll");
    const body = await response.text();
    return { status: response.status, headers: response.headers, body, packets: body.split(SEPARATOR) };
  }

  async post(body, init = {}) {
    const response = await within(
      fetch(this.url(), { method: "POST", headers: { "content-type": "text/plain;charset=UTF-8" }, ...init, body }),
      "an answer to a post",
    );
    return { status: response.status, headers: response.headers, body: await response.text() };
  }

  /** The next packet that is no heartbeat; heartbeats are answered. */
  async next() {
    for (;;) {
      while (this.waiting.length > 0) {
        const packet = this.waiting.shift();
        if (packet === "2") await this.post("3");
        else if (packet !== "6") return packet;
      }
      const { status, body, packets } = await this.poll();
      if (status !== 200) throw new Error(`poll: ${status} ${body}`);
      this.waiting.push(...packets);
    }
  }

  /** What the server says of the session now: true while it knows it. */
  async alive() {
    const response = await fetch(this.url(), { method: "POST", body: "3" });
    await response.text();
    return response.status === 200;
  }
}

/** One WebSocket, its messages in a queue. Heartbeats are answered unless pongs is false. */
export class Frames {
  static async open(base, path, query = {}, { pongs = true, ...options } = {}) {
    const frames = Frames.dial(base, path, query, { pongs, ...options });
    await within(frames.opened, "a WebSocket");
    return frames;
  }

  static dial(base, path, query = {}, { pongs = true, ...options } = {}) {
    const frames = new Frames();
    const url = address(base.replace(/^http/, "ws"), path, { EIO: 4, transport: "websocket", ...query });
    const ws = new WebSocket(url, { perMessageDeflate: false, ...options });
    frames.ws = ws;
    open.add(() => ws.terminate());
    frames.queue = [];
    frames.takers = [];
    frames.pings = 0;
    ws.on("message", (data, binary) => {
      const message = binary ? data : data.toString();
      if (message === "2") {
        frames.pings++;
        if (pongs) {
          ws.send("3");
          return;
        }
      }
      const taker = frames.takers.shift();
      if (taker) taker(message);
      else frames.queue.push(message);
    });
    frames.closed = new Promise((resolve) => {
      ws.on("close", (code) => resolve(code));
    });
    frames.opened = new Promise((resolve, reject) => {
      ws.once("open", resolve);
      ws.once("error", reject);
      ws.once("unexpected-response", (_request, response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (chunk) => (body += chunk));
        response.on("end", () => reject(Object.assign(new Error(`refused: ${response.statusCode} ${body}`), { status: response.statusCode, body })));
      });
    });
    frames.opened.catch(() => {});
    ws.on("error", () => {});
    return frames;
  }

  send(data) {
    this.ws.send(data);
  }

  next(ms = PATIENCE) {
    if (this.queue.length > 0) return Promise.resolve(this.queue.shift());
    let mine;
    const message = new Promise((resolve) => {
      mine = resolve;
      this.takers.push(resolve);
    });
    const gone = this.closed.then((code) => {
      throw new Error(`closed (${code}) while a message was awaited`);
    });
    return within(Promise.race([message, gone]), "a message", ms).catch((err) => {
      this.takers = this.takers.filter((taker) => taker !== mine);
      throw err;
    });
  }

  /** The open packet's content. */
  async handshake() {
    const packet = await this.next();
    if (packet[0] !== "0") throw new Error(`no open packet: ${packet}`);
    return JSON.parse(packet.slice(1));
  }

  ended(ms = PATIENCE) {
    return within(this.closed, "the WebSocket's end", ms);
  }

  close() {
    this.ws.close();
    return this.ended();
  }
}

/** A TCP connection for what no client would send. */
export class Wire {
  static async open(base) {
    const { hostname, port } = new URL(base);
    const wire = new Wire();
    wire.received = Buffer.alloc(0);
    wire.socket = net.connect({ host: hostname, port: Number(port) });
    open.add(() => wire.socket.destroy());
    wire.socket.on("data", (chunk) => {
      wire.received = Buffer.concat([wire.received, chunk]);
      wire.wake?.();
    });
    wire.closed = new Promise((resolve) => {
      wire.socket.on("close", () => {
        wire.over = true;
        wire.wake?.();
        resolve();
      });
    });
    wire.socket.on("error", () => {});
    await within(new Promise((resolve) => wire.socket.once("connect", resolve)), "a TCP connection");
    return wire;
  }

  write(...parts) {
    this.socket.write(Buffer.concat(parts.map((part) => Buffer.from(part))));
  }

  /** Waits until what was received satisfies check, or the other side ended. */
  async until(check, what, ms = PATIENCE) {
    const met = async () => {
      while (!check(this.received)) {
        if (this.over) throw new Error(`closed before ${what}; received ${JSON.stringify(this.received.toString("latin1"))}`);
        await new Promise((resolve) => (this.wake = resolve));
      }
    };
    await within(met(), what, ms);
    return this.received;
  }

  ended(ms = PATIENCE) {
    return within(this.closed, "the TCP connection's end", ms);
  }

  destroy() {
    this.socket.destroy();
  }

  reset() {
    this.socket.resetAndDestroy();
  }
}

export function upgradeRequest(base, path, query = {}, headers = {}) {
  const url = address(base, path, { EIO: 4, transport: "websocket", ...query });
  const lines = {
    Host: url.host,
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": randomBytes(16).toString("base64"),
    ...headers,
  };
  const fields = Object.entries(lines).filter(([, value]) => value !== undefined);
  return `GET ${url.pathname}${url.search} HTTP/1.1\r\n${fields.map(([k, v]) => `${k}: ${v}\r\n`).join("")}\r\n`;
}

export const TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10;

/** One frame as a client should send it, or as it should not. */
export function frame(opcode, payload, { fin = true, mask = true, rsv = 0 } = {}) {
  const body = Buffer.from(payload);
  const head = [(fin ? 0x80 : 0) | (rsv << 4) | opcode];
  const bit = mask ? 0x80 : 0;
  if (body.length < 126) head.push(bit | body.length);
  else if (body.length < 65536) head.push(bit | 126, body.length >> 8, body.length & 255);
  else head.push(bit | 127, 0, 0, 0, 0, (body.length >>> 24) & 255, (body.length >> 16) & 255, (body.length >> 8) & 255, body.length & 255);
  if (!mask) return Buffer.concat([Buffer.from(head), body]);
  const key = randomBytes(4);
  return Buffer.concat([Buffer.from(head), key, body.map((byte, i) => byte ^ key[i & 3])]);
}

/** The frames a server sent after its 101, as {opcode, payload}. */
export function frames(received) {
  const start = received.indexOf("\r\n\r\n");
  const list = [];
  if (start < 0) return list;
  let at = start + 4;
  while (at + 2 <= received.length) {
    let length = received[at + 1] & 127, head = 2;
    if (length === 126) {
      length = received.readUInt16BE(at + 2);
      head = 4;
    } else if (length === 127) {
      length = Number(received.readBigUInt64BE(at + 2));
      head = 10;
    }
    if (at + head + length > received.length) break;
    list.push({ opcode: received[at] & 15, fin: received[at] > 127, payload: received.subarray(at + head, at + head + length) });
    at += head + length;
  }
  return list;
}

export const closeCode = (list) => list.find(({ opcode }) => opcode === CLOSE)?.payload.readUInt16BE(0);
