// Engine.IO 4 by hand against the conformance server's `engine` profile: an echo,
// pingInterval 300 ms, pingTimeout 200 ms, maxPayload 1,000,000, no CORS.
// Rows: spec 3.1, 3.2, S-79, S-80. A test named "(ours)" asks for more than Node's server gives.
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { randomBytes } from "node:crypto";
import { eventually, pause, server } from "./support.mjs";
import {
  BINARY, CLOSE, Frames, PING, PONG, Polling, SEPARATOR, TEXT, Wire, address, closeCode, endAll, frame, frames, upgradeRequest,
} from "./wire.mjs";

const BASE = server("PERCH_ENGINE_URL");
const PATH = "/engine.io/";
const LIMIT = 1_000_000;
const SID = /^[A-Za-z0-9_-]{20}$/;

const polling = (query) => Polling.open(BASE, PATH, query);
const websocket = (query, options) => Frames.open(BASE, PATH, query, options);

async function raw() {
  const wire = await Wire.open(BASE);
  wire.write(upgradeRequest(BASE, PATH));
  await wire.until((bytes) => frames(bytes).length > 0, "the open packet");
  return wire;
}

after(endAll);

describe("handshake", () => {
  const content = (info, upgrades) => {
    assert.deepEqual(Object.keys(info).sort(), ["maxPayload", "pingInterval", "pingTimeout", "sid", "upgrades"]);
    assert.match(info.sid, SID);
    assert.deepEqual(info.upgrades, upgrades);
    assert.equal(info.pingInterval, 300);
    assert.equal(info.pingTimeout, 200);
    assert.equal(info.maxPayload, LIMIT);
  };

  test("polling: the open packet and its headers", async () => {
    const session = await polling();
    content(session.info, ["websocket"]);
    assert.match(session.opening.headers.get("content-type"), /^text\/plain; ?charset=utf-8$/i);
    assert.equal(session.opening.headers.get("cache-control"), "no-store");
  });

  test("websocket: the open packet offers no upgrade", async () => {
    const ws = await websocket();
    content(await ws.handshake(), []);
    await ws.close();
  });

  test("identifiers are not guessable from one another", async () => {
    const sids = await Promise.all(Array.from({ length: 50 }, async () => (await polling()).info.sid));
    assert.equal(new Set(sids).size, 50);
    assert.equal(new Set(sids.map((sid) => sid.slice(0, 8))).size, 50);
  });
});

