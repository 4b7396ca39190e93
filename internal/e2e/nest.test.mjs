// The same script against gateways of NestJS and against ours with its wire (WithErrors), through the official client:
// what it saw is compared line by line. A script whose records differ on purpose says so, with the row of
// docs/from-nestjs.md that does too, and shows both.
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { eventually, server } from "./support.mjs";
import { ask, connected, disconnectAll, socket } from "./client.mjs";
import { difference, show } from "./differential/record.mjs";

const sides = { nest: server("PERCH_REFERENCE_URL"), ours: server("PERCH_OURS_URL") };

after(disconnectAll);

/** What a script has of one side. */
class Scene {
  lines = [];

  constructor(side) {
    this.side = side;
    this.base = sides[side];
  }

  say(...words) {
    this.lines.push(words.join(" "));
  }

  /** A client whose events are seen. */
  async join(auth, namespace = "/", options = {}) {
    this.client = await connected(this.base, namespace, { auth, ...options });
    this.client.onAny((event, ...args) => this.say(event, show(args)));
    return this.client;
  }

  /** Sends an event that is to be acked, under a name for the ack. */
  asking(event, ...args) {
    this.client.emit(event, ...args, (...answer) => this.say("ack", show(answer)));
  }

  /** Waits until n lines are there; what is not expected shows when the next event is answered. */
  until(n) {
    n = n[this.side] ?? n;
    return eventually(() => this.lines.length >= n, `${n} lines, not only\n${this.lines.join("\n")}`);
  }

  /** Two events are answered: what the first would have overtaken is there too. */
  async settle() {
    await ask(this.client, "sync");
    await ask(this.client, "sync");
  }
}

/** A script that differs: why, and the lines that only one side has. */
const differs = (why, lines, script) => ({ why, lines, script });

/** Scripts that send one event, with an ack and without. */
function sends(name, event, args, { asked, alone } = {}) {
  const script = (way) => async (x) => {
    await x.join();
    x[way](event, ...args);
    await x.settle();
  };
  Scene.prototype.alone ??= function alone(event, ...args) { this.client.emit(event, ...args); };
  const entry = (declared, way) => (declared ? differs(declared.why, declared.lines, script(way)) : script(way));
  return { [`${name}, with an ack`]: entry(asked, "asking"), [`${name}, without`]: entry(alone, "alone") };
}

const silence = "N-26: who asks is answered, with no argument if there is no value";
const emptyAck = { asked: { why: silence, lines: { ours: ["ack []"] } } };

