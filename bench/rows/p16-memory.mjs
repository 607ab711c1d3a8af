// P16: memory of sessions of 20 operations each, within a budget of 256 MiB. `P16_SESSIONS=1000000` for the whole of it.
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { bound } from "../harness.mjs";

export const ROWS = ["P16"];

const SESSIONS = Number(process.env.P16_SESSIONS ?? 100_000);
const MIB = 1024 * 1024;
/** For sessions as they are worked with; the rest of the 256 MiB is for what stays of those in the file. */
const HOT_BYTES = 16 * MIB;
/** The engine may not take more for its heap, however lazily it collects. */
const HEAP_MIB = 256;

export async function run() {
  const measured = (budgetBytes, sessions, flags = []) =>
    JSON.parse(
      execFileSync(
        process.execPath,
        [
          "--expose-gc",
          ...flags,
          join(import.meta.dirname, "..", "sessions-in-memory.mjs"),
          String(sessions),
          String(budgetBytes),
        ],
        { encoding: "utf8", maxBuffer: 1 << 24 },
      ),
    );
  const bounded = measured(HOT_BYTES, SESSIONS, [
    `--max-old-space-size=${HEAP_MIB}`,
    "--max-semi-space-size=8",
  ]);
  const all = measured(1e15, Math.min(SESSIONS, 20_000));
  const count = SESSIONS.toLocaleString("en");
  const half = bounded.samples[4];
  const line = (work, unit, value, goal) =>
    bound({ row: "P16", work, unit, name: "tidemark", value, ...(goal === undefined ? {} : { goal }) });
  return [
    line(`${count} sessions of 20 ops, heap and buffers at most`, "MiB", bounded.heldMax / MIB, 256),
    line(`${count} sessions of 20 ops, resident at most`, "MiB", bounded.rssMax / MIB),
    line(`each further session, the second half`, "B", (bounded.heldBytes - half.held) / (SESSIONS / 2)),
    line(`the scratch file, a session`, "B", bounded.fileBytes / SESSIONS),
    line(`20,000 sessions all in memory, a session`, "B", (all.heldBytes - all.emptyBytes) / all.sessions),
    line(`applying an operation, with the evicting`, "us", bounded.cpuMicrosecondsPerOp),
    line(`the same, all in memory`, "us", all.cpuMicrosecondsPerOp),
  ];
}
