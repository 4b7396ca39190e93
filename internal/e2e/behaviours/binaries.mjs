// Binary in every shape. Rows: section 3.4 of the specification, S-21, C-4.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { eventually, next } from "../support.mjs";
import { ask, heard, record } from "../generations.mjs";
import { CLIENT, needs } from "./behaviour.mjs";

const bytes = (...list) => Buffer.from(list);
const kinds = {
  "a Buffer": (data) => data,
  "an ArrayBuffer": (data) => new Uint8Array(data).buffer,
};
const view = (data) => new Uint8Array(data);

/** Emits an event that is answered by another. */
async function answered(c, answer, ...emits) {
  const socket = await c.join(CLIENT);
  const got = heard(socket, answer);
  for (const args of emits) socket.emit(...args);
  await got;
}

/** Emits what is not answered; then what is, once. */
async function unanswered(c, answer, wrong, right) {
  const socket = await c.join(CLIENT);
  const got = record(socket, answer);
  for (const args of wrong) socket.emit(...args);
  await ask(socket, "echo", 1);
  assert.deepEqual(got.length, 0);
  for (const args of right) socket.emit(...args);
  await eventually(() => got.length > 0, answer);
  await ask(socket, "echo", 1);
  assert.equal(got.length, 1);
}

const mixed = (message) => ({ hello: "lol", message, goodbye: "gotcha" });

const sent = Object.fromEntries(
  Object.entries(kinds).flatMap(([kind, make]) => [
    [`${kind} is sent`, (c) => answered(c, "buffack", ["buffa", make(bytes(1, 2, 3))])],
    [`${kind} is sent in an object`, (c) => answered(c, "jsonbuff-ack", ["jsonbuff", mixed(make(randomBytes(100)))])],
  ]),
);

export const binaries = {
  "bytes arrive": async (c) => {
    const socket = await c.join(CLIENT);
    for (const [event, answer] of [["doge", "doge"], ["getbin", "takebin"]]) {
      const got = heard(socket, answer);
      socket.emit(event);
      assert.deepEqual((await got)[0], Buffer.from("asdfasdf"));
    }
  },

  "bytes arrive as an ArrayBuffer where that is wanted": async (c) => {
    const socket = await c.join(CLIENT);
    socket.io.engine.binaryType = socket.io.engine.transport.socket.binaryType = "arraybuffer";
    const got = heard(socket, "doge");
    socket.emit("doge");
    const [data] = await got;
    assert.ok(data instanceof ArrayBuffer, String(data));
    assert.deepEqual(Buffer.from(data), Buffer.from("asdfasdf"));
  },

  ...sent,

  "a view of bytes is sent": needs("views", (c) => answered(c, "buffack", ["buffa", view(bytes(1, 2, 3))])),

  "a view of bytes is sent in an object": needs("views", (c) => answered(c, "jsonbuff-ack", ["jsonbuff", mixed(view(bytes(1, 2, 3)))])),

  "a text is no binary": (c) => unanswered(c, "buffack", [["buffa", "asdf"], ["buffa"], ["buffa", null], ["buffa", [1]]], [["buffa", bytes(1)]]),

  "an object has to be the one that is wanted": (c) =>
    unanswered(
      c, "jsonbuff-ack",
      [["jsonbuff", mixed("text")], ["jsonbuff", { ...mixed(bytes(1)), hello: "x" }], ["jsonbuff", { ...mixed(bytes(1)), goodbye: 1 }], ["jsonbuff", bytes(1)]],
      [["jsonbuff", mixed(bytes(1))]],
    ),

  "a binary and then a text arrive in that order": (c) => answered(c, "abuff2-ack", ["abuff1", bytes(1, 2)], ["abuff2", "second"]),

  "the second without the first is not answered": (c) =>
    unanswered(c, "abuff2-ack", [["abuff2", "second"]], [["abuff1", bytes(1)], ["abuff2", "second"]]),

  "a blob is sent": (c) => answered(c, "back", ["blob", Buffer.from("hello world")]),

  "a blob is sent in an object": (c) => answered(c, "jsonblob-ack", ["jsonblob", mixed(Buffer.from("EEEEEEEEE"))]),

  "binary, text, binary arrive in that order": (c) =>
    answered(c, "blob3-ack", ["blob1", Buffer.from("BLOB")], ["blob2", "second"], ["blob3", Buffer.from("BLOB")]),

  "another order is not answered": (c) =>
    unanswered(
      c, "blob3-ack",
      [["blob3", bytes(1)], ["blob2", "second"], ["blob1", bytes(1)], ["blob3", bytes(1)]],
      [["blob1", bytes(1)], ["blob2", "second"], ["blob3", bytes(1)]],
    ),

  "binary comes back in an acknowledgement": async (c) => {
    const socket = await c.join(CLIENT);
    for (const data of [bytes(), bytes(0), bytes(4, 0x1e, 0xff, 0x00), randomBytes(70_000)]) {
      assert.deepEqual(await ask(socket, "echo", data), data);
    }
  },

  "binary comes back from anywhere in a value": async (c) => {
    const socket = await c.join(CLIENT);
    const value = { deep: [{ a: bytes(1), list: [bytes(2), "b", [bytes(3, 4)]] }], empty: bytes(), text: "t", none: null };
    assert.deepEqual(await ask(socket, "echo", value), value);
  },

  "as many attachments as a packet may have": async (c) => {
    const socket = await c.join(CLIENT);
    const list = Array.from({ length: 10 }, (_, i) => randomBytes(i * 100));
    assert.deepEqual(await ask(socket, "echo", list), list);
  },

  "one attachment too many ends the connection, which is made again": async (c) => {
    const socket = await c.join(CLIENT);
    const gone = next(socket, "disconnect");
    socket.emit("echo", Array.from({ length: 11 }, () => bytes(1)));
    await gone;
    await next(socket, "connect");
    assert.equal(await ask(socket, "echo", 1), 1);
  },

  "what looks like a placeholder is data": async (c) => {
    const socket = await c.join(CLIENT);
    const value = [{ _placeholder: false, num: 0 }, { num: 0 }];
    assert.deepEqual(await ask(socket, "echo", value), value);
  },

  "a large binary comes back": async (c) => {
    const socket = await c.join(CLIENT);
    const large = randomBytes(700_000);
    assert.deepEqual(await ask(socket, "echo", large), large);
  },

  "binary and text keep their order": async (c) => {
    const socket = await c.join(CLIENT);
    const answers = [], count = 300;
    const value = (i) => (i % 3 ? `text ${i}` : [bytes(i & 255, i >> 8), i, bytes()]);
    for (let i = 0; i < count; i++) socket.emit("echo", value(i), (x) => answers.push(x));
    await eventually(() => answers.length === count, "an answer for each");
    answers.forEach((x, i) => assert.deepEqual(x, value(i)));
  },

  "binary goes as base64 where the client wants that": async (c) => {
    const socket = await c.join(CLIENT, { forceBase64: true });
    const value = { deep: [randomBytes(1000), bytes()] };
    assert.deepEqual(await ask(socket, "echo", value), value);
    const got = heard(socket, "doge");
    socket.emit("doge");
    assert.deepEqual((await got)[0], Buffer.from("asdfasdf"));
  },
};
