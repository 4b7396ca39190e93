// The three generations of the official client as one: what they name or do differently has one name here, and what
// a generation lacks is not among its abilities.
import { createRequire } from "node:module";
import net from "node:net";
import { listen, next, within } from "./support.mjs";

const require = createRequire(import.meta.url);

function generation(name, protocol, abilities, differences) {
  const io = require(name);
  const { version } = require(`${name}/package.json`);
  return { version, protocol, io, Manager: io.Manager, can: new Set(abilities), ...differences };
}

/** Protocol 4 of Engine.IO: ids are the namespace's own, a refusal is a connect_error, the server pings. */
const modern = {
  idOf(socket) {
    if (socket.id === socket.io.engine.id) throw new Error("the socket's id is the connection's");
    if (!/^[A-Za-z0-9_-]{20}$/.test(socket.id)) throw new Error(`no id of the server's making: ${socket.id}`);
    return socket.id;
  },
  async refusal(socket) {
    const { message, data } = await next(socket, "connect_error");
    return { message, data };
  },
  heartbeat: "ping",
};

/** Protocol 3: ids come from the connection's, a refusal is an error event with the data or else the message, the client pings. */
const old = {
  idOf(socket) {
    const { id } = socket.io.engine;
    const own = socket.nsp === "/" ? id : `${socket.nsp}#${id}`;
    if (socket.id !== own) throw new Error(`the socket's id is ${socket.id}, not ${own}`);
    return own;
  },
  async refusal(socket) {
    const payload = await next(socket, "error");
    return typeof payload === "string" ? { message: payload } : { data: payload };
  },
  heartbeat: "pong",
};

export const generations = [
  generation("socket.io-client", 4, ["auth", "views", "catch-all", "outgoing", "volatile", "timeout", "retries", "recovery"], modern),
  generation("socket.io-client-3", 4, ["auth", "views", "catch-all", "volatile"], modern),
  generation("socket.io-client-2", 3, [], old),
];

export const ways = {
  polling: { transports: ["polling"] },
  websocket: { transports: ["websocket"] },
  upgrade: { transports: ["polling", "websocket"] },
};

/**
 * Ends a manager's connection, and the polls that clients of 3.x and 2.x go on with if they are told to leave while
 * they connect.
 */
function close(manager) {
  (manager._close ?? manager.close).call(manager);
  manager.engine?.transport?.pollXhr?.abort();
}

/** A test's view of one client on one way to the server: what it opens ends with the test. */
export class Cell {
  constructor(generation, way, t) {
    Object.assign(this, generation);
    this.way = way;
    this.t = t;
    // A server on the same machine answers at once; the pauses between attempts need not be long.
    this.options = { ...ways[way], forceNew: true, reconnectionDelay: 20, reconnectionDelayMax: 50 };
  }

  /** A socket that is not connected yet, on a connection of its own. Where clients have no auth, their query is it. */
  socket(url, more = {}) {
    if (more.auth && !this.can.has("auth")) more = { ...more, query: more.auth };
    const socket = this.io(url, { ...this.options, ...more });
    this.t.after(() => {
      socket.disconnect();
      close(socket.io); // which a refused or a disconnected socket may have left open
    });
    return socket;
  }

  /** A manager, whose sockets share a connection. */
  manager(url, more = {}) {
    const manager = new this.Manager(url, { ...this.options, ...more });
    this.t.after(() => close(manager));
    return manager;
  }

  /** A connected socket, whose connection has been upgraded if it can be. */
  async join(url, more) {
    const socket = this.socket(url, more);
    await next(socket, "connect");
    return this.settled(socket);
  }

  /** Waits until the transport is the one that the connection will stay with. */
  async settled(socket) {
    const { engine } = socket.io, last = this.options.transports.at(-1);
    if (engine.transport.name !== last) await next(engine, "upgrade");
    return socket;
  }
}

/** What the server acknowledges an event with. */
export const ask = (socket, event, ...args) =>
  within(new Promise((resolve) => socket.emit(event, ...args, resolve)), `an ack of "${event}"`);

/** All arguments of the next event, as a list. */
export const heard = (socket, event) =>
  within(new Promise((resolve) => socket.once(event, (...args) => resolve(args))), `event "${event}"`);

/** A list that grows by the first argument of each event of that name. */
export function record(socket, event) {
  const list = [];
  socket.on(event, (first) => list.push(first));
  return list;
}

/** A wire between client and server that can be cut and mended, and held still in one direction. */
export async function wire(cell, url) {
  const { hostname, port } = new URL(url);
  const pairs = new Set();
  const held = [];
  let holding = false, broken = false;
  const server = net.createServer((near) => {
    if (broken) return near.destroy();
    const far = net.connect(port, hostname);
    const pair = [near, far];
    pairs.add(pair);
    near.pipe(far);
    far.on("data", (bytes) => (holding ? held.push(bytes) : near.write(bytes)));
    for (const end of pair) {
      end.on("error", () => {});
      end.on("close", () => {
        if (end === far && holding) return; // that the server has hung up is held, too
        pairs.delete(pair);
        pair.forEach((socket) => socket.destroy());
      });
    }
  });
  const cut = () => {
    broken = true;
    for (const pair of pairs) pair.forEach((socket) => socket.destroy());
    holding = false;
    held.length = 0;
  };
  const near = await listen(server);
  cell.t.after(() => {
    cut();
    server.close();
  });
  return {
    url: near,
    /** Breaks every connection, and each one tried until it is mended. */
    cut,
    mend: () => (broken = false),
    /**
     * Does both, and waits until the socket is back, and settled: a client that loses its connection at the wrong
     * moment of an upgrade notices when the next ping is late, not before.
     */
    async interrupt(socket) {
      const gone = next(socket, "disconnect"), back = next(socket, "connect");
      cut();
      await gone;
      broken = false;
      await back;
      await cell.settled(socket);
    },
    /** Keeps what the server sends from now on, until the cut. */
    hold: () => (holding = true),
    /** What has been kept. */
    held: () => Buffer.concat(held).toString(),
  };
}
