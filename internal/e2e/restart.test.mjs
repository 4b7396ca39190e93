// Official clients against a Go program that is ended with SIGTERM and started again at the same address: nothing of what it has
// emitted is lost, doubled or out of order, and neither is what they send. Issue 7, Build 6; rows S-6, S-27, S-76.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { disconnectAll, socket, ways } from "./client.mjs";
import { eventually, next, pause, server, within } from "./support.mjs";

const PROGRAM = server("PERCH_PROGRAM");
const EACH = 10; // clients of each way
const RESTARTS = 2;
const LONG = 30_000;

after(disconnectAll);

// An address that nobody gets as that of an outgoing connection while nobody listens on it.
async function address() {
  const probe = net.createServer();
  await new Promise((resolve) => probe.listen(0, "127.0.0.8", resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return `127.0.0.8:${port}`;
}

async function begin(addr, file) {
  const child = spawn(PROGRAM, ["-profile", "restart", "-addr", addr, "-recovery", file], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (text) => (said += text));
  const exited = new Promise((resolve) => child.once("close", (code, signal) => resolve(signal ?? code)));
  await eventually(() => said.includes("listening on"), "the program listens", LONG);
  // What it has emitted when it has ended, as it was asked to.
  const end = async () => {
    child.kill("SIGTERM");
    assert.equal(await within(exited, "the program ends", LONG), 0);
    const [, pid, n] = /^emitted (\d+) (\d+)$/m.exec(said);
    return Array.from({ length: Number(n) }, (_, i) => `${pid}/${i}`);
  };
  return { child, end };
}

test("a program that is restarted loses and doubles nothing", async () => {
  const dir = await mkdtemp(path.join(tmpdir(), "perch-restart-"));
  const file = path.join(dir, "recovery");
  const addr = await address();
  const base = `http://${addr}`;
  let program = await begin(addr, file);
  try {
    assert.equal((await fetch(`${base}/readyz`)).status, 200);
    assert.equal((await fetch(`${base}/livez`)).status, 200);
    const jitter = { reconnectionDelay: 100, reconnectionDelayMax: 1000, randomizationFactor: 0.5, retries: 1000, ackTimeout: 5000 };
    const clients = Object.values(ways).flatMap((way) => Array.from({ length: EACH }, () => socket(base, "/", { ...way, ...jitter })));
    await Promise.all(clients.map((c) => next(c, "connect", LONG)));
    let posting = true;
    for (const c of clients) {
      c.home = c.id;
      c.heard = [];
      c.answers = [];
      c.on("number", (pid, n) => c.heard.push(`${pid}/${n}`));
    }
    const posts = clients.map(async (c) => {
      for (let n = 1; posting; n++) {
        c.answers.push(await c.emitWithAck("post", n));
        await pause(20);
      }
    });

    const emitted = [];
    for (let i = 0; i < RESTARTS; i++) {
      await pause(700);
      const lost = clients.map((c) => next(c, "disconnect", LONG));
      const back = clients.map((c) => within(new Promise((resolve) => c.on("connect", resolve)), "it is back", LONG));
      emitted.push(...(await program.end()));
      assert.deepEqual(await readdir(dir), ["recovery"], "what clients need is in the file and nowhere else");
      await Promise.all(lost);
      program = await begin(addr, file);
      assert.deepEqual(await readdir(dir), [], "it is taken once");
      await Promise.all(back);
      for (const c of clients) assert.deepEqual([c.recovered, c.id], [true, c.home], `restart ${i}`);
    }
    posting = false;
    await within(Promise.all(posts), "everything is acknowledged", LONG);

    // Whoever has the last number of the process before has all of them; the first it heard tells where it came in.
    await eventually(() => clients.every((c) => c.heard.includes(emitted.at(-1))), "the last number", LONG);
    for (const c of clients) {
      const heard = c.heard.slice(0, c.heard.indexOf(emitted.at(-1)) + 1);
      assert.deepEqual(heard, emitted.slice(emitted.indexOf(heard[0])));
      assert.deepEqual(c.answers, c.answers.map((_, i) => [i + 1, i]));
      assert.ok(c.answers.length > 1 && heard.length > 1, `${c.answers.length} answers, ${heard.length} numbers`);
    }
  } finally {
    disconnectAll();
    program.child.kill("SIGKILL");
    await rm(dir, { recursive: true });
  }
});
