// The official client against the harness's own server (lab_test.go): what the conformance profiles have no event
// for. `/lab` has rooms, acks asked by the server and slow handlers, `/guarded` a middleware, and `/journal` tells
// who left `/lab` and why. Rows: S-33, S-40…S-43, S-55, S-56, S-58, S-59, S-65, S-66, S-70, S-71, S-86…S-94.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { eventually, next, pause, server, several, unique, within } from "./support.mjs";
import { ask, connected, disconnectAll, socket, upgraded, ways } from "./client.mjs";
import { Frames, Wire, endAll, upgradeRequest, frame, frames, TEXT } from "./wire.mjs";

const BASE = server("PERCH_LAB_URL");

afterEach(disconnectAll);
after(() => {
  disconnectAll();
  endAll();
});

for (const [way, options] of Object.entries(ways)) {
  describe(way, () => {
    const join = async (namespace = "/lab", more = {}) => {
      const client = await connected(BASE, namespace, { ...options, ...more });
      return options.transports.length > 1 ? upgraded(client) : client;
    };

    test("what a connection hook emits follows the connect", async () => {
      const client = socket(BASE, "/lab", { ...options, auth: { key: "k" }, query: { team: "blue" } });
      const order = [];
      client.on("connect", () => order.push("connect"));
      client.on("hello", () => order.push("hello"));
      const hello = await next(client, "hello");
      assert.deepEqual(hello, { auth: { key: "k" }, query: "blue" });
      assert.deepEqual(order, ["connect", "hello"]);
    });

    test("a middleware refuses with message and data, and lets in who has the word (S-65)", async () => {
      const refused = socket(BASE, "/guarded", { ...options, auth: { token: "wrong" } });
      const error = await next(refused, "connect_error");
      assert.equal(error.message, "not authorized");
      assert.deepEqual(error.data, { code: 401, hint: "bring a token" });
      assert.equal(refused.active, false);
      refused.auth = { token: "secret" };
      const welcome = next(refused, "welcome");
      refused.connect();
      assert.equal(await welcome, "secret");
    });

    test("the server asks inside a handler and gets the answer, binary too", async () => {
      const client = await join();
      client.on("question", (value, answer) => answer({ heard: value }));
      assert.deepEqual(await ask(client, "ask", "how are you"), { heard: "how are you" });
      assert.deepEqual(await ask(client, "ask", [Buffer.from([1, 2])]), { heard: [Buffer.from([1, 2])] });
    });

    test("a question nobody answers times out (S-70)", async () => {
      const client = await join();
      assert.equal(await ask(client, "ask-timeout", 50), "timeout");
      client.on("question", (_, answer) => answer());
      assert.equal(await ask(client, "ask-timeout", 5000), "answered");
    });

    test("rooms: join, leave, to, except, everyone else (S-33, S-55)", async () => {
      const [a, b, c] = await Promise.all([join(), join(), join()]);
      const red = unique("red"), blue = unique("blue");
      await Promise.all([ask(a, "join", red), ask(b, "join", red), ask(b, "join", blue), ask(c, "join", blue)]);
      assert.deepEqual(await ask(b, "rooms"), [blue, red].sort());

      const heard = { a: [], b: [], c: [] };
      for (const [name, client] of Object.entries({ a, b, c })) client.on("said", (what) => heard[name].push(what));
      await ask(a, "say", [red], "said", "to red");
      await ask(a, "say", [red, blue], "said", "to both, once each");
      await ask(a, "in", [red], [], "said", "in red");
      await ask(c, "in", [red, blue], [red], "said", "blue but not red");
      await ask(b, "leave", red);
      await ask(a, "in", [red], [], "said", "after b left");
      await ask(a, "say", [b.id], "said", "to b alone");
      // Each has heard everything meant for it when what comes last has come.
      for (const client of [a, b, c]) client.on("last", () => client.done = true);
      await ask(a, "in", [a.id, b.id, c.id], [], "last", null);
      await eventually(() => a.done && b.done && c.done, "the last word");
      assert.deepEqual(heard.a, ["in red", "after b left"]);
      assert.deepEqual(heard.b, ["to red", "to both, once each", "in red", "to b alone"]);
      assert.deepEqual(heard.c, ["to both, once each", "blue but not red"]);
    });

    test("a room is asked: who answered what, without waiting for who leaves (S-71)", async () => {
      const [a, b, c] = await Promise.all([join(), join(), join()]);
      const room = unique("voters");
      await Promise.all([a, b, c].map((client) => ask(client, "join", room)));
      const vote = async (wait) => {
        // Not through ask, which hears of one argument of an ack only.
        const [votes, complete] = await new Promise((resolve) => a.emit("poll", room, wait, "tea?", (...args) => resolve(args)));
        return [Object.fromEntries(votes.map(({ id, answer, error }) => [id, error ?? answer])), complete];
      };
      const ids = { a: a.id, b: b.id, c: c.id };
      a.on("question", (what, answer) => answer("a: " + what));
      b.on("question", (what, answer) => answer({ b: Buffer.from([1]) }));
      c.on("question", (what, answer) => answer());
      assert.deepEqual(await vote(5000), [{ [ids.a]: "a: tea?", [ids.b]: { b: Buffer.from([1]) }, [ids.c]: null }, true]);

      c.off("question").on("question", () => c.disconnect());
      const start = performance.now();
      const [votes, complete] = await vote(5000);
      assert.equal(votes[ids.a], "a: tea?");
      assert.match(votes[ids.c], /disconnected/);
      assert.ok(complete && performance.now() - start < 3000, `took ${performance.now() - start} ms`);

      b.off("question");
      assert.deepEqual(await vote(300), [{ [ids.a]: "a: tea?" }, false]);
    });

    test("a room is counted, moved and evicted (S-40 to S-43)", async () => {
      const [a, b, c] = await Promise.all([join(), join(), join()]);
      const red = unique("red"), blue = unique("blue");
      await Promise.all([ask(a, "join", red), ask(b, "join", red)]);
      const census = async (room) => Object.fromEntries((await ask(c, "census", room)).map(({ id, rooms }) => [id, rooms]));
      assert.deepEqual(await census(red), { [a.id]: [red], [b.id]: [red] });
      assert.equal(await ask(c, "move", red, blue), true);
      assert.deepEqual(await census(red), {});
      assert.deepEqual(await census(blue), { [a.id]: [blue], [b.id]: [blue] });
      const gone = Promise.all([next(a, "disconnect"), next(b, "disconnect")]);
      assert.equal(await ask(c, "evict", blue, false), true);
      assert.deepEqual((await gone).map((reason) => [reason].flat()[0]), ["io server disconnect", "io server disconnect"]);
      assert.deepEqual(await census(blue), {});
      assert.ok(c.connected);
    });

    test("catch-all listeners hear of events both ways, not of acks (S-58, S-59)", async () => {
      const [client, other] = await Promise.all([join(), join()]);
      await ask(client, "spy");
      await ask(client, "echo", 1);
      client.emit("nobody handles this");
      const back = next(client, "back");
      client.emit("back", 2);
      await back;
      const shouted = next(client, "spy-shout");
      await ask(other, "in", [client.id], [], "spy-shout", 3);
      await shouted;
      const heard = await ask(client, "spied");
      assert.deepEqual(heard, ["in echo", "in nobody handles this", "in back", "out back", "out spy-shout", "in spied"]);
      assert.equal(await ask(client, "echo", "still there"), "still there");
    });

    test("an event that a middleware refuses is answered, and nothing else happens (S-66)", async () => {
      const client = await join();
      assert.deepEqual(await ask(client, "forbidden", 1, 2), { status: "error", code: "FORBIDDEN", message: "not for you", details: [1, 2] });
      client.emit("forbidden");
      assert.equal(await ask(client, "echo", "still there"), "still there");
    });

    test("broadcast reaches everyone but the sender", async () => {
      const [a, b, c] = await Promise.all([join(), join(), join()]);
      const event = unique("shout");
      let echo = false;
      a.on(event, () => (echo = true));
      const heard = Promise.all([next(b, event), next(c, event)]);
      await ask(a, "shout", event, { data: Buffer.from([7]) });
      assert.deepEqual(await heard, [{ data: Buffer.from([7]) }, { data: Buffer.from([7]) }]);
      assert.equal(echo, false);
    });

    test("a burst from the server keeps its order, attachments stay with their events", async () => {
      const client = await join();
      const ticks = several(client, "tick", 1000, 10_000);
      assert.equal(await ask(client, "burst", 1000), 1000);
      (await ticks).forEach(([i, value], n) => {
        assert.equal(i, n);
        assert.deepEqual(value, n % 3 ? `text ${n}` : Buffer.from([n & 255, n >> 8]));
      });
    });

    test("6,000 questions in one breath are all answered: a client's own acks do not overflow it", async () => {
      const client = await join("/lab", { reconnection: false });
      const answers = await Promise.all(Array.from({ length: 6000 }, (_, i) => client.timeout(20_000).emitWithAck("echo", i)));
      answers.forEach((answer, i) => assert.equal(answer, i));
      assert.ok(client.connected);
    });

    test("a slow handler holds up neither what came before it nor other sockets", async () => {
      const [client, other] = await Promise.all([join(), join()]);
      await pause(50);
      const start = performance.now();
      const slow = ["echo", "sleepy", "echo"];
      const first = ask(client, slow[0], "first");
      const second = ask(client, slow[1], 600);
      assert.equal(await first, "first");
      assert.equal(await ask(other, "echo", "other"), "other");
      assert.ok(performance.now() - start < 500, `took ${performance.now() - start} ms`);
      assert.equal(await second, 600);
    });
  });
}

