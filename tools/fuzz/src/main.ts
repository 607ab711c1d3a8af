// The fuzzer: `npm run fuzz -- --seconds 3600 [--target NAME] [--seed S]`. The targets take turns; an input that breaks a
// promise is kept in the corpus and printed, and the exit code is 1.
import { inspect, parseArgs } from "node:util";
import { keep, keptOf } from "./corpus.ts";
import { Coverage } from "./coverage.ts";
import { Fuzzing, FuzzFailure } from "./fuzz.ts";
import { TARGETS } from "./targets.ts";

const TURN_MS = 2_000;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    target: { type: "string" },
    seed: { type: "string", default: "1" },
  },
});
const [seconds, seed] = [Number(values.seconds), Number(values.seed)];
const targets = TARGETS.filter(({ name }) => values.target === undefined || name === values.target);

if (targets.length === 0 || !(seconds > 0) || !Number.isSafeInteger(seed)) {
  process.stderr.write(`Name one of: ${TARGETS.map(({ name }) => name).join(", ")}\n`);
  process.exitCode = 2;
} else {
  process.exitCode = await fuzz();
}

async function fuzz(): Promise<number> {
  using coverage = new Coverage();
  const endMs = performance.now() + seconds * 1000;
  const under: Fuzzing[] = [];
  let failures = 0;
  const careful = async (fuzzing: Fuzzing, run: () => Promise<void>): Promise<boolean> => {
    try {
      await run();
      return true;
    } catch (error) {
      if (!(error instanceof FuzzFailure)) throw error;
      failures += 1;
      const path = keep(error.target, error.input);
      process.stdout.write(`${error.message}\n  kept as ${path}\n`);
      process.stderr.write(`${inspect(error.cause)}\n`);
      return fuzzing.kept > 0 && failures < 20;
    }
  };
  for (const target of targets) {
    const fuzzing = new Fuzzing(target, seed, coverage);
    if (await careful(fuzzing, () => fuzzing.begin(keptOf(target.name)))) under.push(fuzzing);
  }
  let turn = 0;
  while (under.length > 0 && performance.now() < endMs) {
    const fuzzing = under[turn % under.length] as Fuzzing;
    const turnMs = Math.min(endMs, performance.now() + Math.min(TURN_MS, (seconds * 1000) / targets.length));
    const whole = await careful(fuzzing, () => fuzzing.go(() => performance.now() >= turnMs));
    if (whole) turn += 1;
    else under.splice(turn % under.length, 1);
  }
  for (const target of targets) await target.close?.();
  for (const { target, tried, kept, shapes } of under) {
    const numbers = [tried, kept, shapes].map((each) => each.toLocaleString("en").padStart(12));
    process.stdout.write(`${target.name.padEnd(28)}${numbers.join("")}\n`);
  }
  const total = under.reduce((sum, { tried }) => sum + tried, 0);
  const said = `${total.toLocaleString("en")} inputs in ${targets.length} targets (tried, kept, shapes of functions), seed ${seed}`;
  process.stdout.write(`${said}: ${failures} broken promises\n`);
  return failures === 0 ? 0 : 1;
}
