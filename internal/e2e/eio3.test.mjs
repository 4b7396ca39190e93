// The client of 2.x, which speaks Engine.IO protocol 3, against a server that allows it (eio3_test.go) and against the
// reference that does, so that what the suite expects is known to be the truth. Rows: S-20, spec 3.3.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { createRequire } from "node:module";
import io from "socket.io-client-2";
import { next, server, several, within } from "./support.mjs";
import { reference } from "./eio3.reference.mjs";

const PERCH = server("PERCH_EIO3_URL");
const older = createRequire(createRequire(import.meta.url).resolve("socket.io-client-2"));
const parser = older("engine.io-parser"); // the client's own

let node;
before(async () => {
  node = await reference({ pingInterval: 300, pingTimeout: 2000 });
});
after(() => node.close());

const opened = new Set();
afterEach(() => {
  for (const client of opened) client.io.close();
  opened.clear();
});

/** The ways of a 2.x client; in Node its polling knows no binary, so that "polling" is base64 in any case. */
const ways = {
  "polling": { transports: ["polling"] },
  "polling, base64": { transports: ["polling"], forceBase64: true },
  "websocket": { transports: ["websocket"] },
  "websocket, base64": { transports: ["websocket"], forceBase64: true },
  "polling, then websocket": { transports: ["polling", "websocket"] },
  "polling, then websocket, base64": { transports: ["polling", "websocket"], forceBase64: true },
};

for (const [name, url] of [["perch", () => PERCH], ["reference", () => node.url]]) {
  describe(name, () => {
    for (const [way, options] of Object.entries(ways)) describe(way, () => suite(name, url, options));
    refusals(url);
    endings(name, url);
  });
}

