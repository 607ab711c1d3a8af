// Kills a turn before and after each call of the store: npm run store-crashes [-- --calls 3,4,5]
import { parseArgs } from "node:util";
import { deaths, judgeProcess } from "./crash-matrix.ts";

const { values } = parseArgs({ options: { calls: { type: "string" } } });
const calls = values.calls?.split(",").map(Number);
const chosen = (await deaths()).filter(({ call }) => calls === undefined || calls.includes(call));
let wrong = 0;
for (const death of chosen) {
  try {
    await judgeProcess(death);
  } catch (error) {
    wrong += 1;
    process.stderr.write(`killed ${death.side} call ${death.call}: ${String(error)}\n`);
  }
}
process.stdout.write(
  `${chosen.length} processes killed, ${chosen.length - wrong} went on to the one outcome with nothing left over, ${wrong} wrong\n`,
);
if (wrong > 0) process.exitCode = 1;
