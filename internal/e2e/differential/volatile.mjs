// What is dropped when a client cannot be written to at once (S-67).
import { pause } from "../support.mjs";

/** A polling client that asks for volatile events with and without a poll pending. */
const volatile = (flags) => async (x) => {
  const p = await x.polling("p");
  await p.join();
  const red = x.own("red");
  await p.post(`42["join","${red}"]`);
  const cast = (word, more) => p.post(`42["cast",${JSON.stringify({ ...flags, ...more, ...(flags.by ? { to: [red] } : {}) })},"said","${word}"]`);
  await cast("volatile without a poll", { volatile: true });
  await cast("kept");
  await p.until("42");
  const poll = p.as("q").until("42");
  await pause(100);
  await cast("volatile with a poll", { volatile: true });
  await poll;
};

export const volatiles = {
  "S-67 an event to a polling client": volatile({}),
  "S-67 a broadcast to a polling client": volatile({ by: "namespace" }),
  "S-67 a broadcast to two, of whom one can be written to": async (x) => {
    const p = await x.polling("p");
    await p.join();
    const a = await x.client("a");
    const red = x.own("red");
    await p.post(`42["join","${red}"]`);
    await a.ask("join", red);
    await a.ask("cast", { by: "namespace", to: [red], volatile: true }, "said", "volatile");
    await a.ask("cast", { by: "namespace", to: [red] }, "said", "kept");
    await p.until("42");
  },
  "S-67 bytes are dropped or sent as a whole": async (x) => {
    const p = await x.polling("p");
    await p.join();
    await p.post('451-["cast",{"volatile":true},"said",{"_placeholder":true,"num":0}]\x1ebAQID');
    await p.post('451-["cast",{},"said",{"_placeholder":true,"num":0}]\x1ebBAUG');
    await p.until("b");
  },
  "S-67 the client's own volatile": async (x) => {
    const a = await x.client("a", { connect: false });
    a.socket.volatile.emit("echo", "before the connection");
    await a.connected();
    a.socket.volatile.emit("echo", "after it");
    await a.hears("echo");
  },
};