describe("two servers in a cluster", () => {
  const A = server("PERCH_NODE_A_URL"), B = server("PERCH_NODE_B_URL");
  const join = async (base, room) => {
    const client = await connected(base, "/lab", { transports: ["websocket"] });
    await ask(client, "join", room);
    return client;
  };

  test("a room over both of them: told, asked, counted, moved, evicted (S-33, S-40 to S-43, S-71)", async () => {
    const room = unique("room");
    const [a, b, c] = await Promise.all([join(A, room), join(B, room), join(B, room)]);
    const ids = { a: a.id, b: b.id, c: c.id };
    const said = Promise.all([next(b, "said"), next(c, "said")]);
    await ask(a, "say", [room], "said", Buffer.from([7]));
    assert.deepEqual(await said, [Buffer.from([7]), Buffer.from([7])]);

    a.on("question", (what, answer) => answer("a: " + what));
    b.on("question", (what, answer) => answer({ b: Buffer.from([1]) }));
    c.on("question", () => c.disconnect());
    const start = performance.now();
    const [votes, complete] = await new Promise((resolve) => a.emit("poll", room, 5000, "tea?", (...args) => resolve(args)));
    assert.ok(complete && performance.now() - start < 3000, `took ${performance.now() - start} ms`);
    const byID = Object.fromEntries(votes.map(({ id, answer, error }) => [id, error ?? answer]));
    assert.equal(byID[ids.a], "a: tea?");
    assert.deepEqual(byID[ids.b], { b: Buffer.from([1]) });
    assert.match(byID[ids.c], /disconnected/);

    const census = async (room) => (await ask(a, "census", room)).map(({ id }) => id).sort();
    await eventually(async () => (await census(room)).length === 2, "the one who left is gone");
    assert.deepEqual(await census(room), [ids.a, ids.b].sort());
    const other = unique("other");
    assert.equal(await ask(b, "move", room, other), true);
    await eventually(async () => (await census(other)).length === 2, "both have moved");
    const gone = Promise.all([next(a, "disconnect"), next(b, "disconnect")]);
    b.emit("evict", other, true);
    for (const reason of await gone) assert.equal([reason].flat()[0], "io server disconnect");
  });
});

