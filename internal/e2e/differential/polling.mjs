// HTTP long-polling, the WebSocket and the way from one to the other, by hand (3.1, S-8 to S-14).
import { pause } from "../support.mjs";
import { closes, differs } from "./compare.mjs";

const PATH = "/socket.io/";

export const polling = {
  "3.1 the handshake's answer": async (x) => {
    await x.http("h", "GET", `${PATH}?EIO=4&transport=polling`);
    await x.http("h", "GET", `${PATH}?EIO=4&transport=polling&b64=1`);
    await x.http("h", "GET", `${PATH}?EIO=4&transport=polling&t=abc`);
  },
  "3.1 headers of a poll and of a post": async (x) => {
    const p = await x.polling("p");
    await p.post("40", { shown: true });
    await p.get({ shown: true });
  },
  "3.1 X-XSS-Protection for an old browser": differs(
    "3.1: no header for browsers that no longer exist",
    {
      reference: ["p   x-xss-protection: 0"],
      ours: [],
    },
    async (x) => {
    const p = await x.polling("p");
    await p.post("40", { shown: true, headers: { "user-agent": "Mozilla/5.0 (compatible; MSIE 10.0; Trident/6.0)", "content-type": "text/plain;charset=UTF-8" } });
    await p.get({ shown: true, headers: { "user-agent": ";MSIE" } });
  },
  ),
  "3.1 several packets in one post": async (x) => {
    const p = await x.polling("p");
    await p.join();
    await p.post('42["echo",1]\x1e421["echo",2]\x1e42["say","a",3]');
    await p.until("42[\"a");
  },
  "3.4 CONNECT and events in one post": differs(
    "3.4: events behind CONNECT wait for it, where Node answers them as if nobody had connected",
    {
      reference: ["p < 1", 'p poll: 400 {"code":1,"message":"Session ID unknown"}'],
      ours: ['p < 40{"sid":"<sid of p>"}', 'p < 42["echo",1]', "p < 431[2]"],
    },
    async (x) => {
    const p = await x.polling("p");
    await p.post('40\x1e42["echo",1]\x1e421["echo",2]');
    await p.until("43");
  },
  ),
  "3.1 bytes over polling": async (x) => {
    const p = await x.polling("p");
    await p.join();
    await p.post('451-1["echo",{"_placeholder":true,"num":0}]\x1ebAQID');
    await p.until("b");
  },
  "3.1 bytes with the wrong padding": async (x) => {
    const p = await x.polling("p");
    await p.join();
    await p.post('451-1["echo",{"_placeholder":true,"num":0}]\x1ebAQIDBA');
    await p.until("b");
  },
  "3.1 text of several bytes a character": async (x) => {
    const p = await x.polling("p");
    await p.join();
    await p.post('421["echo","Я😀"]');
    await p.until("43");
  },
  "3.1 an empty post": differs(
    "S-92: a POST with an invalid packet is refused",
    {
      reference: ["p post: 200 ok"],
      ours: ['p post: 400 {"code":3,"message":"Bad request"}'],
    },
    async (x) => {
    const p = await x.polling("p");
    await p.post("");
    await p.get();
  },
  ),
  "3.1 a separator too many": differs(
    "S-92: a POST with an invalid packet is refused",
    {
      reference: ["p post: 200 ok"],
      ours: ['p post: 400 {"code":3,"message":"Bad request"}', 'p journal "connection_error" 3 "Bad request" "packet"'],
    },
    async (x) => {
    const p = await x.polling("p");
    await p.join();
    await p.post('42["say","a",1]\x1e');
    await x.journal(p, "left");
    await p.get();
  },
  ),
  "3.1 octets": differs(
    "S-80: the refusal has a body",
    {
      reference: ["p post: 400 "],
      ours: ['p post: 400 {"code":3,"message":"Bad request"}', "p   cache-control: no-store", "p   content-type: application/json", 'p journal "connection_error" 3 "Bad request" "binary body"'],
    },
    async (x) => {
    const p = await x.polling("p");
    await p.join();
    await p.post(Buffer.from([1, 2, 3]), { headers: { "content-type": "application/octet-stream" }, shown: true });
    await x.journal(p, "left");
    await p.get();
  },
  ),
  "3.1 a post without a content type": async (x) => {
    const p = await x.polling("p");
    await p.post("40", { headers: {} });
    await p.until("40");
  },
  "3.1 a post of JSON's type": async (x) => {
    const p = await x.polling("p");
    await p.post("40", { headers: { "content-type": "application/json" } });
    await p.until("40");
  },
  "3.1 another method": differs(
    "3.1: 400, where Node answers 500",
    {
      reference: ["p PUT: 500 "],
      ours: ['p PUT: 400 {"code":3,"message":"Bad request"}'],
    },
    async (x) => {
    const p = await x.polling("p");
    await p.get({ method: "PUT" });
    await p.join();
  },
  ),
  "3.1 OPTIONS on a session": differs(
    "3.1: 400, where Node answers 500",
    {
      reference: ["p OPTIONS: 500 "],
      ours: ['p OPTIONS: 400 {"code":3,"message":"Bad request"}'],
    },
    async (x) => {
    const p = await x.polling("p");
    await p.get({ method: "OPTIONS" });
    await p.join();
  },
  ),
  "3.1 overlapping polls": differs(
    "S-80: the refusal has a body",
    {
      reference: ["p poll: 400 "],
      ours: ['p poll: 400 {"code":3,"message":"Bad request"}', 'p journal "connection_error" 3 "Bad request" "overlapping polls"'],
    },
    async (x) => {
    const p = await x.polling("p");
    await p.join();
    const first = p.as("q").get();
    await pause(100);
    await Promise.all([first, p.get()]);
    await x.journal(p, "left");
    await p.get();
  },
  ),
  "3.1 a close by post, a poll pending": async (x) => {
    const p = await x.polling("p");
    await p.join();
    const poll = p.as("q").get();
    await pause(100);
    await p.post("1");
    await poll;
    await x.journal(p, "left");
    await p.get();
  },
  "3.1 the server closes, a poll pending": async (x) => {
    const p = await x.polling("p");
    await p.join();
    const poll = p.as("q").until("1");
    await pause(100);
    await p.post('42["kick",true]');
    await poll;
    await x.journal(p, "left");
    await p.get();
  },
  "3.1 an aborted poll": async (x) => {
    const p = await x.polling("p");
    await p.join();
    const gone = new AbortController();
    const poll = fetch(new URL(p.target(), p.base), { signal: gone.signal }).catch((err) => err);
    await pause(100);
    gone.abort();
    await poll;
    await x.journal(p, "left");
    await p.get();
  },
  "S-11 a post over the limit": differs(
    "S-11: the refusal says why",
    {
      reference: ["p post: 413 "],
      ours: ["p post: 413 body exceeds maxPayload", "p   cache-control: no-store", "p   content-type: text/plain; charset=utf-8"],
    },
    async (x) => {
    const p = await x.polling("p", { server: "small" });
    await p.join();
    await p.post(`42["echo","${"x".repeat(1000)}"]`, { shown: true });
    await p.post('421["echo","still here"]');
    await p.until("43");
  },
  ),
  "S-11 a post as long as the limit": async (x) => {
    const p = await x.polling("p", { server: "small" });
    await p.join();
    const head = '421["echo","', tail = '"]';
    await p.post(head + "x".repeat(1000 - head.length - tail.length) + tail);
    await p.until("43");
  },
  "S-11 a message as long as the limit": async (x) => {
    const w = await x.ws("w", { server: "small" });
    await w.join();
    const head = '421["echo","', tail = '"]';
    w.send(head + "x".repeat(1000 - head.length - tail.length) + tail);
    await w.next();
  },
  "S-11 a message over the limit": async (x) => {
    const w = await x.ws("w", { server: "small" });
    await w.join();
    w.send(`42["echo","${"x".repeat(1000)}"]`);
    await w.ended();
  },
  "S-13 polling only": differs(
    "S-80: an upgrade is refused in plain words, whatever is wrong with it",
    {
      reference: [String.raw`w refused 400 "{\"code\":0,\"message\":\"Transport unknown\"}"`],
      ours: ['w refused 400 "Transport unknown"'],
    },
    async (x) => {
    await x.http("h", "GET", `${PATH}?EIO=4&transport=polling`, { server: "polling" });
    await x.ws("w", { server: "polling", open: false });
  },
  ),
  "S-13 WebSocket only": async (x) => {
    await x.http("h", "GET", `${PATH}?EIO=4&transport=polling`, { server: "websocket", hide: ["cache-control"] });
    const w = await x.ws("w", { server: "websocket" });
    await w.join();
  },
  "S-14 no upgrades": async (x) => {
    const p = await x.polling("p", { server: "still" });
    await p.join();
    await (await x.ws("w", { server: "still" })).join();
  },
};

