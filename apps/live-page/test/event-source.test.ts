import { openLive, openMemoryReplayStore } from "@tidemark/live";
import { liveHandler } from "@tidemark/live-http";
import { openFaultProxy } from "@tidemark/servers";
import { expect, test } from "vitest";
import { LocalServer, pageHandler } from "../src/page-server.ts";
import { program, startBrowser } from "./browser.ts";

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

test.skipIf(program === undefined)(
  "B-43: a plain EventSource of a real browser goes on behind its cursor, takes a gap, and stays away after 204",
  async () => {
    await using browser = await startBrowser();
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
  },
);
