// The browsers of the tests, both the system's own and headless: Chromium, driven by playwright, and Firefox, driven by
// firefox.mjs. A suite that wants more of Chromium than a page to run something in launches it alone, by launchChromium.
//
//	for (const browser of browsers()) {
//	  describe(browser.name, () => {
//	    after(() => browser.close());
//	    test("…", async () => {
//	      const page = await browser.open("http://127.0.0.1:…");
//	      assert.equal(await page.evaluate(async ({ url }) => …, { url }), …);
//	      assert.deepEqual(page.problems, []); // its uncaught errors
//	      await page.close();
//	    });
//	  });
//	}
//
// The Go side of a suite gives it browserEnv(t), which fails where one is not installed.
import { chromium } from "playwright-core";
import { Firefox } from "./firefox.mjs";

/** The system's Chromium, as root too, without errands of its own on any network. more are further arguments. */
export function launchChromium(...more) {
  return chromium.launch({
    executablePath: process.env.PERCH_CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", ...more,
    ],
  });
}

/**
 * Both browsers, in the same shape. Neither is started before its first page.
 *
 * open(url) gives a page, loaded, with cookies and storage of its own. Its evaluate(fn, argument) runs a function in it,
 * which sees nothing of the file it stands in, and gives what it returns or what its promise becomes: argument and result
 * are JSON, and an error is thrown here. close() of a page closes the page, of a browser everything.
 */
export function browsers() {
  return [new Browser("Chromium", launchChromium, openChromium), new Browser("Firefox", () => Firefox.launch(), (firefox, url) => firefox.open(url))];
}

class Browser {
  #launch;
  #open;
  #launched;

  constructor(name, launch, open) {
    this.name = name;
    this.#launch = launch;
    this.#open = open;
  }

  async open(url) {
    this.#launched ??= this.#launch();
    return this.#open(await this.#launched, url);
  }

  async close() {
    await (await this.#launched?.catch(() => {}))?.close();
  }
}

async function openChromium(chromium, url) {
  const context = await chromium.newContext();
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  await page.goto(url);
  return {
    problems,
    async evaluate(fn, argument) {
      const result = await page.evaluate(`(async (argument) => JSON.stringify(await (${fn})(argument)))(${JSON.stringify(argument ?? null)})`);
      return result === undefined ? undefined : JSON.parse(result);
    },
    close: () => context.close(),
  };
}
