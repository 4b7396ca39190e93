// The official client against examples/chat, as its page uses it: every event, its acks and its errors, over each
// way to the server, with people on different ways talking to one another, and to plain WebSockets.
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { after, afterEach, describe, test } from "node:test";
import { randomBytes } from "node:crypto";
import { WebSocket } from "ws";
import { next, pause, server, unique } from "./support.mjs";
import { ask, connected, disconnectAll, upgraded, ways } from "./client.mjs";

const BASE = server("PERCH_CHAT_URL");

afterEach(disconnectAll);
after(disconnectAll);

async function person(way) {
  const client = await connected(BASE, "/chat", ways[way]);
  return ways[way].transports.length > 1 ? upgraded(client) : client;
}

/** A client that speaks frames: its events are the server's, ask() wants the answer to one of its own. */
async function plain() {
  const socket = new WebSocket(`${BASE.replace("http", "ws")}/ws`);
  const client = new EventEmitter();
  socket.on("message", (frame) => {
    const { id, event, data } = JSON.parse(frame);
    client.emit(id === undefined ? event : `answer ${id}`, data);
  });
  let serial = 0;
  client.ask = (event, data) => {
    const id = ++serial;
    socket.send(JSON.stringify({ event, data, id }));
    return next(client, `answer ${id}`);
  };
  client.disconnect = () => socket.close();
  opened.push(client);
  await next(socket, "open");
  return client;
}
const opened = [];
afterEach(() => opened.splice(0).forEach((client) => client.disconnect()));

/** What was said in a room, as the chat streams it. */
async function history(client, room, after = "") {
  const said = [];
  const keep = (item) => said.push(item.message ?? item.file);
  client.on("history", keep);
  const end = await (client.ask ? client.ask("history", { room, after }) : ask(client, "history", { room, after }));
  client.off("history", keep);
  assert.equal(end, undefined);
  return said;
}

const fails = (answer, what) => {
  assert.equal(answer.status, "error");
  assert.equal(typeof answer.code, "string");
  assert.match(answer.message, what);
};

const recent = (at) => Math.abs(new Date(at) - Date.now()) < 60_000;