describe("order on a socket", () => {
  test("(ours) the first of three events in one write is acked at once though the second sleeps", async () => {
    const wire = await Wire.open(BASE);
    wire.write(upgradeRequest(BASE, "/socket.io/"), frame(TEXT, "40/lab,"));
    const texts = () => frames(wire.received).map(({ payload }) => payload.toString());
    await wire.until(() => texts().some((text) => text.startsWith('42/lab,["hello"')), "hello");
    const start = performance.now();
    wire.write(Buffer.concat([
      frame(TEXT, '42/lab,1["echo","first"]'), frame(TEXT, '42/lab,2["sleepy",300]'), frame(TEXT, '42/lab,3["echo","third"]'),
    ]));
    await wire.until(() => texts().includes('43/lab,1["first"]'), "the first ack");
    const took = performance.now() - start;
    assert.ok(took < 150, `the first ack took ${took} ms`);
    await wire.until(() => texts().includes('43/lab,3["third"]'), "the third ack");
    assert.ok(performance.now() - start >= 290, "the third did not wait for the second");
    const acks = texts().filter((text) => text.startsWith("43"));
    assert.deepEqual(acks, ['43/lab,1["first"]', "43/lab,2[300]", '43/lab,3["third"]']);
    wire.destroy();
  });

  test("pings are answered while a handler sleeps", async () => {
    const client = await connected(BASE, "/lab", { transports: ["websocket"] });
    let pings = 0;
    client.io.on("ping", () => pings++);
    assert.equal(await ask(client, "sleepy", 2500), 2500);
    assert.ok(pings >= 2, `${pings} pings`);
    assert.ok(client.connected);
  });
});

