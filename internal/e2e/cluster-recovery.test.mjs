// Two nodes of ours whose bus keeps a log (cluster_recovery_test.go): the official client is lost on one and comes back to the other
// (S-6, S-77). What they are told to do, cluster_test.go says.
import { afterEach, test } from "node:test";
import assert from "node:assert/strict";
import { connected, disconnectAll, upgraded, ways } from "./client.mjs";
import { eventually, next, server } from "./support.mjs";

const HERE = server("PERCH_HERE_URL");
const THERE = server("PERCH_THERE_URL");

afterEach(disconnectAll);

// Lets a client lose its connection and come back elsewhere, when what is done meanwhile is done.
async function move(client, to, meanwhile) {
  client.io.reconnection(false);
  client.io.uri = to;
  client.io.engine.close();
  await meanwhile();
  client.io.reconnection(true);
  const back = next(client, "connect");
  client.connect();
  await back;
}

for (const [way, options] of Object.entries(ways)) {
  test(`S-77: back on the other node, ${way}`, async () => {
    const other = await connected(THERE, "/");
    await eventually(async () => (await other.emitWithAck("count")) === 2, "two nodes");
    const client = await connected(HERE, "/", options);
    if (options.transports.length > 1) await upgraded(client);
    const heard = [];
    client.onAny((event, n) => heard.push([event, n]));
    const { id } = client;
    await client.emitWithAck("join", [id], ["room"]);
    await other.emitWithAck("emit", ["room"], [], "seen", 0);
    await eventually(() => heard.length === 1, "the first event");
    await move(client, THERE, async () => {
      await other.emitWithAck("emit", ["room"], [], "missed", 1);
      await other.emitWithAck("emit", ["nobody"], [], "not this", 2);
      await other.emitWithAck("emit", [id], [], "own", 3, Buffer.from("bytes"));
    });
    assert.equal(client.recovered, true);
    assert.equal(client.id, id);
    await other.emitWithAck("emit", ["room"], [], "live", 4);
    await eventually(() => heard.length >= 4, "all events");
    assert.deepEqual(heard, [["seen", 0], ["missed", 1], ["own", 3], ["live", 4]]);
  });
}

test("S-77: to and fro while both nodes emit", async () => {
  const options = { transports: ["websocket"] };
  const senders = [await connected(HERE, "/", options), await connected(THERE, "/", options)];
  const client = await connected(HERE, "/", options);
  const heard = [[], []];
  client.on("n", (sender, n) => heard[sender].push(n));
  let done = false;
  const counts = [0, 0];
  const sending = senders.map(async (s, i) => {
    while (!done) await s.emitWithAck("emit", [], [], "n", i, counts[i]++);
  });
  for (let i = 0; i < 10; i++) {
    const before = counts[0] + counts[1];
    await move(client, i % 2 ? HERE : THERE, () => eventually(() => counts[0] + counts[1] > before + 20, "events meanwhile"));
    assert.equal(client.recovered, true);
  }
  done = true;
  await Promise.all(sending);
  await eventually(() => heard[0].length >= counts[0] && heard[1].length >= counts[1], "all events");
  for (const i of [0, 1]) assert.deepEqual(heard[i], [...Array(counts[i]).keys()]);
});
