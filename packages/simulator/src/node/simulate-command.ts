import { parseArgs } from "node:util";
import { DEFAULT_PROFILE, PROFILES } from "../profile.ts";
import { simulate } from "../simulation.ts";
import type { SimulationResult, SimulationViolation } from "../simulation.ts";

/** What the command needs of its process. */
export interface CommandIo {
  out(text: string): void;
  error(text: string): void;
  /** Real milliseconds, for the figures. */
  now(): number;
}

/** The last line with `--json`. */
interface Summary {
  readonly seeds: number;
  readonly seedsPerSecond: number;
  /** Virtual time for each second of real time. */
  readonly simulatedOverReal: number;
  readonly violations: number;
}

/** Lines of the trace that a report has without `--trace`. */
const LINES = 40;

const HELP = `tidemark-simulate [--seeds N] [--from S] [--profile NAME] [--twice] [--trace] [--json]

Runs whole clusters under seeds, with faults, and judges what they did. Exits with 1 if anything does not hold.

  --seeds N       how many seeds are run (100)
  --from S        the first of them (1)
  --profile NAME  ${Object.keys(PROFILES).join(", ")} (${DEFAULT_PROFILE})
  --twice         runs each seed twice and compares
  --trace         prints all of the trace that is kept, also of runs in which everything holds
  --json          one line of JSON for each seed in which something does not hold, and a last one for all
`;

/** Runs the command line `args`; resolves to its exit code: 0, 1 for a violation, 2 for a command line that cannot be followed. */
export async function runSimulations(
  args: readonly string[],
  io: CommandIo,
  run: typeof simulate = simulate,
): Promise<number> {
  let asked;
  try {
    asked = parse(args);
  } catch (error) {
    io.error(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`);
    return 2;
  }
  if (asked.help) {
    io.out(HELP);
    return 0;
  }
  const { seeds, from, profile, json, trace, twice } = asked;
  const begunAt = io.now();
  let virtualMs = 0;
  let violations = 0;
  for (let seed = from; seed < from + seeds; seed++) {
    const result = await run({ seed, profile });
    virtualMs += result.virtualMs;
    const violation = result.violation ?? (twice ? await repeated(result, run) : undefined);
    if (violation !== undefined) {
      violations += 1;
      if (json) io.out(`${JSON.stringify({ seed, profile, hash: result.hash, ...violation })}\n`);
      else report(io, result, violation, trace);
    } else if (trace) io.out(`seed ${seed}: ${result.hash}\n${result.trace.join("\n")}\n`);
  }
  const seconds = Math.max(1, io.now() - begunAt) / 1_000;
  const summary: Summary = {
    seeds,
    seedsPerSecond: Math.round((seeds / seconds) * 10) / 10,
    simulatedOverReal: Math.round(virtualMs / 1_000 / seconds),
    violations,
  };
  io.out(json ? `${JSON.stringify(summary)}\n` : describe(summary, profile));
  return violations > 0 ? 1 : 0;
}

/** Runs a seed again: it must do the same. */
async function repeated(
  { seed, profile, hash }: SimulationResult,
  run: typeof simulate,
): Promise<SimulationViolation | undefined> {
  const again = await run({ seed, profile });
  if (again.hash === hash) return undefined;
  const message = `Two runs of one seed differ: ${hash} and ${again.hash}`;
  return { invariant: "SIM-1", message, trace: again.trace };
}

function report(io: CommandIo, result: SimulationResult, violation: SimulationViolation, all: boolean): void {
  const { seed, profile, steps, virtualMs, faults } = result;
  const lines = all ? violation.trace : violation.trace.slice(-LINES);
  io.out(
    [
      `seed ${seed} of ${profile}: ${violation.message}`,
      `after ${steps} steps, ${virtualMs} ms; faults: ${JSON.stringify(faults)}`,
      ...(violation.evidence === undefined ? [] : [JSON.stringify(violation.evidence, undefined, 2)]),
      ...lines,
      `Run it again: npm run simulate -- --profile ${profile} --from ${seed} --seeds 1 --trace`,
      "",
      "",
    ].join("\n"),
  );
}

function describe(
  { seeds, seedsPerSecond, simulatedOverReal, violations }: Summary,
  profile: string,
): string {
  return `${seeds} seeds of ${profile}, ${seedsPerSecond} a second, ${simulatedOverReal} times as fast as time: ${
    violations === 0 ? "everything holds" : `${violations} with something that does not hold`
  }\n`;
}

function parse(args: readonly string[]): {
  readonly seeds: number;
  readonly from: number;
  readonly profile: string;
  readonly json: boolean;
  readonly trace: boolean;
  readonly twice: boolean;
  readonly help: boolean;
} {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seeds: { type: "string", default: "100" },
      from: { type: "string", default: "1" },
      profile: { type: "string", default: DEFAULT_PROFILE },
      json: { type: "boolean", default: false },
      trace: { type: "boolean", default: false },
      twice: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const { profile, json, trace, twice, help } = values;
  if (!Object.hasOwn(PROFILES, profile)) throw new RangeError(`There is no profile ${profile}`);
  const seeds = wholeNumber("--seeds", values.seeds);
  const from = wholeNumber("--from", values.from);
  return { seeds, from, profile, json, trace, twice, help };
}

function wholeNumber(name: string, text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 0) throw new RangeError(`${name} is a whole number: ${text}`);
  return number;
}
