import { once } from "node:events";
import { openLive, openMemoryReplayStore, type StreamWriter } from "@tidemark/live";
import { liveHandler } from "@tidemark/live-http";
import { watchSession } from "@tidemark/live-http/client";
import { haveChromium, openFaultProxy, type FaultProxy } from "@tidemark/servers";
import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { AnswerPiece, AnswerView } from "../src/answer.ts";
import { LocalServer, pageHandler } from "../src/page-server.ts";
import { openRegionPair, type RegionPair } from "../src/region-pair.ts";

const program = await haveChromium();
const EVENTS_MAX = 8;

/** Two regions behind links that can be cut, and pages that watch them. */
class World implements AsyncDisposable {
  readonly pair: RegionPair;
  readonly proxies: readonly [FaultProxy, FaultProxy];
  readonly #page: LocalServer;
  readonly #browser: Browser;
  readonly #servers: readonly LocalServer[];

  private constructor(
    browser: Browser,
    page: LocalServer,
    pair: RegionPair,
    servers: readonly LocalServer[],
    proxies: readonly FaultProxy[],
  ) {
    this.#browser = browser;
    this.#page = page;
    this.pair = pair;
    this.#servers = servers;
    this.proxies = proxies as [FaultProxy, FaultProxy];
  }

  static async open(browser: Browser): Promise<World> {
    const page = await LocalServer.start(await pageHandler());
    const pair = await openRegionPair({ origins: [page.origin], eventsMax: EVENTS_MAX });
    const servers = await Promise.all(pair.regions.map(({ handler }) => LocalServer.start(handler)));
    const proxies = await Promise.all(servers.map(({ port }) => openFaultProxy({ target: port })));
    return new World(browser, page, pair, servers, proxies);
  }

