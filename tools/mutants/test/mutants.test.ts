import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { heldRequirements, numbersIn } from "../../../scripts/lib/requirements.mjs";
import { evidenceIn, median } from "../src/evidence.ts";
import { MUTANTS, wantedMutant } from "../src/mutants.ts";
import { obstacles, plant, ROOT } from "../src/plant.ts";

describe.each(MUTANTS.map((mutant) => [mutant.id, mutant.name, mutant] as const))(
  "%s %s",
  (_id, _name, mutant) => {
    test("can be planted", () => {
      expect(obstacles(mutant)).toEqual([]);
    });

    test("has tests, each there under its name once", () => {
      expect(mutant.tests.length).toBeGreaterThan(0);
      for (const { file, name } of mutant.tests) {
        expect(existsSync(join(ROOT, file)), file).toBe(true);
        expect(readFileSync(join(ROOT, file), "utf8").split(name).length - 1, `${file}: ${name}`).toBe(1);
      }
    });
  },
);

test("SIM-4 every scenario has a mutant, and a test that names the scenario kills it", () => {
  const scenarios = heldRequirements().flatMap(({ id }) => /^scenario (\d+)$/.exec(id)?.[1] ?? []);
  expect(scenarios).toHaveLength(51);
  expect(scenarios.filter((number) => !MUTANTS.some(({ scenario }) => scenario === Number(number)))).toEqual(
    [],
  );
  expect(MUTANTS.filter(({ scenario }) => !scenarios.includes(String(scenario)))).toEqual([]);
  for (const { scenario, tests } of MUTANTS)
    for (const { file } of tests)
      expect([...numbersIn(readFileSync(join(ROOT, file), "utf8"))], file).toContain(`scenario ${scenario}`);
});

test("no two mutants have one name", () => {
  const names = MUTANTS.map(({ name }) => name);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});

test("plant() changes the one place that has the pattern, and refuses none and two", () => {
  const edit = { file: "toy.ts", pattern: "a < b", replacement: "a <= $& b" };
  expect(plant("if (a < b) return;", edit)).toBe("if (a <= $& b) return;");
  expect(() => plant("if (a > b) return;", edit)).toThrow("toy.ts has this text 0 times");
  expect(() => plant("a < b < a < b", edit)).toThrow("toy.ts has this text 2 times");
});

test("wantedMutant() finds what the environment names, and refuses a name that nobody has", () => {
  expect(wantedMutant({})).toBeUndefined();
  expect(wantedMutant({ TIDEMARK_MUTANT: "7" })?.scenario).toBe(7);
  expect(() => wantedMutant({ TIDEMARK_MUTANT: "0" })).toThrow("No such mutant");
});

test("evidenceIn() reads the seed of a property, of a loop and of a simulated run", () => {
  const property =
    'Error: Property failed after 12 tests\n{ seed: -1819918769, path: "11:0", endOnFailure: true }';
  expect(evidenceIn(property)).toEqual({ seed: "-1819918769", tried: 12 });
  expect(evidenceIn("AssertionError: seed 4 of 60: expected 3 to be 4")).toEqual({ seed: "4", tried: 5 });
  expect(evidenceIn("seed 77 broke E after 3 seeds")).toEqual({ seed: "77", tried: 3 });
  expect(evidenceIn("expected 3 to be 4")).toEqual({});
});

test("median() takes the lower middle", () => {
  expect([median([]), median([5]), median([4, 1, 3, 2]), median([9, 1, 5])]).toEqual([undefined, 5, 2, 5]);
});
