// Events and acknowledgements both ways. Rows: S-32, S-54, S-67, S-68, S-70, S-72, C-14 to C-17, C-19, C-20.
import assert from "node:assert/strict";
import { eventually, next, pause, several } from "../support.mjs";
import { ask, heard, record } from "../generations.mjs";
import { CLIENT, LAB, needs } from "./behaviour.mjs";

const JAVASCRIPT_DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
function recent(date) {
  assert.match(date, JAVASCRIPT_DATE);
  assert.ok(Math.abs(Date.now() - Date.parse(date)) < 5000, date);
}

/** What comes back as it was sent. */
const values = {
  "texts": ["text", "", " ", '"\\/\b\n'],
  "numbers": [0, 1, -1.5, 1e21, 5e-324, Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER],
  "true, false and null": [true, false, null],
  "lists": [[], [1, [2, [3, []]]], [null, "a", { b: 1 }]],
  "objects": [{}, { a: { b: { c: { d: "e" } } } }, { "": 0, "a b": [{}], "\u00e9": null }],
  "characters of any plane": ["\u20ac \u{1F426} \u0000 \u2028 \u2029 \u00e9 e\u0301", { "\u{1F426}": "\u{10FFFF}" }, "\u{1F426}".repeat(1000)],
  "what looks like the protocol": ["42[\"x\"]", "\x1e", "1:2", "b4AAAA", "0{", ["_placeholder"], "6:40/foo", "</script>"],
};

const echoes = Object.fromEntries(
  Object.entries(values).map(([name, list]) => [
    `comes back as it was: ${name}`,
    async (c) => {
      const socket = await c.join(CLIENT);
      for (const value of list) assert.deepEqual(await ask(socket, "echo", value), value);
    },
  ]),
);

