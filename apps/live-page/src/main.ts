import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { LocalServer, pageHandler } from "./page-server.ts";
import { openRegionPair } from "./region-pair.ts";

const STORY =
  "The tide went out over the flats and left the boats where they lay, each leaning on its own shadow. " +
  "It would be back by evening, on this side of the sea and on the other.";
const WORD_MS = 300;

// Two regions, a page that watches them, and an answer that is written again and again.
await using page = await LocalServer.start(await pageHandler(), 8_080);
await using pair = await openRegionPair({ origins: [page.origin] });
const [left, right] = pair.regions;
await using leftServer = await LocalServer.start(left.handler);
await using rightServer = await LocalServer.start(right.handler);
const address = new URL(page.origin);
address.searchParams.set("session", "story");
for (const { origin } of [leftServer, rightServer]) address.searchParams.append("at", origin);
console.log(`${address.href}\nCtrl+C ends it.`);

const interrupted = once(process, "SIGINT").then(() => true);
for (let count = 1; ; count++) {
  const writer = await left.logs.start(`story-${count}-${Date.now()}`, { session: "story" });
  for (const word of STORY.split(/(?<= )/)) {
    if (writer.signal.aborted) break;
    await writer.write(word);
    if (await Promise.race([pause(WORD_MS), interrupted])) process.exit();
  }
  if (!writer.signal.aborted) await writer.close();
  await pause(3_000);
}