function suite(name, url, options) {
  const socket = (namespace, more = {}) => {
    const client = io(url() + namespace, { forceNew: true, reconnection: false, ...options, ...more });
    opened.add(client);
    return client;
  };
  /** A connected socket; where the session may upgrade, it has. */
  const join = async (namespace = "/", more = {}) => {
    const client = socket(namespace, more);
    const refused = new Promise((_, reject) => {
      client.once("error", (error) => reject(new Error(`refused: ${JSON.stringify(error)}`)));
      client.once("connect_error", reject);
    });
    const upgraded = options.transports.length > 1 ? next(client.io.engine, "upgrade") : undefined;
    await within(Promise.race([next(client, "connect"), refused]), `connect to ${namespace}`);
    await upgraded;
    return client;
  };
  const ask = (client, event, ...args) =>
    within(new Promise((resolve) => client.emit(event, ...args, (...answer) => resolve(answer.length > 1 ? answer : answer[0]))), event);

  test("the server connects the root by itself, under the session's id", async () => {
    const client = socket("/", { query: { team: "blue" } });
    const order = [];
    client.on("connect", () => order.push("connect"));
    client.on("hello", () => order.push("hello"));
    const hello = await next(client, "hello");
    const id = client.io.engine.id;
    assert.deepEqual(hello, { id, engine: id, protocol: 3, auth: {}, query: "blue", rooms: [id] });
    assert.equal(client.id, id);
    assert.deepEqual(order, ["connect", "hello"]);
  });

  test("a namespace, its id and its query", async () => {
    const plain = socket("/chat");
    const hello = await next(plain, "hello");
    const id = `/chat#${plain.io.engine.id}`;
    assert.equal(plain.id, id);
    assert.deepEqual([hello.id, hello.rooms, hello.auth], [id, [id], {}]);
    // A namespace's query is its auth, as that of a later client.
    const asked = plain.io.socket("/guarded", { query: { token: "secret", name: "J\u00fcrgen & co, {x}" } });
    await next(asked, "connect");
    const query = socket("/chat", { query: "a=1&b=x%20y&a=2&team=red" });
    const { auth, query: team } = await next(query, "hello");
    assert.deepEqual(auth, { a: "2", b: "x y", team: "red" });
    assert.equal(team, "red");
  });

  test("two namespaces on one connection; one is left, the other stays", async () => {
    const root = await join();
    const chat = root.io.socket("/chat");
    await next(chat, "hello");
    assert.deepEqual(await Promise.all([ask(root, "echo", "r"), ask(chat, "echo", "c")]), ["r", "c"]);
    chat.disconnect();
    assert.equal(await ask(root, "echo", "still here"), "still here");
    // Back again: the same id, a new socket.
    const hello = next(chat, "hello");
    chat.connect();
    assert.equal((await hello).id, chat.id);
    assert.equal(await ask(chat, "echo", "again"), "again");
  });

  test("events and acknowledgements both ways, binary too", async () => {
    const client = await join();
    const deep = { text: "\u00e9\u20ac\ud83d\ude00\u2028\u2029\\n\n\"", list: [1, null, { x: true }], bytes: Buffer.from([0, 1, 254, 255]) };
    assert.deepEqual(bytes(await ask(client, "echo", deep, Buffer.from("two"))), bytes([deep, Buffer.from("two")]));
    const back = next(client, "back");
    client.emit("back", 1, Buffer.alloc(0), "x", deep);
    assert.deepEqual(bytes(await back), bytes([1, Buffer.alloc(0), "x", deep]));
    client.on("question", (value, answer) => answer({ heard: value }));
    assert.deepEqual(await ask(client, "ask", "how"), { heard: "how" });
    assert.deepEqual(bytes(await ask(client, "ask", [Buffer.from([1, 2])])), bytes({ heard: [Buffer.from([1, 2])] }));
  });

  test("large texts of any width, and large binary", async () => {
    const client = await join();
    for (const unit of ["x", "\u00e9", "\u20ac", "\ud83d\ude00", "a\u00e9\u20ac\ud83d\ude00"]) {
      const text = unit.repeat(120_000 / Buffer.byteLength(unit));
      assert.equal(await ask(client, "echo", text), text);
    }
    const data = Buffer.alloc(200_000, "0123456789abcdef");
    assert.deepEqual(bytes(await ask(client, "echo", data)), bytes(data));
  });

  test("a burst of text and binary arrives whole and in order", async () => {
    const client = await join();
    const ticks = several(client, "tick", 100);
    assert.equal(await ask(client, "burst", 100), 100);
    (await ticks).forEach(([i, value], at) => {
      assert.equal(i, at);
      assert.deepEqual(bytes(value), bytes(i % 3 ? `text ${i}` : Buffer.from([i & 255, i >> 8])));
    });
  });

  test("rooms, the one of a socket's id among them", async () => {
    const [a, b] = [await join("/chat"), await join("/chat")];
    await ask(a, "join", "room");
    const heard = several(a, "said", 2);
    b.on("said", () => assert.fail("b is in no room"));
    await ask(b, "say", ["room"], "to the room");
    await ask(b, "say", [a.id], Buffer.from("to a"));
    assert.deepEqual(bytes(await heard), bytes(["to the room", Buffer.from("to a")]));
  });

  // Base64 makes no difference to a heartbeat, which takes its time.
  if (!options.forceBase64) test("heartbeats go on", async () => {
    const client = await join();
    client.on("disconnect", (reason) => assert.fail(reason));
    await several(client, "pong", 8); // the server gives it less time than that for one
    assert.equal(await ask(client, "echo", 1), 1);
    client.off("disconnect");
  });

  test("a middleware's refusal is an error of bare data or message", async () => {
    for (const [token, want] of [["wrong", { code: 401 }], ["", "not authorized"]]) {
      const client = socket("/guarded", { query: { token } });
      assert.deepEqual(await next(client, "error"), want);
      assert.equal(client.connected, false);
    }
    const client = socket("/", { query: { root: "closed" } });
    assert.deepEqual(await next(client, "error"), "no root for you");
    const chat = client.io.socket("/chat");
    await next(chat, "connect");
    assert.equal(await ask(chat, "echo", "in"), "in");
  });

  test("a namespace that does not exist", async () => {
    const client = await join();
    const nowhere = client.io.socket("/nowhere", { query: "x=1" });
    assert.deepEqual(await next(nowhere, "error"), { message: "Invalid namespace" });
    assert.equal(await ask(client, "echo", 1), 1);
  });

  test("leaving, and being sent away", async () => {
    const watcher = await join("/journal");
    const gone = (client) => {
      const { id } = client;
      return within(new Promise((resolve) => watcher.on("gone", (event) => event.id === id && resolve(event.reason))), `${id} to leave`);
    };
    const own = await join("/chat");
    const left = gone(own);
    own.disconnect();
    assert.match(await left, /^(client namespace disconnect|transport close)$/);

    const kicked = await join("/chat");
    const reasons = Promise.all([next(kicked, "disconnect"), gone(kicked)]);
    kicked.emit("kick", false);
    assert.deepEqual(await reasons, ["io server disconnect", "server namespace disconnect"]);

    const closed = await join("/chat");
    const ends = Promise.all([next(closed, "disconnect"), gone(closed)]);
    closed.emit("kick", true);
    assert.deepEqual(await ends, ["io server disconnect", "server namespace disconnect"]);

    const lost = await join("/chat");
    const end = gone(lost);
    lost.io.engine.close();
    assert.equal(await end, "transport close");
  });

  test("it comes back after its connection was lost", async () => {
    const client = await join("/", { reconnection: true, reconnectionDelay: 20, reconnectionDelayMax: 20 });
    const { id } = client;
    const back = next(client, "connect");
    client.io.engine.transport.onError("cut");
    await back;
    assert.notEqual(client.id, id);
    assert.equal(await ask(client, "echo", "back"), "back");
  });
}

