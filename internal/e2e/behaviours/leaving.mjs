// Leaving and coming back. Rows: S-56, S-86 to S-93, C-10 to C-12, C-14, C-20.
import assert from "node:assert/strict";
import { eventually, next, pause, unique, within } from "../support.mjs";
import { ask, record, wire } from "../generations.mjs";
import { CLIENT, LAB } from "./behaviour.mjs";

/** A socket in the lab, and a promise of why it left by the server's account. */
async function watched(c, options = {}) {
  const key = unique("left");
  const journal = c.socket(LAB + "/journal", { transports: ["websocket"] });
  await next(journal, "connect");
  const told = within(
    new Promise((resolve) => journal.on("gone", (entry) => entry.key === key && resolve(entry.reason))), `the journal's entry for ${key}`, 10_000,
  );
  return { socket: await c.join(LAB + "/lab", { auth: { key }, ...options }), told };
}

const reason = async (socket) => [await next(socket, "disconnect")].flat()[0];

/** Does what ends the connection, and is sure that the client comes back. */
async function comesBack(c, end) {
  const socket = await c.join(CLIENT);
  const { id } = socket.io.engine;
  const gone = reason(socket);
  end(socket);
  assert.ok(["transport close", "transport error", "forced close"].includes(await gone), await gone);
  await next(socket, "connect");
  assert.notEqual(socket.io.engine.id, id);
  assert.equal(await ask(socket, "echo", 1), 1);
}

