// A cluster of two: Socket.IO's own server with its own cluster adapter (spec 3.7), in this process, and ours. The bus between
// them is a connection on which every line is a message, JSON or MessagePack in base64. Clients "near" are on the server here,
// clients "far" on ours, whose namespace does what its clients ask it to.
import { after, before, beforeEach, test } from "node:test";
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { createServer } from "node:http";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { Server } from "socket.io";
import { ClusterAdapterWithHeartbeat } from "socket.io-adapter";
import { connected, disconnectAll } from "./client.mjs";
import { eventually, listen, next, server, within } from "./support.mjs";

const require = createRequire(import.meta.url);
const notepack = createRequire(require.resolve("socket.io-msgpack-parser"))("notepack.io");

const FAR = server("PERCH_CLUSTER_URL");
const [host, port] = server("PERCH_CLUSTER_BUS").split(":");

const holdsBytes = (v) =>
  ArrayBuffer.isView(v) || (v !== null && typeof v === "object" && Object.values(v).some(holdsBytes));

const adapters = new Map();

class LineAdapter extends ClusterAdapterWithHeartbeat {
  constructor(nsp) {
    super(nsp, {});
    adapters.set(nsp.name, this);
  }
  doPublish(message) {
    const data = holdsBytes(message.data) ? notepack.encode(message) : Buffer.from(JSON.stringify(message));
    bus.write(`${data.toString("base64")}\n`);
    return Promise.resolve("");
  }
  doPublishResponse(_uid, message) {
    return this.doPublish(message);
  }
}

let bus, io, web, NEAR, near, far, nearSocket;

before(async () => {
  bus = connect(Number(port), host);
  createInterface({ input: bus }).on("line", (line) => {
    const data = Buffer.from(line, "base64");
    const message = data[0] === 0x7b ? JSON.parse(data) : notepack.decode(data);
    adapters.get(message.nsp)?.onMessage(message);
  });
  await within(next(bus, "connect"), "connect to the bus");
  web = createServer();
  io = new Server(web, { adapter: LineAdapter });
  NEAR = await listen(web);
});

beforeEach(async () => {
  disconnectAll();
  const arrived = next(io, "connection");
  near = await connected(NEAR, "/", { auth: { name: "near" } });
  nearSocket = await arrived;
  far = await connected(FAR, "/", { auth: { name: "far" } });
  await eventually(async () => (await io.of("/").adapter.serverCount()) === 2, "two nodes");
  await eventually(async () => (await far.emitWithAck("count")) === 2, "two nodes for the other");
  await eventually(async () => (await io.fetchSockets()).length === 2, "the clients of before have gone");
});

after(async () => {
  disconnectAll();
  io.of("/").adapter.close();
  await io.close();
  bus.destroy();
});

const everybody = (event) => Promise.all([next(near, event), next(far, event)]);

test("S-34: a broadcast of Node's", async () => {
  const got = everybody("x");
  io.emit("x", 1, "two", { three: [null, true] });
  for (const args of await got) assert.deepEqual(args, [1, "two", { three: [null, true] }]);
});

test("S-34: a broadcast of ours", async () => {
  const got = everybody("x");
  far.emit("emit", [], [], "x", 1, "two", { three: [null, true] });
  for (const args of await got) assert.deepEqual(args, [1, "two", { three: [null, true] }]);
});

test("bytes both ways", async () => {
  const bytes = Buffer.from([0, 1, 255]);
  let got = everybody("x");
  io.emit("x", { deep: [bytes] }, bytes);
  for (const [object, flat] of await got) {
    assert.deepEqual(Buffer.from(object.deep[0]), bytes);
    assert.deepEqual(Buffer.from(flat), bytes);
  }
  got = everybody("x");
  far.emit("emit", [], [], "x", { deep: [bytes] }, bytes);
  for (const [object, flat] of await got) {
    assert.deepEqual(Buffer.from(object.deep[0]), bytes);
    assert.deepEqual(Buffer.from(flat), bytes);
  }
});

test("S-33, S-41, S-42: rooms across both", async () => {
  const heard = [];
  near.onAny((event) => heard.push(`near ${event}`));
  far.onAny((event) => heard.push(`far ${event}`));
  io.in(far.id).socketsJoin("r");
  io.to("r").emit("one");
  io.except("r").emit("two");
  await far.emitWithAck("join", [near.id], ["s"]);
  far.emit("emit", ["s"], [], "three");
  far.emit("emit", [], ["s"], "four");
  await eventually(() => nearSocket.rooms.has("s"), "near is in the room");
  io.in("r").socketsLeave("r");
  await far.emitWithAck("leave", ["s"], ["s"]);
  await eventually(() => !nearSocket.rooms.has("s"), "near has left");
  io.to(["r", "s"]).emit("five");
  const last = everybody("last");
  io.emit("last");
  await last;
  assert.deepEqual(heard.sort(), ["far four", "far last", "far one", "near last", "near three", "near two"]);
});

