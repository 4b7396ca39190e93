// The official client with socket.io-msgpack-parser (S-4, spec 3.6), over each way: against the harness's own server
// (lab_test.go) with our parser, and, so that these tests say what is so and not what we think, against the reference
// server with its own.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, afterEach, before, describe, test } from "node:test";
import { Server } from "socket.io";
import parser from "socket.io-msgpack-parser";
import { eventually, listen, next, server, several, unique, within } from "./support.mjs";
import { ask, connected, disconnectAll, socket, upgraded, ways } from "./client.mjs";

let reference, referenceURL;

before(async () => {
  const web = createServer();
  reference = new Server(web, { parser });
  const journal = reference.of("/journal");
  const lab = reference.of("/lab");
  lab.on("connection", (s) => {
    s.emit("hello", { auth: s.handshake.auth, query: s.handshake.query.team ?? "" });
    s.on("echo", (...args) => args.pop()(...args));
    s.on("exact", (value, ack) => ack(value));
    s.on("back", (...args) => s.emit("back", ...args));
    s.on("ask", async (value, ack) => ack(await s.timeout(5000).emitWithAck("question", value)));
    s.on("shout", (event, value, ack) => (s.broadcast.emit(event, value), ack()));
    s.on("join", (room, ack) => (s.join(room), ack()));
    s.on("say", (rooms, event, value, ack) => (s.to(rooms).emit(event, value), ack()));
    s.on("kick", (close) => s.disconnect(close));
    s.on("disconnect", (reason) => journal.emit("gone", { key: s.handshake.auth.key ?? "", reason, rooms: [] }));
  });
  reference.of("/guarded").use((s, go) => {
    if (s.handshake.auth.token === "secret") return go();
    go(Object.assign(new Error("not authorized"), { data: { code: 401, hint: "bring a token" } }));
  }).on("connection", (s) => s.emit("welcome", s.handshake.auth.token));
  referenceURL = await listen(web);
});
afterEach(disconnectAll);
after(async () => {
  disconnectAll();
  await reference.close();
});

const servers = { ours: () => server("PERCH_LAB_URL"), reference: () => referenceURL };

