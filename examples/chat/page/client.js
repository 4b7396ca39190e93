// Which gateway to talk to, and how: by the official client if it can be loaded, else by a plain WebSocket.
import { PlainSocket } from "./connection.js";

const SOON = 2_000; // how long the official client may take to load, in ms

/**
 * The gateway's origin: the page's own, or the one named by `?server=http://host:port`.
 * Its script will run in this page, so a link must not choose any host it likes: another
 * host than the page's own, or this machine, has to be agreed to.
 */
export function gateway(page = new URL(location.href)) {
  const named = page.searchParams.get("server");
  if (!named) return page.origin;
  let url;
  try {
    url = new URL(named);
  } catch {
    throw new Error(`“${named}” is not an address. Use one like ?server=http://localhost:3000`);
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new Error(`A gateway is reached over http or https, not ${url.protocol}`);
  }
  const known = [page.hostname, "localhost", "127.0.0.1", "[::1]"];
  if (!known.includes(url.hostname) && !confirm(`Connect to ${url.host}? It will be able to run scripts in this page.`)) {
    throw new Error(`Not connected to ${url.host}.`);
  }
  return url.origin;
}

/** A socket that connects to the gateway. `?plain` does without the official client. */
export async function open(server, page = new URL(location.href)) {
  if (page.searchParams.has("plain")) return new PlainSocket(server);
  try {
    const io = await load(server);
    return io(new URL("/chat", server).href);
  } catch {
    return new PlainSocket(server);
  }
}

/** The function `io` of the official client, as the gateway serves it or points to it. */
async function load(server) {
  const late = new Promise((_, reject) => setTimeout(reject, SOON, new Error("it takes too long")));
  const { io } = await Promise.race([import(new URL("/socket.io/socket.io.esm.min.js", server).href), late]);
  return io;
}
