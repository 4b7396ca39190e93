// Namespaces that clients ask for and that are made then (S-7, S-25, S-29, S-48, S-74, S-75).
import { pause } from "../support.mjs";
import { differs } from "./compare.mjs";

/** A name of this script's own. */
const numbered = (x, n = 0) => `/number-${x.number * 100 + n}`;

/** A client joins and leaves; what is made of it is compared a while later. */
const twice = (server) => async (x) => {
  const url = await x.server(server, true);
  for (let i = 0; i < 2; i++) {
    const a = await x.client(`a${i}`, { url, namespace: "/number-1" });
    await a.ask("echo", i);
    a.socket.disconnect();
    await x.journal(a, "left");
    await pause(30);
  }
  await x.made(url, "/number-");
};

export const dynamic = {
  "S-74 a name that matches": async (x) => {
    const a = await x.client("a", { namespace: numbered(x) });
    await a.ask("state");
    await a.ask("join", "red");
    await a.ask("cast", { by: "namespace", to: ["red"] }, "said", "to red");
    a.socket.disconnect();
    await x.journal(a, "left");
  },
  "S-74 names that do not match": async (x) => {
    for (const name of ["/number-", "/number-1a", "/Number-1", "/x/number-1", "/number-1/2"]) {
      const a = await x.client(`a${name}`, { namespace: name, connect: false });
      await a.refused();
    }
  },
  "S-74 each name is a namespace of its own": async (x) => {
    const [a, b] = [await x.client("a", { namespace: numbered(x, 1) }), await x.client("b", { namespace: numbered(x, 2) })];
    const c = await x.beside("c", a, numbered(x, 2));
    for (const client of [a, b, c]) await client.ask("join", "red");
    await a.ask("cast", { by: "namespace", to: ["red"] }, "said", "in the first");
    await b.ask("cast", { by: "namespace" }, "said", "in the second");
    await x.sync(c);
  },
  "S-29 a namespace is made once for all who ask": async (x) => {
    const url = await x.server("plain", true);
    const clients = await Promise.all(Array.from({ length: 5 }, (_, i) => x.client(`a${i}`, { url, namespace: "/number-7" })));
    await x.made(url, "/number-");
    await clients[0].ask("count");
  },
  "S-74 its middlewares": async (x) => {
    const a = await x.client("a", { namespace: numbered(x), auth: { token: "plain" }, connect: false });
    await a.refused();
    a.socket.auth = {};
    a.socket.connect();
    await a.connected();
    await a.ask("state");
  },
  "S-74 a function says yes": async (x) => {
    const a = await x.client("a", { namespace: "/person-anna", auth: { token: "anna" } });
    await a.ask("state");
  },
  "S-74 a function says no": async (x) => {
    const a = await x.client("a", { namespace: "/person-bert", auth: { token: "anna" }, connect: false });
    await a.refused();
    x.note("active", a.socket.active);
  },
  "S-74 a namespace that is there is open to those the function would refuse": async (x) => {
    const a = await x.client("a", { namespace: "/person-cora", auth: { token: "cora" } });
    const b = await x.client("b", { namespace: "/person-cora", auth: { token: "anna" } });
    await b.ask("state");
    await a.ask("count");
  },
  "S-74 a function that fails": async (x) => {
    const a = await x.client("a", { namespace: "/broken-1", connect: false });
    await a.refused();
  },
  "S-74 a refusal leaves the connection": async (x) => {
    const w = await x.ws("w");
    await w.join("/person-dora,");
    await w.join('/person-dora,{"token":"dora"}');
    await w.join(`${numbered(x)},`);
    await w.fate();
  },
  "S-75 an empty namespace is dropped where that is wanted": twice("cleaning"),
  "S-75 and kept otherwise": twice("keeping"),
  "S-7 what happens unless it is said": differs(
    "S-7: an empty namespace is dropped: a client could have any number of them made",
    { reference: ['script made: ["/number-1"]'], ours: ['script made: ["/number-1","/number-1"]'] },
    twice("plain"),
  ),
  "S-75 it stays while somebody is there": async (x) => {
    const url = await x.server("cleaning", true);
    const [a, b] = [await x.client("a", { url, namespace: "/number-1" }), await x.client("b", { url, namespace: "/number-1" })];
    await a.ask("join", "red");
    b.socket.disconnect();
    await x.journal(b, "left");
    await pause(30);
    const c = await x.client("c", { url, namespace: "/number-1" });
    await c.ask("cast", { by: "namespace", to: ["red"] }, "said", "to who stayed");
    await x.made(url, "/number-");
    await x.sync(a);
  },
  "S-75 one whose only socket was refused": async (x) => {
    const url = await x.server("cleaning", true);
    for (let i = 0; i < 2; i++) {
      const a = await x.client(`a${i}`, { url, namespace: "/number-1", auth: { token: "plain" }, connect: false });
      await a.refused();
      await pause(30);
    }
    await x.made(url, "/number-");
  },
};
