// The official client against a server whose sockets recover (recovery_test.go): connection state recovery, correct where the
// reference is not. Rows S-6, S-76…S-78, C-14, C-18; socket.io #4880 (works only once), #5538 (client without an event), PR #5539
// (user data taken for an offset).
import assert from "node:assert/strict";
import net from "node:net";
import { after, afterEach, before, describe, test } from "node:test";
import { io } from "socket.io-client";
import * as msgpack from "socket.io-msgpack-parser";
import { PATIENCE, eventually, listen, next, pause, server, unique } from "./support.mjs";
import { ask, disconnectAll, socket, upgraded, ways } from "./client.mjs";

const BASE = server("PERCH_RECOVERY_URL");
const STRICT = server("PERCH_STRICT_URL");
const HASTY = server("PERCH_HASTY_URL"); // waits half a second
const PACKED = server("PERCH_PACKED_URL"); // speaks MessagePack

afterEach(disconnectAll);

// Another client tells the server what to do while the one under test is away.
const control = {};
before(async () => {
  for (const base of [BASE, STRICT, PACKED]) {
    control[base] = io(base + "/control", { transports: ["websocket"], forceNew: true, ...(base === PACKED && { parser: msgpack }) });
    await next(control[base], "connect");
  }
});
after(() => {
  for (const client of Object.values(control)) client.disconnect();
  disconnectAll();
});
const emitOn = (base, rooms, event, ...args) => ask(control[base], "emit", rooms, event, args);
const emit = (...args) => emitOn(BASE, ...args);
const diary = (key, base = BASE) => ask(control[base], "diary", key);

// A client that writes down all it hears, without the offsets.
const follow = (client) => {
  client.heard = [];
  client.onAny((event, ...args) => client.heard.push([event, ...args]));
  client.on("connect", () => client.heard.push(client.recovered ? "back" : "fresh"));
  return client;
};
const plain = (heard) => heard.map((e) => (Array.isArray(e) ? e.slice(0, 2) : e));

// A proxy between client and server that cuts what goes through it.
async function proxy(base) {
  const target = new URL(base);
  const pairs = new Set();
  const listener = net.createServer((near) => {
    const far = net.connect(target.port, target.hostname);
    const pair = { near, far };
    pairs.add(pair);
    near.pipe(far).pipe(near);
    for (const s of [near, far]) s.on("error", () => {});
    near.on("close", () => pair.held || (pairs.delete(pair), far.destroy()));
    far.on("close", () => (pairs.delete(pair), near.destroy()));
  });
  return {
    url: await listen(listener),
    // Both sides hear that the connection is gone.
    cut: () => pairs.forEach((p) => p.near.destroy()),
    // Only the client does; the server goes on writing to nobody (half-open).
    halve: () =>
      pairs.forEach((p) => {
        p.held = true;
        p.near.unpipe(p.far);
        p.far.unpipe(p.near);
        p.near.destroy();
        p.far.resume();
      }),
    close: () => {
      pairs.forEach((p) => (p.near.destroy(), p.far.destroy()));
      listener.close();
    },
  };
}

