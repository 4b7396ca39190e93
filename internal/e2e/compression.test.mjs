// Compression with the official client and with ws by itself, against a server that compresses from
// 100 bytes on. Rows: S-18, S-19.
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { randomBytes } from "node:crypto";
import { io } from "socket.io-client";
import io2 from "socket.io-client-2";
import { WebSocket } from "ws";
import { next, server, within } from "./support.mjs";
import { Polling, address, endAll } from "./wire.mjs";

const BASE = server("PERCH_COMPRESSION_URL");
const LONG = "perch on a branch, ".repeat(2000);

after(endAll);

for (const [version, connect] of Object.entries({ "4.8": io, "2.x": io2 })) describe(`the official client ${version}`, () => {
  for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]]) {
    test(transports.join(" then "), async () => {
      const socket = connect(BASE, { transports, forceNew: true, perMessageDeflate: { threshold: 0 } });
      try {
        await next(socket, "connect");
        if (transports.length === 2 && socket.io.engine.transport.name === "polling") await next(socket.io.engine, "upgrade");
        if (transports.at(-1) === "websocket") assert.match(socket.io.engine.transport.ws.extensions, /permessage-deflate/);
        for (const args of [["short"], [LONG], [LONG, Buffer.from(LONG), randomBytes(5000), { text: LONG }], ["", Buffer.alloc(0)]]) {
          const heard = next(socket, "echo");
          const [answer] = await Promise.all([
            within(new Promise((resolve) => socket.emit("echo", ...args, (...a) => resolve(a))), "the ack"),
            heard.then((a) => assert.deepEqual(args.length > 1 ? a : [a], args)),
          ]);
          assert.deepEqual(answer, args);
        }
      } finally {
        socket.disconnect();
      }
    });
  }
});

describe("ws", () => {
  for (const [name, options] of Object.entries({
    "context takeover": {},
    "no context takeover": { clientNoContextTakeover: true, serverNoContextTakeover: true },
    "small windows of its own": { clientMaxWindowBits: 9 },
    "the full window": { serverMaxWindowBits: 15 },
  })) {
    test(name, async () => {
      const ws = new WebSocket(address(BASE.replace("http", "ws"), "/socket.io/", { EIO: 4, transport: "websocket" }), {
        perMessageDeflate: { threshold: 0, ...options },
      });
      const frames = [];
      ws.on("message", (data, binary) => frames.push({ text: data.toString(), binary }));
      const arrived = (n) => within((async () => { while (frames.length < n) await next(ws, "message"); })(), `${n} frames`);
      await arrived(1);
      assert.match(ws.extensions, /permessage-deflate/);
      ws.send("40");
      await arrived(2);
      const before = ws._socket.bytesRead;
      ws.send(`42${JSON.stringify(["echo", LONG])}`);
      await arrived(3);
      assert.equal(frames[2].text, `42${JSON.stringify(["echo", LONG])}`);
      assert.ok(ws._socket.bytesRead - before < LONG.length / 10, `${ws._socket.bytesRead - before} bytes for ${LONG.length}`);
      ws.close();
      await next(ws, "close");
    });
  }

  test("a window that cannot be had is declined, not refused", async () => {
    const ws = new WebSocket(address(BASE.replace("http", "ws"), "/socket.io/", { EIO: 4, transport: "websocket" }), {
      perMessageDeflate: { serverMaxWindowBits: 9 },
    });
    const [data] = await next(ws, "message");
    assert.equal(data.toString()[0], "0");
    assert.equal(ws.extensions, "");
    ws.close();
    await next(ws, "close");
  });
});

describe("polling", () => {
  for (const encoding of ["gzip", "deflate", "br", "gzip;q=0.1, deflate", "identity"]) {
    test(encoding, async () => {
      const session = await Polling.open(BASE, "/socket.io/");
      await session.post("40");
      await session.poll();
      await session.post(`42${JSON.stringify(["echo", LONG])}`);
      const answer = await session.poll({ headers: { "accept-encoding": encoding } });
      assert.equal(answer.body, `42${JSON.stringify(["echo", LONG])}`);
      assert.equal(answer.headers.get("content-encoding"), { br: null, identity: null, gzip: "gzip" }[encoding.replace(/;.*deflate/, "x")] ?? (encoding.includes("deflate") ? "deflate" : null));
    });
  }
});