describe("why a socket left (S-86 to S-94)", () => {
  let journal;
  before(async () => {
    journal = await connected(BASE, "/journal", { transports: ["websocket"], reconnection: false });
  });

  /** The reason the server gives for what happens to one socket of /lab. */
  const told = (key) =>
    within(new Promise((resolve) => journal.on("gone", (entry) => entry.key === key && resolve(entry))), `the journal's entry for ${key}`);

  // Made anew for each test: afterEach ends every socket.
  const watch = async () => {
    journal = await connected(BASE, "/journal", { transports: ["websocket"], reconnection: false });
  };

  for (const [way, options] of Object.entries(ways)) {
    const join = async (key) => {
      await watch();
      const client = await connected(BASE, "/lab", { ...options, auth: { key }, reconnection: false });
      return options.transports.length > 1 ? upgraded(client) : client;
    };

    test(`${way}: the client leaves, and its rooms are known still`, async () => {
      const key = unique("leave");
      const client = await join(key);
      await ask(client, "join", "room of " + key);
      const entry = told(key);
      client.disconnect();
      assert.deepEqual(await entry, { key, reason: "client namespace disconnect", rooms: ["room of " + key] });
    });

    for (const close of [false, true]) {
      test(`${way}: the server disconnects it, ${close ? "and the connection" : "and only it"}`, async () => {
        const key = unique("kick");
        const client = await join(key);
        const entry = told(key), gone = next(client, "disconnect");
        client.emit("kick", close);
        assert.equal((await entry).reason, "server namespace disconnect");
        assert.equal([await gone].flat()[0], "io server disconnect");
      });
    }

    test(`${way}: the client closes the connection`, async () => {
      const key = unique("close");
      const client = await join(key);
      const entry = told(key);
      client.io.engine.close();
      assert.equal((await entry).reason, "transport close");
    });

    test(`${way}: an invalid Socket.IO packet`, async () => {
      const key = unique("invalid");
      const client = await join(key);
      const entry = told(key);
      client.io.engine.write("2{}");
      assert.ok(["forced close", "forced server close"].includes((await entry).reason), (await entry).reason);
    });
  }

  const raw = async (key) => {
    await watch();
    const ws = await Frames.open(BASE, "/socket.io/");
    await ws.handshake();
    ws.send(`40/lab,${JSON.stringify({ key })}`);
    await ws.next();
    await ws.next();
    return ws;
  };

  for (const [what, reasons, act] of [
    ["the TCP connection breaks", ["transport close", "transport error"], (ws) => ws.ws.terminate()],
    ["an invalid Engine.IO packet", ["parse error"], (ws) => ws.send("9")],
    ["a ping from the client", ["transport error"], (ws) => ws.send("2")],
    ["a message over maxPayload", ["transport error"], (ws) => ws.send("4".repeat(1_000_001))],
    ["an attachment nobody announced", ["forced close"], (ws) => ws.send(Buffer.from([1]))],
    ["a second CONNECT", ["forced server close", "forced close"], (ws) => ws.send("40/lab,")],
    ["an event for a namespace not joined", ["forced server close", "forced close"], (ws) => ws.send('42/guarded,["x"]')],
  ]) {
    test(what, async () => {
      const key = unique("raw");
      const ws = await raw(key);
      const entry = told(key);
      act(ws);
      const { reason } = await entry;
      assert.ok(reasons.includes(reason), `${reason} is none of ${reasons}`);
    });
  }

  test("silence: ping timeout", async () => {
    const key = unique("silent");
    await watch();
    const ws = await Frames.open(BASE, "/socket.io/", {}, { pongs: false });
    await ws.handshake();
    ws.send(`40/lab,${JSON.stringify({ key })}`);
    assert.equal((await told(key)).reason, "ping timeout");
  });
});

test("server shutting down", async () => {
  const doomed = server("PERCH_DOOMED_URL");
  const clients = await Promise.all(
    Object.entries(ways).map(async ([, options], i) => {
      const client = await connected(doomed, "/lab", { ...options, auth: { key: `doomed ${i}` }, reconnection: false });
      return options.transports.length > 1 ? upgraded(client) : client;
    }),
  );
  const gone = Promise.all(clients.map((client) => next(client, "disconnect")));
  const start = Date.now();
  const response = await fetch(new URL("/shutdown", doomed), { method: "POST" });
  const reasons = await response.json();
  assert.ok(Date.now() - start < 3000, `shutdown took ${Date.now() - start} ms`);
  assert.deepEqual(reasons, { "doomed 0": "server shutting down", "doomed 1": "server shutting down", "doomed 2": "server shutting down" });
  // A client that was between two polls finds the door closed, as it does with a server that is gone.
  const seen = ["transport close", "io server disconnect", "transport error"];
  for (const reason of await gone) assert.ok(seen.includes([reason].flat()[0]), String(reason));
});
