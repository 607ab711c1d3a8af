import { afterAll, expect, test } from "vitest";
import { Coverage } from "../src/coverage.ts";
import { TARGETS } from "../src/targets.ts";

const SMALL_BYTES = 8 * 1024;
const TIMES = 4;
/** Work that does not depend on the input, in blocks. */
const SLACK = 20_000;
/** What else a few times the input may cost: sorting, a table that grows. */
const MARGIN = 1.3;

const coverage = new Coverage();
afterAll(() => coverage[Symbol.dispose]());

// On a disk or a command line most of the work is not that of a decoder.
for (const target of TARGETS.filter(({ name }) => !/^(cli|wal-directory)/.test(name))) {
  test(`TST-3 scenario 38: the work of ${target.name} grows no faster than its input`, async () => {
    for (const grow of [target.grow, repeated(await target.seeds())]) {
      if (grow === undefined) continue;
      const [small, large] = [grow(SMALL_BYTES), grow(SMALL_BYTES * TIMES)];
      await target.run(small);
      await target.run(large);
      const once = await workOf(() => target.run(small));
      const more = await workOf(() => target.run(large));
      expect(once).toBeGreaterThan(0);
      const growth = large.length / small.length;
      expect(more).toBeLessThan(once * growth * MARGIN + SLACK);
    }
  });
}

test("Coverage counts the work of a loop", async () => {
  const target = TARGETS.find(({ name }) => name === "core-pn-counter");
  const [small, large] = [SMALL_BYTES, SMALL_BYTES * TIMES].map(
    (bytes) => target?.grow?.(bytes) as Uint8Array,
  );
  const [once, more] = [
    await workOf(() => target?.run(small as Uint8Array)),
    await workOf(() => target?.run(large as Uint8Array)),
  ];
  expect(more / once).toBeGreaterThan(2);
});

/** The first bytes of an input, and the rest of it again and again. */
function repeated([seed]: readonly Uint8Array[]): (bytes: number) => Uint8Array {
  return (bytes) => {
    const grown = new Uint8Array(bytes);
    for (let at = 0; at < bytes; at++)
      grown[at] = seed?.[at < 8 ? at : 8 + ((at - 8) % Math.max(1, seed.length - 8))] ?? 1;
    return grown;
  };
}

async function workOf(run: () => void | Promise<void>): Promise<number> {
  coverage.look();
  await run();
  return coverage.look().work;
}
