// The article about NestJS's WebSocket gateways, check by check, against gateways written as it says (checks_test.go), with
// the official client. Pages in browsers and a program with modules do parts of it again, in suites of their own.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, afterEach, test } from "node:test";
import { WebSocket } from "ws";
import { eventually, next, server, several, unique } from "./support.mjs";
import { ask, connected, disconnectAll, socket, upgraded } from "./client.mjs";

const BASE = server("PERCH_URL"), OWN_PORT = server("PERCH_OWN_PORT_URL"), WRAPPED = server("PERCH_WRAPPED_URL");
const PAGE = "http://page.example", LISTED = "https://app.example";

afterEach(disconnectAll);
after(disconnectAll);

const witness = async () => (await fetch(`${BASE}/witness`)).json();
const said = async () => (await witness()).said;

/** What a page of another origin asks before it polls. */
const preflight = (base, origin, path = "/socket.io") => fetch(`${base}${path}/?EIO=4&transport=polling`, {
  method: "OPTIONS", headers: { Origin: origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "my-custom-header" },
});
const poll = (base, origin, path = "/socket.io") => fetch(`${base}${path}/?EIO=4&transport=polling`, { headers: { Origin: origin } });
const allowed = (res) => Object.fromEntries([...res.headers].filter(([name]) => name.startsWith("access-control-allow-")).map(([name, value]) => [name.slice(21), value]));

/** Why a client was not let in. */
const refused = async (...args) => {
  const client = socket(...args);
  const error = await next(client, "connect_error");
  client.disconnect();
  return error;
};

test("check 1: a gateway without options is at / on the port of the HTTP server", async () => {
  const client = await connected(BASE, "/");
  assert.equal(await ask(client, "message", "hello"), "hello");
});

test("check 2: AfterInit is called once, before any client, with what Server returns", async () => {
  await connected(BASE, "/chat");
  const lines = await said();
  assert.deepEqual(lines.slice(0, 2), ["chat init true", "too init true"]);
  assert.equal(lines.filter((line) => line.includes("init")).length, 2);
});

test("check 3: HandleConnection is called once by each gateway of the namespace, with the client's socket", async () => {
  const client = await connected(BASE, "/chat");
  const lines = (await said()).filter((line) => line.includes(client.id));
  assert.deepEqual(lines, [`chat connection ${client.id}`, `too connection ${client.id}`]);
});

test("check 4: HandleDisconnect is called once, with the same socket and the reason, also at shutdown", async () => {
  const client = await connected(BASE, "/chat");
  const { id } = client;
  client.disconnect();
  const lines = await eventually(async () => {
    const lines = (await said()).filter((line) => line.includes(`disconnect ${id}`));
    return lines.length >= 2 && lines;
  }, "both gateways to be told");
  const ends = (why) => (id) => ["chat", "too"].map((name) => `${name} disconnect ${id} same: true ${why}`);
  assert.deepEqual(lines, ends("client namespace disconnect")(id));

  const doomed = await connected(server("PERCH_DOOMED_URL"), "/chat", { reconnection: false });
  const last = doomed.id, told = next(doomed, "disconnect");
  const { said: atLast } = await (await fetch(`${server("PERCH_DOOMED_URL")}/shutdown`, { method: "POST" })).json();
  assert.deepEqual(atLast.filter((line) => line.includes("disconnect")), ends("server shutting down")(last));
  await told;
});

test("check 5: origins, headers and credentials are answered as they were set", async () => {
  const asked = await preflight(BASE, LISTED, "/listed"), got = await poll(BASE, LISTED, "/listed");
  assert.equal(asked.status, 204);
  assert.equal(got.status, 200);
  assert.deepEqual(allowed(got), { origin: LISTED, credentials: "true" });
  const { methods, ...rest } = allowed(asked);
  assert.deepEqual(rest, { origin: LISTED, credentials: "true", headers: "my-custom-header" });
  for (const res of [asked, got]) assert.equal(res.headers.get("vary"), "Origin");
  assert.deepEqual(allowed(await preflight(BASE, PAGE, "/listed")), {});
});

