// The mutation check: `npm run mutants [-- --only 7,23b] [--json] [--write]`.
// Each mutant is planted while its tests load and must make one of them fail; exit code 1 if one survives.
import { parseArgs } from "node:util";
import { median } from "./evidence.ts";
import type { ListedMutant } from "./mutant.ts";
import { MUTANTS } from "./mutants.ts";
import { obstacles } from "./plant.ts";
import { keepResults } from "./results.ts";
import { failingUnmutated, tryMutant, type Verdict } from "./trial.ts";

/** Each is a vitest of its own, which uses a core by itself. */
const AT_ONCE = 2;
const UNMUTATED_LIMIT_MS = 900_000;

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    json: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
  },
});
// Standard output belongs to the report where that is for a program.
const say = (line: string): void => void (values.json ? process.stderr : process.stdout).write(`${line}\n`);

process.exitCode = await check(wanted(values.only));

async function check(mutants: readonly ListedMutant[]): Promise<number> {
  const stale = mutants.flatMap((mutant) => obstacles(mutant).map((one) => `Mutant ${mutant.id}: ${one}`));
  if (stale.length > 0) return fail(stale);
  const failing = await failingUnmutated(
    mutants.flatMap(({ tests }) => tests),
    UNMUTATED_LIMIT_MS,
  );
  if (failing.length > 0) return fail(["Over the sources as they are, these do not pass:", ...failing]);
  const verdicts = await tryAll(mutants);
  if (values.write) keepResults(verdicts);
  return report(verdicts);
}

async function tryAll(mutants: readonly ListedMutant[]): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let mutant = mutants[next++]; mutant !== undefined; mutant = mutants[next++]) {
      const verdict = await tryMutant(mutant);
      verdicts.push(verdict);
      say(lineOf(verdict));
      if (verdict.killer === undefined && values.verbose) say(verdict.output);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return verdicts;
}

function report(verdicts: readonly Verdict[]): number {
  const survivors = verdicts.filter(({ killer }) => killer === undefined);
  const tried = verdicts.flatMap(({ killer }) => killer?.evidence.tried ?? []);
  const seeds = median(tried);
  say(
    `${verdicts.length} mutants, ${verdicts.length - survivors.length} killed, ${survivors.length} survived`,
  );
  say(`median seeds to kill: ${seeds ?? "none needed"} (of the ${tried.length} that seeded tests killed)`);
  if (values.json) {
    const summary = {
      mutants: verdicts.length,
      killed: verdicts.length - survivors.length,
      medianSeedsToKill: seeds ?? null,
      verdicts: verdicts.map(({ mutant, killer, reason, ms }) => ({
        mutant: mutant.id,
        name: mutant.name,
        ...(killer && { file: killer.test.file, test: killer.test.name, ...killer.evidence }),
        ...(reason !== undefined && { reason }),
        seconds: Math.round(ms / 100) / 10,
      })),
    };
    process.stdout.write(`${JSON.stringify(summary)}\n`);
  }
  return survivors.length === 0 ? 0 : 1;
}

function lineOf({ mutant, killer, reason, ms }: Verdict): string {
  const head = `${mutant.id.padEnd(4)} ${(ms / 1000).toFixed(1).padStart(6)} s `;
  if (killer === undefined) return `${head} SURVIVED (${reason}): ${mutant.name}`;
  const { seed, tried } = killer.evidence;
  const seeds =
    seed === undefined ? "" : ` [seed ${seed}${tried === undefined ? "" : `, the ${tried}. tried`}]`;
  return `${head} ${mutant.name}: killed by ${killer.test.file} "${killer.test.name}"${seeds}`;
}

/** A number stands for every mutant of its scenario. */
function wanted(only: string | undefined): readonly ListedMutant[] {
  if (only === undefined) return MUTANTS;
  return only.split(",").flatMap((name) => {
    const found = MUTANTS.filter(({ id, scenario }) => id === name || `${scenario}` === name);
    if (found.length === 0) throw new Error(`No such mutant: ${name}`);
    return found;
  });
}

function fail(lines: readonly string[]): number {
  for (const line of lines) process.stderr.write(`${line}\n`);
  return 1;
}
