// The page of examples/chat in a headless Chromium, served from another origin than the gateway: a page on one port, the
// gateway on another behind a relay that can be cut. No client option is given anywhere, so the client polls first.
import assert from "node:assert/strict";
import { after, before, beforeEach, afterEach, describe, test } from "node:test";
import path from "node:path";
import { launchChromium } from "./browsers.mjs";
import { Relay, address, enter, heard, over, picture, png, say, staticHost, visit } from "./chatpage.mjs";
import { eventually, listen, server, unique } from "./support.mjs";

const GATEWAY = server("PERCH_CHAT_URL");
const PAGE = server("PERCH_PAGE");
const SHOTS = server("PERCH_SCREENSHOTS");

let browser, host, relay, pages, pageURL, relayURL;
before(async () => {
  browser = await launchChromium();
  host = staticHost(PAGE);
  relay = new Relay(GATEWAY);
  pageURL = await listen(host);
  relayURL = await listen(relay.server);
});
after(async () => {
  await browser?.close();
  relay?.close();
  host?.closeAllConnections();
  host?.close();
});
beforeEach(() => {
  pages = [];
  relay.mend();
});
afterEach(async () => {
  for (const page of pages) assert.deepEqual(page.problems, [], "the page's own errors");
  await Promise.all(pages.map((page) => page.context().close()));
});

/** A window of its own: another person, or another device. */
async function open({ origin = pageURL, gateway = relayURL, room, plain, ...options } = {}) {
  const page = await visit(browser, address(origin, { gateway, room, plain }), { viewport: { width: 1180, height: 760 }, ...options });
  pages.push(page);
  return page;
}

const shot = (page, name) => page.screenshot({ path: path.join(SHOTS, `${name}.png`) });
const overWebSocket = (page) => over(page, "websocket");

async function pair(room = unique("room"), options = {}) {
  const [ann, ben] = await Promise.all([open({ room, ...options }), open({ room })]);
  await enter(ann, "Ann");
  await enter(ben, "Ben");
  await ann.locator("#members").getByText("Ben", { exact: true }).waitFor();
  return { ann, ben, room };
}

