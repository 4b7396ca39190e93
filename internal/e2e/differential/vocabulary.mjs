// What the test servers do on request. Each word is an event; twin_test.go has the same words for ours. A word answers
// by its acknowledgement, so that a script knows when it is done.

/** What happened to the clients of one server, by the `key` of their query. */
export class Journal {
  entries = new Map();

  of(key) {
    return this.entries.get(key) ?? [];
  }

  write(key, ...entry) {
    if (!this.entries.has(key)) this.entries.set(key, []);
    this.entries.get(key).push(entry);
  }
}

const room = (socket, rooms) => rooms.filter((name) => name !== socket.id).sort();
/** Arguments as JSON can show them. */
function shown(value) {
  if (typeof value === "function") return "(ack)";
  if (Buffer.isBuffer(value)) return `<${value.toString("hex")}>`;
  if (Array.isArray(value)) return value.map(shown);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shown(inner)]));
}
const fault = (err) => {
  if (/reserved event name/.test(err.message)) return { error: "reserved" };
  if (/timed out/.test(err.message)) return { error: "timeout" };
  return { error: err.message };
};

/** The operator that {by, to, in, except, broadcast, local, volatile, compress} describes. */
function operator(socket, flags) {
  let op = flags.by === "namespace" ? socket.nsp : flags.by === "server" ? socket.nsp.server : socket;
  if (flags.broadcast) op = op.broadcast;
  for (const name of [flags.to ?? []].flat()) op = op.to(name); // 3.x takes one at a time
  if (flags.in) op = op.in(flags.in);
  if (flags.except) op = op.except(flags.except);
  if (flags.local) op = op.local;
  if (flags.volatile) op = op.volatile;
  if (flags.compress !== undefined) op = op.compress(flags.compress);
  return op;
}

/** How often the clients of one key have said "stubborn", which outlives their sockets. */
const pleas = new Map();

const words = {
  echo: (socket, args, ack) => (ack ? ack(...args) : socket.emit("echo", ...args)),
  ignore: () => {},
  twice: (socket, args, ack) => {
    ack?.("first");
    ack?.("second");
  },
  late: (socket, [ms, ...args], ack) => void setTimeout(() => ack?.(...args), ms),
  emit: (socket, args, ack) => {
    socket.emit(...args);
    ack?.("emitted");
  },
  cast: (socket, [flags, ...args], ack) => {
    operator(socket, flags).emit(...args);
    ack?.("cast");
  },
  ask: (socket, [flags, ...args], ack) => {
    const op = operator(socket, flags);
    if (flags.timeout) op.timeout(flags.timeout).emit(...args, (err, ...answer) => ack?.(err ? fault(err) : { answer }));
    else op.emit(...args, (...answer) => ack?.({ answer }));
  },
  askAll: (socket, [flags, ...args], ack) => {
    operator(socket, flags).timeout(flags.timeout).emit(...args, (err, answers) => ack?.({ answers, ...(err ? fault(err) : {}) }));
  },
  join: async (socket, rooms, ack) => {
    await socket.join(rooms);
    ack?.("joined");
  },
  leave: async (socket, [name], ack) => {
    await socket.leave(name);
    ack?.("left");
  },
  rooms: (socket, args, ack) => ack?.(room(socket, [...socket.rooms])),
  inOwnRoom: (socket, args, ack) => ack?.(socket.rooms.has(socket.id)),
  kick: (socket, [close]) => socket.disconnect(close),
  fetchSockets: async (socket, [flags], ack) => {
    const found = await operator(socket, flags).fetchSockets();
    ack?.(found.map((other) => ({ id: other.id, rooms: room(other, [...other.rooms]), data: other.data, key: other.handshake.query.key, auth: other.handshake.auth })));
  },
  socketsJoin: (socket, [flags, rooms], ack) => {
    operator(socket, flags).socketsJoin(rooms);
    ack?.("joined");
  },
  socketsLeave: (socket, [flags, rooms], ack) => {
    operator(socket, flags).socketsLeave(rooms);
    ack?.("left");
  },
  disconnectSockets: (socket, [flags, close], ack) => {
    ack?.("disconnecting");
    setTimeout(() => operator(socket, flags).disconnectSockets(close), 20);
  },
  data: (socket, [value], ack) => {
    if (value !== undefined) socket.data.value = value;
    ack?.(socket.data);
  },
  handshake: (socket, args, ack) => {
    const { headers, address, xdomain, secure, url, query: { t, ...query }, auth } = socket.handshake; // t is a time
    ack?.({ tag: headers["x-tag"] ?? null, address, xdomain: Boolean(xdomain), secure, path: new URL(url, "http://host").pathname, query, auth });
  },
  state: (socket, args, ack) =>
    ack?.({ connected: socket.connected, recovered: socket.recovered, transport: socket.conn.transport.name, protocol: socket.conn.protocol, namespace: socket.nsp.name }),
  count: (socket, args, ack) => ack?.(socket.nsp.sockets.size),
  bytes: (socket, [n], ack) => ack?.(Buffer.alloc(n, 7)),
  burst: (socket, [n], ack) => {
    for (let i = 0; i < n; i++) socket.emit("tick", i, i % 3 ? `text ${i}` : Buffer.from([i & 255, i >> 8]));
    ack?.(n);
  },
  say: (socket, [event, value]) => socket.emit(event, value),
  id: (socket, args, ack) => ack?.(socket.id),
  header: (socket, [name], ack) => ack?.(socket.handshake.headers[name] ?? null),
  shape: (socket, args, ack) => ack?.(...shown(args)),
  date: (socket, args, ack) => ack?.({ date: new Date() }),
  attachments: (socket, [n]) => socket.emit("attachments", Array.from({ length: n }, (_, i) => Buffer.from([i]))),
  stream: (socket, [n], ack) => {
    for (let i = 0; i < n; i++) socket.emit("stream", i);
    ack?.(n);
  },
  raw: (socket, [text]) => socket.conn.send(text),
  hangUp: (socket) => socket.conn.close(),
  stubborn: (socket, [name, n], ack) => {
    const key = `${socket.handshake.query.key} ${name}`;
    pleas.set(key, (pleas.get(key) ?? 0) + 1);
    if (pleas.get(key) >= n) ack?.(pleas.get(key));
  },
};

