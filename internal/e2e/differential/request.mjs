// Requests that must fail, and what engines answer them with (3.2, S-79, S-80).
import { differs } from "./compare.mjs";

const json = { "content-type": "application/json" };
const upgrade = { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==" };
const PATH = "/socket.io/";

/** One request and its answer, but for the one header that ours has more (see the script about it). */
const asks = (method, target, more) => async (x) => {
  await x.http("h", method, target, { hide: ["cache-control"], ...more });
  await x.journal({ name: "h", base: await x.server(more?.server) });
};

export const requests = {
  "3.2 no transport (0)": asks("GET", `${PATH}?EIO=4`),
  "3.2 an unknown transport (0)": asks("GET", `${PATH}?EIO=4&transport=tachyon`),
  "3.2 a transport named as a member of objects (0)": asks("GET", `${PATH}?EIO=4&transport=constructor`),
  "3.2 a transport in capitals (0)": asks("GET", `${PATH}?EIO=4&transport=POLLING`),
  "3.2 a transport that is switched off (0)": asks("GET", `${PATH}?EIO=4&transport=polling`, { server: "websocket" }),
  "3.2 webtransport over HTTP (0)": asks("GET", `${PATH}?EIO=4&transport=webtransport`),
  "3.2 no query at all (0)": asks("GET", PATH),
  "3.2 an unknown session (1)": asks("GET", `${PATH}?EIO=4&transport=polling&sid=unknown`),
  "3.2 an unknown session named as a member of objects (1)": asks("GET", `${PATH}?EIO=4&transport=polling&sid=__proto__`),
  "3.2 a POST to an unknown session (1)": asks("POST", `${PATH}?EIO=4&transport=polling&sid=unknown`, { body: "40" }),
  "3.2 a POST without a session (2)": asks("POST", `${PATH}?EIO=4&transport=polling`, { body: "40" }),
  "3.2 a PUT without a session (2)": asks("PUT", `${PATH}?EIO=4&transport=polling`, { body: "40" }),
  "3.2 a DELETE without a session (2)": asks("DELETE", `${PATH}?EIO=4&transport=polling`),
  "3.2 websocket without an upgrade (3)": asks("GET", `${PATH}?EIO=4&transport=websocket`),
  "S-80 an error is not to be kept by caches": differs(
    "S-80: Cache-Control: no-store on errors too",
    { reference: [], ours: ["h   cache-control: no-store"] },
    (x) => x.http("h", "GET", `${PATH}?EIO=4`),
  ),
  "3.2 no protocol version (5)": asks("GET", `${PATH}?transport=polling`),
  "3.2 an old protocol version (5)": asks("GET", `${PATH}?EIO=3&transport=polling`),
  "3.2 a protocol version yet to come (5)": asks("GET", `${PATH}?EIO=5&transport=polling`),
  "3.2 a protocol version that is no number (5)": asks("GET", `${PATH}?EIO=four&transport=polling`),
  "3.2 another transport for a session that exists (3)": async (x) => {
    const p = await x.polling("p");
    await p.get({ query: { transport: "websocket" } });
    await p.join();
  },
  "3.2 another protocol for a session that exists (3)": async (x) => {
    const p = await x.polling("p");
    await p.get({ query: { EIO: 3 } });
    await p.join();
  },
  "3.2 polling for a session over WebSocket (3)": async (x) => {
    const w = await x.ws("w", { open: false });
    const { sid } = JSON.parse((await w.next()).slice(1));
    const hide = ["cache-control"];
    await x.http("h", "GET", `${PATH}?EIO=4&transport=polling&sid=${sid}`, { hide });
    await x.http("h", "POST", `${PATH}?EIO=4&transport=polling&sid=${sid}`, { hide, body: "40" });
    await w.join();
  },
  "S-80 an upgrade with an unknown transport": asks("GET", `${PATH}?EIO=4&transport=tachyon`, { headers: upgrade }),
  "S-80 an upgrade to an unknown session": asks("GET", `${PATH}?EIO=4&transport=websocket&sid=unknown`, { headers: upgrade }),
  "S-80 an upgrade with transport polling": differs(
    "S-80: Node never answers it",
    {
      reference: ["h GET /socket.io/?EIO=4&transport=polling: no answer"],
      ours: ['h GET /socket.io/?EIO=4&transport=polling: 400 "Bad request"', "h   content-type: text/html", 'h journal "connection_error" 3 "Bad request" "TRANSPORT_HANDSHAKE_ERROR"'],
    },
    asks("GET", `${PATH}?EIO=4&transport=polling`, { headers: upgrade, patience: 300 }),
  ),
  "S-80 an upgrade that is no WebSocket": differs(
    "S-80: it is no upgrade then, and refused as the request it is",
    {
      reference: ['h GET /socket.io/?EIO=4&transport=websocket: 400 "Invalid Upgrade header"', "h   content-type: text/html"],
      ours: [
        String.raw`h GET /socket.io/?EIO=4&transport=websocket: 400 "{\"code\":3,\"message\":\"Bad request\"}"`, "h   content-type: application/json", 'h journal "connection_error" 3 "Bad request" "TRANSPORT_HANDSHAKE_ERROR"',
      ],
    },
    asks("GET", `${PATH}?EIO=4&transport=websocket`, { headers: { connection: "Upgrade", upgrade: "spdy" } }),
  ),
  "S-80 an upgrade with an old WebSocket version": differs(
    "S-80: RFC 6455 4.4 asks for 426; both say what is wrong, in other words",
    {
      reference: ['h GET /socket.io/?EIO=4&transport=websocket: 400 "Missing or invalid Sec-WebSocket-Version header"', "h   content-type: text/html"],
      ours: [
        'h GET /socket.io/?EIO=4&transport=websocket: 426 "WebSocket version must be 13"', "h   content-type: text/plain; charset=utf-8", 'h journal "connection_error" 3 "Bad request" "TRANSPORT_HANDSHAKE_ERROR"',
      ],
    },
    asks("GET", `${PATH}?EIO=4&transport=websocket`, { headers: { ...upgrade, "sec-websocket-version": "7" } }),
  ),
  "S-80 an upgrade without a key": differs(
    "S-80: both say what is wrong, in other words",
    {
      reference: ['h GET /socket.io/?EIO=4&transport=websocket: 400 "Missing or invalid Sec-WebSocket-Key header"', "h   content-type: text/html"],
      ours: [
        'h GET /socket.io/?EIO=4&transport=websocket: 400 "Sec-WebSocket-Key is not 16 bytes in base64"', "h   content-type: text/plain; charset=utf-8", 'h journal "connection_error" 3 "Bad request" "TRANSPORT_HANDSHAKE_ERROR"',
      ],
    },
    asks("GET", `${PATH}?EIO=4&transport=websocket`, { headers: { ...upgrade, "sec-websocket-key": "" } }),
  ),
  "S-80 an upgrade by POST": asks("POST", `${PATH}?EIO=4&transport=websocket`, { headers: upgrade }),
  "S-80 an upgrade with an old protocol": differs(
    "S-80: refused before the upgrade; Node upgrades and then writes HTTP into the stream",
    {
      reference: ["script upgraded: true"],
      ours: ["script upgraded: false", 'w refused 400 "Unsupported protocol version"'],
    },
    async (x) => {
    const w = await x.ws("w", { query: { EIO: 3 }, open: false });
    x.note("upgraded", !w.refused);
    await x.journal(w);
  },
  ),
  "S-1 a path beside it": asks("GET", "/socket.oi/?EIO=4&transport=polling", { bodyShown: false, hide: ["content-type", "x-content-type-options"] }),
  "S-1 another path": asks("GET", "/else/where/?EIO=4&transport=polling", { server: "elsewhere" }),
  "S-1 not at the default path then": asks("GET", `${PATH}?EIO=4&transport=polling`, { server: "elsewhere", bodyShown: false, hide: ["content-type", "x-content-type-options"] }),
  "S-12 without the last slash": asks("GET", "/socket.io?EIO=4&transport=polling", { server: "slashless" }),
  "S-12 with it where it is not wanted": asks("GET", `${PATH}?EIO=4&transport=polling`, { server: "slashless" }),
};
