// Options of the engine that change what requests are answered: CORS, cookies, headers, who may come in, compression
// (S-15 to S-19, S-63, S-64, S-81, S-82).
import { differs } from "./compare.mjs";

const PATH = "/socket.io/";
const OPEN = `${PATH}?EIO=4&transport=polling`;
const upgrade = { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==" };

const asks = (server, method, headers = {}, target = OPEN, more = {}) => async (x) => {
  await x.http("h", method, target, { server, headers, ...more });
  await x.journal({ name: "h", base: await x.server(server) });
};

const good = "http://good.example", bad = "http://bad.example";
const preflight = (origin) => ({ origin, "access-control-request-method": "POST", "access-control-request-headers": "x-token" });

/** A WebSocket from an origin: whether it is let in. */
const dial = (server, origin) => async (x) => {
  const w = await x.ws("w", { server, open: false, headers: { origin } });
  if (!w.refused) await w.next();
};

export const cors = {
  "S-17 no CORS: no headers": asks("plain", "GET"),
  "S-17 a listed origin": asks("shared", "GET", { origin: good }),
  "S-17 another listed origin": asks("shared", "GET", { origin: "http://fine.example" }),
  "S-17 no origin": differs(
    "S-17: CORS headers go to the origins that may read them",
    {
      reference: ["h   access-control-allow-credentials: true", "h   access-control-expose-headers: X-Seen"],
      ours: [],
    },
    asks("shared", "GET"),
  ),
  "S-17 an origin not listed": differs(
    "S-17: an origin that is not listed is refused, where Node leaves it to the browser",
    {
      reference: [String.raw`h GET /socket.io/?EIO=4&transport=polling: 200 "0{\"sid\":\"<sid of h>\",\"upgrades\":[\"websocket\"],\"pingInterval\":25000,\"pingTimeout\":20000,\"maxPayload\":1000000}"`, "h   access-control-allow-credentials: true", "h   access-control-expose-headers: X-Seen", "h   content-type: text/plain; charset=UTF-8"],
      ours: [String.raw`h GET /socket.io/?EIO=4&transport=polling: 403 "{\"code\":4,\"message\":\"Forbidden: list this origin in CORS.Origins\"}"`, "h   content-type: application/json", 'h journal "connection_error" 4 "Forbidden" "INVALID_ORIGIN"'],
    },
    asks("shared", "GET", { origin: bad }),
  ),
  "S-17 any origin": asks("open", "GET", { origin: bad }),
  "S-17 an origin where no other is allowed": differs(
    "S-17: an origin that is not listed is refused, where Node leaves it to the browser",
    {
      reference: [String.raw`h GET /socket.io/?EIO=4&transport=polling: 200 "0{\"sid\":\"<sid of h>\",\"upgrades\":[\"websocket\"],\"pingInterval\":25000,\"pingTimeout\":20000,\"maxPayload\":1000000}"`, "h   content-type: text/plain; charset=UTF-8"],
      ours: [String.raw`h GET /socket.io/?EIO=4&transport=polling: 403 "{\"code\":4,\"message\":\"Forbidden: list this origin in CORS.Origins\"}"`, "h   content-type: application/json", 'h journal "connection_error" 4 "Forbidden" "INVALID_ORIGIN"'],
    },
    asks("plain", "GET", { origin: bad }),
  ),
  "S-17 a preflight": asks("shared", "OPTIONS", preflight(good)),
  "S-17 a preflight of an origin not listed": differs(
    "S-17: an origin that is not listed is refused, where Node leaves it to the browser",
    {
      reference: ['h OPTIONS /socket.io/?EIO=4&transport=polling: 204 ""', "h   access-control-allow-credentials: true", "h   access-control-allow-headers: X-Token,X-Other", "h   access-control-allow-methods: GET,POST", "h   access-control-expose-headers: X-Seen", "h   access-control-max-age: 600"],
      ours: [String.raw`h OPTIONS /socket.io/?EIO=4&transport=polling: 403 "{\"code\":4,\"message\":\"Forbidden: list this origin in CORS.Origins\"}"`, "h   cache-control: no-store", "h   content-type: application/json", 'h journal "connection_error" 4 "Forbidden" "INVALID_ORIGIN"'],
    },
    asks("shared", "OPTIONS", preflight(bad)),
  ),
  "S-17 a preflight with every default": asks("open", "OPTIONS", preflight(bad)),
  "S-17 a preflight that asks for no header": asks("open", "OPTIONS", { origin: bad, "access-control-request-method": "POST" }),
  "S-17 a preflight without CORS": differs(
    "S-17: an origin that is not listed is refused, where Node leaves it to the browser",
    {
      reference: [String.raw`h OPTIONS /socket.io/?EIO=4&transport=polling: 400 "{\"code\":2,\"message\":\"Bad handshake method\"}"`, 'h journal "connection_error" 2 "Bad handshake method" ""'],
      ours: [String.raw`h OPTIONS /socket.io/?EIO=4&transport=polling: 403 "{\"code\":4,\"message\":\"Forbidden: list this origin in CORS.Origins\"}"`, "h   cache-control: no-store", 'h journal "connection_error" 4 "Forbidden" "INVALID_ORIGIN"'],
    },
    asks("plain", "OPTIONS", preflight(bad)),
  ),
  "S-17 headers on a post": async (x) => {
    const p = await x.polling("p", { server: "shared" });
    await p.post("40", { headers: { origin: good, "content-type": "text/plain" }, shown: true });
    await p.get({ headers: { origin: good }, shown: true });
  },
  "S-17 headers on an error": asks("shared", "GET", { origin: good }, `${PATH}?EIO=4&transport=polling&sid=unknown`, { hide: ["cache-control"] }),
  "S-17 a WebSocket of a listed origin": dial("shared", good),
  "S-17 a WebSocket of an origin not listed": differs(
    "S-17: WebSockets are refused by origin too",
    {
      reference: ['w < 0{"sid":"<session of w>","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'],
      ours: ['w refused 400 "Forbidden: list this origin in CORS.Origins"'],
    },
    dial("shared", bad),
  ),
  "S-17 a WebSocket of any origin": dial("open", bad),
  "S-17 a WebSocket where no other origin is allowed": differs(
    "S-17: WebSockets are refused by origin too",
    {
      reference: ['w < 0{"sid":"<session of w>","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'],
      ours: ['w refused 400 "Forbidden: list this origin in CORS.Origins"'],
    },
    dial("plain", bad),
  ),
};

export const hooks = {
  "S-16 the default cookie": asks("cookie", "GET"),
  "S-16 a cookie with every attribute": differs(
    "S-16: a script never reads the cookie",
    {
      reference: ["h   set-cookie: Domain=good.example; Max-Age=60; Path=/custom; SameSite=Strict; Secure; biscuit=<sid of h>"],
      ours: ["h   set-cookie: Domain=good.example; HttpOnly; Max-Age=60; Path=/custom; SameSite=Strict; Secure; biscuit=<sid of h>"],
    },
    asks("biscuit", "GET"),
  ),
  "S-16 only the handshake sets it": async (x) => {
    const p = await x.polling("p", { server: "cookie" });
    await p.post("40", { shown: true });
    await p.get({ shown: true });
  },
  "S-16 none over WebSocket": async (x) => {
    const w = await x.ws("w", { server: "cookie", open: false });
    await w.next();
    x.note("headers", w.upgrade.filter((header) => header.startsWith("set-cookie")));
  },
  "S-15 who is let in": asks("doorman", "GET"),
  "S-15 who is refused (4)": asks("doorman", "GET", {}, `${OPEN}&door=shut`, { hide: ["cache-control"] }),
  "S-15 refused over WebSocket": async (x) => {
    const w = await x.ws("w", { server: "doorman", query: { door: "shut" }, open: false });
    await x.journal({ name: "w", base: w.base });
  },
  "S-15 it is not asked about sessions that exist": async (x) => {
    const p = await x.polling("p", { server: "doorman" });
    await p.post("40", { query: { door: "shut" } });
    await p.get({ query: { door: "shut" } });
  },
  "S-15 nor about requests that are wrong anyway": asks("doorman", "GET", {}, `${PATH}?EIO=4&transport=tachyon&door=shut`, { hide: ["cache-control"] }),
  "S-15 the official client is refused": async (x) => {
    for (const way of ["polling", "websocket"]) {
      const a = await x.client(way, { server: "doorman", way, query: { door: "shut" }, connect: false });
      await a.refused();
    }
  },
  "S-63 a middleware sees every request": async (x) => {
    const p = await x.polling("p", { server: "middle" });
    await p.post("40", { shown: true });
    await p.get({ shown: true });
  },
  "S-63 a middleware sees upgrades": async (x) => {
    const w = await x.ws("w", { server: "middle", open: false });
    x.note("headers", w.upgrade);
    await w.next();
  },
  "S-63 a middleware that stops a request (3)": asks("middle", "GET", {}, `${OPEN}&middle=stop`, { hide: ["cache-control"] }),
  "S-63 a middleware that stops an upgrade": async (x) => {
    const w = await x.ws("w", { server: "middle", query: { middle: "stop" }, open: false });
    await x.journal({ name: "w", base: w.base });
  },
  "S-63 a middleware that answers by itself": differs(
    "S-79: a request that a middleware answers is refused, and reported",
    {
      reference: [],
      ours: ['h journal "connection_error" 3 "Bad request" "MIDDLEWARE_FAILURE"'],
    },
    asks("middle", "GET", {}, `${OPEN}&middle=answer`),
  ),
  "S-63 and before what is wrong with a request": asks("middle", "GET", {}, `${PATH}?EIO=4&transport=polling&sid=unknown`, { hide: ["cache-control"] }),
  "S-81 headers of the first answer and of all": async (x) => {
    await x.http("h", "GET", OPEN, { server: "headed" });
    const p = await x.polling("p", { server: "headed" });
    await p.post("40", { shown: true });
    await p.get({ shown: true });
  },
  "S-81 headers of an upgrade": async (x) => {
    const w = await x.ws("w", { server: "headed", open: false });
    x.note("headers", w.upgrade);
    await w.next();
  },
  "S-81 headers of an error": differs(
    "S-81: errors get the headers too",
    {
      reference: [],
      ours: ["h   x-every: every"],
    },
    asks("headed", "GET", {}, `${PATH}?EIO=4&transport=polling&sid=unknown`, { hide: ["cache-control"] }),
  ),
  "S-82 ids of one's own": async (x) => {
    const p = await x.polling("p", { server: "named" });
    x.note("shape", /^session-number-\d{5}$/.test(p.sid));
    await p.join();
  },
  "S-82 an id that cannot be made (3)": asks("named", "GET", {}, `${OPEN}&id=fail`, { hide: ["cache-control"] }),
};

/** A poll that carries more than the threshold. */
const big = (server, headers, n = 2000) => async (x) => {
  const p = await x.polling("p", { server });
  await p.join();
  await p.post(`421["echo","${"x".repeat(n)}"]`);
  await p.get({ headers, shown: true });
};

export const compression = {
  "S-19 gzip": big("plain", { "accept-encoding": "gzip" }),
  "S-19 deflate": big("plain", { "accept-encoding": "deflate" }),
  "S-19 the client's choice": big("plain", { "accept-encoding": "br, deflate;q=0.5, gzip;q=0.9" }),
  "S-19 brotli is not offered": big("plain", { "accept-encoding": "br" }),
  "S-19 none accepted": big("plain", { "accept-encoding": "identity" }),
  "S-19 nothing said": big("plain", {}),
  "S-19 gzip refused": big("plain", { "accept-encoding": "gzip;q=0" }),
  "S-19 below the threshold": big("plain", { "accept-encoding": "gzip" }, 100),
  "S-19 switched off": big("uncompressed", { "accept-encoding": "gzip" }),
  "S-19 the handshake is below the threshold": asks("plain", "GET", { "accept-encoding": "gzip" }),
  "S-68 an event that is not to be compressed": async (x) => {
    const p = await x.polling("p");
    await p.join();
    await p.post(`42["cast",{"compress":false},"said","${"x".repeat(2000)}"]`);
    await p.get({ headers: { "accept-encoding": "gzip" }, shown: true });
  },
  "S-68 an event that may be": async (x) => {
    const p = await x.polling("p");
    await p.join();
    await p.post(`42["cast",{"compress":true},"said","${"x".repeat(2000)}"]`);
    await p.get({ headers: { "accept-encoding": "gzip" }, shown: true });
  },
  "S-68 a broadcast that is not to be compressed": async (x) => {
    const p = await x.polling("p");
    await p.join();
    const red = x.own("red");
    await p.post(`42["join","${red}"]\x1e42["cast",{"by":"namespace","to":["${red}"],"compress":false},"said","${"x".repeat(2000)}"]`);
    await p.get({ headers: { "accept-encoding": "gzip" }, shown: true });
  },
  "S-18 off unless asked for": async (x) => {
    const w = await x.ws("w", { perMessageDeflate: true });
    x.note("extensions", w.frames.ws.extensions);
    await w.join();
    await w.fate();
  },
  "S-18 negotiated": async (x) => {
    const w = await x.ws("w", { server: "deflating", perMessageDeflate: true });
    x.note("extensions", Object.keys(w.frames.ws._extensions));
    await w.join();
    w.send(`421["echo","${"x".repeat(5000)}"]`);
    await w.next();
    await w.fate();
  },
  "S-18 not offered by the client": async (x) => {
    const w = await x.ws("w", { server: "deflating" });
    x.note("extensions", w.frames.ws.extensions);
    await w.join();
    await w.fate();
  },
  "S-18 the official client": async (x) => {
    const a = await x.client("a", { server: "deflating", perMessageDeflate: { threshold: 1 } });
    await a.ask("echo", "x".repeat(20_000), Buffer.alloc(3000, 1), "short");
    await a.ask("burst", 30);
  },
};

const file = (name) => `${PATH}${name}`;
const served = (name, headers, method = "GET", server = "plain") => (x) =>
  x.http("h", method, file(name), { server, headers, bodyShown: false, hide: ["content-type", "vary"] });

export const bundle = {
  "S-2 headers that ours has otherwise": differs(
    "S-2: RFC 9239 has made text/javascript the only type; RFC 9110 12.5.5: a cache has to know of the coding",
    {
      reference: ["h   content-type: application/javascript; charset=utf-8"],
      ours: ["h   content-type: text/javascript; charset=utf-8", "h   vary: Accept-Encoding"],
    },
    (x) => x.http("h", "GET", file("socket.io.js"), { bodyShown: false }),
  ),
  "S-2 the client": served("socket.io.js"),
  "S-2 the client, made small": served("socket.io.min.js"),
  "S-2 the client as a module": served("socket.io.esm.min.js"),
  "S-2 the client with MessagePack": served("socket.io.msgpack.min.js"),
  "S-2 a source map": served("socket.io.min.js.map"),
  "S-2 by HEAD": served("socket.io.js", {}, "HEAD"),
  "S-2 a name that is not served": asks("plain", "GET", {}, file("socket.io.other.js"), { hide: ["cache-control"] }),
  "S-2 switched off": asks("unserved", "GET", {}, file("socket.io.js"), { hide: ["cache-control"] }),
  "S-2 gzip": served("socket.io.js", { "accept-encoding": "gzip" }),
  "S-2 deflate": served("socket.io.js", { "accept-encoding": "deflate" }),
  "S-2 brotli": differs(
    "S-2: gzip and deflate only: Go's library has no brotli",
    {
      reference: ["h   content-encoding: br"],
      ours: [],
    },
    served("socket.io.js", { "accept-encoding": "br" }),
  ),
  "S-2 several codings": served("socket.io.js", { "accept-encoding": "deflate, gzip, br" }),
  "S-2 a copy that is still good": differs(
    "S-2: RFC 9110 15.4.5 wants them in a 304 as well",
    { reference: [], ours: Array(2).fill(["h   cache-control: public, max-age=0", "h   etag: <etag>"]).flat() },
    async (x) => {
      const hide = ["content-type", "vary"];
      const { headers } = await x.http("h", "GET", file("socket.io.js"), { bodyShown: false, hide });
      for (const tag of [headers.etag, `W/${headers.etag}`, '"old"']) {
        await x.http("h", "GET", file("socket.io.js"), { headers: { "if-none-match": tag }, bodyShown: false, hide });
      }
    },
  ),
};