function refusals(url) {
  const get = async (path, options) => {
    const response = await fetch(`${url()}/socket.io/${path}`, options);
    return [response.status, await response.text()];
  };
  const open = async (query) => {
    const [status, body] = await get(`?transport=polling${query}`);
    assert.equal(status, 200, body);
    const length = parseInt(body, 10);
    const packet = body.slice(String(length).length + 1, String(length).length + 1 + length);
    assert.equal(packet.length, length);
    return JSON.parse(packet.slice(1)).sid;
  };

  test("any EIO but 4 counts as 3", async () => {
    for (const query of ["", "&EIO=3", "&EIO=2", "&EIO=5", "&EIO="]) assert.match(await open(query), /^[\w-]{20}$/);
  });

  test("a session addressed with another protocol", async () => {
    const sid = await open("&EIO=3");
    assert.deepEqual(await get(`?transport=polling&EIO=4&sid=${sid}`), [400, '{"code":3,"message":"Bad request"}']);
  });
}

/** What ends a session that breaks a rule, by the reason its socket is given. */
function endings(name, url) {
  const base = () => `${url()}/socket.io/?EIO=3&transport=polling`;
  for (const [what, body, want] of [
    ["a close packet", "1:1", "transport close"],
    ["a pong, which is the server's to send", "1:3", "transport error"],
    ["a payload that is none", "4hello", "parse error"],
    ["a length that is too long", "9:4hello", "parse error"],
    ["a packet of no known type", "2:9x", "parse error"],
    ["an invalid Socket.IO packet", "5:42{}x", "forced close"],
  ]) {
    test(`${what}: ${want}`, async () => {
      const watcher = io(`${url()}/journal`, { forceNew: true, transports: ["websocket"] });
      opened.add(watcher);
      await next(watcher, "connect");
      const open = await (await fetch(base())).text();
      const { sid } = JSON.parse(open.slice(open.indexOf("{")));
      await fetch(`${base()}&sid=${sid}`); // the root
      const gone = within(new Promise((resolve) => watcher.on("gone", ({ id, reason }) => id === sid && resolve(reason))), "it to leave");
      await fetch(`${base()}&sid=${sid}`, { method: "POST", body, headers: { "content-type": "text/plain;charset=UTF-8" } });
      // A polling client has to come for the last words.
      fetch(`${base()}&sid=${sid}`).catch(() => {});
      assert.equal(await gone, want);
    });
  }

  test("binary bodies, as a browser's client polls with them", async () => {
    const open = await (await fetch(base())).text();
    const poll = `${base()}&sid=${JSON.parse(open.slice(open.indexOf("{"))).sid}`;
    const received = (async () => {
      for (let packets = []; ; ) {
        const response = await fetch(poll);
        const binary = response.headers.get("content-type") === "application/octet-stream";
        const data = binary ? Buffer.from(await response.arrayBuffer()) : await response.text();
        parser.decodePayload(data, (packet) => void packets.push({ ...packet, binary }));
        packets = packets.filter(({ type, data }) => type === "message" && !/^(0|2\["hello")/.test(data));
        if (packets.length >= 2) return packets;
      }
    })();
    const bytes = Buffer.from([0, 1, 2, 254, 255]);
    const body = await new Promise((resolve) => parser.encodePayload([
      { type: "message", data: '51-7["echo","\u20ac\ud83d\ude00",{"_placeholder":true,"num":0}]' }, { type: "message", data: bytes },
    ], true, resolve));
    assert.equal(Buffer.isBuffer(body), true);
    const response = await fetch(poll, { method: "POST", body, headers: { "content-type": "application/octet-stream" } });
    assert.deepEqual([response.status, await response.text()], [200, "ok"]);
    const [text, attachment] = await within(received, "the answer");
    assert.equal(text.data, '61-7["\u20ac\ud83d\ude00",{"_placeholder":true,"num":0}]');
    assert.deepEqual([attachment.data, attachment.binary], [bytes, true]);
    await fetch(poll, { method: "POST", body: "1:1" });
  });
}

/** Bytes compare as bytes, whatever they came as. */
function bytes(value) {
  if (Buffer.isBuffer(value) || value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return { bytes: Buffer.from(value).toString("hex") };
  if (Array.isArray(value)) return value.map(bytes);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, bytes(v)]));
  return value;
}
