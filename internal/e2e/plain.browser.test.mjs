// The page of examples/chat where the official client cannot be loaded, in one room with pages that have it: more of it in
// Chromium, the main things in Chromium and Firefox. Each kind has a relay to the gateway of its own, and the one of those
// without a client ends every request for it.
import assert from "node:assert/strict";
import net from "node:net";
import { after, afterEach, before, describe, test } from "node:test";
import path from "node:path";
import { browsers, launchChromium } from "./browsers.mjs";
import { Relay, address, enter, heard, over, picture, png, say, visit } from "./chatpage.mjs";
import { eventually, listen, server, unique, within } from "./support.mjs";

const GATEWAY = server("PERCH_CHAT_URL");
const BARE = server("PERCH_BARE_CHAT_URL"); // the program as it is on a machine that has no client for it
const SHOTS = server("PERCH_SCREENSHOTS");
const kinds = ["websocket", "plain"]; // as the page calls what it is connected over
const other = { websocket: "plain", plain: "websocket" };

const relays = {};
let chromium;
before(async () => {
  for (const kind of kinds) {
    relays[kind] = new Relay(GATEWAY, { withoutClient: kind === "plain" });
    relays[kind].url = await listen(relays[kind].server);
  }
  chromium = await launchChromium();
});
after(async () => {
  await chromium?.close();
  for (const relay of Object.values(relays)) relay.close();
});

const pages = [];
afterEach(async () => {
  for (const kind of kinds) relays[kind].mend();
  const closed = pages.splice(0);
  await Promise.all(closed.map(({ close }) => close()));
  for (const { page } of closed) assert.deepEqual(page.problems, [], "the page's own errors");
});

