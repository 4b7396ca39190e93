// browsers() itself: a page is the same in both, so that a suite that asks for both has asked both.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import http from "node:http";
import { browsers } from "./browsers.mjs";
import { listen } from "./support.mjs";

let host, url;
before(async () => {
  host = http.createServer((request, response) => {
    const script = request.url === "/broken" ? "if (</script><script>window.ready = true; missing()" : "window.ready = true";
    response.writeHead(200, { "content-type": "text/html" }).end(`<!doctype html><title>Page</title><script>${script}</script>`);
  });
  url = await listen(host);
});
after(() => {
  host.closeAllConnections();
  host.close();
});

for (const browser of browsers()) {
  describe(browser.name, () => {
    after(() => browser.close());

    test("a page is asked, and answers in JSON", async () => {
      const page = await browser.open(url);
      assert.match(await page.evaluate(() => navigator.userAgent), browser.name === "Firefox" ? /Firefox\// : /Chrome\//);
      assert.deepEqual(await page.evaluate(async ({ n }) => ({ n: await Promise.resolve(n + 1), ready: window.ready, title: document.title }), { n: 1 }),
        { n: 2, ready: true, title: "Page" });
      assert.equal(await page.evaluate(() => {}), undefined);
      await assert.rejects(page.evaluate(async () => missing()), /missing is not defined/);
      assert.deepEqual(page.problems, []);
      await page.close();
    });

    test("what is wrong with a page is known, what is wrong with the network is not its fault", async () => {
      const page = await browser.open(`${url}/broken`);
      await page.evaluate(async () => {
        await fetch("http://127.0.0.1:1/").catch(() => {});
        await new Promise((resolve) => new WebSocket("ws://127.0.0.1:1/").addEventListener("close", resolve));
      });
      assert.match(page.problems.join("\n"), /^SyntaxError: .*\n(ReferenceError|Error): missing is not defined$/);
      await page.close();
    });

    test("each page has its own cookies", async () => {
      const [one, other] = [await browser.open(url), await browser.open(url)];
      await one.evaluate(() => (document.cookie = "taste=sweet"));
      assert.equal(await one.evaluate(() => document.cookie), "taste=sweet");
      assert.equal(await other.evaluate(() => document.cookie), "");
      await Promise.all([one.close(), other.close()]);
    });
  });
}
