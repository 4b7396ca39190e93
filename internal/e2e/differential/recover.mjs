// Connection state recovery: what comes back, and what does not (S-6, S-76 to S-78).
import { io as io3 } from "socket.io-client-3";
import { pause } from "../support.mjs";
import { differs, eachWay } from "./compare.mjs";

const server = "recovering";

/** Two clients in red; the first has heard something, so that it knows where it was. */
async function two(x, options = {}) {
  const red = x.own("red");
  const a = await x.client("a", { server, offsets: true, ...options });
  const b = await x.client("b", { server: options.server ?? server, offsets: true });
  await a.ask("join", red);
  await a.ask("data", { kept: [1] });
  a.tell("say", "first", 0);
  await a.hears("first");
  return { a, b, red, id: a.socket.id };
}

/** The connection is lost; meanwhile is done; the client comes back. */
async function away(x, a, meanwhile = () => {}) {
  a.socket.io.engine.close();
  await x.journal(a, "left", () => false);
  await meanwhile();
  a.socket.connect();
  await a.connected();
}

const cast = (client, to, ...args) => client.ask("cast", { by: "namespace", to: [to] }, "said", ...args);

export const recovery = {
  ...eachWay("S-77 id, rooms and data come back", async (x, way) => {
    const { a } = await two(x, { way });
    await away(x, a);
    await a.ask("state");
    await a.ask("rooms");
    await a.ask("data");
    await x.journal(a);
  }),
  ...eachWay("S-77 what was missed comes in order", async (x, way) => {
    const { a, b, red } = await two(x, { way });
    await away(x, a, async () => {
      for (let i = 0; i < 5; i++) await cast(b, red, i);
    });
    await a.hears("said", 5);
  }),
  "S-77 bytes that were missed": async (x) => {
    const { a, b, red } = await two(x);
    await away(x, a, () => cast(b, red, Buffer.from([1, 2]), { deep: [Buffer.from([3])] }));
    await a.hears("said");
  },
  "S-77 only what it would have got": async (x) => {
    const { a, b, red, id } = await two(x);
    await away(x, a, async () => {
      await cast(b, "another room", "not for a");
      await cast(b, red, "to its room");
      await cast(b, id, "to its id");
      await b.ask("cast", { by: "namespace", except: [red] }, "said", "to all but its room");
      await b.ask("cast", { by: "namespace" }, "said", "to all");
    });
    await a.hears("said", 3);
  },
  "S-77 what is sent afterwards follows": async (x) => {
    const { a, b, red } = await two(x);
    await away(x, a, () => cast(b, red, "missed"));
    await cast(b, red, "afterwards");
    await a.hears("said", 2);
  },
  "S-78 volatile events are not kept": async (x) => {
    const { a, b, red } = await two(x);
    await away(x, a, async () => {
      await b.ask("cast", { by: "namespace", to: [red], volatile: true }, "said", "volatile");
      await cast(b, red, "kept");
    });
    await a.hears("said");
  },
  "S-78 questions are not kept": async (x) => {
    const { a, b, red } = await two(x);
    await away(x, a, async () => {
      await b.ask("askAll", { by: "namespace", to: [red], timeout: 30 }, "question");
      await cast(b, red, "kept");
    });
    await a.hears("said");
  },
  "S-76 it works more than once": async (x) => {
    const { a, b, red } = await two(x);
    for (let i = 0; i < 3; i++) {
      await away(x, a, () => cast(b, red, i));
      await a.hears("said", i + 1);
    }
    await a.ask("rooms");
  },
  "S-76 a client that has heard nothing yet": differs(
    "S-77: it comes back too, though Node has not told it where it was (socket.io #5538)",
    {
      reference: ["a connect", 'a state: {connected:true,namespace:"/",protocol:4,recovered:false,transport:"websocket"}', "a rooms: []"],
      ours: ["a connect recovered", 'a state: {connected:true,namespace:"/",protocol:4,recovered:true,transport:"websocket"}', 'a rooms: ["red"]'],
    },
    async (x) => {
      const a = await x.client("a", { server, offsets: true });
      await a.ask("join", "red");
      await away(x, a);
      await a.ask("state");
      await a.ask("rooms");
    },
  ),
  "S-76 a client that left comes back afresh": async (x) => {
    const { a } = await two(x);
    a.socket.disconnect();
    await x.journal(a, "left", () => false);
    a.socket.connect();
    await a.connected();
    await a.ask("state");
    await a.ask("rooms");
    await a.ask("data");
  },
  "S-76 so does one that was sent away": async (x) => {
    const { a } = await two(x);
    a.tell("kick", false);
    await a.gone();
    a.socket.connect();
    await a.connected();
    await a.ask("state");
    await a.ask("rooms");
  },
  "S-76 after a ping timeout": async (x) => {
    const w = await x.ws("w", { server: "brisk", pongs: false, offsets: true });
    await w.join();
    w.send('42["say","said",1]');
    await w.next();
    await x.journal(w, "left");
    const v = await x.ws("v", { server: "brisk", offsets: true });
    v.send(`40${JSON.stringify({ pid: w.pid, offset: w.offset })}`);
    await v.next();
    await v.fate();
  },
  "S-76 after an invalid packet": async (x) => {
    const w = await x.ws("w", { server, offsets: true });
    await w.join();
    w.send('42["say","said",1]');
    await w.next();
    w.send("42{}");
    await w.ended();
    await x.journal(w, "left", () => false);
    const v = await x.ws("v", { server, offsets: true });
    v.send(`40${JSON.stringify({ pid: w.pid, offset: w.offset })}`);
    await v.next();
    await v.fate();
  },
  "S-6 too late": async (x) => {
    const { a } = await two(x, { server: "forgetful" });
    await away(x, a, () => pause(250));
    await a.ask("state");
    await a.ask("rooms");
  },
  "S-6 off, there is nothing to come back to": async (x) => {
    const { a } = await two(x, { server: "plain" });
    await away(x, a);
    await a.ask("state");
    await a.ask("rooms");
  },
  "S-6 middlewares are skipped": async (x) => {
    const { a } = await two(x, { namespace: "/chain" });
    await away(x, a);
    await a.ask("state");
    await x.journal(a);
  },
  "S-6 middlewares run again": async (x) => {
    const { a } = await two(x, { server: "careful", namespace: "/chain" });
    await away(x, a);
    await a.ask("state");
    await x.journal(a);
  },
  "S-6 a middleware refuses who comes back": async (x) => {
    const { a } = await two(x, { server: "careful", namespace: "/chain" });
    a.socket.auth = { stop: "second" };
    a.socket.io.engine.close();
    await x.journal(a, "left", () => false);
    a.socket.connect();
    await a.refused();
  },
  "S-77 every namespace of a connection": async (x) => {
    const { a, b, red } = await two(x);
    const c = await x.beside("c", a, "/one");
    c.offsets = true;
    await c.ask("join", red);
    c.tell("say", "first", 0);
    await c.hears("first");
    await away(x, a, () => cast(b, red, "missed"));
    await c.connected();
    await a.ask("state");
    await c.ask("state");
    await c.ask("rooms");
  },
  "S-77 CONNECT tells the private id": async (x) => {
    const w = await x.ws("w", { server });
    await w.join();
    await w.join("/one,");
  },
  "S-77 a private id nobody has": async (x) => {
    const w = await x.ws("w", { server, offsets: true });
    await w.join('{"pid":"nobody","offset":"nothing"}');
    await w.fate();
  },
  "S-77 a private id that is no text": async (x) => {
    const w = await x.ws("w", { server, offsets: true });
    await w.join('{"pid":{"a":1},"offset":5}');
    await w.fate();
  },
  "S-77 an offset nobody gave": async (x) => {
    const w = await x.ws("w", { server, offsets: true });
    await w.join();
    w.send('42["say","said",1]');
    await w.next();
    w.frames.ws.close();
    await x.journal(w, "left", () => false);
    const v = await x.ws("v", { server });
    await v.join(JSON.stringify({ pid: w.pid, offset: "never given" }));
    v.send('421["state"]');
    await v.next();
  },
  "S-77 auth beside pid and offset": async (x) => {
    const w = await x.ws("w", { server, offsets: true });
    await w.join('{"pid":"nobody","offset":"nothing","token":"t"}');
    await w.fate();
  },
  "S-78 what carries an offset": async (x) => {
    const w = await x.ws("w", { server, offsets: true });
    await w.join();
    w.send('42["say","event",1]');
    await w.next();
    w.send('420["echo","acks have none"]');
    await w.next();
    w.send('42["echo"]');
    await w.next();
    w.offsets = false;
    w.send('42["ask",{},"question",1]');
    const [, id] = /^42(\d+)/.exec(await w.next());
    w.send(`43${id}[]`);
    w.send('42["cast",{"volatile":true},"volatile",1]');
    await w.next();
  },
  "S-78 bytes and an offset": async (x) => {
    const w = await x.ws("w", { server, offsets: true });
    await w.join();
    w.send('451-["echo",{"_placeholder":true,"num":0}]', Buffer.from([1]));
    const packet = await w.frames.next();
    x.note("packet", packet.replace(/,"[^"]+"\]$/, ',"<offset>"]'));
    await w.next();
  },
  "S-78 clients of 3.x": async (x) => {
    const a = await x.client("a", { server, of: io3, offsets: true });
    a.tell("say", "said", 1);
    await a.hears("said");
  },
};

/** A socket by hand that knows its private id and an offset. */
async function known(x) {
  const w = await x.ws("w", { server, offsets: true });
  await w.join();
  w.send('42["say","said",1]');
  await w.next();
  return w;
}

export const ghosts = {
  "S-77 a client that is back before its loss is noticed": differs(
    "S-77: the ghost makes way and its session is restored, where Node begins a new one beside it",
    {
      reference: ['v < 40{"sid":"<sid of v>","pid":"<pid of v>"}', "w still open"],
      ours: ['v < 40{"sid":"<sid of w>","pid":"<pid of w>"}', "w closed"],
    },
    async (x) => {
      const w = await known(x);
      const v = await x.ws("v", { server, offsets: true });
      v.send(`40${JSON.stringify({ pid: w.pid, offset: w.offset })}`);
      await v.next();
      await w.stays();
      await v.fate();
    },
  ),
  "S-77 a session that is asked for twice": differs(
    "S-77: one socket has an id; Node restores it twice",
    { reference: ["v still open"], ours: ["v closed"] },
    async (x) => {
      const w = await known(x);
      w.frames.ws.close();
      await x.journal(w, "left", () => false);
      const again = [];
      for (const name of ["v", "u"]) {
        again.push(await x.ws(name, { server }));
        await again.at(-1).join(JSON.stringify({ pid: w.pid, offset: w.offset }));
      }
      await again[0].stays();
    },
  ),
};
