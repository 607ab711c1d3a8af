// A process that writes into one region until it is ended: a line for each write it was told is durable.
import { openRegion } from "../src/node.ts";

const [dir, firstText, writersText] = process.argv.slice(2);
const region = await openRegion({ dir: dir! });
process.stdout.write("open\n");
const user = region.users.get("ada");
const session = await user.session("the-session", { agent: "scout" });

let next = Number(firstText);
let ending = false;
process.on("SIGTERM", () => {
  ending = true;
});
/** Writes under way when the process is ended were not acknowledged: they may be there, once, or not. */
async function write(): Promise<void> {
  while (!ending) {
    const name = String(next++);
    process.stdout.write(`try ${name}\n`);
    await session.annotate(name, { operationId: name });
    process.stdout.write(`ack ${name}\n`);
  }
}
const writers = Array.from({ length: Number(writersText) }, write);
await Promise.all(writers);
await region.close();
process.stdout.write("closed\n");
