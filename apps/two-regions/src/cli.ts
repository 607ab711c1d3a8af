import { fstatSync, mkdtempSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { BrokerUnusable } from "./broker.ts";
import { parseFlags, type Flags } from "./flags.ts";
import { openCluster } from "./main.ts";
import { claimDirectory, ForeignDirectory } from "./manifest.ts";
import { Narrator } from "./narrator.ts";
import { readInput, Recording } from "./recording.ts";
import { run } from "./run.ts";
import { NoBroker } from "./started-broker.ts";
import { checkStateFile, writeStateFile } from "./state-file.ts";
import { surveyRecording } from "./survey.ts";

/** The recording that ships with the app. */
export const SHIPPED_RECORDING: string = fileURLToPath(
  new URL("../recordings/titles.ndjson", import.meta.url),
);

const OK = 0;
const PROMISE_FAILED = 1;
const BAD_INPUT = 2;

/** Codes of the library that say that `--dir` is somebody else's. */
const FOREIGN = new Set(["WAL_LOCKED", "REGION_FOREIGN_DIR"]);

/** The command could not begin: told in one line. */
class BadInput extends Error {
  override readonly name = "BadInput";
}

const BAD_INPUTS = [BadInput, ForeignDirectory, BrokerUnusable];

/**
 * Runs the demo.
 *
 * @returns The exit code: 0 all held, 1 a promise failed, 2 malformed lines or a command that cannot begin.
 */
export async function runCli(argv: readonly string[]): Promise<number> {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", ignoreClosedPipe);
  const { INIT_CWD, NATS_URL, REDIS_URL } = process.env;
  const command = parseFlags(argv, {
    cwd: INIT_CWD || process.cwd(),
    hasInput: hasStandardInput(),
    env: { NATS_URL, REDIS_URL },
  });
  if (command.kind === "help") {
    process.stdout.write(command.text);
    return OK;
  }
  try {
    if (command.kind === "error") throw new BadInput(command.message);
    return await play(command.flags);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const { code } = error as NodeJS.ErrnoException;
    const isBadInput = BAD_INPUTS.some((kind) => error instanceof kind) || FOREIGN.has(code ?? "");
    const isPlain = isBadInput || error instanceof NoBroker;
    process.stderr.write(`${isPlain ? oneLine(error.message) : (error.stack ?? error.message)}\n`);
    return isBadInput ? BAD_INPUT : PROMISE_FAILED;
  }
}

async function play(flags: Flags): Promise<number> {
  const startMs = performance.now();
  const recording = open(flags.file ?? SHIPPED_RECORDING);
  const statePath = flags.state;
  if (statePath !== undefined) attempt(`Cannot write ${statePath}`, () => checkStateFile(statePath));
  const place = flags.dir === undefined ? temporaryDirectory() : { dir: flags.dir, remove: () => {} };
  try {
    const manifest = { recording: recording.digest(), seed: flags.seed };
    const claim = attempt(`Cannot use ${place.dir}`, () => claimDirectory(place.dir, manifest, Date.now()));
    const survey = surveyRecording(recording, (line, expected) => {
      process.stderr.write(`line ${line}: expected ${expected}\n`);
    });
    const color = process.stdout.isTTY === true && !process.env["NO_COLOR"];
    const narrator = new Narrator(
      { stdout: process.stdout, stderr: process.stderr, color },
      survey.operations,
      flags.json,
    );
    const { operations, acceptedOf, heads } = survey;
    narrator.say(
      `${operations} operations of ${acceptedOf.length} sessions in ${heads.length} groups of users, seed ${flags.seed}`,
    );
    if (claim.isResumed) narrator.say(`Going on in ${place.dir}`);
    try {
      const report = await run({
        recording,
        survey,
        seed: flags.seed,
        ...(flags.speed === undefined ? {} : { speed: flags.speed }),
        transport: flags.wiring.transport,
        open: () => openCluster(place.dir, flags.wiring),
        claim,
        nowMs: () => performance.now(),
        events: narrator,
        onState: (views) => {
          if (statePath !== undefined)
            attempt(`Cannot write ${statePath}`, () => writeStateFile(statePath, views));
        },
      });
      narrator.conclude(report, performance.now() - startMs);
      if (!report.ok) return PROMISE_FAILED;
      return report.malformed > 0 ? BAD_INPUT : OK;
    } finally {
      narrator.stop();
    }
  } finally {
    place.remove();
  }
}

/** Whether somebody hands in a recording: a terminal does not, nor does /dev/null, which is what a job without input gets. */
function hasStandardInput(): boolean {
  try {
    const input = fstatSync(0);
    return input.isFIFO() || input.isFile() || input.isSocket();
  } catch {
    return false;
  }
}

function open(file: string): Recording {
  return attempt(
    `Cannot read ${file === "-" ? "standard input" : file}`,
    () => new Recording(readInput(file)),
  );
}

/** Runs what depends on the caller's files; a failure is theirs to mend. */
function attempt<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof ForeignDirectory) throw error;
    throw new BadInput(`${what}: ${(error as Error).message}`, { cause: error });
  }
}

/** A directory that is gone when the run is over, also when it fails or is interrupted. */
function temporaryDirectory(): { readonly dir: string; readonly remove: () => void } {
  const dir = mkdtempSync(join(tmpdir(), "tidemark-demo-"));
  const removeNow = (): void => rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
  const exit = (signal: NodeJS.Signals): void => process.exit(128 + constants.signals[signal]);
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, exit);
  process.on("exit", removeNow);
  return {
    dir,
    remove: () => {
      for (const signal of signals) process.off(signal, exit);
      process.off("exit", removeNow);
      removeNow();
    },
  };
}

/** Whoever reads may stop reading: `demo | head`. The exit code is still told. */
function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, " ");
}

// Run as a program, from source or built.
if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.exitCode = await runCli(process.argv.slice(2));
}
