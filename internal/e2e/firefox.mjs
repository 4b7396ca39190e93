// A headless Firefox, driven by WebDriver BiDi, which Debian's speaks without a driver of its own (playwright needs a
// Firefox that it has patched). Only what browsers.mjs needs of it: https://w3c.github.io/webdriver-bidi
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { tmpdir } from "node:os";
import path from "node:path";
import readline from "node:readline";
import { WebSocket } from "ws";
import { within } from "./support.mjs";

/** How long Firefox may take to start, on a machine that is busy with other tests. */
const STARTING = 60_000;

/** How long it may take to answer or to end; what a page is asked may take its time. */
const ANSWERING = 60_000;

/** What a fresh profile says besides Firefox's own settings for automation: no errand of its own on any network. */
const prefs = {
  "app.normandy.enabled": false,
  "app.update.disabledForTesting": true,
  "browser.aboutwelcome.enabled": false,
  "browser.backup.enabled": false,
  "browser.newtabpage.enabled": false,
  "browser.safebrowsing.malware.enabled": false,
  "browser.safebrowsing.phishing.enabled": false,
  "browser.safebrowsing.update.enabled": false,
  "browser.search.update": false,
  "browser.startup.page": 0,
  "datareporting.healthreport.uploadEnabled": false,
  "datareporting.policy.dataSubmissionEnabled": false,
  "dom.push.connection.enabled": false,
  "extensions.getAddons.cache.enabled": false,
  "extensions.systemAddon.update.enabled": false,
  "extensions.update.enabled": false,
  "geo.provider.testing": true,
  "messaging-system.rsexperimentloader.enabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "network.proxy.type": 0,
  "nimbus.rollouts.enabled": false,
  "services.settings.server": "data:,#remote-settings-dummy/v1",
  "toolkit.telemetry.enabled": false,
  "toolkit.telemetry.server": "data:,",
};

export class Firefox {
  #process;
  #profile;
  #socket;
  #serial = 0;
  #asked = new Map(); // id of a command → how its promise ends
  #pages = new Map(); // browsing context → its page

  static async launch(executable = process.env.PERCH_FIREFOX ?? "/usr/bin/firefox-esr") {
    const firefox = new Firefox();
    try {
      await firefox.#start(executable);
    } catch (error) {
      await firefox.close();
      throw error;
    }
    return firefox;
  }

  async #start(executable) {
    this.#profile = await mkdtemp(path.join(tmpdir(), "perch-firefox-"));
    await writeFile(path.join(this.#profile, "user.js"),
      Object.entries(prefs).map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`).join(""));
    this.#process = spawn(executable, ["--headless", "--profile", this.#profile, "--remote-debugging-port", "0", "about:blank"], {
      // It does not start as root in the home of somebody else, and leaves something in any home.
      env: { ...process.env, HOME: this.#profile, MOZ_CRASHREPORTER_DISABLE: "1" },
      stdio: ["ignore", "ignore", "pipe"],
    });
    const said = [];
    const url = await within(new Promise((resolve, reject) => {
      const end = (why) => reject(new Error(`${executable}: ${why}\n${said.join("\n")}`));
      this.#process.on("error", (error) => end(error.message)).on("exit", (code, signal) => end(`ended (${code ?? signal})`));
      readline.createInterface({ input: this.#process.stderr }).on("line", (line) => {
        const listening = /^WebDriver BiDi listening on (\S+)/.exec(line);
        if (listening) resolve(listening[1]);
        if (said.length < 20) said.push(line);
      });
    }), `${executable} to listen`, STARTING);
    this.#socket = new WebSocket(`${url}/session`, { perMessageDeflate: false });
    this.#socket.on("message", (data) => this.#hear(JSON.parse(data)));
    this.#socket.on("close", () => {
      for (const { reject } of this.#asked.values()) reject(new Error("Firefox has ended"));
      this.#asked.clear();
    });
    await within(once(this.#socket, "open"), "a connection to Firefox");
    await this.send("session.new", { capabilities: {} });
    await this.send("session.subscribe", { events: ["log.entryAdded"] });
  }

  #hear({ type, id, method, params, result, error, message }) {
    if (type === "event") {
      // Uncaught errors of a page. What it logs is of another type; what Firefox says about its WebSockets is not, but
      // comes from nowhere in it.
      if (method === "log.entryAdded" && params.type === "javascript" && params.level === "error" &&
          (params.stackTrace || /^(\w*Error|uncaught exception): /.test(params.text))) {
        this.#pages.get(params.source.context)?.problems.push(params.text);
      }
      return;
    }
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    if (type === "success") asked?.resolve(result);
    else asked?.reject(new Error(`${asked.method}: ${error}: ${message}`));
  }

  /** Sends a command of WebDriver BiDi and gives its result. */
  send(method, params) {
    const id = ++this.#serial;
    const answer = new Promise((resolve, reject) => this.#asked.set(id, { method, resolve, reject }));
    this.#socket.send(JSON.stringify({ id, method, params }));
    return within(answer, `Firefox's answer to ${method}`, ANSWERING);
  }

  /** A page with cookies and storage of its own. */
  async open(url) {
    const { userContext } = await this.send("browser.createUserContext", {});
    const { context } = await this.send("browsingContext.create", { type: "tab", userContext });
    const page = new Page(this, userContext, context);
    this.#pages.set(context, page);
    await this.send("browsingContext.navigate", { context, url, wait: "complete" });
    return page;
  }

  async close() {
    if (this.#process?.pid && this.#process.exitCode === null && this.#process.signalCode === null) {
      const exited = once(this.#process, "exit");
      if (this.#socket?.readyState === WebSocket.OPEN) this.send("browser.close", {}).catch(() => {});
      else this.#process.kill();
      await within(exited, "Firefox to end", ANSWERING).catch(() => this.#process.kill("SIGKILL"));
    }
    this.#socket?.terminate();
    // Firefox's helpers may write a moment longer than it lives.
    if (this.#profile) await rm(this.#profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  }
}

class Page {
  /** Uncaught errors of the page, in its own words. */
  problems = [];
  #firefox;
  #userContext;
  #context;

  constructor(firefox, userContext, context) {
    this.#firefox = firefox;
    this.#userContext = userContext;
    this.#context = context;
  }

  async evaluate(fn, argument) {
    const { type, result, exceptionDetails } = await this.#firefox.send("script.callFunction", {
      functionDeclaration: `async (argument) => JSON.stringify(await (${fn})(JSON.parse(argument)))`,
      arguments: [{ type: "string", value: JSON.stringify(argument ?? null) }],
      target: { context: this.#context },
      awaitPromise: true,
    });
    if (type === "exception") throw new Error(`in the page: ${exceptionDetails.text}`);
    return result.value === undefined ? undefined : JSON.parse(result.value);
  }

  async close() {
    await this.#firefox.send("browser.removeUserContext", { userContext: this.#userContext });
  }
}
