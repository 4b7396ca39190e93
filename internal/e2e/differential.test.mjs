// The same script against npm's socket.io and against ours, what clients saw compared line by line. A script whose
// records differ on purpose says so and shows both; any other difference fails, and so does a declared one that is gone.
// Each table is one area; the rows of the specification stand in the names.
import { after, describe } from "node:test";
import { endAll } from "./wire.mjs";
import { compareAll } from "./differential/compare.mjs";
import { acks } from "./differential/ack.mjs";
import { calls, listeners } from "./differential/call.mjs";
import { connects } from "./differential/connect.mjs";
import { cover } from "./differential/cover.mjs";
import { emits } from "./differential/emit.mjs";
import { grammar, limits } from "./differential/grammar.mjs";
import { leaving } from "./differential/leave.mjs";
import { packed } from "./differential/msgpack.mjs";
import { dynamic } from "./differential/namespace.mjs";
import { byHand, three, two } from "./differential/old.mjs";
import { bundle, compression, cors, hooks } from "./differential/option.mjs";
import { heartbeat, polling, upgrading } from "./differential/polling.mjs";
import { ghosts, recovery } from "./differential/recover.mjs";
import { requests } from "./differential/request.mjs";
import { rooms } from "./differential/room.mjs";
import { volatiles } from "./differential/volatile.mjs";

after(endAll);

// Several scripts of an area are played at a time where each is alone with its own connections; not where one broadcasts
// to a whole namespace.
const together = {
  connects, dynamic, emits, acks, leaving, grammar, limits, requests, polling, upgrading, heartbeat,
  cors, hooks, compression, bundle, two, three, byHand, ghosts, packed,
};
const alone = { rooms, volatiles, calls, listeners, recovery };
for (const [area, table] of Object.entries(together)) describe(area, { concurrency: 4 }, () => compareAll(table));
for (const [area, table] of Object.entries(alone)) describe(area, () => compareAll(table));
describe("together they have seen", cover);
