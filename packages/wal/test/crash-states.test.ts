import { afterAll, expect, test } from "vitest";
import { explore, type Explored, type World } from "./crash-states/explore.ts";
import {
  CHECKPOINTS,
  REPAIR,
  REPLACING,
  RETENTION,
  TWO_EPOCHS,
  appending,
  crashTwice,
  oneAppend,
  oneRun,
} from "./crash-states/worlds.ts";

// `npm run crash-states` looks at all of them, `npm test` at some.
const ALL = process.env["CRASH_STATES"] === "all";
const TIMEOUT_MS = ALL ? 6 * 3_600_000 : 60_000;
const total: Explored = { enumerated: 0, distinct: 0 };

const WORLDS: readonly World[] = [
  appending(ALL ? [10, 700, 60, 500, 1500, 3, 400, 900, 20] : [10, 700, 60, 500]),
  TWO_EPOCHS,
  CHECKPOINTS,
  RETENTION,
  REPAIR,
  REPLACING,
  oneRun([100, 200, 300, 400, 50]),
  ...(ALL ? [oneRun([1100, 5, 700, 30, 2000]), oneRun([4000, 400])] : []),
];

afterAll(() => {
  const [enumerated, distinct] = [total.enumerated, total.distinct].map((each) => each.toLocaleString("en"));
  process.stdout.write(
    `${enumerated} crash states enumerated, ${distinct} distinct, each opened: nothing acknowledged lost\n`,
  );
});

for (const world of WORLDS) {
  test(
    `scenario 1, scenario 2, WAL-11, WAL-12: any crash keeps what was promised: ${world.name}`,
    { timeout: TIMEOUT_MS },
    async () => {
      const before = total.distinct;
      await explore(world, total);
      expect(total.distinct - before).toBeGreaterThan(200);
    },
  );
}

test(
  "scenario 2: of one append any subset of its sectors may survive, wherever its batch begins",
  { timeout: TIMEOUT_MS },
  async () => {
    const before = total.distinct;
    const [sectorsMax, step] = ALL ? [12, 8] : [4, 64];
    for (let offset = 0; offset < 512; offset += step) {
      for (let sectors = 1; sectors <= sectorsMax; sectors++)
        await explore(oneAppend(1 + offset, sectors * 512 - 80), total);
    }
    expect(total.distinct - before).toBeGreaterThan(ALL ? 900_000 : 400);
  },
);

test(
  "scenario 3: any crash while a log goes on after any crash keeps what was promised",
  { timeout: TIMEOUT_MS },
  async () => {
    const before = total.distinct;
    const worlds: readonly (readonly [number, number, number])[] = [
      [100, 300, 1536],
      ...(ALL
        ? ([
            [480, 40, 2048],
            [100, 900, 3072],
            [10, 1500, 4096],
            [700, 1400, 4096],
          ] as const)
        : []),
    ];
    for (const [first, second, segmentBytes] of worlds) await crashTwice(first, second, segmentBytes, total);
    expect(total.distinct - before).toBeGreaterThan(500);
  },
);