export const events = {
  ...echoes,

  "an event without arguments has one in answer": async (c) => {
    const socket = await c.join(CLIENT);
    const answer = heard(socket, "hi");
    socket.emit("hi");
    // With recovery on, protocol 4 has the offset as an argument too (S-78).
    assert.deepEqual((await answer).map((x) => typeof x), c.protocol === 4 ? ["string"] : []);
  },

  "what JSON does not have comes back as JSON does it": async (c) => {
    const socket = await c.join(CLIENT);
    const date = new Date(1_700_000_000_123);
    assert.equal(await ask(socket, "echo", date), "2023-11-14T22:13:20.123Z");
    assert.equal(await ask(socket, "echo", undefined), null);
    assert.equal(await ask(socket, "echo", NaN), null);
    assert.deepEqual(await ask(socket, "echo", { a: undefined, b: 1 }), { b: 1 });
  },

  "a large text comes back": async (c) => {
    const socket = await c.join(CLIENT);
    const text = "large \u20ac ".repeat(60_000);
    assert.equal(await ask(socket, "echo", text), text);
  },

  "false arrives as false": async (c) => {
    const socket = await c.join(CLIENT);
    const answer = heard(socket, "false");
    socket.emit("false");
    assert.equal((await answer)[0], false);
  },

  "five texts of many scripts arrive in order": async (c) => {
    const socket = await c.join(CLIENT);
    const texts = record(socket, "takeUtf8");
    socket.emit("getUtf8");
    await eventually(() => texts.length >= 5, "five texts");
    assert.deepEqual(texts, ["てすと", "Я Б Г Д Ж Й", "Ä ä Ü ü ß", "utf8 — string", "utf8 — string"]);
  },

  "a date is acknowledged": async (c) => {
    const socket = await c.join(CLIENT);
    recent(await ask(socket, "getAckDate", { test: true }));
  },

  "a date is emitted": async (c) => {
    const socket = await c.join(CLIENT);
    const answer = heard(socket, "takeDate");
    socket.emit("getDate");
    recent((await answer)[0]);
  },

  "a date is emitted in an object": async (c) => {
    const socket = await c.join(CLIENT);
    const answer = heard(socket, "takeDateObj");
    socket.emit("getDateObj");
    const [object] = await answer;
    assert.deepEqual(Object.keys(object), ["date"]);
    recent(object.date);
  },

  "the server asks, the client acknowledges with several arguments": async (c) => {
    const socket = await c.join(CLIENT);
    socket.on("ack", (answer) => answer(5, { test: true }));
    const got = heard(socket, "got it");
    socket.emit("ack");
    await got;
  },

  "the server asks often, each answer counts once": async (c) => {
    const socket = await c.join(CLIENT);
    const got = record(socket, "got it");
    socket.on("ack", (answer) => {
      answer(5, { test: true });
      answer(5, { test: true }); // the client sends the first only
    });
    for (let i = 0; i < 20; i++) socket.emit("ack");
    await eventually(() => got.length >= 20, "twenty times");
    await ask(socket, "echo", 1);
    assert.equal(got.length, 20);
  },

  "the server asks and gets other answers than it wants, or none": async (c) => {
    const socket = await c.join(CLIENT);
    const answers = [[5], [], [5, { test: false }], ["5", { test: true }], [4, { test: true }], null, [5, { test: true }]];
    const got = record(socket, "got it");
    let asked = 0;
    socket.on("ack", (answer) => {
      const args = answers[asked++];
      if (args) answer(...args);
    });
    for (const _ of answers) socket.emit("ack");
    await eventually(() => asked === answers.length && got.length > 0, "the right answer");
    await ask(socket, "echo", 1);
    assert.equal(got.length, 1);
  },

  "a late answer is one": async (c) => {
    const socket = await c.join(CLIENT);
    const got = heard(socket, "got it");
    socket.emit("ack");
    const [answer] = await heard(socket, "ack");
    assert.equal(await ask(socket, "echo", "meanwhile"), "meanwhile");
    answer(5, { test: true });
    await got;
  },

  "many events are handled in order": async (c) => {
    const socket = await c.join(CLIENT);
    const answers = [], count = 1000;
    for (let i = 0; i < count; i++) socket.emit("echo", i, (x) => answers.push(x));
    await eventually(() => answers.length === count, "an answer for each");
    assert.deepEqual(answers, Array.from({ length: count }, (_, i) => i));
  },

  "many events arrive in order": async (c) => {
    const socket = await c.join(CLIENT);
    const all = several(socket, "takeUtf8", 500);
    for (let i = 0; i < 100; i++) socket.emit("getUtf8");
    (await all).forEach((got, i) => assert.match([got].flat()[0], [/^て/, /^Я/, /^Ä/, /^utf8/, /^utf8/][i % 5]));
  },

  "answers find their questions, in several namespaces": async (c) => {
    const manager = c.manager(CLIENT);
    const root = manager.socket("/"), foo = manager.socket("/foo");
    await Promise.all([next(root, "connect"), next(foo, "connect")]);
    await Promise.all(
      Array.from({ length: 100 }, async (_, i) => {
        assert.equal(await ask(root, "echo", i), i);
        assert.equal(await ask(foo, "getId"), foo.id);
      }),
    );
  },

  "an event that nobody handles is dropped": async (c) => {
    const socket = await c.join(CLIENT);
    let answered = false;
    socket.emit("unknown", 1, () => (answered = true));
    assert.equal(await ask(socket, "echo", 1), 1);
    assert.ok(socket.connected && !answered);
  },

  "an event may have any name that is not reserved": async (c) => {
    const socket = await c.join(CLIENT);
    for (const name of ["", " ", "got it", "\u{1F426}", "__proto__", "constructor", "message"]) socket.emit(name, name);
    assert.equal(await ask(socket, "echo", 1), 1);
  },

  "sends without compression when told to": async (c) => {
    const socket = await c.join(CLIENT);
    assert.equal(await ask(socket.compress(false), "echo", 1), 1);
  },

  "is kept alive by heartbeats": async (c) => {
    const socket = await c.join(CLIENT);
    let beats = 0;
    socket.io.engine.on("packet", ({ type }) => (beats += type === c.heartbeat));
    const left = record(socket, "disconnect");
    await eventually(() => beats > 0, "a heartbeat");
    assert.equal(await ask(socket, "echo", 1), 1);
    assert.deepEqual(left, []);
  },

  "a volatile event goes out when the way is free": needs("volatile", async (c) => {
    const socket = await c.join(CLIENT);
    await eventually(() => socket.io.engine.transport.writable, "a free way");
    assert.equal(await ask(socket.volatile, "echo", 1), 1);
  }),

  "a volatile event is dropped when it is not connected": needs("volatile", async (c) => {
    const socket = c.socket(CLIENT, { autoConnect: false });
    let answered = false;
    socket.volatile.emit("echo", 1, () => (answered = true));
    socket.connect();
    assert.equal(await ask(socket, "echo", 2), 2);
    assert.ok(!answered);
  }),

  "hears everything if it wants to": needs("catch-all", async (c) => {
    const socket = await c.join(CLIENT);
    const names = [];
    socket.onAny((name) => names.push(name));
    for (const event of ["hi", "false", "getDate"]) socket.emit(event);
    await ask(socket, "echo", 1);
    assert.deepEqual(names, ["hi", "false", "takeDate"]);
  }),

  "overhears what it sends": needs("outgoing", async (c) => {
    const socket = await c.join(CLIENT);
    const names = [];
    socket.onAnyOutgoing((name, x) => names.push([name, x]));
    await ask(socket, "echo", Buffer.from("x"));
    assert.deepEqual(names.map(([name]) => name), ["echo"]);
  }),

  "an answer that does not come is an error in time": needs("timeout", async (c) => {
    const socket = await c.join(CLIENT);
    await assert.rejects(socket.timeout(50).emitWithAck("unknown"), /timed out/);
    const error = await ask(socket.timeout(50), "unknown");
    assert.match(error.message, /timed out/);
  }),

  "an answer that comes in time is given without error": needs("timeout", async (c) => {
    const socket = await c.join(CLIENT);
    assert.equal(await socket.timeout(5000).emitWithAck("echo", 42), 42);
    assert.deepEqual(await new Promise((resolve) => socket.timeout(5000).emit("echo", 42, (...got) => resolve(got))), [null, 42]);
    assert.equal(await socket.emitWithAck("echo", 42), 42);
  }),

  "an answer that comes too late is not given": needs("timeout", async (c) => {
    const socket = await c.join(LAB + "/lab");
    const calls = [];
    socket.timeout(20).emit("sleepy", 60, (...got) => calls.push(got));
    await eventually(() => calls.length > 0, "the timeout");
    await ask(socket, "echo", 1); // which waits behind the other
    assert.equal(calls.length, 1);
    assert.match(calls[0][0].message, /timed out/);
  }),

  "every answer has a time limit if it is told so": needs("timeout", async (c) => {
    const socket = await c.join(CLIENT, { ackTimeout: 50 });
    const error = await ask(socket, "unknown");
    assert.match(error.message, /timed out/);
  }),

  "who waits for an answer is told when it leaves": needs("timeout", async (c) => {
    const socket = await c.join(CLIENT);
    const waiting = socket.timeout(5000).emitWithAck("unknown");
    socket.disconnect();
    await assert.rejects(waiting, /disconnected/);
  }),

  "sends again what was not acknowledged, then gives up": needs("retries", async (c) => {
    const socket = await c.join(CLIENT, { retries: 2, ackTimeout: 100 });
    const asked = record(socket, "ack"); // the server's own question, which it asks each time
    const error = await ask(socket, "ack");
    assert.match(error.message, /timed out/);
    await eventually(() => asked.length >= 3, "three tries");
    await pause(20);
    assert.equal(asked.length, 3);
  }),

  "keeps the order of what it may send again": needs("retries", async (c) => {
    const socket = c.socket(CLIENT, { retries: 3, ackTimeout: 4000 });
    const answers = [];
    for (let i = 0; i < 10; i++) socket.emit("echo", i, (error, x) => answers.push([error, x]));
    await eventually(() => answers.length === 10, "ten answers");
    assert.deepEqual(answers, Array.from({ length: 10 }, (_, i) => [null, i]));
  }),
};