describe("requests that must fail (3.2, S-79, S-80)", () => {
  const refused = async (response, status, code, message) => {
    assert.equal(response.status, status);
    assert.match(response.headers.get("content-type"), /^application\/json/);
    assert.deepEqual(await response.json(), { code, message });
  };
  const request = (query, init) => fetch(address(BASE, PATH, { EIO: 4, ...query }), init);

  for (const transport of [undefined, "", "abc", "POLLING", "__proto__", "constructor", "toString", "hasOwnProperty", "webtransport"]) {
    test(`transport ${JSON.stringify(transport)}: code 0`, async () => {
      await refused(await request({ transport }), 400, 0, "Transport unknown");
    });
  }
  for (const sid of ["x".repeat(20), "__proto__", "constructor", "a/b?c"]) {
    test(`session ${sid}: code 1`, async () => {
      await refused(await request({ transport: "polling", sid }), 400, 1, "Session ID unknown");
    });
  }
  for (const method of ["POST", "PUT", "DELETE"]) {
    test(`${method} as a handshake: code 2`, async () => {
      await refused(await request({ transport: "polling" }, { method }), 400, 2, "Bad handshake method");
    });
  }
  test("websocket without an upgrade: code 3", async () => {
    await refused(await request({ transport: "websocket" }), 400, 3, "Bad request");
  });
  test("a transport other than the session's: code 3", async () => {
    const session = await polling();
    await refused(await request({ transport: "websocket", sid: session.info.sid }), 400, 3, "Bad request");
    const ws = await websocket();
    const { sid } = await ws.handshake();
    await refused(await request({ transport: "polling", sid }), 400, 3, "Bad request");
    ws.send("4x");
    assert.equal(await ws.next(), "4x");
    await ws.close();
  });
  for (const EIO of [undefined, "3", "5", "abc", "-1"]) {
    test(`EIO ${EIO}: code 5`, async () => {
      await refused(await request({ transport: "polling", EIO }), 400, 5, "Unsupported protocol version");
    });
  }
  test("control characters in Origin: code 3", async () => {
    const wire = await Wire.open(BASE);
    wire.write(`GET ${PATH}?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nOrigin: http://a\x01b\r\nConnection: close\r\n\r\n`);
    await wire.ended();
    assert.match(wire.received.toString(), /^HTTP\/1\.1 400 /);
  });
  test("a method that is none of the protocol's, on a session", async () => {
    const session = await polling();
    const response = await fetch(session.url(), { method: "PUT", body: "4x" });
    assert.ok(response.status >= 400, `status ${response.status}`);
    await response.text();
  });
  test("upgrades: 400 with the message as text", async () => {
    for (const [query, message] of [
      [{ transport: "nope" }, "Transport unknown"],
      [{ sid: "x".repeat(20) }, "Session ID unknown"],
    ]) {
      const refusal = await Frames.dial(BASE, PATH, query).opened.then(assert.fail, (err) => err);
      assert.equal(refusal.status, 400);
      assert.equal(refusal.body, message);
    }
  });
  test("(ours) an upgrade of another protocol version is refused before 101", async () => {
    const refusal = await Frames.dial(BASE, PATH, { EIO: 3 }).opened.then(assert.fail, (err) => err);
    assert.equal(refusal.status, 400);
    assert.equal(refusal.body, "Unsupported protocol version");
  });
  for (const [name, headers] of [
    ["no key", { "Sec-WebSocket-Key": undefined }],
    ["a short key", { "Sec-WebSocket-Key": "short" }],
    ["version 12", { "Sec-WebSocket-Version": "12" }],
    ["another protocol", { Upgrade: "h2c" }],
  ]) {
    test(`an upgrade request with ${name} is no WebSocket`, async () => {
      const wire = await Wire.open(BASE);
      wire.write(upgradeRequest(BASE, PATH, {}, headers));
      const answered = (bytes) => bytes.includes("\r\n\r\n");
      await Promise.race([wire.until(answered, "an answer"), wire.ended()]);
      assert.doesNotMatch(wire.received.toString(), /^HTTP\/1\.1 101/);
      wire.destroy();
    });
  }
});

