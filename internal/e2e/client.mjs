// The official client as the suites use it: over each way it may take to a server.
import { io } from "socket.io-client";
import { next, within } from "./support.mjs";

/** The ways to a server; where a session may upgrade, it has done so before a test begins. */
export const ways = {
  "polling only": { transports: ["polling"] },
  "websocket only": { transports: ["websocket"] },
  "polling, then websocket": { transports: ["polling", "websocket"] },
};

const opened = new Set();

/** A socket that is not connected yet, on a connection of its own. */
export function socket(base, namespace, options = {}) {
  const client = io(base + namespace, { forceNew: true, reconnectionDelay: 20, reconnectionDelayMax: 50, ...options });
  opened.add(client);
  return client;
}

/** A connected socket. */
export async function connected(base, namespace, options = {}) {
  const client = socket(base, namespace, options);
  const refused = new Promise((_, reject) => client.once("connect_error", reject));
  await within(Promise.race([next(client, "connect"), refused]), `connect to ${namespace}`);
  return client;
}

/** Waits until a session that began with polling uses the WebSocket. */
export async function upgraded(client) {
  const { engine } = client.io;
  if (engine.transport.name !== "websocket") await next(engine, "upgrade");
  return client;
}

export const ask = (client, event, ...args) => client.timeout(5000).emitWithAck(event, ...args);

/** Ends every socket a file has opened: one left open would keep the process alive. */
export function disconnectAll() {
  for (const client of opened) client.disconnect();
  opened.clear();
}
