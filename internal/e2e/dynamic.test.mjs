// Dynamic namespaces (S-25, S-29, S-48, S-65, S-74, S-75) with the official client: against our server (dynamic_test.go) and,
// for truth, against the reference server with cleanupEmptyChildNamespaces, which is what ours does by default.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, afterEach, before, describe, test } from "node:test";
import { Server } from "socket.io";
import { eventually, listen, next, server, unique } from "./support.mjs";
import { ask, connected, disconnectAll, socket, upgraded, ways } from "./client.mjs";

let reference, referenceURL;

before(async () => {
  const web = createServer();
  reference = new Server(web, { cleanupEmptyChildNamespaces: true });
  const parents = {
    room: reference.of(/^\/room\/[^/]+$/),
    number: reference.of(/^\/dyn-\d+$/),
    late: reference.of(/^\/dyn-/),
    tenant: reference.of((name, auth, done) => done(null, auth.token === "secret" && name.startsWith("/tenant-"))),
  };
  for (const [kind, parent] of Object.entries(parents)) {
    parent.use((s, go) => go(s.nsp.name.endsWith("closed") ? Object.assign(new Error("closed"), { data: { kind } }) : undefined));
    parent.on("connection", (s) => {
      s.emit("welcome", kind, s.nsp.name);
      s.on("shout", (value) => s.nsp.emit("heard", value));
      s.on("everywhere", (value) => parent.emit("heard", value));
      s.on("to", (room, value) => parent.to(room).emit("heard", value));
      s.on("join", (room, ack) => (s.join(room), ack(null)));
    });
  }
  reference.of("/census").on("connection", (s) => {
    s.on("namespaces", (ack) => ack([...reference._nsps.keys()].filter((name) => !["/", "/census"].includes(name)).sort()));
  });
  referenceURL = await listen(web);
});
afterEach(disconnectAll);
after(async () => {
  disconnectAll();
  await reference.close();
});

const servers = { ours: () => server("PERCH_LAB_URL"), reference: () => referenceURL };

for (const [whose, base] of Object.entries(servers)) {
  for (const [way, options] of Object.entries(ways)) {
    describe(`${whose}, ${way}`, () => {
      const join = async (namespace, more = {}) => {
        const client = socket(base(), namespace, { ...options, ...more });
        client.heard = [];
        client.on("heard", (value) => client.heard.push(value));
        client.welcome = next(client, "welcome");
        client.welcome.catch(() => {});
        await next(client, "connect");
        return options.transports.length > 1 ? upgraded(client) : client;
      };
      const census = async () => ask(await connected(base(), "/census", options), "namespaces");
      const alone = (prefix) => unique(prefix).replaceAll(/\D+/g, "");

      test("a name that a parent knows is made a namespace, by the first that does (S-74)", async () => {
        const id = alone("n");
        assert.deepEqual(await (await join(`/room/${id}`)).welcome, ["room", `/room/${id}`]);
        assert.deepEqual(await (await join(`/dyn-${id}`)).welcome, ["number", `/dyn-${id}`]);
        assert.deepEqual(await (await join(`/dyn-${id}x`)).welcome, ["late", `/dyn-${id}x`]);
        const names = await census();
        for (const name of [`/room/${id}`, `/dyn-${id}`, `/dyn-${id}x`]) assert.ok(names.includes(name), `${name} in ${names}`);
      });

      test("any other name is none", async () => {
        for (const name of ["/room", "/room/1/2", "/dyn", "/tenant-1"]) {
          const error = await next(socket(base(), name, options), "connect_error");
          assert.equal(error.message, "Invalid namespace");
          assert.equal(error.data, undefined);
        }
      });

      test("a function looks at the auth", async () => {
        const name = `/tenant-${alone("t")}`;
        const refused = socket(base(), name, { ...options, auth: { token: "wrong" } });
        assert.equal((await next(refused, "connect_error")).message, "Invalid namespace");
        refused.auth = { token: "secret" };
        const welcome = next(refused, "welcome");
        refused.connect();
        assert.deepEqual(await welcome, ["tenant", name]);
      });

      test("the middlewares of the parent are those of its children (S-65)", async () => {
        const error = await next(socket(base(), "/room/closed", options), "connect_error");
        assert.equal(error.message, "closed");
        assert.deepEqual(error.data, { kind: "room" });
        assert.ok(!(await census()).includes("/room/closed"), "kept, though nobody is in it (S-75)");
      });

      test("children are apart, their parent reaches all of them (S-48)", async () => {
        const one = `/room/${unique("one")}`, two = `/room/${unique("two")}`, room = unique("r");
        const [a, b, c] = await Promise.all([join(one), join(one), join(two)]);
        await Promise.all([ask(a, "join", room), ask(c, "join", room)]);
        a.emit("shout", "in one");
        a.emit("everywhere", "everywhere");
        a.emit("to", room, "in the room of both");
        a.emit("shout", "done");
        c.emit("shout", "done");
        await eventually(() => [a, b, c].every((client) => client.heard.includes("done")), "the last word");
        await eventually(() => c.heard.length === 3, "what the parent said");
        assert.deepEqual(a.heard, ["in one", "everywhere", "in the room of both", "done"]);
        assert.deepEqual(b.heard, ["in one", "everywhere", "done"]);
        assert.deepEqual([...c.heard].sort(), ["done", "everywhere", "in the room of both"]);
      });

      test("twenty at once find one namespace", async () => {
        const name = `/tenant-${unique("many")}`;
        const clients = await Promise.all(Array.from({ length: 20 }, () => join(name, { auth: { token: "secret" } })));
        clients[0].emit("shout", "hi");
        await eventually(() => clients.every((client) => client.heard.length === 1), "all have heard");
        assert.equal((await census()).filter((n) => n === name).length, 1);
      });

      test("an empty one is dropped, and made again (S-75)", async () => {
        const name = `/room/${unique("brief")}`;
        const [a, b] = await Promise.all([join(name), join(name)]);
        a.disconnect();
        b.emit("shout", "still here");
        await eventually(() => b.heard.length === 1, "b is still there");
        assert.ok((await census()).includes(name));
        b.disconnect();
        await eventually(async () => !(await census()).includes(name), "it is dropped");
        assert.deepEqual(await (await join(name)).welcome, ["room", name]);
      });
    });
  }
}
