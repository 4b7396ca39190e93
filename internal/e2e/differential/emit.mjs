// Events in both directions: what an argument may be, how many there are, their order (S-34, S-54, 3.4).
import { eachWay } from "./compare.mjs";

/** The server sends back what the client sent, as an event and as an acknowledgement. */
const thereAndBack = (...args) => async (x) => {
  const a = await x.client("a");
  a.tell("echo", ...args);
  await a.hears("echo");
  await a.ask("echo", ...args);
};

const bytes = (n) => Buffer.from(Array.from({ length: n }, (_, i) => i & 255));

export const emits = {
  "S-54 no argument": thereAndBack(),
  "S-54 null": thereAndBack(null),
  "S-54 undefined becomes null": thereAndBack(undefined, 1, undefined),
  "S-54 booleans": thereAndBack(true, false),
  "S-54 whole numbers": thereAndBack(0, 1, -1, 2 ** 31, -(2 ** 31), Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER),
  "S-54 fractions and exponents": thereAndBack(0.1, -1.5, 1e21, 1e-7, 5e-324, 1.7976931348623157e308),
  "S-54 what JSON has no number for becomes null": thereAndBack(NaN, Infinity, -Infinity, -0),
  "S-54 text": thereAndBack("", "a", "with \"quotes\" and \\ and /", "tab\tand\nline"),
  "S-54 control characters and separators": thereAndBack("\u0000\u0001\u001e\u001f\u007f\u2028\u2029"),
  "S-54 text of many scripts": thereAndBack("てすと", "Я Б Г Д Ж Й", "Ä ä Ü ü ß", "אבג", "हिन्दी", "utf8 — string"),
  "S-54 emoji, joined and modified": thereAndBack("😀", "👩‍👩‍👧‍👦", "👍🏽", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"),
  "S-54 a date is its text": thereAndBack(new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 678))),
  "S-54 empty object and list": thereAndBack({}, []),
  "S-54 nested objects and lists": thereAndBack({ a: { b: [1, { c: [[], [null]] }] } }, [[[[["deep"]]]]]),
  "S-54 keys of every kind": thereAndBack({ "": 1, " ": 2, "ключ": 3, "__proto__x": 4, "0": 5, "a.b": 6, "_placeholder": false }),
  "S-54 an undefined property is left out": thereAndBack({ a: undefined, b: 1, c: [undefined] }),
  "S-54 twenty arguments": thereAndBack(...Array.from({ length: 20 }, (_, i) => i)),
  "S-54 a list of ten thousand": thereAndBack(Array.from({ length: 10_000 }, (_, i) => i)),
  "S-54 100 kB of text": thereAndBack("x".repeat(100_000)),
  "S-54 500 kB of text of several bytes a character": thereAndBack("ж".repeat(250_000)),
  "S-54 an object with toJSON": thereAndBack({ toJSON: () => ({ said: "itself" }) }),
  "S-54 a Map and a Set are empty objects": thereAndBack(new Map([[1, 2]]), new Set([1])),

  "3.4 bytes as an argument": thereAndBack(bytes(5)),
  "3.4 no bytes at all": thereAndBack(Buffer.alloc(0)),
  "3.4 bytes between other arguments": thereAndBack("a", bytes(3), 1, bytes(4), null),
  "3.4 bytes deep inside": thereAndBack({ a: [{ b: bytes(2) }, bytes(1)], c: { d: { e: bytes(3) } } }),
  "3.4 the same bytes twice": (() => {
    const shared = bytes(3);
    return thereAndBack(shared, { again: shared });
  })(),
  "3.4 an ArrayBuffer": thereAndBack(new Uint8Array([1, 2, 3]).buffer),
  "3.4 a typed array and a view": thereAndBack(new Uint16Array([1, 258]), new DataView(new Uint8Array([9, 8, 7]).buffer, 1)),
  "3.4 ten attachments": thereAndBack(...Array.from({ length: 10 }, (_, i) => bytes(i))),
  "3.4 200 kB of bytes": thereAndBack(bytes(200_000)),
  "3.4 bytes with every value": thereAndBack(bytes(256)),

  "3.4 an event named by a number": async (x) => {
    const a = await x.client("a");
    a.socket.emit(5, "five");
    a.tell("emit", "7", "seven");
    await a.hears("7");
  },
  "3.4 an event with an odd name": async (x) => {
    const a = await x.client("a");
    for (const name of ["", " ", "слово", "a\"b", "with,comma", "[]", "error", "message", "hasOwnProperty", "__proto__"]) await a.ask("emit", name, 1);
  },
  "S-34 the server refuses to emit reserved names": async (x) => {
    const a = await x.client("a");
    for (const name of ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"]) await a.ask("emit", name, 1);
  },
  "S-34 nor does it broadcast them": async (x) => {
    const a = await x.client("a");
    for (const by of ["namespace", "socket"]) {
      for (const name of ["connect", "connect_error", "disconnect", "disconnecting"]) await a.ask("cast", { by, to: ["nobody"] }, name, 1);
    }
  },
  "an event nobody listens to changes nothing": async (x) => {
    const a = await x.client("a");
    a.tell("nobody listens", 1, bytes(2));
    await a.ask("echo", "still here");
  },
  "events in the order they were sent, bytes among them": async (x) => {
    const a = await x.client("a");
    for (let i = 0; i < 50; i++) a.tell("echo", i, i % 3 ? "text" : bytes(i));
    await a.hears("echo", 50);
  },
  ...eachWay("a burst of 200 from the server", async (x, way) => {
    const a = await x.client("a", { way });
    await a.ask("burst", 200);
    await a.hears("tick", 200);
  }),
  ...eachWay("every kind of argument at once", async (x, way) => {
    const a = await x.client("a", { way });
    await a.ask("echo", null, true, -1.5, "Я😀", [1, [bytes(3)]], { a: bytes(2), b: undefined }, new Date(0));
  }),
  "events emitted before the connection come after it": async (x) => {
    const a = await x.client("a", { connect: false });
    a.tell("echo", "early");
    a.tell("echo", bytes(2));
    await a.connected();
    await a.hears("echo", 2);
  },
  "what the server emits on connection follows the connect": async (x) => {
    const a = await x.client("a", { query: { greet: "5" } });
    await a.hears("greeting", 5);
  },
};
