// The client of 2.x in a headless Chromium, on a page of another origin, against us and the reference: there its polling has
// binary bodies, and it can be made to poll with JSONP. Rows: S-20, spec 3.3.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";
import http from "node:http";
import { launchChromium } from "./browsers.mjs";
import { listen, server, within } from "./support.mjs";
import { reference } from "./eio3.reference.mjs";

const PERCH = server("PERCH_EIO3_URL");
const client = createRequire(import.meta.url).resolve("socket.io-client-2/dist/socket.io.js");

let node, host, hostURL, browser, page;
const problems = [];
before(async () => {
  node = await reference({ pingInterval: 500, pingTimeout: 5000 });
  host = http.createServer(async (request, response) => {
    if (request.url === "/client.js") response.writeHead(200, { "content-type": "text/javascript" }).end(await readFile(client));
    else if (request.url === "/") response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>2.x</title><script src=client.js></script><body>");
    else response.writeHead(204).end();
  });
  hostURL = await listen(host);
  browser = await launchChromium();
});
after(async () => {
  await browser?.close();
  host?.closeAllConnections();
  host?.close();
  await node?.close();
});
afterEach(async () => {
  await page?.context().close();
  assert.deepEqual(problems.splice(0), [], "the page's own errors");
});

const ways = {
  "polling": { transports: ["polling"] },
  "polling, base64": { transports: ["polling"], forceBase64: true },
  "JSONP": { transports: ["polling"], forceJSONP: true },
  "websocket": { transports: ["websocket"] },
  "polling, then websocket": {},
  "JSONP, then websocket": { forceJSONP: true },
};

for (const [name, url] of [["perch", () => PERCH], ["reference", () => node.url]]) {
  describe(name, () => {
    for (const [way, options] of Object.entries(ways)) {
      test(`${way}: text and binary both ways, a namespace, heartbeats`, async () => {
        page = await (await browser.newContext()).newPage();
        page.on("pageerror", (error) => problems.push(String(error)));
        const types = new Set();
        page.on("response", (response) => {
          if (response.url().includes("EIO=3")) types.add(`${response.request().method()} ${response.headers()["content-type"]?.split(";")[0]}`);
        });
        await page.goto(hostURL);
        const said = await within(page.evaluate(converse, { url: url(), options, single: options.transports?.length === 1 }), way, 20_000);
        assert.deepEqual(said, { echo: true, large: true, bytes: true, back: true, auth: { token: "\u20ac&" }, transport: options.transports?.[0] ?? "websocket" });
        // Only polling over XHR has binary bodies; where the client asked for none, or JSONP knows none, they are text.
        assert.equal(types.has("GET application/octet-stream"), way === "polling", [...types].join(", "));
      });
    }
  });
}

/** Runs in the page. */
async function converse({ url, options, single }) {
  const once = (emitter, event) => new Promise((resolve) => emitter.once(event, (...args) => resolve(args)));
  const socket = window.io(url, { forceNew: true, reconnection: false, ...options });
  const ask = (event, ...args) => new Promise((resolve) => socket.emit(event, ...args, (...answer) => resolve(answer)));
  const hex = (value) => [...new Uint8Array(value)].map((b) => b.toString(16)).join();
  const bytes = new Uint8Array(1000).map((_, i) => i).buffer;
  const text = "line\nslash\\n \\\\n\r\n\t\"quote\" \u00e9\u20ac\ud83d\ude00\u2028\u2029 </script> %41 +&=";
  const upgraded = single ? undefined : once(socket.io.engine, "upgrade");
  await Promise.race([once(socket, "connect"), once(socket, "connect_error").then(([error]) => Promise.reject(error))]);
  // Once while it may be upgrading, once after it.
  const echo = (await ask("echo", text))[0] === text;
  const [early] = await ask("echo", { deep: [bytes] });
  await upgraded;
  const long = text.repeat(2000);
  const large = (await ask("echo", long))[0] === long;
  const [late] = await ask("echo", { deep: [bytes] });
  const back = once(socket, "back");
  socket.emit("back", 1, bytes);
  const [one, returned] = await back;
  const chat = socket.io.socket("/chat", { query: { token: "\u20ac&" } });
  const [{ auth }] = await once(chat, "hello");
  await once(socket, "pong");
  await once(socket, "pong");
  const transport = socket.io.engine.transport.name;
  socket.io.close();
  return {
    echo, large, auth, transport,
    bytes: hex(early.deep[0]) === hex(bytes) && hex(late.deep[0]) === hex(bytes),
    back: one === 1 && hex(returned) === hex(bytes),
  };
}
