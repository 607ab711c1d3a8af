import { setTimeout as pause } from "node:timers/promises";
import { LocalServer, pageHandler } from "./page-server.ts";
import { openRegionPair } from "./region-pair.ts";

const STORY =
  "The tide went out over the flats and left the boats where they lay, each leaning on its own shadow. " +
  "It would be back by evening, on this side of the sea and on the other.";
const WORD_MS = 300;
const BETWEEN_MS = 3_000;

// Two regions, a page that watches them, and an answer that is written again and again.
await using page = await LocalServer.start(await pageHandler());
await using pair = await openRegionPair({ origins: [page.origin] });
const [left, right] = pair.regions;
await using leftServer = await LocalServer.start(left.handler);
await using rightServer = await LocalServer.start(right.handler);
const address = new URL(page.origin);
address.searchParams.set("session", "story");
for (const { origin } of [leftServer, rightServer]) address.searchParams.append("at", origin);
console.log(`${address.href}\nCtrl+C ends it.`);

const stopping = new AbortController();
process.once("SIGINT", () => stopping.abort());
const wait = (ms: number): Promise<void> =>
  pause(ms, undefined, { signal: stopping.signal }).catch(() => undefined);

for (let count = 1; !stopping.signal.aborted; count++) {
  await using writer = await left.logs.start(`story-${count}`, { session: "story" });
  for (const word of STORY.split(/(?<= )/)) {
    if (writer.signal.aborted || stopping.signal.aborted) break;
    await writer.write(word);
    await wait(WORD_MS);
  }
  if (!writer.signal.aborted) await writer.close();
  await wait(BETWEEN_MS);
}