/** Journals what the query's `watch` names: any, outgoing, packets. */
function watch(socket, journal, key) {
  const watched = socket.handshake.query.watch?.split(",") ?? [];
  if (watched.includes("any")) socket.onAny((...args) => journal.write(key, "any", ...shown(args)));
  if (watched.includes("outgoing")) socket.onAnyOutgoing((...args) => journal.write(key, "outgoing", ...shown(args)));
  if (watched.includes("packets")) {
    socket.use((packet, next) => {
      journal.write(key, "packet", ...shown(packet));
      if (packet[0] === "forbidden") next(new Error("forbidden event"));
      else if (packet[0] === "slow") setTimeout(next, 50);
      else next();
    });
    socket.use((packet, next) => {
      journal.write(key, "second", packet[0]);
      next();
    });
  }
  socket.on("error", (err) => journal.write(key, "error", err.message));
}

function greet(socket, journal) {
  const { key, greet } = socket.handshake.query;
  journal.write(key, "connection", socket.nsp.name);
  for (let i = 0; i < Number(greet ?? 0); i++) socket.emit("greeting", i);
  watch(socket, journal, key);
  for (const [word, act] of Object.entries(words)) {
    socket.on(word, async (...args) => {
      const ack = typeof args.at(-1) === "function" ? args.pop() : undefined;
      try {
        await act(socket, args, ack);
      } catch (err) {
        ack?.(fault(err));
      }
    });
  }
  let rooms;
  socket.on("disconnecting", () => (rooms = room(socket, [...socket.rooms])));
  socket.on("disconnect", (reason) => journal.write(key, "left", socket.nsp.name, reason, rooms));
}

const refusals = {
  plain: () => new Error("not authorized"),
  data: () => Object.assign(new Error("not authorized"), { data: { code: 401, hint: "bring a token" } }),
  text: () => Object.assign(new Error("refused"), { data: "with words" }),
  zero: () => Object.assign(new Error("refused"), { data: 0 }),
  list: () => Object.assign(new Error("refused"), { data: [1, [2]] }),
  empty: () => new Error(""),
};

export function speak(io, journal) {
  for (const name of ["/", "/one", "/two"]) io.of(name).on("connection", (socket) => greet(socket, journal));

  // Refuses by the auth's token, at once or later.
  const guarded = io.of("/guarded");
  guarded.use((socket, next) => {
    const refusal = refusals[socket.handshake.auth.token]?.();
    if (socket.handshake.auth.wait) setTimeout(() => next(refusal), socket.handshake.auth.wait);
    else next(refusal);
  });
  guarded.on("connection", (socket) => greet(socket, journal));

  // Middlewares in their order; the second stops who asks for it.
  const chain = io.of("/chain");
  for (const step of ["first", "second", "third"]) {
    chain.use((socket, next) => {
      journal.write(socket.handshake.query.key, "middleware", step, socket.connected);
      socket.data[step] = true;
      if (socket.handshake.auth.emit === step) socket.emit("from", step);
      next(socket.handshake.auth.stop === step ? new Error(`stopped by the ${step}`) : undefined);
    });
  }
  chain.on("connection", (socket) => greet(socket, journal));

  io.on("new_namespace", ({ name }) => journal.write("namespaces", "made", name));
  const numbered = io.of(/^\/number-\d+$/);
  numbered.use((socket, next) => next(socket.handshake.auth.token === "plain" ? new Error("not authorized") : undefined));
  numbered.on("connection", (socket) => greet(socket, journal));

  const personal = io.of((name, auth, next) => {
    if (name.startsWith("/broken-")) next(new Error("the function failed"), false);
    else next(null, name.startsWith("/person-") && auth.token === name.slice("/person-".length));
  });
  personal.on("connection", (socket) => greet(socket, journal));

  io.engine.on("connection_error", ({ req, code, message, context }) => {
    const key = new URL(req.url, "http://host").searchParams.get("key");
    journal.write(key, "connection_error", code, message, context?.name ?? context?.message ?? "");
  });
}
