// The browser's own WebSocket in the shape of the official client, as far as this page uses it: events both ways, acks,
// and a connection that is made again when it is lost. The frames are those of Perch's plain platform:
//
//	{event, data, id?}                    sent; with an id the server answers
//	{id, data?}                           its answer
//	{id?, event: "exception", data}       what went wrong; with an id it is the answer
//	{event, data}                         an event for us

const FIRST = 500, LONGEST = 5_000; // ms before connecting again, doubled with each try
const REFUSED = [1000, 1008]; // close codes of a server that means it

export class PlainSocket {
  connected = false;
  active = false; // connects again by itself
  #url;
  #socket;
  #listeners = new Map(); // event → functions
  #answers = new Map(); // id → function
  #serial = 0;
  #attempt = 0;
  #timer;

  /** server is an origin; there the platform is at /ws. */
  constructor(server) {
    this.#url = new URL("/ws", server.replace(/^http/, "ws")).href;
    this.volatile = this; // nothing is queued here
    this.io = { on: (event, heard) => this.on(event, heard), engine: { transport: { name: "plain" }, on() {} } };
    addEventListener("online", () => this.#again());
    this.connect();
  }

  on(event, heard) {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), heard]);
  }

  #tell(event, ...args) {
    for (const heard of this.#listeners.get(event) ?? []) heard(...args);
  }

  emit(event, data) {
    this.#send({ event, data });
  }

  timeout(ms) {
    return { emitWithAck: (event, data) => this.#ask(event, data, ms) };
  }

  #ask(event, data, ms) {
    return new Promise((resolve, reject) => {
      if (!this.connected) throw new Error("not connected");
      const id = ++this.#serial;
      const late = setTimeout(() => {
        this.#lose("ping timeout"); // a page is not told of the server's pings: this is how it finds a dead connection
        reject(new Error("no answer"));
      }, ms);
      this.#answers.set(id, (answer, error) => {
        clearTimeout(late);
        this.#answers.delete(id);
        if (error) reject(error);
        else resolve(answer);
      });
      this.#send({ event, data, id });
    });
  }

  #send(frame) {
    if (this.connected) this.#socket.send(JSON.stringify(frame, (_, value) => (value instanceof Uint8Array ? toBase64(value) : value)));
  }

  #receive({ event, data, id }) {
    const answer = !event || event === "exception" ? this.#answers.get(id) : undefined; // ids of events for us are the server's
    if (answer) answer(data);
    else if (event) this.#tell(event, data);
  }

  connect() {
    if (this.#socket) return;
    clearTimeout(this.#timer);
    this.active = true;
    const socket = (this.#socket = new WebSocket(this.#url));
    const current = (heard) => (event) => socket === this.#socket && heard(event);
    socket.onopen = current(() => {
      this.connected = true;
      this.#attempt = 0;
      this.#tell("open");
      this.#tell("connect");
    });
    socket.onmessage = current(({ data }) => this.#receive(JSON.parse(data)));
    socket.onclose = current(({ code }) => {
      if (REFUSED.includes(code)) this.active = false;
      this.#lose(this.active ? "transport close" : "io server disconnect");
    });
  }

  disconnect() {
    this.active = false;
    this.#lose("io client disconnect");
  }

  /** Gives the connection up, and makes another one unless that is not wanted. */
  #lose(reason) {
    clearTimeout(this.#timer);
    const socket = this.#socket, was = this.connected;
    this.#socket = undefined;
    this.connected = false;
    socket?.close();
    for (const answer of [...this.#answers.values()]) answer(undefined, new Error("disconnected"));
    if (was) this.#tell("disconnect", reason);
    else if (this.active) this.#tell("connect_error", new Error("websocket error"));
    if (!this.active) return;
    // Half of it by chance, or all pages would come back to a server that was restarted at the same moment.
    const delay = Math.min(LONGEST, FIRST * 2 ** this.#attempt++) * (0.5 + Math.random() / 2);
    this.#timer = setTimeout(() => this.#again(), delay);
  }

  #again() {
    if (!this.active || this.#socket) return;
    this.#tell("reconnect_attempt", this.#attempt);
    this.connect();
  }
}

/** A frame is JSON, in which bytes are base64. */
function toBase64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}

/** Bytes as they come: of the official client an ArrayBuffer, of a plain connection base64. */
export function fromWire(data) {
  return typeof data === "string" ? Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0)).buffer : data;
}
