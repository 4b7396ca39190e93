// The conformance profile "gateway": the same handlers over each transport of Socket.IO and over plain WebSocket, from Node
// and from pages in two browsers, see alike. Rows N-20, N-22, N-26…N-29, N-35, N-41 and acceptance check 10.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { readFileSync } from "node:fs";
import http from "node:http";
import { io } from "socket.io-client";
import { WebSocket, WebSocketServer } from "ws";
import { browsers } from "./browsers.mjs";
import { connected, disconnectAll, socket, ways } from "./client.mjs";
import { exercise } from "./exercise.mjs";
import { listen, next, server, within } from "./support.mjs";

const BASE = server("PERCH_GATEWAY_URL");
const NEST = server("PERCH_NEST_URL");
const SCRIPT = server("PERCH_CLIENT_SCRIPT");

const error = (code, message, details) => ({ status: "error", code, message, ...(details && { details }) });

const expected = {
  echo: [0, "", false, null, "héllo", [1, [2]], { a: { event: "not a reply" } }],
  void: "nothing",
  reply: ["nothing", [["replied", "hi"]]],
  fail: error("ERROR", "Invalid credentials."),
  boom: error("INTERNAL", "Internal server error"),
  valid: [
    { id: 1, name: "x" },
    error("INVALID", "id must be at least 1", { path: "id" }),
    error("INVALID", "name must have 1 to 10 characters", { path: "name" }),
    error("BAD_PAYLOAD", "the payload does not fit at id: unexpected string", { path: "id" }),
  ],
  missing: error("BAD_PAYLOAD", "the payload is missing"),
  secret: error("FORBIDDEN", "Forbidden resource"),
  count: ["nothing", [["count", 0], ["count", 1], ["count", 2], ["count", 3]]],
  order: ["slow", "echo"],
  whoami: ["string", 20, true],
  unknown: error("UNKNOWN_EVENT", 'no handler for the event "nobody"'),
  exception: [["exception", error("ERROR", "Invalid credentials.")]],
};

const everyWay = { ...ways, "plain WebSocket": "plain" };

after(disconnectAll);

describe("Node", () => {
  for (const [name, way] of Object.entries(everyWay)) {
    test(`${name}: every handler`, async () => {
      assert.deepEqual(await exercise({ base: BASE, way, io, WebSocket }), expected);
    });

    test(`${name}: who has the token`, async () => {
      const seen = await exercise({ base: BASE, way, io, WebSocket, token: "let-me-in" });
      assert.deepEqual(seen, { ...expected, secret: "revealed" });
    });
  }

  for (const [name, way] of Object.entries(ways)) {
    test(`${name}: a guarded namespace`, async () => {
      for (const auth of [{ token: "wrong" }, {}, undefined]) {
        const refused = await next(socket(BASE, "/guarded", { ...way, auth, reconnection: false }), "connect_error");
        assert.equal(refused.message, "Unauthorized");
        assert.deepEqual(refused.data, { code: "unauthorized" });
      }
      await connected(BASE, "/guarded", { ...way, auth: { token: "let-me-in" } });
    });

    test(`${name}: Nest's wire leaves acks alone`, async () => {
      const client = await connected(NEST, "/", way);
      const acked = [];
      for (const [event, data, message] of [
        ["fail", undefined, "Invalid credentials."], ["boom", 1, "Internal server error"], ["secret", undefined, "Forbidden resource"],
        ["valid", { id: 0, name: "x" }, "id must be at least 1"],
      ]) {
        const args = data === undefined ? [] : [data];
        const heard = next(client, "exception");
        client.emit(event, ...args, () => acked.push(event));
        assert.deepEqual(await heard, { status: "error", message, cause: { pattern: event, ...(data !== undefined && { data }) } });
      }
      assert.equal(await client.timeout(5000).emitWithAck("echo", "fine"), "fine");
      assert.deepEqual(acked, []);
    });
  }

  test("plain WebSocket: Nest's wire, with the id", async () => {
    const client = new WebSocket(`${NEST.replace("http", "ws")}/ws`);
    await within(new Promise((resolve) => client.once("open", resolve)), "open");
    const answer = new Promise((resolve) => client.once("message", resolve));
    client.send(JSON.stringify({ event: "boom", data: 1, id: "b" }));
    assert.deepEqual(JSON.parse(await within(answer, "an answer")), {
      id: "b", event: "exception", data: { status: "error", message: "Internal server error", cause: { pattern: "boom", data: 1 } },
    });
    client.close();
  });
});

