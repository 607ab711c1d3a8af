import fc from "fast-check";
import { expect, test } from "vitest";
import { openBackend } from "../src/backends.ts";
import { readCorpus } from "../src/corpus.ts";
import { History } from "../src/history.ts";
import { anyOperation } from "../src/operation.ts";

for (const [name, numRuns] of [
  ["memory", 40],
  ["lmdb", 4],
] as const) {
  test(`RUN-4 RUN-6 RUN-7 RUN-8 RUN-9 the store over ${name} does what a naive model does, in kept and random histories`, async () => {
    await using backend = await openBackend(name);
    for (const { operations } of await readCorpus()) await History.run(backend, operations);
    const histories = fc.array(anyOperation, { maxLength: 60, size: "max" });
    const outcome = await fc.check(
      fc.asyncProperty(histories, (history) => History.run(backend, history)),
      { numRuns, seed: 20_261_121 },
    );
    expect(
      outcome.failed ? `${String(outcome.errorInstance)} ${JSON.stringify(outcome.counterexample)}` : "",
    ).toBe("");
  });
}
