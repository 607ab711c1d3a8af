import { openStreamLogs } from "@tidemark/live";
import { openRegion } from "@tidemark/region/node";
import { regionJournal } from "@tidemark/session-store";
import { createInProcessNetwork } from "@tidemark/transport-inprocess";
import { ANSWER_SESSION, ANSWER_STREAM, ANSWER_TTL_MS, answerRegion } from "./answer.ts";

/** Writes words of an answer for ever, and says how many UTF-16 units of it are durable, until it is killed. */
const [dir = ""] = process.argv.slice(2);
const network = createInProcessNetwork();
const region = await openRegion({
  ...answerRegion(dir),
  transport: network.join("us-east"),
  clusterKey: network.clusterKey,
});
const streams = openStreamLogs({
  journal: regionJournal(region, { user: "ada" }),
  ttlMs: ANSWER_TTL_MS,
  coalesceMs: 1,
});
const writer = await streams.start(ANSWER_STREAM, { session: ANSWER_SESSION });
for (let word = 0; ; word++) {
  await writer.write(`${word} `);
  await writer.flush();
  process.stdout.write(`${writer.offset}\n`);
}
