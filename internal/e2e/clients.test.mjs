// The official clients of three generations against the conformance server's profile client, over polling, over
// WebSocket, and over polling that upgrades: a cell for each, with every behaviour that applies.
import { describe, test } from "node:test";
import { Cell, generations, ways } from "./generations.mjs";
import { applies } from "./behaviours/behaviour.mjs";
import { connecting } from "./behaviours/connecting.mjs";
import { events } from "./behaviours/events.mjs";
import { binaries } from "./behaviours/binaries.mjs";
import { leaving } from "./behaviours/leaving.mjs";
import { recovery } from "./behaviours/recovery.mjs";

const behaviours = Object.entries({ ...connecting, ...events, ...binaries, ...leaving, ...recovery });

for (const generation of generations) {
  describe(generation.version, () => {
    for (const way of Object.keys(ways)) {
      // A few at a time: some wait for a heartbeat or for silence.
      describe(way, { concurrency: 6 }, () => {
        for (const [name, behaviour] of behaviours) {
          if (applies(behaviour, generation, way)) test(name, (t) => behaviour(new Cell(generation, way, t)));
        }
      });
    }
  });
}
