// The official client against the conformance server's `protocol` profile, over polling, over WebSocket and over
// polling that upgrades. Rows: section 1.5 and 2 of the specification, S-74, S-86…S-94, C-11, C-12.
import assert from "node:assert/strict";
import { after, afterEach, describe, test } from "node:test";
import { randomBytes } from "node:crypto";
import { Manager } from "socket.io-client";
import { eventually, next, server, several, within } from "./support.mjs";
import { ask, connected, disconnectAll, socket, upgraded, ways } from "./client.mjs";

const BASE = server("PERCH_PROTOCOL_URL");

afterEach(disconnectAll);
after(disconnectAll);

const bytes = (...list) => Buffer.from(list);

/** Binary arrives as a Buffer in Node, whatever kind it was sent as. */
const plain = (value) =>
  JSON.parse(JSON.stringify(value, (_, v) => (v?.type === "Buffer" ? { bytes: Buffer.from(v.data).toString("hex") } : v)));

const values = {
  "nothing": [],
  "scalars": ["text", "", 0, -1.5, 1e21, Number.MAX_SAFE_INTEGER, true, false, null],
  "unicode": ["\u20ac \u{1F426} \u0000 \u2028 </script> \x1e \" \\ \u00e9", { "\u{1F426}": "\u{1F426}" }],
  "structures": [{ a: [1, { b: null, c: [] }], "": {} }, [[[]]]],
  "a large text": ["x".repeat(200_000)],
  "binary": [bytes(1, 2, 3), bytes(), randomBytes(70_000)],
  "binary nested anywhere": [{ deep: [{ a: bytes(1), list: [bytes(2), "b", [bytes(3, 4)]] }], empty: bytes() }, "between", [bytes(5)]],
  "what looks like a placeholder": [{ _placeholder: false, num: 1 }, { num: 0 }],
};

for (const [way, options] of Object.entries(ways)) {
  describe(way, () => {
    const join = async (namespace = "/", more = {}) => {
      const client = await connected(BASE, namespace, { ...options, ...more });
      return options.transports.length > 1 ? upgraded(client) : client;
    };

    test("connects, and the server has what auth said", async () => {
      const client = socket(BASE, "/", { ...options, auth: { token: "abc", n: [1, { x: null }] } });
      assert.deepEqual(await next(client, "auth"), { token: "abc", n: [1, { x: null }] });
      assert.match(client.id, /^[A-Za-z0-9_-]{20}$/);
    });

    test("auth may be a function; none is an empty object", async () => {
      const asked = socket(BASE, "/custom", { ...options, auth: (give) => give({ when: "connecting" }) });
      assert.deepEqual(await next(asked, "auth"), { when: "connecting" });
      assert.deepEqual(await next(socket(BASE, "/custom", options), "auth"), {});
    });

    test("uses the transport it should", async () => {
      const client = await join();
      assert.equal(client.io.engine.transport.name, options.transports.at(-1));
    });

    for (const [name, args] of Object.entries(values)) {
      test(`comes back: ${name}`, async () => {
        const client = await join();
        const back = within(new Promise((resolve) => client.once("message-back", (...got) => resolve(got))), "message-back");
        client.emit("message", ...args);
        assert.deepEqual(plain(await back), plain(args));
      });

      test(`is acknowledged: ${name}`, async () => {
        const client = await join();
        const back = new Promise((resolve) => client.emit("message-with-ack", ...args, (...got) => resolve(got)));
        assert.deepEqual(plain(await within(back, "an ack")), plain(args));
      });
    }

    test("binary arrives as bytes, typed arrays and blobs of them are sent as such", async () => {
      const client = await join();
      for (const data of [new Uint8Array([1, 2, 3]), new Uint8Array([1, 2, 3]).buffer, Buffer.from([1, 2, 3])]) {
        const got = await ask(client, "message-with-ack", data);
        assert.ok(Buffer.isBuffer(got));
        assert.deepEqual(got, bytes(1, 2, 3));
      }
    });

    test("order is kept, binary and text mixed", async () => {
      const client = await join();
      const count = 300;
      const all = several(client, "message-back", count);
      for (let i = 0; i < count; i++) client.emit("message", i % 5 ? i : bytes(i & 255, i >> 8));
      (await all).forEach((got, i) => assert.deepEqual(got, i % 5 ? i : bytes(i & 255, i >> 8)));
    });

    test("many acknowledgements at a time find their questions", async () => {
      const client = await join();
      const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => ask(client, "message-with-ack", `question ${i}`)));
      answers.forEach((answer, i) => assert.equal(answer, `question ${i}`));
    });

    test("what was emitted before connecting follows the connect", async () => {
      const client = socket(BASE, "/", options);
      client.emit("message", "early");
      assert.equal(await next(client, "message-back"), "early");
    });

    test("two namespaces share a connection", async () => {
      const manager = new Manager(BASE, options);
      const main = manager.socket("/"), custom = manager.socket("/custom", { auth: { who: "custom" } });
      await Promise.all([next(main, "connect"), next(custom, "auth")]);
      assert.notEqual(main.id, custom.id);
      custom.disconnect();
      assert.equal(await ask(main, "message-with-ack", "still"), "still");
      main.disconnect();
    });

    test("an unknown namespace is a connect_error and the others go on (S-74)", async () => {
      const manager = new Manager(BASE, options);
      const main = manager.socket("/"), none = manager.socket("/nobody");
      const [error] = await Promise.all([next(none, "connect_error"), next(main, "connect")]);
      assert.equal(error.message, "Invalid namespace");
      assert.equal(error.data, undefined);
      assert.equal(none.active, false);
      assert.equal(await ask(main, "message-with-ack", 1), 1);
      main.disconnect();
      none.disconnect();
    });

    test("the client leaves and comes back as another socket", async () => {
      const client = await join();
      const { id } = client;
      const gone = next(client, "disconnect");
      client.disconnect();
      assert.equal((await gone)?.[0] ?? (await gone), "io client disconnect");
      client.connect();
      await next(client, "connect");
      assert.notEqual(client.id, id);
      assert.equal(await ask(client, "message-with-ack", "back"), "back");
    });

    test("a connection cut is made again by itself, what was sent meanwhile is not lost", async () => {
      const client = await join();
      const { id } = client;
      const gone = next(client, "disconnect");
      client.io.engine.close();
      await gone;
      const heard = next(client, "message-back");
      client.emit("message", "sent while away");
      await next(client, "connect");
      assert.notEqual(client.id, id);
      assert.equal(await heard, "sent while away");
    });

    test("heartbeats keep a quiet connection", async () => {
      const client = await join();
      let pings = 0;
      client.io.on("ping", () => pings++);
      await eventually(() => pings >= 4, "four pings");
      assert.ok(client.connected);
      assert.equal(await ask(client, "message-with-ack", "awake"), "awake");
    });

    test("volatile events go through when nothing is in the way", async () => {
      const client = await join();
      await eventually(() => client.io.engine.transport.writable, "a writable transport");
      const heard = next(client, "message-back");
      client.volatile.emit("message", "now");
      assert.equal(await heard, "now");
    });

    test("a large binary message fits, one over maxPayload ends the connection or is refused", async () => {
      const client = await join();
      const large = randomBytes(700_000);
      assert.deepEqual(await ask(client, "message-with-ack", large), large);
      const gone = next(client, "disconnect");
      client.emit("message", randomBytes(1_000_001));
      await gone;
    });

    test("an invalid packet ends the connection only, and the client comes back", async () => {
      const client = await join();
      const gone = next(client, "disconnect");
      client.io.engine.write('2{"no":"event"}');
      await gone;
      await next(client, "connect");
      assert.equal(await ask(client, "message-with-ack", 1), 1);
    });

    test("twenty clients at a time, each gets its own", async () => {
      const clients = await Promise.all(Array.from({ length: 20 }, () => join()));
      await Promise.all(clients.map(async (client, i) => assert.equal(await ask(client, "message-with-ack", i), i)));
      assert.equal(new Set(clients.map(({ id }) => id)).size, 20);
    });
  });
}

