// Clients of 2.x and 3.x, and protocol 3 by hand (S-20, 3.3).
import io2 from "socket.io-client-2";
import { io as io3 } from "socket.io-client-3";
import { differs } from "./compare.mjs";

const PATH = "/socket.io/";
const OPEN = `${PATH}?EIO=3&transport=polling`;

/** The same over each way an old client may take. */
const eachWay = (name, script) =>
  Object.fromEntries(["websocket", "polling", "upgrade"].map((way) => [`S-20 2.x ${name}, ${way}`, (x) => script(x, { of: io2, server: "old", way })]));

export const two = {
  ...eachWay("connected, in the main namespace", async (x, options) => {
    const a = await x.client("a", options);
    await a.ask("state");
    await a.ask("handshake");
    await x.journal(a);
  }),
  ...eachWay("text there and back", async (x, options) => {
    const a = await x.client("a", options);
    await a.ask("echo", null, true, 1.5, "Я😀 \u0000\u001e", [1, [2]], { a: { b: "c" } });
    a.tell("echo", "as an event");
    await a.hears("echo");
  }),
  ...eachWay("bytes there and back", async (x, options) => {
    const a = await x.client("a", options);
    await a.ask("echo", Buffer.from([1, 2, 3]), { deep: [Buffer.from([4])] }, Buffer.alloc(0));
    a.tell("echo", Buffer.from([5]));
    await a.hears("echo");
  }),
  ...eachWay("a burst", async (x, options) => {
    const a = await x.client("a", options);
    await a.ask("burst", 60);
    await a.hears("tick", 60);
  }),
  ...eachWay("leaves", async (x, options) => {
    const a = await x.client("a", options);
    a.socket.disconnect();
    await x.journal(a, "left");
  }),
  ...eachWay("is disconnected", async (x, options) => {
    const a = await x.client("a", options);
    a.tell("kick", false);
    await a.gone();
    await x.journal(a, "left");
  }),
  "S-20 2.x the server asks": async (x) => {
    const a = await x.client("a", { of: io2, server: "old" });
    a.answers.question = (ack, value) => ack("heard", value, Buffer.from([1]));
    await a.ask("ask", {}, "question", 42);
  },
  "S-20 2.x another namespace": async (x) => {
    const a = await x.client("a", { of: io2, server: "old", namespace: "/one" });
    await a.ask("state");
    await a.ask("echo", "in one");
    await x.journal(a);
  },
  "S-20 2.x ids": async (x) => {
    const a = await x.client("a", { of: io2, server: "old" });
    const b = await x.client("b", { of: io2, server: "old", namespace: "/one" });
    x.note("of the session in the main namespace", a.socket.id === a.socket.io.engine.id);
    x.note("with its namespace elsewhere", b.socket.id === `/one#${b.socket.io.engine.id}`);
  },
  "S-20 2.x rooms": async (x) => {
    const [a, b] = [await x.client("a", { of: io2, server: "old" }), await x.client("b", { server: "old" })];
    const red = x.own("red");
    await a.ask("join", red);
    await b.ask("join", red);
    await a.ask("rooms");
    await a.ask("cast", { by: "namespace", to: [red] }, "said", "to old and new", Buffer.from([1]));
    await a.ask("cast", { to: [red] }, "said", "to the other");
    await b.ask("cast", { to: [red] }, "said", "to the other");
  },
  "S-20 2.x refused": async (x) => {
    const a = await x.client("a", { of: io2, server: "old", namespace: "/chain", connect: false });
    await a.connected();
    await a.ask("data");
  },
  "S-20 2.x a namespace that does not exist": async (x) => {
    const a = await x.client("a", { of: io2, server: "old", namespace: "/nowhere", connect: false });
    await a.refused();
  },
  "S-20 2.x where it is not allowed": async (x) => {
    for (const way of ["polling", "websocket"]) {
      await x.http("h", "GET", OPEN, { hide: ["cache-control"] });
      const a = await x.client(way, { of: io2, way, connect: false });
      await new Promise((resolve) => a.socket.once("connect_error", resolve));
    }
  },
  "S-89 2.x heartbeats go on": async (x) => {
    const a = await x.client("a", { of: io2, server: "oldquick" });
    await a.ask("late", 1200, "still here");
  },
};

export const three = Object.fromEntries(
  ["websocket", "polling", "upgrade"].map((way) => [
    `3.x connects, asks, joins and leaves, ${way}`,
    async (x) => {
      const a = await x.client("a", { of: io3, way, auth: { token: 1 } });
      await a.ask("state");
      await a.ask("handshake");
      await a.ask("echo", null, "Я😀", [1, { a: Buffer.from([1]) }]);
      await a.ask("join", "red");
      await a.ask("rooms");
      a.answers.question = (ack, value) => ack(value);
      await a.ask("ask", {}, "question", Buffer.from([2]));
      a.socket.disconnect();
      await x.journal(a, "left");
    },
  ]),
);

