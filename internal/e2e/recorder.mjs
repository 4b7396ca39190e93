// A relay to a server that keeps what passes, so that a test of a page can look at the bytes that its browser was sent.
import net from "node:net";
import { listen } from "./support.mjs";

export class Recorder {
  #connections = [];
  #open = new Set();
  #server;

  /** A recorder before the server at target, with an origin of its own, url. */
  static async open(target) {
    const recorder = new Recorder();
    const { hostname, port } = new URL(target);
    recorder.#server = net.createServer((client) => recorder.#relay(client, net.connect(Number(port), hostname)));
    recorder.url = await listen(recorder.#server);
    return recorder;
  }

  #relay(client, server) {
    const connection = { asked: [], answered: [] };
    this.#connections.push(connection);
    for (const [socket, other, kept] of [[client, server, connection.asked], [server, client, connection.answered]]) {
      this.#open.add(socket);
      socket.on("error", () => {}).on("close", () => {
        this.#open.delete(socket);
        other.destroy();
      });
      socket.on("data", (data) => kept.push(data)).pipe(other);
    }
  }

  /**
   * The answers that have come whole, those to an upgrade included: {method, path, asked, status, headers, body}. Headers
   * are a list of [name in lower case, value] as they stood there, asked those of the request.
   */
  get answers() {
    return this.#connections.flatMap(({ asked, answered }) => {
      const requests = messages(asked);
      return [...messages(answered)].map(({ start, headers, body }) => {
        const request = requests.next().value;
        const [method, path] = request.start.split(" ");
        return { method, path, asked: request.headers, status: Number(start.split(" ")[1]), headers, body };
      });
    });
  }

  close() {
    for (const socket of this.#open) socket.destroy();
    this.#server.close();
  }
}

/** The values of one header. */
export const values = (headers, name) => headers.filter(([header]) => header === name).map(([, value]) => value);

/** The messages of HTTP/1.1 in one direction of a connection; bodies have to have a Content-Length, as those here have. */
function* messages(chunks) {
  let text = Buffer.concat(chunks).toString("latin1");
  for (let end; (end = text.indexOf("\r\n\r\n")) >= 0;) {
    const [start, ...lines] = text.slice(0, end).split("\r\n");
    const headers = lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]);
    if (values(headers, "transfer-encoding").length) throw new Error(`a body without a length: ${start}`);
    const length = Number(values(headers, "content-length")[0] ?? 0);
    text = text.slice(end + 4);
    if (text.length < length) return;
    yield { start, headers, body: text.slice(0, length) };
    if (start.startsWith("HTTP/1.1 101 ")) return; // frames follow
    text = text.slice(length);
  }
}
