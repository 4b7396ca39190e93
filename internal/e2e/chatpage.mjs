// The page of examples/chat in Chromium, for the suites that are people with windows: where it comes from, the way to its
// gateway, and what one does with it.
import { createReadStream, existsSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import path from "node:path";
import zlib from "node:zlib";
import { eventually } from "./support.mjs";

const types = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };

/** A page's files and nothing else: what a static host would be. */
export function staticHost(directory) {
  return http.createServer((request, response) => {
    const { pathname } = new URL(request.url, "http://page");
    const file = path.join(directory, pathname === "/" ? "index.html" : path.normalize(pathname));
    if (!existsSync(file)) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { "content-type": types[path.extname(file)] });
    createReadStream(file).pipe(response);
  });
}

/** A relay to a gateway that can be cut and mended. withoutClient ends whatever asks for the official client's files. */
export class Relay {
  #open = new Set();
  cut = false;
  refused = 0; // requests for the client
  constructor(target, { withoutClient = false } = {}) {
    const { hostname, port } = new URL(target);
    this.server = net.createServer((client) => {
      if (this.cut) {
        client.destroy();
        return;
      }
      const gateway = net.connect(Number(port), hostname);
      for (const [socket, other] of [[client, gateway], [gateway, client]]) {
        this.#open.add(socket);
        socket.on("error", () => {}).on("close", () => {
          this.#open.delete(socket);
          other.destroy();
        });
      }
      if (withoutClient) {
        client.on("data", (request) => {
          if (!request.includes("GET /socket.io/socket.io.esm")) return;
          this.refused++;
          client.destroy();
        });
      }
      client.pipe(gateway).pipe(client);
    });
  }
  sever() {
    this.cut = true;
    for (const socket of this.#open) socket.destroy();
  }
  mend() {
    this.cut = false;
  }
  close() {
    this.sever();
    this.server.close();
  }
}

/** A PNG of one colour, so that no picture has to be kept in the repository. */
export function png(width, height, [r, g, b]) {
  const row = Buffer.concat([Buffer.from([0]), Buffer.alloc(width * 3).map((_, i) => [r, g, b][i % 3])]);
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const frame = Buffer.alloc(body.length + 8);
    frame.writeUInt32BE(data.length, 0);
    body.copy(frame, 4);
    frame.writeUInt32BE(zlib.crc32 ? zlib.crc32(body) : crc32(body), body.length + 4);
    return frame;
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk("IHDR", head), chunk("IDAT", zlib.deflateSync(Buffer.concat(Array(height).fill(row)))), chunk("IEND", Buffer.alloc(0)),
  ]);
}

function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

export const picture = (name, colour, size = [320, 200]) => ({ name, mimeType: "image/png", buffer: png(...size, colour) });

/** Where the page is: with the gateway it is to use, unless it is its own, and a room in the link. */
export const address = (origin, { gateway, room, plain }) => {
  const query = new URLSearchParams({ ...(gateway && { server: gateway }), ...(plain && { plain: "" }) });
  return `${origin}/?${query}${room ? `#${encodeURIComponent(room)}` : ""}`;
};

/** A window with cookies and storage of its own. prepare(context) runs before anything is loaded. */
export async function visit(browser, url, { prepare, ...options } = {}) {
  const context = await browser.newContext({ reducedMotion: "reduce", ...options });
  await prepare?.(context);
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  page.problems = [];
  page.handshakes = [];
  page.on("pageerror", (error) => page.problems.push(String(error)));
  page.on("console", (message) => {
    // A connection that is cut or refused is the browser's to report and no fault of the page.
    if (message.type() === "error" && !/Failed to load resource|WebSocket connection|ERR_|status of 400/.test(message.text())) page.problems.push(message.text());
  });
  page.on("request", (request) => {
    const { searchParams } = new URL(request.url());
    if (searchParams.has("EIO") && !searchParams.has("sid")) page.handshakes.push(searchParams.get("transport"));
  });
  await page.goto(url);
  return page;
}

export async function enter(page, name, room) {
  await page.getByLabel("Your name", { exact: true }).fill(name);
  if (room) await page.getByLabel("Room", { exact: true }).fill(room);
  await page.getByRole("button", { name: "Start talking" }).click();
  await page.locator("#welcome").waitFor({ state: "hidden" });
}

export async function say(page, text) {
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.getByRole("button", { name: "Send", exact: true }).click();
}

export const heard = (page, text) => page.getByRole("log").getByText(text, { exact: true }).first().waitFor();

/** Waits until a page's connection is over "websocket", or "plain" without the official client. */
export const over = (page, transport) =>
  eventually(() => page.evaluate((name) => document.getElementById("connection").dataset.transport === name, transport), `over ${transport}`, 10_000);
