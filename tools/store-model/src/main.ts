// Runs random histories against the model: npm run store-model -- --runs 1000 --backend lmdb [--seed N] [--length N]
import { parseArgs } from "node:util";
import fc from "fast-check";
import { BACKENDS, type BackendName, openBackend } from "./backends.ts";
import { keep, readCorpus } from "./corpus.ts";
import { History } from "./history.ts";
import { anyOperation, type Operation } from "./operation.ts";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "1000" },
    backend: { type: "string", default: "memory" },
    seed: { type: "string" },
    length: { type: "string", default: "100" },
  },
});
const name = values.backend as BackendName;
if (!BACKENDS.includes(name)) throw new RangeError(`--backend must be one of ${BACKENDS.join(", ")}`);
const numRuns = Number(values.runs);
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);

await using backend = await openBackend(name);
const corpus = await readCorpus();
for (const { operations } of corpus) await History.run(backend, operations);
let operations = 0;
const histories = fc.array(anyOperation, { maxLength: Number(values.length), size: "max" });
const outcome = await fc.check(
  fc.asyncProperty(histories, async (history: Operation[]) => {
    operations += history.length;
    await History.run(backend, history);
  }),
  { numRuns, seed },
);
if (outcome.failed) {
  const path = await keep(`seed-${seed}`, outcome.counterexample![0]);
  process.stderr.write(`${String(outcome.errorInstance)}\nseed ${seed}, kept as ${path}\n`);
  process.exitCode = 1;
} else {
  process.stdout.write(
    `${corpus.length} kept and ${numRuns} random histories over ${name}, ${operations} operations: none differs (seed ${seed})\n`,
  );
}
