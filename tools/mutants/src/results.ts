import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MUTANTS } from "./mutants.ts";
import { ROOT } from "./plant.ts";
import type { Verdict } from "./trial.ts";

/** What killed a mutant when the results were last written. */
export interface Result {
  readonly mutant: string;
  /** What it does wrong: a result of a mutant that has since been replaced is none. */
  readonly name: string;
  readonly file: string;
  readonly test: string;
  /** The seed that killed it, where its test draws from one, and how many seeds that took. */
  readonly seed?: string;
  readonly tried?: number;
}

/** Where results are kept. */
export const RESULTS_PATH: string = join(ROOT, "tools", "mutants", "results.json");

/** The kept results of mutants that are still there, in the order of the list. */
export function keptResults(): Result[] {
  const kept = JSON.parse(readFileSync(RESULTS_PATH, "utf8")) as Result[];
  return MUTANTS.flatMap((mutant) =>
    kept.filter((one) => one.name === mutant.name && one.mutant === mutant.id),
  );
}

/** Keeps the verdicts of mutants that were killed; results of mutants that were not tried stay. */
export function keepResults(verdicts: readonly Verdict[]): void {
  const tried = new Set(verdicts.map(({ mutant }) => mutant.id));
  const fresh = verdicts.flatMap(({ mutant, killer }): Result[] => {
    if (killer === undefined) return [];
    const { test, evidence } = killer;
    return [{ mutant: mutant.id, name: mutant.name, file: test.file, test: test.name, ...evidence }];
  });
  const all = [...keptResults().filter(({ mutant }) => !tried.has(mutant)), ...fresh];
  const order = new Map(MUTANTS.map(({ id }, index) => [id, index]));
  all.sort((left, right) => order.get(left.mutant)! - order.get(right.mutant)!);
  writeFileSync(RESULTS_PATH, `${JSON.stringify(all, undefined, 2)}\n`);
}
