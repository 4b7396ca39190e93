// The official bundle for MessagePack, socket.io.msgpack.min.js, in a headless Chromium, from our server and against it: its
// encoder is another than the one for Node (ArrayBuffers are bytes, strings are written by hand).
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launchChromium } from "./browsers.mjs";
import { server } from "./support.mjs";

const BASE = server("PERCH_LAB_URL");
let browser, page;

before(async () => {
  browser = await launchChromium();
  page = await browser.newPage();
  await page.goto(`${BASE}/socket.io/socket.io.msgpack.min.js`); // any page of that origin will do
  await page.addScriptTag({ url: "/socket.io/socket.io.msgpack.min.js" });
});
after(() => browser?.close());

for (const transports of [["polling"], ["websocket"]]) {
  test(`values and bytes come back as they went, ${transports}`, async () => {
    const [sent, got] = await page.evaluate(async (transports) => {
      /* global io */
      const bytes = (...values) => new Uint8Array(values).buffer;
      const socket = io("/lab", { transports, forceNew: true, auth: { key: "ключ" } });
      const hello = await new Promise((resolve) => socket.once("hello", resolve));
      const values = [
        "text", "héllo てすと 😀 \u0000\"\\", "x".repeat(70_000), 0, -1, 200, 70_000, 2 ** 53, -(2 ** 40), 1.5, -1e-7, true, null, [], {},
        { a: [{ b: "c" }] }, bytes(0, 1, 255), { data: bytes(1), list: [bytes(), bytes(2, 3)] },
      ];
      const plain = (value) => {
        if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return { bytes: [...new Uint8Array(value.buffer ?? value)] };
        if (Array.isArray(value)) return value.map(plain);
        if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)]));
        return value;
      };
      const answers = [];
      for (const value of values) answers.push(await socket.timeout(5000).emitWithAck("echo", value));
      socket.on("question", (value, answer) => answer({ heard: value }));
      answers.push(await socket.timeout(5000).emitWithAck("ask", bytes(9)));
      socket.disconnect();
      return [[...values.map(plain), { heard: { bytes: [9] } }, "ключ"], [...answers.map(plain), hello.auth.key]];
    }, transports);
    assert.deepEqual(got, sent);
  });
}
