// Runs one turn over a store of LMDB and kills itself at a call of it: turn-process.ts DIR CALL before|after
import { openLmdbKv } from "@tidemark/kv-lmdb";
import { type Death, dyingKv } from "./dying-kv.ts";
import { runTurn } from "./turn.ts";

const [dir, call, side] = process.argv.slice(2) as [string, string, Death["side"]];
const kv = await openLmdbKv({ dir });
await runTurn(
  dyingKv(kv, { call: Number(call), side }, () => process.kill(process.pid, "SIGKILL")),
  "first",
);
await kv.close();