// The client for a page that docs/plain-websocket.md shows, as it stands there.
describe("the guide's client", () => {
  let connect;
  before(async () => {
    const guide = readFileSync(new URL("../../docs/plain-websocket.md", import.meta.url), "utf8");
    globalThis.WebSocket ??= WebSocket;
    ({ connect } = await import(`data:text/javascript,${encodeURIComponent(/```js\n(export [^]*?)```/.exec(guide)[1])}`));
  });

  test("asks, emits and hears", async () => {
    const heard = [];
    const on = { replied: (data) => heard.push(data), exception: (data) => heard.push(data) };
    let client;
    await within(new Promise((open) => { client = connect(`${BASE.replace("http", "ws")}/ws`, { on, open }); }), "open");
    assert.deepEqual(await client.ask("echo", [1, [2]]), [1, [2]]);
    assert.equal(await client.ask("void"), undefined);
    await assert.rejects(client.ask("fail"), (failure) => {
      assert.deepEqual(failure, expected.fail);
      return true;
    });
    client.emit("fail");
    await client.ask("reply", "hi");
    assert.deepEqual(heard, [expected.fail, "hi"]);
    client.close();
  });

  test("answers, and comes back unless it is refused", async (t) => {
    const timers = t.mock.method(globalThis, "setTimeout");
    const attempts = () => timers.mock.calls.filter((call) => call.arguments[0].name === "dial").length;
    const server = new WebSocketServer({ port: 0 });
    const came = [];
    const said = new Promise((resolve) => {
      server.on("connection", (peer) => {
        if (came.push(peer) < 2) return;
        peer.on("message", (data) => resolve(JSON.parse(data)));
        peer.send(`{"event":"sure?","data":1,"id":7}`);
      });
    });
    let opened = 0, lost;
    const client = connect(`ws://127.0.0.1:${server.address().port}`, {
      on: { "sure?": (data) => data + 1 },
      open: () => {
        if (++opened > 1) return;
        lost = client.ask("never answered");
        lost.catch(() => {}); // looked at below
        came[0].terminate();
      },
    });
    assert.deepEqual(await within(said, "an answer"), { id: 7, data: 2 });
    await assert.rejects(lost, /closed with 1006/);
    const pending = client.ask("never answered either");
    came[1].close(1008);
    await within(assert.rejects(pending, /closed with 1008/), "the end");
    assert.equal(attempts(), 1);
    assert.equal(opened, 2);
    client.close();
    server.close();
  });
});

for (const browser of browsers()) {
  describe(browser.name, () => {
    let host, url;
    before(async () => {
      host = http.createServer((request, response) => {
        const script = request.url === "/client.js";
        response.writeHead(200, { "content-type": script ? "text/javascript" : "text/html" });
        response.end(script ? readFileSync(SCRIPT) : `<!doctype html><title>Page</title><script src="/client.js"></script>`);
      });
      url = await listen(host);
    });
    after(async () => {
      await browser.close();
      host.closeAllConnections();
      host.close();
    });

    for (const [name, way] of Object.entries({ "Socket.IO, no options": {}, "websocket only": ways["websocket only"], "plain WebSocket": "plain" })) {
      test(`${name}: every handler, from a page of another origin`, async () => {
        // What a page hands to a function is JSON, so it finds its client by itself.
        const page = await browser.open(url);
        await page.evaluate(`() => { window.exercise = ${exercise}; }`);
        const seen = await page.evaluate((it) => window.exercise({ ...it, io: window.io, WebSocket: window.WebSocket }), { base: BASE, way });
        assert.deepEqual(seen, expected);
        assert.deepEqual(page.problems, []);
        await page.close();
      });
    }
  });
}