  /** Opens a page that watches the session "s". */
  async watch(): Promise<Page> {
    const page = await this.#browser.newPage();
    const address = new URL(this.#page.origin);
    address.searchParams.set("session", "s");
    for (const { port } of this.proxies) address.searchParams.append("at", `http://127.0.0.1:${port}`);
    await page.goto(address.href);
    await shows(page, "link", "live");
    return page;
  }

  /** Begins an answer in the first region. */
  start(): Promise<StreamWriter> {
    return this.pair.regions[0].logs.start("turn", { session: "s" });
  }

  /** Resolves once the first region has told whoever can reach it so much. */
  async toldBehindTheLink(text: string): Promise<void> {
    let told = "";
    for await (const item of watchSession<AnswerView, AnswerPiece>({
      url: `${this.#servers[0]!.origin}/sessions/s`,
    })) {
      if (item.kind === "observation") told = item.observation.view.text;
      if (item.kind === "event" && item.event.payload.kind === "turn_activity")
        told += item.event.payload.activity.text;
      if (told === text) return;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of [...this.proxies, ...this.#servers, this.pair, this.#page])
      await one[Symbol.asyncDispose]();
  }
}

/** Writes words, each an event of its own. */
async function write(writer: StreamWriter, words: readonly string[]): Promise<void> {
  for (const word of words) {
    await writer.write(word);
    await writer.flush();
  }
}

/** Waits until an element of the page says something. */
async function shows(page: Page, id: string, text: string): Promise<void> {
  await page.waitForFunction(
    `document.getElementById(${JSON.stringify(id)}).textContent.trim() === ${JSON.stringify(text.trim())}`,
  );
}

/** Lines that anybody would write: what they hear, in order. */
const LISTENER = (url: string): string => `
  globalThis.heard = [];
  globalThis.source = new EventSource(${JSON.stringify(url)});
  source.onmessage = ({ data }) => heard.push(JSON.parse(data).payload.activity ?? "done");
  source.addEventListener("observation", ({ data }) => heard.push("now " + JSON.parse(data).view));
  source.addEventListener("gap", ({ data }) => heard.push("gap " + JSON.parse(data).observation.view));
  source.onerror = () => {
    const what = source.readyState === EventSource.CLOSED ? "closed" : "lost";
    // It may come back more than once before the link does.
    if (heard.at(-1) !== what) heard.push(what);
  };
`;

const words = (from: number, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `word-${from + index} `);

describe.skipIf(program === undefined)("in a real browser", () => {
  let browser: Browser;
  beforeAll(async () => {
    const { path, env } = program!;
    browser = await chromium.launch({ executablePath: path, env: { ...process.env, ...env } });
  });
  afterAll(() => browser?.close());

  test("LIV-8 LIV-10: the link to a region is cut, the page goes on in the other and back: the text is whole, once", async () => {
    await using world = await World.open(browser);
    const [left, right] = world.proxies;
    const page = await world.watch();
    const writer = await world.start();
    await write(writer, words(0, 5));
    await shows(page, "text", words(0, 5).join(""));
    left.cut();
    await write(writer, words(5, 5));
    await shows(page, "text", words(0, 10).join(""));
    await shows(page, "region", `127.0.0.1:${right.port}`);
    right.cut();
    await write(writer, words(10, 5));
    left.heal();
    await shows(page, "text", words(0, 15).join(""));
    await shows(page, "region", `127.0.0.1:${left.port}`);
    await write(writer, words(15, 5));
    await writer.close();
    await shows(page, "turn", "done");
    expect(await page.locator("#text").textContent()).toBe(words(0, 20).join(""));
    await page.close();
  });

  test("LIV-5 LIV-10: a page that was offline for longer than events are held says that there is a gap, and shows all the same", async () => {
    await using world = await World.open(browser);
    const page = await world.watch();
    const writer = await world.start();
    await write(writer, words(0, 3));
    await shows(page, "text", words(0, 3).join(""));
    for (const proxy of world.proxies) proxy.cut();
    await page.locator("#links", { hasText: "offline" }).waitFor();
    const told = world.toldBehindTheLink(words(0, 3 + 3 * EVENTS_MAX).join(""));
    await write(writer, words(3, 3 * EVENTS_MAX));
    await told;
    world.proxies[0].heal();
    await shows(page, "text", words(0, 3 + 3 * EVENTS_MAX).join(""));
    expect(await page.locator("#links").textContent()).toMatch(/offline.* gap \(trimmed\)/);
    await page.close();
  });

  test("LIV-9 LIV-10: closing the tab stops nothing; the button does, in the other region", async () => {
    await using world = await World.open(browser);
    const [page, other] = [await world.watch(), await world.watch()];
    const writer = await world.start();
    await write(writer, words(0, 2));
    await shows(other, "text", words(0, 2).join(""));
    await other.close();
    await write(writer, words(2, 2));
    await shows(page, "text", words(0, 4).join(""));
    expect(writer.signal.aborted).toBe(false);
    // What is stopped in one region is stopped where it is written.
    world.proxies[0].cut();
    await shows(page, "region", `127.0.0.1:${world.proxies[1].port}`);
    const stopped = once(writer.signal, "abort");
    await page.locator("#stop").click();
    await stopped;
    await shows(page, "turn", "cancelled");
    await page.close();
  });

  test("B-43: a plain EventSource of a real browser goes on behind its cursor, takes a gap, and stays away after 204", async () => {
    await using page = await LocalServer.start(await pageHandler());
    await using store = openMemoryReplayStore({ eventsMax: 2 });
    let [view, over] = ["", false];
    await using live = openLive({ store, source: { observe: async () => ({ revision: 0, view }) } });
    const handler = liveHandler({
      live,
      authorize: () => true,
      cors: { origins: [page.origin] },
      finished: () => over,
    });
    await using server = await LocalServer.start(handler);
    await using proxy = await openFaultProxy({ target: server.port });
    const tab = await browser.newPage();
    await tab.goto(`${page.origin}/client.js`);
    await tab.evaluate(LISTENER(`http://127.0.0.1:${proxy.port}/sessions/s/events`));
    const hears = (count: number): Promise<unknown> => tab.waitForFunction(`heard.length >= ${count}`);
    const say = (activity: string): Promise<unknown> =>
      store.append("s", 0, { kind: "turn_activity", turn: "t", activity });

    await hears(1);
    await say("a");
    await hears(2);
    proxy.cut();
    await hears(3);
    await say("b");
    proxy.heal();
    await hears(4);
    proxy.cut();
    await hears(5);
    view = "abcdef";
    for (const activity of ["c", "d", "e", "f"]) await say(activity);
    proxy.heal();
    await hears(6);
    over = true;
    await store.append("s", 0, { kind: "turn_state", turn: "t", state: "done" });
    await tab.waitForFunction("source.readyState === EventSource.CLOSED");
    expect(await tab.evaluate("heard")).toEqual([
      "now ",
      "a",
      "lost",
      "b",
      "lost",
      "gap abcdef",
      "done",
      "lost",
      "closed",
    ]);
  });
});
