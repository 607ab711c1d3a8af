import { evidenceIn, type Evidence } from "./evidence.ts";
import type { ListedMutant, NamedTest } from "./mutant.ts";
import { outcomeOf, runTests } from "./test-run.ts";

/** What the named tests made of a mutant. */
export interface Verdict {
  readonly mutant: ListedMutant;
  /** Undefined if none of its tests failed: the mutant survived. */
  readonly killer: { readonly test: NamedTest; readonly evidence: Evidence } | undefined;
  /** Why there is no killer. */
  readonly reason: "survived" | "hung" | "did not run" | undefined;
  readonly ms: number;
  /** What vitest printed, for whoever looks into a survivor. */
  readonly output: string;
}

/** The longest a mutant's tests in one file may take. */
const LIMIT_MS = 180_000;

/** Runs the tests of a mutant with the mutant planted: file by file, up to the first that fails. */
export async function tryMutant(mutant: ListedMutant): Promise<Verdict> {
  let [ms, output] = [0, ""];
  let reason: Verdict["reason"] = "survived";
  for (const file of new Set(mutant.tests.map((test) => test.file))) {
    const tests = mutant.tests.filter((test) => test.file === file);
    const run = await runTests(tests, { mutant, limitMs: LIMIT_MS, bail: true });
    ms += run.ms;
    output += run.output;
    for (const test of tests) {
      const outcome = outcomeOf(test, run);
      if (outcome?.status !== "failed") continue;
      const evidence = evidenceIn(outcome.message);
      return { mutant, ms, output, killer: { test, evidence }, reason: undefined };
    }
    if (run.hung) reason = "hung";
    else if (tests.some((test) => outcomeOf(test, run) === undefined)) reason = "did not run";
  }
  return { mutant, ms, output, killer: undefined, reason };
}

/** The named tests that do not pass over the sources as they are, each with what it says. */
export async function failingUnmutated(tests: readonly NamedTest[], limitMs: number): Promise<string[]> {
  const run = await runTests(tests, { limitMs });
  const failing = tests.flatMap((test) => {
    const outcome = outcomeOf(test, run);
    if (outcome?.status === "passed") return [];
    return [`${test.file}: ${test.name}: ${outcome?.message ?? "was not run"}`];
  });
  return failing.length > 0 ? [...new Set(failing), run.output] : [];
}