test("S-40: sockets of the other", async () => {
  nearSocket.data.user = { name: "n", tags: [1, 2] };
  await far.emitWithAck("store", "user", { name: "f", tags: [3] });
  const remote = (await io.fetchSockets()).find((s) => s.id === far.id);
  assert.deepEqual(remote.data, { user: { name: "f", tags: [3] } });
  assert.deepEqual([...remote.rooms], [far.id]);
  const { handshake } = remote;
  assert.deepEqual(handshake.auth, { name: "far" });
  assert.equal(handshake.query.EIO, "4");
  assert.equal(handshake.headers.host, new URL(FAR).host);
  assert.equal(new Date(handshake.time).getTime(), Math.floor(handshake.issued / 1000) * 1000);
  assert.deepEqual(Object.keys(handshake).sort(), Object.keys(nearSocket.handshake).sort());
  for (const key of Object.keys(handshake)) assert.equal(typeof handshake[key], typeof nearSocket.handshake[key], key);

  const sockets = await far.emitWithAck("fetch");
  const other = sockets.find((s) => s.id === near.id);
  assert.deepEqual(other.rooms, [near.id]);
  assert.deepEqual(other.user, { name: "n", tags: [1, 2] });
  assert.deepEqual(other.auth, { name: "near" });
  assert.equal(other.address, nearSocket.handshake.address);
  assert.equal(other.issued, nearSocket.handshake.issued);
});

test("S-71: Node asks everybody", async () => {
  near.on("q", (n, ack) => ack(["near", n]));
  far.on("q", (n, ack) => ack(["far", n, Buffer.from("bin")]));
  const answers = await io.timeout(2000).emitWithAck("q", 1);
  answers.sort();
  assert.deepEqual([answers[0][0], Buffer.from(answers[0][2]).toString(), answers[1]], ["far", "bin", ["near", 1]]);
  assert.deepEqual(await io.timeout(2000).to("nobody").emitWithAck("q", 1), []);
});

test("S-71: ours asks everybody", async () => {
  near.on("q", (n, ack) => ack(["near", n]));
  far.on("q", (n, ack) => ack(["far", n]));
  const { answers, missing } = await far.emitWithAck("ask", 2000, "q", 1);
  assert.equal(missing, 0);
  assert.deepEqual(answers.sort((a, b) => a.id.localeCompare(b.id)), [
    { id: "", value: ["near", 1] }, // which Node does not tell
    { id: far.id, value: ["far", 1] },
  ]);
});

test("S-71: partial answers", async () => {
  near.on("q", (ack) => ack("near"));
  const err = await io.timeout(300).emitWithAck("q").catch((e) => e);
  assert.deepEqual([err.message, err.responses], ["operation has timed out", ["near"]]);
  far.on("q", (ack) => ack("far"));
  near.off("q");
  const { answers, missing } = await far.emitWithAck("ask", 300, "q");
  assert.deepEqual(answers, [{ id: far.id, value: "far" }]);
  assert.equal(missing, 1);
});

test("S-44, S-45: server-side events", async () => {
  const heard = next(io, "hello");
  far.emit("server-side", "hello", 1, { a: "b" });
  assert.deepEqual(await heard, [1, { a: "b" }]);
  io.once("question", (n, ack) => ack({ n }));
  assert.deepEqual(await far.emitWithAck("server-side-ask", "question", 7), [{ n: 7 }]);
  const said = next(far, "heard");
  io.serverSideEmit("say", "word", Buffer.from("bin"));
  const [name, word, bytes] = await said;
  assert.deepEqual([name, word, Buffer.from(bytes).toString()], ["say", "word", "bin"]);
  assert.deepEqual(await io.serverSideEmitWithAck("double", 21), [42]);
});

test("S-43: disconnecting the other's", async () => {
  let gone = next(far, "disconnect");
  io.in(far.id).disconnectSockets();
  assert.equal((await gone)[0], "io server disconnect");
  far = await connected(FAR, "/");
  gone = next(near, "disconnect");
  far.emit("disconnect-all", near.id);
  assert.equal((await gone)[0], "io server disconnect");
});

test("spec 3.7: a node that leaves is not counted", async () => {
  io.of("/other"); // begins there
  const other = await connected(FAR, "/other");
  await eventually(async () => (await other.emitWithAck("count")) === 2, "two nodes");
  adapters.get("/other").close();
  await eventually(async () => (await other.emitWithAck("count")) === 1, "one node");
});
