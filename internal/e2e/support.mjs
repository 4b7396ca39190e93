// What every suite here needs: where the servers are, and waiting without sleeping longer than needed.

/** The URL of a server under test; the Go harness starts the servers and sets the variables. */
export function server(variable) {
  const url = process.env[variable];
  if (!url) {
    throw new Error(`${variable} is not set: these suites are run by "go test ./..." in internal/e2e`);
  }
  return url;
}

/** Lets a server of the suite's own listen on a port of its own, and tells its URL. */
export async function listen(server) {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${server.address().port}`;
}

export const PATIENCE = 5000;

/** A promise that fails with a message that says what was waited for. */
export function within(promise, what, ms = PATIENCE) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing within ${ms} ms: ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** The arguments of an emitter's next event; one argument is given bare. */
export function next(emitter, event, ms = PATIENCE) {
  let listener;
  const heard = new Promise((resolve) => {
    listener = (...args) => resolve(args.length > 1 ? args : args[0]);
    emitter.once(event, listener);
  });
  return within(heard, `event "${event}"`, ms).finally(() => emitter.off(event, listener));
}

/** The first n of an emitter's events, in order. */
export function several(emitter, event, n, ms = PATIENCE) {
  const seen = [];
  let listener;
  const heard = new Promise((resolve) => {
    listener = (...args) => {
      seen.push(args.length > 1 ? args : args[0]);
      if (seen.length === n) resolve(seen);
    };
    emitter.on(event, listener);
  });
  return within(heard, `${n} events "${event}"`, ms)
    .catch((err) => {
      err.message += `, ${seen.length} came`;
      throw err;
    })
    .finally(() => emitter.off(event, listener));
}

/** Time passing is itself what some tests are about (a heartbeat, silence). */
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until check() gives something truthy. */
export async function eventually(check, what, ms = PATIENCE) {
  const deadline = Date.now() + ms;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`not so within ${ms} ms: ${what}`);
    await pause(10);
  }
}

let serial = 0;
/** A name no other test uses, so that tests may share a server. */
export const unique = (prefix) => `${prefix}-${process.pid}-${++serial}`;