describe("other options", () => {
  for (const transport of ["polling", "websocket"]) {
    test(`forceBase64 over ${transport}`, async () => {
      const client = await connected(BASE, "/", { transports: [transport], forceBase64: true });
      const data = { deep: [randomBytes(1000), bytes()] };
      assert.deepEqual(await ask(client, "message-with-ack", data), data);
    });
  }

  test("a query, headers and time stamps", async () => {
    const client = await connected(BASE, "/", {
      query: { a: "1 &=", "\u00e9": "\u{1F426}" }, extraHeaders: { "x-extra": "yes" }, timestampRequests: true, timestampParam: "when",
    });
    assert.equal(await ask(client, "message-with-ack", "fine"), "fine");
  });
});

describe("upgrade", () => {
  test("messages sent while upgrading arrive once each and in order", async () => {
    const client = await connected(BASE, "/", { transports: ["polling", "websocket"] });
    const count = 400;
    const all = several(client, "message-back", count);
    for (let i = 0; i < count; i++) {
      client.emit("message", i % 4 ? i : bytes(i & 255, i >> 8));
      if (i % 20 === 0) await new Promise(setImmediate);
    }
    (await all).forEach((got, i) => assert.deepEqual(got, i % 4 ? i : bytes(i & 255, i >> 8)));
    await upgraded(client);
    assert.equal(await ask(client, "message-with-ack", "after"), "after");
  });

  test("the default options begin with polling and end with a WebSocket", async () => {
    const client = socket(BASE, "/");
    const names = [];
    client.io.on("open", () => names.push(client.io.engine.transport.name));
    await next(client, "connect");
    await upgraded(client);
    names.push(client.io.engine.transport.name);
    assert.deepEqual(names, ["polling", "websocket"]);
  });

  test("a client that remembers goes to the WebSocket first, falling back where told to", async () => {
    const client = await connected(BASE, "/", { transports: ["websocket", "polling"] });
    assert.equal(client.io.engine.transport.name, "websocket");
  });

  test("a path nobody serves is a connect_error that is tried again", async () => {
    const client = socket(BASE, "/", { path: "/nowhere/", transports: ["polling"] });
    const error = await next(client, "connect_error");
    assert.match(error.message, /xhr poll error/);
    assert.ok(client.active);
  });
});