describe("messages", () => {
  test("polling: text and the answer to a POST", async () => {
    const session = await polling();
    const posted = await session.post("4hello");
    assert.equal(posted.status, 200);
    assert.equal(posted.body, "ok");
    assert.match(posted.headers.get("content-type"), /^text\/html/);
    assert.equal(posted.headers.get("content-length"), "2");
    assert.equal(posted.headers.get("cache-control"), "no-store");
    assert.equal(await session.next(), "4hello");
  });

  test("polling: several packets in one body, order kept", async () => {
    const session = await polling();
    const sent = ["4", "4a", "4\u20ac \u{1F426}", "bAQIDBA==", `4${"z".repeat(2000)}`, "4[1,\"\\u001e\"]"];
    await session.post(sent.join(SEPARATOR));
    const got = [];
    while (got.length < sent.length) got.push(await session.next());
    assert.deepEqual(got, sent);
  });

  test("polling: what is queued leaves in one answer", async () => {
    const session = await polling();
    await session.post(["4a", "4b", "4c"].join(SEPARATOR));
    const { headers, packets } = await session.poll();
    assert.deepEqual(packets.filter((packet) => packet !== "2"), ["4a", "4b", "4c"]);
    assert.match(headers.get("content-type"), /^text\/plain; ?charset=utf-8$/i);
    assert.equal(headers.get("cache-control"), "no-store");
  });

  test("polling: binary is base64 both ways, of every length", async () => {
    const session = await polling();
    for (const length of [0, 1, 2, 3, 4, 255]) {
      const packet = `b${randomBytes(length).toString("base64")}`;
      await session.post(packet);
      assert.equal(await session.next(), packet);
    }
  });

  test("a poll waits until there is something", async () => {
    const session = await polling();
    const waiting = session.poll();
    await pause(50);
    await session.post("4late");
    assert.deepEqual((await waiting).packets, ["4late"]);
  });

  test("websocket: text as text, binary as binary", async () => {
    const ws = await websocket();
    await ws.handshake();
    for (const text of ["", "plain", "\u20ac \u{1F426} \u0000", "x".repeat(70_000)]) {
      ws.send(`4${text}`);
      assert.equal(await ws.next(), `4${text}`);
    }
    for (const length of [0, 1, 125, 126, 65_535, 65_536]) {
      const bytes = randomBytes(length);
      ws.send(bytes);
      assert.deepEqual(await ws.next(), bytes);
    }
    await ws.close();
  });

  test("websocket: a burst comes back whole and in order", async () => {
    const ws = await websocket();
    await ws.handshake();
    for (let i = 0; i < 500; i++) ws.send(i % 7 ? `4${i}` : Buffer.from([i >> 8, i & 255]));
    for (let i = 0; i < 500; i++) {
      const got = await ws.next();
      if (i % 7) assert.equal(got, `4${i}`);
      else assert.deepEqual(got, Buffer.from([i >> 8, i & 255]));
    }
    await ws.close();
  });
});

describe("limits", () => {
  test("polling: a body of maxPayload is taken, one byte more is 413 and the session survives (S-11)", async () => {
    const session = await polling();
    assert.equal((await session.post(`4${"a".repeat(LIMIT - 1)}`)).status, 200);
    assert.equal((await session.next()).length, LIMIT);
    assert.equal((await session.post(`4${"a".repeat(LIMIT)}`)).status, 413);
    assert.ok(await session.alive());
  });

  test("polling: a body that does not say its length is counted as it comes", async () => {
    const session = await polling();
    const wire = await Wire.open(BASE);
    const url = session.url();
    wire.write(`POST ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\nTransfer-Encoding: chunked\r\n\r\n`);
    const chunk = `10000\r\n${"4".repeat(65_536)}\r\n`;
    for (let i = 0; i < 16; i++) wire.write(chunk);
    await wire.until((bytes) => bytes.includes("\r\n\r\n"), "an answer");
    assert.match(wire.received.toString(), /^HTTP\/1\.1 413 /);
    wire.destroy();
  });

  test("websocket: a message over the limit closes with 1009", async () => {
    const ws = await websocket();
    await ws.handshake();
    ws.send(`4${"a".repeat(LIMIT)}`);
    assert.equal(await ws.ended(), 1009);
  });

  test("websocket: a message of maxPayload in fragments comes back", async () => {
    const wire = await raw();
    const whole = `4${"b".repeat(LIMIT - 1)}`;
    const size = 50_000;
    for (let at = 0; at < LIMIT; at += size) {
      wire.write(frame(at === 0 ? TEXT : 0, whole.slice(at, at + size), { fin: at + size >= LIMIT }));
    }
    await wire.until((bytes) => bytes.length > LIMIT, "the echo");
    wire.destroy();
  });

  test("websocket: fragments are counted together", async () => {
    const wire = await raw();
    for (let i = 0; i < 21; i++) wire.write(frame(i === 0 ? TEXT : 0, "4".repeat(50_000), { fin: false }));
    await wire.ended();
    assert.equal(closeCode(frames(wire.received)), 1009);
  });

  test("websocket: a length of 2^63-1 reserves nothing", async () => {
    const wire = await raw();
    wire.write([0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4]);
    await wire.ended();
    assert.ok([1009, 1002].includes(closeCode(frames(wire.received))));
  });
});