describe("the page without its client, in Chromium", () => {
  async function open(kind, { browser = chromium, origin = relays[kind].url, ...where } = {}) {
    const page = await visit(browser, address(origin, where), { viewport: { width: 1180, height: 760 } });
    pages.push({ page, close: () => page.context().close() });
    return page;
  }

  async function person(kind, name, room) {
    const page = await open(kind, { room });
    await enter(page, name);
    await over(page, kind);
    return page;
  }

  async function pair(kind = "plain") {
    const room = unique("room");
    const [ann, ben] = await Promise.all([person(kind, "Ann", room), person(other[kind], "Ben", room)]);
    for (const page of [ann, ben]) await eventually(async () => (await page.locator("#members li").count()) === 2, "both are there");
    return { ann, ben, room };
  }

  const image = (page, from, name) => page.getByRole("img", { name: `Image from ${from}: ${name}` });
  const texts = (page) => page.locator("#log .text span").allInnerTexts();

  test("it uses the browser's WebSocket, says so, and asked for the client first", async () => {
    const before = relays.plain.refused;
    const { ann, ben } = await pair();
    assert.match(await ann.locator("#connection").innerText(), /^Connected\s+Plain WebSocket$/);
    assert.match(await ann.locator("#connection").getAttribute("title"), /cannot be loaded/);
    assert.match(await ben.locator("#connection").innerText(), /Connected\s+HTTP polling → WebSocket/);
    assert.equal(await ben.locator("#connection").getAttribute("title"), "");
    assert.ok(relays.plain.refused > before);
    assert.deepEqual(ann.handshakes, []);
  });

  for (const kind of kinds) {
    test(`${kind} talks to ${other[kind]}: messages, images, who types, comes and goes`, async () => {
      const { ann, ben } = await pair(kind);
      await say(ann, "h\u00e9llo <b>\u{1F426}</b>\nsecond line");
      await heard(ben, "h\u00e9llo <b>\u{1F426}</b>\nsecond line");
      await ann.locator('.mine[data-state="sent"]').waitFor();
      await ann.locator("#files").setInputFiles([picture("wood.png", [92, 138, 102])]);
      await ann.getByRole("list", { name: "Images to send" }).getByRole("img").waitFor();
      await ann.getByRole("button", { name: "Send", exact: true }).click();
      await image(ben, "Ann", "wood.png").waitFor();
      await eventually(() => image(ben, "Ann", "wood.png").evaluate((img) => img.complete && img.naturalWidth === 320), "the image is drawn");
      await eventually(async () => (await ann.locator('.mine[data-state="sent"]').count()) === 2, "both were acknowledged");
      await ann.getByLabel("Message", { exact: true }).pressSequentially("Well");
      await ben.getByText("Ann is typing…").waitFor();
      await ann.getByRole("button", { name: "Change", exact: true }).click();
      await ann.getByLabel("Your name", { exact: true }).fill("Anna");
      await ann.locator("#welcome").getByRole("button", { name: "Change" }).click();
      await ben.locator("#members").getByText("Anna", { exact: true }).waitFor();
      await ann.getByRole("button", { name: "Leave" }).click();
      await heard(ben, "Anna left");
      assert.equal(await ben.locator("#members li").count(), 1);
    });

    test(`${kind}: who comes later is told what was said, images too, and after a reload what was one's own`, async () => {
      const { ann, ben, room } = await pair(kind);
      await say(ann, "first");
      await heard(ben, "first");
      await ben.locator("#files").setInputFiles([{ name: "tiny.png", mimeType: "image/png", buffer: png(12, 8, [9, 9, 9]) }]);
      await ben.getByRole("list", { name: "Images to send" }).getByRole("img").waitFor();
      await say(ben, "second");
      await heard(ann, "second");
      for (const late of [await person(kind, "Cho", room), await person(other[kind], "Dee", room)]) {
        await heard(late, "second");
        await image(late, "Ben", "tiny.png").waitFor();
        assert.deepEqual(await texts(late), ["first", "second"]);
        assert.equal(await late.locator(".mine").count(), 0);
        assert.equal(await late.title(), `#${room} · Perch`, "it is not news");
      }
      await ann.reload();
      await heard(ann, "second");
      assert.deepEqual(await ann.locator(".mine .text span").allInnerTexts(), ["first"]);
    });

    test(`${kind}: a cut connection is made again, and what both said meanwhile arrives`, async () => {
      const { ann, ben, room } = await pair(kind);
      await say(ann, "before");
      await heard(ben, "before");
      relays[kind].sever();
      await ann.locator('#connection[data-state="reconnecting"]').waitFor();
      await heard(ben, "Ann left");
      await say(ben, "missed");
      await say(ann, "written while away");
      await ann.getByText("Will be sent when connected").waitFor();
      relays[kind].mend();
      await heard(ben, "written while away");
      await heard(ann, "missed");
      await over(ann, kind);
      assert.deepEqual((await texts(ann)).toSorted(), ["before", "missed", "written while away"]);
      await eventually(async () => (await ann.locator("#members li").count()) === 2, "both are there");
      const late = await person("plain", "Cho", room);
      await heard(late, "written while away");
      assert.deepEqual(await texts(late), ["before", "missed", "written while away"]);
    });
  }

  test("what the server refuses is said where it was asked", async () => {
    const page = await person("plain", "Ann", unique("room"));
    const field = page.getByLabel("Join another room");
    await field.evaluate((input) => input.removeAttribute("maxlength"));
    await field.fill("x".repeat(100));
    await page.getByRole("button", { name: "Join", exact: true }).click();
    await page.getByRole("alert").filter({ hasText: /64/ }).waitFor();
  });

  test("text is text, whatever it looks like, also in the history", async () => {
    const room = unique("<i>room</i>");
    const evil = `<img src=x onerror="document.title='broken'"><script>document.title='broken'</script>`;
    await say(await person("plain", "<b>Ann</b>", room), evil);
    const late = await person("plain", "Cho", room);
    await heard(late, evil);
    await late.locator(".who").getByText("<b>Ann</b>", { exact: true }).waitFor();
    assert.equal(await late.locator("#log img, #log script, #log b").count(), 0);
    assert.doesNotMatch(await late.title(), /broken/);
  });

  // On a machine that has Go and nothing else: the program points to the CDN, which the browser does not reach.
  for (const how of ["has no address", "does not answer"]) {
    test(`without a network: the CDN ${how}`, async (t) => {
      const asked = [];
      const silent = net.createServer((socket) => asked.push(socket.on("error", () => {})));
      const cdn = how === "does not answer" ? new URL(await listen(silent)).host : "~NOTFOUND";
      const browser = await launchChromium(`--host-resolver-rules=MAP * ${cdn}, EXCLUDE 127.0.0.1`);
      t.after(async () => {
        await browser.close();
        for (const socket of asked) socket.destroy();
        silent.close();
      });
      const room = unique("room");
      const [ann, ben] = await Promise.all([1, 2].map(() => open("plain", { browser, origin: BARE, room })));
      if (how === "does not answer") {
        await eventually(() => asked.length > 0, "the CDN is asked");
        await ann.screenshot({ path: path.join(SHOTS, "loading.png") });
      }
      await enter(ann, "Ann");
      await enter(ben, "Ben");
      await over(ann, "plain");
      await say(ann, "all by ourselves");
      await heard(ben, "all by ourselves");
      await ann.screenshot({ path: path.join(SHOTS, "without-network.png") });
    });
  }

  test("where nobody listens it goes on trying", async () => {
    const page = await open("plain", { gateway: await nobody(), room: unique("room"), plain: true });
    await enter(page, "Ann");
    await page.locator('#connection[data-state="reconnecting"]').waitFor();
    await page.getByText("The connection is lost. What you write is sent when it is back.").waitFor();
  });
});

