// What Perch was begun for, in browsers: a page of one origin, HTTP routes with a CORS middleware of their own, a gateway
// behind the same middleware on the same port, and the stock client without options. What the browsers see is asked in the
// page, what they were sent is read off the wire. The numbers are the acceptance checks'.
import assert from "node:assert/strict";
import { after, afterEach, describe, test } from "node:test";
import { browsers } from "./browsers.mjs";
import { Recorder, values } from "./recorder.mjs";
import { server, within } from "./support.mjs";

const PAGE = server("PERCH_SEED_PAGE");
const LOCAL = PAGE.replace("127.0.0.1", "localhost");
const SITES = JSON.parse(server("PERCH_SEED_SITES"));
const REFUSED = "Forbidden: list this origin in CORS.Origins";

const open = [];
afterEach(async () => {
  for (const { page, wire } of open.splice(0)) {
    assert.deepEqual(page.problems, [], "the page's own errors");
    await page.close();
    wire.close();
  }
});

/** The answers that came from under the engine's path. */
const engine = (wire) => wire.answers.filter(({ path }) => path.startsWith("/socket.io/"));
const statuses = (wire) => [...new Set(engine(wire).map(({ status }) => status))].sort();
const handshake = (wire) => engine(wire).find(({ method, path }) => method === "GET" && !path.includes("sid="));

/** Each answer has one of that header, and that one is as it should be. */
function one(answers, name, want) {
  assert.notEqual(answers.length, 0, "no answers");
  for (const { method, path, status, headers } of answers) assert.deepEqual(values(headers, name), [want], `${name} of ${status} to ${method} ${path}`);
}

function varies(answers) {
  for (const { path, headers } of answers) {
    const fields = values(headers, "vary").flatMap((value) => value.split(",").map((field) => field.trim().toLowerCase()));
    assert.equal(fields.filter((field) => field === "origin").length, 1, `Vary of ${path}: ${fields}`);
  }
}

const log = async (site) => (await fetch(`${PAGE}/log/${encodeURIComponent(site)}`)).text();

const whole = { began: "polling", ended: "websocket", acks: [5, 8], heard: "hello", cookie: "" };