test("check 6: the article's object: any origin, GET and POST, the namespace chat", async () => {
  const { headers, ...rest } = allowed(await preflight(BASE, PAGE));
  assert.deepEqual(rest, { origin: "*", methods: "GET,POST" });
  assert.equal(headers, "my-custom-header"); // those that were asked for
  const client = await connected(BASE, "/chat", { extraHeaders: { Origin: PAGE } });
  assert.equal(client.connected, true);
});

test("check 7: a port of its own, and a namespace there", async () => {
  const client = await connected(OWN_PORT, "/events");
  assert.equal(await ask(client, "message", "hello"), "hello");
  assert.equal((await refused(BASE, "/events")).message, "Invalid namespace");
  assert.equal((await refused(OWN_PORT, "/chat")).message, "Invalid namespace");
});

test("check 8: without a port it shares that of the HTTP routes", async () => {
  const route = async () => assert.equal(await (await fetch(`${BASE}/hello`)).text(), "hello");
  await route();
  for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]]) {
    const client = await upgradedIf(await connected(BASE, "/chat", { transports }), transports.length > 1);
    assert.equal(client.io.engine.transport.name, transports.at(-1));
  }
  await route();
  assert.equal((await fetch(`${BASE}/other`)).status, 404);
});

const upgradedIf = (client, upgrades) => (upgrades ? upgraded(client) : client);

test("check 9: an event reaches its handler, others do not", async () => {
  const client = await connected(BASE, "/chat");
  const text = unique("text");
  client.emit("Message", { group: "none", text });
  client.emit("messages", { group: "none", text });
  await ask(client, "message", { group: "none", text });
  assert.deepEqual((await said()).filter((line) => line.includes(text)), [`message ${client.id} ${text}`]);
});

test("check 10: the same handler, which finds socket and payload, serves Socket.IO and plain WebSocket", async () => {
  const client = await connected(BASE, "/chat");
  const plain = new WebSocket(`${BASE.replace("http", "ws")}/chat`);
  const frames = [];
  plain.on("message", (data) => frames.push(JSON.parse(data)));
  await next(plain, "open");
  const group = unique("group"), text = unique("text");
  await ask(client, "join", group);
  plain.send(JSON.stringify({ event: "join", data: group, id: "joined" }));
  assert.deepEqual(await eventually(() => frames.shift(), "an answer"), { id: "joined" });

  const message = next(client, "message");
  plain.send(JSON.stringify({ event: "message", data: { group, text }, id: 1 }));
  assert.equal(await message, text);
  const got = await eventually(() => frames.length === 2 && frames.splice(0), "the message and the answer");
  assert.deepEqual(got.find(({ event }) => event), { event: "message", data: text });
  assert.equal(typeof got.find(({ id }) => id === 1).data, "number");

  const count = await ask(client, "message", { group, text: `${text} again` });
  assert.equal(typeof count, "number");
  assert.deepEqual(await eventually(() => frames.shift(), "the message"), { event: "message", data: `${text} again` });
  const [one, two] = (await said()).filter((line) => line.startsWith("message") && line.includes(text));
  assert.equal(two, `message ${client.id} ${text} again`);
  assert.match(one, /^message [\w-]{20} /);
  assert.notEqual(one.split(" ")[1], client.id);
  plain.close();
});

test("check 11: the server is there in handlers, and in a service", async () => {
  const client = await connected(BASE, "/chat");
  const group = unique("group"), text = unique("text");
  await ask(client, "join", group);
  const message = next(client, "message");
  client.emit("message", { group, text });
  assert.equal(await message, text);
  const announcement = next(client, "announcement");
  assert.equal((await fetch(`${BASE}/announce?text=${text}`, { method: "POST" })).status, 200);
  assert.equal(await announcement, text);
});

