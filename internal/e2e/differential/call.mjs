// Calls that concern many sockets: broadcasts that ask, fetchSockets, socketsJoin and their like (S-34 to S-46, S-71).
import { pause } from "../support.mjs";
import { differs } from "./compare.mjs";

/** Three clients: a and b in red, c in blue; each answers a question by its name unless it is told otherwise. */
async function three(x, silent = []) {
  const clients = {};
  const red = x.own("red"), blue = x.own("blue");
  for (const [name, room] of [["a", red], ["b", red], ["c", blue]]) {
    const client = await x.client(name, { auth: { name } });
    if (!silent.includes(name)) client.answers.question = (ack) => ack(name);
    await client.ask("join", room);
    clients[name] = client;
  }
  return { ...clients, red, blue };
}

/** A question by a to the rooms named; the answers come in any order. */
async function asking(x, { a, red, blue }, flags, ...args) {
  const rooms = (names) => names?.map((name) => ({ red, blue })[name] ?? name);
  const all = { by: "namespace", timeout: 3000, ...flags, to: rooms(flags.to), except: rooms(flags.except) };
  const { answers, error } = await new Promise((resolve) => a.socket.emit("askAll", all, "question", ...args, resolve));
  x.note("answers", x.sorted(answers));
  x.note("error", error);
}

const asked = (flags, silent, ...args) => async (x) => asking(x, await three(x, silent), flags, ...args);

export const calls = {
  "S-71 a room is asked": asked({ to: ["red"] }),
  "S-71 two rooms are asked": asked({ to: ["red", "blue"] }),
  "S-71 a room but another is asked": asked({ to: ["red", "blue"], except: ["blue"] }),
  "S-71 a socket asks its room, not itself": asked({ by: undefined, to: ["red"] }),
  "S-71 nobody is there": asked({ to: ["nobody"] }),
  "S-71 a question with bytes": asked({ to: ["red"] }, [], Buffer.from([1, 2]), { deep: Buffer.from([3]) }),
  "S-71 one does not answer": asked({ to: ["red"], timeout: 300 }, ["b"]),
  "S-71 nobody answers": asked({ to: ["red"], timeout: 60 }, ["a", "b"]),
  "S-71 an answer without arguments, one with two": async (x) => {
    const all = await three(x);
    all.a.answers.question = (ack) => ack();
    all.b.answers.question = (ack) => ack("one", "two");
    await asking(x, all, { to: ["red"] });
  },
  "S-71 answers with bytes": async (x) => {
    const all = await three(x);
    all.a.answers.question = (ack) => ack(Buffer.from([1]));
    all.b.answers.question = (ack) => ack({ deep: [Buffer.from([2])] });
    await asking(x, all, { to: ["red"] });
  },
  "S-71 an answer given twice": async (x) => {
    const all = await three(x);
    all.b.answers.question = (ack) => {
      ack("b");
      ack("b again");
    };
    await asking(x, all, { to: ["red"] });
  },
  "S-71 one leaves instead of answering": differs(
    "S-71: who leaves ends the wait for its answer",
    {
      reference: ['script error: "timeout"'],
      ours: ["script error: undefined"],
    },
    async (x) => {
    const all = await three(x);
    all.b.answers.question = () => all.b.socket.disconnect();
    await asking(x, all, { to: ["red"], timeout: 1000 });
  },
  ),
  "S-71 one leaves before the others answer": differs(
    "S-71: who leaves ends the wait for its answer",
    {
      reference: ['script error: "timeout"', "script waited for the timeout: true"],
      ours: ["script error: undefined", "script waited for the timeout: false"],
    },
    async (x) => {
    const all = await three(x);
    const started = performance.now();
    all.b.answers.question = () => all.b.socket.disconnect();
    await asking(x, all, { to: ["red"], timeout: 1000 });
    x.note("waited for the timeout", performance.now() - started > 990);
  },
  ),
  "S-40 sockets are fetched": async (x) => {
    const { a, b, red, blue } = await three(x);
    await b.ask("data", { name: "b", list: [1] });
    const fetch = async (flags) => x.sorted(await new Promise((resolve) => a.socket.emit("fetchSockets", flags, resolve)));
    x.note("red", await fetch({ by: "namespace", to: [red] }));
    x.note("red and blue", await fetch({ by: "namespace", to: [red, blue] }));
    x.note("red but b", await fetch({ by: "namespace", to: [red], except: [b.socket.id] }));
    x.note("nobody", await fetch({ by: "namespace", to: ["nobody"] }));
    x.note("a by its id", await fetch({ by: "namespace", to: [a.socket.id] }));
    x.note("the others in red", await fetch({ to: [red] }));
    x.note("of another namespace", await fetch({ by: "namespace", to: [red], local: true }));
  },
  "S-40 sockets without data": async (x) => {
    const a = await x.client("a");
    x.note("found", await new Promise((resolve) => a.socket.emit("fetchSockets", { by: "namespace", to: [a.socket.id] }, resolve)));
  },
  "S-41 sockets are made to join": async (x) => {
    const { a, b, c, red } = await three(x);
    const green = x.own("green"), gold = x.own("gold");
    await a.ask("socketsJoin", { by: "namespace", to: [red] }, [green, gold]);
    for (const client of [a, b, c]) await client.ask("rooms");
    await a.ask("cast", { by: "namespace", to: [gold] }, "said", "to gold");
  },
  "S-41 the others are made to join": async (x) => {
    const { a, b, red } = await three(x);
    await a.ask("socketsJoin", { to: [red] }, [x.own("green")]);
    for (const client of [a, b]) await client.ask("rooms");
  },
  "S-42 sockets are made to leave": async (x) => {
    const { a, b, c, red, blue } = await three(x);
    await a.ask("socketsLeave", { by: "namespace", to: [red, blue] }, [red, "never joined"]);
    for (const client of [a, b, c]) await client.ask("rooms");
    await a.ask("cast", { by: "namespace", to: [red] }, "said", "to nobody");
  },
  "S-43 sockets are disconnected": async (x) => {
    const { a, b, c, red } = await three(x);
    await c.ask("disconnectSockets", { by: "namespace", to: [red] }, false);
    await Promise.all([a.gone(), b.gone()]);
    await x.journal(a, "left");
    await x.journal(b, "left");
  },
  "S-43 sockets are disconnected with their connections": async (x) => {
    const { a, b, c, red } = await three(x);
    const d = await x.beside("d", a, "/one");
    await c.ask("disconnectSockets", { by: "namespace", to: [red] }, true);
    await Promise.all([a.gone(), b.gone(), d.gone()]);
  },
  "S-43 the others are disconnected": async (x) => {
    const { a, b, red } = await three(x);
    await a.ask("disconnectSockets", { to: [red] }, false);
    await b.gone();
    await a.ask("echo", "still here");
  },
  "S-51 data": async (x) => {
    const [a, b] = [await x.client("a"), await x.client("b")];
    await a.ask("data");
    await a.ask("data", { any: ["thing", 1, null] });
    await a.ask("data", "text");
    await b.ask("data");
    await a.ask("data");
  },
  "S-51 data end with the socket": async (x) => {
    const a = await x.client("a");
    await a.ask("data", 1);
    a.socket.disconnect();
    a.socket.connect();
    await a.connected();
    await a.ask("data");
  },
};

