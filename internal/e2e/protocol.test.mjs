// Socket.IO protocol 5 by hand against the conformance server's `protocol` profile:
// `/` and `/custom` emit `auth`; `message` comes back as `message-back`, `message-with-ack` as an ack.
// Rows: spec 3.4, S-5, S-74, S-86…S-94. A test named "(ours)" asks for more than Node's server gives,
// or than it gives every time: packets of one write overtake one another there.
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { pause, server } from "./support.mjs";
import { BINARY, Frames, Polling, SEPARATOR, TEXT, Wire, address, closeCode, endAll, frame, frames, upgradeRequest } from "./wire.mjs";

const BASE = server("PERCH_PROTOCOL_URL");
const PATH = "/socket.io/";

async function websocket() {
  const ws = await Frames.open(BASE, PATH);
  await ws.handshake();
  return ws;
}

/** A member of a namespace, its CONNECT answered and its `auth` event read. */
async function joined(namespace = "", auth = "") {
  const ws = await websocket();
  ws.send(`40${namespace}${auth}`);
  const reply = await ws.next();
  assert.ok(reply.startsWith(`40${namespace}{`), reply);
  await ws.next();
  return ws;
}

async function echoes(ws, word = "alive") {
  ws.send(`42["message","${word}"]`);
  assert.equal(await ws.next(), `42["message-back","${word}"]`);
}

after(endAll);

/** Does something nasty while a neighbour looks on, who must not suffer. */
async function besideNeighbour(act) {
  const neighbour = await joined();
  await act();
  await echoes(neighbour, "still here");
  await neighbour.close();
}

