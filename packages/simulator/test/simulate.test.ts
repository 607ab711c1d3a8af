import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { PROFILES, simulate, Violation } from "../src/index.ts";
import type { SimulationResult, World } from "../src/index.ts";
import { runSimulations } from "../src/node/simulate-command.ts";

/** Seeds of each profile that every test run looks at. */
const SEEDS = 12;
/** Seeds that showed something once, by profile. */
const REGRESSION_SEEDS: Readonly<Record<string, readonly number[]>> = {
  mixed: [
    20, 36, 1_026, 1_059, 1_704, 30_055, 60_417, 100_678, 105_670, 107_693, 202_011, 205_118, 205_439,
    205_909, 206_617, 212_594, 250_555, 255_854, 265_853, 313_788, 356_774, 399_806,
  ],
  members: [16, 21, 1_033, 1_052, 1_143],
  disk: [1_051, 1_076],
  hides: [1_014],
};

test.each(Object.keys(PROFILES))(
  "SIM-2 everything holds in the fixed seeds of the profile %s",
  async (profile) => {
    for (const seed of [
      ...Array.from({ length: SEEDS }, (_, index) => index + 1),
      ...(REGRESSION_SEEDS[profile] ?? []),
    ])
      expectHolds(await simulate({ seed, profile }));
  },
);

test("SIM-1 the same seed gives the same trace hash, whatever is drawn", async () => {
  const hashes = new Set<string>();
  for (let seed = 1_001; seed <= 1_030; seed++) {
    const { hash, history } = await simulate({ seed });
    const again = await simulate({ seed });
    expect(again.hash).toBe(hash);
    expect(JSON.stringify(again.history)).toBe(JSON.stringify(history));
    hashes.add(hash);
  }
  expect(hashes.size).toBe(30);
});

test("SIM-2 a run leaves nothing in memory, whatever waited as its processes died: long runs stay flat", async () => {
  const worlds: WeakRef<World>[] = [];
  const prepare = (world: World): void => void worlds.push(new WeakRef(world));
  for (let seed = 2_001; seed <= 2_006; seed++) await simulate({ seed, profile: "processes", prepare });
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  // The last one may still be on the stack.
  expect(worlds.slice(0, -1).filter((world) => world.deref() !== undefined)).toEqual([]);
});

test("SIM-1 a failing seed prints one command that reproduces it, and the trace around the failure", async () => {
  let said = "";
  const io = {
    out: (text: string) => void (said += text),
    error: (text: string) => void (said += text),
    now: () => 0,
  };
  const failing: typeof simulate = (options) =>
    simulate({
      ...options,
      prepare: ({ time }) => {
        time.afterStep(() => {
          if (options.seed === 3 && time.steps === 200)
            throw new Violation("H", "a planted failure", { step: 200 });
        });
      },
    });
  const args = ["--seeds", "2", "--from", "2", "--profile", "calm"];
  expect(await runSimulations(args, io, failing)).toBe(1);
  expect(said).toMatch(/^seed 3 of calm: H: a planted failure\nafter 200 steps/);
  expect(said).toMatch(/\d\.\d{3} eu-west {2}hear ack\.1\n/);
  expect(said).toContain("Run it again: npm run simulate -- --profile calm --from 3 --seeds 1 --trace\n");
  expect(said).toMatch(/1 with something that does not hold\n$/);

  said = "";
  expect(await runSimulations([...args, "--json"], io, failing)).toBe(1);
  const lines = said
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);
  expect(lines).toMatchObject([
    { seed: 3, invariant: "H" },
    { seeds: 2, violations: 1 },
  ]);
  said = "";
  expect(await runSimulations(["--profile", "none"], io)).toBe(2);
  expect(said).toContain("There is no profile none");
});

function expectHolds({ seed, profile, violation }: SimulationResult): void {
  if (violation === undefined) return;
  const { message, evidence, trace } = violation;
  expect.fail(
    [
      `npm run simulate -- --profile ${profile} --from ${seed} --seeds 1 --trace`,
      message,
      JSON.stringify(evidence, undefined, 1),
      ...trace.slice(-40),
    ].join("\n"),
  );
}
