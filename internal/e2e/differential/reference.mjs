// The reference: npm's socket.io with the vocabulary of vocabulary.mjs; an argument names the package of another
// version. The harness asks it for a server of one of the configurations below, which gets a port of its own. What each
// means for ours is in differential_test.go, under the same names.
import http from "node:http";
import msgpack from "socket.io-msgpack-parser";
import { listen } from "../support.mjs";
import { Journal, speak } from "./vocabulary.mjs";

const { Server } = await import(process.argv[2] ?? "socket.io");

const quick = { pingInterval: 300, pingTimeout: 500, upgradeTimeout: 300 };

const configurations = {
  plain: {},
  quick,
  hasty: { upgradeTimeout: 200 },
  impatient: { ...quick, connectTimeout: 400 },
  small: { maxHttpBufferSize: 1000 },
  polling: { transports: ["polling"] },
  websocket: { transports: ["websocket"] },
  still: { allowUpgrades: false },
  elsewhere: { path: "/else/where" },
  slashless: { addTrailingSlash: false },
  unserved: { serveClient: false },
  shared: {
    cors: {
      origin: ["http://good.example", "http://fine.example"], methods: ["GET", "POST"], credentials: true,
      allowedHeaders: ["X-Token", "X-Other"], exposedHeaders: ["X-Seen"], maxAge: 600,
    },
  },
  open: { cors: { origin: "*" } },
  cookie: { cookie: true },
  biscuit: { cookie: { name: "biscuit", path: "/custom", httpOnly: false, sameSite: "strict", secure: true, maxAge: 60, domain: "good.example" } },
  doorman: { allowRequest: (req, done) => (req.url.includes("door=shut") ? done("the door is shut", false) : done(null, true)) },
  deflating: { perMessageDeflate: { threshold: 1 } },
  uncompressed: { httpCompression: false },
  recovering: { connectionStateRecovery: {} },
  careful: { connectionStateRecovery: { skipMiddlewares: false } },
  forgetful: { connectionStateRecovery: { maxDisconnectionDuration: 100 } },
  steady: { pingInterval: 2000, pingTimeout: 3000 },
  "steady msgpack": { pingInterval: 2000, pingTimeout: 3000, parser: msgpack },
  lasting: { pingInterval: 1000, pingTimeout: 2000, connectionStateRecovery: {} },
  brisk: { ...quick, connectionStateRecovery: {} },
  old: { allowEIO3: true },
  oldopen: { allowEIO3: true, cors: { origin: "*" } },
  oldquick: { ...quick, allowEIO3: true },
  msgpack: { parser: msgpack },
  keeping: {}, // what the reference does unless told otherwise
  cleaning: { cleanupEmptyChildNamespaces: true }, // what ours does
  middle: {},
  headed: {},
  named: {},
};

const servers = new Map();

async function serve(name) {
  if (!configurations[name]) throw new Error(`no configuration ${name}`);
  const journal = new Journal();
  const web = http.createServer((req, res) => {
    res.statusCode = 404;
    res.end();
  });
  const io = new Server(web, configurations[name]);
  if (name === "middle") {
    io.engine.use((req, res, next) => {
      res.setHeader("X-Middle", "was here");
      if (req.url.includes("middle=stop")) next(new Error("stopped"));
      else if (req.url.includes("middle=answer")) res.writeHead(418, { "content-type": "text/plain" }).end("short and stout");
      else next();
    });
  }
  if (name === "headed") {
    io.engine.on("initial_headers", (headers) => (headers["X-First"] = "first"));
    io.engine.on("headers", (headers) => (headers["X-Every"] = "every"));
  }
  if (name === "named") {
    let n = 0;
    io.engine.generateId = (req) => {
      if (req.url.includes("id=fail")) throw new Error("no id");
      return `session-number-${String(++n).padStart(5, "0")}`;
    };
  }
  speak(io, journal);
  const url = await listen(web);
  servers.set(url, { io, journal });
  return url;
}

/** What a script asks of the harness rather than of a server. */
const requests = {
  "/server": (query) => serve(query.get("configuration")),
  "/journal": (query) => JSON.stringify(servers.get(query.get("server")).journal.of(query.get("key"))),
  "/shutdown": async (query) => {
    await servers.get(query.get("server")).io.close();
    return "";
  },
};

const control = http.createServer(async (req, res) => {
  const { pathname, searchParams } = new URL(req.url, "http://localhost");
  try {
    res.end(await requests[pathname](searchParams));
  } catch (err) {
    res.statusCode = 500;
    res.end(err.message);
  }
});
console.log(`listening on ${await listen(control)}`);

// The harness asks it to end as it asks any program.
process.on("SIGTERM", () => process.exit(0));