for (const [way, options] of Object.entries(ways)) {
  describe(way, () => {
    const join = async (more = {}, base = BASE) => {
      const patient = { reconnectionDelay: 100, reconnectionDelayMax: 100, randomizationFactor: 0 };
      const client = follow(socket(base, "/", { ...options, ...patient, ...more }));
      await next(client, "connect");
      return options.transports.length > 1 ? upgraded(client) : client;
    };
    // Loses the connection, and waits until the client is back.
    const lose = async (client, how, meanwhile = () => {}) => {
      const connected = next(client, "connect", 2 * PATIENCE);
      const lost = next(client, "disconnect", 2 * PATIENCE);
      while (client.connected) { // between two polls there is nothing to cut
        how();
        await pause(1);
      }
      await lost;
      await meanwhile();
      await connected;
      if (options.transports.length > 1) await upgraded(client);
    };
    const close = (client) => () => client.io.engine.close();

    test("id, rooms, data and missed events come back, in order and before connect (S-77)", async () => {
      const client = await join();
      const { id } = client;
      const room = unique("room");
      await ask(client, "join", room);
      await ask(client, "store", "name", { first: "Ann" });
      await emit([room], "first", 1);
      await eventually(() => client.heard.length === 2, "the first event");
      assert.equal(typeof client.heard[1][2], "string", "the offset is the last argument (S-78)");
      await lose(client, close(client), async () => {
        await emit([room], "second", 2);
        await emit([id], "third", 3);
        await emit(["somewhere else"], "not for us", 0);
        await emit([], "fourth", Buffer.from([4]));
      });
      assert.equal(client.recovered, true);
      assert.equal(client.id, id);
      assert.deepEqual(plain(client.heard), ["fresh", ["first", 1], ["second", 2], ["third", 3], ["fourth", Buffer.from([4])], "back"]);
      assert.deepEqual(await ask(client, "me"), { id, recovered: true, rooms: ["everybody", room].sort(), name: { first: "Ann" }, known: true });
      await emit([room], "fifth", 5);
      await eventually(() => client.heard.length === 7, "the fifth event");
    });

    test("it works more than once (#4880)", async () => {
      const client = await join();
      const { id } = client;
      for (let i = 0; i < 4; i++) {
        await lose(client, close(client), () => emit([id], "missed", i));
        assert.equal(client.recovered, true, `time ${i}`);
      }
      assert.deepEqual(plain(client.heard).filter((e) => e !== "back"), ["fresh", ...[0, 1, 2, 3].map((i) => ["missed", i])]);
    });

    test("a client that has got no event yet recovers too (#5538)", async () => {
      const room = unique("room");
      await emit([], "before it came", 0);
      const client = await join();
      await emit([room], "before it joined", 0);
      await ask(client, "join", room);
      await lose(client, close(client), () => emit([room], "missed", 1));
      assert.deepEqual(plain(client.heard), ["fresh", ["missed", 1], "back"]);
    });

    test("a trailing string of a volatile event is not taken for an offset (C-18, PR #5539)", async () => {
      const client = await join();
      const { id } = client;
      await emit([id], "first", 1);
      await eventually(async () => {
        client.emit("volatile", "status", "connected");
        return client.heard.some((e) => e[0] === "status");
      }, "a volatile event");
      await eventually(async () => {
        client.emit("volatile", "bare"); // its name is the last element then
        return client.heard.some((e) => e[0] === "bare");
      }, "a volatile event without arguments");
      await eventually(async () => {
        client.emit("volatile", "number", 7);
        return client.heard.some((e) => e[0] === "number");
      }, "a volatile event that ends in no string");
      assert.equal(client.heard.find((e) => e[0] === "number").length, 2, "gets no offset");
      await ask(client, "me");
      await lose(client, close(client), () => emit([id], "second", 2));
      assert.equal(client.recovered, true);
      const kept = plain(client.heard).filter((e) => e[0] === "first" || e[0] === "second");
      assert.deepEqual(kept, [["first", 1], ["second", 2]]);
    });

    test("a client that comes back before the server has noticed replaces its ghost", async () => {
      const wall = await proxy(BASE);
      try {
        const key = unique("ghost");
        const client = await join({ auth: { key } }, wall.url);
        const { id } = client;
        await emit([id], "first", 1);
        await eventually(() => client.heard.length === 2, "the first event");
        await lose(client, wall.halve, () => emit([id], "into the void", 2));
        assert.equal(client.recovered, true);
        assert.equal(client.id, id);
        await emit([id], "last", 3);
        await eventually(() => client.heard.at(-1)[0] === "last", "the last event");
        assert.deepEqual(plain(client.heard), ["fresh", ["first", 1], ["into the void", 2], "back", ["last", 3]]);
        assert.deepEqual(await diary(key), ["middleware", "connected", "transport close", "recovered"]);
      } finally {
        wall.close();
      }
    });

    test("connections are cut while events flow: each comes once, in order", async () => {
      const wall = await proxy(BASE);
      try {
        const client = await join({}, wall.url);
        const room = unique("room");
        await ask(client, "join", room);
        const numbers = [];
        client.on("number", (n) => numbers.push(n));
        let running = true;
        let cuts = 0;
        const counted = ask(control[BASE], "count", room, 600).then(() => (running = false));
        while (running) {
          await pause(20 + Math.random() * 60);
          if (!client.connected) continue;
          await lose(client, [wall.cut, wall.halve, close(client)][cuts++ % 3]);
          assert.equal(client.recovered, true, `after ${cuts} cuts`);
        }
        await counted;
        await eventually(() => numbers.at(-1) === 599, "the last number");
        assert.deepEqual(numbers, Array.from({ length: 600 }, (_, i) => i));
        assert.ok(cuts >= 3, `${cuts} cuts`);
      } finally {
        wall.close();
      }
    });

    test("a hook refuses who comes back: nothing is sent, and the next try may succeed", async () => {
      const key = unique("key");
      const client = await join({ auth: { key, token: "good" } });
      const { id } = client;
      client.auth.token = "expired";
      const refused = next(client, "connect_error");
      client.io.engine.close();
      await emit([id], "missed", 1);
      const error = await refused;
      assert.equal(error.message, "token expired");
      assert.deepEqual(client.heard, ["fresh"]);
      client.auth.token = "good";
      client.connect();
      await next(client, "connect");
      assert.deepEqual(plain(client.heard), ["fresh", ["missed", 1], "back"]);
      assert.equal(client.id, id);
      const notes = await diary(key);
      assert.deepEqual([notes[0], notes.filter((n) => n === "middleware").length], ["middleware", 1], "middlewares are skipped");
      assert.deepEqual(notes.slice(3), ["refused", "recovered"], "hooks are not");
    });

    test("who was disconnected on purpose connects afresh (S-76)", async () => {
      const client = await join();
      const { id } = client;
      client.disconnect();
      client.connect();
      await next(client, "connect");
      assert.equal(client.recovered, false);
      assert.notEqual(client.id, id);
      client.emit("kick");
      await next(client, "disconnect");
      client.connect();
      await next(client, "connect");
      assert.equal(client.recovered, false);
    });

    test("a forged pid or offset gives a fresh connection", async () => {
      for (const forge of [
        (c) => (c._pid = "AAAAAAAAAAAAAAAAAAAA"),
        (c) => (c._lastOffset = "zzz"),
        (c) => (c._lastOffset = c._lastOffset.slice(0, 6) + "99999999"),
      ]) {
        const client = await join();
        const { id } = client;
        client.emit("back", 1);
        await next(client, "back");
        await lose(client, close(client), () => (forge(client), emit([id], "missed", 1)));
        assert.equal(client.recovered, false);
        assert.notEqual(client.id, id);
        const again = client.id;
        client.emit("back", 2); // from then on its offset is a good one
        await next(client, "back");
        await lose(client, close(client), () => emit([again], "missed", 3));
        assert.deepEqual(plain(client.heard), ["fresh", ["back", 1], "fresh", ["back", 2], ["missed", 3], "back"]);
      }
    });

    test("all namespaces of a connection come back", async () => {
      const one = await join();
      const other = follow(one.io.socket("/other"));
      await next(other, "connect");
      const ids = [one.id, other.id];
      await Promise.all([next(other, "connect"), lose(one, close(one))]);
      assert.deepEqual([one.id, other.id], ids);
      assert.deepEqual([one.recovered, other.recovered], [true, true]);
      other.disconnect();
    });

    test("with MessagePack, where the offset is put into a binary message", async () => {
      const client = await join({ parser: msgpack }, PACKED);
      const { id } = client;
      await emitOn(PACKED, [id], "first", { bytes: Buffer.from([1]) });
      await eventually(() => client.heard.length === 2, "the first event");
      for (let i = 0; i < 2; i++) {
        await eventually(async () => {
          client.emit("volatile", "status", "connected");
          return client.heard.some((e) => e[0] === "status");
        }, "a volatile event");
        await ask(client, "me");
        await lose(client, close(client), async () => {
          await emitOn(PACKED, [id], "text", "missed");
          await emitOn(PACKED, [id], "bytes", Buffer.from([2]));
        });
        assert.deepEqual([client.recovered, client.id], [true, id]);
        client.heard = client.heard.filter((e) => e[0] !== "status");
      }
      const missed = [["text", "missed"], ["bytes", Buffer.from([2])], "back"];
      assert.deepEqual(plain(client.heard), ["fresh", ["first", { bytes: Buffer.from([1]) }], ...missed, ...missed]);
    });

    test("middlewares run again where the server wants it", async () => {
      const key = unique("key");
      const client = await join({ auth: { key } }, STRICT);
      await lose(client, close(client));
      assert.equal(client.recovered, true);
      assert.deepEqual(await diary(key, STRICT), ["middleware", "connected", "transport close", "middleware", "recovered"]);
    });

    test("after MaxDisconnection it is too late", async () => {
      const client = await join({ reconnectionDelay: 900, reconnectionDelayMax: 900, randomizationFactor: 0 }, HASTY);
      const { id } = client;
      await lose(client, close(client));
      assert.equal(client.recovered, false);
      assert.notEqual(client.id, id);
    });
  });
}