for (const way of Object.keys(ways)) {
  describe(way, () => {
    const pair = async () => {
      const room = unique("room");
      const [ann, ben] = await Promise.all([person(way), person("polling, then websocket")]);
      assert.deepEqual(await ask(ann, "join", { room, name: "Ann" }), { room, members: ["Ann"] });
      const joined = next(ann, "joined");
      const welcome = await ask(ben, "join", { room, name: "Ben" });
      assert.deepEqual(welcome.members.toSorted(), ["Ann", "Ben"]);
      assert.deepEqual(await joined, { room, name: "Ben" });
      return { room, ann, ben };
    };

    test("a message is acknowledged and reaches everyone in the room, the sender too", async () => {
      const { room, ann, ben } = await pair();
      const heard = Promise.all([next(ann, "message"), next(ben, "message")]);
      const text = "h\u00e9llo <b>\u{1F426}</b>\nsecond line";
      const { id, at } = await ask(ann, "message", { room, text });
      assert.ok(recent(at), at);
      for (const message of await heard) assert.deepEqual(message, { id, room, name: "Ann", text, at });
      const second = await ask(ann, "message", { room, text });
      assert.notEqual(second.id, id);
    });

    test("rooms are apart: who is in several hears each, who is in another hears nothing", async () => {
      const { room, ann, ben } = await pair();
      const other = unique("room");
      await ask(ann, "join", { room: other, name: "Ann" });
      const stray = [];
      ben.on("message", (message) => stray.push(message.room));
      await ask(ann, "message", { room: other, text: "elsewhere" });
      await ask(ann, "message", { room, text: "here" });
      await ask(ben, "message", { room, text: "last" });
      assert.deepEqual(stray, [room, room]);
    });

    test("text of 1 to 2000 characters", async () => {
      const { room, ann } = await pair();
      assert.ok((await ask(ann, "message", { room, text: "\u{1F426}".repeat(2000) })).id);
      assert.ok((await ask(ann, "message", { room, text: "x" })).id);
      fails(await ask(ann, "message", { room, text: "x".repeat(2001) }), /2000/);
      fails(await ask(ann, "message", { room, text: "" }), /1/);
      fails(await ask(ann, "message", { room }), /./);
      fails(await ask(ann, "message", { room, text: 7 }), /./);
      fails(await ask(ann, "message", "not an object"), /./);
      fails(await ask(ann, "message"), /./);
      fails(await ask(ann, "message", null), /./);
    });

    test("a sender who is not in the room gets an error ack", async () => {
      const ann = await person(way);
      const room = unique("room");
      fails(await ask(ann, "message", { room, text: "hello?" }), /./);
      fails(await ask(ann, "file", { room, name: "a.png", data: randomBytes(8) }), /./);
      // Asked without an ack, the answer is an exception event.
      const exception = next(ann, "exception");
      ann.emit("message", { room, text: "hello?" });
      fails(await exception, /./);
    });

    test("a join without a room or a name is refused", async () => {
      const ann = await person(way);
      for (const join of [{}, { room: "x" }, { name: "x" }, { room: "", name: "x" }, { room: "x", name: "" }, { room: 1, name: "x" }, null]) {
        fails(await ask(ann, "join", join), /./);
      }
    });

    test("typing reaches the others, not oneself", async () => {
      const { room, ann, ben } = await pair();
      let echo = false;
      ann.on("typing", () => (echo = true));
      // It is volatile: the other one's transport may be between two polls or still busy, so it is said until heard.
      const heard = next(ben, "typing");
      const again = setInterval(() => ann.emit("typing", { room }), 50);
      const { room: where, name } = await heard.finally(() => clearInterval(again));
      assert.deepEqual({ where, name }, { where: room, name: "Ann" });
      await ask(ann, "message", { room, text: "done" });
      assert.equal(echo, false);
    });

    test("leaving: the others are told, and no more messages come", async () => {
      const { room, ann, ben } = await pair();
      const left = next(ben, "left");
      ann.emit("leave", { room });
      assert.deepEqual(await left, { room, name: "Ann" });
      let stray = false;
      ann.on("message", () => (stray = true));
      await ask(ben, "message", { room, text: "alone now" });
      fails(await ask(ann, "message", { room, text: "may I" }), /./);
      assert.equal(stray, false);
      assert.deepEqual((await ask(ann, "join", { room, name: "Ann" })).members.toSorted(), ["Ann", "Ben"]);
    });

    for (const [how, go] of Object.entries({
      "says so": (client) => client.disconnect(),
      "closes the connection": (client) => client.io.engine.close(),
    })) {
      test(`who ${how} has left every room`, async () => {
        const { room, ann, ben } = await pair();
        const other = unique("room");
        await ask(ann, "join", { room: other, name: "Annie" });
        await ask(ben, "join", { room: other, name: "Ben" });
        const gone = new Promise((resolve) => {
          const seen = {};
          ben.on("left", ({ room: where, name }) => {
            seen[where] = name;
            if (Object.keys(seen).length === 2) resolve(seen);
          });
        });
        ann.io.reconnection(false);
        go(ann);
        assert.deepEqual(await gone, { [room]: "Ann", [other]: "Annie" });
        assert.deepEqual((await ask(ben, "join", { room, name: "Ben" })).members, ["Ben"]);
      });
    }

    test("a file arrives as the bytes it was, up to 512 KiB", async () => {
      const { room, ann, ben } = await pair();
      for (const size of [1, 1000, 512 * 1024]) {
        const data = randomBytes(size);
        const heard = next(ben, "file");
        const answer = ask(ann, "file", { room, name: "bird.png", data });
        const file = await heard;
        assert.equal(file.room, room);
        assert.equal(file.name, "bird.png");
        assert.ok(Buffer.isBuffer(file.data));
        assert.deepEqual(file.data, data);
        assert.notEqual((await answer)?.status, "error");
      }
      fails(await ask(ann, "file", { room, name: "bird.png", data: randomBytes(512 * 1024 + 1) }), /./);
      fails(await ask(ann, "file", { room, name: "bird.png", data: 7 }), /./);
    });

    test("who joins reads what was said, or what came after something; who has not joined reads nothing", async () => {
      const { room, ann } = await pair();
      const data = randomBytes(100);
      const first = await ask(ann, "message", { room, text: "first" });
      const second = await ask(ann, "file", { room, name: "bird.png", data });
      const cho = await person(way);
      fails(await ask(cho, "history", { room }), /join/);
      await ask(cho, "join", { room, name: "Cho" });
      const message = { id: first.id, room, name: "Ann", text: "first", at: first.at };
      const file = { id: second.id, room, name: "bird.png", from: "Ann", data, at: second.at };
      assert.deepEqual(await history(cho, room), [message, file]);
      assert.deepEqual(await history(cho, room, first.id), [file]);
      assert.deepEqual(await history(cho, room, second.id), []);
    });

    test("a plain WebSocket is in the same room", async () => {
      const { room, ann } = await pair();
      const cho = await plain();
      const joined = next(ann, "joined");
      assert.deepEqual((await cho.ask("join", { room, name: "Cho" })).members.toSorted(), ["Ann", "Ben", "Cho"]);
      assert.deepEqual(await joined, { room, name: "Cho" });
      for (const [from, say] of [["Ann", () => ask(ann, "message", { room, text: "hi" })], ["Cho", () => cho.ask("message", { room, text: "hi" })]]) {
        const heard = Promise.all([next(ann, "message"), next(cho, "message")]);
        const { id, at } = await say();
        for (const message of await heard) assert.deepEqual(message, { id, room, name: from, text: "hi", at });
      }
      const data = randomBytes(512 * 1024), base64 = data.toString("base64");
      for (const send of [() => ask(ann, "file", { room, name: "a.png", data }), () => cho.ask("file", { room, name: "a.png", data: base64 })]) {
        const heard = Promise.all([next(ann, "file"), next(cho, "file")]);
        assert.notEqual((await send()).status, "error");
        const [bytes, text] = await heard;
        assert.deepEqual(bytes.data, data);
        assert.equal(text.data, base64);
      }
      assert.deepEqual((await history(cho, room)).map(({ text, data }) => text ?? data), ["hi", "hi", base64, base64]);
      fails(await cho.ask("message", { room, text: "x".repeat(2001) }), /2000/);
      const left = next(ann, "left");
      cho.disconnect();
      assert.deepEqual(await left, { room, name: "Cho" });
    });

    test("events nobody knows and surplus arguments harm nothing", async () => {
      const { room, ann } = await pair();
      ann.emit("nobody", { a: 1 });
      ann.emit("__proto__");
      assert.ok((await ask(ann, "message", { room, text: "x", extra: [1] }, "surplus")).id);
    });
  });
}

test("twenty people in one room see one order", async () => {
  const room = unique("crowd");
  const names = Object.keys(ways);
  const people = await Promise.all(Array.from({ length: 20 }, (_, i) => person(names[i % 3])));
  await Promise.all(people.map((client, i) => ask(client, "join", { room, name: `P${i}` })));
  const seen = people.map((client) => {
    const list = [];
    client.on("message", ({ id }) => list.push(id));
    return list;
  });
  await Promise.all(people.map((client, i) => Promise.all(Array.from({ length: 5 }, (_, n) => ask(client, "message", { room, text: `${i}.${n}` })))));
  for (let i = 0; i < 100 && !seen.every((list) => list.length === 100); i++) await pause(50);
  for (const list of seen) assert.deepEqual(list, seen[0]);
  assert.equal(new Set(seen[0]).size, 100);
});