/** A WebSocket that probes a polling session. */
async function probing(x, p, answer = true) {
  const w = await x.ws("w", { url: p.base, query: { sid: p.sid }, open: false });
  w.send("2probe");
  if (answer) await w.next();
  return w;
}

export const upgrading = {
  "3.1 the upgrade": async (x) => {
    const p = await x.polling("p");
    await p.join();
    const w = await probing(x, p);
    w.send("5");
    await w.fate();
    await p.get();
    await p.post("3");
  },
  "3.1 a poll pending while the session upgrades": async (x) => {
    const p = await x.polling("p");
    await p.join();
    const poll = p.get();
    await pause(100);
    const w = await probing(x, p);
    await poll;
    w.send("5");
    await w.fate();
  },
  "3.1 what waited is sent after the upgrade": async (x) => {
    const p = await x.polling("p");
    await p.join();
    const w = await probing(x, p);
    await p.post('42["say","queued",1]');
    w.send("5");
    await w.next();
    await w.fate();
  },
  "3.1 polling goes on while the session probes": async (x) => {
    const p = await x.polling("p");
    await p.join();
    const w = await probing(x, p);
    await p.post('42["say","still polling",1]');
    await p.until("42");
    w.send("5");
    await w.fate();
  },
  "3.1 a wrong packet instead of the probe": closes(1002, async (x) => {
    const p = await x.polling("p");
    await p.join();
    const w = await x.ws("w", { url: p.base, query: { sid: p.sid }, open: false });
    w.send("4probe");
    await w.ended();
    await p.post('421["echo","still here"]');
    await p.until("43");
  }),
  "3.1 a wrong packet after the probe": closes(1002, async (x) => {
    const p = await x.polling("p");
    await p.join();
    const w = await probing(x, p);
    w.send("4too early");
    await w.ended();
    await p.post('421["echo","still here"]');
    await p.until("43");
  }),
  "3.1 the upgrade is given up": async (x) => {
    const p = await x.polling("p");
    await p.join();
    const w = await probing(x, p);
    w.frames.ws.close();
    await w.ended();
    await p.post('421["echo","still here"]');
    await p.until("43");
  },
  "3.1 a second WebSocket while the session upgrades": closes(1002, async (x) => {
    const p = await x.polling("p");
    await p.join();
    const w = await probing(x, p);
    const v = await x.ws("v", { url: p.base, query: { sid: p.sid }, open: false });
    await v.ended();
    w.send("5");
    await w.fate();
  }, "v"),
  "3.1 a second WebSocket for a session that has upgraded": closes(1002, async (x) => {
    const p = await x.polling("p");
    await p.join();
    const w = await probing(x, p);
    w.send("5");
    await w.fate();
    const v = await x.ws("v", { url: p.base, query: { sid: p.sid }, open: false });
    await v.ended();
    await w.fate();
  }, "v"),
  "3.1 a second WebSocket for a session that began with one": differs(
    "3.1: it is closed, where Node leaves it open and mute",
    {
      reference: ["v still open"],
      ours: ["v closed 1002"],
    },
    async (x) => {
    const u = await x.ws("u", { open: false });
    const { sid } = JSON.parse((await u.next()).slice(1));
    await u.join();
    const v = await x.ws("v", { query: { sid }, open: false });
    await v.stays();
    await u.fate();
  },
  ),
  "S-10 an upgrade that is never finished": closes(1006, async (x) => {
    const p = await x.polling("p", { server: "hasty" });
    await p.post("40");
    const w = await probing(x, p);
    const polls = p.as("q").until("42");
    await w.ended();
    await p.post('42["say","still here",1]');
    await polls;
  }),
};