const watching = (watch, act, options = {}) => async (x) => {
  const a = await x.client("a", { query: { watch }, ...options });
  await act(a, x);
  await x.sync(a);
  await x.journal(a);
};

export const listeners = {
  "S-58 every incoming event": watching("any", async (a) => {
    a.tell("nobody listens", 1, { two: [Buffer.from([3])] });
    await a.ask("echo", "asked");
    a.tell("echo", "told");
  }),
  "S-58 named by a number": differs(
    "S-58: an event's name is text",
    {
      reference: ['a journal "any" 5 "five"'],
      ours: ['a journal "any" "5" "five"'],
    },
    watching("any", async (a) => a.socket.emit(5, "five")),
  ),
  "S-58 acks of the client are no events": watching("any", async (a) => {
    a.answers.question = (ack) => ack("answer");
    await a.ask("ask", {}, "question");
  }),
  "S-59 every outgoing event": watching("outgoing", async (a) => {
    await a.ask("emit", "said", 1, { two: 2 });
    await a.ask("echo", "acks are no events");
    a.tell("echo", "told");
  }),
  "S-59 events that ask for an ack": watching("outgoing", async (a) => {
    a.answers.question = (ack) => ack("answer");
    await a.ask("ask", {}, "question", 1);
  }),
  "S-59 broadcasts": async (x) => {
    const [a, b] = [await x.client("a", { query: { watch: "outgoing" } }), await x.client("b", { query: { watch: "outgoing" } })];
    const red = x.own("red");
    await a.ask("join", red);
    await b.ask("join", red);
    await a.ask("cast", { to: [red] }, "said", "to b");
    await a.ask("cast", { by: "namespace", to: [red] }, "said", "to both");
    await x.sync(a, b);
    await x.journal(a);
    await x.journal(b);
  },
  "S-57 packets pass": watching("packets", async (a) => {
    await a.ask("echo", "passes", Buffer.from([1]));
    a.tell("nobody listens", 2);
  }),
  "S-66 a packet is refused": watching("packets", async (a) => {
    a.tell("forbidden", 1);
    await pause(50); // Node refuses in a later turn
    await a.ask("echo", "still here");
  }),
  "S-66 a refused packet that asks for an ack": differs(
    "S-66: the client is told, in its ack",
    {
      reference: [],
      ours: ['a forbidden: [{"status":"error","code":"ERROR","message":"forbidden event"}]'],
    },
    watching("packets", async (a) => {
    a.socket.emit("forbidden", 1, (...answer) => a.write(`forbidden: ${JSON.stringify(answer)}`));
    await pause(50);
    await a.ask("echo", "still here");
  }),
  ),
  "S-57 a packet that waits for its middleware": differs(
    "S-57: the next event of a socket waits for the one before it, where Node's overtakes",
    { reference: ['a journal "second" "slow"'], ours: ['a journal "second" "slow"'] },
    async (x) => {
      const a = await x.client("a", { query: { watch: "packets" } });
      a.socket.emit("slow", 1);
      await a.ask("echo", "behind it");
      await x.journal(a, (entries) => entries.some(([what, event]) => what === "second" && event === "slow"));
    },
  ),
  "S-58 catch-alls come before packets' middlewares": watching("any,packets", async (a) => {
    await a.ask("echo", "in order");
    a.tell("forbidden", "seen by both");
    await pause(50);
  }),
};
