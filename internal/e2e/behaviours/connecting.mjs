// Connecting: namespaces, refusals, query, auth, handshake. Rows: S-15, S-50, S-65, S-74, C-1, C-7, C-8, C-11, C-13.
import assert from "node:assert/strict";
import net from "node:net";
import { eventually, next, pause, unique } from "../support.mjs";
import { ask, heard, record } from "../generations.mjs";
import { CLIENT, LAB, lacks, needs, over } from "./behaviour.mjs";

/** The handshake as the server sees it. */
const handshake = async (c, path, options) => ask(await c.join(CLIENT + path, options), "getHandshake");
/** The same, as /abc emits it on connection. */
const greeting = async (c, query, options) => (await heard(c.socket(`${CLIENT}/abc${query}`, options), "handshake"))[0];

export const connecting = {
  "connects, with the id that the server knows": async (c) => {
    const socket = await c.join(CLIENT);
    assert.equal(await ask(socket, "getId"), c.idOf(socket));
  },

  "has an id of its own in a namespace": async (c) => {
    const socket = await c.join(CLIENT + "/foo");
    assert.equal(await ask(socket, "getId"), c.idOf(socket));
  },

  "is connected between connect and disconnect, not before and after": async (c) => {
    const socket = c.socket(CLIENT);
    assert.deepEqual([socket.connected, socket.disconnected], [false, true]);
    await next(socket, "connect");
    assert.deepEqual([socket.connected, socket.disconnected], [true, false]);
    socket.disconnect();
    assert.deepEqual([socket.connected, socket.disconnected, socket.id], [false, true, undefined]);
  },

  "uses the transports it was told to": async (c) => {
    const socket = c.socket(CLIENT);
    let first;
    socket.io.on("open", () => (first = socket.io.engine.transport.name));
    await next(socket, "connect");
    await c.settled(socket);
    assert.equal(first, c.options.transports[0]);
    assert.equal(await ask(socket, "echo", 1), 1);
    assert.equal(socket.io.engine.transport.name, c.options.transports.at(-1));
  },

  "stays on polling when it is told not to upgrade": over(["upgrade"], async (c) => {
    const socket = c.socket(CLIENT, { upgrade: false });
    await next(socket, "connect");
    for (let i = 0; i < 5; i++) assert.equal(await ask(socket, "echo", i), i);
    assert.equal(socket.io.engine.transport.name, "polling");
  }),

  "talks both ways during the upgrade, nothing lost or out of order": over(["upgrade"], async (c) => {
    const socket = c.socket(CLIENT);
    const answers = [], count = 300;
    await next(socket, "connect");
    const upgraded = c.settled(socket);
    for (let i = 0; i < count; i++) {
      socket.emit("echo", i % 3 ? i : Buffer.from([i & 255, i >> 8]), (x) => answers.push(x));
      if (i % 20 === 0) await new Promise(setImmediate);
    }
    await upgraded;
    await eventually(() => answers.length === count, "an answer for each");
    answers.forEach((x, i) => assert.deepEqual(x, i % 3 ? i : Buffer.from([i & 255, i >> 8])));
  }),

  "goes to the WebSocket first and has polling behind it": over(["websocket"], async (c) => {
    const socket = c.socket(CLIENT, { transports: ["websocket", "polling"] });
    await next(socket, "connect");
    assert.equal(socket.io.engine.transport.name, "websocket");
  }),

  "does not connect before it is told to": async (c) => {
    const socket = c.socket(CLIENT, { autoConnect: false });
    await pause(30);
    assert.ok(!socket.connected && !socket.io.engine);
    socket.connect();
    await next(socket, "connect");
  },

  "what is emitted before connecting follows in order": async (c) => {
    const socket = c.socket(CLIENT, { autoConnect: false });
    const answers = [];
    for (let i = 0; i < 10; i++) socket.emit("echo", i, (x) => answers.push(x));
    socket.connect();
    await eventually(() => answers.length === 10, "ten answers");
    assert.deepEqual(answers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  },

  "joins every namespace there is": async (c) => {
    await Promise.all(["/", "/foo", "/abc", "/timeout_socket", "/valid", "/asd"].map((name) => c.join(CLIENT + name)));
  },

  "joins several namespaces on one connection": async (c) => {
    const manager = c.manager(CLIENT);
    const root = manager.socket("/"), foo = manager.socket("/foo");
    await Promise.all([next(root, "connect"), next(foo, "connect")]);
    assert.equal(root.io, foo.io);
    const [a, b] = await Promise.all([ask(root, "getId"), ask(foo, "getId")]);
    assert.deepEqual([a, b], [c.idOf(root), c.idOf(foo)]);
    assert.notEqual(a, b);
  },

  "joins a namespace on a connection that is open already": async (c) => {
    const manager = c.manager(CLIENT);
    await next(manager.socket("/"), "connect");
    const foo = manager.socket("/foo");
    await next(foo, "connect");
    assert.equal(await ask(foo, "getId"), c.idOf(foo));
  },

  "joins a namespace while it leaves another": async (c) => {
    const manager = c.manager(CLIENT);
    const foo = manager.socket("/foo");
    await next(foo, "connect");
    const asd = manager.socket("/asd");
    foo.disconnect();
    await next(asd, "connect");
  },

  "shares a connection where it asks the same server for another namespace, not for the same": async (c) => {
    // Sockets that never open, of a server that is only theirs: other tests have the client's cache too.
    const base = `http://${unique("cache")}.invalid`;
    const [a, b, again] = ["/a", "/b", "/a"].map((name) => c.io(base + name, { forceNew: false, autoConnect: false }));
    assert.equal(a.io, b.io);
    assert.notEqual(a.io, again.io);
  },

  "two clients have two connections and two ids": async (c) => {
    const [a, b] = await Promise.all([c.join(CLIENT), c.join(CLIENT)]);
    assert.notEqual(a.io.engine.id, b.io.engine.id);
    assert.notEqual(a.id, b.id);
  },

  "twenty clients at a time have each their own answers": async (c) => {
    const sockets = await Promise.all(Array.from({ length: 20 }, () => c.join(CLIENT)));
    const answers = await Promise.all(sockets.map((socket, i) => ask(socket, "echo", i)));
    assert.deepEqual(answers, sockets.map((_, i) => i));
    assert.deepEqual(await Promise.all(sockets.map((socket) => ask(socket, "getId"))), sockets.map((socket) => socket.id));
  },

  "a namespace that is not there is refused, the others go on (S-74)": async (c) => {
    const manager = c.manager(CLIENT);
    const root = manager.socket("/");
    await next(root, "connect");
    const nobody = manager.socket("/nobody");
    const { message, data } = await c.refusal(nobody);
    assert.equal(message ?? data.message, "Invalid namespace");
    assert.ok(!nobody.connected);
    assert.equal(await ask(root, "echo", 1), 1);
  },

  "the main namespace's middleware refuses, with its message (S-65)": async (c) => {
    const socket = c.socket(CLIENT, { query: { fail: true } });
    assert.equal((await c.refusal(socket)).message, "Auth failed (main namespace)");
    assert.ok(!socket.connected);
  },

  "a namespace's middleware refuses, with its message, the others go on (S-65)": async (c) => {
    const manager = c.manager(CLIENT);
    const root = manager.socket("/");
    await next(root, "connect");
    const no = manager.socket("/no");
    assert.equal((await c.refusal(no)).message, "Auth failed (custom namespace)");
    assert.ok(!no.connected);
    assert.equal(await ask(root, "echo", 1), 1);
  },

  "a refusal is said once": async (c) => {
    const manager = c.manager(CLIENT);
    const root = manager.socket("/"), no = manager.socket("/no");
    const errors = record(no, c.protocol === 3 ? "error" : "connect_error");
    await next(root, "connect");
    await eventually(() => errors.length > 0, "the refusal");
    await ask(root, "echo", 1);
    assert.equal(errors.length, 1);
  },

  "a refusal has data (S-65)": async (c) => {
    const { message, data } = await c.refusal(c.socket(LAB + "/guarded"));
    assert.deepEqual(data, { code: 401, hint: "bring a token" });
    if (c.protocol === 4) assert.equal(message, "not authorized");
  },

  "who has the word is let in": async (c) => {
    const [token] = await heard(c.socket(LAB + "/guarded", { auth: { token: "secret" } }), "welcome");
    assert.equal(token, "secret");
  },

  "has a query, given as an object": async (c) => {
    assert.equal((await handshake(c, "/", { query: { e: "f" } })).query.e, "f");
    assert.equal((await greeting(c, "", { query: { a: "b" } })).query.a, "b");
  },

  "has a query, given in the URL": async (c) => {
    assert.equal((await handshake(c, "/?c=d")).query.c, "d");
    const { query } = await greeting(c, "?b=c&d=e");
    assert.deepEqual([query.b, query.d], ["c", "e"]);
  },

  "has a query of any characters": async (c) => {
    const { query } = await greeting(c, "", { query: { "&a": "&=?a", "\u00e9": "\u{1F426} +%" } });
    assert.deepEqual([query["&a"], query["\u00e9"]], ["&=?a", "\u{1F426} +%"]);
  },

  "has an auth object, which is not in the query": needs("auth", async (c) => {
    const { auth, query } = await greeting(c, "", { auth: { a: "b", c: { d: [1, null] } } });
    assert.deepEqual(auth, { a: "b", c: { d: [1, null] } });
    assert.equal(query.a, undefined);
  }),

  "has an auth that a function gives": needs("auth", async (c) => {
    assert.deepEqual((await greeting(c, "", { auth: (give) => give({ e: "f" }) })).auth, { e: "f" });
  }),

  "has the query of a namespace as its auth": lacks("auth", async (c) => {
    assert.deepEqual((await greeting(c, "?token=abc%26")).auth, { token: "abc&" });
  }),

  "its handshake is the request that opened the connection (S-50)": async (c) => {
    const before = Date.now();
    const h = await handshake(c, "/");
    assert.equal(h.headers.host, new URL(CLIENT).host);
    assert.match(h.address, /^(127\.0\.0\.1|::1|::ffff:127\.0\.0\.1)$/);
    assert.deepEqual([h.xdomain, h.secure, h.auth], [false, false, {}]);
    assert.ok(h.issued >= before && h.issued <= Date.now(), `issued ${h.issued}`);
    assert.ok(Math.abs(Date.parse(h.time) - h.issued) <= 1000, `time ${h.time}`);
    assert.match(h.url, /^\/socket\.io\/\?/);
    assert.deepEqual([h.query.EIO, h.query.transport], [String(c.protocol), c.options.transports[0]]);
  },

  "is greeted with its handshake on connection": async (c) => {
    const h = await greeting(c, "");
    assert.deepEqual(Object.keys(h).sort(), ["address", "auth", "headers", "issued", "query", "secure", "time", "url", "xdomain"]);
    assert.deepEqual(h.auth, {});
  },

  "brings headers along": async (c) => {
    // Clients of protocol 3 want them once per transport in Node.
    const extraHeaders = { "X-Extra": "yes" };
    const { headers } = await handshake(c, "/", { extraHeaders });
    assert.equal(headers["x-extra"], "yes");
  },

  "time stamps of another name do not disturb": async (c) => {
    const { query } = await handshake(c, "/", { timestampRequests: true, timestampParam: "when" });
    assert.ok(query.when);
  },

  "a handshake takes its time: who does not wait for it fails (S-15)": async (c) => {
    const socket = c.socket(CLIENT, { timeout: 0, reconnection: false });
    const error = await next(socket, "connect_error");
    assert.match(error.message ?? error, /timeout|websocket error/); // the latter where the client breaks off its WebSocket first
  },

  "a path that nobody serves is an error": async (c) => {
    const socket = c.socket(CLIENT, { path: "/nowhere/", reconnection: false });
    const error = await next(socket, "connect_error");
    assert.match(error.message, /(xhr poll|websocket) error/);
  },

  "gives up after as many attempts as it was told to": async (c) => {
    const server = net.createServer().listen(0, "127.0.0.1");
    await next(server, "listening");
    const { port } = server.address();
    server.close();
    await next(server, "close");
    const manager = c.manager(`http://127.0.0.1:${port}`, { reconnectionAttempts: 2 });
    const attempts = record(manager, "reconnect_attempt");
    manager.socket("/");
    await next(manager, "reconnect_failed");
    assert.deepEqual(attempts, [1, 2]);
  },

  "leaves quietly while it connects": async (c) => {
    const socket = c.socket(CLIENT);
    const said = ["connect", "disconnect", "connect_error", "error"].map((event) => record(socket, event));
    socket.disconnect();
    await pause(60);
    assert.deepEqual(said, [[], [], [], []]);
  },
};
