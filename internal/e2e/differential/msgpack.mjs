// Clients that speak MessagePack, with npm's parser and by hand (S-4, 3.6).
import { createRequire } from "node:module";
import parser from "socket.io-msgpack-parser";
import { differs, eachWay } from "./compare.mjs";

const server = "msgpack";
const encoder = new parser.Encoder();

// What the parser itself writes with, so that packets it would not make can be made too.
const notepack = createRequire(createRequire(import.meta.url).resolve("socket.io-msgpack-parser"))("notepack.io");

const echo = (...args) => async (x) => {
  const a = await x.client("a", { server, parser });
  await a.ask("echo", ...args);
  a.tell("echo", ...args);
  await a.hears("echo");
};

/** A key that is undefined is as good as none to those who read it; see the script about it. */
const known = (value) =>
  value?.constructor === Object ? Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== undefined).map(([key, inner]) => [key, known(inner)])) : value;

/** A WebSocket by hand that has joined; packets are objects. */
async function joined(x, shown = known, url = undefined) {
  const w = await x.ws("w", { server, url });
  const next = async () => {
    const message = await w.frames.next();
    const packet = message instanceof Buffer ? notepack.decode(message) : message;
    x.record.name(packet.data?.sid, "sid of w");
    x.note("packet", shown(packet));
    return packet;
  };
  const send = (packet) => w.send(Buffer.from(encoder.encode(packet)[0]));
  send({ type: 0, nsp: "/" });
  await next();
  return { w, next, send };
}

/** What becomes of the connection after a message. */
const after = (message) => async (x) => {
  const { w, next, send } = await joined(x);
  w.send(typeof message === "object" && !(message instanceof Buffer) ? Buffer.from(notepack.encode(message)) : message);
  send({ type: 2, nsp: "/", id: 9, data: ["echo", "alive"] });
  await Promise.race([next().catch(() => {}), w.frames.closed]);
  if (w.frames.ws.readyState !== 1) await w.ended();
};

export const packed = {
  ...eachWay("S-4 connects, asks, is asked, joins and leaves", async (x, way) => {
    const a = await x.client("a", { server, parser, way, auth: { token: 1 } });
    await a.ask("handshake");
    await a.ask("join", "red");
    await a.ask("rooms");
    a.answers.question = (ack, value) => ack("heard", value, Buffer.from([1]));
    await a.ask("ask", {}, "question", [Buffer.from([2]), { a: 1 }]);
    a.socket.disconnect();
    await x.journal(a, "left");
  }),
  "S-4 every kind of value": echo(null, true, false, 0, -1, 127, 128, 255, 256, 65_536, 2 ** 31, -(2 ** 31), 2 ** 40, 1.5, -0.25, 1e300, "", "Я😀", [], {}, [[{ a: [1] }]]),
  "S-4 bytes": echo(Buffer.from([1, 2]), { deep: [Buffer.from([3])] }, Buffer.alloc(0), Buffer.alloc(70_000, 5)),
  "S-4 long text, lists and objects": echo("x".repeat(70_000), Array.from({ length: 70_000 }, (_, i) => i), Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`key ${i}`, i]))),
  "S-4 more than ten attachments": echo(...Array.from({ length: 20 }, (_, i) => Buffer.from([i]))),
  "S-4 no argument": echo(),
  "S-4 a date": differs(
    "S-4: values are those of JSON, where a date is text; notepack brings it back as a date",
    {
      reference: ['a echo: Date(2026-01-02T00:00:00.000Z)', 'a event "echo" Date(2026-01-02T00:00:00.000Z)'],
      ours: ['a echo: "2026-01-02T00:00:00.000Z"', 'a event "echo" "2026-01-02T00:00:00.000Z"'],
    },
    echo(new Date(Date.UTC(2026, 0, 2))),
  ),
  "S-4 a burst": async (x) => {
    const a = await x.client("a", { server, parser });
    await a.ask("burst", 50);
    await a.hears("tick", 50);
  },
  "S-4 broadcasts": async (x) => {
    const [a, b] = [await x.client("a", { server, parser }), await x.client("b", { server, parser })];
    const red = x.own("red");
    await a.ask("join", red);
    await b.ask("join", red);
    await a.ask("cast", { by: "namespace", to: [red] }, "said", "to both", Buffer.from([1]));
    await a.ask("cast", { to: [red] }, "said", "to b");
    await x.sync(a, b);
  },
  "S-4 refused, with data and without": async (x) => {
    for (const token of ["data", "plain", "text"]) {
      const a = await x.client(token, { server, parser, namespace: "/guarded", auth: { token }, connect: false });
      await a.refused();
    }
    const b = await x.client("b", { server, parser, namespace: "/nowhere", connect: false });
    await b.refused();
  },
  "S-4 the server disconnects": async (x) => {
    const a = await x.client("a", { server, parser });
    a.tell("kick", false);
    await a.gone();
    await x.journal(a, "left");
  },
  "3.6 CONNECT's answer": differs(
    "3.6: what is undefined is left out",
    { reference: ['script packet: {data:{pid:undefined,sid:"<sid of w>"},nsp:"/",type:0}'], ours: ['script packet: {data:{sid:"<sid of w>"},nsp:"/",type:0}'] },
    (x) => joined(x, (packet) => packet),
  ),
  "3.6 packets by hand": async (x) => {
    const { next, send } = await joined(x, known, await x.server(server, true)); // fresh: ids of questions count
    send({ type: 0, nsp: "/one", data: { token: 1 } });
    await next();
    send({ type: 2, nsp: "/one", data: ["echo", 1, Buffer.from([2])] });
    await next();
    send({ type: 2, nsp: "/", id: 0, data: ["echo", "asked"] });
    await next();
    send({ type: 2, nsp: "/", id: 1, data: ["ask", {}, "question"] });
    const { id } = await next();
    send({ type: 3, nsp: "/", id, data: ["answer"] });
    await next();
    send({ type: 0, nsp: "/nowhere" });
    await next();
    send({ type: 1, nsp: "/one" });
    send({ type: 2, nsp: "/", id: 2, data: ["echo", "still here"] });
    await next();
  },
  "3.6 text": after("40"),
  "3.6 no map": after(Buffer.from([0x93, 1, 2, 3])),
  "3.6 an unknown type": after({ type: 5, nsp: "/", data: ["echo"] }),
  "3.6 no namespace": after({ type: 2, data: ["echo"] }),
  "3.6 an event that is no list": after({ type: 2, nsp: "/", data: { a: 1 } }),
  "3.6 an id that is text": after({ type: 2, nsp: "/", id: "1", data: ["echo"] }),
  "3.6 CONNECT with a list": after({ type: 0, nsp: "/one", data: [1] }),
  "3.6 something behind the map": after(Buffer.concat([notepack.encode({ type: 2, nsp: "/", data: ["echo"] }), Buffer.from([1])])),
  "3.6 a map that breaks off": after(Buffer.from(notepack.encode({ type: 2, nsp: "/", data: ["echo", "x"] })).subarray(0, 10)),
  "3.6 keys nobody knows": after({ type: 2, nsp: "/", data: ["ignore"], options: { compress: true }, more: 1 }),
};
