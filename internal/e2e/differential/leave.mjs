// Why sockets leave, as the server says it and as the client does (S-56, S-61, S-86 to S-94).
import { pause } from "../support.mjs";
import { closes, differs, eachWay } from "./compare.mjs";

const left = "left";
const alive = 'w < 42["echo","alive"]';

/** A client by hand in a room, that does something and is gone. */
const after = (act, options) => async (x) => {
  const w = await x.ws("w", options);
  await w.join();
  w.send('421["join","red"]');
  await w.next();
  await act(w, x);
  await x.journal(w, left, (what) => what !== "error");
};

/** S-94 over WebSocket: Node says `forced close` there and `forced server close` over polling. */
const protocolBroken = (script) =>
  differs(
    "S-94: one reason for one cause, whatever the transport",
    { reference: ['w journal "left" "/" "forced close" ["red"]'], ours: ['w journal "left" "/" "forced server close" ["red"]'] },
    script,
  );

export const leaving = {
  "S-61 the error event before an invalid packet ends the connection": differs(
    "S-61: there is no error event for it; the reason says it",
    { reference: ['w journal "error" "invalid payload"'], ours: [] },
    async (x) => {
      const w = await x.ws("w");
      await w.join();
      w.send("42{}");
      await w.ended();
      await x.journal(w, left);
    },
  ),
  ...eachWay("S-86 the client leaves", async (x, way) => {
    const a = await x.client("a", { way });
    await a.ask("join", "red");
    a.socket.disconnect();
    await x.journal(a, left);
  }),
  ...eachWay("S-87 the server disconnects a socket", async (x, way) => {
    const a = await x.client("a", { way });
    await a.ask("join", "red");
    a.tell("kick", false);
    await a.gone();
    await x.journal(a, left);
  }),
  ...eachWay("S-87 the server disconnects a socket and its connection", async (x, way) => {
    const a = await x.client("a", { way });
    a.tell("kick", true);
    await a.gone();
    await x.journal(a, left);
  }),
  "S-56 one namespace of several": async (x) => {
    const a = await x.client("a");
    const b = await x.beside("b", a, "/one");
    b.tell("kick", false);
    await b.gone();
    await a.ask("echo", "still here");
    await x.journal(a, left);
  },
  "S-56 all namespaces with the connection": async (x) => {
    const a = await x.client("a");
    const b = await x.beside("b", a, "/one");
    b.tell("kick", true);
    await Promise.all([a.gone(), b.gone()]);
    const entries = await x.journal(a, (entries) => entries.filter(([what]) => what === left).length === 2, () => false);
    x.note("journal", x.sorted(entries));
  },
  "S-56 what was emitted before arrives": async (x) => {
    const w = await x.ws("w");
    await w.join();
    w.send('42["say","last words",1]', '42["kick",false]');
    await w.several(2);
    await x.journal(w, left);
  },
  "S-56 the packets of disconnecting one namespace": async (x) => {
    const w = await x.ws("w");
    await w.join();
    await w.join("/one,");
    w.send('42/one,["kick",false]');
    await w.next();
    await w.fate();
  },
  ...eachWay("S-90 the client closes the connection", async (x, way) => {
    const a = await x.client("a", { way });
    await a.ask("join", "red");
    a.socket.io.engine.close();
    await x.journal(a, left);
  }),
  "S-90 the connection breaks": after((w) => w.frames.ws.terminate()),
  "S-90 the client closes the WebSocket": after((w) => w.frames.ws.close()),
  "S-90 with a code of its own": after((w) => w.frames.ws.close(3001, "because")),
  "S-90 a closed poll": async (x) => {
    const p = await x.polling("p");
    await p.join();
    await p.post("1");
    await x.journal(p, left);
    await p.get();
  },
  "S-89 no answer to a ping": closes(1006, after((w) => w.ended(), { server: "quick", pongs: false })),
  "S-89 no answer to a ping over polling": async (x) => {
    const p = await x.polling("p", { server: "quick" });
    await p.join();
    await x.journal(p, left);
    await p.get();
  },
  "S-91 a ping from the client": closes(1002, after((w) => (w.send("2"), w.ended()))),
  "S-91 a message over the limit": after((w) => (w.send("4".repeat(1001)), w.ended()), { server: "small" }),
  "S-91 an invalid frame": after(async (w) => {
    w.frames.ws._socket.write(Buffer.from([0xf1, 0x80, 0, 0, 0, 0]));
    await w.ended();
  }),
  "S-92 an invalid Engine.IO packet": closes(1002, after((w) => (w.send("9"), w.ended()))),
  "S-92 an empty message": closes(1002, after((w) => (w.send(""), w.ended()))),
  "S-92 an invalid packet over polling": differs(
    "S-92: the POST that has the packet is refused, where Node answers ok and closes",
    {
      reference: ["p post: 200 ok"],
      ours: ['p post: 400 {"code":3,"message":"Bad request"}', 'p journal "connection_error" 3 "Bad request" "packet"'],
    },
    async (x) => {
    const p = await x.polling("p");
    await p.join();
    await p.post("9");
    await x.journal(p, left);
  },
  ),
  "S-93 an invalid Socket.IO packet": after((w) => (w.send("42{}"), w.ended())),
  "S-93 an attachment nobody announced": after((w) => (w.send(Buffer.from([1])), w.ended())),
  "S-93 an invalid Socket.IO packet over polling": async (x) => {
    const p = await x.polling("p");
    await p.join();
    await p.post("42{}");
    await p.get();
    await x.journal(p, left, (what) => what !== "error");
  },
  "S-94 a second CONNECT": protocolBroken(after((w) => (w.send("40"), w.ended()))),
  "S-94 an event for a namespace not joined": protocolBroken(after((w) => (w.send('42/one,["echo"]'), w.ended()))),
  "S-94 over polling, without a poll": async (x) => {
    const p = await x.polling("p");
    await p.join();
    await p.post("40");
    await p.get();
    await x.journal(p, left);
  },
  ...eachWay("S-88 the server shuts down", async (x, way) => {
    const url = await x.server("plain", true);
    const a = await x.client("a", { url, way });
    await a.ask("join", "red");
    await pause(100); // so that a poll is pending
    await x.shutdown(url);
    await a.gone();
    await x.journal(a, left);
  }),
  "S-61 a question pending when the client leaves": async (x) => {
    const a = await x.client("a");
    const b = await x.client("b");
    a.tell("ask", { timeout: 60 }, "question");
    await a.hears("question");
    a.socket.disconnect();
    await x.journal(a, left);
    await b.ask("late", 80, "nothing broke");
  },
  "S-56 acks of a client that is gone": async (x) => {
    const a = await x.client("a");
    const b = await x.client("b");
    a.tell("late", 30, "late");
    a.socket.disconnect();
    await b.ask("late", 60, "nothing broke");
    await x.journal(a, left);
  },
  "S-94 left and joined again in one payload": differs(
    "S-94: who has left may come back at once; Node takes the CONNECT for a second one",
    { reference: [String.raw`p poll: 200 6\x1e1`], ours: ['p poll: 200 40/one,{"sid":"<sid of p 3>"}'] },
    async (x) => {
      const p = await x.polling("p");
      await p.join();
      await p.join("/one,");
      await p.post("41/one,\x1e40/one,");
      await p.get();
    },
  ),
  "S-94 left twice in one payload": differs(
    "S-94: a namespace that was left is not joined, at once; Node notices a moment later",
    {
      reference: ['p poll: 200 431["still here?"]'],
      ours: [String.raw`p poll: 200 6\x1e1`],
    },
    async (x) => {
      const p = await x.polling("p");
      await p.join();
      await p.join("/one,");
      await p.post("41/one,\x1e41/one,");
      await p.post('421["echo","still here?"]');
      await p.get();
    },
  ),
  "S-86 an event after leaving": async (x) => {
    const w = await x.ws("w");
    await w.join();
    await w.join("/one,");
    w.send("41/one,");
    await x.journal(w, left);
    w.send('42/one,["echo"]');
    await w.fate();
  },
  "S-94 an event from who does not know yet that it was sent away": differs(
    "S-94: what a client sends before it can know is no offence; Node closes the connection",
    { reference: ["w closed"], ours: [alive] },
    async (x) => {
      const w = await x.ws("w");
      await w.join();
      await w.join("/one,");
      w.send('42/one,["kick",false]');
      await w.next();
      w.send('42/one,["echo"]', "43/one,1[]", "41/one,");
      await w.fate();
    },
  ),
  "S-87 sent away, and back on the same connection": async (x) => {
    const w = await x.ws("w");
    await w.join();
    await w.join("/one,");
    w.send('42/one,["kick",false]');
    await w.next();
    await w.join("/one,");
    w.send('42/one,1["rooms"]');
    await w.next();
  },
  "S-86 the last namespace is left, the connection stays": async (x) => {
    const w = await x.ws("w");
    await w.join();
    w.send("41");
    await x.journal(w, left);
    await w.join();
    await w.fate();
  },
  "C-16 questions of the client when the server sends it away": async (x) => {
    const a = await x.client("a");
    const answer = new Promise((resolve) => a.socket.timeout(2000).emit("late", 500, "never", (err, value) => resolve(err ?? value)));
    a.tell("kick", false);
    await a.gone();
    x.note("answer", await answer);
  },
  "C-16 what is emitted while away arrives after the return": async (x) => {
    const a = await x.client("a");
    a.socket.io.engine.close();
    await x.journal(a, left, () => false);
    a.tell("echo", 1);
    a.tell("echo", Buffer.from([2]));
    a.socket.volatile.emit("echo", "volatile");
    a.socket.connect();
    await a.connected();
    await a.hears("echo", 2);
  },
  "C-17 the client's retries": async (x) => {
    const a = await x.client("a", { retries: 2, ackTimeout: 300 });
    for (const word of ["one", "two"]) await a.ask("echo", word);
    await new Promise((resolve) => a.socket.emit("ignore", (err) => resolve(a.write(`ignore: ${err?.message}`))));
  },
};