/** A polling session of protocol 3 by hand. */
async function session(x, more = "", server = "old") {
  const name = "h", hide = ["cache-control"];
  const { body } = await x.http(name, "GET", OPEN + more, { server, hide });
  const [, sid] = /sid\\?":\\?"([\w-]+)/.exec(body) ?? [];
  const target = `${OPEN}&sid=${sid}${more}`;
  return {
    get: (headers) => x.http(name, "GET", target, { server, hide, headers }),
    post: (body, headers = { "content-type": "text/plain;charset=UTF-8" }) => x.http(name, "POST", target, { server, hide, headers, body }),
  };
}

const counted = (packet) => `${packet.length}:${packet}`;

export const byHand = {
  "3.3 the handshake and the main namespace": async (x) => {
    const s = await session(x, "&b64=1");
    await s.get();
  },
  "3.3 payloads are counted in UTF-16 units": async (x) => {
    const s = await session(x, "&b64=1");
    await s.get();
    await s.post(counted('42["say","Я😀",1]'));
    await s.get();
  },
  "3.3 several packets in a payload": async (x) => {
    const s = await session(x, "&b64=1");
    await s.get();
    await s.post(counted('42["say","a",1]') + counted('42["say","b",2]'));
    await s.get();
  },
  "3.3 ping and pong": async (x) => {
    const s = await session(x, "&b64=1");
    await s.get();
    await s.post("1:2");
    await s.get();
  },
  "3.3 a probe is echoed": async (x) => {
    const s = await session(x, "&b64=1");
    await s.get();
    await s.post("6:2probe");
    await s.get();
  },
  "3.3 a closed session": async (x) => {
    const s = await session(x, "&b64=1");
    await s.get();
    await s.post("1:1");
    await s.get();
  },
  "3.3 a payload without a length": differs(
    "S-92: a POST with an invalid packet is refused",
    {
      reference: ['h POST /socket.io/?EIO=3&transport=polling&sid=<sid of h>&b64=1: 200 "ok"', "h   content-type: text/html"],
      ours: [String.raw`h POST /socket.io/?EIO=3&transport=polling&sid=<sid of h>&b64=1: 400 "{\"code\":3,\"message\":\"Bad request\"}"`, "h   content-type: application/json"],
    },
    async (x) => {
    const s = await session(x, "&b64=1");
    await s.get();
    await s.post("42");
    await s.get();
  },
  ),
  "3.3 JSONP": differs(
    "3.3: a script is sent as one; a browser told not to sniff would not run text",
    {
      reference: ["h   content-type: text/plain; charset=UTF-8", "h   content-type: text/plain; charset=UTF-8", "h   content-type: text/plain; charset=UTF-8"],
      ours: ["h   content-type: text/javascript; charset=UTF-8", "h   content-type: text/javascript; charset=UTF-8", "h   content-type: text/javascript; charset=UTF-8"],
    },
    async (x) => {
    const s = await session(x, "&j=3", "oldopen");
    await s.get();
    await s.post(`d=${encodeURIComponent(counted('42["say","a",1]'))}`, { "content-type": "application/x-www-form-urlencoded" });
    await s.get();
  },
  ),
  "3.3 JSONP where not every origin is allowed": differs(
    "S-17: a script of any page could read the answers: its origin has to be allowed",
    {
      reference: ["h GET /socket.io/?EIO=3&transport=polling&j=3: 200", "h   content-type: text/plain; charset=UTF-8"],
      ours: ["h GET /socket.io/?EIO=3&transport=polling&j=3: 403", "h   content-type: application/json"],
    },
    async (x) => {
    await x.http("h", "GET", `${OPEN}&j=3`, { server: "old", bodyShown: false });
  },
  ),
  "3.3 a WebSocket": async (x) => {
    const w = await x.ws("w", { server: "old", query: { EIO: 3 } });
    await w.next();
    w.send("2", "2hello");
    await w.several(2);
    w.send('420["echo","a"]');
    await w.next();
    w.send("40/one");
    await w.next();
    w.send("40/nowhere");
    await w.next();
    w.send("41/one");
    await w.fate();
  },
  "3.3 bytes over a WebSocket carry their type": async (x) => {
    const w = await x.ws("w", { server: "old", query: { EIO: 3 } });
    await w.next();
    w.send('451-0["echo",{"_placeholder":true,"num":0}]', Buffer.from([4, 1, 2, 3]));
    await w.several(2);
  },
  "3.3 a namespace with a query": async (x) => {
    const w = await x.ws("w", { server: "old", query: { EIO: 3 } });
    await w.next();
    w.send("40/one?token=abc,");
    await w.next();
    w.send('42/one,0["echo"]');
    await w.next();
  },
  "3.3 refused with data and without": async (x) => {
    const w = await x.ws("w", { server: "old", query: { EIO: 3 } });
    await w.next();
    w.send("40/nowhere,");
    await w.next();
  },
};