test("check 12: server.to(group).emit reaches the group alone; the rest of the API is there", async () => {
  const [a, b, c] = await Promise.all(["a", "b", "c"].map(() => connected(BASE, "/chat")));
  const main = await connected(BASE, "/");
  const group = unique("group");
  await Promise.all([ask(a, "join", group), ask(b, "join", group)]);
  const heard = [[], [], [], []];
  for (const [i, client] of [a, b, c, main].entries()) client.onAny((event) => event !== "last" && heard[i].push(event));
  const last = [a, b, c].map((client) => several(client, "everybody", 1)).concat(next(main, "elsewhere"));
  assert.equal(await ask(a, "message", { group, text: "hi" }) > 0, true);
  assert.equal(await ask(a, "tour", group), undefined);
  await Promise.all(last);
  const both = ["second", "everybody"];
  assert.deepEqual(heard, [["message", ...both], ["message", "others", "to", ...both], ["except", "everybody"], ["elsewhere"]]);
});

test("check 13: a gateway is given its services, and is given to others", async () => {
  const client = await connected(BASE, "/chat");
  const before = await ask(client, "message", { group: "none", text: "one" });
  assert.equal(await ask(client, "message", { group: "none", text: "two" }), before + 1); // the history it was made with
  const announcement = next(client, "announcement");
  await fetch(`${BASE}/announce?text=injected`, { method: "POST" });
  assert.equal(await announcement, "injected");
});

test("check 14: CORS on the shared port: of the gateway, behind a middleware, on the second gateway, with *", async () => {
  const options = { path: "/listed", extraHeaders: { Origin: LISTED } };
  for (const base of [BASE, WRAPPED]) {
    const client = await upgraded(await connected(base, "/", options));
    assert.equal(await ask(client, "message", "hello"), "hello");
  }
  for (const res of [await preflight(WRAPPED, LISTED, "/listed"), await poll(WRAPPED, LISTED, "/listed")]) {
    assert.equal(res.headers.get("access-control-allow-origin"), LISTED); // two would be joined by a comma
    assert.equal(res.headers.get("vary"), "Origin");
  }
  // The first gateway of the shared path says nothing of CORS.
  assert.equal((await poll(BASE, PAGE)).headers.get("access-control-allow-origin"), "*");
  const { log } = await witness();
  assert.match(log, /level=WARN msg="CORS.Credentials has no effect with the origin/);
});

test("check 15: a client without options polls, and ends on WebSocket", async () => {
  const client = await connected(BASE, "/chat", { extraHeaders: { Origin: PAGE } });
  assert.equal((await upgraded(client)).io.engine.transport.name, "websocket");
  assert.equal((await preflight(BASE, PAGE)).status, 204);
});

test("check 16: WebSocket alone connects where the origin is listed, and says what to set where it is not", async () => {
  const transports = ["websocket"];
  const client = await connected(BASE, "/", { transports, path: "/listed", extraHeaders: { Origin: LISTED } });
  assert.equal(await ask(client, "message", "hello"), "hello");
  for (const path of ["/listed", "/closed"]) {
    assert.equal((await refused(BASE, "/", { transports, path, extraHeaders: { Origin: PAGE } })).message, "websocket error");
  }
  const { log } = await witness();
  assert.equal(log.split("\n").filter((line) => line.includes("list the origin in CORS.Origins") && line.includes(`origin=${PAGE}`)).length >= 2, true, log);
});

test("check 17: a separate port with CORS of its own, by polling", async () => {
  assert.deepEqual(allowed(await poll(OWN_PORT, PAGE)), { origin: "*" });
  const client = await connected(OWN_PORT, "/events", { transports: ["polling"], extraHeaders: { Origin: PAGE } });
  assert.equal(await ask(client, "message", "hello"), "hello");
});

test("check 18: the peer is the official client, version 4", () => {
  assert.match(createRequire(import.meta.url)("socket.io-client/package.json").version, /^4\./);
});