describe("the page on another origin than the gateway", () => {
  test("two windows talk, having begun with polling and gone on to the WebSocket", async () => {
    const { ann, ben, room } = await pair();
    await Promise.all([overWebSocket(ann), overWebSocket(ben)]);
    for (const page of [ann, ben]) {
      assert.deepEqual(page.handshakes, ["polling"]);
      assert.match(await page.locator("#connection").innerText(), /Connected\s+HTTP polling → WebSocket/);
    }
    await say(ann, "Hello Ben");
    await heard(ben, "Hello Ben");
    await say(ben, "Hello Ann\nnice to see you");
    await heard(ann, "Hello Ann\nnice to see you");
    // Each sees what it said itself once, without a mark that it is on its way.
    assert.equal(await ann.getByRole("log").getByText("Hello Ben", { exact: true }).count(), 1);
    await ann.locator('.mine[data-state="sent"]').waitFor();
    assert.match(await ben.locator(".said:not(.mine)").innerText(), /Ann\s+Hello Ben\s+\d/);
    assert.equal(await ann.title(), `#${room} · Perch`);
    await shot(ann, "two-windows");
  });

  test("an image arrives and is shown; a picture too large is made to fit", async () => {
    const { ann, ben } = await pair();
    await ann.locator("#files").setInputFiles([picture("sunset.png", [230, 120, 60])]);
    await ann.getByRole("list", { name: "Images to send" }).getByRole("img").waitFor();
    await say(ann, "Look at that");
    const image = ben.getByRole("img", { name: "Image from Ann: sunset.png" });
    await image.waitFor();
    await eventually(() => image.evaluate((img) => img.complete && img.naturalWidth === 320), "the image is drawn");
    assert.match(await image.getAttribute("src"), /^blob:/);
    await heard(ben, "Look at that");
    await ann.locator(".mine .picture").waitFor();
    await shot(ben, "image");
    await image.click();
    await ben.locator("#viewer[open]").waitFor();
    await ben.keyboard.press("Escape");

    // Noise does not compress: this PNG has far more than 512 KiB.
    await ann.evaluate(async () => {
      const canvas = Object.assign(document.createElement("canvas"), { width: 1400, height: 1000 });
      const context = canvas.getContext("2d"), noise = context.createImageData(1400, 1000);
      for (let at = 0; at < noise.data.length; at += 65_536) crypto.getRandomValues(noise.data.subarray(at, at + 65_536));
      context.putImageData(noise, 0, 0);
      const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
      const transfer = new DataTransfer();
      transfer.items.add(new File([blob], "noise.png", { type: "image/png" }));
      document.getElementById("text").dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true }));
    });
    await ann.getByRole("list", { name: "Images to send" }).getByRole("img").waitFor({ timeout: 30_000 });
    await ann.getByRole("button", { name: "Send", exact: true }).click();
    await ben.getByRole("img", { name: "Image from Ann: noise.png" }).waitFor();
  });

  test("images can be dropped, taken back, and must be images", async () => {
    const { ann, ben } = await pair();
    const drop = (name, bytes) =>
      ann.evaluate(([file, content]) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(content)], file));
        const main = document.querySelector("main");
        for (const type of ["dragenter", "dragover", "drop"]) {
          main.dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
        }
      }, [name, [...bytes]]);
    await drop("notes.txt", Buffer.from("just text"));
    await ann.getByRole("alert").filter({ hasText: "“notes.txt” is not a PNG" }).waitFor();
    await drop("one.png", png(8, 8, [1, 2, 3]));
    await drop("two.png", png(8, 8, [3, 2, 1]));
    await ann.getByRole("button", { name: "Remove one.png" }).click();
    await ann.getByRole("button", { name: "Send", exact: true }).click();
    await ben.getByRole("img", { name: "Image from Ann: two.png" }).waitFor();
    assert.equal(await ben.getByRole("img", { name: /one\.png/ }).count(), 0);
    assert.equal(await ann.locator("#tray").isVisible(), false);
  });

  test("who joins, types and leaves is seen", async () => {
    const { ann, ben } = await pair();
    await heard(ann, "Ben joined");
    assert.equal(await ann.locator("#subtitle").innerText(), "2 people");
    await overWebSocket(ben);
    await ben.getByLabel("Message", { exact: true }).pressSequentially("Let me th");
    await ann.getByText("Ben is typing…").waitFor();
    await shot(ann, "typing");
    await ben.getByRole("button", { name: "Send", exact: true }).click();
    await heard(ann, "Let me th");
    assert.equal(await ann.locator("#typing").innerText(), "");
    await ben.getByRole("button", { name: "Leave" }).click();
    await heard(ann, "Ben left");
    assert.equal(await ann.locator("#subtitle").innerText(), "Only you are here");
    await ben.getByText("You are in no room.").waitFor();
  });

  test("several rooms: each has its own messages, unread ones are counted", async () => {
    const { ann, ben, room } = await pair();
    const second = unique("second");
    await ann.getByLabel("Join another room").fill(second);
    await ann.getByRole("button", { name: "Join", exact: true }).click();
    await ann.getByRole("heading", { level: 1, name: `# ${second}` }).waitFor();
    await say(ben, "Are you still here?");
    const button = ann.getByRole("navigation").getByRole("button", { name: room });
    await button.getByText("1", { exact: true }).waitFor();
    assert.match(await ann.title(), /^\(1\)/);
    assert.equal(await ann.getByRole("log").getByText("Are you still here?").count(), 0);
    await button.click();
    await heard(ann, "Are you still here?");
    await eventually(async () => !(await ann.title()).startsWith("("), "nothing is unread");
    await shot(ann, "rooms");
  });

  test("text is text, whatever it looks like", async () => {
    const { ann, ben } = await pair(unique("<b>room</b>"));
    const evil = `<img src=x onerror="document.title='broken'"><script>document.title='broken'</script>`;
    await say(ann, evil);
    await heard(ben, evil);
    assert.equal(await ben.locator("#log img, #log script").count(), 0);
    await say(ann, "see https://example.com/a?b=c. javascript:alert(1)");
    const link = ben.getByRole("log").getByRole("link");
    await link.waitFor();
    assert.equal(await link.getAttribute("href"), "https://example.com/a?b=c");
    assert.equal(await link.getAttribute("rel"), "noopener noreferrer nofollow");
    assert.doesNotMatch(await ben.title(), /broken/);
  });

  test("what the server refuses is said where it was asked", async () => {
    const page = await open({ room: unique("room") });
    await page.evaluate(() => document.getElementById("name").removeAttribute("maxlength"));
    await enter(page, "Ann");
    await page.getByLabel("Join another room").evaluate((field) => field.removeAttribute("maxlength"));
    await page.getByLabel("Join another room").fill("x".repeat(100));
    await page.getByRole("button", { name: "Join", exact: true }).click();
    await page.getByRole("alert").filter({ hasText: /64/ }).waitFor();
    await say(page, "y".repeat(2001));
    await page.getByRole("alert").filter({ hasText: "2000 characters" }).waitFor();
    assert.equal(await page.locator(".said").count(), 0);
  });

  test("a cut connection is made again, rooms are joined again, what was written meanwhile is sent", async () => {
    const { ann, ben } = await pair();
    await say(ann, "before");
    await heard(ben, "before");
    relay.sever();
    await ann.locator('#connection[data-state="reconnecting"]').waitFor();
    await ben.locator('#connection[data-state="reconnecting"]').waitFor();
    await say(ann, "written while away");
    await ann.getByText("Will be sent when connected").waitFor();
    await shot(ann, "reconnecting");
    relay.mend();
    await ann.getByRole("button", { name: "Try now" }).click().catch(() => {}); // it may have come back by itself
    await Promise.all([ann, ben].map((page) => page.locator('#connection[data-state="connected"]').waitFor()));
    await ann.locator('.mine[data-state="waiting"]').waitFor({ state: "detached" });
    await eventually(async () => (await ann.locator("#members li").count()) === 2, "both are back", 10_000);
    await say(ann, "after");
    await heard(ben, "after");
    assert.equal(await ann.getByRole("log").getByText("written while away", { exact: true }).count(), 1);
  });

  test("a reload stays in its rooms; another name is told to the others", async () => {
    const { ann, ben, room } = await pair();
    await ann.reload();
    await ann.getByRole("heading", { level: 1, name: `# ${room}` }).waitFor();
    assert.equal(await ann.locator("#welcome").isVisible(), false);
    await ann.locator("#members").getByText("Ben", { exact: true }).waitFor();
    await ann.getByRole("button", { name: "Change", exact: true }).click();
    await ann.getByLabel("Your name", { exact: true }).fill("Anna");
    await ann.locator("#welcome").getByRole("button", { name: "Change" }).click();
    await ben.locator("#members").getByText("Anna", { exact: true }).waitFor();
    await say(ann, "it is me");
    await ben.locator(".who").getByText("Anna").waitFor();
  });

  test("keyboard: Enter sends, Shift+Enter does not; a name and a room are enough to begin", async () => {
    const room = unique("keys");
    const page = await open();
    await page.locator("#welcome[open]").waitFor();
    assert.equal(await page.getByLabel("Room", { exact: true }).inputValue(), "lobby");
    await page.keyboard.type("Kim");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Control+A");
    await page.keyboard.type(room);
    await page.keyboard.press("Enter");
    await page.locator("#welcome").waitFor({ state: "hidden" });
    const message = page.getByLabel("Message", { exact: true });
    await eventually(() => message.evaluate((field) => field === document.activeElement), "one may type");
    await page.keyboard.type("one");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("two");
    await page.keyboard.press("Enter");
    await heard(page, "one\ntwo");
    assert.equal(await message.inputValue(), "");
  });

  test("many messages: one stays at the end, or where one reads", async () => {
    const { ann, ben } = await pair();
    const poem = Array.from({ length: 40 }, (_, i) => `line ${i}`).join("\n");
    await say(ben, poem);
    await heard(ann, poem);
    const distance = () => ann.locator("#scroll").evaluate((box) => box.scrollHeight - box.scrollTop - box.clientHeight);
    await eventually(async () => (await distance()) < 5, "the end is in sight");
    await ann.locator("#scroll").evaluate((box) => box.scrollTo(0, 0));
    await eventually(() => ann.locator("#scroll").evaluate((box) => box.scrollTop === 0), "scrolled up");
    await say(ben, "down here");
    const newest = ann.getByRole("button", { name: "New messages below" });
    await newest.waitFor();
    assert.ok((await distance()) > 100);
    await newest.click();
    await eventually(async () => (await distance()) < 5, "the end is in sight again");
    await shot(ann, "many");
  });

  for (const [name, options] of Object.entries({
    "light": { colorScheme: "light" },
    "dark": { colorScheme: "dark" },
    "phone": { colorScheme: "light", viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 },
    "plain": { plain: true, colorScheme: "light" },
    "plain-phone-dark": { plain: true, colorScheme: "dark", viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 },
    "phone-dark": { colorScheme: "dark", viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 },
  })) {
    test(`it fits: ${name}`, async () => {
      const room = unique("garden");
      const ann = await open({ room, ...options });
      await shot(ann, `${name}-welcome`);
      await enter(ann, "Ann Perkins");
      const ben = await open({ room });
      await enter(ben, "Ben");
      const cho = await open({ room, plain: !options.plain });
      await enter(cho, "Cho Wen");
      await over(ann, options.plain ? "plain" : "websocket");
      await say(ben, "Has anybody seen the kestrel this morning?");
      await heard(ann, "Has anybody seen the kestrel this morning?");
      await say(cho, "Yes! On the old oak, around seven.");
      await heard(ann, "Yes! On the old oak, around seven.");
      await cho.locator("#files").setInputFiles([picture("oak.png", [92, 138, 102], [640, 360])]);
      await cho.getByRole("list", { name: "Images to send" }).getByRole("img").waitFor();
      await say(cho, "It stayed until the joggers came by.");
      await ann.getByRole("img", { name: "Image from Cho Wen: oak.png" }).waitFor();
      await heard(ann, "It stayed until the joggers came by.");
      await say(ann, "Lovely. I will bring the long lens tomorrow: https://example.com/lenses");
      await heard(ben, "Lovely. I will bring the long lens tomorrow: https://example.com/lenses");
      await say(ann, "Same time?");
      await ann.locator('.mine[data-state="sent"]').nth(1).waitFor();
      await overWebSocket(ben);
      await ben.getByLabel("Message", { exact: true }).pressSequentially("Count me");
      await ann.getByText("Ben is typing…").waitFor();
      await shot(ann, name);
      const { width, content } = await ann.evaluate(() => ({ width: innerWidth, content: document.documentElement.scrollWidth }));
      assert.ok(content <= width, `${content} pixels in ${width}`);
      if (options.isMobile) {
        await ann.getByRole("button", { name: "Rooms" }).tap();
        await ann.getByLabel("Join another room").waitFor();
        await shot(ann, `${name}-rooms`);
        await ann.keyboard.press("Escape");
        await ann.getByRole("button", { name: "People in this room" }).tap();
        await ann.locator("#members").getByText("Cho Wen").waitFor();
        await shot(ann, `${name}-people`);
      }
    });
  }
});

describe("the page on its gateway's origin", () => {
  test("needs no query", async () => {
    const page = await open({ origin: GATEWAY, gateway: "", room: unique("own") });
    await enter(page, "Ann");
    await overWebSocket(page);
    await say(page, "all by myself");
    await heard(page, "all by myself");
  });
});

describe("which gateway", () => {
  test("an address that is none is named", async () => {
    const page = await open({ gateway: "not an address" });
    await page.getByText("“not an address” is not an address").waitFor();
  });

  test("a link to another host has to be agreed to", async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    const asked = [];
    const requests = [];
    page.on("dialog", (dialog) => {
      asked.push(dialog.message());
      return dialog.dismiss();
    });
    page.on("request", (request) => requests.push(new URL(request.url()).host));
    await page.goto(`${pageURL}/?server=http://gateway.example:3000`);
    await page.getByText("Not connected to gateway.example:3000.").waitFor();
    assert.equal(asked.length, 1);
    assert.deepEqual([...new Set(requests)], [new URL(pageURL).host]);
    await context.close();
  });
});
