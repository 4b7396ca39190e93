// Joining namespaces: auth, query, handshake, middlewares that refuse (S-25, S-49, S-50, S-52, S-65, S-74).
import { differs, eachWay } from "./compare.mjs";

const handshake = (options) => async (x) => {
  const a = await x.client("a", options);
  await a.ask("handshake");
};

/** A client that /guarded refuses, and that may come again with another token. */
const refusal = (token, way = "websocket", more = {}) => async (x) => {
  const a = await x.client("a", { namespace: "/guarded", way, connect: false, auth: { token, ...more } });
  await a.refused();
  x.note("active", a.socket.active);
  a.socket.auth = { token: "fine" };
  a.socket.connect();
  await a.connected();
  await a.ask("echo", "let in");
};

export const connects = {
  ...eachWay("S-52 connected, in the main namespace", async (x, way) => {
    const a = await x.client("a", { way });
    await a.ask("state");
  }),
  "S-49 an id of its own in each namespace": async (x) => {
    const a = await x.client("a");
    const b = await x.beside("b", a, "/one");
    x.note("shapes", [a.socket.id, b.socket.id].map((id) => /^[\w-]{20}$/.test(id)));
    x.note("distinct", new Set([a.socket.id, b.socket.id, a.socket.io.engine.id]).size);
    await a.ask("state");
    await b.ask("state");
  },
  "S-49 a new id after each connect": async (x) => {
    const a = await x.client("a");
    for (let i = 0; i < 3; i++) {
      a.socket.disconnect();
      a.socket.connect();
      await a.connected();
    }
    await a.ask("echo");
  },
  "S-50 the handshake without auth": handshake({}),
  "S-50 auth of every type": handshake({ auth: { text: "a", number: 1.5, yes: true, none: null, list: [1, [2]], deep: { er: {} } } }),
  "S-50 auth by a function": handshake({ auth: (give) => give({ token: "made" }) }),
  "S-50 auth with letters of other scripts": handshake({ auth: { имя: "Ж", emoji: "😀" } }),
  "S-50 the query's parameters": handshake({ query: { plain: "a", spaced: "a b+c", кто: "Ж", empty: "", amp: "a&b=c" } }),
  "S-50 headers": handshake({ extraHeaders: { "X-Tag": "tagged" } }),
  "S-50 a request from another origin": handshake({ server: "open", extraHeaders: { Origin: "http://good.example" } }),
  "S-50 the handshake over polling": handshake({ way: "polling", extraHeaders: { "X-Tag": "polled" }, auth: { a: 1 } }),
  "S-50 auth belongs to the namespace, the query to the connection": async (x) => {
    const a = await x.client("a", { auth: { who: "a" }, query: { team: "blue" } });
    const b = await x.beside("b", a, "/one", { auth: { who: "b" } });
    await a.ask("handshake");
    await b.ask("handshake");
  },
  "S-25 namespaces share a connection": async (x) => {
    const a = await x.client("a");
    const b = await x.beside("b", a, "/one");
    const c = await x.beside("c", a, "/two");
    for (const client of [a, b, c]) await client.ask("state");
    x.note("sessions", new Set([a, b, c].map((client) => client.socket.io.engine.id)).size);
  },
  "S-25 events and acks stay in their namespace": async (x) => {
    const a = await x.client("a");
    const b = await x.beside("b", a, "/one");
    a.tell("echo", "for a");
    b.tell("echo", "for b");
    await a.hears("echo");
    await b.hears("echo");
    await Promise.all([a.ask("late", 30, "a"), b.ask("echo", "b")]);
  },
  "S-25 leaving one namespace leaves the other": async (x) => {
    const a = await x.client("a");
    const b = await x.beside("b", a, "/one");
    b.socket.disconnect();
    await a.ask("echo", "still here");
    b.socket.connect();
    await b.connected();
    await b.ask("echo", "back again");
    await x.journal(a, "left");
  },
  "S-74 a namespace that does not exist": async (x) => {
    const a = await x.client("a", { namespace: "/nowhere", connect: false });
    await a.refused();
    x.note("active", a.socket.active);
  },
  "S-74 an unknown namespace beside one that is joined": async (x) => {
    const a = await x.client("a");
    const b = await x.beside("b", a, "/nowhere", {}, false);
    await b.refused();
    await a.ask("echo", "still here");
  },
  "S-74 an unknown namespace by hand, then a known one": async (x) => {
    const w = await x.ws("w");
    await w.join("/nowhere,");
    await w.join("/one,");
    await w.join();
    await w.fate();
  },
  "3.4 the namespace's comma may be missing": async (x) => {
    const w = await x.ws("w");
    await w.join("/one");
    w.send('42/one,["echo",1]');
    await w.next();
  },
  "3.4 the main namespace by its name": async (x) => {
    const w = await x.ws("w");
    await w.join("/,");
    await w.fate();
  },
  "3.4 a namespace with a query is another name": async (x) => {
    const w = await x.ws("w");
    await w.join("/one?a=b,");
    await w.fate();
  },
  "S-65 refused": refusal("plain"),
  ...eachWay("S-65 refused with data", (x, way) => refusal("data", way)(x)),
  "S-65 refused with text as data": refusal("text"),
  "S-65 refused with zero as data": refusal("zero"),
  "S-65 refused with a list as data": refusal("list"),
  "S-65 refused without a message": refusal("empty"),
  "S-65 refused later": refusal("data", "websocket", { wait: 60 }),
  "S-65 let in later": async (x) => {
    const a = await x.client("a", { namespace: "/guarded", auth: { token: "fine", wait: 60 } });
    await a.ask("state");
  },
  "S-65 a refused socket leaves no trace": async (x) => {
    const a = await x.client("a", { namespace: "/guarded", connect: false, auth: { token: "plain" } });
    await a.refused();
    const b = await x.beside("b", a, "/one");
    await b.ask("echo", "done");
    await x.journal(a);
  },
  "S-65 refused by hand": async (x) => {
    const w = await x.ws("w");
    await w.join('/guarded,{"token":"data"}');
    await w.join('/guarded,{"token":"text"}');
    await w.join('/guarded,{"token":"fine"}');
    w.send('421/guarded,["echo"]', '42/guarded,1["echo"]');
    await w.fate();
  },
  "S-65 middlewares run in order, before the connection": async (x) => {
    const a = await x.client("a", { namespace: "/chain" });
    await a.ask("data");
    await x.journal(a, "connection");
  },
  "S-47 what a middleware emits": differs(
    "S-47: it follows the answer to CONNECT, where Node sends it first",
    {
      reference: ['w < 42/chain,["from","first"]'],
      ours: ['w < 42/chain,["from","first"]'],
    },
    async (x) => {
      const w = await x.ws("w");
      await w.join('/chain,{"emit":"first"}');
      await w.next();
    },
  ),
  "S-47 and when it refuses": differs(
    "S-47: it is dropped, where the client of Node's server hears it",
    { reference: ['w < 42/chain,["from","first"]'], ours: [] },
    async (x) => {
      const w = await x.ws("w");
      w.send('40/chain,{"emit":"first","stop":"second"}');
      while (!(await w.next()).startsWith("44"));
    },
  ),
  "S-65 a middleware that refuses ends the row": async (x) => {
    const a = await x.client("a", { namespace: "/chain", connect: false, auth: { stop: "second" } });
    await a.refused();
    await x.journal(a);
  },
  "S-65 middlewares run again at each connect": async (x) => {
    const a = await x.client("a", { namespace: "/chain" });
    a.socket.disconnect();
    a.socket.connect();
    await a.connected();
    await x.journal(a, (entries) => entries.filter(([what]) => what === "connection").length === 2);
  },
  "S-65 the client leaves while the middleware waits": async (x) => {
    const a = await x.client("a", { namespace: "/guarded", connect: false, auth: { token: "fine", wait: 80 } });
    const b = await x.beside("b", a, "/one");
    a.socket.disconnect();
    await b.ask("late", 120, "later");
    await b.ask("echo");
    await x.journal(a);
  },
  "C-14 a client reconnects by itself": async (x) => {
    const a = await x.client("a", { reconnection: true, reconnectionDelay: 10 });
    a.socket.io.engine.close();
    await x.journal(a, (entries) => entries.filter(([what]) => what === "connection").length === 2);
    await a.connected();
    await a.ask("echo", "back");
  },
  "C-14 a client kicked out does not reconnect by itself": async (x) => {
    const a = await x.client("a", { reconnection: true, reconnectionDelay: 10 });
    a.tell("kick", false);
    await a.gone();
    x.note("active", a.socket.active);
    a.socket.connect();
    await a.connected();
    await a.ask("echo", "back");
  },
  "S-5 a connection that joins nothing is closed": async (x) => {
    const w = await x.ws("w", { server: "impatient" });
    await w.ended();
  },
  "S-5 and over polling": async (x) => {
    const p = await x.polling("p", { server: "impatient" });
    await p.until("1");
    await p.get();
  },
  "S-5 one that was refused has joined nothing": async (x) => {
    const w = await x.ws("w", { server: "impatient" });
    await w.join("/nowhere,");
    await w.ended();
  },
  "S-5 one that joined stays": async (x) => {
    const w = await x.ws("w", { server: "impatient" });
    await w.join();
    w.send('421["late",600,"later"]');
    await w.next();
  },
};