describe("polling, misused", () => {
  const gone = (session) => eventually(async () => !(await session.alive()), "the session is gone");

  test("overlapping polls: the first gets a close packet, the second 400", async () => {
    const session = await polling();
    const first = session.poll();
    await pause(50);
    const second = await session.poll();
    assert.equal(second.status, 400);
    assert.deepEqual((await first).packets, ["1"]);
    await gone(session);
  });

  test("overlapping posts end the session", async () => {
    const session = await polling();
    const url = session.url();
    const wire = await Wire.open(BASE);
    wire.write(`POST ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\nContent-Length: 10\r\n\r\n4ab`);
    await pause(50);
    assert.equal((await session.post("4x")).status, 400);
    await gone(session);
    wire.destroy();
  });

  test("an octet-stream body is answered 400 and ends the session (CVE-2026-59725)", async () => {
    const session = await polling();
    const posted = await session.post(Buffer.from([4, 1, 2]), { headers: { "content-type": "application/octet-stream" } });
    assert.equal(posted.status, 400);
    await gone(session);
  });

  test("an aborted poll ends the session", async () => {
    const session = await polling();
    const url = session.url();
    const wire = await Wire.open(BASE);
    wire.write(`GET ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\n\r\n`);
    await pause(50);
    wire.destroy();
    await gone(session);
  });

  for (const packet of ["9", "abc", " ", "45\x1e9x"]) {
    test(`a body of ${JSON.stringify(packet)} ends the session`, async () => {
      const session = await polling();
      await session.post(packet);
      await gone(session);
    });
  }

  test("a ping from the client ends the session", async () => {
    const session = await polling();
    await session.post("2");
    await gone(session);
  });

  test("(ours) base64 that is none ends the session", async () => {
    const session = await polling();
    await session.post("b!!!!");
    await gone(session);
  });
});

describe("close", () => {
  test("polling: a close packet answers the waiting poll with a noop and ends the session", async () => {
    const session = await polling();
    const waiting = session.poll();
    await pause(50);
    assert.equal((await session.post("1")).status, 200);
    assert.deepEqual((await waiting).packets, ["6"]);
    const after = await session.poll();
    assert.equal(after.status, 400);
    assert.deepEqual(JSON.parse(after.body), { code: 1, message: "Session ID unknown" });
  });

  test("websocket: the closing handshake", async () => {
    const wire = await raw();
    wire.write(frame(CLOSE, [0x03, 0xe8]));
    await wire.ended();
    assert.equal(closeCode(frames(wire.received)), 1000);
  });

  test("(ours) websocket: a close packet closes", async () => {
    const ws = await websocket();
    await ws.handshake();
    ws.send("1");
    await ws.ended(250);
  });
});

describe("heartbeat", () => {
  test("websocket: pings come every interval and a pong keeps the session", async () => {
    const ws = await websocket();
    await ws.handshake();
    await pause(1300);
    assert.ok(ws.pings >= 3 && ws.pings <= 5, `${ws.pings} pings`);
    ws.send("4here");
    assert.equal(await ws.next(), "4here");
    await ws.close();
  });

  test("websocket: silence closes", async () => {
    const start = Date.now();
    const ws = await websocket({}, { pongs: false });
    await ws.handshake();
    await ws.ended(2000);
    const took = Date.now() - start;
    assert.ok(took >= 450 && took < 1200, `closed after ${took} ms`);
  });

  test("polling: a ping in a waiting poll; silence ends the session", async () => {
    const session = await polling();
    const { packets } = await session.poll();
    assert.deepEqual(packets, ["2"]);
    await pause(600);
    const after = await session.poll();
    assert.equal(after.status, 400);
    assert.equal(JSON.parse(after.body).code, 1);
  });

  test("polling: pongs keep the session", async () => {
    const session = await polling();
    for (let i = 0; i < 4; i++) {
      assert.deepEqual((await session.poll()).packets, ["2"]);
      await session.post("3");
    }
    await session.post("4here");
    assert.equal(await session.next(), "4here");
  });

  test("websocket: a ping from the client closes", async () => {
    const ws = await websocket();
    await ws.handshake();
    ws.send("2");
    await ws.ended();
  });

  test("websocket: a packet of no type closes", async () => {
    for (const packet of ["9", "abc", ""]) {
      const ws = await websocket();
      await ws.handshake();
      ws.send(packet);
      await ws.ended();
    }
  });
});

