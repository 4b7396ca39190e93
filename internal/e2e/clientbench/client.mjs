// The official client, measured like the others: node --expose-gc client.mjs URL SCENARIO CONNECTIONS WARM TIME,
// both times in milliseconds. What the scenarios are is said in server.go and measure.go; it prints what result there is.
import { io } from "socket.io-client";

const [url, scenario, connections, warm, time] = process.argv.slice(2).map((arg, i) => (i < 2 ? arg : Number(arg)));
const BURST = 1000;
const payload = "x".repeat(scenario === "c1k" ? 1024 : 32);

let done = 0;
let stopping = false;

function dial() {
  const transports = [scenario === "poll" ? "polling" : "websocket"];
  const socket = io(url, { forceNew: true, reconnection: false, upgrade: false, transports });
  return new Promise((resolve, reject) => {
    socket.once("connect", () => resolve(socket));
    socket.once("connect_error", reject);
  });
}

/** Connects so many, some of them at a time. */
async function dialAll(n) {
  const all = [];
  const dialing = Array.from({ length: 16 }, async (_, i) => {
    for (let k = i; k < n; k += 16) all.push(await dial());
  });
  await Promise.all(dialing);
  return all;
}

function echo(socket) {
  socket.emit("echo", payload, () => {
    done++;
    echo(socket);
  });
}

function receive(socket) {
  let n = 0;
  socket.on("tick", () => {
    done++;
    if (++n === BURST) {
      n = 0;
      socket.emit("burst", BURST);
    }
  });
  socket.emit("burst", BURST);
}

function send(socket) {
  for (let i = 0; i < BURST; i++) socket.emit("count", payload);
  socket.emit("sync", () => send(socket));
}

async function connectAgainAndAgain() {
  while (!stopping) {
    const socket = await dial();
    done++;
    socket.disconnect();
  }
}

const loads = {
  c1: echo,
  c1k: echo,
  poll: echo,
  c16: (socket) => {
    for (let i = 0; i < 16; i++) echo(socket);
  },
  recv: receive,
  send,
};

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const usage = async () => (await fetch(`${url}/usage`)).json();
const seconds = () => performance.now() / 1000;
const processTime = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

async function resident() {
  for (let i = 0; i < 5; i++) {
    globalThis.gc();
    await pause(100);
  }
  return process.memoryUsage().rss;
}

/** How much the process grows with each connection. Those before the first are what any number costs. */
async function measureIdle() {
  const first = await dialAll(Math.min(100, connections));
  const before = await resident();
  const rest = await dialAll(connections);
  const bytes = ((await resident()) - before) / connections;
  for (const socket of [...first, ...rest]) socket.disconnect();
  return { bytes };
}

async function measureRate() {
  const sockets = scenario === "conn" ? [] : await dialAll(connections);
  for (const socket of sockets) {
    socket.on("disconnect", (reason) => {
      if (!stopping) throw new Error(`a connection ended: ${reason}`);
    });
    loads[scenario](socket);
  }
  if (scenario === "conn") for (let i = 0; i < connections; i++) connectAgainAndAgain();
  await pause(warm);
  const server = await usage();
  const [begin, cpu, events] = [seconds(), processTime(), done];
  await pause(time);
  const result = { events: done - events, seconds: seconds() - begin, cpu: processTime() - cpu };
  const after = await usage();
  result.server = (after.cpu - server.cpu) / (after.seconds - server.seconds);
  if (scenario === "send") {
    result.events = after.events - server.events;
    result.seconds = after.seconds - server.seconds;
  }
  stopping = true;
  return result;
}

console.log(JSON.stringify(await (scenario === "idle" ? measureIdle() : measureRate())));
process.exit(0);