for (const [whose, base] of Object.entries(servers)) {
  for (const [way, transports] of Object.entries(ways)) {
    describe(`${whose}, ${way}`, () => {
      const options = { ...transports, parser };
      const join = async (namespace = "/lab", more = {}) => {
        const client = await connected(base(), namespace, { ...options, ...more });
        return options.transports.length > 1 ? upgraded(client) : client;
      };

      test("values come back as they went, in any depth", async () => {
        const client = await join();
        const values = [
          "text", "", "héllo wörld, Я Б Г, てすと, 😀 \u0000\u001f\"\\/\u2028", "x".repeat(300), "y".repeat(70_000),
          0, 1, -1, 127, 128, -32, -33, 255, 256, -128, -129, 65_535, 65_536, -32_769, 2 ** 31, 2 ** 32, -(2 ** 31) - 1,
          Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 1.5, -0.1, 1e-7, -1e-300, 123456789.125, Math.PI,
          true, false, null, [], {}, [[[[]]]], { a: { b: [{ c: null }] }, "": 1, "ключ": "значение" },
          Array.from({ length: 20 }, (_, i) => i), Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`k${i}`, i])),
          Array.from({ length: 70_000 }, () => 7),
        ];
        for (const value of values) assert.deepEqual(await ask(client, "echo", value), value);
      });

      test("any number of arguments", async () => {
        const client = await join();
        for (const args of [[], [1], [1, "2", [3]], Array.from({ length: 17 }, (_, i) => i)]) {
          const heard = within(new Promise((resolve) => client.once("back", (...got) => resolve(got))), "back");
          client.emit("back", ...args);
          assert.deepEqual(await heard, args);
        }
      });

      test("bytes stay bytes, nested both ways", async () => {
        const client = await join();
        const small = Buffer.from([0, 1, 255]), large = Buffer.alloc(70_000, 7), empty = Buffer.alloc(0);
        for (const value of [small, large, empty, { a: small, b: [{ c: large }, empty], text: "x" }, [small, [small, [small]]]]) {
          assert.deepEqual(await ask(client, "echo", value), value);
        }
        const many = Array.from({ length: 100 }, (_, i) => Buffer.from([i]));
        assert.deepEqual(await ask(client, "echo", many), many); // not bound to ten, as attachments are
      });

      test("the server asks and is answered, with bytes", async () => {
        const client = await join();
        client.on("question", (value, answer) => answer({ heard: value }));
        assert.deepEqual(await ask(client, "ask", "how are you"), { heard: "how are you" });
        assert.deepEqual(await ask(client, "ask", [Buffer.from([1, 2])]), { heard: [Buffer.from([1, 2])] });
      });

      test("CONNECT's auth, and what a connection hook emits", async () => {
        const client = socket(base(), "/lab", { ...options, auth: { key: "k", n: 5, "ü": ["😀"] }, query: { team: "blue" } });
        assert.deepEqual(await next(client, "hello"), { auth: { key: "k", n: 5, "ü": ["😀"] }, query: "blue" });
        const none = socket(base(), "/lab", options);
        assert.deepEqual(await next(none, "hello"), { auth: {}, query: "" });
        assert.match(none.id, /^[\w-]{20}$/);
      });

      test("connect_error with data, and one of a namespace that is not there", async () => {
        const refused = socket(base(), "/guarded", { ...options, auth: { token: "wrong" } });
        const error = await next(refused, "connect_error");
        assert.equal(error.message, "not authorized");
        assert.deepEqual(error.data, { code: 401, hint: "bring a token" });
        refused.auth = { token: "secret" };
        const welcome = next(refused, "welcome");
        refused.connect();
        assert.equal(await welcome, "secret");
        const nowhere = socket(base(), "/nowhere", options);
        assert.equal((await next(nowhere, "connect_error")).message, "Invalid namespace");
      });

      test("two namespaces on one connection", async () => {
        const lab = await join();
        const guarded = lab.io.socket("/guarded", { auth: { token: "secret" } });
        assert.equal(await next(guarded, "welcome"), "secret");
        assert.equal(await ask(lab, "echo", "still here"), "still here");
        guarded.disconnect();
        assert.equal(await ask(lab, "echo", "and now"), "and now");
      });

      test("broadcasts, to all others and to rooms, with bytes", async () => {
        const [a, b, c] = await Promise.all([join(), join(), join()]);
        const event = unique("shout"), room = unique("room"), said = unique("said");
        const heard = Promise.all([next(b, event), next(c, event)]);
        await ask(a, "shout", event, { data: Buffer.from([7]), n: [1, -1] });
        assert.deepEqual(await heard, [{ data: Buffer.from([7]), n: [1, -1] }, { data: Buffer.from([7]), n: [1, -1] }]);
        await ask(b, "join", room);
        let strayed = false;
        c.on(said, () => (strayed = true));
        const mine = next(b, said);
        await ask(a, "say", [room], said, "hi");
        assert.equal(await mine, "hi");
        await ask(c, "echo", 0);
        assert.equal(strayed, false);
      });

      test("the server disconnects", async () => {
        const client = await join("/lab", { reconnection: false });
        const reason = next(client, "disconnect");
        client.emit("kick", false);
        assert.equal((await reason)[0] ?? (await reason), "io server disconnect");
      });

      test("undefined is null in an array and missing in an object", async () => {
        const client = await join();
        const got = await ask(client, "echo", { a: [undefined, 1], b: undefined, c: 2 });
        // The reference answers with what it has been sent; ours, as JSON does. To a program both look the same.
        assert.deepEqual(JSON.parse(JSON.stringify(got)), { a: [null, 1], c: 2 });
      });

      test("a date is JSON's for a program that reads it as one", async () => {
        const client = await join();
        const date = new Date(1767225600678);
        assert.equal(JSON.stringify(await ask(client, "echo", date)), JSON.stringify(date));
      });

      for (const [what, message] of Object.entries({
        "no MessagePack": Buffer.from("c1", "hex"),
        "no packet": Buffer.from("93010203", "hex"),
        "a byte too many": Buffer.concat([parser.Encoder.prototype.encode({ type: 2, data: ["echo"], nsp: "/lab" })[0], Buffer.from([0])]),
        "a type of the text format": parser.Encoder.prototype.encode({ type: 5, data: ["echo"], nsp: "/lab" })[0],
        "an event without an array": parser.Encoder.prototype.encode({ type: 2, data: {}, nsp: "/lab" })[0],
      })) {
        test(`${what} ends the connection: forced close (S-93)`, async () => {
          const key = unique("bad");
          const journal = await connected(base(), "/journal", options);
          const client = await join("/lab", { auth: { key }, reconnection: false });
          const gone = within(new Promise((resolve) => {
            journal.on("gone", (who) => who.key === key && resolve(who.reason));
          }), "gone");
          const reason = next(client, "disconnect");
          client.io.engine.send(message);
          assert.equal(await gone, "forced close");
          await reason;
        });
      }
    });
  }
}

describe("ours", () => {
  for (const [way, transports] of Object.entries(ways)) {
    test(`integers beyond 2^53 are exact on our side, ${way}`, async () => {
      const client = await connected(server("PERCH_LAB_URL"), "/lab", { ...transports, parser });
      // What JavaScript can say is a power of two; that it comes back shows that nothing was rounded or cut off.
      for (const n of [2 ** 53, 2 ** 62, 2 ** 63, -(2 ** 53), -(2 ** 63)]) assert.equal(await ask(client, "exact", n), n);
    });
  }

  test("a client that was away gets what it missed, bytes included (S-77, S-78)", async () => {
    const url = server("PERCH_RECOVERING_URL");
    const away = await connected(url, "/lab", { transports: ["websocket"], parser });
    const other = await connected(url, "/lab", { transports: ["websocket"], parser });
    const event = unique("news"), id = away.id, heard = [];
    away.on(event, (...args) => heard.push(args.slice(0, -1))); // the last one is the offset
    await ask(other, "shout", event, "first");
    await eventually(() => heard.length === 1, "the first");
    away.io.engine.close();
    const back = next(away, "connect");
    for (const value of ["second", { data: Buffer.from([2]) }, "x".repeat(300)]) await ask(other, "shout", event, value);
    await back;
    assert.equal(away.recovered, true);
    assert.equal(away.id, id);
    await eventually(() => heard.length === 4, "all of them");
    assert.deepEqual(heard, [["first"], ["second"], [{ data: Buffer.from([2]) }], ["x".repeat(300)]]);
  });

  test("a burst keeps its order, bytes stay with their events", async () => {
    const client = await connected(server("PERCH_LAB_URL"), "/lab", { transports: ["websocket"], parser });
    const ticks = several(client, "tick", 1000, 10_000);
    assert.equal(await ask(client, "burst", 1000), 1000);
    (await ticks).forEach(([i, value], n) => {
      assert.equal(i, n);
      assert.deepEqual(value, n % 3 ? `text ${n}` : Buffer.from([n & 255, n >> 8]));
    });
  });
});