for (const browser of browsers()) {
  describe(browser.name, () => {
    after(() => browser.close());

    /** A page of PAGE's origin, or another's, and what stands between it and a site. */
    async function visit(site, from = PAGE) {
      const wire = await Recorder.open(SITES[site]);
      const page = await browser.open(from);
      open.push({ page, wire });
      return {
        wire,
        talk: (options) => within(page.evaluate(talk, { url: wire.url, options }), "the page's talk", 20_000),
        get: (path, init) => page.evaluate(get, { url: wire.url + path, init }),
      };
    }

    for (const [site, preflight] of [["listed, set", { origin: "*", methods: "GET, PUT" }], ["listed, added", { origin: PAGE, methods: "GET,POST" }]]) {
      test(`14 (i, ii), 15: ${site}: polls, upgrades, and has one Access-Control-Allow-Origin`, async () => {
        const { wire, talk, get } = await visit(site);
        assert.deepEqual(await get("/api/hello"), { hello: "world" });
        assert.deepEqual(await talk(), whole);
        assert.deepEqual(await get("/api/hello"), { hello: "world" });
        assert.deepEqual(statuses(wire), [101, 200]);
        one(engine(wire), "access-control-allow-origin", PAGE);
        varies(engine(wire));
        // The routes have the middleware's, which says something else.
        one(wire.answers.filter(({ path }) => path === "/api/hello"), "access-control-allow-origin", "*");
      });

      // The client asks first only where it has a header of its own to send.
      test(`5, 14 (ii), 15: ${site}: a preflight has one Access-Control-Allow-Origin too`, async () => {
        const { wire, talk } = await visit(site);
        assert.deepEqual(await talk({ extraHeaders: { "X-Token": "t" } }), whole);
        const asked = engine(wire).filter(({ method }) => method === "OPTIONS");
        one(asked, "access-control-allow-origin", preflight.origin);
        one(asked, "access-control-allow-methods", preflight.methods);
        one(asked, "access-control-allow-headers", "X-Token");
        varies(asked);
        const rest = engine(wire).filter(({ method }) => method !== "OPTIONS");
        one(rest, "access-control-allow-origin", PAGE);
        assert.deepEqual(values(handshake(wire).asked, "x-token"), ["t"]);
      });
    }

    test("14 (i), 15: a page of another site, not only of another port", async () => {
      const { wire, talk } = await visit("listed, set", LOCAL);
      assert.deepEqual(await talk(), whole);
      one(engine(wire), "access-control-allow-origin", LOCAL);
    });

    test("6: the article's object", async () => {
      const { wire, talk } = await visit("article");
      assert.deepEqual(await talk({ extraHeaders: { "X-Token": "t" } }), whole);
      one(engine(wire), "access-control-allow-origin", "*");
      one(engine(wire).filter(({ method }) => method === "OPTIONS"), "access-control-allow-methods", "GET,POST");
      assert.deepEqual(statuses(wire), [101, 200, 204]);
    });

    for (const site of ["credentials, set", "credentials, added"]) {
      test(`5, 14 (i, ii): ${site}: with a cookie`, async () => {
        const { wire, talk, get } = await visit(site);
        assert.deepEqual(await get("/api/login", { credentials: "include" }), {});
        assert.deepEqual(await talk({ withCredentials: true }), { ...whole, cookie: "session=s3cret" });
        assert.deepEqual(values(handshake(wire).asked, "cookie"), ["session=s3cret"]);
        one(engine(wire), "access-control-allow-origin", PAGE);
        one(engine(wire), "access-control-allow-credentials", "true");
        varies(engine(wire));
      });

      test(`${site}: no cookie where the client does not want it sent`, async () => {
        const { wire, talk, get } = await visit(site);
        await get("/api/login", { credentials: "include" });
        assert.deepEqual(await talk(), whole);
        assert.deepEqual(values(handshake(wire).asked, "cookie"), []);
      });
    }

    for (const site of ["listed, set", "listed, added"]) {
      test(`16: ${site}: transports: ["websocket"]`, async () => {
        const { wire, talk } = await visit(site);
        assert.deepEqual(await talk({ transports: ["websocket"] }), { ...whole, began: "websocket" });
        assert.deepEqual(statuses(wire), [101]);
        one(engine(wire), "access-control-allow-origin", PAGE);
      });
    }

    test("7, 17: a gateway with a port of its own", async () => {
      const { wire, talk } = await visit("own port");
      assert.deepEqual(await talk(), whole);
      one(engine(wire), "access-control-allow-origin", PAGE);
      const { get } = await visit("beside own port");
      assert.deepEqual(await get("/api/hello"), { hello: "world" });
      assert.equal(await get("/socket.io/?EIO=4&transport=polling"), 404);
    });

    for (const [site, shown] of [["forgotten", true], ["forgotten, no middleware", false]]) {
      test(`14, 16: CORS ${site}: refused over polling, and told what to set`, async () => {
        const { wire, talk } = await visit(site);
        const before = await log(site);
        const { refused, said } = await talk();
        assert.equal(refused, "xhr poll error");
        const body = JSON.stringify({ code: 4, message: REFUSED });
        assert.deepEqual(engine(wire).map(({ status, body }) => [status, body]), [[403, body]]);
        // Where the middleware lets the page read it, the page can; the browser's list of requests shows it in any case.
        assert.equal(said, shown ? body : "");
        names(await log(site), before, PAGE);
      });

      test(`16: CORS ${site}: refused over WebSocket, and told what to set`, async () => {
        const { wire, talk } = await visit(site);
        const before = await log(site);
        const { refused } = await talk({ transports: ["websocket"] });
        assert.equal(refused, "websocket error");
        assert.deepEqual(engine(wire).map(({ status, body }) => [status, body]), [[400, REFUSED]]);
        names(await log(site), before, PAGE);
      });
    }

    test("16: an origin that is not the one listed is told the same", async () => {
      const { wire, talk } = await visit("credentials, set", LOCAL);
      const before = await log("credentials, set");
      assert.equal((await talk()).refused, "xhr poll error");
      assert.equal((await talk({ transports: ["websocket"] })).refused, "websocket error");
      assert.deepEqual(engine(wire).map(({ status }) => status), [403, 400]);
      for (const { body } of engine(wire)) assert.ok(body.includes(REFUSED), body);
      names(await log("credentials, set"), before, LOCAL);
    });

    test("14 (iii): CORS only on the second gateway of the path", async () => {
      const { wire, talk } = await visit("second");
      assert.deepEqual(await talk(), whole);
      one(engine(wire), "access-control-allow-origin", PAGE);
    });

    test(`14 (iv): credentials with "*": a warning, for browsers refuse them`, async () => {
      assert.match(await log("careless"), /level=WARN msg="CORS\.Credentials has no effect with the origin \\"\*\\".*list the origins/);
      const { talk } = await visit("careless");
      assert.deepEqual(await talk(), whole);
      assert.equal((await talk({ withCredentials: true, forceNew: true })).refused, "xhr poll error");
    });
  });
}

/** The log has told since then which origin was refused, and by which setting. */
function names(text, before, origin) {
  const said = text.slice(before.length);
  assert.match(said, /level=WARN .*list the origin in CORS\.Origins/);
  assert.ok(said.includes(`origin=${origin}`), said);
}

/** Runs in the page: the JSON of a route, or the status of a refusal. */
async function get({ url, init }) {
  const response = await fetch(url, init ?? {});
  return response.ok ? response.json() : response.status;
}

/** Runs in the page: connects as a program would, says something before and after the upgrade, and leaves. */
async function talk({ url, options }) {
  const socket = options ? window.io(`${url}/chat`, options) : window.io(`${url}/chat`);
  const { engine } = socket.io;
  const began = engine.transport.name;
  const upgraded = began === "polling" && new Promise((resolve) => engine.once("upgrade", resolve));
  const refusal = await new Promise((resolve) => {
    socket.once("connect", resolve);
    // The client throws the answer away once its listeners have been told.
    socket.once("connect_error", ({ message, context }) => resolve({ began, refused: message, said: context?.responseText ?? "" }));
  });
  if (refusal) {
    socket.disconnect();
    return refusal;
  }
  const heard = new Promise((resolve) => socket.once("message", resolve));
  const acks = [await socket.timeout(10_000).emitWithAck("message", "hello")];
  await upgraded;
  acks.push(await socket.timeout(10_000).emitWithAck("message", "upgraded"));
  const cookie = await socket.timeout(10_000).emitWithAck("cookie");
  const ended = engine.transport.name;
  socket.disconnect();
  return { began, ended, acks, heard: await heard, cookie };
}
