// A region over Redis in a process of its own, until it is ended: it writes into one session, a line for each write
// that it was told is durable.
import { openRegion } from "@tidemark/region/node";
import { openRedisTransport } from "../src/index.ts";
import { CLUSTER_KEY } from "./cluster-key.ts";

const [url, dir, name, membersText, firstText, pauseText] = process.argv.slice(2);
const members = JSON.parse(membersText!) as { version: number; regions: Record<string, number> };
const transport = await openRedisTransport({ connection: url!, blockMs: 500, replyTimeoutMs: 1_000 });
const region = await openRegion({
  name: name!,
  members,
  dir: dir!,
  transport,
  clusterKey: CLUSTER_KEY,
  bootstrap: members.regions[name!] === 1,
});
process.stdout.write("open\n");
await region.ready({ timeoutMs: 60_000 });
process.stdout.write("ready\n");
const user = region.users.get("ada");
const session = await user.session(`of-${name}`, { agent: "scout" });
for (let next = Number(firstText); ; next++) {
  const text = `${name} ${next}`;
  process.stdout.write(`try ${text}\n`);
  const [written] = await Promise.all([
    session.annotate(text, { operationId: text }),
    next % 10 === 0 ? session.hide(`item ${text}`, { operationId: `hide ${text}` }) : undefined,
    session.signal(`book-${next % 7}`, "save", 1, { operationId: `signal ${text}` }),
  ]);
  if (written.outcome !== "refused") process.stdout.write(`ack ${text}\n`);
  await new Promise((resolve) => setTimeout(resolve, Number(pauseText)));
}