const scripts = {
  async "N-2 what a client is told of the engine's options"(x) {
    const res = await fetch(`${x.base}/socket.io/?EIO=4&transport=polling`);
    const { sid, ...options } = JSON.parse((await res.text()).slice(1));
    x.say(typeof sid, show(options));
  },

  async "N-9 an unknown namespace"(x) {
    const client = socket(x.base, "/nowhere");
    const err = await new Promise((resolve) => client.once("connect_error", resolve));
    x.say(show(err.message), show(err.data));
  },

  "N-18 an event that comes while handleConnection waits": differs(
    "N-18: the hook is awaited", { nest: [`ack [{user:"unknown"}]`], ours: [`ack [{user:"known"}]`] }, async (x) => {
      await x.join({ slow: true });
      x.asking("who");
      await x.until(1);
    }),

  async "N-19 why handleDisconnect is called"(x) {
    const ask = await x.join({});
    const reason = (key) => eventually(async () => {
      const said = await ask.timeout(2000).emitWithAck("why", key);
      return said !== "not yet" && said;
    }, `${key} to be told of`);
    const leaving = await connected(x.base, "/", { auth: { key: "leaves" } });
    leaving.disconnect();
    x.say(await reason("leaves"));
    const cut = await connected(x.base, "/", { auth: { key: "is cut" }, transports: ["websocket"], reconnection: false });
    cut.io.engine.transport.ws.close();
    x.say(await reason("is cut"));
  },

  async "N-20 names match exactly"(x) {
    await x.join();
    x.client.emit("Data", 1);
    x.asking("data", 1);
    await x.settle();
  },

  "N-21 two handlers of one event: both run, the first answers": differs(
    "N-21: one after the other, each to its end", { nest: ["ran [2]"], ours: ["ran [2]"] }, async (x) => {
      await x.join();
      x.asking("both");
      await x.settle();
    }),

  ...sends("N-22 one argument", "data", [{ a: [1, "ü"] }]),
  ...sends("N-22 an argument that is a list", "data", [[1, 2]]),
  ...sends("N-22 null", "data", [null]),
  ...sends("N-22 several arguments", "data", [1, 2], {
    asked: { why: "N-22: On takes the first", lines: { nest: ["ack [{data:[1,2]}]"], ours: ["ack [{data:1}]"] } },
  }),
  async "N-22 several arguments, where a handler wants two"(x) {
    await x.join();
    x.asking(x.side === "nest" ? "data" : "two", 1, 2);
    await x.settle();
  },
  ...sends("N-22 no argument", "data", [], {
    asked: { why: "N-22: a missing argument is an error, unless the handler takes a pointer", lines: { nest: ["ack [{}]"], ours: [`exception [{cause:{pattern:"data"},message:"the payload is missing",status:"error"}]`] } },
    alone: { why: "N-22: a missing argument is an error, unless the handler takes a pointer", lines: { ours: [`exception [{cause:{pattern:"data"},message:"the payload is missing",status:"error"}]`] } },
  }),
  ...sends("N-22 no argument, where none is needed", "optional", [], {
    asked: { why: "N-22: Nest has nothing to answer with: no such event there", lines: { ours: ["ack [{}]"] } },
  }),
  ...sends("N-22 bytes", "data", [Buffer.from("bytes")]),
  ...sends("N-24 a property of the data", "key", [{ k: 21 }]),

  async "N-25 an ack that is called later"(x) {
    await x.join();
    x.asking("ack", 1);
    x.client.emit("ack", 2);
    await x.until(1);
    await x.settle();
  },
  ...sends("N-25 an ack that is called, and a value", "ackAndReturn", []),
  ...sends("N-25 an ack that is called, and a response", "ackAndReply", []),

  ...sends("N-26 undefined", "returns undefined", [], emptyAck),
  ...sends("N-26 null", "returns null", [], { asked: { why: "N-26: null is a value", lines: { ours: ["ack [null]"] } } }),
  ...sends("N-26 zero", "returns zero", []),
  ...sends("N-26 empty text", "returns empty text", []),
  ...sends("N-26 false", "returns false", []),
  ...sends("N-26 text", "returns text", []),
  ...sends("N-26 a list", "returns array", []),
  ...sends("N-26 an empty list", "returns empty array", []),
  ...sends("N-26 an object", "returns object", []),
  ...sends("N-26 a promise", "returns promise", []),
  ...sends("N-26 {event, data}", "returns response", [], emptyAck),
  ...sends("N-26 {event} alone", "returns response without data", [], {
    asked: { why: "N-26: a Reply of None has no argument, where Nest sends null; " + silence, lines: { nest: ["replied [null]"], ours: ["replied []", "ack []"] } },
    alone: { why: "N-26: a Reply of None has no argument, where Nest sends null", lines: { nest: ["replied [null]"], ours: ["replied []"] } },
  }),
  ...sends("N-26 {event, data} and more", "returns response of more", [], {
    asked: { why: "N-26: a field called event is data", lines: { nest: ["replied [1]"], ours: [`ack [{data:1,event:"replied",more:2}]`] } },
    alone: { why: "N-26: a field called event is data", lines: { nest: ["replied [1]"] } },
  }),
  ...sends("N-26 an event that is empty", "returns response without event", []),

  async "N-26 an Observable of responses"(x) {
    await x.join();
    x.client.emit("returns stream");
    await x.until(3);
    await x.settle();
  },
  "N-26 an Observable of responses, with an ack": differs("N-26: the end of a stream is an ack", { ours: ["ack []"] }, async (x) => {
    await x.join();
    x.asking("returns stream");
    await x.until({ nest: 3, ours: 4 });
    await x.settle();
  }),
  "N-26 an Observable of values": differs("N-26: a stream's items are events, its end is the ack",
    { nest: ["ack [0]"], ours: ["returns stream of values [0]", "returns stream of values [1]", "returns stream of values [2]", "ack []"] }, async (x) => {
      await x.join();
      x.asking("returns stream of values");
      await x.until({ nest: 1, ours: 4 });
      await x.settle();
    }),
  async "N-37 an Observable that fails"(x) {
    await x.join();
    x.asking("returns stream that fails");
    await x.until(2);
    await x.settle();
  },

  "N-27 a slow handler and a quick one": differs("N-27: one at a time, unless a handler is Concurrent",
    { nest: ["ack fast"], ours: ["ack fast"] }, async (x) => {
      await x.join();
      for (const event of ["slow", "fast"]) x.client.emit(event, (answer) => x.say("ack", answer));
      await x.until(2);
    }),
  async "N-27 a handler that leaves its lane"(x) {
    await x.join();
    for (const event of [x.side === "nest" ? "slow" : "aside", "fast"]) x.client.emit(event, (answer) => x.say("ack", answer));
    await x.until(2);
  },

  ...sends("N-28 an unknown event", "nobody", [1]),

  async "N-29, N-30 stages in their order"(x) {
    await x.join();
    x.asking("staged", "staged");
    await x.settle();
    x.asking("stages");
    await x.until(2);
  },
  ...sends("N-32 a guard says no", "refused", ["data"]),
  ...sends("N-34 two filters", "filtered", [], {
    asked: { why: "N-34: filters are a chain", lines: { ours: [`filtered ["handler 1","for filters"]`] } },
    alone: { why: "N-34: filters are a chain", lines: { ours: [`filtered ["handler 1","for filters"]`] } },
  }),
  ...sends("N-34 an error that is dealt with", "handled", []),

  ...Object.assign({}, ...["text", "empty text", "number", "object", "array", "HTTP exception", "error", "no error"].map(
    (kind) => sends(`N-35 ${kind}`, "fail", [kind]))),
  ...sends("N-35, N-36 the cause has all arguments", "fail", ["text", { a: 1 }]),
  ...sends("N-35, N-36 the cause has bytes", "fail bytes", [{ bytes: Buffer.from("bytes") }]),

  async "N-45 the article's object: the answers to a page of another origin"(x) {
    const headers = { Origin: "http://page.example", "Access-Control-Request-Method": "POST" };
    for (const method of ["OPTIONS", "GET"]) {
      const res = await fetch(`${x.base}/open/?EIO=4&transport=polling`, { method, headers });
      x.say(method, res.status, ...["origin", "methods"].map((name) => `${name}: ${res.headers.get(`access-control-allow-${name}`)}`));
    }
    const client = await connected(x.base, "/chat", { path: "/open", extraHeaders: headers });
    x.say(await ask(client, "echo", "hello"));
  },
  "N-45 no CORS": differs("N-45: who may not read the answer gets none", {
    nest: ["OPTIONS 400 none code 2", "GET 200 none"], ours: ["OPTIONS 403 none code 4", "GET 403 none code 4"],
  }, async (x) => {
    for (const method of ["OPTIONS", "GET"]) {
      const res = await fetch(`${x.base}/socket.io/?EIO=4&transport=polling`, { method, headers: { Origin: "http://page.example" } });
      x.say(method, res.status, res.headers.get("access-control-allow-origin") ?? "none", ...(res.ok ? [] : ["code", (await res.json()).code]));
    }
  }),
};

async function play(side, script) {
  const scene = new Scene(side);
  try {
    await script(scene);
  } catch (err) {
    throw new Error(`${side}: ${err.message}\nso far:\n${scene.lines.join("\n")}`, { cause: err });
  }
  return scene.lines;
}

describe("as Nest does", { concurrency: 4 }, () => {
  for (const [name, entry] of Object.entries(scripts)) {
    const { script, lines = {} } = typeof entry === "function" ? { script: entry } : entry;
    test(name, async () => {
      const [nest, ours] = await Promise.all(Object.keys(sides).map((side) => play(side, script)));
      const found = difference(nest, ours);
      assert.deepEqual({ nest: found.reference, ours: found.ours }, { nest: [], ours: [], ...lines },
        `the records differ otherwise than declared\nNest:\n${nest.join("\n")}\nours:\n${ours.join("\n")}`);
    });
  }
});
