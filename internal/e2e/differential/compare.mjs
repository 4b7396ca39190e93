// Runs a script against both servers and compares what was seen.
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { server } from "../support.mjs";
import { difference } from "./record.mjs";
import { Stage } from "./stage.mjs";

const sides = { reference: server("PERCH_REFERENCE_URL"), ours: server("PERCH_OURS_URL") };

/** A script whose records are not equal on purpose: why, and the lines that only one side has. */
export const differs = (why, lines, script) => ({ why, lines, script });

/** A script whose WebSocket is closed by ours with a code, where the reference's close frame says nothing. */
export const closes = (code, script, actor = "w") =>
  differs("3.1: the close frame says why (RFC 6455 7.4)", { reference: [`${actor} closed`], ours: [`${actor} closed ${code}`] }, script);

/** The same script over each way a client may take. */
export const eachWay = (name, script) =>
  Object.fromEntries(["websocket", "polling", "upgrade"].map((way) => [`${name}, ${way}`, (x) => script(x, way)]));

/** All that ours has shown, and in how many scripts, for cover.mjs. */
export const seen = [];
export const played = () => done;

const same = { reference: [], ours: [] };
let number = 0, done = 0;

async function play(side, n, script) {
  const stage = new Stage(side, sides[side], n);
  try {
    await script(stage);
    await stage.sync(...stage.clients.filter(({ socket, mute }) => socket.connected && !mute));
    return stage.record.lines();
  } catch (err) {
    throw new Error(`${side}: ${err.message}\nso far:\n${stage.record.lines().join("\n")}`, { cause: err });
  } finally {
    stage.close();
  }
}

const list = (title, lines) => `${title}:${lines.map((text) => `\n  ${text}`).join("")}\n`;

const unlike = (found, declared, reference, ours) =>
  "the records differ otherwise than declared\n" +
  list("only reference", found.reference) + list("only ours", found.ours) +
  list("declared of reference", declared.reference) + list("declared of ours", declared.ours) +
  list("all of reference", reference) + list("all of ours", ours);

/** Each scenario of a table is a test. */
export function compareAll(table) {
  for (const [name, entry] of Object.entries(table)) {
    const { script, lines = same } = typeof entry === "function" ? { script: entry } : entry;
    const n = ++number;
    test(name, async () => {
      const records = await Promise.allSettled(Object.keys(sides).map((side) => play(side, n, script)));
      for (const { reason } of records) if (reason) throw reason;
      const [reference, ours] = records.map(({ value }) => value);
      seen.push(...ours);
      done++;
      if (reference.length === 0) throw new Error("nothing was seen");
      const found = difference(reference, ours), declared = { ...same, ...lines };
      if (!isDeepStrictEqual(found, declared)) throw new Error(unlike(found, declared, reference, ours));
    });
  }
}
