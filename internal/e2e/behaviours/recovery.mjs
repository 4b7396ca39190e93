// Connection state recovery, and what clients without it see of it. Rows: S-76 to S-78, C-18.
import assert from "node:assert/strict";
import { eventually, next } from "../support.mjs";
import { ask, heard, record, wire } from "../generations.mjs";
import { CLIENT, lacks, needs } from "./behaviour.mjs";

/** A socket over a wire, with an offset to come back with. */
async function joined(c) {
  const w = await wire(c, CLIENT);
  const socket = await c.join(w.url);
  const hi = heard(socket, "hi");
  socket.emit("hi");
  await hi;
  return { ...w, socket };
}

/** A socket that was away when the answer to what it asked for came, and what it got of it. */
async function missed(c, event, answer) {
  const { socket, interrupt, hold, held } = await joined(c);
  const got = record(socket, answer);
  hold();
  socket.emit(event);
  await eventually(() => held().includes(answer), "the answer on the wire");
  await interrupt(socket);
  return { socket, got };
}

export const recovery = {
  "is the same socket after the connection broke": needs("recovery", async (c) => {
    const { socket, interrupt } = await joined(c);
    const { id } = socket;
    assert.ok(!socket.recovered);
    await interrupt(socket);
    assert.deepEqual([socket.recovered, socket.id], [true, id]);
    assert.equal(await ask(socket, "getId"), id);
  }),

  "is the same socket however often the connection breaks": needs("recovery", async (c) => {
    const { socket, interrupt } = await joined(c);
    const { id } = socket;
    for (let i = 0; i < 3; i++) {
      await interrupt(socket);
      assert.deepEqual([socket.recovered, socket.id], [true, id], `loss ${i + 1}`);
    }
    assert.equal(await ask(socket, "getId"), id);
  }),

  "what it missed arrives in order, exactly once": needs("recovery", async (c) => {
    const { socket, got: texts } = await missed(c, "getUtf8", "takeUtf8");
    assert.ok(socket.recovered);
    assert.equal(await ask(socket, "echo", 1), 1);
    assert.deepEqual(texts, ["てすと", "Я Б Г Д Ж Й", "Ä ä Ü ü ß", "utf8 — string", "utf8 — string"]);
  }),

  "binary that it missed arrives": needs("recovery", async (c) => {
    const { socket, got } = await missed(c, "doge", "doge");
    assert.ok(socket.recovered);
    assert.equal(await ask(socket, "echo", 1), 1);
    assert.deepEqual(got, [Buffer.from("asdfasdf")]);
  }),

  "what it has had does not come again": needs("recovery", async (c) => {
    const { socket, interrupt } = await joined(c);
    const texts = record(socket, "takeUtf8");
    socket.emit("getUtf8");
    await eventually(() => texts.length === 5, "five texts");
    await interrupt(socket);
    assert.ok(socket.recovered);
    assert.equal(await ask(socket, "echo", 1), 1);
    assert.equal(texts.length, 5);
  }),

  "who left is another when it comes back": needs("recovery", async (c) => {
    const { socket } = await joined(c);
    const { id } = socket;
    socket.disconnect().connect();
    await next(socket, "connect");
    assert.ok(!socket.recovered);
    assert.notEqual(socket.id, id);
  }),

  "is another socket after the connection broke": lacks("recovery", async (c) => {
    const { socket, interrupt } = await joined(c);
    const { id } = socket;
    await interrupt(socket);
    assert.notEqual(socket.id, id);
    assert.equal(await ask(socket, "getId"), socket.id);
  }),

  // A client of 3.x cannot be told from one of 4.x when it connects, and has one argument more, as with the reference.
  "events have an argument for recovery where the protocol has recovery (S-78)": async (c) => {
    const socket = await c.join(CLIENT);
    for (const [event, answer, args] of [["hi", "hi", []], ["false", "false", ["boolean"]], ["getDate", "takeDate", ["string"]], ["doge", "doge", ["object"]]]) {
      const got = heard(socket, answer);
      socket.emit(event);
      assert.deepEqual((await got).map((x) => typeof x), c.protocol === 4 ? [...args, "string"] : args, answer);
    }
  },

  "what it missed is lost": lacks("recovery", async (c) => {
    const { socket, got: texts } = await missed(c, "getUtf8", "takeUtf8");
    assert.equal(await ask(socket, "echo", 1), 1);
    assert.deepEqual(texts, []);
  }),
};