/** A port of this machine that nobody listens on now. */
async function nobody() {
  const relay = new Relay(GATEWAY);
  const url = await listen(relay.server);
  relay.close();
  return url;
}

for (const browser of browsers()) {
  describe(`both kinds in one room, in ${browser.name}`, () => {
    after(() => browser.close());

    async function person(kind, name, room) {
      const page = await browser.open(address(relays[kind].url, { room }));
      pages.push({ page, close: () => page.close() });
      const act = (what, value) => within(page.evaluate(drive, { what, value }), `${name}: ${what} ${value}`, 15_000);
      await act("enter", name);
      await act("transport", kind);
      return act;
    }

    test("messages, images, who types and who is there, and all of it again when both were cut", async () => {
      const room = unique("room");
      const ann = await person("websocket", "Ann", room);
      const ben = await person("plain", "Ben", room);
      const people = [[ann, ben], [ben, ann]];
      for (const when of ["at first", "again"]) {
        await Promise.all([ann("members", ["Ann", "Ben"]), ben("members", ["Ann", "Ben"])]);
        for (const [one, another] of people) {
          const from = one === ann ? "Ann" : "Ben";
          await one("type", "Let me");
          await another("typing", `${from} is typing…`);
          await one("say", `${from} ${when}`);
          await Promise.all([ann("hears", `${from} ${when}`), ben("hears", `${from} ${when}`)]);
          await one("picture", `${from} ${when}.png`);
          await another("sees", `Image from ${from}: ${from} ${when}.png`);
        }
        if (when === "again") break;
        for (const kind of kinds) relays[kind].sever();
        await Promise.all([ann("state", "reconnecting"), ben("state", "reconnecting")]);
        for (const kind of kinds) relays[kind].mend();
        await Promise.all([ann("state", "connected"), ben("state", "connected")]);
        await Promise.all([ann("transport", "websocket"), ben("transport", "plain")]);
      }
      const late = await person("plain", "Cho", room);
      await late("sees", "Image from Ben: Ben again.png");
      for (const said of ["Ann at first", "Ben at first", "Ann again", "Ben again"]) await late("hears", said);
    });
  });
}

/** Runs in the page: does or awaits one thing. */
async function drive({ what, value }) {
  const $ = (selector) => document.querySelector(selector);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const until = async (check) => {
    while (!check()) await new Promise((resolve) => setTimeout(resolve, 20));
  };
  const write = (text) => {
    $("#text").value = text;
    $("#text").dispatchEvent(new Event("input", { bubbles: true }));
  };
  switch (what) {
    case "enter":
      await until(() => $("#welcome").open);
      $("#welcome form").elements.name.value = value;
      $("#welcome form").requestSubmit();
      return until(() => !$("#welcome").open);
    case "transport":
      return until(() => $("#connection").dataset.transport === value);
    case "state":
      return until(() => $("#connection").dataset.state === value);
    case "members":
      return until(() => all("#members .name").map((name) => name.textContent).join() === value.join());
    case "type":
      return write(value);
    case "typing":
      return until(() => $("#typing").textContent === value);
    case "say":
      write(value);
      return $("#composer").requestSubmit();
    case "hears":
      return until(() => all("#log .text span").some((text) => text.textContent === value));
    case "picture": {
      const canvas = Object.assign(document.createElement("canvas"), { width: 16, height: 16 });
      canvas.getContext("2d").fillRect(0, 0, 8, 16);
      const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
      const transfer = new DataTransfer();
      transfer.items.add(new File([blob], value, { type: "image/png" }));
      $("#files").files = transfer.files;
      $("#files").dispatchEvent(new Event("change", { bubbles: true }));
      await until(() => $("#tray img"));
      return $("#composer").requestSubmit();
    }
    case "sees":
      return until(() => all("#log img").some((image) => image.alt === value && image.naturalWidth === 16));
    default:
      throw new Error(what);
  }
}