export const leaving = {
  "leaves: both sides know why": async (c) => {
    const { socket, told } = await watched(c);
    const gone = reason(socket);
    socket.disconnect();
    assert.equal(await gone, "io client disconnect");
    assert.equal(socket.id, undefined);
    assert.equal(await told, "client namespace disconnect");
  },

  "closes the connection: both sides know why": async (c) => {
    const { socket, told } = await watched(c, { reconnection: false });
    const gone = reason(socket);
    socket.io.engine.close();
    assert.equal(await gone, "forced close");
    assert.equal(await told, "transport close");
  },

  "is disconnected by the server, from the namespace": async (c) => {
    const { socket, told } = await watched(c);
    const gone = reason(socket);
    socket.emit("kick", false);
    assert.equal(await gone, "io server disconnect");
    assert.equal(await told, "server namespace disconnect");
    await pause(100);
    assert.ok(!socket.connected, "came back by itself");
  },

  "is disconnected by the server, and the connection with it": async (c) => {
    const { socket, told } = await watched(c);
    const gone = reason(socket), closed = next(socket.io, "close");
    socket.emit("kick", true);
    assert.equal(await gone, "io server disconnect");
    assert.equal(await told, "server namespace disconnect");
    await closed;
  },

  "comes back when it is told to after the server disconnected it": async (c) => {
    const { socket } = await watched(c);
    const closed = next(socket.io, "close");
    socket.emit("kick", false);
    await closed; // clients of 3.x and 2.x that do not wait for it have two connections from then on
    socket.connect();
    await next(socket, "connect");
    assert.equal(await ask(socket, "echo", 1), 1);
  },

  "the server shuts down": async (c) => {
    const doomed = JSON.parse(process.env.PERCH_DOOMED_URLS)[`${c.version} ${c.way}`];
    const socket = await c.join(doomed + "/lab", { auth: { key: "doomed" } });
    const gone = reason(socket), again = next(socket.io, "reconnect_attempt");
    const response = await fetch(new URL("/shutdown", doomed), { method: "POST" });
    assert.deepEqual(await response.json(), { doomed: "server shutting down" });
    // Between two polls a client finds the door closed, as with a server that is gone.
    assert.ok(["transport close", "transport error"].includes(await gone), await gone);
    await again;
  },

  "leaves one namespace and stays in the other": async (c) => {
    const manager = c.manager(CLIENT);
    const root = manager.socket("/"), foo = manager.socket("/foo");
    await Promise.all([next(root, "connect"), next(foo, "connect")]);
    foo.disconnect();
    assert.equal(await ask(root, "echo", 1), 1);
    assert.ok(root.connected && !foo.connected);
  },

  "the last socket that leaves closes the connection": async (c) => {
    const manager = c.manager(CLIENT);
    const root = manager.socket("/"), foo = manager.socket("/foo");
    await Promise.all([next(root, "connect"), next(foo, "connect")]);
    const closed = next(manager, "close");
    root.disconnect();
    foo.disconnect();
    await closed;
  },

  "leaves and comes back when it is told to, as another socket": async (c) => {
    const socket = await c.join(CLIENT);
    const { id } = socket;
    const closed = next(socket.io, "close");
    socket.disconnect();
    await closed;
    socket.connect();
    await next(socket, "connect");
    assert.notEqual(socket.id, id);
    assert.equal(await ask(socket, "getId"), socket.id);
  },

  "comes back by itself when the connection breaks": async (c) => {
    const { url, cut, mend } = await wire(c, CLIENT);
    const socket = await c.join(url);
    const back = next(socket.io, "reconnect"), gone = reason(socket);
    cut();
    assert.ok(["transport close", "transport error"].includes(await gone), await gone);
    mend();
    assert.equal(await back, 1);
    assert.equal(await ask(socket, "echo", 1), 1);
  },

  "comes back by itself again and again": async (c) => {
    const { url, interrupt } = await wire(c, CLIENT);
    const socket = await c.join(url);
    for (let i = 0; i < 3; i++) {
      await interrupt(socket);
      assert.equal(await ask(socket, "echo", i), i);
    }
  },

  "comes back to all its namespaces": async (c) => {
    const { url, interrupt } = await wire(c, CLIENT);
    const manager = c.manager(url);
    const root = manager.socket("/"), foo = manager.socket("/foo");
    await Promise.all([next(root, "connect"), next(foo, "connect")]);
    await Promise.all([interrupt(root), next(foo, "connect")]);
    assert.equal(await ask(root, "getId"), root.id);
    assert.equal(await ask(foo, "getId"), foo.id);
  },

  "what is emitted while it is away follows when it is back": async (c) => {
    const { url, cut, mend } = await wire(c, CLIENT);
    const socket = await c.join(url);
    const gone = next(socket, "disconnect");
    cut();
    await gone;
    const answers = [];
    for (let i = 0; i < 5; i++) socket.emit("echo", i, (x) => answers.push(x));
    mend();
    await eventually(() => answers.length === 5, "five answers");
    assert.deepEqual(answers, [0, 1, 2, 3, 4]);
  },

  "stays away when it is told to": async (c) => {
    const { url, cut, mend } = await wire(c, CLIENT);
    const socket = await c.join(url, { reconnection: false });
    const attempts = record(socket.io, "reconnect_attempt"), gone = next(socket, "disconnect");
    cut();
    await gone;
    mend();
    await pause(100);
    assert.deepEqual([attempts.length, socket.connected], [0, false]);
  },

  "stops coming back when it is told to": async (c) => {
    const { url, cut, mend } = await wire(c, CLIENT);
    const socket = await c.join(url, { reconnectionDelay: 50 });
    const attempts = record(socket.io, "reconnect_attempt"), gone = next(socket, "disconnect");
    cut();
    await gone;
    mend();
    socket.disconnect();
    await pause(150);
    assert.deepEqual([attempts.length, socket.connected], [0, false]);
  },

  "an invalid packet ends the connection, which is made again (S-93)": (c) => comesBack(c, (socket) => socket.io.engine.write('2{"no":"event"}')),

  "a reserved event ends the connection, which is made again": (c) => comesBack(c, (socket) => socket.io.engine.write('2["disconnect"]')),

  "a message over the limit ends the connection, which is made again (S-11)": (c) =>
    comesBack(c, (socket) => socket.emit("echo", "x".repeat(1_000_001))),

  "closing the connection is no farewell: it is made again": (c) => comesBack(c, (socket) => socket.io.engine.close()),
};