const payload = (packet) => JSON.parse(packet.slice(packet.search(/[{[]/)));

describe("connect", () => {
  const open = { websocket, polling: () => Polling.open(BASE, PATH) };
  const send = (session, packet) => (session.post ? session.post(packet) : session.send(packet));

  for (const transport of ["websocket", "polling"]) {
    describe(transport, () => {
      test("to the main namespace: only a sid in the reply, then auth", async () => {
        const session = await open[transport]();
        await send(session, "40");
        const reply = await session.next();
        assert.match(reply, /^40\{/);
        assert.deepEqual(Object.keys(payload(reply)), ["sid"]);
        assert.match(payload(reply).sid, /^[A-Za-z0-9_-]{20}$/);
        assert.equal(await session.next(), '42["auth",{}]');
      });

      test("with a payload", async () => {
        const session = await open[transport]();
        await send(session, '40{"token":"123","deep":{"list":[1,null,true]}}');
        await session.next();
        assert.deepEqual(payload(await session.next()), ["auth", { token: "123", deep: { list: [1, null, true] } }]);
      });

      test("to a custom namespace, with a payload", async () => {
        const session = await open[transport]();
        await send(session, '40/custom,{"token":"abc"}');
        assert.deepEqual(Object.keys(payload(await session.next())), ["sid"]);
        assert.equal(await session.next(), '42/custom,["auth",{"token":"abc"}]');
      });

      test("the namespace's comma may be missing at the end", async () => {
        const session = await open[transport]();
        await send(session, "40/custom");
        assert.match(await session.next(), /^40\/custom,\{"sid":"/);
        assert.equal(await session.next(), '42/custom,["auth",{}]');
      });

      for (const name of ["/random", "/__proto__", "/constructor", "/custom/", "/Custom"]) {
        test(`to ${name}, which nobody made`, async () => {
          const session = await open[transport]();
          await send(session, `40${name},`);
          assert.equal(await session.next(), `44${name},{"message":"Invalid namespace"}`);
          await send(session, "40");
          assert.match(await session.next(), /^40\{"sid":"/);
        });
      }
    });
  }

  test("the socket's id is not the session's", async () => {
    const ws = await Frames.open(BASE, PATH);
    const { sid } = await ws.handshake();
    ws.send("40");
    assert.notEqual(payload(await ws.next()).sid, sid);
    await ws.close();
  });

  test("two namespaces on one connection", async () => {
    const ws = await joined();
    ws.send("40/custom,");
    await ws.next();
    await ws.next();
    await echoes(ws);
    await ws.close();
  });

  test("a refused namespace does not count as joined: the connect timeout runs (S-5)", async () => {
    const start = Date.now();
    const ws = await websocket();
    ws.send("40/random,");
    await ws.next();
    await ws.ended(3000);
    assert.ok(Date.now() - start >= 900);
  });

  test("silence: closed after the connect timeout (S-5)", async () => {
    const start = Date.now();
    const ws = await websocket();
    await ws.ended(3000);
    const took = Date.now() - start;
    assert.ok(took >= 900 && took < 2500, `closed after ${took} ms`);
  });

  test("a member outlives the connect timeout", async () => {
    const ws = await joined();
    await pause(1300);
    await echoes(ws);
    await ws.close();
  });

  test("a second CONNECT of a member ends the connection (S-94)", async () => {
    const ws = await joined();
    ws.send("40");
    await ws.ended();
  });

  for (const packet of ['40"text"', "40[]", "40null", "40{", '40{"a":1}x', "4x"]) {
    test(`invalid: ${packet}`, async () => {
      const ws = await websocket();
      ws.send(`${packet}`);
      await ws.ended(900);
    });
  }

  test("an event before CONNECT ends the connection", async () => {
    const ws = await websocket();
    ws.send('42["message","early"]');
    await ws.ended(900);
  });

  test("(ours) CONNECT and events in one body", async () => {
    const session = await Polling.open(BASE, PATH);
    await session.post(["40", '42["message",1]', '421["message-with-ack",2]'].join(SEPARATOR));
    assert.match(await session.next(), /^40\{"sid":"/);
    assert.equal(await session.next(), '42["auth",{}]');
    assert.equal(await session.next(), '42["message-back",1]');
    assert.equal(await session.next(), "431[2]");
  });

  test("(ours) CONNECT in one write with the upgrade request", async () => {
    const wire = await Wire.open(BASE);
    wire.write(upgradeRequest(BASE, PATH), frame(TEXT, "40"));
    await wire.until((bytes) => frames(bytes).some(({ payload: p }) => p.toString().startsWith('40{"sid":"')), "the reply");
    wire.destroy();
  });
});

describe("disconnect", () => {
  test("(ours) from the main namespace: no answer, and no event afterwards, at once", async () => {
    const ws = await joined();
    ws.send("41");
    ws.send('42["message","late"]');
    await ws.ended();
    assert.deepEqual(ws.queue, []);
  });

  test("from a custom namespace: the others stay", async () => {
    const ws = await joined();
    ws.send("40/custom,");
    await ws.next();
    await ws.next();
    ws.send("41/custom,");
    await echoes(ws);
    await ws.close();
  });

  test("(ours) a namespace left can be joined again at once, as another socket", async () => {
    const ws = await websocket();
    ws.send("40");
    const first = payload(await ws.next()).sid;
    await ws.next();
    ws.send("41");
    ws.send("40");
    const second = payload(await ws.next()).sid;
    assert.notEqual(first, second);
    await ws.next();
    await echoes(ws);
    await ws.close();
  });

  test("once it is left, an event ends the connection, and a CONNECT makes another socket", async () => {
    const ws = await joined();
    ws.send("41");
    await pause(50);
    ws.send("40");
    assert.match(await ws.next(), /^40\{"sid":"/);
    await ws.next();
    ws.send("41");
    await pause(50);
    ws.send('42["message","late"]');
    await ws.ended();
    assert.deepEqual(ws.queue, []);
  });

  test("a payload is refused", async () => {
    const ws = await joined();
    ws.send("41{}");
    await ws.ended();
  });
});

describe("events", () => {
  const values = [
    "", "text", 0, -1, 1.5, 1e21, true, false, null, [], {}, [[[]]],
    { a: { b: [1, { c: null }] } }, "\u20ac \u{1F426} \u2028 </script> \u0000 \" \\ \x1e",
    { "": 1, "a.b": 2, "\u{1F426}": 3, __proto__x: 4 }, { _placeholder: false, num: 0 },
  ];
  for (const value of values) {
    test(`comes back as it was: ${JSON.stringify(value)}`, async () => {
      const ws = await joined();
      ws.send(`42["message",${JSON.stringify(value)}]`);
      assert.deepEqual(payload(await ws.next()), ["message-back", value]);
      await ws.close();
    });
  }

  test("several arguments and none", async () => {
    const ws = await joined();
    ws.send('42["message",1,"2",{"3":[true]}]');
    assert.equal(await ws.next(), '42["message-back",1,"2",{"3":[true]}]');
    ws.send('42["message"]');
    assert.equal(await ws.next(), '42["message-back"]');
    await ws.close();
  });

  test("JSON may have spaces and escapes, in the event's name too", async () => {
    const ws = await joined();
    ws.send('42[ "\\u006dessage" ,\t[ 1 , 2 ] ,\n"\\u00e9\\ud83d\\udc26\\/" ]');
    assert.deepEqual(payload(await ws.next()), ["message-back", [1, 2], "\u00e9\u{1F426}/"]);
    await ws.close();
  });

  test("half an emoji, as JSON.stringify writes it, does not end the connection", async () => {
    const ws = await joined();
    ws.send(`42["message",${JSON.stringify("\u{1F426}".slice(0, 1))}]`);
    assert.equal(payload(await ws.next())[0], "message-back");
    await echoes(ws);
    await ws.close();
  });

  test("an explicit main namespace", async () => {
    const ws = await joined();
    ws.send('42/,["message",1]');
    assert.equal(await ws.next(), '42["message-back",1]');
    await ws.close();
  });

  test("names nobody handles, numbers among them, are ignored", async () => {
    const ws = await joined();
    ws.send('42["nobody",1]');
    ws.send("42[1,2]");
    ws.send('42["__proto__",1]');
    ws.send('42["constructor",1]');
    await echoes(ws);
    await ws.close();
  });

  test("acks: as many arguments as there were, the id as it was", async () => {
    const ws = await joined();
    ws.send('42456["message-with-ack",1,"2",{"3":[false]}]');
    assert.equal(await ws.next(), '43456[1,"2",{"3":[false]}]');
    ws.send('420["message-with-ack"]');
    assert.equal(await ws.next(), "430[]");
    ws.send('429007199254740991["message-with-ack",null]');
    assert.equal(await ws.next(), "439007199254740991[null]");
    await ws.close();
  });

  test("acks nobody waits for are ignored (S-72)", async () => {
    const ws = await joined();
    ws.send("4399[]");
    ws.send("430[1]");
    ws.send("461-7[{\"_placeholder\":true,\"num\":0}]");
    ws.send(Buffer.from([1]));
    await echoes(ws);
    await ws.close();
  });

  test("order is kept over both kinds of packet", async () => {
    const ws = await joined();
    for (let i = 0; i < 200; i++) ws.send(`42["message",${i}]`);
    for (let i = 0; i < 200; i++) assert.equal(await ws.next(), `42["message-back",${i}]`);
    await ws.close();
  });
});

describe("binary", () => {
  const hole = (num) => `{"_placeholder":true,"num":${num}}`;
  const A = Buffer.from([1, 2, 3]), B = Buffer.from([4, 5, 6]);

  test("an event and its echo over websocket", async () => {
    const ws = await joined();
    ws.send(`452-["message",${hole(0)},${hole(1)}]`);
    ws.send(A);
    ws.send(B);
    assert.equal(await ws.next(), `452-["message-back",${hole(0)},${hole(1)}]`);
    assert.deepEqual(await ws.next(), A);
    assert.deepEqual(await ws.next(), B);
    await ws.close();
  });

  test("an ack over websocket", async () => {
    const ws = await joined();
    ws.send(`452-789["message-with-ack",{"a":[${hole(0)}],"b":${hole(1)}}]`);
    ws.send(A);
    ws.send(B);
    const header = await ws.next();
    assert.match(header, /^462-789\[/);
    const [{ a, b }] = payload(header);
    const parts = [await ws.next(), await ws.next()];
    assert.deepEqual(parts[a[0].num], A);
    assert.deepEqual(parts[b.num], B);
    await ws.close();
  });

  test("over polling, in one body", async () => {
    const session = await Polling.open(BASE, PATH);
    await session.post("40");
    await session.next();
    await session.next();
    await session.post([`451-["message",${hole(0)}]`, `b${A.toString("base64")}`].join(SEPARATOR));
    assert.equal(await session.next(), `451-["message-back",${hole(0)}]`);
    assert.equal(await session.next(), `b${A.toString("base64")}`);
  });

  test("over polling, a body for each part", async () => {
    const session = await Polling.open(BASE, PATH);
    await session.post("40");
    await session.next();
    await session.next();
    await session.post(`451-7["message-with-ack",${hole(0)}]`);
    await session.post(`b${B.toString("base64")}`);
    assert.equal(await session.next(), `461-7[${hole(0)}]`);
    assert.equal(await session.next(), `b${B.toString("base64")}`);
  });

  test("ten attachments, in any order of their numbers, empty ones among them", async () => {
    const ws = await joined();
    const order = [9, 8, 7, 6, 5, 4, 3, 2, 1, 0];
    ws.send(`4510-["message",[${order.map(hole).join()}]]`);
    for (let i = 0; i < 10; i++) ws.send(Buffer.alloc(i, i));
    const [, list] = payload(await ws.next());
    const parts = [];
    for (let i = 0; i < 10; i++) parts.push(await ws.next());
    assert.deepEqual(list.map(({ num }) => parts[num]), order.map((i) => Buffer.alloc(i, i)));
    await ws.close();
  });

  test("an attachment nothing refers to is tolerated, one used twice is given twice", async () => {
    const ws = await joined();
    ws.send(`452-["message",${hole(1)},${hole(1)}]`);
    ws.send(A);
    ws.send(B);
    const [, x, y] = payload(await ws.next());
    const parts = [await ws.next(), await ws.next()];
    assert.deepEqual([parts[x.num], parts[y.num]], [B, B]);
    await echoes(ws);
    await ws.close();
  });
});

describe("bad input ends that connection only", () => {
  const hole = (num) => `{"_placeholder":true,"num":${num}}`;
  const part = Buffer.from([1]);
  const cases = {
    "a packet of no type": ["4abc"],
    "type 7": ["47"],
    "no packet at all": ["4"],
    "an event that is an object": ["42{}"],
    "an event that is a string": ['42"message"'],
    "an empty event": ["42[]"],
    "an event's name that is an object (CVE-2023-32695)": ['42[{"toString":"x"}]'],
    "an event's name that is null": ["42[null]"],
    "an event's name that is a boolean": ["42[true]"],
    "an event's name that is a list": ['42[["message"]]'],
    "an ack id that is none": ['42abc["message-with-ack",1]'],
    "an ack without a list": ["431{}"],
    "broken JSON": ['42["message",'],
    "two values": ['42["message"]["message"]'],
    "bytes after the value": ['42["message"]x'],
    "a bare word": ['42["message",undefined]'],
    "a number JSON does not know": ['42["message",01]'],
    "a control character in a string": ['42["message","a\nb"]'],
    "a trailing comma": ['42["message",]'],
    "a namespace without its slash": ['42custom,["message"]'],
    "a namespace not joined": ['42/custom,["message",1]'],
    "no attachment announced (CVE-2026-69185)": ['450-["message"]'],
    "no number of attachments": ['45-["message"]', part],
    "a binary event without a count": ['45["message"]'],
    "11 attachments (CVE-2026-33151)": [`4511-["message",${hole(0)}]`],
    "a billion attachments": [`451000000000-["message",${hole(0)}]`],
    "a placeholder out of range": [`451-["message",${hole(1)}]`, part],
    "a placeholder below zero": [`451-["message",${hole(-1)}]`, part],
    "a placeholder that is text (CVE-2022-2421)": [`451-["message",${hole('"splice"')}]`, part],
    "text where an attachment is awaited": [`451-["message",${hole(0)}]`, '42["message"]'],
    "an attachment nobody announced": [part],
    "one attachment too many": [`451-["nobody",${hole(0)}]`, part, part],
  };
  for (const name of ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"]) {
    cases[`the reserved name ${name}`] = [`42["${name}"]`];
  }
  const ours = {
    "an event without a list": ["42"],
    "an ack id over 2^53": ['4299999999999999999999["message-with-ack",1]'],
    "a placeholder that is no integer": [`451-["message",${hole(0.5)}]`, part],
    "100,000 levels of JSON": [`42["message",${"[".repeat(100_000)}${"]".repeat(100_000)}]`],
    "100,000 levels of objects": [`42["message",${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}]`],
  };
  const run = (prefix, list) => {
    for (const [name, messages] of Object.entries(list)) {
      test(prefix + name, () => besideNeighbour(async () => {
        const ws = await joined();
        for (const message of messages) ws.send(message);
        await ws.ended(1500);
      }));
    }
  };
  run("", cases);
  run("(ours) ", ours);

  test("over polling the session is gone", async () => {
    const session = await Polling.open(BASE, PATH);
    await session.post("40");
    await session.next();
    await session.next();
    await session.post('42{"no":"event"}');
    for (let i = 0; i < 3; i++) {
      const { status, packets } = await session.poll();
      if (status === 400) return;
      assert.ok(packets.includes("1"), packets.join());
    }
    assert.fail("the session is still there");
  });

  test("invalid UTF-8 in an event: 1007", () => besideNeighbour(async () => {
    const wire = await Wire.open(BASE);
    wire.write(upgradeRequest(BASE, PATH));
    await wire.until((bytes) => frames(bytes).length > 0, "the open packet");
    wire.write(frame(TEXT, "40"));
    await wire.until((bytes) => frames(bytes).length > 2, "the reply");
    wire.write(frame(TEXT, Buffer.concat([Buffer.from('42["message","'), Buffer.from([0xff]), Buffer.from('"]')])));
    await wire.ended();
    assert.equal(closeCode(frames(wire.received)), 1007);
  }));

  test("invalid UTF-8 in a polling body harms nobody else", () => besideNeighbour(async () => {
    const session = await Polling.open(BASE, PATH);
    await session.post("40");
    await session.post(Buffer.concat([Buffer.from('42["message","'), Buffer.from([0xff]), Buffer.from('"]')]));
  }));

  test("an unmasked frame", () => besideNeighbour(async () => {
    const wire = await Wire.open(BASE);
    wire.write(upgradeRequest(BASE, PATH));
    await wire.until((bytes) => frames(bytes).length > 0, "the open packet");
    wire.write(frame(TEXT, "40", { mask: false }));
    await wire.ended();
    assert.equal(closeCode(frames(wire.received)), 1002);
  }));

  test("an attachment that never comes whole", () => besideNeighbour(async () => {
    const wire = await Wire.open(BASE);
    wire.write(upgradeRequest(BASE, PATH));
    await wire.until((bytes) => frames(bytes).length > 0, "the open packet");
    wire.write(frame(TEXT, "40"), frame(TEXT, `451-["message",${hole(0)}]`), frame(BINARY, "x".repeat(500)).subarray(0, 100));
    wire.reset();
  }));
});

describe("cross-origin (CORS *)", () => {
  const origin = "http://other.example:8080";
  test("a simple request, exactly one of each header", async () => {
    const response = await fetch(address(BASE, PATH, { EIO: 4, transport: "polling" }), { headers: { origin } });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("access-control-allow-origin"), "*");
    await response.text();
  });

  test("the preflight of a post", async () => {
    const response = await fetch(address(BASE, PATH, { EIO: 4, transport: "polling" }), {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "content-type" },
    });
    assert.equal(response.status, 204);
    assert.equal(response.headers.get("access-control-allow-origin"), "*");
    assert.match(response.headers.get("access-control-allow-methods"), /POST/);
    assert.match(response.headers.get("access-control-allow-headers"), /content-type/i);
  });

  test("an error can be read by the page too", async () => {
    const response = await fetch(address(BASE, PATH, { EIO: 4, transport: "polling", sid: "x".repeat(20) }), { headers: { origin } });
    assert.equal(response.status, 400);
    assert.equal(response.headers.get("access-control-allow-origin"), "*");
    await response.text();
  });

  test("a WebSocket", async () => {
    const ws = await Frames.open(BASE, PATH, {}, { origin });
    await ws.handshake();
    await ws.close();
  });
});