describe("upgrade", () => {
  const probe = async (session) => {
    const ws = await websocket({ sid: session.info.sid });
    ws.send("2probe");
    assert.equal(await ws.next(), "3probe");
    return ws;
  };

  test("probe, the waiting poll is released, the session goes on over the WebSocket", async () => {
    const session = await polling();
    const waiting = session.poll();
    const ws = await probe(session);
    assert.deepEqual((await waiting).packets, ["6"]);
    ws.send("5");
    ws.send("4over");
    assert.equal(await ws.next(), "4over");
    ws.send(Buffer.from([1, 2, 3]));
    assert.deepEqual(await ws.next(), Buffer.from([1, 2, 3]));
    const late = await session.poll();
    assert.equal(late.status, 400);
    assert.deepEqual(JSON.parse(late.body), { code: 3, message: "Bad request" });
    ws.send("4still");
    assert.equal(await ws.next(), "4still");
    await ws.close();
  });

  test("nothing queued is lost or reordered on the way", async () => {
    const session = await polling();
    const sent = Array.from({ length: 100 }, (_, i) => (i % 10 === 3 ? `b${Buffer.from([i]).toString("base64")}` : `4${i}`));
    await session.post(sent.slice(0, 50).join(SEPARATOR));
    const got = (await session.poll()).packets.filter((packet) => packet !== "2");
    const ws = await probe(session);
    await session.post(sent.slice(50).join(SEPARATOR));
    ws.send("5");
    while (got.length < 100) {
      const message = await ws.next();
      got.push(typeof message === "string" ? message : `b${message.toString("base64")}`);
    }
    assert.deepEqual(got, sent);
    await ws.close();
  });

  test("the server is silent on the new transport until the switch", async () => {
    const session = await polling();
    const ws = await probe(session);
    await session.post("4queued");
    await assert.rejects(ws.next(150), /nothing within/);
    ws.send("5");
    assert.equal(await ws.next(), "4queued");
    await ws.close();
  });

  test("pings go on after the upgrade", async () => {
    const session = await polling();
    const ws = await probe(session);
    ws.send("5");
    await pause(800);
    assert.ok(ws.pings >= 2, `${ws.pings} pings`);
    ws.send("4x");
    assert.equal(await ws.next(), "4x");
    await ws.close();
  });

  for (const wrong of ["4hello", "2", "2prob"]) {
    test(`${wrong} instead of a probe closes the new transport only`, async () => {
      const session = await polling();
      const ws = await websocket({ sid: session.info.sid });
      ws.send(wrong);
      await ws.ended();
      await session.post("4x");
      assert.equal(await session.next(), "4x");
    });
  }

  test("a probe that goes away leaves polling as it was", async () => {
    const session = await polling();
    const ws = await probe(session);
    ws.ws.terminate();
    await session.post("4x");
    assert.equal(await session.next(), "4x");
    const again = await probe(session);
    again.send("5");
    again.send("4y");
    assert.equal(await again.next(), "4y");
    await again.close();
  });

  test("a second WebSocket during and after the upgrade is closed", async () => {
    const session = await polling();
    const ws = await probe(session);
    const second = await websocket({ sid: session.info.sid });
    await second.ended();
    ws.send("5");
    ws.send("4x");
    assert.equal(await ws.next(), "4x");
    const third = Frames.dial(BASE, PATH, { sid: session.info.sid });
    await third.opened.then(() => third.ended(), () => {});
    ws.send("4y");
    assert.equal(await ws.next(), "4y");
    await ws.close();
  });
});

