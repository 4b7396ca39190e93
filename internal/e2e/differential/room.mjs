// Rooms and broadcasts: who gets what, and in which order (S-33, S-38, S-53, S-55, S-67, S-69).
import { eachWay } from "./compare.mjs";

/** Three clients: a and b in red, b and c in blue. */
async function three(x, way) {
  const [a, b, c] = [await x.client("a", { way }), await x.client("b", { way }), await x.client("c", { way })];
  const red = x.own("red"), blue = x.own("blue");
  await a.ask("join", red);
  await b.ask("join", red, blue);
  await c.ask("join", blue);
  return { a, b, c, red, blue };
}

/** One broadcast by a, seen by all three. */
const cast = (flags, ...args) => async (x) => {
  const { a, red, blue } = await three(x);
  const named = (rooms) => rooms && [rooms].flat().map((name) => ({ red, blue, a: a.socket.id })[name] ?? name);
  const inside = [red, blue];
  // What has no room reaches everyone, old sockets of other scripts too: they do not listen any more.
  await a.ask("cast", { ...flags, to: named(flags.to), in: named(flags.in), except: named(flags.except) }, "said", ...(args.length ? args : ["a word", inside.length]));
};

export const rooms = {
  "S-53 a socket joins and leaves": async (x) => {
    const a = await x.client("a");
    await a.ask("rooms");
    await a.ask("join", "red");
    await a.ask("join", "red");
    await a.ask("join", "blue", "green");
    await a.ask("rooms");
    await a.ask("leave", "red");
    await a.ask("leave", "never joined");
    await a.ask("rooms");
  },
  "S-53 rooms with odd names": async (x) => {
    const a = await x.client("a");
    await a.ask("join", "", " ", "ж", "a,b", "__proto__", "toString", "0");
    await a.ask("rooms");
    for (const name of ["", "ж", "__proto__", "toString", "0"]) await a.ask("cast", { by: "namespace", to: [name] }, "said", name);
  },
  "S-53 the room of one's own id": async (x) => {
    const [a, b] = [await x.client("a"), await x.client("b")];
    await a.ask("inOwnRoom");
    await b.ask("cast", { to: [a.socket.id] }, "said", "to you");
    await b.ask("cast", { by: "namespace", to: [a.socket.id, b.socket.id] }, "said", "to both");
  },
  "S-53 rooms end with the socket": async (x) => {
    const { a, b, red } = await three(x);
    b.socket.disconnect();
    b.socket.connect();
    await b.connected();
    await b.ask("rooms");
    await a.ask("cast", { by: "namespace", to: [red] }, "said", "to red");
  },
  "S-53 rooms are of one namespace": async (x) => {
    const { a, red } = await three(x);
    const d = await x.beside("d", a, "/one");
    await d.ask("join", red);
    await a.ask("cast", { by: "namespace", to: [red] }, "said", "in the main namespace");
    await d.ask("cast", { by: "namespace", to: [red] }, "said", "in one");
  },
  "S-33 the namespace to a room": cast({ by: "namespace", to: "red" }),
  "S-33 the namespace in a room": cast({ by: "namespace", in: "blue" }),
  "S-33 to two rooms, once each": cast({ by: "namespace", to: ["red", "blue"] }),
  "S-33 to and in together": cast({ by: "namespace", to: ["red"], in: ["blue"] }),
  "S-33 to a room nobody is in": cast({ by: "namespace", to: ["nobody"] }),
  "S-33 to a room except another": cast({ by: "namespace", to: ["red", "blue"], except: ["red"] }),
  "S-33 to a room except the same": cast({ by: "namespace", to: ["red"], except: ["red"] }),
  "S-33 everyone except a room": cast({ by: "namespace", except: ["blue"] }),
  "S-33 everyone except a socket": cast({ by: "namespace", except: ["a"] }),
  "S-33 everyone": cast({ by: "namespace" }),
  "S-28 the server is the main namespace": cast({ by: "server", to: "red" }),
  "S-55 a socket to its room": cast({ to: "red" }),
  "S-55 a socket to another room": cast({ to: "blue" }),
  "S-55 a socket in two rooms": cast({ in: ["red", "blue"] }),
  "S-55 a socket to its own id": cast({ to: ["a"] }),
  "S-55 a socket to everyone else": cast({ broadcast: true }),
  "S-55 a socket to everyone else except a room": cast({ broadcast: true, except: ["blue"] }),
  "S-55 a socket except a room": cast({ except: ["red"] }),
  "S-69 local, from the namespace": cast({ by: "namespace", local: true, to: "red" }),
  "S-69 local, from a socket": cast({ local: true, to: "red" }),
  "S-67 a volatile broadcast to who can be written to": cast({ by: "namespace", volatile: true, to: ["red", "blue"] }),
  "S-67 a volatile event to who can be written to": cast({ volatile: true }),
  "S-33 no argument": async (x) => {
    const { a, red } = await three(x);
    await a.ask("cast", { by: "namespace", to: [red] }, "said");
  },
  "S-33 bytes": cast({ by: "namespace", to: ["red", "blue"] }, Buffer.from([1, 2, 3]), { deep: [Buffer.from([4])] }),
  ...eachWay("S-33 text and bytes in turn", async (x, way) => {
    const { a, b, c, red, blue } = await three(x, way);
    for (let i = 0; i < 20; i++) await a.ask("cast", { by: "namespace", to: [red, blue] }, "said", i, i % 2 ? Buffer.from([i]) : "text");
    await Promise.all([a, b, c].map((client) => client.hears("said", 20)));
  }),
  "S-33 a broadcast and an event to one socket keep their order": async (x) => {
    const { a, red } = await three(x);
    const w = await x.ws("w");
    await w.join();
    w.send(`421["join","${red}"]`);
    await w.next();
    w.send(`42["say","one",1]`, `42["cast",{"by":"namespace","to":["${red}"]},"two",2]`, `42["say","three",3]`);
    await w.several(3);
    await a.hears("two");
  },
  "S-33 members of other connections and of the same one": async (x) => {
    const a = await x.client("a");
    const b = await x.beside("b", a, "/one");
    const c = await x.client("c", { namespace: "/one" });
    const red = x.own("red");
    for (const client of [a, b, c]) await client.ask("join", red);
    await b.ask("cast", { to: [red] }, "said", "in one");
  },
  "S-33 who left hears nothing more": async (x) => {
    const { a, b, red } = await three(x);
    await b.ask("leave", red);
    await a.ask("cast", { by: "namespace", to: [red] }, "said", "b has left");
    await b.ask("join", red);
    await a.ask("cast", { by: "namespace", to: [red] }, "said", "b is back");
  },
  "S-30 the number of sockets": async (x) => {
    const url = await x.server("plain", true);
    const [a, b] = [await x.client("a", { url }), await x.client("b", { url })];
    await a.ask("count");
    b.socket.disconnect();
    await x.journal(b, "left");
    await a.ask("count");
  },
};
