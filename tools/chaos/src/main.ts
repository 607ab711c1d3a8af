// npm run chaos -- --broker nats --cycles 200
import { Command, InvalidArgumentError, Option } from "commander";
import { BROKERS, type BrokerName } from "./broker.ts";
import { chaos, type ChaosResult } from "./chaos.ts";

interface Flags {
  readonly broker: BrokerName;
  readonly cycles: number;
  readonly seed: number;
  readonly json?: true;
}

const VIOLATIONS_SHOWN = 20;

const { broker, cycles, seed, json } = new Command("chaos")
  .description(
    "Three regions in processes of their own over a real broker: disasters happen while clients write, and what they saw is judged",
  )
  .addOption(new Option("--broker <name>", "what joins the regions").choices(BROKERS).default("nats"))
  .option("--cycles <count>", "disasters, one after the other", wholeNumber, 20)
  .option("--seed <number>", "decides the disasters and what clients do", wholeNumber, 1)
  .option("--json", "the result as one line of JSON")
  .parse()
  .opts<Flags>();

const result = await chaos({
  ...{ broker, cycles, seed },
  ...(json === true ? {} : { onCycle: (cycle, name) => say(`${cycle + 1} of ${cycles}: ${name}`) }),
});
if (json === true) say(JSON.stringify({ ...result, violations: result.violations.map(told) }));
else print(result);
process.exitCode = result.violations.length === 0 ? 0 : 1;

function print({ acknowledged, unknown, reads, roams, convergedMs, violations }: ChaosResult): void {
  say(
    `${acknowledged} writes acknowledged, ${unknown} whose callers were never told, ${reads} reads, ${roams} roams`,
  );
  say(`All regions had everything ${Math.round(convergedMs)} ms after the last disaster`);
  for (const violation of violations.slice(0, VIOLATIONS_SHOWN))
    say(`${violation.message} ${JSON.stringify(violation.evidence)}`);
  say(
    violations.length === 0
      ? "Nothing that clients saw or disks hold breaks an invariant."
      : `${violations.length} violations`,
  );
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function told({ message, evidence }: ChaosResult["violations"][number]): object {
  return { message, evidence };
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError("It must be a whole number.");
  return value;
}
