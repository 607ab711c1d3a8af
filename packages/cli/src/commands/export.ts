import { open } from "node:fs/promises";
import { resolve } from "node:path";
import { exportLine } from "@tidemark/region";
import type { ExportSummary } from "@tidemark/region";
import { exportSignals } from "@tidemark/region/node";
import type { Command } from "commander";
import { defineCommand, directoryOf } from "../define.ts";
import type { Run } from "../define.ts";
import { requireSoundIdentity } from "../directory.ts";
import { CliError } from "../errors.ts";
import { requireLogs } from "../survey.ts";
import { formatFields } from "../table.ts";
import { parseTime } from "../units.ts";

/** What `export --out FILE --json` prints; without `--out` it goes to standard error. */
export interface ExportJson extends ExportSummary {
  readonly dir: string;
  readonly file: string | null;
  readonly sinceMs: number | null;
  readonly untilMs: number | null;
}

interface ExportOptions {
  readonly since?: string;
  readonly until?: string;
  readonly out?: string;
}

/** Written at once: a line a write would be slow. */
const PIECE_CHARS = 64 * 1024;

/** `tidemark export`: signals and hard negatives for training. */
export function exportCommand(run: Run): Command {
  return defineCommand<ExportOptions>(run, {
    name: "export",
    summary:
      "Prints what was signalled and what is hidden as JSON Lines, straight from the logs: personal data, for training.",
    examples: [
      "tidemark export data/us-east --since 7d",
      "tidemark export data/us-east --since 2026-01-01 --until 2026-02-01 --out january.jsonl",
    ],
    configure: (command) =>
      command
        .argument("[dir]", "a directory with logs; a region may run on it")
        .option("--since <time>", "the first time: a date, Unix milliseconds, or a span ago such as 7d")
        .option("--until <time>", "the first time that is left out; what is hidden then is")
        .option("--out <file>", "a new file for the rows; the summary is the result then"),
    run: async ({ args: [argument], options, io, output }) => {
      const dir = directoryOf(argument, io);
      const sinceMs = options.since === undefined ? null : parseTime(options.since, io.now());
      const untilMs = options.until === undefined ? null : parseTime(options.until, io.now());
      if (sinceMs === null && untilMs === null)
        throw new CliError("CLI_USAGE", "Say from when or until when: --since, --until, or both");
      if (sinceMs !== null && untilMs !== null && sinceMs > untilMs)
        throw new CliError("CLI_USAGE", "--since must not be after --until");
      await requireLogs(dir);
      await requireSoundIdentity(dir);
      const rows = exportSignals(dir, {
        ...(sinceMs === null ? {} : { sinceMs }),
        ...(untilMs === null ? {} : { untilMs }),
        signal: io.signal,
      });
      const file = options.out === undefined ? null : resolve(io.cwd, options.out);
      const sink = file === null ? undefined : await openNew(file);
      try {
        const write =
          sink === undefined ? (text: string) => output.write(text) : (text: string) => sink.writeFile(text);
        const summary = await writeRows(rows, write);
        const json: ExportJson = { dir, file, sinceMs, untilMs, ...summary };
        if (file !== null) await output.result(json, () => summaryText(json));
        else output.note(output.json ? JSON.stringify(json) : summaryText(json).trimEnd());
      } finally {
        await sink?.close();
      }
    },
  });
}

async function writeRows(
  rows: ReturnType<typeof exportSignals>,
  write: (text: string) => Promise<void>,
): Promise<ExportSummary> {
  let pending = "";
  for (;;) {
    const step = await rows.next();
    if (step.done !== true) pending += `${exportLine(step.value)}\n`;
    if (step.done === true || pending.length > PIECE_CHARS) {
      const text = pending;
      pending = "";
      if (text !== "") await write(text);
    }
    if (step.done === true) return step.value;
  }
}

async function openNew(file: string): Promise<Awaited<ReturnType<typeof open>>> {
  try {
    return await open(file, "wx", 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    throw new CliError("CLI_FILE_EXISTS", `Cannot write ${file}: it is there`, { cause: error });
  }
}

function summaryText({ signals, hides, filtered, leftOut }: ExportJson): string {
  const { unreadable, purged, unknownUser, malformed } = leftOut;
  return formatFields([
    ["signals", String(signals)],
    ["hides", String(hides)],
    ["filtered", String(filtered)],
    [
      "left out",
      `${unreadable} unreadable, ${purged} purged, ${unknownUser} of unknown users, ${malformed} malformed`,
    ],
  ]);
}
