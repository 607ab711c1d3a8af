import { resolve } from "node:path";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import type { Wiring } from "./main.ts";
import { TRANSPORTS, type TransportName } from "./transports.ts";

/** What the command line asks for. */
export interface Flags {
  /** The recording: a path, or `-` for standard input; left out where the shipped one is to be played. */
  readonly file?: string;
  readonly json: boolean;
  readonly seed: number;
  readonly speed?: number;
  readonly state?: string;
  readonly dir?: string;
  readonly wiring: Wiring;
}

/** What the command line comes to: a run, the help that was asked for, or why it cannot be followed (one line). */
export type CommandLine =
  | { readonly kind: "run"; readonly flags: Flags }
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "error"; readonly message: string };

const EXAMPLES = `
Examples:
  $ npm run --silent demo
  $ npm run --silent demo -- recording.ndjson --json --transport nats --processes

The exit code is 0 if every promise held, 1 if one failed or no broker can be had, and 2 for malformed lines,
a bad flag, an unreadable file, a broker that does not answer, or a directory of another recording or seed.
`;

/** What the command line is read with. */
export interface Surroundings {
  /** Where relative paths begin. */
  readonly cwd: string;
  /** Whether standard input is a pipe or a file. */
  readonly hasInput: boolean;
  /** Names the brokers that no flag names. */
  readonly env: { readonly NATS_URL?: string | undefined; readonly REDIS_URL?: string | undefined };
}

/** Reads the command line. Paths are resolved; without FILE a pipe is read; where there is none, the shipped recording is played. */
export function parseFlags(argv: readonly string[], { cwd, hasInput, env }: Surroundings): CommandLine {
  let help = "";
  const program = new Command("demo")
    .description(
      "Plays a recording of session operations through two regions and measures what became of the promises.",
    )
    .argument(
      "[file]",
      "NDJSON, one operation a line; - is standard input (default: standard input on a pipe, else the recording that ships with the demo)",
    )
    .option("--json", "print one JSON object and nothing else on standard output", false)
    .option(
      "--seed <n>",
      "decides where sessions roam, when the link is cut and what is retried",
      parseSeed,
      1,
    )
    .option(
      "--speed <x>",
      "operations offered a second (default: as fast as they are acknowledged)",
      parseSpeed,
    )
    .option("--state <file>", "write the final state of every region to this file")
    .addOption(
      new Option("--transport <name>", "what joins the regions").choices(TRANSPORTS).default("inprocess"),
    )
    .option(
      "--processes",
      "each region is a process of its own, and one of them is killed with kill -9 on the way",
      false,
    )
    .option("--nats <url>", "the NATS server to use (default: NATS_URL, else one is started)")
    .option("--redis <url>", "the Redis server to use (default: REDIS_URL, else one is started)")
    .option("--dir <dir>", "keep everything in this directory; the same command goes on there after a kill")
    .addHelpText("after", EXAMPLES)
    .exitOverride()
    .showSuggestionAfterError(false)
    .configureOutput({ writeOut: (text) => (help += text), writeErr: () => {} });
  try {
    program.parse(argv, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? { kind: "help", text: help } : { kind: "error", message: error.message };
  }
  const file = program.args[0] ?? (hasInput ? "-" : undefined);
  const { state, dir, transport, processes, nats, redis, ...rest } = program.opts<
    Omit<Flags, "file" | "wiring"> & WiringFlags
  >();
  const wiring = wiringOf({ transport, processes, nats, redis }, env);
  if (typeof wiring === "string") return { kind: "error", message: wiring };
  const path = (value: string): string => resolve(cwd, value);
  const flags = {
    ...rest,
    wiring,
    ...(file === undefined ? {} : { file: file === "-" ? file : path(file) }),
    ...(state === undefined ? {} : { state: path(state) }),
    ...(dir === undefined ? {} : { dir: path(dir) }),
  };
  return { kind: "run", flags };
}

interface WiringFlags {
  readonly transport: TransportName;
  readonly processes: boolean;
  readonly nats?: string | undefined;
  readonly redis?: string | undefined;
}

/** How the regions are joined, or why that cannot be. */
function wiringOf(
  { transport, processes, nats, redis }: WiringFlags,
  env: Surroundings["env"],
): Wiring | string {
  for (const [name, given] of Object.entries({ nats, redis })) {
    if (given !== undefined && transport !== name)
      return `error: --${name} goes with --transport ${name}, not with --transport ${transport}`;
  }
  if (transport === "inprocess") {
    if (!processes) return { transport, processes };
    return "error: --processes needs --transport nats or redis: the in-process network ends where its process does";
  }
  const url = (transport === "nats" ? (nats ?? env.NATS_URL) : (redis ?? env.REDIS_URL)) || undefined;
  return { transport, processes, ...(url === undefined ? {} : { url }) };
}

function parseSeed(text: string): number {
  const seed = Number(text);
  if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(seed))
    throw new InvalidArgumentError("It must be a whole number.");
  return seed;
}

function parseSpeed(text: string): number {
  const speed = Number(text);
  if (!/^[\d.]/.test(text) || !Number.isFinite(speed) || speed <= 0) {
    throw new InvalidArgumentError("It must be a number above 0.");
  }
  return speed;
}
