// Acknowledgements in both directions (S-35, S-54, S-70, S-72).
import { differs, eachWay } from "./compare.mjs";

const answering = async (x, answers, options) => {
  const a = await x.client("a", options);
  Object.assign(a.answers, answers);
  return a;
};

export const acks = {
  "S-72 an ack without arguments": async (x) => {
    const a = await x.client("a");
    await a.ask("echo");
  },
  "S-72 an ack with many arguments": async (x) => {
    const a = await x.client("a");
    await a.ask("echo", 1, "two", [3], { four: 4 }, null, true);
  },
  "S-72 an ack with bytes": async (x) => {
    const a = await x.client("a");
    await a.ask("bytes", 10);
    await a.ask("bytes", 0);
    await a.ask("bytes", 100_000);
  },
  "S-72 an ack called twice arrives once": async (x) => {
    const a = await x.client("a");
    const heard = [];
    a.socket.emit("twice", (word) => heard.push(word));
    await x.sync(a);
    x.note("heard", heard);
  },
  "S-72 no ack for an event that has none": async (x) => {
    const w = await x.ws("w");
    await w.join();
    w.send('42["twice"]', '42["data",1]', '42["rooms"]');
    await w.fate();
  },
  "S-72 an ack that comes late": async (x) => {
    const a = await x.client("a");
    const slow = a.ask("late", 100, "slow");
    await a.ask("echo", "fast");
    await slow;
  },
  "S-72 an ack never given: the client's timeout": async (x) => {
    const a = await x.client("a");
    const err = await a.socket.timeout(50).emitWithAck("ignore").catch((err) => err);
    x.note("error", err);
    await a.ask("echo", "still here");
  },
  "S-72 an ack after the client's timeout is ignored": async (x) => {
    const a = await x.client("a");
    x.note("error", await a.socket.timeout(30).emitWithAck("late", 80, "too late").catch((err) => err));
    await a.ask("late", 100, "in time");
  },
  "S-72 an ack with an unknown id is ignored": async (x) => {
    const w = await x.ws("w");
    await w.join();
    w.send('4399["unknown"]', "430[]", "439007199254740991[]");
    await w.fate();
  },
  "S-72 an ack with an id that JavaScript cannot hold": differs(
    "3.4: Node takes any run of digits; ids over 2^53 end the connection here",
    { reference: ['w < 42["echo","alive"]'], ours: ["w closed"] },
    async (x) => {
      const w = await x.ws("w");
      await w.join();
      w.send('4318446744073709551615["huge"]');
      await w.fate();
    },
  ),
  "S-72 ids of acks come back as they were": async (x) => {
    const w = await x.ws("w");
    await w.join();
    for (const id of ["0", "7", "123456789", "9007199254740991"]) {
      w.send(`42${id}["echo",${JSON.stringify(id)}]`);
      await w.next();
    }
  },
  "S-72 an ack id with leading zeros": async (x) => {
    const w = await x.ws("w");
    await w.join();
    w.send('42007["echo",1]');
    await w.next();
  },
  "S-72 two acks with one id": async (x) => {
    const w = await x.ws("w");
    await w.join();
    w.send('425["echo","one"]', '425["echo","two"]');
    await w.several(2);
  },
  "S-72 an ack with bytes by hand": async (x) => {
    const w = await x.ws("w");
    await w.join();
    w.send('451-3["echo",{"_placeholder":true,"num":0}]', Buffer.from([1, 2, 3]));
    await w.several(2);
  },
  ...eachWay("S-54 the server asks and is answered", async (x, way) => {
    const a = await answering(x, { question: (ack, value) => ack("heard", value) }, { way });
    await a.ask("ask", {}, "question", 42);
    await a.ask("ask", {}, "question", Buffer.from([1, 2]));
  }),
  "S-54 the server is answered without arguments": async (x) => {
    const a = await answering(x, { question: (ack) => ack() });
    await a.ask("ask", {}, "question");
  },
  "S-54 the server is answered with bytes": async (x) => {
    const a = await answering(x, { question: (ack) => ack({ file: Buffer.from([1, 2, 3]) }, Buffer.alloc(0)) });
    await a.ask("ask", {}, "question");
  },
  "S-54 the client answers twice": async (x) => {
    const a = await answering(x, {
      question: (ack) => {
        ack(1);
        ack(2);
      },
    });
    await a.ask("ask", {}, "question");
  },
  "S-54 several questions, answered the other way round": async (x) => {
    const held = [];
    const [a, b] = [await answering(x, { question: (ack, value) => held.push(() => ack(value)) }), await x.client("b")];
    const first = a.ask("ask", {}, "question", "first");
    await a.hears("question");
    b.tell("echo", "meanwhile");
    await b.hears("echo");
    held[0]();
    await first;
  },
  "S-70 an answer within the timeout": async (x) => {
    const a = await answering(x, { question: (ack) => ack("soon", 2) });
    await a.ask("ask", { timeout: 5000 }, "question");
  },
  "S-70 no answer within the timeout": async (x) => {
    const a = await x.client("a");
    await a.ask("ask", { timeout: 50 }, "question");
  },
  "S-70 an answer after the timeout is ignored": async (x) => {
    const a = await answering(x, { question: (ack) => setTimeout(ack, 80, "late") });
    await a.ask("ask", { timeout: 30 }, "question");
    await a.ask("late", 100, "afterwards");
  },
  "S-70 an answer by hand, with bytes": async (x) => {
    const w = await x.ws("w", { url: await x.server("plain", true) }); // fresh: ids of questions count
    await w.join();
    w.send('420["ask",{"timeout":5000},"question"]');
    const question = await w.next();
    const id = /^42(\d+)/.exec(question)[1];
    w.send(`461-${id}[{"_placeholder":true,"num":0}]`, Buffer.from([7]));
    await w.several(2);
  },
  "S-32 ids of the server's questions count from zero": async (x) => {
    const url = await x.server("plain", true);
    const w = await x.ws("w", { url });
    await w.join();
    for (let id = 0; id < 3; id++) {
      w.send(`42${id}["ask",{},"question",${id}]`);
      await w.next();
      w.send(`43${id}["answer"]`);
      await w.next();
    }
  },
  "S-32 one counter for all sockets of a namespace": async (x) => {
    const url = await x.server("plain", true);
    const w = await x.ws("w", { url });
    const v = await x.ws("v", { url });
    for (const client of [w, v]) await client.join();
    for (const client of [w, v, w]) {
      client.send('429["ask",{},"question"]');
      const [, id] = /^42(\d+)/.exec(await client.next());
      client.send(`43${id}[]`);
      await client.next();
    }
  },
  "an event and its ack cross another event": async (x) => {
    const w = await x.ws("w");
    await w.join();
    w.send('421["echo","a"]', '42["echo","b"]', '422["echo","c"]');
    await w.several(3);
  },
};