export const heartbeat = {
  "S-8 pings at their time": async (x) => {
    const w = await x.ws("w", { server: "quick", pongs: false });
    await w.join();
    await w.next();
    w.send("3");
    await w.next();
    w.send("3");
    await w.fate();
  },
  "S-8 pings over polling": async (x) => {
    const p = await x.polling("p", { server: "quick" });
    await p.get();
    await p.post("3");
    await p.get();
    await p.post("3");
  },
  "S-8 a pong nobody asked for": async (x) => {
    const w = await x.ws("w");
    await w.join();
    w.send("3", "3");
    await w.fate();
  },
  "S-8 a noop from the client": async (x) => {
    const w = await x.ws("w");
    await w.join();
    w.send("6");
    await w.fate();
  },
  "3.1 an open packet from the client": async (x) => {
    const w = await x.ws("w");
    await w.join();
    w.send("0{}");
    await w.fate();
  },
  "3.1 an upgrade packet outside an upgrade": async (x) => {
    const w = await x.ws("w");
    await w.join();
    w.send("5");
    await w.fate();
  },
  "3.1 a close packet over WebSocket": differs(
    "3.1: it closes; Node ignores it",
    {
      reference: ['w < 42["echo","alive"]'],
      ours: ["w closed"],
    },
    async (x) => {
    const w = await x.ws("w");
    await w.join();
    w.send("1");
    await w.fate();
  },
  ),
};