describe("frames", () => {
  const closesWith = (name, code, ...bytes) =>
    test(`${name}: ${code}`, async () => {
      const wire = await raw();
      wire.write(...bytes);
      await wire.ended();
      assert.equal(closeCode(frames(wire.received)), code);
    });

  closesWith("an unmasked frame", 1002, frame(TEXT, "4x", { mask: false }));
  closesWith("a reserved bit", 1002, frame(TEXT, "4x", { rsv: 4 }));
  closesWith("an unknown opcode", 1002, frame(3, "4x"));
  closesWith("a fragmented ping", 1002, frame(PING, "x", { fin: false }));
  closesWith("a ping of 126 bytes", 1002, frame(PING, "x".repeat(126)));
  closesWith("a continuation of nothing", 1002, frame(0, "4x"));
  closesWith("a message inside a message", 1002, frame(TEXT, "4x", { fin: false }), frame(TEXT, "4x"));
  closesWith("a close frame of one byte", 1002, frame(CLOSE, [3]));
  closesWith("invalid UTF-8", 1007, frame(TEXT, [0x34, 0xc3, 0x28]));
  closesWith("UTF-8 cut short", 1007, frame(TEXT, [0x34, 0xe2, 0x82]));
  closesWith("a surrogate in UTF-8", 1007, frame(TEXT, [0x34, 0xed, 0xa0, 0x80]));

  test("fragments, a character cut in two, a ping in between", async () => {
    const wire = await raw();
    wire.write(frame(TEXT, [0x34, 0xe2, 0x82], { fin: false }), frame(PING, "are you there"), frame(0, [0xac, 0x21]));
    const list = () => frames(wire.received).slice(1);
    await wire.until(() => list().length >= 2, "the pong and the echo");
    const pong = list().find(({ opcode }) => opcode === PONG);
    assert.equal(pong.payload.toString(), "are you there");
    assert.equal(list().find(({ opcode }) => opcode === TEXT).payload.toString(), "4\u20ac!");
    wire.destroy();
  });

  test("a byte at a time", async () => {
    const wire = await raw();
    for (const byte of frame(BINARY, "slow but sure")) wire.write([byte]);
    await wire.until((bytes) => frames(bytes).some(({ opcode }) => opcode === BINARY), "the echo");
    wire.destroy();
  });

  test("(ours) frames sent in one write with the request", async () => {
    const wire = await Wire.open(BASE);
    wire.write(upgradeRequest(BASE, PATH), frame(TEXT, "4a"), frame(TEXT, "4b"));
    await wire.until((bytes) => frames(bytes).filter(({ opcode }) => opcode === TEXT).length === 3, "open and both echoes");
    assert.deepEqual(frames(wire.received).slice(1).map(({ payload }) => payload.toString()), ["4a", "4b"]);
    wire.destroy();
  });
});

describe("origin", () => {
  test("(ours) another site is refused where no origin is listed, over either transport", async () => {
    const origin = "http://evil.example";
    const refusal = await Frames.dial(BASE, PATH, {}, { origin }).opened.then(assert.fail, (err) => err);
    assert.equal(refusal.status, 400); // upgrades are always refused so (S-15)
    assert.equal(refusal.body, "Forbidden: list this origin in CORS.Origins");
    const response = await fetch(address(BASE, PATH, { EIO: 4, transport: "polling" }), { headers: { origin } });
    assert.equal(response.status, 403);
    assert.deepEqual(await response.json(), { code: 4, message: "Forbidden: list this origin in CORS.Origins" });
  });

  test("the server's own origin is welcome", async () => {
    const ws = await websocket({}, { origin: new URL(BASE).origin });
    await ws.handshake();
    await ws.close();
  });

  test("no CORS header without the option", async () => {
    const session = await polling();
    assert.equal(session.opening.headers.get("access-control-allow-origin"), null);
  });
});
